"""Windows split into padded pieces, against an LSTM that is unrolled and reset at every end."""

from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch
from alarm_worlds import SMALL
from torch import Tensor

from safe_locomotion.training.joint.alarm.learning.networks import MemoryNetwork
from safe_locomotion.training.joint.alarm.learning.windows import pieces_needed, split_windows

torch.set_num_threads(1)
STEPS = 9
ROBOTS = 7
INPUTS = 3


def windows(seed: int, ends: float) -> tuple[MemoryNetwork, Tensor, Tensor, Tensor]:
    """A network, inputs, first memory and ends."""
    torch.manual_seed(seed)
    net = MemoryNetwork(INPUTS, 2, replace(SMALL, hidden=5), memory=True)
    x = torch.randn(STEPS, ROBOTS, INPUTS, requires_grad=True)
    memory = torch.randn(2, ROBOTS, 5)
    return net, x, memory, torch.rand(STEPS, ROBOTS) < ends


def unrolled(net: MemoryNetwork, x: Tensor, memory: Tensor, ended: Tensor) -> Tensor:
    """Outputs step by step; memory is zero after an end."""
    out = []
    for step, ends in zip(x, ended, strict=True):
        y, memory = net.step(step, memory)
        memory = torch.where(ends[None, :, None], 0.0, memory)
        out.append(y)
    return torch.stack(out)


@pytest.mark.parametrize("ends", [0.0, 0.1, 0.5, 1.0])
def test_pieces_equal_an_unrolled_loop_with_resets(ends: float) -> None:
    """Outputs and all gradients agree, also when every step ends an episode."""
    net, x, memory, ended = windows(1, ends)
    spare = STEPS * ROBOTS
    weight = torch.randn(STEPS, ROBOTS, 2)
    split = split_windows(ended, spare)
    assert split.kept.all()
    found = net.window(x, memory, split)
    by_pieces = torch.autograd.grad((weight * found).sum(), [x, *net.parameters()])
    expected = unrolled(net, x, memory, ended)
    by_steps = torch.autograd.grad((weight * expected).sum(), [x, *net.parameters()])
    assert torch.allclose(found, expected, atol=1e-6)
    for a, b in zip(by_pieces, by_steps, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("spare", [1, 3, 10])
def test_episodes_without_a_row_are_left_out(spare: int) -> None:
    """Exactly `spare` episodes that begin inside are kept; what is kept is still right."""
    net, x, memory, ended = windows(2, 0.5)
    split = split_windows(ended, spare)
    begins = ended[:-1]
    assert (split.kept[1:] & begins).sum() == spare < begins.sum()
    assert split.kept[0].all()
    found = net.window(x, memory, split)
    expected = unrolled(net, x, memory, ended)
    assert torch.allclose(found[split.kept], expected[split.kept], atol=1e-6)
    assert found.isfinite().all()


def test_rows_that_are_needed() -> None:
    """An end in the last step begins nothing inside; the worst minibatch counts."""
    ended = torch.zeros(4, 2, 3, dtype=torch.bool)
    ended[3] = True
    assert pieces_needed(ended) == 0
    ended[0, 1, 0] = True
    ended[2, 1, 2] = True
    ended[1, 0, 1] = True
    assert pieces_needed(ended) == 2


def test_a_window_without_memory_is_the_mlp() -> None:
    """Every step stands for itself."""
    torch.manual_seed(0)
    net = MemoryNetwork(INPUTS, 2, SMALL, memory=False)
    x = torch.randn(STEPS, ROBOTS, INPUTS)
    split = split_windows(torch.ones(STEPS, ROBOTS, dtype=torch.bool), 1)
    memory = net.memory_of(ROBOTS, "cpu")
    found = net.window(x, memory, split)
    alone = unrolled(net, x, memory, torch.zeros(STEPS, ROBOTS).bool())
    torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-6)
