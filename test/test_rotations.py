"""Rotations: group axioms, conventions, and the exponential map against finite differences."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.rotations import (
    matrix_from_quaternion,
    multiply,
    quaternion_from_rotation_vector,
    quaternion_from_rpy,
    rows_from_rpy,
    rpy_from_matrix,
    rpy_from_quaternion,
    skew,
    yaw_matrix,
)
from safe_locomotion.types import Array

ONE = np.array((1.0, 0.0, 0.0, 0.0))
COMPONENT = st.floats(-1.0, 1.0)
VECTORS = st.tuples(*[st.floats(-10.0, 10.0)] * 3).map(np.array)
QUATERNIONS = (
    st.tuples(*[COMPONENT] * 4)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: q / np.linalg.norm(q))
)
ANGLE = st.floats(-math.pi + 1e-6, math.pi - 1e-6)
PITCH = st.floats(-1.5, 1.5)


def conjugate(q: Array) -> Array:
    return q * (1.0, -1.0, -1.0, -1.0)


@given(v=VECTORS, u=VECTORS)
def test_skew_is_the_cross_product(v: Array, u: Array) -> None:
    """skew(v) u = v x u, and skew(v) is antisymmetric."""
    np.testing.assert_allclose(skew(v) @ u, np.cross(v, u), atol=1e-12)
    np.testing.assert_array_equal(skew(v), -skew(v).T)


@given(q=QUATERNIONS)
def test_matrices_are_rotations(q: Array) -> None:
    """A matrix is orthogonal with determinant 1; multiples of q give the same matrix."""
    rotation = matrix_from_quaternion(q)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(matrix_from_quaternion(-q), rotation, atol=1e-15)
    np.testing.assert_allclose(matrix_from_quaternion(2.5 * q), rotation, atol=1e-12)


@given(a=QUATERNIONS, b=QUATERNIONS, c=QUATERNIONS)
def test_quaternions_are_a_group(a: Array, b: Array, c: Array) -> None:
    """Quaternions have an identity, inverses and associativity; products have unit length."""
    np.testing.assert_array_equal(multiply(a, ONE), a)
    np.testing.assert_array_equal(multiply(ONE, a), a)
    np.testing.assert_allclose(multiply(a, conjugate(a)), ONE, atol=1e-12)
    np.testing.assert_allclose(multiply(multiply(a, b), c), multiply(a, multiply(b, c)), atol=1e-12)
    assert np.linalg.norm(multiply(a, b)) == pytest.approx(1.0, abs=1e-12)


@given(a=QUATERNIONS, b=QUATERNIONS, v=VECTORS)
def test_product_of_quaternions_is_product_of_matrices(a: Array, b: Array, v: Array) -> None:
    """R(a b) = R(a) R(b), and R(q) v = q v q*."""
    np.testing.assert_allclose(
        matrix_from_quaternion(multiply(a, b)),
        matrix_from_quaternion(a) @ matrix_from_quaternion(b),
        atol=1e-12,
    )
    sandwich = multiply(multiply(a, np.array((0.0, *v))), conjugate(a))
    np.testing.assert_allclose(matrix_from_quaternion(a) @ v, sandwich[1:], atol=1e-10)


@pytest.mark.parametrize(
    ("rpy", "vector", "turned"),
    [
        ((0.0, 0.0, math.pi / 2), (1, 0, 0), (0, 1, 0)),
        ((0.0, math.pi / 2, 0.0), (1, 0, 0), (0, 0, -1)),
        ((math.pi / 2, 0.0, 0.0), (0, 1, 0), (0, 0, 1)),
        ((math.pi / 2, 0.0, math.pi / 2), (0, 1, 0), (0, 0, 1)),
        ((0.0, math.pi / 2, math.pi / 2), (1, 0, 0), (0, 0, -1)),
        ((math.pi / 2, math.pi / 2, 0.0), (0, 1, 0), (1, 0, 0)),
    ],
)
def test_quarter_turns_by_hand(
    rpy: tuple[float, float, float], vector: tuple[int, ...], turned: tuple[int, ...]
) -> None:
    """Positive yaw turns x to y, positive pitch x to -z (nose down), positive roll y to z.

    Roll is applied first, yaw last.
    """
    np.testing.assert_allclose(
        matrix_from_quaternion(quaternion_from_rpy(*rpy)) @ vector, turned, atol=1e-15
    )


@given(roll=ANGLE, pitch=PITCH, yaw=ANGLE)
def test_rpy_is_rz_ry_rx_and_comes_back(roll: float, pitch: float, yaw: float) -> None:
    """Quaternion and matrix are the product of three axis rotations, and give the angles back."""
    q = quaternion_from_rpy(roll, pitch, yaw)
    np.testing.assert_allclose(
        rows_from_rpy(roll, pitch, yaw), matrix_from_quaternion(q), atol=1e-12
    )
    parts = [
        quaternion_from_rotation_vector(angle * axis)
        for angle, axis in zip((yaw, pitch, roll), np.eye(3)[::-1], strict=True)
    ]
    np.testing.assert_allclose(q, multiply(multiply(parts[0], parts[1]), parts[2]), atol=1e-12)
    np.testing.assert_allclose(rpy_from_quaternion(q), (roll, pitch, yaw), atol=1e-7)
    np.testing.assert_allclose(
        rpy_from_matrix(matrix_from_quaternion(q)), (roll, pitch, yaw), atol=1e-7
    )


@pytest.mark.parametrize("pitch", [math.pi / 2, -math.pi / 2])
@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.0])
def test_at_gimbal_lock_the_angles_still_give_the_rotation(pitch: float, yaw: float) -> None:
    """With the nose straight up or down the pitch is right, and no angle is NaN.

    Rounding may make the sine larger than 1.
    """
    rotation = matrix_from_quaternion(quaternion_from_rpy(0.0, pitch, yaw))
    roll, found, _ = rpy_from_matrix(rotation)
    assert found == pytest.approx(pitch, abs=1e-7) and math.isfinite(roll)
    past = rotation * (1.0 + 1e-12)
    assert rpy_from_matrix(past)[1] == pytest.approx(pitch, abs=1e-7)


@given(yaw=ANGLE)
def test_yaw_matrix_is_the_rotation_about_z(yaw: float) -> None:
    """The yaw matrix equals that of the yaw's quaternion."""
    np.testing.assert_allclose(
        yaw_matrix(yaw), matrix_from_quaternion(quaternion_from_rpy(0.0, 0.0, yaw)), atol=1e-12
    )


@given(vector=VECTORS)
def test_rotation_vector_keeps_its_axis_and_turns_by_its_length(vector: Array) -> None:
    """The rotation keeps its axis, and its trace is 1 + 2 cos(angle)."""
    q = quaternion_from_rotation_vector(vector)
    rotation = matrix_from_quaternion(q)
    assert np.linalg.norm(q) == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(rotation @ vector, vector, atol=1e-10)
    assert np.trace(rotation) == pytest.approx(
        1.0 + 2.0 * math.cos(np.linalg.norm(vector)), abs=1e-10
    )


@given(vector=VECTORS, s=st.floats(-2.0, 2.0), t=st.floats(-2.0, 2.0))
def test_turns_about_one_axis_add_up(vector: Array, s: float, t: float) -> None:
    """exp(s v) exp(t v) = exp((s + t) v)."""
    product = multiply(
        quaternion_from_rotation_vector(s * vector), quaternion_from_rotation_vector(t * vector)
    )
    np.testing.assert_allclose(
        product, quaternion_from_rotation_vector((s + t) * vector), atol=1e-10
    )


@pytest.mark.parametrize("length", [1e-12, 0.9e-9, 1.1e-9, 1e-6])
def test_small_rotations_are_seamless(length: float) -> None:
    """The vector part is half the rotation vector, also below the first-order form's limit."""
    vector = length * np.array((0.6, -0.48, 0.64))
    q = quaternion_from_rotation_vector(vector)
    np.testing.assert_allclose(q[1:], vector / 2, rtol=1e-9)
    assert q[0] == pytest.approx(1.0, abs=1e-12)


@given(q=QUATERNIONS, rate=VECTORS)
def test_derivative_of_the_rotation_is_its_rate(q: Array, rate: Array) -> None:
    """d/dt R(q exp(w t)) = R(q) skew(w) for w in base, by central differences."""
    h = 1e-6

    def turned(vector: Array) -> Array:
        return matrix_from_quaternion(multiply(q, quaternion_from_rotation_vector(vector)))

    difference = (turned(h * rate) - turned(-h * rate)) / (2 * h)
    np.testing.assert_allclose(difference, matrix_from_quaternion(q) @ skew(rate), atol=1e-7)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e200])
@pytest.mark.parametrize("index", range(4))
def test_a_quaternion_without_a_direction_gives_nan(value: float, index: int) -> None:
    """A quaternion with an infinite, NaN or overflowing component gives only NaN."""
    q = ONE.copy()
    q[index] = value
    assert np.isnan(matrix_from_quaternion(q)).all()
    assert all(math.isnan(angle) for angle in rpy_from_quaternion(q))
    assert np.isnan(matrix_from_quaternion(np.zeros(4))).all()
