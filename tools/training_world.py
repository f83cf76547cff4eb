"""Speed and fidelity of the batched world in which gait policies learn.

    .venv/bin/python tools/training_world.py --device cuda:0 --json world.json

Speed: the grid of paper 1, 130 runs of 10 robots, with supervisors, policies and learners.
Fidelity: how many robots fall in random walks of the gait parameters, alone and supervised.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from safe_locomotion.config import load_config
from safe_locomotion.envs.gait_tasks import gait_task, start_gait
from safe_locomotion.envs.random_gait import SIGMAS, SPEED, RandomWalk
from safe_locomotion.training.devices import device_name
from safe_locomotion.training.gait.devices import share_stream
from safe_locomotion.training.gait.grid import runs_of
from safe_locomotion.training.gait.trainer import Trainer, TrainingOptions
from safe_locomotion.training.gait.world.world import GaitWorld, WorldOptions

STEPS = 1500  #: of a random walk: 12 s
NOISE = 0.7  #: standard deviation of random actions


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


def speed(options: WorldOptions, seeds: int, steps: int, count: int) -> dict[str, float]:
    """Times of the paper's grid [ms] and policy steps per second."""
    runs = tuple(runs_of(["fig3", "fig4a", "fig4b"], seeds))
    trainer = Trainer(TrainingOptions(runs=runs, world=options, steps=steps))
    walks = trainer.walks
    world = walks.world
    device = options.device
    for _ in range(3):
        walks.round(trainer.learner, [], 0)  # kernels load, graphs are captured
    calm = milliseconds(world.step, count, device)
    actions = world.learner_gaits.clone()

    def wild() -> None:
        noise = NOISE * torch.randn_like(actions)
        world.learner_gaits.copy_(walks.gaits.read(noise))
        world.step()

    random = milliseconds(wild, count, device)
    began = waited(device)
    batch = walks.round(trainer.learner, [], 1)
    walked = 1e3 * (waited(device) - began) / steps
    trainer.learner.update(batch)
    began = waited(device)
    trainer.learner.update(batch)
    learned = 1e3 * (waited(device) - began)
    robots = world.robots
    return {
        "robots": robots,
        "world_ms": calm,
        "world_random_gaits_ms": random,
        "world_random_gaits_steps_per_s": 1e3 * robots / random,
        "step_with_policies_ms": walked,
        "steps_per_s": 1e3 * robots / walked,
        "update_ms": learned,
    }


def fidelity(options: WorldOptions, robots: int, steps: int) -> dict[str, float]:
    """Shares of robots that fall in random walks, and of steps under recovery."""
    share_stream(options.device)
    configured = load_config(options.robot).supervisor
    off = replace(configured.intervention, criterion="off", horizon=0)
    alone = replace(configured, intervention=off)
    world = GaitWorld(options, [alone] * robots + [configured] * robots, [False] * (2 * robots))
    device = options.device
    draw = torch.Generator(device=device).manual_seed(1)
    start = start_gait(gait_task("trot"), world.robot)
    numbers = (start.frequency, start.swing_ratio, *start.phase_offsets, *start.foot_y)
    gait = torch.tensor(numbers, device=device).repeat(2 * robots, 1)
    world.velocity_commands[:, 0] = SPEED
    world.restart()
    walk = RandomWalk(sigma=SIGMAS["trot"])
    fell = torch.zeros(2 * robots, dtype=torch.bool, device=device)
    walked = torch.zeros(2 * robots, device=device)
    recovered = torch.zeros(2 * robots, device=device)
    for _ in range(steps):
        change = walk.sigma * torch.randn(2 * robots, 5, device=device, generator=draw)
        gait[:, 0] = (gait[:, 0] + walk.frequency_scale * change[:, 0]).clamp(*walk.frequency)
        gait[:, 1] = (gait[:, 1] + change[:, 1]).clamp(*walk.swing_ratio)
        gait[:, 2:5] = (gait[:, 2:5] + change[:, 2:]).remainder(1.0)
        world.learner_gaits.copy_(gait)
        world.step()
        walked += ~fell
        recovered += (world.recovers > 0) & ~fell
        fell |= world.fell > 0.5
    return {
        "robots": robots,
        "fell_alone": float(fell[:robots].float().mean()),
        "fell_supervised": float(fell[robots:].float().mean()),
        "recovery_share": float(recovered[robots:].sum() / walked[robots:].sum()),
    }


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0", help="of torch")
    parser.add_argument("--robot", default="a1", help="that walks")
    parser.add_argument("--physics-ms", type=float, default=1.0, help="time step of the physics")
    parser.add_argument("--iterations", type=int, default=4, help="of the physics' solver, at most")
    parser.add_argument("--seeds", type=int, default=5, help="of each run of the grid")
    parser.add_argument("--robots", type=int, default=650, help="random walks of each kind")
    parser.add_argument("--steps", type=int, default=STEPS, help="of a random walk")
    parser.add_argument("--round-steps", type=int, default=100, help="of a timed round")
    parser.add_argument("--count", type=int, default=200, help="of timed steps")
    parser.add_argument("--json", type=Path, help="file of the results")
    return parser.parse_args()


def main() -> None:
    """Measure, print and write."""
    a = arguments()
    options = WorldOptions(
        robot=a.robot, physics_ms=a.physics_ms, solver_iterations=a.iterations, device=a.device
    )
    found: dict[str, Any] = {"device": device_name(a.device), "world": asdict(options)}
    found["speed"] = speed(options, a.seeds, a.round_steps, a.count)
    print(json.dumps(found["speed"]), flush=True)
    found["fidelity"] = fidelity(replace(options, noise=0.0), a.robots, a.steps)
    print(json.dumps(found["fidelity"]), flush=True)
    if a.json:
        a.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
