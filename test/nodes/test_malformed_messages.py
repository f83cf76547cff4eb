"""No message ends a node, on any of its subscriptions: it is counted, dropped and said.

Every node builds its real control loop in this process and is asked which topics it hears.
`message_fuzz` is also a program, which feeds as many mutants as one wants.
"""

import math

import numpy as np
import pytest

pytest.importorskip("rclpy")

from message_fuzz import LOOPS, Samples, fuzzed_loop
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from safe_locomotion.nodes.tick_feed import DISPLAY

MUTANTS = 60  # of each subscription here; there are 57
SAMPLES = Samples()
DISPLAY_TOPIC = f"/{DISPLAY}"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy: mutants hold 1e308
@pytest.mark.parametrize("name", LOOPS)
def test_a_node_survives_malformed_messages(name, ros_domain, tmp_path):
    """Mutants end nothing, and then raw bytes on the wire are counted on /diagnostics by topic."""
    with fuzzed_loop(name, tmp_path) as fuzzed:
        rng = np.random.default_rng(0)
        for topic in fuzzed.subscriptions:
            fuzzed.feed(topic, MUTANTS, SAMPLES, rng)
        # While somebody publishes for displays, a display hears nothing else.
        others = fuzzed.subscriptions.keys() - {DISPLAY_TOPIC}
        assert not fuzzed.deaf_to(others)
        assert not fuzzed.deaf_to(fuzzed.subscriptions.keys() - others)


def test_the_mpc_refuses_numbers_that_no_robot_has(ros_domain, tmp_path):
    """The cosine of infinity raises, and so does a stride of 0 Hz; mutants ended the node so."""
    numbers = (math.inf, -math.inf, math.nan, 1e308)
    verdicts = [(6, number) for number in numbers] + [(7, 0.0), (7, 5e-324), (8, 0.0), (8, 1.5)]
    with fuzzed_loop("mpc", tmp_path) as fuzzed:
        hears = {topic: each.callback for topic, each in fuzzed.subscriptions.items()}
        for k, number in enumerate(numbers):
            good = SAMPLES.of(k)
            assert hears["/safety/verdict"](good["/safety/verdict"])
            estimate = deserialize_message(good["/state_estimate"], Float64MultiArray)
            estimate.data[14] = number
            assert not hears["/state_estimate"](serialize_message(estimate)), number
        for k, (row, number) in enumerate(verdicts, start=len(numbers)):
            good = SAMPLES.of(k)
            verdict = deserialize_message(good["/safety/verdict"], JointState)
            verdict.position[row] = number
            assert hears["/state_estimate"](good["/state_estimate"])
            hears["/safety/verdict"](serialize_message(verdict))
        wanted = {"/state_estimate": len(numbers), "/safety/verdict": len(verdicts)}
        assert fuzzed.turn_until(
            lambda: {topic: fuzzed.refused(topic) for topic in hears} == wanted
        )
