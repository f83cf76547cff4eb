"""Checks of the computer: network, shared memory, clock, CPU and what this user may ask of the scheduler."""

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
ROBOT_ADDRESS = (
    "192.168.123.10"  # the A1's motor controller; any address of the network gives the same route
)
SHARED_MEMORY = Path("/dev/shm")
FAST_DDS = (
    "fastrtps_*",
    "fastdds_*",
    "sem.fastrtps_*",
    "sem.fastdds_*",
)  # the first up to version 2, as in Humble
GOVERNORS = Path("/sys/devices/system/cpu")
WANTED_PRIORITY = 50
ENOUGH_DISK = 5_000_000_000  # bytes; hours of episodes
OLDEST_CLOCK = 1_700_000_000  # s; a board without a battery starts in 1970, and TLS, bags and logs need the date
CLOCK_DRIFT = 0.005  # s over the measured interval
CLOCK_INTERVAL = 0.2  # s
COARSEST_CLOCK = 1e-5  # s, a two-hundredth of a tick


def addresses() -> dict[str, str]:
    """IPv4 address by network interface; empty text for one without."""
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
    """Own address with which `target` would be reached; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target, 9))
        except OSError:
            return "0.0.0.0"
        return str(probe.getsockname()[0])


def check_interfaces(found: Mapping[str, str], wanted: str | None) -> Finding:
    """A cable leads to the robot: the wanted interface, or any, has an address of the robot's network."""
    text = ", ".join(f"{name} {address or 'no address'}" for name, address in found.items())
    if wanted is not None and wanted not in found:
        return Finding(
            check="interfaces",
            level="problem",
            text=f"no interface {wanted!r}; there are: {text}",
            mend="ip -br addr",
        )
    candidates = found if wanted is None else {wanted: found[wanted]}
    met = any(address and ip_address(address) in ROBOT_NETWORK for address in candidates.values())
    return judge(
        "interfaces",
        met=met,
        text=text,
        otherwise="warning" if wanted is None else "problem",
        mend=f"only needed for a real robot: sudo ip addr add 192.168.123.162/24 dev {wanted or '<interface>'}",
    )


def stale_files(
    folder: Path = SHARED_MEMORY, in_use: Callable[[], Iterable[str]] | None = None
) -> list[Path]:
    """Files of Fast DDS of this user that no living process has mapped or opened."""
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
    """The segment a file belongs to: its lock and mutex carry the same name with an ending."""
    return name.removeprefix("sem.").removesuffix("_mutex").removesuffix("_el")


def _mapped_names() -> set[str]:
    """Names under /dev/shm that a living process of this machine has mapped or holds open."""
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
    """No left-overs of killed ROS processes: later nodes lose messages to them."""
    ages = [now() - path.stat().st_mtime for path in stale if path.exists()]
    text = "no Fast DDS file without a living process"
    if stale:
        text = f"{len(stale)} Fast DDS files that no living process has open"
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
    """The CPU does not clock down between two ticks."""
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
    """SCHED_FIFO is granted; asked for by a thread that ends at once."""
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
        plan_beside="never",
    )
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(apply, wish).result()[0]


def check_memory_lock(allowed: Callable[[], bool] = may_lock_all) -> Finding:
    """The runtime may keep all its pages in memory; a limit, however high, would fail an allocation in flight."""
    hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    text = "unlimited" if hard == resource.RLIM_INFINITY else f"limit {hard} bytes"
    met = allowed()
    return judge(
        "memory_lock",
        met=met,
        otherwise="warning",
        text=text
        + (", which this user is exempt from" if met and hard != resource.RLIM_INFINITY else ""),
        mend=limit_remedy("memlock", "unlimited"),
    )


def check_disk(
    folder: Path, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage
) -> Finding:
    """Episodes have room where they would be written."""
    there = next(
        parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists()
    )
    free = usage(there)[2]
    writable = os.access(there, os.W_OK)
    return judge(
        "disk",
        met=writable and free >= ENOUGH_DISK,
        text=f"{free / 1e9:.1f} GB free in {folder}"
        + ("" if writable else ", which may not be written to"),
        otherwise="warning",
        mend=f"sudo chown {user()} {there}"
        if not writable
        else f"du -sh {there}/* | sort -h  # at least {ENOUGH_DISK / 1e9:.0f} GB",
    )


def check_clock(
    wall: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    resolution: float = time.get_clock_info("monotonic").resolution,
) -> Finding:
    """The wall clock has a date and runs as fast as the monotonic one, which is fine enough to time a tick."""
    start_wall = wall()
    start = monotonic()
    sleep(CLOCK_INTERVAL)
    drift = (wall() - start_wall) - (monotonic() - start)
    text = f"wall against monotonic {1e3 * drift:+.2f} ms in {CLOCK_INTERVAL:g} s, resolution {1e9 * resolution:g} ns"
    if not start_wall >= OLDEST_CLOCK:
        return Finding(
            check="clock",
            level="problem",
            text=f"the clock reads {start_wall:.0f} s of Unix time",
            mend="sudo date -s '<now>'",
        )
    if not resolution <= COARSEST_CLOCK:
        mend = "cat /sys/devices/system/clocksource/clocksource0/available_clocksource  # and boot with clocksource=<the best>"
        return Finding(check="clock", level="warning", text=text, mend=mend)
    return judge(
        "clock",
        met=-CLOCK_DRIFT <= drift <= CLOCK_DRIFT,
        text=text,
        otherwise="warning",
        mend="something sets the clock: timedatectl timesync-status",
    )


def check_time_sync(synchronised: Callable[[], str] | None = None) -> Finding:
    """Episodes of this computer and of others can be laid side by side; a robot that is not on the Internet may do without."""
    answer = (synchronised or _synchronised)()
    texts = {"yes": "synchronised by NTP", "no": "not synchronised"}
    return judge(
        "time_sync",
        met=answer != "no",
        text=texts.get(answer, "not known: no timedatectl with systemd here"),
        otherwise="warning",
        mend="sudo timedatectl set-ntp true",
    )


def _synchronised() -> str:
    """`yes` or `no`, or nothing where systemd does not run."""
    if not which("timedatectl"):
        return ""
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=5, check=False
    ).stdout.strip()
