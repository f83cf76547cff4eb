"""How the bridge runs: the parameters of `bridge_node` that are no limits of the robot."""

from dataclasses import dataclass

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.nodes.link_lifecycle import LinkState
from safe_locomotion.nodes.stage_loop import StageSettings


@dataclass(frozen=True, kw_only=True)
class BridgeSettings(StageSettings):
    """How the bridge runs.

    Attributes:
        sdk: a key of `backends.backend.BACKENDS`; its options are the parameters
            `sdk_options.NAME`.
        autostart: lifecycle state to reach at the start.
        lock_step: the robot waits for our command, so wait for the verdict of each tick, and for
            its plan before the next tick.
        answer_wait_ms: without `lock_step`, longest wait for the verdict of a tick and the plan of
            an earlier one [ms of wall clock]. After it the newest ones act, if young enough.
        silence_ms: after this long without a LowState the bridge damps [ms of wall clock].
        state_age_ms: without `lock_step`, a LowState that is older than this when its answer is
            about to be sent is answered by damping [ms of wall clock].
        damping_s: damping is repeated this long before an active bridge goes quiet [s].
        monitor_rate_hz: rate of the topics that the control path of the composed graph does not
            need, per second of robot time.
        clock: publish robot time on `clock`, for nodes with use_sim_time; the launch files of
            simulated robots set it.
        log_states: also log the LowStates themselves in `log_dir`.
        use_realtime: ask the operating system for what the section `realtime` of the configuration
            wants.
        silent_publishers: how many other programs may be connected to the robot's command topic at
            activation, as long as they send nothing. A robot's own service may stay connected.
    """

    sdk: str = "unitree_sdk2"
    autostart: LinkState = "active"
    lock_step: bool = False
    answer_wait_ms: float = 2.0
    silence_ms: float = 10.0
    state_age_ms: float = 20.0
    damping_s: float = 0.5
    monitor_rate_hz: float = 50.0
    clock: bool = False
    log_states: bool = False
    use_realtime: bool = False
    silent_publishers: int = 0

    def __post_init__(self) -> None:
        """Refuse an age that ends before the bridge's own wait: every late answer would damp."""
        super().__post_init__()
        if not self.answer_wait_ms < self.state_age_ms:
            raise ConfigurationError(
                "bridge_node: state_age_ms: must be longer than answer_wait_ms "
                f"(found {self.state_age_ms:g} and {self.answer_wait_ms:g} ms)"
            )
