// The memory account of a server, and what is kept for the next requests.
#include "transport/http/http_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { KIB = 1024 };

static ut_http_pool pool_of(uint64_t memory_bytes_max)
{
    return (ut_http_pool){
        .memory_bytes_max = memory_bytes_max,
        .body_bytes_max = 1024 * KIB,
        .header_bytes_max = 32 * KIB,
    };
}

static void what_is_counted_never_passes_the_limit(void **state)
{
    (void)state;
    ut_http_pool pool = pool_of(100);
    assert_true(ut_http_pool_charge(&pool, 60));
    assert_int_equal(ut_http_pool_memory_left(&pool), 40);
    assert_false(ut_http_pool_charge(&pool, 41));
    assert_int_equal(pool.memory, 60);
    assert_true(ut_http_pool_charge(&pool, 40));
    assert_int_equal(ut_http_pool_memory_left(&pool), 0);
    assert_false(ut_http_pool_charge(&pool, 1));
    ut_http_pool_discharge(&pool, 100);
    assert_int_equal(pool.memory, 0);
}

static void an_exchange_comes_back_clean(void **state)
{
    (void)state;
    ut_http_pool pool = pool_of(KIB);
    ut_http_exchange *exchange = ut_http_pool_take_exchange(&pool);
    assert_non_null(exchange);
    assert_int_equal(pool.under_way, 1);
    exchange->note = 7;
    exchange->without_body = true;
    exchange->end = UT_HTTP_REPLY_CLOSES;
    const ut_http_reply reply = {.status = 200, .body = UT_BYTES_LIT("body")};
    ut_http_exchange_answer(exchange, &reply);
    ut_http_pool_give_exchange(&pool, exchange);
    assert_int_equal(pool.under_way, 0);
    ut_http_exchange *again = ut_http_pool_take_exchange(&pool);
    assert_ptr_equal(again, exchange);
    assert_int_equal(again->note, 0);
    assert_null(again->conn);
    assert_false(again->answered);
    assert_false(again->without_body);
    assert_int_equal(again->end, UT_HTTP_REPLY_KEPT);
    assert_int_equal(again->body.len, 0);
    ut_http_pool_give_exchange(&pool, again);
    ut_http_pool_trim(&pool);
}

static void a_bounded_number_of_each_is_kept(void **state)
{
    (void)state;
    enum { COUNT = UT_HTTP_SPARE_EXCHANGES_MAX + 3 };
    ut_http_pool pool = pool_of(64 * 1024 * KIB);
    static ut_http_exchange *exchanges[COUNT];
    static ut_http_raw_head *heads[COUNT];
    static ut_http_body bodies[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        exchanges[i] = ut_http_pool_take_exchange(&pool);
        heads[i] = ut_http_pool_take_head(&pool);
        ut_http_pool_init_body(&pool, &bodies[i]);
        assert_non_null(exchanges[i]);
        assert_non_null(heads[i]);
        assert_true(ut_http_pool_reserve_body(&pool, &bodies[i], 10, 20));
    }
    for (size_t i = 0; i < COUNT; i++) {
        ut_http_pool_give_exchange(&pool, exchanges[i]);
        ut_http_pool_give_head(&pool, heads[i]);
        ut_http_pool_give_body(&pool, &bodies[i]);
    }
    assert_int_equal(pool.memory, 0);
    assert_int_equal(pool.spare_exchanges.count, UT_HTTP_SPARE_EXCHANGES_MAX);
    assert_int_equal(pool.spare_heads.count, UT_HTTP_SPARE_HEADS_MAX);
    assert_int_equal(pool.spare_body_count, UT_HTTP_SPARE_BODIES_MAX);
    assert_true(ut_http_pool_has_spares(&pool));
    ut_http_pool_trim(&pool);
    assert_false(ut_http_pool_has_spares(&pool));
}

static void a_head_comes_back_empty_and_a_large_one_gives_its_bytes_back(void **state)
{
    (void)state;
    ut_http_pool pool = pool_of(KIB);
    ut_http_raw_head *head = ut_http_pool_take_head(&pool);
    assert_non_null(ut_buf_reserve(&head->bytes, UT_HTTP_SPARE_HEAD_BYTES_MAX + 1));
    head->bytes.len = 5;
    head->target_len = 5;
    head->field_count = 1;
    ut_http_pool_give_head(&pool, head);
    head = ut_http_pool_take_head(&pool);
    assert_int_equal(head->bytes.cap, 0);
    assert_int_equal(head->bytes.len, 0);
    assert_int_equal(head->target_len, 0);
    assert_int_equal(head->field_count, 0);
    ut_http_pool_give_head(&pool, head);
    ut_http_pool_trim(&pool);
}

static void a_promised_length_takes_no_more_than_a_first_buffer(void **state)
{
    (void)state;
    ut_http_pool pool = pool_of(1024 * KIB);
    ut_http_body body;
    ut_http_pool_init_body(&pool, &body);
    assert_true(ut_http_pool_reserve_body(&pool, &body, 1, 1024 * KIB));
    assert_int_equal(body.bytes.cap, UT_HTTP_BODY_FIRST_BYTES_MAX);
    assert_int_equal(pool.memory, body.bytes.cap);
    body.bytes.len = UT_HTTP_BODY_FIRST_BYTES_MAX;
    assert_true(ut_http_pool_reserve_body(&pool, &body, 1, 1024 * KIB));
    assert_true(body.bytes.cap >= UT_HTTP_BODY_FIRST_BYTES_MAX + 1);
    assert_true(body.bytes.cap <= 4 * UT_HTTP_BODY_FIRST_BYTES_MAX);
    assert_int_equal(pool.memory, body.bytes.cap);
    ut_http_pool_discharge_body(&pool, &body);
    assert_int_equal(pool.memory, 0);
    assert_int_equal(body.bytes.len, UT_HTTP_BODY_FIRST_BYTES_MAX); // still there
    ut_http_pool_give_body(&pool, &body);
    assert_int_equal(body.bytes.cap, 0);
    // A short promise takes no more than it says.
    ut_http_pool_trim(&pool);
    assert_true(ut_http_pool_reserve_body(&pool, &body, 10, 500));
    assert_true(body.bytes.cap <= 512);
    ut_http_pool_give_body(&pool, &body);
    ut_http_pool_trim(&pool);
}

static void a_body_over_the_limit_gets_no_room(void **state)
{
    (void)state;
    ut_http_pool pool = pool_of(100 * KIB);
    ut_http_body body;
    ut_http_pool_init_body(&pool, &body);
    assert_true(ut_http_pool_reserve_body(&pool, &body, 1, UINT64_MAX));
    body.bytes.len = UT_HTTP_BODY_FIRST_BYTES_MAX;
    assert_false(ut_http_pool_reserve_body(&pool, &body, 1, UINT64_MAX));
    ut_http_pool_give_body(&pool, &body);
    assert_int_equal(pool.memory, 0);
    ut_http_pool_trim(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_counted_never_passes_the_limit),
        cmocka_unit_test(an_exchange_comes_back_clean),
        cmocka_unit_test(a_bounded_number_of_each_is_kept),
        cmocka_unit_test(a_head_comes_back_empty_and_a_large_one_gives_its_bytes_back),
        cmocka_unit_test(a_promised_length_takes_no_more_than_a_first_buffer),
        cmocka_unit_test(a_body_over_the_limit_gets_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
