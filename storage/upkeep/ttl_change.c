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
} hour_change;

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
    hour_change changes[CHANGES_MAX];
    uint32_t change_count;
} ttl_change;

// ---- looking ----

// 0 is never.
static uint32_t later(uint32_t a, uint32_t b)
{
    return a == 0 || b == 0 ? 0 : ut_max_u32(a, b);
}

// The hour of the span that is kept longest. Errors of reading the block.
static ut_err longest(ttl_change *change, const ut_store *store, uint64_t seq, uint64_t received_ns,
                      uint32_t *hour)
{
    ut_err err =
        ut_store_read_block(change->view, change->org, seq, &change->payload, &change->block);
    if (err == UT_OK)
        err = ut_block_tables_read(&change->block, &change->tables);
    if (err != UT_OK)
        return err;
    ut_block_cursor cursor;
    bool more = true;
    *hour = 1;
    ut_block_walk(&change->block, &cursor);
    err = ut_block_next_group(&cursor, &more);
    while (err == UT_OK && more) {
        ut_bytes raw;
        bool is_span;
        if (cursor.scope_index >= change->tables.scope_count)
            return UT_ECORRUPT;
        ut_bytes resource =
            change->tables.resources[change->tables.resource_of[cursor.scope_index]];
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

static ut_err look_on(ttl_change *change, const ut_store *store, ut_cursor *cursor, uint64_t *after,
                      bool *end)
{
    uint64_t opened = 0;
    *after = change->after;
    for (unsigned i = 0; i < LOOK_BLOCKS_MAX && opened < LOOK_PAYLOAD_MAX; i++) {
        ut_key from = ut_key_summary(change->org, *after + 1);
        ut_bytes key;
        ut_bytes value;
        uint32_t org;
        uint64_t seq;
        ut_record_summary summary;
        ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
        if (err != UT_OK && err != UT_ENOTFOUND)
            return err;
        *end = err == UT_ENOTFOUND || !ut_key_read_summary(key, &org, &seq) || org != change->org ||
               seq > change->last;
        if (*end || change->change_count == CHANGES_MAX)
            return UT_OK;
        *after = seq;
        if (ut_record_read_summary(value, &summary) != UT_OK)
            continue; // its removal puts this right
        const uint64_t received_ns =
            ut_age_clock_received(&store->state.clock, seq, summary.received_ns);
        uint32_t hour = ut_expiry_hour(store->ttl_ms, received_ns);
        if (store->rules != NULL && store->rules->count > 0) {
            opened += summary.payload_len;
            err = longest(change, store, seq, received_ns, &hour);
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
        change->changes[change->change_count++] = (hour_change){seq, hour, summary.span_count};
    }
    return UT_OK;
}

static ut_err look(ttl_change *change, const ut_store *store, uint64_t *after, bool *end)
{
    ut_cursor *cursor;
    change->change_count = 0;
    ut_err err = ut_store_view_begin(change->view);
    if (err != UT_OK)
        return err;
    err = ut_txn_cursor(ut_store_view_txn(change->view), &cursor);
    if (err == UT_OK) {
        err = look_on(change, store, cursor, after, end);
        ut_cursor_close(cursor);
    }
    ut_store_view_end(change->view);
    return err;
}

// ---- changing ----

static ut_err change_hour(ttl_change *change, ut_store *store, const hour_change *wanted)
{
    ut_key key = ut_key_summary(change->org, wanted->seq);
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
    ut_buf_reset(&change->value, SIZE_MAX);
    ut_record_write_summary(&change->value, &summary);
    err = change->value.err;
    if (err == UT_OK)
        err = ut_txn_put(store->txn, ut_key_bytes(&key), ut_buf_bytes(&change->value));
    if (err == UT_OK && before != 0) {
        key = ut_key_expiry(before, change->org, wanted->seq);
        err = ut_txn_del(store->txn, ut_key_bytes(&key));
        if (err == UT_ENOTFOUND)
            err = UT_OK;
    }
    if (err == UT_OK && wanted->hour != 0) {
        key = ut_key_expiry(wanted->hour, change->org, wanted->seq);
        err = ut_txn_put(store->txn, ut_key_bytes(&key), UT_BYTES_NONE);
    }
    return err;
}

// Makes as many of the changes as fit one transaction. *made: out.
static ut_err change_all(ttl_change *change, ut_store *store, uint32_t *made)
{
    ut_removal_progress done;
    ut_err err = ut_retention_begin(store, TOUCHES_MAX, &done);
    if (err != UT_OK)
        return err;
    *made = 0;
    while (*made < change->change_count && err == UT_OK &&
           done.touches + TOUCHES_A_CHANGE <= done.touches_max) {
        err = change_hour(change, store, &change->changes[*made]);
        done.touches += TOUCHES_A_CHANGE;
        *made += 1;
    }
    if (err == UT_OK)
        return ut_store_end_write(store);
    ut_store_abort_write(store);
    return err;
}

static ut_err slice(ttl_change *change, ut_store *store, bool *more)
{
    if (!change->begun) {
        if (change->view == NULL) {
            ut_err err = ut_store_view_open(ut_store_engine(store), &change->view);
            if (err != UT_OK)
                return err;
        }
        change->last = ut_store_last_seq(store);
        change->begun = true;
    }
    uint64_t after = change->after;
    bool end = false;
    ut_err err = look(change, store, &after, &end);
    uint32_t made = change->change_count;
    if (err == UT_OK && !change->dry_run && change->change_count > 0)
        err = change_all(change, store, &made);
    if (err != UT_OK)
        return err;
    change->operation.progress.blocks += made;
    for (uint32_t i = 0; i < made; i++)
        change->operation.progress.spans += change->changes[i].spans;
    if (made < change->change_count) {
        after = change->changes[made - 1].seq; // the others are found again
        end = false;
    }
    change->after = after;
    *more = !end;
    change->operation.progress.total = change->last;
    change->operation.progress.done = end ? change->last : change->after;
    return UT_OK;
}

static ut_err step(ut_operation *operation, ut_store *store, uint64_t now_ns, bool *more,
                   ut_fault *fault)
{
    (void)now_ns;
    ttl_change *change = (ttl_change *)(void *)operation;
    ut_err err = slice(change, store, more);
    ut_buf_reset(&change->payload, PAYLOAD_KEEP);
    if (err == UT_EFULL)
        err = UT_EAGAIN; // readers hold what was freed
    if (err == UT_OK)
        return UT_OK;
    return ut_fault_set(fault, err, "no new times to live behind block %llu: %s",
                        (unsigned long long)change->after, ut_err_text(err));
}

static void free_change(ut_operation *operation)
{
    ttl_change *change = (ttl_change *)(void *)operation;
    ut_store_view_close(change->view);
    ut_buf_free(&change->payload);
    ut_buf_free(&change->value);
    free(change);
}

ut_err ut_ttl_change_new(uint32_t org, bool dry_run, ut_operation **out)
{
    static const ut_operation_class class = {.name_z = "retime", .step = step, .free = free_change};
    ttl_change *change = calloc(1, sizeof(*change));
    if (change == NULL)
        return UT_ENOMEM;
    change->operation.class = &class;
    change->org = org;
    change->dry_run = dry_run;
    change->operation.dry_run = dry_run;
    ut_buf_init(&change->payload, UT_BLOCK_PAYLOAD_MAX + PAYLOAD_KEEP);
    ut_buf_init(&change->value, PAYLOAD_KEEP);
    *out = &change->operation;
    return UT_OK;
}
