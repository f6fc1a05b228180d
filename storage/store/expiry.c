// The hours in which the spans of a commit expire: by what the request says, else by rule, else by
// the store's default. Spans of one organisation and one hour are a class, and share blocks. Not
// for removing what has expired: retention.c.
#include "storage/store/expiry.h"

#include "port/base/order.h"
#include "port/base/time_units.h"

uint32_t ut_expiry_hour(uint64_t ttl_ms, uint64_t now_ns)
{
    static const uint64_t hour_ms = 3600000;
    // A machine that begins in 1970 and learns the time later would find all that it stored before
    // expired at once, delivered or not. So that stays until its room is needed.
    if (ttl_ms == 0 || ttl_ms == UT_STORE_TTL_NONE || now_ns < UT_AGE_CLOCK_SET_NS)
        return 0;
    uint64_t now_ms = now_ns / UT_NS_PER_MS;
    uint64_t end_ms =
        ttl_ms > UINT64_MAX - now_ms - hour_ms ? UINT64_MAX - hour_ms : now_ms + ttl_ms;
    uint64_t hour = (end_ms + hour_ms - 1) / hour_ms;
    return (uint32_t)ut_min_u64(hour, UINT32_MAX);
}

// True when each span of the append has an hour of its own.
static bool is_ruled(const ut_store *store, const ut_store_append *append)
{
    return append->ttl_ms == 0 && store->rules != NULL && store->rules->count > 0;
}

static uint32_t append_hour(const ut_store *store, const ut_store_append *append, uint64_t now_ns)
{
    return ut_expiry_hour(append->ttl_ms != 0 ? append->ttl_ms : store->ttl_ms,
                          ut_age_clock_now(&store->state.clock, now_ns));
}

static void add_class(ut_store *store, uint32_t org, uint32_t hour)
{
    const ut_expiry_class *classes = ut_expiry_classes(store);
    for (uint32_t i = store->class_count; i > 0; i--) { // mostly it is the last one
        if (classes[i - 1].org == org && classes[i - 1].hour == hour)
            return;
    }
    ut_expiry_class made = {org, hour};
    ut_buf_add(&store->classes, &made, sizeof(made));
    store->class_count += 1;
}

static uint32_t span_hour(const ut_store *store, const ut_batch *batch, const ut_batch_span *span,
                          uint64_t now_ns)
{
    const ut_batch_part *resource =
        &ut_batch_resources(batch)[ut_batch_scopes(batch)[span->scope].resource];
    const ut_rule *rule =
        ut_rules_find(store->rules, ut_bytes_of(batch->span_bytes.data + span->offset, span->len),
                      ut_bytes_of(batch->resource_bytes.data + resource->offset, resource->len));
    return ut_expiry_hour(rule != NULL ? rule->ttl_ms : store->ttl_ms,
                          ut_age_clock_now(&store->state.clock, now_ns));
}

ut_err ut_expiry_plan(ut_store *store, const ut_store_append *appends, size_t count,
                      uint64_t now_ns)
{
    ut_buf_reset(&store->classes, UT_TRACE_MEMORY_KEEP);
    ut_buf_reset(&store->span_hours, UT_TRACE_MEMORY_KEEP);
    store->class_count = 0;
    bool any = false;
    for (size_t i = 0; i < count; i++)
        any = any || is_ruled(store, &appends[i]);
    uint32_t *hours = NULL;
    if (any) {
        size_t len = (size_t)store->index.span_count * sizeof(uint32_t);
        hours = (uint32_t *)(void *)ut_buf_reserve(&store->span_hours, len);
        if (hours == NULL)
            return store->span_hours.err;
        store->span_hours.len = len;
    }
    for (size_t i = 0; i < count; i++) {
        const ut_batch *batch = appends[i].batch;
        bool ruled = hours != NULL && is_ruled(store, &appends[i]);
        uint32_t hour = append_hour(store, &appends[i], now_ns);
        if (!ruled && batch->span_count > 0)
            add_class(store, appends[i].org, hour);
        for (uint32_t k = 0; hours != NULL && k < batch->span_count; k++) {
            uint32_t own = hour;
            if (ruled) {
                own = span_hour(store, batch, &ut_batch_spans(batch)[k], now_ns);
                add_class(store, appends[i].org, own);
            }
            *hours++ = own;
        }
    }
    return store->classes.err;
}

bool ut_expiry_is_of(const ut_store *store, const ut_store_append *append, uint64_t now_ns,
                     uint32_t hour, const uint32_t **hours)
{
    *hours = NULL;
    if (!is_ruled(store, append))
        return append_hour(store, append, now_ns) == hour;
    *hours = (const uint32_t *)(const void *)store->span_hours.data;
    return true;
}
