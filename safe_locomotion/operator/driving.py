"""Driving by hand: from readings of a pad to velocities, requests and the emergency stop.

Decisions, with their reasons:

* A velocity is a level. It holds while the dead-man is held and the sticks are out of the centre,
  and ends with the next reading that says otherwise.
* A request (stand, walk, ...) is an edge. Its chord fires once, after it was unchanged for
  `debounce` and all buttons had been released before. Fingers do not press or release two buttons
  at once, so no chord may be part of another one. A button that is already pressed at the first
  reading counts as stuck and fires nothing.
* The emergency stop is a level without debounce, whatever else is pressed. Bytes of a remote may
  be corrupt, so `unitree_remote` wants it twice in a row.
* A missing reading (`None`) drives nothing. A button pressed during it does not count as new.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf, isfinite

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.operator.pad import NO_BUTTONS, NONE, Pad, PadMap, axis
from safe_locomotion.types import NANOSECONDS, VelocityCommand


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyboardParameters:
    """Driving by keys; a terminal does not report when a key is released.

    Attributes:
        hold_time: the velocity becomes zero this long after the last key [s]. It must be longer
            than a terminal waits before it repeats a held key.
        speed_step: change of vx or vy by one key press [m/s].
        turn_step: change of wz by one key press [rad/s].
    """

    hold_time: float
    speed_step: float
    turn_step: float

    def __post_init__(self) -> None:
        """Refuse numbers with which the robot would never stop or never move."""
        _require_positive("keyboard", self, ("hold_time", "speed_step", "turn_step"))


@dataclass(frozen=True, kw_only=True, slots=True)
class DrivingParameters:
    """How a person drives this robot.

    Attributes:
        deadband: share of a stick's way, from the centre, that means zero.
        expo: share of the cubic term in the curve of a stick. 0 is a straight line, 1 is finest
            near the centre.
        vx, vy: velocity at full stick [m/s]. The limits of commands hold as well.
        wz: at full stick [rad/s].
        debounce: how long a chord must be unchanged before it acts [s].
        frozen_time: how long readings that move the robot may be equal to the last bit [s]. After
            that the velocity is zero until a reading differs. A radio out of range repeats its last
            reading.
        policies: names through which `next_policy` goes; empty means all that are installed for
            this robot.
        remote, gamepad: meaning of their sticks and buttons.
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
        """Refuse numbers out of range, NaN included."""
        if not 0.0 <= self.deadband < 1.0:
            raise ConfigurationError(
                f"driving: deadband: must lie within 0 and 1 (found {self.deadband})"
            )
        if not 0.0 <= self.expo <= 1.0:
            raise ConfigurationError(f"driving: expo: must lie within 0 and 1 (found {self.expo})")
        _require_positive("driving", self, ("vx", "vy", "wz", "debounce", "frozen_time"))


def _require_positive(where: str, values: object, names: Iterable[str]) -> None:
    for name in names:
        value = getattr(values, name)
        if not 0.0 < value < inf:
            raise ConfigurationError(f"{where}: {name}: must be positive (found {value})")


def shaped(stick: float, deadband: float, expo: float) -> float:
    """Share of full speed, within -1..1, for a stick within -1..1.

    The share is 0 inside the dead-band. Beyond it, with s from 0 at its edge to 1 at the end:
    share = (1 - expo) s + expo s^3. The curve is odd. NaN and infinities give 0.
    """
    if not isfinite(stick) or abs(stick) <= deadband:
        return 0.0
    s = (min(1.0, abs(stick)) - deadband) / (1.0 - deadband)
    share = s * (1.0 - expo + expo * s * s)
    return share if stick > 0.0 else -share


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the person at a pad wants now.

    Attributes:
        drives: the person drives, so `command` counts even when it is zero.
        command: velocity; zero while nobody drives.
        request: one of `ACTIONS`, on the reading on which its chord fires; otherwise empty.
        estop: the emergency stop is pressed.
        frozen: readings have been equal for too long. The velocity is zero, but the person keeps
            the robot.
    """

    drives: bool = False
    command: VelocityCommand = field(default_factory=VelocityCommand)
    request: str = ""
    estop: bool = False
    frozen: bool = False


NO_WISH = Wish()


class PadDriver:
    """Turns readings of one pad into wishes; any clock in nanoseconds that never stops will do."""

    def __init__(self, parameters: DrivingParameters, pad_map: PadMap) -> None:
        self._p = parameters
        self._map = pad_map
        self._actions = pad_map.actions
        self._estop = pad_map.estop_chord
        self._dead_man = NO_BUTTONS if pad_map.dead_man == NONE else frozenset((pad_map.dead_man,))
        self._debounce_ns = round(parameters.debounce * NANOSECONDS)
        self._frozen_ns = round(parameters.frozen_time * NANOSECONDS)
        self._last: Pad | None = None
        self._changed_ns = 0
        self._pressed = NO_BUTTONS
        self._pressed_ns = 0
        self._armed = False

    def update(self, now_ns: int, pad: Pad | None, *, changed: bool = False) -> Wish:
        """The wish behind a reading.

        Args:
            now_ns: time of the reading.
            pad: the reading; None when there is none that can be trusted.
            changed: something else about the reading is new (raw bytes, an event), although the
                pad is equal to the last one.
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
        return VelocityCommand(
            vx=p.vx * self._share(pad, self._map.forward),
            vy=p.vy * self._share(pad, self._map.left),
            wz=p.wz * self._share(pad, self._map.turn_left),
        )

    def _share(self, pad: Pad, name: str) -> float:
        return shaped(axis(pad, name), self._p.deadband, self._p.expo)

    def _request(self, now_ns: int, pressed: frozenset[str]) -> str:
        """The action whose chord has just been held for long enough; empty when there is none."""
        if pressed != self._pressed or now_ns < self._pressed_ns:
            self._pressed = pressed
            self._pressed_ns = now_ns
        if not pressed:
            self._armed = True
        settled = now_ns - self._pressed_ns >= self._debounce_ns
        if not (self._armed and settled and pressed in self._actions):
            return ""
        self._armed = False
        return self._actions[pressed]
