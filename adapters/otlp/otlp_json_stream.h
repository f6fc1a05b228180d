// OTLP JSON to span records in one pass over the text, for requests as SDKs and collectors write
// them. Not for all of them: otlp_json_decode.c decodes what is given up here, and finds the words
// for what is wrong.
#ifndef UT_ADAPTERS_OTLP_OTLP_JSON_STREAM_H
#define UT_ADAPTERS_OTLP_OTLP_JSON_STREAM_H

#include "port/base/err.h"
#include "storage/span/batch.h"

// Decodes body into batch, as ut_otlp_json_decode_within does. False: the body was given up, and
// what is in batch means nothing. Given up are bodies that ut_otlp_json_decode_within would refuse,
// in whole or in part; repeated members; entityRefs; and members in an order that no known producer
// has.
bool ut_otlp_json_stream(ut_bytes body, size_t memory_max, ut_batch *batch);

// What ut_otlp_json_decode_within does with a body that was given up, and could do with all others.
ut_err ut_otlp_json_document(ut_bytes body, size_t memory_max, ut_batch *batch, ut_fault *fault);

#endif
