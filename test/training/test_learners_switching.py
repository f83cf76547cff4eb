"""Switching rules of other schemes, on chains and states with known answers."""

import math

import pytest

torch = pytest.importorskip("torch")

from learner_batches import one_thread  # noqa: E402

from safe_locomotion.errors import ConfigurationError  # noqa: E402
from safe_locomotion.training.gait.learners.batch import Batch  # noqa: E402
from safe_locomotion.training.gait.learners.recovery_rl import (  # noqa: E402
    RiskCritic,
    RiskRule,
    RiskSettings,
    seeking_walks,
)
from safe_locomotion.training.gait.learners.streams import Streams  # noqa: E402
from safe_locomotion.training.gait.learners.switching import (  # noqa: E402
    EllipsoidDwell,
    Situation,
    inscribed,
)
from safe_locomotion.training.gait.learners.value_filter import (  # noqa: E402
    FilterSettings,
    ValueFilter,
    failure_margin,
    reach_avoid,
)
from safe_locomotion.training.gait.learners.values import ValueSettings  # noqa: E402

one_thread()
LENGTH = 5
SAFE = LENGTH  #: state that leads to no fall


def chain(runs: int, robots: int) -> Batch:
    """Walks of six steps from state 0 of a chain 0, 1, 2, 3, 4 whose end is a fall.

    Even robots choose +1 at first and go along the chain to the fall on the fifth step. Odd robots
    choose -1 and stay in the safe state until the walk is cut off. Later actions are +1.
    """
    state = torch.full((7, robots), SAFE)
    state[0] = 0
    state[1:LENGTH, ::2] = torch.arange(1, LENGTH)[:, None]
    seen = torch.nn.functional.one_hot(state, LENGTH + 1).float()
    seen = seen[:, None].expand(-1, runs, -1, -1)
    fell = (torch.arange(robots) % 2 == 0).expand(runs, -1)
    actions = torch.ones(6, runs, robots, 1)
    actions[0, :, 1::2] = -1.0
    costs = torch.zeros(6, runs, robots)
    costs[LENGTH - 1, :, ::2] = 1.0
    alive = torch.ones(6, runs, robots, dtype=torch.bool)
    alive[LENGTH:, :, ::2] = False
    return Batch(
        observations=seen[:-1],
        last_observations=seen[-1],
        actions=actions,
        rewards=torch.zeros(6, runs, robots),
        costs=costs,
        alive=alive,
        recovered=torch.zeros(6, runs, robots, dtype=torch.bool),
        fell=fell,
    )


def situation(states: torch.Tensor, *, width: int = 1) -> Situation:
    """Situations (R, N) of physical states (R, N, X)."""
    empty = torch.zeros(*states.shape[:2], width)
    return Situation(observations=empty, proposals=empty, states=states)


@pytest.fixture(scope="module")
def critic() -> RiskCritic:
    """Fitted to the chain in two runs."""
    settings = RiskSettings(hidden=(32, 32), discount=0.8, rate=3e-3, minibatch=64)
    streams = Streams([1, 2])
    made = RiskCritic(settings, observations=LENGTH + 1, actions=1, streams=streams)
    made.fit(seeking_walks([chain(2, 8), chain(2, 8)]), 800)
    return made


def test_the_risk_of_the_chain_is_the_discounted_probability_of_its_fall(
    critic: RiskCritic,
) -> None:
    """Q(k, +1) = 0.8^(4 - k) before the fall, Q(0, -1) = Q(safe, +1) = 0."""
    states = torch.eye(LENGTH + 1).expand(2, -1, -1)
    along = critic.risk(states, torch.ones(2, LENGTH + 1, 1))
    wanted = torch.tensor([0.8 ** (LENGTH - 1 - k) for k in range(LENGTH)] + [0.0])
    assert torch.allclose(along, wanted.expand(2, -1), atol=0.04)
    away = critic.risk(states[:, :1], -torch.ones(2, 1, 1))
    assert torch.allclose(away, torch.zeros(2, 1), atol=0.04)


def test_a_violation_ends_the_sum_of_the_risk() -> None:
    """Where every second step violates and the walk goes on, Q is 1 there and 0.8 before it."""
    walks = chain(1, 2)
    violated = torch.zeros_like(walks.costs)
    violated[::2] = 1.0
    batch = Batch(
        observations=torch.zeros_like(walks.observations),
        last_observations=torch.zeros_like(walks.last_observations),
        actions=torch.zeros_like(walks.actions),
        rewards=walks.rewards,
        costs=violated,
        alive=torch.ones_like(walks.alive),
        recovered=walks.recovered,
        fell=torch.zeros_like(walks.fell),
    )
    data = seeking_walks([batch])
    settings = RiskSettings(hidden=(8, 8), discount=0.8, rate=1e-2, minibatch=64)
    made = RiskCritic(settings, observations=LENGTH + 1, actions=1, streams=Streams([1]))
    made.fit(data, 300)
    found = made.risk(batch.observations[0], batch.actions[0])
    assert torch.allclose(found, torch.full_like(found, (3 * 1.0 + 2 * 0.8) / 5), atol=0.02)


def test_recovery_acts_where_the_risk_of_the_proposal_exceeds_the_threshold(
    critic: RiskCritic,
) -> None:
    """In state 0 the proposal decides: 0.41 is above 0.25, 0 is not. NaN counts as too high."""
    rule = RiskRule(critic)
    states = torch.zeros(2, 3, LENGTH + 1)
    states[..., 0] = 1.0
    proposals = torch.tensor([1.0, -1.0, math.nan])[None, :, None].expand(2, -1, -1)
    looked = Situation(observations=states, proposals=proposals, states=states)
    assert rule.recovers(looked).tolist() == [[True, False, True]] * 2


def test_risks_run_back_through_walks() -> None:
    """A fall counts 0.8 for each step before it; a cut-off walk ends with what is thought of it.

    The last step of a cut-off walk is not learned from.
    """
    walks = seeking_walks([chain(1, 2)])
    assert walks.counted[:, 0, 0].tolist() == [True] * 5 + [False]
    assert walks.counted[:, 0, 1].tolist() == [True] * 5 + [False]
    risks = walks.risks(torch.full((1, 2), 0.5), 0.8)
    assert risks[:, 0, 0].tolist() == pytest.approx([0.8**k for k in (4, 3, 2, 1, 0)] + [0.0])
    assert risks[:, 0, 1].tolist() == pytest.approx([0.5 * 0.8**k for k in (5, 4, 3, 2, 1, 0)])


def test_the_inscribed_ellipsoid_touches_the_box() -> None:
    """x' P x is 1 in the middle of each face, and more in the corners."""
    limits = torch.tensor([0.26, 0.5])
    matrix = inscribed(limits)
    for k in range(2):
        x = torch.zeros(2)
        x[k] = -limits[k]
        assert float(x @ matrix @ x) == pytest.approx(1.0)
    assert float(limits @ matrix @ limits) == pytest.approx(2.0)


def test_the_teacher_acts_outside_the_ellipsoid_and_for_the_dwell_time() -> None:
    """With a dwell of three steps; a reset ends a use; NaN counts as outside."""
    nominal = torch.tensor([0.27, 0.0])
    rule = EllipsoidDwell(
        inscribed(torch.tensor([0.1, 1.0])), nominal, dwell_steps=3, runs=1, robots=2
    )
    heights = [0.27, 0.38, 0.27, 0.27, 0.27, 0.38, 0.38, 0.38, 0.38, 0.27, 0.27, 0.27]
    acted = []
    for height in heights:
        states = torch.tensor([[[height, 0.0], [0.27, 0.9]]])
        acted.append(rule.recovers(situation(states)).tolist()[0])
    assert [first for first, _ in acted] == [False] + [True] * 3 + [False] + [True] * 6 + [False]
    assert not any(second for _, second in acted)
    rule.recovers(situation(torch.full((1, 2, 2), math.nan)))
    rule.reset(torch.tensor([[True, False]]))
    back = rule.recovers(situation(nominal.expand(1, 2, 2)))
    assert back.tolist() == [[False, True]]


def test_a_matrix_that_is_no_ellipsoid_is_refused() -> None:
    """P must be symmetric and positive definite."""
    for bad in ([[1.0, 0.0], [0.0, -1.0]], [[1.0, 0.5], [0.0, 1.0]]):
        with pytest.raises(ConfigurationError, match="symmetric and positive definite"):
            EllipsoidDwell(torch.tensor(bad), torch.zeros(2), dwell_steps=1, runs=1, robots=1)


def test_the_reach_avoid_value_of_three_walks_by_hand() -> None:
    """gamma = 1/2, two steps, z = -1, -1 (or 1 on a fall), l = 0.5, -0.5, last value 0.25.

    Cut off: V_1 = 1/2 max(-1, min(-0.5, 0.25)) + 1/2 max(-0.5, -1) = -0.5.
    V_0 = 1/2 max(-1, min(0.5, -0.5)) + 1/2 max(0.5, -1) = 0.
    Fall on the second step: V_1 = 1/2 max(1, ...) + 1/2 max(-0.5, 1) = 1, V_0 = 1/2 0.5 + 1/2 0.5.
    Fall on the first step: V_0 = 1; nothing after it.
    """
    alive = torch.tensor([[True, True, True], [True, True, False]])[:, None]
    fell = torch.tensor([[False, True, True]])
    empty = torch.zeros(2, 1, 3)
    batch = Batch(
        observations=empty[..., None],
        last_observations=empty[0, ..., None],
        actions=empty[..., None],
        rewards=empty,
        costs=empty,
        alive=alive,
        recovered=alive,
        fell=fell,
    )
    failure = failure_margin(batch, hindsight=1)
    assert failure[:, 0].tolist() == [[-1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]]
    target = torch.tensor([0.5, -0.5])[:, None, None].expand(2, 1, 3)
    found = reach_avoid(failure, target, torch.full((1, 3), 0.25), batch, 0.5)
    assert torch.allclose(found[:, 0], torch.tensor([[0.0, 0.5, 1.0], [-0.5, 1.0, 0.0]]))


def test_the_failure_margin_rises_over_the_steps_before_a_fall() -> None:
    """By 2 / hindsight for each step, from -1."""
    margin = failure_margin(chain(1, 2), hindsight=4)
    assert margin[:, 0, 0].tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0, -1.0]
    assert margin[:, 0, 1].tolist() == [-1.0] * 6


def test_the_value_filter_stops_the_walks_that_fall_and_no_others() -> None:
    """Fitted to the chain: states 1 to 4 lead to the fall, the safe state is calm."""
    settings = FilterSettings(values=ValueSettings(hidden=(32, 32), epochs=20))
    made = ValueFilter(settings, observations=LENGTH + 1, streams=Streams([1]))
    batch = chain(1, 8)
    calm = batch.observations[..., SAFE].bool()
    distance = torch.where(calm, 0.1, 0.9)
    for _ in range(6):
        made.fit(batch, distance)
    states = torch.eye(LENGTH + 1)[None]
    looked = Situation(observations=states, proposals=states, states=states)
    assert made.recovers(looked)[0, 1:].tolist() == [True] * 4 + [False]
    spoilt = Situation(observations=states * math.nan, proposals=states, states=states)
    assert made.recovers(spoilt).all()
