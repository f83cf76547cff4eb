"""The bridge damps instead of answering a LowState that is old by the time of the answer."""

from contextlib import contextmanager
from dataclasses import replace
from time import sleep

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy

from safe_locomotion.backends.log import save_states
from safe_locomotion.backends.robot_link import STATE_OLD
from safe_locomotion.nodes.bridge import BridgeNode
from safe_locomotion.pipeline import standing_state
from safe_locomotion.robot.models import load_robot
from safe_locomotion.types import LowCommand

A1 = load_robot("a1")
PAUSE_S = 0.03  # longer than the default of `state_age_ms`
MOVE = LowCommand(
    stamp_ns=0, q=A1.q_stand, dq=np.zeros(12), tau=np.zeros(12), kp=np.ones(12), kd=np.ones(12)
)


@contextmanager
def active_bridge(folder, *arguments):
    """A bridge node that commands a recorded robot."""
    recording = folder / "states.npz"
    states = [standing_state(A1, (k + 1) * 2_000_000) for k in range(4)]
    save_states(recording, [replace(state, voltage=24.0) for state in states])
    given = ("sdk:=mock", f"sdk_options.path:={recording}", *arguments)
    rclpy.init(args=["--ros-args", *[part for text in given for part in ("-p", text)]])
    node = BridgeNode()
    try:
        node.link.open()
        node.link.activate()
        yield node
    finally:
        node.link.close()
        node.destroy_node()
        rclpy.try_shutdown()


def sent_after(node, pause_s):
    """The command that reached the robot when the answer took this long [s]."""
    state = node.read()
    sleep(pause_s)
    node.write(state, MOVE)
    return node.link.backend.commands[-1]


def test_a_pause_in_mid_tick_ends_in_damping(ros_domain, tmp_path):
    """The motors do not move on the old state, and the gate's row says why."""
    with active_bridge(tmp_path) as node:
        command = sent_after(node, PAUSE_S)
        assert command.reason == STATE_OLD and not command.kp.any() and command.kd.all()
        assert node.gate.now == (STATE_OLD,) and node.link.late == 1
        values = {pair.key: pair.value for row in node.rows() for pair in row().values}
        assert values["late"] == "1"


def test_in_lock_step_an_answer_may_take_its_time(ros_domain, tmp_path):
    """The same pause changes nothing where the robot waits."""
    with active_bridge(tmp_path, "lock_step:=true") as node:
        assert sent_after(node, PAUSE_S).kp.all()
        assert node.gate.now == () and node.link.late == 0
