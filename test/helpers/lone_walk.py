"""A policy walks the simulated A1 in lock step, alone and without the control pipeline."""

from pathlib import Path

import numpy as np
from core_values import A1, LIMITS
from foreign_policies import Fixture

from safe_locomotion.cli.main import main
from safe_locomotion.config import load_config
from safe_locomotion.estimation.estimator import StateEstimator
from safe_locomotion.policy.file import load_policy
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.rotations import rotate_plane, rpy_from_quaternion
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import Array, LowCommand, VelocityCommand

COMMAND = VelocityCommand(vx=0.5, wz=0.3)


def walked(policy: PolicyRuntime, duration: float) -> tuple[Array, int]:
    """Mean velocity (vx, vy, wz) in the second half of a walk, and the number of falls.

    The policy alone drives the motors in lock step, without the supervisor.
    """
    robot = SimulatedRobot(SimulationOptions(robot="a1", seed=1))
    robot.put_on_feet()
    estimator = StateEstimator(A1, load_config("a1").estimator)
    ticks = round(500 * duration)
    seen = []
    for tick in range(ticks):
        state = robot.low_state()
        estimate = estimator.update(state)
        if tick % (500 // policy.contract.rate_hz) == 0:
            proposal = policy.act(estimate, COMMAND)
            if proposal is None or proposal.joints is None:
                return np.full(3, np.nan), robot.falls
            targets = proposal.joints
        zeros = np.zeros(12)
        robot.step(
            LowCommand(
                stamp_ns=state.stamp_ns,
                q=targets.q,
                dq=zeros,
                tau=zeros,
                kp=targets.kp,
                kd=targets.kd,
            )
        )
        truth = robot.truth()
        yaw = rpy_from_quaternion(truth.quaternion_wxyz)[2]
        along = rotate_plane(-yaw, *truth.velocity[:2].tolist())
        seen.append((*along, truth.angular_velocity[2]))
    return np.mean(seen[ticks // 2 :], axis=0), robot.falls


def imported(fixture: Fixture, folder: Path, *more: str) -> PolicyRuntime:
    """The fixture as a policy file of ours, loaded; further words replace those of the fixture."""
    target = folder / "mine.onnx"
    words = ["policy", "import", str(fixture.source), str(target), *fixture.words, *more]
    assert main(words) == 0
    return load_policy("mine", A1, LIMITS, [folder])


def follows(policy: PolicyRuntime, duration: float = 1.8) -> bool:
    """Whether it follows `COMMAND` within 0.1 m/s and rad/s in the second half, and stays up."""
    velocity, falls = walked(policy, duration)
    return falls == 0 and np.abs(velocity - (COMMAND.vx, COMMAND.vy, COMMAND.wz)).max() < 0.1
