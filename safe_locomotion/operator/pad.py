"""A pad: one reading of two sticks and the buttons, and what each of them means.

The robot's own remote (`unitree_remote`) and any game controller (`gamepad`) are read into a `Pad`.
"""

from dataclasses import dataclass
from itertools import permutations

from safe_locomotion.errors import ConfigurationError, UnknownNameError

#: In the order of the bits of Unitree's remote; the guide button of a game controller is F1.
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
        lx, ly: left stick, within -1..1; right and forward are positive.
        rx, ry: right stick, within -1..1; right and forward are positive.
    """

    pressed: frozenset[str] = NO_BUTTONS
    lx: float = 0.0
    ly: float = 0.0
    rx: float = 0.0
    ry: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PadMap:
    """What the sticks and buttons of one kind of pad mean.

    A chord is one button, or several joined by +. `none` means that no button does the action.

    Attributes:
        forward, left, turn_left: axes that command vx, vy and wz. A minus before the name changes
            the sign.
        dead_man: button that must be held while the robot moves.
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
        """Refuse unknown names, a missing emergency stop, and chords that cannot be told apart."""
        for name in ("forward", "left", "turn_left"):
            chosen = getattr(self, name)
            if chosen.removeprefix("-") not in AXES:
                choices = (*AXES, *(f"-{axis}" for axis in AXES))
                raise UnknownNameError(f"axis {name}", chosen, choices)
        if self.dead_man != NONE and self.dead_man not in BUTTONS:
            raise UnknownNameError("dead_man", self.dead_man, (*BUTTONS, NONE))
        if not self.estop_chord:
            raise ConfigurationError("driving: estop: needs a chord, none is not possible")
        if self.dead_man in self.estop_chord:
            raise ConfigurationError(
                f"driving: estop {self.estop}: must not need the dead-man, {self.dead_man}"
            )
        self._check_chords()

    def _check_chords(self) -> None:
        chords = {
            "estop": self.estop_chord,
            **{name: chord for chord, name in self.actions.items()},
        }
        for name, other in permutations(chords, 2):
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
        """Actions by their chords."""
        chords = [(parse_chord(getattr(self, name), f"button of {name}"), name) for name in ACTIONS]
        actions = {chord: name for chord, name in chords if chord}
        if len(actions) != sum(bool(chord) for chord, _ in chords):
            raise ConfigurationError(f"driving: two of {', '.join(ACTIONS)} have the same chord")
        return actions


def parse_chord(text: str, what: str = "button") -> frozenset[str]:
    """Buttons of a chord such as "L2+B"; no buttons for "none".

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


def axis(pad: Pad, name: str) -> float:
    """Value of an axis; a minus before the name changes its sign."""
    value: float = getattr(pad, name.removeprefix("-"))
    return -value if name.startswith("-") else value
