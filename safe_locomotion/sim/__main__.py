"""`python -m safe_locomotion.sim`: one simulated robot on the Unitree SDK2 wire.

It runs until SIGINT, SIGTERM or the end of its duration.
"""

import argparse
import atexit
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from math import radians
from pathlib import Path

from safe_locomotion.backends.dds import LOOPBACK, SIMULATION_DOMAIN
from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.runtime.processes import follow_parent
from safe_locomotion.sim.disturbances import DisturbanceOptions
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.process import ProcessOptions, RobotProcess
from safe_locomotion.sim.pushes import parse_person, parse_pushes
from safe_locomotion.sim.remote_script import parse_holds
from safe_locomotion.sim.sensors import SensorNoise
from safe_locomotion.sim.terrain_names import CHOICES

LOG = logging.getLogger("robot")


def parser() -> argparse.ArgumentParser:
    """Command-line options; defaults are those of the option dataclasses."""
    p = argparse.ArgumentParser(prog="python -m safe_locomotion.sim", description=__doc__)
    world = SimulationOptions()
    run = ProcessOptions()
    p.add_argument("--robot", default=world.robot)
    p.add_argument("--seed", type=int, default=world.seed)
    p.add_argument("--terrain", default=world.terrain, help=", ".join(CHOICES))
    p.add_argument("--slope-deg", type=float, default=15.0)
    p.add_argument("--roughness", type=float, default=world.roughness, help="[m]")
    p.add_argument("--step", type=float, default=world.step, help="height of a stair [m]")
    p.add_argument("--friction", type=float, default=world.friction)
    p.add_argument("--payload", type=float, default=world.payload, help="[kg]")
    p.add_argument("--start", default=world.start, help="belly, back, left or right")
    p.add_argument("--motor-delay-ms", type=float, default=world.motor_delay_ms)
    p.add_argument("--ideal-sensors", action="store_true", help="no sensor noise and no biases")
    p.add_argument("--domain", type=int, default=SIMULATION_DOMAIN)
    p.add_argument("--interface", default=LOOPBACK)
    p.add_argument(
        "--lock-step",
        "--lockstep",
        dest="lockstep",
        action="store_true",
        help="wait for the answer to each state",
    )
    p.add_argument("--paced", action="store_true", help="in lock-step no faster than real time")
    p.add_argument(
        "--answer-timeout",
        type=float,
        default=run.answer_timeout,
        help="longest wait for an answer in lock-step [s]",
    )
    p.add_argument("--duration", type=float, help="robot time after standing up [s]")
    _add_disturbances(p)
    p.add_argument("--truth", type=Path, help="file for the ground truth of every state (.npz)")
    p.add_argument("--summary", type=Path, help="file for the summary of the run (.json)")
    return p


def _add_disturbances(p: argparse.ArgumentParser) -> None:
    """Options of what happens to the robot."""
    p.add_argument(
        "--push",
        default="",
        metavar="J@t[,J@t...]",
        help="lateral impulses [N s] at times after standing up [s]",
    )
    p.add_argument(
        "--person",
        default="",
        metavar="J@T",
        help="a person pushes with J [N s] from any side, once in each T [s], without end",
    )
    p.add_argument(
        "--leave-fallen", action="store_true", help="never put a fallen robot on its feet"
    )
    p.add_argument(
        "--battery-change",
        type=float,
        metavar="S",
        help="change a low battery once the robot lay damped for S [s]",
    )
    p.add_argument(
        "--remote",
        default="",
        metavar="BUTTONS[:AXIS=VALUE...]@FROM-TO,...",
        help="what is held on the remote and when, e.g. L2+B@5-5.2",
    )


def options_from(args: argparse.Namespace) -> ProcessOptions:
    """Options of a parsed command line, checked."""
    simulation = SimulationOptions(
        robot=args.robot,
        seed=args.seed,
        terrain=args.terrain,
        slope=radians(args.slope_deg),
        roughness=args.roughness,
        step=args.step,
        friction=args.friction,
        payload=args.payload,
        motor_delay_ms=args.motor_delay_ms,
        start=args.start,
        noise=None if args.ideal_sensors else SensorNoise(),
    )
    return ProcessOptions(
        simulation=simulation,
        lockstep=args.lockstep,
        paced=args.paced,
        answer_timeout=args.answer_timeout,
        duration=args.duration,
        disturbances=DisturbanceOptions(
            pushes=parse_pushes(args.push),
            person=parse_person(args.person),
            remote=parse_holds(args.remote),
            battery_change=args.battery_change,
            seed=args.seed,
            **({"back_on_feet_after": None} if args.leave_fallen else {}),
        ),
        truth_file=args.truth,
    )


class StopRequest:
    """True once SIGINT or SIGTERM has come."""

    def __init__(self) -> None:
        self._asked = False
        signal.signal(signal.SIGINT, self._ask)
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def __call__(self) -> bool:
        """Whether the process should end."""
        return self._asked


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the robot; return 0 at the end, 2 when an option or the wire cannot be used."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    args = parser().parse_args(arguments)
    stop = StopRequest()
    follow_parent()
    atexit.register(gc.freeze)  # the last search for garbage would take a tenth of a second
    if args.lockstep:
        # A robot that waits for its controller need not push it off the processor when it wakes up.
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        process = RobotProcess(
            options_from(args), wire := RobotWire(domain=args.domain, interface=args.interface)
        )
    except SafeLocomotionError as error:
        LOG.error("%s", error)
        return 2
    LOG.info(
        "%s on DDS domain %d, %s",
        args.robot,
        args.domain,
        "lock-step" if args.lockstep else "wall-clock",
    )
    gc.enable()  # see `safe_locomotion`; all is imported
    try:
        summary = process.run(stop)
    finally:
        wire.close()
    if args.summary is not None:
        args.summary.parent.mkdir(parents=True, exist_ok=True)
        args.summary.write_text(json.dumps(summary, indent=2) + "\n")
    LOG.info(
        "%.1f s of robot time, real-time factor %.2f, %d falls",
        *(summary[k] for k in ("robot_time_s", "real_time_factor", "falls")),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
