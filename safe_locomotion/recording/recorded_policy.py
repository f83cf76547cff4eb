"""The policy of an episode, to run it again: found by the hash of its file."""

from hashlib import sha256
from pathlib import Path

import numpy as np

from safe_locomotion.config import StackConfig
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.file import SUFFIX, load_policy, policy_folders
from safe_locomotion.policy.stage import NOMINAL, Learner
from safe_locomotion.recording.episode import EpisodeRecord
from safe_locomotion.robot.models import RobotModel


def load_learner(name_or_path: str, robot: RobotModel, config: StackConfig) -> Learner | None:
    """Load the policy with this name or file; None for the nominal gait.

    Raises:
        PolicyRefusedError: there is no such policy, or it does not fit the robot.
    """
    if name_or_path == NOMINAL:
        return None
    is_path = name_or_path.endswith(SUFFIX)
    # A user who gives a path allows the folder of that file.
    folders = [Path(name_or_path).resolve().parent] if is_path else None
    return load_policy(name_or_path, robot, config.bridge.limits, folders)


def recorded_policy_file(record: EpisodeRecord) -> str:
    """Path of the file with the recorded hash of the policy that proposed, or `nominal`.

    Raises:
        ConfigurationError: several policies proposed, or no file here has the hash.
    """
    proposed = {record.proposals.policies[k] for k in np.unique(record.proposals.policy).tolist()}
    if len(proposed) != 1:
        raise ConfigurationError(
            f"{len(proposed)} policies proposed in this episode"
            f" ({', '.join(sorted(proposed)) or 'none'}): only the recorded proposals can be"
            " replayed, or one policy by its name"
        )
    name = proposed.pop()
    if name == NOMINAL:
        return NOMINAL
    digest = record.info.policies.get(name, "")
    folders = policy_folders()
    for path in sorted(path for folder in folders for path in folder.glob(f"*{SUFFIX}")):
        if digest and sha256(path.read_bytes()).hexdigest() == digest:
            return str(path)
    raise ConfigurationError(
        f"no policy file has the sha256 {digest or '(not recorded)'} of {name};"
        f" looked in {', '.join(map(str, folders)) or 'no folder'};"
        " give its path with --policy FILE, or leave --policy out to replay the recorded proposals"
    )
