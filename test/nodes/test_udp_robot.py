"""The launch of a real A1, with the vendor's UDP module, against a socket in place of the robot."""

import signal
import socket
from dataclasses import replace

import pytest
from ros_world import PATIENCE_S, children

from safe_locomotion.runtime.launch_arguments import options_from_launch
from safe_locomotion.runtime.stack import stack

pytest.importorskip("unitree_legged_sdk", reason="the vendor's wheel is for Python 3.11 alone")

PACKET = 614  # bytes of a compressed LowCmd


def free_port():
    """A UDP port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_robot_that_only_answers_hears_damping_until_it_does(ros_domain):
    """The bridge of `real_a1.launch.py` damps unasked and ends with status 0 on request."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as robot:
        robot.bind(("127.0.0.1", 0))
        robot.settimeout(PATIENCE_S)
        link = {
            "robot_address": "127.0.0.1",
            "robot_port": robot.getsockname()[1],
            "local_port": free_port(),
        }
        options = replace(
            options_from_launch("real", "a1", {"graph": "nodes", "trust_domain": "true"}),
            sdk_options=link,
        )
        with children(stack(options)[0].command()) as (bridge,):
            packets = [robot.recv(4096) for _ in range(25)]
            bridge.send_signal(signal.SIGINT)
            assert bridge.wait(15) == 0
    assert {len(packet) for packet in packets} == {PACKET} and len(set(packets)) == 1


def test_a_port_that_is_taken_ends_the_start(ros_domain):
    """If another program has the port, the bridge names it and ends with status 2."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 0))
        port = other.getsockname()[1]
        options = replace(
            options_from_launch("real", "a1", {"graph": "nodes", "trust_domain": "true"}),
            sdk_options={"local_port": port},
        )
        with children(stack(options)[0].command()) as (bridge,):
            assert bridge.wait(PATIENCE_S) == 2
            assert str(port) in bridge.stderr.read()
