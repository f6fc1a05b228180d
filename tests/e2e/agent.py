"""The program under test, as a process."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import wire
from otlp import PROTOBUF
from waiting import DEADLINE_S, until

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("UNTRACE") or str(Path(os.environ.get("BUILD") or ROOT / "build").resolve() / "untrace")
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|MemorySanitizer")
READY = re.compile(r" ready .*?\botlp_http=(\S+):(\d+)")


def untrace(*arguments, **options):
    """Runs a subcommand to its end."""
    if "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=DEADLINE_S, check=False,
                          **options)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


class Agent:
    """One data directory and one configuration, run any number of times."""

    def __init__(self, folder: Path, destinations=(), receiver=None, storage=None, environment=None, **top):
        self.folder = folder
        self.data_dir = folder / "data"
        self.config_file = folder / "untrace.yaml"
        self.log_file = folder / "agent.log"
        self.environment = environment
        self.config = {
            "data_dir": str(self.data_dir),
            "receivers": {"otlp_http": {"listen": "127.0.0.1:0", **(receiver or {})}},
            "destinations": list(destinations),
            **top,
        }
        if storage:
            self.config["storage"] = storage
        self.process = None
        self.port = None
        self._log_start = 0

    def start(self, wait=True, prefix=()):
        assert self.process is None
        # JSON is YAML.
        self.config_file.write_text(json.dumps(self.config, indent=1, default=str))
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([*prefix, PROGRAM, "run", "--config", self.config_file], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**os.environ, **(self.environment or {})})
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            found = READY.search(self.log())
            if not found and self.process.poll() is not None:
                raise AssertionError(f"the agent ended with {self.process.returncode}:\n{self.log()}")
            return found
        self.port = int(until(ready, lambda: f"ready line; the log is:\n{self.log()}", interval_s=0.002).group(2))

    def log(self):
        """What this run has logged so far."""
        with open(self.log_file, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def stop(self, expected=0):
        """SIGTERM, and the exit code that must follow."""
        self.process.send_signal(signal.SIGTERM)
        code = self.wait()
        assert code == expected, f"exit code {code} after SIGTERM:\n{self.log()[-4000:]}"

    def kill(self):
        self.process.kill()
        self.wait()

    def wait(self):
        """Waits for the end of the process and gives its exit code."""
        try:
            code = self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.process = None
            raise AssertionError(f"the agent does not end:\n{self.log()[-4000:]}") from None
        self.process = None
        return code

    def running(self):
        return self.process is not None and self.process.poll() is None

    def close(self):
        """For the end of a test: nothing is left running, and no sanitizer has spoken in any run."""
        died = None
        if self.process is not None:
            died = self.process.poll()
            if died is None:
                self.stop()
        log = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        assert not SANITIZER.search(log), log[-8000:]
        assert died is None, f"the agent had ended by itself with {died}:\n{log[-4000:]}"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def post(self, body, content_type=PROTOBUF, **options):
        if not isinstance(body, bytes):
            body = body.SerializeToString()
        return wire.post(self.port, body, content_type, **options)

    def accept(self, message, **options):
        """Sends a request that must be acknowledged in full."""
        answer = self.post(message, **options)
        assert (answer.status, answer.body) == (200, b""), answer
