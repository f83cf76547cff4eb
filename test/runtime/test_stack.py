"""The stack description: the code behind it knows every process, parameter and value."""

import importlib
import inspect
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.backends.backend import BACKENDS
from safe_locomotion.errors import ConfigurationError, SafeLocomotionError
from safe_locomotion.runtime import stack as s
from safe_locomotion.runtime.launch_arguments import launch_arguments, options_from_launch

EVERY = [
    s.StackOptions(
        world=world,
        graph=graph,
        sdk=sdk,
        lock_step=lock,
        sdk_options={"interface": "lo"},
        watchers=s.WATCHERS,
        trust_domain=True,
    )
    for world in ("sim", "real")
    for graph in s.GRAPHS
    for sdk in (s.SDKS if world == "real" else ("unitree_sdk2",))
    for lock in (False, True)
]


def settings_of(name):
    """Names of the settings a node declares, and of what the stack changes in its section."""
    from safe_locomotion.nodes.stage_loop import StageSettings

    module = importlib.import_module(
        f"safe_locomotion.{s.WATCHER_MODULES.get(name, f'nodes.{name}')}"
    )
    return {
        f.name for f in fields(getattr(module, f"{name.capitalize()}Settings", StageSettings))
    } | {"robot", "config_file", *(("allowed_policies",) if name in s.WITH_POLICIES else ())}


@pytest.mark.parametrize("options", EVERY)
def test_modules_have_a_main(options):
    """Each node's module has a `main`, and the executable is the installed script."""
    for process in s.stack(options):
        if process.parameters:
            assert callable(importlib.import_module(process.module).main)
            assert process.executable.removesuffix("_node") == process.module.rsplit(".", 1)[
                1
            ].removesuffix("_node")


@pytest.mark.parametrize("options", EVERY)
def test_parameters_are_known_to_their_nodes(options):
    """No parameter is passed to a node that would refuse it."""
    for process in s.stack(options):
        for node, parameters in process.parameters.items():
            own = {name for name in parameters if not name.startswith("sdk_options.")}
            assert own <= settings_of(node.removesuffix("_node")), node


@pytest.mark.parametrize("options", EVERY)
def test_both_graphs_give_every_node_the_same_parameters(options):
    """nodes and composed differ in processes, not in parameters."""

    def merged(graph):
        given = {f.name: getattr(options, f.name) for f in fields(options)} | {"graph": graph}
        return {
            node: dict(p)
            for process in s.stack(s.StackOptions(**given))
            for node, p in process.parameters.items()
        }

    names = {f"{name}_node" for name in (*s.NODE_NAMES, *s.WATCHERS)}
    assert merged("nodes") == merged("composed") and set(merged("nodes")) == names


@pytest.mark.parametrize("graph", s.GRAPHS)
def test_watchers_are_processes_that_may_end(graph):
    """Each is a process of its own, of the same robot and file, and not essential."""
    plain = s.stack(s.StackOptions(graph=graph, config_file="mine.yaml"))
    watched = s.stack(s.StackOptions(graph=graph, config_file="mine.yaml", watchers=("monitor",)))
    assert watched[:-1] == plain and all(process.essential for process in plain)
    assert watched[-1].name == "monitor_node" and not watched[-1].essential
    assert not any(process.prefix for process in plain)
    told = "import os; print(os.sched_getscheduler(0) == os.SCHED_BATCH, os.nice(0))"
    shown = subprocess.run(
        [*watched[-1].prefix, sys.executable, "-c", told],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.split() == ["True", str(os.nice(0) + s.NICENESS)]
    assert watched[-1].parameters == {"monitor_node": {"robot": "a1", "config_file": "mine.yaml"}}
    assert options_from_launch("sim", "a1", {"watchers": "none"}).watchers == ()
    assert options_from_launch("sim", "a1", {"watchers": ""}).watchers == ()
    assert options_from_launch("sim", "a1", {}).watchers == ("monitor",)


@pytest.mark.parametrize("options", [options for options in EVERY if options.sdk != "mock"])
def test_backends_take_the_options_of_the_bridge(options):
    """The bridge passes on all options that the backend's constructor needs, and no others."""
    module, name = BACKENDS[options.sdk]
    given = {
        key.removeprefix("sdk_options."): value
        for process in s.stack(options)
        for key, value in process.parameters.get("bridge_node", {}).items()
        if key.startswith("sdk_options.")
    }
    if options.sdk == "legged_sdk":  # has no interface: EVERY gives one to all
        given.pop("interface")
    inspect.signature(getattr(importlib.import_module(module), name)).bind(stop_kd=3.0, **given)


def test_two_simulators_of_one_machine_get_domains_of_their_own():
    """`wire_domain` reaches the bridge and the simulator; an SDK without domains refuses it."""
    robot, composed, *_ = s.stack(options_from_launch("sim", "a1", {"wire_domain": "7"}))
    assert robot.arguments[robot.arguments.index("--domain") + 1] == "7"
    assert composed.parameters["bridge_node"]["sdk_options.domain"] == 7
    with pytest.raises(ConfigurationError, match="wire_domain: only sdk unitree_sdk2"):
        options_from_launch("real", "a1", {"wire_domain": "7"})
    with pytest.raises(ConfigurationError, match="wire_domain: must be a number"):
        options_from_launch("sim", "a1", {"wire_domain": "seven"})


def test_a_mock_replays_the_log_that_it_is_given():
    """`sdk:=mock` needs a log, which reaches the backend as a whole path in real time."""
    with pytest.raises(ConfigurationError, match=r"mock_log:=states\.npz"):
        options_from_launch("real", "a1", {"sdk": "mock"})
    asked = options_from_launch("real", "a1", {"sdk": "mock", "mock_log": "walk.npz"})
    given = s.stack(asked)[0].parameters["bridge_node"]
    assert given["sdk_options.path"] == str(Path("walk.npz").resolve())
    assert given["sdk_options.realtime"] is True


def test_a_motion_service_is_released_only_where_asked():
    """`release_motion:=true` reaches the backend that knows it."""
    asked = options_from_launch(
        "real", "a1", {"sdk": "unitree_sdk2", "interface": "eth0", "release_motion": "true"}
    )
    assert s.stack(asked)[0].parameters["bridge_node"]["sdk_options.release_motion"] is True
    assert "release_motion" not in options_from_launch("real", "a1", {}).sdk_options


@pytest.mark.parametrize(
    ("world", "given", "expected"),
    [("real", {}, True), ("sim", {}, False), ("real", {"realtime": "false"}, False)],
)
def test_real_time_is_asked_for_on_hardware(world, given, expected):
    """Unless the launch argument says otherwise."""
    processes = s.stack(options_from_launch(world, "a1", given))
    bridge = next(
        process.parameters["bridge_node"]
        for process in processes
        if "bridge_node" in process.parameters
    )
    assert bridge["use_realtime"] is expected


def test_the_viewer_listens_where_launch_says():
    """By default no viewer runs, a viewer listens on this machine alone, and a port is a number."""
    assert "viewer" not in options_from_launch("real", "a1", {}).watchers

    def viewer(**values):
        options = options_from_launch("sim", "a1", {"viewer": "true", **values})
        assert options.watchers == ("monitor", "viewer")
        return s.stack(options)[-1].parameters["viewer_node"]

    assert viewer()["host"] == "127.0.0.1" and viewer()["port"] == 8080
    assert viewer(
        watchers="monitor,viewer", viewer_host="0.0.0.0", viewer_port="9000", cmd_vel_type="Twist"
    ) == {
        "robot": "a1",
        "cmd_vel_type": "Twist",
        "host": "0.0.0.0",
        "port": 9000,
    }
    for port in ("", "-1", "80 80", "²"):
        with pytest.raises(ConfigurationError, match="viewer_port"):
            viewer(viewer_port=port)


def test_only_the_simulated_stack_has_a_simulated_robot():
    """In simulation robot and bridge agree on domain and interface; on hardware there is none."""
    assert all(
        p.name != "sim_robot" for p in s.stack(s.StackOptions(world="real", sdk="legged_sdk"))
    )
    robot, composed = s.stack(s.StackOptions(sdk_options={"domain": 7}))
    assert (
        robot.name == "sim_robot" and composed.parameters["bridge_node"]["sdk_options.domain"] == 7
    )
    assert robot.arguments[robot.arguments.index("--domain") + 1] == "7"
    assert (
        robot.arguments[robot.arguments.index("--interface") + 1]
        == composed.parameters["bridge_node"]["sdk_options.interface"]
    )


def test_backends_are_the_ones_that_exist():
    """The choices of sdk are the keys of the backends."""
    assert set(s.SDKS) == set(BACKENDS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (s.StackOptions(graph="star"), ("star", "nodes", "composed")),
        (s.StackOptions(sdk="spot"), ("spot", "legged_sdk")),
        (s.StackOptions(overrides={"planner_node": {}}), ("planner_node", "mpc_node")),
        (s.StackOptions(watchers=("owl",)), ("owl", "monitor")),
        (s.StackOptions(world="real", sdk="unitree_sdk2"), ("interface",)),
    ],
)
def test_what_does_not_exist_is_refused(options, words):
    """The error names what was found and the choices."""
    with pytest.raises(ConfigurationError) as caught:
        s.stack(options)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    "value",
    [
        "off",
        "1",
        "true",
        "null",
        "it's",
        "",
        "a: b",
        "1e3",
        True,
        False,
        0,
        3,
        2.0,
        1e-05,
        1e20,
        -0.5,
    ],
)
def test_yaml_keeps_the_type(value):
    """A value comes back from YAML with its type: `off` stays text and 2.0 a float."""
    found = yaml.safe_load(s.yaml_scalar(value))
    if isinstance(value, float) and isinstance(
        found, str
    ):  # YAML 1.1 wants a dot in a float; ROS's parser does not
        found = float(found)
    assert found == value and type(found) is type(value)


@given(st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_any_text_survives_yaml(text):
    """Strings are quoted so that YAML leaves them alone."""
    assert yaml.safe_load(s.yaml_scalar(text)) == text


@pytest.mark.parametrize("world", ["sim", "real"])
def test_launch_defaults_are_valid_and_bad_values_are_not(world):
    """The defaults give a stack; unknown arguments and values are refused with the choices."""
    arguments = launch_arguments(world, "a1")
    defaults = {a.name: a.default for a in arguments}
    assert all(not a.choices or a.default in a.choices for a in arguments)
    assert s.stack(options_from_launch(world, "a1", defaults))
    with pytest.raises(SafeLocomotionError, match="grpah"):
        options_from_launch(world, "a1", {"grpah": "nodes"})
    with pytest.raises(SafeLocomotionError, match="composed"):
        options_from_launch(world, "a1", {"graph": "star"})


def test_hardware_speaks_legged_sdk_to_an_a1_by_default():
    """An A1 speaks UDP; anything that speaks SDK2 is one argument away."""
    assert options_from_launch("real", "a1", {}).sdk == "legged_sdk"
    options = options_from_launch("real", "a1", {"sdk": "unitree_sdk2", "interface": "eth0"})
    bridge = s.stack(options)[0].parameters["bridge_node"]
    assert (
        bridge["sdk_options.interface"] == "eth0" and bridge["sdk_options.domain"] == s.ROBOT_DOMAIN
    )


@pytest.mark.parametrize(
    ("world", "given", "expected"),
    [
        ("sim", {}, None),
        ("real", {}, "installed"),
        ("real", {"allowed_policies": "any"}, "any"),
        ("real", {"allowed_policies": "mine"}, str(Path("mine").resolve())),
    ],
)
def test_hardware_takes_listed_policies_alone(world, given, expected):
    """Policy node and supervisor, whose recovery policy is a file too, get the same list."""
    process = s.stack(options_from_launch(world, "a1", given))[1 if world == "sim" else 0]
    for name in s.WITH_POLICIES:
        assert process.parameters[f"{name}_node"].get("allowed_policies") == expected


@pytest.mark.parametrize("robot", ["a1", "go1", "go2"])
def test_hardware_takes_five_processes_only_by_a_second_argument(robot):
    """One argument is not enough, and the simulator needs no confirmation."""
    given = {"graph": "nodes", "interface": "eth0"}
    with pytest.raises(ConfigurationError, match="trust_domain:=true"):
        s.stack(options_from_launch("real", robot, given))
    confirmed = s.stack(options_from_launch("real", robot, given | {"trust_domain": "true"}))
    assert [process.name for process in confirmed[:5]] == [f"{name}_node" for name in s.NODE_NAMES]
    assert s.stack(options_from_launch("sim", robot, {"graph": "nodes"}))
    assert s.stack(options_from_launch("real", robot, given | {"graph": "composed"}))


@pytest.mark.parametrize(("graph", "source"), [("composed", "ticks"), ("nodes", "topics")])
def test_a_recorder_runs_where_there_is_a_folder(graph, source):
    """It gets its folder, source and overrides, and its end does not end the stack."""
    options = s.StackOptions(
        graph=graph, record="/walks", overrides={"recorder_node": {"start": "always"}}
    )
    *_, recorder = s.stack(options)
    assert recorder.name == "recorder_node" and not recorder.essential
    given = recorder.parameters["recorder_node"]
    assert (given["directory"], given["source"], given["start"]) == ("/walks", source, "always")
    assert "recorder_node" not in {process.name for process in s.stack(s.StackOptions(graph=graph))}


def test_a_robot_without_an_sdk_exists_in_simulation_only():
    """On hardware a Laikago is refused with the reason; simulated and mocked ones are not."""
    for sdk in ("legged_sdk", "unitree_sdk2"):
        with pytest.raises(ConfigurationError, match="'laikago' exists in simulation only"):
            s.stack(s.StackOptions(robot="laikago", world="real", sdk=sdk))
    assert s.stack(s.StackOptions(robot="laikago"))
    assert s.stack(s.StackOptions(robot="laikago", world="real", sdk="mock"))
