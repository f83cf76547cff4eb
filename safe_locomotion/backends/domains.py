"""DDS domains for one run, so that two runs on one machine do not hear each other.

Claims are locks on files in a folder that only this user can open. Other users of the machine can
therefore neither take claims away nor lead them to other files by links.
"""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from safe_locomotion.errors import ConfigurationError

# The robot uses 0 and the vendor's simulator 1. Linux gives the ports above 101 to other programs.
FIRST = 2
LAST = 101
# DDSI-RTPS 2.3, section 9.6.1
PORT_BASE = 7400
PORTS_PER_DOMAIN = 250
FIRST_UNICAST_PORT = 10
LOCAL_ADDRESS = "127.0.0.1"
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


class DomainInUseError(ConfigurationError):
    """The wanted domain is in use."""


@contextmanager
def claim_domain(wanted: int | None = None, *, shared: bool = False) -> Iterator[int]:
    """Reserve a DDS domain for this process until the block ends: `wanted`, or any free one.

    Args:
        wanted: the domain; None for any free one.
        shared: programs without a claim may be there already, such as a user's own nodes.

    Raises:
        DomainInUseError: the domain is in use.
        ConfigurationError: it is out of range, or no domain is free.
    """
    if wanted is not None and not FIRST <= wanted <= LAST:
        raise ConfigurationError(
            f"DDS domain {wanted} is not in {FIRST}..{LAST};"
            " 0 and 1 belong to robots and their simulators"
        )
    first = FIRST + os.getpid() % (LAST - FIRST + 1)
    candidates = (*range(first, LAST + 1), *range(FIRST, first)) if wanted is None else (wanted,)
    with _claims() as folder:
        for domain in candidates:
            with _lock_file(folder, domain) as lock:
                if _locked(lock.fileno()) and (shared or _ports_free(domain)):
                    yield domain
                    return
    if wanted is not None:
        raise DomainInUseError(
            f"DDS domain {wanted} is in use by another program; choose another one, or none to get"
            " a free one"
        )
    raise ConfigurationError(f"all DDS domains {FIRST}..{LAST} are in use; see {claims_folder()}")


def claims_folder() -> Path:
    """Folder of this user's claims: in XDG_RUNTIME_DIR, or in the folder for temporary files."""
    parent = os.environ.get("XDG_RUNTIME_DIR", "") or tempfile.gettempdir()
    return Path(parent) / f"safe_locomotion_domains_{os.getuid()}"


@contextmanager
def _claims() -> Iterator[int]:
    """The open folder of the claims, which belongs to this user and is no link.

    Raises:
        ConfigurationError: somebody else has made it, or it cannot be made.
    """
    path = claims_folder()
    try:
        with suppress(FileExistsError):
            path.mkdir(mode=PRIVATE_FOLDER)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: no folder for the claims of DDS domains ({error.strerror}); remove it,"
            " or set XDG_RUNTIME_DIR to a folder of your own"
        ) from error
    try:
        if os.fstat(folder).st_uid != os.getuid():
            raise ConfigurationError(
                f"{path} belongs to another user; set XDG_RUNTIME_DIR to a folder of your own"
            )
        os.fchmod(folder, PRIVATE_FOLDER)
        yield folder
    finally:
        os.close(folder)


def _lock_file(folder: int, domain: int) -> IO[bytes]:
    """The file of a claim, which is never a link and never truncated.

    Raises:
        ConfigurationError: it is a link, or it cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.fdopen(os.open(str(domain), flags, PRIVATE_FILE, dir_fd=folder), "r+b", 0)
    except OSError as error:
        raise ConfigurationError(
            f"{claims_folder() / str(domain)}: no lock of a domain ({error.strerror}); remove it"
        ) from error


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
