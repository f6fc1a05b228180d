"""A program on a terminal of its own, and what stands on the screen."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios

import pyte

from agent import PROGRAM
from waiting import DEADLINE_S, until


class Terminal:
    def __init__(self, *arguments, columns=100, rows=30, prefix=(), ignored=(), environment=None):
        self._ignored = ignored
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.bytes = b""
        self._parent, self.child = pty.openpty()
        self._set_size(columns, rows)
        self.before = termios.tcgetattr(self.child)
        # A session of its own, so that the terminal's signals reach it and nobody else.
        self.process = subprocess.Popen([*prefix, PROGRAM, *map(str, arguments)], stdin=self.child, stdout=self.child,
                                        stderr=self.child, env={**(environment or os.environ), "TERM": "xterm-256color"},
                                        preexec_fn=self._control)

    def _control(self):
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for number in self._ignored:
            signal.signal(number, signal.SIG_IGN)

    def _set_size(self, columns, rows):
        fcntl.ioctl(self.child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows):
        self.screen.resize(rows, columns)
        self._set_size(columns, rows)

    def press(self, keys):
        os.write(self._parent, keys)

    def read(self):
        """Takes in what was written so far."""
        while select.select([self._parent], [], [], 0)[0]:
            try:
                data = os.read(self._parent, 65536)
            except OSError:
                return
            self.bytes += data
            self._stream.feed(data)

    def lines(self):
        self.read()
        return [line.rstrip() for line in self.screen.display]

    def text(self):
        return "\n".join(self.lines()).rstrip()

    def wait_for(self, condition):
        """Waits until a text stands on the screen, or a condition on its text holds."""
        holds = condition if callable(condition) else lambda text: condition in text
        until(lambda: holds(self.text()), lambda: f"the screen; it is:\n{self.text()}")

    def wait_end(self):
        def ended():
            self.read()
            return self.process.poll() is not None
        until(ended, lambda: f"the end; the screen is:\n{self.text()}")
        self.read()
        return self.process.returncode

    def is_given_back(self):
        """The other screen is left, the cursor is there, lines wrap, and the settings are as before."""
        return (termios.tcgetattr(self.child) == self.before and self.bytes.rindex(b"\x1b[?1049l") >
                self.bytes.rindex(b"\x1b[?1049h") and not self.screen.cursor.hidden and b"\x1b[?7h" in self.bytes)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(DEADLINE_S)
        os.close(self.child)
        os.close(self._parent)
