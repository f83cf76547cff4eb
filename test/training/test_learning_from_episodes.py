"""One robot learns from its own recorded walks."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from core_values import A1
from recorded_walk import Walk, walk, write_walk

from safe_locomotion.cli.main import main
from safe_locomotion.config import load_config
from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.exploration import Noise
from safe_locomotion.policy.file import read_policy
from safe_locomotion.policy.network import Network
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.recording.episode import EpisodeRecord
from safe_locomotion.recording.reader import read_episode
from safe_locomotion.training.gait.episodes.found import FlownEpisodes
from safe_locomotion.training.gait.episodes.robot_learner import (
    CHECKPOINT,
    RobotLearner,
    RobotLearning,
)
from safe_locomotion.training.gait.episodes.trajectories import Trajectory, trajectories_of
from safe_locomotion.types import Mode

torch.set_num_threads(1)
TASK = gait_task("efficient")
LIMITS = load_config("a1").mpc.locomotion
STEPS = 40
OPTIONS = RobotLearning(task="efficient", trajectories=2, steps=STEPS, seed=5)
POLICY = "learner_0000"


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Walk, EpisodeRecord, Path]:
    """A walk under the first policy, with its noise, and its episode."""
    folder = tmp_path_factory.mktemp("flown")
    path = RobotLearner(OPTIONS).write(folder)
    contract, data = read_policy(path)
    walked = walk(1300, PolicyRuntime(contract, data, A1, learning=True))
    write_walk(walked, folder / "episodes" / "first", digest="0" * 64)
    return walked, read_episode(folder / "episodes" / "first"), folder / "episodes"


def cut(record: EpisodeRecord, steps: int = STEPS) -> list[Trajectory]:
    """Trajectories of the first policy."""
    return list(trajectories_of(record, POLICY, TASK, A1, LIMITS, steps=steps))


def test_a_trajectory_holds_what_the_learner_saw_and_drew(
    flown: tuple[Walk, EpisodeRecord, Path],
) -> None:
    """Observations and actions are the proposals', in their order, and the power is the motors'."""
    walked, record, _ = flown
    found = cut(record)
    walking = [c for c in walked.cycles if c.verdict is not None and c.verdict.mode is Mode.WALK]
    asked = [c.proposal for c in walking if c.state.stamp_ns == c.proposal.stamp_ns]
    assert len(found) == len(asked) // STEPS >= 2
    rows = asked[: STEPS * len(found)]
    actions = np.concatenate([one.actions for one in found])
    np.testing.assert_allclose(actions, np.array([p.action for p in rows]), atol=1e-6)
    seen = np.concatenate([one.observations[:-1] for one in found])
    np.testing.assert_allclose(seen, np.array([p.observation for p in rows]), atol=1e-6)
    for one, after in pairwise(found):
        np.testing.assert_array_equal(one.observations[-1], after.observations[0])
    assert not any(one.fell for one in found)
    assert all((one.costs == 0.0).all() for one in found)
    rewards = np.concatenate([one.rewards for one in found])
    assert 0.0 < rewards.mean() < 1.0


def test_more_power_is_less_reward(flown: tuple[Walk, EpisodeRecord, Path]) -> None:
    """By the weight of the task: power over weight times 1 m/s."""
    record = flown[1]
    stronger = replace(record, states=replace(record.states, tau=2.0 * record.states.tau))
    less = np.concatenate([one.rewards for one in cut(stronger)])
    rewards = np.concatenate([one.rewards for one in cut(record)])
    states = record.states
    power = np.abs(states.tau * states.dq).sum(axis=1)
    begins = record.steps.stamp_ns[
        record.verdicts.walking[record.verdicts.at(record.steps.stamp_ns)]
    ]
    for k in (0, 17, STEPS + 3):
        inside = (states.stamp_ns > begins[k]) & (states.stamp_ns <= begins[k] + 8_000_000)
        expected = power[inside].mean() / (A1.mass * 9.81)
        assert rewards[k] - less[k] == pytest.approx(expected, rel=1e-3)


def ended_by(mode: Mode) -> Callable[[EpisodeRecord], EpisodeRecord]:
    """The record in which another mode follows after one and a half trajectories."""

    def change(record: EpisodeRecord) -> EpisodeRecord:
        walking = np.flatnonzero(record.verdicts.walking)
        begins = record.verdicts.stamp_ns[walking[0]]
        modes = record.verdicts.mode.copy()
        modes[record.verdicts.stamp_ns > begins + int(1.5 * STEPS) * 8_000_000] = mode
        return replace(record, verdicts=replace(record.verdicts, mode=modes))

    return change


@pytest.mark.parametrize(
    ("mode", "lengths", "fell"),
    [
        (Mode.FALLEN, [STEPS, STEPS // 2 + 1], True),
        (Mode.FAULT, [STEPS, STEPS // 2 + 1], True),
        (Mode.STAND, [STEPS], False),
    ],
)
def test_a_fall_ends_a_trajectory_and_a_stop_leaves_it_out(
    flown: tuple[Walk, EpisodeRecord, Path], mode: Mode, lengths: list[int], fell: bool
) -> None:
    """A trajectory cut short by an operator says nothing about the policy."""
    found = cut(ended_by(mode)(flown[1]))
    assert [len(one) for one in found] == pytest.approx(lengths, abs=1)
    assert found[-1].fell is fell


def test_a_missing_step_and_another_policy_end_a_trajectory(
    flown: tuple[Walk, EpisodeRecord, Path],
) -> None:
    """Steps before and after a gap do not belong together."""
    record = flown[1]
    count = sum(len(one) for one in cut(record, 10))
    walking = np.flatnonzero(record.verdicts.walking[record.verdicts.at(record.steps.stamp_ns)])
    kept = np.delete(np.arange(len(record.steps)), walking[25])
    steps = record.steps
    gap = replace(
        steps,
        stamp_ns=steps.stamp_ns[kept],
        observation=steps.observation[kept],
        action=steps.action[kept],
    )
    found = cut(replace(record, steps=gap), 10)
    assert count - 20 <= sum(len(one) for one in found) < count
    np.testing.assert_array_equal(found[2].actions[0], steps.action[walking[26]])
    assert list(trajectories_of(record, "another", TASK, A1, LIMITS)) == []


def test_stamps_that_follow_a_clock_change_nothing(
    flown: tuple[Walk, EpisodeRecord, Path],
) -> None:
    """On hardware a tick of 2 ms is up to 0.4 us longer or shorter."""
    record = flown[1]

    def drifted(stamps: np.ndarray) -> np.ndarray:
        return stamps + ((stamps - record.info.start_ns) * 200e-6).round().astype(np.int64)

    names = ("states", "estimates", "verdicts", "proposals", "steps")
    traces = {name: getattr(record, name) for name in names}
    moved = {name: replace(t, stamp_ns=drifted(t.stamp_ns)) for name, t in traces.items()}
    found = cut(replace(record, **moved))
    for one, before in zip(found, cut(record), strict=True):
        np.testing.assert_array_equal(one.actions, before.actions)
        np.testing.assert_allclose(one.rewards, before.rewards, atol=1e-9)


def test_recovery_is_told(flown: tuple[Walk, EpisodeRecord, Path]) -> None:
    """The learner's action counts, also where recovery drove."""
    record = flown[1]
    learner = record.verdicts.learner.copy()
    begins = record.verdicts.stamp_ns[np.flatnonzero(record.verdicts.walking)[0]]
    since = record.verdicts.stamp_ns - begins
    learner[(since >= 80_000_000) & (since < 160_000_000)] = False
    found = cut(replace(record, verdicts=replace(record.verdicts, learner=learner)))[0]
    before = cut(record)[0]
    assert found.recovered[10:20].all()
    assert (found.recovered[20:] == before.recovered[20:]).all()
    np.testing.assert_array_equal(found.actions, before.actions)


def synthetic(learner: RobotLearner, folder: Path) -> list[Trajectory]:
    """Trajectories of the present policy where the first action should be 0.3."""
    contract, data = read_policy(learner.write(folder))
    assert contract.exploration is not None
    network = Network(contract, data)
    noise = Noise(contract.exploration)
    found = []
    for _ in range(learner.options.trajectories):
        observations = np.zeros((STEPS + 1, contract.observation_width))
        actions = []
        for row in observations[:-1]:
            network.observation[0] = row
            actions.append(network.step()[0].astype(float) + noise.draw())
        drawn = np.array(actions)
        found.append(
            Trajectory(
                observations=observations,
                actions=drawn,
                rewards=1.0 - (drawn[:, 0] - 0.3) ** 2,
                costs=np.zeros(STEPS),
                recovered=np.zeros(STEPS, dtype=bool),
                fell=False,
            )
        )
    return found


def test_it_learns_what_is_rewarded(tmp_path: Path) -> None:
    """The first action goes from 0 to 0.3, and the fixed ones never move."""
    learner = RobotLearner(replace(OPTIONS, trajectories=10))
    first = np.mean([one.actions[:, 0].mean() for one in synthetic(learner, tmp_path)])
    for _ in range(25):
        learner.update(synthetic(learner, tmp_path))
    last = synthetic(learner, tmp_path)
    assert abs(first) < 0.15
    assert np.mean([one.actions[:, 0].mean() for one in last]) == pytest.approx(0.3, abs=0.1)
    fixed = [k for k, free in enumerate(TASK.free) if not free]
    assert all((one.actions[:, fixed] == 0.0).all() for one in last)


def test_a_learner_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    """The same trajectories give the same policy, bit for bit."""
    straight = RobotLearner(OPTIONS)
    flights = synthetic(straight, tmp_path)
    straight.update(flights)
    straight.save(tmp_path / "a")
    later = synthetic(straight, tmp_path)
    straight.update(later)
    resumed = RobotLearner(OPTIONS)
    resumed.load(tmp_path / "a")
    assert resumed.policy == "learner_0001"
    resumed.update(later)
    files = [one.write(tmp_path / name) for one, name in ((straight, "b"), (resumed, "c"))]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_what_is_no_checkpoint_of_it_is_refused(tmp_path: Path) -> None:
    """Another task, and another file."""
    RobotLearner(OPTIONS).save(tmp_path)
    with pytest.raises(ConfigurationError, match="belongs to another learner"):
        RobotLearner(replace(OPTIONS, task="catwalk")).load(tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(b"other")
    with pytest.raises(ConfigurationError, match="not a checkpoint"):
        RobotLearner(OPTIONS).load(tmp_path)


def test_too_few_trajectories_are_no_update(flown: tuple[Walk, EpisodeRecord, Path]) -> None:
    """The learner stays as it is."""
    learner = RobotLearner(OPTIONS)
    with pytest.raises(ConfigurationError, match="needs 2 trajectories"):
        learner.update(cut(flown[1])[:1])
    assert learner.policy == POLICY


def test_the_command_updates_and_says_what_to_fly(
    flown: tuple[Walk, EpisodeRecord, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the first policy to the second; a third needs walks of the second."""
    found = FlownEpisodes(flown[2], OPTIONS).of(POLICY)
    assert len(found) >= 2
    words = ["train", "gait", "efficient", "--from-episodes", str(flown[2])]
    words += ["--out", str(tmp_path), "--seed", "5", "--robots", "2", "--steps", str(STEPS)]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "update 1:" in out and "learner_0001: 0 of 2 trajectories" in out
    assert main([*words, "--export"]) == 3
    assert "policy.explore=true" in capsys.readouterr().out
    contract, _ = read_policy(tmp_path / "policies" / "learner_0001.onnx")
    assert contract.exploration is not None
    contract, _ = read_policy(tmp_path / "policies" / "learner.onnx")
    assert contract.exploration is None
    assert main(["train", "gait", "efficient", "--from-episodes", "none", "--out", "x"]) == 2
    assert "no folder" in capsys.readouterr().err
