"""The command line: what it prints for people and for programs, and its exit codes."""

import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios

import pytest

import otlp
from agent import PROGRAM, untrace
from waiting import DEADLINE_S, until

EX_USAGE, EX_NOINPUT, EX_UNAVAILABLE, EX_IOERR = 64, 66, 69, 74
COMMANDS = ["run", "check", "top", "send", "traces", "trace", "spans", "stats", "failures", "export", "import", "completion", "version"]
ESCAPE = "\x1b"


def checkout_trace():
    """A trace of four spans, one of them with an error, and one whose parent is not there."""
    message = otlp.request(1, service="shop")
    spans = message.resource_spans[0].scope_spans[0].spans
    root = spans[0]
    root.name, start = "GET /checkout", 1_700_000_000_000_000_000
    root.start_time_unix_nano, root.end_time_unix_nano = start, start + 100_000_000
    for name, parent, begin_ms, end_ms in (("SELECT cart", root.span_id, 10, 30), ("POST /pay", root.span_id, 40, 90),
                                           ("orphan", b"parent__", 50, 60)):
        spans.add(trace_id=root.trace_id, span_id=otlp.new_span_id(), parent_span_id=parent, name=name, kind=3,
                  start_time_unix_nano=start + begin_ms * 1_000_000, end_time_unix_nano=start + end_ms * 1_000_000)
    spans[2].status.code, spans[2].status.message = 2, "card \x1b[31mrefused"
    otlp.attribute(spans[2], "card", "visa \x1b]0;title\x07")
    return message


@pytest.fixture(scope="module")
def stored(module_agent):
    """An agent that has stored one trace; its data directory is read while it runs."""
    agent = module_agent()
    agent.message = checkout_trace()
    agent.trace_id = otlp.first_span(agent.message).trace_id.hex()
    agent.accept(agent.message)
    return agent


def on_terminal(*arguments, columns=120, **environment):
    """What a command writes to a terminal of so many columns."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen([PROGRAM, *map(str, arguments)], stdin=child, stdout=child, stderr=child,
                               env={**os.environ, "TERM": "xterm-256color", **environment})
    os.close(child)
    output = b""
    try:
        while data := os.read(parent, 65536):
            output += data
    except OSError:  # the other end is closed
        pass
    os.close(parent)
    assert process.wait(DEADLINE_S) == 0
    return output.decode()


def test_traces_lists_the_newest_first(module_agent):
    agent = module_agent()
    messages = [otlp.request(2, service=f"service{number}") for number in range(5)]
    for number, message in enumerate(messages):
        for span in otlp.spans_of(message):
            span.start_time_unix_nano += number * 10**9
            span.end_time_unix_nano += number * 10**9
        agent.accept(message)
    done = untrace("traces", "--data-dir", agent.data_dir, "--json", "--limit", 3)
    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["service"] for row in rows] == ["service4", "service3", "service2"]
    assert [row["trace_id"] for row in rows] == [otlp.first_span(message).trace_id.hex() for message in messages[:1:-1]]
    assert {row["spans"] for row in rows} == {2}
    text = untrace("traces", "--data-dir", agent.data_dir).stdout
    assert text.index("service4") < text.index("service0")
    assert ESCAPE not in text


def test_trace_draws_the_tree(stored):
    done = untrace("trace", stored.trace_id, "--data-dir", stored.data_dir)
    assert done.returncode == 0
    text = done.stdout.split("\n\n", 1)[1]  # behind the head
    lines = {name: next(line for line in text.splitlines() if name in line)
             for name in ("GET /checkout", "SELECT cart", "POST /pay", "orphan")}
    # Children stand under their parent, in the order of their starts.
    assert text.index("GET /checkout") < text.index("SELECT cart") < text.index("POST /pay")
    assert lines["SELECT cart"].index("SELECT") > lines["GET /checkout"].index("GET")
    # A bar begins where the span begins within the trace, and is as long as the span.
    bars = {name: line.count("█") for name, line in lines.items()}
    assert bars["GET /checkout"] > bars["POST /pay"] > bars["SELECT cart"] > 0
    assert lines["POST /pay"].index("█") > lines["SELECT cart"].index("█") > lines["GET /checkout"].index("█")
    assert "100" in lines["GET /checkout"] and "shop" in lines["GET /checkout"]
    assert "error: card ?[31mrefused" in text  # what came from outside cannot steer a terminal
    assert "is not here" in text
    assert ESCAPE not in text


def test_trace_is_coloured_on_a_terminal_only(stored):
    arguments = ("trace", stored.trace_id, "--data-dir", stored.data_dir, "--attributes")
    text = on_terminal(*arguments)
    assert ESCAPE + "[31m" in text  # red, for the error
    assert re.sub(r"\x1b\[\d+m", "", text).count(ESCAPE) == 0  # nothing but our colours
    assert ESCAPE not in on_terminal(*arguments, NO_COLOR="1")
    assert ESCAPE not in on_terminal(*arguments, TERM="dumb")
    for columns in 20, 60, 80, 300:
        plain = re.sub(r"\x1b\[\d+m", "", on_terminal(*arguments, columns=columns))
        assert max(len(line) for line in plain.splitlines() if "█" in line) <= max(columns, 60)


def test_trace_as_json_has_everything(stored):
    done = untrace("trace", stored.trace_id, "--data-dir", stored.data_dir, "--json")
    trace = json.loads(done.stdout)
    assert (trace["trace_id"], len(trace["spans"])) == (stored.trace_id, 4)
    pay = next(span for span in trace["spans"] if span["name"] == "POST /pay")
    assert (pay["status"], pay["status_message"], pay["duration_ns"]) == ("error", "card \x1b[31mrefused", 50_000_000)
    assert pay["attributes"]["card"] == "visa \x1b]0;title\x07"


def test_a_trace_is_found_by_the_beginning_of_its_id(stored):
    for length in 8, 31:
        done = untrace("trace", stored.trace_id[:length], "--data-dir", stored.data_dir, "--json")
        assert json.loads(done.stdout)["trace_id"] == stored.trace_id
    assert json.loads(untrace("trace", stored.trace_id.upper(), "--data-dir", stored.data_dir, "--json").stdout)


@pytest.mark.parametrize("trace_id, code", [("f" * 32, EX_NOINPUT), ("xyz", EX_USAGE), ("a" * 33, EX_USAGE), ("", EX_USAGE)])
def test_a_trace_that_is_not_there_is_an_error(stored, trace_id, code):
    done = untrace("trace", trace_id, "--data-dir", stored.data_dir)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("untrace: ")


def test_an_empty_store_and_a_missing_one(module_agent, tmp_path):
    agent = module_agent()
    done = untrace("traces", "--data-dir", agent.data_dir)
    assert (done.returncode, done.stdout) == (0, "") and "no traces yet" in done.stderr
    assert untrace("traces", "--data-dir", agent.data_dir, "--json").stdout == ""
    missing = tmp_path / "none"
    done = untrace("traces", "--data-dir", missing)
    assert done.returncode == EX_NOINPUT
    assert str(missing) in done.stderr
    assert not missing.exists()  # reading makes nothing


def test_the_data_directory_comes_from_the_configuration_too(stored):
    done = untrace("traces", "--config", stored.config_file, "--json")
    assert json.loads(done.stdout.splitlines()[0])["trace_id"] == stored.trace_id
    done = untrace("traces", "--json", env={**os.environ, "UNTRACE_CONFIG": str(stored.config_file)})
    assert json.loads(done.stdout.splitlines()[0])["trace_id"] == stored.trace_id


@pytest.mark.parametrize("line", ["trace TRACE -d DIR", "traces -d DIR", "stats -d DIR --json", "store info -d DIR", "store verify -d DIR",
                                  "store cleanup --older-than 0 --dry-run -d DIR", "top --once -i 100ms -d DIR",
                                  "check -c CONFIG", "completion bash", "version", "--version", "help", "help trace", "send --help"])
def test_output_that_cannot_be_written_is_a_failure_with_a_word(stored, line):
    words = {"TRACE": stored.trace_id, "DIR": stored.data_dir, "CONFIG": stored.config_file}
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([PROGRAM, *(words.get(word, word) for word in line.split())], stdout=full,
                              stderr=subprocess.PIPE, text=True, check=False, timeout=DEADLINE_S)
    assert done.returncode == EX_IOERR
    assert done.stderr.count("untrace: ") == 1


def test_help_has_help():
    for option in "--help", "-h":
        done = untrace("help", option)
        assert (done.returncode, done.stdout) == (0, untrace("help").stdout)


@pytest.mark.parametrize("extra", [[], ["--gzip"], ["--batch", "7"], ["--rate", "2000"]])
def test_send_delivers_what_it_says(agent, destination, to, extra):
    peer = destination()
    under_test = agent([to(peer)])
    done = untrace("send", "--endpoint", under_test.url, "--spans", 500, "--list", *extra)
    assert done.returncode == 0, done
    listed = [line.split() for line in done.stdout.splitlines() if re.match(r"[0-9a-f]{32} ", line)]
    assert sum(int(spans) for _, spans, *_ in listed) == 500
    until(lambda: len(set(peer.taken())) == 500, lambda: f"500 spans at the destination, of {len(set(peer.taken()))}")
    assert {trace for trace, _ in peer.taken()} == {row[0] for row in listed}
    rows = untrace("traces", "--data-dir", under_test.data_dir, "--json", "--limit", 1000).stdout.splitlines()
    assert {(row["trace_id"], row["spans"]) for row in map(json.loads, rows)} == {(row[0], int(row[1])) for row in listed}


def test_send_to_what_is_wrong_says_so(tmp_path, destination):
    assert untrace("send", "--endpoint", "nonsense", "--spans", 1).returncode in (EX_USAGE, 78)
    assert untrace("send", "--spans", "many").returncode == EX_USAGE
    from destination import Answer
    refusing = destination(lambda request: Answer(400, b'{"code":3,"message":"bad data"}', content_type="application/json"))
    done = untrace("send", "--endpoint", refusing.url, "--spans", 10)
    assert done.returncode == 76 and "400" in done.stderr
    for told in untrace("help").stdout, untrace("send", "--help").stdout:
        assert "76 refused" in told


def test_send_says_once_that_it_tries_again():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # nobody listens on it
        line = [PROGRAM, "send", "--endpoint", f"http://127.0.0.1:{free.getsockname()[1]}", "--spans", "1"]
        process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
        told = process.stderr.readline()
        process.terminate()
        rest = process.communicate(timeout=DEADLINE_S)[1]
    assert re.fullmatch(r"untrace send: .*127\.0\.0\.1:\d+.*; trying again for up to 5 seconds .*`untrace run` starts an agent.*\n", told)
    assert rest == ""


def test_version_names_the_libraries():
    done = untrace("version")
    assert done.returncode == 0
    for name in "untrace", "LMDB", "mbed", "LZ4", "libdeflate", "llhttp", "libyaml", "yyjson", "store format":
        assert re.search(rf"{name}.* \d", done.stdout, re.IGNORECASE), done.stdout
    assert untrace("--version").stdout == done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_refuses_what_it_does_not_know(command):
    done = untrace(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: untrace {command}")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert command in untrace("help").stdout
    for wrong in (["--no-such-option"],) if command == "import" else (["--no-such-option"], ["one", "two", "many"]):
        done = untrace(command, *wrong)
        assert (done.returncode, done.stdout) == (EX_USAGE, ""), done
        assert wrong[-1] in done.stderr or command in done.stderr


@pytest.mark.parametrize("arguments, sentence", [
    (["top", "-zq"], "-z is not an option"),
    (["top", "--interval=1s", "-zq"], "-z is not an option"),
    (["import", "file", "-qz"], "-z is not an option"),
    (["import", "file", "-qd"], "-d needs a value"),
    (["top", "--no-such"], "--no-such is not an option"),
    (["top", "--json=yes"], "--json takes no value"),
    (["import", "file", "--quiet=yes"], "--quiet takes no value"),
    (["store", "info", "--data-dir"], "--data-dir needs a value"),
    (["store", "info", "-xd", "dir"], "-x is not an option"),
    (["spans", "-yc"], "-y is not an option"),
    (["spans", "-d"], "-d needs a value"),
    (["completion", "-ab"], "-a is not an option"),
])
def test_a_wrong_option_is_named(arguments, sentence):
    done = untrace(*arguments)
    assert done.returncode == EX_USAGE and f": {sentence};" in done.stderr, done.stderr


def test_no_command_or_an_unknown_one():
    assert untrace().returncode == EX_USAGE
    assert "run" in untrace().stderr
    done = untrace("dance")
    assert done.returncode == EX_USAGE and "dance" in done.stderr


def test_run_ends_cleanly_with_sigterm_and_at_once_with_a_second_sigint(agent, destination, to):
    under_test = agent([to("http://127.0.0.1:9")], environment={"TSAN_OPTIONS": "report_thread_leaks=0"})
    under_test.accept(otlp.request(3))
    under_test.stop()  # SIGTERM, exit code 0
    under_test.start()
    under_test.process.send_signal(signal.SIGINT)
    assert under_test.wait() == 0
    # Something is under way that would hold a clean stop up.
    peer = destination(lambda request: until(lambda: not under_test.running(), "the agent ends") and None)
    under_test.config["destinations"] = [to(peer)]
    under_test.config["stop_timeout"] = "60s"
    under_test.start()
    under_test.accept(otlp.request(3))
    peer.wait_requests(1)
    under_test.process.send_signal(signal.SIGINT)
    until(lambda: "stop" in under_test.log().lower(), "the agent begins to stop")
    if under_test.running():
        under_test.process.send_signal(signal.SIGINT)
    until(lambda: not under_test.running(), "the agent ends at once", deadline_s=20)
    under_test.wait()


def test_a_port_that_is_taken_is_named(agent):
    first = agent()
    second = agent(start=False, receiver={"listen": f"127.0.0.1:{first.port}"})
    second.start(wait=False)
    assert second.wait() == EX_UNAVAILABLE
    assert f"127.0.0.1:{first.port}" in second.log()


@pytest.mark.parametrize("line, words", [
    ("traces --sevice x", ["--sevice is not an option", "did you mean --service?"]),
    ("traces --sevice=secret", ["--sevice is not an option", "did you mean --service?"]),
    ("run --confg x", ["did you mean --config?"]),
    ("store ifno", ["did you mean `untrace store info`?"]),
    ("store cleanup --older 1d --dryrun", ["did you mean --dry-run?"]),
    ("spans --colour", ["--colour is not an option"]),
    ("spans --json --jsonl", ["--json and --jsonl contradict each other"]),
    ("spans --oldest --newest", ["--oldest and --newest contradict each other"]),
    ("trace abc --otlp --json", ["--otlp and --json contradict each other"]),
    ("--json traces", ["options other than --config and --data-dir stand behind the command"]),
    ("help trcaes", ["did you mean `untrace traces`?"]),
])
def test_a_slip_on_the_command_line_is_answered_with_what_is_meant(line, words):
    done = untrace(*line.split())
    assert done.returncode == EX_USAGE, done
    for word in words:
        assert word in done.stderr, done.stderr
    assert "secret" not in done.stderr


def test_where_the_data_is_may_stand_in_front_of_the_command(stored):
    for line in ("-d DIR traces --json", "--data-dir=DIR traces --json", "--config FILE traces --json", "-c FILE -d DIR traces --json"):
        words = [word.replace("DIR", str(stored.data_dir)).replace("FILE", str(stored.config_file)) for word in line.split()]
        done = untrace(*words)
        assert done.returncode == 0 and stored.trace_id in done.stdout, done
    for line in (["-d", stored.data_dir, "store", "info"], ["store", "-d", stored.data_dir, "info"]):
        assert untrace(*line).returncode == 0


def test_words_for_kind_and_status_are_taken_in_any_case(stored):
    done = untrace("spans", "-d", stored.data_dir, "--status", "ERROR", "--kind", "Client,SERVER", "--jsonl")
    assert done.returncode == 0 and done.stdout.count("\n") == 1, done


def test_init_writes_a_configuration_that_means_the_defaults(tmp_path):
    file = tmp_path / "untrace.yaml"
    done = untrace("init", file)
    assert done.returncode == 0 and str(file) in done.stdout, done
    text = file.read_text()
    assert all(line.startswith("#") for line in text.splitlines() if line)
    assert untrace("init", "-").stdout == text
    reference = untrace("help", "config").stdout
    assert "".join(line.removeprefix("#") for line in text.split("\n\n", 1)[1].splitlines(keepends=True)) == reference
    done = untrace("check", "-c", file, "-d", tmp_path / "data", "-l", "127.0.0.1:0")
    assert done.returncode == 0, done
    # What is there stays as it is.
    file.write_text("data_dir: /x\n")
    done = untrace("init", env={**os.environ, "UNTRACE_CONFIG": str(file)})
    assert done.returncode == 73 and "it is left as it is" in done.stderr
    assert file.read_text() == "data_dir: /x\n"
    assert untrace("init", tmp_path / "none" / "x").returncode == 73


def test_send_goes_where_the_configuration_or_the_environment_says(agent, tmp_path):
    first, second = agent(), agent()

    def send(*arguments, **environment):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "UNTRACE_CONFIG"))}
        done = untrace("send", "-n", 20, "--list", *arguments, env={**env, "UNTRACE_CONFIG": str(tmp_path / "empty.yaml"), **environment})
        return done, [line.split()[0] for line in done.stdout.splitlines()]

    (tmp_path / "empty.yaml").write_text("")
    listening = tmp_path / "listening.yaml"
    listening.write_text(f"receivers: {{ otlp_http: {{ listen: '0.0.0.0:{first.port}' }} }}\n"
                         "destinations: [ { name: a, endpoint: http://a, headers: { a: '${env:E2E_NOT_SET}' } } ]\n")
    to_first = [((), {"OTEL_EXPORTER_OTLP_ENDPOINT": first.url}), (("-c", listening), {"OTEL_EXPORTER_OTLP_ENDPOINT": second.url}),
                (("-e", f"localhost:{first.port}"), {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}),
                ((), {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": first.url + "/v1/traces", "OTEL_EXPORTER_OTLP_ENDPOINT": second.url}),
                ((), {"UNTRACE_CONFIG": str(listening)}), ((), {"UNTRACE_LISTEN": f"127.0.0.1:{first.port}"})]
    expected = set()
    for arguments, environment in to_first:
        done, ids = send(*arguments, **environment)
        assert done.returncode == 0, done
        assert ids[-1] == "4bf92f3577b34da6a3ce929d0e0e4736"
        expected |= set(ids)
    rows = untrace("traces", "-d", first.data_dir, "--json", "-n", 1000).stdout.splitlines()
    assert {json.loads(row)["trace_id"] for row in rows} == expected
    assert untrace("traces", "-d", second.data_dir, "--json").stdout == ""
    # The traces endpoint is taken as it is.
    done, _ = send(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=first.url)
    assert done.returncode == 76, done
    assert send("-c", listening, "-e", first.url)[0].returncode == EX_USAGE
    (tmp_path / "unix.yaml").write_text("receivers: { otlp_http: { listen: 'unix:a.sock' } }\n")
    assert "--endpoint" in send("-c", tmp_path / "unix.yaml")[0].stderr


def test_send_takes_the_headers_of_the_environment(destination):
    peer = destination()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": peer.url, "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20a%3Db, x-a = 1"}
    assert untrace("send", "-n", 1, env={**os.environ, **environment}).returncode == 0
    assert untrace("send", "-n", 1, "-H", "Authorization: mine", env={**os.environ, **environment}).returncode == 0
    assert untrace("send", "-n", 1, "-e", peer.url, env={**os.environ, **environment}).returncode == 0
    seen = [{name.lower(): value for name, value in dict(request.headers).items()} for request in peer.requests]
    assert (seen[0]["authorization"], seen[0]["x-a"]) == ("Bearer a=b", "1")
    assert (seen[1]["authorization"], seen[1]["x-a"]) == ("mine", "1")
    assert "authorization" not in seen[2] and "x-a" not in seen[2]
    wrong = untrace("send", "-n", 1, env={**os.environ, **environment, "OTEL_EXPORTER_OTLP_HEADERS": "a=secret,b"})
    assert wrong.returncode == EX_USAGE and "OTEL_EXPORTER_OTLP_HEADERS" in wrong.stderr and "secret" not in wrong.stderr
