"""Batched physics moves as MuJoCo moves one robot, and restarts robots that fell or blew up."""

from dataclasses import dataclass
from functools import cache

import mujoco
import numpy as np
import pytest
from recorded_walk import WildGait

pytest.importorskip("mujoco_warp")

import warp as wp

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import load_robot
from safe_locomotion.rotations import matrix_from_quaternion
from safe_locomotion.sim.model import build_model
from safe_locomotion.sim.motors import Impedance
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.sim.truth import Truth
from safe_locomotion.training.gait.world.physics import Physics
from safe_locomotion.types import GRAVITY, Array, VelocityCommand

A1 = load_robot("a1")
WEIGHT = A1.mass * GRAVITY
STEP = 0.001  # s
GAINS = (60.0, 2.0)  # Nm/rad, Nm s/rad


def on_device(values: Array) -> wp.array:
    """Numbers, or vectors where the last dimension is 3, on Warp's CPU device."""
    kind = wp.vec3 if values.ndim == 2 and values.shape[1] == 3 else float
    return wp.array(values.astype(np.float32), dtype=kind)


def put(physics: Physics, qpos: Array, qvel: Array) -> None:
    """Set the states of all robots, which makes the solver start from zero."""
    physics.data.qpos.assign(qpos.astype(np.float32))
    physics.data.qvel.assign(qvel.astype(np.float32))
    physics.data.qacc_warmstart.zero_()


def holding(robots: int, gains: tuple[float, float] = GAINS) -> list[wp.array]:
    """Bias, kp and kd that hold robots in the standing pose and carry their weight."""
    kp, kd = gains
    foot = np.array((0.0, 0.0, 0.25 * WEIGHT))
    _, jacobians = Kinematics(A1).feet_and_jacobians(A1.q_stand)
    carrying = np.concatenate([-jacobian.T @ foot for jacobian in jacobians])
    rows = [carrying + kp * A1.q_stand, np.full(12, kp), np.full(12, kd)]
    return [on_device(np.tile(row, (robots, 1))) for row in rows]


def limp(robots: int) -> list[wp.array]:
    """A command without torque."""
    return [wp.zeros((robots, 12), dtype=float) for _ in range(3)]


def flying(robots: int, seed: int) -> tuple[Array, Array]:
    """States high above the floor, tilted and turning, with joints that move."""
    rng = np.random.default_rng(seed)
    qpos = np.zeros((robots, 19))
    qpos[:, 2] = 5.0
    qpos[:, 3:7] = rng.normal(size=(robots, 4))
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    qpos[:, 7:] = A1.q_stand + 0.1 * rng.normal(size=(robots, 12))
    qvel = rng.normal(size=(robots, 18))
    return qpos.astype(np.float32).astype(float), qvel.astype(np.float32).astype(float)


@dataclass(frozen=True)
class Recorded:
    """A walk of the simulator: states before, commands in and truths after each LowState."""

    qpos: list[Array]
    qvel: list[Array]
    commands: list[Impedance]
    truths: list[Truth]


@cache
def recorded() -> Recorded:
    """The A1 stands up and walks in wild gaits under the pipeline, on exact sensors."""
    robot = SimulatedRobot(SimulationOptions(noise=None))
    pipeline = Pipeline(A1, load_config("a1"), WildGait(1))
    walk = Recorded([], [], [], [])
    for k in range(1500):
        if k == 20:
            assert pipeline.supervisor.request("walk") is None
        command = pipeline.step(robot.low_state(), VelocityCommand(vx=0.3)).command
        walk.qpos.append(robot.data.qpos.copy())
        walk.qvel.append(robot.data.qvel.copy())
        walk.commands.append(Impedance.from_command(command))
        robot.step(command)
        walk.truths.append(robot.truth())
    assert robot.falls == 0
    return walk


def test_free_flight_is_that_of_mujoco() -> None:
    """Robots in the air that hold their joints move as in MuJoCo, to 1e-5 after 0.1 s."""
    robots = 3
    physics = Physics("a1", robots, "cpu")
    qpos, qvel = flying(robots, 0)
    put(physics, qpos, qvel)
    physics.step(*holding(robots), 100)
    bias, kp, kd = (values.numpy()[0].astype(float) for values in holding(1))
    model, _ = build_model(SimulationOptions())
    for k in range(robots):
        data = mujoco.MjData(model)
        data.qpos[:] = qpos[k]
        data.qvel[:] = qvel[k]
        for _ in range(100):
            wanted = bias - kp * data.qpos[7:] - kd * data.qvel[6:]
            data.ctrl[:] = np.clip(wanted, -A1.tau_max, A1.tau_max)
            data.qfrc_applied[6:] = -0.2 * np.tanh(data.qvel[6:] / 0.05)
            mujoco.mj_step(model, data)
        np.testing.assert_allclose(physics.data.qpos.numpy()[k], data.qpos, atol=1e-5)
        np.testing.assert_allclose(physics.data.qvel.numpy()[k], data.qvel, atol=1e-4)


def test_robots_tumble_as_in_mujoco() -> None:
    """Limp robots that drop in any attitude land on any of their shapes as in MuJoCo.

    Positions agree to 1e-4 after 0.2 s, with most robots on the ground.
    """
    robots = 6
    physics = Physics("a1", robots, "cpu")
    qpos, qvel = flying(robots, 5)
    qpos[:, 2] = 0.25
    qpos[0, 2:7] = (0.1, 0.0, 1.0, 0.0, 0.0)  # on its back
    put(physics, qpos, qvel)
    physics.step(*limp(robots), 200)
    model, _ = build_model(SimulationOptions())
    model.geom_contype[model.geom_contype > 0] = 1
    model.geom_conaffinity[model.geom_conaffinity > 1] = 0
    touched = set()
    for k in range(robots):
        data = mujoco.MjData(model)
        data.qpos[:] = qpos[k]
        data.qvel[:] = qvel[k]
        for _ in range(200):
            data.qfrc_applied[6:] = -0.2 * np.tanh(data.qvel[6:] / 0.05)
            mujoco.mj_step(model, data)
            touched |= set(model.geom_type[data.contact.geom[:, 1]].tolist())
        np.testing.assert_allclose(physics.data.qpos.numpy()[k], data.qpos, atol=1e-4)
    assert len(touched) == 4, "boxes, cylinders, capsules and spheres"


def replay(walk: Recorded, starts: list[int], ticks: int) -> Physics:
    """Robots that begin in the states of these ticks and follow the commands from there on."""
    physics = Physics("a1", len(starts), "cpu")
    put(physics, np.array([walk.qpos[k] for k in starts]), np.array([walk.qvel[k] for k in starts]))
    for tick in range(ticks):
        commands = [walk.commands[k + tick] for k in starts]
        rows = [np.array(rows) for rows in list(zip(*commands, strict=True))[:3]]
        for _ in range(2):
            physics.step(*map(on_device, rows), 1)
    return physics


def test_a_recorded_walk_is_repeated() -> None:
    """For 0.1 s the commands of a wild walk move robots as they moved the simulator's robot.

    The first robot stands. The simulator lets the solver iterate longer, in double precision.
    """
    walk = recorded()
    ticks = 50
    starts = [500, *range(1000, 1450, 100)]
    physics = replay(walk, starts, ticks)
    seen = physics.truth
    for row, start in enumerate(starts):
        want = walk.truths[start + ticks - 1]
        rotation = matrix_from_quaternion(want.quaternion_wxyz)
        work = want.energy - walk.truths[start - 1].energy
        np.testing.assert_allclose(seen.position.numpy()[row], want.position, atol=1e-5)
        np.testing.assert_allclose(seen.rotation.numpy()[row], rotation, atol=1e-4)
        np.testing.assert_allclose(seen.velocity.numpy()[row], want.velocity, atol=1e-3)
        np.testing.assert_allclose(seen.joints.numpy()[row], want.q, atol=1e-4)
        np.testing.assert_allclose(physics.touch.numpy()[row, :4], want.foot_force, atol=0.5)
        np.testing.assert_allclose(physics.energy.numpy()[row], work, rtol=1e-3)


def test_truth_is_the_state() -> None:
    """Truth, contacts and power after one LowState are those of the simulator, to rounding."""
    walk = recorded()
    starts = list(range(1000, 1400, 50))
    physics = replay(walk, starts, 1)
    threshold = 0.48 * 0.25 * WEIGHT
    in_contact = 0
    for row, k in enumerate(starts):
        want = walk.truths[k]
        seen = physics.truth
        rotation = matrix_from_quaternion(want.quaternion_wxyz)
        np.testing.assert_allclose(seen.position.numpy()[row], want.position, atol=1e-6)
        np.testing.assert_allclose(seen.rotation.numpy()[row], rotation, atol=1e-6)
        np.testing.assert_allclose(seen.velocity.numpy()[row], want.velocity, atol=1e-4)
        np.testing.assert_allclose(seen.rates.numpy()[row], want.angular_velocity, atol=1e-3)
        np.testing.assert_allclose(seen.joints.numpy()[row], want.q, atol=1e-5)
        np.testing.assert_allclose(seen.joint_rates.numpy()[row], want.dq, atol=3e-3)
        np.testing.assert_allclose(physics.touch.numpy()[row, :4], want.foot_force, atol=0.2)
        power = np.abs(want.joint_power).sum()
        np.testing.assert_allclose(physics.power.numpy()[row], power, rtol=1e-3)
        loaded = want.foot_force > threshold
        in_contact += int(loaded.sum())
        clear = np.abs(want.foot_force - 0.85 * threshold) > 0.2 * threshold
        np.testing.assert_array_equal(seen.contact.numpy()[row][clear], loaded[clear])
    assert 0 < in_contact < 4 * len(starts)


def test_restart_puts_robots_on_their_feet() -> None:
    """Only masked robots restart; the floor carries their weight from the first time steps on."""
    physics = Physics("a1", 3, "cpu")
    qpos, qvel = flying(3, 1)
    put(physics, qpos, qvel)
    physics.step(*limp(3), 2)
    physics.restart(on_device(np.array((1.0, 0.0, 1.0))))
    found = physics.data.qpos.numpy()
    np.testing.assert_allclose(found[[0, 2]], np.tile(physics.plant.standing, (2, 1)), atol=1e-7)
    assert found[1, 2] > 4.0
    np.testing.assert_array_equal(physics.truth.joint_rates.numpy()[[0, 2]], 0.0)
    np.testing.assert_allclose(physics.truth.joints.numpy()[2], A1.q_stand, atol=1e-6)
    physics.step(*holding(3), 5)
    touch = physics.touch.numpy()
    np.testing.assert_allclose(touch[[0, 2]].sum(axis=1), WEIGHT, rtol=0.2)
    np.testing.assert_array_equal(physics.truth.contact.numpy()[[0, 2]], 1.0)
    np.testing.assert_array_equal(touch[1], 0.0)


def test_falls_are_seen_and_forgotten() -> None:
    """Low, tilted, lying, infinite and NaN robots have fallen; a restart makes all of them stand.

    The robot that stands among them moves as if it were alone.
    """
    robots = 7
    physics = Physics("a1", robots, "cpu")
    qpos = np.tile(physics.plant.standing, (robots, 1))
    qvel = np.zeros((robots, 18))
    qpos[1, 2] = 0.09
    qpos[2, 2:7] = (1.0, np.cos(0.55), np.sin(0.55), 0.0, 0.0)  # 63 degrees
    qpos[3, 2:7] = (0.055, 1.0, 0.0, 0.0, 0.0)
    qpos[3, 7:] = A1.q_sit
    qpos[4, 9] = np.nan
    qvel[5, 3] = np.inf
    qvel[6, 8] = 2e6
    put(physics, qpos, qvel)
    physics.step(*holding(robots), 2)
    np.testing.assert_array_equal(physics.fallen.numpy(), [0, 1, 1, 1, 1, 1, 1])
    assert np.isfinite(physics.truth.joints.numpy()).all()
    physics.restart(physics.fallen)
    np.testing.assert_array_equal(physics.fallen.numpy(), 0.0)
    physics.step(*holding(robots), 20)
    np.testing.assert_array_equal(physics.fallen.numpy(), 0.0)
    found = physics.data.qpos.numpy()
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[1:], np.tile(found[1], (robots - 1, 1)))
    alone = Physics("a1", 1, "cpu")
    alone.step(*holding(1), 22)
    np.testing.assert_allclose(found[0], alone.data.qpos.numpy()[0], atol=1e-6)


def test_a_fall_lasts_until_the_restart() -> None:
    """A robot that toppled and was turned upright again still counts as fallen."""
    physics = Physics("a1", 1, "cpu")
    qpos = physics.plant.standing[None].copy()
    qpos[0, 2:7] = (1.0, 0.0, 1.0, 0.0, 0.0)
    put(physics, qpos, np.zeros((1, 18)))
    physics.step(*limp(1), 1)
    put(physics, physics.plant.standing[None], np.zeros((1, 18)))
    physics.step(*holding(1), 1)
    np.testing.assert_array_equal(physics.fallen.numpy(), 1.0)


def test_a_longer_time_step_stands_too() -> None:
    """At 500 Hz a robot that holds its pose for 0.1 s stands as at 1 kHz."""
    heights = []
    for timestep, steps in ((0.001, 100), (0.002, 50)):
        physics = Physics("a1", 1, "cpu", timestep=timestep)
        physics.step(*holding(1), steps)
        heights.append(physics.truth.position.numpy()[0, 2])
        np.testing.assert_allclose(physics.data.time.numpy(), 0.1, rtol=1e-4)
    np.testing.assert_allclose(heights[0], heights[1], atol=1e-4)


def test_friction_slows_robots_that_slide() -> None:
    """Standing robots that slide lose mu g t of their speed, each by its own friction."""
    friction = np.array((0.1, 0.2, 0.3))
    physics = Physics("a1", 3, "cpu", friction=friction)
    qvel = np.zeros((3, 18))
    qvel[:, 0] = 1.0
    put(physics, np.tile(physics.plant.standing, (3, 1)), qvel)
    physics.step(*holding(3, (300.0, 5.0)), 100)
    lost = 1.0 - physics.truth.velocity.numpy()[:, 0]
    np.testing.assert_allclose(lost, friction * GRAVITY * 0.1, rtol=0.15)


def test_payload_loads_the_feet() -> None:
    """The model of each robot is the one that MuJoCo compiles with its payload."""
    payload = np.array((0.0, 1.5, 4.0))
    physics = Physics("a1", 3, "cpu", payload=payload)
    model = physics.model
    for row in (1, 2):
        want, _ = build_model(SimulationOptions(payload=payload[row]))
        for name in ("body_mass", "body_inertia", "body_subtreemass", "body_invweight0"):
            found = getattr(model, name).numpy()[row]
            np.testing.assert_allclose(found, getattr(want, name), rtol=1e-5, atol=1e-9)
        found = model.dof_invweight0.numpy()[row]
        np.testing.assert_allclose(found, want.dof_invweight0, rtol=1e-5)
    np.testing.assert_allclose(model.body_subtreemass.numpy()[0, 1], A1.mass, rtol=1e-6)
    physics.step(*holding(3, (300.0, 10.0)), 150)
    loads = physics.touch.numpy().sum(axis=1)
    np.testing.assert_allclose(loads, WEIGHT + payload * GRAVITY, rtol=0.03)


def momentum(physics: Physics) -> Array:
    """(B, 3) of each robot [kg m/s], from its state."""
    model, _ = build_model(SimulationOptions())
    data = mujoco.MjData(model)
    found = []
    states = zip(physics.data.qpos.numpy(), physics.data.qvel.numpy(), strict=True)
    for qpos, qvel in states:
        data.qpos[:] = qpos
        data.qvel[:] = qvel
        mujoco.mj_forward(model, data)
        mujoco.mj_subtreeVel(model, data)
        found.append(A1.mass * data.subtree_linvel[1])
    return np.array(found)


def test_pushes_change_the_momentum() -> None:
    """In the air a push adds its impulse in 0.1 s and nothing later; two pushes add up."""
    impulse = np.array(((10.0, 0.0, 0.0), (0.0, -20.0, 5.0), (3.0, 4.0, 5.0)))
    physics = Physics("a1", 3, "cpu")
    qpos, qvel = flying(3, 2)
    put(physics, qpos, 0.1 * qvel)
    before = momentum(physics)
    physics.push(on_device(impulse), on_device(np.array((1.0, 1.0, 0.0))))
    physics.step(*limp(3), 50)
    physics.push(on_device(impulse), on_device(np.array((0.0, 1.0, 0.0))))
    physics.step(*limp(3), 120)
    falling = np.array((0.0, 0.0, -WEIGHT * 0.17))
    given = momentum(physics) - before - falling
    want = impulse * np.array((1.0, 2.0, 0.0))[:, None]
    np.testing.assert_allclose(given, want, atol=0.02)


def test_impossible_worlds_are_refused() -> None:
    """Unknown robots and numbers without a physical meaning are refused, NaN included."""
    with pytest.raises(UnknownNameError, match="a1"):
        Physics("spot", 1, "cpu")
    for numbers in (
        {"timestep": 0.0},
        {"timestep": np.nan},
        {"friction": 0.0},
        {"friction": np.array((0.8, np.nan))},
        {"payload": -1.0},
        {"payload": np.inf},
    ):
        with pytest.raises(ConfigurationError):
            Physics("a1", 2, "cpu", **numbers)
    with pytest.raises(ConfigurationError, match="at least one"):
        Physics("a1", 0, "cpu")
