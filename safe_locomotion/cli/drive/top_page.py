"""The page of `safe-locomotion top`, as a pure function of a report."""

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from safe_locomotion.safety.trigger_set import COMPONENTS
from safe_locomotion.types import Mode

if TYPE_CHECKING:
    from safe_locomotion.ui.stack_view import Row, StackReport

BAR = 24  # characters
SILENT_S = 1.0  # after this time without a verdict, the last one is out of date
OLD_S = 3.0  # age of a row of /diagnostics that is out of date; rows come twice a second
CLOSE = 0.3  # a smaller margin is shown in yellow; 1 in the middle of the box, 0 at its edge
COLOURS = {"ok": "green", "warn": "yellow", "error": "red", "stale": "magenta"}
STREAM_KEYS = ("received", "age_ms")
TIME_KEYS = ("p50_ms", "p99_ms", "max_ms")


def page(report: "StackReport", now_s: float) -> RenderableType:
    """The whole page for the time `now_s`, on the clock of the report [s]."""
    rows = sorted(report.rows.values(), key=lambda row: (row.node, row.name))
    blocks: list[RenderableType] = [_headline(report, now_s), _margins(report)]
    for title, table in (
        ("streams", _streams(rows, now_s)),
        ("times", _times(rows)),
        ("counts", _counts(rows)),
    ):
        blocks.append(Panel(table, title=title, title_align="left", border_style="dim"))
    worries = [row for row in rows if row.level != "ok" or now_s - row.heard_s > OLD_S]
    if worries:
        blocks.append(
            Panel(
                _worries(worries, now_s), title="look at", title_align="left", border_style="yellow"
            )
        )
    return Group(*blocks)


def _headline(report: "StackReport", now_s: float) -> Text:
    verdict = report.verdict
    if verdict is None:
        return Text("no verdict yet", style="bold red")
    text = Text()
    colour = {Mode.FAULT: "red", Mode.FALLEN: "red", Mode.WALK: "green", Mode.STAND: "green"}.get(
        verdict.mode, "yellow"
    )
    text.append(f" {verdict.mode.name} ", style=f"bold reverse {colour}")
    if verdict.mode is Mode.WALK:
        recovers = verdict.active == "recovery"
        driver = "RECOVERY" if recovers else verdict.policy
        text.append(f"  {driver} drives", style="bold red" if recovers else "bold")
        c = verdict.command
        text.append(f"  {c.vx:+.2f} {c.vy:+.2f} m/s {c.wz:+.2f} rad/s")
    if verdict.reasons:
        text.append(f"  because of {', '.join(verdict.reasons)}", style="bold red")
    if now_s - report.verdict_s > SILENT_S:
        text.append(f"  SILENT for {now_s - report.verdict_s:.0f} s", style="bold reverse red")
    return text


def _margins(report: "StackReport") -> RenderableType:
    """One bar per component: full in the middle of the safe set, empty at its edge."""
    table = Table.grid(padding=(0, 2))
    measured = dict(report.verdict.margins) if report.verdict is not None else {}
    for name in (*COMPONENTS, *measured.keys() - set(COMPONENTS)):
        if name not in measured:
            table.add_row(name, Text("only while walking", style="dim"), "")
            continue
        share = measured[name]
        colour = "green" if share >= CLOSE else "yellow" if share >= 0.0 else "red"
        filled = round(BAR * min(1.0, max(0.0, share)))
        bar = Text("█" * filled, style=colour) + Text("░" * (BAR - filled), style="dim")
        table.add_row(
            name,
            bar,
            Text(f"{share:+.2f}" + ("" if share >= 0.0 else "  in the trigger set"), style=colour),
        )
    return Panel(table, title="room in the safe set", title_align="left", border_style="dim")


def _streams(rows: "list[Row]", now_s: float) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("stream", "at", "Hz", "age ms", "missed", "rejected", ""):
        table.add_column(
            name, justify="left" if name in ("stream", "at", "") else "right", no_wrap=True
        )
    for row in rows:
        v = row.values
        if not all(key in v for key in STREAM_KEYS):
            continue
        said = Text(row.message, style=COLOURS[row.level])
        figures = (v.get("rate_hz", ""), v["age_ms"], v.get("missed", ""), v.get("rejected", ""))
        table.add_row(row.name, _short(row.node), *figures, said)
    return table


def _times(rows: "list[Row]") -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("stage", "p50 ms", "p99 ms", "max ms", "count"):
        table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    for row in rows:
        if all(key in row.values for key in TIME_KEYS):
            table.add_row(
                row.name, *(row.values[key] for key in TIME_KEYS), row.values.get("count", "")
            )
    return table


def _counts(rows: "list[Row]") -> Table:
    """Counts of gate, hazards and supervisor; state of policy, battery and motors."""
    table = Table.grid(padding=(0, 2))
    found = {row.name: row.values for row in rows}
    for name, title in (
        ("gate", "gate trips"),
        ("gate clamps", "gate clamps"),
        ("hazards", "hazards"),
    ):
        counts: dict[str, int] = {}
        for row in rows:
            for key, value in row.values.items() if row.name == name else ():
                counts[key] = counts.get(key, 0) + int(value)
        table.add_row(
            title, ", ".join(f"{key} {count}" for key, count in sorted(counts.items())) or "none"
        )
    s = found.get("supervisor", {})
    if "share" in s:
        triggers = ", ".join(
            f"{k.removeprefix('triggers/')} {v}"
            for k, v in s.items()
            if k.startswith("triggers/") and v != "0"
        )
        text = (
            f"{s['uses']} uses, {100 * float(s['share']):.2f} % of {s['steps']} steps,"
            f" longest {s['duration_max_s']} s"
        )
        table.add_row("recovery", text + (f"; triggers: {triggers}" if triggers else ""))
    policy = found.get("policy", {})
    link = found.get("robot link", {})
    table.add_row(
        "policy",
        ", ".join(filter(None, (policy.get("policy"), policy.get("fault"), policy.get("news"))))
        or "-",
    )
    table.add_row(
        "battery",
        f"{float(link['voltage']):.1f} V" if link.get("voltage", "None") != "None" else "-",
    )
    table.add_row("hottest motor", f"{link['hottest_motor']} C" if "hottest_motor" in link else "-")
    return table


def _worries(rows: "list[Row]", now_s: float) -> Table:
    table = Table.grid(padding=(0, 2))
    for row in rows:
        old = f" (said {now_s - row.heard_s:.0f} s ago)" if now_s - row.heard_s > OLD_S else ""
        style = COLOURS[row.level] if row.level != "ok" else "magenta"
        table.add_row(_short(row.node), row.name, Text(row.message + old, style=style))
    return table


def _short(node: str) -> str:
    return node.removesuffix("_node")
