"""Draw docs/media/walk.png: the simulated A1 on the stairs, and pushed sideways on flat ground. Needs MUJOCO_GL=egl or osmesa."""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.config import load_config
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.render import Camera
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import VelocityCommand

OUTPUT = Path(__file__).resolve().parents[1] / "docs/media/walk.png"
STAND_UP = 3.0  # [s]
Image = NDArray[np.uint8]


def walk(terrain: str, seconds: float, *, push: float = 0.0, after: float = 0.0) -> Image:
    """Picture after walking for `seconds`, `after` seconds after a push to the left [N s]."""
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
    push_at = round((STAND_UP + seconds - after) / 0.002)
    for tick in range(round((STAND_UP + seconds) / 0.002)):
        if push and tick == push_at:
            robot.push(np.array((0.0, push, 0.0)))
        robot.step(pipeline.step(robot.low_state(), VelocityCommand(vx=0.4)).command)
    image = camera.picture()
    camera.close()
    return image


def png(image: Image) -> bytes:
    """An (h, w, 3) image as PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width, _ = image.shape
    rows = b"".join(b"\0" + line.tobytes() for line in image)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


if __name__ == "__main__":
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_bytes(
        png(np.concatenate((walk("stairs", 7.0), walk("flat", 4.2, push=25.0, after=0.4)), axis=1))
    )
