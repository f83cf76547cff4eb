"""Updates of ALARM: who learns from what, in a small world, and where NP3O converges."""

from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch
from alarm_worlds import HIGHEST, SMALL, WANTED, PointWorld
from torch import Tensor, nn

from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.training.joint.alarm.learning.adam import Adam
from safe_locomotion.training.joint.alarm.learning.agent import Agent
from safe_locomotion.training.joint.alarm.learning.normaliser import EPSILON, EmpiricalNormaliser
from safe_locomotion.training.joint.alarm.learning.variants import (
    VARIANTS,
    Variant,
    variant_named,
)

torch.set_num_threads(1)
ROBOTS = 16


def collected(variant: str, flagged: list[bool] | None = None, beta: float = 0.0) -> Agent:
    """An agent that has walked one horizon and is about to make an update."""
    agent = Agent(PointWorld(ROBOTS), variant_named(variant), SMALL, seed=1)
    agent.collector.rows.beta.fill_(beta)
    if flagged is not None:
        agent.world.reached_highest.copy_(torch.tensor(flagged))
    agent.collect()
    agent.updates.begin()
    agent.updates.chosen.copy_(torch.arange(ROBOTS)[: len(agent.updates.chosen)])
    return agent


def weights(network: nn.Module | None) -> Tensor:
    """All parameters in one vector."""
    assert network is not None
    return torch.cat([value.detach().flatten() for value in network.parameters()])


def learned(agent: Agent) -> dict[str, float]:
    """Largest change of each network in one step."""
    nets = agent.networks
    parts = {
        "teacher": nets.teacher,
        "student": nets.student,
        "decoder": nets.decoder,
        "actor": nets.actor,
        "critic": nets.critic,
    }
    before = {name: weights(part) for name, part in parts.items() if part is not None}
    agent.updates.learn(ROBOTS)
    return {name: float((weights(parts[name]) - kept).abs().max()) for name, kept in before.items()}


def test_everything_learns_from_one_step() -> None:
    """Without flags all networks change."""
    assert min(learned(collected("alarm")).values()) > 0.0


def test_the_teacher_learns_nothing_from_flagged_robots() -> None:
    """Its gradient is exactly 0 when all robots of the minibatch are flagged; others learn."""
    half = [k < ROBOTS // 2 for k in range(ROBOTS)]
    found = learned(collected("alarm", half))
    assert found.pop("teacher") == 0.0
    assert min(found.values()) > 0.0


def test_the_teacher_is_frozen_when_most_are_flagged() -> None:
    """Also in a minibatch of robots that are not flagged, and whatever Adam remembers."""
    agent = collected("alarm")
    agent.updates.learn(ROBOTS)
    agent.collector.rows.flagged.copy_(torch.arange(ROBOTS) >= ROBOTS // 2 - 1)
    found = learned(agent)
    assert found.pop("teacher") == 0.0
    assert min(found.values()) > 0.0


def test_no_gradient_of_reinforcement_learning_reaches_the_student() -> None:
    """With beta 1 the actor sees the student alone, and still only the regression teaches it."""
    one = collected("alarm", beta=1.0)
    other = collected("alarm", beta=1.0)
    other.collector.normal.mul_(-3.0)
    other.collector.returns.add_(5.0)
    learned(one)
    learned(other)
    assert torch.equal(weights(one.networks.student), weights(other.networks.student))
    assert torch.equal(weights(one.networks.decoder), weights(other.networks.decoder))
    assert not torch.equal(weights(one.networks.actor), weights(other.networks.actor))


def test_the_first_step_of_an_update_has_ratio_1() -> None:
    """Windows repeat the collection: the KL divergence is 0, and the objective the mean of A~."""
    agent = collected("alarm")
    agent.updates.learn(ROBOTS)
    objective = agent.updates.sums[0].item()
    kl = agent.updates.sums[6].item()
    chosen = agent.updates.chosen
    assert kl == pytest.approx(0.0, abs=1e-6)
    expected = agent.collector.normal[:, chosen, 0].mean().item()
    assert objective == pytest.approx(expected, abs=1e-5)


def test_gradients_are_clipped_apart() -> None:
    """Values that are far off leave the actor's step as it is."""
    one = collected("alarm")
    other = collected("alarm")
    other.collector.returns.add_(1e4)
    learned(one)
    learned(other)
    assert torch.equal(weights(one.networks.actor), weights(other.networks.actor))
    assert not torch.equal(weights(one.networks.critic), weights(other.networks.critic))


def test_the_first_cost_values_are_small() -> None:
    """Softplus of 0 would be 0.69 each."""
    values = collected("alarm").collector.rows.values
    assert values[..., 1:].min() > 0.0 and values[..., 1:].max() < 0.1


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_makes_two_updates(variant: str) -> None:
    """All figures are finite, and both stages of `two_stage` learn."""
    agent = Agent(PointWorld(ROBOTS), variant_named(variant), SMALL, seed=1)
    for stage in range(2):
        if stage and agent.variant.beta == "stages":
            actor = weights(agent.networks.actor)
            agent.imitate()
        student = weights(agent.networks.student)
        agent.collect()
        figures = agent.update()
        assert all(torch.tensor(value).isfinite() for value in figures.values())
        assert not torch.equal(student, weights(agent.networks.student))
    if agent.variant.beta == "stages":
        assert torch.equal(actor, weights(agent.networks.actor))
    assert (agent.collector.rows.beta == 1.0).all() == (agent.variant.beta in ("student", "stages"))


def test_beta_follows_the_rule_of_its_variant() -> None:
    """By the clock every flagged robot's rises; by the hybrid advantage when that is positive."""
    flags = [k % 2 == 0 for k in range(ROBOTS)]
    for variant in ("alarm", "beta_by_clock"):
        agent = collected(variant, flags)
        rises = variant == "beta_by_clock" or agent.collector.hybrid[0].item() > 0.0
        agent.update()
        beta = agent.collector.rows.beta
        assert beta[::2].tolist() == pytest.approx([SMALL.delta * rises] * (ROBOTS // 2))
        assert not beta[1::2].any()


def test_robots_arrive_at_the_highest_level_on_their_own() -> None:
    """`arrived` needs beta 1; robots that reached the level under the teacher do not count."""
    agent = Agent(PointWorld(ROBOTS), variant_named("concurrent"), SMALL, seed=1)
    guided = Agent(PointWorld(ROBOTS), variant_named("alarm"), SMALL, seed=1)
    for _ in range(2 * HIGHEST):
        agent.collect()
        guided.collect()
    assert agent.collector.rows.arrived.any()
    assert guided.world.reached_highest.any() and not guided.collector.rows.arrived.any()


@pytest.mark.parametrize("constrained", [True, False])
def test_np3o_and_ppo_reach_their_known_optimum(constrained: bool) -> None:
    """The mean force goes to the limit 1 of the mean cost, and to `WANTED` without constraints.

    The limit of a return is that of the mean cost over 1 - gamma.
    """
    gamma = 0.5
    variant = Variant(
        name="small",
        meaning="values and actor alone",
        implicit="none",
        beta="student",
        decoder=False,
        memory=False,
        constrained=constrained,
    )
    settings = replace(
        SMALL,
        horizon=4,
        epochs=4,
        minibatches=1,
        gamma=gamma,
        lam=0.5,
        entropy=0.0,
        deviation=0.3,
        kl=0.05,
        rates=(1e-3, 1e-2),
        limits=(1.0 / (1.0 - gamma), 0.0, 0.0, 0.0, 0.0),
    )
    agent = Agent(PointWorld(128), variant, settings, seed=1)
    forces = []
    for _ in range(36):
        agent.collect()
        agent.update()
        forces.append(agent.collector.rows.means[..., 0].mean().item())
    expected = 1.0 if constrained else WANTED
    assert sum(forces[-8:]) / 8 == pytest.approx(expected, abs=0.15)


def test_adam_by_hand() -> None:
    """Gradients 0.5 and -0.25: the first step is the rate, the second follows from m and v.

    A gradient beyond the largest norm counts as one of that norm, so 8 counts as 0.5.
    """
    for size in (1.0, 16.0):
        x = nn.Parameter(torch.tensor([1.0]))
        adam = Adam({"part": [x], "none": []}, {"part": torch.tensor(0.1)}, 0.5)
        adam.step(0.5 * size * x.sum())
        assert x.item() == pytest.approx(0.9, abs=1e-6)
    adam.step(-0.25 * x.sum())
    m = (0.9 * 0.1 * 0.5 - 0.1 * 0.25) / (1.0 - 0.9**2)
    v = (0.999 * 0.001 * 0.5**2 + 0.001 * 0.25**2) / (1.0 - 0.999**2)
    assert x.item() == pytest.approx(0.9 - 0.1 * m / v**0.5, abs=1e-5)


def test_the_normaliser_merges_as_if_all_rows_came_at_once() -> None:
    """Mean and deviation after three merges are those of all rows; a constant stays finite."""
    draw = torch.Generator().manual_seed(0)
    parts = [torch.randn(5 + k, 3, generator=draw) * 4.0 + 2.0 for k in range(3)]
    for part in parts:
        part[:, 2] = 7.0
    normaliser = EmpiricalNormaliser(3)
    for part in parts:
        normaliser.seen(part)
        normaliser.merge()
    rows = torch.cat(parts)
    assert torch.allclose(normaliser.mean, rows.mean(dim=0), atol=1e-5)
    expected = rows.std(dim=0, correction=0)
    assert torch.allclose(normaliser.deviation, expected, atol=1e-5)
    assert torch.allclose(normaliser(rows)[:, 2], torch.zeros(len(rows)), atol=1e-3)
    scale, offset = normaliser.scale_and_offset()
    assert torch.allclose(normaliser(rows), (rows - offset) * scale)
    assert torch.allclose(scale, 1.0 / (normaliser.deviation + EPSILON))


def test_what_cannot_be_learned_is_refused() -> None:
    """One line each, which says what is wrong."""
    with pytest.raises(ConfigurationError, match="multiple of 2"):
        Agent(PointWorld(3), variant_named("alarm"), SMALL, seed=1)
    with pytest.raises(UnknownNameError, match="choose one of: alarm, concurrent"):
        variant_named("alam")
    for name, value in (("gamma", 1.0), ("lam", float("nan")), ("rate", -1.0), ("horizon", 0)):
        with pytest.raises(ConfigurationError, match=name):
            replace(SMALL, **{name: value})
