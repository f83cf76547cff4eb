"""One publisher per topic of the control path: who is heard, and when a second is a hazard."""

import pytest

pytest.importorskip("rclpy")

from safe_locomotion.errors import BackendError
from safe_locomotion.nodes.publishers import (
    CONTROL_TOPICS,
    HELD,
    SECOND,
    Binding,
    PublisherWatch,
    gid_of,
)

ONE = b"\1"
TWO = b"\2"


class Graph:
    """How many publishers each topic has."""

    def __init__(self):
        self.connected = 1
        self.counts = dict.fromkeys(CONTROL_TOPICS, 1)

    def bindings(self):
        """Two, as the bridge has."""
        return [Binding(lambda: self.connected), Binding(lambda: self.connected)]


def bound(graph, *, strict=False):
    """A binding to ONE."""
    binding = graph.bindings()[0]
    binding.strict = strict
    binding.bind(ONE)
    return binding


def test_the_first_good_publisher_is_bound_and_others_are_dropped():
    """Until something is bound, everybody may try."""
    graph = Graph()
    graph.connected = 2
    binding = graph.bindings()[0]
    assert binding.admits(ONE) and binding.admits(TWO) and not binding.strict
    binding.bind(ONE)
    assert binding.admits(ONE) and not binding.admits(TWO) and binding.strangers == 1
    binding.release()
    assert binding.admits(TWO) and binding.strangers == 1


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("connected", [0, 1, 2])
def test_a_node_that_was_started_again_may_take_the_place_of_one_that_left(strict, connected):
    """Only while it is alone, and never under an active bridge."""
    graph = Graph()
    graph.connected = connected
    binding = bound(graph, strict=strict)
    admitted = connected <= 1 and not strict
    assert binding.admits(TWO) is admitted
    assert binding.strangers == (0 if admitted else 1)


@pytest.mark.parametrize(("connected", "shared"), [(0, False), (1, False), (2, True), (3, True)])
def test_two_connected_publishers_share_a_topic(connected, shared):
    """One that has not come yet does not."""
    graph = Graph()
    graph.connected = connected
    assert bound(graph).shared is shared


def test_alone_nothing_is_a_hazard():
    """Over many ticks, active or not."""
    graph = Graph()
    watch = PublisherWatch(graph.bindings(), graph.counts.__getitem__)
    assert not any(watch.update(bound=k % 2 == 0) for k in range(5 * len(CONTROL_TOPICS)))


def test_a_second_publisher_of_the_own_topics_is_seen_on_the_next_tick():
    """The hazard ends HELD states after it has left, so every listener hears of it."""
    graph = Graph()
    watch = PublisherWatch(graph.bindings(), graph.counts.__getitem__)
    graph.connected = 2
    assert watch.update(bound=True) == SECOND
    graph.connected = 1
    assert [watch.update(bound=True) for _ in range(HELD)] == [SECOND] * (HELD - 1) + [frozenset()]


@pytest.mark.parametrize("topic", CONTROL_TOPICS)
def test_a_second_publisher_of_any_topic_is_seen_in_as_many_ticks_as_there_are_topics(topic):
    """Those that the bridge does not hear itself too."""
    graph = Graph()
    watch = PublisherWatch(graph.bindings(), graph.counts.__getitem__)
    graph.counts[topic] = 2
    assert SECOND in [watch.update(bound=True) for _ in CONTROL_TOPICS]


def test_a_message_of_a_stranger_is_seen_although_he_has_left():
    """A publisher that comes and goes between two ticks leaves a trace, which counts once."""
    graph = Graph()
    bindings = graph.bindings()
    watch = PublisherWatch(bindings, graph.counts.__getitem__)
    watch.update(bound=True)
    bindings[1].bind(ONE)
    assert not bindings[1].admits(TWO)
    seen = [watch.update(bound=True) for _ in range(HELD + 1)]
    assert seen == [SECOND] * HELD + [frozenset()]


def test_activation_needs_one_publisher_each_and_binds_anew():
    """Two refuse it and are named. Alone, the publisher of this moment is bound."""
    graph = Graph()
    bindings = graph.bindings()
    watch = PublisherWatch(bindings, graph.counts.__getitem__)
    bindings[0].bind(ONE)
    watch.update(bound=True)
    assert not bindings[0].admits(TWO)
    watch.require_one_each()
    assert bindings[0].admits(TWO)
    graph.counts["mpc/plan"] = 2
    with pytest.raises(BackendError, match="two programs publish on mpc/plan;"):
        watch.require_one_each()


def test_a_client_library_that_tells_no_gid_binds_nobody():
    """All messages then look alike; the count of publishers still tells."""
    assert gid_of({"publisher_gid": {"data": b"\1\2"}}) == b"\1\2"
    assert gid_of({}) == gid_of({"publisher_gid": None}) == b""
