"""From the store to the destinations: what comes back, in which way it fails, and that one failing destination is
nobody else's trouble."""

import collections
import email.utils
import json
import ssl
import threading
import time

import pytest

import otlp
from agent import untrace
from certificates import Authority
from destination import DROP, Answer, server_tls
from waiting import until


def ids_of_all(messages):
    return set().union(*map(otlp.ids_of, messages))


def send_some(agent, count, spans=1):
    messages = [otlp.request(spans) for _ in range(count)]
    for message in messages:
        agent.accept(message)
    return ids_of_all(messages)


def wait_log(agent, *words):
    """Waits for a line of the agent's log that has all these words in it."""
    def found():
        return next((line for line in agent.log().splitlines() if all(word in line for word in words)), None)
    return until(found, lambda: f"a line with {words} in the log:\n{agent.log()[-4000:]}")


# ---- a Collector that comes and goes --------------------------------------------------------------

def test_what_was_accepted_while_the_collector_was_down_arrives_when_it_is_up(agent, collector, authority, to):
    receiving = collector(start=False)
    under_test = agent([to(receiving, tls={"ca_file": authority.cert})])
    ids = send_some(under_test, 50, 3)
    wait_log(under_test, "warn", "peer")
    receiving.start()
    receiving.agent.wait_for(ids)
    receiving.stop()
    more = send_some(under_test, 50, 3)
    receiving.start()
    receiving.agent.wait_for(ids | more)


def test_a_restart_delivers_what_was_pending(agent, collector, authority, to):
    receiving = collector(start=False)
    under_test = agent([to(receiving, tls={"ca_file": authority.cert})])
    ids = send_some(under_test, 20, 5)
    under_test.stop()
    under_test.start()
    ids |= send_some(under_test, 20, 5)
    under_test.kill()
    receiving.start()
    under_test.start()
    receiving.agent.wait_for(ids)
    assert set(receiving.agent.spans) == ids


def test_a_restart_does_not_send_again_what_was_delivered(agent, destination, to):
    peer = destination()
    under_test = agent([to(peer)])
    first = send_some(under_test, 20, 5)
    peer.wait_for(first)
    under_test.stop()
    under_test.start()
    second = send_some(under_test, 1)
    peer.wait_for(second)
    assert sorted(peer.taken()) == sorted(first | second)


def test_a_kill_repeats_only_what_was_delivered_in_the_last_seconds(agent, destination, to):
    peer = destination()
    under_test = agent([to(peer)])
    settled = send_some(under_test, 20, 5)
    peer.wait_for(settled)

    def all_are_marked():
        info = json.loads(untrace("store", "info", "--json", "--data-dir", under_test.data_dir).stdout)
        return info["destinations"][0]["pending"] == 0
    until(all_are_marked, "the marks in the ledger")
    recent = send_some(under_test, 1, 5)
    peer.wait_for(recent)
    under_test.kill()
    under_test.start()
    later = send_some(under_test, 1)
    peer.wait_for(later)
    times = collections.Counter(peer.taken())
    assert set(times) == settled | recent | later
    assert all(times[key] == 1 for key in settled | later)
    assert all(times[key] <= 2 for key in recent)


def test_a_central_that_is_killed_gets_everything_and_stores_it_once(agent, destination, to):
    sink = destination()
    central = agent([to(sink)], start=False)
    central.start()
    central.config["receivers"]["otlp_http"]["listen"] = f"127.0.0.1:{central.port}"  # the same one after each restart
    edge = agent([to(central, name="central", retry={"initial": "10ms", "max": "50ms"})])
    ids = set()
    for _ in range(10):
        ids |= send_some(edge, 20, 3)
        central.kill()
        ids |= send_some(edge, 5, 3)
        central.start()
    sink.wait_for(ids)
    assert set(sink.taken()) == ids
    traces = {trace for trace, _ in ids}
    listing = untrace("traces", "--data-dir", central.data_dir, "--json", "--limit", 10 * len(traces)).stdout
    stored = [json.loads(line) for line in listing.splitlines()]
    assert sorted(trace["trace_id"] for trace in stored) == sorted(traces)
    assert {trace["spans"] for trace in stored} == {3}


# ---- answers that ask for another try -------------------------------------------------------------

@pytest.mark.parametrize("failure", [429, 502, 503, 504, DROP, "garbage", "half an answer"])
def test_what_may_be_tried_again_is_tried_until_it_is_taken(agent, destination, to, failure):
    answers = {"garbage": Answer(raw=b"this is no HTTP\r\n\r\n"),
               "half an answer": Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"), DROP: DROP}
    answer = answers.get(failure) or Answer(failure)
    peer = destination(lambda request: answer if request.number < 4 else Answer())
    under_test = agent([to(peer)])
    ids = send_some(under_test, 3, 2)
    peer.wait_for(ids)
    assert sorted(peer.taken()) == sorted(ids)


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(agent, destination, to, status, form):
    def script(request):
        if request.number > 0:
            return Answer()
        if form == "seconds":
            return Answer(status, headers={"Retry-After": "2"})
        # Three, because the date has whole seconds: at least two remain.
        return Answer(status, headers={"Retry-After": email.utils.formatdate(time.time() + 3, usegmt=True)})
    peer, other = destination(script), destination()
    under_test = agent([to(peer, connections=1), to(other, name="other")])
    ids = send_some(under_test, 1)
    other.wait_for(ids)
    peer.wait_for(ids)
    first, second = peer.tries(ids)
    assert second.at - first.at > 1.9
    assert other.requests[0].at < second.at  # the other one does not wait with it


def test_back_off_grows_and_ends_with_the_first_success(agent, destination, to):
    peer = destination(lambda request: Answer(503 if request.number < 6 else 200))
    under_test = agent([to(peer, connections=1, retry={"initial": "20ms", "max": "100ms", "multiplier": 2})])
    ids = send_some(under_test, 1)
    peer.wait_for(ids)
    assert len(peer.requests) == 7
    assert peer.requests[6].at - peer.requests[0].at < 30


def test_an_answer_that_never_comes_times_out_and_is_tried_again(agent, destination, to):
    released = threading.Event()

    def script(request):
        if request.number == 0:
            released.wait(60)
        return Answer()
    peer = destination(script)
    under_test = agent([to(peer, timeout="300ms")])
    ids = send_some(under_test, 1)
    until(lambda: len(peer.tries(ids)) >= 2 and peer.tries(ids)[-1].status == 200, "the second try")
    released.set()


# ---- answers that end it --------------------------------------------------------------------------

@pytest.mark.parametrize("status", [400, 408, 422, 500, 501])
def test_what_is_refused_for_good_is_not_tried_again_and_holds_nothing_up(agent, destination, to, status):
    refused = set()
    peer = destination(lambda request: Answer(status if request.ids & refused else 200,
                                              b'{"code":3,"message":"no"}', content_type="application/json"))
    other = destination()
    under_test = agent([to(peer), to(other, name="other")])
    message = otlp.request(1)
    refused |= otlp.ids_of(message)
    under_test.accept(message)
    until(lambda: peer.tries(refused), "the first try")
    ids = send_some(under_test, 20, 2)
    peer.wait_for(ids)
    other.wait_for(ids | refused)
    assert len(peer.tries(refused)) == 1
    wait_log(under_test, "peer", str(status))
    # Not after a restart either.
    under_test.stop()
    under_test.start()
    peer.wait_for(send_some(under_test, 1))
    assert len(peer.tries(refused)) == 1


def test_one_bad_span_takes_no_other_with_it(agent, destination, to):
    refused = set()
    peer = destination(lambda request: Answer(400 if request.ids & refused else 200))
    under_test = agent([to(peer)])
    message = otlp.request(100)
    bad = otlp.spans_of(message)[42]
    refused.add((bad.trace_id.hex(), bad.span_id.hex()))
    under_test.accept(message)
    peer.wait_for(otlp.ids_of(message) - refused)
    assert sorted(peer.taken()) == sorted(otlp.ids_of(message) - refused)
    until(lambda: any(request.ids == refused for request in peer.tries(refused)), "the bad span goes alone")
    peer.wait_for(send_some(under_test, 3))
    assert sum(request.ids == refused for request in peer.tries(refused)) == 1


@pytest.mark.parametrize("status", [302, 401, 403, 404])
def test_an_answer_that_speaks_of_the_settings_loses_nothing(agent, destination, to, status):
    """A wrong token or address is put right while the agent waits; redirects are not followed."""
    elsewhere = destination()
    peer = destination(lambda request: Answer(status, headers={"Location": elsewhere.url}) if request.number < 4 else Answer())
    under_test = agent([to(peer)])
    ids = send_some(under_test, 10, 2)
    peer.wait_for(ids)
    wait_log(under_test, "error", "peer", str(status))
    assert sorted(peer.taken()) == sorted(ids)
    assert elsewhere.requests == []


def test_max_attempts_ends_the_tries(agent, destination, to):
    refused = set()
    peer = destination(lambda request: Answer(503 if request.ids & refused else 200))
    under_test = agent([to(peer, retry={"initial": "10ms", "max": "20ms", "max_attempts": 4})])
    message = otlp.request(2)
    refused |= otlp.ids_of(message)
    under_test.accept(message)
    until(lambda: len(peer.tries(refused)) >= 4, "four tries")
    peer.wait_for(send_some(under_test, 5))
    assert len(peer.tries(refused)) == 4


def test_a_partial_success_is_not_sent_again(agent, destination, to):
    body = b"\x0a\x08\x08\x01\x12\x04oops"  # partial_success { rejected_spans: 1, error_message: "oops" }
    peer = destination(lambda request: Answer(200, body))
    under_test = agent([to(peer)])
    first = send_some(under_test, 1, 3)
    peer.wait_for(first)
    wait_log(under_test, "peer", "oops")
    peer.wait_for(send_some(under_test, 3))
    assert len(peer.tries(first)) == 1


@pytest.mark.parametrize("body", [b"\x0a\x00", b"\x0a\x06\x12\x04warn", b"not protobuf \xff\xff"])
def test_other_bodies_of_a_success_are_a_success(agent, destination, to, body):
    peer = destination(lambda request: Answer(200, body))
    under_test = agent([to(peer)])
    first = send_some(under_test, 1, 3)
    peer.wait_for(first)
    peer.wait_for(send_some(under_test, 3))
    assert len(peer.tries(first)) == 1


def test_every_status_of_200_to_299_is_a_success(agent, destination, to):
    statuses = [201, 202, 299]
    peer = destination(lambda request: Answer(statuses[request.number] if request.number < 3 else 200))
    under_test = agent([to(peer, connections=1)])
    for number in range(3):
        send_some(under_test, 1)
        peer.wait_requests(number + 1)
    last = send_some(under_test, 1)
    peer.wait_for(last)
    assert len(peer.requests) == 4


def test_an_enormous_answer_is_not_read_to_its_end(agent, destination, to):
    peer = destination(lambda request: Answer(200, bytes(16 * 1024 * 1024)) if request.number == 0 else Answer())
    under_test = agent([to(peer)])
    send_some(under_test, 1)
    peer.wait_requests(1)
    peer.wait_for(send_some(under_test, 3))


def test_a_batch_that_is_too_large_is_split_until_it_is_taken(agent, destination, to):
    hopeless = set()

    def script(request):
        return Answer(413 if len(request.ids) > 10 or request.ids & hopeless else 200)
    peer, other = destination(script), destination()
    under_test = agent([to(peer, batch={"max_spans": 500, "max_delay": "100ms"}), to(other, name="other")])
    message = otlp.request(200)
    alone = otlp.first_span(message)
    hopeless.add((alone.trace_id.hex(), alone.span_id.hex()))
    under_test.accept(message)
    ids = otlp.ids_of(message) | send_some(under_test, 30, 3)
    peer.wait_for(ids - hopeless)
    other.wait_for(ids)
    assert sorted(peer.taken()) == sorted(ids - hopeless)  # each once
    until(lambda: any(request.ids == hopeless for request in peer.tries(hopeless)), "the single span is tried")
    peer.wait_for(send_some(under_test, 5))
    assert sum(request.ids == hopeless for request in peer.tries(hopeless)) == 1


# ---- independence ---------------------------------------------------------------------------------

def test_destinations_that_are_dead_slow_or_hostile_delay_no_other(agent, destination, to):
    released = threading.Event()

    def never(request):
        released.wait(60)
        return Answer()
    good, silent = destination(), destination(never)
    hostile = destination(lambda request: Answer(raw=b"\0\xff" * 100_000))
    endless = destination(lambda request: Answer(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000))
    down = destination(start=False)
    under_test = agent([to(silent, name="silent"), to(hostile, name="hostile"), to(endless, name="endless"), to(down, name="down"),
                        to(good, name="good"), to("http://no-such-host.invalid:4318", name="unknown")])
    for _ in range(10):
        ids = send_some(under_test, 10, 2)
        good.wait_for(ids, deadline_s=20)
    released.set()
    under_test.stop()


def test_several_batches_are_under_way_at_once(agent, destination, to):
    barrier = threading.Barrier(4)
    waits = []

    def script(request):
        # The first proves that the destination is well; then four must be here at the same time.
        if 1 <= request.number <= 4:
            waits.append(barrier.wait(60))
        return Answer()
    peer = destination(script)
    under_test = agent([to(peer, connections=4, batch={"max_spans": 10, "max_delay": "10ms"}, timeout="60s")])
    peer.wait_for(send_some(under_test, 20, 10))
    assert sorted(waits) == [0, 1, 2, 3]


# ---- what a request looks like --------------------------------------------------------------------

def test_small_requests_are_merged_and_large_ones_split(agent, destination, to):
    peer = destination()
    under_test = agent([to(peer, batch={"max_spans": 50, "max_delay": "200ms"})])
    small = send_some(under_test, 200)
    peer.wait_for(small)
    assert len(peer.requests) < 100
    large = send_some(under_test, 1, 400)
    peer.wait_for(large)
    assert max(len(request.ids) for request in peer.requests) <= 50
    assert sorted(peer.taken()) == sorted(small | large)


def test_a_batch_has_no_more_bytes_than_configured(agent, destination, to):
    peer = destination()
    under_test = agent([to(peer, batch={"max_bytes": "32KiB", "max_delay": "100ms"}, compression="none")])
    message = otlp.request(200, payload=1000)
    under_test.accept(message)
    peer.wait_for(otlp.ids_of(message))
    assert max(request.raw_bytes for request in peer.requests) <= 32 * 1024


@pytest.mark.parametrize("compression", ["gzip", "none"])
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_encoding_compression_and_headers_are_as_configured(agent, destination, to, encoding, compression):
    peer = destination()
    config = to(peer, encoding=encoding, compression=compression, headers={"X-Token": "Bearer ${env:E2E_TOKEN}", "X-Plain": "a b"})
    config["endpoint"] += "/base/path/"
    under_test = agent([config], environment={"E2E_TOKEN": "s3cret-e2e"})
    ids = send_some(under_test, 3)
    peer.wait_for(ids)
    headers = peer.requests[0].headers
    assert peer.requests[0].path == "/base/path/v1/traces"
    assert headers["Content-Type"] == (otlp.PROTOBUF if encoding == "protobuf" else otlp.JSON)
    assert headers["Content-Encoding"] == ("gzip" if compression == "gzip" else None)
    assert (headers["X-Token"], headers["X-Plain"]) == ("Bearer s3cret-e2e", "a b")
    assert headers["User-Agent"].lower().startswith("untrace")
    assert headers["Host"] == f"127.0.0.1:{peer.port.number}"
    assert "s3cret-e2e" not in under_test.log()


def test_a_connection_is_kept(agent, destination, to):
    peer = destination()
    under_test = agent([to(peer, connections=1)])
    for _ in range(20):
        peer.wait_for(send_some(under_test, 1))
    assert peer.server.connections == 1


# ---- TLS ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("key", ["ec", "rsa"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_delivery_over_each_version_of_tls(agent, destination, authority, to, version, key, host):
    certificate = authority.sign(f"destination-{key}", key=key)
    peer = destination(tls=server_tls(certificate, lowest=version, highest=version))
    under_test = agent([to(f"https://{host}:{peer.port.number}", tls={"ca_file": authority.cert})])
    message = otlp.request(100, payload=1000)
    under_test.accept(message)
    peer.wait_for(otlp.ids_of(message))
    assert set(peer.tls_versions) == {"TLSv1.2" if version == ssl.TLSVersion.TLSv1_2 else "TLSv1.3"}


@pytest.fixture(scope="module")
def bad_certificates(authority, tmp_path_factory):
    """Name to (certificate, word that the agent's log must say about it)."""
    stranger = Authority(tmp_path_factory.mktemp("stranger"), "stranger")
    return {
        "another CA": (stranger.sign("server"), "CA"),
        "another host name": (authority.sign("elsewhere", names="DNS:elsewhere.example,IP:127.0.0.2"), "name"),
        "another use": (authority.sign("client-only", usage="clientAuth"), ""),
        "expired": (authority.sign("expired", days=-1), "expired"),
    }


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("what", ["another CA", "another host name", "another use", "expired"])
def test_a_certificate_that_does_not_verify_gets_nothing(agent, destination, authority, to, bad_certificates, what, version):
    certificate, word = bad_certificates[what]
    peer = destination(tls=server_tls(certificate, lowest=version, highest=version))
    under_test = agent([to(peer, tls={"ca_file": authority.cert})])
    ids = send_some(under_test, 3)
    assert word in wait_log(under_test, "peer:", "certificate")
    assert peer.requests == []
    # Nothing was lost: with the right certificate it goes through, without a restart.
    peer.tls = server_tls(authority.sign("right"))
    peer.wait_for(ids)


def test_insecure_delivers_to_anybody_with_a_warning_at_each_start(agent, destination, authority, to, bad_certificates):
    peer = destination(tls=server_tls(bad_certificates["another CA"][0]))
    under_test = agent([to(peer, tls={"insecure": True})])
    peer.wait_for(send_some(under_test, 3))
    for _ in range(2):
        wait_log(under_test, "warn", "insecure", "peer")
        under_test.stop()
        under_test.start()


def test_the_collector_may_ask_for_a_client_certificate(agent, collector, authority, to):
    receiving = collector(client_ca=authority.cert)
    client = authority.sign("edge")
    with_it = agent([to(receiving, tls={"ca_file": authority.cert, "cert_file": client.cert, "key_file": client.key})])
    without = agent([to(receiving, tls={"ca_file": authority.cert})])
    kept = send_some(without, 5)
    ids = send_some(with_it, 5)
    receiving.agent.wait_for(ids)
    wait_log(without, "warn", "peer")
    assert not kept & receiving.agent.read().spans.keys()
    # And with the certificate, what was kept is delivered.
    without.stop()
    without.config["destinations"][0]["tls"] |= {"cert_file": client.cert, "key_file": client.key}
    without.start()
    receiving.agent.wait_for(kept)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_new_connection_resumes_the_tls_session(agent, destination, authority, server_certificate, to, version):
    peer = destination(lambda request: Answer(headers={"Connection": "close"}),
                       tls=server_tls(server_certificate, lowest=version, highest=version))
    under_test = agent([to(peer, tls={"ca_file": authority.cert}, connections=1)])
    for _ in range(10):
        peer.wait_for(send_some(under_test, 1))
    assert peer.handshakes["resumed"] >= 8, (peer.handshakes, peer.handshake_errors)
