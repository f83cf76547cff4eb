"""Bounds of a command: each limit is swept past both ends, each field takes NaN and infinity."""

from dataclasses import replace

import numpy as np
import pytest
from core_values import (
    A1,
    LIMITS,
    assert_damping,
    low_command,
    low_state,
    replaced,
    stance_plan,
    verdict,
)
from gate_values import DRIVEN, NOT_FINITE, around, gate, refusal

from safe_locomotion.safety.gate import CommandGate


@pytest.mark.parametrize("joint", range(12))
def test_command_bounds_of_each_joint(joint: int) -> None:
    """Position, speed and both gains pass at their bounds only.

    The resulting torque stays within its own bound.
    """
    soft = low_command(kp=np.zeros(12), kd=np.zeros(12))
    for field, bound, side, reason in (
        ("q", A1.q_min[joint] - LIMITS.position_margin, -1, "command_position"),
        ("q", A1.q_max[joint] + LIMITS.position_margin, 1, "command_position"),
        ("dq", -LIMITS.dq_max, -1, "command_velocity"),
        ("dq", LIMITS.dq_max, 1, "command_velocity"),
        ("kp", 0.0, -1, "command_kp"),
        ("kp", LIMITS.kp_max, 1, "command_kp"),
        ("kd", 0.0, -1, "command_kd"),
        ("kd", LIMITS.kd_max, 1, "command_kd"),
    ):
        for value, allowed in around(float(bound), side):
            command = replace(soft, **{field: replaced(getattr(soft, field), joint, value)})
            assert refusal(command=command) == ("" if allowed else reason)


@pytest.mark.parametrize("joint", range(12))
@pytest.mark.parametrize("sign", [1, -1])
def test_torque_bound_of_each_joint(joint: int, sign: int) -> None:
    """The sum of feed-forward, stiffness and damping torque is bounded by the peak torque."""
    bound = float(A1.tau_max[joint] * LIMITS.torque_margin)
    still = low_command(kp=np.zeros(12), kd=np.zeros(12))
    for value, allowed in around(sign * bound, sign):
        command = replace(still, tau=replaced(np.zeros(12), joint, value))
        beyond = "command_torque" if abs(value) < 1.1 * abs(bound) else "command_feedforward"
        assert refusal(command=command) == ("" if allowed else beyond)
    for share, allowed in ((0.999, True), (1.001, False)):
        push = sign * bound * share / 3.0
        command = replace(
            still,
            tau=replaced(np.zeros(12), joint, push),
            kp=replaced(np.zeros(12), joint, 100.0),
            kd=replaced(np.zeros(12), joint, 2.0),
            dq=replaced(np.zeros(12), joint, push / 2.0),
        )
        state = low_state(q=replaced(A1.q_stand, joint, A1.q_stand[joint] - push / 100.0))
        assert refusal(state, command) == ("" if allowed else "command_torque")


@pytest.mark.parametrize("joint", range(12))
@pytest.mark.parametrize("sign", [1, -1])
def test_feedforward_bound_of_each_joint(joint: int, sign: int) -> None:
    """Feed-forward is bounded by itself, even if stiffness cancels it at this moment."""
    bound = sign * float(A1.tau_max[joint] * LIMITS.feedforward_margin)
    kp = replaced(np.zeros(12), joint, 100.0)
    state = low_state(q=replaced(A1.q_stand, joint, A1.q_stand[joint] + bound / 100.0))
    wide = replace(A1, q_min=A1.q_min - 10.0, q_max=A1.q_max + 10.0)
    for value, allowed in around(bound, sign):
        command = low_command(tau=replaced(np.zeros(12), joint, value), kp=kp, kd=np.zeros(12))
        reason = CommandGate(wide, LIMITS).refusal(state, verdict(), stance_plan(), command)
        assert reason == ("" if allowed else "command_feedforward")


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("field", ["q", "dq", "tau", "kp", "kd"])
def test_a_command_that_is_not_finite_is_refused_in_every_field(field: str, value: float) -> None:
    """This holds in every joint and every mode that drives, also if the gain is zero."""
    for joint in range(12):
        for mode in DRIVEN:
            for gain in (0.0, 20.0):
                command = low_command(
                    kp=np.full(12, gain), kd=np.full(12, min(gain, LIMITS.kd_max))
                )
                command = replace(
                    command, **{field: replaced(getattr(command, field), joint, value)}
                )
                filtered = gate().filter(low_state(), verdict(mode=mode), stance_plan(), command)
                assert filtered.reason.startswith("command_")
                assert_damping(filtered, filtered.reason)
