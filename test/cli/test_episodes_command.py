"""`safe-locomotion episodes`: list, info, page and replay of a real episode, and errors."""

import json
import os
import re
from base64 import b64decode
from pathlib import Path

import pytest
from recorded_walk import RANDOM, wild_walk, write_walk

from safe_locomotion.cli.main import main
from safe_locomotion.recording import reader


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one complete episode, one that was cut off, and another folder."""
    folder = tmp_path_factory.mktemp("episodes")
    write_walk(wild_walk(), folder / "walk_1")
    write_walk(wild_walk(), folder / "walk_2", first=1200, end="")
    (folder / "notes").mkdir()
    return folder


def test_episodes_are_listed(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each episode has a row, also the one that was cut off; table and JSON agree."""
    assert main(["episodes", "ls", str(folder), "--json", str(tmp_path / "ls.json")]) == 0
    whole, cut = json.loads((tmp_path / "ls.json").read_text())
    assert (whole["name"], whole["robot"], whole["policy"], whole["end"], whole["whole"]) == (
        "walk_1", "a1", RANDOM, "walk over", True,
    )  # fmt: skip
    assert (
        whole["duration_s"] == pytest.approx(2.998) and whole["falls"] == 0 and whole["uses"] >= 2
    )
    assert 0.0 < whole["share"] < 1.0 and whole["distance_m"] > 0.1 and whole["size_bytes"] > 1e5
    assert (cut["whole"], cut["end"]) == (False, "cut off") and cut["duration_s"] > 0.5
    shown = capsys.readouterr().out
    assert (
        "walk_1" in shown
        and "cut off" in shown
        and "duration [s]" in shown
        and f"{100 * whole['share']:.1f}" in shown
    )


def test_info_counts_messages(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each topic has its number of messages and its rate, and is in the printed table."""
    assert (
        main(["episodes", "info", str(folder / "walk_1"), "--json", str(tmp_path / "info.json")])
        == 0
    )
    found = json.loads((tmp_path / "info.json").read_text())
    rates = {name: topic["rate_hz"] for name, topic in found["topics"].items()}
    for name, rate in (
        ("joint_states", 500),
        ("safety/verdict", 500),
        ("mpc/plan", 250),
        ("policy/proposal", 125),
    ):
        assert rates[name] == pytest.approx(rate, rel=0.01)
        assert found["topics"][name]["dropped"] == 0
    assert found["topics"]["joint_states"]["longest_gap_ms"] == 2.0
    assert found["changed_settings"] == {} and found["software"] == "0.0.test"
    assert "low_command" in capsys.readouterr().out


def test_the_page_is_a_picture_and_needs_nothing_else(folder: Path, tmp_path: Path) -> None:
    """The HTML holds the PNG and every take-over in words, and refers to no other file."""
    pytest.importorskip("matplotlib")
    assert (
        main(["episodes", "plot", str(folder / "walk_1"), "--output", str(tmp_path / "page")]) == 0
    )
    picture = (tmp_path / "page.png").read_bytes()
    page = (tmp_path / "page.html").read_text()
    assert picture.startswith(b"\x89PNG") and len(picture) > 1e5
    inlined = re.search(r"data:image/png;base64,([^\"]+)", page)
    assert inlined is not None and b64decode(inlined[1]) == picture
    written = page.replace(inlined[1], "")
    assert "http" not in written and "<script" not in written
    assert len(re.findall("<tr class=recovery>", page)) >= 2 and re.search(
        r"(&gt;|&lt;) \S+ (m|rad|m/s|rad/s)<", page
    )


def test_replay_says_what_would_have_changed(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Recording and replay with its settings agree, dwell differs, and open loop is stated."""
    changes = ["--supervisor", "dwell", "--set", "supervisor.intervention.dwell_time=0.5"]
    assert (
        main(
            [
                "episodes",
                "replay",
                str(folder / "walk_1"),
                *changes,
                "--json",
                str(tmp_path / "replay.json"),
            ]
        )
        == 0
    )
    found = json.loads((tmp_path / "replay.json").read_text())
    recorded, same, other = found["columns"].values()
    assert same["equal"] == 1.0 and all(same[key] == value for key, value in recorded.items())
    assert (
        other["criterion"] == "dwell"
        and other["share"] > recorded["share"]
        and other["equal"] < 1.0
    )
    assert found["open_loop"] and found["changes"]["supervisor.intervention.dwell_time"] == 0.5
    shown = capsys.readouterr().out
    assert "other settings" in shown and "Open loop" in shown and "to the last digit" in shown


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["ls", "{}/nowhere"], "no such folder"),
        (["ls", "{}/notes"], "no episodes"),
        (["info", "{}"], "2 episodes; name one"),
        (["replay", "{}/walk_1", "--supervisor", "luck"], "reachability"),
        (["replay", "{}/walk_1", "--horizon", "5", "--supervisor", "naive"], "predicts"),
        (["replay", "{}/walk_1", "--set", "roll"], "node.key=value"),
        (["replay", "{}/walk_1", "--set", "supervisor.trigger_set.c1.rol=1"], "roll_rate"),
        (["replay", "{}/walk_1", "--policy", "luck"], "a1_trot"),
    ],
)
def test_refusals_say_what_to_do(
    arguments: list[str], text: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad usage gives one line on stderr and status 2."""
    assert main(["episodes", *(argument.format(folder) for argument in arguments)]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert text in said


def test_a_list_is_read_once(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the summary of a closed and unchanged episode is stored; others are read again."""
    assert main(["episodes", "ls", str(folder), "--json", "-"]) == 0
    first = capsys.readouterr().out
    read = []
    real = reader.read_episode
    monkeypatch.setattr(reader, "read_episode", lambda path: read.append(path.name) or real(path))
    assert main(["episodes", "ls", str(folder), "--json", "-"]) == 0
    assert capsys.readouterr().out == first and read == ["walk_2"]
    bag = folder / "walk_1" / "walk_1.mcap"
    os.utime(bag, ns=(1, 1))
    assert main(["episodes", "ls", str(bag.parent), "--json", "-"]) == 0
    assert read == ["walk_2", "walk_1"]


def test_a_damaged_episode_does_not_hide_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The row of an unreadable episode says why it cannot be read."""
    (tmp_path / "walk_0").mkdir()
    (tmp_path / "walk_0" / "walk_0.mcap").write_bytes(b"no episode")
    (tmp_path / "walk_1").symlink_to(folder / "walk_1")
    assert main(["episodes", "ls", str(tmp_path), "--json", "-"]) == 0
    damaged, whole = json.loads(capsys.readouterr().out)
    assert damaged["name"] == "walk_0" and damaged["error"] and whole["whole"]
