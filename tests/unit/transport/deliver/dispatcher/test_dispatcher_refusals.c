// Refusals: batches that are halved, spans that become dead letters, wrong settings.
#include "tests/support/delivery_rig.h"

#include "transport/deliver/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void a_batch_that_is_too_large_is_halved_until_it_passes(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = ut_delivery_rig_take_few;
    server->spans_max = 3;
    for (int i = 0; i < 5; i++)
        (void)ut_filled_store_append(rig->store, 20, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    assert_int_equal(ut_filled_store_counts(rig->store, rig->destinations[0].dest).delivered, 100);
    assert_int_equal(rig->marks, 5);
    ut_delivery_rig_drop(rig);
}

static void a_single_span_that_is_too_large_becomes_a_dead_letter(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = ut_delivery_rig_take_few;
    server->spans_max = 1000;
    server->bad[0] = 27;
    server->bad_count = 1;
    for (int i = 0; i < 5; i++)
        (void)ut_filled_store_append(rig->store, 20, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(server->times[i], i == 27 ? 0 : 1);
    ut_delivery entry = ut_delivery_rig_entry(rig, 0, 2);
    assert_int_equal(entry.state, UT_DELIVERY_DELIVERED);
    assert_int_equal(entry.spans_dead, 1);
    assert_int_equal(entry.http_status, 413);
    assert_string_equal(entry.reason_z, "HTTP 413: too large");
    ut_store_destination_counts counts =
        ut_filled_store_counts(rig->store, rig->destinations[0].dest);
    assert_int_equal(counts.delivered, 99);
    assert_int_equal(counts.dead, 1);
    assert_in_range(server->count, 3, 2 * 7 + 1); // two requests for each halving of 100
    ut_delivery_rig_drop(rig);
}

static void bad_spans_are_found_among_good_ones(void **state)
{
    (void)state;
    static const int statuses[] = {400, 422, 500};
    for (size_t k = 0; k < 3; k++) {
        ut_delivery_rig *rig = ut_delivery_rig_make();
        ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
        server->script = ut_delivery_rig_fail_bad_spans;
        server->status = statuses[k];
        server->bad[0] = 0;
        server->bad[1] = 255;
        server->bad[2] = 256;
        server->bad[3] = 499;
        server->bad_count = 4;
        for (int i = 0; i < 5; i++)
            (void)ut_filled_store_append(rig->store, 100, 0);
        ut_delivery_rig_start(rig);
        ut_delivery_rig_run_to_the_end(rig);
        for (size_t i = 0; i < 500; i++)
            assert_int_equal(server->times[i], i == 0 || i == 255 || i == 256 || i == 499 ? 0 : 1);
        assert_int_equal(ut_delivery_rig_entry(rig, 0, 1).spans_dead, 1);
        assert_int_equal(ut_delivery_rig_entry(rig, 0, 2).spans_dead, 0);
        assert_int_equal(ut_delivery_rig_entry(rig, 0, 3).spans_dead, 2);
        assert_int_equal(ut_delivery_rig_entry(rig, 0, 5).spans_dead, 1);
        assert_int_equal(ut_filled_store_counts(rig->store, rig->destinations[0].dest).dead, 4);
        assert_in_range(server->count, 1, 4 * 2 * 10);
        ut_delivery_rig_drop(rig);
    }
}

static void always_400(ut_delivery_rig_server *server, const ut_delivery_rig_request *request,
                       const size_t *places, ut_peer_answer *answer)
{
    (void)server;
    (void)request;
    (void)places;
    ut_delivery_rig_answer(answer, 400, "", "I do not like you");
}

static void a_destination_that_refuses_everything_is_not_asked_span_by_span(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = always_400;
    for (int i = 0; i < 50; i++)
        (void)ut_filled_store_append(rig->store, 100, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    ut_store_destination_counts counts =
        ut_filled_store_counts(rig->store, rig->destinations[0].dest);
    assert_int_equal(counts.dead, 5000);
    assert_in_range(server->count, 1, UT_HEALTH_REFUSALS_MAX + 30);
    assert_int_equal(ut_delivery_rig_entry(rig, 0, 50).state, UT_DELIVERY_DEAD);
    assert_string_equal(ut_delivery_rig_entry(rig, 0, 50).reason_z, "HTTP 400: I do not like you");
    assert_in_range(ut_delivery_rig_log_lines(rig, "refused for good"), 1, 9);
    ut_delivery_rig_drop(rig);
}

static void an_outage_that_looks_like_refusals_costs_few_batches(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = always_400;
    rig->destinations[0].batch_spans_max = 100;
    rig->destinations[0].connections = 3;
    for (int i = 0; i < 400; i++)
        (void)ut_filled_store_append(rig->store, 100, 0);
    ut_delivery_rig_start(rig);
    uint64_t begin_ms = rig->now_ms;
    assert_false(ut_delivery_rig_run_until(rig, ut_delivery_rig_settled, begin_ms + 600000));
    // Ten minutes: the tries grow apart to one in half a minute on the average.
    ut_peer_hold(server->peer);
    server->script = NULL;
    int count = server->count;
    ut_peer_release(server->peer);
    assert_in_range(count, 3 * UT_HEALTH_REFUSALS_MAX + 5, 3 * UT_HEALTH_REFUSALS_MAX + 100);
    uint64_t dead = ut_filled_store_counts(rig->store, rig->destinations[0].dest).dead;
    assert_in_range(dead, 100, 10000);
    assert_int_equal(
        ut_delivery_rig_log_lines(rig, "refuses everything: HTTP 400: I do not like you; "), 1);
    uint64_t healed_ms = rig->now_ms;
    ut_delivery_rig_run_to_the_end(rig);
    assert_int_equal(ut_filled_store_counts(rig->store, rig->destinations[0].dest).dead, dead);
    assert_in_range(rig->now_ms - healed_ms, 0, 60000 + 1000);
    ut_delivery_rig_drop(rig);
}

static void reject_some(ut_delivery_rig_server *server, const ut_delivery_rig_request *request,
                        const size_t *places, ut_peer_answer *answer)
{
    (void)request;
    (void)places;
    ut_buf body;
    ut_buf_init(&body, 4096);
    ut_otlp_response_write(UT_OTLP_PROTOBUF, server->first_n, "too many attributes", &body);
    ut_peer_answer_write(answer, 200, server->fields_z, ut_buf_bytes(&body));
    ut_buf_free(&body);
}

static void partial_success_is_counted_and_not_tried_again(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = reject_some;
    server->first_n = 31;
    server->fields_z = "Content-Type: application/x-protobuf\r\n";
    (void)ut_filled_store_append(rig->store, 100, 0);
    (void)ut_filled_store_append(rig->store, 10, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    assert_int_equal(server->count, 1);
    ut_store_destination_counts counts =
        ut_filled_store_counts(rig->store, rig->destinations[0].dest);
    assert_int_equal(counts.dead, 31);
    assert_int_equal(counts.delivered, 79);
    ut_delivery entry = ut_delivery_rig_entry(rig, 0, 1);
    assert_int_equal(entry.state, UT_DELIVERY_DELIVERED);
    assert_in_range(entry.spans_dead, 27, 29);
    assert_non_null(strstr(entry.reason_z, "31 of 110 spans rejected: too many attributes"));
    assert_int_equal(ut_delivery_rig_log_lines(rig, "too many attributes"), 1);
    assert_int_equal(ut_delivery_rig_status(rig, 0).spans_delivered, 79);
    assert_int_equal(ut_delivery_rig_status(rig, 0).spans_dead, 31);
    ut_delivery_rig_drop(rig);
}

static void odd_partial_successes_are_counted_within_the_batch(void **state)
{
    (void)state;
    static const struct {
        int rejected;
        const char *fields_z;
        uint32_t dead;
    } cases[] = {
        {0, "Content-Type: application/x-protobuf\r\n", 0},
        {-5, "Content-Type: application/x-protobuf\r\n", 0},
        {2000000000, "Content-Type: application/x-protobuf\r\n", 20},
        {20, "Content-Type: application/x-protobuf\r\n", 20},
        {7, "", 7},                             // no type: it is taken for ours
        {7, "Content-Type: text/plain\r\n", 0}, // a word of somebody else
    };
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        ut_delivery_rig *rig = ut_delivery_rig_make();
        ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
        server->script = reject_some;
        server->first_n = cases[k].rejected;
        server->fields_z = cases[k].fields_z;
        (void)ut_filled_store_append(rig->store, 20, 0);
        ut_delivery_rig_start(rig);
        ut_delivery_rig_run_to_the_end(rig);
        ut_delivery entry = ut_delivery_rig_entry(rig, 0, 1);
        assert_int_equal(entry.spans_dead, cases[k].dead);
        assert_int_equal(entry.state,
                         cases[k].dead == 20 ? UT_DELIVERY_DEAD : UT_DELIVERY_DELIVERED);
        ut_delivery_rig_drop(rig);
    }
}

static void a_wrong_setting_keeps_the_data_and_is_tried_slowly(void **state)
{
    (void)state;
    static const int statuses[] = {301, 307, 401, 403, 404, 405, 415};
    for (size_t k = 0; k < sizeof(statuses) / sizeof(statuses[0]); k++) {
        ut_delivery_rig *rig = ut_delivery_rig_make();
        ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
        server->script = ut_delivery_rig_fail_first;
        server->first_n = 20;
        server->status = statuses[k];
        server->fields_z = "Location: http://elsewhere/\r\n";
        for (int i = 0; i < 3; i++)
            (void)ut_filled_store_append(rig->store, 100, 0);
        ut_delivery_rig_start(rig);
        ut_delivery_rig_run_to_the_end(rig);
        ut_delivery_rig_expect_each_once(rig, server);
        assert_int_equal(server->count, 21);
        for (int i = 1; i <= 20; i++)
            assert_int_equal(server->requests[i].at_ms - server->requests[i - 1].at_ms, 60000);
        assert_in_range(ut_delivery_rig_log_lines(rig, "error "), 1, 5);
        assert_int_equal(ut_delivery_rig_log_lines(rig, "answers again"), 1);
        assert_int_equal(ut_delivery_rig_log_lines(rig, "redirects are not followed") > 0,
                         statuses[k] < 400);
        ut_delivery_rig_drop(rig);
    }
}

// The login page of a network answers everything with 200.
static void answer_a_page(ut_delivery_rig_server *server, const ut_delivery_rig_request *request,
                          const size_t *places, ut_peer_answer *answer)
{
    if (server->count > server->first_n) {
        ut_delivery_rig_answer(answer, 200, "", NULL);
        return;
    }
    for (uint32_t i = 0; i < request->spans; i++)
        server->times[places[i]]--; // spans answered with 200 are about to be counted
    ut_peer_answer_write(answer, 200, "Content-Type: text/html\r\n",
                         UT_BYTES_LIT("<html>Welcome</html>"));
}

static void a_web_page_is_not_taken_for_a_delivery(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = answer_a_page;
    server->first_n = 5;
    for (int i = 0; i < 3; i++)
        (void)ut_filled_store_append(rig->store, 100, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    assert_true(server->count > 5);
    assert_true(ut_delivery_rig_log_lines(rig, "HTTP 200: a web page, not OTLP") > 0);
    ut_delivery_rig_drop(rig);
}

// Something else has answered in the destination's place; then the mistake is mended.
static void answer_in_its_place(ut_delivery_rig_server *server,
                                const ut_delivery_rig_request *request, const size_t *places,
                                ut_peer_answer *answer)
{
    (void)request;
    (void)places;
    if (server->count > server->first_n)
        ut_delivery_rig_answer(answer, 200, "", NULL);
    else
        ut_peer_answer_write(answer, server->status, server->fields_z,
                             UT_BYTES_LIT("<html>\xe2\x80\xae<title>No\x1b[2J</title></html>"));
}

static void a_refusal_by_something_else_is_tried_slowly_and_kills_nothing(void **state)
{
    (void)state;
    static const int statuses[] = {400, 406, 422, 451, 500, 501, 505, 511, 599};
    for (size_t k = 0; k < sizeof(statuses) / sizeof(statuses[0]); k++) {
        ut_delivery_rig *rig = ut_delivery_rig_make();
        ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
        server->script = answer_in_its_place;
        server->first_n = 20;
        server->status = statuses[k];
        server->fields_z = k % 3 == 0   ? "Content-Type: text/html\r\n"
                           : k % 3 == 1 ? "Content-Type: text/plain\r\n"
                                        : "";
        for (int i = 0; i < 3; i++)
            (void)ut_filled_store_append(rig->store, 100, 0);
        ut_delivery_rig_start(rig);
        ut_delivery_rig_run_to_the_end(rig);
        ut_delivery_rig_expect_each_once(rig, server);
        assert_int_equal(server->count, 21);
        for (int i = 1; i <= 20; i++)
            assert_int_equal(server->requests[i].at_ms - server->requests[i - 1].at_ms, 60000);
        assert_in_range(ut_delivery_rig_log_lines(rig, "not OTLP; a proxy"), 1, 5);
        assert_int_equal(ut_delivery_rig_log_lines(rig, "\x1b"), 0);
        assert_int_equal(ut_delivery_rig_log_lines(rig, "\xe2\x80\xae"), 0);
        ut_delivery_rig_drop(rig);
    }
}

static void a_403_for_one_batch_alone_is_about_its_data(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = ut_delivery_rig_fail_bad_spans;
    server->status = 403;
    server->bad[0] = 150;
    server->bad_count = 1;
    rig->destinations[0].batch_spans_max = 100;
    for (int i = 0; i < 5; i++)
        (void)ut_filled_store_append(rig->store, 100, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(server->times[i], i == 150 ? 0 : 1);
    assert_int_equal(ut_delivery_rig_entry(rig, 0, 2).spans_dead, 1);
    ut_delivery_rig_drop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UT_DELIVERY_RIG_TEST(a_batch_that_is_too_large_is_halved_until_it_passes),
        UT_DELIVERY_RIG_TEST(a_single_span_that_is_too_large_becomes_a_dead_letter),
        UT_DELIVERY_RIG_TEST(bad_spans_are_found_among_good_ones),
        UT_DELIVERY_RIG_TEST(a_destination_that_refuses_everything_is_not_asked_span_by_span),
        UT_DELIVERY_RIG_TEST(an_outage_that_looks_like_refusals_costs_few_batches),
        UT_DELIVERY_RIG_TEST(partial_success_is_counted_and_not_tried_again),
        UT_DELIVERY_RIG_TEST(odd_partial_successes_are_counted_within_the_batch),
        UT_DELIVERY_RIG_TEST(a_wrong_setting_keeps_the_data_and_is_tried_slowly),
        UT_DELIVERY_RIG_TEST(a_web_page_is_not_taken_for_a_delivery),
        UT_DELIVERY_RIG_TEST(a_refusal_by_something_else_is_tried_slowly_and_kills_nothing),
        UT_DELIVERY_RIG_TEST(a_403_for_one_batch_alone_is_about_its_data),
    };
    return cmocka_run_group_tests(tests, ut_delivery_rig_warm_up, NULL);
}
