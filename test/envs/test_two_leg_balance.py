"""The two-leg task in simulation: an A1 that hops on FR and RL, and is caught by recovery."""

import numpy as np
import pytest

pytest.importorskip("mujoco")

from safe_locomotion.envs.gait_env import GaitEnv, GaitEnvOptions
from safe_locomotion.envs.gait_tasks import gait_task, start_gait
from safe_locomotion.rotations import rpy_from_quaternion
from safe_locomotion.types import FL, RR, VelocityCommand

PUSH_STEP = 190  #: policy steps of 8 ms
PUSH = np.array((0.0, 20.0, 0.0))  #: [N s], to the left


class Walk:
    """What happened under the gait with which a learner of the task begins.

    Attributes:
        contact: (n, 4) feet that carry load, as estimated.
        tilt: (n,) the greater of roll and pitch, true [rad].
        recovers: (n,) steps under recovery.
        fell: the robot fell.
    """

    def __init__(self, supervisor: str, duration: float, push: np.ndarray | None = None) -> None:
        options = GaitEnvOptions(
            task="two_leg",
            duration=duration,
            command=VelocityCommand(),
            supervisor=supervisor,
            starts=1,
        )
        env = GaitEnv(options)
        gait = start_gait(gait_task("two_leg"), env.robot.robot)
        env.reset(seed=0)
        contact = []
        tilt = []
        recovers = []
        self.fell = False
        over = False
        while not over:
            if push is not None and env.steps == PUSH_STEP:
                env.robot.push(push)
            _, _, self.fell, late, info = env.follow(gait)
            over = self.fell or late
            contact.append(env.estimate.contact)
            tilt.append(np.abs(rpy_from_quaternion(env.robot.truth().quaternion_wxyz)[:2]).max())
            recovers.append(info["active"] == "recovery")
        self.contact = np.array(contact)
        self.tilt = np.array(tilt)
        self.recovers = np.array(recovers)


def test_the_untrained_gait_stands_on_two_legs_and_hops() -> None:
    """For 2.4 s without supervisor the robot stays level and lands only on FR and RL.

    It takes off at least ten times, with no foot on the ground.
    """
    walk = Walk("off", 2.4)
    assert not walk.fell and walk.tilt.max() < 0.26
    settled = walk.contact[50:]
    assert settled[:, [FL, RR]].mean() < 0.02
    flies = np.asarray(~settled.any(axis=1))
    assert np.count_nonzero(flies[1:] & ~flies[:-1]) >= 10


def test_recovery_brings_a_pushed_robot_back_to_four_legs() -> None:
    """Without supervisor the push throws it over; with the supervisor it stands on four feet."""
    alone = Walk("off", 3.5, PUSH)
    assert alone.fell or alone.tilt.max() > 0.5
    walk = Walk("reachability", 3.5, PUSH)
    assert not walk.fell
    after = np.arange(len(walk.recovers)) > PUSH_STEP
    caught = walk.recovers & after
    assert caught.any() and walk.contact[caught].all(axis=1).any()
    assert not walk.recovers.all() and walk.tilt[-1] < 0.26
