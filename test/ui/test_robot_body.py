"""Forward kinematics of the drawn robot against MuJoCo, and the shapes of its URDF."""

import shutil

import numpy as np
import pytest
from core_values import A1

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import robot_file
from safe_locomotion.rotations import matrix_from_quaternion
from safe_locomotion.types import JOINTS, Array
from safe_locomotion.ui import robot_body
from safe_locomotion.ui.robot_body import RobotBody

mujoco = pytest.importorskip("mujoco")

BODY = RobotBody("a1")


def random_pose(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Position, unit quaternion, and joints within their ranges."""
    turn = rng.normal(size=4)
    return rng.normal(size=3), turn / np.linalg.norm(turn), rng.uniform(A1.q_min, A1.q_max)


def test_links_are_where_mujoco_has_them() -> None:
    """Position and orientation of all 17 links agree in 20 random poses."""
    model = mujoco.MjModel.from_xml_path(str(robot_file("a1", ".xml")))
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    assert len(BODY.links) == 17
    for _ in range(20):
        place, turn, q = random_pose(rng)
        data.qpos[:3] = place
        data.qpos[3:7] = turn
        for joint, angle in zip(JOINTS, q, strict=True):
            data.joint(f"{joint}_joint").qpos[0] = angle
        mujoco.mj_kinematics(model, data)
        poses = BODY.poses(place, turn, q)
        rotations = [matrix_from_quaternion(turn) for turn in poses.quaternion_wxyz]
        for k, name in enumerate(BODY.links):
            link = data.body(name)
            np.testing.assert_allclose(poses.position[k], link.xpos, atol=1e-12)
            np.testing.assert_allclose(rotations[k], link.xmat.reshape(3, 3), atol=1e-12)


def test_the_lowest_point_is_that_of_many_points() -> None:
    """Points on the surfaces of all shapes lie above it in 20 random poses, the lowest by 1 mm."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        place, turn, q = random_pose(rng)
        shapes = BODY.shape_poses(BODY.poses(place, turn, q))
        points = []
        for shape, at, orientation in zip(
            BODY.shapes, shapes.position, shapes.quaternion_wxyz, strict=True
        ):
            half = 0.5 * np.array(shape.size)
            around = rng.normal(size=(4000, 3))
            if shape.kind == "sphere":
                around *= half[0] / np.linalg.norm(around, axis=1, keepdims=True)
            elif shape.kind == "box":
                around = half * np.sign(around)
            else:
                around[:, :2] *= half[0] / np.linalg.norm(around[:, :2], axis=1, keepdims=True)
                around[:, 2] = half[2] * np.sign(around[:, 2])
            points.append(at + around @ matrix_from_quaternion(orientation).T)
        sampled = np.concatenate(points)[:, 2].min()
        assert sampled - 1e-3 < BODY.lowest(shapes) < sampled + 1e-9


def test_joint_frames_chain_up_to_the_links() -> None:
    """From parent to child by `joint_poses`, as in TF, each link ends at its place in `poses`."""
    place, turn, q = random_pose(np.random.default_rng(1))
    links = BODY.poses(place, turn, q)
    joints = BODY.joint_poses(q)
    rotations = [matrix_from_quaternion(turn) for turn in links.quaternion_wxyz]
    for i, parent in enumerate(BODY.parents, start=1):
        k = BODY.links.index(parent)
        position = links.position[k] + rotations[k] @ joints.position[i]
        rotation = rotations[k] @ matrix_from_quaternion(joints.quaternion_wxyz[i])
        np.testing.assert_allclose(position, links.position[i], atol=1e-12)
        np.testing.assert_allclose(rotation, rotations[i], atol=1e-12)


def test_shapes_hang_on_their_links() -> None:
    """The cylinder of a calf lies 0.1 m along its link, also when the robot lies on its back.

    The robot has 33 shapes, and a foot is a ball of 4 cm.
    """
    assert len(BODY.shapes) == 33
    upside_down = np.array((0.0, 1.0, 0.0, 0.0))
    q = np.zeros(12)
    links = BODY.poses(np.array((1.0, 2.0, 3.0)), upside_down, q)
    shapes = BODY.shape_poses(links)
    calf = BODY.links.index("FR_calf")
    foot = BODY.links.index("FR_foot")
    (i,) = (k for k, shape in enumerate(BODY.shapes) if shape.link == calf)
    assert BODY.shapes[i].kind == "cylinder" and BODY.shapes[i].size == (0.02, 0.02, 0.2)
    np.testing.assert_allclose(
        shapes.position[i] - links.position[calf], (0.0, 0.0, 0.1), atol=1e-15
    )
    np.testing.assert_allclose(
        links.position[calf], (1.183, 2.0 + 0.047 + 0.08505, 3.2), atol=1e-12
    )
    (ball,) = (shape for shape in BODY.shapes if shape.link == foot)
    assert ball.kind == "sphere" and ball.size == (0.04, 0.04, 0.04)


def test_a_cylinder_across_is_turned() -> None:
    """The cylinder of the hip, turned by 90 degrees about x, has its axis along y of the robot."""
    i = next(k for k, shape in enumerate(BODY.shapes) if shape.link == BODY.links.index("FL_hip"))
    poses = BODY.shape_poses(BODY.poses(np.zeros(3), np.array((1.0, 0.0, 0.0, 0.0)), np.zeros(12)))
    axis = matrix_from_quaternion(poses.quaternion_wxyz[i])[:, 2]
    np.testing.assert_allclose(np.abs(axis), (0.0, 1.0, 0.0), atol=1e-12)


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (
            '<sphere radius="0.02"/></geometry><material',
            '<mesh filename="foot.stl"/></geometry><material',
        ),
        ('name="dark"><', 'name="x"><'),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, monkeypatch, there: str, instead: str) -> None:
    """A mesh, or a material without a colour, is an error that names the file."""
    file = tmp_path / "a1.urdf"
    shutil.copy(robot_file("a1", ".urdf"), file)
    text = file.read_text()
    assert there in text
    file.write_text(text.replace(there, instead))
    monkeypatch.setattr(robot_body, "robot_file", lambda name, suffix: file)
    with pytest.raises(ConfigurationError, match=r"a1\.urdf"):
        RobotBody("a1")
