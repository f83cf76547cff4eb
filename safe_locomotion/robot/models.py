"""Robot models: the numbers of one robot, read from the files in `models/robots/<name>`.

Robots of one's own have their folders elsewhere, see `shared_files.own_robot_folders`.

A robot has four files. `<name>.urdf` holds lengths, masses, inertias and limits. `<name>.xml` is
the same robot for MuJoCo. `poses.json` holds the standing height and the sitting pose.
`motors.yaml` belongs to the simulator. The README beside them names the sources of the numbers.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import acos, atan2, cos, sin
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.rotations import skew
from safe_locomotion.shared_files import find_share, own_robot_folders
from safe_locomotion.types import JOINT_KINDS, JOINTS, LEGS, Array


@dataclass(frozen=True, kw_only=True, slots=True)
class RobotModel:
    """A quadruped with twelve joints and the legs FR, FL, RR, RL.

    Attributes:
        name: key under `models/robots`.
        hip_position: (4, 3) hip joints in base [m].
        hip_offset: (4,) lateral distance from the hip axis to the leg plane, positive left [m].
        thigh_length, calf_length, foot_radius: [m].
        q_min, q_max: (12,) joint ranges [rad].
        dq_max: (12,) joint speeds [rad/s].
        tau_max: (12,) peak torques [Nm].
        q_stand, q_sit: (12,) poses [rad]. q_stand has the feet under the hips at `nominal_height`.
        nominal_height: base above the ground when standing [m].
        mass: of the whole robot [kg].
        com: (3,) whole-body centre of mass in base at q_stand [m].
        inertia: (3, 3) whole-body inertia about `com`, base axes, at q_stand [kg m2].
        leg_link_mass: (3,) hip, thigh, calf with foot [kg].
        leg_link_com: (4, 3, 3) per leg and link, CoM in the link's frame, whose origin is in its
            joint [m].
    """

    name: str
    hip_position: Array
    hip_offset: Array
    thigh_length: float
    calf_length: float
    foot_radius: float
    q_min: Array
    q_max: Array
    dq_max: Array
    tau_max: Array
    q_stand: Array
    q_sit: Array
    nominal_height: float
    mass: float
    com: Array
    inertia: Array
    leg_link_mass: Array
    leg_link_com: Array

    def __post_init__(self) -> None:
        """Make every array read-only, because all stages share the model."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A rigid body of the URDF; vectors are in the link's own frame.

    Attributes:
        mass: [kg].
        com: (3,) centre of mass [m].
        inertia: (3, 3) about the centre of mass [kg m2].
    """

    mass: float
    com: Array
    inertia: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Joint:
    """A joint of the URDF; axis and limits of a fixed joint are zero.

    Attributes:
        parent, child: names of links.
        origin: (3,) in the parent's frame [m].
        axis: (3,) unit vector.
        lower, upper: range [rad].
        effort: peak torque [Nm].
        velocity: largest speed [rad/s].
    """

    parent: str
    child: str
    origin: Array
    axis: Array
    lower: float
    upper: float
    effort: float
    velocity: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Urdf:
    """Links and joints of a URDF by name, and the radius of the feet [m]."""

    links: dict[str, Link]
    joints: dict[str, Joint]
    foot_radius: float


def shipped_robots() -> tuple[str, ...]:
    """Names of the robots whose files ship with the package."""
    return _names_in(find_share("models/robots"))


def robot_names() -> tuple[str, ...]:
    """Names of the robots that ship with the package, then those of the user's own folders."""
    shipped = shipped_robots()
    own = {name for folder in own_robot_folders() for name in _names_in(folder)}
    return *shipped, *sorted(own - set(shipped))


def robot_file(name: str, suffix: str) -> Path:
    """Path of `<name><suffix>` in the robot's folder, for example ".xml" for the MuJoCo model.

    A robot that ships with the package comes before one of the user's own of the same name.

    Raises:
        UnknownNameError: no such robot.
    """
    for folder in (find_share("models/robots"), *own_robot_folders()):
        if name in _names_in(folder):
            return folder / name / f"{name}{suffix}"
    raise UnknownNameError("robot", name, robot_names())


def _names_in(folder: Path) -> tuple[str, ...]:
    entries = folder.iterdir() if folder.is_dir() else ()
    return tuple(sorted(e.name for e in entries if (e / f"{e.name}.urdf").is_file()))


def load_robot(name: str) -> RobotModel:
    """Model of a robot; whole-body mass, CoM and inertia are those of the standing pose.

    Raises:
        UnknownNameError: no such robot.
        ConfigurationError: its files are incomplete.
    """
    return read_robot(robot_file(name, ".urdf"))


def read_robot(path: Path) -> RobotModel:
    """Model of the robot whose URDF lies at `path`, beside its `poses.json`.

    Raises:
        ConfigurationError: its files are incomplete.
    """
    name = path.stem
    try:
        urdf = read_urdf(path)
        poses = json.loads(path.with_name("poses.json").read_text())
        return _assemble(name, urdf, poses)
    except (OSError, KeyError, ValueError, AttributeError, ElementTree.ParseError) as error:
        raise ConfigurationError(
            f"robot {name!r}: {path.parent} is incomplete: {error!r}"
        ) from error


def read_urdf(path: Path) -> Urdf:
    """Links, joints and foot radius of a URDF.

    All link frames must be parallel at zero joint angles.
    """
    root = ElementTree.parse(path).getroot()
    sphere = _child(root, f"link[@name='{LEGS[0]}_foot']/collision/geometry/sphere")
    return Urdf(
        links={link.attrib["name"]: _read_link(link) for link in root.iterfind("link")},
        joints={joint.attrib["name"]: _read_joint(joint) for joint in root.iterfind("joint")},
        foot_radius=float(sphere.attrib["radius"]),
    )


def composite_body(urdf: Urdf, angles: dict[str, float], root: str = "trunk") -> Link:
    """The tree below the link `root` as one rigid body, in the frame of `root`.

    Composite rigid body: masses add and CoMs average by mass. Inertias move by the parallel axis
    theorem I' = R I R^T + m (|r|^2 1 - r r^T).

    Args:
        urdf: links and joints.
        angles: of the joints by name [rad]; 0 for a joint that is missing.
        root: name of a link.
    """
    return joined(_bodies(urdf, angles, root, np.zeros(3), np.eye(3)))


def joined(bodies: Sequence[Link]) -> Link:
    """Bodies whose vectors have one frame as one body; where nothing has mass, at their mean."""
    mass = sum(body.mass for body in bodies)
    shares = [body.mass / mass if mass > 0.0 else 1.0 / len(bodies) for body in bodies]
    com = sum((s * body.com for s, body in zip(shares, bodies, strict=True)), np.zeros(3))
    inertia = np.zeros((3, 3))
    for body in bodies:
        cross = skew(body.com - com)
        inertia += body.inertia - body.mass * cross @ cross
    return Link(mass=mass, com=com, inertia=inertia)


def _bodies(
    urdf: Urdf, angles: dict[str, float], name: str, position: Array, rotation: Array
) -> list[Link]:
    """Every link at and below `name`, moved into the root frame."""
    link = urdf.links[name]
    com = position + rotation @ link.com
    bodies = [Link(mass=link.mass, com=com, inertia=rotation @ link.inertia @ rotation.T)]
    for key, joint in urdf.joints.items():
        if joint.parent == name:
            turned = rotation @ _axis_rotation(joint.axis, angles.get(key, 0.0))
            bodies += _bodies(urdf, angles, joint.child, position + rotation @ joint.origin, turned)
    return bodies


def _axis_rotation(axis: Array, angle: float) -> Array:
    """Rodrigues' formula for a unit axis."""
    k = skew(axis)
    return np.eye(3) + sin(angle) * k + (1.0 - cos(angle)) * k @ k


def _assemble(name: str, urdf: Urdf, poses: dict[str, Any]) -> RobotModel:
    actuated = [urdf.joints[f"{joint}_joint"] for joint in JOINTS]
    hips = actuated[0::3]
    thighs = actuated[1::3]
    calves = actuated[2::3]
    thigh_length = float(-calves[0].origin[2])
    calf_length = float(-urdf.joints[f"{LEGS[0]}_foot_fixed"].origin[2])
    side = np.sign([thigh.origin[1] for thigh in thighs])
    height = float(poses["nominal_height"])
    q_stand = _legs_under_hips(thigh_length, calf_length, height - urdf.foot_radius)
    angles = {f"{joint}_joint": angle for joint, angle in zip(JOINTS, q_stand, strict=True)}
    body = composite_body(urdf, angles)
    link_mass, link_com = _leg_links(urdf)
    return RobotModel(
        name=name,
        hip_position=np.array([hip.origin for hip in hips]),
        hip_offset=np.array([thigh.origin[1] for thigh in thighs]),
        thigh_length=thigh_length,
        calf_length=calf_length,
        foot_radius=urdf.foot_radius,
        q_min=np.array([joint.lower for joint in actuated]),
        q_max=np.array([joint.upper for joint in actuated]),
        dq_max=np.array([joint.velocity for joint in actuated]),
        tau_max=np.array([joint.effort for joint in actuated]),
        q_stand=q_stand,
        q_sit=_sit_pose(poses["sit"], side),
        nominal_height=height,
        mass=body.mass,
        com=body.com,
        inertia=body.inertia,
        leg_link_mass=link_mass,
        leg_link_com=link_com,
    )


def _legs_under_hips(thigh: float, calf: float, reach: float) -> Array:
    """Joint positions (12,) with every foot centre `reach` [m] straight below its thigh joint.

    Knees bend backwards. The knee angle is from the law of cosines.
    """
    cos_knee = (reach * reach - thigh * thigh - calf * calf) / (2.0 * thigh * calf)
    knee = -acos(cos_knee)
    return np.tile([0.0, -atan2(calf * sin(knee), thigh + calf * cos(knee)), knee], len(LEGS))


def _sit_pose(sit: dict[str, float], side: Array) -> Array:
    """Joint positions (12,) of the prone pose; all hips turn outwards by the same angle."""
    legs = [[s * sit["hip_outward"], sit["thigh"], sit["calf"]] for s in side]
    return np.array(legs, dtype=np.float64).reshape(-1)


def _leg_links(urdf: Urdf) -> tuple[Array, Array]:
    """Masses (3,) and CoMs (4, 3, 3) of hip, thigh and calf with foot, in their own frames."""
    links = [[_leg_link(urdf, leg, kind) for kind in JOINT_KINDS] for leg in LEGS]
    masses = np.array([link.mass for link in links[0]])
    return masses, np.array([[link.com for link in leg] for leg in links])


def _leg_link(urdf: Urdf, leg: str, kind: str) -> Link:
    """A link of a leg; the calf contains its foot."""
    name = f"{leg}_{kind}"
    return composite_body(urdf, {}, name) if kind == "calf" else urdf.links[name]


def _read_link(link: ElementTree.Element) -> Link:
    inertial = _child(link, "inertial")
    i = {key: float(value) for key, value in _child(inertial, "inertia").attrib.items()}
    rows = [
        [i["ixx"], i["ixy"], i["ixz"]],
        [i["ixy"], i["iyy"], i["iyz"]],
        [i["ixz"], i["iyz"], i["izz"]],
    ]
    return Link(
        mass=float(_child(inertial, "mass").attrib["value"]),
        com=_vector(_child(inertial, "origin").attrib["xyz"]),
        inertia=np.array(rows),
    )


def _read_joint(joint: ElementTree.Element) -> Joint:
    fixed = joint.attrib["type"] == "fixed"
    limit = (
        {"lower": 0.0, "upper": 0.0, "effort": 0.0, "velocity": 0.0}
        if fixed
        else _child(joint, "limit").attrib
    )
    return Joint(
        parent=_child(joint, "parent").attrib["link"],
        child=_child(joint, "child").attrib["link"],
        origin=_vector(_child(joint, "origin").attrib["xyz"]),
        axis=np.zeros(3) if fixed else _vector(_child(joint, "axis").attrib["xyz"]),
        lower=float(limit["lower"]),
        upper=float(limit["upper"]),
        effort=float(limit["effort"]),
        velocity=float(limit["velocity"]),
    )


def _child(element: ElementTree.Element, path: str) -> ElementTree.Element:
    found = element.find(path)
    if found is None:
        raise ValueError(f"<{element.tag} name={element.get('name', '')!r}> has no {path}")
    return found


def _vector(text: str) -> Array:
    return np.array([float(word) for word in text.split()])
