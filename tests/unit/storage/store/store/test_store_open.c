// Tests of storage/store/store_open: what a restart keeps, and which stores are refused.
#include "tests/unit/storage/store/store/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

static void counters_and_numbers_survive_a_restart(void **state)
{
    ut_rig *f = *state;
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "central", &dest), UT_OK);
    ut_realistic_batch(5, 600, now_ns, &f->batch);
    (void)ut_rig_commit_batch(f->store, &f->batch);
    (void)ut_rig_commit_batch(f->store, &f->batch);
    ut_store_counts before = ut_rig_counts_of(f->store);
    uint64_t seq = ut_store_last_seq(f->store);
    ut_engine *copy = ut_engine_memory_clone(f->memory);
    ut_store *again = ut_rig_open_with(copy, 0);
    ut_store_counts after = ut_rig_counts_of(again);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(ut_store_last_seq(again), seq);
    ut_store_destination rows[2];
    assert_int_equal(ut_store_get_destinations(again, rows, 2), 1);
    assert_string_equal(rows[0].name_z, "central");
    assert_int_equal(rows[0].counts.accepted, 600);
    assert_false(rows[0].active); // nobody has asked for it since
    ut_test_span span = {.trace = 1, .span = 1};
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_test_batch(&f->batch, &span, 1);
    (void)ut_rig_commit_batch(again, &f->batch);
    assert_int_equal(ut_store_last_seq(again), seq + 1);
    (void)ut_store_check(copy);
    ut_store_close(again);
}

static void put_record(ut_engine *engine, ut_key key, ut_bytes value)
{
    ut_txn *txn;
    assert_int_equal(ut_engine_begin(engine, true, &txn), UT_OK);
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), value), UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
}

static ut_err try_open(ut_engine *engine, ut_fault *fault)
{
    ut_store_config config = {.bytes_max = UT_RIG_BUDGET};
    ut_store *store = NULL;
    *fault = (ut_fault){0};
    ut_err err = ut_store_open(engine, &config, &store, fault);
    if (err == UT_OK)
        ut_store_close(store);
    return err;
}

static void a_newer_format_is_refused(void **state)
{
    ut_rig *f = *state;
    ut_engine *copy = ut_engine_memory_clone(f->memory);
    static const uint8_t newer[] = {0x92, 0x09, 0xc0}; // [9, nil]
    put_record(copy, ut_key_meta("version"), (ut_bytes){newer, sizeof newer});
    ut_engine *untouched = ut_engine_memory_clone(copy);
    ut_fault fault;
    assert_int_equal(try_open(copy, &fault), UT_EVERSION);
    assert_non_null(strstr(fault.text_z, "version 9"));
    assert_non_null(strstr(fault.text_z, "up to 3"));
    assert_int_equal(try_open(untouched, &fault), UT_EVERSION);
}

static void a_store_without_a_version_is_not_begun_anew(void **state)
{
    (void)state;
    ut_engine *engine = ut_engine_memory_open(UT_RIG_BUDGET);
    ut_fault fault;
    put_record(engine, ut_key_piece(1, 1, 0), UT_BYTES_LIT("x"));
    assert_int_equal(try_open(engine, &fault), UT_ECORRUPT);
    assert_true(strlen(fault.text_z) > 20);
}

static void damaged_counters_are_a_fault(void **state)
{
    ut_rig *f = *state;
    ut_fault fault;
    ut_engine *copy = ut_engine_memory_clone(f->memory);
    put_record(copy, ut_key_meta("state"), UT_BYTES_LIT("\x93\x01"));
    assert_int_equal(try_open(copy, &fault), UT_ECORRUPT);
    copy = ut_engine_memory_clone(f->memory);
    put_record(copy, ut_key_meta("version"), UT_BYTES_LIT("\xa1z"));
    assert_int_equal(try_open(copy, &fault), UT_ECORRUPT);
    copy = ut_engine_memory_clone(f->memory);
    put_record(copy, ut_key_destination(1, 1), UT_BYTES_LIT("\x91\xa0"));
    assert_int_equal(try_open(copy, &fault), UT_ECORRUPT);
}

static void a_reader_of_an_empty_directory_sees_an_empty_store(void **state)
{
    ut_rig *f = *state;
    // A store.mdb that was made by a process killed before its first transaction.
    ut_temp_dir_make(f->dir_z);
    ut_engine_config config = {.dir_z = f->dir_z, .bytes_max = UT_RIG_BUDGET};
    ut_engine *engine;
    ut_fault fault;
    assert_int_equal(ut_engine_lmdb_open(&config, &engine, &fault), UT_OK);
    ut_engine_close(engine);
    config.read_only = true;
    assert_int_equal(ut_engine_lmdb_open(&config, &engine, &fault), UT_OK);
    ut_store *reader = ut_rig_open_with(engine, 0);
    assert_int_equal(ut_store_last_seq(reader), 0);
    assert_int_equal(ut_rig_list(engine).rows, 0);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
    ut_test_span span = {.trace = 1, .span = 1};
    ut_test_batch(&f->batch, &span, 1);
    assert_int_equal(ut_store_commit(reader, now_ns, &append, 1, NULL, 0), UT_EPERM);
    ut_store_close(reader);
}

static void opening_survives_every_failing_call(void **state)
{
    ut_rig *f = *state;
    ut_realistic_batch(5, 50, now_ns, &f->batch);
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "central", &dest), UT_OK);
    (void)ut_rig_commit_batch(f->store, &f->batch);
    for (unsigned fresh = 0; fresh < 2; fresh++) {
        ut_err err = UT_EIO;
        for (uint64_t n = 1; err != UT_OK; n++) {
            assert_true(n < 1000);
            ut_faults faults = {.fail_at = n, .err = UT_EIO};
            ut_engine *inner = fresh == 1 ? ut_engine_memory_open(UT_RIG_BUDGET)
                                          : ut_engine_memory_clone(f->memory);
            ut_fault fault;
            err = try_open(ut_engine_faulty_wrap(inner, &faults), &fault);
            assert_true(err == UT_OK || (err == UT_EIO && fault.text_z[0] != '\0'));
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counters_and_numbers_survive_a_restart),
        TEST(a_newer_format_is_refused),
        TEST(a_store_without_a_version_is_not_begun_anew),
        TEST(damaged_counters_are_a_fault),
        TEST(a_reader_of_an_empty_directory_sees_an_empty_store),
        TEST(opening_survives_every_failing_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
