"""The capture point: where a foot has to stand for the body to come to rest above it.

The trigger set of paper 1 describes the body alone. A learner that leaves its feet behind can keep
height, tilt and rates in order until it falls over its feet. The state that recovery then receives
cannot be caught by any step.
"""

from collections.abc import Iterable
from math import hypot, inf, isfinite, nan, sqrt

import numpy as np

from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import rotate, rows_from_quaternion
from safe_locomotion.safety.trigger_set import COMPONENTS
from safe_locomotion.types import GRAVITY, Estimate

CAPTURE = "capture"  #: name of its margin, beside the components of the set
BEYOND = "capture point beyond the feet"  #: what a reader is told when the margin is negative
MARGINS = (*COMPONENTS, CAPTURE)  #: names of all margins that a verdict may contain
N_MARGINS = len(MARGINS)


def margin_row(margins: Iterable[tuple[str, float]]) -> list[float]:
    """Margins of a verdict in the order of `MARGINS`; NaN for one that was not measured."""
    measured = dict(margins)
    return [measured.get(name, nan) for name in MARGINS]


class CapturePoint:
    """Capture point of one robot.

    The model is the linear inverted pendulum (Pratt et al., Capture Point, Humanoids 2006).

    Attributes:
        half_width: half the width of the rectangle around the feet of a standing robot [m].
    """

    def __init__(self, robot: RobotModel) -> None:
        self._kinematics = Kinematics(robot)
        self._com = tuple(robot.com.tolist())
        self.half_width = 0.5 * float(np.ptp(self._kinematics.feet(robot.q_stand)[:, 1]))

    def margin(self, estimate: Estimate) -> float:
        """Margin as for a component of the trigger set: negative outside the feet, -inf for NaN.

        It is 1 if the capture point lies `half_width` within the feet.
        """
        beyond = self.beyond(estimate)
        return -beyond / self.half_width if isfinite(beyond) else -inf

    def beyond(self, estimate: Estimate) -> float:
        """Distance of the capture point from the rectangle around the feet, in the yaw frame [m].

        It is negative inside and NaN if it is not known. Feet in the air count where they are,
        because they land near there. So do lifted feet: the margin asks whether recovery can catch
        the robot, and recovery brings them down within `control.lift.LIFT_TIME`.
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
