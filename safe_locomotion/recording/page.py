"""The page of an episode: what it shows, and the page itself as one HTML file.

The page shows the state against the trigger set, the active policy, velocity, forces, timing and
events. The HTML file contains the picture of `page_picture` and needs no other file.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isnan

from safe_locomotion.config import StackConfig
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.recording.course import Course, CourseFigures, course_figures
from safe_locomotion.recording.episode import EpisodeRecord
from safe_locomotion.recording.events import Event, events
from safe_locomotion.recording.measures import Measured, measured
from safe_locomotion.recording.stage_values import recorded_course
from safe_locomotion.recording.summary import clock
from safe_locomotion.safety.trigger_set import TriggerSet


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything that the page shows.

    Attributes:
        name: of the episode.
        record: its arrays.
        config: under which it was recorded.
        course, figures: which policy drove when.
        trigger_set: its bounds.
        measured: components of the trigger set as the supervisor measured them.
        lines: events.
        window: first and last time on the page [s since the episode began].
    """

    name: str
    record: EpisodeRecord
    config: StackConfig
    course: Course
    figures: CourseFigures
    trigger_set: TriggerSet
    measured: Measured
    lines: Sequence[Event]
    window: tuple[float, float]


def make_page(
    name: str,
    record: EpisodeRecord,
    config: StackConfig,
    first: float = 0.0,
    last: float | None = None,
) -> Page:
    """Collect what a page shows.

    Args:
        name: of the episode.
        record: its arrays; all topics but the verdicts may be empty.
        config: under which it was recorded.
        first, last: window of time to show [s since the episode began]; all of it by default.

    Raises:
        ConfigurationError: there are no verdicts, or the window holds none.
    """
    if not len(record.verdicts):
        raise ConfigurationError(
            f"{name} holds no verdicts (safety/verdict): there is nothing to draw"
        )
    s = config.supervisor
    course = recorded_course(record.verdicts)
    length = float(course.since(record.info.start_ns)[-1])
    window = (first, max(length, 1e-3) if last is None else min(last, length))
    if not 0.0 <= window[0] < window[1]:
        raise ConfigurationError(
            f"{name} lasts {length:.2f} s: there is nothing to draw from {first:g} s to"
            f" {window[1]:g} s"
        )
    trigger_set = TriggerSet(s.trigger_set.bounds, s.thresholds.fall_height)
    values = measured(record, config)
    return Page(
        name=name,
        record=record,
        config=config,
        course=course,
        figures=course_figures(course, record.info.start_ns),
        trigger_set=trigger_set,
        measured=values,
        lines=[
            event
            for event in events(record, trigger_set, values)
            if event.time <= window[1] and window[0] <= event.time + event.duration
        ],
        window=window,
    )


def heading(page: Page) -> tuple[str, str]:
    """Title of the page, and a line that sums the episode up."""
    info = page.record.info
    s = page.config.supervisor
    f = page.figures
    rule = s.intervention.criterion
    horizon = f", w = {s.intervention.horizon}" if rule in ("reachability", "planning") else ""
    uses = f"{f.uses} take-over{'' if f.uses == 1 else 's'}"
    drove = (
        f"{uses}, recovery {100.0 * f.share:.1f} % of {f.walked_s:.1f} s walked"
        if f.walked_s
        else "no walking"
    )
    title = f"{page.name}: {info.robot}, policy {info.policy or 'unknown'}"
    ended = info.end or "cut off"
    started = clock(info.started) or "start unknown"
    return title, (
        f"{started}, {page.record.duration:.1f} s, ended: {ended}.  Supervisor {rule}{horizon}, "
        f"trigger set {s.trigger_set.use}: {drove}"
    )


def facts(page: Page) -> list[tuple[str, str]]:
    """Facts about the episode, as pairs of name and value."""
    info = page.record.info
    f = page.figures
    triggers = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in f.triggers.items() if n)
    dropped = ", ".join(f"{topic} {n}" for topic, n in info.dropped.items() if n)
    return [
        ("robot", info.robot),
        ("policy", info.policy),
        *((f"sha256 of {name}", digest) for name, digest in info.policies.items() if digest),
        ("software", info.software),
        ("started", f"{clock(info.started)} ({info.why})"),
        ("ended", info.end or "cut off: read up to the last whole chunk"),
        ("duration", f"{page.record.duration:.2f} s, {f.walked_s:.2f} s of it walking"),
        ("falls", str(page.course.falls)),
        ("take-overs", str(f.uses)),
        ("recovery", "-" if isnan(f.share) else f"{100.0 * f.share:.2f} % of the time walked"),
        ("entries into the trigger set", triggers or "none"),
        ("dropped messages", dropped or "none"),
    ]


def html(page: Page, picture: bytes) -> str:
    """The page as one file: the picture, all events, and the facts."""
    title, line = heading(page)
    return TEMPLATE.format(
        title=escape(title),
        line=escape(line),
        picture=b64encode(picture).decode(),
        rows="".join(map(_event_row, page.lines)),
        facts="".join(
            f"<tr><td>{escape(key)}</td><td>{escape(value)}</td></tr>\n"
            for key, value in facts(page)
        ),
    )


def _event_row(event: Event) -> str:
    return (
        f"<tr class={event.kind}><td>{event.time:.3f}</td><td>{event.duration:.3f}</td>"
        f"<td>{event.kind}</td><td>{escape(event.text)}</td></tr>\n"
    )


TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font-family: system-ui, sans-serif; margin: 1.5rem auto; max-width: 1500px;
  padding: 0 1rem; color: #212529; }}
h1 {{ font-size: 1.4rem; margin-bottom: 0.2rem; }}
p {{ color: #495057; }}
img {{ width: 100%; }}
table {{ border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem; }}
td, th {{ text-align: left; padding: 0.15rem 1rem 0.15rem 0; border-bottom: 1px solid #e9ecef;
  font-variant-numeric: tabular-nums; }}
tr.recovery td {{ color: #b35900; }}
tr.hazard td, tr.gate td {{ color: #c92a2a; }}
</style></head><body>
<h1>{title}</h1><p>{line}</p>
<img alt="Plots of the episode over time" src="data:image/png;base64,{picture}">
<h2>Episode</h2><table>{facts}</table>
<h2>What happened</h2><table>
<tr><th>time [s]</th><th>lasted [s]</th><th>kind</th><th>what</th></tr>
{rows}</table>
</body></html>
"""
