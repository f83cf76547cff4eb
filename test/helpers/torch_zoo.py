"""Fixtures of the zoo in TorchScript: legged_gym's export with memory, and walk_these_ways."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import torch
from foreign_policies import (
    GYM_POSE,
    SCALE,
    Array,
    Builder,
    Convention,
    Fixture,
    gains,
    shipped,
)
from onnx import numpy_helper
from policy_zoo import FRAMES, GYM, TROT, gym, parameters

from safe_locomotion.policy.importers.joint_names import ISAAC_GYM

HIDDEN = 256


class Exported(torch.nn.Module):
    """A network with memory, whose parts have the names that legged_gym's exporter gives."""

    def __init__(self, matrix: Array, offset: Array, back: tuple[Array, Array]) -> None:
        super().__init__()
        w = {t.name: numpy_helper.to_array(t) for t in shipped().graph.initializer}
        factor = w["scale"][0]
        self.normalizer = linear(factor[:, None] * matrix, factor * (offset - w["mean"][0]))
        self.memory = torch.nn.LSTM(45, HIDDEN)
        # ONNX has the gates in the order i o f c, and PyTorch in the order i f c o.
        gates = np.r_[0:256, 512:768, 768:1024, 256:512]
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        biases = np.split(w["lstm_b"][0], 2)
        values = (w["lstm_w"][0], w["lstm_r"][0], *biases)
        self.memory.load_state_dict(
            {name: torch.from_numpy(x[gates].copy()) for name, x in zip(names, values, strict=True)}
        )
        self.actor = torch.nn.Sequential(
            linear(w["w0"], w["b0"]),
            torch.nn.ELU(),
            linear(w["w1"], w["b1"]),
            torch.nn.ELU(),
            linear(w["w2"], w["b2"]),
            torch.nn.Hardtanh(float(w["low"][0]), float(w["high"][0])),
            linear(*back),
        )
        self.register_buffer("hidden_state", torch.zeros(1, 1, HIDDEN))
        self.register_buffer("cell_state", torch.zeros(1, 1, HIDDEN))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Action of one step; the memory is kept."""
        seen = self.normalizer(x).unsqueeze(0)
        out, (h, c) = self.memory(seen, (self.hidden_state, self.cell_state))
        self.hidden_state[:] = h
        self.cell_state[:] = c
        return self.actor(out.squeeze(0))


def linear(matrix: Array, offset: Array) -> torch.nn.Linear:
    """A layer with these weights."""
    layer = torch.nn.Linear(matrix.shape[1], matrix.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.array(matrix, dtype=np.float32)))
        layer.bias.copy_(torch.from_numpy(np.array(offset, dtype=np.float32)))
    return layer


def saved(network: torch.nn.Module, path: Path) -> Path:
    """The file of a network as TorchScript."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch deprecates what the other projects use
        torch.jit.script(network.eval()).save(str(path))
    return path


def loaded(path: Path) -> torch.jit.ScriptModule:
    """The network in a TorchScript file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.load(str(path))


def legged_gym_recurrent(folder: Path) -> Fixture:
    """48 numbers, and the memory in buffers."""
    convention = gym(GYM)
    network = Exported(*convention.front(), convention.back())
    source = saved(network, folder / "legged_gym/policy_lstm_1.pt")
    return Fixture(layout="legged_gym", source=source, words=("--layout", "legged_gym", *gains()))


def walk_these_ways(folder: Path) -> Fixture:
    """Body and adaptation module, which gives the body the gravity that it does not look at."""
    place = folder / "walk_these_ways"
    place.mkdir(parents=True)
    terms = (
        ("base_angular_velocity", 0.25),
        ("projected_gravity", 1.0),
        ("velocity_command", (2.0, 2.0, 0.25)),
        ("behaviour", TROT),
        ("joint_position", 1.0),
        ("joint_velocity", 0.05),
        ("previous_action", 1.0),
        ("earlier", (1.0,) * 12),
        ("clock", (1.0,) * 4),
    )
    scale = np.array([0.5 * SCALE, SCALE, SCALE] * 4)
    convention = Convention(
        terms=terms,
        order=ISAAC_GYM,
        pose=np.array([GYM_POSE[name] for name in ISAAC_GYM]),
        scale=scale,
    )
    matrix, offset = convention.front()
    width = FRAMES * convention.width
    whole = np.zeros((45, width))
    whole[:, -convention.width :] = matrix
    saved(linear(whole[3:6], offset[3:6]), place / "adaptation_module_latest.jit")
    behind = np.concatenate((whole, np.zeros((45, 3))), axis=1)
    behind[3:6] = 0.0
    behind[3:6, -3:] = np.eye(3)
    source = saved(Exported(behind, offset, convention.back()), place / "body_latest.jit")
    (place / "parameters.pkl").write_bytes(pickle.dumps({"Cfg": parameters()}))
    words = ("--layout", "walk_these_ways", "--config", str(place / "parameters.pkl"))
    more = ("--encoder", str(place / "adaptation_module_latest.jit"))
    behaviour = ("--behaviour", ",".join(map(str, TROT)))
    return Fixture(layout="walk_these_ways", source=source, words=(*words, *more, *behaviour))


TORCH_ZOO: dict[str, Builder] = {
    "legged_gym, memory in TorchScript": legged_gym_recurrent,
    "walk_these_ways": walk_these_ways,
}
