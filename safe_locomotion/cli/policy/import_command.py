"""`safe-locomotion policy import`: make a policy file from the network of another project."""

from pathlib import Path
from typing import Any

import click
import onnx
from rich.markup import escape
from rich.table import Table

from safe_locomotion.cli.options import robot_option
from safe_locomotion.cli.output import console
from safe_locomotion.cli.policy.import_options import (
    action_options,
    layout_options,
    observation_options,
    origin_options,
)
from safe_locomotion.config import load_config
from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.contract import Origin, PolicyContract
from safe_locomotion.policy.file import SUFFIX, check_fit, write_policy
from safe_locomotion.policy.importers.foreign_policy import (
    ForeignPolicy,
    detect_layout,
    import_foreign,
)
from safe_locomotion.policy.importers.joint_names import joint_order
from safe_locomotion.policy.importers.layout import ImportOptions
from safe_locomotion.policy.importers.network_file import (
    TORCH_SUFFIXES,
    load_foreign,
    without_expand,
)
from safe_locomotion.policy.importers.term_names import scales_from_text, terms_from_text
from safe_locomotion.policy.refusal import Numbers, refuse
from safe_locomotion.policy.term import ObservationHistory
from safe_locomotion.robot.models import load_robot

#: Run where torch is; O is the number of values observed.
CONVERSION = (
    'python -c "import torch; torch.onnx.export(torch.jit.load({source!r}), torch.zeros(1, O),'
    " {target!r}, input_names=['obs'], output_names=['actions'], dynamo=False)\""
)


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@robot_option
@layout_options
@action_options
@observation_options
@origin_options
def import_policy(
    *,
    source: Path,
    target: Path,
    robot: str,
    layout: str | None,
    config: str | None,
    encoder: str | None,
    **given: Any,
) -> int:
    """Import the network of another project, ONNX or TorchScript.

    The policy file TARGET is written from SOURCE. A layout is never guessed. Values come from the
    options, else from the project's file (--config), else from the layout; a table says which.
    docs/policy_zoo.md has a command for each layout.
    """
    _check_target(target, source)
    model = read_network(source)
    found = layout or detect_layout(model)
    policy = import_foreign(
        model,
        found,
        _options(robot, target.stem, given),
        config=None if config is None else Path(config),
        encoder=None if encoder is None else read_network(Path(encoder)),
    )
    check_fit(policy.contract, load_robot(robot), load_config(robot).bridge.limits)
    write_policy(policy.model, policy.contract, target)
    rounded = found == "mjlab" and None in [given[key] for key in ("kp", "kd", "scale", "pose")]
    _announce(policy, target, rounded=rounded)
    return 0


def _check_target(target: Path, source: Path) -> None:
    """Refuse a target that no command would find, or that would replace the source.

    Raises:
        PolicyRefusedError: says which.
    """
    if target.suffix != SUFFIX:
        raise refuse("TARGET", f"a name that ends in {SUFFIX}", target)
    if target.exists() and target.samefile(source):
        raise refuse("TARGET", "another file than SOURCE, which it would replace", target)


def read_network(path: Path) -> onnx.ModelProto:
    """The network in an ONNX or TorchScript file.

    Raises:
        PolicyRefusedError: the file is neither, or torch is not installed.
    """
    if path.suffix not in TORCH_SUFFIXES:
        return without_expand(load_foreign(path))
    try:
        from safe_locomotion.training.torchscript import read_torchscript
    except ModuleNotFoundError:
        line = CONVERSION.format(source=str(path), target=f"{path.stem}.onnx")
        message = f"{path.name} is TorchScript: expected torch, found none. Convert it where torch"
        raise PolicyRefusedError(f"{message} is, with O inputs, by: {line}") from None
    return without_expand(read_torchscript(path))


def _options(robot: str, name: str, given: dict[str, Any]) -> ImportOptions:
    """What the command line says."""
    order = given["order"]
    terms = given["terms"]
    scales = given["obs_scale"]
    return ImportOptions(
        name=name,
        robot=robot,
        rate_hz=given["rate"],
        origin=Origin(command=given["command"], seed=given["seed"], commit=given["commit"]),
        action_limit=given["limit"],
        order=None if order is None else joint_order(order),
        kp=given["kp"],
        kd=given["kd"],
        scale=given["scale"],
        default_pose=given["pose"],
        clip=given["clip"],
        terms=None if terms is None else terms_from_text(terms),
        term_scales={} if scales is None else scales_from_text(scales),
        frames=given["history"],
        history=_history(given),
        observation_clip=given["obs_clip"],
        behaviour=given["behaviour"],
    )


def _history(given: dict[str, Any]) -> ObservationHistory | None:
    if given["history_order"] is None:
        return None
    return ObservationHistory(order=given["history_order"], start=given["history_start"])


def _announce(policy: ForeignPolicy, target: Path, *, rounded: bool) -> None:
    """Print what was written, where it comes from, and what is not known."""
    table = Table(box=None, title=escape(f"{target}: layout {policy.contract.layout}"))
    table.title_justify = "left"
    for heading in ("", "value", "from"):
        table.add_column(heading, overflow="fold")
    for name, value, key in _values(policy.contract):
        table.add_row(name, escape(value), escape(policy.sources[key]))
    console().print(table)
    click.echo(
        "Whether this layout is right is not known yet: its recorded pairs come from the file"
        f" itself.\nOnly a flight shows it: safe-locomotion policy check {target} --fly"
    )
    if rounded:
        click.echo(
            "note: the file holds gains, pose and scales rounded to three decimals by its exporter",
            err=True,
        )


def _values(c: PolicyContract) -> list[tuple[str, str, str]]:
    """Name, value and key of the source of each value."""
    assert c.joint is not None
    terms = ", ".join(f"{term.name} x {term.scale[0]:g}" for term in c.observation)
    return [
        ("rate", f"{c.rate_hz} Hz", "rate_hz"),
        ("joint order", " ".join(c.joint_order), "order"),
        ("observation", f"{c.observation_width} numbers: {terms}", "terms"),
        ("default pose", _numbers(c.default_pose), "default_pose"),
        ("action scale", _numbers(c.joint.scale), "scale"),
        ("kp", _numbers(c.joint.kp), "kp"),
        ("kd", _numbers(c.joint.kd), "kd"),
    ]


def _numbers(values: Numbers) -> str:
    listed = values[:1] if len(set(values)) == 1 else values
    return " ".join(f"{value:g}" for value in listed)
