"""Robots drawn for each place: motors that are weak or late, and what a world refuses."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("mujoco_warp")
pytest.importorskip("torch")

import warp as wp

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import load_robot
from safe_locomotion.training.gait.world.drawn import DrawnRobots, Ranges, draw_robots
from safe_locomotion.training.gait.world.physics import Physics
from safe_locomotion.training.gait.world.world import GaitWorld, WorldOptions

A1 = load_robot("a1")


def command(torque: float, robots: int) -> tuple[Any, Any, Any]:
    """A torque on every joint, without stiffness."""
    none = wp.zeros((robots, 12), dtype=float)
    return wp.full((robots, 12), torque, dtype=float), none, none


def test_weak_motors_give_their_share_of_the_torque() -> None:
    """Below and at the limit, whose share it is too."""
    physics = Physics("a1", 3, "cpu", strength=np.array([1.0, 0.8, 0.5]))
    for wanted in (4.0, 1000.0):
        physics.step(*command(wanted, 3), 1)
        torques = physics.data.ctrl.numpy()
        assert torques[0].min() > 0.0
        np.testing.assert_allclose(torques[1], 0.8 * torques[0], rtol=0.05)
        np.testing.assert_allclose(torques[2], 0.5 * torques[0], rtol=0.1)


def test_late_motors_follow_the_command_before() -> None:
    """Two commands that act one command late are limp motors and then the first command."""
    late = Physics("a1", 1, "cpu", delay_ms=4.0)
    prompt = Physics("a1", 1, "cpu")
    limp, first, second = command(0.0, 1), command(5.0, 1), command(-5.0, 1)
    for sent, acts in ((first, limp), (second, first)):
        late.step(*sent, 4)
        prompt.step(*acts, 4)
    np.testing.assert_array_equal(late.data.qpos.numpy(), prompt.data.qpos.numpy())


def test_a_command_acts_after_its_delay() -> None:
    """Of four time steps of 1 ms the last two follow a command that is 2 ms late."""
    late = Physics("a1", 2, "cpu", delay_ms=np.array([2.0, 0.0]))
    prompt = Physics("a1", 1, "cpu")
    late.step(*command(5.0, 2), 4)
    prompt.step(*command(0.0, 1), 2)
    prompt.step(*command(5.0, 1), 2)
    found = late.data.qpos.numpy()
    np.testing.assert_array_equal(found[0], prompt.data.qpos.numpy()[0])
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_robots_that_stand_again_are_limp_until_their_first_command() -> None:
    """A command from before a fall does not act after it."""
    late = Physics("a1", 2, "cpu", delay_ms=4.0)
    late.step(*command(5.0, 2), 4)
    late.restart(wp.array([1.0, 0.0], dtype=float))
    late.step(*command(0.0, 2), 1)
    assert not late.data.ctrl.numpy()[0].any()
    assert late.data.ctrl.numpy()[1].all()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"strength": 0.0}, "strength"),
        ({"strength": float("nan")}, "strength"),
        ({"delay_ms": -1.0}, "delay"),
        ({"delay_ms": float("inf")}, "delay"),
    ],
)
def test_impossible_motors_are_refused(wrong: dict[str, Any], named: str) -> None:
    """Numbers that no motor has, NaN included."""
    with pytest.raises(ConfigurationError, match=named):
        Physics("a1", 1, "cpu", **wrong)


def test_robots_are_drawn_from_their_ranges() -> None:
    """Equal seeds draw equal robots; each number lies within its range and uses all of it."""
    ranges = Ranges(friction=(0.5, 0.6), payload=(0.1, 0.2))
    drawn = draw_robots(500, A1.mass, 3, ranges)
    again = draw_robots(500, A1.mass, 3, ranges)
    assert len(drawn) == 500
    np.testing.assert_array_equal(drawn.friction, again.friction)
    for values, low, high in (
        (drawn.friction, 0.5, 0.6),
        (drawn.payload / A1.mass, 0.1, 0.2),
        (drawn.strength, 0.8, 1.0),
        (drawn.delay_ms, 0.0, 2.0),
    ):
        assert (low <= values).all() and (values <= high).all()
        assert np.ptp(values) > 0.9 * (high - low)


def test_a_world_refuses_another_number_of_robots() -> None:
    """And arrays of different lengths are no robots."""
    supervisors = [load_config("a1").supervisor] * 2
    with pytest.raises(ConfigurationError, match="3 robots were drawn, and 2 are needed"):
        GaitWorld(WorldOptions(), supervisors, [False] * 2, drawn=draw_robots(3, A1.mass, 0))
    one, two = np.ones(1), np.ones(2)
    with pytest.raises(ConfigurationError, match="one number per robot"):
        DrawnRobots(friction=one, payload=two, strength=one, delay_ms=one)
    with pytest.raises(ConfigurationError, match="at least one"):
        draw_robots(0, A1.mass, 0)
