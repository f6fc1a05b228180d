// Cursors of readers that poll; see control_consumer.h.
#include "agent/control/control_consumer.h"

#include <stdlib.h>

typedef struct {
    ut_control_call call; // first member
    char name_z[UT_STORE_CONSUMER_NAME_MAX + 1];
    uint64_t seq;
    uint64_t ordinal;
    ut_err err;
} consumer_call;

static void store_consumer(ut_store_call *call, ut_store *store)
{
    consumer_call *wish = (consumer_call *)(void *)call;
    wish->err = wish->ordinal > UINT32_MAX
                    ? UT_EINVAL
                    : ut_store_set_consumer(store, UT_ORG_DEFAULT, wish->name_z, wish->seq,
                                            (uint32_t)wish->ordinal);
}

static void answer_consumer(ut_control_call *call)
{
    const consumer_call *wish = (const consumer_call *)(const void *)call;
    ut_control_agent *agent = call->agent;
    if (wish->err == UT_OK) {
        ut_json_writer json = ut_control_begin_answer(agent);
        ut_json_write_object(&json, NULL);
        ut_json_write_text_z(&json, "name", wish->name_z);
        ut_json_write_uint(&json, "seq", wish->seq);
        ut_json_write_uint(&json, "ordinal", wish->ordinal);
        ut_json_write_close(&json);
        ut_control_answer(agent, call->exchange, &json, 200);
    } else if (wish->err == UT_EINVAL) {
        ut_control_answer_error(agent, call->exchange, 400, "there is no such place in the store");
    } else if (wish->err == UT_ELIMIT) {
        ut_control_answer_error(agent, call->exchange, 409,
                                "too many readers have a cursor here; remove one");
    } else {
        ut_control_answer_error(agent, call->exchange, 503, ut_err_text(wish->err));
    }
}

void ut_control_post_consumer(ut_control_agent *agent, ut_http_exchange *exchange, ut_bytes body)
{
    ut_json json;
    consumer_call wish = {.call = {.call = {.run = store_consumer}, .answer = answer_consumer}};
    bool good = true;
    bool placed = false;
    if (!ut_control_read_object(agent, exchange, body, &json))
        return;
    yyjson_obj_iter members = yyjson_obj_iter_with(yyjson_doc_get_root(json.doc));
    for (yyjson_val *name; good && (name = yyjson_obj_iter_next(&members)) != NULL;) {
        yyjson_val *value = yyjson_obj_iter_get_val(name);
        if (yyjson_equals_str(name, "name"))
            good = ut_control_read_text(value, wish.name_z, sizeof(wish.name_z));
        else if (yyjson_equals_str(name, "seq"))
            good = placed = ut_json_uint(value, &wish.seq);
        else
            good = yyjson_equals_str(name, "ordinal") && ut_json_uint(value, &wish.ordinal);
    }
    ut_json_free(&json);
    if (!good || !placed || wish.name_z[0] == '\0') {
        ut_control_answer_error(agent, exchange, 400, "consumer takes name, seq and ordinal");
        return;
    }
    consumer_call *call = malloc(sizeof(*call));
    if (call != NULL)
        *call = wish;
    ut_control_ask_store(agent, exchange, call != NULL ? &call->call : NULL);
}
