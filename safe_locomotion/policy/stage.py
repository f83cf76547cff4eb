"""Policy stage: asks the policy in force for a proposal on each policy tick.

Without a learned policy the stage proposes the nominal gait, with which the MPC follows the
velocity command.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from time import thread_time
from typing import Any, Protocol

from safe_locomotion.control.nominal_gait import GaitSettings, NominalGait
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.types import NANOSECONDS, Estimate, Feedback, Mode, Proposal, VelocityCommand

NOMINAL = "nominal"  #: the policy that is not a file: the gait of the configuration
NOMINAL_PERIOD_NS = 8_000_000  #: 125 Hz (paper 1, section VI)
MOST_LATE = 3  #: late proposals within `LATE_WITHIN_NS` that take a policy back
LATE_WITHIN_NS = NANOSECONDS
TRIAL = 2.0  #: of a new policy [s]; five strides of a trot at 2.5 Hz


class Learner(Protocol):
    """A loaded policy, for example `policy.runtime.PolicyRuntime`.

    Attributes:
        hazard: why the last `act` gave no proposal; "" when it gave one.
    """

    hazard: str

    @property
    def contract(self) -> PolicyContract:
        """Its name, what it proposes, and how often."""
        ...

    def reset(self) -> None:
        """Forget the past, as at the start of an episode."""
        ...

    def act(self, estimate: Estimate, command: VelocityCommand) -> Proposal | None:
        """The proposal; None and a reason in `hazard` when there is none."""
        ...

    def remember(self) -> Any:
        """What `recall` needs to go on from here."""
        ...

    def recall(self, kept: Any) -> None:
        """Go on from where `remember` was called, as if `act` had not been called since."""
        ...


class PolicyStage:
    """Asks the policy in force, and swaps policies between two proposals.

    The policy runs whether it drives or not, so its memory is warm when it gets control back. It is
    reset when it takes over and when the robot begins to walk.

    A new policy is on trial until it has driven for a while; the first policy is not. Each of these
    incidents ends the trial, and brings back the last policy that passed: a fault in its output, a
    command that the gate refuses, recovery taking over, and a fall. Of a policy that explores,
    recovery taking over is expected, and no incident. A policy that is late three times within a
    second of robot time is taken back at any time.

    Attributes:
        name: of the policy in force.
        news: last event of a policy, as text for people; "" at first.
        rollbacks: number of policies that failed their trial.
        fault: of the last proposal.
        latest_s: processor time after which a proposal is late; infinite where nobody waits [s].
    """

    def __init__(
        self,
        robot: RobotModel,
        settings: GaitSettings,
        *,
        period_ns: int = NOMINAL_PERIOD_NS,
        trial: float = TRIAL,
        clock: Callable[[], float] = thread_time,
    ) -> None:
        """Start with the nominal gait.

        Args:
            robot: for which the gait is made.
            settings: of the nominal gait.
            period_ns: robot time between two proposals of the nominal gait.
            trial: how long a new policy must drive without incident [s].
            clock: processor time of the calling thread, which a busy machine does not advance [s].
        """
        self._nominal = NominalGait(robot, settings)
        self._nominal_period_ns = period_ns
        self._trial_ns = round(trial * NANOSECONDS)
        self._learner: Learner | None = None
        self._good: Learner | None = None
        self._next: deque[Learner | None] = deque(maxlen=1)
        self._mode: Mode | None = None
        self._on_trial = False
        self._asked = False
        self._driving_since_ns: int | None = None
        self.name = NOMINAL
        self.news = ""
        self.rollbacks = 0
        self.fault = ""
        self.latest_s = inf
        self._clock = clock
        self._late_ns: deque[int] = deque(maxlen=MOST_LATE)

    def take(self, learner: Learner | None) -> None:
        """Let a policy take over with the next proposal; None is the nominal gait.

        Any thread may call it.
        """
        self._next.append(learner)

    @property
    def taken(self) -> bool:
        """No policy waits to take over."""
        return not self._next

    def update(
        self, estimate: Estimate, command: VelocityCommand, feedback: Feedback | None = None
    ) -> Proposal:
        """The proposal of the policy in force on this stamp.

        Args:
            estimate: of this tick.
            command: velocity in force.
            feedback: on the latest proposals; None when there is none.
        """
        if self._next:
            self._swap(self._next.popleft())
        if feedback is not None:
            self._hear(estimate.stamp_ns, feedback)
        start = self._clock()
        proposal = self._ask(estimate, command)
        late = not self._clock() - start <= self.latest_s
        if proposal.fault and self._on_trial:
            self._roll_back(proposal.fault)
            proposal = self._ask(estimate, command)
        elif late:
            self._note_late(estimate.stamp_ns)
        self.fault = proposal.fault
        return proposal

    @contextmanager
    def suppose(self, command: VelocityCommand) -> Iterator[Callable[[Estimate], Proposal]]:
        """Ask what the policy in force would propose in predicted states, one after the other.

        On leaving the context the policy forgets these states.

        Args:
            command: velocity in force.
        """
        learner = self._learner
        kept = None if learner is None else learner.remember()
        try:
            yield lambda estimate: self._ask(estimate, command)
        finally:
            if learner is not None:
                learner.recall(kept)

    def _ask(self, estimate: Estimate, command: VelocityCommand) -> Proposal:
        learner = self._learner
        stamp_ns = estimate.stamp_ns
        self._asked = True
        if learner is None:
            gait = self._nominal.gait(command, estimate)
            return Proposal(
                stamp_ns=stamp_ns,
                policy=NOMINAL,
                kind="gait",
                gait=gait,
                period_ns=self._nominal_period_ns,
            )
        contract = learner.contract
        proposal = learner.act(estimate, command)
        if proposal is None:
            return Proposal(
                stamp_ns=stamp_ns,
                policy=contract.name,
                kind=contract.kind,
                fault=learner.hazard,
                period_ns=contract.period_ns,
            )
        return Proposal(
            stamp_ns=stamp_ns,
            policy=contract.name,
            kind=contract.kind,
            gait=proposal.gait,
            joints=proposal.joints,
            period_ns=contract.period_ns,
            observation=proposal.observation,
            action=proposal.action,
        )

    def _swap(self, learner: Learner | None) -> None:
        before = self.name
        self._begin(learner)
        self._on_trial = learner is not None and self._asked
        if not self._on_trial:
            self._good = learner
        self.news = f"{self.name} took over from {before}"

    def _begin(self, learner: Learner | None) -> None:
        self._learner = learner
        self._driving_since_ns = None
        self._late_ns.clear()
        self.name = NOMINAL if learner is None else learner.contract.name
        if learner is not None:
            learner.reset()

    def _hear(self, stamp_ns: int, feedback: Feedback) -> None:
        """Reset the policy when a walk begins, and judge a policy on trial."""
        began = feedback.mode is Mode.WALK and self._mode is not Mode.WALK
        self._mode = feedback.mode
        if began and self._learner is not None:
            self._learner.reset()
        if not self._on_trial:
            return
        drives = feedback.mode is Mode.WALK and feedback.policy == self.name
        if self._driving_since_ns is None:
            self._driving_since_ns = stamp_ns if drives else None
        elif incident := _incident(feedback, drives=drives or self._explores):
            self._roll_back(incident)
        elif feedback.mode is not Mode.WALK:
            self._driving_since_ns = None
        elif stamp_ns - self._driving_since_ns >= self._trial_ns:
            self._good = self._learner
            self._on_trial = False

    @property
    def _explores(self) -> bool:
        return self._learner is not None and self._learner.contract.exploration is not None

    def _note_late(self, stamp_ns: int) -> None:
        """Take back a policy whose proposals are late, also one that has passed its trial.

        One that was good then is late now, so the nominal gait comes in its place.
        """
        self._late_ns.append(stamp_ns)
        often = len(self._late_ns) == MOST_LATE
        if not often or stamp_ns - self._late_ns[0] > LATE_WITHIN_NS or self._learner is None:
            return
        if self._good is self._learner:
            self._good = None
        self._roll_back(f"{MOST_LATE} proposals took longer than {1e3 * self.latest_s:g} ms")

    def _roll_back(self, reason: str) -> None:
        failed = self.name
        what = "failed its trial" if self._on_trial else "was taken back"
        self._begin(self._good)
        self._on_trial = False
        self.rollbacks += 1
        self.news = f"{failed} {what} ({reason}); {self.name} is back"


def _incident(feedback: Feedback, *, drives: bool) -> str:
    """Why a policy fails its trial that drove before; "" when it does not fail."""
    if feedback.gate:
        return f"the gate refused: {feedback.gate}"
    if feedback.mode is Mode.FALLEN:
        return "the robot fell"
    return "recovery took over" if feedback.mode is Mode.WALK and not drives else ""
