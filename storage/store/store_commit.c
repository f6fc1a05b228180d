// Opening, and the group commit; see store.h. The other parts of the store stand beside it:
// trace_index.c, ledger.c, retention.c, block_store.c, store_view.c.
#include "storage/store/store_core.h"

#include "port/base/order.h"

#include "port/port.h"
#include "storage/store/key.h"
#include "storage/store/store_view.h"

#include <stdlib.h>

enum {
    SPANS_MIN = 64, // of a block, in the smallest store
    PAYLOAD_MIN = 16 * 1024,
    BLOCKS_IN_BUDGET = 256, // no block is larger than this part of the budget
    BLOCKS_IN_RING = 16,    // nor has more than this part of the spans of a ring
    SEALED_KEEP = 512 * 1024,
    PERMILLE_START = 500,
    PERMILLE_AGES = 8,   // blocks of that many commits weigh in
    PERMILLE_MAX = 1050, // what cannot be compressed is stored as it is
    ATTEMPTS_MAX = 4,
    PAGE_USUAL = 4096, // until the engine told
    // What the records of a commit take in the tree, roughly; only the budget is steered by it.
    BYTES_A_SPAN = 15,
    BYTES_A_TRACE = 250,
    BYTES_A_BLOCK = 340,
    BYTES_A_DELIVERY = 60,
    ROOTS_A_PAGE = 16,
    TOUCHES_FIXED = 16, // the last page of each family of keys
};

static const char *const version_name_z = "version";
static const char *const state_name_z = "state";

// ---- opening ----

static ut_err read_state(ut_txn *txn, ut_record_state *state)
{
    ut_key key = ut_key_meta(state_name_z);
    ut_bytes value;
    ut_err err = ut_txn_get(txn, ut_key_bytes(&key), &value);
    return err == UT_OK ? ut_record_read_state(value, state) : err;
}

// Reads what is there. UT_ENOTFOUND: nothing at all.
static ut_err load(ut_store *store, ut_txn *txn, ut_fault *fault)
{
    ut_key key = ut_key_meta(version_name_z);
    ut_bytes value;
    uint64_t version = 0;
    ut_err err = ut_txn_get(txn, ut_key_bytes(&key), &value);
    if (err == UT_OK)
        err = ut_record_read_version(value, &version);
    if (err == UT_EVERSION)
        return ut_fault_set(
            fault, err,
            "the store has format version %llu, this program knows versions up to %d; "
            "use a newer program with it",
            (unsigned long long)version, (int)UT_STORE_FORMAT_VERSION);
    if (err == UT_ENOTFOUND) {
        ut_cursor *cursor;
        static const uint8_t first[1] = {0};
        err = ut_txn_cursor(txn, &cursor);
        if (err != UT_OK)
            return ut_fault_set(fault, err, "the store cannot be read: %s", ut_err_text(err));
        ut_bytes found;
        err = ut_cursor_seek(cursor, (ut_bytes){first, 1}, &found, &value);
        ut_cursor_close(cursor);
        if (err == UT_ENOTFOUND)
            return err;
        if (err == UT_OK)
            return ut_fault_set(
                fault, UT_ECORRUPT,
                "the store has records but no format version: another program wrote it, "
                "or it is damaged");
    }
    if (err == UT_OK)
        err = read_state(txn, &store->state);
    if (err == UT_OK)
        err = ut_ledger_read(txn, &store->ledger);
    if (err == UT_ENOTFOUND)
        err = UT_ECORRUPT;
    return err == UT_OK ? UT_OK
                        : ut_fault_set(fault, err, "the counters of the store cannot be read: %s",
                                       ut_err_text(err));
}

static ut_err write_state(ut_store *store)
{
    ut_buf_reset(&store->value, UT_TRACE_MEMORY_KEEP);
    ut_record_write_state(&store->value, &store->next_state);
    if (store->value.err != UT_OK)
        return store->value.err;
    ut_key key = ut_key_meta(state_name_z);
    return ut_txn_put(store->txn, ut_key_bytes(&key), ut_buf_bytes(&store->value));
}

static ut_err create(ut_store *store)
{
    ut_err err = ut_engine_begin(store->engine, true, &store->txn);
    if (err != UT_OK)
        return err;
    store->next_state = store->state;
    store->next_ledger.count = 0;
    ut_buf_reset(&store->value, UT_TRACE_MEMORY_KEEP);
    ut_record_write_version(&store->value, UT_STORE_FORMAT_PLAIN);
    ut_key key = ut_key_meta(version_name_z);
    err = store->value.err;
    if (err == UT_OK)
        err = ut_txn_put(store->txn, ut_key_bytes(&key), ut_buf_bytes(&store->value));
    if (err != UT_OK) {
        ut_store_abort_write(store);
        return err;
    }
    return ut_store_end_write(store);
}

// Whoever opens to write says anew which destinations are active; a reader sees which ones are.
static ut_err deactivate(ut_store *store)
{
    ut_txn *txn;
    ut_err err = ut_engine_begin(store->engine, true, &txn);
    if (err == UT_EPERM)
        return UT_OK;
    if (err != UT_OK)
        return err;
    ut_txn_abort(txn);
    for (uint32_t i = 0; i < store->ledger.count; i++) {
        ut_ledger_row *row = &store->ledger.rows[i];
        row->changed = row->row.active;
        row->row.active = false;
    }
    return UT_OK;
}

ut_err ut_store_open(ut_engine *engine, const ut_store_config *config, ut_store **out,
                     ut_fault *fault)
{
    ut_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        ut_engine_close(engine);
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    }
    store->engine = engine;
    store->ttl_ms = config->ttl_ms;
    store->rules = config->rules;
    store->log = config->log;
    store->ring_spans = config->spans_max;
    store->evict_oldest = config->evict_oldest;
    store->sealed_permille = PERMILLE_START;
    store->state.next_seq = 1;
    // In a small store a block is small, so that a removal frees a small part of it.
    store->spans_max =
        (uint32_t)ut_clamp_u64(config->bytes_max / 65536, SPANS_MIN, UT_BLOCK_SPANS_MAX);
    if (config->spans_max > 0) // the ring is exact to a block
        store->spans_max =
            (uint32_t)ut_clamp_u64(config->spans_max / BLOCKS_IN_RING, 1, store->spans_max);
    store->payload_target = (uint32_t)ut_clamp_u64(config->bytes_max / BLOCKS_IN_BUDGET,
                                                   PAYLOAD_MIN, UT_BLOCK_PAYLOAD_TARGET);
    ut_buf_init(&store->sealed, UT_BLOCK_PAYLOAD_MAX + SEALED_KEEP);
    ut_buf_init(&store->members, UT_BLOCK_SPANS_MAX * UT_TRACE_ID_LEN);
    ut_buf_init(&store->value, SEALED_KEEP);
    ut_buf_init(&store->classes, UT_TRACE_SPANS_MAX * sizeof(ut_expiry_class));
    ut_buf_init(&store->span_hours, UT_TRACE_SPANS_MAX * sizeof(uint32_t));
    uint8_t seed[16];
    ut_err err = ut_random(seed, sizeof seed);
    ut_trace_index_init(&store->index, seed);
    if (err != UT_OK) {
        err = ut_fault_set(fault, err, "the system gives no random bytes");
        goto done;
    }
    ut_txn *txn;
    err = ut_engine_begin(engine, false, &txn);
    if (err != UT_OK) {
        err = ut_fault_set(fault, err, "the store cannot be read: %s", ut_err_text(err));
        goto done;
    }
    err = load(store, txn, fault);
    ut_txn_abort(txn);
    if (err == UT_ENOTFOUND) {
        err = create(store);
        if (err == UT_EPERM)
            err = UT_OK; // a reader of a store in which nothing was written yet
        if (err != UT_OK)
            err = ut_fault_set(fault, err, "the store cannot be written: %s", ut_err_text(err));
    }
    if (err != UT_OK)
        goto done;
    err = ut_store_keys_open(store, config, fault);
    if (err != UT_OK)
        goto done;
    if (!config->keep_destinations)
        err = deactivate(store);
    if (err != UT_OK) {
        err = ut_fault_set(fault, err, "the store cannot be written: %s", ut_err_text(err));
        goto done;
    }
    store->builder = ut_block_builder_new(store->spans_max, store->payload_target);
    store->bloom = ut_bloom_builder_new(store->spans_max);
    if (store->builder == NULL || store->bloom == NULL) {
        err = ut_fault_set(fault, UT_ENOMEM, "out of memory");
        goto done;
    }
    atomic_store(&store->last_seq, store->state.next_seq - 1);
done:
    if (err != UT_OK)
        ut_store_close(store);
    else
        *out = store;
    return err;
}

void ut_store_close(ut_store *store)
{
    if (store == NULL)
        return;
    ut_block_builder_free(store->builder);
    ut_bloom_builder_free(store->bloom);
    ut_trace_index_free(&store->index);
    ut_buf_free(&store->sealed);
    ut_buf_free(&store->members);
    ut_buf_free(&store->value);
    ut_buf_free(&store->classes);
    ut_buf_free(&store->span_hours);
    ut_store_keys_close(store);
    ut_engine_close(store->engine);
    free(store);
}

ut_engine *ut_store_engine(ut_store *store)
{
    return store->engine;
}

uint64_t ut_store_last_seq(const ut_store *store)
{
    return atomic_load(&store->last_seq);
}

ut_err ut_store_view_counts(ut_store_view *view, ut_store_counts *counts)
{
    ut_record_state state = {0};
    const ut_err err = read_state(ut_store_view_txn(view), &state);
    *counts = state.counts;
    return err;
}

void ut_store_get_counts(const ut_store *store, ut_store_counts *counts)
{
    *counts = store->state.counts;
}

// ---- transactions ----

static void copy_ledger(ut_ledger *to, const ut_ledger *from)
{
    to->count = from->count;
    memcpy(to->rows, from->rows, from->count * sizeof from->rows[0]);
}

// After a commit that failed the engine cannot always tell whether it happened. The ledger is read
// whatever the state says: a commit of marks alone does not change the state.
static ut_err reread(ut_store *store)
{
    if (!store->in_doubt)
        return UT_OK;
    ut_record_state stored = {0};
    ut_err err = read_state(store->txn, &stored);
    if (err == UT_ENOTFOUND)
        return UT_ECORRUPT;
    if (err != UT_OK)
        return err;
    ut_ledger ledger;
    err = ut_ledger_read(store->txn, &ledger);
    if (err != UT_OK)
        return err;
    // Who is active is known here, not there.
    for (uint32_t i = 0; i < ledger.count; i++) {
        for (uint32_t k = 0; k < store->ledger.count; k++) {
            ut_ledger_row *known = &store->ledger.rows[k];
            if (known->row.org == ledger.rows[i].row.org &&
                known->row.dest == ledger.rows[i].row.dest)
                known->row.counts = ledger.rows[i].row.counts;
        }
    }
    store->state = stored;
    store->in_doubt = false;
    atomic_store(&store->last_seq, stored.next_seq - 1);
    return UT_OK;
}

ut_err ut_store_begin_write(ut_store *store)
{
    ut_err err = ut_engine_begin(store->engine, true, &store->txn);
    if (err != UT_OK)
        return err;
    err = reread(store);
    if (err != UT_OK) {
        ut_txn_abort(store->txn);
        store->txn = NULL;
        return err;
    }
    store->next_state = store->state;
    copy_ledger(&store->next_ledger, &store->ledger);
    store->removal_before = store->removal;
    store->lost_before = store->lost_spans;
    return UT_OK;
}

void ut_store_abort_write(ut_store *store)
{
    if (store->txn != NULL)
        ut_txn_abort(store->txn);
    store->txn = NULL;
    store->removal = store->removal_before;
    store->lost_spans = store->lost_before;
}

ut_err ut_store_end_write(ut_store *store)
{
    ut_err err = write_state(store);
    if (err == UT_OK)
        err = ut_ledger_write(store);
    if (err == UT_OK) {
        err = ut_txn_commit(store->txn);
        store->in_doubt = err != UT_OK;
        store->txn = NULL;
    }
    if (err != UT_OK) {
        ut_store_abort_write(store);
        return err;
    }
    store->state = store->next_state;
    copy_ledger(&store->ledger, &store->next_ledger);
    atomic_store(&store->last_seq, store->state.next_seq - 1);
    return UT_OK;
}

// ---- the group commit ----

ut_err ut_store_write_block(ut_store *store, uint32_t org, uint32_t hour, uint64_t received_ns,
                            uint64_t *out)
{
    *out = 0;
    if (ut_block_builder_count(store->builder) == 0)
        return UT_OK;
    uint64_t seq = store->next_state.next_seq;
    ut_err err = ut_store_keys_seal(store, org, seq, received_ns, hour);
    if (err == UT_OK)
        err = ut_trace_index_write_block(&store->index, store->txn, store->builder, seq);
    if (err != UT_OK)
        return err;
    const ut_plan_trace *traces = ut_trace_index_traces(&store->index);
    ut_buf_reset(&store->members, SIZE_MAX);
    for (uint32_t i = 0; i < store->index.member_count; i++)
        ut_buf_add(&store->members, traces[store->index.members[i]].id, UT_TRACE_ID_LEN);
    if (store->members.err != UT_OK)
        return store->members.err;
    err = ut_block_store_put(store->txn, org, seq, ut_buf_bytes(&store->members),
                             ut_buf_bytes(&store->sealed));
    if (err == UT_OK)
        err = ut_block_summary_put(store, org, seq, received_ns, hour);
    if (err == UT_OK && hour != 0) {
        ut_key key = ut_key_expiry(hour, org, seq);
        err = ut_txn_put(store->txn, ut_key_bytes(&key), UT_BYTES_NONE);
    }
    if (err != UT_OK)
        return err;
    store->next_state.next_seq += 1;
    store->next_state.counts.blocks_stored += 1;
    store->sealed_bytes += store->sealed.len;
    ut_block_builder_reset(store->builder);
    ut_trace_index_begin_block(&store->index);
    *out = seq;
    return UT_OK;
}

// Writes what is in the builder as a new block, for every destination.
static ut_err write_block(ut_store *store, uint32_t org, uint32_t hour, uint64_t now_ns)
{
    uint32_t spans = ut_block_builder_count(store->builder);
    uint64_t seq;
    ut_err err = ut_store_write_block(store, org, hour, now_ns, &seq);
    if (err != UT_OK || spans == 0)
        return err;
    store->next_state.counts.spans_stored += spans;
    return ut_ledger_accept(store, org, seq, spans);
}

// Adds the new spans of one append that expire in this hour to the blocks of their class. first: its
// first span in the plan.
static ut_err add_append(ut_store *store, ut_store_append *append, uint32_t first, uint32_t hour,
                         uint64_t now_ns)
{
    const uint32_t *hours;
    if (!ut_expiry_is_of(store, append, now_ns, hour, &hours))
        return UT_OK;
    const ut_batch_span *spans = ut_batch_spans(append->batch);
    const ut_plan_span *planned = ut_trace_index_spans(&store->index) + first;
    for (uint32_t i = 0; i < append->batch->span_count; i++) {
        if (hours != NULL && hours[first + i] != hour)
            continue;
        if (planned[i].duplicate != 0) {
            append->duplicates += 1;
            continue;
        }
        ut_err err = UT_OK;
        if (!ut_block_builder_fits(store->builder, append->batch, &spans[i]))
            err = write_block(store, append->org, hour, now_ns);
        uint32_t ordinal = ut_block_builder_count(store->builder);
        if (err == UT_OK)
            err = ut_block_builder_add(store->builder, append->batch, &spans[i]);
        if (err != UT_OK)
            return err;
        ut_trace_index_add(&store->index, first + i, ordinal);
        append->stored += 1;
    }
    return UT_OK;
}

// Appends of one organisation that expire in the same hour share blocks.
static ut_err write_appends(ut_store *store, uint64_t now_ns, ut_store_append *appends,
                            size_t count)
{
    ut_err err = ut_trace_index_look_up(&store->index, store->txn, now_ns);
    ut_block_builder_reset(store->builder);
    ut_trace_index_begin_block(&store->index);
    for (size_t i = 0; i < count; i++) {
        appends[i].stored = 0;
        appends[i].duplicates = 0;
    }
    for (uint32_t c = 0; c < store->class_count && err == UT_OK; c++) {
        const ut_expiry_class class = ut_expiry_classes(store)[c];
        uint32_t first = 0;
        for (size_t i = 0; i < count && err == UT_OK; i++) {
            if (appends[i].org == class.org)
                err = add_append(store, &appends[i], first, class.hour, now_ns);
            first += appends[i].batch->span_count;
        }
        if (err == UT_OK)
            err = write_block(store, class.org, class.hour, now_ns);
    }
    for (size_t i = 0; i < count && err == UT_OK; i++)
        store->next_state.counts.spans_duplicate += appends[i].duplicates;
    return err;
}

static uint64_t raw_bytes(const ut_store_append *appends, size_t count)
{
    uint64_t raw = 0;
    for (size_t i = 0; i < count; i++) {
        const ut_batch *batch = appends[i].batch;
        raw += batch->span_bytes.len + batch->scope_bytes.len + batch->resource_bytes.len;
    }
    return raw;
}

// What a commit will take, as a guess that errs on the high side; each further attempt guesses
// higher.
static ut_demand guess_demand(const ut_store *store, const ut_store_append *appends, size_t count,
                              size_t marks, unsigned attempt)
{
    uint64_t raw = raw_bytes(appends, count);
    uint64_t spans = store->index.span_count;
    uint64_t traces = store->index.trace_count;
    uint64_t blocks = spans == 0 ? 0
                                 : spans / store->spans_max + raw / store->payload_target + count +
                                       store->class_count;
    uint64_t permille = store->sealed_permille + store->sealed_permille / 4;
    permille = attempt == 0 ? ut_clamp_u64(permille, 0, PERMILLE_MAX) : PERMILLE_MAX;
    uint64_t entries = attempt < 2 ? traces + blocks : spans;
    // New root records stand side by side; those that a late root replaces do not.
    uint64_t roots = attempt == 0 ? traces / ROOTS_A_PAGE : traces;
    uint64_t page = store->room.page_bytes > 0 ? store->room.page_bytes : PAGE_USUAL;
    uint64_t dests = store->ledger.count;
    ut_demand demand = {
        .data_bytes = raw * permille / 1000 + blocks * (page + BYTES_A_BLOCK) +
                      spans * BYTES_A_SPAN + entries * BYTES_A_TRACE +
                      (blocks * dests + marks) * BYTES_A_DELIVERY,
        .touches = entries + roots + 2 * marks + 2 * dests + TOUCHES_FIXED,
    };
    for (unsigned i = 1; i < attempt; i++) {
        demand.data_bytes *= 2;
        demand.touches *= 2;
    }
    return demand;
}

static ut_err try_commit(ut_store *store, uint64_t now_ns, ut_store_append *appends, size_t count,
                         const ut_delivery *marks, size_t mark_count)
{
    ut_err err = ut_store_begin_write(store);
    if (err != UT_OK)
        return err;
    store->sealed_bytes = 0;
    store->payload_bytes = 0;
    if (store->index.span_count > 0)
        err = write_appends(store, now_ns, appends, count);
    for (size_t i = 0; i < mark_count && err == UT_OK; i++)
        err = ut_ledger_mark(store, &marks[i]);
    if (err == UT_OK)
        err = ut_retention_keep_up(store, now_ns);
    if (err != UT_OK) {
        ut_store_abort_write(store);
        return err;
    }
    err = ut_store_end_write(store);
    if (err == UT_OK && store->payload_bytes > 0) {
        uint64_t permille = store->sealed_bytes * 1000 / store->payload_bytes;
        store->sealed_permille =
            (uint32_t)(((PERMILLE_AGES - 1) * (uint64_t)store->sealed_permille + permille) /
                       PERMILLE_AGES);
    }
    return err;
}

ut_err ut_store_commit(ut_store *store, uint64_t now_ns, ut_store_append *appends,
                       size_t append_count, const ut_delivery *marks, size_t mark_count)
{
    for (size_t i = 0; i < append_count; i++) {
        appends[i].stored = 0;
        appends[i].duplicates = 0;
    }
    ut_err err = ut_trace_index_plan(&store->index, appends, append_count);
    if (err == UT_OK)
        err = ut_expiry_plan(store, appends, append_count, now_ns);
    if (err == UT_OK && store->index.span_count == 0 && mark_count == 0)
        return UT_OK;
    if (err == UT_OK)
        err = ut_store_keys_keep_fresh(store);
    for (unsigned attempt = 0; attempt < ATTEMPTS_MAX && err == UT_OK; attempt++) {
        ut_demand demand = guess_demand(store, appends, append_count, mark_count, attempt);
        err = ut_retention_make_room(store, &demand);
        if (err == UT_ELIMIT && attempt > 1)
            err = UT_EFULL; // these guesses are too high to be sure
        if (err == UT_ENOSPC && attempt == 0 && ut_retention_met_full_disk(store)) {
            err = UT_OK;
            continue;
        }
        if (err != UT_OK)
            break;
        err = try_commit(store, now_ns, appends, append_count, marks, mark_count);
        if (err == UT_OK)
            return UT_OK;
        if (err == UT_ENOSPC && ut_retention_met_full_disk(store))
            err = UT_EFULL;
        if (err == UT_EFULL && attempt + 1 < ATTEMPTS_MAX)
            err = UT_OK; // the guess was too low
    }
    for (size_t i = 0; i < append_count; i++) {
        appends[i].stored = 0;
        appends[i].duplicates = 0;
    }
    return err;
}
