"""The README's first command: a central and an edge agent on this machine, TLS between them, sample traces."""

import os
import subprocess
from pathlib import Path

import agent

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 300


def test_the_main_job_runs_once():
    environment = {**os.environ, "ONCE": "1", "UNTRACE": str(agent.PROGRAM), "SPANS": "100"}
    done = subprocess.run([ROOT / "tools/demo"], env=environment, capture_output=True, text=True, timeout=DEADLINE_S,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert "central" in done.stdout and "├" in done.stdout  # a trace, as the central has it
