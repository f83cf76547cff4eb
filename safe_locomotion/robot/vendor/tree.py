"""Any URDF as rigid bodies between moving joints, with every vector in the axes of its root.

Links that fixed joints connect are one rigid body. Frames of joints and of inertias may be turned
against each other in the file. Here they are not: all joints stand at zero, and all vectors have
the axes of the root link and start at its origin.
"""

from dataclasses import dataclass, field
from math import cos, inf, pi, sin
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import Link, joined
from safe_locomotion.types import Array

FIXED = ("fixed", "floating")
TURNING = ("revolute", "continuous")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A collision shape of a link.

    Attributes:
        kind: sphere or box; others are left out.
        position: (3,) of its centre [m].
        size: (3,) of a box, along the axes of the root, or three times the radius of a sphere [m].
    """

    kind: str
    position: Array
    size: Array


@dataclass(kw_only=True, slots=True)
class RigidBody:
    """Links that do not move against each other.

    Attributes:
        links: name, place of the frame [m] and inertia of each of them; the inertia of a link
            without one has no mass.
        shapes: name of the link, and shape.
    """

    links: list[tuple[str, Array, Link]] = field(default_factory=list)
    shapes: list[tuple[str, Shape]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the link nearest to the root."""
        return self.links[0][0]

    @property
    def inertia(self) -> Link:
        """All links together."""
        return joined([link for _, _, link in self.links])


@dataclass(frozen=True, kw_only=True, slots=True)
class MovingJoint:
    """A joint that turns.

    Attributes:
        name: in the file.
        parent, child: indices of rigid bodies.
        position: (3,) of its frame [m].
        axis: (3,) unit vector.
        lower, upper: range [rad]; infinite when the file names none.
        effort, velocity: peak torque [Nm] and speed [rad/s]; 0 when the file names none.
        friction: dry friction [Nm], or None.
    """

    name: str
    parent: int
    child: int
    position: Array
    axis: Array
    lower: float
    upper: float
    effort: float
    velocity: float
    friction: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """Rigid bodies, the root first, and the joints between them."""

    bodies: list[RigidBody]
    joints: list[MovingJoint]


def read_tree(path: Path) -> Tree:
    """Read a URDF.

    Raises:
        ConfigurationError: the file is no URDF, or a number or link is missing.
    """
    try:
        root = ElementTree.parse(path).getroot()
        return _Reader(root).tree()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path}: no URDF: {error}; a .xacro file must be expanded first"
            " (xacro robot.xacro > robot.urdf)"
        ) from error
    except (KeyError, ValueError, StopIteration) as error:
        raise ConfigurationError(f"{path}: no complete URDF: {error!r}") from error


class _Reader:
    """Walks the file from its root link."""

    def __init__(self, root: ElementTree.Element) -> None:
        self._links = {link.attrib["name"]: link for link in root.findall("link")}
        self._joints = root.findall("joint")
        self._bodies: list[RigidBody] = []
        self._moving: list[MovingJoint] = []

    def tree(self) -> Tree:
        """Bodies and joints below the only link without a parent."""
        children = {_child_of(joint) for joint in self._joints}
        roots = [name for name in self._links if name not in children]
        if len(roots) != 1:
            raise ValueError(f"one root link is needed, found {', '.join(roots) or 'none'}")
        self._body(roots[0], np.zeros(3), np.eye(3))
        return Tree(bodies=self._bodies, joints=self._moving)

    def _body(self, link: str, position: Array, rotation: Array) -> int:
        """Begin a rigid body at this link, and return its index."""
        self._bodies.append(RigidBody())
        index = len(self._bodies) - 1
        self._add(index, link, position, rotation)
        return index

    def _add(self, body: int, name: str, position: Array, rotation: Array) -> None:
        link = self._links[name]
        self._bodies[body].links.append((name, position, _inertial(link, position, rotation)))
        self._bodies[body].shapes += [(name, s) for s in _shapes(link, position, rotation)]
        for joint in self._joints:
            parent = joint.find("parent")
            if parent is None or parent.attrib["link"] != name:
                continue
            offset, turn = _origin(joint)
            place = position + rotation @ offset
            turned = rotation @ turn
            kind = joint.attrib["type"]
            if kind in FIXED:
                self._add(body, _child_of(joint), place, turned)
            elif kind in TURNING:
                child = self._body(_child_of(joint), place, turned)
                self._moving.append(_moving(joint, body, child, place, turned))
            else:
                raise ValueError(f"joint {joint.attrib['name']} is {kind}; legs have revolute ones")


def _child_of(joint: ElementTree.Element) -> str:
    child = joint.find("child")
    if child is None:
        raise ValueError(f"joint {joint.get('name')} has no child")
    return child.attrib["link"]


def _moving(
    joint: ElementTree.Element, parent: int, child: int, place: Array, rotation: Array
) -> MovingJoint:
    axis = joint.find("axis")
    along = np.array((1.0, 0.0, 0.0)) if axis is None else _numbers(axis.attrib["xyz"])
    limit = joint.find("limit")
    given = {} if limit is None else limit.attrib
    ranged = joint.attrib["type"] == "revolute"
    dynamics = joint.find("dynamics")
    friction = None if dynamics is None else dynamics.get("friction")
    return MovingJoint(
        name=joint.attrib["name"],
        parent=parent,
        child=child,
        position=place,
        axis=rotation @ (along / np.linalg.norm(along)),
        lower=float(given.get("lower", 0.0)) if ranged else -inf,
        upper=float(given.get("upper", 0.0)) if ranged else inf,
        effort=float(given.get("effort", 0.0)),
        velocity=float(given.get("velocity", 0.0)),
        friction=None if friction is None else float(friction),
    )


def _inertial(link: ElementTree.Element, position: Array, rotation: Array) -> Link:
    inertial = link.find("inertial")
    if inertial is None:
        return Link(mass=0.0, com=position, inertia=np.zeros((3, 3)))
    mass = inertial.find("mass")
    inertia = inertial.find("inertia")
    if mass is None or inertia is None:
        raise ValueError(f"link {link.get('name')}: inertial without mass or inertia")
    i = {key: float(value) for key, value in inertia.attrib.items()}
    xy = i.get("ixy", 0.0)
    xz = i.get("ixz", 0.0)
    yz = i.get("iyz", 0.0)
    own = np.array([[i["ixx"], xy, xz], [xy, i["iyy"], yz], [xz, yz, i["izz"]]])
    offset, turn = _origin(inertial)
    turned = rotation @ turn
    return Link(
        mass=float(mass.attrib["value"]),
        com=position + rotation @ offset,
        inertia=turned @ own @ turned.T,
    )


def _shapes(link: ElementTree.Element, position: Array, rotation: Array) -> list[Shape]:
    shapes = []
    for collision in link.findall("collision"):
        offset, turn = _origin(collision)
        place = position + rotation @ offset
        sphere = collision.find("geometry/sphere")
        box = collision.find("geometry/box")
        if sphere is not None:
            size = np.full(3, float(sphere.attrib["radius"]))
            shapes.append(Shape(kind="sphere", position=place, size=size))
        elif box is not None:
            size = np.abs(rotation @ turn) @ _numbers(box.attrib["size"])
            shapes.append(Shape(kind="box", position=place, size=size))
    return shapes


def _origin(element: ElementTree.Element) -> tuple[Array, Array]:
    """Offset (3,) [m] and rotation (3, 3) of the child `origin`; nothing means none."""
    origin = element.find("origin")
    if origin is None:
        return np.zeros(3), np.eye(3)
    r, p, y = _numbers(origin.get("rpy", "0 0 0"))
    return _numbers(origin.get("xyz", "0 0 0")), _turn(r, p, y)


def _turn(roll: float, pitch: float, yaw: float) -> Array:
    """Rotation Rz(yaw) Ry(pitch) Rx(roll); quarter turns are exact."""

    def about(angle: float, first: int, second: int) -> Array:
        quarters = angle / (0.5 * pi)
        exact = abs(quarters - round(quarters)) < 1e-4
        c, s = (
            ((1, 0), (0, 1), (-1, 0), (0, -1))[round(quarters) % 4]
            if exact
            else (
                cos(angle),
                sin(angle),
            )
        )
        m = np.eye(3)
        m[first, first] = c
        m[second, second] = c
        m[first, second] = -s
        m[second, first] = s
        return m

    turned: Array = about(yaw, 0, 1) @ about(pitch, 2, 0) @ about(roll, 1, 2)
    return turned


def _numbers(text: str) -> Array:
    numbers = np.array([float(word) for word in text.split()])
    if numbers.shape != (3,) or not np.isfinite(numbers).all():
        raise ValueError(f"three finite numbers are needed, found {text!r}")
    return numbers
