"""Parts of a grid are put together in the order of the grid."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco_warp")
pytest.importorskip("torch")

import torch

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.training.devices import enough_memory
from safe_locomotion.training.gait.checkpoint import KEYS, write_checkpoint
from safe_locomotion.training.gait.grid import runs_of
from safe_locomotion.training.gait.parallel import merged, parts_of
from safe_locomotion.training.gait.trainer import TrainingOptions

RUNS = tuple(runs_of(["fig4b"], 3))


def figures(numbers: list[int], extra: bool) -> dict[str, np.ndarray]:
    """Falls are the number of the run; one figure exists in one part only."""
    found = {"falls": np.array(numbers, dtype=np.float32)}
    return found | ({"excess": found["falls"] + 100.0} if extra else {})


def test_histories_are_put_together(tmp_path: Path) -> None:
    """Twelve runs on five devices, which have made two or three updates."""
    parts = parts_of(TrainingOptions(runs=RUNS), ["cpu"] * 5, tmp_path, 1.0, False)
    assert [len(part.options.runs) for part in parts] == [3, 3, 2, 2, 2]
    for k, part in enumerate(parts):
        part.folder.mkdir()
        state = dict.fromkeys(KEYS, 0) | {"updates": 2 + k % 2}
        numbers = [RUNS.index(run) for run in part.options.runs]
        history = [figures(numbers, k == 1) for _ in range(2 + k % 2)]
        write_checkpoint(part.folder, state, history)
    whole = merged(parts)
    assert whole.runs == RUNS
    assert whole.updates == 2
    for row in whole.history:
        assert row["falls"].tolist() == list(range(12))
        known = np.flatnonzero(np.isfinite(row["excess"]))
        assert known.tolist() == [1, 6, 11]
        assert row["excess"][known].tolist() == [101.0, 106.0, 111.0]


def test_no_more_parts_than_runs(tmp_path: Path) -> None:
    """A device without a run is not used."""
    options = TrainingOptions(runs=RUNS[:2])
    assert len(parts_of(options, ["cpu"] * 5, tmp_path, 1.0, False)) == 2


def test_a_part_without_a_checkpoint_is_named(tmp_path: Path) -> None:
    """One line that names its folder."""
    parts = parts_of(TrainingOptions(runs=RUNS), ["cpu"] * 2, tmp_path, 1.0, False)
    with pytest.raises(ConfigurationError, match="part_0"):
        merged(parts)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("Failed to allocate 1048576 bytes on device 'cuda:0'"),
    ],
)
def test_a_device_that_is_too_small_is_named(error: RuntimeError) -> None:
    """One line that says what can be done; Torch and Warp have different words for it."""
    words = r"'cuda:0' has not enough memory.*--devices"
    with pytest.raises(ConfigurationError, match=words), enough_memory("cuda:0"):
        raise error
    with pytest.raises(RuntimeError, match="another reason"), enough_memory("cuda:0"):
        raise RuntimeError("another reason")
