"""Times of ALARM's collection and update, each part for itself.

    .venv/bin/python tools/alarm_learning.py --device cuda:0 --json alarm_learning.json

The world is the real one. The first iterations load kernels and capture graphs; they do not count.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from safe_locomotion.training.devices import check_device, device_name
from safe_locomotion.training.joint.alarm.experiment import make_world
from safe_locomotion.training.joint.alarm.learning.training import Training, TrainingOptions


def waited(device: str) -> float:
    """Time when the device has done all it was told [s]."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def milliseconds(call: Callable[[], object], count: int, device: str) -> float:
    """Mean time of a call."""
    began = waited(device)
    for _ in range(count):
        call()
    return 1e3 * (waited(device) - began) / count


def times(options: TrainingOptions, warm_up: int, count: int) -> dict[str, float]:
    """Times [ms] of an iteration's parts, and policy steps per second of all of it."""
    device = options.device
    began = waited(device)
    training = Training(options, make_world)
    built = waited(device) - began
    began = waited(device)
    for _ in range(warm_up):
        training.iterate()
    warm = waited(device) - began
    agent = training.agent
    collect = milliseconds(agent.collect, count, device)
    update = milliseconds(agent.update, count, device)
    horizon = options.settings.horizon
    world = agent.world
    step = milliseconds(lambda: world.step(agent.collector.action), horizon, device)
    steps = options.envs * horizon
    found = {
        "envs": options.envs,
        "build_s": built,
        "warm_up_s": warm,
        "collect_ms": collect,
        "update_ms": update,
        "world_steps_not_captured_ms": step * horizon,
        "policy_steps_per_s": 1e3 * steps / (collect + update),
        "spare_needed": training.history[-1]["spare_needed"],
        "kept_share": training.history[-1]["kept_share"],
    }
    if device.startswith("cuda"):
        found["memory_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return found


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0", help="of torch")
    parser.add_argument("--robot", default="a1", help="that walks")
    parser.add_argument("--variant", default="alarm", help="that learns")
    parser.add_argument("--envs", type=int, default=8192, help="robots at once")
    parser.add_argument("--no-capture", action="store_true", help="replay no graphs")
    parser.add_argument("--warm-up", type=int, default=3, help="iterations that do not count")
    parser.add_argument("--count", type=int, default=10, help="timed calls")
    parser.add_argument("--json", type=Path, help="file of the results")
    return parser.parse_args()


def main() -> None:
    """Measure, print and write."""
    a = arguments()
    check_device(a.device)
    if a.device.startswith("cuda"):
        torch.set_float32_matmul_precision("high")
    options = TrainingOptions(
        variant=a.variant,
        robot=a.robot,
        envs=a.envs,
        device=a.device,
        capture=not a.no_capture,
    )
    found: dict[str, Any] = {"device": device_name(a.device), "captured": not a.no_capture}
    found["times"] = times(options, a.warm_up, a.count)
    print(json.dumps(found["times"], indent=1), flush=True)
    if a.json:
        a.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
