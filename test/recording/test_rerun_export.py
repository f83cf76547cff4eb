"""An episode as a file of rerun: what it holds, and what is said where rerun is missing."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded_walk import wild_walk, write_walk

from safe_locomotion.cli.main import main
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.recording.episode import EpisodeRecord
from safe_locomotion.recording.reader import read_episode
from safe_locomotion.recording.rerun_export import PERIOD_NS, SceneWriter, export, scenes
from safe_locomotion.recording.stage_values import recorded_config
from safe_locomotion.types import LEGS, Mode
from safe_locomotion.ui.robot_body import RobotBody


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An episode in which recovery takes over."""
    folder = tmp_path_factory.mktemp("episodes") / "walk"
    write_walk(wild_walk(), folder)
    return folder


@pytest.fixture(scope="module")
def record(folder: Path) -> EpisodeRecord:
    """Its arrays."""
    return read_episode(folder)


def test_scenes_say_what_the_supervisor_said(record: EpisodeRecord) -> None:
    """Driver, margins and forecast of each scene are those of the newest recorded verdict."""
    found = list(scenes(record, recorded_config(record)))
    v = record.verdicts
    assert len(found) == pytest.approx(record.duration * 1e9 / PERIOD_NS, abs=2)
    for scene in found:
        row = int(v.at(scene.stamp_ns))
        assert scene.mode is Mode(int(v.mode[row]))
        assert (scene.active == "learner") == bool(v.learner[row])
        if scene.judged:
            margins = dict(zip(v.components, v.margins[row], strict=True))
            assert all(bar.margin == margins[bar.name] for bar in scene.bars)
        if scene.prediction is not None:
            (k,) = np.flatnonzero(v.stamp_ns[v.predicted_at] == scene.prediction.stamp_ns)
            np.testing.assert_array_equal(scene.prediction.position, v.predicted[k][:, 3:6])
    assert sum(scene.prediction is not None for scene in found) > 10
    assert {"learner", "recovery"} == {scene.active for scene in found}


class Spoken:
    """A recording that keeps what is logged, and stands for the module that makes archetypes."""

    def __init__(self) -> None:
        self.logged: dict[str, list[Any]] = {}
        self.ViewCoordinates = self

    def __getattr__(self, name: str) -> Any:
        return lambda *values, **named: (name, values, named)

    def log(self, path: str, *values: Any, static: bool = False) -> None:
        """Keep what an entity is given."""
        self.logged.setdefault(path, []).append((values, static))


def test_each_link_foot_and_margin_is_an_entity(record: EpisodeRecord) -> None:
    """One scene logs every link of the URDF, four feet, all margins, and who drives."""
    spoken = Spoken()
    body = RobotBody("a1")
    writer = SceneWriter(spoken, spoken, body)
    scene = next(s for s in scenes(record, recorded_config(record)) if s.prediction is not None)
    writer.write(scene, 1.5)
    assert {f"world/robot/{link}" for link in body.links} <= set(spoken.logged)
    (((_, (feet,), named),), _) = spoken.logged["world/feet"][0]
    assert len(feet) == 4 and named["labels"] == list(LEGS)
    assert {f"safety/margins/{bar.name}" for bar in scene.bars} <= set(spoken.logged)
    assert scene.prediction is not None
    (((kind, (path,), _),), _) = spoken.logged["world/forecast"][0]
    assert kind == "Points3D" and len(path) == len(scene.prediction.position)


def test_without_rerun_the_extra_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where rerun is missing, one line says what installs it, with status 2."""
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert main(["episodes", "export", str(folder)]) == 2
    assert "pip install 'safe_locomotion[rerun]'" in capsys.readouterr().err


def test_a_file_is_written_that_rerun_reads(record: EpisodeRecord, tmp_path: Path) -> None:
    """Where rerun is installed, the file has its format, and a wrong path is refused."""
    pytest.importorskip("rerun")
    path = tmp_path / "episode.rrd"
    assert export(record, "walk", path) > 50
    assert path.read_bytes()[:4] == b"RRF2"
    with pytest.raises(ConfigurationError, match="cannot be written"):
        export(record, "walk", tmp_path / "nowhere" / "episode.rrd")
