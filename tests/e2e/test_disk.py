"""The disk at its worst: full, read-only, damaged, of another version, in use. Nothing acknowledged is lost, and the
agent never silently starts anew."""

import collections
import hashlib
import json
import os
import random
import signal
import subprocess

import pytest

import agent as agent_module
import otlp
import wire
from waiting import until

EX_DATAERR, EX_UNAVAILABLE, EX_IOERR, EX_TEMPFAIL, EX_NOPERM, EX_CANTCREAT = 65, 69, 74, 75, 77, 73
MIB = 1024 * 1024


def on_tmpfs(unshare, folder, size, then=""):
    """A command prefix under which `folder` is a small file system of its own."""
    folder.mkdir(exist_ok=True)
    return [*unshare, "sh", "-ec", f'mount -t tmpfs -o size={size} none "$0"; {then} exec "$@"', str(folder)]


def resize(agent, unshare, size):
    user = ["-U", "--preserve-credentials"] if "-rm" in unshare else []
    subprocess.run(["nsenter", "-t", str(agent.process.pid), *user, "-m", "mount", "-o", f"remount,size={size}", "none",
                    str(agent.data_dir)], check=True)


def assert_refused_for_now(answer):
    assert answer.status == 503, answer
    assert int(answer.headers["retry-after"]) > 0


def inside(agent, unshare, *command):
    """Runs a command where it sees the mounts of the agent."""
    user = ["-U", "--preserve-credentials"] if "-rm" in unshare else []
    return subprocess.run(["nsenter", "-t", str(agent.process.pid), *user, "-m", *command], check=True, capture_output=True,
                          text=True).stdout


def store_info(agent, unshare):
    return json.loads(inside(agent, unshare, agent_module.PROGRAM, "store", "info", "--json", "--data-dir", str(agent.data_dir)))


def turn_over(agent, requests):
    """Sends so many requests, all of which have to be taken; the ids of the newest."""
    newest = collections.deque(maxlen=10)
    with wire.Connection(agent.port) as connection:
        for _ in range(requests):
            message = otlp.request(20, payload=2000)
            until(lambda: taken(connection, message), "the request is taken")
            newest.append(otlp.ids_of(message))
    return set().union(*newest)


@pytest.mark.parametrize("size", ["3m", "8m"])
def test_on_a_full_disk_the_oldest_leave_for_the_new_and_the_store_grows_once_there_is_room(agent, destination, to, unshare,
                                                                                          size):
    peer = destination(start=False)
    under_test = agent([to(peer)], start=False, storage={"max_size": "64MiB"})
    under_test.start(prefix=on_tmpfs(unshare, under_test.data_dir, size))
    turn_over(under_test, 1000)  # twice the disk or more
    assert under_test.log().count("no space is left on the disk") == 1
    assert "cannot commit: no space" not in under_test.log()
    info = store_info(under_test, unshare)["since_made"]
    assert info["spans_evicted"] > 0 and info["spans_expired"] == 0
    assert info["spans_stored"] == 20000
    resize(under_test, unshare, "128m")
    # Without a restart it takes what its budget says.
    until(lambda: turn_over(under_test, 50) and store_info(under_test, unshare)["bytes_file"] > 10 * MIB, "the store grows",
          deadline_s=60)
    newest = turn_over(under_test, 20)
    peer.start()
    peer.wait_for(newest)
    assert "cannot commit: no space" not in under_test.log()
    under_test.stop()


def test_on_a_full_disk_a_cleanup_works_and_a_restart_too(agent, unshare):
    under_test = agent(start=False)
    under_test.start(prefix=on_tmpfs(unshare, under_test.data_dir, "8m"))
    turn_over(under_test, 20)
    inside(under_test, unshare, "sh", "-c", f"dd if=/dev/zero of={under_test.data_dir}/filler bs=1k 2>/dev/null || true")
    turn_over(under_test, 500)
    inside(under_test, unshare, agent_module.PROGRAM, "store", "cleanup", "--older-than", "0", "--data-dir", str(under_test.data_dir))
    info = store_info(under_test, unshare)["since_made"]
    assert info["spans_stored"] == info["spans_evicted"] + info["spans_expired"] > 0
    turn_over(under_test, 20)
    under_test.stop()


def test_a_disk_too_small_for_a_request_is_answered_with_503(agent, unshare):
    under_test = agent(start=False)
    under_test.start(prefix=on_tmpfs(unshare, under_test.data_dir, "512k"))
    message = otlp.request(500, payload=2000)
    assert_refused_for_now(under_test.post(message))
    assert "space" in under_test.log()
    resize(under_test, unshare, "128m")
    until(lambda: under_test.post(message).status == 200, "the agent takes spans")


def test_a_disk_that_is_full_at_the_start_is_named(agent, unshare):
    under_test = agent(start=False)
    prefix = on_tmpfs(unshare, under_test.data_dir, "64k", 'dd if=/dev/zero of="$0/filler" bs=1k 2>/dev/null || true;')
    under_test.start(wait=False, prefix=prefix)
    assert under_test.wait() in (EX_IOERR, EX_CANTCREAT)
    assert str(under_test.data_dir) in under_test.log()


def disk_bytes(folder):
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def taken(connection, message):
    connection.send(wire.request(message.SerializeToString()))
    answer = connection.response()
    if answer.status == 200:
        return True
    assert_refused_for_now(answer)
    return False


def test_the_budget_is_kept_and_the_newest_spans_survive(agent, destination, to):
    budget = 8 * MIB
    peer = destination(start=False)
    under_test = agent([to(peer)], storage={"max_size": budget})
    newest = set()
    with wire.Connection(under_test.port) as connection:
        for number in range(400):  # 24 MB or more after compression
            message = otlp.request(30, payload=4000)
            # A reader may pin the pages of what was evicted for a moment: then "later" is right.
            until(lambda: taken(connection, message), "the request is taken")
            assert number % 50 or disk_bytes(under_test.data_dir) <= budget * 1.05
            if number >= 390:
                newest |= otlp.ids_of(message)
    assert disk_bytes(under_test.data_dir) <= budget * 1.05
    assert "damaged" not in under_test.log()  # a block that is being removed is not a damaged one
    peer.start()
    peer.wait_for(newest)
    # And it goes on after a restart.
    under_test.stop()
    under_test.start()
    message = otlp.request(3)
    under_test.accept(message)
    peer.wait_for(otlp.ids_of(message))


def test_a_read_only_disk_is_named(agent, unshare):
    under_test = agent(start=False)
    under_test.start(wait=False, prefix=on_tmpfs(unshare, under_test.data_dir, "8m", 'mount -o remount,ro none "$0";'))
    assert under_test.wait() in (EX_IOERR, EX_CANTCREAT, EX_NOPERM)
    assert str(under_test.data_dir) in under_test.log()


def test_a_data_directory_that_is_a_file_is_named(agent):
    under_test = agent(start=False)
    under_test.data_dir.write_text("not a directory")
    under_test.start(wait=False)
    assert under_test.wait() in (EX_IOERR, EX_CANTCREAT, EX_DATAERR, EX_UNAVAILABLE, 66)
    assert str(under_test.data_dir) in under_test.log()
    assert under_test.data_dir.read_text() == "not a directory"


# ---- damage --------------------------------------------------------------------------------------

@pytest.fixture
def stopped(agent):
    """An agent that has stored something for a destination that is not there, and was stopped."""
    under_test = agent([{"name": "down", "endpoint": "http://127.0.0.1:9", "retry": {"initial": "1h", "max": "1h"}}])
    under_test.ids = set()
    for _ in range(30):
        message = otlp.request(10, payload=1000)
        under_test.accept(message)
        under_test.ids |= otlp.ids_of(message)
    under_test.stop()
    under_test.database = max(under_test.data_dir.iterdir(), key=lambda file: file.stat().st_size)
    return under_test


def digest(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())
            if "lock" not in file.name}


def zero_the_metas(file):
    with open(file, "r+b") as data:
        data.write(bytes(8192))


def noise_in_the_metas(file):
    with open(file, "r+b") as data:
        data.write(random.randbytes(8192))


DAMAGES = {
    "both meta pages are zeros": zero_the_metas,
    "both meta pages are noise": noise_in_the_metas,
    "cut to nothing": lambda file: os.truncate(file, 0),
    "cut to a hundred bytes": lambda file: os.truncate(file, 100),
    "cut to one page": lambda file: os.truncate(file, 4096),
    "cut in half": lambda file: os.truncate(file, file.stat().st_size // 2 // 4096 * 4096),
    "something else altogether": lambda file: file.write_bytes(b"SQLite format 3\0" * 4096),
    "a directory": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_is_refused_and_left_as_it_is(stopped, damage):
    DAMAGES[damage](stopped.database)
    before = digest(stopped.data_dir) if stopped.database.is_file() else None
    stopped.start(wait=False)
    code = stopped.wait()
    log = stopped.log()
    assert code in (EX_DATAERR, EX_IOERR, EX_NOPERM), (code, log)
    assert str(stopped.data_dir) in log, log
    assert "panic" not in log and "assert" not in log.lower()
    if before:
        assert digest(stopped.data_dir) == before


def test_a_page_of_noise_is_survived_or_explained_and_nothing_false_is_sent(stopped, destination):
    """Wherever the damage is: the agent works on, or says why not; it never sends what was not stored."""
    # LMDB maps the file and follows the page numbers in it: one that leads out of it is a fault of memory.
    stopped.environment = {"ASAN_OPTIONS": "handle_segv=0:handle_sigbus=0"}
    ends = (EX_DATAERR, EX_IOERR, -signal.SIGSEGV)
    whole = stopped.database.read_bytes()
    peer = destination()
    stopped.config["destinations"] = [{"name": "down", "endpoint": peer.url, "batch": {"max_delay": "10ms"}}]
    for _ in range(30):
        damaged = bytearray(whole)
        page = random.randrange(2, len(whole) // 4096) * 4096
        if random.random() < 0.5:
            damaged[page:page + 4096] = random.randbytes(4096)
        else:
            for _ in range(8):
                damaged[page + random.randrange(4096)] ^= 1 << random.randrange(8)
        stopped.database.write_bytes(damaged)
        stopped.start(wait=False)
        until(lambda: " ready " in stopped.log() or not stopped.running(), stopped.log)
        if " ready " not in stopped.log():
            code = stopped.wait()
            assert code in ends, stopped.log()
            assert str(stopped.data_dir) in stopped.log()
            continue
        stopped.wait_ready()
        message = otlp.request(3)
        try:
            answer = stopped.post(message)
            assert answer.status in (200, 503)
            stopped.ids |= otlp.ids_of(message)
        except (OSError, wire.Closed):
            pass
        if stopped.running():
            stopped.process.terminate()
        code = stopped.wait()
        assert code in (0, *ends), stopped.log()
        assert code == 0 or str(stopped.data_dir) in stopped.log()
    assert set(peer.taken()) <= stopped.ids


def test_another_format_version_is_refused_and_left_as_it_is(stopped):
    content = stopped.database.read_bytes()
    changed = change_version(content)
    stopped.database.write_bytes(changed)
    stopped.start(wait=False)
    assert stopped.wait() == EX_DATAERR, stopped.log()
    assert str(stopped.data_dir) in stopped.log() and "version" in stopped.log()
    assert stopped.database.read_bytes() == changed


def change_version(content):
    """The same database with a format version from the future (docs/FORMAT.md: key M "version", value [3])."""
    assert content.count(b"Mversion\x91\x03") >= 1
    return content.replace(b"Mversion\x91\x03", b"Mversion\x91\x63")


def test_a_second_agent_on_the_same_directory_is_refused(agent):
    first = agent()
    first.accept(otlp.request(3))
    second = agent(start=False)
    second.config["data_dir"] = str(first.data_dir)
    second.start(wait=False)
    assert second.wait() in (EX_UNAVAILABLE, EX_TEMPFAIL), second.log()
    assert str(first.data_dir) in second.log()
    first.accept(otlp.request(3))
    # Once the first is gone, even by a kill, the directory is free.
    first.kill()
    second.start()
    second.accept(otlp.request(3))
