"""DDS domains for one run, so that two runs on one machine do not hear each other."""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safe_locomotion.errors import ConfigurationError

# The robot uses 0 and the vendor's simulator 1. Linux gives the ports above 101 to other programs.
FIRST = 2
LAST = 101
# DDSI-RTPS 2.3, section 9.6.1
PORT_BASE = 7400
PORTS_PER_DOMAIN = 250
FIRST_UNICAST_PORT = 10
LOCAL_ADDRESS = "127.0.0.1"


@contextmanager
def claim_domain(wanted: int | None = None) -> Iterator[int]:
    """Reserve a DDS domain for this process until the block ends: `wanted`, or any free one.

    Raises:
        ConfigurationError: the domain is in use or out of range, or no domain is free.
    """
    if wanted is not None and not FIRST <= wanted <= LAST:
        raise ConfigurationError(
            f"DDS domain {wanted} is not in {FIRST}..{LAST};"
            " 0 and 1 belong to robots and their simulators"
        )
    folder = Path(tempfile.gettempdir()) / f"safe_locomotion_domains_{os.getuid()}"
    folder.mkdir(exist_ok=True)
    first = FIRST + os.getpid() % (LAST - FIRST + 1)
    candidates = (*range(first, LAST + 1), *range(FIRST, first)) if wanted is None else (wanted,)
    for domain in candidates:
        with (folder / str(domain)).open("w") as lock:
            if _locked(lock.fileno()) and _ports_free(domain):
                yield domain
                return
    if wanted is not None:
        raise ConfigurationError(
            f"DDS domain {wanted} is in use by another program; choose another one, or none to get"
            " a free one"
        )
    raise ConfigurationError(
        f"all DDS domains {FIRST}..{LAST} are in use; see the locks in {folder}"
    )


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ports_free(domain: int) -> bool:
    """Whether the port of the domain's first participant is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((LOCAL_ADDRESS, PORT_BASE + PORTS_PER_DOMAIN * domain + FIRST_UNICAST_PORT))
        except OSError:
            return False
    return True
