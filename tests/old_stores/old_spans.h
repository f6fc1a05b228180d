// What the old stores beside this file hold, commit by commit: for the script that makes them
// (make) and for the test that opens them.
#ifndef UT_TESTS_OLD_STORES_OLD_SPANS_H
#define UT_TESTS_OLD_STORES_OLD_SPANS_H

#include "tests/support/random_span.h"
#include "tests/support/store_check.h"

enum {
    UT_OLD_BUDGET = 64 * 1024 * 1024,
    UT_OLD_COMMITS = 8, // each is one block, numbered from 1 up
    UT_OLD_SPANS_MAX = 512,
    UT_OLD_PLAIN_COMMITS = 2, // of the encrypted store: those before it was encrypted
    UT_OLD_TTL_MS = 3600 * 1000,

    // ---- traces ----

    UT_OLD_LATE = 1, // spans in blocks 1, 3 and 6; its root is in block 3
    UT_OLD_PLAIN = 2,
    UT_OLD_BESIDE = 3,   // of a service of its own, in block 3
    UT_OLD_ROOTLESS = 4, // spans in blocks 4 and 6; its root never came
    UT_OLD_SHORT = 5,    // expires
    UT_OLD_LONG = 6,     // an entry of several parts
    UT_OLD_LONG_SPANS = 480,
    UT_OLD_MANY_FROM = 100, // one span each; more than one piece of members
    UT_OLD_MANY = 40,
};

static const uint64_t ut_old_now_ns = UINT64_C(1700000000000000000);
static const uint8_t ut_old_key[32] = {7};

static inline ut_test_span ut_old_span(uint32_t trace, uint32_t span, uint32_t parent,
                                       const char *name_z)
{
    const uint64_t start_ns = ut_old_now_ns + (uint64_t)span * 1000;
    return (ut_test_span){
        .trace = trace,
        .span = span,
        .parent = parent,
        .start_ns = start_ns,
        .end_ns = start_ns + 500,
        .name_z = name_z,
        .service_z = "old",
    };
}

// The spans of a commit; those of a service stand together. *ttl_ms: 0: they stay.
static inline uint32_t ut_old_commit(uint32_t commit, ut_test_span spans[UT_OLD_SPANS_MAX],
                                     uint64_t *ttl_ms)
{
    uint32_t count = 0;
    *ttl_ms = commit == 4 || commit == 5 ? UT_OLD_TTL_MS : 0;
    switch (commit) {
    case 0:
        spans[count++] = ut_old_span(UT_OLD_LATE, 2, 1, "first");
        spans[count++] = ut_old_span(UT_OLD_LATE, 3, 1, "second");
        break;
    case 1:
        spans[count++] = ut_old_span(UT_OLD_PLAIN, 1, 0, "root");
        spans[count++] = ut_old_span(UT_OLD_PLAIN, 2, 1, "child");
        break;
    case 2:
        spans[count++] = ut_old_span(UT_OLD_LATE, 1, 0, "late root");
        spans[count++] = ut_old_span(UT_OLD_LATE, 4, 2, "below");
        spans[count] = ut_old_span(UT_OLD_BESIDE, 1, 0, "beside");
        spans[count++].service_z = "beside";
        break;
    case 3:
        spans[count] = ut_old_span(UT_OLD_ROOTLESS, 2, 1, "orphan");
        spans[count++].status = UT_STATUS_ERROR;
        break;
    case 4:
        spans[count++] = ut_old_span(UT_OLD_SHORT, 1, 0, "short");
        spans[count++] = ut_old_span(UT_OLD_SHORT, 2, 1, "shorter");
        break;
    case 5:
        spans[count++] = ut_old_span(UT_OLD_LATE, 5, 1, "last");
        spans[count++] = ut_old_span(UT_OLD_ROOTLESS, 3, 1, "orphan too");
        break;
    case 6:
        for (; count < UT_OLD_MANY; count++)
            spans[count] = ut_old_span(UT_OLD_MANY_FROM + count, 1, 0, "one of many");
        break;
    default:
        for (; count < UT_OLD_LONG_SPANS; count++)
            spans[count] = ut_old_span(UT_OLD_LONG, count + 1, count > 0 ? 1 : 0, "long");
        break;
    }
    return count;
}

// How many of the spans, from the first on, are of one service: they share a batch.
static inline uint32_t ut_old_batch(const ut_test_span *spans, uint32_t count)
{
    uint32_t same = 1;
    while (same < count && strcmp(spans[same].service_z, spans[0].service_z) == 0)
        same += 1;
    return same;
}

#endif
