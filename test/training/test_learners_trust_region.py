"""The natural step, its line search and PCPO's projection against closed forms and sb3-contrib."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learner_batches import one_thread, random_batch, shape  # noqa: E402

from safe_locomotion.training.gait.learners.learner import Samples, Shape  # noqa: E402
from safe_locomotion.training.gait.learners.pcpo import (  # noqa: E402
    Constraint,
    Pcpo,
    PcpoSettings,
    projected,
)
from safe_locomotion.training.gait.learners.policy import PolicySettings  # noqa: E402
from safe_locomotion.training.gait.learners.trpo import Trpo, TrpoSettings  # noqa: E402
from safe_locomotion.training.gait.learners.trust_region import (  # noqa: E402
    TrustRegion,
    conjugate_gradients,
    line_search,
    shortened,
    step_to_radius,
)

one_thread()
RUNS = 3
SIZE = 6
REGION = TrustRegion(radius=0.02, iterations=12)


def random(*size: int, seed: int = 0) -> torch.Tensor:
    """Standard normal numbers in double precision."""
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed)).double()


def metric() -> torch.Tensor:
    """H (R, P, P), positive definite and different in each run."""
    root = random(RUNS, SIZE, SIZE)
    return root @ root.transpose(1, 2) + torch.eye(SIZE)


def product(v: torch.Tensor) -> torch.Tensor:
    """H v."""
    return (metric() @ v[..., None])[..., 0]


def test_conjugate_gradients_solve_each_run() -> None:
    """The solution equals that of a direct solver; a run whose right side is 0 stays at 0."""
    right = random(RUNS, SIZE, seed=1)
    right[1] = 0.0
    wanted = torch.linalg.solve(metric(), right)
    exact = replace(REGION, residual=0.0)
    assert torch.allclose(conjugate_gradients(product, right, exact), wanted, atol=1e-8)


def test_a_step_to_the_radius_has_its_length() -> None:
    """1/2 s' H s is the radius; without a direction there is no step."""
    direction = random(RUNS, SIZE, seed=2)
    direction[1] = 0.0
    step = step_to_radius(direction, product, 0.02)
    length = 0.5 * (step * product(step)).sum(dim=1)
    assert torch.allclose(length, torch.tensor([0.02, 0.0, 0.02]).double())


def test_only_steps_beyond_the_radius_are_shortened() -> None:
    """A step inside stays; one outside ends on the radius in the same direction."""
    inside = step_to_radius(random(RUNS, SIZE, seed=3), product, 0.01)
    assert torch.equal(shortened(inside, product, 0.02), inside)
    assert torch.allclose(shortened(9.0 * inside, product, 0.02), 2.0**0.5 * inside)


def test_the_line_search_keeps_the_longest_step_that_is_allowed() -> None:
    """Along one axis with objective x - x^2 and divergence x^2 / 2, run by run.

    Radius 0.02 is x = 0.2. Run 0: 1, 0.8, ... 0.8^8 = 0.168 is the first within. Run 1: all steps
    lose. Run 2: the full step 0.1 is allowed. Run 3: its divergence is NaN.
    """
    start = torch.zeros(4, 1)
    step = torch.tensor([[1.0], [-1.0], [0.1], [float("nan")]])

    def evaluate(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (x - x.square())[:, 0], 0.5 * x.square()[:, 0]

    found = line_search(start, step, evaluate, REGION)
    assert torch.allclose(found.parameters[:, 0], torch.tensor([0.8**8, 0.0, 0.1, 0.0]))
    assert torch.allclose(found.length, torch.tensor([0.8**8, 0.0, 1.0, 0.0]))
    assert torch.allclose(found.gain[2], torch.tensor(0.09))
    assert torch.allclose(found.divergence[2], torch.tensor(0.005))
    free = line_search(start, step, evaluate, REGION, torch.zeros(4, dtype=torch.bool))
    assert torch.allclose(free.length, torch.tensor([0.8**8, 0.8**8, 1.0, 0.0]))


def closest(step: torch.Tensor, cost: torch.Tensor, excess: torch.Tensor) -> torch.Tensor:
    """The point of b' x + c <= 0 nearest to the step in the metric H, by its KKT equations.

    [H b; b' 0] [x; lambda] = [H s; -c]   where the step itself is not allowed
    """
    found = step.clone()
    for run, matrix in enumerate(metric()):
        if float(cost[run] @ step[run] + excess[run]) > 0.0:
            system = torch.zeros(SIZE + 1, SIZE + 1).double()
            system[:SIZE, :SIZE] = matrix
            system[:SIZE, SIZE] = cost[run]
            system[SIZE, :SIZE] = cost[run]
            right = torch.cat([matrix @ step[run], -excess[run]])
            found[run] = torch.linalg.solve(system, right)[:SIZE]
    return found


@pytest.mark.parametrize("excess", [-1.0, -0.05, 0.0, 0.05, 1.0])
def test_pcpo_projects_to_the_nearest_allowed_point(excess: float) -> None:
    """The step solves the paper's two problems for known H, g and b, feasible and infeasible.

    With excess <= 0 the old policy is feasible, and the projected step stays within the radius.
    """
    gradient = random(RUNS, SIZE, seed=4)
    cost = random(RUNS, SIZE, seed=5)
    c = torch.full((RUNS, 1), excess).double()
    natural = torch.linalg.solve(metric(), gradient)
    reach = torch.sqrt(2.0 * 0.02 / (gradient * natural).sum(dim=1, keepdim=True))
    step = step_to_radius(conjugate_gradients(product, gradient, REGION), product, 0.02)
    assert torch.allclose(step, reach * natural, atol=1e-6)
    natural_cost = conjugate_gradients(product, cost, replace(REGION, residual=0.0))
    found = projected(step, cost, natural_cost, c)
    assert torch.allclose(found, closest(step, cost, c), atol=1e-8)
    assert ((cost * found).sum(dim=1) + excess <= 1e-9).all()
    if excess <= 0.0:
        assert (0.5 * (found * product(found)).sum(dim=1) <= 0.02 + 1e-9).all()


def test_a_cost_without_gradient_moves_no_step() -> None:
    """Where no cost occurred, PCPO takes the step of TRPO."""
    step = random(RUNS, SIZE, seed=4)
    nothing = torch.zeros_like(step)
    c = torch.ones(RUNS, 1).double()
    assert torch.equal(projected(step, nothing, nothing, c), step)


def test_pcpo_with_a_generous_limit_is_trpo() -> None:
    """With a limit that no policy reaches, both learners have equal parameters after an update.

    Their sums may run in another order, by the processor.
    """
    generous = PcpoSettings(constraint=Constraint(limit=1e6))
    pcpo = Pcpo(shape(2), generous)
    trpo = Trpo(shape(2), TrpoSettings(), pcpo.rewards, constrained=True)
    figures = pcpo.update(random_batch(2))
    trpo.update(random_batch(2))
    assert not figures["projected"].any()
    torch.testing.assert_close(
        pcpo.policies.parameters, trpo.policies.parameters, rtol=1e-6, atol=1e-7
    )


def test_an_infeasible_policy_moves_towards_less_cost_within_the_radius() -> None:
    """With a limit far below any cost the projected step lowers the cost that it predicts."""
    strict = PcpoSettings(constraint=Constraint(limit=-1000.0))
    pcpo = Pcpo(shape(2), strict)
    batch = random_batch(2).cleaned()
    rows = pcpo.samples(batch)
    assert rows.cost_advantages is not None
    policy = pcpo.policies.linearise(rows.x)
    slope = policy.score(rows.weights * rows.cost_advantages, rows.actions)
    before = pcpo.policies.parameters.clone()
    figures = pcpo.improve(batch, rows)
    assert figures["projected"].all()
    assert (figures["step_length"] > 0.0).all()
    assert (figures["divergence"] <= 0.01).all()
    assert ((slope * (pcpo.policies.parameters - before)).sum(dim=1) < 0.0).all()


def reference_trpo(steps: int) -> Any:
    """sb3-contrib's TRPO on an environment of 6 observations and 3 actions, with random data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gymnasium = pytest.importorskip("gymnasium")
        sb3_contrib = pytest.importorskip("sb3_contrib")
        from stable_baselines3.common.logger import Logger

    class Still(gymnasium.Env):  # type: ignore[misc]
        """Never stepped; it only tells the sizes."""

        observation_space = gymnasium.spaces.Box(-9.0, 9.0, (6,), np.float32)
        action_space = gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32)

        def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
            return np.zeros(6, np.float32), {}

    model = sb3_contrib.TRPO(
        "MlpPolicy",
        Still(),
        n_steps=steps,
        batch_size=steps,
        n_critic_updates=1,
        cg_max_steps=10,
        policy_kwargs={"net_arch": [16, 16], "log_std_init": -0.7},
        seed=3,
        device="cpu",
    )
    model.set_logger(Logger(None, []))
    buffer = model.rollout_buffer
    rng = np.random.default_rng(5)
    buffer.observations[:] = rng.standard_normal(buffer.observations.shape)
    buffer.actions[:] = 0.5 * rng.standard_normal(buffer.actions.shape)
    buffer.advantages[:] = rng.standard_normal(buffer.advantages.shape)
    buffer.advantages += 2.0 * buffer.actions[..., 0] * buffer.observations[..., 0]
    with torch.no_grad():
        _, log, _ = model.policy.evaluate_actions(
            torch.as_tensor(buffer.observations[:, 0]), torch.as_tensor(buffer.actions[:, 0])
        )
    buffer.log_probs[:, 0] = log.numpy()
    buffer.full = True
    return model


def flat(model: Any) -> torch.Tensor:
    """Parameters (1, P) of sb3's actor in our order."""
    policy = model.policy
    names = ["mlp_extractor.policy_net.0", "mlp_extractor.policy_net.2", "action_net"]
    found = dict(policy.named_parameters())
    parts = [found[f"{name}.{part}"] for name in names for part in ("weight", "bias")]
    return torch.cat([part.detach().flatten() for part in (*parts, found["log_std"])])[None]


def test_one_step_equals_that_of_sb3_contrib() -> None:
    """Same batch and weights: cosine of the steps at least 0.999, divergences within 1 %.

    sb3-contrib averages the divergence over the three actions where we sum. Its radius 0.01 and
    damping 0.1 are therefore 0.03 and 0.3 here.
    """
    count = 2000
    model = reference_trpo(count)
    region = TrustRegion(radius=0.03, damping=0.3)
    settings = TrpoSettings(region=region, policy=PolicySettings(hidden=(16, 16), bounded=False))
    mask = torch.ones(1, 3, dtype=torch.bool)
    ours = Trpo(Shape(observations=6, mask=mask, seeds=[1]), settings)
    start = flat(model)
    ours.policies.parameters.copy_(start)
    buffer = model.rollout_buffer
    x = torch.as_tensor(buffer.observations[:, 0].copy())[None]
    actions = torch.as_tensor(buffer.actions[:, 0].copy())[None]
    advantages = torch.as_tensor(buffer.advantages[:, 0].copy())[None]
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    weights = torch.full((1, count), 1.0 / count)
    old = ours.policies.distribution(x)
    ours.improve(random_batch(1), Samples(x, actions, weights, advantages, advantages))
    model.train()
    step = ours.policies.parameters - start
    wanted = flat(model) - start
    assert wanted.abs().max() > 1e-3
    cosine = torch.nn.functional.cosine_similarity(step, wanted)
    assert float(cosine) >= 0.999
    reached = [
        float(ours.policies.distribution(x, start + each).divergence_from(old).mean())
        for each in (step, wanted)
    ]
    assert reached[0] == pytest.approx(reached[1], rel=0.01)
