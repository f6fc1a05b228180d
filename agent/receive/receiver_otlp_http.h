// OTLP over HTTP (opentelemetry-proto, docs/specification.md): POST /v1/traces, protobuf or JSON,
// gzip or not; and GET /healthz, which says that the agent receives. Decodes on the network thread,
// hands the spans to the store thread, and answers when they are durable. Connections, the parsing
// of HTTP and timeouts are http_server.h's.
#ifndef UT_AGENT_RECEIVE_RECEIVER_OTLP_HTTP_H
#define UT_AGENT_RECEIVE_RECEIVER_OTLP_HTTP_H

#include "agent/config/config_receivers.h"
#include "agent/receive/refusals.h"
#include "agent/threads/store_thread.h"
#include "transport/http/http_server.h"

enum {
    // Batches that are kept for the next requests, and the memory that each of their six buffers
    // keeps. All of it is freed after a pause of UT_RECEIVER_TRIM_MS without a request.
    UT_RECEIVER_SPARE_MAX = 64,
    UT_RECEIVER_KEEP_BYTES = 128 * 1024,
    UT_RECEIVER_TRIM_MS = 1000,
    // Retry-After of a 503: where a moment helps, and where the disk or the store is full.
    UT_RECEIVER_RETRY_S = 1,
    UT_RECEIVER_RETRY_FULL_S = 10,
};

typedef struct ut_receiver_otlp_http ut_receiver_otlp_http;

typedef struct {
    ut_poller *poller;                  // the network thread's; also woken by store
    ut_store_thread *store;             // outlives the receiver
    const ut_receiver_config *receiver; // borrowed for the call
    const ut_log *log;
    uint32_t org;
} ut_receiver_otlp_http_config;

// Loads the certificate, if any, and listens. Faults name the address or the file's fault.
// UT_EBUSY, UT_EPERM, UT_EIO, UT_EINVAL, UT_ETLS, UT_ENOMEM.
ut_err ut_receiver_otlp_http_open(const ut_receiver_otlp_http_config *config,
                                  ut_receiver_otlp_http **receiver, ut_fault *fault);
// Every request handed to the store thread must have been delivered. NULL is ignored.
void ut_receiver_otlp_http_close(ut_receiver_otlp_http *receiver);

// The server of the receiver: for the address, stop, idle and statistics. Poller events go to
// ut_http_server_event.
ut_http_server *ut_receiver_otlp_http_server(ut_receiver_otlp_http *receiver);

// Sends answers, ends what timed out, gives back unused memory. Call it after every round of events
// and deliveries. *next_ms as for ut_http_server_step.
void ut_receiver_otlp_http_step(ut_receiver_otlp_http *receiver, uint64_t now_ms,
                                uint64_t *next_ms);

// What was refused, by ut_refusal; borrowed until the end of the receiver.
const ut_tally *ut_receiver_otlp_http_refusals(const ut_receiver_otlp_http *receiver);

// Spans since the start.
typedef struct {
    uint64_t accepted;   // stored, each once
    uint64_t duplicates; // were stored already, and answered as success
} ut_receiver_otlp_http_stats;
void ut_receiver_otlp_http_get_stats(const ut_receiver_otlp_http *receiver,
                                     ut_receiver_otlp_http_stats *stats);

#endif
