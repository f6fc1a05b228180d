// Rows of traces; see trace_rows.h.
#include "storage/query/trace_rows.h"

#include "storage/store/store_view.h"
#include "storage/store/trace_find.h"

enum { SEQS_BYTES_MAX = 1 << 30, TEXT_KEEP_BYTES = 64 * 1024 };

ut_err ut_trace_rows_open(ut_trace_rows *rows, ut_store_view *view, uint32_t org)
{
    *rows = (ut_trace_rows){.view = view, .org = org};
    ut_buf_init(&rows->seqs, SEQS_BYTES_MAX);
    ut_buf_init(&rows->text, 2 * (size_t)UT_BLOCK_PAYLOAD_MAX);
    ut_root_names_init(&rows->names, view, org);
    return ut_txn_cursor(ut_store_view_txn(view), &rows->entries);
}

void ut_trace_rows_close(ut_trace_rows *rows)
{
    if (rows->entries != NULL)
        ut_cursor_close(rows->entries);
    ut_root_names_free(&rows->names);
    ut_buf_free(&rows->seqs);
    ut_buf_free(&rows->text);
}

// ---- sums ----

static void add_part(ut_trace_sum *sum, const ut_trace_part *part)
{
    const bool first = sum->span_count == 0;
    sum->span_count += part->count;
    if (part->status > sum->status)
        sum->status = part->status;
    ut_trace_time_add(&sum->time, part->start_ns, part->end_ns);
    sum->any_legacy = sum->any_legacy || part->legacy;
    if (first || (part->has_root && !sum->has_root) ||
        (!sum->has_root && ut_trace_time_earlier(part->start_ns, sum->shown_start_ns))) {
        sum->shown_seq = part->seq;
        sum->shown_ordinal = part->root_ordinal;
        sum->shown_start_ns = part->start_ns;
    }
    sum->has_root = sum->has_root || part->has_root;
    if (part->head && (!sum->any_head || (part->has_root && !sum->head_of_root))) {
        sum->any_head = true;
        sum->head_of_root = part->has_root;
        sum->head_legacy = part->legacy;
        sum->head_seq = part->seq;
    }
}

ut_err ut_trace_rows_sum(ut_trace_rows *rows, const uint8_t trace_id[UT_TRACE_ID_LEN],
                         ut_trace_sum *sum)
{
    *sum = (ut_trace_sum){.span_count = 0};
    ut_err err = ut_trace_find(ut_store_view_txn(rows->view), rows->org, trace_id, &rows->seqs);
    const uint64_t *seqs = (const uint64_t *)(const void *)rows->seqs.data;
    for (size_t i = 0; i < rows->seqs.len / sizeof(uint64_t) && err == UT_OK; i++) {
        ut_trace_part part;
        err = ut_trace_part_read(rows->entries, rows->org, seqs[i], trace_id, &part);
        if (err == UT_OK && part.count > 0)
            add_part(sum, &part);
        if (err == UT_ENOTFOUND || err == UT_ECORRUPT)
            err = UT_OK;
    }
    return err;
}

// ---- rows ----

// The walk over a trace of an earlier version, whose index does not tell which span is shown.
typedef struct {
    ut_buf *text; // name, then service
    ut_trace_row *row;
    ut_trace_time time;
    uint64_t shown_seq;
    uint64_t shown_start_ns;
    size_t name_len;
} walk;

static ut_err add_span(void *context, const ut_trace_span *found)
{
    walk *w = context;
    const ut_span *span = &found->span;
    ut_trace_row *row = w->row;
    const bool root = ut_bytes_all_zero(span->parent_span_id);
    const bool earlier = ut_trace_time_earlier(span->start_ns, w->shown_start_ns);
    const bool in_turn =
        !root || found->seq == w->shown_seq; // the first root, or the earliest span
    if (row->span_count == 0 || (root && !row->has_root) ||
        (root == row->has_root && in_turn && earlier)) {
        w->shown_seq = found->seq;
        w->shown_start_ns = span->start_ns;
        w->name_len = span->name.len;
        ut_buf_reset(w->text, TEXT_KEEP_BYTES);
        ut_buf_add_bytes(w->text, span->name);
        ut_buf_add_bytes(w->text, ut_span_service(found->resource.attributes));
    }
    row->has_root = row->has_root || root;
    row->span_count += 1;
    if (span->status_code > row->status && span->status_code <= UT_STATUS_ERROR)
        row->status = (uint8_t)span->status_code;
    ut_trace_time_add(&w->time, span->start_ns, span->end_ns);
    return w->text->err;
}

static ut_err fill_by_walk(ut_trace_rows *rows, const uint8_t trace_id[UT_TRACE_ID_LEN],
                           ut_trace_row *row)
{
    uint32_t damaged;
    walk w = {.text = &rows->text, .row = row};
    row->span_count = 0;
    row->has_root = false;
    const ut_err err = ut_query_trace(rows->view, rows->org, trace_id, &damaged, add_span, &w);
    row->start_ns = w.time.start_ns;
    row->duration_ns = w.time.end_ns - w.time.start_ns;
    if (rows->text.len > 0) {
        row->name = ut_bytes_of(rows->text.data, w.name_len);
        row->service = ut_bytes_of(rows->text.data + w.name_len, rows->text.len - w.name_len);
    }
    return err;
}

ut_err ut_trace_rows_fill(ut_trace_rows *rows, const uint8_t trace_id[UT_TRACE_ID_LEN],
                          const ut_trace_sum *sum, ut_trace_row *row)
{
    *row = (ut_trace_row){
        .start_ns = sum->time.start_ns,
        .duration_ns = sum->time.end_ns - sum->time.start_ns,
        .status = sum->status,
        .span_count = sum->span_count,
        .has_root = sum->has_root,
    };
    memcpy(row->trace_id, trace_id, UT_TRACE_ID_LEN);
    if (!sum->any_legacy)
        return ut_root_names_fill(&rows->names, trace_id, sum->shown_seq, sum->shown_ordinal,
                                  &row->service, &row->name);
    ut_buf_reset(&rows->text, TEXT_KEEP_BYTES);
    const ut_err err = fill_by_walk(rows, trace_id, row);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// ---- traces that somebody knows ----

ut_err ut_query_trace_rows(ut_store_view *view, uint32_t org, const uint8_t (*ids)[UT_TRACE_ID_LEN],
                           uint32_t count, ut_trace_row_visit visit, void *context)
{
    ut_trace_rows rows;
    ut_err err = ut_trace_rows_open(&rows, view, org);
    for (uint32_t i = 0; i < count && err == UT_OK; i++) {
        ut_trace_sum sum;
        ut_trace_row row;
        err = ut_trace_rows_sum(&rows, ids[i], &sum);
        if (err != UT_OK || sum.span_count == 0)
            continue;
        err = ut_trace_rows_fill(&rows, ids[i], &sum, &row);
        if (err == UT_OK)
            err = visit(context, &row);
    }
    ut_trace_rows_close(&rows);
    return err;
}
