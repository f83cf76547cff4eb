"""Draw docs/media/walk.png: the simulated A1 on the stairs, and pushed sideways on flat ground.

MUJOCO_GL=egl .venv/bin/python tools/picture.py (or MUJOCO_GL=osmesa)
"""

from pathlib import Path

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

from safe_locomotion.config import load_config
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.render import Camera
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.sim.sensors import PERIOD
from safe_locomotion.types import VelocityCommand

OUTPUT = Path(__file__).resolve().parents[1] / "docs/media/walk.png"
STAND_UP = 3.0  # s
Image = NDArray[np.uint8]


def walk(terrain: str, seconds: float, *, push: float = 0.0, after: float = 0.0) -> Image:
    """Picture of a robot that has walked for `seconds`.

    Args:
        terrain: name.
        seconds: of walking.
        push: impulse of a push to the left [N s]; 0 for none.
        after: time from the push to the picture [s].
    """
    robot = SimulatedRobot(SimulationOptions(terrain=terrain, visuals=True))
    pipeline = Pipeline(robot.robot, load_config("a1"))
    pipeline.supervisor.request("walk")
    camera = Camera(
        robot,
        width=640,
        height=440,
        azimuth_deg=105.0 if terrain == "stairs" else 125.0,
        elevation_deg=-9.0,
        distance=1.1,
    )
    push_at = round((STAND_UP + seconds - after) / PERIOD)
    for tick in range(round((STAND_UP + seconds) / PERIOD)):
        if push and tick == push_at:
            robot.push(np.array((0.0, push, 0.0)))
        robot.step(pipeline.step(robot.low_state(), VelocityCommand(vx=0.4)).command)
    image = camera.picture()
    camera.close()
    return image


if __name__ == "__main__":
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    stairs = walk("stairs", 7.0)
    pushed = walk("flat", 4.2, push=25.0, after=0.4)
    both = np.concatenate((stairs, pushed), axis=1)
    imsave(OUTPUT, both, pil_kwargs={"optimize": True})
