"""The five processes with topics in between give the commands of `Pipeline.step`, bit for bit.

Topics of the control path keep no history. A process that does not know of another yet misses its
first message, and then computes from other states than the pipeline. Nobody outside can see whether
two processes know of each other, so the first answers tell. If one is missing, the processes are
started again.
"""

import time
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import pytest
import rclpy
from rclpy.signals import SignalHandlerOptions
from ros_world import RosTester, children
from sensor_msgs.msg import JointState, MultiDOFJointState
from std_srvs.srv import Trigger

from safe_locomotion.backends import backend
from safe_locomotion.backends.backend import Counters
from safe_locomotion.backends.commanders import Commanders
from safe_locomotion.backends.domains import claim_domain
from safe_locomotion.config import load_config
from safe_locomotion.nodes import conversions
from safe_locomotion.nodes.bridge import BridgeLoop
from safe_locomotion.nodes.subscriptions import LATCHED, NEWEST
from safe_locomotion.operator.velocity import VelocityInput
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.robot.models import load_robot
from safe_locomotion.runtime.stack import StackOptions, stack
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import Mode, VelocityCommand

STAND_AT = 25
WALK_AT = 900
END = 1300
COMMANDS_AT = range(WALK_AT, END, 200)  # before it is stale
COMMAND = VelocityCommand(vx=0.4, vy=0.1, wz=0.3)
STARTS = 4  #: how often the processes are started, at most, until all hear each other in time
FIRST_ANSWERS = {
    "safety/verdict": (JointState, LATCHED),
    "policy/proposal": (JointState, NEWEST),
    "mpc/plan": (MultiDOFJointState, NEWEST),
}
TOPICS = {
    "low_state": 1,
    "state_estimate": 3,
    "safety/verdict": 2,
    "policy/proposal": 1,
    "mpc/plan": 1,
    "cmd_vel": 2,
}


def operate(k, stamp_ns, request, set_velocity):
    """What the operator does before state k."""
    if k == STAND_AT:
        assert request("stand") is None
    if k == WALK_AT:
        assert request("walk") is None
    if k in COMMANDS_AT:
        set_velocity(stamp_ns, COMMAND.vx, COMMAND.vy, COMMAND.wz)


@pytest.fixture(scope="module")
def recorded():
    """LowStates of a robot that stands up and walks, and the pipeline's command for each."""
    config = load_config("a1")
    model = load_robot("a1")
    robot = SimulatedRobot(SimulationOptions(seed=3))
    pipeline = Pipeline(model, config)
    velocity = VelocityInput(config.supervisor.command)
    states = []
    commands = []
    modes = []
    for k in range(END):
        state = robot.low_state()
        operate(k, state.stamp_ns, pipeline.supervisor.request, velocity.set)
        states.append(state)
        commands.append(pipeline.step(state, velocity.get(state.stamp_ns)).command)
        modes.append(pipeline.supervisor.mode)
        robot.step(commands[-1])
    return states, commands, modes


class Replay:
    """A backend that plays recorded states, acts as the operator, and keeps the commands.

    It ends after the first state if a process has not heard all that belongs to it.
    """

    states: ClassVar[list] = []
    tester = None
    commands: ClassVar[list] = []
    complete = True

    def __init__(self, *, stop_kd):
        self.counters = Counters()
        self.k = 0
        tester = Replay.tester
        self.velocity = tester.node.create_publisher(conversions.TwistStamped, "cmd_vel", 1)
        self.answers = [
            tester.collect(kind, topic, qos) for topic, (kind, qos) in FIRST_ANSWERS.items()
        ]

    def read(self, timeout_s):
        """Next state."""
        if self.k >= len(Replay.states) or not Replay.complete:
            return None
        if self.k == 0:
            self.await_graph()
        if self.k == 1:
            Replay.complete = self.all_have_answered()
        state = Replay.states[self.k]
        operate(self.k, state.stamp_ns, self.request, self.set_velocity)
        self.k += 1
        return state

    def behind_s(self):
        """No state waits."""
        return 0.0

    def listen(self, listen_s):
        """Nobody else commands a recording."""
        return Commanders()

    def await_graph(self):
        """Wait until every stage hears every other."""
        node = Replay.tester.node
        assert Replay.tester.spin_until(
            lambda: all(node.count_subscribers(topic) >= n for topic, n in TOPICS.items())
        )
        time.sleep(0.5)

    def all_have_answered(self):
        """Whether the first verdict, proposal and plan are answers to the first state."""
        Replay.tester.spin_until(lambda: all(self.answers), 5.0)
        first = Replay.states[0].stamp_ns
        return all(heard and conversions.stamp_of(heard[0]) == first for heard in self.answers)

    def request(self, name):
        """Ask the supervisor."""
        answer = Replay.tester.call(Trigger, name)
        return None if answer.success else answer.message

    def set_velocity(self, stamp_ns, vx, vy, wz):
        """Publish cmd_vel and give it time to arrive."""
        self.velocity.publish(
            conversions.twist_message(VelocityCommand(vx=vx, vy=vy, wz=wz), stamp_ns)
        )
        time.sleep(0.2)

    def write(self, command, fresh):
        """Keep the command."""
        Replay.commands.append(command)
        return fresh()

    def stop(self):
        """Damping."""
        pass

    def close(self):
        """Free the robot."""
        pass


def test_the_recording_is_worth_comparing(recorded):
    """The recorded robot lies, stands up, stands and walks, and the gate lets it."""
    _, commands, modes = recorded
    assert {Mode.PASSIVE, Mode.STAND_UP, Mode.STAND, Mode.WALK} == set(modes)
    assert not any(command.reason for command in commands)
    assert modes.count(Mode.WALK) > 300


@contextmanager
def bridge():
    """The loop of the bridge in this process, on the backend `Replay`."""
    rclpy.init(
        args=["--ros-args", "-p", "sdk:=replay", "-p", "lock_step:=true"],
        signal_handler_options=SignalHandlerOptions.NO,
    )
    Replay.tester = RosTester()
    loop = BridgeLoop()
    try:
        loop.start()
        yield loop
    finally:
        loop.nodes[0].destroy_node()
        Replay.tester.close()
        rclpy.shutdown()


def replayed(states):
    """Commands of the five processes; whether each process has heard the first state."""
    others = [
        p.command()
        for p in stack(StackOptions(graph="nodes", lock_step=True))
        if p.name not in ("sim_robot", "bridge_node")
    ]
    Replay.states = states
    Replay.commands = []
    Replay.complete = True
    with children(*others) as running, bridge() as loop:
        while (
            len(Replay.commands) < len(states)
            and Replay.complete
            and all(process.poll() is None for process in running)
        ):
            loop.step()
    return Replay.commands, Replay.complete


def test_five_processes_give_the_commands_of_the_pipeline(recorded, monkeypatch):
    """The bridge here and four other processes, in lock-step over DDS, give the same commands."""
    states, expected, _ = recorded
    monkeypatch.setitem(backend.BACKENDS, "replay", (__name__, "Replay"))
    complete = False
    for _ in range(STARTS):
        if not complete:
            with claim_domain() as domain:
                monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
                commands, complete = replayed(states)
    assert [c.stamp_ns for c in commands] == [c.stamp_ns for c in expected]
    assert [c.reason for c in commands] == [c.reason for c in expected]
    for name in ("q", "dq", "tau", "kp", "kd"):
        found = np.array([getattr(c, name) for c in commands])
        wanted = np.array([getattr(c, name) for c in expected])
        assert found.tobytes() == wanted.tobytes(), (
            f"{name} differs first at tick {np.flatnonzero((found != wanted).any(1))[:1]}"
        )
