"""The command line `safe-locomotion`. Every error is one line on stderr."""

import atexit
import gc
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from safe_locomotion import __version__
from safe_locomotion.cli.missing import remedy
from safe_locomotion.errors import SafeLocomotionError

COMMANDS = {
    "sim": ("safe_locomotion.cli.sim.command:sim", "Walk a simulated robot with the whole stack."),
    "teleop": (
        "safe_locomotion.cli.drive.teleop:teleop",
        "Drive a running stack by keyboard or gamepad.",
    ),
    "top": ("safe_locomotion.cli.drive.top:top", "Watch a running stack in the terminal."),
    "bench": ("safe_locomotion.cli.bench:bench", "Time every stage beside alternatives."),
    "policy": (
        "safe_locomotion.cli.policy.command:policy",
        "Inspect, check and import policy files.",
    ),
    "robot": (
        "safe_locomotion.cli.robot.command:robot",
        "Make and check the files of a robot of your own.",
    ),
    "train": ("safe_locomotion.cli.train:train", "Train a policy on the simulated robot."),
    "learn": (
        "safe_locomotion.cli.learn.command:learn",
        "Let a simulated robot learn by itself, over the wire.",
    ),
    "export": (
        "safe_locomotion.cli.train:export",
        "Write a trained policy as a file for the robot.",
    ),
    "experiment": (
        "safe_locomotion.cli.experiment:experiment",
        "Repeat the experiments of paper 1.",
    ),
    "trigger-set": (
        "safe_locomotion.cli.trigger_set:trigger_set",
        "Show the trigger sets, or design one.",
    ),
    "evaluate": (
        "safe_locomotion.cli.evaluate.command:evaluate",
        "Count falls with and without a supervisor.",
    ),
    "episodes": (
        "safe_locomotion.cli.episodes.command:episodes",
        "List, inspect, draw and replay recorded episodes.",
    ),
    "model-error": (
        "safe_locomotion.cli.model_error:model_error",
        "Estimate the error of the supervisor's model.",
    ),
    "doctor": (
        "safe_locomotion.cli.doctor.command:doctor",
        "Check this machine and the link to the robot.",
    ),
}
BAD_USAGE = 2
#: New objects between two searches for cyclic garbage; by the default of 700, imports take longer.
OBJECTS_BETWEEN_SEARCHES = 10_000
INTERRUPTED = 130


class LazyGroup(click.Group):
    """Imports the module of a command only when it is needed; `COMMANDS` holds the help lines."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            raise click.UsageError(
                f"unknown command {cmd_name!r}; choose one of: {', '.join(COMMANDS)}", ctx
            )
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="safe-locomotion")
def cli() -> None:
    """Keep a Unitree quadruped on its feet while a learned policy walks it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    The status is 2 for bad usage, for every error that this package raises, and where a library is
    missing.
    """
    if arguments is None:  # this process is ours alone
        gc.set_threshold(OBJECTS_BETWEEN_SEARCHES)
        atexit.register(gc.freeze)  # its last search for garbage would take up to a second
    try:
        status = cli.main(args=arguments, prog_name="safe-locomotion", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return BAD_USAGE
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except SafeLocomotionError as error:
        return _fail(str(error), BAD_USAGE)
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "safe_locomotion":
            raise  # our own mistake
        return _fail(remedy(error), BAD_USAGE)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    return status if isinstance(status, int) else 0


def _fail(message: str, status: int) -> int:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
