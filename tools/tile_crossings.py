"""Let policies cross the tiles of ALARM's terrain in the simulator, and count who arrives.

Unlike `tools/alarm_crossings.py` this is not the world of the training: MuJoCo walks one robot with
all its shapes and sensor errors, under the control cycle of the robot. Each robot starts on the
platform in the middle, holds the heading that its seed draws, and has crossed when it is beyond the
tile's border. A JSON file keeps every walk, so that a second run with the same file continues.

    .venv/bin/python tools/tile_crossings.py --policy a1_alarm --levels 0 3 --robots 4
    .venv/bin/python tools/tile_crossings.py --policy a.onnx --json a.json --minutes 30 --workers 2
    .venv/bin/python tools/tile_crossings.py --supervised --set supervisor.intervention.horizon=5
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from math import hypot, pi
from pathlib import Path
from typing import Any

import numpy as np

from safe_locomotion.cli.options import assignment
from safe_locomotion.config import load_config
from safe_locomotion.envs.workers import workers
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.policy.file import find_policy, read_policy
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.robot.models import load_robot
from safe_locomotion.rotations import rpy_from_quaternion
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.sim.tiles import KINDS, LEVELS, SIDE
from safe_locomotion.types import Mode, VelocityCommand

STAND_LIMIT = 8.0  #: for standing up [s]
TICKS = 500  #: in a second
TURN = 1.0  #: of the heading's error [1/s]
FASTEST = 1.0  #: turn back to the heading [rad/s]
CHECKED = 50  #: LowStates between two looks at where the robot is
UNSUPERVISED: dict[str, Any] = {
    "supervisor.intervention.criterion": "off",
    "supervisor.intervention.horizon": 0,
}
HEADINGS = 0.25 * pi  #: robots start towards one side of the tile, and turn by this at most [rad]


@dataclass(frozen=True)
class Walk:
    """One robot on one tile."""

    kind: str
    level: int
    seed: int


@dataclass(frozen=True)
class Found:
    """What became of it: crossed, fell or stayed; way from the middle [m] and time [s]."""

    kind: str
    level: int
    seed: int
    fate: str
    way: float
    seconds: float
    recovery: float


def walker(
    path: Path, speed: float, seconds: float, friction: float, overrides: dict[str, Any]
) -> Callable[[Walk], Found]:
    """A function that walks one robot; it is made once in each process."""
    contract, model = read_policy(path)
    robot = load_robot(contract.robot)
    config = load_config(contract.robot, overrides)

    def walk(one: Walk) -> Found:
        options = SimulationOptions(
            robot=contract.robot,
            seed=one.seed,
            terrain=f"{one.kind}:{one.level}",
            friction=friction,
        )
        simulated = SimulatedRobot(options)
        pipeline = Pipeline(robot, config, PolicyRuntime(contract, model, robot))
        recovered = 0

        def tick(command: VelocityCommand) -> bool:
            nonlocal recovered
            cycle = pipeline.step(simulated.low_state(), command)
            recovered += cycle.verdict.active == "recovery"
            return simulated.step(cycle.command)

        stand(tick, pipeline)
        heading = yaw_of(simulated) + np.random.default_rng(one.seed).uniform(-HEADINGS, HEADINGS)
        pipeline.supervisor.request("walk")
        command = VelocityCommand()
        fate = "stayed"
        walked = 0
        recovered = 0
        while walked < TICKS * seconds and fate == "stayed":
            if walked % CHECKED == 0:
                command = towards(heading, yaw_of(simulated), speed)
            if tick(command) or pipeline.supervisor.mode in (Mode.FALLEN, Mode.FAULT):
                fate = "fell"
            elif beyond(simulated):
                fate = "crossed"
            walked += 1
        x, y = simulated.truth().position[:2]
        return Found(
            **asdict(one),
            fate=fate,
            way=round(hypot(x, y), 3),
            seconds=round(walked / TICKS, 2),
            recovery=round(recovered / max(walked, 1), 4),
        )

    return walk


def stand(tick: Callable[[VelocityCommand], bool], pipeline: Pipeline) -> None:
    """Let a robot stand up."""
    for _ in range(50):
        tick(VelocityCommand())
    pipeline.supervisor.request("stand")
    for _ in range(round(TICKS * STAND_LIMIT)):
        tick(VelocityCommand())
        if pipeline.supervisor.mode is Mode.STAND:
            return


def yaw_of(simulated: SimulatedRobot) -> float:
    """True heading [rad]."""
    return float(rpy_from_quaternion(simulated.truth().quaternion_wxyz)[2])


def towards(heading: float, yaw: float, speed: float) -> VelocityCommand:
    """Forwards at a speed [m/s], turning back to a heading [rad]."""
    error = (heading - yaw + pi) % (2.0 * pi) - pi
    return VelocityCommand(vx=speed, wz=min(FASTEST, max(-FASTEST, TURN * error)))


def beyond(simulated: SimulatedRobot) -> bool:
    """Whether the robot has left its tile."""
    position = simulated.truth().position
    return bool(np.abs(position[:2]).max() > SIDE / 2.0)


def table(found: list[Found]) -> str:
    """Shares that crossed and fell [%] by kind and level."""
    cells: dict[tuple[str, int], list[str]] = defaultdict(list)
    for one in found:
        cells[one.kind, one.level].append(one.fate)
    levels = sorted({one.level for one in found})
    lines = ["crossed/fell [%] of the walks", f"{'level':12}" + "".join(f"{k:>12}" for k in levels)]
    for kind in KINDS:
        row = ""
        for level in levels:
            fates = cells.get((kind, level), [])
            share = [100.0 * fates.count(fate) / max(len(fates), 1) for fate in ("crossed", "fell")]
            row += f"{share[0]:6.0f}/{share[1]:<2.0f}({len(fates)})".rjust(12)
        lines.append(f"{kind:12}{row}")
    return "\n".join(lines)


def main() -> None:
    """Walk, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="a1_alarm", help="name or file")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--levels", type=int, nargs="+", default=list(range(LEVELS)))
    parser.add_argument("--robots", type=int, default=20, help="on each tile")
    parser.add_argument("--speed", type=float, default=0.6, help="[m/s]")
    parser.add_argument("--seconds", type=float, default=15.0, help="longest time of a walk [s]")
    parser.add_argument(
        "--friction", type=float, default=SimulationOptions().friction, help="of the ground"
    )
    parser.add_argument("--supervised", action="store_true", help="recovery may take over")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NODE.KEY=VALUE", help="change parameters"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no walk after them")
    parser.add_argument("--json", type=Path, help="file of the walks")
    args = parser.parse_args()
    found: list[Found] = []
    if args.json and args.json.exists():
        found = [Found(**one) for one in json.loads(args.json.read_text(encoding="utf-8"))]
    done = {(one.kind, one.level, one.seed) for one in found}
    jobs = [
        Walk(kind, level, seed)
        for seed in range(args.robots)
        for level in args.levels
        for kind in args.kinds
        if (kind, level, seed) not in done
    ]
    end = time.monotonic() + 60.0 * args.minutes
    file = Path(args.policy)
    path = file if file.is_file() else find_policy(args.policy)
    overrides = {} if args.supervised else dict(UNSUPERVISED)
    overrides.update(assignment(text) for text in args.set)
    make = partial(walker, path, args.speed, args.seconds, args.friction, overrides)
    with workers(make, args.workers) as walk:
        for at in range(0, len(jobs), args.workers):
            if time.monotonic() > end:
                print(f"{len(jobs) - at} walks are left")
                break
            for one in walk(jobs[at : at + args.workers]):
                found.append(one)
                print(f"{one.kind}:{one.level} seed {one.seed}: {one.fate} {one.way} m", flush=True)
            if args.json:
                rows = [asdict(one) for one in found]
                args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
