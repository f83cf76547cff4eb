"""Claims of DDS domains cannot be led to other files, and two programs never share a domain."""

import os
import stat

import pytest

from safe_locomotion.backends.domains import FIRST, LAST, claim_domain, claims_folder
from safe_locomotion.errors import ConfigurationError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where claims are made, in a runtime folder of this test."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = claims_folder()
    assert path.parent == tmp_path
    return path


def mode(path):
    """Permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_claims_are_private_and_differ(folder):
    """Two claims at once get two domains; folder and files are for this user alone."""
    with claim_domain() as a, claim_domain() as b:
        assert a != b and {a, b} <= set(range(FIRST, LAST + 1))
        assert mode(folder) == 0o700
        assert {mode(path) for path in folder.iterdir()} == {0o600}


def test_a_claimed_domain_is_refused_until_it_is_free(folder):
    """The second claim of a domain fails while the first lasts."""
    refused = pytest.raises(ConfigurationError, match="in use")
    with claim_domain() as domain, refused, claim_domain(domain):
        pass
    with claim_domain(domain) as again:
        assert again == domain


def test_a_link_in_the_place_of_a_lock_is_refused(folder, tmp_path):
    """The file behind the link keeps its content."""
    with claim_domain() as domain:
        pass
    victim = tmp_path / "victim"
    victim.write_text("precious")
    lock = folder / str(domain)
    lock.unlink()
    lock.symlink_to(victim)
    with pytest.raises(ConfigurationError, match="remove it"), claim_domain(domain):
        pass
    assert victim.read_text() == "precious"


def test_a_lock_keeps_its_content(folder):
    """A claim opens a file that is there and truncates nothing."""
    with claim_domain() as domain:
        pass
    (folder / str(domain)).write_text("kept")
    with claim_domain(domain):
        assert (folder / str(domain)).read_text() == "kept"


def test_a_link_in_the_place_of_the_folder_is_refused(folder, tmp_path):
    """Nothing is made in the folder behind the link."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    with pytest.raises(ConfigurationError, match="XDG_RUNTIME_DIR"), claim_domain():
        pass
    assert not list(elsewhere.iterdir())


def test_a_folder_of_another_user_is_refused(folder):
    """Its owner could replace the locks."""
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    with pytest.raises(ConfigurationError, match="another user"), claim_domain():
        pass


def test_an_open_folder_of_an_older_version_is_closed(folder):
    """Permissions that were too wide are narrowed."""
    folder.mkdir(mode=0o755)
    with claim_domain():
        assert mode(folder) == 0o700


def test_without_a_runtime_folder_the_temporary_one_serves(monkeypatch, tmp_path):
    """Also there the folder is private."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with claim_domain():
        assert mode(claims_folder()) == 0o700 and claims_folder().parent == tmp_path
