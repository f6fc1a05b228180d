// Names of the members that an OTLP JSON request may have, and which of them a text is. Not for
// what they hold.
//
// Source: opentelemetry-proto v1, the .proto files that otlp_fields.h names; lowerCamelCase.
#ifndef UT_ADAPTERS_OTLP_OTLP_JSON_NAME_H
#define UT_ADAPTERS_OTLP_OTLP_JSON_NAME_H

#include "port/base/bytes.h"

// By length, shortest first: that is how they are looked up.
#define UT_OTLP_NAMES(X)                    \
    X(KEY, "key")                           \
    X(KIND, "kind")                         \
    X(NAME, "name")                         \
    X(CODE, "code")                         \
    X(TYPE, "type")                         \
    X(VALUE, "value")                       \
    X(FLAGS, "flags")                       \
    X(SPANS, "spans")                       \
    X(SCOPE, "scope")                       \
    X(LINKS, "links")                       \
    X(SPAN_ID, "spanId")                    \
    X(STATUS, "status")                     \
    X(EVENTS, "events")                     \
    X(VALUES, "values")                     \
    X(ID_KEYS, "idKeys")                    \
    X(TRACE_ID, "traceId")                  \
    X(MESSAGE, "message")                   \
    X(VERSION, "version")                   \
    X(RESOURCE, "resource")                 \
    X(INT_VALUE, "intValue")                \
    X(BOOL_VALUE, "boolValue")              \
    X(SCHEMA_URL, "schemaUrl")              \
    X(ATTRIBUTES, "attributes")             \
    X(TRACE_STATE, "traceState")            \
    X(SCOPE_SPANS, "scopeSpans")            \
    X(ENTITY_REFS, "entityRefs")            \
    X(ARRAY_VALUE, "arrayValue")            \
    X(BYTES_VALUE, "bytesValue")            \
    X(STRING_VALUE, "stringValue")          \
    X(DOUBLE_VALUE, "doubleValue")          \
    X(KVLIST_VALUE, "kvlistValue")          \
    X(TIME, "timeUnixNano")                 \
    X(PARENT_SPAN_ID, "parentSpanId")       \
    X(RESOURCE_SPANS, "resourceSpans")      \
    X(DESCRIPTION_KEYS, "descriptionKeys")  \
    X(END_TIME, "endTimeUnixNano")          \
    X(START_TIME, "startTimeUnixNano")      \
    X(DROPPED_LINKS, "droppedLinksCount")   \
    X(DROPPED_EVENTS, "droppedEventsCount") \
    X(DROPPED_ATTRIBUTES, "droppedAttributesCount")

#define UT_OTLP_NAME_ENUM(name, text) UT_NAME_##name,
typedef enum { UT_NAME_UNKNOWN, UT_OTLP_NAMES(UT_OTLP_NAME_ENUM) UT_NAME_COUNT } ut_otlp_name;

enum { UT_OTLP_NAME_ROOM = 24 }; // the longest name with its NUL; eight bytes may be read at a time

typedef struct {
    char text_z[UT_OTLP_NAME_ROOM]; // filled with NUL
    uint8_t len;
} ut_otlp_name_text;

extern const ut_otlp_name_text ut_otlp_name_texts[UT_NAME_COUNT]; // UT_NAME_UNKNOWN: empty

ut_otlp_name ut_otlp_name_of(ut_bytes text);

#endif
