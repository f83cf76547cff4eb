"""Let a learner written in Python drive. One leg falls behind until the supervisor takes over."""

from dataclasses import replace

from safe_locomotion.config import load_config
from safe_locomotion.envs.python_learner import GaitLearner
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import Estimate, GaitParameters, Mode, VelocityCommand


class DriftingGait(GaitLearner):
    """Shifts the phase of the rear right leg by a little on every policy step."""

    def reset(self) -> None:
        self.drift = 0.0

    def gait(self, estimate: Estimate, command: VelocityCommand) -> GaitParameters:
        self.drift = (self.drift + 0.002) % 1.0
        left, right, rear_left = self.trot.phase_offsets
        return replace(self.trot, phase_offsets=(left, (right + self.drift) % 1.0, rear_left))


model = load_robot("a1")
robot = SimulatedRobot(SimulationOptions(robot="a1", seed=1))
pipeline = Pipeline(model, load_config("a1"), learner=DriftingGait("drifting", model))
pipeline.supervisor.request("walk")
drivers = []
while robot.time_s < 8.0:
    cycle = pipeline.step(robot.low_state(), VelocityCommand(vx=0.3))
    robot.step(cycle.command)
    if cycle.verdict.mode is Mode.WALK:
        drivers.append(cycle.verdict.active)
print(f"recovery drove {drivers.count('recovery') / len(drivers):.0%} of the walk")
print(f"the robot fell {robot.falls} times")
