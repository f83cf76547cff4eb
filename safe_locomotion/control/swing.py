"""Swing feet: the curve from lift-off to touchdown, and its end as read from one point of it."""

from dataclasses import dataclass
from math import cos, isnan, pi, sin

from safe_locomotion.rotations import Vector

EARLIEST = (
    0.1  #: progress from which the end of a swing can be told; before that the foot hardly moves
)
BISECTIONS = 14  #: to 1e-4


@dataclass(frozen=True, kw_only=True, slots=True)
class SwingParameters:
    """Shape of a swing.

    Attributes:
        height: apex above the higher of lift-off and touchdown [m].
        depth: target below the expected ground [m], so that the foot arrives even when the ground
            is lower.
        velocity_gain: Raibert gain on v - v_wanted [s].
        reach: largest horizontal step from under the hip [m]; see
            `footholds.sideways_reach`.
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


def cycloid(
    start: Vector, end: Vector, height: float, progress: float, duration: float
) -> tuple[Vector, Vector]:
    """Point and velocity of the swing foot, in the frame of `start` and `end`.

    Horizontally it is a cycloid, with zero speed at both ends. Vertically it is a cycloid up to
    `height` above the higher end on the first half, and one down on the second.
    """
    s = min(1.0, max(0.0, progress))
    x, y, z = start
    x_end, y_end, z_end = end
    apex = max(z, z_end) + height
    if s < 0.5:
        low = z
        high = apex
        half = 2.0 * s
    else:
        low = apex
        high = z_end
        half = 2.0 * s - 1.0
    blend = _way(s)
    rise = _way(half)
    rate = _way_rate(s) / duration
    rise_rate = 2.0 * _way_rate(half) / duration
    return (
        (x + blend * (x_end - x), y + blend * (y_end - y), low + rise * (high - low)),
        (rate * (x_end - x), rate * (y_end - y), rise_rate * (high - low)),
    )


def lifted_point(
    ground: Vector, above: Vector, share: float, rate: float, velocity: Vector
) -> tuple[Vector, Vector]:
    """Point and velocity of a lifted foot, on a straight line that it starts and ends at rest.

    Args:
        ground: where the line starts [m]; it does not move.
        above: where it ends [m].
        share: of the way up.
        rate: of the share [1/s].
        velocity: of `above` [m/s].
    """
    blend = _way(share)
    speed = _way_rate(share) * rate
    x, y, z = ground
    x_end, y_end, z_end = above
    vx, vy, vz = velocity
    point = (x + blend * (x_end - x), y + blend * (y_end - y), z + blend * (z_end - z))
    return point, (
        speed * (x_end - x) + blend * vx,
        speed * (y_end - y) + blend * vy,
        speed * (z_end - z) + blend * vz,
    )


def time_left(lift: float, *, rising: bool) -> float | None:
    """Horizontal way left over the present horizontal speed, in durations of the swing.

    It is 0 at the end. A plan says where the foot shall be now and how fast, not where it goes. On
    the curve of `cycloid` the height tells the progress s. There the way left over the speed is (1
    - way(s)) / way'(s) durations, however long the way is.

    Args:
        lift: height over the ground by the height of the apex; beyond 0 and 1 it counts as those.
        rising: the foot moves up.

    Returns:
        None before `EARLIEST` and for NaN.
    """
    half = _progress_at(lift)
    s = 0.5 * half if rising else 1.0 - 0.5 * half
    if not s >= EARLIEST or isnan(lift):
        return None
    rate = _way_rate(s)
    return (1.0 - _way(s)) / rate if rate > 1e-3 else (1.0 - s) / 3.0


def _way(s: float) -> float:
    """Share of the way that is gone at progress s in [0, 1]: s - sin(2 pi s) / (2 pi)."""
    turn = 2.0 * pi * s
    return s - sin(turn) / (2.0 * pi)


def _way_rate(s: float) -> float:
    """Derivative of `_way`."""
    return 1.0 - cos(2.0 * pi * s)


def _progress_at(way: float) -> float:
    """Inverse of `_way`, which rises monotonically from 0 to 1."""
    low = 0.0
    high = 1.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if _way(middle) < way:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
