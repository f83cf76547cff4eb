"""Gaits of many robots from the outputs of their policies: `policy.runtime.GaitInterpreter`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from safe_locomotion.policy.action import GaitAction
from safe_locomotion.types import N_LEGS

N_GAIT = 9  #: numbers of a gait: frequency, swing ratio, offsets of FL, RR, RL, foot y
OFFSETS = slice(2, 5)
FEET = slice(5, N_GAIT)


class GaitActions:
    """Sums the actions of each robot within the bounds of its contract.

    Its tensors stay in their place, so that a captured graph stays valid.

    Attributes:
        gait: (B, 9) parameters in force: frequency [Hz], swing ratio, offsets [strides], y [m].
        nominal: (B, 9) parameters at the start of an episode.
        lifted: (B, 4) 1 for legs that the gaits hold in the air.
    """

    def __init__(self, actions: Sequence[GaitAction], device: torch.device | str) -> None:
        """Meanings of the actions, one for each robot."""

        def rows(name: str) -> Tensor:
            return torch.tensor([_row(action, name) for action in actions], device=device)

        self.nominal = rows("nominal")
        flags = [action.lifted_flags for action in actions]
        self.lifted = torch.tensor(flags, dtype=torch.float32, device=device)
        self._scale = rows("scale")
        self._lower = rows("lower")
        self._upper = rows("upper")
        self._clip = torch.tensor([[action.clip] for action in actions], device=device)
        self.gait = self.nominal.clone()

    def restart(self, mask: Tensor) -> None:
        """Let the robots of a mask (B,) begin with their nominal gait."""
        self.gait.copy_(torch.where(mask[:, None], self.nominal, self.gait))

    def read(self, actions: Tensor) -> Tensor:
        """Gaits (B, 9) after one more action (B, 9) of each robot; an action is clipped first."""
        bounded = torch.maximum(torch.minimum(actions, self._clip), -self._clip)
        start = torch.cat((self.gait[:, : FEET.start], self.nominal[:, FEET]), dim=1)
        moved = start + self._scale * bounded
        inside = torch.maximum(torch.minimum(moved, self._upper), self._lower)
        inside[:, OFFSETS] = moved[:, OFFSETS].remainder(1.0).remainder(1.0)
        return self.gait.copy_(inside)


def _row(action: GaitAction, name: str) -> list[float]:
    """One attribute of all terms in the order of a gait."""
    values = [float(value) for term in action.terms for value in getattr(term, name)]
    assert len(values) == FEET.start + N_LEGS
    return values
