"""The trajectories that a policy flew, in all episodes of a folder."""

from pathlib import Path

from safe_locomotion.config import load_config
from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.recording.episode import EpisodeInfo
from safe_locomotion.recording.integrity import is_open
from safe_locomotion.recording.reader import CUT_OFF, episode_paths, read_episode, read_info
from safe_locomotion.robot.models import load_robot
from safe_locomotion.training.gait.episodes.robot_learner import RobotLearning
from safe_locomotion.training.gait.episodes.trajectories import Trajectory, trajectories_of


class FlownEpisodes:
    """Reads the trajectories of one policy after the other from a folder that grows.

    An episode that is still being written is left for the next look. One whose recorder was killed
    counts as far as it can be read. An episode that is closed is read once for each policy, and
    its description once in all.

    Attributes:
        latest: name of the newest episode that was looked at; empty before the first.
    """

    def __init__(self, folder: Path, options: RobotLearning) -> None:
        """Read nothing yet.

        Args:
            folder: of the recorder.
            options: task, robot and length.
        """
        self._folder = folder
        self._options = options
        self._task = gait_task(options.task)
        self._robot = load_robot(options.robot)
        self._limits = load_config(options.robot).mpc.locomotion
        self._infos: dict[Path, EpisodeInfo | None] = {}
        self._policy = ""
        self._flown: dict[Path, list[Trajectory]] = {}
        self.latest = ""

    def of(self, policy: str) -> list[Trajectory]:
        """Trajectories of a policy in the order of their episodes.

        Raises:
            ConfigurationError: an episode is of another robot.
        """
        if policy != self._policy:
            self._policy = policy
            self._flown.clear()
        for path in episode_paths(self._folder):
            if path in self._flown or (path not in self._infos and is_open(path)):
                continue
            self.latest = path.name
            self._flown[path] = self._read(path, policy)
        return [flown for path in sorted(self._flown) for flown in self._flown[path]]

    def _read(self, path: Path, policy: str) -> list[Trajectory]:
        info = self._info(path)
        if info is None:
            return []
        cut_off = info.end == CUT_OFF  # it names the policies of its start only
        if not (policy in info.policies or policy == info.policy or cut_off):
            return []
        if info.robot != self._options.robot:
            raise ConfigurationError(
                f"{path}: the robot is {info.robot!r}, and {self._options.robot!r} learns"
            )
        try:
            record = read_episode(path, diagnostics=False)
        except ConfigurationError:
            return []
        options = self._options
        found = trajectories_of(
            record, policy, self._task, self._robot, self._limits, steps=options.steps
        )
        return list(found)

    def _info(self, path: Path) -> EpisodeInfo | None:
        """Description of an episode; None where it cannot be read."""
        if path not in self._infos:
            try:
                self._infos[path] = read_info(path)
            except ConfigurationError:
                self._infos[path] = None
        return self._infos[path]
