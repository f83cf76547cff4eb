"""Robots of the batched world walk, fall, stand again, and change hands as their rules say."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mujoco_warp")
pytest.importorskip("torch")

import torch
import warp as wp

from safe_locomotion.config import load_config
from safe_locomotion.envs.gait_tasks import gait_task, start_gait
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import load_robot
from safe_locomotion.training.gait.world.world import GaitWorld, WorldOptions

torch.set_num_threads(1)
CONFIGURED = load_config("a1").supervisor
OFF = replace(CONFIGURED, intervention=replace(CONFIGURED.intervention, criterion="off", horizon=0))
NAIVE = replace(
    CONFIGURED, intervention=replace(CONFIGURED.intervention, criterion="naive", horizon=0)
)
ALONE, ASKED = range(2)  #: the others are supervised
TROT = start_gait(gait_task("trot"), load_robot("a1"))
NUMBERS = (TROT.frequency, TROT.swing_ratio, *TROT.phase_offsets, *TROT.foot_y)


@pytest.fixture(scope="module")
def world() -> GaitWorld:
    """One robot on its own, one of another rule, two supervised ones."""
    return GaitWorld(WorldOptions(), [OFF, OFF, NAIVE, CONFIGURED], [False, True, False, False])


def begin(world: GaitWorld, number: int = 0) -> None:
    """All robots stand and want to trot forward; nobody asks for recovery."""
    world.learner_gaits.copy_(torch.tensor(NUMBERS).expand(4, -1))
    world.velocity_commands.zero_()
    world.velocity_commands[:, 0] = 0.4
    world.asked.zero_()
    world.restart(number)


def test_they_walk_forward(world: GaitWorld) -> None:
    """After 0.4 s of a trot all are on their feet and move; calm walks need no recovery."""
    begin(world)
    for _ in range(50):
        world.step()
    motion = world.motion()
    assert ((motion.position[:, 2] > 0.24) & (motion.position[:, 2] < 0.31)).all()
    assert (motion.velocity[:, 0] > 0.15).all()
    assert (motion.power > 5.0).all()
    assert not world.fell.any()
    assert world.recovers.tolist() == [0, 0, 0, 0]


def test_the_estimator_errs_by_its_scale(world: GaitWorld) -> None:
    """What controllers see is near the truth, and not the truth."""
    error = wp.to_torch(world.seen.velocity) - world.motion().velocity
    assert (error.abs() > 0.0).all()
    assert (error.abs() < 0.2).all()


def test_another_rule_takes_over_where_it_is_asked(world: GaitWorld) -> None:
    """Only the robot of another rule obeys; it then follows the tuned gait."""
    begin(world)
    world.learner_gaits[:, 0] = 3.1
    world.asked.fill_(1)
    world.step()
    assert world.recovers.tolist() == [0, 1, 0, 0]
    assert world.recovery_gaits[ASKED, 0] == pytest.approx(2.5)


def test_a_gait_that_cannot_be_executed_is_taken_over(world: GaitWorld) -> None:
    """Under every supervisor, also one that is off."""
    begin(world)
    world.learner_gaits[:, 0] = float("nan")
    world.step()
    assert world.recovers.tolist() == [1, 0, 1, 1]


def test_lifted_legs_stay_in_the_air_until_recovery_brings_them_down(world: GaitWorld) -> None:
    """The learner's two legs leave the ground; the robot that recovery drives uses all four."""
    begin(world)
    world.learner_lifted[:, 1:3] = 1.0
    for step in range(40):
        world.asked.fill_(1 if step >= 20 else 0)
        world.step()
        if step == 18:
            touch = wp.to_torch(world.physics.touch)[: ASKED + 1, 1:3]
            assert (touch == 0.0).all()
    world.learner_lifted.zero_()
    loads = wp.to_torch(world.physics.touch)
    assert (loads[ALONE, 1:3] == 0.0).all()
    assert loads[ASKED, 1:3].max() > 5.0


def test_a_robot_that_fell_stands_again(world: GaitWorld) -> None:
    """The fall is reported once; the others walk on undisturbed."""
    begin(world)
    world.step()
    qpos = wp.to_torch(world.physics.data.qpos)
    qpos[ALONE, 2] = 0.05
    world.step()
    assert world.fell.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert world.motion().position[ALONE, 2] > 0.25
    world.step()
    assert not world.fell.any()
    assert (world.motion().position[:, 2] > 0.25).all()


def test_rounds_of_equal_numbers_are_equal(world: GaitWorld) -> None:
    """A round depends on its number alone, not on what was walked before."""
    seen = []
    for number in (7, 8, 7):
        begin(world, number)
        for _ in range(3):
            world.step()
        seen.append(wp.to_torch(world.seen.velocity).numpy().copy())
    assert np.array_equal(seen[0], seen[2])
    assert not np.array_equal(seen[0], seen[1])


def test_a_time_step_must_divide_a_tick() -> None:
    """The error says which do."""
    with pytest.raises(ConfigurationError, match=r"as 2, 1 and 0\.5 ms do"):
        WorldOptions(physics_ms=0.7)
