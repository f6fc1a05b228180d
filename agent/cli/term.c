// Writing for people. Nothing that came from outside reaches a terminal without ut_term_text.
#include "agent/cli/term.h"

#include "port/base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_WITHOUT_TERMINAL = 100, WIDTH_MIN = 60, WIDTH_MAX = 240, KEEP_BYTES = 1024 * 1024 };

ut_term ut_term_stdout(void)
{
    ut_term term = {.width = WIDTH_WITHOUT_TERMINAL};
    if (!isatty(STDOUT_FILENO))
        return term;
    term.terminal = true;
    const char *no_colour_z = getenv("NO_COLOR");
    const char *kind_z = getenv("TERM");
    term.colour = (no_colour_z == NULL || no_colour_z[0] == 0) &&
                  !(kind_z != NULL && strcmp(kind_z, "dumb") == 0);
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        term.width = size.ws_col < WIDTH_MIN   ? WIDTH_MIN
                     : size.ws_col > WIDTH_MAX ? WIDTH_MAX
                                               : size.ws_col;
    return term;
}

void ut_term_colour(const ut_term *term, ut_buf *out, ut_colour colour)
{
    static const char *const codes[] = {"\033[0m", "\033[31m", "\033[32m",
                                        "\033[2m", "\033[1m",  "\033[36m"};
    if (term->colour)
        ut_buf_add_z(out, codes[colour]);
}

uint32_t ut_term_columns(ut_bytes text)
{
    uint32_t columns = 0;
    for (size_t i = 0; i < text.len; columns++) {
        const size_t len = ut_utf8_len(text.data + i, text.len - i);
        i += len == 0 ? 1 : len;
    }
    return columns;
}

uint32_t ut_term_text(ut_buf *out, ut_bytes text, uint32_t columns, bool pad)
{
    static const char ellipsis[] = "\xe2\x80\xa6";
    const bool cut = ut_term_columns(text) > columns;
    const uint32_t room = cut && columns > 0 ? columns - 1 : columns;
    uint32_t used = 0;
    for (size_t i = 0; i < text.len && used < room; used++) {
        const size_t len = ut_utf8_len(text.data + i, text.len - i);
        if (len == 0 || ut_utf8_is_control(text.data + i, text.len - i))
            ut_buf_add_byte(out, '?');
        else
            ut_buf_add(out, text.data + i, len);
        i += len == 0 ? 1 : len;
    }
    if (cut && columns > 0) {
        ut_buf_add_z(out, ellipsis);
        used++;
    }
    if (pad) {
        for (; used < columns; used++)
            ut_buf_add_byte(out, ' ');
    }
    return used;
}

void ut_term_repeat(ut_buf *out, const char *text_z, uint32_t columns)
{
    for (uint32_t i = 0; i < columns; i++)
        ut_buf_add_z(out, text_z);
}

ut_err ut_term_write(ut_buf *out)
{
    ut_err err = out->err;
    errno = 0;
    // Flushed, so that it stands before what goes to standard error next.
    if (err == UT_OK && out->len > 0 &&
        (fwrite(out->data, 1, out->len, stdout) != out->len || fflush(stdout) != 0))
        err = errno == EPIPE ? UT_ECLOSED : UT_EIO;
    if (err == UT_ECLOSED)
        clearerr(stdout); // for the command to judge, which may end quietly
    ut_buf_reset(out, KEEP_BYTES);
    return err;
}
