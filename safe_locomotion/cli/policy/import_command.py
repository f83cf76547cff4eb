"""`safe-locomotion policy import`: make a policy file from an ONNX file of another project."""

from pathlib import Path

import click

from safe_locomotion.cli.options import robot_option
from safe_locomotion.config import load_config
from safe_locomotion.policy.contract import Origin, PolicyContract
from safe_locomotion.policy.file import check_fit, write_policy
from safe_locomotion.policy.importers import (
    ORDERS,
    ImportOptions,
    detect_layout,
    import_contract,
    load_foreign,
)
from safe_locomotion.policy.refusal import Numbers
from safe_locomotion.robot.models import load_robot
from safe_locomotion.types import N_JOINTS


class NumberList(click.ParamType):
    """Twelve numbers separated by commas, or one number for all joints."""

    name = "number[,...]"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> Numbers:
        """Numbers of the twelve joints."""
        try:
            numbers = tuple(float(word) for word in value.split(","))
        except ValueError:
            self.fail(f"{value!r}: must be numbers separated by commas", param, ctx)
        if len(numbers) not in (1, N_JOINTS):
            self.fail(f"expected 1 or {N_JOINTS} numbers, found {len(numbers)}", param, ctx)
        return numbers * (N_JOINTS // len(numbers))


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@robot_option
@click.option("--rate", type=int, default=50, show_default=True, help="Policy steps per second.")
@click.option(
    "--layout",
    type=click.Choice(["auto", "mjlab", "legged_gym"]),
    default="auto",
    show_default=True,
    help="Layout of the observation and the metadata.",
)
@click.option(
    "--order", help="Joint order: sdk, isaac, or twelve names.  [default: the file's, or isaac]"
)
@click.option(
    "--kp",
    type=NumberList(),
    help="Stiffness of the joints [Nm/rad], in that order.  [default: the file's, or 20]",
)
@click.option(
    "--kd",
    type=NumberList(),
    help="Damping of the joints [Nm s/rad].  [default: the file's, or 0.5]",
)
@click.option(
    "--scale",
    type=NumberList(),
    help="Scale of the action [rad].  [default: the file's, or 0.25]",
)
@click.option(
    "--pose",
    type=NumberList(),
    help="Default pose [rad].  [default: the file's, or legged_gym's A1]",
)
@click.option(
    "--clip", type=float, help="Bound on each number of the action.  [default: none, or 100]"
)
@click.option(
    "--limit",
    type=float,
    default=100.0,
    show_default=True,
    help="Limit of each number of the action; beyond it the policy is faulty.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Seed of the training, for the record.",
)
@click.option(
    "--commit",
    default="unknown",
    show_default=True,
    help="Commit of the training code, for the record.",
)
@click.option(
    "--command",
    default="unknown",
    show_default=True,
    help="Command of the training, for the record.",
)
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
    """Import an ONNX file of another project.

    SOURCE is an export of rsl_rl or mjlab, or a network with legged_gym's observation of 45 or
    48 numbers. The policy file TARGET is written. mjlab rounds gains, pose and scales to three
    decimals. Give them as options to have them exact; options take precedence over the file.
    """
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
    model = load_foreign(source)
    found = detect_layout(model) if layout == "auto" else layout
    contract = import_contract(model, found, options)
    check_fit(contract, load_robot(robot), load_config(robot).bridge.limits)
    write_policy(model, contract, target)
    rounded = found == "mjlab" and None in (kp, kd, scale, pose)
    _announce(contract, target, found, rounded)
    return 0


def _announce(contract: PolicyContract, target: Path, found: str, rounded: bool) -> None:
    """Print what was written, and a note when numbers are rounded."""
    click.echo(
        f"{target}: {found} layout, observation of {contract.observation_width} numbers;"
        f" show it with: safe-locomotion policy info {target}"
    )
    if rounded:
        click.echo(
            "note: the file holds gains, pose and scales rounded to three decimals by its exporter",
            err=True,
        )


def _order(text: str | None) -> tuple[str, ...] | None:
    """Joint names of a named order or of a list."""
    if text is None:
        return None
    return ORDERS.get(text, tuple(name.strip() for name in text.split(",")))
