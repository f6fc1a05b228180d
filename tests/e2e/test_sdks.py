"""What the official SDKs send to the agent arrives at a real Collector over verified TLS, equal field by field to what
the same SDK sends straight to the Collector."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import otlp
import wire
from collector import PROGRAM as COLLECTOR

HERE = Path(__file__).parent
PREPARED = COLLECTOR.parent
TRACES = 40  # six spans each, for each of two resources
SENDERS = {
    "python": [sys.executable, HERE / "senders/python/send.py"],
    "js": ["node", HERE / "senders/js/send.js"],
    "go": [PREPARED / "send-go"],
}


def send(sdk, protocol, compression, agent, collector, *extra):
    """Runs a sender; gives the ids that the agent has acknowledged."""
    command = [*SENDERS[sdk], "--agent", agent.url, "--direct", collector.direct_url, "--protocol", protocol,
               "--compression", compression, "--traces", TRACES, *extra]
    environment = {**os.environ, "NODE_PATH": str(PREPARED / "js/node_modules")}
    for name in list(environment):
        if name.startswith("OTEL_"):
            del environment[name]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, env=environment,
                          stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr
    ids = [(line["traceId"], line["spanId"]) for line in map(json.loads, done.stdout.splitlines())]
    assert len(ids) == len(set(ids)) == TRACES * 6 * 2
    return ids


def assert_equal(collector, ids):
    """Everything that came through the agent is what came directly: span by span, field by field, each once."""
    through, direct = collector.agent.wait_for(ids), collector.direct.wait_for(ids)
    for key in ids:
        assert through.spans[key] == direct.spans[key], f"span {key} differs"
    assert through.spans.keys() == direct.spans.keys() == set(ids)
    assert through.duplicates() == 0


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("sdk, protocol", [("python", "protobuf"), ("go", "protobuf"), ("js", "protobuf"), ("js", "json")])
def test_spans_of_an_sdk_arrive_equal(sdk, protocol, compression, agent, collector, authority, to):
    receiving = collector()
    under_test = agent([to(receiving, tls={"ca_file": authority.cert}, compression=compression)])
    assert_equal(receiving, send(sdk, protocol, compression, under_test, receiving))


def test_spans_arrive_equal_through_json_and_a_second_agent(agent, collector, authority, server_certificate, to):
    """SDK → edge agent, JSON over TLS → central agent, protobuf over TLS → Collector."""
    receiving = collector()
    central = agent([to(receiving, tls={"ca_file": authority.cert})],
                    receiver={"tls": {"cert_file": server_certificate.cert, "key_file": server_certificate.key}})
    edge = agent([to(f"https://127.0.0.1:{central.port}", tls={"ca_file": authority.cert}, encoding="json")])
    assert_equal(receiving, send("python", "protobuf", "gzip", edge, receiving))


def everything():
    """A request with each thing that OTLP can carry, which no single SDK makes."""
    message = ExportTraceServiceRequest()
    values = {
        "string": "text", "string.empty": "", "bytes": bytes(range(256)), "bytes.empty": b"", "true": True, "false": False,
        "zero": 0, "negative": -1, "max": 2**63 - 1, "min": -(2**63), "double": 0.1, "double.zero": 0.0, "nothing": None,
        "array.empty": [], "array.mixed": ["a", 1, -0.5, True, b"\0\xff", None, ["nested", [["deeper"]]], {"in": "array"}],
        "map.empty": {}, "map": {"a": 1, "": None, "b": {"c": {"d": [1, {"e": b"f"}]}}, "ключ": "значение"},
        "": "the empty key", "large": "x" * 20_000,
    }

    def fill(owner):
        for key, value in values.items():
            otlp.attribute(owner, key, value)

    full = message.resource_spans.add(schema_url="https://example.test/resource/1")
    fill(full.resource)
    full.resource.dropped_attributes_count = 2**32 - 1
    scope_spans = full.scope_spans.add(schema_url="https://example.test/scope/1")
    scope_spans.scope.name, scope_spans.scope.version = "scope", "1.0"
    fill(scope_spans.scope)
    scope_spans.scope.dropped_attributes_count = 3
    for kind in range(6):
        for code in range(3):
            span = scope_spans.spans.add(
                trace_id=otlp.new_trace_id(), span_id=otlp.new_span_id(), parent_span_id=otlp.new_span_id(),
                trace_state="a=1,b=2", flags=0xFFFFFFFF if kind % 2 else 0x301, name=f"kind {kind}", kind=kind,
                start_time_unix_nano=2**64 - 1 if kind == 1 else 1_700_000_000_123_456_789,
                end_time_unix_nano=0 if kind == 2 else 1_700_000_000_123_456_790,
                dropped_attributes_count=1, dropped_events_count=2, dropped_links_count=2**32 - 1)
            fill(span)
            span.status.code, span.status.message = code, "message ✓" if code else ""
            for number in range(3):
                event = span.events.add(time_unix_nano=number, name=f"event {number}", dropped_attributes_count=number)
                fill(event)
                link = span.links.add(trace_id=otlp.new_trace_id(), span_id=otlp.new_span_id(), trace_state="l=1",
                                      dropped_attributes_count=number, flags=0x101)
                fill(link)
    # Nothing but what a span must have; no resource, no scope; empty envelopes between.
    message.resource_spans.add()
    bare = message.resource_spans.add()
    bare.scope_spans.add().scope.name = "without spans"
    bare.scope_spans.add().spans.add(trace_id=otlp.new_trace_id(), span_id=otlp.new_span_id())
    # The same scope under another schema URL, the same resource once more: they must not be mixed up.
    again = message.resource_spans.add(schema_url="https://example.test/resource/2")
    again.resource.CopyFrom(full.resource)
    other = again.scope_spans.add(schema_url="https://example.test/scope/2")
    other.scope.CopyFrom(scope_spans.scope)
    other.spans.add(trace_id=otlp.new_trace_id(), span_id=otlp.new_span_id(), name="another schema")
    return message


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize("content_type", [otlp.PROTOBUF, otlp.JSON])
def test_everything_that_otlp_can_carry_arrives_equal(content_type, encoding, agent, collector, authority, to):
    receiving = collector()
    under_test = agent([to(receiving, tls={"ca_file": authority.cert}, encoding=encoding)])
    message = everything()
    body = message.SerializeToString() if content_type == otlp.PROTOBUF else json.dumps(otlp.as_json(message)).encode()
    for port in under_test.port, receiving.ports["direct"].number:
        answer = wire.post(port, body, content_type)
        assert answer.status == 200, answer
    assert_equal(receiving, sorted(otlp.ids_of(message)))


# JSON within the rules, but not as the SDKs write it.
JSON_AS_OTHERS_WRITE_IT = """
 { "unknown" : {"deep": [1, {"x": null}]},
  "resourceSpans":[{"schemaUrl":null,"resource":{"attributes":[
    {"key":"service.name","value":{"stringValue":"\\u00fc \\ud83d\\ude80 \\/"}},
    {"key":"int as number","value":{"intValue":-9007199254740993}},
    {"key":"int as string","value":{"intValue":"9223372036854775807"}},
    {"key":"double as int","value":{"doubleValue":3}},
    {"key":"double with exponent","value":{"doubleValue":1.5E+3}},
    {"key":"nan","value":{"doubleValue":"NaN"}},
    {"key":"infinity","value":{"doubleValue":"-Infinity"}},
    {"key":"bytes","value":{"bytesValue":"AAH/"}},
    {"key":"unset","value":{}},
    {"value":{"boolValue":false},"key":"value first"}]},
   "scopeSpans":[{"scope":{"name":"s","version":null},"spans":[
    {"spanId":"EEE19B7EC3C1B174","traceId":"5B8EFFF798038103D269B633813FC60C","parentSpanId":"EEE19B7EC3C1B173",
     "name":"upper case","startTimeUnixNano":1544712660000000123,"endTimeUnixNano":"1544712661000000123","kind":2,
     "attributes":[{"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"},{}]}}},
                   {"key":"m","value":{"kvlistValue":{"values":[{"key":"k","value":{"stringValue":"v"}}]}}}],
     "status":{"code":2,"message":"bad"},"flags":257,"unknownField":[[[[]]]],"events":null},
    {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b175","parentSpanId":"","name":"plain",
     "events":[{"timeUnixNano":"5","name":"e","attributes":[]}],
     "links":[{"traceId":"5B8EFFF798038103D269B633813FC60D","spanId":"EEE19B7EC3C1B176","attributes":null}],"status":{}}
   ]}]}]}
"""


def test_json_as_others_write_it_arrives_equal(agent, collector, authority, to):
    receiving = collector()
    under_test = agent([to(receiving, tls={"ca_file": authority.cert})])
    for port in under_test.port, receiving.ports["direct"].number:
        answer = wire.post(port, JSON_AS_OTHERS_WRITE_IT.encode(), "application/json; charset=utf-8")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json"), answer
    trace = "5b8efff798038103d269b633813fc60c"
    assert_equal(receiving, [(trace, "eee19b7ec3c1b174"), (trace, "eee19b7ec3c1b175")])
