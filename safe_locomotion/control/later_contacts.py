"""Where a foot will stand after its next swing, for the horizon of the MPC.

A foot that lifts off within the horizon comes down again ahead of where it is. If the MPC leaves it
behind, it believes at speed that the body runs away from its feet, and holds back.

This holds for a body that moves about as wanted. One that was pushed does not step as planned.
There the MPC had better brake, so its feet stay behind.
"""

from collections.abc import Sequence

from safe_locomotion.control.footholds import raibert_step
from safe_locomotion.rotations import rotate_plane
from safe_locomotion.types import Array


def place_later_contacts(
    feet: Array,
    times: Sequence[float],
    touchdowns: Sequence[float],
    neutral: Sequence[tuple[float, float]],
    *,
    velocity: tuple[float, float],
    height: float,
    yaw_rate: float,
    stride: float,
    stance_duration: float,
    reach: float,
) -> None:
    """Write where feet are that have come down again.

    A contact begins half a stance ahead of the place under the hip and ends half a stance behind
    it, as Raibert's rule puts the foot of a body that moves as wanted.

    Args:
        feet: (N, 4, 3) relative to the centre of mass, in the ground frame [m], changed.
        times: of the N steps [s].
        touchdowns: (4,) time from which a foot stands in a later contact [s]; inf for none.
        neutral: (4,) from the centre of mass to the place under the hip now, x and y [m].
        velocity: of the body along x and y [m/s].
        height: of the centre of mass above the ground [m].
        yaw_rate: [rad/s].
        stride: duration of a whole stride [s].
        stance_duration: of a whole stance [s].
        reach: largest step from under the hip [m].
    """
    vx, vy = velocity
    for leg, touchdown in enumerate(touchdowns):
        for k, time in enumerate(times):
            if time < touchdown:
                continue
            since = (time - touchdown) % stride
            x, y = rotate_plane(yaw_rate * (time - since), *neutral[leg])
            hip_x = vx - yaw_rate * y
            hip_y = vy + yaw_rate * x
            feet[k, leg] = (
                x + raibert_step(hip_x, hip_x, stance_duration, 0.0, reach) - vx * since,
                y + raibert_step(hip_y, hip_y, stance_duration, 0.0, reach) - vy * since,
                -height,
            )
