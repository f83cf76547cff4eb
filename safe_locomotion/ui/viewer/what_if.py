"""What if: the supervisor judges the recorded minute once more, with another criterion.

It is the supervisor that flies (`safety.supervisor`), with its rollout. It runs in a process of
its own, which the system only serves when nothing else wants the processor.

The answer is open loop. After the first decision that differs, the robot would have moved in
another way.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from safe_locomotion.config import StackConfig
from safe_locomotion.nodes import conversions, decisions, views
from safe_locomotion.nodes.conversions import MalformedMessageError
from safe_locomotion.pipeline import make_intervention, make_recovery
from safe_locomotion.robot.models import RobotModel, load_robot
from safe_locomotion.safety.replayed import (
    REPORTED_HAZARDS,
    Circumstances,
    RecordedProposals,
    ReplayedSupervisor,
)
from safe_locomotion.safety.switching_rule import Criterion, InterventionParameters
from safe_locomotion.types import Estimate, VelocityCommand, Verdict
from safe_locomotion.ui.viewer.minute import Kind, Packed, Passage, kind_of, passages


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What differs from the flight.

    Attributes:
        criterion: see `switching_rule`.
        horizon: w, steps of 0.016 s.
        capture: whether the capture point belongs to the trigger set.
    """

    criterion: Criterion
    horizon: int
    capture: bool

    def of(self, flown: InterventionParameters) -> InterventionParameters:
        """The parameters with this change.

        Raises:
            ConfigurationError: they do not fit together.
        """
        return replace(flown, criterion=self.criterion, horizon=self.horizon, capture=self.capture)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the process is asked.

    Attributes:
        robot: its name.
        config: of the flight.
        change: to it.
        packed: the recorded messages.
    """

    robot: str
    config: StackConfig
    change: Change
    packed: Packed


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Who would have driven.

    Attributes:
        again: under the settings of the flight. It shows how far the answer can be trusted.
        changed: under the changed settings.
    """

    again: tuple[Passage, ...]
    changed: tuple[Passage, ...]


def answer(question: Question) -> Answer:
    """Judge the minute twice.

    Raises:
        SafeLocomotionError: the settings do not fit together, or the recovery policy is refused.
    """
    robot = load_robot(question.robot)
    flown = question.config.supervisor.intervention
    changed = question.change.of(flown)
    moments = Moments(question.packed, flown.recovery_speed)

    def judged(parameters: InterventionParameters) -> tuple[Passage, ...]:
        supervisor = replace(question.config.supervisor, intervention=parameters)
        return moments.judged(robot, replace(question.config, supervisor=supervisor))

    again = judged(flown)
    return Answer(again=again, changed=again if changed == flown else judged(changed))


class Moments:
    """Unpacked messages: estimates, and what held on each."""

    def __init__(self, packed: Packed, recovery_speed: float) -> None:
        """Unpack; malformed messages are left out.

        Args:
            packed: of one minute.
            recovery_speed: share of the wanted velocity that recovery followed. With 0 the wanted
                velocity is unknown, and taken as zero.
        """
        self._estimates: list[Estimate] = _read(
            packed.estimates, Float64MultiArray, conversions.estimate_from
        )
        self._verdicts: list[Verdict] = _read(packed.verdicts, JointState, decisions.verdict_from)
        self._stamps = [verdict.stamp_ns for verdict in self._verdicts]
        self._proposals = RecordedProposals(
            _read(packed.proposals, JointState, decisions.proposal_from)
        )
        self._speed = recovery_speed or 1.0

    def judged(self, robot: RobotModel, config: StackConfig) -> tuple[Passage, ...]:
        """Who drives when a supervisor of this configuration decides."""
        supervisor = ReplayedSupervisor(
            robot,
            config.supervisor.thresholds,
            make_recovery(robot, config),
            make_intervention(robot, config),
        )
        rows: list[tuple[int, Kind]] = []
        for estimate in self._estimates:
            at = bisect_right(self._stamps, estimate.stamp_ns)
            if at == 0:
                continue
            now = self._circumstances(self._verdicts[at - 1])
            proposal = self._proposals.propose(estimate, now)
            verdict = supervisor.judge(estimate, proposal, now)
            rows.append((verdict.stamp_ns, kind_of(verdict.mode, verdict.active)))
        return tuple(passages(rows))

    def _circumstances(self, verdict: Verdict) -> Circumstances:
        speed = self._speed if verdict.active == "recovery" else 1.0
        command = verdict.command
        return Circumstances(
            mode=verdict.mode,
            mode_since_ns=verdict.mode_since_ns,
            command=VelocityCommand(
                vx=command.vx / speed, vy=command.vy / speed, wz=command.wz / speed
            ),
            hazards=frozenset(REPORTED_HAZARDS.intersection(verdict.reasons)),
        )


def _read(packed: Iterable[bytes], kind: type, convert: Callable[[Any], Any]) -> list[Any]:
    """Values of messages by stamp, each stamp once."""
    values: dict[int, Any] = {}
    for message in packed:
        try:
            value = convert(views.read(message, kind))
        except MalformedMessageError:
            continue
        if value is not None:
            values[value.stamp_ns] = value
    return [values[stamp] for stamp in sorted(values)]


def takeovers(found: Sequence[Passage]) -> tuple[int, float]:
    """How often recovery drove, and for how long altogether [s]."""
    drives = [passage for passage in found if passage.kind == "recovery"]
    return len(drives), sum(passage.end_ns - passage.begin_ns for passage in drives) / 1e9
