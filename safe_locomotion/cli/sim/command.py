"""`safe-locomotion sim`: the whole stack on a simulated robot, with one command."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from safe_locomotion.cli.options import (
    TerrainName,
    horizon_option,
    motor_delay_option,
    payload_option,
    robot_option,
)
from safe_locomotion.cli.output import console, write_json
from safe_locomotion.cli.sim.run import (
    COMPLETED,
    FELL,
    INTERRUPTED,
    build_report,
    record_folder,
    run,
)
from safe_locomotion.cli.sim.saved_states import write_states
from safe_locomotion.cli.sim.settings import SimSettings, viewer_installed
from safe_locomotion.control.gait import PHASE_OFFSETS
from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.runtime.stack import GRAPHS
from safe_locomotion.safety.switching_rule import CRITERIA
from safe_locomotion.sim.options import STARTS

HEADLESS_DURATION = 10.0  # s
DEMONSTRATION_VX = 0.4  # m/s


@click.command()
@robot_option
@click.option(
    "--gait",
    type=click.Choice(sorted(PHASE_OFFSETS)),
    help="Gait of the tuned controller. [default: the robot's file]",
)
@click.option(
    "--policy",
    default="nominal",
    show_default=True,
    help="Policy that proposes the gait or the joint targets: nominal, a name, or a file.",
)
@click.option(
    "--supervisor",
    type=click.Choice(CRITERIA),
    help="Criterion that decides between policy and recovery. [default: the robot's file]",
)
@horizon_option
@click.option(
    "--duration",
    type=float,
    help="Robot time after the robot first stands [s]. [default: 10 with --headless, else no end]",
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
    help="Lateral pushes: impulse J [N s], over 0.1 s, at the time t after standing [s].",
)
@click.option(
    "--pushes-every",
    type=float,
    help="Push once in each period of this length [s], at a random time, from alternating sides.",
)
@click.option(
    "--push-impulse",
    type=float,
    default=25.0,
    show_default=True,
    help="Impulse of the pushes of --pushes-every [N s].",
)
@click.option(
    "--remote",
    default="",
    metavar="BUTTONS[:AXIS=VALUE...]@FROM-TO,...",
    help="Inputs held on the robot's remote, e.g. R1:ly=0.5@1-4,L2+B@6-6.2 [s after standing].",
)
@click.option(
    "--friction",
    type=float,
    default=0.8,
    show_default=True,
    help="Friction coefficient between feet and ground.",
)
@payload_option
@click.option(
    "--start",
    type=click.Choice(tuple(STARTS)),
    default="belly",
    show_default=True,
    help="Pose of the robot at the start.",
)
@motor_delay_option
@click.option(
    "--terrain",
    type=TerrainName(),
    default="flat",
    show_default=True,
    help="Ground: flat, slope of 15 deg, stairs of 6 cm, rough with bumps of 5 cm, or a tile of"
    " ALARM with its level from 0 to 9: up_slopes, down_slopes, up_stairs, down_stairs or"
    " obstacles, e.g. up_stairs:6.",
)
@click.option(
    "--graph",
    type=click.Choice(GRAPHS),
    default="composed",
    show_default=True,
    help="Run the stack in one process (composed) or as five nodes.",
)
@click.option(
    "--headless",
    is_flag=True,
    help="Run without demonstration, keyboard and viewer, as fast as possible.",
)
@click.option(
    "--viewer/--no-viewer",
    default=None,
    help="Show the robot in a web browser and print the address. [default: with the"
    " demonstration, when viser is installed]",
)
@click.option(
    "--viewer-host",
    default="127.0.0.1",
    show_default=True,
    help="Address that the web viewer listens on; 0.0.0.0 lets a phone of this network in.",
)
@click.option(
    "--viewer-port",
    type=click.IntRange(1, 65535),
    default=8080,
    show_default=True,
    help="Port of the web viewer; the next free one when it is taken.",
)
@click.option(
    "--lock-step/--wall-clock",
    default=None,
    help="The robot waits for its controller, so that equal seeds give equal runs; or it keeps"
    " real time. [default: lock-step; wall-clock with --duration but no --headless]",
)
@click.option(
    "--realtime",
    is_flag=True,
    help="Ask for real-time scheduling as on a robot, see section `realtime` of the bridge.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of sensor noise, terrain, pushes and random commands.",
)
@click.option(
    "--random-commands",
    is_flag=True,
    help="Command a new random velocity every 2 to 4 s.",
)
@click.option(
    "--script",
    default="",
    metavar="REQUEST@t[:vx:vy:wz],...",
    help="Requests of the operator, e.g. stand@0,walk@1:0.5:0:0,sit@10 [s, m/s, m/s, rad/s].",
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
    help="Record an episode of each walk, logs and ground truth in this folder.",
)
@click.option(
    "--save-states",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the LowStates from 1 s before standing to this file (.npz), for replay.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report to this JSON file.",
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
    """Walk a simulated robot with the whole stack, over the same wire as the real robot.

    Without --headless the robot shows a short demonstration. Then it follows keyboard or
    browser until Ctrl-C. Exit status: 0 when the run completed and the robot did not fall, 3
    when it fell, 2 for bad usage.
    """
    watched = (
        not headless
        and duration is None
        and not options["script"]
        and not options["random_commands"]
    )
    if duration is None and not watched:
        duration = HEADLESS_DURATION
    if vx is None:
        vx = DEMONSTRATION_VX if watched else 0.0
    if lock_step is None:
        lock_step = headless or watched
    if viewer is None:
        viewer = watched and viewer_installed()
    settings = SimSettings(vx=vx, duration=duration, lock_step=lock_step, viewer=viewer, **options)
    settings.check()
    screen = Console(stderr=True)
    with record_folder(record) as folder:
        outcome = run(settings, folder, screen, record=record is not None)
        if watched:
            return COMPLETED
        try:
            figures = build_report(settings, folder, outcome)
        except SafeLocomotionError:
            if not outcome.interrupted:
                raise
            screen.print("ended before the robot stood; there is no report")
            return INTERRUPTED
        if settings.save_states is not None:
            write_states(folder, figures["stood_at_s"], settings.save_states)
    return _answer(figures, report, interrupted=outcome.interrupted)


def _answer(figures: dict[str, Any], report: Path | None, *, interrupted: bool) -> int:
    """Write and print the figures; return the exit status."""
    if report is not None:
        write_json("--report", report, figures)
    console().print(_table(figures))
    if interrupted:
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
    p50, p99, longest = map(_number, (latency["p50"], latency["p99"], latency["max"]))
    table.add_row("state to command", f"median {p50}, p99 {p99}, max {longest} ms")
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
