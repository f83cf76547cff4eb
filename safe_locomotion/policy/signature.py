"""Ed25519 signatures of policy files, in a file of their own beside the policy.

`walk.onnx.sig` holds lines `ed25519 KEY SIGNATURE` in hexadecimal. What is signed is `CONTEXT` and
the SHA-256 of the policy's bytes, so that no signature for another purpose fits. The library
`cryptography` is only needed where signatures are made or needed.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from safe_locomotion.errors import ConfigurationError, PolicyRefusedError

ALGORITHM = "ed25519"
SUFFIX = ".sig"
CONTEXT = b"safe_locomotion policy 1\n"
LARGEST = 10_000  #: of the file with signatures [byte]
LINE = re.compile(ALGORITHM + r" ([0-9a-f]{64}) ([0-9a-f]{128})")
INSTALL = "pip install 'cryptography>=42'"


def signed_by(policy: Path, data: bytes, keys: Mapping[str, str]) -> str | None:
    """Owner of the first listed key whose signature of these bytes lies beside the policy.

    Args:
        policy: where the file is.
        data: its bytes.
        keys: owners of public keys.

    Raises:
        PolicyRefusedError: there is such a line, but no library to verify it.
    """
    for key, signature in _lines(policy):
        if key in keys and verifies(key, signature, data):
            return keys[key]
    return None


def _lines(policy: Path) -> list[tuple[str, str]]:
    path = policy.with_name(policy.name + SUFFIX)
    with suppress(OSError):
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            text = file.read(LARGEST).decode(errors="replace")
        return [(m[1], m[2]) for line in text.splitlines() if (m := LINE.fullmatch(line.strip()))]
    return []


def verifies(key: str, signature: str, data: bytes) -> bool:
    """Whether a signature of these bytes was made with the private half of a key.

    Raises:
        PolicyRefusedError: the library is missing.
    """
    try:
        keys = _library("hazmat.primitives.asymmetric.ed25519")
        invalid = _library("exceptions").InvalidSignature
    except ConfigurationError as error:
        raise PolicyRefusedError(str(error)) from error
    try:
        public = keys.Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(signature), _message(data))
    except (invalid, ValueError):
        return False
    return True


def sign(policy: Path, data: bytes, private_key: Path) -> Path:
    """Add a signature to the file beside the policy.

    Args:
        policy: where the file is.
        data: its bytes.
        private_key: PEM file of `make_key`.

    Returns:
        The file with the signatures.

    Raises:
        ConfigurationError: no library, no key, or the file cannot be written.
    """
    key = _private(private_key)
    line = f"{ALGORITHM} {_public(key)} {key.sign(_message(data)).hex()}\n"
    path = policy.with_name(policy.name + SUFFIX)
    try:
        with path.open("a") as file:
            file.write(line)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def make_key(path: Path) -> str:
    """Write a new private key, for this user alone, and return the public one in hexadecimal.

    Raises:
        ConfigurationError: no library, or the file exists or cannot be written.
    """
    keys = _library("hazmat.primitives.asymmetric.ed25519")
    serialization = _library("hazmat.primitives.serialization")
    key = keys.Ed25519PrivateKey.generate()
    data = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from error
    return _public(key)


def _private(path: Path) -> Any:
    keys = _library("hazmat.primitives.asymmetric.ed25519")
    serialization = _library("hazmat.primitives.serialization")
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{path}: not a private key in PEM ({error})") from error
    if not isinstance(key, keys.Ed25519PrivateKey):
        raise ConfigurationError(f"{path}: not an Ed25519 key; make one with policy key")
    return key


def _public(private: Any) -> str:
    return str(private.public_key().public_bytes_raw().hex())


def _message(data: bytes) -> bytes:
    return CONTEXT + sha256(data).digest()


def _library(module: str) -> Any:
    try:
        return import_module(f"cryptography.{module}")
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"signatures need a library: {INSTALL}") from error
