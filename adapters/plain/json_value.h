// Attribute values of spans as plain JSON, as a person would write them. OTLP's JSON form of values
// is in adapters/otlp.
#ifndef UT_ADAPTERS_PLAIN_JSON_VALUE_H
#define UT_ADAPTERS_PLAIN_JSON_VALUE_H

#include "storage/span/span.h"

// Appends a raw MessagePack value: maps as objects, bytes as hex strings, an empty value and
// doubles that JSON cannot hold as null, 64-bit integers as numbers; of a repeated key the first.
// Bytes that are not a value, or nest deeper than UT_VALUE_DEPTH_MAX, give null.
void ut_json_value(ut_buf *out, ut_bytes value);

#endif
