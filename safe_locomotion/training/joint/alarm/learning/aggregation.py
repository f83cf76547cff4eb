"""Adaptive aggregation of teacher and student: equations 11, 13 and 14 of the paper."""

import torch
from torch import Tensor


def aggregate(truth: Tensor, estimate: Tensor, beta: Tensor) -> Tensor:
    """Equation 11: (1 - beta) (e, i) + beta (e^, i^).

    Args:
        truth: (..., N, L) explicit states and the teacher's latent.
        estimate: (..., N, L) of the student.
        beta: (N,).
    """
    return torch.lerp(truth, estimate, beta[:, None].expand_as(truth))


def taught(implicit: Tensor, flagged: Tensor) -> Tensor:
    """The teacher's latents (..., N, I); no gradient passes those of flagged robots (N,)."""
    return torch.where(flagged[:, None], implicit.detach(), implicit)


def next_beta(beta: Tensor, flagged: Tensor, gain: Tensor, delta: float) -> Tensor:
    """Equations 13 and 14 (N,): beta + delta where a robot is flagged and the gain is positive.

    Args:
        beta: (N,) within 0 and 1.
        flagged: (N,) bool: the robot has reached the highest terrain level.
        gain: (scalar) difference of the hybrid advantages.
        delta: the increment.
    """
    rises = flagged & (gain > 0.0)
    return (beta + delta * rises).clamp(max=1.0)
