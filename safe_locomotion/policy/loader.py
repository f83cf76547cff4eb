"""Policies by name or path, made ready beside a running control loop.

A process of its own, at low priority, reads the file, checks it and runs its parity pairs; what comes back is the contract and the bytes
of a model that has passed. The caller's process only opens the session, whose work ONNX Runtime does without the interpreter: no
control tick waits for it.
"""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.policy.stage import NOMINAL, Learner
from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import RobotModel

MODULE = "safe_locomotion.policy.vetting"
PATIENCE_S = 60.0  #: for the check; it takes about a second
PAUSE_S = 0.001  #: between two steps of the parity check here, so that it takes the interpreter from a control tick once at most
REFUSED = 1  #: status of a check that has given its reason


class PolicyLoader:
    """Loads policies for one robot."""

    def __init__(
        self, robot: RobotModel, limits: GateLimits, folders: Sequence[Path] | None = None
    ) -> None:
        """Load nothing yet.

        Args:
            robot: that the policies must be for.
            limits: of the gate, which gains must respect.
            folders: in which policies may lie, `policy.file.policy_folders` when not given.
        """
        self._robot = robot
        self._limits = limits
        self._folders = folders

    def load(self, name_or_path: str) -> Learner | None:
        """The policy, checked and warm; None for `nominal`.

        Raises:
            PolicyRefusedError: it must not fly, or there is none; says why in one line.
        """
        if name_or_path == NOMINAL:
            return None
        contract, model = self._checked(name_or_path)
        if contract.name == NOMINAL:
            raise PolicyRefusedError(
                f"name: expected another than {NOMINAL!r}, which is no file, found {contract.name!r}"
            )
        return PolicyRuntime(contract, model, self._robot, PAUSE_S)

    def _checked(self, name_or_path: str) -> tuple[PolicyContract, bytes]:
        folders = None if self._folders is None else [str(folder) for folder in self._folders]
        request = {
            "policy": name_or_path,
            "robot": self._robot.name,
            "limits": asdict(self._limits),
            "folders": folders,
        }
        path = os.pathsep.join(filter(None, sys.path))
        try:
            done = subprocess.run(
                [sys.executable, "-m", MODULE],
                input=json.dumps(request).encode(),
                capture_output=True,
                timeout=PATIENCE_S,
                env={**os.environ, "PYTHONPATH": path},
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PolicyRefusedError(
                f"policy: expected to be checked within {PATIENCE_S:g} s, found no end"
            ) from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines() or [
                f"the check ended with status {done.returncode}"
            ]
            raise PolicyRefusedError(said[0] if done.returncode == REFUSED else said[-1])
        contract, model = pickle.loads(done.stdout)  # of our own child
        return contract, model
