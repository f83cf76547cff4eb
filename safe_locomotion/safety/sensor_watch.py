"""Sensor watch: readings that contradict each other, or that do not change any more.

A second source of LowStates, a frozen IMU or a robot that sends old memory looks finite and in
range. But the gyroscope must explain how the attitude changes, the joint speeds must explain how
the joints move, and the noise of an IMU never repeats itself to the last bit.
"""

import numpy as np

from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.rotations import multiply
from safe_locomotion.types import N_JOINTS, NANOSECONDS, Array, LowState

WINDOW_NS = 100_000_000  #: over which turns and moves are compared
LONGEST_STEP_NS = 10_000_000
"""After a longer step the comparison starts anew. In a trot with pushes a joint was up to 0.05 rad
from where the mean of its speeds puts it, with steps of 10 ms, and 0.29 rad with steps of 20 ms."""
HELD = 50  #: states for which a contradiction is reported, so that every listener receives it
CONJUGATE = np.array((1.0, -1.0, -1.0, -1.0))


def turn_between(before_wxyz: Array, after_wxyz: Array) -> Array:
    """Rotation vector (3,) in base from one attitude to a later one [rad]."""
    w, *v = multiply(before_wxyz * CONJUGATE, after_wxyz).tolist()
    axis = np.array(v) if w >= 0.0 else -np.array(v)
    sine = float(np.linalg.norm(axis))
    angle = 2.0 * np.arctan2(sine, abs(w))
    return axis * (angle / sine if sine > 1e-9 else 2.0)


class SensorWatch:
    """Compares the sensors of a robot with each other, on every LowState."""

    def __init__(self, limits: GateLimits) -> None:
        self._frozen_ns = round(limits.frozen_time * NANOSECONDS)
        self._attitude_error = limits.attitude_error
        self._joint_error = limits.joint_error
        self._previous: LowState | None = None
        self._held: dict[str, int] = {}

    def update(self, state: LowState, sources: int = 1) -> frozenset[str]:
        """Hazards that hold now: `sensors_frozen`, `sensors_disagree`, `second_state_source`.

        Args:
            state: newest reading.
            sources: programs that send LowStates.
        """
        if sources > 1:
            self._held["second_state_source"] = HELD
        previous = self._previous
        self._previous = state
        if previous is None or not 0 < state.stamp_ns - previous.stamp_ns <= LONGEST_STEP_NS:
            self._start(state)
            self._changed_ns = state.stamp_ns
        else:
            self._compare(previous, state)
        events = frozenset(self._held)
        self._held = {name: left - 1 for name, left in self._held.items() if left > 1}
        return events

    def _start(self, state: LowState) -> None:
        """Begin a window with this state."""
        self._first = state
        self._turned = np.zeros(3)
        self._moved = np.zeros(N_JOINTS)

    def _compare(self, previous: LowState, state: LowState) -> None:
        half_step_s = 0.5 * (state.stamp_ns - previous.stamp_ns) / NANOSECONDS
        self._turned += half_step_s * (previous.gyro + state.gyro)
        self._moved += half_step_s * (previous.dq + state.dq)
        if not _same_imu(previous, state):
            self._changed_ns = state.stamp_ns
        elif state.stamp_ns - self._changed_ns >= self._frozen_ns:
            self._held["sensors_frozen"] = HELD
        if state.stamp_ns - self._first.stamp_ns >= WINDOW_NS:
            if self._disagree(state):
                self._held["sensors_disagree"] = HELD
            self._start(state)

    def _disagree(self, state: LowState) -> bool:
        """Whether the window's turn or moves are not those of its speeds.

        Numbers that are not finite are the gate's business, which refuses each of them.
        """
        first = self._first
        turn = turn_between(first.quaternion_wxyz, state.quaternion_wxyz) - self._turned
        moves = np.abs(state.q - first.q - self._moved)
        return bool(
            np.linalg.norm(turn) > self._attitude_error or np.max(moves) > self._joint_error
        )


def _same_imu(a: LowState, b: LowState) -> bool:
    """Whether gyroscope and accelerometer read the same to the last bit."""
    return (
        a.gyro.tobytes() == b.gyro.tobytes()
        and a.accelerometer.tobytes() == b.accelerometer.tobytes()
    )
