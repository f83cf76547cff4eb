"""What a person does on the simulated remote, written "BUTTONS[:AXIS=VALUE...]@FROM-TO,...".

Times are seconds after standing up. "R1:ly=1@1-4,L2+B@6-6.2" walks at full stick for three seconds,
then presses the emergency stop. Parts that overlap in time are pressed together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.operator.pad import AXES, Pad, parse_chord
from safe_locomotion.operator.unitree_remote import encode_remote


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """Buttons and sticks that are held from `start` until just before `end`.

    Both are times after the robot first stood [s].
    """

    start: float
    end: float
    pressed: frozenset[str]
    sticks: dict[str, float] = field(default_factory=dict)


def parse_holds(text: str) -> tuple[Hold, ...]:
    """What is held when; empty text gives nothing.

    Raises:
        ConfigurationError: a part has another form, names an unknown button or axis, or ends before
            it begins.
    """
    return tuple(_parse(part) for part in text.split(",")) if text.strip() else ()


def _parse(part: str) -> Hold:
    keys, _, times = part.strip().partition("@")
    buttons, *sticks = keys.split(":")
    try:
        start, end = map(float, times.split("-"))
        deflected = {name: float(value) for name, value in (stick.split("=") for stick in sticks)}
    except ValueError:
        raise ConfigurationError(
            f"remote {part!r} is not of the form BUTTONS[:AXIS=VALUE...]@FROM-TO, "
            "for instance R1:ly=0.5@1-3 or L2+B@5-5.2"
        ) from None
    for name, value in deflected.items():
        if name not in AXES:
            raise UnknownNameError("axis", name, AXES)
        if not -1.0 <= value <= 1.0:
            raise ConfigurationError(f"remote {part!r}: {name} must lie within -1 and 1")
    if not 0.0 <= start < end < inf:
        raise ConfigurationError(f"remote {part!r} ends before it begins")
    return Hold(start=start, end=end, pressed=parse_chord(buttons), sticks=deflected)


def remote_at(holds: Sequence[Hold], time: float) -> bytes:
    """The 40 bytes of the remote at `time`."""
    now = [hold for hold in holds if hold.start <= time < hold.end]
    sticks = {name: value for hold in now for name, value in hold.sticks.items()}
    return encode_remote(
        Pad(pressed=frozenset[str]().union(*(hold.pressed for hold in now)), **sticks)
    )
