"""The last minute of robot time: pictures to look back at, and the messages behind them.

All times are stamps of the robot. While no robot is heard, the minute stands still. Looks of the
viewer's loop write here; threads of browsers read copies.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock
from typing import Literal

from sensor_msgs.msg import JointState

from safe_locomotion.messages.layouts import VERDICT
from safe_locomotion.nodes import views
from safe_locomotion.nodes.conversions import MalformedMessageError, stamp_of
from safe_locomotion.types import NANOSECONDS, Mode
from safe_locomotion.ui.scene import Scene

LENGTH_NS = 60 * NANOSECONDS
MOST_SCENES = 1500  #: 20 a second, and some to spare
MOST_MESSAGES = 4000  #: of each topic, 50 a second and some to spare; some 8 MB together
MOST_A_LOOK = 12  #: messages that are kept of one look; 10 arrive in 0.2 s
GAP_NS = NANOSECONDS // 2  #: a longer silence is a gap
BACK_NS = NANOSECONDS  #: a stamp this much older than the last is another run of the robot
_MODE = VERDICT.index("mode")
_ACTIVE = VERDICT.index("active")

Kind = Literal["learner", "recovery", "stopped", "rest"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """Who drove from one stamp to another."""

    begin_ns: int
    end_ns: int
    kind: Kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """Serialised messages, oldest first: `state_estimate`, `safety/verdict`, `policy/proposal`."""

    estimates: tuple[bytes, ...]
    verdicts: tuple[bytes, ...]
    proposals: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A copy of the minute.

    Attributes:
        scenes: oldest first.
        passages: oldest first.
        packed: messages behind them.
    """

    scenes: tuple[Scene, ...]
    passages: tuple[Passage, ...]
    packed: Packed

    @property
    def end_ns(self) -> int:
        """Stamp of the newest scene; 0 without one."""
        return self.scenes[-1].stamp_ns if self.scenes else 0

    def at(self, stamp_ns: int) -> Scene | None:
        """The newest scene at a stamp, or the first one; None without scenes."""
        if not self.scenes:
            return None
        stamps = [scene.stamp_ns for scene in self.scenes]
        return self.scenes[max(0, bisect_right(stamps, stamp_ns) - 1)]

    def takeovers(self) -> list[int]:
        """Stamps of the first scenes after recovery took over from a learner.

        A scene is older than the next verdict. So the scene at the takeover itself would still show
        the learner.
        """
        begins = [
            after.begin_ns
            for before, after in pairwise(self.passages)
            if before.kind == "learner" and after.kind == "recovery"
        ]
        stamps = [scene.stamp_ns for scene in self.scenes]
        places = [bisect_left(stamps, begin) for begin in begins]
        return [
            stamps[place] if place < len(stamps) else begin
            for place, begin in zip(places, begins, strict=True)
        ]


class Minute:
    """Keeps the last minute."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._scenes: deque[Scene] = deque(maxlen=MOST_SCENES)
        self._looks: deque[tuple[int, Kind]] = deque(maxlen=MOST_MESSAGES)
        self._packed: dict[str, deque[bytes]] = {}

    def keep(self, topic: str, packed: Sequence[bytes]) -> None:
        """Keep messages of one topic, evenly thinned when there are too many.

        A message that is published again counts once, so that a robot whose clock stands still does
        not push its minute out.
        """
        step = -(-len(packed) // MOST_A_LOOK) or 1
        with self._lock:
            room = self._packed.setdefault(topic, deque(maxlen=MOST_MESSAGES))
            newest = room[-1] if room else None
            found = packed[::step]
            kept = [
                new for old, new in pairwise((newest, *found)) if new is not None and new != old
            ]
            room.extend(kept)
            if topic == "safety/verdict":
                self._looks.extend(_glances(kept))

    def draw(self, scene: Scene) -> None:
        """Keep a scene; one of an earlier run of the robot ends the minute before it."""
        with self._lock:
            if self._scenes and scene.stamp_ns < self._scenes[-1].stamp_ns - BACK_NS:
                self._scenes.clear()
                self._looks.clear()
                self._packed.clear()
            if not self._scenes or scene.stamp_ns > self._scenes[-1].stamp_ns:
                self._scenes.append(scene)
            begin = self._scenes[-1].stamp_ns - LENGTH_NS
            while self._scenes[0].stamp_ns < begin:
                self._scenes.popleft()
            while self._looks and self._looks[0][0] < begin:
                self._looks.popleft()

    def copy(self) -> Recorded:
        """The minute as it is now."""
        with self._lock:
            scenes = tuple(self._scenes)
            looks = tuple(self._looks)
            rows = {topic: tuple(kept) for topic, kept in self._packed.items()}
        return Recorded(
            scenes=scenes,
            passages=tuple(passages(looks)),
            packed=Packed(
                estimates=rows.get("state_estimate", ()),
                verdicts=rows.get("safety/verdict", ()),
                proposals=rows.get("policy/proposal", ()),
            ),
        )


def passages(looks: Iterable[tuple[int, Kind]]) -> list[Passage]:
    """Equal neighbours as one; a long silence parts them."""
    found: list[Passage] = []
    for stamp_ns, kind in sorted(looks):
        last = found[-1] if found else None
        if last is None or stamp_ns - last.end_ns > GAP_NS:
            found.append(Passage(begin_ns=stamp_ns, end_ns=stamp_ns, kind=kind))
            continue
        begin_ns = last.begin_ns if last.kind == kind else stamp_ns
        found[-1] = Passage(begin_ns=last.begin_ns, end_ns=stamp_ns, kind=last.kind)
        if last.kind != kind:
            found.append(Passage(begin_ns=begin_ns, end_ns=stamp_ns, kind=kind))
    return found


def kind_of(mode: Mode, active: str) -> Kind:
    """Who drives in a mode."""
    if mode is Mode.WALK:
        return "recovery" if active == "recovery" else "learner"
    return "stopped" if mode in (Mode.FALLEN, Mode.FAULT) else "rest"


def _glances(packed: Iterable[bytes]) -> list[tuple[int, Kind]]:
    """Stamp and driver of verdicts, without unpacking their other rows."""
    found = []
    for message in packed:
        try:
            view = views.read(message, JointState)
            mode = Mode(int(view.position[_MODE]))
            active = "recovery" if view.position[_ACTIVE] == 1.0 else "learner"
            found.append((stamp_of(view), kind_of(mode, active)))
        except (MalformedMessageError, IndexError, ValueError, OverflowError):
            continue  # whoever unpacks it counts it
    return found
