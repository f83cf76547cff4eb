"""The last hop of every robot against the shared adversary: no robot has tests of its own."""

from last_hop_safety import LastHopSafety

from safe_locomotion.robot.models import robot_names


class TestA1(LastHopSafety):
    ROBOT = "a1"


class TestGo1(LastHopSafety):
    ROBOT = "go1"


class TestGo2(LastHopSafety):
    ROBOT = "go2"


class TestLaikago(LastHopSafety):
    ROBOT = "laikago"


def test_no_robot_is_left_out():
    """Each robot of `models/robots` has its class."""
    assert sorted(one.ROBOT for one in LastHopSafety.__subclasses__()) == sorted(robot_names())
