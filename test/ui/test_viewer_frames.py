"""A frame that fails is counted and said; a viewer whose frames all fail ends."""

import pytest

pytest.importorskip("rclpy")

from safe_locomotion.nodes.health import OK, WARN
from safe_locomotion.ui.viewer.frames import MOST_IN_A_ROW, Guarded


def fail(frames):
    """One frame that fails as the library's buffers do."""
    with frames.attempt():
        raise RuntimeError("deque mutated during iteration")


def test_one_broken_frame_does_not_end_the_viewer():
    """It is said once in a row of failures, and the row of the diagnostics keeps it."""
    said = []
    frames = Guarded("frames", said.append)
    for _ in range(3):
        for _ in range(MOST_IN_A_ROW - 1):
            fail(frames)
        assert frames.status().level == WARN
        with frames.attempt():
            pass
        assert frames.status().level == OK
    assert said == ["frames: RuntimeError: deque mutated during iteration"] * 3
    values = {pair.key: pair.value for pair in frames.status().values}
    assert values["failed"] == str(3 * (MOST_IN_A_ROW - 1)) and "deque" in values["last"]


def test_a_viewer_that_shows_nothing_any_more_ends():
    """The last failure of the row is raised."""
    frames = Guarded("frames", lambda text: None)
    for _ in range(MOST_IN_A_ROW - 1):
        fail(frames)
    with pytest.raises(RuntimeError, match="deque mutated"):
        fail(frames)


def test_a_signal_is_no_broken_frame():
    """Ctrl-C ends the viewer."""
    with pytest.raises(KeyboardInterrupt), Guarded("frames", print).attempt():
        raise KeyboardInterrupt
