"""Reads episodes into arrays, whole ones and those that were cut off; `recover` makes a bag that others open of the latter."""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from safe_locomotion.config import LOADER
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.messages import cdr
from safe_locomotion.messages.topics import BY_NAME, INFO
from safe_locomotion.recording.episode import (
    EpisodeInfo,
    EpisodeRecord,
    EstimateTrace,
    PlanTrace,
    Stamps,
    StateTrace,
    StepTrace,
    VelocityTrace,
)
from safe_locomotion.recording.mcap import McapFile, Message
from safe_locomotion.recording.rows import command_trace, proposal_trace, verdict_trace
from safe_locomotion.recording.writer import METADATA, EpisodeWriter, message_types
from safe_locomotion.types import JOINTS, LEGS, N_JOINTS, N_LEGS, NANOSECONDS, Array

CUT_OFF = "cut off"  #: why an episode ended whose recorder never said so
SENSORS = (*JOINTS, *(f"{leg}_foot" for leg in LEGS))


def episode_paths(folder: Path) -> list[Path]:
    """Folders of the episodes in `folder` by name, which is oldest first; `folder` itself where it is one."""
    if _bag_file(folder) is not None:
        return [folder]
    return (
        [path for path in sorted(folder.iterdir()) if _bag_file(path) is not None]
        if folder.is_dir()
        else []
    )


def read_episode(path: Path) -> EpisodeRecord:
    """The episode in a folder that the recorder wrote, or in one of its MCAP files.

    Raises:
        ConfigurationError: no episode.
    """
    file = McapFile(_find(path))
    messages: dict[str, list[bytes]] = defaultdict(list)
    stamps: dict[str, list[int]] = defaultdict(list)
    types: dict[str, str] = {}
    try:
        for topic, ros_type, stamp_ns, data in file.messages():
            messages[topic].append(data)
            stamps[topic].append(stamp_ns)
            types[topic] = ros_type
        return EpisodeRecord(
            info=_info(messages[f"/{INFO}"], whole=file.whole),
            whole=file.whole,
            states=_states(messages["/joint_states"], messages["/imu/data"]),
            estimates=_estimates(messages["/state_estimate"]),
            verdicts=verdict_trace(messages["/safety/verdict"]),
            proposals=proposal_trace(messages["/policy/proposal"]),
            steps=_steps(messages["/policy/step"]),
            plans=_plans(messages["/mpc/plan"]),
            commands=command_trace(messages["/low_command"]),
            velocity=_velocities(
                messages["/cmd_vel"], stamps["/cmd_vel"], types.get("/cmd_vel", "")
            ),
            diagnostics=_diagnostics(messages["/diagnostics"], stamps["/diagnostics"]),
        )
    except (OSError, cdr.DecodingError) as error:
        raise ConfigurationError(f"{path}: not a recorded episode: {error}") from error


def read_info(path: Path) -> EpisodeInfo:
    """What an episode is about, without reading all of it.

    Raises:
        ConfigurationError: no episode.
    """
    try:
        file = McapFile(_find(path))
        described = path / METADATA
        if file.whole and described.is_file():
            given = yaml.load(described.read_text(), Loader=LOADER)["rosbag2_bagfile_information"][
                "custom_data"
            ]["episode"]
            return _info_from(str(given))
        said = (message.data for message in file.messages() if message.topic == f"/{INFO}")
        return _info([*said] if file.whole else [*islice(said, 1)], whole=file.whole)
    except (OSError, yaml.YAMLError, LookupError, TypeError, cdr.DecodingError) as error:
        raise ConfigurationError(f"{path}: not a recorded episode: {error}") from error


def recover(path: Path) -> bool:
    """Give an episode that was cut off its index and metadata.yaml, so that any reader of bags opens it.

    Returns:
        Whether there was something to do.

    Raises:
        ConfigurationError: no episode.
        RecordingError: no space for the copy; the episode stays as it was.
    """
    source = McapFile(_find(path))
    if source.whole:
        return False
    messages = source.messages()
    first = next(messages, None)
    if first is None or first.topic != f"/{INFO}":
        raise ConfigurationError(
            f"{path}: not an episode of this recorder: it does not begin with {INFO}"
        )
    repaired = path.parent / f".{path.name}.recovering" / path.name
    shutil.rmtree(repaired.parent, ignore_errors=True)
    try:
        _copy(messages, EpisodeWriter(repaired, _info([first.data], whole=True)))
        for file in repaired.iterdir():
            file.replace(path / file.name)
    finally:
        shutil.rmtree(repaired.parent, ignore_errors=True)
    return True


def _copy(messages: Iterator[Message], writer: EpisodeWriter) -> None:
    for message in messages:
        name = message.topic.removeprefix("/")
        if name in BY_NAME:
            writer.write(name, message.stamp_ns, message.data)
    writer.close(CUT_OFF)


def _bag_file(path: Path) -> Path | None:
    """The MCAP file of an episode's folder, or the file itself."""
    if path.suffix == ".mcap":
        return path if path.is_file() else None
    return next(iter(sorted(path.glob("*.mcap"))), None) if path.is_dir() else None


def _find(path: Path) -> Path:
    file = _bag_file(path)
    if file is None:
        raise ConfigurationError(
            f"{path}: no episode: expected a folder with an MCAP file, as the recorder writes it"
        )
    return file


def _info(said: Sequence[bytes], *, whole: bool) -> EpisodeInfo:
    """What the last of the messages of `INFO` says."""
    if not said:
        return EpisodeInfo(end="" if whole else CUT_OFF)
    info = _info_from(cdr.Cursor(said[-1]).string())
    return info if whole or info.end else replace(info, end=CUT_OFF)


def _info_from(text: str) -> EpisodeInfo:
    try:
        given = json.loads(text)
        return EpisodeInfo(
            **{f.name: given[f.name] for f in fields(EpisodeInfo) if f.name in given}
        )
    except (ValueError, TypeError) as error:
        raise cdr.DecodingError(f"{INFO}: {error}") from error


def _states(joints: Sequence[bytes], imus: Sequence[bytes]) -> StateTrace:
    """LowStates with both halves."""
    n = len(joints)
    m = len(imus)
    first = np.zeros(n, dtype=np.int64)
    second = np.zeros(m, dtype=np.int64)
    rows = np.zeros((n, 3, len(SENSORS)))
    imu = np.zeros((m, 10))
    for group in cdr.groups(joints, cdr.joint_state_layout):
        if group.labels != SENSORS or any(part.shape[1] != len(SENSORS) for part in group.parts):
            raise cdr.DecodingError(f"joint_states must have the rows {', '.join(SENSORS)}")
        first[group.rows], rows[group.rows] = group.stamp_ns, np.stack(group.parts, axis=1)
    for group in cdr.groups(imus, cdr.imu_layout):
        second[group.rows], imu[group.rows] = group.stamp_ns, np.hstack(group.parts)
    stamps, a, b = np.intersect1d(first, second, return_indices=True)
    return StateTrace(
        stamp_ns=stamps,
        q=rows[a, 0, :N_JOINTS],
        dq=rows[a, 1, :N_JOINTS],
        tau=rows[a, 2, :N_JOINTS],
        foot_force=rows[a, 2, N_JOINTS:],
        quaternion_wxyz=imu[b][:, [3, 0, 1, 2]],
        gyro=imu[b, 4:7],
        accelerometer=imu[b, 7:10],
    )


def _stamped_fields(messages: Sequence[bytes]) -> tuple[Stamps, dict[str, Array]]:
    """Columns of Float64MultiArrays whose label says `name:width` in order, stamp first; narrower ones are filled with NaN."""
    n = len(messages)
    columns = dict[str, Array]()
    stamps = np.zeros(len(messages), dtype=np.int64)
    for group in cdr.groups(messages, cdr.float_array_layout):
        at = 0
        data = group.parts[0]
        for name, width in _fields_of(group.labels, data.shape[1]):
            known = columns.get(name, np.empty((n, 0)))
            if known.shape[1] < width:
                columns[name] = known = np.hstack(
                    (known, np.full((n, width - known.shape[1]), np.nan))
                )
            known[group.rows, :width] = data[:, at : at + width]
            at += width
        stamps[group.rows] = data[:, 0].astype(np.int64) * NANOSECONDS + data[:, 1].astype(np.int64)
    order = np.argsort(stamps, kind="stable")
    return stamps[order], {name: column[order] for name, column in columns.items()}


def _fields_of(labels: tuple[str, ...], size: int) -> list[tuple[str, int]]:
    try:
        found = [
            (name, int(width)) for name, width in (word.split(":") for word in labels[0].split())
        ]
    except (IndexError, ValueError) as error:
        raise cdr.DecodingError(f"a label must list name:width, got {labels}") from error
    if sum(width for _, width in found) != size or [name for name, _ in found[:2]] != [
        "stamp_s",
        "stamp_ns",
    ]:
        raise cdr.DecodingError(f"{size} numbers do not fit the label {labels[0]}")
    return found


def _estimates(messages: Sequence[bytes]) -> EstimateTrace:
    stamps, columns = _stamped_fields(messages)
    n = len(stamps)

    def column(name: str, width: int) -> Array:
        return columns.get(name, np.zeros((n, width)))

    return EstimateTrace(
        stamp_ns=stamps,
        position=column("position", 3),
        quaternion_wxyz=column("quaternion_wxyz", 4),
        velocity=column("velocity", 3),
        angular_velocity=column("angular_velocity", 3),
        position_covariance=column("position_covariance", 9).reshape(n, 3, 3),
        velocity_covariance=column("velocity_covariance", 9).reshape(n, 3, 3),
        q=column("q", N_JOINTS),
        dq=column("dq", N_JOINTS),
        contact=column("contact", N_LEGS) != 0.0,
        ground_normal=column("ground_normal", 3),
        ground_height=column("ground_height", 1)[:, 0],
        diverged=column("diverged", 1)[:, 0] != 0.0,
    )


def _steps(messages: Sequence[bytes]) -> StepTrace:
    stamps, columns = _stamped_fields(messages)
    none = np.empty((len(stamps), 0))
    return StepTrace(
        stamp_ns=stamps,
        observation=columns.get("observation", none),
        action=columns.get("action", none),
    )


def _plans(messages: Sequence[bytes]) -> PlanTrace:
    n = len(messages)
    stamps = np.zeros(n, dtype=np.int64)
    values = np.zeros((3, n, N_LEGS, 3))
    stance = np.zeros((n, N_LEGS), dtype=np.bool_)
    solved = np.zeros(n, dtype=np.bool_)
    for group in cdr.groups(messages, cdr.multi_dof_layout):
        flags = [label.split("/") for label in group.labels]
        if tuple(flag[0] for flag in flags) != LEGS or any(len(flag) < 2 for flag in flags):
            raise cdr.DecodingError(
                f"mpc/plan needs one row per foot, e.g. FR/stance; got {', '.join(group.labels)}"
            )
        at = group.rows
        stamps[at], stance[at] = group.stamp_ns, [flag[1] == "stance" for flag in flags]
        solved[at] = "held" not in flags[0]
        for value, part in zip(values, group.parts, strict=True):
            value[at] = part.reshape(len(at), N_LEGS, -1)[:, :, :3]
    order = np.argsort(stamps, kind="stable")
    position, velocity, force = values[:, order]
    return PlanTrace(
        stamp_ns=stamps[order],
        stance=stance[order],
        force=force,
        foot_position=position,
        foot_velocity=velocity,
        solved=solved[order],
    )


def _velocities(messages: Sequence[bytes], stamps: Sequence[int], ros_type: str) -> VelocityTrace:
    layout = partial(cdr.twist_layout, stamped=ros_type.endswith("Stamped"))
    velocity = np.zeros((len(messages), 3))
    for group in cdr.groups(messages, layout):
        velocity[group.rows] = group.parts[0][:, [0, 1, 5]]
    return VelocityTrace(stamp_ns=np.array(stamps, dtype=np.int64), velocity=velocity)


def _diagnostics(
    messages: Sequence[bytes], stamps: Sequence[int]
) -> tuple[tuple[int, dict[str, dict[str, str]]], ...]:
    read = []
    for stamp_ns, data in zip(stamps, messages, strict=True):
        rows = {}
        message: Any = message_types().deserialize_cdr(data, BY_NAME["diagnostics"].type)
        for row in message.status:
            rows[row.name] = {"level": str(row.level), "message": row.message} | {
                pair.key: pair.value for pair in row.values
            }
        read.append((stamp_ns, rows))
    return tuple(read)
