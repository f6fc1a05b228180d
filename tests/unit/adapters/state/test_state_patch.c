// The states of a workflow out of events: order, several states, what fails, and going back.
#include "adapters/state/state_patch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { BYTES_MAX = 1 << 24 };

typedef struct {
    uint64_t time_ns;
    const char *event_z; // NULL: "set_state"
    const char *key_z;   // NULL: "state.patch"
    const char *text_z;  // NULL: no such attribute
    const char *store_z; // NULL: none
} given;

static ut_state *begin(const ut_state_options *options)
{
    ut_state *state = NULL;
    assert_int_equal(ut_state_new(options, &state), UT_OK);
    return state;
}

static void put_pair(ut_buf *to, const char *key_z, const char *value_z)
{
    ut_mp_put_str(to, ut_bytes_of_z(key_z));
    ut_mp_put_str(to, ut_bytes_of_z(value_z));
}

// A span whose last id byte is `id`, from time 100, with the events. start_z: the state it starts
// from, or NULL.
static ut_err add_span(ut_state *state, uint8_t id, const char *start_z, const given *events,
                       uint32_t count)
{
    const uint8_t span_id[UT_SPAN_ID_LEN] = {0, 0, 0, 0, 0, 0, 0, id};
    ut_span span = {.start_ns = 100, .end_ns = 200};
    ut_buf attributes;
    ut_buf written;
    ut_buf_init(&attributes, BYTES_MAX);
    ut_buf_init(&written, BYTES_MAX);
    ut_mp_put_map(&attributes, start_z == NULL ? 0 : 2);
    if (start_z != NULL) {
        put_pair(&attributes, "junjo.workflow.state.start", start_z);
        put_pair(&attributes, "junjo.workflow.store.id", "w1");
    }
    ut_mp_put_array(&written, count);
    for (uint32_t i = 0; i < count; i++) {
        const char *name_z = events[i].event_z == NULL ? "set_state" : events[i].event_z;
        const ut_event event = {.time_ns = events[i].time_ns, .name = ut_bytes_of_z(name_z)};
        ut_event_write_head(&written, span.start_ns, &event);
        ut_mp_put_map(&written, 1u + (uint32_t)(events[i].text_z != NULL) +
                                    (uint32_t)(events[i].store_z != NULL));
        put_pair(&written, "junjo.store.action", "do");
        if (events[i].text_z != NULL)
            put_pair(&written, events[i].key_z == NULL ? "state.patch" : events[i].key_z,
                     events[i].text_z);
        if (events[i].store_z != NULL)
            put_pair(&written, "junjo.store.id", events[i].store_z);
        ut_event_write_tail(&written, &event);
    }
    span.span_id = ut_bytes_of(span_id, sizeof(span_id));
    span.attributes = ut_buf_bytes(&attributes);
    span.events = ut_buf_bytes(&written);
    const ut_err err = ut_state_add(state, &span);
    ut_buf_free(&attributes);
    ut_buf_free(&written);
    return err;
}

static void expect_at(ut_state *state, uint64_t time_ns, uint32_t done, const char *expected_z)
{
    ut_buf out;
    uint32_t found = 0;
    ut_buf_init(&out, BYTES_MAX);
    assert_int_equal(ut_state_at(state, time_ns, &found, &out), UT_OK);
    if (!ut_bytes_equal(ut_buf_bytes(&out), ut_bytes_of_z(expected_z)))
        fail_msg("at %llu: %.*s, expected %s", (unsigned long long)time_ns, (int)out.len,
                 (const char *)out.data, expected_z);
    assert_int_equal(found, done);
    ut_buf_free(&out);
}

#define ADD(state, id, events) \
    assert_int_equal(add_span(state, id, NULL, events, sizeof(events) / sizeof((events)[0])), UT_OK)

static void changes_are_replayed_in_the_order_of_time(void **state)
{
    (void)state;
    static const given later[] = {
        {.time_ns = 130, .text_z = "[{\"op\":\"replace\",\"path\":\"/n\",\"value\":3}]"},
        {.time_ns = 110, .text_z = "[{\"op\":\"add\",\"path\":\"/n\",\"value\":1}]"}};
    static const given earlier[] = {{.time_ns = 120, .text_z = "{\"n\":2,\"m\":{\"a\":[]}}"},
                                    {.time_ns = 120, .event_z = "other", .text_z = "{\"n\":9}"},
                                    {.time_ns = 140, .text_z = "{\"m\":null}"}};
    ut_state *states = begin(NULL);
    ADD(states, 1, later);
    ADD(states, 2, earlier);
    assert_int_equal(ut_state_build(states), UT_OK);
    uint32_t count = 0;
    uint32_t left_out = 0;
    const ut_state_change *changes = ut_state_changes(states, &count, &left_out);
    assert_int_equal(count, 4);
    assert_int_equal(left_out, 0);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(changes[i].time_ns == 110 + 10 * (uint64_t)i);
        assert_int_equal(changes[i].span_id[7], i % 2 == 0 ? 1 : 2);
        assert_int_equal(changes[i].reason.len, 0);
        assert_int_equal(changes[i].form, i % 2 == 0 ? UT_STATE_PATCH : UT_STATE_MERGE);
        assert_true(ut_bytes_equal(changes[i].action, UT_BYTES_LIT("do")));
    }
    assert_true(ut_bytes_equal(changes[3].text, UT_BYTES_LIT("{\"m\":null}")));
    expect_at(states, 109, 0, "{}");
    expect_at(states, 110, 1, "{\"n\":1}");
    expect_at(states, UINT64_MAX, 4, "{\"n\":3}");
    expect_at(states, 125, 2, "{\"n\":2,\"m\":{\"a\":[]}}"); // and back
    expect_at(states, 0, 0, "{}");
    expect_at(states, 139, 3, "{\"n\":3,\"m\":{\"a\":[]}}");
    ut_state_free(states);
}

static void equal_times_keep_the_order_of_arrival(void **state)
{
    (void)state;
    static const given first[] = {{.time_ns = 150, .text_z = "{\"n\":1}"},
                                  {.time_ns = 150, .text_z = "{\"n\":2}"},
                                  {.time_ns = 150}};
    static const given second[] = {{.time_ns = 150, .text_z = "{\"n\":3}"}};
    ut_state *states = begin(NULL);
    ADD(states, 1, first);
    ADD(states, 2, second);
    assert_int_equal(ut_state_build(states), UT_OK);
    expect_at(states, 150, 4, "{\"n\":3}");
    ut_state_free(states);
}

static void a_change_that_fails_says_why_and_the_others_go_on(void **state)
{
    (void)state;
    static const struct {
        given event;
        const char *reason_z;
        ut_state_form form;
    } cases[] = {
        {{.time_ns = 110, .text_z = "{\"n\":1}"}, "", UT_STATE_MERGE},
        {{.time_ns = 111, .text_z = "[{\"op\":\"remove\",\"path\":\"/x\"}]"},
         "operation 1 (remove \"/x\"): nothing is there",
         UT_STATE_PATCH},
        {{.time_ns = 112, .text_z = "{\"n\":"}, "not valid JSON", UT_STATE_NONE},
        {{.time_ns = 113, .text_z = "5"}, "a change is an array", UT_STATE_NONE},
        {{.time_ns = 114}, "the event has no text in the attribute \"state.patch\"", UT_STATE_NONE},
        {{.time_ns = 115,
          .text_z = "[{\"op\":\"add\",\"path\":\"/m\",\"value\":2},"
                    "{\"op\":\"test\",\"path\":\"/n\",\"value\":2}]"},
         "operation 2 (test \"/n\"): the test failed",
         UT_STATE_PATCH},
        {{.time_ns = 116, .text_z = "[{\"op\":\"add\",\"path\":\"/k\",\"value\":3}]"},
         "",
         UT_STATE_PATCH},
    };
    enum { CASES = sizeof(cases) / sizeof(cases[0]) };
    ut_state *states = begin(NULL);
    for (size_t i = 0; i < CASES; i++)
        assert_int_equal(add_span(states, 1, NULL, &cases[i].event, 1), UT_OK);
    assert_int_equal(ut_state_build(states), UT_OK);
    uint32_t count = 0;
    uint32_t left_out = 0;
    const ut_state_change *changes = ut_state_changes(states, &count, &left_out);
    assert_int_equal(count, CASES);
    for (size_t i = 0; i < CASES; i++) {
        const size_t len = strlen(cases[i].reason_z);
        if ((len == 0) != (changes[i].reason.len == 0) || changes[i].reason.len < len ||
            (len > 0 && memcmp(changes[i].reason.data, cases[i].reason_z, len) != 0))
            fail_msg("case %zu: %.*s", i, (int)changes[i].reason.len,
                     (const char *)changes[i].reason.data);
        assert_int_equal(changes[i].form, cases[i].form);
    }
    expect_at(states, 200, CASES, "{\"n\":1,\"k\":3}");
    expect_at(states, 115, CASES - 1, "{\"n\":1}");
    ut_state_free(states);
}

static void a_span_gives_the_state_to_start_from(void **state)
{
    (void)state;
    static const given events[] = {
        {.time_ns = 150,
         .key_z = "junjo.state_json_patch",
         .text_z = "[{\"op\":\"replace\",\"path\":\"/count\",\"value\":1}]",
         .store_z = "w1"},
        {.time_ns = 160, .key_z = "junjo.state_json_patch", .text_z = "{}", .store_z = "w1"}};
    ut_state *states = begin(NULL);
    assert_int_equal(add_span(states, 1, "{\"count\":0,\"list\":[1]}", events, 2), UT_OK);
    assert_int_equal(ut_state_build(states), UT_OK);
    uint32_t count = 0;
    uint32_t left_out = 0;
    const ut_state_change *changes = ut_state_changes(states, &count, &left_out);
    assert_int_equal(count, 3);
    assert_int_equal(changes[0].form, UT_STATE_START);
    assert_true(changes[0].time_ns == 100);
    assert_true(ut_bytes_equal(changes[1].store, UT_BYTES_LIT("w1")));
    expect_at(states, 100, 1, "{\"count\":0,\"list\":[1]}");
    expect_at(states, 200, 3, "{\"count\":1,\"list\":[1]}");
    ut_state_free(states);
}

static void several_stores_have_a_state_each(void **state)
{
    (void)state;
    static const given events[] = {
        {.time_ns = 110, .text_z = "{\"a\":1}", .store_z = "one"},
        {.time_ns = 120, .text_z = "{\"a\":2}", .store_z = "two"},
        {.time_ns = 130, .text_z = "[{\"op\":\"remove\",\"path\":\"/a\"}]", .store_z = "one"},
        {.time_ns = 140, .text_z = "{\"b\":3}"}};
    ut_state *states = begin(NULL);
    ADD(states, 1, events);
    assert_int_equal(ut_state_build(states), UT_OK);
    expect_at(states, 100, 0, "{}");
    expect_at(states, 110, 1, "{\"one\":{\"a\":1}}");
    expect_at(states, 130, 3, "{\"one\":{},\"two\":{\"a\":2}}");
    expect_at(states, 140, 4, "{\"one\":{},\"two\":{\"a\":2},\"\":{\"b\":3}}");
    ut_state_free(states);
}

static void names_are_as_configured(void **state)
{
    (void)state;
    static const given events[] = {
        {.time_ns = 110, .event_z = "changed", .key_z = "my.diff", .text_z = "{\"a\":1}"},
        {.time_ns = 120, .text_z = "{\"a\":2}"},
        {.time_ns = 130, .event_z = "changed", .text_z = "{\"a\":3}"}};
    const ut_state_options options = {UT_BYTES_LIT("changed"), UT_BYTES_LIT("my.diff")};
    ut_state *states = begin(&options);
    ADD(states, 1, events);
    assert_int_equal(ut_state_build(states), UT_OK);
    expect_at(states, 200, 2, "{\"a\":1}"); // the third has its patch under another key
    ut_state_free(states);

    char long_z[UT_STATE_NAME_MAX + 2];
    memset(long_z, 'x', sizeof(long_z));
    long_z[sizeof(long_z) - 1] = '\0';
    const ut_state_options too_long = {.event_name = ut_bytes_of_z(long_z)};
    assert_int_equal(ut_state_new(&too_long, &states), UT_ELIMIT);
}

static void any_time_can_be_asked_for_in_any_order(void **state)
{
    (void)state;
    enum { CHANGES = 500 };
    ut_state *states = begin(NULL);
    char text_z[128];
    for (int i = 1; i <= CHANGES; i++) {
        (void)snprintf(text_z, sizeof(text_z), i % 10 == 0 ? "{\"n\":" : "{\"n\":%d,\"s\":\"%d\"}",
                       i, i % 7);
        const given event = {
            .time_ns = (uint64_t)i, .text_z = text_z, .store_z = i % 3 == 0 ? "x" : NULL};
        assert_int_equal(add_span(states, 1, NULL, &event, 1), UT_OK);
    }
    assert_int_equal(ut_state_build(states), UT_OK);
    for (int i = 0; i < 3 * CHANGES; i++) {
        const int time = i * 7919 % CHANGES + 1;
        char expected_z[256];
        int named = time; // the last change of each store that did not fail
        while (named > 0 && (named % 3 != 0 || named % 10 == 0))
            named--;
        int other = time;
        while (other > 0 && (other % 3 == 0 || other % 10 == 0))
            other--;
        if (named == 0)
            (void)snprintf(expected_z, sizeof(expected_z), "{\"\":{\"n\":%d,\"s\":\"%d\"}}", other,
                           other % 7);
        else
            (void)snprintf(expected_z, sizeof(expected_z),
                           "{\"\":{\"n\":%d,\"s\":\"%d\"},\"x\":{\"n\":%d,\"s\":\"%d\"}}", other,
                           other % 7, named, named % 7);
        expect_at(states, (uint64_t)time, (uint32_t)time, expected_z);
    }
    ut_state_free(states);
}

static void a_state_has_a_largest_size_and_kept_states_are_thinned_out(void **state)
{
    (void)state;
    enum { PART = 64 * 1024, CHANGES = 400 };
    static char text_z[PART + 64];
    ut_state *states = begin(NULL);
    char part_z[PART + 1];
    memset(part_z, 'y', PART);
    part_z[PART] = '\0';
    for (int i = 1; i <= CHANGES; i++) { // grows by a part each, until it is full
        (void)snprintf(text_z, sizeof(text_z), "{\"p%d\":\"%s\"}", i, i <= 100 ? part_z : "");
        const given event = {.time_ns = (uint64_t)i, .text_z = text_z};
        assert_int_equal(add_span(states, 1, NULL, &event, 1), UT_OK);
    }
    assert_int_equal(ut_state_build(states), UT_OK);
    uint32_t count = 0;
    uint32_t left_out = 0;
    uint32_t failed = 0;
    const ut_state_change *changes = ut_state_changes(states, &count, &left_out);
    assert_int_equal(count, CHANGES);
    for (uint32_t i = 0; i < 100; i++)
        failed += changes[i].reason.len > 0;
    assert_int_equal(failed, 100 - 63); // 64 of them and their names are more than 4 MiB
    for (uint32_t i = 100; i < CHANGES; i++)
        assert_int_equal(changes[i].reason.len, 0);
    ut_buf out;
    ut_buf_init(&out, BYTES_MAX);
    for (int i = 0; i < 20; i++) {
        uint32_t done = 0;
        const uint64_t time_ns = (uint64_t)(i * 7919 % CHANGES);
        ut_buf_reset(&out, BYTES_MAX);
        assert_int_equal(ut_state_at(states, time_ns, &done, &out), UT_OK);
        assert_true(done == time_ns);
        assert_true(out.len > (time_ns < 63 ? time_ns : 63) * PART);
    }
    ut_buf_free(&out);
    ut_state_free(states);
}

static void what_is_beyond_the_limits_is_counted(void **state)
{
    (void)state;
    enum { EVENTS = 1000 };
    static given events[EVENTS];
    ut_state *states = begin(NULL);
    for (int i = 0; i < EVENTS; i++)
        events[i] = (given){.time_ns = 150, .text_z = "{}"};
    for (int i = 0; i < UT_STATE_CHANGES_MAX / EVENTS + 1; i++)
        ADD(states, 1, events);
    assert_int_equal(ut_state_build(states), UT_OK);
    uint32_t count = 0;
    uint32_t left_out = 0;
    (void)ut_state_changes(states, &count, &left_out); // the rows do not matter
    assert_int_equal(count, UT_STATE_CHANGES_MAX);
    assert_int_equal(left_out, EVENTS);
    ut_state_free(states);

    states = begin(NULL);
    char names[UT_STATE_STORES_MAX + 1][16];
    for (int i = 0; i <= UT_STATE_STORES_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "s%d", i);
        const given event = {.time_ns = 150, .text_z = "{\"a\":1}", .store_z = names[i]};
        assert_int_equal(add_span(states, 1, NULL, &event, 1), UT_OK);
    }
    assert_int_equal(ut_state_build(states), UT_OK);
    const ut_state_change *changes = ut_state_changes(states, &count, &left_out);
    assert_int_equal(changes[UT_STATE_STORES_MAX - 1].reason.len, 0);
    assert_true(changes[UT_STATE_STORES_MAX].reason.len > 0);
    ut_state_free(states);
}

static void a_trace_without_changes_has_an_empty_state(void **state)
{
    (void)state;
    ut_state *states = begin(NULL);
    const ut_span nothing = {.start_ns = 1};
    assert_int_equal(ut_state_add(states, &nothing), UT_OK);
    assert_int_equal(ut_state_build(states), UT_OK);
    uint32_t count = 0;
    uint32_t left_out = 0;
    (void)ut_state_changes(states, &count, &left_out); // there are none
    assert_int_equal(count + left_out, 0);
    expect_at(states, UINT64_MAX, 0, "{}");
    const ut_span damaged = {.start_ns = 1, .events = UT_BYTES_LIT("\x92\x95\x01")};
    assert_int_equal(ut_state_add(states, &damaged), UT_EFORMAT);
    ut_state_free(states);
    ut_state_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_replayed_in_the_order_of_time),
        cmocka_unit_test(equal_times_keep_the_order_of_arrival),
        cmocka_unit_test(a_change_that_fails_says_why_and_the_others_go_on),
        cmocka_unit_test(a_span_gives_the_state_to_start_from),
        cmocka_unit_test(several_stores_have_a_state_each),
        cmocka_unit_test(names_are_as_configured),
        cmocka_unit_test(any_time_can_be_asked_for_in_any_order),
        cmocka_unit_test(a_state_has_a_largest_size_and_kept_states_are_thinned_out),
        cmocka_unit_test(what_is_beyond_the_limits_is_counted),
        cmocka_unit_test(a_trace_without_changes_has_an_empty_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
