"""Every backend asks for the age of a command last: what gets old while it is packed never leaves.

A process may be stopped at any line. All that is slow comes before the question, so that the call
of the transport alone is left after it.
"""

import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from states import is_damping, resting_state, servo_command

from safe_locomotion.backends import legged_sdk, sdk2_codec
from safe_locomotion.backends.backend import POS_STOP, Backend, is_finite
from safe_locomotion.backends.mock import Mock
from safe_locomotion.backends.robot_link import RobotLink
from safe_locomotion.commands import damping_command
from safe_locomotion.types import LowCommand, LowState

STOP_KD = 3.0
AGE_S = 0.02
MODULES = {"go1": "unitree_legged_sdk.robot_interface", "a1": "robot_interface"}


class Clock:
    """A clock that stands, until the process stands still in `pass_over`."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pause_s = 0.0

    def __call__(self) -> float:
        """Time [s]."""
        return self.now

    def pass_over(self) -> None:
        """Let the next pause pass, once."""
        self.now += self.pause_s
        self.pause_s = 0.0

    def after(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, at whose end the process stands still."""

        def stopped(*arguments: Any, **options: Any) -> Any:
            result = work(*arguments, **options)
            self.pass_over()
            return result

        return stopped


@dataclass(frozen=True, kw_only=True)
class Ends:
    """A backend and its robot.

    Attributes:
        backend: its last slow step is followed by a pause of `clock`.
        received: what the robot got since the last call; True for damping.
        tell: send a state to the backend; None where a state cannot be sent.
        clock: of the process.
    """

    backend: Backend
    received: Callable[[], list[bool]]
    tell: Callable[[], None] | None
    clock: Clock


def replayed(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    """Recorded states and kept commands."""
    monkeypatch.setattr("safe_locomotion.backends.mock.is_finite", clock.after(is_finite))
    backend = Mock(stop_kd=STOP_KD, states=[resting_state(tick) for tick in (1, 3, 5, 7)])

    def received() -> list[bool]:
        kept = [is_damping(command, STOP_KD) for command in backend.commands]
        backend.commands.clear()
        return kept

    yield Ends(backend=backend, received=received, tell=lambda: None, clock=clock)
    backend.close()


def on_dds(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    """Both ends of the SDK2 wire."""
    pytest.importorskip("unitree_sdk2py")
    from wire_ends import taken, until

    from safe_locomotion.backends.domains import claim_domain
    from safe_locomotion.backends.robot_wire import RobotWire
    from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2

    encode = sdk2_codec.LowCommandCodec.encode
    monkeypatch.setattr(sdk2_codec.LowCommandCodec, "encode", clock.after(encode))
    ticks = iter(range(1, 100, 2))
    with claim_domain() as domain:
        backend = UnitreeSdk2(stop_kd=STOP_KD, domain=domain)
        robot = RobotWire(domain=domain)
        until(lambda: robot.controllers() == 1 and robot.listeners() == 1)
        yield Ends(
            backend=backend,
            received=lambda: [is_damping(command, STOP_KD) for command in taken(robot)],
            tell=lambda: robot.publish(resting_state(next(ticks))),
            clock=clock,
        )
        backend.close()
        robot.close()


def on_udp(name: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    """The vendor's library, which compresses and seals in `SetSend`."""
    module = pytest.importorskip(MODULES[name], reason="the vendor's module is not installed")
    if hasattr(module.LowState(), "bms") is (name == "a1"):
        pytest.skip(f"this module is not that of the {name}")

    class Udp(module.UDP):  # type: ignore[misc, name-defined]
        SetSend = clock.after(module.UDP.SetSend)

    monkeypatch.setitem(sys.modules, "robot_interface", module)
    monkeypatch.setattr(module, "UDP", Udp)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as robot:
        robot.bind(("127.0.0.1", 0))
        robot.settimeout(0.1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            free = probe.getsockname()[1]
        backend = legged_sdk.LeggedSdk(
            robot=name,
            stop_kd=STOP_KD,
            local_port=free,
            robot_address="127.0.0.1",
            robot_port=robot.getsockname()[1],
        )
        backend.greet()
        damping = robot.recv(4096)

        def received() -> list[bool]:
            kept = []
            try:
                while True:
                    kept.append(robot.recv(4096) == damping)
            except TimeoutError:
                return kept

        yield Ends(backend=backend, received=received, tell=None, clock=clock)
        backend.close()


@pytest.fixture(params=["mock", "unitree_sdk2", "go1", "a1"])
def ends(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    """Each backend in turn."""
    clock = Clock()
    if request.param == "mock":
        yield from replayed(clock, monkeypatch)
    elif request.param == "unitree_sdk2":
        yield from on_dds(clock, monkeypatch)
    else:
        yield from on_udp(request.param, clock, monkeypatch)


def damp(state: LowState) -> LowCommand:
    """Damping for a state, as `stop` sends it."""
    return damping_command(state.stamp_ns, STOP_KD, q=np.full(12, POS_STOP))


def test_a_fresh_command_leaves(ends: Ends) -> None:
    """Without a pause the robot gets the command."""
    asked = []

    def fresh() -> bool:
        asked.append(ends.clock())
        return True

    assert ends.backend.write(servo_command(), fresh)
    assert ends.received() == [False] and asked == [100.0]


def test_the_question_comes_after_all_that_is_slow(ends: Ends) -> None:
    """A pause during conversion, checksum or serialisation is seen, and nothing is sent."""
    written = ends.backend.counters.written
    ends.clock.pause_s = 0.15
    assert not ends.backend.write(servo_command(), lambda: ends.clock() <= 100.0 + AGE_S)
    assert ends.clock() > 100.1, "this backend packs elsewhere; the test must wrap that"
    assert ends.received() == [] and ends.backend.counters.written == written
    assert ends.backend.write(damp(resting_state()))
    assert ends.received() == [True]


def test_the_robot_gets_damping_and_never_the_old_command(ends: Ends) -> None:
    """The link answers such a pause by damping, and the next state by a command again."""
    if ends.tell is None:
        pytest.skip("the vendor's library does not take states of our making")
    link = RobotLink(
        lambda: ends.backend,
        damp,
        silence_s=5.0,
        age_s=AGE_S,
        damping_s=0.0,
        clock=ends.clock,
    )
    link.open()
    link.activate()
    for pause_s in (0.0, 0.15, 0.0):
        ends.tell()
        assert link.read() is not None
        ends.clock.pause_s = pause_s
        assert link.write(servo_command()) == pytest.approx(pause_s)
        assert ends.received() == [pause_s > 0.0]
    assert link.late == 1
