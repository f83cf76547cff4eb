"""The operator's side of the supervisor: `cmd_vel`, five services, and requests of the remote.

The services are stand, walk, sit, estop and reset. The bridge reads the robot's remote and passes
on `remote/cmd_vel` (TwistStamped) and `remote/request` (String, one word of `operator.pad.ACTIONS`,
once per press). One node acts on each word: the supervisor on stand, walk, sit and reset, the
policy node on next_policy, a recorder on record.
"""

from collections import deque
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import String
from std_srvs.srv import Trigger

from safe_locomotion.errors import SafeLocomotionError, UnknownNameError
from safe_locomotion.nodes.conversions import velocity_command_from
from safe_locomotion.nodes.health import STEADY, WARN, Stream
from safe_locomotion.nodes.mailbox import Mailbox
from safe_locomotion.nodes.subscriptions import Polled
from safe_locomotion.operator.requests import REQUESTS, Script, parse_script
from safe_locomotion.operator.velocity import CommandLimits, VelocityInput
from safe_locomotion.safety.supervisor import Supervisor
from safe_locomotion.types import VelocityCommand

CMD_VEL_TYPES = {"TwistStamped": TwistStamped, "Twist": Twist}
WITHOUT_ROBOT = ("estop", "reset")
ANSWER_S = 1.0
COMMANDS = QoSProfile(depth=1)
BRIDGE_RESET = "bridge_node/reset"  #: service of the bridge; see `safety.fault_latch`
REMOTE_VELOCITY = "remote/cmd_vel"
REMOTE_REQUEST = "remote/request"
REQUESTS_QOS = QoSProfile(depth=10)
HANDS = "operator/hands"
"""String: name of the operator who takes over; a script that drives the robot then lets go."""
HANDS_QOS = QoSProfile(depth=5)
QUIET_LOOK_S = 0.2  #: between two looks at velocities where no robot ticks
REQUEST_LOOK_S = 0.05  #: between two looks at requests of the remote
LINES_A_SECOND = 5  #: most log lines about them


class VelocityTopic:
    """`cmd_vel`, of which the control thread takes one message a tick, whatever arrives.

    The age of a command counts in robot time from the tick that first saw it, so a slow simulator
    does not shorten it. The robot's remote comes first: while it drives, and until its last command
    (a zero) times out, `cmd_vel` is not heard.
    """

    def __init__(self, node: Node, limits: CommandLimits, type_name: str) -> None:
        """Subscribe.

        Args:
            node: that subscribes.
            limits: of a command.
            type_name: key of `CMD_VEL_TYPES`.

        Raises:
            UnknownNameError: `type_name` is not in `CMD_VEL_TYPES`.
        """
        if type_name not in CMD_VEL_TYPES:
            raise UnknownNameError("cmd_vel_type", type_name, CMD_VEL_TYPES)
        self._node = node
        self._type_name = type_name
        self._input = VelocityInput(limits)
        self._remote_input = VelocityInput(limits)
        self._arrived: deque[VelocityCommand] = deque(maxlen=1)
        self._from_remote: deque[VelocityCommand] = deque(maxlen=1)
        self.stream = Stream("cmd_vel", timeout_s=limits.timeout, required=False)
        self.remote_stream = Stream(REMOTE_VELOCITY, timeout_s=limits.timeout, required=False)
        self._topics = (
            Polled(node, CMD_VEL_TYPES[type_name], "cmd_vel", COMMANDS, self._receive, self.stream),
            Polled(
                node,
                TwistStamped,
                REMOTE_VELOCITY,
                COMMANDS,
                self._receive_remote,
                self.remote_stream,
            ),
        )
        node.create_timer(QUIET_LOOK_S, self.look, clock=STEADY)

    def look(self) -> None:
        """Take the newest message of each topic."""
        for topic in self._topics:
            topic.take()

    def rows(self) -> tuple[Callable[[], DiagnosticStatus], ...]:
        """Rows of `/diagnostics`."""
        return (self._status, self.remote_stream.status)

    def _status(self) -> DiagnosticStatus:
        """The stream of `cmd_vel`, with a warning about velocities that this node cannot hear."""
        row = self.stream.status()
        publishers = self._node.get_publishers_info_by_topic("cmd_vel")
        names = {info.topic_type.rpartition("/")[2] for info in publishers}
        for name in sorted(names & {*CMD_VEL_TYPES} - {self._type_name}):
            row.level = WARN
            row.message = f"a {name} is sent and {self._type_name} is heard: cmd_vel_type:={name}"
        return row

    def _receive_remote(self, message: TwistStamped) -> None:
        self._from_remote.append(velocity_command_from(message))
        self.remote_stream.hear(0)

    def _receive(self, message: Any) -> None:
        command = velocity_command_from(message)
        self.stream.hear(0)
        if not abs(command.vx) + abs(command.vy) + abs(command.wz) < float("inf"):
            self.stream.reject(f"not finite: vx {command.vx}, vy {command.vy}, wz {command.wz}")
        self._arrived.append(command)

    def play(self, stamp_ns: int, command: VelocityCommand) -> None:
        """Take the command of a script; messages that arrived are dropped."""
        self._arrived.clear()
        self._input.set(stamp_ns, command.vx, command.vy, command.wz)

    def current(self, stamp_ns: int) -> VelocityCommand:
        """The command in force at `stamp_ns`.

        Zero before the first command, after the timeout, and for a command that was not finite.
        """
        self.look()
        if self._arrived:
            command = self._arrived.popleft()
            self._input.set(stamp_ns, command.vx, command.vy, command.wz)
        if self._from_remote:
            command = self._from_remote.popleft()
            self._remote_input.set(stamp_ns, command.vx, command.vy, command.wz)
        source = self._remote_input if self._remote_input.in_force(stamp_ns) else self._input
        return source.get(stamp_ns)

    @property
    def hazards(self) -> frozenset[str]:
        """Hazards in the newest command, for the supervisor."""
        return frozenset({"command_not_finite"} if self._input.not_finite else ())


class ScriptedOperator:
    """Plays a script on the control thread, by the robot's clock; an empty one does nothing.

    Raises:
        ConfigurationError: the script cannot be read.
    """

    def __init__(
        self,
        text: str,
        velocity: VelocityTopic,
        supervisor: Supervisor,
        request: Callable[[str], str | None],
    ) -> None:
        steps = parse_script(text)
        self._script = Script(steps) if steps else None
        self._velocity = velocity
        self._supervisor = supervisor
        self._request = request

    @property
    def plays(self) -> bool:
        """Whether there is a script."""
        return self._script is not None

    def update(self, stamp_ns: int) -> None:
        """Make the request that is due at `stamp_ns` and set the velocity."""
        if self._script is None:
            return
        request, command = self._script.update(stamp_ns, self._supervisor.mode)
        if request is not None:
            self._request(request)
        self._velocity.play(stamp_ns, command)


def hear_requests(node: Node, follow: Callable[[str], None]) -> Stream:
    """Call `follow` with the words on `remote/request`, on the executor thread.

    The topic is looked at once in `REQUEST_LOOK_S`. Of equal words in one look only one counts,
    because no hand presses that fast.

    Returns:
        The stream of the topic, for `/diagnostics`.
    """
    stream = Stream(REMOTE_REQUEST, timeout_s=inf, required=False)
    words: dict[str, None] = {}

    def receive(message: String) -> None:
        stream.hear(0)
        words[message.data] = None

    topic = Polled(node, String, REMOTE_REQUEST, REQUESTS_QOS, receive, stream)

    def look() -> None:
        topic.take()
        wanted = tuple(words)
        words.clear()
        for word in wanted:
            follow(word)

    node.create_timer(REQUEST_LOOK_S, look, clock=STEADY)
    return stream


class BoundedLog:
    """Passes so many lines a second; the next line says how many were left out."""

    def __init__(
        self, say: Callable[[str], object], clock: Callable[[], float] = monotonic
    ) -> None:
        """Nothing was said yet.

        Args:
            say: takes a line.
            clock: steady [s].
        """
        self._say = say
        self._clock = clock
        self._said: deque[float] = deque(maxlen=LINES_A_SECOND)
        self._left_out = 0

    def __call__(self, text: str) -> None:
        """Say a line, unless `LINES_A_SECOND` were said within the last second."""
        now = self._clock()
        if len(self._said) == LINES_A_SECOND and now - self._said[0] < 1.0:
            self._left_out += 1
            return
        self._said.append(now)
        more = f" ({self._left_out} lines before were left out)" if self._left_out else ""
        self._left_out = 0
        self._say(text + more)


class RequestServices:
    """The five Trigger services, and the same words on `remote/request`.

    The control thread answers. A refusal comes with its reason.

    Attributes:
        stream: of `remote/request`.
    """

    def __init__(
        self,
        node: Node,
        mailbox: Mailbox,
        request: Callable[[str], str | None],
        not_ready: Callable[[], str | None],
    ) -> None:
        """Offer the services.

        Args:
            node: that offers them.
            mailbox: of the control thread.
            request: takes a request and returns its refusal; it runs on the control thread.
            not_ready: why the robot cannot follow a request now, or None; it is not asked for estop
                and reset.
        """
        self._mailbox = mailbox
        self._request = request
        self._not_ready = not_ready
        logger = node.get_logger()
        self._log = BoundedLog(logger.info)
        for name in REQUESTS:
            node.create_service(Trigger, name, self._handler(name))
        self.stream = hear_requests(node, self._follow)

    def _follow(self, word: str) -> None:
        if word in REQUESTS:
            refusal = self._ask(word)
            answer = "" if refusal is None else f" refused: {refusal}"
            self._log(f"remote: {word}{answer}")

    def _handler(self, name: str) -> Callable[[Any, Any], Any]:
        def handle(_: Any, response: Any) -> Any:
            refusal = self._ask(name)
            response.success = refusal is None
            response.message = refusal or name
            return response

        return handle

    def _ask(self, name: str) -> str | None:
        reason = None if name in WITHOUT_ROBOT else self._not_ready()
        if reason is not None:
            return reason
        try:
            return self._mailbox.ask(lambda: self._request(name), ANSWER_S)
        except SafeLocomotionError as error:
            return str(error)
