"""OTLP requests for the tests, and the canonical form in which spans are compared."""

import base64
import itertools
import os
import random

from google.protobuf.json_format import MessageToDict, ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_counter = itertools.count(1)


def new_trace_id():
    return os.urandom(16)


def new_span_id():
    return os.urandom(8)


def attribute(owner, key, value=None):
    """Adds an attribute with a Python value (None: the empty value) to a span, resource, scope, event or link."""
    pair = owner.attributes.add(key=key)
    if value is not None:
        set_value(pair.value, value)
    return pair


def set_value(to, value):
    if isinstance(value, bool):
        to.bool_value = value
    elif isinstance(value, int):
        to.int_value = value
    elif isinstance(value, float):
        to.double_value = value
    elif isinstance(value, str):
        to.string_value = value
    elif isinstance(value, bytes):
        to.bytes_value = value
    elif isinstance(value, dict):
        to.kvlist_value.SetInParent()
        for key, item in value.items():
            pair = to.kvlist_value.values.add(key=key)
            if item is not None:
                set_value(pair.value, item)
    else:
        to.array_value.SetInParent()
        for item in value:
            element = to.array_value.values.add()
            if item is not None:
                set_value(element, item)


def request(spans=1, trace_id=None, service="e2e", payload=0):
    """A request of some spans of one trace with fresh ids; payload: bytes of an extra attribute in each."""
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    attribute(resource_spans.resource, "service.name", service)
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "e2e"
    trace_id = trace_id or new_trace_id()
    root = b""
    for number in range(spans):
        span = scope_spans.spans.add(trace_id=trace_id, span_id=new_span_id(), parent_span_id=root,
                                     name=f"span {next(_counter)}", kind=2 if number == 0 else 3)
        root = root or span.span_id
        span.start_time_unix_nano = 1_700_000_000_000_000_000 + number * 1_000_000
        span.end_time_unix_nano = span.start_time_unix_nano + 1_234_567
        attribute(span, "number", number)
        if payload:
            attribute(span, "payload", random.randbytes(payload // 2).hex())
    return message


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
            attribute(owner, key, value)

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
                trace_id=new_trace_id(), span_id=new_span_id(), parent_span_id=new_span_id(),
                trace_state="a=1,b=2", flags=0xFFFFFFFF if kind % 2 else 0x301, name=f"kind {kind}", kind=kind,
                start_time_unix_nano=2**64 - 1 if kind == 1 else 1_700_000_000_123_456_789,
                end_time_unix_nano=0 if kind == 2 else 1_700_000_000_123_456_790,
                dropped_attributes_count=1, dropped_events_count=2, dropped_links_count=2**32 - 1)
            fill(span)
            span.status.code, span.status.message = code, "message ✓" if code else ""
            for number in range(3):
                event = span.events.add(time_unix_nano=number, name=f"event {number}", dropped_attributes_count=number)
                fill(event)
                link = span.links.add(trace_id=new_trace_id(), span_id=new_span_id(), trace_state="l=1",
                                      dropped_attributes_count=number, flags=0x101)
                fill(link)
    # Nothing but what a span must have; no resource, no scope; empty envelopes between.
    message.resource_spans.add()
    bare = message.resource_spans.add()
    bare.scope_spans.add().scope.name = "without spans"
    bare.scope_spans.add().spans.add(trace_id=new_trace_id(), span_id=new_span_id())
    # The same scope under another schema URL, the same resource once more: they must not be mixed up.
    again = message.resource_spans.add(schema_url="https://example.test/resource/2")
    again.resource.CopyFrom(full.resource)
    other = again.scope_spans.add(schema_url="https://example.test/scope/2")
    other.scope.CopyFrom(scope_spans.scope)
    other.spans.add(trace_id=new_trace_id(), span_id=new_span_id(), name="another schema")
    return message


def spans_of(message):
    return [span for resource_spans in message.resource_spans for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans]


def ids_of(message):
    return {(span.trace_id.hex(), span.span_id.hex()) for span in spans_of(message)}


def first_span(message):
    return message.resource_spans[0].scope_spans[0].spans[0]


def as_json(message):
    """OTLP/JSON of a message as Python objects: ids in hexadecimal, enumerations as numbers."""
    def fix(value):
        if isinstance(value, list):
            return [fix(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {key: (_hex(item) if key in ("traceId", "spanId", "parentSpanId") else fix(item))
                for key, item in value.items()}
    return fix(MessageToDict(message, use_integers_for_enums=True))


def from_json(value):
    """The request that an object in OTLP/JSON stands for."""
    def fix(item):
        if isinstance(item, list):
            return [fix(element) for element in item]
        if not isinstance(item, dict):
            return item
        return {key: (base64.b64encode(bytes.fromhex(element)).decode() if key in ("traceId", "spanId", "parentSpanId")
                      else fix(element)) for key, element in item.items()}
    return ParseDict(fix(value), ExportTraceServiceRequest())


def _hex(base64_text):
    return base64.b64decode(base64_text).hex()


def response(body):
    """The ExportTraceServiceResponse in a protobuf answer."""
    return ExportTraceServiceResponse.FromString(body)


def flatten(traces_data):
    """From one TracesData object in OTLP/JSON: pairs of (trace id, span id) and everything that is known of that span,
    with its resource and scope, so that two ways of grouping the same spans compare equal."""
    for resource_spans in traces_data.get("resourceSpans", []):
        for scope_spans in resource_spans.get("scopeSpans", []):
            for span in scope_spans.get("spans", []):
                yield (span["traceId"], span["spanId"]), {
                    "resource": resource_spans.get("resource", {}),
                    "resourceSchemaUrl": resource_spans.get("schemaUrl", ""),
                    "scope": scope_spans.get("scope", {}),
                    "scopeSchemaUrl": scope_spans.get("schemaUrl", ""),
                    "span": span,
                }
