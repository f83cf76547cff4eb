"""Commands in the pages: how they are found, and how each is checked without running it."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import setuptools
from places import ROOT

from safe_locomotion.cli.main import cli
from safe_locomotion.operator.requests import REQUESTS
from safe_locomotion.runtime import stack
from safe_locomotion.runtime.launch_arguments import options_from_launch
from safe_locomotion.shared_files import find_share

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))

#: First words of commands in running text; other code there is a name, a value or a file.
IN_TEXT = ("safe-locomotion", "make", "ros2", "source", "export", "sudo", "ip", "python3")
#: Mark of commands that need a robot; what stands before the mark is checked.
ON_ROBOT = "# on the robot"
#: Commands of the shell and of the system, which are not checked.
SYSTEM = {"eval", "source", "export", "sudo", "echo", "ping", "ip", "python3", "curl", "docker"}
#: Words of the pages that stand for a name or folder of the reader, with one that exists.
STAND_INS = {
    "$ROS_DISTRO": "jazzy",
    "FILE": "file",
    "DIR": "folder",
    "NAME": "a1_trot",
    "my_walk": "a1_trot",
    "my_robot": "go2",
    "mine.onnx": "a1_trot",
    "[--robot a1]": "--robot a1",
}
#: Files and folders that commands of the pages read; the test makes them.
FILES = (
    "policy.onnx",
    "go2.urdf",
    "test/data/quad48.urdf",
    "policy.pt",
    "policy_1.pt",
    "body_latest.jit",
    "adaptation_module_latest.jit",
    "IO_descriptors.yaml",
    "deploy.yaml",
    "config.yaml",
    "parameters.pkl",
    "my_a1.yaml",
    "set.png",
)
FOLDERS = ("test/data", "walk", "runs/joint", "runs/gait")


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command line of a page.

    Attributes:
        page: name of the file.
        line: its number there.
        text: the command.
        in_text: it stands in running text, not in a block of code.
        on_robot: it is marked as one that needs a robot.
    """

    page: str
    line: int
    text: str
    in_text: bool = False
    on_robot: bool = False

    @property
    def words(self) -> list[str]:
        """Split as a shell does, with stand-ins."""
        text = self.text
        for name, value in STAND_INS.items():
            text = (
                text.replace(name, value)
                if name[0] in "$["
                else re.sub(rf"\b{name}\b", value, text)
            )
        text = re.sub(r"\[(--[^\]]*)\]", r"\1", text)
        text = re.sub(r"(?<=[a-z_])\|[a-z_|]+", "", text)
        words = shlex.split(text)
        return ["safe-locomotion", *words[1:]] if words[0] == ".venv/bin/safe-locomotion" else words


def commands(page: Path) -> list[Command]:
    """All command lines of a page, in code blocks and in running text."""
    found = []
    fence = ""
    for number, row in enumerate(page.read_text().splitlines(), 1):
        if row.lstrip().startswith("```"):
            fence = "" if fence else row.strip("` ") or "sh"
            continue
        inside = fence == "sh" or (not fence and row.startswith("    "))
        texts = [row.strip()] if inside else [] if fence else _in_text(row)
        for text in texts:
            if text:
                found += _parts(page, number, text, not inside)
    return found


def _in_text(row: str) -> list[str]:
    codes = re.findall(r"`([^`]+)`", row)
    return [
        code
        for code in codes
        if code.split()[0] in IN_TEXT and len(code.split()) > 1 and "..." not in code
    ]


def _parts(page: Path, number: int, text: str, in_text: bool) -> list[Command]:
    plain = re.split(r"\s+#\s", text)[0]
    return [
        Command(
            page=page.name,
            line=number,
            text=part.split(" | ")[0].strip(),
            in_text=in_text,
            on_robot=ON_ROBOT in text,
        )
        for part in plain.split(" && ")
    ]


def check(command: Command) -> None:
    """Refuse a command that the code does not know.

    Raises:
        AssertionError, click.ClickException, SafeLocomotionError: it would fail.
    """
    head = command.words[0]
    if head in SYSTEM:
        return
    assert head in CHECKS, (
        f"{head}: this command has no check; add one to CHECKS in test/helpers/doc_commands.py"
    )
    CHECKS[head](command.words[1:])


def check_program(words: list[str]) -> None:
    """`safe-locomotion`: the real parsers read the options.

    A simulation goes on to the point where its processes would start.
    """
    command: click.Command = cli
    parent = click.Context(cli)
    while isinstance(command, click.Group):
        found = command.get_command(parent, words[0])
        assert found is not None, words
        command = found
        words = words[1:]
    if not {"--help", "-h"} & set(words):
        context = command.make_context(command.name, list(words), parent=parent)
        if command.name == "sim":
            try:
                context.invoke(command.callback, **context.params)
            except Started:
                return


class Started(Exception):
    """Raised in place of the processes of a simulation."""


def stop_before_start(settings, folder, console, *, record):
    """Describe every process of the stack and start none; takes the place of `run` in cli.sim."""
    settings.processes(folder, 7, record=record)
    raise Started


def check_make(words: list[str]) -> None:
    """The target is in the Makefile; ARGS are options of the program behind it."""
    target = words[0]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    for word in words[1:]:
        name, _, value = word.partition("=")
        assert name in ("ARGS", "MODULES", "PYTHON", "SDK"), name
        if target == "sim":
            check_program(["sim", *shlex.split(value)])
        for path in re.findall(r"test/\S+", value):
            assert (ROOT / path).exists(), path


def check_ros2(words: list[str]) -> None:
    """Launch files, services, nodes, parameters and transitions exist under these names."""
    match words:
        case ["launch", package, file, *arguments]:
            assert package == stack.PACKAGE and (ROOT / "launch" / file).is_file(), file
            world, robot = file.removesuffix(".launch.py").split("_")
            robot = "" if robot == "robot" else robot
            given = dict(a.split(":=") for a in arguments if a != "--show-args")
            assert stack.stack(options_from_launch(world, robot, given))
        case ["service", "call", name, kind, *_]:
            assert (
                name.rpartition("/")[2] in REQUESTS and kind == "std_srvs/srv/Trigger"
            ) or kind == "std_srvs/srv/SetBool", name
        case ["security", "create_keystore" | "generate_artifacts", *_]:
            pass
        case ["param", "set", node, name, value]:
            assert (node, name) == ("/policy_node", "policy"), words
            assert value == "nominal" or find_share(f"models/policies/{value}.onnx")
        case ["lifecycle", "set", node, transition]:
            assert node == "/bridge_node" and transition in (
                "configure",
                "activate",
                "deactivate",
                "cleanup",
                "shutdown",
            ), words
        case ["topic", verb, *_]:
            assert verb in ("hz", "echo", "pub", "list"), verb
            assert verb == "list" or TOPICS & {word.strip("/") for word in words}, words
        case _:
            assert words[0] in ("bag", "param", "node", "run"), words


def _topics() -> set[str]:
    source = "\n".join(
        path.read_text()
        for room in ("nodes", "recording", "ui")
        for path in (ROOT / "safe_locomotion" / room).rglob("*.py")
    )
    return {
        name.strip("/") for name in re.findall(r"create_publisher\([\w.]+, \"([\w/]+)\"", source)
    } | {"diagnostics"}


TOPICS = _topics() | {"cmd_vel"}


def check_python(words: list[str]) -> None:
    """A tool of the repository, with options that its source knows."""
    if words[:2] == ["-m", "pip"]:
        return check_pip(words[2:])
    source = (ROOT / words[0]).read_text()
    for option in (word for word in words[1:] if word.startswith("--")):
        assert f'"{option}"' in source, option
    return None


def check_pip(words: list[str]) -> None:
    """Extras that `setup.py` has."""
    extras = _extras()
    for extra in re.findall(r"\.\[([\w,]+)\]", " ".join(words)):
        assert set(extra.split(",")) <= extras, extra


def _extras() -> set[str]:
    """Names of the extras: runs setup.py with a `setup` that only stores its arguments."""
    heard: dict[str, dict[str, list[str]]] = {}
    original = setuptools.setup
    setuptools.setup = lambda **given: heard.update(given)
    try:
        exec(
            compile((ROOT / "setup.py").read_text(), "setup.py", "exec"),
            {"__file__": str(ROOT / "setup.py")},
        )
    finally:
        setuptools.setup = original
    return set(heard["extras_require"])


def check_nothing(words: list[str]) -> None:
    """`colcon build` and `rviz2` belong to the ROS distribution."""


def check_node(words: list[str]) -> None:
    """A watcher of this checkout takes no words."""
    assert not words


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "safe-locomotion": check_program,
    "make": check_make,
    "ros2": check_ros2,
    "colcon": check_nothing,
    "rviz2": check_nothing,
    "pip": check_pip,
    ".venv/bin/python": check_python,
    **{f".venv/bin/{name}_node": check_node for name in stack.WATCHERS},
}
