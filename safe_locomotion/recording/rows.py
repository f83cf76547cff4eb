"""Verdicts, proposals and low commands as arrays; `messages.layouts` lists the rows of messages."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from safe_locomotion.messages.cdr import DecodingError, Group, groups, joint_state_layout
from safe_locomotion.messages.layouts import (
    COMMAND,
    FAULT,
    GAINS,
    GAIT,
    LATENCY,
    LIFTED,
    MARGIN,
    PER_STATE,
    POLICY,
    REASON,
    TARGETS,
)
from safe_locomotion.recording.episode import CommandTrace, Numbers, ProposalTrace, VerdictTrace
from safe_locomotion.types import JOINTS, N_JOINTS, N_LEGS, NANOSECONDS, Array


class _Rows:
    """Rows by name of the messages that have one layout."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.position, self.velocity, self.effort = group.parts
        self._at = {name: k for k, name in enumerate(group.labels)}

    def names(self, prefix: str) -> list[str]:
        """Names that begin with `prefix`, without it, in their order."""
        return [name.removeprefix(prefix) for name in self.group.labels if name.startswith(prefix)]

    def has(self, name: str) -> bool:
        return name in self._at

    @property
    def lifted(self) -> list[bool]:
        """Whether the messages of this layout hold each leg in the air."""
        return [self.has(name) for name in LIFTED]

    def columns(self, names: Iterable[str]) -> list[int]:
        """Column numbers of the rows with these names.

        Raises:
            DecodingError: a name is missing.
        """
        try:
            return [self._at[name] for name in names]
        except KeyError as error:
            raise DecodingError(
                f"no row {error} among {', '.join(self.group.labels) or 'no rows'}"
            ) from None

    def value(self, name: str) -> Array:
        return np.asarray(self.position[:, self.columns([name])[0]])


def _nan(n: int, *shape: int) -> Array:
    return np.full((n, *shape), np.nan)


def _joints(rows: _Rows) -> Array | None:
    """Joint targets (n, 3, 12): q, kp, kd; None where the messages have none."""
    if not rows.has(TARGETS[0]):
        return None
    at = rows.columns(TARGETS)
    return np.stack((rows.position[:, at], rows.velocity[:, at], rows.effort[:, at]), axis=1)


def _numbered(found: Iterable[_Rows], prefix: str) -> dict[str, int]:
    """Numbers of the names that follow `prefix`, in the order in which they first appear."""
    numbers: dict[str, int] = {}
    for rows in found:
        for name in rows.names(prefix):
            numbers.setdefault(name, len(numbers))
    return numbers


def _in_order(stamp_ns: Numbers, values: Mapping[str, Any]) -> dict[str, Any]:
    """Columns sorted by stamp; a list of texts becomes a tuple."""
    order = np.argsort(stamp_ns, kind="stable")
    arrays = {name: value[order] for name, value in values.items() if isinstance(value, np.ndarray)}
    texts = {
        name: tuple(value[k] for k in order)
        for name, value in values.items()
        if not isinstance(value, np.ndarray)
    }
    return {"stamp_ns": stamp_ns[order], **arrays, **texts}


def verdict_trace(messages: Sequence[bytes]) -> VerdictTrace:
    """Verdicts from messages of `safety/verdict`."""
    found = [_Rows(group) for group in groups(messages, joint_state_layout)]
    components = _numbered(found, MARGIN)
    hazards = _numbered(found, REASON)
    policies = _numbered(found, POLICY)
    n = len(messages)
    stamp_ns = np.zeros(n, dtype=np.int64)
    columns: dict[str, Any] = {
        "mode": np.zeros(n, dtype=np.int64),
        "mode_since_ns": np.zeros(n, dtype=np.int64),
        "learner": np.zeros(n, dtype=np.bool_),
        "command": _nan(n, len(COMMAND)),
        "gait": _nan(n, len(GAIT)),
        "lifted": np.zeros((n, N_LEGS), dtype=np.bool_),
        "joints": _nan(n, 3, N_JOINTS),
        "margins": _nan(n, len(components)),
        "reasons": np.zeros((n, len(hazards)), dtype=np.bool_),
        "policy": np.full(n, -1, dtype=np.int64),
    }
    predicted: dict[int, Array] = {}
    for rows in found:
        at = rows.group.rows
        stamp_ns[at] = rows.group.stamp_ns
        _fill_control(columns, rows)
        for name in rows.names(MARGIN):
            columns["margins"][at, components[name]] = rows.value(MARGIN + name)
        for name in rows.names(REASON):
            columns["reasons"][at, hazards[name]] = True
        for name in rows.names(POLICY):
            columns["policy"][at] = policies[name]
        predicted |= _predicted(rows)
    return VerdictTrace(
        components=tuple(components),
        hazards=tuple(hazards),
        policies=tuple(policies),
        **_in_order(stamp_ns, columns),
        **_placed(stamp_ns, predicted),
    )


def _fill_control(columns: Mapping[str, Any], rows: _Rows) -> None:
    """Fill in mode, active policy, command and targets of the verdicts of one layout."""
    at = rows.group.rows
    since_s = rows.value("mode_since/s").astype(np.int64)
    since_ns = rows.value("mode_since/ns").astype(np.int64)
    columns["mode"][at] = rows.value("mode")
    columns["mode_since_ns"][at] = since_s * NANOSECONDS + since_ns
    columns["learner"][at] = rows.value("active") == 0.0
    columns["command"][at] = rows.position[:, rows.columns(COMMAND)]
    columns["gait"][at] = rows.position[:, rows.columns(GAIT)]
    columns["lifted"][at] = rows.lifted
    targets = _joints(rows)
    if targets is not None:
        columns["joints"][at] = targets


def _placed(stamp_ns: Numbers, predicted: Mapping[int, Array]) -> dict[str, Any]:
    """Predictions by message as predictions by row, where rows are sorted by stamp."""
    order = np.argsort(stamp_ns, kind="stable").tolist()
    places = [place for place, message in enumerate(order) if message in predicted]
    return {
        "predicted_at": np.array(places, dtype=np.int64),
        "predicted": tuple(predicted[order[place]] for place in places),
    }


def _predicted(rows: _Rows) -> dict[int, Array]:
    """Predicted states (W + 1, 12) by message."""
    count = len(rows.names("predicted/"))
    if not count:
        return {}
    first = rows.columns(["predicted/0/roll"])[0]
    shape = len(rows.group.rows), count // PER_STATE, PER_STATE
    place = rows.position[:, first : first + count].reshape(shape)
    rate = rows.velocity[:, first : first + count].reshape(shape)
    states = np.concatenate((place, rate), axis=2)
    return dict(zip(rows.group.rows.tolist(), states, strict=True))


def proposal_trace(messages: Sequence[bytes]) -> ProposalTrace:
    """Proposals from messages of `policy/proposal`; those without a proposal are left out."""
    layouts = [_Rows(group) for group in groups(messages, joint_state_layout)]
    found = [rows for rows in layouts if rows.names(POLICY)]
    policies = _numbered(found, POLICY)
    n = len(messages)
    stamp_ns = np.zeros(n, dtype=np.int64)
    policy = np.full(n, -1)
    period_ns = np.zeros(n, dtype=np.int64)
    gait = _nan(n, len(GAIT))
    lifted = np.zeros((n, N_LEGS), dtype=np.bool_)
    joints = _nan(n, 3, N_JOINTS)
    fault = [""] * n
    for rows in found:
        at = rows.group.rows
        name = rows.names(POLICY)[0]
        stamp_ns[at] = rows.group.stamp_ns
        policy[at] = policies[name]
        period_ns[at] = rows.value(POLICY + name)
        if rows.has(GAIT[0]):
            gait[at] = rows.position[:, rows.columns(GAIT)]
            lifted[at] = rows.lifted
        targets = _joints(rows)
        if targets is not None:
            joints[at] = targets
        for kind_and_fault in rows.names(FAULT):
            for row in at.tolist():
                fault[row] = kind_and_fault.split("/", 1)[-1]
    kept = np.flatnonzero(policy >= 0)
    columns = {
        "policy": policy[kept],
        "period_ns": period_ns[kept],
        "gait": gait[kept],
        "lifted": lifted[kept],
        "joints": joints[kept],
        "fault": [fault[k] for k in kept],
    }
    return ProposalTrace(policies=tuple(policies), **_in_order(stamp_ns[kept], columns))


def command_trace(messages: Sequence[bytes]) -> CommandTrace:
    """Commands from messages of `low_command`."""
    n = len(messages)
    stamp_ns = np.zeros(n, dtype=np.int64)
    latency = _nan(n)
    reason = [""] * n
    values: dict[str, Any] = {name: _nan(n, N_JOINTS) for name in ("q", "dq", "tau", "kp", "kd")}
    for group in groups(messages, joint_state_layout):
        rows = _Rows(group)
        at = group.rows
        joints = rows.columns(JOINTS)
        gains = rows.columns(GAINS)
        stamp_ns[at] = group.stamp_ns
        latency[at] = rows.value(LATENCY)
        values["q"][at] = rows.position[:, joints]
        values["dq"][at] = rows.velocity[:, joints]
        values["tau"][at] = rows.effort[:, joints]
        values["kp"][at] = rows.position[:, gains]
        values["kd"][at] = rows.velocity[:, gains]
        for refusal in rows.names(REASON):
            for row in at.tolist():
                reason[row] = refusal
    return CommandTrace(**_in_order(stamp_ns, {**values, "latency": latency, "reason": reason}))
