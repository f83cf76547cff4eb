"""Checks of the computer: network, shared memory, clock, CPU, disk and real-time permissions."""

import os
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from shutil import which

from safe_locomotion.cli.doctor.findings import Finding, judge
from safe_locomotion.runtime.realtime import (
    RealtimeParameters,
    Setting,
    apply,
    limit_remedy,
    may_lock_all,
    user,
)

ROBOT_NETWORK = ip_network("192.168.123.0/24")  # of every Unitree robot
ROBOT_ADDRESS = "192.168.123.10"  # A1's motor controller; any address there has the same route
SHARED_MEMORY = Path("/dev/shm")
FAST_DDS = ("fastrtps_*", "fastdds_*", "sem.fastrtps_*", "sem.fastdds_*")
"""Files of Fast DDS; those with `fastrtps` are of version 2 and older, as in Humble."""
GOVERNORS = Path("/sys/devices/system/cpu")
WANTED_PRIORITY = 50
ENOUGH_DISK = 5_000_000_000  # bytes; enough for hours of episodes
OLDEST_CLOCK = 1_700_000_000  # s; a board without a battery starts in 1970
CLOCK_DRIFT = 0.005  # s, largest difference over the measured interval
CLOCK_INTERVAL = 0.2  # s
COARSEST_CLOCK = 1e-5  # s, a two-hundredth of a tick


def addresses() -> dict[str, str]:
    """IPv4 address of each network interface; an empty text for one without address."""
    found = {name: "" for _, name in socket.if_nameindex()}
    if which("ip"):
        listed = subprocess.run(
            ["ip", "-4", "-o", "addr", "show"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        ).stdout
        for words in (line.split() for line in listed.splitlines()):
            found[words[1]] = words[3].partition("/")[0]
    route = _source_address(ROBOT_ADDRESS)
    if ip_address(route) in ROBOT_NETWORK and route not in found.values():
        found["(unnamed)"] = route
    return found


def _source_address(target: str) -> str:
    """Own address of the route to `target`. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target, 9))
        except OSError:
            return "0.0.0.0"
        return str(probe.getsockname()[0])


def check_interfaces(found: Mapping[str, str], wanted: str | None) -> Finding:
    """Check that the wanted interface, or any, has an address in the robot's network."""
    text = ", ".join(f"{name} {address or 'no address'}" for name, address in found.items())
    if wanted is not None and wanted not in found:
        return Finding(
            check="interfaces",
            level="problem",
            text=f"no interface {wanted!r}; choose one of: {text}",
            mend="ip -br addr",
        )
    candidates = found if wanted is None else {wanted: found[wanted]}
    met = any(address and ip_address(address) in ROBOT_NETWORK for address in candidates.values())
    return judge(
        "interfaces",
        met=met,
        text=text,
        otherwise="warning" if wanted is None else "problem",
        mend="only needed for a real robot:"
        f" sudo ip addr add 192.168.123.162/24 dev {wanted or '<interface>'}",
    )


def stale_files(
    folder: Path = SHARED_MEMORY, in_use: Callable[[], Iterable[str]] | None = None
) -> list[Path]:
    """Files of Fast DDS of this user that no running process has mapped or opened."""
    names = [path for pattern in FAST_DDS for path in folder.glob(pattern)]
    candidates = [path for path in names if path.is_file() and path.stat().st_uid == os.getuid()]
    if not candidates:
        return []
    used = set((in_use or _mapped_names)())
    return sorted(
        path
        for path in candidates
        if path.name not in used and _stem(path.name) not in {_stem(name) for name in used}
    )


def _stem(name: str) -> str:
    """Name of the memory segment that a file, a lock or a mutex belongs to."""
    return name.removeprefix("sem.").removesuffix("_mutex").removesuffix("_el")


def _mapped_names() -> set[str]:
    """Names under /dev/shm that a running process of this machine has mapped or holds open."""
    paths: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or another user's
            paths |= {
                row.split(maxsplit=5)[-1]
                for row in (process / "maps").read_text(errors="replace").splitlines()
            }
        with suppress(OSError):
            for link in list((process / "fd").iterdir()):
                with suppress(OSError):  # closed meanwhile
                    paths.add(os.readlink(link))
    return {
        Path(path.removesuffix(" (deleted)")).name
        for path in paths
        if path.startswith(f"{SHARED_MEMORY}/")
    }


def check_shared_memory(stale: list[Path], now: Callable[[], float] = time.time) -> Finding:
    """Check that killed ROS processes left no files; later nodes lose messages to them."""
    ages = [now() - path.stat().st_mtime for path in stale if path.exists()]
    text = "no Fast DDS file without a running process"
    if stale:
        text = f"{len(stale)} Fast DDS files that no running process has open"
    if ages:
        text += f", {_duration(min(ages))} to {_duration(max(ages))} old"
    return judge(
        "shared_memory",
        met=not stale,
        text=text,
        otherwise="warning",
        mend="rm -f " + " ".join(map(str, stale)),
    )


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def check_governor(folder: Path = GOVERNORS) -> Finding:
    """Check that the CPU does not clock down between two ticks."""
    found = sorted(
        {path.read_text().strip() for path in folder.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    )
    return judge(
        "cpu_governor",
        met=not found or found == ["performance"],
        text=", ".join(found) or "not adjustable on this machine",
        otherwise="warning",
        mend="echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    )


def check_priority(ask: Callable[[], Setting] | None = None) -> Finding:
    """Check that SCHED_FIFO is granted. A thread that ends at once asks for it."""
    setting = (ask or _ask_for_priority)()
    return judge(
        "realtime_priority",
        met=setting.granted,
        otherwise="warning",
        text=setting.text,
        mend=setting.mend,
    )


def _ask_for_priority() -> Setting:
    wish = RealtimeParameters(
        priority=WANTED_PRIORITY,
        cores=(),
        lock_memory=False,
        freeze_garbage=False,
    )
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(apply, wish).result()[0]


def check_memory_lock(allowed: Callable[[], bool] = may_lock_all) -> Finding:
    """Check that the runtime may lock all its pages in memory.

    With any finite limit an allocation can fail while the robot walks.
    """
    hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    text = "unlimited" if hard == resource.RLIM_INFINITY else f"limit {hard} bytes"
    met = allowed()
    if met and hard != resource.RLIM_INFINITY:
        text += ", from which this user is exempt"
    return judge(
        "memory_lock",
        met=met,
        otherwise="warning",
        text=text,
        mend=limit_remedy("memlock", "unlimited"),
    )


def check_disk(
    folder: Path, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage
) -> Finding:
    """Check that episodes can be written to the folder and that it has room for them."""
    path = folder.absolute()
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    free = usage(there)[2]
    text = f"{free / 1e9:.1f} GB free in {folder}"
    mend = f"du -sh {there}/* | sort -h  # at least {ENOUGH_DISK / 1e9:.0f} GB"
    writable = os.access(there, os.W_OK)
    if not writable:
        text += ", which is not writable"
        mend = f"sudo chown {user()} {there}"
    return judge(
        "disk", met=writable and free >= ENOUGH_DISK, text=text, otherwise="warning", mend=mend
    )


def check_clock(
    wall: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    resolution: float = time.get_clock_info("monotonic").resolution,
) -> Finding:
    """Check date and speed of the wall clock and the resolution of the monotonic clock.

    TLS, bags and logs need the date. The resolution must be fine enough to time a tick.
    """
    start_wall = wall()
    start = monotonic()
    sleep(CLOCK_INTERVAL)
    drift = (wall() - start_wall) - (monotonic() - start)
    text = (
        f"wall against monotonic {1e3 * drift:+.2f} ms in {CLOCK_INTERVAL:g} s,"
        f" resolution {1e9 * resolution:g} ns"
    )
    if not start_wall >= OLDEST_CLOCK:
        return Finding(
            check="clock",
            level="problem",
            text=f"the clock reads {start_wall:.0f} s of Unix time",
            mend="sudo date -s '<now>'",
        )
    if not resolution <= COARSEST_CLOCK:
        mend = (
            "cat /sys/devices/system/clocksource/clocksource0/available_clocksource"
            "  # and boot with clocksource=<the best>"
        )
        return Finding(check="clock", level="warning", text=text, mend=mend)
    return judge(
        "clock",
        met=-CLOCK_DRIFT <= drift <= CLOCK_DRIFT,
        text=text,
        otherwise="warning",
        mend="something sets the clock: timedatectl timesync-status",
    )


def check_time_sync(synchronised: Callable[[], str] | None = None) -> Finding:
    """Check that NTP sets the clock, so that episodes of several computers can be compared.

    A robot without Internet can do without it.
    """
    answer = (synchronised or _synchronised)()
    texts = {"yes": "synchronised by NTP", "no": "not synchronised"}
    return judge(
        "time_sync",
        met=answer != "no",
        text=texts.get(answer, "unknown: no timedatectl with systemd here"),
        otherwise="warning",
        mend="sudo timedatectl set-ntp true",
    )


def _synchronised() -> str:
    """`yes` or `no`; an empty text when systemd does not run."""
    if not which("timedatectl"):
        return ""
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=5, check=False
    ).stdout.strip()
