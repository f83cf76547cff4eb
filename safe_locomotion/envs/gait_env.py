"""The gait MDP of paper 1 on the real pipeline and the simulated robot, in one process.

The observation is what the robot would see: the noisy estimate, in the terms of
`policy.observation`. The reward is that of the task, from the simulator's truth.

The supervisor is in the loop with the chosen criterion. While it puts the recovery policy in
charge, the learner's action is still the one that counts, and the reward is 1 less (paper 1,
algorithm 1).

`reset` and `step` have the interface of gymnasium; the package is not needed.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from math import cos, pi, sin
from typing import Any

import numpy as np

from safe_locomotion.config import load_config
from safe_locomotion.envs.gait_contract import RATE_HZ, gait_contract
from safe_locomotion.envs.gait_tasks import StepOutcome, gait_task
from safe_locomotion.envs.stride_mean import StrideMean
from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.policy.contract import Origin, PolicyContract
from safe_locomotion.policy.network import Float32
from safe_locomotion.policy.observation import Observer
from safe_locomotion.policy.runtime import GaitInterpreter
from safe_locomotion.policy.stage import Learner, PolicyStage
from safe_locomotion.rotations import rpy_from_quaternion
from safe_locomotion.safety.intervention import penalised
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.pushes import Push, impulse_in_world
from safe_locomotion.sim.robot import SimulatedRobot, Snapshot
from safe_locomotion.sim.sensors import PERIOD
from safe_locomotion.sim.truth import Truth
from safe_locomotion.types import (
    GRAVITY,
    NANOSECONDS,
    Array,
    Estimate,
    GaitParameters,
    LowState,
    Mode,
    Proposal,
    VelocityCommand,
)

STEP_NS = NANOSECONDS // RATE_HZ
STATES_PER_STEP = round(1.0 / (RATE_HZ * PERIOD))
STAND_UP_LIMIT = 8.0  # s
FIRST_PUSH = 1.5  # s, when the robot has nearly reached its speed
PUSH_INTERVAL = (1.5, 3.0)  # s
UNTRAINED = Origin(command="", seed=0, commit="")


@dataclass(frozen=True, kw_only=True)
class GaitEnvOptions:
    """What an environment simulates.

    Attributes:
        task: key of `gait_tasks.TASKS`.
        duration: of an episode [s].
        command: velocity of every episode; None draws one from the task's ranges.
        command_period: after which a new velocity is drawn [s].
        push_share: share of the episodes with pushes.
        push_impulse: range of a push in a random horizontal direction [N s].
        push_offset: how far before the trunk's centre of mass the pushes attack [m].
        starts: number of robots that stood up once, each with sensor biases of its own. An episode
            begins with one of them.
        supervisor, horizon: criterion and look-ahead of the configuration's `intervention`.
        simulation: its seed is that of the first start.
        overrides: of the robot's configuration, see `config.load_config`.
    """

    task: str = "trot"
    duration: float = 12.0
    command: VelocityCommand | None = None
    command_period: float = 6.0
    push_share: float = 0.0
    push_impulse: tuple[float, float] = (10.0, 30.0)
    push_offset: float = 0.0
    starts: int = 4
    supervisor: str = "off"
    horizon: int = 10
    simulation: SimulationOptions = field(default_factory=SimulationOptions)
    overrides: Mapping[str, Any] = field(default_factory=dict)


class LearnerStage(PolicyStage):
    """Policy stage that proposes the gait last chosen by the learner outside of the pipeline."""

    gait: GaitParameters | None = None

    def update(self, estimate: Estimate, command: VelocityCommand, *_: object) -> Proposal:
        """The learner's gait on this stamp; before its first, the nominal gait."""
        gait = self.gait or self._nominal.gait(command, estimate)
        return Proposal(
            stamp_ns=estimate.stamp_ns, policy="learner", kind="gait", gait=gait, period_ns=STEP_NS
        )


@dataclass(frozen=True, slots=True)
class _Start:
    """A robot that is about to walk, and the pipeline that brought it there."""

    robot: Snapshot
    pipeline: Pipeline


@dataclass(kw_only=True, slots=True)
class _Episode:
    """What was drawn for the episode, and how far it is."""

    commands: list[VelocityCommand]
    pushes: list[Push]
    mean: StrideMean
    steps: int = 0


class GaitEnv:
    """One simulated robot whose gait is chosen 125 times a second.

    Actions are (9,) in [-1, 1] and mean what `contract` says: changes of frequency, swing ratio and
    phase offsets, and values of the feet's y.

    Attributes:
        options: what is simulated.
        config: parameters of the pipeline.
        contract: of a policy for this environment.
        action_size, observation_size: lengths of the two vectors.
        robot, pipeline: of the episode that runs.
        tuned_gait: what the robot does without a learner.
        command: velocity of the episodes to come; None draws one.
        total_steps, step_time: of an episode, and between two actions [s].
        weight: of the robot [N].
    """

    def __init__(self, options: GaitEnvOptions) -> None:
        self.options = options
        self._task = gait_task(options.task)
        self.robot = SimulatedRobot(options.simulation)
        criterion = {
            "supervisor.intervention.criterion": options.supervisor,
            "supervisor.intervention.horizon": options.horizon,
        }
        self.config = load_config(options.simulation.robot, {**criterion, **options.overrides})
        self.contract: PolicyContract = gait_contract(
            self.robot.robot, self._task, name=options.task, origin=UNTRAINED
        )
        assert self.contract.gait is not None
        self.action_size = self.contract.action_width
        self.observation_size = self.contract.observation_width
        self._limit = self.contract.action_limit
        self._observer = Observer(self.contract)
        self._interpreter = GaitInterpreter(self.contract.gait)
        self.tuned_gait = self.config.policy.gait
        self.command = options.command
        self.step_time = STEP_NS / NANOSECONDS
        self.weight = self.robot.robot.mass * GRAVITY
        self._starts: dict[int, _Start] = {}
        self.total_steps = round(options.duration * RATE_HZ)
        self._rng = np.random.default_rng(options.simulation.seed)

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Float32, dict[str, Any]]:
        """Begin an episode: the robot stands and begins to walk.

        Args:
            seed: of everything that is drawn for the episode. Equal seeds and actions give equal
                episodes. None draws a seed.
            options: of gymnasium; not used.

        Returns:
            First observation and an empty mapping.
        """
        seed = int(self._rng.integers(2**31)) if seed is None else seed
        rng = np.random.default_rng(seed)
        start = self._start(int(rng.integers(self.options.starts)))
        self.robot.restore(start.robot, seed=seed)
        self.pipeline = deepcopy(start.pipeline)
        self._stage = LearnerStage(self.robot.robot, self.config.policy.gait)
        self.pipeline.policy = self._stage
        self._interpreter.reset()
        self._previous: list[float] = [0.0] * self.action_size
        self._episode = _Episode(
            commands=self._commands(rng),
            pushes=self._pushes(rng),
            mean=StrideMean(self.config.mpc.locomotion, self.step_time),
        )
        return self._observe(self.robot.low_state()), {}

    def step(self, action: Array) -> tuple[Float32, float, bool, bool, dict[str, Any]]:
        """Walk on for 8 ms with this action.

        Returns:
            Observation, reward, whether the robot fell, whether the time is up, and a mapping:
            `active` (the policy that drove on this step), `reasons` (hazards and triggers of the
            verdict), `fell`, `power` [W], `distance` [m], `velocity_error` [m/s].
        """
        bounded = np.clip(action, -self._limit, self._limit)
        gait = self._interpreter.read(bounded)
        assert gait is not None
        self._previous = bounded.tolist()
        return self.follow(gait)

    def follow(self, gait: GaitParameters) -> tuple[Float32, float, bool, bool, dict[str, Any]]:
        """`step` with the gait parameters, for learners that propose them as on the robot."""
        self._stage.gait = gait
        return self.advance()

    def host(self, learner: Learner | None) -> None:
        """Let a policy of either kind propose in this episode, from a policy stage as on the robot.

        None gives the tuned gait.
        """
        settings = self.config.policy
        self.pipeline.policy = PolicyStage(
            self.robot.robot, settings.gait, period_ns=settings.period_ns
        )
        self.pipeline.policy.take(learner)

    def advance(self) -> tuple[Float32, float, bool, bool, dict[str, Any]]:
        """`step` for a policy stage that chooses its proposals itself."""
        episode = self._episode
        command = self._command()
        before = self.robot.truth()
        fell = False
        power = 0.0
        verdict = None
        for k in range(STATES_PER_STEP):
            if k > 0:
                self._sensed = self.pipeline.sense(self.robot.low_state())
            cycle = self.pipeline.act(self._sensed, command)
            self.pipeline.plan(cycle)
            verdict = verdict or cycle.verdict
            fell |= self.robot.step(cycle.command)
            power += float(np.abs(self.robot.joint_power).sum())
        assert verdict is not None
        truth = self.robot.truth()
        episode.steps += 1
        self._push(truth)
        proposal = self.pipeline.proposal
        gait = verdict.gait if proposal is None or proposal.gait is None else proposal.gait
        outcome = self._outcome(truth, power / STATES_PER_STEP, gait, command)
        reward = penalised(
            self._task.reward(outcome, self.robot.robot), verdict.active == "recovery"
        )
        observation = self._observe(self.robot.low_state())
        mode = self.pipeline.supervisor.mode
        terminated = fell or mode in (Mode.FALLEN, Mode.FAULT)
        info = {
            "active": verdict.active,
            "reasons": verdict.reasons,
            "fell": terminated,
            "power": outcome.power,
            "distance": float(np.hypot(*(truth.position - before.position)[:2])),
            "velocity_error": float(
                np.hypot(
                    outcome.velocity[0] - outcome.command.vx,
                    outcome.velocity[1] - outcome.command.vy,
                )
            ),
        }
        return observation, reward, terminated, episode.steps >= self.total_steps, info

    @property
    def estimate(self) -> Estimate:
        """The estimate now."""
        return self._sensed.estimate

    @property
    def steps(self) -> int:
        """Policy steps of this episode so far."""
        return self._episode.steps

    @property
    def velocity_command(self) -> VelocityCommand:
        """The velocity command in force."""
        return self._command()

    def _observe(self, state: LowState) -> Float32:
        self._sensed = self.pipeline.sense(state)
        return self._observer.write(
            self._sensed.estimate, self._command(), self._previous, self._interpreter.gait
        )[0].copy()

    def _command(self) -> VelocityCommand:
        e = self._episode
        index = int(e.steps / (RATE_HZ * self.options.command_period))
        return e.commands[min(len(e.commands) - 1, index)]

    def _outcome(
        self, truth: Truth, power: float, gait: GaitParameters, command: VelocityCommand
    ) -> StepOutcome:
        roll, pitch, yaw = rpy_from_quaternion(truth.quaternion_wxyz)
        mean = self._episode.mean
        mean.update(truth.velocity, truth.angular_velocity, yaw, command)
        wx, wy, wz = truth.angular_velocity.tolist()
        return StepOutcome(
            height=truth.height,
            velocity=mean.velocity,
            yaw_rate=mean.yaw_rate,
            rates=(wx, wy, wz),
            roll=roll,
            pitch=pitch,
            power=power,
            gait=gait,
            command=mean.command,
        )

    def _push(self, truth: Truth) -> None:
        e = self._episode
        while e.pushes and e.pushes[0].time * RATE_HZ <= e.steps:
            offset = np.array((self.options.push_offset, 0.0, 0.0))
            self.robot.push(impulse_in_world(e.pushes.pop(0), truth.quaternion_wxyz), offset=offset)

    def _commands(self, rng: np.random.Generator) -> list[VelocityCommand]:
        o = self.options
        task = self._task
        count = max(1, round(np.ceil(o.duration / o.command_period)))
        drawn = [
            [float(rng.uniform(*limits)) for limits in (task.vx, task.vy, task.wz)]
            for _ in range(count)
        ]
        return [
            VelocityCommand(vx=vx, vy=vy, wz=wz) if self.command is None else self.command
            for vx, vy, wz in drawn
        ]

    def _pushes(self, rng: np.random.Generator) -> list[Push]:
        """Pushes from random directions until the episode ends, or none."""
        pushes: list[Push] = []
        if rng.random() >= self.options.push_share:
            return pushes
        time = FIRST_PUSH
        while time < self.options.duration - 0.5:
            impulse = rng.uniform(*self.options.push_impulse)
            angle = rng.uniform(0.0, 2.0 * pi)
            pushes.append(
                Push(
                    time=time,
                    impulse=(float(impulse * cos(angle)), float(impulse * sin(angle)), 0.0),
                )
            )
            time += float(rng.uniform(*PUSH_INTERVAL))
        return pushes

    def _start(self, index: int) -> _Start:
        """The start of this number, made at its first use.

        Making one takes seconds, going back to it milliseconds.
        """
        if index not in self._starts:
            simulation = replace(self.options.simulation, seed=self.options.simulation.seed + index)
            self._starts[index] = _stand_up(
                SimulatedRobot(simulation), Pipeline(self.robot.robot, self.config)
            )
        return self._starts[index]


def _stand_up(robot: SimulatedRobot, pipeline: Pipeline) -> _Start:
    """Bring a robot to its feet and let it step on the spot until a tick of the policy.

    Raises:
        SafeLocomotionError: the robot does not stand up in time.
    """
    pipeline.supervisor.request("walk")
    state = robot.low_state()
    while pipeline.supervisor.mode is not Mode.WALK or state.stamp_ns % STEP_NS:
        robot.step(pipeline.step(state, VelocityCommand()).command)
        state = robot.low_state()
        if robot.time_s > STAND_UP_LIMIT:
            raise SafeLocomotionError(
                f"the simulated robot does not stand after {STAND_UP_LIMIT:g} s"
            )
    return _Start(robot.snapshot(), pipeline)
