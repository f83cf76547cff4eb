"""Recorder node: writes all messages of the stack, on every tick, into rosbag2 folders.

The recorder is a process of its own, off the control path. A full disk, a slow card or a crash
costs the recording, never the robot. It polls its queues fifty times a second and takes messages as
they were serialised. From the composed graph it gets ten ticks in one message.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic, sleep
from typing import Any, Literal

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import BatteryState, Imu, JointState, MultiDOFJointState
from std_msgs.msg import Float64MultiArray, UInt8MultiArray
from std_srvs.srv import SetBool
from visualization_msgs.msg import MarkerArray

from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.messages import cdr
from safe_locomotion.messages.ticks import unpack
from safe_locomotion.messages.topics import TICKS, TOPICS, Topic
from safe_locomotion.nodes import conversions, decisions, views
from safe_locomotion.nodes.health import OK, WARN, Health, LoopTimes, status
from safe_locomotion.nodes.mailbox import Mailbox
from safe_locomotion.nodes.operator import hear_requests
from safe_locomotion.nodes.parameters import DECLARE_FROM_OVERRIDES, read_parameters
from safe_locomotion.nodes.runtime import run
from safe_locomotion.nodes.subscriptions import LATCHED, OutOfTheExecutor
from safe_locomotion.nodes.tick_feed import TICKS_QOS
from safe_locomotion.recording.frames import RobotFrames
from safe_locomotion.recording.run_description import RunDescription
from safe_locomotion.recording.session import Session, SessionSettings

POLL_S = 0.02  #: between two looks into the queues [s]
DEPTH = 2000  #: messages of a full-rate topic: four seconds, for which the disk may be busy
SLOW_DEPTH = 100  #: messages of the other topics
ANSWER_S = 5.0  #: time to answer a request [s]; a slow disk may take it to close an episode
RECORD = "record"
ESTIMATE = "state_estimate"
DESCRIPTION = "robot_description"
MARKERS = "safety/markers"
FEEDBACK = "safety/feedback"
NO_BATCH = -1
UNNUMBERED = 2**64 - 1  #: sequence number of a transport that does not number messages
OF_THIS_MACHINE = ("cmd_vel", "diagnostics")  #: topics whose stamps are not robot time
#: Topics whose numbers do not show losses: several publishers, or a number in the message itself.
NOT_COUNTED = (*OF_THIS_MACHINE, TICKS)
MESSAGES = {
    "sensor_msgs/msg/JointState": JointState,
    "sensor_msgs/msg/Imu": Imu,
    "std_msgs/msg/Float64MultiArray": Float64MultiArray,
    "sensor_msgs/msg/MultiDOFJointState": MultiDOFJointState,
    "nav_msgs/msg/Odometry": Odometry,
    "sensor_msgs/msg/BatteryState": BatteryState,
    "diagnostic_msgs/msg/DiagnosticArray": DiagnosticArray,
    "visualization_msgs/msg/MarkerArray": MarkerArray,
}


@dataclass(frozen=True, kw_only=True)
class RecorderSettings(SessionSettings):
    """How the recorder runs.

    Attributes:
        directory: in which the folders of the episodes are made.
        source: `ticks` for the composed graph, `topics` for the graph of five processes.
    """

    directory: str = ""
    source: Literal["ticks", "topics"] = "ticks"


class Tap:
    """Queue of serialised messages of one topic.

    Attributes:
        lost: number of messages that were lost on the way.
        malformed: number of messages that could not be read.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        qos: QoSProfile,
        handle: Callable[[bytes], None],
    ) -> None:
        self.topic = topic
        self._handle = handle
        self._type = message_type
        self._counts = topic not in NOT_COUNTED
        self._subscription = node.create_subscription(
            message_type, topic, self._receive, qos, callback_group=OutOfTheExecutor(), raw=True
        )
        self._sequence = 0
        self.lost = self.malformed = 0

    def poll(self) -> None:
        """Hand over all messages in the queue, oldest first."""
        take = self._subscription.handle.take_message
        while (taken := take(self._type, True)) is not None:
            self._count(taken[1].get("publication_sequence_number") or UNNUMBERED)
            self._receive(taken[0])

    def _receive(self, data: bytes) -> None:
        try:
            self._handle(data)
        except SafeLocomotionError:
            self.malformed += 1

    def _count(self, sequence: int) -> None:
        if sequence == UNNUMBERED or not self._counts:
            return
        if 0 < self._sequence < sequence:
            self.lost += sequence - self._sequence - 1
        self._sequence = sequence


class RecorderNode(Node):
    """Name, parameters, service and status of the recorder."""

    def __init__(self) -> None:
        super().__init__("recorder_node", **DECLARE_FROM_OVERRIDES)
        self.parameters = read_parameters(self, RecorderSettings)
        self.mailbox = Mailbox()
        self.times = LoopTimes("recorder look")
        self._run = RunDescription(self, self.parameters.robot.name)
        self.session = Session(self.parameters.settings, self._run.info, monotonic)
        self.lost: dict[str, int] = {}
        self._told = ""
        self.create_service(SetBool, RECORD, self._serve)
        requests = hear_requests(self, self._follow)
        rows = (self._status, requests.status, self.times.status)
        Health(self, rows, now_ns=lambda: self.session.now_ns)

    def drives(self, policy: str) -> None:
        """Note the name of a learner that drives."""
        self._run.drives(policy)

    def _serve(self, request: Any, response: Any) -> Any:
        refusal = self._ask(bool(request.data), "service")
        path = self.session.path
        response.success = refusal is None
        response.message = refusal or str(path or "")
        return response

    def _follow(self, word: str) -> None:
        if word == RECORD:
            refusal = self._ask(None, "remote")
            if refusal is not None:
                self.get_logger().warning(f"the remote's request to record was refused: {refusal}")

    def _ask(self, on: bool | None, why: str) -> str | None:
        """Start or stop recording, or toggle it with `on` None; the refusal, or None."""
        session = self.session

        def request() -> str | None:
            return session.request(not session.recording if on is None else on, why)

        try:
            return self.mailbox.ask(request, ANSWER_S)
        except SafeLocomotionError as error:
            return str(error)

    def tell(self) -> None:
        """Log what has changed."""
        session = self.session
        if session.quota.news:
            self.get_logger().warning(session.quota.news)
            session.quota.news = ""
        text = session.fault
        if not text and session.recording:
            text = f"recording {session.path}"
        elif not text:
            text = f"{session.finished} episode(s) recorded"
        if text == self._told:
            return
        self._told = text
        if session.fault:  # rclpy allows one severity per line of code
            self.get_logger().warning(text)
        else:
            self.get_logger().info(text)

    def _status(self) -> DiagnosticStatus:
        session = self.session
        lost = sum(self.lost.values())
        values = {
            "episodes": session.finished,
            "path": session.path or "",
            "written": sum(session.written.values()),
            "dropped": lost,
            "deleted by the quota": session.quota.deleted,
            **{f"dropped {topic}": count for topic, count in self.lost.items() if count},
        }
        if session.fault:
            return status("recorder", WARN, session.fault, values)
        level = WARN if lost else OK
        return status("recorder", level, "recording" if session.recording else "waiting", values)


class RecorderLoop:
    """The recorder as a process."""

    freeze_garbage = False

    def __init__(self) -> None:
        self._node = RecorderNode()
        self.nodes: Sequence[Node] = (self._node,)
        self.slow_nodes: Sequence[Node] = ()
        settings = self._node.parameters.settings
        self._session = self._node.session
        cmd_vel = {"TwistStamped": TwistStamped, "Twist": Twist}[settings.cmd_vel_type]
        self._taps: list[Tap] = []
        self._tap(JointState, FEEDBACK, LATCHED, self._on_feedback)  # the first to be connected
        for topic in TOPICS:
            if topic.made or (settings.source == "ticks" and topic.full_rate):
                continue
            kind = MESSAGES.get(topic.type, cmd_vel)
            self._tap(kind, topic.name, _qos(topic), self._handler(topic, kind))
        if settings.source == "ticks":
            self._tap(UInt8MultiArray, TICKS, TICKS_QOS, self._on_ticks)
        self._next_s = monotonic()
        self._batch = NO_BATCH
        self._frames = RobotFrames(self._node.parameters.robot.name)
        self._session.heading = ((DESCRIPTION, self._frames.description),)

    def _tap(
        self, kind: type, topic: str, qos: QoSProfile, handle: Callable[[bytes], None]
    ) -> None:
        self._taps.append(Tap(self._node, kind, topic, qos, handle))

    def start(self) -> None:
        """Load the writer's library, so that the first walk does not wait for it."""
        self._session.warm_up()

    def step(self) -> None:
        """Sleep until the next look is due, take all messages, and do what is due."""
        sleep(max(0.0, self._next_s - monotonic()))
        start = monotonic()
        self._next_s = max(self._next_s + POLL_S, start)
        self._node.mailbox.serve()
        for tap in self._taps:
            tap.poll()
            if tap.lost or tap.malformed:
                self._lose(tap.topic, tap.lost + tap.malformed)
                tap.lost = tap.malformed = 0
        self._session.settle()
        self._node.times.add(monotonic() - start)

    def tidy(self) -> None:
        """Log what has changed."""
        self._node.tell()

    def close(self) -> None:
        """Close the open episode."""
        self._session.close()
        self._node.tell()

    def _lose(self, topic: str, count: int) -> None:
        if count:
            self._session.dropped[topic] += count
            self._node.lost[topic] = self._node.lost.get(topic, 0) + count

    def _add(self, name: str, stamp_ns: int, data: bytes) -> None:
        """Record a message of the stack, and the frames that belong to an estimate."""
        self._session.add(name, stamp_ns, data)
        if name == ESTIMATE and self._frames.due(stamp_ns):
            estimate = conversions.estimate_from(views.read(data, Float64MultiArray))
            if np.isfinite(estimate.q).all():
                self._session.add("tf", stamp_ns, self._frames.message(estimate))

    def _handler(self, topic: Topic, kind: type) -> Callable[[bytes], None]:
        session = self._session
        name = topic.name
        if name in (*OF_THIS_MACHINE, MARKERS):  # an array of markers has no stamp
            return partial(self._add_now, name, kind)
        if topic.type == "std_msgs/msg/Float64MultiArray":
            return lambda data: self._add(name, cdr.float_array_stamp(data), data)
        if topic.type == "sensor_msgs/msg/JointState":
            return lambda data: session.add(name, cdr.stamp_of(data), cdr.trimmed_joint_state(data))
        return lambda data: session.add(name, cdr.stamp_of(data), data)

    def _add_now(self, name: str, kind: type, data: bytes) -> None:
        """Record a message whose own stamp is not robot time, if it can be read."""
        views.read(data, kind)
        if self._session.now_ns:
            self._session.add(name, self._session.now_ns, data)

    def _on_ticks(self, data: bytes) -> None:
        number, entries = unpack(data)
        if 0 <= self._batch < number:
            self._lose(TICKS, number - self._batch - 1)
        self._batch = number
        for topic, stamp_ns, message in entries:
            self._add(topic, stamp_ns, message)

    def _on_feedback(self, data: bytes) -> None:
        feedback = decisions.feedback_from(views.read(data, JointState))
        if feedback.policy:
            self._node.drives(feedback.policy)
        self._session.change_mode(cdr.stamp_of(data), feedback.mode)


def _qos(topic: Topic) -> QoSProfile:
    """QoS of a subscription, deep enough for the longest time that the disk is busy.

    It is best effort where the topic is: a reliable reader would cost the publisher more.
    """
    reliable = topic.reliable or (topic.latched and not topic.full_rate)
    return QoSProfile(
        depth=DEPTH if topic.full_rate else SLOW_DEPTH,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL
        if topic.latched and not topic.full_rate
        else DurabilityPolicy.VOLATILE,
    )


def main(args: list[str] | None = None) -> int:
    """Run the recorder until a signal ends it."""
    return run(RecorderLoop, args)


if __name__ == "__main__":
    sys.exit(main())
