"""`untrace store`: looking at a store and changing it, beside an agent under load, without one, after a kill, on a copy."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
from pathlib import Path

import pytest

import otlp
import wire
from agent import PROGRAM, untrace
from terminal import Terminal
from waiting import DEADLINE_S, Port, until

EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_TEMPFAIL, CANCELLED = 64, 65, 66, 75, 130
READING = ["info", "verify"]
CHANGING = ["cleanup", "ttl", "compact"]
SPANS = 20000


class Control(http.client.HTTPConnection):
    """A client of an agent's control socket."""

    def __init__(self, data_dir):
        super().__init__("agent", timeout=DEADLINE_S)
        self.path = str(data_dir / "untrace.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE_S)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None):
        self.request(method, path, json.dumps(body) if body is not None else None)
        answer = self.getresponse()
        return answer.status, json.loads(answer.read())


class Load(threading.Thread):
    """Posts spans one request after the other until it is told to stop, or the agent is gone."""

    def __init__(self, agent):
        super().__init__(daemon=True)
        self.port = agent.port
        self.acknowledged = set()
        self.refused = []
        self.stopping = False
        self.start()
        until(lambda: len(self.acknowledged) > 20, "the first spans")

    def run(self):
        try:
            with wire.Connection(self.port) as connection:
                while not self.stopping:
                    message = otlp.request(8, payload=300)
                    connection.send(wire.request(message.SerializeToString()))
                    answer = connection.response()
                    if answer.status == 200:
                        self.acknowledged |= otlp.ids_of(message)
                    else:
                        self.refused.append(answer)
        except (OSError, wire.Closed):
            pass

    def stop(self):
        self.stopping = True
        self.join(DEADLINE_S)
        assert not self.is_alive() and not self.refused, self.refused


def fill(agent, spans=SPANS):
    done = untrace("send", "--endpoint", agent.url, "--spans", spans, "--batch", 500, "--quiet")
    assert done.returncode == 0, done.stderr


def store(subcommand, data_dir, *arguments, expected=0):
    done = untrace("store", subcommand, "--data-dir", data_dir, "--json", *arguments)
    assert done.returncode == expected, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout) if done.stdout else done.stderr


def assert_sound(data_dir, spans=None):
    report = store("verify", data_dir)
    assert report["ok"] and report["problems"] == [], report
    if spans is not None:
        assert report["spans"] == spans
    return report


def copy_of(agent):
    copy = agent.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in os.listdir(agent.data_dir):
        if name.startswith("store."):
            shutil.copy(agent.data_dir / name, copy / name)
    return copy


# ---- the control socket


def test_the_status_is_for_this_user_only(agent, destination, to):
    receiving = destination()
    under_test = agent([to(receiving, name="central")])
    under_test.accept(otlp.request(5))
    mode = os.stat(under_test.data_dir / "untrace.sock").st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    control = Control(under_test.data_dir)

    def delivered():
        status, answer = control.ask("GET", "/status")
        assert status == 200
        return answer if answer["destinations"][0]["delivered"] == 5 else None
    answer = until(delivered, "the delivery in the status")
    assert answer["pid"] == under_test.process.pid
    assert answer["data_dir"] == str(under_test.data_dir)
    assert answer["spans_stored"] == 5 and answer["blocks_stored"] == 1
    assert answer["requests"] >= 1 and answer["connections"] >= 0 and answer["queue"] == 0
    assert answer["store"]["bytes_max"] == 256 * 1024 * 1024
    assert 0 < answer["store"]["bytes_used"] <= answer["store"]["bytes_file"]
    row = answer["destinations"][0]
    assert (row["name"], row["active"], row["accepted"], row["pending"], row["failing"]) == ("central", True, 5, 0, False)
    assert answer["operation"] is None
    under_test.stop()
    assert not (under_test.data_dir / "untrace.sock").exists()


def test_the_status_names_what_a_destination_suffers_from(agent, destination, to):
    port = Port()
    under_test = agent([to(f"http://127.0.0.1:{port.number}", name="gone")])
    under_test.accept(otlp.request(5))
    control = Control(under_test.data_dir)
    row = until(lambda: (lambda d: d if d["failing"] else None)(control.ask("GET", "/status")[1]["destinations"][0]),
                "a failing destination")
    assert row["last_error"] and row["pending"] == 5
    port.close()


def test_the_socket_of_a_killed_agent_is_replaced(agent):
    under_test = agent()
    under_test.kill()
    assert (under_test.data_dir / "untrace.sock").exists()
    assert store("info", under_test.data_dir)["agent_pid"] is None
    under_test.start()
    assert store("info", under_test.data_dir)["agent_pid"] == under_test.process.pid


def test_a_long_path_of_the_data_directory_is_no_obstacle(agent):
    under_test = agent(start=False)
    under_test.data_dir = under_test.folder / ("d" * 120) / ("e" * 60)
    under_test.config["data_dir"] = str(under_test.data_dir)
    under_test.start()
    fill(under_test, 2000)
    assert store("compact", under_test.data_dir)["by_agent"] is True
    assert store("info", under_test.data_dir)["agent_pid"] == under_test.process.pid


# ---- reading


def test_reading_works_beside_an_agent_after_a_kill_and_on_a_copy(agent, destination, to):
    receiving = destination()
    under_test = agent([to(receiving, name="central")])
    fill(under_test, 3000)
    load = Load(under_test)
    for _ in range(5):
        assert_sound(under_test.data_dir)
        info = store("info", under_test.data_dir)
        assert info["agent_pid"] == under_test.process.pid
        assert info["spans"] >= 3000 and info["blocks"] > 0
    assert load.is_alive()
    under_test.kill()
    load.stop()
    report = assert_sound(under_test.data_dir)
    spans = report["spans"]
    assert spans >= 3000 + len(load.acknowledged)
    info = store("info", under_test.data_dir)
    assert info["agent_pid"] is None and info["spans"] == spans
    copy = copy_of(under_test)
    assert_sound(copy, spans)
    copied = store("info", copy)
    assert {**copied, "data_dir": ""} == {**info, "data_dir": ""}

    assert info["since_made"]["spans_stored"] == spans
    kinds = {row["kind"]: row for row in info["key_spaces"]}
    assert kinds["Z"]["keys"] == info["blocks"] == kinds["D"]["keys"]
    assert info["traces"] == report["traces"] > 0 and kinds["B"]["value_bytes"] > info["sealed_bytes"]
    [org] = info["organisations"]
    assert (org["org"], org["spans"], org["traces"]) == (1, spans, info["traces"])
    assert 0 < org["oldest_received_ns"] < org["newest_received_ns"]
    [row] = info["destinations"]
    assert (row["name"], row["active"], row["accepted"]) == ("central", True, spans)
    assert row["delivered"] + row["pending"] == spans

    text = untrace("store", "info", "--config", under_test.config_file)
    assert text.returncode == 0
    for part in (str(under_test.data_dir), "not running", "256.0 MiB", f"{spans} in", "block summaries", "central"):
        assert part in text.stdout
    text = untrace("store", "verify", "--config", under_test.config_file)
    assert text.returncode == 0 and text.stdout.startswith("all fits:") and text.stderr == ""


def test_info_fits_a_terminal_of_80_columns(agent, to):
    names = ["a-destination-with-a-name-of-forty-letters", "b"]
    under_test = agent([to("http://127.0.0.1:9", name=name) for name in names])
    fill(under_test, 200)
    under_test.stop()
    shown = Terminal("store", "info", "--data-dir", under_test.data_dir, columns=80, rows=60)
    try:
        shown.wait_for(lambda text: "\nb " in text)
        assert shown.wait_end() == 0
        text = re.sub(rb"\x1b\[[0-9;]*m", b"", shown.bytes).decode()
    finally:
        shown.close()
    lines = [line for line in text.replace("\r", "").splitlines() if not line.startswith("data directory")]
    assert max(map(len, lines)) <= 80, text
    assert "organisation " not in text and "evicted" in text


def test_verify_lists_damaged_blocks(agent):
    under_test = agent()
    fill(under_test, 2000)
    under_test.stop()
    copy = copy_of(under_test)
    file = copy / "store.mdb"
    data = bytearray(file.read_bytes())
    at = data.find(b"UTBK")
    places = 0
    while at >= 0:
        data[at + 100] ^= 0xff
        places += 1
        at = data.find(b"UTBK", at + 1)
    assert places >= 4
    file.write_bytes(data)
    report = store("verify", copy, expected=1)
    assert not report["ok"] and report["problem_count"] == len(report["problems"]) > 0
    assert all("damaged" in problem for problem in report["problems"]), report["problems"]
    done = untrace("store", "verify", "--data-dir", copy)
    assert done.returncode == 1 and "damaged" in done.stdout and "problem" in done.stdout.splitlines()[-1]
    for command in ("spans",), ("stats",), ("failures",), ("traces", "--min-duration", "0"), ("export",):
        done = untrace(*command, "--data-dir", copy)
        assert done.returncode == EX_DATAERR and "damaged block" in done.stderr, (command, done)
    assert_sound(under_test.data_dir, 2000)


# ---- changing


@pytest.mark.parametrize("subcommand", READING + CHANGING)
def test_a_wrong_directory_is_left_alone(tmp_path, subcommand):
    empty = tmp_path / "empty"
    empty.mkdir()
    for wrong in (empty, tmp_path / "nowhere"):
        arguments = ["--older-than", "1d"] if subcommand == "cleanup" else []
        done = untrace("store", subcommand, "--data-dir", wrong, *arguments)
        assert done.returncode == EX_NOINPUT and "there is no store in" in done.stderr, done
        assert done.stdout == ""
    assert list(empty.iterdir()) == [] and not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["info", "more"], ["verify", "--nothing"], ["compact", "-d"],
                                       ["cleanup"], ["cleanup", "--older-than", "7"], ["ttl", "x"],
                                       ["cleanup", "--older-than", "7d", "--service", ""]])
def test_what_makes_no_sense_is_a_usage_error(arguments):
    done = untrace("store", *arguments)
    assert done.returncode == EX_USAGE and "store" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("subcommand", ["", *READING, *CHANGING])
def test_help_is_for_people(subcommand):
    done = untrace("store", *subcommand.split(), "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("usage: untrace store")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_compaction_beside_an_agent_under_load_loses_nothing(agent, destination, to):
    receiving = destination()
    under_test = agent([to(receiving)])
    fill(under_test)
    load = Load(under_test)
    for _ in range(5):
        result = store("compact", under_test.data_dir)
        assert result["state"] == "done" and result["by_agent"] is True
    before = len(load.acknowledged)
    until(lambda: len(load.acknowledged) > before, "spans after the compaction")
    load.stop()
    spans = SPANS + len(load.acknowledged)
    assert_sound(under_test.data_dir, spans)
    control = Control(under_test.data_dir)
    until(lambda: control.ask("GET", "/status")[1]["destinations"][0]["delivered"] == spans, "the deliveries")
    control.close()
    under_test.stop()
    assert_sound(under_test.data_dir, spans)
    under_test.start()
    assert_sound(under_test.data_dir, spans)


def test_compaction_without_an_agent_keeps_what_the_agent_set(agent, destination, to):
    receiving = destination()
    under_test = agent([to(receiving)], storage={"max_size": "64MiB"})
    fill(under_test)
    under_test.kill()
    before = store("info", under_test.data_dir)
    # Neither the default budget nor the lack of a configuration changes what is there.
    result = store("compact", under_test.data_dir)
    assert result["state"] == "done" and result["by_agent"] is False
    after = store("info", under_test.data_dir)
    assert after["bytes_file"] == before["bytes_file"] - result["bytes"]
    assert after["bytes_max"] == before["bytes_max"] == 64 * 1024 * 1024
    for key in ("spans", "traces", "blocks", "destinations", "since_made"):
        assert after[key] == before[key]
    assert after["destinations"][0]["active"]
    assert_sound(under_test.data_dir, SPANS)
    copy = copy_of(under_test)
    assert store("compact", copy)["by_agent"] is False
    assert_sound(copy, SPANS)
    under_test.start()
    under_test.accept(otlp.request(3))
    assert_sound(under_test.data_dir, SPANS + 3)


def by_service(data_dir):
    counts = {}
    for line in untrace("traces", "--data-dir", data_dir, "--json", "--limit", 100000).stdout.splitlines():
        row = json.loads(line)
        counts[row["service"]] = counts.get(row["service"], 0) + row["spans"]
    return counts


@pytest.mark.parametrize("running", [True, False])
def test_cleanup_removes_what_it_is_asked_to(agent, destination, to, running):
    receiving = destination()
    under_test = agent([to(receiving, name="central")])
    for number in range(30):
        under_test.accept(otlp.request(10, service=("cart", "shop", "pay")[number % 3]))
    control = Control(under_test.data_dir)
    until(lambda: control.ask("GET", "/status")[1]["destinations"][0]["delivered"] == 300, "the deliveries")
    control.close()
    if not running:
        under_test.kill()
    data_dir = under_test.data_dir

    def cleanup(*arguments):
        result = store("cleanup", data_dir, *arguments)
        assert (result["name"], result["state"], result["by_agent"]) == ("cleanup", "done", running)
        return result
    assert cleanup("--older-than", "1d")["spans"] == 0
    would = cleanup("--older-than", "0", "--service", "cart", "--dry-run")
    assert (would["dry_run"], would["spans"], would["pending"]) == (True, 100, 0)
    if running:
        assert re.search(r"cleanup as a dry run, which changes nothing, is done: \d+ blocks, 100 spans", under_test.log())
    assert by_service(data_dir) == {"cart": 100, "shop": 100, "pay": 100}
    did = cleanup("--older-than", "0", "--service", "cart", "--delivered")
    assert {**did, "dry_run": True} == would
    assert by_service(data_dir) == {"shop": 100, "pay": 100}
    assert_sound(data_dir, 200)
    text = untrace("store", "cleanup", "--data-dir", data_dir, "--older-than", "0", "--dry-run")
    assert text.returncode == 0 and text.stdout.startswith("would remove 200 spans in ") and text.stderr == ""
    text = untrace("store", "cleanup", "--data-dir", data_dir, "--older-than", "0")
    assert text.stdout.startswith("removed 200 spans in ")
    assert_sound(data_dir, 0)
    info = store("info", data_dir)
    assert info["spans"] == 0 and info["destinations"][0]["delivered"] == 300 and info["destinations"][0]["active"]


def test_cleanup_can_spare_what_is_not_delivered(agent, to):
    port = Port()
    under_test = agent([to(f"http://127.0.0.1:{port.number}", name="gone")])
    under_test.accept(otlp.request(10))
    data_dir = under_test.data_dir
    assert store("cleanup", data_dir, "--older-than", "0", "--delivered")["spans"] == 0
    result = store("cleanup", data_dir, "--older-than", "0")
    assert (result["spans"], result["pending"]) == (10, 10)
    [row] = store("info", data_dir)["destinations"]
    assert (row["accepted"], row["pending"], row["expired"]) == (10, 0, 10)
    assert_sound(data_dir, 0)
    port.close()


def test_cleanup_under_load_leaves_what_is_younger(agent, destination, to):
    receiving = destination()
    under_test = agent([to(receiving)])
    fill(under_test)
    load = Load(under_test)
    gone = store("cleanup", under_test.data_dir, "--older-than", "0")["spans"]
    assert gone >= SPANS
    for _ in range(5):
        gone += store("cleanup", under_test.data_dir, "--older-than", "0", "--service", "e2e")["spans"]
        assert_sound(under_test.data_dir)
    before = len(load.acknowledged)
    until(lambda: len(load.acknowledged) > before, "spans after the cleanup")
    load.stop()
    assert_sound(under_test.data_dir, SPANS + len(load.acknowledged) - gone)
    assert store("info", under_test.data_dir)["since_made"]["spans_expired"] == gone


@pytest.mark.parametrize("running", [True, False])
def test_ttl_applies_the_configured_times_to_what_is_there(agent, running):
    under_test = agent(storage={"ttl": "30d"})
    for _ in range(5):
        under_test.accept(otlp.request(10))
    under_test.stop()
    under_test.config["storage"]["ttl"] = "7d"
    under_test.start()
    under_test.accept(otlp.request(10))  # this one has its time already
    if not running:
        under_test.kill()

    def ttl(*arguments):
        done = untrace("store", "ttl", "--config", under_test.config_file, "--json", *arguments)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert result["by_agent"] is running
        return result["blocks"], result["spans"]
    assert ttl("--dry-run") == (5, 50)
    assert ttl() == (5, 50)
    assert ttl() == (0, 0)
    assert_sound(under_test.data_dir, 60)


def test_what_the_agent_is_asked_must_make_sense(agent):
    control = Control(agent().data_dir)
    for path, body in [("cleanup", {}), ("cleanup", []), ("cleanup", {"older_than_ns": -1}), ("cleanup", None),
                       ("cleanup", {"older_than_ns": 1, "service": ""}), ("cleanup", {"older_than_ns": 1, "more": 2}),
                       ("cleanup", {"older_than_ns": 1, "service": "s" * 300}), ("ttl", {"dry_run": 1}),
                       ("cleanup", {"older_than_ns": 1, "service": "a\0b"}), ("ttl", {"other": True})]:
        status, answer = control.ask("POST", f"/store/{path}", body)
        assert status == 400 and answer["error"], (path, body)
    assert control.ask("GET", "/store/operation")[1]["state"] == "none"
    control.close()


def test_the_cursor_of_a_reader_is_kept(agent):
    under_test = agent()
    for _ in range(3):
        under_test.accept(otlp.request(5))
    control = Control(under_test.data_dir)
    place = {"name": "poller", "seq": 2, "ordinal": 4}
    assert control.ask("POST", "/store/consumer", place) == (200, place)
    for wrong in ({**place, "seq": 4}, {**place, "ordinal": 512}, {**place, "ordinal": 2**40}, {**place, "name": ""},
                  {"name": "poller"}, {"seq": 1}, {**place, "name": "n" * 100}, {**place, "other": 1}, []):
        status, answer = control.ask("POST", "/store/consumer", wrong)
        assert status == 400 and answer["error"], wrong
    control.close()

    def cursors():
        return {row["kind"]: row["keys"] for row in store("info", under_test.data_dir)["key_spaces"]}["C"]
    assert cursors() == 1
    under_test.kill()
    assert_sound(under_test.data_dir, 15)
    assert cursors() == 1
    under_test.start()
    assert Control(under_test.data_dir).ask("POST", "/store/consumer", {**place, "seq": 0, "ordinal": 0})[0] == 200
    assert cursors() == 0


def test_two_operations_at_once_are_one_too_many(agent):
    under_test = agent()
    fill(under_test)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(DEADLINE_S)
    connection.connect(str(under_test.data_dir / "untrace.sock"))
    request = b"POST /store/compact HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    connection.sendall(request + request)  # both are read at once
    got = b""
    while got.count(b"HTTP/1.1") < 2 or not got.endswith(b"}\n"):
        got += connection.recv(65536)
    assert got.startswith(b"HTTP/1.1 202 ") and b"HTTP/1.1 409 " in got
    assert b"another operation (compact) is under way" in got
    connection.close()
    until(lambda: Control(under_test.data_dir).ask("GET", "/store/operation")[1]["state"] == "done", "the end")
    assert_sound(under_test.data_dir, SPANS)


def test_another_process_on_the_directory_is_not_disturbed(agent):
    under_test = agent()
    fill(under_test, 1000)
    os.unlink(under_test.data_dir / "untrace.sock")  # as if it were too old to have one
    done = untrace("store", "compact", "--data-dir", under_test.data_dir)
    assert done.returncode == EX_TEMPFAIL and f"process {under_test.process.pid}" in done.stderr
    assert_sound(under_test.data_dir, 1000)


def test_an_operation_is_cancelled_over_the_socket(agent):
    under_test = agent()
    fill(under_test)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(DEADLINE_S)
    connection.connect(str(under_test.data_dir / "untrace.sock"))
    post = b"POST /store/%s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    connection.sendall(post % b"compact" + post % b"cancel")
    got = b""
    while got.count(b"HTTP/1.1") < 2 or not got.endswith(b"}\n"):
        got += connection.recv(65536)
    connection.close()
    assert b"HTTP/1.1 409" not in got
    control = Control(under_test.data_dir)
    end = until(lambda: (lambda a: a if a["state"] != "running" else None)(control.ask("GET", "/store/operation")[1]),
                "the end")
    assert end["state"] == "cancelled"
    status, answer = control.ask("POST", "/store/cancel")
    assert status == 409 and "no operation" in answer["error"]
    control.close()
    assert not (under_test.data_dir / "store.mdb.new").exists()
    assert_sound(under_test.data_dir, SPANS)
    assert store("compact", under_test.data_dir)["state"] == "done"


def interrupt(command, seen, again=lambda: None, times=30):
    """Runs a command until an interrupt has reached it in the middle of its work; the work may be quicker. again: makes
    new work."""
    for _ in range(times):
        process = subprocess.Popen([PROGRAM, *map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        until(lambda: process.poll() is not None or seen(), "the work", interval_s=0.0005)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode in (0, CANCELLED), (process.returncode, err)
        if process.returncode == CANCELLED:
            assert "cancelled" in out and err == ""
            return out
        again()
    raise AssertionError("the work is always done before the interrupt")


def test_an_interrupt_cancels(agent):
    under_test = agent()
    fill(under_test, 5 * SPANS)
    new = under_test.data_dir / "store.mdb.new"
    command = ("store", "compact", "--data-dir", under_test.data_dir)
    interrupt(command, new.exists)
    assert Control(under_test.data_dir).ask("GET", "/store/operation")[1]["state"] == "cancelled"
    assert not new.exists()
    assert_sound(under_test.data_dir, 5 * SPANS)
    under_test.stop()
    interrupt(command, new.exists)
    assert not new.exists()
    assert_sound(under_test.data_dir, 5 * SPANS)


def test_an_interrupt_ends_the_wait_for_an_agent_that_does_not_answer(agent):
    """The agent stands still, so the request is not answered: the wait for it alone would take 30 seconds."""
    under_test = agent()
    os.kill(under_test.process.pid, signal.SIGSTOP)
    try:
        process = subprocess.Popen([PROGRAM, "store", "compact", "--data-dir", str(under_test.data_dir)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def blocks_sigint():
            blocked = re.search(r"^SigBlk:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
            return int(blocked[1], 16) & 1 << signal.SIGINT - 1

        until(blocks_sigint, "the command to take signals itself")
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=15)[1]
    finally:
        os.kill(under_test.process.pid, signal.SIGCONT)
    assert process.returncode == CANCELLED, err
    assert "does not answer, and nobody waits for it any more" in err


def test_what_a_cancelled_cleanup_has_removed_stays_removed(agent):
    under_test = agent()
    fill(under_test, 5 * SPANS)
    command = ("store", "cleanup", "--data-dir", under_test.data_dir, "--older-than", "0")
    control = Control(under_test.data_dir)
    out = interrupt(command, lambda: control.ask("GET", "/store/operation")[1]["state"] == "running",
                    again=lambda: fill(under_test, 5 * SPANS))
    control.close()
    gone = int(re.match(r"cancelled; removed (\d+) spans", out).group(1))
    info = store("info", under_test.data_dir)
    assert info["spans"] > 0 and info["since_made"]["spans_expired"] >= gone
    assert_sound(under_test.data_dir, info["spans"])
    under_test.stop()

    def here():  # the command itself has taken the lock
        return f"{os.stat(under_test.data_dir / 'store.lock').st_ino} " in Path("/proc/locks").read_text()

    def again():
        under_test.start()
        fill(under_test, 5 * SPANS)
        under_test.stop()
    interrupt(command, here, again)
    left = store("info", under_test.data_dir)["spans"]
    assert_sound(under_test.data_dir, left)
    assert store("cleanup", under_test.data_dir, "--older-than", "0")["spans"] == left
    assert_sound(under_test.data_dir, 0)


@pytest.mark.parametrize("work", [["compact"], ["cleanup", "--older-than", "0"]])
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_an_agent_that_ends_during_an_operation_leaves_a_sound_store(agent, how, work):
    under_test = agent()
    fill(under_test)
    for _ in range(5):
        load = Load(under_test)
        waiting = subprocess.Popen([PROGRAM, "store", *work, "--data-dir", under_test.data_dir], text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        control = Control(under_test.data_dir)
        until(lambda: control.ask("GET", "/store/operation")[1]["state"] != "none", "the operation", interval_s=0.001)
        control.close()
        if how == "stop":
            under_test.stop()
        else:
            under_test.kill()
        load.stop()
        out, err = waiting.communicate(timeout=DEADLINE_S)
        assert waiting.returncode in (0, EX_TEMPFAIL, 128 + signal.SIGTERM), (waiting.returncode, out, err)
        assert_sound(under_test.data_dir)
        under_test.start()
        assert not (under_test.data_dir / "store.mdb.new").exists()
    assert_sound(under_test.data_dir)


@pytest.mark.parametrize("work", [["compact"], ["cleanup", "--older-than", "0"]])
def test_a_command_that_is_killed_at_its_work_leaves_a_sound_store(agent, work):
    under_test = agent()
    for moment in range(5):
        fill(under_test)
        under_test.stop()
        before = store("info", under_test.data_dir)["spans"]
        process = subprocess.Popen([PROGRAM, "store", *work, "--data-dir", under_test.data_dir], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        inode = f"{os.stat(under_test.data_dir / 'store.lock').st_ino} "
        until(lambda: process.poll() is not None or inode in Path("/proc/locks").read_text(), "the lock", interval_s=0.0005)
        try:
            process.wait(moment * 0.005)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait(DEADLINE_S)
        spans = assert_sound(under_test.data_dir)["spans"]
        assert spans == before if work == ["compact"] else spans <= before
        under_test.start()
        assert_sound(under_test.data_dir, spans)
