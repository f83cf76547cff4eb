"""Episodes of the gait MDP and their scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from safe_locomotion.envs.gait_env import GaitEnv
from safe_locomotion.envs.gait_tasks import gait_task, start_gait
from safe_locomotion.policy.network import Float32
from safe_locomotion.types import Estimate, Proposal, VelocityCommand

FALL_PENALTY = 1.0


class Learner(Protocol):
    """Proposes gaits: `PolicyRuntime`, `RandomGait`."""

    def reset(self) -> None:
        """An episode begins."""

    def act(self, estimate: Estimate, command: VelocityCommand) -> Proposal | None:
        """The proposal on this estimate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """Figures of one or several episodes: means over the episodes, except the sums named below.

    Attributes:
        fitness: mean reward per step of a whole episode, less `FALL_PENALTY` when it ended in a
            fall.
        reward: mean reward per step walked.
        power: [W].
        cost_of_transport: energy over weight times distance.
        velocity_error: RMS [m/s].
        recovery: share of steps under the recovery policy.
        uses: how often the recovery policy took over.
        falls, episodes: sums.
    """

    fitness: float
    reward: float
    power: float
    cost_of_transport: float
    velocity_error: float
    recovery: float
    uses: float
    falls: int
    episodes: int


@dataclass(slots=True)
class RecoveryCount:
    """Counts the steps of an episode under the recovery policy, and how often it took over."""

    steps: int = 0
    uses: int = 0
    active: bool = False

    def add(self, active: bool) -> None:
        """Add one policy step."""
        self.steps += active
        self.uses += active and not self.active
        self.active = active


Advance = Callable[[Float32], tuple[Float32, float, bool, bool, dict[str, Any]]]


def walk(env: GaitEnv, advance: Advance, seed: int) -> Score:
    """One episode; `advance` makes one step of it from the previous observation."""
    observation, _ = env.reset(seed=seed)
    rewards = 0.0
    power = 0.0
    distance = 0.0
    error = 0.0
    steps = 0
    recovery = RecoveryCount()
    done = False
    fell = False
    while not done:
        observation, reward, fell, late, info = advance(observation)
        steps += 1
        done = fell or late
        rewards += reward
        power += info["power"]
        distance += info["distance"]
        error += info["velocity_error"] ** 2
        recovery.add(info["active"] == "recovery")
    return Score(
        fitness=rewards / env.total_steps - FALL_PENALTY * fell,
        reward=rewards / steps,
        power=power / steps,
        cost_of_transport=power * env.step_time / (env.weight * max(distance, 1e-3)),
        velocity_error=float(np.sqrt(error / steps)),
        recovery=recovery.steps / steps,
        uses=recovery.uses,
        falls=int(fell),
        episodes=1,
    )


def walk_learner(env: GaitEnv, learner: Learner, seed: int) -> Score:
    """One episode of a learner that proposes as on the robot.

    While it proposes nothing, its last proposal holds.
    """
    learner.reset()
    gait = start_gait(gait_task(env.options.task), env.robot.robot)

    def advance(_: Float32) -> tuple[Float32, float, bool, bool, dict[str, Any]]:
        nonlocal gait
        proposal = learner.act(env.estimate, env.velocity_command)
        gait = gait if proposal is None or proposal.gait is None else proposal.gait
        return env.follow(gait)

    return walk(env, advance, seed)


def mean_score(scores: Sequence[Score]) -> Score:
    """Means, and sums of falls and episodes."""
    names = (
        "fitness",
        "reward",
        "power",
        "cost_of_transport",
        "velocity_error",
        "recovery",
        "uses",
    )
    means = {name: float(np.mean([getattr(score, name) for score in scores])) for name in names}
    return Score(
        **means, falls=sum(s.falls for s in scores), episodes=sum(s.episodes for s in scores)
    )
