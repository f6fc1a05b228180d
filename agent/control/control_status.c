// The status of the agent; see control_status.h.
#include "agent/control/control_status.h"

#include <stdlib.h>
#include <unistd.h>

typedef struct {
    ut_control_call call; // first member
    ut_store_counts counts;
    ut_store_destination destinations[UT_STORE_DESTINATIONS_MAX];
    size_t destination_count;
    ut_engine_room room;
    ut_err room_err;
} status_call;

static void read_status(ut_store_call *call, ut_store *store)
{
    status_call *status = (status_call *)(void *)call;
    ut_engine *engine = ut_store_engine(store);
    ut_store_get_counts(store, &status->counts);
    status->destination_count =
        ut_store_get_destinations(store, status->destinations, UT_STORE_DESTINATIONS_MAX);
    status->room_err = ut_engine_get_room(engine, &status->room);
}

// doing: NULL where the dispatcher does not know the destination (any more).
static void write_destination(ut_json_writer *json, const ut_store_destination *row,
                              const ut_dispatcher_status *doing)
{
    ut_json_write_object(json, NULL);
    ut_json_write_text_z(json, "name", row->name_z);
    ut_json_write_bool(json, "active", row->active);
    ut_json_write_uint(json, "accepted", row->counts.accepted);
    ut_json_write_uint(json, "delivered", row->counts.delivered);
    ut_json_write_uint(json, "pending", ut_store_pending(&row->counts));
    ut_json_write_uint(json, "dead", row->counts.dead);
    ut_json_write_uint(json, "expired", row->counts.expired);
    ut_json_write_uint(json, "evicted", row->counts.evicted);
    ut_json_write_uint(json, "in_flight", doing != NULL ? doing->in_flight : 0);
    ut_json_write_bool(json, "failing", doing != NULL && doing->failing);
    ut_json_write_text_z(json, "last_error", doing != NULL ? doing->last_error_z : "");
    ut_json_write_close(json);
}

static void write_destinations(ut_json_writer *json, const status_call *status)
{
    ut_dispatch_thread *dispatch = status->call.agent->dispatch;
    ut_dispatcher_status *doing = calloc(UT_STORE_DESTINATIONS_MAX, sizeof(*doing));
    size_t count = 0;
    if (doing != NULL && dispatch != NULL)
        count = ut_dispatch_thread_get_status(dispatch, doing, UT_STORE_DESTINATIONS_MAX);
    ut_json_write_array(json, "destinations");
    for (size_t i = 0; i < status->destination_count; i++) {
        const ut_store_destination *row = &status->destinations[i];
        const ut_dispatcher_status *found = NULL;
        for (size_t k = 0; k < count && found == NULL; k++)
            found = strcmp(doing[k].name_z, row->name_z) == 0 ? &doing[k] : NULL;
        write_destination(json, row, found);
    }
    ut_json_write_close(json);
    free(doing);
}

// The sum of a group of refusals, and as an object what it is made of.
static void write_refusals(ut_json_writer *json, const ut_tally *refusals, const char *group_z,
                           const char *parts_z)
{
    ut_json_write_uint(json, group_z, ut_tally_sum(refusals, group_z));
    ut_json_write_object(json, parts_z);
    for (size_t kind = 0; (kind = ut_tally_next(refusals, group_z, kind)) < refusals->kind_count;
         kind++)
        ut_json_write_uint(json, refusals->kinds[kind].name_z, refusals->entries[kind].count);
    ut_json_write_close(json);
}

// Where spans are taken, so that commands know whose the port is.
static void write_listen(ut_json_writer *json, const ut_control_agent *agent)
{
    char listen_z[UT_ADDR_TEXT_MAX] = "";
    ut_addr addr;
    if (agent->receiver != NULL && ut_http_server_addr(agent->receiver, &addr) == UT_OK)
        ut_addr_text(&addr, listen_z);
    ut_json_write_text_z(json, "otlp_http", listen_z);
}

static void write_network(ut_json_writer *json, const ut_control_agent *agent)
{
    ut_http_server_stats http = {0};
    if (agent->receiver != NULL)
        ut_http_server_get_stats(agent->receiver, &http);
    ut_json_write_uint(json, "connections", http.connections);
    ut_json_write_uint(json, "requests", http.requests);
    if (agent->refusals != NULL) {
        write_refusals(json, agent->refusals, "refused", "refused_by");
        write_refusals(json, agent->refusals, "rejected", "rejected_by");
    }
    ut_json_write_uint(json, "queue", ut_store_thread_waiting(agent->store));
    ut_json_write_uint(json, "memory_bytes", http.memory);
}

static void write_store(ut_json_writer *json, const status_call *status)
{
    const ut_store_counts *counts = &status->counts;
    ut_json_write_uint(json, "spans_stored", counts->spans_stored);
    ut_json_write_uint(json, "spans_duplicate", counts->spans_duplicate);
    ut_json_write_uint(json, "spans_expired", counts->spans_expired);
    ut_json_write_uint(json, "spans_evicted", counts->spans_evicted);
    ut_json_write_uint(json, "blocks_stored", counts->blocks_stored);
    ut_json_write_uint(json, "blocks_removed", counts->blocks_removed);
    if (status->room_err != UT_OK) {
        ut_json_write_null(json, "store");
        return;
    }
    ut_json_write_object(json, "store");
    ut_json_write_uint(json, "bytes_max", status->room.bytes_max);
    ut_json_write_uint(json, "bytes_used", status->room.bytes_used);
    ut_json_write_uint(json, "bytes_file", status->room.bytes_file);
    ut_json_write_close(json);
}

static void answer_status(ut_control_call *call)
{
    const status_call *status = (const status_call *)(const void *)call;
    ut_control_agent *agent = call->agent;
    ut_store_operation_status operation;
    ut_store_thread_operation(agent->store, &operation);
    ut_json_writer json = ut_control_begin_answer(agent);
    ut_json_write_object(&json, NULL);
    ut_json_write_text_z(&json, "version", UT_VERSION);
    ut_json_write_uint(&json, "pid", (uint64_t)getpid());
    ut_json_write_uint(&json, "uptime_ms", ut_clock_mono_ms() - agent->started_ms);
    ut_json_write_text_z(&json, "data_dir", agent->data_dir_z);
    write_listen(&json, agent);
    if (agent->config_z != NULL)
        ut_json_write_text_z(&json, "config", agent->config_z);
    else
        ut_json_write_null(&json, "config");
    write_network(&json, agent);
    write_store(&json, status);
    write_destinations(&json, status);
    if (operation.state == UT_STORE_OPERATION_NONE)
        ut_json_write_null(&json, "operation");
    else
        ut_control_write_operation(&json, "operation", &operation);
    ut_json_write_close(&json);
    ut_control_answer(agent, call->exchange, &json, 200);
}

void ut_control_get_status(ut_control_agent *agent, ut_http_exchange *exchange, ut_bytes body)
{
    (void)body;
    status_call *status = calloc(1, sizeof(*status));
    if (status != NULL) {
        status->call.call.run = read_status;
        status->call.answer = answer_status;
    }
    ut_control_ask_store(agent, exchange, status != NULL ? &status->call : NULL);
}
