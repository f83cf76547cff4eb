"""Batched legs move and push as the onboard leg controller commands."""

import numpy as np
import pytest
from core_values import A1, START_NS, low_state, verdict

pytest.importorskip("warp")

import warp as wp

from safe_locomotion.commands import commanded_torque as onboard_torque
from safe_locomotion.config import load_config
from safe_locomotion.control.leg_control import LegController
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.rotations import quaternion_from_rpy, rows_from_quaternion
from safe_locomotion.training.gait.world.legs import (
    Legs,
    commanded_torque,
    foot_at,
    leg_command,
    legs_of,
)
from safe_locomotion.types import N_LEGS, Array, LowState, StancePlan

GAINS = load_config("a1").bridge.gains
CASES = 150
AGE_NS = 2_000_000
TORQUE = 1e-4  # [Nm] of at most 33.5
PLACE = 1e-5  # [m, rad]
Vectors = wp.array(dtype=wp.vec3, ndim=2)


@wp.kernel
def drive(
    legs: Legs,
    q: Vectors,
    dq: Vectors,
    up: wp.array(dtype=wp.vec3),
    stance: wp.array(dtype=float, ndim=2),
    force: Vectors,
    foot: Vectors,
    velocity: Vectors,
    age: float,
    tau: Vectors,
    target: Vectors,
    place: Vectors,
):
    robot, leg = wp.tid()
    angles = q[robot, leg]
    command = leg_command(
        legs,
        leg,
        angles,
        up[robot],
        stance[robot, leg] > 0.5,
        force[robot, leg],
        foot[robot, leg],
        velocity[robot, leg],
        age,
    )
    tau[robot, leg] = commanded_torque(legs, leg, command, angles, dq[robot, leg])
    target[robot, leg] = command.q
    place[robot, leg] = foot_at(legs, leg, angles)


def cases() -> tuple[list[LowState], list[StancePlan]]:
    """Tilted robots with bent legs, and plans for them; some feet are out of reach."""
    rng = np.random.default_rng(0)
    states = []
    plans = []
    for _ in range(CASES):
        q = A1.q_stand + 0.4 * rng.standard_normal(12)
        stance = rng.uniform(size=N_LEGS) < 0.5
        force = rng.normal(size=(N_LEGS, 3)) * [15.0, 15.0, 20.0] + [0.0, 0.0, 60.0]
        feet = Kinematics(A1).feet(q) + 0.05 * rng.standard_normal((N_LEGS, 3))
        states.append(
            low_state(
                stamp_ns=START_NS + AGE_NS,
                quaternion_wxyz=np.array(quaternion_from_rpy(*(0.3 * rng.standard_normal(3)))),
                q=np.clip(q, A1.q_min, A1.q_max),
                dq=2.0 * rng.standard_normal(12),
            )
        )
        plans.append(
            StancePlan(
                stamp_ns=START_NS,
                stance=stance,
                force=np.where(stance[:, None], force, 0.0),
                foot_position=feet,
                foot_velocity=rng.standard_normal((N_LEGS, 3)),
            )
        )
    return states, plans


def vectors(values: list[Array]) -> wp.array:
    """Three numbers per leg and robot, on Warp's CPU device."""
    array = np.array(values, dtype=np.float32).reshape(CASES, N_LEGS, 3)
    return wp.array(array, dtype=wp.vec3)


def test_commanded_torques_agree() -> None:
    """Torques, joint targets and feet of robots that stand on some legs and swing others agree."""
    states, plans = cases()
    up = [rows_from_quaternion(state.quaternion_wxyz)[2] for state in states]
    out = [wp.zeros((CASES, N_LEGS), dtype=wp.vec3) for _ in range(3)]
    inputs = [
        legs_of(A1, GAINS, "cpu"),
        vectors([state.q for state in states]),
        vectors([state.dq for state in states]),
        wp.array(np.array(up, dtype=np.float32), dtype=wp.vec3),
        wp.array(np.array([plan.stance for plan in plans], dtype=np.float32), dtype=float),
        vectors([plan.force for plan in plans]),
        vectors([plan.foot_position for plan in plans]),
        vectors([plan.foot_velocity for plan in plans]),
        AGE_NS * 1e-9,
    ]
    wp.launch(drive, dim=(CASES, N_LEGS), inputs=[*inputs, *out])
    tau, target, place = (values.numpy().reshape(CASES, 12) for values in out)
    walking = verdict(stamp_ns=START_NS + AGE_NS)
    limited = 0
    for k, (state, plan) in enumerate(zip(states, plans, strict=True)):
        command = LegController(A1, GAINS).update(state, walking, plan)
        wanted = onboard_torque(state, command)
        limited += int((np.abs(wanted) > 0.999 * A1.tau_max).sum())
        np.testing.assert_allclose(tau[k], wanted, atol=TORQUE)
        np.testing.assert_allclose(place[k].reshape(4, 3), Kinematics(A1).feet(state.q), atol=PLACE)
        calm = np.abs(wanted) < 0.999 * A1.tau_max
        np.testing.assert_allclose(target[k][calm], command.q[calm], atol=10.0 * PLACE)
    assert limited > 0
