"""Hazards: what can be wrong, how severe it is and who raises it.

Only the highest severity counts. One more hazard therefore never gives a more permissive mode.
`tools/hazard_table.py` writes the rows of this table into `docs/safety.md`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from safe_locomotion.errors import UnknownNameError
from safe_locomotion.types import LYING, Mode

Raiser = Literal["supervisor", "bridge", "operator"]


class Severity(IntEnum):
    """How far a hazard takes the robot down, in order. Every one but NONE stops the learner."""

    NONE = 0
    RECOVER = 1  #: the mode stays, the recovery policy drives
    STOP = 2  #: the robot stops walking and stands
    SIT = 3  #: the robot sits down and goes passive
    FALLEN = 4  #: damping until `reset` or the request to stand
    FAULT = 5  #: damping, latched until `reset`


@dataclass(frozen=True, kw_only=True, slots=True)
class Hazard:
    """One row of the table of hazards.

    Attributes:
        name: as in a verdict's reasons.
        severity: how far it takes the robot down.
        raised_by: the part of the stack that detects it.
        meaning: what is wrong; words in backticks are parameters.
    """

    name: str
    severity: Severity
    raised_by: Raiser
    meaning: str


_ROWS = (
    Hazard(
        name="policy_fault",
        severity=Severity.RECOVER,
        raised_by="supervisor",
        meaning="the learner's output is not finite, out of its range, or missing",
    ),
    Hazard(
        name="command_not_finite",
        severity=Severity.STOP,
        raised_by="operator",
        meaning="the velocity command contains NaN or infinity",
    ),
    Hazard(
        name="battery_low",
        severity=Severity.SIT,
        raised_by="bridge",
        meaning="the voltage is below `voltage_warning` for `warning_time`",
    ),
    Hazard(
        name="motor_hot",
        severity=Severity.SIT,
        raised_by="bridge",
        meaning="a motor is above `temperature_warning` for `warning_time`",
    ),
    Hazard(
        name="fallen",
        severity=Severity.FALLEN,
        raised_by="supervisor",
        meaning=(
            "the body is tilted past `fall_tilt`, or below `fall_height` while it stands or walks"
        ),
    ),
    Hazard(
        name="self_right_timeout",
        severity=Severity.FALLEN,
        raised_by="supervisor",
        meaning="turning over has taken longer than `self_right_timeout`",
    ),
    Hazard(
        name="estimate_diverged",
        severity=Severity.FAULT,
        raised_by="supervisor",
        meaning="the estimate is not finite, or no longer explains its measurements",
    ),
    Hazard(
        name="stand_up_timeout",
        severity=Severity.FAULT,
        raised_by="supervisor",
        meaning="standing up has taken longer than `stand_up_timeout`",
    ),
    Hazard(
        name="state_jump",
        severity=Severity.FAULT,
        raised_by="bridge",
        meaning="the stamp went back, stood still or jumped by more than `max_gap`",
    ),
    Hazard(
        name="robot_mismatch",
        severity=Severity.FAULT,
        raised_by="bridge",
        meaning="joints are outside this robot's range for `mismatch_time`",
    ),
    Hazard(
        name="motor_off",
        severity=Severity.FAULT,
        raised_by="bridge",
        meaning="a commanded motor reports that its drive is off for `motor_off_time`",
    ),
    Hazard(
        name="foreign_publisher",
        severity=Severity.FAULT,
        raised_by="bridge",
        meaning="another program sends low commands",
    ),
    Hazard(
        name="second_state_source",
        severity=Severity.FAULT,
        raised_by="bridge",
        meaning="two programs send LowStates",
    ),
    Hazard(
        name="sensors_frozen",
        severity=Severity.FAULT,
        raised_by="bridge",
        meaning="the IMU has read the same to the last bit for `frozen_time`",
    ),
    Hazard(
        name="sensors_disagree",
        severity=Severity.FAULT,
        raised_by="bridge",
        meaning=(
            "within 0.1 s the attitude turned otherwise than the gyroscope says, by more than"
            " `attitude_error`, or a joint moved otherwise than its speed says, by more than"
            " `joint_error`"
        ),
    ),
    Hazard(
        name="second_publisher",
        severity=Severity.FAULT,
        raised_by="bridge",
        meaning="two programs publish on one topic of the control path",
    ),
    Hazard(
        name="not_reset",
        severity=Severity.FAULT,
        raised_by="bridge",
        meaning="a FAULT or an emergency stop that the bridge has seen was not reset",
    ),
    Hazard(
        name="estop",
        severity=Severity.FAULT,
        raised_by="operator",
        meaning="the operator pressed the emergency stop",
    ),
)
HAZARDS = {row.name: row for row in _ROWS}  #: every hazard there is, by name


def severity(hazards: Iterable[str], mode: Mode | None = None) -> Severity:
    """Highest severity among named hazards.

    `fallen` does not count in a mode in which the robot lies on the ground anyway (`LYING`).

    Raises:
        UnknownNameError: a hazard is not in the table.
    """
    worst = Severity.NONE
    for hazard in hazards:
        if hazard not in HAZARDS:
            raise UnknownNameError("hazard", hazard, HAZARDS)
        if hazard != "fallen" or mode not in LYING:
            worst = max(worst, HAZARDS[hazard].severity)
    return worst
