"""From trained weights to a policy file: same answers, same observation, and a robot that walks."""

from pathlib import Path

import numpy as np
import pytest
from core_values import A1, LIMITS

pytest.importorskip("mujoco")

from places import DATA

from safe_locomotion.backends.log import load_states
from safe_locomotion.config import load_config
from safe_locomotion.envs.walk import run_episode
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.estimation.estimator import StateEstimator
from safe_locomotion.operator.requests import Step
from safe_locomotion.operator.velocity import VelocityInput
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.policy.contract import PARITY_PAIRS, Origin
from safe_locomotion.policy.file import load_policy, pack, read_policy
from safe_locomotion.policy.network import Network
from safe_locomotion.policy.observation import Observer
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.training.joint.contract import joint_contract
from safe_locomotion.training.joint.export import WEIGHTS, build_model, export_joint
from safe_locomotion.training.joint.observation import OBSERVATION, observation_terms
from safe_locomotion.training.joint.task import Drive
from safe_locomotion.types import VelocityCommand

HIDDEN = 8
WIDTHS = (8, 16, 6, 12)
WALK = DATA / "a1_walk.npz"
DRIVE = Drive()
CONTRACT = joint_contract(
    A1, DRIVE, HIDDEN, name="small", origin=Origin(command="none", seed=0, commit="")
)


def weights(size: float = 0.5) -> dict[str, np.ndarray]:
    """Weights of a small actor, under the names of rsl_rl."""
    rng = np.random.default_rng(0)
    shapes = {f"rnn.rnn.weight_{k}_l0": (4 * HIDDEN, n) for k, n in (("ih", 45), ("hh", HIDDEN))}
    shapes |= {f"rnn.rnn.bias_{k}_l0": (4 * HIDDEN,) for k in ("ih", "hh")}
    for layer in range(3):
        shapes |= {
            f"mlp.{2 * layer}.weight": WIDTHS[layer + 1 : layer - 1 : -1][:2]
            if layer
            else WIDTHS[1::-1]
        }
        shapes |= {f"mlp.{2 * layer}.bias": (WIDTHS[layer + 1],)}
    drawn = {name: size * rng.normal(size=shape) for name, shape in shapes.items()}
    drawn |= {
        "obs_normalizer._mean": rng.normal(size=(1, 45)),
        "obs_normalizer._std": rng.uniform(0.1, 2.0, (1, 45)),
    }
    return {name: value.astype(np.float32) for name, value in drawn.items()}


def answers(w: dict[str, np.ndarray], observations: np.ndarray) -> np.ndarray:
    """Answers of the network in ONNX Runtime, step by step."""
    data, contract = pack(build_model(w, DRIVE.bound), CONTRACT)
    return Network(contract, data).sequence(observations)


def test_the_graph_answers_as_torch() -> None:
    """On 200 random observations in sequence they agree within 1e-5, also at the bound."""
    torch = pytest.importorskip("torch")
    w = {name: torch.from_numpy(value) for name, value in weights().items()}
    lstm = torch.nn.LSTM(45, HIDDEN)
    lstm.load_state_dict(
        {name[8:]: value for name, value in w.items() if name.startswith("rnn.rnn.")}
    )
    elu = torch.nn.ELU()
    linear = torch.nn.Linear
    mlp = torch.nn.Sequential(
        linear(*WIDTHS[:2]), elu, linear(*WIDTHS[1:3]), elu, linear(*WIDTHS[2:])
    )
    mlp.load_state_dict({name[4:]: value for name, value in w.items() if name.startswith("mlp.")})
    observations = np.random.default_rng(1).normal(size=(200, 45)).astype(np.float32)
    with torch.no_grad():
        normal = (torch.from_numpy(observations) - w["obs_normalizer._mean"]) / (
            w["obs_normalizer._std"] + 1e-2
        )
        expected = mlp(lstm(normal)[0]).clamp(-DRIVE.bound, DRIVE.bound).numpy()
    assert np.abs(answers(weights(), observations) - expected).max() < 1e-5


def test_outputs_keep_the_bound_of_training() -> None:
    """They keep it for weights of any size."""
    found = answers(weights(20.0), np.random.default_rng(1).normal(size=(50, 45)))
    assert np.abs(found).max() == DRIVE.bound


def test_observation_on_board_is_that_of_training_on_a_recorded_walk() -> None:
    """They agree in every number of every tick, from one estimate in MuJoCo's form."""
    estimator = StateEstimator(A1, load_config("a1").estimator)
    observer = Observer(CONTRACT)
    rng = np.random.default_rng(0)
    command = VelocityCommand(vx=0.5, vy=-0.1, wz=0.3)
    estimates = [estimator.update(state) for state in load_states(WALK)][::5]
    actions = rng.normal(size=(len(estimates), 12))
    qpos = np.array([(*e.position, *e.quaternion_wxyz, *e.q) for e in estimates])
    qvel = np.array([(*e.velocity, *e.angular_velocity, *e.dq) for e in estimates])
    commands = np.tile((command.vx, command.vy, command.wz), (len(estimates), 1))
    terms = observation_terms(qpos, qvel, A1.q_stand, commands, actions, np.stack)
    trained = np.concatenate([terms[name] for name in OBSERVATION], axis=1)
    on_board = [
        observer.write(e, command, a.tolist())[0].copy()
        for e, a in zip(estimates, actions, strict=True)
    ]
    assert np.abs(np.array(on_board) - trained).max() < 2e-6
    assert len(estimates) > 250


def test_export_records_a_walk(tmp_path: Path) -> None:
    """The pairs are 64 steps in a row under a command, and the file names its origin."""
    np.savez(tmp_path / WEIGHTS, **weights(0.0), iteration=7, command="train it", seed=4)
    written = export_joint(tmp_path, "stands", tmp_path / "stands.onnx")
    assert read_policy(tmp_path / "stands.onnx")[0] == written
    assert (written.origin.command, written.origin.seed) == ("train it # 7 iterations", 4)
    seen = np.array(written.parity.observations)
    assert seen.shape == (PARITY_PAIRS, 45) and np.allclose(seen[:, 6:9], (0.4, 0.0, 0.2))


def test_a_folder_without_weights_is_said_to_be_one(tmp_path: Path) -> None:
    """The error names the folder."""
    with pytest.raises(ConfigurationError, match=WEIGHTS):
        export_joint(tmp_path, "none", tmp_path / "none.onnx")


def test_the_policy_that_ships_walks() -> None:
    """Loaded by name and checked, it follows 0.5 m/s within 0.1 m/s for 3 s and turns.

    There is no fall, no fault and no trigger.
    """
    learner = load_policy("a1_velocity_lstm", A1, LIMITS)
    config = load_config("a1")
    robot = SimulatedRobot(SimulationOptions(seed=3))
    steps = (Step(time=0.1, request="walk", command=VelocityCommand(vx=0.5, wz=0.4)),)
    velocity = VelocityInput(config.supervisor.command)
    episode = run_episode(robot, Pipeline(A1, config, learner), velocity, steps, duration=4.0)
    log = episode.log
    late = log.time > 2.0
    assert episode.falls == 0 and not episode.gate_trips
    assert not log.recovery[late].any()
    assert np.abs(log.velocity[late].mean(axis=0) - (0.5, 0.0, 0.4)).max() < 0.1
