"""A standing robot in simulation takes a push that topples one that does not step."""

import numpy as np
import pytest

pytest.importorskip("mujoco")

from core_values import A1

from safe_locomotion.config import load_config
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import Mode, VelocityCommand

NEVER = {"supervisor.thresholds.step_margin": -1e9}
PUSH = 30.0  # N s
SECOND = 500  # ticks


def pushed(direction: tuple[float, float], overrides: dict[str, float], seconds: int) -> list[Mode]:
    """Modes of a robot that stood, from the push on; the list ends where it falls."""
    robot = SimulatedRobot(SimulationOptions(seed=4))
    pipeline = Pipeline(A1, load_config("a1", overrides))

    def tick() -> Mode:
        cycle = pipeline.step(robot.low_state(), VelocityCommand())
        robot.step(cycle.command)
        return cycle.verdict.mode

    for _ in range(SECOND // 2):
        tick()
    assert pipeline.supervisor.request("stand") is None
    for _ in range(6 * SECOND):
        if tick() is Mode.STAND:
            break
    for _ in range(SECOND // 4):
        tick()
    robot.push(np.array((*direction, 0.0)) * PUSH)
    modes = []
    while len(modes) < seconds * SECOND and not robot.falls:
        modes.append(tick())
    return modes


@pytest.mark.parametrize("direction", [(1.0, 0.0), (0.0, -1.0)])
def test_it_steps_and_stands_again(direction: tuple[float, float]) -> None:
    """30 N s from behind and from the left: it steps, does not fall, and stands after 3 s."""
    modes = pushed(direction, {}, 3)
    assert len(modes) == 3 * SECOND
    assert set(modes) == {Mode.STAND, Mode.WALK}
    assert modes[-1] is Mode.STAND


def test_without_steps_the_same_push_topples_it() -> None:
    """So the test above can fail."""
    assert len(pushed((1.0, 0.0), NEVER, 3)) < 3 * SECOND
