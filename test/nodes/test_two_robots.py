"""Two robots in one ROS domain, each in a namespace of its own, as `namespace:=` starts them."""

import sys
from contextlib import ExitStack

from places import HELPERS
from ros_world import children, ros_tester
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from safe_locomotion.backends.domains import claim_domain
from safe_locomotion.nodes import decisions
from safe_locomotion.nodes.subscriptions import LATCHED
from safe_locomotion.runtime.stack import StackOptions, stack
from safe_locomotion.types import Mode

ROBOT = str(HELPERS / "wire_robot.py")


def composed(namespace, wire_domain, folder):
    """Command line of the composed process in a namespace, with its file of parameters."""
    options = StackOptions(lock_step=True, sdk_options={"domain": wire_domain})
    process = stack(options)[1]
    file = folder / f"{namespace}.yaml"
    file.write_text(process.parameter_file())
    words = ["--ros-args", "-r", f"__ns:=/{namespace}", "--params-file", str(file)]
    return [sys.executable, "-m", process.module, *words]


def test_each_robot_does_what_it_is_told_in_its_namespace(tmp_path, ros_domain):
    """A file of parameters reaches nodes in a namespace, and a request reaches one robot alone."""
    with ExitStack() as things:
        domains = {name: things.enter_context(claim_domain()) for name in ("one", "two")}
        t = things.enter_context(ros_tester())
        things.enter_context(
            children(
                *(
                    [sys.executable, ROBOT, str(domain), "300", str(tmp_path / f"{name}.json")]
                    for name, domain in domains.items()
                ),
                *(composed(name, domain, tmp_path) for name, domain in domains.items()),
            )
        )
        verdicts = {
            name: t.collect(JointState, f"{name}/safety/verdict", LATCHED) for name in domains
        }

        def mode(name):
            return decisions.verdict_from(verdicts[name][-1]).mode if verdicts[name] else None

        assert t.spin_until(lambda: all(mode(name) is Mode.PASSIVE for name in domains))
        assert t.call(Trigger, "one/stand").success
        assert t.spin_until(lambda: mode("one") is Mode.STAND)
        heard = len(verdicts["two"])
        assert t.spin_until(lambda: len(verdicts["two"]) > heard)
        assert mode("two") is Mode.PASSIVE
