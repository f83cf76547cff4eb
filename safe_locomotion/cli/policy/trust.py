"""`safe-locomotion policy allow`, `sign` and `key`: which policy files a robot takes."""

from pathlib import Path

import click

from safe_locomotion.cli.output import console
from safe_locomotion.policy.allow_list import allow as add_digest
from safe_locomotion.policy.allow_list import append
from safe_locomotion.policy.file import find_policy, read_policy
from safe_locomotion.policy.refusal import refuse
from safe_locomotion.policy.signature import ALGORITHM, make_key
from safe_locomotion.policy.signature import sign as add_signature

A_PATH = click.Path(path_type=Path, dir_okay=False)


def locate(file: str) -> Path:
    """A path as it is given, else the installed policy of that name.

    Raises:
        PolicyRefusedError: it is a folder, or there is no such policy.
    """
    path = Path(file)
    if path.is_dir():
        raise refuse("policy", "a file, or the name of an installed policy", f"the folder {file}")
    return path.resolve() if path.is_file() else find_policy(file)


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--list", "where", type=A_PATH, required=True, help="List to add to.")
def allow(files: tuple[str, ...], where: Path) -> int:
    """Let a robot take these policies.

    FILES are paths or names of installed policies. The SHA-256 of each is added to the list.
    `allowed_policies:=LIST` of the launch files then takes them.
    """
    for file in files:
        path = locate(file)
        _, data = read_policy(path)
        add_digest(path, data, where)
        console().print(f"{path.name} is allowed by {where}")
    return 0


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--key", type=A_PATH, required=True, help="Private key of `policy key`.")
def sign(files: tuple[str, ...], key: Path) -> int:
    """Sign these policies.

    FILES are paths or names of installed policies. The signature of FILE is in FILE.sig beside it.
    """
    for file in files:
        path = locate(file)
        _, data = read_policy(path)
        console().print(f"signed: {add_signature(path, data, key)}")
    return 0


@click.command()
@click.argument("file", type=A_PATH)
@click.option("--list", "where", type=A_PATH, help="List of a robot that is to trust the key.")
@click.option("--owner", default="unnamed", show_default=True, help="Who signs with it.")
def key(file: Path, where: Path | None, owner: str) -> int:
    """Make a key that signs policies.

    FILE becomes the private key. The public one is printed as a line of a list.
    """
    line = f"{ALGORITHM} {make_key(file)} {' '.join(owner.split())}"
    if where is not None:
        append(where, line)
    console().print(line, soft_wrap=True)
    return 0
