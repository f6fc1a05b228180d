// The tree of a trace as lines of text; see trace_tree_text.h.
#include "agent/cli/trace_tree_text.h"

#include "port/base/order.h"
#include "port/base/text.h"
#include "port/base/utf8.h"
#include "storage/span/span.h"
#include "storage/span/trace_time.h"

#include <stdio.h>
#include <string.h>

enum {
    OUTPUT_BYTES_MAX = 64 * 1024 * 1024,
    FLUSH_BYTES = 64 * 1024,
    TEXT_COLUMNS_MIN = 24, // of a text below a span, however deep that is
    SERVICE_COLUMNS = 14,
    DURATION_COLUMNS = 9,
    MARK_COLUMNS = 2,
    BAR_COLUMNS_MIN = 16,
    NAME_COLUMNS_MIN = 24,
    WIDE_COLUMNS = 120,   // of a terminal that has room for more columns of times
    DRAWN_DEPTH_MAX = 64, // deeper rows show their depth as a number
};

static uint64_t duration_of(const ut_tree_row *row)
{
    return ut_span_duration_ns(row->start_ns, row->end_ns);
}

static void measure_times(ut_tree_text *tree, const ut_tree *from)
{
    ut_trace_time time = {.any = false};
    uint32_t count = 0;
    const ut_tree_row *rows = ut_tree_rows(from, &count);
    for (uint32_t i = 0; i < count; i++)
        ut_trace_time_add(&time, rows[i].start_ns, rows[i].end_ns);
    tree->begin_ns = time.start_ns;
    tree->end_ns = time.end_ns;
}

// " ×300" behind the name of a row that stands for several; empty otherwise.
static void times_of(const ut_trace_fold *fold, char out_z[UT_TEXT_SHORT_MAX])
{
    out_z[0] = '\0';
    if (fold->count > 1)
        (void)snprintf(out_z, UT_TEXT_SHORT_MAX, " \xc3\x97%u", (unsigned)fold->count);
}

static void measure_columns(ut_tree_text *tree)
{
    const uint32_t width = tree->term.width;
    const uint32_t service_max = width < 100 ? SERVICE_COLUMNS : width < 120 ? 18 : 24;
    uint32_t widest = NAME_COLUMNS_MIN;
    tree->service_columns = SERVICE_COLUMNS;
    for (uint32_t i = 0; i < tree->row_count; i++) {
        char times_z[UT_TEXT_SHORT_MAX];
        times_of(&tree->folds[i], times_z);
        widest = ut_max_u32(widest, 3 * tree->rows[i].depth + ut_term_columns(tree->rows[i].name) +
                                        ut_term_columns(ut_bytes_of_z(times_z)));
        const uint32_t service = ut_term_columns(tree->rows[i].service);
        tree->service_columns = ut_max_u32(tree->service_columns, ut_min_u32(service, service_max));
    }
    tree->wide = width >= WIDE_COLUMNS;
    const uint32_t times = tree->wide ? 3 * DURATION_COLUMNS + 4 : DURATION_COLUMNS;
    const uint32_t fixed = tree->service_columns + times + MARK_COLUMNS + 6;
    const uint32_t room = width > fixed + BAR_COLUMNS_MIN ? width - fixed - BAR_COLUMNS_MIN : 0;
    tree->name_columns = ut_min_u32(widest, ut_max_u32(room, NAME_COLUMNS_MIN));
    tree->bar_columns =
        width > fixed + tree->name_columns ? width - fixed - tree->name_columns : BAR_COLUMNS_MIN;
}

void ut_tree_text_init(ut_tree_text *tree, const ut_tree *from, const ut_trace_cut *cut,
                       const ut_term *term)
{
    *tree = (ut_tree_text){
        .term = *term, .rows = cut->rows, .folds = cut->folds, .row_count = cut->count};
    ut_buf_init(&tree->out, OUTPUT_BYTES_MAX);
    measure_times(tree, from);
    measure_columns(tree);
}

void ut_tree_text_free(ut_tree_text *tree)
{
    ut_buf_free(&tree->out);
}

// ---- output ----

static void flush(ut_tree_text *tree, size_t when_over)
{
    if (tree->err == UT_OK && (tree->out.len > when_over || tree->out.err != UT_OK))
        tree->err = ut_term_write(&tree->out);
}

void ut_tree_text_end_line(ut_tree_text *tree)
{
    ut_buf_add_byte(&tree->out, '\n');
    flush(tree, FLUSH_BYTES);
}

ut_err ut_tree_text_end(ut_tree_text *tree)
{
    flush(tree, 0);
    return tree->err;
}

// ---- a row ----

// Adds the lines that lead from the parents to the row: a rail for every ancestor with siblings to
// come. head: on the row's own line, which ends in a fork; otherwise on a line below it that
// belongs to it. Returns the columns written.
static uint32_t add_branches(ut_tree_text *tree, uint32_t index, bool head)
{
    static const char rail[] = "\xe2\x94\x82  ";
    static const char fork[] = "\xe2\x94\x9c\xe2\x94\x80 ";
    static const char corner[] = "\xe2\x94\x94\xe2\x94\x80 ";
    const char *parts[DRAWN_DEPTH_MAX];
    uint32_t used = 0;
    const ut_tree_row *rows = tree->rows;
    const ut_tree_row *row = &rows[index];
    if (3 * row->depth + NAME_COLUMNS_MIN / 2 > tree->name_columns ||
        row->depth > DRAWN_DEPTH_MAX) {
        char text[24]; // too deep to draw: the depth as a number
        const int len = head ? snprintf(text, sizeof(text), "[%u] ", row->depth)
                             : snprintf(text, sizeof(text), "    ");
        ut_buf_add_z(&tree->out, text);
        return (uint32_t)len;
    }
    for (uint32_t at = index, depth = row->depth; depth > 0; depth--) {
        const bool own = at == index && head;
        if (rows[at].last_child)
            parts[used++] = own ? corner : "   ";
        else
            parts[used++] = own ? fork : rail;
        at = rows[at].parent;
    }
    for (uint32_t i = used; i-- > 0;)
        ut_buf_add_z(&tree->out, parts[i]);
    return 3 * used;
}

static void add_bar(ut_tree_text *tree, const ut_tree_row *row)
{
    static const char full[] = "\xe2\x96\x88";
    static const char thin[] = "\xe2\x96\x8f";
    const double whole =
        tree->end_ns > tree->begin_ns ? (double)(tree->end_ns - tree->begin_ns) : 1;
    // A span without a clock is drawn as far as it is within the trace.
    const uint64_t start_ns = ut_clamp_u64(row->start_ns, tree->begin_ns, tree->end_ns);
    const uint64_t end_ns = ut_clamp_u64(row->end_ns, start_ns, tree->end_ns);
    uint32_t from = (uint32_t)((double)(start_ns - tree->begin_ns) / whole * tree->bar_columns);
    uint32_t len = (uint32_t)((double)(end_ns - start_ns) / whole * tree->bar_columns + 0.5);
    if (from >= tree->bar_columns)
        from = tree->bar_columns - 1;
    if (len > tree->bar_columns - from)
        len = tree->bar_columns - from;
    ut_term_repeat(&tree->out, " ", from);
    ut_term_colour(&tree->term, &tree->out,
                   row->status_code == UT_STATUS_ERROR ? UT_COLOUR_RED : UT_COLOUR_CYAN);
    ut_term_repeat(&tree->out, len == 0 ? thin : full, len == 0 ? 1 : len);
    ut_term_colour(&tree->term, &tree->out, UT_COLOUR_NONE);
}

void ut_tree_text_heading(ut_tree_text *tree)
{
    if (!tree->wide)
        return;
    ut_term_colour(&tree->term, &tree->out, UT_COLOUR_DIM);
    ut_term_text(&tree->out, UT_BYTES_LIT("span"), tree->name_columns + 2, true);
    ut_term_text(&tree->out, UT_BYTES_LIT("service"), tree->service_columns, true);
    ut_buf_printf(&tree->out, "  %*s  %*s  %*s", DURATION_COLUMNS, "at", DURATION_COLUMNS, "took",
                  DURATION_COLUMNS, "self");
    ut_term_colour(&tree->term, &tree->out, UT_COLOUR_NONE);
    ut_tree_text_end_line(tree);
}

static void add_times(ut_tree_text *tree, const ut_tree_row *row, const ut_trace_fold *fold)
{
    char text_z[1 + UT_TEXT_SHORT_MAX];
    if (tree->wide) {
        const bool before = row->start_ns < tree->begin_ns; // by a clock that was not set
        text_z[0] = before ? '-' : '+';
        ut_text_duration(before ? tree->begin_ns - row->start_ns : row->start_ns - tree->begin_ns,
                         text_z + 1);
        ut_buf_printf(&tree->out, "  %*s", DURATION_COLUMNS, text_z);
    }
    ut_text_duration(fold->count > 1 ? fold->sum_ns : duration_of(row), text_z);
    ut_buf_printf(&tree->out, "  %*s", DURATION_COLUMNS, text_z);
    if (tree->wide) {
        ut_text_duration(row->self_ns, text_z);
        ut_buf_printf(&tree->out, "  %*s", DURATION_COLUMNS, fold->count > 1 ? "" : text_z);
    }
}

void ut_tree_text_row(ut_tree_text *tree, uint32_t index)
{
    const ut_tree_row *row = &tree->rows[index];
    const bool error = row->status_code == UT_STATUS_ERROR;
    char times_z[UT_TEXT_SHORT_MAX];

    times_of(&tree->folds[index], times_z);
    const uint32_t used = add_branches(tree, index, true) + ut_term_columns(ut_bytes_of_z(times_z));
    const uint32_t room = tree->name_columns > used ? tree->name_columns - used : 1;
    ut_term_colour(&tree->term, &tree->out, error ? UT_COLOUR_RED : UT_COLOUR_BOLD);
    const uint32_t name = ut_term_text(
        &tree->out, row->name.len == 0 ? UT_BYTES_LIT("(no name)") : row->name, room, false);
    ut_buf_add_z(&tree->out, times_z);
    ut_term_colour(&tree->term, &tree->out, UT_COLOUR_NONE);
    ut_term_repeat(&tree->out, " ", room - name + 2);
    ut_term_text(&tree->out, row->service.len == 0 ? UT_BYTES_LIT("-") : row->service,
                 tree->service_columns, true);
    add_times(tree, row, &tree->folds[index]);
    ut_buf_printf(&tree->out, " %s  ", row->critical ? "*" : " ");
    add_bar(tree, row);
    ut_tree_text_end_line(tree);
}

// ---- lines below a row ----

uint32_t ut_tree_text_begin_below(ut_tree_text *tree, uint32_t index)
{
    const uint32_t used = add_branches(tree, index, false);
    const bool has_children =
        index + 1 < tree->row_count && tree->rows[index + 1].depth > tree->rows[index].depth;
    ut_buf_add_z(&tree->out, has_children ? "\xe2\x94\x82   " : "    ");
    return used + 4;
}

uint32_t ut_tree_text_room(const ut_tree_text *tree, uint32_t used)
{
    return tree->term.width > used + TEXT_COLUMNS_MIN ? tree->term.width - used : TEXT_COLUMNS_MIN;
}

// Bytes of the first `count` characters of text.
static size_t bytes_of_characters(ut_bytes text, uint32_t count)
{
    size_t at = 0;
    for (; at < text.len && count > 0; count--) {
        const size_t len = ut_utf8_len(text.data + at, text.len - at);
        at += len == 0 ? 1 : len;
    }
    return at;
}

// The bytes of text that go on the next line: up to a line end, or as many words as fit. *skip:
// bytes between it and the line after.
static size_t take_line(ut_bytes text, uint32_t columns, size_t *skip)
{
    const size_t fits = ut_term_fit(text, columns);
    *skip = 0;
    for (size_t i = 0; i < fits; i++) {
        if (text.data[i] == '\n') {
            *skip = 1;
            return i;
        }
    }
    if (fits == text.len)
        return fits;
    if (text.data[fits] == '\n' || text.data[fits] == ' ') {
        *skip = 1;
        return fits;
    }
    for (size_t i = fits; i > fits / 2; i--) {
        if (text.data[i - 1] == ' ') {
            *skip = 1;
            return i - 1;
        }
    }
    return fits;
}

void ut_tree_text_below(ut_tree_text *tree, uint32_t index, const char *label_z, ut_bytes text,
                        ut_colour colour)
{
    bool first = true;
    do {
        const uint32_t used = ut_tree_text_begin_below(tree, index) + (uint32_t)strlen(label_z);
        const uint32_t room = ut_tree_text_room(tree, used);
        size_t skip = 0;
        const size_t len = take_line(text, room, &skip);
        ut_term_colour(&tree->term, &tree->out, colour);
        if (first)
            ut_buf_add_z(&tree->out, label_z);
        else
            ut_term_repeat(&tree->out, " ", (uint32_t)strlen(label_z));
        ut_term_text(&tree->out, ut_bytes_of(text.data, len), room, false);
        ut_term_colour(&tree->term, &tree->out, UT_COLOUR_NONE);
        ut_tree_text_end_line(tree);
        first = false;
        text = ut_bytes_of(text.data + len + skip, text.len - len - skip);
    } while (text.len > 0 && tree->err == UT_OK);
}

void ut_tree_text_lines(ut_tree_text *tree, uint32_t index, const char *label_z, ut_bytes text,
                        ut_colour colour)
{
    ut_buf lines;
    ut_buf_init(&lines, OUTPUT_BYTES_MAX);
    while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t byte = text.data[i];
        if (byte == '\t')
            ut_buf_add_z(&lines, "    ");
        else if (byte != '\r' || i + 1 == text.len || text.data[i + 1] != '\n')
            ut_buf_add_byte(&lines, byte);
    }
    if (lines.err != UT_OK)
        tree->err = lines.err;
    else
        ut_tree_text_below(tree, index, label_z, ut_buf_bytes(&lines), colour);
    ut_buf_free(&lines);
}

void ut_tree_text_preview(ut_tree_text *tree, uint32_t index, const char *label_z, ut_bytes text,
                          int32_t wanted)
{
    if (wanted < 0) {
        ut_tree_text_lines(tree, index, label_z, text, UT_COLOUR_DIM);
        return;
    }
    const size_t len = bytes_of_characters(text, (uint32_t)wanted);
    ut_buf preview;
    ut_buf_init(&preview, OUTPUT_BYTES_MAX);
    for (size_t i = 0; i < len; i++) {
        const uint8_t byte = text.data[i];
        ut_buf_add_byte(&preview, byte == '\n' || byte == '\r' || byte == '\t' ? ' ' : byte);
    }
    if (len < text.len)
        ut_buf_add_z(&preview, "\xe2\x80\xa6");
    if (preview.err != UT_OK)
        tree->err = preview.err;
    else
        ut_tree_text_below(tree, index, label_z, ut_buf_bytes(&preview), UT_COLOUR_DIM);
    ut_buf_free(&preview);
}
