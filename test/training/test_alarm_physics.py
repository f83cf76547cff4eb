"""Physics of ALARM's world: contacts with a height grid, delays, and MuJoCo as the reference."""

from math import cos, sin
from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("mujoco_warp")
pytest.importorskip("torch")

import mujoco
import mujoco_warp as mjw
import torch
import warp as wp

from safe_locomotion.sim.height_grid import HeightGrid
from safe_locomotion.sim.tile_ground import tile_grid
from safe_locomotion.training.joint.alarm.world.contacts import (
    Shapes,
    Surface,
    contacts_of,
    damping_of,
    find_contacts,
)
from safe_locomotion.training.joint.alarm.world.ground import ground_of
from safe_locomotion.training.joint.alarm.world.options import AlarmOptions, Drive
from safe_locomotion.training.joint.alarm.world.physics import Physics
from safe_locomotion.training.joint.alarm.world.reference import Reference
from safe_locomotion.types import Array

TERRAIN = ("up_stairs", 6)
SEED = 0


class Touching(NamedTuple):
    """Contacts of shapes: of which shape, distance [m], normal and place [m]."""

    shape: Array
    distance: Array
    normal: Array
    place: Array


UPRIGHT = np.eye(3)
LYING = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  #: z axis along x


def touching(
    grid: HeightGrid, centres: Array, radius: float, half: float = 0.0, turn: Array = UPRIGHT
) -> Touching:
    """Contacts of spheres (k, 3), or of halves of capsules before their middles on the axis."""
    count = len(centres)
    shapes = Shapes()
    shapes.geom = wp.array([0], dtype=int)
    shapes.begin = wp.array([-half], dtype=float)
    shapes.end = wp.array([0.0], dtype=float)
    shapes.radius = wp.array([radius], dtype=float)
    surface = Surface()
    surface.friction = wp.ones(count, dtype=float)
    surface.damping = wp.ones(count, dtype=float)
    model = mujoco.MjModel.from_xml_string("<mujoco><worldbody/></mujoco>")
    data = mjw.make_data(model, nworld=count, nconmax=2, njmax=1)
    places = wp.array(centres[:, None].astype(np.float32), dtype=wp.vec3)
    turns = wp.array(np.tile(turn.astype(np.float32), (count, 1, 1, 1)), dtype=wp.mat33)
    inputs = [shapes, ground_of(grid, "cpu"), surface, places, turns, contacts_of(data)]
    wp.launch(find_contacts, (count, 1), inputs=inputs, device="cpu")
    found = int(data.nacon.numpy()[0])
    contact = data.contact
    return Touching(
        contact.worldid.numpy()[:found],
        contact.dist.numpy()[:found],
        contact.frame.numpy()[:found, 0],
        contact.pos.numpy()[:found],
    )


def plane(slope: float) -> HeightGrid:
    """Ground that rises by `slope` along x."""
    x = np.arange(41) * 0.05 - 1.0
    return HeightGrid(heights=np.tile(slope * x, (41, 1)), cell=0.05, x=-1.0, y=-1.0)


def riser(height: float) -> HeightGrid:
    """Ground with a step up at x = 0; the riser is as deep as a cell."""
    x = np.arange(41) * 0.05 - 1.0
    return HeightGrid(
        heights=np.tile(np.where(x > 0.01, height, 0.0), (41, 1)), cell=0.05, x=-1.0, y=-1.0
    )


@pytest.mark.parametrize("slope", [0.0, 0.3, -1.0])
def test_a_ball_on_a_plane(slope: float) -> None:
    """Depth and normal are those of the plane, whether its centre is above or below the ground."""
    normal = np.array([-slope, 0.0, 1.0]) / np.hypot(slope, 1.0)
    along = np.random.default_rng(1).uniform(-0.5, 0.5, (50, 2))
    offset = np.linspace(-0.01, 0.019, 50)
    feet = np.column_stack([along[:, 0], along[:, 1], slope * along[:, 0]])
    found = touching(plane(slope), feet + offset[:, None] * normal, 0.02)
    np.testing.assert_array_equal(found.shape, np.arange(50))
    np.testing.assert_allclose(found.distance, offset - 0.02, atol=2e-6)
    far = np.abs(offset) > 1e-3
    np.testing.assert_allclose(found.normal[far], np.tile(normal, (far.sum(), 1)), atol=1e-3)
    middle = feet + 0.5 * (offset - 0.02)[:, None] * normal
    np.testing.assert_allclose(found.place[far], middle[far], atol=2e-5)


def test_a_ball_above_the_ground_has_no_contact() -> None:
    """Neither has one whose place is not a number."""
    high = np.array([[0.0, 0.0, 0.0201], [np.nan, 0.0, 0.0], [0.0, np.inf, 0.0]])
    assert len(touching(plane(0.0), high, 0.02).shape) == 0


def test_a_foot_in_a_corner_touches_both_faces() -> None:
    """Where a riser meets the tread below it, there is a contact with each."""
    face = np.array([-10.0, 0.0, 1.0]) / np.hypot(10.0, 1.0)  # riser of 0.5 m over 0.05 m
    foot = np.array([-0.010, 0.2, 0.015])
    found = touching(riser(0.5), foot[None], 0.02)
    np.testing.assert_allclose(found.normal, [face, [0.0, 0.0, 1.0]], atol=1e-4)
    np.testing.assert_allclose(
        found.distance, [foot @ face - 0.2 * face[1] - 0.02, -0.005], atol=1e-5
    )


def test_an_edge_touches_along_the_line_to_it() -> None:
    """In front of the edge of a step the normal points from the edge to the foot."""
    found = touching(riser(0.1), np.array([[0.047, 0.1, 0.112]]), 0.02)
    normal = np.array([-3.0, 0.0, 12.0]) / np.hypot(3.0, 12.0)
    np.testing.assert_allclose(found.normal, [normal], atol=1e-4)
    np.testing.assert_allclose(found.distance, [np.hypot(0.003, 0.012) - 0.02], atol=1e-6)


def test_a_capsule_touches_where_it_is_deepest() -> None:
    """The lower end of an upright capsule meets the ground."""
    found = touching(plane(0.0), np.array([[0.1, 0.1, 0.08]]), 0.01, half=0.075)
    np.testing.assert_allclose(found.distance, [-0.005], atol=1e-6)
    np.testing.assert_allclose(found.place, [[0.1, 0.1, -0.0025]], atol=1e-6)


@pytest.mark.parametrize("along", [0.0, 0.004, 0.01, 0.013, 0.04, 0.079])
def test_a_capsule_touches_an_edge_anywhere_on_its_length(along: float) -> None:
    """A ridge 3 mm deep in a lying capsule is found, also between the places that are sampled."""
    ridge = np.zeros((41, 41))
    ridge[:, 20] = 0.1  # x = 0
    grid = HeightGrid(heights=ridge, cell=0.05, x=-1.0, y=-1.0)
    middle = np.array([[0.08 - along, 0.2, 0.106]])
    found = touching(grid, middle, 0.009, half=0.08, turn=LYING)
    np.testing.assert_allclose(found.distance, [-0.003], atol=2e-4)
    np.testing.assert_allclose(found.place, [[0.0, 0.2, 0.0985]], atol=2e-3)


@pytest.fixture(scope="module")
def physics() -> Physics:
    """Robots on one tile of stairs."""
    ground = ground_of(tile_grid(*TERRAIN, SEED), "cpu")
    return Physics("a1", 6, ground, AlarmOptions(), "cpu")


def put(physics: Physics, qpos: Array, qvel: Array) -> None:
    """Set the states of all robots, without payload."""
    n = physics.robots
    physics.put(
        torch.ones(n, dtype=torch.bool),
        torch.tensor(qpos, dtype=torch.float32),
        torch.tensor(qvel, dtype=torch.float32),
    )
    physics.settle(torch.zeros(n), torch.zeros(n, 3))


def on_stairs(physics: Physics) -> tuple[Array, Array]:
    """Robots that stand or walk at 0.8 m/s on the platform and on the stairs."""
    grid = tile_grid(*TERRAIN, SEED)
    robot = physics.plant.robot
    qpos = np.zeros((6, 19))
    qvel = np.zeros((6, 18))
    for k, (x, y, yaw) in enumerate(
        [(0, 0, 0.3), (0.6, 0, 0), (0.72, 0.1, 0.1), (0, -0.6, -1.6), (1.6, 0, 0), (0, 1.9, 1.5)]
    ):
        qpos[k, 3] = cos(yaw / 2)
        qpos[k, 6] = sin(yaw / 2)
        qpos[k, 7:] = robot.q_stand
        reach = [(0.2, 0.13), (0.2, -0.13), (-0.2, 0.13), (-0.2, -0.13)]
        under = [
            grid.height(x + cos(yaw) * a - sin(yaw) * b, y + sin(yaw) * a + cos(yaw) * b)
            for a, b in reach
        ]
        qpos[k, :3] = (x, y, max(under) + robot.nominal_height + 0.02)
        speed = 0.8 * (k % 2)
        qvel[k, :2] = (speed * cos(yaw), speed * sin(yaw))
    return qpos.astype(np.float32).astype(float), qvel.astype(np.float32).astype(float)


@pytest.mark.parametrize("robot", ["a1", "go1", "go2"])
def test_robots_on_stairs_move_as_in_mujoco(robot: str) -> None:
    """After 0.1 s of PD hold on stairs the state is that of MuJoCo with its own contacts.

    Within 1 mm, 0.02 rad and 0.03 m/s: MuJoCo puts up to four contacts on a foot, this world two.
    """
    ground = ground_of(tile_grid(*TERRAIN, SEED), "cpu")
    physics = Physics(robot, 6, ground, AlarmOptions(), "cpu")
    qpos, qvel = on_stairs(physics)
    put(physics, qpos, qvel)
    stand = physics.plant.robot.q_stand
    for _ in range(10):
        physics.step(torch.tensor(stand, dtype=torch.float32).repeat(6, 1))
    assert not physics.lost.any()
    reference = Reference(robot, f"{TERRAIN[0]}:{TERRAIN[1]}", SEED, Drive())
    for k in range(6):
        reference.put(qpos[k], qvel[k])
        for _ in range(10):
            reference.step(stand)
        wanted_q = reference.data.qpos
        wanted_v = reference.data.qvel
        np.testing.assert_allclose(physics.qpos[k, :3], wanted_q[:3], atol=1e-3)
        np.testing.assert_allclose(physics.qpos[k, 3:], wanted_q[3:], atol=0.02)
        np.testing.assert_allclose(physics.qvel[k, :3], wanted_v[:3], atol=0.03)
        assert wanted_q[2] < qpos[k, 2] - 0.02  # it has landed and sunk into its gains


def test_knees_on_the_ground_are_felt(physics: Physics) -> None:
    """A robot that kneels presses with its thighs or calves; a standing one does not."""
    qpos, qvel = on_stairs(physics)
    folded = physics.plant.robot.q_stand.copy()
    folded[1::3] = 0.0
    folded[2::3] = -2.6
    qpos[0, 7:] = folded
    qpos[0, 2] = 0.23
    put(physics, qpos, qvel)
    target = torch.tensor(qpos[:, 7:], dtype=torch.float32)
    for _ in range(6):
        physics.step(target)
    force = physics.touch[:, 4]
    assert force[0] > 5.0
    assert force[1] == 0.0


def test_a_target_acts_after_its_delay(physics: Physics) -> None:
    """With 0, 4, 10, 12 and 15 ms the targets of the two periods before act until then."""
    qpos, qvel = on_stairs(physics)
    qpos[:, 2] = 5.0
    put(physics, qpos, qvel)
    physics.delay.copy_(torch.tensor([0.0, 0.004, 0.010, 0.012, 0.015, 0.0]))
    base = torch.tensor(physics.plant.robot.q_stand, dtype=torch.float32).repeat(6, 1)
    ages = {0.0: [0] * 5, 0.004: [1, 1, 0, 0, 0], 0.010: [1] * 5}
    ages |= {0.012: [2, 1, 1, 1, 1], 0.015: [2, 2, 2, 1, 1]}
    for offset in (0.1, 0.2):
        physics.step(base + offset)
    physics.delay.copy_(torch.tensor([0.0, 0.004, 0.010, 0.012, 0.015, 0.0]))
    start_q = physics.qpos.clone()
    start_v = physics.qvel.clone()
    targets = [base + 0.3, base + 0.2, base + 0.1]
    physics.step(targets[0])
    found = physics.qpos[:, 7:].clone()
    for k, (delay, age) in enumerate(ages.items()):
        assert float(physics.delay[k]) == pytest.approx(delay)
        by_hand = in_the_air(physics, start_q[k], start_v[k], [targets[a][k] for a in age])
        np.testing.assert_allclose(found[k], by_hand, atol=2e-5)
    physics.delay.zero_()


def in_the_air(physics: Physics, qpos: Array, qvel: Array, targets: list) -> Array:
    """Joints (12,) after five ticks of MuJoCo without ground under these targets."""
    model = physics.plant.model
    data = mujoco.MjData(model)
    payload = physics.plant.payload
    mass = float(model.body_mass[payload])
    inertia = model.body_inertia[payload].copy()
    model.body_mass[payload] = 0.0
    model.body_inertia[payload] = 0.0
    data.qpos[:] = qpos
    data.qvel[:] = qvel
    for target in targets:
        dq = data.qvel[6:]
        data.ctrl[:] = 20.0 * (np.asarray(target, float) - data.qpos[7:]) - 0.5 * dq
        data.qfrc_applied[6:] = -0.2 * np.tanh(dq / 0.05)
        mujoco.mj_step(model, data)
    model.body_mass[payload] = mass
    model.body_inertia[payload] = inertia
    return data.qpos[7:].copy()


def test_payloads_move_robots_as_in_mujoco(physics: Physics) -> None:
    """In the air, robots with payloads of -1 to 3 kg turn as MuJoCo's with the same masses."""
    qpos, qvel = on_stairs(physics)
    qpos[:, 2] = 5.0
    qvel[:, 3:6] = (3.0, -2.0, 1.0)
    put(physics, qpos, qvel)
    masses = torch.tensor([-1.0, 0.0, 1.0, 2.0, 3.0, -0.4])
    places = torch.linspace(-0.1, 0.1, 18).view(6, 3)
    physics.settle(masses, places)
    target = torch.tensor(qpos[:, 7:], dtype=torch.float32)
    for _ in range(4):
        physics.step(target)
    for k in range(6):
        model = physics.plant.model.__copy__()
        trunk = physics.plant.trunk
        payload = physics.plant.payload
        heavy = max(float(masses[k]), 0.0)
        light = 1.0 + min(float(masses[k]), 0.0) / model.body_mass[trunk]
        model.body_mass[payload] = heavy
        model.body_inertia[payload] *= heavy
        model.body_pos[payload] = places[k]
        model.body_mass[trunk] *= light
        model.body_inertia[trunk] *= light
        data = mujoco.MjData(model)
        mujoco.mj_setConst(model, data)
        data.qpos[:] = qpos[k]
        data.qvel[:] = qvel[k]
        for _ in range(20):
            dq = data.qvel[6:]
            data.ctrl[:] = 20.0 * (qpos[k, 7:] - data.qpos[7:]) - 0.5 * dq
            data.qfrc_applied[6:] = -0.2 * np.tanh(dq / 0.05)
            mujoco.mj_step(model, data)
        np.testing.assert_allclose(physics.qpos[k], data.qpos, atol=1e-4)
        np.testing.assert_allclose(physics.qvel[k], data.qvel, atol=3e-3)
    put(physics, qpos, qvel)


@pytest.mark.parametrize("wanted", [0.14, 0.3, 0.5])
def test_restitution_becomes_a_bounce(wanted: float) -> None:
    """A ball of MuJoCo with this damping ratio keeps the wanted share of its speed, within 0.03."""
    ball = f"""<mujoco><option timestep="0.0005" cone="elliptic" gravity="0 0 0"/><worldbody>
      <geom type="plane" size="1 1 1" solref="0.02 {damping_of(wanted)}" priority="1"/>
      <body pos="0 0 0.03"><freejoint/><geom size="0.02" mass="3"/></body>
    </worldbody></mujoco>"""
    model = mujoco.MjModel.from_xml_string(ball)
    data = mujoco.MjData(model)
    data.qvel[2] = -1.0
    while data.time < 0.3:
        mujoco.mj_step(model, data)
    assert float(data.qvel[2]) == pytest.approx(wanted, abs=0.03)


def test_no_restitution_is_the_usual_contact() -> None:
    """Its damping ratio is MuJoCo's default."""
    assert damping_of(0.0) == 1.0
