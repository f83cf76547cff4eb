"""Batched actions, stride means and rewards are those of one robot at a time."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from safe_locomotion.config import load_config
from safe_locomotion.envs.gait_contract import gait_contract
from safe_locomotion.envs.gait_env import UNTRAINED
from safe_locomotion.envs.gait_tasks import TASKS, StepOutcome, gait_task
from safe_locomotion.envs.stride_mean import StrideMean
from safe_locomotion.policy.runtime import GaitInterpreter
from safe_locomotion.robot.models import load_robot
from safe_locomotion.rotations import matrix_from_quaternion, rpy_from_quaternion
from safe_locomotion.sim.truth import Truth
from safe_locomotion.training.gait.world.gait_actions import GaitActions
from safe_locomotion.training.gait.world.outcomes import (
    Motion,
    StrideMeans,
    heading_velocity,
    rewards,
)
from safe_locomotion.types import GaitParameters, VelocityCommand

A1 = load_robot("a1")
LIMITS = load_config("a1").mpc.locomotion
STEP = 0.008  # s
STEPS = 60
EACH = 4  # robots of a task
NAMES = tuple(TASKS)
ROBOTS = EACH * len(NAMES)
TOLERANCE = 2e-5
UNUSED = {
    "time_s": 0.0,
    **dict.fromkeys(("q", "dq", "tau", "joint_power"), np.zeros(12)),
    "foot_contact": np.ones(4, bool),
    "foot_force": np.zeros(4),
    "energy": 0.0,
    "falls": 0,
}  #: of the truth, by a reward


def contracts():
    """Contract of each robot."""
    made = [gait_contract(A1, gait_task(name), name=name, origin=UNTRAINED) for name in NAMES]
    return [contract for contract in made for _ in range(EACH)]


def numbers(gait: GaitParameters) -> tuple[float, ...]:
    return (gait.frequency, gait.swing_ratio, *gait.phase_offsets, *gait.foot_y)


def truths(rng) -> list[Truth]:
    """Robots in any attitude that is not upside down."""
    out = []
    for _ in range(ROBOTS):
        quaternion = rng.normal(size=4) * (1.0, 0.3, 0.3, 1.0)
        out.append(
            Truth(
                position=rng.normal(size=3),
                quaternion_wxyz=quaternion / np.linalg.norm(quaternion),
                velocity=rng.normal(size=3),
                angular_velocity=rng.normal(size=3),
                height=float(rng.uniform(0.1, 0.4)),
                **UNUSED,
            )
        )
    return out


def motion_of(states: list[Truth], power) -> Motion:
    def tensor(values):
        return torch.tensor(np.array(values), dtype=torch.float32)

    return Motion(
        position=tensor([(*truth.position[:2], truth.height) for truth in states]),
        rotation=tensor([matrix_from_quaternion(truth.quaternion_wxyz) for truth in states]),
        velocity=tensor([truth.velocity for truth in states]),
        rates=tensor([truth.angular_velocity for truth in states]),
        power=tensor(power),
    )


def test_actions_add_up_as_onboard() -> None:
    """After many random actions, some beyond the clip, every gait is the interpreter's."""
    rng = np.random.default_rng(0)
    made = contracts()
    batched = GaitActions([contract.gait for contract in made], "cpu")
    onboard = [GaitInterpreter(contract.gait) for contract in made]
    for _ in range(STEPS):
        actions = rng.normal(size=(ROBOTS, 9))
        gaits = batched.read(torch.tensor(actions, dtype=torch.float32)).numpy()
        wanted = [
            numbers(one.read(np.clip(action, -1.0, 1.0)))
            for one, action in zip(onboard, actions, strict=True)
        ]
        away = gaits - np.array(wanted)
        away[:, 2:5] -= np.round(away[:, 2:5])  # an offset near 0 may be near 1
        assert np.abs(away).max() < 1e-4
    mask = torch.zeros(ROBOTS, dtype=torch.bool)
    mask[3] = True
    before = batched.gait.clone()
    batched.restart(mask)
    changed = (batched.gait != before).any(dim=1)
    assert changed.nonzero().flatten().tolist() == [3]
    assert batched.gait[3].tolist() == pytest.approx(numbers(GaitInterpreter(made[3].gait).gait))


def test_rewards_are_those_of_one_robot() -> None:
    """Stride means and rewards of all tasks, over steps with random truth and commands."""
    rng = np.random.default_rng(1)
    means = StrideMeans(LIMITS, ROBOTS, "cpu")
    onboard = [StrideMean(LIMITS, STEP) for _ in range(ROBOTS)]
    tasks = [(gait_task(name), slice(EACH * k, EACH * (k + 1))) for k, name in enumerate(NAMES)]
    actions = GaitActions([contract.gait for contract in contracts()], "cpu")
    for _ in range(STEPS):
        states = truths(rng)
        power = rng.uniform(0.0, 300.0, ROBOTS)
        commands = rng.uniform(-1.0, 1.0, (ROBOTS, 3))
        gaits = actions.read(torch.tensor(rng.normal(size=(ROBOTS, 9)), dtype=torch.float32))
        motion = motion_of(states, power)
        means.update(motion, torch.tensor(commands, dtype=torch.float32))
        batch = rewards(tasks, means.outcomes(motion, gaits)[None], A1)[0]
        for k, (mean, truth) in enumerate(zip(onboard, states, strict=True)):
            roll, pitch, yaw = rpy_from_quaternion(truth.quaternion_wxyz)
            vx, vy, wz = commands[k]
            mean.update(
                truth.velocity, truth.angular_velocity, yaw, VelocityCommand(vx=vx, vy=vy, wz=wz)
            )
            frequency, ratio, fl, rr, rl, *feet = gaits[k].tolist()
            outcome = StepOutcome(
                height=truth.height,
                velocity=mean.velocity,
                yaw_rate=mean.yaw_rate,
                rates=tuple(truth.angular_velocity.tolist()),
                roll=roll,
                pitch=pitch,
                power=power[k],
                gait=GaitParameters(
                    frequency=frequency,
                    swing_ratio=ratio,
                    phase_offsets=(fl, rr, rl),
                    foot_y=tuple(feet),
                ),
                command=mean.command,
            )
            task = gait_task(NAMES[k // EACH])
            assert float(batch[k]) == pytest.approx(task.reward(outcome, A1), abs=TOLERANCE)


def test_heading_velocity_turns_with_the_robot() -> None:
    """A robot that heads for y and moves along x moves to its right."""
    quarter = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    moved = heading_velocity(quarter, torch.tensor([[0.5, 0.0, -0.1]]))
    assert torch.allclose(moved, torch.tensor([[0.0, -0.5, -0.1]]))
