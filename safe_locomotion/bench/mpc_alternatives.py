"""Other ways to solve the MPC problem, each as `problem -> forces (4, 3)` with default settings.

daqp and proxsuite are extras. They are imported only here, when their solver is built.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import osqp
import scipy.sparse as sp
from numpy.typing import NDArray

from safe_locomotion.control.friction_cone import clip_to_cone
from safe_locomotion.control.mpc_matrices import FORCE_UNIT
from safe_locomotion.control.mpc_problem import MpcParameters, MpcProblem
from safe_locomotion.control.sparse_qp import QuadraticProgram, SparseQp
from safe_locomotion.robot.centroidal import NU, NX, CentroidalModel
from safe_locomotion.types import N_LEGS, Array

SolveForces = Callable[[MpcProblem], Array]


@dataclass(frozen=True, slots=True)
class Split:
    """A solver in two parts that are timed separately: our matrices and the solver itself.

    Attributes:
        build: makes the matrices of a problem.
        solve: gives them to the solver, solves, and returns the first forces (4, 3).
    """

    build: Callable[[MpcProblem], Any]
    solve: Callable[[MpcProblem, Any], Array]

    def __call__(self, problem: MpcProblem) -> Array:
        """Forces (4, 3) of a problem."""
        return self.solve(problem, self.build(problem))


def textbook_osqp(model: CentroidalModel, parameters: MpcParameters) -> Split:
    """The usual sparse QP, x+ = A x + B u in newtons, on OSQP's defaults.

    The solver is warm started, and its matrices are updated.
    """
    qp = TextbookQp(model, parameters)
    solver: osqp.OSQP | None = None

    def solve(problem: MpcProblem, program: QuadraticProgram) -> Array:
        nonlocal solver
        if solver is None:
            solver = osqp.OSQP(algebra="builtin")
            solver.setup(program.P, program.q, program.A, program.l, program.u, verbose=False)
        else:
            solver.update(q=program.q, l=program.l, u=program.u, Ax=program.A.data)
        z = solver.solve(raise_error=False).x
        return clip_to_cone(
            z[qp.half : qp.half + NU].reshape(N_LEGS, 3), problem.stance[0], parameters
        )

    return Split(qp.program, solve)


def exact_osqp(model: CentroidalModel, parameters: MpcParameters) -> SolveForces:
    """Our own QP, solved to 1e-9, as reference for the accuracy."""
    matrices = SparseQp(model, parameters)
    first = parameters.horizon * NX
    solver: osqp.OSQP | None = None

    def solve(problem: MpcProblem) -> Array:
        nonlocal solver
        program = matrices.materialise(problem)
        if solver is None:
            solver = osqp.OSQP(algebra="builtin")
            settings = {
                "eps_abs": 1e-9,
                "eps_rel": 1e-9,
                "max_iter": 100_000,
                "polishing": True,
                "verbose": False,
            }
            solver.setup(program.P, program.q, program.A, program.l, program.u, **settings)
        else:
            solver.update(q=program.q, l=program.l, u=program.u, Ax=program.A.data)
        z = solver.solve(raise_error=False).x
        return clip_to_cone(
            FORCE_UNIT * z[first : first + NU].reshape(N_LEGS, 3), problem.stance[0], parameters
        )

    return solve


def condensed_daqp(model: CentroidalModel, parameters: MpcParameters) -> Split:
    """The condensed QP in the stance forces on the dual active set solver daqp."""
    import daqp

    condensed = CondensedQp(model, parameters)

    def solve(problem: MpcProblem, program: DenseProgram) -> Array:
        H, h, C, low, high, on = program
        sense = np.zeros(len(low), dtype=np.int32)
        u = daqp.solve(H, h, C, high, low, sense)[0]
        return condensed.first_forces(u, on, problem)

    return Split(condensed.program, solve)


def condensed_proxqp(model: CentroidalModel, parameters: MpcParameters) -> Split:
    """The condensed QP in the stance forces on proxqp dense.

    There is one solver per number of stance feet, warm started.
    """
    import proxsuite

    condensed = CondensedQp(model, parameters)
    solvers: dict[int, proxsuite.proxqp.dense.QP] = {}

    def solve(problem: MpcProblem, program: DenseProgram) -> Array:
        H, h, C, low, high, on = program
        solver = solvers.get(len(h))
        if solver is None:
            solver = proxsuite.proxqp.dense.QP(len(h), 0, len(low))
            solvers[len(h)] = solver
            solver.settings.initial_guess = (
                proxsuite.proxqp.InitialGuess.WARM_START_WITH_PREVIOUS_RESULT
            )
            solver.init(H, h, None, None, C, low, high)
        else:
            solver.update(H=H, g=h, C=C, l=low, u=high)
        solver.solve()
        return condensed.first_forces(solver.results.x, on, problem)

    return Split(condensed.program, solve)


DenseProgram = tuple[Array, Array, Array, Array, Array, NDArray[np.intp]]


class TextbookQp:
    """x_k+1 = A_d x_k + B_d u_k + c_d as equality rows, with forces in newtons.

    Bounds keep the forces of swing feet at zero.
    """

    def __init__(self, model: CentroidalModel, parameters: MpcParameters) -> None:
        p = parameters
        n = parameters.horizon
        self.model = model
        self.parameters = parameters
        self.half = n * NX
        self.P = sp.diags(
            np.concatenate([np.tile(p.weights, n), np.full(n * NU, p.force_weight)]), format="csc"
        )
        a, _, _ = model.discrete(np.zeros((N_LEGS, 3)), np.ones(N_LEGS, dtype=bool), p.dt)
        self._a = a
        inputs = np.zeros((NX, 3))
        inputs[[1, 2, 0, 2, 0, 1, 3, 4, 5], [0, 0, 1, 1, 2, 2, 0, 1, 2]] = 1.0
        inputs[6:] = inputs[:6]
        mask = sp.kron(sp.eye(n), np.tile(inputs, N_LEGS)).tocsc()
        mask.eliminate_zeros()
        dynamics = sp.kron(sp.eye(n), np.eye(NX)) + sp.kron(sp.eye(n, k=-1), -a)
        cone = [[1, 0, -p.mu], [1, 0, p.mu], [0, 1, -p.mu], [0, 1, p.mu], [0, 0, 1]]
        self.A = sp.csc_matrix(
            sp.bmat([[dynamics, mask], [None, sp.kron(sp.eye(n * N_LEGS), cone)]])
        )
        self.A.eliminate_zeros()
        self.A.sort_indices()
        places = self.A.copy()
        places.data = np.arange(places.nnz, dtype=float)
        block = mask.tocoo()
        self._to = (
            np.asarray(places[: self.half, self.half :][block.row, block.col]).ravel().astype(int)
        )
        self._from = (block.row // NX, block.row % NX, block.col % NU)
        self._low = np.array([-np.inf, 0.0, -np.inf, 0.0])
        self._high = np.array([0.0, np.inf, 0.0, np.inf])

    def program(self, problem: MpcProblem) -> QuadraticProgram:
        """Matrices and bounds of a problem; A is changed in place."""
        p = self.parameters
        n = self.parameters.horizon
        _, b, c = self.model.discrete(problem.feet, problem.stance, p.dt, problem.gravity)
        self.A.data[self._to] = -b[self._from]
        q = np.concatenate([-(problem.reference * p.weights).ravel(), np.zeros(n * NU)])
        equal = np.tile(c, n)
        equal[:NX] += self._a @ problem.x0
        on = problem.stance.ravel()[:, None]
        low = np.hstack([np.tile(self._low, (n * N_LEGS, 1)), on * p.fz_min])
        high = np.hstack([np.tile(self._high, (n * N_LEGS, 1)), on * p.fz_max])
        return QuadraticProgram(
            self.P,
            q,
            self.A,
            np.concatenate([equal, low.ravel()]),
            np.concatenate([equal, high.ravel()]),
        )


class CondensedQp:
    """The QP in the stance forces: x = F x_0 + G a with accelerations a (N * 6), a = B u."""

    def __init__(self, model: CentroidalModel, parameters: MpcParameters) -> None:
        p = parameters
        n = parameters.horizon
        self.model = model
        self.parameters = parameters
        a, _, _ = model.discrete(np.zeros((N_LEGS, 3)), np.ones(N_LEGS, dtype=bool), p.dt)
        hold = np.vstack([0.5 * p.dt**2 * np.eye(6), p.dt * np.eye(6)])
        powers = [np.linalg.matrix_power(a, k) for k in range(n + 1)]
        self._free = np.vstack(powers[1:])
        self._from_acceleration = np.block(
            [
                [powers[k - j] @ hold if j <= k else np.zeros((NX, 6)) for j in range(n)]
                for k in range(n)
            ]
        )
        weighted = np.tile(p.weights, n)[:, None] * self._from_acceleration
        self._gradient = weighted.T
        self._hessian = (weighted.T @ self._from_acceleration).reshape(n, 6, n, 6)
        self._face = np.array(
            [[1, 0, -p.mu], [-1, 0, -p.mu], [0, 1, -p.mu], [0, -1, -p.mu], [0, 0, 1]]
        )

    def program(self, problem: MpcProblem) -> DenseProgram:
        """The QP min 1/2 u H u + h u subject to lower <= C u <= upper.

        Returns:
            H, h, C, lower, upper, and the indices of u among all (N * 12) forces.
        """
        p = self.parameters
        n = self.parameters.horizon
        _, b, c = self.model.continuous(problem.feet, problem.stance, problem.gravity)
        b = b[:, 6:, :]
        on = np.flatnonzero(np.repeat(problem.stance.ravel(), 3))
        full = np.einsum("iak,iajb,jbl->ikjl", b, self._hessian, b, optimize=_PATH)
        H = full.reshape(n * NU, n * NU)[np.ix_(on, on)]
        H[np.diag_indices_from(H)] += p.force_weight
        free = self._free @ problem.x0 + self._from_acceleration @ np.tile(c[6:], n)
        h = (self._gradient @ (free - problem.reference.ravel())).reshape(n, 1, 6) @ b
        feet = len(on) // 3
        C: Array = np.kron(np.eye(feet), self._face)
        low = np.tile([-1e30, -1e30, -1e30, -1e30, p.fz_min], feet)
        high = np.tile([0.0, 0.0, 0.0, 0.0, p.fz_max], feet)
        return np.ascontiguousarray(H), h.ravel()[on], C, low, high, on

    def first_forces(self, u: Array, on: NDArray[np.intp], problem: MpcProblem) -> Array:
        """(4, 3) forces of the first step."""
        forces = np.zeros(self.parameters.horizon * NU)
        forces[on] = u
        return clip_to_cone(forces[:NU].reshape(N_LEGS, 3), problem.stance[0], self.parameters)


_PATH = ["einsum_path", (0, 1), (0, 1)]
