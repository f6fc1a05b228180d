// Tables for people; see table.h.
#include "agent/cli/table.h"

#include "agent/cli/local_time.h"
#include "port/base/text.h"

#include <stdio.h>

enum { TEXT_BYTES_MAX = 2 * UT_TABLE_BYTES_MAX, GAP = 2 };

typedef struct {
    size_t offset; // in text
    size_t len;
    ut_colour colour;
} cell;

void ut_table_init(ut_table *table, const ut_table_column *columns, uint32_t count)
{
    UT_ASSERT(count > 0 && count <= UT_TABLE_COLUMNS_MAX);
    *table = (ut_table){.term = ut_term_stdout(), .columns = columns, .column_count = count};
    ut_buf_init(&table->text, TEXT_BYTES_MAX);
    ut_buf_init(&table->cells,
                sizeof(cell) * (UT_TABLE_ROWS_MAX + 1) * (size_t)UT_TABLE_COLUMNS_MAX);
    ut_buf_init(&table->out, TEXT_BYTES_MAX);
}

void ut_table_free(ut_table *table)
{
    ut_buf_free(&table->text);
    ut_buf_free(&table->cells);
    ut_buf_free(&table->out);
}

void ut_table_cell(ut_table *table, ut_bytes text, ut_colour colour)
{
    // Text behind this number of bytes is hardly ever seen: a column takes up to four, and marks.
    const size_t shown_max = 10 * (UT_TABLE_CELL_COLUMNS + 1);
    const cell added = {table->text.len, text.len < shown_max ? text.len : shown_max, colour};
    ut_buf_add(&table->text, text.data, added.len);
    ut_buf_add(&table->cells, &added, sizeof(added));
    table->cell_count++;
}

void ut_table_cell_z(ut_table *table, const char *text_z, ut_colour colour)
{
    ut_table_cell(table, ut_bytes_of_z(text_z), colour);
}

void ut_table_number(ut_table *table, uint64_t value, ut_colour colour)
{
    char text_z[UT_TEXT_SHORT_MAX];
    (void)snprintf(text_z, sizeof(text_z), "%llu", (unsigned long long)value);
    ut_table_cell_z(table, text_z, colour);
}

void ut_table_duration(ut_table *table, uint64_t ns)
{
    char text_z[UT_TEXT_SHORT_MAX];
    ut_text_duration(ns, text_z);
    ut_table_cell_z(table, text_z, UT_COLOUR_NONE);
}

static ut_bytes cell_text(const ut_table *table, const cell *at)
{
    return at->len == 0 ? UT_BYTES_NONE : ut_bytes_of(table->text.data + at->offset, at->len);
}

static const cell *cells_of(const ut_table *table)
{
    return (const cell *)(const void *)table->cells.data;
}

// Takes from the widest column that may be cut until the row fits, or nothing may be cut further.
static void cut_to_terminal(ut_table *table)
{
    for (;;) {
        uint32_t sum = 0;
        uint32_t widest = UT_TABLE_COLUMNS_MAX;
        for (uint32_t i = 0; i < table->column_count; i++) {
            if (table->widths[i] == 0)
                continue;
            sum += table->widths[i] + (sum == 0 ? 0 : GAP);
            if (table->columns[i].cut && table->widths[i] > UT_TABLE_CUT_COLUMNS &&
                (widest == UT_TABLE_COLUMNS_MAX || table->widths[i] > table->widths[widest]))
                widest = i;
        }
        if (sum <= table->term.width || widest == UT_TABLE_COLUMNS_MAX)
            return;
        table->widths[widest]--;
    }
}

enum { HEAD_BYTES_MAX = 256 };

static ut_bytes head_of(const ut_table_column *column, char text_z[HEAD_BYTES_MAX])
{
    if (!column->time)
        return ut_bytes_of_z(column->head_z);
    (void)snprintf(text_z, HEAD_BYTES_MAX, "%s (%s)", column->head_z, ut_local_zone_z());
    return ut_bytes_of_z(text_z);
}

static void measure(ut_table *table)
{
    char text_z[HEAD_BYTES_MAX];
    for (uint32_t i = 0; i < table->column_count; i++)
        if (!table->measured)
            table->widths[i] = ut_term_columns(head_of(&table->columns[i], text_z));
    for (uint32_t i = 0; i < table->cell_count; i++) {
        uint32_t columns = ut_term_columns(cell_text(table, &cells_of(table)[i]));
        if (columns > UT_TABLE_CELL_COLUMNS)
            columns = UT_TABLE_CELL_COLUMNS;
        if (columns > table->widths[i % table->column_count])
            table->widths[i % table->column_count] = columns;
    }
    if (table->term.terminal) {
        for (uint32_t i = 0; i < table->column_count; i++) {
            if (table->columns[i].from_width > table->term.width)
                table->widths[i] = 0;
        }
        cut_to_terminal(table);
    }
    table->measured = true;
}

static void add_cell(ut_table *table, uint32_t column, ut_bytes text, ut_colour colour)
{
    const uint32_t width = table->widths[column];
    bool last = true;
    bool first = true;
    for (uint32_t i = 0; i < table->column_count; i++) {
        last = last && (i <= column || table->widths[i] == 0);
        first = first && (i >= column || table->widths[i] == 0);
    }
    if (!first)
        ut_term_repeat(&table->out, " ", GAP);
    const bool coloured = colour != UT_COLOUR_NONE && text.len > 0; // see end_line
    const uint32_t columns = ut_term_columns(text);
    if (table->columns[column].right && columns < width)
        ut_term_repeat(&table->out, " ", width - columns);
    if (coloured)
        ut_term_colour(&table->term, &table->out, colour);
    const uint32_t used = ut_term_text(&table->out, text, width, false);
    if (coloured)
        ut_term_colour(&table->term, &table->out, UT_COLOUR_NONE);
    if (!table->columns[column].right && !last && used < width)
        ut_term_repeat(&table->out, " ", width - used);
}

// An empty last cell leaves no spaces behind.
static void end_line(ut_table *table)
{
    while (table->out.len > 0 && table->out.data[table->out.len - 1] == ' ')
        table->out.len--;
    ut_buf_add_byte(&table->out, '\n');
}

// Turns the rows that are held back into text.
static ut_err layout(ut_table *table)
{
    UT_ASSERT(table->cell_count % table->column_count == 0);
    if (table->text.err != UT_OK || table->cells.err != UT_OK)
        return table->text.err != UT_OK ? table->text.err : table->cells.err;
    if (table->cell_count == 0)
        return UT_OK;
    const bool first = !table->measured;
    if (first || table->grows)
        measure(table);
    if (first) {
        char text_z[HEAD_BYTES_MAX];
        for (uint32_t i = 0; i < table->column_count; i++) {
            if (table->widths[i] > 0)
                add_cell(table, i, head_of(&table->columns[i], text_z), UT_COLOUR_BOLD);
        }
        end_line(table);
    }
    for (uint32_t i = 0; i < table->cell_count; i++) {
        const cell *at = &cells_of(table)[i];
        const uint32_t column = i % table->column_count;
        if (table->widths[column] > 0)
            add_cell(table, column, cell_text(table, at), at->colour);
        if (column + 1 == table->column_count)
            end_line(table);
    }
    ut_buf_reset(&table->text, SIZE_MAX);
    ut_buf_reset(&table->cells, SIZE_MAX);
    table->cell_count = 0;
    return table->out.err;
}

ut_err ut_table_end_row(ut_table *table)
{
    UT_ASSERT(table->cell_count % table->column_count == 0);
    if (table->cell_count / table->column_count < UT_TABLE_ROWS_MAX)
        return UT_OK;
    const ut_err err = layout(table);
    return err == UT_OK && table->out.len > UT_TABLE_BYTES_MAX ? ut_term_write(&table->out) : err;
}

ut_err ut_table_flush(ut_table *table)
{
    const ut_err err = layout(table);
    return err == UT_OK ? ut_term_write(&table->out) : err;
}
