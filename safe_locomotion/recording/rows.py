"""Verdicts, proposals and low commands as arrays: what the rows of their messages mean (`messages.layouts` has their names)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from safe_locomotion.messages.cdr import DecodingError, Group, groups, joint_state_layout
from safe_locomotion.messages.layouts import (
    COMMAND,
    GAINS,
    GAIT,
    LATENCY,
    PER_STATE,
    REASON,
    TARGETS,
)
from safe_locomotion.recording.episode import CommandTrace, Numbers, ProposalTrace, VerdictTrace
from safe_locomotion.types import JOINTS, N_JOINTS, NANOSECONDS, Array


class _Rows:
    """Rows of one layout by name."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.position, self.velocity, self.effort = group.parts
        self._at = {name: k for k, name in enumerate(group.labels)}

    def names(self, prefix: str) -> list[str]:
        """What follows `prefix` in the names that begin with it, in their order."""
        return [name.removeprefix(prefix) for name in self.group.labels if name.startswith(prefix)]

    def has(self, name: str) -> bool:
        return name in self._at

    def columns(self, names: Iterable[str]) -> list[int]:
        """Where the rows of these names are.

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
    """(n, 3, 12) q, kp, kd; None without joint targets."""
    if not rows.has(TARGETS[0]):
        return None
    at = rows.columns(TARGETS)
    return np.stack((rows.position[:, at], rows.velocity[:, at], rows.effort[:, at]), axis=1)


class _Names:
    """Numbers names in the order in which they come up."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def number(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)


def _in_order(stamp_ns: Numbers, values: Mapping[str, Any]) -> dict[str, Any]:
    """Rows sorted by stamp; a text column is a tuple."""
    order = np.argsort(stamp_ns, kind="stable")
    arrays = {name: value[order] for name, value in values.items() if isinstance(value, np.ndarray)}
    texts = {
        name: tuple(value[k] for k in order)
        for name, value in values.items()
        if not isinstance(value, np.ndarray)
    }
    return {"stamp_ns": stamp_ns[order], **arrays, **texts}


def verdict_trace(messages: Sequence[bytes]) -> VerdictTrace:
    """Messages of `safety/verdict`."""
    found = [_Rows(group) for group in groups(messages, joint_state_layout)]
    components = _Names()
    hazards = _Names()
    policies = _Names()
    for rows in found:
        for table, prefix in ((components, "margin/"), (hazards, REASON), (policies, "policy/")):
            for name in rows.names(prefix):
                table.number(name)
    n = len(messages)
    stamp_ns, mode, since, policy = (np.zeros(n, dtype=np.int64) for _ in range(4))
    learner = np.zeros(n, dtype=np.bool_)
    reasons = np.zeros((n, len(hazards.names)), dtype=np.bool_)
    command = _nan(n, 3)
    gait = _nan(n, len(GAIT))
    joints = _nan(n, 3, N_JOINTS)
    margins = _nan(n, len(components.names))
    predicted: dict[int, Array] = {}
    policy[:] = -1
    for rows in found:
        at = rows.group.rows
        stamp_ns[at], mode[at], learner[at] = (
            rows.group.stamp_ns,
            rows.value("mode"),
            rows.value("active") == 0.0,
        )
        since[at] = rows.value("mode_since/s").astype(np.int64) * NANOSECONDS + rows.value(
            "mode_since/ns"
        ).astype(np.int64)
        command[at], gait[at] = (
            rows.position[:, rows.columns(COMMAND)],
            rows.position[:, rows.columns(GAIT)],
        )
        for name in rows.names("margin/"):
            margins[at, components.number(name)] = rows.value(f"margin/{name}")
        for name in rows.names(REASON):
            reasons[at, hazards.number(name)] = True
        for name in rows.names("policy/"):
            policy[at] = policies.number(name)
        if (targets := _joints(rows)) is not None:
            joints[at] = targets
        predicted |= _predicted(rows)
    order = np.argsort(stamp_ns, kind="stable")
    carrying = [
        (place, predicted[row]) for place, row in enumerate(order.tolist()) if row in predicted
    ]
    return VerdictTrace(
        stamp_ns=stamp_ns[order],
        mode=mode[order],
        mode_since_ns=since[order],
        learner=learner[order],
        command=command[order],
        gait=gait[order],
        joints=joints[order],
        components=tuple(components.names),
        margins=margins[order],
        hazards=tuple(hazards.names),
        reasons=reasons[order],
        policies=tuple(policies.names),
        policy=policy[order],
        predicted_at=np.array([place for place, _ in carrying], dtype=np.int64),
        predicted=tuple(states for _, states in carrying),
    )


def _predicted(rows: _Rows) -> dict[int, Array]:
    """Predicted states (W + 1, 12) by message."""
    count = len(rows.names("predicted/"))
    if not count:
        return {}
    first = rows.columns(["predicted/0/roll"])[0]
    shape = len(rows.group.rows), count // PER_STATE, PER_STATE
    place, rate = (
        part[:, first : first + count].reshape(shape) for part in (rows.position, rows.velocity)
    )
    return dict(zip(rows.group.rows.tolist(), np.concatenate((place, rate), axis=2), strict=True))


def proposal_trace(messages: Sequence[bytes]) -> ProposalTrace:
    """Messages of `policy/proposal`; those that say that there is nothing to propose are left out."""
    found = [
        rows
        for group in groups(messages, joint_state_layout)
        if (rows := _Rows(group)).names("policy/")
    ]
    n = len(messages)
    policies = _Names()
    stamp_ns = np.zeros(n, dtype=np.int64)
    policy = np.full(n, -1)
    period = np.zeros(n, dtype=np.int64)
    gait = _nan(n, len(GAIT))
    joints = _nan(n, 3, N_JOINTS)
    fault = [""] * n
    for rows in found:
        at = rows.group.rows
        name = rows.names("policy/")[0]
        stamp_ns[at], policy[at], period[at] = (
            rows.group.stamp_ns,
            policies.number(name),
            rows.value(f"policy/{name}"),
        )
        if rows.has(GAIT[0]):
            gait[at] = rows.position[:, rows.columns(GAIT)]
        if (targets := _joints(rows)) is not None:
            joints[at] = targets
        for said in rows.names("fault/"):
            for row in at.tolist():
                fault[row] = said.split("/", 1)[-1]
    kept = np.flatnonzero(policy >= 0)
    columns = {
        "policy": policy[kept],
        "period_ns": period[kept],
        "gait": gait[kept],
        "joints": joints[kept],
        "fault": [fault[k] for k in kept],
    }
    return ProposalTrace(policies=tuple(policies.names), **_in_order(stamp_ns[kept], columns))


def command_trace(messages: Sequence[bytes]) -> CommandTrace:
    """Messages of `low_command`."""
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
        stamp_ns[at], latency[at] = group.stamp_ns, rows.value(LATENCY)
        values["q"][at], values["dq"][at], values["tau"][at] = (
            part[:, joints] for part in group.parts
        )
        values["kp"][at], values["kd"][at] = rows.position[:, gains], rows.velocity[:, gains]
        for said in rows.names(REASON):
            for row in at.tolist():
                reason[row] = said
    return CommandTrace(**_in_order(stamp_ns, {**values, "latency": latency, "reason": reason}))
