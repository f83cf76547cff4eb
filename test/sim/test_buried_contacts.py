"""Limbs that sink into ground of several solids are pushed out of the ground, not along it."""

import mujoco
import numpy as np
import pytest

from safe_locomotion.sim.buried_contacts import BuriedContacts
from safe_locomotion.sim.convex_ground import convex_pieces
from safe_locomotion.sim.height_grid import HeightGrid

PREFIX = "ground"
RADIUS = 0.01
FOOT = 0.02
NODES = np.arange(-40, 41) * 0.05
X = NODES[None, :]
Y = NODES[:, None]
#: Flat but for a bend at x = 0 and at y = 0, where solids meet, and a riser from 1 m to 1.05 m.
GRID = HeightGrid(
    heights=1e-4 * np.maximum(X, 0.0) + 1e-4 * np.maximum(Y, 0.0) + np.where(X > 1.01, 0.1, 0.0),
    cell=0.05,
    x=-2.0,
    y=-2.0,
)
FACE = np.array([-0.1, 0.0, 0.05]) / np.hypot(0.1, 0.05)  #: outwards normal of the riser


def limb_on_solids(at, **shape) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """A limb with its middle at a place, in contact with the solids of `GRID`."""
    spec = mujoco.MjSpec()
    for number, top in enumerate(convex_pieces(GRID)):
        name = f"{PREFIX} {number}"
        bottom = top * [1.0, 1.0, 0.0] - [0.0, 0.0, 1.0]
        spec.add_mesh(name=name, uservert=np.concatenate([top, bottom]).ravel())
        spec.worldbody.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name)
    limb = spec.worldbody.add_body(pos=at)
    limb.add_freejoint()
    limb.add_geom(mass=0.2, **shape)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_step1(model, data)
    return model, data


def shin(x: float, z: float) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """A thin lying capsule along x."""
    return limb_on_solids(
        [x, -0.53, z],
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        size=[RADIUS, 0.1, 0.0],
        quat=[np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0],
    )


def foot(at) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """A ball."""
    return limb_on_solids(at, type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[FOOT, 0.0, 0.0])


def push(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """(3,) acceleration of the limb by all contacts [m/s2]."""
    mujoco.mj_fwdActuation(model, data)
    mujoco.mj_fwdAcceleration(model, data)
    mujoco.mj_fwdConstraint(model, data)
    return data.qacc[:3].copy()


def mend(model: mujoco.MjModel, data: mujoco.MjData) -> int:
    """Number of mended contacts."""
    return BuriedContacts(model, GRID, PREFIX).mend(data)


@pytest.mark.parametrize("x", [-0.09, -0.105, 0.09, 0.105])
def test_a_shin_across_a_joint_is_pushed_up_only(x: float) -> None:
    """The end that reaches into the next solid is pushed along the ground otherwise."""
    model, data = shin(x, -0.02)
    assert abs(push(model, data)[0]) > 10.0
    model, data = shin(x, -0.02)
    assert mend(model, data) >= 1
    up = push(model, data)
    assert abs(up[0]) < 0.05
    assert up[2] > 50.0


def test_a_step_still_blocks() -> None:
    """A contact with a face that one can see stays."""
    at = (0.936, 0.08)
    model, data = shin(*at)
    before = push(model, data)
    assert before[0] < -1.0
    model, data = shin(*at)
    assert mend(model, data) == 0
    np.testing.assert_array_equal(push(model, data), before)


@pytest.mark.parametrize("y", [-0.006, -0.004, 0.004, 0.006])
def test_a_foot_deep_in_a_riser_is_pushed_out_of_its_face(y: float) -> None:
    """Its middle is 9 mm behind the face, nearer to the joint of two solids than to the face.

    Both contacts are buried. The deepest one is turned, so that the foot does not walk through.
    """
    at = np.array([1.025, y, 0.05]) - 0.009 * FACE
    model, data = foot(at)
    along = push(model, data)
    assert abs(along[1]) > 5.0
    model, data = foot(at)
    assert mend(model, data) >= 1
    (left,) = np.flatnonzero(data.contact.exclude == 0)
    assert data.contact.dist[left] == pytest.approx(-0.009 - FOOT, abs=1e-4)
    np.testing.assert_allclose(data.contact.frame[left, :3], -FACE, atol=2e-3)
    axes = data.contact.frame[left].reshape(3, 3)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
    out = push(model, data)
    assert out[0] < -10.0
    assert abs(out[1]) < 0.05 * abs(out[0])


def test_the_middle_of_a_contact_lies_between_limb_and_ground() -> None:
    """MuJoCo's place of a contact is halfway between both surfaces."""
    at = np.array([1.025, 0.003, 0.05]) - 0.009 * FACE
    model, data = foot(at)
    mend(model, data)
    (left,) = np.flatnonzero(data.contact.exclude == 0)
    np.testing.assert_allclose(
        data.contact.pos[left], at - (FOOT - 0.5 * (FOOT + 0.009)) * FACE, atol=2e-4
    )


def test_other_geoms_keep_their_contacts() -> None:
    """Only solids of the given names are looked at."""
    model, data = shin(-0.09, -0.02)
    assert BuriedContacts(model, GRID, "no such").found(data) == []


def test_without_contacts_nothing_changes() -> None:
    """A shin in the air has none to mend."""
    model, data = shin(0.0, 1.0)
    assert mend(model, data) == 0
