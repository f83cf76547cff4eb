"""What is true of each robot at the end of a policy step: velocities, feet and heights."""

from typing import Any, NamedTuple

import numpy as np
import torch
import warp as wp
from torch import Tensor

from safe_locomotion.robot.models import RobotModel
from safe_locomotion.training.gait.world.arrays import Array1, Array2, Array3
from safe_locomotion.training.gait.world.bodies import is_sane
from safe_locomotion.training.gait.world.legs import Legs, foot_at, legs_of
from safe_locomotion.training.joint.alarm.world.ground import Ground, around, height_at
from safe_locomotion.types import N_LEGS, Array

FORWARD = np.linspace(-0.8, 0.8, 17)
LEFT = np.linspace(-0.5, 0.5, 11)
"""Places of the sampled heights in the heading frame [m]."""
N_HEIGHTS = len(FORWARD) * len(LEFT)
BLIND = wp.constant(1.0e3)

wp.set_module_options({"enable_backward": False, "max_unroll": 4})


class Truth(NamedTuple):
    """State of n robots, without error.

    Attributes:
        velocity: of the base, in base [m/s].
        up: vertical in base.
        yaw: cosine and sine of the heading (n, 2).
        feet: foot centres from the base, in the heading frame (n, 4, 3) [m].
        hips: hip joints shifted sideways by the hip offset, likewise (n, 4, 3) [m].
        clearance: of the feet's soles above the ground below them (n, 4) [m].
        height: of the base above the ground below it [m].
        trunk: lowest clearance of the trunk [m].
        sane: 1 for a state without NaN and without absurd speeds.
        ground: heights around the robot relative to its base, forward first (n, 187) [m].
    """

    velocity: Tensor
    up: Tensor
    yaw: Tensor
    feet: Tensor
    hips: Tensor
    clearance: Tensor
    height: Tensor
    trunk: Tensor
    sane: Tensor
    ground: Tensor


@wp.struct
class Sensed:
    """Arrays of `Truth`."""

    velocity: Array2
    up: Array2
    yaw: Array2
    feet: Array3
    hips: Array3
    clearance: Array2
    height: Array1
    trunk: Array1
    sane: Array1
    ground: Array2


@wp.struct
class Body:
    """The robot: legs, points of the trunk's surface (k, 3) in base, and height samples (m, 2)."""

    legs: Legs
    trunk: Array2
    samples: Array2


@wp.func
def heading(turn: wp.mat33) -> wp.vec2:
    """Cosine and sine of the yaw of a rotation from base to world."""
    c = turn[0, 0]
    s = turn[1, 0]
    length = wp.sqrt(c * c + s * s)
    if length < 1.0e-6:
        return wp.vec2(1.0, 0.0)
    return wp.vec2(c / length, s / length)


@wp.func
def rotation_of(qpos: Array2, robot: int) -> wp.mat33:
    """Rotation from base to world."""
    turn = wp.quat(qpos[robot, 4], qpos[robot, 5], qpos[robot, 6], qpos[robot, 3])
    return wp.quat_to_matrix(wp.normalize(turn))


@wp.func
def place_of(qpos: Array2, robot: int) -> wp.vec3:
    """Position of the base in the world [m]."""
    return wp.vec3(qpos[robot, 0], qpos[robot, 1], qpos[robot, 2])


@wp.func
def in_heading(yaw: wp.vec2, v: wp.vec3) -> wp.vec3:
    """A vector of the world, seen from the heading frame."""
    return wp.vec3(yaw[0] * v[0] + yaw[1] * v[1], yaw[0] * v[1] - yaw[1] * v[0], v[2])


@wp.func
def sense_foot(
    ground: Ground,
    legs: Legs,
    leg: int,
    q: wp.vec3,
    turn: wp.mat33,
    base: wp.vec3,
    robot: int,
    sensed: Sensed,
) -> None:
    """Foot and hip of one leg."""
    yaw = heading(turn)
    foot = turn * foot_at(legs, leg, q)
    hip = wp.vec3(legs.hip[leg, 0], legs.hip[leg, 1] + legs.offset[leg], legs.hip[leg, 2])
    seen = in_heading(yaw, foot)
    joint = in_heading(yaw, turn * hip)
    for axis in range(3):
        sensed.feet[robot, leg, axis] = seen[axis]
        sensed.hips[robot, leg, axis] = joint[axis]
    at = base + foot
    sensed.clearance[robot, leg] = at[2] - legs.radius - height_at(ground, at[0], at[1])


@wp.kernel
def sense(ground: Ground, body: Body, qpos: Array2, qvel: Array2, sensed: Sensed) -> None:
    """Truth of one robot; one without a state keeps its last truth."""
    robot = wp.tid()
    sensed.sane[robot] = 1.0
    if not is_sane(qpos, qvel, robot):
        sensed.sane[robot] = 0.0
        return
    turn = rotation_of(qpos, robot)
    base = place_of(qpos, robot)
    velocity = wp.transpose(turn) * wp.vec3(qvel[robot, 0], qvel[robot, 1], qvel[robot, 2])
    yaw = heading(turn)
    for axis in range(3):
        sensed.velocity[robot, axis] = velocity[axis]
        sensed.up[robot, axis] = turn[2, axis]
    sensed.yaw[robot, 0] = yaw[0]
    sensed.yaw[robot, 1] = yaw[1]
    for leg in range(4):
        q = wp.vec3(qpos[robot, 7 + 3 * leg], qpos[robot, 8 + 3 * leg], qpos[robot, 9 + 3 * leg])
        sense_foot(ground, body.legs, leg, q, turn, base, robot, sensed)
    sensed.height[robot] = base[2] - height_at(ground, base[0], base[1])
    lowest = float(BLIND)
    for k in range(body.trunk.shape[0]):
        at = base + turn * wp.vec3(body.trunk[k, 0], body.trunk[k, 1], body.trunk[k, 2])
        lowest = wp.min(lowest, at[2] - height_at(ground, at[0], at[1]))
    sensed.trunk[robot] = lowest


@wp.kernel
def survey(ground: Ground, body: Body, qpos: Array2, sensed: Sensed) -> None:
    """Height of the ground at one sample around one robot, relative to its base."""
    robot, k = wp.tid()
    if sensed.sane[robot] < 0.5:
        return
    base = place_of(qpos, robot)
    yaw = wp.vec2(sensed.yaw[robot, 0], sensed.yaw[robot, 1])
    x = base[0] + yaw[0] * body.samples[k, 0] - yaw[1] * body.samples[k, 1]
    y = base[1] + yaw[1] * body.samples[k, 0] + yaw[0] * body.samples[k, 1]
    sensed.ground[robot, k] = height_at(ground, x, y) - base[2]


def trunk_points(half: Array) -> Array:
    """Points (k, 3) on a box in whose gaps no edge of a stair hides: its faces at about 7 cm."""
    axes = [np.linspace(-h, h, max(2, int(np.ceil(2.0 * h / 0.07)) + 1)) for h in half]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    on_surface = (np.abs(np.abs(points) - half) < 1e-9).any(axis=1)
    surface: Array = points[on_surface]
    return surface


class Senses:
    """Fills one `Truth`, whose tensors stay in their place.

    Attributes:
        truth: of the last call.
    """

    def __init__(self, robot: RobotModel, trunk_half: Array, ground: Any, n: int, device: str):
        self._ground = ground
        self._device = device
        self._n = n
        widths = {
            "velocity": (3,),
            "up": (3,),
            "yaw": (2,),
            "feet": (N_LEGS, 3),
            "hips": (N_LEGS, 3),
            "clearance": (N_LEGS,),
            "height": (),
            "trunk": (),
            "sane": (),
            "ground": (N_HEIGHTS,),
        }
        tensors = {name: torch.zeros(n, *width, device=device) for name, width in widths.items()}
        self.truth = Truth(**tensors)
        self._sensed = Sensed()
        for name, tensor in tensors.items():
            setattr(self._sensed, name, wp.from_torch(tensor))
        body = Body()
        body.legs = legs_of(robot, None, device)
        body.trunk = _on_device(trunk_points(trunk_half), device)
        body.samples = _on_device(around(FORWARD, LEFT), device)
        self._body = body

    def __call__(self, qpos: Any, qvel: Any) -> None:
        """Look at states (n, 19) and (n, 18), Warp arrays of MuJoCo-Warp."""
        inputs = [self._ground, self._body, qpos, qvel, self._sensed]
        wp.launch(sense, self._n, inputs=inputs, device=self._device)
        inputs = [self._ground, self._body, qpos, self._sensed]
        wp.launch(survey, (self._n, N_HEIGHTS), inputs=inputs, device=self._device)


def _on_device(values: Array, device: str) -> Any:
    return wp.array(values.astype(np.float32), dtype=float, device=device)
