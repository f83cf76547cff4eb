"""Names of the grounds of the simulator, as users write them."""

from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.sim.tiles import KINDS, LEVELS, check_tile

TERRAINS = ("flat", "slope", "stairs", "rough")
"""Grounds along +x."""
CHOICES = (*TERRAINS, *(f"{kind}:0 to {kind}:{LEVELS - 1}" for kind in KINDS))


def tile_of(name: str) -> tuple[str, int] | None:
    """Kind and level of a tile of ALARM such as `up_stairs:6`; None for one of `TERRAINS`.

    Raises:
        UnknownNameError: no such ground.
        ConfigurationError: the level is missing, or there is no such level.
    """
    if name in TERRAINS:
        return None
    kind, colon, text = name.partition(":")
    if kind not in KINDS:
        raise UnknownNameError("terrain", name, CHOICES)
    if not (colon and text.isascii() and text.isdigit()):
        raise ConfigurationError(
            f"terrain {name!r} needs a level from 0 to {LEVELS - 1}, e.g. {kind}:6"
        )
    level = int(text)
    check_tile(kind, level)
    return kind, level
