"""Lifecycle of a node that owns a robot link: its states are those of the link."""

import traceback
from collections.abc import Callable
from typing import Literal

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from safe_locomotion.backends.robot_link import RobotLink
from safe_locomotion.errors import BackendError, SafeLocomotionError
from safe_locomotion.nodes.mailbox import Mailbox
from safe_locomotion.nodes.parameters import DECLARE_FROM_OVERRIDES

LinkState = Literal["unconfigured", "inactive", "active"]
TRANSITION_S = 10.0  #: longest wait of a transition; opening an SDK takes seconds


class LinkLifecycle(LifecycleNode):
    """Unconfigured: the link is closed. Inactive: it is open, read-only. Active: it sends commands.

    Transitions are asked for on the executor thread, or on the control thread at start-up. The
    control thread does the work, when it serves the mailbox.

    Attributes:
        link: the robot, for the control thread alone; the derived class makes it.
        mailbox: work for the control thread.
        failure: why the last transition was refused, or None.
    """

    link: RobotLink

    def __init__(self, name: str) -> None:
        super().__init__(name, **DECLARE_FROM_OVERRIDES)
        self.mailbox = Mailbox()
        self.failure: SafeLocomotionError | None = None

    def require_activation(self) -> None:
        """Allow activation.

        Raises:
            SafeLocomotionError: the link must not become active now.
        """
        raise NotImplementedError

    def reach(self, state: LinkState) -> None:
        """Go from unconfigured to this state.

        Raises:
            SafeLocomotionError: a transition was refused.
        """
        transitions = {
            "unconfigured": (),
            "inactive": (self.trigger_configure,),
            "active": (self.trigger_configure, self.trigger_activate),
        }
        for trigger in transitions[state]:
            trigger()
            if self.failure is not None:
                raise self.failure

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the robot, read-only."""
        return self._transition(self.link.open)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Send commands from now on, if `require_activation` allows it."""
        return self._transition(self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp, then write nothing."""
        return self._transition(self.link.deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the robot."""
        return self._transition(self.link.close)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp and close the robot."""
        return self._transition(self.link.close)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp and close the robot; back to unconfigured."""
        return self._transition(self.link.close)

    def _activate(self) -> None:
        self.require_activation()
        self.link.activate()
        if self.link.backend is not None and self.link.look(0.0) is None:
            self.link.backend.greet()

    def _transition(self, work: Callable[[], None]) -> TransitionCallbackReturn:
        self.failure = None
        try:
            self.mailbox.ask(work, TRANSITION_S)
        except SafeLocomotionError as error:
            self.failure = error
            self.get_logger().error(str(error))
        except Exception as error:  # the lifecycle would hide it and go on with a closed link
            self.failure = BackendError(f"{type(error).__name__}: {error}")
            self.get_logger().error(traceback.format_exc())
        if self.failure is not None:
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS
