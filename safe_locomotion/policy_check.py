"""The check of one policy as a process: a request as JSON comes in, contract and bytes of a policy that has passed go out.

`policy_loader.PolicyLoader` is the other end.
"""

import json
import os
import pickle
import sys
from pathlib import Path

from safe_locomotion.errors import SafeLocomotionError, UnknownNameError
from safe_locomotion.limits import GateLimits
from safe_locomotion.policy import NOMINAL
from safe_locomotion.policy_file import check_fit, find_policy, policy_names, read_policy
from safe_locomotion.policy_loader import REFUSED
from safe_locomotion.policy_runtime import Network, check_parity
from safe_locomotion.robots import load_robot

NICENESS = 10  # below the control loop


def main() -> int:
    """Check what standard input names; 0, or `REFUSED` with the reason on standard error."""
    os.nice(NICENESS)
    request = json.load(sys.stdin)
    folders = None if request["folders"] is None else [Path(folder) for folder in request["folders"]]
    try:
        contract, model = read_policy(find_policy(request["policy"], folders))
        check_fit(contract, load_robot(request["robot"]), GateLimits(**request["limits"]))
        check_parity(contract, Network(contract, model))
    except UnknownNameError as error:
        sys.stderr.write(f"{UnknownNameError(error.what, error.name, (NOMINAL, *policy_names(folders)))}\n")
        return REFUSED
    except SafeLocomotionError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    sys.stdout.buffer.write(pickle.dumps((contract, model)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
