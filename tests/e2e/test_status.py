"""`untrace status`: one screen for people, one object for programs, one exit code for health checks."""

import json
import os
import signal

import pytest

import otlp
from agent import untrace
from waiting import until

RUNS, FAILS, NOT_RUNNING, NO_ANSWER = 0, 1, 69, 75


def status(agent, *arguments, **options):
    return untrace("status", "--config", agent.config_file, *arguments, **options)


def test_an_agent_that_is_well(agent, destination, to):
    one = agent([to(destination(), name="central")])
    one.accept(otlp.request(10))
    until(lambda: json.loads(status(one, "--json").stdout)["destinations"][0]["pending"] == 0, "all delivered")
    done = status(one)
    assert (done.returncode, done.stderr) == (RUNS, "")
    lines = {line[:16].strip(): line[16:] for line in done.stdout.splitlines()}
    assert f"process {one.process.pid}" in lines["agent"] and "running for " in lines["agent"]
    assert lines["configuration"] == str(one.config_file) and lines["data directory"] == str(one.data_dir)
    assert lines["otlp_http"].startswith(f"127.0.0.1:{one.port}, ") and "1 request so far" in lines["otlp_http"]
    assert lines["last span"].endswith(" ago") and lines["spans"].startswith("10;") and " of " in lines["disk"]
    assert lines["destinations"] == "central: up to date"
    found = json.loads(status(one, "--json").stdout)
    assert (found["running"], found["failing"], found["pid"]) == (True, False, one.process.pid)
    assert (found["config"], found["spans"], found["requests"]) == (str(one.config_file), 10, 1)
    assert 0 < found["last_span_unix_ns"] <= found["time_unix_ns"]


def test_a_destination_that_fails_is_an_exit_code_and_a_reason(agent, to):
    one = agent([to("http://127.0.0.1:9", name="central")])
    one.accept(otlp.request(1))
    until(lambda: status(one).returncode == FAILS, "a destination that fails")
    done = status(one, env={**os.environ, "COLUMNS": "80"})
    assert "central: FAILING, 1 span waits, the oldest for " in done.stdout
    assert "Connection refused" in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
    found = json.loads(status(one, "--json").stdout)
    assert found["failing"] and found["destinations"][0]["pending"] == 1
    assert "Connection refused" in found["destinations"][0]["last_error"]


def test_what_is_refused_is_told_by_kind(agent):
    one = agent([])
    assert one.post(b"{bad", "application/json").status == 400
    one.post(otlp.request(1, trace_id=bytes(16)))
    done = status(one)
    assert done.returncode == RUNS
    found = json.loads(status(one, "--json").stdout)
    assert sum(found["refused_by"].values()) == 1 and sum(found["rejected_by"].values()) == 1
    for label, kinds in (("refused", found["refused_by"]), ("spans rejected", found["rejected_by"])):
        assert f"{label:16}1 {next(iter(kinds))}\n" in done.stdout


def test_without_an_agent_the_store_is_told_of(agent, to, tmp_path):
    one = agent([to("http://127.0.0.1:9", name="central")])
    one.accept(otlp.request(3))
    one.stop()
    done = status(one)
    assert done.returncode == NOT_RUNNING and "not running" in done.stdout and "3 spans wait" in done.stdout
    found = json.loads(status(one, "--json").stdout)
    assert (found["running"], found["spans"]) == (False, 3)
    done = untrace("status", "--data-dir", tmp_path / "nothing")
    assert done.returncode == NOT_RUNNING and "there is no store" in done.stdout
    done = untrace("status", "--data-dir", tmp_path / "nothing", "--json")
    assert done.returncode == NOT_RUNNING and json.loads(done.stdout)["destinations"] == []


def test_an_agent_that_does_not_answer_is_not_well(agent):
    one = agent([])
    one.process.send_signal(signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(one.process.pid, os.WUNTRACED)[1])
    try:
        assert status(one).returncode == NO_ANSWER
    finally:
        one.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("arguments", [["x"], ["--once"]])
def test_it_takes_no_words(arguments):
    assert untrace("status", *arguments).returncode == 64
