"""A short demonstration for the person at the terminal, then the keyboard.

It uses the same topics, services and parameters as every other operator.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from safe_locomotion.cli.drive.keyboard import ESTOP, Keyboard, KeyDrive
from safe_locomotion.operator.requests import Script, Step
from safe_locomotion.policy.stage import NOMINAL
from safe_locomotion.types import NANOSECONDS, Mode, VelocityCommand
from safe_locomotion.ui.remote_operator import RemoteOperator

PERIOD = 0.05  # s of wall time between two velocity commands; they die after 0.5 s
TURNED = 13.0  # s after standing up at which the turn ends
STOPPED = 3.0  # s of standing still at the end
SWAP_EACH = 5.0  # s per policy
SWAPS_MAX = 18.0  # s of all policies together


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """Plan of the demonstration, in seconds after standing up.

    Attributes:
        steps: requests and velocities.
        swaps: pairs of a time and the policy that takes over then.
        policies: those that the person may choose later; the first one is active at the start.
        end: time at which the keyboard takes over.
    """

    steps: tuple[Step, ...]
    swaps: tuple[tuple[float, str], ...]
    policies: tuple[str, ...]
    end: float


def demonstration(
    vx: float, vy: float, wz: float, policy: str, shipped: Sequence[str]
) -> Demonstration:
    """Stand, walk, turn, walk under each other policy and again under the first, and stop.

    Args:
        vx, vy, wz: velocity of the walk [m/s, m/s, rad/s].
        policy: active at the start.
        shipped: policies to show.
    """
    policies = (policy, *(name for name in (NOMINAL, *shipped) if name != policy))
    others = [name for name in policies if name in shipped and name != policy]
    tour = [*others, policy] if others else []
    each = min(SWAP_EACH, SWAPS_MAX / max(len(tour), 1))
    walked = TURNED + each * len(tour)
    walk = VelocityCommand(vx=vx, vy=vy, wz=wz)
    steps = (
        Step(time=0.0, request="stand"),
        Step(time=1.0, request="walk", command=walk),
        Step(time=9.0, request="walk", command=VelocityCommand(vx=0.5 * vx, wz=0.8)),
        *((Step(time=TURNED, request="walk", command=walk),) if tour else ()),
        Step(time=walked, request="stand"),
    )
    swaps = tuple((TURNED + each * i, name) for i, name in enumerate(tour))
    return Demonstration(
        steps=steps, swaps=swaps, policies=policies if shipped else (policy,), end=walked + STOPPED
    )


class Watcher:
    """Drives the demonstration and then follows the person's keys.

    Each call of `act` returns the status line. `say` prints lines that stay on the screen.
    """

    def __init__(
        self,
        remote: RemoteOperator,
        keyboard: Keyboard,
        plan: Demonstration,
        say: Callable[[str], None],
    ) -> None:
        self._remote = remote
        self._keyboard = keyboard
        self._plan = plan
        self._say_once = say
        self._keys = KeyDrive(plan.policies[0], plan.policies)
        self._asked = plan.policies[0]
        self._script = Script(plan.steps)
        self._demonstrating = True
        self._let_go = False

    def act(self) -> str:
        """Listen and command for one period, and return the status line."""
        remote = self._remote
        remote.spin(PERIOD)
        if remote.mode is None or remote.stamp_ns is None:
            return ""
        self._listen(remote.stamp_ns)
        if self._let_go:
            return self._say(VelocityCommand())
        request, command = self._script.update(remote.stamp_ns, remote.mode)
        if request is not None:
            remote.request(request)
        remote.drive(command)
        self._swap()
        return self._say(command)

    def _listen(self, stamp_ns: int) -> None:
        """Read keys and other operators: the last one to act drives.

        Any key and any other operator ends the demonstration.
        """
        keys = self._keyboard.keys()
        stood = self._script.stood_ns
        if ESTOP in keys:
            self._remote.request("estop")
        if "r" in keys and self._remote.mode is Mode.FAULT:
            self._remote.request("reset")
        elapsed = 0.0 if stood is None else (stamp_ns - stood) / NANOSECONDS
        if self._demonstrating:
            shown = [name for time, name in self._plan.swaps if time <= elapsed]
            self._keys.policy = shown[-1] if shown else self._keys.policy
        pressed = [self._keys.press(key) for key in keys]
        if self._remote.taken_over():
            self._let_go = True
            self._demonstrating = False
        self._let_go = self._let_go and not any(pressed)
        if any(pressed) or (self._demonstrating and elapsed >= self._plan.end):
            self._demonstrating = False
            self._script = self._keys.script(stood)

    def _swap(self) -> None:
        """Request the wanted policy when it changes, and show the answers."""
        if self._keys.policy != self._asked:
            self._asked = self._keys.policy
            self._remote.swap(self._asked)
        while self._remote.answers:
            self._say_once(self._remote.answers.pop(0))

    def _say(self, command: VelocityCommand) -> str:
        mode = "" if self._remote.mode is None else self._remote.mode.name.lower()
        if self._remote.reasons:
            mode += f" ({', '.join(self._remote.reasons)})"
        if self._remote.mode is Mode.WALK:
            mode += f" under {self._remote.policy or 'recovery'}"
        if self._demonstrating:
            return f"{mode}  demonstration"
        told = self._keys.help if self._keyboard.present else "Ctrl-C ends"
        if self._let_go:
            return f"{mode}  the browser drives  {told}"
        wanted = f"{command.vx:+.1f} {command.vy:+.1f} m/s {command.wz:+.1f} rad/s"
        return f"{mode}  {wanted}  {self._remote.refusal or told}"
