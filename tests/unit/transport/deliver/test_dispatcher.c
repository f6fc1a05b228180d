// The dispatcher with a real store, real sockets and a scripted server; its clock is the test's, so
// that hours of back-off pass at once and no test depends on how fast the machine is.
#include "transport/deliver/dispatcher.h"

#include "adapters/encoding/gzip.h"
#include "tests/support/certs.h"
#include "tests/support/engine_memory.h"
#include "tests/support/filled_store.h"
#include "tests/support/peer.h"
#include "tests/support/temp_dir.h"
#include "transport/deliver/health.h"
#include "transport/http/http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
    DEADLINE_MS = 60000, // a test that waits longer is broken
    BUDGET = 64 * 1024 * 1024,
    REQUESTS_MAX = 4096,
    DESTINATIONS_MAX = 4,
    LOG_BYTES_MAX = 64 * 1024,
};

static const uint64_t wall_begin_ns = UINT64_C(1700000000000000000);
static const uint64_t second_ns = UINT64_C(1000000000);

// ---- the server ----

// What came in one request.
typedef struct {
    uint32_t spans;
    size_t bytes;   // of the body as sent
    size_t first;   // the place of its first span
    uint64_t at_ms; // the test's clock when it was answered
    int status;
} seen_request;

typedef struct server server;
typedef struct rig rig;

struct server {
    rig *rig;
    ut_peer *peer;
    uint32_t *times; // how often each span was taken, by place
    seen_request requests[REQUESTS_MAX];
    int count;
    char head_z[2048]; // of the last request
    // Fills answer; the default takes everything with 200.
    void (*script)(server *s, const seen_request *request, const size_t *places,
                   ut_peer_answer *answer);
    int first_n;        // for scripts: so many requests are special
    uint32_t spans_max; // for scripts
    size_t bad[4];      // for scripts: places of spans
    size_t bad_count;
    const char *fields_z; // for scripts
    int status;           // for scripts
    _Atomic int broken;   // for scripts: while set, 503
};

struct rig {
    ut_filled_store *store;
    ut_faults faults;
    ut_poller *poller;
    ut_resolver *resolver;
    ut_dispatcher *dispatcher;
    ut_log log;
    char log_z[LOG_BYTES_MAX];
    _Atomic uint64_t now_ms;
    server servers[DESTINATIONS_MAX];
    ut_destination_config destinations[DESTINATIONS_MAX];
    size_t count;
    int refuse_marks; // so many marks are refused
    uint64_t marks;
    bool hold_marks; // none is taken
};

static void take(server *s, const size_t *places, uint32_t spans)
{
    for (uint32_t i = 0; i < spans; i++)
        s->times[places[i]]++;
}

static void answer_with(ut_peer_answer *answer, int status, const char *fields_z,
                        const char *message_z)
{
    ut_buf body;
    ut_buf_init(&body, 4096);
    if (message_z != NULL)
        ut_otlp_status_write(UT_OTLP_PROTOBUF, 3, message_z, &body);
    char all_z[512];
    (void)snprintf(all_z, sizeof all_z, "Content-Type: application/x-protobuf\r\n%s", fields_z);
    ut_peer_answer_write(answer, status, all_z, ut_buf_bytes(&body));
    ut_buf_free(&body);
}

static void read_request(void *context, const ut_peer_request *request, ut_peer_answer *answer)
{
    server *s = context;
    (void)snprintf(s->head_z, sizeof s->head_z, "%.*s", (int)request->head.len,
                   (const char *)request->head.data);
    ut_buf plain;
    ut_buf_init(&plain, BUDGET);
    ut_bytes body = request->body;
    if (strstr(s->head_z, "Content-Encoding: gzip") != NULL) {
        ut_gzip *gzip = ut_gzip_new();
        UT_ASSERT(ut_gzip_expand(gzip, body, &plain, NULL) == UT_OK);
        ut_gzip_free(gzip);
        body = ut_buf_bytes(&plain);
    }
    ut_batch batch;
    ut_batch_init(&batch, BUDGET);
    bool json = strstr(s->head_z, "Content-Type: application/json") != NULL;
    UT_ASSERT((json ? ut_otlp_json_decode : ut_otlp_protobuf_decode)(body, &batch, NULL) == UT_OK);
    UT_ASSERT(s->count < REQUESTS_MAX && batch.span_count > 0);
    size_t *places = calloc(batch.span_count, sizeof *places);
    for (uint32_t i = 0; i < batch.span_count; i++) {
        places[i] = ut_filled_store_find(s->rig->store, ut_batch_spans(&batch)[i].span_id);
        UT_ASSERT(places[i] != SIZE_MAX);
    }
    seen_request *seen = &s->requests[s->count++];
    *seen = (seen_request){
        .spans = batch.span_count,
        .bytes = request->body.len,
        .first = places[0],
        .at_ms = s->rig->now_ms,
        .status = 200,
    };
    if (s->script != NULL) {
        s->script(s, seen, places, answer);
        // "HTTP/1.1 200"; an answer without a byte has no status.
        const uint8_t *at = answer->bytes.data;
        seen->status = 0;
        for (size_t i = 9; answer->bytes.len >= 12 && i < 12; i++)
            seen->status = seen->status * 10 + (at[i] - '0');
    } else {
        answer_with(answer, 200, "", NULL);
    }
    if (seen->status >= 200 && seen->status < 300)
        take(s, places, batch.span_count);
    free(places);
    ut_batch_free(&batch);
    ut_buf_free(&plain);
}

// ---- the rig ----

static void keep_log(void *context, ut_log_level level, const char *line, size_t len)
{
    rig *r = context;
    size_t used = strlen(r->log_z);
    if (used + len + 16 < sizeof r->log_z)
        (void)snprintf(r->log_z + used, sizeof r->log_z - used, "%s %.*s\n",
                       ut_log_level_name(level), (int)len, line);
}

static int log_lines(const rig *r, const char *with_z)
{
    int lines = 0;
    for (const char *at = r->log_z; (at = strstr(at, with_z)) != NULL; at++)
        lines++;
    return lines;
}

static ut_err keep_mark(void *context, const ut_delivery *mark)
{
    rig *r = context;
    if (r->hold_marks || r->refuse_marks > 0) {
        r->refuse_marks -= r->refuse_marks > 0 ? 1 : 0;
        return UT_EAGAIN;
    }
    r->marks++;
    ut_filled_store_mark(r->store, mark);
    return UT_OK;
}

static rig *make_rig_with(ut_engine *engine)
{
    rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->store = ut_filled_store_open(ut_engine_faulty_wrap(engine, &r->faults));
    r->log = (ut_log){.level = UT_LOG_DEBUG, .write = keep_log, .context = r};
    r->now_ms = 1000000;
    assert_int_equal(ut_poller_open(&r->poller), UT_OK);
    assert_int_equal(ut_resolver_open(r->poller, &r->resolver), UT_OK);
    return r;
}

static rig *make_rig(void)
{
    return make_rig_with(ut_engine_memory_open(BUDGET));
}

static void start_dispatcher(rig *r)
{
    ut_dispatcher_config config = {
        .poller = r->poller,
        .resolver = r->resolver,
        .engine = ut_filled_store_engine(r->store),
        .log = &r->log,
        .mark = keep_mark,
        .mark_context = r,
        .user_agent_z = "untrace/test",
    };
    assert_int_equal(ut_dispatcher_new(&config, &r->dispatcher), UT_OK);
    for (size_t i = 0; i < r->count; i++) {
        ut_fault fault = {0};
        if (ut_dispatcher_add(r->dispatcher, &r->destinations[i], &fault) != UT_OK)
            fail_msg("%s", fault.text_z);
    }
    ut_dispatcher_advance(r->dispatcher, ut_filled_store_last_seq(r->store));
}

// A destination with a server of its own, with settings that suit most tests.
static server *add_server(rig *r, ut_tls_context *tls)
{
    static const char *const names_z[DESTINATIONS_MAX] = {"first", "second", "third", "fourth"};
    server *s = &r->servers[r->count];
    s->rig = r;
    s->times = calloc(UT_FILLED_SPANS_MAX, sizeof *s->times);
    ut_peer_config config = {.tls = tls, .script = read_request, .context = s};
    s->peer = ut_peer_start(&config);
    ut_destination_config *d = &r->destinations[r->count];
    *d = (ut_destination_config){
        .name_z = names_z[r->count],
        .org = UT_FILLED_ORG,
        .dest = ut_filled_store_destination(r->store, names_z[r->count]),
        .encoder = &ut_otlp_protobuf_encoder,
        .gzip_level = 6,
        .connections = 1,
        .batch_spans_max = 512,
        .batch_bytes_max = 1024 * 1024,
        .batch_delay_ms_max = 1000,
        .retry_initial_ms = 1000,
        .retry_max_ms = 60000,
        .retry_multiplier = 2,
        .timeout_ms = 10000,
    };
    char url_z[64];
    (void)snprintf(url_z, sizeof url_z, "%s://127.0.0.1:%u/v1/traces",
                   tls != NULL ? "https" : "http", (unsigned)ut_peer_port(s->peer));
    assert_int_equal(ut_url_parse(url_z, &d->url, NULL), UT_OK);
    r->count++;
    return s;
}

static void drop_rig(rig *r)
{
    ut_dispatcher_free(r->dispatcher);
    for (size_t i = 0; i < r->count; i++) {
        if (r->servers[i].peer != NULL)
            ut_peer_stop(r->servers[i].peer);
        free(r->servers[i].times);
    }
    ut_resolver_close(r->resolver);
    ut_poller_close(r->poller);
    ut_filled_store_close(r->store);
    free(r);
}

static uint64_t wall_ns(const rig *r)
{
    return wall_begin_ns + r->now_ms * 1000000;
}

// One step. Returns when the dispatcher wants the next one.
static uint64_t step(rig *r)
{
    uint64_t next_ms = 0;
    ut_dispatcher_step(r->dispatcher, r->now_ms, wall_ns(r), &next_ms);
    return next_ms;
}

// Waits a moment of real time for the sockets.
static size_t await_sockets(rig *r, uint64_t ms)
{
    ut_poll_event events[16];
    size_t count = 0;
    assert_int_equal(ut_poller_wait(r->poller, ms, events, 16, &count), UT_OK);
    for (size_t i = 0; i < count; i++)
        ut_dispatcher_event(r->dispatcher, &events[i]);
    return count;
}

typedef bool (*condition)(rig *r);

// Steps until the condition holds. While a request is under way the clock stands still, and real time
// passes for the sockets; else the clock jumps to when the dispatcher wants to go on, but not past
// until_ms. False when the clock has come to until_ms.
static bool run_until(rig *r, condition done, uint64_t until_ms)
{
    uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
    for (;;) {
        if (ut_clock_mono_ms() > end)
            fail_msg("the condition does not come about; the log says:\n%s", r->log_z);
        uint64_t next_ms = step(r);
        if (done != NULL && done(r))
            return true;
        if (next_ms <= r->now_ms) {
            (void)await_sockets(r, 0);
            continue;
        }
        bool in_flight = false;
        for (size_t i = 0; i < r->count; i++) {
            ut_dispatcher_status status[DESTINATIONS_MAX];
            assert_int_equal(ut_dispatcher_get_status(r->dispatcher, status, DESTINATIONS_MAX),
                             r->count);
            in_flight = in_flight || status[i].in_flight > 0;
        }
        if (in_flight) {
            (void)await_sockets(r, 50);
        } else if (await_sockets(r, 0) == 0) {
            if (next_ms > until_ms) {
                r->now_ms = until_ms;
                return false;
            }
            r->now_ms = next_ms;
        }
    }
}

static bool all_settled(rig *r)
{
    for (size_t i = 0; i < r->count; i++) {
        ut_store_destination_counts c = ut_filled_store_counts(r->store, r->destinations[i].dest);
        if (c.accepted != c.delivered + c.dead + c.expired + c.evicted)
            return false;
    }
    return true;
}

static void run_to_the_end(rig *r)
{
    assert_true(run_until(r, all_settled, UINT64_MAX));
}

static void expect_each_once(const rig *r, const server *s)
{
    for (size_t i = 0; i < ut_filled_store_count(r->store); i++) {
        if (s->times[i] != 1)
            fail_msg("span %zu came %u times", i, (unsigned)s->times[i]);
    }
}

static ut_delivery entry_of(rig *r, size_t destination, uint64_t seq)
{
    ut_delivery entry;
    assert_true(ut_filled_store_entry(r->store, r->destinations[destination].dest, seq, &entry));
    return entry;
}

static ut_dispatcher_status status_of(rig *r, size_t destination)
{
    ut_dispatcher_status status[DESTINATIONS_MAX];
    assert_int_equal(ut_dispatcher_get_status(r->dispatcher, status, DESTINATIONS_MAX), r->count);
    return status[destination];
}

// ---- the good days ----

static void every_span_arrives_once_and_in_order(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    for (uint32_t i = 0; i < 40; i++)
        (void)ut_filled_store_append(r->store, 1 + i * 37 % 200, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    expect_each_once(r, s);
    size_t next = 0;
    for (int i = 0; i < s->count; i++) {
        assert_int_equal(s->requests[i].first, next);
        next += s->requests[i].spans;
    }
    assert_int_equal(next, ut_filled_store_count(r->store));
    for (uint64_t seq = 1; seq <= 40; seq++) {
        ut_delivery entry = entry_of(r, 0, seq);
        assert_int_equal(entry.state, UT_DELIVERY_DELIVERED);
        assert_int_equal(entry.attempts, 1);
        assert_int_equal(entry.spans_dead, 0);
        assert_string_equal(entry.reason_z, "");
    }
    assert_int_equal(r->marks, 40);
    assert_int_equal(status_of(r, 0).spans_delivered, ut_filled_store_count(r->store));
    assert_string_equal(r->log_z, ""); // nothing to say
    assert_int_equal(ut_peer_get_counts(s->peer).connections, 1);
    drop_rig(r);
}

static void the_same_over_lmdb_and_verified_tls(void **state)
{
    (void)state;
    char dir_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    ut_engine_config config = {.dir_z = dir_z, .bytes_max = BUDGET};
    ut_engine *engine = NULL;
    assert_int_equal(ut_engine_lmdb_open(&config, &engine, NULL), UT_OK);
    ut_certs *certs = ut_certs_make();
    ut_tls_config tls = {.server = true,
                         .cert_pem = ut_certs_get(certs, "server.pem"),
                         .key_pem = ut_certs_get(certs, "server.key")};
    ut_tls_context *context = NULL;
    assert_int_equal(ut_tls_context_new(&tls, &context, NULL), UT_OK);
    rig *r = make_rig_with(engine);
    server *s = add_server(r, context);
    r->destinations[0].ca_pem = ut_certs_get(certs, "ca.pem");
    r->destinations[0].gzip = true;
    r->destinations[0].connections = 3;
    for (uint32_t i = 0; i < 60; i++)
        (void)ut_filled_store_append(r->store, 200, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    expect_each_once(r, s);
    assert_non_null(strstr(s->head_z, "Content-Encoding: gzip"));
    drop_rig(r);
    ut_tls_context_free(context);
    ut_certs_free(certs);
    ut_temp_dir_remove(dir_z);
}

static void a_server_that_is_not_trusted_gets_nothing(void **state)
{
    (void)state;
    ut_certs *certs = ut_certs_make();
    ut_tls_config tls = {.server = true,
                         .cert_pem = ut_certs_get(certs, "stray.pem"),
                         .key_pem = ut_certs_get(certs, "stray.key")};
    ut_tls_context *context = NULL;
    assert_int_equal(ut_tls_context_new(&tls, &context, NULL), UT_OK);
    rig *r = make_rig();
    server *s = add_server(r, context);
    r->destinations[0].ca_pem = ut_certs_get(certs, "ca.pem");
    (void)ut_filled_store_append(r->store, 10, 0);
    start_dispatcher(r);
    assert_false(run_until(r, all_settled, r->now_ms + 300000));
    assert_int_equal(s->count, 0);
    assert_int_equal(entry_of(r, 0, 1).state, UT_DELIVERY_PENDING);
    assert_non_null(strstr(entry_of(r, 0, 1).reason_z, "not signed by a trusted CA"));
    drop_rig(r);
    ut_tls_context_free(context);
    ut_certs_free(certs);
}

static void json_and_configured_headers_are_sent(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    char name_z[] = "Authorization";
    char value_z[] = "Bearer top-secret";
    r->destinations[0].encoder = &ut_otlp_json_encoder;
    r->destinations[0].headers[0] = (ut_header){name_z, value_z};
    r->destinations[0].header_count = 1;
    (void)ut_filled_store_append(r->store, 100, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    expect_each_once(r, s);
    assert_non_null(strstr(s->head_z, "POST /v1/traces HTTP/1.1\r\n"));
    assert_non_null(strstr(s->head_z, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(s->head_z, "Authorization: Bearer top-secret\r\n"));
    assert_non_null(strstr(s->head_z, "User-Agent: untrace/test\r\n"));
    drop_rig(r);
}

static void neighbours_are_merged_after_the_delay_and_not_before(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    for (int i = 0; i < 10; i++)
        (void)ut_filled_store_append(r->store, 10, 0);
    start_dispatcher(r);
    uint64_t begin_ms = r->now_ms;
    assert_false(run_until(r, all_settled, begin_ms + 999));
    assert_int_equal(s->count, 0);
    run_to_the_end(r);
    assert_int_equal(s->count, 1);
    assert_int_equal(s->requests[0].spans, 100);
    assert_int_equal(s->requests[0].at_ms, begin_ms + 1000);
    drop_rig(r);
}

static void a_full_batch_goes_at_once(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    r->destinations[0].batch_spans_max = 150;
    for (int i = 0; i < 5; i++)
        (void)ut_filled_store_append(r->store, 50, 0);
    start_dispatcher(r);
    uint64_t begin_ms = r->now_ms;
    assert_false(run_until(r, all_settled, begin_ms));
    assert_int_equal(s->count, 1);
    assert_int_equal(s->requests[0].spans, 150);
    run_to_the_end(r);
    assert_int_equal(s->count, 2);
    assert_int_equal(s->requests[1].spans, 100);
    assert_int_equal(s->requests[1].at_ms, begin_ms + 1000);
    drop_rig(r);
}

static void a_block_larger_than_a_batch_is_cut_and_marked_once(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    r->destinations[0].batch_spans_max = 30;
    r->destinations[0].connections = 4;
    (void)ut_filled_store_append(r->store, 100, 0);
    (void)ut_filled_store_append(r->store, 5, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    expect_each_once(r, s);
    assert_int_equal(s->count, 4);
    for (int i = 0; i < s->count; i++)
        assert_in_range(s->requests[i].spans, 15, 30);
    assert_int_equal(r->marks, 2);
    drop_rig(r);
}

static void the_bytes_of_a_batch_are_obeyed(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    r->destinations[0].batch_bytes_max = 20000;
    for (int i = 0; i < 10; i++)
        (void)ut_filled_store_append(r->store, 100, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    expect_each_once(r, s);
    for (int i = 0; i < s->count; i++)
        assert_in_range(s->requests[i].bytes, 1, 20000);
    assert_in_range(s->count, 30, 60); // about 670 bytes a span
    drop_rig(r);
}

static void blocks_that_fit_are_not_cut(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    r->destinations[0].batch_spans_max = 100;
    for (int i = 0; i < 10; i++)
        (void)ut_filled_store_append(r->store, 60, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    expect_each_once(r, s);
    for (int i = 0; i < s->count; i++)
        assert_int_equal(s->requests[i].spans, 60);
    drop_rig(r);

    // Nor where the bytes are what does not fit.
    r = make_rig();
    s = add_server(r, NULL);
    r->destinations[0].batch_bytes_max = 20000;
    for (int i = 0; i < 50; i++)
        (void)ut_filled_store_append(r->store, 7, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    expect_each_once(r, s);
    for (int i = 0; i < s->count; i++) {
        assert_int_equal(s->requests[i].spans % 7, 0);
        assert_in_range(s->requests[i].bytes, 1, 20000);
    }
    drop_rig(r);
}

static void a_span_larger_than_a_batch_goes_alone(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    r->destinations[0].batch_bytes_max = 100;
    (void)ut_filled_store_append(r->store, 20, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    expect_each_once(r, s);
    assert_int_equal(s->count, 20);
    drop_rig(r);
}

static void what_arrives_later_is_delivered_too(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    start_dispatcher(r);
    for (int i = 0; i < 5; i++) {
        // Nothing to wait for but the time after which an unused connection is closed.
        uint64_t next_ms = step(r);
        assert_true(next_ms == UINT64_MAX || next_ms >= r->now_ms + UT_HTTP_IDLE_MS_MAX);
        (void)ut_filled_store_append(r->store, 7, 0);
        ut_dispatcher_advance(r->dispatcher, ut_filled_store_last_seq(r->store));
        run_to_the_end(r);
    }
    expect_each_once(r, s);
    assert_int_equal(s->count, 5);
    drop_rig(r);
}

static void hang_after_first(server *s, const seen_request *request, const size_t *places,
                             ut_peer_answer *answer)
{
    (void)request;
    (void)places;
    if (s->count > 1 && s->broken)
        answer->then = UT_PEER_HANG;
    else
        answer_with(answer, 200, "", NULL);
}

static bool has_four_requests(rig *r)
{
    return ut_peer_get_counts(r->servers[0].peer).requests == 4;
}

static void several_connections_work_at_once_and_no_more_than_allowed(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = hang_after_first;
    s->broken = 1;
    r->destinations[0].connections = 3;
    r->destinations[0].batch_spans_max = 50;
    for (int i = 0; i < 10; i++)
        (void)ut_filled_store_append(r->store, 50, 0);
    start_dispatcher(r);
    assert_true(run_until(r, has_four_requests, UINT64_MAX));
    for (int i = 0; i < 20; i++) {
        (void)await_sockets(r, 1);
        (void)step(r);
    }
    assert_int_equal(status_of(r, 0).in_flight, 3);
    assert_int_equal(ut_peer_get_counts(s->peer).connections, 3);
    // They time out together, which is one failure; then all goes on.
    s->broken = 0;
    r->now_ms += 10000;
    run_to_the_end(r);
    assert_int_equal(log_lines(r, "cannot deliver"), 1);
    expect_each_once(r, s);
    drop_rig(r);
}

// ---- failures that pass ----

static void fail_first(server *s, const seen_request *request, const size_t *places,
                       ut_peer_answer *answer)
{
    (void)request;
    (void)places;
    if (s->count <= s->first_n)
        answer_with(answer, s->status, s->fields_z, "busy with other things");
    else
        answer_with(answer, 200, "", NULL);
}

static void a_failure_is_tried_again_with_growing_waits_and_one_probe_at_a_time(void **state)
{
    (void)state;
    static const int statuses[] = {429, 502, 503, 504};
    for (size_t k = 0; k < 4; k++) {
        rig *r = make_rig();
        server *s = add_server(r, NULL);
        s->script = fail_first;
        s->first_n = 9;
        s->status = statuses[k];
        s->fields_z = "";
        r->destinations[0].connections = 4;
        r->destinations[0].batch_spans_max = 50;
        for (int i = 0; i < 10; i++)
            (void)ut_filled_store_append(r->store, 50, 0);
        start_dispatcher(r);
        run_to_the_end(r);
        expect_each_once(r, s);
        assert_int_equal(s->count, 9 + 10);
        for (int i = 1; i < 10; i++) {
            uint64_t ceiling_ms = 1000u << (i - 1);
            uint64_t wait_ms = s->requests[i].at_ms - s->requests[i - 1].at_ms;
            assert_in_range(wait_ms, 0, ceiling_ms < 60000 ? ceiling_ms : 60000);
        }
        // Nine probes; after the first success everything goes at once.
        assert_int_equal(s->requests[18].at_ms - s->requests[9].at_ms, 0);
        assert_int_equal(log_lines(r, "warn"), 4); // failures 1, 2, 4 and 8
        assert_int_equal(log_lines(r, "answers again, after 9 failures"), 1);
        assert_int_equal(log_lines(r, "busy with other things"), 4);
        assert_false(status_of(r, 0).failing);
        assert_int_equal(status_of(r, 0).failures, 9);
        drop_rig(r);
    }
}

static bool has_failed_once(rig *r)
{
    return status_of(r, 0).failures == 1;
}

static bool has_failed_twice(rig *r)
{
    return status_of(r, 0).failures == 2;
}

static void fail_bad_spans(server *s, const seen_request *request, const size_t *places,
                           ut_peer_answer *answer)
{
    for (uint32_t i = 0; i < request->spans; i++) {
        for (size_t b = 0; b < s->bad_count; b++) {
            if (places[i] == s->bad[b]) {
                answer_with(answer, s->status, s->fields_z != NULL ? s->fields_z : "",
                            "this span displeases");
                return;
            }
        }
    }
    answer_with(answer, 200, "", NULL);
}

// Fails requests by their number: the first one passes, then so many fail.
static void fail_after_first(server *s, const seen_request *request, const size_t *places,
                             ut_peer_answer *answer)
{
    (void)request;
    (void)places;
    if (s->count > 1 && s->count <= 1 + s->first_n)
        answer_with(answer, 503, s->fields_z, "busy with other things");
    else
        answer_with(answer, 200, "", NULL);
}

static void a_destination_that_stops_working_is_probed_by_one_request_at_a_time(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = fail_after_first;
    s->first_n = 12;
    s->fields_z = "Retry-After: 100\r\n"; // so that each round has a time of its own
    r->destinations[0].connections = 4;
    r->destinations[0].batch_spans_max = 50;
    for (int i = 0; i < 20; i++)
        (void)ut_filled_store_append(r->store, 50, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    expect_each_once(r, s);
    int rounds[64] = {0};
    int round = 0;
    for (int i = 1; i <= 13; i++) {
        round += s->requests[i].at_ms != s->requests[i - 1].at_ms;
        rounds[round]++;
    }
    assert_in_range(rounds[0], 1, 4); // what was under way together
    for (int i = 1; i <= round; i++)
        assert_int_equal(rounds[i], 1);
    drop_rig(r);
}

// Delivers one block, so that several requests are allowed, appends more blocks, and steps until two
// requests are under way. The server is held.
static void begin_two(rig *r, server *s, int blocks, uint32_t spans)
{
    (void)ut_filled_store_append(r->store, 50, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    ut_peer_hold(s->peer);
    for (int i = 0; i < blocks; i++)
        (void)ut_filled_store_append(r->store, spans, 0);
    ut_dispatcher_advance(r->dispatcher, ut_filled_store_last_seq(r->store));
    uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
    while (status_of(r, 0).in_flight < 2) {
        assert_true(ut_clock_mono_ms() < end);
        (void)step(r);
        (void)await_sockets(r, 1);
    }
}

// Fails the batch with the first bad span as often as first_n says.
static void fail_bad_for_a_while(server *s, const seen_request *request, const size_t *places,
                                 ut_peer_answer *answer)
{
    for (uint32_t i = 0; i < request->spans; i++) {
        if (places[i] == s->bad[0] && s->first_n > 0) {
            s->first_n--;
            answer_with(answer, 503, s->fields_z, "not now");
            return;
        }
    }
    answer_with(answer, 200, "", NULL);
}

// Answers two requests that are under way together: the first one's batch is refused for now, the
// other's taken. Both answers are there before the dispatcher looks.
static void fail_one_of_two(rig *r, server *s, const char *fields_z)
{
    s->script = fail_bad_for_a_while;
    s->first_n = 1;
    s->fields_z = fields_z;
    s->bad[0] = 50;
    r->destinations[0].connections = 2;
    r->destinations[0].batch_spans_max = 50;
    r->destinations[0].retry_initial_ms = 1000000000; // a wait that no test mistakes for none
    r->destinations[0].retry_max_ms = 1000000000;
    r->destinations[0].timeout_ms = 2000000000;
    begin_two(r, s, 3, 50);
    ut_peer_release(s->peer);
    while (await_sockets(r, DEADLINE_MS) < 2)
        ;
    (void)step(r);
    assert_int_equal(status_of(r, 0).failures, 1);
}

static void one_success_ends_the_wait_at_once(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    fail_one_of_two(r, s, "");
    uint64_t now_ms = r->now_ms;
    assert_true(run_until(r, all_settled, now_ms));
    assert_int_equal(r->now_ms, now_ms);
    drop_rig(r);
}

static void a_success_does_not_end_the_wait_that_was_asked_for(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    fail_one_of_two(r, s, "Retry-After: 60\r\n");
    ut_peer_hold(s->peer);
    int count = s->count;
    ut_peer_release(s->peer);
    uint64_t now_ms = r->now_ms;
    assert_false(run_until(r, all_settled, now_ms + 59999));
    assert_int_equal(s->count, count);
    assert_true(run_until(r, all_settled, now_ms + 60000));
    drop_rig(r);
}

static void two_parts_of_a_block_that_fail_make_one_mark(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = fail_after_first;
    s->first_n = 2;
    s->fields_z = "Retry-After: 5\r\n"; // no wait by chance of 0 ms
    r->destinations[0].connections = 2;
    r->destinations[0].batch_spans_max = 50;
    begin_two(r, s, 1, 100);
    r->hold_marks = true;
    uint64_t marks = r->marks;
    ut_peer_release(s->peer);
    assert_true(run_until(r, has_failed_twice, UINT64_MAX));
    r->hold_marks = false;
    r->now_ms += 1000;
    (void)step(r);
    assert_int_equal(r->marks, marks + 1);
    ut_delivery entry = entry_of(r, 0, 2);
    assert_int_equal(entry.state, UT_DELIVERY_PENDING);
    assert_int_equal(entry.attempts, 1);
    run_to_the_end(r);
    expect_each_once(r, s);
    drop_rig(r);
}

static void a_block_that_waits_is_marked_with_reason_and_time(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = fail_first;
    s->first_n = 1;
    s->status = 503;
    s->fields_z = "Retry-After: 30\r\n";
    (void)ut_filled_store_append(r->store, 5, 0);
    (void)ut_filled_store_append(r->store, 6, 0);
    start_dispatcher(r);
    assert_true(run_until(r, has_failed_once, UINT64_MAX));
    for (uint64_t seq = 1; seq <= 2; seq++) {
        ut_delivery entry = entry_of(r, 0, seq);
        assert_int_equal(entry.state, UT_DELIVERY_PENDING);
        assert_int_equal(entry.attempts, 1);
        assert_int_equal(entry.http_status, 503);
        assert_string_equal(entry.reason_z, "HTTP 503: busy with other things");
        assert_int_equal(entry.updated_ns, wall_ns(r));
        assert_int_equal(entry.next_try_ns, wall_ns(r) + 30 * second_ns);
    }
    assert_true(status_of(r, 0).failing);
    run_to_the_end(r);
    assert_int_equal(r->marks, 4); // one for each block and attempt
    assert_int_equal(entry_of(r, 0, 1).attempts, 2);
    drop_rig(r);
}

static void retry_after_is_the_shortest_wait(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = fail_first;
    s->first_n = 3;
    s->status = 429;
    s->fields_z = "Retry-After: 300\r\n";
    (void)ut_filled_store_append(r->store, 5, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    assert_int_equal(s->count, 4);
    for (int i = 1; i < 4; i++)
        assert_int_equal(s->requests[i].at_ms - s->requests[i - 1].at_ms, 300000);
    drop_rig(r);
}

static void break_first(server *s, const seen_request *request, const size_t *places,
                        ut_peer_answer *answer)
{
    (void)request;
    (void)places;
    if (s->count <= s->first_n)
        answer->then = UT_PEER_RESET;
    else
        answer_with(answer, 200, "", NULL);
}

static void a_connection_that_breaks_is_tried_again(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = break_first;
    s->first_n = 3;
    (void)ut_filled_store_append(r->store, 50, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    assert_int_equal(s->count, 4);
    assert_int_equal(log_lines(r, "the connection broke"), 2);
    drop_rig(r);
}

static void a_dead_destination_does_not_touch_the_others(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *dead = add_server(r, NULL);
    server *alive = add_server(r, NULL);
    ut_peer_stop(dead->peer); // connections are refused from now on
    dead->peer = NULL;
    uint64_t seqs = 0;
    for (int i = 0; i < 50; i++)
        seqs = ut_filled_store_append(r->store, 100, 0);
    start_dispatcher(r);
    assert_false(run_until(r, all_settled, r->now_ms + 3600000));
    expect_each_once(r, alive);
    for (uint64_t seq = 1; seq <= seqs; seq++)
        assert_int_equal(entry_of(r, 1, seq).state, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_filled_store_counts(r->store, r->destinations[0].dest).delivered, 0);
    assert_non_null(strstr(entry_of(r, 0, 1).reason_z, "refused"));
    // An hour of a dead destination is a handful of lines.
    assert_in_range(log_lines(r, "first: cannot deliver"), 4, 10);
    assert_int_equal(log_lines(r, "second:"), 0);
    drop_rig(r);
}

static bool others_arrived(rig *r)
{
    bool arrived = true;
    ut_peer_hold(r->servers[0].peer);
    for (size_t i = 100; i < ut_filled_store_count(r->store); i++)
        arrived = arrived && r->servers[0].times[i] > 0;
    ut_peer_release(r->servers[0].peer);
    return arrived;
}

static void a_batch_that_always_fails_does_not_hold_up_the_others(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = fail_bad_spans;
    s->status = 503;
    s->bad[0] = 50;
    s->bad_count = 1;
    r->destinations[0].batch_spans_max = 100;
    for (int i = 0; i < 30; i++)
        (void)ut_filled_store_append(r->store, 100, 0);
    start_dispatcher(r);
    assert_true(run_until(r, others_arrived, r->now_ms + 10000));
    assert_int_equal(entry_of(r, 0, 1).state, UT_DELIVERY_PENDING);
    // It alone goes on being tried, less and less often, and its failures are no failure of the
    // destination.
    assert_false(run_until(r, all_settled, r->now_ms + 3600000));
    assert_in_range(s->count, 30 + 60, 30 + 400);
    s->bad_count = 0;
    run_to_the_end(r);
    expect_each_once(r, s);
    drop_rig(r);
}

static void count_and_fail(server *s, const seen_request *request, const size_t *places,
                           ut_peer_answer *answer)
{
    take(s, places, request->spans);
    answer_with(answer, 503, "", "not now");
}

static void attempts_can_be_limited(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = fail_first;
    s->first_n = 1000;
    s->status = 503;
    s->fields_z = "";
    r->destinations[0].retry_attempts_max = 5;
    (void)ut_filled_store_append(r->store, 5, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    assert_int_equal(s->count, 5);
    ut_delivery entry = entry_of(r, 0, 1);
    assert_int_equal(entry.state, UT_DELIVERY_DEAD);
    assert_int_equal(entry.attempts, 5);
    assert_int_equal(entry.spans_dead, 5);
    assert_string_equal(entry.reason_z, "after 5 attempts: HTTP 503: busy with other things");
    drop_rig(r);
}

static void each_part_of_a_block_has_all_its_attempts(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = count_and_fail;
    r->destinations[0].retry_attempts_max = 5;
    r->destinations[0].batch_spans_max = 64;
    (void)ut_filled_store_append(r->store, 200, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(s->times[i], 5);
    ut_delivery entry = entry_of(r, 0, 1);
    assert_int_equal(entry.state, UT_DELIVERY_DEAD);
    assert_int_equal(entry.attempts, 5);
    assert_int_equal(entry.spans_dead, 200);
    drop_rig(r);
}

// ---- refusals ----

static void take_few(server *s, const seen_request *request, const size_t *places,
                     ut_peer_answer *answer)
{
    for (uint32_t i = 0; i < request->spans; i++) {
        if (s->bad_count > 0 && places[i] == s->bad[0]) {
            answer_with(answer, 413, "", "too large");
            return;
        }
    }
    answer_with(answer, request->spans > s->spans_max ? 413 : 200, "", NULL);
}

static void a_batch_that_is_too_large_is_halved_until_it_passes(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = take_few;
    s->spans_max = 3;
    for (int i = 0; i < 5; i++)
        (void)ut_filled_store_append(r->store, 20, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    expect_each_once(r, s);
    assert_int_equal(ut_filled_store_counts(r->store, r->destinations[0].dest).delivered, 100);
    assert_int_equal(r->marks, 5);
    drop_rig(r);
}

static void a_single_span_that_is_too_large_becomes_a_dead_letter(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = take_few;
    s->spans_max = 1000;
    s->bad[0] = 27;
    s->bad_count = 1;
    for (int i = 0; i < 5; i++)
        (void)ut_filled_store_append(r->store, 20, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(s->times[i], i == 27 ? 0 : 1);
    ut_delivery entry = entry_of(r, 0, 2);
    assert_int_equal(entry.state, UT_DELIVERY_DELIVERED);
    assert_int_equal(entry.spans_dead, 1);
    assert_int_equal(entry.http_status, 413);
    assert_string_equal(entry.reason_z, "HTTP 413: too large");
    ut_store_destination_counts counts = ut_filled_store_counts(r->store, r->destinations[0].dest);
    assert_int_equal(counts.delivered, 99);
    assert_int_equal(counts.dead, 1);
    assert_in_range(s->count, 3, 2 * 7 + 1); // two requests for each halving of 100
    drop_rig(r);
}

static void bad_spans_are_found_among_good_ones(void **state)
{
    (void)state;
    static const int statuses[] = {400, 422, 500};
    for (size_t k = 0; k < 3; k++) {
        rig *r = make_rig();
        server *s = add_server(r, NULL);
        s->script = fail_bad_spans;
        s->status = statuses[k];
        s->bad[0] = 0;
        s->bad[1] = 255;
        s->bad[2] = 256;
        s->bad[3] = 499;
        s->bad_count = 4;
        for (int i = 0; i < 5; i++)
            (void)ut_filled_store_append(r->store, 100, 0);
        start_dispatcher(r);
        run_to_the_end(r);
        for (size_t i = 0; i < 500; i++)
            assert_int_equal(s->times[i], i == 0 || i == 255 || i == 256 || i == 499 ? 0 : 1);
        assert_int_equal(entry_of(r, 0, 1).spans_dead, 1);
        assert_int_equal(entry_of(r, 0, 2).spans_dead, 0);
        assert_int_equal(entry_of(r, 0, 3).spans_dead, 2);
        assert_int_equal(entry_of(r, 0, 5).spans_dead, 1);
        assert_int_equal(ut_filled_store_counts(r->store, r->destinations[0].dest).dead, 4);
        assert_in_range(s->count, 1, 4 * 2 * 10);
        drop_rig(r);
    }
}

static void always_400(server *s, const seen_request *request, const size_t *places,
                       ut_peer_answer *answer)
{
    (void)s;
    (void)request;
    (void)places;
    answer_with(answer, 400, "", "I do not like you");
}

static void a_destination_that_refuses_everything_is_not_asked_span_by_span(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = always_400;
    for (int i = 0; i < 50; i++)
        (void)ut_filled_store_append(r->store, 100, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    ut_store_destination_counts counts = ut_filled_store_counts(r->store, r->destinations[0].dest);
    assert_int_equal(counts.dead, 5000);
    assert_in_range(s->count, 1, UT_HEALTH_REFUSALS_MAX + 30);
    assert_int_equal(entry_of(r, 0, 50).state, UT_DELIVERY_DEAD);
    assert_string_equal(entry_of(r, 0, 50).reason_z, "HTTP 400: I do not like you");
    assert_in_range(log_lines(r, "refused for good"), 1, 9);
    drop_rig(r);
}

static void an_outage_that_looks_like_refusals_costs_few_batches(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = always_400;
    r->destinations[0].batch_spans_max = 100;
    r->destinations[0].connections = 3;
    for (int i = 0; i < 400; i++)
        (void)ut_filled_store_append(r->store, 100, 0);
    start_dispatcher(r);
    uint64_t begin_ms = r->now_ms;
    assert_false(run_until(r, all_settled, begin_ms + 600000));
    // Ten minutes: the tries grow apart to one in half a minute on the average.
    ut_peer_hold(s->peer);
    s->script = NULL;
    int count = s->count;
    ut_peer_release(s->peer);
    assert_in_range(count, 3 * UT_HEALTH_REFUSALS_MAX + 5, 3 * UT_HEALTH_REFUSALS_MAX + 100);
    uint64_t dead = ut_filled_store_counts(r->store, r->destinations[0].dest).dead;
    assert_in_range(dead, 100, 10000);
    assert_int_equal(log_lines(r, "refuses everything: HTTP 400: I do not like you; "), 1);
    uint64_t healed_ms = r->now_ms;
    run_to_the_end(r);
    assert_int_equal(ut_filled_store_counts(r->store, r->destinations[0].dest).dead, dead);
    assert_in_range(r->now_ms - healed_ms, 0, 60000 + 1000);
    drop_rig(r);
}

static void reject_some(server *s, const seen_request *request, const size_t *places,
                        ut_peer_answer *answer)
{
    (void)request;
    (void)places;
    ut_buf body;
    ut_buf_init(&body, 4096);
    ut_otlp_response_write(UT_OTLP_PROTOBUF, s->first_n, "too many attributes", &body);
    ut_peer_answer_write(answer, 200, s->fields_z, ut_buf_bytes(&body));
    ut_buf_free(&body);
}

static void partial_success_is_counted_and_not_tried_again(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = reject_some;
    s->first_n = 31;
    s->fields_z = "Content-Type: application/x-protobuf\r\n";
    (void)ut_filled_store_append(r->store, 100, 0);
    (void)ut_filled_store_append(r->store, 10, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    assert_int_equal(s->count, 1);
    ut_store_destination_counts counts = ut_filled_store_counts(r->store, r->destinations[0].dest);
    assert_int_equal(counts.dead, 31);
    assert_int_equal(counts.delivered, 79);
    ut_delivery entry = entry_of(r, 0, 1);
    assert_int_equal(entry.state, UT_DELIVERY_DELIVERED);
    assert_in_range(entry.spans_dead, 27, 29);
    assert_non_null(strstr(entry.reason_z, "31 of 110 spans rejected: too many attributes"));
    assert_int_equal(log_lines(r, "too many attributes"), 1);
    assert_int_equal(status_of(r, 0).spans_delivered, 79);
    assert_int_equal(status_of(r, 0).spans_dead, 31);
    drop_rig(r);
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
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        rig *r = make_rig();
        server *s = add_server(r, NULL);
        s->script = reject_some;
        s->first_n = cases[k].rejected;
        s->fields_z = cases[k].fields_z;
        (void)ut_filled_store_append(r->store, 20, 0);
        start_dispatcher(r);
        run_to_the_end(r);
        ut_delivery entry = entry_of(r, 0, 1);
        assert_int_equal(entry.spans_dead, cases[k].dead);
        assert_int_equal(entry.state,
                         cases[k].dead == 20 ? UT_DELIVERY_DEAD : UT_DELIVERY_DELIVERED);
        drop_rig(r);
    }
}

// ---- wrong settings ----

static void a_wrong_setting_keeps_the_data_and_is_tried_slowly(void **state)
{
    (void)state;
    static const int statuses[] = {301, 307, 401, 403, 404, 405, 415};
    for (size_t k = 0; k < sizeof statuses / sizeof statuses[0]; k++) {
        rig *r = make_rig();
        server *s = add_server(r, NULL);
        s->script = fail_first;
        s->first_n = 20;
        s->status = statuses[k];
        s->fields_z = "Location: http://elsewhere/\r\n";
        for (int i = 0; i < 3; i++)
            (void)ut_filled_store_append(r->store, 100, 0);
        start_dispatcher(r);
        run_to_the_end(r);
        expect_each_once(r, s);
        assert_int_equal(s->count, 21);
        for (int i = 1; i <= 20; i++)
            assert_int_equal(s->requests[i].at_ms - s->requests[i - 1].at_ms, 60000);
        assert_in_range(log_lines(r, "error "), 1, 5);
        assert_int_equal(log_lines(r, "answers again"), 1);
        assert_int_equal(log_lines(r, "redirects are not followed") > 0, statuses[k] < 400);
        drop_rig(r);
    }
}

// The login page of a network answers everything with 200.
static void answer_a_page(server *s, const seen_request *request, const size_t *places,
                          ut_peer_answer *answer)
{
    if (s->count > s->first_n) {
        answer_with(answer, 200, "", NULL);
        return;
    }
    for (uint32_t i = 0; i < request->spans; i++)
        s->times[places[i]]--; // what is answered with 200 is about to be counted
    ut_peer_answer_write(answer, 200, "Content-Type: text/html\r\n",
                         UT_BYTES_LIT("<html>Welcome</html>"));
}

static void a_web_page_is_not_taken_for_a_delivery(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = answer_a_page;
    s->first_n = 5;
    for (int i = 0; i < 3; i++)
        (void)ut_filled_store_append(r->store, 100, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    expect_each_once(r, s);
    assert_true(s->count > 5);
    assert_true(log_lines(r, "HTTP 200: a web page, not OTLP") > 0);
    drop_rig(r);
}

static void a_403_for_one_batch_alone_is_about_its_data(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = fail_bad_spans;
    s->status = 403;
    s->bad[0] = 150;
    s->bad_count = 1;
    r->destinations[0].batch_spans_max = 100;
    for (int i = 0; i < 5; i++)
        (void)ut_filled_store_append(r->store, 100, 0);
    start_dispatcher(r);
    run_to_the_end(r);
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(s->times[i], i == 150 ? 0 : 1);
    assert_int_equal(entry_of(r, 0, 2).spans_dead, 1);
    drop_rig(r);
}

// ---- the store ----

static bool holds_marks(rig *r)
{
    return status_of(r, 0).requests >= 1 && status_of(r, 0).in_flight == 0;
}

static void while_marks_are_refused_nothing_new_is_begun(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    r->destinations[0].batch_spans_max = 100;
    for (int i = 0; i < 10; i++)
        (void)ut_filled_store_append(r->store, 100, 0);
    r->hold_marks = true;
    start_dispatcher(r);
    assert_true(run_until(r, holds_marks, UINT64_MAX));
    assert_false(run_until(r, all_settled, r->now_ms + 10000));
    assert_int_equal(s->count, 1);
    assert_false(ut_dispatcher_idle(r->dispatcher));
    r->hold_marks = false;
    r->refuse_marks = 1;
    run_to_the_end(r);
    expect_each_once(r, s);
    assert_int_equal(r->marks, 10);
    drop_rig(r);
}

static bool half_delivered(rig *r)
{
    return ut_filled_store_counts(r->store, r->destinations[0].dest).delivered >= 1000;
}

static void a_restart_sends_only_what_was_not_marked(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    r->destinations[0].batch_spans_max = 100;
    for (int i = 0; i < 20; i++)
        (void)ut_filled_store_append(r->store, 100, 0);
    start_dispatcher(r);
    assert_true(run_until(r, half_delivered, UINT64_MAX));
    uint64_t delivered = ut_filled_store_counts(r->store, r->destinations[0].dest).delivered;
    ut_dispatcher_free(r->dispatcher);
    ut_peer_hold(s->peer);
    int sent = s->count;
    ut_peer_release(s->peer);
    start_dispatcher(r);
    run_to_the_end(r);
    // The server may have read one that was under way only after it was counted here.
    assert_in_range(s->count - sent, 20 - delivered / 100, 20 - delivered / 100 + 1);
    for (size_t i = 0; i < 2000; i++)
        assert_in_range(s->times[i], 1, i < delivered ? 1 : 2);
    drop_rig(r);
}

static void a_restart_tries_at_once_and_goes_on_counting(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = fail_first;
    s->first_n = 1;
    s->status = 503;
    s->fields_z = "Retry-After: 5\r\n"; // no wait by chance of 0 ms
    (void)ut_filled_store_append(r->store, 10, 0);
    start_dispatcher(r);
    assert_true(run_until(r, has_failed_once, UINT64_MAX));
    ut_dispatcher_free(r->dispatcher);
    start_dispatcher(r);
    run_to_the_end(r);
    assert_int_equal(entry_of(r, 0, 1).attempts, 2);
    drop_rig(r);
}

static void what_has_expired_is_left_out(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    s->script = fail_first;
    s->first_n = 1;
    s->status = 503;
    s->fields_z = "Retry-After: 5\r\n"; // no wait by chance of 0 ms
    (void)ut_filled_store_append(r->store, 10, 1000);
    (void)ut_filled_store_append(r->store, 20, 0);
    (void)ut_filled_store_append(r->store, 30, 1000);
    start_dispatcher(r);
    assert_true(run_until(r, has_failed_once, UINT64_MAX));
    ut_filled_store_sweep(r->store, wall_begin_ns + 10 * 3600 * second_ns);
    run_to_the_end(r);
    assert_int_equal(s->count, 2);
    assert_int_equal(s->requests[1].spans, 20);
    ut_store_destination_counts counts = ut_filled_store_counts(r->store, r->destinations[0].dest);
    assert_int_equal(counts.delivered, 20);
    assert_int_equal(counts.expired, 40);
    assert_int_equal(status_of(r, 0).spans_delivered, 20);
    assert_int_equal(status_of(r, 0).spans_dead, 0);
    drop_rig(r);
}

static void a_damaged_block_dies_and_its_neighbours_arrive(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    for (int i = 0; i < 3; i++)
        (void)ut_filled_store_append(r->store, 30, 0);
    ut_filled_store_damage(r->store, 2);
    start_dispatcher(r);
    run_to_the_end(r);
    assert_int_equal(s->count, 1);
    assert_int_equal(s->requests[0].spans, 60);
    ut_delivery entry = entry_of(r, 0, 2);
    assert_int_equal(entry.state, UT_DELIVERY_DEAD);
    assert_string_equal(entry.reason_z, "the block is damaged");
    assert_int_equal(entry.spans_dead, 30);
    assert_int_equal(log_lines(r, "block 2 in the store is damaged"), 1);
    drop_rig(r);
}

static bool first_call_came(rig *r)
{
    return r->faults.fail_at == 0 || r->faults.calls >= r->faults.fail_at;
}

static void a_store_that_fails_is_read_again_later(void **state)
{
    (void)state;
    // Every call of the engine fails once in turn; some of these failures are met by the marks' side,
    // which is not under test, so only reading calls are counted: no mark is taken meanwhile.
    for (uint64_t call = 1; call <= 12; call++) {
        rig *r = make_rig();
        server *s = add_server(r, NULL);
        r->destinations[0].batch_spans_max = 50;
        for (int i = 0; i < 3; i++)
            (void)ut_filled_store_append(r->store, 50, 0);
        start_dispatcher(r);
        r->hold_marks = true;
        r->faults = (ut_faults){.fail_at = call, .err = UT_EIO};
        (void)run_until(r, first_call_came, r->now_ms + 5000);
        r->faults.fail_at = 0;
        r->hold_marks = false;
        run_to_the_end(r);
        expect_each_once(r, s);
        drop_rig(r);
    }
}

// ---- stopping ----

static bool is_idle(rig *r)
{
    return ut_dispatcher_idle(r->dispatcher);
}

static bool has_begun(rig *r)
{
    return status_of(r, 0).in_flight > 0;
}

static void draining_ends_what_is_under_way_and_begins_nothing(void **state)
{
    (void)state;
    rig *r = make_rig();
    server *s = add_server(r, NULL);
    r->destinations[0].batch_spans_max = 100;
    for (int i = 0; i < 10; i++)
        (void)ut_filled_store_append(r->store, 100, 0);
    ut_peer_hold(s->peer); // so that the answer comes only when it is draining
    start_dispatcher(r);
    assert_true(run_until(r, has_begun, UINT64_MAX));
    ut_dispatcher_drain(r->dispatcher);
    assert_false(ut_dispatcher_idle(r->dispatcher));
    ut_peer_release(s->peer);
    assert_true(run_until(r, is_idle, UINT64_MAX));
    assert_int_equal(ut_filled_store_counts(r->store, r->destinations[0].dest).delivered, 100);
    assert_false(run_until(r, all_settled, r->now_ms + 100000));
    assert_int_equal(s->count, 1);
    ut_dispatcher_free(r->dispatcher);
    start_dispatcher(r);
    run_to_the_end(r);
    expect_each_once(r, s);
    drop_rig(r);
}

static void draining_leaves_what_fails_pending(void **state)
{
    (void)state;
    static const int statuses[] = {503, 413, 401};
    for (size_t k = 0; k < 3; k++) {
        rig *r = make_rig();
        server *s = add_server(r, NULL);
        s->script = fail_first;
        s->first_n = 1;
        s->status = statuses[k];
        s->fields_z = "";
        (void)ut_filled_store_append(r->store, 100, 0);
        r->destinations[0].batch_spans_max = 50; // two parts of one block
        r->destinations[0].connections = 2;
        ut_peer_hold(s->peer); // so that the answer comes only when it is draining
        start_dispatcher(r);
        assert_true(run_until(r, has_begun, UINT64_MAX));
        ut_dispatcher_drain(r->dispatcher);
        ut_peer_release(s->peer);
        assert_true(run_until(r, is_idle, UINT64_MAX));
        assert_int_equal(entry_of(r, 0, 1).state, UT_DELIVERY_PENDING);
        ut_dispatcher_free(r->dispatcher);
        start_dispatcher(r);
        run_to_the_end(r);
        assert_int_equal(ut_filled_store_counts(r->store, r->destinations[0].dest).delivered, 100);
        drop_rig(r);
    }
}

static void it_can_be_freed_at_any_moment(void **state)
{
    (void)state;
    for (int steps = 0; steps < 30; steps++) {
        rig *r = make_rig();
        server *s = add_server(r, NULL);
        s->script = take_few;
        s->spans_max = 20;
        r->destinations[0].connections = 3;
        r->hold_marks = steps % 2 == 1;
        for (int i = 0; i < 5; i++)
            (void)ut_filled_store_append(r->store, 100, 0);
        start_dispatcher(r);
        for (int i = 0; i < steps; i++) {
            uint64_t next_ms = step(r);
            if (await_sockets(r, 2) == 0 && next_ms != UINT64_MAX && next_ms > r->now_ms &&
                status_of(r, 0).in_flight == 0)
                r->now_ms = next_ms;
        }
        drop_rig(r);
    }
}

// ---- configuration ----

static void a_destination_that_cannot_work_is_explained(void **state)
{
    (void)state;
    rig *r = make_rig();
    (void)add_server(r, NULL);
    start_dispatcher(r);
    char name_z[] = "Content-Length";
    char value_z[] = "5";
    for (int k = 0; k < 8; k++) {
        ut_destination_config d = r->destinations[0];
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
        assert_int_equal(ut_dispatcher_add(r->dispatcher, &d, &fault), UT_EINVAL);
        assert_non_null(strstr(fault.text_z, "destination broken: "));
    }
    drop_rig(r);
}

static void there_is_an_end_to_destinations(void **state)
{
    (void)state;
    rig *r = make_rig();
    (void)add_server(r, NULL);
    start_dispatcher(r);
    for (int i = 1; i < UT_STORE_DESTINATIONS_MAX; i++)
        assert_int_equal(ut_dispatcher_add(r->dispatcher, &r->destinations[0], NULL), UT_OK);
    ut_fault fault = {0};
    assert_int_equal(ut_dispatcher_add(r->dispatcher, &r->destinations[0], &fault), UT_EINVAL);
    drop_rig(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_span_arrives_once_and_in_order),
        cmocka_unit_test(the_same_over_lmdb_and_verified_tls),
        cmocka_unit_test(a_server_that_is_not_trusted_gets_nothing),
        cmocka_unit_test(json_and_configured_headers_are_sent),
        cmocka_unit_test(neighbours_are_merged_after_the_delay_and_not_before),
        cmocka_unit_test(a_full_batch_goes_at_once),
        cmocka_unit_test(a_block_larger_than_a_batch_is_cut_and_marked_once),
        cmocka_unit_test(the_bytes_of_a_batch_are_obeyed),
        cmocka_unit_test(blocks_that_fit_are_not_cut),
        cmocka_unit_test(a_span_larger_than_a_batch_goes_alone),
        cmocka_unit_test(what_arrives_later_is_delivered_too),
        cmocka_unit_test(several_connections_work_at_once_and_no_more_than_allowed),
        cmocka_unit_test(a_failure_is_tried_again_with_growing_waits_and_one_probe_at_a_time),
        cmocka_unit_test(a_destination_that_stops_working_is_probed_by_one_request_at_a_time),
        cmocka_unit_test(one_success_ends_the_wait_at_once),
        cmocka_unit_test(a_success_does_not_end_the_wait_that_was_asked_for),
        cmocka_unit_test(two_parts_of_a_block_that_fail_make_one_mark),
        cmocka_unit_test(a_block_that_waits_is_marked_with_reason_and_time),
        cmocka_unit_test(retry_after_is_the_shortest_wait),
        cmocka_unit_test(a_connection_that_breaks_is_tried_again),
        cmocka_unit_test(a_dead_destination_does_not_touch_the_others),
        cmocka_unit_test(a_batch_that_always_fails_does_not_hold_up_the_others),
        cmocka_unit_test(attempts_can_be_limited),
        cmocka_unit_test(each_part_of_a_block_has_all_its_attempts),
        cmocka_unit_test(a_batch_that_is_too_large_is_halved_until_it_passes),
        cmocka_unit_test(a_single_span_that_is_too_large_becomes_a_dead_letter),
        cmocka_unit_test(bad_spans_are_found_among_good_ones),
        cmocka_unit_test(a_destination_that_refuses_everything_is_not_asked_span_by_span),
        cmocka_unit_test(an_outage_that_looks_like_refusals_costs_few_batches),
        cmocka_unit_test(partial_success_is_counted_and_not_tried_again),
        cmocka_unit_test(odd_partial_successes_are_counted_within_the_batch),
        cmocka_unit_test(a_wrong_setting_keeps_the_data_and_is_tried_slowly),
        cmocka_unit_test(a_web_page_is_not_taken_for_a_delivery),
        cmocka_unit_test(a_403_for_one_batch_alone_is_about_its_data),
        cmocka_unit_test(while_marks_are_refused_nothing_new_is_begun),
        cmocka_unit_test(a_restart_sends_only_what_was_not_marked),
        cmocka_unit_test(a_restart_tries_at_once_and_goes_on_counting),
        cmocka_unit_test(what_has_expired_is_left_out),
        cmocka_unit_test(a_damaged_block_dies_and_its_neighbours_arrive),
        cmocka_unit_test(a_store_that_fails_is_read_again_later),
        cmocka_unit_test(draining_ends_what_is_under_way_and_begins_nothing),
        cmocka_unit_test(draining_leaves_what_fails_pending),
        cmocka_unit_test(it_can_be_freed_at_any_moment),
        cmocka_unit_test(a_destination_that_cannot_work_is_explained),
        cmocka_unit_test(there_is_an_end_to_destinations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
