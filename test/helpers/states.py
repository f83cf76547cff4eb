"""States and commands for the tests of the backends."""

from dataclasses import replace

import numpy as np

from safe_locomotion.types import LowCommand, LowState


def resting_state(tick: int = 1) -> LowState:
    """A robot at rest at `tick` milliseconds."""
    return LowState(
        stamp_ns=tick * 1_000_000,
        tick=tick,
        quaternion_wxyz=np.array([1.0, 0.0, 0.0, 0.0]),
        gyro=np.zeros(3),
        accelerometer=np.array([0.0, 0.0, 9.8125]),
        q=np.tile([0.0, 0.75, -1.5], 4),
        dq=np.zeros(12),
        tau=np.zeros(12),
        foot_force=np.full(4, 30.0),
        temperature=np.full(12, 35.0),
        voltage=25.0,
    )


def servo_command(stamp_ns: int = 0) -> LowCommand:
    """Stand with gains; every number is exact in single precision."""
    q = np.tile([0.0, 0.75, -1.5], 4)
    return LowCommand(
        stamp_ns=stamp_ns,
        q=q,
        dq=np.zeros(12),
        tau=np.ones(12),
        kp=np.full(12, 40.0),
        kd=np.ones(12),
    )


def spoiled(command: LowCommand, value: float = float("nan")) -> LowCommand:
    """The command with one torque replaced."""
    tau = command.tau.copy()
    tau[5] = value
    return replace(command, tau=tau)


def is_damping(command: LowCommand, kd: float) -> bool:
    """No stiffness, no torque, damping kd about zero velocity."""
    silent = not command.kp.any() and not command.tau.any() and not command.dq.any()
    return bool(silent and (command.kd == kd).all())
