// The memory of the requests under way on all connections of a server: what of it is counted
// against the limit, and what is kept for the next requests instead of being freed.
#ifndef UT_TRANSPORT_HTTP_HTTP_POOL_H
#define UT_TRANSPORT_HTTP_HTTP_POOL_H

#include "transport/http/http_exchange.h"

enum {
    UT_HTTP_SPARE_BODIES_MAX = 8,
    UT_HTTP_SPARE_BODY_BYTES_MAX = 512 * 1024, // larger ones are freed
    UT_HTTP_SPARE_HEADS_MAX = 32,
    UT_HTTP_SPARE_HEAD_BYTES_MAX = 4 * 1024,
    UT_HTTP_SPARE_EXCHANGES_MAX = 256,
    UT_HTTP_SPARE_REPLY_BYTES_MAX = 1024,
    // A body whose length is promised gets a buffer of this size at most, or of twice what has
    // arrived, so that a promise alone costs nothing.
    UT_HTTP_BODY_FIRST_BYTES_MAX = 64 * 1024,
};

// The body of a request that arrives in more than one piece.
typedef struct {
    ut_buf bytes;
    size_t charged; // bytes of its memory that are counted
} ut_http_body;

typedef struct {
    // Set once, before anything is taken.
    uint64_t memory_bytes_max; // of all that is counted
    uint64_t body_bytes_max;   // of one body
    uint32_t header_bytes_max; // of one head

    uint64_t memory;    // bytes counted now
    uint32_t under_way; // exchanges that were taken and not given back
    ut_http_exchange_list spare_exchanges;
    ut_http_raw_heads spare_heads;
    ut_buf spare_bodies[UT_HTTP_SPARE_BODIES_MAX];
    size_t spare_body_count;
} ut_http_pool;

// ---- the account ----

// False: not counted, over memory_bytes_max.
bool ut_http_pool_charge(ut_http_pool *pool, size_t bytes);
void ut_http_pool_discharge(ut_http_pool *pool, size_t bytes);
uint64_t ut_http_pool_memory_left(const ut_http_pool *pool);

// ---- exchanges, heads, bodies ----

// Without answer and without connection; NULL without memory.
ut_http_exchange *ut_http_pool_take_exchange(ut_http_pool *pool);
void ut_http_pool_give_exchange(ut_http_pool *pool, ut_http_exchange *exchange);

// Empty; NULL without memory.
ut_http_raw_head *ut_http_pool_take_head(ut_http_pool *pool);
void ut_http_pool_give_head(ut_http_pool *pool, ut_http_raw_head *head);

// Empty, owning no memory.
void ut_http_pool_init_body(const ut_http_pool *pool, ut_http_body *body);
// Makes room for len more bytes and counts it. length: of the whole body, as its head promised;
// UINT64_MAX: not known. False without memory or over memory_bytes_max.
bool ut_http_pool_reserve_body(ut_http_pool *pool, ut_http_body *body, size_t len, uint64_t length);
// Counts the memory of body no longer, while it is still there.
void ut_http_pool_discharge_body(ut_http_pool *pool, ut_http_body *body);
// The body is empty then, and owns no memory.
void ut_http_pool_give_body(ut_http_pool *pool, ut_http_body *body);

// ---- spares ----

bool ut_http_pool_has_spares(const ut_http_pool *pool);
// Frees all that is kept for the next requests.
void ut_http_pool_trim(ut_http_pool *pool);

#endif
