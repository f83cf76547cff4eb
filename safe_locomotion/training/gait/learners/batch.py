"""What one round of walks gives to a learner: T steps of N robots in each of R runs."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from safe_locomotion.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """One episode of every robot. It ends with a fall or after T steps.

    Attributes:
        observations: (T, R, N, O) before each step.
        last_observations: (R, N, O) after the last step.
        actions: (T, R, N, A) of the learner, also where the recovery policy acted instead.
        rewards, costs: (T, R, N) of each step.
        alive: (T, R, N) the robot had not fallen before this step. Steps after a fall carry no
            information, whatever their numbers are. The step on which it falls is the last alive.
        recovered: (T, R, N) the recovery policy acted on this step.
        fell: (R, N) the episode ended with a fall.
    """

    observations: Tensor
    last_observations: Tensor
    actions: Tensor
    rewards: Tensor
    costs: Tensor
    alive: Tensor
    recovered: Tensor
    fell: Tensor

    def __post_init__(self) -> None:
        """Refuse tensors whose shapes do not fit together."""
        steps = self.rewards.shape
        width = self.observations.shape[-1:]
        expected = {
            "observations": steps + width,
            "last_observations": steps[1:] + width,
            "actions": steps + self.actions.shape[-1:],
            "costs": steps,
            "alive": steps,
            "recovered": steps,
            "fell": steps[1:],
        }
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ConfigurationError(
                    f"batch: {name} must have the shape {tuple(shape)}, found {tuple(found)}"
                )

    def of_runs(self, runs: slice) -> "Batch":
        """The batch of some of the runs, without copies."""
        no_time = ("last_observations", "fell")
        return Batch(
            **{
                field.name: getattr(self, field.name)[runs]
                if field.name in no_time
                else getattr(self, field.name)[:, runs]
                for field in fields(self)
            }
        )

    def copied(self) -> "Batch":
        """The batch in memory of its own, which no later round overwrites."""
        return Batch(**{field.name: getattr(self, field.name).clone() for field in fields(self)})

    def cleaned(self) -> "Batch":
        """The batch with zeros in place of whatever stands after a fall."""
        alive = self.alive
        walking = ~self.fell
        return Batch(
            observations=torch.where(alive[..., None], self.observations, 0.0),
            last_observations=torch.where(walking[..., None], self.last_observations, 0.0),
            actions=torch.where(alive[..., None], self.actions, 0.0),
            rewards=torch.where(alive, self.rewards, 0.0),
            costs=torch.where(alive, self.costs, 0.0),
            alive=alive,
            recovered=self.recovered & alive,
            fell=self.fell,
        )

    def weights(self) -> Tensor:
        """(R, T N) weight of each sample in a mean over the steps alive; they add up to 1."""
        alive = samples(self.alive[..., None])[..., 0].float()
        return alive / alive.sum(dim=1, keepdim=True)

    def figures(self) -> dict[str, Tensor]:
        """(R,) counts of a cleaned batch.

        A use of the recovery policy begins with the step on which it takes over. A walk that begins
        under the recovery policy does not count as a use.
        """
        begins = self.recovered[1:] & ~self.recovered[:-1]
        steps = self.alive.sum(dim=(0, 2))
        return {
            "episode_reward": self.rewards.sum(dim=0).mean(dim=1),
            "episode_cost": self.costs.sum(dim=0).mean(dim=1),
            "falls": self.fell.sum(dim=1).float(),
            "steps": steps.float(),
            "uses": begins.sum(dim=(0, 2)).float(),
            "recovery_share": self.recovered.sum(dim=(0, 2)) / steps,
        }


def samples(values: Tensor) -> Tensor:
    """(R, T N, ...) rows of one run from (T, R, N, ...)."""
    runs = values.shape[1]
    return values.transpose(0, 1).reshape(runs, -1, *values.shape[3:])


def steps(values: Tensor, robots: int) -> Tensor:
    """(T, R, N) from rows (R, T N), the inverse of `samples`."""
    return values.reshape(len(values), -1, robots).transpose(0, 1)
