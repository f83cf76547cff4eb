"""Limits of a robot's state and commands, from its configuration file."""

from dataclasses import dataclass
from typing import NoReturn

from safe_locomotion.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, slots=True)
class GateLimits:
    """Bounds of the gate and of the watch on the robot.

    No limit has a default. All come from the robot's configuration file.

    Attributes:
        max_age: of verdict and plan against the LowState [s].
        position_margin: how far a measured joint may lie outside its range [rad].
        dq_max: joint speed, measured and commanded [rad/s].
        torque_margin: a command may ask for the robot's peak torque times this factor.
        feedforward_margin: the same for the feed-forward torque alone, without what stiffness and
            damping subtract from it at the moment.
        torque_step: largest change of a joint's commanded torque from one command to the next, for
            hip, thigh and calf [Nm].
        position_step: the same for a joint's position target while it has stiffness [rad].
        step_time: commands that had to be clamped to these steps for this long without a break are
            refused [s].
        kp_max, kd_max: motor gains [Nm/rad, Nm s/rad].
        temperature_max: of a motor [deg C].
        temperature_warning: of a motor; above it the robot sits down [deg C].
        voltage_min: of the battery [V].
        voltage_warning: of the battery; below it the robot sits down [V].
        warning_time: how long a warning threshold must be exceeded [s].
        mismatch_time: joints outside their range for this long mean that it is another robot [s].
        motor_off_time: how long a motor may report that its drive is off while it is commanded [s].
        max_gap: longest step between two stamps [s].
        frozen_time: an IMU whose readings are equal to the last bit for this long is frozen [s].
        attitude_error: largest difference within 0.1 s between the turn of the attitude and that
            of the gyroscope [rad].
        joint_error: the same between the move of a joint and that of its speed [rad].
        damping: kd of the command that replaces a refused one [Nm s/rad].
    """

    max_age: float
    position_margin: float
    dq_max: float
    torque_margin: float
    feedforward_margin: float
    torque_step: tuple[float, float, float]
    position_step: tuple[float, float, float]
    step_time: float
    kp_max: float
    kd_max: float
    temperature_max: float
    temperature_warning: float
    voltage_min: float
    voltage_warning: float
    warning_time: float
    mismatch_time: float
    motor_off_time: float
    max_gap: float
    frozen_time: float
    attitude_error: float
    joint_error: float
    damping: float

    def __post_init__(self) -> None:
        """Refuse limits that contradict each other.

        The damping command must pass the gate and must damp. A warning must come before the gate
        refuses.
        """
        if not 0.0 < self.damping <= self.kd_max:
            self._refuse("damping", "must be positive and at most kd_max")
        if not self.temperature_warning <= self.temperature_max:
            self._refuse("temperature_warning", "must be at most temperature_max")
        if not self.voltage_min <= self.voltage_warning:
            self._refuse("voltage_warning", "must be at least voltage_min")
        for name in ("torque_step", "position_step"):
            if not all(step > 0.0 for step in getattr(self, name)):
                self._refuse(name, "must be positive")
        for name in ("max_gap", "frozen_time", "attitude_error", "joint_error"):
            if not getattr(self, name) > 0.0:
                self._refuse(name, "must be positive")

    def _refuse(self, name: str, rule: str) -> NoReturn:
        raise ConfigurationError(f"limits: {name}: {rule} (found {getattr(self, name)})")
