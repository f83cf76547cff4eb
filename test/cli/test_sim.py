"""`safe-locomotion sim`: real runs over the real wire, as a user starts them."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from math import isfinite
from pathlib import Path

import numpy as np
import pytest

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


def command(*arguments):
    """Command line of safe-locomotion with the running Python."""
    return [sys.executable, "-m", "safe_locomotion.cli.main", *map(str, arguments)]


def environment():
    """Children import what this process imports."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def run(*arguments):
    """Run safe-locomotion to its end."""
    return subprocess.run(
        command(*arguments),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def children_of(pid):
    """Running processes whose parent is `pid`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def finite(value):
    """Every number under a report's key is finite."""
    if isinstance(value, dict):
        return all(finite(item) for item in value.values())
    return not isinstance(value, float) or isfinite(value)


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """Report and folder of one walk."""
    folder = tmp_path_factory.mktemp("walk")
    done = run(
        "sim",
        "--headless",
        *WALK,
        "--report",
        folder / "report.json",
        "--record",
        folder / "run",
        "--save-states",
        folder / "s.npz",
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "report.json").read_text()), folder, done


def test_walk_completes_with_a_whole_report(walk):
    """The run ends with status 0; the report has all keys and the figures of a walk."""
    report, _, done = walk
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
    assert "velocity_rmse_mps" in done.stdout and "Traceback" not in done.stderr


def test_equal_seeds_give_equal_runs(walk, tmp_path):
    """A second run with the same seed gives the same figures, except for the timing."""
    first, _, _ = walk
    assert run("sim", "--headless", *WALK, "--report", tmp_path / "r.json").returncode == 0
    second = json.loads((tmp_path / "r.json").read_text())
    assert {k: v for k, v in first.items() if k not in TIMING} == {
        k: v for k, v in second.items() if k not in TIMING
    }


def test_saved_states_replay_to_the_same_estimates(walk):
    """The file holds the LowStates of the bridge, in order, from before standing to the end."""
    from safe_locomotion.backends.log import load_states

    _, folder, _ = walk
    states = load_states(folder / "s.npz")
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

    _, folder, _ = walk
    (path,) = episode_paths(folder / "run")
    record = read_episode(path)
    saved = {state.stamp_ns: state for state in load_states(folder / "s.npz")}
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
        "1.6",
        "--push",
        "150@0.5",
        "--report",
        tmp_path / "r.json",
    )
    report = json.loads((tmp_path / "r.json").read_text())
    assert done.returncode == 3 and report["falls"] >= 1 and 0.5 < report["fall_times_s"][0] < 1.6


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


@pytest.mark.parametrize("asked", [(), ("--realtime",)])
def test_the_controller_gets_the_scheduling_of_a_robot_where_it_is_asked_for(asked):
    """With --realtime the controller runs under SCHED_FIFO; the simulated robot never does."""
    if not granted():
        pytest.skip("no real-time priority is allowed here")
    process = subprocess.Popen(
        command("sim", "--headless", "--duration", "2", *asked),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    seen = set()
    while process.poll() is None:
        for child in children_of(process.pid):
            with suppress(OSError):
                words = Path(f"/proc/{child}/cmdline").read_text()
                fifo = os.sched_getscheduler(child) == os.SCHED_FIFO
                if words:  # a process that has just ended has none
                    seen.add(("nodes.composed" in words, fifo))
        time.sleep(0.02)
    assert (
        process.returncode == 0
        and ((True, True) in seen) == bool(asked)
        and (False, True) not in seen
    )


def granted():
    """Whether this user may use a real-time priority."""
    told = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))"
    return (
        subprocess.run([sys.executable, "-c", told], capture_output=True, check=False).returncode
        == 0
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_damps_and_leaves_nothing_behind(tmp_path, number):
    """After Ctrl-C or SIGTERM all children end with damping, and the report says interrupted."""
    folder = tmp_path / "run"
    process = subprocess.Popen(
        command(
            "sim",
            "--headless",
            "--duration",
            "60",
            "--record",
            folder,
            "--report",
            tmp_path / "r.json",
        ),
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60.0
        while (
            not (folder / "bridge.log").is_file()
            or (folder / "bridge.log").stat().st_size < 1000 * 32
        ) and time.monotonic() < end:
            time.sleep(0.1)
        children = children_of(process.pid)
        process.send_signal(number)
        status = process.wait(20)
    finally:
        process.kill()
        process.communicate()
    assert len(children) == 3 and not any(Path(f"/proc/{pid}").exists() for pid in children)
    assert status == 130
    assert json.loads((folder / "robot.json").read_text())["ended_damped"]
    assert json.loads((tmp_path / "r.json").read_text())["interrupted"]


def test_interrupt_before_standing_says_that_there_is_no_report(tmp_path):
    """Ctrl-C while the robot stands up ends the run damped, with one line and status 130."""
    folder = tmp_path / "run"
    never = "supervisor.thresholds.settle_time=1000"
    process = subprocess.Popen(
        command("sim", "--headless", "--set", never, "--record", folder, "--report", folder / "r"),
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + 60.0
        log = folder / "bridge.log"
        while (not log.is_file() or log.stat().st_size < 100 * 32) and time.monotonic() < end:
            time.sleep(0.1)
        children = children_of(process.pid)
        process.send_signal(signal.SIGINT)
        shown, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert len(children) == 3 and not any(Path(f"/proc/{pid}").exists() for pid in children)
    assert process.returncode == 130 and not shown and not (folder / "r").exists()
    assert said.splitlines()[-1] == "ended before the robot stood; there is no report"
    assert json.loads((folder / "robot.json").read_text())["ended_damped"]


def test_killed_it_leaves_nothing_behind(tmp_path):
    """After kill -9 of the command, its children end by themselves."""
    process = subprocess.Popen(
        command("sim", "--headless", "--duration", "60", "--record", tmp_path / "run"),
        env=environment(),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    children = []
    try:
        end = time.monotonic() + 60.0
        while not (tmp_path / "run" / "bridge.log").is_file() and time.monotonic() < end:
            time.sleep(0.1)
        children = children_of(process.pid)
    finally:
        process.kill()
        process.wait()
    end = time.monotonic() + 20.0
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < end:
        time.sleep(0.1)
    assert len(children) == 3 and not any(Path(f"/proc/{pid}").exists() for pid in children)


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
