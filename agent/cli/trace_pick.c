// One trace by the beginning of its id; see trace_pick.h.
#include "agent/cli/trace_pick.h"

#include "agent/cli/cli.h"
#include "agent/cli/span_text.h"
#include "agent/cli/term.h"

#include <ctype.h>
#include <stdio.h>

enum { HEX_DIGITS = 2 * UT_TRACE_ID_LEN, LINE_BYTES_MAX = 4096, NAME_COLUMNS = 60 };

typedef struct {
    char prefix_z[HEX_DIGITS + 1]; // lower case
    uint32_t found;
} candidates;

static ut_err print_candidate(void *context, const ut_trace_row *row)
{
    candidates *list = context;
    char id[HEX_DIGITS + 1];
    ut_hex_encode(ut_bytes_of(row->trace_id, UT_TRACE_ID_LEN), id);
    if (strncmp(id, list->prefix_z, strlen(list->prefix_z)) != 0)
        return UT_OK;
    if (list->found == UT_TRACE_PICK_CANDIDATES_MAX) {
        (void)fprintf(stderr, "  ... and more\n");
        return UT_ECANCELED;
    }
    list->found++;
    char began[UT_TEXT_SHORT_MAX];
    ut_span_began(row->start_ns, began);
    ut_buf line;
    ut_buf_init(&line, LINE_BYTES_MAX);
    ut_buf_printf(&line, "  %s  %s  ", id, began);
    ut_term_text(&line, row->name.len == 0 ? UT_BYTES_LIT("(no name)") : row->name, NAME_COLUMNS,
                 false);
    ut_buf_add_byte(&line, '\n');
    if (line.err == UT_OK)
        (void)fwrite(line.data, 1, line.len, stderr);
    ut_buf_free(&line);
    return UT_OK;
}

static void print_candidates(ut_store_view *view, uint32_t org, const char *digits_z)
{
    candidates list = {.found = 0};
    memcpy(list.prefix_z, digits_z, strlen(digits_z) + 1); // it has the same size
    // An error ends the list early; that several traces fit was said already.
    (void)ut_query_traces(view, org, UINT32_MAX, print_candidate, &list);
}

// Takes the digits out of an id as people paste it: with blanks around it, with 0x, as a UUID with
// dashes, or as the traceparent header that it stood in (W3C Trace Context:
// version-id-parent-flags). False: it is none of these.
static bool take_digits(const char *text_z, char digits_z[HEX_DIGITS + 1])
{
    enum { VERSION_LEN = 3, PARENT_LEN = 17 };
    size_t len = 0;
    text_z += strspn(text_z, " \t\r\n");
    size_t left = strcspn(text_z, " \t\r\n");
    if (text_z[left + strspn(text_z + left, " \t\r\n")] != 0)
        return false; // something follows the blanks
    if (left > 2 && text_z[0] == '0' && (text_z[1] == 'x' || text_z[1] == 'X')) {
        text_z += 2;
        left -= 2;
    } else if (left >= VERSION_LEN + HEX_DIGITS + PARENT_LEN && text_z[2] == '-' &&
               text_z[VERSION_LEN + HEX_DIGITS] == '-') {
        text_z += VERSION_LEN;
        left = HEX_DIGITS;
    }
    for (size_t i = 0; i < left; i++) {
        if (text_z[i] == '-' && (i == 8 || i == 13 || i == 18 || i == 23))
            continue;
        if (len == HEX_DIGITS)
            return false;
        digits_z[len++] = (char)tolower((unsigned char)text_z[i]);
    }
    digits_z[len] = 0;
    return true;
}

// Finds the trace; where no id begins with the digits, the one that they are without the zeros in
// front, as tracers with ids of 64 bits show them.
static ut_err find_trace(ut_store_view *view, uint32_t org, const char *digits_z,
                         uint8_t trace_id[UT_TRACE_ID_LEN])
{
    const ut_err err = ut_query_resolve_trace(view, org, digits_z, trace_id);
    if (err != UT_ENOTFOUND)
        return err;
    char whole_z[HEX_DIGITS + 1];
    const size_t len = strlen(digits_z);
    memset(whole_z, '0', HEX_DIGITS - len);
    memcpy(whole_z + HEX_DIGITS - len, digits_z, len + 1);
    return ut_query_resolve_trace(view, org, whole_z, trace_id);
}

ut_err ut_trace_pick(ut_store_view *view, uint32_t org, const char *id_z,
                     uint8_t trace_id[UT_TRACE_ID_LEN])
{
    char digits_z[HEX_DIGITS + 1];
    const ut_err err =
        take_digits(id_z, digits_z) ? find_trace(view, org, digits_z, trace_id) : UT_EFORMAT;
    switch (err) {
    case UT_OK:
        break;
    case UT_ENOTFOUND:
        (void)fprintf(
            stderr, "untrace: no trace here begins with %s; `untrace traces` lists what there is\n",
            id_z);
        break;
    case UT_EEXIST:
        (void)fprintf(stderr, "untrace: several traces begin with %s; give more digits of one:\n",
                      id_z);
        print_candidates(view, org, digits_z);
        break;
    case UT_EFORMAT:
        (void)fprintf(stderr, "untrace: \"%s\" is not a trace id, expected 1 to 32 hex digits\n",
                      id_z);
        break;
    default:
        (void)fprintf(stderr,
                      "untrace: trace %s cannot be looked up: the store cannot be read: %s\n", id_z,
                      ut_err_text(err));
        break;
    }
    return err;
}

int ut_trace_pick_exit_code(ut_err err)
{
    return err == UT_EFORMAT ? EX_USAGE : err == UT_EEXIST ? EX_DATAERR : ut_exit_code(err);
}
