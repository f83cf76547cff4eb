"""The viewer as a process: its address, access control, and what a real browser shows and stops."""

import json
import math
import socket
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from http.client import HTTPConnection
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest

pytest.importorskip("viser")

import viser
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
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.nodes import decisions
from safe_locomotion.nodes.subscriptions import LATCHED
from safe_locomotion.operator.requests import REQUESTS
from safe_locomotion.runtime.stack import StackOptions, stack
from safe_locomotion.types import Mode
from safe_locomotion.ui.viewer.access import RETRY_S
from safe_locomotion.ui.viewer.door import ESTOP_HEADER, ESTOP_PATH
from safe_locomotion.ui.viewer.server import free_port
from safe_locomotion.ui.viewer.viewer_node import TOKEN_VARIABLE, ViewerSettings

TOKEN = "token-of-this-test"
ROBOT = str(HELPERS / "wire_robot.py")
HOST = "127.0.0.1"
DAMPED_NS = 300_000_000  #: robot time of which the last commands are looked at, 150 ticks


def viewer_command(port, **settings):
    """Command line of the viewer."""
    options = StackOptions(
        watchers=("viewer",), overrides={"viewer_node": {"port": port, **settings}}
    )
    return stack(options)[-1].command()


@contextmanager
def running_viewer(wanted, port, **settings):
    """A viewer that is asked to listen on port `wanted`, and listens on `port`."""
    command = viewer_command(wanted, **settings)
    with children(command, environment={TOKEN_VARIABLE: TOKEN}) as (process,):
        end = time.monotonic() + 40.0
        while not listens(HOST, port):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end, "too slow"
            time.sleep(0.05)
        yield process


def listens(host, port):
    """Whether a server accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


class Stack:
    """The services of the supervisor, and a policy node that accepts one policy only.

    The service `sit` refuses.
    """

    def __init__(self, tester):
        self.asked = []
        self.velocities = []
        for name in REQUESTS:
            tester.node.create_service(Trigger, name, partial(self.answer, name))
        self.policy = Node("policy_node", context=tester.context)
        self.policy.declare_parameter("policy", "nominal")
        self.policy.add_on_set_parameters_callback(self.swap)
        tester.executor.add_node(self.policy)
        tester.node.create_subscription(TwistStamped, "cmd_vel", self.hear, 10)
        self.diagnostics = tester.node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def answer(self, name, _, response):
        """Serve a request."""
        self.asked.append(name)
        response.success = name != "sit"
        response.message = "not <now>"
        return response

    def swap(self, changes):
        """Accept or refuse a policy."""
        self.asked += [change.value for change in changes]
        if changes[0].value == "a1_trot":
            return SetParametersResult(successful=True)
        return SetParametersResult(reason="gains: expected less, found <more>")

    def say_policy(self, name):
        """Tell which policy is in force, as the policy node does."""
        values = [KeyValue(key="policy", value=name)]
        row = DiagnosticStatus(name="policy_node: policy", values=values)
        self.diagnostics.publish(DiagnosticArray(status=[row]))

    def hear(self, message):
        """Note a velocity."""
        twist = message.twist
        self.velocities.append((twist.linear.x, twist.linear.y, twist.angular.z))


@pytest.fixture
def stacked(ros_domain):
    """A viewer beside a `Stack`; its wanted port is taken: tester, stack and the viewer's port."""
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


def listens_on_this_machine_alone(port):
    """127.0.0.2 is this machine too, but not the address that the viewer listens on."""
    assert not listens("127.0.0.2", port)
    with urlopen(f"http://{HOST}:{port}", timeout=10) as answer:
        assert answer.status == 200 and b"<html" in answer.read()


def test_only_the_token_opens_what_moves_the_robot_and_each_page_needs_it(stacked):
    """A locked page can only stop the robot; a manipulated page harms itself only.

    With the token a page requests modes and policies, shows why they are refused, and drives. The
    velocity is clipped, and ends with the page.
    """
    t, robot, port = stacked
    listens_on_this_machine_alone(port)
    with viser_page(port) as locked, viser_page(port) as page:
        locked_pages_only_stop(t, robot, locked, page)
        locked.tamper("Policy", props=1, removed=True, update_cb=[])
        the_token_opens_one_page(t, robot, locked, page)
        policies_are_swapped_and_shown(t, robot, page)
        a_held_button_drives_within_limits(t, robot, page)
        heard = len(robot.velocities)
    assert t.spin_until(lambda: robot.velocities[-1] == (0.0, 0.0, 0.0), 5.0)
    t.spin(1.0)
    silent_since = len(robot.velocities)
    t.spin(0.5)
    assert heard < silent_since == len(robot.velocities)


def reads(t, page, text):
    return t.spin_until(lambda: text in page.text(), 20.0)


def locked_pages_only_stop(t, robot, *pages):
    for page in pages:
        for name in ("stand", "walk"):
            page.set("Mode", name)
        page.set("Policy", "a1_trot")
        page.hold("Hold to drive")
    pages[0].set("Token", "guess")
    pages[0].set("Unlock")
    assert reads(t, pages[0], "wrong token")
    t.spin(RETRY_S)
    assert robot.asked == [] and robot.velocities == []
    pages[0].set("Emergency stop")
    assert reads(t, pages[0], "estop") and robot.asked == ["estop"]


def the_token_opens_one_page(t, robot, locked, page):
    page.set("Token", TOKEN)
    page.set("Unlock")
    assert reads(t, page, "unlocked")
    locked.set("Mode", "walk")
    page.set("Mode", "stand")
    assert t.spin_until(lambda: robot.asked[1:] == ["stand"])
    page.set("Mode", "sit")
    assert reads(t, page, "sit refused: not &lt;now&gt;") and "walk" not in robot.asked


def policies_are_swapped_and_shown(t, robot, page):
    def shown():
        return page.elements[page.find("Policy")]["value"]

    page.set("Policy", "a1_velocity_lstm")
    refusal = "policy a1_velocity_lstm refused: gains: expected less, found &lt;more&gt;"
    assert reads(t, page, refusal)
    assert t.spin_until(lambda: shown() == "nominal")
    page.set("Policy", "a1_trot")
    assert t.spin_until(lambda: robot.asked[-1] == "a1_trot")
    robot.say_policy("a policy of mine")
    assert t.spin_until(lambda: shown() == "a policy of mine")


def a_held_button_drives_within_limits(t, robot, page):
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
    assert reads(t, page, "not a number")
    page.set("Left m/s", 0.0)
    page.hold("Hold to drive")
    assert t.spin_until(lambda: robot.velocities[-1][0] == limits.vx)


def test_strangers_hold_no_places_and_foreign_pages_stay_out(stacked):
    """With 120 silent connections the stop button works, and a foreign page gets nothing at all.

    Half of the silent ones opened a web socket. The link with the token unlocks a page.
    """
    t, robot, port = stacked
    foreign_requests_are_refused(port)
    assert robot.asked == []
    protocol = f"viser-v{viser.__version__}"
    with viser_page(port) as page, ExitStack() as strangers:
        page.find("Emergency stop")
        for k in range(120):
            if k % 2:
                silent = socket.create_connection((HOST, port), timeout=10)
            else:
                silent = connect(f"ws://{HOST}:{port}", subprotocols=[protocol], max_size=None)
            strangers.callback(silent.close)
        page.set("Emergency stop")
        assert t.spin_until(lambda: robot.asked == ["estop"], 10.0)
        assert reads(t, page, "estop")
        by_program = Request(f"http://{HOST}:{port}{ESTOP_PATH}", headers={ESTOP_HEADER: "1"})
        with urlopen(by_program, timeout=10) as answer:
            assert answer.read() == b"emergency stop\n"
        assert t.spin_until(lambda: robot.asked == ["estop"] * 2, 10.0)
        cookie = the_link_gives_a_cookie(port)
        with viser_page(port, Cookie=cookie) as unlocked:
            unlocked.set("Mode", "stand")
            assert t.spin_until(lambda: robot.asked[2:] == ["stand"], 10.0)


def foreign_requests_are_refused(port):
    """Neither a web socket nor a page, nor the emergency stop without its header."""
    protocol = f"viser-v{viser.__version__}"
    for wrong in ({"origin": "http://evil.example"}, {"additional_headers": {"Host": "evil.a"}}):
        with pytest.raises(InvalidHandshake):
            connect(f"ws://{HOST}:{port}", subprotocols=[protocol], **wrong)
    for path, headers, code in (
        ("/", {"Host": "evil.example"}, 403),
        (ESTOP_PATH, {"Origin": "http://evil.example", ESTOP_HEADER: "1"}, 403),
        (ESTOP_PATH, {}, 404),
        ("/?token=guess-of-mine", {}, 403),
    ):
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(f"http://{HOST}:{port}{path}", headers=headers), timeout=10)
        assert refused.value.code == code
        refused.value.close()


def the_link_gives_a_cookie(port):
    """The cookie of the link with the token, which is gone from the address afterwards."""
    link = HTTPConnection(HOST, port, timeout=10)
    time.sleep(RETRY_S)  # after the wrong one
    link.request("GET", f"/?token={TOKEN}")
    answer = link.getresponse()
    assert answer.status == 303 and answer.headers["Location"] == "/"
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    link.close()
    return cookie


@pytest.mark.parametrize(
    "settings",
    [{"rate_hz": 0.0}, {"rate_hz": math.nan}, {"rate_hz": 1e3}, {"port": 0}, {"port": 65536}],
)
def test_settings_out_of_range_are_refused(settings):
    """The rate must lie within 5 and 60 Hz, the port within 1 and 65535."""
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        ViewerSettings(**settings)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "a" * 300])
def test_an_address_that_this_machine_does_not_have_is_refused(host):
    """The error names an unknown host, an address of another machine, and nonsense."""
    with pytest.raises(ConfigurationError, match=host[:20]):
        free_port(host, 18080)


@pytest.mark.skipif(find_chromium() is None, reason="no Chromium here: apt install chromium")
def test_a_browser_shows_the_robot_and_its_stop_button_damps_it(tmp_path, ros_domain, wire_domain):
    """The robot appears on the page, and the stop button ends in FAULT and damping."""
    port = free_port(HOST, 18080)
    file = tmp_path / "robot.json"
    options = StackOptions(graph="composed", lock_step=True, sdk_options={"domain": wire_domain})
    composed = stack(options)[1].command()
    robot_command = [sys.executable, ROBOT, str(wire_domain), "120", str(file)]
    with (
        ros_tester() as t,
        running_viewer(port, port, shadows=False, rate_hz=5.0),
        chromium(tmp_path, size=(700, 560)) as open_page,
    ):
        verdicts = t.collect(JointState, "safety/verdict", LATCHED)
        # There is no graphics card, so the page has few pixels.
        page = open_page(f"http://{HOST}:{port}/?fixedDpr=0.3")
        assert page.reads("no state yet")
        empty = page.picture()
        with children(robot_command, composed) as (robot, _):

            def newest():
                return decisions.verdict_from(verdicts[-1])

            def mode():
                return newest().mode if verdicts else None

            assert t.spin_until(lambda: mode() is Mode.PASSIVE, 150.0)
            assert t.call(Trigger, "stand").success
            assert t.spin_until(lambda: mode() is Mode.STAND, 150.0)
            assert page.reads("STAND")
            shown = page.picture()
            page.press("Emergency stop")
            assert t.spin_until(lambda: mode() is Mode.FAULT)
            assert "estop" in newest().reasons
            stopped_ns = newest().stamp_ns
            assert page.reads("FAULT")
            assert t.spin_until(lambda: newest().stamp_ns > stopped_ns + DAMPED_NS)
            robot.terminate()
            robot.wait(10)
    robot_appeared(empty, shown)
    commands = json.loads(file.read_text())["commands"]
    assert max(tau for _, _, _, tau in commands) > 1.0
    assert all(kp == 0.0 and kd > 0.0 and tau == 0.0 for _, kp, kd, tau in commands[-50:])


def robot_appeared(empty, shown):
    """The golden hips of the robot are in the picture; nothing golden was there before."""
    assert golden(empty) == 0.0
    assert golden(shown) > 0.002


def golden(page):
    """Share of golden pixels of the left half, where no panel is."""
    red, green, blue = np.moveaxis(page[:, : page.shape[1] // 2], 2, 0)
    return float(((red - blue > 0.2) & (green - blue > 0.08)).mean())
