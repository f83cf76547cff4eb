"""Rewards of exported policies on the onboard pipeline, beside those of their training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from safe_locomotion.envs.episodes import FALL_PENALTY, walk_learner
from safe_locomotion.envs.gait_contract import RATE_HZ
from safe_locomotion.envs.gait_env import GaitEnv, GaitEnvOptions
from safe_locomotion.errors import UnknownNameError
from safe_locomotion.policy.file import read_policy
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.training.gait.results import Cell, policy_name, read
from safe_locomotion.training.gait.walks import STEPS

EPISODES = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class OnboardReward:
    """Rewards of a trajectory of 400 steps.

    Attributes:
        task: of the policy.
        onboard: mean over episodes on MuJoCo C with the estimator, without noise in the actions.
        trained: at the end of the training, with it.
    """

    task: str
    onboard: float
    trained: float


def onboard_rewards(
    files: Sequence[Path], results: Path, episodes: int = EPISODES
) -> Iterator[OnboardReward]:
    """Walk under each policy without a supervisor.

    Args:
        files: policies under the names that their export gave them.
        results: JSON file of the training.
        episodes: number of walks of each.

    Raises:
        UnknownNameError: the results hold no run of that name.
    """
    cells = {policy_name(cell): cell for cell in read(results)["cells"]}
    for file in files:
        contract, data = read_policy(file.resolve())
        if contract.name not in cells:
            raise UnknownNameError("policy of these results", contract.name, sorted(cells))
        cell = cells[contract.name]
        env = GaitEnv(_walks(cell))
        learner = PolicyRuntime(contract, data, env.robot.robot)
        rewards = [_reward(env, learner, seed) for seed in range(episodes)]
        yield OnboardReward(
            task=cell["task"],
            onboard=float(np.mean(rewards)),
            trained=float(cell["reward"]),
        )


def _reward(env: GaitEnv, learner: PolicyRuntime, seed: int) -> float:
    """Sum of the rewards of one walk, which a fall ends."""
    score = walk_learner(env, learner, seed)
    return env.total_steps * (score.fitness + FALL_PENALTY * score.falls)


def _walks(cell: Cell) -> GaitEnvOptions:
    """Trajectories as in training, one command each."""
    duration = STEPS / RATE_HZ
    return GaitEnvOptions(
        task=cell["task"],
        duration=duration,
        command_period=duration,
        simulation=SimulationOptions(robot=cell["robot"]),
    )
