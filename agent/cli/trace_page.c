// The page of a trace: its head, the tree (trace_tree_text.h), and below each span its details. See
// trace_page.h.
#include "agent/cli/trace_page.h"

#include "adapters/plain/json_value.h"
#include "agent/cli/llm_text.h"
#include "agent/cli/local_time.h"
#include "agent/cli/span_text.h"
#include "agent/cli/term.h"
#include "agent/cli/trace_tree_text.h"
#include "port/base/text.h"
#include "storage/span/llm.h"

#include <stdio.h>

enum {
    OUTPUT_BYTES_MAX = 64 * 1024 * 1024,
    VALUE_BYTES_MAX = 1024 * 1024, // of an attribute as JSON; longer ones are not shown
    STATE_COLUMNS = 400,           // of a state or a change, unless all is wanted
    KEY_COLUMNS = 60,
    VALUE_COLUMNS = 120,
    CRITICAL_NAMED = 3, // spans of the critical path that the head names
};

typedef struct {
    const ut_trace_page_options *options;
    ut_tree_text tree;
    uint32_t replaced;    // records that are not in the tree
    ut_buf value;         // one value as JSON
    uint32_t state_shown; // how many changes the state above had seen
} page;

static void add_pairs(page *view, uint32_t index, const char *place_z, ut_bytes attributes)
{
    ut_mp_reader reader = ut_mp_reader_of(attributes);
    for (uint32_t left = attributes.len == 0 ? 0 : ut_mp_get_map(&reader);
         left > 0 && reader.err == UT_OK && view->tree.err == UT_OK; left--) {
        const ut_bytes key = ut_mp_get_str(&reader);
        ut_buf_reset(&view->value, VALUE_BYTES_MAX);
        ut_json_value(&view->value, ut_mp_skip(&reader));
        uint32_t used =
            ut_tree_text_begin_below(&view->tree, index) + (uint32_t)strlen(place_z) + 3;
        ut_term_colour(&view->tree.term, &view->tree.out, UT_COLOUR_DIM);
        ut_buf_add_z(&view->tree.out, place_z);
        used += ut_term_text(&view->tree.out, key, KEY_COLUMNS, false);
        ut_buf_add_z(&view->tree.out, " = ");
        uint32_t room = ut_tree_text_room(&view->tree, used);
        if (!view->tree.term.terminal || room > VALUE_COLUMNS)
            room = VALUE_COLUMNS;
        ut_term_text(&view->tree.out,
                     view->value.err == UT_OK ? ut_buf_bytes(&view->value)
                                              : UT_BYTES_LIT("(too long)"),
                     room, false);
        ut_term_colour(&view->tree.term, &view->tree.out, UT_COLOUR_NONE);
        ut_tree_text_end_line(&view->tree);
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
    ut_tree_text_preview(&view->tree, at->index, label_z, text, view->options->prompt_columns);
}

static void add_llm(page *view, uint32_t index)
{
    const ut_tree_row *row = &view->tree.rows[index];
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

static void add_row(page *view, uint32_t index)
{
    const ut_tree_row *row = &view->tree.rows[index];
    ut_tree_text_row(&view->tree, index);
    add_notes(view, index);
    if (row->status_code == UT_STATUS_ERROR)
        ut_tree_text_below(&view->tree, index, "error: ",
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
    for (uint32_t i = 0; i < view->tree.row_count; i++) {
        if (!view->tree.rows[i].critical || view->tree.rows[i].critical_ns == 0)
            continue;
        uint32_t at = count < CRITICAL_NAMED ? count++ : CRITICAL_NAMED;
        for (; at > 0 && view->tree.rows[top[at - 1]].critical_ns < view->tree.rows[i].critical_ns;
             at--) {
            if (at < CRITICAL_NAMED)
                top[at] = top[at - 1];
        }
        if (at < CRITICAL_NAMED)
            top[at] = i;
    }
    if (count == 0)
        return;
    // The columns left beside the words and times.
    const uint32_t room =
        view->tree.term.terminal ? (view->tree.term.width - 50) / CRITICAL_NAMED : KEY_COLUMNS;
    ut_buf_add_z(&view->tree.out, "* most of that time: ");
    for (uint32_t i = 0; i < count; i++) {
        char took_z[UT_TEXT_SHORT_MAX];
        ut_text_duration(view->tree.rows[top[i]].critical_ns, took_z);
        ut_buf_add_z(&view->tree.out, i == 0 ? "" : ", ");
        ut_term_text(&view->tree.out, view->tree.rows[top[i]].name, room, false);
        ut_buf_printf(&view->tree.out, " %s", took_z);
    }
    ut_tree_text_end_line(&view->tree);
}

static void add_llm_total(page *view)
{
    uint64_t calls = 0;
    uint64_t input = 0;
    uint64_t output = 0;
    uint64_t total = 0;
    uint64_t costs = 0;
    double cost_usd = 0;
    for (uint32_t i = 0; i < view->tree.row_count; i++) {
        ut_llm_call call;
        if (!ut_llm_read(view->tree.rows[i].attributes, &call))
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
    ut_buf_printf(&view->tree.out,
                  "%llu call%s of language models, %llu tokens (%llu in, %llu out)",
                  (unsigned long long)calls, calls == 1 ? "" : "s", (unsigned long long)total,
                  (unsigned long long)input, (unsigned long long)output);
    if (costs > 0) {
        char cost_z[UT_SPAN_COST_MAX];
        ut_span_cost(cost_usd, cost_z);
        ut_buf_printf(&view->tree.out, ", %s", cost_z);
    }
    ut_tree_text_end_line(&view->tree);
}

static void add_oddities(page *view)
{
    uint32_t skewed = 0;
    uint32_t missing = 0;
    uint32_t duplicates = 0;
    for (uint32_t i = 0; i < view->tree.row_count; i++) {
        skewed += view->tree.rows[i].skewed;
        missing += view->tree.rows[i].place == UT_TREE_PARENT_MISSING;
        duplicates += view->tree.rows[i].duplicate_id;
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

static void add_head(page *view, const uint8_t trace_id[UT_TRACE_ID_LEN])
{
    uint32_t errors = 0;
    char id[2 * UT_TRACE_ID_LEN + 1];
    char began[UT_TEXT_SHORT_MAX];
    char took[UT_TEXT_SHORT_MAX];
    for (uint32_t i = 0; i < view->tree.row_count; i++)
        errors += view->tree.rows[i].status_code == UT_STATUS_ERROR;
    ut_hex_encode(ut_bytes_of(trace_id, UT_TRACE_ID_LEN), id);
    ut_local_time(view->tree.begin_ns, began);
    ut_text_duration(view->tree.end_ns - view->tree.begin_ns, took);
    ut_term_colour(&view->tree.term, &view->tree.out, UT_COLOUR_BOLD);
    ut_buf_printf(&view->tree.out, "trace %s", id);
    ut_term_colour(&view->tree.term, &view->tree.out, UT_COLOUR_NONE);
    ut_buf_printf(&view->tree.out, "\nbegan %s, took %s, %u span%s, ", began, took,
                  view->tree.row_count, view->tree.row_count == 1 ? "" : "s");
    ut_term_colour(&view->tree.term, &view->tree.out, errors > 0 ? UT_COLOUR_RED : UT_COLOUR_GREEN);
    ut_buf_printf(&view->tree.out, "%u error%s", errors, errors == 1 ? "" : "s");
    ut_term_colour(&view->tree.term, &view->tree.out, UT_COLOUR_NONE);
    ut_tree_text_end_line(&view->tree);
    add_llm_total(view);
    if (view->options->state != NULL)
        add_state_total(view);
    add_critical(view);
    add_oddities(view);
    ut_tree_text_end_line(&view->tree);
}

ut_err ut_trace_page_print(const ut_tree *tree, const uint8_t trace_id[UT_TRACE_ID_LEN],
                           const ut_trace_page_options *options)
{
    const ut_term term = ut_term_stdout();
    page view = {.options = options};
    ut_tree_text_init(&view.tree, tree, &term);
    (void)ut_tree_all_rows(tree, &view.replaced);
    view.replaced -= view.tree.row_count;
    ut_buf_init(&view.value, OUTPUT_BYTES_MAX);
    add_head(&view, trace_id);
    for (uint32_t i = 0; i < view.tree.row_count && view.tree.err == UT_OK; i++)
        add_row(&view, i);
    const ut_err err = ut_tree_text_end(&view.tree);
    ut_tree_text_free(&view.tree);
    ut_buf_free(&view.value);
    return err;
}
