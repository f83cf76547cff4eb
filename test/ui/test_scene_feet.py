"""Feet of a scene against numbers computed by hand: places, forces, swings and footholds."""

from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest
from core_values import A1, TROT, estimate, stance_plan, verdict
from scene_values import CONFIG, scene_maker

from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.types import GRAVITY, Mode
from safe_locomotion.ui import scene as s

WEIGHT = A1.mass * GRAVITY / 4  #: on each foot [N]


def test_a_standing_robot() -> None:
    """Feet stand under the hips; a quarter of the weight pushes straight up at each."""
    scene = scene_maker().update(estimate(), [verdict(mode=Mode.STAND)], stance_plan())
    foot = scene.feet[0]
    x = 0.183
    y = -0.047 - 0.08505
    assert foot.position == pytest.approx((x, y, 0.02))
    assert foot.ground == pytest.approx((x, y, 0.0))
    assert foot.force == pytest.approx((0.0, 0.0, WEIGHT))
    assert foot.friction == 0.0 and foot.color == s.GREEN
    assert (scene.color, scene.headline, scene.reason) == (s.GREEN, "STAND", "")
    assert scene.finite and not scene.judged
    assert scene.prediction is None and scene.falls == ()


def test_the_rim_of_a_friction_cone_is_a_square_as_high_as_the_force() -> None:
    """Its corners lie mu times the height of the force to each side of the foot."""
    scene = scene_maker().update(estimate(), [verdict(mode=Mode.STAND)], stance_plan())
    height = s.FORCE_SCALE * WEIGHT
    side = CONFIG.mpc.solver.mu * height
    x, y, _ = scene.feet[0].ground
    wanted = [(x + i * side, y + j * side, height) for i in (-1, 1) for j in (-1, 1)]
    corners = sorted(np.round(scene.feet[0].cone, 6).tolist())
    np.testing.assert_allclose(corners, wanted, atol=1e-6)


def test_a_lifted_foot_is_blue_and_has_no_foothold() -> None:
    """Its target is shown; it is amber while it touches the ground, and grey without the flag."""
    stance = np.array((True, False, True, True))
    contact = np.array((True, False, True, True))
    plan = stance_plan(stance=stance, foot_position=np.full((4, 3), 0.1))
    lifted = verdict(gait=replace(TROT, lifted=(False, True, False, False)))
    foot = scene_maker().update(estimate(contact=contact), [lifted], plan).feet[1]
    assert foot.lifted and foot.color == s.BLUE
    assert foot.target is not None and foot.foothold is None
    assert scene_maker().update(estimate(), [lifted], plan).feet[1].color == s.AMBER
    plain = scene_maker().update(estimate(contact=contact), [verdict()], plan).feet[1]
    assert not plain.lifted and plain.color == s.GREY


def test_a_turned_robot() -> None:
    """Plan and force are in base: turned left by 90 degrees, forward is along y of odom."""
    turned = estimate(quaternion_wxyz=quaternion_from_rpy(0.0, 0.0, np.pi / 2))
    force = np.tile((30.0, 0.0, 60.0), (4, 1))
    scene = scene_maker().update(turned, [verdict()], stance_plan(force=force))
    assert scene.heading == pytest.approx(np.pi / 2)
    assert scene.feet[1].position == pytest.approx((-0.13205, 0.183, 0.02))
    assert scene.feet[1].force == pytest.approx((0.0, 30.0, 60.0))
    assert scene.feet[1].friction == pytest.approx(30.0 / (0.5 * 60.0))


@pytest.mark.parametrize(
    ("force", "friction", "color"),
    [
        ((0.0, 0.0, 40.0), 0.0, s.BLUE),
        ((10.0, -15.0, 40.0), 0.75, s.BLUE),
        ((0.0, 20.0, 40.0), 1.0, s.AMBER),
        ((0.0, 30.0, 40.0), 1.5, s.RED),
        ((1.0, 0.0, -40.0), inf, s.RED),
    ],
)
def test_friction_is_the_share_of_the_pyramid(
    force: tuple[float, ...], friction: float, color: s.Rgba
) -> None:
    """The greater tangential part over mu = 0.5 times the normal part; a pull is outside."""
    plan = stance_plan(force=np.tile(force, (4, 1)))
    foot = scene_maker().update(estimate(), [verdict()], plan).feet[0]
    assert foot.friction == pytest.approx(friction) and foot.force_color == color


def test_a_swing_foot() -> None:
    """It has a target, and a foothold on the ground ahead, but no force.

    At the apex half of the swing is left. The foot covers it at twice its mean speed.
    """
    stance = np.array([False, True, True, False])
    targets = np.zeros((4, 3))
    speeds = np.zeros((4, 3))
    targets[0] = (0.2, -0.13, -0.27 + 0.02 + 0.07)
    speeds[0] = (1.0, 0.0, 0.0)
    plan = stance_plan(stance=stance, foot_position=targets, foot_velocity=speeds)
    one_in_the_air = estimate(contact=np.array([False, True, True, True]))
    scene = scene_maker().update(one_in_the_air, [verdict()], plan)
    foot = scene.feet[0]
    duration = TROT.swing_ratio / TROT.frequency
    assert foot.force == (0.0, 0.0, 0.0) and np.isnan(foot.friction) and foot.color == s.GREY
    assert foot.target == pytest.approx((0.2, -0.13, 0.09))
    assert foot.foothold == pytest.approx((0.2 + duration / 4, -0.13, 0.0), abs=1e-4)
    assert scene.feet[1].target is None and scene.feet[1].foothold is None


def test_a_swing_foot_on_the_ground_is_amber() -> None:
    """Plan and contact disagree."""
    stance = np.array([True, True, True, False])
    foot = scene_maker().update(estimate(), [verdict()], stance_plan(stance=stance)).feet[3]
    assert foot.color == s.AMBER and not foot.stance


def test_footholds_are_remembered_while_walking() -> None:
    """Each touchdown leaves one mark; the last 24 are kept."""
    make = scene_maker()
    air = np.array([False, True, True, True])
    for k in range(30):
        step = estimate(position=np.array((0.01 * k, 0.0, 0.27)))
        make.update(replace(step, contact=air), [verdict()], stance_plan(stance=air))
        scene = make.update(step, [verdict()], stance_plan())
        assert len(scene.footholds) == min(k + 1, s.KEPT_FOOTHOLDS)
    np.testing.assert_allclose(scene.footholds[-1], (0.29 + 0.183, -0.13205, 0.0), atol=1e-12)


def test_a_plan_that_is_not_finite() -> None:
    """A force of NaN has no arrow and no cone; a target of NaN is not drawn."""
    stance = np.array([True, False, True, True])
    bad = np.full((4, 3), nan)
    plan = stance_plan(stance=stance, force=bad, foot_position=bad, foot_velocity=bad)
    scene = scene_maker().update(estimate(), [verdict()], plan)
    assert all(np.isnan(foot.friction) for foot in scene.feet)
    assert scene.feet[1].target is None and scene.feet[1].foothold is None
    assert np.isfinite(scene.feet[0].cone).all()
