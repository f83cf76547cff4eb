"""Loads policies by name or path beside a running control loop.

A process of its own (`policy.check_process`) with low priority reads the file, checks it and runs
its recorded pairs. It returns the contract and the bytes of a model that has passed. The caller's
process only opens the session. ONNX Runtime does that without the interpreter, so no control tick
waits for it.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.allow_list import ANY, read_allow_list
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.refusal import refuse
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.policy.stage import NOMINAL, Learner
from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import RobotModel

MODULE = "safe_locomotion.policy.check_process"
PATIENCE_S = 60.0  #: for the check; it takes about a second
#: Between two steps of the parity check in this process. A control tick then waits for at most one
#: step.
PAUSE_S = 0.001
REFUSED = 1  #: exit status of a check that has given its reason
PROCESSOR_S = 20  #: processor time of the check
MORE_MEMORY = "expected a model that runs in 1 GiB, found more"


class PolicyLoader:
    """Loads policies for one robot."""

    def __init__(
        self,
        robot: RobotModel,
        limits: GateLimits,
        folders: Sequence[Path] | None = None,
        allowed: str = ANY,
        *,
        learning: bool = False,
    ) -> None:
        """Load nothing yet.

        Args:
            robot: for which the policies must be made.
            limits: of the gate, which the gains must respect.
            folders: in which policies may lie; `policy.file.policy_folders` when not given.
            allowed: which policies may drive, see `policy.allow_list.read_allow_list`.
            learning: take policies that explore.

        Raises:
            ConfigurationError: there is no such list.
        """
        read_allow_list(allowed)
        self._allowed = allowed
        self._learning = learning
        self._robot = robot
        self._limits = limits
        self._folders = folders

    def load(self, name_or_path: str) -> Learner | None:
        """The policy, checked and warm; None for `nominal`.

        Raises:
            PolicyRefusedError: there is no such policy, or it must not fly; one line says why.
        """
        if name_or_path == NOMINAL:
            return None
        contract, model = self._checked(name_or_path)
        if contract.name == NOMINAL:
            expected = f"another than {NOMINAL!r}, which is no file"
            raise refuse("name", expected, repr(contract.name))
        return PolicyRuntime(contract, model, self._robot, PAUSE_S, learning=self._learning)

    def _checked(self, name_or_path: str) -> tuple[PolicyContract, bytes]:
        folders = None if self._folders is None else [str(folder) for folder in self._folders]
        request = {
            "policy": name_or_path,
            "robot": self._robot.name,
            "limits": asdict(self._limits),
            "folders": folders,
            "allowed": self._allowed,
        }
        path = os.pathsep.join(filter(None, sys.path))
        try:
            done = subprocess.run(
                [sys.executable, "-m", MODULE],
                input=json.dumps(request).encode(),
                capture_output=True,
                timeout=PATIENCE_S,
                env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
                check=False,
            )
        except subprocess.TimeoutExpired:
            expected = f"a check that ends within {PATIENCE_S:g} s"
            raise refuse("policy", expected, "no end") from None
        if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            expected = f"a check that takes at most {PROCESSOR_S} s of processor time"
            raise refuse("policy", expected, "more")
        if done.returncode != 0:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            lines = lines or [f"the check ended with status {done.returncode}"]
            raise PolicyRefusedError(lines[0] if done.returncode == REFUSED else lines[-1])
        contract, model = pickle.loads(done.stdout)  # written by our own child process
        return contract, model
