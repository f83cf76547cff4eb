"""The lock files: each package has the hashes of its files, and set-up requires them."""

import re

import pytest
from places import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
PIN = re.compile(r"[a-z0-9.-]+==\S+(?: ; .+)?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_each_package_has_the_hashes_of_its_files(lock):
    """Nothing else is in a lock: no address, no option, no range of versions."""
    text = lock.read_text().replace("\\\n", "")
    entries = [line for line in text.splitlines() if not line.startswith("#")]
    assert entries
    for entry in entries:
        pin, *hashes = re.split(r"\s+(?=--hash)", entry.strip())
        assert PIN.fullmatch(pin), entry
        assert hashes and all(HASH.fullmatch(digest) for digest in hashes), pin


def test_set_up_takes_locked_files_alone():
    """Each installation from a lock requires hashes, but that of torch, whose index has others."""
    commands = re.findall(
        r"^ *pip install (?:.*\\\n)*.*", (ROOT / "tools/setup.sh").read_text(), re.M
    )
    from_locks = [command for command in commands if "--requirement" in command]
    assert len(from_locks) == 2
    assert ["--require-hashes" in c or "/.torch" in c for c in from_locks] == [True, True]
    assert all("--no-deps" in command for command in commands)
