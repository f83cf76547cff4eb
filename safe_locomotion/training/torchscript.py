"""TorchScript files of other projects as ONNX models.

A network that keeps its memory in buffers, as the exporters of rsl_rl and legged_gym write it, gets
that memory as inputs and outputs.
"""

import warnings
from io import BytesIO
from pathlib import Path

import onnx
import torch
from torch import nn

from safe_locomotion.errors import one_line
from safe_locomotion.policy.importers.network_file import kind_of_file
from safe_locomotion.policy.refusal import refuse

OPSET = 17
#: Names that exporters give to the parts of a network with memory, in the order of their work.
BEFORE = ("normalizer", "obs_normalizer")
MEMORIES = ("rnn", "memory")
AFTER = ("actor", "mlp", "deterministic_output")
BUFFERS = ("hidden_state", "cell_state")


class _WithLstm(nn.Module):
    """A network with one LSTM, whose memory comes in and goes out."""

    def __init__(self, before: nn.Module, memory: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.before = before
        self.memory = memory
        self.after = after

    def forward(
        self, obs: torch.Tensor, h_in: torch.Tensor, c_in: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Action and memory after a step."""
        x, (h, c) = self.memory(self.before(obs).unsqueeze(0), (h_in, c_in))
        return self.after(x.squeeze(0)), h, c


class _WithGru(nn.Module):
    """A network with one GRU, whose memory comes in and goes out."""

    def __init__(self, before: nn.Module, memory: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.before = before
        self.memory = memory
        self.after = after

    def forward(self, obs: torch.Tensor, h_in: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Action and memory after a step."""
        x, h = self.memory(self.before(obs).unsqueeze(0), h_in)
        return self.after(x.squeeze(0)), h


def _with_memory(script: torch.jit.ScriptModule, *, lstm: bool) -> nn.Module:
    """A network that gives and takes the memory that a script keeps.

    Raises:
        PolicyRefusedError: its parts are not those of a known exporter.
    """
    parts = dict(script.named_children())
    named = [name for name in MEMORIES if name in parts]
    if not named or not set(parts) <= {*BEFORE, *AFTER, named[0]}:
        expected = f"parts out of {', '.join((*BEFORE, *MEMORIES, *AFTER))}"
        raise refuse("TorchScript with memory", expected, ", ".join(parts))
    before = nn.Sequential(*(parts[name] for name in BEFORE if name in parts))
    after = nn.Sequential(*(parts[name] for name in AFTER if name in parts))
    kind = _WithLstm if lstm else _WithGru
    return torch.jit.script(kind(before, _memory(parts[named[0]], lstm=lstm), after).eval())


def _memory(script: nn.Module, *, lstm: bool) -> nn.Module:
    """An LSTM or GRU with the weights of a script."""
    weights = script.state_dict()
    hidden = weights["weight_hh_l0"].shape[1]
    layers = sum(name.startswith("weight_hh_l") for name in weights)
    kind = nn.LSTM if lstm else nn.GRU
    network = kind(weights["weight_ih_l0"].shape[1], hidden, num_layers=layers)
    network.load_state_dict(weights)
    return network


def read_torchscript(path: Path) -> onnx.ModelProto:
    """The network in a TorchScript file as ONNX, with inputs `obs` and outputs `actions`.

    Raises:
        PolicyRefusedError: the file is not TorchScript, or its network cannot be written as ONNX.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch about the future of TorchScript
        return _read(path)


def _read(path: Path) -> onnx.ModelProto:
    try:
        script = torch.jit.load(str(path), map_location="cpu").eval()
    except Exception as error:  # from torch, or from its archive
        found = kind_of_file(path) or one_line(error, 150)
        raise refuse("source", "TorchScript", f"{path}, {found}") from error
    buffers = dict(script.named_buffers())
    states = [buffers[name] for name in BUFFERS if name in buffers]
    network = _with_memory(script, lstm=len(states) > 1) if states else script
    width = _width(network, states)
    named = ("h", "c")[: len(states)]
    try:
        return _export(network, (torch.zeros(1, width), *map(torch.zeros_like, states)), named)
    except Exception as error:  # classes of torch's exporter share no base
        expected = "TorchScript that torch.onnx.export writes"
        raise refuse("source", expected, one_line(error, 200)) from error


def _export(
    network: nn.Module, arguments: tuple[torch.Tensor, ...], memories: tuple[str, ...]
) -> onnx.ModelProto:
    file = BytesIO()
    torch.onnx.export(
        network,
        arguments,
        file,
        input_names=["obs", *(f"{name}_in" for name in memories)],
        output_names=["actions", *(f"{name}_out" for name in memories)],
        opset_version=OPSET,
        dynamo=False,
    )
    return onnx.load_model_from_string(file.getvalue())


def _width(network: nn.Module, states: list[torch.Tensor]) -> int:
    """Numbers in the observation: the one width that the network accepts.

    Raises:
        PolicyRefusedError: none is accepted.
    """
    widths = {p.shape[1] for p in network.state_dict().values() if p.dim() == 2}
    for width in sorted(widths, reverse=True):
        try:
            with torch.no_grad():
                network(torch.zeros(1, width), *map(torch.zeros_like, states))
        except Exception:  # whatever a script raises about shapes
            continue
        return width
    raise refuse("source", "a network of one observation (1, O)", "another one")
