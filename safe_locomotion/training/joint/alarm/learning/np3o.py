"""Losses of NP3O and of the auto-encoder: equations 5 to 8 and 16 of the paper.

Every function takes a weight for each sample. Samples of weight 0 do not count.
"""

import math

import torch
from torch import Tensor

LOG_RATIO_MAX = 20.0  #: far outside of what PPO's clip leaves a gradient to
ENTROPY_OF_UNIT = 0.5 + 0.5 * math.log(2.0 * math.pi)  #: of a Gaussian with deviation 1


def mean_of(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over the samples, which are all dimensions of `weight`.

    Args:
        values: (..., H) or (...).
        weight: (...).
    """
    share = weight / weight.sum().clamp(min=1.0)
    dims = tuple(range(weight.dim()))
    wide = share if values.dim() == weight.dim() else share[..., None]
    return (values * wide).sum(dim=dims)


def log_probability(actions: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """log pi(a) (...) of a Gaussian with independent actions (..., A)."""
    scaled = (actions - mean) * torch.exp(-log_deviation)
    return (-0.5 * scaled.square() - log_deviation).sum(dim=-1) - (
        0.5 * math.log(2.0 * math.pi) * actions.shape[-1]
    )


def entropy_of(log_deviation: Tensor) -> Tensor:
    """Entropy (scalar) of the actions."""
    return (log_deviation + ENTROPY_OF_UNIT).sum()


def divergence(
    mean: Tensor, log_deviation: Tensor, old_mean: Tensor, old_log_deviation: Tensor
) -> Tensor:
    """KL(old || new) (...) of Gaussians with independent actions (..., A)."""
    variance = torch.exp(2.0 * log_deviation)
    moved = torch.exp(2.0 * old_log_deviation) + (old_mean - mean).square()
    return (log_deviation - old_log_deviation + 0.5 * (moved / variance - 1.0)).sum(dim=-1)


def probability_ratio(now: Tensor, before: Tensor) -> Tensor:
    """r_t (...) of equations 7 and 8 from log probabilities; it is finite for all finite ones."""
    return torch.exp((now - before).clamp(-LOG_RATIO_MAX, LOG_RATIO_MAX))


def clipped_reward(ratio: Tensor, advantage: Tensor, weight: Tensor, clip: float) -> Tensor:
    """Equation 7 (scalar): E[min(r A~, clip(r) A~)]."""
    bounded = ratio.clamp(1.0 - clip, 1.0 + clip)
    return mean_of(torch.minimum(ratio * advantage, bounded * advantage), weight)


def clipped_costs(ratio: Tensor, advantages: Tensor, weight: Tensor, clip: float) -> Tensor:
    """Equation 8 (C,): E[max(r A~_C, clip(r) A~_C)] of advantages (..., C)."""
    wide = ratio[..., None]
    bounded = wide.clamp(1.0 - clip, 1.0 + clip)
    return mean_of(torch.maximum(wide * advantages, bounded * advantages), weight)


def np3o_objective(reward: Tensor, costs: Tensor, violated: Tensor, kappa: Tensor) -> Tensor:
    """Equation 5 (scalar), to be maximised: L_R - sum_i kappa_i max{0, L_Ci + violation_i}.

    Args:
        reward: L_R of equation 7.
        costs: (C,) of equation 8.
        violated: (C,) second term of equation 6.
        kappa: (C,).
    """
    return reward - (kappa * (costs + violated).clamp(min=0.0)).sum()


def value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, weight: Tensor, clip: float
) -> Tensor:
    """Squared error of all heads (scalar), with PPO's clip of the change of a value."""
    bounded = old_values + (values - old_values).clamp(-clip, clip)
    worst = torch.maximum((values - returns).square(), (bounded - returns).square())
    return mean_of(worst, weight).sum()


def squared_error(estimate: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """MSE (scalar) over samples and numbers, a term of equation 16."""
    return mean_of((estimate - target).square().mean(dim=-1), weight)


def code_divergence(mean: Tensor, log_variance: Tensor, weight: Tensor) -> Tensor:
    """KL divergence (scalar) of a variational code from the unit Gaussian, for DreamWaQ."""
    each = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)
    return mean_of(each.sum(dim=-1), weight)
