"""Observation terms: hand-computed values, frames, joint order and scales."""

import math

import numpy as np
import pytest
from core_values import A1, TROT, estimate
from hypothesis import given
from hypothesis import strategies as st
from places import DATA
from policy_models import gait_contract, joint_contract

from safe_locomotion.backends.log import load_states
from safe_locomotion.estimation.estimator import EstimatorParameters, StateEstimator
from safe_locomotion.policy.observation import TERMS, Observer
from safe_locomotion.policy.term import (
    TERM_WIDTHS,
    Clock,
    ObservationTerm,
    observation_term,
)
from safe_locomotion.rotations import (
    matrix_from_quaternion,
    quaternion_from_rpy,
    rpy_from_quaternion,
    yaw_matrix,
)
from safe_locomotion.types import JOINTS, Estimate, GaitParameters, VelocityCommand

ISAAC = [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]
WALK = DATA / "a1_walk.npz"
COMMAND = VelocityCommand(vx=0.5, vy=-0.2, wz=0.7)
angles = st.floats(-1.4, 1.4)


def seen(
    *terms: ObservationTerm, e: Estimate | None = None, action: list[float] | None = None, **changes
) -> np.ndarray:
    """The observation made of some terms by a joint policy."""
    observer = Observer(joint_contract(observation=terms, **changes))
    return observer.write(estimate() if e is None else e, COMMAND, action or [0.0] * 12)[0]


def gait_seen(name: str, gait: GaitParameters) -> np.ndarray:
    """One term of the observation of a gait policy."""
    observer = Observer(gait_contract(observation=(observation_term(name),)))
    return observer.write(estimate(), COMMAND, [0.0] * 9, gait)[0]


def test_every_term_is_defined_once_and_as_wide_as_it_says() -> None:
    """The contract and the observer know the same terms, and each term fills its width."""
    assert {*TERMS, "constant"} == set(TERM_WIDTHS)
    clock = Clock(frequency=1.0, offsets=(0.0,) * 12)
    for name, width in TERM_WIDTHS.items():
        if name == "previous_gait":
            assert gait_seen(name, TROT).shape == (width,)
        else:
            assert seen(observation_term(name, width=12), clock=clock).shape == (width or 12,)


def test_hand_computed_values_of_a_turned_robot() -> None:
    """After a roll of 90 degrees gravity points right; after such a yaw odom's y is base's x."""
    gravity = observation_term("projected_gravity")
    rolled = estimate(quaternion_wxyz=quaternion_from_rpy(math.pi / 2, 0.0, 0.0))
    np.testing.assert_allclose(seen(gravity, e=rolled), (0.0, -1.0, 0.0), atol=1e-6)
    pitched = estimate(quaternion_wxyz=quaternion_from_rpy(0.0, math.pi / 2, 0.0))  # nose down
    np.testing.assert_allclose(seen(gravity, e=pitched), (1.0, 0.0, 0.0), atol=1e-6)
    yawed = estimate(
        quaternion_wxyz=quaternion_from_rpy(0.0, 0.0, math.pi / 2),
        velocity=np.array((1.0, 2.0, 3.0)),
    )
    for name in ("base_velocity", "heading_velocity"):
        velocity = seen(observation_term(name), e=yawed)
        np.testing.assert_allclose(velocity, (2.0, -1.0, 3.0), atol=1e-6)
    high = estimate(position=np.array((5.0, 5.0, 1.27)), ground_height=1.0)
    np.testing.assert_allclose(seen(observation_term("base_height"), e=high), (0.27,), atol=1e-6)


@given(angles, angles, st.floats(-3.1, 3.1), st.tuples(angles, angles, angles))
def test_frames(roll: float, pitch: float, yaw: float, v: tuple[float, float, float]) -> None:
    """Terms equal their definitions.

    Base: R' v. Heading: Rz(yaw)' v. Gravity: -R' e_z. Angles are those of the quaternion.
    """
    q = quaternion_from_rpy(roll, pitch, yaw)
    rotation = matrix_from_quaternion(q)
    velocity = np.array(v)
    e = estimate(quaternion_wxyz=q, velocity=velocity)

    def vector(name: str) -> np.ndarray:
        return seen(observation_term(name), e=e)

    np.testing.assert_allclose(vector("base_velocity"), rotation.T @ velocity, atol=1e-6)
    np.testing.assert_allclose(vector("heading_velocity"), yaw_matrix(yaw).T @ velocity, atol=1e-6)
    np.testing.assert_allclose(vector("projected_gravity"), -rotation[2], atol=1e-6)
    np.testing.assert_allclose(vector("base_rpy"), rpy_from_quaternion(q), atol=1e-6)
    np.testing.assert_allclose(vector("base_roll_pitch"), (roll, pitch), atol=1e-6)


def test_joints_arrive_in_the_order_of_the_policy() -> None:
    """Positions minus the default pose, and velocities, arrive in the policy's joint order.

    The default pose of the contract already is in that order.
    """
    rng = np.random.default_rng(1)
    q = A1.q_stand + 0.1 * rng.normal(size=12)
    dq = rng.normal(size=12)
    pose = A1.q_stand + 0.1 * rng.normal(size=12)
    order = tuple(JOINTS[i] for i in ISAAC)
    terms = (observation_term("joint_position"), observation_term("joint_velocity"))
    in_order = tuple(pose[ISAAC].tolist())
    row = seen(*terms, e=estimate(q=q, dq=dq), joint_order=order, default_pose=in_order)
    np.testing.assert_allclose(row[:12], (q - pose)[ISAAC], atol=1e-6)
    np.testing.assert_allclose(row[12:], dq[ISAAC], atol=1e-6)


def test_terms_come_in_order_and_scaled() -> None:
    """Terms come in the contract's order, and each number is multiplied by its own factor."""
    action = [0.1 * i for i in range(12)]
    row = seen(
        observation_term("velocity_command", (2.0, 3.0, 0.25)),
        observation_term("previous_action", width=12),
        observation_term("base_angular_velocity", 0.5),
        e=estimate(angular_velocity=np.array((1.0, -2.0, 4.0))),
        action=action,
    )
    np.testing.assert_allclose(row, [1.0, -0.6, 0.175, *action, 0.5, -1.0, 2.0], rtol=1e-6)


def test_previous_gait_is_that_of_the_first_paper() -> None:
    """The order is frequency, swing ratio, offsets of FL, RR, RL, y of FR, FL, RR, RL."""
    expected = (TROT.frequency, TROT.swing_ratio, *TROT.phase_offsets, *TROT.foot_y)
    np.testing.assert_allclose(gait_seen("previous_gait", TROT), expected, rtol=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_stays_visible(value: float) -> None:
    """A velocity that is not finite gives an observation that is not finite."""
    row = seen(observation_term("base_velocity"), e=estimate(velocity=np.array((value, 0.0, 0.0))))
    assert not np.isfinite(row).all()


def test_the_vector_is_made_once() -> None:
    """Each call writes into the same array, to which a session may be bound."""
    observer = Observer(joint_contract())
    first = observer.write(estimate(), COMMAND, [0.0] * 12)
    assert first is observer.vector
    assert observer.write(estimate(), VelocityCommand(), [0.0] * 12) is first


def recorded_walk() -> list[Estimate]:
    """Estimates on every fifth LowState of the recorded walk: 100 Hz."""
    estimator = StateEstimator(A1, EstimatorParameters())
    return [estimator.update(state) for state in load_states(WALK)][::5]


def in_batch(estimates: list[Estimate], commands: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """The observation as a vectorised training writes it, in Isaac's joint order.

    Returns:
        (n, 48) float32 of n robots at once.
    """
    w, x, y, z = np.array([e.quaternion_wxyz for e in estimates]).T
    to_odom = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    ).transpose(2, 0, 1)
    velocity = np.einsum("nji,nj->ni", to_odom, np.array([e.velocity for e in estimates]))
    gravity = np.einsum("nji,j->ni", to_odom, np.array((0.0, 0.0, -1.0)))
    rates = np.array([e.angular_velocity for e in estimates])
    q = np.array([e.q for e in estimates])[:, ISAAC] - A1.q_stand[ISAAC]
    dq = np.array([e.dq for e in estimates])[:, ISAAC]
    columns = (
        2.0 * velocity,
        0.25 * rates,
        gravity,
        commands * (2.0, 2.0, 0.25),
        q,
        0.05 * dq,
        actions,
    )
    return np.concatenate(columns, axis=1).astype(np.float32)


def test_observation_on_board_equals_observation_in_training_on_a_recorded_walk() -> None:
    """Observations tick by tick equal those of all ticks as one batch, from standing to walking."""
    estimates = recorded_walk()
    rng = np.random.default_rng(0)
    commands = rng.normal(size=(len(estimates), 3))
    actions = rng.normal(size=(len(estimates), 12))
    terms = (
        observation_term("base_velocity", 2.0),
        observation_term("base_angular_velocity", 0.25),
        observation_term("projected_gravity"),
        observation_term("velocity_command", (2.0, 2.0, 0.25)),
        observation_term("joint_position"),
        observation_term("joint_velocity", 0.05),
        observation_term("previous_action", width=12),
    )
    order = tuple(JOINTS[i] for i in ISAAC)
    pose = tuple(A1.q_stand[ISAAC].tolist())
    observer = Observer(joint_contract(observation=terms, joint_order=order, default_pose=pose))
    on_board = [
        observer.write(e, VelocityCommand(vx=vx, vy=vy, wz=wz), action.tolist())[0].copy()
        for e, (vx, vy, wz), action in zip(estimates, commands, actions, strict=True)
    ]
    assert len(on_board) == 300
    batch = in_batch(estimates, commands, actions)
    np.testing.assert_allclose(on_board, batch, atol=1e-6, rtol=1e-6)
