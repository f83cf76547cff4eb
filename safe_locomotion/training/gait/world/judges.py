"""What interventions of many robots know of each robot, and what they decide."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import warp as wp

from safe_locomotion.config import StackConfig, SupervisorConfig
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.safety.capture_point import CapturePoint
from safe_locomotion.safety.switching_rule import InterventionParameters
from safe_locomotion.safety.trigger_set import N_COMPONENTS
from safe_locomotion.training.gait.world.arrays import Array1, Array2, Integers1, Integers2
from safe_locomotion.training.gait.world.gait import GaitClocks, gait_clocks
from safe_locomotion.training.gait.world.legs import Legs, legs_of
from safe_locomotion.training.gait.world.mean_roll_rate import RollHistories, roll_histories
from safe_locomotion.training.gait.world.switching_rule import SwitchingRules, switching_rules
from safe_locomotion.training.gait.world.trigger_set import TriggerSets, trigger_sets
from safe_locomotion.types import N_LEGS

GAIT = wp.constant(9)  # numbers of a gait: frequency, swing ratio, three offsets, four foot y


@wp.struct
class Decisions:
    """Decisions on one tick, and what was counted, of all robots of a world.

    Attributes:
        recovers: (B,) 1 if the recovery policy drives.
        driving: (B, 9) gait of the policy that drives.
        driving_lifted: (B, 4) 1 for legs that this gait holds in the air.
        triggered: (B,) 1 inside the trigger set, the capture point included where it counts.
        values: (B, 5) components of the trigger set as measured.
        capture: (B,) margin of the capture point, less the robot's `capture_margin`.
        uses: (B,) number of times that recovery took over, since the start.
        recovery_steps: (B,) steps under recovery, since the start.
    """

    recovers: Integers1
    driving: Array2
    driving_lifted: Array2
    triggered: Integers1
    values: Array2
    capture: Array1
    uses: Integers1
    recovery_steps: Integers1


def decisions(robots: int, device: str) -> Any:
    """Zeroed decisions of so many robots."""

    def integers() -> Any:
        return wp.zeros(robots, dtype=int, device=device)

    out = Decisions()
    out.recovers = integers()
    out.driving = wp.zeros((robots, GAIT), dtype=float, device=device)
    out.driving_lifted = wp.zeros((robots, N_LEGS), dtype=float, device=device)
    out.triggered = integers()
    out.values = wp.zeros((robots, N_COMPONENTS), dtype=float, device=device)
    out.capture = wp.zeros(robots, dtype=float, device=device)
    out.uses = integers()
    out.recovery_steps = integers()
    return out


@wp.struct
class Judges:
    """What belongs to the robots that one intervention judges.

    Attributes:
        robots: (B,) their numbers in the world.
        legs: of all of them.
        com: centre of mass in base [m].
        half_width: of the rectangle around the feet of a standing robot [m].
        capture: (B,) 1 if the capture point counts.
        capture_margin: (B,) by which its bound lies within the feet.
        sets, histories, rules, clocks: state and parameters of each.
        learner, recovery, following: (B, 9) gaits on this tick: the learner's if it can be
            executed, the recovery policy's, and that of the policy that drove until now.
        lifted, following_lifted: (B, 4) legs that `learner` and `following` hold in the air.
        alone: (B,) 1 if the learner's gait cannot be executed.
        safe: (B, H) flags of the predictions, see `switching_rule.least_recovery_steps`.
    """

    robots: Integers1
    legs: Legs
    com: wp.vec3
    half_width: float
    capture: Integers1
    capture_margin: Array1
    sets: TriggerSets
    histories: RollHistories
    rules: SwitchingRules
    clocks: GaitClocks
    learner: Array2
    recovery: Array2
    following: Array2
    lifted: Array2
    following_lifted: Array2
    alone: Integers1
    safe: Integers2


def _check(robots: Sequence[int], rules: Sequence[InterventionParameters]) -> None:
    """Refuse what one batch cannot do."""
    if not robots or len(robots) != len(rules):
        raise ConfigurationError(
            "intervention: one supervisor for each of at least one robot is needed "
            f"(found {len(rules)} for {len(robots)} robots)"
        )
    horizons = sorted({rule.horizon for rule in rules})
    if len(horizons) > 1:
        raise ConfigurationError(
            "intervention: horizon: the robots of one batch must share it; make one batch for "
            f"each (found {horizons})"
        )
    if any(rule.rollout != "open_loop" or rule.uncertainty for rule in rules):
        raise ConfigurationError(
            "intervention: a batch predicts in open loop and without uncertainty; set rollout to "
            "open_loop and uncertainty to 0"
        )


def judges_of(
    robot: RobotModel,
    config: StackConfig,
    robots: Sequence[int],
    supervisors: Sequence[SupervisorConfig],
    device: str,
) -> Any:
    """Parameters and state of the judged robots, at the beginning of a walk.

    Args:
        robot: model of all robots.
        config: of the controller, and the period of the policy.
        robots: numbers of the judged robots in the world.
        supervisors: trigger set and intervention of each of them.
        device: of Warp.

    Raises:
        ConfigurationError: the parameters are not those of one batch.
    """
    count = len(robots)
    rules = [supervisor.intervention for supervisor in supervisors]
    _check(robots, rules)
    period_ns = config.policy.period_ns

    def integers(values: Sequence[int]) -> Any:
        return wp.array(np.array(values, dtype=np.int32), dtype=int, device=device)

    out = Judges()
    out.robots = integers(robots)
    out.legs = legs_of(robot, config.bridge.gains, device)
    out.com = wp.vec3(*robot.com.tolist())
    out.half_width = CapturePoint(robot).half_width
    out.capture = integers([rule.capture for rule in rules])
    least = np.array([rule.capture_margin for rule in rules], dtype=np.float32)
    out.capture_margin = wp.array(least, dtype=float, device=device)
    out.sets = trigger_sets(
        [supervisor.trigger_set for supervisor in supervisors],
        config.supervisor.thresholds.fall_height,
        device,
    )
    out.histories = roll_histories(count, period_ns, device)
    out.rules = switching_rules(rules, period_ns, device)
    out.clocks = gait_clocks(count, device)
    for name in ("learner", "recovery", "following"):
        setattr(out, name, wp.zeros((count, GAIT), dtype=float, device=device))
    for name in ("lifted", "following_lifted"):
        setattr(out, name, wp.zeros((count, N_LEGS), dtype=float, device=device))
    out.alone = integers([0] * count)
    out.safe = wp.zeros((count, 1), dtype=int, device=device)
    return out
