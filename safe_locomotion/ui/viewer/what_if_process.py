"""The process that answers one question of `what_if`: standard input to standard output.

The viewer starts it in the class of processes that run only when nothing else wants the processor.
"""

import os
import pickle
import resource
import sys

from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.ui.viewer.what_if import answer

BACKGROUND = "--background"  #: word that leaves the processor to everything else
REFUSED = 1  #: exit status of a process that has given its reason
MEMORY = 1 << 30  #: bytes that the process may use
PROCESSOR_S = 120  #: processor time that it may use; a minute takes about 5


def stand_back() -> None:
    """Leave the processor to others where asked, and bound memory and processor time, for ever."""
    if BACKGROUND in sys.argv:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))


def main() -> int:
    """Answer the question on standard input.

    Returns:
        Exit status: 0, or `REFUSED` with the reason on standard error.
    """
    stand_back()
    question = pickle.load(sys.stdin.buffer)  # written by the viewer
    try:
        found = answer(question)
    except SafeLocomotionError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    sys.stdout.buffer.write(pickle.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
