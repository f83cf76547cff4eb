"""The viewer as a process: where it listens, who may move the robot from a page, and what a real browser shows and stops."""

import json
import math
import socket
import sys
import time
from contextlib import contextmanager
from urllib.request import urlopen

import numpy as np
import pytest

pytest.importorskip("viser")

from chromium import chromium, find_chromium
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import TwistStamped
from places import HELPERS
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from ros_world import children, ros_tester
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from viser_page import viser_page

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.nodes import decisions
from safe_locomotion.nodes.subscriptions import LATCHED
from safe_locomotion.operator.requests import REQUESTS
from safe_locomotion.runtime.stack import StackOptions, stack
from safe_locomotion.types import Mode
from safe_locomotion.ui.viewer.access import RETRY_S
from safe_locomotion.ui.viewer.server import free_port
from safe_locomotion.ui.viewer.viewer_node import TOKEN_VARIABLE, ViewerSettings

TOKEN = "token-of-this-test"
ROBOT = str(HELPERS / "wire_robot.py")
HOST = "127.0.0.1"


def viewer_command(port, **settings):
    """Command line of the viewer."""
    options = StackOptions(
        watchers=("viewer",), overrides={"viewer_node": {"port": port, **settings}}
    )
    return stack(options)[-1].command()


@contextmanager
def running_viewer(wanted, port, **settings):
    """A viewer that is to listen on one port, and answers on another one when that is taken."""
    with children(viewer_command(wanted, **settings), environment={TOKEN_VARIABLE: TOKEN}) as (
        process,
    ):
        end = time.monotonic() + 40.0
        while not listens(HOST, port):
            assert process.poll() is None and time.monotonic() < end, (
                process.stderr.read() if process.poll() else "too slow"
            )
            time.sleep(0.05)
        yield process


def listens(host, port):
    """Whether something takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


class Stack:
    """What the viewer talks to: the supervisor's services and a policy node that takes one policy and refuses the others."""

    def __init__(self, tester):
        self.asked = []
        self.velocities = []
        for name in REQUESTS:
            tester.node.create_service(Trigger, name, self._answer(name))
        self.policy = Node("policy_node", context=tester.context)
        self.policy.declare_parameter("policy", "nominal")
        self.policy.add_on_set_parameters_callback(self._swap)
        tester.executor.add_node(self.policy)
        tester.node.create_subscription(TwistStamped, "cmd_vel", self._hear, 10)
        self._diagnostics = tester.node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def _answer(self, name):
        def answer(_, response):
            self.asked.append(name)
            response.success = name != "sit"
            response.message = "not <now>"
            return response

        return answer

    def _swap(self, changes):
        self.asked += [change.value for change in changes]
        taken = changes[0].value == "a1_trot"
        return SetParametersResult(
            successful=taken, reason="" if taken else "gains: expected less, found <more>"
        )

    def say_policy(self, name):
        """Tell which policy is in force, as the policy node does."""
        values = [KeyValue(key="policy", value=name)]
        self._diagnostics.publish(
            DiagnosticArray(status=[DiagnosticStatus(name="policy_node: policy", values=values)])
        )

    def _hear(self, message):
        twist = message.twist
        self.velocities.append((twist.linear.x, twist.linear.y, twist.angular.z))


@pytest.fixture
def stacked(ros_domain):
    """A viewer beside a `Stack`, the port it was to have taken by somebody else: the tester, the stack, the viewer's port."""
    with ros_tester() as t:
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            taken.listen()
            wanted = taken.getsockname()[1]
            made = Stack(t)
            port = free_port(HOST, wanted)
            with running_viewer(wanted, port):
                assert t.spin_until(lambda: "viewer_node" in t.node.get_node_names())
                yield t, made, port
        made.policy.destroy_node()


def _listens_on_this_machine_alone(port):
    """127.0.0.2 is this machine, too, but not the address that it listens on."""
    assert not listens("127.0.0.2", port)
    with urlopen(f"http://{HOST}:{port}", timeout=10) as answer:
        assert answer.status == 200 and b"<html" in answer.read()


def test_only_the_token_opens_what_moves_the_robot_and_each_page_needs_it(stacked):
    """A page that sends presses of what it hides moves nothing; one that tampers harms itself alone; stopping needs no token.

    Then, with the token: requests, their refusals, a swap and its reason, and a velocity that is clipped and dies with the page.
    """
    t, robot, port = stacked
    _listens_on_this_machine_alone(port)
    with viser_page(port) as locked, viser_page(port) as page:
        _locked_pages_only_stop(t, robot, locked, page)
        locked.tamper("Policy", props=1, removed=True, update_cb=[])
        _the_token_opens_one_page(t, robot, locked, page)
        _policies_are_swapped_and_shown(t, robot, page)
        _a_held_button_drives_within_limits(t, robot, page)
        heard = len(robot.velocities)
    assert t.spin_until(lambda: robot.velocities[-1] == (0.0, 0.0, 0.0), 5.0)
    t.spin(1.0)
    silent_since = len(robot.velocities)
    t.spin(0.5)
    assert heard < silent_since == len(robot.velocities)


def _listens_on_this_machine_alone(port):
    """127.0.0.2 is this machine, too, but not the address that it listens on."""
    assert not listens("127.0.0.2", port)
    with urlopen(f"http://{HOST}:{port}", timeout=10) as answer:
        assert answer.status == 200 and b"<html" in answer.read()


def _reads(t, page, text):
    return t.spin_until(lambda: text in page.text(), 20.0)


def _locked_pages_only_stop(t, robot, *pages):
    for page in pages:
        for name in ("stand", "walk"):
            page.set("Mode", name)
        page.set("Policy", "a1_trot")
        page.hold("Hold to drive")
    pages[0].set("Token", "guess")
    pages[0].set("Unlock")
    assert _reads(t, pages[0], "wrong token")
    t.spin(RETRY_S)
    assert robot.asked == [] and robot.velocities == []
    pages[0].set("Emergency stop")
    assert _reads(t, pages[0], "estop") and robot.asked == ["estop"]


def _the_token_opens_one_page(t, robot, locked, page):
    page.set("Token", TOKEN)
    page.set("Unlock")
    assert _reads(t, page, "unlocked")
    locked.set("Mode", "walk")
    page.set("Mode", "stand")
    assert t.spin_until(lambda: robot.asked[1:] == ["stand"])
    page.set("Mode", "sit")
    assert _reads(t, page, "sit refused: not &lt;now&gt;") and "walk" not in robot.asked


def _policies_are_swapped_and_shown(t, robot, page):
    def shown():
        return page.elements[page.find("Policy")]["value"]

    page.set("Policy", "a1_velocity_lstm")
    assert _reads(
        t, page, "policy a1_velocity_lstm refused: gains: expected less, found &lt;more&gt;"
    )
    assert t.spin_until(lambda: shown() == "nominal")
    page.set("Policy", "a1_trot")
    assert t.spin_until(lambda: robot.asked[-1] == "a1_trot")
    robot.say_policy("of somebody's own")
    assert t.spin_until(lambda: shown() == "of somebody's own")


def _a_held_button_drives_within_limits(t, robot, page):
    assert robot.velocities == []
    limits = load_config("a1").supervisor.command
    page.set("Forward m/s", 99.0)
    page.set("Turn rad/s", -0.2)
    for _ in range(5):
        page.hold("Hold to drive")
        t.spin(0.1)
    assert robot.velocities[-1] == pytest.approx((limits.vx, 0.0, -0.2))
    page.set("Left m/s", math.nan)
    page.hold("Hold to drive")
    assert _reads(t, page, "not a number")
    page.set("Left m/s", 0.0)
    page.hold("Hold to drive")
    assert t.spin_until(lambda: robot.velocities[-1][0] == limits.vx)


@pytest.mark.parametrize(
    "settings",
    [{"rate_hz": 0.0}, {"rate_hz": math.nan}, {"rate_hz": 1e3}, {"port": 0}, {"port": 65536}],
)
def test_settings_that_no_browser_shows_and_no_socket_takes_are_refused(settings):
    """A rate from 5 to 60 Hz, a port from 1 to 65535."""
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        ViewerSettings(**settings)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "a" * 300])
def test_an_address_that_this_machine_does_not_have_is_refused(host):
    """No name, somebody else's address, nonsense: an error with the address, no server that waits for ever."""
    with pytest.raises(ConfigurationError, match=host[:20]):
        free_port(host, 18080)


@pytest.mark.alone
@pytest.mark.skipif(
    find_chromium() is None, reason="no Chromium on this machine: apt install chromium"
)
def test_a_browser_shows_the_robot_and_its_stop_button_damps_it(tmp_path, ros_domain, wire_domain):
    """The page loads; the robot is where nothing was; the button in the page ends in FAULT and damping on the wire."""
    port = free_port(HOST, 18080)
    file = tmp_path / "robot.json"
    composed = stack(
        StackOptions(graph="composed", lock_step=True, sdk_options={"domain": wire_domain})
    )[1].command()
    robot_command = [sys.executable, ROBOT, str(wire_domain), "120", str(file)]
    with (
        ros_tester() as t,
        running_viewer(port, port, shadows=False, rate_hz=5.0),
        chromium(tmp_path, size=(900, 560)) as open_page,
    ):
        verdicts = t.collect(JointState, "safety/verdict", LATCHED)
        page = open_page(
            f"http://{HOST}:{port}/?fixedDpr=0.3"
        )  # fewer pixels: no graphics card draws them
        assert page.reads("no state yet")
        empty = page.picture()
        with children(robot_command, composed) as (robot, _):

            def mode():
                return decisions.verdict_from(verdicts[-1]).mode if verdicts else None

            assert t.spin_until(lambda: mode() is Mode.PASSIVE)
            assert t.call(Trigger, "stand").success
            assert t.spin_until(lambda: mode() is Mode.STAND)
            assert page.reads("STAND\n")
            shown = page.picture()
            page.press("Emergency stop")
            assert t.spin_until(lambda: mode() is Mode.FAULT)
            assert "estop" in decisions.verdict_from(verdicts[-1]).reasons
            assert page.reads("FAULT")
            t.spin(0.3)
            robot.terminate()
            robot.wait(10)
    _robot_appeared(empty, shown)
    commands = json.loads(file.read_text())["commands"]
    assert max(tau for _, _, _, tau in commands) > 1.0
    assert all(kp == 0.0 and kd > 0.0 and tau == 0.0 for _, kp, kd, tau in commands[-50:])


def _robot_appeared(empty, shown):
    """Much has changed in the middle of the scene, between the panels, and little at its top."""
    height, width = empty.shape[:2]
    changed = np.abs(shown - empty).max(axis=2) > 0.15
    left = round(0.3 * width)
    right = round(0.7 * width)
    middle = changed[round(0.35 * height) : round(0.75 * height), left:right].mean()
    top = changed[: round(0.15 * height), left:right].mean()
    assert middle > 0.05, f"{middle:.3f} of the middle changed"
    assert top < 0.5 * middle, f"{top:.3f} of the top changed, {middle:.3f} of the middle"
