"""A trainer that is killed at each of its steps, for a test.

    python killed_trainer.py EPISODES STRAIGHT KILLED STEPS

It makes one update in the folder STRAIGHT without disturbance. In the folder KILLED, a copy from
before the update, a child makes the same update and kills itself (SIGKILL) before it puts its
checkpoint in place. The next child dies before its status, and the third comes to the end. It
writes the number of kills. Children are forks, so that the libraries are loaded once.
"""

import os
import signal
import sys
from pathlib import Path
from shutil import copytree
from typing import Any

import torch

from safe_locomotion.training.gait.episodes.follow import Follower
from safe_locomotion.training.gait.episodes.robot_learner import RobotLearning

DEATHS = (1, 3, 99)  #: files, counted from 0: policy, checkpoint, page, status


def update(episodes: Path, out: Path, steps: int) -> None:
    """Look until there is no more to do."""
    options = RobotLearning(task="efficient", trajectories=2, steps=steps, seed=5)
    follower = Follower(options, episodes, out)
    while follower.look():
        pass
    if follower.fault:
        raise SystemExit(follower.fault)


def killed_before(number: int) -> None:
    """Die before the `number`-th file is put in place; the first is number 0."""
    seen = 0

    def hear(event: str, _: Any) -> None:
        nonlocal seen
        if event != "os.rename":
            return
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    sys.addaudithook(hear)


def main() -> int:
    """See above."""
    torch.set_num_threads(1)
    episodes, straight, killed = map(Path, sys.argv[1:4])
    steps = int(sys.argv[4])
    update(episodes / "none", straight, steps)
    copytree(straight, killed)
    update(episodes, straight, steps)
    kills = 0
    for number in DEATHS:
        child = os.fork()
        if not child:
            killed_before(number)
            update(episodes, killed, steps)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            kills += 1
            continue
        if status:
            return 1
    sys.stdout.write(f"{kills}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
