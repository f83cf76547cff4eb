"""Devices that a training can run on."""

import torch
import warp as wp

from safe_locomotion.errors import ConfigurationError


def check_device(name: str) -> None:
    """Refuse a device that is not here.

    Raises:
        ConfigurationError: with what can be done.
    """
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"device {name!r} cannot be used ({reason}): choose --device cpu, which is slow"
        ) from error


def device_name(name: str) -> str:
    """Name of the hardware."""
    return torch.cuda.get_device_name(name) if name.startswith("cuda") else name


def share_stream(name: str) -> None:
    """Let Torch and Warp work on one stream of a CUDA device, so that they wait for each other."""
    if not name.startswith("cuda"):
        return
    wp.init()
    stream = torch.cuda.Stream(name)
    torch.cuda.set_stream(stream)
    wp.set_stream(wp.stream_from_torch(stream), name)
