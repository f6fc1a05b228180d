// Names the place of a byte in a trace request; see otlp_path.h.
// Not for decoding: it follows only the way down to one byte.
#include "adapters/otlp/otlp_path.h"

#include "adapters/otlp/otlp_fields.h"
#include "adapters/encoding/protobuf.h"

#include <inttypes.h>
#include <stdio.h>

typedef enum {
    NONE, // not a message
    REQUEST,
    RESOURCE_SPANS,
    SCOPE_SPANS,
    RESOURCE,
    SCOPE,
    SPAN,
    EVENT,
    LINK,
    STATUS,
    KEY_VALUE,
    ANY_VALUE,
    ARRAY,
    KVLIST,
    MESSAGES,
} message;

typedef struct {
    uint8_t number;
    uint8_t child; // message
    bool repeated;
    const char *name_z;
} field;

enum { FIELDS_MAX = 17 };

// By message; a row ends at number 0.
static const field fields[MESSAGES][FIELDS_MAX] = {
    [REQUEST] = {{UT_REQUEST_RESOURCE_SPANS, RESOURCE_SPANS, true, "resource_spans"}},
    [RESOURCE_SPANS] = {{UT_RESOURCE_SPANS_RESOURCE, RESOURCE, false, "resource"},
                        {UT_RESOURCE_SPANS_SCOPE_SPANS, SCOPE_SPANS, true, "scope_spans"},
                        {UT_RESOURCE_SPANS_SCHEMA_URL, NONE, false, "schema_url"}},
    [SCOPE_SPANS] = {{UT_SCOPE_SPANS_SCOPE, SCOPE, false, "scope"},
                     {UT_SCOPE_SPANS_SPANS, SPAN, true, "spans"},
                     {UT_SCOPE_SPANS_SCHEMA_URL, NONE, false, "schema_url"}},
    [RESOURCE] = {{UT_RESOURCE_ATTRIBUTES, KEY_VALUE, true, "attributes"},
                  {UT_RESOURCE_DROPPED_ATTRIBUTES, NONE, false, "dropped_attributes_count"},
                  {UT_RESOURCE_ENTITY_REFS, NONE, true, "entity_refs"}},
    [SCOPE] = {{UT_SCOPE_NAME, NONE, false, "name"},
               {UT_SCOPE_VERSION, NONE, false, "version"},
               {UT_SCOPE_ATTRIBUTES, KEY_VALUE, true, "attributes"},
               {UT_SCOPE_DROPPED_ATTRIBUTES, NONE, false, "dropped_attributes_count"}},
    [SPAN] = {{UT_SPAN_TRACE_ID, NONE, false, "trace_id"},
              {UT_SPAN_SPAN_ID, NONE, false, "span_id"},
              {UT_SPAN_TRACE_STATE, NONE, false, "trace_state"},
              {UT_SPAN_PARENT_SPAN_ID, NONE, false, "parent_span_id"},
              {UT_SPAN_NAME, NONE, false, "name"},
              {UT_SPAN_KIND, NONE, false, "kind"},
              {UT_SPAN_START_TIME, NONE, false, "start_time_unix_nano"},
              {UT_SPAN_END_TIME, NONE, false, "end_time_unix_nano"},
              {UT_SPAN_ATTRIBUTES, KEY_VALUE, true, "attributes"},
              {UT_SPAN_DROPPED_ATTRIBUTES, NONE, false, "dropped_attributes_count"},
              {UT_SPAN_EVENTS, EVENT, true, "events"},
              {UT_SPAN_DROPPED_EVENTS, NONE, false, "dropped_events_count"},
              {UT_SPAN_LINKS, LINK, true, "links"},
              {UT_SPAN_DROPPED_LINKS, NONE, false, "dropped_links_count"},
              {UT_SPAN_STATUS, STATUS, false, "status"},
              {UT_SPAN_FLAGS, NONE, false, "flags"}},
    [EVENT] = {{UT_EVENT_TIME, NONE, false, "time_unix_nano"},
               {UT_EVENT_NAME, NONE, false, "name"},
               {UT_EVENT_ATTRIBUTES, KEY_VALUE, true, "attributes"},
               {UT_EVENT_DROPPED_ATTRIBUTES, NONE, false, "dropped_attributes_count"}},
    [LINK] = {{UT_LINK_TRACE_ID, NONE, false, "trace_id"},
              {UT_LINK_SPAN_ID, NONE, false, "span_id"},
              {UT_LINK_TRACE_STATE, NONE, false, "trace_state"},
              {UT_LINK_ATTRIBUTES, KEY_VALUE, true, "attributes"},
              {UT_LINK_DROPPED_ATTRIBUTES, NONE, false, "dropped_attributes_count"},
              {UT_LINK_FLAGS, NONE, false, "flags"}},
    [STATUS] = {{UT_STATUS_MESSAGE, NONE, false, "message"}, {UT_STATUS_CODE, NONE, false, "code"}},
    [KEY_VALUE] = {{UT_KEY_VALUE_KEY, NONE, false, "key"},
                   {UT_KEY_VALUE_VALUE, ANY_VALUE, false, "value"}},
    [ANY_VALUE] = {{UT_ANY_STRING, NONE, false, "string_value"},
                   {UT_ANY_BOOL, NONE, false, "bool_value"},
                   {UT_ANY_INT, NONE, false, "int_value"},
                   {UT_ANY_DOUBLE, NONE, false, "double_value"},
                   {UT_ANY_ARRAY, ARRAY, false, "array_value"},
                   {UT_ANY_KVLIST, KVLIST, false, "kvlist_value"},
                   {UT_ANY_BYTES, NONE, false, "bytes_value"}},
    [ARRAY] = {{UT_ARRAY_VALUES, ANY_VALUE, true, "values"}},
    [KVLIST] = {{UT_KVLIST_VALUES, KEY_VALUE, true, "values"}},
};

static const field *find(message inside, uint64_t number)
{
    for (const field *row = fields[inside]; row->number != 0; row++) {
        if (row->number == number)
            return row;
    }
    return NULL;
}

static void append(ut_otlp_path_text *path, const char *text_z)
{
    size_t len = strlen(text_z);
    if (path->cut)
        return;
    if (path->len + len >= sizeof path->text_z - 3) { // room for the dots
        memcpy(path->text_z + path->len, "...", 4);
        path->cut = true;
        return;
    }
    memcpy(path->text_z + path->len, text_z, len + 1);
    path->len += len;
}

void ut_otlp_path_name(ut_otlp_path_text *path, const char *name_z)
{
    if (path->len > 0)
        append(path, ".");
    append(path, name_z);
}

void ut_otlp_path_index(ut_otlp_path_text *path, uint32_t index)
{
    char text_z[16];
    (void)snprintf(text_z, sizeof text_z, "[%" PRIu32 "]", index);
    append(path, text_z);
}

void ut_otlp_path(ut_bytes body, size_t offset, char path_z[UT_OTLP_PATH_MAX])
{
    ut_otlp_path_text path = {.len = 0};
    message inside = REQUEST;
    const uint8_t *target = body.data + offset;
    const uint8_t *at = body.data;
    const uint8_t *end = body.data + body.len;
    uint32_t seen[FIELDS_MAX] = {0}; // how often each known field stood before, in this message
    while (inside != NONE && at < end) {
        ut_pb_field found;
        const uint8_t *next = ut_pb_read_any_field(at, end, &found);
        if (next != NULL && next <= target) { // before the byte in question
            if (UT_PB_NUMBER(found.tag) < FIELDS_MAX)
                seen[UT_PB_NUMBER(found.tag)] += 1;
            at = next;
            continue;
        }
        uint64_t tag;
        if (ut_pb_read_varint(at, end, &tag) == NULL)
            break;
        const field *row = find(inside, tag >> 3);
        if (row == NULL)
            break;
        ut_otlp_path_name(&path, row->name_z);
        if (row->repeated)
            ut_otlp_path_index(&path, seen[row->number]);
        if (next == NULL || UT_PB_WIRE(found.tag) != UT_PB_LEN || target < found.bytes.data)
            break;
        inside = (message)row->child;
        at = found.bytes.data;
        end = at + found.bytes.len;
        memset(seen, 0, sizeof seen);
    }
    memcpy(path_z, path.text_z, path.len + (path.cut ? 4 : 1));
}
