"""Numbers of the velocity task for joint policies: robots, commands and rewards."""

from dataclasses import dataclass, field

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Drive:
    """How an action becomes torque: q* = q_stand + scale * clip(action), then PD on the motor.

    Attributes:
        rate_hz: of the policy.
        physics_step: [s]; the PD law is evaluated at each step, as on the robot's drives.
        kp, kd: [Nm/rad, Nm s/rad]. ALARM has 20 and 0.5; with these the A1 stands 7 cm below its
            standing pose.
        scale: [rad] per unit of action.
        bound: actions are clipped to plus and minus this.
    """

    rate_hz: int = 100
    physics_step: float = 0.002
    kp: float = 25.0
    kd: float = 0.6
    scale: float = 0.25
    bound: float = 6.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Randomisation:
    """Differences between robots and episodes; uniform over each range.

    Attributes:
        friction: of the feet.
        payload: added to the trunk [kg]; its inertia grows in proportion.
        com: shift of the trunk's centre of mass along each axis [m].
        strength: factor on both gains.
        delay_ms: from a command to its effect.
        encoder: zero error of each joint [rad].
        gyro_bias: [rad/s].
        gyro, gravity, q, dq: standard deviations of white noise [rad/s, -, rad, rad/s]; larger than
            those of `sim.sensors`.
        start_q, start_velocity, start_rates: largest deviation at the start of an episode [rad,
            m/s, rad/s].
        push: largest change of the planar velocity by a push [m/s]; it grows from `push_start` over
            the first half of the training.
        push_rates: of the angular velocity [rad/s].
        push_interval: mean time between pushes [s].
    """

    friction: Range = (0.3, 1.2)
    payload: Range = (-0.5, 2.5)
    com: Range = (-0.03, 0.03)
    strength: Range = (0.85, 1.15)
    delay_ms: Range = (0.0, 8.0)
    encoder: float = 0.01
    gyro_bias: float = 0.02
    gyro: float = 0.05
    gravity: float = 0.015
    q: float = 0.003
    dq: float = 0.3
    start_q: float = 0.15
    start_velocity: float = 0.4
    start_rates: float = 0.4
    push: float = 1.5
    push_start: float = 0.3
    push_rates: float = 0.6
    push_interval: float = 4.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Commands:
    """Velocity commands: vx, vy [m/s], wz [rad/s], uniform over each range.

    Attributes:
        standing: share of commands that are zero.
        straight: share with only vx.
        interval: mean time between commands [s].
        deadband: a smaller command [m/s plus rad/s] becomes zero.
    """

    vx: Range = (-0.8, 1.3)
    vy: Range = (-0.6, 0.6)
    wz: Range = (-1.3, 1.3)
    standing: float = 0.12
    straight: float = 0.2
    interval: float = 5.0
    deadband: float = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """Reward per second for each term of `joint.rewards`; `air_time` and `fall` are per event."""

    velocity: float = 2.5
    velocity_fine: float = 1.5
    yaw_rate: float = 1.0
    tilt: float = -3.0
    height: float = -60.0
    vertical: float = -1.0
    roll_pitch_rate: float = -0.05
    torque: float = -1.0e-4
    power: float = -1.0e-3
    acceleration: float = -1.5e-7
    action_rate: float = -0.02
    action_jerk: float = -0.005
    air_time: float = 0.15
    clearance: float = -15.0
    slip: float = -0.4
    impact: float = -1.5e-3
    trot: float = 0.5
    hips: float = -0.6
    pose: float = -0.1
    limits: float = -5.0
    knees: float = -0.5
    still_pose: float = -0.8
    still_speed: float = -0.01
    still_feet: float = 0.3
    alive: float = 1.0
    fall: float = -1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class JointTask:
    """The whole task.

    Attributes:
        episode: length [s].
        fall_tilt: cosine of the tilt at which an episode ends.
        fall_clearance: height of the trunk's lowest corner at which it ends [m].
        swing_height: of a foot's sole at mid-swing [m].
        swing_time: a swing is rewarded from here on [s], up to `swing_limit`.
        swing_limit: a longer swing earns no more [s].
        swing_floor: largest shortfall of a short swing that counts [s]. The chatter of a beginner
            must not teach it to stand still.
        soft_force: larger foot forces are penalised [N].
    """

    drive: Drive = field(default_factory=Drive)
    randomisation: Randomisation = field(default_factory=Randomisation)
    commands: Commands = field(default_factory=Commands)
    weights: Weights = field(default_factory=Weights)
    episode: float = 20.0
    fall_tilt: float = 0.5
    fall_clearance: float = 0.05
    swing_height: float = 0.07
    swing_time: float = 0.17
    swing_limit: float = 0.30
    swing_floor: float = 0.0
    soft_force: float = 100.0
