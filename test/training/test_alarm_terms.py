"""Rewards, costs, curriculum, commands and random numbers of ALARM's world, by hand."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mujoco_warp")
pytest.importorskip("torch")

import torch

from safe_locomotion.robot.models import load_robot
from safe_locomotion.training.gait.learners.streams import WORD, philox
from safe_locomotion.training.joint.alarm.world.commands import DRAWN, CommandState
from safe_locomotion.training.joint.alarm.world.costs import Dangers, costs, joint_limits
from safe_locomotion.training.joint.alarm.world.curriculum import Episode, moves, next_level
from safe_locomotion.training.joint.alarm.world.options import Commands, Slip, Weights
from safe_locomotion.training.joint.alarm.world.random_numbers import RandomNumbers
from safe_locomotion.training.joint.alarm.world.rewards import TERMS, Motion, Rewards
from safe_locomotion.training.joint.alarm.world.slip import Stride, slip_feet

A1 = load_robot("a1")
LOWEST = 0.18  # m
STEEPEST = 0.6428
STAND = torch.tensor(A1.q_stand).float()
HIPS = torch.tensor([[0.2, -0.1, 0.0], [0.2, 0.1, 0.0], [-0.2, -0.1, 0.0], [-0.2, 0.1, 0.0]])


def safe(n: int) -> Dangers:
    """Robots that stand."""
    return Dangers(
        q=STAND.repeat(n, 1),
        dq=torch.zeros(n, 12),
        demand=torch.zeros(n, 12),
        pressed=torch.zeros(n),
        trunk=torch.full((n,), 0.2),
        height=torch.full((n,), 0.27),
        upright=torch.ones(n),
    )


def cost_of(dangers: Dangers) -> list[list[float]]:
    """Costs of robots of the A1."""
    return costs(dangers, joint_limits(A1, "cpu"), LOWEST, STEEPEST).tolist()


def test_standing_costs_nothing() -> None:
    """All five costs of a standing robot are 0."""
    assert cost_of(safe(2)) == [[0.0] * 5] * 2


@pytest.mark.parametrize(
    ("field", "which", "wrong"),
    [("q", 0, -3.0), ("q", 0, 5.0), ("dq", 1, -21.1), ("demand", 2, 33.6), ("dq", 1, float("nan"))],
)
def test_each_joint_beyond_a_limit_costs_a_twelfth(field: str, which: int, wrong: float) -> None:
    """With three joints of twelve beyond one limit the cost is 3/12, and the others stay 0."""
    dangers = safe(1)
    getattr(dangers, field)[0, 3:6] = wrong
    wanted = [0.0] * 5
    wanted[which] = 0.25
    assert cost_of(dangers)[0] == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("field", "which", "good", "bad"),
    [
        ("pressed", 3, 0.9, 1.1),
        ("trunk", 3, 0.001, -0.001),
        ("height", 4, 0.181, 0.179),
        ("upright", 4, 0.65, 0.64),
        ("height", 4, 0.5, float("nan")),
    ],
)
def test_collision_and_body_are_indicators(field: str, which: int, good: float, bad: float) -> None:
    """On the wrong side of its limit a value costs 1, on the right side nothing."""
    dangers = safe(2)
    getattr(dangers, field)[:] = torch.tensor([good, bad])
    wanted = [0.0] * 5
    wanted[which] = 1.0
    assert cost_of(dangers) == [[0.0] * 5, wanted]


REST = 0.25  #: height of the base above the feet [m]


def at_rest(n: int) -> Motion:
    """Robots without motion, command and effort, whose feet are those of the SLIP model."""
    joints = torch.zeros(n, 12)
    return Motion(
        velocity=torch.zeros(n, 3),
        rates=torch.zeros(n, 3),
        command=torch.zeros(n, 3),
        feet=HIPS.repeat(n, 1, 1),
        slip_feet=HIPS.repeat(n, 1, 1),
        raised=torch.zeros(n),
        lean=torch.zeros(n),
        level=torch.zeros(n, dtype=torch.int64),
        dq=joints,
        acceleration=joints,
        torque=joints,
        action=joints,
        action_before=joints,
        action_long_before=joints,
    )


def terms_of(motion: Motion) -> dict[str, float]:
    """Weighted terms of the first robot."""
    _, terms = Rewards(Weights(), 0.01, "cpu")(motion)
    return dict(zip(TERMS, terms[0].tolist(), strict=True))


def row(*values: float, width: int = 12) -> torch.Tensor:
    """One robot's vector, filled up with zeros."""
    return torch.tensor([[*values, *[0.0] * (width - len(values))]])


def test_a_perfect_robot_earns_the_three_exponentials() -> None:
    """Per period 0.01 (2 + 1 + 0.2); nothing is penalised."""
    reward, _ = Rewards(Weights(), 0.01, "cpu")(at_rest(1))
    assert float(reward) == pytest.approx(0.032)


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"velocity": row(0.3, 0.4, width=3)}, "velocity", 0.02 * np.exp(-1.0)),
        ({"command": row(0.5, width=3)}, "velocity", 0.02 * np.exp(-1.0)),
        ({"rates": row(0.0, 0.0, 0.5, width=3)}, "yaw_rate", 0.01 * np.exp(-1.0)),
        ({"velocity": row(0.0, 0.0, 0.5, width=3)}, "vertical", -0.02 * 0.25),
        ({"rates": row(1.0, 2.0, width=3)}, "roll_pitch_rate", -0.0005 * 5.0),
        ({"dq": row(3.0, 4.0), "torque": row(5.0)}, "effort", -1e-6 * (25.0 + 50.0)),
        ({"acceleration": row(100.0)}, "acceleration", -2.5e-9 * 1e4),
        ({"action": row(1.0, 2.0)}, "action_rate", -1e-4 * 5.0),
        ({"action": row(1.0), "action_before": row(3.0)}, "action_jerk", -1e-4 * 25.0),
        ({"action_long_before": row(2.0)}, "action_jerk", -1e-4 * 4.0),
        ({"raised": torch.tensor([0.05])}, "raised", -0.04 * 0.05),
        ({"lean": torch.tensor([-0.2])}, "lean", -0.05 * 0.04),
    ],
)
def test_each_term_by_hand(changes: dict[str, torch.Tensor], name: str, value: float) -> None:
    """The term of table I with its weight and the period of 10 ms."""
    assert terms_of(at_rest(1)._replace(**changes))[name] == pytest.approx(value)


@pytest.mark.parametrize(
    ("level", "value"), [(0, 0.002 * np.exp(-4 * 0.5)), (4, 0.002 * np.exp(-0.4))]
)
def test_the_prior_of_the_feet_weakens_with_the_level(level: int, value: float) -> None:
    """Two feet are 0.3 m and 0.4 m away, so that the exponent is 4 * 0.5 / (1 + level)."""
    motion = at_rest(1)
    motion.feet[0, 0, 0] += 0.3
    motion.feet[0, 3, 2] += 0.4
    found = terms_of(motion._replace(level=torch.tensor([level])))["feet"]
    assert found == pytest.approx(value)


def test_the_reward_is_never_negative_or_nan() -> None:
    """Large penalties give 0, and so does a state that is not a number."""
    motion = at_rest(2)._replace(action=torch.full((2, 12), 6.0))
    motion.velocity[1] = float("nan")
    reward, terms = Rewards(Weights(), 0.01, "cpu")(motion)
    assert reward.tolist() == [0.0, 0.0]
    assert torch.isfinite(terms).all()


def stride(command: tuple[float, float, float], air: float, ground: float) -> Stride:
    """A robot that follows its command; all feet are as long in the air or on the ground."""
    return Stride(
        hips=HIPS[None].clone(),
        velocity=torch.tensor([command[:2]]),
        yaw_rate=torch.tensor([command[2]]),
        command=torch.tensor([command]),
        air=torch.full((1, 4), air),
        ground=torch.full((1, 4), ground),
        deviation=torch.tensor([0.1]),
        rest=REST,
    )


@pytest.mark.parametrize(
    ("air", "ground", "x", "z"),
    [
        (0.0, 0.0, 0.1, 0.0),  # touchdown, half a step of 0.8 m/s * 0.25 s before the hip
        (0.0, 0.125, 0.0, 0.0),  # mid-stance
        (0.0, 0.25, -0.1, 0.0),  # end of stance
        (0.0, 0.375, 0.0, 0.13),  # too long on the ground: half a swing
        (0.0, 2.0, 0.0, 0.13),
        (0.125, 0.0, 0.0, 0.13),  # mid-swing at 0.08 + 0.5 * 0.1 m
        (0.25, 0.0, 0.1, 0.0),  # end of swing
        (0.9, 0.0, 0.1, 0.0),
    ],
)
def test_feet_of_a_trot(air: float, ground: float, x: float, z: float) -> None:
    """At 0.8 m/s the feet of the SLIP model are at these places under their hips."""
    feet = slip_feet(stride((0.8, 0.0, 0.0), air, ground), Slip())
    wanted = HIPS[:, :2] + torch.tensor([x, 0.0])
    np.testing.assert_allclose(feet[0, :, :2], wanted, atol=1e-6)
    np.testing.assert_allclose(feet[0, :, 2], [z - REST] * 4, atol=1e-6)


def test_feet_of_a_robot_that_stands_or_turns() -> None:
    """Without a command the feet stay under the hips; at 1 rad/s they step around the middle."""
    feet = slip_feet(stride((0.0, 0.0, 0.0), 0.0, 2.0), Slip())
    np.testing.assert_allclose(feet[0, :, :2], HIPS[:, :2])
    np.testing.assert_allclose(feet[0, :, 2], -REST)
    feet = slip_feet(stride((0.0, 0.0, 1.0), 0.0, 0.0), Slip())
    step = 0.125 * torch.stack((-HIPS[:, 1], HIPS[:, 0]), dim=1)
    np.testing.assert_allclose(feet[0, :, :2], HIPS[:, :2] + step, atol=1e-6)


#: crossed, tracking, way [m], commanded [m], judged; up, down
EPISODES = [
    ((True, 0.86, 4.0, 6.0, True), (True, False)),
    ((True, 0.84, 4.0, 6.0, True), (False, False)),
    ((True, 0.50, 4.0, 12.0, True), (False, False)),
    ((True, 0.99, 4.0, 6.0, False), (False, False)),
    ((False, 0.99, 3.1, 6.0, True), (False, False)),
    ((False, 0.99, 2.9, 6.0, True), (False, True)),
    ((False, 0.10, 0.1, 6.0, True), (False, True)),
    ((False, 0.10, 0.1, 6.0, False), (False, False)),
    ((False, float("nan"), float("nan"), 6.0, True), (False, True)),
]


def test_table_of_the_curriculum() -> None:
    """Who goes up and who goes down."""
    columns = [torch.tensor(column) for column in zip(*(case for case, _ in EPISODES), strict=True)]
    up, down = moves(Episode(*columns))
    assert list(zip(up.tolist(), down.tolist(), strict=True)) == [case for _, case in EPISODES]


@pytest.mark.parametrize(
    ("level", "up", "down", "random", "wanted"),
    [
        (0, True, False, 0.5, 1),
        (8, True, False, 0.1, 9),
        (9, True, False, 0.001, 0),
        (9, True, False, 0.999, 9),
        (9, False, True, 0.5, 8),
        (0, False, True, 0.5, 0),
        (4, False, False, 0.5, 4),
    ],
)
def test_next_levels(level: int, up: bool, down: bool, random: float, wanted: int) -> None:
    """One up, one down, and anywhere after the highest."""
    found = next_level(
        torch.tensor([level]), torch.tensor([up]), torch.tensor([down]), 9, torch.tensor([random])
    )
    assert found.tolist() == [wanted]


def test_random_numbers_are_philox() -> None:
    """The uniform numbers are the words of Philox for step, robot, place and seed."""
    seed = (5 << 40) + 77
    random = RandomNumbers(3, {"a": 6}, {"b": 2}, seed, "cpu")
    for step in range(2):
        random.draw()
        counter = [torch.tensor(c) for c in (step, 0, 2, 1)]
        words = philox(counter, [torch.tensor(seed & WORD), torch.tensor(seed >> 32)])
        wanted = [((int(word) >> 9) + 0.5) * 2.0**-23 for word in words[:2]]
        np.testing.assert_allclose(random.uniform["a"][2, 4:], wanted, rtol=1e-6)


def test_random_numbers_have_their_distributions() -> None:
    """Uniform numbers fill (0, 1); normal ones have mean 0 and variance 1; no two names agree."""
    random = RandomNumbers(4000, {"a": 2}, {"b": 3}, 1, "cpu")
    random.draw()
    uniform = random.uniform["a"]
    assert 0.0 < uniform.min() < 0.01 and 0.99 < uniform.max() < 1.0
    assert abs(float(uniform.mean()) - 0.5) < 0.02
    normal = random.normal["b"]
    assert normal.mean(dim=0).abs().max() < 0.06
    assert (normal.std(dim=0) - 1.0).abs().max() < 0.05
    assert abs(float(torch.corrcoef(normal.T)[0, 1])) < 0.06


def commanded(commands: Commands) -> CommandState:
    """Commands of 400 robots."""
    random = RandomNumbers(400, DRAWN, {}, 2, "cpu")
    random.draw()
    state = CommandState(400, commands, "cpu")
    state.draw(torch.ones(400, dtype=torch.bool), random)
    return state


def test_most_commands_lead_forwards() -> None:
    """Their shares and ranges are those of the options."""
    state = commanded(Commands())
    vx, vy, wz = state.command.unbind(dim=1)
    assert 0.6 < float((vx >= 0.3).float().mean()) < 0.95
    assert vx.min() >= -0.7 and vx.max() <= 1.2 and vy.abs().max() <= 0.5
    standing = (state.command == 0.0).all(dim=1)
    assert 0 < int(standing.sum()) < 40 and not state.holds[standing].any()
    assert not wz[state.holds].any()


def test_a_heading_is_held() -> None:
    """The yaw rate turns the short way back to the heading, and is limited."""
    state = commanded(replace(Commands(), standing=0.0, turning=0.0))
    for heading, yaw, wanted in [(0.0, 0.3, -0.3), (3.0, -3.0, -0.2832), (0.0, 2.0, -1.0)]:
        state.heading.fill_(heading)
        angle = torch.full((400,), yaw)
        state.steer(torch.stack((torch.cos(angle), torch.sin(angle)), dim=1))
        np.testing.assert_allclose(state.command[:, 2], wanted, atol=1e-4)
