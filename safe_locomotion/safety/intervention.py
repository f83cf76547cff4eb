"""Intervention: whether the learner may drive or the recovery policy must (paper 1, section IV).

It puts trigger set, switching rule and forecast together and decides once per policy tick. The
supervisor handles everything else.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from safe_locomotion.safety.capture_point import CAPTURE, MARGINS, CapturePoint
from safe_locomotion.safety.forecast import Forecast, Forecaster, Moment
from safe_locomotion.safety.switching_rule import InterventionParameters, Outlook, SwitchingRule
from safe_locomotion.safety.trigger_set import Values
from safe_locomotion.types import (
    NANOSECONDS,
    Array,
    Estimate,
    GaitParameters,
    Proposal,
    VelocityCommand,
)

LOOK_NS = 100_000_000  #: robot time between forecasts that are only made to be shown
NEWEST_USES = 1000  #: number of uses whose durations are kept
PENALTY = 1.0  #: penalty of a step under recovery (paper 1, algorithm 1)


def penalised(reward: float, recovered: bool) -> float:
    """Reward to store with the learner's own action (paper 1, algorithm 1).

    It is less by `PENALTY` for a step that the recovery policy took.
    """
    return reward - PENALTY if recovered else reward


@dataclass(slots=True)
class InterventionStatistics:
    """Counts of what the recovery policy did.

    Attributes:
        steps: policy ticks in WALK.
        recovery_steps: those of them that the recovery policy drove.
        uses: number of times it took over from the learner.
        durations: length of each of the newest uses that are over [s].
        triggers: number of entries into the trigger set, by component or `capture`.
    """

    steps: int = 0
    recovery_steps: int = 0
    uses: int = 0
    durations: list[float] = field(default_factory=list)
    triggers: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """Share of steps under recovery; 0 before the first step."""
        return self.recovery_steps / self.steps if self.steps else 0.0

    def figures(self) -> dict[str, str]:
        """All counts as text for a message, with durations of the newest uses [s].

        Any thread may call this.
        """
        longest = sorted(self.durations) or [0.0]
        n = len(longest)
        durations = {"p50": longest[n // 2], "p99": longest[n * 99 // 100], "max": longest[-1]}
        return {
            "steps": str(self.steps),
            "recovery_steps": str(self.recovery_steps),
            "share": f"{self.share:.4f}",
            "uses": str(self.uses),
            **{f"duration_{name}_s": f"{seconds:.3f}" for name, seconds in durations.items()},
            **{f"triggers/{name}": str(self.triggers[name]) for name in MARGINS},
        }


class Decision(NamedTuple):
    """Decision on one tick.

    Attributes:
        recovers: the recovery policy drives.
        margins: margins of the trigger set (`TriggerSet.margins`), and of the capture point if that
            counts, less `capture_margin`.
        predicted: (w + 1, 12) states under the learner. They were computed for this decision, or
            only to be shown, from the estimate of a tick or two before.
    """

    recovers: bool = True
    margins: tuple[tuple[str, float], ...] = ()
    predicted: Array | None = None


class Rule(Protocol):
    """Decides who acts on each tick; `switching_rule.SwitchingRule` is the shipped one."""

    def reset(self) -> None:
        """Begin a walk: recovery has acted until now."""

    def recovers(self, stamp_ns: int, triggered: bool, outlook: Outlook) -> bool:
        """Whether the recovery policy acts on this tick."""

    def alone(self) -> bool:
        """Let recovery act because there is no learner; always True."""


class Intervention:
    """Decides on the first tick of each policy period while the robot walks.

    `update` is called on every tick of the estimate.

    Attributes:
        statistics: counts of what the recovery policy did.
    """

    def __init__(
        self,
        parameters: InterventionParameters,
        forecaster: Forecaster,
        capture: CapturePoint,
        period_ns: int,
    ) -> None:
        self._forecaster = forecaster
        self._period_ns = period_ns
        self._set = forecaster.trigger_set
        self._state = forecaster.state
        self._capture = capture if parameters.capture else None
        self._capture_margin = parameters.capture_margin
        self._intervenes = parameters.criterion != "off"
        self._speed = parameters.recovery_speed
        self._rule: Rule = SwitchingRule(parameters)
        self.statistics = InterventionStatistics()
        self.reset()

    @property
    def measured(self) -> Values:
        """Components of the trigger set at the last decision."""
        return self._state.values

    def judge_by(self, rule: Rule) -> None:
        """Let another rule decide, to compare it with the shipped one.

        The trigger set is measured all the same.
        """
        self._rule = rule
        self._intervenes = True

    def reset(self) -> None:
        """Begin a walk: recovery has acted until now."""
        self._rule.reset()
        self._forecaster.reset()
        self._bucket: int | None = None
        self._looked_ns: int | None = None
        self._took_over_ns: int | None = None
        self._outside: tuple[str, ...] = ()
        self._decision = Decision()
        self._to_look: Moment | None = None
        self._foreseen: Array | None = None

    def update(
        self,
        estimate: Estimate,
        proposal: Proposal | None,
        recovery: GaitParameters,
        command: VelocityCommand,
    ) -> Decision:
        """Who drives on this tick.

        Args:
            estimate: of this tick.
            proposal: proposal of the learner that can be executed; None leaves only the recovery
                policy.
            recovery: gait of the recovery policy.
            command: velocity in force.
        """
        now = Moment(estimate, proposal, recovery, command)
        bucket = estimate.stamp_ns // self._period_ns
        if bucket != self._bucket:
            self._bucket = bucket
            self._to_look = None
            self._decision = self._decide(now)
            return self._decision
        last = self._decision
        recovers = proposal is None or (self._intervenes and last.recovers)
        foreseen = self._foreseen
        self._foreseen = None
        self._to_look = now
        return Decision(recovers, last.margins, foreseen)

    def look_ahead(self) -> None:
        """Predict states that are only shown, if none were computed for `LOOK_NS`.

        It takes as long as half of the control path, so call it when the command is out. Only ticks
        without a decision are looked ahead from, and the next of them shows the states.
        """
        now = self._to_look
        self._to_look = None
        if now is None:
            return
        stamp_ns = now.estimate.stamp_ns
        if self._looked_ns is not None and 0 <= stamp_ns - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = stamp_ns
        forecast = Forecast(self._forecaster, now)
        forecast.look()
        self._foreseen = forecast.states_in_odom()

    def recovery_command(self, wanted: VelocityCommand) -> VelocityCommand:
        """Velocity that the recovery policy follows when `wanted` is in force."""
        s = self._speed
        if s == 1.0:
            return wanted
        return VelocityCommand(vx=s * wanted.vx, vy=s * wanted.vy, wz=s * wanted.wz)

    def _decide(self, now: Moment) -> Decision:
        stamp_ns = now.estimate.stamp_ns
        gait = now.learner_gait
        driving = now.recovery if self._decision.recovers or gait is None else gait
        self._forecaster.follow(now.estimate, driving)
        values = self._state.update(now.estimate, driving.frequency)
        outside = self._set.triggers(values)
        margins = self._set.margins(values)
        if self._capture is not None:
            margin = self._capture.margin(now.estimate) - self._capture_margin
            margins = (*margins, (CAPTURE, margin))
            outside = outside if margin >= 0.0 else (*outside, CAPTURE)
        forecast = Forecast(self._forecaster, now)
        if now.proposal is None:
            recovers = self._rule.alone()
        else:
            recovers = self._rule.recovers(stamp_ns, bool(outside), forecast)
        self._count(stamp_ns, recovers, outside)
        predicted = forecast.states_in_odom()
        if predicted is not None:
            self._looked_ns = stamp_ns
            self._foreseen = None
        return Decision(recovers, margins, predicted)

    def _count(self, stamp_ns: int, recovers: bool, outside: tuple[str, ...]) -> None:
        s = self.statistics
        s.steps += 1
        s.recovery_steps += recovers
        s.triggers.update(name for name in outside if name not in self._outside)
        self._outside = outside
        if recovers and not self._decision.recovers:
            s.uses += 1
            self._took_over_ns = stamp_ns
        elif not recovers and self._took_over_ns is not None:
            s.durations.append((stamp_ns - self._took_over_ns) / NANOSECONDS)
            del s.durations[:-NEWEST_USES]
            self._took_over_ns = None
