"""`safe-locomotion policy`: what policy files say, whether they may fly, and files of others made ours."""

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

import click
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from safe_locomotion.config import load_config
from safe_locomotion.errors import PolicyRefusedError, SafeLocomotionError
from safe_locomotion.policy_contract import Numbers, Origin, PolicyContract
from safe_locomotion.policy_file import SUFFIX, check_fit, find_policy, policy_folders, read_policy, write_policy
from safe_locomotion.policy_runtime import PolicyRuntime
from safe_locomotion.robots import load_robot, robot_names
from safe_locomotion.types import N_JOINTS, Estimate, VelocityCommand

PLAIN_WIDTH = 160  # columns where the output is no terminal
FLIES, MUST_NOT_FLY = 0, 1
LATENCY_STEPS = 2_000
LATENCY_MAX_MS = 0.5  #: median of a whole step: a quarter of the time between two LowStates


@click.group()
def policy() -> None:
    """Look into policy files, check whether they may fly, and import those of others."""


@policy.command("ls")
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
def list_policies(folder: Path | None) -> int:
    """List the policies that are installed, or those in FOLDER."""
    table = Table(box=None, title_justify="left")
    for heading in ("name", "kind", "rate", "robot", "observation", "network", "origin"):
        table.add_column(heading, overflow="fold")
    folders = policy_folders() if folder is None else (folder,)
    files = sorted(path for folder in folders for path in folder.glob(f"*{SUFFIX}"))
    for path in files:
        try:
            table.add_row(path.stem, *map(escape, _row(read_policy(path)[0])))
        except PolicyRefusedError as error:
            table.add_row(path.stem, f"[red]{escape(str(error))}[/]")
    _console().print(table if files else f"no policies in {', '.join(map(str, folders)) or 'this installation'}")
    return 0


@policy.command()
@click.argument("file")
def info(file: str) -> int:
    """Print the contract of FILE, a path or the name of an installed policy."""
    contract, data = read_policy(_locate(file))
    console = _console()
    console.print(_head(contract, len(data)), "", _observation(contract), "")
    console.print(_gait_action(contract) if contract.gait is not None else _joint_action(contract))
    return 0


@policy.command()
@click.argument("file")
@click.option("--robot", type=click.Choice(robot_names()), help="Judge it for this robot.  [default: the contract's]")
def check(file: str, robot: str | None) -> int:
    """Judge whether FILE may fly: contract, shapes, parity with its recorded pairs, latency.

    Exit status 0 when it may, 1 with the reasons when it must not.
    """
    console, verdicts = _console(), list[bool]()

    def step(name: str, judge: Callable[[], str]) -> bool:
        try:
            text, passed = judge(), True
        except SafeLocomotionError as error:
            text, passed = str(error), False
        verdicts.append(passed)
        console.print(f"[green]ok[/]       {name}: {escape(text)}" if passed else f"[red]refused[/]  {name}: {escape(text)}")
        return passed

    found: list[tuple[PolicyContract, bytes]] = []
    loaded: list[PolicyRuntime] = []
    if step("contract", lambda: _read(file, found)):
        step("robot", lambda: _fit(found[0][0], robot))
        if step("parity", lambda: _load(*found[0], loaded)):
            step("latency", lambda: _latency(loaded[0]))
    console.print("it may fly" if all(verdicts) else "it must not fly")
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
    pairs, tolerance = len(contract.parity.actions), contract.parity.tolerance
    return f"{pairs} recorded pairs, largest difference {loaded[0].parity_error:.1e} of {tolerance:g}"


def _known_robot(contract: PolicyContract) -> str:
    """The contract's robot.

    Raises:
        PolicyRefusedError: not one that is known here.
    """
    if contract.robot not in robot_names():
        raise PolicyRefusedError(f"robot: expected one of {', '.join(robot_names())}, found {contract.robot!r}")
    return contract.robot


def _latency(runtime: PolicyRuntime) -> str:
    """Times of whole steps, from estimate to proposal, on a standing robot."""
    estimate, command, spent = _standing(runtime.contract.robot), VelocityCommand(vx=0.3), np.empty(LATENCY_STEPS)
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


class NumberList(click.ParamType):
    """Twelve numbers separated by commas, or one for all joints."""

    name = "number[,...]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Numbers:
        """The twelve."""
        try:
            numbers = tuple(float(word) for word in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not numbers separated by commas", param, ctx)
        if len(numbers) not in (1, N_JOINTS):
            self.fail(f"expected 1 or {N_JOINTS} numbers, found {len(numbers)}", param, ctx)
        return numbers * (N_JOINTS // len(numbers))


@policy.command("import")
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--robot", type=click.Choice(robot_names()), default="a1", show_default=True, help="Robot it was trained for.")
@click.option("--rate", type=int, default=50, show_default=True, help="Policy steps per second.")
@click.option("--layout", type=click.Choice(["auto", "mjlab", "legged_gym"]), default="auto", show_default=True)
@click.option("--order", help="Joint order: sdk, isaac, or twelve names.  [default: the file's, or isaac]")
@click.option("--kp", type=NumberList(), help="Stiffness [Nm/rad], in that order.  [default: the file's, or 20]")
@click.option("--kd", type=NumberList(), help="Damping [Nm s/rad].  [default: the file's, or 0.5]")
@click.option("--scale", type=NumberList(), help="Of the action [rad].  [default: the file's, or 0.25]")
@click.option("--pose", type=NumberList(), help="Default pose [rad].  [default: the file's, or legged_gym's A1]")
@click.option("--clip", type=float, help="Bound on each number of the action.  [default: none, or 100]")
@click.option("--limit", type=float, default=100.0, show_default=True, help="An action beyond it is a fault of the policy.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of its training, for the record.")
@click.option("--commit", default="unknown", show_default=True, help="Of its training code, for the record.")
@click.option("--command", default="unknown", show_default=True, help="That trained it, for the record.")
def import_policy(
    *,
    source: Path,
    target: Path,
    robot: str,
    rate: int,
    layout: str,
    order: str | None,
    kp: Numbers | None,
    kd: Numbers | None,
    scale: Numbers | None,
    pose: Numbers | None,
    clip: float | None,
    limit: float,
    seed: int,
    commit: str,
    command: str,
) -> int:
    """Make a policy file TARGET from an ONNX file SOURCE of others: rsl_rl and mjlab exports, legged_gym's 45 or 48 numbers.

    Exporters round: mjlab writes gains, pose and scales with three decimals. Options that give them in full win.
    """
    from safe_locomotion.policy_import import ImportOptions, detect_layout, import_contract

    options = ImportOptions(
        name=target.stem,
        robot=robot,
        rate_hz=rate,
        origin=Origin(command=command, seed=seed, commit=commit),
        action_limit=limit,
        order=_order(order),
        kp=kp,
        kd=kd,
        scale=scale,
        default_pose=pose,
        clip=clip,
    )
    model = _load_model(source)
    found = detect_layout(model) if layout == "auto" else layout
    contract = import_contract(model, found, options)
    check_fit(contract, load_robot(robot), load_config(robot).bridge.limits)
    write_policy(model, contract, target)
    click.echo(f"{target}: {found} layout, {contract.observation_width} numbers in; look at it with: policy info {target}")
    if found == "mjlab" and None in (kp, kd, scale, pose):
        click.echo("note: gains, pose and scales come from the file, rounded to three decimals by its exporter", err=True)
    return 0


def _load_model(source: Path):  # type: ignore[no-untyped-def]
    import onnx

    try:
        return onnx.load(str(source))  # weights in a file beside it come along
    except Exception as error:  # of protobuf and of the file system
        raise PolicyRefusedError(f"{source}: expected an ONNX model, found an error: {error}") from error


def _order(text: str | None) -> tuple[str, ...] | None:
    from safe_locomotion.policy_import import ORDERS

    return None if text is None else ORDERS.get(text, tuple(name.strip() for name in text.split(",")))


def _locate(file: str) -> Path:
    """A path as it is given, else the policy of that name."""
    path = Path(file)
    return path.resolve() if path.is_file() else find_policy(file)


def _row(c: PolicyContract) -> tuple[str, ...]:
    network = "recurrent" if c.recurrent else "feed-forward"
    return c.kind, f"{c.rate_hz} Hz", c.robot, str(c.observation_width), network, f"{c.origin.command} (seed {c.origin.seed})"


def _head(c: PolicyContract, size: int) -> Table:
    table = Table(box=None, show_header=False, title=escape(c.name), title_justify="left")
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    assert c.parity is not None
    for key, value in (
        ("kind", c.kind),
        ("robot", c.robot),
        ("rate", f"{c.rate_hz} Hz"),
        ("command", c.origin.command),
        ("seed", c.origin.seed),
        ("commit", c.origin.commit),
        ("tensors", f"{c.observation_input} [1, {c.observation_width}] -> {c.action_output} [1, {c.action_width}]"),
        *(("memory", f"{pair.input} {list(pair.shape)} -> {pair.output}") for pair in c.recurrent),
        ("action limit", f"{c.action_limit:g}"),
        ("recorded pairs", f"{len(c.parity.actions)}, tolerance {c.parity.tolerance:g}"),
        ("size", f"{size / 1024:.0f} KiB"),
    ):
        table.add_row(key, escape(str(value)))
    return table


def _observation(c: PolicyContract) -> Table:
    table = Table(box=None, title="observation", title_justify="left")
    for heading in ("at", "term", "width", "scale"):
        table.add_column(heading, overflow="fold")
    at = 0
    for term in c.observation:
        same = len(set(term.scale)) == 1
        table.add_row(str(at), term.name, str(term.width), _numbers(term.scale[:1] if same else term.scale))
        at += term.width
    return table


def _gait_action(c: PolicyContract) -> Table:
    assert c.gait is not None
    table = Table(box=None, title=f"action, each number within +-{c.gait.clip:g}", title_justify="left")
    for heading in ("at", "term", "meaning", "scale", "nominal", "lower", "upper"):
        table.add_column(heading, overflow="fold")
    at = 0
    for term in c.gait.terms:
        meaning = "value" if term.name == "foot_y" else "change"
        table.add_row(str(at), term.name, meaning, *map(_numbers, (term.scale, term.nominal, term.lower, term.upper)))
        at += term.width
    return table


def _joint_action(c: PolicyContract) -> Table:
    assert c.joint is not None
    bound = "" if c.joint.clip is None else f", each number within +-{c.joint.clip:g}"
    table = Table(box=None, title=f"action: q = default + scale a{bound}", title_justify="left")
    for heading in ("at", "joint", "default [rad]", "scale [rad]", "kp [Nm/rad]", "kd [Nm s/rad]"):
        table.add_column(heading, justify="left" if heading == "joint" else "right")
    for i, name in enumerate(c.joint_order):
        numbers = (c.default_pose[i], c.joint.scale[i], c.joint.kp[i], c.joint.kd[i])
        table.add_row(str(i), name, *(f"{x:.6g}" for x in numbers))
    return table


def _numbers(values: Numbers) -> str:
    return ", ".join(f"{value:.6g}" for value in values)


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
