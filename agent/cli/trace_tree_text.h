// The tree of a trace as lines of text: a line a span, with branches, name, service, duration and a
// bar on the time line, and texts below it that keep the branches going. Which texts stand there is
// not decided here (trace_page.h).
#ifndef UT_AGENT_CLI_TRACE_TREE_TEXT_H
#define UT_AGENT_CLI_TRACE_TREE_TEXT_H

#include "agent/cli/term.h"
#include "agent/cli/trace_cut.h"

typedef struct {
    ut_term term;
    ut_buf out;              // lines that are not yet written to standard output
    ut_err err;              // the first error of writing; after it nothing is written
    const ut_tree_row *rows; // that are shown
    const ut_trace_fold *folds;
    uint32_t row_count;
    uint64_t begin_ns; // of the trace
    uint64_t end_ns;
    uint32_t name_columns; // branches and name together
    uint32_t service_columns;
    uint32_t bar_columns;
    bool wide; // when a span began, and its own time, have columns
} ut_tree_text;

// from: built, and cut: made of it; both borrowed until ut_tree_text_free.
void ut_tree_text_init(ut_tree_text *tree, const ut_tree *from, const ut_trace_cut *cut,
                       const ut_term *term);
void ut_tree_text_free(ut_tree_text *tree);

// Ends a line in out; writes out to standard output when enough has come together.
void ut_tree_text_end_line(ut_tree_text *tree);

// Writes the rest. UT_OK, UT_ENOMEM, and as ut_term_write.
ut_err ut_tree_text_end(ut_tree_text *tree);

// The names of the columns, where there are more than those that everybody knows.
void ut_tree_text_heading(ut_tree_text *tree);

// The line of the span rows[index], or of those that it stands for.
void ut_tree_text_row(ut_tree_text *tree, uint32_t index);

// Begins a line below a row, on which the branches to its children and siblings go on. Returns the
// columns that these take; ut_tree_text_room says how many are left behind `used`.
uint32_t ut_tree_text_begin_below(ut_tree_text *tree, uint32_t index);
uint32_t ut_tree_text_room(const ut_tree_text *tree, uint32_t used);

// Adds text below a row on as many lines as it takes; those after the first stand under its text.
void ut_tree_text_below(ut_tree_text *tree, uint32_t index, const char *label_z, ut_bytes text,
                        ut_colour colour);

// Adds text below a row with the lines it has, however many, a tab as four spaces.
void ut_tree_text_lines(ut_tree_text *tree, uint32_t index, const char *label_z, ut_bytes text,
                        ut_colour colour);

// Adds the first `wanted` characters of a text below a row as running lines, or with -1 all of it
// with the lines it has.
void ut_tree_text_preview(ut_tree_text *tree, uint32_t index, const char *label_z, ut_bytes text,
                          int32_t wanted);

#endif
