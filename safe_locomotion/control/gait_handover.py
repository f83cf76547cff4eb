"""Gait hand-over: the phases of the legs go from the gait of one policy to that of the next.

They do so without a jump. A phase offset that jumps tells a foot in the air that it stands. Or it
tells a foot that carries the robot that it has been in the air for half a swing. So the difference
between the gaits at the hand-over decays at a bounded rate. What the new driver changes by itself
in the meantime passes through. Frequency and footholds may change at once: the phase integrates the
frequency, and a foot in the air follows its foothold.

All feet are planted first where recovery takes over from a gait that is far from its own, or that
has lifted legs, which come down in `lift.LIFT_TIME`. The swing ratio falls to nothing and comes
back at its bounded rate. On the way between two such gaits there are moments with no foot on the
ground, in which a robot that needs recovery cannot be helped. A planted foot has no phase that
could jump, so the offsets are recovery's at once. At their bounded rate they came later than the
swing ratio, and feet whose phases the learner had brought together lifted together. A learner that
drives again lifts its legs at their next lift-off.
"""

from dataclasses import replace
from math import copysign

from safe_locomotion.types import NANOSECONDS, GaitParameters

RECOVERY = "recovery"  #: the driver that plants the feet
#: Strides per second; below the slowest stride, so that no leg's phase runs backwards.
OFFSET_RATE = 2.0
RATIO_RATE = 4.0  #: 1/s
RATIO_MARGIN = 0.05  #: of the swing ratio from 0 and 1
#: Strides. If offsets of two gaits differ by more, feet are in the air together on the way between
#: them.
PLANTED_FROM = 0.1


class GaitBlend:
    """One `update` per tick; remembers the gait that was executed last."""

    def __init__(self) -> None:
        self._driver = ""
        self._stamp_ns = 0
        self._last: GaitParameters | None = None
        self._offsets = [0.0, 0.0, 0.0]
        self._ratio = 0.0

    def reset(self) -> None:
        """Forget the executed gait: the next gait starts without a blend."""
        self._last = None
        self._offsets = [0.0, 0.0, 0.0]
        self._ratio = 0.0

    def update(self, stamp_ns: int, driver: str, gait: GaitParameters) -> GaitParameters:
        """The gait to execute when `driver` wants `gait`."""
        elapsed = max(0, stamp_ns - self._stamp_ns) / NANOSECONDS
        if self._last is not None and driver != self._driver:
            last = self._last.phase_offsets
            self._offsets = [
                (a - b + 0.5) % 1.0 - 0.5 for a, b in zip(last, gait.phase_offsets, strict=True)
            ]
            self._ratio = self._last.swing_ratio - gait.swing_ratio
            far = max(map(abs, self._offsets)) > PLANTED_FROM or any(self._last.lifted)
            if driver == RECOVERY and far:
                self._offsets = [0.0, 0.0, 0.0]
                self._ratio = RATIO_MARGIN - gait.swing_ratio
        else:
            self._offsets = [_towards_zero(d, OFFSET_RATE * elapsed) for d in self._offsets]
            self._ratio = _towards_zero(self._ratio, RATIO_RATE * elapsed)
        self._driver = driver
        self._stamp_ns = stamp_ns
        self._last = self._shifted(gait) if self._ratio or any(self._offsets) else gait
        return self._last

    def _shifted(self, gait: GaitParameters) -> GaitParameters:
        a, b, c = gait.phase_offsets
        da, db, dc = self._offsets
        ratio = min(1.0 - RATIO_MARGIN, max(RATIO_MARGIN, gait.swing_ratio + self._ratio))
        return replace(
            gait, phase_offsets=((a + da) % 1.0, (b + db) % 1.0, (c + dc) % 1.0), swing_ratio=ratio
        )


def _towards_zero(value: float, step: float) -> float:
    return copysign(max(0.0, abs(value) - step), value)
