"""Walk a simulated robot without foot sensors, and compare the estimator with one that has them.

The robot is driven by the estimates without sensors. The same states are then replayed to both
estimators. In a trot and a random gait it walks at 0.5 m/s. Standing, it is pushed sideways each
4 s, by 25 N s times the ratio of its mass to the A1's.

.venv/bin/python tools/foot_sensors.py [--robot go2] [--seeds 0-0] [--seconds 8]
"""

import argparse
from dataclasses import replace

import numpy as np

from safe_locomotion.config import load_config
from safe_locomotion.estimation.estimator import EstimatorParameters, StateEstimator
from safe_locomotion.evaluation.walkers import RandomLearner
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.robot.models import RobotModel, load_robot, robot_names
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import Array, LowState, Mode, VelocityCommand

WALKS = ("trot", "random gait", "standing, pushed")
SIGMA = 0.03  #: of the random gait
PUSH = 25.0  #: [N s] of an A1
EVERY = 2000  #: ticks between two pushes
SPEED = VelocityCommand(vx=0.5)
STILL = VelocityCommand()
Row = tuple[LowState, Array, Array]  #: state, true position and velocity


def blind(state: LowState) -> LowState:
    """The state of a robot without foot sensors."""
    return replace(state, foot_force=np.zeros(4))


def walked(name: str, walk: str, seed: int, seconds: float) -> tuple[list[Row], int]:
    """States and truth after standing up, and the number of falls."""
    robot = SimulatedRobot(SimulationOptions(robot=name, seed=seed))
    config = load_config(name, {"estimator.foot_sensors": False})
    learner = RandomLearner(robot.robot, "trot", seed, SIGMA) if walk == WALKS[1] else None
    pipeline = Pipeline(robot.robot, config, learner)
    rows: list[Row] = []

    def tick(command: VelocityCommand) -> Mode:
        state = robot.low_state()
        cycle = pipeline.step(blind(state), command)
        robot.step(cycle.command)
        truth = robot.truth()
        rows.append((state, truth.position.copy(), truth.velocity.copy()))
        return cycle.verdict.mode

    for _ in range(50):
        tick(STILL)
    pipeline.supervisor.request("stand")
    while tick(STILL) is not Mode.STAND and len(rows) < 3000:
        pass
    if walk != WALKS[2]:
        pipeline.supervisor.request("walk")
    impulse = PUSH * robot.robot.mass / load_robot("a1").mass
    for k in range(round(500 * seconds)):
        if walk == WALKS[2] and k % EVERY == EVERY // 4:
            side = 1.0 if k // EVERY % 2 == 0 else -1.0
            robot.push(np.array((0.0, side * impulse, 0.0)))
        tick(STILL if walk == WALKS[2] else SPEED)
    return rows, robot.falls


def judged(robot: RobotModel, parameters: EstimatorParameters, rows: list[Row]) -> str:
    """Errors of an estimator since the robot stands, as cells of the table."""
    estimator = StateEstimator(robot, parameters)
    states = (s if parameters.foot_sensors else blind(s) for s, _, _ in rows)
    found = [estimator.update(state) for state in states]
    stands = next(k for k, (_, p, _) in enumerate(rows) if p[2] > 0.9 * robot.nominal_height)
    drift = np.array([e.position for e in found]) - np.array([p for _, p, _ in rows])
    drift -= drift[stands]
    velocity = np.array([e.velocity for e in found]) - np.array([v for _, _, v in rows])
    rmse = float(np.sqrt((velocity[stands:, :2] ** 2).sum(axis=1).mean()))
    return (
        f"{np.hypot(*drift[-1, :2]):.3f} | {drift[-1, 2]:+.4f} |"
        f" {np.abs(drift[stands:, 2]).max():.4f} | {rmse:.4f}"
    )


def main() -> None:
    """Print a row for each walk, seed and estimator."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--robot", choices=robot_names(), default="go2")
    parser.add_argument("--seeds", default="0-0", help="first and last seed")
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    robot = load_robot(options.robot)
    print(
        "| walk | seed | falls | sensors | drift in the plane [m] | height at the end [m] |"
        " largest [m] | velocity RMSE [m/s] |\n" + "|---" * 8 + "|"
    )
    for walk in WALKS:
        for seed in range(int(first), int(last or first) + 1):
            rows, falls = walked(options.robot, walk, seed, options.seconds)
            for sensors in (True, False):
                parameters = replace(load_config(options.robot).estimator, foot_sensors=sensors)
                cells = judged(robot, parameters, rows)
                which = "with" if sensors else "without"
                print(f"| {walk} | {seed} | {falls} | {which} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
