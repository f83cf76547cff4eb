"""Faces of the friction pyramids, as the solver of the MPC sees them.

A foot has six faces: the four sides of its pyramid, the largest and the least normal force. A force
is inside where n u <= d for the unit normal n and the distance d of each face. Which faces a foot
touches is written as a number of six bits, so that what depends on it is looked up in a table.
"""

import numpy as np

from safe_locomotion.control.mpc_matrices import FORCE_UNIT
from safe_locomotion.control.mpc_problem import MpcParameters
from safe_locomotion.types import Array

FACES = 6
BITS = 1 << np.arange(FACES)
#: (64, 6) the faces of each number, as ones.
TOUCHED = (np.arange(1 << FACES)[:, None] >> np.arange(FACES) & 1).astype(float)
_ALONG_X = TOUCHED[:, 0] + TOUCHED[:, 1]
_ALONG_Y = TOUCHED[:, 2] + TOUCHED[:, 3]
_BIAS_X = TOUCHED[:, 0] - TOUCHED[:, 1]
_BIAS_Y = TOUCHED[:, 2] - TOUCHED[:, 3]
_SIDES = _ALONG_X + _ALONG_Y
_ENDS = TOUCHED[:, 4] + TOUCHED[:, 5]


class ConeFaces:
    """Faces of one foot for a friction.

    Attributes:
        distances: (6,) d [FORCE_UNIT].
        normals: (6, 3) n.
        stiff_inverses: (64, 3, 3) inverse of W = force weight + penalty sum n' n over the touched
            faces.
    """

    def __init__(self, p: MpcParameters) -> None:
        self._force_weight = p.force_weight * FORCE_UNIT**2
        self._penalty = p.penalty * self._force_weight
        self.distances = np.array((0, 0, 0, 0, p.fz_max, -p.fz_min)) / FORCE_UNIT
        self.stiff_inverses = np.empty((1 << FACES, 3, 3))
        self.assume(p.mu)

    def assume(self, mu: float) -> None:
        """Friction from now on; the sides of the pyramid are |f_x|, |f_y| <= mu f_z."""
        length = (1.0 + mu * mu) ** 0.5
        a = 1.0 / length
        b = -mu / length
        self.normals: Array = np.array(
            ((a, 0, b), (-a, 0, b), (0, a, b), (0, -a, b), (0, 0, 1.0), (0, 0, -1.0))
        )
        weight = self._force_weight
        penalty = self._penalty
        # W has no entry that couples x and y, so that its inverse is short.
        x = 1.0 / (weight + penalty * a * a * _ALONG_X)
        y = 1.0 / (weight + penalty * a * a * _ALONG_Y)
        xz = penalty * a * b * _BIAS_X
        yz = penalty * a * b * _BIAS_Y
        from_x = -x * xz
        from_y = -y * yz
        z = 1.0 / (weight + penalty * (b * b * _SIDES + _ENDS) + from_x * xz + from_y * yz)
        out = self.stiff_inverses
        out[:, 0, 0] = x + from_x * from_x * z
        out[:, 1, 1] = y + from_y * from_y * z
        out[:, 0, 1] = out[:, 1, 0] = from_x * from_y * z
        out[:, 0, 2] = out[:, 2, 0] = from_x * z
        out[:, 1, 2] = out[:, 2, 1] = from_y * z
        out[:, 2, 2] = z
