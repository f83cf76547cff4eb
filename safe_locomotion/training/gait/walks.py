"""Walks of all robots of a grid: observations, actions, rewards and costs of one round."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch
import warp as wp
from torch import Tensor

from safe_locomotion.config import load_config
from safe_locomotion.envs.gait_contract import OBSERVATION, gait_contract
from safe_locomotion.envs.gait_env import UNTRAINED
from safe_locomotion.envs.gait_tasks import GaitTask, gait_task
from safe_locomotion.policy.contract import observation_term
from safe_locomotion.robot.models import load_robot
from safe_locomotion.training.gait.devices import share_stream
from safe_locomotion.training.gait.grid import OTHER_RULES, Run
from safe_locomotion.training.gait.learners.batch import Batch
from safe_locomotion.training.gait.learners.learner import Learner
from safe_locomotion.training.gait.learners.switching import Situation, SwitchingRule
from safe_locomotion.training.gait.world.gait_actions import N_GAIT, GaitActions
from safe_locomotion.training.gait.world.outcomes import (
    StrideMeans,
    heading_velocity,
    rewards,
    roll_and_pitch,
)
from safe_locomotion.training.gait.world.world import GaitWorld, WorldOptions

STEPS = 400  #: of an episode (paper 1, section VI: 10 trajectories are 4,000 steps)
ROBOTS = 10  #: trajectories of one update
OBSERVED = sum(observation_term(name).width for name in OBSERVATION)


class Walks:
    """Robots of R runs, N of each, that walk one episode per round.

    Attributes:
        runs: R of them.
        robots: N.
        steps: T of an episode.
        world: that they walk in.
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
        self._contracts = [
            gait_contract(model, task, name=run.task, origin=UNTRAINED)
            for run, task in zip(runs, self.tasks, strict=True)
        ]
        meanings = [contract.gait for contract in self._contracts for _ in range(robots)]
        self._actions = GaitActions([one for one in meanings if one is not None], options.device)
        self._means = StrideMeans(self.world.config.mpc.locomotion, len(each), options.device)
        self._slices = _slices(self.runs, robots)
        self._everyone = torch.ones(len(each), dtype=torch.bool, device=options.device)

    @property
    def free(self) -> Tensor:
        """(R, 9) actions that each run's task leaves to the policy."""
        return torch.tensor([task.free for task in self.tasks], device=self._everyone.device)

    def round(
        self, learner: Learner, rules: Sequence[tuple[SwitchingRule, slice]], number: int
    ) -> Batch:
        """Walk one episode with every robot.

        Args:
            learner: of all runs.
            rules: that decide about recovery, with the runs that each is for.
            number: of the round; together with the runs' seeds it fixes what is drawn.
        """
        self._begin(rules, number)
        noise = learner.draw_noise(self.steps, self.robots)
        rows: dict[str, list[Tensor]] = {name: [] for name in _COLUMNS}
        alive = self._everyone.clone()
        fell = torch.zeros_like(alive)
        seen = self.observe()
        for step in range(self.steps):
            actions = learner.act(self._by_run(seen), noise[step])
            values = self._step(actions, rules, seen)
            falls = alive & (self.world.fell > 0.5)
            row = {
                "observations": seen,
                "actions": actions.reshape(-1, N_GAIT),
                "rewards": values,
                "costs": falls.float(),
                "alive": alive,
                "recovered": self.world.recovers > 0,
            }
            for name, value in row.items():
                rows[name].append(self._by_run(value.clone()))
            fell = fell | falls
            alive = alive & ~falls
            self._forget(self.world.fell > 0.5, rules)
            seen = self.observe()
        return Batch(
            **{name: torch.stack(values) for name, values in rows.items()},
            last_observations=self._by_run(seen),
            fell=self._by_run(fell),
        )

    def observe(self) -> Tensor:
        """Observations (B, 21) in the order of `gait_contract.OBSERVATION`."""
        seen = self.world.seen
        rotation = wp.to_torch(seen.rotation)
        roll, pitch = roll_and_pitch(rotation)
        return torch.cat(
            (
                self._actions.gait,
                wp.to_torch(seen.position)[:, 2:],
                torch.stack((roll, pitch), dim=1),
                heading_velocity(rotation, wp.to_torch(seen.velocity)),
                wp.to_torch(seen.rates),
                self.world.velocity_commands,
            ),
            dim=1,
        )

    def _begin(self, rules: Sequence[tuple[SwitchingRule, slice]], number: int) -> None:
        """Let all robots stand, and draw their commands."""
        drawn = [
            _commands(task, run.seed, number, self.robots)
            for run, task in zip(self.runs, self.tasks, strict=True)
        ]
        commands = torch.tensor(np.concatenate(drawn), dtype=torch.float32)
        self.world.velocity_commands.copy_(commands)
        self.world.restart(number)
        self._forget(self._everyone, rules)

    def _forget(self, begins: Tensor, rules: Sequence[tuple[SwitchingRule, slice]]) -> None:
        """Begin the walks of some robots (B,)."""
        self._actions.restart(begins)
        self._means.restart(begins)
        for rule, runs in rules:
            rule.reset(self._by_run(begins)[runs])

    def _step(
        self, actions: Tensor, rules: Sequence[tuple[SwitchingRule, slice]], seen: Tensor
    ) -> Tensor:
        """Walk one policy step and return the rewards (B,)."""
        world = self.world
        world.learner_gaits.copy_(self._actions.read(actions.reshape(-1, N_GAIT)))
        if rules:
            observations = self._by_run(seen)
            states = self._by_run(states_of(seen))
            asked = self._by_run(world.asked)
            for rule, runs in rules:
                situation = Situation(
                    observations=observations[runs],
                    proposals=actions[runs],
                    states=states[runs],
                )
                asked[runs] = rule.recovers(situation).int()
        world.step()
        motion = world.motion()
        self._means.update(motion, world.velocity_commands)
        outcome = self._means.outcome(motion, self._actions.gait)
        return rewards(self._slices, outcome, world.robot, world.robots)

    def _by_run(self, values: Tensor) -> Tensor:
        """(R, N, ...) view of values (B, ...)."""
        return values.view(len(self.runs), self.robots, *values.shape[1:])


_COLUMNS = ("observations", "actions", "rewards", "costs", "alive", "recovered")


def states_of(observations: Tensor) -> Tensor:
    """(B, 5) components of the trigger set as the paper measures them, from observations.

    They are height [m], roll and pitch [rad], lateral velocity [m/s] and roll rate [rad/s].
    """
    height = N_GAIT
    columns = [height, height + 1, height + 2, height + 4, height + 6]
    return observations[:, columns]


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
