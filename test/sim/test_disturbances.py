"""What happens to a robot from outside while it learns: a person, a fall, an empty battery."""

import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

pytest.importorskip("mujoco")

from core_values import low_command
from memory_wire import Controller, MemoryWire

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.safety.sensor_watch import SensorWatch
from safe_locomotion.sim.disturbances import DisturbanceOptions, Disturbances
from safe_locomotion.sim.motors import load_motors
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.process import ProcessOptions, RobotProcess
from safe_locomotion.sim.pushes import parse_person, parse_pushes, person_pushes
from safe_locomotion.sim.robot import CARRY_TIME, SimulatedRobot


def test_a_person_pushes_once_in_each_interval_from_any_side() -> None:
    """Level pushes of equal strength, in order, without end; equal seeds give equal pushes."""

    def first(seed: int) -> list:
        return list(islice(person_pushes(5.0, 20.0, np.random.default_rng(seed)), 200))

    pushes = first(3)
    times = np.array([push.time for push in pushes])
    assert (times // 20.0 == np.arange(200)).all()
    impulses = np.array([push.impulse for push in pushes])
    np.testing.assert_allclose(np.linalg.norm(impulses, axis=1), 5.0)
    assert not impulses[:, 2].any()
    quadrants = {(x > 0.0, y > 0.0) for x, y, _ in impulses.tolist()}
    assert len(quadrants) == 4
    assert first(3) == pushes != first(4)


def test_the_words_for_a_person_are_read_and_checked() -> None:
    """`5@20` is 5 N s in each 20 s; anything else is refused."""
    assert parse_person("5@20") == (5.0, 20.0)
    assert parse_person("") is None
    for text in ("5", "@20", "a@b"):
        with pytest.raises(ConfigurationError, match="J@T"):
            parse_person(text)
    for bad in ((5.0, 0.0), (float("nan"), 20.0), (-1.0, 20.0)):
        with pytest.raises(ConfigurationError, match="of a person"):
            DisturbanceOptions(person=bad)


@pytest.mark.parametrize("name", ["back_on_feet_after", "battery_change"])
def test_times_without_a_meaning_are_refused(name: str) -> None:
    """Negative and NaN."""
    for value in (-1.0, float("nan")):
        with pytest.raises(ConfigurationError, match=name):
            DisturbanceOptions(**{name: value})


def test_a_fallen_robot_is_left_to_itself() -> None:
    """Nobody puts it on its feet, however long it lies."""
    wire = MemoryWire(Controller())
    options = DisturbanceOptions(pushes=parse_pushes("90@0.1"), back_on_feet_after=None)
    process = RobotProcess(
        ProcessOptions(disturbances=options), wire, clock=wire.clock, wait=wire.wait
    )
    while not process.fall_times:
        process.tick()
    for _ in range(1000):
        process.tick()
    assert process.robot.falls == 1 and not process.robot.stands


@pytest.mark.parametrize("roll", [math.pi, 1.6, -1.6, 0.0])
def test_a_person_turns_a_fallen_robot_as_its_sensors_tell(roll: float) -> None:
    """Gyro and encoders explain the way to its feet, so that no watch takes it for a fault.

    A robot that is there at once is such a fault. Nobody counts the way as another fall.
    """
    watch = SensorWatch(load_config("a1").bridge.limits)
    robot = SimulatedRobot(SimulationOptions(seed=1))
    robot.put_on_feet()
    damping = low_command(kp=np.zeros(12), kd=np.full(12, 4.0))
    stand = low_command(kp=np.full(12, 60.0), kd=np.full(12, 2.0))
    for _ in range(250):
        robot.step(stand)
    assert robot.stands
    robot.lay(np.array((roll, 0.0, 0.3)), robot.robot.q_sit)
    for _ in range(300):
        robot.step(damping)
        watch.update(robot.low_state())
    place = robot.truth().position[:2].copy()
    falls = robot.falls
    robot.carry_to_feet()
    begun = robot.time_s
    found: set[str] = set()
    while robot.time_s < begun + CARRY_TIME:
        assert not robot.step(damping)
        found |= watch.update(robot.low_state())
    for _ in range(250):
        robot.step(stand)
        found |= watch.update(robot.low_state())
    assert not found and robot.stands and robot.falls == falls
    np.testing.assert_allclose(robot.truth().position[:2], place, atol=0.03)

    robot.lay(np.array((1.6, 0.0, 0.3)), robot.robot.q_sit)
    robot.step(damping)
    assert "sensors_disagree" in watch.update(robot.low_state())


def test_a_low_battery_is_changed_when_the_robot_lies_damped() -> None:
    """Not before it lay for the time that a person needs, and not while the battery is good."""
    motors = replace(load_motors("a1"), battery_energy=20.0)
    robot = SimulatedRobot(SimulationOptions(), motors)
    options = DisturbanceOptions(battery_change=0.2)
    acts = Disturbances(options, robot)
    full = robot.low_state().voltage
    changed_at = []
    low_since = None
    for _ in range(600):
        acts.update(None)
        robot.step(None)
        low_since = robot.time_s if low_since is None and robot.battery_low else low_since
        if acts.batteries > len(changed_at):
            changed_at.append(robot.time_s)
    assert low_since == pytest.approx(0.5 * 20.0 / motors.idle_power, abs=0.06)
    assert changed_at[0] == pytest.approx(low_since + 0.2, abs=0.01)
    assert full is not None and robot.low_state().voltage is not None
