"""Walks of all robots of a grid: observations, actions, rewards and costs of one round."""

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
import warp as wp
from torch import Tensor

from safe_locomotion.config import load_config
from safe_locomotion.envs.gait_contract import OBSERVATION, gait_contract
from safe_locomotion.envs.gait_env import UNTRAINED
from safe_locomotion.envs.gait_tasks import GaitTask, gait_task
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.term import observation_term
from safe_locomotion.robot.models import load_robot
from safe_locomotion.training.devices import Captured
from safe_locomotion.training.gait.devices import share_stream
from safe_locomotion.training.gait.grid import OTHER_RULES, Run
from safe_locomotion.training.gait.learners.batch import Batch
from safe_locomotion.training.gait.learners.learner import Learner
from safe_locomotion.training.gait.learners.switching import Situation, SwitchingRule
from safe_locomotion.training.gait.pushes import Pushes
from safe_locomotion.training.gait.recovery import TUNED, BatchedRecovery
from safe_locomotion.training.gait.world.gait_actions import N_GAIT, GaitActions
from safe_locomotion.training.gait.world.outcomes import (
    OUTCOME,
    StrideMeans,
    heading_velocity,
    rewards,
    roll_and_pitch,
)
from safe_locomotion.training.gait.world.world import GaitWorld, WorldOptions

STEPS = 400  #: of an episode (paper 1, section VI: 10 trajectories are 4,000 steps)
ROBOTS = 10  #: trajectories of one update
Rules = Sequence[tuple[SwitchingRule, slice]]
OBSERVED = sum(observation_term(name).width for name in OBSERVATION)


class Walks:
    """Robots of R runs, N of each, that walk one episode per round.

    Attributes:
        runs: R of them.
        robots: N.
        steps: T of an episode.
        world: that they walk in.
        gaits: of the learners, summed from their actions.
        tasks: of each run.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        options: WorldOptions,
        *,
        robots: int = ROBOTS,
        steps: int = STEPS,
    ) -> None:
        """Robots that stand.

        Args:
            runs: whose robots walk.
            options: of the world.
            robots: of each run.
            steps: of an episode.
        """
        self.runs = list(runs)
        self.robots = robots
        self.steps = steps
        self.tasks = [gait_task(run.task) for run in runs]
        share_stream(options.device)
        model = load_robot(options.robot)
        configured = load_config(options.robot).supervisor
        each = [run for run in runs for _ in range(robots)]
        self.world = GaitWorld(
            options,
            [run.supervisor(configured) for run in each],
            [run.learner in OTHER_RULES for run in each],
        )
        self._recovery = self._learned_recovery(each, options)
        self._pushes = Pushes(self.runs, robots, steps, self.world.robot, options.device)
        self._contracts = [
            gait_contract(model, task, name=run.task, origin=UNTRAINED)
            for run, task in zip(runs, self.tasks, strict=True)
        ]
        meanings = [contract.gait for contract in self._contracts for _ in range(robots)]
        self.gaits = GaitActions([one for one in meanings if one is not None], options.device)
        self.world.learner_lifted.copy_(self.gaits.lifted)
        self._means = StrideMeans(self.world.config.mpc.locomotion, len(each), options.device)
        self._slices = _slices(self.runs, robots)
        self._rows = _Rows(steps, len(self.runs), robots, options.device)
        self._captured: dict[tuple[object, ...], tuple[Captured, Captured]] = {}

    def _learned_recovery(
        self, runs: Sequence[Run], options: WorldOptions
    ) -> BatchedRecovery | None:
        """The recovery policy of the robots whose run wants a learned one."""
        learned = [run.recovery == "learned" for run in runs]
        if not any(learned):
            return None
        if options.recovery == TUNED:
            raise ConfigurationError("a learned recovery policy is needed: --recovery FILE")
        flags = torch.tensor(learned, dtype=torch.int32, device=options.device)
        self.world.learned.copy_(flags)
        model = self.world.robot
        return BatchedRecovery(Path(options.recovery), model, len(runs), options.device)

    @property
    def free(self) -> Tensor:
        """(R, 9) actions that each run's task leaves to the policy."""
        return torch.tensor([task.free for task in self.tasks], device=self.world.options.device)

    def round(self, learner: Learner, rules: Rules, number: int) -> Batch:
        """Walk one episode with every robot.

        The next round overwrites the batch of this one.

        Args:
            learner: of all runs.
            rules: that decide about recovery, with the runs that each is for.
            number: of the round; together with the runs' seeds it fixes what is drawn.
        """
        propose, judge = self._parts_for(learner, rules)
        rows = self._rows
        self._begin(rules, number)
        noise = learner.draw_noise(self.steps, self.robots)
        for step in range(self.steps):
            rows.noise.copy_(noise[step])
            propose()
            self.world.step()
            judge()
        return Batch(
            observations=self._by_run(rows.observations, 1),
            last_observations=self._by_run(rows.seen),
            actions=self._by_run(rows.actions, 1),
            rewards=self._by_run(rewards(self._slices, rows.outcomes, self.world.robot), 1),
            costs=self._by_run(rows.costs, 1),
            alive=self._by_run(rows.alive, 1),
            recovered=self._by_run(rows.recovered, 1),
            fell=self._by_run(rows.fell),
        )

    def _parts_for(self, learner: Learner, rules: Rules) -> tuple[Captured, Captured]:
        """The operations before and after a step of the world, for one learner and its rules."""
        key = (learner, *(rule for rule, _ in rules))
        if key not in self._captured:
            device = self.world.options.device
            self._captured[key] = (
                Captured(device, partial(self._propose, learner, rules)),
                Captured(device, partial(self._judge, rules)),
            )
        return self._captured[key]

    def _propose(self, learner: Learner, rules: Rules) -> None:
        """What the learners want in what they see, and who asks for recovery."""
        rows = self._rows
        world = self.world
        observations = self._by_run(rows.seen)
        actions = learner.act(observations, rows.noise)
        flat = actions.reshape(-1, N_GAIT)
        rows.write("observations", rows.seen)
        rows.write("actions", flat)
        world.learner_gaits.copy_(self.gaits.read(flat))
        if self._recovery is not None:
            world.learned_gaits.copy_(self._recovery.act(rows.seen))
        self._pushes.begin(rows.at, world.impulses, world.pushed)
        states = self._by_run(states_of(rows.seen))
        asked = self._by_run(world.asked)
        for rule, runs in rules:
            situation = Situation(
                observations=observations[runs], proposals=actions[runs], states=states[runs]
            )
            asked[runs] = rule.recovers(situation).int()

    def _judge(self, rules: Rules) -> None:
        """Outcome, costs and falls of the step, and what is seen after it."""
        rows = self._rows
        world = self.world
        motion = world.motion()
        self._means.update(motion, world.velocity_commands)
        rows.write("outcomes", self._means.outcomes(motion, self.gaits.gait))
        begins = world.fell > 0.5
        falls = rows.walking & begins
        rows.write("costs", falls.float())
        rows.write("alive", rows.walking)
        rows.write("recovered", world.recovers > 0)
        rows.fell.logical_or_(falls)
        rows.walking.logical_and_(~falls)
        rows.at.add_(1)
        self._forget(begins, rules)
        rows.seen.copy_(self.observe())

    def observe(self) -> Tensor:
        """Observations (B, 21) in the order of `gait_contract.OBSERVATION`."""
        seen = self.world.seen
        rotation = wp.to_torch(seen.rotation)
        roll, pitch = roll_and_pitch(rotation)
        return torch.cat(
            (
                self.gaits.gait,
                wp.to_torch(seen.position)[:, 2:],
                torch.stack((roll, pitch), dim=1),
                heading_velocity(rotation, wp.to_torch(seen.velocity)),
                wp.to_torch(seen.rates),
                self.world.velocity_commands,
            ),
            dim=1,
        )

    def _begin(self, rules: Rules, number: int) -> None:
        """Let all robots stand, and draw their commands."""
        drawn = [
            _commands(task, run.seed, number, self.robots)
            for run, task in zip(self.runs, self.tasks, strict=True)
        ]
        commands = torch.tensor(np.concatenate(drawn), dtype=torch.float32)
        self.world.velocity_commands.copy_(commands)
        self._pushes.draw(number)
        self.world.restart(number)
        self._rows.begin()
        self._forget(self._rows.walking, rules)
        self._rows.seen.copy_(self.observe())

    def _forget(self, begins: Tensor, rules: Rules) -> None:
        """Begin the walks of some robots (B,)."""
        self.gaits.restart(begins)
        self._means.restart(begins)
        if self._recovery is not None:
            self._recovery.restart(begins)
        for rule, runs in rules:
            rule.reset(self._by_run(begins)[runs])

    def _by_run(self, values: Tensor, at: int = 0) -> Tensor:
        """View of values whose dimension `at` is the robots (B,), by run and robot (R, N)."""
        shape = values.shape
        return values.view(*shape[:at], len(self.runs), self.robots, *shape[at + 1 :])


class _Rows:
    """What a round collects, in tensors that stay in their place.

    Attributes:
        at: (1,) number of the step.
        noise: (R, N, 9) of the actions of this step.
        seen: (B, O) observations before this step.
        walking: (B,) robots that have not fallen in this round.
        fell: (B,) robots that have.
        outcomes: (T, B, 23) what rewards are computed from at the end of the round.
        observations, actions, costs, alive, recovered: (T, B, ...) as in `Batch`.
    """

    def __init__(self, steps: int, runs: int, robots: int, device: str) -> None:
        everyone = runs * robots
        self.at = torch.zeros(1, dtype=torch.long, device=device)
        self.noise = torch.zeros(runs, robots, N_GAIT, device=device)
        self.seen = torch.zeros(everyone, OBSERVED, device=device)
        self.walking = torch.ones(everyone, dtype=torch.bool, device=device)
        self.fell = torch.zeros(everyone, dtype=torch.bool, device=device)
        self.observations = torch.zeros(steps, everyone, OBSERVED, device=device)
        self.actions = torch.zeros(steps, everyone, N_GAIT, device=device)
        self.outcomes = torch.zeros(steps, everyone, OUTCOME, device=device)
        self.costs = torch.zeros(steps, everyone, device=device)
        self.alive = torch.zeros(steps, everyone, dtype=torch.bool, device=device)
        self.recovered = torch.zeros(steps, everyone, dtype=torch.bool, device=device)

    def begin(self) -> None:
        """Begin a round."""
        self.at.zero_()
        self.walking.fill_(True)
        self.fell.zero_()

    def write(self, name: str, values: Tensor) -> None:
        """Keep values (B, ...) of this step."""
        getattr(self, name).index_copy_(0, self.at, values[None])


def states_of(observations: Tensor) -> Tensor:
    """(B, 5) components of the trigger set as the paper measures them, from observations.

    They are height [m], roll and pitch [rad], lateral velocity [m/s] and roll rate [rad/s].
    """
    seen = observations[:, N_GAIT:].unbind(dim=1)
    height, roll, pitch, _, lateral_velocity, _, roll_rate = seen[:7]
    return torch.stack((height, roll, pitch, lateral_velocity, roll_rate), dim=1)


def _slices(runs: Sequence[Run], robots: int) -> list[tuple[GaitTask, slice]]:
    """Tasks with the robots that they are for, in the order of the runs."""
    out = []
    at = 0
    for name, group in groupby(run.task for run in runs):
        count = robots * len(list(group))
        out.append((gait_task(name), slice(at, at + count)))
        at += count
    return out


def _commands(task: GaitTask, seed: int, number: int, robots: int) -> np.ndarray:
    """Commands (N, 3) of one run in one round."""
    rng = np.random.default_rng([seed, number])
    low, high = np.array([task.vx, task.vy, task.wz]).T
    return rng.uniform(low, high, (robots, 3))
