"""Contacts that push a limb out through a side of a solid that is buried in the ground.

Ground of many solids has such sides where two solids meet. MuJoCo looks at each solid alone, and
pushes a limb that has sunk in near such a side along the ground, with all its might. A single one
of these contacts threw a robot down the stairs. Light limbs sink in by centimetres, because
MuJoCo's contacts are as stiff as the limb is heavy.
"""

import mujoco
import numpy as np

from safe_locomotion.sim.height_grid import HeightGrid
from safe_locomotion.types import Array

AHEAD = 0.001
"""A place this far before the ground's side of a contact must not be in the ground [m]."""
BURIED = 0.0001
"""Deeper than this it is in the ground [m]."""
REACH = 0.1
"""A limb that is all in the ground is pushed to ground within this distance [m]."""
_ROUND = frozenset((int(mujoco.mjtGeom.mjGEOM_SPHERE), int(mujoco.mjtGeom.mjGEOM_CAPSULE)))


class BuriedContacts:
    """Mends contacts with buried sides in MuJoCo's data.

    Args:
        model: of MuJoCo.
        grid: heights of the ground that the solids make up.
        prefix: of the names of the solids.
    """

    def __init__(self, model: mujoco.MjModel, grid: HeightGrid, prefix: str) -> None:
        self._model = model
        self._grid = grid
        self._solids = frozenset(
            geom for geom in range(model.ngeom) if model.geom(geom).name.startswith(prefix)
        )

    def mend(self, data: mujoco.MjData) -> int:
        """Mend them after `mj_step1`, and prepare `mj_step2` again; returns their number.

        A limb that touches the ground elsewhere, too, loses such a contact. Otherwise its deepest
        one is turned towards the closest ground.
        """
        buried = self.found(data)
        if buried:
            self._mend(data, buried)
            mujoco.mj_makeConstraint(self._model, data)
            mujoco.mj_island(self._model, data)
            mujoco.mj_projectConstraint(self._model, data)
            mujoco.mj_fwdVelocity(self._model, data)
        return len(buried)

    def found(self, data: mujoco.MjData) -> list[int]:
        """Numbers of the contacts with buried sides."""
        if not data.ncon:
            return []
        contact = data.contact
        # MuJoCo's normal leads from the first geom to the second, here into the ground.
        normals = contact.frame[:, :3]
        ahead = contact.pos + (0.5 * contact.dist - AHEAD)[:, None] * normals
        places = ahead.tolist()
        return [
            number
            for number, (_, second) in enumerate(contact.geom.tolist())
            if second in self._solids and self._is_buried(*places[number])
        ]

    def _is_buried(self, x: float, y: float, z: float) -> bool:
        return z < self._grid.height(x, y) - BURIED

    def _mend(self, data: mujoco.MjData, buried: list[int]) -> None:
        geoms = data.contact.geom.tolist()
        depth = data.contact.dist.tolist()
        held = {
            limb
            for number, (limb, ground) in enumerate(geoms)
            if ground in self._solids and number not in buried
        }
        for number in sorted(buried, key=depth.__getitem__):
            limb = geoms[number][0]
            if limb in held or not self._turn(data, number, limb):
                data.contact.exclude[number] = 1
            held.add(limb)

    def _turn(self, data: mujoco.MjData, number: int, limb: int) -> bool:
        """Let a contact push towards the closest ground; False if there is none within `REACH`."""
        contact = data.contact
        round_limb = int(self._model.geom_type[limb]) in _ROUND
        radius = float(self._model.geom_size[limb, 0]) if round_limb else 0.0
        normal = contact.frame[number, :3]
        centre = contact.pos[number] - (0.5 * contact.dist[number] + radius) * normal
        away = self._grid.closest(centre, REACH) - centre
        length = float(np.linalg.norm(away))
        if not 1e-6 < length < REACH:
            return False
        inside = centre[2] < self._grid.height(*centre[:2].tolist())
        outwards = away / length if inside else -away / length
        distance = (-length if inside else length) - radius
        contact.dist[number] = distance
        contact.pos[number] = centre - (radius + 0.5 * distance) * outwards
        contact.frame[number] = _frame(-outwards)
        return True


def _frame(normal: Array) -> Array:
    """(9,) axes of a contact: the normal, and two tangents."""
    side = np.eye(3)[np.argmin(np.abs(normal))]
    first = np.cross(normal, side)
    first /= np.linalg.norm(first)
    return np.concatenate([normal, first, np.cross(normal, first)])
