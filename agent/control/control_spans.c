// Spans that are imported; see control_spans.h.
#include "agent/control/control_spans.h"

#include "adapters/otlp/otlp.h"
#include "agent/control/control_limits.h"

#include <stdlib.h>

typedef struct spans_call spans_call;

// One frame of the body: an OTLP request of its own.
typedef struct {
    ut_store_job job; // first member: the store thread's pointer is ours
    spans_call *call;
    ut_batch batch;
} spans_part;

struct spans_call {
    ut_control_agent *agent;
    ut_http_exchange *exchange;
    size_t bytes;  // counted against the memory of requests
    uint32_t left; // parts that are not stored yet
    uint32_t part_count;
    uint64_t stored;
    uint64_t duplicates;
    uint64_t taken; // a bit for each part that is stored, or has nothing to store
    ut_err result;  // an error: one that may pass, if there is one
    spans_part parts[UT_CONTROL_FRAMES_MAX];
};

static void free_spans(spans_call *call)
{
    ut_http_server_discharge(call->agent->server, call->bytes);
    for (uint32_t i = 0; i < call->part_count; i++)
        ut_batch_free(&call->parts[i].batch);
    free(call);
}

static const char *refusal_z(ut_err err)
{
    if (err == UT_EAGAIN)
        return "the agent has too many requests to store";
    if (err == UT_ELIMIT)
        return "the request is larger than the store; send smaller ones, or raise storage.max_size";
    return ut_err_text(err);
}

static void answer_spans(spans_call *call)
{
    ut_control_agent *agent = call->agent;
    agent->in_store--;
    ut_json_writer json = ut_control_begin_answer(agent);
    ut_json_write_object(&json, NULL);
    ut_json_write_uint(&json, "stored", call->stored);
    ut_json_write_uint(&json, "duplicates", call->duplicates);
    if (call->result != UT_OK) {
        ut_json_write_uint(&json, "taken", call->taken);
        ut_json_write_text_z(&json, "error", refusal_z(call->result));
    }
    ut_json_write_close(&json);
    ut_control_answer(agent, call->exchange, &json,
                      call->result == UT_OK       ? 200
                      : call->result == UT_ELIMIT ? 413
                                                  : 503);
    free_spans(call);
}

static void part_stored(ut_store_job *job)
{
    spans_part *part = (spans_part *)(void *)job;
    spans_call *call = part->call;
    if (job->result == UT_OK) {
        call->stored += job->append.stored;
        call->duplicates += job->append.duplicates;
        call->taken |= UINT64_C(1) << (size_t)(part - call->parts);
    } else if (call->result == UT_OK || call->result == UT_ELIMIT) {
        call->result = job->result;
    }
    if (--call->left == 0)
        answer_spans(call);
}

// Reads the frames of a body into the parts.
static ut_err decode_spans(spans_call *call, ut_bytes body, ut_fault *fault)
{
    while (body.len > 0) {
        if (call->part_count == UT_CONTROL_FRAMES_MAX)
            return ut_fault_set(fault, UT_ELIMIT, "more than %d requests", UT_CONTROL_FRAMES_MAX);
        const bool headed = body.len >= UT_CONTROL_FRAME_HEAD;
        const uint32_t length = headed ? ut_get_be32(body.data + 1) : 0;
        if (!headed || length > body.len - UT_CONTROL_FRAME_HEAD)
            return ut_fault_set(fault, UT_EFORMAT, "a request that is not whole");
        const ut_bytes request = ut_bytes_of(body.data + UT_CONTROL_FRAME_HEAD, length);
        spans_part *part = &call->parts[call->part_count++];
        part->call = call;
        ut_batch_init(&part->batch, UT_CONTROL_MEMORY_MAX);
        const ut_err err = body.data[0] == 1
                               ? ut_otlp_json_decode(request, &part->batch, fault)
                               : ut_otlp_protobuf_decode(request, &part->batch, fault);
        if (err != UT_OK)
            return err;
        const size_t bytes = ut_batch_memory(&part->batch);
        if (!ut_http_server_charge(call->agent->server, bytes))
            return UT_EAGAIN;
        call->bytes += bytes;
        body.data += UT_CONTROL_FRAME_HEAD + length;
        body.len -= UT_CONTROL_FRAME_HEAD + (size_t)length;
    }
    return UT_OK;
}

void ut_control_post_spans(ut_control_agent *agent, ut_http_exchange *exchange, ut_bytes body)
{
    ut_fault fault = {UT_OK, ""};
    spans_call *call = calloc(1, sizeof(*call));
    if (call == NULL) {
        ut_control_answer_busy(agent, exchange);
        return;
    }
    call->agent = agent;
    call->exchange = exchange;
    const ut_err err = decode_spans(call, body, &fault);
    if (err != UT_OK) {
        if (err == UT_EFORMAT || err == UT_ELIMIT)
            ut_control_answer_error(agent, exchange, 400, fault.text_z);
        else
            ut_control_answer_busy(agent, exchange);
        free_spans(call);
        return;
    }
    // The part that is handed back last answers. This function counts as one more, so that no part
    // is the last one while others are still being submitted.
    agent->in_store++;
    call->left = call->part_count + 1;
    for (uint32_t i = 0; i < call->part_count; i++) {
        spans_part *part = &call->parts[i];
        part->job.append = (ut_store_append){.org = UT_ORG_DEFAULT, .batch = &part->batch};
        part->job.bytes = ut_batch_memory(&part->batch);
        part->job.done = part_stored;
        if (part->batch.span_count == 0) {
            call->taken |= UINT64_C(1) << i;
            call->left--;
        } else if (ut_store_thread_submit(agent->store, &part->job) != UT_OK) {
            call->result = UT_EAGAIN;
            call->left--;
        }
    }
    if (--call->left == 0)
        answer_spans(call);
}
