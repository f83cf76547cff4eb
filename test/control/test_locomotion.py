"""Locomotion controller: limits and slacks of the reference, and the plan in each mode."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from core_values import A1, START_NS, TROT, estimate, verdict

from safe_locomotion.config import load_config
from safe_locomotion.control.gait import GaitClock
from safe_locomotion.control.locomotion import LocomotionController
from safe_locomotion.control.reference import Reference
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.types import JointTargets, Mode, StancePlan, VelocityCommand

CONFIG = load_config("a1").mpc
P = CONFIG.locomotion
TICK = CONFIG.period_ns * 1e-9


def controller() -> LocomotionController:
    return LocomotionController(A1, P, CONFIG.swing, CONFIG.solver)


def plans(
    control: LocomotionController,
    mode: Mode,
    count: int,
    *,
    start: int = 0,
    command: Any = None,
    **state: Any,
) -> list[StancePlan]:
    """Plans for a robot that stays where the estimate says while time goes on.

    Its feet are loaded as the last plan has them.
    """
    answers: list[StancePlan] = []
    for k in range(start, start + count):
        stamp = START_NS + k * CONFIG.period_ns
        decided = verdict(stamp_ns=stamp, mode=mode, command=command or VelocityCommand())
        loaded = answers[-1].stance if answers else np.ones(4, dtype=np.bool_)
        answers.append(
            control.update(estimate(**({"stamp_ns": stamp, "contact": loaded} | state)), decided)
        )
    return answers


def test_reference_velocity_is_rate_limited_per_axis() -> None:
    """Each axis reaches its command at its own acceleration and not before, in both directions."""
    for sign in (1.0, -1.0):
        reference = Reference(P)
        command = VelocityCommand(vx=sign * 0.5, vy=-sign * 0.2, wz=sign * 2.0)
        for k in range(1, 400):
            reference.update(TICK, command, np.zeros(3), 0.0)
            expected = [
                math.copysign(min(abs(wanted), rate * TICK * k), wanted)
                for wanted, rate in (
                    (command.vx, P.acceleration),
                    (command.vy, P.acceleration),
                    (command.wz, P.yaw_acceleration),
                )
            ]
            np.testing.assert_allclose(reference.velocity, expected, atol=1e-9)


@pytest.mark.parametrize("yaw", [0.0, 1.0, 3.1, -3.1])
def test_reference_leads_a_body_that_is_held_by_its_slack_and_no_more(yaw: float) -> None:
    """Position in the heading frame and yaw run ahead by the slack, also across the turn of pi."""
    reference = Reference(P)
    body = np.array((3.0, -2.0, 0.27))
    reference.reset(body, yaw, 0.27)
    for _ in range(2000):
        reference.update(TICK, VelocityCommand(vx=0.5, vy=-0.3, wz=1.0), body, yaw)
        lead = math.remainder(reference.yaw - yaw, 2 * math.pi)
        assert -1e-9 <= lead <= P.yaw_slack + 1e-9
    c = math.cos(yaw)
    s = math.sin(yaw)
    ahead = np.array(((c, s), (-s, c))) @ (reference.position - body[:2])
    np.testing.assert_allclose(ahead, (P.position_slack, -P.position_slack), atol=1e-9)
    assert lead == pytest.approx(P.yaw_slack)


def test_reference_of_a_body_that_follows_is_the_integral_of_the_command() -> None:
    """A body that stays at its reference travels v t."""
    reference = Reference(P)
    body = np.zeros(3)
    for _ in range(1000):
        reference.update(TICK, VelocityCommand(vx=0.5), body, 0.0)
        body[:2] = reference.position
    ramp = 0.5 / P.acceleration
    assert body[0] == pytest.approx(0.5 * (1000 * TICK - ramp) + 0.5 * 0.5 * ramp, abs=2e-3)
    assert body[1] == 0.0


def test_reference_height_moves_at_its_rate() -> None:
    """The height rises from lying to the body height, no faster than its rate, and stays there."""
    reference = Reference(P)
    reference.reset(np.zeros(3), 0.0, 0.1)
    heights = []
    for _ in range(round((P.body_height - 0.1) / P.height_rate / TICK) + 10):
        reference.update(TICK, VelocityCommand(), np.zeros(3), 0.0)
        heights.append(reference.height)
    assert np.diff(heights).max() <= P.height_rate * TICK + 1e-12
    assert heights[-1] == P.body_height


def test_reset_starts_at_rest_and_keeps_no_reference_to_its_argument() -> None:
    """The reference does not change when the caller writes to its array."""
    reference = Reference(P)
    body = np.array((1.0, 2.0, 0.3))
    reference.reset(body, 0.5, 0.3)
    body[:] = 9.0
    np.testing.assert_array_equal(reference.position, (1.0, 2.0))
    assert (reference.yaw, reference.height) == (0.5, 0.3) and not any(reference.velocity)


def test_a_standing_robot_is_carried() -> None:
    """Forces of four stance feet add up to the weight, without net moment about the CoM.

    The feet stay where they are.
    """
    plan = plans(controller(), Mode.STAND, 50)[-1]
    feet = Kinematics(A1).feet(A1.q_stand)
    contact = feet - A1.com - (0.0, 0.0, A1.foot_radius)
    assert plan.stance.all() and plan.solved
    np.testing.assert_allclose(plan.force.sum(axis=0), (0.0, 0.0, A1.mass * 9.81), atol=2.0)
    np.testing.assert_allclose(np.cross(contact, plan.force).sum(axis=0), 0.0, atol=0.5)
    np.testing.assert_allclose(plan.foot_position, feet, atol=1e-12)
    np.testing.assert_allclose(plan.foot_velocity, 0.0, atol=1e-12)


@pytest.mark.parametrize("mode", [Mode.PASSIVE, Mode.SIT, Mode.FALLEN, Mode.FAULT])
def test_modes_that_do_not_stand_plan_no_force(mode: Mode) -> None:
    """The plan carries the stamp of its estimate, and no force."""
    plan = plans(controller(), mode, 3)[-1]
    assert plan.stamp_ns == START_NS + 2 * CONFIG.period_ns
    assert (
        plan.stance.all()
        and not plan.force.any()
        and not plan.foot_velocity.any()
        and not plan.solved
    )


def test_a_diverged_estimate_plans_no_force() -> None:
    """A diverged estimate gives a plan without force."""
    control = controller()
    plans(control, Mode.STAND, 5)
    assert not plans(control, Mode.STAND, 1, start=5, diverged=True)[-1].force.any()


def test_forces_stay_in_the_friction_cone_and_swing_feet_get_none() -> None:
    """Forces of a trot on the spot keep to pyramid and bounds of the solver, on every tick."""
    control = controller()
    solver = CONFIG.solver
    swung = np.zeros(4, dtype=np.bool_)
    for plan in plans(control, Mode.WALK, 150):
        swung |= ~plan.stance
        assert not plan.force[~plan.stance].any()
        fx, fy, fz = plan.force[plan.stance].T
        assert (fz >= solver.fz_min - 0.5).all() and (fz <= solver.fz_max + 0.5).all()
        assert (np.abs(fx) <= solver.mu * fz + 0.5).all() and (
            np.abs(fy) <= solver.mu * fz + 0.5
        ).all()
    assert swung.all()


def test_swing_targets_start_at_the_foot_and_never_jump() -> None:
    """In base, targets of feet in the air move by their own velocity from tick to tick."""
    control = controller()
    feet = Kinematics(A1).feet(A1.q_stand)
    previous = None
    for plan in plans(control, Mode.WALK, 150):
        if previous is not None:
            for leg in np.flatnonzero(~plan.stance):
                before = previous.foot_position[leg] if not previous.stance[leg] else feet[leg]
                step = plan.foot_position[leg] - before
                fastest = np.maximum(
                    np.abs(plan.foot_velocity[leg]), np.abs(previous.foot_velocity[leg])
                )
                assert (np.abs(step) <= 2.0 * TICK * fastest + 5e-3).all()
        previous = plan


def test_a_foot_that_lost_the_ground_swings_from_where_it_reached_to() -> None:
    """A swing starts where the foot has reached to.

    FR feels nothing and has stretched 4 cm further down when its swing begins.
    """
    control = controller()
    clock = GaitClock()
    kinematics = Kinematics(A1)
    reached = kinematics.feet(A1.q_stand)
    reached[0, 2] -= 0.04
    loaded = np.array((False, True, True, True))
    for k in range(100):
        stamp = START_NS + k * CONFIG.period_ns
        now = estimate(
            stamp_ns=stamp, q=kinematics.inverse(reached) if k > 20 else A1.q_stand, contact=loaded
        )
        plan = control.update(now, verdict(stamp_ns=stamp))
        phase = clock.update(stamp, TROT, step=True)
        if not phase.stance[0]:
            break
    assert not plan.stance[0] and phase.swing_progress[0] < 0.05
    np.testing.assert_allclose(plan.foot_position[0], reached[0], atol=5e-3)


@pytest.mark.parametrize("yaw", [0.0, 2.0])
def test_the_plan_does_not_depend_on_where_odom_is(yaw: float) -> None:
    """A turned and moved odom gives the same plan in base."""
    here = plans(controller(), Mode.WALK, 60)
    c = math.cos(yaw)
    s = math.sin(yaw)
    there = plans(
        controller(),
        Mode.WALK,
        60,
        position=np.array((5.0, -7.0, A1.nominal_height + 1.5)),
        quaternion_wxyz=quaternion_from_rpy(0.0, 0.0, yaw),
        ground_height=1.5,
        velocity=np.array((c * 0.0, s * 0.0, 0.0)),
    )
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(a.force, b.force, atol=1e-4)
        np.testing.assert_allclose(a.foot_position, b.foot_position, atol=1e-9)


def test_a_stamp_that_jumps_back_is_a_tick_without_duration() -> None:
    """Robot time that starts over gives the plan of a stamp that stands still.

    The reference does not jump.
    """
    jumping = controller()
    repeating = controller()
    for control in (jumping, repeating):
        plans(control, Mode.WALK, 100, start=100_000, command=VelocityCommand(vx=0.3))
    back = plans(jumping, Mode.WALK, 1, start=0, command=VelocityCommand(vx=0.3))[0]
    again = plans(repeating, Mode.WALK, 1, start=100_099, command=VelocityCommand(vx=0.3))[0]
    np.testing.assert_array_equal(back.stance, again.stance)
    np.testing.assert_allclose(back.force, again.force, atol=1e-9)
    np.testing.assert_allclose(back.foot_position, again.foot_position, atol=1e-12)


def test_gait_parameters_of_the_verdict_are_used() -> None:
    """Feet swing at the frequency that the verdict names."""
    control = controller()
    lifts = 0
    down = True
    for plan in plans(control, Mode.WALK, 500):
        lifts += bool(down and not plan.stance[0])
        down = bool(plan.stance[0])
    assert lifts == pytest.approx(500 * TICK * TROT.frequency, abs=1)


def shadowed(
    count: int, *, up: tuple[int, ...], **state: Any
) -> tuple[LocomotionController, list[StancePlan], Any]:
    """A controller beside a joint policy, its plans, and the estimate that it saw last.

    The feet `up` are in the air, 5 cm high.
    """
    control = controller()
    answers = []
    contact = np.array([leg not in up for leg in range(4)])
    joints = JointTargets(q=A1.q_stand, kp=np.full(12, 20.0), kd=np.full(12, 0.5))
    feet = Kinematics(A1).feet(A1.q_stand)
    feet[list(up), 2] += 0.05
    seen = {"contact": contact, "q": Kinematics(A1).inverse(feet)} | state
    for k in range(count):
        stamp = START_NS + k * CONFIG.period_ns
        answers.append(
            control.update(estimate(stamp_ns=stamp, **seen), verdict(stamp_ns=stamp, joints=joints))
        )
    return control, answers, seen


@pytest.mark.parametrize("up", [(), (0, 3), (1, 2), (2,), (0, 1, 2)])
def test_beside_a_joint_policy_the_plan_is_for_the_feet_that_carry(up: tuple[int, ...]) -> None:
    """The feet on the ground push with the weight between them, whatever the gait would have.

    This holds as long as there are two of them.
    """
    _, answers, _ = shadowed(30, up=up)
    assert answers[-1].stance.tolist() == [leg not in up for leg in range(4)]
    assert not answers[-1].force[list(up)].any()
    if len(up) < 3:
        assert answers[-1].force[:, 2].sum() == pytest.approx(A1.mass * 9.81, rel=0.3)


@pytest.mark.parametrize("up", [(), (0, 3), (1, 2), (2,)])
@pytest.mark.parametrize("ticks", [3, 15, 40])
def test_the_mpc_takes_over_from_a_joint_policy_with_the_feet_as_they_are(
    up: tuple[int, ...], ticks: int
) -> None:
    """On the first plan the feet that carry push on.

    The target of each foot in the air is where the foot is.
    """
    control, _, seen = shadowed(ticks, up=up)
    stamp = START_NS + ticks * CONFIG.period_ns
    plan = control.update(estimate(stamp_ns=stamp, **seen), verdict(stamp_ns=stamp))
    assert plan.stance.tolist() == [leg not in up for leg in range(4)]
    np.testing.assert_allclose(plan.foot_position, Kinematics(A1).feet(seen["q"]), atol=2e-3)


def test_a_foot_that_was_in_the_air_is_on_its_curve_by_touchdown() -> None:
    """It goes from 5 cm high to the ground at the end of its swing, without a jump."""
    control, _, seen = shadowed(12, up=(0, 3))
    heights = []
    for k in range(12, 60):
        stamp = START_NS + k * CONFIG.period_ns
        plan = control.update(estimate(stamp_ns=stamp, **seen), verdict(stamp_ns=stamp))
        if plan.stance[0]:
            break
        heights.append(float(plan.foot_position[0, 2]))
    ground = float(Kinematics(A1).feet(A1.q_stand)[0, 2])
    assert heights[0] == pytest.approx(ground + 0.05, abs=2e-3)
    assert heights[-1] == pytest.approx(ground - CONFIG.swing.depth, abs=6e-3)
    assert np.abs(np.diff(heights)).max() < 0.012


def test_reference_that_follows_is_at_the_body_and_within_the_slack_of_its_velocity() -> None:
    """In the heading frame a command within the slack is kept, and one beyond it is cut."""
    slack = 0.3
    reference = Reference(replace(P, velocity_slack=slack))
    yaw = 1.2
    c = math.cos(yaw)
    s = math.sin(yaw)
    for _ in range(1000):
        reference.update(TICK, VelocityCommand(vx=0.5, vy=0.1), (0.0, 0.0), yaw)
    reference.follow((1.0, 2.0, 0.3), yaw, 0.25, (-c * 0.1 - s * 0.0, -s * 0.1 + c * 0.0, 0.4))
    assert (reference.position, reference.yaw, reference.height) == ((1.0, 2.0), yaw, 0.25)
    np.testing.assert_allclose(reference.velocity[:2], (-0.1 + slack, 0.1), atol=1e-9)


def braking(slack: float, speed: float) -> float:
    """Force against the motion of a trotting body that was pushed to the right [N]."""
    locomotion = replace(P, velocity_slack=slack)
    control = LocomotionController(A1, locomotion, CONFIG.swing, CONFIG.solver)
    last = plans(control, Mode.WALK, 10, velocity=np.array((0.0, -speed, 0.0)))[-1]
    assert last.solved
    assert last.stance.sum() == 2
    return float(last.force[:, 1].sum())


def test_the_mpc_brakes_a_trotting_body_that_was_pushed() -> None:
    """With a narrow slack it does not, and pushes along with a fast one to keep it level."""
    assert braking(P.velocity_slack, 2.0) > 25.0
    assert braking(P.velocity_slack, 3.0) > 0.0
    assert braking(0.3, 2.0) < 5.0
    assert braking(0.3, 3.0) < 0.0
