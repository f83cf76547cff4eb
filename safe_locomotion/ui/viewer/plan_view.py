"""What is planned and foreseen, in a browser: footholds, the forecast as a fan of bodies, falls."""

import numpy as np
import viser

from safe_locomotion.safety.switching_rule import LONGEST_HORIZON
from safe_locomotion.types import N_LEGS
from safe_locomotion.ui.robot_body import Rgba, RobotBody
from safe_locomotion.ui.scene import (
    BLUE,
    FALL_SIZE,
    FOOTHOLD_SIZE,
    GREY,
    KEPT_FALLS,
    KEPT_FOOTHOLDS,
    PALE,
    PATH_WIDTH,
    RED,
    STATE_SIZE,
    Fall,
    Prediction,
    Scene,
)
from safe_locomotion.ui.viewer.batch import Batch, ball, padded, rgb, upright_on

FAN = 5  #: bodies of a forecast, evenly spread over its steps
FAN_SIZE = 1.12  #: of their trunk; the robot would hide a fan of its own size
FAN_OPACITY = 0.22


class PlanView:
    """Past and next footholds, the learner's prediction, and falls."""

    def __init__(self, api: viser.SceneApi, body: RobotBody, root: str) -> None:
        self._footholds = Batch(api, f"{root}/footholds", "cylinder", KEPT_FOOTHOLDS + N_LEGS)
        self._states = Batch(api, f"{root}/prediction/states", "sphere", LONGEST_HORIZON + 1)
        self._path = api.add_line_segments(
            f"{root}/prediction/path",
            np.zeros((LONGEST_HORIZON, 2, 3)),
            (0, 0, 0),
            thickness=PATH_WIDTH,
            thickness_units="world",
            visible=False,
        )
        self._fan = Batch(api, f"{root}/prediction/fan", "box", FAN, opacity=FAN_OPACITY)
        trunk = next(shape.size for shape in body.shapes if shape.link == 0 and shape.kind == "box")
        self._trunk = (FAN_SIZE * trunk[0], FAN_SIZE * trunk[1], FAN_SIZE * trunk[2])
        self._falls = Batch(api, f"{root}/falls", "sphere", KEPT_FALLS)
        self._fallen: tuple[Fall, ...] = ()
        self._foreseen: tuple[int, bool] | None = None

    def draw(self, scene: Scene) -> None:
        """Move all objects to their places in a scene."""
        self._draw_footholds(scene)
        if scene.falls != self._fallen:
            self._fallen = scene.falls
            self._falls.place(np.array([fall.position for fall in scene.falls]).reshape(-1, 3))
            self._falls.style([ball(FALL_SIZE)] * len(scene.falls), [RED] * len(scene.falls))
        stopped = scene.remains is not None
        prediction = scene.remains.prediction if scene.remains is not None else scene.prediction
        wanted = None if prediction is None else (prediction.stamp_ns, stopped)
        if wanted != self._foreseen:
            self._foreseen = wanted
            self._foresee(prediction, stopped=stopped)

    def _draw_footholds(self, scene: Scene) -> None:
        """Those behind are grey. Those ahead are blue, and pale after a stop."""
        ahead = np.array([foot.foothold for foot in scene.feet if foot.foothold is not None])
        color = BLUE
        if scene.remains is not None:
            ahead = scene.remains.footholds
            color = PALE
        holds = np.concatenate((scene.footholds, ahead.reshape(-1, 3)))
        self._footholds.place(holds, np.tile(upright_on(scene.normal), (len(holds), 1)))
        self._footholds.style(
            [FOOTHOLD_SIZE] * len(holds), [GREY] * len(scene.footholds) + [color] * len(ahead)
        )

    def _foresee(self, prediction: Prediction | None, *, stopped: bool) -> None:
        """Show a prediction, or none; grey after a stop."""
        n = 0 if prediction is None else len(prediction.position)
        self._path.visible = n > 1
        if prediction is None or not n:
            self._states.style([], [])
            self._fan.style([], [])
            return
        colors: tuple[Rgba, ...] = (PALE,) * n if stopped else prediction.colors
        self._states.style([ball(STATE_SIZE)] * n, colors)
        self._states.place(prediction.position)
        self._draw_fan(prediction, colors)
        points = padded(
            prediction.position, np.tile(prediction.position[-1], (LONGEST_HORIZON + 1, 1))
        )
        self._path.points = np.stack((points[:-1], points[1:]), axis=1).astype(np.float32)
        bytes_ = padded(rgb(colors), np.zeros((LONGEST_HORIZON + 1, 3), np.uint8))
        self._path.colors = np.stack((bytes_[:-1], bytes_[1:]), axis=1)

    def _draw_fan(self, prediction: Prediction, colors: tuple[Rgba, ...]) -> None:
        """Bodies along the forecast, the one that enters the trigger set among them."""
        shown = fan(len(prediction.position), prediction.telling)
        self._fan.style([self._trunk] * len(shown), [colors[k] for k in shown])
        self._fan.place(prediction.position[shown], prediction.quaternion_wxyz[shown])


def fan(states: int, telling: int) -> list[int]:
    """At most `FAN` indices of predicted states in order, `telling` among them."""
    even = np.linspace(0, states - 1, FAN + 1).round().astype(int)[1:].tolist()
    nearest = min(range(len(even)), key=lambda k: abs(even[k] - telling))
    even[nearest] = telling
    return sorted(set(even))
