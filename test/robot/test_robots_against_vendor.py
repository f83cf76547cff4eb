"""Go2, Go1 and Laikago: URDF against the vendor's public numbers, MJCF against URDF."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from public_robots import PUBLIC

from safe_locomotion.config import load_config
from safe_locomotion.robot.models import load_robot, read_urdf, robot_file
from safe_locomotion.safety.trigger_set import designed_bounds
from safe_locomotion.types import JOINT_KINDS, JOINTS, LEGS

mujoco = pytest.importorskip("mujoco")

ROBOTS = sorted(PUBLIC)
A1 = load_robot("a1")


@pytest.fixture(params=ROBOTS)
def name(request) -> str:
    return request.param


def agrees(ours, other) -> None:
    """Mass, CoM and inertia are equal to nine digits; joined links are rounded to ten."""
    assert ours.mass == pytest.approx(other.mass, abs=1e-9)
    np.testing.assert_allclose(ours.com, other.com, atol=1e-9)
    np.testing.assert_allclose(ours.inertia, other.inertia, atol=1e-9)


def test_bodies_are_the_vendors(name) -> None:
    """Each link has the vendor's mass, CoM and inertia, together with the rotors that it carries.

    Left and right, front and rear are reflections of each other.
    """
    urdf = read_urdf(robot_file(name, ".urdf"))
    agrees(urdf.links["trunk"], PUBLIC[name].trunk_link())
    for leg in LEGS:
        for kind in ("hip", "thigh", "calf", "foot"):
            agrees(urdf.links[f"{leg}_{kind}"], PUBLIC[name].link(leg, kind))


def test_total_mass_is_the_vendors(name) -> None:
    """The whole robot weighs what the vendor's description weighs, less 2 g of placeholders."""
    assert 0.0 <= PUBLIC[name].mass - load_robot(name).mass <= 0.00201


def test_lengths_are_the_vendors(name) -> None:
    """Hips, offsets, thighs, calves and feet have the vendor's lengths."""
    robot = load_robot(name)
    public = PUBLIC[name]
    x, y = public.hip_place
    np.testing.assert_array_equal(
        robot.hip_position, [(x, -y, 0), (x, y, 0), (-x, -y, 0), (-x, y, 0)]
    )
    np.testing.assert_array_equal(robot.hip_offset, public.hip_offset * np.array((-1, 1, -1, 1)))
    lengths = (robot.thigh_length, robot.calf_length, robot.foot_radius)
    assert lengths == (public.thigh_length, public.calf_length, public.foot_radius)


def test_limits_are_the_vendors(name) -> None:
    """Ranges, peak torques and speeds are the vendor's; the ranges of right hips are reflected."""
    robot = load_robot(name)
    public = PUBLIC[name]
    for i, joint in enumerate(JOINTS):
        leg, kind = joint.split("_")
        low, high = (public.front if leg[0] == "F" else public.rear)[JOINT_KINDS.index(kind)]
        if kind == "hip" and leg[1] == "R":
            low, high = -high, -low
        assert (robot.q_min[i], robot.q_max[i]) == (low, high)
    np.testing.assert_array_equal(robot.tau_max, np.tile(public.effort, 4))
    np.testing.assert_array_equal(robot.dq_max, np.tile(public.velocity, 4))


def test_mjcf_agrees_with_urdf(name) -> None:
    """Bodies, joints and motors of the MJCF have the numbers of the URDF."""
    urdf = read_urdf(robot_file(name, ".urdf"))
    model = mujoco.MjModel.from_xml_path(str(robot_file(name, ".xml")))
    for link, ours in urdf.links.items():
        body = model.body(link)
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, body.iquat)
        turn = rotation.reshape(3, 3)
        assert body.mass[0] == pytest.approx(ours.mass, abs=1e-12)
        np.testing.assert_allclose(body.ipos, ours.com, atol=1e-12)
        inertia = turn @ np.diag(body.inertia) @ turn.T
        np.testing.assert_allclose(inertia, ours.inertia, atol=1e-10)
    root = ElementTree.parse(robot_file(name, ".urdf")).getroot()
    for i, joint in enumerate(JOINTS):
        theirs = model.joint(f"{joint}_joint")
        ours = urdf.joints[f"{joint}_joint"]
        assert model.actuator(i).name == joint
        np.testing.assert_array_equal(theirs.axis, ours.axis)
        np.testing.assert_array_equal(theirs.range, (ours.lower, ours.upper))
        np.testing.assert_array_equal(model.body(joint).pos, ours.origin)
        np.testing.assert_array_equal(model.actuator(i).ctrlrange, (-ours.effort, ours.effort))
        dynamics = root.find(f"joint[@name='{joint}_joint']/dynamics").attrib
        assert theirs.damping[0] == float(dynamics["damping"])
    assert model.geom("FR_foot").size[0] == urdf.foot_radius


def test_poses_lie_inside_the_ranges(name) -> None:
    """Standing and sitting keep 0.04 rad from every joint limit; sitting feet and belly touch."""
    robot = load_robot(name)
    for q in (robot.q_stand, robot.q_sit):
        assert np.all(q >= robot.q_min + 0.04) and np.all(q <= robot.q_max - 0.04)
    model = mujoco.MjModel.from_xml_path(str(robot_file(name, ".xml")))
    data = mujoco.MjData(model)
    data.qpos[7:] = robot.q_sit
    mujoco.mj_kinematics(model, data)
    soles = [data.geom(f"{leg}_foot").xpos[2] - robot.foot_radius for leg in LEGS]
    np.testing.assert_allclose(
        soles, data.geom("trunk").xpos[2] - model.geom("trunk").size[2], atol=1e-3
    )


def test_gains_follow_mass_and_leg_length(name) -> None:
    """What the configuration says is scaled from the A1 is scaled, within the rounding of 5 %."""
    ours = load_config(name)
    a1 = load_config("a1")
    robot = load_robot(name)
    mass = robot.mass / A1.mass
    lever = mass * robot.thigh_length / A1.thigh_length
    for key in ("ramp_kp", "ramp_kd", "damping"):
        expected = lever * getattr(a1.bridge.gains, key)
        assert getattr(ours.bridge.gains, key) == pytest.approx(expected, rel=0.05)
    for key in ("kp_max", "kd_max", "damping"):
        expected = lever * getattr(a1.bridge.limits, key)
        assert getattr(ours.bridge.limits, key) == pytest.approx(expected, rel=0.05)
    assert ours.mpc.solver.fz_max == pytest.approx(mass * a1.mpc.solver.fz_max, rel=0.05)
    weight = a1.mpc.solver.force_weight / mass**2
    assert ours.mpc.solver.force_weight == pytest.approx(weight, rel=0.05)
    steps = np.array(ours.bridge.limits.torque_step) / robot.tau_max[:3]
    np.testing.assert_allclose(steps, 40.0 / 33.5, rtol=0.02)


@pytest.mark.parametrize("robot", ["go1", "go2"])
def test_trigger_sets_are_designed(robot) -> None:
    """The box c1 is the designed one for the walking height and a reach scaled with the leg."""
    config = load_config(robot)
    reach = 0.1 * load_robot(robot).thigh_length / A1.thigh_length
    designed = designed_bounds(height=config.mpc.locomotion.body_height, reach=reach)
    for key in designed.__dataclass_fields__:
        ours = getattr(config.supervisor.trigger_set.c1, key)
        assert ours == pytest.approx(getattr(designed, key), abs=0.005)


def test_the_laikagos_box_is_the_papers_and_ends_above_its_legs() -> None:
    """Its upper bound of 0.55 m lies above the straight leg, and above the calf's end stop.

    So with a foot on the ground only the lower bound of the height can trigger.
    """
    robot = load_robot("laikago")
    box = load_config("laikago").supervisor.trigger_set.c1
    assert (box.height_min, box.height_max) == (0.4, 0.55)
    straight = robot.thigh_length + robot.calf_length + robot.foot_radius
    stop = 2.0 * robot.thigh_length * np.cos(0.5 * robot.q_max[2]) + robot.foot_radius
    assert straight == pytest.approx(0.5265) and stop == pytest.approx(0.503, abs=1e-3)
    assert stop < straight < box.height_max


def test_the_laikagos_masses_agree_with_pybullets() -> None:
    """The Laikago that paper 1 simulates comes with pybullet_data; its masses agree to 0.2 %."""
    folder = pytest.importorskip("pybullet_data").getDataPath()
    root = ElementTree.parse(Path(folder) / "laikago" / "laikago_toes_limits.urdf").getroot()
    theirs = {link.attrib["name"]: link.find("inertial/mass") for link in root.iterfind("link")}
    urdf = read_urdf(robot_file("laikago", ".urdf"))
    names = {"chassis": "trunk", "FL_hip_motor": "FL_hip", "FL_upper_leg": "FL_thigh"}
    for their_name, our_name in {**names, "FL_lower_leg": "FL_calf"}.items():
        mass = float(theirs[their_name].attrib["value"])
        assert urdf.links[our_name].mass == pytest.approx(mass, rel=2e-3)
