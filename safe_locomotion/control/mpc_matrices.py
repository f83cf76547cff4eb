"""Matrices of the MPC: a quadratic program in the forces alone.

The states are eliminated. The accelerations of a step are a = E u + g, with the forces u of all
feet, and each of the six axes is a double integrator with constant weights. So the cost is

    1/2 u' (E' S E + R) u + (E' s)' u

with a constant curvature S (N, N) of each axis, and a slope s that is linear in the state now, in
gravity and in the reference. Rows of S and s are ordered by step, then by axis: three angular
accelerations and three linear ones.
"""

import numpy as np

from safe_locomotion.control.mpc_problem import MpcParameters, MpcProblem
from safe_locomotion.robot.centroidal import NU, NX, CentroidalModel
from safe_locomotion.types import N_LEGS, Array

FORCE_UNIT = 50.0  # N
AXES = NX // 2
#: A problem with larger numbers is refused: they come from faults, and products overflow.
LARGEST = 1e6
_GRAVITY = slice(NX, NX + 3)
_REFERENCE = slice(NX + 3, None)


class MpcMatrices:
    """Constants of the program once, then `fill` for each problem.

    Attributes:
        curvature: (6 N, 6 N) S.
        inverse_curvature: (6 N, 6 N) its inverse.
        levers: (N, 12, 6) E' of each step of the last problem, in FORCE_UNIT; zero for swing feet.
        gradient: (4 N, 3) E' s of the last problem.
    """

    def __init__(self, model: CentroidalModel, parameters: MpcParameters) -> None:
        n = parameters.horizon
        self.curvature = _blocks(axis_curvatures(parameters))
        self.inverse_curvature = _blocks(inverse_axis_curvatures(parameters))
        self.levers = np.zeros((n, NU, AXES))
        self.gradient = np.zeros((n * N_LEGS, 3))
        self._steps = n
        self._slope_map = _slope_map(parameters)
        self._lever_map = _lever_map(model)
        # State, gravity and reference, then (r, 1) of the feet: one comparison tests them all.
        self._numbers = np.ones(NX + 3 + n * NX + n * N_LEGS * 4)

    def fill(self, problem: MpcProblem) -> bool:
        """Write levers and gradient.

        Returns:
            False if a number of the problem was not finite, or beyond all measure.
        """
        knowns = self._numbers[: NX + 3 + self._steps * NX]
        points = self._numbers[len(knowns) :].reshape(-1, 4)
        knowns[:NX] = problem.x0
        knowns[_GRAVITY] = problem.gravity
        knowns[_REFERENCE] = problem.reference.reshape(-1)
        points[:, :3] = problem.feet.reshape(-1, 3)
        if not np.abs(self._numbers).max() <= LARGEST:
            return False
        on = points * problem.stance.reshape(-1, 1)
        self.levers = on.dot(self._lever_map).reshape(self._steps, NU, AXES)
        slope = self._slope_map.dot(knowns).reshape(self._steps, AXES, 1)
        self.gradient = (self.levers @ slope).reshape(-1, 3)
        return True


def axis_curvatures(p: MpcParameters) -> Array:
    """S (6, N, N) of each axis: second derivative of the cost in its accelerations."""
    position, velocity = _responses(p)
    return np.array(
        [
            p.weights[axis] * position.T @ position + p.weights[AXES + axis] * velocity.T @ velocity
            for axis in range(AXES)
        ]
    )


def inverse_axis_curvatures(p: MpcParameters) -> Array:
    """S^-1 (6, N, N) of each axis."""
    inverses: Array = np.asarray(np.linalg.inv(axis_curvatures(p)), dtype=np.float64)
    return inverses


def _responses(p: MpcParameters) -> tuple[Array, Array]:
    """Position and velocity (N, N) at the end of each step by the acceleration in each step."""
    steps = np.arange(p.horizon)
    position = np.tril(steps[:, None] - steps + 0.5)
    velocity = np.tril(np.ones((p.horizon, p.horizon)))
    return p.dt**2 * position, p.dt * velocity


def _blocks(matrices: Array) -> Array:
    """One matrix (6 N, 6 N) of those of the axes (6, N, N), ordered by step, then by axis."""
    n = matrices.shape[1]
    out = np.zeros((n, AXES, n, AXES))
    for axis, matrix in enumerate(matrices):
        out[:, axis, :, axis] = matrix
    return out.reshape(n * AXES, n * AXES)


def _slope_map(p: MpcParameters) -> Array:
    """Map (6 N, 15 + 12 N) from the state now, gravity and the reference to the slope s.

    The free motion, without forces, is x + v t + g t^2 / 2 and v + g t.
    """
    n = p.horizon
    t = p.dt * np.arange(1, n + 1)
    position, velocity = _responses(p)
    out = np.zeros((n, AXES, NX + 3 + n * NX))
    for axis in range(AXES):
        rate = AXES + axis
        by_position = p.weights[axis] * position.T
        by_velocity = p.weights[rate] * velocity.T
        out[:, axis, axis] = by_position.sum(axis=1)
        out[:, axis, rate] = by_position @ t + by_velocity.sum(axis=1)
        if axis >= 3:
            out[:, axis, NX + axis - 3] = by_position @ (0.5 * t * t) + by_velocity @ t
        reference = out[:, axis, _REFERENCE].reshape(n, n, NX)
        reference[:, :, axis] = -by_position
        reference[:, :, rate] = -by_velocity
    return out.reshape(n * AXES, -1)


def _lever_map(model: CentroidalModel) -> Array:
    """Map (4, 18) from (r, 1) of a foot, times its stance flag, to its rows (3, 6) of E'.

    A force f at r gives the accelerations I^-1 r x f and f / m.
    """
    turned = np.cross(np.eye(3)[:, None], np.eye(3)[None, :])  # e_r x e_f
    out = np.zeros((4, 3, AXES))
    out[:3, :, :3] = FORCE_UNIT * turned @ model.inverse_inertia.T
    out[3, :, 3:] = FORCE_UNIT / model.mass * np.eye(3)
    return out.reshape(4, -1)
