"""Equal primitives in a browser: one object with many instances, so a frame is a few messages."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import viser

from safe_locomotion.rotations import Vector
from safe_locomotion.types import Array
from safe_locomotion.ui.robot_body import Rgba

NOTHING = 1e-6  #: size of an instance that is hidden [m]
UPRIGHT = (1.0, 0.0, 0.0, 0.0)
SIDES = 32  #: of a cylinder


class Batch:
    """Equal primitives, each with a size, position, quaternion and colour."""

    def __init__(
        self, api: viser.SceneApi, name: str, kind: str, count: int, opacity: float | None = None
    ) -> None:
        self._count = count
        self._style: tuple[tuple[Vector, ...], tuple[Rgba, ...]] = ((), ())
        vertices, faces = _unit_mesh(kind)
        self._handle = api.add_batched_meshes_simple(
            name,
            vertices,
            faces,
            np.tile(UPRIGHT, (count, 1)),
            np.zeros((count, 3)),
            batched_scales=np.full((count, 3), NOTHING),
            batched_colors=np.zeros((count, 3), np.uint8),
            flat_shading=kind != "sphere",
            opacity=opacity,
            lod="off",
            cast_shadow=opacity is None,
            receive_shadow=False,
        )

    def place(self, positions: Array, wxyzs: Array | None = None) -> None:
        """Move the first n instances to positions (n, 3); with quaternions, turn them too."""
        self._handle.batched_positions = padded(positions, self._handle.batched_positions)
        if wxyzs is not None:
            self._handle.batched_wxyzs = padded(wxyzs, self._handle.batched_wxyzs)

    def style(self, sizes: Sequence[Vector], colors: Sequence[Rgba]) -> None:
        """Give the first n instances sizes [m] and colours, and hide all others."""
        wanted = (tuple(sizes), tuple(colors))
        if wanted == self._style:
            return
        self._style = wanted
        hidden = np.full((self._count, 3), NOTHING)
        self._handle.batched_scales = padded(np.array(sizes).reshape(-1, 3), hidden)
        if colors:
            self._handle.batched_colors = padded(rgb(colors), self._handle.batched_colors)


def _unit_mesh(kind: str) -> tuple[Array, Any]:
    """Vertices (n, 3) and triangles (m, 3) of a primitive that has size one along each axis."""
    if kind == "box":
        return _revolved(np.array([(0.0, -0.5), (0.5**0.5, -0.5), (0.5**0.5, 0.5), (0.0, 0.5)]), 4)
    if kind == "cylinder":
        return _revolved(np.array([(0.0, -0.5), (0.5, -0.5), (0.5, 0.5), (0.0, 0.5)]), SIDES)
    angles = np.linspace(-0.5 * np.pi, 0.5 * np.pi, SIDES // 2 + 1)
    return _revolved(0.5 * np.column_stack((np.cos(angles), np.sin(angles))), SIDES)


def _revolved(profile: Array, sides: int) -> tuple[Array, Any]:
    """Mesh of a profile of radii and heights (k, 2), turned around z in so many sides.

    With four sides, the sides are perpendicular to the axes.
    """
    around = 2.0 * np.pi * (np.arange(sides) + 0.5) / sides
    circle = np.column_stack((np.cos(around), np.sin(around)))
    rings = np.concatenate(
        (
            profile[:, None, :1] * circle,
            np.broadcast_to(profile[:, None, 1:], (len(profile), sides, 1)),
        ),
        axis=2,
    )
    ring, side = np.meshgrid(np.arange(len(profile) - 1), np.arange(sides), indexing="ij")
    a = ring * sides + side
    b = ring * sides + (side + 1) % sides
    faces = np.concatenate(
        (np.stack((a, b, b + sides), axis=2), np.stack((a, b + sides, a + sides), axis=2))
    )
    return rings.reshape(-1, 3), faces.reshape(-1, 3)


def padded(values: Array, rest: Any) -> Any:
    """`values`, then the rows of `rest` past their end."""
    return values if len(values) == len(rest) else np.concatenate((values, rest[len(values) :]))


def rgb(colors: Sequence[Rgba]) -> Any:
    """Colours (n, 3) as bytes."""
    return np.array([[round(255.0 * part) for part in color[:3]] for color in colors], np.uint8)


def ball(diameter: float) -> Vector:
    """Size of a ball."""
    return diameter, diameter, diameter


def upright_on(normal: Vector) -> tuple[float, float, float, float]:
    """Quaternion wxyz of the shortest rotation from z to the normal."""
    x, y, z = normal
    w = 1.0 + z
    length = (w * w + x * x + y * y) ** 0.5
    return (w / length, -y / length, x / length, 0.0) if length > 1e-6 else UPRIGHT
