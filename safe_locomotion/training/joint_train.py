"""Trains a recurrent joint policy for velocity tracking by PPO (rsl_rl) on simulated robots (mjlab, MuJoCo-Warp).

Run as `python -m safe_locomotion.training.joint_train --out FOLDER`. It stops after `--minutes` or `--iterations`, whichever comes
first, and writes `joint.npz` (weights of the actor, for `joint_export`) and `joint.pt` (everything, to go on from) as it goes.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import warp as wp
from rsl_rl.algorithms import PPO

from safe_locomotion.training.joint_env import JointEnv
from safe_locomotion.training.joint_task import JointTask

HIDDEN = 256
ACTOR_LAYERS = (256, 128)
CRITIC_LAYERS = (512, 256, 128)


def configuration(steps: int, entropy: float) -> dict[str, Any]:
    """Networks and PPO for `rsl_rl`."""
    actor = {
        "class_name": "RNNModel",
        "rnn_type": "lstm",
        "rnn_hidden_dim": HIDDEN,
        "rnn_num_layers": 1,
        "hidden_dims": list(ACTOR_LAYERS),
        "activation": "elu",
        "obs_normalization": True,
        "distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 0.8, "std_type": "scalar"},
    }
    critic = {
        "class_name": "MLPModel",
        "hidden_dims": list(CRITIC_LAYERS),
        "activation": "elu",
        "obs_normalization": True,
    }
    algorithm = {
        "class_name": "PPO",
        "num_learning_epochs": 5,
        "num_mini_batches": 4,
        "clip_param": 0.2,
        "gamma": 0.995,
        "lam": 0.95,
        "value_loss_coef": 1.0,
        "entropy_coef": entropy,
        "learning_rate": 1.0e-3,
        "schedule": "adaptive",
        "desired_kl": 0.01,
        "max_grad_norm": 1.0,
        "use_clipped_value_loss": True,
        "rnd_cfg": None,
        "symmetry_cfg": None,
    }
    return {
        "num_steps_per_env": steps,
        "obs_groups": {"actor": ["actor"], "critic": ["critic"]},
        "actor": actor,
        "critic": critic,
        "algorithm": algorithm,
        "multi_gpu": None,
    }


class Trainer:
    """The PPO loop, with a clock, a log of one JSON object per line, and files that are replaced whole."""

    def __init__(self, env: JointEnv, steps: int, entropy: float, out: Path) -> None:
        self.env, self.steps, self.out = env, steps, out
        out.mkdir(parents=True, exist_ok=True)
        self.observed = env.get_observations()
        self.ppo = PPO.construct_algorithm(self.observed, env, configuration(steps, entropy), env.device)
        self.iteration = 0
        self.ppo.train_mode()

    def run(self, iterations: int, minutes: float, save_minutes: float) -> None:
        """Train until `iterations` or `minutes` are over, whichever comes first."""
        start = saved = time.monotonic()
        while self.iteration < iterations and time.monotonic() - start < 60.0 * minutes:
            elapsed = time.monotonic() - start
            self.env.progress = max(self.iteration / iterations, elapsed / (60.0 * minutes))
            self._iterate(elapsed)
            if time.monotonic() - saved > 60.0 * save_minutes:
                self.save()
                saved = time.monotonic()
        self.save()

    def _iterate(self, elapsed: float) -> None:
        begun = time.monotonic()
        pay = torch.zeros((), device=self.env.device)
        with torch.inference_mode():
            for _ in range(self.steps):
                self.observed, reward, done, extras = self.env.step(self.ppo.act(self.observed))
                self.ppo.process_env_step(self.observed, reward, done, extras)
                pay += reward.mean()
            self.ppo.compute_returns(self.observed)
        log = self.env.take_log()
        collected = time.monotonic()
        losses = self.ppo.update()
        std = float(self.ppo.get_policy().output_std.detach().mean())
        self.iteration += 1
        row = {
            "iteration": self.iteration,
            "elapsed_s": elapsed,
            "collect_s": collected - begun,
            "learn_s": time.monotonic() - collected,
            "reward": float(pay) / self.steps,
            "std": std,
            "learning_rate": self.ppo.learning_rate,
            **losses,
            **log,
        }
        with (self.out / "log.jsonl").open("a") as file:
            file.write(json.dumps({key: float(f"{value:.5g}") for key, value in row.items()}) + "\n")

    def save(self) -> None:
        """Replace the files of weights and training state."""
        saved = self.ppo.save() | {"iteration": self.iteration, "task": asdict(self.env.cfg)}
        _replace(self.out / "joint.pt", lambda path: torch.save(saved, path))
        arrays = {name: value.detach().cpu().numpy() for name, value in saved["actor_state_dict"].items()}
        arrays["iteration"] = np.array(self.iteration)
        _replace(self.out / "joint.npz", lambda path: np.savez(path, **arrays))

    def load(self, path: Path) -> None:
        """Go on from a file that `save` wrote."""
        saved = torch.load(path, map_location=self.env.device, weights_only=True)
        self.ppo.load(saved, None, True)
        self.iteration = int(saved["iteration"])


def _replace(path: Path, write: Any) -> None:
    """Write beside `path` and move there, so that a reader never finds half a file."""
    beside = path.with_name(f"new_{path.name}")
    write(beside)
    beside.replace(path)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="train a recurrent joint policy")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--resume", type=Path, help="joint.pt to go on from")
    parser.add_argument("--envs", type=int, default=8192, help="robots at once")
    parser.add_argument("--steps", type=int, default=24, help="policy periods per iteration")
    parser.add_argument("--iterations", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--save-minutes", type=float, default=1.0)
    parser.add_argument("--entropy", type=float, default=0.005)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    torch.manual_seed(options.seed)
    torch.set_float32_matmul_precision("high")
    wp.init()
    if options.device.startswith("cuda"):
        torch.cuda.set_stream(wp.stream_to_torch(wp.get_stream(options.device)))
    env = JointEnv(options.envs, JointTask(), options.device)
    trainer = Trainer(env, options.steps, options.entropy, options.out)
    if options.resume:
        trainer.load(options.resume)
    trainer.run(options.iterations, options.minutes, options.save_minutes)
    env.take_log()
    sys.stdout.flush()


if __name__ == "__main__":
    main()
