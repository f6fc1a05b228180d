"""`untrace export`: what is stored comes out as it went in, as OTLP and as CSV, whole or not at all."""

import csv
import io
import json
import os
import signal
import stat
import struct
import subprocess

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import otlp
from agent import PROGRAM, untrace
from terminal import Terminal
from waiting import DEADLINE_S, until

EX_USAGE, EX_NOINPUT, EX_IOERR = 64, 66, 74
OTHER = 65534
FORMATS = ["otlp-json", "otlp-protobuf"]


def read_delimited(data):
    while data:
        (length,) = struct.unpack(">I", data[:4])
        yield ExportTraceServiceRequest.FromString(data[4:4 + length])
        assert len(data) >= 4 + length
        data = data[4 + length:]


def spans_in(data, form):
    """Everything that is known of each span, by its ids."""
    messages = (read_delimited(data) if form == "otlp-protobuf" else
                [otlp.from_json(json.loads(line)) for line in data.decode().split("\n") if line])
    found = [pair for message in messages for pair in otlp.flatten(otlp.as_json(message))]
    assert len(dict(found)) == len(found), "a span came out twice"
    return {key: plain(value) for key, value in found}


def with_values(value):
    """An empty value that is there and one that is not are the same."""
    if isinstance(value, list):
        return [with_values(item) for item in value]
    if not isinstance(value, dict):
        return value
    fixed = {key: with_values(item) for key, item in value.items()}
    return {key: item for key, item in fixed.items() if key != "value" or item != {}}


def plain(value):
    """Without what may be left out or not: empty messages. Attribute values stay as they are."""
    if isinstance(value, dict):
        if "value" in value or "key" in value:
            return with_values(value)
        cleaned = {key: plain(item) for key, item in value.items()}
        return {key: item for key, item in cleaned.items() if item not in ("", 0, "0", [], {}, None)}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def export(data_dir, form, *arguments):
    done = subprocess.run([PROGRAM, "export", "--data-dir", data_dir, "--format", form, *map(str, arguments)],
                          capture_output=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def full(module_agent):
    """An agent that holds each thing that OTLP can carry, and 1 200 plain spans of two services."""
    agent = module_agent()
    agent.everything = otlp.everything()
    for number, value in enumerate((float("nan"), float("inf"), float("-inf"), -0.0, 5e-324)):
        otlp.attribute(otlp.first_span(agent.everything), f"odd double {number}", value)
    agent.accept(agent.everything)
    agent.plain = [otlp.request(30, service=f"service{number % 2}") for number in range(40)]
    for message in agent.plain:
        otlp.spans_of(message)[7].status.code = 2
        agent.accept(message)
    return agent


def expected_of(messages):
    return {key: plain(value) for message in messages for key, value in otlp.flatten(otlp.as_json(message))}


@pytest.mark.parametrize("form", FORMATS)
def test_export_import_export_gives_the_same_spans(tmp_path, full, form):
    expected = expected_of([full.everything, *full.plain])
    first = export(full.data_dir, form)
    assert spans_in(first, form) == expected
    file = tmp_path / "file"
    file.write_bytes(first)
    assert untrace("import", file, "--data-dir", tmp_path / "data").returncode == 0
    for again in FORMATS:
        assert spans_in(export(tmp_path / "data", again), again) == expected


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("arguments, wanted", [
    (["--service", "service1"], lambda key, span: span.get("resource", {}).get("attributes", [{}])[0].get("value") == {"stringValue": "service1"}),
    (["--service", "service?", "--status", "error"],
     lambda key, span: span["span"].get("status", {}).get("code") == 2 and span.get("scope", {}).get("name") == "e2e"),
    (["--attribute", "number>=28"], lambda key, span: any(
        pair.get("key") == "number" and int(pair["value"]["intValue"]) >= 28 for pair in span["span"].get("attributes", []))),
    (["--service", "nobody"], lambda key, span: False),
])
def test_conditions_choose_spans(full, form, arguments, wanted):
    expected = {key: span for key, span in expected_of([full.everything, *full.plain]).items() if wanted(key, span)}
    assert spans_in(export(full.data_dir, form, *arguments), form) == expected


def test_one_trace_by_the_beginning_of_its_id(full):
    message = full.plain[3]
    trace_id = otlp.first_span(message).trace_id.hex()
    assert spans_in(export(full.data_dir, "otlp-json", "--trace", trace_id[:12]), "otlp-json") == expected_of([message])
    done = untrace("export", "--data-dir", full.data_dir, "--trace", "0123456789abcdef")
    assert (done.returncode, done.stdout) == (EX_NOINPUT, "")


def test_csv_has_a_row_for_each_span(full):
    data = export(full.data_dir, "csv")
    rows = list(csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True))
    assert data.count(b"\r\n") >= len(rows) + 1
    expected = {key: span for message in [full.everything, *full.plain]
                for key, span in otlp.flatten(otlp.as_json(message))}
    assert {(row["trace_id"], row["span_id"]) for row in rows} == set(expected)
    assert len(rows) == len(expected)
    for row in rows:
        assert None not in row and None not in row.values(), row
        span = expected[row["trace_id"], row["span_id"]]["span"]
        assert row["parent_span_id"] == span.get("parentSpanId", "")
        assert row["name"] == span.get("name", "")
        assert row["status"] == ["unset", "ok", "error"][span.get("status", {}).get("code", 0)]
        assert row["status_message"] == span.get("status", {}).get("message", "")
        assert int(row["start_unix_ns"]) == int(span.get("startTimeUnixNano", 0))
        assert int(row["end_unix_ns"]) == int(span.get("endTimeUnixNano", 0))
        assert set(json.loads(row["attributes"])) == {pair.get("key", "") for pair in span.get("attributes", [])}
        assert len(json.loads(row["events"])) == len(span.get("events", []))
        assert len(json.loads(row["links"])) == len(span.get("links", []))
    assert {row["service"] for row in rows} == {"", "service0", "service1"}


def test_csv_quotes_what_needs_it(tmp_path):
    message = otlp.request(1)
    span = otlp.first_span(message)
    span.name, span.status.message = 'a "name", with\r\nlines', " spaces "
    file = tmp_path / "file"
    file.write_bytes(message.SerializeToString())
    assert untrace("import", file, "--data-dir", tmp_path / "data").returncode == 0
    rows = list(csv.DictReader(io.StringIO(export(tmp_path / "data", "csv").decode(), newline=""), strict=True))
    assert [(row["name"], row["status_message"]) for row in rows] == [(span.name, span.status.message)]


def test_csv_has_no_formulas_unless_they_are_wanted(tmp_path):
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "1=1", " =1", "'=1"]
    message = otlp.request(len(texts), service="=cmd|' /C calc'!A0")
    for span, text in zip(message.resource_spans[0].scope_spans[0].spans, texts):
        span.name = text
    file = tmp_path / "file"
    file.write_bytes(message.SerializeToString())
    assert untrace("import", file, "--data-dir", tmp_path / "data").returncode == 0
    for options, safe in [((), True), (("--formulas",), False)]:
        data = export(tmp_path / "data", "csv", *options).decode()
        rows = list(csv.DictReader(io.StringIO(data, newline=""), strict=True))
        for row, text in zip(rows, texts):
            assert row["name"] == ("'" + text if safe and text[0] in "=+-@\t\r" else text)
            assert row["service"] == ("'" if safe else "") + "=cmd|' /C calc'!A0"


def test_a_file_is_replaced_when_it_is_whole(tmp_path, full):
    file = tmp_path / "spans.jsonl"
    file.write_text("old")
    link = tmp_path / "link"
    link.symlink_to(file)
    done = untrace("export", "--data-dir", full.data_dir, "--output", link)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"{len(expected_of([full.everything, *full.plain]))} spans exported" in done.stderr
    assert link.is_symlink() and sorted(os.listdir(tmp_path)) == ["link", "spans.jsonl"]
    assert file.read_bytes() == export(full.data_dir, "otlp-json")

    done = untrace("export", "--data-dir", full.data_dir, "--output", tmp_path / "nowhere" / "file")
    assert done.returncode == EX_NOINPUT and "nowhere" in done.stderr
    done = untrace("export", "--data-dir", full.data_dir, "--output", "/dev/full")
    assert done.returncode == EX_IOERR and "/dev/full" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_export_leaves_the_old_file(tmp_path, full, number):
    """The signal is there before the export begins: it is seen behind the first slice, however fast the machine is."""
    file = tmp_path / "spans.jsonl"
    file.write_text("old")
    process = subprocess.Popen([PROGRAM, "export", "--data-dir", full.data_dir, "--output", file], stderr=subprocess.PIPE,
                               text=True, preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [number]))
    process.send_signal(number)
    _, error = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 128 + number and "interrupted" in error
    assert file.read_text() == "old" and os.listdir(tmp_path) == ["spans.jsonl"]


def test_two_exports_to_one_file_do_not_mix(tmp_path, full):
    file = tmp_path / "spans.jsonl"
    with open(f"{file}.tmp", "wb") as other:
        import fcntl
        fcntl.flock(other, fcntl.LOCK_EX)
        done = untrace("export", "--data-dir", full.data_dir, "--output", file)
    assert done.returncode == 69 and "another process is writing" in done.stderr and not file.exists()
    # What a killed one left behind is taken over.
    assert untrace("export", "--data-dir", full.data_dir, "--output", file, "--quiet").stderr == ""
    assert os.listdir(tmp_path) == ["spans.jsonl"]


def test_text_of_spans_does_not_steer_the_terminal(tmp_path):
    file = tmp_path / "spans.json"
    message = otlp.request(1, service="evil \x1b]0;title\x07")
    span = otlp.first_span(message)
    span.name = "two\nlines \x9b31m \x7f \u00e4 \u202eoof\u2066\u200b\U000e0041"
    file.write_text(json.dumps(otlp.as_json(message)))
    assert untrace("import", file, "--data-dir", tmp_path / "data").returncode == 0
    terminal = Terminal("export", "--data-dir", tmp_path / "data", "--format", "csv", "--quiet", columns=1000)
    assert terminal.wait_end() == 0
    shown = terminal.bytes.decode()
    terminal.close()
    assert not set(shown) & (set(map(chr, range(32))) - set("\r\n") | set(map(chr, range(127, 160)))), shown
    assert ",evil ?]0;title?," in shown and '"two?lines ?31m ? \u00e4 ?oof???"' in shown
    assert "\x9b31m" in export(tmp_path / "data", "csv").decode(), "a file has it as it is"


def test_a_terminal_is_spared_bytes_that_are_no_text(full, tmp_path):
    for output in ([], ["-o", "-"]):
        terminal = Terminal("export", "--data-dir", full.data_dir, "-f", "otlp-protobuf", *output, columns=200)
        assert terminal.wait_end() == 64
        terminal.wait_for("otlp-protobuf is not for a terminal; write it to a file (--output FILE), or into a pipe")
        terminal.close()
    terminal = Terminal("export", "--data-dir", full.data_dir, "-f", "otlp-protobuf", "-o", tmp_path / "spans.binpb", columns=200)
    assert terminal.wait_end() == 0 and (tmp_path / "spans.binpb").stat().st_size > 0
    terminal.close()


def mode_of(file):
    return stat.S_IMODE(file.stat().st_mode)


def test_a_file_is_for_its_user_only_unless_what_it_replaces_was_not(tmp_path, full):
    file = tmp_path / "spans.jsonl"
    assert untrace("export", "--data-dir", full.data_dir, "--output", file).returncode == 0
    assert mode_of(file) == 0o600
    for mode in (0o640, 0o600):
        file.chmod(mode)
        temporary = tmp_path / "spans.jsonl.tmp"
        temporary.write_text("left behind")
        temporary.chmod(0o666)
        assert untrace("export", "--data-dir", full.data_dir, "--output", file).returncode == 0
        assert mode_of(file) == mode
    if os.geteuid() == 0:
        os.chown(file, OTHER, OTHER)
        assert untrace("export", "--data-dir", full.data_dir, "--output", file).returncode == 0
        assert (file.stat().st_uid, file.stat().st_gid, mode_of(file)) == (OTHER, OTHER, 0o600)


@pytest.mark.parametrize("kind", ["link", "name", "pipe", "of another user"])
def test_what_somebody_put_under_the_name_of_the_temporary_file_is_left_alone(tmp_path, full, kind):
    file, temporary, victim = (tmp_path / name for name in ("spans.jsonl", "spans.jsonl.tmp", "victim"))
    victim.write_text("precious")
    if kind == "link":
        temporary.symlink_to(victim)
    elif kind == "name":
        os.link(victim, temporary)
    elif kind == "pipe":
        os.mkfifo(temporary)
    elif os.geteuid() == 0:
        temporary.write_text("precious")
        os.chown(temporary, OTHER, OTHER)
    else:
        pytest.skip("only root can be two users")
    done = untrace("export", "--data-dir", full.data_dir, "--output", file)
    assert done.returncode != 0 and str(temporary) in done.stderr, done.stderr
    assert victim.read_text() == "precious" and not file.exists() and temporary.lstat()
    assert kind != "of another user" or temporary.read_text() == "precious"


def test_a_reader_that_is_slow_holds_no_old_pages(tmp_path, agent):
    """A store of 4 MiB is turned over while an export waits in a pipe that nobody reads."""
    one = agent(storage={"max_size": "4MiB"})
    for _ in range(12):
        one.accept(otlp.request(200, payload=600))
    process = subprocess.Popen([PROGRAM, "export", "--data-dir", one.data_dir], stdout=subprocess.PIPE)
    until(lambda: process.stdout.peek(1), "the first bytes of the export")
    for _ in range(60):
        one.accept(otlp.request(200, payload=600))
    data = process.stdout.read()
    assert process.wait(DEADLINE_S) == 0
    assert spans_in(data, "otlp-json")
