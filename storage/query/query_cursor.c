// The place where a search goes on, as text; see query.h.
// Not for going on: query_spans.c.
#include "storage/query/query.h"

#include <xxhash.h>

// The bytes behind the hex digits: seq, ordinal, the question, its times, and a check sum of all
// before it. An earlier version had no times there, but in its question.
enum {
    AT_SEQ = 0,
    AT_ORDINAL = 8,
    AT_QUESTION = 12,
    AT_START = 16,
    AT_END = 24,
    AT_CHECK = 32,
    CURSOR_LEN = 36,
    EARLIER_AT_CHECK = 16,
    EARLIER_LEN = 20,
    NOT_BEGUN = UT_BLOCK_SPANS_MAX, // as ordinal
};

static uint32_t add_number(uint32_t hash, uint64_t value)
{
    uint8_t bytes[8];
    ut_put_be64(bytes, value);
    return XXH32(bytes, sizeof(bytes), hash);
}

static uint32_t add_text(uint32_t hash, ut_bytes text)
{
    hash = add_number(hash, text.len);
    return text.len > 0 ? XXH32(text.data, text.len, hash) : hash;
}

// Everything that decides which spans are visited and in which order; the times as asked for.
static uint32_t hash_question(const ut_search *search)
{
    const ut_filter *filter = search->filter;
    uint32_t hash = add_number(0, search->org);
    hash = add_number(hash, search->oldest_first);
    hash = add_number(hash, filter->by_trace);
    if (filter->by_trace)
        hash = XXH32(filter->trace_id, sizeof(filter->trace_id), hash);
    hash = add_text(hash, filter->since);
    hash = add_text(hash, filter->until);
    hash = add_text(hash, filter->service);
    hash = add_text(hash, filter->name);
    hash = add_number(hash, filter->kinds);
    hash = add_number(hash, filter->statuses);
    hash = add_number(hash, filter->duration_min_ns);
    hash = add_number(hash, filter->duration_max_ns);
    hash = add_text(hash, filter->message);
    hash = add_number(hash, (uint64_t)filter->roots_only << 1 | filter->llm_only);
    for (uint32_t i = 0; i < filter->term_count; i++) {
        const ut_filter_term *term = &filter->terms[i];
        hash = add_number(hash, (uint64_t)term->op << 8 | term->places);
        hash = add_text(hash, term->key);
        hash = add_text(hash, term->or_key);
        hash = add_text(hash, term->text);
    }
    return hash;
}

void ut_query_cursor_write(const ut_query_cursor *cursor, const ut_search *search,
                           char text_z[UT_QUERY_CURSOR_TEXT_MAX])
{
    uint8_t bytes[CURSOR_LEN];
    ut_put_be64(bytes + AT_SEQ, cursor->begun ? cursor->seq : 0);
    ut_put_be32(bytes + AT_ORDINAL, cursor->begun ? cursor->ordinal : NOT_BEGUN);
    ut_put_be32(bytes + AT_QUESTION, hash_question(search));
    ut_put_be64(bytes + AT_START, search->filter->start_ns);
    ut_put_be64(bytes + AT_END, search->filter->end_ns);
    ut_put_be32(bytes + AT_CHECK, XXH32(bytes, AT_CHECK, 0));
    _Static_assert(2 * CURSOR_LEN < UT_QUERY_CURSOR_TEXT_MAX, "room for the text");
    ut_hex_encode((ut_bytes){bytes, sizeof(bytes)}, text_z);
}

static bool has_check_sum(const uint8_t *bytes, size_t at)
{
    return ut_get_be32(bytes + at) == XXH32(bytes, at, 0);
}

ut_err ut_query_cursor_read(ut_bytes text, const ut_search *search, ut_query_cursor *cursor,
                            uint64_t *start_ns, uint64_t *end_ns)
{
    *cursor = (ut_query_cursor){.begun = false};
    uint8_t bytes[CURSOR_LEN];
    const size_t len = text.len / 2;
    if (text.len % 2 != 0 || (len != CURSOR_LEN && len != EARLIER_LEN) ||
        !ut_hex_decode(text, bytes))
        return UT_EFORMAT;
    if (len == EARLIER_LEN)
        return has_check_sum(bytes, EARLIER_AT_CHECK) ? UT_EVERSION : UT_EFORMAT;
    const uint32_t ordinal = ut_get_be32(bytes + AT_ORDINAL);
    if (!has_check_sum(bytes, AT_CHECK) || ordinal > NOT_BEGUN)
        return UT_EFORMAT;
    if (ut_get_be32(bytes + AT_QUESTION) != hash_question(search))
        return UT_EINVAL;
    if (ordinal != NOT_BEGUN)
        *cursor = (ut_query_cursor){
            .begun = true, .seq = ut_get_be64(bytes + AT_SEQ), .ordinal = ordinal};
    *start_ns = ut_get_be64(bytes + AT_START);
    *end_ns = ut_get_be64(bytes + AT_END);
    return UT_OK;
}
