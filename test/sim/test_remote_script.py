"""The script of the simulated remote: what is held at which time."""

import pytest

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.operator.pad import Pad
from safe_locomotion.operator.unitree_remote import decode_remote
from safe_locomotion.sim.remote_script import parse_holds, remote_at


def test_what_overlaps_is_held_together_to_the_millisecond() -> None:
    """Buttons and sticks of all holds count together, from their start until before their end."""
    holds = parse_holds("R1:ly=0.5:rx=-1@1-3,L2+B@2.5-3.5")
    drive = Pad(pressed=frozenset({"R1"}), ly=0.5, rx=-1.0)
    stop = frozenset({"L2", "B"})
    expected = {
        0.999: Pad(),
        1.0: drive,
        2.5: Pad(pressed=stop | {"R1"}, ly=0.5, rx=-1.0),
        3.0: Pad(pressed=stop),
        3.499: Pad(pressed=stop),
        3.5: Pad(),
    }
    assert {time: decode_remote(remote_at(holds, time)) for time in expected} == expected
    assert parse_holds("") == () and remote_at((), 1.0) == bytes(40)


@pytest.mark.parametrize(
    "text",
    [
        "R1",
        "R1@1",
        "R1@2-1",
        "R1@1-1",
        "R1@-1-2",
        "Q@1-2",
        "R1:lz=1@1-2",
        "R1:lx=2@1-2",
        "R1:lx@1-2",
        "R1@1-nan",
        "R1@1-inf",
        ",",
    ],
)
def test_what_is_no_script_is_refused(text: str) -> None:
    """A wrong form, button, axis, stick or time is a configuration error."""
    with pytest.raises(ConfigurationError):
        parse_holds(text)
