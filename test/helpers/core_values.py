"""Ordinary values of the control loop for tests of its stages: an A1 that stands still.

Tests change one value at a time.
"""

from typing import Any

import numpy as np
import yaml
from places import ROOT

from safe_locomotion.control.leg_control import LegGains
from safe_locomotion.control.nominal_gait import GaitSettings
from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import load_robot
from safe_locomotion.safety.supervisor import SupervisorParameters
from safe_locomotion.types import (
    N_JOINTS,
    Array,
    Estimate,
    GaitParameters,
    LowCommand,
    LowState,
    Mode,
    StancePlan,
    VelocityCommand,
    Verdict,
)

A1 = load_robot("a1")
CONFIG_FILE = ROOT / "config/a1.yaml"
START_NS = 1_700_000_000_000_000_000  #: Unix time, like the unwrapped tick of the wire
TICK_NS = 2_000_000  #: 500 Hz
TROT = GaitParameters(
    frequency=2.5,
    swing_ratio=0.45,
    phase_offsets=(0.5, 0.5, 0.0),
    foot_y=(-0.1308, 0.1308, -0.1308, 0.1308),
)


def parameters(node: str) -> dict[str, Any]:
    """The section of one node in the A1's shipped configuration, as plain YAML."""
    return dict(yaml.safe_load(CONFIG_FILE.read_text())[node]["ros__parameters"])


GAINS = LegGains(**parameters("bridge_node")["gains"])
LIMITS = GateLimits(**parameters("bridge_node")["limits"])
THRESHOLDS = SupervisorParameters(**parameters("supervisor_node")["thresholds"])
RECOVERY = GaitSettings(**parameters("supervisor_node")["recovery"])


def low_state(**changes: Any) -> LowState:
    """A1 at rest in its standing pose."""
    values: dict[str, Any] = {
        "stamp_ns": START_NS,
        "tick": 0,
        "quaternion_wxyz": np.array((1.0, 0.0, 0.0, 0.0)),
        "gyro": np.zeros(3),
        "accelerometer": np.array((0.0, 0.0, 9.81)),
        "q": A1.q_stand.copy(),
        "dq": np.zeros(N_JOINTS),
        "tau": np.zeros(N_JOINTS),
        "foot_force": np.full(4, 30.0),
        "temperature": np.full(N_JOINTS, 35.0),
        "voltage": 24.0,
    }
    return LowState(**{**values, **changes})


def verdict(**changes: Any) -> Verdict:
    """WALK under the recovery policy."""
    values: dict[str, Any] = {
        "stamp_ns": START_NS,
        "mode": Mode.WALK,
        "mode_since_ns": START_NS,
        "active": "recovery",
        "gait": TROT,
        "command": VelocityCommand(),
    }
    return Verdict(**{**values, **changes})


def stance_plan(**changes: Any) -> StancePlan:
    """Four feet that carry a quarter of the weight each."""
    values: dict[str, Any] = {
        "stamp_ns": START_NS,
        "stance": np.ones(4, dtype=np.bool_),
        "force": np.tile((0.0, 0.0, A1.mass * 9.81 / 4), (4, 1)),
        "foot_position": np.zeros((4, 3)),
        "foot_velocity": np.zeros((4, 3)),
    }
    return StancePlan(**{**values, **changes})


def low_command(**changes: Any) -> LowCommand:
    """Holds the standing pose softly."""
    values: dict[str, Any] = {
        "stamp_ns": START_NS,
        "q": A1.q_stand.copy(),
        "dq": np.zeros(N_JOINTS),
        "tau": np.zeros(N_JOINTS),
        "kp": np.full(N_JOINTS, 20.0),
        "kd": np.full(N_JOINTS, 0.5),
    }
    return LowCommand(**{**values, **changes})


def estimate(**changes: Any) -> Estimate:
    """A1 at rest in its standing pose on level ground."""
    values: dict[str, Any] = {
        "stamp_ns": START_NS,
        "position": np.array((0.0, 0.0, A1.nominal_height)),
        "quaternion_wxyz": np.array((1.0, 0.0, 0.0, 0.0)),
        "velocity": np.zeros(3),
        "angular_velocity": np.zeros(3),
        "position_covariance": 1e-6 * np.eye(3),
        "velocity_covariance": 1e-6 * np.eye(3),
        "q": A1.q_stand.copy(),
        "dq": np.zeros(N_JOINTS),
        "contact": np.ones(4, dtype=np.bool_),
        "ground_normal": np.array((0.0, 0.0, 1.0)),
        "ground_height": 0.0,
        "diverged": False,
    }
    return Estimate(**{**values, **changes})


def replaced(array: Array, index: int, value: float) -> Array:
    """A copy with one element changed."""
    changed = np.array(array, dtype=np.float64)
    changed[index] = value
    return changed


def assert_damping(command: LowCommand, reason: str) -> None:
    """Assert damping: no stiffness, no torque, kd of the limits, finite values, and the reason."""
    assert command.reason == reason
    for name in ("dq", "tau", "kp"):
        assert not getattr(command, name).any()
    np.testing.assert_array_equal(command.kd, LIMITS.damping)
    assert np.isfinite(command.q).all()
