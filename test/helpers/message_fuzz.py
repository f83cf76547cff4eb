"""Mutated messages for every subscription of every node, in the process of the node itself.

Nobody lists the subscriptions: each node is asked for its own, so none can be forgotten.

usage: message_fuzz.py COUNT SEED [NODE ...] [/TOPIC ...]; feeds COUNT mutants to each subscription
of these nodes (all, if none is named), or to those of these topics alone, and prints a table. A
message that a node does not survive ends the program with its traceback. Viewer and monitor unpack
the newest messages of a look alone, so they look after each mutant.
"""

import os
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from feeder import at, one_cycle
from geometry_msgs.msg import Point
from random_values import random_estimate, random_low_state
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import serialize_message
from ros_world import ros_tester
from std_msgs.msg import String
from visualization_msgs.msg import Marker, MarkerArray

from safe_locomotion.backends.domains import claim_domain
from safe_locomotion.backends.log import save_states
from safe_locomotion.messages import encode
from safe_locomotion.messages.ticks import TickBatch
from safe_locomotion.messages.topics import TICKS
from safe_locomotion.nodes import conversions, decisions
from safe_locomotion.nodes.bridge import BridgeLoop
from safe_locomotion.nodes.composed import ComposedLoop
from safe_locomotion.nodes.estimator import EstimatorLoop
from safe_locomotion.nodes.mpc import MpcLoop
from safe_locomotion.nodes.operator import REMOTE_REQUEST, REMOTE_VELOCITY
from safe_locomotion.nodes.policy import PolicyLoop
from safe_locomotion.nodes.subscriptions import LATCHED
from safe_locomotion.nodes.supervisor import SupervisorLoop
from safe_locomotion.nodes.tick_feed import DISPLAY, CycleMessages
from safe_locomotion.recording.recorder_node import RecorderLoop
from safe_locomotion.types import NANOSECONDS, Feedback, Mode, VelocityCommand
from safe_locomotion.ui.monitor_node import MonitorLoop
from safe_locomotion.ui.viewer.viewer_node import ViewerLoop

START_NS = 1_700_000_000 * NANOSECONDS
TICK_NS = 4_000_000  # each stage is due on some of them
TICKS_KNOWN = 25  # prepared ticks; they repeat
BLOCK = 5  # mutants of one tick, so that the other topics have a message of the same stamp
STEP_EACH = 4  # blocks between two steps of a loop; a step waits up to 20 ms for messages
LONG_STEP_EACH = 100  # of a run of 10,000 mutants or more
STATES = 40  # of the recorded robot behind the bridge; it replays no more after them
DISPLAYS = ("monitor", "viewer")
LOOPS: dict[str, Callable[[], object]] = {
    "bridge": BridgeLoop,
    "estimator": EstimatorLoop,
    "policy": PolicyLoop,
    "supervisor": SupervisorLoop,
    "mpc": MpcLoop,
    "composed": ComposedLoop,
    "recorder of topics": RecorderLoop,
    "recorder of ticks": RecorderLoop,
    "monitor": MonitorLoop,
    "viewer": ViewerLoop,
}
EXTREMES = (
    *(struct.pack("<I", n) for n in (0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)),
    *(struct.pack("<d", x) for x in (np.nan, np.inf, -np.inf, 1e308, -1.0, 0.0, 5e-324)),
)
MALFORMED = b"\x00\x01\x00\x00\xff\xff"
"""Little-endian, and shorter than any message but an empty string."""


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """The message with flipped bits, extreme numbers, another length or nothing left of it."""
    mutant = bytearray(data)
    sort = int(rng.integers(0, 7))
    if sort == 0:
        return data[: int(rng.integers(0, len(data)))]
    if sort == 1:
        return data + rng.bytes(int(rng.integers(1, 64)))
    if sort == 2:
        return data[:4] + rng.bytes(int(rng.integers(0, 2 * len(data))))
    if sort == 3:
        for _ in range(int(rng.integers(1, 4))):
            extreme = EXTREMES[int(rng.integers(0, len(EXTREMES)))]
            place = int(rng.integers(0, len(data) // 4)) * 4
            mutant[place : place + len(extreme)] = extreme
        return bytes(mutant)
    if sort == 4:
        first, last = sorted(rng.integers(0, len(data), size=2).tolist())
        return data[:first] + data[last:]
    for _ in range(int(rng.integers(1, 9))):
        place = int(rng.integers(0, len(data)))
        mutant[place] ^= 1 << int(rng.integers(0, 8))
    return bytes(mutant)


class Samples:
    """A valid message of each topic at any tick."""

    def __init__(self) -> None:
        self._cycle = one_cycle()
        self._known: dict[int, dict[str, bytes]] = {}
        self._twist = serialize_message(conversions.twist_message(VelocityCommand(vx=0.1), 0))
        row = DiagnosticStatus(name="a: b", values=[KeyValue(key="p50_ms", value="0.1")])
        arrow = Marker(ns="force", points=[Point(), Point(z=0.1)])
        self._fixed = {
            "/cmd_vel": self._twist,
            f"/{REMOTE_VELOCITY}": self._twist,
            f"/{REMOTE_REQUEST}": serialize_message(String(data="sit")),
            "/diagnostics": serialize_message(DiagnosticArray(status=[row])),
            "/safety/view": serialize_message(DiagnosticArray(status=[row])),
            "/safety/markers": serialize_message(MarkerArray(markers=[arrow])),
            "/robot_description": serialize_message(String(data="<robot name='a1'/>")),
            "/battery_state": serialize_message(conversions.battery_from(random_low_state(1))),
            "/odom": encode.odometry(random_estimate(1)),
        }

    def of(self, k: int) -> dict[str, bytes]:
        """Messages of tick `k` by topic; ticks repeat."""
        k %= TICKS_KNOWN
        if k not in self._known:
            self._known[k] = self._made(k)
        return self._known[k]

    def _made(self, k: int) -> dict[str, bytes]:
        stamp_ns = START_NS + k * TICK_NS
        cycle = at(self._cycle, stamp_ns, 0, Mode.WALK)
        entries = list(CycleMessages().of(cycle, 1e-3))
        batch = TickBatch()
        for entry in entries:
            batch.add(*entry)
        packed = batch.take()
        hazards = decisions.hazards_message(stamp_ns, frozenset({"estop"}))
        feedback = decisions.feedback_message(stamp_ns, Feedback(mode=Mode.WALK, policy="learner"))
        return {
            **self._fixed,
            **{f"/{topic}": data for topic, _, data in entries},
            "/low_state": encode.low_state(cycle.state),
            "/safety/hazards": serialize_message(hazards),
            "/safety/feedback": serialize_message(feedback),
            f"/{TICKS}": packed,
            f"/{DISPLAY}": packed,
        }


class FuzzedLoop:
    """A node's control loop, which a test steps and feeds by hand.

    Attributes:
        rows: newest message and values of each row of `/diagnostics`.
    """

    def __init__(self, loop, tester, *, display: bool = False) -> None:
        self.loop = loop
        self._display = display
        self.rows: dict[str, dict[str, str]] = {}
        self._tester = tester
        self._executor = SingleThreadedExecutor()
        for node in loop.nodes:
            self._executor.add_node(node)
        tester.node.create_subscription(DiagnosticArray, "/diagnostics", self._hear, 100)
        self.subscriptions = {s.topic_name: s for node in loop.nodes for s in node.subscriptions}

    def _hear(self, message: DiagnosticArray) -> None:
        for row in message.status:
            self.rows[row.name] = {pair.key: pair.value for pair in row.values}

    def close(self) -> None:
        """End the loop and its nodes."""
        self._executor.shutdown(timeout_sec=1.0)
        self.loop.close()
        for node in self.loop.nodes:
            node.destroy_node()

    def turn(self) -> None:
        """One tick, what follows it, and the callbacks that wait."""
        self.loop.step()
        self.loop.tidy()
        self._executor.spin_once(timeout_sec=0.0)
        self._tester.executor.spin_once(timeout_sec=0.0)

    def turn_until(self, condition: Callable[[], bool], patience_s: float = 20.0) -> bool:
        """Turn until `condition`; whether it became true in time."""
        end = time.monotonic() + patience_s
        while not condition() and time.monotonic() < end:
            self.turn()
        return condition()

    def refused(self, topic: str) -> int:
        """How many messages of a topic were refused, by `/diagnostics`."""
        name = topic.removeprefix("/")
        counts = [0]
        for row, values in self.rows.items():
            if row.partition(": ")[2].removeprefix("/") == name:
                counts.append(int(values.get("rejected", 0)))
            counts.append(int(values.get(f"dropped {name}", 0)))
        return max(counts)

    def deaf_to(self, topics: Collection[str]) -> list[str]:
        """Topics whose malformed messages on the wire are not counted in time."""
        node = self._tester.node
        before = {topic: self.refused(topic) for topic in topics}
        publishers = {
            topic: node.create_publisher(self.subscriptions[topic].msg_type, topic, LATCHED)
            for topic in topics
        }

        def left() -> list[str]:
            return [topic for topic in topics if self.refused(topic) <= before[topic]]

        def all_counted() -> bool:
            for topic in left():
                publishers[topic].publish(MALFORMED)
            return not left()

        self.turn_until(all_counted)
        for publisher in publishers.values():
            node.destroy_publisher(publisher)
        return left()

    def feed(self, topic: str, count: int, samples: Samples, rng: np.random.Generator) -> None:
        """Mutants of one topic between good messages of all topics; anything raised is a fault."""
        each = STEP_EACH if count < 10_000 else LONG_STEP_EACH
        block = 1 if self._display else BLOCK
        quiet = {topic, f"/{DISPLAY}"} if self._display else {topic}  # newer than all other topics
        for k in range(0, count, block):
            good = samples.of(k // BLOCK)
            for other, subscription in self.subscriptions.items():
                if other not in quiet:
                    subscription.callback(good[other])
            for _ in range(min(block, count - k)):
                self.subscriptions[topic].callback(mutate(good[topic], rng))
            if self._display:
                self.loop._next_s = 0.0  # a display waits for its next look
                self.turn()
                continue
            self.subscriptions[topic].callback(good[topic])
            if k // BLOCK % each == 0:
                self.turn()


def _parameters(name: str, folder: Path) -> list[str]:
    states = [random_low_state(0)] * STATES
    recording = folder / "states.npz"
    save_states(recording, states)
    given = {
        "bridge_node": {
            "sdk": "mock",
            "sdk_options.path": str(recording),
            "autostart": "unconfigured" if name == "composed" else "inactive",
        },
        "recorder_node": {"directory": str(folder), "source": name.rpartition(" ")[2]},
        "monitor_node": {"rate_hz": "50.0"},
        "viewer_node": {"rate_hz": "50.0"},
    }
    return [
        part
        for node, values in given.items()
        for key, value in values.items()
        for part in ("-p", f"{node}:{key}:={value}")
    ]


@contextmanager
def fuzzed_loop(name: str, folder: Path) -> Iterator[FuzzedLoop]:
    """The loop of `LOOPS` in this process, on the domain of the environment."""
    rclpy.init(args=["--ros-args", *_parameters(name, folder)])
    try:
        with ros_tester() as tester:
            loop = LOOPS[name]()
            loop.start()
            fuzzed = FuzzedLoop(loop, tester, display=name in DISPLAYS)
            try:
                yield fuzzed
            finally:
                fuzzed.close()
    finally:
        rclpy.try_shutdown()


def main(count: int, seed: int, names: Collection[str], topics: Collection[str]) -> None:
    """Print a row for each subscription of each node; `topics` leaves others out unless empty."""
    samples = Samples()
    sys.stdout.write("| node | topic | mutants | time per mutant |\n|---|---|---|---|\n")
    for name in names:
        with tempfile.TemporaryDirectory() as folder, fuzzed_loop(name, Path(folder)) as fuzzed:
            for topic in topics or fuzzed.subscriptions:
                start = time.monotonic()
                fuzzed.feed(topic, count, samples, np.random.default_rng(seed))
                spent = (time.monotonic() - start) / count
                sys.stdout.write(f"| {name} | {topic} | {count} | {1e6 * spent:.0f} us |\n")
                sys.stdout.flush()


if __name__ == "__main__":
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    with claim_domain() as domain:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        topics = [word for word in sys.argv[3:] if word.startswith("/")]
        nodes = [word for word in sys.argv[3:] if word not in topics]
        main(int(sys.argv[1]), int(sys.argv[2]), nodes or LOOPS, topics)
