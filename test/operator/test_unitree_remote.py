"""The bytes of the remote: every button and stick, corrupt bytes, and the emergency stop."""

import math
import struct
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from core_values import A1, CONFIG_FILE, TROT, estimate
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.config import load_config
from safe_locomotion.operator.driving import NO_WISH
from safe_locomotion.operator.pad import BUTTONS, Pad
from safe_locomotion.operator.unitree_remote import (
    SIZE,
    EstopButton,
    RemoteControl,
    decode_remote,
    encode_remote,
)
from safe_locomotion.pipeline import make_supervisor, standing_state
from safe_locomotion.safety.command_stage import CommandStage
from safe_locomotion.types import DAMPED, LowState, Mode, StancePlan, VelocityCommand, Verdict

A1_CONFIG = load_config(CONFIG_FILE)
TICK_NS = 2_000_000
START_NS = 1_700_000_000_000_000_000
STOP = encode_remote(Pad(pressed=frozenset({"L2", "B"})))
AHEAD = encode_remote(Pad(pressed=frozenset({"R1"}), ly=1.0))
NOTHING = bytes(SIZE)
#: Bits by byte, high bit first, as the vendor's header lists them.
BYTE_2 = ("F2", "F1", "L2", "R2", "select", "start", "L1", "R1")
BYTE_3 = ("left", "down", "right", "up", "Y", "X", "B", "A")


def low_state(k: int, remote: bytes) -> LowState:
    return replace(standing_state(A1, START_NS + k * TICK_NS), remote=remote)


def verdict(
    mode: Mode,
    *reasons: str,
    stamp_ns: int = START_NS,
    active: Literal["learner", "recovery"] = "recovery",
) -> Verdict:
    return Verdict(
        stamp_ns=stamp_ns,
        mode=mode,
        mode_since_ns=START_NS,
        active=active,
        gait=TROT,
        command=VelocityCommand(),
        reasons=reasons,
    )


@pytest.mark.parametrize("byte", [2, 3])
@pytest.mark.parametrize("bit", range(8))
def test_every_button_has_its_bit(byte: int, bit: int) -> None:
    """Each button has the byte and bit of the vendor's header, and presses nothing else."""
    raw = bytearray(SIZE)
    raw[byte] = 0x80 >> bit
    pad = decode_remote(bytes(raw))
    assert pad == Pad(pressed=frozenset({(BYTE_2 if byte == 2 else BYTE_3)[bit]}))
    assert pad is not None and encode_remote(pad) == bytes(raw)


@pytest.mark.parametrize(("name", "at"), [("lx", 4), ("rx", 8), ("ry", 12), ("ly", 20)])
def test_every_stick_has_its_place(name: str, at: int) -> None:
    """A stick is a little-endian float32 at its offset, clipped a little beyond its end.

    Values further out are not from a remote.
    """
    for value, read in ((0.5, 0.5), (-1.0, -1.0), (1.04, 1.0), (-1.04, -1.0)):
        raw = bytearray(SIZE)
        struct.pack_into("<f", raw, at, value)
        assert decode_remote(bytes(raw)) == Pad(**{name: read})
    for value in (1.06, -1.06, 3e38, math.inf, -math.inf, math.nan):
        struct.pack_into("<f", raw, at, value)
        assert decode_remote(bytes(raw)) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00",
        bytes(39),
        bytes(41),
        b"\xff" * 40,
        b"\xff" * 4 + bytes(36),
        bytes([0, 0, 0, 0x50]) + bytes(36),
        bytes([0, 0, 0, 0xA0]) + bytes(36),
    ],
)
def test_what_no_remote_sends_is_no_reading(raw: bytes) -> None:
    """Another length, all ones, all buttons, up with down, and left with right are refused."""
    assert decode_remote(raw) is None


@given(st.binary(max_size=64), st.booleans())
def test_random_bytes_never_drive_without_the_dead_man_nor_past_the_limits(
    raw: bytes, long_enough: bool
) -> None:
    """Any bytes for half a second drive only if they are a valid remote with the dead-man held."""
    raw = raw.ljust(SIZE, b"\x00")[:SIZE] if long_enough else raw
    control = RemoteControl(A1_CONFIG.driving)
    driving = A1_CONFIG.driving
    pad = decode_remote(raw)
    for k in range(0, 250, 5):
        control.update(low_state(k, raw), None)
        c = control.wish.command
        assert abs(c.vx) <= driving.vx and abs(c.vy) <= driving.vy and abs(c.wz) <= driving.wz
        if pad is None or "R1" not in pad.pressed or control.estop.latched:
            assert control.wish.command == VelocityCommand() and not control.wish.drives
        assert not control.wish.request  # a button pressed from the beginning counts as stuck


@given(st.lists(st.binary(min_size=SIZE, max_size=SIZE), max_size=30))
def test_the_remote_takes_any_sequence_of_bytes(raws: list[bytes]) -> None:
    """No bytes raise an exception, and bytes that are not valid give no wish."""
    control = RemoteControl(A1_CONFIG.driving)
    for k, raw in enumerate(raws):
        if control.update(low_state(5 * k, raw), None) and not control.valid:
            assert control.wish == NO_WISH


def press(button: EstopButton, raw: bytes, times: int, said: Verdict | None = None) -> bool:
    return [button.update(raw, said) for _ in range(times)][-1]


def test_two_states_in_a_row_stop_and_one_does_not() -> None:
    """The stop counts after two LowStates in a row; single ones never count, however many."""
    button = EstopButton({"L2", "B"})
    for _ in range(10):
        assert not press(button, STOP, 1) and not press(button, NOTHING, 1)
    assert not press(button, STOP, 1) and press(button, STOP, 1)


@pytest.mark.parametrize(
    "raw",
    [STOP, STOP[:4], STOP[:4] + b"\xff" * 36, bytes([9, 9, 0xFF, 0x7F]), bytes([0, 0, 0x3F, 0xFF])],
)
def test_the_stop_needs_no_more_than_its_two_buttons(raw: bytes) -> None:
    """The stop counts with broken sticks, other buttons pressed, or a shorter record."""
    assert press(EstopButton({"L2", "B"}), raw, 2)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x20", NOTHING, b"\xff" * 40, encode_remote(Pad(pressed=frozenset(BUTTONS) - {"B"}))],
)
def test_a_broken_line_and_other_buttons_are_no_stop(raw: bytes) -> None:
    """All ones, too few bytes, and all buttons but one of the chord are no stop."""
    assert not press(EstopButton({"L2", "B"}), raw, 100)


@pytest.mark.parametrize("mode", list(Mode))
def test_only_a_verdict_that_latched_it_releases_the_stop(mode: Mode) -> None:
    """Only FAULT with the reason `estop` unlatches the stop, and only after its release."""
    button = EstopButton({"L2", "B"})
    heard = verdict(Mode.FAULT, "estop")
    assert press(button, STOP, 50, heard)
    assert press(button, NOTHING, 5000)
    assert press(button, NOTHING, 50, verdict(mode))
    assert press(button, NOTHING, 50, verdict(mode, "motor_off"))
    assert press(button, NOTHING, 1, verdict(mode, "estop")) is (mode is not Mode.FAULT)


@pytest.mark.parametrize("mode", list(Mode))
def test_the_stop_damps_in_every_mode_within_three_states(mode: Mode) -> None:
    """From the second LowState on the command damps, although the supervisor does not react.

    The supervisor's verdicts are fresh but keep their mode.
    """
    stage = CommandStage(A1, A1_CONFIG.bridge.gains, A1_CONFIG.bridge.limits)
    control = RemoteControl(A1_CONFIG.driving)
    force = np.tile([0.0, 0.0, A1.mass * 9.81 / 4], (4, 1))
    feet = np.array([[x, y, -A1.nominal_height] for x in (0.18, -0.18) for y in (-0.13, 0.13)])
    for k in range(60):
        state = low_state(k, STOP if 20 <= k < 23 else AHEAD)
        said = replace(verdict(mode, stamp_ns=state.stamp_ns), command=VelocityCommand(vx=0.5))
        plan = StancePlan(
            stamp_ns=state.stamp_ns,
            stance=np.full(4, True),
            force=force,
            foot_position=feet,
            foot_velocity=np.zeros((4, 3)),
        )
        control.update(state, said)
        stage.gate.report(frozenset({"estop"}) if control.estop.latched else frozenset())
        command = stage.update(state, said, plan)
        passive = not (command.kp.any() or command.tau.any() or command.dq.any())
        damps = passive and bool((command.kd > 0.0).all())
        assert damps is (mode in DAMPED or k >= 21), (mode, k, command.reason)
        if mode not in DAMPED and k >= 21:
            assert command.reason == "estop" and control.wish == NO_WISH


@pytest.mark.parametrize("request_", ["stand", "walk", "sit", "reset"])
def test_a_supervisor_that_hears_of_it_stays_down_until_reset(request_: str) -> None:
    """The supervisor is in FAULT on the tick of the report; only a reset after it ends FAULT."""
    supervisor = make_supervisor(A1, A1_CONFIG)
    now = estimate(stamp_ns=START_NS)
    supervisor.report(frozenset({"estop"}))
    assert supervisor.update(now, None, VelocityCommand()).mode is Mode.FAULT
    supervisor.request(request_)
    assert supervisor.update(now, None, VelocityCommand()).mode is Mode.FAULT
    supervisor.report(frozenset())
    left = supervisor.update(now, None, VelocityCommand())
    assert left.mode is Mode.FAULT and "estop" in left.reasons
    assert supervisor.request("reset") is None
    assert supervisor.update(now, None, VelocityCommand()).mode is Mode.PASSIVE


def test_driving_and_asking_by_bytes() -> None:
    """The dead-man and a stick give a velocity, a chord gives one request, bad bytes give none."""
    control = RemoteControl(A1_CONFIG.driving)
    requests = []
    stand = encode_remote(Pad(pressed=frozenset({"R2", "up"})))
    sent = [NOTHING] * 50 + [AHEAD] * 50 + [NOTHING] * 50 + [stand] * 100 + [b"\xff" * 40] * 250
    for k, raw in enumerate(sent):
        if control.update(low_state(k, raw), None) and control.wish.request:
            requests.append((k, control.wish.request))
        assert control.wish.drives is (50 <= k < 100), k
    assert [name for _, name in requests] == ["stand"] and 150 < requests[0][0] <= 150 + 25
    assert not control.valid
