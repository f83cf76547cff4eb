"""Equations of ALARM against numbers worked out by hand."""

import math

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from safe_locomotion.training.joint.alarm.learning import advantages as adv
from safe_locomotion.training.joint.alarm.learning import np3o
from safe_locomotion.training.joint.alarm.learning.aggregation import aggregate, next_beta, taught

ONES = torch.ones(2)


def t(*numbers: float) -> Tensor:
    """A tensor of these numbers."""
    return torch.tensor(numbers)


def column(*numbers: float) -> Tensor:
    """One robot and one head: (T, 1, 1)."""
    return t(*numbers)[:, None, None]


def test_generalised_advantages_of_three_steps() -> None:
    """An end cuts the sum: delta = (1.5, 2, 5.5) with gamma 0.5, and lambda 0.5."""
    ended = torch.tensor([[False], [True], [False]])
    found = adv.generalised_advantages(
        column(1.0, 2.0, 3.0),
        column(0.5, 1.0, 1.5),
        column(2.0, 2.0, 8.0),
        ended,
        gamma=0.5,
        lam=0.5,
    )
    assert found.flatten().tolist() == [1.5 + 0.25 * 2.0, 2.0, 5.5]


def test_values_after_an_end() -> None:
    """A fall has no value after it, a time-out that of its terminal state."""
    values = torch.arange(6.0).view(3, 2, 1)
    terminal = torch.full((3, 2, 1), 9.0)
    ended = torch.tensor([[False, True], [True, False], [False, False]])
    timed_out = torch.tensor([[False, False], [True, False], [False, False]])
    found = adv.values_after(values, torch.full((2, 1), 7.0), terminal, ended, timed_out)
    assert found[..., 0].tolist() == [[2.0, 0.0], [9.0, 5.0], [7.0, 7.0]]


def test_sigma_has_a_floor() -> None:
    """A cost that never happens has sigma at the floor, not 0."""
    batch = torch.zeros(2, 2, 2)
    batch[..., 0] = torch.tensor([[1.0, 3.0], [1.0, 3.0]])
    mu, sigma = adv.moments(batch, t(1e-8, 0.25))
    assert mu.tolist() == [2.0, 0.0]
    assert sigma.tolist() == [1.0, 0.25]


def test_violation_by_hand_and_without_scale() -> None:
    """Equation 6 with J = 3, epsilon = 1, mu = 0.2, sigma = 0.5, gamma = 0.9 is 0.8.

    With costs scaled by 1 - gamma it is the same, because J, mu and sigma share the factor.
    """
    scale = 1.0 - 0.9
    returns = torch.full((2, 3, 1), 3.0 * scale)
    found = adv.violations(returns, t(0.2 * scale), t(0.5 * scale), t(1.0), gamma=0.9)
    assert found.item() == pytest.approx((0.1 * (3.0 - 1.0) + 0.2) / 0.5, abs=1e-6)


def test_hybrid_advantage_as_written_carries_no_information() -> None:
    """It is 0 for every batch. By the previous mu and sigma it is positive for the better one."""
    draw = torch.Generator().manual_seed(0)
    before = torch.randn(24, 64, 6, generator=draw)
    better = torch.randn(24, 64, 6, generator=draw)
    better[..., 0] += 0.3
    better[..., 1:] -= 0.1
    floor = torch.full((6,), 1e-8)
    kappa = torch.ones(5)
    own = [adv.hybrid_advantage(x, *adv.moments(x, floor), kappa).item() for x in (before, better)]
    assert max(abs(x) for x in own) < 1e-6
    found = adv.hybrid_advantage(better, *adv.moments(before, floor), kappa).item()
    assert found == pytest.approx(0.3 + 5 * 0.1, abs=0.2)


def test_hybrid_advantage_by_hand() -> None:
    """(1 - 0) / 2 - 0.5 (3 - 1) / 4 = 0.25."""
    batch = torch.tensor([[[1.0, 3.0]]])
    assert adv.hybrid_advantage(batch, t(0.0, 1.0), t(2.0, 4.0), t(0.5)).item() == 0.25


def test_a_ratio_is_finite_and_exact_near_1() -> None:
    """It is exp(0.1) for 0.1, and a number for 1,000."""
    found = np3o.probability_ratio(t(0.1, 1000.0, -1000.0), torch.zeros(3))
    assert found[0].item() == pytest.approx(math.exp(0.1))
    assert found.isfinite().all()


def test_clipped_reward_takes_the_smaller() -> None:
    """Ratios 1.5 and 0.5, advantages 1 and -1: min(1.5, 1.2) and min(-0.5, -0.8)."""
    found = np3o.clipped_reward(t(1.5, 0.5), t(1.0, -1.0), ONES, 0.2)
    assert found.item() == pytest.approx((1.2 - 0.8) / 2.0)


def test_clipped_costs_take_the_larger() -> None:
    """Ratios 1.5 and 0.5, advantages 1 and -1: max(1.5, 1.2) and max(-0.5, -0.8)."""
    found = np3o.clipped_costs(t(1.5, 0.5), t(1.0, -1.0)[:, None], ONES, 0.2)
    assert found.tolist() == [pytest.approx((1.5 - 0.5) / 2.0)]


def test_objective_penalises_violated_constraints_alone() -> None:
    """1 - 2 max(0, 0.5 - 0.1) - 2 max(0, 0.5 - 0.9) = 0.2."""
    found = np3o.np3o_objective(torch.tensor(1.0), t(0.5, 0.5), t(-0.1, -0.9), t(2.0, 2.0))
    assert found.item() == pytest.approx(0.2)


def test_a_sample_of_weight_0_does_not_count() -> None:
    """Not even when it is huge."""
    weight = t(1.0, 0.0)
    assert np3o.clipped_reward(t(1.0, 9.0), t(2.0, 1e6), weight, 0.2).item() == 2.0
    assert np3o.squared_error(t(1.0, 9.0)[:, None], t(3.0, 0.0)[:, None], weight).item() == 4.0
    assert np3o.mean_of(t(1.0, 2.0), torch.zeros(2)).item() == 0.0


def test_probabilities_are_those_of_torch() -> None:
    """Log probability, entropy and divergence of a diagonal Gaussian."""
    draw = torch.Generator().manual_seed(0)
    mean, action, other = torch.randn(3, 4, 12, generator=draw)
    log_deviation = 0.3 * torch.randn(12, generator=draw)
    wider = log_deviation + 0.2
    normal = torch.distributions.Normal(mean, log_deviation.exp())
    changed = torch.distributions.Normal(other, wider.exp())
    found = np3o.log_probability(action, mean, log_deviation)
    assert torch.allclose(found, normal.log_prob(action).sum(-1), atol=1e-5)
    assert torch.allclose(np3o.entropy_of(log_deviation), normal.entropy()[0].sum(), atol=1e-5)
    found = np3o.divergence(other, wider, mean, log_deviation)
    expected = torch.distributions.kl_divergence(normal, changed).sum(-1)
    assert torch.allclose(found, expected, atol=1e-4)


def test_value_loss_takes_the_worse_of_both() -> None:
    """From 0 to 1 with clip 0.2 and target 1: the clipped value errs by 0.8."""
    one = torch.ones(1, 1)
    found = np3o.value_loss(one, torch.zeros(1, 1), one, torch.ones(1), 0.2)
    assert found.item() == pytest.approx(0.64)


def test_code_divergence_of_the_unit_gaussian_is_0() -> None:
    """And 0.5 for a mean of 1 in one number."""
    zero = torch.zeros(3, 2)
    weight = torch.ones(3)
    assert np3o.code_divergence(zero, zero, weight).item() == 0.0
    shifted = torch.tensor([[1.0, 0.0]]).expand(3, 2)
    assert np3o.code_divergence(shifted, zero, weight).item() == pytest.approx(0.5)


def test_aggregation_is_exact_at_both_ends() -> None:
    """Beta 0 gives the truth, 1 the estimate, and 0.25 a quarter of the way; bit for bit."""
    truth = torch.tensor([[0.1, 0.7]] * 3)
    estimate = torch.tensor([[0.9, -0.3]] * 3)
    found = aggregate(truth, estimate, t(0.0, 1.0, 0.25))
    assert torch.equal(found[0], truth[0]) and torch.equal(found[1], estimate[1])
    assert found[2].tolist() == pytest.approx([0.3, 0.45])


@pytest.mark.parametrize("flagged", [False, True])
@pytest.mark.parametrize("gain", [-1.0, 0.0, 1e-9, math.nan, math.inf])
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_beta_rises_only_with_flag_and_gain(flagged: bool, gain: float, beta: float) -> None:
    """Equations 13 and 14; it never exceeds 1, and a gain that is no number does not count."""
    found = next_beta(t(beta), torch.tensor([flagged]), torch.tensor(gain), 0.25).item()
    rises = flagged and gain > 0.0
    assert found == (min(1.0, beta + 0.25) if rises else beta)


def test_no_gradient_passes_flagged_robots() -> None:
    """Theirs is exactly 0; the latent itself is unchanged."""
    latent = torch.ones(4, 2, 3, requires_grad=True)
    out = taught(latent, torch.tensor([True, False]))
    out.sum().backward()
    assert torch.equal(out, latent)
    assert latent.grad is not None
    assert latent.grad[:, 0].abs().max() == 0.0 and latent.grad[:, 1].min() == 1.0
