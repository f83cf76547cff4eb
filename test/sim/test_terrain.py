"""The terrain's height function is what the physics engine collides with."""

from math import radians, tan

import mujoco
import numpy as np
import pytest

from safe_locomotion.sim.terrain import (
    LEAD_IN,
    LENGTH,
    TERRAINS,
    TREAD,
    TerrainOptions,
    build_terrain,
)


def ground(model, data, x: float, y: float) -> float:
    """Height at which a ray from above first meets something."""
    geom = np.zeros(1, dtype=np.int32)
    return 20.0 - mujoco.mj_ray(
        model, data, np.array([x, y, 20.0]), np.array([0.0, 0.0, -1.0]), None, 1, -1, geom
    )


def built(name: str, **options):
    spec = mujoco.MjSpec()
    terrain = build_terrain(spec, TerrainOptions(name=name, **options))
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return terrain, model, data


@pytest.mark.parametrize("name", TERRAINS)
def test_height_is_where_a_ray_meets_the_ground(name) -> None:
    """At 400 random places the height function agrees with ray casting to 1e-6 m."""
    terrain, model, data = built(name)
    rng = np.random.default_rng(1)
    for x, y in rng.uniform((-1.0, -2.0), (LEAD_IN + 0.95 * LENGTH, 2.0), (400, 2)):
        assert ground(model, data, x, y) == pytest.approx(terrain.height(x, y), abs=1e-6)


@pytest.mark.parametrize("name", TERRAINS)
def test_start_is_flat(name) -> None:
    """Nothing rises under a robot that stands at the origin."""
    terrain, _, _ = built(name)
    assert all(
        terrain.height(x, y) == 0.0
        for x in np.linspace(-1, 0.95 * LEAD_IN, 20)
        for y in np.linspace(-1, 1, 9)
    )


def test_slope_angle_is_the_one_asked_for() -> None:
    """The ramp rises by tan(angle) per metre."""
    terrain, _, _ = built("slope", slope=radians(10))
    assert terrain.height(5.0, 0.3) - terrain.height(4.0, 0.3) == pytest.approx(tan(radians(10)))


def test_stairs_rise_step_by_step() -> None:
    """Neighbouring steps differ by exactly one rise, and no rise of the first flight is missing."""
    terrain, _, _ = built("stairs", step=0.06)
    heights = [terrain.height(LEAD_IN + (i + 0.5) * TREAD, 0.0) for i in range(10)]
    np.testing.assert_allclose(heights, 0.06 * np.arange(1, 11))


def test_roughness_fills_its_range() -> None:
    """Rough ground spans 0 to the wanted height, and depends on the seed."""
    terrain, _, _ = built("rough", roughness=0.05, seed=1)
    other, _, _ = built("rough", roughness=0.05, seed=2)
    places = [(x, y) for x in np.arange(1.5, 15, 0.15) for y in np.arange(-3, 3, 0.15)]
    heights = np.array([terrain.height(x, y) for x, y in places])
    assert 0.0 <= heights.min() < 0.005 and 0.045 < heights.max() <= 0.05
    assert np.abs(heights - [other.height(x, y) for x, y in places]).max() > 0.02


@pytest.mark.parametrize("name", ["slope", "stairs", "rough"])
def test_terrain_is_long_enough(name) -> None:
    """The ground still rises or undulates between 13 and 15 m.

    A run of 30 s at 0.4 m/s, and a longer one, ends on the terrain.
    """
    terrain, _, _ = built(name)
    assert max(terrain.height(LEAD_IN + x, 0.02) for x in np.arange(13.0, 15.0, 0.05)) > 0.0
