"""Where a swing ends, read from its present target: the plan says where the foot shall be now and how fast, not where it goes.

On the cycloid of `swing.cycloid` the height tells the progress s, and there the way left over the speed is T (1 - blend) / rate, whatever
the way is: with T the duration, blend(s) = s - sin(2 pi s) / (2 pi) and rate its derivative.
"""

from math import cos, isnan, pi, sin

EARLIEST = 0.1  #: progress from which the end can be told; before that the foot hardly moves
BISECTIONS = 14  #: to 1e-4


def time_left(lift: float, *, rising: bool) -> float | None:
    """Way left over the present speed, in durations of the swing; it tends to 0 at the end.

    Args:
        lift: height over the ground by the height of the apex; beyond 0 and 1 it counts as those.
        rising: the foot moves up.

    Returns:
        None before `EARLIEST` and for a lift that is no number.
    """
    half = _progress_at(lift)
    s = 0.5 * half if rising else 1.0 - 0.5 * half
    if not s >= EARLIEST or isnan(lift):
        return None
    rate = 1.0 - cos(2.0 * pi * s)
    return (1.0 - _blend(s)) / rate if rate > 1e-3 else (1.0 - s) / 3.0


def _blend(s: float) -> float:
    return s - sin(2.0 * pi * s) / (2.0 * pi)


def _progress_at(way: float) -> float:
    """Inverse of the way, which rises monotonically from 0 to 1."""
    low = 0.0
    high = 1.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _blend(middle) < way else (low, middle)
    return 0.5 * (low + high)
