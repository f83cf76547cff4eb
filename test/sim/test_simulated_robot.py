"""The simulated robot obeys mechanics, the limits of its motors, its clock and its seed."""

from dataclasses import replace
from math import radians

import numpy as np
import pytest

pytest.importorskip("mujoco")

from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.robot.models import robot_file
from safe_locomotion.sim.model import trunk_half
from safe_locomotion.sim.motors import load_motors
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import LowCommand

GRAVITY = 9.81
IDEAL = SimulationOptions(noise=None)


def command(q, kp=80.0, kd=3.0, tau=0.0, dq=0.0) -> LowCommand:
    """The same gains on all joints."""
    vectors = {
        name: np.broadcast_to(np.asarray(value, float), 12).copy()
        for name, value in {"q": q, "dq": dq, "tau": tau, "kp": kp, "kd": kd}.items()
    }
    return LowCommand(stamp_ns=0, **vectors)


def torque(tau) -> LowCommand:
    return command(0.0, kp=0.0, kd=0.0, tau=tau)


def move(robot: SimulatedRobot, start, end, seconds: float) -> None:
    """Drive the joints along a cubic from start to end in 80 % of the time, then hold."""
    n = round(seconds / 0.002)
    for i in range(n):
        s = min(1.0, i / (0.8 * n))
        robot.step(command(start + (end - start) * (3 * s * s - 2 * s**3)))


def stood_up(options=IDEAL) -> SimulatedRobot:
    robot = SimulatedRobot(options)
    move(robot, robot.robot.q_sit, robot.robot.q_stand, 1.5)
    return robot


def in_the_air(options=IDEAL, motor=None) -> SimulatedRobot:
    """A limp robot 5 m above the ground."""
    robot = SimulatedRobot(options, motor)
    robot.data.qpos[2] += 5.0
    robot.data.qpos[7:19] = robot.robot.q_stand
    robot.step(None)
    return robot


def centre_of_mass(robot: SimulatedRobot):
    return robot.data.subtree_com[robot.model.body("trunk").id].copy()


def test_starts_prone_and_at_rest() -> None:
    """Without commands the robot stays on its belly: level, within 3 mm, without a fall.

    Its accelerometer reads gravity upwards.
    """
    robot = SimulatedRobot(IDEAL)
    for _ in range(250):
        robot.step(None)
    truth = robot.truth()
    state = robot.low_state()
    assert abs(truth.height - 0.057) < 0.003 and truth.falls == 0
    np.testing.assert_allclose(state.accelerometer, (0.0, 0.0, GRAVITY), atol=0.05)
    np.testing.assert_allclose(state.quaternion_wxyz, (1.0, 0.0, 0.0, 0.0), atol=0.01)


def test_free_fall() -> None:
    """In the air the centre of mass falls by g t^2 / 2 and the accelerometer reads zero."""
    robot = in_the_air()
    start = centre_of_mass(robot)[2]
    velocity = robot.data.qvel[2]
    for _ in range(100):
        robot.step(None)
    t = 0.2
    assert centre_of_mass(robot)[2] - start == pytest.approx(
        velocity * t - GRAVITY * t * t / 2, abs=2e-3
    )
    np.testing.assert_allclose(robot.low_state().accelerometer, 0.0, atol=0.1)


def test_feet_carry_the_weight() -> None:
    """The foot forces of a standing robot add up to its weight, with and without payload."""
    for payload in (0.0, 2.5):
        robot = stood_up(replace(IDEAL, payload=payload))
        truth = robot.truth()
        assert truth.foot_contact.all()
        assert truth.foot_force.sum() == pytest.approx(
            (robot.robot.mass + payload) * GRAVITY, rel=0.01
        )


def test_push_changes_momentum_by_the_impulse() -> None:
    """In the air an impulse J over 0.1 s changes the velocity of the centre of mass by J / m.

    Nothing changes afterwards.
    """
    robot = in_the_air()
    twin = in_the_air()
    impulse = np.array([5.0, -12.0, 3.0])
    robot.push(impulse)
    gained = []
    for steps in (50, 20):
        before = centre_of_mass(robot) - centre_of_mass(twin)
        for _ in range(steps):
            before = centre_of_mass(robot) - centre_of_mass(twin)
            robot.step(None), twin.step(None)
        gained.append((centre_of_mass(robot) - centre_of_mass(twin) - before) / 0.002)
    np.testing.assert_allclose(gained[1], impulse / robot.robot.mass, rtol=1e-2)
    np.testing.assert_allclose(gained[0], gained[1], rtol=3e-2)


def test_push_off_centre_turns_the_trunk() -> None:
    """A lateral push in front of the centre of mass turns the robot to the left."""
    robot = in_the_air()
    robot.push(np.array([0.0, 5.0, 0.0]), offset=np.array([0.2, 0.0, 0.0]))
    for _ in range(60):
        robot.step(None)
    assert robot.truth().angular_velocity[2] > 0.5


def test_motor_torque_is_clipped() -> None:
    """A huge torque command gives the peak torque, and the reported torque says so."""
    robot = in_the_air()
    robot.step(torque(1e6))
    assert robot.truth().tau.max() <= 33.5 and robot.low_state().tau[0] == 33.5


def test_energy_is_conserved_without_motors() -> None:
    """A limp robot in the air gains no mechanical energy; damping and friction only take it."""
    robot = in_the_air()
    robot.data.qvel[6:18] = 2.0
    robot.model.opt.enableflags |= 2  # mjENBL_ENERGY
    energies = []
    for _ in range(60):
        robot.step(None)
        energies.append(float(robot.data.energy.sum()))
    assert np.all(np.diff(energies) <= 1e-2)
    assert robot.truth().energy == 0.0


@pytest.mark.parametrize("delay", [0, 1, 4, 7, 8])
def test_delay_is_exact(delay) -> None:
    """A torque command takes effect exactly `motor_delay_ms` after its arrival."""
    robot = in_the_air(replace(IDEAL, motor_delay_ms=float(delay)))
    robot.step(torque(0.0))
    for _ in range(10):
        robot.step(torque(0.0))
    seen = []
    robot.step(torque(3.0))
    seen.append(robot.truth().tau[0])
    for _ in range(5):
        robot.step(None)
        seen.append(robot.truth().tau[0])
    first = next(i for i, tau in enumerate(seen) if tau == 3.0)
    assert first == delay // 2, (
        "the second millisecond of period i shows commands of age up to 2 i + 1 ms"
    )


def test_limp_20_ms_after_the_last_command() -> None:
    """The newest command holds for 20 ms of robot time, then the motors are limp.

    A new command revives them.
    """
    robot = in_the_air()
    robot.step(torque(2.0))
    for _ in range(9):
        robot.step(None)
        assert robot.truth().tau[0] == 2.0
    for _ in range(5):
        robot.step(None)
        assert not robot.truth().tau.any()
    robot.step(torque(2.0))
    assert robot.truth().tau[0] == 2.0


@pytest.mark.parametrize("field", ["q", "dq", "tau", "kp", "kd"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_commands_that_are_not_finite_are_refused(field, bad) -> None:
    """One NaN or infinity refuses the whole command and is counted; the watchdog runs on."""
    robot = in_the_air()
    values = getattr(torque(1.0), field).copy()
    values[7] = bad
    for _ in range(11):
        robot.step(replace(torque(1.0), **{field: values}))
    assert robot.refused_commands == 11
    assert not robot.truth().tau.any() and np.isfinite(robot.truth().position).all()


def test_unused_set_points_do_nothing() -> None:
    """The SDK's "no set-point" values with zero gains give zero torque."""
    robot = in_the_air()
    robot.step(command(2.146e9, kp=0.0, kd=0.0, dq=16000.0))
    assert not robot.truth().tau.any()


def trajectory(seed: int, terrain: str = "flat"):
    robot = SimulatedRobot(SimulationOptions(seed=seed, terrain=terrain))
    states = []
    for i in range(300):
        if i == 150:
            robot.push(np.array([0.0, 10.0, 0.0]))
        robot.step(command(robot.robot.q_stand + 0.1 * np.sin(0.05 * i)))
        state = robot.low_state()
        states.append(
            np.concatenate(
                (state.q, state.gyro, state.accelerometer, state.foot_force, robot.truth().position)
            )
        )
    return np.array(states)


def test_same_seed_and_commands_give_the_same_trajectory() -> None:
    """Two robots with one seed report bit-identical LowStates; another seed differs."""
    first = trajectory(3)
    np.testing.assert_array_equal(first, trajectory(3))
    assert np.abs(first - trajectory(4)).max() > 1e-3


def test_put_on_feet_stands() -> None:
    """A robot that lay on its side is put level on all four feet at its place, and stands there."""
    robot = stood_up()
    robot.push(np.array([0.0, 40.0, 0.0]))
    for _ in range(560):
        robot.step(None)
    place = robot.truth().position[:2].copy()
    robot.put_on_feet()
    for _ in range(500):
        robot.step(command(robot.robot.q_stand))
    truth = robot.truth()
    assert truth.foot_contact.all() and truth.height > 0.24
    np.testing.assert_allclose(truth.position[:2], place, atol=0.03)


@pytest.mark.parametrize("terrain", ["slope", "stairs", "rough"])
def test_put_on_feet_respects_the_terrain(terrain) -> None:
    """On a slope, on stairs and on rough ground every foot starts within 1.5 cm of the ground."""
    robot = SimulatedRobot(replace(IDEAL, terrain=terrain))
    robot.data.qpos[0] = 2.6
    robot.put_on_feet()
    for leg in ("FR", "FL", "RR", "RL"):
        x, y, z = robot.data.body(f"{leg}_foot").xpos
        assert abs(z - robot.robot.foot_radius - robot.terrain.height(x, y)) < 0.015


def test_held_stand_is_no_fall() -> None:
    """Standing up and standing under joint control for 3 s counts no fall."""
    robot = stood_up()
    for _ in range(1500):
        robot.step(command(robot.robot.q_stand))
    assert robot.has_stood and robot.falls == 0


def test_torque_cut_while_standing_is_a_fall() -> None:
    """A standing robot whose commands stop collapses: one fall."""
    robot = stood_up()
    began = [robot.step(None) for _ in range(700)]
    assert sum(began) == 1 and robot.falls == 1


def test_damped_at_rest_it_lies_down_and_damped_in_motion_it_falls() -> None:
    """An emergency stop of a robot that stands still is no fall; that of a moving robot is one."""
    robot = stood_up()
    for _ in range(300):
        robot.step(command(robot.robot.q_stand))
    moment = robot.snapshot()
    for _ in range(1500):
        robot.step(command(0.0, kp=0.0, kd=8.0))
    assert robot.falls == 0 and robot.truth().height < 0.1
    robot.restore(moment)
    robot.push(np.array((6.0, 0.0, 0.0)))
    for _ in range(25):
        robot.step(command(robot.robot.q_stand))
    for _ in range(1500):
        robot.step(command(0.0, kp=0.0, kd=8.0))
    assert robot.falls == 1


def test_toppling_is_a_fall() -> None:
    """A robot pushed over while its joints are held has fallen."""
    robot = stood_up()
    robot.push(np.array([0.0, 80.0, 0.0]))
    for _ in range(1000):
        robot.step(command(robot.robot.q_stand))
    assert robot.falls == 1


def test_commanded_sit_is_no_fall() -> None:
    """Stand, sit, limp, stand again, sit: no fall."""
    robot = stood_up()
    for _ in range(2):
        move(robot, robot.robot.q_stand, robot.robot.q_sit, 1.5)
        for _ in range(200):
            robot.step(None)
        move(robot, robot.low_state().q, robot.robot.q_stand, 1.5)
    assert robot.falls == 0 and robot.truth().height > 0.24


def test_gear_friction_is_the_urdfs() -> None:
    """The dry friction of the motor model is the joint friction written in the URDF."""
    text = robot_file("a1", ".urdf").read_text()
    assert text.count(f'friction="{load_motors("a1").coulomb}"') == 12


def test_payload_outside_the_trunk_shifts_the_load() -> None:
    """A payload in front loads the front feet."""
    plain = stood_up().truth().foot_force
    loaded = (
        stood_up(replace(IDEAL, payload=2.0, payload_offset=(0.15, 0.0, 0.08))).truth().foot_force
    )
    assert loaded[:2].sum() - plain[:2].sum() > loaded[2:].sum() - plain[2:].sum() + 5.0


def test_friction_decides_whether_feet_slip() -> None:
    """A lateral push that a rough floor holds moves the robot on ice."""
    moved = []
    for friction in (0.05, 1.0):
        robot = stood_up(replace(IDEAL, friction=friction))
        robot.push(np.array([0.0, 6.0, 0.0]))
        for _ in range(300):
            robot.step(command(robot.robot.q_stand))
        moved.append(abs(float(robot.truth().position[1])))
    assert moved[0] > moved[1] + 0.03


def test_battery_and_motors_warm_up() -> None:
    """Standing draws on the battery and warms the calf motors above the hips.

    The calf motors work hardest.
    """
    robot = stood_up()
    before = SimulatedRobot(robot.options).low_state()
    for _ in range(5000):
        robot.step(command(robot.robot.q_stand))
    after = robot.low_state()
    assert after.voltage < before.voltage
    assert after.temperature[2::3].min() > after.temperature[0::3].max()


@pytest.mark.parametrize(
    "bad",
    [
        {"friction": float("nan")},
        {"friction": 0.0},
        {"payload": -1.0},
        {"motor_delay_ms": 1e9},
        {"seed": -1},
        {"slope": radians(80)},
        {"payload_offset": (float("nan"), 0.0, 0.0)},
    ],
)
def test_options_without_meaning_are_refused(bad) -> None:
    """Out-of-range and NaN options are configuration errors that name the option."""
    with pytest.raises(ConfigurationError, match=next(iter(bad))):
        SimulationOptions(**bad)


def test_unknown_names_are_refused() -> None:
    """An unknown robot or terrain lists the choices."""
    with pytest.raises(UnknownNameError, match="a1"):
        SimulatedRobot(SimulationOptions(robot="spot"))
    with pytest.raises(UnknownNameError, match="flat, slope, stairs, rough"):
        SimulatedRobot(SimulationOptions(terrain="moon"))


def test_trunk_half_is_the_collision_box():
    """Half lengths of the A1's trunk, as its README and MJCF give them [m]."""
    np.testing.assert_array_equal(trunk_half("a1"), (0.1335, 0.097, 0.057))
