"""Weights of a policy as plain arrays: student encoder, actor and normaliser."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from safe_locomotion.training.joint.alarm.learning.networks import MemoryNetwork, Networks
from safe_locomotion.training.joint.alarm.learning.normaliser import EmpiricalNormaliser

_LSTM = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")

Arrays = dict[str, NDArray[np.generic]]


def policy_arrays(networks: Networks, normaliser: EmpiricalNormaliser) -> Arrays:
    """What the robot needs, as float32 arrays.

    `<part>.lstm.<name>` and `<part>.mlp.<layer>.weight|bias` are the parts `student` and `actor`.
    `scale` and `offset` normalise observation and explicit states, in this order. `latent` is the
    width of (e^, i^), and `explicit` that of e^.
    """
    w = networks.widths
    scale, offset = normaliser.scale_and_offset()
    used = w.observed + w.explicit
    tensors = {"scale": scale[:used], "offset": offset[:used]}
    for part, network in (("student", networks.student), ("actor", networks.actor)):
        tensors |= {f"{part}.{name}": value for name, value in _parameters(network).items()}
    arrays: Arrays = {name: value.detach().cpu().numpy() for name, value in tensors.items()}
    return arrays | {"latent": np.array(w.latent), "explicit": np.array(w.explicit)}


def _parameters(network: MemoryNetwork) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    if network.lstm is not None:
        out |= {f"lstm.{name}": getattr(network.lstm, name) for name in _LSTM}
    linear = [layer for layer in network.mlp if hasattr(layer, "weight")]
    for number, layer in enumerate(linear):
        out |= {f"mlp.{number}.weight": layer.weight, f"mlp.{number}.bias": layer.bias}
    return out
