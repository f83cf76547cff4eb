"""Leg controller: torque limits, hand-overs without a step, ramps, and refusals in between."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from core_values import (
    A1,
    GAINS,
    LIMITS,
    START_NS,
    TICK_NS,
    low_state,
    replaced,
    stance_plan,
    verdict,
)

from safe_locomotion.commands import commanded_torque
from safe_locomotion.control.leg_control import LegController
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.safety.command_stage import CommandStage
from safe_locomotion.types import Array, JointTargets, LowState, Mode, StancePlan, Verdict

RNG = np.random.default_rng(7)


def swing_plan(*legs: int, **changes: Any) -> StancePlan:
    """These legs swing with their feet 2 cm above where they stand."""
    stance = np.ones(4, dtype=np.bool_)
    stance[list(legs)] = False
    feet = Kinematics(A1).feet(A1.q_stand) + np.array((0.0, 0.0, 0.02))
    force = np.where(stance[:, None], (0.0, 0.0, 60.0), 0.0)
    return stance_plan(**({"stance": stance, "foot_position": feet, "force": force} | changes))


@pytest.mark.parametrize("legs", [(0,), (1, 2), (0, 3), (0, 1, 2, 3)])
def test_swing_legs_follow_their_foot_and_stance_legs_have_no_stiffness(
    legs: tuple[int, ...],
) -> None:
    """Each leg has its gains and targets; a swing target is moved on by the age of the plan."""
    velocity = np.tile((0.5, 0.0, 0.2), (4, 1))
    plan = swing_plan(*legs, stamp_ns=START_NS - 4_000_000, foot_velocity=velocity)
    command = LegController(A1, GAINS).update(low_state(), verdict(), plan)
    reached = Kinematics(A1).feet(command.q)
    for leg in range(4):
        joints = slice(3 * leg, 3 * leg + 3)
        swings = leg in legs
        np.testing.assert_array_equal(command.kp[joints], GAINS.swing_kp if swings else 0.0)
        np.testing.assert_array_equal(
            command.kd[joints], GAINS.swing_kd if swings else GAINS.stance_kd
        )
        if swings:
            np.testing.assert_allclose(
                reached[leg], plan.foot_position[leg] + 0.004 * velocity[leg], atol=1e-9
            )
        else:
            np.testing.assert_array_equal(command.q[joints], A1.q_stand[joints])


def test_swing_targets_keep_their_distance_from_the_joint_ends() -> None:
    """An unreachable foot gives a target inside the range by the margin, and no speed."""
    plan = swing_plan(
        0,
        1,
        2,
        3,
        foot_position=np.tile((0.0, 0.0, -9.0), (4, 1)),
        foot_velocity=np.full((4, 3), 1.0),
    )
    command = LegController(A1, GAINS).update(low_state(), verdict(), plan)
    assert (command.q >= A1.q_min + GAINS.swing_margin - 1e-12).all()
    assert (command.q <= A1.q_max - GAINS.swing_margin + 1e-12).all()
    at_end = (command.q == A1.q_min + GAINS.swing_margin) | (
        command.q == A1.q_max - GAINS.swing_margin
    )
    assert at_end.any() and not command.dq[at_end].any()


WILD = [
    (verdict(), stance_plan(force=np.full((4, 3), 1e4))),
    (
        verdict(),
        swing_plan(
            0, 1, 2, 3, foot_position=np.full((4, 3), 0.4), foot_velocity=np.full((4, 3), 50.0)
        ),
    ),
    (verdict(mode=Mode.STAND), stance_plan(force=np.full((4, 3), -1e4))),
    (verdict(mode=Mode.STAND_UP), None),
    (verdict(mode=Mode.SIT), None),
    (verdict(joints=JointTargets(q=A1.q_max, kp=np.full(12, 100.0), kd=np.full(12, 5.0))), None),
]


@pytest.mark.parametrize(("decided", "plan"), WILD)
def test_the_motors_are_never_asked_for_more_than_their_peak(
    decided: Verdict, plan: StancePlan | None
) -> None:
    """Torque stays within the peak for any plan, pose and joint speed.

    |tau + kp dq + kd ddq| <= tau_max on this state.
    """
    for _ in range(15):
        state = low_state(q=RNG.uniform(A1.q_min, A1.q_max), dq=RNG.uniform(-25.0, 25.0, 12))
        command = LegController(A1, GAINS).update(state, decided, plan)
        assert (np.abs(commanded_torque(state, command)) <= A1.tau_max + 1e-9).all()


def ticks(start: int, count: int) -> Iterator[int]:
    return (START_NS + k * TICK_NS for k in range(start, start + count))


DRIVERS = {
    "stand_up": ({"mode": Mode.STAND_UP}, {}),
    "stand": ({"mode": Mode.STAND}, {}),
    "walk": ({"mode": Mode.WALK}, {"swing": (0, 3)}),
    "learner": ({"mode": Mode.WALK, "active": "learner"}, {"swing": (1, 2)}),
    "joints": (
        {
            "mode": Mode.WALK,
            "active": "learner",
            "joints": JointTargets(q=A1.q_stand + 0.1, kp=np.full(12, 20.0), kd=np.full(12, 0.5)),
        },
        {},
    ),
    "sit": ({"mode": Mode.SIT}, {}),
}


def driven(name: str, stamp_ns: int) -> tuple[Verdict, StancePlan]:
    changes, legs = DRIVERS[name]
    plan = (
        swing_plan(*legs["swing"], stamp_ns=stamp_ns)
        if "swing" in legs
        else stance_plan(stamp_ns=stamp_ns)
    )
    return verdict(stamp_ns=stamp_ns, **changes), plan


def torques(controller: LegController, name: str, stamps: Iterator[int], **state: Any) -> Array:
    rows = []
    for stamp in stamps:
        reading: LowState = low_state(stamp_ns=stamp, **state)
        rows.append(commanded_torque(reading, controller.update(reading, *driven(name, stamp))))
    return np.array(rows)


BY_THE_MPC = {"walk", "learner"}  # recovery policy and gait policy: the MPC drives under both


@pytest.mark.parametrize(
    ("before", "after"), [pair for pair in permutations(DRIVERS, 2) if set(pair) != BY_THE_MPC]
)
@pytest.mark.parametrize("ramped", [60])
def test_a_hand_over_has_no_step_of_torque(before: str, after: str, ramped: int) -> None:
    """The first torque of the new driver is the last of the old one.

    From there it fades in over crossfade_time.
    """
    q = A1.q_stand + 0.05 * np.sin(np.arange(12.0))
    controller = LegController(A1, GAINS)
    old = torques(controller, before, ticks(0, ramped), q=q)
    new = torques(controller, after, ticks(ramped, 110), q=q)
    fade_ticks = GAINS.crossfade_time * 1e9 / TICK_NS
    offset = np.abs(old[-1] - new[-1]).max()
    np.testing.assert_allclose(
        new[0], old[-1], atol=0.2
    )  # the old driver's ramp goes on by one tick
    ramp_rate = (
        1.5 * 80.0 * 2.5 / 1.5 * TICK_NS * 1e-9
    )  # kp times the fastest ramp of the poses [Nm per tick]
    assert np.abs(np.diff(new, axis=0)).max() <= 2.0 * offset / fade_ticks + ramp_rate
    alone = torques(LegController(A1, GAINS), after, ticks(ramped, 110), q=q)
    np.testing.assert_allclose(new[101:], alone[101:], atol=1e-9)


@pytest.mark.parametrize(("before", "after"), [("walk", "learner"), ("learner", "walk")])
def test_between_gait_policy_and_recovery_nothing_fades(before: str, after: str) -> None:
    """The plan is followed at once.

    Torque that lingers over feet which change their role would push the robot over.
    """
    controller = LegController(A1, GAINS)
    torques(controller, before, ticks(0, 60))
    alone = torques(LegController(A1, GAINS), after, ticks(60, 5))
    np.testing.assert_allclose(torques(controller, after, ticks(60, 5)), alone, atol=1e-9)


def test_a_hand_over_back_in_the_middle_of_a_fade_has_no_step_either() -> None:
    """The torque has no step when learner and recovery alternate faster than the cross-fade."""
    controller = LegController(A1, GAINS)
    last = None
    k = 0
    for turn in range(40):
        rows = torques(controller, "joints" if turn % 2 else "walk", ticks(k, 7))
        if last is not None:
            np.testing.assert_allclose(rows[0], last, atol=1e-9)
        last = rows[-1]
        k = k + 7


def test_a_stamp_that_jumps_back_does_not_amplify_the_fade() -> None:
    """The torque left from the last driver is at most what it was."""
    controller = LegController(A1, GAINS)
    torques(controller, "walk", ticks(1000, 5))
    first = torques(controller, "joints", ticks(1005, 1))[0]
    back = torques(controller, "joints", ticks(0, 1))[0]
    np.testing.assert_allclose(back, first, atol=1e-9)


@pytest.mark.parametrize("mode", [Mode.PASSIVE, Mode.FALLEN, Mode.FAULT])
def test_damped_modes_and_missing_inputs_damp(mode: Mode) -> None:
    """Without a verdict, in a damped mode or without a plan, stiffness and torque are zero."""
    controller = LegController(A1, GAINS)
    for decided, plan in (
        (verdict(mode=mode), stance_plan()),
        (None, stance_plan()),
        (verdict(), None),
        (verdict(mode=Mode.STAND), None),
    ):
        command = controller.update(low_state(), decided, plan)
        assert not (command.kp.any() or command.tau.any() or command.dq.any())
        np.testing.assert_array_equal(command.kd, GAINS.damping)


def test_standing_up_goes_from_where_the_joints_are_to_the_standing_pose() -> None:
    """From the sitting pose the joints follow smoothly in stand_time.

    From anywhere else the legs fold first, in fold_time.
    """
    sideways = replaced(A1.q_sit, 0, 0.7)
    for entry, duration in (
        (A1.q_sit, GAINS.stand_time),
        (sideways, GAINS.fold_time + GAINS.stand_time),
    ):
        controller = LegController(A1, GAINS)
        targets = [entry]
        for stamp in ticks(0, round(duration * 500) + 1):
            targets.append(
                controller.update(
                    low_state(stamp_ns=stamp, q=targets[-1]), verdict(mode=Mode.STAND_UP), None
                ).q
            )
        del targets[0]
        np.testing.assert_allclose(targets[0], entry, atol=1e-12)
        np.testing.assert_allclose(targets[-1], A1.q_stand, atol=1e-12)
        assert np.abs(targets[-2] - A1.q_stand).max() > 0.0
        assert np.abs(np.diff(targets, axis=0)).max() < 0.02
        if duration > GAINS.stand_time:
            np.testing.assert_allclose(targets[round(GAINS.fold_time * 500)], A1.q_sit, atol=1e-12)


def test_sitting_down_goes_to_the_sitting_pose() -> None:
    """Sitting down starts where the joints are and takes sit_time."""
    controller = LegController(A1, GAINS)
    count = round(GAINS.sit_time * 500)
    targets = [
        controller.update(low_state(stamp_ns=stamp), verdict(mode=Mode.SIT), None).q
        for stamp in ticks(0, count + 1)
    ]
    np.testing.assert_allclose(targets[0], A1.q_stand, atol=1e-12)
    np.testing.assert_allclose(targets[-1], A1.q_sit, atol=1e-12)


def test_joint_targets_stay_inside_the_joint_ranges() -> None:
    """A learner cannot ask for a position outside; its gains are its own."""
    targets = JointTargets(q=np.full(12, 9.0), kp=np.full(12, 20.0), kd=np.full(12, 0.5))
    command = LegController(A1, GAINS).update(low_state(), verdict(joints=targets), None)
    np.testing.assert_array_equal(command.q, A1.q_max)
    np.testing.assert_array_equal(command.kp, 20.0)


def stage() -> CommandStage:
    return CommandStage(A1, GAINS, LIMITS)


NOT_FINITE = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize(
    "field", ["quaternion_wxyz", "gyro", "accelerometer", "q", "dq", "tau", "foot_force"]
)
def test_a_state_that_is_not_finite_gives_finite_damping(
    field: str, value: float, mode: Mode
) -> None:
    """The stage damps for each component in each mode, and drives the next good state again."""
    commands = stage()
    array = getattr(low_state(), field)
    for index in range(len(array)):
        command = commands.update(
            low_state(**{field: replaced(array, index, value)}), verdict(mode=mode), stance_plan()
        )
        assert command.reason.endswith("_not_finite")
        assert not (command.kp.any() or command.tau.any() or command.dq.any())
        np.testing.assert_array_equal(command.kd, LIMITS.damping)
        assert np.isfinite(command.q).all()
    assert commands.update(low_state(), verdict(mode=mode), stance_plan()).reason == ""


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("field", ["force", "foot_position", "foot_velocity"])
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow")
def test_a_plan_that_is_not_finite_is_stopped(field: str, value: float) -> None:
    """The command is damping, or finite and within limits; afterwards good plans pass at once."""
    for leg in range(4):
        for axis in range(3):
            commands = stage()
            plan = swing_plan(1, 2)
            array = np.array(getattr(plan, field), dtype=np.float64)
            array[leg, axis] = value
            command = commands.update(low_state(), verdict(), replace(plan, **{field: array}))
            for name in ("q", "dq", "tau", "kp", "kd"):
                assert np.isfinite(getattr(command, name)).all()
            state = low_state()
            assert (np.abs(commanded_torque(state, command)) <= A1.tau_max + 1e-9).all()
            decided, good = driven("joints", START_NS)
            assert commands.update(state, decided, good).reason == ""


@pytest.mark.parametrize("mode", [Mode.STAND_UP, Mode.SIT])
def test_a_refusal_in_the_middle_of_a_ramp_starts_the_ramp_over(mode: Mode) -> None:
    """The legs sag while the gate damps, and the ramp goes on from where they are.

    It does not go on from where it would have been.
    """
    commands = stage()
    decided = verdict(mode=mode, stamp_ns=START_NS)
    for stamp in ticks(0, 400):
        decided = verdict(mode=mode, stamp_ns=stamp)
        commands.update(low_state(stamp_ns=stamp, q=A1.q_sit), decided, stance_plan(stamp_ns=stamp))
    stamp = START_NS + 400 * TICK_NS
    hot = low_state(stamp_ns=stamp, q=A1.q_sit, temperature=np.full(12, 120.0))
    assert (
        commands.update(hot, verdict(mode=mode, stamp_ns=stamp), stance_plan(stamp_ns=stamp)).reason
        == "temperature"
    )
    sagged = A1.q_sit + 0.05
    stamp += TICK_NS
    state = low_state(stamp_ns=stamp, q=sagged)
    command = commands.update(
        state, verdict(mode=mode, stamp_ns=stamp), stance_plan(stamp_ns=stamp)
    )
    assert command.reason == ""
    np.testing.assert_allclose(command.q, sagged, atol=1e-12)
    np.testing.assert_allclose(commanded_torque(state, command), 0.0, atol=1e-9)


@pytest.mark.parametrize("joint", range(12))
def test_a_leg_that_is_held_back_stores_no_more_than_the_gate_allows(joint: int) -> None:
    """The command passes the gate at peak torque, however far its target is.

    The target comes nearer, and the feed-forward stays small.
    """
    far = low_state(
        q=replaced(A1.q_sit, joint, A1.q_min[joint] if A1.q_sit[joint] > 0.0 else A1.q_max[joint])
    )
    controller = LegController(A1, replace(GAINS, ramp_kp=110.0))
    gate = CommandStage(A1, GAINS, LIMITS).gate
    for k in range(0, 1000, 10):
        stamp_ns = START_NS + k * TICK_NS
        state = replace(far, stamp_ns=stamp_ns)
        decided = verdict(mode=Mode.SIT, stamp_ns=stamp_ns)
        command = controller.update(state, decided, None)
        assert gate.refusal(state, decided, None, command) == ""
        assert (np.abs(commanded_torque(state, command)) <= A1.tau_max + 1e-9).all()


def test_a_learner_that_comes_and_goes_does_not_start_the_ramps_over() -> None:
    """Standing up goes on: only in WALK does it matter who drives."""
    steady = LegController(A1, GAINS)
    flapping = LegController(A1, GAINS)
    for k in range(300):
        state = low_state(stamp_ns=START_NS + k * TICK_NS, q=A1.q_sit)
        expected = steady.update(state, verdict(mode=Mode.STAND_UP), None)
        active = "learner" if k // 20 % 2 else "recovery"
        command = flapping.update(state, verdict(mode=Mode.STAND_UP, active=active), None)
        np.testing.assert_array_equal(command.q, expected.q)
