"""Motor commands that several stages make or judge."""

import numpy as np

from safe_locomotion.types import N_JOINTS, Array, LowCommand, LowState


def damping_command(
    stamp_ns: int, state: LowState | None, kd: float, reason: str = ""
) -> LowCommand:
    """Zero position gain and torque; the motors only resist motion."""
    zeros = np.zeros(N_JOINTS)
    q = zeros if state is None or not np.isfinite(state.q).all() else state.q
    return LowCommand(
        stamp_ns=stamp_ns,
        q=q,
        dq=zeros,
        tau=zeros,
        kp=zeros,
        kd=np.full(N_JOINTS, kd),
        reason=reason,
    )


def commanded_torque(state: LowState, command: LowCommand) -> Array:
    """Torque (12,) the motors would produce now: tau + kp (q* - q) + kd (dq* - dq) [Nm]."""
    return command.tau + command.kp * (command.q - state.q) + command.kd * (command.dq - state.dq)
