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

from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import osqp
import scipy.sparse as sp
from numpy.typing import NDArray

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.centroidal import LEVEL_GRAVITY, NU, NX, CentroidalModel
from safe_locomotion.types import N_LEGS, Array, Flags

# OSQP's own tolerance: past it, it searches for proofs of infeasibility, 5 us a tick; here the residuals are judged in `solve`.
_NEVER_REFUSED = 1e3
FORCE_UNIT = 50.0  # N
# OSQP weighs the equations and the inequalities of a problem alike. How much the sides of a pyramid and its top weigh against the
# dynamics decides how far a fixed number of iterations gets: a foot that slips fast, and a limit of f_z that is rarely met slowly.
SIDE_WEIGHT = 0.3
TOP_WEIGHT = 0.09


@dataclass(frozen=True, kw_only=True, slots=True)
class MpcParameters:
    """Weights, limits and effort of the MPC.

    Attributes:
        horizon: number of steps N.
        dt: length of a step [s].
        weights: (12,) of rpy, position, angular velocity, velocity.
        force_weight: of each force component [1/N2]. At 1e-5 the fixed iterations leave 10 times the error, at 4e-5 the robot stands
            3 mm low.
        mu: friction of the pyramid.
        fz_min, fz_max: normal force of a stance foot [N].
        iterations: of OSQP per batch.
        extra_batches: how many more batches may follow while the residuals are too large.
        primal_tolerance, dual_tolerance: largest residuals of an answer that needs no further batch.
        rho, sigma, alpha: of OSQP. Over-relaxation beyond 1.35 leaves the dynamics ringing longer than it speeds up the cones.
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
        if not (len(self.weights) == NX and all(w >= 0.0 for w in self.weights)):
            raise ConfigurationError(f"weights: {NX} numbers >= 0 are needed, got {self.weights}")
        if not (
            self.horizon >= 1
            and self.dt > 0.0
            and self.mu > 0.0
            and self.force_weight > 0.0
            and self.iterations >= 1
        ):
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
        feet: (N, 4, 3) feet relative to the centre of mass during each step [m]; finite for swing feet too.
        stance: (N, 4) feet that push during each step.
        gravity: (3,) [m/s2]; on a slope it has components along the ground.
    """

    x0: Array
    reference: Array
    feet: Array
    stance: Flags
    gravity: Array = LEVEL_GRAVITY


class MpcAnswer(NamedTuple):
    """What the solver found.

    Attributes:
        solution: (N * 24,) states and forces of the QP, see `states` and `plan`; NaN when there is none.
        primal_residual, dual_residual: infinity norms, in the units of the QP (forces in FORCE_UNIT).
        iterations: spent on this tick.
        ok: finite and within tolerance. Otherwise hold the last good forces: these are a rough solution, or zero.
        stance: (4,) feet that push now.
        parameters, mu: of the cone.
    """

    solution: Array
    primal_residual: float
    dual_residual: float
    iterations: int
    ok: bool
    stance: Flags
    parameters: MpcParameters
    mu: float

    @property
    def forces(self) -> Array:
        """(4, 3) to apply now, inside the cone, exactly zero for swing feet and where there is no solution [N]."""
        if not isfinite(self.primal_residual):
            return np.zeros((N_LEGS, 3))
        first = self.solution[len(self.solution) // 2 :][: 3 * N_LEGS]
        return clip_to_cone(FORCE_UNIT * first, self.stance, self.parameters, self.mu)

    @property
    def states(self) -> Array:
        """(N, 12) predicted states at the end of each step."""
        return self.solution[: len(self.solution) // 2].reshape(-1, NX)

    @property
    def plan(self) -> Array:
        """(N, 4, 3) planned forces of each step as solved, not clipped; what a swing foot holds there is without meaning [N]."""
        return FORCE_UNIT * self.solution[len(self.solution) // 2 :].reshape(-1, N_LEGS, 3)


@dataclass(frozen=True, slots=True)
class QuadraticProgram:
    """min 1/2 z^T P z + q^T z, l <= A z <= u; P diagonal, z = (x_1..x_N, u_0..u_N-1)."""

    P: sp.csc_matrix
    q: Array
    A: sp.csc_matrix
    l: Array
    u: Array


class MpcQp:
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
        coupling = _inertia_rows(model)
        self.parameters = parameters
        self.P, self.A = _cost(parameters), _constraints(parameters, coupling)
        self.changing = _changing_positions(self.A, n)
        # what a problem writes lies side by side, so that one pass tells whether all of it is finite
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
        self._value_rows, self._lever_map = (
            self.values.reshape(n * N_LEGS, -1),
            _lever_map(model, dt),
        )
        self._q_states = self.q[:half].reshape(n, NX)
        self._minus_weights = -np.array(parameters.weights)
        self._first = self._offsets[:NX]
        self._gravity_rows = self._offsets.reshape(n, NX)[:, 9:]
        self._from_x0 = _first_row_map(coupling, dt)

    def fill(self, problem: MpcProblem) -> bool:
        """Write q, l, u and the changing values of A; False if a number of the problem was not finite."""
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
        """The whole program of a problem as its own copy, for a set-up from scratch and for other solvers."""
        self.fill(problem)
        A = self.A.copy()
        A.data[self.changing] = self.values
        return QuadraticProgram(self.P, self.q.copy(), A, self.l.copy(), self.u.copy())


class ConvexMpc:
    """Solves one `MpcProblem` per tick, warm started from the tick before; never raises on bad numbers."""

    def __init__(self, model: CentroidalModel, parameters: MpcParameters) -> None:
        self.model = model
        self.parameters = parameters
        self.matrices = MpcQp(model, parameters)
        rows, columns = self.matrices.A.shape
        self._zero_x = np.zeros(columns)
        self._zero_y = np.zeros(rows)
        self._solver = _osqp(self.matrices, parameters)
        self._cone_positions, self._cone_factors = _cone_positions(
            self.matrices.A, parameters.horizon
        )
        self.mu = parameters.mu
        self._forget = False

    def __deepcopy__(self, memo: dict[int, Any]) -> "ConvexMpc":
        """A solver for the same problems that starts cold: OSQP's memory cannot be copied."""
        twin = ConvexMpc(self.model, self.parameters)
        twin.assume_friction(self.mu)
        return twin

    def assume_friction(self, mu: float) -> None:
        """Friction of the pyramid from now on; `parameters.mu` until the first call."""
        if mu == self.mu:
            return
        self.mu = mu
        self._solver.update_data_mat(
            P_x=None, P_i=None, A_x=self._cone_factors * mu, A_i=self._cone_positions
        )

    def solve(self, problem: MpcProblem) -> MpcAnswer:
        """Forces for now and the plan behind them. Bad input or a bad solve gives `ok=False`, and the next tick starts cold."""
        return (
            self.solve_filled(problem) if self.matrices.fill(problem) else self._failure(problem, 0)
        )

    def solve_filled(self, problem: MpcProblem) -> MpcAnswer:
        """`solve` for the problem that `matrices` was just filled with."""
        p = self.parameters
        solver = self._solver
        matrices = self.matrices
        if self._forget:
            solver.warm_start(self._zero_x, self._zero_y)
            self._forget = False
        solver.update_data_vec(q=matrices.q, l=matrices.l, u=matrices.u)
        solver.update_data_mat(P_x=None, P_i=None, A_x=matrices.values, A_i=matrices.changing)
        for batch in range(1, 2 + p.extra_batches):  # noqa: B007 - used after the loop
            solver.solve()
            info = solver.info
            primal = info.prim_res
            dual = info.dual_res
            ok = primal <= p.primal_tolerance and dual <= p.dual_tolerance
            if ok:
                break
        solution = solver.solution.x.copy()
        # OSQP calls NaN solved, with residual zero, now and on every later tick: the numbers themselves must be looked at
        if not isfinite(solution.dot(solution)):
            return self._failure(problem, batch * p.iterations)
        return MpcAnswer(
            solution=solution,
            primal_residual=primal,
            dual_residual=dual,
            iterations=batch * p.iterations,
            ok=ok,
            stance=problem.stance[0],
            parameters=p,
            mu=self.mu,
        )

    def warm_up(self, problem: MpcProblem, ticks: int = 5) -> None:
        """Solve a problem a few times and forget it: the first ticks of a process pay for page faults and cold caches."""
        for _ in range(ticks):
            self.solve(problem)
        self.reset()

    def reset(self) -> None:
        """Forget the previous answer; the next tick starts from zeros."""
        self._forget = True

    def _failure(self, problem: MpcProblem, iterations: int) -> MpcAnswer:
        self.reset()
        return MpcAnswer(
            solution=np.full(len(self._zero_x), np.nan),
            primal_residual=np.inf,
            dual_residual=np.inf,
            iterations=iterations,
            ok=False,
            stance=problem.stance[0],
            parameters=self.parameters,
            mu=self.mu,
        )


def clip_to_cone(
    forces: Array, stance: Flags, parameters: MpcParameters, mu: float | None = None
) -> Array:
    """Forces (12,) moved into the pyramid, as (4, 3): f_z into its bounds, then f_x, f_y to mu f_z; zero for swing feet."""
    low = parameters.fz_min
    high = parameters.fz_max
    mu = parameters.mu if mu is None else mu
    flat: list[float] = forces.tolist()
    out: list[float] = []
    for leg, on in enumerate(stance.tolist()):
        fz = _clipped(flat[3 * leg + 2], low, high) if on else 0.0
        limit = mu * fz
        out += (
            _clipped(flat[3 * leg], -limit, limit),
            _clipped(flat[3 * leg + 1], -limit, limit),
            fz,
        )
    return np.array(out).reshape(N_LEGS, 3)


def _clipped(value: float, low: float, high: float) -> float:
    return low if value < low else high if value > high else value


# (row of the stage, force axis) of the nine values of a foot: I^-1 [r]x without its diagonal, then the mass terms
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
    """(4, 9) from (r, 1) of a foot, times its stance flag, to its nine values in A: minus dt times the columns of B, in FORCE_UNIT."""
    out = np.zeros((4, len(_LEVER_ENTRIES)))
    inertia = np.concatenate([np.diag(model.inertia), np.full(3, model.mass)])
    for value, ((row, _), (term, sign)) in enumerate(
        zip(_LEVER_ENTRIES, _LEVER_TERMS, strict=True)
    ):
        out[term, value] = -sign * dt * FORCE_UNIT / inertia[row - 6]
    return out


def _inertia_rows(model: CentroidalModel) -> Array:
    """Inertia (3, 3) with each row over its diagonal: the rows I w+ = I w + dt sum r x f keep six numbers per foot that way.

    Products of inertia below 1 % of the diagonal are dropped, for they would add nonzeros to every factorisation.
    """
    rows = model.inertia / np.diag(model.inertia)[:, None]
    return np.where(np.abs(rows) < 0.01, 0.0, rows)


def _first_row_map(coupling: Array, dt: float) -> Array:
    """(12, 12) from x0 to the right-hand side of the first stage."""
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
    """A: 12 rows of dynamics per stage, then five rows of cone per foot and stage; ones where `_lever_map` will write."""
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
    """Where the values of `_lever_map`, foot by foot, sit in A.data."""
    found = []
    for foot in range(horizon * N_LEGS):
        stage = foot // N_LEGS
        for row, axis in _LEVER_ENTRIES:
            column = horizon * NX + 3 * foot + axis
            start = A.indptr[column]
            stop = A.indptr[column + 1]
            found.append(start + np.searchsorted(A.indices[start:stop], stage * NX + row))
    return np.array(found, dtype=np.int32)


def _cone_positions(A: sp.csc_matrix, horizon: int) -> tuple[NDArray[np.int32], Array]:
    """Where -mu and mu of the cone rows sit in A.data, and what mu is multiplied with there."""
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


def _osqp(matrices: MpcQp | QuadraticProgram, parameters: MpcParameters) -> Any:
    """OSQP's extension object, driven directly: `osqp.OSQP.update` and `.solve` add copies and two namespaces to every tick."""
    ext = osqp.OSQP(algebra="builtin").ext
    settings = ext.OSQPSettings()
    ext.osqp_set_default_settings(settings)
    wanted = {
        "scaling": 0, "rho": parameters.rho, "sigma": parameters.sigma, "alpha": parameters.alpha, "adaptive_rho": 0,
        "check_termination": 0, "max_iter": parameters.iterations, "check_dualgap": 0, "polishing": 0, "warm_starting": 1,
        "verbose": 0, "eps_abs": _NEVER_REFUSED,
    }  # fmt: skip
    for name, value in wanted.items():
        setattr(settings, name, value)
    P = ext.CSC(matrices.P)
    A = ext.CSC(matrices.A)
    return ext.OSQPSolver(
        P, matrices.q, A, matrices.l, matrices.u, matrices.A.shape[0], matrices.A.shape[1], settings
    )
