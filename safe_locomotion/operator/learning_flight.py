"""The operator of a robot that learns: walk a trajectory, stand, walk the next one.

It asks for modes as a person does, and gets a robot up that fell. There is no ROS in here, and
time is that of the robot.
"""

from dataclasses import dataclass, field
from typing import Literal

from safe_locomotion.operator.field import Field
from safe_locomotion.types import NANOSECONDS, Mode, VelocityCommand

#: Why the robot does not walk: it waits for an update, for a policy, for space on the disk, for
#: another battery, for cold motors, or it was told to stop.
Hold = Literal["", "update", "policy", "disk", "battery", "heat", "stop"]
LIES_DOWN = ("battery", "heat", "stop")  #: reasons for which the robot sits
ASK_EACH_NS = NANOSECONDS // 2  #: between two equal requests
RISE_NS = 3 * NANOSECONDS  #: for which a fallen robot may get up by itself
SPARE_NS = 120_000_000  #: beyond the end of a trajectory, whose first steps may be missed


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """What the operator sees now.

    Attributes:
        stamp_ns: robot time.
        mode: of the newest verdict.
        policy: that drives; empty under recovery and where none drives.
        reasons: hazards that hold.
        x, y, yaw: in odom [m, m, rad]; NaN before the first odometry.
    """

    stamp_ns: int
    mode: Mode
    policy: str = ""
    reasons: tuple[str, ...] = ()
    x: float = float("nan")
    y: float = float("nan")
    yaw: float = float("nan")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fall:
    """A fall, for the journal.

    Attributes:
        walking_s: time that the robot had walked in all [s].
        policy: that drove last; empty for none.
        driver: `learner`, or `recovery` where it had taken over.
        reasons: hazards.
        x, y: where [m].
        turned_back: the robot was on its way back into its field.
        stamp_ns: robot time, by which the episode is found.
    """

    walking_s: float
    policy: str
    driver: str
    reasons: tuple[str, ...]
    x: float
    y: float
    turned_back: bool
    stamp_ns: int


@dataclass
class LearningFlight:
    """Walks one trajectory after the other.

    Attributes:
        command: velocity of the walks, inside the field.
        trajectory_s: length of a trajectory [s].
        area: field that the robot does not leave.
        walks: trajectories that were walked to their end, or to a fall, since they were last
            counted.
        walking_s: time in which the robot walked [s].
        falls: in the order of their times.
        faults: reasons of each FAULT.
    """

    command: VelocityCommand
    trajectory_s: float
    area: Field
    walks: int = 0
    walking_s: float = 0.0
    falls: list[Fall] = field(default_factory=list)
    faults: list[tuple[str, ...]] = field(default_factory=list)
    _mode: Mode | None = None
    _entered_ns: int = 0
    _last_ns: int = 0
    _done: bool = False
    _policy: str = ""
    _learner_drove: bool = False
    _asked: str = ""
    _asked_ns: int = 0

    def update(self, sight: Sight, hold: Hold) -> tuple[str, VelocityCommand]:
        """Request to make now (empty for none), and velocity to command.

        Args:
            sight: what is seen now.
            hold: why the robot must not walk; empty where it may.
        """
        if sight.stamp_ns < self._last_ns:
            self._forget()  # the robot was started anew
        self._note(sight)
        wanted = self._wanted(sight, hold)
        request = self._once(sight.stamp_ns, wanted)
        if sight.mode is not Mode.WALK or hold or self._done:
            return request, VelocityCommand()
        return request, self.area.shaped(self.command, sight.x, sight.y, sight.yaw)

    def _note(self, sight: Sight) -> None:
        """Count time, falls and trajectories."""
        before = self._mode
        if before is Mode.WALK and sight.mode is Mode.WALK:
            self.walking_s += (sight.stamp_ns - self._last_ns) / NANOSECONDS
        self._last_ns = sight.stamp_ns
        if sight.mode is not before:
            self._change(before, sight)
        if sight.mode is not Mode.WALK:
            return
        self._policy = sight.policy or self._policy
        self._learner_drove = bool(sight.policy)
        length_ns = round(self.trajectory_s * NANOSECONDS) + SPARE_NS
        if not self._done and sight.stamp_ns - self._entered_ns >= length_ns:
            self._done = True
            self.walks += 1

    def _change(self, before: Mode | None, sight: Sight) -> None:
        walked = before is Mode.WALK and not self._done
        fell = sight.mode in (Mode.FALLEN, Mode.SELF_RIGHT)
        if fell and before in (Mode.WALK, Mode.STAND):
            self.falls.append(self._fall(sight))
            self.walks += walked
        if sight.mode is Mode.FAULT:
            self.faults.append(sight.reasons)
            self.walks += walked
        self._mode = sight.mode
        self._entered_ns = sight.stamp_ns
        self._done = False
        self._asked = ""

    def _fall(self, sight: Sight) -> Fall:
        return Fall(
            walking_s=self.walking_s,
            policy=self._policy,
            driver="learner" if self._learner_drove else "recovery",
            reasons=sight.reasons,
            x=sight.x,
            y=sight.y,
            turned_back=self.area.returns,
            stamp_ns=sight.stamp_ns,
        )

    def _forget(self) -> None:
        """Begin again with a robot whose clock began again."""
        self._mode = None
        self._last_ns = 0
        self._asked = ""
        self._asked_ns = 0

    def _wanted(self, sight: Sight, hold: Hold) -> str:
        """Request that fits this mode; empty for none."""
        mode = sight.mode
        down = hold in LIES_DOWN
        if mode is Mode.FAULT:
            return "" if down else "reset"
        if mode is Mode.FALLEN:
            waited = sight.stamp_ns - self._entered_ns >= RISE_NS
            return "stand" if waited and not down else ""
        if mode is Mode.PASSIVE:
            return "" if down else "stand"
        if down:
            return "sit" if mode in (Mode.STAND, Mode.WALK, Mode.STAND_UP) else ""
        if mode is Mode.WALK:
            return "stand" if self._done or hold else ""
        return "walk" if mode is Mode.STAND and not hold else ""

    def _once(self, stamp_ns: int, request: str) -> str:
        """The request, when it is new or due again."""
        if not request:
            self._asked = ""
            return ""
        if request == self._asked and stamp_ns - self._asked_ns < ASK_EACH_NS:
            return ""
        self._asked = request
        self._asked_ns = stamp_ns
        return request
