"""The scene against numbers computed by hand: feet, forces, bars, predictions, falls, and what becomes of NaN."""

from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from core_values import A1, START_NS, TROT, estimate, replaced, stance_plan, verdict

from safe_locomotion.config import load_config
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.safety.capture_point import CapturePoint
from safe_locomotion.safety.trigger_set import COMPONENTS
from safe_locomotion.types import Array, Mode, Verdict
from safe_locomotion.ui import scene as s
from safe_locomotion.ui.bar_panel import bar_panel, headline_place
from safe_locomotion.ui.scene_builder import SceneMaker

RAW = {
    "supervisor.trigger_set.roll_rate": "raw",
    "supervisor.trigger_set.attitude": "vertical",
    "supervisor.trigger_set.height": "odom",
    "supervisor.trigger_set.lookahead": 0.0,
}  # the paper's measures: what is in the state is the component
CONFIG = load_config("a1", RAW)
MS = 1_000_000


def maker() -> SceneMaker:
    """A fresh one, with the paper's measures."""
    return SceneMaker(A1, CONFIG)


def margins(**changes: float) -> tuple[tuple[str, float], ...]:
    """Of a verdict in the middle of the box."""
    return tuple((name, changes.get(name, 1.0)) for name in COMPONENTS)


def states(**columns: list[float]) -> Array:
    """Predicted states that stay where they are but for the columns given; keys are the column numbers after a `c`."""
    n = len(next(iter(columns.values())))
    out = np.zeros((n, 12))
    out[:, 5] = A1.nominal_height
    for column, values in columns.items():
        out[:, int(column[1:])] = values
    return out


def bars(scene: s.Scene) -> dict[str, s.Bar]:
    """By name."""
    return {bar.name: bar for bar in scene.bars}


def test_a_standing_robot() -> None:
    """Feet under the hips on the ground; a quarter of the weight on each is an arrow straight up in the middle of its cone."""
    scene = maker().update(estimate(), [verdict(mode=Mode.STAND)], stance_plan())
    front_right = scene.feet[0]
    x = 0.183
    y = -0.047 - 0.08505
    assert front_right.position == pytest.approx(
        (x, y, 0.02)
    ) and front_right.ground == pytest.approx((x, y, 0.0))
    weight = A1.mass * 9.81 / 4
    assert front_right.force == pytest.approx((0.0, 0.0, weight)) and front_right.friction == 0.0
    height = s.FORCE_SCALE * weight
    side = CONFIG.mpc.solver.mu * height
    corners = sorted(
        (round(a, 6), round(b, 6), round(c, 6)) for a, b, c in front_right.cone.tolist()
    )
    assert corners == [
        (round(x + i * side, 6), round(y + j * side, 6), round(height, 6))
        for i in (-1, 1)
        for j in (-1, 1)
    ]
    assert (front_right.color, scene.color, scene.headline, scene.reason) == (
        s.GREEN,
        s.GREEN,
        "STAND",
        "",
    )
    assert scene.finite and not scene.judged and scene.prediction is None and scene.falls == ()


def test_a_turned_robot() -> None:
    """Plan and force are in base: with the robot turned to the left by 90 degrees, forward is along y of odom."""
    turned = estimate(quaternion_wxyz=quaternion_from_rpy(0.0, 0.0, np.pi / 2))
    force = np.tile((30.0, 0.0, 60.0), (4, 1))
    scene = maker().update(turned, [verdict()], stance_plan(force=force))
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
    """The larger tangential component over mu times the normal force, mu = 0.5; a foot that would pull is outside."""
    foot = (
        maker().update(estimate(), [verdict()], stance_plan(force=np.tile(force, (4, 1)))).feet[0]
    )
    assert foot.friction == pytest.approx(friction) and foot.force_color == color


def test_a_swing_foot() -> None:
    """It has no force but a target and a foothold on the ground ahead; one that should swing but feels the ground is amber."""
    stance = np.array([False, True, True, False])
    targets = np.zeros((4, 3))
    speeds = np.zeros((4, 3))
    targets[0], speeds[0] = (
        (0.2, -0.13, -0.27 + 0.02 + 0.07),
        (1.0, 0.0, 0.0),
    )  # at the apex: half of the way left at twice the mean speed
    plan = stance_plan(stance=stance, foot_position=targets, foot_velocity=speeds)
    scene = maker().update(estimate(contact=np.array([False, True, True, True])), [verdict()], plan)
    foot = scene.feet[0]
    duration = TROT.swing_ratio / TROT.frequency
    assert foot.force == (0.0, 0.0, 0.0) and np.isnan(foot.friction) and foot.color == s.GREY
    assert foot.target == pytest.approx((0.2, -0.13, 0.09))
    assert foot.foothold == pytest.approx((0.2 + duration / 4, -0.13, 0.0), abs=1e-4)
    assert scene.feet[1].target is None and scene.feet[1].foothold is None
    assert scene.feet[3].color == s.AMBER and not scene.feet[3].stance


def test_footholds_are_remembered_while_walking() -> None:
    """Each touchdown leaves one mark; the last 24 are kept."""
    make = maker()
    air = np.array([False, True, True, True])
    for k in range(30):
        step = estimate(position=np.array((0.01 * k, 0.0, 0.27)))
        make.update(replace(step, contact=air), [verdict()], stance_plan(stance=air))
        scene = make.update(step, [verdict()], stance_plan())
        assert len(scene.footholds) == min(k + 1, s.KEPT_FOOTHOLDS)
    np.testing.assert_allclose(scene.footholds[-1], (0.29 + 0.183, -0.13205, 0.0), atol=1e-12)


def test_bars_are_what_the_supervisor_says() -> None:
    """Its margin gives the value, our measurement the sign: margin 0.5 of a box of 0.2..0.3 is 0.275 or 0.225."""
    low = estimate(
        position=np.array((0.0, 0.0, 0.22)), quaternion_wxyz=quaternion_from_rpy(-0.2, 0.1, 0.0)
    )
    judged = verdict(margins=margins(height=0.5, roll=-0.5, pitch=0.1))
    found = bars(maker().update(low, [judged]))
    assert found["height"].value == pytest.approx(0.225) and found["height"].share == pytest.approx(
        -0.5
    )
    assert (
        found["roll"].value == pytest.approx(-0.39)
        and found["roll"].outside
        and found["roll"].color == s.RED
    )
    assert found["pitch"].value == pytest.approx(0.9 * 0.26) and found["pitch"].color == s.AMBER
    assert found["roll_rate"].value == 0.0 and found["roll_rate"].color == s.GREEN
    assert (found["roll"].low, found["roll"].high) == (-0.26, 0.26)
    assert found["roll"].text == "roll -0.390 rad (-0.26 .. 0.26)"


def test_bars_without_a_verdict_are_measured() -> None:
    """A robot that does not walk has bars too: of the estimate, and nobody judges by them."""
    e = estimate(velocity=np.array((0.0, 0.3, 0.0)), angular_velocity=np.array((-0.6, 0.0, 0.0)))
    scene = maker().update(e, [verdict(mode=Mode.STAND)])
    found = bars(scene)
    assert not scene.judged and found["lateral_velocity"].value == pytest.approx(0.3)
    assert found["roll_rate"].value == pytest.approx(-0.6) and found["roll_rate"].outside
    assert found["height"].margin == pytest.approx(0.6)


def test_the_capture_point_has_a_bar_where_it_counts() -> None:
    """Metres beyond the feet: as the supervisor says, else as measured; 0 is the bound, half a standing width within them the middle."""
    point = CapturePoint(A1)
    e = estimate(velocity=np.array((0.0, 0.4, 0.0)))
    for said, value, colour in (
        (1.0, -point.half_width, s.GREEN),
        (0.1, -0.1 * point.half_width, s.AMBER),
        (-0.2, 0.2 * point.half_width, s.RED),
    ):
        bar = bars(maker().update(e, [verdict(margins=(*margins(), ("capture", said)))]))["capture"]
        assert (
            bar.value == pytest.approx(value)
            and bar.color == colour
            and bar.share == pytest.approx(1.0 - said)
        )
    assert bar.text == f"capture {bar.value:+.3f} m ({bar.low:g} .. 0)"
    assert bars(maker().update(e, [verdict()]))["capture"].value == pytest.approx(point.beyond(e))
    lost = bars(maker().update(estimate(velocity=np.full(3, nan)), [verdict()]))["capture"]
    assert lost.outside and lost.share == s.BAR_OVERSHOOT
    alone = SceneMaker(A1, load_config("a1", {"supervisor.intervention.capture": False}))
    assert (
        [bar.name for bar in alone.update(e, [verdict()]).bars]
        == list(alone.bar_names)
        == list(COMPONENTS)
    )


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_a_component_that_is_no_number_is_in_the_trigger_set(bad: float) -> None:
    """NaN and infinities are drawn as far out as can be, in red; what has margins in the verdict keeps them."""
    scene = maker().update(estimate(velocity=np.array((0.0, bad, 0.0))), [verdict()])
    bar = bars(scene)["lateral_velocity"]
    assert bar.outside and bar.color == s.RED and abs(bar.share) == s.BAR_OVERSHOOT
    assert "lateral velocity" in scene.reason
    scene = maker().update(estimate(), [verdict(margins=margins(pitch=-inf))])
    assert bars(scene)["pitch"].outside and bars(scene)["pitch"].share == s.BAR_OVERSHOOT


@pytest.mark.parametrize(
    ("columns", "entry", "components"),
    [
        ({"c10": [0.0, 0.2, 0.4, 0.5]}, None, ()),
        ({"c10": [0.0, 0.2, 0.51, 0.6]}, 2, ("lateral_velocity",)),
        ({"c5": [0.27, 0.25, 0.22, 0.199]}, 3, ("height",)),
        ({"c0": [0.0, -0.27, 0.0, 0.0], "c1": [0.0, 0.3, 0.0, 0.0]}, 1, ("roll", "pitch")),
        ({"c6": [0.0, 0.0, nan, 0.0]}, 2, None),
    ],
)
def test_the_first_state_in_the_trigger_set(
    columns: dict[str, list[float]], entry: int | None, components: tuple[str, ...] | None
) -> None:
    """States are green up to the first outside the box of the paper, red from there on; NaN is outside and ends the line."""
    scene = maker().update(
        estimate(), [verdict(margins=margins(height=0.6), predicted=states(**columns))]
    )
    p = scene.prediction
    assert p is not None and p.entry == entry
    assert p.components == components if components is not None else "roll_rate" in p.components
    shown = 2 if "c6" in columns else 4
    assert len(p.position) == len(p.quaternion_wxyz) == shown and np.isfinite(p.position).all()
    first = shown if entry is None else min(entry, shown)
    assert p.colors == (s.GREEN,) * first + (s.RED,) * (shown - first)
    assert p.telling == min(first, shown - 1)


def test_prediction_adds_to_what_the_supervisor_measured() -> None:
    """A robot whose verdict says 0.45 m/s to the left, predicted to gain 0.1, enters; one that is predicted to lose 0.1 does not."""
    e = estimate(velocity=np.array((0.0, 0.45, 0.0)))
    judged = margins(height=0.6, lateral_velocity=0.1)
    for gain, entry in ((0.1, 1), (-0.1, None)):
        scene = maker().update(
            e, [verdict(margins=judged, predicted=states(c10=[0.2, 0.2 + gain]))]
        )
        assert scene.prediction is not None and scene.prediction.entry == entry


def test_a_state_that_is_out_already_is_the_entry() -> None:
    """Index 0: the first state is now."""
    e = estimate(velocity=np.array((0.0, 0.6, 0.0)))
    scene = maker().update(
        e, [verdict(margins=margins(lateral_velocity=-0.2), predicted=states(c10=[0.6, 0.1]))]
    )
    assert (
        scene.prediction is not None
        and scene.prediction.entry == 0
        and scene.prediction.colors == (s.RED, s.RED)
    )
    assert scene.prediction.telling == 1


@pytest.mark.parametrize("yaw", [0.0, 1.0, -2.5])
def test_predictions_are_in_odom(yaw: float) -> None:
    """Turned with the robot: a velocity to its left that leaves the box does so at every heading, and the body keeps its yaw."""
    e = estimate(quaternion_wxyz=quaternion_from_rpy(0.0, 0.0, yaw))
    ahead = states(c10=[0.0, 0.7])
    ahead[:, 9], ahead[:, 10] = -np.sin(yaw) * ahead[:, 10], np.cos(yaw) * ahead[:, 10]
    ahead[:, 2] = yaw
    scene = maker().update(e, [verdict(margins=margins(), predicted=ahead)])
    assert scene.prediction is not None and scene.prediction.components == ("lateral_velocity",)
    np.testing.assert_allclose(np.abs(scene.prediction.quaternion_wxyz[1] @ e.quaternion_wxyz), 1.0)


def test_a_prediction_grows_old() -> None:
    """The newest among the verdicts of one look is shown, later ones without any keep it for a quarter of a second."""
    make = maker()
    ahead = states(c5=[0.27, 0.26])
    first = verdict(margins=margins(), predicted=ahead)
    second = verdict(
        stamp_ns=START_NS + 8 * MS, margins=margins(), predicted=states(c5=[0.27, 0.25])
    )
    plain = verdict(stamp_ns=START_NS + 10 * MS, margins=margins())
    scene = make.update(estimate(stamp_ns=START_NS + 10 * MS), [first, second, plain])
    assert scene.prediction is not None and scene.prediction.stamp_ns == second.stamp_ns
    assert make.update(estimate(stamp_ns=START_NS + 250 * MS), [plain]).prediction is not None
    assert make.update(estimate(stamp_ns=START_NS + 259 * MS), [plain]).prediction is None


def test_falls_are_counted_once() -> None:
    """Each way into FALLEN is one fall, at its place, also when the fallen verdict is not the newest; the last five are kept."""
    make = maker()
    for k in range(7):
        e = estimate(stamp_ns=START_NS + k * 1000 * MS, position=np.array((float(k), 0.0, 0.1)))
        down = verdict(stamp_ns=e.stamp_ns, mode=Mode.FALLEN, reasons=("fallen",))
        scene = make.update(e, [down, down, verdict(mode=Mode.SELF_RIGHT)])
        make.update(e, [verdict(mode=Mode.STAND)])
    assert [fall.position[0] for fall in scene.falls] == [2.0, 3.0, 4.0, 5.0, 6.0]
    assert (
        scene.falls[-1].reasons == ("fallen",) and scene.falls[-1].stamp_ns == START_NS + 6000 * MS
    )


@pytest.mark.parametrize(
    ("given", "headline", "reason", "color"),
    [
        (None, "no verdict", "the supervisor is silent", s.RED),
        (verdict(mode=Mode.PASSIVE), "PASSIVE", "", s.WHITE),
        (
            verdict(mode=Mode.FAULT, reasons=("estop", "motor_off")),
            "FAULT",
            "estop, motor_off",
            s.RED,
        ),
        (
            verdict(active="learner", policy="a1_trot", margins=margins()),
            "WALK: a1_trot",
            "",
            s.GREEN,
        ),
        (
            verdict(margins=margins()),
            "WALK: recovery",
            "the learner is not seen to stay safe",
            s.AMBER,
        ),
        (
            verdict(margins=margins(pitch=-0.5)),
            "WALK: recovery",
            "in the trigger set: pitch +0.390 rad (-0.26 .. 0.26)",
            s.AMBER,
        ),
        (
            verdict(margins=(*margins(), ("capture", -0.1))),
            "WALK: recovery",
            "in the trigger set: capture point beyond the feet",
            s.AMBER,
        ),
        (
            verdict(margins=margins(height=0.6), predicted=states(c10=[0.0, 0.3, 0.6])),
            "WALK: recovery",
            "the learner would enter the trigger set in 0.032 s: lateral_velocity",
            s.AMBER,
        ),
        (
            verdict(margins=margins(), reasons=("policy_fault",)),
            "WALK: recovery",
            "policy_fault",
            s.AMBER,
        ),
    ],
)
def test_words(given: Verdict | None, headline: str, reason: str, color: s.Rgba) -> None:
    """Mode, who drives, and why."""
    scene = maker().update(estimate(), [] if given is None else [given])
    assert (scene.headline, scene.reason, scene.color) == (headline, reason, color)


@pytest.mark.parametrize(
    "field", ["position", "quaternion_wxyz", "q", "velocity", "angular_velocity", "ground_normal"]
)
@pytest.mark.parametrize("bad", [nan, inf])
def test_an_estimate_that_is_not_finite(field: str, bad: float) -> None:
    """The robot stays where it was last, whatever is wrong with the estimate; nothing that is drawn has NaN in it, nothing raises."""
    make = maker()
    good = estimate(position=np.array((1.0, 0.0, 0.27)))
    swing = stance_plan(
        stance=np.array([True, False, True, True]), foot_position=np.full((4, 3), -0.2)
    )
    make.update(good, [verdict()], swing)
    scene = make.update(
        replace(good, **{field: replaced(getattr(good, field), 0, bad)}),
        [verdict(predicted=states(c5=[0.3]))],
        swing,
    )
    assert scene.finite == (field not in ("position", "quaternion_wxyz", "q"))
    assert scene.position == pytest.approx((1.0, 0.0, 0.27))
    drawn: list[Any] = [
        scene.shapes.position,
        scene.shapes.quaternion_wxyz,
        scene.footholds,
        scene.heading,
        scene.normal,
    ]
    for foot in scene.feet:
        drawn += [
            foot.position,
            foot.ground,
            foot.force,
            foot.cone,
            foot.target or 0.0,
            foot.foothold or 0.0,
        ]
    for boxes in bar_panel(scene):
        drawn += [boxes.middle, boxes.value, boxes.value_size, boxes.label]
    assert all(np.isfinite(np.array(what)).all() for what in drawn)


def test_a_plan_that_is_not_finite() -> None:
    """A force of NaN has no arrow and no cone, a target of NaN is no target."""
    stance = np.array([True, False, True, True])
    bad = np.full((4, 3), nan)
    scene = maker().update(
        estimate(),
        [verdict()],
        stance_plan(stance=stance, force=bad, foot_position=bad, foot_velocity=bad),
    )
    assert all(np.isnan(foot.friction) for foot in scene.feet) and scene.feet[1].target is None
    assert scene.feet[1].foothold is None and np.isfinite(scene.feet[0].cone).all()


def test_bars_float_over_the_robot() -> None:
    """Seen from behind, left is positive: a bar at its upper bound ends half a length to the left, whatever the heading."""
    e = estimate(
        position=np.array((1.0, 2.0, 0.3)), quaternion_wxyz=quaternion_from_rpy(0.0, 0.0, np.pi / 2)
    )
    scene = maker().update(e, [verdict(margins=margins(height=0.0, roll=1.0))])
    boxes = {b.bar.name: b for b in bar_panel(scene)}
    top = 0.3 + s.BARS_ABOVE + 5 * s.BAR_PITCH
    assert boxes["height"].middle == pytest.approx((1.0, 2.0, top))
    assert boxes["height"].value == pytest.approx((1.0 - s.BAR_LENGTH / 4, 2.0, top))
    assert boxes["height"].value_size[1] == pytest.approx(s.BAR_LENGTH / 2)
    assert boxes["roll"].value_size[1] < 0.01
    heights = [b.middle[2] for b in boxes.values()]
    assert heights == sorted(heights, reverse=True) and headline_place(scene)[2] > max(heights)
    assert boxes["height"].label[0] > 1.0 + s.BAR_LENGTH / 2
