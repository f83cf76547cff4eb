"""The terrain's height function is what the physics engine collides with."""

from functools import cache
from math import radians, tan

import mujoco
import numpy as np
import pytest

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.sim.terrain import (
    LEAD_IN,
    LENGTH,
    TERRAINS,
    TREAD,
    TerrainOptions,
    build_terrain,
)
from safe_locomotion.sim.tiles import KINDS, LEVELS, NOISE, RUN, STAIRS, tile_field, tile_heights


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


@cache
def tile(kind: str, level: int):
    """A tile, whose thousands of solids are built once."""
    return built(f"{kind}:{level}", seed=2)


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


@pytest.mark.parametrize("level", [0, 6, 9])
@pytest.mark.parametrize("kind", KINDS)
def test_height_of_a_tile_is_where_a_ray_meets_it(kind, level) -> None:
    """On the tile and around it the height function agrees with ray casting to 1e-5 m."""
    terrain, model, data = tile(kind, level)
    rng = np.random.default_rng(1)
    for x, y in rng.uniform(-5.0, 5.0, (200, 2)):
        assert ground(model, data, x, y) == pytest.approx(terrain.height(x, y), abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("up_slopes", RUN * tan(radians(30.0))),
        ("down_slopes", -RUN * tan(radians(45.0))),
        ("up_stairs", STAIRS * 0.23),
        ("down_stairs", -STAIRS * 0.25),
        ("obstacles", 0.0),
    ],
)
def test_border_of_the_highest_level(kind, change) -> None:
    """From platform to border the ground rises by the paper's angle or steps, up to the noise."""
    terrain, _, _ = tile(kind, 9)
    assert terrain.height(0.0, 0.0) == 0.0
    assert terrain.height(0.0, 3.99) == pytest.approx(change, abs=NOISE + 0.01)
    assert terrain.height(0.0, 6.0) == pytest.approx(change, abs=NOISE)


@pytest.mark.parametrize("kind", KINDS)
def test_tiles_join_without_a_cliff(kind) -> None:
    """The border of every tile is at height 0 at every level."""
    for level in range(LEVELS):
        heights = tile_heights(kind, level, 3)
        edges = (heights[0], heights[-1], heights[:, 0], heights[:, -1])
        assert not any(edge.any() for edge in edges)


def test_levels_grow() -> None:
    """A higher level has higher steps, steeper slopes and higher obstacles."""
    spans = {
        kind: [np.ptp(tile_heights(kind, level, 0)) for level in (0, 3, 6, 9)] for kind in KINDS
    }
    assert all((np.diff(span) > 0.0).all() for span in spans.values())
    assert spans["up_stairs"][0] == pytest.approx(STAIRS * 0.05)
    assert spans["up_slopes"][0] == 0.0


def test_tiles_of_a_field_lie_in_their_place() -> None:
    """Row and level of a tile give its place, and the strip around the tiles is flat."""
    field = tile_field(("down_stairs", "obstacles"), 2, 5)
    assert field.height(4.0 + 8.0, 4.0) == tile_heights("down_stairs", 1, 5)[80, 80]
    assert field.height(2.0, 13.5) == pytest.approx(tile_heights("obstacles", 0, 6)[110, 40])
    assert field.height(-1.0, 9.0) == field.height(17.0, 3.0) == 0.0


@pytest.mark.parametrize("name", ["up_stairs", "up_stairs:10", "up_stairs:six", "lava:3", "flat:1"])
def test_a_tile_that_does_not_exist_is_refused(name) -> None:
    """A wrong name or level is refused before anything is built."""
    with pytest.raises(ConfigurationError, match=r"terrain|level"):
        SimulationOptions(terrain=name)


def test_a_robot_stands_on_a_tile() -> None:
    """On the highest stairs the feet of a standing robot are on the ground."""
    robot = SimulatedRobot(SimulationOptions(terrain="up_stairs:9", noise=None))
    robot.put_on_feet()
    for leg in ("FR", "FL", "RR", "RL"):
        x, y, z = robot.data.body(f"{leg}_foot").xpos
        assert abs(z - robot.robot.foot_radius - robot.terrain.height(x, y)) < 0.015
