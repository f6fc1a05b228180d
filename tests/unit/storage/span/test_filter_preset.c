// Questions that are asked often, held against spans.
#include "storage/span/filter_preset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BYTES_MAX = 1 << 16 };

static const uint64_t hour_ns = UINT64_C(3600000000000);

typedef struct {
    const char *key_z; // of the span; NULL: none
    const char *value_z;
    const char *event_key_z; // of its second event; NULL: none
    const char *event_value_z;
    uint64_t start_ns;
    int32_t status;
} given;

static void put_map(ut_buf *out, const char *key_z, const char *value_z)
{
    ut_mp_put_map(out, key_z == NULL ? 0 : 1);
    if (key_z == NULL)
        return;
    ut_mp_put_str(out, ut_bytes_of_z(key_z));
    ut_mp_put_str(out, ut_bytes_of_z(value_z));
}

static bool matches(const ut_filter *filter, given of)
{
    static const uint8_t trace_id[UT_TRACE_ID_LEN] = {1};
    const ut_event event = {.time_ns = of.start_ns, .name = UT_BYTES_LIT("exception")};
    const ut_scope scope = {.attributes = UT_BYTES_LIT("\x80")};
    const ut_resource resource = {.attributes = UT_BYTES_LIT("\x80")};
    ut_buf attributes;
    ut_buf events;
    ut_fault fault;
    ut_buf_init(&attributes, BYTES_MAX);
    ut_buf_init(&events, BYTES_MAX);
    put_map(&attributes, of.key_z, of.value_z);
    ut_mp_put_array(&events, 2);
    for (int i = 0; i < 2; i++) {
        ut_event_write_head(&events, of.start_ns, &event);
        put_map(&events, i == 0 ? NULL : of.event_key_z, of.event_value_z);
        ut_event_write_tail(&events, &event);
    }
    const ut_span span = {.trace_id = {trace_id, sizeof(trace_id)},
                          .start_ns = of.start_ns,
                          .end_ns = of.start_ns,
                          .status_code = of.status,
                          .attributes = ut_buf_bytes(&attributes),
                          .events = ut_buf_bytes(&events)};
    assert_int_equal(ut_filter_check(filter, &fault), UT_OK);
    const bool met = ut_filter_match(filter, &span, &scope, &resource);
    ut_buf_free(&attributes);
    ut_buf_free(&events);
    return met;
}

static void recent_failures_are_errors_of_the_last_hours(void **state)
{
    (void)state;
    ut_filter filter = ut_filter_all();
    ut_filter_recent_failures(&filter, 100 * hour_ns, 3);
    assert_true(matches(&filter, (given){.start_ns = 98 * hour_ns, .status = UT_STATUS_ERROR}));
    assert_true(matches(&filter, (given){.start_ns = 97 * hour_ns, .status = UT_STATUS_ERROR}));
    assert_false(
        matches(&filter, (given){.start_ns = 97 * hour_ns - 1, .status = UT_STATUS_ERROR}));
    assert_false(matches(&filter, (given){.start_ns = 98 * hour_ns, .status = UT_STATUS_OK}));
    assert_false(matches(&filter, (given){.start_ns = 98 * hour_ns}));
    ut_filter_recent_failures(&filter, 100 * hour_ns, UINT64_MAX); // since ever
    assert_true(matches(&filter, (given){.start_ns = 0, .status = UT_STATUS_ERROR}));
}

static void a_type_of_error_stands_on_the_span_or_in_an_event(void **state)
{
    (void)state;
    ut_filter filter = ut_filter_all();
    assert_int_equal(ut_filter_by_error_type(&filter, UT_BYTES_LIT("Timeout")), UT_OK);
    assert_true(matches(&filter, (given){.key_z = "error.type", .value_z = "Timeout"}));
    assert_true(matches(&filter, (given){.event_key_z = "exception.type", //
                                         .event_value_z = "Timeout"}));
    assert_true(matches(&filter, (given){.key_z = "error.type",
                                         .value_z = "500",
                                         .event_key_z = "exception.type",
                                         .event_value_z = "Timeout"}));
    assert_false(matches(&filter, (given){.key_z = "error.type", .value_z = "TimeoutError"}));
    assert_false(matches(&filter, (given){.key_z = "error.message", .value_z = "Timeout"}));
    assert_false(matches(&filter, (given){0}));
    filter = ut_filter_all();
    assert_int_equal(ut_filter_by_error_type(&filter, UT_BYTES_LIT("*Timeout*")), UT_OK);
    assert_true(matches(&filter, (given){.event_key_z = "exception.type", //
                                         .event_value_z = "java.net.TimeoutException"}));
    assert_false(matches(&filter, (given){.key_z = "error.type", .value_z = "refused"}));
}

static void an_attribute_has_a_value_or_is_there(void **state)
{
    (void)state;
    ut_filter filter = ut_filter_all();
    assert_int_equal(ut_filter_by_attribute(&filter, UT_BYTES_LIT("user"), UT_BYTES_LIT("ann")),
                     UT_OK);
    assert_true(matches(&filter, (given){.key_z = "user", .value_z = "ann"}));
    assert_true(matches(&filter, (given){.event_key_z = "user", .event_value_z = "ann"}));
    assert_false(matches(&filter, (given){.key_z = "user", .value_z = "bob"}));
    filter = ut_filter_all();
    assert_int_equal(ut_filter_by_attribute(&filter, UT_BYTES_LIT("user"), UT_BYTES_NONE), UT_OK);
    assert_true(matches(&filter, (given){.key_z = "user", .value_z = "bob"}));
    assert_false(matches(&filter, (given){.key_z = "users", .value_z = "bob"}));
}

static void conditions_add_up_until_there_is_no_room(void **state)
{
    (void)state;
    ut_filter filter = ut_filter_all();
    for (int i = 0; i < UT_FILTER_TERMS_MAX - 1; i++)
        assert_int_equal(ut_filter_by_attribute(&filter, UT_BYTES_LIT("a"), UT_BYTES_NONE), UT_OK);
    assert_int_equal(ut_filter_by_error_type(&filter, UT_BYTES_LIT("x")), UT_OK);
    assert_false(matches(&filter, (given){.key_z = "a", .value_z = "1"}));
    assert_true(matches(&filter, (given){.key_z = "a",
                                         .value_z = "1",
                                         .event_key_z = "exception.type",
                                         .event_value_z = "x"}));
    assert_int_equal(ut_filter_by_error_type(&filter, UT_BYTES_LIT("x")), UT_ELIMIT);
    assert_int_equal(ut_filter_by_attribute(&filter, UT_BYTES_LIT("a"), UT_BYTES_NONE), UT_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recent_failures_are_errors_of_the_last_hours),
        cmocka_unit_test(a_type_of_error_stands_on_the_span_or_in_an_event),
        cmocka_unit_test(an_attribute_has_a_value_or_is_there),
        cmocka_unit_test(conditions_add_up_until_there_is_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
