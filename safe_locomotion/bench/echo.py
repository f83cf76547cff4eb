"""A controller that answers each state with damping, until SIGTERM.

Run it as `python -m safe_locomotion.bench.echo DOMAIN`.
"""

import signal
import sys
from dataclasses import replace

from safe_locomotion.backends.backend import stop_command
from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2

STOP_KD = 3.0


def main(domain: int) -> None:
    """Answer every state on the DDS domain until SIGTERM."""
    backend = UnitreeSdk2(stop_kd=STOP_KD, domain=domain)
    answer = stop_command(STOP_KD)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        state = backend.read(0.1)
        if state is not None:
            backend.write(replace(answer, stamp_ns=state.stamp_ns))


if __name__ == "__main__":
    main(int(sys.argv[1]))
