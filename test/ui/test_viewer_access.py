"""Access control of the browser: the token, and the dead-man of the velocity."""

from math import inf, nan

import pytest

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.operator.velocity import CommandLimits
from safe_locomotion.types import VelocityCommand
from safe_locomotion.ui.viewer.access import (
    HALT_S,
    HOLD_S,
    LONGEST_S,
    REMEMBERED_CLIENTS,
    RETRY_S,
    TOKEN_LENGTH,
    Access,
    VelocityPad,
    new_token,
)

LIMITS = CommandLimits(vx=1.0, vy=0.5, wz=2.0, timeout=0.5)
ZERO = VelocityCommand()


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_each_connection_needs_the_token():
    """One connection does not unlock others, and needs the token again after it has ended."""
    access = Access("correct-horse")
    assert access.unlock(1, " correct-horse\n") == ""
    assert access.allows(1) and not access.allows(2)
    access.forget(1)
    assert not access.allows(1)


@pytest.mark.parametrize(
    "word", ["", "correct-hors", "correct-horse1", "CORRECT-HORSE", "corréct-horse", "\0"]
)
def test_another_word_is_refused(word):
    """A part of the token, more than the token, and other letters unlock nothing."""
    access = Access("correct-horse")
    assert access.unlock(1, word) == "wrong token"
    assert not access.allows(1)


def test_a_client_waits_after_each_wrong_token_and_others_do_not(clock):
    """The wait doubles up to its longest. The owner unlocks while a stranger guesses."""
    access = Access("correct-horse", clock)
    wait_s = RETRY_S
    for _ in range(12):
        assert access.unlock(1, "guess") == "wrong token"
        clock.now += 0.99 * wait_s
        assert "wait" in access.unlock(1, "correct-horse") and not access.allows(1)
        clock.now += 0.02 * wait_s
        wait_s = min(2.0 * wait_s, LONGEST_S)
    assert wait_s == LONGEST_S
    access.unlock(1, "guess")
    assert access.unlock(2, "correct-horse") == "" and access.allows(2)
    clock.now += 1.01 * LONGEST_S
    assert access.unlock(1, "correct-horse") == ""


def test_fifty_guesses_a_second_do_not_lock_the_owner_out(clock):
    """The attack of which this test is left: each guess on a connection of its own."""
    access = Access("correct-horse", clock)
    for client in range(2, 602):
        assert access.unlock(client, "guess") == "wrong token"
        clock.now += 0.02
        assert access.unlock(1, "correct-horse") == ""
        access.forget(1)


def test_the_right_token_and_the_end_of_a_connection_forget_its_wrong_ones(clock):
    """The next wrong one waits as short as the first."""
    access = Access("correct-horse", clock)
    for proved in (lambda: access.unlock(1, "correct-horse"), lambda: access.forget(1)):
        for _ in range(4):
            access.unlock(1, "guess")
            clock.now += LONGEST_S
        proved()
        access.unlock(1, "guess")
        clock.now += 1.01 * RETRY_S
        assert access.unlock(1, "correct-horse") == ""


def test_the_memory_for_wrong_tokens_is_bounded(clock):
    """The newest are kept."""
    access = Access("correct-horse", clock)
    for client in range(REMEMBERED_CLIENTS + 1):
        access.unlock(client, "guess")
    assert "wait" in access.unlock(REMEMBERED_CLIENTS, "correct-horse")
    assert "wait" in access.unlock(1, "correct-horse")
    assert access.unlock(0, "correct-horse") == ""


def test_a_short_token_is_refused_and_new_ones_differ():
    """A user's token has at least eight characters; new ones are longer and random."""
    with pytest.raises(ConfigurationError, match="8 characters"):
        Access("1234567")
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100 and {len(token) for token in tokens} == {TOKEN_LENGTH}


def test_a_velocity_holds_while_the_button_is_held(clock):
    """Without a touch it is zero after `HOLD_S`, and `HALT_S` later nothing is published."""
    pad = VelocityPad(LIMITS, clock)
    assert pad.command() is None
    for _ in range(5):
        assert pad.touch(1, 0.4, 0.0, 0.1) == ""
        clock.now += 0.9 * HOLD_S
        assert pad.command() == VelocityCommand(vx=0.4, wz=0.1)
    clock.now += 0.2 * HOLD_S
    assert pad.command() == ZERO
    clock.now += HALT_S
    assert pad.command() is None


def test_letting_go_stops_at_once(clock):
    """The velocity does not wait for `HOLD_S`; other connections cannot release it."""
    pad = VelocityPad(LIMITS, clock)
    pad.touch(1, 0.4, 0.0, 0.0)
    pad.release(2)
    assert pad.command() == VelocityCommand(vx=0.4)
    pad.release(1)
    assert pad.command() == ZERO


def test_one_connection_drives_at_a_time(clock):
    """A second one is refused until the first has let go."""
    pad = VelocityPad(LIMITS, clock)
    pad.touch(1, 0.4, 0.0, 0.0)
    clock.now += 0.1
    assert "another" in pad.touch(2, -1.0, 0.0, 0.0)
    assert pad.command() == VelocityCommand(vx=0.4)
    pad.release(1)
    assert pad.command() == ZERO
    assert pad.touch(2, -0.2, 0.0, 0.0) == ""
    assert pad.command() == VelocityCommand(vx=-0.2)


def test_commands_are_clipped_and_must_be_numbers(clock):
    """The published velocity lies inside the limits for everything that a page sends."""
    pad = VelocityPad(LIMITS, clock)
    pad.touch(1, 99.0, -99.0, 1.5)
    assert pad.command() == VelocityCommand(vx=1.0, vy=-0.5, wz=1.5)
    for bad in (nan, inf, -inf):
        for velocity in ((bad, 0.0, 0.0), (0.0, bad, 0.0), (0.0, 0.0, bad)):
            pad = VelocityPad(LIMITS, clock)
            assert "not a number" in pad.touch(1, *velocity)
            assert pad.command() is None
