// The line that shows how far a long command is. It is never wider than the terminal: a wrapped
// line cannot be drawn over.
#include "agent/cli/progress_bar.h"

#include "port/base/text.h"
#include "port/port.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS_UNKNOWN = 80, BAR_COLUMNS = 20, PERCENT_COLUMNS = 4, LINE_BYTES_MAX = 256 };

void ut_progress_bar_line(ut_buf *out, uint32_t columns, uint64_t done, uint64_t total,
                          const char *unit_z)
{
    const bool bytes = strcmp(unit_z, "bytes") == 0;
    void (*const text_of)(uint64_t, char *) = bytes ? ut_text_size : ut_text_grouped;
    char done_z[UT_TEXT_SHORT_MAX];
    char total_z[UT_TEXT_SHORT_MAX];
    char count_z[LINE_BYTES_MAX];
    text_of(done, done_z);
    text_of(total, total_z);
    (void)snprintf(count_z, sizeof(count_z), "%s%s%s%s%s", done_z, total > 0 ? " of " : "",
                   total > 0 ? total_z : "", bytes ? "" : " ", bytes ? "" : unit_z);
    const uint32_t count_columns = (uint32_t)strlen(count_z);
    if (total == 0) {
        if (columns >= count_columns)
            ut_buf_add_z(out, count_z);
        return;
    }
    const double share = done >= total ? 1.0 : (double)done / (double)total;
    const bool counted = columns >= PERCENT_COLUMNS + 2 + count_columns;
    if (counted && columns >= BAR_COLUMNS + 3 + PERCENT_COLUMNS + 2 + count_columns) {
        ut_buf_add_byte(out, '[');
        for (int i = 0; i < BAR_COLUMNS; i++)
            ut_buf_add_byte(out, i < (int)(share * BAR_COLUMNS) ? '#' : '-');
        ut_buf_add_z(out, "] ");
    }
    if (columns >= PERCENT_COLUMNS)
        ut_buf_printf(out, "%3d%%", (int)(share * 100.0));
    if (counted)
        ut_buf_printf(out, "  %s", count_z);
}

static uint32_t terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return COLUMNS_UNKNOWN;
}

void ut_progress_bar_draw(ut_progress_bar *bar, uint64_t done, uint64_t total, const char *unit_z)
{
    if (bar->silent)
        return;
    const uint64_t now_ms = ut_clock_mono_ms();
    if (!bar->begun) {
        bar->begun = true;
        bar->silent = isatty(STDERR_FILENO) != 1;
        bar->drawn_ms = now_ms; // work that is done within the first pause shows no bar
        return;
    }
    if (now_ms - bar->drawn_ms < UT_PROGRESS_BAR_PAUSE_MS)
        return;
    bar->drawn_ms = now_ms;
    ut_buf line;
    ut_buf_init(&line, LINE_BYTES_MAX);
    ut_buf_add_byte(&line, '\r');
    // The last column stays free: some terminals wrap as soon as it is written.
    ut_progress_bar_line(&line, terminal_columns() - 1, done, total, unit_z);
    ut_buf_add_z(&line, "\033[K");
    if (line.err == UT_OK) {
        (void)fwrite(line.data, 1, line.len, stderr); // an ornament: nobody misses a lost one
        (void)fflush(stderr);
        bar->drawn = true;
    }
    ut_buf_free(&line);
}

void ut_progress_bar_blocks(void *bar, uint64_t done, uint64_t total)
{
    ut_progress_bar_draw(bar, done, total, "blocks");
}

void ut_progress_bar_end(ut_progress_bar *bar)
{
    if (bar->drawn) {
        (void)fputs("\r\033[K", stderr);
        (void)fflush(stderr);
    }
    *bar = (ut_progress_bar){0};
}
