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

static void print_candidates(ut_store_view *view, uint32_t org, const char *id_z)
{
    candidates list = {.found = 0};
    size_t len = strlen(id_z);
    UT_ASSERT(len <= HEX_DIGITS); // it was an id, or there would be no candidates
    for (size_t i = 0; i < len; i++)
        list.prefix_z[i] = (char)tolower((unsigned char)id_z[i]);
    // An error ends the list early; that several traces fit was said already.
    (void)ut_query_traces(view, org, UINT32_MAX, print_candidate, &list);
}

ut_err ut_trace_pick(ut_store_view *view, uint32_t org, const char *id_z,
                     uint8_t trace_id[UT_TRACE_ID_LEN])
{
    const ut_err err = ut_query_resolve_trace(view, org, id_z, trace_id);
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
        print_candidates(view, org, id_z);
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
