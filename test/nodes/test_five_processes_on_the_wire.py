"""Five processes, started by the runner of the command line, and a simulated robot on the real wire."""

import json
import sys
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from ros_world import children, ros_tester
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from safe_locomotion.nodes import decisions
from safe_locomotion.nodes.inbox import LATCHED
from safe_locomotion.processes import RunningStack
from safe_locomotion.stack import StackOptions, stack
from safe_locomotion.types import Mode

ROBOT = str(Path(__file__).with_name("wire_robot.py"))


def test_a_supervisor_that_is_gone_does_not_leave_stand_in_force(tmp_path, ros_domain, wire_domain):
    """The robot stands on services; when the supervisor's process ends, the bridge damps and names the reason on /diagnostics."""
    file = tmp_path / "robot.json"
    options = StackOptions(graph="nodes", lock_step=True, sdk_options={"domain": wire_domain})
    with (
        ros_tester() as t,
        children([sys.executable, ROBOT, str(wire_domain), "90", str(file)]) as (robot,),
        RunningStack(stack(options)[1:]) as running,
    ):
        verdicts, rows = t.collect(JointState, "safety/verdict", LATCHED), {}
        t.node.create_subscription(
            DiagnosticArray, "/diagnostics", lambda m: rows.update({row.name: row.message for row in m.status}), 10
        )
        assert t.spin_until(lambda: verdicts)
        assert t.spin_until(lambda: t.call(Trigger, "stand").success)
        assert t.spin_until(lambda: decisions.verdict_from(verdicts[-1]).mode is Mode.STAND)
        assert running.ended() == {}
        running.running["supervisor_node"].terminate()
        assert running.running["supervisor_node"].wait(10) == 0
        assert t.spin_until(lambda: rows.get("bridge_node: gate") == "verdict_stale")
        assert set(running.stop().values()) == {0}
        robot.terminate()
        robot.wait(10)
    result = json.loads(file.read_text())
    assert result["max_height"] > 0.25
    assert all(kp == 0.0 and kd > 0.0 and tau == 0.0 for _, kp, kd, tau in result["commands"][-5:])
