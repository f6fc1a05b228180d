// One trace drawn as a tree for people; see trace_page.h.
#include "agent/cli/trace_page.h"

#include "adapters/plain/json_value.h"
#include "agent/cli/llm_text.h"
#include "agent/cli/span_text.h"
#include "agent/cli/term.h"
#include "port/base/text.h"
#include "storage/span/llm.h"

#include <stdio.h>

enum {
    OUTPUT_BYTES_MAX = 64 * 1024 * 1024,
    VALUE_BYTES_MAX = 1024 * 1024, // of an attribute as JSON; longer ones are not shown
    FLUSH_BYTES = 64 * 1024,
    STATE_COLUMNS = 400, // of a state or a change, unless all is wanted
    KEY_COLUMNS = 60,
    VALUE_COLUMNS = 120,
    TEXT_COLUMNS_MIN = 24, // of a text below a span, however deep that is
    SERVICE_COLUMNS = 14,
    DURATION_COLUMNS = 9,
    MARK_COLUMNS = 2,
    BAR_COLUMNS_MIN = 16,
    NAME_COLUMNS_MIN = 24,
    DRAWN_DEPTH_MAX = 64, // deeper rows show their depth as a number
    CRITICAL_NAMED = 3,   // spans of the critical path that the head names
};

typedef struct {
    const ut_trace_page_options *options;
    ut_term term;
    ut_buf out;
    ut_buf value; // one value as JSON
    ut_err err;
    const ut_tree_row *rows;
    uint32_t row_count;
    uint64_t begin_ns; // of the trace
    uint64_t end_ns;
    uint32_t name_columns; // tree lines and name together
    uint32_t bar_columns;
    uint32_t state_shown; // how many changes the state above had seen
} page;

static uint64_t duration_of(const ut_tree_row *row)
{
    return ut_span_duration_ns(row->start_ns, row->end_ns);
}

static void flush_page(page *view, size_t when_over)
{
    if (view->err == UT_OK && (view->out.len > when_over || view->out.err != UT_OK))
        view->err = ut_term_write(&view->out);
}

static void end_line(page *view)
{
    ut_buf_add_byte(&view->out, '\n');
    flush_page(view, FLUSH_BYTES);
}

static void measure(page *view)
{
    view->begin_ns = UINT64_MAX;
    view->end_ns = 0;
    uint32_t widest = NAME_COLUMNS_MIN;
    for (uint32_t i = 0; i < view->row_count; i++) {
        const ut_tree_row *row = &view->rows[i];
        if (row->start_ns < view->begin_ns)
            view->begin_ns = row->start_ns;
        const uint64_t end = row->start_ns + duration_of(row);
        if (end > view->end_ns)
            view->end_ns = end;
        const uint32_t columns = 3 * row->depth + ut_term_columns(row->name);
        if (columns > widest)
            widest = columns;
    }
    const uint32_t fixed = SERVICE_COLUMNS + DURATION_COLUMNS + MARK_COLUMNS + 6;
    const uint32_t room = view->term.width > fixed + BAR_COLUMNS_MIN
                              ? view->term.width - fixed - BAR_COLUMNS_MIN
                              : NAME_COLUMNS_MIN;
    view->name_columns = widest < room ? widest : room;
    view->bar_columns = view->term.width > fixed + view->name_columns
                            ? view->term.width - fixed - view->name_columns
                            : BAR_COLUMNS_MIN;
}

// The lines that lead from the parents to the row, a rail for every ancestor with siblings to come. head: on the row's own line, which ends
// in a fork; otherwise on a line below it that belongs to it. Returns the columns written.
static uint32_t add_branches(page *view, uint32_t index, bool head)
{
    static const char rail[] = "\xe2\x94\x82  ";
    static const char fork[] = "\xe2\x94\x9c\xe2\x94\x80 ";
    static const char corner[] = "\xe2\x94\x94\xe2\x94\x80 ";
    const char *parts[DRAWN_DEPTH_MAX];
    uint32_t used = 0;
    const ut_tree_row *rows = view->rows;
    const ut_tree_row *row = &rows[index];
    if (3 * row->depth + NAME_COLUMNS_MIN / 2 > view->name_columns ||
        row->depth > DRAWN_DEPTH_MAX) {
        char text[24]; // too deep to draw: the depth as a number
        const int len = head ? snprintf(text, sizeof(text), "[%u] ", row->depth)
                             : snprintf(text, sizeof(text), "    ");
        ut_buf_add_z(&view->out, text);
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
        ut_buf_add_z(&view->out, parts[i]);
    return 3 * used;
}

static void add_bar(page *view, const ut_tree_row *row)
{
    static const char full[] = "\xe2\x96\x88";
    static const char thin[] = "\xe2\x96\x8f";
    const double whole =
        view->end_ns > view->begin_ns ? (double)(view->end_ns - view->begin_ns) : 1;
    uint32_t from =
        (uint32_t)((double)(row->start_ns - view->begin_ns) / whole * view->bar_columns);
    uint32_t len = (uint32_t)((double)duration_of(row) / whole * view->bar_columns + 0.5);
    if (from >= view->bar_columns)
        from = view->bar_columns - 1;
    if (len > view->bar_columns - from)
        len = view->bar_columns - from;
    ut_term_repeat(&view->out, " ", from);
    ut_term_colour(&view->term, &view->out,
                   row->status_code == UT_STATUS_ERROR ? UT_COLOUR_RED : UT_COLOUR_CYAN);
    ut_term_repeat(&view->out, len == 0 ? thin : full, len == 0 ? 1 : len);
    ut_term_colour(&view->term, &view->out, UT_COLOUR_NONE);
}

// ---- lines below a row ----

// Begins a line below the row that belongs to it; a rail goes on to its children. Returns the columns
// written.
static uint32_t begin_line_below(page *view, uint32_t index)
{
    const uint32_t used = add_branches(view, index, false);
    const bool has_children =
        index + 1 < view->row_count && view->rows[index + 1].depth > view->rows[index].depth;
    ut_buf_add_z(&view->out, has_children ? "\xe2\x94\x82   " : "    ");
    return used + 4;
}

// Bytes of the first `columns` columns of text.
static size_t bytes_of_columns(ut_bytes text, uint32_t columns)
{
    size_t at = 0;
    for (; at < text.len && columns > 0; columns--) {
        const size_t len = ut_text_utf8_len(text.data + at, text.len - at);
        at += len == 0 ? 1 : len;
    }
    return at;
}

// How much of text goes on the next line: up to a line end, or as many words as fit. *skip: bytes
// between it and the line after.
static size_t take_line(ut_bytes text, uint32_t columns, size_t *skip)
{
    const size_t fits = bytes_of_columns(text, columns);
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

// Adds text below a row on as many lines as it takes; those after the first stand under its text.
static void add_text_below(page *view, uint32_t index, const char *label_z, ut_bytes text,
                           ut_colour colour)
{
    bool first = true;
    do {
        const uint32_t used = begin_line_below(view, index) + (uint32_t)strlen(label_z);
        const uint32_t room =
            view->term.width > used + TEXT_COLUMNS_MIN ? view->term.width - used : TEXT_COLUMNS_MIN;
        size_t skip = 0;
        const size_t len = take_line(text, room, &skip);
        ut_term_colour(&view->term, &view->out, colour);
        if (first)
            ut_buf_add_z(&view->out, label_z);
        else
            ut_term_repeat(&view->out, " ", (uint32_t)strlen(label_z));
        ut_term_text(&view->out, ut_bytes_of(text.data, len), room, false);
        ut_term_colour(&view->term, &view->out, UT_COLOUR_NONE);
        end_line(view);
        first = false;
        text = ut_bytes_of(text.data + len + skip, text.len - len - skip);
    } while (text.len > 0 && view->err == UT_OK);
}

static void add_pairs(page *view, uint32_t index, const char *place_z, ut_bytes attributes)
{
    ut_mp_reader reader = ut_mp_reader_of(attributes);
    for (uint32_t left = attributes.len == 0 ? 0 : ut_mp_get_map(&reader);
         left > 0 && reader.err == UT_OK && view->err == UT_OK; left--) {
        const ut_bytes key = ut_mp_get_str(&reader);
        ut_buf_reset(&view->value, VALUE_BYTES_MAX);
        ut_json_value(&view->value, ut_mp_skip(&reader));
        uint32_t used = begin_line_below(view, index) + (uint32_t)strlen(place_z) + 3;
        ut_term_colour(&view->term, &view->out, UT_COLOUR_DIM);
        ut_buf_add_z(&view->out, place_z);
        used += ut_term_text(&view->out, key, KEY_COLUMNS, false);
        ut_buf_add_z(&view->out, " = ");
        uint32_t room =
            view->term.width > used + TEXT_COLUMNS_MIN ? view->term.width - used : TEXT_COLUMNS_MIN;
        if (!view->term.terminal || room > VALUE_COLUMNS)
            room = VALUE_COLUMNS;
        ut_term_text(&view->out,
                     view->value.err == UT_OK ? ut_buf_bytes(&view->value)
                                              : UT_BYTES_LIT("(too long)"),
                     room, false);
        ut_term_colour(&view->term, &view->out, UT_COLOUR_NONE);
        end_line(view);
    }
}

static void add_events(page *view, uint32_t index)
{
    const ut_tree_row *row = &view->rows[index];
    ut_mp_reader reader = ut_mp_reader_of(row->events);
    for (uint32_t left = row->events.len == 0 ? 0 : ut_mp_get_array(&reader);
         left > 0 && reader.err == UT_OK && view->err == UT_OK; left--) {
        ut_event event;
        char after_z[UT_TEXT_SHORT_MAX];
        char label_z[UT_TEXT_SHORT_MAX + 16];
        if (ut_event_read(&reader, row->start_ns, &event) != UT_OK)
            break;
        ut_text_duration(ut_span_duration_ns(row->start_ns, event.time_ns), after_z);
        (void)snprintf(label_z, sizeof(label_z), "event +%s ", after_z);
        add_text_below(view, index, label_z, event.name, UT_COLOUR_DIM);
        add_pairs(view, index, "  ", event.attributes);
    }
}

typedef struct {
    page *view;
    uint32_t index;
} place;

// Adds the first `wanted` characters of text (-1: all of it) below a row. A preview is on running
// lines.
static void add_preview(page *view, uint32_t index, const char *label_z, ut_bytes text,
                        int32_t wanted)
{
    if (wanted < 0) {
        add_text_below(view, index, label_z, text, UT_COLOUR_DIM);
        return;
    }
    const size_t len = bytes_of_columns(text, (uint32_t)wanted);
    ut_buf preview;
    ut_buf_init(&preview, OUTPUT_BYTES_MAX);
    for (size_t i = 0; i < len; i++) {
        const uint8_t byte = text.data[i];
        ut_buf_add_byte(&preview, byte == '\n' || byte == '\r' || byte == '\t' ? ' ' : byte);
    }
    if (len < text.len)
        ut_buf_add_z(&preview, "\xe2\x80\xa6");
    if (preview.err != UT_OK)
        view->err = preview.err;
    else
        add_text_below(view, index, label_z, ut_buf_bytes(&preview), UT_COLOUR_DIM);
    ut_buf_free(&preview);
}

// One text of a model's call.
static void add_prompt(void *context, const char *name_z, ut_bytes value)
{
    const place *at = context;
    page *view = at->view;
    char label_z[32];
    ut_mp_reader reader = ut_mp_reader_of(value);
    ut_bytes text;
    ut_buf_reset(&view->value, VALUE_BYTES_MAX);
    if (ut_mp_peek(&reader) == UT_MP_STR) {
        text = ut_mp_get_str(&reader);
    } else {
        ut_json_value(&view->value, value);
        text = view->value.err == UT_OK ? ut_buf_bytes(&view->value) : UT_BYTES_LIT("(too long)");
    }
    if (text.len == 0)
        return;
    (void)snprintf(label_z, sizeof(label_z), "%s: ", name_z);
    add_preview(view, at->index, label_z, text, view->options->prompt_columns);
}

static void add_llm(page *view, uint32_t index)
{
    const ut_tree_row *row = &view->rows[index];
    ut_llm_call call;
    place at = {view, index};
    if (ut_llm_read(row->attributes, &call)) {
        ut_buf text;
        char cost_z[UT_SPAN_COST_MAX];
        ut_buf_init(&text, VALUE_BYTES_MAX);
        ut_buf_add_bytes(&text, call.model.len == 0 ? UT_BYTES_LIT("(unknown)") : call.model);
        if (call.provider.len > 0) {
            ut_buf_add_z(&text, " of ");
            ut_buf_add_bytes(&text, call.provider);
        }
        if (call.has_tokens)
            ut_buf_printf(
                &text, ", %llu tokens (%llu in, %llu out)", (unsigned long long)call.total_tokens,
                (unsigned long long)call.input_tokens, (unsigned long long)call.output_tokens);
        if (call.has_cost) {
            ut_span_cost(call.cost_usd, cost_z);
            ut_buf_printf(&text, ", %s", cost_z);
        }
        if (text.err == UT_OK)
            add_text_below(view, index, "model ", ut_buf_bytes(&text), UT_COLOUR_CYAN);
        ut_buf_free(&text);
    }
    if (view->options->prompt_columns != 0)
        ut_llm_texts(row->attributes, row->events, add_prompt, &at);
}

// ---- states ----

// The state at a time, unless it is the one that stands above.
static void add_state_at(page *view, uint32_t index, const char *label_z, uint64_t time_ns)
{
    uint32_t done = 0;
    const ut_err err = ut_trace_state_at(view->options->state, time_ns, &done, &view->value);
    if (err != UT_OK) {
        view->err = err;
        return;
    }
    if (done == view->state_shown)
        return;
    view->state_shown = done;
    add_preview(view, index, label_z, ut_buf_bytes(&view->value),
                view->options->verbose ? -1 : STATE_COLUMNS);
}

static void add_change(page *view, uint32_t index, const ut_state_change *change)
{
    char after_z[UT_TEXT_SHORT_MAX];
    char label_z[UT_TEXT_SHORT_MAX + 16];
    ut_buf text;
    ut_text_duration(ut_span_duration_ns(view->begin_ns, change->time_ns), after_z);
    (void)snprintf(label_z, sizeof(label_z), "change at +%s ", after_z);
    ut_buf_init(&text, OUTPUT_BYTES_MAX + UT_STATE_TEXT_BYTES_MAX);
    if (change->store.len > 0) {
        ut_buf_add_bytes(&text, change->store);
        ut_buf_add_byte(&text, ' ');
    }
    if (change->action.len > 0) {
        ut_buf_add_bytes(&text, change->action);
        ut_buf_add_byte(&text, ' ');
    }
    ut_buf_add_bytes(&text, change->text);
    if (text.err == UT_OK)
        add_preview(view, index, label_z, ut_buf_bytes(&text),
                    view->options->verbose ? -1 : STATE_COLUMNS);
    ut_buf_free(&text);
    if (change->reason.len > 0)
        add_text_below(view, index, "  not applied: ", change->reason, UT_COLOUR_RED);
}

static void add_states(page *view, uint32_t index)
{
    const ut_tree_row *row = &view->rows[index];
    uint32_t first = 0;
    uint32_t count = 0;
    ut_trace_state_of_span(view->options->state, row->span_id, &first, &count);
    add_state_at(view, index, "state before: ", row->start_ns);
    for (uint32_t i = first; i < first + count && view->err == UT_OK; i++)
        add_change(view, index, ut_trace_state_change(view->options->state, i));
    if (count > 0 && view->err == UT_OK)
        add_state_at(view, index, "state after: ", row->end_ns);
}

static void add_state_total(page *view)
{
    uint32_t changes = 0;
    uint32_t failed = 0;
    uint32_t left_out = 0;
    ut_trace_state_counts(view->options->state, &changes, &failed, &left_out);
    view->state_shown = changes == 0 ? 0 : UINT32_MAX;
    if (changes == 0) {
        ut_buf_add_z(&view->out, "no change of a state is recorded in this trace");
    } else {
        ut_buf_printf(&view->out, "%u change%s of state, %u not applied", changes,
                      changes == 1 ? "" : "s", failed);
        if (left_out > 0)
            ut_buf_printf(&view->out, ", %u more left out", left_out);
    }
    end_line(view);
}

// What is odd about a row's place.
static void add_notes(page *view, uint32_t index)
{
    const ut_tree_row *row = &view->rows[index];
    char text_z[128];
    char id_z[2 * UT_SPAN_ID_LEN + 1];
    char by_z[UT_TEXT_SHORT_MAX];
    if (row->place == UT_TREE_PARENT_MISSING || row->place == UT_TREE_CYCLE) {
        ut_hex_encode(ut_bytes_of(row->parent_span_id, UT_SPAN_ID_LEN), id_z);
        (void)snprintf(text_z, sizeof(text_z),
                       row->place == UT_TREE_CYCLE ? "its parent %s is also below it"
                                                   : "its parent %s is not here",
                       id_z);
        add_text_below(view, index, "", ut_bytes_of_z(text_z), UT_COLOUR_DIM);
    }
    if (row->duplicate_id) {
        ut_hex_encode(ut_bytes_of(row->span_id, UT_SPAN_ID_LEN), id_z);
        (void)snprintf(text_z, sizeof(text_z), "another span here has the same id, %s", id_z);
        add_text_below(view, index, "", ut_bytes_of_z(text_z), UT_COLOUR_DIM);
    }
    if (row->skewed) {
        const bool before = row->skew_ns > 0; // it has to be moved forward
        ut_text_duration(before ? (uint64_t)row->skew_ns : 0 - (uint64_t)row->skew_ns, by_z);
        (void)snprintf(text_z, sizeof(text_z),
                       before ? "clock skew: begins %s before its parent"
                              : "clock skew: ends %s after its parent, which waited for it",
                       by_z);
        add_text_below(view, index, "", ut_bytes_of_z(text_z), UT_COLOUR_DIM);
    }
}

static void add_row(page *view, uint32_t index)
{
    const ut_tree_row *row = &view->rows[index];
    const bool error = row->status_code == UT_STATUS_ERROR;
    char took[UT_TEXT_SHORT_MAX];

    const uint32_t used = add_branches(view, index, true);
    ut_term_colour(&view->term, &view->out, error ? UT_COLOUR_RED : UT_COLOUR_BOLD);
    ut_term_text(&view->out, row->name.len == 0 ? UT_BYTES_LIT("(no name)") : row->name,
                 view->name_columns > used ? view->name_columns - used : 1, true);
    ut_term_colour(&view->term, &view->out, UT_COLOUR_NONE);
    ut_buf_add_z(&view->out, "  ");
    ut_term_text(&view->out, row->service.len == 0 ? UT_BYTES_LIT("-") : row->service,
                 SERVICE_COLUMNS, true);
    ut_text_duration(duration_of(row), took);
    ut_buf_printf(&view->out, "  %*s %s  ", DURATION_COLUMNS, took, row->critical ? "*" : " ");
    add_bar(view, row);
    end_line(view);

    add_notes(view, index);
    if (error)
        add_text_below(view, index, "error: ",
                       row->status_message.len == 0 ? UT_BYTES_LIT("(no message)")
                                                    : row->status_message,
                       UT_COLOUR_RED);
    add_llm(view, index);
    if (view->options->state != NULL)
        add_states(view, index);
    if (view->options->attributes || view->options->verbose)
        add_pairs(view, index, "", row->attributes);
    if (view->options->verbose) {
        add_pairs(view, index, "resource ", row->resource_attributes);
        add_events(view, index);
    }
}

// ---- the head ----

// The spans that most of the time went to, on the way that decided how long the trace took.
static void add_critical(page *view)
{
    uint32_t top[CRITICAL_NAMED];
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->row_count; i++) {
        if (!view->rows[i].critical || view->rows[i].critical_ns == 0)
            continue;
        uint32_t at = count < CRITICAL_NAMED ? count++ : CRITICAL_NAMED;
        for (; at > 0 && view->rows[top[at - 1]].critical_ns < view->rows[i].critical_ns; at--) {
            if (at < CRITICAL_NAMED)
                top[at] = top[at - 1];
        }
        if (at < CRITICAL_NAMED)
            top[at] = i;
    }
    if (count == 0)
        return;
    // What is left beside the words and times.
    const uint32_t room =
        view->term.terminal ? (view->term.width - 50) / CRITICAL_NAMED : KEY_COLUMNS;
    ut_buf_add_z(&view->out, "* most of that time: ");
    for (uint32_t i = 0; i < count; i++) {
        char took_z[UT_TEXT_SHORT_MAX];
        ut_text_duration(view->rows[top[i]].critical_ns, took_z);
        ut_buf_add_z(&view->out, i == 0 ? "" : ", ");
        ut_term_text(&view->out, view->rows[top[i]].name, room, false);
        ut_buf_printf(&view->out, " %s", took_z);
    }
    end_line(view);
}

static void add_llm_total(page *view)
{
    uint64_t calls = 0;
    uint64_t input = 0;
    uint64_t output = 0;
    uint64_t total = 0;
    uint64_t costs = 0;
    double cost_usd = 0;
    for (uint32_t i = 0; i < view->row_count; i++) {
        ut_llm_call call;
        if (!ut_llm_read(view->rows[i].attributes, &call))
            continue;
        calls++;
        input += call.input_tokens;
        output += call.output_tokens;
        total += call.total_tokens;
        costs += call.has_cost;
        cost_usd += call.cost_usd;
    }
    if (calls == 0)
        return;
    ut_buf_printf(&view->out, "%llu call%s of language models, %llu tokens (%llu in, %llu out)",
                  (unsigned long long)calls, calls == 1 ? "" : "s", (unsigned long long)total,
                  (unsigned long long)input, (unsigned long long)output);
    if (costs > 0) {
        char cost_z[UT_SPAN_COST_MAX];
        ut_span_cost(cost_usd, cost_z);
        ut_buf_printf(&view->out, ", %s", cost_z);
    }
    end_line(view);
}

static void add_oddities(page *view)
{
    uint32_t skewed = 0;
    uint32_t missing = 0;
    uint32_t duplicates = 0;
    for (uint32_t i = 0; i < view->row_count; i++) {
        skewed += view->rows[i].skewed;
        missing += view->rows[i].place == UT_TREE_PARENT_MISSING;
        duplicates += view->rows[i].duplicate_id;
    }
    if (missing > 0)
        ut_buf_printf(&view->out, "%u span%s with a parent that is not here\n", missing,
                      missing == 1 ? "" : "s");
    if (duplicates > 0)
        ut_buf_printf(&view->out, "%u spans share an id with another\n", duplicates);
    if (skewed > 0)
        ut_buf_printf(&view->out, "%u span%s outside of the parent's time: clocks disagree\n",
                      skewed, skewed == 1 ? "" : "s");
    const uint32_t damaged = view->options->damaged_blocks;
    if (damaged > 0)
        ut_buf_printf(&view->out, "%u damaged block%s could not be read: spans are missing here\n",
                      damaged, damaged == 1 ? "" : "s");
}

static void add_head(page *view, const uint8_t trace_id[UT_TRACE_ID_LEN])
{
    uint32_t errors = 0;
    char id[2 * UT_TRACE_ID_LEN + 1];
    char began[UT_TEXT_SHORT_MAX];
    char took[UT_TEXT_SHORT_MAX];
    for (uint32_t i = 0; i < view->row_count; i++)
        errors += view->rows[i].status_code == UT_STATUS_ERROR;
    ut_hex_encode(ut_bytes_of(trace_id, UT_TRACE_ID_LEN), id);
    ut_text_time(view->begin_ns, began);
    ut_text_duration(view->end_ns - view->begin_ns, took);
    ut_term_colour(&view->term, &view->out, UT_COLOUR_BOLD);
    ut_buf_printf(&view->out, "trace %s", id);
    ut_term_colour(&view->term, &view->out, UT_COLOUR_NONE);
    ut_buf_printf(&view->out, "\nbegan %s, took %s, %u span%s, ", began, took, view->row_count,
                  view->row_count == 1 ? "" : "s");
    ut_term_colour(&view->term, &view->out, errors > 0 ? UT_COLOUR_RED : UT_COLOUR_GREEN);
    ut_buf_printf(&view->out, "%u error%s", errors, errors == 1 ? "" : "s");
    ut_term_colour(&view->term, &view->out, UT_COLOUR_NONE);
    end_line(view);
    add_llm_total(view);
    if (view->options->state != NULL)
        add_state_total(view);
    add_critical(view);
    add_oddities(view);
    end_line(view);
}

ut_err ut_trace_page_print(const ut_tree *tree, const uint8_t trace_id[UT_TRACE_ID_LEN],
                           const ut_trace_page_options *options)
{
    page view = {.options = options, .term = ut_term_stdout()};
    ut_buf_init(&view.out, OUTPUT_BYTES_MAX);
    ut_buf_init(&view.value, OUTPUT_BYTES_MAX);
    view.rows = ut_tree_rows(tree, &view.row_count);
    measure(&view);
    add_head(&view, trace_id);
    for (uint32_t i = 0; i < view.row_count && view.err == UT_OK; i++)
        add_row(&view, i);
    flush_page(&view, 0);
    ut_buf_free(&view.out);
    ut_buf_free(&view.value);
    return view.err;
}
