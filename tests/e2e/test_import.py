"""`untrace import`: OTLP files into a data directory, with an agent and without."""

import gzip
import http.client
import json
import os
import re
import socket
import struct

import pytest

import otlp
from agent import untrace
from terminal import Terminal
from waiting import DEADLINE_S, until

EX_DATAERR, EX_NOINPUT = 65, 66
SPANS = 5


@pytest.fixture(scope="module")
def messages():
    return [otlp.request(SPANS) for _ in range(40)]


def json_lines(messages):
    return "".join(json.dumps(otlp.as_json(message)) + "\n" for message in messages)


def delimited(messages):
    bodies = [message.SerializeToString() for message in messages]
    return b"".join(struct.pack(">I", len(body)) + body for body in bodies)


def stored_ids(data_dir):
    done = untrace("traces", "--data-dir", data_dir, "--json", "--limit", 1000)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {row["trace_id"]: row["spans"] for row in rows}


def ids(messages):
    return {otlp.first_span(message).trace_id.hex(): SPANS for message in messages}


LAYOUTS = {
    "lines": lambda messages: json_lines(messages).encode(),
    "lines without an end": lambda messages: json_lines(messages).encode().rstrip(),
    "lines with CRLF and empty lines": lambda messages: b"\n" + json_lines(messages).replace("\n", "\r\n\r\n").encode(),
    "a byte order mark": lambda messages: b"\xef\xbb\xbf" + json_lines(messages).encode(),
    "one document": lambda messages: json.dumps(otlp.as_json(messages[0]), indent=2).encode(),
    "one line": lambda messages: json_lines(messages[:1]).encode(),
    "messages behind lengths": delimited,
    "one message": lambda messages: messages[0].SerializeToString(),
    "gzip": lambda messages: gzip.compress(json_lines(messages).encode()),
    "gzip of messages in two members": lambda messages: gzip.compress(delimited(messages[:9])) + gzip.compress(delimited(messages[9:])),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_found_by_its_content(tmp_path, messages, layout):
    file, data_dir = tmp_path / "spans", tmp_path / "data"
    file.write_bytes(LAYOUTS[layout](messages))
    expected = ids(messages[:1] if layout.startswith("one ") else messages)
    done = untrace("import", file, "--data-dir", data_dir)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert f"{SPANS * len(expected)} spans imported\n" == done.stderr
    assert stored_ids(data_dir) == expected

    again = untrace("import", file, "--data-dir", data_dir)
    assert again.returncode == 0
    assert again.stderr == f"0 spans imported, {SPANS * len(expected)} were there already\n"


def test_standard_input_and_several_files(tmp_path, messages):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(json_lines(messages[:10]).encode())
    second.write_bytes(delimited(messages[10:20]))
    assert untrace("import", first, second, "--data-dir", tmp_path / "data").returncode == 0
    assert stored_ids(tmp_path / "data") == ids(messages[:20])
    done = untrace("import", "-", "--data-dir", tmp_path / "data", "--quiet", input=json_lines(messages))
    assert (done.returncode, done.stderr) == (0, "")
    assert stored_ids(tmp_path / "data") == ids(messages)


@pytest.mark.parametrize("with_agent", [False, True])
def test_a_bad_line_is_named_and_skipped_when_asked_for(tmp_path, agent, messages, with_agent):
    data_dir = agent().data_dir if with_agent else tmp_path / "data"
    file = tmp_path / "bad.jsonl"
    lines = json_lines(messages).splitlines(keepends=True)
    lines[3] = lines[3][:100] + "\n"
    lines[7] = '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":5}]}]}]}\n'
    file.write_text("".join(lines))

    done = untrace("import", file, "--data-dir", data_dir)
    assert done.returncode == EX_DATAERR
    assert f"{file}:4: not valid JSON: unexpected end of data at byte 100\n" in done.stderr
    assert stored_ids(data_dir) == ids(messages[:3]), "what stands before is stored"

    done = untrace("import", file, "--skip-bad", "--data-dir", data_dir)
    assert done.returncode == EX_DATAERR
    assert f"{file}:4: " in done.stderr and f"{file}:8: " in done.stderr and "traceId" in done.stderr
    assert "2 requests do not decode" in done.stderr
    assert stored_ids(data_dir) == ids(messages[:3] + messages[4:7] + messages[8:])


def test_a_cut_message_and_what_is_no_otlp_are_refused(tmp_path, messages):
    cut, text, missing = tmp_path / "cut", tmp_path / "text", tmp_path / "missing"
    cut.write_bytes(delimited(messages)[:-10])
    text.write_text("hello\n")
    done = untrace("import", cut, "--data-dir", tmp_path / "data")
    assert done.returncode == EX_DATAERR
    assert f"{cut}: message 40 (byte " in done.stderr and "the file ends after" in done.stderr
    assert stored_ids(tmp_path / "data") == ids(messages[:39])
    done = untrace("import", text, "--data-dir", tmp_path / "data")
    assert done.returncode == EX_DATAERR and "neither as OTLP JSON nor as OTLP protobuf" in done.stderr
    done = untrace("import", cut, missing, "--data-dir", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert done.returncode == EX_NOINPUT and str(missing) in done.stderr


def test_a_span_with_a_wrong_id_is_counted_and_its_neighbours_are_taken(tmp_path, messages):
    message = otlp.request(3)
    otlp.spans_of(message)[1].span_id = b"short"
    file = tmp_path / "spans"
    file.write_bytes(delimited([message]))
    done = untrace("import", file, "--data-dir", tmp_path / "data")
    assert done.returncode == EX_DATAERR
    assert "1 spans cannot be stored" in done.stderr and "2 spans imported" in done.stderr


def test_a_running_agent_takes_the_spans_and_delivers_them(tmp_path, agent, destination, to, messages):
    peer = destination()
    one = agent([to(peer)])
    file = tmp_path / "spans"
    file.write_bytes(json_lines(messages[:20]).encode())
    done = untrace("import", file, "--data-dir", one.data_dir)
    assert (done.returncode, done.stderr) == (0, f"{20 * SPANS} spans imported through the agent\n")
    again = untrace("import", file, "--data-dir", one.data_dir)
    assert again.stderr == f"0 spans imported through the agent, {20 * SPANS} were there already\n"
    peer.wait_for(set().union(*(otlp.ids_of(message) for message in messages[:20])))


def test_a_large_line_goes_through_an_agent(tmp_path, agent):
    one = agent(start=True)
    message = otlp.request(30, payload=500_000)
    file = tmp_path / "spans"
    file.write_bytes(json_lines([message]).encode())
    done = untrace("import", file, "--data-dir", one.data_dir)
    assert (done.returncode, done.stderr) == (0, "30 spans imported through the agent\n")
    assert set(stored_ids(one.data_dir)) == {otlp.first_span(message).trace_id.hex()}


def test_a_line_over_the_limit_is_refused_and_passed_over(tmp_path, messages):
    file = tmp_path / "spans"
    lines = json_lines(messages[:2]).encode().splitlines(keepends=True)
    file.write_bytes(lines[0] + b'{"x":"' + b"x" * (65 * 1024 * 1024) + b'"}\n' + lines[1])
    done = untrace("import", file, "--skip-bad", "--data-dir", tmp_path / "data")
    assert done.returncode == EX_DATAERR
    assert f"{file}:2: the line is longer than 64 MiB\n" in done.stderr
    assert stored_ids(tmp_path / "data") == ids(messages[:2])


def test_a_new_store_gets_the_destinations_of_the_configuration(tmp_path, agent, destination, to, messages):
    peer = destination()
    one = agent([to(peer)], start=False)
    one.config_file.write_text(json.dumps(one.config))
    file = tmp_path / "spans"
    file.write_bytes(delimited(messages[:3]))
    assert untrace("import", file, "--config", one.config_file).returncode == 0
    one.start()
    peer.wait_for(set().union(*(otlp.ids_of(message) for message in messages[:3])))


def test_a_terminal_shows_how_far_it_is(tmp_path, messages):
    """The file is a pipe that is fed until the bar stands on the screen, however fast the machine is."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    line = json_lines(messages[:1]).encode()
    terminal = Terminal("import", pipe, "--data-dir", tmp_path / "data", columns=60)
    try:
        with open(pipe, "wb", buffering=0) as feed:
            def shown():
                feed.write(line)
                return re.search(r"^[0-9.]+ (B|KiB|MiB)$", terminal.text(), re.MULTILINE)
            until(shown, lambda: f"a progress bar; the screen is:\n{terminal.text()}")
        assert terminal.wait_end() == 0
        assert terminal.lines()[0].startswith(f"{SPANS} spans imported, "), "the bar is gone"
    finally:
        terminal.close()


def test_what_the_agent_is_handed_is_not_trusted(agent):
    """Requests behind their lengths that are not whole, too many, or do not decode: refused, and nothing of them is stored."""
    one = agent([])
    body = otlp.request(1).SerializeToString()

    def frame(data, encoding=0, length=None):
        return struct.pack(">BI", encoding, len(data) if length is None else length) + data

    def post(data):
        connection = http.client.HTTPConnection("agent", timeout=DEADLINE_S)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(one.data_dir / "untrace.sock"))
        connection.request("POST", "/spans", data)
        answer = connection.getresponse()
        status, told = answer.status, json.loads(answer.read())
        connection.close()
        return status, told

    assert post(b"") == (200, {"stored": 0, "duplicates": 0})
    for wrong in (b"\0", b"\0\0\0\0", frame(body)[:-1], frame(body, length=2**32 - 1), frame(b"", length=1),
                  frame(body) + b"\1\0\0", frame(body) + frame(b"nonsense"), frame(body) + frame(body, encoding=1),
                  frame(b"") * 65):
        status, told = post(wrong)
        assert status == 400 and told["error"], wrong
    assert stored_ids(one.data_dir) == {}
    assert post(frame(body) + frame(b"") + frame(body)) == (200, {"stored": 1, "duplicates": 1})
