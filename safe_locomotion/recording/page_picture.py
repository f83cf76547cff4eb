"""The picture on the page of an episode: panels over time, and text beside them."""

from collections.abc import Sequence
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from safe_locomotion.recording.page import Page, heading
from safe_locomotion.recording.page_panels import (
    RECOVERY,
    SPEEDS,
    draw_components,
    draw_contacts,
    draw_control,
    draw_forces,
    draw_speeds,
    draw_timing,
)
from safe_locomotion.recording.page_text import draw_facts, draw_lines
from safe_locomotion.safety.trigger_set import N_COMPONENTS

CONTROL_HEIGHT = 0.62  #: of a panel, relative to a panel of a component
SPEED_HEIGHT = 0.85
FORCE_HEIGHT = 1.1
CONTACT_HEIGHT = 0.62
TIMING_HEIGHT = 1.0
HEIGHTS = (
    CONTROL_HEIGHT,
    *(1.0,) * N_COMPONENTS,
    *(SPEED_HEIGHT,) * len(SPEEDS),
    FORCE_HEIGHT,
    CONTACT_HEIGHT,
    TIMING_HEIGHT,
)
SIZE = (15.0, 17.5)  #: [inch]
DOTS_PER_INCH = 110
LEFT = 0.07  #: of the panels, as a share of the picture's width


def png(page: Page) -> bytes:
    """The picture as the bytes of a PNG file."""
    buffer = BytesIO()
    draw(page).savefig(buffer, format="png")
    return buffer.getvalue()


def draw(page: Page) -> Figure:
    """The picture."""
    figure = Figure(figsize=SIZE, dpi=DOTS_PER_INCH)
    panels, text = _lay_out(figure)
    others = iter(panels)
    draw_control(next(others), page)
    draw_components([next(others) for _ in range(N_COMPONENTS)], page)
    draw_speeds([next(others) for _ in SPEEDS], page)
    draw_forces(next(others), page)
    draw_contacts(next(others), page)
    draw_timing(next(others), page)
    _finish(panels, page)
    draw_lines(text, page)
    draw_facts(text, page)
    title, line = heading(page)
    figure.text(LEFT, 0.982, title, fontsize=15, weight="bold", va="center")
    figure.text(LEFT, 0.963, line, fontsize=10, color="#495057", va="center")
    return figure


def _lay_out(figure: Figure) -> tuple[list[Axes], Axes]:
    """Panels from the top, which share their time axis, and the place of the text."""
    grid = figure.add_gridspec(
        len(HEIGHTS),
        2,
        height_ratios=HEIGHTS,
        width_ratios=(4.0, 1.62),
        left=LEFT,
        right=0.995,
        top=0.942,
        bottom=0.03,
        hspace=0.27,
        wspace=0.02,
    )
    first = figure.add_subplot(grid[0, 0])
    others = [figure.add_subplot(grid[k, 0], sharex=first) for k in range(1, len(HEIGHTS))]
    return [first, *others], figure.add_subplot(grid[:, 1])


def _finish(panels: Sequence[Axes], page: Page) -> None:
    """Draw the time axis, the grid, and in every panel the times under the recovery policy."""
    course = page.course
    time = course.since(page.record.info.start_ns)
    recovers = course.walking & course.recovery
    for axes in panels:
        axes.grid(axis="x", color="#e9ecef", lw=0.6, zorder=0)
        axes.set_axisbelow(True)
        axes.tick_params(labelbottom=axes is panels[-1], labelsize=8)
        axes.yaxis.label.set_fontsize(9)
        axes.yaxis.set_label_coords(-0.052, 0.5)
        if axes is not panels[0] and recovers.any():
            axes.fill_between(
                time,
                0.0,
                1.0,
                where=recovers,
                transform=axes.get_xaxis_transform(),
                color=RECOVERY,
                alpha=0.16,
                lw=0,
                zorder=0,
            )
    panels[0].set_xlim(*page.window)
    panels[-1].set_xlabel("time since the episode began [s]", fontsize=10)
