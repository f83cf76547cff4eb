"""The process that checks one policy for `policy.loader.PolicyLoader`.

It reads a request as JSON from standard input. It writes the contract and the bytes of a policy
that has passed to standard output.
"""

import json
import os
import pickle
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

from safe_locomotion.errors import SafeLocomotionError, UnknownNameError
from safe_locomotion.policy.allow_list import read_allow_list
from safe_locomotion.policy.file import check_fit, find_policy, is_name, policy_names, read_policy
from safe_locomotion.policy.latency import require_quick
from safe_locomotion.policy.loader import MORE_MEMORY, PROCESSOR_S, REFUSED
from safe_locomotion.policy.network import Network, check_parity
from safe_locomotion.policy.stage import NOMINAL
from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import load_robot

NICENESS = 10  #: lowers the priority below the control loop
MEMORY = 1 << 30  #: bytes that the check may use; a policy of the package needs a fifth
NO_MEMORY = ("bad_alloc", "Failed to allocate memory")
"""What ONNX Runtime says where it gets no memory, from the system or from its own arena."""


def locate(name_or_path: str, folders: Sequence[Path] | None) -> Path:
    """The file of a policy, see `policy.file.find_policy`.

    Raises:
        UnknownNameError: no policy of that name; the choices include `nominal`.
        PolicyRefusedError: a path that must not be read.
    """
    names = policy_names(folders)
    if is_name(name_or_path) and name_or_path not in names:
        raise UnknownNameError("policy", name_or_path, (NOMINAL, *names))
    return find_policy(name_or_path, folders)


def bound_resources() -> None:
    """Bound memory and processor time of this process, for ever."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))


def main() -> int:
    """Check the policy that standard input names.

    Returns:
        Exit status: 0, or `REFUSED` with the reason on standard error.
    """
    os.nice(NICENESS)
    bound_resources()
    request = json.load(sys.stdin)
    named = request["folders"]
    folders = None if named is None else [Path(folder) for folder in named]
    try:
        allowed = read_allow_list(request["allowed"])
        contract, model = read_policy(locate(request["policy"], folders), allowed)
        check_fit(contract, load_robot(request["robot"]), GateLimits(**request["limits"]))
        network = Network(contract, model)
        check_parity(contract, network)
        require_quick(network.step)
    except SafeLocomotionError as error:
        no_memory = any(words in str(error) for words in NO_MEMORY)
        sys.stderr.write(f"policy: {MORE_MEMORY}\n" if no_memory else f"{error}\n")
        return REFUSED
    except MemoryError:
        sys.stderr.write(f"policy: {MORE_MEMORY}\n")
        return REFUSED
    sys.stdout.buffer.write(pickle.dumps((contract, model)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
