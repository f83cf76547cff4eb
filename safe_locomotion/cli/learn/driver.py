"""The driver of a learning robot: it walks, waits for updates, and swaps policies in flight."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from time import monotonic
from typing import Any, Protocol

from safe_locomotion.cli.learn.folder import Journal, LearnFolder
from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.operator.learning_flight import Hold, LearningFlight, Sight
from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.types import NANOSECONDS, Mode, VelocityCommand

LEAST_FREE_MB = 400.0  #: twice what stops the recorder
VOLTAGE_SPARE = 0.4  #: above the warning at which the robot sits by itself [V]
VOLTAGE_BACK = 1.0  #: above that, another battery is in [V]
HEAT_SPARE = 5.0  #: below the warning [K]
HEAT_BACK = 20.0  #: below that, the motors are cold again [K]
KEEP_EACH_S = 5.0  #: between two writings of the journal [s]
LOOK_EACH_S = 0.5  #: between two readings of the trainer's status [s]
ASK_AGAIN_S = 5.0  #: after a swap that was refused [s]
FRUITLESS = 3  #: rounds of walks without one more trajectory, after which something is broken


class NothingLearnedError(SafeLocomotionError):
    """The robot walks, and the trainer finds nothing."""


class Vitals(Protocol):
    """See `ui.learning_operator.Vitals`."""

    voltage: float
    hottest: float
    policy: str
    rollbacks: int
    news: str


class Stack(Protocol):
    """What the driver needs of a running stack; see `ui.learning_operator.LearningOperator`."""

    vitals: Any
    answers: list[str]

    def request(self, name: str) -> None:
        """Request a mode."""

    def drive(self, command: VelocityCommand) -> None:
        """Send a velocity."""

    def swap(self, policy: str) -> None:
        """Request a policy."""


class Driver:
    """Decides in each look; what it needs to know comes in as arguments and files.

    Attributes:
        journal: what happened, over all starts.
        flight: walks and falls.
        hold: why the robot does not walk; empty while it may.
        stopping: the robot is to sit, and nothing goes on.
        status: of the trainer.
        flying: policy that was swapped in; empty while there is none.
        found: its trajectories that the trainer had at the beginning of this round of walks.
    """

    def __init__(
        self,
        folder: LearnFolder,
        flight: LearningFlight,
        limits: GateLimits,
        say: Callable[[str], object],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.journal: Journal = folder.journal()
        self.flight = flight
        self.hold: Hold = "policy"
        self.stopping = False
        self.status: Mapping[str, Any] = {}
        self.flying = ""
        self._folder = folder
        self._limits = limits
        self._say = say
        self._clock = clock
        self._began = self.journal.wall_s - clock()
        self._walked_before = self.journal.walking_s
        self._last_ns: int | None = None
        self._kept = clock()
        self._looked = -LOOK_EACH_S
        self._asked = ""
        self._asked_at = 0.0
        self.found = 0
        self._waits = False
        self._rollbacks = 0
        self._fruitless = 0
        self._rests: Hold = ""

    def restarted(self, line: str, *, stack: bool) -> None:
        """Note that a process was started again.

        Args:
            line: about it.
            stack: it was the stack, which has forgotten its policy.
        """
        self.journal.restarts.append(line)
        self._say(line)
        if stack:
            self.flying = ""
            self._asked = ""
            self._rollbacks = 0
            self._last_ns = None

    def step(self, sight: Sight, stack: Stack) -> None:
        """One look: count, decide, ask and command.

        Raises:
            NothingLearnedError: walks give no trajectories.
        """
        now = self._clock()
        if now - self._looked >= LOOK_EACH_S:
            self._looked = now
            self.status = self._folder.status() or self.status
        self._count(sight, now)
        self._hear(stack)
        hold = self._why(sight, stack)
        if hold != self.hold:
            self._tell(hold)
        self.hold = hold
        falls = len(self.flight.falls)
        request, velocity = self.flight.update(sight, hold)
        for fall in self.flight.falls[falls:]:
            self._note_fall(asdict(fall))
        if request:
            stack.request(request)
        stack.drive(velocity)
        if now - self._kept >= KEEP_EACH_S:
            self.keep()

    @property
    def walked_s(self) -> float:
        """Time that the robot walked, over all starts [s]."""
        return self._walked_before + self.flight.walking_s

    def keep(self) -> None:
        """Write the journal."""
        self._kept = self._clock()
        self.journal.wall_s = self._began + self._kept
        self.journal.walking_s = self.walked_s
        self.journal.faults += [list(reasons) for reasons in self.flight.faults]
        self.flight.faults.clear()
        self._folder.keep(self.journal)

    def _count(self, sight: Sight, now: float) -> None:
        if self._last_ns is not None and sight.stamp_ns > self._last_ns:
            self.journal.robot_s += (sight.stamp_ns - self._last_ns) / NANOSECONDS
        self._last_ns = sight.stamp_ns

    def _note_fall(self, fall: dict[str, Any]) -> None:
        fall["episode"] = self._folder.newest_episode()
        fall["walking_s"] += self._walked_before
        self.journal.falls.append(fall)
        back = ", on the way back into the field" if fall["turned_back"] else ""
        self._say(
            f"fall {len(self.journal.falls)} after {fall['walking_s'] / 60.0:.1f} min:"
            f" {fall['policy'] or 'no policy'}, {fall['driver']} drove,"
            f" {', '.join(fall['reasons'])}{back} ({fall['episode']})"
        )
        self.keep()

    def _tell(self, hold: Hold) -> None:
        if hold in ("disk", "battery", "heat"):
            self.journal.pauses[hold] = self.journal.pauses.get(hold, 0) + 1
            self._say(f"pause: {self.status.get('fault') or WHY[hold]}")

    def _why(self, sight: Sight, stack: Stack) -> Hold:
        """Why the robot must not walk now."""
        if self.stopping:
            return "stop"
        if not self._folder.free_mb() >= LEAST_FREE_MB or self.status.get("fault"):
            return "disk"
        rests = self._rest(stack.vitals)
        if rests:
            return rests
        if not self._policy_flies(stack):
            return "policy"
        return "update" if self._awaits_update(sight) else ""

    def _rest(self, vitals: Vitals) -> Hold:
        """Whether battery or motors need a rest; unknown values are no reason."""
        low = self._limits.voltage_warning + VOLTAGE_SPARE
        hot = self._limits.temperature_warning - HEAT_SPARE
        if self._rests == "battery" and vitals.voltage < low + VOLTAGE_BACK:
            return "battery"
        if self._rests == "heat" and vitals.hottest > hot - HEAT_BACK:
            return "heat"
        self._rests = ""
        if vitals.voltage < low:
            self._rests = "battery"
        elif vitals.hottest > hot:
            self._rests = "heat"
        return self._rests

    def _policy_flies(self, stack: Stack) -> bool:
        """Whether the trainer's policy is in force; otherwise ask for it."""
        wanted = str(self.status.get("policy", ""))
        vitals = stack.vitals
        if self.flying and vitals.rollbacks > self._rollbacks:
            self._rollbacks = vitals.rollbacks
            self._rolled_back(vitals.news)
        if not wanted or wanted in self.journal.rejected:
            return False
        if wanted == self.flying:
            return True
        if self._asked != wanted:
            self._asked = wanted
            self._asked_at = self._clock()
            stack.swap(wanted)
        elif self._clock() - self._asked_at > 60.0:
            self._asked = ""  # the answer was lost
        return False

    def _rolled_back(self, news: str) -> None:
        """The policy failed its trial: its update is thrown away, if it has just been made."""
        failed = self.flying
        self.flying = ""
        self._asked = ""
        if self.status.get("may_reject") and self.status.get("policy") == failed:
            self.journal.rejected[failed] = news
            self._say(f"{news}; its update is thrown away")
        else:
            self._say(f"{news}; it is tried again")
        self.keep()

    def _hear(self, stack: Stack) -> None:
        """Take the answers to swaps."""
        while stack.answers:
            answer = stack.answers.pop(0)
            policy, _, said = answer.removeprefix("policy ").partition(": ")
            if policy != self._asked:
                continue
            if said == "taken":
                self.flying = policy
                self._begin_round(int(self.status.get("found", 0)))
                self._say(f"{policy} flies")
            else:
                self._say(answer)
                self._asked_at = self._clock() - 60.0 + ASK_AGAIN_S

    def _begin_round(self, found: int) -> None:
        self.found = found
        self._waits = False
        self.flight.walks = 0

    def _awaits_update(self, sight: Sight) -> bool:
        """Whether there were enough walks, as far as it is known.

        When the trainer has read the last of them and needs more, the robot walks on.
        """
        wanted = int(self.status.get("wanted", 0))
        if self.flight.walks >= wanted - self.found:
            self._waits = True
        if not self._waits:
            return False
        if sight.mode is Mode.WALK or self.status.get("latest") != self._folder.newest_episode():
            return True
        found = int(self.status.get("found", 0))
        if found >= wanted or self.status.get("policy") != self.flying:
            return True
        self._fruitless = 0 if found > self.found else self._fruitless + 1
        if self._fruitless >= FRUITLESS:
            raise NothingLearnedError(
                f"{FRUITLESS} rounds of walks gave no trajectory: see recorder_node.log and"
                f" trainer.log in {self._folder.logs}"
            )
        self._begin_round(found)
        return False


WHY: Mapping[str, str] = {
    "": "",
    "update": "waits for the update",
    "policy": "waits for a policy",
    "disk": "the disk is full, so nothing is learned",
    "battery": "the battery is nearly empty",
    "heat": "the motors are hot",
    "stop": "stops",
}
