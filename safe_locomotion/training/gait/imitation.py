"""Start of gait training: a network that imitates the tuned gait, with its haste after a push.

A random network would drive the gait parameters to their bounds within half a second, because its
outputs are their rates of change.
"""

from dataclasses import replace

import numpy as np

from safe_locomotion.control.gait import PHASE_OFFSETS
from safe_locomotion.control.nominal_gait import GaitSettings, NominalGait
from safe_locomotion.envs.gait_contract import RATE_HZ
from safe_locomotion.envs.gait_tasks import GaitTask
from safe_locomotion.policy.action import GaitTerm
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.observation import Observer
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.training.gait.mlp import Mlp, MlpShape, Normaliser, random_weights
from safe_locomotion.types import N_JOINTS, N_LEGS, Array, Estimate, GaitParameters, VelocityCommand

SAMPLES = 8192
BATCH = 256
ITERATIONS = 4000
LEARNING_RATE = 3e-3
MOMENTUM = 0.9
SQUARES = 0.999
STEP = 1.0 / RATE_HZ  # s
RETURN_TIME = 0.08  # s in which a parameter returns to the tuned gait's
LARGEST_OUTPUT = 0.9  # tanh never reaches 1
COMMANDS = ((-0.5, 1.5), (-0.8, 0.8), (-2.0, 2.0))  # m/s, m/s, rad/s: range of the operator
VELOCITY_ERROR = (0.3, 0.3, 0.1)  # m/s, standard deviations of a robot that is pushed
TILT = 0.1  # rad
RATE = 0.6  # rad/s
HEIGHT = 0.015  # m


def imitation(
    contract: PolicyContract,
    robot: RobotModel,
    task: GaitTask,
    tuned: GaitSettings,
    hidden: tuple[int, int],
    seed: int,
) -> tuple[Mlp, float]:
    """A network fitted to the tuned gait, and the root mean square error of its outputs."""
    rng = np.random.default_rng(seed)
    observations, wanted = _examples(contract, robot, task, tuned, rng)
    deviation = observations.std(axis=0)
    normaliser = Normaliser(
        mean=observations.mean(axis=0), deviation=np.where(deviation > 1e-6, deviation, 1.0)
    )
    shape = MlpShape(
        observation=contract.observation_width, hidden=hidden, action=contract.action_width
    )
    mlp = Mlp(shape, normaliser, random_weights(shape, rng))
    _fit(mlp, observations, wanted, rng)
    return mlp, float(np.sqrt(np.mean((mlp.act(observations) - wanted) ** 2)))


def _examples(
    contract: PolicyContract,
    robot: RobotModel,
    task: GaitTask,
    tuned: GaitSettings,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Observations (n, O), and outputs (n, A) that return to the tuned gait.

    The robot walks with any gait and is pushed.
    """
    assert contract.gait is not None
    name = next(
        (name for name, offsets in PHASE_OFFSETS.items() if offsets == task.offsets), tuned.name
    )
    settings = replace(tuned, name=name, frequency=task.frequency, swing_ratio=task.swing_ratio)
    nominal = NominalGait(robot, settings)
    observer = Observer(contract)
    terms = {term.name: term for term in contract.gait.terms}
    observations = []
    wanted = []
    for _ in range(SAMPLES):
        command = VelocityCommand(
            **{
                axis: float(rng.uniform(*limits))
                for axis, limits in zip(("vx", "vy", "wz"), COMMANDS, strict=True)
            }
        )
        estimate = _estimate(robot, command, rng)
        gait = _gait(terms, rng)
        observations.append(
            observer.write(estimate, command, [0.0] * contract.action_width, gait)[0].copy()
        )
        target = nominal.gait(command, estimate)
        wanted.append(
            [
                _towards(terms["frequency"], gait.frequency, target.frequency),
                _towards(terms["swing_ratio"], gait.swing_ratio, target.swing_ratio),
                *[0.0] * (contract.action_width - 2),
            ]
        )
    return np.array(observations, dtype=np.float64), np.array(wanted)


def _estimate(robot: RobotModel, command: VelocityCommand, rng: np.random.Generator) -> Estimate:
    """An estimate of a pushed robot; its heading is 0, so odom and heading frame agree."""
    roll, pitch = (TILT * rng.standard_normal(2)).tolist()
    noise = rng.standard_normal(3) * VELOCITY_ERROR * rng.uniform(0.0, 3.0)
    height = robot.nominal_height + HEIGHT * float(rng.standard_normal())
    zeros = np.zeros(N_JOINTS)
    return Estimate(
        stamp_ns=0,
        position=np.array((0.0, 0.0, height)),
        quaternion_wxyz=quaternion_from_rpy(roll, pitch, 0.0),
        velocity=np.array((command.vx, command.vy, 0.0)) + noise,
        angular_velocity=np.array((0.0, 0.0, command.wz)) + RATE * rng.standard_normal(3),
        position_covariance=np.eye(3),
        velocity_covariance=np.eye(3),
        q=robot.q_stand,
        dq=zeros,
        contact=np.ones(N_LEGS, dtype=np.bool_),
        ground_normal=np.array((0.0, 0.0, 1.0)),
        ground_height=0.0,
        diverged=False,
    )


def _gait(terms: dict[str, GaitTerm], rng: np.random.Generator) -> GaitParameters:
    """Any gait within the bounds; fixed parameters keep their value."""
    drawn = {
        name: [
            float(rng.uniform(lo, hi)) if k else x
            for k, x, lo, hi in zip(t.scale, t.nominal, t.lower, t.upper, strict=True)
        ]
        for name, t in terms.items()
    }
    offsets = drawn["phase_offsets"]
    feet = drawn["foot_y"]
    return GaitParameters(
        frequency=drawn["frequency"][0],
        swing_ratio=drawn["swing_ratio"][0],
        phase_offsets=(offsets[0], offsets[1], offsets[2]),
        foot_y=(feet[0], feet[1], feet[2], feet[3]),
    )


def _towards(term: GaitTerm, value: float, target: float) -> float:
    """Output that brings a parameter to its target in about `RETURN_TIME`."""
    step = term.scale[0]
    if step == 0.0:
        return 0.0
    wanted = (min(term.upper[0], target) - value) * STEP / RETURN_TIME / step
    return max(-LARGEST_OUTPUT, min(LARGEST_OUTPUT, wanted))


def _fit(mlp: Mlp, observations: Array, wanted: Array, rng: np.random.Generator) -> None:
    """Least squares by Adam (Kingma and Ba, 2015), in place."""
    mean = np.zeros_like(mlp.weights)
    square = np.zeros_like(mlp.weights)
    for k in range(1, ITERATIONS + 1):
        batch = rng.integers(len(observations), size=BATCH)
        slope = gradient(mlp, observations[batch], wanted[batch])
        mean += (1.0 - MOMENTUM) * (slope - mean)
        square += (1.0 - SQUARES) * (slope * slope - square)
        rate = LEARNING_RATE * (1.0 - k / (ITERATIONS + 1)) / (1.0 - MOMENTUM**k)
        mlp.weights -= rate * mean / (np.sqrt(square / (1.0 - SQUARES**k)) + 1e-8)


def gradient(mlp: Mlp, observations: Array, wanted: Array) -> Array:
    """Gradient of the mean squared error with respect to the flat weights, by the chain rule."""
    slope = np.zeros_like(mlp.weights)
    values = mlp.activations(observations)
    layers = mlp.shape.split(mlp.weights)
    error = 2.0 * (values[-1] - wanted) / wanted.size
    for k, (into_matrix, into_bias) in reversed(list(enumerate(mlp.shape.split(slope)))):
        error = error * (1.0 - values[k + 1] ** 2)
        into_matrix[:] = error.T @ values[k]
        into_bias[:] = error.sum(axis=0)
        error = error @ layers[k][0]
    return slope
