// A run of the trace index; see trace_run.h.
// Not for choosing what is merged: trace_merge.c.
#include "storage/store/trace_run.h"

#include "storage/span/block.h"
#include "storage/span/msgpack.h"
#include "storage/store/key.h"
#include "storage/store/run_filter.h"
#include "storage/store/varint.h"

enum {
    HEAD_FIELDS = 8,
    RUNS_KEEP = 16 * 1024,
    SLICE_KEEP = 16 * 1024,
    HASHES_KEEP = 64 * 1024,
    // Of a group: trace id, length of what follows, flags, size of the filter.
    GROUP_HEAD_LEN = UT_TRACE_ID_LEN + 2 + 2,
    GROUP_ANY_HEAD = 1,
    // Groups of more spans have a filter, of so many spans for each unit of its size.
    GROUP_FILTER_FROM = 24,
    GROUP_FILTER_UNIT = 8, // bytes, for as many spans
    GROUP_FILTER_UNITS_MAX = UINT8_MAX,
    GROUP_FILTER_PROBES = 3,
};

// ---- heads ----

static ut_err read_head(ut_bytes value, ut_run *run)
{
    ut_mp_reader reader = ut_mp_reader_of(value);
    const uint32_t count = ut_mp_get_array(&reader);
    const uint64_t state = ut_mp_get_uint(&reader);
    const uint64_t level = ut_mp_get_uint(&reader);
    run->first_seq = ut_mp_get_uint(&reader);
    run->last_seq = ut_mp_get_uint(&reader);
    run->traces = ut_mp_get_uint(&reader);
    run->postings = ut_mp_get_uint(&reader);
    run->spans = ut_mp_get_uint(&reader);
    run->bytes = ut_mp_get_uint(&reader);
    if (reader.err != UT_OK || count < HEAD_FIELDS || state > UT_RUN_DROPPED || level == 0 ||
        level > UT_RUN_LEVELS_MAX || run->last_seq < run->first_seq)
        return UT_ECORRUPT;
    run->state = (ut_run_state)state;
    run->level = (uint32_t)level;
    return UT_OK;
}

ut_err ut_run_put(ut_txn *txn, uint32_t org, const ut_run *run, ut_buf *value)
{
    ut_buf_reset(value, SLICE_KEEP);
    ut_mp_put_array(value, HEAD_FIELDS);
    ut_mp_put_uint(value, run->state);
    ut_mp_put_uint(value, run->level);
    ut_mp_put_uint(value, run->first_seq);
    ut_mp_put_uint(value, run->last_seq);
    ut_mp_put_uint(value, run->traces);
    ut_mp_put_uint(value, run->postings);
    ut_mp_put_uint(value, run->spans);
    ut_mp_put_uint(value, run->bytes);
    if (value->err != UT_OK)
        return value->err;
    const ut_key key = ut_key_run(org, run->run);
    return ut_txn_put(txn, ut_key_bytes(&key), ut_buf_bytes(value));
}

ut_err ut_runs_read(ut_txn *txn, uint32_t org, ut_buf *runs, uint32_t *damaged)
{
    ut_buf_reset(runs, RUNS_KEEP);
    ut_cursor *cursor;
    ut_err err = ut_txn_cursor(txn, &cursor);
    if (err != UT_OK)
        return err;
    const ut_key from = ut_key_run(org, 0);
    ut_bytes key;
    ut_bytes value;
    for (err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
         err == UT_OK && runs->err == UT_OK; err = ut_cursor_next(cursor, &key, &value)) {
        ut_run run = {0};
        uint32_t found_org;
        if (!ut_key_read_run(key, &found_org, &run.run) || found_org != org)
            break;
        if (read_head(value, &run) == UT_OK)
            ut_buf_add(runs, &run, sizeof(run));
        else if (damaged != NULL)
            *damaged += 1;
    }
    ut_cursor_close(cursor);
    if (err == UT_ENOTFOUND)
        err = UT_OK;
    return err == UT_OK ? runs->err : err;
}

uint64_t ut_runs_covered(const ut_buf *runs)
{
    uint64_t covered = 0;
    const ut_run *all = ut_runs_of(runs);
    for (size_t i = 0; i < ut_runs_count(runs); i++) {
        // A dropped run was in use until its blocks had left, or another one took its place.
        if (all[i].state != UT_RUN_BUILDING && all[i].last_seq > covered)
            covered = all[i].last_seq;
    }
    return covered;
}

// ---- postings ----

void ut_run_walk_begin(ut_run_walk *walk, ut_cursor *cursor, uint32_t org, uint64_t run)
{
    *walk = (ut_run_walk){.cursor = cursor, .org = org, .run = run};
}

// Takes up the slice under the cursor. UT_ENOTFOUND: it is of another run.
static ut_err open_slice(ut_run_walk *walk, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    ut_key_run_slice kind;
    uint64_t run;
    uint64_t seq;
    const uint8_t *first;
    walk->open = ut_key_read_slice(key, &org, &kind, &run, &first, &seq) && org == walk->org &&
                 kind == UT_KEY_RUN_POSTINGS && run == walk->run;
    walk->slice = walk->open ? value : UT_BYTES_NONE;
    walk->group = UT_BYTES_NONE;
    return walk->open ? UT_OK : UT_ENOTFOUND;
}

static ut_err next_slice(ut_run_walk *walk)
{
    ut_bytes key;
    ut_bytes value;
    ut_err err = ut_cursor_next(walk->cursor, &key, &value);
    if (err != UT_OK) {
        walk->open = false;
        return err;
    }
    return open_slice(walk, key, value);
}

// Opens the next group of the slice. False: the slice is damaged, and its rest passed.
static bool open_group(ut_run_walk *walk)
{
    ut_bytes *slice = &walk->slice;
    size_t len = 0;
    size_t filter_len = 0;
    if (slice->len >= GROUP_HEAD_LEN) {
        const uint8_t *head = slice->data + UT_TRACE_ID_LEN;
        len = (size_t)head[0] | (size_t)head[1] << 8;
        filter_len = (size_t)head[3] * GROUP_FILTER_UNIT;
    }
    if (len <= filter_len || len > slice->len - GROUP_HEAD_LEN) {
        *slice = UT_BYTES_NONE;
        return false;
    }
    const uint8_t *body = slice->data + GROUP_HEAD_LEN;
    walk->head = (ut_posting_group){
        .trace_id = slice->data,
        .any_head = (slice->data[UT_TRACE_ID_LEN + 2] & GROUP_ANY_HEAD) != 0,
        .filter = {body, filter_len},
    };
    walk->group = (ut_bytes){body + filter_len, len - filter_len};
    walk->seq = 0;
    slice->data += GROUP_HEAD_LEN + len;
    slice->len -= GROUP_HEAD_LEN + len;
    return true;
}

static bool take_posting(ut_run_walk *walk, ut_posting *posting)
{
    enum { HEAD = 1, HAS_ROOT = 2, COUNT_SHIFT = 2 };
    uint64_t step;
    uint64_t packed;
    if (!ut_varint_get(&walk->group, &step) || !ut_varint_get(&walk->group, &packed) || step == 0)
        return false;
    const uint64_t count = packed >> COUNT_SHIFT;
    if (count == 0 || count > UT_BLOCK_SPANS_MAX || count > walk->group.len / UT_FINGERPRINT_LEN)
        return false;
    walk->seq += step;
    *posting = (ut_posting){
        .trace_id = walk->head.trace_id,
        .seq = walk->seq,
        .head = (packed & HEAD) != 0,
        .has_root = (packed & HAS_ROOT) != 0,
        .count = (uint32_t)count,
        .fingerprints = {walk->group.data, (size_t)count * UT_FINGERPRINT_LEN},
    };
    walk->group.data += posting->fingerprints.len;
    walk->group.len -= posting->fingerprints.len;
    return true;
}

ut_err ut_run_walk_next(ut_run_walk *walk, ut_posting *posting)
{
    while (walk->group.len == 0) {
        if (!walk->open)
            return UT_ENOTFOUND;
        if (walk->slice.len == 0) {
            ut_err err = walk->cursor != NULL ? next_slice(walk) : UT_ENOTFOUND;
            if (err != UT_OK)
                return err;
        }
        if (!open_group(walk))
            return UT_ECORRUPT;
    }
    if (take_posting(walk, posting))
        return UT_OK;
    walk->group = UT_BYTES_NONE;
    walk->slice = UT_BYTES_NONE;
    return UT_ECORRUPT;
}

// Opens the slice in which the first posting at or behind (trace_id, seq) stands.
static ut_err find_slice(ut_run_walk *walk, const uint8_t *trace_id, uint64_t seq)
{
    const ut_engine_class *class = walk->cursor->txn->engine->class;
    const ut_key wanted = ut_key_slice(walk->org, UT_KEY_RUN_POSTINGS, walk->run, trace_id, seq);
    ut_bytes key;
    ut_bytes value;
    ut_err err = class->seek(walk->cursor, ut_key_bytes(&wanted), true, &key, &value);
    if (err == UT_OK && open_slice(walk, key, value) == UT_OK)
        return UT_OK;
    if (err != UT_OK && err != UT_ENOTFOUND)
        return err;
    // No slice begins before it: the first slice of the run begins behind.
    err = class->seek(walk->cursor, ut_key_bytes(&wanted), false, &key, &value);
    return err == UT_OK ? open_slice(walk, key, value) : err;
}

void ut_run_walk_slice(ut_run_walk *walk, ut_bytes value)
{
    *walk = (ut_run_walk){.open = true, .slice = value};
}

ut_err ut_run_walk_last(ut_run_walk *walk)
{
    uint8_t highest[UT_TRACE_ID_LEN];
    memset(highest, UINT8_MAX, sizeof(highest));
    const ut_key wanted =
        ut_key_slice(walk->org, UT_KEY_RUN_POSTINGS, walk->run, highest, UINT64_MAX);
    ut_bytes key;
    ut_bytes value;
    const ut_err err = walk->cursor->txn->engine->class->seek(walk->cursor, ut_key_bytes(&wanted),
                                                              true, &key, &value);
    return err == UT_OK ? open_slice(walk, key, value) : err;
}

ut_err ut_run_walk_next_group(ut_run_walk *walk)
{
    walk->group = UT_BYTES_NONE;
    for (;;) {
        if (!walk->open)
            return UT_ENOTFOUND;
        if (walk->slice.len == 0) {
            ut_err err = walk->cursor != NULL ? next_slice(walk) : UT_ENOTFOUND;
            if (err != UT_OK)
                return err;
        }
        if (open_group(walk))
            return UT_OK;
    }
}

bool ut_run_walk_in_group(ut_run_walk *walk, ut_posting *posting)
{
    if (walk->group.len == 0)
        return false;
    if (take_posting(walk, posting))
        return true;
    walk->group = UT_BYTES_NONE;
    return false;
}

ut_err ut_run_walk_find(ut_run_walk *walk, const uint8_t trace_id[UT_TRACE_ID_LEN])
{
    // The trace may stand further on in the slice that is open.
    bool behind = walk->open && walk->slice.len >= UT_TRACE_ID_LEN &&
                  memcmp(walk->slice.data, trace_id, UT_TRACE_ID_LEN) <= 0;
    ut_err err = UT_OK;
    if (!behind)
        err = find_slice(walk, trace_id, 0);
    if (err != UT_OK) {
        walk->open = false;
        return err;
    }
    do {
        if (behind && walk->slice.len == 0) {
            // Not in this slice: a later one is found faster by its key.
            behind = false;
            err = find_slice(walk, trace_id, 0);
            if (err != UT_OK)
                walk->open = false;
        }
        if (err == UT_OK)
            err = ut_run_walk_next_group(walk);
    } while (err == UT_OK && memcmp(walk->head.trace_id, trace_id, UT_TRACE_ID_LEN) < 0);
    return err;
}

ut_err ut_run_walk_seek(ut_run_walk *walk, const uint8_t trace_id[UT_TRACE_ID_LEN], uint64_t seq,
                        ut_posting *posting)
{
    ut_err err = find_slice(walk, trace_id, seq);
    if (err != UT_OK)
        walk->open = false;
    while (err == UT_OK) {
        err = ut_run_walk_next(walk, posting);
        if (err == UT_ECORRUPT) {
            err = UT_OK;
            continue;
        }
        if (err != UT_OK)
            break;
        const int order = memcmp(posting->trace_id, trace_id, UT_TRACE_ID_LEN);
        if (order > 0 || (order == 0 && posting->seq >= seq))
            break;
        if (order < 0)
            walk->group = UT_BYTES_NONE; // the next group
    }
    return err;
}

// The bit of a fingerprint in the filter of a group.
static size_t group_bit(uint32_t fingerprint, unsigned probe, size_t bits)
{
    static const uint32_t odd[GROUP_FILTER_PROBES] = {0x9e3779b1, 0x85ebca77, 0xc2b2ae3d};
    return (size_t)(((uint64_t)(uint32_t)(fingerprint * odd[probe]) * bits) >> 32);
}

bool ut_posting_group_may_have(const ut_posting_group *group, uint32_t fingerprint)
{
    for (unsigned i = 0; i < GROUP_FILTER_PROBES && group->filter.len > 0; i++) {
        const size_t bit = group_bit(fingerprint, i, group->filter.len * 8);
        if ((group->filter.data[bit / 8] & 1U << bit % 8) == 0)
            return false;
    }
    return true;
}

// ---- writing ----

void ut_run_writer_init(ut_run_writer *writer)
{
    *writer = (ut_run_writer){0};
    ut_buf_init(&writer->slice, 64 * 1024);
    ut_buf_init(&writer->hashes, 1024 * 1024);
    ut_buf_init(&writer->filter, 64 * 1024);
    ut_buf_init(&writer->group, 64 * 1024);
    ut_buf_init(&writer->prints, 64 * 1024);
}

void ut_run_writer_free(ut_run_writer *writer)
{
    ut_buf_free(&writer->slice);
    ut_buf_free(&writer->hashes);
    ut_buf_free(&writer->filter);
    ut_buf_free(&writer->group);
    ut_buf_free(&writer->prints);
}

void ut_run_writer_begin(ut_run_writer *writer, ut_txn *txn, ut_siphash_key key, uint32_t org,
                         uint64_t run, const uint8_t *continued)
{
    writer->txn = txn;
    writer->key = key;
    writer->org = org;
    writer->run = run;
    writer->any = continued != NULL;
    if (continued != NULL)
        memcpy(writer->last, continued, UT_TRACE_ID_LEN);
    writer->group_head = false;
    writer->bytes = 0;
    writer->traces = 0;
    writer->postings = 0;
    writer->spans = 0;
    ut_buf_reset(&writer->slice, SLICE_KEEP);
    ut_buf_reset(&writer->hashes, HASHES_KEEP);
    ut_buf_reset(&writer->group, SLICE_KEEP);
    ut_buf_reset(&writer->prints, SLICE_KEEP);
}

// The size of the filter of a group, in bytes.
static size_t group_filter_len(size_t spans)
{
    const size_t units = (spans + GROUP_FILTER_UNIT - 1) / GROUP_FILTER_UNIT;
    if (spans <= GROUP_FILTER_FROM)
        return 0;
    return (units < GROUP_FILTER_UNITS_MAX ? units : GROUP_FILTER_UNITS_MAX) * GROUP_FILTER_UNIT;
}

// Moves the postings of the last trace into the slice.
static ut_err close_group(ut_run_writer *writer)
{
    ut_buf *slice = &writer->slice;
    const size_t spans = writer->prints.len / UT_FINGERPRINT_LEN;
    const size_t filter_len = group_filter_len(spans);
    const size_t len = filter_len + writer->group.len;
    if (writer->group.len == 0)
        return writer->group.err;
    UT_ASSERT(len <= UINT16_MAX);
    const uint8_t head[] = {
        (uint8_t)len,
        (uint8_t)(len >> 8),
        writer->group_head ? GROUP_ANY_HEAD : 0,
        (uint8_t)(filter_len / GROUP_FILTER_UNIT),
    };
    ut_buf_add(slice, writer->last, UT_TRACE_ID_LEN);
    ut_buf_add(slice, head, sizeof(head));
    uint8_t *filter = ut_buf_reserve(slice, filter_len);
    if (filter == NULL)
        return slice->err;
    memset(filter, 0, filter_len);
    for (size_t i = 0; i < spans && filter_len > 0; i++) {
        const uint8_t *print = writer->prints.data + i * UT_FINGERPRINT_LEN;
        for (unsigned probe = 0; probe < GROUP_FILTER_PROBES; probe++) {
            const size_t bit =
                group_bit((uint32_t)print[0] | (uint32_t)print[1] << 8, probe, filter_len * 8);
            filter[bit / 8] = (uint8_t)(filter[bit / 8] | 1U << bit % 8);
        }
    }
    slice->len += filter_len;
    ut_buf_add_bytes(slice, ut_buf_bytes(&writer->group));
    ut_buf_reset(&writer->group, SLICE_KEEP);
    ut_buf_reset(&writer->prints, SLICE_KEEP);
    writer->group_head = false;
    return slice->err;
}

static ut_err put_slice(ut_run_writer *writer)
{
    if (writer->slice.len == 0)
        return UT_OK;
    const ut_key key = ut_key_slice(writer->org, UT_KEY_RUN_POSTINGS, writer->run,
                                    writer->slice_first, writer->slice_first_seq);
    const ut_err err = ut_txn_put(writer->txn, ut_key_bytes(&key), ut_buf_bytes(&writer->slice));
    writer->bytes += writer->slice.len;
    ut_buf_reset(&writer->slice, SLICE_KEEP);
    return err;
}

// Writes the filter over the traces since the last one.
static ut_err put_filter(ut_run_writer *writer)
{
    if (writer->hashes.len == 0)
        return UT_OK;
    ut_err err = ut_run_filter_make(&writer->hashes, writer->last, &writer->filter);
    if (err != UT_OK)
        return err;
    const ut_key key = ut_key_slice(writer->org, UT_KEY_RUN_FILTER, writer->run,
                                    writer->filter_first, writer->filter_first_seq);
    err = ut_txn_put(writer->txn, ut_key_bytes(&key), ut_buf_bytes(&writer->filter));
    writer->bytes += writer->filter.len;
    ut_buf_reset(&writer->hashes, HASHES_KEEP);
    return err;
}

// The bytes that the slice would take with the posting, at most.
static size_t slice_len_with(const ut_run_writer *writer, const ut_posting *posting)
{
    const size_t spans = writer->prints.len / UT_FINGERPRINT_LEN + posting->count;
    return writer->slice.len + 2 * GROUP_HEAD_LEN + group_filter_len(spans) + writer->group.len +
           2 * (size_t)UT_VARINT_LEN_MAX + (size_t)posting->count * UT_FINGERPRINT_LEN;
}

// Notes the trace for the filter.
static ut_err add_trace(ut_run_writer *writer, const ut_posting *posting)
{
    const uint64_t hash = ut_trace_hash(writer->key, posting->trace_id);
    ut_err err = UT_OK;
    if (writer->hashes.len / sizeof(hash) == ut_run_filter_traces_max(writer->txn->engine))
        err = put_filter(writer);
    if (writer->hashes.len == 0) {
        memcpy(writer->filter_first, posting->trace_id, UT_TRACE_ID_LEN);
        writer->filter_first_seq = posting->seq;
    }
    ut_buf_add(&writer->hashes, &hash, sizeof(hash));
    return err == UT_OK ? writer->hashes.err : err;
}

ut_err ut_run_writer_add(ut_run_writer *writer, const ut_posting *posting)
{
    const size_t room = writer->txn->engine->value_bytes_best;
    const bool same = writer->any && memcmp(writer->last, posting->trace_id, UT_TRACE_ID_LEN) == 0;
    const bool full = slice_len_with(writer, posting) > room;
    ut_err err = UT_OK;
    if (!same || full)
        err = close_group(writer);
    if (err == UT_OK && full)
        err = put_slice(writer);
    if (err == UT_OK && (!same || writer->hashes.len == 0))
        err = add_trace(writer, posting);
    if (err != UT_OK)
        return err;
    if (writer->slice.len == 0 && writer->group.len == 0) {
        memcpy(writer->slice_first, posting->trace_id, UT_TRACE_ID_LEN);
        writer->slice_first_seq = posting->seq;
    }
    if (writer->group.len == 0)
        writer->last_seq = 0;
    writer->any = true;
    memcpy(writer->last, posting->trace_id, UT_TRACE_ID_LEN);
    ut_varint_put(&writer->group, posting->seq - writer->last_seq);
    ut_varint_put(&writer->group, (uint64_t)posting->count << 2 | (posting->has_root ? 2U : 0U) |
                                      (posting->head ? 1U : 0U));
    ut_buf_add_bytes(&writer->group, posting->fingerprints);
    ut_buf_add_bytes(&writer->prints, posting->fingerprints);
    writer->group_head = writer->group_head || posting->head;
    writer->last_seq = posting->seq;
    writer->traces += !same;
    writer->postings += 1;
    writer->spans += posting->count;
    return writer->group.err != UT_OK ? writer->group.err : writer->prints.err;
}

ut_err ut_run_writer_end(ut_run_writer *writer)
{
    ut_err err = close_group(writer);
    if (err == UT_OK)
        err = put_slice(writer);
    return err == UT_OK ? put_filter(writer) : err;
}

ut_err ut_run_delete(ut_txn *txn, uint32_t org, uint64_t run, uint32_t records_max,
                     uint32_t *deleted, bool *left)
{
    static const ut_key_run_slice kinds[] = {UT_KEY_RUN_FILTER, UT_KEY_RUN_POSTINGS};
    static const uint8_t lowest[UT_TRACE_ID_LEN] = {0};
    ut_cursor *cursor;
    size_t kind = 0;
    ut_err err = ut_txn_cursor(txn, &cursor);
    if (err != UT_OK)
        return err;
    while (err == UT_OK && kind < sizeof(kinds) / sizeof(kinds[0]) && *deleted < records_max) {
        const ut_key from = ut_key_slice(org, kinds[kind], run, lowest, 0);
        ut_bytes found;
        ut_bytes value;
        err = ut_cursor_seek(cursor, ut_key_bytes(&from), &found, &value);
        if (err == UT_ENOTFOUND ||
            (err == UT_OK &&
             (found.len != from.len || memcmp(found.data, from.data, UT_KEY_PREFIX_RUN) != 0))) {
            kind += 1;
            err = UT_OK;
            continue;
        }
        if (err != UT_OK)
            break;
        ut_key own = {.len = found.len};
        memcpy(own.data, found.data, found.len); // borrowed until the next call
        err = ut_txn_del(txn, ut_key_bytes(&own));
        *deleted += 1;
    }
    ut_cursor_close(cursor);
    *left = kind < sizeof(kinds) / sizeof(kinds[0]);
    return err;
}
