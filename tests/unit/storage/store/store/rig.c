// The store of the tests of this folder; see rig.h.
#include "tests/unit/storage/store/store/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

ut_store *ut_rig_open_with(ut_engine *engine, uint64_t ttl_ms)
{
    ut_store_config config = {.bytes_max = UT_RIG_BUDGET, .ttl_ms = ttl_ms};
    ut_store *store = NULL;
    ut_fault fault = {0};
    if (ut_store_open(engine, &config, &store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    return store;
}

int ut_rig_set_up(void **state)
{
    ut_rig *f = calloc(1, sizeof *f);
    f->memory = ut_engine_memory_open(UT_RIG_BUDGET);
    f->store = ut_rig_open_with(ut_engine_faulty_wrap(f->memory, &f->faults), 0);
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

ut_store_append ut_rig_commit_batch(ut_store *store, const ut_batch *batch)
{
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = batch};
    assert_int_equal(ut_store_commit(store, now_ns, &append, 1, NULL, 0), UT_OK);
    return append;
}

ut_store_append ut_rig_commit_spans(ut_rig *f, const ut_test_span *spans, size_t count)
{
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_test_batch(&f->batch, spans, count);
    return ut_rig_commit_batch(f->store, &f->batch);
}

ut_store_counts ut_rig_counts_of(const ut_store *store)
{
    ut_store_counts counts;
    ut_store_get_counts(store, &counts);
    return counts;
}

static ut_err list_row(void *context, const ut_trace_row *row)
{
    ut_rig_listing *l = context;
    l->rows += 1;
    l->last = *row;
    assert_true(row->name.len < sizeof l->name_z);
    memcpy(l->name_z, row->name.data, row->name.len);
    l->name_z[row->name.len] = '\0';
    return UT_OK;
}

ut_rig_listing ut_rig_list(ut_engine *engine)
{
    ut_rig_listing l = {0};
    ut_store_view *view;
    assert_int_equal(ut_store_view_open(engine, &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    assert_int_equal(ut_query_traces(view, UT_ORG_DEFAULT, 100, list_row, &l), UT_OK);
    ut_store_view_close(view);
    return l;
}
