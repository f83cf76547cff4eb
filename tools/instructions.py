"""Count the instructions that one walking tick costs, stage by stage, under valgrind.

    .venv/bin/python tools/instructions.py [--ticks 40] [--only pipeline,estimator]

Times depend on the load of the machine, counts do not: two runs differ by less than a percent. So
counts compare two versions of the code on any machine with valgrind (`sudo apt install valgrind`).
A walk of the simulated A1 is recorded as for `safe-locomotion bench`. Each stage then gets its
recorded ticks in order, in a second process under callgrind. Only the last of them count, so that
solvers and filters are warm. It takes about two minutes on an idle core.
"""

import argparse
import gc
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from safe_locomotion.bench.recording import Recording, Tick, record
from safe_locomotion.bench.stages import comparison_stages, core_stages
from safe_locomotion.bench.timing import Stage
from safe_locomotion.control.mpc import ConvexMpc
from safe_locomotion.messages import encode
from safe_locomotion.robot.centroidal import CentroidalModel

WALK_S = 0.6  #: recorded walk [s]
TICKS = 40  #: that count, of each stage
MARKER = "getppid"  #: callgrind writes its counts when this is called, which nobody else does
#: Settings that make two runs alike.
SETTLED = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
NAMES = (
    "estimator",
    "supervisor",
    "locomotion",
    "mpc",
    "leg_control",
    "pipeline",
    "trigger",
    "rollout_open",
    "codec_read",
    "codec_write",
    "encode",
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the process under callgrind gets: the walk, and which stages count how many ticks."""

    recording: Recording
    names: Sequence[str]
    ticks: int


def stages(recording: Recording) -> dict[str, Stage]:
    """Stages by name: those of the bench, the MPC alone, and the messages of the five processes."""
    compared, _ = comparison_stages(recording)
    found = [*core_stages(recording), *compared, _mpc(recording), _encode(recording)]
    return {stage.name: stage for stage in found}


def _mpc(recording: Recording) -> Stage:
    """The solver of the controller, without gait, footholds and reference."""
    robot = recording.robot
    model = CentroidalModel(mass=robot.mass, inertia=robot.inertia)
    parameters = recording.config.mpc.solver
    return Stage(
        name="mpc",
        what="MpcProblem to forces",
        make=lambda: ConvexMpc(model, parameters).solve,
        items=recording.problems,
    )


def _encode(recording: Recording) -> Stage:
    """Bytes of the four messages that the five processes send on every tick or every second one."""
    packed = encode.PlanBytes()

    def pack(tick: Tick) -> None:
        cycle = tick.cycle
        assert cycle.plan is not None  # a walking robot has one
        encode.low_state(cycle.state)
        encode.state_estimate(cycle.estimate)
        encode.verdict(cycle.verdict)
        packed(cycle.plan)

    ticks = recording.walking_ticks
    return Stage(
        name="encode",
        what="state, estimate, verdict and plan to messages",
        make=lambda: pack,
        items=ticks,
    )


def counted_items(stage: Stage, ticks: int) -> range:
    """The last `ticks` of the items that count."""
    return range(max(0, len(stage.items) - ticks), len(stage.items))


def replay(job: Job) -> None:
    """Run in the process under callgrind: warm up without counting, then mark each stage."""
    found = stages(job.recording)
    gc.disable()
    ready = []
    for name in job.names:
        stage = found[name]
        call = stage.make()
        chosen = counted_items(stage, job.ticks)
        for i in range(chosen.start):
            call(stage.items[i])
        ready.append((call, [stage.items[i] for i in chosen]))
    command = ("callgrind_control", "-i", "on", str(os.getpid()))
    subprocess.run(command, check=True, capture_output=True)
    for call, items in ready:
        os.getppid()
        for item in items:
            call(item)
        os.getppid()


def total(dump: Path) -> int:
    """Instructions of one dump of callgrind."""
    for line in dump.read_text(encoding="utf-8").splitlines():
        if line.startswith("totals:"):
            return int(line.split()[1])
    raise ValueError(f"{dump} has no totals")


def count(job: Job) -> Mapping[str, float]:
    """Instructions of one tick of each stage."""
    with TemporaryDirectory() as folder:
        walk = Path(folder) / "walk.pickle"
        walk.write_bytes(pickle.dumps(job))
        out = Path(folder) / "counts"
        # Without its site module Python does not start itself anew, as the wheels of ROS make it.
        arguments = ("-S", str(Path(__file__).resolve()), "--replay", str(walk))
        subprocess.run(
            (
                "valgrind",
                "--tool=callgrind",
                "--instr-atstart=no",
                f"--dump-before={MARKER}",
                f"--callgrind-out-file={out}",
                sys.executable,
                *arguments,
            ),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **SETTLED},
            check=True,
            capture_output=True,
        )
        found = stages(job.recording)
        return {
            name: total(Path(f"{out}.{2 * k + 2}")) / len(counted_items(found[name], job.ticks))
            for k, name in enumerate(job.names)
        }


def main() -> None:
    """Print a table of thousands of instructions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ticks", type=int, default=TICKS, help="that count, of each stage")
    parser.add_argument("--only", default=",".join(NAMES), help="stages, separated by commas")
    parser.add_argument("--replay", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.replay is not None:
        replay(pickle.loads(arguments.replay.read_bytes()))
        return
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is needed: sudo apt install valgrind")
    names = [name for name in arguments.only.split(",") if name]
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.exit(f"no stage {', '.join(unknown)}; choose from {', '.join(NAMES)}")
    job = Job(recording=record(seconds=WALK_S), names=names, ticks=arguments.ticks)
    for name, instructions in count(job).items():
        print(f"{name:<14}{instructions / 1e3:10.0f} thousand instructions per call")


if __name__ == "__main__":
    main()
