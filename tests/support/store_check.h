// Small batches with chosen ids and times, and the recount of a store, for tests of storage.
#ifndef UT_TESTS_SUPPORT_STORE_CHECK_H
#define UT_TESTS_SUPPORT_STORE_CHECK_H

#include "storage/store/store.h"
#include "storage/upkeep/verify.h"

// One span; ids are made from the numbers.
typedef struct {
    uint32_t trace;
    uint32_t span;   // unlike 0
    uint32_t parent; // 0: a root span
    uint64_t start_ns;
    uint64_t end_ns;
    int32_t status;
    const char *name_z;    // NULL: "work"
    const char *service_z; // NULL: "shop". The first span of a batch decides for all of it.
    uint32_t filler;       // bytes of an attribute that does not compress
} ut_test_span;

void ut_test_trace_id(uint32_t trace, uint8_t id[UT_TRACE_ID_LEN]);
void ut_test_span_id(uint32_t trace, uint32_t span, uint8_t id[UT_SPAN_ID_LEN]);

// Adds spans to a batch; all of one scope.
void ut_test_batch(ut_batch *batch, const ut_test_span *spans, size_t count);

// Recounts what is committed. Stops the program, with the contradictions on stderr, when there is
// one.
ut_verify_report ut_store_check(ut_engine *engine);

#endif
