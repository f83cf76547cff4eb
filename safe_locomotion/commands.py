"""Motor commands that several stages make or judge."""

import numpy as np

from safe_locomotion.types import N_JOINTS, Array, LowCommand, LowState


def damping_command(
    stamp_ns: int, kd: float, *, q: Array | None = None, reason: str = ""
) -> LowCommand:
    """Zero stiffness and torque; the motors only resist motion.

    Args:
        stamp_ns: stamp of the LowState it answers, 0 if it answers none.
        kd: damping of every joint [Nm s/rad].
        q: (12,) position targets, which have no effect without stiffness [rad]. Zeros are sent
            instead if they are missing or not finite.
        reason: why the robot is damped.
    """
    zeros = np.zeros(N_JOINTS)
    if q is None or not np.isfinite(q).all():
        q = zeros
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
