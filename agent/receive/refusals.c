// The table of refusals; see refusals.h.
#include "agent/receive/refusals.h"

#define REQUESTS(name, before, after)              \
    {                                              \
        name, "requests", before, after, "refused" \
    }
#define SPANS(name)                                                      \
    {                                                                    \
        name, "spans", "sends spans that are rejected: ", "", "rejected" \
    }

const ut_tally_kind ut_refusal_kinds[UT_REFUSAL_COUNT] = {
    [UT_REFUSAL_GRPC] =
        REQUESTS("grpc", "sends gRPC (HTTP/2), which is not taken here",
                 "; set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf on that application"),
    [UT_REFUSAL_TLS] =
        REQUESTS("tls", "speaks TLS to a port that is plain HTTP",
                 "; write http:// in its endpoint, or give the receiver a certificate"),
    [UT_REFUSAL_HTTP] = REQUESTS("http", "sends what is refused with ", ""),
    [UT_REFUSAL_METRICS] = REQUESTS("metrics", "sends metrics, and only traces are taken here",
                                    "; set OTEL_METRICS_EXPORTER=none on that application"),
    [UT_REFUSAL_LOGS] = REQUESTS("logs", "sends logs, and only traces are taken here",
                                 "; set OTEL_LOGS_EXPORTER=none on that application"),
    [UT_REFUSAL_PATH] =
        REQUESTS("path", "asks for ",
                 ", and only /v1/traces is taken here: OTEL_EXPORTER_OTLP_ENDPOINT is "
                 "without it, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ends in it"),
    [UT_REFUSAL_METHOD] = REQUESTS(
        "method", "sends ", " to /v1/traces, which takes POST only; browsers cannot send here"),
    [UT_REFUSAL_CONTENT_TYPE] =
        REQUESTS("content_type", "sends the content type \"",
                 "\"; only application/x-protobuf and application/json are taken"),
    [UT_REFUSAL_CONTENT_ENCODING] =
        REQUESTS("content_encoding", "sends the content encoding \"",
                 "\"; set OTEL_EXPORTER_OTLP_COMPRESSION=gzip, or none, on that application"),
    [UT_REFUSAL_INVALID] = REQUESTS("invalid", "is refused with 400: ", ""),
    [UT_REFUSAL_TOO_LARGE] = REQUESTS("too_large", "is refused with 413: ", ""),
    [UT_REFUSAL_UNAVAILABLE] =
        REQUESTS("unavailable", "is answered 503: ", "; it tries again later"),
    [UT_REFUSAL_FIRST_SPAN + UT_REJECT_TRACE_ID] = SPANS("trace_id"),
    [UT_REFUSAL_FIRST_SPAN + UT_REJECT_SPAN_ID] = SPANS("span_id"),
    [UT_REFUSAL_FIRST_SPAN + UT_REJECT_PARENT_SPAN_ID] = SPANS("parent_span_id"),
    [UT_REFUSAL_FIRST_SPAN + UT_REJECT_LINK_ID] = SPANS("link_id"),
    [UT_REFUSAL_NO_SPANS] = {"no_spans", "requests", "sends requests without spans: ", "", NULL},
};
