// Counters by kind and their log lines; see tally.h.
#include "agent/process/tally.h"

#include "port/base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void ut_tally_init(ut_tally *tally, const ut_tally_kind *kinds, size_t kind_count,
                   const ut_log *log, const char *area_z)
{
    UT_ASSERT(kind_count <= UT_TALLY_KINDS_MAX);
    memset(tally, 0, sizeof(*tally));
    tally->kinds = kinds;
    tally->kind_count = kind_count;
    tally->log = log;
    tally->area_z = area_z;
}

static void tell(ut_tally *tally, size_t kind, uint64_t now_ms)
{
    ut_tally_entry *entry = &tally->entries[kind];
    const ut_tally_kind *words = &tally->kinds[kind];
    const uint64_t count = entry->count - entry->told;
    char times_z[80] = "";
    if (count > 1)
        (void)snprintf(times_z, sizeof(times_z), " (%" PRIu64 " %s in the last minute)", count,
                       words->unit_z); // units of a few letters fit
    ut_log_write(tally->log, UT_LOG_WARN, tally->area_z, "%s %s%s%s%s", entry->who_z,
                 words->before_z, entry->detail_z, words->after_z, times_z);
    entry->told = entry->count;
    entry->quiet_until_ms = now_ms + UT_TALLY_PAUSE_MS;
}

// Copies what fits of text_z, with '?' for what is not printable ASCII.
static void copy_plain(char *out_z, size_t cap, const char *text_z)
{
    size_t len = 0;
    for (; len < cap - 1 && text_z[len] != '\0'; len++)
        out_z[len] = text_z[len] < 0x20 || text_z[len] > 0x7e ? '?' : text_z[len];
    out_z[len] = '\0';
}

void ut_tally_add(ut_tally *tally, size_t kind, uint64_t count, const char *who_z,
                  const char *detail_z, uint64_t now_ms)
{
    ut_tally_entry *entry = &tally->entries[kind];
    UT_ASSERT(kind < tally->kind_count);
    entry->count += count;
    copy_plain(entry->who_z, sizeof(entry->who_z), who_z);
    copy_plain(entry->detail_z, sizeof(entry->detail_z), detail_z);
    if (now_ms >= entry->quiet_until_ms)
        tell(tally, kind, now_ms);
    else
        tally->waits = true;
}

void ut_tally_step(ut_tally *tally, uint64_t now_ms, uint64_t *next_ms)
{
    if (!tally->waits)
        return;
    tally->waits = false;
    for (size_t kind = 0; kind < tally->kind_count; kind++) {
        const ut_tally_entry *entry = &tally->entries[kind];
        if (entry->told == entry->count)
            continue;
        if (now_ms >= entry->quiet_until_ms) {
            tell(tally, kind, now_ms);
            continue;
        }
        tally->waits = true;
        if (entry->quiet_until_ms < *next_ms)
            *next_ms = entry->quiet_until_ms;
    }
}

size_t ut_tally_next(const ut_tally *tally, const char *group_z, size_t kind)
{
    for (; kind < tally->kind_count; kind++) {
        const char *of_z = tally->kinds[kind].group_z;
        if (tally->entries[kind].count > 0 && of_z != NULL && strcmp(of_z, group_z) == 0)
            break;
    }
    return kind;
}

uint64_t ut_tally_sum(const ut_tally *tally, const char *group_z)
{
    uint64_t sum = 0;
    for (size_t kind = 0; (kind = ut_tally_next(tally, group_z, kind)) < tally->kind_count; kind++)
        sum += tally->entries[kind].count;
    return sum;
}
