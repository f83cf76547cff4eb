"""Policy files: ONNX models that carry their contract.

The metadata of the model holds the contract under `CONTRACT_KEY`. The last bytes of the file are
one more metadata entry, the seal: the SHA-256 of all bytes before it. A damaged or edited file is
refused before anything parses it.
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
from safe_locomotion.policy.allow_list import AllowList
from safe_locomotion.policy.contract import (
    PARITY_PAIRS,
    PolicyContract,
    contract_from_json,
    with_parity,
)
from safe_locomotion.policy.network import Network
from safe_locomotion.policy.onnx_model import (
    IR_MAX,
    check_model,
    check_tensors,
    decode,
    fix_batch,
    parse_model,
)
from safe_locomotion.policy.refusal import Numbers, refuse
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.shared_files import find_share

BYTES_MAX = 32 * 1024 * 1024  #: ten times the size of a network with two LSTM layers of 256
CONTRACT_KEY = "safe_locomotion"
SEAL_KEY = "safe_locomotion_sha256"
SUFFIX = ".onnx"
#: Of a path without a folder: policies, and networks of PyTorch, which must be imported first.
FILE_SUFFIXES = (SUFFIX, ".pt", ".pth", ".jit")
#: Between this machine's answers and the recorded ones, in units of the network's output.
TOLERANCE = 1e-4
_DIGEST_BYTES = 64
# Protobuf: the key (field 1), then the header of a value (field 2) of 64 bytes.
_ENTRY = b"\x0a" + bytes([len(SEAL_KEY)]) + SEAL_KEY.encode() + b"\x12" + bytes([_DIGEST_BYTES])
# Protobuf: metadata is field 14 of a model.
_SEAL = b"\x72" + bytes([len(_ENTRY) + _DIGEST_BYTES]) + _ENTRY


def policy_folders() -> tuple[Path, ...]:
    """Folders with policies that can be named: `models/policies` of this installation, if any."""
    try:
        return (find_share("models/policies"),)
    except ConfigurationError:
        return ()


def policy_names(folders: Sequence[Path] | None = None) -> tuple[str, ...]:
    """Names of the policies in these folders; in `policy_folders` when none are given."""
    found = policy_folders() if folders is None else folders
    return tuple(sorted({path.stem for folder in found for path in folder.glob(f"*{SUFFIX}")}))


def find_policy(name_or_path: str, folders: Sequence[Path] | None = None) -> Path:
    """Path of a policy, by its name or by a path.

    A path must lead into one of the folders after symbolic links are followed.

    Args:
        name_or_path: a path holds a separator or ends as a file; anything else is a name.
        folders: the allowed ones; `policy_folders` when none are given.

    Raises:
        PolicyRefusedError: no policy of that name, no such file, or a file in another folder.
    """
    allowed = policy_folders() if folders is None else tuple(folders)
    named = is_name(name_or_path)
    if named and name_or_path not in policy_names(allowed):
        choices = ", ".join(policy_names(allowed)) or "none installed"
        raise refuse("policy", f"one of: {choices}", repr(name_or_path))
    try:
        path = _named_file(name_or_path, allowed) if named else Path(name_or_path)
        resolved = path.resolve(strict=True)
        roots = [folder.resolve() for folder in allowed]
    except (OSError, RuntimeError, ValueError, StopIteration) as error:
        raise refuse("policy", "a file that exists", f"{name_or_path!r} ({error})") from error
    if not any(resolved.is_relative_to(root) for root in roots):
        inside = ", ".join(map(str, roots)) or "no folder"
        raise refuse("policy", f"a file inside {inside}", str(resolved))
    return resolved


def is_name(name_or_path: str) -> bool:
    """Whether this is the name of a policy and not a path."""
    return os.sep not in name_or_path and not name_or_path.endswith(FILE_SUFFIXES)


def _named_file(name: str, folders: Sequence[Path]) -> Path:
    paths = [folder / f"{name}{SUFFIX}" for folder in folders]
    return next(path for path in paths if path.is_file())


def read_policy(path: Path, allowed: AllowList | None = None) -> tuple[PolicyContract, bytes]:
    """Contract and model of a file, consistent with each other.

    `load_policy` also checks whether they suit the robot.

    Args:
        path: of the file.
        allowed: what may drive, which is asked before anything parses the file; None for any.

    Raises:
        PolicyRefusedError: not a policy file, or not allowed; says what was expected and what was
            found.
    """
    data = read_bytes(path)
    if allowed is not None:
        allowed.check(path, data)
    return unpack(data), data


def unpack(data: bytes) -> PolicyContract:
    """The contract in the bytes of a policy file, checked except for its parity.

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
    name_or_path: str,
    robot: RobotModel,
    limits: GateLimits,
    folders: Sequence[Path] | None = None,
    allowed: AllowList | None = None,
) -> PolicyRuntime:
    """A policy that is ready to act on this robot: read, checked against the robot, and warm.

    Args:
        name_or_path: see `find_policy`.
        robot: that the policy is to drive.
        limits: of the gate, which the gains must respect.
        folders: see `find_policy`.
        allowed: see `read_policy`.

    Raises:
        PolicyRefusedError: there is no such policy, or it must not fly.
    """
    contract, model = read_policy(find_policy(name_or_path, folders), allowed)
    check_fit(contract, robot, limits)
    return PolicyRuntime(contract, model, robot)


def check_fit(contract: PolicyContract, robot: RobotModel, limits: GateLimits) -> None:
    """Refuse a contract that does not suit this robot.

    Raises:
        PolicyRefusedError: the contract is for another robot, or has gains, a pose or foot
            positions beyond this robot's limits.
    """
    if contract.robot != robot.name:
        raise refuse("robot", robot.name, contract.robot)
    pose = np.array(contract.default_pose)[np.argsort(contract.to_policy)]
    if not ((robot.q_min <= pose) & (pose <= robot.q_max)).all():
        raise refuse("default_pose", "inside the joints' ranges", np.round(pose, 3).tolist())
    if contract.joint is not None:
        _check_gains("kp", contract.joint.kp, limits.kp_max)
        _check_gains("kd", contract.joint.kd, limits.kd_max)
    if contract.gait is not None:
        feet = next(term for term in contract.gait.terms if term.name == "foot_y")
        reach = _lateral_reach(robot)
        if not all(abs(y) <= reach for y in (*feet.lower, *feet.upper)):
            found = (feet.lower, feet.upper)
            raise refuse("gait action foot_y: bounds", f"within +-{reach:.2f} m", found)


def _check_gains(name: str, gains: Numbers, largest: float) -> None:
    if not max(gains) <= largest:
        raise refuse(f"joint action: {name}", f"at most {largest:g}", max(gains))


def _lateral_reach(robot: RobotModel) -> float:
    """Largest lateral distance of a foot on the ground from the base at nominal height [m]."""
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
    """Write a policy file, with pairs recorded by running the model.

    A file that `read_policy` would refuse is not written.

    Args:
        model: ONNX; open sizes of its inputs and outputs become 1.
        contract: its recorded pairs are replaced.
        path: of the file. An existing file is replaced at once, never half written.
        observations: (n, O) with n >= 64, best from a walk. The first 64 are recorded. Random
            numbers when not given.
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
    shape = (PARITY_PAIRS, contract.observation_width)
    if observations is None:
        observations = np.random.default_rng(0).normal(size=shape)
    seen = np.asarray(observations, dtype=np.float32)[:PARITY_PAIRS]
    if seen.shape != shape:
        raise refuse("observations", f"{shape[0]} of width {shape[1]}", f"shape {seen.shape}")
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
    """A model followed by the checksum of its bytes.

    The checksum is a metadata entry, which any ONNX reader accepts.
    """
    return data + _SEAL + sha256(data).hexdigest().encode()


def check_seal(data: bytes) -> None:
    """Refuse bytes that do not end in their own checksum.

    Raises:
        PolicyRefusedError: the bytes are not sealed, too large, or changed after they were sealed.
    """
    if len(data) > BYTES_MAX:
        raise refuse("file size", f"at most {BYTES_MAX} bytes", len(data))
    body = data[: -len(_SEAL) - _DIGEST_BYTES]
    mark = data[-len(_SEAL) - _DIGEST_BYTES : -_DIGEST_BYTES]
    digest = data[-_DIGEST_BYTES:]
    if mark != _SEAL:
        found = "none: it is cut off, or of another project (safe-locomotion policy import --help)"
        expected = f"the checksum {SEAL_KEY!r}"
        raise refuse("end of the file", expected, found if data else "an empty file")
    actual = sha256(body).hexdigest()
    if digest != actual.encode():
        raise refuse("checksum", digest.decode(errors="replace")[:12], actual[:12])


def read_bytes(path: Path) -> bytes:
    """Bytes of a file.

    Raises:
        PolicyRefusedError: the file cannot be read, is not a regular file, or is too large.
    """
    try:
        # Do not wait for the writer of a pipe. Do not follow a link: the path was resolved before,
        # so a link would be new.
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


def installed_policies(robot: str, *, walking: bool = False) -> tuple[str, ...]:
    """Names of the installed policies for a robot, gait policies first.

    Args:
        robot: that they are for.
        walking: leave out those that hold legs in the air, which balance and do not walk.
    """
    found = []
    for name in policy_names():
        try:
            contract, _ = read_policy(find_policy(name))
        except PolicyRefusedError:
            continue  # it must not fly; `safe-locomotion policy ls` says why
        lifts = contract.gait is not None and any(contract.gait.lifted)
        if contract.robot == robot and not (walking and lifts):
            found.append((contract.kind, name))
    return tuple(name for _, name in sorted(found))
