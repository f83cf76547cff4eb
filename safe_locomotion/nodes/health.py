"""What a node says about itself on `/diagnostics`: its streams, its loop times, its reasons.

A stream is alive, valid and on time, or not. Counters are plain attributes: the control thread
writes them, the executor's timer reads them. Each is one object, so the reader sees an old or a new
value, never half of one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from time import monotonic

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.time import Time

from safe_locomotion.errors import one_line

LONGEST_FAULT = 200  #: characters of a fault, which may quote a malformed message
SHORTER = 8  #: a step may be shorter than its period by this part: clocks are corrected
RATED_EACH_S = 0.2  #: a rate over a shorter time would jump
STEADY = Clock(clock_type=ClockType.STEADY_TIME)
"""Of all timers. By default a timer waits for the wall clock, and stops while that is set back."""
OK = DiagnosticStatus.OK
WARN = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR
STALE = DiagnosticStatus.STALE


class Stream:
    """One incoming stream and its health.

    Alive: a message came lately. Valid: the last message could be read. On time: no stamp is
    missing.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout_s: float,
        period_ns: int = 0,
        required: bool = True,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Start silent.

        Args:
            name: of its row of the diagnostics.
            timeout_s: wall-clock silence after which the stream is not alive [s].
            period_ns: expected step between stamps, 0 when there is none [ns].
            required: whether silence is a fault.
            clock: monotonic wall clock [s].
        """
        self.name = name
        self._timeout_s = timeout_s
        self._period_ns = period_ns
        self._clock = clock
        self._required = required
        self.received = 0
        self.rejected = 0
        self.missed = 0
        self.last_stamp_ns = 0
        self.last_heard_s = float("-inf")
        self.fault = ""
        self._told_missed = 0
        self._rated = 0
        self._rated_s = clock()
        self._rate_hz = 0.0

    def hear(self, stamp_ns: int) -> None:
        """Count a good message."""
        if self._period_ns and self.received and stamp_ns > self.last_stamp_ns:
            step_ns = stamp_ns - self.last_stamp_ns + self._period_ns // SHORTER
            self.missed += max(0, step_ns // self._period_ns - 1)
        self.received += 1
        self.last_stamp_ns = stamp_ns
        self.last_heard_s = self._clock()
        self.fault = ""

    def reject(self, reason: str) -> None:
        """Count a message that was dropped."""
        self.rejected += 1
        self.fault = one_line(reason, LONGEST_FAULT)

    @property
    def alive(self) -> bool:
        """Whether a good message came within the timeout."""
        return self.received > 0 and self._clock() - self.last_heard_s <= self._timeout_s

    @property
    def silence_ns(self) -> int:
        """Time since the last good message, 0 while the stream is alive [ns]."""
        return 0 if self.alive else round(1e9 * (self._clock() - self.last_heard_s))

    @property
    def expected(self) -> bool:
        """Whether it is worth waiting for: it was never heard yet, or it is alive."""
        return not self.received or self.alive

    def status(self) -> DiagnosticStatus:
        """Row of the diagnostics message."""
        if self.fault:
            level = ERROR
            text = self.fault
        elif not self.alive:
            level = STALE if self._required else OK
            text = (
                "nothing received yet"
                if not self.received
                else f"silent for more than {self._timeout_s} s"
            )
        elif self.missed > self._told_missed:
            level = WARN
            text = f"{self.missed - self._told_missed} stamp(s) missing"
        else:
            level = OK
            text = "on time"
        self._told_missed = self.missed
        values = {
            "alive": self.alive,
            "valid": not self.fault,
            "received": self.received,
            "rejected": self.rejected,
            "missed": self.missed,
            "rate_hz": f"{self._rate():.1f}",
            "age_ms": f"{1e3 * (self._clock() - self.last_heard_s):.0f}",
        }
        return status(self.name, level, text, values)

    def _rate(self) -> float:
        """Good messages per second of wall clock since the last status [Hz]."""
        now = self._clock()
        received = self.received
        if now - self._rated_s >= RATED_EACH_S:
            self._rate_hz = (received - self._rated) / (now - self._rated_s)
            self._rated = received
            self._rated_s = now
        return self._rate_hz


class LoopTimes:
    """Durations of the last ticks."""

    def __init__(self, name: str, size: int = 1024) -> None:
        self.name = name
        self._seconds = np.zeros(size)
        self.count = 0

    def add(self, seconds: float) -> None:
        """Record one tick [s]."""
        self._seconds[self.count % len(self._seconds)] = seconds
        self.count += 1

    def status(self) -> DiagnosticStatus:
        """Row of the diagnostics message: percentiles over the last ticks [ms]."""
        if not self.count:
            return status(self.name, OK, "no tick yet", {"count": 0})
        recent = self._seconds[: min(self.count, len(self._seconds))] * 1e3
        p50, p99, most = np.percentile(recent, (50, 99, 100))
        values = {
            "p50_ms": f"{p50:.3f}",
            "p99_ms": f"{p99:.3f}",
            "max_ms": f"{most:.3f}",
            "count": self.count,
        }
        return status(self.name, OK, f"{p50:.3f} ms", values)


class Reasons:
    """How often each reason was given, and the one that holds now."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()
        self.now: tuple[str, ...] = ()

    def update(self, reasons: tuple[str, ...]) -> None:
        """Take the reasons of this tick; a reason is counted when it begins to hold."""
        if reasons != self.now:
            self.counts.update(set(reasons) - set(self.now))
            self.now = reasons

    def status(self) -> DiagnosticStatus:
        """Row of the diagnostics message."""
        return status(
            self.name, ERROR if self.now else OK, ", ".join(self.now) or "none", dict(self.counts)
        )


def status(name: str, level: bytes, message: str, values: Mapping[str, object]) -> DiagnosticStatus:
    """A diagnostics row."""
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(name=name, level=level, message=message, values=pairs)


def robot_time_ns(streams: Iterable[Stream]) -> int:
    """Robot time by the newest stamp of some streams, which goes on while they are silent [ns].

    0 before the first message.
    """
    heard = [stream for stream in streams if stream.received]
    if not heard:
        return 0
    newest = max(heard, key=lambda stream: stream.last_stamp_ns)
    return newest.last_stamp_ns + newest.silence_ns


class Health:
    """Publishes rows of one node on `/diagnostics` from the executor thread."""

    def __init__(
        self,
        node: Node,
        rows: Iterable[Callable[[], DiagnosticStatus]],
        rate_hz: float = 2.0,
        *,
        now_ns: Callable[[], int] = lambda: 0,
    ) -> None:
        """Publish from now on.

        Args:
            node: that publishes.
            rows: makers of the rows.
            rate_hz: messages per second.
            now_ns: robot time, the clock of all other topics; 0 while it is unknown [ns]. The
                clock of this machine stands for it then.
        """
        self._node = node
        self._now_ns = now_ns
        self._rows = list(rows)
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(1.0 / rate_hz, self.publish, clock=STEADY)

    def publish(self) -> None:
        """Send all rows now."""
        message = DiagnosticArray(status=[row() for row in self._rows])
        now_ns = self._now_ns() or self._node.get_clock().now().nanoseconds
        message.header.stamp = Time(nanoseconds=now_ns).to_msg()
        for row in message.status:
            row.name = f"{self._node.get_name()}: {row.name}"
            row.hardware_id = self._node.get_name()
        self._publisher.publish(message)
