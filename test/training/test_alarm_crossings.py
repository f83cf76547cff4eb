"""Which robots crossed which tile, told from walks of known outcome."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from alarm_worlds import SMALL

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.sim.tiles import KINDS, SIDE
from safe_locomotion.training.joint.alarm.crossings import (
    STUDENT,
    TEACHER,
    measure_crossings,
    robot_of,
    tiles_world,
    trained_agent,
)
from safe_locomotion.training.joint.alarm.learning.files import CHECKPOINT
from safe_locomotion.training.joint.alarm.learning.training import Training, TrainingOptions

torch.set_num_threads(1)
LEVELS = (0, 2)
SECONDS = 0.08


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that has not begun, of a robot on its tiles."""
    path = tmp_path_factory.mktemp("training")
    options = TrainingOptions(envs=10, robot="a1", settings=SMALL, device="cpu")
    Training(options, lambda _: tiles_world("a1", robots=1, levels=LEVELS)).save(path)
    return path


@pytest.mark.parametrize("beta", [TEACHER, STUDENT])
def test_each_tile_counts_its_own_robots(folder: Path, beta: float) -> None:
    """One robot is put beyond its border and one on its back; the others stand till the end."""
    world = tiles_world("a1", robots=1, levels=LEVELS, seconds=SECONDS)
    agent = trained_agent(folder, world)
    crosses = KINDS.index("up_stairs") + LEVELS.index(2) * len(KINDS)
    falls = KINDS.index("obstacles") + LEVELS.index(0) * len(KINDS)
    world.physics.qpos[crosses, 0] += 0.6 * SIDE
    world.physics.qpos[crosses, 2] += 1.0
    world.physics.qpos[falls, 3:7] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    found = measure_crossings(agent, world, beta)
    crossed = np.zeros((len(KINDS), len(LEVELS)))
    crossed[KINDS.index("up_stairs"), LEVELS.index(2)] = 1.0
    fallen = np.zeros_like(crossed)
    fallen[KINDS.index("obstacles"), LEVELS.index(0)] = 1.0
    np.testing.assert_array_equal(found.crossed, crossed)
    np.testing.assert_array_equal(found.fallen, fallen)
    assert 0.0 < found.violations["body"] < 1000.0


def test_robots_stand_on_every_level_and_do_not_explore(folder: Path) -> None:
    """The means are the actions, and each tile has its robot."""
    world = tiles_world("a1", robots=2, levels=LEVELS, seconds=SECONDS)
    found = {(int(k), int(level)) for k, level in zip(world.terrain_kind, world.level, strict=True)}
    assert found == {(k, level) for k in range(len(KINDS)) for level in LEVELS}
    agent = trained_agent(folder, world)
    agent.collect()
    assert torch.equal(agent.collector.rows.actions, agent.collector.rows.means)


def test_what_is_no_training_is_refused(tmp_path: Path) -> None:
    """An empty folder and a file of other content."""
    with pytest.raises(ConfigurationError, match=r"checkpoint\.pt: not a checkpoint"):
        robot_of(tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(b"other")
    with pytest.raises(ConfigurationError, match=r"checkpoint\.pt: not a checkpoint"):
        robot_of(tmp_path)
