// The memory account of a server and the spare parts of its requests.
#include "transport/http/http_pool.h"

#include <stdlib.h>

// ---- the account ----

uint64_t ut_http_pool_memory_left(const ut_http_pool *pool)
{
    return pool->memory_bytes_max > pool->memory ? pool->memory_bytes_max - pool->memory : 0;
}

bool ut_http_pool_charge(ut_http_pool *pool, size_t bytes)
{
    if (bytes > ut_http_pool_memory_left(pool))
        return false;
    pool->memory += bytes;
    return true;
}

void ut_http_pool_discharge(ut_http_pool *pool, size_t bytes)
{
    UT_ASSERT(bytes <= pool->memory);
    pool->memory -= bytes;
}

// ---- exchanges ----

static void free_exchange(ut_http_exchange *exchange)
{
    ut_buf_free(&exchange->body);
    free(exchange);
}

ut_http_exchange *ut_http_pool_take_exchange(ut_http_pool *pool)
{
    ut_http_exchange *exchange = ut_http_exchange_list_pop(&pool->spare_exchanges);
    if (exchange == NULL) {
        exchange = calloc(1, sizeof(*exchange));
        if (exchange == NULL)
            return NULL;
        ut_buf_init(&exchange->body, UT_HTTP_SERVER_OUT_MAX);
    }
    exchange->note = 0;
    exchange->conn = NULL;
    exchange->answered = false;
    exchange->without_body = false;
    exchange->end = UT_HTTP_REPLY_KEPT;
    pool->under_way++;
    return exchange;
}

void ut_http_pool_give_exchange(ut_http_pool *pool, ut_http_exchange *exchange)
{
    pool->under_way--;
    if (pool->spare_exchanges.count >= UT_HTTP_SPARE_EXCHANGES_MAX) {
        free_exchange(exchange);
        return;
    }
    ut_buf_reset(&exchange->body, UT_HTTP_SPARE_REPLY_BYTES_MAX);
    ut_http_exchange_list_push_front(&pool->spare_exchanges, exchange);
}

// ---- heads ----

static void free_head(ut_http_raw_head *head)
{
    ut_buf_free(&head->bytes);
    free(head);
}

ut_http_raw_head *ut_http_pool_take_head(ut_http_pool *pool)
{
    ut_http_raw_head *head = ut_http_raw_heads_pop(&pool->spare_heads);
    if (head == NULL) {
        head = malloc(sizeof(*head));
        if (head == NULL)
            return NULL;
        head->next = NULL;
        ut_buf_init(&head->bytes, pool->header_bytes_max);
    }
    head->target_len = 0;
    head->field_count = 0;
    return head;
}

void ut_http_pool_give_head(ut_http_pool *pool, ut_http_raw_head *head)
{
    if (pool->spare_heads.count >= UT_HTTP_SPARE_HEADS_MAX) {
        free_head(head);
        return;
    }
    ut_buf_reset(&head->bytes, UT_HTTP_SPARE_HEAD_BYTES_MAX);
    ut_http_raw_heads_push_front(&pool->spare_heads, head);
}

// ---- bodies ----

void ut_http_pool_init_body(const ut_http_pool *pool, ut_http_body *body)
{
    ut_buf_init(&body->bytes, (size_t)pool->body_bytes_max);
    body->charged = 0;
}

bool ut_http_pool_reserve_body(ut_http_pool *pool, ut_http_body *body, size_t len, uint64_t length)
{
    ut_buf *bytes = &body->bytes;
    if (bytes->cap == 0 && pool->spare_body_count > 0)
        *bytes = pool->spare_bodies[--pool->spare_body_count];
    const size_t need = bytes->len + len;
    size_t room = 2 * need > UT_HTTP_BODY_FIRST_BYTES_MAX ? 2 * need : UT_HTTP_BODY_FIRST_BYTES_MAX;
    if (room > length)
        room = (size_t)length;
    if (room > pool->body_bytes_max)
        room = (size_t)pool->body_bytes_max;
    if (need > bytes->cap && ut_buf_reserve(bytes, room - bytes->len) == NULL)
        return false;
    if (bytes->cap > body->charged) {
        if (!ut_http_pool_charge(pool, bytes->cap - body->charged))
            return false;
        body->charged = bytes->cap;
    }
    return true;
}

void ut_http_pool_discharge_body(ut_http_pool *pool, ut_http_body *body)
{
    ut_http_pool_discharge(pool, body->charged);
    body->charged = 0;
}

void ut_http_pool_give_body(ut_http_pool *pool, ut_http_body *body)
{
    ut_http_pool_discharge_body(pool, body);
    ut_buf *bytes = &body->bytes;
    if (bytes->cap > 0 && bytes->cap <= UT_HTTP_SPARE_BODY_BYTES_MAX &&
        pool->spare_body_count < UT_HTTP_SPARE_BODIES_MAX) {
        ut_buf_reset(bytes, UT_HTTP_SPARE_BODY_BYTES_MAX);
        pool->spare_bodies[pool->spare_body_count++] = *bytes;
        ut_http_pool_init_body(pool, body);
        return;
    }
    ut_buf_free(bytes);
}

// ---- spares ----

bool ut_http_pool_has_spares(const ut_http_pool *pool)
{
    return pool->spare_body_count > 0 || !ut_http_raw_heads_empty(&pool->spare_heads) ||
           !ut_http_exchange_list_empty(&pool->spare_exchanges);
}

void ut_http_pool_trim(ut_http_pool *pool)
{
    while (pool->spare_body_count > 0)
        ut_buf_free(&pool->spare_bodies[--pool->spare_body_count]);
    for (ut_http_raw_head *head; (head = ut_http_raw_heads_pop(&pool->spare_heads)) != NULL;)
        free_head(head);
    for (ut_http_exchange *exchange;
         (exchange = ut_http_exchange_list_pop(&pool->spare_exchanges)) != NULL;)
        free_exchange(exchange);
}
