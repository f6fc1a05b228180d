// Which of several addresses the HTTP client connects to. No name has several on every machine, so
// this program brings a resolver of its own, which answers with what the test gives it; linked
// first, it takes the place of the port's.
#include "transport/http/http_client.h"

#include "tests/support/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { DEADLINE_MS = 30000, TIMEOUT_MS = 20000 };

struct ut_resolver {
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t count;
    int starts_refused; // look-ups refused at first
    int cancelled;
    bool silent; // never answers
    int starts;
    bool anew; // the last look-up was not to be answered from memory
};

ut_err ut_resolver_start(ut_resolver *resolver, const char *host_z, bool anew, uint32_t *ticket)
{
    (void)host_z;
    if (resolver->starts_refused > 0) {
        resolver->starts_refused--;
        return UT_ELIMIT;
    }
    resolver->starts++;
    resolver->anew = anew;
    *ticket = 1;
    return UT_OK;
}

ut_err ut_resolver_take(ut_resolver *resolver, uint32_t ticket, uint16_t port,
                        ut_addr addrs[UT_RESOLVE_ADDRS_MAX], size_t *count, ut_fault *fault)
{
    (void)port; // the test's addresses have ports of their own
    (void)fault;
    assert_int_equal(ticket, 1);
    if (resolver->silent)
        return UT_EAGAIN;
    memcpy(addrs, resolver->addrs, sizeof resolver->addrs);
    *count = resolver->count;
    return UT_OK;
}

void ut_resolver_cancel(ut_resolver *resolver, uint32_t ticket)
{
    (void)ticket;
    resolver->cancelled++;
}

// Not called here, and defined so that the port's own stay out.
ut_err ut_resolver_open(ut_poller *wake, ut_resolver **resolver)
{
    (void)wake;
    (void)resolver;
    return UT_EINVAL;
}

void ut_resolver_close(ut_resolver *resolver)
{
    (void)resolver;
}

static void answer_ok(void *context, const ut_peer_request *request, ut_peer_answer *answer)
{
    (void)context;
    (void)request;
    ut_peer_answer_write(answer, 200, "", UT_BYTES_NONE);
}

static ut_addr loopback(uint16_t port)
{
    return (ut_addr){.family = UT_ADDR_IP4, .port = port, .ip = {127, 0, 0, 1}};
}

// A port of this machine on which nobody listens.
static ut_addr refusing(void)
{
    ut_addr addr = loopback(0);
    ut_sock listener = UT_SOCK_NONE;
    assert_int_equal(ut_sock_listen(&addr, 4, &listener, NULL), UT_OK);
    assert_int_equal(ut_sock_local_addr(listener, &addr), UT_OK);
    ut_sock_close(listener);
    return addr;
}

typedef struct {
    ut_poller *poller;
    ut_resolver resolver;
    ut_url url;
    ut_http_client *client;
    ut_peer *peer;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    ut_peer_config peer = {.script = answer_ok};
    f->peer = ut_peer_start(&peer);
    assert_int_equal(ut_poller_open(&f->poller), UT_OK);
    assert_int_equal(ut_url_parse("http://many.example/", &f->url, NULL), UT_OK);
    ut_http_client_config config = {
        .poller = f->poller,
        .resolver = &f->resolver,
        .url = &f->url,
        .tag = f,
        .timeout_ms = TIMEOUT_MS,
    };
    assert_int_equal(ut_http_client_new(&config, &f->client), UT_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_http_client_free(f->client);
    ut_poller_close(f->poller);
    ut_peer_stop(f->peer);
    free(f);
    return 0;
}

static const ut_http_request simple = {.method_z = "POST", .body = {(const uint8_t *)"x", 1}};

// skip_ms: as soon as nothing happens for a moment, the clock goes on by so much; again and again.
static ut_err run(fixture *f, uint64_t skip_ms, ut_http_answer *answer, ut_fault *fault)
{
    uint64_t begin = ut_clock_mono_ms();
    uint64_t skipped = 0;
    ut_http_client_start(f->client, &simple, begin);
    for (;;) {
        assert_true(ut_clock_mono_ms() - begin < DEADLINE_MS);
        uint64_t next_ms = 0;
        ut_err err = ut_http_client_step(f->client, ut_clock_mono_ms() + skipped, 0, &next_ms,
                                         answer, fault);
        if (err != UT_EAGAIN)
            return err;
        ut_poll_event event;
        size_t count = 0;
        assert_int_equal(ut_poller_wait(f->poller, 20, &event, 1, &count), UT_OK);
        if (count == 0)
            skipped += skip_ms;
    }
}

static void the_next_address_is_tried_when_one_refuses(void **state)
{
    fixture *f = *state;
    f->resolver.addrs[0] = refusing();
    f->resolver.addrs[1] = refusing();
    f->resolver.addrs[2] = loopback(ut_peer_port(f->peer));
    f->resolver.count = 3;
    ut_http_answer answer;
    assert_int_equal(run(f, 0, &answer, NULL), UT_OK);
    assert_int_equal(answer.status, 200);
}

static void when_all_refuse_the_last_one_is_told(void **state)
{
    fixture *f = *state;
    f->resolver.addrs[0] = refusing();
    f->resolver.addrs[1] = refusing();
    f->resolver.count = 2;
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(run(f, 0, &answer, &fault), UT_ECONNECT);
    char text_z[UT_ADDR_TEXT_MAX];
    ut_addr_text(&f->resolver.addrs[1], text_z);
    assert_non_null(strstr(fault.text_z, text_z));
}

static void no_address_at_all_is_told(void **state)
{
    fixture *f = *state;
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(run(f, 0, &answer, &fault), UT_ECONNECT);
    assert_non_null(strstr(fault.text_z, "no address"));
}

static void an_address_that_does_not_answer_gives_way_to_the_next(void **state)
{
    fixture *f = *state;
    // A listener whose queue is full answers to nobody.
    enum { QUEUED_MAX = 64 };
    ut_addr addr = loopback(0);
    ut_sock listener = UT_SOCK_NONE;
    ut_sock queued[QUEUED_MAX];
    assert_int_equal(ut_sock_listen(&addr, 1, &listener, NULL), UT_OK);
    assert_int_equal(ut_sock_local_addr(listener, &addr), UT_OK);
    bool full = false;
    size_t count = 0;
    for (; count < QUEUED_MAX && !full; count++) {
        assert_int_equal(ut_sock_connect(&addr, &queued[count]), UT_OK);
        ut_poll_event event;
        size_t events = 0;
        assert_int_equal(ut_poller_watch(f->poller, queued[count], UT_WRITABLE, NULL), UT_OK);
        assert_int_equal(ut_poller_wait(f->poller, 200, &event, 1, &events), UT_OK);
        ut_poller_forget(f->poller, queued[count]);
        full = events == 0;
    }
    if (full) {
        f->resolver.addrs[0] = addr;
        f->resolver.addrs[1] = loopback(ut_peer_port(f->peer));
        f->resolver.count = 2;
        ut_http_answer answer;
        assert_int_equal(run(f, TIMEOUT_MS / 2, &answer, NULL), UT_OK);
        assert_int_equal(answer.status, 200);
    }
    for (size_t i = 0; i < count; i++)
        ut_sock_close(queued[i]);
    ut_sock_close(listener);
    if (!full)
        skip(); // this system queues without end
}

static void a_resolver_with_too_much_to_do_is_asked_again(void **state)
{
    fixture *f = *state;
    f->resolver.starts_refused = 3;
    f->resolver.addrs[0] = loopback(ut_peer_port(f->peer));
    f->resolver.count = 1;
    ut_http_answer answer;
    assert_int_equal(run(f, 0, &answer, NULL), UT_OK);
}

static void a_look_up_without_end_is_left_at_the_timeout(void **state)
{
    fixture *f = *state;
    f->resolver.silent = true;
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(run(f, TIMEOUT_MS, &answer, &fault), UT_ETIMEOUT);
    assert_non_null(strstr(fault.text_z, "looking up"));
    assert_int_equal(f->resolver.cancelled, 1);
}

static void only_after_a_failure_is_the_name_looked_up_anew(void **state)
{
    fixture *f = *state;
    ut_http_answer answer;
    f->resolver.addrs[0] = refusing();
    f->resolver.count = 1;
    assert_int_equal(run(f, 0, &answer, NULL), UT_ECONNECT);
    assert_false(f->resolver.anew);

    f->resolver.addrs[0] = loopback(ut_peer_port(f->peer));
    assert_int_equal(run(f, 0, &answer, NULL), UT_OK);
    assert_int_equal(f->resolver.starts, 2);
    assert_true(f->resolver.anew);

    assert_int_equal(run(f, 0, &answer, NULL), UT_OK); // on the kept connection
    assert_int_equal(f->resolver.starts, 2);

    ut_http_client_renew(f->client);
    assert_false(ut_http_client_connected(f->client));
    assert_int_equal(run(f, 0, &answer, NULL), UT_OK);
    assert_int_equal(f->resolver.starts, 3);
    assert_true(f->resolver.anew);
}

// One request at a time of the test's clock.
static void post_at(fixture *f, uint64_t now_ms)
{
    ut_http_answer answer;
    uint64_t next_ms = 0;
    ut_http_client_start(f->client, &simple, now_ms);
    const uint64_t begin = ut_clock_mono_ms();
    for (;;) {
        const ut_err err = ut_http_client_step(f->client, now_ms, 0, &next_ms, &answer, NULL);
        if (err == UT_OK)
            return;
        assert_int_equal(err, UT_EAGAIN);
        assert_true(ut_clock_mono_ms() - begin < DEADLINE_MS);
        ut_poll_event event;
        size_t count = 0;
        assert_int_equal(ut_poller_wait(f->poller, 20, &event, 1, &count), UT_OK);
    }
}

static void a_connection_that_is_never_idle_ends_at_its_greatest_age(void **state)
{
    fixture *f = *state;
    f->resolver.addrs[0] = loopback(ut_peer_port(f->peer));
    f->resolver.count = 1;
    enum { STEP_MS = 10 * 1000, AGES = 3 };
    const uint64_t begin_ms = 1000;
    for (uint64_t at_ms = 0; at_ms < (uint64_t)AGES * UT_HTTP_AGE_MS_MAX; at_ms += STEP_MS)
        post_at(f, begin_ms + at_ms);
    assert_int_equal(ut_peer_get_counts(f->peer).connections, AGES);
    assert_int_equal(f->resolver.starts, AGES);
    assert_false(f->resolver.anew); // nothing was wrong with the address
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_next_address_is_tried_when_one_refuses, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(when_all_refuse_the_last_one_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_address_at_all_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_that_does_not_answer_gives_way_to_the_next,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_resolver_with_too_much_to_do_is_asked_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_look_up_without_end_is_left_at_the_timeout, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_after_a_failure_is_the_name_looked_up_anew, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_connection_that_is_never_idle_ends_at_its_greatest_age,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
