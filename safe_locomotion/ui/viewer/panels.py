"""The read-only panels of the viewer: mode and reason, margins to the trigger set, stage times.

All connections share these elements, so none of them is a control: one browser could change it for
all the others.
"""

from collections import deque
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import viser
from diagnostic_msgs.msg import DiagnosticArray
from viser import uplot

from safe_locomotion.ui.scene import Bar, Scene
from safe_locomotion.ui.viewer.overlay import STYLE, driver, old, overlay, reason, table, waiting

MARGIN_S = 10.0  #: length of the plot of margins [s]
TIMING_S = 60.0  #: length of the plot of times [s]
MARGINS_KEPT = 300  #: points of the plot of margins
TIMES_KEPT = 300  #: points of the plot of times
STALE_S = 0.5  #: the picture is marked as old after this time without a new state [s]
BEATS = 5  #: refreshes, 1 s, after which the page hears from us though nothing changed
PANEL_WIDTH = 310  #: [px]
PLOT_HEIGHT = 150  #: [px]
PALE = "#868e96"  #: colour of text that matters less
LINES = ("#1c7ed6", "#e8590c", "#2f9e44", "#9c36b5", "#e6a700", "#0c8599")
TIMED = "bridge_node: state to command"  #: row of `/diagnostics` that is plotted
POLICY_ROW = "policy_node: policy"  #: row of `/diagnostics` with the policy in force
TEXT = "font-size:13px;line-height:1.45;padding:0 12px 4px"
NOT_JUDGED = "measured here: the supervisor judges only while the robot walks"
TIMES_HEAD = (
    f"<tr style='color:{PALE};text-align:right'><td style='text-align:left'>ms</td>"
    "<td>p50</td><td>p99</td><td>max</td></tr>"
)


class Panels:
    """The read-only part of the page.

    Attributes:
        policy: the one in force, as the policy node says; empty before that.
        says: what happens now, in a few words.
    """

    def __init__(self, gui: viser.GuiApi, bars: Sequence[str]) -> None:
        """Lay out the page for bars with these names."""
        gui.configure_theme(show_logo=False, show_share_button=False, control_width="medium")
        gui.set_panel_label("safe_locomotion")
        gui.add_html(STYLE, order=0)
        self._beat = 0
        self._over = gui.add_html(waiting(0), order=0)
        self._status = gui.add_html(_status("no state yet"), order=1.5)
        panel = gui.add_panel()
        with panel.add_tab("Margins and times", viser.Icon.ACTIVITY):
            self._bars = gui.add_html("")
            self._margins = _MarginPlot(gui, bars)
            self._times = _TimePlot(gui)
            self._table = gui.add_html("")
        panel.dock_left()
        panel.set_width(PANEL_WIDTH)
        panel.minimize()
        gui.main_panel.dock_right()
        gui.main_panel.set_width(PANEL_WIDTH)
        self._shown: Scene | None = None
        self.policy = ""
        self.says = "no robot heard"

    def note(self, now: float, scene: Scene) -> None:
        """Add a scene to the plots; `now` is of any clock [s]."""
        self._shown = scene
        self._margins.add(now, scene.bars)

    def diagnose(self, now: float, message: DiagnosticArray) -> None:
        """Add times and policy from a message of `/diagnostics`."""
        for row in message.status:
            values = {pair.key: pair.value for pair in row.values}
            if row.name == POLICY_ROW:
                self.policy = values.get("policy", self.policy)
            if "p50_ms" in values:
                self._times.add(now, row.name, values)

    def refresh(self, now: float, age_s: float) -> None:
        """Show what was added; `age_s` is the time since the newest state [s]."""
        self._margins.draw(now)
        if self._times.draw(now):
            self._table.content = self._times.table()
        self._beat += 1
        beat = self._beat // BEATS
        scene = self._shown
        if scene is None:
            self._over.content = waiting(beat)
            return
        self._bars.content = _bars(scene.bars, scene.judged)
        if age_s > STALE_S:
            self.says = f"no state for {age_s:.0f} s"
            self._over.content = old(scene, age_s, beat)
            self._status.content = _status(f"{self.says}: this picture is old")
            return
        self.says = driver(scene)
        self._over.content = overlay(scene, beat)
        self._status.content = _status(self._facts(scene))

    def _facts(self, scene: Scene) -> str:
        speed = float(np.hypot(*scene.velocity[:2]))
        falls = f" · {len(scene.falls)} fall{'s' * (len(scene.falls) != 1)}" if scene.falls else ""
        why = reason(scene) or "all well"
        return f"{self.says} · {why} · {speed:.2f} m/s · policy: {self.policy or 'unknown'}{falls}"


class _MarginPlot:
    """Margins of the bars over the last `MARGIN_S`: 1 in the middle, 0 on the bound."""

    def __init__(self, gui: viser.GuiApi, bars: Sequence[str]) -> None:
        self._rows: deque[tuple[float, ...]] = deque(maxlen=MARGINS_KEPT)
        names = [name.replace("_", " ") for name in bars]
        self._plot = gui.add_uplot(
            _columns([(0.0,) * (len(names) + 2)]),
            (
                uplot.Series(label="s"),
                *_series(names),
                uplot.Series(label="trigger", stroke="#e03131", width=1, dash=(6.0, 4.0)),
            ),
            title="margin to the trigger set",
            scales={
                "x": uplot.Scale(time=False, range=(-MARGIN_S, 0.0)),
                "y": uplot.Scale(range=(-0.5, 1.1)),
            },
            **_look(),
        )

    def add(self, now: float, bars: Sequence[Bar]) -> None:
        self._rows.append((now, *(max(-1.0, min(1.0, bar.margin)) for bar in bars), 0.0))

    def draw(self, now: float) -> None:
        rows = [(row[0] - now, *row[1:]) for row in self._rows if now - row[0] <= MARGIN_S]
        if rows:
            self._plot.data = _columns(rows)


class _TimePlot:
    """Plot of the time from a state to its command, and a table of all stages."""

    def __init__(self, gui: viser.GuiApi) -> None:
        self._rows: deque[tuple[float, ...]] = deque(maxlen=TIMES_KEPT)
        self._newest: dict[str, dict[str, str]] = {}
        self._changed = False
        self._plot = gui.add_uplot(
            _columns([(0.0, 0.0, 0.0)]),
            (uplot.Series(label="s"), *_series(["p50", "p99"])),
            title="state to command, ms",
            scales={
                "x": uplot.Scale(time=False, range=(-TIMING_S, 0.0)),
                "y": uplot.Scale(range=(0.0, None)),
            },
            **_look(),
        )

    def add(self, now: float, name: str, values: dict[str, str]) -> None:
        self._newest[name] = values
        self._changed = True
        if name == TIMED:
            self._rows.append((now, _number(values.get("p50_ms")), _number(values.get("p99_ms"))))

    def draw(self, now: float) -> bool:
        """Draw new times; whether there were any."""
        changed = self._changed
        self._changed = False
        rows = [(row[0] - now, *row[1:]) for row in self._rows if now - row[0] <= TIMING_S]
        if changed and rows:
            self._plot.data = _columns(rows)
        return changed

    def table(self) -> str:
        """Newest times of every stage as HTML."""
        rows = "".join(_times_row(name, values) for name, values in sorted(self._newest.items()))
        return f"<div style='{TEXT}'><table style='width:100%'>{TIMES_HEAD}{rows}</table></div>"


def _times_row(name: str, values: dict[str, str]) -> str:
    """Row of one stage in the table of times."""
    stage = escape(name.rpartition(": ")[-1])
    cells = "".join(
        f"<td style='text-align:right;font-variant-numeric:tabular-nums'>{time:.2f}</td>"
        for time in (_number(values.get(key)) for key in ("p50_ms", "p99_ms", "max_ms"))
    )
    return f"<tr><td>{stage}</td>{cells}</tr>"


def _series(names: Sequence[str]) -> list[uplot.Series]:
    return [
        uplot.Series(label=name, stroke=LINES[i], width=1.5, points=uplot.Series_Points(show=False))
        for i, name in enumerate(names)
    ]


def _look() -> dict[str, Any]:
    return {
        "legend": uplot.Legend(live=False),
        "cursor": uplot.Cursor(show=False),
        "height": PLOT_HEIGHT,
    }


def _columns(rows: Sequence[tuple[float, ...]]) -> tuple[Any, ...]:
    return tuple(np.array(rows, dtype=np.float64).T.copy())


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _status(facts: str) -> str:
    return f"<div style='{TEXT}'>{escape(facts)}</div>"


def _bars(shown: Sequence[Bar], judged: bool) -> str:
    """The numbers behind the bars over the picture."""
    note = "" if judged else f"<div style='color:{PALE}'>{NOT_JUDGED}</div>"
    return f"<div style='{TEXT}'>{table(shown)}{note}</div>"
