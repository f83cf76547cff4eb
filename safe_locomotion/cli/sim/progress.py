"""Progress of a run, read from the ends of its growing logs without disturbing the control loop."""

import json
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np

from safe_locomotion.sim.recorder import COLUMNS
from safe_locomotion.types import Array, Mode

_DOUBLE = 8


@dataclass(frozen=True, kw_only=True)
class Progress:
    """State of a run: robot time [s], mode, planar speed [m/s], robot time per wall time, falls."""

    robot_time: float
    mode: str
    speed: float
    real_time_factor: float
    falls: int

    def __str__(self) -> str:
        return (
            f"{self.robot_time:7.1f} s  {self.mode:<10} {self.speed:5.2f} m/s"
            f"  {self.real_time_factor:5.2f} x real time"
            f"  {self.falls} fall{'s' if self.falls != 1 else ''}"
        )


class Watch:
    """Follow the run whose logs lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._truth = folder / "truth.npz.part"
        self._verdicts = folder / "supervisor.log"
        self._last: tuple[float, float] | None = None
        self._factor = 0.0

    def look(self) -> Progress | None:
        """Progress now; None before the robot moves."""
        truth = last_row(self._truth, sum(COLUMNS.values()), 0)
        if truth is None:
            return None
        start = dict(zip(COLUMNS, np.cumsum((0, *COLUMNS.values())), strict=False))
        time = float(truth[start["time"]])
        planar_velocity = truth[start["velocity"] : start["velocity"] + 2]
        self._update_factor(time)
        return Progress(
            robot_time=time,
            mode=self._mode(),
            speed=float(np.hypot(*planar_velocity)),
            real_time_factor=self._factor,
            falls=int(truth[start["falls"]]),
        )

    def _update_factor(self, time: float) -> None:
        now = monotonic()
        if self._last is None:
            self._last = time, now
        elif time > self._last[0]:
            self._factor = (time - self._last[0]) / (now - self._last[1])
            self._last = time, now

    def _mode(self) -> str:
        try:
            with self._verdicts.open("rb") as file:
                header = file.readline()
            columns = json.loads(header)["columns"]
        except (OSError, ValueError):
            return ""
        row = last_row(self._verdicts, len(columns), len(header))
        return "" if row is None else Mode(int(row[columns.index("mode")])).name.lower()


def last_row(path: Path, width: int, header: int) -> Array | None:
    """The last complete row of `width` doubles after `header` bytes; None before the first row."""
    try:
        rows = (path.stat().st_size - header) // (width * _DOUBLE)
        if rows <= 0:
            return None
        with path.open("rb") as file:
            file.seek(header + (rows - 1) * width * _DOUBLE)
            return np.frombuffer(file.read(width * _DOUBLE), dtype="<f8")
    except OSError:
        return None
