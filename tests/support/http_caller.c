// A client of the tests, and the scripted server that it calls; see http_caller.h.
#include "tests/support/http_caller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

ut_caller *ut_caller_to(const char *host_z, uint16_t port, ut_tls_context *tls, uint32_t timeout_ms)
{
    ut_caller *c = calloc(1, sizeof *c);
    assert_non_null(c);
    assert_int_equal(ut_poller_open(&c->poller), UT_OK);
    assert_int_equal(ut_resolver_open(c->poller, &c->resolver), UT_OK);
    c->tls = tls;
    char text_z[UT_HOST_MAX + 64];
    (void)snprintf(text_z, sizeof(text_z), "%s://%s:%u/v1/traces?a=b",
                   tls != NULL ? "https" : "http", host_z, (unsigned)port);
    assert_int_equal(ut_url_parse(text_z, &c->url, NULL), UT_OK);
    ut_http_client_config config = {
        .poller = c->poller,
        .resolver = c->resolver,
        .tls = tls,
        .url = &c->url,
        .tag = c,
        .timeout_ms = timeout_ms,
    };
    assert_int_equal(ut_http_client_new(&config, &c->client), UT_OK);
    return c;
}

void ut_caller_hang_up(ut_caller *c)
{
    ut_http_client_free(c->client);
    ut_resolver_close(c->resolver);
    ut_poller_close(c->poller);
    free(c);
}

ut_err ut_caller_run(ut_caller *c, uint64_t skip_ms, ut_http_answer *answer, ut_fault *fault)
{
    enum { QUIET_MS = 50 };
    uint64_t begin = ut_clock_mono_ms();
    uint64_t skipped = 0;
    for (;;) {
        uint64_t now = ut_clock_mono_ms() + skipped;
        if (now - skipped - begin > UT_CALLER_DEADLINE_MS)
            fail_msg("the request does not end");
        uint64_t next_ms = 0;
        ut_err err =
            ut_http_client_step(c->client, now, ut_clock_wall_ns(), &next_ms, answer, fault);
        if (err != UT_EAGAIN)
            return err;
        assert_true(next_ms != UINT64_MAX); // a request always has an end in time
        uint64_t wait_ms = next_ms > now ? next_ms - now : 0;
        if (skip_ms > 0 && wait_ms > QUIET_MS)
            wait_ms = QUIET_MS;
        ut_poll_event events[4];
        size_t count = 0;
        assert_int_equal(ut_poller_wait(c->poller, wait_ms, events, 4, &count), UT_OK);
        for (size_t i = 0; i < count; i++)
            assert_ptr_equal(events[i].tag, c);
        if (count == 0 && !ut_http_client_resolving(c->client))
            skipped = skip_ms;
    }
}

const ut_http_request ut_caller_simple = {
    .method_z = "POST",
    .content_type_z = "application/x-protobuf",
    .body = {(const uint8_t *)"spans", 5},
};

ut_err ut_caller_post(ut_caller *c, const ut_http_request *request, ut_http_answer *answer,
                      ut_fault *fault)
{
    ut_http_client_start(c->client, request, ut_clock_mono_ms());
    return ut_caller_run(c, 0, answer, fault);
}

void ut_caller_expect_status(ut_caller *c, const ut_http_request *request, int status)
{
    ut_http_answer answer = {0};
    ut_fault fault = {0};
    ut_err err = ut_caller_post(c, request, &answer, &fault);
    if (err != UT_OK)
        fail_msg("%s: %s", ut_err_name(err), fault.text_z);
    assert_int_equal(answer.status, status);
}

void ut_caller_expect_closed(ut_caller *c)
{
    uint64_t end = ut_clock_mono_ms() + UT_CALLER_DEADLINE_MS;
    ut_http_answer answer;
    while (ut_http_client_connected(c->client)) {
        assert_true(ut_clock_mono_ms() < end);
        ut_poll_event event;
        size_t count = 0;
        assert_int_equal(ut_poller_wait(c->poller, 50, &event, 1, &count), UT_OK);
        uint64_t next_ms = 0;
        assert_int_equal(
            ut_http_client_step(c->client, ut_clock_mono_ms(), 0, &next_ms, &answer, NULL),
            UT_EAGAIN);
    }
}

void ut_caller_play(void *context, const ut_peer_request *request, ut_peer_answer *answer)
{
    ut_caller_script *s = context;
    (void)snprintf(s->head_z, sizeof(s->head_z), "%.*s", (int)request->head.len,
                   (const char *)request->head.data);
    free(s->body);
    s->body = malloc(request->body.len + 1);
    if (request->body.len > 0)
        memcpy(s->body, request->body.data, request->body.len);
    s->body_len = request->body.len;
    if (request->number < s->reset_first) {
        answer->then = UT_PEER_RESET;
        return;
    }
    ut_buf_add_bytes(&answer->bytes, s->bytes);
    answer->then = s->then;
    answer->piece = s->piece;
}

ut_peer *ut_caller_serve(ut_caller_script *s)
{
    ut_peer_config config = {.script = ut_caller_play, .context = s};
    return ut_peer_start(&config);
}
