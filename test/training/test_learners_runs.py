"""Runs side by side equal runs alone, and a resumed training equals one without a break."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learner_batches import (  # noqa: E402
    ACTIONS,
    OBSERVATIONS,
    one_thread,
    random_batch,
    shape,
)

from safe_locomotion.errors import ConfigurationError  # noqa: E402
from safe_locomotion.training.gait.learners.group import LearnerGroup  # noqa: E402
from safe_locomotion.training.gait.learners.learner import (  # noqa: E402
    ActorCritic,
    Figures,
    Learner,
    Shape,
)
from safe_locomotion.training.gait.learners.p3o import P3o  # noqa: E402
from safe_locomotion.training.gait.learners.pcpo import Constraint, Pcpo, PcpoSettings  # noqa: E402
from safe_locomotion.training.gait.learners.policy import PolicySettings  # noqa: E402
from safe_locomotion.training.gait.learners.recovery_rl import risk_rule, seeking_walks  # noqa: E402
from safe_locomotion.training.gait.learners.trpo import TASK_LESS_COST, Trpo, TrpoSettings  # noqa: E402

one_thread()
RUNS = 3
STRICT = PcpoSettings(constraint=Constraint(limit=-0.01))
MAKERS: list[Callable[[Shape], ActorCritic]] = [
    Trpo,
    lambda runs: Pcpo(runs, STRICT),
    P3o,
]
NAMES = ["trpo", "pcpo", "p3o"]


def round_of(learner: Learner, seed: int, runs: slice = slice(0, RUNS)) -> Figures:
    """One round: random walks whose actions come from the learner."""
    batch = random_batch(RUNS, seed).of_runs(runs)
    noise = learner.draw_noise(len(batch.rewards), batch.fell.shape[1])
    pairs = zip(batch.observations, noise, strict=True)
    batch.actions.copy_(torch.stack([learner.act(seen, drawn) for seen, drawn in pairs]))
    return learner.update(batch)


@pytest.mark.parametrize("make", MAKERS, ids=NAMES)
def test_a_run_beside_others_equals_the_run_alone(make: Callable[[Shape], ActorCritic]) -> None:
    """Two rounds give equal parameters and figures up to rounding."""
    together = make(shape(RUNS))
    figures = [round_of(together, seed) for seed in (1, 2)][-1]
    for run in range(RUNS):
        one = slice(run, run + 1)
        everyone = shape(RUNS)
        alone = make(Shape(observations=OBSERVATIONS, mask=everyone.mask[one], seeds=[run + 1]))
        found = [round_of(alone, seed, one) for seed in (1, 2)][-1]
        assert torch.allclose(
            together.policies.parameters[one], alone.policies.parameters, atol=2e-5
        )
        for name, value in found.items():
            assert torch.allclose(value, figures[name][one], rtol=1e-3, atol=1e-5), name


def saved(state: dict[str, Any]) -> dict[str, Any]:
    """The state, written to a file and read back."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("make", MAKERS, ids=NAMES)
def test_a_resumed_training_equals_one_without_a_break(
    make: Callable[[Shape], ActorCritic],
) -> None:
    """Bit for bit: figures and parameters of the rounds after a checkpoint."""
    straight = make(shape(RUNS))
    round_of(straight, 1)
    checkpoint = saved(straight.state_dict())
    wanted = [round_of(straight, seed) for seed in (2, 3)]
    other_seeds = Shape(observations=OBSERVATIONS, mask=shape(RUNS).mask, seeds=[7, 8, 9])
    resumed = make(other_seeds)
    resumed.load_state_dict(checkpoint)
    found = [round_of(resumed, seed) for seed in (2, 3)]
    for first, second in zip(wanted, found, strict=True):
        assert first.keys() == second.keys()
        assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert torch.equal(resumed.policies.parameters, straight.policies.parameters)
    assert torch.equal(resumed.normalisers.deviation, straight.normalisers.deviation)


def test_a_resumed_risk_critic_goes_on_bit_for_bit() -> None:
    """Fitting after a checkpoint gives equal weights."""
    data = seeking_walks([random_batch(RUNS)])
    straight = risk_rule(shape(RUNS))
    straight.critic.fit(data, 5)
    checkpoint = saved(straight.state_dict())
    straight.critic.fit(data, 5)
    resumed = risk_rule(shape(RUNS))
    resumed.load_state_dict(checkpoint)
    resumed.critic.fit(data, 5)
    assert torch.equal(resumed.critic.weights, straight.critic.weights)


def test_tensors_that_a_walk_reads_stay_in_their_place() -> None:
    """A captured graph of `act` sees the new policy after updates and after a resume."""
    learner = Trpo(shape(RUNS))
    places = [
        tensor.data_ptr()
        for tensor in (
            learner.policies.parameters,
            learner.normalisers.mean,
            learner.normalisers.deviation,
        )
    ]
    before = learner.policies.parameters.clone()
    round_of(learner, 1)
    learner.load_state_dict(saved(learner.state_dict()))
    assert not torch.equal(before, learner.policies.parameters)
    assert places == [
        tensor.data_ptr()
        for tensor in (
            learner.policies.parameters,
            learner.normalisers.mean,
            learner.normalisers.deviation,
        )
    ]


def pair() -> LearnerGroup:
    """TRPO-N with two runs, then PCPO with one."""
    everyone = shape(RUNS)
    first = Shape(observations=OBSERVATIONS, mask=everyone.mask[:2], seeds=[1, 2])
    second = Shape(observations=OBSERVATIONS, mask=everyone.mask[2:], seeds=[3])
    return LearnerGroup([(Trpo(first, None, TASK_LESS_COST), 2), (Pcpo(second, STRICT), 1)])


def test_a_group_is_its_learners_side_by_side() -> None:
    """Actions, updates, figures and exported policies are those of the parts."""
    group = pair()
    figures = round_of(group, 1)
    trpo, pcpo = (part for part, _ in pair().parts)
    wanted = round_of(trpo, 1, slice(0, 2))
    also = round_of(pcpo, 1, slice(2, 3))
    assert torch.equal(figures["divergence"], torch.cat([wanted["divergence"], also["divergence"]]))
    assert torch.isnan(figures["projected"]).tolist() == [True, True, False]
    for run, (part, place) in enumerate([(trpo, 0), (trpo, 1), (pcpo, 0)]):
        assert np.array_equal(group.policy_of(run).weights, part.policy_of(place).weights)
    with pytest.raises(IndexError):
        group.policy_of(RUNS)


def test_a_primed_group_scales_the_observations_of_its_first_round() -> None:
    """Every learner's normaliser has the moments of its own runs."""
    group = pair()
    seen = 3.0 + 0.1 * random_batch(RUNS).last_observations
    group.prime(seen)
    for (part, _), runs in zip(group.parts, (slice(0, 2), slice(2, 3)), strict=True):
        assert isinstance(part, ActorCritic)
        mean = seen[runs].mean(dim=1, keepdim=True)
        deviation = seen[runs].std(dim=1, keepdim=True, correction=0)
        assert torch.allclose(part.normalisers.mean, mean, atol=1e-6)
        assert torch.allclose(part.normalisers.deviation, deviation, rtol=1e-4)


def test_a_resumed_group_equals_one_without_a_break() -> None:
    """Bit for bit, over all of its learners."""
    straight = pair()
    round_of(straight, 1)
    checkpoint = saved(straight.state_dict())
    wanted = round_of(straight, 2)
    resumed = pair()
    resumed.load_state_dict(checkpoint)
    found = round_of(resumed, 2)
    assert all(
        torch.equal(torch.nan_to_num(value), torch.nan_to_num(found[name]))
        for name, value in wanted.items()
    )


def test_the_exported_network_answers_as_the_policy_without_noise() -> None:
    """numpy and torch agree in every run, masked actions included."""
    mask = torch.ones(RUNS, ACTIONS, dtype=torch.bool)
    mask[1, 2] = False
    learner = Trpo(Shape(observations=OBSERVATIONS, mask=mask, seeds=[1, 2, 3]))
    round_of(learner, 1)
    seen = random_batch(RUNS, 5).observations[0]
    actions = learner.act(seen, torch.zeros(*seen.shape[:2], ACTIONS))
    for run in range(RUNS):
        found = learner.policy_of(run).act(seen[run].numpy())
        assert np.allclose(found, actions[run].numpy(), atol=1e-6)
    assert not learner.policy_of(1).act(seen[1].numpy())[:, 2].any()


def test_a_policy_without_the_last_tanh_cannot_be_exported() -> None:
    """The exported network ends in tanh, as the contract demands."""
    learner = Trpo(shape(1), TrpoSettings(policy=PolicySettings(bounded=False)))
    with pytest.raises(ConfigurationError, match="bounded"):
        learner.policy_of(0)


def test_as_many_seeds_as_runs_are_needed() -> None:
    """The message says how many were found."""
    with pytest.raises(ConfigurationError, match=r"3 runs need as many seeds \(found 2\)"):
        Shape(observations=5, mask=shape(3).mask, seeds=[1, 2])


def test_an_observation_that_never_changed_says_nothing_on_board() -> None:
    """Exported weights of a constant column are 0; where it has its old value nothing changes."""
    learner = Trpo(shape(RUNS))
    for number in (1, 2):
        batch = random_batch(RUNS, number)
        batch.observations[..., 0] = 0.4
        batch.last_observations[..., 0] = 0.4
        learner.update(batch)
    seen = random_batch(RUNS, 5).observations[0]
    seen[..., 0] = 0.4
    actions = learner.act(seen, torch.zeros(*seen.shape[:2], ACTIONS))
    moved = seen.clone()
    moved[..., 0] = 0.9
    for run in range(RUNS):
        exported = learner.policy_of(run)
        found = exported.act(seen[run].numpy())
        assert np.allclose(found, actions[run].numpy(), atol=1e-5)
        assert np.array_equal(exported.act(moved[run].numpy()), found)
