"""Parts of `safe-locomotion sim`: domains, keyboard, settings, scripts, progress, memory."""

import os
import socket

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.backends.domains import (
    FIRST_UNICAST_PORT,
    LAST,
    PORT_BASE,
    PORTS_PER_DOMAIN,
    claim_domain,
)
from safe_locomotion.cli.drive.keyboard import STEP, KeyDrive
from safe_locomotion.cli.sim.memory import MemoryWatch, resident_mb
from safe_locomotion.cli.sim.progress import last_row
from safe_locomotion.cli.sim.settings import RANDOM_VELOCITY, random_steps, write_config
from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.operator.requests import REQUESTS, Step, format_script, parse_script
from safe_locomotion.runtime.stage_log import StageLog
from safe_locomotion.types import Mode, VelocityCommand

speeds = st.floats(-3.0, 3.0)
times = st.lists(st.floats(0.0, 1e4), min_size=1, max_size=8).map(sorted)


@given(times, st.data())
def test_a_script_survives_its_text(at, data):
    """format_script and parse_script are inverse to the last digit."""
    steps = tuple(
        Step(
            time=time,
            request=data.draw(st.sampled_from(REQUESTS)),
            command=VelocityCommand(
                vx=data.draw(speeds), vy=data.draw(speeds), wz=data.draw(speeds)
            ),
        )
        for time in at
    )
    assert parse_script(format_script(steps)) == steps


def test_two_claims_never_share_a_domain():
    """Two reserved domains differ, and a reserved domain is refused by name."""
    with claim_domain() as first, claim_domain() as second:
        assert first != second
        with pytest.raises(ConfigurationError, match=str(first)), claim_domain(first):
            pass
    with claim_domain(first) as again:
        assert again == first


def test_a_domain_whose_port_is_busy_is_refused():
    """A domain is refused while another program uses its first unicast port."""
    with claim_domain() as domain:
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", PORT_BASE + PORTS_PER_DOMAIN * domain + FIRST_UNICAST_PORT))
        with pytest.raises(ConfigurationError, match="in use"), claim_domain(domain):
            pass


@pytest.mark.parametrize("domain", [-1, 0, 1, LAST + 1])
def test_domains_of_robots_are_refused(domain):
    """Domains 0 and 1 belong to robots and simulators, and those above 101 to Linux."""
    with pytest.raises(ConfigurationError, match=r"2\.\.101"), claim_domain(domain):
        pass


def test_keys_change_the_velocity_and_undo_each_other():
    """Each direction has its opposite; space, x and r stop; other keys do nothing."""
    drive = KeyDrive("a1_mpc")
    assert drive.press("w") and drive.goal == "walk" and drive.velocity == VelocityCommand(vx=0.1)
    assert all(drive.press(key) for key in "sadqe") and drive.velocity == VelocityCommand()
    drive.press("q")
    for key, goal in ((" ", "walk"), ("x", "sit"), ("r", "stand")):
        assert drive.press(key) and drive.velocity == VelocityCommand() and drive.goal == goal
    assert not drive.press("z") and set(STEP) == set("wsadqe")


def test_a_key_after_standing_does_not_stand_up_first():
    """A key acts at once on a robot that has stood before: x in STAND requests to sit."""
    drive = KeyDrive("a1_mpc")
    drive.press("x")
    assert drive.script(stood_ns=1).update(2_000_000_000, Mode.STAND)[0] == "sit"
    assert drive.script(stood_ns=None).update(2_000_000_000, Mode.PASSIVE)[0] == "stand"


def test_random_commands_are_bounded_and_seeded():
    """Equal seeds give equal commands, all within their ranges, over the whole time."""
    first = random_steps(60.0, np.random.default_rng(5))
    second = random_steps(60.0, np.random.default_rng(5))
    assert first == second != random_steps(60.0, np.random.default_rng(6))
    assert 15 <= len(first) <= 31 and first[0].time == 0.0
    for step in first:
        v = (step.command.vx, step.command.vy, step.command.wz)
        assert all(low <= x <= high for x, (low, high) in zip(v, RANDOM_VELOCITY, strict=True))


def test_changed_parameters_reach_every_reader(tmp_path):
    """The file that --set writes holds the change and is otherwise the robot's own."""
    path = write_config("a1", {"mpc.locomotion.body_height": 0.25}, tmp_path)
    changed = load_config(path)
    own = load_config("a1")
    assert changed.mpc.locomotion.body_height == 0.25 and changed.bridge == own.bridge
    assert write_config("a1", {}, tmp_path) == ""


def test_last_row_ignores_a_row_half_written(tmp_path):
    """Progress reads only complete rows."""
    log = StageLog(tmp_path / "x.log", ("a", "b"))
    for i in range(3):
        log.append(i, 10.0 * i)
    log.close()
    path = tmp_path / "x.log"
    header = len(path.read_bytes().split(b"\n")[0]) + 1
    with path.open("ab") as file:
        file.write(b"\x01\x02\x03")
    np.testing.assert_array_equal(last_row(path, 2, header), (2.0, 20.0))
    assert last_row(tmp_path / "none", 2, 0) is None


def test_memory_growth_counts_from_the_first_minute():
    """The growth is the difference to the first sample after a minute.

    A process that has ended counts as zero.
    """
    watch = MemoryWatch([os.getpid()])
    watch.sample(1.0)
    assert watch.figures()["growth"] is None
    watch.sample(61.0)
    ballast = np.ones(8_000_000)
    watch.sample(62.0)
    figures = watch.figures()
    assert ballast.sum() and 40.0 < figures["growth"] < 100.0
    assert resident_mb([2**22 + 1]) == 0.0
