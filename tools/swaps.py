"""Let policies of both kinds take turns on a walking simulated A1, and print what it cost.

tools/swaps.py trot.onnx paces.onnx

LowStates come in real time, as on a robot.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic_ns, sleep

import numpy as np

from safe_locomotion.bench.policy_swaps import run_swaps
from safe_locomotion.config import load_config
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.policy.file import check_fit, read_policy
from safe_locomotion.policy.loader import PAUSE_S
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.robot.models import load_robot
from safe_locomotion.runtime.realtime import Garbage, apply
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import NANOSECONDS, STATE_PERIOD_NS, VelocityCommand

GIL_SWITCH_INTERVAL_S = 0.0005  # as the nodes set it


def by_the_clock(first: Callable[[], None]) -> Callable[[], None]:
    """Do `first`, then sleep until the next LowState is due.

    After a tick that took longer the next one comes at once.
    """
    due_ns = monotonic_ns()

    def wait() -> None:
        nonlocal due_ns
        first()
        now_ns = monotonic_ns()
        due_ns = max(due_ns + STATE_PERIOD_NS, now_ns)
        sleep((due_ns - now_ns) / NANOSECONDS)

    return wait


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("policies", nargs="+", type=Path, help="files, taken in turns")
    parser.add_argument("--robot", default="a1")
    parser.add_argument("--count", type=int, default=1000, help="of swaps")
    parser.add_argument("--vx", type=float, default=0.4, help="velocity command [m/s]")
    parser.add_argument(
        "--every",
        type=float,
        nargs=2,
        default=(0.55, 0.85),
        metavar=("MIN", "MAX"),
        help="time between swaps [s]",
    )
    parser.add_argument(
        "--supervisor", default="off", help="criterion between learner and recovery"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--realtime", action="store_true", help="use the scheduling of a robot where it is allowed"
    )
    return parser.parse_args()


def main() -> int:
    """Run the swaps and print their figures; return 0 when the robot never fell."""
    options = arguments()
    sys.setswitchinterval(GIL_SWITCH_INTERVAL_S)
    robot = load_robot(options.robot)
    config = load_config(options.robot, {"supervisor.intervention.criterion": options.supervisor})
    files = [read_policy(path) for path in options.policies]
    for contract, _ in files:
        check_fit(contract, robot, config.bridge.limits)
    if options.realtime:
        for setting in apply(config.bridge.realtime):
            print(f"{setting.name}: {setting.text}", file=sys.stderr)
    pipeline = Pipeline(robot, config)
    pipeline.warm_up()
    run = run_swaps(
        SimulatedRobot(SimulationOptions(robot=options.robot, seed=options.seed)),
        pipeline,
        [partial(PolicyRuntime, contract, data, robot, PAUSE_S) for contract, data in files],
        count=options.count,
        every=tuple(options.every),
        command=VelocityCommand(vx=options.vx),
        rng=np.random.default_rng(options.seed),
        between=by_the_clock(Garbage().collect),
    )
    print(json.dumps(run.figures(), indent=2))
    return 1 if run.falls else 0


if __name__ == "__main__":
    sys.exit(main())
