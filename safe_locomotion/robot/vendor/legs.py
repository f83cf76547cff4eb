"""A vendor's tree in our conventions: legs FR, FL, RR, RL with hip about x, thigh and calf about y.

A joint may turn about the opposite axis; its sign is then changed. The place of a joint may be
moved along its own axis, which changes no motion. Everything else that does not fit is refused.
"""

from dataclasses import dataclass
from math import inf

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import Link, joined
from safe_locomotion.robot.vendor.tree import MovingJoint, RigidBody, Tree
from safe_locomotion.types import LEGS, Array

ALONG = 0.999  #: cosine between a joint and the axis about which it must turn
STRAIGHT = 0.003  #: [m] by which a leg may miss a straight line at zero
EQUAL = 0.002  #: [m] by which lengths of different legs may differ
FOOT_WORDS = ("foot", "toe", "feet")


@dataclass(frozen=True, kw_only=True, slots=True)
class LegJoint:
    """A joint in our conventions.

    Attributes:
        vendor: its name in the vendor's file.
        sign: of our angle over the vendor's.
        place: (3,) from the joint before it, or from the base [m].
        lower, upper: range in our sign [rad]; infinite when the file names none.
        effort, velocity: [Nm], [rad/s]; 0 when the file names none.
        friction: [Nm], or None.
        link: that it moves, in the frame of the joint; without the foot for a calf.
    """

    vendor: str
    sign: int
    place: Array
    lower: float
    upper: float
    effort: float
    velocity: float
    friction: float | None
    link: Link


@dataclass(frozen=True, kw_only=True, slots=True)
class Leg:
    """One leg.

    Attributes:
        joints: hip, thigh, calf.
        calf_length: from the knee to the centre of the foot [m].
        foot: in its own frame, the centre of the ball.
        foot_link: name in the vendor's file.
        radius: of the foot [m]; None when the file shows no ball.
    """

    joints: tuple[LegJoint, LegJoint, LegJoint]
    calf_length: float
    foot: Link
    foot_link: str
    radius: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Quadruped:
    """A vendor's robot in our conventions.

    Attributes:
        trunk: in base.
        trunk_name: of the vendor's root link.
        box: (3,) edges of the trunk's largest collision box [m]; None when there is none.
        moved: (3,) from the vendor's root to our base [m].
        thigh_length, calf_length: [m].
        legs: by name.
    """

    trunk: Link
    trunk_name: str
    box: Array | None
    moved: Array
    thigh_length: float
    calf_length: float
    legs: dict[str, Leg]


def quadruped(tree: Tree) -> Quadruped:
    """Find the four legs of a tree.

    Raises:
        ConfigurationError: the robot is none that the controller can walk; the text says why.
    """
    chains = [_chain(tree, hip) for hip in tree.joints if hip.parent == 0]
    used = {id(joint) for chain in chains for joint in chain}
    extra = [joint.name for joint in tree.joints if id(joint) not in used]
    if len(chains) != len(LEGS) or extra or any(len(chain) != 3 for chain in chains):
        found = "; ".join(", ".join(joint.name for joint in chain) for chain in chains)
        raise ConfigurationError(
            f"four legs of three joints are needed, found {found or 'no moving joint'}"
            f"{'; and ' + ', '.join(extra) if extra else ''}. Make other joints fixed in a copy"
        )
    for chain in chains:
        _check_axes(chain)
    hips = np.array([chain[0].position for chain in chains])
    base = _base(hips)
    named = {_leg_name(chain[0].position - base): chain for chain in chains}
    if set(named) != set(LEGS):
        raise ConfigurationError(
            f"one hip is needed in each quarter around {np.round(base, 3).tolist()}, x forward and"
            f" y to the left; found {np.round(hips, 3).tolist()}"
        )
    legs = {name: _leg(tree, named[name], base) for name in LEGS}
    thigh, calf = _lengths(legs)
    root = tree.bodies[0]
    boxes = [shape.size for _, shape in root.shapes if shape.kind == "box"]
    return Quadruped(
        trunk=_shifted(root.inertia, base),
        trunk_name=root.name,
        box=max(boxes, key=np.prod) if boxes else None,
        moved=base,
        thigh_length=thigh,
        calf_length=calf,
        legs=legs,
    )


def _chain(tree: Tree, joint: MovingJoint) -> list[MovingJoint]:
    """The joint and those below it, as far as they do not branch."""
    below = [j for j in tree.joints if j.parent == joint.child]
    return [joint, *(_chain(tree, below[0]) if len(below) == 1 else [])]


def _check_axes(chain: list[MovingJoint]) -> None:
    for joint, axis, name in zip(chain, (0, 1, 1), "xyy", strict=True):
        if abs(joint.axis[axis]) < ALONG:
            raise ConfigurationError(
                f"{joint.name} turns about {np.round(joint.axis, 3).tolist()} at zero; the three"
                " joints of a leg must turn about x, y and y of the root, and this one about"
                f" {name}"
            )


def _base(hips: Array) -> Array:
    """Our base (3,): at the height of the hips, and elsewhere where the vendor's root is."""
    heights = hips[:, 2]
    if np.ptp(heights) > EQUAL:
        raise ConfigurationError(
            f"the hips must have one height, found {np.round(heights, 4).tolist()} m"
        )
    return np.array((0.0, 0.0, heights.mean()))


def _leg_name(hip: Array) -> str:
    return ("F" if hip[0] > 0.0 else "R") + ("L" if hip[1] > 0.0 else "R")


def _leg(tree: Tree, chain: list[MovingJoint], base: Array) -> Leg:
    """The leg of a chain. Joints are moved along their axes until the leg is straight."""
    hip, thigh, calf = (joint.position - base for joint in chain)
    body = tree.bodies[chain[2].child]
    foot_link, foot, radius = _foot(body)
    foot = foot - base
    hip = np.array((thigh[0], hip[1], hip[2]))
    thigh = np.array((thigh[0], foot[1], thigh[2]))
    calf = np.array((calf[0], foot[1], calf[2]))
    misses = (thigh[2] - hip[2], calf[0] - thigh[0], foot[0] - calf[0])
    if max(map(abs, misses)) > STRAIGHT or not foot[2] < calf[2] < thigh[2]:
        raise ConfigurationError(
            f"the leg of {chain[0].name} must hang straight down when its joints are at zero, from"
            f" the height of the hip; its thigh joint is {misses[0]:+.4f} m above the hip, its knee"
            f" {misses[1]:+.4f} m ahead of the thigh joint, its foot {misses[2]:+.4f} m ahead of"
            " the knee. Turn the frames in a copy"
        )
    thigh = np.array((thigh[0], thigh[1], hip[2]))
    calf = np.array((thigh[0], calf[1], calf[2]))
    foot = np.array((thigh[0], foot[1], foot[2]))
    own = [link for name, _, link in body.links if name == foot_link]
    rest = [link for name, _, link in body.links if name != foot_link]
    links = [tree.bodies[joint.child].inertia for joint in chain[:2]]
    ends_in_calf = foot_link == body.name
    calf_link = joined([link for _, _, link in body.links] if ends_in_calf else rest)
    foot_part = Link(mass=0.0, com=base + foot, inertia=np.zeros((3, 3)))
    places = [hip, thigh, calf]
    before = [np.zeros(3), hip, thigh]
    joints = [
        _joint(joint, place - last, _shifted(link, base + place))
        for joint, place, last, link in zip(chain, places, before, [*links, calf_link], strict=True)
    ]
    return Leg(
        joints=(joints[0], joints[1], joints[2]),
        calf_length=float(calf[2] - foot[2]),
        foot=_shifted(foot_part if ends_in_calf else joined(own), base + foot),
        foot_link=foot_link,
        radius=radius,
    )


def _foot(body: RigidBody) -> tuple[str, Array, float | None]:
    """Link, centre [m] and radius [m] of the foot of the last body of a leg.

    It is the lowest ball. Without one it is the lowest frame named as a foot, or the lowest frame.
    """
    balls = [(name, shape) for name, shape in body.shapes if shape.kind == "sphere"]
    if balls:
        name, ball = min(balls, key=lambda one: float(one[1].position[2]))
        return name, ball.position, float(ball.size[0])
    named = [one for one in body.links if any(word in one[0].lower() for word in FOOT_WORDS)]
    name, place, _ = min(named or body.links, key=lambda one: float(one[1][2]))
    return name, place, None


def _joint(joint: MovingJoint, place: Array, link: Link) -> LegJoint:
    axis = int(np.argmax(np.abs(joint.axis)))
    sign = 1 if joint.axis[axis] > 0.0 else -1
    lower, upper = sorted((sign * joint.lower, sign * joint.upper))
    unknown = lower == upper
    return LegJoint(
        vendor=joint.name,
        sign=sign,
        place=place,
        lower=-inf if unknown else lower,
        upper=inf if unknown else upper,
        effort=joint.effort,
        velocity=joint.velocity,
        friction=joint.friction,
        link=link,
    )


def _shifted(link: Link, origin: Array) -> Link:
    return Link(mass=link.mass, com=link.com - origin, inertia=link.inertia)


def _lengths(legs: dict[str, Leg]) -> tuple[float, float]:
    """Lengths of thigh and calf [m]; those of all legs must be equal."""
    thighs = [float(-leg.joints[2].place[2]) for leg in legs.values()]
    calves = [leg.calf_length for leg in legs.values()]
    for name, lengths in (("thighs", thighs), ("calves", calves)):
        if max(lengths) - min(lengths) > EQUAL:
            raise ConfigurationError(
                f"the {name} of all legs must have one length, found"
                f" {', '.join(f'{length:.4f}' for length in lengths)} m"
            )
    return thighs[0], calves[0]
