// The columns of a table of spans: the usual ones, or those that --fields names, which may be any
// attribute.
#ifndef UT_AGENT_CLI_SPAN_COLUMNS_H
#define UT_AGENT_CLI_SPAN_COLUMNS_H

#include "agent/cli/table.h"
#include "storage/span/trace_span.h"

enum { UT_SPAN_HEAD_MAX = 64 }; // bytes of the head of a column; a longer name is cut

typedef struct {
    uint32_t count;
    uint8_t kinds[UT_TABLE_COLUMNS_MAX]; // of span_columns.c
    ut_bytes keys[UT_TABLE_COLUMNS_MAX]; // of an attribute; borrowed from the list that was read
    char heads[UT_TABLE_COLUMNS_MAX][UT_SPAN_HEAD_MAX];
    ut_table_column columns[UT_TABLE_COLUMNS_MAX];
    ut_buf text; // of a value
} ut_span_columns;

// The names of the fields that are no attributes, for a help text.
#define UT_SPAN_FIELDS \
    "time,trace,span,parent,duration,kind,status,service,name,message,scope,tokens,cost"

// The usual columns, of which a narrow terminal leaves some out; wide: it leaves none out.
void ut_span_columns_init(ut_span_columns *columns, bool wide);
void ut_span_columns_free(ut_span_columns *columns);

// Takes the columns of a list with commas, borrowed: a field of UT_SPAN_FIELDS, or the key of an
// attribute, which is looked for in the span, its resource and its scope; span:, resource:, scope:
// or event: in front says where. False: a name is empty, or there are more than
// UT_TABLE_COLUMNS_MAX.
bool ut_span_columns_read(ut_span_columns *columns, const char *list_z);

// Adds a field, unless it is there or there is no more room.
void ut_span_columns_add(ut_span_columns *columns, const char *field_z);

// Adds the cells of a row, and ends it. Errors of ut_table_end_row.
ut_err ut_span_columns_row(ut_span_columns *columns, ut_table *table, const ut_trace_span *found);

#endif
