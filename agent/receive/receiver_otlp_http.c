// Routing, decoding and answers of OTLP over HTTP; see receiver_otlp_http.h.
//
// How a request goes, all of it on the network thread:
//   on_head        path, method, type, coding and x-untrace-ttl decide; a refusal is answered
//                  before the body is sent
//   on_body        the body is expanded if it is packed, and decoded into the batch of a
//                  submission; each of these counts against the memory for requests
//   submit         the submission goes to the store thread
//   answer_stored  its group is durable, or has failed: the request is answered, and the
//                  submission is kept for another one
//   on_refuse      instead of any of these: the server ends a request itself (too large, no
//                  memory)
//   on_foreign     there is no request at all: another protocol, or not HTTP
#include "agent/receive/receiver_otlp_http.h"

#include "adapters/encoding/gzip.h"
#include "adapters/otlp/otlp.h"
#include "port/base/text.h"
#include "transport/http/media_type.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    // Codes of google.rpc.Status (google/rpc/code.proto).
    RPC_INVALID_ARGUMENT = 3,
    RPC_RESOURCE_EXHAUSTED = 8,
    RPC_UNAVAILABLE = 14,
    // Bits of an exchange's note: what its head said.
    NOTE_JSON = 1,
    NOTE_GZIP = 2,
    NOTE_TTL = 4,                // x-untrace-ttl was given:
    NOTE_TTL_SHIFT = 8,          // from this bit on, milliseconds; 0: until the room is needed
    BATCH_BYTES_MAX = INT32_MAX, // ceiling of a batch's buffers; the memory left lowers it
    ANSWER_BYTES_MAX = 4096,
    SHOWN_MAX = 48, // bytes of a sender's text that an answer or a log line repeats
};

// The spans of one request on their way through the store.
typedef struct ut_submission ut_submission;
struct ut_submission {
    ut_store_job job; // first member: answer_stored gets a pointer to it
    ut_receiver_otlp_http *receiver;
    ut_submission *next;        // in the list of spare ones
    ut_http_exchange *exchange; // that is answered
    ut_batch batch;
    size_t charged; // bytes of the memory for requests
};

struct ut_receiver_otlp_http {
    ut_receiver_otlp_http_config config;
    uint64_t body_bytes_max;
    ut_tls_context *tls; // NULL without TLS
    ut_http_server *server;
    ut_gzip *gzip;   // made at first use
    ut_buf expanded; // the body at hand
    size_t held;     // bytes charged for the body at hand, as sent and expanded
    ut_buf answer;
    ut_submission *spare; // kept for the next requests
    size_t spare_count;
    size_t in_store;  // submissions that the store thread has
    uint64_t busy_ms; // when a request was last under way
    ut_tally refusals;
    ut_receiver_otlp_http_stats stats;
};

static ut_otlp_encoding encoding_of(const ut_http_exchange *exchange)
{
    return (exchange->note & NOTE_JSON) != 0 ? UT_OTLP_JSON : UT_OTLP_PROTOBUF;
}

static const char *content_type_of(const ut_http_exchange *exchange)
{
    return encoding_of(exchange) == UT_OTLP_JSON ? ut_otlp_json_encoder.content_type_z
                                                 : ut_otlp_protobuf_encoder.content_type_z;
}

// ---- refusals ----

static void note(ut_receiver_otlp_http *receiver, const ut_addr *peer, size_t kind, uint64_t count,
                 const char *detail_z)
{
    char who_z[UT_ADDR_TEXT_MAX] = "a sender that is gone";
    if (peer != NULL) {
        ut_addr_text(peer, who_z);
        char *const port_z = strrchr(who_z, ':');
        if (port_z != NULL)
            *port_z = '\0'; // it says nothing about the application
    }
    ut_tally_add(&receiver->refusals, kind, count, who_z, detail_z, ut_clock_mono_ms());
}

// The kind of a request that is answered with this status, where its head was accepted.
static ut_refusal kind_of(int status)
{
    return status == 503   ? UT_REFUSAL_UNAVAILABLE
           : status == 413 ? UT_REFUSAL_TOO_LARGE
           : status == 400 ? UT_REFUSAL_INVALID
                           : UT_REFUSAL_HTTP;
}

// ---- answers ----

static void answer_text(ut_receiver_otlp_http *receiver, ut_http_exchange *exchange, int status,
                        const char *text_z, const char *fields_z)
{
    const ut_http_reply reply = {
        .status = status,
        .content_type_z = "text/plain; charset=utf-8",
        .body = ut_bytes_of_z(text_z),
        .fields_z = fields_z,
    };
    ut_http_server_reply(receiver->server, exchange, &reply);
}

// A refusal in plain text, for a request whose content type is not known or not ours. found: what
// the log is to show of the request.
static void refuse_head(ut_receiver_otlp_http *receiver, ut_http_exchange *exchange, int status,
                        ut_refusal kind, ut_bytes found, const char *text_z, const char *fields_z)
{
    char found_z[SHOWN_MAX + 1];
    (void)snprintf(found_z, sizeof(found_z), "%.*s",
                   (int)(found.len < SHOWN_MAX ? found.len : SHOWN_MAX),
                   found.len > 0 ? (const char *)found.data : ""); // cut is fine
    note(receiver, ut_http_server_peer(exchange), kind, 1, found_z);
    answer_text(receiver, exchange, status, text_z, fields_z);
}

// An error with a google.rpc.Status in the request's content type.
static void answer_error(ut_receiver_otlp_http *receiver, ut_http_exchange *exchange, int status,
                         int32_t code, uint32_t retry_after_s, const char *message_z)
{
    note(receiver, ut_http_server_peer(exchange), kind_of(status), 1, message_z);
    ut_buf_reset(&receiver->answer, ANSWER_BYTES_MAX);
    ut_otlp_status_write(encoding_of(exchange), code, message_z, &receiver->answer);
    const ut_http_reply reply = {
        .status = status,
        .content_type_z = content_type_of(exchange),
        .body = receiver->answer.err == UT_OK ? ut_buf_bytes(&receiver->answer) : UT_BYTES_NONE,
        .retry_after_s = retry_after_s,
    };
    ut_http_server_reply(receiver->server, exchange, &reply);
}

// A 503, which the sender tries again.
static void answer_unavailable(ut_receiver_otlp_http *receiver, ut_http_exchange *exchange,
                               int32_t code, uint32_t retry_after_s, const char *message_z)
{
    answer_error(receiver, exchange, 503, code, retry_after_s, message_z);
}

// A success, or a partial one when spans of the batch were rejected one by one.
static void answer_success(ut_receiver_otlp_http *receiver, ut_http_exchange *exchange,
                           const ut_batch *batch)
{
    ut_buf_reset(&receiver->answer, ANSWER_BYTES_MAX);
    ut_otlp_response_write(encoding_of(exchange), batch->rejected_count, batch->reject_reason_z,
                           &receiver->answer);
    const ut_addr *peer = ut_http_server_peer(exchange);
    for (size_t id = 0; id < UT_REJECT_COUNT && batch->rejected_count > 0; id++) {
        if (batch->rejected[id] > 0)
            note(receiver, peer, UT_REFUSAL_FIRST_SPAN + id, batch->rejected[id],
                 batch->reject_reason_z);
    }
    if (batch->rejected_count == 0 && batch->reject_reason_z[0] != '\0')
        note(receiver, peer, UT_REFUSAL_NO_SPANS, 1, batch->reject_reason_z);
    const ut_http_reply reply = {
        .status = 200,
        .content_type_z = content_type_of(exchange),
        .body = receiver->answer.err == UT_OK ? ut_buf_bytes(&receiver->answer) : UT_BYTES_NONE,
    };
    ut_http_server_reply(receiver->server, exchange, &reply);
}

// ---- submissions ----

// A spare submission or a new one. NULL without memory.
static ut_submission *submission_take(ut_receiver_otlp_http *receiver)
{
    ut_submission *submission = receiver->spare;
    if (submission != NULL) {
        receiver->spare = submission->next;
        receiver->spare_count--;
        return submission;
    }
    submission = calloc(1, sizeof(*submission));
    if (submission == NULL)
        return NULL;
    submission->receiver = receiver;
    ut_batch_init(&submission->batch, BATCH_BYTES_MAX);
    return submission;
}

// Gives its memory back to the requests, and keeps it for the next one.
static void submission_give(ut_submission *submission)
{
    ut_receiver_otlp_http *receiver = submission->receiver;
    ut_http_server_discharge(receiver->server, submission->charged);
    submission->charged = 0;
    if (receiver->spare_count >= UT_RECEIVER_SPARE_MAX) {
        ut_batch_free(&submission->batch);
        free(submission);
        return;
    }
    ut_batch_reset(&submission->batch, UT_RECEIVER_KEEP_BYTES);
    submission->next = receiver->spare;
    receiver->spare = submission;
    receiver->spare_count++;
}

// Sets the ceiling of an empty buffer. Memory that the buffer kept from an earlier request counts
// against the ceiling, and is freed when it is more.
static void set_ceiling(ut_buf *buf, uint64_t max)
{
    const size_t ceiling = max < 1 ? 1 : max < BATCH_BYTES_MAX ? (size_t)max : BATCH_BYTES_MAX;
    ut_buf_reset(buf, ceiling < UT_RECEIVER_KEEP_BYTES ? ceiling : UT_RECEIVER_KEEP_BYTES);
    buf->max = ceiling;
}

// Shares the memory left for requests among the buffers of a batch. A batch may hold more than its
// body did: 64 bytes of index for a span of 30.
static void set_shares(ut_batch *batch, uint64_t left)
{
    set_ceiling(&batch->span_bytes, left / 2);
    set_ceiling(&batch->span_index, left / 4);
    set_ceiling(&batch->resource_bytes, left / 16);
    set_ceiling(&batch->scope_bytes, left / 16);
    set_ceiling(&batch->resource_parts, left / 16);
    set_ceiling(&batch->scope_parts, left / 16);
}

// ---- the head of a request ----

static bool token_is(ut_bytes value, const char *token_z)
{
    return ut_bytes_equal_fold(value, ut_bytes_of_z(token_z));
}

// Reads from x-untrace-ttl how long the spans of this request live. False: the answer is given.
static bool read_ttl(ut_receiver_otlp_http *receiver, ut_http_exchange *exchange,
                     const ut_http_head *head)
{
    ut_bytes value = UT_BYTES_NONE;
    const size_t count = ut_http_head_find(head, "x-untrace-ttl", &value);
    if (count == 0)
        return true;
    uint64_t ms = 0;
    char message_z[160];
    if (count > 1) {
        (void)snprintf(message_z, sizeof(message_z),
                       "found x-untrace-ttl %zu times, expected it once", count);
    } else if (ut_text_parse_duration(value, &ms) != UT_OK) {
        char shown_z[SHOWN_MAX + 1];
        const size_t len = value.len < SHOWN_MAX ? value.len : SHOWN_MAX;
        for (size_t i = 0; i < len; i++)
            shown_z[i] = value.data[i] < 0x20 || value.data[i] > 0x7e ? '?' : (char)value.data[i];
        shown_z[len] = 0;
        (void)snprintf(message_z, sizeof(message_z),
                       "found x-untrace-ttl: \"%s\", expected a duration with its unit such as 7d "
                       "or 12h, or 0: until the room is needed",
                       shown_z);
    } else {
        const uint64_t max_ms = UINT64_MAX >> NOTE_TTL_SHIFT; // two million years
        exchange->note |= NOTE_TTL | (ms < max_ms ? ms : max_ms) << NOTE_TTL_SHIFT;
        return true;
    }
    answer_error(receiver, exchange, 400, RPC_INVALID_ARGUMENT, 0, message_z);
    return false;
}

// Answers a request for another path than that of traces. 404 is right for the other signals: a
// sender must not take for delivered what nobody keeps.
static void answer_path(ut_receiver_otlp_http *receiver, ut_http_exchange *exchange,
                        const ut_http_head *head)
{
    if (ut_bytes_equal(head->path, UT_BYTES_LIT("/healthz")) &&
        (strcmp(head->method_z, "GET") == 0 || strcmp(head->method_z, "HEAD") == 0))
        answer_text(receiver, exchange, 200, "receiving\n", "Cache-Control: no-store\r\n");
    else if (ut_bytes_equal(head->path, UT_BYTES_LIT("/v1/metrics")))
        refuse_head(receiver, exchange, 404, UT_REFUSAL_METRICS, UT_BYTES_NONE,
                    "no metrics are taken here, only traces; set OTEL_METRICS_EXPORTER=none\n",
                    NULL);
    else if (ut_bytes_equal(head->path, UT_BYTES_LIT("/v1/logs")))
        refuse_head(receiver, exchange, 404, UT_REFUSAL_LOGS, UT_BYTES_NONE,
                    "no logs are taken here, only traces; set OTEL_LOGS_EXPORTER=none\n", NULL);
    else
        refuse_head(receiver, exchange, 404, UT_REFUSAL_PATH, head->path,
                    "not found; this port takes POST /v1/traces\n", NULL);
}

// The life that read_ttl found, as ut_store_append takes it.
static uint64_t ttl_of(const ut_http_exchange *exchange)
{
    if ((exchange->note & NOTE_TTL) == 0)
        return 0;
    const uint64_t ms = exchange->note >> NOTE_TTL_SHIFT;
    return ms == 0 ? UT_STORE_TTL_NONE : ms;
}

static void on_head(void *context, ut_http_exchange *exchange, const ut_http_head *head)
{
    ut_receiver_otlp_http *receiver = context;
    ut_bytes value = UT_BYTES_NONE;
    if (!ut_bytes_equal(head->path, UT_BYTES_LIT("/v1/traces"))) {
        answer_path(receiver, exchange, head);
        return;
    }
    if (strcmp(head->method_z, "POST") != 0) {
        refuse_head(receiver, exchange, 405, UT_REFUSAL_METHOD, ut_bytes_of_z(head->method_z),
                    "method not allowed; /v1/traces takes POST\n", "Allow: POST\r\n");
        return;
    }
    const bool typed = ut_http_head_find_one(head, "content-type", &value);
    if (typed && ut_media_type_is(value, "application/json")) {
        exchange->note |= NOTE_JSON;
    } else if (!typed || !ut_media_type_is(value, "application/x-protobuf")) {
        refuse_head(receiver, exchange, 415, UT_REFUSAL_CONTENT_TYPE, value,
                    "unsupported content type; /v1/traces takes application/x-protobuf and "
                    "application/json\n",
                    "Accept: application/x-protobuf, application/json\r\n");
        return;
    }
    const size_t codings = ut_http_head_find(head, "content-encoding", &value);
    if (codings == 1 && (token_is(value, "gzip") || token_is(value, "x-gzip"))) {
        exchange->note |= NOTE_GZIP;
    } else if (codings > 1 || (codings == 1 && value.len > 0 && !token_is(value, "identity"))) {
        refuse_head(receiver, exchange, 415, UT_REFUSAL_CONTENT_ENCODING, value,
                    "unsupported content encoding; /v1/traces takes gzip, identity or none\n",
                    "Accept-Encoding: gzip, identity\r\n");
        return;
    }
    (void)read_ttl(receiver, exchange, head); // on false nothing is left to do
}

static void on_refuse(void *context, ut_http_exchange *exchange, int status, const char *reason_z)
{
    ut_receiver_otlp_http *receiver = context;
    if (status == 503)
        answer_unavailable(receiver, exchange, RPC_UNAVAILABLE, UT_RECEIVER_RETRY_S, reason_z);
    else
        answer_error(receiver, exchange, status,
                     status == 413 ? RPC_RESOURCE_EXHAUSTED : RPC_INVALID_ARGUMENT, 0, reason_z);
}

static void on_foreign(void *context, const ut_addr *peer, ut_http_foreign foreign, int status,
                       const char *reason_z)
{
    char detail_z[UT_TALLY_DETAIL_MAX] = "";
    ut_refusal kind = UT_REFUSAL_HTTP;
    if (foreign == UT_HTTP_FOREIGN_HTTP2)
        kind = UT_REFUSAL_GRPC;
    else if (foreign == UT_HTTP_FOREIGN_TLS)
        kind = UT_REFUSAL_TLS;
    else // reasons are short
        (void)snprintf(detail_z, sizeof(detail_z), "%d: %s", status, reason_z);
    note(context, peer, kind, 1, detail_z);
}

// ---- the body of a request ----

// Answers a request that needs more memory than is left. Its sender is told to come back when other
// requests hold the memory now, and to send less when this request is alone.
static void answer_no_memory(ut_receiver_otlp_http *receiver, ut_http_exchange *exchange)
{
    ut_http_server_stats stats;
    ut_http_server_get_stats(receiver->server, &stats);
    if (stats.under_way == 1)
        answer_error(receiver, exchange, 413, RPC_RESOURCE_EXHAUSTED, 0,
                     "the request is larger than the memory for requests; send smaller ones");
    else
        answer_unavailable(receiver, exchange, RPC_UNAVAILABLE, UT_RECEIVER_RETRY_S,
                           "the memory for requests is used up");
}

// Counts memory that the body at hand takes, until body_release. False: there is not that much.
static bool body_hold(ut_receiver_otlp_http *receiver, size_t bytes)
{
    if (!ut_http_server_charge(receiver->server, bytes))
        return false;
    receiver->held += bytes;
    return true;
}

static void body_release(ut_receiver_otlp_http *receiver)
{
    ut_http_server_discharge(receiver->server, receiver->held);
    receiver->held = 0;
    ut_buf_reset(&receiver->expanded, UT_RECEIVER_KEEP_BYTES);
}

// Replaces a gzip body by the expanded one, in receiver->expanded. False: the answer is given.
static bool expand(ut_receiver_otlp_http *receiver, ut_http_exchange *exchange, ut_bytes *body)
{
    ut_fault fault = {UT_OK, ""};
    const uint64_t left = ut_http_server_memory_left(receiver->server);
    const uint64_t max = receiver->body_bytes_max < left ? receiver->body_bytes_max : left;
    if (receiver->gzip == NULL)
        receiver->gzip = ut_gzip_new();
    set_ceiling(&receiver->expanded, max);
    ut_err err = receiver->gzip == NULL
                     ? UT_ENOMEM
                     : ut_gzip_expand(receiver->gzip, *body, &receiver->expanded, &fault);
    if (err == UT_OK && !body_hold(receiver, receiver->expanded.cap))
        err = UT_ENOMEM;
    if (err == UT_OK) {
        *body = ut_buf_bytes(&receiver->expanded);
        return true;
    }
    if (err == UT_EFORMAT)
        answer_error(receiver, exchange, 400, RPC_INVALID_ARGUMENT, 0, fault.text_z);
    else if (err == UT_ELIMIT && max == receiver->body_bytes_max)
        answer_error(receiver, exchange, 413, RPC_RESOURCE_EXHAUSTED, 0,
                     "the expanded body is larger than this receiver takes");
    else
        answer_no_memory(receiver, exchange);
    return false;
}

// Answers a body that could not be decoded.
static void answer_undecoded(ut_receiver_otlp_http *receiver, ut_http_exchange *exchange,
                             const ut_batch *batch, ut_err err, const char *fault_z)
{
    if (err == UT_EFORMAT)
        answer_error(receiver, exchange, 400, RPC_INVALID_ARGUMENT, 0, fault_z);
    else if (err == UT_ELIMIT && (batch->span_count == UT_BATCH_SPANS_MAX ||
                                  batch->scope_count == UT_BATCH_SCOPES_MAX ||
                                  batch->resource_count == UT_BATCH_SCOPES_MAX))
        answer_error(receiver, exchange, 413, RPC_RESOURCE_EXHAUSTED, 0,
                     "too many spans, scopes or resources in one request; send smaller ones");
    else
        answer_no_memory(receiver, exchange);
}

// Reads the body into the batch, both within the memory that is left.
static ut_err decode(ut_receiver_otlp_http *receiver, ut_otlp_encoding encoding, ut_bytes body,
                     ut_batch *batch, ut_fault *fault)
{
    const uint64_t left = ut_http_server_memory_left(receiver->server);
    if (encoding == UT_OTLP_PROTOBUF) {
        set_shares(batch, left);
        return ut_otlp_protobuf_decode(body, batch, fault);
    }
    // The document of a list of spans takes three to four times what the batch takes.
    const uint64_t document = left - left / 4;
    set_shares(batch, left - document);
    return ut_otlp_json_decode_within(body, document < SIZE_MAX ? (size_t)document : SIZE_MAX,
                                      batch, fault);
}

// Called by ut_store_thread_deliver: the spans are durable, or the store has refused them.
static void answer_stored(ut_store_job *job)
{
    ut_submission *const submission = (ut_submission *)(void *)job;
    ut_receiver_otlp_http *receiver = submission->receiver;
    receiver->in_store--;
    switch (job->result) {
    case UT_OK:
        receiver->stats.accepted += job->append.stored;
        receiver->stats.duplicates += job->append.duplicates;
        answer_success(receiver, submission->exchange, &submission->batch);
        break;
    case UT_EFULL:
    case UT_ENOSPC:
        answer_unavailable(receiver, submission->exchange, RPC_RESOURCE_EXHAUSTED,
                           UT_RECEIVER_RETRY_FULL_S, ut_err_text(job->result));
        break;
    case UT_ELIMIT:
        answer_error(receiver, submission->exchange, 413, RPC_RESOURCE_EXHAUSTED, 0,
                     "the request is larger than the store; send smaller ones, or raise "
                     "storage.max_size");
        break;
    default:
        answer_unavailable(receiver, submission->exchange, RPC_UNAVAILABLE, UT_RECEIVER_RETRY_S,
                           "the spans could not be stored; the agent's log says why");
        break;
    }
    submission_give(submission);
}

// Hands the decoded batch to the store thread.
static void submit(ut_submission *submission)
{
    ut_receiver_otlp_http *const receiver = submission->receiver;
    submission->job.append = (ut_store_append){
        .org = receiver->config.org,
        .ttl_ms = ttl_of(submission->exchange),
        .batch = &submission->batch,
    };
    submission->job.bytes = submission->charged;
    submission->job.done = answer_stored;
    if (submission->batch.span_count == 0) {
        // An empty request is a success.
        answer_success(receiver, submission->exchange, &submission->batch);
        submission_give(submission);
    } else if (ut_store_thread_submit(receiver->config.store, &submission->job) != UT_OK) {
        answer_unavailable(receiver, submission->exchange, RPC_RESOURCE_EXHAUSTED,
                           UT_RECEIVER_RETRY_S, "too many requests wait to be stored");
        submission_give(submission);
    } else {
        receiver->in_store++;
    }
}

static void take_body(ut_receiver_otlp_http *receiver, ut_http_exchange *exchange, ut_bytes body)
{
    if (!body_hold(receiver, body.len)) {
        answer_no_memory(receiver, exchange);
        return;
    }
    if ((exchange->note & NOTE_GZIP) != 0 && !expand(receiver, exchange, &body))
        return;
    ut_submission *const submission = submission_take(receiver);
    if (submission == NULL) {
        answer_unavailable(receiver, exchange, RPC_UNAVAILABLE, UT_RECEIVER_RETRY_S,
                           "out of memory");
        return;
    }
    ut_fault fault = {UT_OK, ""};
    ut_err err = decode(receiver, encoding_of(exchange), body, &submission->batch, &fault);
    body_release(receiver);
    const size_t memory =
        ut_batch_memory(&submission->batch) + ut_store_commit_memory(&submission->batch);
    if (err == UT_OK && !ut_http_server_charge(receiver->server, memory))
        err = UT_ELIMIT;
    if (err != UT_OK) {
        answer_undecoded(receiver, exchange, &submission->batch, err, fault.text_z);
        submission_give(submission);
        return;
    }
    submission->charged = memory;
    submission->exchange = exchange;
    submit(submission);
}

static void on_body(void *context, ut_http_exchange *exchange, ut_bytes body)
{
    ut_receiver_otlp_http *receiver = context;
    take_body(receiver, exchange, body);
    body_release(receiver);
}

// ---- the receiver ----

ut_err ut_receiver_otlp_http_open(const ut_receiver_otlp_http_config *config,
                                  ut_receiver_otlp_http **out, ut_fault *fault)
{
    const ut_receiver_config *limits = config->receiver;
    ut_receiver_otlp_http *receiver = calloc(1, sizeof(*receiver));
    if (receiver == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    receiver->config = *config;
    receiver->config.receiver = NULL; // it was borrowed for this call only
    receiver->body_bytes_max = limits->body_bytes_max;
    ut_buf_init(&receiver->expanded, (size_t)limits->body_bytes_max);
    ut_buf_init(&receiver->answer, ANSWER_BYTES_MAX);
    ut_tally_init(&receiver->refusals, ut_refusal_kinds, UT_REFUSAL_COUNT, config->log,
                  "otlp_http");
    ut_err err = UT_OK;
    if (limits->tls) {
        const ut_tls_config tls = {
            .server = true,
            .ca_pem = limits->client_ca_pem,
            .cert_pem = limits->cert_pem,
            .key_pem = limits->key_pem,
        };
        err = ut_tls_context_new(&tls, &receiver->tls, fault);
    }
    const ut_http_server_config server = {
        .poller = config->poller,
        .tls = receiver->tls,
        .log = config->log,
        .area_z = "otlp_http",
        .handler = {.context = receiver,
                    .on_head = on_head,
                    .on_body = on_body,
                    .on_refuse = on_refuse,
                    .on_foreign = on_foreign},
        .listen = limits->listen,
        .body_bytes_max = limits->body_bytes_max,
        .memory_bytes_max = limits->memory_bytes_max,
        .connections_max = limits->connections_max,
        .header_bytes_max = limits->header_bytes_max,
        .head_timeout_ms = limits->head_timeout_ms,
        .body_timeout_ms = limits->body_timeout_ms,
        .idle_timeout_ms = limits->idle_timeout_ms,
    };
    if (err == UT_OK)
        err = ut_http_server_open(&server, &receiver->server, fault);
    if (err != UT_OK) {
        ut_receiver_otlp_http_close(receiver);
        return err;
    }
    *out = receiver;
    return UT_OK;
}

// Frees the memory that is kept for the next requests.
static void trim(ut_receiver_otlp_http *receiver)
{
    while (receiver->spare != NULL) {
        ut_submission *submission = receiver->spare;
        receiver->spare = submission->next;
        ut_batch_free(&submission->batch);
        free(submission);
    }
    receiver->spare_count = 0;
    ut_buf_free(&receiver->expanded);
    ut_buf_free(&receiver->answer);
}

void ut_receiver_otlp_http_close(ut_receiver_otlp_http *receiver)
{
    if (receiver == NULL)
        return;
    UT_ASSERT(receiver->in_store == 0);
    ut_http_server_close(receiver->server);
    ut_tls_context_free(receiver->tls);
    trim(receiver);
    ut_gzip_free(receiver->gzip);
    free(receiver);
}

ut_http_server *ut_receiver_otlp_http_server(ut_receiver_otlp_http *receiver)
{
    return receiver->server;
}

void ut_receiver_otlp_http_step(ut_receiver_otlp_http *receiver, uint64_t now_ms, uint64_t *next_ms)
{
    ut_http_server_stats stats;
    ut_http_server_step(receiver->server, now_ms, next_ms);
    ut_http_server_get_stats(receiver->server, &stats);
    if (stats.under_way > 0) {
        receiver->busy_ms = now_ms;
    } else if (receiver->spare_count > 0 && receiver->in_store == 0) {
        if (now_ms - receiver->busy_ms >= UT_RECEIVER_TRIM_MS)
            trim(receiver);
        else if (receiver->busy_ms + UT_RECEIVER_TRIM_MS < *next_ms)
            *next_ms = receiver->busy_ms + UT_RECEIVER_TRIM_MS;
    }
    ut_tally_step(&receiver->refusals, now_ms, next_ms);
}

const ut_tally *ut_receiver_otlp_http_refusals(const ut_receiver_otlp_http *receiver)
{
    return &receiver->refusals;
}

void ut_receiver_otlp_http_get_stats(const ut_receiver_otlp_http *receiver,
                                     ut_receiver_otlp_http_stats *stats)
{
    *stats = receiver->stats;
}
