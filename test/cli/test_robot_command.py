"""`safe-locomotion robot`: a vendor's URDF becomes a robot that walks; what does not fit is said.

The robot has the size of SDUQuad48 (15 kg, 0.32 m). Its URDF, `test/data/quad48.urdf`, has
conventions of its own: other names, turned frames, hips that turn about -x on the right.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

pytest.importorskip("mujoco")

import mujoco

from safe_locomotion.cli.main import main
from safe_locomotion.cli.robot.checks import possible
from safe_locomotion.cli.robot.trial import Plan, try_robot
from safe_locomotion.config import load_config
from safe_locomotion.robot.models import Link, load_robot, robot_file, robot_names, shipped_robots
from safe_locomotion.shared_files import OWN_ROBOTS, own_robot_folders
from safe_locomotion.types import JOINTS, LEGS

VENDOR = ROOT / "test" / "data" / "quad48.urdf"
THEIR_LEGS = dict(zip(LEGS, ("RF", "LF", "RH", "LH"), strict=True))
THEIR_JOINTS = {"hip": "abad", "thigh": "hip", "calf": "knee"}


@pytest.fixture(scope="module")
def drafted(tmp_path_factory) -> Path:
    """A folder with the drafts of the robot."""
    folder = tmp_path_factory.mktemp("robots")
    words = ["robot", "new", "quad48", "--urdf", str(VENDOR), "--height", "0.32"]
    assert main([*words, "--folder", str(folder)]) == 0
    return folder


@pytest.fixture
def robots(drafted, tmp_path, monkeypatch) -> Path:
    """A copy of the drafts, found by every command."""
    folder = tmp_path / "robots"
    shutil.copytree(drafted, folder)
    monkeypatch.setenv(OWN_ROBOTS, str(folder))
    return folder


def changed(path: Path, old: str, new: str) -> None:
    """Replace every `old` in a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def whole_body(model, data) -> tuple[float, np.ndarray, np.ndarray]:
    """Mass, centre of mass and inertia about it of all bodies."""
    mass = model.body_mass.sum()
    com = model.body_mass @ data.xipos / mass
    inertia = np.zeros((3, 3))
    for body in range(model.nbody):
        turn = data.ximat[body].reshape(3, 3)
        r = data.xipos[body] - com
        inertia += turn @ np.diag(model.body_inertia[body]) @ turn.T
        inertia += model.body_mass[body] * (r @ r * np.eye(3) - np.outer(r, r))
    return mass, com, inertia


def test_the_drafts_are_the_vendors_robot(robots):
    """Both models have the vendor's feet, mass, centre of mass and inertia, in random poses.

    The vendor's file is read by MuJoCo itself. Our angles are the vendor's with the signs of the
    table in README.md, and our base lies 1 cm above the vendor's root.
    """
    spec = mujoco.MjSpec.from_file(str(VENDOR))
    spec.compiler.fusestatic = False
    theirs = spec.compile()
    ours = mujoco.MjModel.from_xml_path(str(robot_file("quad48", ".xml")))
    readme = (robots / "quad48" / "README.md").read_text()
    rows = [line.split("|") for line in readme.splitlines()]
    signs = {row[1].strip(): int(row[3]) for row in rows if len(row) == 5 and "_joint" in row[1]}
    robot = load_robot("quad48")
    rng = np.random.default_rng(0)
    for _ in range(3):
        q = rng.uniform(robot.q_min, robot.q_max)
        one = mujoco.MjData(theirs)
        two = mujoco.MjData(ours)
        two.qpos[:7] = (0.0, 0.0, 0.01, 1.0, 0.0, 0.0, 0.0)
        two.qpos[7:] = q
        for name, angle in zip(JOINTS, q, strict=True):
            leg, kind = name.split("_")
            theirs_name = f"{THEIR_LEGS[leg]}_{THEIR_JOINTS[kind]}"
            one.qpos[theirs.joint(theirs_name).qposadr[0]] = signs[f"{name}_joint"] * angle
        mujoco.mj_kinematics(theirs, one)
        mujoco.mj_kinematics(ours, two)
        mujoco.mj_comPos(theirs, one)
        for leg in LEGS:
            foot = one.xpos[theirs.body(f"{THEIR_LEGS[leg]}_toe").id]
            np.testing.assert_allclose(two.site(f"{leg}_foot").xpos, foot, atol=1e-9)
        for a, b in zip(whole_body(theirs, one), whole_body(ours, two), strict=True):
            np.testing.assert_allclose(b, a, atol=2e-7)
    assert robot.mass == pytest.approx(15.0, abs=1e-6)
    assert robot.nominal_height == 0.32


def test_check_finds_nothing_wrong_with_the_drafts(robots, capsys):
    """Models, mass, limits and gains of the drafts agree; open points are counted."""
    assert main(["robot", "check", "quad48", "--no-walk"]) == 0
    out = capsys.readouterr().out
    assert "problem" not in out and "0 decided in README.md" in out


@pytest.mark.parametrize(
    ("file", "old", "new", "check"),
    [
        ("quad48.xml", 'mass="7.8"', 'mass="8.8"', "mass of both models"),
        ("quad48.xml", 'pos="0 0 -0.24"', 'pos="0 0 -0.23"', "feet of both models"),
        ("quad48.xml", "-2.65 -0.8", "-2.5 -0.8", "limits of both models"),
        ("poses.json", "-2.597", "-2.797", "sitting pose"),
        ("quad48.yaml", "ramp_kp: 120.0", "ramp_kp: 20.0", "ramp gains"),
        ("quad48.yaml", "kp_max: 170.0", "kp_max: 100.0", "last gate"),
        ("quad48.yaml", "fz_max: 181.0", "fz_max: 90.0", "force of a foot"),
        ("quad48.yaml", "body_height: 0.32", "body_height: 0.38", "heights"),
        ("quad48.yaml", "voltage_warning: 21.0", "voltage_warning: 26.0", "battery"),
    ],
)
def test_check_finds_a_fault(robots, capsys, file, old, new, check):
    """One wrong number in one file fails the check that looks after it."""
    changed(robots / "quad48" / file, old, new)
    assert main(["robot", "check", "quad48"]) == 1
    assert f"problem {check}:" in capsys.readouterr().out


def test_the_drafts_stand_walk_and_take_a_push(robots):
    """Without a change by hand the robot stands, walks within 10 %, is pushed and sits down."""
    plan = Plan(settle=0.7, walk=0.8, after=1.0, speed=0.3)
    found = list(try_robot("quad48", load_config("quad48"), plan))
    assert [finding.check for finding in found] == ["stands", "walks", "takes a push", "sits down"]
    assert {finding.level for finding in found} == {"ok"}, found


def test_robots_of_ones_own_are_found(robots, monkeypatch, tmp_path):
    """They come after the shipped ones, and a shipped robot keeps its name and its files."""
    assert robot_names() == (*shipped_robots(), "quad48")
    shutil.copytree(robots / "quad48", robots / "a1")
    (robots / "a1" / "quad48.urdf").rename(robots / "a1" / "a1.urdf")
    assert load_robot("a1").mass < 13.0 and robot_names() == (*shipped_robots(), "quad48")
    monkeypatch.delenv(OWN_ROBOTS)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert own_robot_folders() == (tmp_path / "safe_locomotion" / "robots",)
    assert robot_names() == shipped_robots()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<robot ", "<xacro:robot ", "no URDF"),
        ('effort="34"', 'effort="0"', "--torque"),
        ('velocity="22"', 'velocity="0"', "--speed"),
        ('axis xyz="0 -1 0"', 'axis xyz="0 1 0"', "knees must bend backwards"),
        ('name="battery_mount" type="fixed"', 'name="sash" type="prismatic"', "sash is prismatic"),
        ('name="battery_mount" type="fixed"', 'name="neck" type="revolute"', "neck"),
        ('<axis xyz="0 -1 0"/>', '<axis xyz="1 0 0"/>', "about y"),
        ('xyz="0 0 -0.24"/></joint>', 'xyz="0.1 0 -0.24"/></joint>', "hang straight down"),
    ],
)
def test_a_robot_that_does_not_fit_is_refused(tmp_path, capsys, old, new, said):
    """The one line says what does not fit, and no folder is left behind."""
    urdf = tmp_path / "theirs.urdf"
    shutil.copy(VENDOR, urdf)
    changed(urdf, old, new)
    folder = tmp_path / "robots"
    words = ["robot", "new", "mine", "--urdf", str(urdf), "--folder", str(folder)]
    assert main(words) == 2
    assert said in capsys.readouterr().err
    assert not folder.exists() or not list(folder.iterdir())


def test_missing_numbers_can_be_given(tmp_path, monkeypatch, capsys):
    """Torques and speeds on the command line take the place of the file's."""
    urdf = tmp_path / "theirs.urdf"
    shutil.copy(VENDOR, urdf)
    changed(urdf, 'effort="34" velocity="22"', "")
    changed(urdf, "<sphere", '<!--sphere--><cylinder length="0.02"')
    monkeypatch.setenv(OWN_ROBOTS, str(tmp_path / "robots"))
    words = ["robot", "new", "mine", "--urdf", str(urdf), "--torque", "20,30,40", "--speed", "25"]
    assert main(words) == 0
    robot = load_robot("mine")
    np.testing.assert_array_equal(robot.tau_max[:3], (20.0, 30.0, 40.0))
    assert set(robot.dq_max) == {25.0} and robot.foot_radius == 0.02
    assert "shows no ball" in capsys.readouterr().out
    assert main(words) == 2 and "a robot of yours has it" in capsys.readouterr().err
    assert main(["robot", "new", "go2", *words[3:]]) == 2
    assert main(["robot", "new", "../go2", *words[3:]]) == 2


def test_impossible_inertias_are_told():
    """No side of a body has more inertia than the other two together."""
    body = Link(mass=1.0, com=np.zeros(3), inertia=np.diag((1.0, 1.0, 1.9)))
    assert possible(body)
    assert not possible(Link(mass=1.0, com=np.zeros(3), inertia=np.diag((1.0, 1.0, 2.1))))
    assert not possible(Link(mass=0.0, com=np.zeros(3), inertia=np.eye(3)))
