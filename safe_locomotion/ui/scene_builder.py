"""Makes scenes of what the stages said; what they show and how it looks is in `scene`."""

from collections import deque
from collections.abc import Sequence
from math import inf, isfinite, nan
from typing import NamedTuple

import numpy as np

from safe_locomotion.config import StackConfig
from safe_locomotion.control.swing import time_left
from safe_locomotion.robot.centroidal import POSITION, RATES, RPY, VELOCITY
from safe_locomotion.robot.ground_frame import ground_rows
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import (
    RotationRows,
    Vector,
    cross,
    quaternion_from_rpy,
    rotate,
    rotate_back,
    rows_from_quaternion,
    rpy_from_matrix,
    rpy_from_rows,
    vector,
)
from safe_locomotion.safety.capture_point import BEYOND, CAPTURE, MARGINS, CapturePoint
from safe_locomotion.safety.switching_rule import STEP
from safe_locomotion.safety.trigger_set import (
    COMPONENTS,
    N_COMPONENTS,
    TriggerSet,
    TriggerState,
    Values,
)
from safe_locomotion.types import (
    LEGS,
    N_LEGS,
    NANOSECONDS,
    Array,
    Estimate,
    GaitParameters,
    Mode,
    StancePlan,
    Verdict,
)
from safe_locomotion.ui.robot_body import RobotBody, products
from safe_locomotion.ui.scene import (
    FORCE_FLOOR,
    FORCE_SCALE,
    KEPT_FALLS,
    KEPT_FOOTHOLDS,
    KEPT_PREDICTION,
    STEEPEST,
    UPRIGHT,
    ZERO,
    Bar,
    Fall,
    FootScene,
    Prediction,
    Scene,
    added,
)


class _Body(NamedTuple):
    """Where the robot is drawn, and how it moves: in odom but for `rate`, in base; `rows` base to odom, `frame` ground to odom."""

    position: Vector
    rows: RotationRows
    frame: RotationRows
    normal: Vector
    velocity: Vector
    rate: Vector
    ground_height: float
    contact: list[bool]


class SceneMaker:
    """Makes scenes of one robot; remembers footholds, falls and the newest prediction.

    Attributes:
        body: what is drawn of the robot.
        bar_names: of the bars of every scene.
    """

    def __init__(self, robot: RobotModel, config: StackConfig) -> None:
        """Prepare for a robot under this configuration; reads its URDF.

        Raises:
            ConfigurationError: see `RobotBody`.
        """
        supervisor = config.supervisor
        self.body = RobotBody(robot.name)
        self._set = TriggerSet(supervisor.trigger_set.bounds, supervisor.thresholds.fall_height)
        self._state = TriggerState(supervisor.trigger_set)
        self._capture = CapturePoint(robot) if supervisor.intervention.capture else None
        self.bar_names = COMPONENTS if self._capture is None else MARGINS
        self._frequency = supervisor.recovery.frequency
        self._robot = robot
        self._mu = config.mpc.solver.mu
        self._swing = config.mpc.swing
        mu = config.mpc.solver.mu
        rim = FORCE_SCALE * np.array(
            [(mu, mu, 1.0), (mu, -mu, 1.0), (-mu, -mu, 1.0), (-mu, mu, 1.0)]
        )
        self._rim = [vector(corner) for corner in rim]
        self._feet_links = [self.body.links.index(f"{leg}_foot") for leg in LEGS]
        self._links = self.body.poses(np.zeros(3), np.array((1.0, 0.0, 0.0, 0.0)), robot.q_stand)
        self._shapes = self.body.shape_poses(self._links)
        self._prediction: Prediction | None = None
        self._footholds: deque[Vector] = deque(maxlen=KEPT_FOOTHOLDS)
        self._falls: deque[Fall] = deque(maxlen=KEPT_FALLS)
        self._stood = [True] * N_LEGS
        self._mode: Mode | None = None

    def note(self, estimate: Estimate) -> None:
        """Take an estimate for which no scene is wanted: the mean roll rate is the better, the more of them it knows."""
        self._state.update(estimate, self._frequency)

    def update(
        self, estimate: Estimate, verdicts: Sequence[Verdict] = (), plan: StancePlan | None = None
    ) -> Scene:
        """The scene now.

        Args:
            estimate: the newest.
            verdicts: that came since the last scene, or again the last one, oldest first; the newest one counts, and the newest
                prediction among them.
            plan: the newest.
        """
        verdict = verdicts[-1] if verdicts else None
        finite = _finite(estimate)
        if finite:
            self._links = self.body.poses(estimate.position, estimate.quaternion_wxyz, estimate.q)
            self._shapes = self.body.shape_poses(self._links)
        if verdict is not None and verdict.gait.frequency > 0.0:
            self._frequency = verdict.gait.frequency
        measured = self._state.update(estimate, self._frequency)
        bars = self._bars(estimate, measured, verdict)
        self._foresee(estimate, verdicts, measured, tuple(bar.value for bar in bars[:N_COMPONENTS]))
        self._count_falls(verdicts)
        body = self._where(estimate)
        feet = tuple(
            self._foot(leg, body, plan, None if verdict is None else verdict.gait)
            for leg in range(N_LEGS)
        )
        self._remember_footholds(feet, verdict)
        return Scene(
            stamp_ns=estimate.stamp_ns,
            position=body.position,
            heading=rpy_from_rows(body.rows)[2],
            links=self._links,
            shapes=self._shapes,
            velocity=body.velocity,
            normal=body.normal,
            feet=feet,
            footholds=np.array(self._footholds).reshape(-1, 3),
            prediction=self._young_prediction(estimate.stamp_ns),
            bars=bars,
            judged=verdict is not None and bool(verdict.margins),
            mode=None if verdict is None else verdict.mode,
            active="" if verdict is None else verdict.active,
            policy="" if verdict is None else verdict.policy,
            reason=self._reason(verdict, bars),
            falls=tuple(self._falls),
            finite=finite,
        )

    def _where(self, estimate: Estimate) -> _Body:
        rows = rows_from_quaternion(self._links.quaternion_wxyz[0])
        normal = _normal(estimate.ground_normal)
        return _Body(
            position=vector(self._links.position[0]),
            rows=rows,
            frame=ground_rows(rpy_from_rows(rows)[2], normal),
            normal=normal,
            velocity=vector(estimate.velocity),
            rate=vector(estimate.angular_velocity),
            ground_height=estimate.ground_height,
            contact=estimate.contact.tolist(),
        )

    def _bars(
        self, estimate: Estimate, measured: Values, verdict: Verdict | None
    ) -> tuple[Bar, ...]:
        """Values as the supervisor has them: from its margins, with the sign that is measured here."""
        margins = dict(
            self._set.margins(measured)
            if verdict is None or not verdict.margins
            else verdict.margins
        )
        bars = []
        for name, value, low, high in zip(
            COMPONENTS, measured, self._set.low.tolist(), self._set.high.tolist(), strict=True
        ):
            middle = 0.5 * (low + high)
            half = 0.5 * (high - low)
            margin = margins.get(name, -inf)
            side = 1.0 if value >= middle else -1.0
            shown = middle + side * half * (1.0 - margin) if isfinite(margin) else nan
            bars.append(Bar(name=name, value=shown, low=low, high=high, margin=margin))
        if self._capture is not None:
            margin = margins[CAPTURE] if CAPTURE in margins else self._capture.margin(estimate)
            half = self._capture.half_width
            beyond = -half * margin if isfinite(margin) else nan
            bars.append(Bar(name=CAPTURE, value=beyond, low=-2.0 * half, high=0.0, margin=margin))
        return tuple(bars)

    def _foresee(
        self,
        estimate: Estimate,
        verdicts: Sequence[Verdict],
        measured: Values,
        shown: Sequence[float],
    ) -> None:
        newest = next(
            ((v.stamp_ns, v.predicted) for v in reversed(verdicts) if v.predicted is not None), None
        )
        if newest is None or (
            self._prediction is not None and newest[0] == self._prediction.stamp_ns
        ):
            return
        stamp_ns, predicted = newest
        finite = _finite_states(predicted)
        if not len(finite):
            return
        frame = np.array(
            ground_rows(float(predicted[0, RPY.stop - 1]), _normal(estimate.ground_normal))
        )
        states = _in_ground_frame(predicted, frame)
        offsets = np.nan_to_num(np.array(shown) - np.array(measured))
        ahead = self._state.predicted(states[0], states[1:], STEP) + offsets
        inside = np.vstack((shown, ahead))
        out = ~((self._set.low <= inside) & (inside <= self._set.high))
        entered = np.flatnonzero(out.any(axis=1))
        entry = int(entered[0]) if len(entered) else None
        self._prediction = Prediction(
            stamp_ns=stamp_ns,
            position=finite[:, POSITION],
            quaternion_wxyz=_attitudes(finite, frame),
            entry=entry,
            components=() if entry is None else tuple(np.array(COMPONENTS)[out[entry]].tolist()),
        )

    def _young_prediction(self, stamp_ns: int) -> Prediction | None:
        p = self._prediction
        young = (
            p is not None
            and self._mode is Mode.WALK
            and abs(stamp_ns - p.stamp_ns) <= KEPT_PREDICTION * NANOSECONDS
        )
        return p if young else None

    def _count_falls(self, verdicts: Sequence[Verdict]) -> None:
        for verdict in verdicts:
            if verdict.mode is Mode.FALLEN and self._mode is not Mode.FALLEN:
                place = vector(self._links.position[0])
                self._falls.append(
                    Fall(stamp_ns=verdict.stamp_ns, position=place, reasons=verdict.reasons)
                )
            self._mode = verdict.mode

    def _foot(
        self, leg: int, body: _Body, plan: StancePlan | None, gait: GaitParameters | None
    ) -> FootScene:
        centre = vector(self._links.position[self._feet_links[leg]])
        normal = body.normal
        r = self._robot.foot_radius
        stance = plan is None or bool(plan.stance[leg])
        force = ZERO
        target = None
        foothold = None
        if plan is not None and stance:
            force = rotate(body.rows, vector(plan.force[leg]))
        elif plan is not None:
            away = vector(plan.foot_position[leg])
            speed = vector(plan.foot_velocity[leg])
            target = added(body.position, rotate(body.rows, away))
            speed = added(body.velocity, rotate(body.rows, added(speed, cross(body.rate, away))))
            foothold = None if gait is None else self._swing_end(target, speed, body, gait)
        pushes = rotate_back(body.frame, force)
        ground = added(centre, normal, -r)
        return FootScene(
            leg=LEGS[leg],
            position=centre,
            ground=ground,
            contact=body.contact[leg],
            stance=stance,
            force=force,
            cone=np.array(
                [
                    added(ground, rotate(body.frame, corner), max(0.0, pushes[2]))
                    for corner in self._rim
                ]
            ),
            friction=_friction(pushes, self._mu),
            target=target if target is not None and isfinite(sum(target)) else None,
            foothold=foothold,
        )

    def _swing_end(
        self, target: Vector, speed: Vector, body: _Body, gait: GaitParameters
    ) -> Vector | None:
        """Where on the ground a swing ends that is at `target` with `speed` [m/s], both in odom."""
        (nx, ny, nz), (x, y, z), r = body.normal, target, self._robot.foot_radius
        ground = (
            body.ground_height - (nx * (x - body.position[0]) + ny * (y - body.position[1])) / nz
        )
        time = time_left((z - r - ground) / self._swing.height, rising=speed[2] > 0.0)
        if time is None or not gait.frequency > 0.0:
            return None
        time *= gait.swing_ratio / gait.frequency
        dx = time * speed[0]
        dy = time * speed[1]
        end = x + dx, y + dy, ground - (nx * dx + ny * dy) / nz
        return end if isfinite(sum(end)) else None

    def _remember_footholds(self, feet: Sequence[FootScene], verdict: Verdict | None) -> None:
        walks = verdict is not None and verdict.mode is Mode.WALK
        for leg, foot in enumerate(feet):
            stands = foot.contact and foot.stance
            if walks and stands and not self._stood[leg]:
                self._footholds.append(foot.ground)
            self._stood[leg] = stands

    def _reason(self, verdict: Verdict | None, bars: Sequence[Bar]) -> str:
        """Why the mode, or the one who drives, is what it is."""
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
        p = self._young_prediction(verdict.stamp_ns)
        if p is not None and p.entry is not None:
            return f"the learner would enter the trigger set in {p.entry * STEP:.3f} s: {', '.join(p.components)}"
        return "the learner is not seen to stay safe"


def _finite_states(states: Array) -> Array:
    """Rows in front of the first that is not finite."""
    bad = np.flatnonzero(~np.isfinite(states).all(axis=1))
    return states[: bad[0]] if len(bad) else states


def _in_ground_frame(states: Array, frame: Array) -> Array:
    """Predicted states (W + 1, 12) of a verdict, in the ground frame but for origin and yaw, of which only changes count."""
    out = states.copy()
    for part in (POSITION, RATES, VELOCITY):
        out[:, part] = states[:, part] @ frame
    return out


def _attitudes(states: Array, frame: Array) -> Array:
    """(n, 4) body to odom; roll and pitch of a state are against the ground, its yaw is in odom."""
    half = 0.5 * states[:, RPY]
    half[:, 2] -= 0.5 * states[0, RPY.stop - 1]
    (cr, cp, cy), (sr, sp, sy) = np.cos(half).T, np.sin(half).T
    bodies = (
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    )
    turn = quaternion_from_rpy(*rpy_from_matrix(frame))
    return products(np.broadcast_to(turn, (len(states), 4)), np.stack(bodies, axis=1))


def _friction(force: Vector, mu: float) -> float:
    """Tangential over the greatest possible force; inf for a foot that would have to pull, NaN without a force."""
    fx, fy, fz = force
    if not abs(fx) + abs(fy) + abs(fz) >= FORCE_FLOOR:
        return nan
    return max(abs(fx), abs(fy)) / (mu * fz) if fz > 0.0 else inf


def _normal(normal: Array) -> Vector:
    """A unit vector; upright for one that is none, or that belongs to a wall."""
    x, y, z = vector(normal)
    return (x, y, z) if z >= STEEPEST and isfinite(x + y + z) else UPRIGHT


def _finite(estimate: Estimate) -> bool:
    numbers = np.concatenate((estimate.position, estimate.quaternion_wxyz, estimate.q))
    return isfinite(float(numbers @ numbers)) and bool(np.any(estimate.quaternion_wxyz))
