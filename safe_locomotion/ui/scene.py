"""Scene: everything that a person sees of the robot and its safety, from what the stages said; RViz and the web viewer draw it.

Colours and sizes are here once, so that all pictures agree. Nothing here is on the control path.

What the supervisor said wins over what is computed here: the margins of its verdict give the values of the bars, whose sign alone is
our own measurement, and of a prediction only the changes are ours. Without margins, which only a robot that walks has, the bars show
what is measured and `Scene.judged` is False.
"""

from dataclasses import dataclass
from math import isnan

from safe_locomotion.rotations import (
    Vector,
)
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

FORCE_SCALE = 0.003  #: [m/N]; half of an A1's weight is an arrow of 0.18 m
FORCE_WIDTH = 0.012  #: [m] of an arrow's shaft
FOOT_SIZE = 0.045  #: [m] diameter of the ball at a foot
TARGET_SIZE = 0.03  #: [m] of a swing target
FOOTHOLD_SIZE = (0.06, 0.06, 0.004)  #: [m] of the disc where a foot stood or will stand
STATE_SIZE = 0.018  #: [m] of a predicted state
PATH_WIDTH = 0.006  #: [m]
FALL_SIZE = 0.12  #: [m] of the mark where the robot fell
BAR_LENGTH = 0.30  #: [m]; from bound to bound, and from bar to bar
BAR_HEIGHT = 0.022
BAR_DEPTH = 0.006
BAR_PITCH = 0.045
BAR_OVERSHOOT = 1.4  #: in half widths: how far a bar is drawn past its bounds
BARS_ABOVE = 0.25  #: [m] over the base
TEXT_ABOVE = 0.60
TEXT_HEIGHT = 0.05  #: [m]
SMALL_TEXT_HEIGHT = 0.024

CLOSE = 0.25  #: of a margin, from which a bar is amber
SLIPPERY = 0.95  #: share of the friction from which a force is amber
FORCE_FLOOR = 1.0  #: [N]: less than this is no force
KEPT_PREDICTION = 0.25  #: [s] for which the newest prediction is shown; one comes every 0.1 s
KEPT_FOOTHOLDS = 24
KEPT_FALLS = 5
STEEPEST = 0.3  #: z of a normal of ground
ZERO: Vector = (0.0, 0.0, 0.0)
UPRIGHT: Vector = (0.0, 0.0, 1.0)

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
    """One foot, in odom.

    Attributes:
        leg: its name.
        position: of its centre [m].
        ground: where it pushes, one radius below along the normal [m].
        contact: it carries load, as the estimator says.
        stance: it is to push, as the plan says.
        force: of the ground on the foot, as planned [N].
        cone: (4, 3) rim of the friction cone that the MPC uses, a pyramid with sides along the heading, drawn from `ground` as high as
            the normal force is: the arrow of a force inside the cone ends inside the rim.
        friction: share of the cone that the force takes: 0 along the normal, 1 on a side, NaN without a force.
        target: where the swing wants its centre now [m]; None in stance.
        foothold: where its swing ends [m]; None in stance, and before that can be told.
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

    @property
    def color(self) -> Rgba:
        """Of the ball: green loaded as planned, amber where plan and contact disagree, grey in the air."""
        if self.contact != self.stance:
            return AMBER
        return GREEN if self.contact else GREY

    @property
    def force_tip(self) -> Vector:
        """Where the arrow of the force ends that begins at `ground` [m]."""
        return added(self.ground, self.force, FORCE_SCALE)

    @property
    def force_color(self) -> Rgba:
        """Of the arrow: amber on the surface of the cone, red outside."""
        return BLUE if self.friction < SLIPPERY else AMBER if self.friction <= 1.0 + 1e-6 else RED


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One component of the trigger set, or the capture point.

    Attributes:
        name: of `capture_point.MARGINS`.
        value, low, high: in SI units; of the capture point how far it lies beyond the feet, negative within.
        margin: 1 in the middle, 0 on a bound, negative inside the trigger set, -inf for NaN.
    """

    name: str
    value: float
    low: float
    high: float
    margin: float

    @property
    def outside(self) -> bool:
        """In the trigger set; NaN is."""
        return not self.low <= self.value <= self.high

    @property
    def share(self) -> float:
        """Where to draw it: -1 on the low bound, 1 on the high one, clipped to `BAR_OVERSHOOT`; NaN is drawn as far out as can be."""
        share = (2.0 * self.value - self.low - self.high) / (self.high - self.low)
        return BAR_OVERSHOOT if isnan(share) else max(-BAR_OVERSHOOT, min(BAR_OVERSHOOT, share))

    @property
    def color(self) -> Rgba:
        """Green, amber close to a bound, red in the trigger set."""
        return RED if self.outside else AMBER if self.margin < CLOSE else GREEN

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
        position: (W + 1, 3) centre of mass in odom [m], `switching_rule.STEP` apart; ends before the first that is not finite.
        quaternion_wxyz: (W + 1, 4) body to odom.
        entry: index of the first state in the trigger set, which one that is not finite is in; None when all stay outside.
        components: that take it there.
    """

    stamp_ns: int
    position: Array
    quaternion_wxyz: Array
    entry: int | None
    components: tuple[str, ...]

    @property
    def telling(self) -> int:
        """Index of the state to draw a body at: the first to enter the trigger set; the last where none does, or the first is in it."""
        return min(self.entry or len(self.position), len(self.position) - 1)

    @property
    def colors(self) -> tuple[Rgba, ...]:
        """Of the states: green, from the first in the trigger set on red."""
        n = len(self.position)
        entry = n if self.entry is None else min(n, self.entry)
        return (GREEN,) * entry + (RED,) * (n - entry)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fall:
    """When and where the robot fell: base in odom [m], and what the supervisor gave as reason."""

    stamp_ns: int
    position: Vector
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """All that is drawn, on the stamp of one estimate; odom, SI units.

    Attributes:
        position, heading: of the base [m] and its yaw [rad].
        links, shapes: frames in the order of `RobotBody.links` and `RobotBody.shapes`; the last finite ones.
        velocity: of the base [m/s].
        normal: of the ground.
        feet: FR, FL, RR, RL.
        footholds: (n, 3) where feet stood lately, oldest first.
        prediction: the newest one, while it is young.
        bars: one per component of the trigger set, and one of the capture point where it counts.
        judged: the supervisor judges by the bars now.
        mode, active, policy: of the verdict; None and empty before the first.
        reason: why it is so, for people; empty when all is well.
        falls: the last ones, oldest first.
        finite: the estimate is; if not, the robot is drawn where it was last.
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

    @property
    def headline(self) -> str:
        """Mode and who drives."""
        if self.mode is None:
            return "no verdict"
        if self.mode is not Mode.WALK:
            return self.mode.name
        return f"WALK: {self.policy or 'learner' if self.active == 'learner' else 'recovery'}"

    @property
    def color(self) -> Rgba:
        """Of the headline: green while a learner drives or the robot stands, amber under recovery, red after a fall or fault."""
        if self.mode in (None, Mode.FALLEN, Mode.FAULT) or not self.finite:
            return RED
        if self.mode is Mode.WALK:
            return GREEN if self.active == "learner" else AMBER
        return GREEN if self.mode is Mode.STAND else WHITE


def added(a: Vector, b: Vector, times: float = 1.0) -> Vector:
    """a + times b."""
    return a[0] + times * b[0], a[1] + times * b[1], a[2] + times * b[2]
