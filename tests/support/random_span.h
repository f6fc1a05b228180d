// Batches of made-up spans for tests: random ones that use every field and every kind of value, and
// realistic ones. The same seed gives the same bytes on every machine; a test that fails prints its
// seed.
#ifndef UT_TESTS_SUPPORT_RANDOM_SPAN_H
#define UT_TESTS_SUPPORT_RANDOM_SPAN_H

#include "storage/span/batch.h"

// A small generator of its own (splitmix64), so that tests do not depend on the libc's.
typedef struct {
    uint64_t state;
} ut_random;

uint64_t ut_random_next(ut_random *random);
// 0..bound-1; bound >= 1.
unsigned ut_random_below(ut_random *random, uint32_t bound);

// What a random batch may hold beside what every format of the outside world can carry.
enum {
    UT_RANDOM_WIRE = 0, // text is UTF-8, NaN is the usual one, spans stand grouped by scope
    UT_RANDOM_ANY_BYTES = 1 << 0, // text may be any bytes
    UT_RANDOM_ANY_NAN = 1 << 1,
    UT_RANDOM_UNKNOWN =
        1 << 2, // protobuf fields with numbers from 1000 in every record that can keep them
    UT_RANDOM_MIXED = 1 << 3, // each span chooses its scope
    UT_RANDOM_ALL = UT_RANDOM_ANY_BYTES | UT_RANDOM_ANY_NAN | UT_RANDOM_UNKNOWN | UT_RANDOM_MIXED,
};

// Adds `spans` random spans with resources and scopes to batch. Ids are not zero, and unlike each
// other in all likelihood. The first span has a value nested to UT_VALUE_DEPTH_MAX. Errors are
// sticky in batch.
void ut_random_batch(uint64_t seed, uint32_t spans, unsigned flags, ut_batch *batch);

// Adds spans as a web service makes them: one resource, two scopes, traces of 3 to 18 spans, HTTP
// and database attributes, about 500 bytes a record (670 in OTLP). start_ns: of the first span.
void ut_realistic_batch(uint64_t seed, uint32_t spans, uint64_t start_ns, ut_batch *batch);

// The name of the first field in which the two differ, or NULL when they are equal. Raw maps and
// arrays are compared byte by byte.
const char *ut_span_difference(const ut_span *a, const ut_span *b);
const char *ut_scope_difference(const ut_scope *a, const ut_scope *b);
const char *ut_resource_difference(const ut_resource *a, const ut_resource *b);

// Reads span `index` of batch with its scope and resource; stops the program when a record is not
// well-formed.
void ut_batch_read(const ut_batch *batch, uint32_t index, ut_span *span, ut_scope *scope,
                   ut_resource *resource);

// Compares the spans of two batches one by one, each with its scope and resource. NULL when all are
// equal; otherwise the field, and in *index the span. The text "span_count" when the numbers
// differ.
const char *ut_batch_difference(const ut_batch *a, const ut_batch *b, uint32_t *index);

#endif
