"""Whether a stack can be heard from here, and what to look at when it cannot."""

import os

from safe_locomotion.errors import ConfigurationError

DOMAINS = range(233)  #: that DDS has ports for
PATIENCE_S = 5.0  #: discovery takes one to two seconds on a busy machine
SILENT_S = 1.0  #: without a verdict, and the stack counts as gone


def ros_domain() -> int:
    """The ROS domain of this process's environment.

    Raises:
        ConfigurationError: ROS_DOMAIN_ID is no domain.
    """
    text = os.environ.get("ROS_DOMAIN_ID", "") or "0"
    if not text.isdecimal() or int(text) not in DOMAINS:
        raise ConfigurationError(
            f"ROS_DOMAIN_ID={text!r}: must be a whole number within 0 and {DOMAINS[-1]}"
        )
    return int(text)


def unheard() -> str:
    """What to look at when no stack is heard."""
    reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET (not set)")
    rmw = os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp (not set)")
    return (
        f"no stack is heard: is it running? Here ROS_DOMAIN_ID={ros_domain()}, ROS_AUTOMATIC_DISCOVERY_RANGE={reach},"
        f" RMW_IMPLEMENTATION={rmw}; all three must fit those of the stack ('safe-locomotion sim' prints its own), and between"
        " two machines LOCALHOST hears nothing"
    )
