"""The URDF that ROS gets: `base_link` above the trunk, and all else as in the file."""

from xml.etree import ElementTree

import pytest

from safe_locomotion.robot.description import robot_description, with_root
from safe_locomotion.robot.models import robot_file, robot_names


@pytest.mark.parametrize("robot", robot_names())
def test_the_root_is_base_link_and_has_no_inertia(robot: str) -> None:
    """KDL refuses a root with inertia, and REP-105 names the base `base_link`."""
    described = ElementTree.fromstring(robot_description(robot))
    children = {child.get("link") for child in described.findall("joint/child")}
    roots = [link for link in described.findall("link") if link.get("name") not in children]
    assert [root.get("name") for root in roots] == ["base_link"]
    assert roots[0].find("inertial") is None
    (joint,) = (
        j for j in described.findall("joint") if j.find("parent[@link='base_link']") is not None
    )
    assert joint.get("type") == "fixed" and joint.find("origin") is None


@pytest.mark.parametrize("robot", robot_names())
def test_nothing_else_changes(robot: str) -> None:
    """Links and joints of the file are all there, in their order."""
    before = ElementTree.parse(robot_file(robot, ".urdf")).getroot()
    after = ElementTree.fromstring(robot_description(robot))
    for kind in ("link", "joint"):
        kept = [ElementTree.tostring(part) for part in after.findall(kind)][1:]
        assert [part.strip() for part in kept] == [
            ElementTree.tostring(part).strip() for part in before.findall(kind)
        ]


def test_a_file_with_base_link_stays_as_it_is() -> None:
    """A URDF of the user may have it already."""
    once = robot_description("a1")
    assert with_root(once) == once
