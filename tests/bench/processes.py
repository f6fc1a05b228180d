"""The processes that a case of `make bench` runs, and what the system knows of them."""
import json
import mmap
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
TOOLS = pathlib.Path(os.environ["BENCH_BIN"]).resolve() if "BENCH_BIN" in os.environ else None
DEADLINE_S = 120
LOOK_S = 0.02  # between two looks at memory, or at a counter that is waited for


def folder():
    """A new folder beside the build, on the disk that is to be measured; a context manager."""
    return tempfile.TemporaryDirectory(prefix="bench-", dir=BUILD)


def wait_for(what, condition, look_s=LOOK_S, deadline_s=DEADLINE_S):
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"{what}: not within {deadline_s} s")
        time.sleep(look_s)


class Agent:
    """One agent on a new data directory, or on the one that another agent left in the place.

    counted: runs under `calls`, which counts writes and syncs; its CPU and answers are then slower.
    """

    def __init__(self, program, place, config="", max_size="2GiB", counted=False):
        self.folder = pathlib.Path(place)
        self.data = self.folder / "data"
        self.data.mkdir(exist_ok=True)
        self.config = self.folder / "untrace.yaml"
        self.config.write_text(
            f"data_dir: {self.data}\n"
            "receivers: { otlp_http: { listen: 127.0.0.1:0 } }\n"
            f"storage: {{ max_size: {max_size} }}\n" + config)
        self.program = program
        self.log = self.folder / "agent.log"
        command = [program, "run", "--config", self.config]
        if counted:
            command = [TOOLS / "calls", self.folder / "counts", f"{self.data}/", *command]
        with open(self.log, "wb") as log:
            began = time.monotonic()
            self.process = subprocess.Popen(command, stderr=log)
        while not (match := re.search(r" ready .*otlp_http=\S+:(\d+)", self.log.read_text())):
            if self.process.poll() is not None or time.monotonic() - began > DEADLINE_S:
                sys.exit(f"the agent did not start:\n{self.log.read_text()}")
            time.sleep(0.0005)
        self.ready_ms = (time.monotonic() - began) * 1000
        self.port = int(match.group(1))
        self.pid = self.process.pid
        if counted:
            with open(self.folder / "counts", "rb") as file:
                self.counts = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
            self.pid = self.calls()["pid"]
        self.peak_kib = 0
        self.watching = True
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()

    def status_of_process(self, thread=""):
        return pathlib.Path(f"/proc/{self.pid}/{thread}status").read_text()

    def anonymous_kib(self):
        return int(re.search(r"RssAnon:\s+(\d+)", self.status_of_process()).group(1))

    def watch(self):
        while self.watching:
            self.peak_kib = max(self.peak_kib, self.anonymous_kib())
            time.sleep(LOOK_S)

    def cpu_s(self):
        """User and system time of all threads, those that ended too, to the nanosecond: the clock
        that clock_getcpuclockid(3) gives for a process."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def wakeups(self):
        """How often a thread of the agent slept and was woken, since the start."""
        found = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            text = self.status_of_process(f"task/{task.name}/")
            found += int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", text).group(1))
        return found

    def calls(self):
        """What `calls` has counted so far; the fields of its `counts`."""
        names = ("pid", "writes", "bytes", "syncs", "synced_writes")
        return dict(zip(names, struct.unpack("=5Q", self.counts[:40])))

    def status(self):
        """The agent's answer to GET /status on its control socket."""
        with socket.socket(socket.AF_UNIX) as sock:
            here = os.open(self.data, os.O_RDONLY)  # the path may be too long for an address
            try:
                sock.connect(f"/proc/self/fd/{here}/untrace.sock")
            finally:
                os.close(here)
            sock.sendall(b"GET /status HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n")
            answer = b""
            while part := sock.recv(65536):
                answer += part
        return json.loads(answer.split(b"\r\n\r\n", 1)[1])

    def pending(self):
        return sum(row["pending"] for row in self.status()["destinations"])

    def disk_bytes(self):
        return sum(path.stat().st_blocks * 512 for path in self.data.rglob("*") if path.is_file())

    def load(self, spans, **options):
        """Starts the load generator; `sent` waits for it. options: its options, _ for -."""
        command = [TOOLS / "load", "--endpoint", f"http://127.0.0.1:{self.port}/v1/traces",
                   "--spans", str(spans)]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def stop(self):
        self.watching = False
        self.watcher.join()
        os.kill(self.pid, signal.SIGTERM)
        code = self.process.wait(DEADLINE_S)
        if code != 0:
            sys.exit(f"the agent ended with {code}:\n{self.log.read_text()}")


def sent(load):
    """What the load generator tells when it is done."""
    text = load.communicate()[0]
    if load.returncode != 0:
        sys.exit(f"load ended with {load.returncode}")
    return json.loads(text)


class Sink:
    """Takes what an agent delivers, and counts the spans."""

    def __init__(self, tls=None):
        """tls: None, or the files of `certificate`."""
        command = [TOOLS / "sink"]
        if tls is not None:
            command += ["--cert-file", tls[0], "--key-file", tls[1]]
        self.tls = tls
        self.scheme = "http" if tls is None else "https"
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.port = json.loads(self.process.stdout.readline())["port"]

    def spans(self):
        self.process.stdin.write("count\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["spans"]

    def config(self, gzip=False, batch="{}"):
        """The destination of an agent that delivers here."""
        lines = [
            "destinations:",
            "  - name: sink",
            f"    endpoint: {self.scheme}://127.0.0.1:{self.port}",
            f"    compression: {'gzip' if gzip else 'none'}",
            f"    batch: {batch}",
        ]
        if self.tls is not None:
            lines.append(f"    tls: {{ ca_file: {self.tls[0]} }}")
        return "\n".join(lines) + "\n"

    def stop(self):
        self.process.stdin.close()
        self.process.wait(DEADLINE_S)


def certificate(place):
    """Makes a certificate and its key; returns the two files."""
    files = pathlib.Path(place) / "sink.pem", pathlib.Path(place) / "sink.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", files[1], "-out", files[0]],
        check=True, capture_output=True)
    return files
