"""Numbers of the vendor's public robot descriptions, for comparison with our models.

Source: unitree_ros of Unitree Robotics (BSD-3-Clause), commit d6f13aa, the URDF of each robot.
Links without a body of their own, such as cameras, are left out; they weigh 2 g at most.
"""

from dataclasses import dataclass

import numpy as np

from safe_locomotion.robot.models import Link
from safe_locomotion.types import Array

Numbers = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A rigid body in the frame of its link.

    Attributes:
        mass: [kg].
        com: (3,) [m].
        inertia: xx, yy, zz, xy, xz, yz about `com` [kg m2].
    """

    mass: float
    com: Numbers = (0.0, 0.0, 0.0)
    inertia: Numbers

    def mirrored(self, x: float, y: float) -> "Part":
        """The part reflected where a sign is -1."""
        cx, cy, cz = self.com
        xx, yy, zz, xy, xz, yz = self.inertia
        return Part(
            mass=self.mass,
            com=(x * cx, y * cy, cz),
            inertia=(xx, yy, zz, x * y * xy, x * xz, y * yz),
        )


@dataclass(frozen=True, kw_only=True)
class PublicRobot:
    """A robot as its vendor describes it; legs by their FL.

    Attributes:
        mass: of all links [kg].
        trunk, hip, thigh, calf, foot: links without rotors.
        mirrored: kinds of links whose right side is the reflection of the left.
        rotors: of hip, thigh and calf motor of the FL leg, in trunk, hip and thigh.
        hip_place: (2,) hip joint of FL in base [m].
        hip_offset, thigh_length, calf_length, foot_radius: [m].
        front, rear: (3, 2) ranges of hip, thigh and calf of FL and RL [rad].
        effort: (3,) [Nm].
        velocity: (3,) [rad/s].
    """

    mass: float
    trunk: Part
    hip: Part
    thigh: Part
    calf: Part
    foot: Part
    mirrored: tuple[str, ...]
    rotors: tuple[Part, ...]
    hip_place: Numbers
    hip_offset: float
    thigh_length: float
    calf_length: float
    foot_radius: float
    front: tuple[Numbers, ...]
    rear: tuple[Numbers, ...]
    effort: Numbers
    velocity: Numbers

    def link(self, leg: str, kind: str) -> Link:
        """A link of a leg with the rotor that turns with it."""
        y = -1.0 if leg[1] == "R" else 1.0
        x = -1.0 if leg[0] == "R" and kind == "hip" else 1.0
        own: Part = getattr(self, kind)
        parts = [own.mirrored(x, y if kind in self.mirrored else 1.0)]
        place = {"hip": 1, "thigh": 2}.get(kind)
        if self.rotors and place is not None:
            parts.append(self.rotors[place].mirrored(1.0, y))
        return together(parts)

    def trunk_link(self) -> Link:
        """The trunk with the rotors of the hips."""
        rotors = [r.mirrored(x, y) for r in self.rotors[:1] for x in (1, -1) for y in (1, -1)]
        return together([self.trunk, *rotors])


def together(parts: list[Part]) -> Link:
    """Several parts of one frame as one body."""
    mass = sum(part.mass for part in parts)
    com = sum((part.mass * np.array(part.com) for part in parts), np.zeros(3)) / mass
    inertia = np.zeros((3, 3))
    for part in parts:
        r = np.array(part.com) - com
        inertia += _matrix(part.inertia) + part.mass * (r @ r * np.eye(3) - np.outer(r, r))
    return Link(mass=mass, com=com, inertia=inertia)


def _matrix(inertia: Numbers) -> Array:
    xx, yy, zz, xy, xz, yz = inertia
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


_ALONG = 1.11842e-4  # inertia of a rotor about its axis [kg m2]
_ACROSS = 5.9647e-5


def _rotors(thigh_y: float, calf_y: float) -> tuple[Part, ...]:
    """Rotors of the motor that Go1 and Go2 share; the places are those of the FL leg [m]."""
    lying = (_ACROSS, _ALONG, _ACROSS, 0.0, 0.0, 0.0)
    return (
        Part(mass=0.089, com=(0.11215, 0.04675, 0.0), inertia=(_ALONG, _ACROSS, _ACROSS, 0, 0, 0)),
        Part(mass=0.089, com=(0.0, thigh_y, 0.0), inertia=lying),
        Part(mass=0.089, com=(0.0, calf_y, 0.0), inertia=lying),
    )


GO2 = PublicRobot(
    mass=16.087,
    trunk=Part(
        mass=6.921,
        com=(0.021112, 0.0, -0.005366),
        inertia=(0.02448, 0.098077, 0.107, 0.00012166, 0.0014849, -3.12e-05),
    ),
    hip=Part(
        mass=0.678,
        com=(-0.0054, 0.00194, -0.000105),
        inertia=(0.00048, 0.000884, 0.000596, -3.01e-06, 1.11e-06, -1.42e-06),
    ),
    thigh=Part(
        mass=1.152,
        com=(-0.00374, -0.0223, -0.0327),
        inertia=(0.00584, 0.0058, 0.00103, 8.72e-05, -0.000289, 0.000808),
    ),
    calf=Part(
        mass=0.154,
        com=(0.00548, -0.000975, -0.115),
        inertia=(0.00108, 0.0011, 3.29e-05, 3.4e-07, 1.72e-05, 8.28e-06),
    ),
    foot=Part(mass=0.04, inertia=(9.6e-06, 9.6e-06, 9.6e-06, 0, 0, 0)),
    mirrored=("hip", "thigh", "calf"),
    rotors=_rotors(-0.00015, -0.03235),
    hip_place=(0.1934, 0.0465),
    hip_offset=0.0955,
    thigh_length=0.213,
    calf_length=0.213,
    foot_radius=0.022,
    front=((-1.0472, 1.0472), (-1.5708, 3.4907), (-2.7227, -0.83776)),
    rear=((-1.0472, 1.0472), (-0.5236, 4.5379), (-2.7227, -0.83776)),
    effort=(23.7, 23.7, 45.43),
    velocity=(30.1, 30.1, 15.7),
)

GO1 = PublicRobot(
    mass=13.100528,
    trunk=Part(
        mass=5.204,
        com=(0.0223, 0.002, -0.0005),
        inertia=(
            0.0168128557,
            0.063009565,
            0.0716547275,
            -0.0002296769,
            -0.0002945293,
            -4.18731e-05,
        ),
    ),
    hip=Part(
        mass=0.591,
        com=(-0.005657, -0.008752, -0.000102),
        inertia=(
            0.000334008405,
            0.000619101213,
            0.00040057614,
            -1.0826066e-05,
            1.290732e-06,
            1.643194e-06,
        ),
    ),
    thigh=Part(
        mass=0.92,
        com=(-0.003342, -0.018054, -0.033451),
        inertia=(
            0.004431760472,
            0.004485671726,
            0.000740309489,
            5.7496807e-05,
            -0.000218457134,
            0.000572001265,
        ),
    ),
    calf=Part(
        mass=0.135862,
        com=(0.006197, 0.001408, -0.116695),
        inertia=(
            0.001088793059,
            0.001100428748,
            2.4787446e-05,
            -2.55679e-07,
            7.117814e-06,
            2.077264e-06,
        ),
    ),
    foot=Part(mass=0.06, inertia=(9.6e-06, 9.6e-06, 9.6e-06, 0, 0, 0)),
    mirrored=("hip", "thigh"),
    rotors=_rotors(-0.00015, -0.03235),
    hip_place=(0.1881, 0.04675),
    hip_offset=0.08,
    thigh_length=0.213,
    calf_length=0.213,
    foot_radius=0.02,
    front=((-0.863, 0.863), (-0.686, 4.501), (-2.818, -0.888)),
    rear=((-0.863, 0.863), (-0.686, 4.501), (-2.818, -0.888)),
    effort=(23.7, 23.7, 35.55),
    velocity=(30.1, 30.1, 20.06),
)

_LAIKAGO_RANGES = (
    (-0.872664625997, 1.0471975512),
    (-0.523598775598, 3.92699081699),
    (-2.77507351067, -0.610865238198),
)

LAIKAGO = PublicRobot(
    mass=25.433,
    trunk=Part(
        mass=13.733,
        com=(0.002284, -4.1e-05, 0.025165),
        inertia=(0.073348887, 0.250684593, 0.254469458, 0.00030338, 0.001918218, -7.5402e-05),
    ),
    hip=Part(
        mass=1.096,
        com=(-0.001568, -0.008134, 0.000864),
        inertia=(0.000822113, 0.000983196, 0.000864753, -4.982e-06, -3.672e-05, 2.811e-06),
    ),
    thigh=Part(
        mass=1.528,
        com=(-0.000482, 0.02001, -0.031996),
        inertia=(0.00991611, 0.009280083, 0.00178256, 1.0388e-05, 0.000250428, -8.511e-05),
    ),
    calf=Part(
        mass=0.241,
        com=(-0.002196, -0.000381, -0.12338),
        inertia=(0.006181961, 0.006196546, 3.4774e-05, 2.37e-07, -2.985e-06, 5.138e-06),
    ),
    foot=Part(mass=0.06, inertia=(1.6854e-05, 1.6854e-05, 1.6854e-05, 0, 0, 0)),
    mirrored=("hip", "thigh"),
    rotors=(),
    hip_place=(0.21935, 0.0875),
    hip_offset=0.037,
    thigh_length=0.25,
    calf_length=0.25,
    foot_radius=0.0265,
    front=_LAIKAGO_RANGES,
    rear=_LAIKAGO_RANGES,
    effort=(20.0, 55.0, 55.0),
    velocity=(52.4, 28.6, 28.6),
)

PUBLIC = {"go2": GO2, "go1": GO1, "laikago": LAIKAGO}
