"""ALARM's world: what a learner relies on."""

import pytest

pytest.importorskip("mujoco_warp")
torch = pytest.importorskip("torch")

from safe_locomotion.training.joint.alarm.world.options import AlarmOptions  # noqa: E402
from safe_locomotion.training.joint.alarm.world.world import AlarmWorld  # noqa: E402

ROBOTS = 3
OPTIONS = AlarmOptions(rows=("up_stairs", "obstacles"), levels=2)


@pytest.fixture(scope="module")
def world() -> AlarmWorld:
    """A small world after one step."""
    world = AlarmWorld(ROBOTS, "a1", OPTIONS, "cpu", seed=3)
    world.step(torch.zeros(ROBOTS, 12))
    return world


def test_tensors_stay_in_their_place(world: AlarmWorld) -> None:
    """A step writes into the tensors that a learner or a captured graph holds."""
    names = (
        "observation",
        "explicit",
        "privileged",
        "reward",
        "costs",
        "ended",
        "timed_out",
        "terminal_observation",
        "terminal_privileged",
        "level",
        "reached_highest",
        "terrain_kind",
        "command",
    )
    before = {name: getattr(world, name).data_ptr() for name in names}
    world.step(torch.zeros(ROBOTS, 12))
    assert before == {name: getattr(world, name).data_ptr() for name in names}


def test_the_privileged_state_holds_what_is_observed(world: AlarmWorld) -> None:
    """It begins with the observation, of which noise is the only error, and the explicit state."""
    assert world.observation.shape == (ROBOTS, 45)
    assert world.privileged.shape == (ROBOTS, 45 + 11 + 187 + 21)
    error = world.observation - world.privileged[:, :45]
    assert 0.0 < error.abs().max() < 2.0
    assert not error[:, 6:9].any()
    assert torch.equal(world.privileged[:, 45:56], world.explicit)


def test_a_resumed_world_goes_on_bit_for_bit(world: AlarmWorld) -> None:
    """Observations, rewards and levels are those of a world that was never interrupted."""
    state = {
        group: {name: tensor.clone() for name, tensor in tensors.items()}
        for group, tensors in world.state_dict().items()
    }
    actions = torch.randn(4, ROBOTS, 12, generator=torch.Generator().manual_seed(1))
    for action in actions:
        world.step(action)
    other = AlarmWorld(ROBOTS, "a1", OPTIONS, "cpu", seed=3)
    other.load_state_dict(state)
    for action in actions:
        other.step(action)
    for name in ("observation", "privileged", "reward", "costs", "level"):
        assert torch.equal(getattr(other, name), getattr(world, name)), name
