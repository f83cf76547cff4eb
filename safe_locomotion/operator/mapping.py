"""Driving by hand: sticks to a velocity, buttons to requests, and the button that must be held for anything to move.

The same for the robot's own remote (`unitree_remote`) and for any gamepad: both are read into a `Pad`. Decisions, with reasons:

* Velocity is a level: it is there while the dead-man is held and the sticks say so, and gone with the next reading otherwise.
* Requests (stand, walk, ...) are edges: a chord fires once, after it was unchanged for `debounce`, when all buttons had been
  released before. Fingers do not press or leave two buttons at once, so no chord may be part of another one. What is pressed
  already when the first reading comes is a stuck button and fires nothing.
* The emergency stop is a level without debounce here, whatever else is pressed; where bytes may be corrupt, `unitree_remote`
  wants it twice in a row.
* A reading that is none (`None`) drives nothing, and nothing that was pressed during it counts as pressed anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite

from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.types import NANOSECONDS, VelocityCommand

#: In the order of the bits of Unitree's remote; a gamepad's guide button is F1.
BUTTONS = (
    *("R1", "L1", "start", "select", "R2", "L2", "F1", "F2"),
    *("A", "B", "X", "Y", "up", "right", "down", "left"),
)
AXES = ("lx", "ly", "rx", "ry")
NONE = "none"  #: in the configuration: no button does this
ACTIONS = ("stand", "walk", "sit", "reset", "record", "next_policy")
NO_BUTTONS: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Pad:
    """One reading of sticks and buttons.

    Attributes:
        pressed: names in `BUTTONS`.
        lx, ly, rx, ry: of the left and right stick, to the right and forward positive, within -1..1.
    """

    pressed: frozenset[str] = NO_BUTTONS
    lx: float = 0.0
    ly: float = 0.0
    rx: float = 0.0
    ry: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PadMap:
    """What the sticks and buttons of one kind of pad mean; chords are buttons joined by +, `none` leaves an action out.

    Attributes:
        forward, left, turn_left: axes that command vx, vy and wz, with a minus where the stick's positive end is the other one.
        dead_man: button that must be held for a velocity that is not zero.
        estop: chord of the emergency stop.
        stand, walk, sit, reset, record, next_policy: chords of the requests.
    """

    forward: str
    left: str
    turn_left: str
    dead_man: str
    estop: str
    stand: str
    walk: str
    sit: str
    reset: str
    record: str
    next_policy: str

    def __post_init__(self) -> None:
        """Refuse names that no pad has, no emergency stop, and chords that cannot be told apart."""
        for name in ("forward", "left", "turn_left"):
            chosen = getattr(self, name)
            if chosen.removeprefix("-") not in AXES:
                raise UnknownNameError(
                    f"axis {name}", chosen, (*AXES, *(f"-{axis}" for axis in AXES))
                )
        if self.dead_man != NONE and self.dead_man not in BUTTONS:
            raise UnknownNameError("dead_man", self.dead_man, (*BUTTONS, NONE))
        if not self.estop_chord:
            raise ConfigurationError("driving: estop: needs a chord, none is not possible")
        if self.dead_man in self.estop_chord:
            raise ConfigurationError(
                f"driving: estop {self.estop}: must not need the dead-man, {self.dead_man}"
            )
        chords = {
            "estop": self.estop_chord,
            **{name: chord for chord, name in self.actions.items()},
        }
        for name, other in ((a, b) for a in chords for b in chords if a != b):
            if chords[name] <= chords[other]:
                raise ConfigurationError(
                    f"driving: {name} and {other}: one chord is part of the other"
                )
        for name, chord in chords.items():
            if self.dead_man in chord:
                raise ConfigurationError(
                    f"driving: {name}: must not contain the dead-man, {self.dead_man}"
                )

    @property
    def estop_chord(self) -> frozenset[str]:
        """Buttons of the emergency stop."""
        return parse_chord(self.estop, "button of estop")

    @property
    def actions(self) -> dict[frozenset[str], str]:
        """Actions by the buttons that ask for them."""
        chords = [(parse_chord(getattr(self, name), f"button of {name}"), name) for name in ACTIONS]
        actions = {chord: name for chord, name in chords if chord}
        if len(actions) != sum(bool(chord) for chord, _ in chords):
            raise ConfigurationError(f"driving: two of {', '.join(ACTIONS)} have the same chord")
        return actions


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyboardParameters:
    """Driving by keys, which have no release.

    Attributes:
        hold_time: after the last key a velocity is zero [s]; longer than a terminal waits before it repeats a key that is held.
        speed_step: of one key press on vx and vy [m/s].
        turn_step: of one key press on wz [rad/s].
    """

    hold_time: float
    speed_step: float
    turn_step: float

    def __post_init__(self) -> None:
        """Refuse what would never let go or never move."""
        _require("keyboard", self, ("hold_time", "speed_step", "turn_step"))


@dataclass(frozen=True, kw_only=True, slots=True)
class DrivingParameters:
    """How a person drives this robot.

    Attributes:
        deadband: share of a stick's way, from the centre, that means nothing.
        expo: share of the cube in the curve of a stick: 0 is a straight line, 1 is finest about the centre.
        vx, vy: at full stick [m/s]; wz: at full stick [rad/s]. The command's own limits hold as well.
        debounce: for which a chord must be unchanged before it acts [s].
        frozen_time: for which readings may be equal to the last bit while they move the robot [s]; then the velocity is zero until
            one differs. A radio that is out of range goes on saying what it said last.
        policies: through which `next_policy` goes; empty for all that are installed for this robot.
        remote, gamepad: what their buttons mean.
        keyboard: driving by keys.
    """

    deadband: float
    expo: float
    vx: float
    vy: float
    wz: float
    debounce: float
    frozen_time: float
    policies: tuple[str, ...]
    remote: PadMap
    gamepad: PadMap
    keyboard: KeyboardParameters

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning, NaN included."""
        if not 0.0 <= self.deadband < 1.0:
            raise ConfigurationError(
                f"driving: deadband: must lie within 0 and 1 (found {self.deadband})"
            )
        if not 0.0 <= self.expo <= 1.0:
            raise ConfigurationError(f"driving: expo: must lie within 0 and 1 (found {self.expo})")
        _require("driving", self, ("vx", "vy", "wz", "debounce", "frozen_time"))


def _require(where: str, values: object, names: Iterable[str]) -> None:
    for name in names:
        value = getattr(values, name)
        if not 0.0 < value < float("inf"):
            raise ConfigurationError(f"{where}: {name}: must be positive (found {value})")


def parse_chord(text: str, what: str = "button") -> frozenset[str]:
    """Buttons of "L2+B"; none of "none".

    Raises:
        UnknownNameError: no such button.
    """
    if text == NONE:
        return NO_BUTTONS
    names = [name.strip() for name in text.split("+")]
    for name in names:
        if name not in BUTTONS:
            raise UnknownNameError(what, name, (*BUTTONS, NONE))
    return frozenset(names)


def shaped(stick: float, deadband: float, expo: float) -> float:
    """Share of full speed for a stick at `stick`: 0 in the dead-band, then (1 - e) s + e s^3 of the way that is left, odd, +-1 at the end.

    A stick that is not a number says nothing.
    """
    if not isfinite(stick) or abs(stick) <= deadband:
        return 0.0
    s = (min(1.0, abs(stick)) - deadband) / (1.0 - deadband)
    share = s * (1.0 - expo + expo * s * s)
    return share if stick > 0.0 else -share


def axis(pad: Pad, name: str) -> float:
    """Value of an axis, its sign changed where the name begins with a minus."""
    value: float = getattr(pad, name.removeprefix("-"))
    return -value if name.startswith("-") else value


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a pad asks for now.

    Attributes:
        drives: the person has the robot in hand: `command` counts, also when it is zero.
        command: velocity, zero while nobody drives.
        request: one of `ACTIONS`, on the reading on which it begins to hold; else empty.
        estop: the emergency stop is pressed.
        frozen: readings have been the same for too long to be believed; the velocity is zero, but nobody else takes over.
    """

    drives: bool = False
    command: VelocityCommand = field(default_factory=VelocityCommand)
    request: str = ""
    estop: bool = False
    frozen: bool = False


NO_WISH = Wish()


class PadDriver:
    """Turns readings of one pad into wishes; time comes in as nanoseconds of any clock that goes on."""

    def __init__(self, parameters: DrivingParameters, pad_map: PadMap) -> None:
        self._p = parameters
        self._map = pad_map
        self._actions = pad_map.actions
        self._estop = pad_map.estop_chord
        self._dead_man = NO_BUTTONS if pad_map.dead_man == NONE else frozenset((pad_map.dead_man,))
        self._debounce_ns = round(parameters.debounce * NANOSECONDS)
        self._frozen_ns = round(parameters.frozen_time * NANOSECONDS)
        self._last: Pad | None = None
        self._changed_ns = self._pressed_ns = 0
        self._pressed = NO_BUTTONS
        self._armed = False

    def update(self, now_ns: int, pad: Pad | None, *, changed: bool = False) -> Wish:
        """The wish behind a reading.

        Args:
            now_ns: time of the reading.
            pad: the reading; None where there is none that can be believed.
            changed: something about the reading is new although the pad is the same (the raw bytes, or an event).
        """
        if pad is None:
            self._last = None
            self._armed = False
            return NO_WISH
        if changed or pad != self._last or now_ns < self._changed_ns:
            self._last = pad
            self._changed_ns = now_ns
        if self._estop <= pad.pressed:
            self._armed = False
            return Wish(estop=True)
        request = self._request(now_ns, pad.pressed - self._dead_man)
        frozen = now_ns - self._changed_ns > self._frozen_ns
        command = self._command(pad)
        held = self._dead_man <= pad.pressed if self._dead_man else command != VelocityCommand()
        if not held:
            return Wish(request=request)
        return Wish(
            drives=True,
            command=VelocityCommand() if frozen else command,
            request=request,
            frozen=frozen,
        )

    def _command(self, pad: Pad) -> VelocityCommand:
        p = self._p
        m = self._map
        forward, left, turn = (
            shaped(axis(pad, name), p.deadband, p.expo) for name in (m.forward, m.left, m.turn_left)
        )
        return VelocityCommand(vx=p.vx * forward, vy=p.vy * left, wz=p.wz * turn)

    def _request(self, now_ns: int, pressed: frozenset[str]) -> str:
        """The action whose chord has just been held for long enough."""
        if pressed != self._pressed or now_ns < self._pressed_ns:
            self._pressed = pressed
            self._pressed_ns = now_ns
        if not pressed:
            self._armed = True
        if (
            not self._armed
            or now_ns - self._pressed_ns < self._debounce_ns
            or pressed not in self._actions
        ):
            return ""
        self._armed = False
        return self._actions[pressed]
