"""Checks of the robot's wire: DDS works, and no other program commands the motors."""

from collections.abc import Callable
from time import monotonic, perf_counter

import numpy as np

from safe_locomotion.cli.doctor.findings import Finding, judge
from safe_locomotion.commands import damping_command
from safe_locomotion.errors import BackendError
from safe_locomotion.runtime.stack import LOOPBACK, ROBOT_DOMAIN, SIMULATION_DOMAIN
from safe_locomotion.types import GRAVITY, N_JOINTS, LowState

PATIENCE_S = 5.0  # for the discovery of the two ends
STOP_KD = 3.0
SLOW_MS = 20.0  # the gate's limit on the age of its inputs
SDK = "install the SDK: python3 -m pip install unitree-sdk2py-dimos cyclonedds"

RoundTrip = Callable[[int], float | None]
Publishers = Callable[[int, str], int]


def round_trip_ms(domain: int) -> float | None:
    """Time from one state of a robot's end of the wire to our command back [ms].

    Returns:
        None when no command came back.

    Raises:
        BackendError: the domain cannot be joined.
    """
    from safe_locomotion.backends.robot_wire import RobotWire
    from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2

    robot = RobotWire(domain=domain)
    backend = UnitreeSdk2(stop_kd=STOP_KD, domain=domain)
    try:
        deadline = monotonic() + PATIENCE_S
        for tick in range(1, 100_000):
            start = perf_counter()
            robot.publish(_resting(tick))
            state = backend.read(0.02)
            if state is not None:
                backend.write(damping_command(state.stamp_ns, STOP_KD))
                if robot.take_command(0.02) is not None:
                    return 1e3 * (perf_counter() - start)
            if monotonic() > deadline:
                return None
        return None
    finally:
        backend.close()
        robot.close()


def check_round_trip(domain: int, trip: RoundTrip = round_trip_ms) -> Finding:
    """Check that a LowState and its answer cross DDS on the loopback interface."""
    try:
        spent = trip(domain)
    except ImportError as error:
        return Finding(
            check="dds_loopback", level="problem", text=f"{error.name} cannot be imported", mend=SDK
        )
    except BackendError as error:
        return Finding(
            check="dds_loopback", level="problem", text=str(error), mend="sudo ip link set lo up"
        )
    if spent is None:
        return Finding(
            check="dds_loopback",
            level="problem",
            text=f"no message crossed the loopback interface in {PATIENCE_S:g} s",
            mend="sudo ip link set lo up; a firewall must let UDP through on lo",
        )
    return judge(
        "dds_loopback",
        met=spent <= SLOW_MS,
        text=f"state and answer in {spent:.2f} ms",
        otherwise="warning",
        mend="end programs that load the CPU",
    )


def check_publishers(interface: str | None, publishers: Publishers | None = None) -> Finding:
    """Check that no program commands a simulated robot or, with an interface, a real one."""
    places = [(SIMULATION_DOMAIN, LOOPBACK), *([(ROBOT_DOMAIN, interface)] if interface else [])]
    try:
        listen = publishers or _publishers()
        found = {f"domain {domain} on {name}": listen(domain, name) for domain, name in places}
    except ImportError as error:
        return Finding(
            check="command_publishers",
            level="problem",
            text=f"{error.name} cannot be imported",
            mend=SDK,
        )
    except BackendError as error:
        return Finding(
            check="command_publishers", level="problem", text=str(error), mend="ip -br link"
        )
    others = any(found.values())
    return judge(
        "command_publishers",
        met=not others,
        text=", ".join(f"{count} on rt/lowcmd, {place}" for place, count in found.items()),
        mend="end the other program, because two programs must not command the same motors;"
        " on a robot release its motion service first",
    )


def _publishers() -> Publishers:
    from safe_locomotion.backends.listen import command_publishers

    return command_publishers


def _resting(tick: int) -> LowState:
    zero = np.zeros(N_JOINTS)
    return LowState(
        stamp_ns=tick * 1_000_000,
        tick=tick,
        quaternion_wxyz=np.array((1.0, 0.0, 0.0, 0.0)),
        gyro=np.zeros(3),
        accelerometer=np.array((0.0, 0.0, GRAVITY)),
        q=zero,
        dq=zero,
        tau=zero,
        foot_force=np.zeros(4),
        temperature=zero,
        voltage=25.0,
    )
