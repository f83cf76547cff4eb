"""Pictures of the simulated robot without a window.

They need EGL or OSMesa (environment variable MUJOCO_GL).
"""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import Array


class Camera:
    """Looks at the robot's trunk from a fixed direction and distance."""

    def __init__(
        self,
        robot: SimulatedRobot,
        *,
        width: int = 1280,
        height: int = 720,
        azimuth_deg: float = 130.0,
        elevation_deg: float = -18.0,
        distance: float = 1.15,
    ) -> None:
        """Open an off-screen renderer.

        Raises:
            ConfigurationError: the robot was built without visual shapes, or off-screen graphics
                not available.
        """
        if not robot.options.visuals:
            raise ConfigurationError("a picture needs SimulationOptions(visuals=True)")
        self._robot = robot
        try:
            self._renderer: Any = mujoco.Renderer(robot.model, height, width)
        except Exception as error:  # the graphics libraries raise types of their own
            raise ConfigurationError(
                f"no off-screen graphics ({error}); try MUJOCO_GL=egl or MUJOCO_GL=osmesa"
            ) from error
        self._view = mujoco.MjvCamera()
        self._view.azimuth = azimuth_deg
        self._view.elevation = elevation_deg
        self._view.distance = distance
        self._scene = mujoco.MjvOption()
        self._scene.geomgroup[3] = 0

    def picture(
        self, offset: Array | None = None, draw: Callable[[Any], None] | None = None
    ) -> NDArray[np.uint8]:
        """Image (height, width, 3) of the trunk.

        Args:
            offset: (3,) shifts the point that the camera looks at [m].
            draw: adds shapes to MuJoCo's scene before it is drawn.
        """
        self._view.lookat[:] = self._robot.data.qpos[:3] + (
            np.array([0.0, 0.0, -0.07]) if offset is None else offset
        )
        self._renderer.update_scene(self._robot.data, self._view, self._scene)
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0  # too coarse on wide terrain
        if draw is not None:
            draw(self._renderer.scene)
        image: NDArray[np.uint8] = self._renderer.render()
        return image

    def close(self) -> None:
        """Free the graphics context."""
        self._renderer.close()
