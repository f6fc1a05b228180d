// One whole trace as an OTLP/JSON request: the spans are encoded from the blocks they stand in, so
// that nothing is lost on the way.
#include "agent/files/trace_otlp.h"

#include "adapters/otlp/otlp.h"
#include "agent/cli/term.h"

enum {
    PLACES_MAX = 16 * 1024 * 1024,         // spans of one trace
    OUTPUT_BYTES_MAX = 1024 * 1024 * 1024, // the whole trace as JSON
};

// The place of a span in the store.
typedef struct {
    uint64_t seq;
    uint32_t ordinal;
} place;

static ut_err take_place(void *context, const ut_trace_span *span)
{
    ut_buf *places = context;
    const place at = {span->seq, span->ordinal};
    ut_buf_add(places, &at, sizeof(at));
    return places->err;
}

// Adds the spans of one block; spans that are neighbours in it are added with one call.
static ut_err add_block(ut_store_view *view, const place *places, size_t count, ut_buf *payload,
                        ut_buf *out)
{
    ut_block block;
    ut_err err = ut_store_read_block(view, UT_ORG_DEFAULT, places[0].seq, payload, &block);
    for (size_t from = 0; from < count && err == UT_OK;) {
        size_t to = from + 1;
        while (to < count && places[to].ordinal == places[to - 1].ordinal + 1)
            to++;
        err =
            ut_otlp_json_encoder.add(out, &block, places[from].ordinal, places[to - 1].ordinal + 1);
        from = to;
    }
    return err;
}

ut_err ut_trace_otlp_print(ut_reader *reader, const uint8_t trace_id[UT_TRACE_ID_LEN],
                           uint32_t *damaged)
{
    ut_buf place_bytes;
    ut_buf payload;
    ut_buf out;
    ut_buf_init(&place_bytes, PLACES_MAX * sizeof(place));
    ut_buf_init(&payload, UT_BLOCK_PAYLOAD_MAX);
    ut_buf_init(&out, OUTPUT_BYTES_MAX);
    ut_err err =
        ut_query_trace(reader->view, UT_ORG_DEFAULT, trace_id, damaged, take_place, &place_bytes);
    const place *places = (const place *)(const void *)place_bytes.data;
    const size_t count = place_bytes.len / sizeof(place);
    ut_otlp_json_encoder.begin(&out);
    for (size_t from = 0; from < count && err == UT_OK;) {
        size_t to = from + 1;
        while (to < count && places[to].seq == places[from].seq)
            to++;
        err = add_block(reader->view, places + from, to - from, &payload, &out);
        from = to;
    }
    ut_otlp_json_encoder.end(&out);
    ut_buf_add_byte(&out, '\n');
    ut_store_view_end(reader->view); // the reader of the output may be slow
    if (err == UT_OK)
        err = ut_term_write(&out);
    ut_buf_free(&place_bytes);
    ut_buf_free(&payload);
    ut_buf_free(&out);
    return err;
}
