"""Which policy files may drive a robot: listed by SHA-256, or signed by a listed key.

A list is a text file. Its lines are those of `sha256sum`, and `ed25519 KEY OWNER` for a public key:

    074974600e0dc826a20410bdff94069b4bad171d517efcfa74ee86032bd05daa  a1_trot.onnx
    ed25519 3d4017c3e843895a92b70aa74d1b7ebc9c982ccfcd2f1f8d9d1d4bff0e2cf5b7 robot lab

A file is compared before anything parses it.
"""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.refusal import refuse
from safe_locomotion.policy.signature import ALGORITHM, signed_by
from safe_locomotion.shared_files import find_share

ANY = "any"  #: no list: every policy that passes the checks may drive
INSTALLED = "installed"  #: the list of the policies that ship
INSTALLED_LIST = "models/policies/allowed.sha256"
LARGEST = 1_000_000  #: of a list [byte]
DIGEST_LINE = re.compile(r"([0-9a-f]{64})(?: [ *](\S.*)?)?")
KEY_LINE = re.compile(ALGORITHM + r" ([0-9a-f]{64})(?: (.*))?")


@dataclass(frozen=True, kw_only=True)
class AllowList:
    """A list that was read.

    Attributes:
        path: of the list.
        digests: SHA-256 of the files that are allowed, in hexadecimal.
        keys: owner of each public key whose signatures count.
    """

    path: Path
    digests: frozenset[str] = frozenset()
    keys: Mapping[str, str] = field(default_factory=dict)

    def check(self, policy: Path, data: bytes) -> None:
        """Refuse a file that is neither listed nor signed.

        Args:
            policy: where the file is; a signature lies beside it.
            data: its bytes.

        Raises:
            PolicyRefusedError: it is not allowed; the line says how to allow it.
        """
        digest = sha256(data).hexdigest()
        if digest in self.digests or signed_by(policy, data, self.keys):
            return
        raise refuse(
            f"policy {policy.name}",
            f"a SHA-256 that {self.path} lists, or a signature by a key in it (to allow it:"
            f" safe-locomotion policy allow {policy} --list FILE, then allowed_policies:=FILE)",
            digest,
        )


def read_allow_list(where: str) -> AllowList | None:
    """The list that a setting names; None for `any`.

    Args:
        where: `any`, `installed`, or the path of a list.

    Raises:
        ConfigurationError: there is no such list, anybody may write it, or a line is none of ours.
    """
    if where == ANY:
        return None
    path = find_share(INSTALLED_LIST) if where == INSTALLED else Path(where).expanduser()
    digests = set()
    keys = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        if match := DIGEST_LINE.fullmatch(words):
            digests.add(match[1])
        elif match := KEY_LINE.fullmatch(words):
            keys[match[1]] = match[2] or "unnamed"
        else:
            raise ConfigurationError(
                f"{path}, line {number}: expected `SHA-256  NAME` or `{ALGORITHM} KEY OWNER`,"
                f" found {words[:80]!r}"
            )
    return AllowList(path=path, digests=frozenset(digests), keys=keys)


def _text(path: Path) -> str:
    """Text of a list that not everybody can change."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigurationError(f"allowed_policies: {path} is no file")
            if mode & stat.S_IWOTH:
                raise ConfigurationError(
                    f"allowed_policies: everybody may write {path}; chmod o-w {path}"
                )
            return file.read(LARGEST).decode()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"allowed_policies: {path}: expected {ANY}, {INSTALLED} or the path of a list ({error})"
        ) from error


def allow(policy: Path, data: bytes, where: Path) -> None:
    """Add a file to a list, which is made if it does not exist.

    Raises:
        ConfigurationError: the list cannot be read or written.
    """
    known = read_allow_list(str(where)) if where.exists() else None
    digest = sha256(data).hexdigest()
    if known is not None and digest in known.digests:
        return
    append(where, f"{digest}  {policy.name}")


def append(where: Path, line: str) -> None:
    """Add a line to a list.

    Raises:
        ConfigurationError: the list cannot be written.
    """
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        ends = not where.exists() or where.read_bytes()[-1:] in (b"", b"\n")
        with where.open("a") as file:
            file.write(f"{line}\n" if ends else f"\n{line}\n")
    except OSError as error:
        raise ConfigurationError(f"{where}: cannot be written: {error.strerror}") from error
