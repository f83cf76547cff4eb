"""The values that travel between the stages of the control loop.

There is one frozen dataclass per arrow of the flow, and nothing else:
robot -> estimator -> policy -> supervisor -> mpc -> bridge -> robot.

Conventions:

- Units are SI units.
- Legs are ordered FR, FL, RR, RL, and the joints of a leg hip, thigh, calf, as in the Unitree SDK.
- `base` has its origin in the centre of the trunk, x forward, y left, z up.
- `odom` is fixed to the ground, z up. Its origin is where the estimator started.
- Quaternions are w, x, y, z and rotate base into odom.
- Arrays are float64. Nobody may write to an array after it has been handed over.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

#: [m/s2] MuJoCo's default. The spread on Earth (9.78-9.83) is below every other model error.
GRAVITY = 9.81
Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

LEGS = ("FR", "FL", "RR", "RL")
FR, FL, RR, RL = range(4)
JOINT_KINDS = ("hip", "thigh", "calf")
JOINTS = tuple(f"{leg}_{kind}" for leg in LEGS for kind in JOINT_KINDS)
N_LEGS = len(LEGS)
N_JOINTS = len(JOINTS)

NANOSECONDS = 1_000_000_000
STATE_PERIOD_NS = 2_000_000  #: time between two LowStates


class Mode(IntEnum):
    """What the robot is doing; the numbers are those on the verdict topic."""

    PASSIVE = 0
    STAND_UP = 1
    STAND = 2
    WALK = 3
    SIT = 4
    FALLEN = 5
    SELF_RIGHT = 6
    FAULT = 7


#: Modes in which the motors are damped.
DAMPED = frozenset({Mode.PASSIVE, Mode.FALLEN, Mode.FAULT})
#: Modes in which the robot need not be upright.
LYING = DAMPED | {Mode.SELF_RIGHT}
#: Modes that ramp the joints and need no stance plan.
RAMPED = frozenset({Mode.STAND_UP, Mode.SIT, Mode.SELF_RIGHT})


@dataclass(frozen=True, kw_only=True, slots=True)
class LowState:
    """One reading of the robot's sensors.

    Attributes:
        stamp_ns: robot time: the unwrapped tick of the wire, plus a constant that makes it read as
            Unix time. On hardware it follows the clock of this machine by at most 0.02 %.
        tick: the tick as it came over the wire.
        quaternion_wxyz: (4,) orientation from the IMU.
        gyro: (3,) angular velocity in base [rad/s].
        accelerometer: (3,) specific force in base [m/s2]; reads +g on z at rest.
        q, dq, tau: (12,) joint positions [rad], velocities [rad/s], estimated torques [Nm].
        foot_force: (4,) raw foot sensors [N]. They are not calibrated: offset and scale differ per
            foot.
        temperature: (12,) motor temperatures [deg C].
        voltage: battery voltage [V]; None if the robot reports none (A1 over legged_sdk).
        remote: 40 raw bytes of the wireless remote.
        motors_on: all motors report by their mode byte that their drives follow commands; None if
            the link does not say.
    """

    stamp_ns: int
    tick: int
    quaternion_wxyz: Array
    gyro: Array
    accelerometer: Array
    q: Array
    dq: Array
    tau: Array
    foot_force: Array
    temperature: Array
    voltage: float | None
    remote: bytes = bytes(40)
    motors_on: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """State of the floating base and the feet, on the stamp of the LowState it was computed from.

    Attributes:
        position: (3,) base in odom [m].
        quaternion_wxyz: (4,) base to odom.
        velocity: (3,) velocity of the base, expressed in odom [m/s].
        angular_velocity: (3,) expressed in base [rad/s], gyro bias removed.
        position_covariance, velocity_covariance: (3, 3), in odom.
        q, dq: (12,) joint positions [rad] and velocities [rad/s] that it was computed from.
        contact: (4,) feet that carry load.
        ground_normal: (3,) unit normal, in odom, of the plane fitted through the latest footholds.
        ground_height: height of that plane under the base [m, odom].
        diverged: the filter no longer explains its measurements. Nothing here may be trusted then.
    """

    stamp_ns: int
    position: Array
    quaternion_wxyz: Array
    velocity: Array
    angular_velocity: Array
    position_covariance: Array
    velocity_covariance: Array
    q: Array
    dq: Array
    contact: Flags
    ground_normal: Array
    ground_height: float
    diverged: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class VelocityCommand:
    """Wanted planar velocity of the base in its own yaw frame: vx, vy [m/s], wz [rad/s]."""

    vx: float = 0.0
    vy: float = 0.0
    wz: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class GaitParameters:
    """Stepping and lateral foot placement, chosen by a gait policy (paper 1, section V).

    Attributes:
        frequency: strides per second of every leg [Hz].
        swing_ratio: share of the stride that a foot spends in the air, in (0, 1).
        phase_offsets: phases of FL, RR, RL relative to FR, in strides [0, 1).
        foot_y: (FR, FL, RR, RL) lateral foot positions in base [m].
        lifted: (FR, FL, RR, RL) legs that are held in the air and never push; the other legs follow
            the gait (`control.lift`).
    """

    frequency: float
    swing_ratio: float
    phase_offsets: tuple[float, float, float]
    foot_y: tuple[float, float, float, float]
    lifted: tuple[bool, bool, bool, bool] = (False, False, False, False)


@dataclass(frozen=True, kw_only=True, slots=True)
class JointTargets:
    """Joint positions (12,) [rad] chosen by a joint policy, and the gains from its file."""

    q: Array
    kp: Array
    kd: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """Proposal of a learner.

    Exactly the field named by `kind` is set. If neither is set, `fault` says why.

    Attributes:
        policy: name of the learner.
        fault: what is wrong with the learner's output; "" if nothing is.
        period_ns: robot time to its next proposal; 0 leaves it unchanged.
        observation, action: raw input and output of the learner's network, for recorders; None
            without a network. Of a policy that explores, the action with its noise, before it is
            cut.
    """

    stamp_ns: int
    policy: str
    kind: Literal["gait", "joint"]
    gait: GaitParameters | None = None
    joints: JointTargets | None = None
    fault: str = ""
    period_ns: int = 0
    observation: NDArray[np.float32] | None = None
    action: Array | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The supervisor's decision: what the robot does on this tick, who drives, and why.

    Attributes:
        mode, mode_since_ns: current mode and the stamp at which it was entered.
        active: who drives in WALK.
        gait: selected gait. It is always set, so that the MPC stays warm under a joint policy too.
        joints: joint targets if a joint policy drives.
        command: velocity that the gait must follow.
        margins: distance to the nearest bound of each trigger-set component, negative inside the
            trigger set. The distance of the capture point to the feet is added if it counts.
        predicted: (W + 1, 12) states of the learner's rollout, 0.016 s apart; None on ticks without
            a rollout. The first is now, or a tick or two ago where they decided nothing. A state
            holds roll, pitch, yaw, position of the centre of mass, angular velocity and velocity,
            in odom.
        reasons: names of the hazards that hold now.
        policy: name of the learner while it drives.
    """

    stamp_ns: int
    mode: Mode
    mode_since_ns: int
    active: Literal["learner", "recovery"]
    gait: GaitParameters
    command: VelocityCommand
    joints: JointTargets | None = None
    margins: tuple[tuple[str, float], ...] = ()
    predicted: Array | None = None
    reasons: tuple[str, ...] = ()
    policy: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """What the policy is told about its proposals.

    Attributes:
        mode: the mode in force.
        policy: name of the learner that drives; "" if none does.
        gate: why the last gate refuses commands; "" if it passes them.
    """

    mode: Mode
    policy: str = ""
    gate: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class StancePlan:
    """Forces and foot targets until the next plan, in base.

    Attributes:
        stance: (4,) feet that push.
        force: (4, 3) force of the ground on the foot [N]; zero for swing feet.
        foot_position, foot_velocity: (4, 3) target of the foot centre [m, m/s] at `stamp_ns`.
        solved: the force comes from a solve within tolerance. If not, it is the last good force.
    """

    stamp_ns: int
    stance: Flags
    force: Array
    foot_position: Array
    foot_velocity: Array
    solved: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class LowCommand:
    """Motor command: tau_motor = tau + kp (q - q_motor) + kd (dq - dq_motor), each (12,).

    Attributes:
        stamp_ns: stamp of the LowState that it answers.
        reason: why the gate replaced the wanted command by damping; empty if the command passed.
    """

    stamp_ns: int
    q: Array
    dq: Array
    tau: Array
    kp: Array
    kd: Array
    reason: str = ""
