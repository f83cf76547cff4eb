"""Activation of a bridge that has only read so far: the time that it takes is no fault."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from core_values import A1, verdict
from rclpy.signals import SignalHandlerOptions

from safe_locomotion.backends.log import save_states
from safe_locomotion.nodes.bridge import BridgeNode
from safe_locomotion.pipeline import standing_state
from safe_locomotion.types import DAMPED, Mode

TICK_NS = 2_000_000
READ = 40  #: states before the activation
PAUSE_NS = 300_000_000  #: during which the bridge listens to other commanders


@pytest.fixture
def more():
    """Parameters of the bridge beyond its robot."""
    return ()


@pytest.fixture
def node(tmp_path, ros_domain, more):
    """A bridge without a control loop on a robot whose states pause after `READ` of them."""
    noise = 0.001 * np.random.default_rng(0).normal(size=(3 * READ, 3))
    stamps = [(k + 1) * TICK_NS + (PAUSE_NS if k >= READ else 0) for k in range(3 * READ)]
    states = [
        replace(standing_state(A1, stamp_ns), voltage=24.0, gyro=gyro)
        for stamp_ns, gyro in zip(stamps, noise, strict=True)
    ]
    path = tmp_path / "states.npz"
    save_states(path, states)
    given = ("sdk:=mock", f"sdk_options.path:={path}", *more)
    rclpy.init(
        args=["--ros-args", *[part for text in given for part in ("-p", text)]],
        signal_handler_options=SignalHandlerOptions.NO,
    )
    bridge = BridgeNode()
    try:
        bridge.reach("inactive")
        yield bridge
    finally:
        bridge.link.close()
        bridge.destroy_node()
        rclpy.try_shutdown()


def test_the_pause_of_an_activation_is_neither_a_hazard_nor_a_fault(node):
    """So the robot stands up on the first request after it."""
    for _ in range(READ):
        assert node.read() is not None
    node.reach("active")
    for _ in range(READ):
        state = node.read()
        assert state is not None
        assert node.hazards == set() and node.refusals() == set()
        node.hear(verdict(mode=Mode.PASSIVE, stamp_ns=state.stamp_ns))


@pytest.mark.parametrize("mode", Mode)
def test_a_robot_rises_right_after_a_pause_only_if_it_was_damped(node, mode):
    """One verdict on damping ends the hazard; a robot that was moving is stopped for 50 states."""
    node.reach("active")
    while not node.hazards:
        state = node.read()
        node.hear(verdict(mode=Mode.PASSIVE, stamp_ns=0))
    node.hear(verdict(mode=mode, stamp_ns=state.stamp_ns))
    state = node.read()
    held = mode not in DAMPED
    assert node.hazards == ({"state_jump"} if held else set())
    node.hear(verdict(mode=Mode.STAND_UP, stamp_ns=state.stamp_ns))
    node.read()
    assert node.refusals() == (
        {"state_jump", "not_reset"} if held else {"not_reset"} if mode is Mode.FAULT else set()
    )


def test_a_pause_without_an_activation_is_a_hazard(node):
    """So the test above can fail; the damped robot is not latched by it."""
    node.reach("active")
    seen = set()
    for _ in range(2 * READ):
        state = node.read()
        seen |= node.hazards
        assert node.refusals() <= {"state_jump"}
        node.hear(verdict(mode=Mode.PASSIVE, stamp_ns=state.stamp_ns))
    assert seen == {"state_jump"}


@pytest.mark.parametrize("more", [("lock_step:=true",)])
def test_in_lock_step_a_robot_counts_as_silent_after_two_seconds(node):
    """Until then `read` returns ten times a second, so that the process can end meanwhile."""
    node.reach("active")
    while node.read() is not None:
        pass
    reads = 1
    while not node.link.silences:
        assert node.read() is None
        reads += 1
    assert reads == 20
