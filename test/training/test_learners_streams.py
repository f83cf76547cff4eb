"""Random numbers of many runs."""

import pytest

torch = pytest.importorskip("torch")

from safe_locomotion.training.gait.learners.streams import Streams, philox  # noqa: E402

#: Philox 4x32-10 of Random123's file `kat_vectors`: counter, key, words.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_philox_gives_the_published_words(counter, key, words) -> None:  # type: ignore[no-untyped-def]
    """The generator is Philox 4x32-10."""
    found = philox([torch.tensor(c) for c in counter], [torch.tensor(k) for k in key])
    assert [int(word) for word in found] == list(words)


def test_a_run_draws_the_same_alone_and_beside_others() -> None:
    """The numbers of a run depend on its seed only."""
    beside = Streams([7, 11, 7 << 40])
    alone = Streams([11])
    for count in (5, 8, 1):
        assert torch.equal(beside.normal(count, 3)[1:2], alone.normal(count, 3))
        assert torch.equal(beside.permutations(2, count), alone.permutations(2, count))


def test_each_epoch_visits_every_sample_once_in_its_own_order() -> None:
    """Rows are different permutations."""
    orders = Streams([7]).permutations(3, 50)
    assert torch.equal(orders.sort(dim=1).values, torch.arange(50).expand(3, -1))
    assert len({tuple(order.tolist()) for order in orders}) == 3


def test_seeds_draw_different_numbers() -> None:
    """No two of these runs share numbers, also if their seeds differ in high bits only."""
    drawn = Streams([7, 11, 7 + (1 << 32)]).normal(1000)
    correlation = torch.corrcoef(drawn) - torch.eye(3)
    assert correlation.abs().max() < 0.1


def test_normal_numbers_have_the_moments_of_the_normal_distribution() -> None:
    """Mean 0, variance 1, fourth moment 3, within four standard errors of 400,000 draws."""
    x = Streams([3]).normal(400_000).double()
    error = 400_000**-0.5
    assert abs(x.mean()) < 4.0 * error
    assert abs(x.square().mean() - 1.0) < 4.0 * 2.0**0.5 * error
    assert abs(x.pow(4).mean() - 3.0) < 4.0 * 96.0**0.5 * error


def test_indices_stay_below_their_bound_and_reach_it() -> None:
    """Indices are uniform in [0, below)."""
    found = Streams([3]).indices(10_000, 7)
    assert torch.bincount(found, minlength=7).shape == (7,)
    assert torch.bincount(found).min() > 1200


def test_a_stream_goes_on_where_its_state_was_taken() -> None:
    """The state is enough to draw the same numbers again."""
    streams = Streams([3, 4])
    streams.normal(13)
    state = streams.state_dict()
    state = {"seeds": state["seeds"].clone(), "drawn": state["drawn"]}
    wanted = streams.normal(9)
    again = Streams([0, 0])
    again.load_state_dict(state)
    assert torch.equal(again.normal(9), wanted)
