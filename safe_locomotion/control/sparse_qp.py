"""The MPC as a sparse quadratic program, for OSQP and for solvers that ours is compared with.

The states and the forces both stay variables, z = (x_1..x_N, u_0..u_N-1), so its pattern never
changes. See `control.mpc` for the problem.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np
import osqp
import scipy.sparse as sp
from numpy.typing import NDArray

from safe_locomotion.control.mpc_matrices import FORCE_UNIT
from safe_locomotion.control.mpc_problem import MpcParameters, MpcProblem
from safe_locomotion.robot.centroidal import NU, NX, CentroidalModel
from safe_locomotion.types import N_LEGS, Array

# OSQP weighs the equations and the inequalities of a problem alike. The weights of the sides of a
# pyramid and of its top against the dynamics decide how far a fixed number of iterations gets. A
# foot that slips converges fast. A limit of f_z is rarely met and converges slowly.
SIDE_WEIGHT = 0.3
TOP_WEIGHT = 0.09


@dataclass(frozen=True, slots=True)
class QuadraticProgram:
    """min 1/2 z^T P z + q^T z, l <= A z <= u; P diagonal, z = (x_1..x_N, u_0..u_N-1)."""

    P: sp.csc_matrix
    q: Array
    A: sp.csc_matrix
    l: Array
    u: Array


class SparseQp:
    """Matrices of the MPC: pattern and constants once, then `fill` for each problem.

    Attributes:
        P, A: the constant matrices; A holds placeholders where the problem enters.
        changing: (N * 4 * 9,) positions in `A.data` of the values that depend on the problem.
        values: (N * 4 * 9,) these values for the last problem.
        q, l, u: vectors for the last problem, written in place.
    """

    def __init__(self, model: CentroidalModel, parameters: MpcParameters) -> None:
        n = parameters.horizon
        dt = parameters.dt
        half = parameters.horizon * NX
        coupling = inertia_rows(model)
        self.parameters = parameters
        self.P = _cost(parameters)
        self.A = _constraints(parameters, coupling)
        self.changing = _changing_positions(self.A, n)
        # What a problem writes lies side by side, so that one pass tells whether all of it is
        # finite.
        self._written = np.zeros(len(self.changing) + 3 * half)
        self.values, self.q, self._offsets = np.split(
            self._written, [len(self.changing), len(self.changing) + 2 * half]
        )
        low, high = _bounds(parameters)
        self.l = np.concatenate([np.zeros(half), low])
        self.u = np.concatenate([np.zeros(half), high])
        self._l_states = self.l[:half]
        self._u_states = self.u[:half]
        self._points = np.ones((n * N_LEGS, 4))
        self._foot_terms = np.empty((n * N_LEGS, 4))
        self._feet = self._points[:, :3]
        self._value_rows = self.values.reshape(n * N_LEGS, -1)
        self._lever_map = _lever_map(model, dt)
        self._q_states = self.q[:half].reshape(n, NX)
        self._minus_weights = -np.array(parameters.weights)
        self._first = self._offsets[:NX]
        self._gravity_rows = self._offsets.reshape(n, NX)[:, 9:]
        self._from_x0 = _first_row_map(coupling, dt)

    def fill(self, problem: MpcProblem) -> bool:
        """Write q, l, u and the changing values of A.

        Returns:
            False if a number of the problem was not finite.
        """
        with np.errstate(all="ignore"):  # infinities are reported by the return value
            self._feet[:] = problem.feet.reshape(-1, 3)
            np.multiply(self._points, problem.stance.reshape(-1, 1), out=self._foot_terms)
            self._foot_terms.dot(self._lever_map, out=self._value_rows)
            np.multiply(problem.reference, self._minus_weights, out=self._q_states)
            self._gravity_rows[:] = self.parameters.dt * problem.gravity
            self._first[:9] = 0.0
            self._first += self._from_x0.dot(problem.x0)
            self._l_states[:] = self._offsets
            self._u_states[:] = self._offsets
            return isfinite(self._written.dot(self._written))

    def materialise(self, problem: MpcProblem) -> QuadraticProgram:
        """The whole program of a problem as its own copy.

        It serves a set-up from scratch, and other solvers.
        """
        self.fill(problem)
        A = self.A.copy()
        A.data[self.changing] = self.values
        return QuadraticProgram(self.P, self.q.copy(), A, self.l.copy(), self.u.copy())


# (row of the stage, force axis) of the nine values of a foot: I^-1 [r]x without its diagonal, then
# the mass terms
_LEVER_ENTRIES = ((7, 0), (8, 0), (6, 1), (8, 1), (6, 2), (7, 2), (9, 0), (10, 1), (11, 2))
# the component of (r_x, r_y, r_z, 1) that each is made of, and its sign
_LEVER_TERMS = (
    (2, 1.0),
    (1, -1.0),
    (2, -1.0),
    (0, 1.0),
    (1, 1.0),
    (0, -1.0),
    (3, 1.0),
    (3, 1.0),
    (3, 1.0),
)


def _lever_map(model: CentroidalModel, dt: float) -> Array:
    """Map (4, 9) from (r, 1) of a foot, times its stance flag, to its nine values in A.

    These are minus dt times the columns of B, in FORCE_UNIT.
    """
    out = np.zeros((4, len(_LEVER_ENTRIES)))
    inertia = np.concatenate([np.diag(model.inertia), np.full(3, model.mass)])
    for value, ((row, _), (term, sign)) in enumerate(
        zip(_LEVER_ENTRIES, _LEVER_TERMS, strict=True)
    ):
        out[term, value] = -sign * dt * FORCE_UNIT / inertia[row - 6]
    return out


def inertia_rows(model: CentroidalModel) -> Array:
    """Inertia (3, 3) with each row over its diagonal.

    With it the rows I w+ = I w + dt sum r x f have six numbers per foot. Products of inertia below
    1 % of the diagonal are dropped, because they would add nonzeros to every factorisation.
    """
    rows = model.inertia / np.diag(model.inertia)[:, None]
    return np.where(np.abs(rows) < 0.01, 0.0, rows)


def _first_row_map(coupling: Array, dt: float) -> Array:
    """Map (12, 12) from x0 to the right-hand side of the first stage."""
    out = np.eye(NX)
    out[:6, 6:] = 0.5 * dt * np.eye(6)
    out[6:9, 6:9] = coupling
    return out


def _cost(p: MpcParameters) -> sp.csc_matrix:
    states = np.tile(p.weights, p.horizon)
    forces = np.full(p.horizon * NU, p.force_weight * FORCE_UNIT**2)
    return sp.diags(np.concatenate([states, forces]), format="csc")


def _bounds(p: MpcParameters) -> tuple[Array, Array]:
    """Lower and upper bounds of the cone rows of all feet, infinite as OSQP writes it."""
    infinity = osqp.OSQP(algebra="builtin").constant("OSQP_INFTY")
    low = [-infinity, 0.0, -infinity, 0.0, TOP_WEIGHT * p.fz_min / FORCE_UNIT]
    high = [0.0, infinity, 0.0, infinity, TOP_WEIGHT * p.fz_max / FORCE_UNIT]
    return np.tile(low, p.horizon * N_LEGS), np.tile(high, p.horizon * N_LEGS)


def _constraints(p: MpcParameters, coupling: Array) -> sp.csc_matrix:
    """A: 12 rows of dynamics per stage, then five rows of cone per foot and stage.

    It has ones where `_lever_map` will write.
    """
    n = p.horizon
    after = np.eye(NX)
    after[6:9, 6:9] = coupling
    before = -after
    after[:6, 6:] = before[:6, 6:] = -0.5 * p.dt * np.eye(6)
    dynamics = sp.kron(sp.eye(n), after) + sp.kron(sp.eye(n, k=-1), before)
    foot = np.zeros((NX, 3))
    foot[tuple(zip(*_LEVER_ENTRIES, strict=True))] = 1.0
    inputs = sp.kron(sp.eye(n), np.tile(foot, N_LEGS))
    sides = SIDE_WEIGHT * np.array(
        [[1.0, 0.0, -p.mu], [1.0, 0.0, p.mu], [0.0, 1.0, -p.mu], [0.0, 1.0, p.mu]]
    )
    cone = sp.kron(sp.eye(n * N_LEGS), np.vstack([sides, [0.0, 0.0, TOP_WEIGHT]]))
    A = sp.csc_matrix(sp.bmat([[dynamics, inputs], [None, cone]]))
    A.eliminate_zeros()
    A.sort_indices()
    return A


def _changing_positions(A: sp.csc_matrix, horizon: int) -> NDArray[np.int32]:
    """Positions in A.data of the values of `_lever_map`, foot by foot."""
    found = []
    for foot in range(horizon * N_LEGS):
        stage = foot // N_LEGS
        for row, axis in _LEVER_ENTRIES:
            column = horizon * NX + 3 * foot + axis
            start = A.indptr[column]
            stop = A.indptr[column + 1]
            found.append(start + np.searchsorted(A.indices[start:stop], stage * NX + row))
    return np.array(found, dtype=np.int32)


def cone_positions(A: sp.csc_matrix, horizon: int) -> tuple[NDArray[np.int32], Array]:
    """Positions of -mu and mu of the cone rows in A.data, and the factors of mu there."""
    half = horizon * NX
    found = []
    factors = []
    for column in range(half + 2, half + 3 * N_LEGS * horizon, 3):
        for i in range(A.indptr[column], A.indptr[column + 1]):
            face = (A.indices[i] - half) % 5
            if A.indices[i] >= half and face < 4:
                found.append(i)
                factors.append(-SIDE_WEIGHT if face % 2 == 0 else SIDE_WEIGHT)
    return np.array(found, dtype=np.int32), np.array(factors)
