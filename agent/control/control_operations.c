// Operations on the whole store; see control_operations.h.
#include "agent/control/control_operations.h"

#include "agent/config/master_key.h"

void ut_control_get_operation(ut_control_agent *agent, ut_http_exchange *exchange, ut_bytes body)
{
    (void)body;
    ut_store_operation_status status;
    ut_store_thread_operation(agent->store, &status);
    ut_json_writer json = ut_control_begin_answer(agent);
    ut_control_write_operation(&json, NULL, &status);
    ut_control_answer(agent, exchange, &json, 200);
}

void ut_control_post_cleanup(ut_control_agent *agent, ut_http_exchange *exchange, ut_bytes body)
{
    ut_json json;
    ut_cleanup_options wish = {.org = UT_ORG_DEFAULT};
    ut_operation *operation = NULL;
    if (!ut_control_read_object(agent, exchange, body, &json))
        return;
    yyjson_obj_iter members = yyjson_obj_iter_with(yyjson_doc_get_root(json.doc));
    bool good = true;
    bool aged = false;
    for (yyjson_val *name; good && (name = yyjson_obj_iter_next(&members)) != NULL;) {
        yyjson_val *value = yyjson_obj_iter_get_val(name);
        if (yyjson_equals_str(name, "older_than_ns"))
            good = aged = ut_json_uint(value, &wish.older_than_ns);
        else if (yyjson_equals_str(name, "service"))
            good = ut_control_read_text(value, wish.service_z, sizeof(wish.service_z));
        else if (yyjson_equals_str(name, "delivered"))
            good = ut_control_read_bool(value, &wish.delivered_only);
        else
            good = yyjson_equals_str(name, "dry_run") && ut_control_read_bool(value, &wish.dry_run);
    }
    ut_json_free(&json);
    if (!good || !aged)
        ut_control_answer_error(agent, exchange, 400,
                                "cleanup takes older_than_ns, service, delivered and dry_run");
    else if (ut_cleanup_new(&wish, &operation) == UT_OK)
        ut_control_begin_operation(agent, exchange, operation);
    else
        ut_control_answer_busy(agent, exchange);
}

void ut_control_post_ttl(ut_control_agent *agent, ut_http_exchange *exchange, ut_bytes body)
{
    ut_json json;
    bool dry_run = false;
    bool good = true;
    ut_operation *operation = NULL;
    if (!ut_control_read_object(agent, exchange, body, &json))
        return;
    yyjson_obj_iter members = yyjson_obj_iter_with(yyjson_doc_get_root(json.doc));
    for (yyjson_val *name; good && (name = yyjson_obj_iter_next(&members)) != NULL;)
        good = yyjson_equals_str(name, "dry_run") &&
               ut_control_read_bool(yyjson_obj_iter_get_val(name), &dry_run);
    ut_json_free(&json);
    if (!good)
        ut_control_answer_error(agent, exchange, 400, "ttl takes dry_run");
    else if (ut_ttl_change_new(UT_ORG_DEFAULT, dry_run, &operation) == UT_OK)
        ut_control_begin_operation(agent, exchange, operation);
    else
        ut_control_answer_busy(agent, exchange);
}

void ut_control_post_compact(ut_control_agent *agent, ut_http_exchange *exchange, ut_bytes body)
{
    (void)body;
    ut_operation *operation = NULL;
    if (ut_compaction_new(&operation) == UT_OK)
        ut_control_begin_operation(agent, exchange, operation);
    else
        ut_control_answer_busy(agent, exchange);
}

// The key itself does not come through the socket: the agent reads the file, as it will when it
// starts the next time.
void ut_control_post_rekey(ut_control_agent *agent, ut_http_exchange *exchange, ut_bytes body)
{
    ut_json json;
    ut_fault fault = {UT_OK, ""};
    ut_master_key key = {.given = false};
    ut_operation *operation = NULL;
    ut_err err = ut_json_read(&json, body, &fault);
    if (err == UT_OK) {
        const char *path_z =
            yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(json.doc), "key_file"));
        err = path_z != NULL ? ut_master_key_read(path_z, agent->log, &key, &fault)
                             : ut_fault_set(&fault, UT_EINVAL, "key_file is missing");
        ut_json_free(&json);
    }
    if (err != UT_OK) {
        ut_control_answer_error(agent, exchange, 400, fault.text_z);
        return;
    }
    if (ut_rekey_new(key.bytes, &operation) == UT_OK)
        ut_control_begin_operation(agent, exchange, operation);
    else
        ut_control_answer_busy(agent, exchange);
    ut_master_key_wipe(&key);
}

void ut_control_post_cancel(ut_control_agent *agent, ut_http_exchange *exchange, ut_bytes body)
{
    ut_json json;
    uint64_t number = 0;
    bool good = true;
    if (body.len > 0) {
        if (!ut_control_read_object(agent, exchange, body, &json))
            return;
        yyjson_obj_iter members = yyjson_obj_iter_with(yyjson_doc_get_root(json.doc));
        for (yyjson_val *name; good && (name = yyjson_obj_iter_next(&members)) != NULL;)
            good = yyjson_equals_str(name, "number") &&
                   ut_json_uint(yyjson_obj_iter_get_val(name), &number) && number > 0;
        ut_json_free(&json);
    }
    if (!good)
        ut_control_answer_error(agent, exchange, 400, "cancel takes number, that of an operation");
    else if (ut_store_thread_cancel(agent->store, number))
        ut_control_get_operation(agent, exchange, body);
    else
        ut_control_answer_error(agent, exchange, 409,
                                number == 0 ? "no operation is under way"
                                            : "this operation is not under way");
}
