"""Events of an episode in words, and the page of whatever was recorded."""

from dataclasses import fields, replace
from math import nan
from typing import Any

import numpy as np
import pytest
from recorded_walk import wild_walk, write_walk

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.recording.episode import EpisodeRecord, Trace
from safe_locomotion.recording.events import events
from safe_locomotion.recording.measures import Measured
from safe_locomotion.recording.page import facts, make_page
from safe_locomotion.recording.page_picture import draw, png
from safe_locomotion.recording.page_text import LINES, event_lines
from safe_locomotion.recording.reader import read_episode
from safe_locomotion.recording.stage_values import recorded_config
from safe_locomotion.safety.capture_point import N_MARGINS
from safe_locomotion.safety.trigger_set import TriggerSet
from safe_locomotion.types import Mode

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> EpisodeRecord:
    """Half a second around the beginning of a walk."""
    first = next(k for k, c in enumerate(wild_walk().cycles) if c.verdict.mode is Mode.WALK)
    folder = tmp_path_factory.mktemp("episodes") / "walk"
    write_walk(wild_walk(), folder, first=first - 50)
    return cut(read_episode(folder), 250)


def cut(record: EpisodeRecord, ticks: int) -> EpisodeRecord:
    """The episode up to a number of ticks."""
    end = record.states.stamp_ns[ticks]
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    shorter = {
        name: rows(trace, int(np.searchsorted(trace.stamp_ns, end)))
        for name, trace in values.items()
        if isinstance(trace, Trace)
    }
    return replace(record, **shorter)


def rows(trace: Any, n: int) -> Any:
    """The first n rows of a trace."""
    values = {f.name: getattr(trace, f.name) for f in fields(trace)}
    texts = {name: value[:n] for name, value in values.items() if name in ("reason", "fault")}
    arrays = {
        name: value[:n]
        for name, value in values.items()
        if isinstance(value, np.ndarray) and name != "predicted_at"
    }
    return replace(trace, **arrays, **texts)


def verdicts(record: EpisodeRecord, **changes: Any) -> EpisodeRecord:
    """The episode with other verdicts."""
    return replace(record, verdicts=replace(record.verdicts, **changes))


def test_take_overs_hazards_and_refusals_have_their_reasons(record):
    """A take-over names value and bound, or a hazard; each event has its time and length."""
    v = record.verdicts
    n = len(record.verdicts)
    learner = np.ones(n, dtype=bool)
    margins = np.full((n, len(v.components)), 0.5)
    learner[[200, 201, 220]] = False
    margins[200, v.components.index("roll")] = -0.01
    learner[240] = False
    margins[240, v.components.index("capture")] = -0.1
    reasons = np.zeros((n, 1), dtype=bool)
    reasons[220:222] = True
    refusal = tuple("stale plan" if 10 <= k < 15 else "" for k in range(len(record.commands)))
    hazards = ("policy_fault",)
    changed = verdicts(record, learner=learner, margins=margins, hazards=hazards, reasons=reasons)
    changed = replace(changed, commands=replace(record.commands, reason=refusal))
    s = recorded_config(record).supervisor
    box = TriggerSet(s.trigger_set.bounds, s.thresholds.fall_height)
    seen = Measured(stamp_ns=v.stamp_ns[[200]], values=np.array([[0.27, -0.2634, 0.0, 0.0, 0.0]]))
    found = [(e.kind, e.text, e.time, e.duration) for e in events(changed, box, seen)]
    assert ("recovery", "roll -0.2634 < -0.26 rad", 0.4, 0.004) in found
    assert ("recovery", "policy_fault", 0.44, 0.002) in found
    assert ("recovery", "capture point beyond the feet", 0.48, 0.002) in found
    assert ("hazard", "policy_fault", 0.44, 0.004) in found
    assert ("gate", "stale plan", 0.02, 0.01) in found
    assert [text for kind, text, *_ in found if kind == "mode"] == ["STAND", "WALK"]


def test_a_line_of_text_fits_beside_the_panels(record):
    """This holds however many components are outside at once."""
    n = len(record.verdicts)
    worst = verdicts(record, margins=np.full((n, N_MARGINS), -0.5), learner=np.arange(n) % 2 == 0)
    page = make_page("worst", worst, recorded_config(record))
    assert len(page.lines) > LINES
    assert max(len(line) for event in page.lines for line in event_lines(event)) < 62
    draw(page)


def test_a_fall_is_counted(record):
    """It stands in the facts and among the events."""
    mode = record.verdicts.mode.copy()
    mode[-20:] = Mode.FALLEN
    page = make_page("fall", verdicts(record, mode=mode), recorded_config(record))
    assert ("falls", "1") in facts(page) and "FALLEN" in [event.text for event in page.lines]


@pytest.mark.parametrize("missing", [("plans",), ("estimates", "commands", "proposals", "states")])
def test_what_was_not_recorded_is_left_out(record, missing):
    """The panels of topics without messages stay empty; NaN in an estimate leaves a gap."""
    position = record.estimates.position.copy()
    position[100:120] = nan
    changed = replace(record, estimates=replace(record.estimates, position=position))
    changed = replace(changed, **{name: rows(getattr(changed, name), 0) for name in missing})
    assert png(make_page("partial", changed, recorded_config(record))).startswith(b"\x89PNG")


def test_a_part_of_an_episode_is_shown(record):
    """Axis and events are those of the window; a window after the end is refused."""
    config = recorded_config(record)
    page = make_page("part", record, config, 0.2, 0.4)
    assert draw(page).axes[0].get_xlim() == (0.2, 0.4)
    assert [event.text for event in page.lines if event.kind == "mode"] == ["WALK"]
    with pytest.raises(ConfigurationError, match="nothing to draw"):
        make_page("part", record, config, 7.0)


def test_without_verdicts_there_is_no_page(record):
    """The error names the topic."""
    mute = replace(record, verdicts=rows(record.verdicts, 0))
    with pytest.raises(ConfigurationError, match="safety/verdict"):
        make_page("mute", mute, recorded_config(record))
