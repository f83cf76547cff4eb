"""Recorded walks of a wild learner, played to the onboard intervention and to batched ones."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import warp as wp
from core_values import A1, TROT

from safe_locomotion.config import StackConfig, load_config
from safe_locomotion.control.mpc_problem import MpcParameters
from safe_locomotion.control.nominal_gait import NominalGait
from safe_locomotion.envs.gait_env import GaitEnv, GaitEnvOptions
from safe_locomotion.envs.random_gait import RandomGait, RandomWalk
from safe_locomotion.pipeline import make_forecaster
from safe_locomotion.rotations import matrix_from_quaternion
from safe_locomotion.safety.capture_point import CapturePoint
from safe_locomotion.safety.gait_rollout import Inputs, Scene
from safe_locomotion.safety.intervention import Intervention
from safe_locomotion.training.gait.world.convex_mpc import AdmmParameters
from safe_locomotion.training.gait.world.estimates import estimates
from safe_locomotion.training.gait.world.gait_rollout import EFFORT
from safe_locomotion.training.gait.world.intervention import BatchedIntervention
from safe_locomotion.training.gait.world.judges import decisions
from safe_locomotion.types import Array, Estimate, GaitParameters, Proposal, VelocityCommand

PERIOD_NS = 8_000_000
EPISODES = 2
STEPS = 200  #: of an episode at most
FLAT = {"ground_normal": np.array((0.0, 0.0, 1.0)), "ground_height": 0.0}
#: Measures of the paper, in the place of ours.
RAW = {
    "supervisor.trigger_set.roll_rate": "raw",
    "supervisor.trigger_set.attitude": "vertical",
    "supervisor.trigger_set.height": "odom",
    "supervisor.trigger_set.lookahead": 0.0,
    "supervisor.intervention.capture": False,
}
CONFIG = load_config("a1")


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One policy tick of a recorded walk.

    Attributes:
        first: a walk begins here.
        estimate: on flat ground.
        learner, recovery: gaits that the policies want.
        command: in force.
    """

    first: bool
    estimate: Estimate
    learner: GaitParameters
    recovery: GaitParameters
    command: VelocityCommand

    @property
    def proposal(self) -> Proposal:
        """The learner's gait as a proposal."""
        return Proposal(
            stamp_ns=self.estimate.stamp_ns, policy="wild", kind="gait", gait=self.learner
        )


def rounded(values: Array) -> Array:
    """What single precision makes of these numbers."""
    return values.astype(np.float32).astype(np.float64)


def row(gait: GaitParameters) -> list[float]:
    """The nine numbers of a gait."""
    return [gait.frequency, gait.swing_ratio, *gait.phase_offsets, *gait.foot_y]


def gait_of(numbers: Iterable[float]) -> GaitParameters:
    """A gait of nine numbers, as single precision keeps them."""
    frequency, ratio, fl, rr, rl, *foot_y = rounded(np.array(list(numbers))).tolist()
    return GaitParameters(
        frequency=frequency,
        swing_ratio=ratio,
        phase_offsets=(fl, rr, rl),
        foot_y=(foot_y[0], foot_y[1], foot_y[2], foot_y[3]),
    )


def flat(estimate: Estimate, stamp_ns: int) -> Estimate:
    """The estimate on flat ground, in single precision."""
    names = ("position", "velocity", "angular_velocity", "q", "dq")
    numbers = {name: rounded(getattr(estimate, name)) for name in names}
    return replace(estimate, stamp_ns=stamp_ns, **numbers, **FLAT)


@cache
def wild_ticks() -> list[Tick]:
    """Walks under pushes whose gait wanders; the shipped supervisor keeps most of them up."""
    options = GaitEnvOptions(
        duration=STEPS / 125.0,
        push_share=1.0,
        push_impulse=(10.0, 25.0),
        supervisor="reachability",
        starts=1,
    )
    env = GaitEnv(options)
    recovery = NominalGait(A1, CONFIG.supervisor.recovery)
    wild = RandomGait(TROT, 5, RandomWalk(sigma=0.05))
    ticks: list[Tick] = []
    for episode in range(EPISODES):
        env.reset(seed=episode)
        wild.reset()
        over = False
        first = True
        while not over:
            estimate = flat(env.estimate, PERIOD_NS * (1000 * episode + env.steps + 1))
            command = VelocityCommand(
                vx=float(np.float32(env.velocity_command.vx)),
                vy=float(np.float32(env.velocity_command.vy)),
                wz=float(np.float32(env.velocity_command.wz)),
            )
            proposed = wild.act(estimate, command).gait
            assert proposed is not None
            ticks.append(
                Tick(
                    first=first,
                    estimate=estimate,
                    learner=gait_of(row(proposed)),
                    recovery=gait_of(row(recovery.gait(command, estimate))),
                    command=command,
                )
            )
            first = False
            _, _, fell, end, _ = env.follow(proposed)
            over = fell or end
    return ticks


def stack(criterion: str, horizon: int, changes: dict[str, Any] | None = None) -> StackConfig:
    """The A1's configuration with this criterion."""
    chosen = {
        "supervisor.intervention.criterion": criterion,
        "supervisor.intervention.horizon": horizon,
    }
    return load_config("a1", {**chosen, **(changes or {})})


class World:
    """Estimates, gaits and commands of many robots, and the interventions that judge them."""

    def __init__(self, stacks: Sequence[StackConfig], admm: AdmmParameters = EFFORT) -> None:
        """One robot per configuration; those of one horizon are judged together."""
        self.robots = len(stacks)
        self.estimates = estimates(self.robots, "cpu")
        self.decisions = decisions(self.robots, "cpu")
        self.learner = wp.zeros((self.robots, 9), dtype=float)
        self.recovery = wp.zeros((self.robots, 9), dtype=float)
        self.lifted = wp.zeros((self.robots, 4), dtype=float)
        self.commands = wp.zeros(self.robots, dtype=wp.vec3)
        self.interventions: dict[int, BatchedIntervention] = {}
        horizons = [each.supervisor.intervention.horizon for each in stacks]
        for horizon in sorted(set(horizons)):
            judged = [k for k in range(self.robots) if horizons[k] == horizon]
            supervisors = [stacks[k].supervisor for k in judged]
            self.interventions[horizon] = BatchedIntervention(
                A1, stacks[0], judged, supervisors, self.decisions, admm=admm
            )

    def show(self, ticks: Sequence[Tick]) -> None:
        """Let each robot be in the state of a tick."""
        now = [tick.estimate for tick in ticks]
        vectors = {"position": "position", "velocity": "velocity", "rates": "angular_velocity"}
        for name, onboard in vectors.items():
            self._write(getattr(self.estimates, name), [getattr(e, onboard) for e in now])
        turns = [matrix_from_quaternion(e.quaternion_wxyz) for e in now]
        self._write(self.estimates.rotation, turns)
        self._write(self.estimates.joints, [e.q for e in now])
        self._write(self.estimates.joint_rates, [e.dq for e in now])
        self._write(self.learner, [row(tick.learner) for tick in ticks])
        self._write(self.lifted, [tick.learner.lifted for tick in ticks])
        self._write(self.recovery, [row(tick.recovery) for tick in ticks])
        commands = [tick.command for tick in ticks]
        self._write(self.commands, [(c.vx, c.vy, c.wz) for c in commands])

    def restart(self, flags: Sequence[bool]) -> None:
        """Begin new walks."""
        mask = wp.array(np.array(flags, dtype=np.float32), dtype=float)
        for intervention in self.interventions.values():
            intervention.restart(mask)

    def decide(self) -> None:
        """Let all interventions decide."""
        for intervention in self.interventions.values():
            gaits = (self.learner, self.recovery)
            intervention.decide(self.estimates, *gaits, self.commands, self.lifted)

    def play(self, tick: Tick) -> None:
        """The same tick for all robots, up to the decision."""
        self.show([tick] * self.robots)
        if tick.first:
            self.restart([True] * self.robots)
        self.decide()

    @staticmethod
    def _write(array: Any, values: Sequence[Any]) -> None:
        array.assign(np.array(values, dtype=np.float32))


@dataclass(frozen=True, kw_only=True, slots=True)
class Converged(MpcParameters):
    """Parameters whose solver goes on until its residuals are very small.

    The rollout of `safety.gait_rollout` wants few iterations; these parameters do not give in.
    """

    def __post_init__(self) -> None:
        """Put the effort in the place of what was wanted."""
        MpcParameters.__post_init__(self)
        effort = {
            "newton_steps": 100,
            "tolerance": 1e-6,
            "cone_tolerance": 1e-6,
        }
        for name, value in effort.items():
            object.__setattr__(self, name, value)


def converged(config: StackConfig) -> StackConfig:
    """The configuration with a solver that converges."""
    solver = Converged(**asdict(config.mpc.solver))
    return replace(config, mpc=replace(config.mpc, solver=solver))


class Onboard:
    """The onboard intervention of one configuration, which begins anew with each walk."""

    def __init__(self, config: StackConfig) -> None:
        self._config = config

    def restart(self) -> None:
        """Begin a walk."""
        supervisor = self._config.supervisor
        self.forecaster = make_forecaster(A1, self._config)
        self.intervention = Intervention(
            supervisor.intervention, self.forecaster, CapturePoint(A1), PERIOD_NS
        )

    def play(self, tick: Tick) -> bool:
        """Whether recovery drives on this tick."""
        if tick.first:
            self.restart()
        decision = self.intervention.update(
            tick.estimate, tick.proposal, tick.recovery, tick.command
        )
        return decision.recovers

    def inputs(self, tick: Tick) -> tuple[Scene, Inputs]:
        """Scene and inputs of the learner's rollout, after `play`."""
        rollout = self.forecaster.rollout
        scene = rollout.scene(tick.estimate, tick.command)
        inputs = rollout.inputs(scene, tick.estimate.stamp_ns, tick.learner)
        assert inputs is not None
        return scene, inputs
