"""Batched trigger sets, capture points and switching rules are those of the onboard supervisor."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("warp")

import warp as wp
from core_values import A1, TROT, estimate
from judged_walks import RAW, Tick, World, gait_of, row, stack

from safe_locomotion.config import StackConfig
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.safety.capture_point import CapturePoint
from safe_locomotion.safety.mean_roll_rate import RollHistory
from safe_locomotion.safety.switching_rule import CRITERIA, SwitchingRule
from safe_locomotion.safety.trigger_set import COMPONENTS, TriggerSet
from safe_locomotion.training.gait.world.arrays import Array1, Array2, Array4, Integers1, Integers2
from safe_locomotion.training.gait.world.intervention import BatchedIntervention
from safe_locomotion.training.gait.world.judges import decisions
from safe_locomotion.training.gait.world.mean_roll_rate import (
    RollHistories,
    add_roll_rate,
    mean_roll_rate,
    predicted_mean,
    roll_histories,
)
from safe_locomotion.training.gait.world.switching_rule import (
    SwitchingRules,
    recovers,
    switching_rules,
)
from safe_locomotion.types import Array, Estimate, VelocityCommand

PERIOD_NS = 8_000_000
NEAR = 1e-4  #: from a bound, either side
SAME = 1e-5


def ticks_of(estimates: list[Estimate], **changes: Any) -> list[Tick]:
    """One tick for each robot; its learner trots faster than recovery."""
    values: dict[str, Any] = {
        "learner": gait_of(row(replace(TROT, frequency=3.0))),
        "recovery": gait_of(row(TROT)),
        "command": VelocityCommand(vx=0.3),
    }
    return [Tick(first=True, estimate=e, **{**values, **changes}) for e in estimates]


def with_component(component: str, value: float) -> Estimate:
    """A standing robot with one component of the trigger set."""
    angle = {"roll": (value, 0.0, 0.0), "pitch": (0.0, value, 0.0)}.get(component, (0.0, 0.0, 0.0))
    return estimate(
        position=np.array((0.0, 0.0, value if component == "height" else 0.27)),
        quaternion_wxyz=np.array(quaternion_from_rpy(*angle)),
        velocity=np.array((0.0, value if component == "lateral_velocity" else 0.0, 0.0)),
        angular_velocity=np.array((value if component == "roll_rate" else 0.0, 0.0, 0.0)),
    )


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("box", ["c1", "c3"])
def test_bounds_hold_on_either_side(component: str, box: str) -> None:
    """Each component triggers just past its bounds and not just within; NaN and infinity do too."""
    config = stack("naive", 0, {**RAW, "supervisor.trigger_set.use": box})
    inside = TriggerSet(config.supervisor.trigger_set.bounds, 0.1)
    k = COMPONENTS.index(component)
    ends = (inside.low[k], inside.high[k])
    values = [end + side * NEAR for end in ends for side in (-1.0, 1.0)]
    expected = [True, False, False, True]
    if component not in ("roll", "pitch"):
        values += [np.nan, np.inf, -np.inf]
        expected += [True] * 3
    world = World([config] * len(values))
    world.show(ticks_of([with_component(component, value) for value in values]))
    world.decide()
    assert (world.decisions.triggered.numpy() == 1).tolist() == expected
    assert (world.decisions.recovers.numpy() == 1).tolist() == expected


def poisoned(world: World) -> list[tuple[Any, tuple[int, ...]]]:
    """Numbers behind the components: arrays, and places in one robot's row."""
    e = world.estimates
    places: list[tuple[Any, tuple[int, ...]]] = [(e.position, (2,)), (e.rates, (0,))]
    places += [(e.rotation, (2, axis)) for axis in range(3)]
    return [*places, (e.velocity, (1,)), (e.rotation, (0, 0)), (e.rotation, (1, 0))]


@pytest.mark.parametrize("criterion", [c for c in CRITERIA if c != "off"])
@pytest.mark.parametrize("measures", [{}, RAW], ids=["ours", "raw"])
def test_nan_in_any_component_recovers(criterion: str, measures: dict[str, Any]) -> None:
    """A number that is NaN lets recovery drive at once, and the other robots go on."""
    robots = 8
    world = World([stack(criterion, 5, measures)] * (robots + 1))
    world.show(ticks_of([estimate()] * (robots + 1)))
    for _ in range(3):
        world.decide()
    assert not world.decisions.recovers.numpy().any()
    for robot, (array, place) in enumerate(poisoned(world)):
        values = array.numpy()
        values[(robot, *place)] = np.nan
        array.assign(values)
    world.decide()
    assert (world.decisions.recovers.numpy() == 1).tolist() == [True] * robots + [False]


def test_a_joint_that_is_nan_is_never_predicted_safe() -> None:
    """The learner does not get a robot back whose feet are not known."""
    world = World([stack("reachability", 5, RAW), stack("reachability", 5), stack("naive", 5, RAW)])
    q = A1.q_stand.copy()
    q[4] = np.nan
    world.show(ticks_of([estimate(q=q)] * 3))
    world.decide()
    assert world.decisions.recovers.numpy().tolist() == [1, 1, 0]
    assert (world.decisions.capture.numpy() == -np.inf).all()


@pytest.mark.parametrize("column", range(9))
def test_a_gait_that_cannot_be_executed_is_recovery(column: int) -> None:
    """NaN in any number of the learner's gait lets recovery drive, under `off` too."""
    world = World([stack("off", 0), stack("reachability", 5)])
    world.show(ticks_of([estimate()] * 2))
    world.decide()
    assert not world.decisions.recovers.numpy().any()
    driving = world.decisions.driving.numpy()
    np.testing.assert_array_equal(driving, world.learner.numpy())
    spoiled = world.learner.numpy()
    spoiled[:, column] = np.nan
    world.learner.assign(spoiled)
    world.decide()
    assert world.decisions.recovers.numpy().all()
    np.testing.assert_array_equal(world.decisions.driving.numpy(), world.recovery.numpy())
    assert world.decisions.uses.numpy().tolist() == [1, 1]


def test_impossible_frequencies_and_ratios_are_recovery() -> None:
    """They must be positive, the frequency finite and the ratio below 1."""
    cases = [(0.0, 0.5), (-1.0, 0.5), (np.inf, 0.5), (2.0, 0.0), (2.0, 1.0), (2.0, 0.99)]
    world = World([stack("off", 0)] * len(cases))
    world.show(ticks_of([estimate()] * len(cases)))
    gaits = world.learner.numpy()
    gaits[:, :2] = cases
    world.learner.assign(gaits)
    world.decide()
    assert world.decisions.recovers.numpy().tolist() == [1, 1, 1, 1, 1, 0]


def test_capture_points_are_equal() -> None:
    """Margins of robots that lean, move and bend their legs agree; some lie beyond the feet."""
    rng = np.random.default_rng(0)
    thrown = [
        estimate(
            position=np.array((0.0, 0.0, rng.uniform(0.15, 0.35))),
            quaternion_wxyz=np.array(quaternion_from_rpy(*(0.3 * rng.standard_normal(3)))),
            velocity=rng.standard_normal(3),
            q=A1.q_stand + 0.2 * rng.standard_normal(12),
        )
        for _ in range(50)
    ]
    thrown.append(estimate(position=np.array((0.0, 0.0, -0.1))))
    world = World([stack("naive", 0)] * len(thrown))
    world.show(ticks_of(thrown))
    world.decide()
    expected = np.array([CapturePoint(A1).margin(e) for e in thrown])
    np.testing.assert_allclose(world.decisions.capture.numpy(), expected, atol=SAME)
    assert (expected < 0.0).sum() > 5 and (expected > 0.0).sum() > 5 and expected[-1] == -np.inf


def test_a_capture_point_beyond_the_feet_triggers_where_it_counts() -> None:
    """A body that runs forward leaves its feet behind while all other components are safe."""
    speeds = np.linspace(0.5, 2.5, 81)
    running = [estimate(velocity=np.array((speed, 0.0, 0.0))) for speed in speeds]
    beyond = [CapturePoint(A1).margin(e) < 0.0 for e in running]
    counts = World([stack("naive", 0)] * len(running))
    paper = World([stack("naive", 0, RAW)] * len(running))
    for world in (counts, paper):
        world.show(ticks_of(running))
        world.decide()
    assert (counts.decisions.triggered.numpy() == 1).tolist() == beyond
    assert not paper.decisions.triggered.numpy().any()
    assert 0 < sum(beyond) < len(beyond)


def test_each_robot_has_a_capture_margin_of_its_own() -> None:
    """A margin takes the robot over at a lower speed, where the onboard margin falls below it."""
    speeds = np.linspace(0.0, 2.5, 101)
    running = [estimate(velocity=np.array((speed, 0.0, 0.0))) for speed in speeds]
    margins = np.array([CapturePoint(A1).margin(e) for e in running])
    least = (0.25, 0.5)
    stacks = [
        stack("naive", 0, {"supervisor.intervention.capture_margin": margin}) for margin in least
    ]
    world = World([stacks[k % 2] for k in range(len(running))])
    world.show(ticks_of(running))
    world.decide()
    expected = [bool(margin < least[k % 2]) for k, margin in enumerate(margins)]
    assert (world.decisions.triggered.numpy() == 1).tolist() == expected
    assert 0 < sum(expected[::2]) < sum(expected[1::2]) < len(expected[1::2])
    np.testing.assert_allclose(
        world.decisions.capture.numpy(), margins - np.resize(least, len(running)), atol=SAME
    )


@wp.kernel
def sample_rolls(
    histories: RollHistories, rates: Array1, windows: wp.array(dtype=wp.float64), means: Array1
):
    robot = wp.tid()
    add_roll_rate(histories, robot, rates[robot])
    means[robot] = mean_roll_rate(histories, robot, windows[robot])


@wp.kernel
def predict_rolls(
    histories: RollHistories, states: Array4, windows: wp.array(dtype=wp.float64), means: Array2
):
    robot, step = wp.tid()
    dt = wp.float64(0.016)
    means[robot, step] = predicted_mean(histories, robot, states, 0, step + 1, dt, windows[robot])


def test_mean_roll_rates_are_equal() -> None:
    """Means, measured and predicted, agree over 300 samples; windows end on samples and between.

    A rate that is NaN makes both histories begin anew.
    """
    rng = np.random.default_rng(1)
    lengths = [0.2, 0.4, 1.0, 1.0 / 3.0, 0.137, 0.016]
    robots = len(lengths)
    windows = wp.array(np.array(lengths), dtype=wp.float64)
    histories = roll_histories(robots, PERIOD_NS, "cpu")
    onboard = [RollHistory() for _ in lengths]
    means = wp.zeros(robots, dtype=float)
    predicted = wp.zeros((robots, 20), dtype=float)
    for tick in range(300):
        rates = rng.standard_normal(robots).astype(np.float32)
        if tick == 150:
            rates[:3] = np.nan
        rolls = np.zeros((robots, 1, 21, 12), dtype=np.float32)
        rolls[:, 0, 1:, 0] = 0.05 * rng.standard_normal((robots, 20)).cumsum(axis=1)
        wp.launch(sample_rolls, dim=robots, inputs=[histories, floats(rates), windows, means])
        inputs = [histories, wp.array(rolls, dtype=float), windows, predicted]
        wp.launch(predict_rolls, dim=(robots, 20), inputs=inputs)
        for k, history in enumerate(onboard):
            history.add((tick + 1) * PERIOD_NS, float(rates[k]))
            if np.isfinite(rates[k]):
                expected = history.predicted_means(
                    rolls[k, 0, 1:, 0].astype(np.float64), 0.016, lengths[k]
                )
                np.testing.assert_allclose(means.numpy()[k], history.mean(lengths[k]), atol=SAME)
                np.testing.assert_allclose(predicted.numpy()[k], expected, atol=SAME, rtol=SAME)


def floats(values: Array) -> wp.array:
    """An array of float32 on Warp's CPU device."""
    return wp.array(values.astype(np.float32), dtype=float)


def integers(flags: Array) -> wp.array:
    """Flags as integers on Warp's CPU device."""
    return wp.array(flags.astype(np.int32), dtype=int)


@wp.kernel
def switch(
    rules: SwitchingRules, triggered: Integers1, alone: Integers1, safe: Integers2, out: Integers1
):
    robot = wp.tid()
    acts = recovers(rules, robot, triggered[robot] == 1, alone[robot] == 1, safe)
    out[robot] = wp.where(acts, 1, 0)


class Foreseen:
    """An outlook whose predictions are given."""

    def __init__(self, safe: Array) -> None:
        self._safe = safe

    def learner_stays_safe(self) -> bool:
        """The first flag."""
        return bool(self._safe[0])

    def least_recovery_steps(self) -> int | None:
        """The first other flag that is set."""
        steps = np.flatnonzero(self._safe[1:])
        return int(steps[0]) + 1 if len(steps) else None


@pytest.mark.parametrize("horizon", [0, 10])
def test_rules_decide_alike(horizon: int) -> None:
    """Over 2000 decisions with triggers and predictions drawn at random, all criteria agree."""
    rng = np.random.default_rng(2)
    changed = {"supervisor.intervention.dwell_time": 0.1}
    parameters = [stack(c, horizon, changed).supervisor.intervention for c in CRITERIA]
    onboard = [SwitchingRule(chosen) for chosen in parameters]
    rules = switching_rules(parameters, PERIOD_NS, "cpu")
    robots = len(CRITERIA)
    out = wp.zeros(robots, dtype=int)
    handed = np.zeros(robots)
    for tick in range(2000):
        triggered = rng.uniform(size=robots) < 0.05
        alone = rng.uniform(size=robots) < 0.01
        safe = rng.uniform(size=(robots, 10)) < 0.1
        flags = [
            wp.array(values.astype(np.int32), dtype=int) for values in (triggered, alone, safe)
        ]
        wp.launch(switch, dim=robots, inputs=[rules, *flags, out])
        for k, rule in enumerate(onboard):
            stamp_ns = tick * PERIOD_NS
            outlook = Foreseen(safe[k])
            expected = (
                rule.alone() if alone[k] else rule.recovers(stamp_ns, bool(triggered[k]), outlook)
            )
            assert bool(out.numpy()[k]) is expected, (CRITERIA[k], tick)
            handed[k] += not expected
    assert (handed > 100).all()


def test_a_restart_begins_a_walk_of_that_robot_alone() -> None:
    """After it, recovery has acted last and no trigger is remembered; the other one dwells on."""
    world = World([stack("dwell", 0, RAW)] * 2)
    fallen = with_component("height", 0.1)
    world.show(ticks_of([fallen] * 2))
    world.decide()
    world.show(ticks_of([estimate()] * 2))
    world.decide()
    assert world.decisions.recovers.numpy().tolist() == [1, 1]
    world.restart([True, False])
    world.decide()
    assert world.decisions.recovers.numpy().tolist() == [0, 1]
    assert world.decisions.recovery_steps.numpy().tolist() == [2, 3]


def test_a_restart_forgets_the_solutions_of_the_last_walk() -> None:
    """What is predicted on the first tick of a walk does not depend on the walk before."""
    used = World([stack("reachability", 5)])
    fresh = World([stack("reachability", 5)])
    used.show(ticks_of([estimate(velocity=np.array((0.0, 1.0, 0.0)))]))
    used.decide()
    used.restart([True])
    states = []
    for world in (used, fresh):
        world.show(ticks_of([estimate(velocity=np.array((0.2, -0.6, 0.1)))]))
        world.decide()
        rollout = world.interventions[5].rollout
        assert rollout is not None
        states.append(rollout.states.numpy())
    np.testing.assert_array_equal(*states)


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ([], "at least one robot"),
        ([stack("naive", 5), stack("naive", 10)], r"make one batch for each \(found \[5, 10\]\)"),
        ([stack("naive", 5, {"supervisor.intervention.uncertainty": 1.0})], "uncertainty to 0"),
        ([stack("naive", 5, {"supervisor.intervention.rollout": "closed_loop"})], "open_loop"),
    ],
)
def test_what_no_batch_can_do_is_refused(configs: list[StackConfig], message: str) -> None:
    """The message says what to do."""
    supervisors = [config.supervisor for config in configs]
    robots = range(len(configs))
    with pytest.raises(ConfigurationError, match=message):
        BatchedIntervention(
            A1, stack("naive", 5), robots, supervisors, decisions(len(configs) + 1, "cpu")
        )
