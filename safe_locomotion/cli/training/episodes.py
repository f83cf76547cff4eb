"""`safe-locomotion train gait TASK --from-episodes DIR`: one robot learns from what it recorded."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from safe_locomotion.errors import ConfigurationError

if TYPE_CHECKING:
    from safe_locomotion.training.gait.episodes.robot_learner import RobotLearner, RobotLearning

MORE_NEEDED = 3  #: exit status when the episodes do not suffice for an update


def learn_from_episodes(
    options: "RobotLearning", episodes: Path, out: Path, *, export: bool
) -> int:
    """Make every update for which there are trajectories, and write the policy to fly next.

    Args:
        options: what is learned.
        episodes: folder of the recorder.
        out: folder of the checkpoint and the policies.
        export: also write the policy without its noise.

    Returns:
        Exit status: 0, or 3 when there were too few trajectories for an update.
    """
    from safe_locomotion.training.gait.episodes.found import flown_trajectories
    from safe_locomotion.training.gait.episodes.robot_learner import CHECKPOINT, RobotLearner

    if not episodes.is_dir():
        raise ConfigurationError(f"--from-episodes: {episodes} is no folder")
    learner = RobotLearner(options)
    first = not (out / CHECKPOINT).exists()
    if first:
        learner.save(out)
    else:
        learner.load(out)
    before = learner.updates
    wanted = options.trajectories
    while len(found := flown_trajectories(episodes, learner.policy, options)) >= wanted:
        figures = learner.update(found)
        learner.save(out)
        click.echo(_line(learner, figures))
    flies = learner.write(out)
    if export:
        click.echo(f"without noise: {learner.write(out, explores=False, name=options.name)}")
    click.echo(
        f"{learner.policy}: {len(found)} of {wanted} trajectories of {options.steps} steps."
        f" Fly it, and call this again:\n  {_flight(options, flies, episodes)}"
    )
    return 0 if first or learner.updates > before else MORE_NEEDED


def _line(learner: "RobotLearner", figures: dict[str, float]) -> str:
    return (
        f"update {learner.updates}:  reward {figures['episode_reward']:.1f}"
        f"  falls {figures['falls']:.0f} of {learner.options.trajectories}"
        f"  recovery {100.0 * figures['recovery_share']:.1f} %"
        f"  deviation {figures['deviation']:.3f}"
    )


def _flight(options: "RobotLearning", policy: Path, episodes: Path) -> str:
    """The command that flies the next update in simulation."""
    seconds = round(1.2 * options.trajectories * options.steps / 125.0)
    return (
        f"safe-locomotion sim --headless --robot {options.robot} --policy {policy}"
        f" --set policy.explore=true --duration {seconds} --vx 0.4 --record {episodes}"
    )
