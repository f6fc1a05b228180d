// Tests of storage/store/retention with a clock that jumps: spans leave by the time that the
// machine ran.
#include "tests/unit/storage/store/retention/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static const uint64_t day_ns = UINT64_C(86400000000000);
static const uint64_t s_ns = UINT64_C(1000000000);

// A machine whose wall clock is off by what a test says, with a store that has one destination.
typedef struct {
    ut_rig *rig;
    uint64_t run_ns; // that the machine ran since the test began
    uint64_t off_ns; // that the wall clock is ahead; wraps
    uint64_t up_ns;  // since this start of the machine
    uint64_t boot;
    ut_rig_log_lines told;
    ut_log log;
} machine;

static uint64_t wall(const machine *m)
{
    return now_ns + m->run_ns + m->off_ns;
}

static void look(machine *m)
{
    ut_store_look_at_clock(m->rig->store, wall(m), m->up_ns / 1000000, m->boot);
}

static void run(machine *m, uint64_t ns)
{
    m->run_ns += ns;
    m->up_ns += ns;
    look(m);
}

static void set_clock(machine *m, int64_t days)
{
    m->off_ns = (uint64_t)days * day_ns;
    look(m);
}

// What a kill leaves is opened again. boot: the machine was started again, too.
static void restart(machine *m, bool boot)
{
    ut_engine *copy = ut_engine_memory_clone(m->rig->engine);
    ut_store_close(m->rig->store);
    m->rig->engine = copy;
    m->rig->store = ut_rig_open_store(copy, UT_RIG_BUDGET, &m->log);
    if (boot) {
        m->boot += 1;
        m->up_ns = 20 * s_ns;
        m->run_ns += m->up_ns;
    }
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(m->rig->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    look(m);
}

static void begin(machine *m, ut_rig *rig, int64_t days)
{
    *m = (machine){.rig = rig, .boot = 1, .up_ns = 60 * s_ns};
    m->log = (ut_log){.level = UT_LOG_DEBUG, .write = ut_rig_take_line, .context = &m->told};
    m->off_ns = (uint64_t)days * day_ns;
    rig->ttl_ms = 2 * 3600000;
    restart(m, false);
}

static void commit(machine *m, uint32_t trace)
{
    ut_test_span spans[10];
    for (uint32_t i = 0; i < 10; i++)
        spans[i] = (ut_test_span){.trace = trace, .span = i + 1, .start_ns = wall(m)};
    assert_int_equal(ut_rig_commit_at(m->rig, wall(m), spans, 10), UT_OK);
}

static uint64_t expired(machine *m)
{
    ut_rig_sweep_all(m->rig, wall(m));
    (void)ut_store_check(m->rig->engine);
    return ut_rig_counts_of(m->rig).spans_expired;
}

static void assert_told(const machine *m, const char *text_z)
{
    if (strstr(m->told.last_z, text_z) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text_z, m->told.last_z);
}

static void no_jump_makes_spans_leave_before_their_time(void **state)
{
    static const int64_t days[] = {400, -400, 3, -3, 3000, 0};
    machine m;
    begin(&m, *state, 0);
    commit(&m, 1);
    for (unsigned i = 0; i < 60; i++) {
        set_clock(&m, days[i % 6]);
        commit(&m, 2 + i); // commits remove what is due, too
        assert_int_equal(expired(&m), 0);
        run(&m, 2 * s_ns);
    }
    ut_store_destination row;
    assert_int_equal(ut_store_get_destinations(m.rig->store, &row, 1), 1);
    assert_int_equal(row.counts.accepted, 610);
    assert_int_equal(row.counts.expired, 0);
    // ... nor later than it, within the hour in which all leave together.
    run(&m, 3 * hour_ns + 60 * s_ns);
    assert_int_equal(expired(&m), 610);
}

static void a_jump_is_told_and_not_each_of_many(void **state)
{
    machine m;
    begin(&m, *state, 0);
    set_clock(&m, 400);
    assert_int_equal(m.told.lines, 1);
    assert_told(&m, "the clock went forward by 400d");
    for (unsigned i = 0; i < 50; i++) {
        set_clock(&m, i % 2 == 0 ? 0 : 400);
        run(&m, s_ns);
    }
    assert_int_equal(m.told.lines, 1);
    run(&m, 60 * s_ns);
    set_clock(&m, 0);
    assert_int_equal(m.told.lines, 2);
    assert_told(&m, "the clock was set back by");
}

// It begins at the date that the program was built, or two years ahead for some seconds.
static void a_clock_without_a_battery_loses_nothing(void **state)
{
    static const int64_t at_start[] = {-700, 700};
    ut_rig *f = *state;
    for (unsigned i = 0; i < 2; i++) {
        machine m;
        begin(&m, f, at_start[i]);
        commit(&m, 100 * i + 1);
        const uint64_t before = expired(&m);
        run(&m, 2 * s_ns);
        set_clock(&m, 0); // the network tells the time
        commit(&m, 100 * i + 2);
        for (unsigned k = 0; k < 3; k++) {
            // The machine starts again, and its clock is wrong again.
            m.off_ns = (uint64_t)at_start[i] * day_ns;
            restart(&m, true);
            commit(&m, 100 * i + 10 + k);
            assert_int_equal(expired(&m), before);
            run(&m, 5 * s_ns);
            set_clock(&m, 0);
            assert_int_equal(expired(&m), before);
        }
        run(&m, 3 * hour_ns + 60 * s_ns);
        assert_int_equal(expired(&m), before + 50);
        assert_int_equal(ut_rig_count_records(m.rig->engine), 0);
    }
}

static void an_agent_that_was_away_finds_old_spans_due(void **state)
{
    machine m;
    begin(&m, *state, 0);
    commit(&m, 1);
    m.run_ns += 4 * hour_ns; // the machine ran meanwhile
    m.up_ns += 4 * hour_ns;
    restart(&m, false);
    assert_int_equal(expired(&m), 10);
}

// Else a machine that rests for weeks, and is then started again, would have lived for no time.
static void a_store_at_rest_remembers_the_time(void **state)
{
    machine m;
    begin(&m, *state, 0);
    m.rig->ttl_ms = 48 * 3600000;
    commit(&m, 1);
    for (unsigned hours = 0; hours < 47; hours++) {
        run(&m, hour_ns);
        assert_int_equal(expired(&m), 0);
    }
    m.off_ns = (uint64_t)-700 * day_ns;
    restart(&m, true);
    assert_int_equal(expired(&m), 0);
    run(&m, 2 * hour_ns);
    assert_int_equal(expired(&m), 10);
}

static void spans_that_expire_undelivered_are_told(void **state)
{
    machine m;
    begin(&m, *state, 0);
    for (uint32_t trace = 1; trace <= 5; trace++) {
        m.rig->ttl_ms = trace * 3600000;
        commit(&m, trace);
    }
    run(&m, 2 * hour_ns);
    assert_int_equal(expired(&m), 10);
    assert_told(&m, "10 spans were removed before they were delivered: their time to live");
    const unsigned lines = m.told.lines;
    m.off_ns += 30 * s_ns; // too little for a jump, and for another line
    run(&m, hour_ns - 3590 * s_ns);
    (void)expired(&m);
    assert_int_equal(m.told.lines, lines);
    run(&m, 4 * hour_ns);
    assert_int_equal(expired(&m), 50);
    assert_true(m.told.lines > lines);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_jump_makes_spans_leave_before_their_time),
        TEST(a_jump_is_told_and_not_each_of_many),
        TEST(a_clock_without_a_battery_loses_nothing),
        TEST(an_agent_that_was_away_finds_old_spans_due),
        TEST(a_store_at_rest_remembers_the_time),
        TEST(spans_that_expire_undelivered_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
