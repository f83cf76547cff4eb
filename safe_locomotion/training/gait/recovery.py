"""A learned recovery policy for many robots: `policy.learned_recovery` in one network for all."""

from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.file import read_policy
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.training.gait.export import read_network
from safe_locomotion.training.gait.mlp import Mlp
from safe_locomotion.training.gait.world.gait_actions import N_GAIT, GaitActions
from safe_locomotion.types import Array

TUNED = "tuned"  #: names the nominal gait in the place of a file


class BatchedRecovery:
    """Recovery policies of B robots with equal weights and a gait each.

    As on board it acts on every step, also while the learner drives, and its own gait is the
    previous one that it observes. Its tensors stay in their place.

    Attributes:
        gaits: (B, 9) that it wants now.
    """

    def __init__(self, path: Path, robot: RobotModel, robots: int, device: str) -> None:
        """Read the policy.

        Args:
            path: of a policy file that this package exported.
            robot: model of all robots.
            robots: B.
            device: of torch.

        Raises:
            PolicyRefusedError: there is no policy file.
            ConfigurationError: it is for another robot, proposes no gaits, lifts legs, or is no
                network of tanh layers.
        """
        contract, data = read_policy(path.resolve())
        action = contract.gait
        if action is None or action.lifted or contract.robot != robot.name:
            raise ConfigurationError(
                f"--recovery {path}: must be a gait policy of {robot.name} that steps with all "
                f"legs (found a {contract.kind} policy of {contract.robot})"
            )
        self._layers, self._mean, self._scale = _tensors(read_network(data, path), device)
        self._actions = GaitActions([action] * robots, device)

    @property
    def gaits(self) -> Tensor:
        """(B, 9) that it wants now."""
        return self._actions.gait

    def restart(self, mask: Tensor) -> None:
        """Let the robots of a mask (B,) begin with the nominal gait of the policy."""
        self._actions.restart(mask)

    def act(self, observations: Tensor) -> Tensor:
        """Gaits (B, 9) for observations (B, O), whose previous gait is replaced by its own."""
        x = torch.cat((self._actions.gait, observations[:, N_GAIT:]), dim=1)
        x = (x - self._mean) * self._scale
        for matrix, bias in self._layers:
            x = torch.tanh(torch.addmm(bias, x, matrix.T))
        return self._actions.read(x)


def _tensors(mlp: Mlp, device: str) -> tuple[list[tuple[Tensor, Tensor]], Tensor, Tensor]:
    """Layers, mean and 1 / deviation in single precision, as in the file."""

    def tensor(values: Array) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device)

    layers = [(tensor(matrix), tensor(bias)) for matrix, bias in mlp.shape.split(mlp.weights)]
    normaliser = mlp.normaliser
    return layers, tensor(normaliser.mean), tensor(1.0 / normaliser.deviation)


def digest_of(recovery: str) -> str:
    """What identifies a recovery policy: SHA-256 of its file, or the word for the tuned one.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    if recovery == TUNED:
        return TUNED
    try:
        return sha256(Path(recovery).read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigurationError(f"--recovery {recovery}: {error.strerror}") from error
