"""Convex MPC: the ground reaction forces that keep the centroidal model on its reference.

    min  1/2 sum_k |x_k - x_ref_k|^2_Q + 1/2 sum_k |u_k|^2_R      k = 1..N
    s.t. p_k+1 = p_k + dt v_k + dt^2/2 a_k      v_k+1 = v_k + dt a_k     rpy and rates likewise
         a_k = (I^-1 sum r x f, sum f / m + g)
         |f_x|, |f_y| <= mu f_z,  fz_min <= f_z <= fz_max

(Di Carlo et al., IROS 2018.) `mpc_matrices` eliminates the states, so that J(u) = 1/2 u'Hu + h'u in
the forces remains, with H = R + E' S E. The faces n u <= d of the pyramids are met by the method of
multipliers (Rockafellar 1974). It minimises

    J(u) + penalty / 2 sum max(0, t)^2     with t = n u - d + y / penalty for each face

and then sets the multipliers y to penalty max(0, t). This function is piecewise quadratic. Where
the touched faces (t > 0) are known, its minimum is one linear system, as in a semi-smooth Newton
step (Qi and Sun 1993). A step has found the minimum if no other face is touched there. Else the
next step begins with the faces touched there. Late steps are shortened to the minimum along their
direction. So the function decreases, and the steps cannot go round in circles.

W, the curvature of one foot, comes from a table of touched faces, and the Woodbury identity reduces
the system (W + E' S E) u = b to one of 6 N rows:

    (S^-1 + E W^-1 E') p = E W^-1 b        u = W^-1 (b - E' p)

From tick to tick few faces change, so that a trot needs one step nearly always.
"""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.control.cone_faces import BITS, FACES, TOUCHED, ConeFaces
from safe_locomotion.control.friction_cone import clip_to_cone
from safe_locomotion.control.mpc_matrices import AXES, FORCE_UNIT, MpcMatrices
from safe_locomotion.control.mpc_problem import MpcParameters, MpcProblem
from safe_locomotion.lapack import dposv
from safe_locomotion.robot.centroidal import NU, CentroidalModel
from safe_locomotion.types import N_LEGS, Array, Flags

_NO_FACE = 1e3  # distance of the faces of a swing foot [FORCE_UNIT]
_SEARCH_FROM = 5  # step from which on steps are shortened


class MpcAnswer(NamedTuple):
    """What the solver found.

    Attributes:
        solution: (N * 4, 3) forces as solved [FORCE_UNIT]; zero for swing feet, and everywhere
            without an answer.
        found: the forces are finite numbers.
        outside: largest distance of a force from its cone [N]; infinite without an answer.
        steps: Newton steps of this tick.
        ok: within tolerance. Otherwise the forces are rough, or zero.
        stance: (4,) feet that push now.
        parameters, mu: of the cone.
    """

    solution: Array
    found: bool
    outside: float
    steps: int
    ok: bool
    stance: Flags
    parameters: MpcParameters
    mu: float

    @property
    def forces(self) -> Array:
        """Forces (4, 3) to apply now [N], inside the cone.

        They are exactly zero for swing feet, and where there is no solution.
        """
        first = FORCE_UNIT * self.solution[:N_LEGS]
        return clip_to_cone(first, self.stance, self.parameters, self.mu)

    @property
    def plan(self) -> Array:
        """Planned forces (N, 4, 3) of each step as solved, not clipped [N]."""
        return FORCE_UNIT * self.solution.reshape(-1, N_LEGS, 3)


class MpcSolver(Protocol):
    """Solves one problem per tick: `ConvexMpc`, or `osqp_mpc.OsqpMpc`."""

    parameters: MpcParameters
    mu: float

    def assume_friction(self, mu: float) -> None:
        """Friction of the pyramid from now on."""

    def solve(self, problem: MpcProblem) -> MpcAnswer:
        """Forces for now and the plan behind them."""
        ...

    def warm_up(self, problem: MpcProblem, ticks: int = 5) -> None:
        """Solve a problem a few times and forget it."""

    def reset(self) -> None:
        """Forget the previous answer."""


class ConvexMpc:
    """Solves one `MpcProblem` per tick, warm started from the tick before.

    It never raises on bad numbers.
    """

    def __init__(self, model: CentroidalModel, parameters: MpcParameters) -> None:
        n = parameters.horizon
        self.parameters = parameters
        self.matrices = MpcMatrices(model, parameters)
        self.mu = parameters.mu
        self._faces = ConeFaces(parameters)
        self._force_weight = parameters.force_weight * FORCE_UNIT**2
        self._penalty = parameters.penalty * self._force_weight
        # A touched face that pulls is as wrong as the force that its multiplier would make.
        self._wrong = np.where(TOUCHED > 0.0, -parameters.penalty, 1.0)
        self._scale = np.repeat(FORCE_UNIT / np.arange(1, n + 1) ** 2, N_LEGS)[:, None]
        self._system = np.empty((AXES * n, AXES * n))
        self._rows = np.empty((N_LEGS * n, 3, AXES + 1))
        self._pushes = np.full((n, AXES + 1, 1), -1.0)
        self._distances: Array
        self._limits: Array
        self._touched: Flags
        self._forces: Array
        self.reset()

    def assume_friction(self, mu: float) -> None:
        """Friction of the pyramid from now on; `parameters.mu` until the first call."""
        if mu != self.mu:
            self.mu = mu
            self._faces.assume(mu)

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
        self._enter(problem.stance)
        touched = self._touched
        forces = self._forces
        normals = self._faces.normals.T
        outside = np.inf
        for step in range(1, 1 + p.newton_steps):
            codes = touched.dot(BITS)
            minimum = self._minimum(touched, codes)
            beyond = minimum.dot(normals) - self._limits
            wrong = float((beyond * self._wrong.take(codes, axis=0) * self._scale).max())
            near = wrong <= p.tolerance
            if not near and step >= _SEARCH_FROM:
                minimum = self._search(forces, minimum)
                beyond = minimum.dot(normals) - self._limits
            forces = minimum
            touched = beyond > 0.0
            if near:
                outside = self._take_multipliers(beyond * touched)
                if outside <= p.cone_tolerance:
                    break
                touched = forces.dot(normals) > self._limits
        # Only the numbers tell: a system that is not positive definite gives anything.
        if not np.isfinite(np.vdot(forces, forces)):
            return self._failure(problem, step)
        self._forces = forces
        self._touched = touched
        ok = near and outside <= p.cone_tolerance
        return self._answer(problem, forces, outside, step, ok)

    def warm_up(self, problem: MpcProblem, ticks: int = 5) -> None:
        """Solve a problem a few times and forget it.

        The first ticks of a process are slow because of page faults and cold caches.
        """
        for _ in range(ticks):
            self.solve(problem)
        self.reset()

    @property
    def multipliers(self) -> Array:
        """Multipliers (N * 4, 6) of the faces after the last solve."""
        return self._multipliers

    def reset(self) -> None:
        """Forget the previous answer; the next tick starts from zeros."""
        n = self.parameters.horizon
        self._forces = np.zeros((n * N_LEGS, 3))
        self._multipliers = np.zeros((n * N_LEGS, FACES))
        self._touched = np.zeros((n * N_LEGS, FACES), dtype=np.bool_)
        self._stance = np.zeros((n, N_LEGS), dtype=np.bool_)
        self._distances = np.full((n * N_LEGS, FACES), _NO_FACE)
        self._limits = self._distances

    def _enter(self, stance: Flags) -> None:
        """Begin with the problem of a tick, whose schedule is mostly that of the last one."""
        if (stance != self._stance).any():
            self._reschedule(stance)
        self._across = self.matrices.levers.transpose(0, 2, 1)
        self._rows[:, :, :AXES] = self.matrices.levers.reshape(-1, 3, AXES)

    def _reschedule(self, stance: Flags) -> None:
        """Change the feet that push.

        A foot that begins to push in a step touches what it touches in the steps beside.
        """
        n = self.parameters.horizon
        on = stance.reshape(-1, 1)
        fresh = stance & ~self._stance
        self._stance = stance
        self._multipliers = self._multipliers * on
        self._touched = self._touched & on
        if fresh.any():
            last = self._touched.reshape(n, N_LEGS, FACES)
            beside = np.zeros_like(last)
            beside[:-1] |= last[1:]
            beside[1:] |= last[:-1]
            self._touched = (last | (beside & fresh[..., None])).reshape(-1, FACES)
        self._distances = np.where(on, self._faces.distances, _NO_FACE)
        self._limits = self._distances - self._multipliers / self._penalty

    def _minimum(self, touched: Flags, codes: NDArray[np.intp]) -> Array:
        """Forces (4 N, 3) at the minimum with these touched faces."""
        n = self.parameters.horizon
        faces = self._faces
        # -b beside E': both are multiplied with W^-1 at once.
        pulls: Array = (touched * self._limits).dot(faces.normals)
        self._rows[:, :, AXES] = self.matrices.gradient - self._penalty * pulls
        soft = (faces.stiff_inverses.take(codes, axis=0) @ self._rows).reshape(n, NU, AXES + 1)
        reduced = self._across @ soft
        self._system[:] = self.matrices.inverse_curvature
        diagonal = np.einsum("iaib->iab", self._system.reshape(n, AXES, n, AXES))
        diagonal += reduced[:, :, :AXES]
        _, pushes, _ = dposv(self._system.T, reduced[:, :, AXES].ravel(), overwrite_a=True)
        self._pushes[:, :AXES, 0] = pushes.reshape(n, AXES)
        forces: Array = (soft @ self._pushes).reshape(-1, 3)
        return forces

    def _search(self, start: Array, end: Array) -> Array:
        """Forces with the least value between two; its slope along the way is piecewise linear."""
        m = self.matrices
        way = end - start
        made = (self._across @ way.reshape(-1, NU, 1)).ravel()
        before = (self._across @ start.reshape(-1, NU, 1)).ravel()
        answer = m.curvature.dot(made)
        beyond = (start.dot(self._faces.normals.T) - self._limits).ravel()
        growth = way.dot(self._faces.normals.T).ravel()
        moving = growth != 0.0
        kinks = -beyond[moving] / growth[moving]
        shares = np.concatenate(([0.0], np.sort(kinks[(kinks > 0.0) & (kinks < 1.0)]), [1.0]))
        smooth = answer.dot(before) + np.vdot(self._force_weight * start + m.gradient, way)
        bend = answer.dot(made) + self._force_weight * np.vdot(way, way)
        touching = np.maximum(beyond + shares[:, None] * growth, 0.0).dot(growth)
        slopes = smooth + bend * shares + self._penalty * touching
        return start + np.interp(0.0, slopes, shares) * way

    def _take_multipliers(self, beyond: Array) -> float:
        """Update the multipliers; return how far forces are outside their cones [N].

        A later step of the horizon counts less, with the square of its number.
        """
        multipliers = self._penalty * beyond
        moved = np.abs(multipliers - self._multipliers) * self._scale
        self._multipliers = multipliers
        self._limits = self._distances - multipliers / self._penalty
        return float(moved.max()) / self._penalty

    def _answer(
        self, problem: MpcProblem, forces: Array, outside: float, steps: int, ok: bool
    ) -> MpcAnswer:
        return MpcAnswer(
            solution=forces,
            found=True,
            outside=outside,
            steps=steps,
            ok=ok,
            stance=problem.stance[0],
            parameters=self.parameters,
            mu=self.mu,
        )

    def _failure(self, problem: MpcProblem, steps: int) -> MpcAnswer:
        self.reset()
        zero = np.zeros_like(self._forces)
        answer = self._answer(problem, zero, np.inf, steps, False)
        return answer._replace(found=False)
