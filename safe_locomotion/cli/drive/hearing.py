"""The ROS domain on which a stack is heard, and what to check when none is heard."""

import os

from safe_locomotion.errors import ConfigurationError

DOMAINS = range(233)  #: domains that DDS has ports for
PATIENCE_S = 5.0  #: wait for a stack; discovery takes one to two seconds on a busy machine
SILENT_S = 1.0  #: after this time without a verdict the stack counts as gone


def ros_domain() -> int:
    """ROS domain in the environment of this process.

    Raises:
        ConfigurationError: ROS_DOMAIN_ID is not a domain.
    """
    text = os.environ.get("ROS_DOMAIN_ID", "") or "0"
    if not text.isdecimal() or int(text) not in DOMAINS:
        raise ConfigurationError(
            f"ROS_DOMAIN_ID={text!r}: must be a whole number from 0 to {DOMAINS[-1]}"
        )
    return int(text)


def unheard() -> str:
    """Error message for the case that no stack is heard: what to check."""
    names = ("ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY")
    reach = ", ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)
    rmw = os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp (not set)")
    return (
        f"no stack is heard; is it running? Here ROS_DOMAIN_ID={ros_domain()},"
        f" {reach or 'no ROS_AUTOMATIC_DISCOVERY_RANGE'}, RMW_IMPLEMENTATION={rmw}. All three must"
        " agree with those of the stack ('safe-locomotion sim' prints its own). With LOCALHOST, a"
        " stack on another machine is not heard"
    )
