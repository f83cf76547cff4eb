"""Write a policy file, read it back with all checks, and fly it on the simulated A1."""

import tempfile
from pathlib import Path

import numpy as np

from safe_locomotion.config import load_config
from safe_locomotion.envs.gait_contract import gait_contract
from safe_locomotion.envs.gait_tasks import TASKS
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.policy.contract import Origin
from safe_locomotion.policy.file import load_policy, write_policy
from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.training.gait.export import network
from safe_locomotion.training.gait.mlp import Mlp, MlpShape, Normaliser, random_weights
from safe_locomotion.types import VelocityCommand

a1 = load_robot("a1")
config = load_config("a1")
origin = Origin(command="python examples/write_a_policy_file.py", seed=0, commit="0" * 40)
contract = gait_contract(a1, TASKS["trot"], name="untrained", origin=origin)
size = contract.observation_width
shape = MlpShape(observation=size, hidden=(64, 64), action=contract.action_width)
normaliser = Normaliser(mean=np.zeros(size), deviation=np.ones(size))
weights = random_weights(shape, np.random.default_rng(0))

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "untrained.onnx"
    write_policy(network(Mlp(shape, normaliser, weights), contract), contract, file)
    learner = load_policy("untrained", a1, config.bridge.limits, [file.parent])
robot = SimulatedRobot(SimulationOptions(robot="a1", seed=1))
pipeline = Pipeline(a1, config, learner=learner)
pipeline.supervisor.request("walk")
while robot.time_s < 5.0:
    robot.step(pipeline.step(robot.low_state(), VelocityCommand(vx=0.3)).command)
print(f"a network that never learned walked under supervision and fell {robot.falls} times")
