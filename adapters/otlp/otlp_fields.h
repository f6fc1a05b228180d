// Field numbers of OTLP traces, by message. Not for names: otlp_path.c and the JSON files have
// those.
//
// Source: opentelemetry-proto v1, opentelemetry/proto/{collector/trace,trace,common,resource}/v1/,
// the .proto file of each; google/rpc/status.proto for the Status of errors.
#ifndef UT_ADAPTERS_OTLP_OTLP_FIELDS_H
#define UT_ADAPTERS_OTLP_OTLP_FIELDS_H

enum {                             // ExportTraceServiceRequest, TracesData
    UT_REQUEST_RESOURCE_SPANS = 1, // repeated ResourceSpans
};

enum { // ExportTraceServiceResponse
    UT_RESPONSE_PARTIAL_SUCCESS = 1,
};

enum {                       // ExportTracePartialSuccess
    UT_PARTIAL_REJECTED = 1, // int64
    UT_PARTIAL_MESSAGE = 2,  // string
};

enum {                         // google.rpc.Status
    UT_RPC_STATUS_CODE = 1,    // int32
    UT_RPC_STATUS_MESSAGE = 2, // string
    UT_RPC_STATUS_DETAILS = 3, // repeated Any
};

enum { // ResourceSpans
    UT_RESOURCE_SPANS_RESOURCE = 1,
    UT_RESOURCE_SPANS_SCOPE_SPANS = 2, // repeated
    UT_RESOURCE_SPANS_SCHEMA_URL = 3,
};

enum { // ScopeSpans
    UT_SCOPE_SPANS_SCOPE = 1,
    UT_SCOPE_SPANS_SPANS = 2, // repeated
    UT_SCOPE_SPANS_SCHEMA_URL = 3,
};

enum { // Resource
    UT_RESOURCE_ATTRIBUTES = 1,
    UT_RESOURCE_DROPPED_ATTRIBUTES = 2, // uint32
    UT_RESOURCE_ENTITY_REFS = 3,        // repeated EntityRef; kept as unknown bytes
};

enum { // EntityRef
    UT_ENTITY_REF_SCHEMA_URL = 1,
    UT_ENTITY_REF_TYPE = 2,
    UT_ENTITY_REF_ID_KEYS = 3,          // repeated string
    UT_ENTITY_REF_DESCRIPTION_KEYS = 4, // repeated string
};

enum { // InstrumentationScope
    UT_SCOPE_NAME = 1,
    UT_SCOPE_VERSION = 2,
    UT_SCOPE_ATTRIBUTES = 3,
    UT_SCOPE_DROPPED_ATTRIBUTES = 4, // uint32
};

enum { // Span
    UT_SPAN_TRACE_ID = 1,
    UT_SPAN_SPAN_ID = 2,
    UT_SPAN_TRACE_STATE = 3,
    UT_SPAN_PARENT_SPAN_ID = 4,
    UT_SPAN_NAME = 5,
    UT_SPAN_KIND = 6,       // enum
    UT_SPAN_START_TIME = 7, // fixed64, unix nanoseconds
    UT_SPAN_END_TIME = 8,   // fixed64
    UT_SPAN_ATTRIBUTES = 9,
    UT_SPAN_DROPPED_ATTRIBUTES = 10, // uint32
    UT_SPAN_EVENTS = 11,
    UT_SPAN_DROPPED_EVENTS = 12, // uint32
    UT_SPAN_LINKS = 13,
    UT_SPAN_DROPPED_LINKS = 14, // uint32
    UT_SPAN_STATUS = 15,
    UT_SPAN_FLAGS = 16, // fixed32
};

enum {                 // Span.Event
    UT_EVENT_TIME = 1, // fixed64
    UT_EVENT_NAME = 2,
    UT_EVENT_ATTRIBUTES = 3,
    UT_EVENT_DROPPED_ATTRIBUTES = 4, // uint32
};

enum { // Span.Link
    UT_LINK_TRACE_ID = 1,
    UT_LINK_SPAN_ID = 2,
    UT_LINK_TRACE_STATE = 3,
    UT_LINK_ATTRIBUTES = 4,
    UT_LINK_DROPPED_ATTRIBUTES = 5, // uint32
    UT_LINK_FLAGS = 6,              // fixed32
};

enum { // Status
    UT_STATUS_MESSAGE = 2,
    UT_STATUS_CODE = 3, // enum
};

enum { // KeyValue
    UT_KEY_VALUE_KEY = 1,
    UT_KEY_VALUE_VALUE = 2, // AnyValue
};

enum { // AnyValue, a oneof
    UT_ANY_STRING = 1,
    UT_ANY_BOOL = 2,
    UT_ANY_INT = 3,    // int64, not zigzag
    UT_ANY_DOUBLE = 4, // fixed64
    UT_ANY_ARRAY = 5,
    UT_ANY_KVLIST = 6,
    UT_ANY_BYTES = 7,
};

enum { // ArrayValue, KeyValueList
    UT_ARRAY_VALUES = 1,
    UT_KVLIST_VALUES = 1,
};

#endif
