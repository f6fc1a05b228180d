// The states that a trace went through; see trace_state.h.
#include "agent/cli/trace_state.h"

#include "adapters/encoding/json_write.h"
#include "adapters/plain/json_time.h"
#include "agent/cli/term.h"
#include "port/base/utf8.h"

#include <stdio.h>
#include <stdlib.h>

enum { OUTPUT_BYTES_MAX = 64 * 1024 * 1024 };

typedef struct {
    const ut_state_change *change;
} entry;

struct ut_trace_state {
    ut_state *state;
    const ut_state_change *changes; // by time
    entry *order;                   // by span, then by time
    uint32_t count;
    uint32_t left_out;
};

static int compare(const void *a, const void *b)
{
    const ut_state_change *left = ((const entry *)a)->change;
    const ut_state_change *right = ((const entry *)b)->change;
    const int by_span = memcmp(left->span_id, right->span_id, UT_SPAN_ID_LEN);
    if (by_span != 0)
        return by_span;
    return left < right ? -1 : left > right; // both are of one array, which is by time
}

ut_err ut_trace_state_new(ut_state *state, ut_trace_state **view)
{
    ut_trace_state *made = calloc(1, sizeof(*made));
    *view = made;
    if (made == NULL)
        return UT_ENOMEM;
    made->state = state;
    made->changes = ut_state_changes(state, &made->count, &made->left_out);
    made->order = calloc((size_t)made->count + 1, sizeof(*made->order));
    if (made->order == NULL)
        return UT_ENOMEM;
    for (uint32_t i = 0; i < made->count; i++)
        made->order[i].change = &made->changes[i];
    qsort(made->order, made->count, sizeof(*made->order), compare);
    return UT_OK;
}

void ut_trace_state_free(ut_trace_state *view)
{
    if (view == NULL)
        return;
    free(view->order);
    free(view);
}

void ut_trace_state_of_span(const ut_trace_state *view, const uint8_t span_id[UT_SPAN_ID_LEN],
                            uint32_t *first, uint32_t *count)
{
    uint32_t low = 0;
    uint32_t high = view->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (memcmp(view->order[middle].change->span_id, span_id, UT_SPAN_ID_LEN) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *first = low;
    while (low < view->count &&
           memcmp(view->order[low].change->span_id, span_id, UT_SPAN_ID_LEN) == 0)
        low++;
    *count = low - *first;
}

const ut_state_change *ut_trace_state_change(const ut_trace_state *view, uint32_t index)
{
    UT_ASSERT(index < view->count);
    return view->order[index].change;
}

ut_err ut_trace_state_at(ut_trace_state *view, uint64_t time_ns, uint32_t *done, ut_buf *out)
{
    ut_buf_reset(out, UT_STATE_BYTES_MAX);
    return ut_state_at(view->state, time_ns, done, out);
}

void ut_trace_state_counts(const ut_trace_state *view, uint32_t *changes, uint32_t *failed,
                           uint32_t *left_out)
{
    *changes = view->count;
    *left_out = view->left_out;
    *failed = 0;
    for (uint32_t i = 0; i < view->count; i++)
        *failed += view->changes[i].reason.len > 0;
}

// ---- JSON ----

// Whether a text of JSON may stand in the output as it is: on one line, and nothing in it that
// may not be shown (JSON allows C1 and bidi controls).
static bool is_harmless(ut_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (ut_utf8_is_unsafe(text.data + i, text.len - i))
            return false;
    }
    return true;
}

static void write_change(ut_json_writer *json, const ut_state_change *change)
{
    static const char *const forms[] = {"none", "start", "patch", "merge"};
    const bool applied = change->reason.len == 0;
    ut_json_write_object(json, NULL);
    ut_json_time(json, "time", change->time_ns);
    ut_json_write_hex(json, "span_id", ut_bytes_of(change->span_id, UT_SPAN_ID_LEN));
    ut_json_write_text(json, "store", change->store);
    ut_json_write_text(json, "action", change->action);
    ut_json_write_text_z(json, "form", forms[change->form]);
    ut_json_write_bool(json, "applied", applied);
    ut_json_write_text(json, "reason", change->reason);
    if (applied && is_harmless(change->text))
        ut_buf_add_bytes(ut_json_write_raw(json, "change"), change->text); // it was read as JSON
    else
        ut_json_write_text(json, "change", change->text);
    ut_json_write_close(json);
}

// How many changes there were up to a time, which numbers the state then (ut_state_at: *done).
static uint32_t number_at(const ut_trace_state *view, uint64_t time_ns)
{
    uint32_t low = 0;
    uint32_t high = view->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (view->changes[middle].time_ns <= time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Prints each state that a span begins or ends with once, however many do: as large as the states
// are, the output must not be spans times states.
static ut_err print_states(ut_trace_state *view, const ut_tree_row *rows, uint32_t count,
                           ut_json_writer *json)
{
    ut_buf state;
    ut_err err = UT_OK;
    bool *wanted = calloc((size_t)view->count + 1, sizeof(*wanted));
    if (wanted == NULL)
        return UT_ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        wanted[number_at(view, rows[i].start_ns)] = true;
        wanted[number_at(view, rows[i].end_ns)] = true;
    }
    ut_buf_init(&state, OUTPUT_BYTES_MAX);
    for (uint32_t number = 0; number <= view->count && err == UT_OK; number++) {
        if (!wanted[number])
            continue;
        // Before the first change: a span began or ended then, so there is such a time.
        const uint64_t time_ns = number > 0         ? view->changes[number - 1].time_ns
                                 : view->count == 0 ? 0
                                                    : view->changes[0].time_ns - 1;
        uint32_t done = 0;
        err = ut_trace_state_at(view, time_ns, &done, &state);
        if (err != UT_OK)
            break;
        char number_z[16];
        (void)snprintf(number_z, sizeof(number_z), "%u", number);
        ut_buf_add_bytes(ut_json_write_raw(json, number_z), ut_buf_bytes(&state));
        err = ut_term_write(json->out);
    }
    free(wanted);
    ut_buf_free(&state);
    return err;
}

static void write_span(ut_json_writer *json, const ut_trace_state *view, const ut_tree_row *row)
{
    ut_json_write_object(json, NULL);
    ut_json_write_hex(json, "span_id", ut_bytes_of(row->span_id, UT_SPAN_ID_LEN));
    ut_json_write_text(json, "name", row->name);
    ut_json_time(json, "start", row->start_ns);
    ut_json_time(json, "end", row->end_ns);
    ut_json_write_uint(json, "state_at_start", number_at(view, row->start_ns));
    ut_json_write_uint(json, "state_at_end", number_at(view, row->end_ns));
    ut_json_write_close(json);
}

ut_err ut_trace_state_print_json(ut_trace_state *view, const ut_tree *tree,
                                 const uint8_t trace_id[UT_TRACE_ID_LEN])
{
    ut_buf out;
    uint32_t count = 0;
    const ut_tree_row *rows = ut_tree_all_rows(tree, &count);
    ut_err err = UT_OK;
    ut_buf_init(&out, OUTPUT_BYTES_MAX + 2 * (size_t)UT_STATE_TEXT_BYTES_MAX);
    ut_json_writer json = ut_json_writer_of(&out);
    ut_json_write_object(&json, NULL);
    ut_json_write_hex(&json, "trace_id", ut_bytes_of(trace_id, UT_TRACE_ID_LEN));
    ut_json_write_uint(&json, "changes_left_out", view->left_out);
    ut_json_write_array(&json, "changes");
    for (uint32_t i = 0; i < view->count && err == UT_OK; i++) {
        write_change(&json, &view->changes[i]);
        err = ut_term_write(&out);
    }
    ut_json_write_close(&json);
    ut_json_write_object(&json, "states");
    if (err == UT_OK)
        err = print_states(view, rows, count, &json);
    ut_json_write_close(&json);
    ut_json_write_array(&json, "spans");
    for (uint32_t i = 0; i < count && err == UT_OK; i++) {
        write_span(&json, view, &rows[i]);
        err = ut_term_write(&out);
    }
    ut_json_write_close(&json);
    ut_json_write_close(&json);
    ut_json_write_line(&json);
    if (err == UT_OK)
        err = ut_term_write(&out);
    ut_buf_free(&out);
    return err;
}
