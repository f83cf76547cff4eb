"""`safe-locomotion episodes`: list, inspect, check, draw, export and replay recorded episodes."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType

from safe_locomotion.cli.episodes.tables import comparison, details, listing, topics
from safe_locomotion.cli.options import DASH, assignment, check_horizon, json_or_dash_option
from safe_locomotion.cli.output import console, write_json
from safe_locomotion.cli.progress import progress
from safe_locomotion.errors import ConfigurationError, SafeLocomotionError
from safe_locomotion.recording.comparison import AGAIN, RECORDED, compare
from safe_locomotion.recording.episode import EpisodeRecord
from safe_locomotion.recording.stage_values import changed_settings, recorded_config
from safe_locomotion.recording.summary import Summary, remembered_summary, summarise, topic_counts
from safe_locomotion.safety.switching_rule import CRITERIA

BOXES = ("c1", "c2", "c3")
_FOLDER = click.Path(path_type=Path)


@click.group()
def episodes() -> None:
    """List, inspect, check, draw, export and replay recorded episodes.

    DIR is the folder of one episode, or a folder with several of them.
    """


@episodes.command("ls")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@json_or_dash_option
def list_episodes(folder: Path, json_file: Path | None) -> int:
    """List the episodes in DIR.

    The table shows start, duration, robot, policy, falls, uses and share of the recovery
    policy, distance, size, and how each episode ended.
    """
    rows: list[tuple[str, Summary | str]] = []
    for path in _found(folder):
        try:
            rows.append((path.name, remembered_summary(path, _read)))
        except SafeLocomotionError as error:
            rows.append((path.name, str(error)))
    return _answer([listing(rows)], json_file, [_listed(name, row) for name, row in rows])


@episodes.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@json_or_dash_option
def info(folder: Path, json_file: Path | None) -> int:
    """Print the facts of one episode.

    They are robot, policy, software, changed settings, the reason why it ended, and the topics
    with counts, rates and dropped messages.
    """
    path = _one(folder)
    record = _read(path)
    summary = summarise(path, record)
    counts = topic_counts(record)
    try:
        changes: dict[str, Any] = changed_settings(record)
    except ConfigurationError as error:
        changes = {"parameters": ("recorded", f"cannot be compared: {error}")}
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
def check(folder: Path) -> int:
    """Check that the episodes in DIR are those that were recorded.

    Chunks are compared with their checksums, each file with its SHA-256, and the messages with
    their counts. The exit status is 1 when an episode has changed or was cut off.
    """
    paths = _found(folder)
    with _installed():
        from safe_locomotion.recording.integrity import check_episode
    changed = False
    for path in paths:
        found = check_episode(path)
        changed = changed or bool(found.problems)
        said = found.problems or (f"as recorded, {found.messages} messages",)
        click.echo(f"{path.name}: {'; '.join((*said, *found.notes))}")
    return int(changed)


@episodes.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option(
    "--output",
    type=_FOLDER,
    help="Path of the page without .png and .html. [default: page, in the episode's folder]",
)
@click.option(
    "--from",
    "first",
    type=click.FloatRange(min=0.0),
    default=0.0,
    help="Begin at this time of the episode [s]. [default: 0]",
)
@click.option(
    "--to",
    "last",
    type=click.FloatRange(min=0.0),
    help="End at this time of the episode [s]. [default: its end]",
)
def plot(folder: Path, output: Path | None, first: float, last: float | None) -> int:
    """Draw one page as PNG and HTML.

    The HTML needs no other file. Over the same time axis it shows the state and the trigger
    set, the active policy, velocity and its command, forces, contacts and timing. A list beside
    them says why the recovery policy took over.
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
            f"{target} cannot be written: {error.strerror}; choose another path with --output"
        ) from error
    for file in files:
        click.echo(file)
    return 0


@episodes.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option(
    "--output",
    type=_FOLDER,
    help="File to write. [default: episode.rrd, in the episode's folder]",
)
def export(folder: Path, output: Path | None) -> int:
    """Write one episode for the viewer of rerun.

    The file shows the robot, its feet and forces, the supervisor's forecast, who drives, and the
    margins of the trigger set. It needs the extra 'rerun'.
    """
    path = _one(folder)
    record = _read(path)
    from safe_locomotion.recording.rerun_export import export as write

    target = output or (path.parent if path.is_file() else path) / "episode.rrd"
    with progress("exports", 1.0) as tell:
        scenes = write(record, path.name, target, tell)
    click.echo(f"{target}: {scenes} scenes; open it with: rerun {target}")
    return 0


@episodes.command("replay")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option(
    "--supervisor",
    type=click.Choice(CRITERIA),
    help="Criterion that decides between policy and recovery. [default: as recorded]",
)
@click.option(
    "--horizon",
    type=int,
    help="Steps of 0.016 s that the supervisor looks ahead. [default: as recorded]",
)
@click.option(
    "--trigger-set",
    type=click.Choice(BOXES),
    help="Trigger set that is used. [default: as recorded]",
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
    help=f"Policy whose proposals are judged. {RECORDED}: the recorded proposals. {AGAIN}: the"
    " recorded policy runs again; its file is found by its hash. Or a policy's name or path.",
)
@click.option(
    "--estimates",
    type=click.Choice((AGAIN, RECORDED)),
    default=AGAIN,
    show_default=True,
    help="Run the estimator again, or take the recorded estimates.",
)
@json_or_dash_option
def replay_episode(
    *, folder: Path, json_file: Path | None, policy: str, estimates: str, **options: Any
) -> int:
    """Replay one episode with other settings.

    Estimator and supervisor run again on the recorded LowStates. The table compares three
    columns: the recording, a replay with the recorded settings, and a replay with the settings
    given here. The first two must agree. Rows are uses and share of the recovery policy, first
    trigger, take-overs, hand-backs, and triggers by component.

    The replay is open loop. After the first decision that differs, the real robot would have
    moved differently. From there on the replay only says what the supervisor would have decided
    in the recorded states.
    """
    changes = _changes(**options)
    path = _one(folder)
    record = _read(path)
    with progress("replays", 1.0) as tell:
        result = compare(record, changes, policy, estimates, tell)
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
    check_horizon(supervisor, horizon)
    changed = dict(assignment(text) for text in overrides)
    named = {
        "supervisor.intervention.criterion": supervisor,
        "supervisor.intervention.horizon": horizon,
        "supervisor.trigger_set.use": trigger_set,
    }
    return changed | {key: value for key, value in named.items() if value is not None}


def _found(folder: Path) -> list[Path]:
    """Episodes in a folder, or the folder itself when it is an episode."""
    if not folder.exists():
        raise ConfigurationError(
            f"{folder}: no such folder; the recorder writes episodes to the folder of its parameter"
            " `directory`"
        )
    with _installed():
        from safe_locomotion.recording.reader import episode_paths
    paths = episode_paths(folder)
    if not paths:
        raise ConfigurationError(
            f"{folder}: no episodes; needed is an episode (a folder with an MCAP file, as the"
            " recorder writes it) or a folder of episodes"
        )
    return paths


def _one(folder: Path) -> Path:
    """The only episode in a folder.

    Raises:
        ConfigurationError: there are several.
    """
    paths = _found(folder)
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths[-5:])
        raise ConfigurationError(
            f"{folder} holds {len(paths)} episodes; name one of them; the last ones are: {names}"
        )
    return paths[0]


def _read(path: Path) -> EpisodeRecord:
    with _installed():
        from safe_locomotion.recording.reader import read_episode
    return read_episode(path)


@contextmanager
def _installed() -> Iterator[None]:
    """Turn a failing import inside into an error that names the missing package."""
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
    """Print tables and write the same data as JSON; for the file "-" print only the JSON."""
    if file == DASH:
        click.echo(json.dumps(data, indent=2, allow_nan=False))
        return 0
    console().print(*shown, sep="\n")
    if file is not None:
        write_json("--json", file, data)
    return 0
