"""From an ALARM training to a policy file: same answers as torch, and a stack that loads it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from core_values import A1, LIMITS

pytest.importorskip("mujoco")
pytest.importorskip("torch")

import torch
from alarm_worlds import SMALL, PointWorld

from safe_locomotion.cli.train import export
from safe_locomotion.errors import ConfigurationError, PolicyRefusedError
from safe_locomotion.policy.contract import StateEstimate, contract_from_json
from safe_locomotion.policy.file import load_policy, pack, read_policy
from safe_locomotion.policy.network import Network
from safe_locomotion.training.joint.alarm.learning.agent import Agent
from safe_locomotion.training.joint.alarm.learning.export import (
    DRIVE,
    alarm_contract,
    alarm_model,
    export_alarm,
    read_alarm,
)
from safe_locomotion.training.joint.alarm.learning.files import WEIGHTS, read_arrays
from safe_locomotion.training.joint.alarm.learning.settings import Settings
from safe_locomotion.training.joint.alarm.learning.training import TrainingOptions, train
from safe_locomotion.training.joint.alarm.learning.variants import variant_named
from safe_locomotion.training.joint.alarm.learning.weights import policy_arrays
from safe_locomotion.types import VelocityCommand

torch.set_num_threads(1)
STEPS = 50


def trained(folder: Path, settings: Settings = SMALL) -> Path:
    """The folder of a training of one iteration."""
    options = TrainingOptions(
        robot="a1", envs=8, steps=1, settings=settings, device="cpu", seed=5, command="train it"
    )
    train(options, lambda o: PointWorld(o.envs), folder, minutes=9.0, resume=False, tell=print)
    return folder


def in_torch(agent: Agent, observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Actions and explicit estimates in physical units, step by step with beta 1."""
    nets = agent.networks
    w = nets.widths
    memories = agent.collector.memories
    student = memories["student"][:, :1] * 0.0
    actor = memories["actor"][:, :1] * 0.0
    scale, offset = agent.normaliser.scale_and_offset()
    actions = []
    estimates = []
    for row in observations:
        o = ((row - offset[: w.observed]) * scale[: w.observed])[None]
        latent, student = nets.student.step(o, student)
        latent = latent[:, : w.latent]
        mean, actor = nets.actor.step(torch.cat((o, latent), dim=1), actor)
        used = slice(w.observed, w.observed + w.explicit)
        actions.append(mean[0].clamp(-DRIVE.bound, DRIVE.bound))
        estimates.append(latent[0, : w.explicit] / scale[used] + offset[used])
    return torch.stack(actions), torch.stack(estimates)


@pytest.mark.parametrize("variant", ["alarm", "concurrent", "dreamwaq", "no_lstm_ac", "no_en"])
def test_the_file_answers_as_torch(variant: str) -> None:
    """Actions and estimates agree within 1e-5 over 50 steps from zero memory."""
    agent = Agent(PointWorld(8), variant_named(variant), SMALL, seed=2)
    for _ in range(2):
        agent.collect()
        agent.update()
    arrays = policy_arrays(agent.networks, agent.normaliser) | {
        "robot": np.array("a1"),
        "command": np.array("none"),
        "seed": np.array(0),
        "steps": np.array(0),
    }
    contract = alarm_contract(arrays, "small")
    data, written = pack(alarm_model(arrays, DRIVE.bound), contract)
    network = Network(written, data)
    observations = np.random.default_rng(0).normal(size=(STEPS, 45)).astype(np.float32)
    with torch.no_grad():
        actions, estimates = in_torch(agent, torch.from_numpy(observations))
    assert np.abs(network.sequence(observations) - actions.numpy()).max() < 1e-5
    for row in observations:
        network.observation[0] = row
        network.step()
    assert network.estimate.shape == (1, contract.estimate.width)
    assert np.abs(network.estimate[0] - estimates[-1].numpy()).max() < 1e-5


def test_an_untrained_policy_is_judged_and_loaded(tmp_path: Path) -> None:
    """It is written, read, checked against the robot, and proposes joints and an estimate."""
    target = tmp_path / "untrained.onnx"
    folder = str(trained(tmp_path / "run"))
    words = [folder, "--name", "untrained", "--out", str(target)]
    CliRunner().invoke(export, words, standalone_mode=False, catch_exceptions=False)
    written = read_policy(target)[0]
    assert (written.origin.seed, written.joint.kp[0], written.joint.kd[0]) == (5, 20.0, 0.5)
    assert written.origin.command == "train it # 48 steps"
    assert [pair.shape for pair in written.recurrent] == [(1, 1, 16)] * 2
    runtime = load_policy(str(target), A1, LIMITS, folders=(tmp_path,))
    estimate = standing_estimate()
    proposal = runtime.act(estimate, VelocityCommand(vx=0.3))
    assert proposal is not None and proposal.joints is not None
    assert {name: len(x) for name, x in runtime.estimate.items()} == {
        "base_velocity": 3,
        "foot_height": 4,
        "foot_contact": 4,
    }


def standing_estimate():
    """What the estimator says of a simulated robot at rest."""
    from safe_locomotion.config import load_config
    from safe_locomotion.estimation.estimator import StateEstimator
    from safe_locomotion.sim.options import SimulationOptions
    from safe_locomotion.sim.robot import SimulatedRobot

    robot = SimulatedRobot(SimulationOptions(seed=1))
    return StateEstimator(A1, load_config("a1").estimator).update(robot.low_state())


def test_a_whole_network_is_of_the_size_that_ships(tmp_path: Path) -> None:
    """Two LSTMs of 256 cells and their MLPs fit well into a policy file."""
    settings = replace(SMALL, hidden=256, layers=(256, 128, 64))
    arrays = read_arrays(trained(tmp_path, settings) / WEIGHTS)
    data, written = pack(alarm_model(arrays, DRIVE.bound), alarm_contract(arrays, "whole"))
    assert [pair.shape for pair in written.recurrent] == [(1, 1, 512)] * 2
    assert 3e6 < len(data) < 8e6


def test_a_folder_without_weights_is_said_to_be_one(tmp_path: Path) -> None:
    """Also when the file is another one."""
    with pytest.raises(ConfigurationError, match="no weights of an ALARM training"):
        export_alarm(tmp_path, "none", tmp_path / "none.onnx")
    (tmp_path / WEIGHTS).write_bytes(b"words")
    with pytest.raises(ConfigurationError, match="no weights of an ALARM training"):
        export_alarm(tmp_path, "none", tmp_path / "none.onnx")


def test_a_contract_names_an_estimate_only_where_there_is_one(tmp_path: Path) -> None:
    """Releases before it read the rest; an estimate of nothing or of another shape is refused."""
    model, contract = read_alarm(trained(tmp_path / "run"), "untrained")
    assert '"estimate"' in contract.to_json()
    assert contract_from_json(contract.to_json()) == contract
    assert '"estimate"' not in replace(contract, estimate=None).to_json()
    with pytest.raises(PolicyRefusedError, match="estimate: expected terms"):
        StateEstimate(output="explicit", terms=())
    short = replace(contract, estimate=StateEstimate(output="explicit", terms=(("x", 3),)))
    with pytest.raises(PolicyRefusedError, match="'explicit': shape"):
        pack(model, short)
