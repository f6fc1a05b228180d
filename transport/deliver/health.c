// Counts failures and successes of one destination and says when they change.
#include "transport/deliver/health.h"

#include "port/base/order.h"
#include "transport/deliver/backoff.h"

#include <stdio.h>

#define AREA_Z "dispatch"

void ut_health_init(ut_health *health, const ut_destination_config *destination, const ut_log *log)
{
    *health = (ut_health){.destination = destination, .log = log};
}

ut_health_seen ut_health_look(const ut_health *health)
{
    return (ut_health_seen){.failures = health->failures, .waits = health->waits};
}

void ut_health_keep_reason(ut_health *health, uint16_t http_status, const char *reason_z)
{
    health->http_status = http_status;
    (void)snprintf(health->reason_z, sizeof(health->reason_z), "%.*s", UT_STORE_REASON_MAX - 1,
                   reason_z); // cut is fine
}

void ut_health_reached(ut_health *health, uint64_t now_ms)
{
    if (health->failures > 0)
        ut_log_write(health->log, UT_LOG_INFO, AREA_Z,
                     "%s: answers again, after %lu failures in %lu s", health->destination->name_z,
                     (unsigned long)health->failures,
                     (unsigned long)((now_ms - health->failing_since_ms) / 1000));
    health->failures = 0;
    health->misconfigured = false;
    health->not_before_ms = 0;
    health->proven = true;
}

void ut_health_succeeded(ut_health *health, uint64_t now_ms)
{
    ut_health_reached(health, now_ms);
    health->successes++;
    health->refusals = 0;
    health->waits = 0;
}

uint64_t ut_health_open_at_ms(const ut_health *health)
{
    return ut_max_u64(health->not_before_ms, health->asked_to_wait_ms);
}

void ut_health_ask_to_wait(ut_health *health, uint64_t at_ms)
{
    health->asked_to_wait_ms = ut_max_u64(health->asked_to_wait_ms, at_ms);
}

uint64_t ut_health_delay_ms(const ut_health *health, uint32_t failures)
{
    const ut_backoff backoff = {
        .initial_ms = health->destination->retry_initial_ms,
        .max_ms = health->destination->retry_max_ms,
        .multiplier = health->destination->retry_multiplier,
    };
    uint64_t bits = 0;
    // Without random bits there is no jitter, and agents come back together: not worth failing for.
    (void)ut_random(&bits, sizeof(bits));
    return ut_backoff_delay_ms(&backoff, failures, bits);
}

void ut_health_failed(ut_health *health, ut_health_seen seen, uint64_t now_ms, bool misconfigured)
{
    health->proven = false;
    bool changed = health->misconfigured != misconfigured;
    if (seen.failures == health->failures) {
        if (health->failures == 0)
            health->failing_since_ms = now_ms;
        if (health->failures < UINT32_MAX)
            health->failures++;
        changed = changed || ut_health_worth_a_line(health->failures);
    }
    uint64_t wait_ms = misconfigured ? health->destination->retry_max_ms
                                     : ut_health_delay_ms(health, health->failures);
    health->not_before_ms = ut_max_u64(health->not_before_ms, now_ms + wait_ms);
    health->misconfigured = misconfigured;
    if (!changed)
        return;
    uint64_t next_ms = ut_health_open_at_ms(health) - now_ms;
    ut_log_write(health->log, misconfigured ? UT_LOG_ERROR : UT_LOG_WARN, AREA_Z,
                 "%s: cannot deliver: %s; %sthe spans stay in the store, next try in %lu.%lu s "
                 "(failure %lu)",
                 health->destination->name_z, health->reason_z,
                 misconfigured ? "check its endpoint, headers and compression; " : "",
                 (unsigned long)(next_ms / 1000), (unsigned long)(next_ms % 1000 / 100),
                 (unsigned long)health->failures);
}

bool ut_health_refused(ut_health *health, ut_health_seen seen, uint64_t now_ms)
{
    ut_health_reached(health, now_ms);
    if (health->refusals < UINT32_MAX)
        health->refusals++;
    if (health->refusals <= UT_HEALTH_REFUSALS_MAX * health->destination->connections)
        return true;
    bool first = health->waits == 0;
    if (seen.waits == health->waits && health->waits < UINT32_MAX)
        health->waits++;
    uint64_t wait_ms = ut_health_delay_ms(health, health->waits);
    health->proven = false;
    health->not_before_ms = now_ms + wait_ms;
    if (first)
        ut_log_write(health->log, UT_LOG_ERROR, AREA_Z,
                     "%s: refuses everything: %s; check the destination; the next batch is tried "
                     "in %lu.%lu s",
                     health->destination->name_z, health->reason_z, (unsigned long)(wait_ms / 1000),
                     (unsigned long)(wait_ms % 1000 / 100));
    return false;
}
