"""`safe-locomotion policy`: what policy files say, whether they may fly, and (in `policy.importers`) files of others made ours."""

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

import click
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from safe_locomotion.cli.policy.importing import import_policy
from safe_locomotion.cli.policy.tables import action, head, observation, row
from safe_locomotion.config import load_config
from safe_locomotion.errors import PolicyRefusedError, SafeLocomotionError
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.file import SUFFIX, check_fit, find_policy, policy_folders, read_policy
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.robot.models import load_robot, robot_names
from safe_locomotion.types import N_JOINTS, Estimate, VelocityCommand

PLAIN_WIDTH = 160  # columns where the output is no terminal
FLIES = 0
MUST_NOT_FLY = 1
LATENCY_STEPS = 2_000
LATENCY_MAX_MS = 0.5  #: median of a whole step: a quarter of the time between two LowStates


@click.group()
def policy() -> None:
    """Look into policy files, check whether they may fly, and import those of others."""


policy.add_command(import_policy)


@policy.command("ls")
@click.argument(
    "folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True)
)
def list_policies(folder: Path | None) -> int:
    """List the policies that are installed, or those in FOLDER."""
    table = Table(box=None, title_justify="left")
    for heading in ("name", "kind", "rate", "robot", "observation", "network", "origin"):
        table.add_column(heading, overflow="fold")
    folders = policy_folders() if folder is None else (folder,)
    files = sorted(path for folder in folders for path in folder.glob(f"*{SUFFIX}"))
    for path in files:
        try:
            table.add_row(path.stem, *map(escape, row(read_policy(path)[0])))
        except PolicyRefusedError as error:
            table.add_row(path.stem, *[""] * 5, f"[red]{escape(str(error))}[/]")
    console().print(
        table if files else f"no policies in {', '.join(map(str, folders)) or 'this installation'}"
    )
    return 0


@policy.command()
@click.argument("file")
def info(file: str) -> int:
    """Print the contract of FILE, a path or the name of an installed policy."""
    contract, data = read_policy(_locate(file))
    console().print(head(contract, len(data)), "", observation(contract), "", action(contract))
    return 0


@policy.command()
@click.argument("file")
@click.option(
    "--robot",
    type=click.Choice(robot_names()),
    help="Judge it for this robot.  [default: the contract's]",
)
def check(file: str, robot: str | None) -> int:
    """Judge whether FILE may fly: contract, shapes, parity with its recorded pairs, latency.

    Exit status 0 when it may, 1 with the reasons when it must not.
    """
    out = console()
    verdicts = list[bool]()

    def step(name: str, judge: Callable[[], str]) -> bool:
        try:
            text = judge()
            passed = True
        except SafeLocomotionError as error:
            text = str(error)
            passed = False
        verdicts.append(passed)
        out.print(
            f"[green]ok[/]       {name}: {escape(text)}"
            if passed
            else f"[red]refused[/]  {name}: {escape(text)}"
        )
        return passed

    found: list[tuple[PolicyContract, bytes]] = []
    loaded: list[PolicyRuntime] = []
    if step("contract", lambda: _read(file, found)):
        step("robot", lambda: _fit(found[0][0], robot))
        if step("parity", lambda: _load(*found[0], loaded)):
            step("latency", lambda: _latency(loaded[0]))
    out.print("it may fly" if all(verdicts) else "it must not fly")
    return FLIES if all(verdicts) else MUST_NOT_FLY


def _read(file: str, found: list[tuple[PolicyContract, bytes]]) -> str:
    found.append(read_policy(_locate(file)))
    c = found[0][0]
    memories = "".join(f", {pair.input}{list(pair.shape)} -> {pair.output}" for pair in c.recurrent)
    return f"{c.kind}, {c.rate_hz} Hz, {c.observation_width} numbers in, {c.action_width} out{memories}"


def _fit(contract: PolicyContract, robot: str | None) -> str:
    name = robot or _known_robot(contract)
    check_fit(contract, load_robot(name), load_config(name).bridge.limits)
    return f"{name}, gains, pose and bounds within its limits"


def _load(contract: PolicyContract, data: bytes, loaded: list[PolicyRuntime]) -> str:
    loaded.append(PolicyRuntime(contract, data, load_robot(_known_robot(contract))))
    assert contract.parity is not None
    pairs = len(contract.parity.actions)
    tolerance = contract.parity.tolerance
    return (
        f"{pairs} recorded pairs, largest difference {loaded[0].parity_error:.1e} of {tolerance:g}"
    )


def _known_robot(contract: PolicyContract) -> str:
    """The contract's robot.

    Raises:
        PolicyRefusedError: not one that is known here.
    """
    if contract.robot not in robot_names():
        raise PolicyRefusedError(
            f"robot: expected one of {', '.join(robot_names())}, found {contract.robot!r}"
        )
    return contract.robot


def _latency(runtime: PolicyRuntime) -> str:
    """Times of whole steps, from estimate to proposal, on a standing robot."""
    estimate = _standing(runtime.contract.robot)
    command = VelocityCommand(vx=0.3)
    spent = np.empty(LATENCY_STEPS)
    for i in range(LATENCY_STEPS):
        start = perf_counter_ns()
        runtime.act(estimate, command)
        spent[i] = perf_counter_ns() - start
    p50, p99 = (float(np.percentile(spent, q)) * 1e-6 for q in (50, 99))
    text = f"median {p50:.3f} ms, p99 {p99:.3f} ms, from estimate to proposal"
    if not p50 <= LATENCY_MAX_MS:
        raise PolicyRefusedError(f"expected a median of at most {LATENCY_MAX_MS} ms, found {text}")
    return text


def _standing(robot: str) -> Estimate:
    model = load_robot(robot)
    return Estimate(
        stamp_ns=1,
        position=np.array((0.0, 0.0, model.nominal_height)),
        quaternion_wxyz=np.array((1.0, 0.0, 0.0, 0.0)),
        velocity=np.zeros(3),
        angular_velocity=np.zeros(3),
        position_covariance=np.zeros((3, 3)),
        velocity_covariance=np.zeros((3, 3)),
        q=model.q_stand,
        dq=np.zeros(N_JOINTS),
        contact=np.ones(4, dtype=np.bool_),
        ground_normal=np.array((0.0, 0.0, 1.0)),
        ground_height=0.0,
        diverged=False,
    )


def _locate(file: str) -> Path:
    """A path as it is given, else the policy of that name."""
    path = Path(file)
    return path.resolve() if path.is_file() else find_policy(file)


def console() -> Console:
    """For what the user asked to see."""
    return Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
