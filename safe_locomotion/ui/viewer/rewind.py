"""The last minute of one browser: a slider to look back, what if, and the way back to now.

While a browser looks back, it sees a picture of its own. The controls stay those of the robot
now, and driving ends the looking back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from threading import RLock
from time import monotonic
from typing import Any

import viser

from safe_locomotion.config import StackConfig
from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.safety.switching_rule import CRITERIA, LONGEST_HORIZON
from safe_locomotion.types import NANOSECONDS
from safe_locomotion.ui.robot_body import RobotBody
from safe_locomotion.ui.viewer.judge import Judge
from safe_locomotion.ui.viewer.minute import Minute, Passage, Recorded
from safe_locomotion.ui.viewer.overlay import past
from safe_locomotion.ui.viewer.panels import TEXT
from safe_locomotion.ui.viewer.scene import LIVE, SceneView
from safe_locomotion.ui.viewer.strip import legend, strip
from safe_locomotion.ui.viewer.what_if import Answer, Change, Question, takeovers

PAST = "/past"  #: frame of a browser's own picture
REFRESH_S = 1.0  #: between two pictures of the minute while it runs
SECONDS = 60.0
STEPS = ("◀◀", "◀", "▶", "▶▶")  #: takeover before, a step back, a step on, next takeover
STEP_S = 0.1
LEGEND = legend(
    (("learner", "policy"), ("recovery", "recovery"), ("stopped", "stopped"), ("rest", "no walk"))
)
OPEN_LOOP = "After the first decision that differs, the robot would have moved in another way."


@dataclass(frozen=True, kw_only=True)
class History:
    """What the looking back of all browsers shares.

    Attributes:
        minute: that is kept.
        body: of the robot.
        robot, config: of the flight, for the judge.
        judge: answers what if.
        says: what happens now, in a few words.
    """

    minute: Minute
    body: RobotBody
    robot: RobotModel
    config: StackConfig
    judge: Judge
    says: Callable[[], str]


class Rewind:
    """The last minute in one browser."""

    def __init__(
        self, client: viser.ClientHandle, history: History, allowed: Callable[[], bool]
    ) -> None:
        """Add the elements to the page.

        Args:
            client: the browser.
            history: that all browsers share.
            allowed: whether the browser has shown the token; asking what if needs it.
        """
        self._client = client
        self._history = history
        self._allowed = allowed
        self._lock = RLock()
        self._kept: Recorded | None = None
        self._at_ns = 0
        self._changed: tuple[Passage, ...] = ()
        self._view: SceneView | None = None
        self._own: list[Any] = []
        self._over: Any = None
        self._drawn_s = float("-inf")
        gui = client.gui
        with gui.add_folder("Last minute", order=5):
            self._strip = gui.add_html(_small(LEGEND))
            self._slider: Any = gui.add_slider("Second", -SECONDS, 0.0, STEP_S, 0.0)
            self._slider.on_update(self._slide)
            steps = gui.add_button_group("Step", STEPS)
            steps.on_click(lambda event: self._step(str(event.target.value)))
            self._back = gui.add_button(
                "Back to live", color="green", icon=viser.Icon.PLAYER_PLAY, visible=False
            )
            self._back.on_click(lambda _: self.live())
        self._add_what_if(gui)

    def _add_what_if(self, gui: viser.GuiApi) -> None:
        flown = self._history.config.supervisor.intervention
        with gui.add_folder("What if", order=6, expand_by_default=False):
            self._criterion: Any = gui.add_dropdown(
                "Criterion", CRITERIA, initial_value=flown.criterion
            )
            self._horizon: Any = gui.add_slider("Horizon w", 0, LONGEST_HORIZON, 1, flown.horizon)
            self._capture: Any = gui.add_checkbox("Capture point", flown.capture)
            gui.add_button("Judge the last minute").on_click(lambda _: self._ask())
            self._said = gui.add_html(_small(""))

    @property
    def looks_back(self) -> bool:
        """Whether this browser shows the past."""
        return self._kept is not None

    def refresh(self) -> None:
        """Draw the running minute again, at most once in `REFRESH_S`."""
        now = monotonic()
        with self._lock:
            if self._kept is not None:
                self._tell_live()
            elif now - self._drawn_s >= REFRESH_S:
                self._drawn_s = now
                recorded = self._history.minute.copy()
                self._draw_strip(recorded)

    def live(self) -> None:
        """Show the robot as it is now."""
        with self._lock:
            if self._kept is None:
                return
            self._kept = None
            for element in (*self._own, self._over):
                element.remove()
            self._own.clear()
            self._view = None
            self._over = None
            self._back.visible = False
            self._slider.value = 0.0
            self._draw_strip(self._history.minute.copy())

    def _slide(self, event: Any) -> None:
        """Follow the slider; changes by this program have no client."""
        if event.client is not None:
            ago_s = -float(self._slider.value)
            with self._lock:
                kept = self._hold()
                self._look(kept.end_ns - round(ago_s * NANOSECONDS))

    def _step(self, name: str) -> None:
        with self._lock:
            kept = self._hold()
            at = self._at_ns
            if name == STEPS[0]:
                before = [stamp for stamp in kept.takeovers() if stamp < at]
                at = before[-1] if before else at
            elif name == STEPS[3]:
                after = [stamp for stamp in kept.takeovers() if stamp > at]
                at = after[0] if after else at
            else:
                way = 1 if name == STEPS[2] else -1
                at += way * round(STEP_S * NANOSECONDS)
            self._look(at)
            self._slider.value = self._second()

    def _hold(self) -> Recorded:
        """The minute as it was when this browser began to look back."""
        if self._kept is None:
            self._kept = self._history.minute.copy()
            self._at_ns = self._kept.end_ns
        return self._kept

    def _second(self) -> float:
        """Place of the shown moment on the slider [s]."""
        kept = self._hold()
        return max(-SECONDS, min(0.0, round((self._at_ns - kept.end_ns) / 1e8) / 10.0))

    def _look(self, stamp_ns: int) -> None:
        """Show one moment."""
        kept = self._hold()
        scene = kept.at(stamp_ns)
        if scene is None:
            self._kept = None
            return
        self._at_ns = min(kept.end_ns, max(kept.scenes[0].stamp_ns, stamp_ns))
        with self._client.atomic():
            if self._view is None:
                cover = self._client.scene.add_frame(LIVE, show_axes=False, visible=False)
                self._view = SceneView(self._client.scene, self._history.body, PAST)
                self._over = self._client.gui.add_html("", order=0)
                self._own = [self._view, cover]
                self._back.visible = True
            self._view.draw(scene)
            self._tell_live()
            self._draw_strip(kept)

    def _tell_live(self) -> None:
        kept = self._kept
        scene = None if kept is None else kept.at(self._at_ns)
        if kept is None or scene is None or self._over is None:
            return
        ago_s = (kept.end_ns - self._at_ns) / NANOSECONDS
        text = past(scene, ago_s, self._history.says())
        if text != self._over.content:
            self._over.content = text

    def _draw_strip(self, recorded: Recorded) -> None:
        at_ns = self._at_ns if self._kept is not None else 0
        picture = strip(recorded.end_ns, recorded.passages, self._changed, at_ns)
        content = _small(f"{picture}{LEGEND}")
        if content != self._strip.content:
            self._strip.content = content

    def _ask(self) -> None:
        """Ask the judge; it needs the token, because it makes the robot's computer work."""
        if not self._allowed():
            self._said.content = _small("locked: what if needs the token")
            return
        history = self._history
        try:
            change = Change(
                criterion=self._criterion.value,
                horizon=int(self._horizon.value),
                capture=bool(self._capture.value),
            )
            change.of(history.config.supervisor.intervention)
        except (SafeLocomotionError, ValueError, TypeError) as error:
            self._said.content = _small(escape(str(error)))
            return
        with self._lock:
            recorded = self._hold()
            self._look(self._at_ns)
        question = Question(
            robot=history.robot.name,
            config=history.config,
            change=change,
            packed=recorded.packed,
        )
        refusal = history.judge.ask(
            question, lambda found, why: self._show(recorded, change, found, why)
        )
        self._said.content = _small(escape(refusal or "the supervisor judges the minute again ..."))

    def _show(self, recorded: Recorded, change: Change, found: Answer | None, why: str) -> None:
        """Show an answer."""
        if found is None:
            self._said.content = _small(escape(why))
            return
        with self._lock:
            self._changed = found.changed
            self._draw_strip(self._kept or recorded)
        name = f"{change.criterion}, w = {change.horizon}"
        lines = (
            f"flown: {_count(recorded.passages)}",
            f"the same judged again: {_count(found.again)}",
            f"{name}: {_count(found.changed)} (second row)",
        )
        text = "<br>".join(escape(line) for line in lines)
        self._said.content = _small(f"{text}<br><i>{OPEN_LOOP}</i>")


def _count(found: tuple[Passage, ...]) -> str:
    times, seconds = takeovers(found)
    return f"recovery drives {times} times, {seconds:.1f} s"


def _small(content: str) -> str:
    return f"<div style='{TEXT}'>{content}</div>"
