"""Monitor node: draws the robot and its safety for RViz, as `safety/markers` in the frame `odom`.

Where `tf2_msgs` is installed, it sends the frames of the links as well.

The monitor is a process of its own, off the control path. It may die, stall or never start, and the
robot walks on. It looks at the topics `rate_hz` times a second.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, perf_counter, sleep

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from visualization_msgs.msg import MarkerArray

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.nodes.health import Health, LoopTimes, robot_time_ns
from safe_locomotion.nodes.parameters import DECLARE_FROM_OVERRIDES, read_parameters
from safe_locomotion.nodes.runtime import run
from safe_locomotion.ui.markers import LastingMarkers, MovingMarkers
from safe_locomotion.ui.safety_view import VIEW, safety_view
from safe_locomotion.ui.scene_topics import SceneTopics
from safe_locomotion.ui.transforms import transforms

MARKERS = "safety/markers"
#: A look is two messages. Reliable, because RViz and Foxglove subscribe reliably by default.
MARKERS_QOS = QoSProfile(
    depth=4, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE
)
LASTING_EACH = 2  #: looks for each message of texts and predictions; a prediction comes each 0.1 s
FASTEST_HZ = 50.0
SLOWEST_HZ = 4.0  #: markers live for half a second


@dataclass(frozen=True, kw_only=True)
class MonitorSettings:
    """How the monitor runs.

    Attributes:
        rate_hz: looks per second of wall clock.
        link_frames: send the frames of all links on /tf; false beside robot_state_publisher.
    """

    rate_hz: float = 20.0
    link_frames: bool = True

    def __post_init__(self) -> None:
        """Refuse a rate at which markers would die, or one that costs too much.

        Raises:
            ConfigurationError: names the limits.
        """
        if not SLOWEST_HZ <= self.rate_hz <= FASTEST_HZ:
            raise ConfigurationError(
                f"monitor_node: rate_hz: must lie within {SLOWEST_HZ} and {FASTEST_HZ} Hz"
                f" (found {self.rate_hz})"
            )


class MonitorLoop:
    """The monitor as a process."""

    freeze_garbage = False

    def __init__(self) -> None:
        node = Node("monitor_node", **DECLARE_FROM_OVERRIDES)
        parameters = read_parameters(node, MonitorSettings)
        self.nodes: Sequence[Node] = (node,)
        self.slow_nodes: Sequence[Node] = ()
        self._topics = SceneTopics(node, parameters.robot, parameters.config)
        body = self._topics.maker.body
        bars = len(self._topics.maker.bar_names)
        self._moving = MovingMarkers(body, bars)
        self._lasting = LastingMarkers(body, bars)
        self._looks = 0
        self._publisher = node.create_publisher(MarkerArray, MARKERS, MARKERS_QOS)
        self._view = node.create_publisher(DiagnosticArray, VIEW, MARKERS_QOS)
        self._transforms = transforms(node, body) if parameters.settings.link_frames else None
        self._times = LoopTimes("monitor look")
        self._period_s = 1.0 / parameters.settings.rate_hz
        self._next_s = monotonic()
        streams = self._topics.streams
        Health(
            node,
            [*(stream.status for stream in streams), self._times.status],
            now_ns=lambda: robot_time_ns(streams),
        )

    def start(self) -> None:
        """Do nothing: a picture needs no warm-up."""

    def step(self) -> None:
        """Sleep until the next look is due, then publish one scene."""
        sleep(max(0.0, self._next_s - monotonic()))
        self._next_s = max(self._next_s + self._period_s, monotonic())
        start = perf_counter()
        scene = self._topics.look()
        if scene is None:
            return
        self._publisher.publish(self._moving.update(scene))
        if self._topics.verdict is not None:
            self._view.publish(safety_view(self._topics.verdict))
        if self._looks % LASTING_EACH == 0:
            self._publisher.publish(self._lasting.update(scene))
        self._looks += 1
        if self._transforms is not None and self._topics.estimate is not None:
            self._transforms.publish(self._topics.estimate)
        self._times.add(perf_counter() - start)

    def tidy(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def main(args: list[str] | None = None) -> int:
    """Run the monitor until a signal ends it."""
    return run(MonitorLoop, args)


if __name__ == "__main__":
    sys.exit(main())
