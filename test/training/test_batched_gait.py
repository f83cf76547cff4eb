"""Batched gait clocks, footholds, swings and references are those of the onboard controller."""

import numpy as np
import pytest

pytest.importorskip("warp")

import warp as wp

from safe_locomotion.control.gait import GaitClock
from safe_locomotion.training.gait.world.arrays import Array1, Array2, Array3
from safe_locomotion.training.gait.world.gait import GaitClocks, advance_clock, schedule_stance
from safe_locomotion.types import NANOSECONDS, Array, GaitParameters

ROBOTS = 32
TICK_NS = 4_000_000
DT = 0.04
TIE = 1e-4  # [strides] between a phase and the end of its stance


@wp.kernel
def advance(clocks: GaitClocks, gait: Array2, step: Array1, elapsed: float, stance: Array3) -> None:
    robot = wp.tid()
    advance_clock(clocks, robot, elapsed, gait, step[robot] > 0.5)
    schedule_stance(clocks, robot, gait, 0.04, stance)


def floats(values: object) -> wp.array:
    """An array of float32 on Warp's CPU device."""
    return wp.array(np.asarray(values, dtype=np.float32), dtype=float)


def new_clocks() -> GaitClocks:
    """Clocks that have not started."""
    clocks = GaitClocks()
    clocks.stride = wp.zeros(ROBOTS, dtype=float)
    clocks.stepping = wp.zeros(ROBOTS, dtype=float)
    clocks.phases = wp.zeros((ROBOTS, 4), dtype=float)
    clocks.held = wp.full((ROBOTS, 4), 1.0, dtype=float)
    clocks.progress = wp.zeros((ROBOTS, 4), dtype=float)
    clocks.left = wp.zeros((ROBOTS, 4), dtype=float)
    return clocks


def wander(gait: Array, rng: np.random.Generator) -> Array:
    """One step of a random walk of the gait parameters."""
    steps = 0.03 * rng.standard_normal((ROBOTS, 5))
    moved = gait.copy()
    moved[:, 0] = np.clip(gait[:, 0] + 5.0 * steps[:, 0], 1.5, 4.0)
    moved[:, 1] = np.clip(gait[:, 1] + steps[:, 1], 0.3, 0.7)
    moved[:, 2:5] = (gait[:, 2:5] + steps[:, 2:]) % 1.0
    return moved.astype(np.float32).astype(np.float64)


def parameters(row: Array) -> GaitParameters:
    """One row of gait parameters, as onboard."""
    frequency, ratio, fl, rr, rl, *foot_y = row.tolist()
    return GaitParameters(
        frequency=frequency,
        swing_ratio=ratio,
        phase_offsets=(fl, rr, rl),
        foot_y=(foot_y[0], foot_y[1], foot_y[2], foot_y[3]),
    )


def test_clocks_of_wandering_gaits_agree() -> None:
    """Over 600 ticks of random walks that stop and go, flags, progress and schedule are equal.

    Where a leg's phase meets the end of its stance to rounding, the two may differ. Such a clock is
    left out from there on.
    """
    rng = np.random.default_rng(2)
    middles = (DT * np.arange(0.5, 10.0)).tolist()
    gait = np.tile([2.5, 0.45, 0.5, 0.5, 0.0, -0.13, 0.13, -0.13, 0.13], (ROBOTS, 1))
    clocks = new_clocks()
    onboard = [GaitClock() for _ in range(ROBOTS)]
    agree = np.ones(ROBOTS, dtype=bool)
    compared = 0
    for tick in range(1, 601):
        gait = wander(gait, rng)
        step = (tick // 40 + np.arange(ROBOTS)) % 5 > 0
        stance = wp.zeros((ROBOTS, 10, 4), dtype=float)
        elapsed = 0.0 if tick == 1 else TICK_NS / NANOSECONDS
        wp.launch(advance, dim=ROBOTS, inputs=[clocks, floats(gait), floats(step), elapsed, stance])
        held = clocks.held.numpy() > 0.5
        progress = clocks.progress.numpy()
        left = clocks.left.numpy()
        scheduled = stance.numpy() > 0.5
        for k, clock in enumerate(onboard):
            phase = clock.update(tick * TICK_NS, parameters(gait[k]), step=bool(step[k]))
            expected = clock.schedule(parameters(gait[k]), middles)
            same = (held[k] == phase.stance).all() and (scheduled[k] == expected).all()
            if agree[k] and not same:
                assert tied(clocks, gait, k), (tick, k)
                agree[k] = False
            if agree[k]:
                np.testing.assert_allclose(progress[k], phase.swing_progress, atol=2e-4)
                np.testing.assert_allclose(left[k], phase.time_to_touchdown, atol=1e-4)
                compared += 1
    assert compared > 0.9 * 600 * ROBOTS


def tied(clocks: GaitClocks, gait: Array, robot: int) -> bool:
    """Whether a phase of this clock, now or in the horizon, is at the edge of stance or stride."""
    phases = clocks.phases.numpy()[robot]
    ahead = np.concatenate([[0.0], gait[robot, 0] * DT * np.arange(0.5, 10.0)])
    all_phases = (phases[None, :] + ahead[:, None]) % 1.0
    edges = np.array([0.0, 1.0, 1.0 - gait[robot, 1]])
    return bool(np.abs(all_phases[..., None] - edges).min() < TIE)
