"""Networks for tests of policies: contracts of both kinds and small graphs.

The LSTM pair of the bench is here in numpy.
"""

from typing import Any

import numpy as np
import onnx
from core_values import A1
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from safe_locomotion.bench.policy_networks import HIDDEN, GraphBuilder
from safe_locomotion.policy.action import GaitAction, GaitTerm, JointAction
from safe_locomotion.policy.contract import Origin, PolicyContract
from safe_locomotion.policy.term import observation_term

ORIGIN = Origin(command="python -m nothing", seed=3, commit="0" * 40)
VELOCITY_TERMS = (
    observation_term("base_angular_velocity", 0.25),
    observation_term("projected_gravity"),
    observation_term("velocity_command", (2.0, 2.0, 0.25)),
    observation_term("joint_position"),
    observation_term("joint_velocity", 0.05),
    observation_term("previous_action", width=12),
)
GAIT_TERMS = (
    observation_term("previous_gait"),
    observation_term("base_height"),
    observation_term("base_rpy"),
    observation_term("base_velocity"),
    observation_term("base_angular_velocity"),
)


def joint_contract(**changes: Any) -> PolicyContract:
    """Twelve joint targets about the standing pose from a 45-wide observation, at 100 Hz."""
    values: dict[str, Any] = {
        "name": "test_joint",
        "kind": "joint",
        "robot": "a1",
        "rate_hz": 100,
        "observation": VELOCITY_TERMS,
        "default_pose": tuple(A1.q_stand.tolist()),
        "action_limit": 100.0,
        "origin": ORIGIN,
        "joint": JointAction(scale=(0.25,) * 12, kp=(20.0,) * 12, kd=(0.5,) * 12),
    }
    return PolicyContract(**{**values, **changes})


def gait_contract(**changes: Any) -> PolicyContract:
    """The action and observation of paper 1, at 125 Hz."""
    y = (-0.13, 0.13, -0.13, 0.13)
    terms = (
        GaitTerm(
            name="frequency", width=1, scale=(0.1,), nominal=(2.5,), lower=(1.5,), upper=(4.0,)
        ),
        GaitTerm(
            name="swing_ratio", width=1, scale=(0.02,), nominal=(0.45,), lower=(0.2,), upper=(0.7,)
        ),
        GaitTerm(
            name="phase_offsets",
            width=3,
            scale=(0.02,) * 3,
            nominal=(0.5, 0.5, 0.0),
            lower=(0.0,) * 3,
            upper=(1.0,) * 3,
        ),
        GaitTerm(
            name="foot_y",
            width=4,
            scale=(0.05,) * 4,
            nominal=y,
            lower=tuple(v - 0.06 for v in y),
            upper=tuple(v + 0.06 for v in y),
        ),
    )
    values: dict[str, Any] = {
        "name": "test_gait",
        "kind": "gait",
        "robot": "a1",
        "rate_hz": 125,
        "observation": GAIT_TERMS,
        "default_pose": tuple(A1.q_stand.tolist()),
        "action_limit": 10.0,
        "origin": ORIGIN,
        "gait": GaitAction(terms=terms, clip=1.0),
    }
    return PolicyContract(**{**values, **changes})


def affine(
    matrix: NDArray[np.floating], offset: NDArray[np.floating], *then: str
) -> onnx.ModelProto:
    """action = f(observation W' + b); f are the named operators, one after the other."""
    b = GraphBuilder(np.random.default_rng(0))
    b.weights |= {
        "w": np.asarray(matrix, dtype=np.float32),
        "b": np.asarray(offset, dtype=np.float32),
    }
    names = [f"x{k}" for k in range(len(then))] + ["action"]
    b.nodes.append(helper.make_node("Gemm", ["observation", "w", "b"], [names[0]], transB=1))
    for op, x, y in zip(then, names, names[1:], strict=False):
        b.apply(op, x, y)
    rows, columns = np.shape(matrix)
    return b.model({"observation": (1, columns)}, {"action": (1, rows)})


def sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 / (1.0 + np.exp(-z))


HEIGHT = joint_contract(observation=(observation_term("base_height"),))


def from_height() -> onnx.ModelProto:
    """The smallest model for the contract `HEIGHT`: twelve joint targets from one number."""
    return affine(0.1 * np.ones((12, 1)), np.zeros(12))


class NumpyLstmPair:
    """`lstm_pair` in numpy; the gates are in ONNX's order i, o, f, c."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.w = {
            t.name: numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer
        }
        self.memory = {name: np.zeros(HIDDEN) for name in ("h0", "c0", "h1", "c1")}

    def lstm(self, name: str, x: NDArray[np.float64], h: str, c: str) -> NDArray[np.float64]:
        w = self.w[f"{name}.w"][0]
        r = self.w[f"{name}.r"][0]
        b = self.w[f"{name}.b"][0]
        i, o, f, g = np.split(w @ x + r @ self.memory[h] + b[: 4 * HIDDEN] + b[4 * HIDDEN :], 4)
        self.memory[c] = sigmoid(f) * self.memory[c] + sigmoid(i) * np.tanh(g)
        self.memory[h] = sigmoid(o) * np.tanh(self.memory[c])
        return self.memory[h]

    def linear(self, name: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.w[f"{name}.weight"] @ x + self.w[f"{name}.bias"]

    def step(self, observation: NDArray[np.floating]) -> NDArray[np.float64]:
        def elu(x: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0)))

        seen = np.asarray(observation, dtype=np.float64)
        x = self.lstm("e_h", seen, "h0", "c0")
        latent = self.linear("latent", elu(self.linear("e1", elu(self.linear("e0", x)))))
        x = self.lstm("a_h", np.concatenate((seen, latent)), "h1", "c1")
        for k in range(3):
            x = elu(self.linear(f"p{k}", x))
        return self.linear("action", x)
