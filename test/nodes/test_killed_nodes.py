"""Each node of a walking robot stops dead in turn: within 50 ms recovery drives or the robot is damped, and nothing stale moves it.

A node is stopped (SIGSTOP), not ended: to the others that is a dead one, and the harder kind, for no transport tells them. Time is
the robot's: it waits for the answer to each state as long as a loaded machine needs. The nodes start once; after each test the stopped
one runs on, and the robot is put back on its feet and asked to walk again.
"""

import signal
from contextlib import ExitStack
from time import monotonic

import pytest
from ros_world import PATIENCE_S, ros_tester
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from safe_locomotion.backends.domains import claim_domain
from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.modes import DAMPED
from safe_locomotion.nodes import decisions
from safe_locomotion.nodes.inbox import LATCHED
from safe_locomotion.processes import RunningStack
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.stack import StackOptions, stack
from safe_locomotion.types import Mode

ANSWER_S = 0.5  # longest wait for the answer to a state
STALE_MS = 50  # from the last word of a node to damping


class World:
    """A robot on its feet, on the wire, that rests until it is moved; its stack; an operator."""

    def __init__(self, tester, wire, running):
        self.t, self.wire, self.running = tester, wire, running.running
        self.robot = SimulatedRobot(SimulationOptions(seed=1))
        self.robot.put_on_feet()
        self.moves, self.sent = False, []
        self.verdicts = tester.collect(JointState, "safety/verdict", LATCHED)

    @property
    def verdict(self):
        """The newest, None before the first."""
        return decisions.verdict_from(self.verdicts[-1]) if self.verdicts else None

    def step(self):
        """One state and its answer."""
        state = self.robot.low_state()
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
        """On its feet, with all nodes, whatever was before: ask until it walks, then let it take two steps."""
        for process in self.running.values():
            process.send_signal(signal.SIGCONT)
        self.bridge_is_dead = False
        self.robot.put_on_feet()
        self.run(lambda: self.verdict is not None)
        for _ in range(STALE_MS):
            self.step()
        end = monotonic() + PATIENCE_S
        while (self.verdict.mode, self.verdict.active) != (Mode.WALK, "learner"):
            assert monotonic() < end, self.verdict
            if self.verdict.mode in DAMPED:  # also when it falls on the way, as it may while nodes still start
                self.robot.put_on_feet()
                for name in ("reset", "walk"):
                    self.request(name)
            self.step()
        for _ in range(200):
            self.step()
        assert (self.verdict.mode, self.verdict.active) == (Mode.WALK, "learner")

    def request(self, name):
        """Ask, and let 25 states pass."""
        client = self.t.node.create_client(Trigger, name)
        self.run(client.service_is_ready)
        future = client.call_async(Trigger.Request())
        self.run(future.done)
        for _ in range(25):
            self.step()
        self.t.node.destroy_client(client)

    def stop(self, name):
        """Stop a node dead."""
        self.running[f"{name}_node"].send_signal(signal.SIGSTOP)
        self.bridge_is_dead = name == "bridge"
        self.sent.clear()


@pytest.fixture(scope="module")
def stack_and_robot():
    """The world; at the end every node runs on and stops as usual, so that none leaves anything behind."""
    overrides = {"bridge_node": {"plan_wait_ms": 60.0, "silence_ms": 2000.0}, "supervisor_node": {"proposal_wait_ms": 60.0}}
    with ExitStack() as open_:
        domain, ros_domain = open_.enter_context(claim_domain()), open_.enter_context(claim_domain())
        open_.enter_context(pytest.MonkeyPatch.context()).setenv("ROS_DOMAIN_ID", str(ros_domain))
        options = StackOptions(graph="nodes", sdk_options={"domain": domain}, overrides=overrides)
        wire = RobotWire(domain=domain)
        open_.callback(wire.close)
        tester = open_.enter_context(ros_tester())
        running = open_.enter_context(RunningStack(stack(options)[1:]))
        yield World(tester, wire, running)
        for process in running.running.values():
            process.send_signal(signal.SIGCONT)


@pytest.fixture
def world(stack_and_robot):
    """The world, and its robot walks."""
    stack_and_robot.walk()
    return stack_and_robot


def damps(command):
    return not (command.kp.any() or command.tau.any() or command.dq.any()) and bool((command.kd > 0.0).all())


def assert_damped(world):
    """From 50 ms after the node's end on every command is damping, and there are commands."""
    for _ in range(STALE_MS):
        world.step()
    late = world.sent[STALE_MS // 2 :]
    assert len(late) == STALE_MS // 2 and all(command is not None and damps(command) for command in late)
    assert not damps(world.sent[0])


@pytest.mark.parametrize("name", ["mpc", "estimator"])
def test_without_estimate_or_plan_the_robot_is_damped(world, name):
    """The verdict, or the plan, ages out in the bridge."""
    world.stop(name)
    assert_damped(world)


def test_without_policy_recovery_drives_and_without_supervisor_the_robot_is_damped(world):
    """A learner that is gone is replaced within 50 ms, without a fall, while the robot walks on; then the supervisor goes, too."""
    falls = world.robot.falls
    world.stop("policy")
    stopped = world.robot.low_state().tick
    world.run(lambda: world.verdict.active == "recovery")
    # The proposal of the last tick counts as young for 50 ms; the verdict on it is seen a few states later.
    assert world.robot.low_state().tick - stopped <= STALE_MS + 10
    for _ in range(250):
        world.step()
    assert (world.verdict.mode, world.verdict.active, world.robot.falls) == (Mode.WALK, "recovery", falls)
    assert world.robot.truth().height > 0.22 and not any(damps(command) for command in world.sent)
    world.stop("supervisor")
    assert_damped(world)


def test_without_bridge_no_command_comes_and_the_motors_let_go(world):
    """Nobody else commands the robot; its own watchdog, 20 ms in the simulator, is the last line."""
    world.stop("bridge")
    for _ in range(STALE_MS // 2):
        world.step()
    assert world.sent[1:] == [None] * (STALE_MS // 2 - 1)
    assert not world.robot.truth().tau.any()
