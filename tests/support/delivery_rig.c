// The scripted servers of a rig, and the loop that drives its dispatcher.
#include "tests/support/delivery_rig.h"

#include "adapters/encoding/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

void ut_delivery_rig_take(ut_delivery_rig_server *server, const size_t *places, uint32_t spans)
{
    for (uint32_t i = 0; i < spans; i++)
        server->times[places[i]]++;
}

void ut_delivery_rig_answer(ut_peer_answer *answer, int status, const char *fields_z,
                            const char *message_z)
{
    ut_buf body;
    ut_buf_init(&body, 4096);
    if (message_z != NULL)
        ut_otlp_status_write(UT_OTLP_PROTOBUF, 3, message_z, &body);
    char all_z[512];
    (void)snprintf(all_z, sizeof(all_z), "Content-Type: application/x-protobuf\r\n%s", fields_z);
    ut_peer_answer_write(answer, status, all_z, ut_buf_bytes(&body));
    ut_buf_free(&body);
}

static void read_request(void *context, const ut_peer_request *request, ut_peer_answer *answer)
{
    ut_delivery_rig_server *server = context;
    (void)snprintf(server->head_z, sizeof(server->head_z), "%.*s", (int)request->head.len,
                   (const char *)request->head.data);
    ut_buf plain;
    ut_buf_init(&plain, UT_DELIVERY_RIG_BUDGET);
    ut_bytes body = request->body;
    if (strstr(server->head_z, "Content-Encoding: gzip") != NULL) {
        ut_gzip *gzip = ut_gzip_new();
        UT_ASSERT(ut_gzip_expand(gzip, body, &plain, NULL) == UT_OK);
        ut_gzip_free(gzip);
        body = ut_buf_bytes(&plain);
    }
    ut_batch batch;
    ut_batch_init(&batch, UT_DELIVERY_RIG_BUDGET);
    bool json = strstr(server->head_z, "Content-Type: application/json") != NULL;
    UT_ASSERT((json ? ut_otlp_json_decode : ut_otlp_protobuf_decode)(body, &batch, NULL) == UT_OK);
    UT_ASSERT(server->count < UT_DELIVERY_RIG_REQUESTS_MAX && batch.span_count > 0);
    size_t *places = calloc(batch.span_count, sizeof(*places));
    for (uint32_t i = 0; i < batch.span_count; i++) {
        places[i] = ut_filled_store_find(server->rig->store, ut_batch_spans(&batch)[i].span_id);
        UT_ASSERT(places[i] != SIZE_MAX);
    }
    ut_delivery_rig_request *seen = &server->requests[server->count++];
    *seen = (ut_delivery_rig_request){
        .spans = batch.span_count,
        .bytes = request->body.len,
        .first = places[0],
        .at_ms = server->rig->now_ms,
        .status = 200,
    };
    if (server->script != NULL) {
        server->script(server, seen, places, answer);
        // "HTTP/1.1 200"; an answer without a byte has no status.
        const uint8_t *at = answer->bytes.data;
        seen->status = 0;
        for (size_t i = 9; answer->bytes.len >= 12 && i < 12; i++)
            seen->status = seen->status * 10 + (at[i] - '0');
    } else {
        ut_delivery_rig_answer(answer, 200, "", NULL);
    }
    if (seen->status >= 200 && seen->status < 300)
        ut_delivery_rig_take(server, places, batch.span_count);
    free(places);
    ut_batch_free(&batch);
    ut_buf_free(&plain);
}

static void keep_log(void *context, ut_log_level level, const char *line, size_t len)
{
    ut_delivery_rig *rig = context;
    size_t used = strlen(rig->log_z);
    if (used + len + 16 < sizeof(rig->log_z))
        (void)snprintf(rig->log_z + used, sizeof(rig->log_z) - used, "%s %.*s\n",
                       ut_log_level_name(level), (int)len, line);
}

int ut_delivery_rig_log_lines(const ut_delivery_rig *rig, const char *with_z)
{
    int lines = 0;
    for (const char *at = rig->log_z; (at = strstr(at, with_z)) != NULL; at++)
        lines++;
    return lines;
}

static ut_err keep_mark(void *context, const ut_delivery *mark)
{
    ut_delivery_rig *rig = context;
    if (rig->hold_marks || rig->refuse_marks > 0) {
        rig->refuse_marks -= rig->refuse_marks > 0 ? 1 : 0;
        rig->marks_refused++;
        return UT_EAGAIN;
    }
    rig->marks++;
    ut_filled_store_mark(rig->store, mark);
    return UT_OK;
}

int ut_delivery_rig_warm_up(void **state)
{
    (void)state;
    const ut_tls_config config = {.insecure = true};
    ut_tls_context *context = NULL;
    assert_int_equal(ut_tls_context_new(&config, &context, NULL), UT_OK);
    ut_tls_context_free(context);
    return 0;
}

ut_delivery_rig *ut_delivery_rig_make_with(ut_engine *engine)
{
    ut_delivery_rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    rig->store = ut_filled_store_open(ut_engine_faulty_wrap(engine, &rig->faults));
    rig->log = (ut_log){.level = UT_LOG_DEBUG, .write = keep_log, .context = rig};
    rig->now_ms = 1000000;
    assert_int_equal(ut_poller_open(&rig->poller), UT_OK);
    assert_int_equal(ut_resolver_open(rig->poller, &rig->resolver), UT_OK);
    return rig;
}

ut_delivery_rig *ut_delivery_rig_make(void)
{
    return ut_delivery_rig_make_with(ut_engine_memory_open(UT_DELIVERY_RIG_BUDGET));
}

void ut_delivery_rig_start(ut_delivery_rig *rig)
{
    ut_dispatcher_config config = {
        .poller = rig->poller,
        .resolver = rig->resolver,
        .engine = ut_filled_store_engine(rig->store),
        .log = &rig->log,
        .mark = keep_mark,
        .mark_context = rig,
        .user_agent_z = "untrace/test",
    };
    assert_int_equal(ut_dispatcher_new(&config, &rig->dispatcher), UT_OK);
    for (size_t i = 0; i < rig->count; i++) {
        ut_fault fault = {0};
        if (ut_dispatcher_add(rig->dispatcher, &rig->destinations[i], &fault) != UT_OK)
            fail_msg("%s", fault.text_z);
    }
    ut_dispatcher_advance(rig->dispatcher, ut_filled_store_last_seq(rig->store));
}

ut_delivery_rig_server *ut_delivery_rig_add_server(ut_delivery_rig *rig, ut_tls_context *tls)
{
    static const char *const names_z[UT_DELIVERY_RIG_DESTINATIONS_MAX] = {"first", "second",
                                                                          "third", "fourth"};
    ut_delivery_rig_server *server = &rig->servers[rig->count];
    server->rig = rig;
    server->times = calloc(UT_FILLED_SPANS_MAX, sizeof(*server->times));
    ut_peer_config config = {.tls = tls, .script = read_request, .context = server};
    server->peer = ut_peer_start(&config);
    ut_destination_config *d = &rig->destinations[rig->count];
    *d = (ut_destination_config){
        .name_z = names_z[rig->count],
        .org = UT_FILLED_ORG,
        .dest = ut_filled_store_destination(rig->store, names_z[rig->count]),
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
    (void)snprintf(url_z, sizeof(url_z), "%s://127.0.0.1:%u/v1/traces",
                   tls != NULL ? "https" : "http", (unsigned)ut_peer_port(server->peer));
    assert_int_equal(ut_url_parse(url_z, &d->url, NULL), UT_OK);
    rig->count++;
    return server;
}

void ut_delivery_rig_drop(ut_delivery_rig *rig)
{
    ut_dispatcher_free(rig->dispatcher);
    for (size_t i = 0; i < rig->count; i++) {
        if (rig->servers[i].peer != NULL)
            ut_peer_stop(rig->servers[i].peer);
        free(rig->servers[i].times);
    }
    ut_resolver_close(rig->resolver);
    ut_poller_close(rig->poller);
    ut_filled_store_close(rig->store);
    free(rig);
}

uint64_t ut_delivery_rig_wall_ns(const ut_delivery_rig *rig)
{
    return UT_DELIVERY_RIG_WALL_BEGIN_NS + rig->now_ms * 1000000;
}

uint64_t ut_delivery_rig_step(ut_delivery_rig *rig)
{
    uint64_t next_ms = 0;
    ut_dispatcher_step(rig->dispatcher, rig->now_ms, ut_delivery_rig_wall_ns(rig), &next_ms);
    return next_ms;
}

size_t ut_delivery_rig_await_sockets(ut_delivery_rig *rig, uint64_t ms)
{
    ut_poll_event events[16];
    size_t count = 0;
    assert_int_equal(ut_poller_wait(rig->poller, ms, events, 16, &count), UT_OK);
    for (size_t i = 0; i < count; i++)
        ut_dispatcher_event(rig->dispatcher, &events[i]);
    return count;
}

bool ut_delivery_rig_run_until(ut_delivery_rig *rig, ut_delivery_rig_condition done,
                               uint64_t until_ms)
{
    uint64_t end = ut_clock_mono_ms() + UT_DELIVERY_RIG_DEADLINE_MS;
    for (;;) {
        if (ut_clock_mono_ms() > end)
            fail_msg("the ut_delivery_rig_condition does not come about; the log says:\n%s",
                     rig->log_z);
        uint64_t next_ms = ut_delivery_rig_step(rig);
        if (done != NULL && done(rig))
            return true;
        if (next_ms <= rig->now_ms) {
            (void)ut_delivery_rig_await_sockets(rig, 0);
            continue;
        }
        bool in_flight = false;
        for (size_t i = 0; i < rig->count; i++) {
            ut_dispatcher_status status[UT_DELIVERY_RIG_DESTINATIONS_MAX];
            assert_int_equal(
                ut_dispatcher_get_status(rig->dispatcher, status, UT_DELIVERY_RIG_DESTINATIONS_MAX),
                rig->count);
            in_flight = in_flight || status[i].in_flight > 0;
        }
        if (in_flight) {
            (void)ut_delivery_rig_await_sockets(rig, 50);
        } else if (ut_delivery_rig_await_sockets(rig, 0) == 0) {
            if (next_ms > until_ms) {
                rig->now_ms = until_ms;
                return false;
            }
            rig->now_ms = next_ms;
        }
    }
}

bool ut_delivery_rig_settled(ut_delivery_rig *rig)
{
    for (size_t i = 0; i < rig->count; i++) {
        ut_store_destination_counts c =
            ut_filled_store_counts(rig->store, rig->destinations[i].dest);
        if (c.accepted != c.delivered + c.dead + c.expired + c.evicted)
            return false;
    }
    return true;
}

void ut_delivery_rig_run_to_the_end(ut_delivery_rig *rig)
{
    assert_true(ut_delivery_rig_run_until(rig, ut_delivery_rig_settled, UINT64_MAX));
}

void ut_delivery_rig_expect_each_once(const ut_delivery_rig *rig,
                                      const ut_delivery_rig_server *server)
{
    for (size_t i = 0; i < ut_filled_store_count(rig->store); i++) {
        if (server->times[i] != 1)
            fail_msg("span %zu came %u times", i, (unsigned)server->times[i]);
    }
}

ut_delivery ut_delivery_rig_entry(ut_delivery_rig *rig, size_t destination, uint64_t seq)
{
    ut_delivery entry;
    assert_true(
        ut_filled_store_entry(rig->store, rig->destinations[destination].dest, seq, &entry));
    return entry;
}

ut_dispatcher_status ut_delivery_rig_status(ut_delivery_rig *rig, size_t destination)
{
    ut_dispatcher_status status[UT_DELIVERY_RIG_DESTINATIONS_MAX];
    assert_int_equal(
        ut_dispatcher_get_status(rig->dispatcher, status, UT_DELIVERY_RIG_DESTINATIONS_MAX),
        rig->count);
    return status[destination];
}

void ut_delivery_rig_fail_first(ut_delivery_rig_server *server,
                                const ut_delivery_rig_request *request, const size_t *places,
                                ut_peer_answer *answer)
{
    (void)request;
    (void)places;
    if (server->count <= server->first_n)
        ut_delivery_rig_answer(answer, server->status, server->fields_z, "busy with other things");
    else
        ut_delivery_rig_answer(answer, 200, "", NULL);
}

bool ut_delivery_rig_has_failed_once(ut_delivery_rig *rig)
{
    return ut_delivery_rig_status(rig, 0).failures == 1;
}

void ut_delivery_rig_fail_bad_spans(ut_delivery_rig_server *server,
                                    const ut_delivery_rig_request *request, const size_t *places,
                                    ut_peer_answer *answer)
{
    for (uint32_t i = 0; i < request->spans; i++) {
        for (size_t b = 0; b < server->bad_count; b++) {
            if (places[i] == server->bad[b]) {
                ut_delivery_rig_answer(answer, server->status,
                                       server->fields_z != NULL ? server->fields_z : "",
                                       "this span displeases");
                return;
            }
        }
    }
    ut_delivery_rig_answer(answer, 200, "", NULL);
}

void ut_delivery_rig_take_few(ut_delivery_rig_server *server,
                              const ut_delivery_rig_request *request, const size_t *places,
                              ut_peer_answer *answer)
{
    for (uint32_t i = 0; i < request->spans; i++) {
        if (server->bad_count > 0 && places[i] == server->bad[0]) {
            ut_delivery_rig_answer(answer, 413, "", "too large");
            return;
        }
    }
    ut_delivery_rig_answer(answer, request->spans > server->spans_max ? 413 : 200, "", NULL);
}
