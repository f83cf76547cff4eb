"""`safe-locomotion sim`: the whole stack on a simulated robot, from one command."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from safe_locomotion.cli.settings import SimSettings, viewer_installed
from safe_locomotion.cli.sim.run import (
    COMPLETED,
    FELL,
    INTERRUPTED,
    build_report,
    record_folder,
    run,
    write_report,
)
from safe_locomotion.cli.states import write_states
from safe_locomotion.control.gait import PHASE_OFFSETS
from safe_locomotion.robot.models import robot_names
from safe_locomotion.runtime.stack import GRAPHS
from safe_locomotion.safety.switching_rule import CRITERIA
from safe_locomotion.sim.options import STARTS

TERRAINS = ("flat", "slope", "stairs", "rough")
HEADLESS_DURATION = 10.0


@click.command()
@click.option(
    "--robot",
    type=click.Choice(robot_names()),
    default="a1",
    show_default=True,
    help="Robot model.",
)
@click.option(
    "--gait",
    type=click.Choice(sorted(PHASE_OFFSETS)),
    help="Gait of the tuned controller. [default: the robot's file]",
)
@click.option(
    "--policy", default="nominal", show_default=True, help="Who proposes the gait: a policy's name."
)
@click.option(
    "--supervisor",
    help=f"Criterion that decides between policy and recovery: {', '.join(CRITERIA)}. [default: the robot's file]",
)
@click.option("--horizon", type=int, help="Steps of 0.016 s that the supervisor looks ahead.")
@click.option(
    "--duration",
    type=float,
    help="Robot time after the robot first stands [s]. [default: 10 with --headless]",
)
@click.option(
    "--vx", type=float, help="Forward velocity [m/s]. [default: 0 with --headless, else 0.4]"
)
@click.option(
    "--vy", type=float, default=0.0, show_default=True, help="Velocity to the left [m/s]."
)
@click.option(
    "--wz", type=float, default=0.0, show_default=True, help="Turning rate to the left [rad/s]."
)
@click.option(
    "--push",
    default="",
    metavar="J@t[,J@t...]",
    help="Lateral impulses [N s], each over 0.1 s, at times after standing [s].",
)
@click.option(
    "--pushes-every",
    type=float,
    help="Push once in each period of this length [s], from alternating sides, at a random phase.",
)
@click.option(
    "--push-impulse",
    type=float,
    default=25.0,
    show_default=True,
    help="Impulse of those pushes [N s].",
)
@click.option(
    "--remote",
    default="",
    metavar="BUTTONS[:AXIS=VALUE...]@FROM-TO,...",
    help="What is held on the robot's remote, e.g. R1:ly=0.5@1-4,L2+B@6-6.2 [s after standing].",
)
@click.option(
    "--friction", type=float, default=0.8, show_default=True, help="Between feet and ground [-]."
)
@click.option(
    "--payload", type=float, default=0.0, show_default=True, help="Mass on the back [kg]."
)
@click.option(
    "--start",
    type=click.Choice(tuple(STARTS)),
    default="belly",
    show_default=True,
    help="How the robot lies at first.",
)
@click.option(
    "--motor-delay-ms",
    type=float,
    default=0.0,
    show_default=True,
    help="From command to torque [ms].",
)
@click.option(
    "--terrain",
    type=click.Choice(TERRAINS),
    default="flat",
    show_default=True,
    help="Slope 15 deg, stairs 6 cm, rough 5 cm.",
)
@click.option(
    "--graph",
    type=click.Choice(GRAPHS),
    default="composed",
    show_default=True,
    help="One process or five nodes.",
)
@click.option(
    "--headless", is_flag=True, help="Only compute: no demonstration, no keyboard, no viewer."
)
@click.option(
    "--viewer/--no-viewer",
    default=None,
    help="Show the robot in a web browser; prints where. [default: with the demonstration, when viser is installed]",
)
@click.option(
    "--viewer-port",
    type=click.IntRange(1, 65535),
    default=8080,
    show_default=True,
    help="Or the next free one.",
)
@click.option(
    "--lock-step/--wall-clock",
    default=None,
    help="The robot waits for its controller (equal seeds give equal runs) or keeps real time. [default: lock-step; wall-clock"
    " with --duration but no --headless]",
)
@click.option(
    "--realtime",
    is_flag=True,
    help="Ask for real-time scheduling, as on a robot: section `realtime` of the bridge.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of sensor noise, terrain, pushes, random commands.",
)
@click.option("--random-commands", is_flag=True, help="A new random velocity each few seconds.")
@click.option(
    "--script",
    default="",
    metavar="REQUEST@t[:vx:vy:wz],...",
    help="What the operator does, e.g. stand@0,walk@1,sit@10,stand@14 [s].",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NODE.KEY=VALUE",
    help="Change a parameter, e.g. mpc.locomotion.body_height=0.25.",
)
@click.option(
    "--record",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for an episode of each walk, logs and ground truth.",
)
@click.option(
    "--save-states",
    type=click.Path(path_type=Path, dir_okay=False),
    help="LowStates from 1 s before standing on (.npz), for replay.",
)
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Write the JSON report here."
)
def sim(
    *,
    vx: float | None,
    duration: float | None,
    headless: bool,
    lock_step: bool | None,
    viewer: bool | None,
    record: Path | None,
    report: Path | None,
    **options: Any,
) -> int:
    """Walk a simulated robot with the whole stack, over the wire that the real robot speaks.

    Without --headless the robot shows a short demonstration, then follows keyboard or browser until Ctrl-C. Exit status: 0 when the run
    completed and the robot did not fall, 3 when it fell, 2 for bad usage.
    """
    watched = (
        not headless
        and duration is None
        and not options["script"]
        and not options["random_commands"]
    )
    settings = SimSettings(
        vx=(0.4 if watched else 0.0) if vx is None else vx,
        duration=None if watched else HEADLESS_DURATION if duration is None else duration,
        lock_step=(headless or watched) if lock_step is None else lock_step,
        viewer=(watched and viewer_installed()) if viewer is None else viewer,
        **options,
    )
    settings.check()
    console = Console(stderr=True)
    with record_folder(record) as folder:
        outcome = run(settings, folder, console, record=record is not None)
        if watched:
            return COMPLETED
        figures = build_report(settings, folder, outcome)
        if settings.save_states is not None:
            write_states(folder, figures["stood_at_s"], settings.save_states)
    if report is not None:
        write_report(report, figures)
    Console().print(_table(figures))
    if outcome.interrupted:
        return INTERRUPTED
    return FELL if figures["falls"] else COMPLETED


def _table(figures: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None)
    for name in (
        "duration_s",
        "wall_s",
        "real_time_factor",
        "falls",
        "distance_m",
        "velocity_rmse_mps",
        "estimator_velocity_rmse_mps",
        "estimator_drift_m",
    ):
        table.add_row(name, _number(figures[name]))
    table.add_row(
        "gate trips", ", ".join(f"{k} {n}" for k, n in figures["gate_trips"].items()) or "none"
    )
    latency = figures["latency_ms"]["state_to_command"]
    table.add_row(
        "state to command",
        f"median {_number(latency['p50'])}, p99 {_number(latency['p99'])}, max {_number(latency['max'])} ms",
    )
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
