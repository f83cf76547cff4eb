"""Swing feet: where to step (Raibert) and how to get there (cycloid with a smooth lift)."""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from safe_locomotion.types import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class SwingParameters:
    """Shape of a swing.

    Attributes:
        height: apex above the higher of lift-off and touchdown [m].
        depth: target below the expected ground, so that the foot arrives even when the ground is lower [m].
        velocity_gain: Raibert gain on v - v_wanted [s].
        reach: largest horizontal step from under the hip [m].
        early_contact: share of the swing after which a measured contact ends it.
        lost_after: a stance foot that feels no ground for this long reaches for it [s].
        search_time: in which it moves to its new foothold [s].
        search_speed, search_depth: how fast and how far it then searches downwards [m/s, m].
    """

    height: float = 0.07
    depth: float = 0.005
    velocity_gain: float = 0.05
    reach: float = 0.20
    early_contact: float = 0.6
    lost_after: float = 0.03
    search_time: float = 0.06
    search_speed: float = 0.5
    search_depth: float = 0.06


def raibert_step(velocity: Array, wanted: Array, stance_duration: float, gain: float, reach: float) -> Array:
    """Horizontal step (..., 2) from under the hip: v T_stance / 2 + gain (v - v_wanted), clipped to `reach` per axis.

    Args:
        velocity, wanted: (..., 2) actual and wanted velocity of the hip [m/s].
        stance_duration: [s].
        gain: [s].
        reach: [m].

    Source: Raibert, Legged Robots That Balance, 1986.
    """
    step = velocity * (0.5 * stance_duration) + gain * (velocity - wanted)
    return np.minimum(np.maximum(step, -reach), reach)


def cycloid(start: Array, end: Array, height: float, progress: float, duration: float) -> tuple[Array, Array]:
    """Point and velocity of the swing foot, each (3,), in the frame of `start` and `end`.

    Horizontally a cycloid (zero speed at both ends); vertically a cycloid up to `height` above the higher end on the first half
    and down on the second.
    """
    s = min(1.0, max(0.0, progress))
    blend = s - sin(2 * pi * s) / (2 * pi)
    rate = (1.0 - cos(2 * pi * s)) / duration
    position = start + blend * (end - start)
    velocity = rate * (end - start)
    apex = max(start[2], end[2]) + height
    half = min(1.0, 2 * s if s < 0.5 else 2 * s - 1.0)
    low, high = (start[2], apex) if s < 0.5 else (apex, end[2])
    position[2] = low + (high - low) * (half - sin(2 * pi * half) / (2 * pi))
    velocity[2] = (high - low) * (1.0 - cos(2 * pi * half)) * 2.0 / duration
    return position, velocity
