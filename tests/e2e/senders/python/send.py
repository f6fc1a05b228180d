"""Sends a rich set of spans with the official Python SDK, each to two OTLP endpoints: the agent under test and, for
comparison, straight to the Collector. Prints one JSON line per span that the agent's endpoint has acknowledged."""

import argparse
import json
import sys
import time

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState


class Acknowledged(SpanExporter):
    """Passes batches on, and prints the ids of those that the endpoint took."""

    failures = 0

    def __init__(self, exporter, show):
        self.exporter, self.show = exporter, show

    def export(self, spans):
        result = self.exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            Acknowledged.failures += 1
        elif self.show:
            lines = [json.dumps({"traceId": f"{span.context.trace_id:032x}", "spanId": f"{span.context.span_id:016x}"})
                     for span in spans]
            sys.stdout.write("\n".join(lines) + "\n")
        return result

    def shutdown(self):
        self.exporter.shutdown()

    def force_flush(self, timeout_millis=60000):
        return self.exporter.force_flush(timeout_millis)


def every_type():
    """One attribute for each kind of value and each awkward value that the SDK can hold."""
    return {
        "string": "plain",
        "string.empty": "",
        "string.unicode": "Grüße, 世界 🚀 \u0000 \" \\ \n end",
        "string.long": "long " * 200,
        "bytes": b"bytes",
        "bool.true": True,
        "bool.false": False,
        "int.zero": 0,
        "int.negative": -42,
        "int.beyond_2_53": 2**53 + 1,
        "int.max": 2**63 - 1,
        "int.min": -(2**63),
        "double.fraction": 0.1,
        "double.whole": 3.0,
        "double.negative": -2.5e-300,
        "double.large": sys.float_info.max,
        "double.tiny": 5e-324,
        "double.nan": float("nan"),
        "double.inf": float("inf"),
        "double.neg_inf": float("-inf"),
        "double.neg_zero": -0.0,
        "strings": ["a", "", "ü"],
        "strings.empty": [],
        "strings.with_nothing": ["a", None, "b"],
        "bools": [True, False, True],
        "ints": [1, -1, 2**63 - 1, -(2**63)],
        "doubles": [0.5, -1.0, 1e100],
        "ключ": "a key that is not ASCII",
    }


def some(count):
    return dict(list(every_type().items())[:count])


BASE_NS = (time.time_ns() - 60 * 10**9) // 1000 * 1000


def at(n):
    """The time n microseconds and a bit after the base, so that nanoseconds matter."""
    return BASE_NS + n * 1000 + n % 1000


def send_trace(n, first, second):
    """One trace of six spans, over two scopes, with each kind and each status."""
    nowhere = trace.set_span_in_context(trace.INVALID_SPAN)
    parent = nowhere
    if n % 3 == 0:  # every third trace was begun by somebody else, who is named with trace state
        remote = SpanContext((0x0C0D << 112) + n + 1, (0xEE << 56) + n + 1, is_remote=True,
                             trace_flags=TraceFlags(TraceFlags.SAMPLED),
                             trace_state=TraceState([("vendor", f"v{n}"), ("other", "1")]))
        parent = trace.set_span_in_context(NonRecordingSpan(remote))
    root = first.start_span(f"GET /orders/{n}", parent, SpanKind.SERVER, every_type(), start_time=at(n * 100))
    root.add_event("received", every_type(), at(n * 100 + 1))
    root.add_event("", None, at(n * 100 + 2))
    in_root = trace.set_span_in_context(root)

    internal = second.start_span("rechne 計算", in_root, start_time=at(n * 100 + 3))
    for i in range(60):  # beyond the limits, so that there are dropped counts
        internal.set_attribute(f"key.{i}", i)
    for i in range(8):
        internal.add_event("tick", {"n": i}, at(n * 100 + 4 + i))
    internal.set_status(Status(StatusCode.OK))
    internal.end(at(n * 100 + 20))

    client = second.start_span("SELECT orders", in_root, SpanKind.CLIENT, start_time=at(n * 100 + 21))
    client.record_exception(ValueError("connection reset: größer"), timestamp=at(n * 100 + 22))
    client.set_status(Status(StatusCode.ERROR, "the database went away: Grüße\n"))
    client.end(at(n * 100 + 23))

    producer = first.start_span("orders publish", trace.set_span_in_context(client), SpanKind.PRODUCER,
                                start_time=at(n * 100 + 24))
    producer.end(at(n * 100 + 24))  # no duration at all

    far = SpanContext((0xAA << 120) + 1, (0xBB << 56) + 2, is_remote=True, trace_state=TraceState([("link", "yes")]))
    links = [Link(producer.get_span_context(), some(10)), Link(far, {"far": True}), Link(client.get_span_context())]
    links += [Link(root.get_span_context())] * (n % 4)  # sometimes beyond the limit
    consumer = first.start_span("orders process", in_root, SpanKind.CONSUMER, links=links, start_time=at(n * 100 + 25))
    consumer.end(at(n * 100 + 26))
    root.end(at(n * 100 + 30))

    second.start_span("", nowhere, start_time=at(n * 100 + 31)).end(at(n * 100 + 32))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--agent", required=True)
    arguments.add_argument("--direct")
    arguments.add_argument("--ca")
    arguments.add_argument("--protocol", choices=["protobuf"], default="protobuf")
    arguments.add_argument("--compression", choices=["none", "gzip"], default="none")
    arguments.add_argument("--traces", type=int, default=50)
    options = arguments.parse_args()

    compression = Compression.Gzip if options.compression == "gzip" else Compression.NoCompression

    def exporter(url, show):
        return Acknowledged(OTLPSpanExporter(f"{url}/v1/traces", certificate_file=options.ca, compression=compression,
                                             timeout=60), show)

    exporters = [exporter(options.agent, True)] + ([exporter(options.direct, False)] if options.direct else [])
    limits = SpanLimits(max_span_attributes=40, max_events=5, max_links=4, max_event_attributes=30, max_link_attributes=30)
    resources = [
        Resource({**every_type(), "service.name": "checkout"}, "https://opentelemetry.io/schemas/1.26.0"),
        Resource({"service.name": "käufe"}),
    ]
    for resource in resources:
        provider = TracerProvider(resource=resource, span_limits=limits, shutdown_on_exit=False)
        processors = [BatchSpanProcessor(exporter, max_queue_size=100000, schedule_delay_millis=100,
                                         max_export_batch_size=50, export_timeout_millis=60000)
                      for exporter in exporters]
        for processor in processors:
            provider.add_span_processor(processor)
        first = provider.get_tracer("shop/checkout", "1.2.3", "https://opentelemetry.io/schemas/1.21.0", some(20))
        second = provider.get_tracer("db")
        for n in range(options.traces):
            send_trace(n, first, second)
        # Shutdown closes the exporters, which the next provider still needs: only flush.
        provider.force_flush(60000)
    if Acknowledged.failures:
        sys.exit(f"{Acknowledged.failures} exports failed")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
