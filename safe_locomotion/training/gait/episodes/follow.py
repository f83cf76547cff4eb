"""A trainer beside a robot: it watches the folder of episodes and updates when there is enough.

The trainer and the robot's driver share one folder, and nothing else, so they may run on two
machines. The trainer writes `learning.json` last, after the policy and the checkpoint. The driver
writes `flight.json` with the policies that failed their trial. Each file is whole at any time.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.runtime.disk import replace_file
from safe_locomotion.training.gait.episodes.found import FlownEpisodes
from safe_locomotion.training.gait.episodes.learning_page import learning_page
from safe_locomotion.training.gait.episodes.robot_learner import (
    CHECKPOINT,
    RobotLearner,
    RobotLearning,
)

STATUS = "learning.json"
FLIGHT = "flight.json"
PAGE = "learning.html"
PERIOD_S = 1.0  #: between two looks into the folder [s]


class Follower:
    """Updates one learner from a folder that grows.

    Attributes:
        learner: that learns.
        fault: why the last look failed, such as a full disk; empty when it did not.
    """

    def __init__(
        self, options: RobotLearning, episodes: Path, out: Path, start: Path | None = None
    ) -> None:
        """Load the checkpoint, or begin.

        Args:
            options: what is learned.
            episodes: folder of the recorder.
            out: folder of checkpoint, policies, status and page.
            start: policy file to begin with.

        Raises:
            ConfigurationError: the checkpoint belongs to another learner.
        """
        self._out = out
        self._flown = FlownEpisodes(episodes, options)
        self.learner = RobotLearner(options, start)
        if (out / CHECKPOINT).exists():
            self.learner.load(out)
        self.fault = ""
        self._published = ""
        self._told = ""

    def look(self) -> str:
        """Throw away, update and publish what is due; a line for the user, or nothing.

        A full disk, or a folder that is away, changes nothing: the next look tries again.
        """
        before = self.fault
        try:
            said = self._look()
            self.fault = ""
        except (OSError, SafeLocomotionError) as error:
            self.fault = str(error)
            said = self.fault if self.fault != before else ""
            self._tell_fault()
        return said

    def _look(self) -> str:
        learner = self.learner
        said = self._rejected()
        found = self._flown.of(learner.policy)
        if len(found) >= learner.options.trajectories:
            figures = learner.update(found)
            said = update_line(learner, figures)
            found = []
        if learner.policy != self._published:
            # The status comes last: who reads it finds the policy, and a checkpoint behind it.
            path = learner.write(self._out, flown=len(found))
            learner.save(self._out)
            self._write_page()
            self._published = learner.policy
            said = said or f"{learner.policy}: {path}"
        self._tell(len(found))
        return said

    def _rejected(self) -> str:
        reason = read_json(self._out / FLIGHT).get("rejected", {}).get(self.learner.policy)
        if reason is None or not self.learner.may_reject:
            return ""
        failed = self.learner.policy
        self.learner.reject(str(reason))
        return f"{failed} is thrown away ({reason}); {self.learner.policy} is next"

    def _tell(self, found: int) -> None:
        learner = self.learner
        status = {
            "policy": learner.policy,
            "updates": learner.updates,
            "found": found,
            "wanted": learner.options.trajectories,
            "may_reject": learner.may_reject,
            "latest": self._flown.latest,
            "fault": "",
            "options": json.loads(learner.options.identity),
            "history": learner.history,
            "rejected": learner.rejected,
        }
        text = json.dumps(status)
        if text != self._told:
            replace_file(self._out / STATUS, text.encode())
            self._told = text

    def _tell_fault(self) -> None:
        """Say why nothing is learned, if there is room for that."""
        try:
            status = {**read_json(self._out / STATUS), "fault": self.fault}
            replace_file(self._out / STATUS, json.dumps(status).encode())
            self._told = ""
        except OSError:
            pass

    def _write_page(self) -> None:
        flight = read_json(self._out / FLIGHT)
        page = learning_page(
            self.learner.options.task, self.learner.history, self.learner.rejected, flight
        )
        replace_file(self._out / PAGE, page.encode())


def read_json(path: Path) -> Mapping[str, Any]:
    """Content of a file that `replace_file` wrote; empty before it exists."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def follow(
    follower: Follower,
    *,
    updates: int,
    say: Callable[[str], object],
    wait: Callable[[float], object],
) -> None:
    """Look again and again until there were so many updates, on one core.

    Args:
        follower: that looks.
        updates: after which it ends.
        say: takes a line for the user.
        wait: waits so long [s].
    """
    torch.set_num_threads(1)  # the robot's processes need the other cores
    while True:
        said = follower.look()
        if said:
            say(said)
        if follower.learner.updates >= updates and not follower.fault:
            return
        wait(PERIOD_S)


def update_line(learner: RobotLearner, figures: Mapping[str, float]) -> str:
    """Figures of an update, for people."""
    return (
        f"update {learner.updates}:  reward {figures['reward']:.3f}"
        f"  falls {figures['falls']:.0f} of {learner.options.trajectories}"
        f"  recovery {100.0 * figures['recovery_share']:.1f} %"
        f"  deviation {figures['deviation']:.3f}"
    )
