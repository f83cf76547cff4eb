"""Tables of `safe-locomotion policy` that show a contract."""

from rich.markup import escape
from rich.table import Table

from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.refusal import Numbers


def row(c: PolicyContract) -> tuple[str, ...]:
    """Kind, rate, robot, width of the observation, kind of network, and origin."""
    network = "recurrent" if c.recurrent else "feed-forward"
    return (
        c.kind,
        f"{c.rate_hz} Hz",
        c.robot,
        str(c.observation_width),
        network,
        f"{c.origin.command} (seed {c.origin.seed})",
    )


def head(c: PolicyContract, size: int) -> Table:
    """Single values of a contract and the size of its file [bytes]."""
    table = Table(box=None, show_header=False, title=escape(c.name), title_justify="left")
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    assert c.parity is not None
    for key, value in (
        ("kind", c.kind),
        ("robot", c.robot),
        ("rate", f"{c.rate_hz} Hz"),
        ("command", c.origin.command),
        ("seed", c.origin.seed),
        ("commit", c.origin.commit),
        (
            "tensors",
            f"{c.observation_input} [1, {c.observation_width}]"
            f" -> {c.action_output} [1, {c.action_width}]",
        ),
        *(("memory", f"{pair.input} {list(pair.shape)} -> {pair.output}") for pair in c.recurrent),
        *([] if c.clock is None else [("clock", f"{c.clock.frequency:g} Hz")]),
        *([("imported from", f"layout {c.layout}")] if c.layout else []),
        ("action limit", f"{c.action_limit:g}"),
        *([] if c.exploration is None else [("explores", "flies only where the robot learns")]),
        ("recorded pairs", f"{len(c.parity.actions)}, tolerance {c.parity.tolerance:g}"),
        ("size", f"{size / 1024:.0f} KiB"),
    ):
        table.add_row(key, escape(str(value)))
    return table


def observation(c: PolicyContract) -> Table:
    """Terms of the observation, in order."""
    title = "observation"
    if c.history is not None:
        before = "first frame repeated" if c.history.start == "repeat" else "zeros"
        title += f", history by {c.history.order}, {before} after a reset"
    table = Table(box=None, title=title, title_justify="left")
    headings = ["at", "term", "width", "scale"]
    bounded = any(term.lower is not None for term in c.observation)
    headings += ["bounds"] if bounded else []
    headings += ["ages"] if c.history is not None else []
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading == "term")
    at = 0
    for term in c.observation:
        cells = [str(at), term.name, str(term.width), _alike(term.scale)]
        if bounded:
            lower = "" if term.lower is None else f"{_alike(term.lower)} .. "
            cells.append(lower + ("" if term.upper is None else _alike(term.upper)))
        if c.history is not None:
            cells.append(_ages(term.ages))
        table.add_row(*cells)
        at += term.size if c.history is None or c.history.order == "term" else term.width
    return table


def _alike(values: Numbers) -> str:
    """The numbers, or one where all are the same."""
    return _numbers(values[:1] if len(set(values)) == 1 else values)


def _ages(ages: tuple[int, ...]) -> str:
    """The ages, shortened to a range where they count up or down."""
    first = ages[0]
    last = ages[-1]
    step = 1 if last >= first else -1
    if len(ages) > 2 and ages == tuple(range(first, last + step, step)):
        return f"{first} .. {last}"
    return ", ".join(map(str, ages))


def action(c: PolicyContract) -> Table:
    """Meaning of the action."""
    return _joint_action(c) if c.gait is None else _gait_action(c)


def _gait_action(c: PolicyContract) -> Table:
    assert c.gait is not None
    title = f"action, each number within +-{c.gait.clip:g}"
    if c.gait.lifted:
        title += f"; {' and '.join(c.gait.lifted)} lifted"
    table = Table(box=None, title=title, title_justify="left")
    for heading in ("at", "term", "meaning", "scale", "nominal", "lower", "upper"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "term")
    at = 0
    for term in c.gait.terms:
        meaning = "value" if term.name == "foot_y" else "change"
        table.add_row(
            str(at),
            term.name,
            meaning,
            *map(_numbers, (term.scale, term.nominal, term.lower, term.upper)),
        )
        at += term.width
    return table


def _joint_action(c: PolicyContract) -> Table:
    assert c.joint is not None
    bound = "" if c.joint.clip is None else f", each number within +-{c.joint.clip:g}"
    table = Table(box=None, title=f"action: q = default + scale a{bound}", title_justify="left")
    for heading in ("at", "joint", "default, rad", "scale, rad", "kp, Nm/rad", "kd, Nm s/rad"):
        table.add_column(heading, justify="left" if heading == "joint" else "right")
    for i, name in enumerate(c.joint_order):
        numbers = (c.default_pose[i], c.joint.scale[i], c.joint.kp[i], c.joint.kd[i])
        table.add_row(str(i), name, *(f"{x:.6g}" for x in numbers))
    return table


def _numbers(values: Numbers) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
