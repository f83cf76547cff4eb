"""The gate clamps commands that change too suddenly, and refuses them after a while."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from core_values import (
    A1,
    LIMITS,
    START_NS,
    assert_damping,
    low_command,
    low_state,
    stance_plan,
    verdict,
)

from safe_locomotion.safety.gate import CommandGate
from safe_locomotion.types import DAMPED, Array, LowCommand, Mode

STEPPED = replace(
    LIMITS, torque_step=(1.0, 2.0, 3.0), position_step=(0.1, 0.2, 0.3), step_time=0.01
)
PER_JOINT = np.tile((1.0, 2.0, 3.0), 4)


def pushing(tau: float | Array, **changes: Any) -> LowCommand:
    return low_command(tau=np.full(12, tau), kp=np.zeros(12), kd=np.zeros(12), **changes)


def test_a_sudden_command_is_clamped_to_the_largest_step_of_each_joint() -> None:
    """From damping to 5 Nm the steps are 1, 2 and 3 Nm on hip, thigh and calf.

    The commands carry no reason.
    """
    one = CommandGate(A1, STEPPED)
    one.filter(low_state(), verdict(mode=Mode.PASSIVE), None, one.damping(low_state(), ""))
    for k in range(1, 8):
        sent = one.filter(low_state(), verdict(), stance_plan(), pushing(5.0))
        np.testing.assert_allclose(sent.tau, np.minimum(5.0, k * PER_JOINT), atol=1e-12)
        assert sent.reason == ""
    assert one.rate.clamped == {"torque_step": 4}


def test_a_command_that_is_clamped_for_too_long_is_refused() -> None:
    """It is damped 1 ns past step_time. The steps start over from damping."""
    one = CommandGate(A1, replace(STEPPED, torque_step=(0.1, 0.1, 0.1)))
    one.filter(low_state(), verdict(mode=Mode.PASSIVE), None, one.damping(low_state(), ""))

    def sent(elapsed_ns: int) -> LowCommand:
        stamp_ns = START_NS + elapsed_ns
        return one.filter(
            low_state(stamp_ns=stamp_ns),
            verdict(stamp_ns=stamp_ns),
            stance_plan(stamp_ns=stamp_ns),
            pushing(30.0),
        )

    for elapsed_ns in (0, 5_000_000, 10_000_000):
        assert sent(elapsed_ns).reason == ""
    assert_damping(sent(10_000_001), "command_step")


def test_a_clamped_command_passes_the_other_bounds_or_is_refused() -> None:
    """Torque near the last one may exceed the bound on feed-forward if the robot has moved."""
    one = CommandGate(A1, replace(STEPPED, feedforward_margin=0.1))
    stiff = np.full(12, 100.0)
    held = low_command(kp=stiff, kd=np.zeros(12))
    assert one.filter(low_state(), verdict(), stance_plan(), held).reason == ""
    moved = low_state(q=A1.q_stand + 0.1)
    limp = low_command(q=moved.q, kp=np.zeros(12), kd=np.zeros(12))
    assert_damping(one.filter(moved, verdict(), stance_plan(), limp), "command_feedforward")


@pytest.mark.parametrize("mode", DAMPED)
def test_damping_is_never_clamped(mode: Mode) -> None:
    """Damping is allowed at once, from any torque."""
    one = CommandGate(A1, STEPPED)
    one.filter(low_state(), verdict(), stance_plan(), pushing(5.0))
    damping = one.damping(low_state(), "")
    assert one.filter(low_state(), verdict(mode=mode), None, damping) is damping
    assert not one.rate.clamped
