"""Helpers for tests with real nodes: a node of the test's own, child processes that end."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import rclpy
from rclpy.executors import SingleThreadedExecutor

PATIENCE_S = 40.0


class RosTester:
    """A node of the test's own, in a context of its own."""

    def __init__(self, name="tester"):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node(name, context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)

    def spin_until(self, condition, timeout_s=PATIENCE_S):
        """Serve callbacks until `condition`; return whether it became true in time."""
        end = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)
        return condition()

    def spin(self, seconds):
        """Serve callbacks for a while."""
        self.spin_until(lambda: False, seconds)

    def collect(self, message_type, topic, qos):
        """List that grows with every message of a topic."""
        received = []
        self.node.create_subscription(message_type, topic, received.append, qos)
        return received

    def call(self, service_type, name, request=None):
        """Answer of a service."""
        client = self.node.create_client(service_type, name)
        assert self.spin_until(client.service_is_ready), f"no service {name}"
        future = client.call_async(request or service_type.Request())
        assert self.spin_until(future.done), f"no answer from {name}"
        self.node.destroy_client(client)
        return future.result()

    def close(self):
        """Leave the graph."""
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@contextmanager
def ros_tester():
    """A `RosTester` that is closed at the end."""
    t = RosTester()
    try:
        yield t
    finally:
        t.close()


@contextmanager
def children(*commands, environment=None):
    """Child processes; those that still run at the end are terminated."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        **(environment or {}),
    }
    running = [
        subprocess.Popen(c, env=environment, stderr=subprocess.PIPE, text=True) for c in commands
    ]
    try:
        yield running
    finally:
        for process in running:
            if process.poll() is None:
                process.terminate()
        for process in running:
            try:
                _, said = process.communicate(timeout=15)
                sys.stderr.write(said)  # shown with a test that fails
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
