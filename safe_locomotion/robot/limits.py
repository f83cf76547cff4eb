"""Limits of a robot's state and commands, from its configuration file; there are no defaults."""

from dataclasses import dataclass

from safe_locomotion.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, slots=True)
class GateLimits:
    """Bounds of the gate and of the watch on the robot; none has a default: they come from the robot's configuration file.

    Attributes:
        max_age: of verdict and plan against the LowState [s].
        position_margin: how far a measured joint may lie outside its range [rad].
        dq_max: joint speed, measured and commanded [rad/s].
        torque_margin: factor on the robot's peak torque that a command may ask for.
        feedforward_margin: the same for its feed-forward alone, whatever stiffness and damping take away from it at this moment.
        torque_step: largest change of the torque commanded to a joint, per hip, thigh and calf, from one command to the next [Nm].
        position_step: the same for its position target, where it has stiffness [rad].
        step_time: for which commands may be clamped to these steps without interruption before they are refused [s].
        kp_max, kd_max: motor gains [Nm/rad, Nm s/rad].
        temperature_max: of a motor [deg C].
        temperature_warning: of a motor, from which the robot sits down [deg C].
        voltage_min: of the battery [V].
        voltage_warning: of the battery, below which the robot sits down [V].
        warning_time: for which a warning threshold must be passed [s].
        mismatch_time: for which joints must be outside their range for the robot to count as another one [s].
        motor_off_time: for which a motor may report that its drive is off while it is commanded [s].
        max_gap: longest step between two stamps [s].
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
    damping: float

    def __post_init__(self) -> None:
        """Refuse a gate whose own answer would not pass it or would not damp, and warnings that come after the gate."""
        if not 0.0 < self.damping <= self.kd_max:
            raise ConfigurationError(
                f"limits: damping: must be positive and at most kd_max (found {self.damping})"
            )
        if not self.temperature_warning <= self.temperature_max:
            raise ConfigurationError(
                f"limits: temperature_warning: must be at most temperature_max (found {self.temperature_warning})"
            )
        if not self.voltage_min <= self.voltage_warning:
            raise ConfigurationError(
                f"limits: voltage_warning: must be at least voltage_min (found {self.voltage_warning})"
            )
        for name in ("torque_step", "position_step"):
            if not all(step > 0.0 for step in getattr(self, name)):
                raise ConfigurationError(
                    f"limits: {name}: must be positive (found {getattr(self, name)})"
                )
        if not self.max_gap > 0.0:
            raise ConfigurationError(f"limits: max_gap: must be positive (found {self.max_gap})")
