// The traces of one block; see block_traces.h.
// Not for merging them into runs: trace_merge.c.
#include "storage/store/block_traces.h"

#include "storage/store/key.h"
#include "storage/store/ordinal_list.h"

enum {
    PIECE_VERSION = 1,
    PIECE_HEAD_LEN = 1 + 8, // version, base_ns
    ENTRY_HEAD_LEN = UT_TRACE_ID_LEN + 2,
    // Bytes of an entry beside ordinals and digests: id, length, flags and four numbers.
    ENTRY_FIXED_MAX = ENTRY_HEAD_LEN + 1 + 2 + 10 + 10 + 2,
    ORDINAL_LEN_MAX = 2, // of one below UT_BLOCK_SPANS_MAX
    FLAGS_AT = ENTRY_HEAD_LEN,
    VALUE_KEEP = 16 * 1024,

    STATUS = 3,
    HAS_ROOT = 4,
    HEAD = 8,
    FLAGS = STATUS | HAS_ROOT | HEAD,
};

static const uint32_t none = UINT32_MAX;

// ---- writing ----

void ut_block_traces_writer_init(ut_block_traces_writer *writer)
{
    *writer = (ut_block_traces_writer){0};
    ut_buf_init(&writer->value, UT_BLOCK_SPANS_MAX * 64);
}

void ut_block_traces_writer_free(ut_block_traces_writer *writer)
{
    ut_buf_free(&writer->value);
}

uint32_t ut_block_traces_spans_max(const ut_engine *engine)
{
    const uint32_t room = engine->value_bytes_best;
    UT_ASSERT(room >= 2 * (PIECE_HEAD_LEN + ENTRY_FIXED_MAX));
    return (room - PIECE_HEAD_LEN - ENTRY_FIXED_MAX) / (UT_DIGEST_LEN + ORDINAL_LEN_MAX);
}

static void begin_piece(ut_block_traces_writer *writer)
{
    uint8_t base[8];
    ut_put_le64(base, writer->base_ns);
    ut_buf_reset(&writer->value, VALUE_KEEP);
    ut_buf_add_byte(&writer->value, PIECE_VERSION);
    ut_buf_add(&writer->value, base, sizeof(base));
}

void ut_block_traces_begin(ut_block_traces_writer *writer, ut_txn *txn, uint32_t org, uint64_t seq,
                           uint64_t base_ns)
{
    writer->txn = txn;
    writer->org = org;
    writer->seq = seq;
    writer->base_ns = base_ns;
    writer->piece = UT_BLOCK_TRACES_FROM;
    begin_piece(writer);
}

static ut_err put_piece(ut_block_traces_writer *writer, size_t len)
{
    if (writer->piece == UT_KEY_PIECES_MAX)
        return UT_ELIMIT;
    const ut_key key = ut_key_piece(writer->org, writer->seq, writer->piece);
    writer->piece += 1;
    return ut_txn_put(writer->txn, ut_key_bytes(&key), (ut_bytes){writer->value.data, len});
}

static void put_entry(ut_buf *out, const ut_trace_entry *entry, uint64_t base_ns)
{
    const uint8_t flags = (uint8_t)((entry->status & STATUS) | (entry->has_root ? HAS_ROOT : 0) |
                                    (entry->head ? HEAD : 0));
    const size_t at = out->len;
    static const uint8_t no_length[2] = {0};
    ut_buf_add(out, entry->trace_id, UT_TRACE_ID_LEN);
    ut_buf_add(out, no_length, sizeof(no_length));
    ut_buf_add_byte(out, flags);
    ut_varint_put(out, entry->root_ordinal);
    ut_varint_put(out, entry->start_ns - base_ns);
    ut_varint_put(out, entry->length_ns);
    ut_varint_put(out, entry->count);
    ut_buf_add_bytes(out, entry->ordinals);
    ut_buf_add_bytes(out, entry->digests);
    if (out->err != UT_OK)
        return;
    const size_t len = out->len - at - ENTRY_HEAD_LEN;
    UT_ASSERT(len <= UINT16_MAX);
    out->data[at + UT_TRACE_ID_LEN] = (uint8_t)len;
    out->data[at + UT_TRACE_ID_LEN + 1] = (uint8_t)(len >> 8);
}

ut_err ut_block_traces_add(ut_block_traces_writer *writer, const ut_trace_entry *entry)
{
    ut_buf *value = &writer->value;
    const size_t before = value->len;
    put_entry(value, entry, writer->base_ns);
    if (value->err != UT_OK || value->len <= writer->txn->engine->value_bytes_best)
        return value->err;
    // The piece is full: it is written without this entry, which begins the next one.
    UT_ASSERT(before > PIECE_HEAD_LEN);
    ut_err err = put_piece(writer, before);
    if (err != UT_OK)
        return err;
    begin_piece(writer);
    put_entry(value, entry, writer->base_ns);
    UT_ASSERT(value->err != UT_OK || value->len <= writer->txn->engine->value_bytes_best);
    return value->err;
}

ut_err ut_block_traces_end(ut_block_traces_writer *writer)
{
    if (writer->value.err != UT_OK)
        return writer->value.err;
    return writer->value.len > PIECE_HEAD_LEN ? put_piece(writer, writer->value.len) : UT_OK;
}

// ---- reading ----

ut_err ut_block_traces_open_piece(ut_bytes value, uint64_t *base_ns, ut_bytes *entries)
{
    if (value.len < PIECE_HEAD_LEN || value.data[0] != PIECE_VERSION)
        return UT_ECORRUPT;
    *base_ns = ut_get_le64(value.data + 1);
    *entries = (ut_bytes){value.data + PIECE_HEAD_LEN, value.len - PIECE_HEAD_LEN};
    return UT_OK;
}

void ut_block_traces_cut_piece(ut_buf *out, ut_bytes value, ut_bytes entries)
{
    ut_buf_reset(out, VALUE_KEEP);
    ut_buf_add(out, value.data, PIECE_HEAD_LEN);
    ut_buf_add_bytes(out, entries);
}

// Finds where the ordinals end: behind `count` numbers that rise below UT_BLOCK_SPANS_MAX.
static bool split_spans(ut_bytes rest, ut_trace_entry *entry)
{
    ut_bytes left = rest;
    uint32_t last = none;
    uint32_t ordinal;
    for (uint32_t i = 0; i < entry->count; i++) {
        if (!ut_ordinal_list_next(&left, &last, &ordinal))
            return false;
    }
    entry->ordinals = (ut_bytes){rest.data, rest.len - left.len};
    entry->digests = left;
    return entry->digests.len == (size_t)entry->count * UT_DIGEST_LEN;
}

ut_err ut_block_traces_take(ut_bytes *entries, uint64_t base_ns, ut_trace_entry *entry)
{
    if (entries->len < ENTRY_HEAD_LEN + 1)
        return UT_ECORRUPT;
    const uint8_t *at = entries->data;
    const size_t len = (size_t)at[UT_TRACE_ID_LEN] | (size_t)at[UT_TRACE_ID_LEN + 1] << 8;
    if (len < 1 || len > entries->len - ENTRY_HEAD_LEN)
        return UT_ECORRUPT;
    const uint8_t flags = at[FLAGS_AT];
    ut_bytes rest = {at + FLAGS_AT + 1, len - 1};
    entries->data += ENTRY_HEAD_LEN + len;
    entries->len -= ENTRY_HEAD_LEN + len;
    uint64_t root_ordinal;
    uint64_t offset_ns;
    uint64_t count;
    *entry = (ut_trace_entry){
        .trace_id = at,
        .status = flags & STATUS,
        .has_root = (flags & HAS_ROOT) != 0,
        .head = (flags & HEAD) != 0,
    };
    if ((flags & ~FLAGS) != 0 || entry->status > UT_STATUS_ERROR ||
        !ut_varint_get(&rest, &root_ordinal) || root_ordinal >= UT_BLOCK_SPANS_MAX ||
        !ut_varint_get(&rest, &offset_ns) || !ut_varint_get(&rest, &entry->length_ns) ||
        !ut_varint_get(&rest, &count) || count == 0 || count > UT_BLOCK_SPANS_MAX)
        return UT_ECORRUPT;
    entry->root_ordinal = (uint32_t)root_ordinal;
    entry->start_ns = base_ns + offset_ns;
    entry->count = (uint32_t)count;
    return split_spans(rest, entry) ? UT_OK : UT_ECORRUPT;
}

void ut_block_traces_walk_begin(ut_block_traces_walk *walk, ut_cursor *cursor, uint32_t org,
                                uint64_t seq)
{
    *walk = (ut_block_traces_walk){.cursor = cursor, .org = org, .seq = seq, .piece = none};
}

// Enters the next piece of entries.
static ut_err next_piece(ut_block_traces_walk *walk)
{
    ut_bytes key;
    ut_err err;
    if (walk->ended)
        return UT_ENOTFOUND;
    if (walk->piece == none) {
        const ut_key from = ut_key_piece(walk->org, walk->seq, UT_BLOCK_TRACES_FROM);
        err = ut_cursor_seek(walk->cursor, ut_key_bytes(&from), &key, &walk->value);
    } else {
        err = ut_cursor_next(walk->cursor, &key, &walk->value);
    }
    uint32_t org;
    uint64_t seq;
    if (err == UT_OK &&
        (!ut_key_read_piece(key, &org, &seq, &walk->piece) || org != walk->org || seq != walk->seq))
        err = UT_ENOTFOUND;
    walk->ended = err != UT_OK;
    return err == UT_OK ? ut_block_traces_open_piece(walk->value, &walk->base_ns, &walk->rest)
                        : err;
}

ut_err ut_block_traces_next(ut_block_traces_walk *walk, ut_trace_entry *entry)
{
    while (walk->rest.len == 0) {
        ut_err err = next_piece(walk);
        if (err != UT_OK)
            return err;
    }
    walk->entry_at = walk->value.len - walk->rest.len;
    return ut_block_traces_take(&walk->rest, walk->base_ns, entry);
}

ut_err ut_block_traces_find(ut_block_traces_walk *walk, const uint8_t trace_id[UT_TRACE_ID_LEN],
                            ut_trace_entry *entry)
{
    for (;;) {
        while (walk->rest.len == 0) {
            ut_err err = next_piece(walk);
            if (err != UT_OK)
                return err;
        }
        if (walk->rest.len < ENTRY_HEAD_LEN)
            return UT_ECORRUPT;
        const int order = memcmp(walk->rest.data, trace_id, UT_TRACE_ID_LEN);
        if (order > 0)
            return UT_ENOTFOUND; // and a later id is still to be found
        if (order == 0)
            return ut_block_traces_next(walk, entry);
        const size_t len = ENTRY_HEAD_LEN + ((size_t)walk->rest.data[UT_TRACE_ID_LEN] |
                                             (size_t)walk->rest.data[UT_TRACE_ID_LEN + 1] << 8);
        if (len > walk->rest.len)
            return UT_ECORRUPT;
        walk->rest.data += len;
        walk->rest.len -= len;
    }
}

ut_err ut_block_traces_make_head(ut_block_traces_walk *walk, ut_buf *value)
{
    ut_buf_reset(value, VALUE_KEEP);
    ut_buf_add_bytes(value, walk->value);
    if (value->err != UT_OK)
        return value->err;
    value->data[walk->entry_at + FLAGS_AT] |= HEAD;
    const ut_key key = ut_key_piece(walk->org, walk->seq, walk->piece);
    return ut_txn_put(walk->cursor->txn, ut_key_bytes(&key), ut_buf_bytes(value));
}
