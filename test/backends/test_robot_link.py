"""The link never leaves a robot without damping, whatever ends it."""

import numpy as np
import pytest
from random_values import random_low_state

from safe_locomotion.backends.robot_link import RobotLink
from safe_locomotion.commands import damping_command
from safe_locomotion.types import LowCommand

STATE = random_low_state(0)
MOVE = LowCommand(
    stamp_ns=0, q=np.ones(12), dq=np.ones(12), tau=np.ones(12), kp=np.ones(12), kd=np.ones(12)
)


class Robot:
    """Remembers what was done to it."""

    def __init__(self, states=None):
        self.states = states
        self.log = []

    def read(self, timeout_s):
        """Next state."""
        return STATE if self.states is None else self.states.pop(0) if self.states else None

    def write(self, command):
        """Keep the command."""
        self.log.append("damp" if command.reason == "stopping" else "move")

    def stop(self):
        """Damping."""
        self.log.append("stop")

    def close(self):
        """Free the robot."""
        self.log.append("close")


class Clock:
    """0.1 s pass with each look."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        """Time [s]."""
        self.now += 0.1
        return self.now


def link(robot, respond=lambda state: MOVE):
    """A link with these answers."""
    return RobotLink(
        lambda: robot,
        respond,
        lambda s: damping_command(s.stamp_ns, 1.0, q=s.q, reason="stopping"),
        silence_s=0.01,
        damping_s=0.5,
        clock=Clock(),
    )


def opened(robot, active, **options):
    """The same, open or active."""
    made = link(robot, **options)
    made.open()
    if active:
        made.activate()
    return made


def test_open_is_read_only():
    """An open link asks for answers, so that the stages are warm, and writes none."""
    robot = Robot()
    asked = []
    made = opened(robot, False, respond=lambda s: asked.append(s) or MOVE)
    for _ in range(3):
        made.step()
    assert robot.log == [] and len(asked) == 3


def test_a_link_that_only_read_leaves_silently():
    """Closing a link that was never active commands nothing."""
    robot = Robot()
    opened(robot, False).close()
    assert robot.log == ["close"]


def test_active_answers_each_state():
    """One command per LowState."""
    robot = Robot()
    made = opened(robot, True)
    for _ in range(3):
        made.step()
    assert robot.log == ["move"] * 3


def test_silence_is_answered_by_damping():
    """Without a LowState an active link stops the robot, an inactive one keeps quiet."""
    active = Robot([])
    inactive = Robot([])
    opened(active, True).step()
    opened(inactive, False).step()
    assert active.log == ["stop"] and inactive.log == []


@pytest.mark.parametrize("leave", ["deactivate", "close"])
@pytest.mark.parametrize("states", [None, []], ids=["states come", "silence"])
def test_leaving_damps_repeatedly(leave, states):
    """Deactivation and closing repeat damping, with and without states, and move nothing afterwards."""
    robot = Robot(states)
    made = opened(robot, True)
    getattr(made, leave)()
    damped = [word for word in robot.log if word != "close"]
    assert (
        len(damped) >= 4 and set(damped) <= {"damp", "stop"} and damped[0] == damped[-1] == "stop"
    )
    assert (robot.log[-1] == "close") == (leave == "close")
    robot.log.clear()
    made.step()
    assert robot.log == []


def test_a_failing_stop_does_not_prevent_closing():
    """Even when the backend raises while stopping, it is closed."""
    robot = Robot()
    made = opened(robot, True)
    robot.stop = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        made.close()
    assert robot.log[-1] == "close" and made.backend is None and not made.active


def test_closed_link_cannot_be_activated():
    """There is nothing to answer without a backend."""
    made = link(Robot())
    made.activate()
    assert not made.active
