// Requests and answers of the control socket; see control_answer.h.
#include "agent/control/control_answer.h"

#include "agent/control/control_limits.h"

#include <stdio.h>
#include <stdlib.h>

// ---- answers ----

ut_json_writer ut_control_begin_answer(ut_control_agent *agent)
{
    ut_buf_reset(&agent->answer, UT_CONTROL_ANSWER_MAX);
    return ut_json_writer_of(&agent->answer);
}

void ut_control_answer(ut_control_agent *agent, ut_http_exchange *exchange, ut_json_writer *json,
                       int status)
{
    ut_json_write_line(json);
    const bool whole = agent->answer.err == UT_OK;
    const ut_http_reply reply = {
        .status = whole ? status : 500,
        .content_type_z = "application/json",
        .body = whole ? ut_buf_bytes(&agent->answer) : UT_BYTES_NONE,
    };
    ut_http_server_reply(agent->server, exchange, &reply);
}

void ut_control_answer_error(ut_control_agent *agent, ut_http_exchange *exchange, int status,
                             const char *text_z)
{
    ut_json_writer json = ut_control_begin_answer(agent);
    ut_json_write_object(&json, NULL);
    ut_json_write_text_z(&json, "error", text_z);
    ut_json_write_close(&json);
    ut_control_answer(agent, exchange, &json, status);
}

void ut_control_answer_busy(ut_control_agent *agent, ut_http_exchange *exchange)
{
    ut_control_answer_error(agent, exchange, 503,
                            "the agent is stopping, or has too many requests like this");
}

// ---- operations of the store thread ----

static const char *state_z(ut_store_operation_state state)
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

void ut_control_write_operation(ut_json_writer *json, const char *name_z,
                                const ut_store_operation_status *status)
{
    const ut_operation_progress *progress = &status->progress;
    ut_json_write_object(json, name_z);
    ut_json_write_text_z(json, "name", status->name_z != NULL ? status->name_z : "");
    ut_json_write_uint(json, "number", status->number);
    ut_json_write_text_z(json, "state", state_z(status->state));
    ut_json_write_uint(json, "done", progress->done);
    ut_json_write_uint(json, "total", progress->total);
    ut_json_write_uint(json, "blocks", progress->blocks);
    ut_json_write_uint(json, "spans", progress->spans);
    ut_json_write_uint(json, "bytes", progress->bytes);
    ut_json_write_uint(json, "pending", progress->pending);
    if (status->state == UT_STORE_OPERATION_FAILED) {
        ut_json_write_text_z(json, "error", status->fault.text_z);
        ut_json_write_text_z(json, "error_code", ut_err_name(status->fault.code));
    }
    ut_json_write_close(json);
}

// Answers for an operation that is under way now.
static void answer_begun(ut_control_agent *agent, ut_http_exchange *exchange, const char *name_z,
                         uint64_t number)
{
    ut_json_writer json = ut_control_begin_answer(agent);
    ut_json_write_object(&json, NULL);
    ut_json_write_text_z(&json, "name", name_z);
    ut_json_write_uint(&json, "number", number);
    ut_json_write_text_z(&json, "state", state_z(UT_STORE_OPERATION_RUNNING));
    ut_json_write_close(&json);
    ut_control_answer(agent, exchange, &json, 202);
}

void ut_control_begin_operation(ut_control_agent *agent, ut_http_exchange *exchange,
                                ut_operation *operation)
{
    uint64_t number = 0;
    const char *name_z = operation->class->name_z;
    const ut_err err = ut_store_thread_begin(agent->store, operation, &number);
    if (err == UT_OK) {
        answer_begun(agent, exchange, name_z, number);
        return;
    }
    operation->class->free(operation);
    if (err == UT_EBUSY) {
        ut_store_operation_status status;
        char text_z[UT_FAULT_TEXT_MAX];
        ut_store_thread_operation(agent->store, &status);
        (void)snprintf(text_z, sizeof(text_z),
                       "another operation (%s) is under way; wait for its end or cancel it",
                       status.name_z);
        ut_control_answer_error(agent, exchange, 409, text_z);
    } else {
        ut_control_answer_busy(agent, exchange);
    }
}

// ---- calls of the store thread ----

static void answer_call(ut_store_call *done)
{
    ut_control_call *call = (ut_control_call *)(void *)done;
    call->agent->in_store--;
    call->answer(call);
    free(call);
}

void ut_control_ask_store(ut_control_agent *agent, ut_http_exchange *exchange,
                          ut_control_call *call)
{
    if (call != NULL) {
        call->call.done = answer_call;
        call->agent = agent;
        call->exchange = exchange;
    }
    if (call == NULL || ut_store_thread_call(agent->store, &call->call) != UT_OK) {
        free(call);
        ut_control_answer_busy(agent, exchange);
        return;
    }
    agent->in_store++;
}

// ---- requests ----

bool ut_control_read_object(ut_control_agent *agent, ut_http_exchange *exchange, ut_bytes body,
                            ut_json *json)
{
    ut_fault fault = {UT_OK, ""};
    if (ut_json_read(json, body, &fault) != UT_OK) {
        ut_control_answer_error(agent, exchange, 400, fault.text_z);
        return false;
    }
    if (yyjson_is_obj(yyjson_doc_get_root(json->doc)))
        return true;
    ut_json_free(json);
    ut_control_answer_error(agent, exchange, 400, "the body is to be an object");
    return false;
}

bool ut_control_read_bool(yyjson_val *value, bool *wish)
{
    *wish = yyjson_get_bool(value);
    return yyjson_is_bool(value);
}

bool ut_control_read_text(yyjson_val *value, char *out_z, size_t cap)
{
    const char *text_z = yyjson_get_str(value);
    const size_t len = yyjson_get_len(value);
    if (text_z == NULL || len == 0 || len >= cap || strlen(text_z) != len)
        return false;
    memcpy(out_z, text_z, len + 1);
    return true;
}
