// Fuzzes JSON patches and their replay: each line is a change; a state is the same whether time
// went forward to it or back.
#include "adapters/state/json_patch.h"
#include "adapters/state/state_patch.h"

#include <stdlib.h>

enum { CHANGES_MAX = 64, BYTES_MAX = 1 << 26 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_line(ut_state *states, uint64_t time_ns, ut_bytes line)
{
    static const uint8_t span_id[UT_SPAN_ID_LEN] = {1};
    // A line may begin with a digit and a colon: the number of its store.
    const bool named = line.len > 2 && line.data[1] == ':';
    const ut_bytes text = named ? ut_bytes_of(line.data + 2, line.len - 2) : line;
    const ut_event event = {.time_ns = time_ns, .name = UT_BYTES_LIT("set_state")};
    ut_buf events;
    ut_buf_init(&events, BYTES_MAX);
    ut_mp_put_array(&events, 1);
    ut_event_write_head(&events, 0, &event);
    ut_mp_put_map(&events, named ? 2 : 1);
    ut_mp_put_str(&events, UT_BYTES_LIT("state.patch"));
    ut_mp_put_str(&events, text);
    if (named) {
        ut_mp_put_str(&events, UT_BYTES_LIT("state.id"));
        ut_mp_put_str(&events, ut_bytes_of(line.data, 1));
    }
    ut_event_write_tail(&events, &event);
    const ut_span span = {.span_id = ut_bytes_of(span_id, sizeof(span_id)),
                          .events = ut_buf_bytes(&events)};
    UT_ASSERT(events.err == UT_OK);
    UT_ASSERT(ut_state_add(states, &span) == UT_OK);
    ut_buf_free(&events);
}

// What is written reads back as the same.
static void check_text(ut_bytes text)
{
    uint64_t work = UT_STATE_WORK_MAX;
    const ut_json_patch_limits limits = {BYTES_MAX, &work};
    yyjson_mut_doc *doc = NULL;
    size_t bytes = 0;
    ut_buf again;
    ut_buf_init(&again, BYTES_MAX);
    const ut_err err = ut_json_patch_read(text, &limits, &doc, &bytes, NULL);
    if (err == UT_ELIMIT)
        return; // several stores around it may nest one level deeper than one state may
    UT_ASSERT(err == UT_OK);
    ut_json_patch_write(doc, &again);
    UT_ASSERT(ut_bytes_equal(ut_buf_bytes(&again), text));
    ut_buf_free(&again);
    yyjson_mut_doc_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ut_state *states = NULL;
    UT_ASSERT(ut_state_new(NULL, &states) == UT_OK);
    uint32_t lines = 0;
    for (size_t from = 0; from < size && lines < CHANGES_MAX; lines++) {
        size_t to = from;
        while (to < size && data[to] != '\n')
            to++;
        add_line(states, lines + 1, ut_bytes_of(data + from, to - from));
        from = to + 1;
    }
    UT_ASSERT(ut_state_build(states) == UT_OK);
    uint32_t count = 0;
    uint32_t left_out = 0;
    const ut_state_change *changes = ut_state_changes(states, &count, &left_out);
    UT_ASSERT(count == lines && left_out == 0);
    for (uint32_t i = 0; i < count; i++)
        UT_ASSERT(changes[i].reason.len > 0 || changes[i].form != UT_STATE_NONE);

    ut_buf forward[CHANGES_MAX + 1];
    uint32_t done = 0;
    for (uint32_t time = 0; time <= lines; time++) {
        ut_buf_init(&forward[time], BYTES_MAX);
        UT_ASSERT(ut_state_at(states, time, &done, &forward[time]) == UT_OK);
        UT_ASSERT(done == time);
        check_text(ut_buf_bytes(&forward[time]));
    }
    for (uint32_t time = lines + 1; time-- > 0;) {
        ut_buf back;
        ut_buf_init(&back, BYTES_MAX);
        UT_ASSERT(ut_state_at(states, time, &done, &back) == UT_OK);
        UT_ASSERT(ut_bytes_equal(ut_buf_bytes(&back), ut_buf_bytes(&forward[time])));
        ut_buf_free(&back);
        ut_buf_free(&forward[time]);
    }
    ut_state_free(states);
    return 0;
}
