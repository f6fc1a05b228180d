"""Waiting for a condition with a deadline, and ports that nobody else takes. Everything that the tests wait for goes
through here: no test sleeps for a fixed time."""

import os
import socket
import time

# Long, because a machine may be busy; a test that passes never waits it out.
DEADLINE_S = float(os.environ.get("E2E_DEADLINE", "60"))


def until(condition, what, deadline_s=DEADLINE_S, interval_s=0.01):
    """Calls condition until it returns something true, and returns that. `what` names it (text or a function that
    makes the text) when the deadline passes."""
    end = time.monotonic() + deadline_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s:g} s: {what() if callable(what) else what}")
        time.sleep(interval_s)


class Port:
    """A TCP port of 127.0.0.1 that is kept for one listener: bound, but not listening, so that connecting is refused
    until somebody listens on it, and the system gives it to nobody else."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.number = self.socket.getsockname()[1]

    def close(self):
        self.socket.close()
