"""Walk a simulated A1: read its state, answer it, apply the command. No ROS is needed."""

from safe_locomotion.config import load_config
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import VelocityCommand

robot = SimulatedRobot(SimulationOptions(robot="a1", seed=1))
pipeline = Pipeline(load_robot("a1"), load_config("a1"))
pipeline.supervisor.request("walk")
while robot.time_s < 5.0:
    state = robot.low_state()
    cycle = pipeline.step(state, VelocityCommand(vx=0.4))
    robot.step(cycle.command)

x, _, height = robot.truth().position
print(f"{cycle.verdict.mode.name}: the robot came {x:.2f} m far, its body is {height:.2f} m high")
print(f"it fell {robot.falls} times")
