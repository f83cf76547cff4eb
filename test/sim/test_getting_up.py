"""The simulated A1 gets up from its back and from either side, through the whole control cycle.

When it cannot get up, it says so.
"""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mujoco")

from safe_locomotion.config import load_config
from safe_locomotion.errors import UnknownNameError
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.rotations import matrix_from_quaternion
from safe_locomotion.sim.options import STARTS, SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import Mode, VelocityCommand

CONFIG = load_config("a1")
STILL = VelocityCommand()


class Run:
    """A robot that lies where it was dropped, and its controller."""

    def __init__(self, robot, config=CONFIG):
        self.robot = robot
        self.pipeline = Pipeline(robot.robot, config)
        self.modes = []
        self.refused = set()
        for _ in range(250):
            robot.step(None)

    def until(self, modes, seconds=15.0):
        """Run until one of the modes is reached; return the verdict."""
        for _ in range(round(seconds * 500)):
            cycle = self.pipeline.step(self.robot.low_state(), STILL)
            self.refused |= {cycle.command.reason} - {""}
            self.robot.step(cycle.command)
            verdict = cycle.verdict
            if verdict.mode not in self.modes[-1:]:
                self.modes.append(verdict.mode)
            if verdict.mode in modes:
                return verdict
        raise AssertionError(f"never in {modes}: {self.modes}")


def laid(roll, seed, **options):
    """A robot that is dropped with this roll; the rest of its pose is random."""
    rng = np.random.default_rng(seed)
    robot = SimulatedRobot(SimulationOptions(seed=seed, **options))
    model = robot.robot
    q = np.clip(model.q_stand + 0.6 * rng.normal(size=12), model.q_min, model.q_max)
    robot.lay(np.array((roll + 0.2 * rng.normal(), 0.1 * rng.normal(), rng.uniform(-3.0, 3.0))), q)
    return robot


@pytest.mark.parametrize(
    ("start", "seed", "friction"), [("back", 0, 0.8), ("left", 1, 0.5), ("right", 2, 1.0)]
)
def test_it_gets_up_from_its_back_and_from_its_sides(start, seed, friction):
    """On request it goes through SELF_RIGHT and STAND_UP to STAND.

    The gate refuses nothing on the way, and the motors never exceed their peak.
    """
    run = Run(laid(STARTS[start], seed, friction=friction))
    run.until({Mode.PASSIVE})
    assert run.pipeline.supervisor.request("stand") is None
    run.until({Mode.STAND, Mode.FALLEN, Mode.FAULT})
    assert run.modes == [Mode.PASSIVE, Mode.SELF_RIGHT, Mode.STAND_UP, Mode.STAND]
    assert not run.refused
    assert run.robot.truth().height > 0.24


def test_a_robot_that_is_held_down_is_fallen_again_and_says_why():
    """At the timeout the mode is FALLEN, with the reason, and the request may be repeated.

    The estimate does not count against the robot meanwhile.
    """
    thresholds = replace(CONFIG.supervisor.thresholds, self_right_timeout=1.5)
    config = replace(CONFIG, supervisor=replace(CONFIG.supervisor, thresholds=thresholds))
    run = Run(laid(STARTS["back"], 3), config)
    run.until({Mode.PASSIVE})
    assert run.pipeline.supervisor.request("stand") is None
    verdict = run.until({Mode.STAND, Mode.FALLEN, Mode.FAULT})
    assert (verdict.mode, verdict.reasons) == (Mode.FALLEN, ("fallen", "self_right_timeout"))
    run.until({Mode.FALLEN})
    assert "stand or reset" in run.pipeline.supervisor.request("walk")
    assert run.pipeline.supervisor.request("stand") is None
    assert run.until({Mode.SELF_RIGHT}).reasons == ("fallen",)


@pytest.mark.parametrize("start", ["back", "left", "right"])
def test_it_starts_as_the_options_say(start):
    """The robot is at rest and touches the ground, not more, on the side of its options."""
    robot = SimulatedRobot(SimulationOptions(noise=None, start=start))
    side, up = matrix_from_quaternion(robot.truth().quaternion_wxyz)[2, 1:]
    expected = {"back": (0.0, -1.0), "left": (-1.0, 0.0), "right": (1.0, 0.0)}[start]
    np.testing.assert_allclose((side, up), expected, atol=1e-9)
    assert robot.data.ncon > 0 and min(robot.data.contact.dist) > -0.006
    assert not robot.data.qvel.any()


def test_an_unknown_start_names_the_choices():
    """A misspelt start is an error that names the choices."""
    with pytest.raises(
        UnknownNameError, match="unknown start 'front'; choose one of: belly, back, left, right"
    ):
        SimulationOptions(start="front")
