import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from safe_locomotion.bench.mpc_problems import A1_LIKE, HIPS, RigidBody
from safe_locomotion.robot.centroidal import (
    LEVEL_GRAVITY,
    POSITION,
    RATES,
    RPY,
    VELOCITY,
    CentroidalModel,
    centroidal_state,
)
from safe_locomotion.robot.ground_frame import ground_frame
from safe_locomotion.rotations import matrix_from_quaternion, quaternion_from_rpy, yaw_matrix

TILTED = CentroidalModel(
    mass=12.0, inertia=np.array([[0.14, 0.001, 0.02], [0.001, 0.33, -0.003], [0.02, -0.003, 0.36]])
)
FEET = HIPS - [0.0, 0.0, 0.27]
ALL = np.ones(4, dtype=bool)


@given(st.integers(0, 2**31), st.floats(1e-3, 0.2))
def test_discretisation_is_the_matrix_exponential(seed: int, dt: float) -> None:
    """Closed form equals expm of the augmented matrix, for any feet, contacts and gravity."""
    random = np.random.default_rng(seed)
    feet = random.normal(size=(4, 3))
    stance = random.random(4) < 0.6
    gravity = random.normal(size=3)
    a, b, c = TILTED.continuous(feet, stance, gravity)
    augmented = np.zeros((25, 25))
    augmented[:12] = np.hstack([a, b, c[:, None]])
    exact = expm(dt * augmented)[:12]
    np.testing.assert_allclose(
        np.hstack(_columns(TILTED.discrete(feet, stance, dt, gravity))), exact, atol=1e-12
    )


@given(st.integers(0, 2**31))
def test_rollout_is_the_recursion(seed: int) -> None:
    """Cumulative sums give what x+ = A x + B u + c gives step by step, for each hypothesis."""
    random = np.random.default_rng(seed)
    x0 = random.normal(size=(5, 12))
    forces = 30.0 * random.normal(size=(5, 7, 4, 3))
    feet = random.normal(size=(5, 7, 4, 3))
    predicted = TILTED.rollout(x0, forces, feet, 0.016)
    for hypothesis in range(5):
        x = x0[hypothesis]
        for k in range(7):
            a, b, c = TILTED.discrete(feet[hypothesis, k], ALL, 0.016)
            x = a @ x + b @ forces[hypothesis, k].ravel() + c
            np.testing.assert_allclose(predicted[hypothesis, k], x, atol=1e-9)


def test_step_is_the_first_state_of_a_rollout() -> None:
    """A step in plain numbers equals the rollout of length one."""
    random = np.random.default_rng(0)
    for _ in range(20):
        x = random.normal(size=12)
        forces = 30.0 * random.normal(size=(4, 3))
        feet = random.normal(size=(4, 3))
        gravity = random.normal(size=3)
        stepped = TILTED.step(x.tolist(), forces.tolist(), feet.tolist(), 0.02, gravity.tolist())
        expected = TILTED.rollout(x, forces[None], feet[None], 0.02, gravity)[0]
        np.testing.assert_allclose(stepped, expected, atol=1e-9)


def test_plan_is_broadcast_over_hypotheses() -> None:
    """One plan of forces and feet serves many first states."""
    random = np.random.default_rng(0)
    x0 = random.normal(size=(6, 12))
    forces = random.normal(size=(8, 4, 3))
    feet = random.normal(size=(8, 4, 3))
    together = TILTED.rollout(x0, forces, feet, 0.016)
    np.testing.assert_allclose(together[4], TILTED.rollout(x0[4], forces, feet, 0.016), atol=1e-14)


@given(st.integers(0, 2**31))
def test_effect_of_forces_on_feet_that_fall_behind(seed: int) -> None:
    """One product with the forces gives their accelerations now.

    Its last columns give those of feet left behind later.
    """
    random = np.random.default_rng(seed)
    feet = random.normal(size=(4, 3))
    forces = 30.0 * random.normal(size=(4, 3))
    velocity = random.normal(size=2)
    effect = forces.ravel() @ TILTED.effect(feet.tolist(), tuple(velocity))
    for time in (0.0, 0.3):
        angular, linear = TILTED.accelerations(feet - time * np.array((*velocity, 0.0)), forces)
        np.testing.assert_allclose(effect[:3] - time * effect[6:9], angular, atol=1e-9)
        np.testing.assert_allclose(effect[3:6] - time * effect[9:], linear, atol=1e-12)


def test_swing_feet_do_not_push() -> None:
    """The columns of B of a swing foot are zero, those of a stance foot are not."""
    _, b, _ = A1_LIKE.continuous(FEET, np.array([True, False, False, True]))
    assert not b[:, 3:9].any()
    assert b[:, :3].any()
    assert b[:, 9:].any()


def test_free_fall() -> None:
    """Without forces v = v0 + g t, p = p0 + v0 t + g t^2 / 2, and rates are constant."""
    x0 = np.arange(12.0)
    x = A1_LIKE.rollout(x0, np.zeros((10, 4, 3)), np.zeros((10, 4, 3)), 0.05)[-1]
    np.testing.assert_allclose(
        x[POSITION], x0[POSITION] + 0.5 * x0[VELOCITY] + 0.125 * LEVEL_GRAVITY
    )
    np.testing.assert_allclose(x[RPY], x0[RPY] + 0.5 * x0[RATES])
    np.testing.assert_array_equal(x[RATES], x0[RATES])


def test_error_against_the_nonlinear_body_is_of_second_order() -> None:
    """Halving the disturbance quarters the difference to a rigid body with finite rotations.

    The difference is small to begin with.
    """
    large, moved = _linearisation_error(1.0)
    half, _ = _linearisation_error(0.5)
    assert moved > 0.1
    assert large < 0.05 * moved
    assert 0.2 * large < half < 0.3 * large


def _linearisation_error(scale: float) -> tuple[float, float]:
    """Largest difference of states after 0.2 s under forces off balance, and the largest state."""
    body = RigidBody(A1_LIKE)
    dt = 0.004
    random = np.random.default_rng(3)
    forces = [0.0, 0.0, A1_LIKE.mass * 9.81 / 4.0] + scale * random.normal(size=(4, 3)) * [
        0.3,
        0.3,
        0.1,
    ]
    x = np.zeros(12)
    origin = body.position.copy()
    for _ in range(50):
        x = np.array(A1_LIKE.step(x, forces, HIPS - body.position, dt))
        body.advance(HIPS, forces, np.zeros(3), duration=dt, substeps=1)
    seen = centroidal_state(
        rotation=matrix_from_quaternion(body.quaternion),
        position=body.position,
        rates=body.rates,
        velocity=body.velocity,
        com=np.zeros(3),
        frame=np.eye(3),
        origin=origin,
    )
    return float(np.abs(x - seen).max()), float(np.abs(seen).max())


@pytest.mark.parametrize("yaw", [-2.0, 0.0, 0.7])
def test_ground_frame_on_level_ground_is_the_yaw_frame(yaw: float) -> None:
    """With the normal up, the frame is the rotation about z by the yaw."""
    np.testing.assert_allclose(ground_frame(yaw), yaw_matrix(yaw), atol=1e-15)


@given(st.floats(-3.0, 3.0), st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))
def test_ground_frame_is_a_rotation_along_the_ground(
    yaw: float, slope_x: float, slope_y: float
) -> None:
    """The frame is orthonormal and right-handed.

    z is along the normal, x is the heading projected on the ground.
    """
    normal = np.array([slope_x, slope_y, 1.0]) / np.hypot(np.hypot(slope_x, slope_y), 1.0)
    frame = ground_frame(yaw, normal)
    np.testing.assert_allclose(frame.T @ frame, np.eye(3), atol=1e-12)
    assert np.linalg.det(frame) > 0.0
    np.testing.assert_allclose(frame[:, 2], normal)
    heading = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    laid = heading - (heading @ normal) * normal
    np.testing.assert_allclose(frame[:, 0], laid / np.linalg.norm(laid), atol=1e-12)


def test_body_parallel_to_the_slope_has_no_roll_and_pitch() -> None:
    """Angles are measured against the ground: a body pitched with a slope reads zero.

    Its gravity has an x component.
    """
    rotation = matrix_from_quaternion(quaternion_from_rpy(0.0, -0.2, 0.0))
    frame = ground_frame(0.0, rotation[:, 2])
    x = centroidal_state(
        rotation=rotation,
        position=rotation[:, 2] * 0.3,
        rates=np.array([0.1, 0.2, 0.3]),
        velocity=rotation[:, 0],
        com=np.array([0.01, 0.0, -0.02]),
        frame=frame,
        origin=np.zeros(3),
    )
    lever = np.cross([0.1, 0.2, 0.3], [0.01, 0.0, -0.02])
    np.testing.assert_allclose(
        x, [0, 0, 0, 0.01, 0, 0.28, 0.1, 0.2, 0.3, *(np.array([1.0, 0.0, 0.0]) + lever)], atol=1e-12
    )
    assert (frame.T @ LEVEL_GRAVITY)[0] == pytest.approx(-9.81 * np.sin(0.2))


def _columns(matrices: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    a, b, c = matrices
    return [a, b, c[:, None]]
