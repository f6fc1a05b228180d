// The meaning of an answer or a failure for the spans of a request. Pure.
//
// OTLP (opentelemetry-proto, docs/specification.md) allows another try after 429, 502, 503 and 504
// and after a connection that broke, and after nothing else. We part from its letter in one point.
// 3xx, 401, 403, 404 and their like say that the address or the credentials are wrong, not that the
// data is. The Collector and Vector drop the data then, and their users lose it while somebody
// fixes a token or a proxy (vector issues 10870 and 13414, opentelemetry-collector issues 13477 and
// 15382); the Datadog Agent queues it since 2026 (datadog-agent pull request 48291). Here it stays
// pending and one request is tried at the longest back-off, until it passes, expires or reaches the
// configured number of attempts. That is a re-try of the configuration, at a rate that no server
// minds. When the destination takes other batches in between, the answer is about the data after
// all, and is a refusal.
//
// The same holds for every other status whose answer is not OTLP's: OTLP asks for a Status message
// in each 4xx and 5xx answer. An answer without type and body is taken at its word.
#ifndef UT_TRANSPORT_DELIVER_OUTCOME_H
#define UT_TRANSPORT_DELIVER_OUTCOME_H

#include "port/base/bytes.h"
#include "port/base/err.h"

typedef enum {
    UT_OUTCOME_DELIVERED,
    UT_OUTCOME_RETRY,         // the destination or the way to it is in trouble
    UT_OUTCOME_MISCONFIGURED, // address, credentials or format are not what the destination wants
    UT_OUTCOME_TOO_LARGE,     // fewer spans may pass
    UT_OUTCOME_REFUSED,       // these spans, or some of them, will never pass
} ut_outcome;

// status: of an answer, 200..599.
ut_outcome ut_outcome_of_status(int status);

// An answer as far as it has a meaning; borrowed. Its Content-Type may be empty.
typedef struct {
    int status;
    ut_bytes content_type;
    ut_bytes body;
} ut_outcome_answer;

// The same with what else the answer has. Success with a web page is none, and a refusal that is
// not in the form of OTLP (a page, a line of text) is not about the spans: a proxy, a network's
// login page, a TLS port or another server at this address has answered in the destination's place.
ut_outcome ut_outcome_of_answer(const ut_outcome_answer *answer);

// A sentence for a person about an answer that is no success, or that a web page makes none. tls:
// it came over TLS. reason_z: cap bytes, at least 1; cut to fit.
void ut_outcome_explain(const ut_outcome_answer *answer, bool tls, char *reason_z, size_t cap);

// err: of ut_http_client_step, not UT_OK and not UT_EAGAIN.
ut_outcome ut_outcome_of_failure(ut_err err);

#endif
