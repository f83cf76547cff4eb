"""Commands to the motors of many robots: `control.leg_control` and the gate's bound on steps.

A motor gives the torque bias - kp q - kd dq, with bias = tau + kp q* + kd dq*. In this form a
command changes its feed-forward and its target without a trace, where they cancel. So the onboard
limits on targets that keep the torque need no twin.
"""

from typing import Any

import numpy as np
import warp as wp

from safe_locomotion.control.leg_control import LegGains
from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.training.gait.world.arrays import BLOCK, Array1, Array2
from safe_locomotion.training.gait.world.estimates import Estimates
from safe_locomotion.training.gait.world.legs import (
    Legs,
    commanded_torque,
    joints_of,
    leg_command,
    legs_of,
)
from safe_locomotion.training.gait.world.planning import Plans
from safe_locomotion.types import N_JOINTS, N_LEGS

wp.set_module_options({"block_dim": BLOCK})


@wp.struct
class MotorCommands:
    """The commands in force; the last ones are what the next ones are compared with.

    Attributes:
        bias: (B, 12) tau + kp q* + kd dq* [Nm].
        kp, kd: (B, 12) gains [Nm/rad, Nm s/rad].
        sent: (B, 4) 1 for a leg that has been commanded in this walk.
    """

    bias: Array2
    kp: Array2
    kd: Array2
    sent: Array2


@wp.struct
class CommandConstants:
    """What is the same for all robots and ticks.

    Attributes:
        legs: of the robot.
        torque_step: (3,) largest change of the commanded torques of a leg in one command [Nm].
    """

    legs: Legs
    torque_step: Array1


def motor_commands(robots: int, device: str) -> Any:
    """Limp motors of so many robots, on a device of Warp."""
    commands = MotorCommands()
    for name in ("bias", "kp", "kd"):
        setattr(commands, name, wp.zeros((robots, N_JOINTS), dtype=float, device=device))
    commands.sent = wp.zeros((robots, N_LEGS), dtype=float, device=device)
    return commands


def command_constants(robot: RobotModel, gains: LegGains, limits: GateLimits, device: str) -> Any:
    """Numbers of a robot model and of its configuration, for kernels."""
    constants = CommandConstants()
    constants.legs = legs_of(robot, gains, device)
    step = np.array(limits.torque_step, dtype=np.float32)
    constants.torque_step = wp.array(step, dtype=float, device=device)
    return constants


@wp.kernel(enable_backward=False)
def command_legs(
    constants: CommandConstants,
    estimates: Estimates,
    plans: Plans,
    age: float,
    commands: MotorCommands,
) -> None:
    """Command one leg per thread; its torque changes by at most a step from the last command."""
    robot, leg = wp.tid()
    rotation = estimates.rotation[robot]
    q = joints_of(estimates.joints, robot, leg)
    dq = joints_of(estimates.joint_rates, robot, leg)
    command = leg_command(
        constants.legs,
        leg,
        q,
        wp.vec3(rotation[2, 0], rotation[2, 1], rotation[2, 2]),
        plans.stance[robot, leg] > 0.5,
        plans.force[robot, leg],
        plans.foot_position[robot, leg],
        plans.foot_velocity[robot, leg],
        age,
    )
    wanted = commanded_torque(constants.legs, leg, command, q, dq)
    for axis in range(3):
        joint = 3 * leg + axis
        torque = wanted[axis]
        if commands.sent[robot, leg] > 0.5:
            step = constants.torque_step[axis]
            last = commands.bias[robot, joint]
            last = last - commands.kp[robot, joint] * q[axis] - commands.kd[robot, joint] * dq[axis]
            torque = last + wp.clamp(torque - last, -step, step)
        commands.bias[robot, joint] = torque + command.kp * q[axis] + command.kd * dq[axis]
        commands.kp[robot, joint] = command.kp
        commands.kd[robot, joint] = command.kd
    commands.sent[robot, leg] = 1.0
