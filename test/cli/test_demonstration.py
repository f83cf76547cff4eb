"""The demonstration of `safe-locomotion sim`: times, policies, and the keys after it."""

import pytest

pytest.importorskip("rclpy")

from safe_locomotion.cli.drive.keyboard import KeyDrive
from safe_locomotion.cli.sim.demonstration import demonstration
from safe_locomotion.policy.file import installed_policies
from safe_locomotion.robot.models import robot_names


def test_each_shipped_policy_is_shown_once_then_the_first_again():
    """The tour ends with the first policy within 40 s, and swaps only while walking.

    The policy that balances on two legs is left out.
    """
    shipped = installed_policies("a1", walking=True)
    assert {*installed_policies("a1")} - {*shipped} == {"a1_two_leg"}
    gaits = ("a1_catwalk", "a1_efficient", "a1_pacing", "a1_trot")
    assert shipped == (*gaits, "a1_alarm", "a1_velocity_lstm")
    plan = demonstration(0.4, 0.0, 0.0, "nominal", shipped)
    assert [name for _, name in plan.swaps] == [*shipped, "nominal"]
    assert plan.policies == ("nominal", *shipped) and plan.end <= 40.0
    for time, _ in plan.swaps:
        step = [step for step in plan.steps if step.time <= time][-1]
        assert step.request == "walk" and step.command.vx == 0.4


def test_who_starts_with_a_shipped_policy_sees_the_others_and_comes_back_to_it():
    """With --policy a1_trot the tour shows the other shipped policies; nominal can be chosen."""
    plan = demonstration(0.4, 0.0, 0.0, "a1_trot", ("a1_trot", "a1_velocity_lstm"))
    assert [name for _, name in plan.swaps] == ["a1_velocity_lstm", "a1_trot"]
    assert plan.policies == ("a1_trot", "nominal", "a1_velocity_lstm")


@pytest.mark.parametrize("robot", sorted({*robot_names(), "go1"} - {"a1"}))
def test_a_robot_without_policies_gets_the_shorter_demonstration(robot):
    """Without shipped policies there are no swaps, no choice and no key for it."""
    plan = demonstration(0.4, 0.0, 0.0, "nominal", installed_policies(robot))
    keys = KeyDrive("nominal", plan.policies)
    assert plan.swaps == () and plan.policies == ("nominal",)
    assert not keys.press("p") and "policy" not in keys.help


def test_many_policies_share_the_time():
    """A tour of ten policies ends within 40 s, in order."""
    plan = demonstration(0.4, 0.0, 0.0, "nominal", [f"p{i}" for i in range(10)])
    assert len(plan.swaps) == 11 and plan.end <= 40.0
    assert [step.time for step in plan.steps] == sorted(step.time for step in plan.steps)


def test_p_goes_through_the_policies_and_leaves_the_walk_alone():
    """The key p goes through the policies in a circle and keeps velocity and goal."""
    keys = KeyDrive("nominal", ("nominal", "one", "two"))
    assert keys.press("w") and "p next policy" in keys.help
    seen = []
    for _ in range(4):
        assert keys.press("p")
        seen.append(keys.policy)
    assert seen == ["one", "two", "nominal", "one"]
    assert keys.goal == "walk" and keys.velocity.vx == 0.1
