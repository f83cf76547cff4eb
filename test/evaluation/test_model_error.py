"""Model error: planted errors are found exactly, and theorem 5.1 is worked out by hand.

The logs of a walk give steps in the frame of the model.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from core_values import A1
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.evaluation.model_error import (
    NW,
    STEP,
    Transitions,
    fit_model_error,
    performance_bound,
    performance_excess,
    step_matrices,
)
from safe_locomotion.evaluation.recorded_transitions import read_transitions
from safe_locomotion.robot.centroidal import NX, POSITION, RATES, RPY, VELOCITY, CentroidalModel
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.rotations import matrix_from_quaternion, quaternion_from_rpy
from safe_locomotion.runtime.stage_log import StageLog, vector
from safe_locomotion.types import Array, Mode

MODEL = CentroidalModel(mass=A1.mass, inertia=A1.inertia)
HIDDEN = [2, 3, 4]  #: yaw, x, y are zero at the start of every step


def recorded(
    delta_a: Array, delta_b: Array, offset: Array, *, n: int = 60, noise: float = 0.0
) -> Transitions:
    """Random steps of a robot whose matrices differ from the model's by the given errors."""
    rng = np.random.default_rng(3)
    a, b, c = step_matrices(MODEL, STEP)
    state = rng.normal(size=(n, NX))
    wrench = rng.normal(size=(n, NW)) * (5.0, 5.0, 5.0, 20.0, 20.0, 40.0)
    state[:, HIDDEN] = 0.0
    following = (
        state @ (a + delta_a).T
        + wrench @ (b + delta_b).T
        + c
        + offset
        + noise * rng.normal(size=(n, NX))
    )
    return Transitions(
        dt=STEP,
        state=state,
        next_state=following,
        wrench=wrench,
        reference=np.zeros((n, NX)),
        follows=np.arange(n) > 0,
    )


def planted(seed: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    delta_a = 0.1 * rng.normal(size=(NX, NX))
    delta_b = 1e-3 * rng.normal(size=(NX, NW))
    offset = rng.normal(size=NX)
    delta_a[:, HIDDEN] = 0.0
    return delta_a, delta_b, offset


def test_one_step_with_the_wrench_is_one_step_with_the_forces() -> None:
    """A x + B u + c with the feet's net wrench equals the model's own step."""
    rng = np.random.default_rng(1)
    feet = rng.normal(size=(4, 3))
    force = rng.normal(size=(4, 3))
    x = rng.normal(size=NX)
    a, b, c = step_matrices(MODEL, STEP)
    wrench = np.concatenate((np.cross(feet, force).sum(axis=0), force.sum(axis=0)))
    np.testing.assert_allclose(a @ x + b @ wrench + c, MODEL.step(x, force, feet, STEP), atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_error_comes_back_exactly(seed: int) -> None:
    """A, B and the constant are found to 1e-9, with their largest singular values.

    Nothing remains, and the standard errors say so.
    """
    delta_a, delta_b, offset = planted(seed)
    error = fit_model_error(MODEL, recorded(delta_a, delta_b, offset))
    np.testing.assert_allclose(error.a, delta_a, atol=1e-9)
    np.testing.assert_allclose(error.b, delta_b, atol=1e-9)
    np.testing.assert_allclose(error.offset, offset, atol=1e-9)
    assert error.sigma_a == pytest.approx(np.linalg.svd(delta_a)[1][0])
    assert error.sigma_b == pytest.approx(np.linalg.svd(delta_b)[1][0])
    b_hat = step_matrices(MODEL, STEP)[1]
    assert error.sigma_b_model == pytest.approx(np.linalg.svd(b_hat)[1][0])
    assert error.sigma_b_robot == pytest.approx(np.linalg.svd(b_hat + delta_b)[1][0])
    assert error.unexcited == ("yaw", "x", "y") and error.steps == 60
    assert error.remaining < 1e-9 < error.residual and error.deviation_a < 1e-9


def test_standard_errors_cover_what_noise_does() -> None:
    """With noise the found error is wrong by about its standard error.

    Both shrink with the number of steps.
    """
    delta_a, delta_b, offset = planted(0)
    few = fit_model_error(MODEL, recorded(delta_a, delta_b, offset, n=100, noise=0.01))
    many = fit_model_error(MODEL, recorded(delta_a, delta_b, offset, n=10_000, noise=0.01))
    for error in (few, many):
        off = float(np.linalg.norm(error.a - delta_a))
        assert 0.5 * error.deviation_a < off < 2.0 * error.deviation_a
        assert (
            0.5 * error.deviation_b
            < float(np.linalg.norm(error.b - delta_b))
            < 2.0 * error.deviation_b
        )
    assert many.deviation_a < 0.15 * few.deviation_a
    assert many.remaining == pytest.approx(0.01 * np.sqrt(NX), rel=0.05)


def test_too_few_steps_are_refused() -> None:
    """Sixteen unknowns in each row need more than sixteen steps."""
    steps = recorded(*planted(0), n=16)
    with pytest.raises(ConfigurationError, match="16 steps are too few for 16 unknowns"):
        fit_model_error(MODEL, steps)


def test_theorem_5_1_by_hand() -> None:
    """4 * 3 * 10 * 0.01 * (1 * 0.5 + 4) = 5.4.

    alpha = 2, G = 3, W = 10, sigma_A = 0.1, sigma_B = 0.01, a_max = 100, |s_1|^2 = 4.
    """
    one = {"sigma_a": 0.1, "sigma_b": 0.01, "horizon": 10, "smoothness": 3.0, "action_max": 100.0}
    assert performance_excess(**one, alpha=2.0, initial=4.0) == pytest.approx(5.4)
    assert performance_excess(**one, alpha=1.0, initial=2.0) == pytest.approx(
        2.0**1.5 * 30.0 * 0.1 * (1.0 * 2.0 / 3.0 + 2.0)
    )


@given(sigma_b=st.floats(0.0, 10.0), horizon=st.integers(1, 50), alpha=st.floats(0.5, 3.0))
def test_observations_of_the_theorem(sigma_b: float, horizon: int, alpha: float) -> None:
    """Without an error of A there is no loss (observation 1); it grows linearly with W (3)."""
    one = {"sigma_b": sigma_b, "alpha": alpha, "smoothness": 1.0, "action_max": 2.0, "initial": 1.0}
    assert performance_excess(sigma_a=0.0, horizon=horizon, **one) == 0.0
    first = performance_excess(sigma_a=0.2, horizon=1, **one)
    assert performance_excess(sigma_a=0.2, horizon=horizon, **one) == pytest.approx(horizon * first)


def test_the_costs_of_a_perfect_model_are_the_robots() -> None:
    """Without an error the rollout equals the robot; its excess and the bound are zero.

    Windows do not overlap.
    """
    steps = recorded(np.zeros((NX, NX)), np.zeros((NX, NW)), np.zeros(NX))
    error = fit_model_error(MODEL, steps)
    bound = performance_bound(MODEL, steps, error, horizon=10)
    assert bound.windows == 6 and bound.cost > 0.0
    assert (
        bound.predicted_cost == pytest.approx(bound.cost)
        and bound.measured_excess < 1e-6 * bound.cost
    )
    assert bound.excess < 1e-6 and bound.says_something
    assert bound.cost == pytest.approx((steps.next_state**2).sum() / 6.0)
    assert bound.smoothness == error.sigma_b_robot
    assert bound.action_max == pytest.approx(np.linalg.norm(steps.wrench, axis=1).max())
    assert bound.initial == pytest.approx((np.linalg.norm(steps.state[::10], axis=1) ** 2).mean())


def test_the_models_rollout_keeps_what_it_got_wrong() -> None:
    """A constant error of the velocity adds up: after k steps it is k times as large.

    The position has moved with it.
    """
    steps = recorded(np.zeros((NX, NX)), np.zeros((NX, NW)), np.zeros(NX))
    wrong = np.zeros(NX)
    wrong[VELOCITY.start] = 0.1
    pushed = replace(steps, next_state=steps.next_state + wrong, reference=steps.next_state + wrong)
    bound = performance_bound(MODEL, pushed, fit_model_error(MODEL, pushed), horizon=3)
    drift = [(0.1 * k) ** 2 + (STEP * 0.1 * k * (k - 1) / 2) ** 2 for k in (1, 2, 3)]
    assert bound.cost == 0.0 and bound.predicted_cost == pytest.approx(sum(drift))


def test_windows_stop_where_the_recording_was_interrupted() -> None:
    """Six steps in a row and then five give one window of six, two of five, none of seven."""
    steps = replace(
        recorded(*planted(0), n=40),
        follows=np.array([k not in (0, 6) and k < 11 for k in range(40)]),
    )
    error = fit_model_error(MODEL, steps)
    assert performance_bound(MODEL, steps, error, horizon=6).windows == 1
    assert performance_bound(MODEL, steps, error, horizon=5).windows == 2
    with pytest.raises(ConfigurationError, match="no 7 steps were recorded"):
        performance_bound(MODEL, steps, error, horizon=7)


def test_a_bound_above_the_cost_says_nothing() -> None:
    """G and alpha are those of the user, if given."""
    steps = recorded(*planted(0))
    error = fit_model_error(MODEL, steps)
    bound = performance_bound(MODEL, steps, error, horizon=2, alpha=1.0, smoothness=1e9)
    assert (bound.alpha, bound.smoothness) == (1.0, 1e9) and not bound.says_something
    assert bound.measured_excess == abs(bound.cost - bound.predicted_cost)


TICK_NS = 2_000_000
PLAN_NS = 4_000_000
START_NS = 1_700_000_000_000_000_000


def write_logs(
    folder: Path, *, yaw: float, walking: range = range(200), joints: bool = True
) -> tuple[Array, Array]:
    """Logs of a robot that glides along its heading at 0.5 m/s for 0.4 s.

    Each foot pushes with 30 N, so wrench and state are known by hand.
    """
    rotation = matrix_from_quaternion(quaternion_from_rpy(0.0, 0.0, yaw))
    columns = [
        *vector("position", 3),
        *vector("quaternion_wxyz", 4),
        *vector("velocity", 3),
        *vector("angular_velocity", 3),
    ]
    estimates = StageLog(
        folder / "estimator.log", ("stamp_ns", *columns, *(vector("q", 12) if joints else ()))
    )
    verdicts = StageLog(folder / "supervisor.log", ("stamp_ns", "mode", *vector("command", 3)))
    plans = StageLog(folder / "mpc.log", ("stamp_ns", *vector("force", 12)))
    velocity = rotation @ (0.5, 0.0, 0.0)
    force = np.tile((0.0, 0.0, 30.0), (4, 1))
    for k in range(200):
        stamp = float(START_NS + k * TICK_NS)
        position = np.array((3.0, -2.0, 0.27)) + velocity * k * 0.002
        turned = quaternion_from_rpy(0.0, 0.0, yaw)
        estimates.append(
            stamp, position, turned, velocity, np.zeros(3), *((A1.q_stand,) if joints else ())
        )
        verdicts.append(
            stamp, float(Mode.WALK if k in walking else Mode.STAND), np.array((0.4, 0.1, 0.2))
        )
        if k % 2 == 0:
            plans.append(stamp, force)
    for log in (estimates, verdicts, plans):
        log.close()
    moment = np.cross(Kinematics(A1).feet(A1.q_stand) - A1.com, force).sum(axis=0)
    return np.concatenate((moment, force.sum(axis=0))), np.array(
        (0, 0, 0, 0, 0, 0.27 + A1.com[2], 0, 0, 0, 0.5, 0, 0)
    )


@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.5])
def test_logs_of_a_glide_give_state_wrench_and_reference_in_the_frame_of_each_step(
    tmp_path: Path, yaw: float
) -> None:
    """For any heading and place the state starts at the origin, level, and ends 8 mm ahead."""
    wrench, state = write_logs(tmp_path, yaw=yaw)
    steps = read_transitions(tmp_path, A1)
    assert len(steps.state) == 24 and steps.follows.tolist() == [False] + [True] * 23
    np.testing.assert_allclose(steps.state, np.tile(state, (24, 1)), atol=1e-9)
    np.testing.assert_allclose(steps.wrench, np.tile(wrench, (24, 1)), atol=1e-9)
    ahead = state.copy()
    ahead[POSITION.start] = 0.5 * STEP
    np.testing.assert_allclose(steps.next_state, np.tile(ahead, (24, 1)), atol=1e-9)
    reference = steps.reference[0]
    np.testing.assert_allclose(reference[VELOCITY], (0.4, 0.1, 0.0))
    np.testing.assert_allclose(reference[POSITION], (0.4 * STEP, 0.1 * STEP, state[5]), atol=1e-12)
    np.testing.assert_allclose(
        (*reference[RPY], *reference[RATES]), (0.0, 0.0, 0.2 * STEP, 0.0, 0.0, 0.2)
    )


def test_only_steps_of_a_walking_robot_count(tmp_path: Path) -> None:
    """Steps that touch another mode are left out.

    A step after the gap does not follow the one before it.
    """
    write_logs(tmp_path, yaw=0.0, walking=range(40, 120))
    steps = read_transitions(tmp_path, A1)
    assert len(steps.state) == 9 and not steps.follows[0] and steps.follows[1:].all()


def test_logs_without_walking_and_logs_without_joints_are_refused(tmp_path: Path) -> None:
    """The first have no steps; in the second the feet are unknown."""
    write_logs(tmp_path, yaw=0.0, walking=range(0))
    with pytest.raises(ConfigurationError, match="no steps of a walking robot"):
        read_transitions(tmp_path, A1)
    write_logs(tmp_path, yaw=0.0, joints=False)
    with pytest.raises(ConfigurationError, match="has no joints; record again"):
        read_transitions(tmp_path, A1)
    with pytest.raises(ConfigurationError, match="not a stage log"):
        read_transitions(tmp_path / "nowhere", A1)
