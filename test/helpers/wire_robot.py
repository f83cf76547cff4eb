"""A simulated robot on the real wire, for tests: it publishes LowStates and keeps its commands.

Run as `python wire_robot.py DOMAIN SECONDS FILE [--real-time] [--remote=HOLDS]`. It writes FILE as
JSON when it ends. SIGUSR1 sets a mark. SIGUSR2 begins to play HOLDS on the remote
(`sim.remote_script`), with times from then on; the next SIGUSR2 plays the next --remote.
"""

import json
import signal
import sys
import time
from pathlib import Path
from threading import Event

from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.remote_script import parse_holds, remote_at
from safe_locomotion.sim.robot import SimulatedRobot


class WireRobot:
    """The robot, its wire, and what happened."""

    def __init__(self, domain, real_time, holds):
        self.real_time = real_time
        self.holds = holds
        self.marks = []
        self.commands = []
        self.played = []
        self.heights = []
        self.answered = 0
        signal.signal(signal.SIGUSR1, self.mark)
        signal.signal(signal.SIGUSR2, self.play)
        self.robot = SimulatedRobot(SimulationOptions(seed=1))
        self.wire = RobotWire(domain=domain)
        self.start = time.monotonic()

    def mark(self, *_):
        """Remember how many commands have come."""
        self.marks.append({"commands": len(self.commands)})

    def play(self, *_):
        """Begin to play the next holds on the remote."""
        self.played.append(self.robot.time_s)

    def tick(self):
        """Publish a state, wait for its answer, and step."""
        robot = self.robot
        if self.played:
            since = round(robot.time_s - self.played[-1], 3)
            robot.remote = remote_at(self.holds[len(self.played) - 1], since)
        state = robot.low_state()
        self.wire.publish(state)
        patience = 0.002 if self.real_time or not self.wire.controllers() else 0.3
        command = self.wire.take_command(patience)
        if command is not None:
            self.answered += command.stamp_ns == state.stamp_ns
            gains = (float(command.kp.max()), float(command.kd.max()))
            self.commands.append([robot.time_s, *gains, float(abs(command.tau).max())])
        robot.step(command)
        self.heights.append(robot.truth().height)
        if self.real_time:
            time.sleep(max(0.0, self.start + robot.time_s - time.monotonic()))

    def result(self):
        """What happened, for JSON."""
        truth = self.robot.truth()
        return {
            "height": truth.height,
            "x": float(truth.position[0]),
            "max_height": max(self.heights),
            "falls": self.robot.falls,
            "states": len(self.heights),
            "time_s": self.robot.time_s,
            "answered": self.answered,
            "marks": self.marks,
            "played": self.played,
            "commands": self.commands,
            "rejected": dict(self.wire.rejected),
        }


def main():
    """Run the robot until the time is over or SIGTERM comes."""
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    seconds = float(sys.argv[2])
    holds = [
        parse_holds(word.removeprefix("--remote="))
        for word in sys.argv
        if word.startswith("--remote=")
    ]
    robot = WireRobot(int(sys.argv[1]), "--real-time" in sys.argv, holds)
    while not stop.is_set() and time.monotonic() - robot.start < seconds:
        robot.tick()
    Path(sys.argv[3]).write_text(json.dumps(robot.result()))
    robot.wire.close()


if __name__ == "__main__":
    main()
