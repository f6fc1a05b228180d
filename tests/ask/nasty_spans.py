"""Random spans that are nasty on purpose: few values, so that conditions meet many; odd values, so that rules are met at
their edges. Each is kept as plain Python beside the OTLP request that carries it, and has a number of its own as the
attribute "n", by which an answer is recognised."""

from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import otlp

SECOND = 10**9
SERVICES = ["", "shop", "Shop", "pay*ments", "p", "ware house", "日本語", "x" * 70]
NAMES = ["", "GET /", "GET /cart", "get /cart", "*", "a?c", "abc", "ünï", "SELECT 'x'", "n" * 200]
MESSAGES = ["", "", "", "timeout", "TIMEOUT after 5 s", "5 * 3", "Größe", "GRÖßE", "two\nlines"]
KEYS = ["k", "k", "num", "http.code", "flag", "ключ", "a b", "error.type", "exception.type"]
INTEGERS = [0, 1, -1, 5, 404, 503, 2**53, 2**53 + 1, 2**63 - 1, -2**63]
DECIMALS = [0.0, -0.0, 5.0, 0.1, 1e63, -2.5, 404.5, float("nan"), float("inf"), float("-inf"), 9007199254740993.0, 2.0**63]
TEXTS = ["", "5", "5.0", "05", "-", "=v", "a*b", "true", "nan", "1e3", "18446744073709551616", "Timeout", "x" * 1100, "ab", "\x00"]


@dataclass
class Span:
    n: int
    request: int
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    kind: int
    start_ns: int
    end_ns: int
    status: int
    message: str
    attributes: list
    events: list  # of (ns, name, attributes)
    scope: tuple  # name, attributes
    resource: list
    keys: dict = field(default_factory=dict)


def some_value(rng, depth=0):
    kind = rng.randrange(10 if depth < 3 else 7)
    if kind == 0:
        return rng.random() < 0.5
    if kind <= 2:
        return rng.choice(INTEGERS)
    if kind == 3:
        return rng.choice(DECIMALS)
    if kind <= 5:
        return rng.choice(TEXTS)
    if kind == 6:
        return rng.choice([None, b"", b"\x00\xff"])
    if kind <= 8:
        return [some_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(KEYS): some_value(rng, depth + 1) for _ in range(rng.randrange(3))}


def some_attributes(rng, most):
    return [(rng.choice(KEYS), some_value(rng)) for _ in range(rng.randrange(most + 1))]


def some_resource(rng):
    attributes = some_attributes(rng, 2)
    shape = rng.randrange(10)
    if shape > 1:
        attributes.append(("service.name", rng.choice(SERVICES)))
    if shape == 1:
        attributes.append(("service.name", 5))
    if shape in (1, 2):
        attributes.append(("service.name", "second"))
    rng.shuffle(attributes)
    return attributes


def some_time(rng, now_ns):
    return rng.choice([0, 5 * SECOND, 1, 2**64 - 1, now_ns + 40 * 86400 * SECOND]) if rng.random() < 0.04 else (
        now_ns - rng.randrange(7200) * SECOND // rng.choice([1, 1000]))


def some_end(rng, start_ns):
    shape = rng.randrange(12)
    if shape == 0:
        return rng.choice([0, 2**64 - 1])
    if shape == 1:
        return max(0, start_ns - rng.choice([1, 5, SECOND]))
    return min(2**64 - 1, start_ns + rng.choice([0, 1, 999, 10**6, 15 * 10**5, 10**8, 3 * SECOND]))


class Maker:
    """Makes requests, one after the other; what has been made is in spans."""

    def __init__(self, rng, now_ns):
        self.rng = rng
        self.now_ns = now_ns
        self.spans = []
        self.traces = [rng.randbytes(16) for _ in range(12)]
        self.requests = 0

    def _trace(self):
        rng = self.rng
        if rng.random() < 0.2:
            self.traces[rng.randrange(len(self.traces))] = bytes(8) + rng.randbytes(8) if rng.random() < 0.2 else (
                self.traces[0][:2] + rng.randbytes(14))
        return rng.choice(self.traces)

    def _span(self, resource, scope):
        rng = self.rng
        start_ns = some_time(rng, self.now_ns)
        attributes = some_attributes(rng, 4)
        if rng.random() < 0.1:
            attributes += [("gen_ai.operation.name", "chat"), ("gen_ai.request.model", rng.choice(["small", "large"]))]
        attributes.append(("n", len(self.spans)))
        rng.shuffle(attributes)
        trace_id = self._trace()
        family = [span for span in self.spans[-40:] if span.trace_id == trace_id]
        shape = rng.randrange(6)
        parent_id = b"" if shape == 0 or not family else rng.randbytes(8) if shape == 1 else rng.choice(family).span_id
        span_id = rng.choice(family).span_id if family and rng.random() < 0.03 else rng.randbytes(8)
        events = [(start_ns, rng.choice(["exception", "e"]), some_attributes(rng, 2)) for _ in range(max(0, rng.randrange(-3, 3)))]
        made = Span(len(self.spans), self.requests, trace_id, span_id, parent_id, rng.choice(NAMES),
                    rng.choice([0, 1, 2, 3, 4, 5, 2, 3, 9]), start_ns, some_end(rng, start_ns), rng.choice([0, 0, 0, 1, 2, 2, 7]),
                    rng.choice(MESSAGES), attributes, events, scope, resource)
        self.spans.append(made)
        return made

    def request(self, spans):
        """The next request, of about so many spans."""
        rng = self.rng
        message = ExportTraceServiceRequest()
        while spans > 0:
            resource = some_resource(rng)
            resource_spans = message.resource_spans.add()
            add_attributes(resource_spans.resource, resource)
            for _ in range(rng.randrange(1, 3)):
                scope = (rng.choice(["", "lib"]), some_attributes(rng, 1))
                scope_spans = resource_spans.scope_spans.add()
                scope_spans.scope.name = scope[0]
                add_attributes(scope_spans.scope, scope[1])
                for _ in range(rng.randrange(1, 9)):
                    add_span(scope_spans, self._span(resource, scope))
                    spans -= 1
        self.requests += 1
        return message


def add_attributes(owner, attributes):
    for key, value in attributes:
        otlp.attribute(owner, key, value)


def add_span(scope_spans, made):
    span = scope_spans.spans.add(trace_id=made.trace_id, span_id=made.span_id, parent_span_id=made.parent_id, name=made.name)
    span.kind = made.kind
    span.start_time_unix_nano = made.start_ns
    span.end_time_unix_nano = made.end_ns
    span.status.code = made.status
    span.status.message = made.message
    add_attributes(span, made.attributes)
    for time_ns, name, attributes in made.events:
        event = span.events.add(time_unix_nano=time_ns, name=name)
        add_attributes(event, attributes)
