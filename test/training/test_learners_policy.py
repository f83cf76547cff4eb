"""Gaussian policies against automatic differentiation and torch's own distributions."""

import pytest

torch = pytest.importorskip("torch")

from learner_batches import one_thread  # noqa: E402

from safe_locomotion.training.gait.learners.networks import (  # noqa: E402
    Linearisation,
    StackedMlp,
)
from safe_locomotion.training.gait.learners.policy import (  # noqa: E402
    GaussianPolicies,
    PolicySettings,
)
from safe_locomotion.training.gait.learners.streams import Streams  # noqa: E402

RUNS = 2
SAMPLES = 40
WIDTH = 4
MASK = torch.tensor([[True, True, True], [True, False, True]])

one_thread()


def policies(*, bounded: bool) -> GaussianPolicies:
    """Two policies in double precision; the second has a masked action."""
    streams = Streams([1, 2])
    settings = PolicySettings(hidden=(7, 6), bounded=bounded, last_gain=1.0)
    made = GaussianPolicies(settings, observations=WIDTH, mask=MASK, streams=streams)
    made.parameters = made.parameters.double()
    made.mask = made.mask.double()
    made.parameters[:, -3:] += torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    return made


def inputs() -> torch.Tensor:
    """(R, S, O)."""
    return Streams([5, 6]).normal(SAMPLES, WIDTH).double()


def weights() -> torch.Tensor:
    """(R, S) which add up to 1; some are 0, as after a fall."""
    raw = torch.rand(RUNS, SAMPLES, generator=torch.Generator().manual_seed(1)).double()
    raw[:, ::5] = 0.0
    return raw / raw.sum(dim=1, keepdim=True)


def direction(like: torch.Tensor) -> torch.Tensor:
    """(R, P)."""
    return Streams([8, 9]).normal(like.shape[1]).double()


@pytest.mark.parametrize("bounded", [True, False])
def test_fisher_product_is_the_second_derivative_of_the_divergence(bounded: bool) -> None:
    """At the old policy H v is the derivative of v' grad KL(old, new), by double backward."""
    made = policies(bounded=bounded)
    x = inputs()
    old = made.distribution(x)
    theta = made.parameters.clone().requires_grad_(True)
    divergence = (weights() * made.distribution(x, theta).divergence_from(old)).sum()
    (first,) = torch.autograd.grad(divergence, theta, create_graph=True)
    v = direction(theta)
    (wanted,) = torch.autograd.grad((first * v).sum(), theta)
    found = made.linearise(x).fisher(v, weights())
    assert torch.allclose(found, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("bounded", [True, False])
def test_score_is_the_gradient_of_the_log_probability(bounded: bool) -> None:
    """The written-out gradient equals the automatic one."""
    made = policies(bounded=bounded)
    x = inputs()
    actions = Streams([3, 4]).normal(SAMPLES, 3).double()
    factors = Streams([5, 5]).normal(SAMPLES).double()
    theta = made.parameters.clone().requires_grad_(True)
    total = (factors * made.distribution(x, theta).log_probability(actions)).sum()
    (wanted,) = torch.autograd.grad(total, theta)
    found = made.linearise(x).score(factors, actions)
    assert torch.allclose(found, wanted, rtol=1e-9, atol=1e-10)


def test_tangent_is_the_change_along_a_direction() -> None:
    """J v equals the central difference of the outputs."""
    mlp = StackedMlp(WIDTH, (7, 6), 2)
    theta = Streams([1, 2]).normal(mlp.size).double() / 3.0
    v = direction(theta)
    x = inputs()
    h = 1e-5
    wanted = (mlp.forward(theta + h * v, x) - mlp.forward(theta - h * v, x)) / (2.0 * h)
    found = Linearisation(mlp, theta, x).tangent(v)
    assert torch.allclose(found, wanted, rtol=1e-6, atol=1e-8)


def test_probability_and_divergence_are_those_of_the_free_actions() -> None:
    """They equal torch's normal distributions, summed over the actions that are not masked."""
    made = policies(bounded=True)
    x = inputs()
    old = made.distribution(x)
    new = made.distribution(x, made.parameters + 0.05)
    actions = Streams([3, 4]).normal(SAMPLES, 3).double()
    free = MASK[:, None].double()
    first = torch.distributions.Normal(old.mean, old.log_deviation.exp().expand_as(old.mean))
    second = torch.distributions.Normal(new.mean, new.log_deviation.exp().expand_as(new.mean))
    log = (first.log_prob(actions) * free).sum(dim=2)
    divergence = (torch.distributions.kl_divergence(first, second) * free).sum(dim=2)
    assert torch.allclose(old.log_probability(actions), log)
    assert torch.allclose(new.divergence_from(old), divergence)


def test_a_masked_action_is_zero_and_its_weights_have_no_gradient() -> None:
    """Neither noise nor updates move it."""
    made = policies(bounded=True)
    x = inputs()
    noise = Streams([1, 2]).normal(SAMPLES, 3).double()
    actions = made.act(x, noise)
    assert not actions[1, :, 1].any()
    assert actions[0].all()
    linear = made.linearise(x)
    moved = torch.stack(
        [linear.score(weights(), noise), linear.fisher(direction(made.parameters), weights())]
    )
    matrix, bias = made.mlp.split(moved[:, 1, : made.mlp.size])[-1]
    assert not matrix[:, 1].any()
    assert not bias[:, 0, 1].any()
    assert not moved[:, 1, -2].any()
    assert moved[:, 1, -1].all()


def test_no_deviation_falls_below_the_least() -> None:
    """The policy never stops exploring."""
    made = policies(bounded=True)
    low = made.admissible(torch.full_like(made.parameters, -20.0))
    assert torch.allclose(
        made.distribution(inputs(), low).log_deviation.exp().min(), low.new([0.02])
    )
