"""Batches for tests of the learners: random ones, and walks in small worlds of known optimum."""

from collections.abc import Callable

import torch
from torch import Tensor

from safe_locomotion.training.gait.learners.batch import Batch
from safe_locomotion.training.gait.learners.learner import Learner, Shape

STEPS = 12
ROBOTS = 8
OBSERVATIONS = 5
ACTIONS = 3

Outcome = tuple[Tensor, Tensor, Tensor]


def one_thread() -> None:
    """Let torch use one thread; its idle threads spin, which is slow on a busy machine."""
    torch.set_num_threads(1)


def shape(runs: int, *, observations: int = OBSERVATIONS, actions: int = ACTIONS) -> Shape:
    """All actions free, seeds 1, 2, ..."""
    mask = torch.ones(runs, actions, dtype=torch.bool)
    return Shape(observations=observations, mask=mask, seeds=range(1, runs + 1))


def random_batch(runs: int, seed: int = 0) -> Batch:
    """Random numbers in all fields; about a third of the robots falls."""
    draw = torch.Generator().manual_seed(seed)
    shape_of_steps = (STEPS, runs, ROBOTS)
    fell = torch.rand(runs, ROBOTS, generator=draw) < 0.35
    length = torch.randint(1, STEPS + 1, (runs, ROBOTS), generator=draw)
    length = torch.where(fell, length, STEPS)
    alive = torch.arange(STEPS)[:, None, None] < length
    last = torch.arange(STEPS)[:, None, None] == length - 1
    return Batch(
        observations=torch.randn(*shape_of_steps, OBSERVATIONS, generator=draw),
        last_observations=torch.randn(runs, ROBOTS, OBSERVATIONS, generator=draw),
        actions=0.3 * torch.randn(*shape_of_steps, ACTIONS, generator=draw),
        rewards=torch.randn(*shape_of_steps, generator=draw),
        costs=(last & fell).float(),
        alive=alive,
        recovered=torch.rand(*shape_of_steps, generator=draw) < 0.2,
        fell=fell,
    )


def bandit_batch(
    learner: Learner, outcome: Callable[[Tensor, Tensor], Outcome], *, runs: int, robots: int
) -> Batch:
    """One step of a world without state.

    Args:
        learner: acts.
        outcome: reward, cost and recovered, (R, N) each, of observations and actions.
        runs: of the learner.
        robots: of each run.
    """
    observations = torch.zeros(runs, robots, 1)
    actions = learner.act(observations, learner.draw_noise(1, robots)[0])
    reward, cost, recovered = outcome(observations, actions)
    return Batch(
        observations=observations[None],
        last_observations=observations,
        actions=actions[None],
        rewards=reward[None],
        costs=cost[None],
        alive=torch.ones(1, runs, robots, dtype=torch.bool),
        recovered=recovered[None],
        fell=torch.ones(runs, robots, dtype=torch.bool),
    )


def mean_action(learner: Learner, runs: int) -> Tensor:
    """(R, A) action without noise in the world without state."""
    noise = torch.zeros_like(learner.draw_noise(1, 1)[0])
    return learner.act(torch.zeros(runs, 1, 1), noise)[:, 0]
