"""Our URDF of a completed robot: our names, our signs, parallel frames, primitive shapes."""

from collections.abc import Iterable

import numpy as np

from safe_locomotion.robot.models import Link
from safe_locomotion.robot.vendor.completed import CompletedRobot
from safe_locomotion.types import JOINT_KINDS, LEGS, Array

AXES = ("1 0 0", "0 1 0", "0 1 0")
DAMPING = 0.05  #: [Nm s/rad] of the A1's joints
THIGH_RADIUS = 0.085  #: of the thigh's capsule over its length, as on the A1
CALF_RADIUS = 0.55  #: of the calf's capsule over the foot's radius, likewise


def numbers(values: Iterable[float] | Array) -> str:
    """Numbers as both formats take them."""
    return " ".join(f"{round(float(value), 10) + 0.0:.10g}" for value in values)


def urdf_text(robot: CompletedRobot) -> str:
    """The file `<name>.urdf`."""
    q = robot.quadruped
    parts = [
        '<?xml version="1.0"?>',
        f"<!-- {robot.name}: a draft made from a vendor's URDF. Open points: README.md. -->",
        f'<robot name="{robot.name}">',
        _link("trunk", q.trunk, f'<box size="{numbers(robot.box)}"/>', 0.0),
    ]
    for i, leg in enumerate(LEGS):
        parent = "trunk"
        one = q.legs[leg]
        shapes = ("", _rod(THIGH_RADIUS, q.thigh_length), _calf(robot))
        centres = (0.0, -0.5 * q.thigh_length, -0.5 * q.calf_length)
        for k, (kind, joint) in enumerate(zip(JOINT_KINDS, one.joints, strict=True)):
            name = f"{leg}_{kind}"
            low, high = robot.ranges[3 * i + k]
            parts += [
                f'  <joint name="{name}_joint" type="revolute">',
                f'    <parent link="{parent}"/>',
                f'    <child link="{name}"/>',
                f'    <origin xyz="{numbers(joint.place)}"/>',
                f'    <axis xyz="{AXES[k]}"/>',
                f'    <limit lower="{numbers([low])}" upper="{numbers([high])}"'
                f' effort="{numbers([robot.torque[3 * i + k]])}"'
                f' velocity="{numbers([robot.speed[3 * i + k]])}"/>',
                f'    <dynamics damping="{DAMPING}" friction="{robot.friction:g}"/>',
                "  </joint>",
                _link(name, joint.link, shapes[k], centres[k]),
            ]
            parent = name
        parts += [
            f'  <joint name="{leg}_foot_fixed" type="fixed">',
            f'    <parent link="{parent}"/>',
            f'    <child link="{leg}_foot"/>',
            f'    <origin xyz="{numbers((0.0, 0.0, -q.calf_length))}"/>',
            "  </joint>",
            _link(f"{leg}_foot", one.foot, f'<sphere radius="{robot.foot_radius:g}"/>', 0.0),
        ]
    return "\n".join([*parts, "</robot>", ""])


def _rod(share: float, length: float) -> str:
    return f'<cylinder length="{numbers([length])}" radius="{share * length:.4f}"/>'


def _calf(robot: CompletedRobot) -> str:
    length = robot.quadruped.calf_length
    return (
        f'<cylinder length="{numbers([length])}" radius="{CALF_RADIUS * robot.foot_radius:.4f}"/>'
    )


def _link(name: str, link: Link, shape: str, z: float) -> str:
    i = link.inertia
    lines = [
        f'  <link name="{name}">',
        "    <inertial>",
        f'      <origin xyz="{numbers(link.com)}"/>',
        f'      <mass value="{numbers([link.mass])}"/>',
        f'      <inertia ixx="{numbers([i[0, 0]])}" ixy="{numbers([i[0, 1]])}"'
        f' ixz="{numbers([i[0, 2]])}" iyy="{numbers([i[1, 1]])}" iyz="{numbers([i[1, 2]])}"'
        f' izz="{numbers([i[2, 2]])}"/>',
        "    </inertial>",
    ]
    if shape:
        place = f'<origin xyz="{numbers((0.0, 0.0, z))}"/>'
        lines += [
            f"    <{use}>{place}<geometry>{shape}</geometry></{use}>"
            for use in ("visual", "collision")
        ]
    return "\n".join([*lines, "  </link>"])


def full_inertia(link: Link) -> str:
    """The six numbers of MuJoCo's fullinertia: xx yy zz xy xz yz."""
    i: Array = link.inertia
    rows = (0, 1, 2, 0, 0, 1)
    columns = (0, 1, 2, 1, 2, 2)
    return numbers(np.array(i)[rows, columns])
