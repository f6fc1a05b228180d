"""`untrace top`, on terminals of several sizes and without one."""

import json
import signal

import pytest

import otlp
from agent import untrace
from terminal import Terminal
from waiting import until

EX_NOINPUT, EX_USAGE, EX_UNAVAILABLE = 66, 64, 69


@pytest.fixture
def terminal():
    terminals = []

    def make(*arguments, **options):
        terminals.append(Terminal(*arguments, **options))
        return terminals[-1]
    yield make
    for one in terminals:
        one.close()


@pytest.fixture
def busy(agent, destination, to):
    """An agent with a destination that takes everything and one that is not there, and spans of two services."""
    peer = destination()
    dead = "http://127.0.0.1:9"
    one = agent([to(peer, name="central"), to(dead, name="backup")])
    for number in range(20):
        message = otlp.request(10, service="shop" if number % 4 else "billing")
        otlp.spans_of(message)[3].status.code = 2
        one.accept(message)
    return one


def frame(agent, *arguments, code=0):
    done = untrace("top", "--data-dir", agent.data_dir, "--interval", "100ms", *arguments)
    assert (done.returncode, done.stderr) == (code, "")
    return done.stdout


def frame_json(agent, **options):
    return json.loads(frame(agent, "--json", **options))


def test_json_tells_what_the_agent_and_the_store_do(busy):
    until(lambda: frame_json(busy)["destinations"][0]["pending"] == 0 and frame_json(busy)["destinations"][1]["failing"],
          "one destination that has all, and one that fails")
    top = frame_json(busy)
    assert top["agent"]["pid"] == busy.process.pid and top["agent"]["queue"] == 0
    assert top["store"]["spans"] == 200 and 0 < top["store"]["bytes_used"] <= top["store"]["bytes_max"]
    central, backup = top["destinations"]
    assert (central["name"], central["delivered"], central["failing"]) == ("central", 200, False)
    assert (backup["name"], backup["pending"], backup["delivered"]) == ("backup", 200, 0)
    assert "Connection refused" in backup["last_error"]
    assert 0 < backup["oldest_pending_ms"] < 600_000 and central["oldest_pending_ms"] == 0
    shop, billing = top["services"]
    assert (shop["name"], shop["recent_spans"], shop["recent_errors"]) == ("shop", 150, 15)
    assert (billing["name"], billing["recent_spans"], billing["recent_errors"]) == ("billing", 50, 5)
    assert shop["mean_ns"] == 1_234_567 and abs(shop["p99_ns"] - 1_234_567) < 12_346
    assert 0 < top["last_span_unix_ns"] <= top["time_unix_ns"]


def test_rates_are_those_of_the_interval(busy):
    """A sender goes on while frames are taken, until one shows it."""
    def moving():
        from threading import Thread
        sender = Thread(target=lambda: [busy.accept(otlp.request(50, service="shop")) for _ in range(20)])
        sender.start()
        top = frame_json(busy)
        sender.join()
        shop = next(service for service in top["services"] if service["name"] == "shop")
        return top["in_per_s"] > 0 and shop["in_per_s"] > 0 and top["agent"]["requests_per_s"] > 0
    until(moving, "rates above zero")


def test_one_frame_as_text(busy):
    until(lambda: frame_json(busy)["destinations"][1]["failing"], "a destination that fails")
    text = frame(busy, "--once")
    assert "\x1b" not in text
    assert f"process {busy.process.pid}" in text
    assert all(len(line) <= 100 for line in text.splitlines())
    for wanted in ("spans/s", "queue 0", "disk  [", "central", "backup", "failing\n", "  cannot connect", "shop", "billing",
                   "of the newest 200", f"data  {busy.data_dir}"[:40], "last span "):
        assert wanted in text, text
    assert frame(busy).splitlines()[5:7] == text.splitlines()[5:7], "no terminal: one frame without being asked"


def test_without_an_agent_it_shows_the_store(busy):
    until(lambda: frame_json(busy)["destinations"][0]["pending"] == 0, "one destination that has all")
    busy.stop()
    text = frame(busy, "--once", code=EX_UNAVAILABLE)
    assert "no agent is running" in text and "shop" in text and "200 pending, the oldest for" in text
    top = frame_json(busy, code=EX_UNAVAILABLE)
    assert top["agent"] is None and top["store"]["spans"] == 200 and len(top["services"]) == 2
    assert [row["pending"] for row in top["destinations"]] == [0, 200]


def test_nothing_to_look_at_is_an_error(tmp_path):
    done = untrace("top", "--once", "--data-dir", tmp_path)
    assert (done.returncode, done.stdout) == (EX_NOINPUT, "") and "no store" in done.stderr
    for interval in ("1", "50ms", "2h", "soon"):
        assert untrace("top", "--interval", interval).returncode == EX_USAGE


@pytest.mark.parametrize("columns, rows", [(80, 24), (100, 30), (200, 60), (60, 12), (40, 8), (20, 3), (1, 1)])
def test_a_frame_fits_the_terminal(busy, terminal, columns, rows):
    one = terminal("top", "--data-dir", busy.data_dir, "--interval", "100ms", columns=columns, rows=rows)
    one.wait_for("untrace top" if columns > 11 else "…")
    if rows >= 12 and columns >= 60:
        one.wait_for("q quits")
        one.wait_for(lambda text: "central" in text and "service" in text)
        assert one.lines()[0].startswith("untrace top  20")
        assert one.lines()[1].startswith("in ") and one.lines()[2].startswith("out ") and one.lines()[3].startswith("disk ")
    one.press(b"q")
    assert one.wait_end() == 0
    assert one.is_given_back()
    assert b"\n\n" not in one.bytes, "nothing scrolls"


def test_it_follows_the_size_of_the_terminal(busy, terminal):
    one = terminal("top", "--data-dir", busy.data_dir, "--interval", "1h", columns=80, rows=24)
    one.wait_for("q quits")
    one.wait_for(lambda text: "billing" in text)
    one.resize(120, 9)
    one.wait_for(lambda text: text.endswith("services by spans") and len(one.lines()) == 9 and "billing" not in text)
    one.resize(120, 40)
    one.wait_for(lambda text: "billing" in text and "q quits" in text)
    one.press(b"q")
    assert one.wait_end() == 0


def test_keys_sort_and_scroll_the_services_and_tell_of_themselves(agent, terminal):
    one = agent([])
    for number in range(30):
        message = otlp.request(40 - number, service=f"service{number:02}")
        for span in otlp.spans_of(message)[:number // 10]:
            span.status.code = 2
        one.accept(message)
    shown = terminal("top", "--data-dir", one.data_dir, "--interval", "1h", columns=80, rows=24)
    shown.wait_for(lambda text: "service00" in text and " more" in text and "services by spans" in text)
    shown.press(b"\x1b[B")
    shown.wait_for(lambda text: "service00" not in text and "service01" in text)
    shown.press(b"\x1b[6~")
    shown.wait_for(lambda text: "service10" not in text and "service11" in text)
    shown.press(b"e")
    shown.wait_for(lambda text: "services by errors" in text and "service20" in text and "service19" not in text)
    shown.press(b"?")
    shown.wait_for(lambda text: "sorts services by p99" in text and "service20" not in text)
    shown.press(b"x")
    shown.wait_for(lambda text: "service20" in text)
    shown.press(b"q")
    assert shown.wait_end() == 0


def test_it_is_live(busy, terminal):
    one = terminal("top", "--data-dir", busy.data_dir, "--interval", "100ms")
    one.wait_for("200 spans")
    busy.accept(otlp.request(7, service="newcomer"))
    one.wait_for(lambda text: "newcomer" in text and "207 spans" in text)
    busy.stop()
    one.wait_for("no agent is running")
    busy.start()
    one.wait_for(f"process {busy.process.pid}")
    one.press(b"\x03")
    assert one.wait_end() == 0
    assert one.is_given_back()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_and_gives_the_terminal_back(busy, terminal, number):
    one = terminal("top", "--data-dir", busy.data_dir)
    one.wait_for("q quits")
    one.process.send_signal(number)
    assert one.wait_end() == 128 + number
    assert one.is_given_back()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT])
def test_a_crash_gives_the_terminal_back(busy, terminal, number):
    one = terminal("top", "--data-dir", busy.data_dir)
    one.wait_for("q quits")
    one.process.send_signal(number)
    assert one.wait_end() in (-number, 1), "1: a sanitizer has its own handler"
    assert one.is_given_back()


def test_it_ends_where_the_end_of_children_is_ignored(busy, terminal):
    one = terminal("top", "--data-dir", busy.data_dir, ignored=[signal.SIGCHLD])
    one.wait_for("q quits")
    one.press(b"q")
    assert one.wait_end() == 0
    assert one.is_given_back()


def test_text_of_spans_does_not_steer_the_terminal(agent, terminal):
    one = agent([])
    one.accept(otlp.request(1, service="evil \x1b]0;title\x07\x1b[31m name"))
    shown = terminal("top", "--data-dir", one.data_dir)
    shown.wait_for("evil ?]0;title??[31m name")
    assert b"\x1b]0;" not in shown.bytes


def test_many_destinations_and_services_leave_room_for_each_other(agent, terminal, to):
    names = [f"dest{number:02}" for number in range(30)]
    one = agent([to("http://127.0.0.1:9", name=name) for name in names])
    for number in range(80):
        one.accept(otlp.request(2, service=f"service{number:02}"))
    shown = terminal("top", "--data-dir", one.data_dir, "--interval", "100ms", columns=90, rows=24)
    shown.wait_for(lambda text: "and " in text and " more" in text and "service" in text and "q quits" in text)
    assert sum(line.startswith("dest0") for line in shown.lines()) >= 3
    assert sum(line.startswith("service") for line in shown.lines()) >= 3
    rows = json.loads(untrace("top", "--json", "--data-dir", one.data_dir, "--interval", "100ms").stdout)
    assert len(rows["destinations"]) == 30 and len(rows["services"]) == 64
    assert sum(service["recent_spans"] for service in rows["services"]) == rows["recent_spans"] == 2 * 64, "of the newest blocks"
