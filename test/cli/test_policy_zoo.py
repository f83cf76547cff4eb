"""Policies in the conventions of other projects are imported, and walk."""

import importlib.util
import json
from pathlib import Path

import pytest
import yaml
from lone_walk import follows, imported
from places import ROOT
from policy_zoo import ZOO


@pytest.mark.parametrize("name", ZOO)
def test_a_policy_of_each_project_is_imported_and_follows(name: str, tmp_path: Path) -> None:
    """Each follows 0.5 m/s and 0.3 rad/s within 0.1 in the second half of 1.8 s."""
    fixture = ZOO[name](tmp_path)
    policy = imported(fixture, tmp_path)
    assert policy.contract.layout == fixture.layout
    assert follows(policy)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("legged_gym", ("--order", "isaaclab")),
        ("isaaclab, descriptors", ("--obs-scale", "base_ang_vel=-0.2")),
        ("rsl_rl, turned axes", ("--scale", "0.25")),
    ],
)
def test_a_wrong_import_does_not_follow(name: str, wrong: tuple[str, ...], tmp_path: Path) -> None:
    """A wrong order, sign or axis is written without complaint; the walk shows it."""
    assert not follows(imported(ZOO[name](tmp_path), tmp_path, *wrong))


def test_frames_in_the_wrong_order_do_not_follow(tmp_path: Path) -> None:
    """Six frames of rl_sar, oldest first instead of newest first."""
    fixture = ZOO["rl_sar, six frames"](tmp_path)
    config = Path(fixture.words[-1])
    said = yaml.safe_load(config.read_text())
    said["a1/mine"]["observations_history"].reverse()
    config.write_text(json.dumps(said))
    assert not follows(imported(fixture, tmp_path))


def test_the_page_has_the_table_of_the_flights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise: python tools/policy_zoo.py --page. Every fixture that was flown may fly."""
    spec = importlib.util.spec_from_file_location("policy_zoo_tool", ROOT / "tools/policy_zoo.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    monkeypatch.syspath_prepend(ROOT / "tools")
    spec.loader.exec_module(tool)
    rows = tool.read()
    assert rows and all(row["flies"] for row in rows)
    page = tool.PAGE.read_text()
    assert tool.with_table(page) == page
