"""A quick form of the campaign: one stack, two attacks, and a judge that does not always agree."""

from contextlib import contextmanager
from time import monotonic

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("unitree_sdk2py")

from places import ROOT

from safe_locomotion.errors import ConfigurationError


@pytest.fixture
def tools(monkeypatch):
    """The parts of the campaign."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    import campaign
    import campaign_list
    import campaign_world

    return campaign, campaign_list, campaign_world


def test_a_stack_is_attacked_judged_and_ended(tools, tmp_path):
    """The robot walks, a foreign command and a NaN damp it in time, and no process is left."""
    campaign, attacks, worlds = tools
    chosen = {a.name: a for a in attacks.attacks()}
    row = campaign.Row()
    with worlds.World("composed", tmp_path, 1, ()) as world:
        world.walk()
        for name in ("one foreign command", "NaN in a state"):
            row.add(chosen[name], *chosen[name].do(world, world.rng), world)
        assert row.count == 2 and not row.failures
        assert not world.ended() and set(world.pids().values()) <= set(worlds.orphans())
        row.add(chosen["one foreign command"], 40, "", world)
        row.add(chosen["starvation"], 40, "a remark", world)
        row.add(chosen["NaN in a state"], None, "", world)
    assert [failure.partition(":")[0] for failure in row.failures] == ["3", "4", "4", "5"]
    assert worlds.wait_for_none(30.0) == []


def test_starts_that_fail_end_the_campaign(tools, monkeypatch):
    """Without a free domain no stack starts; after a few tries the campaign ends and says so."""
    campaign, _, worlds = tools

    @contextmanager
    def none_is_free():
        raise ConfigurationError("all DDS domains are in use")
        yield

    monkeypatch.setattr(worlds, "claim_domain", none_is_free)
    made = campaign.Campaign(1, ["kill composed"])
    made.attack_until(monotonic() + 60.0)
    row = made.row("start of a stack")
    assert row.count == made.worlds == campaign.MOST_FAILED_STARTS
    assert len(row.failures) == campaign.MOST_FAILED_STARTS + 1
    assert row.failures[0].endswith("all DDS domains are in use")
    assert row.failures[-1].endswith("ended after 3 failed starts in a row")


def test_every_attack_has_a_row_of_its_own(tools):
    """Names differ, each graph has attacks, and what ends a stack says whom it kills."""
    _, attacks, _ = tools
    all_of_them = attacks.attacks()
    assert len({a.name for a in all_of_them}) == len(all_of_them) > 25
    for graph in ("composed", "nodes"):
        assert sum(graph in a.graphs for a in all_of_them) > 15
    assert all(a.name.startswith("kill ") for a in all_of_them if a.ends)


def test_growth_is_the_slope_after_the_start(tools):
    """Numbers that grow by two an hour, after a start that does not count."""
    import campaign_soak

    seconds = [36.0 * k for k in range(200)]
    samples = [
        (50.0 if k < campaign_soak.WARM_SAMPLES else 100.0 + 0.02 * k, 7, 9 - 0.01 * k)
        for k in range(200)
    ]
    assert campaign_soak.slope(samples, seconds) == pytest.approx((2.0, 0.0, -1.0), abs=1e-9)
