"""Batched interventions judge recorded walks like the onboard intervention."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

pytest.importorskip("warp")

from core_values import A1
from judged_walks import RAW, Onboard, Tick, World, converged, stack, wild_ticks

from safe_locomotion.config import StackConfig
from safe_locomotion.robot.centroidal import driven
from safe_locomotion.safety.capture_point import CapturePoint
from safe_locomotion.safety.switching_rule import STEP
from safe_locomotion.types import Array

SAME = 1e-5  # [m, rad, m/s, rad/s]; single precision
#: Criteria that do not predict, with our measures and with the paper's.
MEASURING = [
    stack(criterion, horizon, measures)
    for measures in ({}, RAW)
    for criterion, horizon in (("off", 10), ("naive", 10), ("dwell", 10), ("reachability", 0))
]
PREDICTING = [
    stack("reachability", 5, RAW),
    stack("reachability", 10),
    stack("reachability", 10, RAW),
    stack("reachability", 15),
    stack("reachability", 20, RAW),
    stack("planning", 10),
    stack("planning", 10, RAW),
]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What both said on every tick of all walks.

    Attributes:
        expected, recovers: (T, B) verdicts onboard and batched.
        measured, values: (T, B, 5) components of the trigger set, onboard and batched.
        capture: (T, B) batched margins of the capture point.
        uses, recovery_steps: (B,) batched counts.
        problems: (K,) largest difference of a number of an MPC problem.
        states: (K, 12) largest difference of each number of the predicted states.
    """

    expected: Array
    recovers: Array
    measured: Array
    values: Array
    capture: Array
    uses: Array
    recovery_steps: Array
    problems: Array
    states: Array


def judge(
    configs: Sequence[StackConfig], onboard: Sequence[Onboard], compared: Sequence[int] = ()
) -> Judged:
    """Play all walks to a world with one robot per configuration, and to its onboard twins.

    The rollouts of `compared` are held against each other on every fourth tick. Each must be the
    first robot of its horizon.
    """
    world = World(configs)
    rows: list[tuple[Array, ...]] = []
    problems: list[float] = []
    states: list[Array] = []
    for number, tick in enumerate(wild_ticks()):
        world.play(tick)
        verdicts = np.array([twin.play(tick) for twin in onboard])
        measured = np.array([twin.intervention.measured for twin in onboard])
        out = world.decisions
        batched = (out.recovers.numpy() == 1, out.values.numpy(), out.capture.numpy())
        rows.append((verdicts, measured, *(values.copy() for values in batched)))
        for k in compared if number % 4 == 0 else ():
            problem, state = rollout_differences(world, configs[k], onboard[k], tick)
            problems.append(problem)
            states.append(state)
    expected, measured, recovers, values, capture = map(np.array, zip(*rows, strict=True))
    return Judged(
        expected=expected,
        recovers=recovers,
        measured=measured,
        values=values,
        capture=capture,
        uses=world.decisions.uses.numpy(),
        recovery_steps=world.decisions.recovery_steps.numpy(),
        problems=np.array(problems),
        states=np.array(states),
    )


def rollout_differences(
    world: World, config: StackConfig, onboard: Onboard, tick: Tick
) -> tuple[float, Array]:
    """Largest differences of the MPC's problem, and of the predicted states (12,)."""
    rollout = world.interventions[config.supervisor.intervention.horizon].rollout
    assert rollout is not None
    scene, inputs = onboard.inputs(tick)
    problem = max(
        float(np.abs(getattr(rollout.solver.inputs, name).numpy()[0] - expected).max())
        for name, expected in inputs.problem._asdict().items()
    )
    states = driven(scene.x0, inputs.accelerations, STEP)
    return problem, np.abs(rollout.states.numpy()[0, 0] - states).max(axis=0)


@cache
def without_predictions() -> Judged:
    """Criteria that only measure, against the onboard intervention as it ships."""
    return judge(MEASURING, [Onboard(config) for config in MEASURING])


@cache
def with_predictions() -> Judged:
    """Criteria that look ahead, against an onboard rollout whose solver converges."""
    return judge(PREDICTING, [Onboard(converged(config)) for config in PREDICTING], (1, 4))


def changes(recovers: Array) -> Array:
    """How often the driver changes (B,)."""
    return np.asarray(np.diff(recovers.astype(int), axis=0) != 0).sum(axis=0)


def test_verdicts_of_measuring_criteria_are_equal() -> None:
    """`off`, `naive`, `dwell` and w = 0 decide alike on every tick, with our and raw measures."""
    judged = without_predictions()
    np.testing.assert_array_equal(judged.recovers, judged.expected)
    off = np.array([c.supervisor.intervention.criterion == "off" for c in MEASURING])
    assert not judged.recovers[:, off].any() and (changes(judged.recovers)[~off] > 1).all()


def test_components_are_equal() -> None:
    """All components of the trigger set agree to 1e-5, the mean roll rate among them."""
    judged = without_predictions()
    np.testing.assert_allclose(judged.values, judged.measured, atol=SAME)
    raw = judged.measured[:, 4:, 4]
    assert (np.abs(raw - judged.measured[:, :4, 4]).max(axis=0) > 0.1).all()


def test_capture_margins_are_equal() -> None:
    """The capture point's margin agrees to 1e-5."""
    onboard = CapturePoint(A1)
    expected = np.array([onboard.margin(tick.estimate) for tick in wild_ticks()])
    np.testing.assert_allclose(without_predictions().capture[:, 0], expected, atol=SAME)
    assert expected.min() < 0.6


def test_verdicts_of_predicting_criteria_are_equal() -> None:
    """Reachability for w = 5 to 20, and planning, decide alike on every tick.

    The onboard rollout has a solver that converges here. So nothing but that solver's rough answers
    makes the verdicts differ that the next test counts.
    """
    judged = with_predictions()
    np.testing.assert_array_equal(judged.recovers, judged.expected)
    assert (changes(judged.recovers) > 10).all()
    np.testing.assert_allclose(judged.values, judged.measured, atol=SAME)


def test_few_verdicts_differ_from_those_of_the_rough_solver() -> None:
    """The onboard solver as it ships gives another verdict on few ticks.

    With our measures that is at most 1 % of the ticks, with the paper's at most 8 %. A verdict that
    differs lets another gait drive, so the ticks after it may differ too.
    """
    shipped = [Onboard(config) for config in PREDICTING]
    verdicts = np.array([[twin.play(tick) for twin in shipped] for tick in wild_ticks()])
    share = (verdicts != with_predictions().recovers).mean(axis=0)
    raw = np.array([c.supervisor.trigger_set.roll_rate == "raw" for c in PREDICTING])
    assert (share[~raw] <= 0.01).all() and (share[raw] <= 0.08).all()


def test_counts_are_those_of_the_onboard_statistics() -> None:
    """Uses and steps of recovery add up over the walks."""
    judged = without_predictions()
    np.testing.assert_array_equal(judged.recovery_steps, judged.expected.sum(axis=0))
    first = np.array([tick.first for tick in wild_ticks()])
    before = np.vstack([np.ones_like(judged.expected[:1]), judged.expected[:-1]])
    before[first] = True
    np.testing.assert_array_equal(judged.uses, (judged.expected & ~before).sum(axis=0))


def test_problems_are_equal() -> None:
    """All numbers of the rollout's MPC problems agree to 1e-5, for w = 10 and w = 20."""
    assert with_predictions().problems.max() <= SAME


def test_predicted_states_are_equal() -> None:
    """Angles, places, rates and velocities agree within what the batched solver leaves open.

    That is on 99 % of the ticks, and on all of them.
    """
    wrong = with_predictions().states.reshape(-1, 4, 3).max(axis=2)
    assert (np.quantile(wrong, 0.99, axis=0) <= [1e-3, 1e-3, 1e-2, 1e-2]).all()
    assert (wrong.max(axis=0) <= [1e-2, 1e-2, 1e-1, 1e-1]).all()
