"""The habits of listings: time zones, colour, pager, following."""

import json
import os
import pty
import re
import signal
import subprocess

import pytest

import otlp
from agent import PROGRAM, untrace
from terminal import Terminal
from waiting import DEADLINE_S, until

EX_USAGE = 64
ESCAPE = "\x1b"
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"


@pytest.fixture(scope="module")
def stored(module_agent):
    """An agent with 60 spans of as many traces, which begin at 2023-11-14T22:13:20Z, one a second."""
    agent = module_agent()
    for number in range(60):
        message = otlp.request(1, service=f"service{number}")
        span = otlp.first_span(message)
        span.start_time_unix_nano += number * 10**9
        span.end_time_unix_nano = span.start_time_unix_nano + (number + 1) * 1_000_000
        span.status.code = 2 if number % 10 == 0 else 0
        agent.accept(message)
    return agent


def ask(agent, *arguments, **environment):
    done = untrace(*arguments, "--data-dir", agent.data_dir, env={**os.environ, **environment})
    assert done.returncode == 0, done
    return done.stdout


@pytest.mark.parametrize("command", ["spans", "traces", "stats --by error"])
def test_times_are_local_unless_utc_is_asked_for(stored, command):
    words = command.split()
    utc = ask(stored, *words)
    assert " (UTC)" in utc and "2023-11-14 22:1" in utc
    local = ask(stored, *words, TZ=BERLIN)
    assert " (local)" in local and "2023-11-14 23:1" in local
    assert ask(stored, *words, "--utc", TZ=BERLIN) == utc
    form = "--json"
    assert ask(stored, *words, form, TZ=BERLIN) == ask(stored, *words, form)


def test_hours_and_the_head_of_a_trace_are_local(stored):
    assert "2023-11-14 23:00" in ask(stored, "stats", "--by", "hour", TZ=BERLIN)
    assert "2023-11-15 03:30" in ask(stored, "stats", "--by", "hour", TZ="IST-5:30")  # an hour of UTC
    assert '"label":"2023-11-14T22"' in ask(stored, "stats", "--by", "hour", "--json", TZ=BERLIN)
    trace = json.loads(ask(stored, "traces", "-n", 1, "--json"))["trace_id"]
    assert "began 2023-11-14 23:14:19.000 +01:00, took" in ask(stored, "trace", trace, TZ=BERLIN)
    assert "began 2023-11-14T22:14:19.000Z, took" in ask(stored, "trace", trace)


def test_json_has_each_time_for_people_too(stored):
    begin = {"start": "2023-11-14T22:14:19.000Z", "start_ns": 1700000059000000000}
    rows = [json.loads(ask(stored, "spans", "-n", 1, "--json"))["spans"][0], json.loads(ask(stored, "traces", "-n", 1, "--json")),
            json.loads(ask(stored, "trace", json.loads(ask(stored, "traces", "-n", 1, "--json"))["trace_id"], "--json"))["spans"][0]]
    for row in rows:
        assert begin.items() <= row.items()
    assert (rows[0]["end"], rows[0]["end_ns"]) == ("2023-11-14T22:14:19.060Z", 1700000059060000000)
    whole = json.loads(ask(stored, "stats", "--json"))["total"]
    assert (whole["first_start"], whole["last_start"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:14:19.000Z")
    pattern = json.loads(ask(stored, "failures", "--since", 0, "--json"))["patterns"][0]
    assert re.fullmatch(r"2023-11-14T22:1\d:\d0\.000Z", pattern["last_start"])


def test_dates_without_a_zone_are_local(stored):
    def count(since, **environment):
        return json.loads(ask(stored, "stats", "--since", since, "--json", **environment))["total"]["count"]
    assert count("2023-11-14T22:14:00") == count("2023-11-14T23:14:00", TZ=BERLIN) == 20
    assert count("2023-11-14T23:14:00+01:00") == count("2023-11-14T22:14:00Z", TZ=BERLIN) == 20
    assert count("1700000040") == count("1700000040000") == count("1700000040000000000") == 20
    assert count("yesterday") == count("today") == count("1w") == 0
    assert untrace("stats", "--since", "20231114", "-d", stored.data_dir).returncode == EX_USAGE


@pytest.mark.parametrize("command", ["spans", "traces", "stats", "failures --hours 100000", "trace"])
def test_colour_can_be_asked_for_in_a_pipe(stored, command):
    words = command.split()
    if command == "trace":
        words.append(json.loads(ask(stored, "traces", "-n", 1, "--json"))["trace_id"])
    plain = ask(stored, *words)
    assert ESCAPE not in plain
    for coloured in (ask(stored, *words, "--color=always"), ask(stored, *words, CLICOLOR_FORCE="1"),
                     ask(stored, *words, FORCE_COLOR="1"), ask(stored, *words, "--color=always", NO_COLOR="1")):
        assert ESCAPE in coloured and re.sub(r"\x1b\[\d+m", "", coloured) == plain
    assert ask(stored, *words, "--color=never", CLICOLOR_FORCE="1") == plain
    assert ask(stored, *words, CLICOLOR_FORCE="1", NO_COLOR="1") == plain
    done = untrace(*words, "--color=pink", "-d", stored.data_dir)
    assert done.returncode == EX_USAGE and "auto, always or never" in done.stderr


def on_terminal(*arguments, **environment):
    """What a command writes to a terminal, and its exit code."""
    parent, child = pty.openpty()
    process = subprocess.Popen([PROGRAM, *map(str, arguments)], stdin=child, stdout=child, stderr=child,
                               env={**os.environ, "TERM": "xterm", **environment})
    os.close(child)
    output = b""
    try:
        while data := os.read(parent, 65536):
            output += data
    except OSError:  # the other end is closed
        pass
    os.close(parent)
    return output.decode().replace("\r\n", "\n"), process.wait(DEADLINE_S)


@pytest.mark.parametrize("command", ["spans -n 100", "traces", "stats", "failures --hours 100000", "trace"])
def test_a_terminal_has_a_pager(stored, command):
    words = command.split() + ["-d", stored.data_dir]
    if command == "trace":
        words.append(json.loads(ask(stored, "traces", "-n", 1, "--json"))["trace_id"])
    direct, code = on_terminal(*words)
    assert code == 0 and ESCAPE in direct
    # The pager gets what the terminal would have got.
    paged, code = on_terminal(*words, UNTRACE_PAGER="sed 's/^/> /'")
    assert code == 0 and paged == "".join(f"> {line}\n" for line in direct.splitlines())
    assert on_terminal(*words, PAGER="sed 's/^/> /'", UNTRACE_PAGER="cat") == (direct, 0)
    assert on_terminal(*words, "--no-pager", UNTRACE_PAGER="sed 's/^/> /'") == (direct, 0)
    assert ask(stored, *words[:-2] if command != "trace" else words[:1] + words[3:], UNTRACE_PAGER="false") != ""


def test_a_pager_that_is_left_early_or_is_not_there_ends_the_command(stored):
    assert on_terminal("spans", "-d", stored.data_dir, UNTRACE_PAGER="exec true")[1] == 0
    text, code = on_terminal("spans", "-d", stored.data_dir, UNTRACE_PAGER="no-such-pager")
    assert code == 0 and "no-such-pager" in text  # the shell says so
    text, code = on_terminal("trace", "f" * 32, "-d", stored.data_dir, UNTRACE_PAGER="sed 's/^/> /'")
    assert code == 66 and text.startswith("untrace: ")  # no pager for a fault


def test_less_is_the_pager_where_nothing_is_said(stored, tmp_path):
    less = tmp_path / "less"
    less.write_text('#!/bin/sh\necho "LESS=$LESS"\nexec sed "s/^/> /"\n')
    less.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    del environment["UNTRACE_PAGER"]
    environment.pop("PAGER", None)
    terminal = Terminal("traces", "-n", "1", "-d", stored.data_dir, columns=120, environment=environment)
    assert terminal.wait_end() == 0
    assert "LESS=FRX" in terminal.text() and "> trace" in terminal.text()


def test_ctrl_c_is_the_pagers(stored, tmp_path):
    """The command waits for its pager, whatever that makes of the key."""
    pager = tmp_path / "pager"
    pager.write_text('#!/bin/sh\ntrap "echo caught; cat >/dev/null; exit 0" INT\necho ready\nread line </dev/tty\n')
    pager.chmod(0o755)
    terminal = Terminal("traces", "-d", stored.data_dir, environment={**os.environ, "UNTRACE_PAGER": str(pager)})
    terminal.wait_for("ready")
    terminal.press(b"\x03")
    terminal.wait_for("caught")
    assert terminal.wait_end() == 0


def test_groups_by_several_keys_and_sorted(stored):
    groups = json.loads(ask(stored, "stats", "--by", "status,service", "--sort", "p99", "--json"))["groups"]
    assert [group["labels"]["service"] for group in groups] == [f"service{number}" for number in range(59, -1, -1)]
    assert {group["labels"]["status"] for group in groups if group["errors"]} == {"error"} and len(groups) == 60
    text = ask(stored, "stats", "--by", "status,kind", "--sort", "rate")
    assert re.search(r"^status +kind +count +errors", text)
    assert [line.split()[:3] for line in text.splitlines()[1:]] == [["error", "server", "6"], ["unset", "server", "54"], ["all", "60", "6"]]
    assert '"labels":{"kind":"server","name":"' in ask(stored, "stats", "--by", "kind,error", "--json")
    for wrong in ["name,", ",name", "name,name", "error,name", "a", "name,kind,status,service", ""]:
        done = untrace("stats", "--by", wrong, "-d", stored.data_dir)
        assert done.returncode == EX_USAGE and "--by takes" in done.stderr
    assert untrace("stats", "--sort", "size", "-d", stored.data_dir).returncode == EX_USAGE


@pytest.mark.parametrize("command", ["spans", "traces", "stats", "failures --since 0"])
def test_a_service_that_is_not_there_is_answered_with_those_that_are(stored, command):
    def told(*conditions):
        return untrace(*command.split(), *conditions, "-d", stored.data_dir)
    done = told("-s", "service5x")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[1] == ("no service service5x; there are service5, service50, service51, service52, service53, service54, "
                                           "service55, service56, ...")
    assert "; there are service0, service1, service10," in told("-s", "[31m*").stderr
    # It is there, but not in this time, or not of this kind.
    assert "there are" not in told("-s", "service5*", "--until", "2001-01-01").stderr
    assert "there are" not in told("-s", "service5", "--kind", "producer").stderr
    assert "there are" not in told("--kind", "producer").stderr


@pytest.fixture(scope="module")
def varied(module_agent):
    """Spans and traces of which each order is another one: one trace a request."""
    agent = module_agent()
    made = []
    for number in range(30):
        message = otlp.request(1 + number % 7, service=f"s{number % 3}")
        spans = message.resource_spans[0].scope_spans[0].spans
        otlp.attribute(message.resource_spans[0].resource, "host.name", f"h{number}")
        for place, span in enumerate(spans):
            span.name = f"{number}.{place}"
            span.start_time_unix_nano += (number * 7919) % 101 * 10**9
            span.end_time_unix_nano = span.start_time_unix_nano + (number * 31 + place * 17) % 59 * 10**6
            span.status.code = 2 if (number * place) % 5 == 3 else 1
            if place == 1:
                otlp.attribute(span, "gen_ai.request.model", "m")
                otlp.attribute(span, "gen_ai.usage.input_tokens", number * 13 % 29)
                otlp.attribute(span, "gen_ai.usage.cost", (number * 17 % 31) / 100)
                otlp.attribute(span, "http.route", ["a", number])
        made.append(spans)
        agent.accept(message)
    agent.traces = made
    return agent


def cost_of(span):
    return sum(pair.value.double_value for pair in span.attributes if pair.key == "gen_ai.usage.cost")


def tokens_of(span):
    return sum(pair.value.int_value for pair in span.attributes if pair.key == "gen_ai.usage.input_tokens")


def took(span):
    return span.end_time_unix_nano - span.start_time_unix_nano


@pytest.mark.parametrize("key, rank", [("time", lambda span: span.start_time_unix_nano), ("duration", took), ("cost", cost_of), ("tokens", tokens_of)])
def test_spans_are_sorted(varied, key, rank):
    spans = [span for trace in varied.traces for span in trace]
    if key in ("cost", "tokens"):
        spans = [span for span in spans if tokens_of(span) or cost_of(span)]
    for limit in 1, 5, 50, 1000:
        answer = json.loads(ask(varied, "spans", "--sort", key, "-n", limit, "--json"))
        expected = [span.name for span in sorted(spans, key=rank, reverse=True)][:limit]  # equal ones as they came
        assert [span["name"] for span in answer["spans"]][:len(expected)] == expected
        assert (answer["more"], answer["cursor"]) == (limit < len(spans), None) or limit >= len(spans)
    slow = json.loads(ask(varied, "spans", "--sort", key, "-n", 3, "--json", "--service", "s1"))["spans"]
    assert {span["service"] for span in slow} == {"s1"} and len(slow) == 3


def test_sorted_spans_are_one_page(varied):
    text = ask(varied, "spans", "--sort", "cost", "-n", 2)
    assert "  cost\n" in text and "$0.3000" in text and text.endswith("there are more: --limit shows them\n")
    oldest = json.loads(ask(varied, "spans", "--sort", "time", "--oldest", "-n", 1, "--json"))["spans"][0]
    assert oldest["start_ns"] == min(span.start_time_unix_nano for trace in varied.traces for span in trace)
    for wrong in (["--cursor", "00"], ["--follow"], ["--oldest"], ["-n", "10001"], ["-n", "0"]):
        done = untrace("spans", "--sort", "duration", *wrong, "-d", varied.data_dir)
        assert (done.returncode, done.stdout) == (EX_USAGE, ""), done


TRACE_RANKS = {
    "time": lambda spans: min(span.start_time_unix_nano for span in spans),
    "duration": lambda spans: max(span.end_time_unix_nano for span in spans) - min(span.start_time_unix_nano for span in spans),
    "spans": len,
    "errors": lambda spans: sum(span.status.code == 2 for span in spans),
    "tokens": lambda spans: sum(map(tokens_of, spans)),
    "cost": lambda spans: round(sum(map(cost_of, spans)), 6),
}


@pytest.mark.parametrize("conditions", [[], ["--min-duration", "0"]])
@pytest.mark.parametrize("key", TRACE_RANKS)
def test_traces_are_sorted(varied, key, conditions):
    rank = TRACE_RANKS[key]
    ranks = {spans[0].trace_id.hex(): rank(spans) for spans in varied.traces}
    for limit in 4, 100:
        rows = [json.loads(line) for line in ask(varied, "traces", "--sort", key, "-n", limit, "--json", *conditions).splitlines()]
        shown = [ranks[row["trace_id"]] for row in rows]
        assert shown == sorted((value for value in ranks.values()), reverse=True)[:len(shown)]
        # Only those with a failed span, or a call of a model, are sorted by what these have.
        having = {"errors": TRACE_RANKS["errors"], "tokens": lambda spans: len(spans) > 1, "cost": lambda spans: len(spans) > 1}.get(key, len)
        assert len(shown) == min(limit, sum(1 for spans in varied.traces if having(spans)))
        field = {"errors": "errors", "tokens": "tokens", "cost": "cost_usd"}.get(key)
        assert field is None or [round(row[field], 6) for row in rows] == shown
    head = ask(varied, "traces", "--sort", key, *conditions).splitlines()[0]
    assert re.search(rf"status  +{key}  service" if field else "status  service", head)


def test_what_does_not_go_with_sorted_traces_is_refused(varied):
    for wrong in (["--sort", "size"], ["--sort", "time", "-f"], ["--sort", "time", "-n", "10001"], ["--sort", "errors", "--status", "ok"]):
        assert untrace("traces", *wrong, "-d", varied.data_dir).returncode == EX_USAGE


def test_fields_are_columns(varied):
    text = ask(varied, "spans", "--fields", "duration,name,http.route,host.name,resource:service.name,parent,no.such", "-n", 1000)
    head, *rows = text.splitlines()
    assert head.split() == ["took", "name", "http.route", "host.name", "resource:service.name", "parent", "no.such"]
    row = next(line for line in rows if " 8.1 " in line)
    assert row.split()[-6:] == ["8.1", '["a",8]', "h8", "s2", varied.traces[8][0].span_id.hex(), "-"]
    assert ask(varied, "spans", "--fields", "event:exception.type,span:host.name,scope", "-n", 1).splitlines()[1].split() == ["-", "-", "e2e"]
    wide = Terminal("spans", "-n", "1", "-o", "wide", "-d", varied.data_dir, columns=100)
    assert wide.wait_end() == 0 and re.search(r"began.*trace.*span.*took.*kind.*status.*service.*name", wide.text(), re.DOTALL)
    for form, option in ("json", "--json"), ("jsonl", "--jsonl"):
        assert ask(varied, "spans", "-n", 2, "-o", form) == ask(varied, "spans", "-n", 2, option)
    for wrong in (["--fields", ""], ["--fields", "name,,kind"], ["--fields", ",".join("abcdefghijklmnopq")], ["--fields", "name", "--json"],
                  ["-o", "yaml"], ["-o", "wide", "--fields", "name"]):
        done = untrace("spans", *wrong, "-d", varied.data_dir)
        assert (done.returncode, done.stdout) == (EX_USAGE, ""), done


class Following:
    """A command with --follow, and the lines that it has printed so far."""

    def __init__(self, folder, *arguments):
        self.file = folder / "followed"
        self.errors = folder / "errors"
        with open(self.file, "wb") as out, open(self.errors, "wb") as errors:
            self.process = subprocess.Popen([PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=out, stderr=errors)

    def lines(self):
        return self.file.read_text(encoding="utf-8").splitlines()

    def wait_lines(self, count):
        until(lambda: len(self.lines()) >= count, lambda: f"{count} lines; there are:\n{self.lines()}\n{self.errors.read_text()}")
        return self.lines()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(DEADLINE_S) == -signal.SIGINT
        assert self.errors.read_text() == ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def named(name, trace_id=None, service="shop", error=False):
    message = otlp.request(1, trace_id, service=service)
    otlp.first_span(message).name = name
    if error:
        otlp.first_span(message).status.code, otlp.first_span(message).status.message = 2, "refused"
    return message


def test_spans_are_followed_across_restarts_and_compaction(agent, tmp_path):
    under_test = agent()
    for number in range(12):
        under_test.accept(named(f"n{number}", service="other" if number == 5 else "shop"))
    with Following(tmp_path, "spans", "-f", "-s", "shop", "--jsonl", "-d", under_test.data_dir) as following:
        names = [json.loads(line)["name"] for line in following.wait_lines(10)]
        assert names == ["n1", "n2", "n3", "n4", "n6", "n7", "n8", "n9", "n10", "n11"]  # the last 10, oldest first
        for number in range(12, 15):
            under_test.accept(named(f"n{number}"))
            under_test.accept(named("passed", service="other"))
            assert json.loads(following.wait_lines(number - 1)[-1])["name"] == f"n{number}"
        done = untrace("store", "compact", "--config", under_test.config_file)  # replaces the store
        assert done.returncode == 0, done
        under_test.accept(named("n15"))
        following.wait_lines(14)
        under_test.kill()
        under_test.start()
        under_test.accept(named("n16"))
        following.wait_lines(15)
        under_test.stop()
        assert untrace("store", "compact", "--config", under_test.config_file).returncode == 0
        under_test.start()
        under_test.accept(named("n17"))
        names = [json.loads(line)["name"] for line in following.wait_lines(16)]
        assert names == [f"n{number}" for number in range(1, 18) if number != 5]
        following.interrupt()


@pytest.mark.parametrize("options, before", [(["-n", "0"], []), (["-n", "2"], ["n1", "n2"]), (["--oldest"], ["n0", "n1", "n2"])])
def test_what_is_shown_from_before(agent, tmp_path, options, before):
    under_test = agent()
    for number in range(3):
        under_test.accept(named(f"n{number}"))
    with Following(tmp_path, "spans", "--follow", *options, "--jsonl", "-d", under_test.data_dir) as following:
        following.wait_lines(len(before))
        if not before:  # the command has come so far when it has a descriptor of inotify
            until(lambda: any("inotify" in os.readlink(entry.path) for entry in os.scandir(f"/proc/{following.process.pid}/fd")),
                  "the command waits")
        under_test.accept(named("n3"))
        names = [json.loads(line)["name"] for line in following.wait_lines(len(before) + 1)]
        assert names[-1] == "n3" and names[:-1][-len(before):] == before[:len(names) - 1]


def test_an_empty_store_is_followed_from_its_first_span(agent, tmp_path):
    under_test = agent()
    with Following(tmp_path, "spans", "-f", "-d", under_test.data_dir) as following:
        under_test.accept(named("first"))
        head, row = following.wait_lines(2)
        assert head.startswith("began (UTC)") and row.endswith("first")
        under_test.accept(named("a name that is longer than all before", service="a-service-with-a-long-name"))
        assert following.wait_lines(3)[2].endswith("a-service-with-a-long-name  a name that is longer than all before")
        following.interrupt()


def test_traces_are_followed_each_once_when_they_are_whole(agent, tmp_path):
    under_test = agent()
    under_test.accept(named("before"))
    with Following(tmp_path, "traces", "-f", "--json", "-d", under_test.data_dir) as following:
        assert json.loads(following.wait_lines(1)[0])["name"] == "before"
        trace_id = otlp.new_trace_id()
        for name in "first", "second", "third":
            under_test.accept(named(name, trace_id))
        row = json.loads(following.wait_lines(2)[1])
        assert (row["spans"], row["trace_id"]) == (3, trace_id.hex())
        under_test.accept(named("late", trace_id))
        under_test.accept(named("last"))
        assert [json.loads(line)["name"] for line in following.wait_lines(3)] == ["before", "first", "last"]
        following.interrupt()


def test_failures_are_followed(agent, tmp_path):
    under_test = agent()
    with Following(tmp_path, "failures", "-f", "--since", "0", "-d", under_test.data_dir) as following:
        under_test.accept(named("fine"))
        under_test.accept(named("POST /pay", error=True))
        assert re.search(r"shop +POST /pay +- +refused$", following.wait_lines(2)[1])
        following.interrupt()


def test_following_goes_on_behind_a_cursor(agent, tmp_path):
    under_test = agent()
    for number in range(3):
        under_test.accept(named(f"n{number}"))
    question = ("spans", "--oldest", "--since", "100000d")
    cursor = json.loads(ask(under_test, *question, "-n", 2, "--json"))["cursor"]
    with Following(tmp_path, *question, "-f", "--jsonl", "--cursor", cursor, "-d", under_test.data_dir) as following:
        under_test.accept(named("n3"))
        assert [json.loads(line)["name"] for line in following.wait_lines(2)] == ["n2", "n3"]


def test_following_ends_when_nobody_reads(agent):
    under_test = agent()
    under_test.accept(named("one"))
    process = subprocess.Popen([PROGRAM, "spans", "-f", "--jsonl", "-d", under_test.data_dir], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert json.loads(process.stdout.readline())["name"] == "one"  # comes at once through a pipe
    process.stdout.close()
    assert process.wait(DEADLINE_S) == 0  # though nothing more arrives
    assert process.stderr.read() == b""
    process.stderr.close()


def test_following_sleeps_while_nothing_comes(agent, tmp_path):
    under_test = agent()
    under_test.accept(named("one"))

    def switches(pid):
        status = open(f"/proc/{pid}/status", encoding="ascii").read()
        return sum(map(int, re.findall(r"voluntary_ctxt_switches:\t(\d+)", status)))

    with Following(tmp_path, "spans", "-f", "--jsonl", "-d", under_test.data_dir) as following:
        following.wait_lines(1)
        before = switches(following.process.pid)
        with Following(tmp_path, "top", "--once", "-i", "3s", "-d", under_test.data_dir) as clock:  # three seconds
            assert clock.process.wait(DEADLINE_S) == 0
        assert switches(following.process.pid) - before < 20
        under_test.accept(named("two"))


@pytest.mark.parametrize("arguments", [
    ["spans", "-f", "--json"], ["spans", "-f", "--cursor", "x"], ["spans", "-f", "--oldest", "-n", "5"], ["spans", "-n", "0"],
    ["traces", "-n", "0"], ["traces", "-f", "-n", "10000"], ["failures", "-f", "--json"], ["failures", "-f", "--patterns"], ["stats", "-f"]])
def test_what_does_not_go_with_following_is_refused(stored, arguments):
    done = untrace(*arguments, "-d", stored.data_dir)
    assert (done.returncode, done.stdout) == (EX_USAGE, "") and done.stderr
