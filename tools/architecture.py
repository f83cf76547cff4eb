"""Draw docs/media/architecture.svg from the code: nodes, topics, control thread and imports.

This file only describes the places of things. Nodes and processes come from `stack.py`, topics and
their types from the calls in `nodes/`, rates from the configuration and the nodes' defaults, the
order on the thread from `pipeline.py`, and imports from all modules.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from inspect import getsource, signature
from pathlib import Path
from textwrap import dedent

from svg_drawing import LINE, PALE, WIDTH, Drawing

from safe_locomotion.backends.unitree_sdk2 import COMMAND_TOPIC, STATE_TOPIC
from safe_locomotion.config import load_config
from safe_locomotion.nodes.bridge_settings import BridgeSettings
from safe_locomotion.nodes.health import Health
from safe_locomotion.operator.requests import REQUESTS
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.runtime import stack
from safe_locomotion.types import NANOSECONDS, STATE_PERIOD_NS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "safe_locomotion"
OUTPUT = ROOT / "docs/media/architecture.svg"
STATES_HZ = NANOSECONDS // STATE_PERIOD_NS
STAGES = {
    "estimator": "estimator",
    "policy": "policy",
    "supervisor": "supervisor",
    "locomotion": "mpc",
    "command": "leg control, gate",
}


ASIDE = {"bridge": ("sensor_topics",), "estimator": ("robot_frames",)}
"""Modules in which a node has topics for those who watch."""
FLOW = ("low_state", "state_estimate", "odom")
FLOW += ("policy/proposal", "safety/verdict", "mpc/plan")


@dataclass(kw_only=True)
class Topic:
    """One topic: type, rate in the five processes, senders and takers in the control graph."""

    name: str
    kind: str
    rate: str = ""
    senders: list[str] = field(default_factory=list)
    takers: list[str] = field(default_factory=list)


# ---- facts


def trees(folder: Path) -> Iterator[tuple[str, ast.Module]]:
    """Name and syntax tree of each module of a folder."""
    for path in sorted(folder.glob("*.py")):
        yield path.stem, ast.parse(path.read_text())


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Last part of the name of what is called, and the call, in the order of the source."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for node in sorted(found, key=lambda node: (node.lineno, node.col_offset)):
        yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


def topics() -> list[Topic]:
    """Topics of the five nodes, in the order in which a state passes through them.

    The robot's wire is the first and the last of them.
    """
    found: dict[str, Topic] = {}
    modules = [(node, part) for node in stack.NODE_NAMES for part in (node, *ASIDE.get(node, ()))]
    for node, module in modules:
        tree = ast.parse((PACKAGE / f"nodes/{module}.py").read_text())
        for name, call in calls(tree):
            if name in ("create_publisher", "_listen") and isinstance(call.args[1], ast.Constant):
                topic = found.setdefault(
                    call.args[1].value,
                    Topic(name=call.args[1].value, kind=ast.unparse(call.args[0])),
                )
                people = topic.senders if name == "create_publisher" else topic.takers
                people += [node] if node not in people and topic.name != "cmd_vel" else []
            if name == "VelocityTopic":
                found.setdefault(
                    "cmd_vel", Topic(name="cmd_vel", kind="TwistStamped", senders=["operator"])
                ).takers.append(node)
    found["diagnostics"] = Topic(
        name="diagnostics", kind="DiagnosticArray", senders=list(stack.NODE_NAMES)
    )
    for topic in found.values():
        topic.rate = rates().get(topic.name, "on change")
        topic.takers = topic.takers or ["watchers"]
    ends = wire()
    flow = [found.pop(name) for name in FLOW]
    return [
        ends[0],
        *flow,
        ends[1],
        *sorted(found.values(), key=lambda topic: (topic.rate == "on change", topic.name)),
    ]


def wire() -> tuple[Topic, Topic]:
    """The two ends of the robot's wire."""
    return (
        Topic(
            name=STATE_TOPIC,
            kind="LowState_, of the SDK",
            rate=f"{STATES_HZ} Hz",
            senders=["robot"],
            takers=["bridge"],
        ),
        Topic(
            name=COMMAND_TOPIC,
            kind="LowCmd_, of the SDK",
            rate=f"{STATES_HZ} Hz",
            senders=["bridge"],
            takers=["robot"],
        ),
    )


def rates() -> dict[str, str]:
    """Rate by topic; what is not here is sent when it changes."""
    config = load_config("a1")
    every_state = ("low_state", "state_estimate", "odom", "safety/verdict")
    every_state += ("joint_states", "imu/data", "foot_forces")
    return {
        **dict.fromkeys(every_state, f"{STATES_HZ} Hz"),
        "policy/proposal": f"{NANOSECONDS // config.policy.period_ns} Hz",
        "mpc/plan": f"{NANOSECONDS // config.mpc.period_ns} Hz",
        "battery_state": "1 Hz",
        "diagnostics": f"{signature(Health).parameters['rate_hz'].default:g} Hz a node",
        "cmd_vel": "operator's",
    }


def monitor_rate_hz() -> float:
    """Rate at which the one process publishes what the five exchange."""
    return BridgeSettings.monitor_rate_hz


def watchers() -> list[str]:
    """Processes that only watch."""
    return [*stack.WATCHERS, stack.RECORDER]


def thread() -> list[str]:
    """What the control thread does with one LowState, and how often."""
    config = load_config("a1")
    periods = {"policy": config.policy.period_ns, "locomotion": config.mpc.period_ns}

    def stages(function: Callable[..., object]) -> Iterator[str]:
        for name, call in calls(ast.parse(dedent(getsource(function)))):
            if (
                name == "update"
                and isinstance(call.func, ast.Attribute)
                and isinstance(call.func.value, ast.Attribute)
            ):
                stage = call.func.value.attr
                rate = f", {NANOSECONDS // periods[stage]} Hz" if stage in periods else ""
                yield STAGES[stage] + rate

    before = [*stages(Pipeline.sense), *stages(Pipeline.act)]
    return ["read LowState", *before, "write LowCmd", "publish", *stages(Pipeline.plan)]


@cache
def imports() -> dict[str, tuple[list[str], list[str]]]:
    """By room: the other rooms that it imports, and the packages of others.

    Each room stands above the rooms that it imports.
    """
    found: dict[str, tuple[set[str], set[str]]] = {}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        inside, outside = found.setdefault(room, (set(), set()))
        for name in imported(ast.parse(path.read_text())):
            top, *rest = name.split(".")
            if top != "safe_locomotion":
                outside.add(top)
            elif rest and rest[0] != room:
                inside.add(rest[0])

    @cache
    def level(room: str) -> int:
        return 1 + max((level(other) for other in found[room][0]), default=0)

    return {
        room: (sorted(found[room][0]), sorted(found[room][1] - sys.stdlib_module_names))
        for room in sorted(found, key=lambda room: (-level(room), room))
    }


def imported(tree: ast.Module) -> Iterator[str]:
    """Dotted names of all imports of a module, those inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


# ---- picture

LEFT = 300
MARGIN = 24
ROW = 31  # of a topic
COLOURS = {"robot": "#7c5e10", "control": "#1d4e89", "out": "#5b6670", "composed": "#b23a48"}


def draw_topics(d: Drawing, y: float) -> float:
    """Columns are nodes, rows are topics; frames are processes. Returns the lower end."""
    names = ["operator", "robot", *stack.NODE_NAMES, "watchers"]
    step = (WIDTH - MARGIN - LEFT) / len(names)
    x = {name: LEFT + step * (i + 0.5) for i, name in enumerate(names)}
    rows = topics()
    first = x[stack.NODE_NAMES[0]]
    last = x[stack.NODE_NAMES[-1]]
    d.text(MARGIN, y, "Nodes and topics", size=18, bold=True)
    d.box(
        first - step / 2 + 4,
        y + 16,
        last - first + step - 8,
        34,
        fill="white",
        stroke=COLOURS["composed"],
        dash="5 3",
    )
    label = (
        f"graph:=composed: one process; topics for watching, {monitor_rate_hz():g} times a second"
    )
    d.text((first + last) / 2, y + 37, label, size=12, anchor="middle", fill=COLOURS["composed"])
    top = y + 60
    bottom = y + 132 + ROW * (len(rows) + 1)
    for name in names:
        ours = name in stack.NODE_NAMES
        d.box(
            x[name] - step / 2 + 6,
            top,
            step - 12,
            bottom - top,
            stroke=COLOURS["control"] if ours else LINE,
        )
        d.text(x[name], top + 20, name, anchor="middle", bold=True)
        for k, words in enumerate(under(name)):
            below = top + 36 + 13 * k
            d.text(x[name], below, words, size=10, anchor="middle", fill=COLOURS["out"])
        d.line(x[name], top + 57, x[name], bottom - 8, dash="2 4")
    d.text(MARGIN, top + 20, "graph:=nodes: each frame a process", size=12, fill=COLOURS["control"])
    d.text(MARGIN, top + 38, "dot: sends, arrow: takes", size=12, fill=COLOURS["out"])
    for i, topic in enumerate(rows):
        draw_topic(d, topic, x, top + 76 + ROW * i)
    services(d, x, top + 76 + ROW * len(rows))
    return bottom


def under(name: str) -> list[str]:
    """Lines below the name in a column's head."""
    if name == "watchers":
        *most, last = watchers()
        return [", ".join(most) + ",", last]
    return [{"operator": "a person, teleop", "robot": "or sim_robot"}.get(name, f"{name}_node")]


def draw_topic(d: Drawing, topic: Topic, x: dict[str, float], y: float) -> None:
    """One row."""
    outside = {"robot", "operator", "watchers"} & {*topic.senders, *topic.takers}
    colour = (
        COLOURS["robot"]
        if "robot" in outside
        else COLOURS["out"]
        if outside
        else COLOURS["control"]
    )
    d.text(MARGIN, y + 4, topic.name, bold=True, fill=colour)
    d.text(LEFT - 8, y + 4, topic.rate, size=11, anchor="end", fill=COLOURS["out"])
    ends = [x[name] for name in (*topic.senders, *topic.takers)]
    d.line(min(ends), y, max(ends), y, stroke=colour, width=1.8)
    for name in topic.senders:
        d.dot(x[name], y, colour)
    source = sum(x[name] for name in topic.senders) / len(topic.senders)
    for name in topic.takers:
        direction = 1 if x[name] > source else -1
        d.head(x[name], y, direction, colour)
    d.text(MARGIN, y + 15, topic.kind, size=9, fill=COLOURS["out"])


def services(d: Drawing, x: dict[str, float], y: float) -> None:
    """The operator's requests."""
    d.text(
        MARGIN, y + 4, f"services {', '.join(REQUESTS)}", size=12, bold=True, fill=COLOURS["out"]
    )
    d.line(x["operator"], y, x["supervisor"], y, stroke=COLOURS["out"], width=1.8, dash="6 3")
    d.dot(x["operator"], y, COLOURS["out"])
    d.head(x["supervisor"], y, 1, COLOURS["out"])


def draw_thread(d: Drawing, y: float) -> float:
    """The control thread of the one process, as a row of boxes. Returns the lower end."""
    steps = thread()
    d.text(MARGIN, y, "graph:=composed, main thread, on every LowState", size=18, bold=True)
    step = (WIDTH - 2 * MARGIN) / len(steps)
    for i, words in enumerate(steps):
        left = MARGIN + step * i
        outer = words in ("read LowState", "write LowCmd")
        told = words == "publish"
        stroke = COLOURS["robot"] if outer else COLOURS["out"] if told else COLOURS["composed"]
        d.box(left + 4, y + 16, step - 18, 44, stroke=stroke, dash="4 3" if told else "")
        name, _, rate = words.partition(", ")
        d.text(
            left + step / 2 - 5, y + (34 if rate else 43), name, size=12, anchor="middle", bold=True
        )
        if rate:
            d.text(left + step / 2 - 5, y + 50, rate, size=11, anchor="middle", fill=COLOURS["out"])
        if i + 1 < len(steps):
            d.head(left + step + 3, y + 38, 1, COLOURS["out"])
    note = (
        "This thread asks for SCHED_FIFO, locked memory and pinned cores."
        " Services, parameters and diagnostics have threads of their own."
    )
    d.text(MARGIN, y + 80, note, size=12, fill=COLOURS["out"])
    return y + 80


def draw_imports(d: Drawing, y: float) -> float:
    """Rooms: which imports which, and what of others. Returns the lower end."""
    found = imports()
    d.text(
        MARGIN,
        y,
        "Rooms of safe_locomotion, and what they import: only rooms below them",
        size=18,
        bold=True,
    )
    names = list(found)
    left = 140
    step = 22
    top = y + 92
    for j, name in enumerate(names):
        d.text(left + step * (j + 0.6), top, name, size=12, turned=True)
    d.text(left + step * len(names) + 20, top, "packages of others", size=12, fill=COLOURS["out"])
    for i, (name, (inside, outside)) in enumerate(found.items()):
        row = top + 24 + 24 * i
        d.box(
            MARGIN,
            row - 15,
            WIDTH - 2 * MARGIN,
            22,
            stroke="none" if i % 2 else PALE,
            fill="white" if i % 2 else PALE,
        )
        d.text(MARGIN + 8, row, name, bold=True)
        for j, other in enumerate(names):
            if other in inside:
                d.dot(left + step * (j + 0.5), row - 4, COLOURS["control"])
            elif other == name:
                d.line(left + step * (j + 0.5) - 6, row - 4, left + step * (j + 0.5) + 6, row - 4)
        d.text(left + step * len(names) + 20, row, shortened(outside), size=11, fill=COLOURS["out"])
    return top + 24 + 24 * len(found)


def shortened(packages: list[str]) -> str:
    """ROS messages under one name."""
    messages = [name for name in packages if name.endswith(("_msgs", "_srvs", "_interfaces"))]
    rest = [name for name in packages if name not in messages]
    return ", ".join([*rest, *(["ROS messages"] if messages else [])])


def picture() -> str:
    """The text of the file."""
    d = Drawing()
    y = draw_topics(d, 34)
    y = draw_thread(d, y + 48)
    return d.svg(draw_imports(d, y + 48) + 6)


if __name__ == "__main__":
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(picture())
