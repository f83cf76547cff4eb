"""Interventions of many robots: `safety.intervention` as Warp kernels, for learners of gaits.

Every robot has a trigger set, measures and a criterion of its own. Only the horizon is common to
the robots of one `BatchedIntervention`. Robots with other horizons need another one beside it,
which writes its decisions to the same arrays.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import warp as wp

from safe_locomotion.config import StackConfig, SupervisorConfig
from safe_locomotion.control.lift import LEAST_LEGS
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.safety.switching_rule import PREDICTING, STEP
from safe_locomotion.training.gait.world.arrays import BLOCK, Array1, Array2, Array4
from safe_locomotion.training.gait.world.capture_point import (
    capture_margin,
    capture_point_beyond,
)
from safe_locomotion.training.gait.world.convex_mpc import AdmmParameters
from safe_locomotion.training.gait.world.estimates import Estimates
from safe_locomotion.training.gait.world.gait import advance_clock, restart_clock
from safe_locomotion.training.gait.world.gait_rollout import EFFORT, BatchedGaitRollout
from safe_locomotion.training.gait.world.judges import GAIT, Decisions, Judges, judges_of
from safe_locomotion.training.gait.world.mean_roll_rate import SECOND
from safe_locomotion.training.gait.world.switching_rule import recovers, restart_rule
from safe_locomotion.training.gait.world.trigger_set import (
    COMPONENTS,
    measure_components,
    measured_safe,
    predicted_component,
    within_box,
)

wp.set_module_options({"block_dim": BLOCK})

PREDICTED = wp.constant(wp.float64(STEP))
AT_START = wp.constant(wp.float64(0.0))
LEGS_NEEDED = wp.constant(float(LEAST_LEGS))


@wp.func
def executable(gaits: Array2, lifted: Array2, robot: int) -> bool:
    """Whether the numbers describe a gait; `control.gait.executable`."""
    legs = float(0.0)
    flags = bool(True)
    for leg in range(4):
        flag = lifted[robot, leg]
        flags = flags and flag * (1.0 - flag) == 0.0
        legs += flag
    leaves_legs = flags and 4.0 - legs >= LEGS_NEEDED
    finite = bool(True)
    for column in range(GAIT):
        finite = finite and wp.isfinite(gaits[robot, column])
    frequency = gaits[robot, 0]
    ratio = gaits[robot, 1]
    return finite and leaves_legs and frequency > 0.0 and ratio > 0.0 and ratio < 1.0


@wp.func
def choose(first: Array2, second: Array2, take_first: bool, column: int, robot: int) -> float:
    """A number of one of two gaits."""
    if take_first:
        return first[robot, column]
    return second[robot, column]


@wp.kernel(enable_backward=False)
def restart_judges(judges: Judges, mask: Array1) -> None:
    """Begin a walk where the mask says so; `Intervention.reset`."""
    judged = wp.tid()
    if mask[judges.robots[judged]] > 0.5:
        restart_rule(judges.rules, judged)
        restart_clock(judges.clocks, judged)
        judges.histories.samples[judged] = 0


@wp.kernel(enable_backward=False)
def measure(
    judges: Judges,
    estimates: Estimates,
    learner: Array2,
    recovery: Array2,
    lifted: Array2,
    out: Decisions,
) -> None:
    """Follow the gait that drove until now, and measure; first half of `Intervention._decide`."""
    judged = wp.tid()
    robot = judges.robots[judged]
    possible = executable(learner, lifted, robot)
    judges.alone[judged] = wp.where(possible, 0, 1)
    recovered = judges.rules.recovered_last[judged] == 1
    for column in range(GAIT):
        judges.recovery[judged, column] = recovery[robot, column]
        judges.learner[judged, column] = choose(learner, recovery, possible, column, robot)
        follows = possible and not recovered
        judges.following[judged, column] = choose(learner, recovery, follows, column, robot)
    for leg in range(4):
        flag = lifted[robot, leg]
        judges.lifted[judged, leg] = wp.where(possible, flag, 0.0)
        judges.following_lifted[judged, leg] = wp.where(possible and not recovered, flag, 0.0)
    elapsed = AT_START
    if judges.rules.now[judged] > 0:
        elapsed = judges.histories.period_ns / SECOND
    following = judges.following_lifted
    advance_clock(judges.clocks, judged, elapsed, judges.following, following, True)
    frequency = judges.following[judged, 0]
    measure_components(
        judges.sets, judges.histories, judged, estimates, robot, frequency, out.values
    )
    outside = not measured_safe(judges.sets, judged, out.values, robot)
    beyond = capture_point_beyond(judges.legs, judges.com, estimates, robot)
    margin = capture_margin(beyond, judges.half_width) - judges.capture_margin[judged]
    out.capture[robot] = margin
    if judges.capture[judged] == 1 and not margin >= 0.0:
        outside = True
    out.triggered[robot] = wp.where(outside, 1, 0)


@wp.kernel(enable_backward=False)
def judge_predictions(judges: Judges, states: Array4, out: Decisions) -> None:
    """Whether each prediction stays out of the trigger set; `Forecaster.safe`.

    In prediction i only the states after the first i steps count.
    """
    judged, prediction = wp.tid()
    robot = judges.robots[judged]
    frequency = judges.learner[judged, 0]
    safe = bool(True)
    for step in range(prediction + 1, states.shape[2]):
        for component in range(COMPONENTS):
            value = predicted_component(
                judges.sets,
                judges.histories,
                judged,
                out.values[robot, component],
                component,
                states,
                prediction,
                step,
                PREDICTED,
                frequency,
            )
            safe = safe and within_box(judges.sets, judged, component, value)
    judges.safe[judged, prediction] = wp.where(safe, 1, 0)


@wp.kernel(enable_backward=False)
def decide_drivers(judges: Judges, out: Decisions) -> None:
    """Let the rule decide, and count; second half of `Intervention._decide`."""
    judged = wp.tid()
    robot = judges.robots[judged]
    recovered = judges.rules.recovered_last[judged]
    triggered = out.triggered[robot] == 1
    alone = judges.alone[judged] == 1
    acts = recovers(judges.rules, judged, triggered, alone, judges.safe)
    out.recovers[robot] = wp.where(acts, 1, 0)
    if acts:
        out.recovery_steps[robot] = out.recovery_steps[robot] + 1
        out.uses[robot] = out.uses[robot] + 1 - recovered
    for column in range(GAIT):
        out.driving[robot, column] = choose(judges.recovery, judges.learner, acts, column, judged)
    for leg in range(4):
        out.driving_lifted[robot, leg] = wp.where(acts, 0.0, judges.lifted[judged, leg])


class BatchedIntervention:
    """Decides for some robots of a world, once per period of the policy.

    `restart` and `decide` only launch kernels, so a CUDA graph can hold them.

    Attributes:
        decisions: of all robots of the world; those of the judged robots are written.
        rollout: predictions of the last tick; None where no criterion looks ahead.
    """

    def __init__(
        self,
        robot: RobotModel,
        config: StackConfig,
        robots: Sequence[int],
        supervisors: Sequence[SupervisorConfig],
        decisions: Any,
        *,
        admm: AdmmParameters = EFFORT,
        device: str = "cpu",
    ) -> None:
        """Prepare the arrays.

        Args:
            robot: model of all robots.
            config: of the controller, and the period of the policy.
            robots: numbers of the judged robots in the world.
            supervisors: trigger set and intervention of each of them.
            decisions: arrays of the whole world to write to.
            admm: effort of the rollout's solver.
            device: of Warp.

        Raises:
            ConfigurationError: the parameters are not those of one batch.
        """
        rules = [supervisor.intervention for supervisor in supervisors]
        self._device = device
        self._judges = judges_of(robot, config, robots, supervisors, device)
        self._none_lifted = wp.zeros_like(decisions.driving_lifted)
        self.decisions = decisions
        self.rollout: BatchedGaitRollout | None = None
        horizon = rules[0].horizon
        criteria = {rule.criterion for rule in rules}
        if horizon > 0 and not criteria.isdisjoint(PREDICTING):
            self.rollout = BatchedGaitRollout(
                robot,
                self._judges.legs,
                reference=config.mpc.locomotion,
                swing=config.mpc.swing,
                mpc=config.mpc.solver,
                steps=horizon,
                robots=self._judges.robots,
                recovery_first="planning" in criteria,
                admm=admm,
                device=device,
            )
            rows = self.rollout.states.shape[:2]
            self._judges.safe = wp.zeros(rows, dtype=int, device=device)

    def restart(self, mask: Any) -> None:
        """Let robots begin a walk on their next decision; the counts go on.

        Args:
            mask: (world,) 1 for a robot that begins, 0 for others.
        """
        self._launch(restart_judges, self._judges, mask)
        if self.rollout is not None:
            self.rollout.restart(mask)

    def decide(
        self, estimates: Any, learner: Any, recovery: Any, commands: Any, lifted: Any = None
    ) -> None:
        """Write the decisions of this tick.

        Args:
            estimates: of all robots of the world.
            learner, recovery: (world, 9) gaits that the two policies want: frequency [Hz], swing
                ratio, offsets of FL, RR and RL, foot y of all legs [m]. Recovery drives where the
                learner's gait cannot be executed.
            commands: (world,) vectors of vx, vy [m/s] and wz [rad/s], the velocities in force.
            lifted: (world, 4) 1 for legs that the learner's gaits hold in the air; None for no leg.
        """
        judges = self._judges
        flags = self._none_lifted if lifted is None else lifted
        self._launch(measure, judges, estimates, learner, recovery, flags, self.decisions)
        if self.rollout is not None:
            gaits = (judges.learner, judges.recovery)
            self.rollout.predict(estimates, judges.clocks, *gaits, commands, judges.lifted)
            wp.launch(
                judge_predictions,
                dim=judges.safe.shape,
                inputs=[judges, self.rollout.states, self.decisions],
                device=self._device,
            )
        self._launch(decide_drivers, judges, self.decisions)

    def _launch(self, kernel: Any, *inputs: Any) -> None:
        robots = len(self._judges.robots)
        wp.launch(kernel, dim=robots, inputs=list(inputs), device=self._device)


def interventions_of(
    robot: RobotModel,
    config: StackConfig,
    supervisors: Sequence[SupervisorConfig],
    out: object,
    device: str,
) -> list[BatchedIntervention]:
    """Interventions of all robots, one for each horizon.

    Args:
        robot: model of all robots.
        config: of its stack.
        supervisors: of each robot.
        out: `Decisions` that all of them write.
        device: of Warp.
    """

    def horizon(member: int) -> int:
        return supervisors[member].intervention.horizon

    made = []
    for _, group in groupby(sorted(range(len(supervisors)), key=horizon), key=horizon):
        members = list(group)
        made.append(
            BatchedIntervention(
                robot,
                config,
                members,
                [supervisors[member] for member in members],
                out,
                device=device,
            )
        )
    return made
