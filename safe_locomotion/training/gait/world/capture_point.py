"""Capture points of many robots: `safety.capture_point` as Warp functions, on flat ground."""

import warp as wp

from safe_locomotion.training.gait.world.estimates import Estimates, heading_frame
from safe_locomotion.training.gait.world.legs import Legs, foot_at, joints_of
from safe_locomotion.types import GRAVITY

G = wp.constant(GRAVITY)
FAR = wp.constant(1.0e9)  # [m] farther than any foot


@wp.func
def capture_point_beyond(legs: Legs, com: wp.vec3, estimates: Estimates, robot: int) -> float:
    """Distance of the capture point from the rectangle around the feet [m].

    It is negative inside and NaN if it is not known; `CapturePoint.beyond`.

    Args:
        legs: of the robots.
        com: centre of mass in base [m].
        estimates: of all robots.
        robot: which one.
    """
    rotation = estimates.rotation[robot]
    velocity = estimates.velocity[robot]
    arm = rotation * com
    height = estimates.position[robot][2] + arm[2]
    time = wp.sqrt(height / G)
    captured = arm + time * wp.vec3(velocity[0], velocity[1], 0.0)
    to_heading = wp.transpose(heading_frame(rotation))
    low = wp.vec2(FAR, FAR)
    high = wp.vec2(-FAR, -FAR)
    total = float(0.0)
    for leg in range(4):
        q = joints_of(estimates.joints, robot, leg)
        gap = to_heading * (rotation * foot_at(legs, leg, q) - captured)
        foot = wp.vec2(gap[0], gap[1])
        low = wp.min(low, foot)
        high = wp.max(high, foot)
        total += gap[0] + gap[1]
    outside = wp.max(wp.max(-high[0], low[0]), wp.max(-high[1], low[1]))
    return wp.where(height > 0.0 and wp.isfinite(total), outside, wp.NAN)


@wp.func
def capture_margin(beyond: float, half_width: float) -> float:
    """Margin as for a component of the trigger set; -inf where it is not known."""
    return wp.where(wp.isfinite(beyond), -beyond / half_width, -wp.INF)
