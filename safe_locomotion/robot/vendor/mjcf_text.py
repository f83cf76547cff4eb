"""Our MJCF of a completed robot, in primitive shapes, with the contact and sensors of the A1's."""

from safe_locomotion.robot.models import Link
from safe_locomotion.robot.vendor.completed import CompletedRobot
from safe_locomotion.robot.vendor.urdf_text import (
    CALF_RADIUS,
    DAMPING,
    THIGH_RADIUS,
    full_inertia,
    numbers,
)
from safe_locomotion.types import JOINT_KINDS, JOINTS, LEGS

#: [kg m2] of the Go2's rotor behind its gear, and the torque of that motor [Nm].
ARMATURE = 0.0045
ARMATURE_TORQUE = 23.7
MOTOR_RADIUS = 0.2  #: of a hip's cylinder over the thigh's length, half of its height is half of it
ACROSS = "0.7071068 0.7071068 0 0"  #: turns a cylinder's axis to y

HEAD = """\
<!-- {name}: a draft in primitive shapes, made from a vendor's URDF. Open points: README.md. -->
<mujoco model="{name}">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="0.001" integrator="Euler" cone="elliptic" solver="Newton" iterations="50" \
ls_iterations="50">
    <flag island="disable" autoreset="disable"/>
  </option>
  <size memory="2M"/>

  <visual>
    <headlight diffuse="0.45 0.45 0.45" ambient="0.35 0.35 0.35" specular="0.1 0.1 0.1"/>
    <global offwidth="1600" offheight="900"/>
  </visual>

  <default>
    <default class="robot">
      <joint type="hinge" damping="{damping}" solreflimit="0.004 1" solimplimit="0.95 0.99 0.01"/>
      <!-- Bit 1: against the ground. Bit 2: calves and feet of different legs. -->
      <default class="collision">
        <geom group="3" contype="1" conaffinity="0" condim="3" friction="0.8" \
rgba="0.4 0.6 0.9 0.4"/>
        <default class="leg_tip">
          <geom contype="3" conaffinity="2"/>
        </default>
      </default>
      <default class="visual">
        <geom group="2" contype="0" conaffinity="0" mass="0" rgba="0.85 0.87 0.9 1"/>
      </default>
    </default>
  </default>

  <worldbody>
    <body name="trunk" pos="0 0 {height}" childclass="robot">
      <freejoint name="base"/>
      {inertial}
      <geom class="visual" type="box" size="{half}"/>
      <geom name="trunk" class="collision" type="box" size="{half}"/>
      <site name="imu" group="5" size="0.005"/>
      <site name="trunk_touch" group="5" type="box" size="{around}"/>
"""


def mjcf_text(robot: CompletedRobot) -> str:
    """The file `<name>.xml`."""
    half = 0.5 * robot.box
    head = HEAD.format(
        name=robot.name,
        damping=DAMPING,
        height=robot.height,
        inertial=_inertial(robot.quadruped.trunk),
        half=numbers(half),
        around=numbers(half + 0.015),
    )
    legs = "\n".join(_leg(robot, leg) for leg in LEGS)
    motors = [f'    <motor name="{j}" joint="{j}_joint" {_ctrl(robot, j)}/>' for j in JOINTS]
    touches = [f'    <touch name="{leg}_foot" site="{leg}_foot"/>' for leg in LEGS]
    tail = [
        "    </body>",
        "  </worldbody>",
        "",
        "  <actuator>",
        *motors,
        "  </actuator>",
        "",
        "  <sensor>",
        '    <gyro name="gyro" site="imu"/>',
        '    <accelerometer name="accelerometer" site="imu"/>',
        *touches,
        '    <touch name="trunk" site="trunk_touch"/>',
        "  </sensor>",
        "</mujoco>",
        "",
    ]
    return "\n".join([head + legs, *tail])


def _leg(robot: CompletedRobot, leg: str) -> str:
    """Bodies of a leg, one inside the other."""
    q = robot.quadruped
    one = q.legs[leg]
    lines: list[str] = []
    for depth, (kind, joint) in enumerate(zip(JOINT_KINDS, one.joints, strict=True)):
        name = f"{leg}_{kind}"
        i = JOINTS.index(name)
        axis = "1 0 0" if kind == "hip" else "0 1 0"
        armature = ARMATURE * float(robot.torque[i]) / ARMATURE_TORQUE
        body = [
            f'<body name="{name}" pos="{numbers(joint.place)}">',
            f"  {_inertial(joint.link)}",
            f'  <joint name="{name}_joint" axis="{axis}" armature="{armature:.5f}"'
            f' range="{numbers(robot.ranges[i])}"/>',
            *(f"  {geom}" for geom in _shapes(robot, leg, kind)),
        ]
        lines += ["      " + "  " * depth + line for line in body]
    radius = robot.foot_radius
    foot = [
        f'<body name="{leg}_foot" pos="{numbers((0.0, 0.0, -one.calf_length))}">',
        *([f"  {_inertial(one.foot)}"] if one.foot.mass > 0.0 else []),
        f'  <geom class="visual" type="sphere" size="{1.01 * radius:.4f}"/>',
        f'  <geom name="{leg}_foot" class="leg_tip" type="sphere" size="{radius:g}" mass="0"/>',
        f'  <site name="{leg}_foot" group="5" type="sphere" size="{radius + 0.01:g}"/>',
    ]
    lines += ["            " + line for line in foot]
    lines += ["      " + "  " * depth + "</body>" for depth in (3, 2, 1, 0)]
    return "\n".join(lines)


def _shapes(robot: CompletedRobot, leg: str, kind: str) -> list[str]:
    """Visual and collision shapes of a link of a leg."""
    q = robot.quadruped
    if kind == "hip":
        radius = MOTOR_RADIUS * q.thigh_length
        size = f"{radius:.4f} {0.45 * radius:.4f}"
        shoulder = numbers(0.85 * q.legs[leg].joints[1].place)
        places = ((f"{leg}_hip", "0 0 0"), (f"{leg}_shoulder", shoulder))
        return [
            line
            for name, at in places
            for line in _both(name, "collision", f'type="cylinder" size="{size}" pos="{at}"')
        ]
    if kind == "thigh":
        radius = THIGH_RADIUS * q.thigh_length
        end = f"0 0 {-radius:.4f} 0 0 {-q.thigh_length:.6g}"
        shape = f'type="capsule" size="{radius:.4f}" fromto="{end}"'
        return _both(f"{leg}_thigh", "collision", shape, quat="")
    end = f"0 0 -0.02 0 0 {robot.foot_radius - q.calf_length:.6g}"
    shape = f'type="capsule" size="{CALF_RADIUS * robot.foot_radius:.4f}" fromto="{end}"'
    return _both(f"{leg}_calf", "leg_tip", shape, quat="")


def _both(name: str, group: str, shape: str, quat: str = f' quat="{ACROSS}"') -> list[str]:
    return [
        f'<geom class="visual" {shape}{quat}/>',
        f'<geom name="{name}" class="{group}" {shape}{quat}/>',
    ]


def _ctrl(robot: CompletedRobot, joint: str) -> str:
    peak = float(robot.torque[JOINTS.index(joint)])
    return f'ctrlrange="{numbers((-peak, peak))}"'


def _inertial(link: Link) -> str:
    return (
        f'<inertial pos="{numbers(link.com)}" mass="{numbers([link.mass])}"'
        f' fullinertia="{full_inertia(link)}"/>'
    )
