"""TorchScript of other projects: it is read with its memory, joined with an encoder, and walks."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from lone_walk import follows, imported
from onnx.reference import ReferenceEvaluator

torch = pytest.importorskip("torch")

from torch_zoo import TORCH_ZOO, Exported, loaded, saved  # noqa: E402

from safe_locomotion.cli.policy.import_command import read_network  # noqa: E402
from safe_locomotion.errors import PolicyRefusedError  # noqa: E402
from safe_locomotion.policy.network import open_session  # noqa: E402
from safe_locomotion.training.torchscript import read_torchscript  # noqa: E402


@pytest.mark.parametrize("name", TORCH_ZOO)
def test_torchscript_of_each_project_is_imported_and_follows(name: str, tmp_path: Path) -> None:
    """Each follows 0.5 m/s and 0.3 rad/s within 0.1 in the second half of 1.8 s."""
    fixture = TORCH_ZOO[name](tmp_path)
    policy = imported(fixture, tmp_path)
    assert policy.contract.layout == fixture.layout
    assert len(policy.contract.recurrent) == 2
    assert follows(policy)


def test_a_memory_in_buffers_becomes_inputs_and_outputs(tmp_path: Path) -> None:
    """Twenty steps of the ONNX model equal those of the script, which remembers by itself."""
    rng = np.random.default_rng(0)
    back = (np.eye(12), np.zeros(12))
    network = Exported(rng.normal(size=(45, 7)), np.zeros(45), back)
    model = read_torchscript(saved(network, tmp_path / "policy.pt"))
    script = loaded(tmp_path / "policy.pt")
    session = open_session(model.SerializeToString())
    state = {name: np.zeros((1, 1, 256), dtype=np.float32) for name in ("h_in", "c_in")}
    for _ in range(20):
        row = rng.normal(size=(1, 7)).astype(np.float32)
        with torch.no_grad():
            expected = script(torch.from_numpy(row)).numpy()
        actions, h, c = session.run(None, {"obs": row, **state})
        state = {"h_in": h, "c_in": c}
        np.testing.assert_allclose(actions, expected, atol=2e-5)
    assert np.abs(h).max() > 0.1


def test_gru_and_plain_networks_are_read(tmp_path: Path) -> None:
    """A GRU has one memory; a network without one has none, and x / |x| needs no Expand."""

    class Gru(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = torch.nn.GRU(5, 8)
            self.mlp = torch.nn.Linear(8, 12)
            self.register_buffer("hidden_state", torch.zeros(1, 1, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out, h = self.rnn(x.unsqueeze(0), self.hidden_state)
            self.hidden_state[:] = h
            return self.mlp(out.squeeze(0))

    class Normal(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.actor = torch.nn.Linear(6, 12)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.actor(torch.nn.functional.normalize(x, p=2.0, dim=-1))

    gru = read_network(saved(Gru(), tmp_path / "gru.pt"))
    assert [value.name for value in gru.graph.input] == ["obs", "h_in"]
    normal = read_network(saved(Normal(), tmp_path / "normal.pt"))
    assert "Expand" not in {node.op_type for node in normal.graph.node}
    row = np.arange(6, dtype=np.float32)[None]
    script = loaded(tmp_path / "normal.pt")
    with torch.no_grad():
        expected = script(torch.from_numpy(row)).numpy()
    onnx.checker.check_model(normal)
    np.testing.assert_allclose(
        ReferenceEvaluator(normal).run(None, {"obs": row})[0], expected, atol=1e-6
    )


def test_a_checkpoint_is_no_network(tmp_path: Path) -> None:
    """The error says that it must be exported first."""
    torch.save({"model_state_dict": {}}, tmp_path / "model_100.pt")
    with pytest.raises(PolicyRefusedError, match="checkpoint of a training: export it"):
        read_torchscript(tmp_path / "model_100.pt")


def test_a_memory_of_other_parts_is_refused(tmp_path: Path) -> None:
    """A network with memory whose parts are unknown is not taken apart."""

    class Other(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recall = torch.nn.GRU(5, 8)
            self.register_buffer("hidden_state", torch.zeros(1, 1, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.recall(x.unsqueeze(0), self.hidden_state)[0].squeeze(0)

    with pytest.raises(PolicyRefusedError, match="TorchScript with memory: expected parts out of"):
        read_torchscript(saved(Other(), tmp_path / "other.pt"))
