// From a search to a file: what a slice of the search finds is encoded and written, slice by slice.
#include "agent/files/span_export.h"

#include "adapters/otlp/otlp.h"
#include "adapters/plain/csv_row.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    SLICE_BLOCKS = 8,
    PICKS_MAX = SLICE_BLOCKS * UT_BLOCK_SPANS_MAX,
    WRITE_BYTES = 1024 * 1024,            // so much is encoded before it is written
    OUTPUT_BYTES_MAX = 512 * 1024 * 1024, // one block as JSON: a block may hold a span of 80 MiB
    LENGTH_BYTES = 4,
};

// A span that matches.
typedef struct {
    uint64_t seq;
    uint32_t ordinal;
} pick;

typedef struct {
    ut_reader *reader;
    ut_export_format format;
    const ut_otlp_encoder *encoder; // NULL: CSV
    bool shown;                     // on a terminal
    ut_output_file *file;
    ut_export_counts *counts;
    ut_fault *fault;
    ut_buf out;
    ut_buf scratch; // a block's payload, or a field of CSV
    pick *picks;
    size_t pick_count;
} export;

static ut_err take_span(void *context, const ut_trace_span *span)
{
    export *e = context;
    if (e->encoder == NULL) {
        const size_t begin = e->out.len;
        const ut_err err = ut_csv_row(&e->out, &e->scratch, span, e->shown);
        if (err == UT_ECORRUPT) {
            e->out.err = UT_OK;
            e->out.len = begin;
            e->counts->blocks_damaged++;
            return UT_OK;
        }
        if (err != UT_OK)
            return err;
        e->counts->spans++;
        return e->out.len < WRITE_BYTES ? UT_OK : UT_ECANCELED;
    }
    e->picks[e->pick_count++] = (pick){span->seq, span->ordinal};
    return e->pick_count < PICKS_MAX ? UT_OK : UT_ECANCELED;
}

// Writes what is encoded, without holding a view: whoever reads the output may be slow.
static ut_err flush(export *e)
{
    if (e->out.len == 0)
        return UT_OK;
    ut_store_view_end(e->reader->view);
    ut_err err = ut_output_file_write(e->file, ut_buf_bytes(&e->out), e->fault);
    if (err != UT_OK)
        return err;
    e->counts->bytes += e->out.len;
    ut_buf_reset(&e->out, 4 * WRITE_BYTES);
    err = ut_store_view_begin(e->reader->view);
    return err == UT_OK ? UT_OK
                        : ut_fault_set(e->fault, err, "cannot go on reading the store: %s",
                                       ut_err_text(err));
}

// Appends one request of the picks, which are of one block and rise.
static ut_err encode(export *e, const ut_block *block, const pick *picks, size_t count)
{
    const size_t begin = e->out.len;
    const bool delimited = e->format == UT_EXPORT_OTLP_PROTOBUF;
    if (delimited)
        ut_buf_add(&e->out, "\0\0\0\0", LENGTH_BYTES);
    e->encoder->begin(&e->out);
    // Neighbours go together: a block of which all spans match is one run.
    for (size_t from = 0; from < count;) {
        size_t to = from + 1;
        while (to < count && picks[to].ordinal == picks[to - 1].ordinal + 1)
            to++;
        const ut_err err =
            e->encoder->add(&e->out, block, picks[from].ordinal, picks[to - 1].ordinal + 1);
        if (err != UT_OK)
            return err;
        from = to;
    }
    e->encoder->end(&e->out);
    if (!delimited)
        ut_buf_add_byte(&e->out, '\n');
    if (e->out.err == UT_OK && delimited)
        ut_put_be32(e->out.data + begin, (uint32_t)(e->out.len - begin - LENGTH_BYTES));
    return e->out.err;
}

static ut_err write_block(export *e, const pick *picks, size_t count)
{
    ut_block block;
    const uint64_t seq = picks[0].seq;
    const size_t begin = e->out.len;
    ut_err err = ut_store_read_block(e->reader->view, UT_ORG_DEFAULT, seq, &e->scratch, &block);
    if (err == UT_OK)
        err = encode(e, &block, picks, count);
    if (err == UT_ENOTFOUND)
        return ut_leavers_look(&e->counts->leavers,
                               e->reader->view); // while the output was written
    if (err == UT_ECORRUPT) {
        e->out.len = begin;
        e->counts->blocks_damaged++;
        return UT_OK;
    }
    if (err != UT_OK)
        return ut_fault_set(e->fault, err, "cannot encode block %llu: %s", (unsigned long long)seq,
                            ut_err_text(err));
    e->counts->spans += count;
    return e->out.len < WRITE_BYTES ? UT_OK : flush(e);
}

static ut_err write_picks(export *e)
{
    ut_err err = UT_OK;
    for (size_t from = 0; from < e->pick_count && err == UT_OK;) {
        size_t to = from + 1;
        while (to < e->pick_count && e->picks[to].seq == e->picks[from].seq)
            to++;
        err = write_block(e, e->picks + from, to - from);
        from = to;
    }
    e->pick_count = 0;
    return err;
}

ut_err ut_span_export(ut_reader *reader, const ut_filter *filter, ut_export_format format,
                      ut_output_file *file, ut_progress_bar *bar, ut_export_counts *counts,
                      int *signal_number, ut_fault *fault)
{
    export e = {.reader = reader,
                .format = format,
                .encoder = format == UT_EXPORT_OTLP_JSON       ? &ut_otlp_json_encoder
                           : format == UT_EXPORT_OTLP_PROTOBUF ? &ut_otlp_protobuf_encoder
                                                               : NULL,
                .shown = isatty(file->fd) == 1,
                .file = file,
                .counts = counts,
                .fault = fault};
    const ut_search search = {
        .org = UT_ORG_DEFAULT, .filter = filter, .oldest_first = true, .blocks_max = SLICE_BLOCKS};
    ut_query_cursor cursor = {0};
    ut_search_work work = {0};
    ut_store_counts stored;
    ut_err err = UT_OK;

    *counts = (ut_export_counts){0};
    *signal_number = 0;
    ut_buf_init(&e.out, OUTPUT_BYTES_MAX);
    ut_buf_init(&e.scratch, UT_BLOCK_PAYLOAD_MAX);
    ut_store_get_counts(reader->store, &stored);
    const uint64_t blocks = stored.blocks_stored - stored.blocks_removed;
    e.picks = calloc(PICKS_MAX, sizeof(*e.picks));
    if (e.picks == NULL) {
        err = ut_fault_set(fault, UT_ENOMEM, "%s", ut_err_text(UT_ENOMEM));
        goto done;
    }
    if (e.encoder == NULL)
        ut_csv_head(&e.out);
    for (bool more = true; more;) {
        err = ut_leavers_look(&counts->leavers, reader->view);
        if (err == UT_OK)
            err = ut_query_spans(reader->view, &search, &cursor, &work, &more, take_span, &e);
        if (err == UT_ECANCELED) {
            err = UT_OK;
            more = true;
        }
        if (err != UT_OK) {
            (void)ut_fault_set(fault, err, "cannot read the store: %s", ut_err_text(err));
            goto done;
        }
        err = write_picks(&e);
        if (err == UT_OK)
            err = flush(&e);
        if (err != UT_OK)
            goto done;
        *signal_number = ut_output_file_interrupted(file);
        if (*signal_number != 0) {
            err = ut_fault_set(fault, UT_ECANCELED, "interrupted");
            goto done;
        }
        ut_store_view_end(reader->view);
        err = ut_store_view_begin(reader->view);
        if (err != UT_OK) {
            (void)ut_fault_set(fault, err, "cannot go on reading the store: %s", ut_err_text(err));
            goto done;
        }
        ut_progress_bar_draw(bar, work.blocks_read + work.blocks_pruned + work.blocks_damaged,
                             blocks, "blocks");
    }
done:
    counts->blocks_damaged += work.blocks_damaged;
    ut_buf_free(&e.out);
    ut_buf_free(&e.scratch);
    free(e.picks);
    return err;
}
