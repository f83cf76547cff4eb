"""Which policy files a robot takes: the list, signatures, and what is refused before parsing."""

import importlib
import stat
from hashlib import sha256
from pathlib import Path

import pytest
from core_values import A1, LIMITS
from policy_models import HEIGHT, from_height

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError, PolicyRefusedError
from safe_locomotion.pipeline import make_recovery
from safe_locomotion.policy import signature
from safe_locomotion.policy.allow_list import INSTALLED, INSTALLED_LIST, allow, read_allow_list
from safe_locomotion.policy.file import policy_folders, read_policy, write_policy
from safe_locomotion.policy.loader import PolicyLoader
from safe_locomotion.policy.signature import make_key, sign, signed_by
from safe_locomotion.shared_files import find_share


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy that passes all checks."""
    path = tmp_path / "walk.onnx"
    write_policy(from_height(), HEIGHT, path)
    return path


def listed(policy: Path, *lines: str) -> str:
    """Path of a list with these lines."""
    path = policy.with_name("list")
    path.write_text("\n".join(lines))
    return str(path)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return sha256(path.read_bytes()).hexdigest()


def test_the_installed_list_holds_the_policies_that_ship() -> None:
    """All of them and nothing else; `sha256sum *.onnx` in that folder writes it."""
    allowed = read_allow_list(INSTALLED)
    assert allowed is not None and not allowed.keys
    files = [path for folder in policy_folders() for path in folder.glob("*.onnx")]
    assert allowed.digests == {digest(path) for path in files}
    assert allowed.path == find_share(INSTALLED_LIST)


def test_a_listed_file_is_loaded_and_another_is_refused(policy: Path) -> None:
    """By the process that checks, so also in flight; one line says how to allow it."""
    other = listed(policy, "0" * 64)
    with pytest.raises(PolicyRefusedError, match=f"policy allow.*found {digest(policy)}"):
        PolicyLoader(A1, LIMITS, [policy.parent], other).load("walk")
    mine = listed(policy, "# of the lab", "", f"{digest(policy)}  walk.onnx")
    assert PolicyLoader(A1, LIMITS, [policy.parent], mine).load("walk") is not None


def test_a_file_is_refused_before_anything_parses_it(policy: Path) -> None:
    """Bytes that are no policy at all are refused for their digest."""
    policy.write_bytes(b"no policy")
    allowed = read_allow_list(listed(policy, "0" * 64))
    with pytest.raises(PolicyRefusedError, match="a SHA-256 that"):
        read_policy(policy, allowed)


def test_the_recovery_policy_must_be_listed_too(tmp_path: Path) -> None:
    """It drives the robot as well."""
    empty = tmp_path / "list"
    empty.write_text("")
    changes = {"supervisor.recovery_policy": "a1_trot"}
    with pytest.raises(PolicyRefusedError, match=r"a1_trot\.onnx: expected a SHA-256"):
        make_recovery(A1, load_config("a1", {**changes, "supervisor.allowed_policies": str(empty)}))
    make_recovery(A1, load_config("a1", {**changes, "supervisor.allowed_policies": INSTALLED}))


@pytest.mark.parametrize(
    "line", ["abc", "0" * 63, "0" * 65, "ed25519 0", f"rsa {'0' * 64}", f"{'0' * 64}name"]
)
def test_a_line_that_is_none_of_ours_is_refused(policy: Path, line: str) -> None:
    """With its number, because a list with a typing error allows less than its owner thinks."""
    with pytest.raises(ConfigurationError, match="line 2: expected"):
        read_allow_list(listed(policy, "# ours", line))


def test_a_list_that_is_not_there_or_open_to_all_is_refused(policy: Path, tmp_path: Path) -> None:
    """Before a policy is read: a name with a typing error is no permission."""
    for where in (str(tmp_path / "gone"), str(tmp_path), "instaled", "/dev/null"):
        with pytest.raises(ConfigurationError, match="allowed_policies"):
            PolicyLoader(A1, LIMITS, [tmp_path], where)
    path = Path(listed(policy, f"{digest(policy)}"))
    path.chmod(0o666)
    with pytest.raises(ConfigurationError, match="everybody may write"):
        read_allow_list(str(path))


def test_allowing_adds_one_line(policy: Path, tmp_path: Path) -> None:
    """Also to a list whose last line has no end, and not a second time."""
    where = tmp_path / "new" / "list"
    data = policy.read_bytes()
    allow(policy, data, where)
    allow(policy, data, where)
    assert where.read_text() == f"{digest(policy)}  walk.onnx\n"
    where.write_text("0" * 64)
    allow(policy, data, where)
    allowed = read_allow_list(str(where))
    assert allowed is not None and allowed.digests == {"0" * 64, digest(policy)}


class TestSignatures:
    """With the library; without it see below."""

    @pytest.fixture
    def key(self, tmp_path: Path) -> tuple[Path, str]:
        """A private key and its public half."""
        pytest.importorskip("cryptography")
        path = tmp_path / "key.pem"
        return path, make_key(path)

    def test_a_signed_file_is_loaded(self, policy: Path, key: tuple[Path, str]) -> None:
        """Its digest need not be listed."""
        sign(policy, policy.read_bytes(), key[0])
        mine = listed(policy, f"ed25519 {key[1]} the lab")
        assert PolicyLoader(A1, LIMITS, [policy.parent], mine).load("walk") is not None
        assert signed_by(policy, policy.read_bytes(), {key[1]: "the lab"}) == "the lab"

    def test_nothing_else_counts(self, policy: Path, key: tuple[Path, str]) -> None:
        """Changed bytes, an unlisted key, a swapped or broken signature, none at all."""
        data = policy.read_bytes()
        keys = {key[1]: "the lab"}
        assert signed_by(policy, data, keys) is None
        beside = sign(policy, data, key[0])
        assert signed_by(policy, data + b"\0", keys) is None
        assert signed_by(policy, data, {}) is None
        stranger = make_key(policy.with_name("stranger.pem"))
        assert signed_by(policy, data, {stranger: "stranger"}) is None
        text = beside.read_text()
        beside.write_text(text.replace(key[1], stranger))
        assert signed_by(policy, data, {**keys, stranger: "stranger"}) is None
        flipped = text[:-2] + ("0" if text[-2] != "0" else "1") + "\n"
        for wrong in (flipped, text[:-3], "", "\0\xff", text.upper()):
            beside.write_text(wrong)
            assert signed_by(policy, data, keys) is None

    def test_a_key_is_private_and_never_replaced(self, key: tuple[Path, str]) -> None:
        """Mode 0600; a second key needs another name."""
        assert stat.S_IMODE(key[0].stat().st_mode) == 0o600
        with pytest.raises(ConfigurationError, match="File exists"):
            make_key(key[0])

    def test_what_is_no_key_is_refused(self, policy: Path, key: tuple[Path, str]) -> None:
        """In one line."""
        for wrong in (policy, policy.with_name("gone")):
            with pytest.raises(ConfigurationError, match="not a private key"):
                sign(policy, policy.read_bytes(), wrong)


def test_without_the_library_a_signature_is_no_permission(
    policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal says what to install; lists of digests do not need it."""

    def missing(name: str) -> object:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(signature, "import_module", missing)
    policy.with_name("walk.onnx.sig").write_text(f"ed25519 {'0' * 64} {'0' * 128}\n")
    data = policy.read_bytes()
    with pytest.raises(PolicyRefusedError, match="pip install"):
        signed_by(policy, data, {"0" * 64: "the lab"})
    assert signed_by(policy, data, {"1" * 64: "another"}) is None
    with pytest.raises(ConfigurationError, match="pip install"):
        make_key(policy.with_name("key.pem"))
    monkeypatch.setattr(signature, "import_module", importlib.import_module)
