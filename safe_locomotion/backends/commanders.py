"""Who else commands a robot, and why the bridge must not command it then."""

from dataclasses import dataclass

from safe_locomotion.errors import BackendError


@dataclass(frozen=True, kw_only=True, slots=True)
class Commanders:
    """Other programs that command the same motors.

    Attributes:
        commands: low commands of others that were heard.
        publishers: programs connected to the robot's command topic, ours left out.
        state_sources: programs that send LowStates; 1 where the link does not tell.
    """

    commands: int = 0
    publishers: int = 0
    state_sources: int = 1


def require_sole_commander(found: Commanders, *, commanded: bool, silent: int) -> None:
    """Refuse activation beside another commander or another robot.

    Args:
        found: what was heard before the first write.
        commanded: low commands of others were seen before.
        silent: how many other programs may be connected, as long as they send nothing.

    Raises:
        BackendError: another program commands this robot or is able to, or imitates it.
    """
    if found.commands or commanded:
        raise BackendError(
            "not activated: another program sends low commands to this robot; stop it first"
        )
    if not found.state_sources <= 1:
        raise BackendError(
            f"not activated: {found.state_sources} programs send LowStates; stop all but the robot"
            " (a killed one counts for 10 s)"
        )
    if not found.publishers <= silent:
        raise BackendError(
            f"not activated: {found.publishers} other program(s) could send low commands to this"
            " robot; stop them (a killed one counts for 10 s), or allow that many by the parameter"
            " silent_publishers of bridge_node"
        )
