// The reasons for which the receiver refuses requests and spans, with the words of their log lines:
// each says what to change on the sender. Not for the answers (receiver_otlp_http.c).
#ifndef UT_AGENT_RECEIVE_REFUSALS_H
#define UT_AGENT_RECEIVE_REFUSALS_H

#include "agent/process/tally.h"
#include "storage/span/batch.h"

// Kinds of a tally: first those of requests, then those of spans.
typedef enum {
    UT_REFUSAL_GRPC,
    UT_REFUSAL_TLS,  // on a plain port
    UT_REFUSAL_HTTP, // bytes that are no request, or one against the rules of HTTP
    UT_REFUSAL_METRICS,
    UT_REFUSAL_LOGS,
    UT_REFUSAL_PATH,
    UT_REFUSAL_METHOD,
    UT_REFUSAL_CONTENT_TYPE,
    UT_REFUSAL_CONTENT_ENCODING,
    UT_REFUSAL_INVALID, // 400: the body does not decode, or x-untrace-ttl is no duration
    UT_REFUSAL_TOO_LARGE,
    UT_REFUSAL_UNAVAILABLE, // 503; logged by the receiver
    // A span is rejected for an id, in the order of ut_reject.
    UT_REFUSAL_FIRST_SPAN,
    UT_REFUSAL_NO_SPANS = UT_REFUSAL_FIRST_SPAN + UT_REJECT_COUNT, // a request that is no refusal
    UT_REFUSAL_COUNT,
} ut_refusal;

extern const ut_tally_kind ut_refusal_kinds[UT_REFUSAL_COUNT];

#endif
