"""Writes an episode for the viewer of rerun: robot, feet, forecast, who drives, trigger margins.

What is drawn is a `ui.scene.Scene`, as in RViz and in the web viewer. Rerun is an extra of this
package; https://rerun.io/docs describes entities, archetypes and files.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from safe_locomotion.config import StackConfig
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.recording.episode import EpisodeRecord, VerdictTrace
from safe_locomotion.recording.stage_values import estimate_row, recorded_config, recorded_gait
from safe_locomotion.robot.models import load_robot
from safe_locomotion.robot_time import Divider
from safe_locomotion.types import NANOSECONDS, Mode, StancePlan, VelocityCommand, Verdict
from safe_locomotion.ui.robot_body import RobotBody
from safe_locomotion.ui.scene import FORCE_SCALE, STATE_SIZE, Scene
from safe_locomotion.ui.scene_builder import SceneMaker

TIMELINE = "robot time"
PERIOD_NS = 40_000_000  #: robot time between two scenes
ROBOT = "world/robot"
FEET = "world/feet"
FORECAST = "world/forecast"
TRAIL = "world/trail"
Tell = Callable[[float], None]


def export(record: EpisodeRecord, name: str, path: Path, tell: Tell | None = None) -> int:
    """Write an episode as a file of rerun, and return the number of scenes.

    Args:
        record: the episode.
        name: of the recording in the viewer.
        path: of the file; an existing one is replaced.
        tell: is told the share that is done.

    Raises:
        ImportError: rerun is not installed.
        ConfigurationError: the episode lacks estimates or verdicts, or the file cannot be written.
    """
    import rerun as rr  # noqa: PLC0415 - an extra

    if not len(record.estimates) or not len(record.verdicts):
        raise ConfigurationError(f"{name} holds no estimates or no verdicts: nothing to export")
    stream = rr.RecordingStream("safe_locomotion", recording_id=name)
    try:
        stream.save(path)
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(f"{path} cannot be written: {error}") from error
    config = recorded_config(record)
    writer = SceneWriter(rr, stream, RobotBody(record.info.robot))
    count = 0
    start = int(record.states.stamp_ns[0])
    total = max(int(record.estimates.stamp_ns[-1]) - start, 1)
    for scene in scenes(record, config):
        writer.write(scene, (scene.stamp_ns - start) / NANOSECONDS)
        count += 1
        if tell is not None:
            tell((scene.stamp_ns - start) / total)
    stream.flush()
    stream.disconnect()
    return count


def scenes(record: EpisodeRecord, config: StackConfig) -> Iterator[Scene]:
    """Scenes of an episode, one each `PERIOD_NS`.

    Args:
        record: the episode.
        config: under which it was recorded.
    """
    maker = SceneMaker(load_robot(record.info.robot), config)
    verdicts = record.verdicts
    predictions = {int(row): k for k, row in enumerate(verdicts.predicted_at)}
    due = Divider(PERIOD_NS)
    next_row = 0
    for k, stamp_ns in enumerate(record.estimates.stamp_ns.tolist()):
        estimate = estimate_row(record, k)
        if not due.due(stamp_ns):
            maker.note(estimate)
            continue
        end = int(verdicts.at(stamp_ns)) + 1
        rows = range(max(0, min(next_row, end - 1)), end)
        next_row = end
        passed = [_verdict(verdicts, row, predictions.get(row)) for row in rows]
        yield maker.update(estimate, passed, _plan(record, stamp_ns))


def _verdict(trace: VerdictTrace, row: int, prediction: int | None) -> Verdict:
    """The recorded verdict in a row."""
    vx, vy, wz = trace.command[row].tolist()
    policy = int(trace.policy[row])
    margins = zip(trace.components, trace.margins[row].tolist(), strict=True)
    return Verdict(
        stamp_ns=int(trace.stamp_ns[row]),
        mode=Mode(int(trace.mode[row])),
        mode_since_ns=int(trace.mode_since_ns[row]),
        active="learner" if trace.learner[row] else "recovery",
        gait=recorded_gait(trace.gait[row], trace.lifted[row]),
        command=VelocityCommand(vx=vx, vy=vy, wz=wz),
        margins=tuple((name, value) for name, value in margins if not np.isnan(value)),
        predicted=None if prediction is None else trace.predicted[prediction],
        reasons=tuple(
            name for name, held in zip(trace.hazards, trace.reasons[row], strict=True) if held
        ),
        policy=trace.policies[policy] if policy >= 0 else "",
    )


def _plan(record: EpisodeRecord, stamp_ns: int) -> StancePlan | None:
    """The newest plan at a stamp; None before the first."""
    plans = record.plans
    row = int(plans.at(stamp_ns))
    if row < 0:
        return None
    return StancePlan(
        stamp_ns=int(plans.stamp_ns[row]),
        stance=plans.stance[row],
        force=plans.force[row],
        foot_position=plans.foot_position[row],
        foot_velocity=plans.foot_velocity[row],
        solved=bool(plans.solved[row]),
    )


class SceneWriter:
    """Logs scenes of one robot to a recording of rerun."""

    def __init__(self, rr: Any, stream: Any, body: RobotBody) -> None:
        """Log what does not change.

        Args:
            rr: the module `rerun`.
            stream: recording that is written.
            body: links and shapes of the robot.
        """
        self._rr = rr
        self._stream = stream
        self._body = body
        self._headline = ""
        self._reason = ""
        stream.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        for index, shape in enumerate(body.shapes):
            stream.log(self._shape_path(index), self._shape(index), static=True)
            stream.log(
                self._shape_path(index),
                rr.InstancePoses3D(
                    translations=[shape.position], quaternions=[_xyzw(shape.quaternion_wxyz)]
                ),
                static=True,
            )

    def _shape_path(self, index: int) -> str:
        link = self._body.links[self._body.shapes[index].link]
        return f"{ROBOT}/{link}/shape_{index}"

    def _shape(self, index: int) -> Any:
        """A primitive of the robot in its own frame."""
        rr = self._rr
        shape = self._body.shapes[index]
        color = _bytes(shape.color)
        if shape.kind == "box":
            return rr.Boxes3D(sizes=[shape.size], colors=[color], fill_mode="solid")
        if shape.kind == "sphere":
            half = [0.5 * edge for edge in shape.size]
            return rr.Ellipsoids3D(half_sizes=[half], colors=[color], fill_mode="solid")
        return rr.Cylinders3D(
            lengths=[shape.size[2]],
            radii=[0.5 * shape.size[0]],
            colors=[color],
            fill_mode="solid",
        )

    def write(self, scene: Scene, seconds: float) -> None:
        """Log one scene.

        Args:
            scene: to be drawn.
            seconds: since the episode began.
        """
        self._stream.set_time(TIMELINE, duration=seconds)
        self._links(scene)
        self._feet(scene)
        self._forecast(scene)
        self._safety(scene)

    def _links(self, scene: Scene) -> None:
        for index, link in enumerate(self._body.links):
            self._stream.log(
                f"{ROBOT}/{link}",
                self._rr.Transform3D(
                    translation=scene.links.position[index],
                    quaternion=_xyzw(scene.links.quaternion_wxyz[index]),
                ),
            )

    def _feet(self, scene: Scene) -> None:
        rr = self._rr
        self._stream.log(
            FEET,
            rr.Points3D(
                [foot.position for foot in scene.feet],
                colors=[_bytes(foot.color) for foot in scene.feet],
                radii=0.02,
                labels=[foot.leg for foot in scene.feet],
                show_labels=False,
            ),
        )
        self._stream.log(
            f"{FEET}/forces",
            rr.Arrows3D(
                origins=[foot.ground for foot in scene.feet],
                vectors=[np.array(foot.force) * FORCE_SCALE for foot in scene.feet],
                colors=[_bytes(foot.force_color) for foot in scene.feet],
            ),
        )

    def _forecast(self, scene: Scene) -> None:
        """Predicted centres of mass: green, and red in the trigger set."""
        rr = self._rr
        forecast = scene.prediction
        if forecast is None:
            self._stream.log(FORECAST, rr.Clear(recursive=False))
            return
        self._stream.log(
            FORECAST,
            rr.Points3D(
                forecast.position,
                colors=[_bytes(color) for color in forecast.colors],
                radii=0.5 * STATE_SIZE,
            ),
        )

    def _safety(self, scene: Scene) -> None:
        """Who drives, the margins of the trigger set, and why, when it changes."""
        rr = self._rr
        drives = scene.mode is Mode.WALK and scene.active == "learner"
        self._stream.log("safety/policy_drives", rr.Scalars(float(drives)))
        self._stream.log(TRAIL, rr.Points3D([scene.position], colors=[_bytes(scene.color)]))
        for bar in scene.bars:
            self._stream.log(f"safety/margins/{bar.name}", rr.Scalars(bar.margin))
        if (scene.headline, scene.reason) != (self._headline, self._reason):
            self._headline = scene.headline
            self._reason = scene.reason
            said = f"{scene.headline}: {scene.reason}" if scene.reason else scene.headline
            self._stream.log("safety/decisions", rr.TextLog(said, color=_bytes(scene.color)))


def _xyzw(quaternion_wxyz: Any) -> Any:
    """A quaternion in the order of rerun."""
    return np.roll(quaternion_wxyz, -1)


def _bytes(color: tuple[float, float, float, float]) -> list[int]:
    return [round(255.0 * part) for part in color]
