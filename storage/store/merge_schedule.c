// When the index of traces is merged; see merge_schedule.h.
#include "storage/store/merge_schedule.h"

#include "port/base/order.h"
#include "storage/store/key.h"

enum {
    // A commit may merge these postings and so many for each of its traces: each trace is merged
    // once on each level, of which there are four with ten million spans.
    POSTINGS_MIN = 128,
    POSTINGS_PER_TRACE = 5,
    // The postings of a step in a pause.
    POSTINGS_IN_PAUSE = 1024,
    // No step takes more than this part of the budget, ...
    STEP_BUDGET_PART = 64,
    // ... and no run is larger than this part.
    RUN_BUDGET_PART = 32,
};

// The oldest block of an organisation whose removal has not begun; the next one when there is none.
static ut_err find_oldest_seq(ut_store *store, ut_cursor *cursor, uint32_t org, uint64_t *seq)
{
    const ut_key from = ut_key_summary(org, 0);
    ut_bytes key;
    ut_bytes value;
    uint32_t found_org;
    const ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
    if (err != UT_OK && err != UT_ENOTFOUND)
        return err;
    if (err == UT_ENOTFOUND || !ut_key_read_summary(key, &found_org, seq) || found_org != org)
        *seq = store->next_state.next_seq;
    return UT_OK;
}

static uint32_t limit_postings(const ut_store *store, uint64_t wanted)
{
    const uint64_t most = store->bytes_max / STEP_BUDGET_PART / UT_MERGE_POSTING_BYTES;
    return (uint32_t)ut_min_u64(wanted, most);
}

uint32_t ut_merge_schedule_postings(const ut_store *store)
{
    return limit_postings(store,
                          POSTINGS_MIN + POSTINGS_PER_TRACE * (uint64_t)store->index.trace_count);
}

uint32_t ut_merge_schedule_pause_postings(const ut_store *store)
{
    return limit_postings(store, POSTINGS_IN_PAUSE);
}

// One step in one organisation.
static ut_err merge(ut_store *store, uint32_t org, uint32_t postings_max, uint32_t *touched,
                    bool *more)
{
    ut_merge_job job = {
        .txn = store->txn,
        .org = org,
        .filter_key = store->index.filter_key,
        .postings_max = postings_max,
        .run_bytes_max = store->bytes_max / RUN_BUDGET_PART,
    };
    ut_cursor *cursor;
    ut_err err = ut_txn_cursor(store->txn, &cursor);
    if (err != UT_OK)
        return err;
    err = find_oldest_seq(store, cursor, org, &job.oldest_seq);
    ut_cursor_close(cursor);
    return err == UT_OK ? ut_trace_merge_step(&store->merger, &job, touched, more) : err;
}

ut_err ut_merge_schedule_in_commit(ut_store *store)
{
    const ut_plan_trace *traces = ut_trace_index_traces(&store->index);
    const uint32_t postings_max = ut_merge_schedule_postings(store);
    ut_err err = UT_OK;
    uint32_t touched = 0;
    bool more = false;
    // Of several organisations each commit serves the first that has work. In the order of ranks
    // the traces of one stand together.
    for (uint32_t rank = 0; rank < store->index.trace_count && err == UT_OK && !more; rank++) {
        const uint32_t org = traces[ut_trace_index_at(&store->index, rank)].org;
        if (rank == 0 || traces[ut_trace_index_at(&store->index, rank - 1)].org != org)
            err = merge(store, org, postings_max, &touched, &more);
    }
    return err;
}

// The first organisation from `from` on that has blocks or, when all of them have left, still runs.
// *any: there is one.
static ut_err find_org(ut_cursor *cursor, uint32_t from, bool *any, uint32_t *org)
{
    const ut_key firsts[] = {ut_key_summary(from, 0), ut_key_run(from, 0)};
    *any = false;
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
        ut_bytes key;
        ut_bytes value;
        uint32_t found;
        uint64_t number;
        const ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&firsts[i]), &key, &value);
        if (err != UT_OK && err != UT_ENOTFOUND)
            return err;
        if (err == UT_ENOTFOUND ||
            (!ut_key_read_summary(key, &found, &number) && !ut_key_read_run(key, &found, &number)))
            continue;
        if (!*any || found < *org)
            *org = found;
        *any = true;
    }
    return UT_OK;
}

// One step between commits, in the first organisation that has work.
ut_err ut_merge_schedule_in_pause(ut_store *store, ut_cursor *cursor, uint32_t *touched, bool *more)
{
    const uint32_t postings_max = ut_merge_schedule_pause_postings(store);
    uint32_t org = 0;
    bool any;
    *more = false;
    ut_err err = find_org(cursor, 0, &any, &org);
    while (err == UT_OK && any) {
        err = merge(store, org, postings_max, touched, more);
        if (err != UT_OK || *more || org == UINT32_MAX)
            break;
        err = find_org(cursor, org + 1, &any, &org);
    }
    return err;
}
