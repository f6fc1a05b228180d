// Traces come to rest once, in the order of their first spans, in bounded memory.
#include "agent/query/quiet_traces.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

static void add(ut_quiet_traces *traces, uint32_t number, uint64_t now_ms)
{
    uint8_t id[UT_TRACE_ID_LEN] = {1};
    ut_put_be32(id + 4, number);
    ut_quiet_traces_add(traces, ut_bytes_of(id, sizeof(id)), now_ms);
}

enum { NOTHING = UINT32_MAX };

// The number of the trace that is taken out, or NOTHING.
static uint32_t take(ut_quiet_traces *traces, uint64_t now_ms, uint64_t *wait_ms)
{
    uint8_t id[UT_TRACE_ID_LEN];
    return ut_quiet_traces_take(traces, now_ms, id, wait_ms) ? ut_get_be32(id + 4) : NOTHING;
}

static void a_trace_rests_when_its_last_span_was_long_ago(void **state)
{
    (void)state;
    ut_quiet_traces *traces;
    uint64_t wait_ms = 0;
    assert_int_equal(ut_quiet_traces_new(&traces), UT_OK);
    assert_int_equal(take(traces, 5, &wait_ms), NOTHING);
    assert_true(wait_ms == UINT64_MAX);
    add(traces, 1, 1000);
    add(traces, 2, 1500);
    add(traces, 1, 2000); // goes on
    assert_int_equal(take(traces, 2000, &wait_ms), NOTHING);
    assert_int_equal(wait_ms, 1500);
    assert_int_equal(take(traces, 3500, &wait_ms), 2);
    assert_int_equal(take(traces, 3500, &wait_ms), NOTHING);
    assert_int_equal(wait_ms, 500);
    assert_int_equal(take(traces, 4000, &wait_ms), 1);
    add(traces, 1, 5000); // late: it has been shown
    assert_int_equal(take(traces, 60000, &wait_ms), NOTHING);
    assert_true(wait_ms == UINT64_MAX);
    ut_quiet_traces_free(traces);
}

static void a_trace_that_never_rests_is_taken_after_a_while(void **state)
{
    (void)state;
    ut_quiet_traces *traces;
    uint64_t wait_ms = 0;
    uint64_t now_ms = 0;
    assert_int_equal(ut_quiet_traces_new(&traces), UT_OK);
    for (; take(traces, now_ms, &wait_ms) == NOTHING; now_ms += UT_QUIET_MS / 2)
        add(traces, 7, now_ms);
    assert_int_equal(now_ms, UT_QUIET_LONGEST_MS);
    ut_quiet_traces_free(traces);
}

static void traces_beyond_what_is_remembered_lose_none_that_waits(void **state)
{
    (void)state;
    enum { TRACES = 5 * UT_QUIET_TRACES_MAX };
    ut_quiet_traces *traces;
    uint64_t wait_ms = 0;
    uint32_t next = 0;
    assert_int_equal(ut_quiet_traces_new(&traces), UT_OK);
    for (uint32_t number = 0; number < TRACES; number++) {
        add(traces, number, 1000);
        if (!ut_quiet_traces_are_full(traces))
            continue;
        assert_int_equal(take(traces, 1000, &wait_ms), next++);
        assert_int_equal(take(traces, 1000, &wait_ms), NOTHING);
    }
    assert_int_equal(next, TRACES - UT_QUIET_TRACES_MAX + 1);
    // Those remembered are known by their ids, whatever collided with what.
    for (uint32_t number = TRACES - UT_QUIET_TRACES_MAX; number < TRACES; number++)
        add(traces, number, 2000);
    assert_int_equal(take(traces, 3000, &wait_ms), NOTHING);
    while (next < TRACES)
        assert_int_equal(take(traces, 4000, &wait_ms), next++);
    assert_int_equal(take(traces, 4000, &wait_ms), NOTHING);
    ut_quiet_traces_free(traces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trace_rests_when_its_last_span_was_long_ago),
        cmocka_unit_test(a_trace_that_never_rests_is_taken_after_a_while),
        cmocka_unit_test(traces_beyond_what_is_remembered_lose_none_that_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
