"""A robot process's wire in memory, and a controller that stands up, for tests."""

from collections import Counter, deque

import numpy as np

from safe_locomotion.robot.models import load_robot
from safe_locomotion.types import LowCommand, LowState

ROBOT = load_robot("a1")


def hold(q, stamp_ns: int = 0) -> LowCommand:
    zero = np.zeros(12)
    return LowCommand(
        stamp_ns=stamp_ns, q=q, dq=zero, tau=zero, kp=np.full(12, 80.0), kd=np.full(12, 3.0)
    )


class Controller:
    """Stands up over 1 s from where the joints are at its first state, then stands."""

    def __init__(self) -> None:
        self.start: LowState | None = None

    def __call__(self, state: LowState) -> LowCommand:
        if self.start is None:
            self.start = state
        s = min(1.0, (state.stamp_ns - self.start.stamp_ns) * 1e-9)
        return hold(
            self.start.q + (ROBOT.q_stand - self.start.q) * (3 * s * s - 2 * s**3), state.stamp_ns
        )


class MemoryWire:
    """A wire in memory with its own clock.

    The controller answers every state after `latency` [s] unless it is `silent`.

    Attributes:
        connected: readers of states that the robot knows of.
        answers: commands under way, each with the time of its arrival.
    """

    def __init__(self, controller, latency: float = 0.0, starts_after: int = 0) -> None:
        self.rejected: Counter[str] = Counter()
        self.overtaken = 0
        self.states: list[LowState] = []
        self.truths: list[int] = []
        self.now = 0.0
        self.silent = False
        self.connected = 0
        self.latency = latency
        self.starts_after = starts_after
        self._controller = controller
        self.answers: deque[tuple[float, LowCommand]] = deque()

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def publish(self, state: LowState) -> None:
        self.states.append(state)
        if not self.silent and len(self.states) > self.starts_after:
            self.answers.append((self.now + self.latency, self._controller(state)))

    def listeners(self) -> int:
        return self.connected

    def take_command(self, timeout_s: float) -> LowCommand | None:
        if self.answers and self.answers[0][0] <= self.now + timeout_s:
            due, command = self.answers.popleft()
            self.now = max(self.now, due)
            return command
        self.now += timeout_s
        return None

    def publish_truth(self, *, stamp_ns, **_: object) -> None:
        self.truths.append(stamp_ns)
