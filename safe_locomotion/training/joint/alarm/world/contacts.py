"""Contacts of feet, calves and thighs with the height grid, for MuJoCo-Warp's solver.

MuJoCo-Warp's own search against height fields costs more than the rest of the physics. Here each
foot is a sphere and each half of a calf or thigh a capsule. A contact lies where the ground comes
closest. A foot has a second one where another face of the ground touches it, as at a riser.

`install` hangs the search into MuJoCo-Warp's step; all that follows from contacts is MuJoCo's own.
"""

from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np
import warp as wp

from safe_locomotion.training.gait.world.arrays import (
    Array1,
    Integers1,
    Integers2,
    Matrices3,
    Pairs,
    Vectors3,
)
from safe_locomotion.training.joint.alarm.world.ground import Ground, height_at, node_height
from safe_locomotion.types import LEGS

wp.set_module_options({"enable_backward": False, "max_unroll": 4})

vec5 = wp.types.vector(length=5, dtype=float)

if TYPE_CHECKING:
    Places = Any
    Turns = Any
    Two = Any
    Five = Any
else:
    Places = wp.array(dtype=wp.vec3, ndim=2)
    Turns = wp.array(dtype=wp.mat33, ndim=2)
    Two = wp.array(dtype=wp.vec2, ndim=1)
    Five = wp.array(dtype=vec5, ndim=1)

SAMPLES = wp.constant(5)  # spheres of a half capsule among which the closest is sought
HALVINGS = wp.constant(3)  # of the way between two of them
FAR = wp.constant(1.0e3)
ALIGNED = wp.constant(0.9)  # cosine between normals of contacts that count as one
FACE = wp.constant(0.99)  # cosine between a contact's normal and the face that it lies on
FARTHEST = wp.constant(1.0e8)  # squared distance from the origin [m2]
SOFTNESS = wp.constant(0.02)  # time constant of contacts [s], MuJoCo's default
ROLL = wp.constant(0.005)  # MuJoCo's defaults; contacts of three dimensions ignore them
SPIN = wp.constant(0.0001)
DEADEST = wp.constant(0.1354)  # restitution of the damping ratio 1, just above exp(-2)


@wp.struct
class Shapes:
    """Pieces that may touch the ground.

    Attributes:
        geom: (k,) of MuJoCo.
        begin, end: (k,) ends of the axis along the geom's z [m].
        radius: (k,) [m].
        floor: geom that stands for the ground.
    """

    geom: Integers1
    begin: Array1
    end: Array1
    radius: Array1
    floor: int


@wp.struct
class Surface:
    """How the ground of each robot is: (n,) sliding friction, and damping ratio of contacts."""

    friction: Array1
    damping: Array1


@wp.struct
class Contacts:
    """Arrays of MuJoCo-Warp's contacts that a search writes, and their (1,) count."""

    dist: Array1
    pos: Vectors3
    frame: Matrices3
    includemargin: Array1
    friction: Five
    solref: Two
    solreffriction: Two
    solimp: Five
    dim: Integers1
    geom: Pairs
    efc_address: Integers2
    worldid: Integers1
    type: Integers1
    geomcollisionid: Integers1
    adhesion: Array1
    count: Integers1


_FIELDS = tuple(Contacts.__annotations__)[:-1]


def shapes_of(model: mujoco.MjModel, floor: int, device: str) -> Any:
    """Feet, and the halves of calves and thighs, of a compiled robot."""
    rows: list[tuple[int, float, float, float]] = []
    for leg in LEGS:
        foot = model.geom(f"{leg}_foot")
        rows.append((foot.id, 0.0, 0.0, float(foot.size[0])))
        for part in ("calf", "thigh"):
            geom = model.geom(f"{leg}_{part}")
            radius = float(geom.size[0])
            half = float(geom.size[1])
            rows.append((geom.id, -half, 0.0, radius))
            rows.append((geom.id, 0.0, half, radius))
    geoms, begin, end, radius_of = zip(*rows, strict=True)
    shapes = Shapes()
    shapes.geom = wp.array(geoms, dtype=int, device=device)
    for name, values in {"begin": begin, "end": end, "radius": radius_of}.items():
        setattr(shapes, name, wp.array(np.array(values, np.float32), dtype=float, device=device))
    shapes.floor = floor
    return shapes


@wp.func
def damping_of(restitution: float) -> float:
    """Damping ratio of a contact that returns this share of the speed.

    MuJoCo has no restitution, but its contacts are damped springs that only push. A mass leaves
    such a spring with the share e = exp(-2 a / tan a) of its speed, with cos a the damping ratio.
    Newton's method solves a cos a + ln(e) / 2 sin a = 0. MuJoCo's usual ratio of 1 returns
    exp(-2) = 0.14, and so do all smaller restitutions here.
    """
    if restitution <= DEADEST:
        return 1.0
    half = -0.5 * wp.log(wp.min(restitution, 0.9))
    a = wp.min(wp.sqrt(3.0 * (1.0 - half)), 1.4)
    for _ in range(5):
        c = wp.cos(a)
        s = wp.sin(a)
        a -= (a * c - half * s) / (c - a * s - half * c)
    return wp.cos(a)


@wp.func
def closest_on_segment(p: wp.vec3, a: wp.vec3, b: wp.vec3) -> wp.vec3:
    """Point of the segment from a to b that is closest to p."""
    edge = b - a
    share = wp.dot(p - a, edge) / wp.max(wp.dot(edge, edge), 1.0e-12)
    return a + wp.clamp(share, 0.0, 1.0) * edge


@wp.func
def nearer(p: wp.vec3, one: wp.vec3, other: wp.vec3) -> wp.vec3:
    """That of two points which is closer to p."""
    if wp.length_sq(p - other) < wp.length_sq(p - one):
        return other
    return one


@wp.func
def closest_on_triangle(p: wp.vec3, a: wp.vec3, b: wp.vec3, c: wp.vec3) -> wp.vec3:
    """Point of a triangle that is closest to p."""
    ab = b - a
    ac = c - a
    normal = wp.cross(ab, ac)
    size = wp.dot(normal, normal)
    w = p - a
    v = wp.dot(wp.cross(w, ac), normal) / size
    u = wp.dot(wp.cross(ab, w), normal) / size
    if v >= 0.0 and u >= 0.0 and v + u <= 1.0:
        return a + v * ab + u * ac
    best = closest_on_segment(p, a, b)
    best = nearer(p, best, closest_on_segment(p, b, c))
    return nearer(p, best, closest_on_segment(p, c, a))


@wp.func
def node(ground: Ground, row: int, column: int) -> wp.vec3:
    """A node of the grid in the world [m]."""
    return wp.vec3(
        ground.x + float(column) * ground.cell,
        ground.y + float(row) * ground.cell,
        node_height(ground, row, column),
    )


@wp.func
def corner(ground: Ground, row: int, column: int, side: int, k: int) -> wp.vec3:
    """Corner k of triangle `side` of a cell, counter-clockwise seen from above."""
    if k == 0:
        return node(ground, row, column)
    if k == 1:
        if side == 0:
            return node(ground, row, column + 1)
        return node(ground, row + 1, column + 1)
    if side == 0:
        return node(ground, row + 1, column + 1)
    return node(ground, row + 1, column)


@wp.func
def closest_ground(ground: Ground, p: wp.vec3, reach: float, avoided: wp.vec3) -> wp.vec4:
    """Normal of the closest ground, and its distance [m], negative for a point below the ground.

    Without any ground that counts, the distance is large.

    Args:
        ground: with its grid.
        p: point in the world [m].
        reach: triangles within this are looked at [m].
        avoided: with a normal, only faces that are turned away from it count; zero allows all.
    """
    first_column = int(wp.floor((p[0] - reach - ground.x) / ground.cell))
    last_column = int(wp.floor((p[0] + reach - ground.x) / ground.cell))
    first_row = int(wp.floor((p[1] - reach - ground.y) / ground.cell))
    last_row = int(wp.floor((p[1] + reach - ground.y) / ground.cell))
    highest = float(-FAR)
    for row in range(first_row, last_row + 2):
        for column in range(first_column, last_column + 2):
            highest = wp.max(highest, node_height(ground, row, column))
    if p[2] > highest + reach:
        return wp.vec4(0.0, 0.0, 1.0, FAR)
    sign = wp.where(p[2] < height_at(ground, p[0], p[1]), -1.0, 1.0)
    choosy = wp.dot(avoided, avoided) > 0.5
    nearest = float(FAR)
    found = wp.vec3(0.0, 0.0, 1.0)
    for row in range(first_row, last_row + 1):
        for column in range(first_column, last_column + 1):
            for side in range(2):
                a = corner(ground, row, column, side, 0)
                b = corner(ground, row, column, side, 1)
                c = corner(ground, row, column, side, 2)
                away = sign * (p - closest_on_triangle(p, a, b, c))
                gap = wp.length(away)
                face = wp.normalize(wp.cross(b - a, c - a))
                normal = wp.where(gap > 1.0e-6, away / wp.max(gap, 1.0e-9), face)
                turned = wp.dot(normal, face) > FACE and wp.dot(normal, avoided) < ALIGNED
                if gap < nearest and (turned or not choosy):
                    nearest = gap
                    found = normal
    distance = wp.where(nearest < FAR, sign * nearest, FAR)
    return wp.vec4(found[0], found[1], found[2], distance)


@wp.func
def closest_on_axis(ground: Ground, begin: wp.vec3, end: wp.vec3, reach: float) -> wp.vec3:
    """Point of an axis to which the ground within `reach` [m] comes closest.

    The closest of equidistant samples is refined by halving, so that the edge of a stair between
    two samples is found, too.
    """
    none = wp.vec3()
    line = end - begin
    step = float(1.0 / float(SAMPLES - 1))
    seen = reach + 0.5 * step * wp.length(line)
    best = float(0.0)
    nearest = float(FAR)
    for k in range(SAMPLES):
        share = step * float(k)
        gap = closest_ground(ground, begin + share * line, seen, none)[3]
        if gap < nearest:
            nearest = gap
            best = share
    middle = float(best)
    looks = wp.where(nearest < seen, 2 * HALVINGS, 0)
    for k in range(looks):
        side = float(2 * (k % 2) - 1)
        if k % 2 == 0:
            step = 0.5 * step
            middle = best
        share = wp.clamp(middle + side * step, 0.0, 1.0)
        gap = closest_ground(ground, begin + share * line, seen, none)[3]
        if gap < nearest:
            nearest = gap
            best = share
    return begin + best * line


@wp.func
def write_contact(
    contacts: Contacts,
    world: int,
    geoms: wp.vec2i,
    at: wp.vec3,
    normal: wp.vec3,
    distance: float,
    surface: Surface,
) -> None:
    """Append one contact, as MuJoCo-Warp does; nothing when there is no memory."""
    place = wp.atomic_add(contacts.count, 0, 1)
    if place >= contacts.dist.shape[0]:
        return
    side = wp.where(wp.abs(normal[0]) < 0.5, wp.vec3(1.0, 0.0, 0.0), wp.vec3(0.0, 1.0, 0.0))
    first = wp.normalize(side - wp.dot(side, normal) * normal)
    second = wp.cross(normal, first)
    slide = surface.friction[world]
    contacts.dist[place] = distance
    contacts.pos[place] = at
    contacts.frame[place] = wp.matrix_from_rows(normal, first, second)
    contacts.includemargin[place] = 0.0
    contacts.friction[place] = vec5(slide, slide, ROLL, SPIN, SPIN)
    contacts.solref[place] = wp.vec2(SOFTNESS, surface.damping[world])
    contacts.solreffriction[place] = wp.vec2(0.0, 0.0)
    contacts.solimp[place] = vec5(0.9, 0.95, 0.001, 0.5, 2.0)
    contacts.dim[place] = 3
    contacts.geom[place] = geoms
    contacts.worldid[place] = world
    contacts.type[place] = 1
    contacts.geomcollisionid[place] = 0
    contacts.adhesion[place] = 0.0
    for k in range(contacts.efc_address.shape[1]):
        contacts.efc_address[place, k] = -1


@wp.kernel
def find_contacts(
    shapes: Shapes,
    ground: Ground,
    surface: Surface,
    position: Places,
    rotation: Turns,
    contacts: Contacts,
) -> None:
    """Contacts of one shape of one robot."""
    world, k = wp.tid()
    geom = shapes.geom[k]
    radius = shapes.radius[k]
    centre = position[world, geom]
    axis = rotation[world, geom] * wp.vec3(0.0, 0.0, 1.0)
    begin = centre + shapes.begin[k] * axis
    end = centre + shapes.end[k] * axis
    # A NaN fails this comparison: a robot without a state has no contacts.
    if not (wp.length_sq(begin) < FARTHEST and wp.length_sq(end) < FARTHEST):
        return
    ball = shapes.begin[k] == shapes.end[k]
    at = begin
    if not ball:
        at = closest_on_axis(ground, begin, end, radius)
    geoms = wp.vec2i(shapes.floor, geom)
    touch = closest_ground(ground, at, radius, wp.vec3())
    if not touch[3] < radius:
        return
    normal = wp.vec3(touch[0], touch[1], touch[2])
    depth = touch[3] - radius
    write_contact(
        contacts, world, geoms, at - (radius + 0.5 * depth) * normal, normal, depth, surface
    )
    if not ball:
        return
    other = closest_ground(ground, at, radius, normal)
    if other[3] < radius:
        face = wp.vec3(other[0], other[1], other[2])
        gap = other[3] - radius
        write_contact(contacts, world, geoms, at - (radius + 0.5 * gap) * face, face, gap, surface)


def contacts_of(data: Any) -> Any:
    """The arrays of MuJoCo-Warp's data that `find_contacts` writes."""
    contacts = Contacts()
    for name in _FIELDS:
        setattr(contacts, name, getattr(data.contact, name))
    contacts.count = data.nacon
    return contacts


def install(model: Any, data: Any, shapes: Any, ground: Any, surface: Any) -> None:
    """Let every step of MuJoCo-Warp find the contacts of these shapes with this ground.

    The model must have no pairs of geoms that collide by themselves. MuJoCo-Warp calls its hook
    for contact filters right after its own search.
    """
    contacts = contacts_of(data)
    size = (data.nworld, shapes.geom.shape[0])

    def find(_: Any, data: Any) -> None:
        inputs = [shapes, ground, surface, data.geom_xpos, data.geom_xmat, contacts]
        wp.launch(find_contacts, size, inputs=inputs, device=data.geom_xpos.device)

    model.callback.contactfilter = find
