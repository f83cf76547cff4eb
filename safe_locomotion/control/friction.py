"""Friction that the MPC may count on.

It falls as soon as a loaded foot slides, and rises slowly back to the configured value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, hypot

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.rotations import Vector
from safe_locomotion.types import N_LEGS


@dataclass(frozen=True, kw_only=True, slots=True)
class SlipParameters:
    """When a foot slides, and what follows.

    Attributes:
        speed: horizontal speed of a loaded foot from which it slides [m/s]; a rolling foot reaches
            0.1.
        after: it must slide for this long [s].
        mu_min: the least friction that is assumed.
        fall_time: time constant with which the friction falls towards `mu_min` while a foot slides
            [s].
        rise_rate: with which it comes back [1/s].
    """

    speed: float
    after: float
    mu_min: float
    fall_time: float
    rise_rate: float

    def __post_init__(self) -> None:
        """Refuse numbers that are not positive."""
        for name in ("speed", "mu_min", "fall_time", "rise_rate"):
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(
                    f"slip: {name}: must be positive (found {getattr(self, name)})"
                )


class SlipWatch:
    """Follows the loaded feet; `mu` is the friction that the MPC may count on."""

    def __init__(self, parameters: SlipParameters, mu: float) -> None:
        self._p = parameters
        self._nominal = mu
        self.mu = mu
        self._mu_min = min(mu, parameters.mu_min)
        self.reset()

    def reset(self) -> None:
        """Forget where the feet were."""
        self._last: list[Vector | None] = [None] * N_LEGS
        self._sliding = [0.0] * N_LEGS

    def update(self, elapsed: float, feet: Sequence[Vector], loaded: Sequence[bool]) -> float:
        """Friction to count on now.

        Args:
            elapsed: since the last call [s].
            feet: (4) foot centres in odom [m].
            loaded: (4) feet that push and feel the ground.
        """
        p = self._p
        worst = 0.0
        for leg, foot in enumerate(feet):
            last = self._last[leg]
            self._last[leg] = foot if loaded[leg] else None
            if last is None or not loaded[leg] or elapsed <= 0.0:
                self._sliding[leg] = 0.0
                continue
            slides = hypot(foot[0] - last[0], foot[1] - last[1]) > p.speed * elapsed
            self._sliding[leg] = self._sliding[leg] + elapsed if slides else 0.0
            worst = max(worst, self._sliding[leg])
        if worst > p.after:
            self.mu = self._mu_min + (self.mu - self._mu_min) * exp(-elapsed / p.fall_time)
        else:
            self.mu = min(self._nominal, self.mu + p.rise_rate * elapsed)
        return self.mu
