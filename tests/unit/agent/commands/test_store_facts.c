// What is read of a store for `untrace store info`: it is what was put in.
#include "agent/commands/store_facts.h"
#include "tests/support/filled_store.h"
#include "tests/support/temp_dir.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static ut_filled_store *make_store(const char *dir_z)
{
    ut_engine *engine = NULL;
    ut_fault fault = {UT_OK, ""};
    const ut_engine_config config = {.dir_z = dir_z, .bytes_max = 64 * 1024 * 1024};
    if (ut_engine_lmdb_open(&config, &engine, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    return ut_filled_store_open(engine);
}

static void the_facts_are_those_of_what_was_stored(void **state)
{
    (void)state;
    char dir_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    ut_filled_store *filled = make_store(dir_z);
    const uint32_t dest = ut_filled_store_destination(filled, "central");
    (void)ut_filled_store_append(filled, 20, 0);
    (void)ut_filled_store_append(filled, 30, 0);
    assert_int_equal(ut_filled_store_counts(filled, dest).accepted, 50);
    ut_filled_store_close(filled);

    ut_store_facts *facts = NULL;
    ut_fault fault = {UT_OK, ""};
    if (ut_store_facts_read(dir_z, NULL, &facts, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_string_equal(facts->dir_z, dir_z);
    assert_int_equal(facts->agent_pid, 0);
    assert_int_equal(facts->data_keys, 0);
    assert_int_equal(facts->room.bytes_max, 64 * 1024 * 1024);
    assert_int_equal(facts->counts.spans_stored, 50);
    assert_int_equal(facts->destination_count, 1);
    assert_string_equal(facts->destinations[0].name_z, "central");
    assert_int_equal(facts->census.org_count, 1);
    assert_int_equal(facts->census.kinds[UT_KEY_SUMMARY - 'A'].keys, 2);
    assert_int_equal(facts->all.spans, 50);
    assert_int_equal(facts->all.blocks, 2);
    assert_true(facts->all.oldest_received_ns <= facts->all.newest_received_ns);
    ut_store_facts_free(facts);
    ut_temp_dir_remove(dir_z);
}

static void a_directory_without_a_store_is_told(void **state)
{
    (void)state;
    char dir_z[UT_TEMP_PATH_MAX];
    ut_store_facts *facts = NULL;
    ut_fault fault = {UT_OK, ""};
    ut_temp_dir_make(dir_z);
    assert_int_equal(ut_store_facts_read(dir_z, NULL, &facts, &fault), UT_ENOTFOUND);
    assert_non_null(strstr(fault.text_z, dir_z));
    assert_null(facts);
    ut_temp_dir_remove(dir_z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_facts_are_those_of_what_was_stored),
        cmocka_unit_test(a_directory_without_a_store_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
