"""A simulated robot on the real wire whose sensors can be made to fail, for tests.

Run as `python faulty_robot.py DOMAIN real-time|lock-step`. Each line on stdin names a fault, which
is injected on the next state. The commands that follow come back as one line of JSON. The end of
stdin ends the program.
"""

import json
import sys
import time
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Thread

import numpy as np

from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot

STATES = 60  # how many states a fault lasts
SHORT_S = 0.06  # a gap that does not count as a jump
LONG_S = 0.3  # a gap that does
FAULTS = {
    "nan": lambda s: replace(s, q=np.where(np.arange(12) == 4, np.nan, s.q)),
    "joints": lambda s: replace(s, q=s.q + np.where(np.arange(12) == 2, -1.5, 0.0)),
    "good": lambda s: s,
}
JUMPS_MS = {"back": -1500, "gap": 1500}  # a robot that has gone back stands up after that long
UP_MS = 60_000  # time since the robot was switched on, so that its clock can jump back


def damps(command):
    """No stiffness, no torque, damping on every joint."""
    return not (command.kp.any() or command.tau.any()) and bool((command.kd > 0.0).all())


class FaultyRobot:
    """Steps the robot, answers the wire, injects faults."""

    def __init__(self, domain, lock_step):
        self.robot = SimulatedRobot(SimulationOptions(seed=1))
        self.wire = RobotWire(domain=domain)
        self.lock_step = lock_step
        self.offset_ms = UP_MS
        self.start = time.monotonic()
        self.last = None

    def state(self):
        """The sensors, on a clock that may have jumped."""
        state = self.robot.low_state()
        return replace(
            state,
            tick=state.tick + self.offset_ms,
            stamp_ns=state.stamp_ns + self.offset_ms * 1_000_000,
        )

    def tick(self, fault="good"):
        """One state and its answer."""
        state = FAULTS[fault](self.state())
        sent = time.monotonic()
        self.wire.publish(state)
        command = self.wire.take_command(
            0.002 if not self.lock_step or not self.wire.controllers() else 0.5
        )
        received = time.monotonic()
        self.last = command or self.last
        self.robot.step(command)
        if not self.lock_step:
            self.start = max(self.start, time.monotonic() - self.robot.time_s - 0.02)
            time.sleep(max(0.0, self.start + self.robot.time_s - time.monotonic()))
        return state, sent, command, received

    def inject(self, fault):
        """Answers to the fault.

        Each has its delay, the number of states after the first bad one, and whether it damps.
        """
        if fault == "feet":
            self.robot.put_on_feet()
            return []
        if fault == "last":
            return [{"damps": damps(self.last)}]
        if fault in JUMPS_MS:
            self.offset_ms += JUMPS_MS[fault]
        if fault in ("silence", "long silence", "repeat"):
            return self.be_silent(
                LONG_S if fault == "long silence" else SHORT_S, repeat=fault == "repeat"
            )
        first = None
        answers = []
        for _ in range(STATES):
            state, sent, command, received = self.tick(fault if fault in FAULTS else "good")
            first = first or (state.stamp_ns, sent)
            if command is not None:
                answers.append(
                    {
                        "ms": 1e3 * (received - first[1]),
                        "states": (command.stamp_ns - first[0]) // 2_000_000,
                        "damps": damps(command),
                    }
                )
        return answers

    def be_silent(self, seconds, repeat):
        """Send no new state for a while; delays count from the last good one."""
        state, sent, *_ = self.tick()
        answers = []
        while time.monotonic() < sent + seconds:
            if repeat:
                self.wire.publish(state)
            command = self.wire.take_command(0.002)
            if command is not None:
                answers.append(
                    {"ms": 1e3 * (time.monotonic() - sent), "states": 0, "damps": damps(command)}
                )
        for _ in range(round(seconds / 0.002)):
            self.robot.step(command)
        return answers


def main():
    """Run until stdin ends."""
    robot = FaultyRobot(int(sys.argv[1]), sys.argv[2] == "lock-step")
    wanted = SimpleQueue()

    def listen():
        for line in sys.stdin:
            wanted.put(line.strip())
        wanted.put("end")

    Thread(target=listen, daemon=True).start()
    while True:
        try:
            fault = wanted.get_nowait()
        except Empty:
            robot.tick()
            continue
        if fault == "end":
            break
        sys.stdout.write(json.dumps(robot.inject(fault)) + "\n")
        sys.stdout.flush()
    robot.wire.close()


if __name__ == "__main__":
    main()
