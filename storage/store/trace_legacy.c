// The trace index of format versions 1 and 2; see trace_legacy.h.
#include "storage/store/ordinal_list.h"
#include "storage/store/trace_legacy.h"

#include "storage/store/key.h"

ut_err ut_trace_legacy_is_there(ut_txn *txn, bool *there)
{
    static const uint8_t kind[1] = {UT_KEY_TRACE};
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    ut_err err = ut_txn_cursor(txn, &cursor);
    if (err != UT_OK)
        return err;
    err = ut_cursor_seek(cursor, (ut_bytes){kind, sizeof(kind)}, &key, &value);
    *there = err == UT_OK && key.len > 0 && key.data[0] == UT_KEY_TRACE;
    ut_cursor_close(cursor);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// ---- reading ----

ut_err ut_trace_legacy_find(ut_txn *txn, uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN],
                            ut_buf *seqs)
{
    const ut_key prefix = ut_key_prefix(ut_key_trace(org, trace_id, 0), UT_KEY_PREFIX_TRACE);
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    ut_err err = ut_txn_cursor(txn, &cursor);
    if (err != UT_OK)
        return err;
    err = ut_cursor_seek(cursor, ut_key_bytes(&prefix), &key, &value);
    while (err == UT_OK && ut_key_begins_with(key, &prefix)) {
        uint32_t found_org;
        uint8_t found_id[UT_TRACE_ID_LEN];
        uint64_t seq;
        if (ut_key_read_entry(key, &found_org, found_id, &seq))
            ut_buf_add(seqs, &seq, sizeof(seq));
        err = ut_cursor_next(cursor, &key, &value);
    }
    ut_cursor_close(cursor);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

static void add_record(ut_trace_part *part, ut_record_trace *entry)
{
    const uint64_t end_ns = entry->start_ns + entry->length_ns;
    uint32_t last = UINT32_MAX;
    uint32_t ordinal;
    if (part->count == 0 || entry->start_ns < part->start_ns)
        part->start_ns = entry->start_ns;
    if (end_ns > part->end_ns)
        part->end_ns = end_ns;
    if (entry->status > part->status)
        part->status = entry->status;
    part->head = part->head || entry->has_root_key;
    part->has_root = part->has_root || (entry->has_root_key && entry->root_known);
    part->count += entry->count;
    while (ut_ordinal_list_next(&entry->ordinals, &last, &ordinal))
        part->ordinals[ordinal / 8] |= (uint8_t)(1U << ordinal % 8);
}

ut_err ut_trace_legacy_part(ut_cursor *cursor, uint32_t org, uint64_t seq,
                            const uint8_t trace_id[UT_TRACE_ID_LEN], ut_trace_part *part)
{
    const ut_key own = ut_key_trace(org, trace_id, seq);
    ut_err damaged = UT_OK;
    ut_bytes key;
    ut_bytes value;
    *part = (ut_trace_part){.seq = seq, .legacy = true};
    ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&own), &key, &value);
    bool found = false;
    while (err == UT_OK && ut_key_begins_with(key, &own)) {
        ut_record_trace entry;
        found = true;
        if (ut_record_read_trace(value, &entry) == UT_OK)
            add_record(part, &entry);
        else
            damaged = UT_ECORRUPT;
        err = ut_cursor_next(cursor, &key, &value);
    }
    if (err != UT_OK && err != UT_ENOTFOUND)
        return err;
    return found ? damaged : UT_ENOTFOUND;
}

ut_err ut_trace_legacy_walk(ut_cursor *cursor, uint32_t org,
                            const uint8_t trace_id[UT_TRACE_ID_LEN], ut_trace_legacy_visit visit,
                            void *context)
{
    const ut_key prefix = ut_key_prefix(ut_key_trace(org, trace_id, 0), UT_KEY_PREFIX_TRACE);
    ut_bytes key;
    ut_bytes value;
    ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&prefix), &key, &value);
    while (err == UT_OK && ut_key_begins_with(key, &prefix)) {
        ut_record_trace entry;
        if (ut_record_read_trace(value, &entry) == UT_OK)
            visit(context, &entry);
        err = ut_cursor_next(cursor, &key, &value);
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// ---- removing ----

// An entry that is to go, and the keys behind it.
typedef struct {
    bool found;
    bool readable;
    bool followed; // by another entry of the trace, at next
    uint8_t parts; // further parts of the entry
    ut_record_trace entry;
    ut_key next;
} removal;

static ut_err look_behind(ut_cursor *cursor, removal *found)
{
    ut_bytes key;
    ut_bytes value;
    const ut_key own = found->next; // the entry's own key
    found->followed = false;
    for (;;) {
        ut_err err = ut_cursor_next(cursor, &key, &value);
        if (err == UT_ENOTFOUND)
            return UT_OK;
        if (err != UT_OK)
            return err;
        if (ut_key_begins_with(key, &own)) {
            found->parts += 1;
            continue;
        }
        if (key.len == own.len && memcmp(key.data, own.data, UT_KEY_PREFIX_TRACE) == 0) {
            found->followed = true;
            memcpy(found->next.data, key.data, key.len);
        }
        return UT_OK;
    }
}

// Finds the entry of block seq of a trace.
static ut_err find_removal(ut_cursor *cursor, uint32_t org, const uint8_t *id, uint64_t seq,
                           removal *found)
{
    *found = (removal){.next = ut_key_trace(org, id, seq)};
    const ut_bytes wanted = ut_key_bytes(&found->next);
    ut_bytes key;
    ut_bytes value;
    ut_err err = ut_cursor_seek(cursor, wanted, &key, &value);
    if (err == UT_ENOTFOUND)
        return UT_OK;
    if (err != UT_OK)
        return err;
    found->found = key.len == wanted.len && memcmp(key.data, wanted.data, wanted.len) == 0;
    if (!found->found)
        return UT_OK;
    found->readable = ut_record_read_trace(value, &found->entry) == UT_OK;
    return look_behind(cursor, found);
}

// Writes the entry at key again, now with the key of the root record in it.
static ut_err put_root_key(ut_txn *txn, const ut_key *key, const ut_record_trace *from,
                           ut_buf *memory)
{
    ut_bytes value;
    ut_err err = ut_txn_get(txn, ut_key_bytes(key), &value);
    if (err != UT_OK)
        return err == UT_ENOTFOUND ? UT_ECORRUPT : err;
    ut_record_trace entry;
    if (ut_record_read_trace(value, &entry) != UT_OK)
        return UT_OK; // damaged: the next spans of the trace make a new head
    entry.has_root_key = true;
    entry.root_known = from->root_known;
    entry.root_seen_ns = from->root_seen_ns;
    ut_buf_reset(memory, SIZE_MAX);
    ut_record_write_trace(memory, &entry);
    if (memory->err != UT_OK)
        return memory->err;
    return ut_txn_put(txn, ut_key_bytes(key), ut_buf_bytes(memory));
}

// A root record of an encrypted store has no names: they stand in the block that it points at. When
// that block leaves, the record tells of the first entry that is left, as of a stand-in: a root
// span that comes, or is written anew by a cleanup, then makes a head.
static ut_err leave_root(ut_cursor *cursor, uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN],
                         uint64_t seq, ut_buf *memory)
{
    const ut_key prefix = ut_key_prefix(ut_key_trace(org, trace_id, 0), UT_KEY_PREFIX_TRACE);
    ut_txn *txn = cursor->txn;
    ut_bytes key;
    ut_bytes value;
    uint8_t id[UT_TRACE_ID_LEN];
    uint64_t first_seq;
    uint32_t last = UINT32_MAX;
    uint32_t ordinal = 0;
    ut_record_trace entry;
    ut_record_root root;
    ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&prefix), &key, &value);
    if (err != UT_OK || !ut_key_begins_with(key, &prefix) ||
        !ut_key_read_entry(key, &org, id, &first_seq) ||
        ut_record_read_trace(value, &entry) != UT_OK || !entry.has_root_key)
        return err == UT_ENOTFOUND ? UT_OK : err;
    (void)ut_ordinal_list_next(&entry.ordinals, &last, &ordinal); // 0 where it is damaged
    const ut_key root_key = ut_key_root(org, entry.root_seen_ns, trace_id);
    err = ut_txn_get(txn, ut_key_bytes(&root_key), &value);
    if (err != UT_OK || ut_record_read_root(value, &root) != UT_OK || root.seq != seq ||
        !root.names_hidden)
        return err == UT_ENOTFOUND ? UT_OK : err;
    root.seq = first_seq;
    root.ordinal = ordinal;
    root.has_root = false;
    root.start_ns = entry.start_ns;
    root.duration_ns = entry.length_ns;
    root.status = entry.status;
    ut_buf_reset(memory, SIZE_MAX);
    ut_record_write_root(memory, &root);
    if (memory->err != UT_OK)
        return memory->err;
    err = ut_txn_put(txn, ut_key_bytes(&root_key), ut_buf_bytes(memory));
    if (err != UT_OK)
        return err;
    const ut_key own = ut_key_trace(org, trace_id, first_seq);
    entry.root_known = false;
    return put_root_key(txn, &own, &entry, memory);
}

ut_err ut_trace_legacy_remove(ut_cursor *cursor, uint32_t org,
                              const uint8_t trace_id[UT_TRACE_ID_LEN], uint64_t seq, ut_buf *value,
                              uint32_t *touched, bool *last)
{
    ut_txn *txn = cursor->txn;
    removal found;
    *last = false;
    ut_err err = find_removal(cursor, org, trace_id, seq, &found);
    if (err != UT_OK || !found.found)
        return err;
    for (unsigned part = 0; part <= found.parts && err == UT_OK; part++) {
        const ut_key key = ut_key_trace_part(org, trace_id, seq, (uint8_t)part);
        err = ut_txn_del(txn, ut_key_bytes(&key));
        if (err == UT_ENOTFOUND)
            err = UT_OK;
    }
    *touched += 1;
    if (err != UT_OK || !found.readable)
        return err;
    const bool is_head = found.entry.has_root_key;
    if (is_head)
        *touched += 1;
    if (is_head && found.followed)
        err = put_root_key(txn, &found.next, &found.entry, value);
    if (err == UT_OK && (is_head ? found.followed : found.entry.has_root))
        err = leave_root(cursor, org, trace_id, seq, value);
    if (err != UT_OK || !is_head || found.followed)
        return err;
    *last = true;
    const ut_key root = ut_key_root(org, found.entry.root_seen_ns, trace_id);
    err = ut_txn_del(txn, ut_key_bytes(&root));
    return err == UT_ENOTFOUND ? UT_OK : err;
}
