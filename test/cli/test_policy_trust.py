"""`policy allow`, `key` and `sign`: a list that a robot reads."""

from pathlib import Path

import pytest
from policy_models import HEIGHT, from_height

from safe_locomotion.cli.main import main
from safe_locomotion.policy.allow_list import read_allow_list
from safe_locomotion.policy.file import read_policy, write_policy


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy of the user."""
    path = tmp_path / "mine.onnx"
    write_policy(from_height(), HEIGHT, path)
    return path


def test_listed_policies_are_allowed(policy: Path, tmp_path: Path) -> None:
    """By path and by name."""
    where = tmp_path / "allowed"
    assert main(["policy", "allow", "a1_trot", str(policy), "--list", str(where)]) == 0
    allowed = read_allow_list(str(where))
    assert allowed is not None and len(allowed.digests) == 2
    read_policy(policy, allowed)


def test_signed_policies_are_allowed(policy: Path, tmp_path: Path) -> None:
    """Key and list from the commands of the page."""
    pytest.importorskip("cryptography")
    where = str(tmp_path / "allowed")
    key = str(tmp_path / "lab.pem")
    assert main(["policy", "key", key, "--list", where, "--owner", "robot  lab"]) == 0
    assert main(["policy", "sign", str(policy), "--key", key]) == 0
    allowed = read_allow_list(where)
    assert allowed is not None and list(allowed.keys.values()) == ["robot lab"]
    read_policy(policy, allowed)


def test_what_is_no_policy_is_not_listed(policy: Path, tmp_path: Path) -> None:
    """The command reads it as the robot would."""
    policy.write_bytes(b"no policy")
    assert main(["policy", "allow", str(policy), "--list", str(tmp_path / "allowed")]) != 0
    assert not (tmp_path / "allowed").exists()
