"""Batched footholds, swings and references are those of the onboard controller, to rounding."""

import numpy as np
import pytest

pytest.importorskip("warp")

import warp as wp

from safe_locomotion.config import load_config
from safe_locomotion.control.footholds import foothold as onboard_foothold
from safe_locomotion.control.reference import Reference
from safe_locomotion.control.swing import cycloid as onboard_cycloid
from safe_locomotion.training.gait.world.arrays import Array1
from safe_locomotion.training.gait.world.locomotion import (
    ReferenceLimits,
    ReferenceState,
    SwingShape,
    advance_reference,
    cycloid,
    foothold,
    reference_limits,
    swing_shape,
)
from safe_locomotion.types import Array, VelocityCommand

CONFIG = load_config("a1").mpc
SHAPE = swing_shape(CONFIG.swing)
LIMITS = reference_limits(CONFIG.locomotion)
CASES = 200
TOLERANCE = 1e-5  # [m, m/s, rad]; float32
Vectors2 = wp.array(dtype=wp.vec2)
Vectors3 = wp.array(dtype=wp.vec3)


@wp.kernel
def footholds(
    centre: Vectors2,
    neutral: Vectors2,
    velocity: Vectors2,
    rate: Array1,
    wanted: Vectors3,
    left: Array1,
    stance: Array1,
    shape: SwingShape,
    out: Vectors2,
):
    k = wp.tid()
    out[k] = foothold(
        centre[k], neutral[k], velocity[k], rate[k], wanted[k], left[k], stance[k], shape
    )


@wp.kernel
def swings(
    start: Vectors3,
    end: Vectors3,
    height: float,
    progress: Array1,
    duration: Array1,
    point: Vectors3,
    velocity: Vectors3,
):
    k = wp.tid()
    place, speed = cycloid(start[k], end[k], height, progress[k], duration[k])
    point[k] = place
    velocity[k] = speed


@wp.kernel
def references(
    states: wp.array(dtype=ReferenceState),
    elapsed: float,
    command: Vectors3,
    position: Vectors2,
    yaw: Array1,
    limits: ReferenceLimits,
):
    k = wp.tid()
    states[k] = advance_reference(states[k], elapsed, command[k], position[k], yaw[k], limits)


def on_device(values: Array) -> wp.array:
    """Numbers, or vectors where the last dimension is 2 or 3, on Warp's CPU device."""
    kinds = {1: float, 2: {2: wp.vec2, 3: wp.vec3}.get(values.shape[-1])}
    return wp.array(values.astype(np.float32), dtype=kinds[values.ndim])


def rounded(values: Array) -> Array:
    """What float32 makes of these numbers, in double precision."""
    return values.astype(np.float32).astype(np.float64)


def test_footholds_agree() -> None:
    """Footholds of bodies that move and turn agree to 1e-5 m, also where the step is clipped."""
    rng = np.random.default_rng(0)
    planar = [rounded(rng.normal(size=(CASES, 2)) * size) for size in (0.2, 0.2, 1.0)]
    wanted = rounded(rng.normal(size=(CASES, 3)))
    numbers = [rounded(rng.uniform(low, 1.0, CASES)) for low in (-1.0, 0.0, 0.1)]
    rate, left, stance = numbers
    out = wp.zeros(CASES, dtype=wp.vec2)
    inputs = [*planar, rate, wanted, left, stance]
    wp.launch(footholds, dim=CASES, inputs=[*map(on_device, inputs), SHAPE, out])
    for k, found in enumerate(out.numpy()):
        centre, neutral, velocity = ((values[k, 0], values[k, 1]) for values in planar)
        expected = onboard_foothold(
            centre=centre,
            neutral=neutral,
            velocity=velocity,
            yaw_rate=rate[k],
            wanted=(wanted[k, 0], wanted[k, 1], wanted[k, 2]),
            left=left[k],
            stance_duration=stance[k],
            parameters=CONFIG.swing,
        )
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_swings_agree() -> None:
    """Points and velocities of a swing agree before, on and after its curve."""
    rng = np.random.default_rng(1)
    start = rounded(0.1 * rng.normal(size=(CASES, 3)))
    end = rounded(0.1 * rng.normal(size=(CASES, 3)))
    progress = rounded(rng.uniform(-0.1, 1.1, CASES))
    duration = rounded(rng.uniform(0.1, 0.4, CASES))
    point = wp.zeros(CASES, dtype=wp.vec3)
    velocity = wp.zeros(CASES, dtype=wp.vec3)
    height = CONFIG.swing.height
    inputs = [on_device(start), on_device(end), height, on_device(progress), on_device(duration)]
    wp.launch(swings, dim=CASES, inputs=[*inputs, point, velocity])
    for k in range(CASES):
        place, speed = onboard_cycloid(
            tuple(start[k]), tuple(end[k]), height, float(progress[k]), float(duration[k])
        )
        np.testing.assert_allclose(point.numpy()[k], place, atol=TOLERANCE)
        np.testing.assert_allclose(velocity.numpy()[k], speed, atol=10.0 * TOLERANCE)


def test_references_agree() -> None:
    """Over 100 ticks of commands and bodies that wander, all parts of the reference agree."""
    rng = np.random.default_rng(3)
    robots = 16
    onboard = [Reference(CONFIG.locomotion) for _ in range(robots)]
    states = wp.zeros(robots, dtype=ReferenceState)
    position = np.zeros((robots, 2))
    yaw = rounded(rng.uniform(-3.0, 3.0, robots))
    for tick in range(100):
        if tick % 25 == 0:
            command = rounded(rng.normal(size=(robots, 3)))
        position = rounded(position + 0.01 * rng.normal(size=(robots, 2)))
        yaw = rounded((yaw + 0.02 * rng.normal(size=robots) + np.pi) % (2.0 * np.pi) - np.pi)
        inputs = [states, 0.004, on_device(command), on_device(position), on_device(yaw), LIMITS]
        wp.launch(references, dim=robots, inputs=inputs)
        found = states.numpy()
        for k, reference in enumerate(onboard):
            wanted = VelocityCommand(vx=command[k, 0], vy=command[k, 1], wz=command[k, 2])
            reference.update(0.004, wanted, (*position[k], 0.0), yaw[k])
            np.testing.assert_allclose(found["velocity"][k], reference.velocity, atol=TOLERANCE)
            np.testing.assert_allclose(found["position"][k], reference.position, atol=TOLERANCE)
            np.testing.assert_allclose(found["yaw"][k], reference.yaw, atol=TOLERANCE)
            np.testing.assert_allclose(found["height"][k], reference.height, atol=TOLERANCE)
