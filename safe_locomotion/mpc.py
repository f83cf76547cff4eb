"""Convex MPC: the ground reaction forces that keep the centroidal model on its reference.

    min  1/2 sum_k |x_k - x_ref_k|^2_Q + 1/2 sum_k |u_k|^2_R      k = 1..N
    s.t. p_k+1 = p_k + dt/2 (v_k + v_k+1)       rpy likewise
         v_k+1 = v_k + dt (sum f / m + g)       w_k+1 = w_k + dt I^-1 sum r x f
         |f_x|, |f_y| <= mu f_z,  fz_min <= f_z <= fz_max

(Di Carlo et al., IROS 2018.) The position rows are the exact zero-order hold of `centroidal`, written so that r and m appear
in the velocity rows only. States and forces both stay variables: the QP is sparse, its pattern never changes, and per tick nine
numbers per foot and stage are replaced. A swing foot gets zeros there and keeps its bounds, so trot, stand and flight cost the same.

OSQP runs a fixed number of iterations without scaling or adaptive rho: the time of a tick is constant, and whether the answer is
good is read from the residuals.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import osqp
import scipy.sparse as sp

from safe_locomotion.centroidal import LEVEL_GRAVITY, NU, NX, CentroidalModel
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.types import N_LEGS, Array, Flags

FORCE_UNIT = 50.0  # N; brings forces to the size of the states, the main knob on accuracy at a fixed number of iterations
N_CONE = 5  # rows per foot: four faces of the pyramid and the bounds of f_z


@dataclass(frozen=True, kw_only=True, slots=True)
class MpcParameters:
    """Weights, limits and effort of the MPC.

    Attributes:
        horizon: number of steps N.
        dt: length of a step [s].
        weights: (12,) of rpy, position, angular velocity, velocity.
        force_weight: of each force component [1/N2].
        mu: friction of the pyramid.
        fz_min, fz_max: normal force of a stance foot [N].
        iterations: of OSQP per batch.
        extra_batches: how many more batches may follow while the residuals are too large.
        primal_tolerance, dual_tolerance: largest residuals of an answer that needs no further batch.
        rho, sigma, alpha: of OSQP.
    """

    horizon: int = 10
    dt: float = 0.04
    weights: tuple[float, ...] = (5.0, 5.0, 2.0, 5.0, 5.0, 50.0, 0.05, 0.05, 0.2, 1.0, 1.0, 0.2)
    force_weight: float = 1e-5
    mu: float = 0.6
    fz_min: float = 0.0
    fz_max: float = 150.0
    iterations: int = 20
    extra_batches: int = 3
    primal_tolerance: float = 0.005
    dual_tolerance: float = 0.02
    rho: float = 0.1
    sigma: float = 1e-6
    alpha: float = 1.6

    def __post_init__(self) -> None:
        if not (len(self.weights) == NX and all(w >= 0.0 for w in self.weights)):
            raise ConfigurationError(f"weights: {NX} numbers >= 0 are needed, got {self.weights}")
        if not (self.horizon >= 1 and self.dt > 0.0 and self.mu > 0.0 and self.force_weight > 0.0 and self.iterations >= 1):
            raise ConfigurationError("horizon, dt, mu, force_weight and iterations must be positive")
        if not 0.0 <= self.fz_min <= self.fz_max < np.inf:
            raise ConfigurationError(f"0 <= fz_min <= fz_max is needed, got {self.fz_min} and {self.fz_max}")


@dataclass(frozen=True, kw_only=True, slots=True)
class MpcProblem:
    """One tick, in the ground frame of `centroidal`.

    Attributes:
        x0: (12,) state now.
        reference: (N, 12) wanted states at the end of each step.
        feet: (N, 4, 3) feet relative to the centre of mass during each step [m]; finite for swing feet too.
        stance: (N, 4) feet that push during each step.
        gravity: (3,) [m/s2]; on a slope it has components along the ground.
    """

    x0: Array
    reference: Array
    feet: Array
    stance: Flags
    gravity: Array = field(default_factory=lambda: LEVEL_GRAVITY)


@dataclass(frozen=True, kw_only=True, slots=True)
class MpcAnswer:
    """What the solver found.

    Attributes:
        forces: (4, 3) to apply now, inside the cone, exactly zero for swing feet [N].
        states: (N, 12) predicted.
        plan: (N, 4, 3) planned forces, as solved (not clipped) [N].
        primal_residual, dual_residual: infinity norms, in the units of the QP (forces in FORCE_UNIT).
        iterations: spent on this tick.
        ok: finite and within tolerance; otherwise `forces` must not be trusted, and are zero if not finite.
    """

    forces: Array
    states: Array
    plan: Array
    primal_residual: float
    dual_residual: float
    iterations: int
    ok: bool


@dataclass(frozen=True, slots=True)
class QuadraticProgram:
    """min 1/2 z^T P z + q^T z, l <= A z <= u; P diagonal, z = (x_1..x_N, u_0..u_N-1)."""

    P: sp.csc_matrix
    q: Array
    A: sp.csc_matrix
    l: Array  # noqa: E741
    u: Array


class MpcQp:
    """Matrices of the MPC: pattern and constants once, then `fill` for each problem.

    Attributes:
        qp: the program of the last problem; its arrays are written in place.
        changing: (N * 4 * 9,) positions in `qp.A.data` of the values that depend on the problem.
        values: (N * 4 * 9,) these values.
    """

    def __init__(self, model: CentroidalModel, parameters: MpcParameters) -> None:
        n, dt = parameters.horizon, parameters.dt
        self.parameters, self._n_states = parameters, n * NX
        self._inertia_rows = model.inertia / np.diag(model.inertia)[:, None]
        self._lever = _lever_map(model, dt)
        self._foot_terms = np.zeros((n * N_LEGS, 4))
        self.values = np.zeros((n * N_LEGS, self._lever.shape[1]))
        self.qp = self._constant_part()
        self.changing = self._positions()
        self._minus_q = -np.array(parameters.weights)

    def fill(self, problem: MpcProblem) -> None:
        """Write q, l, u and the changing values of A for a problem; A.data itself is left to `materialise` and the solver."""
        n, dt, qp = self.parameters.horizon, self.parameters.dt, self.qp
        x0, stance = problem.x0, problem.stance
        terms = self._foot_terms.reshape(n, N_LEGS, 4)
        np.multiply(problem.feet, stance[:, :, None], out=terms[:, :, :3])
        terms[:, :, 3] = stance
        np.matmul(self._foot_terms, self._lever, out=self.values)
        np.multiply(problem.reference, self._minus_q, out=qp.q[: self._n_states].reshape(n, NX))
        rows = qp.l[: self._n_states].reshape(n, NX)
        rows[:, 9:] = dt * problem.gravity
        rows[0, :6] = x0[:6] + 0.5 * dt * x0[6:]
        rows[0, 6:9] = self._inertia_rows @ x0[6:9]
        rows[0, 9:] += x0[9:]
        qp.u[: self._n_states] = qp.l[: self._n_states]

    def materialise(self, problem: MpcProblem) -> QuadraticProgram:
        """The whole program of a problem, A included, as its own copy (for a set-up from scratch and for other solvers)."""
        self.fill(problem)
        A = self.qp.A.copy()
        A.data[self.changing] = self.values.ravel()
        return QuadraticProgram(self.qp.P, self.qp.q.copy(), A, self.qp.l.copy(), self.qp.u.copy())

    def _constant_part(self) -> QuadraticProgram:
        p, n = self.parameters, self.parameters.horizon
        eye, shift = sp.identity(n), sp.eye(n, k=-1)
        now, before = np.eye(NX), -np.eye(NX)
        now[:6, 6:] = before[:6, 6:] = -0.5 * p.dt * np.eye(6)
        now[6:9, 6:9] = self._inertia_rows
        before[6:9, 6:9] = -self._inertia_rows
        dynamics = sp.kron(eye, _sparse(now)) + sp.kron(shift, _sparse(before))
        forces = sp.kron(sp.identity(n * N_LEGS), np.ones((1, 1)))
        pattern = np.zeros((NX, 3))
        pattern[6:, :] = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
        inputs = sp.kron(sp.identity(n), np.tile(pattern, N_LEGS))
        cone = sp.kron(forces, np.array([[1, 0, -p.mu], [1, 0, p.mu], [0, 1, -p.mu], [0, 1, p.mu], [0, 0, 1]]))
        A = sp.bmat([[dynamics, inputs], [None, cone]], format="csc")
        A.eliminate_zeros()
        A.sort_indices()
        cost = np.concatenate([np.tile(p.weights, n), np.full(n * NU, p.force_weight * FORCE_UNIT**2)])
        low = np.array([-np.inf, 0.0, -np.inf, 0.0, p.fz_min / FORCE_UNIT])
        high = np.array([0.0, np.inf, 0.0, np.inf, p.fz_max / FORCE_UNIT])
        bounds = [np.concatenate([np.zeros(n * NX), np.tile(b, n * N_LEGS)]) for b in (low, high)]
        return QuadraticProgram(sp.diags(cost, format="csc"), np.zeros(2 * n * NX), A, *bounds)

    def _positions(self) -> "np.ndarray[Any, np.dtype[np.int32]]":
        """Where the values of `_lever_map`, in its order, sit in A.data."""
        A, found = self.qp.A, []
        for foot in range(self.parameters.horizon * N_LEGS):
            first_row = foot // N_LEGS * NX
            for row, axis in _LEVER_ENTRIES:
                column = self._n_states + 3 * foot + axis
                start, stop = A.indptr[column], A.indptr[column + 1]
                found.append(start + int(np.searchsorted(A.indices[start:stop], first_row + row)))
        return np.array(found, dtype=np.int32)


class Solver(Protocol):
    """The part of OSQP's extension object that a tick uses."""

    info: Any
    solution: Any

    def update_data_vec(self, q: Array, l: Array, u: Array) -> int: ...  # noqa: E741
    def update_data_mat(self, P_x: None, P_i: None, A_x: Array, A_i: Any) -> int: ...
    def warm_start(self, x: Array, y: Array) -> int: ...
    def solve(self) -> int: ...


class ConvexMpc:
    """Solves one `MpcProblem` per tick, warm started from the tick before; never raises on bad numbers."""

    def __init__(self, model: CentroidalModel, parameters: MpcParameters) -> None:
        self.parameters = parameters
        self.matrices = MpcQp(model, parameters)
        qp = self.matrices.qp
        self._zero_x, self._zero_y = np.zeros(qp.A.shape[1]), np.zeros(qp.A.shape[0])
        self._solver = _osqp(qp, parameters)
        self._suspect = False

    def solve(self, problem: MpcProblem) -> MpcAnswer:
        """Forces for now and the plan behind them. Bad input or a bad solve gives `ok=False`, and the next tick starts cold."""
        p, solver, qp = self.parameters, self._solver, self.matrices.qp
        self.matrices.fill(problem)
        # a NaN or infinity anywhere in the problem survives these sums; OSQP would call it solved, now and ever after
        if not np.isfinite(qp.q.sum() + qp.l[: len(qp.q) // 2].sum() + self.matrices.values.sum()):
            return self._failure(problem, 0)
        if self._suspect:
            solver.warm_start(self._zero_x, self._zero_y)
            self._suspect = False
        solver.update_data_vec(q=qp.q, l=qp.l, u=qp.u)
        solver.update_data_mat(P_x=None, P_i=None, A_x=self.matrices.values.ravel(), A_i=self.matrices.changing)
        for batch in range(1 + p.extra_batches):
            solver.solve()
            primal, dual = solver.info.prim_res, solver.info.dual_res
            within = primal <= p.primal_tolerance and dual <= p.dual_tolerance
            if within or not primal + dual < np.inf:
                break
        return self._answer(problem, primal, dual, (batch + 1) * p.iterations, within)

    def warm_up(self, problem: MpcProblem, ticks: int = 5) -> None:
        """Solve a problem a few times and forget it: the first tick of a process pays for page faults and lazy imports."""
        for _ in range(ticks):
            self.solve(problem)
        self.reset()

    def reset(self) -> None:
        """Forget the previous answer; the next tick starts from zeros."""
        self._suspect = True

    def _answer(self, problem: MpcProblem, primal: float, dual: float, iterations: int, within: bool) -> MpcAnswer:
        n = self.parameters.horizon
        z = np.array(self._solver.solution.x)
        if not np.isfinite(z.sum()):
            return self._failure(problem, iterations)
        plan = (FORCE_UNIT * z[n * NX :]).reshape(n, N_LEGS, 3)
        return MpcAnswer(
            forces=clip_to_cone(plan[0], problem.stance[0], self.parameters),
            states=z[: n * NX].reshape(n, NX),
            plan=plan,
            primal_residual=primal,
            dual_residual=dual,
            iterations=iterations,
            ok=within,
        )

    def _failure(self, problem: MpcProblem, iterations: int) -> MpcAnswer:
        self._suspect = True
        n = self.parameters.horizon
        return MpcAnswer(
            forces=np.zeros((N_LEGS, 3)),
            states=np.full((n, NX), np.nan),
            plan=np.zeros((n, N_LEGS, 3)),
            primal_residual=np.inf,
            dual_residual=np.inf,
            iterations=iterations,
            ok=False,
        )


def clip_to_cone(forces: Array, stance: Flags, parameters: MpcParameters) -> Array:
    """Forces (4, 3) moved into the pyramid: f_z into its bounds, then f_x and f_y to mu f_z; zero for swing feet (stance (4,))."""
    out = np.empty((N_LEGS, 3))
    p = parameters
    for leg, ((fx, fy, fz), on) in enumerate(zip(forces.tolist(), stance.tolist(), strict=True)):
        fz = min(max(fz, p.fz_min), p.fz_max) if on else 0.0
        limit = p.mu * fz
        out[leg] = min(max(fx, -limit), limit), min(max(fy, -limit), limit), fz
    return out


# (row of the stage, force axis) of the nine values of a foot: I^-1 [r]x without its diagonal, then the mass terms
_LEVER_ENTRIES = ((7, 0), (8, 0), (6, 1), (8, 1), (6, 2), (7, 2), (9, 0), (10, 1), (11, 2))
# the component of (r_x, r_y, r_z, 1) that each is made of, and its sign
_LEVER_TERMS = ((2, 1.0), (1, -1.0), (2, -1.0), (0, 1.0), (1, 1.0), (0, -1.0), (3, 1.0), (3, 1.0), (3, 1.0))


def _lever_map(model: CentroidalModel, dt: float) -> Array:
    """(4, 9) from (r, 1) of a foot, times its stance flag, to its nine values in A: minus dt times the columns of B, in FORCE_UNIT."""
    out = np.zeros((4, len(_LEVER_ENTRIES)))
    inertia = np.concatenate([np.diag(model.inertia), np.full(3, model.mass)])
    for value, ((row, _), (term, sign)) in enumerate(zip(_LEVER_ENTRIES, _LEVER_TERMS, strict=True)):
        out[term, value] = -sign * dt * FORCE_UNIT / inertia[row - 6]
    return out


def _sparse(dense: Array) -> sp.csc_matrix:
    return sp.csc_matrix(dense)


def _osqp(qp: QuadraticProgram, parameters: MpcParameters) -> Any:
    """OSQP's extension object: `osqp.OSQP.update` and `.solve` add a copy of l and u and two namespaces to every tick."""
    ext = osqp.OSQP(algebra="builtin").ext
    settings = ext.OSQPSettings()
    ext.osqp_set_default_settings(settings)
    wanted = {
        "scaling": 0, "rho": parameters.rho, "sigma": parameters.sigma, "alpha": parameters.alpha, "adaptive_rho": 0,
        "check_termination": 0, "max_iter": parameters.iterations, "check_dualgap": 0, "polishing": 0, "warm_starting": 1,
        "verbose": 0,
    }  # fmt: skip
    for name, value in wanted.items():
        setattr(settings, name, value)
    rows, columns = qp.A.shape
    bound = ext.OSQP_INFTY
    np.clip(qp.l, -bound, bound, out=qp.l)
    np.clip(qp.u, -bound, bound, out=qp.u)
    return ext.OSQPSolver(ext.CSC(qp.P), qp.q, ext.CSC(qp.A), qp.l, qp.u, rows, columns, settings)
