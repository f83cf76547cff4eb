"""Parameters of the MPC, and the problem that it solves on one tick."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.centroidal import LEVEL_GRAVITY, NX
from safe_locomotion.rotations import Vector
from safe_locomotion.types import Array, Flags


@dataclass(frozen=True, kw_only=True, slots=True)
class MpcParameters:
    """Weights, limits and effort of the MPC.

    Attributes:
        horizon: number of steps N.
        dt: length of a step [s].
        weights: (12,) of rpy, position, angular velocity, velocity.
        force_weight: of each force component [1/N2]. At 1e-5 the fixed iterations leave 10 times
            the error. At 4e-5 the robot stands 3 mm low.
        mu: friction of the pyramid.
        fz_min, fz_max: normal force of a stance foot [N].
        iterations: of OSQP per batch.
        extra_batches: how many more batches may follow while the residuals are too large.
        primal_tolerance, dual_tolerance: largest residuals of an answer that needs no further
            batch.
        rho, sigma, alpha: of OSQP. Over-relaxation beyond 1.35 leaves the dynamics ringing longer
            than it speeds up the cones.
    """

    horizon: int = 10
    dt: float = 0.04
    weights: tuple[float, ...] = (5.0, 5.0, 2.0, 5.0, 5.0, 50.0, 0.05, 0.05, 0.2, 1.0, 1.0, 0.2)
    force_weight: float = 2e-5
    mu: float = 0.6
    fz_min: float = 0.0
    fz_max: float = 150.0
    iterations: int = 10
    extra_batches: int = 5
    primal_tolerance: float = 0.002
    dual_tolerance: float = 0.1
    rho: float = 1.0
    sigma: float = 1e-6
    alpha: float = 1.35

    def __post_init__(self) -> None:
        """Refuse numbers that make no MPC."""
        if not (len(self.weights) == NX and all(w >= 0.0 for w in self.weights)):
            raise ConfigurationError(f"weights: {NX} numbers >= 0 are needed, got {self.weights}")
        positive = (self.horizon, self.dt, self.mu, self.force_weight, self.iterations)
        if not all(value > 0 for value in positive):
            raise ConfigurationError(
                "horizon, dt, mu, force_weight and iterations must be positive"
            )
        if not 0.0 <= self.fz_min <= self.fz_max < np.inf:
            raise ConfigurationError(
                f"0 <= fz_min <= fz_max is needed, got {self.fz_min} and {self.fz_max}"
            )


class MpcProblem(NamedTuple):
    """One tick, in the ground frame of `centroidal`.

    Attributes:
        x0: (12,) state now.
        reference: (N, 12) wanted states at the end of each step.
        feet: (N, 4, 3) feet relative to the centre of mass during each step [m]; finite for swing
            feet too.
        stance: (N, 4) feet that push during each step.
        gravity: (3,) [m/s2]; on a slope it has components along the ground.
    """

    x0: Array
    reference: Array
    feet: Array
    stance: Flags
    gravity: Array = LEVEL_GRAVITY


def feet_left_behind(levers: Sequence[Vector], travel: Sequence[Vector] | Array) -> Array:
    """Feet (N, 4, 3) relative to a centre of mass that moves on while they stay [m].

    Args:
        levers: feet relative to the centre of mass now [m].
        travel: (N, 3) way of the centre of mass to the middle of each step [m].
    """
    return np.array(levers) - np.asarray(travel)[:, None]
