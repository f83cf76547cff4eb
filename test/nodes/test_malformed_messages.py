"""No message ends a node, on any of its subscriptions: it is counted, dropped and said.

Every node builds its real control loop in this process and is asked which topics it hears.
`message_fuzz` is also a program, which feeds as many mutants as one wants.
"""

import numpy as np
import pytest

pytest.importorskip("rclpy")

from message_fuzz import LOOPS, Samples, fuzzed_loop

from safe_locomotion.nodes.tick_feed import DISPLAY

MUTANTS = 60  # of each subscription here; there are 52
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
