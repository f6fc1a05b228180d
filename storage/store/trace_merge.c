// Merging the trace index; see trace_merge.h.
// Not for when it is done: merge_schedule.c.
#include "storage/store/trace_merge.h"

#include "storage/store/block_store.h"
#include "storage/store/key.h"

#include <stdlib.h>

enum {
    MEMORY_MAX = 1 << 28,
    MEMORY_KEEP = 128 * 1024,
    DELETED_MAX = 64,  // slices of dropped runs in one step
    DROPPED_MAX = 128, // runs that wait to be deleted; no merge begins while there are more
    SLICES_PER_TOUCH = 4,
};

void ut_trace_merger_init(ut_trace_merger *merger)
{
    *merger = (ut_trace_merger){0};
    ut_buf_init(&merger->runs, UT_RUNS_MAX * sizeof(ut_run));
    ut_buf_init(&merger->gathered, MEMORY_MAX);
    ut_buf_init(&merger->prints, MEMORY_MAX);
    ut_buf_init(&merger->value, MEMORY_KEEP);
    ut_run_writer_init(&merger->writer);
}

void ut_trace_merger_free(ut_trace_merger *merger)
{
    ut_buf_free(&merger->runs);
    ut_buf_free(&merger->gathered);
    ut_buf_free(&merger->prints);
    ut_buf_free(&merger->value);
    ut_run_writer_free(&merger->writer);
}

// ---- what is merged ----

static int compare_runs(const void *a, const void *b)
{
    const ut_run *left = a;
    const ut_run *right = b;
    return (left->first_seq > right->first_seq) - (left->first_seq < right->first_seq);
}

// The number of the next run: behind every head, also behind one that cannot be read, whose slices
// may still be there.
static ut_err find_next_number(const ut_merge_job *job, uint64_t *number)
{
    const ut_key highest = ut_key_run(job->org, UINT64_MAX);
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    uint32_t org;
    uint64_t run = 0;
    ut_err err = ut_txn_cursor(job->txn, &cursor);
    if (err != UT_OK)
        return err;
    err = job->txn->engine->class->seek(cursor, ut_key_bytes(&highest), true, &key, &value);
    if (err == UT_OK && (!ut_key_read_run(key, &org, &run) || org != job->org))
        run = 0;
    *number = run + 1;
    ut_cursor_close(cursor);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// The merge under way of the lowest level; NULL: none.
static ut_run *find_building(const ut_buf *runs)
{
    ut_run *lowest = NULL;
    for (size_t i = 0; i < ut_runs_count(runs); i++) {
        ut_run *run = &ut_runs_of(runs)[i];
        if (run->state == UT_RUN_BUILDING && (lowest == NULL || run->level < lowest->level))
            lowest = run;
    }
    return lowest;
}

static bool is_built(const ut_buf *runs, uint32_t level)
{
    for (size_t i = 0; i < ut_runs_count(runs); i++) {
        const ut_run *run = &ut_runs_of(runs)[i];
        if (run->state == UT_RUN_BUILDING && run->level == level)
            return true;
    }
    return false;
}

// Blocks behind `covered` that are worth a run. *last: the last of them; 0: they are not.
static ut_err choose_blocks(const ut_merge_job *job, uint64_t covered, uint64_t *first,
                            uint64_t *last)
{
    const ut_key from = ut_key_summary(job->org, covered + 1);
    ut_cursor *summaries;
    ut_cursor *pieces;
    ut_bytes key;
    ut_bytes value;
    uint32_t blocks = 0;
    uint64_t bytes = 0;
    uint64_t seq = 0;
    *last = 0;
    ut_err err = ut_txn_cursor(job->txn, &summaries);
    if (err != UT_OK)
        return err;
    err = ut_txn_cursor(job->txn, &pieces);
    if (err != UT_OK) {
        ut_cursor_close(summaries);
        return err;
    }
    err = ut_cursor_seek(summaries, ut_key_bytes(&from), &key, &value);
    while (err == UT_OK && blocks < UT_MERGE_BLOCKS_MAX && bytes < UT_MERGE_ENTRY_BYTES_MIN) {
        uint32_t org;
        if (!ut_key_read_summary(key, &org, &seq) || org != job->org)
            break;
        if (blocks == 0)
            *first = seq;
        blocks += 1;
        *last = seq;
        const ut_key entries = ut_key_piece(org, seq, UT_BLOCK_TRACES_FROM);
        err = ut_cursor_seek(pieces, ut_key_bytes(&entries), &key, &value);
        bytes += err == UT_OK ? value.len : 0;
        if (err == UT_OK || err == UT_ENOTFOUND)
            err = ut_cursor_next(summaries, &key, &value);
    }
    ut_cursor_close(pieces);
    ut_cursor_close(summaries);
    if (blocks < UT_MERGE_BLOCKS_MAX && bytes < UT_MERGE_ENTRY_BYTES_MIN)
        *last = 0; // not enough
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// Neighbouring runs of a level that are worth one of the next; the runs are in the order of blocks.
static bool choose_runs(const ut_buf *runs, uint32_t level, uint64_t bytes_max, ut_run *made)
{
    const ut_run *chosen[UT_MERGE_RUNS];
    size_t count = 0;
    for (size_t i = 0; i < ut_runs_count(runs); i++) {
        const ut_run *run = &ut_runs_of(runs)[i];
        if (run->state != UT_RUN_READY)
            continue;
        if (run->level != level) {
            count = 0; // runs on both sides of it are no neighbours
            continue;
        }
        if (count == UT_MERGE_RUNS) {
            count -= 1;
            for (size_t k = 0; k < count; k++)
                chosen[k] = chosen[k + 1];
        }
        chosen[count++] = run;
        if (count < UT_MERGE_RUNS)
            continue;
        uint64_t bytes = 0;
        for (size_t k = 0; k < count; k++)
            bytes += chosen[k]->bytes;
        if (bytes > bytes_max)
            continue;
        made->first_seq = chosen[0]->first_seq;
        made->last_seq = chosen[count - 1]->last_seq;
        made->level = level + 1;
        return true;
    }
    return false;
}

static size_t count_dropped(const ut_buf *runs)
{
    size_t count = 0;
    for (size_t i = 0; i < ut_runs_count(runs); i++)
        count += ut_runs_of(runs)[i].state == UT_RUN_DROPPED;
    return count;
}

// Begins merges that are due, one of each level at most.
static ut_err begin_merges(ut_trace_merger *merger, const ut_merge_job *job)
{
    ut_buf *runs = &merger->runs;
    ut_run made = {.state = UT_RUN_BUILDING, .level = 1, .run = merger->next_run};
    ut_err err = UT_OK;
    bool due = false;
    // What was dropped is deleted first, so that the heads stay few.
    if (count_dropped(runs) >= DROPPED_MAX)
        return UT_OK;
    if (!is_built(runs, 1)) {
        uint64_t covered = 0;
        err = ut_index_covered(job->txn, runs, &covered);
        if (err == UT_OK)
            err = choose_blocks(job, covered, &made.first_seq, &made.last_seq);
        due = made.last_seq != 0;
    }
    for (uint32_t level = 1; err == UT_OK && !due && level < UT_RUN_LEVELS_MAX; level++) {
        if (!is_built(runs, level + 1))
            due = choose_runs(runs, level, job->run_bytes_max, &made);
    }
    if (err != UT_OK || !due)
        return err;
    merger->next_run += 1;
    ut_buf_add(runs, &made, sizeof(made));
    if (runs->err != UT_OK)
        return runs->err;
    return ut_run_put(job->txn, job->org, &made, &merger->value);
}

// ---- sources ----

// A source of a merge and the posting of it that comes next.
typedef struct {
    ut_cursor *cursor;
    bool of_block;
    uint64_t number; // of the run or block
    ut_run_walk run;
    ut_block_traces_walk block;
    bool more;
    ut_posting next;
    uint64_t next_prefix; // the first bytes of its trace id, to compare
    // The posting of a block is made here.
    uint8_t block_id[UT_TRACE_ID_LEN];
    uint8_t prints[UT_BLOCK_SPANS_MAX * UT_FINGERPRINT_LEN];
    ut_trace_entry entry; // read, and not part of next
    bool entry_read;
} source;

static void add_prints(source *from, ut_trace_entry *entry)
{
    ut_posting *next = &from->next;
    for (uint32_t i = 0; i < entry->count && next->count < UT_BLOCK_SPANS_MAX; i++) {
        const uint64_t digest = ut_trace_entry_digest(entry, i);
        from->prints[2 * next->count] = (uint8_t)digest;
        from->prints[2 * next->count + 1] = (uint8_t)(digest >> 8);
        next->count += 1;
    }
    next->has_root = next->has_root || entry->has_root;
    next->head = next->head || entry->head;
    next->fingerprints = (ut_bytes){from->prints, (size_t)next->count * UT_FINGERPRINT_LEN};
}

// Makes the next posting out of the entries of a block: one of all entries of a trace.
static ut_err next_of_block(source *from)
{
    ut_err err = UT_OK;
    if (!from->entry_read)
        err = ut_block_traces_next(&from->block, &from->entry);
    from->entry_read = false;
    if (err != UT_OK)
        return err;
    memcpy(from->block_id, from->entry.trace_id, UT_TRACE_ID_LEN);
    from->next = (ut_posting){.trace_id = from->block_id, .seq = from->number};
    do {
        add_prints(from, &from->entry);
        err = ut_block_traces_next(&from->block, &from->entry);
    } while (err == UT_OK && memcmp(from->entry.trace_id, from->block_id, UT_TRACE_ID_LEN) == 0);
    from->entry_read = err == UT_OK;
    return err == UT_ENOTFOUND || err == UT_ECORRUPT ? UT_OK : err;
}

// Where a merge stands: the posting that was written last.
typedef struct {
    bool any;
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint64_t seq;
} position;

static bool is_behind(const ut_posting *posting, const position *at)
{
    if (!at->any)
        return true;
    const int order = memcmp(posting->trace_id, at->trace_id, UT_TRACE_ID_LEN);
    return order > 0 || (order == 0 && posting->seq > at->seq);
}

// Ends the source where it has nothing left, or cannot be read on.
static ut_err settle(source *from, ut_err err)
{
    from->more = err == UT_OK;
    if (err == UT_OK)
        from->next_prefix = ut_get_be64(from->next.trace_id);
    return err == UT_ENOTFOUND || err == UT_ECORRUPT ? UT_OK : err;
}

// Moves to the next posting.
static ut_err advance(source *from)
{
    if (from->of_block)
        return settle(from, next_of_block(from));
    ut_err err;
    do {
        err = ut_run_walk_next(&from->run, &from->next);
    } while (err == UT_ECORRUPT); // the rest of one slice
    return settle(from, err);
}

// Moves to the first posting behind a position.
static ut_err start(source *from, const ut_merge_job *job, const position *at)
{
    static const uint8_t lowest[UT_TRACE_ID_LEN] = {0};
    ut_err err = ut_txn_cursor(job->txn, &from->cursor);
    if (err != UT_OK)
        return err;
    if (from->of_block) {
        ut_block_traces_walk_begin(&from->block, from->cursor, job->org, from->number);
        err = settle(from, next_of_block(from));
    } else {
        ut_run_walk_begin(&from->run, from->cursor, job->org, from->number);
        err = ut_run_walk_seek(&from->run, at->any ? at->trace_id : lowest, at->seq, &from->next);
        err = settle(from, err);
    }
    while (err == UT_OK && from->more && !is_behind(&from->next, at))
        err = advance(from);
    return err;
}

// Finds the posting that the run under construction ends with.
static ut_err find_position(const ut_merge_job *job, uint64_t run, position *at)
{
    ut_cursor *cursor;
    ut_run_walk walk;
    ut_posting posting;
    *at = (position){.any = false};
    ut_err err = ut_txn_cursor(job->txn, &cursor);
    if (err != UT_OK)
        return err;
    ut_run_walk_begin(&walk, cursor, job->org, run);
    err = ut_run_walk_last(&walk);
    while (err == UT_OK) {
        err = ut_run_walk_next(&walk, &posting);
        if (err != UT_OK)
            break;
        at->any = true;
        memcpy(at->trace_id, posting.trace_id, UT_TRACE_ID_LEN);
        at->seq = posting.seq;
    }
    ut_cursor_close(cursor);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

typedef struct {
    source *all; // UT_RUN_SOURCES_MAX of them
    size_t count;
} sources;

static void add_source(sources *to, bool of_block, uint64_t number)
{
    UT_ASSERT(to->count < UT_RUN_SOURCES_MAX);
    source *made = &to->all[to->count++];
    made->cursor = NULL;
    made->of_block = of_block;
    made->number = number;
    made->entry_read = false;
    made->more = false;
}

static bool is_source(const ut_run *run, const ut_run *made)
{
    return run->state == UT_RUN_READY && run->level + 1 == made->level &&
           run->first_seq >= made->first_seq && run->last_seq <= made->last_seq;
}

// The blocks of the range that are still there.
static ut_err add_blocks(sources *to, const ut_merge_job *job, const ut_run *made)
{
    const ut_key from = ut_key_summary(job->org, made->first_seq);
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    ut_err err = ut_txn_cursor(job->txn, &cursor);
    if (err != UT_OK)
        return err;
    for (err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
         err == UT_OK && to->count < UT_RUN_SOURCES_MAX;
         err = ut_cursor_next(cursor, &key, &value)) {
        uint32_t org;
        uint64_t seq;
        if (!ut_key_read_summary(key, &org, &seq) || org != job->org || seq > made->last_seq)
            break;
        add_source(to, true, seq);
    }
    ut_cursor_close(cursor);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

static ut_err add_sources(sources *to, const ut_trace_merger *merger, const ut_merge_job *job,
                          const ut_run *made)
{
    if (made->level == 1)
        return add_blocks(to, job, made);
    for (size_t i = 0; i < ut_runs_count(&merger->runs) && to->count < UT_RUN_SOURCES_MAX; i++) {
        const ut_run *run = &ut_runs_of(&merger->runs)[i];
        if (is_source(run, made))
            add_source(to, false, run->run);
    }
    return UT_OK;
}

// The source whose posting comes first; NULL: none has one. Sources stand in the order of blocks,
// so of equal traces the first one comes first.
static source *find_first(const sources *from)
{
    source *first = NULL;
    for (size_t i = 0; i < from->count; i++) {
        source *at = &from->all[i];
        if (!at->more)
            continue;
        if (first == NULL || at->next_prefix < first->next_prefix ||
            (at->next_prefix == first->next_prefix &&
             memcmp(at->next.trace_id, first->next.trace_id, UT_TRACE_ID_LEN) < 0))
            first = at;
    }
    return first;
}

// ---- one step ----

// A posting that was gathered; its fingerprints stand in merger->prints.
typedef struct {
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint64_t seq;
    uint32_t prints_at;
    uint32_t count;
    bool head;
    bool has_root;
} gathered;

static void keep(ut_trace_merger *merger, const ut_posting *posting)
{
    gathered kept = {
        .seq = posting->seq,
        .prints_at = (uint32_t)merger->prints.len,
        .count = posting->count,
        .head = posting->head,
        .has_root = posting->has_root,
    };
    memcpy(kept.trace_id, posting->trace_id, UT_TRACE_ID_LEN);
    ut_buf_add(&merger->gathered, &kept, sizeof(kept));
    ut_buf_add_bytes(&merger->prints, posting->fingerprints);
}

// Gathers the next postings behind `at` of all sources, before anything is written: postings_max of
// them, which is counted down by those that were read. *end: there are no more.
static ut_err gather(ut_trace_merger *merger, const ut_merge_job *job, const sources *from,
                     position at, uint32_t *postings_max, bool *end)
{
    const uint64_t bytes_max = (uint64_t)*postings_max * UT_MERGE_POSTING_BYTES;
    ut_err err = UT_OK;
    *end = false;
    while (err == UT_OK) {
        const uint64_t count = merger->gathered.len / sizeof(gathered);
        const uint64_t bytes = count * (UT_TRACE_ID_LEN + sizeof(uint64_t)) + merger->prints.len;
        source *first = find_first(from);
        *end = first == NULL;
        // Where nothing was kept yet, the step would end where it began.
        if (*end || (count > 0 && *postings_max == 0) || bytes >= bytes_max)
            break;
        // Postings of blocks that have left go. A damaged source may be out of order, which the new
        // run may not be.
        if (first->next.seq >= job->oldest_seq && is_behind(&first->next, &at)) {
            keep(merger, &first->next);
            at.any = true;
            memcpy(at.trace_id, first->next.trace_id, UT_TRACE_ID_LEN);
            at.seq = first->next.seq;
        }
        if (merger->gathered.err != UT_OK || merger->prints.err != UT_OK)
            return UT_ENOMEM;
        *postings_max -= *postings_max > 0;
        err = advance(first);
    }
    return err;
}

static ut_err write_gathered(ut_trace_merger *merger, const ut_merge_job *job, ut_run *made,
                             const position *at)
{
    ut_run_writer *writer = &merger->writer;
    const gathered *all = (const gathered *)(const void *)merger->gathered.data;
    const size_t count = merger->gathered.len / sizeof(gathered);
    ut_run_writer_begin(writer, job->txn, job->filter_key, job->org, made->run,
                        at->any ? at->trace_id : NULL);
    ut_err err = UT_OK;
    for (size_t i = 0; i < count && err == UT_OK; i++) {
        const ut_posting posting = {
            .trace_id = all[i].trace_id,
            .seq = all[i].seq,
            .head = all[i].head,
            .has_root = all[i].has_root,
            .count = all[i].count,
            .fingerprints = {merger->prints.data + all[i].prints_at,
                             (size_t)all[i].count * UT_FINGERPRINT_LEN},
        };
        err = ut_run_writer_add(writer, &posting);
    }
    if (err == UT_OK)
        err = ut_run_writer_end(writer);
    made->traces += writer->traces;
    made->postings += writer->postings;
    made->spans += writer->spans;
    made->bytes += writer->bytes;
    return err;
}

// The new run is ready: its sources are dropped.
static ut_err finish(ut_trace_merger *merger, const ut_merge_job *job, ut_run *made)
{
    ut_err err = UT_OK;
    for (size_t i = 0; i < ut_runs_count(&merger->runs) && err == UT_OK; i++) {
        ut_run *run = &ut_runs_of(&merger->runs)[i];
        if (!is_source(run, made))
            continue;
        run->state = UT_RUN_DROPPED;
        err = ut_run_put(job->txn, job->org, run, &merger->value);
    }
    made->state = UT_RUN_READY;
    return err;
}

// Goes on with one merge. *postings_max is counted down.
static ut_err merge_on(ut_trace_merger *merger, const ut_merge_job *job, ut_run *made,
                       uint32_t *postings_max, uint32_t *touched)
{
    position at;
    sources from = {.all = malloc(UT_RUN_SOURCES_MAX * sizeof(source))};
    if (from.all == NULL)
        return UT_ENOMEM;
    ut_buf_reset(&merger->gathered, MEMORY_KEEP);
    ut_buf_reset(&merger->prints, MEMORY_KEEP);
    bool end = false;
    ut_err err = find_position(job, made->run, &at);
    if (err == UT_ECORRUPT) {
        // It is made again from its sources, which are still there. It never covered a block.
        free(from.all);
        made->state = UT_RUN_DROPPED;
        made->first_seq = 0;
        made->last_seq = 0;
        return ut_run_put(job->txn, job->org, made, &merger->value);
    }
    if (err == UT_OK)
        err = add_sources(&from, merger, job, made);
    for (size_t i = 0; i < from.count && err == UT_OK; i++)
        err = start(&from.all[i], job, &at);
    if (err == UT_OK)
        err = gather(merger, job, &from, at, postings_max, &end);
    for (size_t i = 0; i < from.count; i++) {
        if (from.all[i].cursor != NULL)
            ut_cursor_close(from.all[i].cursor);
    }
    free(from.all);
    if (err == UT_OK)
        err = write_gathered(merger, job, made, &at);
    if (err == UT_OK && end)
        err = finish(merger, job, made);
    *touched += UT_MERGE_SOURCE_TOUCHES + (uint32_t)(merger->writer.bytes / UT_MERGE_PAGE_BYTES);
    return err == UT_OK ? ut_run_put(job->txn, job->org, made, &merger->value) : err;
}

// ---- dropping ----

// Deletes slices of dropped runs, and their heads at last. *left: some are not gone yet.
static ut_err delete_dropped(ut_trace_merger *merger, const ut_merge_job *job, uint32_t *touched,
                             bool *left)
{
    uint32_t deleted = 0;
    *left = false;
    for (size_t i = 0; i < ut_runs_count(&merger->runs); i++) {
        const ut_run *run = &ut_runs_of(&merger->runs)[i];
        if (run->state != UT_RUN_DROPPED)
            continue;
        bool slices_left = deleted == DELETED_MAX;
        ut_err err = UT_OK;
        if (!slices_left)
            err = ut_run_delete(job->txn, job->org, run->run, DELETED_MAX, &deleted, &slices_left);
        if (err == UT_OK && !slices_left) {
            const ut_key key = ut_key_run(job->org, run->run);
            err = ut_txn_del(job->txn, ut_key_bytes(&key));
        }
        if (err != UT_OK)
            return err;
        *left = *left || slices_left;
        *touched += 1;
    }
    *touched += deleted / SLICES_PER_TOUCH;
    return UT_OK;
}

// *left: true when no block of the range of a run is there any more.
static ut_err has_left(const ut_merge_job *job, const ut_run *run, bool *left)
{
    const ut_key from = ut_key_summary(job->org, run->first_seq);
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    uint32_t org;
    uint64_t seq;
    ut_err err = ut_txn_cursor(job->txn, &cursor);
    if (err != UT_OK)
        return err;
    err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
    *left = err == UT_ENOTFOUND || (err == UT_OK && (!ut_key_read_summary(key, &org, &seq) ||
                                                     org != job->org || seq > run->last_seq));
    ut_cursor_close(cursor);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// Drops the runs whose blocks have all left: those before the oldest block at once, and of the
// others, which a block with a longer life stands before, the one whose turn it is to be looked at.
static ut_err drop_left(ut_trace_merger *merger, const ut_merge_job *job)
{
    const size_t count = ut_runs_count(&merger->runs);
    ut_err err = UT_OK;
    merger->turn += 1;
    for (size_t i = 0; i < count && err == UT_OK; i++) {
        ut_run *run = &ut_runs_of(&merger->runs)[i];
        bool left = run->last_seq < job->oldest_seq;
        if (!left && run->state == UT_RUN_READY && i == merger->turn % count)
            err = has_left(job, run, &left);
        if (err != UT_OK || !left || run->state == UT_RUN_DROPPED)
            continue;
        run->state = UT_RUN_DROPPED;
        err = ut_run_put(job->txn, job->org, run, &merger->value);
    }
    return err;
}

// Goes on with merges until as many postings were read as a step may. *more: there is work left.
static ut_err merge_some(ut_trace_merger *merger, const ut_merge_job *job, uint32_t *touched,
                         bool *more)
{
    uint32_t left = job->postings_max;
    *more = true;
    for (unsigned merges = 0; merges < UT_MERGES_IN_STEP && left > 0; merges++) {
        ut_err err = begin_merges(merger, job);
        ut_run *building = err == UT_OK ? find_building(&merger->runs) : NULL;
        *more = building != NULL;
        if (building == NULL)
            return err;
        err = merge_on(merger, job, building, &left, touched);
        if (err != UT_OK)
            return err;
    }
    return UT_OK;
}

ut_err ut_trace_merge_step(ut_trace_merger *merger, const ut_merge_job *job, uint32_t *touched,
                           bool *more)
{
    bool merges_left = false;
    bool dropped_left = false;
    ut_buf *runs = &merger->runs;
    *more = false;
    ut_err err = ut_runs_read(job->txn, job->org, runs, NULL);
    if (err == UT_OK)
        err = find_next_number(job, &merger->next_run);
    if (err == UT_OK && runs->len > 0)
        qsort(ut_runs_of(runs), ut_runs_count(runs), sizeof(ut_run), compare_runs);
    if (err == UT_OK)
        err = drop_left(merger, job);
    if (err == UT_OK)
        err = delete_dropped(merger, job, touched, &dropped_left);
    if (err == UT_OK)
        err = merge_some(merger, job, touched, &merges_left);
    *more = merges_left || dropped_left;
    return err;
}
