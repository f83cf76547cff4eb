"""The machine of a measurement; absolute times mean nothing without it."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "numpy",
    "scipy",
    "osqp",
    "mujoco",
    "cyclonedds",
    "daqp",
    "proxsuite",
    "ros-kilted-rclpy",
)


def describe() -> dict[str, Any]:
    """CPU, cores, load, system, Python, and versions of the packages that decide the times."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": list(os.getloadavg()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name)) is not None},
    }


def line(machine: Mapping[str, Any]) -> str:
    """The machine in one line."""
    loads = " ".join(f"{load:.1f}" for load in machine["load_average"])
    packages = ", ".join(f"{name} {found}" for name, found in machine["packages"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, load {loads},"
        f" Python {machine['python']}, {packages}"
    )


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name of the processor, or the architecture when the kernel states no name, as on ARM."""
    try:
        rows = [row.partition(":") for row in cpuinfo.read_text().splitlines()]
    except OSError:
        rows = []
    names = [
        value.strip()
        for key, _, value in rows
        if key.strip() in ("model name", "Model", "Hardware")
    ]
    return names[0] if names else platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
