// Changes of a workflow's state out of the events of a trace, and their replay; see state_patch.h.
#include "adapters/state/state_patch.h"

#include "adapters/encoding/json.h"
#include "adapters/encoding/json_write.h"
#include "adapters/state/json_patch.h"

#include <stdlib.h>

enum {
    KEPT_EVERY = 16, // changes between two kept states, to begin with
    NO_STORE = UINT32_MAX,
    REASON_BYTES_MAX = UT_STATE_CHANGES_MAX * UT_FAULT_TEXT_MAX,
    // Escapes make the text of a state longer than its size: a control character takes six bytes.
    STATE_TEXT_MAX = 8 * UT_STATE_BYTES_MAX,
};

// A text in a buffer, by its offset, because the buffer can still move.
typedef struct {
    uint32_t offset;
    uint32_t len;
} range;

typedef struct {
    uint64_t time_ns;
    uint8_t span_id[UT_SPAN_ID_LEN];
    range store_name; // in ut_state.text, as the two below
    range action;
    range text;
    range reason;   // in ut_state.reasons
    uint32_t order; // of arrival
    uint32_t store; // NO_STORE: beyond UT_STATE_STORES_MAX
    uint8_t form;   // ut_state_form
    bool missing;   // the event has no text where the patch should be
} change;

typedef struct {
    range name;
    yyjson_mut_doc *doc; // NULL: not begun
    size_t bytes;        // of doc, about as JSON; 0 after going back
} store;

// The states of all stores after `done` changes, in kept_text as a JSON array with an element for
// each
// store: [state], or [] where it has not begun.
typedef struct {
    uint32_t done;
    size_t offset;
    size_t len;
} kept;

struct ut_state {
    ut_bytes event_name; // into names
    ut_bytes patch_key;  // empty: the usual ones
    uint8_t names[2 * UT_STATE_NAME_MAX];
    ut_buf text; // of all changes, with the names of their stores and actions
    ut_buf reasons;
    ut_buf changes; // change each; in order once built
    uint32_t left_out;
    ut_state_change *rows;
    store stores[UT_STATE_STORES_MAX];
    uint32_t store_count;
    bool several;  // more than one store: ut_state_at tells each by its name
    uint32_t done; // changes that the stores hold
    ut_buf kept;   // kept each, by done
    ut_buf kept_text;
    uint32_t kept_every; // changes between two kept states
    uint64_t work;       // steps that are left for this replay
};

static const struct {
    const char *state_z; // a whole state, as JSON text
    const char *store_z; // the name of its store
} starts[] = {
    {"state.start", "state.id"},
    {"junjo.workflow.state.start", "junjo.workflow.store.id"},
    {"junjo.agent.state.start", "junjo.agent.store.id"},
};
static const char *const patch_keys[] = {"state.patch", "state_patch", "state.json_patch",
                                         "junjo.state_json_patch"};
static const char *const store_keys[] = {"state.id", "junjo.store.id"};
static const char *const action_keys[] = {"state.action", "junjo.store.action"};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

ut_err ut_state_new(const ut_state_options *options, ut_state **state)
{
    const ut_state_options usual = {0};
    if (options == NULL)
        options = &usual;
    const ut_bytes event_name =
        options->event_name.len > 0 ? options->event_name : UT_BYTES_LIT("set_state");
    if (event_name.len > UT_STATE_NAME_MAX || options->patch_key.len > UT_STATE_NAME_MAX)
        return UT_ELIMIT;
    ut_state *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return UT_ENOMEM;
    memcpy(made->names, event_name.data, event_name.len);
    made->event_name = ut_bytes_of(made->names, event_name.len);
    if (options->patch_key.len > 0)
        memcpy(made->names + UT_STATE_NAME_MAX, options->patch_key.data, options->patch_key.len);
    made->patch_key = ut_bytes_of(made->names + UT_STATE_NAME_MAX, options->patch_key.len);
    ut_buf_init(&made->text, UT_STATE_TEXT_BYTES_MAX);
    ut_buf_init(&made->reasons, REASON_BYTES_MAX);
    ut_buf_init(&made->changes, UT_STATE_CHANGES_MAX * sizeof(change));
    ut_buf_init(&made->kept, UT_STATE_CHANGES_MAX * sizeof(kept));
    ut_buf_init(&made->kept_text, UT_STATE_KEPT_BYTES_MAX);
    made->kept_every = KEPT_EVERY;
    *state = made;
    return UT_OK;
}

void ut_state_free(ut_state *state)
{
    if (state == NULL)
        return;
    for (uint32_t i = 0; i < state->store_count; i++)
        yyjson_mut_doc_free(state->stores[i].doc);
    ut_buf_free(&state->text);
    ut_buf_free(&state->reasons);
    ut_buf_free(&state->changes);
    ut_buf_free(&state->kept);
    ut_buf_free(&state->kept_text);
    free(state->rows);
    free(state);
}

// ---- taking changes out of spans ----

static range copy(ut_buf *to, ut_bytes bytes)
{
    const range at = {(uint32_t)to->len, (uint32_t)bytes.len};
    ut_buf_add_bytes(to, bytes);
    return at;
}

static ut_bytes resolve(const ut_buf *in, range at)
{
    return at.len == 0 ? UT_BYTES_NONE : ut_bytes_of(in->data + at.offset, at.len);
}

// The text under the first of the keys that is there; empty when none is.
static ut_bytes find_text(ut_bytes attributes, const char *const *keys, size_t count)
{
    ut_bytes text = UT_BYTES_NONE;
    for (size_t i = 0; i < count; i++) {
        if (ut_attributes_find_str(attributes, ut_bytes_of_z(keys[i]), &text))
            return text;
    }
    return UT_BYTES_NONE;
}

static ut_err add_change(ut_state *state, change *added, ut_bytes store_name, ut_bytes action,
                         ut_bytes text)
{
    if (state->changes.len >= UT_STATE_CHANGES_MAX * sizeof(change) ||
        store_name.len > UT_STATE_TEXT_BYTES_MAX || action.len > UT_STATE_TEXT_BYTES_MAX ||
        text.len > UT_STATE_TEXT_BYTES_MAX ||
        store_name.len + action.len + text.len > UT_STATE_TEXT_BYTES_MAX - state->text.len) {
        state->left_out++;
        return UT_OK;
    }
    added->order = (uint32_t)(state->changes.len / sizeof(change));
    added->store_name = copy(&state->text, store_name);
    added->action = copy(&state->text, action);
    added->text = copy(&state->text, text);
    ut_buf_add(&state->changes, added, sizeof(*added));
    return state->text.err != UT_OK ? state->text.err : state->changes.err;
}

static ut_err add_event(ut_state *state, change *added, const ut_event *event)
{
    ut_bytes text = UT_BYTES_NONE;
    added->time_ns = event->time_ns;
    if (state->patch_key.len == 0) {
        text = find_text(event->attributes, patch_keys, COUNT(patch_keys));
        added->missing = text.len == 0;
    } else {
        added->missing = !ut_attributes_find_str(event->attributes, state->patch_key, &text);
    }
    return add_change(state, added, find_text(event->attributes, store_keys, COUNT(store_keys)),
                      find_text(event->attributes, action_keys, COUNT(action_keys)), text);
}

ut_err ut_state_add(ut_state *state, const ut_span *span)
{
    change added = {.time_ns = span->start_ns, .form = UT_STATE_START};
    if (span->span_id.len == UT_SPAN_ID_LEN)
        memcpy(added.span_id, span->span_id.data, UT_SPAN_ID_LEN);
    ut_err err = UT_OK;
    for (size_t i = 0; i < COUNT(starts) && err == UT_OK; i++) {
        ut_bytes text = UT_BYTES_NONE;
        ut_bytes name = UT_BYTES_NONE;
        if (!ut_attributes_find_str(span->attributes, ut_bytes_of_z(starts[i].state_z), &text))
            continue;
        (void)ut_attributes_find_str(span->attributes, ut_bytes_of_z(starts[i].store_z),
                                     &name); // absent: empty
        err = add_change(state, &added, name, UT_BYTES_NONE, text);
    }
    added.form = UT_STATE_NONE;
    ut_mp_reader reader = ut_mp_reader_of(span->events);
    for (uint32_t left = span->events.len == 0 ? 0 : ut_mp_get_array(&reader);
         left > 0 && err == UT_OK; left--) {
        ut_event event;
        if (ut_event_read(&reader, span->start_ns, &event) != UT_OK)
            break;
        if (ut_bytes_equal(event.name, state->event_name))
            err = add_event(state, &added, &event);
    }
    return err != UT_OK ? err : reader.err;
}

// ---- replay ----

static change *changes_of(const ut_state *state)
{
    return (change *)(void *)state->changes.data;
}

static uint32_t count_of(const ut_state *state)
{
    return (uint32_t)(state->changes.len / sizeof(change));
}

// The size of all states but one.
static size_t bytes_but_of(const ut_state *state, uint32_t of)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < state->store_count; i++)
        bytes += i == of ? 0 : state->stores[i].bytes;
    return bytes;
}

// Applies a change to its store. After an error the store is as before.
static ut_err apply(ut_state *state, change *what, ut_fault *fault)
{
    if (what->missing)
        return ut_fault_set(
            fault, UT_EFORMAT, "the event has no text in the attribute \"%.*s\"",
            (int)(state->patch_key.len > 0 ? state->patch_key.len : strlen(patch_keys[0])),
            state->patch_key.len > 0 ? (const char *)state->patch_key.data : patch_keys[0]);
    if (what->store == NO_STORE)
        return ut_fault_set(fault, UT_ELIMIT, "more than %d stores in one trace",
                            UT_STATE_STORES_MAX);
    store *to = &state->stores[what->store];
    const ut_bytes text = resolve(&state->text, what->text);
    const ut_json_patch_limits limits = {UT_STATE_BYTES_MAX - bytes_but_of(state, what->store),
                                         &state->work};
    yyjson_mut_doc *after = NULL;
    size_t bytes = 0;
    ut_err err = UT_OK;
    if (what->form == UT_STATE_START) {
        err = ut_json_patch_read(text, &limits, &after, &bytes, fault);
    } else {
        bool merge = false;
        yyjson_mut_doc *before = to->doc;
        if (before == NULL) {
            size_t ignored = 0;
            err = ut_json_patch_read(UT_BYTES_LIT("{}"), &limits, &before, &ignored, fault);
        }
        if (err == UT_OK)
            err = ut_json_patch_apply(before, text, &limits, &after, &bytes, &merge, fault);
        if (err == UT_OK || err == UT_EINVAL)
            what->form = merge ? UT_STATE_MERGE : UT_STATE_PATCH;
        if (before != to->doc)
            yyjson_mut_doc_free(before);
    }
    if (err != UT_OK)
        return err;
    yyjson_mut_doc_free(to->doc);
    to->doc = after;
    to->bytes = bytes;
    return UT_OK;
}

static void forget_states(ut_state *state)
{
    for (uint32_t i = 0; i < state->store_count; i++) {
        yyjson_mut_doc_free(state->stores[i].doc);
        state->stores[i].doc = NULL;
        state->stores[i].bytes = 0;
    }
    state->done = 0;
}

// Removes every second kept state, and doubles the number of changes between them.
static void thin_out(ut_state *state)
{
    kept *all = (kept *)(void *)state->kept.data;
    const uint32_t count = (uint32_t)(state->kept.len / sizeof(kept));
    uint32_t left = 0;
    size_t end = 0;
    state->kept_every *= 2;
    for (uint32_t i = 0; i < count; i++) {
        if (all[i].done % state->kept_every != 0)
            continue;
        memmove(state->kept_text.data + end, state->kept_text.data + all[i].offset, all[i].len);
        all[left] = all[i];
        all[left++].offset = end;
        end += all[i].len;
    }
    state->kept.len = left * sizeof(kept);
    state->kept_text.len = end;
}

// Keeps the states of all stores as they are now. Where room is short, kept states are thinned out,
// which may leave this one out too.
static ut_err keep(ut_state *state)
{
    ut_buf text;
    ut_buf_init(&text, STATE_TEXT_MAX + 4 * UT_STATE_STORES_MAX);
    ut_buf_add_byte(&text, '[');
    for (uint32_t i = 0; i < state->store_count; i++) {
        ut_buf_add_z(&text, i == 0 ? "[" : ",[");
        if (state->stores[i].doc != NULL)
            ut_json_patch_write(state->stores[i].doc, &text);
        ut_buf_add_byte(&text, ']');
    }
    ut_buf_add_byte(&text, ']');
    ut_err err = text.err;
    while (err == UT_OK && text.len > UT_STATE_KEPT_BYTES_MAX - state->kept_text.len &&
           state->kept_every < UT_STATE_CHANGES_MAX)
        thin_out(state);
    if (err == UT_OK && state->done % state->kept_every == 0) {
        const kept added = {state->done, state->kept_text.len, text.len};
        ut_buf_add_bytes(&state->kept_text, ut_buf_bytes(&text));
        ut_buf_add(&state->kept, &added, sizeof(added));
        err = state->kept_text.err != UT_OK ? state->kept_text.err : state->kept.err;
    }
    ut_buf_free(&text);
    return err;
}

// Makes the states of all stores those of a kept one. Their sizes are not known again, and not
// needed: the changes behind it have been applied once within the limits.
static ut_err go_back_to(ut_state *state, const kept *to)
{
    const ut_bytes text = ut_bytes_of(state->kept_text.data + to->offset, to->len);
    yyjson_doc *parsed = yyjson_read((const char *)text.data, text.len, YYJSON_READ_NUMBER_AS_RAW);
    if (parsed == NULL)
        return UT_ENOMEM;
    ut_err err = UT_OK;
    yyjson_val *states = yyjson_doc_get_root(parsed);
    forget_states(state);
    for (uint32_t i = 0; i < state->store_count && err == UT_OK; i++) {
        yyjson_val *root = yyjson_arr_get_first(yyjson_arr_get(states, i));
        if (root == NULL)
            continue;
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *copied = doc == NULL ? NULL : yyjson_val_mut_copy(doc, root);
        if (copied == NULL) {
            yyjson_mut_doc_free(doc);
            err = UT_ENOMEM;
            continue;
        }
        yyjson_mut_doc_set_root(doc, copied);
        state->stores[i].doc = doc;
    }
    yyjson_doc_free(parsed);
    if (err == UT_OK)
        state->done = to->done;
    else
        forget_states(state);
    return err;
}

// Finds the store by its name, or begins it.
static uint32_t find_store(ut_state *state, range name)
{
    const ut_bytes wanted = resolve(&state->text, name);
    for (uint32_t i = 0; i < state->store_count; i++) {
        if (ut_bytes_equal(resolve(&state->text, state->stores[i].name), wanted))
            return i;
    }
    if (state->store_count == UT_STATE_STORES_MAX)
        return NO_STORE;
    state->stores[state->store_count].name = name;
    return state->store_count++;
}

static int compare(const void *a, const void *b)
{
    const change *left = a;
    const change *right = b;
    if (left->time_ns != right->time_ns)
        return left->time_ns < right->time_ns ? -1 : 1;
    return left->order < right->order ? -1 : left->order > right->order;
}

static void make_rows(ut_state *state)
{
    const uint32_t count = count_of(state);
    for (uint32_t i = 0; i < count; i++) {
        const change *from = &changes_of(state)[i];
        ut_state_change *row = &state->rows[i];
        row->time_ns = from->time_ns;
        memcpy(row->span_id, from->span_id, UT_SPAN_ID_LEN);
        row->form = (ut_state_form)from->form;
        row->store = resolve(&state->text, from->store_name);
        row->action = resolve(&state->text, from->action);
        row->text = resolve(&state->text, from->text);
        row->reason = resolve(&state->reasons, from->reason);
    }
}

ut_err ut_state_build(ut_state *state)
{
    const uint32_t count = count_of(state);
    if (count == 0)
        return UT_OK;
    state->rows = calloc(count, sizeof(*state->rows));
    if (state->rows == NULL)
        return UT_ENOMEM;
    change *changes = changes_of(state);
    qsort(changes, count, sizeof(*changes), compare);
    for (uint32_t i = 0; i < count; i++)
        changes[i].store = find_store(state, changes[i].store_name);
    state->several = state->store_count > 1;
    state->work = UT_STATE_WORK_MAX;
    for (uint32_t i = 0; i < count; i++) {
        ut_fault fault = {0};
        ut_err err = apply(state, &changes[i], &fault);
        if (err == UT_ENOMEM)
            return err;
        if (err != UT_OK)
            changes[i].reason = copy(&state->reasons, ut_bytes_of_z(fault.text_z));
        state->done = i + 1;
        if (state->reasons.err != UT_OK)
            return state->reasons.err;
        if (state->done % state->kept_every == 0 && state->work > 0 && (err = keep(state)) != UT_OK)
            return err;
    }
    make_rows(state);
    return UT_OK;
}

const ut_state_change *ut_state_changes(const ut_state *state, uint32_t *count, uint32_t *left_out)
{
    *count = state->rows == NULL ? 0 : count_of(state);
    *left_out = state->left_out;
    return state->rows;
}

// ---- states ----

// The number of changes at or before time_ns.
static uint32_t changes_until(const ut_state *state, uint64_t time_ns)
{
    const change *changes = changes_of(state);
    uint32_t low = 0;
    for (uint32_t high = count_of(state); low < high;) {
        const uint32_t middle = low + (high - low) / 2;
        if (changes[middle].time_ns <= time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Brings all stores to the state after `done` changes, from where they are or from the nearest kept
// state before it. Changes that failed in ut_state_build are passed.
static ut_err go_to(ut_state *state, uint32_t done)
{
    const kept *all = (const kept *)(const void *)state->kept.data;
    const kept *best = NULL;
    for (size_t i = 0; i < state->kept.len / sizeof(kept) && all[i].done <= done; i++)
        best = &all[i];
    ut_err err = UT_OK;
    if (best != NULL && (state->done > done || state->done < best->done))
        err = go_back_to(state, best);
    else if (state->done > done)
        forget_states(state);
    state->work = UT_STATE_WORK_MAX; // which was enough for all changes that did not fail
    while (err == UT_OK && state->done < done) {
        change *next = &changes_of(state)[state->done];
        if (next->reason.len == 0)
            err = apply(state, next, NULL);
        if (err == UT_OK)
            state->done++;
    }
    return err;
}

ut_err ut_state_at(ut_state *state, uint64_t time_ns, uint32_t *done, ut_buf *out)
{
    *done = changes_until(state, time_ns);
    ut_err err = go_to(state, *done);
    if (err != UT_OK)
        return err;
    if (!state->several) {
        if (state->store_count == 1 && state->stores[0].doc != NULL)
            ut_json_patch_write(state->stores[0].doc, out);
        else
            ut_buf_add_z(out, "{}");
        return out->err;
    }
    ut_json_writer json = ut_json_writer_of(out);
    ut_json_write_object(&json, NULL);
    for (uint32_t i = 0; i < state->store_count; i++) {
        if (state->stores[i].doc == NULL)
            continue;
        ut_json_write_key(&json, resolve(&state->text, state->stores[i].name));
        ut_json_patch_write(state->stores[i].doc, ut_json_write_raw(&json, NULL));
    }
    ut_json_write_close(&json);
    return out->err;
}
