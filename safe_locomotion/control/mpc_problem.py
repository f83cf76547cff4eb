"""Parameters of the MPC, and the problem that it solves on one tick."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.robot.centroidal import LEVEL_GRAVITY, NX
from safe_locomotion.rotations import Vector
from safe_locomotion.types import Array, Flags

METHODS = ("newton", "osqp")


@dataclass(frozen=True, kw_only=True, slots=True)
class MpcParameters:
    """Weights, limits and effort of the MPC.

    Attributes:
        method: of the controller: `newton`, the steps of `control.mpc`, or `osqp`, which is less
            exact in gaits that change at random. Predictions always take `newton`.
        horizon: number of steps N.
        dt: length of a step [s].
        weights: (12,) of rpy, position, angular velocity, velocity.
        force_weight: of each force component [1/N2]. At 4e-5 the robot stands 3 mm low.
        mu: friction of the pyramid.
        fz_min, fz_max: normal force of a stance foot [N].
        newton_steps: largest number of steps of `newton`.
        tolerance: largest error of a force of the first step for which the faces that it touches
            count as known [N]. It grows with the square of the step's number.
        cone_tolerance: how far a force of the first step may lie outside its cone before it is
            clipped [N]. It grows likewise.
        penalty: of forces outside their cones, over the force weight.
    """

    method: str = "newton"
    horizon: int = 10
    dt: float = 0.04
    weights: tuple[float, ...] = (5.0, 5.0, 2.0, 5.0, 5.0, 50.0, 0.05, 0.05, 0.2, 1.0, 1.0, 0.2)
    force_weight: float = 2e-5
    mu: float = 0.6
    fz_min: float = 0.0
    fz_max: float = 150.0
    newton_steps: int = 16
    tolerance: float = 0.5
    cone_tolerance: float = 2.0
    penalty: float = 2e4

    def __post_init__(self) -> None:
        """Refuse numbers that make no MPC."""
        if self.method not in METHODS:
            raise UnknownNameError("method of the MPC", self.method, METHODS)
        if not (len(self.weights) == NX and all(w >= 0.0 for w in self.weights)):
            raise ConfigurationError(f"weights: {NX} numbers >= 0 are needed, got {self.weights}")
        if not all(a + b > 0.0 for a, b in zip(self.weights[:6], self.weights[6:], strict=True)):
            raise ConfigurationError(
                f"weights: each axis needs one of its position or velocity, got {self.weights}"
            )
        positive = (self.horizon, self.dt, self.mu, self.force_weight, self.newton_steps)
        if not all(value > 0 for value in positive):
            raise ConfigurationError(
                "horizon, dt, mu, force_weight and newton_steps must be positive"
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


def feet_left_behind(levers: Sequence[Vector], travel: Array) -> Array:
    """Feet (N, 4, 3) relative to a centre of mass that moves on while they stay [m].

    Args:
        levers: feet relative to the centre of mass now [m].
        travel: (N, 3) way of the centre of mass to the middle of each step [m].
    """
    relative: Array = np.array(levers) - travel[:, None]
    return relative
