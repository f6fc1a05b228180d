// How far a long command is: one line on standard error that is drawn over itself. Nothing when
// standard error is not a terminal. Not for results, which go to standard output.
#ifndef UT_AGENT_PROGRESS_BAR_H
#define UT_AGENT_PROGRESS_BAR_H

#include "port/base/buf.h"

enum {
    UT_PROGRESS_BAR_PAUSE_MS = 100, // between two drawings
    UT_PROGRESS_BAR_COLUMNS_MAX = 100,
};

// All zero: not begun; the first drawing begins it.
typedef struct {
    bool begun;
    bool silent; // standard error is not a terminal
    bool drawn;  // a line stands there
    uint64_t began_ms;
    uint64_t drawn_ms;
    uint32_t turns; // of the spinner
} ut_progress_bar;

// Draws when the last drawing is UT_PROGRESS_BAR_PAUSE_MS ago, so it may be called for every item.
// total 0: not known, drawn as a count. unit_z: "spans"; "bytes" are shown as KiB, MiB.
void ut_progress_bar_draw(ut_progress_bar *bar, uint64_t done, uint64_t total, const char *unit_z);

// Takes the line away, so that what is printed next stands alone. The bar is then as not begun.
void ut_progress_bar_end(ut_progress_bar *bar);

// The text of a drawing of at most `columns` columns, without control characters: bar, percent,
// count, rate, time left, as many of them as there is room for.
void ut_progress_bar_line(ut_buf *out, uint32_t columns, uint64_t done, uint64_t total,
                          const char *unit_z, uint64_t elapsed_ms, uint32_t turn);

#endif
