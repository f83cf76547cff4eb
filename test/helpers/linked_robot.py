"""A robot behind a `RobotLink`, and clocks for it."""

from math import inf

import numpy as np
from random_values import random_low_state

from safe_locomotion.backends.backend import always
from safe_locomotion.backends.commanders import Commanders
from safe_locomotion.backends.robot_link import STATE_OLD, RobotLink
from safe_locomotion.commands import damping_command
from safe_locomotion.types import LowCommand

STATE = random_low_state(0)
MOVE = LowCommand(
    stamp_ns=0, q=np.ones(12), dq=np.ones(12), tau=np.ones(12), kp=np.ones(12), kd=np.ones(12)
)


NAMES = {"stopping": "damp", STATE_OLD: "late"}


class Robot:
    """Remembers what was done to it."""

    def __init__(self, states=None):
        self.states = states
        self.log = []
        self.waits = []
        self.behind = 0.0

    def behind_s(self):
        """As the test says [s]."""
        return self.behind

    def read(self, timeout_s):
        """Next state."""
        self.waits.append(timeout_s)
        return STATE if self.states is None else self.states.pop(0) if self.states else None

    def write(self, command, fresh=always):
        """Keep the command, if it is fresh after all that is slow."""
        self.pack()
        if not fresh():
            return False
        self.log.append(NAMES.get(command.reason, "move"))
        self.send()
        return True

    def pack(self):
        """Take no time."""

    def send(self):
        """Take no time."""

    def listen(self, listen_s):
        """One other program."""
        self.waits.append(listen_s)
        return Commanders(commands=1)

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


class Steady:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self):
        """Time [s]."""
        return self.now


def link(robot, age_s=inf, clock=None, silence_s=0.01):
    """A link to this robot."""
    return RobotLink(
        lambda: robot,
        lambda s: damping_command(s.stamp_ns, 1.0, q=s.q, reason="stopping"),
        silence_s=silence_s,
        age_s=age_s,
        damping_s=0.5,
        clock=clock or Clock(),
    )
