"""The state of a running stack, for a process that only watches: verdict and `/diagnostics`."""

from dataclasses import dataclass, field
from time import monotonic

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from safe_locomotion.nodes import decisions
from safe_locomotion.nodes.subscriptions import LATCHED
from safe_locomotion.types import Verdict
from safe_locomotion.ui.scene_topics import Queue

ROWS = QoSProfile(depth=100)
LEVELS = ("ok", "warn", "error", "stale")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of `/diagnostics`.

    Attributes:
        node, name: the two parts of the row's name.
        level: one of `LEVELS`.
        message, values: of the row.
        heard_s: time of arrival on the monotonic clock [s].
    """

    node: str
    name: str
    level: str
    message: str
    values: dict[str, str]
    heard_s: float


@dataclass(kw_only=True)
class StackReport:
    """What has arrived so far.

    Attributes:
        verdict: the newest.
        verdict_s: time of its arrival on the monotonic clock [s].
        rows: of `/diagnostics` by node and name.
    """

    verdict: Verdict | None = None
    verdict_s: float = float("-inf")
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)


class StackView:
    """Watches a stack on one ROS domain.

    Attributes:
        report: what has arrived so far.
    """

    def __init__(self, domain: int) -> None:
        self._context = rclpy.Context()
        rclpy.init(
            context=self._context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO
        )
        self._node = rclpy.create_node("top", context=self._context)
        self._verdicts = Queue(self._node, JointState, "safety/verdict", LATCHED)
        self._rows = Queue(self._node, DiagnosticArray, "/diagnostics", ROWS)
        self.report = StackReport()

    def look(self) -> StackReport:
        """Take what has arrived since the last look."""
        now = monotonic()
        report = self.report
        verdicts = self._verdicts.take()
        verdict = self._verdicts.read(verdicts[-1], decisions.verdict_from) if verdicts else None
        if verdict is not None:
            report.verdict = verdict
            report.verdict_s = now
        for message in self._rows.messages():
            self._take_rows(message, now)
        return report

    def _take_rows(self, message: DiagnosticArray, now: float) -> None:
        for status in message.status:
            node, colon, name = status.name.partition(": ")
            if not colon or status.hardware_id != node:
                continue  # a row of another program
            level = LEVELS[min(ord(status.level), len(LEVELS) - 1)]
            values = {pair.key: pair.value for pair in status.values}
            row = Row(
                node=node,
                name=name,
                level=level,
                message=status.message,
                values=values,
                heard_s=now,
            )
            self.report.rows[node, name] = row

    def close(self) -> None:
        """Leave the domain."""
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)
