"""The capture point: where a foot has to stand for the body to come to rest above it.

The trigger set of paper 1 knows the body alone. A learner that leaves its feet behind walks a body on which height, tilt and rates are
in order, until it falls over them: what recovery is given then, no step can catch.
"""

from collections.abc import Iterable
from math import hypot, inf, isfinite, nan, sqrt

import numpy as np

from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import rotate, rows_from_quaternion
from safe_locomotion.safety.trigger_set import COMPONENTS
from safe_locomotion.types import GRAVITY, Estimate

CAPTURE = "capture"  #: its name beside the components of the set
BEYOND = "capture point beyond the feet"  #: what is said of it
MARGINS = (*COMPONENTS, CAPTURE)  #: all that a verdict may have a margin of
N_MARGINS = len(MARGINS)


def margin_row(margins: Iterable[tuple[str, float]]) -> list[float]:
    """Margins of a verdict in the order of `MARGINS`; NaN where one was not measured."""
    measured = dict(margins)
    return [measured.get(name, nan) for name in MARGINS]


class CapturePoint:
    """Of one robot, by the linear inverted pendulum (Pratt et al., Capture Point, Humanoids 2006).

    Attributes:
        half_width: of the rectangle around the feet of a standing robot [m].
    """

    def __init__(self, robot: RobotModel) -> None:
        self._kinematics = Kinematics(robot)
        self._com = tuple(robot.com.tolist())
        self.half_width = 0.5 * float(np.ptp(self._kinematics.feet(robot.q_stand)[:, 1]))

    def margin(self, estimate: Estimate) -> float:
        """As of a component of the trigger set: 1 half the width of a standing robot within the feet, negative outside, -inf for NaN."""
        beyond = self.beyond(estimate)
        return -beyond / self.half_width if isfinite(beyond) else -inf

    def beyond(self, estimate: Estimate) -> float:
        """How far it lies outside the rectangle around the feet, in the yaw frame [m]; negative within, NaN where it is not known.

        Feet in the air count where they are: they land near there.
        """
        rows = rows_from_quaternion(estimate.quaternion_wxyz)
        length = hypot(rows[0][0], rows[1][0]) or nan
        c = rows[0][0] / length
        s = rows[1][0] / length
        feet = [rotate(rows, foot) for foot in self._kinematics.foot_points(estimate.q)]
        x, y, z = rotate(rows, self._com)
        vx, vy, _ = estimate.velocity.tolist()
        height = float(estimate.position[2]) - estimate.ground_height + z
        if not height > 0.0:
            return nan
        time = sqrt(height / GRAVITY)
        x = x + vx * time
        y = y + vy * time
        along = [c * (fx - x) + s * (fy - y) for fx, fy, _ in feet]
        across = [c * (fy - y) - s * (fx - x) for fx, fy, _ in feet]
        outside = (-max(along), min(along), -max(across), min(across))
        return max(outside) if isfinite(sum(outside)) else nan
