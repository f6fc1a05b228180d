// Failures that pass: waits that grow, one probe at a time, attempts that are counted.
#include "tests/support/delivery_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void a_failure_is_tried_again_with_growing_waits_and_one_probe_at_a_time(void **state)
{
    (void)state;
    static const int statuses[] = {429, 502, 503, 504};
    for (size_t k = 0; k < 4; k++) {
        ut_delivery_rig *rig = ut_delivery_rig_make();
        ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
        server->script = ut_delivery_rig_fail_first;
        server->first_n = 9;
        server->status = statuses[k];
        server->fields_z = "";
        rig->destinations[0].connections = 4;
        rig->destinations[0].batch_spans_max = 50;
        for (int i = 0; i < 10; i++)
            (void)ut_filled_store_append(rig->store, 50, 0);
        ut_delivery_rig_start(rig);
        ut_delivery_rig_run_to_the_end(rig);
        ut_delivery_rig_expect_each_once(rig, server);
        assert_int_equal(server->count, 9 + 10);
        for (int i = 1; i < 10; i++) {
            uint64_t ceiling_ms = 1000u << (i - 1);
            uint64_t wait_ms = server->requests[i].at_ms - server->requests[i - 1].at_ms;
            assert_in_range(wait_ms, 0, ceiling_ms < 60000 ? ceiling_ms : 60000);
        }
        // Nine probes; after the first success everything goes at once.
        assert_int_equal(server->requests[18].at_ms - server->requests[9].at_ms, 0);
        assert_int_equal(ut_delivery_rig_log_lines(rig, "warn"), 4); // failures 1, 2, 4 and 8
        assert_int_equal(ut_delivery_rig_log_lines(rig, "answers again, after 9 failures"), 1);
        assert_int_equal(ut_delivery_rig_log_lines(rig, "busy with other things"), 4);
        assert_false(ut_delivery_rig_status(rig, 0).failing);
        assert_int_equal(ut_delivery_rig_status(rig, 0).failures, 9);
        ut_delivery_rig_drop(rig);
    }
}

static void each_try_behind_a_failing_answer_has_a_connection_of_its_own(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *fields_z;
        bool anew;
    } rows[] = {
        {502, "", true},
        {503, "", true},
        {504, "", true},
        {302, "", true},
        {401, "", true},
        {404, "", true},
        // It knows us, and only asks for time.
        {429, "", false},
        {503, "Retry-After: 1\r\n", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum { FAILURES = 5 };
        ut_delivery_rig *rig = ut_delivery_rig_make();
        ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
        server->script = ut_delivery_rig_fail_first;
        server->first_n = FAILURES;
        server->status = rows[i].status;
        server->fields_z = rows[i].fields_z;
        rig->destinations[0].retry_max_ms = 1000; // no connection is closed for being idle
        (void)ut_filled_store_append(rig->store, 50, 0);
        ut_delivery_rig_start(rig);
        ut_delivery_rig_run_to_the_end(rig);
        ut_delivery_rig_expect_each_once(rig, server);
        assert_int_equal(ut_peer_get_counts(server->peer).connections,
                         rows[i].anew ? FAILURES + 1 : 1);
        ut_delivery_rig_drop(rig);
    }
}

static bool has_failed_twice(ut_delivery_rig *rig)
{
    return ut_delivery_rig_status(rig, 0).failures == 2;
}

// Fails requests by their number: the first one passes, then so many fail.
static void fail_after_first(ut_delivery_rig_server *server, const ut_delivery_rig_request *request,
                             const size_t *places, ut_peer_answer *answer)
{
    (void)request;
    (void)places;
    if (server->count > 1 && server->count <= 1 + server->first_n)
        ut_delivery_rig_answer(answer, 503, server->fields_z, "busy with other things");
    else
        ut_delivery_rig_answer(answer, 200, "", NULL);
}

static void a_destination_that_stops_working_is_probed_by_one_request_at_a_time(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = fail_after_first;
    server->first_n = 12;
    server->fields_z = "Retry-After: 100\r\n"; // so that each round has a time of its own
    rig->destinations[0].connections = 4;
    rig->destinations[0].batch_spans_max = 50;
    for (int i = 0; i < 20; i++)
        (void)ut_filled_store_append(rig->store, 50, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    int rounds[64] = {0};
    int round = 0;
    for (int i = 1; i <= 13; i++) {
        round += server->requests[i].at_ms != server->requests[i - 1].at_ms;
        rounds[round]++;
    }
    assert_in_range(rounds[0], 1, 4); // requests that were under way together
    for (int i = 1; i <= round; i++)
        assert_int_equal(rounds[i], 1);
    ut_delivery_rig_drop(rig);
}

// Delivers one block, so that several requests are allowed, appends more blocks, and steps until
// two requests are under way. The server is held.
static void begin_two(ut_delivery_rig *rig, ut_delivery_rig_server *server, int blocks,
                      uint32_t spans)
{
    (void)ut_filled_store_append(rig->store, 50, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    ut_peer_hold(server->peer);
    for (int i = 0; i < blocks; i++)
        (void)ut_filled_store_append(rig->store, spans, 0);
    ut_dispatcher_advance(rig->dispatcher, ut_filled_store_last_seq(rig->store));
    uint64_t end = ut_clock_mono_ms() + UT_DELIVERY_RIG_DEADLINE_MS;
    while (ut_delivery_rig_status(rig, 0).in_flight < 2) {
        assert_true(ut_clock_mono_ms() < end);
        (void)ut_delivery_rig_step(rig);
        (void)ut_delivery_rig_await_sockets(rig, 1);
    }
}

// Fails the batch with the first bad span as often as first_n says.
static void fail_bad_for_a_while(ut_delivery_rig_server *server,
                                 const ut_delivery_rig_request *request, const size_t *places,
                                 ut_peer_answer *answer)
{
    for (uint32_t i = 0; i < request->spans; i++) {
        if (places[i] == server->bad[0] && server->first_n > 0) {
            server->first_n--;
            ut_delivery_rig_answer(answer, 503, server->fields_z, "not now");
            return;
        }
    }
    ut_delivery_rig_answer(answer, 200, "", NULL);
}

// Answers two requests that are under way together: the first one's batch is refused for now, the
// other's taken. Both answers are there before the dispatcher looks.
static void fail_one_of_two(ut_delivery_rig *rig, ut_delivery_rig_server *server,
                            const char *fields_z)
{
    server->script = fail_bad_for_a_while;
    server->first_n = 1;
    server->fields_z = fields_z;
    server->bad[0] = 50;
    rig->destinations[0].connections = 2;
    rig->destinations[0].batch_spans_max = 50;
    rig->destinations[0].retry_initial_ms = 1000000000; // a wait that no test mistakes for none
    rig->destinations[0].retry_max_ms = 1000000000;
    rig->destinations[0].timeout_ms = 2000000000;
    begin_two(rig, server, 3, 50);
    ut_peer_release(server->peer);
    while (ut_delivery_rig_await_sockets(rig, UT_DELIVERY_RIG_DEADLINE_MS) < 2)
        ;
    (void)ut_delivery_rig_step(rig);
    assert_int_equal(ut_delivery_rig_status(rig, 0).failures, 1);
}

static void one_success_ends_the_wait_at_once(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    fail_one_of_two(rig, server, "");
    uint64_t now_ms = rig->now_ms;
    assert_true(ut_delivery_rig_run_until(rig, ut_delivery_rig_settled, now_ms));
    assert_int_equal(rig->now_ms, now_ms);
    ut_delivery_rig_drop(rig);
}

static void a_success_does_not_end_the_wait_that_was_asked_for(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    fail_one_of_two(rig, server, "Retry-After: 60\r\n");
    ut_peer_hold(server->peer);
    int count = server->count;
    ut_peer_release(server->peer);
    uint64_t now_ms = rig->now_ms;
    assert_false(ut_delivery_rig_run_until(rig, ut_delivery_rig_settled, now_ms + 59999));
    assert_int_equal(server->count, count);
    assert_true(ut_delivery_rig_run_until(rig, ut_delivery_rig_settled, now_ms + 60000));
    ut_delivery_rig_drop(rig);
}

static void two_parts_of_a_block_that_fail_make_one_mark(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = fail_after_first;
    server->first_n = 2;
    server->fields_z = "Retry-After: 5\r\n"; // no wait by chance of 0 ms
    rig->destinations[0].connections = 2;
    rig->destinations[0].batch_spans_max = 50;
    begin_two(rig, server, 1, 100);
    rig->hold_marks = true;
    uint64_t marks = rig->marks;
    ut_peer_release(server->peer);
    assert_true(ut_delivery_rig_run_until(rig, has_failed_twice, UINT64_MAX));
    rig->hold_marks = false;
    rig->now_ms += 1000;
    (void)ut_delivery_rig_step(rig);
    assert_int_equal(rig->marks, marks + 1);
    ut_delivery entry = ut_delivery_rig_entry(rig, 0, 2);
    assert_int_equal(entry.state, UT_DELIVERY_PENDING);
    assert_int_equal(entry.attempts, 1);
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    ut_delivery_rig_drop(rig);
}

static void a_block_that_waits_is_marked_with_reason_and_time(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = ut_delivery_rig_fail_first;
    server->first_n = 1;
    server->status = 503;
    server->fields_z = "Retry-After: 30\r\n";
    (void)ut_filled_store_append(rig->store, 5, 0);
    (void)ut_filled_store_append(rig->store, 6, 0);
    ut_delivery_rig_start(rig);
    assert_true(ut_delivery_rig_run_until(rig, ut_delivery_rig_has_failed_once, UINT64_MAX));
    for (uint64_t seq = 1; seq <= 2; seq++) {
        ut_delivery entry = ut_delivery_rig_entry(rig, 0, seq);
        assert_int_equal(entry.state, UT_DELIVERY_PENDING);
        assert_int_equal(entry.attempts, 1);
        assert_int_equal(entry.http_status, 503);
        assert_string_equal(entry.reason_z, "HTTP 503: busy with other things");
        assert_int_equal(entry.updated_ns, ut_delivery_rig_wall_ns(rig));
        assert_int_equal(entry.next_try_ns,
                         ut_delivery_rig_wall_ns(rig) + 30 * UT_DELIVERY_RIG_SECOND_NS);
    }
    assert_true(ut_delivery_rig_status(rig, 0).failing);
    ut_delivery_rig_run_to_the_end(rig);
    assert_int_equal(rig->marks, 4); // one for each block and attempt
    assert_int_equal(ut_delivery_rig_entry(rig, 0, 1).attempts, 2);
    ut_delivery_rig_drop(rig);
}

static void retry_after_is_the_shortest_wait(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = ut_delivery_rig_fail_first;
    server->first_n = 3;
    server->status = 429;
    server->fields_z = "Retry-After: 300\r\n";
    (void)ut_filled_store_append(rig->store, 5, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    assert_int_equal(server->count, 4);
    for (int i = 1; i < 4; i++)
        assert_int_equal(server->requests[i].at_ms - server->requests[i - 1].at_ms, 300000);
    ut_delivery_rig_drop(rig);
}

static void break_first(ut_delivery_rig_server *server, const ut_delivery_rig_request *request,
                        const size_t *places, ut_peer_answer *answer)
{
    (void)request;
    (void)places;
    if (server->count <= server->first_n)
        answer->then = UT_PEER_RESET;
    else
        ut_delivery_rig_answer(answer, 200, "", NULL);
}

static void a_connection_that_breaks_is_tried_again(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = break_first;
    server->first_n = 3;
    (void)ut_filled_store_append(rig->store, 50, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    assert_int_equal(server->count, 4);
    assert_int_equal(ut_delivery_rig_log_lines(rig, "the connection broke"), 2);
    ut_delivery_rig_drop(rig);
}

static void a_dead_destination_does_not_touch_the_others(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *dead = ut_delivery_rig_add_server(rig, NULL);
    ut_delivery_rig_server *alive = ut_delivery_rig_add_server(rig, NULL);
    ut_peer_stop(dead->peer); // connections are refused from now on
    dead->peer = NULL;
    uint64_t seqs = 0;
    for (int i = 0; i < 50; i++)
        seqs = ut_filled_store_append(rig->store, 100, 0);
    ut_delivery_rig_start(rig);
    assert_false(ut_delivery_rig_run_until(rig, ut_delivery_rig_settled, rig->now_ms + 3600000));
    ut_delivery_rig_expect_each_once(rig, alive);
    for (uint64_t seq = 1; seq <= seqs; seq++)
        assert_int_equal(ut_delivery_rig_entry(rig, 1, seq).state, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_filled_store_counts(rig->store, rig->destinations[0].dest).delivered, 0);
    assert_non_null(strstr(ut_delivery_rig_entry(rig, 0, 1).reason_z, "refused"));
    // An hour of a dead destination is a handful of lines.
    assert_in_range(ut_delivery_rig_log_lines(rig, "first: cannot deliver"), 4, 10);
    assert_int_equal(ut_delivery_rig_log_lines(rig, "second:"), 0);
    ut_delivery_rig_drop(rig);
}

static bool others_arrived(ut_delivery_rig *rig)
{
    bool arrived = true;
    ut_peer_hold(rig->servers[0].peer);
    for (size_t i = 100; i < ut_filled_store_count(rig->store); i++)
        arrived = arrived && rig->servers[0].times[i] > 0;
    ut_peer_release(rig->servers[0].peer);
    return arrived;
}

static void a_batch_that_always_fails_does_not_hold_up_the_others(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = ut_delivery_rig_fail_bad_spans;
    server->status = 503;
    server->bad[0] = 50;
    server->bad_count = 1;
    rig->destinations[0].batch_spans_max = 100;
    for (int i = 0; i < 30; i++)
        (void)ut_filled_store_append(rig->store, 100, 0);
    ut_delivery_rig_start(rig);
    assert_true(ut_delivery_rig_run_until(rig, others_arrived, rig->now_ms + 10000));
    assert_int_equal(ut_delivery_rig_entry(rig, 0, 1).state, UT_DELIVERY_PENDING);
    // It alone goes on being tried, less and less often, and its failures are no failure of the
    // destination.
    assert_false(ut_delivery_rig_run_until(rig, ut_delivery_rig_settled, rig->now_ms + 3600000));
    assert_in_range(server->count, 30 + 60, 30 + 400);
    server->bad_count = 0;
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    ut_delivery_rig_drop(rig);
}

static void count_and_fail(ut_delivery_rig_server *server, const ut_delivery_rig_request *request,
                           const size_t *places, ut_peer_answer *answer)
{
    ut_delivery_rig_take(server, places, request->spans);
    ut_delivery_rig_answer(answer, 503, "", "not now");
}

static void attempts_can_be_limited(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = ut_delivery_rig_fail_first;
    server->first_n = 1000;
    server->status = 503;
    server->fields_z = "";
    rig->destinations[0].retry_attempts_max = 5;
    (void)ut_filled_store_append(rig->store, 5, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    assert_int_equal(server->count, 5);
    ut_delivery entry = ut_delivery_rig_entry(rig, 0, 1);
    assert_int_equal(entry.state, UT_DELIVERY_DEAD);
    assert_int_equal(entry.attempts, 5);
    assert_int_equal(entry.spans_dead, 5);
    assert_string_equal(entry.reason_z, "after 5 attempts: HTTP 503: busy with other things");
    ut_delivery_rig_drop(rig);
}

static void each_part_of_a_block_has_all_its_attempts(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = count_and_fail;
    rig->destinations[0].retry_attempts_max = 5;
    rig->destinations[0].batch_spans_max = 64;
    (void)ut_filled_store_append(rig->store, 200, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(server->times[i], 5);
    ut_delivery entry = ut_delivery_rig_entry(rig, 0, 1);
    assert_int_equal(entry.state, UT_DELIVERY_DEAD);
    assert_int_equal(entry.attempts, 5);
    assert_int_equal(entry.spans_dead, 200);
    ut_delivery_rig_drop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UT_DELIVERY_RIG_TEST(a_failure_is_tried_again_with_growing_waits_and_one_probe_at_a_time),
        UT_DELIVERY_RIG_TEST(each_try_behind_a_failing_answer_has_a_connection_of_its_own),
        UT_DELIVERY_RIG_TEST(a_destination_that_stops_working_is_probed_by_one_request_at_a_time),
        UT_DELIVERY_RIG_TEST(one_success_ends_the_wait_at_once),
        UT_DELIVERY_RIG_TEST(a_success_does_not_end_the_wait_that_was_asked_for),
        UT_DELIVERY_RIG_TEST(two_parts_of_a_block_that_fail_make_one_mark),
        UT_DELIVERY_RIG_TEST(a_block_that_waits_is_marked_with_reason_and_time),
        UT_DELIVERY_RIG_TEST(retry_after_is_the_shortest_wait),
        UT_DELIVERY_RIG_TEST(a_connection_that_breaks_is_tried_again),
        UT_DELIVERY_RIG_TEST(a_dead_destination_does_not_touch_the_others),
        UT_DELIVERY_RIG_TEST(a_batch_that_always_fails_does_not_hold_up_the_others),
        UT_DELIVERY_RIG_TEST(attempts_can_be_limited),
        UT_DELIVERY_RIG_TEST(each_part_of_a_block_has_all_its_attempts),
    };
    return cmocka_run_group_tests(tests, ut_delivery_rig_warm_up, NULL);
}
