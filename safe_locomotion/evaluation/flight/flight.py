"""A supervised flight: a policy walks a course on the simulated robot, and what it did is counted.

The flight runs the control cycle of the robot in one process. The simulator waits for each answer,
so equal seeds give equal flights on every machine.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isnan, nan

import numpy as np

from safe_locomotion.config import load_config
from safe_locomotion.evaluation.flight.course import SETTLE, Segment, length, script
from safe_locomotion.operator.requests import Script
from safe_locomotion.operator.velocity import VelocityInput
from safe_locomotion.pipeline import Cycle, Pipeline
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.robot.models import load_robot
from safe_locomotion.rotations import rotate_plane, rpy_from_quaternion
from safe_locomotion.safety.intervention import InterventionStatistics
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.sim.truth import Truth
from safe_locomotion.types import NANOSECONDS, Array, Mode, VelocityCommand

BRIDGE = 1.0  #: after standing up; recovery may drive until then without being counted [s]
STAND_UP_LIMIT = 10.0  #: [s]
LEAST_DRIVEN = 0.5  #: share of a segment below which its errors say nothing
MOST_SAVES = 3  #: a flight with more ends; a policy that walks needs none on flat ground
LANDING = 1.5  #: for which the tuned controller then stands, so that the flight ends well [s]
TELL_EACH = 50  #: LowStates between two reports of progress
Tell = Callable[[float], None]
GiveUp = Callable[["Followed"], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Followed:
    """How the policy followed one segment, after the first `SETTLE` seconds.

    Attributes:
        segment: name of the segment.
        command: that was in force.
        driven: share of the time in which the policy drove.
        velocity_error: length of the mean planar velocity minus the command [m/s].
        turn_error: of the mean turning rate, without sign [rad/s].

    The errors are means over the time in which the policy drove. They are NaN where it drove for
    less than `LEAST_DRIVEN`.
    """

    segment: str
    command: VelocityCommand
    driven: float
    velocity_error: float
    turn_error: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Flight:
    """What happened in a flight.

    Attributes:
        policy: its name.
        duration: flown after standing up [s]; less than the course where the flight was ended.
        followed: by segment, as far as flown.
        falls: of the robot.
        uses: how often recovery took over from the policy.
        recovery: share of the time that recovery drove, without the first `BRIDGE` seconds.
        triggers: reasons of the supervisor to take over, with their numbers.
        faults: reasons why the policy gave no proposal, with the number of LowStates.
        gate_trips: reasons why the gate refused commands, with the number of LowStates.
        tilt_rate: RMS of roll rate and pitch rate together while the policy drove [rad/s].
        roughness: RMS of the second differences of its joint targets, from proposal to proposal, in
            units of the RMS of the first ones; NaN for a policy without joint targets.
    """

    policy: str
    duration: float
    followed: tuple[Followed, ...]
    falls: int
    uses: int
    recovery: float
    triggers: Counter[str]
    faults: Counter[str]
    gate_trips: Counter[str]
    tilt_rate: float
    roughness: float


def fly(
    contract: PolicyContract,
    model: bytes,
    course: Sequence[Segment],
    *,
    seed: int = 0,
    most_saves: int = MOST_SAVES,
    tell: Tell | None = None,
    give_up: GiveUp | None = None,
) -> Flight:
    """Fly a policy over a course, under the supervisor of its robot's configuration.

    A flight with too many saves ends early: the tuned controller takes over and lets the robot
    stand. A fall ends it at once.

    Args:
        contract: of the policy.
        model: ONNX.
        course: that is walked.
        seed: of the sensor noise.
        most_saves: the largest number of times that recovery may take over.
        tell: is told the time flown [s], ten times in each second of it.
        give_up: is asked after each segment whether the flight ends there.

    Raises:
        PolicyRefusedError: the policy does not run.
        UnknownNameError: there is no such robot.
    """
    robot = load_robot(contract.robot)
    config = load_config(contract.robot)
    log = _Log(course)
    pipeline = Pipeline(robot, config, PolicyRuntime(contract, model, robot))
    simulated = SimulatedRobot(SimulationOptions(robot=contract.robot, seed=seed))
    velocity = VelocityInput(config.supervisor.command)
    operator = Script(script(course))
    statistics = pipeline.supervisor.statistics
    fell = False
    while log.elapsed < length(course) and simulated.time_s < STAND_UP_LIMIT + length(course):
        cycle = _answer(simulated, pipeline, velocity, operator)
        fell = simulated.step(cycle.command)
        if operator.stood_ns is not None:
            log.take(cycle, simulated.truth(), operator.stood_ns)
            if tell is not None and log.ticks % TELL_EACH == 0:
                tell(log.elapsed)
        if fell or statistics.uses > most_saves or log.given_up(give_up):
            break
    if not fell and statistics.uses > most_saves:
        _land(simulated, pipeline)
    return log.flight(contract.name, simulated.falls, statistics)


def _land(simulated: SimulatedRobot, pipeline: Pipeline) -> None:
    """Take the policy away and let the tuned controller bring the robot to stand."""
    pipeline.policy.take(None)
    end = simulated.time_s + LANDING
    while simulated.time_s < end:
        simulated.step(pipeline.step(simulated.low_state(), VelocityCommand()).command)


def _answer(
    simulated: SimulatedRobot, pipeline: Pipeline, velocity: VelocityInput, operator: Script
) -> Cycle:
    """One tick of the pipeline while an operator follows a script."""
    state = simulated.low_state()
    request, wanted = operator.update(state.stamp_ns, pipeline.supervisor.mode)
    if request is not None:
        pipeline.supervisor.request(request)
    velocity.set(state.stamp_ns, wanted.vx, wanted.vy, wanted.wz)
    return pipeline.step(state, velocity.get(state.stamp_ns))


@dataclass(slots=True)
class _Log:
    """Ticks of a flight since the robot stood.

    Attributes:
        course: that is walked.
        elapsed: since the robot stood [s].
        rows: of each tick: time [s], whether the policy drove, true velocity [m/s, m/s, rad/s],
            square of the true roll and pitch rates [rad2/s2].
        targets: of each proposal while the policy drove, its number since the robot stood and its
            joint targets [rad].
        proposals: since the robot stood.
        ended: segments that were judged on the way.
        faults, gate_trips: as in `Flight`.
    """

    course: Sequence[Segment]
    elapsed: float = 0.0
    rows: list[tuple[float, ...]] = field(default_factory=list)
    targets: list[tuple[int, Array]] = field(default_factory=list)
    proposals: int = 0
    ended: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    gate_trips: Counter[str] = field(default_factory=Counter)

    def given_up(self, give_up: GiveUp | None) -> bool:
        """Whether the flight ends with the segment that has just ended."""
        ended = self.ended
        if give_up is None or ended == len(self.course):
            return False
        if self.elapsed < length(self.course[: ended + 1]):
            return False
        self.ended = ended + 1
        found = self._followed(np.array(self.rows, dtype=np.float64))
        return ended < len(found) and give_up(found[ended])

    @property
    def ticks(self) -> int:
        """Since the robot stood."""
        return len(self.rows)

    def take(self, cycle: Cycle, truth: Truth, stood_ns: int) -> None:
        """Count one tick."""
        fresh = cycle.proposal is not None and cycle.proposal.stamp_ns == cycle.state.stamp_ns
        self.elapsed = (cycle.state.stamp_ns - stood_ns) / NANOSECONDS
        if cycle.command.reason:
            self.gate_trips[cycle.command.reason] += 1
        if cycle.proposal is not None and cycle.proposal.fault:
            self.faults[cycle.proposal.fault] += 1
        verdict = cycle.verdict
        drives = verdict.mode is Mode.WALK and verdict.active == "learner"
        yaw = rpy_from_quaternion(truth.quaternion_wxyz)[2]
        planar = rotate_plane(-yaw, *truth.velocity[:2].tolist())
        roll_rate, pitch_rate, turn = truth.angular_velocity.tolist()
        tilting = roll_rate**2 + pitch_rate**2
        self.rows.append((self.elapsed, float(drives), *planar, turn, tilting))
        if cycle.proposal is not None and fresh:
            self.proposals += 1
            if drives and cycle.proposal.joints is not None:
                self.targets.append((self.proposals, cycle.proposal.joints.q))

    def flight(self, policy: str, falls: int, statistics: InterventionStatistics) -> Flight:
        """The flight as far as it was flown."""
        rows = np.array(self.rows, dtype=np.float64).reshape(-1, 6)
        settled = rows[rows[:, 0] >= BRIDGE]
        counted = settled[:, 1]
        tilting = settled[counted > 0.5, 5]
        return Flight(
            policy=policy,
            duration=self.elapsed,
            followed=tuple(self._followed(rows)),
            falls=falls,
            uses=statistics.uses,
            recovery=1.0 - float(counted.mean()) if len(counted) else nan,
            triggers=Counter(statistics.triggers),
            faults=self.faults,
            gate_trips=self.gate_trips,
            tilt_rate=float(np.sqrt(tilting.mean())) if len(tilting) else nan,
            roughness=roughness(self.targets),
        )

    def _followed(self, rows: np.ndarray) -> list[Followed]:
        found = []
        begin = 0.0
        for segment in self.course:
            end = begin + segment.duration
            part = rows[(rows[:, 0] >= begin + SETTLE) & (rows[:, 0] < end)]
            begin = end
            if len(part):
                found.append(_follow(segment, part))
        return found


def _follow(segment: Segment, part: np.ndarray) -> Followed:
    """Errors of one segment from its settled rows."""
    c = segment.command
    driven = float(part[:, 1].mean())
    mean = np.full(3, nan)
    if driven >= LEAST_DRIVEN:
        mean = part[part[:, 1] > 0.5, 2:5].mean(axis=0)
    return Followed(
        segment=segment.name,
        command=c,
        driven=driven,
        velocity_error=float(np.hypot(mean[0] - c.vx, mean[1] - c.vy)),
        turn_error=abs(float(mean[2]) - c.wz),
    )


def roughness(targets: Sequence[tuple[int, Array]]) -> float:
    """RMS of the second differences in units of the RMS of the first ones.

    A sine of frequency f at the rate r gives 2 sin(pi f / r). So half the rate gives almost twice
    as much. NaN where nothing moved.

    Args:
        targets: number of each proposal, and its joint targets [rad]; gaps are not differences.
    """
    if not targets:
        return nan
    numbers = np.array([number for number, _ in targets])
    joints = np.array([q for _, q in targets])
    first = np.diff(joints, axis=0)
    in_order = np.diff(numbers) == 1
    second = np.diff(first, axis=0)[in_order[1:] & in_order[:-1]]
    change = float(np.sum(first[in_order] ** 2)) / max(1, int(in_order.sum()))
    if change == 0.0 or not len(second):
        return nan
    return float(np.sqrt(np.sum(second**2) / len(second) / change))


def largest(errors: Sequence[float]) -> float:
    """The largest error; NaN when one is NaN or there is none."""
    return nan if not errors or any(map(isnan, errors)) else max(errors)
