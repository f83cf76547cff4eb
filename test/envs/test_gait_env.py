"""The gait MDP: equal episodes, the robot's own observations, and the supervisor's penalty."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("onnx")

from safe_locomotion.envs.episodes import walk_learner
from safe_locomotion.envs.gait_env import GaitEnv, GaitEnvOptions
from safe_locomotion.envs.gait_tasks import gait_task, start_gait
from safe_locomotion.envs.random_gait import RandomGait, RandomWalk
from safe_locomotion.policy.contract import Origin
from safe_locomotion.policy.file import read_policy, write_policy
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.training.gait.export import network
from safe_locomotion.training.gait.mlp import Mlp, MlpShape, Normaliser, random_weights
from safe_locomotion.types import Mode, VelocityCommand

WILD = RandomWalk(sigma=0.2)


@pytest.fixture(scope="module")
def env() -> GaitEnv:
    """One robot on its feet, for half a second at a time."""
    return GaitEnv(GaitEnvOptions(duration=0.5, starts=1, push_share=0.5))


def episode(env: GaitEnv, seed: int):
    """Observations and rewards of actions that depend on the seed alone."""
    rng = np.random.default_rng(seed)
    seen = [env.reset(seed=seed)[0]]
    rewards = []
    done = False
    while not done:
        observation, reward, fell, late, _ = env.step(rng.uniform(-1.0, 1.0, env.action_size))
        seen.append(observation)
        rewards.append(reward)
        done = fell or late
    return np.array(seen), np.array(rewards)


def test_equal_seeds_give_equal_episodes(env) -> None:
    """Episodes are equal to the last bit, whatever was walked between them.

    Results therefore depend neither on the order nor on the number of workers.
    """
    first = episode(env, 3)
    other = episode(env, 4)
    again = episode(env, 3)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0][1], other[0][1])


def test_an_episode_walks_at_once(env) -> None:
    """An episode begins in WALK, on the spot, and 0.5 s are 63 policy steps of 8 ms."""
    seen, _ = episode(env, 3)
    assert env.pipeline.supervisor.mode is Mode.WALK
    assert len(seen) == env.total_steps + 1 == 63 and seen.dtype == np.float32
    assert env.observation_size == seen.shape[1]
    np.testing.assert_allclose(
        seen[0, :9],
        np.concatenate(
            [[2.5, 0.45], [0.5, 0.5, 0.0], start_gait(gait_task("trot"), env.robot.robot).foot_y]
        ),
        rtol=1e-6,
    )


def test_the_observation_is_the_estimate(env) -> None:
    """Height and velocity are those of the noisy estimate, not the simulator's."""
    observation, _ = env.reset(seed=5)
    for _ in range(40):
        observation, *_ = env.step(np.zeros(9))
    estimate = env.estimate
    truth = env.robot.truth()
    assert observation[9] == np.float32(estimate.position[2] - estimate.ground_height)
    assert abs(observation[9] - truth.height) > 1e-5


def test_supervised_steps_cost_one(env, monkeypatch) -> None:
    """A step of the recovery policy has a reward less by 1 (paper 1, algorithm 1).

    The change of the driving policy costs a little more.
    """
    env.reset(seed=6)
    _, reward, _, _, info = env.step(np.zeros(9))
    env.reset(seed=6)
    update = env.pipeline.supervisor.update
    monkeypatch.setattr(
        env.pipeline.supervisor,
        "update",
        lambda *given, **more: replace(update(*given, **more), active="recovery"),
    )
    _, supervised, _, _, also = env.step(np.zeros(9))
    assert (info["active"], also["active"]) == ("learner", "recovery")
    assert supervised == pytest.approx(reward - 1.0, abs=1e-2)


def test_the_shipped_file_does_what_was_trained(env, tmp_path) -> None:
    """On the same estimates the robot's runtime proposes the gaits of the environment.

    The network's actions are the same in both.
    """
    shape = MlpShape(observation=env.observation_size, hidden=(8, 8), action=env.action_size)
    observation, _ = env.reset(seed=7)
    mlp = Mlp(
        shape,
        Normaliser(mean=observation.astype(float), deviation=np.full(len(observation), 0.5)),
        random_weights(shape, np.random.default_rng(1)),
    )
    contract = replace(env.contract, name="same", origin=Origin(command="test", seed=1, commit=""))
    write_policy(network(mlp, contract), contract, tmp_path / "same.onnx")
    robot = PolicyRuntime(*read_policy(tmp_path / "same.onnx"), env.robot.robot)
    for _ in range(30):
        proposal = robot.act(env.estimate, env.velocity_command)
        observation, *_ = env.step(mlp.act(observation))
        trained = env.pipeline.proposal
        assert (
            proposal is not None
            and proposal.gait is not None
            and trained is not None
            and trained.gait is not None
        )
        for name in ("frequency", "swing_ratio", "phase_offsets", "foot_y"):
            np.testing.assert_allclose(
                getattr(proposal.gait, name), getattr(trained.gait, name), atol=1e-5
            )


def test_a_wild_learner_falls() -> None:
    """Without a supervisor it falls, and the episode ends there with the penalty."""
    env = GaitEnv(GaitEnvOptions(duration=6.0, starts=1, command=VelocityCommand(vx=0.3)))
    score = walk_learner(
        env, RandomGait(start_gait(gait_task("trot"), env.robot.robot), 0, WILD), 0
    )
    assert score.falls == 1 and score.recovery == 0.0 and env.steps < env.total_steps
    assert score.fitness < score.reward * env.steps / env.total_steps
