"""What the nodes of the stages share: parameters, logs, streams, status, and their loop."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import QoSProfile

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.nodes.health import Health, LoopTimes, Stream, robot_time_ns
from safe_locomotion.nodes.parameters import DECLARE_FROM_OVERRIDES, NodeParameters, read_parameters
from safe_locomotion.nodes.publishers import Binding
from safe_locomotion.nodes.runtime import IDLE_S
from safe_locomotion.nodes.stage_logs import StageLogs
from safe_locomotion.nodes.subscriptions import NEWEST, Inbox
from safe_locomotion.pipeline import StageName

StatusRow = Callable[[], DiagnosticStatus]  #: makes one row of `/diagnostics`
StatusRows = Sequence[StatusRow]
STREAM_TIMEOUT_S = 0.1  #: 50 ticks
SMALLEST_LOG_MB = 1.0  #: a second of the largest log is a quarter of it


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """How a stage's node runs.

    Attributes:
        log_dir: folder for the log of its ticks; empty for no log.
        log_mb: largest size of each log; only its newer half is then kept [MB].
    """

    log_dir: str = ""
    log_mb: float = 1000.0

    def __post_init__(self) -> None:
        """Refuse a size that holds no second of a log."""
        if not self.log_mb >= SMALLEST_LOG_MB:
            raise ConfigurationError(
                f"log_mb: must be at least {SMALLEST_LOG_MB:g} MB (found {self.log_mb})"
            )


S = TypeVar("S", bound=StageSettings)


class StageNode(Node, Generic[S]):
    """Name, parameters, logs and tick times of one stage."""

    def __init__(
        self, stage: StageName, settings: type[S], changeable: Set[str] = frozenset()
    ) -> None:
        super().__init__(f"{stage}_node", **DECLARE_FROM_OVERRIDES)
        self.parameters: NodeParameters[S] = read_parameters(self, settings, changeable)
        chosen = self.parameters.settings
        self.logs = StageLogs(chosen.log_dir, stage, chosen.log_mb)
        self.times = LoopTimes(f"{stage} tick")

    def rows(self) -> StatusRows:
        """Rows of `/diagnostics`."""
        return (self.times.status, *self.logs.rows())


class LoopNode(Protocol):
    """What a loop needs of its node."""

    parameters: Any
    logs: StageLogs

    def rows(self) -> StatusRows:
        """Rows of `/diagnostics`."""
        ...


N = TypeVar("N", bound=LoopNode)


class StageLoop(Generic[N]):
    """One node as a process of its own: takes its streams on the thread that computes with them."""

    def __init__(self, node: N) -> None:
        self._node = node
        self._inbox = Inbox(node)
        self._streams: list[Stream] = []
        self._bindings: list[Binding] = []
        self.nodes: Sequence[Node] = (node,)
        self.slow_nodes: Sequence[Node] = ()
        self.freeze_garbage = True

    def _listen(
        self,
        message_type: type,
        topic: str,
        handler: Callable[[Any], None],
        qos: QoSProfile = NEWEST,
        *,
        timeout_s: float = STREAM_TIMEOUT_S,
        period_ns: int = 0,
        required: bool = True,
    ) -> Stream:
        """Take a topic of one publisher from now on.

        The handler tells the stream of each good message.
        """
        stream = Stream(topic, timeout_s=timeout_s, period_ns=period_ns, required=required)
        binding = self._inbox.subscribe(message_type, topic, qos, handler, stream, bound=True)
        if binding is not None:
            self._bindings.append(binding)
        self._streams.append(stream)
        return stream

    def _tell_health(self, *more: StatusRow) -> None:
        """Publish streams, `more` and the node's own rows on `/diagnostics` from now on."""
        streams = [stream.status for stream in self._streams]
        Health(
            self._node,
            [*streams, *more, *self._node.rows()],
            now_ns=lambda: robot_time_ns(self._streams),
        )

    def start(self) -> None:
        """Warm the stages up."""
        self._node.parameters.pipeline().warm_up()

    def step(self) -> None:
        """Take the messages that arrived and act on them."""
        self._inbox.wait(IDLE_S)

    def tidy(self) -> None:
        """Write the log of the tick that is done."""
        self._node.logs.settle()

    def close(self) -> None:
        """Complete the log."""
        self._node.logs.close()
