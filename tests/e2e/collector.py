"""A real OpenTelemetry Collector, which writes what it gets to files. It has two receivers: "agent", with TLS, for what
comes through the agent, and "direct", without, for what comes straight from a sender."""

import collections
import json
import subprocess
from pathlib import Path

from agent import ROOT, os
from otlp import flatten
from waiting import DEADLINE_S, Port, until

PROGRAM = Path(os.environ.get("BUILD") or ROOT / "build").resolve() / "e2e" / "otelcol"


class Received:
    """The spans in one file of the Collector, read on as it grows."""

    def __init__(self, path: Path):
        self.path = path
        self.spans = {}  # (trace id, span id) to what was received first
        self.count = collections.Counter()
        self._offset = 0

    def read(self):
        if not self.path.exists():
            return self
        with open(self.path, "rb") as file:
            file.seek(self._offset)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self._offset += end
        for line in data[:end].splitlines():
            for key, span in flatten(json.loads(line)):
                self.spans.setdefault(key, span)
                self.count[key] += 1
        return self

    def duplicates(self):
        return sum(count - 1 for count in self.count.values())

    def wait_for(self, ids, deadline_s=DEADLINE_S):
        ids = set(ids)
        until(lambda: ids <= self.read().spans.keys(),
              lambda: f"{len(ids - self.spans.keys())} of {len(ids)} spans at the Collector are missing", deadline_s, 0.02)
        return self


class Collector:
    def __init__(self, folder: Path, server, client_ca=None):
        self.folder = folder
        self.ports = {"agent": Port(), "direct": Port()}
        self.files = {name: folder / f"{name}.jsonl" for name in self.ports}
        self.agent, self.direct = (Received(self.files[name]) for name in ("agent", "direct"))
        tls = {"cert_file": server.cert, "key_file": server.key}
        if client_ca:
            tls["client_ca_file"] = client_ca
        receivers = {name: {"protocols": {"http": {"endpoint": f"127.0.0.1:{port.number}"}}}
                     for name, port in self.ports.items()}
        receivers["agent"]["protocols"]["http"]["tls"] = tls
        config = {
            "receivers": {f"otlp/{name}": receiver for name, receiver in receivers.items()},
            "exporters": {f"file/{name}": {"path": path, "append": True, "flush_interval": "20ms"}
                          for name, path in self.files.items()},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {f"traces/{name}": {"receivers": [f"otlp/{name}"], "exporters": [f"file/{name}"]}
                              for name in self.ports},
            },
        }
        self.config_file = folder / "collector.yaml"
        self.config_file.write_text(json.dumps(config, default=str))
        self.log_file = folder / "collector.log"
        self.process = None

    def start(self):
        assert self.process is None
        begin = self.log_file.stat().st_size if self.log_file.exists() else 0
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([PROGRAM, "--config", f"file:{self.config_file}"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)

        def ready():
            assert self.process.poll() is None, f"the Collector ended:\n{self.log_file.read_text()}"
            return b"Everything is ready" in self.log_file.read_bytes()[begin:]
        until(ready, lambda: f"the Collector is ready; its log is:\n{self.log_file.read_text()}")
        return self

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(DEADLINE_S)
        finally:
            self.process.kill()
            self.process = None

    def close(self):
        if self.process is not None:
            self.stop()
        for port in self.ports.values():
            port.close()

    @property
    def url(self):
        return f"https://127.0.0.1:{self.ports['agent'].number}"

    @property
    def direct_url(self):
        return f"http://127.0.0.1:{self.ports['direct'].number}"
