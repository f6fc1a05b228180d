// The Bloom filter over the trace ids of a run; see run_filter.h.
#include "storage/store/run_filter.h"

#include "storage/store/key.h"

enum {
    // Blocks of one cache line, each trace in one of them.
    FILTER_LINE_LEN = 64,
    FILTER_LINE_BITS = 8 * FILTER_LINE_LEN,
    FILTER_BITS_PER_TRACE = 12,
    FILTER_PROBES = 6,
    FILTER_PROBE_BITS = 9, // log2 of FILTER_LINE_BITS
    VALUE_KEEP = 16 * 1024,
};

// Bits of a filter: which line, and which bits of it.
static inline uint32_t line_of(uint64_t hash, size_t lines)
{
    return (uint32_t)(((hash >> 32) * lines) >> 32);
}

static inline uint32_t bit_of(uint64_t hash, unsigned probe)
{
    // The line was chosen by the high half, so the bits come from a product that the low half
    // moves.
    const uint64_t spread = hash * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(spread >> (64 - FILTER_PROBE_BITS * (probe + 1))) & (FILTER_LINE_BITS - 1);
}

static bool has_hash(ut_bytes bits, uint64_t hash)
{
    const uint8_t *line =
        bits.data + (size_t)line_of(hash, bits.len / FILTER_LINE_LEN) * FILTER_LINE_LEN;
    for (unsigned i = 0; i < FILTER_PROBES; i++) {
        const uint32_t bit = bit_of(hash, i);
        if ((line[bit / 8] & 1U << bit % 8) == 0)
            return false;
    }
    return true;
}

static void add_hash(uint8_t *bits, size_t lines, uint64_t hash)
{
    uint8_t *line = bits + (size_t)line_of(hash, lines) * FILTER_LINE_LEN;
    for (unsigned i = 0; i < FILTER_PROBES; i++) {
        const uint32_t bit = bit_of(hash, i);
        line[bit / 8] = (uint8_t)(line[bit / 8] | 1U << bit % 8);
    }
}

void ut_run_filter_begin(ut_run_filter *filter, ut_cursor *cursor, uint32_t org, uint64_t run)
{
    *filter = (ut_run_filter){.cursor = cursor, .org = org, .run = run};
}

static ut_err open_filter_slice(ut_run_filter *filter, const uint8_t *trace_id)
{
    const ut_key wanted =
        ut_key_slice(filter->org, UT_KEY_RUN_FILTER, filter->run, trace_id, UINT64_MAX);
    ut_bytes key;
    ut_bytes value;
    filter->open = false;
    ut_err err = filter->cursor->txn->engine->class->seek(filter->cursor, ut_key_bytes(&wanted),
                                                          true, &key, &value);
    if (err != UT_OK)
        return err == UT_ENOTFOUND ? UT_OK : err;
    uint32_t org;
    ut_key_run_slice kind;
    uint64_t run;
    uint64_t seq;
    const uint8_t *first;
    if (!ut_key_read_slice(key, &org, &kind, &run, &first, &seq) || org != filter->org ||
        kind != UT_KEY_RUN_FILTER || run != filter->run)
        return UT_OK; // before the first slice
    memcpy(filter->first, first, UT_TRACE_ID_LEN);
    filter->open = true;
    filter->last = NULL;
    if (value.len < UT_TRACE_ID_LEN + FILTER_LINE_LEN ||
        (value.len - UT_TRACE_ID_LEN) % FILTER_LINE_LEN != 0)
        return UT_OK; // damaged
    filter->last = value.data;
    filter->bits = (ut_bytes){value.data + UT_TRACE_ID_LEN, value.len - UT_TRACE_ID_LEN};
    return UT_OK;
}

ut_err ut_run_filter_ask(ut_run_filter *filter, const uint8_t trace_id[UT_TRACE_ID_LEN],
                         uint64_t hash, bool *maybe)
{
    if (!filter->open || filter->last == NULL ||
        memcmp(trace_id, filter->first, UT_TRACE_ID_LEN) < 0 ||
        memcmp(trace_id, filter->last, UT_TRACE_ID_LEN) > 0) {
        ut_err err = open_filter_slice(filter, trace_id);
        if (err != UT_OK)
            return err;
    }
    *maybe = filter->open;
    if (!filter->open || filter->last == NULL)
        return UT_OK;
    *maybe = memcmp(trace_id, filter->last, UT_TRACE_ID_LEN) <= 0 && has_hash(filter->bits, hash);
    return UT_OK;
}

// ---- making ----

static size_t filter_lines(size_t traces)
{
    return (traces * FILTER_BITS_PER_TRACE + FILTER_LINE_BITS - 1) / FILTER_LINE_BITS;
}

size_t ut_run_filter_traces_max(const ut_engine *engine)
{
    const size_t lines = (engine->value_bytes_best - UT_TRACE_ID_LEN) / FILTER_LINE_LEN;
    return lines * FILTER_LINE_BITS / FILTER_BITS_PER_TRACE;
}

ut_err ut_run_filter_make(const ut_buf *hashes, const uint8_t last[UT_TRACE_ID_LEN], ut_buf *value)
{
    const size_t count = hashes->len / sizeof(uint64_t);
    const size_t lines = filter_lines(count);
    const size_t len = UT_TRACE_ID_LEN + lines * FILTER_LINE_LEN;
    ut_buf_reset(value, VALUE_KEEP);
    uint8_t *at = ut_buf_reserve(value, len);
    if (at == NULL)
        return value->err;
    memset(at, 0, len);
    memcpy(at, last, UT_TRACE_ID_LEN);
    for (size_t i = 0; i < count; i++) {
        uint64_t hash;
        memcpy(&hash, hashes->data + i * sizeof(hash), sizeof(hash));
        add_hash(at + UT_TRACE_ID_LEN, lines, hash);
    }
    value->len = len;
    return UT_OK;
}
