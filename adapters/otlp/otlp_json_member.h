// Members of the objects of an OTLP JSON request, read by type: a value of another type is a fault
// that names its place and says what was expected. Not for what the members mean.
//
// Source: opentelemetry-proto v1, docs/specification.md, "JSON Protobuf Encoding": names in
// lowerCamelCase, ids in hexadecimal of either case, enumerations as integers, unknown members
// ignored. The rest, as integers that are text, follows ProtoJSON
// (https://protobuf.dev/programming-guides/json/): null is absent. Beyond OTLP, names of
// enumerations are taken, which ProtoJSON libraries write, and counters that are out of range: a
// refusal would lose all spans of the request for good.
//
// All functions return false after a fault, with UT_EFORMAT and the sentence in *fault. Values are
// borrowed from the document, and so are the bytes of texts.
#ifndef UT_ADAPTERS_OTLP_OTLP_JSON_MEMBER_H
#define UT_ADAPTERS_OTLP_OTLP_JSON_MEMBER_H

#include "adapters/encoding/json.h"
#include "adapters/otlp/otlp_json_name.h"
#include "adapters/otlp/otlp_path.h"

// ---- places and faults ----

// A value's place in the request, from the inside out; NULL is the whole body. Places lie on the
// stack of the functions that read, so that nothing is kept for them, and are read after a fault.
typedef struct ut_otlp_place {
    const struct ut_otlp_place *around;
    const char *name_z; // of a member; NULL: an element of the array around
    size_t index;       // of an element
} ut_otlp_place;

// Places that live as long as the block in which they are written.
#define UT_OTLP_MEMBER(around_, name_z_) (&(const ut_otlp_place){(around_), (name_z_), 0})
#define UT_OTLP_ELEMENT(around_, index_) (&(const ut_otlp_place){(around_), NULL, (index_)})

// Writes "resourceSpans[0].scopeSpans[1]..." into path.
void ut_otlp_place_path(const ut_otlp_place *at, ut_otlp_path_text *path);

// Sets the fault "<path>: <why>". Always false.
bool ut_otlp_bad(ut_fault *fault, const ut_otlp_place *at, const char *why_z);
// The same with "expected <expected>, found <type of found>".
bool ut_otlp_bad_type(ut_fault *fault, const ut_otlp_place *at, const char *expected_z,
                      yyjson_val *found);

// ---- members ----

// The members of an object that are not null, one after the other.
typedef struct {
    yyjson_obj_iter iter;
    ut_otlp_name name;
    yyjson_val *value;
    ut_otlp_place place; // of the value, if its name is known
} ut_otlp_members;

// object: NULL has none.
static inline ut_otlp_members ut_otlp_members_of(yyjson_val *object, const ut_otlp_place *at)
{
    return (ut_otlp_members){.iter = yyjson_obj_iter_with(object), .place.around = at};
}

// Goes to the next member; false at the end.
bool ut_otlp_next_member(ut_otlp_members *of);

// The bytes of a value that is a string.
static inline ut_bytes ut_otlp_text_of(yyjson_val *value)
{
    return ut_bytes_of(yyjson_get_str(value), yyjson_get_len(value));
}

// ---- values: NULL is an absent member, and leaves the result as it is ----

bool ut_otlp_get_text(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at, ut_bytes *text);

// An integer from min to max, as number and, with text_too, as text. *bits: its two's complement.
bool ut_otlp_get_integer(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at, int64_t min,
                         uint64_t max, bool text_too, uint64_t *bits);
// Nanoseconds since the epoch, as number or text.
bool ut_otlp_get_time(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at, uint64_t *ns);
// A count: one below 0 is 0, and one beyond 32 bits is UINT32_MAX.
bool ut_otlp_get_count(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at,
                       uint32_t *number);
// Flags: the low 32 bits of an integer, which a producer may take for a signed one.
bool ut_otlp_get_flags(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at,
                       uint32_t *flags);

// The names of an enumeration, from 0 on.
typedef struct {
    const char *prefix_z; // that may stand before each
    const char *names_z[6];
} ut_otlp_enum_names;
extern const ut_otlp_enum_names ut_otlp_span_kinds;
extern const ut_otlp_enum_names ut_otlp_status_codes;
// An integer, also as text, or a name with or without its prefix, in any case.
bool ut_otlp_get_enum(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at,
                      const ut_otlp_enum_names *names, int32_t *number);

// A double from the text of a number or, quoted, of a string: "NaN" and infinities are strings.
ut_json_number ut_otlp_double(ut_bytes text, bool quoted, double *number);

// Hexadecimal digits into id, which has room for `room` bytes. *digits: their number. An odd number
// of digits, or too many for the room, are only checked to be hexadecimal: id is then not written,
// and the caller rejects the span.
bool ut_otlp_get_id(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at, uint8_t *id,
                    size_t room, size_t *digits);

// Checks that value is an array of objects, and counts them; absent: none.
bool ut_otlp_get_objects(ut_fault *fault, yyjson_val *array, const ut_otlp_place *at,
                         uint32_t *count);
// True when value is absent or an object.
bool ut_otlp_is_object(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at);

#endif
