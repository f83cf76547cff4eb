"""The convex MPC on OSQP: the program of `control.mpc` with states and forces as variables.

OSQP (Stellato et al. 2020) runs a fixed number of iterations without scaling or adaptive rho, so a
batch always takes the same time. Whether the answer is good is read from the residuals. In a trot
it is as good as the Newton steps of `control.mpc`. In gaits that change at random, up to half of
the ticks do not converge (docs/figures.md). So it is not the default.
"""

from math import isfinite
from typing import Any

import numpy as np
import osqp

from safe_locomotion.control.mpc import MpcAnswer
from safe_locomotion.control.mpc_matrices import FORCE_UNIT
from safe_locomotion.control.mpc_problem import MpcParameters, MpcProblem
from safe_locomotion.control.sparse_qp import SparseQp, cone_positions
from safe_locomotion.robot.centroidal import CentroidalModel
from safe_locomotion.types import N_LEGS

ITERATIONS = 10  #: of a batch
BATCHES = 6  #: at most, on one tick
RHO = 1.0
SIGMA = 1e-6
ALPHA = 1.35  #: beyond it the dynamics ring longer
PRIMAL_TOLERANCE = 0.002  #: in the units of the program
DUAL_TOLERANCE = 0.1
#: OSQP's own tolerance. Past it, OSQP searches for proofs of infeasibility, 5 us a tick.
_NEVER_REFUSED = 1e3


class OsqpMpc:
    """Solves one `MpcProblem` per tick, warm started from the tick before.

    It has the interface of `control.mpc.ConvexMpc`, and never raises on bad numbers.
    """

    def __init__(self, model: CentroidalModel, parameters: MpcParameters) -> None:
        self.model = model
        self.parameters = parameters
        self.mu = parameters.mu
        self._program = SparseQp(model, parameters)
        self._solver = _osqp(self._program)
        self._cone_positions, self._cone_factors = cone_positions(
            self._program.A, parameters.horizon
        )
        self._forget = False

    def __deepcopy__(self, memo: dict[int, Any]) -> "OsqpMpc":
        """Solver for the same problems that starts cold: the memory of OSQP cannot be copied."""
        twin = OsqpMpc(self.model, self.parameters)
        twin.assume_friction(self.mu)
        return twin

    def assume_friction(self, mu: float) -> None:
        """Friction of the pyramid from now on; `parameters.mu` until the first call."""
        if mu != self.mu:
            self.mu = mu
            self._solver.update_data_mat(
                P_x=None, P_i=None, A_x=self._cone_factors * mu, A_i=self._cone_positions
            )

    def solve(self, problem: MpcProblem) -> MpcAnswer:
        """Forces for now and the plan behind them.

        Bad input or a bad solve gives `ok=False`, and the next tick starts cold.
        """
        if not self._program.fill(problem):
            return self._failure(problem, 0)
        solver = self._solver
        program = self._program
        if self._forget:
            rows, columns = program.A.shape
            solver.warm_start(np.zeros(columns), np.zeros(rows))
            self._forget = False
        solver.update_data_vec(q=program.q, l=program.l, u=program.u)
        solver.update_data_mat(P_x=None, P_i=None, A_x=program.values, A_i=program.changing)
        for batch in range(1, 1 + BATCHES):  # noqa: B007 - used after the loop
            solver.solve()
            info = solver.info
            ok = info.prim_res <= PRIMAL_TOLERANCE and info.dual_res <= DUAL_TOLERANCE
            if ok:
                break
        variables = solver.solution.x
        # OSQP calls NaN solved, with residual zero, now and on every later tick. Only the numbers
        # tell.
        if not isfinite(variables.dot(variables)):
            return self._failure(problem, batch * ITERATIONS)
        forces = variables[len(variables) // 2 :].reshape(-1, 3) * problem.stance.reshape(-1, 1)
        return self._answer(problem, forces, FORCE_UNIT * info.prim_res, batch * ITERATIONS, ok)

    def warm_up(self, problem: MpcProblem, ticks: int = 5) -> None:
        """Solve a problem a few times and forget it."""
        for _ in range(ticks):
            self.solve(problem)
        self.reset()

    def reset(self) -> None:
        """Forget the previous answer; the next tick starts from zeros."""
        self._forget = True

    def _answer(
        self, problem: MpcProblem, forces: Any, outside: float, steps: int, ok: bool
    ) -> MpcAnswer:
        return MpcAnswer(
            solution=forces,
            found=isfinite(outside),
            outside=outside,
            steps=steps,
            ok=ok,
            stance=problem.stance[0],
            parameters=self.parameters,
            mu=self.mu,
        )

    def _failure(self, problem: MpcProblem, steps: int) -> MpcAnswer:
        self.reset()
        zero = np.zeros((self.parameters.horizon * N_LEGS, 3))
        return self._answer(problem, zero, np.inf, steps, False)


def _osqp(program: SparseQp) -> Any:
    """OSQP's extension object, driven directly.

    `osqp.OSQP.update` and `.solve` add copies and two namespaces to every tick.
    """
    ext = osqp.OSQP(algebra="builtin").ext
    settings = ext.OSQPSettings()
    ext.osqp_set_default_settings(settings)
    wanted = {
        "rho": RHO,
        "sigma": SIGMA,
        "alpha": ALPHA,
        "max_iter": ITERATIONS,
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
    m, n = program.A.shape
    P = ext.CSC(program.P)
    A = ext.CSC(program.A)
    return ext.OSQPSolver(P, program.q, A, program.l, program.u, m, n, settings)
