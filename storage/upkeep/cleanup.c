// Cleanup by an operator's wish, in slices; see operation.h. A slice looks for blocks in a view
// that it ends before it writes. Not for what leaves by itself: retention.c.
#include "storage/upkeep/operation.h"

#include "storage/store/key.h"
#include "storage/store/ledger.h"
#include "storage/store/store_txn.h"
#include "storage/store/store_view.h"
#include "storage/upkeep/span_removal.h"

#include <stdlib.h>

enum {
    LOOK_BLOCKS_MAX = 512,              // of one slice
    LOOK_PAYLOAD_MAX = 2 * 1024 * 1024, // of them, opened
    VICTIMS_MAX = 16,
    TOUCHES_MAX = 96,
    PAYLOAD_KEEP = 512 * 1024,
};

typedef enum { KEEP_ALL, REMOVE_ALL, REMOVE_SOME } verdict;

// The findings of a slice: blocks that go as a whole, or one of which a part goes.
typedef struct {
    uint64_t victims[VICTIMS_MAX];
    uint32_t victim_count;
    bool mixed; // the block after, whose payload is open
    uint64_t mixed_seq;
    uint64_t after;               // blocks up to this number have been looked at
    bool end;                     // there are no more
    uint64_t opened_bytes;        // payload of the blocks that were opened
    ut_operation_progress counts; // of a dry run
} findings;

typedef struct {
    ut_operation operation; // first member
    ut_cleanup_options options;
    ut_store_view *view;
    ut_span_removal *span_removal;
    ut_buf payload;
    ut_block block;
    ut_block_tables tables;
    bool keep[UT_BLOCK_SPANS_MAX];
    bool begun;
    uint64_t after; // seq
    uint64_t last;  // later blocks are not looked at
} cleanup;

// ---- looking ----

static bool is_of_service(ut_bytes record, ut_bytes service)
{
    ut_resource resource;
    ut_bytes name;
    ut_mp_reader reader = ut_mp_reader_of(record);
    return ut_resource_read(&reader, &resource) == UT_OK &&
           ut_attributes_find_str(resource.attributes, UT_BYTES_LIT("service.name"), &name) &&
           ut_bytes_equal(name, service);
}

// Opens a block and finds the spans that stay. *left: those that do not.
static ut_err look_inside(cleanup *c, uint64_t seq, uint32_t *left)
{
    ut_bytes service = ut_bytes_of_z(c->options.service_z);
    bool wanted[UT_BLOCK_SPANS_MAX]; // by scope
    *left = 0;
    ut_err err = ut_store_read_block(c->view, c->options.org, seq, &c->payload, &c->block);
    if (err == UT_OK)
        err = ut_block_tables_read(&c->block, &c->tables);
    if (err != UT_OK)
        return err;
    for (uint32_t i = 0; i < c->tables.scope_count; i++)
        wanted[i] = is_of_service(c->tables.resources[c->tables.resource_of[i]], service);
    memset(c->keep, true, sizeof(c->keep));
    ut_block_cursor cursor;
    bool more = true;
    ut_block_walk(&c->block, &cursor);
    err = ut_block_next_group(&cursor, &more);
    while (err == UT_OK && more) {
        ut_bytes raw;
        bool is_span;
        uint32_t ordinal = cursor.ordinal;
        if (cursor.scope_index >= c->tables.scope_count)
            return UT_ECORRUPT;
        err = ut_block_skip_span(&cursor, &raw, &is_span);
        if (err == UT_OK && !is_span) {
            err = ut_block_next_group(&cursor, &more);
        } else if (err == UT_OK && ordinal < UT_BLOCK_SPANS_MAX && wanted[cursor.scope_index]) {
            c->keep[ordinal] = false;
            *left += 1;
        }
    }
    return err;
}

static void tell_unreadable(const ut_store *store, uint64_t seq)
{
    ut_log_write(store->log, UT_LOG_WARN, "storage",
                 "cleanup: block %llu cannot be read, so that nobody knows its services; it stays",
                 (unsigned long long)seq);
}

// Decides what becomes of a block, and counts the spans that leave.
static ut_err judge(cleanup *c, const ut_store *store, uint64_t seq,
                    const ut_record_summary *summary, findings *found, verdict *out)
{
    uint32_t pending = 0;
    uint32_t spans = summary->span_count;
    uint32_t left = spans;
    *out = KEEP_ALL;
    if (summary->received_ns >= c->options.older_than_ns)
        return UT_OK;
    ut_err err = ut_ledger_pending(&store->ledger, ut_store_view_txn(c->view), c->options.org, seq,
                                   &pending);
    if (err != UT_OK || (c->options.delivered_only && pending > 0))
        return err;
    if (c->options.service_z[0] != 0) {
        found->opened_bytes += summary->payload_len;
        err = look_inside(c, seq, &left);
        if (err == UT_ECORRUPT || err == UT_EVERSION || err == UT_ENOTFOUND) {
            tell_unreadable(store, seq);
            return UT_OK;
        }
        if (err != UT_OK || left == 0)
            return err;
        spans = c->block.info.span_count; // the count in the summary may be damaged
    }
    *out = left < spans ? REMOVE_SOME : REMOVE_ALL;
    found->counts.spans += left;
    found->counts.pending += pending > 0 ? left : 0;
    found->counts.blocks += *out == REMOVE_ALL;
    // The size of a partial removal is known only after the remaining spans were written anew.
    found->counts.bytes += *out == REMOVE_ALL ? summary->sealed_len : 0;
    return UT_OK;
}

static ut_err look_on(cleanup *c, const ut_store *store, ut_cursor *cursor, findings *found)
{
    found->after = c->after;
    for (unsigned i = 0; i < LOOK_BLOCKS_MAX && found->opened_bytes < LOOK_PAYLOAD_MAX; i++) {
        ut_key from = ut_key_summary(c->options.org, found->after + 1);
        ut_bytes key;
        ut_bytes value;
        uint32_t org;
        uint64_t seq;
        verdict decided;
        ut_record_summary summary;
        ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
        if (err != UT_OK && err != UT_ENOTFOUND)
            return err;
        found->end = err == UT_ENOTFOUND || !ut_key_read_summary(key, &org, &seq) ||
                     org != c->options.org || seq > c->last;
        if (found->end)
            return UT_OK;
        if (ut_record_read_summary(value, &summary) != UT_OK) {
            found->after = seq; // nothing says how old it is
            continue;
        }
        err = judge(c, store, seq, &summary, found, &decided);
        if (err != UT_OK)
            return err;
        if (decided == REMOVE_SOME && !c->options.dry_run) {
            // Its neighbours first: one slice does one or the other.
            found->mixed = found->victim_count == 0;
            found->mixed_seq = seq;
            return UT_OK;
        }
        if (decided == REMOVE_ALL && !c->options.dry_run)
            found->victims[found->victim_count++] = seq;
        found->after = seq;
        if (found->victim_count == VICTIMS_MAX)
            return UT_OK;
    }
    return UT_OK;
}

static ut_err look(cleanup *c, const ut_store *store, findings *found)
{
    ut_cursor *cursor;
    ut_err err = ut_store_view_begin(c->view);
    if (err != UT_OK)
        return err;
    err = ut_txn_cursor(ut_store_view_txn(c->view), &cursor);
    if (err == UT_OK) {
        err = look_on(c, store, cursor, found);
        ut_cursor_close(cursor);
    }
    ut_store_view_end(c->view);
    return err;
}

// ---- removing ----

static void count(cleanup *c, const ut_removal_progress *done)
{
    ut_operation_progress *progress = &c->operation.progress;
    progress->blocks += done->blocks;
    progress->spans += done->spans;
    progress->pending += done->pending;
    progress->bytes += done->sealed;
}

// Removes what an earlier slice, or an eviction, has begun to remove, and then victims in order, as
// far as one slice goes. *last: the last one begun.
static ut_err remove_victims(cleanup *c, ut_store *store, const findings *found, uint64_t *last)
{
    ut_removal_progress done;
    ut_cursor *cursor;
    ut_err err = ut_retention_begin(store, TOUCHES_MAX, &done);
    if (err != UT_OK)
        return err;
    err = ut_txn_cursor(store->txn, &cursor);
    if (err != UT_OK) {
        ut_store_abort_write(store);
        return err;
    }
    done.all = true;
    if (store->retention.removal.open)
        err = ut_retention_remove(store, cursor, store->retention.removal.org,
                                  store->retention.removal.seq, UT_REMOVAL_CLEANED, &done);
    for (uint32_t i = 0; i < found->victim_count && err == UT_OK && done.all; i++) {
        if (i > 0 && ut_retention_is_spent(store, &done))
            break;
        err = ut_retention_remove(store, cursor, c->options.org, found->victims[i],
                                  UT_REMOVAL_CLEANED, &done);
        *last = found->victims[i];
    }
    ut_cursor_close(cursor);
    if (err == UT_OK)
        err = ut_store_end_write(store);
    else
        ut_store_abort_write(store);
    if (err == UT_OK)
        count(c, &done);
    return err;
}

static ut_err begin(cleanup *c, ut_store *store)
{
    if (c->view == NULL) {
        ut_err err = ut_store_view_open(ut_store_engine(store), &c->view);
        if (err != UT_OK)
            return err;
    }
    c->last = ut_store_last_seq(store);
    c->begun = true;
    return UT_OK;
}

static ut_err slice(cleanup *c, ut_store *store, bool *more)
{
    ut_err err = c->begun ? UT_OK : begin(c, store);
    findings found = {.end = false};
    *more = true;
    if (err == UT_OK && (c->options.dry_run || !store->retention.removal.open))
        err = look(c, store, &found);
    if (err != UT_OK)
        return err;
    uint64_t after = found.after;
    if (c->options.dry_run) {
        ut_operation_progress *progress = &c->operation.progress;
        progress->blocks += found.counts.blocks;
        progress->spans += found.counts.spans;
        progress->pending += found.counts.pending;
        progress->bytes += found.counts.bytes;
    } else if (store->retention.removal.open) {
        after = c->after;
        err = remove_victims(c, store, &found, &after);
    } else if (found.victim_count > 0) {
        uint64_t last = found.victims[found.victim_count - 1];
        err = remove_victims(c, store, &found, &last);
        // Blocks behind the last one begun are looked at again.
        if (last != found.victims[found.victim_count - 1])
            after = last;
    } else if (found.mixed) {
        ut_removal_progress done = {0};
        const ut_span_removal_job job = {
            .org = c->options.org,
            .seq = found.mixed_seq,
            .block = &c->block,
            .tables = &c->tables,
            .keep = c->keep,
        };
        err = ut_span_removal_run(c->span_removal, store, &job, &done);
        if (err == UT_OK)
            count(c, &done);
        if (err == UT_ECORRUPT)
            tell_unreadable(store, found.mixed_seq);
        if (err == UT_ECORRUPT || err == UT_ENOTFOUND) // it went to make room
            err = UT_OK;
        after = found.mixed_seq;
    }
    if (err != UT_OK)
        return err;
    c->after = after;
    *more = !found.end || (!c->options.dry_run && store->retention.removal.open) ||
            found.victim_count > 0;
    c->operation.progress.total = c->last;
    c->operation.progress.done = *more ? c->after : c->last;
    return UT_OK;
}

static ut_err step(ut_operation *operation, ut_store *store, uint64_t now_ns, bool *more,
                   ut_fault *fault)
{
    (void)now_ns;
    cleanup *c = (cleanup *)(void *)operation;
    ut_err err = slice(c, store, more);
    ut_buf_reset(&c->payload, PAYLOAD_KEEP);
    if (err == UT_EFULL)
        err = UT_EAGAIN; // readers hold what was freed
    if (err == UT_OK)
        return UT_OK;
    return ut_fault_set(fault, err, "cleanup stopped behind block %llu: %s",
                        (unsigned long long)c->after, ut_err_text(err));
}

static void free_cleanup(ut_operation *operation)
{
    cleanup *c = (cleanup *)(void *)operation;
    ut_store_view_close(c->view);
    ut_span_removal_free(c->span_removal);
    ut_buf_free(&c->payload);
    free(c);
}

ut_err ut_cleanup_new(const ut_cleanup_options *options, ut_operation **out)
{
    static const ut_operation_class class = {
        .name_z = "cleanup", .step = step, .free = free_cleanup};
    cleanup *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return UT_ENOMEM;
    c->operation.class = &class;
    c->options = *options;
    c->operation.dry_run = options->dry_run;
    ut_buf_init(&c->payload, UT_BLOCK_PAYLOAD_MAX + PAYLOAD_KEEP);
    c->span_removal = ut_span_removal_new();
    if (c->span_removal == NULL) {
        free_cleanup(&c->operation);
        return UT_ENOMEM;
    }
    *out = &c->operation;
    return UT_OK;
}
