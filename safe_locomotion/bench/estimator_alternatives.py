"""A simple estimator as baseline for the Kalman filter: IMU orientation and leg odometry."""

import numpy as np

from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import matrix_from_quaternion, skew
from safe_locomotion.types import (
    GRAVITY,
    N_LEGS,
    NANOSECONDS,
    Array,
    Estimate,
    Flags,
    LowState,
)

_GRAVITY = np.array((0.0, 0.0, -GRAVITY))


class ComplementaryEstimator:
    """Complementary filter with fixed gains.

    The velocity is the integrated acceleration, pulled towards the mean velocity of the stance
    legs. The position is the integrated velocity. The usual simplifications hold: one contact
    threshold for all feet, no gyro bias, and feet that are points. The zero of each foot sensor
    may be given, as after a calibration.
    """

    def __init__(
        self,
        robot: RobotModel,
        *,
        contact_threshold: float = 15.0,
        velocity_pull: float = 20.0,
        foot_zero: Array | None = None,
    ) -> None:
        """Start at the standing height.

        Args:
            robot: gives the kinematics.
            contact_threshold: of the foot sensors [N].
            velocity_pull: crossover between acceleration and legs [1/s].
            foot_zero: (4,) reading of each foot in the air [N]; None for zeros.
        """
        self._kinematics = Kinematics(robot)
        self._threshold = contact_threshold + (np.zeros(N_LEGS) if foot_zero is None else foot_zero)
        self._pull = velocity_pull
        self._height_pull = velocity_pull
        self._radius = robot.foot_radius
        self._position = np.array([0.0, 0.0, robot.nominal_height])
        self._velocity = np.zeros(3)
        self._stamp_ns: int | None = None

    def update(self, state: LowState) -> Estimate:
        """Estimate at the stamp of `state`; the covariances are unknown and therefore NaN."""
        dt = 0.0 if self._stamp_ns is None else (state.stamp_ns - self._stamp_ns) / NANOSECONDS
        self._stamp_ns = state.stamp_ns
        rotation = matrix_from_quaternion(state.quaternion_wxyz)
        feet, jacobians = self._kinematics.feet_and_jacobians(state.q)
        contact = state.foot_force > self._threshold
        self._velocity = self._velocity + dt * (rotation @ state.accelerometer + _GRAVITY)
        if contact.any():
            joint_part = (jacobians @ state.dq.reshape(N_LEGS, 3, 1))[:, :, 0]
            feet_velocity = joint_part + feet @ skew(state.gyro).T
            legs = -(feet_velocity[contact] @ rotation.T).mean(0)
            self._velocity = self._velocity + min(1.0, self._pull * dt) * (legs - self._velocity)
        self._position = self._position + dt * self._velocity
        if contact.any():
            height = self._radius - float((feet[contact] @ rotation[2]).mean())
            self._position[2] += min(1.0, self._height_pull * dt) * (height - self._position[2])
        return self._estimate(state, contact)

    def _estimate(self, state: LowState, contact: Flags) -> Estimate:
        unknown = np.full((3, 3), np.nan)
        return Estimate(
            stamp_ns=state.stamp_ns,
            position=self._position.copy(),
            quaternion_wxyz=state.quaternion_wxyz,
            velocity=self._velocity,
            angular_velocity=state.gyro,
            position_covariance=unknown,
            velocity_covariance=unknown,
            q=state.q,
            dq=state.dq,
            contact=contact,
            ground_normal=np.array([0.0, 0.0, 1.0]),
            ground_height=0.0,
            diverged=False,
        )
