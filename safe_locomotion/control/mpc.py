"""Convex MPC: the ground reaction forces that keep the centroidal model on its reference.

    min  1/2 sum_k |x_k - x_ref_k|^2_Q + 1/2 sum_k |u_k|^2_R      k = 1..N
    s.t. p_k+1 = p_k + dt/2 (v_k + v_k+1)       rpy likewise
         v_k+1 = v_k + dt (sum f / m + g)       w_k+1 = w_k + dt I^-1 sum r x f
         |f_x|, |f_y| <= mu f_z,  fz_min <= f_z <= fz_max

(Di Carlo et al., IROS 2018.) The position rows are the exact zero-order hold of `centroidal`,
written so that r and m appear in the velocity rows only. States and forces both stay variables. The
QP is sparse, its pattern never changes, and per tick nine numbers per foot and stage are replaced.
A swing foot gets zeros there and keeps its bounds, so trot, stand and flight cost the same.

OSQP runs a fixed number of iterations without scaling or adaptive rho, so the time of a tick is
constant. Whether the answer is good is read from the residuals.
"""

from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import osqp

from safe_locomotion.control.friction_cone import clip_to_cone
from safe_locomotion.control.mpc_matrices import FORCE_UNIT, MpcQp, cone_positions
from safe_locomotion.control.mpc_problem import MpcParameters, MpcProblem
from safe_locomotion.robot.centroidal import NU, NX, CentroidalModel
from safe_locomotion.types import N_LEGS, Array, Flags

# OSQP's own tolerance. Past it, OSQP searches for proofs of infeasibility, 5 us a tick. Here
# `solve` judges the residuals.
_NEVER_REFUSED = 1e3


class MpcAnswer(NamedTuple):
    """What the solver found.

    Attributes:
        solution: (N * 24,) states and forces of the QP, see `states` and `plan`; NaN without an
            answer.
        primal_residual, dual_residual: infinity norms, in the units of the QP (forces in
            FORCE_UNIT).
        iterations: spent on this tick.
        ok: finite and within tolerance. Otherwise hold the last good forces: these are a rough
            solution, or zero.
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
        """Forces (4, 3) to apply now [N], inside the cone.

        They are exactly zero for swing feet, and where there is no solution.
        """
        if not isfinite(self.primal_residual):
            return np.zeros((N_LEGS, 3))
        half = len(self.solution) // 2
        first = self.solution[half : half + NU].reshape(N_LEGS, 3)
        return clip_to_cone(FORCE_UNIT * first, self.stance, self.parameters, self.mu)

    @property
    def states(self) -> Array:
        """Predicted states (N, 12) at the end of each step."""
        return self.solution[: len(self.solution) // 2].reshape(-1, NX)

    @property
    def plan(self) -> Array:
        """Planned forces (N, 4, 3) of each step as solved, not clipped [N].

        The force of a swing foot has no meaning.
        """
        return FORCE_UNIT * self.solution[len(self.solution) // 2 :].reshape(-1, N_LEGS, 3)


class ConvexMpc:
    """Solves one `MpcProblem` per tick, warm started from the tick before.

    It never raises on bad numbers.
    """

    def __init__(self, model: CentroidalModel, parameters: MpcParameters) -> None:
        self.model = model
        self.parameters = parameters
        self.matrices = MpcQp(model, parameters)
        rows, columns = self.matrices.A.shape
        self._zero_x = np.zeros(columns)
        self._zero_y = np.zeros(rows)
        self._solver = _osqp(self.matrices, parameters)
        self._cone_positions, self._cone_factors = cone_positions(
            self.matrices.A, parameters.horizon
        )
        self.mu = parameters.mu
        self._forget = False

    def __deepcopy__(self, memo: dict[int, Any]) -> "ConvexMpc":
        """Solver for the same problems that starts cold: the memory of OSQP cannot be copied."""
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
        """Forces for now and the plan behind them.

        Bad input or a bad solve gives `ok=False`, and the next tick starts cold.
        """
        if not self.matrices.fill(problem):
            return self._failure(problem, 0)
        return self.solve_filled(problem)

    def solve_filled(self, problem: MpcProblem) -> MpcAnswer:
        """`solve` for the problem that `matrices` was just filled with."""
        p = self.parameters
        solver = self._solver
        matrices = self.matrices
        if self._forget:
            self.start_from(self._zero_x, self._zero_y)
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
        # OSQP calls NaN solved, with residual zero, now and on every later tick. Only the numbers
        # tell.
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
        """Solve a problem a few times and forget it.

        The first ticks of a process are slow because of page faults and cold caches.
        """
        for _ in range(ticks):
            self.solve(problem)
        self.reset()

    @property
    def multipliers(self) -> Array:
        """Multipliers of the rows of `matrices.A` in the last solve."""
        return self._solver.solution.y

    def start_from(self, solution: Array, multipliers: Array) -> None:
        """Start the next tick from a solution and the multipliers of its rows."""
        self._solver.warm_start(solution, multipliers)
        self._forget = False

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


def _osqp(matrices: MpcQp, parameters: MpcParameters) -> Any:
    """OSQP's extension object, driven directly.

    `osqp.OSQP.update` and `.solve` add copies and two namespaces to every tick.
    """
    ext = osqp.OSQP(algebra="builtin").ext
    settings = ext.OSQPSettings()
    ext.osqp_set_default_settings(settings)
    wanted = {
        "rho": parameters.rho,
        "sigma": parameters.sigma,
        "alpha": parameters.alpha,
        "max_iter": parameters.iterations,
        "scaling": 0,
        "adaptive_rho": 0,
        "check_termination": 0,
        "check_dualgap": 0,
        "polishing": 0,
        "warm_starting": 1,
        "verbose": 0,
        "eps_abs": _NEVER_REFUSED,
    }
    for name, value in wanted.items():
        setattr(settings, name, value)
    m, n = matrices.A.shape
    P = ext.CSC(matrices.P)
    A = ext.CSC(matrices.A)
    return ext.OSQPSolver(P, matrices.q, A, matrices.l, matrices.u, m, n, settings)
