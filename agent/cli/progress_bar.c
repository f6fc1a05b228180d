// The line that shows how far a long command is. What does not fit the terminal's width is left out, so that the line never wraps:
// a wrapped line cannot be drawn over.
#include "agent/cli/progress_bar.h"

#include "port/base/text.h"
#include "port/port.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    COLUMNS_UNKNOWN = 80,
    BAR_COLUMNS_MAX = 40,
    BAR_COLUMNS_MIN = 10,
    LINE_BYTES_MAX = 1024,
    RATE_AFTER_MS = 500, // a rate of less time than this says nothing
    PART_BYTES_MAX = 96,
    LEFT_MAX_S = 100 * 3600,
};

// done / total in thousandths, without passing 64 bits.
static uint32_t thousandths(uint64_t done, uint64_t total)
{
    if (done >= total)
        return 1000;
    while (total > UINT64_MAX / 1000) {
        total >>= 1;
        done >>= 1;
    }
    return (uint32_t)(done * 1000 / total);
}

static void count_text(uint64_t count, const char *unit_z, char out_z[UT_TEXT_SHORT_MAX])
{
    if (strcmp(unit_z, "bytes") == 0) {
        ut_text_size(count, out_z);
        return;
    }
    ut_text_grouped(count, out_z);
}

static void put_bar(ut_buf *out, uint32_t columns, uint32_t parts)
{
    const uint32_t full = (columns * parts + 500) / 1000;
    ut_buf_add_byte(out, '[');
    for (uint32_t i = 0; i < columns; i++)
        ut_buf_add_byte(out, i < full ? '#' : '-');
    ut_buf_add_byte(out, ']');
}

void ut_progress_bar_line(ut_buf *out, uint32_t columns, uint64_t done, uint64_t total,
                          const char *unit_z, uint64_t elapsed_ms, uint32_t turn)
{
    static const char spinner[] = "|/-\\";
    const bool bytes = strcmp(unit_z, "bytes") == 0;
    char count[UT_TEXT_SHORT_MAX];
    char whole[UT_TEXT_SHORT_MAX];
    char parts[3][PART_BYTES_MAX] = {"", "", ""}; // count, rate, time left; in this order they go

    count_text(done, unit_z, count);
    if (total > 0) {
        count_text(total, unit_z, whole);
        (void)snprintf(parts[0], sizeof(parts[0]), "%s of %s%s%s", count, whole, bytes ? "" : " ",
                       bytes ? "" : unit_z);
    } else {
        (void)snprintf(parts[0], sizeof(parts[0]), "%s%s%s", count, bytes ? "" : " ",
                       bytes ? "" : unit_z);
    }
    if (elapsed_ms >= RATE_AFTER_MS && done > 0) {
        const uint64_t rate = (uint64_t)((double)done * 1000.0 / (double)elapsed_ms);
        count_text(rate, unit_z, count);
        (void)snprintf(parts[1], sizeof(parts[1]), "%s/s", count);
        if (total > done) {
            const double left_s =
                (double)(total - done) * (double)elapsed_ms / 1000.0 / (double)done;
            if (left_s < LEFT_MAX_S) {
                ut_text_duration(((uint64_t)left_s + 1) * 1000000000U, whole);
                (void)snprintf(parts[2], sizeof(parts[2]), "%s left", whole);
            }
        }
    }

    if (columns > UT_PROGRESS_BAR_COLUMNS_MAX)
        columns = UT_PROGRESS_BAR_COLUMNS_MAX;
    const uint32_t share = total == 0 ? 0 : thousandths(done, total);
    uint32_t used = total == 0 ? 1 : 4; // the spinner, or "100%"
    if (columns < used)
        return;
    size_t shown = 0;
    while (shown < 3) {
        const uint32_t need = parts[shown][0] == 0 ? 0 : (uint32_t)strlen(parts[shown]) + 2;
        if (used + need > columns)
            break;
        used += need;
        shown++;
    }
    if (total == 0) {
        ut_buf_add_byte(out, (uint8_t)spinner[turn % 4]);
    } else {
        if (columns - used >= BAR_COLUMNS_MIN + 3) {
            const uint32_t room = columns - used - 3;
            put_bar(out, room > BAR_COLUMNS_MAX ? BAR_COLUMNS_MAX : room, share);
            ut_buf_add_byte(out, ' ');
        }
        ut_buf_printf(out, "%3u%%", share / 10);
    }
    for (size_t i = 0; i < shown; i++) {
        if (parts[i][0] != 0)
            ut_buf_printf(out, "  %s", parts[i]);
    }
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
        bar->began_ms = now_ms;
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
    ut_progress_bar_line(&line, terminal_columns() - 1, done, total, unit_z, now_ms - bar->began_ms,
                         bar->turns++);
    ut_buf_add_z(&line, "\033[K");
    if (line.err == UT_OK) {
        (void)fwrite(line.data, 1, line.len, stderr); // an ornament: nobody misses a lost one
        (void)fflush(stderr);
        bar->drawn = true;
    }
    ut_buf_free(&line);
}

void ut_progress_bar_end(ut_progress_bar *bar)
{
    if (bar->drawn) {
        (void)fputs("\r\033[K", stderr);
        (void)fflush(stderr);
    }
    *bar = (ut_progress_bar){0};
}
