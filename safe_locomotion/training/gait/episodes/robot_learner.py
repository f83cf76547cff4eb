"""The learner of one robot: TRPO with the rewards of algorithm 1, update by update.

An update takes ten trajectories of the policy that flies, makes the next one, and writes both its
file and a checkpoint. The name of a policy holds the number of updates that made it, so the
trajectories of an update are told apart from all others. A kill at any moment loses nothing but
the update that was being computed, and its repetition gives the same policy.

An update whose policy failed its trial is thrown away: the learner goes back to where it was, and
flies the same weights again under a new name with other noise.
"""

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from safe_locomotion.envs.gait_contract import RATE_HZ, gait_contract
from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.contract import PARITY_PAIRS, Origin, PolicyContract
from safe_locomotion.policy.exploration import MOST, Exploration
from safe_locomotion.policy.file import SUFFIX, read_policy, write_policy
from safe_locomotion.robot.models import load_robot
from safe_locomotion.runtime.disk import replace_file
from safe_locomotion.training.checkpoints import reading
from safe_locomotion.training.exporting import code_commit
from safe_locomotion.training.gait.episodes.trajectories import Trajectory
from safe_locomotion.training.gait.export import network, read_network
from safe_locomotion.training.gait.learners.batch import Batch
from safe_locomotion.training.gait.learners.learner import Shape
from safe_locomotion.training.gait.learners.policy import PolicySettings
from safe_locomotion.training.gait.learners.trpo import ALGORITHM_1, Trpo, TrpoSettings
from safe_locomotion.training.gait.mlp import Mlp
from safe_locomotion.types import Array

CHECKPOINT = "robot_learner.pt"
POLICIES = "policies"
TRAJECTORIES = 10  #: of an update (paper 1, section VI)
OF_TASK = {"two_leg": 5}  #: the same of other tasks (paper 1, section VI)
STARTED_DEVIATION = 0.1  #: of the noise where a trained policy learns on; ours
KNOWN_STEPS = 40_000  #: for which the normaliser of a trained policy counts; ours


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
        start: sha256 of the policy file that learns on; empty for a new policy.
    """

    task: str
    robot: str = "a1"
    name: str = "learner"
    seed: int = 0
    trajectories: int = TRAJECTORIES
    steps: int = 400
    start: str = ""

    @property
    def identity(self) -> str:
        """What a checkpoint must agree with."""
        return json.dumps(asdict(self), sort_keys=True)


class RobotLearner:
    """Learns one policy.

    Attributes:
        options: what is learned.
        history: figures of each update so far.
        rejected: figures and reason of each update that was thrown away.
    """

    def __init__(self, options: RobotLearning, start: Path | None = None) -> None:
        """Begin with a new policy, or with a trained one.

        Args:
            options: what is learned.
            start: policy file that learns on; `options.start` is its digest.

        Raises:
            ConfigurationError: it is of another robot, or has other observations or actions.
        """
        self.options = options
        self.history: list[dict[str, float]] = []
        self.rejected: list[dict[str, Any]] = []
        self._robot = load_robot(options.robot)
        self._task = gait_task(options.task)
        mask = torch.tensor([self._task.free])
        width = self._contract().observation_width
        given = None if start is None else _given(start, self._contract())
        policy = PolicySettings()
        if given is not None:
            policy = PolicySettings(hidden=given.shape.hidden, deviation=STARTED_DEVIATION)
        self._learner = Trpo(
            Shape(observations=width, mask=mask, seeds=[options.seed]),
            TrpoSettings(policy=policy),
            rewards=ALGORITHM_1,
        )
        if given is not None:
            self._take(given)
        self._seen: Array | None = None
        self._before: dict[str, Any] | None = None

    def _take(self, mlp: Mlp) -> None:
        """Go on with the weights and the normaliser of a trained policy."""
        weights = torch.from_numpy(mlp.weights).float()
        self._learner.policies.parameters[0, : len(weights)] = weights
        mean = torch.from_numpy(mlp.normaliser.mean)[None, None]
        deviation = torch.from_numpy(mlp.normaliser.deviation)[None, None]
        count = torch.full((1, 1, 1), float(KNOWN_STEPS), dtype=torch.float64)
        self._learner.normalisers.load_state_dict(
            {
                "mean": mean,
                "deviation": deviation,
                "count": count,
                "sum_mean": mean,
                "squares": deviation.square() * count,
            }
        )

    @property
    def updates(self) -> int:
        """Updates so far."""
        return len(self.history)

    @property
    def policy(self) -> str:
        """Name of the policy that flies now; a second try of the same updates has a number."""
        name = f"{self.options.name}_{self.updates:04d}"
        return f"{name}_{len(self.rejected)}" if self.rejected else name

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
        flown = trajectories[:wanted]
        self._before = {"learner": deepcopy(self._learner.state_dict()), "seen": _kept(self._seen)}
        batch = batch_of(flown, self.options.steps)
        figures = {key: float(value[0]) for key, value in self._learner.update(batch).items()}
        figures |= _measured(flown)
        rows = np.concatenate([one.observations[:-1] for one in flown])
        self._seen = rows[np.linspace(0, len(rows) - 1, PARITY_PAIRS).round().astype(int)]
        self.history.append(figures)
        return figures

    def reject(self, reason: str) -> None:
        """Throw the last update away; its policy failed.

        Raises:
            ConfigurationError: there is none, or it was thrown away before.
        """
        if self._before is None:
            raise ConfigurationError(f"{self.policy}: there is no update to throw away")
        failed = self.policy
        self._learner.load_state_dict(self._before["learner"])
        self._seen = _numbers(self._before["seen"])
        self._before = None
        figures = self.history.pop()
        self.rejected.append({**figures, "policy": failed, "reason": reason})

    @property
    def may_reject(self) -> bool:
        """Whether the last update can be thrown away."""
        return self._before is not None

    def write(self, folder: Path, *, explores: bool = True, name: str = "", flown: int = 0) -> Path:
        """Write the policy that flies now.

        Args:
            folder: of the learner.
            explores: with its noise.
            name: another name than `policy`.
            flown: trajectories that it flew before; those to come then get other noise.

        Returns:
            Path of the file.
        """
        contract = self._contract()
        if explores:
            contract = replace(contract, exploration=self._exploration(flown))
        if name:
            contract = replace(contract, name=name)
        path = folder / POLICIES / f"{contract.name}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        mlp = self._learner.policy_of(0)
        write_policy(network(mlp, contract), contract, path, observations=self._seen)
        return path

    def save(self, folder: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "identity": self.options.identity,
            "learner": self._learner.state_dict(),
            "seen": _kept(self._seen),
            "before": self._before,
            "history": self.history,
            "rejected": self.rejected,
        }
        packed = BytesIO()
        torch.save(state, packed)
        replace_file(folder / CHECKPOINT, packed.getvalue())

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
            self._seen = _numbers(state["seen"])
            self._before = state["before"]
            self.history = list(state["history"])
            self.rejected = list(state["rejected"])

    def _contract(self) -> PolicyContract:
        """Contract of the policy that flies now, without noise."""
        o = self.options
        words = f"safe-locomotion train gait {o.task} --from-episodes ({self.updates} updates)"
        origin = Origin(command=words, seed=o.seed, commit=code_commit())
        return gait_contract(self._robot, self._task, name=self.policy, origin=origin)

    def _exploration(self, flown: int) -> Exploration:
        """Noise of the policy's own deviations, for free actions."""
        policies = self._learner.policies
        mask: Tensor = policies.mask[0, 0]
        deviation = torch.exp(policies.parameters[0, -len(mask) :]) * mask
        return Exploration(
            deviation=tuple(min(MOST, float(value)) for value in deviation),
            seed=self._noise_seed(flown),
        )

    def _noise_seed(self, flown: int) -> int:
        """Another one for each update, each try, and each start within an update."""
        words = (self.options.seed, self.updates, len(self.rejected), flown)
        return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))


def digest_of(path: Path) -> str:
    """Sha256 of a policy file, for `RobotLearning.start`.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigurationError(f"--from {path}: {error.strerror}") from error


def _given(path: Path, own: PolicyContract) -> Mlp:
    """Network of a policy file that can learn this task."""
    contract, data = read_policy(path.resolve())
    for name in ("robot", "observation", "gait"):
        if getattr(contract, name) != getattr(own, name):
            raise ConfigurationError(
                f"--from {path}: its {name} is not that of the task; train it with the same task"
            )
    return read_network(data, path)


def _measured(flown: Sequence[Trajectory]) -> dict[str, float]:
    """Means over the trajectories of what was measured, and the energy of a metre."""
    steps = np.array([len(one) for one in flown], dtype=np.float64)
    out = {"reward": float(np.concatenate([one.rewards for one in flown]).mean())}
    out["walked_s"] = float(steps.sum()) / RATE_HZ
    for name in ("power_w", "speed_mps", "width_m", "streak_s"):
        values = np.array([one.measures.get(name, np.nan) for one in flown])
        out[name] = float((values * steps).sum() / steps.sum())
    out["energy_j_per_m"] = out["power_w"] / max(out["speed_mps"], 0.05)
    return out


def _kept(seen: Array | None) -> Tensor | None:
    return None if seen is None else torch.from_numpy(seen)


def _numbers(kept: Tensor | None) -> Array | None:
    return None if kept is None else kept.numpy()


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
