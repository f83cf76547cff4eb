"""The supervisor once more, on what was recorded: it decides who drives, in the recorded modes.

The question is which policy would have driven, not where the robot would have walked.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from safe_locomotion.robot.models import RobotModel
from safe_locomotion.safety.forecast import Suppose
from safe_locomotion.safety.hazards import HAZARDS, Severity
from safe_locomotion.safety.intervention import Intervention
from safe_locomotion.safety.modes import Conditions, ModeMachine
from safe_locomotion.safety.supervisor import RecoveryPolicy, Supervisor, SupervisorParameters
from safe_locomotion.types import Estimate, Mode, Proposal, VelocityCommand, Verdict

#: Hazards that others report to the supervisor; it finds the rest by itself.
REPORTED_HAZARDS = {name for name, row in HAZARDS.items() if row.raised_by != "supervisor"}


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What holds on one tick, whichever policy drives.

    Attributes:
        mode, mode_since_ns: recorded.
        command: velocity command in force.
        hazards: that other nodes reported to the supervisor.
    """

    mode: Mode
    mode_since_ns: int
    command: VelocityCommand
    hazards: frozenset[str] = frozenset()


class RecordedModes(ModeMachine):
    """Takes the place of the mode machine and gives the recorded modes."""

    def __init__(self) -> None:
        super().__init__(
            settle_time=0.0,
            stand_up_timeout=0.0,
            stop_timeout=0.0,
            self_right_timeout=0.0,
            self_right_unasked=False,
            step_time=0.0,
        )
        # A robot that was told to stop walking has a recorded command of zero.
        self.goal = self.wanted = "walk"
        self._recorded = (Mode.PASSIVE, 0)

    def follow(self, mode: Mode, since_ns: int) -> None:
        """Set the mode of the next tick."""
        self._recorded = (mode, since_ns)

    def update(self, stamp_ns: int, worst: Severity, conditions: Conditions) -> Mode:
        """The recorded mode, for all hazards and conditions."""
        self.mode, self.since_ns = self._recorded
        return self.mode

    def stand_up_overdue(self, stamp_ns: int) -> bool:
        """Never: the recorded modes already follow the timeout."""
        return False

    def self_right_overdue(self, stamp_ns: int) -> bool:
        """Never: the recorded modes already follow the timeout."""
        return False


class ReplayedSupervisor(Supervisor):
    """The supervisor in the recorded modes."""

    def __init__(
        self,
        robot: RobotModel,
        thresholds: SupervisorParameters,
        recovery: RecoveryPolicy,
        intervention: Intervention,
    ) -> None:
        super().__init__(robot, thresholds, recovery, intervention)
        self._modes = self._recorded = RecordedModes()

    def judge(self, estimate: Estimate, proposal: Proposal | None, now: Circumstances) -> Verdict:
        """The verdict under the circumstances of this tick."""
        self._recorded.follow(now.mode, now.mode_since_ns)
        self.report(now.hazards)
        verdict = self.update(estimate, proposal, now.command)
        self.look_ahead()
        return verdict


class RecordedProposals:
    """The proposals of the episode; each is in force until the next."""

    suppose: Suppose | None = None

    def __init__(self, proposals: Sequence[Proposal]) -> None:
        self._proposals = sorted(proposals, key=lambda proposal: proposal.stamp_ns)
        self._stamps = [proposal.stamp_ns for proposal in self._proposals]

    def propose(self, estimate: Estimate, now: Circumstances) -> Proposal | None:
        """The newest recorded proposal at this stamp; None before the first."""
        at = bisect_right(self._stamps, estimate.stamp_ns)
        return self._proposals[at - 1] if at else None
