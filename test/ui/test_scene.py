"""The scene as a whole: headline and reason, falls, and estimates that are not finite."""

from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from core_values import START_NS, estimate, replaced, stance_plan, verdict
from scene_values import margins, scene_maker, states

from safe_locomotion.types import NANOSECONDS, Mode, Verdict
from safe_locomotion.ui import scene as s
from safe_locomotion.ui.bar_panel import bar_panel


def test_falls_are_counted_once() -> None:
    """Each change into FALLEN is one fall at its place, and the last five are kept.

    It counts also when the newest verdict of a look has another mode.
    """
    make = scene_maker()
    for k in range(7):
        stamp_ns = START_NS + k * NANOSECONDS
        e = estimate(stamp_ns=stamp_ns, position=np.array((float(k), 0.0, 0.1)))
        down = verdict(stamp_ns=stamp_ns, mode=Mode.FALLEN, reasons=("fallen",))
        scene = make.update(e, [down, down, verdict(mode=Mode.SELF_RIGHT)])
        make.update(e, [verdict(mode=Mode.STAND)])
    assert [fall.position[0] for fall in scene.falls] == [2.0, 3.0, 4.0, 5.0, 6.0]
    assert scene.falls[-1].reasons == ("fallen",)
    assert scene.falls[-1].stamp_ns == START_NS + 6 * NANOSECONDS


def test_a_fallen_robot_lies_on_the_ground() -> None:
    """Whatever height is estimated; in other modes it is drawn at that height."""
    make = scene_maker()
    on_its_back = np.array((0.0, 1.0, 0.0, 0.0))
    e = estimate(position=np.array((1.0, 2.0, 0.4)), quaternion_wxyz=on_its_back)
    scene = make.update(e, [verdict(mode=Mode.STAND)])
    assert scene.links.position[0].tolist() == [1.0, 2.0, 0.4]
    scene = make.update(e, [verdict(mode=Mode.FALLEN, reasons=("fallen",))])
    assert make.body.lowest(scene.shapes) == pytest.approx(0.0, abs=1e-9)
    assert scene.links.position[0, :2].tolist() == [1.0, 2.0]
    assert scene.links.position[0, 2] < 0.2


@pytest.mark.parametrize(
    ("given", "headline", "color"),
    [
        (None, "no verdict", s.RED),
        (verdict(mode=Mode.PASSIVE), "PASSIVE", s.WHITE),
        (verdict(mode=Mode.STAND), "STAND", s.GREEN),
        (verdict(mode=Mode.FAULT), "FAULT", s.RED),
        (verdict(mode=Mode.FALLEN), "FALLEN", s.RED),
        (verdict(active="learner", policy="a1_trot"), "WALK: a1_trot", s.GREEN),
        (verdict(active="learner"), "WALK: learner", s.GREEN),
        (verdict(), "WALK: recovery", s.AMBER),
    ],
)
def test_the_headline_is_the_mode_and_the_active_policy(
    given: Verdict | None, headline: str, color: s.Rgba
) -> None:
    """Its colour is green, amber under recovery, and red after a fall or fault."""
    scene = scene_maker().update(estimate(), [] if given is None else [given])
    assert (scene.headline, scene.color) == (headline, color)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "the supervisor is silent"),
        (verdict(mode=Mode.PASSIVE), ""),
        (verdict(mode=Mode.FAULT, reasons=("estop", "motor_off")), "estop, motor_off"),
        (verdict(active="learner", policy="a1_trot", margins=margins()), ""),
        (verdict(margins=margins()), "no prediction shows yet that the learner stays safe"),
        (
            verdict(margins=margins(pitch=-0.5)),
            "in the trigger set: pitch +0.390 rad (-0.26 .. 0.26)",
        ),
        (
            verdict(margins=(*margins(), ("capture", -0.1))),
            "in the trigger set: capture point beyond the feet",
        ),
        (
            verdict(margins=margins(height=0.6), predicted=states(c10=[0.0, 0.3, 0.6])),
            "the learner would enter the trigger set in 0.032 s: lateral_velocity",
        ),
        (verdict(margins=margins(), reasons=("policy_fault",)), "policy_fault"),
    ],
)
def test_the_reason_says_why_the_robot_does_not_walk_under_the_learner(
    given: Verdict | None, reason: str
) -> None:
    """Hazards come first, then the trigger set, then the prediction."""
    scene = scene_maker().update(estimate(), [] if given is None else [given])
    assert scene.reason == reason


@pytest.mark.parametrize(
    "field", ["position", "quaternion_wxyz", "q", "velocity", "angular_velocity", "ground_normal"]
)
@pytest.mark.parametrize("bad", [nan, inf])
def test_after_an_estimate_that_is_not_finite_everything_drawn_is(field: str, bad: float) -> None:
    """The robot stays where it was before, whichever field is wrong."""
    make = scene_maker()
    good = estimate(position=np.array((1.0, 0.0, 0.27)))
    stance = np.array([True, False, True, True])
    swing = stance_plan(stance=stance, foot_position=np.full((4, 3), -0.2))
    make.update(good, [verdict()], swing)
    broken = replace(good, **{field: replaced(getattr(good, field), 0, bad)})
    scene = make.update(broken, [verdict(predicted=states(c5=[0.3]))], swing)
    assert scene.finite == (field not in ("position", "quaternion_wxyz", "q"))
    assert scene.position == pytest.approx((1.0, 0.0, 0.27))
    assert all(np.isfinite(np.array(what)).all() for what in drawn(scene))


def drawn(scene: s.Scene) -> list[Any]:
    """All numbers of a scene that become a place or a size."""
    numbers: list[Any] = [
        scene.shapes.position,
        scene.shapes.quaternion_wxyz,
        scene.footholds,
        scene.heading,
        scene.normal,
    ]
    for foot in scene.feet:
        numbers += [foot.position, foot.ground, foot.force, foot.cone]
        numbers += [place for place in (foot.target, foot.foothold) if place is not None]
    for boxes in bar_panel(scene):
        numbers += [boxes.middle, boxes.value, boxes.value_size, boxes.label]
    return numbers
