"""The learner of one robot: TRPO with the rewards of algorithm 1, update by update.

An update takes ten trajectories of the policy that flies, makes the next one, and writes both its
file and a checkpoint. The name of a policy holds the number of updates that made it, so the
trajectories of an update are told apart from all others. A kill at any moment loses nothing but
the update that was being computed, and its repetition gives the same policy.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from safe_locomotion.envs.gait_contract import gait_contract
from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.contract import PARITY_PAIRS, Origin, PolicyContract
from safe_locomotion.policy.exploration import MOST, Exploration
from safe_locomotion.policy.file import SUFFIX, write_policy
from safe_locomotion.robot.models import load_robot
from safe_locomotion.training.checkpoints import reading
from safe_locomotion.training.exporting import code_commit
from safe_locomotion.training.gait.episodes.trajectories import Trajectory
from safe_locomotion.training.gait.export import network
from safe_locomotion.training.gait.learners.batch import Batch
from safe_locomotion.training.gait.learners.learner import Shape
from safe_locomotion.training.gait.learners.trpo import ALGORITHM_1, Trpo
from safe_locomotion.types import Array

CHECKPOINT = "robot_learner.pt"
POLICIES = "policies"
TRAJECTORIES = 10  #: of an update (paper 1, section VI)
SEEDS = 1_000_003  #: so that the noise of no two updates is the same


@dataclass(frozen=True, kw_only=True)
class RobotLearning:
    """What one robot learns.

    Attributes:
        task: key of `gait_tasks.TASKS`.
        robot: folder under `models/robots`.
        name: of the policies, which are followed by the number of updates.
        seed: of the first weights and of the noise.
        trajectories: of an update.
        steps: of a trajectory.
    """

    task: str
    robot: str = "a1"
    name: str = "learner"
    seed: int = 0
    trajectories: int = TRAJECTORIES
    steps: int = 400

    @property
    def identity(self) -> str:
        """What a checkpoint must agree with."""
        return json.dumps(self.__dict__, sort_keys=True)


class RobotLearner:
    """Learns one policy.

    Attributes:
        options: what is learned.
        history: figures of each update so far.
    """

    def __init__(self, options: RobotLearning) -> None:
        self.options = options
        self.history: list[dict[str, float]] = []
        self._robot = load_robot(options.robot)
        self._task = gait_task(options.task)
        mask = torch.tensor([self._task.free])
        width = self._contract().observation_width
        self._learner = Trpo(
            Shape(observations=width, mask=mask, seeds=[options.seed]), rewards=ALGORITHM_1
        )
        self._seen: Array | None = None

    @property
    def updates(self) -> int:
        """Updates so far."""
        return len(self.history)

    @property
    def policy(self) -> str:
        """Name of the policy that flies now."""
        return f"{self.options.name}_{self.updates:04d}"

    def update(self, trajectories: Sequence[Trajectory]) -> dict[str, float]:
        """Improve the policy with the first trajectories that it flew.

        Raises:
            ConfigurationError: there are too few.
        """
        wanted = self.options.trajectories
        if len(trajectories) < wanted:
            raise ConfigurationError(
                f"{self.policy}: an update needs {wanted} trajectories (found {len(trajectories)})"
            )
        batch = batch_of(trajectories[:wanted], self.options.steps)
        figures = {key: float(value[0]) for key, value in self._learner.update(batch).items()}
        rows = np.concatenate([flown.observations[:-1] for flown in trajectories[:wanted]])
        self._seen = rows[np.linspace(0, len(rows) - 1, PARITY_PAIRS).round().astype(int)]
        self.history.append(figures)
        return figures

    def write(self, folder: Path, *, explores: bool = True, name: str = "") -> Path:
        """Write the policy that flies now, with noise or without; the path of the file."""
        contract = self._contract()
        if explores:
            contract = replace(contract, exploration=self._exploration())
        if name:
            contract = replace(contract, name=name)
        path = folder / POLICIES / f"{contract.name}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        mlp = self._learner.policy_of(0)
        write_policy(network(mlp, contract), contract, path, observations=self._seen)
        return path

    def save(self, folder: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"{CHECKPOINT}.new"
        seen = None if self._seen is None else torch.from_numpy(self._seen)
        state = {
            "identity": self.options.identity,
            "learner": self._learner.state_dict(),
            "seen": seen,
            "history": self.history,
        }
        torch.save(state, new)
        new.replace(folder / CHECKPOINT)

    def load(self, folder: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            ConfigurationError: it belongs to another learner, or cannot be read.
        """
        path = folder / CHECKPOINT
        with reading(path):
            state = torch.load(path, map_location="cpu", weights_only=True)
            identity = state["identity"]
        if identity != self.options.identity:
            raise ConfigurationError(
                f"{path}: belongs to another learner ({identity});"
                " choose an empty folder or the same options"
            )
        with reading(path):
            self._learner.load_state_dict(state["learner"])
            self._seen = None if state["seen"] is None else state["seen"].numpy()
            self.history = list(state["history"])

    def _contract(self) -> PolicyContract:
        """Contract of the policy that flies now, without noise."""
        o = self.options
        words = f"safe-locomotion train gait {o.task} --from-episodes ({self.updates} updates)"
        origin = Origin(command=words, seed=o.seed, commit=code_commit())
        return gait_contract(self._robot, self._task, name=self.policy, origin=origin)

    def _exploration(self) -> Exploration:
        """Noise of the policy's own deviations, for free actions."""
        policies = self._learner.policies
        mask: Tensor = policies.mask[0, 0]
        deviation = torch.exp(policies.parameters[0, -len(mask) :]) * mask
        return Exploration(
            deviation=tuple(min(MOST, float(value)) for value in deviation),
            seed=self.options.seed * SEEDS + self.updates,
        )


def batch_of(trajectories: Sequence[Trajectory], steps: int) -> Batch:
    """The trajectories as one batch of one run."""
    count = len(trajectories)
    observed = trajectories[0].observations.shape[1]
    acted = trajectories[0].actions.shape[1]

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(steps, 1, count, *shape)

    observations = zeros(observed)
    actions = zeros(acted)
    rewards = zeros()
    costs = zeros()
    alive = zeros().bool()
    recovered = zeros().bool()
    last = torch.zeros(1, count, observed)
    for k, flown in enumerate(trajectories):
        length = len(flown)
        observations[:length, 0, k] = _tensor(flown.observations[:-1])
        last[0, k] = _tensor(flown.observations[-1])
        actions[:length, 0, k] = _tensor(flown.actions)
        rewards[:length, 0, k] = _tensor(flown.rewards)
        costs[:length, 0, k] = _tensor(flown.costs)
        recovered[:length, 0, k] = torch.from_numpy(flown.recovered)
        alive[:length, 0, k] = True
    return Batch(
        observations=observations,
        last_observations=last,
        actions=actions,
        rewards=rewards,
        costs=costs,
        alive=alive,
        recovered=recovered,
        fell=torch.tensor([[flown.fell for flown in trajectories]]),
    )


def _tensor(values: Any) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
