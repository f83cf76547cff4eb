"""The robot's remote drives and stops the real stack; `/diagnostics` and `top` show it."""

import json
import signal
import sys

from diagnostic_msgs.msg import DiagnosticArray
from places import HELPERS
from ros_world import children, ros_tester
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from safe_locomotion.cli.drive import top
from safe_locomotion.cli.main import main
from safe_locomotion.config import load_config
from safe_locomotion.nodes import decisions
from safe_locomotion.nodes.subscriptions import LATCHED
from safe_locomotion.runtime.stack import StackOptions, stack
from safe_locomotion.safety.trigger_set import COMPONENTS
from safe_locomotion.types import Mode

ROBOT = str(HELPERS / "wire_robot.py")
WALK = "R2+A@0.1-0.3,R1:ly=1@0.5-100"
"""The remote starts to walk and drives; a service asked to stand up before."""
ESTOP_AT = 0.1
ESTOP = f"R1:ly=1@0-1,L2+B@{ESTOP_AT}-0.3"
"""The emergency stop comes while the dead-man switch is held."""
STREAMS = {
    "bridge_node": {"lowstate", "remote", "safety/verdict", "mpc/plan"},
    "supervisor_node": {"state_estimate", "policy/proposal", "cmd_vel"},
}
STAGES = {
    "bridge_node": {"state to command", "leg control and gate"},
    "estimator_node": {"estimator tick"},
    "policy_node": {"policy tick"},
    "supervisor_node": {"supervisor tick"},
    "mpc_node": {"mpc tick"},
}
ALIVE = {(node, name) for node, names in STREAMS.items() for name in names if name != "cmd_vel"}
ROWS = {
    *((node, name) for rows in (STREAMS, STAGES) for node, names in rows.items() for name in names),
    *(("supervisor_node", "supervisor"), ("supervisor_node", "hazards"), ("bridge_node", "gate")),
}
STEPS = 50
STATISTICS = {
    "steps",
    "recovery_steps",
    "share",
    "uses",
    "duration_p50_s",
    "duration_p99_s",
    "duration_max_s",
}


def told(arrays):
    """The newest values of each row by node and name, and the streams that were alive in any.

    On a loaded machine a stream is not alive each time.
    """
    said = [
        ((s.hardware_id, s.name.partition(": ")[2]), {p.key: p.value for p in s.values})
        for a in arrays
        for s in a.status
    ]
    return dict(said), {key for key, values in said if values.get("alive") == "True"}


def all_told(arrays):
    """Whether every row has come, every stream was alive, and the robot has walked for a while."""
    rows, alive = told(arrays)
    return (
        rows.keys() >= ROWS
        and alive >= ALIVE
        and int(rows["supervisor_node", "supervisor"]["steps"]) > STEPS
    )


def check_rows(arrays):
    """Every stream and stage has a row under its node, with its figures."""
    rows, alive = told(arrays)
    for node, names in STREAMS.items():
        for name in names:
            assert rows[node, name].keys() >= {
                "alive",
                "valid",
                "received",
                "missed",
                "rejected",
                "rate_hz",
                "age_ms",
            }, name
            assert ((node, name) in alive) is ((node, name) in ALIVE), name
    for node, names in STAGES.items():
        for name in names:
            v = rows[node, name]
            assert (
                0.0 < float(v["p50_ms"]) <= float(v["p99_ms"]) <= float(v["max_ms"])
                and int(v["count"]) > 100
            ), name
    supervisor = rows["supervisor_node", "supervisor"]
    assert supervisor.keys() >= STATISTICS | {f"triggers/{name}" for name in COMPONENTS} | {
        "mode",
        "active",
        "policy",
    }
    assert int(supervisor["steps"]) > STEPS and supervisor["mode"] == "WALK"
    assert ("bridge_node", "gate") in rows and ("supervisor_node", "hazards") in rows


def commands_of(domain, file):
    """Command lines of a robot whose remote plays two scripts, and of its composed stack."""
    robot = [sys.executable, ROBOT, str(domain), "300", str(file)]
    scripts = [f"--remote={WALK}", f"--remote={ESTOP}"]
    options = StackOptions(graph="composed", lock_step=True, sdk_options={"domain": domain})
    return [*robot, *scripts], stack(options)[1].command()


def check_top(shown):
    """`top` shows mode, driver, margins, streams and stages."""
    words = ("WALK", "nominal drives", *COMPONENTS, "state_estimate", "mpc tick", "recovery")
    assert all(word in shown for word in words)


def check_commands(result):
    """The robot is moved until its remote stops it, and damped from 20 ms after that on."""
    pressed = result["played"][1] + ESTOP_AT
    walking = [c for c in result["commands"] if pressed - 0.5 < c[0] < pressed]
    after = [c for c in result["commands"] if c[0] >= pressed + 0.02]
    assert len(walking) > 200 and all(kp > 0.0 or tau > 0.0 for _, kp, _, tau in walking)
    assert len(after) > 20
    assert all(kp == 0.0 and tau == 0.0 and kd > 0.0 for _, kp, kd, tau in after)


def test_the_remote_walks_the_robot_and_its_emergency_stop_damps_it_within_20_ms(
    tmp_path, ros_domain, wire_domain, capsys
):
    """Request, velocity and emergency stop travel in LowState; FAULT holds until reset."""
    file = tmp_path / "robot.json"
    with ros_tester() as t, children(*commands_of(wire_domain, file)) as (robot, stack_):
        verdicts = t.collect(JointState, "safety/verdict", LATCHED)
        rows = t.collect(DiagnosticArray, "/diagnostics", 50)

        def newest():
            return decisions.verdict_from(verdicts[-1]) if verdicts else None

        def mode():
            return newest().mode if verdicts else None

        assert t.spin_until(lambda: mode() is Mode.PASSIVE)
        assert t.call(Trigger, "stand").success
        assert t.spin_until(lambda: mode() is Mode.STAND)
        robot.send_signal(signal.SIGUSR2)
        assert t.spin_until(lambda: mode() is Mode.WALK)
        assert t.spin_until(lambda: newest().command.vx == load_config("a1").driving.vx)
        status = main(["top", "--once"])
        shown = capsys.readouterr()
        rows.clear()
        assert t.spin_until(lambda: all_told(rows)), told(rows)
        walking_rows = list(rows)
        robot.send_signal(signal.SIGUSR2)
        assert status == 0, shown.err
        check_top(shown.out)
        assert t.spin_until(lambda: mode() is Mode.FAULT)
        assert "estop" in newest().reasons
        assert t.spin_until(
            lambda: t.call(Trigger, "reset") and t.spin_until(lambda: mode() is Mode.PASSIVE, 0.2)
        )
        stack_.send_signal(signal.SIGINT)
        assert stack_.wait(10) == 0
        robot.terminate()
        robot.wait(10)
    check_rows(walking_rows)
    check_commands(json.loads(file.read_text()))


def test_top_says_what_to_look_at_where_nothing_is_heard(ros_domain, capsys, monkeypatch):
    """The status is 1, and three settings of discovery are named with their values."""
    monkeypatch.setattr(top, "PATIENCE_S", 0.3)
    assert main(["top", "--once"]) == 1
    said = capsys.readouterr().err
    assert all(
        word in said
        for word in (
            f"ROS_DOMAIN_ID={ros_domain}",
            "ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST",
            "RMW",
        )
    )
