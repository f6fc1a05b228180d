"""The examples of the documents, executed. A block fenced as ```console holds commands behind `$ ` and, below each, what it
prints on standard output and standard error. In what is expected, `...` within a line stands for anything in that line, a
line of nothing but `...` for any lines. Each document gets an agent with fresh sample data; its blocks run in order, in one
folder, with UNTRACE_CONFIG set."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from agent import PROGRAM, ROOT, SANITIZER, untrace
from waiting import DEADLINE_S

EXECUTED = ["README.md", "docs/QUERY.md", "docs/RETENTION.md"]  # have examples, or something is wrong
DOCUMENTS = sorted({*EXECUTED, *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))})
FENCE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


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


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_examples_of_the_documents_do_what_they_say(agent, document, tmp_path):
    found = list(examples((ROOT / document).read_text()))
    assert found or document not in EXECUTED
    if not found:
        return
    under_test = agent()
    done = untrace("send", "--endpoint", under_test.url, "--spans", 1003, "--seed", 1)
    assert done.returncode == 0, done.stderr
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
