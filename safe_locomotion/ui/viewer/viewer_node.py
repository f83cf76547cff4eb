"""Viewer node: the robot in a web browser, with controls for users who have the token.

The viewer is a process of its own, off the control path. It polls the topics once per frame, and
`UNWATCHED_HZ` times a second without a browser. By default it listens on this machine only. At the
start it prints its address and token.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic, perf_counter, sleep

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import QoSProfile

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.nodes.health import OK, Health, LoopTimes, robot_time_ns, status
from safe_locomotion.nodes.parameters import DECLARE_FROM_OVERRIDES, NodeParameters, read_parameters
from safe_locomotion.nodes.runtime import run
from safe_locomotion.policy.file import installed_policies
from safe_locomotion.policy.stage import NOMINAL
from safe_locomotion.ui.scene_topics import Queue, SceneTopics
from safe_locomotion.ui.viewer.access import TOKEN_VARIABLE, Access, VelocityPad, new_token
from safe_locomotion.ui.viewer.controls import Controls, Driving
from safe_locomotion.ui.viewer.door import PLACES, Door
from safe_locomotion.ui.viewer.frames import Guarded
from safe_locomotion.ui.viewer.guarded_socket import Guard
from safe_locomotion.ui.viewer.judge import Judge
from safe_locomotion.ui.viewer.link import for_phones, in_terminal, with_token
from safe_locomotion.ui.viewer.minute import Minute
from safe_locomotion.ui.viewer.panels import Panels
from safe_locomotion.ui.viewer.requests import Requests
from safe_locomotion.ui.viewer.rewind import History
from safe_locomotion.ui.viewer.scene import SceneView, light
from safe_locomotion.ui.viewer.server import ViewerServer, free_port

UNWATCHED_HZ = 5.0
REFRESH_S = 0.2  #: between two updates of panels and plots
SLOWEST_HZ = 5.0
FASTEST_HZ = 60.0
DIAGNOSTICS = QoSProfile(depth=20)


@dataclass(frozen=True, kw_only=True)
class ViewerSettings:
    """How the viewer runs.

    Attributes:
        host: address to listen on; 0.0.0.0 stands for all addresses of this machine.
        port: to listen on; the next free one if it is taken.
        rate_hz: frames per second of wall clock.
        cmd_vel_type: TwistStamped or Twist.
        shadows: draw shadows; a browser without a graphics card is several times faster without.
        names: more names of this machine, by which browsers may call it, as behind a proxy.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    rate_hz: float = 20.0
    cmd_vel_type: str = "TwistStamped"
    shadows: bool = True
    names: str = ""

    def __post_init__(self) -> None:
        """Refuse a rate or port out of range.

        Raises:
            ConfigurationError: names the limits.
        """
        if not SLOWEST_HZ <= self.rate_hz <= FASTEST_HZ:
            raise ConfigurationError(
                f"viewer_node: rate_hz: must lie within {SLOWEST_HZ} and {FASTEST_HZ} Hz"
                f" (found {self.rate_hz})"
            )
        if not 1 <= self.port <= 65535:
            raise ConfigurationError(
                f"viewer_node: port: must lie within 1 and 65535 (found {self.port})"
            )


class ViewerLoop:
    """The viewer as a process."""

    freeze_garbage = False

    def __init__(self) -> None:
        node = Node("viewer_node", **DECLARE_FROM_OVERRIDES)
        parameters = read_parameters(node, ViewerSettings)
        self.nodes: Sequence[Node] = (node,)
        self.slow_nodes: Sequence[Node] = ()
        self._minute = Minute()
        self._topics = SceneTopics(node, parameters.robot, parameters.config, self._minute)
        self._diagnostics = Queue(
            node, DiagnosticArray, "/diagnostics", DIAGNOSTICS, required=False
        )
        self._token = os.environ.get(TOKEN_VARIABLE) or new_token()
        settings = replace(
            parameters.settings, port=free_port(parameters.settings.host, parameters.settings.port)
        )
        phone = for_phones(settings.host, settings.port, self._token)
        self._judge = Judge()
        history = History(
            minute=self._minute,
            body=self._topics.maker.body,
            robot=parameters.robot,
            config=parameters.config,
            judge=self._judge,
            says=lambda: self._panels.says,
        )
        self._driving = _driving(node, parameters, self._token, history, phone)
        self._door = Door(settings.host, settings.names.replace(",", " ").split())
        self._frames = Guarded("frames", node.get_logger().error)
        driving = self._driving
        guard = Guard(self._door, driving.requests.stop, driving.access.refusal)
        self._server = ViewerServer(settings.host, settings.port, guard)
        light(self._server.scene, parameters.settings.shadows)
        maker = self._topics.maker
        self._view = SceneView(self._server.scene, maker.body)
        self._panels = Panels(self._server.gui, maker.bar_names)
        self._times = LoopTimes("viewer frame")
        self._period_s = 1.0 / parameters.settings.rate_hz
        self._next_s = self._heard_s = self._refreshed_s = monotonic()
        heard = (*self._topics.streams, self._diagnostics.stream)
        streams = [stream.status for stream in heard]
        rows = [*streams, self._times.status, self._browsers, self._frames.status]
        Health(node, rows, now_ns=lambda: robot_time_ns(self._topics.streams))

    def start(self) -> None:
        """Let browsers in, and print address and token."""
        self._server.admit(lambda client, trusted: Controls(client, self._driving, trusted=trusted))
        address = self._server.address
        phone = self._driving.phone_link
        sys.stdout.write(
            f"viewer: {address}  token: {self._token}\n"
            f"viewer, with the token: {with_token(address, self._token)}\n"
        )
        if phone:
            sys.stdout.write(f"viewer, for a phone: {phone}\n")
        if phone and sys.stdout.isatty():
            sys.stdout.write(in_terminal(phone))
        sys.stdout.flush()

    def step(self) -> None:
        """Sleep until the next frame, publish a held velocity, then draw."""
        sleep(max(0.0, self._next_s - monotonic()))
        start = perf_counter()
        now = monotonic()
        watched = self._server.browsers > 0
        period_s = self._period_s if watched else 1.0 / UNWATCHED_HZ
        self._next_s = max(self._next_s + period_s, now)
        command = self._driving.pad.command()
        if command is not None:
            self._driving.requests.drive(command)
        with self._frames.attempt(), self._server.frame():
            self._show(now, watched)
        self._times.add(perf_counter() - start)

    def _show(self, now: float, watched: bool) -> None:
        scene = self._topics.look()
        for message in self._diagnostics.messages():
            self._panels.diagnose(now, message)
        if scene is not None:
            self._heard_s = now
            self._minute.draw(scene)
            self._panels.note(now, scene)
            if watched:
                self._view.draw(scene)
        if watched and now - self._refreshed_s >= REFRESH_S:
            self._refreshed_s = now
            self._panels.refresh(now, now - self._heard_s)
            self._server.follow(self._panels.policy)

    def _browsers(self) -> DiagnosticStatus:
        count = self._server.browsers
        values = {"connected": count, "places": PLACES, "turned_away": self._door.turned_away}
        return status("browsers", OK, f"{count} connected", values)

    def tidy(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Close every connection."""
        self._judge.close()
        self._server.stop()


def _driving(
    node: Node,
    parameters: NodeParameters[ViewerSettings],
    token: str,
    history: History,
    phone_link: str,
) -> Driving:
    limits = parameters.config.supervisor.command
    return Driving(
        access=Access(token),
        pad=VelocityPad(limits),
        requests=Requests(node, parameters.settings.cmd_vel_type),
        policies=(NOMINAL, *installed_policies(parameters.robot.name)),
        limits=limits,
        history=history,
        phone_link=phone_link,
    )


def main(args: list[str] | None = None) -> int:
    """Run the viewer until a signal ends it."""
    return run(ViewerLoop, args)


if __name__ == "__main__":
    sys.exit(main())
