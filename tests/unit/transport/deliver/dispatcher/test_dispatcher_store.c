// The store beside the deliveries: marks, restarts, expiry, damage, failing reads.
#include "tests/support/delivery_rig.h"
#include "transport/deliver/mark_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static bool holds_marks(ut_delivery_rig *rig)
{
    return ut_delivery_rig_status(rig, 0).requests >= 1 &&
           ut_delivery_rig_status(rig, 0).in_flight == 0;
}

static void while_marks_are_refused_nothing_new_is_begun(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    rig->destinations[0].batch_spans_max = 100;
    for (int i = 0; i < 10; i++)
        (void)ut_filled_store_append(rig->store, 100, 0);
    rig->hold_marks = true;
    ut_delivery_rig_start(rig);
    assert_true(ut_delivery_rig_run_until(rig, holds_marks, UINT64_MAX));
    assert_false(ut_delivery_rig_run_until(rig, ut_delivery_rig_settled, rig->now_ms + 10000));
    assert_int_equal(server->count, 1);
    assert_false(ut_dispatcher_idle(rig->dispatcher));
    rig->hold_marks = false;
    rig->refuse_marks = 1;
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    assert_int_equal(rig->marks, 10);
    ut_delivery_rig_drop(rig);
}

// A store that is out of order for long is not asked all the time.
static void marks_that_are_refused_are_offered_ever_more_seldom(void **state)
{
    (void)state;
    enum { SECONDS = 60, WHILE_IT_GROWS = 8 };
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    rig->destinations[0].batch_delay_ms_max = 1;
    (void)ut_filled_store_append(rig->store, 10, 0);
    rig->hold_marks = true;
    ut_delivery_rig_start(rig);
    assert_true(ut_delivery_rig_run_until(rig, holds_marks, UINT64_MAX));
    const uint64_t begin_ms = rig->now_ms;
    assert_false(
        ut_delivery_rig_run_until(rig, ut_delivery_rig_settled, begin_ms + SECONDS * 1000));
    assert_true(rig->marks_refused >= SECONDS);
    assert_true(rig->marks_refused <= SECONDS + WHILE_IT_GROWS);
    // Once the store takes one, the next refusal is a short one again.
    rig->hold_marks = false;
    ut_delivery_rig_run_to_the_end(rig);
    (void)ut_filled_store_append(rig->store, 10, 0);
    ut_dispatcher_advance(rig->dispatcher, 2);
    rig->refuse_marks = 1;
    const uint64_t second_ms = rig->now_ms;
    ut_delivery_rig_run_to_the_end(rig);
    assert_true(rig->now_ms - second_ms < UT_MARK_AGAIN_MAX_MS);
    ut_delivery_rig_expect_each_once(rig, server);
    ut_delivery_rig_drop(rig);
}

static bool half_delivered(ut_delivery_rig *rig)
{
    return ut_filled_store_counts(rig->store, rig->destinations[0].dest).delivered >= 1000;
}

static void a_restart_sends_only_what_was_not_marked(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    rig->destinations[0].batch_spans_max = 100;
    for (int i = 0; i < 20; i++)
        (void)ut_filled_store_append(rig->store, 100, 0);
    ut_delivery_rig_start(rig);
    assert_true(ut_delivery_rig_run_until(rig, half_delivered, UINT64_MAX));
    uint64_t delivered = ut_filled_store_counts(rig->store, rig->destinations[0].dest).delivered;
    ut_dispatcher_free(rig->dispatcher);
    ut_peer_hold(server->peer);
    int sent = server->count;
    ut_peer_release(server->peer);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    // The server may have read one that was under way only after it was counted here.
    assert_in_range(server->count - sent, 20 - delivered / 100, 20 - delivered / 100 + 1);
    for (size_t i = 0; i < 2000; i++)
        assert_in_range(server->times[i], 1, i < delivered ? 1 : 2);
    ut_delivery_rig_drop(rig);
}

static void a_restart_tries_at_once_and_goes_on_counting(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = ut_delivery_rig_fail_first;
    server->first_n = 1;
    server->status = 503;
    server->fields_z = "Retry-After: 5\r\n"; // no wait by chance of 0 ms
    (void)ut_filled_store_append(rig->store, 10, 0);
    ut_delivery_rig_start(rig);
    assert_true(ut_delivery_rig_run_until(rig, ut_delivery_rig_has_failed_once, UINT64_MAX));
    ut_dispatcher_free(rig->dispatcher);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    assert_int_equal(ut_delivery_rig_entry(rig, 0, 1).attempts, 2);
    ut_delivery_rig_drop(rig);
}

static void what_has_expired_is_left_out(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = ut_delivery_rig_fail_first;
    server->first_n = 1;
    server->status = 503;
    server->fields_z = "Retry-After: 5\r\n"; // no wait by chance of 0 ms
    (void)ut_filled_store_append(rig->store, 10, 1000);
    (void)ut_filled_store_append(rig->store, 20, 0);
    (void)ut_filled_store_append(rig->store, 30, 1000);
    ut_delivery_rig_start(rig);
    assert_true(ut_delivery_rig_run_until(rig, ut_delivery_rig_has_failed_once, UINT64_MAX));
    ut_filled_store_sweep(rig->store,
                          UT_DELIVERY_RIG_WALL_BEGIN_NS + 10 * 3600 * UT_DELIVERY_RIG_SECOND_NS);
    ut_delivery_rig_run_to_the_end(rig);
    assert_int_equal(server->count, 2);
    assert_int_equal(server->requests[1].spans, 20);
    ut_store_destination_counts counts =
        ut_filled_store_counts(rig->store, rig->destinations[0].dest);
    assert_int_equal(counts.delivered, 20);
    assert_int_equal(counts.expired, 40);
    assert_int_equal(ut_delivery_rig_status(rig, 0).spans_delivered, 20);
    assert_int_equal(ut_delivery_rig_status(rig, 0).spans_dead, 0);
    ut_delivery_rig_drop(rig);
}

static void a_damaged_block_dies_and_its_neighbours_arrive(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    for (int i = 0; i < 3; i++)
        (void)ut_filled_store_append(rig->store, 30, 0);
    ut_filled_store_damage(rig->store, 2);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    assert_int_equal(server->count, 1);
    assert_int_equal(server->requests[0].spans, 60);
    ut_delivery entry = ut_delivery_rig_entry(rig, 0, 2);
    assert_int_equal(entry.state, UT_DELIVERY_DEAD);
    assert_string_equal(entry.reason_z, "the block is damaged");
    assert_int_equal(entry.spans_dead, 30);
    assert_int_equal(ut_delivery_rig_log_lines(rig, "block 2 in the store is damaged"), 1);
    ut_delivery_rig_drop(rig);
}

static bool first_call_came(ut_delivery_rig *rig)
{
    return rig->faults.fail_at == 0 || rig->faults.calls >= rig->faults.fail_at;
}

static void a_store_that_fails_is_read_again_later(void **state)
{
    (void)state;
    // Every call of the engine fails once in turn; some of these failures are met by the marks'
    // side, which is not under test, so only reading calls are counted: no mark is taken meanwhile.
    for (uint64_t call = 1; call <= 12; call++) {
        ut_delivery_rig *rig = ut_delivery_rig_make();
        ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
        rig->destinations[0].batch_spans_max = 50;
        for (int i = 0; i < 3; i++)
            (void)ut_filled_store_append(rig->store, 50, 0);
        ut_delivery_rig_start(rig);
        rig->hold_marks = true;
        rig->faults = (ut_faults){.fail_at = call, .err = UT_EIO};
        (void)ut_delivery_rig_run_until(rig, first_call_came, rig->now_ms + 5000);
        rig->faults.fail_at = 0;
        rig->hold_marks = false;
        ut_delivery_rig_run_to_the_end(rig);
        ut_delivery_rig_expect_each_once(rig, server);
        ut_delivery_rig_drop(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UT_DELIVERY_RIG_TEST(while_marks_are_refused_nothing_new_is_begun),
        UT_DELIVERY_RIG_TEST(marks_that_are_refused_are_offered_ever_more_seldom),
        UT_DELIVERY_RIG_TEST(a_restart_sends_only_what_was_not_marked),
        UT_DELIVERY_RIG_TEST(a_restart_tries_at_once_and_goes_on_counting),
        UT_DELIVERY_RIG_TEST(what_has_expired_is_left_out),
        UT_DELIVERY_RIG_TEST(a_damaged_block_dies_and_its_neighbours_arrive),
        UT_DELIVERY_RIG_TEST(a_store_that_fails_is_read_again_later),
    };
    return cmocka_run_group_tests(tests, ut_delivery_rig_warm_up, NULL);
}
