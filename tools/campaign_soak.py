"""Lock-step walking with swaps and changes of modes: what grows?"""

import os
import tempfile
from pathlib import Path
from time import monotonic

import numpy as np
from campaign_world import SWAPPED, NoWalkError, World

from safe_locomotion.types import Array, Mode

SAMPLE_EACH = 500  #: states, one second of the robot
CHANGE_EACH = 3000  #: states
WARM_SAMPLES = 20  #: that do not count
SHORTEST = 120  #: samples that show a slope
PAGE = os.sysconf("SC_PAGE_SIZE")
NAMES = ("memory [MB]", "threads", "descriptors")


def sample(pid: int) -> tuple[float, float, float]:
    """Resident memory [MB], threads and open descriptors of a process."""
    folder = Path("/proc") / str(pid)
    pages = int((folder / "statm").read_text().split()[1])
    threads = len(list((folder / "task").iterdir()))
    return pages * PAGE * 1e-6, threads, len(list((folder / "fd").iterdir()))


def slope(samples: list[tuple[float, float, float]], seconds: list[float]) -> Array:
    """Growth of each number per hour, by least squares; NaN for too few samples."""
    values = np.asarray(samples[WARM_SAMPLES:])
    if len(values) < SHORTEST:
        return np.full(3, np.nan)
    return np.polyfit(np.asarray(seconds[WARM_SAMPLES:]) / 3600.0, values, 1)[0]


def slopes(end: float, seed: int) -> list[str]:
    """Walk until a time of the monotonic clock; lines about what grew."""
    samples: list[tuple[float, float, float]] = []
    seconds: list[float] = []
    swaps = 0
    changes = 0
    with tempfile.TemporaryDirectory(prefix="campaign_") as folder:
        try:
            with World("composed", Path(folder), seed, ()) as world:
                world.walk()
                states = 0
                while monotonic() < end:
                    world.step()
                    states += 1
                    if states % SAMPLE_EACH == 0:
                        samples.append(sample(world.running["composed_node"].pid))
                        seconds.append(monotonic())
                    if states % CHANGE_EACH == 0:
                        world.operator.swap(SWAPPED[swaps % len(SWAPPED)])
                        swaps += 1
                    if states % (4 * CHANGE_EACH) == 0:
                        world.operator.request("sit")
                        changes += 1
                    if world.mode is not Mode.WALK and states % (4 * CHANGE_EACH) == CHANGE_EACH:
                        world.walk()
                falls = world.robot.falls
        except NoWalkError as error:
            return [f"- soak: {error}"]
    growth = slope(samples, seconds)
    half = len(samples) // 2
    later = slope(samples[half:], seconds[half:])
    first = samples[min(WARM_SAMPLES, len(samples) - 1)] if samples else (np.nan,) * 3
    last = samples[-1] if samples else first
    told = ", ".join(
        f"{name} {begin:.1f} to {end:.1f} ({whole:+.1f} per hour, second half {second:+.1f})"
        for name, begin, end, whole, second in zip(NAMES, first, last, growth, later, strict=True)
    )
    return [
        f"- soak: {2e-3 * states:.0f} s of the robot, {swaps} swaps, {changes} times sat down,"
        f" {falls} falls; {told}"
    ]
