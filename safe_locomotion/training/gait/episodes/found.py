"""The trajectories that a policy flew, in all episodes of a folder."""

from pathlib import Path

from safe_locomotion.config import load_config
from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.recording.reader import episode_paths, read_episode, read_info
from safe_locomotion.robot.models import load_robot
from safe_locomotion.training.gait.episodes.robot_learner import RobotLearning
from safe_locomotion.training.gait.episodes.trajectories import Trajectory, trajectories_of


def flown_trajectories(folder: Path, policy: str, options: RobotLearning) -> list[Trajectory]:
    """Trajectories of a policy in the order of their episodes.

    An episode that is still being written, or that is damaged, is left for the next time.

    Args:
        folder: of the recorder.
        policy: name of the policy.
        options: task, robot and length.

    Raises:
        ConfigurationError: an episode is of another robot.
    """
    task = gait_task(options.task)
    robot = load_robot(options.robot)
    limits = load_config(options.robot).mpc.locomotion
    found: list[Trajectory] = []
    for path in episode_paths(folder):
        try:
            info = read_info(path)
            if policy not in info.policies and policy != info.policy:
                continue
            record = read_episode(path)
        except ConfigurationError:
            continue
        if record.info.robot != options.robot:
            raise ConfigurationError(
                f"{path}: the robot is {record.info.robot!r}, and {options.robot!r} learns"
            )
        if record.whole:
            found += trajectories_of(record, policy, task, robot, limits, steps=options.steps)
    return found
