"""Policies of a grid as files for the robot, from its checkpoint alone."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from safe_locomotion.envs.gait_contract import gait_contract
from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.policy.contract import Origin, PolicyContract
from safe_locomotion.policy.file import SUFFIX, write_policy
from safe_locomotion.robot.models import load_robot
from safe_locomotion.training.exporting import code_commit
from safe_locomotion.training.gait.checkpoint import CHECKPOINT, read_checkpoint
from safe_locomotion.training.gait.export import network
from safe_locomotion.training.gait.grid import Run
from safe_locomotion.training.gait.grid_learners import learner_group
from safe_locomotion.training.gait.mlp import Mlp
from safe_locomotion.training.provenance import ABOUT

PARTS = "part_*"  #: folders of a grid that several devices trained


@dataclass(frozen=True, kw_only=True)
class TrainedPolicy:
    """The policy of one run.

    Attributes:
        run: that trained it.
        robot: that it is for.
        updates: after which it stood so.
        mlp: its mean.
        seen: (64, O) observations of its last walks.
        command: that trained the grid.
    """

    run: Run
    robot: str
    updates: int
    mlp: Mlp
    seen: NDArray[np.float32]
    command: str

    @property
    def name(self) -> str:
        """Robot, run and seed in one word."""
        return f"{self.robot}-{self.run.name}-s{self.run.seed}"


def folders_of(folder: Path) -> list[Path]:
    """The folder itself, or the parts of it that hold checkpoints.

    Raises:
        ConfigurationError: there is no checkpoint.
    """
    places = [folder, *sorted(folder.glob(PARTS))]
    found = [place for place in places if (place / CHECKPOINT).exists()]
    if not found:
        raise ConfigurationError(f"{folder} holds no {CHECKPOINT}")
    return found


def trained_policies(folder: Path) -> Iterator[TrainedPolicy]:
    """The policies of all runs that were trained in a folder.

    Raises:
        ConfigurationError: there is no checkpoint, or it cannot be read.
    """
    command = _command(folder / ABOUT)
    for place in folders_of(folder):
        state, _ = read_checkpoint(place, torch.device("cpu"))
        values = json.loads(state["identity"])
        known = {field.name for field in fields(Run)}
        runs = [Run(**{k: v for k, v in run.items() if k in known}) for run in values["runs"]]
        learner = learner_group(runs, torch.device("cpu"))
        learner.load_state_dict(state["learner"])
        seen = state["seen"].numpy()
        for k, run in enumerate(runs):
            yield TrainedPolicy(
                run=run,
                robot=values["world"]["robot"],
                updates=int(state["updates"]),
                mlp=learner.policy_of(k),
                seen=seen[:, k],
                command=command,
            )


def export_policy(policy: TrainedPolicy, name: str, target: Path) -> PolicyContract:
    """Write one policy with its contract and recorded pairs.

    Raises:
        PolicyRefusedError: network and contract do not fit together.
    """
    run = policy.run
    contract = gait_contract(
        load_robot(policy.robot),
        gait_task(run.task),
        name=name,
        origin=Origin(
            command=f"{policy.command} ({run.name}, seed {run.seed}, {policy.updates} updates)",
            seed=run.seed,
            commit=code_commit(),
        ),
    )
    return write_policy(network(policy.mlp, contract), contract, target, observations=policy.seen)


def export_all(folder: Path, target: Path) -> list[Path]:
    """Write the policies of all runs that were trained in a folder; the files' paths."""
    written = []
    for policy in trained_policies(folder):
        path = target / f"{policy.name}{SUFFIX}"
        export_policy(policy, policy.name, path)
        written.append(path)
    return written


def export_run(folder: Path, name: str, target: Path, wanted: str = "") -> PolicyContract:
    """Write the policy of one run.

    Args:
        folder: that it was trained in.
        name: of the policy.
        target: file to write.
        wanted: `TrainedPolicy.name` of the run; needed where there are several.

    Raises:
        ConfigurationError: there is no checkpoint.
        UnknownNameError: there is no such run, or there are several and none was named.
    """
    policies = list(trained_policies(folder))
    chosen = [policy for policy in policies if wanted in ("", policy.name)]
    if len(chosen) != 1:
        raise UnknownNameError("run", wanted, _names(policies))
    return export_policy(chosen[0], name, target)


def _names(policies: Sequence[TrainedPolicy]) -> list[str]:
    return [policy.name for policy in policies]


def _command(path: Path) -> str:
    """The command that trained a grid, if its first part came to an end."""
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return str(about["command"])
    except (OSError, ValueError, KeyError):
        return "safe-locomotion experiment"
