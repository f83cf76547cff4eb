"""Each node of a walking robot stops dead in turn: recovery drives or the robot is damped in 50 ms.

No stale command moves the robot. A node is stopped (SIGSTOP), not ended. That is the harder case,
because no transport tells the others. Time is that of the robot: it waits for the answer to each
state as long as a loaded machine needs.
"""

import signal
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic

import numpy as np
import pytest
from ros_world import PATIENCE_S, ros_tester
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from safe_locomotion.backends.domains import claim_domain
from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.nodes import decisions
from safe_locomotion.nodes.subscriptions import LATCHED
from safe_locomotion.runtime.processes import RunningStack
from safe_locomotion.runtime.stack import StackOptions, stack
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import Mode

pytestmark = pytest.mark.alone

ANSWER_S = 0.5  #: longest wait for the answer to a state
STALE_MS = 50  #: from the last message of a node to damping


class World:
    """A robot on its feet that rests until it is moved, its stack, and an operator."""

    def __init__(self, tester, wire, running):
        self.t = tester
        self.wire = wire
        self.running = running.running
        self.robot = SimulatedRobot(SimulationOptions(seed=1))
        self.robot.put_on_feet()
        self.rng = np.random.default_rng(1)
        self.moves = False
        self.sent = []
        self.verdicts = tester.collect(JointState, "safety/verdict", LATCHED)

    @property
    def verdict(self):
        """The newest, None before the first."""
        return decisions.verdict_from(self.verdicts[-1]) if self.verdicts else None

    def step(self):
        """One state and its answer; an IMU that rests is never still to the last bit."""
        state = self.robot.low_state()
        if not self.moves:
            state = replace(state, gyro=state.gyro + 1e-4 * self.rng.normal(size=3))
        self.wire.publish(state)
        end = monotonic() + (ANSWER_S if self.wire.controllers() else 0.0)
        command = self.wire.take_command(0.005)
        while command is None and monotonic() < end and not self.bridge_is_dead:
            command = self.wire.take_command(0.02)
        self.moves = self.moves or (command is not None and bool(command.kp.any()))
        self.robot.step(command) if self.moves else self.robot.rest()
        self.sent.append(command)
        self.t.executor.spin_once(timeout_sec=0.0)

    bridge_is_dead = False

    def run(self, condition, patience_s=PATIENCE_S):
        """Steps until the condition holds."""
        end = monotonic() + patience_s
        while not condition():
            assert monotonic() < end, self.verdict
            self.step()

    def walk(self):
        """Ask until it walks, then let it take two steps.

        A machine that stalls for longer than the bridge waits may fell the robot before.
        """
        asked = {Mode.PASSIVE: "walk", Mode.FALLEN: "reset", Mode.FAULT: "reset"}
        clients = {mode: self.t.node.create_client(Trigger, name) for mode, name in asked.items()}
        self.run(
            lambda: (
                self.verdict is not None
                and all(client.service_is_ready() for client in clients.values())
            )
        )
        end = monotonic() + 3.0 * PATIENCE_S
        steady = False
        while not steady:
            assert monotonic() < end, self.verdict
            if self.verdict.mode in clients:
                future = clients[self.verdict.mode].call_async(Trigger.Request())
                self.run(future.done)
            walks = self.verdict.mode is Mode.WALK
            for _ in range(200 if walks else 25):
                self.step()
            steady = walks and self.verdict.mode is Mode.WALK

    def stop(self, name):
        """Stop a node dead."""
        self.running[f"{name}_node"].send_signal(signal.SIGSTOP)
        self.bridge_is_dead = name == "bridge"
        self.sent.clear()

    def run_on(self):
        """Let every node run on, and put the robot on its feet."""
        for process in self.running.values():
            process.send_signal(signal.SIGCONT)
        self.bridge_is_dead = False
        self.robot.put_on_feet()
        self.moves = False


@pytest.fixture(scope="module")
def world():
    """One stack for all tests, whose nodes were all started at once.

    At the end every node runs on and stops as usual, so that none leaves anything behind.
    """
    overrides = {
        "bridge_node": {"answer_wait_ms": 60.0, "state_age_ms": 500.0, "silence_ms": 2000.0},
        "supervisor_node": {"proposal_wait_ms": 60.0},
    }
    with ExitStack() as open_:
        domain = open_.enter_context(claim_domain())
        ros_domain = open_.enter_context(claim_domain())
        open_.enter_context(pytest.MonkeyPatch.context()).setenv("ROS_DOMAIN_ID", str(ros_domain))
        options = StackOptions(graph="nodes", sdk_options={"domain": domain}, overrides=overrides)
        wire = RobotWire(domain=domain)
        open_.callback(wire.close)
        tester = open_.enter_context(ros_tester())
        running = open_.enter_context(RunningStack(stack(options)[1:]))
        world = World(tester, wire, running)
        open_.callback(world.run_on)
        yield world


@pytest.fixture
def walking(world):
    """The world, with a robot that walks and nodes that all run."""
    world.run_on()
    world.walk()
    return world


def damps(command):
    return not (command.kp.any() or command.tau.any() or command.dq.any()) and bool(
        (command.kd > 0.0).all()
    )


def assert_damped(world):
    """Require that every command is damping from 50 ms after the node's end on."""
    for _ in range(STALE_MS):
        world.step()
    late = world.sent[STALE_MS // 2 :]
    assert len(late) == STALE_MS // 2 and all(
        command is not None and damps(command) for command in late
    )
    assert not damps(world.sent[0])


@pytest.mark.parametrize("name", ["estimator", "mpc"])
def test_without_estimate_or_plan_the_robot_is_damped(walking, name):
    """The verdict or the plan is too old for the gate in the bridge."""
    walking.stop(name)
    assert_damped(walking)


def test_without_policy_recovery_drives_and_without_supervisor_the_robot_is_damped(walking):
    """Recovery drives within 50 ms and the robot does not fall. Then the supervisor dies."""
    assert walking.verdict.active == "learner"
    falls = walking.robot.falls
    walking.stop("policy")
    stopped = walking.robot.low_state().tick
    walking.run(lambda: walking.verdict.active == "recovery")
    # The last proposal counts as young for 50 ms; we see the verdict a few states later.
    assert walking.robot.low_state().tick - stopped <= STALE_MS + 10
    for _ in range(250):
        walking.step()
    assert (walking.verdict.mode, walking.verdict.active) == (Mode.WALK, "recovery")
    assert walking.robot.falls == falls
    assert walking.robot.truth().height > 0.22 and not any(
        damps(command) for command in walking.sent
    )
    walking.stop("supervisor")
    assert_damped(walking)


def test_without_bridge_no_command_comes_and_the_motors_let_go(walking):
    """No other node commands the robot; its own watchdog of 20 ms in the simulator lets go."""
    walking.stop("bridge")
    for _ in range(STALE_MS // 2):
        walking.step()
    assert walking.sent[1:] == [None] * (STALE_MS // 2 - 1)
    assert not walking.robot.truth().tau.any()
