"""Supervisor: what a fallen robot waits for before it turns over and before it stands up."""

from typing import Any

import numpy as np
import pytest
from core_values import A1, THRESHOLDS, replaced
from supervised import PLAIN, Run

from safe_locomotion.config import load_config
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.types import Mode

ON_ITS_BACK: dict[str, Any] = {"quaternion_wxyz": np.array((0.0, 1.0, 0.0, 0.0))}
FOLDED: dict[str, Any] = {"q": A1.q_sit}
BY_ITSELF = load_config(
    "a1",
    {
        **PLAIN,
        "supervisor.thresholds.settle_time": 0.0,
        "supervisor.thresholds.self_right": "automatic",
    },
)


def turning_over() -> Run:
    """A robot that lies on its back and turns over after a request to stand."""
    run = Run()
    run.walking()
    assert {run.tick(**ON_ITS_BACK).mode for _ in range(2)} == {Mode.FALLEN}
    assert run.supervisor.request("stand") is None
    assert run.tick(**ON_ITS_BACK).mode is Mode.SELF_RIGHT
    return run


def test_the_cause_of_a_fall_is_named_until_the_robot_rises() -> None:
    """It is named even if the robot lies on its belly by then, until it turns over."""
    run = Run()
    run.walking()
    run.tick(**ON_ITS_BACK)
    assert run.tick().reasons == ("fallen",)
    assert run.supervisor.request("stand") is None
    verdict = run.tick()
    assert (verdict.mode, verdict.reasons) == (Mode.SELF_RIGHT, ())


def leaning(angle: float) -> dict[str, Any]:
    """Orientation of a robot that is rolled by this angle [rad]."""
    return {"quaternion_wxyz": quaternion_from_rpy(angle, 0.0, 0.5)}


@pytest.mark.parametrize(
    "short_of",
    [
        leaning(THRESHOLDS.righted_tilt + 1e-6),
        leaning(-THRESHOLDS.righted_tilt - 1e-6),
        ON_ITS_BACK,
        {"diverged": True},
        {"q": replaced(A1.q_sit, 4, A1.q_sit[4] + THRESHOLDS.pose_tolerance + 1e-6)},
        {"q": A1.q_stand},
        {"dq": replaced(np.zeros(12), 7, THRESHOLDS.still_joint_speed + 1e-6)},
    ],
)
def test_a_robot_stands_up_once_it_is_on_its_belly_folded_at_rest_and_known_to_be(
    short_of: dict[str, Any],
) -> None:
    """Each condition alone is not enough. All of them, exactly at their bounds, are."""
    run = turning_over()
    for _ in range(5):
        assert run.tick(**{**FOLDED, **short_of}).mode is Mode.SELF_RIGHT
    assert run.tick(**{**FOLDED, **leaning(THRESHOLDS.righted_tilt - 1e-6)}).mode is Mode.STAND_UP


def test_turning_over_for_too_long_leaves_it_lying_with_the_reason() -> None:
    """It is damped 1 ns past the timeout, and another request to stand is accepted."""
    run = turning_over()
    assert (
        run.later(round(THRESHOLDS.self_right_timeout * 1e9)).tick(**ON_ITS_BACK).mode
        is Mode.SELF_RIGHT
    )
    verdict = run.later(1).tick(**ON_ITS_BACK)
    assert (verdict.mode, verdict.reasons) == (Mode.FALLEN, ("fallen", "self_right_timeout"))
    assert run.tick(**ON_ITS_BACK).mode is Mode.FALLEN
    assert run.supervisor.request("stand") is None
    assert run.tick(**ON_ITS_BACK).mode is Mode.SELF_RIGHT


def test_a_robot_gets_up_by_itself_only_where_it_is_configured_to() -> None:
    """It does so once it rests, in any posture."""
    for config, mode in ((None, Mode.FALLEN), (BY_ITSELF, Mode.SELF_RIGHT)):
        run = Run() if config is None else Run(config)
        run.walking()
        moving = {**ON_ITS_BACK, "dq": np.full(12, THRESHOLDS.still_joint_speed + 1e-6)}
        assert {run.tick(**moving).mode for _ in range(5)} == {Mode.FALLEN}
        assert run.tick(**ON_ITS_BACK).mode is mode


@pytest.mark.parametrize(("angle", "mode"), [(-1e-6, Mode.STAND_UP), (1e-6, Mode.SELF_RIGHT)])
def test_a_robot_that_lies_down_stands_up_from_its_belly_and_turns_over_first_otherwise(
    angle: float, mode: Mode
) -> None:
    """A tilt up to `righted_tilt` counts as lying on the belly."""
    run = Run()
    run.tick()
    assert run.supervisor.request("stand") is None
    assert run.tick(**leaning(THRESHOLDS.righted_tilt + angle)).mode is mode


def test_bounds_belong_to_what_they_allow() -> None:
    """A tilt, speed or distance that equals its bound passes, to the last bit."""
    exact = {
        **PLAIN,
        **{
            f"supervisor.thresholds.{name}": value
            for name, value in {
                "settle_time": 0.0,
                "fall_tilt": 0.0,
                "righted_tilt": 0.0,
                "pose_tolerance": 0.125,
            }.items()
        },
    }
    config = load_config("a1", exact)
    run = Run(config)
    run.tick()
    run.supervisor.request("walk")
    assert run.tick().mode is Mode.STAND_UP
    edge = {
        "q": replaced(A1.q_stand, 0, 0.125),
        "dq": np.full(12, THRESHOLDS.still_joint_speed),
        "position": np.array((0.0, 0.0, THRESHOLDS.fall_height)),
    }
    assert run.tick(**edge).mode is Mode.STAND
    edge["velocity"] = np.array((0.0, THRESHOLDS.still_speed, 0.0))
    assert run.tick(**edge).mode is Mode.WALK
    run.supervisor.request("stand")
    edge["velocity"] = np.array((-THRESHOLDS.slow_speed, 0.0, 0.0))
    assert run.tick(**edge).mode is Mode.STAND
    assert run.tick(**leaning(1e-6)).mode is Mode.FALLEN

    run = Run(config)
    run.tick(**ON_ITS_BACK)
    run.supervisor.request("stand")
    assert run.tick(**ON_ITS_BACK).mode is Mode.SELF_RIGHT
    assert run.tick(**leaning(1e-6), **FOLDED).mode is Mode.SELF_RIGHT
    assert run.tick(**FOLDED).mode is Mode.STAND_UP


@pytest.mark.parametrize("length", [1e-3, 0.5, 2.0])
def test_the_tilt_of_an_orientation_does_not_depend_on_its_length(length: float) -> None:
    """A quaternion that is not quite a unit gives the same tilt."""
    for angle, mode in (
        (THRESHOLDS.fall_tilt - 1e-6, Mode.WALK),
        (THRESHOLDS.fall_tilt + 1e-6, Mode.FALLEN),
    ):
        for q in (quaternion_from_rpy(angle, 0.0, 0.0), quaternion_from_rpy(0.0, -angle, 0.0)):
            run = Run()
            run.walking()
            assert run.tick(quaternion_wxyz=length * q).mode is mode
