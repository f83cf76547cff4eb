"""Switching rules of many robots: `safety.switching_rule` as Warp functions.

Each robot has a criterion of its own. Time is counted in decisions since the walk began.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import warp as wp

from safe_locomotion.safety.switching_rule import CRITERIA, STEP_NS, InterventionParameters
from safe_locomotion.training.gait.world.arrays import Integers1, Integers2
from safe_locomotion.types import NANOSECONDS

OFF = wp.constant(CRITERIA.index("off"))
NAIVE = wp.constant(CRITERIA.index("naive"))
REACHABILITY = wp.constant(CRITERIA.index("reachability"))
PLANNING = wp.constant(CRITERIA.index("planning"))
DWELL = wp.constant(CRITERIA.index("dwell"))
PREDICTED_NS = wp.constant(STEP_NS)
NEVER = wp.constant(-1)


@wp.struct
class SwitchingRules:
    """Criteria, and what the rules remember.

    Attributes:
        criterion: (B,) index into `safety.switching_rule.CRITERIA`.
        dwell: (B,) age of the last trigger at which `dwell` hands back [decisions].
        period_ns: time between two decisions [ns].
        horizon: w.
        now: (B,) number of this decision in the walk.
        recovered_last: (B,) 1 if recovery acted on the last tick.
        triggered_at: (B,) decision of the last trigger, or `NEVER`.
        hand_back_at: (B,) decision at which a plan is over, or `NEVER`.
    """

    criterion: Integers1
    dwell: Integers1
    period_ns: int
    horizon: int
    now: Integers1
    recovered_last: Integers1
    triggered_at: Integers1
    hand_back_at: Integers1


def switching_rules(
    parameters: Sequence[InterventionParameters], period_ns: int, device: str
) -> Any:
    """One rule per robot, at the beginning of a walk."""

    def integers(values: Sequence[int]) -> Any:
        return wp.array(np.array(values, dtype=np.int32), dtype=int, device=device)

    robots = len(parameters)
    dwells = [round(chosen.dwell_time * NANOSECONDS) for chosen in parameters]
    out = SwitchingRules()
    out.criterion = integers([CRITERIA.index(chosen.criterion) for chosen in parameters])
    out.dwell = integers([-(-dwell // period_ns) for dwell in dwells])
    out.period_ns = period_ns
    out.horizon = parameters[0].horizon
    out.now = integers([0] * robots)
    out.recovered_last = integers([1] * robots)
    out.triggered_at = integers([NEVER] * robots)
    out.hand_back_at = integers([NEVER] * robots)
    return out


@wp.func
def restart_rule(rules: SwitchingRules, robot: int) -> None:
    """Begin a walk: recovery has acted until now, and nothing was triggered."""
    rules.now[robot] = 0
    rules.recovered_last[robot] = 1
    rules.triggered_at[robot] = NEVER
    rules.hand_back_at[robot] = NEVER


@wp.func
def least_recovery_steps(safe: Integers2, robot: int) -> int:
    """Least number of recovery steps after which the learner stays safe; 0 if there is none.

    Args:
        safe: (B, H) flags. In prediction i the first i steps are the recovery policy's. The flag
            says that no state after them lies in the trigger set.
        robot: which one.
    """
    least = safe.shape[1]
    for steps in range(1, safe.shape[1]):
        if safe[robot, steps] == 1:
            least = wp.min(least, steps)
    return wp.where(least < safe.shape[1], least, 0)


@wp.func
def plan_is_over(rules: SwitchingRules, robot: int, safe: Integers2) -> bool:
    """Whether the plan is carried out, or is not needed; begins one if there is none."""
    hand_back = rules.hand_back_at[robot]
    now = rules.now[robot]
    if (hand_back != NEVER and now >= hand_back) or safe[robot, 0] == 1:
        return True
    if hand_back == NEVER:
        steps = least_recovery_steps(safe, robot)
        if steps > 0:
            planned = (steps * PREDICTED_NS + rules.period_ns - 1) // rules.period_ns
            rules.hand_back_at[robot] = now + planned
    return False


@wp.func
def may_return(rules: SwitchingRules, robot: int, safe: Integers2) -> bool:
    """Whether the criterion says that the state is safe again."""
    criterion = rules.criterion[robot]
    if criterion == DWELL:
        triggered = rules.triggered_at[robot]
        return triggered == NEVER or rules.now[robot] - triggered >= rules.dwell[robot]
    if criterion == NAIVE or rules.horizon == 0:
        return True
    if criterion == REACHABILITY:
        return safe[robot, 0] == 1
    return plan_is_over(rules, robot, safe)


@wp.func
def recovers(
    rules: SwitchingRules, robot: int, triggered: bool, alone: bool, safe: Integers2
) -> bool:
    """Whether the recovery policy acts on this tick; the next decision is then due.

    Args:
        rules: of the robots that are judged.
        robot: which one.
        triggered: the state lies in the trigger set.
        alone: there is no learner's gait that can be executed.
        safe: (B, H) flags of the predictions, see `least_recovery_steps`.
    """
    acts = bool(True)
    if alone:
        rules.hand_back_at[robot] = NEVER
    else:
        if triggered:
            rules.triggered_at[robot] = rules.now[robot]
            rules.hand_back_at[robot] = NEVER
        if rules.criterion[robot] == OFF:
            acts = False
        elif not triggered:
            acts = False
            if rules.recovered_last[robot] == 1:
                acts = not may_return(rules, robot, safe)
    rules.recovered_last[robot] = wp.where(acts, 1, 0)
    rules.now[robot] = rules.now[robot] + 1
    return acts
