// Reads names from a store; see store_words.h.
#include "agent/commands/store_words.h"

#include "agent/query/reader.h"
#include "port/base/buf.h"

enum {
    WORDS_MAX = 200,
    BLOCKS_MAX = 64, // newest blocks that are read for names
    BYTES_MAX = 64 * 1024,
};

typedef struct {
    ut_store_words kind;
    ut_store_word_visit visit;
    void *context;
    ut_buf seen; // the words so far, each with a NUL behind it
    size_t count;
} collection;

static bool is_seen(const collection *c, ut_bytes word)
{
    for (size_t at = 0; at < c->seen.len;) {
        const char *const seen_z = (const char *)c->seen.data + at;
        const size_t len = strlen(seen_z);
        if (len == word.len && memcmp(seen_z, word.data, len) == 0)
            return true;
        at += len + 1;
    }
    return false;
}

static ut_err collect(collection *c, ut_bytes word)
{
    if (word.len == 0 || memchr(word.data, '\0', word.len) != NULL || is_seen(c, word))
        return UT_OK;
    ut_buf_add_bytes(&c->seen, word);
    ut_buf_add_byte(&c->seen, '\0');
    if (c->seen.err != UT_OK)
        return c->seen.err;
    c->visit(c->context, word);
    return ++c->count == WORDS_MAX ? UT_ECANCELED : UT_OK;
}

static ut_err collect_span(void *context, const ut_trace_span *row)
{
    collection *c = context;
    return collect(c, c->kind == UT_STORE_WORDS_NAMES ? row->span.name
                                                      : ut_span_service(row->resource.attributes));
}

static ut_err collect_trace(void *context, const ut_trace_row *row)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * UT_TRACE_ID_LEN];
    for (size_t i = 0; i < UT_TRACE_ID_LEN; i++) {
        hex[2 * i] = digits[row->trace_id[i] >> 4];
        hex[2 * i + 1] = digits[row->trace_id[i] & 15];
    }
    return collect(context, ut_bytes_of(hex, sizeof(hex)));
}

void ut_store_words_visit(ut_store_words kind, const char *data_dir_z, const char *config_z,
                          ut_store_word_visit visit, void *context)
{
    ut_reader reader;
    ut_fault fault = {UT_OK, ""};
    collection c = {.kind = kind, .visit = visit, .context = context};
    if (ut_reader_open(data_dir_z, config_z, &reader, &fault) != UT_OK)
        return;
    ut_buf_init(&c.seen, BYTES_MAX);
    if (kind == UT_STORE_WORDS_TRACES) {
        (void)ut_query_traces(reader.view, UT_ORG_DEFAULT, WORDS_MAX, collect_trace, &c);
    } else {
        const ut_filter filter = ut_filter_all();
        const ut_search search = {
            .org = UT_ORG_DEFAULT, .filter = &filter, .blocks_max = BLOCKS_MAX};
        ut_query_cursor cursor = {0};
        ut_search_work work = {0};
        bool more = false;
        (void)ut_query_spans(reader.view, &search, &cursor, &work, &more,
                             (ut_trace_span_visitor){collect_span, &c});
    }
    ut_buf_free(&c.seen);
    ut_reader_close(&reader);
}
