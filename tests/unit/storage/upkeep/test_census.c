// Tests of storage/upkeep/census: it must count what is there, in one go and in steps.
#include "storage/upkeep/census.h"
#include "tests/support/engine_memory.h"
#include "tests/support/store_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

enum { BUDGET = 16 * 1024 * 1024 };

static const uint64_t now_ns = UINT64_C(1700000000000000000);

static ut_engine *filled(void)
{
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    const ut_store_config config = {.bytes_max = BUDGET, .ttl_ms = 3600000};
    ut_store *store;
    ut_fault fault;
    uint32_t dest;
    ut_batch batch;
    ut_batch_init(&batch, BUDGET);
    assert_int_equal(ut_store_open(engine, &config, &store, &fault), UT_OK);
    assert_int_equal(ut_store_add_destination(store, 1, "a", &dest), UT_OK);
    for (uint32_t i = 0; i < 5; i++) {
        const ut_test_span spans[2] = {{.trace = i, .span = 1}, {.trace = 9, .span = i + 1}};
        ut_batch_reset(&batch, SIZE_MAX);
        ut_test_batch(&batch, spans, 2);
        ut_store_append append = {.org = 1 + i / 3, .batch = &batch};
        assert_int_equal(ut_store_commit(store, now_ns + i, &append, 1, NULL, 0), UT_OK);
    }
    ut_engine *copy = ut_engine_memory_clone(engine); // the store closes its own
    ut_store_close(store);
    ut_batch_free(&batch);
    return copy;
}

// Counts all, so many keys a step, each step in a view of its own.
static ut_census *count(ut_engine *engine, uint32_t keys_max)
{
    ut_census *census = calloc(1, sizeof *census);
    ut_store_view *view;
    bool more = true;
    assert_non_null(census);
    assert_int_equal(ut_store_view_open(engine, &view), UT_OK);
    while (more) {
        assert_int_equal(ut_store_view_begin(view), UT_OK);
        assert_int_equal(ut_census_step(view, census, keys_max, &more), UT_OK);
        ut_store_view_end(view);
    }
    ut_store_view_close(view);
    return census;
}

static void records_and_organisations_are_counted(void **state)
{
    (void)state;
    ut_engine *engine = filled();
    ut_census *census = count(engine, UINT32_MAX);
    assert_int_equal(census->kinds['Z' - 'A'].keys, 5);
    assert_int_equal(census->kinds['Z' - 'A'].key_bytes, 5 * 13);
    assert_int_equal(census->kinds['B' - 'A'].keys,
                     2 * 5);                            // a block, and the entries of its traces
    assert_int_equal(census->kinds['D' - 'A'].keys, 3); // the destination is of the first one
    assert_int_equal(census->kinds['M' - 'A'].keys, 3);
    assert_int_equal(census->other.keys, 0);
    assert_int_equal(census->org_count, 2);
    assert_false(census->orgs_cut);
    for (uint32_t i = 0; i < 2; i++) {
        const ut_census_org *org = &census->orgs[i];
        const uint32_t blocks = org->org == 1 ? 3 : 2;
        assert_int_equal(org->blocks, blocks);
        assert_int_equal(org->spans, 2 * blocks);
        assert_int_equal(org->traces, blocks + 1);
        assert_true(org->sealed_bytes > 0 && org->payload_bytes > 0);
        assert_int_equal(org->oldest_received_ns, now_ns + (org->org == 1 ? 0 : 3));
        assert_int_equal(org->newest_received_ns, now_ns + (org->org == 1 ? 2 : 4));
    }
    free(census);
    ut_engine_close(engine);
}

static void steps_count_each_record_once(void **state)
{
    (void)state;
    ut_engine *engine = filled();
    ut_census *whole = count(engine, UINT32_MAX);
    for (uint32_t keys_max = 1; keys_max < 8; keys_max++) {
        ut_census *census = count(engine, keys_max);
        assert_memory_equal(census, whole, sizeof *census);
        free(census);
    }
    free(whole);
    ut_engine_close(engine);
}

static void what_is_not_known_is_counted_as_other(void **state)
{
    (void)state;
    ut_engine *engine = filled();
    ut_txn *txn;
    assert_int_equal(ut_engine_begin(engine, true, &txn), UT_OK);
    assert_int_equal(ut_txn_put(txn, UT_BYTES_LIT("~strange"), UT_BYTES_LIT("value")), UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    ut_census *census = count(engine, 3);
    assert_int_equal(census->other.keys, 1);
    assert_int_equal(census->other.key_bytes, 8);
    assert_int_equal(census->other.value_bytes, 5);
    free(census);
    ut_engine_close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_and_organisations_are_counted),
        cmocka_unit_test(steps_count_each_record_once),
        cmocka_unit_test(what_is_not_known_is_counted_as_other),
    };
    return cmocka_run_group_tests_name("census", tests, NULL, NULL);
}
