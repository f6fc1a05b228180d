// The head of a request: as a handler reads it, and as it is collected while it arrives. Not for
// its bytes on the wire (http_request.h).
#ifndef UT_TRANSPORT_HTTP_HTTP_HEAD_H
#define UT_TRANSPORT_HTTP_HTTP_HEAD_H

#include "port/base/buf.h"
#include "port/base/list.h"
#include "transport/http/http_limits.h"

typedef struct {
    ut_bytes name; // as sent, in any case
    ut_bytes value;
} ut_http_field;

typedef struct {
    const char *method_z;
    ut_bytes path;  // up to the '?', not decoded; of "http://host/path" the part behind the host
    ut_bytes query; // behind the '?', empty when there is none
    const ut_http_field *fields;
    size_t field_count;
} ut_http_head;

// How often the field occurs (name_z in any case); value: out, of the first one.
size_t ut_http_head_find(const ut_http_head *head, const char *name_z, ut_bytes *value);

// True when the field occurs, and all its values are equal in any case; value: out, one of them.
bool ut_http_head_find_one(const ut_http_head *head, const char *name_z, ut_bytes *value);

// Sets path and query from a target in origin form, or in absolute form, which proxies use (RFC
// 9112, section 3.2). They borrow from target.
void ut_http_head_split_target(ut_http_head *head, ut_bytes target);

// ---- a head while it arrives ----

// Where a field stands in the bytes of a raw head.
typedef struct {
    uint32_t name_at;
    uint32_t name_len;
    uint32_t value_at;
    uint32_t value_len;
} ut_http_raw_field;

typedef struct ut_http_raw_head ut_http_raw_head;
struct ut_http_raw_head {
    ut_http_raw_head *next; // of its owner's list
    ut_buf bytes;           // the target, then names and values one after the other
    uint32_t target_len;
    uint32_t field_count;
    ut_http_raw_field fields[UT_HTTP_SERVER_FIELDS_MAX];
};

UT_LIST_DEFINE(ut_http_raw_heads, ut_http_raw_head, next);

// Sets all of head but its method. It borrows from raw, and from fields, which holds
// UT_HTTP_SERVER_FIELDS_MAX of them.
void ut_http_raw_head_view(const ut_http_raw_head *raw, ut_http_field *fields, ut_http_head *head);

#endif
