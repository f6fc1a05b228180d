// Values of index records to bytes and back; see record.h.
// Not for the database: block_store.c, trace_index.c, ledger.c and others put them there.
#include "storage/store/record.h"

enum {
    STATE_FIELDS = 7,        // of the first version
    STATE_CLOCK_FIELDS = 14, // with the clock
    DESTINATION_FIELDS = 7,
    TRACE_FIELDS = 5,
    ROOT_FIELDS = 8,
    SUMMARY_FIELDS = 8,
    SUMMARY_FIELDS_ALL = 10, // with those that came later
    DELIVERY_FIELDS_FRESH = 2,
    DELIVERY_FIELDS = 8,
    DEAD_FIELDS = 4,
    CONSUMER_FIELDS = 2,
    TRACE_STATUS = 0x03, // flags of a trace entry
    TRACE_HAS_ROOT = 0x04,
    TRACE_HAS_ROOT_KEY = 0x08,
    TRACE_ROOT_KNOWN = 0x10,
};

static ut_err result(const ut_mp_reader *reader)
{
    return reader->err == UT_OK ? UT_OK : UT_ECORRUPT;
}

// Begins a record of at least `fields` elements; an empty reader otherwise, which fails at the next
// read.
static ut_mp_reader record_of(ut_bytes value, uint32_t fields, uint32_t *count)
{
    ut_mp_reader reader = ut_mp_reader_of(value);
    *count = ut_mp_get_array(&reader);
    if (*count < fields)
        reader.err = UT_EFORMAT;
    return reader;
}

// A number that must fit 32 bits.
static uint32_t get_u32(ut_mp_reader *reader)
{
    uint64_t value = ut_mp_get_uint(reader);
    if (value > UINT32_MAX) {
        reader->err = UT_EFORMAT;
        return 0;
    }
    return (uint32_t)value;
}

static void get_text(ut_mp_reader *reader, char *out_z, size_t len_max)
{
    ut_bytes text = ut_mp_get_str(reader);
    if (text.len > len_max) {
        reader->err = UT_EFORMAT;
        text.len = 0;
    }
    if (text.len > 0)
        memcpy(out_z, text.data, text.len);
    out_z[text.len] = '\0';
}

// Cuts text to at most len_max bytes, not within a UTF-8 sequence.
static ut_bytes cut(ut_bytes text, size_t len_max)
{
    if (text.len <= len_max)
        return text;
    size_t len = len_max;
    while (len > 0 && (text.data[len] & 0xc0) == 0x80)
        len -= 1;
    return (ut_bytes){text.data, len > 0 ? len : len_max};
}

// ---- M ----

void ut_record_write_version(ut_buf *out, uint32_t version)
{
    ut_mp_put_array(out, 1);
    ut_mp_put_uint(out, version);
}

ut_err ut_record_read_version(ut_bytes value, uint64_t *version)
{
    uint32_t count;
    ut_mp_reader reader = record_of(value, 1, &count);
    *version = ut_mp_get_uint(&reader);
    if (reader.err != UT_OK || *version == 0)
        return UT_ECORRUPT;
    return *version > UT_STORE_FORMAT_VERSION ? UT_EVERSION : UT_OK;
}

void ut_record_write_state(ut_buf *out, const ut_record_state *state)
{
    ut_mp_put_array(out, STATE_CLOCK_FIELDS);
    ut_mp_put_uint(out, state->next_seq);
    ut_mp_put_uint(out, state->counts.spans_stored);
    ut_mp_put_uint(out, state->counts.spans_duplicate);
    ut_mp_put_uint(out, state->counts.spans_expired);
    ut_mp_put_uint(out, state->counts.spans_evicted);
    ut_mp_put_uint(out, state->counts.blocks_stored);
    ut_mp_put_uint(out, state->counts.blocks_removed);
    ut_mp_put_uint(out, state->clock.wall_ns);
    ut_mp_put_uint(out, state->clock.up_ms);
    ut_mp_put_uint(out, state->clock.boot);
    ut_mp_put_int(out, state->clock.ahead_ns);
    ut_mp_put_int(out, state->clock.drift_ns);
    ut_mp_put_uint(out, state->clock.jump_seq);
    ut_mp_put_uint(out, state->clock.jump_ns);
}

// A difference of clocks, of which sums fit. A larger one is damage, and says nothing.
static int64_t bounded(int64_t difference_ns)
{
    const int64_t most = INT64_MAX / 4;
    return difference_ns > most || difference_ns < -most ? 0 : difference_ns;
}

ut_err ut_record_read_state(ut_bytes value, ut_record_state *state)
{
    uint32_t count;
    ut_mp_reader reader = record_of(value, STATE_FIELDS, &count);
    state->next_seq = ut_mp_get_uint(&reader);
    state->counts.spans_stored = ut_mp_get_uint(&reader);
    state->counts.spans_duplicate = ut_mp_get_uint(&reader);
    state->counts.spans_expired = ut_mp_get_uint(&reader);
    state->counts.spans_evicted = ut_mp_get_uint(&reader);
    state->counts.blocks_stored = ut_mp_get_uint(&reader);
    state->counts.blocks_removed = ut_mp_get_uint(&reader);
    state->clock = (ut_age_clock){0};
    if (count >= STATE_CLOCK_FIELDS) {
        state->clock.wall_ns = ut_mp_get_uint(&reader);
        state->clock.up_ms = ut_mp_get_uint(&reader);
        state->clock.boot = ut_mp_get_uint(&reader);
        state->clock.ahead_ns = bounded(ut_mp_get_int(&reader));
        state->clock.drift_ns = bounded(ut_mp_get_int(&reader));
        state->clock.jump_seq = ut_mp_get_uint(&reader);
        state->clock.jump_ns = ut_mp_get_uint(&reader);
    }
    return state->next_seq == 0 ? UT_ECORRUPT : result(&reader);
}

// ---- P ----

void ut_record_write_destination(ut_buf *out, const ut_store_destination *destination)
{
    ut_mp_put_array(out, DESTINATION_FIELDS);
    ut_mp_put_str(out, ut_bytes_of_z(destination->name_z));
    ut_mp_put_bool(out, destination->active);
    ut_mp_put_uint(out, destination->counts.accepted);
    ut_mp_put_uint(out, destination->counts.delivered);
    ut_mp_put_uint(out, destination->counts.dead);
    ut_mp_put_uint(out, destination->counts.expired);
    ut_mp_put_uint(out, destination->counts.evicted);
}

ut_err ut_record_read_destination(ut_bytes value, ut_store_destination *destination)
{
    uint32_t count;
    ut_mp_reader reader = record_of(value, DESTINATION_FIELDS, &count);
    get_text(&reader, destination->name_z, UT_STORE_NAME_MAX);
    destination->active = ut_mp_get_bool(&reader);
    destination->counts.accepted = ut_mp_get_uint(&reader);
    destination->counts.delivered = ut_mp_get_uint(&reader);
    destination->counts.dead = ut_mp_get_uint(&reader);
    destination->counts.expired = ut_mp_get_uint(&reader);
    destination->counts.evicted = ut_mp_get_uint(&reader);
    return result(&reader);
}

// ---- T ----

void ut_record_write_trace(ut_buf *out, const ut_record_trace *trace)
{
    uint8_t flags = trace->status & TRACE_STATUS;
    if (trace->has_root)
        flags |= TRACE_HAS_ROOT;
    if (trace->has_root_key)
        flags |= TRACE_HAS_ROOT_KEY;
    if (trace->root_known)
        flags |= TRACE_ROOT_KNOWN;
    ut_mp_put_array(out, trace->has_root_key ? TRACE_FIELDS + 1 : TRACE_FIELDS);
    ut_mp_put_uint(out, flags);
    ut_mp_put_uint(out, trace->start_ns);
    ut_mp_put_uint(out, trace->length_ns);
    ut_mp_put_bin(out, trace->ordinals);
    ut_mp_put_bin(out, trace->span_ids);
    // A difference, because a root mostly starts with the first of its spans.
    if (trace->has_root_key)
        ut_mp_put_int(out, (int64_t)(trace->root_seen_ns - trace->start_ns));
}

ut_err ut_record_read_trace(ut_bytes value, ut_record_trace *trace)
{
    uint32_t count;
    ut_mp_reader reader = record_of(value, TRACE_FIELDS, &count);
    uint64_t flags = ut_mp_get_uint(&reader);
    *trace = (ut_record_trace){
        .status = (uint8_t)(flags & TRACE_STATUS),
        .has_root = (flags & TRACE_HAS_ROOT) != 0,
        .has_root_key = (flags & TRACE_HAS_ROOT_KEY) != 0 && count > TRACE_FIELDS,
        .root_known = (flags & TRACE_ROOT_KNOWN) != 0,
    };
    trace->start_ns = ut_mp_get_uint(&reader);
    trace->length_ns = ut_mp_get_uint(&reader);
    trace->ordinals = ut_mp_get_bin(&reader);
    trace->span_ids = ut_mp_get_bin(&reader);
    if (trace->has_root_key)
        trace->root_seen_ns = trace->start_ns + (uint64_t)ut_mp_get_int(&reader);
    size_t spans = trace->span_ids.len / UT_SPAN_ID_LEN;
    if (trace->span_ids.len % UT_SPAN_ID_LEN != 0 || spans == 0 || spans > UT_BLOCK_SPANS_MAX ||
        trace->status > UT_STATUS_ERROR)
        return UT_ECORRUPT;
    trace->count = (uint32_t)spans;
    return result(&reader);
}

// ---- R ----

void ut_record_write_root(ut_buf *out, const ut_record_root *root)
{
    ut_mp_put_array(out, ROOT_FIELDS);
    ut_mp_put_uint(out, root->seq);
    ut_mp_put_uint(out, root->ordinal);
    ut_mp_put_bool(out, root->has_root);
    ut_mp_put_uint(out, root->start_ns);
    ut_mp_put_uint(out, root->duration_ns);
    ut_mp_put_uint(out, root->status);
    if (root->names_hidden) {
        ut_mp_put_nil(out);
        ut_mp_put_nil(out);
        return;
    }
    ut_record_root short_names = *root;
    ut_record_cut_names(&short_names);
    ut_mp_put_str(out, short_names.service);
    ut_mp_put_str(out, short_names.name);
}

void ut_record_cut_names(ut_record_root *root)
{
    root->service = cut(root->service, UT_RECORD_SERVICE_MAX);
    root->name = cut(root->name, UT_RECORD_NAME_MAX);
}

ut_err ut_record_read_root(ut_bytes value, ut_record_root *root)
{
    uint32_t count;
    ut_mp_reader reader = record_of(value, ROOT_FIELDS, &count);
    root->seq = ut_mp_get_uint(&reader);
    root->ordinal = get_u32(&reader);
    root->has_root = ut_mp_get_bool(&reader);
    root->start_ns = ut_mp_get_uint(&reader);
    root->duration_ns = ut_mp_get_uint(&reader);
    uint64_t status = ut_mp_get_uint(&reader);
    root->names_hidden = ut_mp_peek(&reader) == UT_MP_NIL;
    root->service = UT_BYTES_NONE;
    root->name = UT_BYTES_NONE;
    if (root->names_hidden) {
        ut_mp_get_nil(&reader);
        ut_mp_get_nil(&reader);
    } else {
        root->service = ut_mp_get_str(&reader);
        root->name = ut_mp_get_str(&reader);
    }
    root->status = (uint8_t)status;
    return status > UT_STATUS_ERROR ? UT_ECORRUPT : result(&reader);
}

// ---- Z ----

void ut_record_write_summary(ut_buf *out, const ut_record_summary *summary)
{
    ut_mp_put_array(out, SUMMARY_FIELDS_ALL);
    ut_mp_put_uint(out, summary->span_count);
    ut_mp_put_uint(out, summary->payload_len);
    ut_mp_put_uint(out, summary->sealed_len);
    ut_mp_put_uint(out, summary->expiry_hour);
    ut_mp_put_uint(out, summary->received_ns);
    ut_mp_put_uint(out, summary->start_ns);
    ut_mp_put_uint(out, summary->end_ns);
    ut_mp_put_array(out, 3);
    for (unsigned i = 0; i < 3; i++)
        ut_mp_put_uint(out, summary->status_count[i]);
    ut_mp_put_uint(out, summary->latest_start_ns > summary->start_ns
                            ? summary->latest_start_ns - summary->start_ns
                            : 0);
    ut_mp_put_bin(out, summary->bloom);
}

ut_err ut_record_read_summary(ut_bytes value, ut_record_summary *summary)
{
    uint32_t count;
    ut_mp_reader reader = record_of(value, SUMMARY_FIELDS, &count);
    summary->span_count = get_u32(&reader);
    summary->payload_len = get_u32(&reader);
    summary->sealed_len = get_u32(&reader);
    summary->expiry_hour = get_u32(&reader);
    summary->received_ns = ut_mp_get_uint(&reader);
    summary->start_ns = ut_mp_get_uint(&reader);
    summary->end_ns = ut_mp_get_uint(&reader);
    if (ut_mp_get_array(&reader) != 3)
        return UT_ECORRUPT;
    for (unsigned i = 0; i < 3; i++)
        summary->status_count[i] = get_u32(&reader);
    summary->latest_start_ns = UINT64_MAX;
    summary->bloom = UT_BYTES_NONE;
    if (count >= SUMMARY_FIELDS_ALL) {
        uint64_t length = ut_mp_get_uint(&reader);
        if (length > UINT64_MAX - summary->start_ns)
            return UT_ECORRUPT;
        summary->latest_start_ns = summary->start_ns + length;
        summary->bloom = ut_mp_get_bin(&reader);
    }
    return result(&reader);
}

// ---- D, L ----

static ut_bytes reason_of(const ut_delivery *delivery)
{
    return cut(ut_bytes_of_z(delivery->reason_z), UT_STORE_REASON_MAX - 1);
}

void ut_record_write_delivery(ut_buf *out, const ut_delivery *delivery)
{
    bool fresh = delivery->state == UT_DELIVERY_PENDING && delivery->attempts == 0 &&
                 delivery->next_try_ns == 0 && delivery->updated_ns == 0 &&
                 delivery->spans_dead == 0 && delivery->http_status == 0 &&
                 delivery->reason_z[0] == '\0';
    ut_mp_put_array(out, fresh ? DELIVERY_FIELDS_FRESH : DELIVERY_FIELDS);
    ut_mp_put_uint(out, (uint64_t)delivery->state);
    ut_mp_put_uint(out, delivery->spans);
    if (fresh)
        return;
    ut_mp_put_uint(out, delivery->attempts);
    ut_mp_put_uint(out, delivery->next_try_ns);
    ut_mp_put_uint(out, delivery->updated_ns);
    ut_mp_put_uint(out, delivery->spans_dead);
    ut_mp_put_uint(out, delivery->http_status);
    ut_mp_put_str(out, reason_of(delivery));
}

ut_err ut_record_read_delivery(ut_bytes value, ut_delivery *delivery)
{
    uint32_t count;
    ut_mp_reader reader = record_of(value, DELIVERY_FIELDS_FRESH, &count);
    memset(delivery, 0, sizeof(*delivery));
    uint64_t state = ut_mp_get_uint(&reader);
    delivery->spans = get_u32(&reader);
    if (count >= DELIVERY_FIELDS) {
        delivery->attempts = get_u32(&reader);
        delivery->next_try_ns = ut_mp_get_uint(&reader);
        delivery->updated_ns = ut_mp_get_uint(&reader);
        delivery->spans_dead = get_u32(&reader);
        delivery->http_status = (uint16_t)get_u32(&reader);
        get_text(&reader, delivery->reason_z, UT_STORE_REASON_MAX - 1);
    }
    if (state > UT_DELIVERY_DEAD || delivery->spans_dead > delivery->spans)
        return UT_ECORRUPT;
    delivery->state = (ut_delivery_state)state;
    return result(&reader);
}

void ut_record_write_dead(ut_buf *out, const ut_delivery *mark)
{
    ut_mp_put_array(out, DEAD_FIELDS);
    ut_mp_put_uint(out, mark->updated_ns);
    ut_mp_put_uint(out, mark->http_status);
    ut_mp_put_str(out, reason_of(mark));
    if (mark->dead_ordinals == NULL) {
        ut_mp_put_nil(out);
        return;
    }
    ut_mp_put_array(out, mark->spans_dead);
    for (uint32_t i = 0; i < mark->spans_dead; i++)
        ut_mp_put_uint(out, mark->dead_ordinals[i]);
}

// ---- C ----

void ut_record_write_consumer(ut_buf *out, const ut_record_consumer *consumer)
{
    ut_mp_put_array(out, CONSUMER_FIELDS);
    ut_mp_put_uint(out, consumer->seq);
    ut_mp_put_uint(out, consumer->ordinal);
}

ut_err ut_record_read_consumer(ut_bytes value, ut_record_consumer *consumer)
{
    uint32_t count;
    ut_mp_reader reader = record_of(value, CONSUMER_FIELDS, &count);
    consumer->seq = ut_mp_get_uint(&reader);
    consumer->ordinal = get_u32(&reader);
    if (consumer->seq == 0 || consumer->ordinal >= UT_BLOCK_SPANS_MAX)
        return UT_ECORRUPT;
    return result(&reader);
}
