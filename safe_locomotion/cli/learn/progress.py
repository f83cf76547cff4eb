"""How far a learning robot is, in one line."""

from collections import deque
from collections.abc import Mapping
from math import inf
from time import monotonic
from typing import Any

from safe_locomotion.cli.learn.driver import WHY, Driver
from safe_locomotion.operator.learning_flight import Sight
from safe_locomotion.types import NANOSECONDS

RECENT = 400  #: looks over which the real-time factor is taken; at 20 Hz 20 s


class LearningProgress:
    """Follows one learning from its beginning or its resumption."""

    def __init__(self, driver: Driver, updates: int) -> None:
        """Nothing was seen yet.

        Args:
            driver: of the robot.
            updates: after which the learning ends.
        """
        self._driver = driver
        self._updates = updates
        self._times: deque[tuple[int, float]] = deque(maxlen=RECENT)
        self._first: tuple[int, float] | None = None

    def line(self, sight: Sight | None) -> str:
        """The line."""
        driver = self._driver
        status = driver.status
        done = int(status.get("updates", 0))
        words = [f"update {done} of {self._updates}"]
        wanted = int(status.get("wanted", 0))
        if wanted:
            words.append(f"walk {min(driver.found + driver.flight.walks + 1, wanted)} of {wanted}")
        if sight is not None:
            words.append(f"{sight.mode.name.lower()} {WHY[driver.hold]}".strip())
            words.append(f"{self.factor(sight):.2f} x real time")
        words.append(f"{driver.walked_s / 60.0:.1f} min walked")
        words.append(f"{len(driver.journal.falls)} falls")
        left = self.left_s(done) if status else inf
        if left < inf:
            words.append(f"{left / 60.0:.0f} min left")
        return "  ".join(words)

    def factor(self, sight: Sight) -> float:
        """Robot time over wall time in the last seconds."""
        if self._times and sight.stamp_ns < self._times[-1][0]:
            self._times.clear()
        self._times.append((sight.stamp_ns, monotonic()))
        (stamp_ns, wall), (last_ns, last) = self._times[0], self._times[-1]
        return (last_ns - stamp_ns) / NANOSECONDS / (last - wall) if last > wall else 0.0

    def left_s(self, done: int) -> float:
        """Wall time to the last update, at the pace so far [s]; infinite before the first."""
        if self._first is None:
            self._first = done, monotonic()
        made = done - self._first[0]
        if not made:
            return inf
        return (self._updates - done) * (monotonic() - self._first[1]) / made


def update_words(number: int, figures: Mapping[str, Any]) -> str:
    """Figures of one update for the terminal."""
    return (
        f"update {number}: reward {figures['reward']:.3f}"
        f"  recovery {100.0 * figures['recovery_share']:.1f} %"
        f"  falls {figures['falls']:.0f}"
        f"  energy {figures['energy_j_per_m']:.0f} J/m"
        f"  width {figures['width_m']:.3f} m"
        f"  without recovery {figures['streak_s']:.2f} s"
    )
