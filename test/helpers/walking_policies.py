"""Policies that walk the simulated A1, built in a moment.

The gait policy is the nominal gait as a network. The joint policy is a recurrent network: its
memory is the phase of the stride. Its output is a Fourier series in that phase, whose coefficients
are affine in the commanded speed. They are fitted to the inverse kinematics of a trot.
"""

from math import cos, pi, sin
from pathlib import Path

import numpy as np
from core_values import A1
from onnx import helper
from policy_models import ORIGIN, affine, gait_contract, joint_contract

from safe_locomotion.bench.policy_networks import GraphBuilder
from safe_locomotion.policy.action import JointAction
from safe_locomotion.policy.contract import RecurrentTensor
from safe_locomotion.policy.file import write_policy
from safe_locomotion.policy.term import observation_term
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.types import Array

FREQUENCY = 2.5  # Hz
SWING = 0.45
LIFT = 0.06  # m
SAG = 0.012  # m that the legs give way under the weight
STRETCH = 2.5  # steps of soft legs are shorter than commanded
HARMONICS = 5
RATE = 100
KP = 50.0
KD = 1.5
SCALE = 0.25


def trot_pose(phase: float, vx: float) -> list[float]:
    """Joints (12,) of the trot."""
    kinematics = Kinematics(A1)
    q = []
    home = kinematics.feet(A1.q_stand)
    half = 0.5 * STRETCH * vx * (1.0 - SWING) / FREQUENCY
    for leg, offset in enumerate((0.0, 0.5, 0.5, 0.0)):
        at = (phase + offset) % 1.0
        z = -(A1.nominal_height + SAG) + A1.foot_radius
        if at < 1.0 - SWING:
            x = half * (1.0 - 2.0 * at / (1.0 - SWING))
        else:
            s = (at - 1.0 + SWING) / SWING
            x = half * (2.0 * (s - sin(2 * pi * s) / (2 * pi)) - 1.0)
            z = z + LIFT * sin(pi * s) ** 2
        q += kinematics.legs[leg].inverse(home[leg, 0] + x, home[leg, 1], z)
    return q


def basis(phase: float) -> list[float]:
    """Fourier basis in the phase."""
    return [1.0, *(f(2 * pi * k * phase) for f in (cos, sin) for k in range(1, HARMONICS + 1))]


def fit() -> Array:
    """Coefficients (2 n, 12): q = basis (x) (1, vx) times these."""
    samples = [
        (phase, vx) for phase in np.arange(0.0, 1.0, 0.02) for vx in np.arange(0.0, 0.61, 0.1)
    ]
    features = np.array([np.outer(basis(phase), (1.0, vx)).ravel() for phase, vx in samples])
    return np.linalg.lstsq(
        features, np.array([trot_pose(phase, vx) for phase, vx in samples]), rcond=None
    )[0]


def trot_model():
    """The network: observation is the velocity command."""
    b = GraphBuilder(np.random.default_rng(0))
    n = 2 * HARMONICS + 1
    gain = fit()
    gain[:2] -= np.outer((1.0, 0.0), A1.q_stand)
    numbers = {
        "advance": [[FREQUENCY / RATE]],
        "turns": [[2 * pi * k for k in range(1, HARMONICS + 1)]],
        "one": [[1.0]],
        "vx": [[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]],
        "first": [[1.0, 0.0]],
        "gain": gain / SCALE,
    }
    b.weights.update({name: np.array(value, dtype=np.float32) for name, value in numbers.items()})
    b.weights["flat"] = np.array([1, 2 * n], dtype=np.int64)
    for op, inputs, output in (
        ("Add", ["phase_in", "advance"], "moved"),
        ("Floor", ["moved"], "strides"),
        ("Sub", ["moved", "strides"], "phase_out"),
        ("MatMul", ["phase_in", "turns"], "angles"),
        ("Cos", ["angles"], "cosines"),
        ("Sin", ["angles"], "sines"),
        ("MatMul", ["observation", "vx"], "speed"),
        ("Add", ["speed", "first"], "affine"),
    ):
        b.nodes.append(helper.make_node(op, inputs, [output]))
    b.nodes.append(helper.make_node("Concat", ["one", "cosines", "sines"], ["basis"], axis=1))
    b.nodes.append(helper.make_node("Transpose", ["basis"], ["column"], perm=[1, 0]))
    b.nodes.append(helper.make_node("MatMul", ["column", "affine"], ["outer"]))
    b.nodes.append(helper.make_node("Reshape", ["outer", "flat"], ["features"]))
    b.nodes.append(helper.make_node("MatMul", ["features", "gain"], ["action"]))
    return b.model(
        {"observation": (1, 3), "phase_in": (1, 1)}, {"action": (1, 12), "phase_out": (1, 1)}
    )


def write_trot(path: Path, **changes) -> Path:
    """A joint policy that trots forward as fast as commanded, up to 0.6 m/s."""
    values = {
        "name": path.stem,
        "observation": (observation_term("velocity_command"),),
        "recurrent": (RecurrentTensor(input="phase_in", output="phase_out", shape=(1, 1)),),
        "joint": JointAction(scale=(SCALE,) * 12, kp=(KP,) * 12, kd=(KD,) * 12),
        "origin": ORIGIN,
    }
    write_policy(trot_model(), joint_contract(**{**values, **changes}), path)
    return path


def write_gait(path: Path, **changes) -> Path:
    """A gait policy that stays at the nominal gait.

    Its actions are changes that add up, so all of them are zero.
    """
    contract = gait_contract(**{"name": path.stem, **changes})
    model = affine(
        np.zeros((contract.action_width, contract.observation_width)),
        np.zeros(contract.action_width),
    )
    write_policy(model, contract, path)
    return path


def write_runaway(path: Path) -> Path:
    """A gait policy that leaves its range as soon as the robot is to move forward."""
    contract = gait_contract(name=path.stem, observation=(observation_term("velocity_command"),))
    matrix = np.zeros((contract.action_width, 3))
    matrix[:, 0] = 1e4
    write_policy(
        affine(matrix, np.zeros(contract.action_width)),
        contract,
        path,
        observations=np.zeros((64, 3)),
    )
    return path
