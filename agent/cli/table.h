// Tables for people: columns as wide as what is in them, cut where the terminal is narrower, uncut
// in a pipe.
#ifndef UT_AGENT_CLI_TABLE_H
#define UT_AGENT_CLI_TABLE_H

#include "agent/cli/term.h"

enum {
    UT_TABLE_COLUMNS_MAX = 16,
    UT_TABLE_ROWS_MAX = 1000,              // rows held back; their widths hold for the rest
    UT_TABLE_BYTES_MAX = 32 * 1024 * 1024, // of text that waits to be printed
    UT_TABLE_CELL_COLUMNS = 200,           // of one cell, also in a pipe
    UT_TABLE_CUT_COLUMNS = 8,              // a column is not cut below
};

typedef struct {
    const char *head_z;
    bool right;          // numbers
    bool cut;            // may be cut
    bool time;           // the head is followed by the zone of the times: "began (UTC)"
    uint16_t from_width; // left out on a terminal narrower than this
} ut_table_column;

typedef struct {
    ut_term term;
    const ut_table_column *columns;
    uint32_t column_count;
    uint32_t widths[UT_TABLE_COLUMNS_MAX]; // 0: left out; set with the first rows that are printed
    bool measured;
    bool grows;   // rows come one by one, and the widths with them: the caller sets it
    ut_buf text;  // of the cells
    ut_buf cells; // of the rows held back
    ut_buf out;
    uint32_t cell_count;
} ut_table;

// columns: borrowed until ut_table_free, 1 to UT_TABLE_COLUMNS_MAX.
void ut_table_init(ut_table *table, const ut_table_column *columns, uint32_t count);
void ut_table_free(ut_table *table);

// The next cell, row by row; text is copied and made harmless when printed. Errors stay in the
// table.
void ut_table_cell(ut_table *table, ut_bytes text, ut_colour colour);
void ut_table_cell_z(ut_table *table, const char *text_z, ut_colour colour);
void ut_table_number(ut_table *table, uint64_t value, ut_colour colour);
void ut_table_duration(ut_table *table, uint64_t ns);

// After the last cell of a row. Prints nothing, so that a row may be added while a view of the
// store is held and the reader of the output is slow; unless more than UT_TABLE_BYTES_MAX is
// waiting. UT_ENOMEM, UT_ELIMIT, and as ut_term_write.
ut_err ut_table_end_row(ut_table *table);
// Prints what is waiting. A table without rows prints nothing.
ut_err ut_table_flush(ut_table *table);

#endif
