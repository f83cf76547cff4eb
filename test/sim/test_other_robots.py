"""Go2, Go1 and Laikago stand up, walk and take a push in simulation, with their shipped files."""

import numpy as np
import pytest

pytest.importorskip("mujoco")

from safe_locomotion.config import load_config
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import Mode, VelocityCommand

STILL = VelocityCommand()
FORWARD = VelocityCommand(vx=0.5)
PUSH = 20.0  #: [N s] for an A1; other robots take it by their mass


class Run:
    """A robot that lies on its belly, its controller, and the reasons of refused commands."""

    def __init__(self, name: str, seed: int) -> None:
        self.config = load_config(name)
        self.robot = SimulatedRobot(SimulationOptions(robot=name, seed=seed))
        self.pipeline = Pipeline(self.robot.robot, self.config)
        self.mode = Mode.PASSIVE
        self.refused: set[str] = set()

    def ticks(self, count: int, velocity: VelocityCommand) -> np.ndarray:
        """Go on; return the velocities of the base in the world (count, 3) [m/s]."""
        velocities = []
        for _ in range(count):
            cycle = self.pipeline.step(self.robot.low_state(), velocity)
            self.refused |= {cycle.command.reason} - {""}
            self.mode = cycle.verdict.mode
            self.robot.step(cycle.command)
            velocities.append(self.robot.truth().velocity)
        return np.array(velocities)

    def request(self, text: str) -> None:
        assert self.pipeline.supervisor.request(text) is None

    def until(self, mode: Mode, seconds: float) -> None:
        for _ in range(round(seconds * 50)):
            self.ticks(10, STILL)
            if self.mode is mode:
                return
        raise AssertionError(f"{self.mode} instead of {mode}")


@pytest.mark.parametrize(("name", "seed"), [("go2", 0), ("go1", 0), ("laikago", 1)])
def test_it_stands_walks_and_takes_a_push(name, seed):
    """It stands at its height, walks at 0.5 m/s within 10 %, and a push does not throw it over.

    The gate refuses nothing, and the sideways push is one of 20 N s on an A1.
    """
    run = Run(name, seed)
    run.until(Mode.PASSIVE, 1.0)
    run.request("stand")
    run.until(Mode.STAND, 5.0)
    assert run.robot.truth().height == pytest.approx(run.robot.robot.nominal_height, abs=0.03)
    run.request("walk")
    run.ticks(450, FORWARD)
    before = run.ticks(250, FORWARD)
    height = run.config.mpc.locomotion.body_height
    assert run.robot.truth().height == pytest.approx(height, abs=0.02)
    assert before[:, 0].mean() == pytest.approx(0.5, rel=0.1)
    impulse = PUSH * run.robot.robot.mass / load_robot("a1").mass
    run.robot.push(np.array((0.0, impulse, 0.0)))
    after = run.ticks(450, FORWARD)
    assert np.abs(after[:, 1]).max() > 0.3
    assert run.robot.falls == 0 and run.mode is Mode.WALK and not run.refused
    assert run.robot.truth().height == pytest.approx(height, abs=0.03)
