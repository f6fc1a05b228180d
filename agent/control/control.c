// Requests to a running agent and their answers.
#include "agent/control/control.h"

#include "adapters/encoding/json.h"
#include "adapters/encoding/json_write.h"
#include "adapters/otlp/otlp.h"
#include "agent/control/control_path.h"
#include "agent/config/master_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct ut_control {
    ut_control_config config;
    ut_http_server *server;
    ut_addr addr;
    int dir_fd; // -1, or what the address goes through
    uint64_t started_ms;
    ut_buf answer;
    size_t in_store; // calls that are under way
};

typedef struct {
    const char *method_z;
    const char *path_z;
    void (*serve)(ut_control *control, ut_http_exchange *exchange, ut_bytes body);
} route;

// ---- answers

static void answer(ut_control *c, ut_http_exchange *exchange, int status)
{
    const bool whole = c->answer.err == UT_OK;
    const ut_http_reply reply = {
        .status = whole ? status : 500,
        .content_type_z = "application/json",
        .body = whole ? ut_buf_bytes(&c->answer) : UT_BYTES_NONE,
    };
    ut_http_server_reply(c->server, exchange, &reply);
}

static void begin_answer(ut_control *c)
{
    ut_buf_reset(&c->answer, UT_CONTROL_ANSWER_MAX);
}

static void answer_error(ut_control *c, ut_http_exchange *exchange, int status, const char *text_z)
{
    begin_answer(c);
    ut_buf_add_z(&c->answer, "{\"error\":");
    ut_json_put_string(&c->answer, ut_bytes_of_z(text_z));
    ut_buf_add_z(&c->answer, "}\n");
    answer(c, exchange, status);
}

static void answer_busy(ut_control *c, ut_http_exchange *exchange)
{
    answer_error(c, exchange, 503, "the agent is stopping, or has too many requests like this");
}

// ---- writing

// ,"name":value
static void put_uint(ut_buf *out, const char *name_z, uint64_t value)
{
    ut_buf_printf(out, ",\"%s\":", name_z);
    ut_json_put_uint(out, value);
}

static void put_text(ut_buf *out, const char *name_z, const char *text_z)
{
    ut_buf_printf(out, ",\"%s\":", name_z);
    ut_json_put_string(out, ut_bytes_of_z(text_z));
}

static void put_bool(ut_buf *out, const char *name_z, bool value)
{
    ut_buf_printf(out, ",\"%s\":%s", name_z, value ? "true" : "false");
}

static const char *state_name(ut_store_operation_state state)
{
    switch (state) {
    case UT_STORE_OPERATION_NONE:
        return "none";
    case UT_STORE_OPERATION_RUNNING:
        return "running";
    case UT_STORE_OPERATION_DONE:
        return "done";
    case UT_STORE_OPERATION_FAILED:
        return "failed";
    case UT_STORE_OPERATION_CANCELED:
        return "cancelled";
    }
    return "none";
}

static void put_operation(ut_buf *out, const ut_store_operation_status *status)
{
    ut_buf_add_z(out, "{\"name\":");
    ut_json_put_string(out, ut_bytes_of_z(status->name_z != NULL ? status->name_z : ""));
    put_uint(out, "number", status->number);
    put_text(out, "state", state_name(status->state));
    put_uint(out, "done", status->progress.done);
    put_uint(out, "total", status->progress.total);
    put_uint(out, "blocks", status->progress.blocks);
    put_uint(out, "spans", status->progress.spans);
    put_uint(out, "bytes", status->progress.bytes);
    put_uint(out, "pending", status->progress.pending);
    if (status->state == UT_STORE_OPERATION_FAILED) {
        put_text(out, "error", status->fault.text_z);
        put_text(out, "error_code", ut_err_name(status->fault.code));
    }
    ut_buf_add_byte(out, '}');
}

// ---- status

typedef struct {
    ut_store_call call; // first member: the store thread's pointer is ours
    ut_control *control;
    ut_http_exchange *exchange;
    ut_store_counts counts;
    ut_store_destination destinations[UT_STORE_DESTINATIONS_MAX];
    size_t destination_count;
    ut_engine_room room;
    ut_err room_err;
} status_call;

static void read_status(ut_store_call *call, ut_store *store)
{
    status_call *s = (status_call *)(void *)call;
    ut_engine *engine = ut_store_engine(store);
    ut_store_get_counts(store, &s->counts);
    s->destination_count =
        ut_store_get_destinations(store, s->destinations, UT_STORE_DESTINATIONS_MAX);
    s->room_err = engine->class->room(engine, &s->room);
}

static void put_destination(ut_buf *out, const ut_store_destination *row,
                            const ut_dispatcher_status *doing)
{
    ut_buf_add_z(out, "{\"name\":");
    ut_json_put_string(out, ut_bytes_of_z(row->name_z));
    put_bool(out, "active", row->active);
    put_uint(out, "accepted", row->counts.accepted);
    put_uint(out, "delivered", row->counts.delivered);
    put_uint(out, "pending", ut_store_pending(&row->counts));
    put_uint(out, "dead", row->counts.dead);
    put_uint(out, "expired", row->counts.expired);
    put_uint(out, "evicted", row->counts.evicted);
    put_uint(out, "in_flight", doing != NULL ? doing->in_flight : 0);
    put_bool(out, "failing", doing != NULL && doing->failing);
    put_text(out, "last_error", doing != NULL ? doing->last_error_z : "");
    ut_buf_add_byte(out, '}');
}

static void put_destinations(ut_control *c, const status_call *s, ut_buf *out)
{
    ut_dispatcher_status *doing = calloc(UT_STORE_DESTINATIONS_MAX, sizeof *doing);
    size_t count = 0;
    if (doing != NULL && c->config.dispatch != NULL)
        count = ut_dispatch_thread_get_status(c->config.dispatch, doing, UT_STORE_DESTINATIONS_MAX);
    ut_buf_add_z(out, ",\"destinations\":[");
    for (size_t i = 0; i < s->destination_count; i++) {
        const ut_dispatcher_status *found = NULL;
        for (size_t k = 0; k < count && found == NULL; k++)
            found = strcmp(doing[k].name_z, s->destinations[i].name_z) == 0 ? &doing[k] : NULL;
        if (i > 0)
            ut_buf_add_byte(out, ',');
        put_destination(out, &s->destinations[i], found);
    }
    ut_buf_add_byte(out, ']');
    free(doing);
}

static void answer_status(ut_store_call *call)
{
    status_call *s = (status_call *)(void *)call;
    ut_control *c = s->control;
    ut_buf *out = &c->answer;
    ut_http_server_stats http = {0};
    ut_store_operation_status operation;
    c->in_store--;
    if (c->config.receiver != NULL)
        ut_http_server_get_stats(c->config.receiver, &http);
    ut_store_thread_operation(c->config.store, &operation);
    begin_answer(c);
    ut_buf_add_z(out, "{\"version\":\"" UT_VERSION "\"");
    put_uint(out, "pid", (uint64_t)getpid());
    put_uint(out, "uptime_ms", ut_clock_mono_ms() - c->started_ms);
    put_text(out, "data_dir", c->config.data_dir_z);
    put_uint(out, "connections", http.connections);
    put_uint(out, "requests", http.requests);
    put_uint(out, "refused", http.refused);
    put_uint(out, "queue", ut_store_thread_waiting(c->config.store));
    put_uint(out, "memory_bytes", http.memory);
    put_uint(out, "spans_stored", s->counts.spans_stored);
    put_uint(out, "spans_duplicate", s->counts.spans_duplicate);
    put_uint(out, "spans_expired", s->counts.spans_expired);
    put_uint(out, "spans_evicted", s->counts.spans_evicted);
    put_uint(out, "blocks_stored", s->counts.blocks_stored);
    put_uint(out, "blocks_removed", s->counts.blocks_removed);
    if (s->room_err == UT_OK) {
        ut_buf_add_z(out, ",\"store\":{\"bytes_max\":");
        ut_json_put_uint(out, s->room.bytes_max);
        put_uint(out, "bytes_used", s->room.bytes_used);
        put_uint(out, "bytes_file", s->room.bytes_file);
        ut_buf_add_byte(out, '}');
    } else {
        ut_buf_add_z(out, ",\"store\":null");
    }
    put_destinations(c, s, out);
    ut_buf_add_z(out, ",\"operation\":");
    if (operation.state == UT_STORE_OPERATION_NONE)
        ut_buf_add_z(out, "null");
    else
        put_operation(out, &operation);
    ut_buf_add_z(out, "}\n");
    answer(c, s->exchange, 200);
    free(s);
}

static void get_status(ut_control *c, ut_http_exchange *exchange, ut_bytes body)
{
    (void)body;
    status_call *s = calloc(1, sizeof *s);
    if (s == NULL) {
        answer_busy(c, exchange);
        return;
    }
    s->call.run = read_status;
    s->call.done = answer_status;
    s->control = c;
    s->exchange = exchange;
    if (ut_store_thread_call(c->config.store, &s->call) != UT_OK) {
        free(s);
        answer_busy(c, exchange);
        return;
    }
    c->in_store++;
}

// ---- operations

static void get_operation(ut_control *c, ut_http_exchange *exchange, ut_bytes body)
{
    (void)body;
    ut_store_operation_status status;
    ut_store_thread_operation(c->config.store, &status);
    begin_answer(c);
    put_operation(&c->answer, &status);
    ut_buf_add_byte(&c->answer, '\n');
    answer(c, exchange, 200);
}

// Takes over the operation and answers for it.
static void begin_operation(ut_control *c, ut_http_exchange *exchange, ut_operation *operation)
{
    uint64_t number = 0;
    const char *name_z = operation->class->name_z;
    const ut_err err = ut_store_thread_begin(c->config.store, operation, &number);
    if (err == UT_OK) {
        begin_answer(c);
        ut_buf_add_z(&c->answer, "{\"name\":");
        ut_json_put_string(&c->answer, ut_bytes_of_z(name_z));
        put_uint(&c->answer, "number", number);
        put_text(&c->answer, "state", state_name(UT_STORE_OPERATION_RUNNING));
        ut_buf_add_z(&c->answer, "}\n");
        answer(c, exchange, 202);
        return;
    }
    operation->class->free(operation);
    if (err == UT_EBUSY) {
        ut_store_operation_status status;
        char text_z[UT_FAULT_TEXT_MAX];
        ut_store_thread_operation(c->config.store, &status);
        (void)snprintf(text_z, sizeof text_z,
                       "another operation (%s) is under way; wait for its end or cancel it",
                       status.name_z);
        answer_error(c, exchange, 409, text_z);
    } else {
        answer_busy(c, exchange);
    }
}

// Reads an object of known members. False: the answer is given.
static bool read_request(ut_control *c, ut_http_exchange *exchange, ut_bytes body, ut_json *json)
{
    ut_fault fault = {UT_OK, ""};
    if (ut_json_read(json, body, &fault) != UT_OK) {
        answer_error(c, exchange, 400, fault.text_z);
        return false;
    }
    if (yyjson_is_obj(yyjson_doc_get_root(json->doc)))
        return true;
    ut_json_free(json);
    answer_error(c, exchange, 400, "the body is to be an object");
    return false;
}

static bool read_uint(yyjson_val *value, uint64_t *number)
{
    bool negative = false;
    const char *text_z = yyjson_get_raw(value);
    return text_z != NULL &&
           ut_json_integer(ut_bytes_of(text_z, yyjson_get_len(value)), &negative, number) ==
               UT_JSON_NUMBER_OK &&
           !negative;
}

static bool read_bool(yyjson_val *value, bool *wish)
{
    *wish = yyjson_get_bool(value);
    return yyjson_is_bool(value);
}

static bool read_text(yyjson_val *value, char *out_z, size_t cap)
{
    const char *text_z = yyjson_get_str(value);
    const size_t len = yyjson_get_len(value);
    if (text_z == NULL || len == 0 || len >= cap || strlen(text_z) != len)
        return false;
    memcpy(out_z, text_z, len + 1);
    return true;
}

static void post_cleanup(ut_control *c, ut_http_exchange *exchange, ut_bytes body)
{
    ut_json json;
    ut_cleanup_options wish = {.org = UT_ORG_DEFAULT};
    ut_operation *operation = NULL;
    if (!read_request(c, exchange, body, &json))
        return;
    yyjson_obj_iter members = yyjson_obj_iter_with(yyjson_doc_get_root(json.doc));
    bool good = true;
    bool aged = false;
    for (yyjson_val *name; good && (name = yyjson_obj_iter_next(&members)) != NULL;) {
        yyjson_val *value = yyjson_obj_iter_get_val(name);
        if (yyjson_equals_str(name, "older_than_ns"))
            good = aged = read_uint(value, &wish.older_than_ns);
        else if (yyjson_equals_str(name, "service"))
            good = read_text(value, wish.service_z, sizeof wish.service_z);
        else if (yyjson_equals_str(name, "delivered"))
            good = read_bool(value, &wish.delivered_only);
        else
            good = yyjson_equals_str(name, "dry_run") && read_bool(value, &wish.dry_run);
    }
    ut_json_free(&json);
    if (!good || !aged)
        answer_error(c, exchange, 400,
                     "cleanup takes older_than_ns, service, delivered and dry_run");
    else if (ut_cleanup_new(&wish, &operation) == UT_OK)
        begin_operation(c, exchange, operation);
    else
        answer_busy(c, exchange);
}

static void post_ttl(ut_control *c, ut_http_exchange *exchange, ut_bytes body)
{
    ut_json json;
    bool dry_run = false;
    bool good = true;
    ut_operation *operation = NULL;
    if (!read_request(c, exchange, body, &json))
        return;
    yyjson_obj_iter members = yyjson_obj_iter_with(yyjson_doc_get_root(json.doc));
    for (yyjson_val *name; good && (name = yyjson_obj_iter_next(&members)) != NULL;)
        good = yyjson_equals_str(name, "dry_run") &&
               read_bool(yyjson_obj_iter_get_val(name), &dry_run);
    ut_json_free(&json);
    if (!good)
        answer_error(c, exchange, 400, "ttl takes dry_run");
    else if (ut_retime_new(UT_ORG_DEFAULT, dry_run, &operation) == UT_OK)
        begin_operation(c, exchange, operation);
    else
        answer_busy(c, exchange);
}

static void post_compact(ut_control *c, ut_http_exchange *exchange, ut_bytes body)
{
    (void)body;
    ut_operation *operation = NULL;
    if (ut_compaction_new(&operation) == UT_OK)
        begin_operation(c, exchange, operation);
    else
        answer_busy(c, exchange);
}

// The key itself does not come through the socket: the agent reads the file, as it will when it
// starts the next time.
static void post_rekey(ut_control *c, ut_http_exchange *exchange, ut_bytes body)
{
    ut_json json;
    ut_fault fault = {UT_OK, ""};
    ut_master_key key = {.given = false};
    ut_operation *operation = NULL;
    ut_err err = ut_json_read(&json, body, &fault);
    if (err == UT_OK) {
        const char *path_z =
            yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(json.doc), "key_file"));
        err = path_z != NULL ? ut_master_key_read(path_z, c->config.log, &key, &fault)
                             : ut_fault_set(&fault, UT_EINVAL, "key_file is missing");
        ut_json_free(&json);
    }
    if (err != UT_OK) {
        answer_error(c, exchange, 400, fault.text_z);
        return;
    }
    if (ut_rekey_new(key.bytes, &operation) == UT_OK)
        begin_operation(c, exchange, operation);
    else
        answer_busy(c, exchange);
    ut_master_key_wipe(&key);
}

static void post_cancel(ut_control *c, ut_http_exchange *exchange, ut_bytes body)
{
    ut_json json;
    uint64_t number = 0;
    bool good = true;
    if (body.len > 0) {
        if (!read_request(c, exchange, body, &json))
            return;
        yyjson_obj_iter members = yyjson_obj_iter_with(yyjson_doc_get_root(json.doc));
        for (yyjson_val *name; good && (name = yyjson_obj_iter_next(&members)) != NULL;)
            good = yyjson_equals_str(name, "number") &&
                   read_uint(yyjson_obj_iter_get_val(name), &number) && number > 0;
        ut_json_free(&json);
    }
    if (!good)
        answer_error(c, exchange, 400, "cancel takes number, that of an operation");
    else if (ut_store_thread_cancel(c->config.store, number))
        get_operation(c, exchange, body);
    else
        answer_error(c, exchange, 409,
                     number == 0 ? "no operation is under way" : "this operation is not under way");
}

// ---- cursors of readers that poll

typedef struct {
    ut_store_call call; // first member
    ut_control *control;
    ut_http_exchange *exchange;
    char name_z[UT_STORE_CONSUMER_NAME_MAX + 1];
    uint64_t seq;
    uint64_t ordinal;
    ut_err err;
} consumer_call;

static void store_consumer(ut_store_call *call, ut_store *store)
{
    consumer_call *s = (consumer_call *)(void *)call;
    s->err = s->ordinal > UINT32_MAX ? UT_EINVAL
                                     : ut_store_set_consumer(store, UT_ORG_DEFAULT, s->name_z,
                                                             s->seq, (uint32_t)s->ordinal);
}

static void answer_consumer(ut_store_call *call)
{
    consumer_call *s = (consumer_call *)(void *)call;
    ut_control *c = s->control;
    c->in_store--;
    if (s->err == UT_OK) {
        begin_answer(c);
        ut_buf_add_z(&c->answer, "{\"name\":");
        ut_json_put_string(&c->answer, ut_bytes_of_z(s->name_z));
        put_uint(&c->answer, "seq", s->seq);
        put_uint(&c->answer, "ordinal", s->ordinal);
        ut_buf_add_z(&c->answer, "}\n");
        answer(c, s->exchange, 200);
    } else if (s->err == UT_EINVAL) {
        answer_error(c, s->exchange, 400, "there is no such place in the store");
    } else if (s->err == UT_ELIMIT) {
        answer_error(c, s->exchange, 409, "too many readers have a cursor here; remove one");
    } else {
        answer_error(c, s->exchange, 503, ut_err_text(s->err));
    }
    free(s);
}

// seq 0 and ordinal 0 remove it.
static void post_consumer(ut_control *c, ut_http_exchange *exchange, ut_bytes body)
{
    ut_json json;
    consumer_call wish = {.control = c, .exchange = exchange};
    bool good = true;
    bool placed = false;
    if (!read_request(c, exchange, body, &json))
        return;
    yyjson_obj_iter members = yyjson_obj_iter_with(yyjson_doc_get_root(json.doc));
    for (yyjson_val *name; good && (name = yyjson_obj_iter_next(&members)) != NULL;) {
        yyjson_val *value = yyjson_obj_iter_get_val(name);
        if (yyjson_equals_str(name, "name"))
            good = read_text(value, wish.name_z, sizeof wish.name_z);
        else if (yyjson_equals_str(name, "seq"))
            good = placed = read_uint(value, &wish.seq);
        else
            good = yyjson_equals_str(name, "ordinal") && read_uint(value, &wish.ordinal);
    }
    ut_json_free(&json);
    if (!good || !placed || wish.name_z[0] == '\0') {
        answer_error(c, exchange, 400, "consumer takes name, seq and ordinal");
        return;
    }
    consumer_call *call = malloc(sizeof *call);
    if (call != NULL) {
        *call = wish;
        call->call.run = store_consumer;
        call->call.done = answer_consumer;
    }
    if (call == NULL || ut_store_thread_call(c->config.store, &call->call) != UT_OK) {
        free(call);
        answer_busy(c, exchange);
        return;
    }
    c->in_store++;
}

// ---- spans that are imported

typedef struct spans_call spans_call;

// One OTLP request of several.
typedef struct {
    ut_store_job job; // first member: the store thread's pointer is ours
    spans_call *call;
    ut_batch batch;
} spans_part;

struct spans_call {
    ut_control *control;
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
    ut_http_server_discharge(call->control->server, call->bytes);
    for (uint32_t i = 0; i < call->part_count; i++)
        ut_batch_free(&call->parts[i].batch);
    free(call);
}

static void answer_spans(spans_call *call)
{
    ut_control *c = call->control;
    c->in_store--;
    begin_answer(c);
    ut_buf_add_z(&c->answer, "{\"stored\":");
    ut_json_put_uint(&c->answer, call->stored);
    put_uint(&c->answer, "duplicates", call->duplicates);
    if (call->result != UT_OK) {
        put_uint(&c->answer, "taken", call->taken);
        put_text(&c->answer, "error",
                 call->result == UT_EAGAIN ? "the agent has too many requests to store"
                 : call->result == UT_ELIMIT
                     ? "the request is larger than the store; send smaller ones, or raise "
                       "storage.max_size"
                     : ut_err_text(call->result));
    }
    ut_buf_add_z(&c->answer, "}\n");
    answer(c, call->exchange, call->result == UT_OK ? 200 : call->result == UT_ELIMIT ? 413 : 503);
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
        if (!ut_http_server_charge(call->control->server, bytes))
            return UT_EAGAIN;
        call->bytes += bytes;
        body.data += UT_CONTROL_FRAME_HEAD + length;
        body.len -= UT_CONTROL_FRAME_HEAD + (size_t)length;
    }
    return UT_OK;
}

static void post_spans(ut_control *c, ut_http_exchange *exchange, ut_bytes body)
{
    ut_fault fault = {UT_OK, ""};
    spans_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        answer_busy(c, exchange);
        return;
    }
    call->control = c;
    call->exchange = exchange;
    const ut_err err = decode_spans(call, body, &fault);
    if (err != UT_OK) {
        if (err == UT_EFORMAT || err == UT_ELIMIT)
            answer_error(c, exchange, 400, fault.text_z);
        else
            answer_busy(c, exchange);
        free_spans(call);
        return;
    }
    // The last to be handed back answers; this one counts too, so that none of them is the last early.
    c->in_store++;
    call->left = call->part_count + 1;
    for (uint32_t i = 0; i < call->part_count; i++) {
        spans_part *part = &call->parts[i];
        part->job.append = (ut_store_append){.org = UT_ORG_DEFAULT, .batch = &part->batch};
        part->job.bytes = ut_batch_memory(&part->batch);
        part->job.done = part_stored;
        if (part->batch.span_count == 0) {
            call->taken |= UINT64_C(1) << i;
            call->left--;
        } else if (ut_store_thread_submit(c->config.store, &part->job) != UT_OK) {
            call->result = UT_EAGAIN;
            call->left--;
        }
    }
    if (--call->left == 0)
        answer_spans(call);
}

// ---- what can be asked

// Another request that changes the store is a row here and a function above: an operation ends with
// begin_operation, a single call is made like that of the status.
static const route routes[] = {
    {"GET", "/status", get_status},
    {"POST", "/spans", post_spans},
    {"GET", "/store/operation", get_operation},
    {"POST", "/store/cleanup", post_cleanup},
    {"POST", "/store/ttl", post_ttl},
    {"POST", "/store/compact", post_compact},
    {"POST", "/store/rekey", post_rekey},
    {"POST", "/store/cancel", post_cancel},
    {"POST", "/store/consumer", post_consumer},
};
enum { ROUTES = sizeof routes / sizeof routes[0] };

static void on_head(void *context, ut_http_exchange *exchange, const ut_http_head *head)
{
    ut_control *c = context;
    bool known = false;
    for (size_t i = 0; i < ROUTES; i++) {
        if (!ut_bytes_equal(head->path, ut_bytes_of_z(routes[i].path_z)))
            continue;
        known = true;
        if (strcmp(head->method_z, routes[i].method_z) == 0) {
            exchange->note = i;
            return;
        }
    }
    if (known)
        answer_error(c, exchange, 405, "this path takes another method");
    else
        answer_error(c, exchange, 404, "there is no such path");
}

static void on_body(void *context, ut_http_exchange *exchange, ut_bytes body)
{
    ut_control *c = context;
    UT_ASSERT(exchange->note < ROUTES);
    routes[exchange->note].serve(c, exchange, body);
}

static void on_refuse(void *context, ut_http_exchange *exchange, int status, const char *reason_z)
{
    ut_control *c = context;
    answer_error(c, exchange, status, reason_z);
}

// ---- the socket

ut_err ut_control_open(const ut_control_config *config, ut_control **out, ut_fault *fault)
{
    ut_control *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    c->config = *config;
    c->started_ms = ut_clock_mono_ms();
    ut_buf_init(&c->answer, UT_CONTROL_ANSWER_MAX);
    ut_err err = ut_control_path(config->data_dir_z, &c->addr, &c->dir_fd, fault);
    if (err == UT_OK) {
        const ut_http_server_config server = {
            .poller = config->poller,
            .log = config->log,
            .area_z = "control",
            .handler = {.context = c,
                        .on_head = on_head,
                        .on_body = on_body,
                        .on_refuse = on_refuse},
            .listen = c->addr,
            .body_bytes_max = UT_CONTROL_BODY_BYTES_MAX,
            .memory_bytes_max = UT_CONTROL_MEMORY_MAX,
            .connections_max = UT_CONTROL_CONNECTIONS_MAX,
            .header_bytes_max = UT_CONTROL_HEADER_BYTES_MAX,
            .head_timeout_ms = UT_CONTROL_TIMEOUT_MS,
            .body_timeout_ms = UT_CONTROL_TIMEOUT_MS,
            .idle_timeout_ms = UT_CONTROL_IDLE_MS,
        };
        // So the socket is never there for others, not even for a moment. What another thread makes
        // meanwhile is for this user only, as it is anyway.
        const mode_t before = umask(0177);
        err = ut_http_server_open(&server, &c->server, fault);
        (void)umask(before);
    }
    if (err != UT_OK) {
        ut_control_close(c);
        return err;
    }
    *out = c;
    return UT_OK;
}

void ut_control_close(ut_control *c)
{
    if (c == NULL)
        return;
    UT_ASSERT(c->in_store == 0);
    if (c->server != NULL) {
        ut_http_server_close(c->server);
        (void)unlink(c->addr.path_z); // one that stays behind is replaced by the next agent
    }
    if (c->dir_fd >= 0)
        (void)close(c->dir_fd);
    ut_buf_free(&c->answer);
    free(c);
}

ut_http_server *ut_control_server(ut_control *c)
{
    return c->server;
}
