// The last line of the log: what became of spans since the start, per destination.
#include "agent/daemon/stop_report.h"

#include "tests/support/engine_memory.h"
#include "tests/support/filled_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

typedef struct {
    ut_filled_store *filled;
    ut_config_destinations destinations;
    ut_stop_report report;
    char line_z[UT_LOG_LINE_MAX + 1];
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->filled = ut_filled_store_open(ut_engine_memory_open(64 * 1024 * 1024));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_filled_store_close(f->filled);
    free(f);
    return 0;
}

static void add_destination(fixture *f, const char *name_z)
{
    ut_destination_config *destination = &f->destinations.items[f->destinations.count++];
    destination->name_z = name_z;
    destination->dest = ut_filled_store_destination(f->filled, name_z);
}

static void mark(fixture *f, uint32_t dest, uint64_t seq, ut_delivery_state reached, uint32_t spans)
{
    const ut_delivery delivery = {
        .org = UT_FILLED_ORG,
        .dest = dest,
        .seq = seq,
        .state = reached,
        .attempts = 1,
        .updated_ns = 1,
        .spans = spans,
        .spans_dead = reached == UT_DELIVERY_DEAD ? spans : 0,
    };
    ut_filled_store_mark(f->filled, &delivery);
}

static void keep_line(void *context, ut_log_level level, const char *line, size_t len)
{
    fixture *f = context;
    assert_int_equal(level, UT_LOG_INFO);
    assert_int_equal(f->line_z[0], '\0'); // one line, and no more
    assert_true(len < sizeof(f->line_z));
    memcpy(f->line_z, line, len);
    f->line_z[len] = 0;
}

static const char *report_of(fixture *f)
{
    const ut_log log = {.level = UT_LOG_INFO, .write = keep_line, .context = f};
    f->line_z[0] = '\0';
    ut_stop_report_write(&f->report, ut_filled_store_store(f->filled), &f->destinations, NULL,
                         &log);
    return f->line_z;
}

static void begin(fixture *f)
{
    ut_stop_report_begin(&f->report, ut_filled_store_store(f->filled), &f->destinations);
}

// Pending spans are all there are; the other figures count from the start on.
static void it_counts_from_the_start_on(void **state)
{
    fixture *f = *state;
    add_destination(f, "one");
    add_destination(f, "two");
    const uint32_t one = f->destinations.items[0].dest;
    const uint32_t two = f->destinations.items[1].dest;
    const uint64_t early = ut_filled_store_append(f->filled, 100, 0);
    const uint64_t waiting = ut_filled_store_append(f->filled, 10, 0);
    mark(f, one, early, UT_DELIVERY_DELIVERED, 100);
    mark(f, two, early, UT_DELIVERY_DEAD, 100);
    begin(f);
    assert_string_equal(report_of(f), "agent: stopped: accepted=0 duplicates=0 rejected=0 refused=0"
                                      "; one: delivered=0 pending=10 dead=0 expired=0 evicted=0"
                                      "; two: delivered=0 pending=10 dead=0 expired=0 evicted=0");

    const uint64_t late = ut_filled_store_append(f->filled, 7, 0);
    mark(f, one, waiting, UT_DELIVERY_DELIVERED, 10);
    mark(f, two, late, UT_DELIVERY_DEAD, 7);
    assert_string_equal(report_of(f), "agent: stopped: accepted=0 duplicates=0 rejected=0 refused=0"
                                      "; one: delivered=10 pending=7 dead=0 expired=0 evicted=0"
                                      "; two: delivered=0 pending=10 dead=7 expired=0 evicted=0");
}

static void destinations_that_are_not_configured_are_left_out(void **state)
{
    fixture *f = *state;
    (void)ut_filled_store_destination(f->filled, "gone");
    add_destination(f, "here");
    (void)ut_filled_store_append(f->filled, 3, 0);
    begin(f);
    assert_string_equal(report_of(f), "agent: stopped: accepted=0 duplicates=0 rejected=0 refused=0"
                                      "; here: delivered=0 pending=3 dead=0 expired=0 evicted=0");
}

static void more_destinations_than_a_line_holds_are_cut(void **state)
{
    fixture *f = *state;
    static char names_z[UT_CONFIG_DESTINATIONS_MAX][UT_STORE_NAME_MAX + 1];
    for (size_t i = 0; i < UT_CONFIG_DESTINATIONS_MAX; i++) {
        (void)snprintf(names_z[i], sizeof(names_z[i]), "%02zu-a-name-of-some-length", i);
        add_destination(f, names_z[i]);
    }
    begin(f);
    const char *line_z = report_of(f);
    assert_non_null(strstr(line_z, "; 00-a-name-of-some-length: delivered=0 "));
    assert_null(strstr(line_z, "; 63-a-name-of-some-length"));
    assert_true(strlen(line_z) <= UT_LOG_LINE_MAX);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(it_counts_from_the_start_on),
        CLAIM(destinations_that_are_not_configured_are_left_out),
        CLAIM(more_destinations_than_a_line_holds_are_cut),
    };
    return cmocka_run_group_tests_name("stop_report", tests, NULL, NULL);
}
