"""Who acts, learner or recovery policy: equations 1 and 2 and definitions 2 and 3 of paper 1.

    a_t from recovery  if  s_t in C_tri  or  (a_t-1 from recovery and not "safe again")
    a_t from learner   otherwise

"Safe again" is tested only if recovery acted last. A learner outside the trigger set may go where
it wants. The criterion says when the state is safe again:

- `off`: recovery never acts; the trigger set is only measured.
- `naive` (equation 1): always, so the trigger set alone decides.
- `reachability` (definition 3): none of the next w predicted states under the learner lies in the
  trigger set.
- `planning` (definition 2): a plan of recovery steps is over. The plan is the least number of
  recovery steps after which the learner stays safe for the rest of the w steps. It is searched
  once. The last action of recovery counts as its first step. The plan ends early if the learner is
  predicted to stay safe at once.
- `dwell`: the last trigger is at least `dwell_time` old (w = 0 and 1 s: the authors' robot).
"""

from dataclasses import dataclass
from math import inf
from typing import Literal, Protocol, get_args

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.types import NANOSECONDS

Criterion = Literal["off", "naive", "reachability", "planning", "dwell"]
Rollout = Literal["open_loop", "closed_loop"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
PREDICTING = ("reachability", "planning")  #: criteria that look ahead
LONGEST_HORIZON = 50  #: steps, 0.8 s: two strides
FARTHEST_CAPTURE = -2.0  #: least `capture_margin`
STEP = 0.016  #: length of a predicted step [s] (paper 1, section VI)
STEP_NS = round(STEP * NANOSECONDS)


@dataclass(frozen=True, kw_only=True, slots=True)
class InterventionParameters:
    """How the supervisor decides between learner and recovery.

    Attributes:
        criterion: when recovery hands back, see above.
        horizon: w, number of predicted steps of 0.016 s.
        dwell_time: age of the last trigger for `dwell` [s].
        rollout: whether learner and MPC are evaluated once per prediction, or at each predicted
            state.
        uncertainty: number of standard deviations of the estimator's height and velocity within
            which the learner must stay safe. 0 tests the estimate alone, as the paper does.
        recovery_speed: share of the wanted velocity that the recovery policy follows.
        capture: whether a capture point beyond the feet belongs to the trigger set, see
            `capture_point.CapturePoint`.
        capture_margin: by how much the bound of the capture point lies within the feet, in halves
            of their width. With 0 it is their edge; a negative one lies beyond it, for stairs.
    """

    criterion: Criterion
    horizon: int
    dwell_time: float
    rollout: Rollout
    uncertainty: float
    recovery_speed: float
    capture: bool
    capture_margin: float

    def __post_init__(self) -> None:
        """Refuse values that no criterion can use."""
        if not 0 <= self.horizon <= LONGEST_HORIZON:
            raise ConfigurationError(
                f"intervention: horizon: must lie within 0 and {LONGEST_HORIZON} "
                f"(found {self.horizon})"
            )
        for name, least in (("recovery_speed", 0.0), ("capture_margin", FARTHEST_CAPTURE)):
            value = getattr(self, name)
            if not least <= value <= 1.0:
                raise ConfigurationError(
                    f"intervention: {name}: must lie within {least:g} and 1 (found {value})"
                )
        if self.criterion == "planning" and self.horizon == 1:
            raise ConfigurationError(
                "intervention: horizon: planning needs 2 steps, one of each policy (found 1)"
            )
        for name in ("dwell_time", "uncertainty"):
            value = getattr(self, name)
            if not 0.0 <= value < inf:
                raise ConfigurationError(
                    f"intervention: {name}: must be finite and not negative (found {value})"
                )


class Outlook(Protocol):
    """Prediction of the next w steps, computed only if the decision depends on it."""

    def learner_stays_safe(self) -> bool:
        """Whether the next w states under the learner stay out of the trigger set."""

    def least_recovery_steps(self) -> int | None:
        """Least number i >= 1 of recovery steps after which the learner stays safe up to step w.

        None if there is no such number.
        """


class SwitchingRule:
    """Equation 2 of paper 1, one decision per policy tick.

    Attributes:
        recovered_last: recovery acted on the last tick.
    """

    def __init__(self, parameters: InterventionParameters) -> None:
        self._p = parameters
        self._dwell_ns = round(parameters.dwell_time * NANOSECONDS)
        self.recovered_last = True
        self._triggered_ns: int | None = None
        self._hand_back_ns: int | None = None

    def reset(self) -> None:
        """Begin a walk: recovery has acted until now, and nothing was triggered."""
        self.recovered_last = True
        self._triggered_ns = None
        self._hand_back_ns = None

    def recovers(self, stamp_ns: int, triggered: bool, outlook: Outlook) -> bool:
        """Whether the recovery policy acts on this tick.

        Args:
            stamp_ns: stamp of this tick.
            triggered: the state lies in the trigger set.
            outlook: prediction from this state on.
        """
        if triggered:
            self._triggered_ns = stamp_ns
            self._hand_back_ns = None
        recovers = self._p.criterion != "off" and (
            triggered or (self.recovered_last and not self._may_return(stamp_ns, outlook))
        )
        self.recovered_last = recovers
        return recovers

    def alone(self) -> bool:
        """Let recovery act because there is no learner; always True.

        It is remembered like any other action of recovery.
        """
        self.recovered_last = True
        self._hand_back_ns = None
        return True

    def _may_return(self, stamp_ns: int, outlook: Outlook) -> bool:
        if self._p.criterion == "dwell":
            return self._triggered_ns is None or stamp_ns - self._triggered_ns >= self._dwell_ns
        if self._p.criterion == "naive" or self._p.horizon == 0:
            return True
        if self._p.criterion == "reachability":
            return outlook.learner_stays_safe()
        return self._plan_is_over(stamp_ns, outlook)

    def _plan_is_over(self, stamp_ns: int, outlook: Outlook) -> bool:
        """Whether the plan has been carried out, or is not needed; begins one if there is none.

        A plan that is over is forgotten when recovery acts again.
        """
        if self._hand_back_ns is not None and stamp_ns >= self._hand_back_ns:
            return True
        if outlook.learner_stays_safe():
            return True
        if self._hand_back_ns is None:
            steps = outlook.least_recovery_steps()
            if steps is not None:
                self._hand_back_ns = stamp_ns + steps * STEP_NS
        return False
