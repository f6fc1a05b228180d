// Spans as rows of CSV (RFC 4180), for spreadsheets and data frames. Rows are only written;
// the OTLP formats hold all of a span and are read again.
#ifndef UT_ADAPTERS_PLAIN_CSV_ROW_H
#define UT_ADAPTERS_PLAIN_CSV_ROW_H

#include "storage/span/trace_span.h"

// The names of the columns, as a help text shows them.
#define UT_CSV_COLUMNS                                                                        \
    "trace_id,span_id,parent_span_id,service,name,kind,start_time,start_unix_ns,end_unix_ns," \
    "duration_ns,status,status_message,scope_name,scope_version,attributes,"                  \
    "resource_attributes,events,links"

// Appends the line of the column names.
void ut_csv_head(ut_buf *out);

typedef struct {
    bool shown;    // the line goes to a terminal: unsafe characters (ut_utf8_is_unsafe) become '?'
    bool formulas; // text that a spreadsheet takes for a formula stays as it is
} ut_csv_form;

// Appends one line. Attributes, events and links are JSON; bytes that are not UTF-8, and NUL,
// become U+FFFD. Text that begins with = + - @, a tab or a carriage return gets a ' in front unless
// formulas are wanted (https://owasp.org/www-community/attacks/CSV_Injection). scratch: a buffer of
// the caller's, kept between calls. UT_ECORRUPT, UT_ENOMEM, UT_ELIMIT.
ut_err ut_csv_row(ut_buf *out, ut_buf *scratch, const ut_trace_span *row, ut_csv_form form);

#endif
