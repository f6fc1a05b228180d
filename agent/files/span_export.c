// From a search to a file: the spans that a slice of the search finds are encoded and written
// before the next slice. See span_export.h.
#include "agent/files/span_export.h"

#include "adapters/otlp/otlp.h"
#include "adapters/plain/csv_row.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    SLICE_BLOCKS = 8,
    PICKS_MAX = SLICE_BLOCKS * UT_BLOCK_SPANS_MAX,
    WRITE_BYTES = 1024 * 1024,            // encoded bytes that are worth a write
    OUTPUT_BYTES_MAX = 512 * 1024 * 1024, // one block as JSON: a block may hold a span of 80 MiB
    LENGTH_BYTES = 4,
};

// The place of a span that matches.
typedef struct {
    uint64_t seq;
    uint32_t ordinal;
} pick;

typedef struct {
    const ut_export_job *job;
    ut_export_result *result;
    ut_fault *fault;
    const ut_otlp_encoder *encoder; // NULL: CSV
    ut_csv_form form;
    ut_search search;
    ut_query_cursor cursor;
    ut_search_work work;
    ut_buf out;     // encoded, not written yet
    ut_buf scratch; // the payload of a block, or a field of CSV
    pick *picks;
    size_t pick_count;
} export;

static ut_err take_span(void *context, const ut_trace_span *span)
{
    export *e = context;
    if (e->encoder == NULL) {
        const size_t begin = e->out.len;
        const ut_err err = ut_csv_row(&e->out, &e->scratch, span, e->form);
        if (err == UT_ECORRUPT) {
            e->out.err = UT_OK;
            e->out.len = begin;
            e->result->blocks_damaged++;
            return UT_OK;
        }
        if (err != UT_OK)
            return err;
        e->result->spans++;
        return e->out.len < WRITE_BYTES ? UT_OK : UT_ECANCELED;
    }
    e->picks[e->pick_count++] = (pick){span->seq, span->ordinal};
    return e->pick_count < PICKS_MAX ? UT_OK : UT_ECANCELED;
}

static ut_err read_fault(const export *e, ut_err err)
{
    return ut_fault_set(e->fault, err, "cannot read the store: %s", ut_err_text(err));
}

static ut_err begin_view(const export *e)
{
    const ut_err err = ut_store_view_begin(e->job->reader->view);
    return err == UT_OK ? UT_OK
                        : ut_fault_set(e->fault, err, "cannot go on reading the store: %s",
                                       ut_err_text(err));
}

// Writes the encoded bytes without holding a view: the reader of the output may be slow.
static ut_err flush(export *e)
{
    if (e->out.len == 0)
        return UT_OK;
    ut_store_view_end(e->job->reader->view);
    ut_err err = ut_output_file_write(e->job->file, ut_buf_bytes(&e->out), e->fault);
    if (err != UT_OK)
        return err;
    e->result->bytes += e->out.len;
    ut_buf_reset(&e->out, 4 * WRITE_BYTES);
    return begin_view(e);
}

// Appends one request of the picks, which stand in one block and rise.
static ut_err encode(export *e, const ut_block *block, const pick *picks, size_t count)
{
    const size_t begin = e->out.len;
    const bool delimited = e->job->format == UT_EXPORT_OTLP_PROTOBUF;
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
    ut_store_view *view = e->job->reader->view;
    const uint64_t seq = picks[0].seq;
    const size_t begin = e->out.len;
    ut_err err = ut_store_read_block(view, UT_ORG_DEFAULT, seq, &e->scratch, &block);
    if (err == UT_ENOTFOUND) { // it left while the output was written
        err = ut_leavers_look(&e->result->leavers, view);
        return err == UT_OK ? UT_OK : read_fault(e, err);
    }
    if (err == UT_OK)
        err = encode(e, &block, picks, count);
    if (err == UT_ECORRUPT) {
        e->out.len = begin;
        e->result->blocks_damaged++;
        return begin_view(e); // pages that are damaged end a view
    }
    if (err != UT_OK)
        return ut_fault_set(e->fault, err, "cannot encode block %llu: %s", (unsigned long long)seq,
                            ut_err_text(err));
    e->result->spans += count;
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

// Searches one slice and writes what it found. more: out, whether another slice follows.
static ut_err run_slice(export *e, bool *more)
{
    ut_store_view *view = e->job->reader->view;
    ut_err err = ut_leavers_look(&e->result->leavers, view);
    if (err == UT_OK)
        err = ut_query_spans(view, &e->search, &e->cursor, &e->work, more,
                             (ut_trace_span_visitor){take_span, e});
    if (err == UT_ECANCELED) { // take_span has enough for now
        *more = true;
        err = UT_OK;
    }
    if (err != UT_OK)
        return read_fault(e, err);
    err = write_picks(e);
    return err == UT_OK ? flush(e) : err;
}

// Between two slices: looks for a signal, lets the store reuse the pages of the view, and draws how
// far the export is. blocks: in the store when the export began.
static ut_err between_slices(export *e, uint64_t blocks)
{
    const ut_search_work *work = &e->work;
    e->result->signal_number = ut_output_file_interrupted(e->job->file);
    if (e->result->signal_number != 0)
        return ut_fault_set(e->fault, UT_ECANCELED, "interrupted");
    ut_store_view_end(e->job->reader->view);
    const ut_err err = begin_view(e);
    if (err == UT_OK)
        ut_progress_bar_draw(e->job->bar,
                             work->blocks_read + work->blocks_pruned + work->blocks_damaged, blocks,
                             "blocks");
    return err;
}

static const ut_otlp_encoder *encoder_of(ut_export_format format)
{
    return format == UT_EXPORT_OTLP_JSON       ? &ut_otlp_json_encoder
           : format == UT_EXPORT_OTLP_PROTOBUF ? &ut_otlp_protobuf_encoder
                                               : NULL;
}

ut_err ut_span_export(const ut_export_job *job, ut_export_result *result, ut_fault *fault)
{
    export e = {
        .job = job,
        .result = result,
        .fault = fault,
        .encoder = encoder_of(job->format),
        .form = {.shown = isatty(job->file->fd) == 1, .formulas = job->formulas},
        .search = {.org = UT_ORG_DEFAULT,
                   .filter = job->filter,
                   .oldest_first = true,
                   .blocks_max = SLICE_BLOCKS},
        .picks = calloc(PICKS_MAX, sizeof(pick)),
    };
    ut_store_counts stored;
    ut_err err = UT_OK;
    *result = (ut_export_result){0};
    ut_buf_init(&e.out, OUTPUT_BYTES_MAX);
    ut_buf_init(&e.scratch, UT_BLOCK_PAYLOAD_MAX);
    ut_store_get_counts(job->reader->store, &stored);
    if (e.picks == NULL)
        err = ut_fault_set(fault, UT_ENOMEM, "%s", ut_err_text(UT_ENOMEM));
    else if (e.encoder == NULL)
        ut_csv_head(&e.out);
    for (bool more = true; more && err == UT_OK;) {
        err = run_slice(&e, &more);
        if (err == UT_OK)
            err = between_slices(&e, stored.blocks_stored - stored.blocks_removed);
    }
    result->blocks_damaged += e.work.blocks_damaged;
    ut_buf_free(&e.out);
    ut_buf_free(&e.scratch);
    free(e.picks);
    return err;
}
