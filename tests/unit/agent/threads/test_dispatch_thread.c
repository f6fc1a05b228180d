// The dispatch thread over a real store and a server on loopback: what it is told reaches the
// dispatcher. What the dispatcher makes of it is test_dispatcher.c's.
#include "agent/threads/dispatch_thread.h"
#include "adapters/otlp/otlp.h"
#include "tests/support/engine_memory.h"
#include "tests/support/filled_store.h"
#include "tests/support/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdio.h>

enum { PATIENCE_MS = 20000, BUDGET = 16 * 1024 * 1024 };

static ut_err take_mark(void *context, const ut_delivery *mark)
{
    (void)context;
    (void)mark;
    return UT_OK;
}

static void accept_all(void *context, const ut_peer_request *request, ut_peer_answer *answer)
{
    (void)context;
    (void)request;
    ut_peer_answer_write(answer, 200, "Content-Type: application/x-protobuf\r\n", UT_BYTES_NONE);
}

// Two threads may tell of commits at the same time, and the one with the older number come last.
static void an_older_number_takes_nothing_back(void **state)
{
    (void)state;
    const ut_peer_config server = {.script = accept_all};
    ut_peer *peer = ut_peer_start(&server);
    ut_filled_store *store = ut_filled_store_open(ut_engine_memory_open(BUDGET));
    ut_destination_config destination = {
        .name_z = "central",
        .org = UT_FILLED_ORG,
        .dest = ut_filled_store_destination(store, "central"),
        .encoder = &ut_otlp_protobuf_encoder,
        .connections = 1,
        .batch_spans_max = 1,
        .batch_bytes_max = 1024 * 1024,
        .batch_delay_ms_max = 1,
        .retry_initial_ms = 1000,
        .retry_max_ms = 60000,
        .retry_multiplier = 2,
        .timeout_ms = 10000,
    };
    char url_z[64];
    (void)snprintf(url_z, sizeof url_z, "http://127.0.0.1:%u/v1/traces",
                   (unsigned)ut_peer_port(peer));
    assert_int_equal(ut_url_parse(url_z, &destination.url, NULL), UT_OK);
    const ut_log log = {0};
    const ut_dispatch_thread_config config = {
        .engine = ut_filled_store_engine(store),
        .destinations = &destination,
        .destination_count = 1,
        .log = &log,
        .mark = take_mark,
    };
    ut_dispatch_thread *thread = NULL;
    ut_fault fault = {UT_OK, ""};
    if (ut_dispatch_thread_new(&config, &thread, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    const uint64_t seq = ut_filled_store_append(store, 1, 0);
    ut_dispatch_thread_advance(thread, seq);
    ut_dispatch_thread_advance(thread, seq - 1);
    assert_int_equal(ut_dispatch_thread_start(thread), UT_OK);
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_peer_get_counts(peer).requests == 0) {
        if (ut_clock_mono_ms() - begin_ms > PATIENCE_MS)
            fail_msg("the block never came");
        (void)sched_yield();
    }
    ut_dispatch_thread_join(thread);
    ut_dispatch_thread_free(thread);
    ut_filled_store_close(store);
    ut_peer_stop(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_older_number_takes_nothing_back),
    };
    return cmocka_run_group_tests_name("dispatch_thread", tests, NULL, NULL);
}
