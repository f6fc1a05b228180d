// One cell after the other of a table of spans; see span_columns.h.
#include "agent/cli/span_columns.h"

#include "adapters/plain/json_value.h"
#include "agent/cli/span_text.h"
#include "storage/span/llm.h"

#include <stdio.h>

enum {
    TEXT_BYTES_MAX = 64 * 1024 * 1024,
    ID_NARROW = 12,     // digits of a trace id on a narrow terminal
    WIDTH_NARROW = 120, // a terminal below it is narrow
};

typedef enum {
    TIME,
    TRACE,
    SPAN,
    PARENT,
    DURATION,
    KIND,
    STATUS,
    SERVICE,
    NAME,
    MESSAGE,
    SCOPE,
    TOKENS,
    COST,
    ATTRIBUTE, // stands last; no field of the list
} field;

typedef struct {
    const char *name_z;
    ut_table_column column;
} field_row;

// clang-format off
static const field_row fields[] = {
    [TIME] = {"time", {"began", .time = true, .from_width = 80}},
    [TRACE] = {"trace", {.head_z = "trace"}},
    [SPAN] = {"span", {"span", .from_width = 150}},
    [PARENT] = {"parent", {.head_z = "parent"}},
    [DURATION] = {"duration", {"took", .right = true}},
    [KIND] = {"kind", {"kind", .from_width = 150}},
    [STATUS] = {"status", {.head_z = "status"}},
    [SERVICE] = {"service", {"service", .cut = true}},
    [NAME] = {"name", {"name", .cut = true}},
    [MESSAGE] = {"message", {"message", .cut = true, .from_width = 150}},
    [SCOPE] = {"scope", {"scope", .cut = true}},
    [TOKENS] = {"tokens", {"tokens", .right = true}},
    [COST] = {"cost", {"cost", .right = true}},
};
// clang-format on

static const field usual[] = {TIME, TRACE, SPAN, DURATION, KIND, STATUS, SERVICE, NAME, MESSAGE};

// False: there is no more room.
static bool add_field(ut_span_columns *columns, field kind, bool wide)
{
    if (columns->count == UT_TABLE_COLUMNS_MAX)
        return false;
    ut_table_column *column = &columns->columns[columns->count];
    *column = fields[kind].column;
    if (wide)
        column->from_width = 0;
    columns->kinds[columns->count++] = (uint8_t)kind;
    return true;
}

void ut_span_columns_init(ut_span_columns *columns, bool wide)
{
    *columns = (ut_span_columns){.count = 0};
    ut_buf_init(&columns->text, TEXT_BYTES_MAX);
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        (void)add_field(columns, usual[i], wide);
}

void ut_span_columns_free(ut_span_columns *columns)
{
    ut_buf_free(&columns->text);
}

static bool find_field(ut_bytes name, field *kind)
{
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (ut_bytes_equal(name, ut_bytes_of_z(fields[i].name_z))) {
            *kind = (field)i;
            return true;
        }
    }
    return false;
}

static bool add_attribute(ut_span_columns *columns, ut_bytes key)
{
    const uint32_t at = columns->count;
    if (at == UT_TABLE_COLUMNS_MAX || key.len == 0)
        return false;
    (void)snprintf(columns->heads[at], UT_SPAN_HEAD_MAX, "%.*s", (int)key.len,
                   (const char *)key.data);
    columns->keys[at] = key;
    columns->kinds[at] = ATTRIBUTE;
    columns->columns[at] = (ut_table_column){.head_z = columns->heads[at], .cut = true};
    columns->count++;
    return true;
}

bool ut_span_columns_read(ut_span_columns *columns, const char *list_z)
{
    columns->count = 0;
    for (const char *at = list_z;; at++) {
        const ut_bytes name = ut_bytes_of((const uint8_t *)at, strcspn(at, ","));
        field kind = ATTRIBUTE;
        if (!(find_field(name, &kind) ? add_field(columns, kind, true)
                                      : add_attribute(columns, name)))
            return false;
        at += name.len;
        if (*at == 0)
            return true;
    }
}

void ut_span_columns_add(ut_span_columns *columns, const char *field_z)
{
    field kind = ATTRIBUTE;
    if (!find_field(ut_bytes_of_z(field_z), &kind))
        return;
    for (uint32_t i = 0; i < columns->count; i++) {
        if (columns->kinds[i] == kind)
            return;
    }
    (void)add_field(columns, kind, true);
}

// ---- values ----

// The raw value of a key; empty when it is not there.
static ut_bytes find_value(ut_bytes attributes, ut_bytes key)
{
    ut_mp_reader reader = ut_mp_reader_of(attributes);
    for (uint32_t left = attributes.len == 0 ? 0 : ut_mp_get_map(&reader);
         left > 0 && reader.err == UT_OK; left--) {
        const bool found = ut_bytes_equal(ut_mp_get_str(&reader), key);
        const ut_bytes value = ut_mp_skip(&reader);
        if (found && reader.err == UT_OK)
            return value;
    }
    return UT_BYTES_NONE;
}

// Of the first event that has it.
static ut_bytes find_in_events(const ut_span *span, ut_bytes key)
{
    ut_mp_reader reader = ut_mp_reader_of(span->events);
    ut_bytes value = UT_BYTES_NONE;
    for (uint32_t left = span->events.len == 0 ? 0 : ut_mp_get_array(&reader);
         left > 0 && reader.err == UT_OK && value.len == 0; left--) {
        ut_event event;
        if (ut_event_read(&reader, span->start_ns, &event) != UT_OK)
            break;
        value = find_value(event.attributes, key);
    }
    return value;
}

// Takes a prefix away. False: the key has another.
static bool take_prefix(ut_bytes *key, const char *prefix_z)
{
    const size_t len = strlen(prefix_z);
    if (key->len <= len || memcmp(key->data, prefix_z, len) != 0)
        return false;
    *key = ut_bytes_of(key->data + len, key->len - len);
    return true;
}

static ut_bytes find_attribute(const ut_trace_span *found, ut_bytes key)
{
    if (take_prefix(&key, "span:"))
        return find_value(found->span.attributes, key);
    if (take_prefix(&key, "resource:"))
        return find_value(found->resource.attributes, key);
    if (take_prefix(&key, "scope:"))
        return find_value(found->scope.attributes, key);
    if (take_prefix(&key, "event:"))
        return find_in_events(&found->span, key);
    ut_bytes value = find_value(found->span.attributes, key);
    if (value.len == 0)
        value = find_value(found->resource.attributes, key);
    return value.len == 0 ? find_value(found->scope.attributes, key) : value;
}

static void add_value(ut_span_columns *columns, ut_table *table, ut_bytes value)
{
    ut_mp_reader reader = ut_mp_reader_of(value);
    if (value.len == 0) {
        ut_table_cell_z(table, "-", UT_COLOUR_DIM);
        return;
    }
    if (ut_mp_peek(&reader) == UT_MP_STR) {
        ut_table_cell(table, ut_mp_get_str(&reader), UT_COLOUR_NONE);
        return;
    }
    ut_buf_reset(&columns->text, UT_TABLE_BYTES_MAX);
    ut_json_value(&columns->text, value);
    ut_table_cell(table, ut_buf_bytes(&columns->text), UT_COLOUR_NONE);
}

// ---- cells ----

static void add_id(ut_table *table, ut_bytes id, size_t digits, ut_colour colour)
{
    char text_z[2 * UT_TRACE_ID_LEN + 1] = "-";
    if (id.len > 0 && id.len <= UT_TRACE_ID_LEN && !ut_bytes_all_zero(id))
        ut_hex_encode(id, text_z);
    if (digits < sizeof(text_z))
        text_z[digits] = 0;
    ut_table_cell_z(table, text_z, colour);
}

static void add_llm(ut_table *table, const ut_span *span, field kind)
{
    char text_z[UT_SPAN_COST_MAX] = "-";
    ut_llm_call call;
    if (ut_llm_read(span->attributes, &call)) {
        if (kind == COST && call.has_cost)
            ut_span_cost(call.cost_usd, text_z);
        if (kind == TOKENS && call.has_tokens)
            (void)snprintf(text_z, sizeof(text_z), "%llu", (unsigned long long)call.total_tokens);
    }
    ut_table_cell_z(table, text_z, UT_COLOUR_NONE);
}

static void add_text(ut_table *table, ut_bytes text, const char *missing_z)
{
    ut_table_cell(table, text.len == 0 ? ut_bytes_of_z(missing_z) : text, UT_COLOUR_NONE);
}

static void add_cell(ut_span_columns *columns, ut_table *table, uint32_t at,
                     const ut_trace_span *found)
{
    const ut_span *span = &found->span;
    // On a narrow terminal the day and the beginning of the id have to do.
    const bool narrow = table->term.terminal && table->term.width < WIDTH_NARROW;
    char began_z[UT_TEXT_SHORT_MAX];
    switch ((field)columns->kinds[at]) {
    case TIME:
        ut_span_began(span->start_ns, began_z);
        ut_table_cell_z(table, narrow ? began_z + 5 : began_z, UT_COLOUR_DIM);
        break;
    case TRACE:
        add_id(table, span->trace_id, narrow ? ID_NARROW : SIZE_MAX, UT_COLOUR_NONE);
        break;
    case SPAN:
        add_id(table, span->span_id, SIZE_MAX, UT_COLOUR_DIM);
        break;
    case PARENT:
        add_id(table, span->parent_span_id, SIZE_MAX, UT_COLOUR_DIM);
        break;
    case DURATION:
        ut_table_duration(table, ut_span_duration_ns(span->start_ns, span->end_ns));
        break;
    case KIND:
        ut_table_cell_z(table, ut_span_kind_z(span->kind), UT_COLOUR_DIM);
        break;
    case STATUS:
        ut_table_cell_z(table, ut_span_status_z(span->status_code),
                        span->status_code == UT_STATUS_ERROR ? UT_COLOUR_RED : UT_COLOUR_DIM);
        break;
    case SERVICE:
        add_text(table, ut_span_service(found->resource.attributes), "-");
        break;
    case NAME:
        add_text(table, span->name, "(no name)");
        break;
    case MESSAGE:
        ut_table_cell(table, span->status_message, UT_COLOUR_RED);
        break;
    case SCOPE:
        add_text(table, found->scope.name, "-");
        break;
    case TOKENS:
    case COST:
        add_llm(table, span, (field)columns->kinds[at]);
        break;
    case ATTRIBUTE:
        add_value(columns, table, find_attribute(found, columns->keys[at]));
        break;
    }
}

ut_err ut_span_columns_row(ut_span_columns *columns, ut_table *table, const ut_trace_span *found)
{
    for (uint32_t i = 0; i < columns->count; i++)
        add_cell(columns, table, i, found);
    return ut_table_end_row(table);
}
