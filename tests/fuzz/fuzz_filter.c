// Fuzzes what a search reads from people and from a damaged disk: conditions, cursors, patterns,
// spans with broken attributes, summaries and their Bloom filters. The first byte chooses.
#include "storage/query/query.h"
#include "storage/store/block_summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_term(ut_bytes text)
{
    ut_filter_term term;
    ut_fault fault;
    ut_filter filter = ut_filter_all();
    if (ut_filter_term_read(text, &term, &fault) != UT_OK)
        return;
    UT_ASSERT(term.key.len > 0 && term.key.len + term.text.len <= text.len);
    filter.terms[filter.term_count++] = term;
    ut_err err = ut_filter_check(&filter, &fault);
    UT_ASSERT(err == UT_OK || err == UT_ELIMIT);
    ut_filter_number number;
    (void)ut_filter_number_read(text, &number);
}

static void read_cursor(ut_bytes text)
{
    ut_filter filter = ut_filter_all();
    ut_search search = {.org = 1, .filter = &filter};
    ut_query_cursor cursor;
    if (ut_query_cursor_read(text, &search, &cursor, &filter.start_ns, &filter.end_ns) != UT_OK)
        return;
    char text_z[UT_QUERY_CURSOR_TEXT_MAX];
    ut_query_cursor again;
    ut_query_cursor_write(&cursor, &search, text_z);
    uint64_t start_ns;
    uint64_t end_ns;
    UT_ASSERT(ut_query_cursor_read(ut_bytes_of_z(text_z), &search, &again, &start_ns, &end_ns) ==
              UT_OK);
    UT_ASSERT(start_ns == filter.start_ns && end_ns == filter.end_ns);
    UT_ASSERT(again.begun == cursor.begun && again.seq == cursor.seq &&
              again.ordinal == cursor.ordinal);
}

// A condition up to the first zero byte, and the raw attributes of span, event, resource and scope
// behind it.
static void match(ut_bytes input)
{
    size_t at = 0;
    while (at < input.len && input.data[at] != 0)
        at += 1;
    ut_bytes rest = {input.data + at, input.len - at};
    if (rest.len > 0)
        rest = (ut_bytes){rest.data + 1, rest.len - 1};
    ut_filter filter = ut_filter_all();
    ut_fault fault;
    filter.term_count = 1;
    if (ut_filter_term_read((ut_bytes){input.data, at}, &filter.terms[0], &fault) != UT_OK ||
        ut_filter_check(&filter, &fault) != UT_OK)
        return;
    ut_span span = {.name = rest, .status_message = rest, .attributes = rest, .events = rest};
    ut_scope scope = {.attributes = rest};
    ut_resource resource = {.attributes = rest};
    bool holds = ut_filter_match(&filter, &span, &scope, &resource);
    // In any place is the sum of the places.
    bool sum = false;
    for (unsigned place = UT_FILTER_IN_SPAN; place <= UT_FILTER_IN_SCOPE; place *= 2) {
        ut_filter one = filter;
        one.terms[0].places = (uint8_t)(place & filter.terms[0].places);
        sum = sum || (one.terms[0].places != 0 && ut_filter_match(&one, &span, &scope, &resource));
    }
    UT_ASSERT(holds == sum);
    filter.service = filter.name = filter.message = filter.terms[0].text;
    filter.llm_only = true;
    (void)ut_filter_match(&filter, &span, &scope, &resource);
}

static void glob(ut_bytes input)
{
    size_t half = input.len / 2;
    ut_bytes pattern = {input.data, half < UT_FILTER_TEXT_MAX ? half : UT_FILTER_TEXT_MAX};
    ut_bytes text = {input.data + half, input.len - half};
    bool fits = ut_filter_glob(pattern, text);
    UT_ASSERT(ut_filter_is_glob(pattern) || fits == ut_bytes_equal(pattern, text));
}

static void summary(ut_bytes value)
{
    ut_filter filter = ut_filter_all();
    filter.service = UT_BYTES_LIT("checkout");
    filter.name = UT_BYTES_LIT("GET");
    filter.term_count = 1;
    filter.terms[0] = (ut_filter_term){.places = UT_FILTER_IN_ANY,
                                       .op = UT_FILTER_EQUALS,
                                       .key = UT_BYTES_LIT("a"),
                                       .or_key = UT_BYTES_LIT("b"),
                                       .text = UT_BYTES_LIT("5")};
    ut_block_summary_question question;
    ut_block_summary_ask(&filter, 0, &question);
    (void)ut_block_summary_excludes(&question, value);
    (void)ut_bloom_excludes(&question.bloom, value);
    // Whatever it says, it says it of no question that asks for nothing.
    filter = ut_filter_all();
    ut_block_summary_ask(&filter, 0, &question);
    UT_ASSERT(!ut_block_summary_excludes(&question, value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    // A copy of its own length, so that a read behind the end is seen.
    ut_buf exact;
    ut_buf_init(&exact, size);
    ut_buf_add(&exact, data + 1, size - 1);
    ut_bytes input = ut_buf_bytes(&exact);
    switch (data[0] % 5) {
    case 0:
        read_term(input);
        break;
    case 1:
        read_cursor(input);
        break;
    case 2:
        match(input);
        break;
    case 3:
        glob(input);
        break;
    default:
        summary(input);
        break;
    }
    ut_buf_free(&exact);
    return 0;
}
