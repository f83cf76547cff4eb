"""The last minute of the viewer, and the supervisor that judges it once more."""

from dataclasses import replace

import pytest
from core_values import START_NS, estimate, verdict
from scene_values import scene_maker

pytest.importorskip("rclpy")
pytest.importorskip("viser")

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.messages import encode
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.types import GaitParameters, Mode, Proposal
from safe_locomotion.ui.viewer.judge import BUSY, Judge
from safe_locomotion.ui.viewer.minute import (
    LENGTH_NS,
    MOST_A_LOOK,
    MOST_MESSAGES,
    Minute,
    Passage,
    passages,
)
from safe_locomotion.ui.viewer.strip import strip
from safe_locomotion.ui.viewer.what_if import Change, Question, answer, takeovers

CONFIG = load_config("a1")
EACH_NS = 20_000_000
SECOND_NS = 1_000_000_000
TILTED = range(100, 110)  #: frames in the trigger set, of 200
GAIT = GaitParameters(
    frequency=2.5,
    swing_ratio=0.45,
    phase_offsets=(0.5, 0.5, 0.0),
    foot_y=(-0.13, 0.13, -0.13, 0.13),
)


def minute_of_a_stumble():
    """Four seconds of a level robot that walks; it leans by 0.4 rad for a fifth of a second.

    The flight had the learner all the time.
    """
    minute = Minute()
    for k in range(200):
        stamp_ns = START_NS + k * EACH_NS
        roll = 0.4 if k in TILTED else 0.0
        e = estimate(stamp_ns=stamp_ns, quaternion_wxyz=quaternion_from_rpy(roll, 0.0, 0.0))
        said = verdict(stamp_ns=stamp_ns, mode=Mode.WALK, active="learner")
        wants = Proposal(stamp_ns=stamp_ns, policy="one", kind="gait", gait=GAIT)
        minute.keep("state_estimate", [encode.state_estimate(e)])
        minute.keep("safety/verdict", [encode.verdict(said)])
        minute.keep("policy/proposal", [encode.proposal(wants)])
    return minute


def question(criterion, horizon=10):
    """What if, on that stumble."""
    change = Change(criterion=criterion, horizon=horizon, capture=False)
    packed = minute_of_a_stumble().copy().packed
    return Question(robot="a1", config=CONFIG, change=change, packed=packed)


def recovered(criterion):
    """Frames that recovery drives after the first second, under a criterion."""
    found = answer(question(criterion)).changed
    frames = set()
    for passage in found:
        if passage.kind == "recovery":
            first = (passage.begin_ns - START_NS) // EACH_NS
            frames |= set(range(first, (passage.end_ns - START_NS) // EACH_NS))
    return {k for k in frames if k >= 50}


def test_each_criterion_judges_the_stumble_in_its_way():
    """`off` never acts, `naive` while the state lies in the trigger set, `dwell` 1 s longer."""
    assert recovered("off") == set()
    naive = recovered("naive")
    assert set(TILTED) <= naive and max(naive) < TILTED.stop + 60
    dwell = recovered("dwell")
    assert naive < dwell and len(dwell) >= len(naive) + 40


def test_settings_that_do_not_fit_are_refused():
    """Planning needs two steps."""
    with pytest.raises(ConfigurationError, match="horizon"):
        answer(question("planning", horizon=1))


def test_the_judge_answers_from_a_process_of_its_own():
    """It answers what `answer` does here, one question at a time; a refusal is one line."""
    asked = question("naive")
    judge = Judge(background=False)
    told = []
    try:
        for each in (asked, question("planning", horizon=1)):
            assert judge.ask(each, lambda *said: told.append(said)) == ""
            assert judge.ask(each, lambda *said: None) == BUSY
            judge.wait()
    finally:
        judge.close()
    assert told[0] == (answer(asked), "")
    assert told[1][0] is None and "horizon" in told[1][1] and "\n" not in told[1][1]


def test_equal_neighbours_are_one_passage_and_silence_parts_them():
    """Passages meet where the driver changes."""
    rows = [(0, "learner"), (EACH_NS, "learner"), (2 * EACH_NS, "recovery"), (SECOND_NS, "rest")]
    assert passages(rows) == [
        Passage(begin_ns=0, end_ns=2 * EACH_NS, kind="learner"),
        Passage(begin_ns=2 * EACH_NS, end_ns=2 * EACH_NS, kind="recovery"),
        Passage(begin_ns=SECOND_NS, end_ns=SECOND_NS, kind="rest"),
    ]
    assert takeovers(passages(rows)) == (1, 0.0)


def test_a_flood_is_thinned_and_garbage_is_left_out():
    """A look keeps at most `MOST_A_LOOK` messages of a topic; broken ones have no driver."""
    minute = Minute()
    said = encode.verdict(verdict(mode=Mode.WALK))
    minute.keep("safety/verdict", [said] * 500)
    minute.keep("safety/verdict", [b"", b"\0" * 40, said[:50]])
    kept = minute.copy()
    assert len(kept.packed.verdicts) <= MOST_A_LOOK + 3 and len(kept.passages) == 1


def test_a_robot_whose_clock_stands_still_keeps_its_minute():
    """Messages that are published again and again count once, and what was before stays."""
    minute = minute_of_a_stumble()
    before = minute.copy().packed
    for _ in range(2 * MOST_MESSAGES // MOST_A_LOOK):
        minute.keep("safety/verdict", [before.verdicts[-1]] * MOST_A_LOOK)
    assert minute.copy().packed == before and minute.copy().passages


def test_a_takeover_is_the_first_scene_that_shows_it(scene):
    """Scenes are rarer than verdicts; the one before a takeover still shows the learner."""
    minute = Minute()
    for k in range(20):
        drives = "recovery" if k >= 7 else "learner"
        stamp_ns = START_NS + k * EACH_NS
        said = verdict(stamp_ns=stamp_ns, mode=Mode.WALK, active=drives)
        minute.keep("safety/verdict", [encode.verdict(said)])
        if k % 5 == 0:
            minute.draw(replace(scene, stamp_ns=stamp_ns, active=drives))
    kept = minute.copy()
    assert kept.takeovers() == [START_NS + 10 * EACH_NS]
    assert kept.at(kept.takeovers()[0]).active == "recovery"


def test_the_minute_forgets_and_a_new_run_begins_a_new_one(scene):
    """Scenes older than a minute go; so does everything when stamps fall back."""
    minute = Minute()
    for k in range(5):
        minute.draw(replace(scene, stamp_ns=START_NS + k * LENGTH_NS // 2))
    kept = minute.copy()
    assert len(kept.scenes) == 3 and kept.end_ns == START_NS + 2 * LENGTH_NS
    assert kept.at(0) is kept.scenes[0] and kept.at(kept.end_ns + 1) is kept.scenes[-1]
    minute.draw(replace(scene, stamp_ns=START_NS))
    assert len(minute.copy().scenes) == 1 and Minute().copy().at(0) is None


@pytest.fixture
def scene():
    """Any scene."""
    return scene_maker().update(estimate(), [verdict()])


def test_the_strip_has_a_rectangle_for_each_passage():
    """Passages before the minute are left out, and short ones are wide enough to be seen."""
    end_ns = START_NS + 2 * LENGTH_NS
    found = [
        Passage(begin_ns=START_NS, end_ns=START_NS + 1, kind="rest"),
        Passage(begin_ns=end_ns - 30 * SECOND_NS, end_ns=end_ns, kind="learner"),
        Passage(begin_ns=end_ns - 1, end_ns=end_ns, kind="recovery"),
    ]
    drawn = strip(end_ns, found)
    assert drawn.count("<rect") == 3 and "width='300.0'" in drawn and "width='1.5'" in drawn
    assert strip(end_ns, found, found, end_ns).count("<rect") == 6


def test_the_minute_is_bounded_whatever_arrives():
    """4,000 messages of a topic at most."""
    minute = Minute()
    for look in range(1000):
        minute.keep("policy/proposal", [b"%d %d" % (look, k) for k in range(100)])
    assert len(minute.copy().packed.proposals) == MOST_MESSAGES
