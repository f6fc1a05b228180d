"""What the official SDKs send to the agent arrives at a real Collector over verified TLS, equal field by field to what
the same SDK sends straight to the Collector."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize("content_type", [otlp.PROTOBUF, otlp.JSON])
def test_everything_that_otlp_can_carry_arrives_equal(content_type, encoding, agent, collector, authority, to):
    receiving = collector()
    under_test = agent([to(receiving, tls={"ca_file": authority.cert}, encoding=encoding)])
    message = otlp.everything()
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
