"""Batched feet push, land early, get lost and swing as the onboard ones."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from gait_walks import CONFIG

pytest.importorskip("warp")

import warp as wp
from batched_states import floats, numbers, vectors

from safe_locomotion.control.foot import Foot, Swing
from safe_locomotion.rotations import Vector, vector
from safe_locomotion.training.gait.world.arrays import Array1, LegVectors3
from safe_locomotion.training.gait.world.feet import (
    Feet,
    feet_of,
    restart_foot,
    step_foot,
    swing_foot,
)
from safe_locomotion.training.gait.world.locomotion import SwingShape, swing_shape
from safe_locomotion.types import Array, Flags

FEET = 60  # each of a robot of its own, of which the other legs stay as they are
LEG = 2
TICKS = 200
ELAPSED = 0.004  # [s]
DURATION = 0.18  # of a swing [s]
SHAPE = swing_shape(CONFIG.mpc.swing)
Vectors = wp.array(dtype=wp.vec3)


@wp.kernel
def step(
    feet: Feet,
    at: Vectors,
    scheduled: Array1,
    progress: wp.array(dtype=wp.float64),
    contact: Array1,
    hangs: Array1,
    again: Array1,
    lifted: Array1,
    shape: SwingShape,
):
    k = wp.tid()
    if again[k] > 0.5:
        restart_foot(feet, k, 2, at[k])
    step_foot(
        feet,
        k,
        2,
        at[k],
        scheduled[k] > 0.5,
        progress[k],
        contact[k] > 0.5,
        hangs[k] > 0.5,
        0.004,
        shape,
        lifted[k] > 0.5,
    )


@wp.kernel
def swing(
    feet: Feet,
    foothold: Vectors,
    progress: Array1,
    shape: SwingShape,
    point: LegVectors3,
    velocity: LegVectors3,
):
    k = wp.tid()
    place, speed = swing_foot(feet, k, 2, foothold[k], progress[k], 0.18, shape)
    point[k, 0] = place
    velocity[k, 0] = speed


@dataclass(frozen=True, kw_only=True)
class Tick:
    """What the feet meet on one tick, one row per foot."""

    at: Array
    foothold: Array
    scheduled: Flags
    progress: Array
    contact: Flags
    hangs: Flags
    again: Flags
    lifted: Flags


def ticks() -> Iterator[Tick]:
    """Strides of feet that meet and lose the ground at random; now and then one starts over."""
    rng = np.random.default_rng(4)
    strides = rng.uniform(size=FEET)
    for _ in range(TICKS):
        strides = (strides + 0.01) % 1.0
        scheduled = strides < 0.5
        at = (0.1 * rng.normal(size=(FEET, 3))).astype(np.float32).astype(np.float64)
        yield Tick(
            at=at,
            foothold=at + 0.1,
            scheduled=scheduled,
            progress=np.where(scheduled, 0.0, 2.0 * strides - 1.0),
            contact=rng.uniform(size=FEET) < np.where(scheduled, 0.3, 0.05),
            hangs=rng.uniform(size=FEET) < 0.95,
            again=rng.uniform(size=FEET) < 0.01,
            lifted=~scheduled & (rng.uniform(size=FEET) < 0.2),
        )


def step_batched(feet: Feet, tick: Tick) -> tuple[Array, Array]:
    """Points and velocities of the feet after this tick."""
    progress = wp.array(tick.progress, dtype=wp.float64)
    flags = [floats(values) for values in (tick.contact, tick.hangs, tick.again, tick.lifted)]
    inputs = [feet, vectors(tick.at), floats(tick.scheduled), progress, *flags, SHAPE]
    wp.launch(step, dim=FEET, inputs=inputs)
    point = wp.zeros((FEET, 1), dtype=wp.vec3)
    velocity = wp.zeros((FEET, 1), dtype=wp.vec3)
    inputs = [feet, vectors(tick.foothold), floats(tick.progress), SHAPE, point, velocity]
    wp.launch(swing, dim=FEET, inputs=inputs)
    return numbers(point)[:, 0], numbers(velocity)[:, 0]


def step_onboard(foot: Foot, tick: Tick, k: int) -> tuple[Vector, Vector]:
    """Point and velocity of one foot after this tick."""
    at = vector(tick.at[k])
    if tick.again[k]:
        foot.restart(at)
    foot.step(
        at,
        scheduled=bool(tick.scheduled[k]),
        progress=float(tick.progress[k]),
        contact=bool(tick.contact[k]),
        hangs=bool(tick.hangs[k]),
        elapsed=ELAPSED,
        parameters=CONFIG.mpc.swing,
        lifted=bool(tick.lifted[k]),
    )
    way = Swing(float(tick.progress[k]), DURATION, vector(tick.foothold[k]))
    return foot.swing(way, CONFIG.mpc.swing)


def test_feet_agree() -> None:
    """Over 200 ticks all that is kept of the feet is equal.

    Points and velocities in the air agree to 1e-6 m and 1e-4 m/s.
    """
    feet = feet_of(FEET, "cpu")
    onboard = [Foot() for _ in range(FEET)]
    landed = 0
    lost = 0
    for tick in ticks():
        found = step_batched(feet, tick)
        expected = [step_onboard(foot, tick, k) for k, foot in enumerate(onboard)]
        for name in ("lift_off", "stance", "landed", "lost", "unloaded_time"):
            kept = [getattr(foot, name) for foot in onboard]
            np.testing.assert_allclose(numbers(getattr(feet, name))[:, LEG], kept, atol=1e-6)
        np.testing.assert_allclose(found[0], [point for point, _ in expected], atol=1e-6)
        np.testing.assert_allclose(found[1], [speed for _, speed in expected], atol=1e-4)
        landed += sum(foot.landed for foot in onboard)
        lost += sum(foot.lost for foot in onboard)
    assert min(landed, lost) > 100
