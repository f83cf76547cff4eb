"""The URDF of a robot as ROS wants it: its root is `base_link`, a link without inertia.

Our files begin with the trunk. Tools of ROS take frames from the root of the URDF, and KDL refuses
a root with inertia.
"""

from xml.etree import ElementTree

from safe_locomotion.robot.models import robot_file

ROOT_LINK = "base_link"


def robot_description(name: str) -> str:
    """URDF of a robot for the topic `robot_description`.

    Raises:
        UnknownNameError: no such robot.
    """
    return with_root(robot_file(name, ".urdf").read_text(encoding="utf-8"))


def with_root(urdf: str) -> str:
    """A URDF whose root is `ROOT_LINK`, with the old root fixed to its origin."""
    robot = ElementTree.fromstring(urdf)
    links = [link.get("name", "") for link in robot.findall("link")]
    if ROOT_LINK in links:
        return urdf
    children = {child.get("link") for child in robot.findall("joint/child")}
    root = next(link for link in links if link not in children)
    joint = ElementTree.Element("joint", name=f"{ROOT_LINK}_to_{root}", type="fixed")
    ElementTree.SubElement(joint, "parent", link=ROOT_LINK)
    ElementTree.SubElement(joint, "child", link=root)
    robot.insert(0, joint)
    robot.insert(0, ElementTree.Element("link", name=ROOT_LINK))
    return ElementTree.tostring(robot, encoding="unicode")
