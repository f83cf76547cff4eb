"""Error of the linear centroidal model on a robot, and the bound of theorem 5.1.

Source: Safe RL for Legged Locomotion, section V. One step of the supervisor's rollout is
x+ = A_hat x + B_hat u + c with the net wrench u of the feet about the centre of mass. With the
wrench as input B does not change with the feet, as the theorem needs; with the forces it would.
Recorded steps give by least squares

    x_{t+1} - (A_hat x_t + B_hat u_t + c) = (A - A_hat) x_t + (B - B_hat) u_t + d

Every step is seen in the ground frame at its own start. Yaw and horizontal position are zero there.
Their columns stay zero; a robot on level ground cannot have them. A constant d takes up what is no
error of A or B, for instance a wrong weight. The units of x (rad, m, rad/s, m/s) are mixed as in
the paper. Singular values therefore compare robots and models, not causes.

    E[cost(T_hat)] <= E[cost(T)] + 2^(alpha/2 + 1) G W sigma1(A - A_hat)^alpha
                          (sigma1(B - B_hat)^alpha a_max^alpha 2 / (alpha + 2) + |s_1|^alpha)

The factors multiply: without an error of A the theorem promises no loss, whatever the error of B.
A small bound is therefore no proof.
"""

from dataclasses import dataclass

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.centroidal import NX, RATES, VELOCITY, CentroidalModel
from safe_locomotion.types import N_LEGS, Array

NW = 6  #: moment about the centre of mass [Nm], force [N]
STATE = ("roll", "pitch", "yaw", "x", "y", "z", "wx", "wy", "wz", "vx", "vy", "vz")
WRENCH = ("mx", "my", "mz", "fx", "fy", "fz")
STEP = 0.016  #: of the supervisor's rollout [s]
LINEAR_ALPHA = 2.0
"""Exponent alpha of assumption 2.3, |T(s, a1) - T(s, a2)| <= G |a1 - a2|^(alpha/2).

Linear dynamics meet it with this exponent and G = sigma1(B).
"""
UNEXCITED = 1e-9  #: a component with less spread than this cannot be fitted


@dataclass(frozen=True, kw_only=True, slots=True)
class Transitions:
    """Recorded steps, each in the ground frame at its start.

    Attributes:
        dt: length of a step [s].
        state, next_state: (n, 12) as in `centroidal`.
        wrench: (n, 6) mean over the step.
        reference: (n, 12) wanted next state: level, at the usual height, at the commanded velocity.
        follows: (n,) whether the step begins where the previous one ended.
    """

    dt: float
    state: Array
    next_state: Array
    wrench: Array
    reference: Array
    follows: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelError:
    """Result of the least squares.

    Attributes:
        a, b: (12, 12) and (12, 6), A - A_hat and B - B_hat.
        offset: (12,) d.
        sigma_a, sigma_b: their largest singular values.
        deviation_a, deviation_b: Frobenius norms of the standard errors of their entries. A
            singular value below its deviation means nothing.
        sigma_b_model: largest singular value of B_hat.
        sigma_b_robot: the same of B.
        residual, remaining: root mean square of |x_{t+1} - prediction| with the model, and with the
            fitted matrices.
        steps: number of recorded steps.
        unexcited: names of components that never changed, whose columns are zero.
    """

    a: Array
    b: Array
    offset: Array
    sigma_a: float
    sigma_b: float
    deviation_a: float
    deviation_b: float
    sigma_b_model: float
    sigma_b_robot: float
    residual: float
    remaining: float
    steps: int
    unexcited: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """Theorem 5.1 with its constants, beside what was measured.

    Costs are sums over W steps, means over all windows.

    Attributes:
        horizon: W.
        alpha, smoothness: of assumption 2.3: alpha, G.
        action_max: a_max, the largest |u| recorded.
        initial: |s_1|^alpha, mean over the windows.
        excess: by how much cost(T_hat) may exceed cost(T) under the theorem.
        cost: sum of |x_{t+1} - y_{t+1}|^2 of the robot.
        predicted_cost: the same for the model's rollout under the recorded wrenches.
        windows: number of windows of W steps.
    """

    horizon: int
    alpha: float
    smoothness: float
    action_max: float
    initial: float
    excess: float
    cost: float
    predicted_cost: float
    windows: int

    @property
    def measured_excess(self) -> float:
        """Difference between the model's cost and the robot's."""
        return abs(self.predicted_cost - self.cost)

    @property
    def says_something(self) -> bool:
        """Whether the bound is at most as large as the cost.

        A larger bound allows more error than there is to track.
        """
        return self.excess <= self.cost


def step_matrices(model: CentroidalModel, dt: float) -> tuple[Array, Array, Array]:
    """A_hat (12, 12), B_hat (12, 6), c (12,) of one step of dt [s] with the wrench as input."""
    a, _, _ = model.continuous(np.zeros((N_LEGS, 3)), np.ones(N_LEGS, dtype=np.bool_))
    b = np.zeros((NX, NW))
    b[RATES, :3] = model.inverse_inertia
    b[VELOCITY, 3:] = np.eye(3) / model.mass
    a_d, _, c_d = model.discrete(np.zeros((N_LEGS, 3)), np.ones(N_LEGS, dtype=np.bool_), dt)
    return a_d, (dt * np.eye(NX) + 0.5 * dt * dt * a) @ b, c_d


def fit_model_error(model: CentroidalModel, steps: Transitions) -> ModelError:
    """Least squares over all steps.

    Columns are scaled by their spread, so that units do not decide the result.

    Raises:
        ConfigurationError: fewer steps than unknowns.
    """
    a_hat, b_hat, c = step_matrices(model, steps.dt)
    inputs = np.hstack((steps.state, steps.wrench))
    mean = inputs.mean(axis=0)
    spread = inputs.std(axis=0)
    excited = spread > UNEXCITED
    if not len(inputs) > np.count_nonzero(excited) + 1:
        raise ConfigurationError(
            f"model error: {len(inputs)} steps are too few for "
            f"{np.count_nonzero(excited) + 1} unknowns"
        )
    residual = steps.next_state - steps.state @ a_hat.T - steps.wrench @ b_hat.T - c
    scaled = np.hstack(((inputs - mean)[:, excited] / spread[excited], np.ones((len(inputs), 1))))
    solution = np.linalg.lstsq(scaled, residual, rcond=None)[0]
    error = np.zeros((NX, NX + NW))
    error[:, excited] = solution[:-1].T / spread[excited]
    a = error[:, :NX]
    b = error[:, NX:]
    remaining = residual - scaled @ solution
    deviation = np.zeros((NX, NX + NW))
    deviation[:, excited] = _standard_errors(scaled, remaining)[:-1].T / spread[excited]
    return ModelError(
        a=a,
        b=b,
        offset=solution[-1] - error @ mean,
        sigma_a=float(np.linalg.norm(a, 2)),
        sigma_b=float(np.linalg.norm(b, 2)),
        deviation_a=float(np.linalg.norm(deviation[:, :NX])),
        deviation_b=float(np.linalg.norm(deviation[:, NX:])),
        sigma_b_model=float(np.linalg.norm(b_hat, 2)),
        sigma_b_robot=float(np.linalg.norm(b_hat + b, 2)),
        residual=_rms(residual),
        remaining=_rms(remaining),
        steps=len(inputs),
        unexcited=tuple(name for name, on in zip(STATE + WRENCH, excited, strict=True) if not on),
    )


def _standard_errors(inputs: Array, remaining: Array) -> Array:
    """Standard error of each coefficient of the least squares.

    It is the remaining variance, spread by the inverse of the normal matrix.
    """
    variance = (remaining**2).sum(axis=0) / (len(inputs) - inputs.shape[1])
    return np.sqrt(np.outer(np.diag(np.linalg.pinv(inputs.T @ inputs)), variance))


def performance_excess(
    *,
    sigma_a: float,
    sigma_b: float,
    horizon: int,
    alpha: float,
    smoothness: float,
    action_max: float,
    initial: float,
) -> float:
    """The second term of theorem 5.1; `initial` is |s_1|^alpha."""
    inner = (sigma_b * action_max) ** alpha * 2.0 / (alpha + 2.0) + initial
    return float(2.0 ** (alpha / 2.0 + 1.0) * smoothness * horizon * sigma_a**alpha * inner)


def performance_bound(
    model: CentroidalModel,
    steps: Transitions,
    error: ModelError,
    *,
    horizon: int,
    alpha: float = LINEAR_ALPHA,
    smoothness: float | None = None,
) -> Bound:
    """Theorem 5.1 for windows of `horizon` steps.

    Args:
        model, steps, error: the model, the recorded steps and the fitted error.
        horizon: W.
        alpha: of assumption 2.3.
        smoothness: G. The default is sigma1(B) of the robot, which is exact for linear dynamics and
            alpha = 2.

    Raises:
        ConfigurationError: no window of this length was recorded without interruption.
    """
    starts = _windows(steps, horizon)
    if not len(starts):
        raise ConfigurationError(
            f"model error: no {horizon} steps were recorded without interruption"
        )
    g = error.sigma_b_robot if smoothness is None else smoothness
    action_max = float(np.linalg.norm(steps.wrench, axis=1).max())
    initial = float((np.linalg.norm(steps.state[starts], axis=1) ** alpha).mean())
    costs = np.array([_costs(model, steps, start, horizon) for start in starts]).mean(axis=0)
    return Bound(
        horizon=horizon,
        alpha=alpha,
        smoothness=g,
        action_max=action_max,
        initial=initial,
        excess=performance_excess(
            sigma_a=error.sigma_a,
            sigma_b=error.sigma_b,
            horizon=horizon,
            alpha=alpha,
            smoothness=g,
            action_max=action_max,
            initial=initial,
        ),
        cost=float(costs[0]),
        predicted_cost=float(costs[1]),
        windows=len(starts),
    )


def _windows(steps: Transitions, horizon: int) -> Array:
    """First steps of windows that do not overlap."""
    starts = []
    run = 0
    for k, follows in enumerate(steps.follows.tolist()):
        run = run + 1 if follows and run else 1
        if run == horizon:
            starts.append(k - horizon + 1)
            run = 0
    return np.array(starts, dtype=np.int64)


def _costs(
    model: CentroidalModel, steps: Transitions, start: int, horizon: int
) -> tuple[float, float]:
    """Tracking cost of robot and model over one window.

    The model's state keeps its errors: it enters each step as its difference to the robot's state.
    """
    a, b, c = step_matrices(model, steps.dt)
    cost = 0.0
    predicted = 0.0
    drift = np.zeros(NX)
    for k in range(start, start + horizon):
        guess = a @ (steps.state[k] + drift) + b @ steps.wrench[k] + c
        cost += float(np.sum((steps.next_state[k] - steps.reference[k]) ** 2))
        predicted += float(np.sum((guess - steps.reference[k]) ** 2))
        drift = guess - steps.next_state[k]
    return cost, predicted


def _rms(rows: Array) -> float:
    return float(np.sqrt((rows**2).sum(axis=1).mean()))
