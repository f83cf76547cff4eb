"""The search: one step, and that interruptions and workers change nothing."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mujoco")

from safe_locomotion.envs.gait_env import GaitEnvOptions
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.training.gait import imitation
from safe_locomotion.training.gait.evolution import EvolutionOptions, ascent, evolve, layer_scales
from safe_locomotion.training.gait.mlp import MlpShape

TINY = EvolutionOptions(
    environment=GaitEnvOptions(duration=0.1, starts=1), hidden=(4, 4), pairs=1, validation=1
)


def test_step_of_two_pairs() -> None:
    """By hand: the larger difference has rank 2 of 1 + 2.

    The first pair was better on its negative side.
    """
    noise = np.array([[1.0, 0.0], [0.0, 3.0]])
    np.testing.assert_allclose(ascent([0.0, 5.0, 1.0, 0.5], noise), (-2.0 / 3.0, 1.0))


def test_climbs_a_hill() -> None:
    """On -|w - w*|^2 the distance falls below a fifth within 150 steps, with common constants."""
    rng = np.random.default_rng(0)
    goal = np.ones(20)
    w = np.zeros(20)
    for _ in range(150):
        noise = rng.standard_normal((16, 20))
        fitness = [-np.sum((w + sign * 0.1 * e - goal) ** 2) for e in noise for sign in (1.0, -1.0)]
        w = w + 0.05 * ascent(fitness, noise)
    assert np.linalg.norm(w - goal) < 0.2 * np.linalg.norm(goal)


def test_scales_by_layer() -> None:
    """Hidden layers, last weights and last biases have scales of their own."""
    flat = layer_scales(MlpShape(observation=1, hidden=(1, 1), action=2), (0.5, 1.0, 3.0))
    np.testing.assert_array_equal(flat, [0.5, 0.5, 0.5, 0.5, 1.0, 1.0, 3.0, 3.0])


def test_an_interrupted_search_goes_on(tmp_path, monkeypatch) -> None:
    """Two generations at once end with the same weights as one and one.

    Other options are refused.
    """
    monkeypatch.setattr(imitation, "ITERATIONS", 20)
    monkeypatch.setattr(imitation, "SAMPLES", 64)
    whole = evolve(TINY, minutes=5.0, processes=1, folder=tmp_path / "a", generations=2)
    evolve(TINY, minutes=5.0, processes=1, folder=tmp_path / "b", generations=1)
    parts = evolve(TINY, minutes=5.0, processes=1, folder=tmp_path / "b", generations=2)
    np.testing.assert_array_equal(whole.mlp.weights, parts.mlp.weights)
    assert [row["generation"] for row in parts.history] == [
        0,
        1,
    ] and parts.best_fitness == whole.best_fitness
    with pytest.raises(ConfigurationError, match="other options"):
        evolve(
            replace(TINY, sigma=0.1), minutes=5.0, processes=1, folder=tmp_path / "b", generations=2
        )
