"""A robot's motion switcher and sport service on the vendor's own server, as a program.

Arguments: the DDS domain, and the number of releases after which no motion service is active.
The program prints `up`, waits for a line on standard input, and then prints the calls it got.
"""

import json
import sys

from unitree_sdk2py.core.channel import ChannelFactoryInitialize
from unitree_sdk2py.rpc.server import Server

CHECK = 1001
RELEASE = 1003
STAND_DOWN = 1005


class MotionSwitcher(Server):
    """Names the motion service `normal` until it was released often enough."""

    def __init__(self, calls: list[str], releases: int) -> None:
        super().__init__("motion_switcher")
        self.calls = calls
        self.releases = releases
        self._SetApiVersion("1.0.0.1")
        self._RegistHandler(CHECK, self.check, False)
        self._RegistHandler(RELEASE, self.release, False)

    def check(self, _: str) -> tuple[int, str]:
        active = self.calls.count("release") < self.releases
        return 0, json.dumps({"form": "0", "name": "normal" if active else ""})

    def release(self, _: str) -> tuple[int, str]:
        self.calls.append("release")
        return 0, ""


class Sport(Server):
    """Lets the robot lie down."""

    def __init__(self, calls: list[str]) -> None:
        super().__init__("sport")
        self.calls = calls
        self._SetApiVersion("1.0.0.1")
        self._RegistHandler(STAND_DOWN, self.stand_down, False)

    def stand_down(self, _: str) -> tuple[int, str]:
        self.calls.append("down")
        return 0, ""


def main(domain: int, releases: int) -> None:
    ChannelFactoryInitialize(domain, "lo")
    calls: list[str] = []
    for server in (MotionSwitcher(calls, releases), Sport(calls)):
        server.Start(False)
    sys.stdout.write("up\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(" ".join(calls) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
