"""Measure the errors of the onboard estimator on random gaits, for the batched world's noise.

    .venv/bin/python tools/estimator_noise.py [--episodes 24] [--write]

24 episodes take about four minutes.

Each episode is a random walk of the gait on the simulated A1 without a supervisor, with sensor
errors of its own. An error is estimate minus truth. Each channel is modelled as

    e(t) = mean + bias + g(t) + w(t),    E[g(t) g(t + s)] = walk^2 exp(-s / time),

with one bias per episode, a Gauss-Markov process g and white noise w. The half mean squared
increments 1/2 E[(e(t + s) - e(t))^2] = white^2 + walk^2 (1 - exp(-s / time)) do not depend on the
bias, so white, walk and time are fitted to them. Mean and bias follow from the moments.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from safe_locomotion.envs.gait_env import GaitEnv
from safe_locomotion.estimation.estimator import StateEstimator
from safe_locomotion.evaluation.cells import Cell
from safe_locomotion.evaluation.walkers import RandomLearner
from safe_locomotion.robot.models import load_robot
from safe_locomotion.rotations import rotate_plane, rpy_from_quaternion
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.sim.sensors import PERIOD
from safe_locomotion.training.gait.world.plant import contact_thresholds
from safe_locomotion.types import N_JOINTS, N_LEGS, Array, Estimate, LowState

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "docs/data/estimator_noise.json"
STATE = ("height", "roll", "pitch", "vx", "vy", "vz", "wx", "wy", "wz")
N_STATE = len(STATE)
JOINTS = slice(N_STATE, N_STATE + N_JOINTS)
RATES = slice(N_STATE + N_JOINTS, N_STATE + 2 * N_JOINTS)
ERRORS = N_STATE + 2 * N_JOINTS
CONTACT = slice(ERRORS, ERRORS + N_LEGS)
FORCE = slice(ERRORS + N_LEGS, ERRORS + 2 * N_LEGS)
LOAD = slice(ERRORS + 2 * N_LEGS, ERRORS + 3 * N_LEGS)
SPEED = ERRORS + 3 * N_LEGS
FALLING = 150  #: rows at the end of an episode with a fall that do not count
SETTLING = 250  #: rows at the start of an episode that do not count
TIMES = np.geomspace(0.01, 3.0, 60)  #: candidates for the correlation time [s]
LAGS = np.unique(np.geomspace(1, 1500, 40).astype(int))  #: rows
LIGHT = 40.0  #: foot load below which its error counts, because the thresholds lie there [N]


class Listener:
    """Stands in the estimator's place and writes down each estimate beside the truth."""

    def __init__(self, estimator: StateEstimator, robot: SimulatedRobot) -> None:
        self.rows: list[list[float]] = []
        self._estimator = estimator
        self._robot = robot

    def __getattr__(self, name: str) -> Any:
        """Everything else is the estimator's."""
        return getattr(self._estimator, name)

    def update(self, state: LowState) -> Estimate:
        """The estimate, written down."""
        estimate = self._estimator.update(state)
        self.rows.append(row(estimate, self._estimator.detector.load, self._robot))
        return estimate


def row(estimate: Estimate, load: list[float], robot: SimulatedRobot) -> list[float]:
    """Errors, contact flags, true and estimated foot loads [N], true horizontal speed [m/s]."""
    truth = robot.truth()
    roll, pitch, yaw = rpy_from_quaternion(truth.quaternion_wxyz)
    seen_roll, seen_pitch, seen_yaw = rpy_from_quaternion(estimate.quaternion_wxyz)
    vx, vy = rotate_plane(-yaw, *truth.velocity[:2].tolist())
    seen_vx, seen_vy = rotate_plane(-seen_yaw, *estimate.velocity[:2].tolist())
    return [
        estimate.position[2] - estimate.ground_height - truth.height,
        seen_roll - roll,
        seen_pitch - pitch,
        seen_vx - vx,
        seen_vy - vy,
        estimate.velocity[2] - truth.velocity[2],
        *(estimate.angular_velocity - truth.angular_velocity),
        *(estimate.q - truth.q),
        *(estimate.dq - truth.dq),
        *estimate.contact,
        *truth.foot_force,
        *load,
        np.hypot(vx, vy),
    ]


def walks(episodes: int) -> Iterator[Array]:
    """Rows of one episode after the other; an episode ends at its fall."""
    cell = Cell(supervisor="off")
    for seed in range(episodes):
        env = GaitEnv(cell.options(seed))
        env.reset(seed=seed)
        env.host(RandomLearner(env.robot.robot, cell.task, seed, cell.sigma))
        listener = Listener(env.pipeline.estimator, env.robot)
        env.pipeline.estimator = listener  # type: ignore[assignment]
        fell = False
        late = False
        while not fell and not late:
            _, _, fell, late, _ = env.advance()
        rows = np.array(listener.rows)[SETTLING : -FALLING if fell else None]
        if len(rows) > 2 * SETTLING:
            yield rows


def fit(errors: list[Array]) -> dict[str, float]:
    """Numbers of one channel.

    Args:
        errors: of each episode, (n, numbers) whose columns are alike and independent. NaN is left
            out.
    """
    moments = np.array([half_square(errors, lag) for lag in LAGS])
    weights = 1.0 / (moments + 0.1 * moments.max())
    best = (np.inf, 0.0, 0.0, 0.0)
    for time in TIMES:
        rising = 1.0 - np.exp(-LAGS * PERIOD / time)
        design = np.stack((np.ones(len(LAGS)), rising), axis=1) * weights[:, None]
        (white, walk), misfit = nnls(design, moments * weights)
        best = min(best, (float(misfit), float(white), float(walk), float(time)))
    misfit, white, walk, time = best
    everything = np.concatenate(errors)
    mean = float(np.nanmean(everything))
    variance = float(np.nanvar(everything))
    return {
        "mean": mean,
        "bias": max(0.0, variance - white - walk) ** 0.5,
        "walk": walk**0.5,
        "time": time,
        "white": white**0.5,
        "misfit": misfit / len(LAGS) ** 0.5,
    }


def half_square(errors: list[Array], lag: int) -> float:
    """Half the mean squared increment over so many rows, of all episodes that are long enough."""
    increments = [(e[lag:] - e[:-lag]).ravel() for e in errors if len(e) > lag]
    return 0.5 * float(np.nanmean(np.concatenate(increments) ** 2))


def channels(walked: list[Array]) -> dict[str, dict[str, float]]:
    """Numbers of all channels."""
    found = {name: fit([rows[:, k : k + 1] for rows in walked]) for k, name in enumerate(STATE)}
    found["joint"] = fit([rows[:, JOINTS] for rows in walked])
    found["joint_rate"] = fit([rows[:, RATES] for rows in walked])
    light = [
        np.where(rows[:, FORCE] < LIGHT, rows[:, LOAD] - rows[:, FORCE], np.nan) for rows in walked
    ]
    found["load"] = fit(light)
    return found


def wrong_contacts(walked: list[Array]) -> float:
    """Share of contact flags that differ from those of the true forces, with one hysteresis."""
    on, off = contact_thresholds(load_robot("a1"))
    wrong = []
    for rows in walked:
        flags = np.ones(N_LEGS, dtype=bool)
        for force, seen in zip(rows[:, FORCE], rows[:, CONTACT], strict=True):
            flags = force > np.where(flags, off, on)
            wrong.append(np.mean(flags != (seen > 0.5)))
    return float(np.mean(wrong))


def speed_dependence(walked: list[Array]) -> dict[str, float]:
    """Root mean square error of each state channel above the median speed, over that below it."""
    rows = np.concatenate(walked)
    fast = rows[:, SPEED] > np.median(rows[:, SPEED])
    square = rows[:, :N_STATE] ** 2
    ratio = np.sqrt(square[fast].mean(axis=0) / square[~fast].mean(axis=0))
    return dict(zip(STATE, ratio.tolist(), strict=True))


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--episodes", type=int, default=24)
    parser.add_argument("--write", action="store_true", help=f"write {DATA.relative_to(ROOT)}")
    arguments = parser.parse_args()
    walked = list(walks(arguments.episodes))
    measured = {
        "command": f"tools/estimator_noise.py --episodes {arguments.episodes} --write",
        "seconds": round(PERIOD * sum(map(len, walked)), 1),
        "channels": rounded(channels(walked)),
        "wrong_contacts": round(wrong_contacts(walked), 4),
        "fast_over_slow": {k: round(v, 2) for k, v in speed_dependence(walked).items()},
    }
    text = json.dumps(measured, indent=1)
    print(text)
    if arguments.write:
        DATA.write_text(f"{text}\n")


def rounded(found: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Two significant digits, as far as 24 episodes tell."""
    return {
        name: {key: float(f"{value:.2g}") for key, value in row.items()}
        for name, row in found.items()
    }


if __name__ == "__main__":
    main()
