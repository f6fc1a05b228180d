"""The OTLP/HTTP receiver, over raw sockets: every status and every limit, and that what is refused is not stored."""

import gzip
import json
import re
import select
import socket
import ssl

import pytest
from google.rpc.status_pb2 import Status

import otlp
import wire
from otlp import JSON, PROTOBUF
from waiting import until

BODY_MAX = 1024 * 1024
INVALID_ARGUMENT = 3


class Subject:
    """An agent with small limits, and the destination that shows what it has stored."""

    def __init__(self, agent, destination):
        self.agent, self.destination = agent, destination
        self.port = agent.port

    def post(self, body, content_type=PROTOBUF, **options):
        return wire.post(self.port, body, content_type, **options)

    def assert_alive_and_nothing_else_stored(self, before):
        """A good request goes through, and is all that has come to the destination since `before`."""
        marker = otlp.request(2)
        self.agent.accept(marker)
        self.destination.wait_for(otlp.ids_of(marker))
        assert set(self.destination.taken()[before:]) == otlp.ids_of(marker)

    def stored(self):
        """Waits until all that was acknowledged has come to the destination; gives how much that is."""
        marker = otlp.request(1)
        self.agent.accept(marker)
        self.destination.wait_for(otlp.ids_of(marker))
        return len(self.destination.taken())


@pytest.fixture(scope="module")
def subject(module_agent, module_destination, to):
    sink = module_destination()
    return Subject(module_agent([to(sink, connections=1)], receiver={"max_body_size": "1MiB", "max_memory": "64MiB"}), sink)


def assert_status_body(answer, content_type):
    """The body of an error is a google.rpc.Status in the content type of the request; gives its code and message."""
    assert answer.headers["content-type"] == content_type
    if content_type == JSON:
        status = json.loads(answer.body)
        assert set(status) <= {"code", "message", "details"}
        code, message = status.get("code", 0), status["message"]
    else:
        status = Status.FromString(answer.body)
        code, message = status.code, status.message
    assert message and message.isprintable(), message
    return code, message


# ---- success -------------------------------------------------------------------------------------

def test_full_success_is_an_empty_message(subject):
    message = otlp.request(3)
    answer = subject.post(message.SerializeToString())
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, PROTOBUF, b"")
    answer = subject.post(json.dumps(otlp.as_json(otlp.request(3))).encode(), JSON)
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, JSON, b"{}")
    subject.destination.wait_for(otlp.ids_of(message))


@pytest.mark.parametrize("body, content_type", [(b"", PROTOBUF), (b"{}", JSON), (b'{"resourceSpans":[]}', JSON), (b"\n\0", PROTOBUF)])
def test_an_empty_request_is_a_success(subject, body, content_type):
    answer = subject.post(body, content_type)
    assert (answer.status, answer.body) == (200, b"{}" if content_type == JSON else b"")


@pytest.mark.parametrize("compress", [False, True])
def test_content_types_may_have_parameters_and_any_case(subject, compress):
    for content_type in ("application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8;x=y",
                         "APPLICATION/X-PROTOBUF", "application/x-protobuf ; messageType=\"a;b\""):
        message = otlp.request(2)
        body = json.dumps(otlp.as_json(message)).encode() if "json" in content_type.lower() else message.SerializeToString()
        answer = subject.post(body, content_type, compress=compress)
        assert answer.status == 200, (content_type, answer)
        subject.destination.wait_for(otlp.ids_of(message))


def test_a_query_in_the_path_and_odd_spellings_of_encodings_are_taken(subject):
    body = otlp.request().SerializeToString()
    assert subject.post(body, path="/v1/traces?a=b").status == 200
    assert subject.post(body, Content_Encoding="identity").status == 200
    assert subject.post(gzip.compress(body), Content_Encoding="GZIP").status == 200


def test_gzip_of_several_members_is_one_body(subject):
    message = otlp.request(5)
    body = message.SerializeToString()
    assert subject.post(gzip.compress(body[:50]) + gzip.compress(body[50:]), Content_Encoding="gzip").status == 200
    subject.destination.wait_for(otlp.ids_of(message))


def test_the_same_spans_sent_again_are_acknowledged_and_stored_once(subject):
    message = otlp.request(4)
    for _ in range(3):
        subject.agent.accept(message)
    subject.stored()
    taken = subject.destination.taken()
    assert [taken.count(key) for key in otlp.ids_of(message)] == [1] * 4


def test_fields_that_are_not_known_are_skipped(subject):
    message = otlp.request(1)
    body = message.SerializeToString()
    unknown = b"\xf8\x07\x01" + b"\xfa\x07\x03abc" + b"\xfd\x07abcd" + b"\xf9\x07abcdefgh"  # field 127 in each wire type
    assert subject.post(unknown + body + unknown).status == 200
    subject.destination.wait_for(otlp.ids_of(message))


# ---- what the table of bad input says -------------------------------------------------------------

def nested_protobuf(depth, kvlist):
    value = b"\x10\x01"
    for _ in range(depth):
        inner = b"\x0a" + varint(len(value)) + value  # values = 1 of ArrayValue; with a kvlist, value = 2 of a KeyValue in it
        if kvlist:
            pair = b"\x12" + varint(len(value)) + value
            inner = b"\x0a" + varint(len(pair)) + pair
        value = (b"\x32" if kvlist else b"\x2a") + varint(len(inner)) + inner
    attribute = b"\x0a\x01k\x12" + varint(len(value)) + value
    return wrap(otlp.new_trace_id(), otlp.new_span_id(), b"\x4a" + varint(len(attribute)) + attribute)


def varint(value):
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def wrap(trace_id, span_id, more=b""):
    """A request of one span in wire format, with more bytes at its end."""
    body = b"\x0a" + varint(len(trace_id)) + trace_id + b"\x12" + varint(len(span_id)) + span_id + more
    for tag in b"\x12", b"\x12", b"\x0a":
        body = tag + varint(len(body)) + body
    return body


def json_span(more):
    return ('{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%s","spanId":"%s"%s}]}]}]}'
            % (otlp.new_trace_id().hex(), otlp.new_span_id().hex(), more)).encode()


def nested_json(depth):
    open_, close = '{"arrayValue":{"values":[', "]}}"
    count = depth
    return json_span(',"attributes":[{"key":"k","value":%s{"intValue":1}%s}]' % (open_ * count, close * count))


GOOD = wrap(otlp.new_trace_id(), otlp.new_span_id())
UNDECODABLE = {
    "protobuf of random bytes": (PROTOBUF, bytes(range(255, 0, -1))),
    "protobuf cut off": (PROTOBUF, GOOD[:-3]),
    "protobuf with a length beyond the end": (PROTOBUF, b"\x0a\xff\xff\xff\xff\x0f"),
    "protobuf with a varint without end": (PROTOBUF, b"\x0a" + b"\xff" * 12),
    "protobuf with a group without end": (PROTOBUF, b"\x0b\x08\x01"),
    "protobuf with the end of no group": (PROTOBUF, b"\x0c"),
    "protobuf of an unknown wire type": (PROTOBUF, b"\x0f\x01"),
    "protobuf of field 0": (PROTOBUF, b"\x02\x00"),
    "JSON sent as protobuf": (PROTOBUF, b'{"resourceSpans":[]}'),
    "arrays in protobuf nested beyond the limit": (PROTOBUF, nested_protobuf(14_000, kvlist=False)),
    "maps in protobuf nested beyond the limit": (PROTOBUF, nested_protobuf(9_000, kvlist=True)),
    "no JSON": (JSON, b"resourceSpans"),
    "nothing at all as JSON": (JSON, b""),
    "JSON cut off": (JSON, json_span("")[:-4]),
    "JSON with something behind": (JSON, b"{}}"),
    "JSON that is an array": (JSON, b"[]"),
    "JSON with a wrong type": (JSON, b'{"resourceSpans":{"a":1}}'),
    "JSON with a name for a number": (JSON, json_span(',"kind":"SPAN_KIND_OTHER"')),
    "JSON with a word for a time": (JSON, json_span(',"startTimeUnixNano":"yesterday"')),
    "JSON with a number too large": (JSON, json_span(',"startTimeUnixNano":"18446744073709551616"')),
    "JSON with bad base64": (JSON, json_span(',"attributes":[{"key":"k","value":{"bytesValue":"!"}}]')),
    "JSON that is not UTF-8": (JSON, json_span(',"name":"\udcff"'.encode("utf-8", "surrogateescape").decode("latin-1"))
                               .replace("ÿ".encode(), b"\xff")),
    "arrays in JSON nested beyond the limit": (JSON, nested_json(3_500)),
    "brackets in JSON": (JSON, b"[" * 100_000),
    "unknown keys in JSON nested beyond the limit": (JSON, b'{"x":' * 20_000 + b"1" + b"}" * 20_000),
}


@pytest.mark.parametrize("name", UNDECODABLE)
@pytest.mark.parametrize("compress", [False, True])
def test_what_does_not_decode_is_refused_with_400_that_says_where(subject, name, compress):
    before = subject.stored()
    content_type, body = UNDECODABLE[name]
    answer = subject.post(body, content_type, compress=compress)
    assert answer.status == 400, answer
    code, message = assert_status_body(answer, content_type)
    assert code == INVALID_ARGUMENT
    # Where: a position, or the path of a field.
    assert re.search(r"\d|resourceSpans|body", message), message
    subject.assert_alive_and_nothing_else_stored(before)


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_a_good_span_before_the_error_is_not_stored(subject, content_type):
    before = subject.stored()
    message = otlp.request(10)
    if content_type == PROTOBUF:
        body = message.SerializeToString() + b"\x0a\x05ab"
    else:
        body = json.dumps(otlp.as_json(message)).encode()[:-1] + b',"resourceSpans":7}'
    assert subject.post(body, content_type).status == 400
    subject.assert_alive_and_nothing_else_stored(before)


def damaged_gzip():
    body = gzip.compress(otlp.request(20).SerializeToString())
    yield from (body[:-1], body[:-8], body[: len(body) // 2], body[:10], body[:3], b"no gzip at all")
    yield body[:-5] + bytes([body[-5] ^ 1]) + body[-4:]  # checksum
    yield body[:-1] + b"\x7f"  # length
    yield body[:20] + bytes([body[20] ^ 0xFF]) + body[21:]  # content
    yield body + b"behind"


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("number", range(10))
def test_damaged_gzip_is_refused_with_400(subject, number, content_type):
    before = subject.stored()
    answer = subject.post(list(damaged_gzip())[number], content_type, Content_Encoding="gzip")
    assert answer.status == 400, answer
    assert "gzip" in assert_status_body(answer, content_type)[1].lower()
    subject.assert_alive_and_nothing_else_stored(before)


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_other_content_encodings_are_refused(subject, encoding):
    before = subject.stored()
    answer = subject.post(otlp.request().SerializeToString(), Content_Encoding=encoding)
    assert answer.status in (400, 415), answer
    subject.assert_alive_and_nothing_else_stored(before)


def memory_bytes(process):
    """Peak of resident memory."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_a_gzip_bomb_is_refused_with_413_without_using_its_memory(subject, content_type):
    before = subject.stored()
    peak = memory_bytes(subject.agent.process)
    bomb = gzip.compress(bytes(512 * 1024 * 1024), 9)
    assert len(bomb) < BODY_MAX
    answer = subject.post(bomb, content_type, Content_Encoding="gzip")
    assert answer.status == 413, answer
    assert_status_body(answer, content_type)
    assert memory_bytes(subject.agent.process) < peak + 32 * 1024 * 1024
    subject.assert_alive_and_nothing_else_stored(before)


def large(size):
    """A good request of exactly this size."""
    message = otlp.request()
    pair = otlp.attribute(otlp.first_span(message), "large", "")
    pair.value.string_value = "x" * (size - 300)
    pair.value.string_value += "x" * (size - message.ByteSize())
    assert message.ByteSize() == size
    return message


def test_a_body_of_exactly_the_limit_is_taken_and_one_byte_more_is_refused(subject):
    message = large(BODY_MAX)
    subject.agent.accept(message)
    subject.destination.wait_for(otlp.ids_of(message))
    subject.agent.accept(large(BODY_MAX), compress=True)
    before = subject.stored()
    for compress in False, True:
        answer = subject.post(large(BODY_MAX + 1).SerializeToString(), compress=compress)
        assert answer.status == 413, answer
        assert_status_body(answer, PROTOBUF)
    subject.assert_alive_and_nothing_else_stored(before)


def test_a_chunked_body_over_the_limit_is_refused(subject):
    before = subject.stored()
    body = large(BODY_MAX + 1).SerializeToString()
    with wire.Connection(subject.port) as connection:
        connection.try_send(wire.head(Transfer_Encoding="chunked") + wire.chunked(body, 10_000))
        assert connection.response().status == 413
    subject.assert_alive_and_nothing_else_stored(before)


def test_a_content_length_over_the_limit_is_refused_before_the_body_comes(subject):
    for length in BODY_MAX + 1, 2**63, 2**64 - 1:
        with wire.Connection(subject.port) as connection:
            connection.send(wire.head(length))
            assert connection.response().status == 413
    with wire.Connection(subject.port) as connection:
        connection.send(wire.head(BODY_MAX + 1, Expect="100-continue"))
        assert connection.response().status == 413


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/",
                                          "application/x-protobufs", None])
def test_other_content_types_are_refused_with_415(subject, content_type):
    before = subject.stored()
    assert subject.post(otlp.request().SerializeToString(), content_type).status == 415
    subject.assert_alive_and_nothing_else_stored(before)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused_with_405_and_allow(subject, method):
    with wire.Connection(subject.port) as connection:
        connection.send(wire.request(b"", method=method))
        answer = connection.response(head=method == "HEAD")
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
        connection.send(wire.request(otlp.request().SerializeToString()))  # the connection goes on
        assert connection.response().status == 200


@pytest.mark.parametrize("path", ["/", "/v1/trace", "/v1/traces/x", "/v1/metrics", "/V1/TRACES", "//v1/traces", "/v1/traces%00", "/.."])
def test_other_paths_are_refused_with_404(subject, path):
    before = subject.stored()
    assert subject.post(otlp.request().SerializeToString(), path=path).status == 404
    with wire.Connection(subject.port) as connection:
        connection.send(wire.request(b"", method="GET", path=path))
        assert connection.response().status == 404
    subject.assert_alive_and_nothing_else_stored(before)


INVALID_IDS = {
    "trace id of zeros": (bytes(16), b"12345678"),
    "span id of zeros": (b"1234567890123456", bytes(8)),
    "trace id too short": (b"123456789012345", b"12345678"),
    "trace id too long": (b"12345678901234567", b"12345678"),
    "span id too short": (b"1234567890123456", b"1234567"),
    "span id too long": (b"1234567890123456", b"123456789"),
    "no trace id": (b"", b"12345678"),
    "no span id": (b"1234567890123456", b""),
}


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("name", INVALID_IDS)
def test_spans_with_invalid_ids_are_rejected_and_the_rest_is_stored(subject, name, content_type):
    before = subject.stored()
    message = otlp.request(5)
    good = otlp.ids_of(message)
    spans = message.resource_spans[0].scope_spans[0].spans
    for _ in range(2):
        bad = spans.add(name="bad")
        bad.trace_id, bad.span_id = INVALID_IDS[name]
    spans.insert(2, spans.pop())  # one in the middle, one at the end
    if content_type == PROTOBUF:
        answer = subject.post(message.SerializeToString())
        partial = otlp.response(answer.body).partial_success
        rejected, text = partial.rejected_spans, partial.error_message
    else:
        answer = subject.post(json.dumps(otlp.as_json(message)).encode(), JSON)
        partial = json.loads(answer.body)["partialSuccess"]
        rejected, text = partial["rejectedSpans"], partial["errorMessage"]
        assert isinstance(rejected, str)  # as proto3 JSON has it for 64 bits
    assert (answer.status, answer.headers["content-type"], int(rejected)) == (200, content_type, 2)
    assert ("trace" if "trace" in name else "span") in text and "id" in text.lower(), text
    subject.destination.wait_for(good)
    subject.stored()
    assert good <= set(subject.destination.taken()[before:])
    assert len(set(subject.destination.taken()[before:])) == len(good) + 1


def test_ids_in_json_that_are_no_hex_are_rejected_or_refused(subject):
    before = subject.stored()
    body = json_span("").replace(b'"spanId":"', b'"spanId":"zz')
    answer = subject.post(body, JSON)
    assert answer.status == 400 or json.loads(answer.body)["partialSuccess"]["rejectedSpans"] == "1", answer
    subject.assert_alive_and_nothing_else_stored(before)


# ---- HTTP/1.1 ------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_chunked_bodies(subject, size):
    message = otlp.request(3)
    with wire.Connection(subject.port) as connection:
        for extension, trailer in ((b"", b""), (b";name=value", b"X-Trailer: 1\r\n")):
            connection.send(wire.head(Transfer_Encoding="chunked") +
                            wire.chunked(message.SerializeToString(), size, extension, trailer))
            assert connection.response().status == 200
    subject.destination.wait_for(otlp.ids_of(message))


def test_a_compressed_chunked_body(subject):
    message = otlp.request(3)
    with wire.Connection(subject.port) as connection:
        connection.send(wire.head(Transfer_Encoding="chunked", Content_Encoding="gzip") +
                        wire.chunked(gzip.compress(message.SerializeToString()), 13))
        assert connection.response().status == 200
    subject.destination.wait_for(otlp.ids_of(message))


def test_pipelined_requests_are_answered_in_order(subject):
    messages = [otlp.request(2) for _ in range(100)]
    parts, expected = [], []
    for number, message in enumerate(messages):
        if number % 7 == 3:
            parts.append(wire.request(b"x", content_type="text/plain"))
            expected.append((415, None))
        if number % 5 == 2:
            parts.append(wire.request(b"{", content_type=JSON))
            expected.append((400, JSON))
        if number % 2:
            parts.append(wire.request(json.dumps(otlp.as_json(message)).encode(), content_type=JSON))
            expected.append((200, JSON))
        else:
            parts.append(wire.request(message.SerializeToString()))
            expected.append((200, PROTOBUF))
    with wire.Connection(subject.port) as connection:
        connection.send(b"".join(parts))
        for status, content_type in expected:
            answer = connection.response()
            assert answer.status == status
            assert content_type in (None, answer.headers["content-type"])
    subject.destination.wait_for(set().union(*map(otlp.ids_of, messages)))


def test_a_kept_connection_takes_many_requests(subject):
    messages = [otlp.request(1) for _ in range(200)]
    with wire.Connection(subject.port) as connection:
        for message in messages:
            connection.send(wire.request(message.SerializeToString()))
            assert connection.response().status == 200
    subject.destination.wait_for(set().union(*map(otlp.ids_of, messages)))


def test_a_request_in_single_bytes_is_understood(subject):
    message = otlp.request(1)
    with wire.Connection(subject.port) as connection:
        for byte in wire.request(message.SerializeToString()):
            connection.send(bytes([byte]))
        assert connection.response().status == 200
    subject.destination.wait_for(otlp.ids_of(message))


def test_connection_close_is_honoured(subject):
    with wire.Connection(subject.port) as connection:
        connection.send(wire.request(otlp.request().SerializeToString(), Connection="close"))
        answer = connection.response()
        assert (answer.status, answer.headers["connection"].lower()) == (200, "close")
        assert connection.is_closed()


def test_http_1_0_is_answered_and_closed_unless_kept(subject):
    body = otlp.request().SerializeToString()
    with wire.Connection(subject.port) as connection:
        connection.send(wire.request(body, version="1.0"))
        assert connection.response().status == 200
        assert connection.is_closed()
    with wire.Connection(subject.port) as connection:
        connection.send(wire.request(body, version="1.0", Connection="keep-alive"))
        answer = connection.response()
        assert answer.status == 200
        if answer.headers.get("connection", "").lower() == "keep-alive":
            connection.send(wire.request(body, version="1.0"))
            assert connection.response().status == 200
        assert connection.is_closed()


def test_half_closed_after_the_request_is_still_answered(subject):
    message = otlp.request()
    with wire.Connection(subject.port) as connection:
        connection.send(wire.request(message.SerializeToString()))
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.response().status == 200
        assert connection.is_closed()
    subject.destination.wait_for(otlp.ids_of(message))


def test_expect_100_continue_gets_its_answer_before_the_body(subject):
    message = otlp.request()
    body = message.SerializeToString()
    with wire.Connection(subject.port) as connection:
        connection.send(wire.head(len(body), Expect="100-continue"))
        assert connection.response().status == 100
        connection.send(body)
        assert connection.response().status == 200
        # Refused without waiting for the body.
        connection.send(wire.head(len(body), Expect="100-continue", content_type="text/plain"))
        assert connection.response().status == 415
    subject.destination.wait_for(otlp.ids_of(message))


BROKEN_HEADS = {
    "no HTTP": b"hello there, this is no HTTP\r\n\r\n",
    "TLS to a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two lengths": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunked": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length is no number": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: five\r\n\r\nabcde",
    "length is negative": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nabcde",
    "length beyond 64 bits": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "chunk size is no number": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
    "chunk size beyond 64 bits": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "chunk without its end": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                             b"2\r\n{}0\r\n\r\n",
    "a header without name": b"POST /v1/traces HTTP/1.1\r\n: x\r\n\r\n",
    "a NUL in a header": b"POST /v1/traces HTTP/1.1\r\nHost: a\0b\r\n\r\n",
}


@pytest.mark.parametrize("name", BROKEN_HEADS)
def test_broken_http_is_refused_and_the_connection_closed(subject, name):
    before = subject.stored()
    with wire.Connection(subject.port) as connection:
        connection.send(BROKEN_HEADS[name])
        try:
            answer = connection.response()
            assert 400 <= answer.status < 600 and answer.status != 500, answer
        except wire.Closed:
            pass
        assert connection.is_closed()
    subject.assert_alive_and_nothing_else_stored(before)


@pytest.mark.parametrize("kind", ["one header", "many headers", "long path", "endless header"])
def test_headers_beyond_the_limit_are_refused_and_the_connection_closed(subject, kind):
    before = subject.stored()
    with wire.Connection(subject.port) as connection:
        if kind == "one header":
            connection.try_send(wire.head(0, X_Large="x" * 100_000))
        elif kind == "many headers":
            connection.try_send(wire.head(0, **{f"X_{number}": "x" * 10 for number in range(5_000)}))
        elif kind == "long path":
            connection.try_send(wire.head(0, path="/v1/traces?" + "x" * 100_000))
        else:
            connection.send(b"POST /v1/traces HTTP/1.1\r\nX-Endless: ")
            until(lambda: not connection.try_send(b"x" * 10_000) or connection.has_news(), "the endless header is refused")
        try:
            assert connection.response().status in (414, 431, 400)
        except wire.Closed:
            pass
        assert connection.is_closed()
    subject.assert_alive_and_nothing_else_stored(before)


def test_a_request_cut_at_every_byte_stores_nothing(subject):
    before = subject.stored()
    for content in wire.request(otlp.request(1).SerializeToString()), wire.head(Transfer_Encoding="chunked") + wire.chunked(
            otlp.request(1).SerializeToString(), 40):
        for length in range(len(content)):
            connection = wire.Connection(subject.port)
            connection.send(content[:length])
            if length % 2:
                connection.reset()
            else:
                connection.close()
    subject.assert_alive_and_nothing_else_stored(before)


# ---- limits in time and number -------------------------------------------------------------------

def test_silent_and_slow_clients_are_closed_while_others_are_served(agent):
    under_test = agent(receiver={"header_timeout": "1s", "body_timeout": "1s", "idle_timeout": "1s"})
    body = otlp.request().SerializeToString()
    content = wire.request(body)
    silent = wire.Connection(under_test.port)
    in_head = wire.Connection(under_test.port)
    in_head.send(content[:20])
    in_body = wire.Connection(under_test.port)
    in_body.send(content[:-1])
    idle = wire.Connection(under_test.port)
    idle.send(content)
    assert idle.response().status == 200
    trickling = wire.Connection(under_test.port)  # never silent for long, and never done with its head

    def turned_away():
        under_test.accept(otlp.request())
        return not trickling.try_send(b"X") or trickling.has_news()
    trickling.send(b"POST /v1/traces HTTP/1.1\r\nX-Slow: ")
    until(turned_away, "the client that trickles its header is closed")
    for connection in silent, in_head, in_body, idle, trickling:
        try:
            assert connection.response().status == 408
        except wire.Closed:
            pass
        assert connection.is_closed()
        connection.close()


def test_a_client_that_does_not_read_its_answers_is_closed_and_costs_nobody_else(agent):
    under_test = agent(receiver={"idle_timeout": "1s", "body_timeout": "1s", "header_timeout": "1s"})
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", under_test.port))
    deaf.setblocking(False)
    content = wire.request(b"", method="GET") * 100

    def closed():
        under_test.accept(otlp.request())
        try:
            deaf.send(content)
        except BlockingIOError:
            pass
        except ConnectionError:
            return True
        return False
    until(closed, "the client that does not read is closed")
    deaf.close()


def test_connections_beyond_the_limit_are_turned_away_and_the_others_served(agent):
    limit = 8
    under_test = agent(receiver={"max_connections": limit})
    content = wire.request(otlp.request().SerializeToString())
    inside = []
    for _ in range(limit):
        connection = wire.Connection(under_test.port)
        connection.send(content)
        assert connection.response().status == 200
        inside.append(connection)
    for _ in range(20):
        with wire.Connection(under_test.port) as outside:
            outside.try_send(content)
            try:
                answer = outside.response()
                assert (answer.status, "retry-after" in answer.headers) == (503, True)
            except wire.Closed:
                pass
    for connection in inside:
        connection.send(content)
        assert connection.response().status == 200

    inside.pop().close()

    def served():
        with wire.Connection(under_test.port) as connection:
            connection.try_send(content)
            try:
                return connection.response().status == 200
            except wire.Closed:
                return False
    until(served, "a new connection is served when one has gone")
    for connection in inside:
        connection.close()


def test_bodies_beyond_the_memory_are_answered_with_503_and_retry_after(agent):
    under_test = agent(receiver={"max_body_size": "1MiB", "max_memory": "4MiB"})
    content = wire.request(large(900_000).SerializeToString())
    connections = [wire.Connection(under_test.port) for _ in range(16)]
    for connection in connections:  # bodies that are almost there, all at once
        connection.try_send(content[:-1])
    refused, _, _ = select.select([connection.socket for connection in connections], [], [], 60)
    assert refused, "nobody was refused"
    answers = []
    for connection in connections:
        connection.try_send(content[-1:])
        answers.append(connection.response())
        connection.close()
    assert {answer.status for answer in answers} == {200, 503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status == 503)
    under_test.accept(otlp.request())


# ---- TLS -----------------------------------------------------------------------------------------

def client_tls(authority, certificate=None):
    context = ssl.create_default_context(cafile=authority.cert)
    if certificate:
        context.load_cert_chain(certificate.cert, certificate.key)
    return context


@pytest.mark.parametrize("key", ["ec", "rsa"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_receiver_speaks_tls(agent, authority, key, version):
    certificate = authority.sign(f"receiver-{key}", key=key)
    under_test = agent(receiver={"tls": {"cert_file": certificate.cert, "key_file": certificate.key}})
    tls = client_tls(authority)
    tls.minimum_version = tls.maximum_version = version
    with wire.Connection(under_test.port, tls) as connection:
        assert connection.socket.version() == ("TLSv1.2" if version == ssl.TLSVersion.TLSv1_2 else "TLSv1.3")
        for _ in range(3):
            connection.send(wire.request(large(200_000).SerializeToString()))
            assert connection.response().status == 200
    # Plain HTTP to the TLS port, and a client that goes away in the handshake.
    with wire.Connection(under_test.port) as plain:
        plain.send(wire.request(b""))
        with pytest.raises((wire.Closed, AssertionError, ValueError)):
            plain.response()
    with wire.Connection(under_test.port) as plain:
        plain.send(b"\x16\x03\x01\x02\x00\x01")
    with wire.Connection(under_test.port, tls) as connection:
        connection.send(wire.request(otlp.request().SerializeToString()))
        assert connection.response().status == 200


def test_a_client_certificate_is_asked_for_where_the_configuration_says_so(agent, authority, server_certificate, tmp_path):
    from certificates import Authority
    under_test = agent(receiver={"tls": {"cert_file": server_certificate.cert, "key_file": server_certificate.key,
                                         "client_ca_file": authority.cert}})
    stranger = Authority(tmp_path, "stranger").sign("client")
    body = otlp.request().SerializeToString()
    assert wire.post(under_test.port, body, tls=client_tls(authority, authority.sign("client"))).status == 200
    for certificate in None, stranger:
        with pytest.raises((ssl.SSLError, ConnectionError, wire.Closed)):
            wire.post(under_test.port, body, tls=client_tls(authority, certificate))
