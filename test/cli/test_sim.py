"""`safe-locomotion sim`: real runs over the real wire, as a user starts them."""

import json
import subprocess
import sys
from itertools import pairwise
from math import isfinite

import numpy as np
import pytest
from sim_runs import run, watched_walk

pytest.importorskip("mujoco")
pytest.importorskip("rclpy")
pytest.importorskip("unitree_sdk2py")

TIMING = (
    "wall_s",
    "real_time_factor",
    "latency_ms",
    "round_trip_ms",
    "memory_mb",
    "options",
    "stood_at_s",
)
CONTRACT = {
    *(
        "duration_s",
        "wall_s",
        "real_time_factor",
        "falls",
        "distance_m",
        "velocity_rmse_mps",
        "estimator_velocity_rmse_mps",
    ),
    *(
        "estimator_drift_m",
        "recovery_share",
        "recovery_uses",
        "gate_trips",
        "rates_hz",
        "latency_ms",
        "energy_j",
    ),
    *("cost_of_transport", "reward", "hops", "feet_distance_m"),
}
WALK = ("--duration", "2.6", "--vx", "0.4", "--seed", "3", "--push", "8@1.5")


def finite(value):
    """Every number under a report's key is finite."""
    if isinstance(value, dict):
        return all(finite(item) for item in value.values())
    return not isinstance(value, float) or isfinite(value)


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """A walk with all that can be written about it."""
    folder = tmp_path_factory.mktemp("walk")
    return watched_walk(
        folder, *WALK, "--record", folder / "run", "--save-states", folder / "s.npz"
    )


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    """The same walk, with --realtime where this user may have it."""
    asked = ("--realtime",) if granted() else ()
    return watched_walk(tmp_path_factory.mktemp("again"), *WALK, *asked)


def test_walk_completes_with_a_whole_report(walk):
    """The run ends with status 0; the report has all keys and the figures of a walk."""
    report = walk.report
    assert set(report) >= CONTRACT and finite(report)
    assert {key for key in CONTRACT if report[key] is None} == {"reward"}
    assert report["falls"] == 0 and report["gate_trips"] == {} and report["commands_rejected"] == {}
    assert report["duration_s"] == pytest.approx(2.6) and 0.4 < report["distance_m"] < 1.3
    assert report["rates_hz"] == pytest.approx(
        {"lowcmd": 500, "odom": 500, "mpc": 250, "policy": 125}, rel=0.01
    )
    assert all(
        report["latency_ms"][name]["p50"] > 0.0
        for name in ("state_to_command", "mpc", "estimator", "policy")
    )
    assert report["real_time_factor"] == pytest.approx((2.6 + 1.4) / report["wall_s"], rel=0.1)
    assert "velocity_rmse_mps" in walk.shown and "Traceback" not in walk.said


def test_equal_seeds_give_equal_runs(walk, again):
    """A second run gives the same figures but for the timing, also by real-time scheduling."""
    figures = [{k: v for k, v in w.report.items() if k not in TIMING} for w in (walk, again)]
    assert figures[0] == figures[1]


def test_saved_states_replay_to_the_same_estimates(walk):
    """The file holds the LowStates of the bridge, in order, from before standing to the end."""
    from safe_locomotion.backends.log import load_states

    states = load_states(walk.folder / "s.npz")
    ticks = [state.tick for state in states]
    assert ticks == list(range(ticks[0], ticks[0] + 2 * len(ticks), 2)) and len(
        states
    ) == pytest.approx(1800, abs=3)
    assert all(
        later.stamp_ns - earlier.stamp_ns == 2_000_000 for earlier, later in pairwise(states)
    )


def test_the_walk_is_an_episode(walk):
    """--record writes an episode with each LowState, its verdict and the facts of the run."""
    from safe_locomotion.backends.log import load_states
    from safe_locomotion.recording.reader import episode_paths, read_episode

    (path,) = episode_paths(walk.folder / "run")
    record = read_episode(path)
    saved = {state.stamp_ns: state for state in load_states(walk.folder / "s.npz")}
    assert len(record.states) > 500 and set(np.diff(record.states.stamp_ns)) == {2_000_000}
    pairs = [
        (state, saved[state.stamp_ns])
        for state in record.states.low_states()
        if state.stamp_ns in saved
    ]
    assert len(pairs) > 500
    for name in ("q", "dq", "tau", "foot_force", "quaternion_wxyz", "gyro", "accelerometer"):
        assert all(getattr(a, name).tobytes() == getattr(b, name).tobytes() for a, b in pairs), name
    assert record.verdicts.walking.sum() > 500 and np.array_equal(
        record.verdicts.stamp_ns, record.states.stamp_ns
    )
    assert (record.info.robot, record.info.why, record.info.end, record.info.dropped) == (
        "a1",
        "walk",
        "stopped",
        {},
    )


def test_a_fall_ends_with_status_3(tmp_path):
    """After a very hard push the fall is in the report, with its time."""
    done = run(
        "sim",
        "--headless",
        "--duration",
        "1.2",
        "--push",
        "150@0.1",
        "--report",
        tmp_path / "r.json",
    )
    report = json.loads((tmp_path / "r.json").read_text())
    assert done.returncode == 3 and report["falls"] >= 1 and 0.1 < report["fall_times_s"][0] < 1.2


def test_five_nodes_walk_too(tmp_path):
    """--graph nodes walks with five processes over ROS and writes the same report."""
    done = run(
        "sim",
        "--headless",
        "--graph",
        "nodes",
        "--duration",
        "1.6",
        "--vx",
        "0.4",
        "--report",
        tmp_path / "r.json",
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert (
        report["falls"] == 0
        and report["distance_m"] > 0.15
        and report["rates_hz"]["lowcmd"] == pytest.approx(500, rel=0.01)
    )


def test_the_controller_gets_the_scheduling_of_a_robot_where_it_is_asked_for(walk, again):
    """With --realtime the controller runs under SCHED_FIFO; the simulated robot never does."""
    assert walk.scheduling == {(True, False), (False, False)}
    if not granted():
        pytest.skip("no real-time priority is allowed here")
    assert (True, True) in again.scheduling
    assert (False, True) not in again.scheduling and (False, False) in again.scheduling


def granted():
    """Whether this user may use a real-time priority."""
    told = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))"
    return (
        subprocess.run([sys.executable, "-c", told], capture_output=True, check=False).returncode
        == 0
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["hop"], ["hop", "sim", "bench", "doctor"]),
        (["sim", "--robot", "spot"], ["spot", "a1"]),
        (["sim", "--gait", "gallop"], ["gallop", "trot", "pace"]),
        (["sim", "--terrain", "moon"], ["moon", "stairs", "rough"]),
        (["sim", "--graph", "star"], ["star", "nodes", "composed"]),
        (["sim", "--policy", "catwalk"], ["catwalk", "nominal", "a1_trot", "a1_velocity_lstm"]),
        (["sim", "--supervisor", "watchful"], ["watchful", "reachability"]),
        (["sim", "--supervisor", "naive", "--horizon", "5"], ["horizon", "planning"]),
        (["sim", "--set", "mpc.locomotion.colour=1"], ["colour", "body_height"]),
        (["sim", "--set", "mpc.locomotion.body_height=high"], ["body_height", "high"]),
        (["sim", "--set", "mpc.locomotion.body_height"], ["node.key=value"]),
        (["sim", "--set", "arm.length=1"], ["arm", "mpc"]),
        (["sim", "--push", "7"], ["J@t", "7"]),
        (["sim", "--push", "nan@1"], ["nan@1"]),
        (["sim", "--script", "dance@0"], ["dance", "stand", "sit"]),
        (["sim", "--script", "walk@now"], ["walk@now", "request@t"]),
        (["sim", "--script", "walk@5,sit@1"], ["order"]),
        (["sim", "--friction", "nan"], ["friction", "0.01"]),
        (["sim", "--vx", "inf"], ["--vx"]),
        (["sim", "--duration", "0"], ["--duration"]),
        (["sim", "--seed", "-1"], ["seed"]),
        (["sim", "--record", "/proc/nowhere"], ["/proc/nowhere"]),
        (["sim", "--nonsense"], ["nonsense"]),
    ],
)
def test_bad_usage_is_one_line_and_status_2(capfd, arguments, words):
    """Bad options give one line on stderr with the value and the choices; nothing starts."""
    from safe_locomotion.cli.main import main

    extra = ["--headless"] if arguments[0] == "sim" else []
    assert main([*arguments, *extra]) == 2
    said = capfd.readouterr().err
    assert (
        said.count("\n") == 1 and said.startswith("error: ") and all(word in said for word in words)
    )
