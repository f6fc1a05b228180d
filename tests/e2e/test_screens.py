"""What traces look like on terminals of 60, 80 and 120 columns: compared with tests/e2e/screens, and measured.

After a change that is meant: SCREENS=write, then look at what `git diff` says.
"""

import json
import os
import pathlib
import re
import subprocess

import pytest
from wcwidth import wcswidth

from agent import PROGRAM
from terminal import Terminal
from waiting import DEADLINE_S

SCREENS = pathlib.Path(__file__).parent / "screens"
BEGIN_NS = 1764450000000000000
MS = 1000000
TRACES = {"repeated": 0x11, "wide": 0x22, "failed": 0x33, "pairs": 0x44}
WIDE_NAMES = ["日本語のスパン名はとても長いです全角文字を含みます", "한국어 이름", "e\u0301te\u0301 नमस्ते", "evil \u202e\u2066txt", "",
              "GET /plain", "ไทย ภาษา", "🇩🇪 flag ❤️ 👍🏽", "👩\u200d👩\u200d👧"]
STACK = ("Traceback (most recent call last):\n  File \"/srv/app/handlers.py\", line 31, in handle\n\traise ValueError(\"bad\")\n"
         "ValueError: bad input 3\nsecond line")


def attributes(values):
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def span(trace, number, parent, name, start_ms, end_ms, **more):
    found = {"traceId": f"{TRACES[trace]:02x}" * 16, "spanId": f"{number:016x}", "name": name,
             "startTimeUnixNano": str(BEGIN_NS + int(start_ms * MS)), "endTimeUnixNano": str(BEGIN_NS + int(end_ms * MS)), **more}
    return found | ({"parentSpanId": f"{parent:016x}"} if parent else {})


def failed(message):
    return {"status": {"code": 2, "message": message}}


def services():
    """Spans by service."""
    repeated = [span("repeated", 1, 0, "GET /list", 0, 300, kind=2)]
    repeated += [span("repeated", 10 + i, 1, "SELECT items", i, i + 0.9, kind=3, **(failed("lock timeout") if i in (7, 9) else {}))
                 for i in range(300)]
    wide = [span("wide", 1, 0, "root 😀", 0, 16)]
    wide += [span("wide", 2 + i, 1, name, i, i + 5) for i, name in enumerate(WIDE_NAMES)]
    event = {"name": "exception", "timeUnixNano": str(BEGIN_NS + 40 * MS),
             "attributes": attributes({"exception.type": "ValueError", "exception.stacktrace": STACK})}
    link = {"traceId": "11" * 16, "spanId": f"{1:016x}", "attributes": attributes({"messaging.id": "m-1"})}
    job = [span("failed", 1, 0, "job", 0, 50, kind=5, events=[event], links=[link], **failed("ValueError: bad input 3\nsecond line")),
           span("failed", 2, 1, "step", 10, 20)]
    calls = [span("pairs", 1, 0, "POST /batch", 0, 100, kind=2)]
    calls += [span("pairs", 10 + i, 1, "GET", i * 5, i * 5 + 4, kind=3) for i in range(20)]
    served = [span("pairs", 100 + i, 10 + i, "GET /stock/{sku}", i * 5 + 1, i * 5 + 3, kind=2) for i in range(20)]
    return {"shop": repeated, "wéird-日本語サービスとても長い": wide, "worker": job, "cart": calls, "stock": served}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("screens")
    file = directory / "spans.json"
    file.write_text(json.dumps({"resourceSpans": [
        {"resource": {"attributes": attributes({"service.name": name})}, "scopeSpans": [{"scope": {"name": "demo"}, "spans": spans}]}
        for name, spans in services().items()]}))
    subprocess.run([PROGRAM, "import", file, "--quiet", "--data-dir", directory / "data"], check=True, timeout=DEADLINE_S)
    return directory / "data"


def screen(data_dir, columns, *arguments):
    terminal = Terminal(*arguments, "--no-pager", "--data-dir", data_dir, columns=columns)
    assert terminal.wait_end() == 0
    terminal.close()
    text = terminal.bytes.decode().replace("\r\n", "\n")
    plain = re.sub("\x1b\\[[0-9;]*m", "", text)
    assert "\x1b[" in text and "\x1b" not in plain
    return plain


CASES = {
    "repeated": ("trace", "1111"),
    "wide": ("trace", "2222"),
    "failed": ("trace", "3333", "-v"),
    "pairs": ("trace", "4444"),
    "errors": ("trace", "1111", "--errors", "--all"),
    "depth": ("trace", "4444", "--depth", "1"),
    "traces": ("traces",),
    "stats": ("stats", "--limit", "8"),
}


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("case", CASES)
def test_screens_look_as_they_did_and_fit(data_dir, case, columns):
    found = screen(data_dir, columns, *CASES[case])
    file = SCREENS / f"{case}-{columns}.txt"
    if os.environ.get("SCREENS") == "write":
        file.write_text(found)
    for line in found.splitlines():
        assert 0 <= wcswidth(line) <= columns, line
    assert found == file.read_text()


def test_bars_begin_in_one_column(data_dir):
    for columns in (60, 80, 100, 120, 200):
        lines = [line for line in screen(data_dir, columns, "trace", "2222").splitlines() if "wéird" in line]
        assert len(lines) == 1 + len(WIDE_NAMES)
        ends = {wcswidth(re.match(r".* (ms|ns) [* ] ", line).group(0)) for line in lines}
        assert len(ends) == 1, lines


def test_all_shows_every_span_and_the_limit_says_what_is_missing(data_dir):
    def lines(*options):
        done = subprocess.run([PROGRAM, "trace", "1111", "-d", data_dir, *options], capture_output=True, text=True, check=True,
                              timeout=DEADLINE_S)
        return done.stdout.splitlines()
    assert sum("SELECT items" in line for line in lines("--all")) == 301, "300 and the head"
    limited = lines("-a")
    assert sum("SELECT items" in line for line in limited) == 200
    assert limited[-1] == "101 more spans; --all"
    assert lines("--errors")[-1] == "298 other spans left out by the conditions"
    assert lines("--min-duration", "1ms")[-1] == "300 other spans, 2 with errors, left out by the conditions"
