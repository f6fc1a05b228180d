// Writing for people. Nothing that came from outside reaches a terminal without ut_term_text.
#include "agent/cli/term.h"

#include "port/base/char_columns.h"
#include "port/base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    WIDTH_WITHOUT_TERMINAL = 100,
    WIDTH_MIN = 60,
    WIDTH_MAX = 240,
    KEEP_BYTES = 1024 * 1024,
    MARKS_MAX = 8, // on one character
};

// Never NULL.
static const char *variable(const char *name_z)
{
    const char *value_z = getenv(name_z);
    return value_z == NULL ? "" : value_z;
}

// Set to something else than no.
static bool is_forced(const char *name_z)
{
    const char *value_z = variable(name_z);
    return value_z[0] != 0 && strcmp(value_z, "0") != 0 && strcmp(value_z, "false") != 0;
}

static bool wants_colour(bool terminal)
{
    if (variable("NO_COLOR")[0] != 0)
        return false;
    if (is_forced("CLICOLOR_FORCE") || is_forced("FORCE_COLOR"))
        return true;
    return terminal && variable("FORCE_COLOR")[0] == 0 && strcmp(variable("TERM"), "dumb") != 0;
}

static uint32_t within_limits(unsigned long columns)
{
    return columns < WIDTH_MIN ? WIDTH_MIN : columns > WIDTH_MAX ? WIDTH_MAX : (uint32_t)columns;
}

ut_term ut_term_stdout(void)
{
    ut_term term = {.width = WIDTH_WITHOUT_TERMINAL};
    struct winsize size;
    const char *paged_z = variable(UT_TERM_PAGED);
    term.terminal = paged_z[0] != 0 || isatty(STDOUT_FILENO);
    term.colour = wants_colour(term.terminal);
    if (paged_z[0] != 0)
        term.width = within_limits(strtoul(paged_z, NULL, 10));
    else if (term.terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        term.width = within_limits(size.ws_col);
    return term;
}

void ut_term_colour(const ut_term *term, ut_buf *out, ut_colour colour)
{
    static const char *const codes[] = {"\033[0m", "\033[31m", "\033[32m",
                                        "\033[2m", "\033[1m",  "\033[36m"};
    if (term->colour)
        ut_buf_add_z(out, codes[colour]);
}

// ---- text ----

// One character as it is written.
typedef struct {
    size_t len;       // of it in the text, at least 1
    uint32_t columns; // 0 to 2
    char instead;     // is written in its place; 0: itself
    bool left_out;
} glyph;

// What stands before a character.
typedef struct {
    uint32_t columns; // of the last character that is no mark; 0: there is none
    uint32_t marks;   // on it
} glyph_before;

static glyph next_glyph(ut_bytes text, size_t at, glyph_before *before)
{
    enum {
        ZWJ = 0x200D,
        TEXT_FORM = 0xFE0E,
        EMOJI_FORM = 0xFE0F,
        TONES = 0x1F3FB,
        TONES_END = 0x1F400
    };
    const uint8_t *data = text.data + at;
    glyph found = {.len = 1, .columns = 1};
    if (*data < 0x20 || *data >= 0x7F) {
        const size_t len = ut_utf8_len(data, text.len - at);
        found.len = len == 0 ? 1 : len;
        if (*data == '\n' || *data == '\r' || *data == '\t') {
            found.instead = ' ';
        } else if (len == 0 || ut_utf8_is_unsafe(data, len)) {
            found.instead = '?';
        } else {
            const uint32_t point = ut_utf8_point(data, len);
            found.columns = ut_char_columns(point);
            found.left_out =
                point == TEXT_FORM || point == EMOJI_FORM ||
                (before->columns == 2 && (point == ZWJ || (point >= TONES && point < TONES_END)));
            if (found.left_out)
                found.columns = 0;
        }
    }
    if (found.columns > 0) {
        *before = (glyph_before){found.columns, 0};
    } else if (!found.left_out && before->columns == 0) { // a mark on nothing
        found.instead = '?';
        found.columns = 1;
        before->columns = 1;
    } else if (!found.left_out) {
        found.left_out = before->marks++ >= MARKS_MAX;
    }
    return found;
}

uint32_t ut_term_columns(ut_bytes text)
{
    uint32_t columns = 0;
    glyph_before before = {0};
    for (size_t i = 0; i < text.len;) {
        const glyph next = next_glyph(text, i, &before);
        columns += next.columns;
        i += next.len;
    }
    return columns;
}

size_t ut_term_fit(ut_bytes text, uint32_t columns)
{
    glyph_before before = {0};
    size_t at = 0;
    while (at < text.len) {
        const glyph next = next_glyph(text, at, &before);
        if (next.columns > columns)
            break;
        columns -= next.columns;
        at += next.len;
    }
    return at;
}

ut_bytes ut_term_take_line(ut_bytes *text, uint32_t columns)
{
    size_t len = ut_term_fit(*text, columns);
    size_t space = len;
    while (len < text->len && space > 0 && text->data[space] != ' ')
        space--;
    if (len < text->len && space > 0)
        len = space;
    if (len == 0)
        len = text->len; // not even one character fits
    ut_bytes line = ut_bytes_of(text->data, len);
    while (line.len > 1 && line.data[line.len - 1] == ' ')
        line.len--;
    while (len < text->len && text->data[len] == ' ')
        len++;
    *text = ut_bytes_of(text->data + len, text->len - len);
    return line;
}

uint32_t ut_term_text(ut_buf *out, ut_bytes text, uint32_t columns, bool pad)
{
    static const char ellipsis[] = "\xe2\x80\xa6";
    const bool cut = ut_term_fit(text, columns) < text.len;
    const size_t end = cut && columns > 0 ? ut_term_fit(text, columns - 1) : cut ? 0 : text.len;
    glyph_before before = {0};
    uint32_t used = 0;
    for (size_t i = 0; i < end;) {
        const glyph next = next_glyph(text, i, &before);
        if (next.instead != 0)
            ut_buf_add_byte(out, (uint8_t)next.instead);
        else if (!next.left_out)
            ut_buf_add(out, text.data + i, next.len);
        used += next.columns;
        i += next.len;
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
