"""The network: its gradient, and that ONNX Runtime computes what numpy does."""

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("mujoco")

from core_values import A1

from safe_locomotion.envs.gait_contract import gait_contract
from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.policy.contract import Origin
from safe_locomotion.policy.network import open_session
from safe_locomotion.training.gait.export import network
from safe_locomotion.training.gait.imitation import gradient
from safe_locomotion.training.gait.mlp import Mlp, MlpShape, Normaliser, random_weights

RNG = np.random.default_rng(0)


def random_network(observation: int, action: int) -> Mlp:
    shape = MlpShape(observation=observation, hidden=(5, 4), action=action)
    normaliser = Normaliser(
        mean=RNG.normal(size=observation), deviation=RNG.uniform(0.5, 2.0, observation)
    )
    return Mlp(shape, normaliser, random_weights(shape, RNG) + 0.1 * RNG.normal(size=shape.size))


def test_weights_are_views() -> None:
    """The flat vector holds each matrix and bias once: (3 + 1) 5 + (5 + 1) 4 + (4 + 1) 2."""
    mlp = random_network(3, 2)
    assert mlp.shape.size == len(mlp.weights) == 54
    for k, (matrix, bias) in enumerate(mlp.shape.split(mlp.weights)):
        matrix[:] = k
        bias[:] = k
    np.testing.assert_array_equal(mlp.weights, np.repeat([0.0, 1.0, 2.0], (20, 24, 10)))


def test_gradient_against_finite_differences() -> None:
    """Central differences of the mean squared error agree to 1e-7."""
    mlp = random_network(3, 2)
    seen = RNG.normal(size=(7, 3))
    wanted = RNG.uniform(-0.5, 0.5, (7, 2))
    exact = gradient(mlp, seen, wanted)
    numeric = np.empty(mlp.shape.size)
    h = 1e-5
    for k in range(mlp.shape.size):
        errors = []
        for sign in (1.0, -1.0):
            moved = mlp.weights.copy()
            moved[k] += sign * h
            errors.append(np.mean((Mlp(mlp.shape, mlp.normaliser, moved).act(seen) - wanted) ** 2))
        numeric[k] = (errors[0] - errors[1]) / (2.0 * h)
    np.testing.assert_allclose(exact, numeric, atol=1e-7)


def test_onnx_equals_numpy() -> None:
    """They agree within 1e-5 on random observations, with the normaliser in the graph."""
    contract = gait_contract(
        A1, gait_task("catwalk"), name="net", origin=Origin(command="", seed=0, commit="")
    )
    mlp = random_network(contract.observation_width, contract.action_width)
    session = open_session(network(mlp, contract).SerializeToString())
    for seen in RNG.normal(size=(50, 1, contract.observation_width)).astype(np.float32):
        (action,) = session.run([contract.action_output], {contract.observation_input: seen})
        np.testing.assert_allclose(action, mlp.act(seen), atol=1e-5)
