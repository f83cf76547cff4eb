"""ALARM's world: what a learner relies on."""

from dataclasses import replace

import pytest

pytest.importorskip("mujoco_warp")
pytest.importorskip("torch")

import mujoco
import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.sim.terrain import TerrainOptions, build_terrain
from safe_locomotion.sim.tiles import KINDS
from safe_locomotion.training.joint.alarm.world.differences import WIDTHS
from safe_locomotion.training.joint.alarm.world.options import AlarmOptions
from safe_locomotion.training.joint.alarm.world.senses import FORWARD, LEFT
from safe_locomotion.training.joint.alarm.world.world import AlarmWorld
from safe_locomotion.types import LEGS

ROBOTS = 4
OPTIONS = AlarmOptions(rows=("up_stairs", "obstacles"), levels=2, staggered=False)
CENTRE = 4.0  # m, of the first tile


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


def fresh(**changes: object) -> AlarmWorld:
    """Robots without differences, noise and staggered episodes."""
    options = replace(OPTIONS, noisy=False, randomised=False, **changes)
    return AlarmWorld(ROBOTS, "a1", options, "cpu", seed=5)


def rest(world: AlarmWorld) -> None:
    """One step with the standing pose as target."""
    world.step(torch.zeros(ROBOTS, 12))


def test_episodes_end_and_begin_anew() -> None:
    """A fall is terminal; a crossing and the end of time are not. Each robot then stands again."""
    world = fresh(episode=6)
    rest(world)
    qpos = world.physics.qpos
    qpos[0, 3:7] = torch.tensor([0.5, 0.866, 0.0, 0.0])  # rolled by 120 degrees
    qpos[1, 0] = CENTRE + 4.1
    qpos[1, 2] = 0.5
    rest(world)
    assert world.ended.tolist() == [True, True, False, False]
    assert world.timed_out.tolist() == [False, True, False, False]
    assert world.terminal_privileged[0, 5] > 0.0  # gravity points up in a base that lies
    assert world.privileged[0, 5] < -0.9
    assert torch.equal(world.terminal_privileged[2:], world.privileged[2:])
    start = world.physics.qpos[:2, :2] - torch.tensor([[CENTRE, CENTRE], [CENTRE, 12.0]])
    assert start.abs().max() < 0.31
    for _ in range(4):
        rest(world)
    assert world.ended.tolist() == [False, False, True, True]
    assert world.timed_out.tolist() == [False, False, True, True]
    counted = {name: float(world.progress[name]) for name in ("falls", "crossings", "time_outs")}
    assert counted == {"falls": 1.0, "crossings": 1.0, "time_outs": 2.0}


def test_a_robot_without_a_state_harms_no_other() -> None:
    """NaN in one robot ends its episode; the others move as if nothing had happened."""
    one = fresh()
    other = fresh()
    for world in (one, other):
        rest(world)
    one.physics.qpos[1, 9] = float("nan")
    one.physics.qvel[3, 7] = float("inf")
    for world in (one, other):
        rest(world)
    assert one.ended.tolist() == [False, True, False, True]
    assert not one.timed_out.any()
    assert one.reward[1] == one.reward[3] == 0.0
    for name in ("observation", "privileged", "terminal_observation", "terminal_privileged"):
        assert torch.isfinite(getattr(one, name)).all()
    for world in (one, other):
        rest(world)
    for name in ("observation", "privileged", "reward", "costs"):
        assert torch.equal(getattr(one, name)[0::2], getattr(other, name)[0::2])
    assert torch.isfinite(one.physics.qpos).all()


def test_a_robot_that_crosses_well_goes_up() -> None:
    """Robots that crossed as told go up; after the highest level the flag stays."""
    world = fresh()
    rest(world)
    world.command[:] = torch.tensor([0.5, 0.0, 0.0])
    world.commands.holds.fill_(True)
    world.steps.fill_(500)
    world.tracked.fill_(450.0)
    world.physics.qpos[0, 0] = CENTRE + 4.1
    world.physics.qpos[0, 2] = 0.5
    world.physics.qpos[2, 2] = -3.0
    rest(world)
    assert world.level.tolist() == [1, 0, 0, 0]
    assert world.reached_highest.tolist() == [True, False, False, False]
    assert float(world.progress["moved_up"]) == 1.0
    world.physics.qpos[0, 2] -= 3.0
    rest(world)
    assert world.level[0] == 0 and bool(world.reached_highest[0])


def test_sampled_heights_are_those_that_rays_meet() -> None:
    """Under a robot on stairs with noise they agree with ray casting within 1e-4 m."""
    world = fresh(rows=("down_stairs",), levels=1, terrain_seed=2)
    rest(world)
    spec = mujoco.MjSpec()
    terrain = build_terrain(spec, TerrainOptions(name="down_stairs:0", seed=2))
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    x, y, _, w, *_, k = world.physics.qpos[0, :7].double().tolist()
    yaw = 2.0 * np.arctan2(k, w)
    heights = []
    for a in FORWARD:
        for b in LEFT:
            at = np.array([x - CENTRE + np.cos(yaw) * a - np.sin(yaw) * b, 0.0, 9.0])
            at[1] = y - CENTRE + np.sin(yaw) * a + np.cos(yaw) * b
            hit = mujoco.mj_ray(
                model, data, at, np.array([0.0, 0.0, -1.0]), None, 1, -1, np.zeros(1, np.int32)
            )
            heights.append(9.0 - hit)
    middle = float(terrain.height(0.0, 0.0))
    assert middle == 0.0
    found = world.physics.qpos[0, 2].item() + world.truth.ground[0].double().numpy()
    wanted = np.array(heights) + 0.45
    # At a riser of 5 cm a rounding error of x in single precision counts as much in height.
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_robots_start_with_their_feet_above_the_ground() -> None:
    """The lowest foot hangs 1 cm above the ground, and no start ends at once."""
    world = AlarmWorld(
        40, "go2", AlarmOptions(rows=KINDS, levels=3, start_levels=(2,), staggered=False), "cpu", 1
    )
    clearance = world.explicit[:, 3:7]
    np.testing.assert_allclose(clearance.min(dim=1).values, 0.01, atol=1e-4)
    assert world.terrain_kind.tolist() == [0, 1, 2, 3, 4] * 8
    assert world.reached_highest.all()
    assert float(world.truth.trunk.min()) > 0.0


def test_differences_are_drawn_within_their_ranges_and_change_every_interval() -> None:
    """Values lie in table II; a robot whose time is over gets new ones and a push."""
    world = AlarmWorld(ROBOTS, "go1", OPTIONS, "cpu", seed=9)
    before = world.differences.values.clone()
    ranges = OPTIONS.randomisation
    parts = before.split(list(WIDTHS.values()), dim=1)
    for name, part in zip(WIDTHS, parts, strict=True):
        low, high = getattr(ranges, name)
        assert (part >= low).all() and (part <= high).all()
    world.random.draw()
    world.differences.age.copy_(torch.tensor([998, 999, 10, 999]))
    world.differences.step(world.physics, world.random)
    changed = (world.differences.values != before).any(dim=1)
    assert changed.tolist() == [False, True, False, True]
    pushed = world.physics.qvel[:, :2].abs().sum(dim=1) > 0.0
    assert pushed.tolist() == [False, True, False, True]


@pytest.mark.parametrize(("n", "robot", "error"), [(0, "a1", ConfigurationError)])
def test_an_impossible_world_is_refused(n: int, robot: str, error: type[Exception]) -> None:
    """No robots, and unknown robots or terrains, are refused."""
    with pytest.raises(error):
        AlarmWorld(n, robot, OPTIONS, "cpu")
    with pytest.raises(UnknownNameError):
        AlarmWorld(1, "b2", OPTIONS, "cpu")
    with pytest.raises(UnknownNameError):
        AlarmWorld(1, "a1", replace(OPTIONS, rows=("moon",)), "cpu")


class Recorded(TorchDispatchMode):
    """Names of all operations of Torch."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        """Note one operation and run it."""
        self.names.add(func.__name__.split(".")[0])
        return func(*args, **(kwargs or {}))


def test_a_step_neither_waits_for_the_device_nor_sends_to_it(world: AlarmWorld) -> None:
    """No operation reads a number back, has a size that depends on values, or copies from Python.

    A CUDA graph cannot capture such operations.
    """
    action = torch.zeros(ROBOTS, 12)
    with Recorded() as recorded:
        world.step(action)
    forbidden = {"_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "index", "unique"}
    assert len(recorded.names) > 20
    assert not recorded.names & forbidden


def test_truth_is_that_of_mujoco() -> None:
    """Feet, base velocity and clearances of tilted, moving robots are those of MuJoCo."""
    world = fresh(rows=("up_slopes",), levels=1)
    physics = world.physics
    rng = np.random.default_rng(3)
    physics.qpos[:, 3:7] = torch.tensor([0.9, 0.2, -0.1, 0.37]) / 0.9985
    physics.qpos[:, 7:] += torch.tensor(rng.normal(0.0, 0.2, (ROBOTS, 12))).float()
    physics.qvel.copy_(torch.tensor(rng.normal(size=(ROBOTS, 18))))
    world.senses(physics.data.qpos, physics.data.qvel)
    model = physics.plant.model
    data = mujoco.MjData(model)
    for k in range(ROBOTS):
        data.qpos[:] = physics.qpos[k].double()
        data.qvel[:] = physics.qvel[k].double()
        mujoco.mj_forward(model, data)
        turn = data.body("trunk").xmat.reshape(3, 3)
        feet = np.array([data.geom(f"{leg}_foot").xpos for leg in LEGS])
        forward = np.array([turn[0, 0], turn[1, 0]]) / np.hypot(turn[0, 0], turn[1, 0])
        flat = np.array([[*forward, 0.0], [-forward[1], forward[0], 0.0], [0.0, 0.0, 1.0]])
        np.testing.assert_allclose(world.truth.feet[k], (feet - data.qpos[:3]) @ flat.T, atol=2e-6)
        np.testing.assert_allclose(world.truth.velocity[k], turn.T @ data.qvel[:3], atol=2e-6)
        sole = feet[:, 2] - world.robot.foot_radius
        np.testing.assert_allclose(world.truth.clearance[k], sole, atol=2e-6)
        np.testing.assert_allclose(world.truth.up[k], turn[2], atol=2e-6)
