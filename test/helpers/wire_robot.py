"""A simulated robot on the real wire, for tests: publishes LowStates, keeps what it was commanded.

Run as `python wire_robot.py DOMAIN SECONDS FILE [--real-time] [--remote=HOLDS]`; writes FILE as JSON when it ends. SIGUSR1 sets a
mark; SIGUSR2 begins to play HOLDS on the remote (`sim.remote_script`), its times from then on, the next time the next --remote.
"""

import json
import signal
import sys
import time
from threading import Event

from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.remote_script import parse_holds, remote_at
from safe_locomotion.sim.robot import SimulatedRobot


def main() -> None:
    """Run the robot until the time is over or SIGTERM comes."""
    domain = int(sys.argv[1])
    seconds = float(sys.argv[2])
    file = sys.argv[3]
    real_time = "--real-time" in sys.argv
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    marks = []
    commands = []
    signal.signal(signal.SIGUSR1, lambda *_: marks.append({"commands": len(commands)}))
    holds = [
        parse_holds(word.removeprefix("--remote="))
        for word in sys.argv
        if word.startswith("--remote=")
    ]
    played = []
    signal.signal(signal.SIGUSR2, lambda *_: played.append(robot.time_s))
    robot = SimulatedRobot(SimulationOptions(seed=1))
    wire = RobotWire(domain=domain)
    heights = []
    answered = 0
    start = time.monotonic()
    while not stop.is_set() and time.monotonic() - start < seconds:
        if played:
            robot.remote = remote_at(holds[len(played) - 1], round(robot.time_s - played[-1], 3))
        state = robot.low_state()
        wire.publish(state)
        command = wire.take_command(0.002 if real_time or not wire.controllers() else 0.3)
        if command is not None:
            answered += command.stamp_ns == state.stamp_ns
            commands.append(
                [
                    robot.time_s,
                    float(command.kp.max()),
                    float(command.kd.max()),
                    float(abs(command.tau).max()),
                ]
            )
        robot.step(command)
        heights.append(robot.truth().height)
        if real_time:
            time.sleep(max(0.0, start + robot.time_s - time.monotonic()))
    truth = robot.truth()
    result = {
        "height": truth.height,
        "x": float(truth.position[0]),
        "max_height": max(heights),
        "falls": robot.falls,
        "states": len(heights),
        "time_s": robot.time_s,
        "answered": answered,
        "marks": marks,
        "played": played,
        "commands": commands,
        "rejected": dict(wire.rejected),
    }
    with open(file, "w") as f:
        json.dump(result, f)
    wire.close()


if __name__ == "__main__":
    main()
