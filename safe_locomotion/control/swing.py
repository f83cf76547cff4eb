"""Swing feet: where to step (Raibert) and how to get there (cycloid with a smooth lift)."""

from dataclasses import dataclass
from math import cos, pi, sin

from safe_locomotion.robot.kinematics import clamp
from safe_locomotion.rotations import Vector


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
        lost_distance: only if it is further than this from the ground plane [m].
        search_time: in which it moves to its new foothold [s].
        search_speed, search_depth: how fast and how far it then searches downwards [m/s, m].
    """

    height: float = 0.07
    depth: float = 0.005
    velocity_gain: float = 0.05
    reach: float = 0.20
    early_contact: float = 0.6
    lost_after: float = 0.03
    lost_distance: float = 0.01
    search_time: float = 0.06
    search_speed: float = 0.5
    search_depth: float = 0.06


def raibert_step(
    velocity: float, wanted: float, stance_duration: float, gain: float, reach: float
) -> float:
    """Step [m] from under the hip along one horizontal axis: v T_stance / 2 + gain (v - v_wanted), clipped to `reach`.

    Args:
        velocity, wanted: actual and wanted velocity of the hip [m/s].
        stance_duration: [s].
        gain: [s].
        reach: [m].

    Source: Raibert, Legged Robots That Balance, 1986.
    """
    return clamp(velocity * (0.5 * stance_duration) + gain * (velocity - wanted), -reach, reach)


def cycloid(
    start: Vector, end: Vector, height: float, progress: float, duration: float
) -> tuple[Vector, Vector]:
    """Point and velocity of the swing foot, in the frame of `start` and `end`.

    Horizontally a cycloid (zero speed at both ends); vertically a cycloid up to `height` above the higher end on the first half
    and down on the second.
    """
    s = min(1.0, max(0.0, progress))
    (x, y, z), (x_end, y_end, z_end) = start, end
    blend, rate = _cycloid(s)
    apex = max(z, z_end) + height
    low, high, half = (z, apex, 2.0 * s) if s < 0.5 else (apex, z_end, 2.0 * s - 1.0)
    rise, rise_rate = _cycloid(half)
    rate = rate / duration
    rise_rate = 2.0 * rise_rate / duration
    return (
        (x + blend * (x_end - x), y + blend * (y_end - y), low + rise * (high - low)),
        (rate * (x_end - x), rate * (y_end - y), rise_rate * (high - low)),
    )


def _cycloid(s: float) -> tuple[float, float]:
    """Way gone and its derivative at s in [0, 1]."""
    turn = 2.0 * pi * s
    return s - sin(turn) / (2.0 * pi), 1.0 - cos(turn)
