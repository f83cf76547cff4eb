"""Bounds of a LowState: each limit is swept past both ends, each field takes NaN and infinity."""

import math

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
from gate_values import NOT_FINITE, around, gate, refusal

from safe_locomotion.types import Mode


def test_limits_are_inclusive_and_nothing_beyond_passes() -> None:
    """Positions, speeds, temperatures of each joint and the battery pass at their bounds only."""
    for joint in range(12):
        for field, bound, side, reason in (
            ("q", A1.q_min[joint] - LIMITS.position_margin, -1, "joint_position"),
            ("q", A1.q_max[joint] + LIMITS.position_margin, 1, "joint_position"),
            ("dq", -LIMITS.dq_max, -1, "joint_velocity"),
            ("dq", LIMITS.dq_max, 1, "joint_velocity"),
            ("temperature", LIMITS.temperature_max, 1, "temperature"),
        ):
            for value, allowed in around(float(bound), side):
                state = low_state(**{field: replaced(getattr(low_state(), field), joint, value)})
                fault = gate().state_fault(state)
                not_finite = not math.isfinite(value) and field != "temperature"
                assert fault == ("" if allowed else "joints_not_finite" if not_finite else reason)
    for value, allowed in around(LIMITS.voltage_min, -1):
        assert gate().state_fault(low_state(voltage=value)) == ("" if allowed else "battery")


def test_an_unreported_battery_voltage_is_no_fault() -> None:
    """Some links do not carry the voltage."""
    assert gate().state_fault(low_state(voltage=None)) == ""


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("quaternion_wxyz", "imu_not_finite"),
        ("gyro", "imu_not_finite"),
        ("accelerometer", "imu_not_finite"),
        ("q", "joints_not_finite"),
        ("dq", "joints_not_finite"),
        ("tau", "joints_not_finite"),
        ("foot_force", "feet_not_finite"),
        ("temperature", "temperature"),
    ],
)
def test_a_state_that_is_not_finite_is_refused_in_every_field(
    field: str, reason: str, value: float
) -> None:
    """One number is enough, in every mode, and the answer is a finite damping command."""
    array = getattr(low_state(), field)
    for index in range(len(array)):
        state = low_state(**{field: replaced(array, index, value)})
        if field == "temperature" and value == -math.inf:
            continue  # cold is no reason to stop
        for mode in Mode:
            assert_damping(
                gate().filter(state, verdict(mode=mode), stance_plan(), low_command()), reason
            )


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_voltage_that_is_not_finite_is_refused(value: float) -> None:
    """NaN and minus infinity fail the minimum."""
    assert refusal(low_state(voltage=value)) == "battery"


def test_the_voltage_is_bounded_below_only() -> None:
    """The voltage has no upper bound, and zero is a voltage like any other."""
    assert refusal(low_state(voltage=1e9)) == "" and refusal(low_state(voltage=0.0)) == "battery"


def test_opposite_infinities_do_not_cancel() -> None:
    """Two opposite infinities in one state are still found."""
    with np.errstate(invalid="ignore"):
        assert (
            refusal(low_state(q=replaced(replaced(A1.q_stand, 0, math.inf), 1, -math.inf)))
            == "joints_not_finite"
        )


@pytest.mark.parametrize(
    ("scale", "allowed"),
    [(1.0, True), (1.009, True), (0.991, True), (1.011, False), (0.989, False), (0.0, False)],
)
def test_the_imu_quaternion_must_be_a_unit(scale: float, allowed: bool) -> None:
    """An IMU that still boots sends zeros. An error of 1 % of the length is tolerated."""
    wxyz = scale * np.array((0.5, -0.5, 0.5, -0.5))
    assert refusal(low_state(quaternion_wxyz=wxyz)) == ("" if allowed else "imu_quaternion")


def test_the_gate_judges_each_state_by_itself() -> None:
    """Good and bad states in turn are told apart."""
    one = gate()
    good = low_state()
    bad = low_state(voltage=1.0)
    for state, fault in (
        (good, ""),
        (bad, "battery"),
        (bad, "battery"),
        (good, ""),
        (good, ""),
        (low_state(voltage=1.0), "battery"),
    ):
        assert one.state_fault(state) == fault


def test_numbers_that_are_not_finite_are_named_first() -> None:
    """Numbers out of bounds come after them, in the order of the state."""
    hot = np.full(12, LIMITS.temperature_max + 1.0)
    far = A1.q_max + 1.0
    fast = np.full(12, LIMITS.dq_max + 1.0)
    broken = replaced(np.full(4, 30.0), 2, math.nan)
    for changes, reason in (
        ({"temperature": hot, "dq": fast}, "joint_velocity"),
        ({"temperature": hot, "dq": fast, "q": far}, "joint_position"),
        ({"q": far, "foot_force": broken}, "feet_not_finite"),
        (
            {"q": far, "tau": replaced(np.zeros(12), 3, -math.inf), "foot_force": broken},
            "joints_not_finite",
        ),
    ):
        assert gate().state_fault(low_state(**changes)) == reason
    both = low_command(q=far, kd=np.full(12, LIMITS.kd_max + 1.0))
    assert refusal(command=both) == "command_position"
