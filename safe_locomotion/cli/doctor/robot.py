"""Checks of a robot that is switched on: its states, its clock and its motion service."""

import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from safe_locomotion.cli.doctor.findings import Finding, judge
from safe_locomotion.errors import BackendError
from safe_locomotion.runtime.stack import (
    LOOPBACK,
    ROBOT_DOMAIN,
    SIMULATED_ONLY,
    SIMULATION_DOMAIN,
    robot_sdk,
)

if TYPE_CHECKING:  # it needs the robot's SDK
    from safe_locomotion.backends.listen import Heard

RATE_HZ = 500.0
LEAST_RATE_HZ = 400.0
CLOCK_ERROR = 0.005  # largest relative error of the robot's clock; quartz clocks differ by 1e-4
ENOUGH = 100  # states that are needed to judge a clock
ROBOT_COMPUTER = "192.168.123.161"  # of a Go2
PATIENCE_S = 8.0  # for the start of an interpreter and the motion switcher's answer
LOW_LEVEL_ENTRY = {
    "a1": "on the remote: L2+A until the robot lies, then L2+B; sport mode 1.19 or newer",
    "go1": "on the remote: L2+A, L2+B, then L1+L2+START",
}
ASK = """import sys
from safe_locomotion.backends.motion_switcher import active_service
print("MODE=" + active_service(int(sys.argv[1]), sys.argv[2]))"""

REFUSED = {"size": "of another size", "crc": "with a wrong checksum"}
SIMULATOR = (
    "a simulator leaves things out that a robot sends: tolerate:=crc,tick,mode for one on lo,"
    " see docs/vendor_simulator.md"
)

Listen = Callable[[int, str], "Heard"]
Service = Callable[[int, str], str]


def check_states(robot: str, interface: str | None, listen: Listen | None = None) -> Finding:
    """Check that LowStates arrive at 500 Hz and that the robot's clock runs as fast as ours.

    Without an interface, the check listens for a simulated robot.
    """
    if interface and robot_sdk(robot) != "unitree_sdk2":
        text = f"not checked: the {robot} sends states only to a program that commands it"
        return Finding(check="robot_states", level="ok", text=text)
    domain = ROBOT_DOMAIN if interface else SIMULATION_DOMAIN
    name = interface or LOOPBACK
    try:
        heard = (listen or _listener())(domain, name)
    except ImportError as error:
        return Finding(
            check="robot_states",
            level="problem",
            text=f"{error.name} cannot be imported",
            mend="make setup",
        )
    except BackendError as error:
        return Finding(check="robot_states", level="problem", text=str(error), mend="ip -br link")
    return _judge_heard(heard, f"domain {domain}, {name}", needed=bool(interface))


def _judge_heard(heard: "Heard", place: str, *, needed: bool) -> Finding:
    """States that are heard are judged; those that are refused are counted, with the reason."""
    refused = ", ".join(f"{n} {REFUSED.get(why, why)}" for why, n in heard.refused.items())
    if not heard.states and refused:
        text = f"a robot is heard on {place}, but all its states are refused: {refused}"
        return Finding(check="robot_states", level="problem", text=text, mend=SIMULATOR)
    if not heard.states:
        text = f"no robot heard on {place}"
        mend = f"ping -c 3 {ROBOT_COMPUTER}; the robot takes a minute to boot"
        return judge("robot_states", met=not needed, text=text, mend=mend)
    if len({tick for _, tick in heard.states}) == 1 and len(heard.states) > 1:
        text = f"{len(heard.states)} LowStates on {place}, whose tick stands still: it is no clock"
        return Finding(check="robot_states", level="problem", text=text, mend=SIMULATOR)
    if refused:
        text = f"{len(heard.states)} LowStates on {place}, and refused ones: {refused}"
        mend = "ip -s link  # look for errors, and for a second program that sends states"
        return Finding(check="robot_states", level="problem", text=text, mend=mend)
    return _judge_states(heard.states, place)


def _judge_states(heard: tuple[tuple[float, int], ...], place: str) -> Finding:
    times, ticks = np.array(heard, dtype=np.float64).T
    if len(times) < ENOUGH or not times[-1] > times[0]:
        return Finding(
            check="robot_states",
            level="problem",
            text=f"{len(times)} LowStates on {place}",
            mend="ip -s link  # look for errors; end programs that load the CPU",
        )
    rate = (len(times) - 1) / (times[-1] - times[0])
    error = _slope(times, ticks * 1e-3) - 1.0
    return judge(
        "robot_states",
        met=rate >= LEAST_RATE_HZ and -CLOCK_ERROR <= error <= CLOCK_ERROR,
        text=f"{rate:.0f} LowStates per second on {place};"
        f" the robot's clock differs by {100.0 * error:+.2f} % from ours",
        otherwise="warning",
        mend=f"expected {RATE_HZ:.0f} and 0.00 %; use a wired link, or reduce the load on the CPU",
    )


def _slope(x: "np.ndarray", y: "np.ndarray") -> float:
    """Slope of the straight line through the points."""
    return float(np.polyfit(x - x[0], y - y[0], 1)[0])


def _listener() -> Listen:
    from safe_locomotion.backends.listen import hear_states

    return hear_states


def active_service(domain: int, interface: str) -> str:
    """Name of the motion service that moves the robot; empty when none does.

    A separate process asks, because the SDK can join only one domain per process.

    Raises:
        BackendError: no answer.
    """
    command = [sys.executable, "-c", ASK, str(domain), interface]
    try:
        said = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise BackendError("the robot's motion switcher does not answer") from None
    answers = [
        row.removeprefix("MODE=") for row in said.stdout.splitlines() if row.startswith("MODE=")
    ]
    if not answers:
        errors = said.stderr.strip().splitlines() or ["no answer"]
        raise BackendError(errors[-1].rpartition("Error: ")[2])
    return answers[-1]


def check_firmware(robot: str, interface: str | None, service: Service = active_service) -> Finding:
    """Check that the robot's own motion service does not move the motors."""
    if not interface:
        return Finding(
            check="firmware_mode",
            level="ok",
            text="not checked: name the robot's network with --interface",
        )
    if robot in SIMULATED_ONLY:
        text = f"the {robot} exists in simulation only: no SDK of today speaks to it"
        mend = f"safe-locomotion doctor --robot {robot}  # without --interface"
        return Finding(check="firmware_mode", level="problem", text=text, mend=mend)
    if robot in LOW_LEVEL_ENTRY and robot_sdk(robot) != "unitree_sdk2":
        text = f"the {robot} does not report its mode; set low-level mode before the launch"
        return Finding(
            check="firmware_mode", level="warning", text=text, mend=LOW_LEVEL_ENTRY[robot]
        )
    try:
        mode = service(ROBOT_DOMAIN, interface)
    except BackendError as error:
        mend = f"ping -c 3 {ROBOT_COMPUTER}; the robot takes a minute to boot"
        return Finding(check="firmware_mode", level="problem", text=str(error), mend=mend)
    return judge(
        "firmware_mode",
        met=not mode,
        text=f"motion service {mode!r} moves the robot" if mode else "no motion service is active",
        mend=f"ros2 launch safe_locomotion real_{robot}.launch.py interface:={interface}"
        " release_motion:=true  # lays the robot down first",
    )
