"""The learners of a grid: what each run's learner is, in the order of the runs."""

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.training.gait.grid import LEARNERS, Run
from safe_locomotion.training.gait.learners.group import LearnerGroup
from safe_locomotion.training.gait.learners.learner import Learner, RewardWeights, Shape
from safe_locomotion.training.gait.learners.p3o import P3o
from safe_locomotion.training.gait.learners.pcpo import Pcpo
from safe_locomotion.training.gait.learners.trpo import ALGORITHM_1, TASK, TASK_LESS_COST, Trpo
from safe_locomotion.training.gait.walks import OBSERVED

#: Which update each learner makes.
UPDATES_BY = {name: name if name in ("pcpo", "p3o") else "trpo" for name in LEARNERS}
REWARDS = {
    "ours": ALGORITHM_1,
    "trpo": TASK,
    "trpo_n": TASK_LESS_COST,
    "recovery_rl": TASK,
    "filter": ALGORITHM_1,
    "ellipsoid": ALGORITHM_1,
}


def free_actions(runs: Sequence[Run], device: torch.device | str) -> Tensor:
    """(R, 9) True for the actions that each run's task leaves to the policy."""
    return torch.tensor([gait_task(run.task).free for run in runs], device=device)


def shape_of(runs: Sequence[Run], device: torch.device | str) -> Shape:
    """Sizes and seeds of these runs."""
    return Shape(
        observations=OBSERVED,
        mask=free_actions(runs, device),
        seeds=[run.seed for run in runs],
    )


def learner_group(runs: Sequence[Run], device: torch.device) -> LearnerGroup:
    """Learners in the order of the runs; all that share TRPO's update are one."""
    made: list[tuple[Learner, int]] = []
    for kind, group in groupby(runs, key=lambda run: UPDATES_BY[run.learner]):
        members = list(group)
        shape = shape_of(members, device)
        learner: Learner
        if kind == "pcpo":
            learner = Pcpo(shape)
        elif kind == "p3o":
            learner = P3o(shape)
        else:
            weights = [REWARDS[run.learner] for run in members]
            learner = Trpo(shape, rewards=RewardWeights.of_each(weights, device))
        made.append((learner, len(members)))
    return LearnerGroup(made)
