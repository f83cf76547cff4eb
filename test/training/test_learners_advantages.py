"""Advantages against numbers computed by hand; normalisers and values against plain formulas."""

import pytest

torch = pytest.importorskip("torch")

from learner_batches import one_thread, random_batch  # noqa: E402

from safe_locomotion.errors import ConfigurationError  # noqa: E402
from safe_locomotion.training.gait.learners.advantages import (  # noqa: E402
    ReturnSettings,
    advantages,
    episode_returns,
    standardised,
)
from safe_locomotion.training.gait.learners.batch import Batch, samples, steps  # noqa: E402
from safe_locomotion.training.gait.learners.learner import RewardWeights  # noqa: E402
from safe_locomotion.training.gait.learners.normaliser import Normalisers  # noqa: E402
from safe_locomotion.training.gait.learners.streams import Streams  # noqa: E402
from safe_locomotion.training.gait.learners.values import (  # noqa: E402
    ValueNetworks,
    ValueSettings,
)

one_thread()
HALVES = ReturnSettings(discount=0.5, trace=0.5)


def test_advantages_of_three_walks_by_hand() -> None:
    """gamma = lambda = 1/2, three steps, rewards 1, 2, 4, values 2, 4, 8, 16.

    Robot 0 walks on: delta = 1 + 2 - 2 = 1; 2 + 4 - 4 = 2; 4 + 8 - 8 = 4, summed with 1/4:
    1 + 2/4 + 4/16 = 1.75; 2 + 4/4 = 3; 4.
    Robot 1 falls on the second step: delta = 1; 2 + 0 - 4 = -2: 1 - 2/4 = 0.5; -2; nothing.
    Robot 2 falls on the third step: delta = 1; 2; 4 - 8 = -4: 1 + 2/4 - 4/16 = 1.25; 2 - 1 = 1; -4.
    """
    rewards = torch.tensor([1.0, 2.0, 4.0])[:, None, None].expand(3, 1, 3)
    values = torch.tensor([2.0, 4.0, 8.0, 16.0])[:, None, None].expand(4, 1, 3)
    alive = torch.ones(3, 1, 3, dtype=torch.bool)
    alive[2, 0, 1] = False
    fell = torch.tensor([[False, True, True]])
    found = advantages(rewards, values, alive, fell, HALVES)
    wanted = torch.tensor([[1.75, 0.5, 1.25], [3.0, -2.0, 1.0], [4.0, 0.0, -4.0]])
    assert torch.allclose(found[:, 0], wanted)


def test_advantages_follow_the_recursion_of_the_definition() -> None:
    """A_t = delta_t + gamma lambda c_t A_t+1, step by step, on random walks with falls."""
    batch = random_batch(2)
    values = torch.randn(13, 2, 8, generator=torch.Generator().manual_seed(3))
    settings = ReturnSettings(discount=0.97, trace=0.9)
    found = advantages(batch.rewards, values, batch.alive, batch.fell, settings)
    ahead = torch.zeros(2, 8)
    for t in reversed(range(12)):
        last = ~batch.alive[t + 1] if t < 11 else batch.fell
        goes_on = (batch.alive[t] & ~last).float()
        delta = batch.rewards[t] + 0.97 * goes_on * values[t + 1] - values[t]
        ahead = batch.alive[t] * (delta + 0.97 * 0.9 * goes_on * ahead)
        assert torch.allclose(found[t], ahead, atol=1e-5)


def test_whatever_stands_after_a_fall_changes_nothing() -> None:
    """NaN after a fall gives the same cleaned batch as zeros."""
    batch = random_batch(2)
    nothing = float("nan")
    spoilt = Batch(
        observations=torch.where(batch.alive[..., None], batch.observations, nothing),
        last_observations=torch.where(batch.fell[..., None], nothing, batch.last_observations),
        actions=torch.where(batch.alive[..., None], batch.actions, nothing),
        rewards=torch.where(batch.alive, batch.rewards, nothing),
        costs=torch.where(batch.alive, batch.costs, nothing),
        alive=batch.alive,
        recovered=batch.recovered,
        fell=batch.fell,
    )
    for name, tensor in spoilt.cleaned().figures().items():
        assert torch.equal(tensor, batch.cleaned().figures()[name])
    assert torch.equal(spoilt.cleaned().observations, batch.cleaned().observations)
    assert torch.equal(spoilt.cleaned().last_observations, batch.cleaned().last_observations)


def test_counts_of_a_batch_by_hand() -> None:
    """One robot, five steps, a fall on the fourth; recovery acts on the first, third and fourth."""
    flags = torch.tensor([True, False, True, True, True])[:, None, None]
    batch = Batch(
        observations=torch.zeros(5, 1, 1, 2),
        last_observations=torch.zeros(1, 1, 2),
        actions=torch.zeros(5, 1, 1, 1),
        rewards=torch.ones(5, 1, 1),
        costs=torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0])[:, None, None],
        alive=torch.tensor([True, True, True, True, False])[:, None, None],
        recovered=flags,
        fell=torch.tensor([[True]]),
    )
    wanted = {
        "episode_reward": 4.0,
        "episode_cost": 1.0,
        "falls": 1.0,
        "steps": 4.0,
        "uses": 1.0,
        "recovery_share": 0.75,
    }
    clean = batch.cleaned()
    assert {name: float(value) for name, value in clean.figures().items()} == wanted
    assert torch.equal(clean.weights(), torch.tensor([[0.25, 0.25, 0.25, 0.25, 0.0]]))
    learned = RewardWeights(task=2.0, recovery=1.0, cost=3.0).apply(clean)
    assert learned.flatten().tolist() == [1.0, 2.0, 1.0, -2.0, 0.0]
    assert float(episode_returns(clean.costs, 0.5)) == 0.125


def test_a_batch_of_wrong_shapes_is_refused() -> None:
    """The message names the field and both shapes."""
    batch = random_batch(2)
    with pytest.raises(
        ConfigurationError, match=r"fell must have the shape \(2, 8\), found \(8, 2\)"
    ):
        Batch(
            observations=batch.observations,
            last_observations=batch.last_observations,
            actions=batch.actions,
            rewards=batch.rewards,
            costs=batch.costs,
            alive=batch.alive,
            recovered=batch.recovered,
            fell=batch.fell.T,
        )


def test_rows_and_steps_are_inverse() -> None:
    """`steps` puts the rows of `samples` back."""
    rewards = random_batch(3).rewards
    assert torch.equal(steps(samples(rewards[..., None])[..., 0], 8), rewards)


def test_standardised_values_have_mean_zero_and_deviation_one() -> None:
    """Over the weighted samples of each run."""
    weights = random_batch(2).weights()
    values = torch.randn(2, 96, generator=torch.Generator().manual_seed(1)) * 5.0 + 3.0
    found = standardised(values, weights)
    assert torch.allclose((weights * found).sum(dim=1), torch.zeros(2), atol=1e-6)
    assert torch.allclose((weights * found.square()).sum(dim=1), torch.ones(2), atol=1e-5)


def test_normalisers_merge_batches_to_the_moments_of_all_rows() -> None:
    """Three batches give mean and deviation of the counted rows together; a constant is centred."""
    normalisers = Normalisers(2, 3)
    draw = torch.Generator().manual_seed(2)
    rows = torch.randn(3, 2, 50, 3, generator=draw) * torch.tensor([1.0, 0.01, 0.0]) + 4.0
    counted = torch.rand(3, 2, 50, generator=draw) < 0.7
    for part, kept in zip(rows, counted, strict=True):
        normalisers.update(part, kept)
    for run in range(2):
        kept_rows = rows[:, run][counted[:, run]]
        mean = normalisers.mean[run, 0]
        deviation = normalisers.deviation[run, 0]
        assert torch.allclose(mean, kept_rows.mean(dim=0), atol=1e-5)
        assert torch.allclose(deviation[:2], kept_rows.std(dim=0, correction=0)[:2], rtol=1e-4)
        assert deviation[2] == 1.0


def test_values_learn_a_function_of_large_numbers() -> None:
    """Returns of hundreds are fitted within 5 % of their deviation, separately for each run."""
    streams = Streams([1, 2])
    networks = ValueNetworks(ValueSettings(), observations=2, streams=streams)
    x = streams.normal(512, 2)
    slope = torch.tensor([[30.0], [-80.0]])
    returns = 400.0 + slope * x[..., 0]
    weights = torch.full((2, 512), 1.0 / 512.0)
    for _ in range(12):
        networks.fit(x, returns, weights, streams)
    error = (networks.predict(x) - returns).square().mean(dim=1).sqrt()
    assert (error < 0.05 * slope[:, 0].abs()).all()


def test_a_new_scale_of_the_returns_changes_no_prediction() -> None:
    """Without Adam steps a fit to other returns leaves the predictions where they are."""
    streams = Streams([1, 2])
    still = ValueSettings(epochs=0)
    networks = ValueNetworks(still, observations=2, streams=streams)
    x = streams.normal(64, 2)
    weights = torch.full((2, 64), 1.0 / 64.0)
    networks.fit(x, 100.0 + 10.0 * x[..., 0], weights, streams)
    before = networks.predict(x)
    networks.fit(x, -300.0 + 50.0 * x[..., 1], weights, streams)
    assert networks.mean.max() < 100.0
    assert torch.allclose(networks.predict(x), before, atol=1e-3)
