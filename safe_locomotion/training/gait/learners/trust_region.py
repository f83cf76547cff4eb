"""Natural gradient step within a trust region, for R runs at once (Schulman et al., ICML 2015).

    maximise g' s  subject to  1/2 s' H s <= delta:   s = sqrt(2 delta / g' H^-1 g) H^-1 g

H is the Fisher matrix, known by its products only. H^-1 g comes from conjugate gradients, and a
backtracking line search checks the true objective and divergence. Each run has its own step
lengths. Runs that are done keep their answer while the others go on, so no run waits for the host.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]
Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]
SMALLEST = 1e-20  #: curvature below it is taken for none


@dataclass(frozen=True, kw_only=True, slots=True)
class TrustRegion:
    """Settings of the step.

    Attributes:
        radius: delta [nats]; 0.01 as in the TRPO paper (appendix E) and in sb3-contrib.
        damping: added to the diagonal of H; 0.1 as in the TRPO paper (appendix C.1).
        iterations: of conjugate gradients; 10 as in the TRPO paper (appendix C).
        residual: squared norm of the residual at which a run is solved, as in sb3-contrib.
        backtracks: number of step lengths that are tried; 10 times 0.8 as in sb3-contrib.
        shrink: factor between two of them.
    """

    radius: float = 0.01
    damping: float = 0.1
    iterations: int = 10
    residual: float = 1e-10
    backtracks: int = 10
    shrink: float = 0.8


def dot(a: Tensor, b: Tensor) -> Tensor:
    """(R, 1) scalar products of rows."""
    return (a * b).sum(dim=1, keepdim=True)


def conjugate_gradients(product: Product, right: Tensor, settings: TrustRegion) -> Tensor:
    """Solution x (R, P) of H x = right, for a positive definite H in each run."""
    x = torch.zeros_like(right)
    residual = right.clone()
    direction = right.clone()
    square = dot(residual, residual)
    for _ in range(settings.iterations):
        image = product(direction)
        curvature = dot(direction, image)
        runs_on = (square > settings.residual) & (curvature > 0.0)
        length = torch.where(runs_on, square / curvature, 0.0)
        x = x + length * direction
        residual = residual - length * image
        new_square = dot(residual, residual)
        turn = torch.where(runs_on, new_square / square, 0.0)
        direction = residual + turn * direction
        square = torch.where(runs_on, new_square, square)
    return x


def step_to_radius(direction: Tensor, product: Product, radius: float) -> Tensor:
    """The direction (R, P), scaled so that 1/2 s' H s is the radius; 0 where it has no length."""
    curvature = dot(direction, product(direction))
    length = torch.where(curvature > SMALLEST, torch.sqrt(2.0 * radius / curvature), 0.0)
    return length * direction


def shortened(step: Tensor, product: Product, radius: float) -> Tensor:
    """The step (R, P), scaled down where 1/2 s' H s exceeds the radius."""
    curvature = dot(step, product(step))
    return step * torch.sqrt(2.0 * radius / curvature.clamp(min=SMALLEST)).clamp(max=1.0)


@dataclass(frozen=True, slots=True)
class LineSearch:
    """Result of a line search.

    Attributes:
        parameters: (R, P) of the longest step that was accepted; the old ones if none was.
        length: (R,) share of the full step; 0 if none was accepted.
        gain: (R,) improvement of the objective.
        divergence: (R,) from the old policy [nats].
    """

    parameters: Tensor
    length: Tensor
    gain: Tensor
    divergence: Tensor


def line_search(
    start: Tensor,
    step: Tensor,
    evaluate: Evaluate,
    settings: TrustRegion,
    needs_gain: Tensor | None = None,
) -> LineSearch:
    """Try start + length step for shrinking lengths and keep the first that is accepted.

    It is accepted if the divergence is within the radius and the objective has grown. A comparison
    with NaN is false, so a broken step is never accepted.

    Args:
        start: (R, P) parameters of the old policy, whose objective counts as 0.
        step: (R, P).
        evaluate: objective (R,) and divergence (R,) of parameters; may change them in place.
        settings: radius and lengths.
        needs_gain: (R,) whether the objective must grow; None: in all runs.
    """
    best = start.clone()
    length = torch.zeros_like(start[:, 0])
    gain = torch.zeros_like(length)
    reached = torch.zeros_like(length)
    share = 1.0
    for _ in range(settings.backtracks):
        tried = start + share * step
        objective, divergence = evaluate(tried)
        grows = objective > 0.0
        if needs_gain is not None:
            grows = grows | ~needs_gain & torch.isfinite(objective)
        first = (length == 0.0) & grows & (divergence <= settings.radius)
        best = torch.where(first[:, None], tried, best)
        length = torch.where(first, share, length)
        gain = torch.where(first, objective, gain)
        reached = torch.where(first, divergence, reached)
        share *= settings.shrink
    return LineSearch(best, length, gain, reached)
