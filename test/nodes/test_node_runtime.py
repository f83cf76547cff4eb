"""What the loop of every node does between two ticks."""

import gc
import os
import signal
import subprocess
import sys
import weakref
from threading import Event

import pytest

from safe_locomotion.nodes.runtime import turn
from safe_locomotion.runtime.realtime import COLLECT_EACH


class Loop:
    """Leaves a cycle of garbage at each tick."""

    nodes = ()

    def __init__(self, ticks, freeze_garbage=True):
        self.freeze_garbage = freeze_garbage
        self.left = ticks
        self.stop = Event()
        self.order = []
        self.garbage = []

    def start(self):
        pass

    def step(self):
        cycle = Cycle()
        cycle.own = cycle
        self.garbage.append(weakref.ref(cycle))
        self.order.append(("step", gc.isenabled()))
        self.left -= 1
        if not self.left:
            self.stop.set()

    def tidy(self):
        self.order.append(("tidy", gc.isenabled()))

    def close(self):
        pass


class Cycle:
    own = None


def test_a_tick_is_never_interrupted_by_the_collector():
    """Garbage goes between two ticks; the interpreter's own collector is off until the end."""
    loop = Loop(COLLECT_EACH + 1)
    turn(loop, loop.stop)
    assert [name for name, _ in loop.order] == ["step", "tidy"] * (COLLECT_EACH + 1)
    assert not any(enabled for _, enabled in loop.order)
    assert gc.isenabled() and gc.get_freeze_count() == 0
    assert not any(cycle() for cycle in loop.garbage[:COLLECT_EACH])


def test_the_collector_comes_back_after_an_error():
    """A loop that fails leaves the interpreter as it was."""
    loop = Loop(1)
    loop.tidy = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        turn(loop, loop.stop)
    assert gc.isenabled() and gc.get_freeze_count() == 0


def test_the_collector_can_be_left_alone():
    """Where the configuration says so the interpreter collects as it likes, in ticks too.

    Processes of a stack start with the collector off.
    """
    loop = Loop(3, freeze_garbage=False)
    gc.disable()
    turn(loop, loop.stop)
    assert all(enabled for _, enabled in loop.order)


HANGING_END = """
import ctypes
from safe_locomotion.nodes import runtime
from rclpy.node import Node

class HangingNode(Node):
    def destroy_node(self):
        ctypes.PyDLL(None).sleep(600)  # holds the interpreter

class Loop:
    slow_nodes = ()
    freeze_garbage = False
    def __init__(self):
        self.nodes = (HangingNode("hanging_node"),)
    def start(self):
        raise runtime.SafeLocomotionError("the loop ends at once")
    def step(self): ...
    def tidy(self): ...
    def close(self): ...

runtime.END_S = 1
runtime.run(Loop)
"""


def test_a_middleware_that_hangs_at_the_end_does_not_keep_the_process(ros_domain):
    """The kernel ends a process whose node cannot be destroyed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", HANGING_END], env=environment, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGALRM
