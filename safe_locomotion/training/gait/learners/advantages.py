"""Generalised advantage estimation (Schulman et al., ICLR 2016) for episodes that a fall may end.

    delta_t = r_t + gamma c_t V_t+1 - V_t,   A_t = sum over k >= t of (gamma lambda)^(k - t) delta_k

c_t is 0 on the step on which the robot falls, else 1: a walk that is merely cut off after T steps
goes on in the value of its last observation. After a fall every delta is 0, and nobody rises. The
sum is therefore one product with a triangular matrix, which needs no loop over the steps.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class ReturnSettings:
    """Discount and trace.

    Attributes:
        discount: gamma. The paper gives none; 0.99 and 0.95 are the defaults of sb3-contrib's TRPO
            and of OmniSafe's PCPO. 0.99 looks 0.8 s ahead at 125 Hz.
        trace: lambda.
    """

    discount: float = 0.99
    trace: float = 0.95


def advantages(
    rewards: Tensor, values: Tensor, alive: Tensor, fell: Tensor, settings: ReturnSettings
) -> Tensor:
    """Advantages (T, R, N); zeros where not alive.

    Args:
        rewards: (T, R, N).
        values: (T + 1, R, N) of all observations, the last one included.
        alive: (T, R, N), see `Batch`.
        fell: (R, N).
        settings: gamma and lambda.
    """
    steps = len(rewards)
    goes_on = torch.cat([alive[1:], (alive[-1] & ~fell)[None]])
    ahead = torch.where(goes_on, values[1:], 0.0)
    delta = rewards + settings.discount * ahead - values[:-1]
    delta = torch.where(alive, delta, 0.0).double()
    step = torch.arange(steps, device=rewards.device, dtype=torch.float64)
    age = step[None] - step[:, None]
    factor = settings.discount * settings.trace
    decay = torch.where(age >= 0.0, factor ** age.clamp(min=0.0), 0.0)
    summed = (decay @ delta.flatten(1)).view_as(delta)
    return torch.where(alive, summed.float(), 0.0)


def centred(values: Tensor, weights: Tensor) -> Tensor:
    """Values (R, S) less their weighted mean in each run."""
    return values - (weights * values).sum(dim=1, keepdim=True)


def standardised(values: Tensor, weights: Tensor) -> Tensor:
    """Values (R, S) with weighted mean 0 and deviation 1 in each run."""
    centre = centred(values, weights)
    variance = (weights * centre.square()).sum(dim=1, keepdim=True)
    return centre / (variance.sqrt() + 1e-8)


def episode_returns(rewards: Tensor, discount: float) -> Tensor:
    """(R,) discounted return of an episode (T, R, N), averaged over the robots."""
    step = torch.arange(len(rewards), device=rewards.device)
    return (discount ** step[:, None, None] * rewards).sum(dim=0).mean(dim=1)
