"""PPO for a recurrent joint policy that tracks velocities: rsl_rl, mjlab and MuJoCo-Warp.

`safe-locomotion train joint` runs it. It stops after its minutes or its iterations, whichever comes
first, and writes files on the way: `joint.npz` (weights of the actor, for `joint.export`) and
`joint.pt` (the whole state, to continue from).
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import warp as wp
from rsl_rl.algorithms import PPO

from safe_locomotion.training.joint.env import JointEnv
from safe_locomotion.training.joint.task import JointTask

HIDDEN = 256
ACTOR_LAYERS = (256, 128)
CRITIC_LAYERS = (512, 256, 128)
Tell = Callable[[float], None]


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
        "distribution_cfg": {
            "class_name": "GaussianDistribution",
            "init_std": 0.8,
            "std_type": "scalar",
        },
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


@dataclass(frozen=True, kw_only=True, slots=True)
class JointTraining:
    """Options of a training.

    Attributes:
        out: folder of the results.
        command: as typed; policy files name it.
        seed: of everything that is drawn. A GPU adds up in no fixed order, so equal seeds give
            similar policies, not equal ones.
        envs: number of robots.
        steps: policy periods per iteration.
        iterations, minutes: the training ends with the first that is reached.
        save_minutes: between two saves.
        entropy: weight of the entropy of the actions.
        resume: `joint.pt` to continue from.
        device: of torch; "" is the first GPU, or the CPU without a GPU.
    """

    out: Path
    command: str
    seed: int = 2
    envs: int = 8192
    steps: int = 32
    iterations: int = 100_000
    minutes: float = 9.0
    save_minutes: float = 1.0
    entropy: float = 0.008
    resume: Path | None = None
    device: str = ""


class Trainer:
    """The PPO loop, with a clock, a log of one JSON object per line, and its files."""

    def __init__(self, env: JointEnv, options: JointTraining) -> None:
        self.env = env
        self.options = options
        self.out = options.out
        self.out.mkdir(parents=True, exist_ok=True)
        self.observed = env.get_observations()
        self.ppo = PPO.construct_algorithm(
            self.observed, env, configuration(options.steps, options.entropy), env.device
        )
        self.iteration = 0
        self.ppo.train_mode()

    def run(self, tell: Tell) -> None:
        """Train until the iterations or the minutes are reached, whichever comes first.

        Args:
            tell: is told the share that is done, before each iteration.
        """
        iterations = self.options.iterations
        minutes = self.options.minutes
        start = time.monotonic()
        saved = start
        while self.iteration < iterations and time.monotonic() - start < 60.0 * minutes:
            elapsed = time.monotonic() - start
            self.env.progress = max(self.iteration / iterations, elapsed / (60.0 * minutes))
            tell(self.env.progress)
            self._iterate(elapsed)
            if time.monotonic() - saved > 60.0 * self.options.save_minutes:
                self.save()
                saved = time.monotonic()
        self.save()

    def _iterate(self, elapsed: float) -> None:
        begun = time.monotonic()
        total = torch.zeros((), device=self.env.device)
        with torch.inference_mode():
            for _ in range(self.options.steps):
                self.observed, reward, done, extras = self.env.step(self.ppo.act(self.observed))
                self.ppo.process_env_step(self.observed, reward, done, extras)
                total += reward.mean()
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
            "reward": float(total) / self.options.steps,
            "std": std,
            "learning_rate": self.ppo.learning_rate,
            **losses,
            **log,
        }
        with (self.out / "log.jsonl").open("a") as file:
            file.write(
                json.dumps({key: float(f"{value:.5g}") for key, value in row.items()}) + "\n"
            )

    def save(self) -> None:
        """Replace the files of weights and training state."""
        saved = self.ppo.save() | {"iteration": self.iteration, "task": asdict(self.env.cfg)}
        _replace(self.out / "joint.pt", lambda path: torch.save(saved, path))
        arrays = {
            name: value.detach().cpu().numpy() for name, value in saved["actor_state_dict"].items()
        }
        arrays["iteration"] = np.array(self.iteration)
        arrays["command"] = np.array(self.options.command)
        arrays["seed"] = np.array(self.options.seed)
        _replace(self.out / "joint.npz", lambda path: np.savez(path, **arrays))

    def load(self, path: Path) -> None:
        """Continue from a file that `save` wrote."""
        saved = torch.load(path, map_location=self.env.device, weights_only=True)
        self.ppo.load(saved, None, True)
        self.iteration = int(saved["iteration"])


def _replace(path: Path, write: Any) -> None:
    """Write beside `path` and move the file there; a reader never finds half a file."""
    beside = path.with_name(f"new_{path.name}")
    write(beside)
    beside.replace(path)


def train_joint(options: JointTraining, tell: Tell = lambda _: None) -> int:
    """Train; return the number of iterations so far.

    Args:
        options: of the training.
        tell: is told the share that is done, before each iteration.
    """
    torch.manual_seed(options.seed)
    torch.set_float32_matmul_precision("high")
    device = options.device or ("cuda:0" if torch.cuda.is_available() else "cpu")
    wp.init()
    if device.startswith("cuda"):
        torch.cuda.set_stream(wp.stream_to_torch(wp.get_stream(device)))
    trainer = Trainer(JointEnv(options.envs, JointTask(), device), options)
    if options.resume:
        trainer.load(options.resume)
    trainer.run(tell)
    return trainer.iteration
