// Reads what `untrace top` shows.
#include "agent/commands/top_sample.h"
#include "agent/query/reader.h"
#include "storage/query/histogram.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ASK_MS = 2000,            // an agent that takes longer is shown as one that does not answer
    PENDING_SCAN_MAX = 20000, // ledger entries looked at for one destination
    NEWEST_TRIES = 64,        // numbers behind the newest block that are tried
};

// ---- the agent ----

static void copy_text(char *out_z, size_t cap, const char *text_z)
{
    (void)snprintf(out_z, cap, "%.*s", (int)cap - 1, text_z);
}

static void read_destination(yyjson_val *object, ut_top_destination *destination)
{
    copy_text(destination->name_z, sizeof(destination->name_z), ut_control_text(object, "name"));
    copy_text(destination->error_z, sizeof(destination->error_z),
              ut_control_text(object, "last_error"));
    destination->active = ut_control_bool(object, "active");
    destination->failing = ut_control_bool(object, "failing");
    destination->delivered = ut_control_uint(object, "delivered");
    destination->pending = ut_control_uint(object, "pending");
    destination->dead = ut_control_uint(object, "dead");
}

static void read_refusals(yyjson_val *object, bool spans, ut_top_sample *sample)
{
    yyjson_obj_iter kinds = yyjson_obj_iter_with(object);
    yyjson_val *name;
    while ((name = yyjson_obj_iter_next(&kinds)) != NULL &&
           sample->refusal_count < UT_TOP_REFUSALS_MAX) {
        ut_top_refusal *refusal = &sample->refusals[sample->refusal_count++];
        copy_text(refusal->name_z, sizeof(refusal->name_z), yyjson_get_str(name));
        refusal->count = ut_control_uint(object, yyjson_get_str(name));
        refusal->spans = spans;
    }
}

static void read_status(yyjson_val *root, ut_top_sample *sample)
{
    sample->agent = true;
    copy_text(sample->version_z, sizeof(sample->version_z), ut_control_text(root, "version"));
    copy_text(sample->config_z, sizeof(sample->config_z), ut_control_text(root, "config"));
    copy_text(sample->listen_z, sizeof(sample->listen_z), ut_control_text(root, "otlp_http"));
    sample->pid = ut_control_uint(root, "pid");
    sample->uptime_ms = ut_control_uint(root, "uptime_ms");
    sample->connections = ut_control_uint(root, "connections");
    sample->requests = ut_control_uint(root, "requests");
    sample->refused = ut_control_uint(root, "refused");
    sample->rejected = ut_control_uint(root, "rejected");
    read_refusals(yyjson_obj_get(root, "refused_by"), false, sample);
    read_refusals(yyjson_obj_get(root, "rejected_by"), true, sample);
    sample->queue = ut_control_uint(root, "queue");
    sample->counts = (ut_store_counts){
        .spans_stored = ut_control_uint(root, "spans_stored"),
        .spans_duplicate = ut_control_uint(root, "spans_duplicate"),
        .spans_expired = ut_control_uint(root, "spans_expired"),
        .spans_evicted = ut_control_uint(root, "spans_evicted"),
        .blocks_stored = ut_control_uint(root, "blocks_stored"),
        .blocks_removed = ut_control_uint(root, "blocks_removed"),
    };
    yyjson_val *store = yyjson_obj_get(root, "store");
    sample->bytes_max = ut_control_uint(store, "bytes_max");
    sample->bytes_used = ut_control_uint(store, "bytes_used");
    sample->bytes_file = ut_control_uint(store, "bytes_file");
    size_t index = 0;
    size_t count = 0;
    yyjson_val *object = NULL;
    yyjson_arr_foreach(yyjson_obj_get(root, "destinations"), index, count, object)
    {
        if (sample->destination_count < UT_STORE_DESTINATIONS_MAX)
            read_destination(object, &sample->destinations[sample->destination_count++]);
    }
}

static void ask_agent(ut_top_source *source, ut_top_sample *sample)
{
    ut_fault *fault = &sample->agent_fault;
    ut_bytes answer;
    ut_json json;
    ut_err err = UT_OK;
    if (source->client == NULL)
        err = ut_control_client_open(source->data_dir_z, &source->client, fault);
    if (err == UT_OK) {
        err = ut_control_client_ask(source->client, "GET", "/status", UT_BYTES_NONE, ASK_MS,
                                    &answer, fault);
        if (err == UT_OK)
            err = ut_json_read(&json, answer, fault);
        if (err == UT_OK) {
            read_status(yyjson_doc_get_root(json.doc), sample);
            ut_json_free(&json);
        }
    }
    if (err != UT_OK) {
        ut_control_client_close(source->client);
        source->client = NULL;
    }
    if (err == UT_ENOTFOUND)
        *fault = (ut_fault){UT_OK, ""}; // that none runs is no fault
}

// ---- the store ----

typedef struct {
    ut_top_sample *sample;
    uint64_t before_seq; // newest block of the sample before; UINT64_MAX: there was none
    ut_histogram durations[UT_TOP_SERVICES_MAX];
} census;

static ut_top_service *find_service(ut_top_sample *sample, ut_bytes name)
{
    char name_z[UT_TOP_NAME_MAX + 1];
    const size_t len = name.len < UT_TOP_NAME_MAX ? name.len : UT_TOP_NAME_MAX;
    memcpy(name_z, name.data == NULL ? (const uint8_t *)"" : name.data, len);
    name_z[len] = 0;
    for (size_t i = 0; i < sample->service_count; i++) {
        if (strcmp(sample->services[i].name_z, name_z) == 0)
            return &sample->services[i];
    }
    if (sample->service_count < UT_TOP_SERVICES_MAX - 1) {
        ut_top_service *service = &sample->services[sample->service_count++];
        memcpy(service->name_z, name_z, sizeof(name_z));
        return service;
    }
    // All others: the last place, which has no name of its own.
    sample->service_count = UT_TOP_SERVICES_MAX;
    return &sample->services[UT_TOP_SERVICES_MAX - 1];
}

static ut_err count_span(void *context, const ut_trace_span *row)
{
    census *c = context;
    ut_top_sample *sample = c->sample;
    ut_bytes name = UT_BYTES_NONE;
    (void)ut_attributes_find_str(row->resource.attributes, UT_BYTES_LIT("service.name"), &name);
    ut_top_service *service = find_service(sample, name);
    const bool error = row->span.status_code == UT_STATUS_ERROR;
    const bool new = c->before_seq != UINT64_MAX && row->seq > c->before_seq;
    if (row->seq > sample->newest_seq)
        sample->newest_seq = row->seq;
    service->spans++;
    service->errors += error;
    const uint64_t duration_ns = ut_span_duration_ns(row->span.start_ns, row->span.end_ns);
    service->duration_ns += duration_ns;
    const ut_err err = ut_histogram_add(&c->durations[service - sample->services], duration_ns);
    service->new_spans += new;
    service->new_errors += new &&error;
    sample->recent_spans++;
    sample->new_spans += new;
    return err;
}

static int busier(const void *a, const void *b)
{
    const ut_top_service *one = a;
    const ut_top_service *other = b;
    if (one->spans != other->spans)
        return one->spans > other->spans ? -1 : 1;
    return strcmp(one->name_z, other->name_z);
}

static ut_err count_services(ut_reader *reader, const ut_top_sample *before, ut_top_sample *sample)
{
    const ut_filter filter = ut_filter_all();
    const ut_search search = {
        .org = UT_ORG_DEFAULT, .filter = &filter, .blocks_max = UT_TOP_BLOCKS_MAX};
    ut_query_cursor cursor = {0};
    ut_search_work work = {0};
    bool more = false;
    census *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return UT_ENOMEM;
    c->sample = sample;
    c->before_seq = before != NULL && before->store ? before->newest_seq : UINT64_MAX;
    const ut_err err = ut_query_spans(reader->view, &search, &cursor, &work, &more,
                                      (ut_trace_span_visitor){count_span, c});
    for (size_t i = 0; i < sample->service_count; i++)
        sample->services[i].p99_ns = ut_histogram_quantile(&c->durations[i], 99, 100);
    for (size_t i = 0; i < UT_TOP_SERVICES_MAX; i++)
        ut_histogram_free(&c->durations[i]);
    free(c);
    qsort(sample->services, sample->service_count, sizeof(sample->services[0]), busier);
    return err;
}

// When the oldest block that waits for a destination was received. Blocks before the place where
// the last search ended have all ended.
static void find_oldest(ut_top_source *source, ut_reader *reader, const ut_store_destination *row,
                        ut_top_destination *destination)
{
    ut_delivery delivery;
    ut_block block;
    ut_buf payload;
    ut_top_pending *place = &source->pending[row->dest % UT_STORE_DESTINATIONS_MAX];
    if (place->dest != row->dest) // another destination had the place, or none
        *place = (ut_top_pending){.dest = row->dest};
    uint64_t *after = &place->after;
    const ut_err err = ut_store_next_pending(reader->view, row->org, row->dest, *after,
                                             PENDING_SCAN_MAX, &delivery);
    if (err == UT_EAGAIN)
        *after = delivery.seq; // the next sample goes on there
    if (err != UT_OK)
        return;
    *after = delivery.seq - 1;
    ut_buf_init(&payload, UT_BLOCK_PAYLOAD_MAX);
    if (ut_store_read_block(reader->view, row->org, delivery.seq, &payload, &block) == UT_OK)
        destination->oldest_ns = block.info.received_ns;
    ut_buf_free(&payload);
}

// When the newest block was received. Blocks may have left from the end too, by a cleanup.
static uint64_t find_newest(ut_reader *reader)
{
    ut_block block;
    ut_buf payload;
    uint64_t received_ns = 0;
    const uint64_t last = ut_store_last_seq(reader->store);
    ut_buf_init(&payload, UT_BLOCK_PAYLOAD_MAX);
    for (uint64_t i = 0; i < NEWEST_TRIES && i < last && received_ns == 0; i++) {
        const ut_err err =
            ut_store_read_block(reader->view, UT_ORG_DEFAULT, last - i, &payload, &block);
        if (err == UT_OK)
            received_ns = block.info.received_ns;
        else if (err != UT_ENOTFOUND)
            break;
    }
    ut_buf_free(&payload);
    return received_ns;
}

static void read_destinations(ut_top_source *source, ut_reader *reader, ut_top_sample *sample)
{
    ut_store_destination rows[UT_STORE_DESTINATIONS_MAX];
    const size_t count = ut_store_get_destinations(reader->store, rows, UT_STORE_DESTINATIONS_MAX);
    if (!sample->agent) {
        ut_store_get_counts(reader->store, &sample->counts);
        for (size_t i = 0; i < count; i++) {
            const ut_store_destination_counts *counts = &rows[i].counts;
            ut_top_destination *destination = &sample->destinations[sample->destination_count++];
            memcpy(destination->name_z, rows[i].name_z, sizeof(destination->name_z));
            destination->active = rows[i].active;
            destination->delivered = counts->delivered;
            destination->dead = counts->dead;
            destination->pending = ut_store_pending(counts);
        }
    }
    for (size_t i = 0; i < sample->destination_count; i++) {
        ut_top_destination *destination = &sample->destinations[i];
        for (size_t k = 0; k < count && destination->pending > 0; k++) {
            if (strcmp(rows[k].name_z, destination->name_z) == 0)
                find_oldest(source, reader, &rows[k], destination);
        }
    }
}

static void read_store(ut_top_source *source, const ut_top_sample *before, ut_top_sample *sample)
{
    ut_reader reader;
    ut_fault *fault = &sample->store_fault;
    if (ut_reader_open(source->reader_dir_z, source->config_z, &reader, fault) != UT_OK)
        return;
    read_destinations(source, &reader, sample);
    ut_engine *engine = ut_store_engine(reader.store);
    ut_engine_room room;
    if (!sample->agent && ut_engine_get_room(engine, &room) == UT_OK) {
        sample->bytes_max = room.bytes_max;
        sample->bytes_used = room.bytes_used;
        sample->bytes_file = room.bytes_file;
    }
    sample->received_ns = find_newest(&reader);
    const ut_err err = source->brief ? UT_OK : count_services(&reader, before, sample);
    if (err != UT_OK)
        (void)ut_fault_set(fault, err, "cannot read the newest spans: %s", ut_err_text(err));
    sample->store = err == UT_OK;
    ut_reader_close(&reader);
}

void ut_top_read(ut_top_source *source, const ut_top_sample *before, ut_top_sample *sample)
{
    memset(sample, 0, sizeof(*sample));
    sample->at_ms = ut_clock_mono_ms();
    sample->wall_ns = ut_clock_wall_ns();
    ask_agent(source, sample);
    read_store(source, before, sample);
}

void ut_top_source_close(ut_top_source *source)
{
    ut_control_client_close(source->client);
    source->client = NULL;
}
