"""The examples of the documents, executed. A block fenced as ```console holds commands behind `$ ` and, below each, what it
prints on standard output and standard error. In what is expected, `...` within a line stands for anything in that line, a
line of nothing but `...` for any lines. Each document gets an agent with fresh sample data; its blocks run in order, in one
folder, with UNTRACE_CONFIG set."""

import os
import re
import subprocess
from pathlib import Path

import pytest

import otlp
from agent import PROGRAM, ROOT, SANITIZER, untrace
from waiting import DEADLINE_S

EXECUTED = ["README.md", "docs/QUERY.md", "docs/RETENTION.md"]  # have examples, or something is wrong
DOCUMENTS = sorted({*EXECUTED, *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))})
FENCE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ASSISTANT_ID = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
MS = 1_000_000


def examples(text):
    """(line number, command, expected lines) of every command in the blocks of a document."""
    for block in FENCE.finditer(text):
        first = text.count("\n", 0, block.start()) + 2
        found = None
        for number, line in enumerate(block.group(1).splitlines(), first):
            if line.startswith("$ "):
                if found:
                    yield found
                found = (number, line[2:], [])
            else:
                assert found, f"line {number} comes before any command"
                found[2].append(line)
        if found:
            yield found


def fits(line, pattern):
    """A line against one of the document; `...` stands for anything, spaces at the end for nothing."""
    parts = pattern.rstrip().split("...")
    return re.fullmatch(".*".join(map(re.escape, parts)), line.rstrip()) is not None


def differs(lines, patterns):
    """None when the lines are what the patterns say, else the first pattern that they are not."""
    if not patterns:
        return None if not lines else f"nothing more expected, found: {lines[0]}"
    if patterns[0].strip() == "...":
        attempts = [differs(lines[skip:], patterns[1:]) for skip in range(len(lines) + 1)]
        return None if None in attempts else attempts[0]
    if not lines:
        return f"expected: {patterns[0]}\nfound the end"
    if not fits(lines[0], patterns[0]):
        return f"expected: {patterns[0]}\nfound:    {lines[0]}"
    return differs(lines[1:], patterns[1:])


def assistant_trace(now_ns):
    """A run of an assistant: two calls of language models, and a state that its steps change."""
    message = otlp.request(1, trace_id=ASSISTANT_ID, service="assistant")
    spans = message.resource_spans[0].scope_spans[0].spans
    root = spans[0]
    del root.attributes[:]
    begin = now_ns - 2000 * MS
    root.name, root.span_id, root.kind = "answer", bytes([1] * 8), 2
    root.start_time_unix_nano, root.end_time_unix_nano = begin, begin + 1800 * MS
    for number, (name, start, end, model, tokens, cost, prompt, answer, patch) in enumerate([
            ("plan", 20, 500, "model-small", (812, 64), 0.0004, "Which orders of customer 4711 are late?", "Look them up.",
             '[{"op":"add","path":"/plan","value":["orders"]}]'),
            ("write", 600, 1750, "model-large", (2140, 391), 0.0187, "Tell the customer about order 17.", "Dear customer, ...",
             '[{"op":"add","path":"/answer","value":"sent"},{"op":"remove","path":"/plan"}]')]):
        span = spans.add(trace_id=ASSISTANT_ID, span_id=bytes([2 + number] * 8), parent_span_id=root.span_id, name=name, kind=3,
                         start_time_unix_nano=begin + start * MS, end_time_unix_nano=begin + end * MS)
        for key, value in (("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "acme"), ("gen_ai.request.model", model),
                           ("gen_ai.usage.input_tokens", tokens[0]), ("gen_ai.usage.output_tokens", tokens[1]),
                           ("llm.cost.total", cost), ("gen_ai.prompt.0.content", prompt),
                           ("gen_ai.completion.0.content", answer)):
            otlp.attribute(span, key, value)
        event = span.events.add(name="set_state", time_unix_nano=begin + end * MS)
        otlp.attribute(event, "state.patch", patch)
    return message


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_examples_of_the_documents_do_what_they_say(agent, document, tmp_path):
    found = list(examples((ROOT / document).read_text()))
    assert found or document not in EXECUTED
    if not found:
        return
    under_test = agent()
    done = untrace("send", "--endpoint", under_test.url, "--spans", 1000, "--seed", 1)
    assert done.returncode == 0, done.stderr
    newest = untrace("traces", "--data-dir", under_test.data_dir, "--jsonl", "-n", 1).stdout
    under_test.accept(assistant_trace(int(re.search(r'"start_ns":(\d+)', newest).group(1))))
    folder = tmp_path / "folder"
    folder.mkdir()
    # `untrace check` tries the port and the data directory: those of nobody else.
    environment = {**os.environ, "UNTRACE_CONFIG": str(under_test.config_file), "LC_ALL": "C.UTF-8",
                   "UNTRACE_LISTEN": "127.0.0.1:0", "UNTRACE_DATA_DIR": str(under_test.data_dir),
                   "PATH": f"{Path(PROGRAM).parent}:{os.environ['PATH']}"}
    wrong = []
    for number, command, expected in found:
        done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_S, check=False)
        assert not SANITIZER.search(done.stdout), done.stdout
        difference = differs(done.stdout.splitlines(), expected)
        if difference:
            wrong.append(f"{document}:{number}: $ {command}\n{difference}\nall of it:\n{done.stdout}")
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("lines, patterns, same", [
    (["a", "b"], ["a", "b"], True), (["a", "b"], ["a"], False), (["a"], ["a", "b"], False), (["a x b"], ["a ... b"], True),
    (["a b"], ["a ... b"], False), (["a", "b", "c"], ["...", "c"], True), (["c"], ["...", "c"], True), ([], ["..."], True),
    (["a", "b"], ["...", "c"], False), (["a"], [], False), (["a  "], ["a"], True), (["x"], ["."], False)])
def test_what_is_expected_is_told_from_what_is_not(lines, patterns, same):
    assert (differs(lines, patterns) is None) == same
