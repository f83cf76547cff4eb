"""Makes scenes from estimates, verdicts and plans. `scene` says what they hold and how it looks."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from math import inf, isfinite, isnan, nan

import numpy as np

from safe_locomotion.config import StackConfig
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import rows_from_quaternion, rpy_from_rows, vector
from safe_locomotion.safety.capture_point import BEYOND, CAPTURE, MARGINS, CapturePoint
from safe_locomotion.safety.switching_rule import STEP
from safe_locomotion.safety.trigger_set import (
    COMPONENTS,
    N_COMPONENTS,
    TriggerSet,
    TriggerState,
    Values,
)
from safe_locomotion.types import N_LEGS, Estimate, Mode, StancePlan, Verdict
from safe_locomotion.ui.robot_body import RobotBody
from safe_locomotion.ui.scene import KEPT_FALLS, Bar, Fall, FootScene, Prediction, Remains, Scene
from safe_locomotion.ui.scene_feet import FootMaker, ground_normal
from safe_locomotion.ui.scene_prediction import PredictionMaker


class SceneMaker:
    """Makes scenes of one robot; remembers footholds, falls and the newest prediction.

    Attributes:
        body: the drawn shapes of the robot.
        bar_names: names of the bars of every scene.
    """

    def __init__(self, robot: RobotModel, config: StackConfig) -> None:
        """Prepare for a robot under this configuration; reads its URDF.

        Raises:
            ConfigurationError: see `RobotBody`.
        """
        supervisor = config.supervisor
        self.body = RobotBody(robot.name)
        self._bars = BarMaker(robot, config)
        self.bar_names = self._bars.names
        self._state = TriggerState(supervisor.trigger_set)
        self._predictions = PredictionMaker(self._bars.trigger_set, self._state)
        self._feet = FootMaker(robot, config, self.body)
        self._frequency = supervisor.recovery.frequency
        self._links = self.body.poses(np.zeros(3), np.array((1.0, 0.0, 0.0, 0.0)), robot.q_stand)
        self._shapes = self.body.shape_poses(self._links)
        self._falls: deque[Fall] = deque(maxlen=KEPT_FALLS)
        self._mode: Mode | None = None
        self._walked: tuple[FootScene, ...] = ()
        self._remains: Remains | None = None

    def note(self, estimate: Estimate) -> None:
        """Take an estimate without making a scene.

        The mean roll rate needs it, and so do the places where feet touch down.
        """
        self._state.update(estimate, self._frequency)
        self._feet.note(estimate, walks=self._mode is Mode.WALK)

    def update(
        self, estimate: Estimate, verdicts: Sequence[Verdict] = (), plan: StancePlan | None = None
    ) -> Scene:
        """The scene now.

        Args:
            estimate: the newest.
            verdicts: those since the last scene, oldest first, or the last one again. The newest
                verdict counts, and the newest prediction among them.
            plan: the newest.
        """
        verdict = verdicts[-1] if verdicts else None
        fallen = verdict is not None and verdict.mode is Mode.FALLEN
        finite = self._move_body(estimate, fallen=fallen)
        if verdict is not None and verdict.gait.frequency > 0.0:
            self._frequency = verdict.gait.frequency
        measured = self._state.update(estimate, self._frequency)
        bars = self._bars.bars(estimate, measured, verdict)
        judged = [bar.value for bar in bars[:N_COMPONENTS]]
        self._predictions.update(estimate, verdicts, measured, judged)
        self._count_falls(verdicts)
        feet = self._feet.update(self._links, estimate, verdict, plan)
        self._remember_walk(feet)
        return Scene(
            stamp_ns=estimate.stamp_ns,
            position=vector(self._links.position[0]),
            heading=rpy_from_rows(rows_from_quaternion(self._links.quaternion_wxyz[0]))[2],
            links=self._links,
            shapes=self._shapes,
            velocity=vector(estimate.velocity),
            normal=ground_normal(estimate),
            feet=feet,
            footholds=self._feet.footholds,
            prediction=self._prediction(estimate.stamp_ns),
            bars=bars,
            judged=verdict is not None and bool(verdict.margins),
            mode=None if verdict is None else verdict.mode,
            active="" if verdict is None else verdict.active,
            policy="" if verdict is None else verdict.policy,
            reason=self._reason(verdict, bars),
            falls=tuple(self._falls),
            finite=finite,
            remains=self._remains,
        )

    def _remember_walk(self, feet: tuple[FootScene, ...]) -> None:
        """Keep the feet of a walk, and make its remains when it was stopped."""
        if self._mode is Mode.WALK:
            self._walked = feet
        if self._mode not in (Mode.FALLEN, Mode.FAULT):
            self._remains = None
        elif self._remains is None and self._walked:
            self._remains = remains(self._walked, self._predictions.newest)
            self._walked = ()

    def _move_body(self, estimate: Estimate, *, fallen: bool) -> bool:
        """Move the drawn robot to a finite estimate; False leaves it where it was.

        The estimator knows the height by the feet that stand. A fallen robot lies on the ground
        where it stepped last.
        """
        pose = np.concatenate((estimate.position, estimate.quaternion_wxyz, estimate.q))
        finite = isfinite(float(pose @ pose)) and bool(np.any(estimate.quaternion_wxyz))
        if finite:
            self._links = self.body.poses(estimate.position, estimate.quaternion_wxyz, estimate.q)
            self._shapes = self.body.shape_poses(self._links)
        if finite and fallen:
            heights = self._feet.footholds[-N_LEGS:, 2]
            ground = float(heights.mean()) if len(heights) else 0.0
            shift = np.array((0.0, 0.0, ground - self.body.lowest(self._shapes)))
            self._links = replace(self._links, position=self._links.position + shift)
            self._shapes = replace(self._shapes, position=self._shapes.position + shift)
        return finite

    def _prediction(self, stamp_ns: int) -> Prediction | None:
        return self._predictions.young(stamp_ns) if self._mode is Mode.WALK else None

    def _count_falls(self, verdicts: Sequence[Verdict]) -> None:
        for verdict in verdicts:
            if verdict.mode is Mode.FALLEN and self._mode is not Mode.FALLEN:
                place = vector(self._links.position[0])
                fall = Fall(stamp_ns=verdict.stamp_ns, position=place, reasons=verdict.reasons)
                self._falls.append(fall)
            self._mode = verdict.mode

    def _reason(self, verdict: Verdict | None, bars: Sequence[Bar]) -> str:
        """Why the robot is in this mode, or why the recovery policy drives; for people."""
        if verdict is None:
            return "the supervisor is silent"
        if verdict.reasons:
            return ", ".join(verdict.reasons)
        if verdict.mode is not Mode.WALK or verdict.active == "learner":
            return ""
        outside = [bar.text for bar in bars if bar.outside and bar.name != CAPTURE]
        if dict(verdict.margins).get(CAPTURE, 0.0) < 0.0:
            outside.append(BEYOND)
        if outside:
            return f"in the trigger set: {', '.join(outside)}"
        prediction = self._prediction(verdict.stamp_ns)
        if prediction is None or prediction.entry is None:
            return "no prediction shows yet that the learner stays safe"
        components = ", ".join(prediction.components)
        seconds = prediction.entry * STEP
        return f"the learner would enter the trigger set in {seconds:.3f} s: {components}"


class BarMaker:
    """Makes the bars of scenes.

    Attributes:
        trigger_set: of the supervisor.
        names: of the bars.
    """

    def __init__(self, robot: RobotModel, config: StackConfig) -> None:
        supervisor = config.supervisor
        bounds = supervisor.trigger_set.bounds
        self.trigger_set = TriggerSet(bounds, supervisor.thresholds.fall_height)
        self._capture = CapturePoint(robot) if supervisor.intervention.capture else None
        self.names = COMPONENTS if self._capture is None else MARGINS

    def bars(
        self, estimate: Estimate, measured: Values, verdict: Verdict | None
    ) -> tuple[Bar, ...]:
        """Bars with the margins of the verdict, or the measured ones when it has none."""
        if verdict is None or not verdict.margins:
            margins = dict(self.trigger_set.margins(measured))
        else:
            margins = dict(verdict.margins)
        low = self.trigger_set.low.tolist()
        high = self.trigger_set.high.tolist()
        bars = [
            _component_bar(name, value, low[k], high[k], margins.get(name, -inf))
            for k, (name, value) in enumerate(zip(COMPONENTS, measured, strict=True))
        ]
        if self._capture is not None:
            margin = margins[CAPTURE] if CAPTURE in margins else self._capture.margin(estimate)
            bars.append(_capture_bar(self._capture.half_width, margin))
        return tuple(bars)


def remains(feet: Sequence[FootScene], prediction: Prediction | None) -> Remains:
    """What was planned for these feet, and predicted."""
    ahead = [foot.foothold for foot in feet if foot.foothold is not None]
    targets = [foot.target for foot in feet if foot.target is not None]
    forces = [(foot.ground, foot.force_tip) for foot in feet if not isnan(foot.friction)]
    return Remains(
        footholds=np.array(ahead).reshape(-1, 3),
        targets=np.array(targets).reshape(-1, 3),
        forces=np.array(forces).reshape(-1, 2, 3),
        prediction=prediction,
    )


def _component_bar(name: str, measured: float, low: float, high: float, margin: float) -> Bar:
    """A bar whose value follows from the margin; only its side of the middle is measured here."""
    middle = 0.5 * (low + high)
    half = 0.5 * (high - low)
    side = 1.0 if measured >= middle else -1.0
    value = middle + side * half * (1.0 - margin) if isfinite(margin) else nan
    return Bar(name=name, value=value, low=low, high=high, margin=margin)


def _capture_bar(half_width: float, margin: float) -> Bar:
    """The bar of the capture point: how far it lies beyond the feet [m]."""
    beyond = -half_width * margin if isfinite(margin) else nan
    return Bar(name=CAPTURE, value=beyond, low=-2.0 * half_width, high=0.0, margin=margin)
