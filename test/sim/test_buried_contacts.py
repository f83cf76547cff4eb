"""Limbs that sink into ground of several solids are pushed out of the ground, not along it."""

import mujoco
import numpy as np
import pytest

from safe_locomotion.sim.buried_contacts import BuriedContacts

PREFIX = "ground"
RADIUS = 0.01
STEP = 0.1  #: height of the ground from x = 1 on [m]


def height(x: float, y: float) -> float:
    """Of three solids: two whose tops are one plane, and a step."""
    return STEP if x > 1.0 else 0.0


def shin_on_solids(x: float, z: float) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """A thin lying capsule along x whose middle is at a place, on three solids that meet."""
    spec = mujoco.MjSpec()
    for number, (left, right, top) in enumerate([(-2, 0, 0.0), (0, 1, 0.0), (1, 2, STEP)]):
        corners = [(x, y, z) for x in (left, right) for y in (-1, 1) for z in (-1.0, top)]
        spec.add_mesh(name=f"{PREFIX} {number}", uservert=np.array(corners, float).ravel())
        spec.worldbody.add_geom(
            name=f"{PREFIX} {number}",
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=f"{PREFIX} {number}",
        )
    shin = spec.worldbody.add_body(pos=[x, 0.0, z])
    shin.add_freejoint()
    shin.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        size=[RADIUS, 0.1, 0.0],
        quat=[np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0],
        mass=0.2,
    )
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_step1(model, data)
    return model, data


def push(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """(3,) acceleration of the shin by all contacts [m/s2]."""
    mujoco.mj_fwdActuation(model, data)
    mujoco.mj_fwdAcceleration(model, data)
    mujoco.mj_fwdConstraint(model, data)
    return data.qacc[:3].copy()


@pytest.mark.parametrize("x", [-0.09, -0.105, 0.09, 0.105])
def test_a_shin_across_a_joint_is_pushed_up_only(x: float) -> None:
    """The end that reaches into the next solid is pushed along the ground without the drop."""
    model, data = shin_on_solids(x, -0.02)
    with_all = push(model, data)
    assert abs(with_all[0]) > 10.0
    model, data = shin_on_solids(x, -0.02)
    assert BuriedContacts(model, height, PREFIX).drop(data) >= 1
    up = push(model, data)
    assert abs(up[0]) < 0.05
    assert up[2] > 50.0


def test_a_step_still_blocks() -> None:
    """A contact with a face that one can see stays."""
    model, data = shin_on_solids(1.0 - 0.1 - RADIUS + 0.002, 0.05)
    before = push(model, data)
    assert before[0] < -1.0
    model, data = shin_on_solids(1.0 - 0.1 - RADIUS + 0.002, 0.05)
    assert BuriedContacts(model, height, PREFIX).drop(data) == 0
    np.testing.assert_array_equal(push(model, data), before)


def test_other_geoms_keep_their_contacts() -> None:
    """Only solids of the given names are looked at."""
    model, data = shin_on_solids(-0.09, -0.02)
    assert BuriedContacts(model, height, "no such").found(data) == []


def test_without_contacts_nothing_changes() -> None:
    """A shin in the air has none to drop."""
    model, data = shin_on_solids(0.0, 1.0)
    assert BuriedContacts(model, height, PREFIX).drop(data) == 0
