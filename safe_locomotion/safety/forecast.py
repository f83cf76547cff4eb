"""Forecast: what the model predicts about the learner from one state on."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from math import atan2, sqrt

import numpy as np

from safe_locomotion.robot.centroidal import POSITION, RPY, VELOCITY, driven
from safe_locomotion.rotations import rotate_plane, rpy_from_quaternion
from safe_locomotion.safety.gait_rollout import GaitRollout, Inputs, Scene
from safe_locomotion.safety.joint_rollout import JointRollout
from safe_locomotion.safety.switching_rule import STEP, InterventionParameters
from safe_locomotion.safety.trigger_set import TriggerSet, TriggerState
from safe_locomotion.types import (
    Array,
    Estimate,
    Flags,
    GaitParameters,
    JointTargets,
    Proposal,
    VelocityCommand,
)

Ask = Callable[[Estimate], Proposal]
Suppose = Callable[[VelocityCommand], AbstractContextManager[Ask]]
HYPOTHESES = 64  #: states within the estimator's uncertainty, the estimate itself among them


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known on one tick.

    Attributes:
        estimate: of the robot's state.
        proposal: of the learner.
        recovery: gait of the recovery policy.
        command: velocity in force.
    """

    estimate: Estimate
    proposal: Proposal | None
    recovery: GaitParameters
    command: VelocityCommand

    @property
    def learner_gait(self) -> GaitParameters | None:
        """Gait that the learner proposes; None for a learner that proposes joint targets."""
        return None if self.proposal is None else self.proposal.gait

    @property
    def learner_joints(self) -> JointTargets | None:
        """Joint targets that the learner proposes; None for a learner that proposes gaits."""
        return None if self.proposal is None else self.proposal.joints


class Forecaster:
    """Makes forecasts with a model, a trigger set and measured components of the state."""

    def __init__(
        self,
        parameters: InterventionParameters,
        trigger_set: TriggerSet,
        state: TriggerState,
        rollout: GaitRollout,
        joints: JointRollout,
        suppose: Suppose | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            parameters: of the intervention.
            trigger_set: that predicted states are tested against.
            state: measured components.
            rollout: of gaits.
            joints: rollout of joint targets.
            suppose: for the closed loop, asks the learner in predicted states, once in each. None
                for a learner that lives in another process: it keeps to what it proposes now. The
                MPC below it is solved again in either case.
        """
        self._suppose = suppose
        self.parameters = parameters
        self.trigger_set = trigger_set
        self.state = state
        self.rollout = rollout
        self.joints = joints

    def reset(self) -> None:
        """Begin a new walk."""
        self.rollout.reset()

    def follow(self, estimate: Estimate, gait: GaitParameters) -> None:
        """Advance the phase of the gait that is executed."""
        yaw = rpy_from_quaternion(estimate.quaternion_wxyz)[2]
        _, speed_to_left = rotate_plane(-yaw, *estimate.velocity[:2].tolist())
        self.rollout.follow(estimate.stamp_ns, gait, speed_to_left)

    def learner(self, scene: Scene, now: Moment) -> Array | None:
        """States (..., W + 1, 12) under the learner, or None when there is no forecast.

        The prediction from the estimate comes before those from its hypotheses.
        """
        gait = now.learner_gait
        stamp_ns = now.estimate.stamp_ns
        if now.learner_joints is not None:
            return self._joints(scene, now, now.learner_joints, scene.x0, self.rollout.steps)
        if gait is None:
            return None
        if self.parameters.rollout == "closed_loop":
            with self._learner_in(now) as ask:
                later = None if ask is None else lambda estimate: ask(estimate).gait
                return self.rollout.closed_loop(scene, stamp_ns, gait, later, now.estimate)
        inputs = self.rollout.inputs(scene, stamp_ns, gait)
        if inputs is None:
            return None
        x0 = (
            scene.x0
            if not self.parameters.uncertainty
            else scene.x0 + self._spread(scene, now.estimate)
        )
        return driven(x0, inputs.accelerations, STEP)

    def recovery_first(self, scene: Scene, now: Moment) -> Array | None:
        """States (W - 1, W + 1, 12) when recovery acts first and the learner after it.

        In row i - 1 the first i steps are the recovery policy's, i = 1..W-1.
        """
        first = self.rollout.inputs(scene, now.estimate.stamp_ns, now.recovery)
        if first is None:
            return None
        if now.learner_joints is not None:
            return self._joints_after(scene, now, now.learner_joints, first)
        gait = now.learner_gait
        then = None if gait is None else self.rollout.inputs(scene, now.estimate.stamp_ns, gait)
        if then is None:
            return None
        steps = self.rollout.steps
        recovers = (np.arange(steps) < np.arange(1, steps)[:, None])[:, :, None]
        return driven(scene.x0, np.where(recovers, first.accelerations, then.accelerations), STEP)

    def _joints_after(
        self, scene: Scene, now: Moment, targets: JointTargets, first: Inputs
    ) -> Array:
        """The same for a joint policy, one hypothesis after the other.

        Its forces depend on the states before them.
        """
        steps = self.rollout.steps
        recovered = driven(scene.x0, first.accelerations, STEP)
        after = [
            self._joints(scene, now, targets, recovered[i], steps - i) for i in range(1, steps)
        ]
        return np.array(
            [np.concatenate((recovered[:i], rest)) for i, rest in enumerate(after, start=1)]
        )

    def _joints(
        self, scene: Scene, now: Moment, targets: JointTargets, x0: Array, steps: int
    ) -> Array:
        with self._learner_in(now) as ask:
            later = None if ask is None else lambda estimate: ask(estimate).joints
            return self.joints.states(scene, x0, steps, targets, later, now.estimate)

    def _learner_in(self, now: Moment) -> AbstractContextManager[Ask | None]:
        """Learner to ask in predicted states; None keeps its present proposal."""
        if self._suppose is None or self.parameters.rollout == "open_loop":
            return nullcontext()
        return self._suppose(now.command)

    def safe(self, scene: Scene, now: Moment, states: Array) -> Flags:
        """Whether each predicted state (..., W) lies outside the trigger set.

        It is measured as it will be when the learner drives.
        """
        gait = now.learner_gait
        frequency = None if gait is None else gait.frequency
        return self.trigger_set.safe(
            self.state.predicted(scene.x0, states[..., 1:, :], STEP, frequency)
        )

    def _spread(self, scene: Scene, estimate: Estimate) -> Array:
        """Deviations (64, 12) of height and velocity on the surface of the estimator's ellipsoid.

        The first is zero.
        """
        sigma = self.parameters.uncertainty
        directions = _directions(HYPOTHESES)
        frame = scene.frame
        values, axes = np.linalg.eigh(frame.T @ estimate.velocity_covariance @ frame)
        height = float(frame[:, 2] @ estimate.position_covariance @ frame[:, 2])
        spread = np.zeros((HYPOTHESES, len(scene.x0)))
        spread[:, POSITION.stop - 1] = sigma * sqrt(max(0.0, height)) * directions[:, 3]
        spread[:, VELOCITY] = (
            sigma * (directions[:, :3] * np.sqrt(np.maximum(values, 0.0))) @ axes.T
        )
        return spread


class Forecast:
    """Forecast of one moment; it computes only what is asked, and each thing once."""

    def __init__(self, forecaster: Forecaster, now: Moment) -> None:
        self._f = forecaster
        self._now = now
        self._scene: Scene | None = None
        self._states: Array | None = None
        self._asked = False

    def learner_stays_safe(self) -> bool:
        """Definition 3: none of the next w states under the learner lies in the trigger set.

        It is False without a forecast.
        """
        states = self.look()
        return states is not None and bool(self._f.safe(self._see(), self._now, states).all())

    def least_recovery_steps(self) -> int | None:
        """Definition 2: the least i in 1..w-1 after which the learner stays safe up to step w.

        The recovery policy acts in the first i steps.
        """
        states = self._f.recovery_first(self._see(), self._now)
        if states is None:
            return None
        safe = self._f.safe(self._see(), self._now, states)
        steps = np.arange(safe.shape[-1])
        kept = (safe | (steps < np.arange(1, len(safe) + 1)[:, None])).all(axis=-1)
        return int(np.argmax(kept)) + 1 if kept.any() else None

    def look(self) -> Array | None:
        """States (..., W + 1, 12) under the learner in the ground frame."""
        if not self._asked:
            self._asked = True
            self._states = self._f.learner(self._see(), self._now)
        return self._states

    def states_in_odom(self) -> Array | None:
        """Predicted states (W + 1, 12) in odom, as far as they were computed.

        They are rpy, position of the centre of mass, angular velocity, velocity.

        On a slope roll and pitch are against the ground.
        """
        if self._states is None or self._scene is None:
            return None
        states = self._states if self._states.ndim == 2 else self._states[0]
        out = states.copy()
        frame = self._scene.frame
        out[:, POSITION.start :] = (states[:, POSITION.start :].reshape(-1, 3) @ frame.T).reshape(
            len(states), -1
        )
        out[:, POSITION] += self._scene.origin
        out[:, RPY.stop - 1] += atan2(frame[1, 0], frame[0, 0])
        return out

    def _see(self) -> Scene:
        if self._scene is None:
            self._scene = self._f.rollout.scene(self._now.estimate, self._now.command)
        return self._scene


@cache
def _directions(count: int) -> Array:
    """Directions (count, 4), spread evenly over the sphere by a fixed draw; the first is zero."""
    draws = np.random.default_rng(0).normal(size=(count, 4))
    directions: Array = draws / np.linalg.norm(draws, axis=1)[:, None]
    directions[0] = 0.0
    directions.setflags(write=False)
    return directions
