"""What the campaign does to a walking robot, and what must follow.

An attack gets the world and random numbers. It returns how long after it the motors were damped or
let go, in robot time. None says that the robot walked on.
"""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import rclpy
from campaign_faults import fill
from campaign_world import ANSWER_S, SWAPPED, TAG, Kind, World
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState, MultiDOFJointState
from std_msgs.msg import Float64MultiArray, String

from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2
from safe_locomotion.commands import damping_command
from safe_locomotion.nodes.conversions import twist_message
from safe_locomotion.nodes.operator import REMOTE_REQUEST
from safe_locomotion.nodes.subscriptions import LATCHED, NEWEST
from safe_locomotion.runtime.processes import BRIDGES
from safe_locomotion.types import LowState, Mode, VelocityCommand
from safe_locomotion.ui.scene_topics import Queue

Rng = np.random.Generator
Outcome = tuple[int | None, str]  #: time to damping [ms of robot time], and a remark
SEEN = 150  #: states in which a new program is found
LOOK = 60  #: states after an attack
MALFORMED = b"\x00\x01\x00\x00\xff\xff"
TICK_S = 0.004  #: phases of kills and pauses spread over two ticks
CONNECTIONS = 60
FLOOD = 1500  #: messages
BURNED_S = 2.0
HUNGRY_MB = 700
FULL_BYTES = 300_000
SEATED = 2000  #: states in which a walking robot has sat down; it takes about 320
DIAGNOSED = 1000  #: states in which each node publishes on /diagnostics
TOPICS: dict[str, type] = {
    "policy/proposal": JointState,
    "state_estimate": Float64MultiArray,
    "safety/verdict": JointState,
    "safety/hazards": JointState,
    "safety/feedback": JointState,
    "mpc/plan": MultiDOFJointState,
    "cmd_vel": TwistStamped,
    "remote/request": String,
    "/diagnostics": DiagnosticArray,
}


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One kind of attack.

    Attributes:
        name: of its row.
        do: carries it out.
        bound_ms: longest time to damping; None where nothing need be damped.
        walks: whether the robot may walk on instead.
        graphs: where it makes sense.
        ends: whether the stack must be started again.
        possible: whether this machine lets it be tried.
    """

    name: str
    do: Callable[[World, Rng], Outcome]
    bound_ms: int | None
    walks: bool = False
    graphs: tuple[Kind, ...] = ("composed", "nodes")
    ends: bool = False
    possible: Callable[[World], bool] = lambda _: True


def _phase(rng: Rng, act: Callable[[], object]) -> None:
    """Do something at a random phase of the tick."""
    time.sleep(float(rng.uniform(0.0, TICK_S)))
    act()


def _signal(world: World, name: str, number: int) -> None:
    world.running[name].send_signal(number)


def _watch_silence(world: World, name: str, first: Callable[[], object]) -> Outcome:
    """The robot goes on at its own pace without whoever answers it."""
    answers = name not in BRIDGES
    world.step(answer_s=ANSWER_S if answers else 0.01, after=first)
    return world.damped_after_ms(LOOK, answer_s=ANSWER_S if answers else 0.01), ""


def kill(name: str, world: World, rng: Rng) -> Outcome:
    """End a process without a word."""
    return _watch_silence(
        world, name, lambda: _phase(rng, lambda: _signal(world, name, signal.SIGKILL))
    )


def pause(name: str, world: World, rng: Rng) -> Outcome:
    """Stop a process for 0.2 to 1 s and let it run on."""
    outcome = _watch_silence(
        world, name, lambda: _phase(rng, lambda: _signal(world, name, signal.SIGSTOP))
    )
    end = time.monotonic() + float(rng.uniform(0.0, 0.8))
    while time.monotonic() < end:
        world.step(answer_s=0.01)
    _signal(world, name, signal.SIGCONT)
    for _ in range(LOOK):
        world.step(answer_s=0.02)
    return outcome


def foreign_command(count: int, world: World, rng: Rng) -> Outcome:
    """Another program sends low commands."""
    other = UnitreeSdk2(stop_kd=2.0, domain=world.domain)
    try:
        _steps_until(world, lambda: world.wire.controllers() == 2)
        for _ in range(SEEN):  # until the bridge has found it too
            world.step()
        command = replace(damping_command(0, 3.0), q=np.full(12, 0.1))

        def send() -> None:
            for _ in range(count):
                _phase(rng, lambda: other.write(command))

        world.step(after=send)
        time.sleep(0.03)  # it is in the bridge's queue by then
        return world.damped_after_ms(LOOK), ""
    finally:
        other.close()


def _steps_until(world: World, condition: Callable[[], bool], most: int = 1000) -> None:
    for _ in range(most):
        if condition():
            return
        world.step()


def bad_state(change: Callable[[LowState], LowState], world: World, rng: Rng) -> Outcome:
    """The robot's sensors fail."""
    return world.damped_after_ms(LOOK + 30, change=change), ""


def second_source(world: World, rng: Rng) -> Outcome:
    """Another program sends LowStates."""
    other = RobotWire(domain=world.domain)
    try:
        frozen = world.state()
        _steps_until(world, lambda: other.controllers() == 1)
        return world.damped_after_ms(LOOK, after=lambda: other.publish(frozen)), ""
    finally:
        other.close()


@contextmanager
def stranger(world: World) -> Iterator[Any]:
    """A node of another program in the ROS domain."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=world.ros_domain)
    node = rclpy.create_node("stranger", context=context)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def malformed(world: World, rng: Rng) -> Outcome:
    """Raw bytes on every topic of the stack."""
    with stranger(world) as node:
        names = [str(name) for name in rng.permutation(list(TOPICS))]
        publishers = [node.create_publisher(TOPICS[name], name, LATCHED) for name in names]
        for _ in range(SEEN):
            world.step()
        for publisher in publishers:
            publisher.publish(MALFORMED)
            world.step()
        return world.damped_after_ms(LOOK), ""


def forged_verdicts(world: World, rng: Rng) -> Outcome:
    """A program publishes verdicts, as the supervisor does."""
    with stranger(world) as node:
        publisher = node.create_publisher(JointState, "safety/verdict", LATCHED)
        node.create_publisher(MultiDOFJointState, "mpc/plan", NEWEST)
        message = JointState(name=["mode"], position=[float(Mode.WALK)])
        return world.damped_after_ms(5 * LOOK, after=lambda: publisher.publish(message)), ""


def flood(world: World, rng: Rng) -> Outcome:
    """Velocities and words of a remote, as fast as they can be sent."""
    with stranger(world) as node:
        velocity = node.create_publisher(TwistStamped, "cmd_vel", 1)
        words = node.create_publisher(String, REMOTE_REQUEST, 10)

        def send() -> None:
            for _ in range(FLOOD // LOOK):
                velocity.publish(twist_message(VelocityCommand(vx=0.2), 0))
                words.publish(String(data="nothing"))

        return world.damped_after_ms(LOOK, after=send), ""


def viewer_connections(world: World, rng: Rng) -> Outcome:
    """Many silent connections, some of which send garbage."""
    sockets = []
    try:
        for k in range(CONNECTIONS):
            one = socket.create_connection(("127.0.0.1", viewer_port(world)), timeout=2.0)
            sockets.append(one)
            if k % 3 == 0:
                one.sendall(rng.bytes(200))
        return world.damped_after_ms(2 * LOOK), ""
    except OSError as error:
        return world.damped_after_ms(LOOK), f"{error}"
    finally:
        for one in sockets:
            one.close()


def viewer_port(world: World) -> int:
    """Port that the viewer names in its log."""
    said = (world.folder / "viewer_node.log").read_text()
    return int(said.partition("127.0.0.1:")[2].split("/")[0].split()[0])


def _child(program: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, TAG: str(os.getpid())}
    return subprocess.Popen([sys.executable, "-c", program], env=environment)


def starvation(world: World, rng: Rng) -> Outcome:
    """As many busy processes as there are cores, and one more."""
    busy = f"import time\nend = time.monotonic() + {BURNED_S}\nwhile time.monotonic() < end: pass"
    children = [_child(busy) for _ in range((os.cpu_count() or 1) + 1)]
    try:
        return world.damped_after_ms(5 * LOOK), ""
    finally:
        for child in children:
            child.kill()
            child.wait()


def memory_pressure(world: World, rng: Rng) -> Outcome:
    """Another process fills memory and keeps writing it."""
    program = f"import time\nb = bytearray({HUNGRY_MB} << 20)\nend = time.monotonic() + 2\n"
    program += "while time.monotonic() < end:\n for k in range(0, len(b), 4096): b[k] += 1 % 2"
    child = _child(program)
    try:
        return world.damped_after_ms(5 * LOOK), ""
    finally:
        child.kill()
        child.wait()


@contextmanager
def no_file_grows(world: World) -> Iterator[None]:
    """Files of the recorder and of the stack may not grow."""
    pids = [world.running[name].pid for name in ("recorder_node", f"{world.graph}_node")]
    kept = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids]
    for pid, (_, hard) in zip(pids, kept, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (FULL_BYTES, hard))
    yield
    for pid, limits in zip(pids, kept, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@contextmanager
def no_byte_left(world: World) -> Iterator[None]:
    """The disk of the episodes is full."""
    filler = fill(world.folder / "walks")
    yield
    filler.unlink()


def no_room(
    fault: Callable[[World], AbstractContextManager[None]], world: World, rng: Rng
) -> Outcome:
    """There is no room while an episode is open, and later there is room again."""
    world.operator.ask("record")
    bag = world.folder / "walks"
    _steps_until(world, lambda: any(bag.glob("*/*.mcap")), 500)
    opened = len(list(bag.glob("*/*.mcap")))
    with fault(world):
        outcome = world.damped_after_ms(1000)
    world.operator.ask("record")
    _steps_until(world, lambda: len(list(bag.glob("*/*.mcap"))) > opened, 500)
    again = len(list(bag.glob("*/*.mcap"))) > opened
    world.operator.ask("record")
    for _ in range(LOOK):
        world.step()
    return outcome, "" if opened and again else f"episodes {opened}, then {again}"


def clock_jumps(world: World, rng: Rng) -> Outcome:
    """The wall clock jumps by up to two hours, back or on.

    `/diagnostics` must go on, and so must the words of the operator.
    """
    assert world.clock is not None
    with stranger(world) as node:
        rows = Queue(node, DiagnosticArray, "/diagnostics", QoSProfile(depth=100))
        _steps_until(world, lambda: bool(rows.take()))
        world.clock.write_text(f"{rng.choice((-1, 1)) * rng.uniform(60.0, 7200.0):+.0f}\n")
        outcome = world.damped_after_ms(DIAGNOSED)
        rows.take()
        if outcome is None:
            outcome = world.damped_after_ms(DIAGNOSED)
        told = len(rows.take())
    world.operator.request("sit")
    _steps_until(world, lambda: world.mode is Mode.SIT, SEATED)
    remark = "" if told else "no diagnostics after it"
    return outcome, remark if world.mode is Mode.SIT else f"{remark} not heard: sit"


def swap(world: World, rng: Rng) -> Outcome:
    """Another policy takes over."""
    world.operator.swap(str(rng.choice(SWAPPED)))
    return world.damped_after_ms(5 * LOOK), ""


def sit(world: World, rng: Rng) -> Outcome:
    """A change of modes, at a random phase of the stride."""
    world.operator.request("sit")
    _steps_until(world, lambda: world.mode is Mode.SIT, SEATED)
    for _ in range(int(rng.integers(0, 300))):
        world.step()
    return None, ""


def nan(state: LowState) -> LowState:
    """An encoder gives no number."""
    return replace(state, q=np.where(np.arange(12) == 4, np.nan, state.q))


def off(state: LowState) -> LowState:
    """A joint is where it cannot be."""
    return replace(state, q=state.q + np.where(np.arange(12) == 2, -1.5, 0.0))


def tilted(state: LowState) -> LowState:
    """The attitude is another at once."""
    return replace(state, quaternion_wxyz=np.array((np.cos(0.5), np.sin(0.5), 0.0, 0.0)))


def frozen(state: LowState) -> LowState:
    """The IMU repeats itself."""
    return replace(state, gyro=np.zeros(3), accelerometer=np.array((0.0, 0.0, 9.81)))
