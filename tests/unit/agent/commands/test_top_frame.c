// What `untrace top` draws of two samples: rates, and lines that fit every screen.
#include "agent/commands/top_frame.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

typedef struct {
    ut_top_sample before;
    ut_top_sample now;
} pair;

static void copy(char *to, size_t cap, const char *text_z)
{
    (void)snprintf(to, cap, "%s", text_z);
}

// Half a second apart: 1 000 spans came, 300 of them were read; one destination took 600.
static pair *make_pair(void)
{
    pair *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    for (int i = 0; i < 2; i++) {
        ut_top_sample *sample = i == 0 ? &p->before : &p->now;
        sample->at_ms = 1000 + (uint64_t)i * 500;
        sample->wall_ns = UINT64_C(1700000000000000000) + (uint64_t)i * 500000000;
        sample->agent = true;
        sample->store = true;
        copy(sample->version_z, sizeof(sample->version_z), "1.2.3");
        sample->pid = 77;
        sample->requests = (uint64_t)i * 20;
        sample->queue = 3;
        sample->bytes_max = 1000;
        sample->bytes_used = 500;
        sample->counts.spans_stored = 5000 + (uint64_t)i * 1000;
        sample->destination_count = 2;
        copy(sample->destinations[0].name_z, sizeof(sample->destinations[0].name_z), "central");
        sample->destinations[0].active = true;
        sample->destinations[0].delivered = 100 + (uint64_t)i * 600;
        copy(sample->destinations[1].name_z, sizeof(sample->destinations[1].name_z), "backup");
        sample->destinations[1].active = true;
        sample->destinations[1].failing = true;
        sample->destinations[1].pending = 1234;
        sample->destinations[1].oldest_ns = sample->wall_ns - UINT64_C(5000000000);
        copy(sample->destinations[1].error_z, sizeof(sample->destinations[1].error_z), "refused");
        sample->service_count = 1;
        copy(sample->services[0].name_z, sizeof(sample->services[0].name_z), "shop");
        sample->services[0].spans = 400;
        sample->services[0].duration_ns = 400 * UINT64_C(2000000);
        sample->services[0].p99_ns = 9000000;
        sample->recent_spans = 400;
    }
    p->now.services[0].new_spans = 300;
    p->now.services[0].new_errors = 30;
    p->now.new_spans = 300;
    return p;
}

static char *view_of(const pair *p, uint32_t columns, uint32_t rows, bool rates, ut_top_view *view)
{
    const ut_term term = {.width = columns};
    ut_buf out;
    ut_buf_init(&out, 1024 * 1024);
    ut_top_frame(&out, &term, rows, "/data", rates ? &p->before : NULL, &p->now, view);
    ut_buf_add_byte(&out, 0);
    assert_int_equal(out.err, UT_OK);
    char *text_z = strdup((const char *)out.data);
    assert_non_null(text_z);
    ut_buf_free(&out);
    return text_z;
}

static char *frame_of(const pair *p, uint32_t columns, uint32_t rows, bool rates)
{
    ut_top_view view = {.live = true};
    return view_of(p, columns, rows, rates, &view);
}

static void expect_in(const char *text_z, const char *part_z)
{
    if (strstr(text_z, part_z) == NULL)
        fail_msg("\"%s\" is not in:\n%s", part_z, text_z);
}

static void rates_are_what_moved_between_two_samples(void **state)
{
    (void)state;
    pair *p = make_pair();
    char *text_z = frame_of(p, 120, 40, true);
    expect_in(text_z, "untrace top  2023-11-14 22:13:20 UTC  agent 1.2.3, process 77");
    expect_in(text_z,
              "in    2 000 spans/s   40 requests/s   0 refused/s   0 connections   queue 3\n");
    expect_in(text_z, "out   1 200 spans/s   1 234 pending, the oldest for 5.00 s   0 dead\n");
    expect_in(text_z, "disk  [######------] 500 B of 1000 B   6 000 spans");
    expect_in(text_z,
              "central                            1 200         0         -         0  ok\n");
    expect_in(text_z, "backup                                 0     1 234       5 s         0  "
                      "failing: refused\n");
    // 300 of the 1 000 were read, all of this service: it is scaled up to all of them.
    expect_in(text_z,
              "shop                               2 000       200       400         0   2.00 ms   "
              "9.00 ms\n");
    expect_in(text_z, "\nq quits   ? help   services by spans\n");
    free(text_z);
    free(p);
}

static void what_was_refused_has_a_line_where_it_happened(void **state)
{
    (void)state;
    pair *p = make_pair();
    char *text_z = frame_of(p, 120, 40, true);
    assert_null(strstr(text_z, "refused:"));
    free(text_z);
    p->now.rejected = 3;
    p->now.refusal_count = 1;
    p->now.refusals[0] = (ut_top_refusal){"trace_id", 3, true};
    text_z = frame_of(p, 120, 40, true);
    expect_in(text_z, "\n      spans rejected: 3 trace_id\n");
    free(text_z);
    p->now.refused = 12;
    p->now.refusal_count = 3;
    p->now.refusals[2] = p->now.refusals[0];
    p->now.refusals[0] = (ut_top_refusal){"metrics", 7, false};
    p->now.refusals[1] = (ut_top_refusal){"invalid", 5, false};
    text_z = frame_of(p, 120, 40, true);
    expect_in(text_z, "\n      refused: 7 metrics, 5 invalid   spans rejected: 3 trace_id\n");
    free(text_z);
    free(p);
}

static void the_first_frame_has_no_rates(void **state)
{
    (void)state;
    pair *p = make_pair();
    char *text_z = frame_of(p, 120, 40, false);
    expect_in(text_z, "in    0 spans/s   0 requests/s");
    expect_in(text_z, "out   0 spans/s   1 234 pending");
    free(text_z);
    free(p);
}

static void a_counter_that_was_set_back_makes_no_huge_rate(void **state)
{
    (void)state;
    pair *p = make_pair();
    p->now.counts.spans_stored = 10; // another store under the same name
    p->now.destinations[0].delivered = 5;
    p->now.requests = 0;
    char *text_z = frame_of(p, 120, 40, true);
    expect_in(text_z, "in    20 spans/s   0 requests/s");
    expect_in(text_z, "out   10 spans/s");
    free(text_z);
    free(p);
}

static void every_frame_fits_its_screen(void **state)
{
    (void)state;
    pair *p = make_pair();
    for (uint32_t columns = 1; columns < 140; columns += 7) {
        for (uint32_t rows = 1; rows < 30; rows++) {
            char *text_z = frame_of(p, columns, rows, true);
            uint32_t lines = 0;
            char *at = text_z;
            for (char *end = strchr(at, '\n'); end != NULL; end = strchr(at, '\n')) {
                const ut_bytes line = ut_bytes_of(at, (size_t)(end - at));
                assert_true(ut_term_columns(line) <= columns);
                lines++;
                at = end + 1;
            }
            assert_int_equal(*at, 0);
            assert_true(lines <= rows);
            free(text_z);
        }
    }
    free(p);
}

static void eighty_columns_hold_all_that_is_told(void **state)
{
    (void)state;
    pair *p = make_pair();
    p->now.recent_spans = 20000;
    p->now.counts.spans_evicted = 1234;
    char *text_z = frame_of(p, 80, 24, true);
    expect_in(text_z,
              "disk  500 B of 1000 B  4 766 spans  0 expired  1 234 evicted  0 duplicates\n");
    expect_in(text_z, "\nof the newest 20 000 spans:\nservice ");
    free(text_z);
    text_z = frame_of(p, 120, 24, true);
    expect_in(text_z, "p99  (of the newest 20 000)\n");
    free(text_z);
    free(p);
}

static void a_reason_that_does_not_fit_its_line_stands_below_it(void **state)
{
    (void)state;
    pair *p = make_pair();
    char *error_z = p->now.destinations[1].error_z;
    copy(error_z, sizeof(p->now.destinations[1].error_z),
         "cannot connect to collector.example:4318: the server's certificate is for another name, "
         "and it ended yesterday");
    char *text_z = frame_of(p, 80, 24, true);
    expect_in(text_z,
              "         0  failing\n  cannot connect to collector.example:4318: the server's "
              "certificate is for\n  another name, and it ended yesterday\n");
    free(text_z);
    // Where the screen has no room for it, the line keeps what fits.
    text_z = frame_of(p, 80, 11, true);
    expect_in(text_z, "  failing: cannot c…\n");
    free(text_z);
    free(p);
}

static void the_data_directory_and_the_last_span_have_a_line(void **state)
{
    (void)state;
    pair *p = make_pair();
    p->now.received_ns = p->now.wall_ns - UINT64_C(3900000000);
    char *text_z = frame_of(p, 80, 24, true);
    expect_in(text_z, "\ndata  /data   last span 3 s ago\n");
    free(text_z);
    text_z = frame_of(p, 28, 24, true);
    expect_in(text_z, "\ndata  …a   last span 3 s ago\n");
    free(text_z);
    free(p);
}

static void whole_numbers_have_no_point(void **state)
{
    (void)state;
    pair *p = make_pair();
    p->now.counts.spans_stored = 7;
    p->before.counts.spans_stored = 7;
    p->now.recent_spans = 7;
    p->now.requests = 1; // in half a second
    p->before.requests = 0;
    char *text_z = frame_of(p, 120, 24, true);
    expect_in(text_z, "   7 spans   ");
    expect_in(text_z, "(of the newest 7)\n");
    expect_in(text_z, "   2 requests/s   ");
    free(text_z);
    p->now.at_ms = p->before.at_ms + 700;
    text_z = frame_of(p, 120, 24, true);
    expect_in(text_z, "   1.4 requests/s   ");
    free(text_z);
    free(p);
}

// 44 services with long names: service 0 has the most spans, service 43 the most errors.
static pair *make_crowd(void)
{
    pair *p = make_pair();
    p->now.destination_count = 0;
    p->now.service_count = 44;
    for (size_t i = 0; i < 44; i++) {
        ut_top_service *service = &p->now.services[i];
        (void)snprintf(service->name_z, sizeof(service->name_z), "service-with-a-long-name-%02zu",
                       i);
        service->spans = 1000 - i;
        service->errors = i;
        service->duration_ns = service->spans * 1000000;
        service->p99_ns = 5000000;
    }
    p->now.services[7].p99_ns = UINT64_C(9000000000);
    return p;
}

static void services_that_have_no_room_are_counted_and_scrolled_to(void **state)
{
    (void)state;
    pair *p = make_crowd();
    ut_top_view view = {.live = true};
    char *text_z = view_of(p, 120, 24, true, &view);
    expect_in(text_z, "\nservice-with-a-long-name-00 ");
    expect_in(text_z, "\nand 29 more\n");
    free(text_z);
    assert_true(ut_top_view_key(&view, UT_SCREEN_DOWN));
    assert_true(ut_top_view_key(&view, UT_SCREEN_PAGE_DOWN));
    text_z = view_of(p, 120, 24, true, &view);
    assert_null(strstr(text_z, "name-10 "));
    expect_in(text_z, "\nservice-with-a-long-name-11 ");
    expect_in(text_z, "\nand 18 more\n");
    free(text_z);
    for (int i = 0; i < 100; i++)
        assert_true(ut_top_view_key(&view, 'j'));
    text_z = view_of(p, 120, 24, true, &view);
    expect_in(text_z, "\nservice-with-a-long-name-43 ");
    expect_in(text_z, "\nservice-with-a-long-name-28 ");
    assert_null(strstr(text_z, " more\n"));
    free(text_z);
    assert_true(ut_top_view_key(&view, 'k'));
    text_z = view_of(p, 120, 24, true, &view);
    expect_in(text_z, "\nservice-with-a-long-name-27 ");
    free(text_z);
    assert_true(ut_top_view_key(&view, UT_SCREEN_HOME));
    assert_int_equal(view.first, 0);
    assert_true(ut_top_view_key(&view, UT_SCREEN_UP));
    assert_int_equal(view.first, 0);
    free(p);
}

static void services_are_sorted_by_the_key_that_is_pressed(void **state)
{
    (void)state;
    pair *p = make_crowd();
    ut_top_view view = {.live = true};
    assert_true(ut_top_view_key(&view, 'e'));
    char *text_z = view_of(p, 120, 24, true, &view);
    expect_in(text_z, "(of the newest 400)\nservice-with-a-long-name-43 ");
    expect_in(text_z, "\nq quits   ? help   services by errors\n");
    free(text_z);
    assert_true(ut_top_view_key(&view, 'p'));
    text_z = view_of(p, 120, 24, true, &view);
    expect_in(text_z, "(of the newest 400)\nservice-with-a-long-name-07 ");
    free(text_z);
    assert_true(ut_top_view_key(&view, 'm'));
    assert_true(ut_top_view_key(&view, 'i'));
    assert_true(ut_top_view_key(&view, 'n'));
    assert_true(ut_top_view_key(&view, 's'));
    text_z = view_of(p, 120, 24, true, &view);
    expect_in(text_z, "(of the newest 400)\nservice-with-a-long-name-00 ");
    free(text_z);
    free(p);
}

static void the_keys_are_told_until_another_is_pressed(void **state)
{
    (void)state;
    pair *p = make_crowd();
    ut_top_view view = {.live = true};
    assert_true(ut_top_view_key(&view, '?'));
    char *text_z = view_of(p, 80, 24, true, &view);
    expect_in(text_z, "\ne          sorts services by errors\n");
    assert_null(strstr(text_z, "service-with"));
    free(text_z);
    assert_true(ut_top_view_key(&view, 'x'));
    assert_false(view.help);
    assert_false(ut_top_view_key(&view, 'x'));
    free(p);
}

static void what_cannot_be_read_says_why(void **state)
{
    (void)state;
    pair *p = make_pair();
    p->now.store = false;
    (void)ut_fault_set(&p->now.store_fault, UT_EPERM, "no key was given");
    char *text_z = frame_of(p, 120, 40, true);
    expect_in(text_z, "\nstore no key was given\n");
    expect_in(text_z, "central"); // the agent still tells of itself
    free(text_z);
    p->now.agent = false;
    (void)ut_fault_set(&p->now.agent_fault, UT_EPERM, "it runs as another user");
    text_z = frame_of(p, 120, 40, true);
    expect_in(text_z, "it runs as another user\n");
    expect_in(text_z, "\nstore no key was given\n");
    free(text_z);
    free(p);
}

static void json_names_the_same_numbers(void **state)
{
    (void)state;
    pair *p = make_pair();
    ut_buf out;
    ut_buf_init(&out, 1024 * 1024);
    ut_top_json(&out, "/data", &p->before, &p->now);
    ut_buf_add_byte(&out, 0);
    assert_int_equal(out.err, UT_OK);
    const char *text_z = (const char *)out.data;
    expect_in(text_z, "\"interval_ms\":500,");
    expect_in(text_z, "\"in_per_s\":2000.000,\"store\":{\"bytes_max\":1000,");
    expect_in(text_z,
              "{\"name\":\"central\",\"active\":true,\"failing\":false,\"out_per_s\":1200.000,");
    expect_in(text_z,
              "\"pending\":1234,\"dead\":0,\"oldest_pending_ms\":5000,\"last_error\":\"refused\"}");
    expect_in(text_z, "{\"name\":\"shop\",\"in_per_s\":2000.000,\"errors_per_s\":200.000,");
    ut_buf_free(&out);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_what_moved_between_two_samples),
        cmocka_unit_test(what_was_refused_has_a_line_where_it_happened),
        cmocka_unit_test(the_first_frame_has_no_rates),
        cmocka_unit_test(a_counter_that_was_set_back_makes_no_huge_rate),
        cmocka_unit_test(every_frame_fits_its_screen),
        cmocka_unit_test(eighty_columns_hold_all_that_is_told),
        cmocka_unit_test(a_reason_that_does_not_fit_its_line_stands_below_it),
        cmocka_unit_test(the_data_directory_and_the_last_span_have_a_line),
        cmocka_unit_test(whole_numbers_have_no_point),
        cmocka_unit_test(services_that_have_no_room_are_counted_and_scrolled_to),
        cmocka_unit_test(services_are_sorted_by_the_key_that_is_pressed),
        cmocka_unit_test(the_keys_are_told_until_another_is_pressed),
        cmocka_unit_test(what_cannot_be_read_says_why),
        cmocka_unit_test(json_names_the_same_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
