"""Errors of the onboard estimator, drawn for many robots: from the truth to what they believe.

Running the estimator itself would cost as much as the controller. So its errors were measured on
random gaits by `tools/estimator_noise.py --write`, and each channel is modelled as

    e(t) = mean + bias + g(t) + w(t),    E[g(t) g(t + s)] = walk^2 exp(-s / time),

with a bias that holds for an episode, a Gauss-Markov process g and white noise w. Errors of x, y
and yaw are left out, because nothing depends on where odom lies. Contact flags follow from an error
of the foot load and the thresholds of the onboard contact detector.
"""

from dataclasses import astuple, dataclass
from math import exp, sqrt
from typing import Any

import numpy as np
import warp as wp

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.training.gait.world.arrays import BLOCK, Array1, Array2, Integers1
from safe_locomotion.training.gait.world.estimates import (
    Estimates,
    estimates,
    heading_frame,
    roll_pitch_yaw,
)
from safe_locomotion.training.gait.world.plant import contact_thresholds
from safe_locomotion.types import N_JOINTS, N_LEGS


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """Error of one kind of number, in its unit.

    Attributes:
        mean: of all episodes.
        bias: standard deviation of the means of episodes.
        walk: standard deviation of the Gauss-Markov process.
        time: its correlation time [s].
        white: standard deviation of the white noise.
    """

    mean: float
    bias: float
    walk: float
    time: float
    white: float


MEASURED = {
    "height": Channel(mean=0.0041, bias=0.0, walk=0.0032, time=0.084, white=0.0),
    "roll": Channel(mean=0.00042, bias=0.0027, walk=0.0039, time=1.4, white=8.8e-05),
    "pitch": Channel(mean=0.0007, bias=0.0, walk=0.0051, time=3.0, white=0.0),
    "vx": Channel(mean=0.00011, bias=0.0, walk=0.015, time=0.17, white=0.0),
    "vy": Channel(mean=0.00045, bias=0.0, walk=0.012, time=0.15, white=0.0),
    "vz": Channel(mean=-0.0046, bias=0.0029, walk=0.015, time=0.2, white=0.0035),
    "wx": Channel(mean=8.7e-05, bias=0.0, walk=0.002, time=2.7, white=0.01),
    "wy": Channel(mean=0.00013, bias=0.0, walk=0.0018, time=1.5, white=0.01),
    "wz": Channel(mean=2.6e-06, bias=0.00064, walk=0.00086, time=0.64, white=0.01),
    "joint": Channel(mean=-1.5e-06, bias=0.0018, walk=0.0, time=0.01, white=0.0005),
    "joint_rate": Channel(mean=-2.2e-07, bias=0.0, walk=0.0015, time=0.12, white=0.05),
    "load": Channel(mean=1.6, bias=1.4, walk=2.9, time=0.057, white=1.9),
}
"""Errors of the A1's estimator as it ships, under the simulator's default sensor noise.

Keys: height above the ground [m], roll and pitch [rad], velocity in the heading frame [m/s],
angular velocity in base [rad/s], each joint [rad], each joint rate [rad/s], and the load of each
foot that carries less than 40 N [N]. The numbers are those of docs/data/estimator_noise.json.
"""

COUNTS = {"joint": N_JOINTS, "joint_rate": N_JOINTS, "load": N_LEGS}
"""Numbers of a channel that is not a single one."""

ATTITUDE = wp.constant(1)
VELOCITY = wp.constant(3)
RATES = wp.constant(6)
JOINT = wp.constant(9)
JOINT_RATE = wp.constant(9 + N_JOINTS)
LOAD = wp.constant(9 + 2 * N_JOINTS)
NUMBERS = wp.constant(9 + 2 * N_JOINTS + N_LEGS)
JOINTS = wp.constant(N_JOINTS)
LEGS = wp.constant(N_LEGS)
STREAM_OF_STARTS = wp.constant(1_000_003)
"""Added to the seed for the numbers that begin an episode."""

wp.set_module_options({"enable_backward": False, "max_unroll": 4, "block_dim": BLOCK})


@wp.struct
class NoiseModel:
    """What is the same for all robots; each array is (37,), one row per number.

    Attributes:
        mean, bias, walk, white: of `Channel`.
        keep: share of the Gauss-Markov process that lasts one period.
        kick: standard deviation of what is added in one period.
        contact_on, contact_off: loads at which contact begins and ends [N].
        seed: of all numbers.
    """

    mean: Array1
    bias: Array1
    walk: Array1
    white: Array1
    keep: Array1
    kick: Array1
    contact_on: float
    contact_off: float
    seed: int


@wp.struct
class NoiseState:
    """What each robot remembers.

    Attributes:
        bias: (B, 37) of its episode, in standard deviations.
        walk: (B, 37) the Gauss-Markov process, in the channel's unit.
        ticks: (B,) draws so far, so that no two draws are alike.
        scale: (1,) by which all errors are multiplied; 0 gives the truth.
    """

    bias: Array2
    walk: Array2
    ticks: Integers1
    scale: Array1


class EstimatorNoise:
    """The estimates of B robots; `sense` and `restart` only launch kernels.

    Attributes:
        estimates: `Estimates` after the last `sense`.
        scale: (1,) on the device; errors are multiplied by it.
    """

    def __init__(
        self,
        robot: RobotModel,
        robots: int,
        device: str,
        *,
        period: float,
        seed: int = 0,
        scale: float = 1.0,
    ) -> None:
        """Errors of robots that are at the start of an episode.

        Args:
            robot: model; its weight sets the contact thresholds.
            robots: how many.
            device: of Warp.
            period: between two calls of `sense` [s].
            seed: equal seeds and calls give equal errors.
            scale: of all errors.

        Raises:
            ConfigurationError: the period is not positive, or the scale is negative.
        """
        if not 0.0 < period < float("inf"):
            raise ConfigurationError(f"a period of {period} s must be positive")
        if not 0.0 <= scale < float("inf"):
            raise ConfigurationError(f"a scale of {scale} must not be negative")
        self.estimates = estimates(robots, device)
        self.scale = wp.array([scale], dtype=float, device=device)
        self._robots = robots
        self._device = device
        self._model = _model(robot, period, seed, device)
        self._state = NoiseState()
        numbers = (robots, int(NUMBERS))
        self._state.bias = wp.zeros(numbers, dtype=float, device=device)
        self._state.walk = wp.zeros(numbers, dtype=float, device=device)
        self._state.ticks = wp.zeros(robots, dtype=int, device=device)
        self._state.scale = self.scale
        self.restart(wp.ones(robots, dtype=float, device=device))

    def restart(self, mask: Any) -> None:
        """Draw the errors of a new episode, with all feet in contact.

        Args:
            mask: (B,) above 0.5 for these robots.
        """
        inputs = [mask, self._model, self._state, self.estimates]
        wp.launch(begin, self._robots, inputs=inputs, device=self._device)

    def seek(self, tick: int) -> None:
        """Go on with the random numbers of a tick, so that what follows does not depend on before.

        Args:
            tick: number of calls of `sense` and `restart` after which the numbers are the same.
        """
        self._state.ticks.fill_(tick)

    def sense(self, truth: Any, touch: Any) -> Any:
        """Advance all errors by one period; the estimates of this truth.

        Args:
            truth: `Estimates` without error.
            touch: (B, 4 or more) true forces on the feet [N].
        """
        inputs = [truth, touch, self._model, self._state, self.estimates]
        wp.launch(believe, self._robots, inputs=inputs, device=self._device)
        return self.estimates


def _model(robot: RobotModel, period: float, seed: int, device: str) -> Any:
    rows = [row for name, row in MEASURED.items() for _ in range(COUNTS.get(name, 1))]
    columns = np.array([astuple(row) for row in rows]).T
    mean, bias, walk, time, white = columns
    keep = np.array([exp(-period / t) for t in time])
    kick = np.array([w * sqrt(1.0 - k * k) for w, k in zip(walk, keep, strict=True)])
    model = NoiseModel()
    values = {"mean": mean, "bias": bias, "walk": walk, "white": white, "keep": keep, "kick": kick}
    for name, value in values.items():
        setattr(model, name, wp.array(value.astype(np.float32), dtype=float, device=device))
    model.contact_on, model.contact_off = contact_thresholds(robot)
    model.seed = seed
    return model


@wp.kernel
def begin(mask: Array1, model: NoiseModel, state: NoiseState, seen: Estimates) -> None:
    """Draw bias and first value of the Gauss-Markov process of one robot."""
    robot = wp.tid()
    if not mask[robot] > 0.5:
        return
    tick = state.ticks[robot]
    random = wp.rand_init(model.seed + robot * 7919 + STREAM_OF_STARTS, tick)
    for k in range(NUMBERS):
        state.bias[robot, k] = wp.randn(random)
        state.walk[robot, k] = model.walk[k] * wp.randn(random)
    state.ticks[robot] = tick + 1
    for leg in range(LEGS):
        seen.contact[robot, leg] = 1.0


@wp.func
def error_of(model: NoiseModel, state: NoiseState, robot: int, k: int, random: float) -> float:
    """Present error of one number, to which white noise `random` [standard deviations] is added."""
    slow = model.mean[k] + model.bias[k] * state.bias[robot, k] + state.walk[robot, k]
    return state.scale[0] * (slow + model.white[k] * random)


@wp.func
def turned(rotation: wp.mat33, roll_error: float, pitch_error: float) -> wp.mat33:
    """A rotation whose roll and pitch are changed and whose yaw stays."""
    angles = roll_pitch_yaw(rotation)
    cr = wp.cos(angles[0] + roll_error)
    sr = wp.sin(angles[0] + roll_error)
    cp = wp.cos(angles[1] + pitch_error)
    sp = wp.sin(angles[1] + pitch_error)
    lean = wp.mat33(cp, sp * sr, sp * cr, 0.0, cr, -sr, -sp, cp * sr, cp * cr)
    return heading_frame(rotation) * lean


@wp.kernel
def believe(
    truth: Estimates, touch: Array2, model: NoiseModel, state: NoiseState, seen: Estimates
) -> None:
    """Advance the errors of one robot, and add them to its truth."""
    robot = wp.tid()
    tick = state.ticks[robot]
    random = wp.rand_init(model.seed + robot * 7919, tick)
    for k in range(NUMBERS):
        state.walk[robot, k] = model.keep[k] * state.walk[robot, k] + model.kick[k] * wp.randn(
            random
        )
    state.ticks[robot] = tick + 1
    error = wp.vec3()
    height = error_of(model, state, robot, 0, wp.randn(random))
    roll = error_of(model, state, robot, ATTITUDE, wp.randn(random))
    pitch = error_of(model, state, robot, ATTITUDE + 1, wp.randn(random))
    seen.position[robot] = truth.position[robot] + wp.vec3(0.0, 0.0, height)
    seen.rotation[robot] = turned(truth.rotation[robot], roll, pitch)
    for axis in range(3):
        error[axis] = error_of(model, state, robot, VELOCITY + axis, wp.randn(random))
    seen.velocity[robot] = truth.velocity[robot] + heading_frame(truth.rotation[robot]) * error
    for axis in range(3):
        error[axis] = error_of(model, state, robot, RATES + axis, wp.randn(random))
    seen.rates[robot] = truth.rates[robot] + error
    for joint in range(JOINTS):
        angle = error_of(model, state, robot, JOINT + joint, wp.randn(random))
        rate = error_of(model, state, robot, JOINT_RATE + joint, wp.randn(random))
        seen.joints[robot, joint] = truth.joints[robot, joint] + angle
        seen.joint_rates[robot, joint] = truth.joint_rates[robot, joint] + rate
    for leg in range(LEGS):
        load = touch[robot, leg] + error_of(model, state, robot, LOAD + leg, wp.randn(random))
        needed = wp.where(seen.contact[robot, leg] > 0.5, model.contact_off, model.contact_on)
        seen.contact[robot, leg] = wp.where(load > needed, 1.0, 0.0)
