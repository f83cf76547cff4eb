"""The check of one policy as a process: a request as JSON comes in, contract and bytes of a policy that has passed go out.

`policy.loader.PolicyLoader` is the other end.
"""

import json
import os
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path

from safe_locomotion.errors import SafeLocomotionError, UnknownNameError
from safe_locomotion.policy.file import SUFFIX, check_fit, find_policy, policy_names, read_policy
from safe_locomotion.policy.loader import REFUSED
from safe_locomotion.policy.runtime import Network, check_parity
from safe_locomotion.policy.stage import NOMINAL
from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import load_robot

NICENESS = 10  # below the control loop


def locate(name_or_path: str, folders: Sequence[Path] | None) -> Path:
    """The file of a policy in some folders, see `policy.file.find_policy`; for an unknown name the choices include `nominal`.

    Raises:
        UnknownNameError: no policy of that name.
        PolicyRefusedError: no path that may be read.
    """
    named = os.sep not in name_or_path and not name_or_path.endswith(SUFFIX)
    names = policy_names(folders)
    if named and name_or_path not in names:
        raise UnknownNameError("policy", name_or_path, (NOMINAL, *names))
    return find_policy(name_or_path, folders)


def main() -> int:
    """Check what standard input names; 0, or `REFUSED` with the reason on standard error."""
    os.nice(NICENESS)
    request = json.load(sys.stdin)
    folders = (
        None if request["folders"] is None else [Path(folder) for folder in request["folders"]]
    )
    try:
        contract, model = read_policy(locate(request["policy"], folders))
        check_fit(contract, load_robot(request["robot"]), GateLimits(**request["limits"]))
        check_parity(contract, Network(contract, model))
    except SafeLocomotionError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    sys.stdout.buffer.write(pickle.dumps((contract, model)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
