// The end of a dispatcher, drained or at any moment, and what it refuses to begin with.
#include "tests/support/delivery_rig.h"

#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool answers;

// Name servers that are silent until the test lets them answer.
int getaddrinfo(const char *host_z, const char *service_z, const struct addrinfo *hints,
                struct addrinfo **list)
{
    (void)host_z;
    (void)service_z;
    (void)hints;
    (void)list;
    (void)pthread_mutex_lock(&lock);
    while (!answers)
        (void)pthread_cond_wait(&changed, &lock);
    (void)pthread_mutex_unlock(&lock);
    return EAI_AGAIN;
}

static bool is_idle(ut_delivery_rig *rig)
{
    return ut_dispatcher_idle(rig->dispatcher);
}

static bool has_begun(ut_delivery_rig *rig)
{
    return ut_delivery_rig_status(rig, 0).in_flight > 0;
}

static void draining_ends_what_is_under_way_and_begins_nothing(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    rig->destinations[0].batch_spans_max = 100;
    for (int i = 0; i < 10; i++)
        (void)ut_filled_store_append(rig->store, 100, 0);
    ut_peer_hold(server->peer); // so that the answer comes only when it is draining
    ut_delivery_rig_start(rig);
    assert_true(ut_delivery_rig_run_until(rig, has_begun, UINT64_MAX));
    ut_dispatcher_drain(rig->dispatcher);
    assert_false(ut_dispatcher_idle(rig->dispatcher));
    ut_peer_release(server->peer);
    assert_true(ut_delivery_rig_run_until(rig, is_idle, UINT64_MAX));
    assert_int_equal(ut_filled_store_counts(rig->store, rig->destinations[0].dest).delivered, 100);
    assert_false(ut_delivery_rig_run_until(rig, ut_delivery_rig_settled, rig->now_ms + 100000));
    assert_int_equal(server->count, 1);
    ut_dispatcher_free(rig->dispatcher);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    ut_delivery_rig_drop(rig);
}

static void draining_leaves_what_fails_pending(void **state)
{
    (void)state;
    static const int statuses[] = {503, 413, 401};
    for (size_t k = 0; k < 3; k++) {
        ut_delivery_rig *rig = ut_delivery_rig_make();
        ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
        server->script = ut_delivery_rig_fail_first;
        server->first_n = 1;
        server->status = statuses[k];
        server->fields_z = "";
        (void)ut_filled_store_append(rig->store, 100, 0);
        rig->destinations[0].batch_spans_max = 50; // two parts of one block
        rig->destinations[0].connections = 2;
        ut_peer_hold(server->peer); // so that the answer comes only when it is draining
        ut_delivery_rig_start(rig);
        assert_true(ut_delivery_rig_run_until(rig, has_begun, UINT64_MAX));
        ut_dispatcher_drain(rig->dispatcher);
        ut_peer_release(server->peer);
        assert_true(ut_delivery_rig_run_until(rig, is_idle, UINT64_MAX));
        assert_int_equal(ut_delivery_rig_entry(rig, 0, 1).state, UT_DELIVERY_PENDING);
        ut_dispatcher_free(rig->dispatcher);
        ut_delivery_rig_start(rig);
        ut_delivery_rig_run_to_the_end(rig);
        assert_int_equal(ut_filled_store_counts(rig->store, rig->destinations[0].dest).delivered,
                         100);
        ut_delivery_rig_drop(rig);
    }
}

static void draining_does_not_wait_for_a_name_server(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    (void)ut_delivery_rig_add_server(rig, NULL);
    assert_int_equal(ut_url_parse("http://silent.example:4318/", &rig->destinations[0].url, NULL),
                     UT_OK);
    rig->destinations[0].connections = 2;
    (void)ut_filled_store_append(rig->store, 100, 0);
    ut_delivery_rig_start(rig);
    for (int i = 0; i < 3; i++) { // until a batch is read and due
        rig->now_ms += 2000;
        (void)ut_delivery_rig_step(rig);
    }
    assert_int_equal(ut_delivery_rig_status(rig, 0).in_flight, 1);
    ut_dispatcher_drain(rig->dispatcher);
    assert_true(ut_dispatcher_idle(rig->dispatcher));
    (void)ut_delivery_rig_step(rig);
    assert_int_equal(ut_delivery_rig_status(rig, 0).in_flight, 0);
    assert_int_equal(ut_delivery_rig_entry(rig, 0, 1).state, UT_DELIVERY_PENDING);
    ut_delivery_rig_drop(rig);
    (void)pthread_mutex_lock(&lock);
    answers = true;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

static void it_can_be_freed_at_any_moment(void **state)
{
    (void)state;
    for (int steps = 0; steps < 30; steps++) {
        ut_delivery_rig *rig = ut_delivery_rig_make();
        ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
        server->script = ut_delivery_rig_take_few;
        server->spans_max = 20;
        rig->destinations[0].connections = 3;
        rig->hold_marks = steps % 2 == 1;
        for (int i = 0; i < 5; i++)
            (void)ut_filled_store_append(rig->store, 100, 0);
        ut_delivery_rig_start(rig);
        for (int i = 0; i < steps; i++) {
            uint64_t next_ms = ut_delivery_rig_step(rig);
            if (ut_delivery_rig_await_sockets(rig, 2) == 0 && next_ms != UINT64_MAX &&
                next_ms > rig->now_ms && ut_delivery_rig_status(rig, 0).in_flight == 0)
                rig->now_ms = next_ms;
        }
        ut_delivery_rig_drop(rig);
    }
}

static void a_destination_that_cannot_work_is_explained(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    (void)ut_delivery_rig_add_server(rig, NULL);
    ut_delivery_rig_start(rig);
    char name_z[] = "Content-Length";
    char value_z[] = "5";
    for (int k = 0; k < 8; k++) {
        ut_destination_config d = rig->destinations[0];
        d.name_z = "broken";
        switch (k) {
        case 0:
            d.connections = 0;
            break;
        case 1:
            d.connections = UT_DESTINATION_CONNECTIONS_MAX + 1;
            break;
        case 2:
            d.batch_spans_max = 0;
            break;
        case 3:
            d.timeout_ms = 0;
            break;
        case 4:
            d.retry_multiplier = 0.5;
            break;
        case 5:
            d.headers[0] = (ut_header){name_z, value_z};
            d.header_count = 1;
            break;
        case 6:
            d.gzip = true;
            d.gzip_level = 0;
            break;
        default:
            d.url.tls = true; // without a CA
            break;
        }
        ut_fault fault = {0};
        assert_int_equal(ut_dispatcher_add(rig->dispatcher, &d, &fault), UT_EINVAL);
        assert_non_null(strstr(fault.text_z, "destination broken: "));
    }
    ut_delivery_rig_drop(rig);
}

static void there_is_an_end_to_destinations(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    (void)ut_delivery_rig_add_server(rig, NULL);
    ut_delivery_rig_start(rig);
    for (int i = 1; i < UT_STORE_DESTINATIONS_MAX; i++)
        assert_int_equal(ut_dispatcher_add(rig->dispatcher, &rig->destinations[0], NULL), UT_OK);
    ut_fault fault = {0};
    assert_int_equal(ut_dispatcher_add(rig->dispatcher, &rig->destinations[0], &fault), UT_EINVAL);
    ut_delivery_rig_drop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UT_DELIVERY_RIG_TEST(draining_ends_what_is_under_way_and_begins_nothing),
        UT_DELIVERY_RIG_TEST(draining_leaves_what_fails_pending),
        UT_DELIVERY_RIG_TEST(it_can_be_freed_at_any_moment),
        UT_DELIVERY_RIG_TEST(a_destination_that_cannot_work_is_explained),
        UT_DELIVERY_RIG_TEST(there_is_an_end_to_destinations),
        // The last: the thread of its look-up ends when it likes.
        cmocka_unit_test(draining_does_not_wait_for_a_name_server),
    };
    return cmocka_run_group_tests(tests, ut_delivery_rig_warm_up, NULL);
}
