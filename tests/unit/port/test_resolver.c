// Name resolution: what is answered at once, what goes through the threads, limits, cancelling,
// closing. No test needs a name server: the names that go through the threads are decided inside
// the C library.
#include "port/port.h"

#include <stdio.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

enum { DEADLINE_MS = 60000 };

// A number in a form that only getaddrinfo reads.
static const char threaded_z[] = "127.1";
// No label may be longer than 63 characters.
static const char impossible_z[] =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid";

typedef struct {
    ut_poller *poller;
    ut_resolver *resolver;
} fixture;

static int open_both(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    if (f == NULL || ut_poller_open(&f->poller) != UT_OK ||
        ut_resolver_open(f->poller, &f->resolver) != UT_OK)
        return -1;
    *state = f;
    return 0;
}

static int close_both(void **state)
{
    fixture *f = *state;
    ut_resolver_close(f->resolver);
    ut_poller_close(f->poller);
    free(f);
    return 0;
}

// Takes the answer, waiting for wakes alone.
static ut_err await(fixture *f, uint32_t ticket, ut_addr addrs[UT_RESOLVE_ADDRS_MAX], size_t *count,
                    ut_fault *fault)
{
    uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
    for (;;) {
        ut_err err = ut_resolver_take(f->resolver, ticket, addrs, count, fault);
        if (err != UT_EAGAIN)
            return err;
        uint64_t now = ut_clock_mono_ms();
        if (now >= end)
            fail_msg("no answer");
        ut_poll_event event;
        size_t events;
        assert_int_equal(ut_poller_wait(f->poller, end - now, &event, 1, &events), UT_OK);
    }
}

static void numbers_are_answered_at_once(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *host_z;
        const char *addr_z;
    } table[] = {
        {"127.0.0.1", "127.0.0.1:443"},
        {"10.20.30.40", "10.20.30.40:443"},
        {"::1", "[::1]:443"},
        {"2001:db8::7", "[2001:db8::7]:443"},
        {"fe80::1%3", "[fe80::1%3]:443"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint32_t ticket = 0;
        ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
        size_t count = 0;
        char text_z[UT_ADDR_TEXT_MAX];
        assert_int_equal(ut_resolver_start(f->resolver, table[i].host_z, 443, &ticket), UT_OK);
        assert_int_equal(ut_resolver_take(f->resolver, ticket, addrs, &count, NULL), UT_OK);
        assert_int_equal(count, 1);
        ut_addr_text(&addrs[0], text_z);
        assert_string_equal(text_z, table[i].addr_z);
    }
}

static void localhost_is_loopback_at_once(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"localhost", "LocalHost", "localhost."};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint32_t ticket = 0;
        ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
        size_t count = 0;
        char text_z[UT_ADDR_TEXT_MAX];
        assert_int_equal(ut_resolver_start(f->resolver, names[i], 4318, &ticket), UT_OK);
        assert_int_equal(ut_resolver_take(f->resolver, ticket, addrs, &count, NULL), UT_OK);
        assert_int_equal(count, 2);
        ut_addr_text(&addrs[0], text_z);
        assert_string_equal(text_z, "127.0.0.1:4318");
        ut_addr_text(&addrs[1], text_z);
        assert_string_equal(text_z, "[::1]:4318");
    }
}

static void an_answer_at_once_wakes_too(void **state)
{
    fixture *f = *state;
    uint32_t ticket = 0;
    assert_int_equal(ut_resolver_start(f->resolver, "127.0.0.1", 1, &ticket), UT_OK);
    ut_poll_event event;
    size_t events = 99;
    assert_int_equal(ut_poller_wait(f->poller, UT_POLL_FOREVER, &event, 1, &events), UT_OK);
    assert_int_equal(events, 0);
}

static void a_look_up_on_a_thread_wakes_and_answers(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        uint32_t ticket = 0;
        ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
        size_t count = 0;
        char text_z[UT_ADDR_TEXT_MAX];
        assert_int_equal(ut_resolver_start(f->resolver, threaded_z, 4318, &ticket), UT_OK);
        assert_int_equal(await(f, ticket, addrs, &count, NULL), UT_OK);
        assert_int_equal(count, 1);
        ut_addr_text(&addrs[0], text_z);
        assert_string_equal(text_z, "127.0.0.1:4318");
    }
}

static void a_name_that_does_not_exist_is_named(void **state)
{
    fixture *f = *state;
    uint32_t ticket = 0;
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t count = 0;
    ut_fault fault = {0};
    assert_int_equal(ut_resolver_start(f->resolver, impossible_z, 443, &ticket), UT_OK);
    assert_int_equal(await(f, ticket, addrs, &count, &fault), UT_ERESOLVE);
    assert_int_equal(fault.code, UT_ERESOLVE);
    assert_non_null(strstr(fault.text_z, impossible_z));
    assert_true(strlen(fault.text_z) > strlen(impossible_z) + 30); // and a reason
}

static void an_address_with_a_port_is_not_a_host(void **state)
{
    fixture *f = *state;
    uint32_t ticket = 0;
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t count = 0;
    assert_int_equal(ut_resolver_start(f->resolver, "127.0.0.1:80", 443, &ticket), UT_OK);
    assert_int_equal(await(f, ticket, addrs, &count, NULL), UT_ERESOLVE);
}

static void a_ticket_ends_with_its_answer(void **state)
{
    fixture *f = *state;
    uint32_t ticket = 0;
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t count = 0;
    assert_int_equal(ut_resolver_start(f->resolver, "127.0.0.1", 1, &ticket), UT_OK);
    assert_int_equal(ut_resolver_take(f->resolver, ticket, addrs, &count, NULL), UT_OK);
    assert_int_equal(ut_resolver_take(f->resolver, ticket, addrs, &count, NULL), UT_EINVAL);
    ut_resolver_cancel(f->resolver, ticket); // harmless
    assert_int_equal(ut_resolver_start(f->resolver, impossible_z, 1, &ticket), UT_OK);
    assert_int_equal(await(f, ticket, addrs, &count, NULL), UT_ERESOLVE);
    assert_int_equal(ut_resolver_take(f->resolver, ticket, addrs, &count, NULL), UT_EINVAL);
}

static void hosts_without_a_name_or_with_too_long_a_one_are_refused(void **state)
{
    fixture *f = *state;
    char host_z[UT_HOST_MAX + 1];
    uint32_t ticket = 0;
    memset(host_z, 'a', sizeof(host_z));
    host_z[UT_HOST_MAX] = '\0';
    assert_int_equal(ut_resolver_start(f->resolver, "", 1, &ticket), UT_EINVAL);
    assert_int_equal(ut_resolver_start(f->resolver, host_z, 1, &ticket), UT_EINVAL);
    host_z[UT_HOST_MAX - 1] = '\0';
    assert_int_equal(ut_resolver_start(f->resolver, host_z, 1, &ticket), UT_OK);
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t count = 0;
    assert_int_equal(await(f, ticket, addrs, &count, NULL), UT_ERESOLVE);
}

static void tickets_are_limited_and_come_back(void **state)
{
    fixture *f = *state;
    uint32_t tickets[UT_RESOLVE_PENDING_MAX];
    uint32_t one_more = 0;
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t count = 0;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < UT_RESOLVE_PENDING_MAX; i++) {
            const char *host_z = i % 2 == 0 ? "127.0.0.1" : threaded_z;
            assert_int_equal(ut_resolver_start(f->resolver, host_z, (uint16_t)i, &tickets[i]),
                             UT_OK);
        }
        assert_int_equal(ut_resolver_start(f->resolver, "127.0.0.1", 1, &one_more), UT_ELIMIT);
        assert_int_equal(ut_resolver_start(f->resolver, threaded_z, 1, &one_more), UT_ELIMIT);
        for (size_t i = UT_RESOLVE_PENDING_MAX; i-- > 0;) {
            assert_int_equal(await(f, tickets[i], addrs, &count, NULL), UT_OK);
            assert_int_equal(addrs[0].port, i); // each ticket its own answer
        }
    }
}

static void cancelled_tickets_come_back(void **state)
{
    fixture *f = *state;
    uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
    for (int round = 0; round < 50; round++) {
        uint32_t tickets[UT_RESOLVE_PENDING_MAX];
        size_t started = 0;
        // A cancelled look-up that runs keeps its place until it is through.
        while (started < UT_RESOLVE_PENDING_MAX && ut_clock_mono_ms() < end) {
            if (ut_resolver_start(f->resolver, threaded_z, 1, &tickets[started]) == UT_OK)
                started++;
        }
        assert_int_equal(started, UT_RESOLVE_PENDING_MAX);
        for (size_t i = 0; i < started; i++) {
            ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
            size_t count = 0;
            ut_resolver_cancel(f->resolver, tickets[i]);
            assert_int_equal(ut_resolver_take(f->resolver, tickets[i], addrs, &count, NULL),
                             UT_EINVAL);
        }
    }
}

static void mixed_load_gives_every_ticket_its_own_answer(void **state)
{
    fixture *f = *state;
    enum { STARTS = 5000, WINDOW = 20 };
    uint32_t tickets[WINDOW];
    bool live[WINDOW] = {false};
    uint16_t ports[WINDOW];
    uint32_t random = 1;
    size_t cancelled = 0;
    size_t answered = 0;
    for (unsigned i = 0; i < STARTS; i++) {
        size_t at = i % WINDOW;
        random = random * 1664525 + 1013904223;
        if (live[at]) {
            ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
            size_t count = 0;
            if (random >> 30 == 0) {
                ut_resolver_cancel(f->resolver, tickets[at]);
                cancelled++;
            } else {
                ut_err err = await(f, tickets[at], addrs, &count, NULL);
                if (err == UT_OK)
                    assert_int_equal(addrs[0].port, ports[at]);
                else
                    assert_int_equal(err, UT_ERESOLVE);
                answered++;
            }
        }
        static const char *const hosts[] = {"127.0.0.1", threaded_z, impossible_z, "localhost"};
        ports[at] = (uint16_t)i;
        ut_err err =
            ut_resolver_start(f->resolver, hosts[random >> 20 & 3], ports[at], &tickets[at]);
        live[at] = err == UT_OK;
        if (err != UT_OK)
            assert_int_equal(err, UT_ELIMIT); // by cancelled look-ups that still run
    }
    assert_true(cancelled > 0);
    assert_true(answered > 0);
    // What is left is closed under way.
}

static void closing_at_any_moment_neither_hangs_nor_leaks(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        fixture f;
        assert_int_equal(ut_poller_open(&f.poller), UT_OK);
        assert_int_equal(ut_resolver_open(f.poller, &f.resolver), UT_OK);
        for (unsigned i = 0; i < round % (UT_RESOLVE_PENDING_MAX + 1); i++) {
            uint32_t ticket = 0;
            assert_int_equal(
                ut_resolver_start(f.resolver, i % 3 == 0 ? impossible_z : threaded_z, 1, &ticket),
                UT_OK);
            if (i % 5 == 0)
                ut_resolver_cancel(f.resolver, ticket);
        }
        ut_resolver_close(f.resolver);
        ut_poller_close(f.poller);
    }
    ut_resolver_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_are_answered_at_once, open_both, close_both),
        cmocka_unit_test_setup_teardown(localhost_is_loopback_at_once, open_both, close_both),
        cmocka_unit_test_setup_teardown(an_answer_at_once_wakes_too, open_both, close_both),
        cmocka_unit_test_setup_teardown(a_look_up_on_a_thread_wakes_and_answers, open_both,
                                        close_both),
        cmocka_unit_test_setup_teardown(a_name_that_does_not_exist_is_named, open_both, close_both),
        cmocka_unit_test_setup_teardown(an_address_with_a_port_is_not_a_host, open_both,
                                        close_both),
        cmocka_unit_test_setup_teardown(a_ticket_ends_with_its_answer, open_both, close_both),
        cmocka_unit_test_setup_teardown(hosts_without_a_name_or_with_too_long_a_one_are_refused,
                                        open_both, close_both),
        cmocka_unit_test_setup_teardown(tickets_are_limited_and_come_back, open_both, close_both),
        cmocka_unit_test_setup_teardown(cancelled_tickets_come_back, open_both, close_both),
        cmocka_unit_test_setup_teardown(mixed_load_gives_every_ticket_its_own_answer, open_both,
                                        close_both),
        cmocka_unit_test(closing_at_any_moment_neither_hangs_nor_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
