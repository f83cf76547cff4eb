"""The prediction of a scene: where the learner would take the robot."""

from collections.abc import Sequence

import numpy as np

from safe_locomotion.robot.centroidal import POSITION, RATES, RPY, VELOCITY
from safe_locomotion.robot.ground_frame import ground_rows
from safe_locomotion.rotations import quaternion_from_rpy, rpy_from_matrix
from safe_locomotion.safety.switching_rule import STEP
from safe_locomotion.safety.trigger_set import COMPONENTS, TriggerSet, TriggerState, Values
from safe_locomotion.types import NANOSECONDS, Array, Estimate, Verdict
from safe_locomotion.ui.robot_body import products
from safe_locomotion.ui.scene import Prediction
from safe_locomotion.ui.scene_feet import ground_normal

KEPT_S = 0.25  #: the newest prediction is shown for this long [s]; one comes every 0.1 s


class PredictionMaker:
    """Keeps the newest prediction of the verdicts.

    The supervisor's measured values win: a prediction only adds its changes to them.
    """

    def __init__(self, trigger_set: TriggerSet, state: TriggerState) -> None:
        """Nothing is predicted yet.

        Args:
            trigger_set: of the supervisor.
            state: measures the components of the trigger set.
        """
        self._set = trigger_set
        self._state = state
        self._newest: Prediction | None = None

    @property
    def newest(self) -> Prediction | None:
        """The newest prediction, of any age; None before the first."""
        return self._newest

    def young(self, stamp_ns: int) -> Prediction | None:
        """The newest prediction, unless it is older than `KEPT_S` at this stamp."""
        newest = self._newest
        if newest is None or abs(stamp_ns - newest.stamp_ns) > KEPT_S * NANOSECONDS:
            return None
        return newest

    def update(
        self,
        estimate: Estimate,
        verdicts: Sequence[Verdict],
        measured: Values,
        judged: Sequence[float],
    ) -> None:
        """Take the newest prediction among verdicts.

        Args:
            estimate: the newest.
            verdicts: oldest first.
            measured: components of the trigger set as measured here.
            judged: the same components according to the supervisor.
        """
        for verdict in reversed(verdicts):
            if verdict.predicted is not None:
                if self._newest is None or verdict.stamp_ns != self._newest.stamp_ns:
                    offsets = np.nan_to_num(np.array(judged) - np.array(measured))
                    self._take(verdict.stamp_ns, verdict.predicted, estimate, judged, offsets)
                return

    def _take(
        self,
        stamp_ns: int,
        predicted: Array,
        estimate: Estimate,
        judged: Sequence[float],
        offsets: Array,
    ) -> None:
        """Find the first of the predicted states (W + 1, 12) in the trigger set."""
        finite = _finite_states(predicted)
        if not len(finite):
            return
        yaw = float(predicted[0, RPY.stop - 1])
        frame = np.array(ground_rows(yaw, ground_normal(estimate)))
        states = _in_ground_frame(predicted, frame)
        ahead = self._state.predicted(states[0], states[1:], STEP) + offsets
        components = np.vstack((judged, ahead))
        outside = ~((self._set.low <= components) & (components <= self._set.high))
        entered = np.flatnonzero(outside.any(axis=1))
        entry = int(entered[0]) if len(entered) else None
        names = () if entry is None else tuple(np.array(COMPONENTS)[outside[entry]].tolist())
        self._newest = Prediction(
            stamp_ns=stamp_ns,
            position=finite[:, POSITION],
            quaternion_wxyz=_attitudes(finite, frame),
            entry=entry,
            components=names,
        )


def _finite_states(states: Array) -> Array:
    """Rows before the first that is not finite."""
    bad = np.flatnonzero(~np.isfinite(states).all(axis=1))
    return states[: bad[0]] if len(bad) else states


def _in_ground_frame(states: Array, frame: Array) -> Array:
    """Predicted states (W + 1, 12), turned from odom into the ground frame.

    Origin and yaw stay those of odom, because only their changes count.
    """
    out = states.copy()
    for part in (POSITION, RATES, VELOCITY):
        out[:, part] = states[:, part] @ frame
    return out


def _attitudes(states: Array, frame: Array) -> Array:
    """Quaternions (n, 4) of body to odom.

    Roll and pitch of a state are against the ground, its yaw is in odom.
    """
    half = 0.5 * states[:, RPY]
    half[:, 2] -= 0.5 * states[0, RPY.stop - 1]
    cr, cp, cy = np.cos(half).T
    sr, sp, sy = np.sin(half).T
    bodies = (
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    )
    turn = quaternion_from_rpy(*rpy_from_matrix(frame))
    return products(np.broadcast_to(turn, (len(states), 4)), np.stack(bodies, axis=1))
