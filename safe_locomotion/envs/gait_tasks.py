"""The locomotion tasks of paper 1 for policies that choose the gait: rewards and free parameters.

A reward is that of one policy step (8 ms). It comes from the simulator's truth, so that no policy
gains by misleading the estimator. The paper's targets are those of Laikago (0.45 m tall); here they
scale with the robot's nominal height.
"""

from collections.abc import Callable
from dataclasses import dataclass

from safe_locomotion.control.gait import phase_offsets
from safe_locomotion.errors import UnknownNameError
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.types import FL, FR, GRAVITY, RL, RR, GaitParameters, VelocityCommand

STRIDE_TIME = 0.4
"""Time over which velocities are averaged [s]: within a stride they swing about the mean."""
SURVIVAL = 1.0
"""Bonus e of every step; it keeps rewards from being negative (paper 1, section VI)."""
RECOVERY_SURVIVAL = 5.0
"""The same for `recovery`, whose robots are pushed and turn at several rad/s.

Of the steps of an untrained policy 5 % lose more than this. With a bonus of 1 its walks earned less
than nothing, so that a fall would have been a gain.
"""
POWER_WEIGHT = 1.0
"""Weight of the mechanical power over weight times `POWER_SPEED`.

At the A1's nominal trot this ratio is about 0.4.
"""
POWER_SPEED = 1.0  # m/s
TRACKING_WEIGHT = 8.0  # s2/m2
PUSH_SPEED = (0.2, 2.4)
"""Changes of velocity by the pushes of `recovery` [m/s]; 30 N s move an A1 by 2.4 m/s."""
LARGEST_ERROR = 0.5  # m/s; a larger error of a pushed robot costs no more
TURNING_WEIGHT = 1.0  # s2/rad2
TILT_WEIGHT = 4.0  # 1/rad2


@dataclass(frozen=True, kw_only=True, slots=True)
class StepOutcome:
    """Outcome of one policy step, true values.

    Training on many robots fills the fields with batches of numbers. The rewards below compute
    element by element.

    Attributes:
        height: base above the ground [m].
        velocity: vx, vy of the base in its yaw frame and its vertical velocity, mean over the last
            stride [m/s].
        yaw_rate: mean over the last stride [rad/s].
        rates: angular velocity in base at the end of the step [rad/s].
        roll, pitch: [rad].
        power: sum over the motors of |tau dq|, mean over the step [W].
        gait: parameters that the learner proposed.
        command: in force, ramped and averaged as the velocities are.
    """

    height: float
    velocity: tuple[float, float, float]
    yaw_rate: float
    rates: tuple[float, float, float]
    roll: float
    pitch: float
    power: float
    gait: GaitParameters
    command: VelocityCommand


Reward = Callable[[StepOutcome, RobotModel], float]


@dataclass(frozen=True, kw_only=True, slots=True)
class GaitTask:
    """A task.

    Attributes:
        reward: of one step.
        offsets: phase offsets at the start.
        frequency, swing_ratio: at the start [Hz, -].
        stance_width: of the feet at the start as a share of the nominal one.
        lifted: (FR, FL, RR, RL) legs that are held in the air for good.
        free: (9,) which actions the policy has: frequency, swing ratio, three offsets, four foot y.
            The others stay as they start.
        vx, vy, wz: ranges from which episodes draw their velocity command [m/s, m/s, rad/s].
        push_speed: range of the changes of velocity by pushes in training [m/s]; 0 for none.
    """

    reward: Reward
    offsets: tuple[float, float, float]
    frequency: float = 2.5
    swing_ratio: float = 0.45
    stance_width: float = 1.0
    lifted: tuple[bool, bool, bool, bool] = (False, False, False, False)
    free: tuple[bool, ...]
    vx: tuple[float, float]
    vy: tuple[float, float]
    wz: tuple[float, float]
    push_speed: tuple[float, float] = (0.0, 0.0)


def efficient_gait(outcome: StepOutcome, robot: RobotModel) -> float:
    """Follow the command with little power and a level trunk.

    e - P / (m g v0) - |v - v*|^2 - (w - w*)^2 - tilt^2, each term with its weight.
    """
    vx, vy, _ = outcome.velocity
    command = outcome.command
    tracking = _at_most(LARGEST_ERROR**2, (vx - command.vx) ** 2 + (vy - command.vy) ** 2)
    turning = (outcome.yaw_rate - command.wz) ** 2
    tilt = outcome.roll**2 + outcome.pitch**2
    power = outcome.power / (robot.mass * GRAVITY * POWER_SPEED)
    return (
        SURVIVAL
        - POWER_WEIGHT * power
        - TRACKING_WEIGHT * tracking
        - TURNING_WEIGHT * turning
        - TILT_WEIGHT * tilt
    )


def catwalk(outcome: StepOutcome, robot: RobotModel) -> float:
    """Keep left and right feet close together.

    e - (yFR - yFL)^2 - (yRR - yRL)^2, in units of the nominal distance.
    """
    y = outcome.gait.foot_y
    width = hip_width(robot)
    return SURVIVAL - ((y[FR] - y[FL]) / width) ** 2 - ((y[RR] - y[RL]) / width) ** 2


def two_leg(outcome: StepOutcome, robot: RobotModel) -> float:
    """Stay up on FR and RL: e - (z - z0)^2 with z0 the nominal height, in units of it."""
    return SURVIVAL - (outcome.height / robot.nominal_height - 1.0) ** 2


def pacing(outcome: StepOutcome, robot: RobotModel) -> float:
    """Match the velocity: e - |v - v*|^2."""
    vx, vy, vz = outcome.velocity
    command = outcome.command
    return SURVIVAL - (vx - command.vx) ** 2 - (vy - command.vy) ** 2 - vz**2


def recovery(outcome: StepOutcome, robot: RobotModel) -> float:
    """Stand still and upright at the nominal height: e - |[z, v, roll, pitch, rates] - [z0, 0]|^2.

    The height is in units of the nominal one. Unlike in the paper the heading does not count: a
    robot that was turned by a push need not turn back.
    """
    vx, vy, vz = outcome.velocity
    wx, wy, wz = outcome.rates
    return (
        RECOVERY_SURVIVAL
        - (outcome.height / robot.nominal_height - 1.0) ** 2
        - (vx**2 + vy**2 + vz**2)
        - (outcome.roll**2 + outcome.pitch**2)
        - (wx**2 + wy**2 + wz**2)
    )


def _at_most(limit: float, value: float) -> float:
    """The smaller of two numbers; a batch of values is clamped one by one."""
    clamp: Callable[[float], float] | None = getattr(value, "clamp_max", None)
    return min(limit, value) if clamp is None else clamp(limit)


def hip_width(robot: RobotModel) -> float:
    """Distance between left and right feet under their hips [m]."""
    return 2.0 * float(abs(robot.hip_position[0, 1] + robot.hip_offset[0]))


_STEPPING = (True, True, False, False, False)
_STEPPING_AND_OFFSETS = (True,) * 5
_FREE_FEET = (True,) * 4
_FIXED_FEET = (False,) * 4

TASKS: dict[str, GaitTask] = {
    "trot": GaitTask(
        reward=efficient_gait,
        offsets=phase_offsets("trot"),
        free=_STEPPING + _FREE_FEET,
        vx=(-0.4, 1.0),
        vy=(-0.3, 0.3),
        wz=(-0.8, 0.8),
    ),
    "efficient": GaitTask(
        reward=efficient_gait,
        offsets=phase_offsets("trot"),
        free=_STEPPING_AND_OFFSETS + _FIXED_FEET,
        vx=(0.3, 0.6),
        vy=(0.0, 0.0),
        wz=(0.0, 0.0),
    ),
    "recovery": GaitTask(
        reward=recovery,
        offsets=phase_offsets("trot"),
        free=_STEPPING_AND_OFFSETS + _FIXED_FEET,
        vx=(0.0, 0.0),
        vy=(0.0, 0.0),
        wz=(0.0, 0.0),
        push_speed=PUSH_SPEED,
    ),
    "catwalk": GaitTask(
        reward=catwalk,
        offsets=phase_offsets("trot"),
        stance_width=0.59,
        free=_STEPPING_AND_OFFSETS + _FREE_FEET,
        vx=(0.2, 0.4),
        vy=(0.0, 0.0),
        wz=(0.0, 0.0),
    ),
    "two_leg": GaitTask(
        reward=two_leg,
        offsets=phase_offsets("trot"),
        frequency=5.0,
        swing_ratio=0.4,
        lifted=(False, True, True, False),
        free=(True, True, False, False, True, *_FIXED_FEET),
        vx=(0.0, 0.0),
        vy=(0.0, 0.0),
        wz=(0.0, 0.0),
    ),
    "pacing": GaitTask(
        reward=pacing,
        offsets=phase_offsets("pace"),
        free=_STEPPING + _FIXED_FEET,
        vx=(0.0, 0.6),
        vy=(0.0, 0.0),
        wz=(0.0, 0.0),
    ),
}


def gait_task(name: str) -> GaitTask:
    """A task by name.

    Raises:
        UnknownNameError: with the choices.
    """
    try:
        return TASKS[name]
    except KeyError:
        raise UnknownNameError("task", name, TASKS) from None


def start_gait(task: GaitTask, robot: RobotModel) -> GaitParameters:
    """The gait that a task begins with."""
    half = 0.5 * task.stance_width * hip_width(robot)
    return GaitParameters(
        frequency=task.frequency,
        swing_ratio=task.swing_ratio,
        phase_offsets=task.offsets,
        foot_y=(-half, half, -half, half),
        lifted=task.lifted,
    )
