// How far a long command is: one line on standard error that is drawn over itself. Nothing when
// standard error is not a terminal. Not for results, which go to standard output.
#ifndef UT_AGENT_CLI_PROGRESS_BAR_H
#define UT_AGENT_CLI_PROGRESS_BAR_H

#include "port/base/buf.h"

enum { UT_PROGRESS_BAR_PAUSE_MS = 100 }; // between two drawings

// All zero: not begun; the first drawing begins it.
typedef struct {
    bool begun;
    bool silent; // standard error is not a terminal
    bool drawn;  // a line stands there
    uint64_t drawn_ms;
} ut_progress_bar;

// Draws when the last drawing is UT_PROGRESS_BAR_PAUSE_MS ago, so it may be called for every item.
// total 0: not known, drawn as a count. unit_z: "spans"; "bytes" are shown as KiB, MiB.
void ut_progress_bar_draw(ut_progress_bar *bar, uint64_t done, uint64_t total, const char *unit_z);

// The same for a search (ut_span_search): draws how many blocks are done.
void ut_progress_bar_blocks(void *bar, uint64_t done, uint64_t total);

// Takes the line away, so that what is printed next stands alone. The bar is then as not begun.
void ut_progress_bar_end(ut_progress_bar *bar);

// Appends the text of a drawing, of at most `columns` columns and without control characters: bar,
// percent and count; where these are too wide percent and count, else the percent, else nothing.
// Without a total the count, or nothing.
void ut_progress_bar_line(ut_buf *out, uint32_t columns, uint64_t done, uint64_t total,
                          const char *unit_z);

#endif
