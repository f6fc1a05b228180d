// Name resolution: what is answered at once, what is remembered and for how long, that no name
// waits for another, cancelling, closing. This program brings a getaddrinfo of its own, which
// answers what the test tells it to, when the test lets it.
#include "port/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

enum { DEADLINE_MS = 60000 };

// ---- the name servers ----

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool silent;        // names with "silent" in them get no answer while this is set
static int silent_waiting; // look-ups that wait for that
static int look_ups;       // of any name, since it was set to 0
static char address_z[INET6_ADDRSTRLEN] = "192.0.2.1";
static int failure;

// The names that the tests use: "silent-N" waits, "missing" does not exist; others are at
// address_z, unless failure is set.
int getaddrinfo(const char *host_z, const char *service_z, const struct addrinfo *hints,
                struct addrinfo **list)
{
    (void)service_z;
    assert_int_equal(hints->ai_socktype, SOCK_STREAM);
    (void)pthread_mutex_lock(&lock);
    look_ups++;
    if (strstr(host_z, "silent") != NULL) {
        silent_waiting++;
        (void)pthread_cond_broadcast(&changed);
        while (silent)
            (void)pthread_cond_wait(&changed, &lock);
        silent_waiting--;
        (void)pthread_cond_broadcast(&changed);
    }
    int result = strstr(host_z, "missing") != NULL ? EAI_NONAME : failure;
    struct {
        struct addrinfo info;
        struct sockaddr_in ip4;
    } *made = result == 0 ? calloc(1, sizeof(*made)) : NULL;
    if (made != NULL) {
        made->ip4.sin_family = AF_INET;
        (void)inet_pton(AF_INET, address_z, &made->ip4.sin_addr);
        made->info.ai_family = AF_INET;
        made->info.ai_addr = (struct sockaddr *)&made->ip4;
        made->info.ai_addrlen = sizeof(made->ip4);
        *list = &made->info;
    }
    (void)pthread_mutex_unlock(&lock);
    return result;
}

void freeaddrinfo(struct addrinfo *list)
{
    free(list);
}

static void set_silent(bool value)
{
    (void)pthread_mutex_lock(&lock);
    silent = value;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

static void await_silent_waiting(int count)
{
    (void)pthread_mutex_lock(&lock);
    while (silent_waiting != count)
        (void)pthread_cond_wait(&changed, &lock);
    (void)pthread_mutex_unlock(&lock);
}

static void answer_with(const char *text_z, int reason)
{
    (void)pthread_mutex_lock(&lock);
    (void)snprintf(address_z, sizeof(address_z), "%s", text_z);
    failure = reason;
    (void)pthread_mutex_unlock(&lock);
}

static int count_look_ups(void)
{
    (void)pthread_mutex_lock(&lock);
    const int count = look_ups;
    (void)pthread_mutex_unlock(&lock);
    return count;
}

// ---- the clock ----

static _Atomic uint64_t skipped_ms;

uint64_t ut_clock_mono_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + skipped_ms;
}

// Not called here, and defined so that the port's own stay out.
uint64_t ut_clock_wall_ns(void)
{
    return 0;
}

// ---- the fixture ----

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
    answer_with("192.0.2.1", 0);
    (void)pthread_mutex_lock(&lock);
    look_ups = 0;
    (void)pthread_mutex_unlock(&lock);
    *state = f;
    return 0;
}

static int close_both(void **state)
{
    fixture *f = *state;
    ut_resolver_close(f->resolver);
    ut_poller_close(f->poller);
    free(f);
    set_silent(false);
    await_silent_waiting(0);
    return 0;
}

// Takes the answer, waiting for wakes alone.
static ut_err await(fixture *f, uint32_t ticket, ut_addr addrs[UT_RESOLVE_ADDRS_MAX], size_t *count,
                    ut_fault *fault)
{
    uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
    for (;;) {
        ut_err err = ut_resolver_take(f->resolver, ticket, 4318, addrs, count, fault);
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

static uint32_t start(fixture *f, const char *host_z, bool anew)
{
    uint32_t ticket = 0;
    assert_int_equal(ut_resolver_start(f->resolver, host_z, anew, &ticket), UT_OK);
    return ticket;
}

static void expect_address(fixture *f, const char *host_z, bool anew, const char *addr_z)
{
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t count = 0;
    char text_z[UT_ADDR_TEXT_MAX];
    assert_int_equal(await(f, start(f, host_z, anew), addrs, &count, NULL), UT_OK);
    assert_int_equal(count, 1);
    ut_addr_text(&addrs[0], text_z);
    assert_string_equal(text_z, addr_z);
}

static void expect_failure(fixture *f, const char *host_z)
{
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t count = 0;
    ut_fault fault = {0};
    assert_int_equal(await(f, start(f, host_z, true), addrs, &count, &fault), UT_ERESOLVE);
    assert_int_equal(fault.code, UT_ERESOLVE);
    assert_non_null(strstr(fault.text_z, host_z));
    assert_true(strlen(fault.text_z) > strlen(host_z) + 30); // and a reason
}

// ---- at once ----

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
        ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
        size_t count = 0;
        char text_z[UT_ADDR_TEXT_MAX];
        const uint32_t ticket = start(f, table[i].host_z, i % 2 == 0);
        assert_int_equal(ut_resolver_take(f->resolver, ticket, 443, addrs, &count, NULL), UT_OK);
        assert_int_equal(count, 1);
        ut_addr_text(&addrs[0], text_z);
        assert_string_equal(text_z, table[i].addr_z);
    }
    assert_int_equal(count_look_ups(), 0);
}

static void localhost_is_loopback_at_once(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"localhost", "LocalHost", "localhost."};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
        size_t count = 0;
        char text_z[UT_ADDR_TEXT_MAX];
        const uint32_t ticket = start(f, names[i], false);
        assert_int_equal(ut_resolver_take(f->resolver, ticket, 4318, addrs, &count, NULL), UT_OK);
        assert_int_equal(count, 2);
        ut_addr_text(&addrs[0], text_z);
        assert_string_equal(text_z, "127.0.0.1:4318");
        ut_addr_text(&addrs[1], text_z);
        assert_string_equal(text_z, "[::1]:4318");
    }
    assert_int_equal(count_look_ups(), 0);
}

static void an_answer_at_once_wakes_too(void **state)
{
    fixture *f = *state;
    (void)start(f, "127.0.0.1", false);
    ut_poll_event event;
    size_t events = 99;
    assert_int_equal(ut_poller_wait(f->poller, UT_POLL_FOREVER, &event, 1, &events), UT_OK);
    assert_int_equal(events, 0);
}

// ---- by name servers ----

static void a_name_that_does_not_exist_is_named(void **state)
{
    expect_failure(*state, "missing.example");
}

static void an_address_with_a_port_is_not_a_host(void **state)
{
    fixture *f = *state;
    answer_with("", EAI_NONAME);
    expect_failure(f, "127.0.0.1:80");
    expect_failure(f, "unix"); // and not the path of a socket
}

static void no_name_waits_for_others_whose_servers_are_silent(void **state)
{
    fixture *f = *state;
    enum { SILENT = UT_RESOLVE_NAMES_MAX - 1 };
    uint32_t tickets[SILENT];
    set_silent(true);
    for (int i = 0; i < SILENT; i++) {
        char host_z[32];
        (void)snprintf(host_z, sizeof(host_z), "silent-%d.example", i);
        tickets[i] = start(f, host_z, false);
    }
    expect_address(f, "good.example", false, "192.0.2.1:4318"); // while they wait
    expect_address(f, "good.example", true, "192.0.2.1:4318");
    await_silent_waiting(SILENT); // all are under way, none is in a queue
    set_silent(false);
    for (int i = 0; i < SILENT; i++) {
        ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
        size_t count = 0;
        assert_int_equal(await(f, tickets[i], addrs, &count, NULL), UT_OK);
    }
}

static void those_who_ask_for_the_same_name_share_a_look_up(void **state)
{
    fixture *f = *state;
    enum { USERS = 1024 };
    uint32_t tickets[USERS];
    set_silent(true);
    for (int i = 0; i < USERS; i++)
        tickets[i] = start(f, i % 2 == 0 ? "silent.example" : "SILENT.example", i % 3 == 0);
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t count = 0;
    assert_int_equal(ut_resolver_take(f->resolver, tickets[0], 1, addrs, &count, NULL), UT_EAGAIN);
    set_silent(false);
    for (int i = 0; i < USERS; i++) {
        if (i % 5 == 0) {
            ut_resolver_cancel(f->resolver, tickets[i]);
            continue;
        }
        assert_int_equal(await(f, tickets[i], addrs, &count, NULL), UT_OK);
    }
    assert_int_equal(count_look_ups(), 1);
}

static void an_answer_is_used_again_until_it_is_too_old(void **state)
{
    fixture *f = *state;
    expect_address(f, "moving.example", false, "192.0.2.1:4318");
    answer_with("192.0.2.2", 0);
    expect_address(f, "moving.example", false, "192.0.2.1:4318");
    assert_int_equal(count_look_ups(), 1);
    skipped_ms += UT_RESOLVE_FRESH_MS;
    expect_address(f, "moving.example", false, "192.0.2.2:4318");
    assert_int_equal(count_look_ups(), 2);
}

static void who_asks_anew_is_not_answered_from_memory(void **state)
{
    fixture *f = *state;
    expect_address(f, "moving.example", false, "192.0.2.1:4318");
    answer_with("192.0.2.2", 0);
    expect_address(f, "moving.example", true, "192.0.2.2:4318");
    expect_address(f, "moving.example", false, "192.0.2.2:4318"); // known to all from then on
    assert_int_equal(count_look_ups(), 2);
}

static void an_old_answer_serves_while_the_servers_are_silent(void **state)
{
    fixture *f = *state;
    expect_address(f, "kept.example", false, "192.0.2.1:4318");
    answer_with("", EAI_AGAIN);
    skipped_ms += UT_RESOLVE_FRESH_MS;
    expect_address(f, "kept.example", false, "192.0.2.1:4318");
    expect_address(f, "kept.example", true, "192.0.2.1:4318");
    assert_int_equal(count_look_ups(), 3); // each time, they were asked
    skipped_ms += UT_RESOLVE_STALE_MS;
    expect_failure(f, "kept.example");
    answer_with("192.0.2.3", 0);
    expect_address(f, "kept.example", false, "192.0.2.3:4318");
}

static void a_name_that_exists_no_more_is_not_answered_from_memory(void **state)
{
    fixture *f = *state;
    expect_address(f, "gone.example", false, "192.0.2.1:4318");
    answer_with("", EAI_NONAME);
    expect_failure(f, "gone.example");
    answer_with("", EAI_AGAIN);
    expect_failure(f, "gone.example");
}

// ---- limits ----

static void hosts_without_a_name_or_with_too_long_a_one_are_refused(void **state)
{
    fixture *f = *state;
    char host_z[UT_HOST_MAX + 1];
    uint32_t ticket = 0;
    memset(host_z, 'a', sizeof(host_z));
    host_z[UT_HOST_MAX] = '\0';
    assert_int_equal(ut_resolver_start(f->resolver, "", false, &ticket), UT_EINVAL);
    assert_int_equal(ut_resolver_start(f->resolver, host_z, false, &ticket), UT_EINVAL);
    host_z[UT_HOST_MAX - 1] = '\0';
    ticket = start(f, host_z, false);
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t count = 0;
    assert_int_equal(await(f, ticket, addrs, &count, NULL), UT_OK);
}

static void names_are_limited_and_those_not_in_use_give_way(void **state)
{
    fixture *f = *state;
    uint32_t tickets[UT_RESOLVE_NAMES_MAX];
    uint32_t one_more = 0;
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t count = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < UT_RESOLVE_NAMES_MAX; i++) {
            char host_z[32];
            (void)snprintf(host_z, sizeof(host_z), "host-%d-%d", round, i);
            tickets[i] = start(f, host_z, false);
        }
        assert_int_equal(ut_resolver_start(f->resolver, "more", false, &one_more), UT_ELIMIT);
        assert_int_equal(ut_resolver_start(f->resolver, "127.0.0.1", false, &one_more), UT_ELIMIT);
        for (int i = 0; i < UT_RESOLVE_NAMES_MAX; i++)
            assert_int_equal(await(f, tickets[i], addrs, &count, NULL), UT_OK);
    }
}

static void a_ticket_that_has_ended_is_none(void **state)
{
    fixture *f = *state;
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t count = 0;
    uint32_t ticket = start(f, "127.0.0.1", false);
    assert_int_equal(ut_resolver_take(f->resolver, ticket, 1, addrs, &count, NULL), UT_OK);
    assert_int_equal(ut_resolver_take(f->resolver, ticket, 1, addrs, &count, NULL), UT_EINVAL);
    ut_resolver_cancel(f->resolver, ticket); // harmless
    ticket = start(f, "good.example", false);
    ut_resolver_cancel(f->resolver, ticket);
    assert_int_equal(ut_resolver_take(f->resolver, ticket, 1, addrs, &count, NULL), UT_EINVAL);
    assert_int_equal(ut_resolver_take(f->resolver, UINT32_MAX, 1, addrs, &count, NULL), UT_EINVAL);
}

static void closing_waits_for_no_silent_server_and_leaks_nothing(void **state)
{
    (void)state;
    enum { ROUNDS = 20, NAMES = 5 };
    set_silent(true);
    for (int round = 0; round < ROUNDS; round++) {
        fixture f;
        assert_int_equal(ut_poller_open(&f.poller), UT_OK);
        assert_int_equal(ut_resolver_open(f.poller, &f.resolver), UT_OK);
        for (int i = 0; i < NAMES; i++) {
            char host_z[32];
            (void)snprintf(host_z, sizeof(host_z), "%s-%d", i == 0 ? "good" : "silent", i);
            const uint32_t ticket = start(&f, host_z, false);
            if (i == 2)
                ut_resolver_cancel(f.resolver, ticket);
        }
        ut_resolver_close(f.resolver);
        ut_poller_close(f.poller);
    }
    await_silent_waiting(ROUNDS * (NAMES - 1));
    set_silent(false);
    await_silent_waiting(0); // they end by themselves
    ut_resolver_close(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_both, close_both)
    const struct CMUnitTest tests[] = {
        TEST(numbers_are_answered_at_once),
        TEST(localhost_is_loopback_at_once),
        TEST(an_answer_at_once_wakes_too),
        TEST(a_name_that_does_not_exist_is_named),
        TEST(an_address_with_a_port_is_not_a_host),
        TEST(no_name_waits_for_others_whose_servers_are_silent),
        TEST(those_who_ask_for_the_same_name_share_a_look_up),
        TEST(an_answer_is_used_again_until_it_is_too_old),
        TEST(who_asks_anew_is_not_answered_from_memory),
        TEST(an_old_answer_serves_while_the_servers_are_silent),
        TEST(a_name_that_exists_no_more_is_not_answered_from_memory),
        TEST(hosts_without_a_name_or_with_too_long_a_one_are_refused),
        TEST(names_are_limited_and_those_not_in_use_give_way),
        TEST(a_ticket_that_has_ended_is_none),
        cmocka_unit_test(closing_waits_for_no_silent_server_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
