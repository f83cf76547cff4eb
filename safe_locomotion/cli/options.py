"""Options that several commands share, and the checks that belong to them."""

from pathlib import Path
from typing import Any

import click
import yaml

from safe_locomotion.config import EXPLAINED
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import robot_names
from safe_locomotion.safety.switching_rule import PREDICTING
from safe_locomotion.sim.terrain_names import tile_of

DASH = Path("-")  #: as the file of `--json`: standard output


class TerrainName(click.ParamType):
    """A ground of the simulator, for instance `stairs` or the tile `up_stairs:6`."""

    name = "terrain"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, if there is such a ground."""
        try:
            tile_of(value)
        except ConfigurationError as error:
            self.fail(str(error), param, ctx)
        return str(value)


robot_option = click.option(
    "--robot",
    type=click.Choice(robot_names()),
    default="a1",
    show_default=True,
    help="Robot model.",
)
horizon_option = click.option(
    "--horizon",
    type=int,
    help="Steps of 0.016 s that the supervisor looks ahead. [default: the robot's file]",
)
payload_option = click.option(
    "--payload", type=float, default=0.0, show_default=True, help="Mass on the back [kg]."
)
motor_delay_option = click.option(
    "--motor-delay-ms",
    type=float,
    default=0.0,
    show_default=True,
    help="Delay from command to torque [ms].",
)
json_option = click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the figures to this JSON file.",
)
json_or_dash_option = click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the same as JSON to this file; - prints the JSON instead of the table.",
)


def assignment(text: str) -> tuple[str, Any]:
    """Key and value of node.key=value, the value as YAML.

    Raises:
        ConfigurationError: the text has another form.
    """
    key, equals, value = text.partition("=")
    if not equals or "." not in key:
        raise ConfigurationError(
            f"--set {text!r} is not of the form node.key=value, for instance"
            f" mpc.locomotion.body_height=0.25; {EXPLAINED}"
        )
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigurationError(
            f"--set {text!r}: the value is not a number, word or list; {EXPLAINED}"
        ) from None


def check_horizon(supervisor: str | None, horizon: int | None) -> None:
    """Accept a horizon only with a supervisor that looks ahead, or with the configured one.

    Raises:
        ConfigurationError: the supervisor has no horizon.
    """
    if horizon is not None and supervisor not in (None, *PREDICTING):
        raise ConfigurationError(
            f"--horizon needs a supervisor that predicts: {', '.join(PREDICTING)}"
        )
