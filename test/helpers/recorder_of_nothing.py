"""A recording session that writes 500 messages a second until it is ended, for tests.

It prints the stamp of each tenth message.

Run as `python recorder_of_nothing.py FOLDER [LIMIT]`: no file may grow over LIMIT bytes.
"""

import os
import resource
import sys
import time

from safe_locomotion.messages import cdr
from safe_locomotion.recording.episode import EpisodeInfo
from safe_locomotion.recording.session import Session, SessionSettings

LINGER = 20  # ticks after a failure


def describe(why, start_ns):
    """Description of an episode without a robot."""
    return EpisodeInfo(
        robot="a1",
        policy="nominal",
        why=why,
        start_ns=start_ns,
        started="2026-01-02T03:04:05.000+00:00",
    )


def main():
    """Write until killed, or for a while after writing has failed."""
    if len(sys.argv) > 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
    session = Session(
        SessionSettings(directory=sys.argv[1], start="always", free_mb=0.0),
        describe,
        time.monotonic,
    )
    left = LINGER
    for k in range(10**6):
        stamp_ns = time.monotonic_ns()
        noise = os.urandom(800)
        session.add("joint_states", stamp_ns, cdr.joint_state(stamp_ns, ("a",), noise[:8]) + noise)
        session.settle()
        if k % 10 == 0:
            sys.stdout.write(f"{stamp_ns} {session.fault}\n")
            sys.stdout.flush()
        left -= bool(session.fault)
        if not left:
            break
        time.sleep(0.002)
    session.close()


if __name__ == "__main__":
    main()
