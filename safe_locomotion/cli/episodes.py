"""`safe-locomotion episodes`: list recorded episodes, look into one, draw it, and ask what other settings would have changed."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.progress import Progress

from safe_locomotion.cli.episode_tables import comparison, details, listing, topics
from safe_locomotion.cli.settings import assignment
from safe_locomotion.errors import ConfigurationError, SafeLocomotionError, UnknownNameError
from safe_locomotion.recording.comparison import AGAIN, RECORDED, compare
from safe_locomotion.recording.episode import EpisodeRecord
from safe_locomotion.recording.stage_values import changed_settings, recorded_config
from safe_locomotion.recording.summary import Summary, remembered_summary, summarise, topic_counts
from safe_locomotion.safety.switching_rule import CRITERIA, PREDICTING

PLAIN_WIDTH = 160  # columns where the output is no terminal
BOXES = ("c1", "c2", "c3")
_FOLDER = click.Path(path_type=Path)
_json = click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the same here; - prints it instead.",
)


@click.group()
def episodes() -> None:
    """Look into recorded episodes, draw them, and replay them with other settings.

    DIR is the folder of one episode, or one with several of them.
    """


@episodes.command("ls")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@_json
def list_episodes(folder: Path, json_file: Path | None) -> int:
    """List the episodes in DIR: start, duration, robot, policy, falls, uses and share of recovery, distance, size, and how they ended."""
    rows: list[tuple[str, Summary | str]] = []
    for path in _found(folder):
        try:
            rows.append((path.name, remembered_summary(path, _read)))
        except SafeLocomotionError as error:
            rows.append((path.name, str(error)))
    return _answer([listing(rows)], json_file, [_listed(name, row) for name, row in rows])


@episodes.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@_json
def info(folder: Path, json_file: Path | None) -> int:
    """Print what one episode is about: robot, policy, software, settings, topics with counts, rates and drops, and why it ended."""
    path = _one(folder)
    record = _read(path)
    summary = summarise(path, record)
    counts = topic_counts(record)
    try:
        changes: dict[str, Any] = changed_settings(record)
    except ConfigurationError as error:
        changes = {"parameters": ("recorded", f"not comparable, {error}")}
    data = {
        **summary.as_json(),
        "software": record.info.software,
        "why": record.info.why,
        "policy_sha256": {name: digest for name, digest in record.info.policies.items() if digest},
        "changed_settings": changes,
        "topics": {row.name: row.as_json() for row in counts},
    }
    return _answer([details(summary, record.info, changes), "", topics(counts)], json_file, data)


@episodes.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option(
    "--output",
    type=_FOLDER,
    help="Name of the page without .png and .html. [default: page, in the episode's own folder]",
)
@click.option(
    "--from",
    "first",
    type=click.FloatRange(min=0.0),
    default=0.0,
    help="Begin here [s]. [default: 0]",
)
@click.option(
    "--to", "last", type=click.FloatRange(min=0.0), help="End here [s]. [default: the end]"
)
def plot(folder: Path, output: Path | None, first: float, last: float | None) -> int:
    """Draw one page, as PNG and as HTML that needs nothing else.

    It shows the state against the trigger set, who was in control, velocity against its command, forces, contacts and timing, all over
    the same time, and beside them why the recovery policy took over.
    """
    path = _one(folder)
    record = _read(path)
    with _installed():
        from safe_locomotion.recording.page import html, make_page
        from safe_locomotion.recording.page_picture import png
    page = make_page(summarise(path, record).name, record, recorded_config(record), first, last)
    picture = png(page)
    target = output or (path.parent if path.is_file() else path) / "page"
    files = [target.with_name(f"{target.name}{suffix}") for suffix in (".png", ".html")]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        files[0].write_bytes(picture)
        files[1].write_text(html(page, picture), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{target}: cannot be written: {error.strerror}; choose another place with --output"
        ) from error
    for file in files:
        click.echo(file)
    return 0


@episodes.command("replay")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option("--supervisor", help=f"Criterion: {', '.join(CRITERIA)}. [default: as recorded]")
@click.option(
    "--horizon",
    type=int,
    help="Steps of 0.016 s that the supervisor looks ahead. [default: as recorded]",
)
@click.option(
    "--trigger-set", type=click.Choice(BOXES), help="Box of the trigger set. [default: as recorded]"
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NODE.KEY=VALUE",
    help="Change a parameter, e.g. supervisor.trigger_set.c1.roll=0.2.",
)
@click.option(
    "--policy",
    default=RECORDED,
    show_default=True,
    help=f"Whose proposals are judged: {RECORDED}; {AGAIN}: its file, found by its hash, runs again; or a policy's name or path.",
)
@click.option(
    "--estimates",
    type=click.Choice((AGAIN, RECORDED)),
    default=AGAIN,
    show_default=True,
    help="Run the estimator again, or let the supervisor judge the recorded estimates.",
)
@_json
def replay_episode(
    *, folder: Path, json_file: Path | None, policy: str, estimates: str, **options: Any
) -> int:
    """Run estimator and supervisor again on the recorded LowStates, with other settings, and say what would have changed.

    Beside what was recorded stands the replay with the recorded settings, which must agree with it, and the one with those given here:
    uses and share of the recovery policy, first trigger, take-overs, hand-backs, and triggers by component. It is open loop: after the
    first decision that differs the robot would have moved differently, so from there on it says what the supervisor would have decided
    in the states that were recorded, not how the walk would have gone on.
    """
    changes = _changes(**options)
    path = _one(folder)
    record = _read(path)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replaying", total=1.0)
        result = compare(
            record, changes, policy, estimates, lambda share: progress.update(task, completed=share)
        )
    return _answer(
        comparison(result),
        json_file,
        {"episode": path.name, "changes": changes, **result.as_json()},
    )


def _changes(
    *,
    supervisor: str | None,
    horizon: int | None,
    trigger_set: str | None,
    overrides: Sequence[str],
) -> dict[str, Any]:
    """Parameters that differ from the recorded ones, by dotted key."""
    if supervisor is not None and supervisor not in CRITERIA:
        raise UnknownNameError("supervisor", supervisor, CRITERIA)
    if horizon is not None and supervisor not in (None, *PREDICTING):
        raise ConfigurationError(
            f"--horizon needs a supervisor that predicts: {', '.join(PREDICTING)}"
        )
    changed = dict(assignment(text) for text in overrides)
    named = {
        "supervisor.intervention.criterion": supervisor,
        "supervisor.intervention.horizon": horizon,
        "supervisor.trigger_set.use": trigger_set,
    }
    return changed | {key: value for key, value in named.items() if value is not None}


def _found(folder: Path) -> list[Path]:
    """Episodes in a folder, or the one that it is."""
    if not folder.exists():
        raise ConfigurationError(
            f"{folder}: no such folder; the recorder's parameter `directory` says where episodes are written"
        )
    with _installed():
        from safe_locomotion.recording.reader import episode_paths
    paths = episode_paths(folder)
    if not paths:
        raise ConfigurationError(
            f"{folder}: no episodes: neither an episode (a folder with an MCAP file, as the recorder writes it) nor a folder of them"
        )
    return paths


def _one(folder: Path) -> Path:
    """The one episode that is meant."""
    paths = _found(folder)
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths[-5:])
        raise ConfigurationError(
            f"{folder} holds {len(paths)} episodes; name one of them, the last are: {names}"
        )
    return paths[0]


def _read(path: Path) -> EpisodeRecord:
    with _installed():
        from safe_locomotion.recording.reader import read_episode
    return read_episode(path)


@contextmanager
def _installed() -> Iterator[None]:
    """Imports within name the package that has to be installed first."""
    try:
        yield
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        raise ConfigurationError(
            f"episodes need {package}, which is not installed: pip install {package}"
        ) from None


def _listed(name: str, row: Summary | str) -> dict[str, Any]:
    return {"name": name, "error": row} if isinstance(row, str) else row.as_json()


def _answer(shown: Sequence[RenderableType], file: Path | None, data: Any) -> int:
    """Print tables, and write the same as JSON where a file was named; "-" prints the JSON instead."""
    text = json.dumps(data, indent=2, allow_nan=False) if file is not None else ""
    if str(file) == "-":
        click.echo(text)
        return 0
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    console.print(*shown, sep="\n")
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"--json {file}: {error.strerror}") from error
    return 0
