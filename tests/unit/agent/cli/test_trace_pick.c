// Ids of traces as people have them at hand.
#include "agent/cli/trace_pick.h"
#include "tests/support/engine_memory.h"
#include "tests/support/store_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BUDGET = 64 * 1024 * 1024 };

static const uint8_t long_id[UT_TRACE_ID_LEN] = {0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6,
                                                 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36};
static const uint8_t short_id[UT_TRACE_ID_LEN] = {[9] = 0x3a, 0xc3, 0x5c, 0x9f, 0x64, 0x13, 0xad};

static ut_store *make_store(ut_engine *engine)
{
    const ut_test_span spans[2] = {{.trace = 1, .span = 1}, {.trace = 2, .span = 1}};
    const ut_store_config config = {.bytes_max = BUDGET};
    ut_fault fault = {UT_OK, ""};
    ut_store *store = NULL;
    ut_batch batch;
    ut_batch_init(&batch, BUDGET);
    ut_test_batch(&batch, spans, 2);
    ut_batch_span *index = (ut_batch_span *)(void *)batch.span_index.data;
    memcpy(index[0].trace_id, long_id, UT_TRACE_ID_LEN);
    memcpy(index[1].trace_id, short_id, UT_TRACE_ID_LEN);
    assert_int_equal(ut_store_open(engine, &config, &store, &fault), UT_OK);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
    assert_int_equal(ut_store_commit(store, 1, &append, 1, NULL, 0), UT_OK);
    ut_batch_free(&batch);
    return store;
}

static void an_id_is_taken_as_it_was_pasted(void **state)
{
    (void)state;
    static const struct {
        const char *text_z;
        ut_err err;
        const uint8_t *id;
    } cases[] = {
        {"4bf92f3577b34da6a3ce929d0e0e4736", UT_OK, long_id},
        {"4bf92", UT_OK, long_id},
        {"  4BF92F3577B34DA6A3CE929D0E0E4736\n", UT_OK, long_id},
        {"0x4bf92f3577b34da6a3ce929d0e0e4736", UT_OK, long_id},
        {"4bf92f35-77b3-4da6-a3ce-929d0e0e4736", UT_OK, long_id},
        {"4bf92f35-77b3", UT_OK, long_id},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", UT_OK, long_id},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", UT_OK, long_id},
        {" 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", UT_OK, long_id},
        // 64 bits, with and without the zeros in front
        {"0000000000000000003ac35c9f6413ad", UT_OK, short_id},
        {"003ac35c9f6413ad", UT_OK, short_id},
        {"3ac35c9f6413ad", UT_OK, short_id},
        {"0x3ac35c9f6413ad", UT_OK, short_id},
        {"3ac35c9f6413a", UT_ENOTFOUND, NULL},
        {"4bf93", UT_ENOTFOUND, NULL},
        {"", UT_EFORMAT, NULL},
        {" ", UT_EFORMAT, NULL},
        {"0x", UT_EFORMAT, NULL},
        {"4bf9 2f35", UT_EFORMAT, NULL},
        {"4bf9-2f35", UT_EFORMAT, NULL},
        {"4bf92g", UT_EFORMAT, NULL},
        {"4bf92f3577b34da6a3ce929d0e0e47361", UT_EFORMAT, NULL},
        {"00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", UT_EFORMAT, NULL},
    };
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    ut_store *store = make_store(engine);
    ut_store_view *view;
    assert_int_equal(ut_store_view_open(engine, &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t id[UT_TRACE_ID_LEN];
        if (ut_trace_pick(view, UT_ORG_DEFAULT, cases[i].text_z, id) != cases[i].err)
            fail_msg("\"%s\"", cases[i].text_z);
        if (cases[i].id != NULL)
            assert_memory_equal(id, cases[i].id, UT_TRACE_ID_LEN);
    }
    ut_store_view_end(view);
    ut_store_view_close(view);
    ut_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_taken_as_it_was_pasted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
