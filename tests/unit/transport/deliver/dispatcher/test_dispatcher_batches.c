// Batches that are taken: merged, cut, full, waited for, on several connections.
#include "tests/support/delivery_rig.h"

#include "tests/support/certs.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void every_span_arrives_once_and_in_order(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    for (uint32_t i = 0; i < 40; i++)
        (void)ut_filled_store_append(rig->store, 1 + i * 37 % 200, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    size_t next = 0;
    for (int i = 0; i < server->count; i++) {
        assert_int_equal(server->requests[i].first, next);
        next += server->requests[i].spans;
    }
    assert_int_equal(next, ut_filled_store_count(rig->store));
    for (uint64_t seq = 1; seq <= 40; seq++) {
        ut_delivery entry = ut_delivery_rig_entry(rig, 0, seq);
        assert_int_equal(entry.state, UT_DELIVERY_DELIVERED);
        assert_int_equal(entry.attempts, 1);
        assert_int_equal(entry.spans_dead, 0);
        assert_string_equal(entry.reason_z, "");
    }
    assert_int_equal(rig->marks, 40);
    assert_int_equal(ut_delivery_rig_status(rig, 0).spans_delivered,
                     ut_filled_store_count(rig->store));
    assert_string_equal(rig->log_z, ""); // nothing to say
    assert_int_equal(ut_peer_get_counts(server->peer).connections, 1);
    ut_delivery_rig_drop(rig);
}

static void the_same_over_lmdb_and_verified_tls(void **state)
{
    (void)state;
    char dir_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    ut_engine_config config = {.dir_z = dir_z, .bytes_max = UT_DELIVERY_RIG_BUDGET};
    ut_engine *engine = NULL;
    assert_int_equal(ut_engine_lmdb_open(&config, &engine, NULL), UT_OK);
    ut_certs *certs = ut_certs_make();
    ut_tls_config tls = {.server = true,
                         .cert_pem = ut_certs_get(certs, "server.pem"),
                         .key_pem = ut_certs_get(certs, "server.key")};
    ut_tls_context *context = NULL;
    assert_int_equal(ut_tls_context_new(&tls, &context, NULL), UT_OK);
    ut_delivery_rig *rig = ut_delivery_rig_make_with(engine);
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, context);
    rig->destinations[0].ca_pem = ut_certs_get(certs, "ca.pem");
    rig->destinations[0].gzip = true;
    rig->destinations[0].connections = 3;
    for (uint32_t i = 0; i < 60; i++)
        (void)ut_filled_store_append(rig->store, 200, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    assert_non_null(strstr(server->head_z, "Content-Encoding: gzip"));
    ut_delivery_rig_drop(rig);
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
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, context);
    rig->destinations[0].ca_pem = ut_certs_get(certs, "ca.pem");
    (void)ut_filled_store_append(rig->store, 10, 0);
    ut_delivery_rig_start(rig);
    assert_false(ut_delivery_rig_run_until(rig, ut_delivery_rig_settled, rig->now_ms + 300000));
    assert_int_equal(server->count, 0);
    assert_int_equal(ut_delivery_rig_entry(rig, 0, 1).state, UT_DELIVERY_PENDING);
    assert_non_null(
        strstr(ut_delivery_rig_entry(rig, 0, 1).reason_z, "not signed by a trusted CA"));
    ut_delivery_rig_drop(rig);
    ut_tls_context_free(context);
    ut_certs_free(certs);
}

static void json_and_configured_headers_are_sent(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    char name_z[] = "Authorization";
    char value_z[] = "Bearer top-secret";
    rig->destinations[0].encoder = &ut_otlp_json_encoder;
    rig->destinations[0].headers[0] = (ut_header){name_z, value_z};
    rig->destinations[0].header_count = 1;
    (void)ut_filled_store_append(rig->store, 100, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    assert_non_null(strstr(server->head_z, "POST /v1/traces HTTP/1.1\r\n"));
    assert_non_null(strstr(server->head_z, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(server->head_z, "Authorization: Bearer top-secret\r\n"));
    assert_non_null(strstr(server->head_z, "User-Agent: untrace/test\r\n"));
    ut_delivery_rig_drop(rig);
}

static void neighbours_are_merged_after_the_delay_and_not_before(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    for (int i = 0; i < 10; i++)
        (void)ut_filled_store_append(rig->store, 10, 0);
    ut_delivery_rig_start(rig);
    uint64_t begin_ms = rig->now_ms;
    assert_false(ut_delivery_rig_run_until(rig, ut_delivery_rig_settled, begin_ms + 999));
    assert_int_equal(server->count, 0);
    ut_delivery_rig_run_to_the_end(rig);
    assert_int_equal(server->count, 1);
    assert_int_equal(server->requests[0].spans, 100);
    assert_int_equal(server->requests[0].at_ms, begin_ms + 1000);
    ut_delivery_rig_drop(rig);
}

static void a_full_batch_goes_at_once(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    rig->destinations[0].batch_spans_max = 150;
    for (int i = 0; i < 5; i++)
        (void)ut_filled_store_append(rig->store, 50, 0);
    ut_delivery_rig_start(rig);
    uint64_t begin_ms = rig->now_ms;
    assert_false(ut_delivery_rig_run_until(rig, ut_delivery_rig_settled, begin_ms));
    assert_int_equal(server->count, 1);
    assert_int_equal(server->requests[0].spans, 150);
    ut_delivery_rig_run_to_the_end(rig);
    assert_int_equal(server->count, 2);
    assert_int_equal(server->requests[1].spans, 100);
    assert_int_equal(server->requests[1].at_ms, begin_ms + 1000);
    ut_delivery_rig_drop(rig);
}

static void a_block_larger_than_a_batch_is_cut_and_marked_once(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    rig->destinations[0].batch_spans_max = 30;
    rig->destinations[0].connections = 4;
    (void)ut_filled_store_append(rig->store, 100, 0);
    (void)ut_filled_store_append(rig->store, 5, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    assert_int_equal(server->count, 4);
    for (int i = 0; i < server->count; i++)
        assert_in_range(server->requests[i].spans, 15, 30);
    assert_int_equal(rig->marks, 2);
    ut_delivery_rig_drop(rig);
}

static void the_bytes_of_a_batch_are_obeyed(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    rig->destinations[0].batch_bytes_max = 20000;
    for (int i = 0; i < 10; i++)
        (void)ut_filled_store_append(rig->store, 100, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    for (int i = 0; i < server->count; i++)
        assert_in_range(server->requests[i].bytes, 1, 20000);
    assert_in_range(server->count, 30, 60); // about 670 bytes a span
    ut_delivery_rig_drop(rig);
}

static void blocks_that_fit_are_not_cut(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    rig->destinations[0].batch_spans_max = 100;
    for (int i = 0; i < 10; i++)
        (void)ut_filled_store_append(rig->store, 60, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    for (int i = 0; i < server->count; i++)
        assert_int_equal(server->requests[i].spans, 60);
    ut_delivery_rig_drop(rig);

    // Nor where the bytes are what does not fit.
    rig = ut_delivery_rig_make();
    server = ut_delivery_rig_add_server(rig, NULL);
    rig->destinations[0].batch_bytes_max = 20000;
    for (int i = 0; i < 50; i++)
        (void)ut_filled_store_append(rig->store, 7, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    for (int i = 0; i < server->count; i++) {
        assert_int_equal(server->requests[i].spans % 7, 0);
        assert_in_range(server->requests[i].bytes, 1, 20000);
    }
    ut_delivery_rig_drop(rig);
}

static void a_span_larger_than_a_batch_goes_alone(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    rig->destinations[0].batch_bytes_max = 100;
    (void)ut_filled_store_append(rig->store, 20, 0);
    ut_delivery_rig_start(rig);
    ut_delivery_rig_run_to_the_end(rig);
    ut_delivery_rig_expect_each_once(rig, server);
    assert_int_equal(server->count, 20);
    ut_delivery_rig_drop(rig);
}

static void what_arrives_later_is_delivered_too(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    ut_delivery_rig_start(rig);
    for (int i = 0; i < 5; i++) {
        // Nothing to wait for but the time after which an unused connection is closed.
        uint64_t next_ms = ut_delivery_rig_step(rig);
        assert_true(next_ms == UINT64_MAX || next_ms >= rig->now_ms + UT_HTTP_IDLE_MS_MAX);
        (void)ut_filled_store_append(rig->store, 7, 0);
        ut_dispatcher_advance(rig->dispatcher, ut_filled_store_last_seq(rig->store));
        ut_delivery_rig_run_to_the_end(rig);
    }
    ut_delivery_rig_expect_each_once(rig, server);
    assert_int_equal(server->count, 5);
    ut_delivery_rig_drop(rig);
}

static void hang_after_first(ut_delivery_rig_server *server, const ut_delivery_rig_request *request,
                             const size_t *places, ut_peer_answer *answer)
{
    (void)request;
    (void)places;
    if (server->count > 1 && server->broken)
        answer->then = UT_PEER_HANG;
    else
        ut_delivery_rig_answer(answer, 200, "", NULL);
}

static bool has_four_requests(ut_delivery_rig *rig)
{
    return ut_peer_get_counts(rig->servers[0].peer).requests == 4;
}

static void several_connections_work_at_once_and_no_more_than_allowed(void **state)
{
    (void)state;
    ut_delivery_rig *rig = ut_delivery_rig_make();
    ut_delivery_rig_server *server = ut_delivery_rig_add_server(rig, NULL);
    server->script = hang_after_first;
    server->broken = 1;
    rig->destinations[0].connections = 3;
    rig->destinations[0].batch_spans_max = 50;
    for (int i = 0; i < 10; i++)
        (void)ut_filled_store_append(rig->store, 50, 0);
    ut_delivery_rig_start(rig);
    assert_true(ut_delivery_rig_run_until(rig, has_four_requests, UINT64_MAX));
    for (int i = 0; i < 20; i++) {
        (void)ut_delivery_rig_await_sockets(rig, 1);
        (void)ut_delivery_rig_step(rig);
    }
    assert_int_equal(ut_delivery_rig_status(rig, 0).in_flight, 3);
    assert_int_equal(ut_peer_get_counts(server->peer).connections, 3);
    // They time out together, which is one failure; then all goes on.
    server->broken = 0;
    rig->now_ms += 10000;
    ut_delivery_rig_run_to_the_end(rig);
    assert_int_equal(ut_delivery_rig_log_lines(rig, "cannot deliver"), 1);
    ut_delivery_rig_expect_each_once(rig, server);
    ut_delivery_rig_drop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UT_DELIVERY_RIG_TEST(every_span_arrives_once_and_in_order),
        // Not counted: the first handshake of a process makes mbedTLS a slot for keys, for good.
        cmocka_unit_test(the_same_over_lmdb_and_verified_tls),
        UT_DELIVERY_RIG_TEST(a_server_that_is_not_trusted_gets_nothing),
        UT_DELIVERY_RIG_TEST(json_and_configured_headers_are_sent),
        UT_DELIVERY_RIG_TEST(neighbours_are_merged_after_the_delay_and_not_before),
        UT_DELIVERY_RIG_TEST(a_full_batch_goes_at_once),
        UT_DELIVERY_RIG_TEST(a_block_larger_than_a_batch_is_cut_and_marked_once),
        UT_DELIVERY_RIG_TEST(the_bytes_of_a_batch_are_obeyed),
        UT_DELIVERY_RIG_TEST(blocks_that_fit_are_not_cut),
        UT_DELIVERY_RIG_TEST(a_span_larger_than_a_batch_goes_alone),
        UT_DELIVERY_RIG_TEST(what_arrives_later_is_delivered_too),
        UT_DELIVERY_RIG_TEST(several_connections_work_at_once_and_no_more_than_allowed),
    };
    return cmocka_run_group_tests(tests, ut_delivery_rig_warm_up, NULL);
}
