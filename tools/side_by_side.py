"""Draw docs/media/side_by_side.webp: one untrained policy, alone and under the supervisor.

    MUJOCO_GL=egl .venv/bin/python tools/side_by_side.py (or MUJOCO_GL=osmesa)

Both robots are equal, and so are the numbers that the policy draws. The strip below each picture
shows the smallest margin of the trigger set. Ahead of it stands the supervisor's forecast. The
supervisor forecasts while it thinks about handing back, and at least every 0.1 s. The program stops
with an error when the robot alone keeps its feet, or when the supervised one falls.
"""

from collections import deque
from itertools import pairwise
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from safe_locomotion.config import load_config
from safe_locomotion.evaluation.walkers import RandomLearner
from safe_locomotion.pipeline import Cycle, Pipeline
from safe_locomotion.safety.switching_rule import STEP
from safe_locomotion.safety.trigger_set import TriggerSet, TriggerState
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.render import Camera
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import Mode, VelocityCommand, Verdict
from safe_locomotion.ui.scene import Prediction
from safe_locomotion.ui.scene_builder import SceneMaker

OUTPUT = Path(__file__).resolve().parents[1] / "docs/media/side_by_side.webp"
TASK = "trot"
SEED = 4
SIGMA = 0.05  #: size of the untrained policy's random steps
SPEED = 0.4  #: forward [m/s]
BEGIN = 2.0  #: of the film, shortly before the robot walks [s]
END = 7.2  #: [s]
FRAME = 0.08  #: between two pictures [s]
WIDTH = 380  #: of one picture
HEIGHT = 250
BAND = 26  #: height of the line above the picture
STRIP = 84  #: height of the strip below it
PAST = 1.2  #: shown in the strip [s]
AHEAD = 0.25  #: room for the forecast [s]
TRUNK = (0.135, 0.098, 0.058)  #: half the size of an A1's trunk [m]
GREEN = (46, 160, 67)
AMBER = (217, 130, 20)
RED = (207, 44, 40)
DARK = (30, 33, 38)
PAPER = (250, 250, 250)
LINE = (120, 124, 130)
Colour = tuple[int, int, int]
Picture = NDArray[np.uint8]


class Panel:
    """One robot under the untrained policy, and how it is drawn.

    Attributes:
        fell_at: time of its first fall [s]; None while it keeps its feet.
    """

    def __init__(self, criterion: str, title: str) -> None:
        """Place a robot.

        Args:
            criterion: of the supervisor.
            title: of the picture.
        """
        self._title = title
        self.robot = SimulatedRobot(SimulationOptions(seed=SEED, visuals=True))
        model = self.robot.robot
        key = "supervisor.intervention"
        off = criterion == "off"
        self._watched = not off
        config = load_config(
            "a1", {f"{key}.criterion": criterion, **({f"{key}.horizon": 0} if off else {})}
        )
        self.pipeline = Pipeline(model, config, RandomLearner(model, TASK, SEED, SIGMA))
        self.pipeline.supervisor.request("walk")
        s = config.supervisor
        self._set = TriggerSet(s.trigger_set.bounds, s.thresholds.fall_height)
        self._state = TriggerState(s.trigger_set)
        self._scenes = SceneMaker(model, config)
        self._camera = Camera(
            self.robot,
            width=WIDTH,
            height=HEIGHT,
            azimuth_deg=128.0,
            elevation_deg=-12.0,
            distance=1.15,
        )
        self._trace: deque[tuple[float, float, Colour]] = deque()
        self._ahead: list[float] = []
        self._forecast: Prediction | None = None
        self._verdicts: list[Verdict] = []
        self.fell_at: float | None = None

    def walk(self, until: float) -> None:
        """Walk until a time [s]."""
        while self.robot.time_s < until:
            velocity = VelocityCommand(vx=SPEED)
            cycle = self.pipeline.step(self.robot.low_state(), velocity)
            fell = self.robot.step(cycle.command)
            if fell and self.fell_at is None:
                self.fell_at = self.robot.time_s
            self._note(cycle)

    def _note(self, cycle: Cycle) -> None:
        """Keep what the strip shows of one tick."""
        verdict = cycle.verdict
        estimate = cycle.estimate
        values = self._state.update(estimate, max(verdict.gait.frequency, 1.0))
        self._scenes.note(estimate)
        self._verdicts.append(verdict)
        if verdict.predicted is not None:
            states = verdict.predicted
            ahead = self._state.predicted(states[0], states[1:], STEP)
            self._ahead = [self._margin(row) for row in ahead]
        margin = self._margin(np.array(values))
        self._trace.append((self.robot.time_s, margin, self._colour(cycle)))
        while self._trace[0][0] < self.robot.time_s - PAST:
            self._trace.popleft()

    def _margin(self, values: Any) -> float:
        """Smallest margin of the trigger set."""
        return min(margin for _, margin in self._set.margins(tuple(values.tolist())))

    def _colour(self, cycle: Cycle) -> Colour:
        if self.fell_at is not None:
            return RED
        walks = cycle.verdict.mode is Mode.WALK
        return AMBER if walks and cycle.verdict.active != "learner" else GREEN

    def picture(self) -> Image.Image:
        """Title, robot and strip."""
        colour = self._trace[-1][2]
        cycle = self.pipeline.cycle
        assert cycle is not None
        scene = self._scenes.update(cycle.estimate, self._verdicts, cycle.plan)
        self._verdicts = self._verdicts[-1:]
        self._forecast = scene.prediction
        out = Image.new("RGB", (WIDTH, BAND + HEIGHT + STRIP), PAPER)
        out.paste(Image.fromarray(self._camera.picture(draw=self._draw)), (0, BAND))
        pen = ImageDraw.Draw(out)
        pen.rectangle((0, 0, WIDTH, BAND), fill=colour)
        font = ImageFont.load_default(size=14)
        pen.text((8, 4), self._title, fill=PAPER, font=font)
        said = self._said(colour)
        pen.text((WIDTH - 8 - pen.textlength(said, font=font), 4), said, fill=PAPER, font=font)
        self._strip(pen)
        return out

    def _said(self, colour: Colour) -> str:
        if colour == RED:
            return "fell"
        uses = self.pipeline.supervisor.statistics.uses
        saved = f", saved {uses} times" if self._watched else ""
        return ("recovery drives" if colour == AMBER else "policy drives") + saved

    def _draw(self, scene: Any) -> None:
        """Add the trunk where the forecast ends, or where it enters the trigger set."""
        forecast = self._forecast
        if not self._watched or forecast is None or self.fell_at is not None:
            return
        at = forecast.telling
        moved = forecast.position[at] - forecast.position[0]
        matrix = np.zeros(9)
        mujoco.mju_quat2Mat(matrix, forecast.quaternion_wxyz[at])
        colour = GREEN if forecast.entry is None else RED
        geom = scene.geoms[scene.ngeom]
        mujoco.mjv_initGeom(
            geom,
            mujoco.mjtGeom.mjGEOM_BOX,
            np.array(TRUNK),
            self.robot.truth().position + moved,
            matrix,
            np.array((*(part / 255.0 for part in colour), 0.35), dtype=np.float32),
        )
        scene.ngeom += 1

    def _strip(self, pen: Any) -> None:
        """The smallest margin, and its forecast."""
        font = ImageFont.load_default(size=11)
        top = BAND + HEIGHT
        zero = self._y(0.0)
        pen.rectangle((0, zero, WIDTH, top + STRIP), fill=(250, 226, 224))
        pen.line((0, zero, WIDTH, zero), fill=RED)
        pen.text((6, top + 3), "smallest margin of the trigger set", fill=DARK, font=font)
        pen.text((6, zero + 3), "in the trigger set", fill=RED, font=font)
        now = self._trace[-1][0]
        points = [(self._x(time - now), self._y(y), colour) for time, y, colour in self._trace]
        for (x0, y0, _), (x1, y1, colour) in pairwise(points):
            pen.line((x0, y0, x1, y1), fill=colour, width=3)
        pen.line((self._x(0.0), top, self._x(0.0), top + STRIP), fill=LINE)
        if self._watched and self._forecast is not None and self.fell_at is None:
            pen.text((self._x(0.0) + 4, top + 3), "forecast", fill=DARK, font=font)
            self._fan(pen, points[-1][:2])

    def _fan(self, pen: Any, begin: tuple[float, float]) -> None:
        """The forecast, ahead of the present."""
        x0, y0 = begin
        for k, margin in enumerate(self._ahead):
            x1 = self._x((k + 1) * STEP)
            y1 = self._y(margin)
            pen.line((x0, y0, x1, y1), fill=GREEN if margin >= 0.0 else RED, width=3)
            pen.ellipse((x1 - 2, y1 - 2, x1 + 2, y1 + 2), fill=GREEN if margin >= 0.0 else RED)
            x0 = x1
            y0 = y1

    def _x(self, time: float) -> float:
        return WIDTH * (PAST + time) / (PAST + AHEAD)

    def _y(self, margin: float) -> float:
        shown = min(1.0, max(-0.6, margin))
        return BAND + HEIGHT + STRIP * (0.22 + 0.74 * (1.0 - shown) / 1.6)

    def close(self) -> None:
        """Free the graphics context."""
        self._camera.close()


def film() -> tuple[list[Image.Image], list[Panel]]:
    """All pictures, and both robots at the end."""
    panels = [
        Panel("off", "untrained policy, alone"),
        Panel("reachability", "the same, supervised"),
    ]
    pictures = []
    for time in np.arange(BEGIN, END, FRAME):
        sides = []
        for panel in panels:
            panel.walk(float(time))
            sides.append(panel.picture())
        both = Image.new("RGB", (2 * WIDTH + 8, sides[0].height), PAPER)
        for k, side in enumerate(sides):
            both.paste(side, (k * (WIDTH + 8), 0))
        pictures.append(both)
    for panel in panels:
        panel.close()
    return pictures, panels


def main() -> None:
    """Make the film and write it.

    Raises:
        SystemExit: it does not show what its caption says.
    """
    pictures, (alone, supervised) = film()
    if alone.fell_at is None or supervised.fell_at is not None:
        raise SystemExit(f"fell: alone {alone.fell_at}, supervised {supervised.fell_at}")
    uses = supervised.pipeline.supervisor.statistics.uses
    print(f"alone it fell after {alone.fell_at:.1f} s; supervised it was saved {uses} times")
    pictures[0].save(
        OUTPUT,
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 * FRAME),
        loop=0,
        quality=70,
        method=4,
    )


if __name__ == "__main__":
    main()
