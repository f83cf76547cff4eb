"""All attacks of the campaign, with what must follow.

The bound of a dead input is 20 ms, and of a foreign command 6 ms.
"""

from functools import partial

import campaign_attacks as do
from campaign_attacks import Attack
from campaign_world import Kind

STAGES = ("estimator", "supervisor", "mpc")
ONE: tuple[Kind, ...] = ("composed",)
FIVE: tuple[Kind, ...] = ("nodes",)


def attacks() -> list[Attack]:
    """Each attack once."""
    return [*processes(), *inputs(), *surroundings()]


def processes() -> list[Attack]:
    """A process is killed or stopped."""
    ended = partial(Attack, ends=True)
    return [
        *(
            ended(name=f"kill {n}", do=partial(do.kill, f"{n}_node"), bound_ms=20, graphs=FIVE)
            for n in (*STAGES, "bridge")
        ),
        ended(name="kill policy", do=partial(do.kill, "policy_node"), bound_ms=None, graphs=FIVE),
        ended(name="kill composed", do=partial(do.kill, "composed_node"), bound_ms=20, graphs=ONE),
        *(
            Attack(name=f"pause {n}", do=partial(do.pause, f"{n}_node"), bound_ms=20, graphs=FIVE)
            for n in (*STAGES, "bridge")
        ),
        Attack(
            name="pause policy", do=partial(do.pause, "policy_node"), bound_ms=None, graphs=FIVE
        ),
        Attack(
            name="pause composed", do=partial(do.pause, "composed_node"), bound_ms=20, graphs=ONE
        ),
    ]


def inputs() -> list[Attack]:
    """Somebody or something else speaks to the stack."""
    walks = partial(Attack, bound_ms=None, walks=True)
    return [
        Attack(name="one foreign command", do=partial(do.foreign_command, 1), bound_ms=6),
        Attack(name="many foreign commands", do=partial(do.foreign_command, 50), bound_ms=6),
        Attack(name="NaN in a state", do=partial(do.bad_state, do.nan), bound_ms=6),
        Attack(name="a joint out of range", do=partial(do.bad_state, do.off), bound_ms=6),
        Attack(name="attitude jumps", do=partial(do.bad_state, do.tilted), bound_ms=120),
        Attack(name="IMU frozen", do=partial(do.bad_state, do.frozen), bound_ms=120),
        Attack(name="second source of states", do=do.second_source, bound_ms=20),
        walks(name="malformed messages", do=do.malformed, graphs=ONE),
        Attack(name="malformed messages, five", do=do.malformed, bound_ms=60, graphs=FIVE),
        walks(name="forged verdicts", do=do.forged_verdicts, graphs=ONE),
        Attack(name="forged verdicts, five", do=do.forged_verdicts, bound_ms=None, graphs=FIVE),
        walks(name="flood of velocities and words", do=do.flood),
        walks(name="silent viewer connections", do=do.viewer_connections, graphs=ONE),
        walks(name="policy swap", do=do.swap),
        Attack(name="sit down", do=do.sit, bound_ms=None),
    ]


def surroundings() -> list[Attack]:
    """The computer lacks time, memory, room, or a clock that runs evenly."""
    walks = partial(Attack, bound_ms=None, walks=True)
    full = partial(do.no_room, do.no_byte_left)
    return [
        walks(name="starvation", do=do.starvation),
        walks(name="memory pressure", do=do.memory_pressure),
        walks(name="no file grows", do=partial(do.no_room, do.no_file_grows), graphs=ONE),
        walks(name="full disk", do=full, graphs=ONE, possible=lambda world: world.disk),
        walks(name="clock jumps", do=do.clock_jumps, graphs=("clock",)),
    ]
