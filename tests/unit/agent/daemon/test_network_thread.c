// The network thread: it serves, ends when its servers are idle, and can be cut off.
#include "agent/daemon/network_thread.h"

#include "tests/support/receiver_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <unistd.h>

enum { MOMENT_US = 500 };

static void a_moment(void *context)
{
    (void)context;
    (void)usleep(MOMENT_US);
}

static void count(void *context)
{
    (void)atomic_fetch_add((atomic_uint *)context, 1);
}

static ut_network_thread *start(ut_receiver_rig *rig, atomic_uint *ends)
{
    const ut_network_thread_config config = {
        .poller = rig->poller,
        .servers = {.otlp_http = rig->receiver},
        .store = rig->thread,
        .ended = count,
        .ended_context = ends,
    };
    ut_network_thread *network = NULL;
    ut_fault fault = {UT_OK, ""};
    if (ut_network_thread_start(&config, &network, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    return network;
}

static ut_wire open_wire(ut_receiver_rig *rig)
{
    ut_wire wire;
    ut_wire_open(&wire, &rig->addr, a_moment, rig);
    return wire;
}

static void wait_for_end(const ut_network_thread *network)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (!ut_network_thread_ended(network)) {
        a_moment(NULL);
        ut_wire_patience(begin_ms, "the end of the thread");
    }
}

static void wait_for_commit(ut_receiver_rig *rig)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_waiting(rig->gate) == 0) {
        a_moment(NULL);
        ut_wire_patience(begin_ms, "a commit");
    }
}

static void it_serves_until_it_is_drained(void **state)
{
    ut_receiver_rig *rig = *state;
    const ut_otlp_encoder *encoder = ut_rig_encoders[0];
    atomic_uint ends = 0;
    ut_network_thread *network = start(rig, &ends);
    ut_wire wire = open_wire(rig);
    for (uint64_t i = 0; i < 3; i++) {
        const ut_wire_answer answer =
            ut_rig_ask(&wire, ut_rig_fields(encoder), ut_rig_body(rig, i, 10, encoder));
        ut_rig_assert_success(&answer, encoder);
    }
    assert_false(ut_network_thread_ended(network));
    ut_network_thread_drain(network);
    wait_for_end(network); // the idle connection does not hold it up
    ut_network_thread_join(network);
    assert_int_equal(ends, 1);
    ut_wire_close(&wire);
    assert_int_equal(ut_rig_counts(rig).spans_stored, 30);
}

static void a_request_under_way_is_answered_before_the_end(void **state)
{
    ut_receiver_rig *rig = *state;
    const ut_otlp_encoder *encoder = ut_rig_encoders[0];
    atomic_uint ends = 0;
    ut_network_thread *network = start(rig, &ends);
    ut_wire wire = open_wire(rig);
    ut_engine_gate_hold(rig->gate, true);
    ut_rig_send(&wire, ut_rig_fields(encoder), ut_rig_body(rig, 1, 10, encoder));
    wait_for_commit(rig);
    ut_network_thread_drain(network);
    assert_false(ut_network_thread_ended(network));
    ut_engine_gate_hold(rig->gate, false);
    const ut_wire_answer answer = ut_rig_take(&wire);
    ut_rig_assert_success(&answer, encoder);
    wait_for_end(network);
    ut_network_thread_join(network);
    assert_int_equal(ends, 1);
    ut_wire_close(&wire);
}

static void it_can_be_cut_off_with_a_request_under_way(void **state)
{
    ut_receiver_rig *rig = *state;
    const ut_otlp_encoder *encoder = ut_rig_encoders[0];
    atomic_uint ends = 0;
    ut_network_thread *network = start(rig, &ends);
    ut_wire wire = open_wire(rig);
    ut_engine_gate_hold(rig->gate, true);
    ut_rig_send(&wire, ut_rig_fields(encoder), ut_rig_body(rig, 1, 10, encoder));
    wait_for_commit(rig);
    ut_network_thread_join(network); // while the commit is still held
    assert_int_equal(ends, 1);
    ut_wire_close(&wire);
    assert_int_equal(ut_rig_counts(rig).spans_stored, 10); // it was taken, so it is stored
    ut_network_thread_join(NULL);
}

static void without_a_request_under_way_it_ends_at_once(void **state)
{
    ut_receiver_rig *rig = *state;
    atomic_uint ends = 0;
    ut_network_thread *network = start(rig, &ends);
    ut_network_thread_drain(network);
    wait_for_end(network);
    ut_network_thread_join(network);
    assert_int_equal(ends, 1);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(it_serves_until_it_is_drained),
        CLAIM(a_request_under_way_is_answered_before_the_end),
        CLAIM(it_can_be_cut_off_with_a_request_under_way),
        CLAIM(without_a_request_under_way_it_ends_at_once),
    };
    return cmocka_run_group_tests_name("network_thread", tests, NULL, NULL);
}
