"""The robot's body on one tick: the estimate in plain numbers, in odom and in the ground frame."""

from typing import NamedTuple

from safe_locomotion.robot.centroidal import centroidal_values
from safe_locomotion.robot.ground_frame import ground_rows
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.rotations import (
    RotationRows,
    Vector,
    add,
    rotate,
    rotate_back,
    rows_from_quaternion,
    rpy_from_rows,
    subtract,
    vector,
)
from safe_locomotion.types import GRAVITY, Estimate

_GRAVITY: Vector = (0.0, 0.0, -GRAVITY)
LEAST_SLOPE_COSINE = 0.5  #: a ground plane steeper than 60 degrees counts as one of 60 degrees


class GroundState(NamedTuple):
    """Body in the ground frame, whose origin lies on the ground below the centre of mass.

    Attributes:
        x0: centroidal state, 12 numbers; its yaw is zero.
        height: of the centre of mass above the ground plane, along the normal [m].
        origin: of the ground frame, in odom.
        gravity: in the ground frame [m/s2].
    """

    x0: tuple[float, ...]
    height: float
    origin: Vector
    gravity: Vector


class Body(NamedTuple):
    """Estimate of one tick in plain numbers; vectors are in odom unless they say otherwise.

    Attributes:
        position: of the base [m].
        rotation: from base to odom.
        rpy: roll, pitch and yaw of the base [rad].
        velocity: of the base [m/s].
        rates_in_base, rates: angular velocity [rad/s].
        com_in_base, com: centre of mass [m].
        feet_in_base, feet: foot centres [m].
        frame: rotation from the ground frame to odom, see `ground_frame`.
        normal: unit normal of the ground plane.
        ground_height: of the ground plane under the base [m].
    """

    position: Vector
    rotation: RotationRows
    rpy: Vector
    velocity: Vector
    rates_in_base: Vector
    rates: Vector
    com_in_base: Vector
    com: Vector
    feet_in_base: list[Vector]
    feet: list[Vector]
    frame: RotationRows
    normal: Vector
    ground_height: float

    @property
    def base_height(self) -> float:
        """Height of the base above the ground under it [m]."""
        return self.position[2] - self.ground_height

    def plane_height(self, x: float, y: float) -> float:
        """Height of the ground plane at a point of odom [m]."""
        px, py, _ = self.position
        nx, ny, nz = self.normal
        return self.ground_height - (nx * (x - px) + ny * (y - py)) / max(nz, LEAST_SLOPE_COSINE)

    def lever(self, point: Vector) -> Vector:
        """From the centre of mass to a point of odom, in the ground frame [m]."""
        return rotate_back(self.frame, subtract(point, self.com))

    def on_ground(self) -> GroundState:
        """State of the centroidal model in the ground frame."""
        cx, cy, cz = self.com
        nx, ny, nz = self.normal
        height = nz * (cz - self.plane_height(cx, cy))
        origin = (cx - height * nx, cy - height * ny, cz - height * nz)
        (roll, pitch, _), place, rates, velocity = centroidal_values(
            rotation=self.rotation,
            position=self.position,
            rates=self.rates_in_base,
            velocity=self.velocity,
            com=self.com_in_base,
            frame=self.frame,
            origin=origin,
        )
        return GroundState(
            x0=(roll, pitch, 0.0, *place, *rates, *velocity),
            height=height,
            origin=origin,
            gravity=rotate_back(self.frame, _GRAVITY),
        )


def body_of(estimate: Estimate, kinematics: Kinematics, com_in_base: Vector) -> Body:
    """Body of an estimate; `com_in_base` is the centre of mass of the robot model."""
    rotation = rows_from_quaternion(estimate.quaternion_wxyz)
    rpy = rpy_from_rows(rotation)
    position = vector(estimate.position)
    rates = vector(estimate.angular_velocity)
    normal = vector(estimate.ground_normal)
    feet = kinematics.foot_points(estimate.q)
    return Body(
        position=position,
        rotation=rotation,
        rpy=rpy,
        velocity=vector(estimate.velocity),
        rates_in_base=rates,
        rates=rotate(rotation, rates),
        com_in_base=com_in_base,
        com=add(position, rotate(rotation, com_in_base)),
        feet_in_base=feet,
        feet=[add(position, rotate(rotation, foot)) for foot in feet],
        frame=ground_rows(rpy[2], normal),
        normal=normal,
        ground_height=estimate.ground_height,
    )
