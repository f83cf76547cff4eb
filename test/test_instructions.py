"""`tools/instructions.py` counts the same ticks of every stage, and reads what callgrind writes."""

import importlib.util
import sys

import pytest
from places import ROOT


@pytest.fixture(scope="module")
def tool():
    """The program that counts."""
    spec = importlib.util.spec_from_file_location("instructions", ROOT / "tools/instructions.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclass looks for its types
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def walk(tool):
    """A short recorded walk."""
    return tool.record(seconds=tool.WALK_S)


def test_each_name_is_a_stage_whose_calls_run(tool, walk):
    """Every stage that can be named exists, and takes the items that would count."""
    found = tool.stages(walk)
    for name in tool.NAMES:
        stage = found[name]
        call = stage.make()
        chosen = tool.counted_items(stage, 5)
        assert len(chosen) == 5
        for i in chosen:
            call(stage.items[i])


def test_the_last_items_count(tool, walk):
    """All items count where there are fewer than wanted, else the last ones, in which it walks."""
    stage = tool.stages(walk)["pipeline"]
    items = len(stage.items)
    assert tool.counted_items(stage, 3) == range(items - 3, items)
    assert tool.counted_items(stage, 10 * items) == range(items)
    assert all(stage.counted[i] for i in tool.counted_items(stage, 20))


def test_total_of_a_dump(tool, tmp_path):
    """The total stands in a line of its own; a dump without one is refused by name."""
    dump = tmp_path / "counts.2"
    dump.write_text("version: 1\nevents: Ir\nfn=(1) f\n16 400\ntotals: 88763606\n")
    assert tool.total(dump) == 88763606
    dump.write_text("version: 1\n")
    with pytest.raises(ValueError, match=r"counts\.2 has no totals"):
        tool.total(dump)


@pytest.mark.parametrize("arguments", [["--only", "pipelin"], ["--only", "codec,pipeline"]])
def test_an_unknown_stage_is_refused_with_the_valid_names(tool, monkeypatch, arguments):
    """Nothing is recorded before the names are known."""
    monkeypatch.setattr(tool.shutil, "which", lambda name: name)
    monkeypatch.setattr(sys, "argv", ["instructions.py", *arguments])
    with pytest.raises(SystemExit, match=r"no stage (pipelin|codec); choose from estimator, "):
        tool.main()
