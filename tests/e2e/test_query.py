"""Questions from the command line over real data: the filters against the same rule in Python, pages by cursor while data
arrives, statistics, failures, traces, and one trace in all its forms."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from fnmatch import fnmatchcase

import pytest

import otlp
from agent import PROGRAM, untrace
from test_cli import ESCAPE, on_terminal
from waiting import DEADLINE_S, until

EX_USAGE, EX_DATAERR, EX_NOINPUT = 64, 65, 66
MS = 1_000_000


@pytest.fixture(scope="module")
def stored(module_agent):
    """An agent with sample traces, some of them of the last minutes; its data is read while it runs."""
    agent = module_agent()
    done = untrace("send", "--endpoint", agent.url, "--spans", 3000, "--seed", 11, "--batch", 150)
    assert done.returncode == 0, done.stderr
    agent.spans = lines("spans", "--data-dir", agent.data_dir, "--limit", 100000)
    assert len(agent.spans) == 3000
    return agent


def lines(*arguments, stderr=None):
    """The JSON objects that a command prints one a line."""
    done = untrace(*arguments, "--jsonl")
    assert done.returncode == 0, done.stderr
    if stderr is not None:
        assert stderr in done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def ids(spans):
    return [(span["trace_id"], span["span_id"]) for span in spans]


def of_json(*arguments):
    done = untrace(*arguments, "--json")
    assert (done.returncode, done.stderr) == (0, ""), done
    return json.loads(done.stdout)


CONDITIONS = [
    (["--service", "checkout"], lambda span: span["service"] == "checkout"),
    (["--service", "p*"], lambda span: span["service"].startswith("p")),
    (["--name", "SELECT shop.stock"], lambda span: span["name"] == "SELECT shop.stock"),
    (["--name", "* shop.*"], lambda span: fnmatchcase(span["name"], "* shop.*")),
    (["--kind", "server"], lambda span: span["kind"] == "server"),
    (["--kind", "server,client"], lambda span: span["kind"] in ("server", "client")),
    (["--status", "error"], lambda span: span["status"] == "error"),
    (["--status", "unset", "--status", "ok"], lambda span: span["status"] != "error"),
    (["--min-duration", "100ms"], lambda span: span["duration_ns"] >= 100 * MS),
    (["--min-duration", "1ms", "--max-duration", "1.5ms"], lambda span: MS <= span["duration_ns"] <= 1.5 * MS),
    (["--roots"], lambda span: span["parent_span_id"] is None),
    (["--message", "SERIALIZE access"], lambda span: "serialize access" in span["status_message"]),
    (["-a", "db.rows>=200"], lambda span: span["attributes"].get("db.rows", -1) >= 200),
    (["-a", "db.rows<10", "-a", "db.sql.table=stock"],
     lambda span: span["attributes"].get("db.rows", 99) < 10 and span["attributes"]["db.sql.table"] == "stock"),
    (["-a", "http.status_code=503"], lambda span: span["attributes"].get("http.status_code") == 503),
    (["-a", "enduser.id"], lambda span: "enduser.id" in span["attributes"]),
    (["-a", "resource:telemetry.sdk.language=go"], lambda span: span["resource"].get("telemetry.sdk.language") == "go"),
    (["-a", "event:exception.type~Serial*"],
     lambda span: any(event["attributes"].get("exception.type", "").startswith("Serial") for event in span["events"])),
    (["--service", "inventory", "--status", "error", "--kind", "client"],
     lambda span: (span["service"], span["status"], span["kind"]) == ("inventory", "error", "client")),
    (["--llm"], lambda span: "gen_ai.operation.name" in span["attributes"]),
]


@pytest.mark.parametrize("arguments, holds", CONDITIONS, ids=[" ".join(arguments) for arguments, _ in CONDITIONS])
def test_spans_finds_what_meets_the_conditions(stored, arguments, holds):
    expected = [span for span in stored.spans if holds(span)]
    assert expected  # a condition that nothing meets shows little
    assert lines("spans", "--data-dir", stored.data_dir, "--limit", 100000, *arguments) == expected


def test_spans_of_a_time(stored):
    starts = sorted(span["start_ns"] for span in stored.spans)
    middle = starts[len(starts) // 2]
    later = lines("spans", "--data-dir", stored.data_dir, "--limit", 100000, "--since", middle)
    before = lines("spans", "--data-dir", stored.data_dir, "--limit", 100000, "--until", middle)
    assert {span["start_ns"] >= middle for span in later} == {True} and len(later) > 0
    assert {span["start_ns"] < middle for span in before} == {True} and len(before) > 0
    assert len(later) + len(before) == 3000
    assert len(lines("spans", "--data-dir", stored.data_dir, "--limit", 100000, "--since", "1h")) == 3000
    assert lines("spans", "--data-dir", stored.data_dir, "--until", "1h", stderr="no span meets") == []


def test_spans_of_one_trace_by_the_beginning_of_its_id(stored):
    trace_id = stored.spans[0]["trace_id"]
    expected = [span for span in stored.spans if span["trace_id"] == trace_id]
    for arguments in ([trace_id[:10]], ["--trace", trace_id], ["--trace", trace_id[:10].upper()]):
        assert lines("spans", *arguments, "--data-dir", stored.data_dir) == expected
    errors = lines("spans", trace_id, "--data-dir", stored.data_dir, "--status", "error", "--name", "*")
    assert errors == [span for span in expected if span["status"] == "error"]
    assert lines("spans", "0" * 32, "--data-dir", stored.data_dir, stderr="no trace here") == []
    done = untrace("spans", "xyz", "--data-dir", stored.data_dir)
    assert (done.returncode, done.stdout) == (EX_USAGE, "")


@pytest.mark.parametrize("order", ["--newest", "--oldest"])
def test_pages_by_cursor_are_the_whole(stored, order):
    whole = lines("spans", "--data-dir", stored.data_dir, order, "--limit", 100000, "--kind", "server")
    assert ids(whole) == ids(span for span in (stored.spans if order == "--newest" else stored.spans[::-1])
                             if span["kind"] == "server")
    pages, cursor = [], []
    while True:
        page = of_json("spans", "--data-dir", stored.data_dir, order, "--limit", 97, "--kind", "server", *cursor)
        pages += page["spans"]
        if not page["more"]:
            break
        cursor = ["--cursor", page["cursor"]]
    assert pages == whole


@pytest.mark.parametrize("times", [["--since", "1h"], ["--since", "90m", "--until", "0s"], ["--until", "0.1s"],
                                   ["--since", "2026-01-01"], ["--since", "1h", "--oldest"]], ids=" ".join)
def test_pages_of_a_relative_time_are_the_whole(stored, times):
    whole = ids(lines("spans", "--data-dir", stored.data_dir, "--limit", 100000, *times))
    assert len(whole) == 3000
    pages, cursor = [], []
    for _ in range(3):
        page = of_json("spans", "--data-dir", stored.data_dir, "--limit", 1000, *times, *cursor)
        pages += ids(page["spans"])
        cursor = ["--cursor", page["cursor"]]
    assert pages == whole


def test_a_page_keeps_the_times_of_the_first_one(stored):
    under_test = ["spans", "--data-dir", stored.data_dir]
    middle = sorted(span["start_ns"] for span in stored.spans)[1500]
    since = f"{(time.time_ns() - middle) // 10**9 + 1}s"  # in a second that span is older
    page = of_json(*under_test, "--limit", 1, "--since", since, "--oldest")
    following = [*under_test, "--limit", 100000, "--since", since, "--oldest", "--cursor", page["cursor"]]
    rest = of_json(*following)["spans"]
    until(lambda: len(lines(*under_test, "--limit", 100000, "--since", since)) <= len(rest), "the window to move")
    assert of_json(*following)["spans"] == rest
    done = untrace(*under_test, "--since", "2h", "--oldest", "--cursor", page["cursor"])
    assert done.returncode == EX_USAGE and "another question" in done.stderr


def test_a_cursor_of_an_earlier_version_says_so(stored):
    done = untrace("spans", "--data-dir", stored.data_dir, "--cursor", "0000000000000b25000000074a59d12402eff349")
    assert (done.returncode, done.stdout) == (EX_USAGE, "") and "of an earlier version of untrace" in done.stderr


def test_a_cursor_of_another_question_is_refused(stored):
    cursor = of_json("spans", "--data-dir", stored.data_dir, "--limit", 5)["cursor"]
    for other in (["--kind", "server"], ["--oldest"]):
        done = untrace("spans", "--data-dir", stored.data_dir, "--cursor", cursor, *other)
        assert (done.returncode, done.stdout) == (EX_USAGE, "") and "another question" in done.stderr
    done = untrace("spans", "--data-dir", stored.data_dir, "--cursor", "nonsense")
    assert (done.returncode, done.stdout) == (EX_USAGE, "") and "not a cursor" in done.stderr


def test_pages_hold_while_data_arrives(agent):
    under_test = agent()
    assert untrace("send", "--endpoint", under_test.url, "--spans", 2000, "--batch", 40).returncode == 0
    before = ids(lines("spans", "--data-dir", under_test.data_dir, "--limit", 100000))
    sender = subprocess.Popen([PROGRAM, "send", "--endpoint", under_test.url, "--spans", "1000000", "--rate", "20000",
                               "--quiet"], stdin=subprocess.DEVNULL)
    try:
        newest, oldest, cursor = [], [], None
        while True:  # newest first: what comes meanwhile is not seen
            page = of_json("spans", "--data-dir", under_test.data_dir, "--limit", 301,
                           *(["--cursor", cursor] if cursor else []))
            newest += ids(page["spans"])
            cursor = page["cursor"]
            if not page["more"]:
                break
        cursor = None
        while len(oldest) < len(before) + 2000:  # oldest first: it is
            page = of_json("spans", "--data-dir", under_test.data_dir, "--oldest", "--limit", 997,
                           *(["--cursor", cursor] if cursor else []))
            oldest += ids(page["spans"])
            cursor = page["cursor"]
    finally:
        sender.kill()
        sender.wait()
    assert newest[-2000:] == before
    assert len(set(newest)) == len(newest)
    assert oldest[:2000] == before[::-1]
    assert len(set(oldest)) == len(oldest)


def test_the_cursor_line_goes_on(stored):
    shown, cursor = [], []
    for _ in range(3):
        done = untrace("spans", "--data-dir", stored.data_dir, "-n", 10, *cursor)
        *rows, last = done.stdout.splitlines()
        shown += [row.split()[3] for row in rows[1:]]
        cursor = ["--cursor", re.fullmatch(r"there are more: the same with --cursor (\S+)", last).group(1)]
    assert shown == [span["span_id"] for span in stored.spans[:30]]
    whole = untrace("spans", "--data-dir", stored.data_dir, "-n", 3000)
    assert "cursor" not in whole.stdout + whole.stderr  # the last page offers no other


def percentile(values, share):
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@pytest.mark.parametrize("by, key", [
    ("name", lambda span: span["name"]), ("service", lambda span: span["service"]), ("status", lambda span: span["status"]),
    ("kind", lambda span: span["kind"]), ("attribute:db.sql.table", lambda span: span["attributes"].get("db.sql.table", "")),
    ("attribute:host.name", lambda span: span["resource"].get("host.name", "")),
])
def test_stats_agree_with_the_spans(stored, by, key):
    groups = {}
    for span in stored.spans:
        groups.setdefault(key(span), []).append(span)
    stats = of_json("stats", "--by", by, "--data-dir", stored.data_dir)
    assert {group["label"] for group in stats["groups"]} == set(groups)
    for group in [*stats["groups"], stats["total"]]:
        spans = groups[group["label"]] if "label" in group else stored.spans
        durations = [span["duration_ns"] for span in spans]
        errors = sum(span["status"] == "error" for span in spans)
        assert (group["count"], group["errors"]) == (len(spans), errors)
        assert group["error_rate"] == pytest.approx(errors / len(spans))
        assert group["mean_ns"] == pytest.approx(sum(durations) / len(spans), abs=1)
        assert (group["min_ns"], group["max_ns"]) == (min(durations), max(durations))
        for name, share in ("p50_ns", 0.5), ("p90_ns", 0.9), ("p99_ns", 0.99):
            assert group[name] == pytest.approx(percentile(durations, share), rel=0.011)
    table = untrace("stats", "--by", by, "--data-dir", stored.data_dir).stdout.splitlines()
    assert len(table) == len(groups) + 2 and table[-1].split()[:2] == ["all", "3000"]


def test_stats_take_conditions_and_the_words_of_others(stored):
    errors = sum(span["status"] == "error" and span["service"] == "payments" for span in stored.spans)
    for arguments in (["--status", "error", "--service", "payments"], ["--status", "error", "--pipeline", "payments"],
                      ["--status", "error", "--pipeline", "payments", "--hours", 2]):
        assert of_json("stats", *arguments, "--data-dir", stored.data_dir)["total"]["count"] == errors
    done = untrace("stats", "--service", "nobody", "--data-dir", stored.data_dir)
    assert (done.returncode, done.stdout) == (0, "") and "no span meets" in done.stderr
    assert untrace("stats", "--by", "luck", "--data-dir", stored.data_dir).returncode == EX_USAGE
    hours = of_json("stats", "--by", "hour", "--data-dir", stored.data_dir)["groups"]
    assert sum(group["count"] for group in hours) == 3000
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d", group["label"]) for group in hours)


def test_failures_are_patterns_and_the_latest(stored):
    failed = [span for span in stored.spans if span["status"] == "error"]
    patterns = Counter((span["name"], span["status_message"]) for span in failed)
    found = of_json("failures", "--data-dir", stored.data_dir, "--limit", 1000)
    assert found["count"] == len(failed)
    assert found["failures"] == failed[:1000]
    assert {(row["name"], row["message"]): row["count"] for row in found["patterns"]} == patterns
    assert [row["count"] for row in found["patterns"]] == sorted(patterns.values(), reverse=True)
    only = of_json("failures", "--data-dir", stored.data_dir, "--patterns", "--type", "Serialization*")
    serial = [span for span in failed if "serialize" in span["status_message"]]
    assert only["count"] == len(serial) > 0 and "failures" not in only
    assert of_json("failures", "--data-dir", stored.data_dir, "--until", "1h")["count"] == 0
    text = untrace("failures", "--data-dir", stored.data_dir).stdout
    assert f"{len(failed)} failed spans in the last 24 hours" in text and "and" in text.splitlines()[-1]
    done = untrace("failures", "--type", "Nothing", "--data-dir", stored.data_dir)
    assert (done.returncode, done.stdout) == (0, "") and "no failure" in done.stderr


def test_failures_say_how_to_see_the_rest(stored):
    done = untrace("failures", "--service", "p*", "--hours", 1, "-n", 1, "--data-dir", stored.data_dir)
    assert done.returncode == 0, done.stderr
    rest, command = re.search(r"and (\d+) more; `untrace (.*)` lists all$", done.stdout, re.M).groups()
    assert command == f"spans --since 1h --service 'p*' --status error --data-dir {stored.data_dir}"
    again = lines(*(word.strip("'") for word in command.split()), "--limit", 100000)
    assert len(again) == int(rest) + 1
    done = untrace("failures", "--type", "*", "-n", 1, "--data-dir", stored.data_dir)
    assert "more; --limit 1000 shows more" in done.stdout


@pytest.mark.parametrize("command", [["failures"], ["stats", "--by", "error"]], ids=" ".join)
def test_failures_are_spans_with_status_error(stored, command):
    where = ["--data-dir", stored.data_dir]
    for status in "ok", "unset", "ok,unset":
        done = untrace(*command, *where, "--status", status)
        assert (done.returncode, done.stdout) == (EX_USAGE, "") and "are spans with status error" in done.stderr
    assert of_json(*command, *where, "--status", "ok,error") == of_json(*command, *where)


@pytest.mark.parametrize("arguments, hint", [(["-a", "http.status_code=5*"], "KEY~GLOB"),
                                             (["--message", "*serialize*"], "takes a * as it is")], ids=str)
@pytest.mark.parametrize("command", ["spans", "traces", "stats", "failures"])
def test_what_looks_like_a_pattern_and_is_none_is_explained(stored, command, arguments, hint):
    done = untrace(command, "--data-dir", stored.data_dir, *arguments)
    assert (done.returncode, done.stdout) == (0, "") and hint in done.stderr


def test_traces_with_a_span_that_meets_conditions(stored):
    expected = list(dict.fromkeys(span["trace_id"] for span in stored.spans
                                  if span["service"] == "payments" and span["status"] == "error"))
    found = lines("traces", "--service", "payments", "--status", "error", "--data-dir", stored.data_dir, "--limit", 1000)
    assert {row["trace_id"] for row in found} == set(expected) and len(found) == len(expected)
    assert found == sorted(found, key=lambda row: -row["start_ns"])
    every = {row["trace_id"]: row for row in lines("traces", "--data-dir", stored.data_dir, "--limit", 100000)}
    assert all(every[row["trace_id"]] == row for row in found)  # a row says the same, however it was found
    assert {row["trace_id"] for row in lines("traces", "--service", "payments", "--status", "error", "-n", 3,
                                             "--data-dir", stored.data_dir)} == set(expected[:3])
    whole = {}
    for span in stored.spans:
        begin, end = whole.get(span["trace_id"], (span["start_ns"], 0))
        whole[span["trace_id"]] = min(begin, span["start_ns"]), max(end, span["end_ns"])
    assert {key: (row["start_ns"], row["duration_ns"]) for key, row in every.items()} == {
        key: (begin, end - begin) for key, (begin, end) in whole.items()}
    starts = [row["start_ns"] for row in every.values()]
    assert starts[:1000] == sorted(starts[:1000], reverse=True)  # a page
    slow = lines("traces", "--roots", "--min-duration", "500ms", "--data-dir", stored.data_dir, "--limit", 1000)
    assert {row["trace_id"] for row in slow} == {key for key, row in every.items() if row["duration_ns"] >= 500 * MS}


def test_an_ambiguous_id_lists_candidates(stored):
    traces = lines("traces", "--data-dir", stored.data_dir, "--limit", 100000)
    digit, count = Counter(row["trace_id"][0] for row in traces).most_common(1)[0]
    assert count > 10
    for command in ["trace", digit], ["spans", digit]:
        done = untrace(*command, "--data-dir", stored.data_dir)
        assert (done.returncode, done.stdout) == (EX_DATAERR, "")
        candidates = [line.split()[0] for line in done.stderr.splitlines() if re.match(r"  [0-9a-f]{32} ", line)]
        assert len(candidates) == 10 and all(candidate.startswith(digit) for candidate in candidates)
        assert "more" in done.stderr.splitlines()[-1]


def odd_trace():
    """A trace whose parts do not fit: a clock that is behind, a repeated id, a missing parent, a call of a model."""
    message = otlp.request(1, service="front")
    root = otlp.first_span(message)
    root.name, root.kind, start = "GET /", 3, 1_700_000_000_000_000_000
    root.start_time_unix_nano, root.end_time_unix_nano = start, start + 100 * MS
    other = message.resource_spans.add()
    otlp.attribute(other.resource, "service.name", "back")
    spans = other.scope_spans.add().spans
    for name, parent, kind, begin, end in (("early", root.span_id, 2, -20, 60), ("orphan", b"nothere!", 1, 10, 20),
                                           ("chat", root.span_id, 3, 65, 95)):
        spans.add(trace_id=root.trace_id, span_id=otlp.new_span_id(), parent_span_id=parent, name=name, kind=kind,
                  start_time_unix_nano=start + begin * MS, end_time_unix_nano=start + end * MS)
    chat = spans[2]
    for key, value in (("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "model-9"), ("gen_ai.system", "acme"),
                       ("gen_ai.usage.input_tokens", 1200), ("gen_ai.usage.output_tokens", 34), ("llm.cost.total", 0.0125),
                       ("gen_ai.prompt.0.content", "word " * 100 + "\x1b[31m end"), ("gen_ai.completion.0.content", "Yes.")):
        otlp.attribute(chat, key, value)
    return message, root.trace_id.hex()


def test_cost_and_tokens_say_of_how_many_calls_they_are(agent):
    under_test = agent()
    message = otlp.request(4, service="bot")
    spans = message.resource_spans[0].scope_spans[0].spans
    for span, (model, values) in zip(spans, [
            ("a", {"gen_ai.usage.input_tokens": 800, "gen_ai.usage.output_tokens": 100, "llm.cost.total": 0.01,
                   "gen_ai.usage.cache_read.input_tokens": 300, "gen_ai.usage.reasoning.output_tokens": 40}),
            ("a", {"gen_ai.usage.input_tokens": 1, "gen_ai.usage.output_tokens": 2}), ("b", {}), ("b", {})]):
        del span.attributes[:]
        for key, value in {"gen_ai.operation.name": "chat", "gen_ai.request.model": model, **values}.items():
            otlp.attribute(span, key, value)
    otlp.attribute(spans[2], "gen_ai.input.messages", json.dumps([
        {"role": "user", "parts": [{"type": "text", "content": "Weather in Paris? \u65e5\u672c"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "get_weather", "arguments": {"city": "Paris"}}]}]))
    event = spans[2].events.add(name="gen_ai.choice")
    otlp.attribute(event, "message", '{"role":"assistant","content":"Sunny, 22C"}')
    under_test.accept(message)
    text = untrace("trace", spans[0].trace_id.hex(), "--data-dir", under_test.data_dir).stdout
    assert "4 calls of language models, 903 tokens (801 in, 300 of them cached, 102 out, 40 of them reasoning), $0.0100 (of 1 of 4 calls)" in text
    assert "model a, 900 tokens (800 in, 300 of them cached, 100 out, 40 of them reasoning), $0.0100\n" in text
    assert 'user: Weather in Paris? \u65e5\u672c\n' in text and 'calls: get_weather({"city":"Paris"})\n' in text
    assert "answer: Sunny, 22C\n" in text and "parts" not in text
    rows = untrace("stats", "--by", "model", "--data-dir", under_test.data_dir).stdout.splitlines()
    assert "801 (300 cached)  102 (40 reasoning)" in rows[1] and "$0.0100 (1 of 2)" in rows[1]
    assert rows[2].split()[:7] == ["b", "2", "0", "-", "-", "-", "-"]
    # With prices, the second call of a costs 12 dollars for a million tokens times 2.
    priced = under_test.data_dir / "prices.yaml"
    priced.write_text(f"data_dir: {under_test.data_dir}\nllm: {{ prices: [{{ model: 'a*', input: 5000, output: 2500 }}] }}\n")
    assert "$0.0200 (of 2 of 4 calls)" in untrace("trace", spans[0].trace_id.hex(), "--config", priced).stdout
    assert "$0.0200  " in untrace("stats", "--by", "model", "--config", priced).stdout.splitlines()[1]
    assert "$0.0200" in untrace("stats", "--by", "model", "--config", priced, "--data-dir", under_test.data_dir).stdout


def test_a_trace_shows_what_is_odd_and_what_models_cost(agent):
    under_test = agent()
    message, trace_id = odd_trace()
    under_test.accept(message)
    text = untrace("trace", trace_id, "--data-dir", under_test.data_dir).stdout
    assert "clock skew: begins 20.0 ms before its parent" in text and "clocks disagree" in text
    assert "its parent 6e6f746865726521 is not here" in text
    assert "model model-9 of acme, 1234 tokens (1200 in, 34 out), $0.0125" in text
    assert "1 call of language models, 1234 tokens" in text
    assert "answer: Yes." in text and "prompt: word word" in text
    assert text.count("word") == 40 and "end" not in text  # 200 characters
    assert re.search(r"GET / .* \*  ", text)  # on the critical path
    full = untrace("trace", trace_id, "--prompt-preview-len", -1, "--data-dir", under_test.data_dir).stdout
    assert full.count("word") == 100 and "?[31m end" in full and "\x1b" not in full
    assert "word" not in untrace("trace", trace_id, "--prompt-preview-len", 0, "--data-dir", under_test.data_dir).stdout
    trace = of_json("trace", trace_id, "--data-dir", under_test.data_dir)
    spans = {span["name"]: span for span in trace["spans"]}
    assert spans["early"]["skewed"] and not spans["chat"]["skewed"]
    assert spans["orphan"]["place"] == "parent_missing"
    assert spans["chat"]["llm"] == {"model": "model-9", "provider": "acme", "operation": "chat", "input_tokens": 1200,
                                    "output_tokens": 34, "total_tokens": 1234, "cached_tokens": 0, "reasoning_tokens": 0,
                                    "cost_usd": 0.0125}
    assert [span["name"] for span in lines("spans", "--llm", "--data-dir", under_test.data_dir)] == ["chat"]
    model = of_json("stats", "--by", "model", "--data-dir", under_test.data_dir)["groups"]
    assert [(row["label"], row["count"], row["total_tokens"], row["cost_usd"]) for row in model] == [("model-9", 1, 1234, 0.0125)]
    assert "$0.0125" in untrace("stats", "--by", "model", "--data-dir", under_test.data_dir).stdout


def one_span(trace_id, span_id, name, kind, end_ms):
    """A request of one span. end_ms: behind its start; None: it has no end yet."""
    message = otlp.request(1, trace_id=trace_id, service="front")
    span = otlp.first_span(message)
    span.span_id, span.name, span.kind = span_id, name, kind
    span.start_time_unix_nano = 1_700_000_000_000_000_000
    span.end_time_unix_nano = 0 if end_ms is None else span.start_time_unix_nano + end_ms * MS
    return message


def await_names(backend, names):
    """Waits until the names of all spans that a destination was sent are these, in order."""
    def sent():
        messages = [otlp.ExportTraceServiceRequest.FromString(request.body) for request in list(backend.requests)]
        return sorted(span.name for message in messages for span in otlp.spans_of(message))
    until(lambda: sent() == names, lambda: f"{names} at the destination, which has {sent()}")


def test_two_spans_under_one_id_are_kept_forwarded_and_shown(agent, destination, to):
    """As Zipkin's clients and servers share their ids."""
    backend = destination()
    under_test = agent([to(backend)])
    trace_id, span_id = otlp.new_trace_id(), otlp.new_span_id()
    client, server = (one_span(trace_id, span_id, name, kind, end) for name, kind, end in (("client", 3, 100), ("server", 2, 80)))
    for message in client, server, client, server:
        under_test.accept(message)
    client.MergeFrom(server)  # both in one request
    under_test.accept(client)
    where = "--data-dir", under_test.data_dir
    assert sorted(span["name"] for span in lines("spans", "--trace", trace_id.hex(), *where)) == ["client", "server"]
    text = untrace("trace", trace_id.hex(), *where).stdout
    assert "2 spans," in text and "another span here has the same id" in text
    assert re.search(r"^client ", text, re.M) and re.search(r"^server ", text, re.M)
    spans = of_json("trace", trace_id.hex(), *where)["spans"]
    assert [(span["name"], span["duplicate_id"], span["replaced"]) for span in spans] == [
        ("client", True, False), ("server", True, False)]
    await_names(backend, ["client", "server"])


def test_a_record_that_completes_an_open_one_takes_its_place_on_the_screen(agent, destination, to):
    backend = destination()
    under_test = agent([to(backend)])
    trace_id, span_id = otlp.new_trace_id(), otlp.new_span_id()
    first, last = one_span(trace_id, span_id, "open", 1, None), one_span(trace_id, span_id, "final", 1, 100)
    otlp.first_span(last).status.code = 2
    for message in first, last, first:
        under_test.accept(message)
    where = "--data-dir", under_test.data_dir
    assert sorted(span["name"] for span in lines("spans", "--trace", trace_id.hex(), *where)) == ["final", "open"]
    text = untrace("trace", trace_id.hex(), *where).stdout
    assert "took 100 ms, 1 span, 1 error" in text
    assert "1 record of spans that had not ended, left out for later ones" in text
    assert re.search(r"^final ", text, re.M) and not re.search(r"^open ", text, re.M)
    spans = of_json("trace", trace_id.hex(), *where)["spans"]
    assert [(span["name"], span["replaced"]) for span in spans] == [("final", False), ("open", True)]
    sent = json.loads(untrace("trace", trace_id.hex(), "--otlp", *where).stdout)
    assert sorted(known["span"]["name"] for _, known in otlp.flatten(sent)) == ["final", "open"]
    row = of_json("traces", *where)
    assert (row["spans"], row["status"]) == (2, "error")
    await_names(backend, ["final", "open"])


def states_of(found):
    """The states that each span begins and ends with."""
    return {bytes.fromhex(span["span_id"]): (found["states"][str(span["state_at_start"])], found["states"][str(span["state_at_end"])])
            for span in found["spans"]}


def test_the_states_of_a_trace_are_replayed(agent):
    under_test = agent()
    message = otlp.request(3, service="flow")
    first, second, third = otlp.spans_of(message)
    base = first.start_time_unix_nano
    for span, begin, end, patches in ((first, 0, 100, []), (second, 10, 40, ['[{"op":"add","path":"/n","value":1}]', '{"m":[2]}']),
                                      (third, 50, 90, ['[{"op":"remove","path":"/absent"}]', '[{"op":"replace","path":"/n","value":3}]'])):
        span.start_time_unix_nano, span.end_time_unix_nano = base + begin * MS, base + end * MS
        for number, patch in enumerate(patches):
            event = span.events.add(name="set_state", time_unix_nano=base + (begin + 1 + number) * MS)
            otlp.attribute(event, "state.patch", patch)
    under_test.accept(message)
    trace_id = first.trace_id.hex()
    found = of_json("trace", trace_id, "--state", "--data-dir", under_test.data_dir)
    assert [change["applied"] for change in found["changes"]] == [True, True, False, True]
    assert found["changes"][1]["change"] == {"m": [2]} and found["changes"][2]["reason"]
    states = states_of(found)
    assert states == {first.span_id: ({}, {"n": 3, "m": [2]}), second.span_id: ({}, {"n": 1, "m": [2]}),
                      third.span_id: ({"n": 1, "m": [2]}, {"n": 3, "m": [2]})}
    text = untrace("trace", trace_id, "--state", "--data-dir", under_test.data_dir).stdout
    assert "4 changes of state, 1 not applied" in text and "not applied: " in text
    assert text.count("state before: ") == 1 and text.count("state after: ") == 2
    assert "change at +12.0 ms {" in text
    for names in (["--state-event", "changed"], ["--state-key", "my.diff"]):
        found = of_json("trace", trace_id, *names, "--data-dir", under_test.data_dir)
        assert all(state == ({}, {}) for state in states_of(found).values())
    found = of_json("trace", trace_id, "--state-event", "set_state", "--state-key", "state.patch", "--data-dir", under_test.data_dir)
    assert states_of(found) == states
    assert untrace("trace", trace_id, "--state-key", "", "--data-dir", under_test.data_dir).returncode == EX_USAGE
    done = untrace("trace", trace_id, "--state", "--otlp", "--data-dir", under_test.data_dir)
    assert (done.returncode, done.stdout) == (EX_USAGE, "")


def test_a_large_state_is_printed_once_however_many_spans_see_it(agent):
    under_test = agent()
    message = otlp.request(500)
    first = otlp.first_span(message)
    large = {"text": "x" * 10_000}
    event = first.events.add(name="set_state", time_unix_nano=first.start_time_unix_nano)
    otlp.attribute(event, "state.patch", json.dumps(large))
    under_test.accept(message)
    done = untrace("trace", first.trace_id.hex(), "--state", "--json", "--data-dir", under_test.data_dir)
    states = states_of(json.loads(done.stdout))
    assert len(states) == 500 and all(end == large for _, end in states.values())
    assert done.stdout.count("x" * 10_000) == 2, "in the change and in the state"


def sparse(value):
    """Without what is empty: OTLP/JSON may write it or leave it out."""
    if isinstance(value, dict):
        return {key: sparse(item) for key, item in value.items() if item not in ("", 0, {}, [])}
    return [sparse(item) for item in value] if isinstance(value, list) else value


def test_a_trace_as_otlp_is_what_was_received(agent):
    under_test = agent()
    message, trace_id = odd_trace()
    under_test.accept(message)
    under_test.accept(otlp.request(5))
    more = otlp.request(3, trace_id=bytes.fromhex(trace_id), service="later")
    under_test.accept(more)
    done = untrace("trace", trace_id[:12], "--otlp", "--data-dir", under_test.data_dir)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    expected = dict(otlp.flatten(otlp.as_json(message))) | dict(otlp.flatten(otlp.as_json(more)))
    assert sparse(dict(otlp.flatten(json.loads(done.stdout)))) == sparse(expected)


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
@pytest.mark.parametrize("command", [["spans", "--status", "error"], ["spans"], ["stats"], ["stats", "--by", "error"],
                                     ["stats", "--by", "model"], ["failures"], ["traces"], ["traces", "--status", "error"]],
                         ids=" ".join)
def test_tables_fit_the_terminal_and_nothing_steers_it(hostile, command, columns):
    text = on_terminal(*command, "--data-dir", hostile.data_dir, columns=columns)
    plain = re.sub(r"\x1b\[\d+m", "", text)
    assert ESCAPE in text and ESCAPE not in plain  # only our own colours
    assert not set("\x07\x9b") & set(plain)
    rows = plain.replace("\r", "").splitlines()
    assert max(len(row) for row in rows if "--" not in row) <= columns
    assert ESCAPE not in untrace(*command, "--data-dir", hostile.data_dir).stdout


@pytest.fixture(scope="module")
def hostile(module_agent):
    """Spans whose every text would steer a terminal, and is long."""
    agent = module_agent()
    text = "\x1b]0;title\x07\x9b31m\n\r" + "wide" * 40
    message = otlp.request(5, service=text)
    for number, span in enumerate(otlp.spans_of(message)):
        span.name = f"{number}{text}"
        span.status.code, span.status.message = 2, text
        now_ns = time.time_ns()
        span.start_time_unix_nano, span.end_time_unix_nano = now_ns, now_ns + 10**12
        for key in "gen_ai.request.model", "gen_ai.operation.name", "error.type":
            otlp.attribute(span, key, text)
    agent.accept(message)
    return agent


QUESTIONS = [["spans"], ["spans", "--json", "--status", "error"], ["stats"], ["stats", "--by", "hour", "--json"], ["failures"],
             ["traces"], ["traces", "--status", "error"]]


def test_answers_are_the_same_after_a_kill_and_on_a_copy(agent, tmp_path):
    under_test = agent()
    assert untrace("send", "--endpoint", under_test.url, "--spans", 500).returncode == 0
    trace_id = lines("traces", "--data-dir", under_test.data_dir, "-n", 1)[0]["trace_id"]
    questions = [*QUESTIONS, ["trace", trace_id], ["trace", trace_id, "--otlp"], ["trace", trace_id, "--json"]]

    def answers(data_dir):
        all_of_them = [untrace(*question, "--data-dir", data_dir) for question in questions]
        assert {done.returncode for done in all_of_them} == {0}, all_of_them
        return [done.stdout.replace(str(data_dir), "DIR") for done in all_of_them]
    running = answers(under_test.data_dir)
    under_test.kill()
    assert answers(under_test.data_dir) == running
    copy = tmp_path / "copy"
    shutil.copytree(under_test.data_dir, copy, ignore=shutil.ignore_patterns("*.sock"))
    assert answers(copy) == running


@pytest.mark.parametrize("command", [["spans", "--jsonl", "--limit", "100000"], ["spans", "--limit", "100000"], ["stats"],
                                     ["failures", "--limit", "1000"], ["traces", "--limit", "100000"]])
def test_a_reader_that_goes_away_ends_it_quietly(stored, command):
    for signals in (True, False):  # with SIGPIPE, and with EPIPE
        read, write = os.pipe()
        process = subprocess.Popen([PROGRAM, *command, "--data-dir", stored.data_dir], stdout=write, stderr=subprocess.PIPE,
                                   restore_signals=signals)
        os.close(write)
        os.close(read)
        _, stderr = process.communicate(timeout=DEADLINE_S)
        assert stderr == b""


def test_an_interrupt_ends_a_long_search_quietly(stored):
    read, write = os.pipe()
    # A shell ignores the signal for what it runs in the background, and so for all that this starts.
    process = subprocess.Popen([PROGRAM, "spans", "--jsonl", "--limit", "100000", "--data-dir", stored.data_dir], stdout=write,
                               stderr=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    os.close(write)
    os.read(read, 1)  # it has begun, and is held up by the full pipe
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=DEADLINE_S)
    os.close(read)
    assert (process.returncode, stderr) == (-2, b"")


@pytest.mark.parametrize("arguments", [
    ["spans", "--since", "tomorrow"], ["spans", "--status", "bad"], ["spans", "--limit", "0"], ["spans", "--kind", "x"],
    ["stats", "--hours", "0"], ["failures", "--hours", "x"], ["spans", "--since", "1h", "--until", "2h"],
    ["spans", "-a", "=x"], ["traces", "--min-duration", "5"], ["trace", "ab", "--prompt-preview-len", "x"],
    ["stats", "--hours", "1", "--since", "2h"], ["failures", "--since", "2h", "--hours", "1"], ["failures", "--until", "2h", "--hours", "3"],
    ["stats", "--service", ""], ["stats", "--pipeline", ""], ["export", "--name", ""], ["failures", "--type", ""],
    ["spans", "--message", ""], ["spans", "a", "b"], ["stats", "a"], ["failures", "a"], ["spans", "--min-duration", "2s", "--max-duration", "1s"]])
def test_what_makes_no_sense_is_a_usage_error(stored, arguments):
    done = untrace(*arguments, "--data-dir", stored.data_dir)
    assert (done.returncode, done.stdout) == (EX_USAGE, "")
    assert arguments[0] in done.stderr and "--help" in done.stderr


@pytest.mark.parametrize("command", [["spans", "--jsonl", "--limit", "100000000"], ["export"]])
def test_a_search_holds_no_old_pages_and_tells_what_left_meanwhile(agent, command):
    """A search that is held up by its reader keeps no view of the store while the agent turns its whole budget over."""
    under_test = agent(storage={"max_size": "8MiB"})
    assert untrace("send", "--endpoint", under_test.url, "--spans", 20000, "--batch", 500).returncode == 0
    read, write = os.pipe()
    process = subprocess.Popen([PROGRAM, *command, "--data-dir", under_test.data_dir],
                               stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    os.read(read, 1)
    for _ in range(4):
        assert untrace("send", "--endpoint", under_test.url, "--spans", 30000, "--batch", 500).returncode == 0
    with os.fdopen(read, "rb") as rest:
        shown = [json.loads(line) for line in rest.read().splitlines()[1:]]
    assert process.wait(DEADLINE_S) == 0
    if command[0] == "spans":
        assert len(set(ids(shown))) == len(shown)
    told = process.stderr.read().decode()
    assert re.fullmatch(r"untrace: [1-9]\d* spans left the store while it was read: .* missing here\n", told), told
    until(lambda: untrace("traces", "--data-dir", under_test.data_dir).returncode == 0, "the store is read")
