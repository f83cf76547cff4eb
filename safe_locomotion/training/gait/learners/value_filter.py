"""A filter by a reach-avoid value, as in "Agile But Safe" (He et al., RSS 2024).

    V_t = gamma max(z_t, min(l_t, V_t+1)) + (1 - gamma) max(l_t, z_t)

z > 0 marks failure and l <= 0 the target. V <= 0 says that the learner reaches the target before it
fails. The original drives to a goal. Walking has none, so the target here is a calm state:

    l = tanh(log2(d / d_calm)),   z = 1 on a fall, else -1

d is the distance from the nominal state in units of the trigger set, 1 on its border. As in the
original, z rises linearly to 1 over the last ten steps before a fall, so that a small network can
follow. The recursion here runs back through whole episodes, where the original bootstraps at every
step, and the same walks of the learner fit it again after each round.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from safe_locomotion.training.gait.learners.batch import Batch, samples
from safe_locomotion.training.gait.learners.normaliser import Normalisers
from safe_locomotion.training.gait.learners.streams import Streams
from safe_locomotion.training.gait.learners.switching import Situation
from safe_locomotion.training.gait.learners.values import ValueNetworks, ValueSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterSettings:
    """Settings of the filter.

    Attributes:
        values: of the fit; 64 wide as in the original.
        discount: gamma, as in the original's code.
        margin: recovery acts while V > -margin, as in the original.
        calm: d_calm. Half the way to the trigger set; ours.
        hindsight: steps before a fall on which z rises, as in the original's code.
    """

    values: ValueSettings = field(default_factory=ValueSettings)
    discount: float = 0.999999
    margin: float = 0.05
    calm: float = 0.5
    hindsight: int = 10


def failure_margin(batch: Batch, hindsight: int) -> Tensor:
    """z (T, R, N): 1 on the step of a fall, 2 / hindsight less for each step before it, or -1.

    Args:
        batch: with falls.
        hindsight: steps until -1 is reached.
    """
    count = batch.alive.sum(dim=0)
    step = torch.arange(len(batch.alive), device=batch.alive.device)[:, None, None]
    before = (count - 1)[None] - step
    rising = (1.0 - before * (2.0 / hindsight)).clamp(-1.0, 1.0)
    return torch.where(batch.fell & batch.alive, rising, -1.0)


def reach_avoid(
    failure: Tensor, target: Tensor, last: Tensor, batch: Batch, discount: float
) -> Tensor:
    """V (T, R, N) along the episodes; 0 where not alive.

    Args:
        failure: z (T, R, N).
        target: l (T, R, N).
        last: (R, N) V after the last step of episodes that were cut off. It has no effect where a
            robot fell, because z is 1 on that step.
        batch: of the episodes.
        discount: gamma.
    """
    values = torch.zeros_like(failure)
    ahead = last
    for t in reversed(range(len(failure))):
        reached = torch.maximum(failure[t], torch.minimum(target[t], ahead))
        at_once = torch.maximum(target[t], failure[t])
        value = discount * reached + (1.0 - discount) * at_once
        ahead = torch.where(batch.alive[t], value, ahead)
        values[t] = torch.where(batch.alive[t], value, 0.0)
    return values


class ValueFilter:
    """The switching rule: recovery acts while the value is not safely negative; it has no memory.

    Attributes:
        settings: of the filter.
    """

    def __init__(self, settings: FilterSettings, *, observations: int, streams: Streams) -> None:
        self.settings = settings
        self._streams = streams
        self._values = ValueNetworks(settings.values, observations=observations, streams=streams)
        runs = len(streams.seeds)
        self._normalisers = Normalisers(runs, observations, streams.seeds.device)

    def value(self, observations: Tensor) -> Tensor:
        """(R, N) V between -1 and 1 of observations (R, N, O)."""
        return self._values.predict(self._normalisers(observations)).clamp(-1.0, 1.0)

    def fit(self, batch: Batch, distance: Tensor) -> None:
        """Fit the value to a round of the learner.

        Args:
            batch: the round.
            distance: d (T, R, N) from the nominal state before each step, 1 on the trigger set.
        """
        settings = self.settings
        clean = batch.cleaned()
        rows = samples(clean.observations)
        weights = clean.weights()
        self._normalisers.update(rows, weights > 0.0)
        target = torch.tanh(torch.log2(distance.clamp(min=1e-8) / settings.calm))
        values = reach_avoid(
            failure_margin(clean, settings.hindsight),
            torch.where(clean.alive, target, 1.0),
            self.value(clean.last_observations),
            clean,
            settings.discount,
        )
        targets = samples(values[..., None])[..., 0]
        self._values.fit(self._normalisers(rows), targets, weights, self._streams)

    def reset(self, begins: Tensor) -> None:
        """Nothing to forget."""

    def recovers(self, situation: Situation) -> Tensor:
        """(R, N); a value of NaN counts as unsafe."""
        return ~(self.value(situation.observations) <= -self.settings.margin)

    def state_dict(self) -> dict[str, Any]:
        """Value networks, the scale of the observations and the random streams."""
        return {
            "values": self._values.state_dict(),
            "normalisers": self._normalisers.state_dict(),
            "streams": self._streams.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; tensors change in place."""
        self._values.load_state_dict(state["values"])
        self._normalisers.load_state_dict(state["normalisers"])
        self._streams.load_state_dict(state["streams"])
