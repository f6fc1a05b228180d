// The store of the tests of this folder; see rig.h.
#include "tests/unit/storage/store/retention/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

ut_store *ut_rig_open_store(ut_engine *engine, uint64_t budget, const ut_log *log)
{
    ut_store_config config = {.bytes_max = budget, .log = log};
    ut_store *store = NULL;
    ut_fault fault = {0};
    if (ut_store_open(engine, &config, &store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    return store;
}

void ut_rig_open_memory(ut_rig *f, uint64_t budget)
{
    f->engine = ut_engine_memory_open(budget);
    f->store = ut_rig_open_store(ut_engine_faulty_wrap(f->engine, &f->faults), budget, NULL);
}

void ut_rig_open_lmdb(ut_rig *f, uint64_t budget)
{
    ut_engine_config config = {.dir_z = f->dir_z, .bytes_max = budget};
    ut_fault fault;
    if (ut_engine_lmdb_open(&config, &f->engine, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    f->store = ut_rig_open_store(f->engine, budget, NULL);
}

int ut_rig_set_up(void **state)
{
    ut_rig *f = calloc(1, sizeof *f);
    ut_rig_open_memory(f, UT_RIG_BUDGET);
    ut_batch_init(&f->batch, UT_RIG_BUDGET);
    *state = f;
    return 0;
}

int ut_rig_set_up_dir(void **state)
{
    ut_rig *f = calloc(1, sizeof *f);
    ut_temp_dir_make(f->dir_z);
    ut_batch_init(&f->batch, UT_RIG_BUDGET);
    *state = f;
    return 0;
}

int ut_rig_tear_down(void **state)
{
    ut_rig *f = *state;
    ut_store_close(f->store);
    ut_batch_free(&f->batch);
    if (f->dir_z[0] != '\0')
        ut_temp_dir_remove(f->dir_z);
    free(f);
    return 0;
}

ut_err ut_rig_commit_at(ut_rig *f, uint64_t at_ns, const ut_test_span *spans, size_t count)
{
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_test_batch(&f->batch, spans, count);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .ttl_ms = f->ttl_ms, .batch = &f->batch};
    return ut_store_commit(f->store, at_ns, &append, 1, NULL, 0);
}

void ut_rig_store_trace(ut_rig *f, uint32_t trace, uint32_t first, uint32_t count, uint32_t parent)
{
    ut_test_span spans[600];
    assert_true(count <= 600);
    for (uint32_t i = 0; i < count; i++)
        spans[i] = (ut_test_span){.trace = trace,
                                  .span = first + i,
                                  .parent = first + i == 1 ? 0 : parent,
                                  .start_ns = now_ns + first};
    assert_int_equal(ut_rig_commit_at(f, now_ns, spans, count), UT_OK);
}

void ut_rig_sweep_all(ut_rig *f, uint64_t at_ns)
{
    bool more = true;
    for (unsigned i = 0; more; i++) {
        assert_true(i < 10000);
        assert_int_equal(ut_store_sweep(f->store, at_ns, &more), UT_OK);
    }
}

ut_store_counts ut_rig_counts_of(const ut_rig *f)
{
    ut_store_counts counts;
    ut_store_get_counts(f->store, &counts);
    return counts;
}

unsigned ut_rig_count_records(ut_engine *engine)
{
    unsigned count = 0;
    ut_txn *txn;
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    assert_int_equal(ut_engine_begin(engine, false, &txn), UT_OK);
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    static const uint8_t first[1] = {0};
    for (ut_err err = ut_cursor_seek(cursor, (ut_bytes){first, 1}, &key, &value); err == UT_OK;
         err = ut_cursor_next(cursor, &key, &value))
        count += key.data[0] != UT_KEY_META && key.data[0] != UT_KEY_DESTINATION;
    ut_txn_abort(txn);
    return count;
}

bool ut_rig_has_block(ut_engine *engine, uint64_t seq)
{
    ut_store_view *view;
    ut_buf payload;
    ut_block block;
    ut_buf_init(&payload, UT_RIG_BUDGET);
    assert_int_equal(ut_store_view_open(engine, &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    ut_err err = ut_store_read_block(view, UT_ORG_DEFAULT, seq, &payload, &block);
    ut_store_view_close(view);
    ut_buf_free(&payload);
    return err == UT_OK;
}

void ut_rig_take_line(void *context, ut_log_level level, const char *line, size_t len)
{
    ut_rig_log_lines *lines = context;
    (void)level;
    lines->lines += 1;
    (void)snprintf(lines->last_z, sizeof lines->last_z, "%.*s", (int)len, line);
}

void ut_rig_open_limited(ut_rig *f, uint64_t budget, uint64_t spans_max, bool evict_oldest)
{
    ut_store_close(f->store);
    f->engine = ut_engine_memory_open(budget);
    const ut_store_config config = {
        .bytes_max = budget, .spans_max = spans_max, .evict_oldest = evict_oldest};
    ut_fault fault = {0};
    assert_int_equal(
        ut_store_open(ut_engine_faulty_wrap(f->engine, &f->faults), &config, &f->store, &fault),
        UT_OK);
}
