// Looks for services in a bounded number of blocks; see service_names.h.
#include "agent/query/service_names.h"

#include "port/base/order.h"

#include <stdlib.h>

enum { SLICES = 16 }; // of a search that the summaries of the blocks shorten

static ut_err end_at_once(void *context, const ut_trace_span *span)
{
    (void)context;
    (void)span;
    return UT_ECANCELED;
}

// One slice of a search, in a view of its own.
static ut_err run_slice(ut_reader *reader, const ut_search *search, ut_query_cursor *cursor,
                        bool *more, ut_trace_span_visitor visitor)
{
    ut_search_work unused = {0};
    ut_err err = ut_store_view_begin(reader->view);
    if (err == UT_OK)
        err = ut_query_spans(reader->view, search, cursor, &unused, more, visitor);
    ut_store_view_end(reader->view);
    return err;
}

bool ut_service_names_lack(ut_reader *reader, ut_bytes glob)
{
    ut_filter filter = ut_filter_all();
    filter.service = glob;
    const ut_search search = {.org = UT_ORG_DEFAULT, .filter = &filter, .oldest_first = true};
    ut_query_cursor cursor = {.begun = false};
    bool more = true;
    ut_err err = UT_OK;
    for (uint32_t i = 0; i < SLICES && more && err == UT_OK; i++)
        err =
            run_slice(reader, &search, &cursor, &more, (ut_trace_span_visitor){end_at_once, NULL});
    return err == UT_OK && !more;
}

static ut_err note_service(void *context, const ut_trace_span *span)
{
    ut_service_names *names = context;
    const ut_bytes service = ut_span_service(span->resource.attributes);
    const size_t len = ut_min_size(service.len, UT_SERVICE_NAME_BYTES_MAX);
    if (len == 0)
        return UT_OK;
    for (uint32_t i = names->count; i > 0; i--) {
        if (names->names[i - 1].len == len &&
            memcmp(names->names[i - 1].text, service.data, len) == 0)
            return UT_OK;
    }
    names->more = names->count == UT_SERVICE_NAMES_MAX;
    if (names->more)
        return UT_ECANCELED;
    names->names[names->count].len = (uint8_t)len;
    memcpy(names->names[names->count].text, service.data, len);
    names->count++;
    return UT_OK;
}

static size_t common_len(ut_bytes a, ut_bytes b)
{
    size_t len = 0;
    while (len < a.len && len < b.len && a.data[len] == b.data[len])
        len++;
    return len;
}

static ut_bytes name_at(const ut_service_names *names, uint32_t i)
{
    return ut_bytes_of(names->names[i].text, names->names[i].len);
}

static bool comes_before(ut_bytes a, ut_bytes b, ut_bytes like)
{
    const size_t a_len = common_len(a, like);
    const size_t b_len = common_len(b, like);
    return a_len != b_len ? a_len > b_len : ut_bytes_compare(a, b) < 0;
}

void ut_service_names_read(ut_reader *reader, ut_bytes like, ut_service_names *names)
{
    const ut_filter all = ut_filter_all();
    const ut_search search = {.org = UT_ORG_DEFAULT, .filter = &all};
    ut_query_cursor cursor = {.begun = false};
    bool more = false;
    names->count = 0;
    names->more = false;
    (void)run_slice(reader, &search, &cursor, &more, (ut_trace_span_visitor){note_service, names});
    names->more = names->more || more;
    for (uint32_t i = 1; i < names->count; i++) {
        for (uint32_t k = i; k > 0 && comes_before(name_at(names, k), name_at(names, k - 1), like);
             k--) {
            const ut_service_name kept = names->names[k];
            names->names[k] = names->names[k - 1];
            names->names[k - 1] = kept;
        }
    }
}
