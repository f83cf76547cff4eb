"""Motor commands that several stages make or judge."""

import numpy as np
import pytest
from core_values import A1, START_NS, low_command, low_state, replaced
from gate_values import NOT_FINITE

from safe_locomotion.commands import commanded_torque, damping_command


def test_commanded_torque_by_hand() -> None:
    """tau + kp (q* - q) + kd (dq* - dq): 1 + 20 * 0.1 + 0.5 * (2 - 4) = 2."""
    state = low_state(q=np.full(12, 0.3), dq=np.full(12, 4.0))
    command = low_command(
        q=np.full(12, 0.4),
        dq=np.full(12, 2.0),
        tau=np.full(12, 1.0),
        kp=np.full(12, 20.0),
        kd=np.full(12, 0.5),
    )
    np.testing.assert_allclose(commanded_torque(state, command), 2.0, rtol=1e-12)


@pytest.mark.parametrize("value", NOT_FINITE)
def test_damping_has_finite_targets(value: float) -> None:
    """Missing joint positions, and those that are not finite, give zeros as set-point."""
    for q in (None, replaced(A1.q_stand, 7, value)):
        command = damping_command(START_NS, 2.5, q=q, reason="why")
        np.testing.assert_array_equal(command.q, 0.0)
        np.testing.assert_array_equal(command.kd, 2.5)
        assert command.reason == "why" and not (
            command.kp.any() or command.tau.any() or command.dq.any()
        )
