"""storage.commit_delay, in a real agent: requests share a commit, and what is answered is durable all the same."""

import json
import struct
import time

import otlp
import wire
from agent import untrace

DELAY_S = 0.3
# Of LMDB's meta pages on a machine with words of 64 bits: they stand at 0 and at the size of a page.
PAGE_BYTES_AT, TRANSACTION_AT = 40, 144


def last_transaction(agent):
    """The number of the last commit that the data file holds."""
    data = (agent.data_dir / "store.mdb").read_bytes()
    page_bytes, = struct.unpack_from("<I", data, PAGE_BYTES_AT)
    return max(struct.unpack_from("<Q", data, at + TRANSACTION_AT)[0] for at in (0, page_bytes))


def spans_stored(agent):
    done = untrace("store", "info", "--json", "--data-dir", agent.data_dir)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["since_made"]["spans_stored"]


def test_requests_within_the_delay_share_a_commit_and_survive_a_kill_right_after_their_answers(agent):
    under_test = agent(storage={"commit_delay": f"{int(DELAY_S * 1000)}ms"})
    before = last_transaction(under_test)
    with wire.Connection(under_test.port) as first, wire.Connection(under_test.port) as second:
        begin = time.monotonic()
        first.send(wire.request(otlp.request(3).SerializeToString()))
        second.send(wire.request(otlp.request(4).SerializeToString()))
        sent_s = time.monotonic() - begin
        assert [first.response().status, second.response().status] == [200, 200]
        under_test.kill()
        answered_s = time.monotonic() - begin
    assert answered_s >= DELAY_S
    if sent_s < DELAY_S / 2:  # the machine was not busy with something else
        assert last_transaction(under_test) - before == 1
    assert spans_stored(under_test) == 7


def test_an_answer_does_not_come_before_the_delay_and_the_end_does_not_wait_for_it(agent):
    under_test = agent(storage={"commit_delay": "1s"})
    with wire.Connection(under_test.port) as connection:
        begin = time.monotonic()
        connection.send(wire.request(otlp.request(1).SerializeToString()))
        assert connection.response().status == 200
        assert time.monotonic() - begin >= 1
        connection.send(wire.request(otlp.request(2).SerializeToString()))
        under_test.stop()
    assert spans_stored(under_test) in (1, 3)  # the second one was on its way, or it came too late
