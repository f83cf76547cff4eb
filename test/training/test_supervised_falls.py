"""Studies of falls: equal walks under all settings, the last second of a fall, and its kind."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("mujoco_warp")
pytest.importorskip("torch")

import torch

from safe_locomotion.config import load_config
from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.envs.random_gait import RandomWalk
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import load_robot
from safe_locomotion.safety.trigger_set import TriggerSet
from safe_locomotion.sim.falls import FAILURE_HEIGHT
from safe_locomotion.training.gait.falls.last_seconds import COLUMNS, STEPS, Falls, Float32
from safe_locomotion.training.gait.falls.random_walks import RandomGaits
from safe_locomotion.training.gait.falls.study import (
    ALONE,
    SHIPPED,
    Setting,
    Study,
    StudyOptions,
    settings_of,
)
from safe_locomotion.training.gait.falls.taxonomy import Kind, kinds, rates, shares
from safe_locomotion.training.gait.world.drawn import draw_robots
from safe_locomotion.training.gait.world.world import WorldOptions
from safe_locomotion.types import Array

A1 = load_robot("a1")
HIT = 90.0  #: [N s], which topples an A1


def test_a_hard_hit_ends_in_a_fall_whose_last_second_is_known() -> None:
    """Both settings see equal robots; those that are hit fall, with the fall at the trace's end."""
    world = WorldOptions(physics_ms=2.0, noise=0.0)
    study = Study(
        StudyOptions(task="trot", settings=(ALONE, SHIPPED), robots=2, steps=70, world=world)
    )
    study.world.impulses[[0, 2], 1] = HIT
    study.world.pushed[[0, 2]] = 1.0
    told: list[int] = []

    def calm(step: int) -> None:
        told.append(step)
        study.world.pushed.zero_()

    falls = study.round(0, calm)
    assert told == [25, 50, 70]
    assert set(falls.robots) == {0, 2}
    alone, shipped = study.rows()
    assert (alone.name, shipped.name) == ("alone", "shipped")
    assert alone.falls == int((falls.robots == 0).sum())
    assert shipped.falls == int((falls.robots == 2).sum())
    assert alone.hours == pytest.approx(2 * 70 * 0.008 / 3600.0)
    assert alone.recovery == 0.0
    assert shipped.recovery > 0.2
    np.testing.assert_array_equal(study.setting_of(falls.robots), falls.robots // 2)
    for step, trace in zip(falls.steps, falls.traces, strict=True):
        known = np.isfinite(trace[:, 0])
        assert not known[: STEPS - 1 - step].any()
        assert known[-1]
        last = dict(zip(COLUMNS, trace[-1], strict=True))
        assert last["height"] < 0.2 or abs(last["roll"]) > 0.7


def test_all_settings_see_the_same_gaits() -> None:
    """Robot n of each setting walks the same gaits; a fall begins them again from the task's."""
    walk = RandomWalk(sigma=0.1)
    gaits = RandomGaits(
        gait_task("two_leg"), A1, walk, settings=2, robots=3, steps=40, device="cpu"
    )
    assert gaits.lifted[:, 1:3].all() and not gaits.lifted[:, [0, 3]].any()
    first = gaits.gaits.clone()
    seen = []
    for seed in (5, 5, 6):
        gaits.begin(seed)
        for step in range(40):
            gaits.move(torch.tensor([step]))
        seen.append(gaits.gaits.clone())
    torch.testing.assert_close(seen[0][:3], seen[0][3:], rtol=0, atol=0)
    torch.testing.assert_close(seen[0], seen[1], rtol=0, atol=0)
    assert (seen[0] - seen[2])[:, :5].abs().min() > 0.0
    assert (seen[0][0] - seen[0][1])[:5].abs().min() > 0.0
    low, high = walk.frequency
    assert ((low <= seen[0][:, 0]) & (seen[0][:, 0] <= high)).all()
    torch.testing.assert_close(seen[0][:, 5:], first[:, 5:])
    gaits.forget(torch.tensor([True, False, False, False, False, True]))
    torch.testing.assert_close(gaits.gaits[[0, 5]], first[[0, 5]])
    torch.testing.assert_close(gaits.gaits[1:5], seen[2][1:5])


def test_settings_are_read_from_words() -> None:
    """Keys lie below `supervisor`, and a wrong one is named."""
    found = settings_of(["alone", "intervention.horizon=15,trigger_set.use=c2"])
    assert found[0] is ALONE
    supervisor = found[1].supervisor("a1")
    assert (supervisor.intervention.horizon, supervisor.trigger_set.use) == (15, "c2")
    with pytest.raises(ConfigurationError, match="KEY=VALUE, or one of alone, shipped"):
        settings_of(["horizon"])
    with pytest.raises(ConfigurationError, match="not a number, word or list"):
        settings_of(["intervention.horizon=["])
    with pytest.raises(ConfigurationError, match="horizons"):
        settings_of(["intervention.horizons=3"])[0].supervisor("a1")
    with pytest.raises(ConfigurationError, match="a name of its own"):
        StudyOptions(task="trot", settings=(SHIPPED, Setting(name="shipped")))


def trace(**columns: Any) -> Float32:
    """A second of a robot that stands in the middle of its trigger set, but for some columns."""
    out = np.zeros((STEPS, len(COLUMNS)), np.float32)
    calm = {"z": 0.25, "height": 0.25, "capture": 0.5, "load FR": 30.0}
    for name, value in {**calm, **columns}.items():
        out[:, COLUMNS.index(name.replace("_", " "))] = value
    return out


def since(seconds: float, value: float = 1.0, before: float = 0.0) -> Array:
    """A column with another value in the last seconds."""
    return np.where(np.arange(STEPS) >= STEPS - round(125 * seconds), value, before)


def of(*traces: Float32) -> list[Kind]:
    """Kinds of falls with these traces, in the A1's trigger set."""
    box = TriggerSet(load_config("a1").supervisor.trigger_set.bounds, FAILURE_HEIGHT)
    none = np.zeros(len(traces), int)
    return kinds(Falls(none, none, np.array(traces)), np.array(box.low), np.array(box.high))


def test_a_fall_is_named_by_who_drove() -> None:
    """By the time of the last change between learner and recovery, and of the last stand."""
    young = trace(recovers=1.0)
    young[:80] = np.nan
    found = of(
        trace(),
        trace(recovers=since(0.2)),
        trace(recovers=since(0.4)),
        trace(recovers=1.0 - since(0.4)),
        young,
    )
    assert [one.kind for one in found] == [
        "unseen",
        "late",
        "recovery fell",
        "handed back",
        "new walk",
    ]
    assert shares(found)["kind"]["late"] == 1


def test_a_fall_is_named_by_what_left_its_bounds_first_and_stayed_away() -> None:
    """NaN lies outside of every bound."""
    found = of(
        trace(seen_roll=since(0.3, 0.4), capture=since(0.5, -0.1, 0.5)),
        trace(seen_roll=since(0.3, 0.4), seen_pitch=0.4 - since(0.2, 0.4)),
        trace(z=since(0.3, np.nan, 0.25)),
        trace(),
    )
    assert [one.first for one in found] == ["capture", "seen roll", "z", "nothing"]


def test_a_jump_is_seen() -> None:
    """Without a foot on the ground for 0.1 s."""
    jump = 30.0 - since(0.3, 30.0) + since(0.1, 30.0)
    step = 30.0 - since(0.15, 30.0) + since(0.1, 30.0)
    assert [one.airborne for one in of(trace(load_FR=jump), trace(load_FR=step))] == [True, False]


def test_falls_are_counted_by_thirds_of_what_differs() -> None:
    """All falls on the most slippery third stand in its row, per hour of that third."""
    drawn = draw_robots(300, A1.mass, 0)
    slippery = np.flatnonzero(drawn.friction <= np.quantile(drawn.friction, 0.3))[:10]
    rows = rates(slippery, 30.0, drawn)["friction"]
    assert [row["falls"] for row in rows] == [10, 0, 0]
    assert rows[0]["per_hour"] == pytest.approx(1.0)
    assert rows[0]["mean"] < rows[1]["mean"] < rows[2]["mean"]
