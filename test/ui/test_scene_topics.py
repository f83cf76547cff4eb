"""Topics behind a scene: `display/ticks` while a node publishes it, otherwise the topics."""

import time
from dataclasses import replace

import numpy as np
import pytest
from core_values import A1, START_NS, estimate, stance_plan, verdict
from ros_world import PATIENCE_S, ros_tester

pytest.importorskip("rclpy")

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, UInt8MultiArray

from safe_locomotion.config import load_config
from safe_locomotion.messages import encode
from safe_locomotion.messages.ticks import TickBatch
from safe_locomotion.nodes.subscriptions import LATCHED, NEWEST
from safe_locomotion.nodes.tick_feed import DISPLAY, DISPLAY_QOS, DisplayFeed, OnDemand
from safe_locomotion.types import Mode
from safe_locomotion.ui.scene_topics import SceneTopics

TICK_NS = 4_000_000


def until(step, condition):
    """Repeat `step` until its result fulfils the condition, and return that result."""
    end = time.monotonic() + PATIENCE_S
    while not condition(result := step()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return result


def said(k, **more):
    """Estimate, verdict and plan of tick k."""
    stamp_ns = START_NS + k * TICK_NS
    e = estimate(stamp_ns=stamp_ns, position=np.array((0.001 * k, 0.0, 0.27)))
    return (
        e,
        verdict(stamp_ns=stamp_ns, mode=Mode.WALK, **more),
        replace(stance_plan(), stamp_ns=stamp_ns),
    )


class Ticks:
    """The MPC node's calls on each of its ticks. One tick in 25, never shown, has a rollout."""

    def __init__(self, node):
        self.feed = DisplayFeed(node)
        self.k = 0

    def __call__(self):
        self.k += 1
        rollout = {"predicted": np.zeros((3, 12))} if self.k % 25 == 7 else {}
        e, v, plan = said(self.k, **rollout)
        self.feed.foresee(deserialize_message(encode.verdict(v), JointState))
        self.feed.settle(e, v, plan)


def test_a_display_uses_the_feed_while_there_is_one(ros_domain):
    """Scenes come from the topics, then from the feed alone, then from the topics again."""
    with ros_tester() as stack, ros_tester() as display:
        topics = SceneTopics(display.node, A1, load_config("a1"))
        estimates = stack.node.create_publisher(Float64MultiArray, "state_estimate", NEWEST)
        verdicts = stack.node.create_publisher(JointState, "safety/verdict", LATCHED)

        def tick():
            e, v, _ = said(0)
            verdicts.publish(encode.verdict(v))
            estimates.publish(encode.state_estimate(e))
            return topics.look()

        first = until(tick, lambda scene: scene is not None and scene.mode is Mode.WALK)
        assert first.position == (0.0, 0.0, 0.27)
        assert estimates.get_subscription_count() == 1
        with ros_tester() as mpc:
            check_feed(mpc, topics, (estimates, verdicts))
        until(tick, lambda scene: scene is not None and scene.position[0] == 0.0)


def check_feed(mpc, topics, publishers):
    """With a feed no display subscribes to the topics, and each rollout arrives."""
    ticks = Ticks(mpc.node)

    def show():
        for _ in range(12):
            ticks()
        return topics.look()

    def unheard(_):
        return not any(publisher.get_subscription_count() for publisher in publishers)

    until(show, lambda scene: scene is not None and scene.position[0] > 0.0)
    until(show, unheard)
    foreseen = until(show, lambda scene: scene is not None and scene.prediction is not None)
    assert (foreseen.prediction.stamp_ns - START_NS) // TICK_NS % 25 == 7
    assert foreseen.feet[0].force[2] > 0.0


def test_a_malformed_feed_is_counted(ros_domain):
    """A message that is no batch of ticks is rejected, and later ones make scenes all the same."""
    with ros_tester() as stack, ros_tester() as display:
        topics = SceneTopics(display.node, A1, load_config("a1"))
        display_feed = topics.streams[-1]
        feed = stack.node.create_publisher(UInt8MultiArray, DISPLAY, DISPLAY_QOS)
        batch = TickBatch()

        def tick():
            feed.publish(UInt8MultiArray(data=[1, 2, 3]))
            e, _, plan = said(3)
            batch.add("state_estimate", 0, encode.state_estimate(e))
            batch.add("mpc/plan", 0, encode.PlanBytes()(plan))
            batch.add("joint_states", 0, b"not looked at")
            feed.publish(batch.take())
            return topics.look()

        # The feed is best effort: the first look can hold the good message alone.
        scene = until(tick, lambda scene: scene is not None and display_feed.rejected)
        assert scene.position[0] == 0.003 and scene.mode is None


def test_a_feed_without_a_display_sends_nothing(ros_domain, monkeypatch):
    """The MPC node publishes no tick while no display listens."""
    monkeypatch.setattr(OnDemand, "publish", lambda feed, data: pytest.fail("published"))
    with ros_tester() as stack:
        ticks = Ticks(stack.node)
        for _ in range(100):
            ticks()
