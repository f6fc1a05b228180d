// Gives the blocks that are there the times to live that the configuration says now, in slices; see
// operation.h. Only the hour in the summary and the expiry entry change; the block stays as it is.
// Not for removing what is due after that: the sweeper does it.
#include "storage/upkeep/operation.h"

#include "port/base/order.h"

#include "storage/span/block_tables.h"
#include "storage/store/expiry.h"
#include "storage/store/key.h"
#include "storage/store/retention.h"
#include "storage/store/store_txn.h"
#include "storage/store/store_view.h"

#include <stdlib.h>

enum {
    LOOK_BLOCKS_MAX = 512,              // of one slice
    LOOK_PAYLOAD_MAX = 2 * 1024 * 1024, // of them, opened
    CHANGES_MAX = 64,
    TOUCHES_A_CHANGE = 3,
    TOUCHES_MAX = 512,
    PAYLOAD_KEEP = 512 * 1024,
};

typedef struct {
    uint64_t seq;
    uint32_t hour;
    uint32_t spans;
} change;

typedef struct {
    ut_operation operation; // first member
    uint32_t org;
    bool dry_run;
    bool begun;
    uint64_t after; // seq
    uint64_t last;  // later blocks have their hour already
    ut_store_view *view;
    ut_buf payload;
    ut_buf value;
    ut_block block;
    ut_block_tables tables;
    // Of one slice.
    change changes[CHANGES_MAX];
    uint32_t change_count;
} retime;

// ---- looking ----

// 0 is never.
static uint32_t later(uint32_t a, uint32_t b)
{
    return a == 0 || b == 0 ? 0 : ut_max_u32(a, b);
}

// The hour of the span that is kept longest. Errors of reading the block.
static ut_err longest(retime *r, const ut_store *store, uint64_t seq, uint64_t received_ns,
                      uint32_t *hour)
{
    ut_err err = ut_store_read_block(r->view, r->org, seq, &r->payload, &r->block);
    if (err == UT_OK)
        err = ut_block_tables_read(&r->block, &r->tables);
    if (err != UT_OK)
        return err;
    ut_block_cursor cursor;
    bool more = true;
    *hour = 1;
    ut_block_walk(&r->block, &cursor);
    err = ut_block_next_group(&cursor, &more);
    while (err == UT_OK && more) {
        ut_bytes raw;
        bool is_span;
        if (cursor.scope_index >= r->tables.scope_count)
            return UT_ECORRUPT;
        ut_bytes resource = r->tables.resources[r->tables.resource_of[cursor.scope_index]];
        err = ut_block_skip_span(&cursor, &raw, &is_span);
        if (err == UT_OK && !is_span) {
            err = ut_block_next_group(&cursor, &more);
        } else if (err == UT_OK) {
            const ut_rule *rule = ut_rules_find(store->rules, raw, resource);
            uint64_t ttl_ms = rule != NULL ? rule->ttl_ms : store->ttl_ms;
            *hour = later(*hour, ut_expiry_hour(ttl_ms, received_ns));
        }
    }
    return err;
}

static ut_err look_on(retime *r, const ut_store *store, ut_cursor *cursor, uint64_t *after,
                      bool *end)
{
    uint64_t opened = 0;
    *after = r->after;
    for (unsigned i = 0; i < LOOK_BLOCKS_MAX && opened < LOOK_PAYLOAD_MAX; i++) {
        ut_key from = ut_key_summary(r->org, *after + 1);
        ut_bytes key;
        ut_bytes value;
        uint32_t org;
        uint64_t seq;
        ut_record_summary summary;
        ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
        if (err != UT_OK && err != UT_ENOTFOUND)
            return err;
        *end = err == UT_ENOTFOUND || !ut_key_read_summary(key, &org, &seq) || org != r->org ||
               seq > r->last;
        if (*end || r->change_count == CHANGES_MAX)
            return UT_OK;
        *after = seq;
        if (ut_record_read_summary(value, &summary) != UT_OK)
            continue; // its removal puts this right
        uint32_t hour = ut_expiry_hour(store->ttl_ms, summary.received_ns);
        if (store->rules != NULL && store->rules->count > 0) {
            opened += summary.payload_len;
            err = longest(r, store, seq, summary.received_ns, &hour);
            if (err == UT_ECORRUPT || err == UT_EVERSION || err == UT_ENOTFOUND) {
                ut_log_write(store->log, UT_LOG_WARN, "storage",
                             "block %llu cannot be read; it keeps its time to live",
                             (unsigned long long)seq);
                continue;
            }
            if (err != UT_OK)
                return err;
        }
        if (hour == summary.expiry_hour)
            continue;
        r->changes[r->change_count++] = (change){seq, hour, summary.span_count};
    }
    return UT_OK;
}

static ut_err look(retime *r, const ut_store *store, uint64_t *after, bool *end)
{
    ut_cursor *cursor;
    r->change_count = 0;
    ut_err err = ut_store_view_begin(r->view);
    if (err != UT_OK)
        return err;
    err = ut_txn_cursor(ut_store_view_txn(r->view), &cursor);
    if (err == UT_OK) {
        err = look_on(r, store, cursor, after, end);
        ut_cursor_close(cursor);
    }
    ut_store_view_end(r->view);
    return err;
}

// ---- changing ----

static ut_err change_hour(retime *r, ut_store *store, const change *wanted)
{
    ut_key key = ut_key_summary(r->org, wanted->seq);
    ut_bytes value;
    ut_record_summary summary;
    ut_err err = ut_txn_get(store->txn, ut_key_bytes(&key), &value);
    if (err != UT_OK)
        return err == UT_ENOTFOUND ? UT_OK : err;
    err = ut_record_read_summary(value, &summary);
    if (err != UT_OK)
        return err;
    const uint32_t before = summary.expiry_hour;
    summary.expiry_hour = wanted->hour;
    ut_buf_reset(&r->value, SIZE_MAX);
    ut_record_write_summary(&r->value, &summary);
    err = r->value.err;
    if (err == UT_OK)
        err = ut_txn_put(store->txn, ut_key_bytes(&key), ut_buf_bytes(&r->value));
    if (err == UT_OK && before != 0) {
        key = ut_key_expiry(before, r->org, wanted->seq);
        err = ut_txn_del(store->txn, ut_key_bytes(&key));
        if (err == UT_ENOTFOUND)
            err = UT_OK;
    }
    if (err == UT_OK && wanted->hour != 0) {
        key = ut_key_expiry(wanted->hour, r->org, wanted->seq);
        err = ut_txn_put(store->txn, ut_key_bytes(&key), UT_BYTES_NONE);
    }
    return err;
}

// Makes as many of the changes as fit one transaction. *made: out.
static ut_err change_all(retime *r, ut_store *store, uint32_t *made)
{
    ut_removal_progress done;
    ut_err err = ut_retention_begin(store, TOUCHES_MAX, &done);
    if (err != UT_OK)
        return err;
    *made = 0;
    while (*made < r->change_count && err == UT_OK &&
           done.touches + TOUCHES_A_CHANGE <= done.touches_max) {
        err = change_hour(r, store, &r->changes[*made]);
        done.touches += TOUCHES_A_CHANGE;
        *made += 1;
    }
    if (err == UT_OK)
        return ut_store_end_write(store);
    ut_store_abort_write(store);
    return err;
}

static ut_err slice(retime *r, ut_store *store, bool *more)
{
    if (!r->begun) {
        if (r->view == NULL) {
            ut_err err = ut_store_view_open(ut_store_engine(store), &r->view);
            if (err != UT_OK)
                return err;
        }
        r->last = ut_store_last_seq(store);
        r->begun = true;
    }
    uint64_t after = r->after;
    bool end = false;
    ut_err err = look(r, store, &after, &end);
    uint32_t made = r->change_count;
    if (err == UT_OK && !r->dry_run && r->change_count > 0)
        err = change_all(r, store, &made);
    if (err != UT_OK)
        return err;
    r->operation.progress.blocks += made;
    for (uint32_t i = 0; i < made; i++)
        r->operation.progress.spans += r->changes[i].spans;
    if (made < r->change_count) {
        after = r->changes[made - 1].seq; // the others are found again
        end = false;
    }
    r->after = after;
    *more = !end;
    r->operation.progress.total = r->last;
    r->operation.progress.done = end ? r->last : r->after;
    return UT_OK;
}

static ut_err step(ut_operation *operation, ut_store *store, uint64_t now_ns, bool *more,
                   ut_fault *fault)
{
    (void)now_ns;
    retime *r = (retime *)(void *)operation;
    ut_err err = slice(r, store, more);
    ut_buf_reset(&r->payload, PAYLOAD_KEEP);
    if (err == UT_EFULL)
        err = UT_EAGAIN; // readers hold what was freed
    if (err == UT_OK)
        return UT_OK;
    return ut_fault_set(fault, err, "no new times to live behind block %llu: %s",
                        (unsigned long long)r->after, ut_err_text(err));
}

static void free_retime(ut_operation *operation)
{
    retime *r = (retime *)(void *)operation;
    ut_store_view_close(r->view);
    ut_buf_free(&r->payload);
    ut_buf_free(&r->value);
    free(r);
}

ut_err ut_retime_new(uint32_t org, bool dry_run, ut_operation **out)
{
    static const ut_operation_class class = {.name_z = "retime", .step = step, .free = free_retime};
    retime *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return UT_ENOMEM;
    r->operation.class = &class;
    r->org = org;
    r->dry_run = dry_run;
    r->operation.dry_run = dry_run;
    ut_buf_init(&r->payload, UT_BLOCK_PAYLOAD_MAX + PAYLOAD_KEEP);
    ut_buf_init(&r->value, PAYLOAD_KEEP);
    *out = &r->operation;
    return UT_OK;
}
