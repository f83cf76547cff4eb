"""How far robots of ALARM's world stray from MuJoCo's while fixed targets walk them into stairs.

.venv/bin/python tools/alarm_fidelity.py --terrain up_stairs:3 --robots 5 --steps 400
"""

import argparse
import math

import numpy as np
import torch

from safe_locomotion.sim.terrain_names import tile_of
from safe_locomotion.sim.tile_ground import tile_grid
from safe_locomotion.training.joint.alarm.world.ground import ground_of
from safe_locomotion.training.joint.alarm.world.options import AlarmOptions, Drive
from safe_locomotion.training.joint.alarm.world.physics import Physics
from safe_locomotion.training.joint.alarm.world.reference import FEET, Reference
from safe_locomotion.types import Array

DRIVE = Drive(kp=40.0, kd=1.0)  #: stiffer than ALARM's, so that fixed targets walk
EVERY = 50  #: steps between rows


def trot(stand: Array, robots: int, steps: int) -> Array:
    """(steps, robots, 12) targets of a trot of 2 Hz whose phase differs between robots."""
    targets = np.tile(stand, (steps, robots, 1))
    for k in range(steps):
        for robot in range(robots):
            for leg in range(4):
                offset = 0.0 if leg in (0, 3) else 0.5
                phase = 2.0 * math.pi * (0.02 * k + offset + 0.05 * robot)
                targets[k, robot, 3 * leg + 1] += 0.05 + 0.25 * math.cos(phase)
                targets[k, robot, 3 * leg + 2] -= 0.1 + 0.5 * max(0.0, math.sin(phase))
    return targets


def starts(height: float, stand: Array, robots: int) -> Array:
    """(robots, 19) states on the platform that look outwards."""
    rng = np.random.default_rng(0)
    yaw = 0.5 * math.pi * rng.integers(0, 4, robots) + rng.uniform(-0.3, 0.3, robots)
    way = rng.uniform(0.3, 0.6, robots)
    qpos = np.zeros((robots, 19), dtype=np.float32)
    qpos[:, 0] = way * np.cos(yaw)
    qpos[:, 1] = way * np.sin(yaw)
    qpos[:, 2] = height
    qpos[:, 3] = np.cos(0.5 * yaw)
    qpos[:, 6] = np.sin(0.5 * yaw)
    qpos[:, 7:] = stand
    return qpos


def walk_reference(reference: Reference, start: Array, targets: Array) -> tuple[Array, Array]:
    """States (steps, 19) of one robot, and whether more than feet touched the ground (steps,)."""
    reference.put(start, np.zeros(18))
    states = []
    touched = []
    for target in targets:
        reference.step(target)
        states.append(reference.data.qpos.copy())
        touched.append(bool(reference.touched - FEET))
    return np.array(states), np.array(touched)


def walk_ours(physics: Physics, start: Array, targets: Array) -> tuple[Array, Array]:
    """States (steps, n, 19), and whether more than feet touched the ground (steps, n)."""
    n = physics.robots
    everyone = torch.ones(n, dtype=torch.bool)
    physics.put(everyone, torch.tensor(start), torch.zeros(n, 18))
    physics.settle(torch.zeros(n), torch.zeros(n, 3))
    states = []
    touched = []
    for target in targets:
        physics.step(torch.tensor(target, dtype=torch.float32))
        states.append(physics.qpos.numpy().copy())
        touched.append(physics.touch[:, 4].numpy() > 0.0)
    return np.array(states), np.array(touched)


def toppled(states: Array) -> int:
    """Robots that were tilted by more than 60 degrees at some time."""
    upright = 1.0 - 2.0 * (states[:, :, 4:6] ** 2).sum(axis=2)
    return int((upright.min(axis=0) < 0.5).sum())


def main() -> None:
    """Walk the same robots twice and print how far they are apart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--robot", default="a1")
    parser.add_argument("--terrain", default="up_stairs:3")
    parser.add_argument("--robots", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400)
    args = parser.parse_args()
    tile = tile_of(args.terrain) or parser.error("a tile is needed, e.g. up_stairs:3")
    n = args.robots
    ground = ground_of(tile_grid(*tile, 0), "cpu")
    physics = Physics(args.robot, n, ground, AlarmOptions(drive=DRIVE), "cpu")
    robot = physics.plant.robot
    start = starts(robot.nominal_height + 0.02, robot.q_stand, n)
    targets = trot(robot.q_stand, n, args.steps)
    ours, touched = walk_ours(physics, start, targets)
    reference = Reference(args.robot, args.terrain, 0, DRIVE)
    walked = [walk_reference(reference, start[k], targets[:, k]) for k in range(n)]
    theirs = np.array([states for states, _ in walked]).swapaxes(0, 1)
    apart = 1e3 * np.linalg.norm(ours[:, :, :3] - theirs[:, :, :3], axis=2)
    way = np.linalg.norm(ours[:, :, :2] - start[:, :2], axis=2)
    print("time s, way m, apart mm: median and largest")
    for k in range(EVERY - 1, args.steps, EVERY):
        largest = apart[k].max()
        print(
            f"{0.01 * (k + 1):6.2f} {way[k].mean():6.3f} {np.median(apart[k]):8.1f} {largest:8.1f}"
        )
    felt = np.mean([touch for _, touch in walked])
    print(f"steps with calf or thigh on the ground: {touched.mean():.3f}, in MuJoCo {felt:.3f}")
    print(f"toppled: {toppled(ours)} of {n}, in MuJoCo {toppled(theirs)}")


if __name__ == "__main__":
    main()
