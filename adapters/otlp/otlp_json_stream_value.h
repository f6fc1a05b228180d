// Members, single values and attributes of an OTLP JSON request, read in one pass: the place in the
// text goes from call to call, as in json_scan.h, and what would be a fault elsewhere is given up.
// Not for spans and what is around them (otlp_json_stream.c).
#ifndef UT_ADAPTERS_OTLP_OTLP_JSON_STREAM_VALUE_H
#define UT_ADAPTERS_OTLP_OTLP_JSON_STREAM_VALUE_H

#include "adapters/encoding/json_scan.h"
#include "adapters/otlp/otlp_json_name.h"
#include "storage/span/batch.h"

// Where an object begins, as a predecessor of its first member.
enum {
    UT_NAME_BEGIN_SPAN = UT_NAME_COUNT,
    UT_NAME_BEGIN_EVENT,
    UT_NAME_BEGIN_LINK,
    UT_NAME_BEGIN_STATUS,
    UT_NAME_BEGIN_PAIR,
    UT_NAME_BEGIN_VALUE,
    UT_NAME_BEGIN_OTHER,
    UT_NAME_PREDECESSORS,
};

typedef struct {
    ut_json_scan scan;
    ut_batch *batch;
    // The name that came after each name, and after the beginning of each kind of object: a
    // producer writes its members in one order.
    uint8_t follows[UT_NAME_PREDECESSORS];
} ut_otlp_stream;

// ---- members ----

#define UT_NAME_BIT(name) (UINT64_C(1) << (name))

// The members of an object as they are read. Begin with {.found = UT_NAME_BEGIN_...}.
typedef struct {
    uint64_t seen;  // UT_NAME_BIT of each, and of those that are not known
    unsigned found; // the last one
} ut_otlp_stream_members;

// Goes to the value of the next member that is not null. at: behind the brace, or behind the last
// value. False: there is none, and *at is behind the object.
bool ut_otlp_stream_next(ut_otlp_stream *stream, const uint8_t **at, ut_otlp_stream_members *of);

// ---- values: each returns the place behind it ----

const uint8_t *ut_otlp_stream_text(ut_otlp_stream *stream, const uint8_t *at, ut_bytes *text);
// Nanoseconds since the epoch, as number or text.
const uint8_t *ut_otlp_stream_time(ut_otlp_stream *stream, const uint8_t *at, uint64_t *ns);
const uint8_t *ut_otlp_stream_u32(ut_otlp_stream *stream, const uint8_t *at, uint32_t *number);
// A number only.
const uint8_t *ut_otlp_stream_enum(ut_otlp_stream *stream, const uint8_t *at, int32_t *number);
// An id of exactly len bytes, in room, or an empty one, which leaves *id as it is.
const uint8_t *ut_otlp_stream_id(ut_otlp_stream *stream, const uint8_t *at, uint8_t *room,
                                 size_t len, ut_bytes *id);

// Writes a list of KeyValue as a map. depth: of the value that it is; 0 for attributes.
const uint8_t *ut_otlp_stream_put_pairs(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at,
                                        unsigned depth);
// Writes attributes that were passed before; at NULL: there were none.
void ut_otlp_stream_put_attributes(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at);

#endif
