"""A learned recovery policy and observations of the batched world are those on board."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco_warp")
pytest.importorskip("torch")

import torch
from core_values import A1, RECOVERY, estimate

from safe_locomotion.control.nominal_gait import NominalGait
from safe_locomotion.envs.gait_contract import gait_contract
from safe_locomotion.envs.gait_env import UNTRAINED
from safe_locomotion.envs.gait_tasks import PUSH_SPEED, gait_task
from safe_locomotion.errors import ConfigurationError, PolicyRefusedError
from safe_locomotion.policy.contract import Origin
from safe_locomotion.policy.file import read_policy, write_policy
from safe_locomotion.policy.learned_recovery import LearnedRecovery
from safe_locomotion.policy.observation import Observer
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.rotations import quaternion_from_rpy, rpy_from_matrix
from safe_locomotion.training.gait.export import network
from safe_locomotion.training.gait.grid import Run
from safe_locomotion.training.gait.learners.learner import Shape
from safe_locomotion.training.gait.learners.trpo import Trpo
from safe_locomotion.training.gait.mlp import Mlp, MlpShape, Normaliser, random_weights
from safe_locomotion.training.gait.pushes import Pushes
from safe_locomotion.training.gait.recovery import BatchedRecovery, digest_of
from safe_locomotion.training.gait.walks import OBSERVED, Walks
from safe_locomotion.training.gait.world.world import WorldOptions
from safe_locomotion.types import Estimate, GaitParameters, VelocityCommand

torch.set_num_threads(1)
STEPS = 20
PERIOD_NS = 8_000_000
ORIGIN = Origin(command="test", seed=0, commit="")


def write_random_policy(path: Path, task: str = "recovery", lift: float = 1.0) -> None:
    """A policy of a task whose gait changes all the time."""
    rng = np.random.default_rng(0)
    shape = MlpShape(observation=OBSERVED, hidden=(8, 8), action=9)
    normaliser = Normaliser(
        mean=rng.normal(size=OBSERVED), deviation=rng.uniform(0.5, 2.0, OBSERVED)
    )
    mlp = Mlp(shape, normaliser, lift * random_weights(shape, rng))
    contract = gait_contract(A1, gait_task(task), name=path.stem, origin=ORIGIN)
    write_policy(network(mlp, contract), contract, path)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recovery policy with random weights."""
    path = tmp_path_factory.mktemp("policy") / "random_recovery.onnx"
    write_random_policy(path)
    return path


@dataclass(frozen=True)
class Walked:
    """A recorded walk: each value once before or after each step.

    Attributes:
        estimates: of each robot.
        observations: (T, B, O).
        gaits: (T, B, 9) of the learners before the step.
        commands: (B, 3).
        recovery: (T, B, 9) gaits that recovery wanted.
        fell: (T, B).
    """

    estimates: list[list[Estimate]]
    observations: np.ndarray
    gaits: np.ndarray
    commands: np.ndarray
    recovery: np.ndarray
    fell: np.ndarray


def estimates_of(walks: Walks, stamp_ns: int) -> list[Estimate]:
    seen = walks.world.seen
    arrays = {
        name: getattr(seen, name).numpy().astype(np.float64)
        for name in ("position", "rotation", "velocity", "rates", "joints", "joint_rates")
    }
    return [
        estimate(
            stamp_ns=stamp_ns,
            position=arrays["position"][k],
            quaternion_wxyz=quaternion_from_rpy(*rpy_from_matrix(arrays["rotation"][k])),
            velocity=arrays["velocity"][k],
            angular_velocity=arrays["rates"][k],
            q=arrays["joints"][k],
            dq=arrays["joint_rates"][k],
        )
        for k in range(walks.world.robots)
    ]


@pytest.fixture(scope="module")
def walked(policy: Path) -> Walked:
    """Two robots of one run under a learned recovery policy, and two with the tuned one."""
    runs = [
        Run(task="pacing", learner="ours", criterion="naive", horizon=0, recovery="learned"),
        Run(task="catwalk", learner="ours", criterion="naive", horizon=0),
    ]
    walks = Walks(runs, WorldOptions(recovery=str(policy)), robots=2, steps=STEPS)
    learner = Trpo(Shape(observations=OBSERVED, mask=walks.free, seeds=[0, 1]))
    kept: dict[str, list] = {"estimates": [], "gaits": [], "recovery": [], "fell": []}
    step = walks.world.step

    def recorded() -> None:
        kept["estimates"].append(estimates_of(walks, len(kept["fell"]) * PERIOD_NS))
        step()
        kept["recovery"].append(walks.world.recovery_gaits.numpy().copy())
        kept["gaits"].append(walks.world.learner_gaits.numpy().copy())
        kept["fell"].append(walks.world.fell.numpy().copy())

    walks.world.step = recorded
    batch = walks.round(learner, [], 0)
    return Walked(
        estimates=kept["estimates"],
        observations=batch.observations.flatten(1, 2).numpy(),
        gaits=np.array(kept["gaits"]),
        commands=walks.world.velocity_commands.numpy(),
        recovery=np.array(kept["recovery"]),
        fell=np.array(kept["fell"]),
    )


def command_of(numbers: np.ndarray) -> VelocityCommand:
    vx, vy, wz = numbers.tolist()
    return VelocityCommand(vx=vx, vy=vy, wz=wz)


def numbers_of(gait: GaitParameters) -> list[float]:
    return [gait.frequency, gait.swing_ratio, *gait.phase_offsets, *gait.foot_y]


def test_learned_recovery_is_that_on_board(walked: Walked, policy: Path) -> None:
    """On every estimate of the walk the runtime wants the same gait within 1e-4."""
    assert not walked.fell.any()
    contract, data = read_policy(policy)
    for robot in (0, 1):
        onboard = LearnedRecovery(PolicyRuntime(contract, data, A1), NominalGait(A1, RECOVERY))
        command = command_of(walked.commands[robot])
        for step, states in enumerate(walked.estimates):
            wanted = onboard.gait(command, states[robot])
            away = walked.recovery[step, robot] - numbers_of(wanted)
            away[2:5] -= np.round(away[2:5])
            assert np.abs(away).max() < 1e-4, (robot, step)
    assert np.ptp(walked.recovery[:, 0, 0]) > 0.1  # it does change its gait


def test_other_runs_keep_the_tuned_recovery(walked: Walked) -> None:
    """The learned policy drives no robot of a run that does not want it."""
    tuned = NominalGait(A1, RECOVERY)
    for robot in (2, 3):
        command = command_of(walked.commands[robot])
        wanted = [tuned.gait(command, states[robot]) for states in walked.estimates]
        rows = np.array([numbers_of(gait) for gait in wanted])
        np.testing.assert_allclose(walked.recovery[:, robot], rows, atol=1e-5)


@pytest.mark.parametrize(("robot", "task"), [(0, "pacing"), (2, "catwalk")])
def test_observations_are_those_on_board(walked: Walked, robot: int, task: str) -> None:
    """On every estimate of the walk the robot's own observer writes the same numbers."""
    contract = gait_contract(A1, gait_task(task), name=task, origin=UNTRAINED)
    observer = Observer(contract)
    command = command_of(walked.commands[robot])
    for step in range(1, STEPS):
        f, ratio, *rest = walked.gaits[step - 1, robot].astype(np.float64).tolist()
        gait = GaitParameters(
            frequency=f,
            swing_ratio=ratio,
            phase_offsets=tuple(rest[:3]),
            foot_y=tuple(rest[3:]),
        )
        seen = observer.write(walked.estimates[step][robot], command, [0.0] * 9, gait)[0]
        np.testing.assert_allclose(walked.observations[step, robot], seen, atol=2e-6)


def test_a_policy_that_cannot_recover_is_refused(policy: Path, tmp_path: Path) -> None:
    """One that lifts legs, one of another robot, and a file that is none."""
    lifts = tmp_path / "lifts.onnx"
    write_random_policy(lifts, "two_leg")
    with pytest.raises(ConfigurationError, match="steps with all legs"):
        BatchedRecovery(lifts, A1, 1, "cpu")
    with pytest.raises(ConfigurationError, match="found a gait policy of a1"):
        BatchedRecovery(policy, replace(A1, name="go2"), 1, "cpu")
    odd = tmp_path / "odd.onnx"
    odd.write_bytes(b"odd")
    with pytest.raises(PolicyRefusedError):
        BatchedRecovery(odd, A1, 1, "cpu")
    with pytest.raises(ConfigurationError, match="--recovery"):
        digest_of(str(tmp_path / "none.onnx"))


def test_a_grid_that_needs_a_learned_recovery_says_so() -> None:
    """Without a file there is nothing to learn under."""
    run = Run(task="pacing", learner="ours", recovery="learned")
    with pytest.raises(ConfigurationError, match="--recovery FILE"):
        Walks([run], WorldOptions(), robots=1, steps=2)


def test_robots_of_the_recovery_task_are_pushed() -> None:
    """Three pushes each, of the task's strength in any direction; the others are left alone."""
    runs = [Run(task="recovery", learner="trpo"), Run(task="catwalk", learner="trpo")]
    robots = 50
    pushes = Pushes(runs, robots, 400, A1, "cpu")
    impulses = torch.zeros(2 * robots, 3)
    pushed = torch.zeros(2 * robots)
    pushes.draw(4)
    count = torch.zeros(2 * robots)
    found = []
    for step in range(400):
        pushes.begin(torch.tensor([step]), impulses, pushed)
        count += pushed
        assert torch.equal(pushed > 0.5, impulses.norm(dim=1) > 0.0)
        found.append(impulses[pushed > 0.5].clone())
    assert count.tolist() == [3.0] * robots + [0.0] * robots
    speeds = torch.cat(found) / A1.mass
    assert (speeds.norm(dim=1) >= PUSH_SPEED[0] - 1e-5).all()
    assert (speeds.norm(dim=1) <= PUSH_SPEED[1] + 1e-5).all()
    assert speeds[:, :2].abs().min(dim=0).values.max() < 0.1 and (speeds[:, 2] == 0.0).all()
    assert (speeds.mean(dim=0).abs() < 0.5).all()
