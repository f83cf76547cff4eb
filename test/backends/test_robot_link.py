"""The link never leaves a robot without damping, whatever ends it."""

from time import sleep

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


def link(robot):
    """A link to this robot."""
    return RobotLink(
        lambda: robot,
        lambda s: damping_command(s.stamp_ns, 1.0, q=s.q, reason="stopping"),
        silence_s=0.01,
        damping_s=0.5,
        clock=Clock(),
    )


def opened(robot, active):
    """The same, open or active."""
    made = link(robot)
    made.open()
    if active:
        made.activate()
    return made


def tick(made):
    """One tick of a control loop; what `write` returned, or None without a LowState."""
    state = made.read()
    return None if state is None else made.write(MOVE)


def test_open_is_read_only():
    """An open link hands over states, so that the stages get warm, and sends no answer."""
    robot = Robot()
    made = opened(robot, False)
    for _ in range(3):
        assert made.read() is STATE
        assert made.write(MOVE) is None
    assert robot.log == []


def test_a_link_that_only_read_leaves_silently():
    """Closing a link that was never active commands nothing."""
    robot = Robot()
    opened(robot, False).close()
    assert robot.log == ["close"]


def test_active_answers_each_state():
    """One command per LowState."""
    robot = Robot()
    made = opened(robot, True)
    latencies = [tick(made) for _ in range(3)]
    assert robot.log == ["move"] * 3
    assert all(latency >= 0.0 for latency in latencies)


def test_the_latency_counts_from_the_state_to_the_end_of_writing():
    """Both computing between read and write and the writing itself are in it."""
    robot = Robot()
    made = opened(robot, True)
    robot.write = lambda command: sleep(0.01)
    made.read()
    sleep(0.02)
    assert made.write(MOVE) >= 0.03


def test_a_look_takes_no_state_away():
    """The state of a look is the one that the next read returns."""
    robot = Robot(["first", "second"])
    made = opened(robot, False)
    assert made.look(0.01) == made.look(0.01) == "first"
    assert [made.read(), made.read(), made.read()] == ["first", "second", None]


def test_silence_is_answered_by_damping():
    """Without a LowState an active link stops the robot, an inactive one keeps quiet."""
    active = Robot([])
    inactive = Robot([])
    links = [opened(active, True), opened(inactive, False)]
    assert [made.read() for made in links] == [None, None]
    assert active.log == ["stop"] and inactive.log == []
    assert [made.silences for made in links] == [1, 1]


@pytest.mark.parametrize("leave", ["deactivate", "close"])
@pytest.mark.parametrize("states", [None, []], ids=["states come", "silence"])
def test_leaving_damps_repeatedly(leave, states):
    """Deactivation and closing repeat damping, with and without states; then nothing moves."""
    robot = Robot(states)
    made = opened(robot, True)
    getattr(made, leave)()
    damped = [word for word in robot.log if word != "close"]
    assert (
        len(damped) >= 4 and set(damped) <= {"damp", "stop"} and damped[0] == damped[-1] == "stop"
    )
    assert (robot.log[-1] == "close") == (leave == "close")
    robot.log.clear()
    assert tick(made) is None
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
