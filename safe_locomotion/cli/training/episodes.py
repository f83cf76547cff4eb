"""`safe-locomotion train gait TASK --from-episodes DIR`: one robot learns from what it recorded."""

from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING

import click

from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.errors import ConfigurationError

if TYPE_CHECKING:
    from safe_locomotion.training.gait.episodes.robot_learner import RobotLearning

MORE_NEEDED = 3  #: exit status when the episodes do not suffice for an update
SCRATCH = "scratch"  #: instead of the file of a policy
SPARE = 1.2  #: robot time of a flight over that of its trajectories


def learning_of(
    task: str, robot: str, seed: int, *, start: str = SCRATCH, trajectories: int | None = None
) -> tuple["RobotLearning", Path | None]:
    """What one robot learns, and the policy file with which it begins.

    Args:
        task: key of `gait_tasks.TASKS`.
        robot: folder under `models/robots`.
        seed: of weights and noise.
        start: `scratch`, or a policy file.
        trajectories: of an update; the paper's number of this task when not given.
    """
    from safe_locomotion.training.gait.episodes.robot_learner import (
        OF_TASK,
        TRAJECTORIES,
        RobotLearning,
        digest_of,
    )

    path = None if start == SCRATCH else Path(start)
    options = RobotLearning(
        task=task,
        robot=robot,
        seed=seed,
        trajectories=trajectories or OF_TASK.get(task, TRAJECTORIES),
        start="" if path is None else digest_of(path),
    )
    return options, path


def learn_from_episodes(
    options: "RobotLearning", start: Path | None, episodes: Path, out: Path, *, export: bool
) -> int:
    """Make every update for which there are trajectories, and write the policy to fly next.

    Args:
        options: what is learned.
        start: policy file to begin with.
        episodes: folder of the recorder.
        out: folder of the checkpoint and the policies.
        export: also write the policy without its noise.

    Returns:
        Exit status: 0, or 3 when there were too few trajectories for an update.
    """
    from safe_locomotion.training.gait.episodes.follow import update_line
    from safe_locomotion.training.gait.episodes.found import FlownEpisodes
    from safe_locomotion.training.gait.episodes.robot_learner import CHECKPOINT, RobotLearner

    if not episodes.is_dir():
        raise ConfigurationError(f"--from-episodes: {episodes} is no folder")
    learner = RobotLearner(options, start)
    first = not (out / CHECKPOINT).exists()
    if first:
        learner.save(out)
    else:
        learner.load(out)
    before = learner.updates
    wanted = options.trajectories
    flown = FlownEpisodes(episodes, options)
    while len(found := flown.of(learner.policy)) >= wanted:
        figures = learner.update(found)
        learner.save(out)
        click.echo(update_line(learner, figures))
    flies = learner.write(out, flown=len(found))
    if export:
        click.echo(f"without noise: {learner.write(out, explores=False, name=options.name)}")
    click.echo(
        f"{learner.policy}: {len(found)} of {wanted} trajectories of {options.steps} steps."
        f" Fly it, and call this again:\n  {_flight(options, flies, episodes)}"
    )
    return 0 if first or learner.updates > before else MORE_NEEDED


def follow_episodes(
    options: "RobotLearning", start: Path | None, episodes: Path, out: Path, *, updates: int
) -> int:
    """Wait for episodes beside a robot that flies, and update, until there were so many updates."""
    from safe_locomotion.training.gait.episodes.follow import Follower, follow

    follower = Follower(options, episodes, out, start)
    follow(follower, updates=updates, say=click.echo, wait=sleep)
    follower.learner.write(out, explores=False, name=options.name)
    return 0


def walked_speed(task: str) -> float:
    """Forward velocity at which a task is learned: the middle of its range [m/s]."""
    low, high = gait_task(task).vx
    return round(0.5 * (low + high), 2)


def _flight(options: "RobotLearning", policy: Path, episodes: Path) -> str:
    """The command that flies the next update in simulation."""
    seconds = round(SPARE * options.trajectories * options.steps / 125.0)
    return (
        f"safe-locomotion sim --headless --robot {options.robot} --policy {policy}"
        f" --set policy.explore=true --duration {seconds} --vx {walked_speed(options.task):g}"
        f" --record {episodes}"
    )
