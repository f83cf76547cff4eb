"""Speed and contacts of the world in which ALARM learns, under random actions.

.venv/bin/python tools/alarm_world.py --device cuda:0 --robots 8192
.venv/bin/python tools/alarm_world.py --robots 16 --steps 200
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

from safe_locomotion.training.devices import Captured, device_name
from safe_locomotion.training.gait.devices import share_stream
from safe_locomotion.training.joint.alarm.world.options import AlarmOptions
from safe_locomotion.training.joint.alarm.world.world import AlarmWorld

DEVIATION = 0.5  #: of random actions
LOOKS = 10  #: times at which the memory in use is read
WARM_UP = 4  #: calls in which kernels load and graphs are captured


def waited(device: str) -> float:
    """Time when the device has done all it was told [s]."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds(call: Callable[[], object], count: int, device: str) -> float:
    """Mean time of a call, after some that warm up."""
    for _ in range(WARM_UP):
        call()
    began = waited(device)
    for _ in range(count):
        call()
    return (waited(device) - began) / count


def measure(world: AlarmWorld, steps: int) -> dict[str, float]:
    """Times, and how much of the memory for contacts is in use."""
    device = world.device
    n = world.n
    action = torch.zeros(n, 12, device=device)

    def act() -> None:
        action.normal_(0.0, DEVIATION)

    def rest() -> None:
        world.act(action)
        world.conclude()

    whole = Captured(device, lambda: world.step(action))
    others = Captured(device, rest)

    def walk() -> None:
        act()
        whole()

    contacts = 0.0
    rows = 0.0
    spent = 0.0
    for _ in range(LOOKS):
        spent += seconds(walk, max(1, steps // LOOKS - WARM_UP), device) / LOOKS
        contacts = max(contacts, float(world.physics.data.nacon.numpy()[0]) / n)
        rows = max(rows, float(world.physics.data.nefc.numpy().max()))
    before = {name: float(value) for name, value in world.progress.items()}
    without = seconds(others, max(1, steps // 4), device)
    count = before["robot_steps"]
    return {
        "robots": n,
        "step_ms": 1e3 * spent,
        "steps_per_s": n / spent,
        "without_physics_ms": 1e3 * without,
        "without_physics_steps_per_s": n / without,
        "most_contacts_per_robot": contacts,
        "memory_for_contacts": world.options.contacts,
        "most_constraints_of_a_robot": rows,
        "memory_for_constraints": world.options.constraints,
        "share_of_steps_with_lost_contacts": before["steps_with_lost_contacts"] / count,
        "episodes": before["episodes"],
        "falls": before["falls"],
        "reward_per_step": before["reward"] / count,
    }


def main() -> None:
    """Measure one world and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--robot", default="a1")
    parser.add_argument("--robots", type=int, default=16)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--level", type=int, default=0, help="of all robots at the start")
    parser.add_argument("--contacts", type=int, default=AlarmOptions().contacts)
    parser.add_argument("--constraints", type=int, default=AlarmOptions().constraints)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    share_stream(args.device)
    began = time.perf_counter()
    options = AlarmOptions(
        start_levels=(args.level,), contacts=args.contacts, constraints=args.constraints
    )
    world = AlarmWorld(args.robots, args.robot, options, args.device)
    figures: dict[str, float | str] = {"device": device_name(args.device)}
    figures["construction_s"] = waited(args.device) - began
    figures |= measure(world, args.steps)
    for name, value in figures.items():
        print(f"{name:36} {value if isinstance(value, str) else format(value, '.6g')}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
