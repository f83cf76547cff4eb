"""Advantages of the reward and of the costs, and the hybrid advantage (equations 1, 2, 6, 12).

All tensors have heads in their last dimension: the reward first, then the costs. Costs are scaled
by 1 - gamma, so that their values lie within 0 and 1. The normalised advantages and equation 6 do
not change by this: their numerator and sigma share the factor.
"""

import torch
from torch import Tensor

SIGMA_FLOOR = 1e-8  #: of the reward


def generalised_advantages(
    rewards: Tensor, values: Tensor, after: Tensor, ended: Tensor, *, gamma: float, lam: float
) -> Tensor:
    """Generalised advantage estimation (T, N, H) of every head.

    A_t = delta_t + gamma lambda (1 - ended_t) A_t+1,
    delta_t = r_t + gamma V'_t+1 - V_t.

    Args:
        rewards: (T, N, H).
        values: (T, N, H) V_t.
        after: (T, N, H) V'_t+1: the value of the state after the step. It is 0 after a terminal
            step, and the value of the terminal state after a time-out.
        ended: (T, N) bool, by either.
        gamma: discount.
        lam: lambda.
    """
    going = (~ended).float()[..., None]
    delta = rewards + gamma * after - values
    out = torch.empty_like(delta)
    carried = torch.zeros_like(delta[0])
    for t in range(delta.shape[0] - 1, -1, -1):
        carried = delta[t] + gamma * lam * going[t] * carried
        out[t] = carried
    return out


def values_after(
    values: Tensor, last: Tensor, terminal: Tensor, ended: Tensor, timed_out: Tensor
) -> Tensor:
    """V'_t+1 (T, N, H) for `generalised_advantages`.

    Args:
        values: (T, N, H) V_t.
        last: (N, H) values of the states after the window.
        terminal: (T, N, H) values of the states in which episodes ended, of any use only there.
        ended: (T, N) bool.
        timed_out: (T, N) bool: the time was over. This is no consequence of the state.
    """
    following = torch.cat((values[1:], last[None]))
    at_end = torch.where(timed_out[..., None], terminal, 0.0)
    return torch.where(ended[..., None], at_end, following)


def moments(advantages: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
    """mu and sigma (H,) of advantages (T, N, H); sigma is at least `floor` (H,)."""
    mu = advantages.mean(dim=(0, 1))
    sigma = (advantages - mu).square().mean(dim=(0, 1)).sqrt()
    return mu, torch.maximum(sigma, floor)


def violations(
    returns: Tensor, mu: Tensor, sigma: Tensor, limits: Tensor, *, gamma: float
) -> Tensor:
    """Second term (C,) of equation 6: ((1 - gamma) (J_C - epsilon) + mu) / sigma.

    J_C is the mean of the costs' returns over the batch, which stands for states of an endless
    walk. Costs are scaled, and so are J_C, mu, sigma and epsilon.

    Args:
        returns: (T, N, C) of the scaled costs.
        mu, sigma: (C,) of the scaled costs' advantages.
        limits: (C,) epsilon, not scaled.
        gamma: discount.
    """
    j = returns.mean(dim=(0, 1))
    scaled = (1.0 - gamma) * limits
    return ((1.0 - gamma) * (j - scaled) + mu) / sigma


def hybrid_advantage(advantages: Tensor, mu: Tensor, sigma: Tensor, kappa: Tensor) -> Tensor:
    """Equation 12 (scalar): E[A~_R - sum_i kappa_i A~_Ci].

    As written, mu and sigma are those of these very advantages. The result is then 0 up to
    rounding for every policy. With those of the previous iteration it says whether the new policy
    does better than its critic expects, in units of the previous spread.

    Args:
        advantages: (T, N, 1 + C).
        mu, sigma: (1 + C,).
        kappa: (C,).
    """
    normal = ((advantages - mu) / sigma).mean(dim=(0, 1))
    return normal[0] - (kappa * normal[1:]).sum()
