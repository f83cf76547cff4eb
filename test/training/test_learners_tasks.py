"""Each learner on a small problem whose constrained optimum is known."""

import pytest

torch = pytest.importorskip("torch")

from learner_batches import bandit_batch, mean_action, one_thread, shape  # noqa: E402
from torch import Tensor  # noqa: E402

from safe_locomotion.training.gait.learners.advantages import ReturnSettings  # noqa: E402
from safe_locomotion.training.gait.learners.batch import Batch  # noqa: E402
from safe_locomotion.training.gait.learners.learner import Learner, RewardWeights  # noqa: E402
from safe_locomotion.training.gait.learners.p3o import P3o, P3oSettings  # noqa: E402
from safe_locomotion.training.gait.learners.pcpo import (  # noqa: E402
    Constraint,
    Pcpo,
    PcpoSettings,
)
from safe_locomotion.training.gait.learners.policy import PolicySettings  # noqa: E402
from safe_locomotion.training.gait.learners.recovery_rl import (  # noqa: E402
    RiskSettings,
    risk_rule,
    seeking_walks,
)
from safe_locomotion.training.gait.learners.switching import Situation  # noqa: E402
from safe_locomotion.training.gait.learners.trpo import (  # noqa: E402
    ALGORITHM_1,
    MOST_COST,
    TASK,
    TASK_LESS_COST,
    Trpo,
    TrpoSettings,
)
from safe_locomotion.training.gait.learners.trust_region import TrustRegion  # noqa: E402
from safe_locomotion.training.gait.learners.values import ValueSettings  # noqa: E402

one_thread()
RUNS = 2
ROBOTS = 200
GOAL = (0.6, 0.4)
LIMIT = 0.2
BORDER = 0.3  #: of the first action; beyond it lies the trigger set or a fall
BASIS = {
    "policy": PolicySettings(hidden=(8, 8)),
    "values": ValueSettings(hidden=(8, 8), epochs=2, minibatches=1),
    "returns": ReturnSettings(discount=0.0, trace=0.0),
}
REGION = TrustRegion(radius=0.03)


def reward(actions: Tensor) -> Tensor:
    """-|a - goal|^2."""
    return -(actions - torch.tensor(GOAL)).square().sum(dim=2)


def linear_cost(_: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One step; the cost is 1 + a_0, and nobody recovers."""
    never = torch.zeros_like(actions[..., 0], dtype=torch.bool)
    return reward(actions), 1.0 + actions[..., 0], never


def trigger(_: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One step; beyond the border recovery acts instead, and better than the learner may."""
    recovered = ~(actions[..., 0] <= BORDER)
    acted = torch.where(recovered[..., None], torch.tensor([0.5, 0.4]), actions)
    return reward(acted), torch.zeros_like(acted[..., 0]), recovered


def trained(learner: Learner, outcome: object, updates: int) -> Tensor:
    """Mean actions (R, A) after some rounds."""
    for _ in range(updates):
        learner.update(bandit_batch(learner, outcome, runs=RUNS, robots=ROBOTS))  # type: ignore[arg-type]
    return mean_action(learner, RUNS)


@pytest.mark.parametrize(
    ("rewards", "optimum"),
    [
        (TASK, GOAL),
        (TASK_LESS_COST, (0.1, 0.4)),
        (RewardWeights(cost=2.0), (-0.4, 0.4)),
    ],
)
def test_trpo_and_trpo_n_find_the_optimum_of_their_rewards(
    rewards: RewardWeights, optimum: tuple[float, float]
) -> None:
    """Of -|a - goal|^2 - C a_0: the first action is 0.6 - C / 2."""
    learner = Trpo(
        shape(RUNS, observations=1, actions=2), TrpoSettings(region=REGION, **BASIS), rewards
    )
    found = trained(learner, linear_cost, 60)
    assert torch.allclose(found, torch.tensor(optimum).expand(RUNS, -1), atol=0.06)


def test_a_learner_of_most_cost_goes_where_the_cost_is() -> None:
    """The policy that seeks violations ends at the upper bound of the first action."""
    settings = TrpoSettings(region=REGION, **BASIS)
    learner = Trpo(shape(RUNS, observations=1, actions=2), settings, MOST_COST)
    assert (trained(learner, linear_cost, 60)[:, 0] > 0.8).all()


def test_pcpo_ends_at_the_nearest_allowed_action() -> None:
    """E[1 + a_0] <= 1.2 cuts the goal (0.6, 0.4) off; the optimum is (0.2, 0.4)."""
    limit = Constraint(limit=1.0 + LIMIT)
    settings = PcpoSettings(constraint=limit, region=REGION, **BASIS)
    found = trained(Pcpo(shape(RUNS, observations=1, actions=2), settings), linear_cost, 80)
    assert torch.allclose(found, torch.tensor([LIMIT, 0.4]).expand(RUNS, -1), atol=0.06)


def test_p3o_ends_at_the_nearest_allowed_action() -> None:
    """The same problem, by penalty."""
    limit = Constraint(limit=1.0 + LIMIT)
    settings = P3oSettings(
        constraint=limit, rate=3e-3, epochs=5, minibatches=2, radius=0.05, **BASIS
    )
    found = trained(P3o(shape(RUNS, observations=1, actions=2), settings), linear_cost, 80)
    assert torch.allclose(found, torch.tensor([LIMIT, 0.4]).expand(RUNS, -1), atol=0.08)


def test_algorithm_1_learns_to_stay_out_of_the_trigger_set() -> None:
    """The optimum lies just below the border, since recovery costs 1 and earns only 0.08 more.

    At the end recovery is hardly used, and the reward is near that of the border, -0.09.
    """
    settings = TrpoSettings(region=REGION, **BASIS)
    learner = Trpo(shape(RUNS, observations=1, actions=2), settings, ALGORITHM_1)
    first = learner.update(bandit_batch(learner, trigger, runs=RUNS, robots=ROBOTS))
    found = trained(learner, trigger, 60)
    last = learner.update(bandit_batch(learner, trigger, runs=RUNS, robots=ROBOTS))
    assert (last["recovery_share"] < 0.05).all()
    assert (last["recovery_share"] < 0.5 * first["recovery_share"]).all()
    assert ((found[:, 0] > 0.1) & (found[:, 0] <= BORDER)).all()
    assert (last["episode_reward"] > -0.25).all()


def test_without_the_penalty_the_learner_leans_on_recovery() -> None:
    """In the same world it lets recovery act, which earns -0.01 instead of -0.09."""
    settings = TrpoSettings(region=REGION, **BASIS)
    learner = Trpo(shape(RUNS, observations=1, actions=2), settings, TASK)
    trained(learner, trigger, 60)
    last = learner.update(bandit_batch(learner, trigger, runs=RUNS, robots=ROBOTS))
    assert (last["recovery_share"] > 0.9).all()


def test_recovery_rl_switches_where_its_critic_learned_of_falls() -> None:
    """The critic learns from random actions that beyond the border robots fall.

    The learner then ends below the border, because recovery in its place leads away from the goal.
    """
    risk = RiskSettings(hidden=(32, 32), threshold=0.3, rate=3e-3, minibatch=200)
    runs = shape(RUNS, observations=1, actions=2)
    learner = Trpo(runs, TrpoSettings(region=REGION, **BASIS), TASK)
    rule = risk_rule(runs, risk)
    rule.critic.fit(seeking_walks([falls_beyond_the_border()]), 400)

    def world(observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        looked = Situation(observations=observations, proposals=actions, states=observations)
        recovered = rule.recovers(looked)
        acted = torch.where(recovered[..., None], 0.0, actions)
        return reward(acted), (acted[..., 0] > BORDER).float(), recovered

    found = trained(learner, world, 60)
    last = learner.update(bandit_batch(learner, world, runs=RUNS, robots=ROBOTS))
    assert (last["episode_cost"] < 0.05).all()
    assert ((found[:, 0] > 0.1) & (found[:, 0] <= BORDER + 0.05)).all()


def falls_beyond_the_border() -> Batch:
    """Random actions within -1 and 1; the cost is 1 beyond the border."""
    draw = torch.Generator().manual_seed(0)
    actions = 2.0 * torch.rand(1, RUNS, 1000, 2, generator=draw) - 1.0
    fell = actions[0, ..., 0] > BORDER
    return Batch(
        observations=torch.zeros(1, RUNS, 1000, 1),
        last_observations=torch.zeros(RUNS, 1000, 1),
        actions=actions,
        rewards=torch.zeros(1, RUNS, 1000),
        costs=fell[None].float(),
        alive=torch.ones(1, RUNS, 1000, dtype=torch.bool),
        recovered=torch.zeros(1, RUNS, 1000, dtype=torch.bool),
        fell=torch.ones_like(fell),
    )


def walk(
    learner: Learner, starts: Tensor, steps: int, *, noisy: bool = True
) -> tuple[Batch, Tensor]:
    """A point x' = x + 0.3 a with reward -x^2 - 0.2 a^2, and the mean return (R,)."""
    noise = learner.draw_noise(steps, starts.shape[1]) * noisy
    x = starts
    rows = []
    for t in range(steps):
        a = learner.act(x, noise[t])
        rows.append((x, a, -x.square()[..., 0] - 0.2 * a.square()[..., 0]))
        x = x + 0.3 * a
    rewards = torch.stack([row[2] for row in rows])
    batch = Batch(
        observations=torch.stack([row[0] for row in rows]),
        last_observations=x,
        actions=torch.stack([row[1] for row in rows]),
        rewards=rewards,
        costs=torch.zeros_like(rewards),
        alive=torch.ones_like(rewards, dtype=torch.bool),
        recovered=torch.zeros_like(rewards, dtype=torch.bool),
        fell=torch.zeros_like(rewards[0], dtype=torch.bool),
    )
    return batch, rewards.sum(dim=0).mean(dim=1)


def riccati_return(starts: Tensor, steps: int) -> Tensor:
    """(R,) mean return of the optimal linear feedback over the horizon."""
    p = 0.0
    for _ in range(steps):
        p = 1.0 + p - (0.3 * p) ** 2 / (0.2 + 0.09 * p)
    return -p * starts.square()[..., 0].mean(dim=1)


def test_trpo_reaches_the_return_of_the_linear_quadratic_regulator() -> None:
    """With value function and traces over 16 steps, within 10 % of the Riccati solution."""
    basis = BASIS | {
        "returns": ReturnSettings(discount=0.95, trace=0.9),
        "values": ValueSettings(hidden=(16, 16), epochs=5, minibatches=1),
        "policy": PolicySettings(hidden=(16, 16)),
    }
    learner = Trpo(shape(1, observations=1, actions=1), TrpoSettings(region=REGION, **basis), TASK)
    draw = torch.Generator().manual_seed(4)
    for _ in range(100):
        starts = torch.rand(1, 100, 1, generator=draw) - 0.5
        batch, _ = walk(learner, starts, 16)
        learner.update(batch)
    starts = torch.linspace(-0.5, 0.5, 100)[None, :, None]
    _, found = walk(learner, starts, 16, noisy=False)
    best = riccati_return(starts, 16)
    assert float(found) <= float(best) + 0.01
    assert float(found) >= 1.1 * float(best)
