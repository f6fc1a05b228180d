// Writing for people: colour only on a terminal, text from spans made harmless, columns that line
// up.
#ifndef UT_AGENT_CLI_TERM_H
#define UT_AGENT_CLI_TERM_H

#include "port/base/buf.h"

typedef struct {
    bool terminal;  // standard output is one, or a pager on one
    bool colour;    // it is, and TERM is not dumb, or colour is forced; NO_COLOR is not set
    uint32_t width; // columns; 100 when it is not a terminal
} ut_term;

typedef enum {
    UT_COLOUR_NONE,
    UT_COLOUR_RED,
    UT_COLOUR_GREEN,
    UT_COLOUR_DIM,
    UT_COLOUR_BOLD,
    UT_COLOUR_CYAN
} ut_colour;

// The variable that says that a pager reads standard output, with the columns of its terminal.
#define UT_TERM_PAGED "UNTRACE_PAGER_COLUMNS"

// CLICOLOR_FORCE and FORCE_COLOR force colour, NO_COLOR forbids it; --color sets and unsets these.
ut_term ut_term_stdout(void);

// Begins and ends a colour; nothing when the terminal has none.
void ut_term_colour(const ut_term *term, ut_buf *out, ut_colour colour);

// Columns that text takes when ut_term_text writes it.
uint32_t ut_term_columns(ut_bytes text);

// Bytes at the front of text that take at most `columns` columns.
size_t ut_term_fit(ut_bytes text, uint32_t columns);

// Takes the first line of a text that is broken between words, at most `columns` columns of it, and
// moves *text behind it and its spaces. A word that is longer is broken.
ut_bytes ut_term_take_line(ut_bytes *text, uint32_t columns);

// Appends at most `columns` columns of text, a longer one cut with an ellipsis. Unsafe characters
// (ut_utf8_is_unsafe) and bytes that are not UTF-8 become '?', line ends and tabs a space. Where
// terminals disagree about the width, what they disagree about is left out: joiners and skin tones
// behind an emoji, and the selectors of its form. So is what stands as the ninth mark on one
// character and behind. Returns the columns written. pad: fills with spaces up to columns.
uint32_t ut_term_text(ut_buf *out, ut_bytes text, uint32_t columns, bool pad);

// Appends text once per column.
void ut_term_repeat(ut_buf *out, const char *text_z, uint32_t columns);

// Writes out to standard output and empties it, keeping some memory. UT_ECLOSED: nobody reads any
// more. The error of out; UT_EIO.
ut_err ut_term_write(ut_buf *out);

#endif
