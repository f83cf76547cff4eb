"""Torch and Warp side by side on one device."""

import torch
import warp as wp


def share_stream(name: str) -> None:
    """Let Torch and Warp work on one stream of a CUDA device, so that they wait for each other.

    The device also becomes the one that both use where none is named.
    """
    if not name.startswith("cuda"):
        return
    wp.init()
    torch.cuda.set_device(name)
    wp.set_device(name)
    stream = torch.cuda.Stream(name)
    torch.cuda.set_stream(stream)
    wp.set_stream(wp.stream_from_torch(stream), name)
