"""Numbers of ALARM's world; where the paper is silent, the docstrings name the choice."""

from dataclasses import dataclass, field
from math import cos, radians

from safe_locomotion.sim.tiles import KINDS, LEVELS

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Drive:
    """How an action becomes torque: tau = kp (scale a + q_stand - q) - kd dq, equation 9.

    Attributes:
        ticks: physics steps per policy step.
        tick: physics step [s]; the PD law is evaluated on each, at 500 Hz.
        kp, kd: [Nm/rad, Nm s/rad].
        scale: k_a [rad].
        bound: actions are clipped to plus and minus this.
    """

    ticks: int = 5
    tick: float = 0.002
    kp: float = 20.0
    kd: float = 0.5
    scale: float = 0.25
    bound: float = 6.0

    @property
    def period(self) -> float:
        """Time of a policy step [s]."""
        return self.ticks * self.tick


@dataclass(frozen=True, kw_only=True, slots=True)
class Randomisation:
    """Table II, uniform over each range, and noise of the observation.

    Attributes:
        friction: of the ground. The foot has 1, and the mean of both counts, as in Isaac Gym.
        restitution: of the ground. The foot has 0, and the mean of both counts. MuJoCo has no such
            parameter: `contacts.damping_of` says what stands for it.
        payload: mass on the trunk [kg]; a negative one makes the trunk lighter.
        payload_position: of the mass in the trunk's frame, along each axis [m].
        strength: factor on the torque of each motor.
        kp, kd: factors on the gains of a robot.
        start_joints: factor on each joint of the standing pose at the start of an episode.
        push: change of the velocity along x and y [m/s].
        delay: from an action to its effect [s].
        interval: time after which everything is drawn anew [s].
        gyro, gravity, q, dq: standard deviations of white noise [rad/s, -, rad, rad/s]. The paper
            names no noise; these are those of the flat task.
    """

    friction: Range = (0.1, 3.0)
    restitution: Range = (0.0, 1.0)
    payload: Range = (-1.0, 3.0)
    payload_position: Range = (-0.1, 0.1)
    strength: Range = (0.8, 1.2)
    kp: Range = (0.8, 1.2)
    kd: Range = (0.8, 1.2)
    start_joints: Range = (0.5, 1.5)
    push: Range = (-1.0, 1.0)
    delay: Range = (0.0, 0.015)
    interval: float = 10.0
    gyro: float = 0.05
    gravity: float = 0.015
    q: float = 0.003
    dq: float = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class Commands:
    """Velocity commands of an episode, uniform over each range; the paper is silent on them.

    Most robots walk forwards and hold their heading, so that they leave their tile. The others
    stand still, turn, or walk anywhere.

    Attributes:
        forward, forward_lateral: velocity of most robots [m/s].
        vx, vy: velocity of robots that walk anywhere [m/s].
        turning_vx, wz: velocities of robots that turn [m/s, rad/s].
        standing, turning, anywhere: shares of robots.
        heading_gain: yaw rate per heading error [1/s].
        heading_rate: largest yaw rate of a robot that holds its heading [rad/s].
    """

    forward: Range = (0.3, 1.2)
    forward_lateral: Range = (-0.2, 0.2)
    vx: Range = (-0.7, 1.2)
    vy: Range = (-0.5, 0.5)
    turning_vx: Range = (0.0, 0.8)
    wz: Range = (-1.0, 1.0)
    standing: float = 0.04
    turning: float = 0.08
    anywhere: float = 0.13
    heading_gain: float = 1.0
    heading_rate: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """Weights of table I, per second.

    Attributes:
        velocity, yaw_rate: of the exponentials of the tracking errors.
        vertical, roll_pitch_rate: of squared speeds.
        feet: of the exponential of the distance from the SLIP model's feet.
        effort: of squared joint speeds plus twice the squared torques.
        acceleration: of squared joint accelerations.
        action_rate, action_jerk: of squared first and second differences of actions.
        raised, lean: of what the base is higher than standing, and of the squared sine of the
            roll. Not in table I: the prior of the feet fades with the level and says nothing about
            the roll. Robots on straight legs had no way left downwards, others leaned by 0.2 rad.
    """

    velocity: float = 2.0
    yaw_rate: float = 1.0
    vertical: float = -2.0
    roll_pitch_rate: float = -0.05
    feet: float = 0.2
    effort: float = -1.0e-4
    acceleration: float = -2.5e-7
    action_rate: float = -0.01
    action_jerk: float = -0.01
    raised: float = -4.0
    lean: float = -5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Slip:
    """Gait of the SLIP model whose feet the style reward follows.

    Attributes:
        swing, stance: times of a step [s].
        height: of a foot at mid-swing on even ground [m].
        height_per_deviation: more height per standard deviation of the ground's height around.
        highest: limit of the height [m].
        gain: shift of the foothold per velocity error [s].
    """

    swing: float = 0.25
    stance: float = 0.25
    height: float = 0.08
    height_per_deviation: float = 0.5
    highest: float = 0.25
    gain: float = 0.03


@dataclass(frozen=True, kw_only=True, slots=True)
class AlarmOptions:
    """The whole world.

    Attributes:
        rows: kind of terrain of each row of tiles; robots are spread over them.
        levels: tiles of a row.
        terrain_seed: of noise and obstacles.
        start_levels: at the start; robots are spread over them as over the rows.
        episode: longest, in policy steps.
        lowest: height of the base above the local ground below which c5 is 1 [m].
        steepest: cosine of the tilt above which c5 is 1.
        toppled: cosine of the tilt at which an episode ends.
        staggered: whether first episodes are shorter by random times, so that not all end at once.
        contacts, constraints: memory of the physics per robot.
        noisy: whether observations have noise.
        randomised: whether robots differ, are pushed and have delays.
    """

    drive: Drive = field(default_factory=Drive)
    randomisation: Randomisation = field(default_factory=Randomisation)
    commands: Commands = field(default_factory=Commands)
    weights: Weights = field(default_factory=Weights)
    slip: Slip = field(default_factory=Slip)
    rows: tuple[str, ...] = tuple(kind for kind in KINDS for _ in range(4))
    levels: int = LEVELS
    terrain_seed: int = 0
    start_levels: tuple[int, ...] = (0,)
    episode: int = 1000
    lowest: float = 0.18
    steepest: float = cos(radians(50.0))
    toppled: float = 0.5
    staggered: bool = True
    contacts: int = 16
    constraints: int = 64
    noisy: bool = True
    randomised: bool = True
