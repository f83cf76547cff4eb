"""Reads episodes into arrays, also those that were cut off.

`recover` repairs an episode that was cut off, so that other programs can open it.
"""

import json
import shutil
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from safe_locomotion.errors import ConfigurationError, one_line
from safe_locomotion.messages import cdr
from safe_locomotion.messages.layouts import FOOT_FORCE_LAYOUT, JOINT_NAMES
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
from safe_locomotion.strict_values import LOADER
from safe_locomotion.types import JOINTS, LEGS, N_JOINTS, N_LEGS, NANOSECONDS, Array

DAMAGED = (OSError, ValueError, LookupError, TypeError, ArithmeticError, struct.error, MemoryError)
"""What bytes that are no episode can raise in numpy, YAML, JSON and ROS types."""
LONGEST_REFUSAL = 500  #: characters
Places = NDArray[np.intp]
CUT_OFF = "cut off"  #: end of an episode whose recorder died
OLD_SENSORS = (*JOINTS, *(f"{leg}_foot" for leg in LEGS))
"""Names in `joint_states` before version 0.3; the effort of a foot was its force."""


def episode_paths(folder: Path) -> list[Path]:
    """Folders of the episodes in `folder`, oldest first, or `folder` itself if it is an episode."""
    if _bag_file(folder) is not None:
        return [folder]
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if _bag_file(path) is not None]


def read_episode(path: Path, *, diagnostics: bool = True) -> EpisodeRecord:
    """Read the episode in a folder of the recorder, or in an MCAP file.

    Args:
        path: of the folder or the file.
        diagnostics: read these too, which takes half of the time.

    Raises:
        ConfigurationError: this is no episode.
    """
    file = McapFile(find_bag(path))
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
            states=_states(
                messages["/joint_states"], messages["/imu/data"], messages["/foot_forces"]
            ),
            estimates=_estimates(messages["/state_estimate"]),
            verdicts=verdict_trace(messages["/safety/verdict"]),
            proposals=proposal_trace(messages["/policy/proposal"]),
            steps=_steps(messages["/policy/step"]),
            plans=_plans(messages["/mpc/plan"]),
            commands=command_trace(messages["/low_command"]),
            velocity=_velocities(
                messages["/cmd_vel"], stamps["/cmd_vel"], types.get("/cmd_vel", "")
            ),
            diagnostics=_diagnostics(messages["/diagnostics"], stamps["/diagnostics"])
            if diagnostics
            else (),
        )
    except (*DAMAGED, AssertionError, cdr.DecodingError) as error:
        raise ConfigurationError(
            one_line(f"{path}: not a recorded episode: {error}", 500)
        ) from error


def read_info(path: Path) -> EpisodeInfo:
    """Read the description of an episode without its arrays.

    Raises:
        ConfigurationError: this is no episode.
    """
    try:
        file = McapFile(find_bag(path))
        described = path / METADATA
        if file.whole and described.is_file():
            metadata = yaml.load(described.read_text(), Loader=LOADER)
            bag = metadata["rosbag2_bagfile_information"]
            return _info_from(str(bag["custom_data"]["episode"]))
        infos = (message.data for message in file.messages() if message.topic == f"/{INFO}")
        return _info([*infos] if file.whole else [*islice(infos, 1)], whole=file.whole)
    except (*DAMAGED, yaml.YAMLError, cdr.DecodingError) as error:
        raise ConfigurationError(
            one_line(f"{path}: not a recorded episode: {error}", 500)
        ) from error


def recover(path: Path) -> bool:
    """Write the missing index and metadata.yaml, so that other programs can open the episode.

    Returns:
        Whether the episode had been cut off.

    Raises:
        ConfigurationError: this is no episode.
        RecordingError: there is no space for the copy; the episode stays as it was.
    """
    source = McapFile(find_bag(path))
    if source.whole:
        return False
    messages = source.messages()
    try:
        first = next(messages, None)
    except cdr.DecodingError as error:
        raise _refusal(path, error) from error
    if first is None or first.topic != f"/{INFO}":
        raise ConfigurationError(
            f"{path}: not an episode of this recorder: its first message is not {INFO}"
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


def _refusal(path: Path, error: BaseException) -> ConfigurationError:
    """One line that says why this is no episode."""
    return ConfigurationError(one_line(f"{path}: not a recorded episode: {error}", LONGEST_REFUSAL))


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


def find_bag(path: Path) -> Path:
    """The MCAP file of an episode.

    Raises:
        ConfigurationError: there is none.
    """
    file = _bag_file(path)
    if file is None:
        raise ConfigurationError(
            f"{path}: no episode: expected an MCAP file, or a folder of the recorder with one"
        )
    return file


def _info(messages: Sequence[bytes], *, whole: bool) -> EpisodeInfo:
    """Description in the last message of `INFO`."""
    if not messages:
        return EpisodeInfo(end="" if whole else CUT_OFF)
    info = _info_from(cdr.Cursor(messages[-1]).string())
    return info if whole or info.end else replace(info, end=CUT_OFF)


def _info_from(text: str) -> EpisodeInfo:
    try:
        given = json.loads(text)
        return EpisodeInfo(
            **{f.name: given[f.name] for f in fields(EpisodeInfo) if f.name in given}
        )
    except (ValueError, TypeError) as error:
        raise cdr.DecodingError(f"{INFO}: {error}") from error


def _states(joints: Sequence[bytes], imus: Sequence[bytes], feet: Sequence[bytes]) -> StateTrace:
    """LowStates of which all messages were recorded."""
    joint_stamps, rows = _joints(joints)
    foot_stamps, forces = _forces(feet, joint_stamps, rows)
    imu_stamps = np.zeros(len(imus), dtype=np.int64)
    imu = np.zeros((len(imus), 10))
    for group in cdr.groups(imus, cdr.imu_layout):
        imu_stamps[group.rows] = group.stamp_ns
        imu[group.rows] = np.hstack(group.parts)
    stamps = np.intersect1d(np.intersect1d(joint_stamps, imu_stamps), foot_stamps)
    a, b, c = (_places(stamps, among) for among in (joint_stamps, imu_stamps, foot_stamps))
    return StateTrace(
        stamp_ns=stamps,
        q=rows[a, 0, :N_JOINTS],
        dq=rows[a, 1, :N_JOINTS],
        tau=rows[a, 2, :N_JOINTS],
        foot_force=forces[c],
        quaternion_wxyz=imu[b][:, [3, 0, 1, 2]],
        gyro=imu[b, 4:7],
        accelerometer=imu[b, 7:10],
    )


def _places(stamps: Stamps, among: Stamps) -> Places:
    """Where each of `stamps` is found first in `among`."""
    order = np.argsort(among, kind="stable")
    return order[np.searchsorted(among, stamps, sorter=order)]


def _joints(messages: Sequence[bytes]) -> tuple[Stamps, Array]:
    """Stamps, and (n, 3, 16) position, velocity and effort of joints and feet.

    Rows of feet are NaN where the force has a topic of its own.
    """
    stamps = np.zeros(len(messages), dtype=np.int64)
    rows = np.full((len(messages), 3, len(OLD_SENSORS)), np.nan)
    for group in cdr.groups(messages, cdr.joint_state_layout):
        n = len(group.labels)
        if group.labels not in (tuple(JOINT_NAMES), OLD_SENSORS) or any(
            part.shape[1] != n for part in group.parts
        ):
            raise cdr.DecodingError(f"joint_states must have the rows {', '.join(JOINT_NAMES)}")
        stamps[group.rows] = group.stamp_ns
        rows[group.rows, :, :n] = np.stack(group.parts, axis=1)
    return stamps, rows


def _forces(feet: Sequence[bytes], stamps: Stamps, rows: Array) -> tuple[Stamps, Array]:
    """Stamps and forces (n, 4) of `foot_forces`; before it existed, of the rows of the feet."""
    if not feet:
        old = rows[:, 2, N_JOINTS:]
        held = ~np.isnan(old).any(axis=1)
        return stamps[held], old[held]
    found, columns = _stamped_fields(feet)
    if not columns.keys() >= {*LEGS}:
        raise cdr.DecodingError(f"foot_forces must be labelled {FOOT_FORCE_LAYOUT}")
    return found, np.hstack([columns[leg] for leg in LEGS])


def _stamped_fields(messages: Sequence[bytes]) -> tuple[Stamps, dict[str, Array]]:
    """Columns of Float64MultiArrays whose label lists `name:width` in order, the stamp first.

    Rows of a message with a narrower column are filled with NaN.
    """
    n = len(messages)
    columns = dict[str, Array]()
    stamps = np.zeros(n, dtype=np.int64)
    for group in cdr.groups(messages, cdr.float_array_layout):
        at = 0
        data = group.parts[0]
        for name, width in _fields_of(group.labels, data.shape[1]):
            columns[name] = _widened(columns.get(name, np.empty((n, 0))), width)
            columns[name][group.rows, :width] = data[:, at : at + width]
            at += width
        stamps[group.rows] = data[:, 0].astype(np.int64) * NANOSECONDS + data[:, 1].astype(np.int64)
    order = np.argsort(stamps, kind="stable")
    return stamps[order], {name: column[order] for name, column in columns.items()}


def _widened(column: Array, width: int) -> Array:
    """A column of at least this width, with NaN at the end of its rows."""
    missing = max(0, width - column.shape[1])
    return np.hstack((column, np.full((len(column), missing), np.nan))) if missing else column


def _fields_of(labels: tuple[str, ...], size: int) -> list[tuple[str, int]]:
    """Names and widths of the fields in a label."""
    try:
        words = [word.split(":") for word in labels[0].split()]
        found = [(name, int(width)) for name, width in words]
    except (IndexError, ValueError) as error:
        raise cdr.DecodingError(f"a label must list name:width (found {labels})") from error
    names = [name for name, _ in found]
    if names[:2] != ["stamp_s", "stamp_ns"] or sum(width for _, width in found) != size:
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
                f"mpc/plan needs one row per foot, such as FR/stance"
                f" (found {', '.join(group.labels)})"
            )
        at = group.rows
        stamps[at] = group.stamp_ns
        stance[at] = [flag[1] == "stance" for flag in flags]
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
