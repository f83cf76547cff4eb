"""What a CUDA graph needs of ALARM's learner, as far as it shows on the CPU.

A graph replays kernels on fixed addresses. So tensors must stay in their place, shapes must be
fixed, and no operation may ask the host for a number.
"""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from alarm_worlds import SMALL, PointWorld
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from safe_locomotion.training.devices import Captured
from safe_locomotion.training.joint.alarm.learning.agent import Agent
from safe_locomotion.training.joint.alarm.learning.variants import VARIANTS, variant_named

torch.set_num_threads(1)
ROBOTS = 8
#: Operations whose result, or whose size, the host must wait for.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "index.Tensor")


class Watched(TorchDispatchMode):
    """Collects names and output shapes of all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[int, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        shape = tuple(out.shape) if isinstance(out, Tensor) else ()
        self.seen.append((str(func), shape))
        return out


def agent_of(variant: str) -> Agent:
    """An agent that has made an iteration."""
    agent = Agent(PointWorld(ROBOTS), variant_named(variant), SMALL, seed=1)
    agent.collect()
    agent.update()
    return agent


def walked(agent: Agent) -> list[tuple[str, tuple[int, ...]]]:
    """Operations of one iteration in all parts that a graph replays."""
    collector = agent.collector
    collector.begin(torch.Generator().manual_seed(0))
    watched = Watched()
    for _ in range(SMALL.horizon):
        with watched:
            collector.propose()
        agent.world.step(collector.action)
        with watched:
            collector.record()
    with watched:
        collector.finish()
        agent.updates.learn(2)
    return watched.seen


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_part_waits_for_the_device_and_shapes_are_fixed(variant: str) -> None:
    """Two iterations with different ends make the same operations on the same shapes."""
    agent = agent_of(variant)
    first = walked(agent)
    second = walked(agent)
    waits = [name for name, _ in first if any(word in name for word in WAITING)]
    assert not waits
    assert first == second and len(first) > 500


def test_imitation_waits_for_nothing() -> None:
    """The second stage of `two_stage` can be captured too."""
    agent = agent_of("two_stage")
    agent.imitate()
    agent.collect()
    with Watched() as watched:
        agent.updates.imitate(2)
    assert not [name for name, _ in watched.seen if any(word in name for word in WAITING)]


def test_the_watch_sees_a_wait() -> None:
    """It finds a boolean index and a number that is asked for."""
    x = torch.ones(3)
    with Watched() as watched:
        x[x > 0.5].sum().item()
    found = " ".join(name for name, _ in watched.seen)
    assert "index.Tensor" in found and "_local_scalar_dense" in found


def tensors(thing: Any, path: str, met: set[int]) -> Iterator[tuple[str, Tensor]]:
    """All tensors that can be reached from an object, by their path."""
    if id(thing) in met or isinstance(thing, str | int | float | torch.Generator | Captured):
        return
    met.add(id(thing))
    if isinstance(thing, Tensor):
        yield path, thing
    elif isinstance(thing, nn.Module):
        for name, value in (*thing.named_parameters(), *thing.named_buffers()):
            yield f"{path}.{name}", value
    elif isinstance(thing, dict | list | tuple):
        items = thing.items() if isinstance(thing, dict) else enumerate(thing)
        for key, value in items:
            yield from tensors(value, f"{path}.{key}", met)
    elif hasattr(thing, "__dict__"):
        for name, value in vars(thing).items():
            yield from tensors(value, f"{path}.{name}", met)


def test_everything_stays_in_its_place() -> None:
    """No iteration and no loading of a state gives a tensor another address."""
    agent = agent_of("alarm")
    places = {path: x.data_ptr() for path, x in tensors(agent, "agent", set())}
    assert len(places) > 100
    state = agent.state_dict()
    agent.collect()
    agent.update()
    agent.load_state_dict(state)
    agent.imitate()
    assert {path: x.data_ptr() for path, x in tensors(agent, "agent", set())} == places
