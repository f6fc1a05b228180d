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

// The same with the Content-Type of the answer. Success with a web page is none: a network's login
// page, or another server at this address, has answered in the destination's place.
ut_outcome ut_outcome_of_answer(int status, ut_bytes content_type);
bool ut_outcome_is_web_page(ut_bytes content_type);

// err: of ut_http_client_step, not UT_OK and not UT_EAGAIN.
ut_outcome ut_outcome_of_failure(ut_err err);

#endif
