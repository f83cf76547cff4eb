"""Scene: all that a person sees of the robot and its safety; RViz and the web viewer draw it.

Colours and sizes stand here once, so that all pictures agree. The control path does not use it.

The values of the bars follow from the margins in the supervisor's verdict. A verdict has margins
only in WALK. In other modes the bars show what is measured here, and `Scene.judged` is False.
"""

from dataclasses import dataclass
from math import isnan

from safe_locomotion.rotations import Vector
from safe_locomotion.types import Array, Mode
from safe_locomotion.ui.robot_body import Poses, Rgba

GREEN: Rgba = (0.20, 0.75, 0.35, 1.0)
AMBER: Rgba = (0.98, 0.70, 0.15, 1.0)
RED: Rgba = (0.90, 0.20, 0.18, 1.0)
BLUE: Rgba = (0.20, 0.55, 0.95, 1.0)
GREY: Rgba = (0.60, 0.62, 0.65, 1.0)
DARK: Rgba = (0.13, 0.14, 0.16, 0.55)
WHITE: Rgba = (0.96, 0.96, 0.97, 1.0)
CONE: Rgba = (0.20, 0.55, 0.95, 0.28)
GHOST: Rgba = (0.98, 0.70, 0.15, 0.25)
PALE: Rgba = (0.74, 0.76, 0.79, 1.0)

FORCE_SCALE = 0.003  #: length of an arrow [m/N]; half of an A1's weight gives 0.18 m
FORCE_WIDTH = 0.012  #: of an arrow's shaft [m]
FOOT_SIZE = 0.045  #: diameter of the ball at a foot [m]
TARGET_SIZE = 0.03  #: diameter of a swing target [m]
FOOTHOLD_SIZE = (0.06, 0.06, 0.004)  #: of the disc where a foot stood or will stand [m]
STATE_SIZE = 0.018  #: diameter of a predicted state [m]
PATH_WIDTH = 0.006  #: of the line through predicted states [m]
FALL_SIZE = 0.12  #: diameter of the mark where the robot fell [m]
BAR_LENGTH = 0.30  #: from bound to bound [m]
BAR_HEIGHT = 0.022  #: [m]
BAR_DEPTH = 0.006  #: [m]
BAR_PITCH = 0.045  #: from bar to bar [m]
BAR_OVERSHOOT = 1.4  #: half widths from the middle up to which a bar is drawn
BARS_ABOVE = 0.25  #: height of the lowest bar over the base [m]
TEXT_ABOVE = 0.60  #: height of the headline over the base [m]
TEXT_HEIGHT = 0.05  #: of a letter of the headline [m]
SMALL_TEXT_HEIGHT = 0.024  #: of other letters [m]

CLOSE = 0.25  #: a bar with a smaller margin is amber
SLIPPERY = 0.95  #: a force that takes a greater share of its friction cone is amber
KEPT_FOOTHOLDS = 24
KEPT_FALLS = 5

UNITS = {
    "height": "m",
    "roll": "rad",
    "pitch": "rad",
    "lateral_velocity": "m/s",
    "roll_rate": "rad/s",
    "capture": "m",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FootScene:
    """One foot; positions and forces are in odom.

    Attributes:
        leg: its name.
        position: of its centre [m].
        ground: the point where it pushes, one radius below the centre along the normal [m].
        contact: the estimator says that the foot carries load.
        stance: the plan wants the foot to push.
        force: planned force of the ground on the foot [N].
        cone: (4, 3) rim of the friction pyramid of the MPC, with sides along the heading [m]. Its
            tip is `ground` and its height the normal force, so the arrow of a force inside the
            pyramid ends inside the rim.
        friction: share of the pyramid that the force takes: 0 along the normal, 1 on a side, NaN
            without a force.
        target: where the swing wants the centre now [m]; None in stance.
        foothold: where the swing ends [m]; None in stance and early in a swing.
        lifted: the gait holds the foot in the air.
    """

    leg: str
    position: Vector
    ground: Vector
    contact: bool
    stance: bool
    force: Vector
    cone: Array
    friction: float
    target: Vector | None
    foothold: Vector | None
    lifted: bool

    @property
    def color(self) -> Rgba:
        """Green with the planned load, grey in a swing, blue where the gait holds it in the air.

        It is amber where plan and contact disagree.
        """
        if self.contact != self.stance:
            return AMBER
        if self.contact:
            return GREEN
        return BLUE if self.lifted else GREY

    @property
    def force_tip(self) -> Vector:
        """End of the arrow of the force, which begins at `ground` [m]."""
        return added(self.ground, self.force, FORCE_SCALE)

    @property
    def force_color(self) -> Rgba:
        """Blue inside the friction pyramid, amber on its surface, red outside."""
        if self.friction < SLIPPERY:
            return BLUE
        return AMBER if self.friction <= 1.0 + 1e-6 else RED


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One component of the trigger set, or the capture point.

    Attributes:
        name: one of `capture_point.MARGINS`.
        value, low, high: in SI units. For the capture point: how far it lies beyond the feet,
            negative within them [m].
        margin: 1 in the middle, 0 on a bound, negative in the trigger set, -inf for NaN.
    """

    name: str
    value: float
    low: float
    high: float
    margin: float

    @property
    def outside(self) -> bool:
        """Whether the value lies in the trigger set; NaN does."""
        return not self.low <= self.value <= self.high

    @property
    def share(self) -> float:
        """Where to draw the value: -1 on the low bound, 1 on the high one.

        The share is clipped to `BAR_OVERSHOOT`; NaN is drawn there too.
        """
        share = (2.0 * self.value - self.low - self.high) / (self.high - self.low)
        return BAR_OVERSHOOT if isnan(share) else max(-BAR_OVERSHOOT, min(BAR_OVERSHOOT, share))

    @property
    def color(self) -> Rgba:
        """Green, amber close to a bound, red in the trigger set."""
        if self.outside:
            return RED
        return AMBER if self.margin < CLOSE else GREEN

    @property
    def text(self) -> str:
        """Name, value and bounds for people."""
        name = self.name.replace("_", " ")
        return f"{name} {self.value:+.3f} {UNITS[self.name]} ({self.low:g} .. {self.high:g})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """Where the learner would take the robot.

    Attributes:
        stamp_ns: of the first state.
        position: (W + 1, 3) centre of mass in odom [m], `switching_rule.STEP` apart. The rows end
            before the first state that is not finite.
        quaternion_wxyz: (W + 1, 4) body to odom.
        entry: index of the first state in the trigger set; None when all stay outside. A state
            that is not finite is in the trigger set.
        components: of the trigger set through which the state enters it.
    """

    stamp_ns: int
    position: Array
    quaternion_wxyz: Array
    entry: int | None
    components: tuple[str, ...]

    @property
    def telling(self) -> int:
        """Index of the state at which the body is drawn.

        It is the first state in the trigger set. It is the last state when none enters the trigger
        set, or when the first one is in it already.
        """
        return min(self.entry or len(self.position), len(self.position) - 1)

    @property
    def colors(self) -> tuple[Rgba, ...]:
        """Colours of the states: green, and red from the first one in the trigger set on."""
        n = len(self.position)
        entry = n if self.entry is None else min(n, self.entry)
        return (GREEN,) * entry + (RED,) * (n - entry)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fall:
    """When and where the robot fell: base in odom [m], and the reasons that the supervisor gave."""

    stamp_ns: int
    position: Vector
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Remains:
    """What was planned and predicted on the last tick of a walk that was stopped; in odom.

    Attributes:
        footholds: (n, 3) where swings would have ended [m].
        targets: (n, 3) where swings wanted the feet [m].
        forces: (n, 2, 3) root and tip of the arrows of planned forces [m].
        prediction: the newest one; None without one.
    """

    footholds: Array
    targets: Array
    forces: Array
    prediction: Prediction | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """Everything that is drawn, on the stamp of one estimate; in odom and SI units.

    Attributes:
        stamp_ns: of the estimate.
        position: of the base [m].
        heading: yaw of the base [rad].
        links, shapes: frames in the order of `RobotBody.links` and `RobotBody.shapes`, from the
            newest finite estimate.
        velocity: of the base [m/s].
        normal: of the ground.
        feet: FR, FL, RR, RL.
        footholds: (n, 3) places where feet touched down lately, oldest first [m].
        prediction: the newest one, while it is young.
        bars: one per component of the trigger set, and one for the capture point where it counts.
        judged: the bars show the supervisor's margins.
        mode, active, policy: of the verdict; None and empty before the first one.
        reason: for the mode or for the active policy, for people; empty when all is well.
        falls: the newest ones, oldest first.
        finite: the estimate is finite. If it is not, the robot is drawn where it was before.
        remains: of the walk, after it ended in FALLEN or FAULT; None in other modes.
    """

    stamp_ns: int
    position: Vector
    heading: float
    links: Poses
    shapes: Poses
    velocity: Vector
    normal: Vector
    feet: tuple[FootScene, ...]
    footholds: Array
    prediction: Prediction | None
    bars: tuple[Bar, ...]
    judged: bool
    mode: Mode | None
    active: str
    policy: str
    reason: str
    falls: tuple[Fall, ...]
    finite: bool
    remains: Remains | None = None

    @property
    def headline(self) -> str:
        """The mode, and in WALK the active policy."""
        if self.mode is None:
            return "no verdict"
        if self.mode is not Mode.WALK:
            return self.mode.name
        return f"WALK: {self.policy or 'learner' if self.active == 'learner' else 'recovery'}"

    @property
    def color(self) -> Rgba:
        """Colour of the headline.

        Green while a learner drives or the robot stands, amber under the recovery policy, red after
        a fall or fault and without a verdict.
        """
        if self.mode in (None, Mode.FALLEN, Mode.FAULT) or not self.finite:
            return RED
        if self.mode is Mode.WALK:
            return GREEN if self.active == "learner" else AMBER
        return GREEN if self.mode is Mode.STAND else WHITE


def added(a: Vector, b: Vector, times: float = 1.0) -> Vector:
    """Return a + times b."""
    return a[0] + times * b[0], a[1] + times * b[1], a[2] + times * b[2]
