// The page of a trace: its head, the tree (trace_tree_text.h), and below each span its details. See
// trace_page.h.
#include "agent/cli/trace_page.h"

#include "adapters/plain/json_value.h"
#include "adapters/plain/span_json.h"
#include "agent/cli/llm_text.h"
#include "agent/cli/local_time.h"
#include "agent/cli/span_text.h"
#include "agent/cli/term.h"
#include "agent/cli/trace_tree_text.h"
#include "port/base/order.h"
#include "port/base/text.h"
#include "storage/span/llm.h"

#include <stdio.h>
#include <string.h>

enum {
    OUTPUT_BYTES_MAX = 64 * 1024 * 1024,
    VALUE_BYTES_MAX = 1024 * 1024, // of an attribute as JSON; longer ones are not shown
    STATE_COLUMNS = 400,           // of a state or a change, unless all is wanted
    KEY_COLUMNS = 60,
    LABEL_COLUMNS = 24, // of who said a text
    LABEL_BYTES_MAX = 1024,
    VALUE_COLUMNS = 120,
    VALUE_LINE_BYTES = 60, // longer values stand below their key when they are shown whole
    LINES_COLUMNS = 1000,  // of a text of several lines that is no stack trace, unless it is whole
    CRITICAL_COLUMNS_MIN = 8, // of a name
    HEAD_COLUMNS_MIN = 72,    // of a terminal that has room for the second line of the head
    CRITICAL_NAMED = 3,       // names on the critical path that the head has
};

#define CRITICAL_HEAD "* most of that time: "

typedef struct {
    const ut_trace_page_options *options;
    const ut_tree_row *all; // spans of the trace; tree.rows are those that are shown
    uint32_t all_count;
    ut_trace_cut cut;
    ut_tree_text tree;
    uint32_t replaced;    // records that are not in the tree
    ut_buf value;         // one value as JSON
    uint32_t state_shown; // how many changes the state above had seen
} page;

static bool is_stack_trace(ut_bytes key)
{
    static const char end[] = "stacktrace";
    const size_t len = sizeof(end) - 1;
    return key.len >= len && memcmp(key.data + key.len - len, end, len) == 0;
}

// A value that stands with its lines below its key: texts of several lines, such as stack traces,
// and with `full` whatever is longer than a line.
static bool add_long_value(page *view, uint32_t index, const char *place_z, ut_bytes key,
                           ut_bytes value)
{
    ut_mp_reader reader = ut_mp_reader_of(value);
    const bool is_text = ut_mp_peek(&reader) == UT_MP_STR;
    const ut_bytes text = is_text ? ut_mp_get_str(&reader) : ut_buf_bytes(&view->value);
    const bool has_lines = is_text && text.len > 0 && memchr(text.data, '\n', text.len - 1) != NULL;
    if (reader.err != UT_OK || !view->options->verbose ||
        !(has_lines || (view->options->full && text.len > VALUE_LINE_BYTES)))
        return false;
    char indent_z[32];
    const bool whole = view->options->full || is_stack_trace(key);
    (void)ut_tree_text_begin_below(&view->tree, index);
    ut_term_colour(&view->tree.term, &view->tree.out, UT_COLOUR_DIM);
    ut_buf_add_z(&view->tree.out, place_z);
    (void)ut_term_text(&view->tree.out, key, KEY_COLUMNS, false);
    ut_buf_add_byte(&view->tree.out, ':');
    ut_term_colour(&view->tree.term, &view->tree.out, UT_COLOUR_NONE);
    ut_tree_text_end_line(&view->tree);
    (void)snprintf(indent_z, sizeof(indent_z), "%*s", (int)strlen(place_z) + 2, "");
    size_t shown = whole ? text.len : ut_term_fit(text, LINES_COLUMNS);
    ut_tree_text_lines(&view->tree, index, indent_z, ut_bytes_of(text.data, shown), UT_COLOUR_DIM);
    if (shown < text.len) {
        char rest_z[64];
        (void)snprintf(rest_z, sizeof(rest_z), "\xe2\x80\xa6 %llu more bytes; --full shows them",
                       (unsigned long long)(text.len - shown));
        ut_tree_text_below(&view->tree, index, indent_z, ut_bytes_of_z(rest_z), UT_COLOUR_DIM);
    }
    return true;
}

static void add_pair(page *view, uint32_t index, const char *place_z, ut_bytes key, ut_bytes value)
{
    ut_buf_reset(&view->value, VALUE_BYTES_MAX);
    ut_json_value(&view->value, value);
    if (view->value.err == UT_OK && add_long_value(view, index, place_z, key, value))
        return;
    uint32_t used = ut_tree_text_begin_below(&view->tree, index) + (uint32_t)strlen(place_z) + 3;
    ut_term_colour(&view->tree.term, &view->tree.out, UT_COLOUR_DIM);
    ut_buf_add_z(&view->tree.out, place_z);
    used += ut_term_text(&view->tree.out, key, KEY_COLUMNS, false);
    ut_buf_add_z(&view->tree.out, " = ");
    uint32_t room = ut_tree_text_room(&view->tree, used);
    if (!view->tree.term.terminal || room > VALUE_COLUMNS)
        room = VALUE_COLUMNS;
    ut_term_text(&view->tree.out,
                 view->value.err == UT_OK ? ut_buf_bytes(&view->value) : UT_BYTES_LIT("(too long)"),
                 room, false);
    ut_term_colour(&view->tree.term, &view->tree.out, UT_COLOUR_NONE);
    ut_tree_text_end_line(&view->tree);
}

static void add_pairs(page *view, uint32_t index, const char *place_z, ut_bytes attributes)
{
    ut_mp_reader reader = ut_mp_reader_of(attributes);
    for (uint32_t left = attributes.len == 0 ? 0 : ut_mp_get_map(&reader);
         left > 0 && reader.err == UT_OK && view->tree.err == UT_OK; left--) {
        const ut_bytes key = ut_mp_get_str(&reader);
        add_pair(view, index, place_z, key, ut_mp_skip(&reader));
    }
}

// The span's id, kind and scope.
static void add_identity(page *view, uint32_t index)
{
    const ut_tree_row *row = &view->tree.rows[index];
    char id_z[2 * UT_SPAN_ID_LEN + 1];
    ut_buf text;
    ut_hex_encode(ut_bytes_of(row->span_id, UT_SPAN_ID_LEN), id_z);
    ut_buf_init(&text, VALUE_BYTES_MAX);
    ut_buf_printf(&text, "%s, %s", id_z, ut_span_kind_z(row->kind));
    if (row->scope_name.len > 0) {
        ut_buf_add_z(&text, ", by ");
        ut_buf_add_bytes(&text, row->scope_name);
    }
    if (text.err == UT_OK)
        ut_tree_text_below(&view->tree, index, "span ", ut_buf_bytes(&text), UT_COLOUR_DIM);
    ut_buf_free(&text);
}

static void add_links(page *view, uint32_t index)
{
    const ut_tree_row *row = &view->tree.rows[index];
    ut_mp_reader reader = ut_mp_reader_of(row->links);
    for (uint32_t left = row->links.len == 0 ? 0 : ut_mp_get_array(&reader);
         left > 0 && view->tree.err == UT_OK; left--) {
        ut_link link;
        char trace_z[2 * UT_LINK_ID_LEN_MAX + 1];
        char span_z[2 * UT_LINK_ID_LEN_MAX + 1];
        char text_z[sizeof(trace_z) + sizeof(span_z) + 16];
        if (ut_link_read(&reader, &link) != UT_OK)
            return;
        ut_hex_encode(link.trace_id, trace_z);
        ut_hex_encode(link.span_id, span_z);
        (void)snprintf(text_z, sizeof(text_z), "trace %s span %s", trace_z, span_z);
        ut_tree_text_below(&view->tree, index, "link -> ", ut_bytes_of_z(text_z), UT_COLOUR_CYAN);
        add_pairs(view, index, "  ", link.attributes);
    }
}

static void add_events(page *view, uint32_t index)
{
    const ut_tree_row *row = &view->tree.rows[index];
    ut_mp_reader reader = ut_mp_reader_of(row->events);
    for (uint32_t left = row->events.len == 0 ? 0 : ut_mp_get_array(&reader);
         left > 0 && reader.err == UT_OK && view->tree.err == UT_OK; left--) {
        ut_event event;
        char after_z[UT_TEXT_SHORT_MAX];
        char label_z[UT_TEXT_SHORT_MAX + 16];
        if (ut_event_read(&reader, row->start_ns, &event) != UT_OK)
            break;
        ut_text_duration(ut_span_duration_ns(row->start_ns, event.time_ns), after_z);
        (void)snprintf(label_z, sizeof(label_z), "event +%s ", after_z);
        ut_tree_text_below(&view->tree, index, label_z, event.name, UT_COLOUR_DIM);
        add_pairs(view, index, "  ", event.attributes);
    }
}

typedef struct {
    page *view;
    uint32_t index;
} place;

// One text of a model's call, or of a tool's.
static void add_prompt(void *context, ut_bytes label, ut_bytes text)
{
    const place *at = context;
    ut_buf shown;
    ut_buf_init(&shown, LABEL_BYTES_MAX);
    (void)ut_term_text(&shown, label, LABEL_COLUMNS, false);
    ut_buf_add(&shown, ": ", sizeof(": ")); // with its NUL
    if (shown.err == UT_OK)
        ut_tree_text_preview(&at->view->tree, at->index, (const char *)shown.data, text,
                             at->view->options->prompt_columns);
    ut_buf_free(&shown);
}

// ", 900 tokens (800 in, 300 of them cached, 100 out, 40 of them reasoning)".
static void add_tokens(ut_buf *text, const ut_llm_call *call)
{
    ut_buf_printf(text, ", %llu tokens (%llu in", (unsigned long long)call->total_tokens,
                  (unsigned long long)call->input_tokens);
    if (call->cached_tokens > 0)
        ut_buf_printf(text, ", %llu of them cached", (unsigned long long)call->cached_tokens);
    ut_buf_printf(text, ", %llu out", (unsigned long long)call->output_tokens);
    if (call->reasoning_tokens > 0)
        ut_buf_printf(text, ", %llu of them reasoning", (unsigned long long)call->reasoning_tokens);
    ut_buf_add_byte(text, ')');
}

static void add_llm(page *view, uint32_t index)
{
    const ut_tree_row *row = &view->tree.rows[index];
    ut_llm_call call;
    place at = {view, index};
    if (ut_llm_read(row->attributes, &call)) {
        ut_llm_price_call(view->options->prices, &call);
        ut_buf text;
        char cost_z[UT_SPAN_COST_MAX];
        ut_buf_init(&text, VALUE_BYTES_MAX);
        ut_buf_add_bytes(&text, call.model.len == 0 ? UT_BYTES_LIT("(unknown)") : call.model);
        if (call.provider.len > 0) {
            ut_buf_add_z(&text, " of ");
            ut_buf_add_bytes(&text, call.provider);
        }
        if (call.has_tokens)
            add_tokens(&text, &call);
        if (call.has_cost) {
            ut_span_cost(call.cost_usd, cost_z);
            ut_buf_printf(&text, ", %s", cost_z);
        }
        if (text.err == UT_OK)
            ut_tree_text_below(&view->tree, index, "model ", ut_buf_bytes(&text), UT_COLOUR_CYAN);
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
        view->tree.err = err;
        return;
    }
    if (done == view->state_shown)
        return;
    view->state_shown = done;
    ut_tree_text_preview(&view->tree, index, label_z, ut_buf_bytes(&view->value),
                         view->options->verbose ? -1 : STATE_COLUMNS);
}

static void add_change(page *view, uint32_t index, const ut_state_change *change)
{
    char after_z[UT_TEXT_SHORT_MAX];
    char label_z[UT_TEXT_SHORT_MAX + 16];
    ut_buf text;
    ut_text_duration(ut_span_duration_ns(view->tree.begin_ns, change->time_ns), after_z);
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
        ut_tree_text_preview(&view->tree, index, label_z, ut_buf_bytes(&text),
                             view->options->verbose ? -1 : STATE_COLUMNS);
    ut_buf_free(&text);
    if (change->reason.len > 0)
        ut_tree_text_below(&view->tree, index, "  not applied: ", change->reason, UT_COLOUR_RED);
}

static void add_states(page *view, uint32_t index)
{
    const ut_tree_row *row = &view->tree.rows[index];
    uint32_t first = 0;
    uint32_t count = 0;
    ut_trace_state_of_span(view->options->state, row->span_id, &first, &count);
    add_state_at(view, index, "state before: ", row->start_ns);
    for (uint32_t i = first; i < first + count && view->tree.err == UT_OK; i++)
        add_change(view, index, ut_trace_state_change(view->options->state, i));
    if (count > 0 && view->tree.err == UT_OK)
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
        ut_buf_add_z(&view->tree.out, "no change of a state is recorded in this trace");
    } else {
        ut_buf_printf(&view->tree.out, "%u change%s of state, %u not applied", changes,
                      changes == 1 ? "" : "s", failed);
        if (left_out > 0)
            ut_buf_printf(&view->tree.out, ", %u more left out", left_out);
    }
    ut_tree_text_end_line(&view->tree);
}

// Notes on a row whose place is odd.
static void add_notes(page *view, uint32_t index)
{
    const ut_tree_row *row = &view->tree.rows[index];
    char text_z[128];
    char id_z[2 * UT_SPAN_ID_LEN + 1];
    char by_z[UT_TEXT_SHORT_MAX];
    if (row->place == UT_TREE_PARENT_MISSING || row->place == UT_TREE_CYCLE) {
        ut_hex_encode(ut_bytes_of(row->parent_span_id, UT_SPAN_ID_LEN), id_z);
        (void)snprintf(text_z, sizeof(text_z),
                       row->place == UT_TREE_CYCLE ? "its parent %s is also below it"
                                                   : "its parent %s is not here",
                       id_z);
        ut_tree_text_below(&view->tree, index, "", ut_bytes_of_z(text_z), UT_COLOUR_DIM);
    }
    if (row->duplicate_id) {
        ut_hex_encode(ut_bytes_of(row->span_id, UT_SPAN_ID_LEN), id_z);
        (void)snprintf(text_z, sizeof(text_z), "another span here has the same id, %s", id_z);
        ut_tree_text_below(&view->tree, index, "", ut_bytes_of_z(text_z), UT_COLOUR_DIM);
    }
    if (row->skewed) {
        const bool before = row->skew_ns > 0; // it has to be moved forward
        ut_text_duration(before ? (uint64_t)row->skew_ns : 0 - (uint64_t)row->skew_ns, by_z);
        (void)snprintf(text_z, sizeof(text_z),
                       before ? "clock skew: begins %s before its parent"
                              : "clock skew: ends %s after its parent, which waited for it",
                       by_z);
        ut_tree_text_below(&view->tree, index, "", ut_bytes_of_z(text_z), UT_COLOUR_DIM);
    }
}

// What a row that stands for several spans says of them.
static void add_fold(page *view, uint32_t index)
{
    const ut_trace_fold *fold = &view->tree.folds[index];
    char sum_z[UT_TEXT_SHORT_MAX];
    char min_z[UT_TEXT_SHORT_MAX];
    char max_z[UT_TEXT_SHORT_MAX];
    char text_z[4 * UT_TEXT_SHORT_MAX];
    ut_text_duration(fold->sum_ns, sum_z);
    ut_text_duration(fold->min_ns, min_z);
    ut_text_duration(fold->max_ns, max_z);
    int len =
        strcmp(min_z, max_z) == 0
            ? snprintf(text_z, sizeof(text_z), "%s in all, %s each", sum_z, min_z)
            : snprintf(text_z, sizeof(text_z), "%s in all, %s to %s each", sum_z, min_z, max_z);
    len += snprintf(text_z + len, sizeof(text_z) - (size_t)len, ", %u error%s",
                    (unsigned)fold->errors, fold->errors == 1 ? "" : "s");
    if (fold->below > 0)
        (void)snprintf(text_z + len, sizeof(text_z) - (size_t)len, ", with %u span%s below each",
                       (unsigned)fold->below, fold->below == 1 ? "" : "s");
    ut_tree_text_below(&view->tree, index, "", ut_bytes_of_z(text_z), UT_COLOUR_DIM);
    if (fold->errors > 0)
        ut_tree_text_below(&view->tree, index, fold->errors > 1 ? "first error: " : "error: ",
                           fold->message.len == 0 ? UT_BYTES_LIT("(no message)") : fold->message,
                           UT_COLOUR_RED);
}

static void add_row(page *view, uint32_t index)
{
    const ut_tree_row *row = &view->tree.rows[index];
    ut_tree_text_row(&view->tree, index);
    if (view->tree.folds[index].count > 1) {
        add_fold(view, index);
        return;
    }
    add_notes(view, index);
    if (row->status_code == UT_STATUS_ERROR)
        ut_tree_text_lines(&view->tree, index, "error: ",
                           row->status_message.len == 0 ? UT_BYTES_LIT("(no message)")
                                                        : row->status_message,
                           UT_COLOUR_RED);
    add_llm(view, index);
    if (view->options->state != NULL)
        add_states(view, index);
    if (view->options->verbose)
        add_identity(view, index);
    if (view->options->attributes || view->options->verbose)
        add_pairs(view, index, "", row->attributes);
    if (view->options->verbose) {
        add_pairs(view, index, "resource ", row->resource_attributes);
        add_events(view, index);
        add_links(view, index);
    }
}

static void add_count(page *view, uint32_t count, uint32_t errors, const char *words_z)
{
    ut_buf *out = &view->tree.out;
    char text_z[UT_TEXT_SHORT_MAX];
    ut_text_grouped(count, text_z);
    ut_buf_printf(out, "%s %sspan%s", text_z, words_z, count == 1 ? "" : "s");
    if (errors > 0) {
        ut_text_grouped(errors, text_z);
        ut_buf_printf(out, ", %s with errors", text_z);
    }
}

// What is not shown, and how to see it.
static void add_rest(page *view)
{
    const ut_trace_cut *cut = &view->cut;
    ut_buf *out = &view->tree.out;
    if (cut->more > 0 || cut->left_out > 0)
        ut_tree_text_end_line(&view->tree);
    if (cut->more > 0) {
        add_count(view, cut->more, cut->more_errors, "more ");
        ut_buf_add_z(out, cut->more_errors > 0 && !view->options->cut.errors
                              ? "; --all, or --errors"
                              : "; --all");
        ut_tree_text_end_line(&view->tree);
    }
    if (cut->left_out > 0) {
        add_count(view, cut->left_out, cut->left_out_errors, "other ");
        ut_buf_add_z(out, cut->left_out_errors > 0 ? ", left out by the conditions"
                                                   : " left out by the conditions");
        ut_tree_text_end_line(&view->tree);
    }
}

// ---- the head ----

// What most of the time went to, on the way that decided how long the trace took.
static void add_critical(page *view, const ut_tree *tree)
{
    ut_trace_share shares[CRITICAL_NAMED];
    uint32_t count = 0;
    const ut_err err = ut_trace_shares(tree, shares, CRITICAL_NAMED, &count);
    if (err != UT_OK)
        view->tree.err = err;
    if (count == 0)
        return;
    char times_z[CRITICAL_NAMED][2 * UT_TEXT_SHORT_MAX];
    uint32_t columns[CRITICAL_NAMED];
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        char took_z[UT_TEXT_SHORT_MAX];
        char count_z[UT_TEXT_SHORT_MAX] = "";
        ut_text_duration(shares[i].critical_ns, took_z);
        if (shares[i].count > 1)
            (void)snprintf(count_z, sizeof(count_z), " (%ux)", (unsigned)shares[i].count);
        (void)snprintf(times_z[i], sizeof(times_z[i]), " %s%s", took_z, count_z);
        if (shares[i].name.len == 0)
            shares[i].name = UT_BYTES_LIT("(no name)");
        columns[i] = ut_min_u32(ut_term_columns(shares[i].name), KEY_COLUMNS);
        sum += columns[i] + (uint32_t)strlen(times_z[i]) + 2;
    }
    // The longest name gives way, as far as it can, and then the last one.
    const uint32_t room = view->tree.term.width - (uint32_t)strlen(CRITICAL_HEAD) + 2;
    while (view->tree.term.terminal && sum > room) {
        uint32_t widest = 0;
        for (uint32_t i = 1; i < count; i++)
            widest = columns[i] > columns[widest] ? i : widest;
        if (columns[widest] > CRITICAL_COLUMNS_MIN) {
            columns[widest]--;
            sum--;
        } else if (count > 1) {
            count--;
            sum -= columns[count] + (uint32_t)strlen(times_z[count]) + 2;
        } else {
            break;
        }
    }
    ut_buf_add_z(&view->tree.out, CRITICAL_HEAD);
    for (uint32_t i = 0; i < count; i++) {
        ut_buf_add_z(&view->tree.out, i == 0 ? "" : ", ");
        ut_term_text(&view->tree.out, shares[i].name, columns[i], false);
        ut_buf_add_z(&view->tree.out, times_z[i]);
    }
    ut_tree_text_end_line(&view->tree);
}

static void add_llm_total(page *view)
{
    ut_llm_call sum = {0};
    uint64_t calls = 0;
    uint64_t costs = 0;
    for (uint32_t i = 0; i < view->all_count; i++) {
        ut_llm_call call;
        if (!ut_llm_read(view->all[i].attributes, &call))
            continue;
        ut_llm_price_call(view->options->prices, &call);
        calls++;
        sum.has_tokens = sum.has_tokens || call.has_tokens;
        sum.input_tokens += call.input_tokens;
        sum.output_tokens += call.output_tokens;
        sum.total_tokens += call.total_tokens;
        sum.cached_tokens += call.cached_tokens;
        sum.reasoning_tokens += call.reasoning_tokens;
        sum.cost_usd += call.cost_usd;
        costs += call.has_cost;
    }
    if (calls == 0)
        return;
    ut_buf *out = &view->tree.out;
    ut_buf_printf(out, "%llu call%s of language models", (unsigned long long)calls,
                  calls == 1 ? "" : "s");
    if (sum.has_tokens)
        add_tokens(out, &sum);
    if (costs > 0) {
        char cost_z[UT_SPAN_COST_MAX];
        ut_span_cost(sum.cost_usd, cost_z);
        ut_buf_printf(out, ", %s", cost_z);
        if (costs < calls)
            ut_buf_printf(out, " (of %llu of %llu calls)", (unsigned long long)costs,
                          (unsigned long long)calls);
    }
    ut_tree_text_end_line(&view->tree);
}

static void add_oddities(page *view)
{
    uint32_t skewed = 0;
    uint32_t missing = 0;
    uint32_t duplicates = 0;
    for (uint32_t i = 0; i < view->all_count; i++) {
        skewed += view->all[i].skewed;
        missing += view->all[i].place == UT_TREE_PARENT_MISSING;
        duplicates += view->all[i].duplicate_id;
    }
    if (missing > 0)
        ut_buf_printf(&view->tree.out, "%u span%s with a parent that is not here\n", missing,
                      missing == 1 ? "" : "s");
    if (duplicates > 0)
        ut_buf_printf(&view->tree.out, "%u spans share an id with another\n", duplicates);
    if (view->replaced > 0)
        ut_buf_printf(&view->tree.out,
                      "%u record%s of spans that had not ended, left out for later ones\n",
                      view->replaced, view->replaced == 1 ? "" : "s");
    if (skewed > 0)
        ut_buf_printf(&view->tree.out, "%u span%s outside of the parent's time: clocks disagree\n",
                      skewed, skewed == 1 ? "" : "s");
    const uint32_t damaged = view->options->damaged_blocks;
    if (damaged > 0)
        ut_buf_printf(&view->tree.out,
                      "%u damaged block%s could not be read: spans are missing here\n", damaged,
                      damaged == 1 ? "" : "s");
}

static void add_head(page *view, const ut_tree *tree, const uint8_t trace_id[UT_TRACE_ID_LEN])
{
    uint32_t errors = 0;
    char id[2 * UT_TRACE_ID_LEN + 1];
    char began[UT_TEXT_SHORT_MAX];
    char took[UT_TEXT_SHORT_MAX];
    for (uint32_t i = 0; i < view->all_count; i++)
        errors += view->all[i].status_code == UT_STATUS_ERROR;
    ut_hex_encode(ut_bytes_of(trace_id, UT_TRACE_ID_LEN), id);
    ut_local_time(view->tree.begin_ns, began);
    ut_text_duration(view->tree.end_ns - view->tree.begin_ns, took);
    ut_term_colour(&view->tree.term, &view->tree.out, UT_COLOUR_BOLD);
    ut_buf_printf(&view->tree.out, "trace %s", id);
    ut_term_colour(&view->tree.term, &view->tree.out, UT_COLOUR_NONE);
    const bool narrow = view->tree.term.terminal && view->tree.term.width < HEAD_COLUMNS_MIN;
    ut_buf_printf(&view->tree.out, "\nbegan %s, took %s%s%u span%s, ", began, took,
                  narrow ? "\n" : ", ", view->all_count, view->all_count == 1 ? "" : "s");
    ut_term_colour(&view->tree.term, &view->tree.out, errors > 0 ? UT_COLOUR_RED : UT_COLOUR_GREEN);
    ut_buf_printf(&view->tree.out, "%u error%s", errors, errors == 1 ? "" : "s");
    ut_term_colour(&view->tree.term, &view->tree.out, UT_COLOUR_NONE);
    ut_tree_text_end_line(&view->tree);
    add_llm_total(view);
    if (view->options->state != NULL)
        add_state_total(view);
    add_critical(view, tree);
    add_oddities(view);
    ut_tree_text_end_line(&view->tree);
}

ut_err ut_trace_page_print(const ut_tree *tree, const uint8_t trace_id[UT_TRACE_ID_LEN],
                           const ut_trace_page_options *options)
{
    const ut_term term = ut_term_stdout();
    page view = {.options = options};
    ut_trace_cut_options cut = options->cut;
    cut.unfolded = options->attributes || options->verbose || options->state != NULL;
    ut_err err = ut_trace_cut_make(&view.cut, tree, &cut);
    if (err != UT_OK)
        return err;
    ut_tree_text_init(&view.tree, tree, &view.cut, &term);
    view.all = ut_tree_rows(tree, &view.all_count);
    (void)ut_tree_all_rows(tree, &view.replaced);
    view.replaced -= view.all_count;
    ut_buf_init(&view.value, OUTPUT_BYTES_MAX);
    add_head(&view, tree, trace_id);
    ut_tree_text_heading(&view.tree);
    for (uint32_t i = 0; i < view.tree.row_count && view.tree.err == UT_OK; i++)
        add_row(&view, i);
    add_rest(&view);
    err = ut_tree_text_end(&view.tree);
    ut_tree_text_free(&view.tree);
    ut_buf_free(&view.value);
    ut_trace_cut_free(&view.cut);
    return err;
}
