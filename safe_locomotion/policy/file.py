"""Policy files: ONNX models that carry their contract, written for exporters and read with suspicion.

Layout: an ONNX model; its metadata holds the contract under `CONTRACT_KEY`; the last bytes of the file are one more metadata entry
with the SHA-256 of all bytes before it. A file that was damaged or edited is refused before anything parses it.
"""

import os
import stat
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from safe_locomotion.errors import ConfigurationError, PolicyRefusedError
from safe_locomotion.policy.contract import (
    PARITY_PAIRS,
    PolicyContract,
    contract_from_json,
    refuse,
    with_parity,
)
from safe_locomotion.policy.operators import (
    IR_MAX,
    check_model,
    check_tensors,
    decode,
    fix_batch,
    parse_model,
)
from safe_locomotion.policy.runtime import Network, PolicyRuntime
from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.shared_files import find_share

BYTES_MAX = 32 * 1024 * 1024  #: ten times an LSTM 256 pair
CONTRACT_KEY = "safe_locomotion"
SEAL_KEY = "safe_locomotion_sha256"
SUFFIX = ".onnx"
TOLERANCE = (
    1e-4  #: between this machine's answers and the recorded ones, in units of the network's output
)
_ENTRY = (
    b"\x0a" + bytes([len(SEAL_KEY)]) + SEAL_KEY.encode() + b"\x12\x40"
)  # key, then a value of 64 bytes
_SEAL = b"\x72" + bytes([len(_ENTRY) + 64]) + _ENTRY  # field 14 of a model: metadata


def policy_folders() -> tuple[Path, ...]:
    """Folders that hold policies by name: `models/policies` of this installation, when there is one."""
    try:
        return (find_share("models/policies"),)
    except ConfigurationError:
        return ()


def policy_names(folders: Sequence[Path] | None = None) -> tuple[str, ...]:
    """Names of the policies in some folders, those of `policy_folders` when none are given."""
    found = policy_folders() if folders is None else folders
    return tuple(sorted({path.stem for folder in found for path in folder.glob(f"*{SUFFIX}")}))


def find_policy(name_or_path: str, folders: Sequence[Path] | None = None) -> Path:
    """Path of a policy by name, or by a path that leads, symbolic links followed, into one of the folders.

    Args:
        name_or_path: a name, or a path: what holds a separator or ends in ".onnx".
        folders: the allowed ones, those of `policy_folders` when none are given.

    Raises:
        PolicyRefusedError: no policy of that name, or the path leads elsewhere or nowhere.
    """
    allowed = policy_folders() if folders is None else tuple(folders)
    named = os.sep not in name_or_path and not name_or_path.endswith(SUFFIX)
    if named and name_or_path not in policy_names(allowed):
        raise refuse(
            "policy",
            f"one of: {', '.join(policy_names(allowed)) or 'none installed'}",
            repr(name_or_path),
        )
    try:
        paths = (
            [folder / f"{name_or_path}{SUFFIX}" for folder in allowed]
            if named
            else [Path(name_or_path)]
        )
        resolved = next(path for path in paths if path.is_file() or not named).resolve(strict=True)
        roots = [folder.resolve() for folder in allowed]
    except (OSError, RuntimeError, ValueError, StopIteration) as error:
        raise refuse("policy", "a file that exists", f"{name_or_path!r} ({error})") from error
    if not any(resolved.is_relative_to(root) for root in roots):
        raise refuse(
            "policy", f"a file inside {', '.join(map(str, roots)) or 'no folder'}", str(resolved)
        )
    return resolved


def read_policy(path: Path) -> tuple[PolicyContract, bytes]:
    """Contract and model of a file, consistent with each other; whether they suit this robot is for `load_policy` to say.

    Raises:
        PolicyRefusedError: not a policy file; says what was expected and what was found.
    """
    data = read_bytes(path)
    return unpack(data), data


def unpack(data: bytes) -> PolicyContract:
    """The contract in the bytes of a policy file, all but its parity checked.

    Raises:
        PolicyRefusedError: see `read_policy`.
    """
    check_seal(data)
    model = parse_model(data)
    texts = [entry.value for entry in model.metadata_props if entry.key == CONTRACT_KEY]
    if len(texts) != 1:
        raise refuse("metadata", f"one entry {CONTRACT_KEY!r}", f"{len(texts)} of them")
    contract = contract_from_json(texts[0])
    if contract.parity is None:
        raise refuse("parity", "recorded pairs", "none")
    check_tensors(model, contract)
    return contract


def load_policy(
    name_or_path: str, robot: RobotModel, limits: GateLimits, folders: Sequence[Path] | None = None
) -> PolicyRuntime:
    """A policy that is ready to act on this robot: found, read, compared with the robot, its parity checked, warm.

    Raises:
        PolicyRefusedError: there is none, or it must not fly.
    """
    contract, model = read_policy(find_policy(name_or_path, folders))
    check_fit(contract, robot, limits)
    return PolicyRuntime(contract, model, robot)


def check_fit(contract: PolicyContract, robot: RobotModel, limits: GateLimits) -> None:
    """Refuse a contract for another robot, and gains, poses and foot positions that this one must not be asked for.

    Raises:
        PolicyRefusedError: see above.
    """
    if contract.robot != robot.name:
        raise refuse("robot", robot.name, contract.robot)
    pose = np.array(contract.default_pose)[np.argsort(contract.to_policy)]
    if not ((robot.q_min <= pose) & (pose <= robot.q_max)).all():
        raise refuse("default_pose", "inside the joints' ranges", np.round(pose, 3).tolist())
    if contract.joint is not None:
        for key, largest in (("kp", limits.kp_max), ("kd", limits.kd_max)):
            if not max(getattr(contract.joint, key)) <= largest:
                raise refuse(
                    f"joint action: {key}",
                    f"at most {largest:g}",
                    max(getattr(contract.joint, key)),
                )
    if contract.gait is not None:
        feet = next(term for term in contract.gait.terms if term.name == "foot_y")
        reach = _lateral_reach(robot)
        if not all(abs(y) <= reach for y in (*feet.lower, *feet.upper)):
            raise refuse(
                "gait action foot_y: bounds", f"within +-{reach:.2f} m", (feet.lower, feet.upper)
            )


def _lateral_reach(robot: RobotModel) -> float:
    """How far beside the base a foot on the ground can be at the nominal height [m]."""
    leg = robot.thigh_length + robot.calf_length
    height = robot.nominal_height - robot.foot_radius
    widest = float(np.max(np.abs(robot.hip_position[:, 1] + robot.hip_offset)))
    return widest + float(np.sqrt(leg * leg - height * height))


def write_policy(
    model: bytes | onnx.ModelProto,
    contract: PolicyContract,
    path: Path,
    *,
    observations: NDArray[Any] | None = None,
    tolerance: float = TOLERANCE,
) -> PolicyContract:
    """Write a policy file, with pairs recorded by running the model; what `read_policy` would refuse is not written.

    Args:
        model: ONNX; sizes that its inputs and outputs leave open become 1.
        contract: what it means; recorded pairs in it are replaced.
        path: of the file; replaced at once and whole.
        observations: (n, O) with n >= 64, of which the first 64 are recorded, best from a walk; random numbers when not given.
        tolerance: of the parity check.

    Returns:
        The contract as written.

    Raises:
        PolicyRefusedError: the model and the contract do not make a policy.
    """
    data, written = pack(model, contract, observations=observations, tolerance=tolerance)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_bytes(data)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    return written


def pack(
    model: bytes | onnx.ModelProto,
    contract: PolicyContract,
    *,
    observations: NDArray[Any] | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[bytes, PolicyContract]:
    """Bytes and contract of a policy file; see `write_policy`."""
    proto = onnx.ModelProto()
    proto.CopyFrom(decode(model) if isinstance(model, bytes) else model)
    fix_batch(proto)
    proto.ir_version = min(proto.ir_version, IR_MAX)
    check_model(proto)
    check_tensors(proto, contract)
    if observations is None:
        observations = np.random.default_rng(0).normal(
            size=(PARITY_PAIRS, contract.observation_width)
        )
    seen = np.asarray(observations, dtype=np.float32)[:PARITY_PAIRS]
    if seen.shape != (PARITY_PAIRS, contract.observation_width):
        raise refuse(
            "observations",
            f"{PARITY_PAIRS} of width {contract.observation_width}",
            f"shape {seen.shape}",
        )
    actions = Network(contract, proto.SerializeToString()).sequence(seen)
    written = with_parity(contract, seen, actions, tolerance)
    kept = [entry for entry in proto.metadata_props if entry.key not in (CONTRACT_KEY, SEAL_KEY)]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
    proto.metadata_props.add(key=CONTRACT_KEY, value=written.to_json())
    data = seal(proto.SerializeToString())
    if unpack(data) != written:
        raise PolicyRefusedError("the contract does not survive writing")
    return data, written


def seal(data: bytes) -> bytes:
    """A model followed by the checksum of its bytes, itself a metadata entry that any ONNX reader takes."""
    return data + _SEAL + sha256(data).hexdigest().encode()


def check_seal(data: bytes) -> None:
    """Refuse bytes that do not end in their own checksum.

    Raises:
        PolicyRefusedError: not sealed, too large, or changed since.
    """
    if len(data) > BYTES_MAX:
        raise refuse("file size", f"at most {BYTES_MAX} bytes", len(data))
    body = data[: -len(_SEAL) - 64]
    mark = data[-len(_SEAL) - 64 : -64]
    digest = data[-64:]
    if mark != _SEAL:
        raise refuse(
            "end of the file",
            f"the checksum {SEAL_KEY!r}",
            "none: not written by this package, or cut off",
        )
    if digest != sha256(body).hexdigest().encode():
        raise refuse(
            "checksum", digest.decode(errors="replace")[:12], sha256(body).hexdigest()[:12]
        )


def read_bytes(path: Path) -> bytes:
    """Bytes of a regular file that is small enough.

    Raises:
        PolicyRefusedError: it is not.
    """
    try:
        # Not to wait for the writer of a pipe, nor to follow a link that was not there when the path was resolved.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise refuse("policy", "a regular file", str(path))
            if status.st_size > BYTES_MAX:
                raise refuse("file size", f"at most {BYTES_MAX} bytes", status.st_size)
            return file.read(BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise refuse("policy", "a readable file", f"{path} ({error})") from error


def installed_policies(robot: str) -> tuple[str, ...]:
    """Names of the installed policies for a robot, those that propose gaits first."""
    found = []
    for name in policy_names():
        try:
            contract, _ = read_policy(find_policy(name))
        except PolicyRefusedError:
            continue  # nothing to fly; `safe-locomotion policy ls` says why
        if contract.robot == robot:
            found.append((contract.kind, name))
    return tuple(name for _, name in sorted(found))
