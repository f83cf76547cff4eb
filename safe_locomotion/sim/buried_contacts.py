"""Contacts that push a limb out through a side of a solid that is buried in the ground.

Ground of many solids has such sides where two solids meet. MuJoCo looks at each solid alone, and
pushes a limb that has sunk in near such a side along the ground, with all its might. A single one
of these contacts threw a robot down the stairs.
"""

from collections.abc import Callable

import mujoco

AHEAD = 0.001
"""A place this far before the ground's side of a contact must not be in the ground [m]."""
BURIED = 0.0001
"""Deeper than this it is in the ground [m]."""


class BuriedContacts:
    """Takes contacts with buried sides out of MuJoCo's data.

    Args:
        model: of MuJoCo.
        height: of the ground [m] at a place [m].
        prefix: of the names of the solids.
    """

    def __init__(
        self, model: mujoco.MjModel, height: Callable[[float, float], float], prefix: str
    ) -> None:
        self._model = model
        self._height = height
        self._solids = frozenset(
            geom for geom in range(model.ngeom) if model.geom(geom).name.startswith(prefix)
        )

    def drop(self, data: mujoco.MjData) -> int:
        """Take them out after `mj_step1`, and prepare `mj_step2` again; returns their number."""
        buried = self.found(data)
        if buried:
            data.contact.exclude[buried] = 1
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
        geoms = contact.geom.tolist()
        depth = contact.dist
        normals = contact.frame[:, :3]
        # MuJoCo's normal leads from the first geom to the second, here into the ground.
        ahead = contact.pos + (0.5 * depth - AHEAD)[:, None] * normals
        places = ahead.tolist()
        return [
            number
            for number, (_, second) in enumerate(geoms)
            if second in self._solids and self._is_buried(*places[number])
        ]

    def _is_buried(self, x: float, y: float, z: float) -> bool:
        return z < self._height(x, y) - BURIED
