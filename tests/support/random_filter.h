// Random spans of few words and random filters over the same words, so that a filter has a fair
// chance to match, for tests of searches. The same seed gives the same.
#ifndef UT_TESTS_SUPPORT_RANDOM_FILTER_H
#define UT_TESTS_SUPPORT_RANDOM_FILTER_H

#include "storage/span/filter.h"
#include "tests/support/random_span.h"

// Adds 1 to 3 resources and `spans` spans under them. Trace ids are of 40 (the first byte tells
// them apart); a span id is never given twice with one random. Some of the spans end before they
// begin, some have codes that OTLP does not know.
void ut_random_words_batch(ut_random *random, uint32_t spans, ut_batch *batch);

// Its texts are static. Mostly of one or two conditions.
ut_filter ut_random_words_filter(ut_random *random);

// Words for people when a test fails.
void ut_filter_print(const ut_filter *filter);

#endif
