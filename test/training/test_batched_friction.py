"""Batched watches over sliding feet assume the friction of the onboard watch."""

import numpy as np
import pytest
from gait_walks import CONFIG

pytest.importorskip("warp")

import warp as wp
from batched_states import floats, numbers, vectors

from safe_locomotion.control.friction import SlipWatch as OnboardWatch
from safe_locomotion.training.gait.world.arrays import Array1, Array2, LegVectors3
from safe_locomotion.training.gait.world.friction import (
    SlipRules,
    SlipWatch,
    restart_watch,
    slip_rules,
    slip_watch,
    update_friction,
    watch_foot,
)
from safe_locomotion.types import N_LEGS

ROBOTS = 30
TICKS = 400
ELAPSED = 0.004  # [s]
SLIP = CONFIG.mpc.locomotion.slip
MU = CONFIG.mpc.solver.mu
RULES = slip_rules(SLIP, MU)


@wp.kernel
def watch_feet(
    watch: SlipWatch,
    at: LegVectors3,
    loaded: Array2,
    again: Array1,
    elapsed: float,
    rules: SlipRules,
):
    robot = wp.tid()
    if again[robot] > 0.5:
        restart_watch(watch, robot, rules)
    for leg in range(4):
        watch_foot(watch, robot, leg, at[robot, leg], loaded[robot, leg] > 0.5, elapsed, rules)
    update_friction(watch, robot, elapsed, rules)


def test_frictions_agree() -> None:
    """Over 400 ticks of feet that load, slide and stop at random, the frictions agree to 1e-6."""
    rng = np.random.default_rng(6)
    mu = wp.full(ROBOTS, MU, dtype=float)
    watch = slip_watch(mu)
    onboard = [OnboardWatch(SLIP, MU) for _ in range(ROBOTS)]
    place = np.zeros((ROBOTS, N_LEGS, 3))
    slides = np.zeros((ROBOTS, N_LEGS), dtype=bool)
    lowest = MU
    for tick in range(TICKS):
        slides ^= rng.uniform(size=slides.shape) < 0.03
        loaded = rng.uniform(size=slides.shape) < 0.95
        speed = np.where(slides, 0.6, 0.1)[..., None]
        place = (place + ELAPSED * speed * [0.8, 0.6, 0.0]).astype(np.float32).astype(np.float64)
        again = rng.uniform(size=ROBOTS) < 0.005
        elapsed = ELAPSED if tick % 50 > 0 else 0.0
        inputs = [watch, vectors(place), floats(loaded), floats(again), elapsed, RULES]
        wp.launch(watch_feet, dim=ROBOTS, inputs=inputs)
        for k in range(ROBOTS):
            if again[k]:
                onboard[k] = OnboardWatch(SLIP, MU)
            onboard[k].update(elapsed, [tuple(at) for at in place[k].tolist()], loaded[k].tolist())
        expected = [one.mu for one in onboard]
        np.testing.assert_allclose(numbers(mu), expected, rtol=0.0, atol=2e-6)
        lowest = min(lowest, *expected)
    assert lowest < SLIP.mu_min + 0.01
