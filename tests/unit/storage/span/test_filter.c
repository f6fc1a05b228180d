// Tests of storage/span/filter: what matches, and conditions from text.
#include "storage/span/filter.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <stdio.h>

enum { BYTES_MAX = 1024 * 1024 };

typedef struct {
    ut_buf attributes[4]; // of span, resource, event and scope
    ut_buf events;
    ut_span span;
    ut_scope scope;
    ut_resource resource;
} sample;

static const uint8_t trace_id[UT_TRACE_ID_LEN] = {1, 2,  3,  4,  5,  6,  7,  8,
                                                  9, 10, 11, 12, 13, 14, 15, 16};
static const uint8_t span_id[UT_SPAN_ID_LEN] = {1, 2, 3};

static void put_str(ut_buf *out, const char *key_z, const char *value_z)
{
    ut_mp_put_str(out, ut_bytes_of_z(key_z));
    ut_mp_put_str(out, ut_bytes_of_z(value_z));
}

static void make(sample *s)
{
    memset(s, 0, sizeof *s);
    for (unsigned i = 0; i < 4; i++)
        ut_buf_init(&s->attributes[i], BYTES_MAX);
    ut_buf_init(&s->events, BYTES_MAX);
    ut_buf *out = &s->attributes[0];
    ut_mp_put_map(out, 14);
    put_str(out, "http.method", "GET");
    ut_mp_put_str(out, UT_BYTES_LIT("http.status"));
    ut_mp_put_int(out, 503);
    ut_mp_put_str(out, UT_BYTES_LIT("ratio"));
    ut_mp_put_double(out, 0.25);
    ut_mp_put_str(out, UT_BYTES_LIT("below"));
    ut_mp_put_int(out, -7);
    ut_mp_put_str(out, UT_BYTES_LIT("cached"));
    ut_mp_put_bool(out, true);
    put_str(out, "count.text", "12.50");
    ut_mp_put_str(out, UT_BYTES_LIT("tags"));
    ut_mp_put_array(out, 3);
    ut_mp_put_str(out, UT_BYTES_LIT("red"));
    ut_mp_put_array(out, 1);
    ut_mp_put_int(out, 5);
    ut_mp_put_str(out, UT_BYTES_LIT("green"));
    ut_mp_put_str(out, UT_BYTES_LIT("nothing"));
    ut_mp_put_nil(out);
    ut_mp_put_str(out, UT_BYTES_LIT("raw"));
    ut_mp_put_bin(out, UT_BYTES_LIT("GET"));
    ut_mp_put_str(out, UT_BYTES_LIT("map"));
    ut_mp_put_map(out, 1);
    put_str(out, "inner", "GET");
    put_str(out, "twice", "one");
    put_str(out, "twice", "two");
    ut_mp_put_str(out, UT_BYTES_LIT("large"));
    ut_mp_put_int(out, INT64_MAX);
    put_str(out, "", "no key");

    ut_mp_put_map(&s->attributes[1], 2);
    put_str(&s->attributes[1], "service.name", "checkout");
    put_str(&s->attributes[1], "host.name", "edge-7");
    ut_mp_put_map(&s->attributes[2], 1);
    put_str(&s->attributes[2], "exception.type", "Timeout");
    ut_mp_put_map(&s->attributes[3], 1);
    put_str(&s->attributes[3], "library", "http");
    ut_mp_put_array(&s->events, 2);
    ut_event event = {.name = UT_BYTES_LIT("first")};
    ut_event_write_head(&s->events, 0, &event);
    ut_mp_put_map(&s->events, 0);
    ut_event_write_tail(&s->events, &event);
    ut_event_write_head(&s->events, 0, &event);
    ut_buf_add_bytes(&s->events, ut_buf_bytes(&s->attributes[2]));
    ut_event_write_tail(&s->events, &event);

    s->span = (ut_span){
        .trace_id = {trace_id, sizeof trace_id},
        .span_id = {span_id, sizeof span_id},
        .parent_span_id = {span_id, sizeof span_id},
        .name = UT_BYTES_LIT("GET /orders/{id}"),
        .kind = 2,
        .start_ns = 1000,
        .end_ns = 1500,
        .status_code = UT_STATUS_ERROR,
        .status_message = UT_BYTES_LIT("Upstream Connect error"),
        .attributes = ut_buf_bytes(&s->attributes[0]),
        .events = ut_buf_bytes(&s->events),
    };
    s->resource.attributes = ut_buf_bytes(&s->attributes[1]);
    s->scope.attributes = ut_buf_bytes(&s->attributes[3]);
}

static int set_up(void **state)
{
    static sample s;
    make(&s);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    sample *s = *state;
    for (unsigned i = 0; i < 4; i++)
        ut_buf_free(&s->attributes[i]);
    ut_buf_free(&s->events);
    return 0;
}

static bool matches(const sample *s, const ut_filter *filter)
{
    ut_fault fault = {0};
    if (ut_filter_check(filter, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    return ut_filter_match(filter, &s->span, &s->scope, &s->resource);
}

// Every condition alone.
static bool holds(const sample *s, const char *text_z)
{
    ut_filter filter = ut_filter_all();
    ut_fault fault = {0};
    filter.term_count = 1;
    if (ut_filter_term_read(ut_bytes_of_z(text_z), &filter.terms[0], &fault) != UT_OK)
        fail_msg("%s: %s", text_z, fault.text_z);
    return matches(s, &filter);
}

// ---- conditions on attributes ----

static void attributes_are_compared_as_text_and_as_numbers(void **state)
{
    static const char *const right[] = {
        "http.method",
        "http.method=GET",
        "http.method!=POST",
        "http.method~G?T",
        "http.method~*",
        "http.status=503",
        "http.status=503.0",
        "http.status=5.03e2",
        "http.status>=503",
        "http.status<=503",
        "http.status>502.9",
        "http.status<1e9",
        "http.status!=504",
        "http.status!=GET",
        "http.status~50*",
        "ratio=.25",
        "ratio=0.250",
        "ratio~0.25",
        "ratio<1",
        "below=-7",
        "below<0",
        "below>-7.5",
        "below~-?",
        "cached=true",
        "cached!=false",
        "cached~tr*",
        "count.text=12.50",
        "count.text>12",
        "count.text<=12.5",
        "count.text!=12.5",
        "tags=red",
        "tags=green",
        "tags=5",
        "tags>4",
        "tags~gr*",
        "tags!=blue",
        "nothing",
        "nothing!=x",
        "raw",
        "raw!=GET",
        "map",
        "map!=GET",
        "twice=one",
        "twice=two",
        "twice!=one",
        "large=9223372036854775807",
        "large>9223372036854775806",
        "large<9223372036854775808",
        "large!=9223372036854775808",
        "large>9.2e18",
        "http.status<503.5",
        "below<-6.5",
    };
    static const char *const wrong[] = {
        "large=9223372036854775808",
        "large>=9.223372036854775808e18",
        "http.status=503.5",
        "below<=-7.5",
        "http.methods",
        "http.method=get",
        "http.method!=GET",
        "http.method~G?",
        "http.method~?GET",
        "http.method>1",
        "http.status=GET",
        "http.status=5030",
        "http.status!=503",
        "http.status!=503.0",
        "http.status<503",
        "http.status>503",
        "http.status~5",
        "ratio=1",
        "ratio>0.25",
        "below>0",
        "cached=1",
        "cached>0",
        "count.text=12.5",
        "count.text>12.5",
        "tags=blue",
        "tags!=red",
        "tags!=5",
        "tags>5",
        "nothing=",
        "nothing~*",
        "raw=GET",
        "raw~*",
        "map=GET",
        "inner",
        "missing!=x",
        "twice=three",
        "large=9223372036854775806",
    };
    for (unsigned i = 0; i < sizeof right / sizeof *right; i++) {
        if (!holds(*state, right[i]))
            fail_msg("%s ought to hold", right[i]);
    }
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (holds(*state, wrong[i]))
            fail_msg("%s ought not to hold", wrong[i]);
    }
}

static void a_condition_may_say_where_the_attribute_stands(void **state)
{
    assert_true(holds(*state, "host.name=edge-7"));
    assert_true(holds(*state, "resource:host.name=edge-7"));
    assert_false(holds(*state, "span:host.name=edge-7"));
    assert_false(holds(*state, "event:host.name=edge-7"));
    assert_false(holds(*state, "scope:host.name"));
    assert_true(holds(*state, "exception.type=Timeout"));
    assert_true(holds(*state, "event:exception.type=Timeout"));
    assert_false(holds(*state, "span:exception.type"));
    assert_true(holds(*state, "scope:library~ht*"));
    assert_true(holds(*state, "library=http"));
    assert_false(holds(*state, "resource:library=http"));
    assert_true(holds(*state, "span:http.method=GET"));
}

static void all_conditions_have_to_hold(void **state)
{
    sample *s = *state;
    static const char *const texts[] = {"http.method=GET", "resource:host.name", "library",
                                        "exception.type~T*"};
    ut_filter filter = ut_filter_all();
    ut_fault fault;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(ut_filter_term_read(ut_bytes_of_z(texts[i]),
                                             &filter.terms[filter.term_count++], &fault),
                         UT_OK);
    assert_true(matches(s, &filter));
    for (unsigned i = 0; i < 4; i++) {
        ut_filter other = filter;
        other.terms[i].key = UT_BYTES_LIT("elsewhere");
        assert_false(matches(s, &other));
    }
}

// ---- the rest of a filter ----

static void an_empty_filter_matches_everything(void **state)
{
    sample *s = *state;
    ut_filter filter = ut_filter_all();
    assert_true(matches(s, &filter));
    s->span = (ut_span){.trace_id = s->span.trace_id, .start_ns = UINT64_MAX, .status_code = 77};
    s->resource = (ut_resource){.dropped_attributes = 0};
    assert_true(matches(s, &filter));
}

static void each_field_of_a_filter_decides(void **state)
{
    sample *s = *state;
    ut_filter all = ut_filter_all();
    ut_filter filter;
#define DECIDES(right, wrong)              \
    do {                                   \
        filter = all;                      \
        right;                             \
        assert_true(matches(s, &filter));  \
        wrong;                             \
        assert_false(matches(s, &filter)); \
    } while (0)
    DECIDES((filter.by_trace = true, memcpy(filter.trace_id, trace_id, sizeof trace_id)),
            filter.trace_id[15] = 0);
    DECIDES(filter.start_ns = 1000, filter.start_ns = 1001);
    DECIDES(filter.end_ns = 1001, filter.end_ns = 1000);
    DECIDES(filter.service = UT_BYTES_LIT("checkout"), filter.service = UT_BYTES_LIT("check"));
    DECIDES(filter.service = UT_BYTES_LIT("check*"), filter.service = UT_BYTES_LIT("?check*"));
    DECIDES(filter.name = UT_BYTES_LIT("GET /orders/{id}"), filter.name = UT_BYTES_LIT("GET"));
    DECIDES(filter.name = UT_BYTES_LIT("GET *"), filter.name = UT_BYTES_LIT("POST *"));
    DECIDES(filter.kinds = 1 << 2, filter.kinds = 1 << 3);
    DECIDES(filter.statuses = 1 << UT_STATUS_ERROR, filter.statuses = 1 << UT_STATUS_UNSET);
    DECIDES(filter.duration_min_ns = 500, filter.duration_min_ns = 501);
    DECIDES(filter.duration_max_ns = 500, filter.duration_max_ns = 499);
    DECIDES(filter.message = UT_BYTES_LIT("connect ERR"), filter.message = UT_BYTES_LIT("reset"));
    DECIDES((s->span.parent_span_id = UT_BYTES_NONE, filter.roots_only = true),
            (s->span.parent_span_id = s->span.span_id));
    static const uint8_t zeros[UT_SPAN_ID_LEN] = {0};
    s->span.parent_span_id = (ut_bytes){zeros, sizeof zeros};
    assert_true(matches(s, &filter));
    // A kind and a status that OTLP does not have; a span that ends before it begins.
    s->span.kind = 40;
    DECIDES((filter = all, filter.kinds = 1), filter.kinds = UINT32_MAX - 1);
    filter = all;
    s->span.status_code = -3;
    DECIDES(filter.statuses = 1 << UT_STATUS_UNSET, filter.statuses = 1 << UT_STATUS_ERROR);
    s->span.end_ns = 900;
    DECIDES(filter.duration_max_ns = 0, filter.duration_min_ns = 1);
}

static void a_number_may_have_many_digits(void **state)
{
    (void)state;
    uint8_t text[UT_FILTER_TEXT_MAX + 1];
    ut_filter_number number;
    memset(text, '0', sizeof(text));
    text[0] = '1';
    assert_true(ut_filter_number_read((ut_bytes){text, 64}, &number) && number.real == 1e63);
    assert_true(ut_filter_number_read((ut_bytes){text, 301}, &number) && number.real == 1e300);
    text[1] = '.';
    assert_true(ut_filter_number_read((ut_bytes){text, UT_FILTER_TEXT_MAX}, &number));
    assert_true(number.real == 1.0);
    assert_false(ut_filter_number_read((ut_bytes){text, UT_FILTER_TEXT_MAX + 1}, &number));
}

static void only_calls_of_models_are_llm_spans(void **state)
{
    sample *s = *state;
    ut_filter filter = ut_filter_all();
    filter.llm_only = true;
    assert_false(matches(s, &filter));
    ut_buf *out = &s->attributes[0];
    ut_buf_reset(out, SIZE_MAX);
    ut_mp_put_map(out, 2);
    put_str(out, "gen_ai.operation.name", "chat");
    put_str(out, "gen_ai.request.model", "m-1");
    s->span.attributes = ut_buf_bytes(out);
    assert_true(matches(s, &filter));
}

static void steps_say_what_resource_and_scope_rule_out(void **state)
{
    sample *s = *state;
    ut_filter filter = ut_filter_all();
    ut_fault fault;
    filter.service = UT_BYTES_LIT("other");
    assert_false(ut_filter_at_resource(&filter, &s->resource).possible);
    filter.service = UT_BYTES_NONE;
    filter.term_count = 1;
    assert_int_equal(
        ut_filter_term_read(UT_BYTES_LIT("resource:host.name=x"), &filter.terms[0], &fault), UT_OK);
    assert_false(ut_filter_at_resource(&filter, &s->resource).possible);
    assert_int_equal(ut_filter_term_read(UT_BYTES_LIT("scope:library=x"), &filter.terms[0], &fault),
                     UT_OK);
    ut_filter_place place = ut_filter_at_resource(&filter, &s->resource);
    assert_true(place.possible);
    assert_false(ut_filter_at_scope(&filter, place, &s->scope).possible);
}

static void what_is_damaged_matches_nothing(void **state)
{
    sample *s = *state;
    ut_bytes whole = s->span.attributes;
    for (size_t len = 0; len + 8 < whole.len; len++) {
        s->span.attributes = (ut_bytes){whole.data, len};
        (void)holds(s, "tags=green");
        assert_false(holds(s, "large=9223372036854775807"));
    }
    s->span.attributes = whole;
    ut_bytes events = s->span.events;
    for (size_t len = 0; len + 8 < events.len; len++) {
        s->span.events = (ut_bytes){events.data, len};
        assert_false(holds(s, "exception.type=Timeout"));
    }
}

// ---- patterns ----

// The plainest possible rule, exponential in the number of stars.
static bool fits_plainly(const char *pattern_z, const char *text_z)
{
    if (*pattern_z == '\0')
        return *text_z == '\0';
    if (*pattern_z == '*')
        return fits_plainly(pattern_z + 1, text_z) ||
               (*text_z != '\0' && fits_plainly(pattern_z, text_z + 1));
    return *text_z != '\0' && (*pattern_z == '?' || *pattern_z == *text_z) &&
           fits_plainly(pattern_z + 1, text_z + 1);
}

static void patterns_fit_as_the_plain_rule_says(void **state)
{
    (void)state;
    ut_random random = {11};
    unsigned fitting = 0;
    for (unsigned i = 0; i < 200000; i++) {
        char pattern_z[9];
        char text_z[9];
        unsigned p = ut_random_below(&random, sizeof pattern_z);
        unsigned t = ut_random_below(&random, sizeof text_z);
        for (unsigned k = 0; k < p; k++)
            pattern_z[k] = "ab*?*"[ut_random_below(&random, 5)];
        for (unsigned k = 0; k < t; k++)
            text_z[k] = "ab"[ut_random_below(&random, 2)];
        pattern_z[p] = '\0';
        text_z[t] = '\0';
        bool expected = fits_plainly(pattern_z, text_z);
        if (ut_filter_glob(ut_bytes_of_z(pattern_z), ut_bytes_of_z(text_z)) != expected)
            fail_msg("%s and %s", pattern_z, text_z);
        fitting += expected;
    }
    assert_true(fitting > 10000);
}

static void a_question_mark_is_one_character(void **state)
{
    (void)state;
    static const struct {
        const char *pattern_z;
        const char *text_z;
        bool fits;
    } rows[] = {
        {"?", "\xe6\x97\xa5", true},
        {"??", "\xe6\x97\xa5", false},
        {"*??", "\xe6\x97\xa5", false},
        {"*?", "\xe6\x97\xa5", true},
        {"a?c",
         "a\xc3\xa9"
         "c",
         true},
        {"?", "\xff", true},
        {"?", "\xe6\x97", false},
        {"??", "\xe6\x97", true},
        {"\xc3?", "\xc3\xa9", true},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (ut_filter_glob(ut_bytes_of_z(rows[i].pattern_z), ut_bytes_of_z(rows[i].text_z)) !=
            rows[i].fits)
            fail_msg("row %u", i);
    }
}

static void many_stars_take_no_exponential_time(void **state)
{
    (void)state;
    static char pattern[UT_FILTER_TEXT_MAX];
    static char text[64 * 1024];
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 'b';
    assert_false(
        ut_filter_glob(ut_bytes_of(pattern, sizeof pattern), ut_bytes_of(text, sizeof text)));
}

static bool fits_bytes(const uint8_t *pattern, size_t pattern_len, const uint8_t *text, size_t len)
{
    return ut_filter_glob(ut_bytes_of(pattern, pattern_len), ut_bytes_of(text, len));
}

static void a_pattern_that_nearly_fits_everywhere_is_given_up(void **state)
{
    (void)state;
    enum { PATTERN = 1000, SHORT = 1024, LONG = 4 * 1024 * 1024 };
    uint8_t pattern[PATTERN];
    uint8_t *text = malloc(LONG);
    assert_non_null(text);
    memset(pattern, 'a', sizeof pattern);
    memset(text, 'a', LONG);
    pattern[0] = '*';
    pattern[PATTERN - 1] = 'b';
    text[LONG - 1] = 'b';
    assert_false(fits_bytes(pattern, PATTERN, text, LONG));
    // The same in a short text, and what people ask for in a long one, is answered exactly.
    assert_true(fits_bytes(pattern, PATTERN, text + LONG - SHORT, SHORT));
    assert_false(fits_bytes(pattern, PATTERN, text, SHORT));
    assert_true(fits_bytes((const uint8_t *)"*aa?ab", 6, text, LONG));
    assert_true(fits_bytes((const uint8_t *)"a*a*b", 5, text, LONG));
    assert_false(fits_bytes((const uint8_t *)"*aabb*", 6, text, LONG));
    free(text);
}

// ---- reading and checking ----

static void conditions_are_read_from_text(void **state)
{
    (void)state;
    static const struct {
        const char *text_z;
        uint8_t places;
        ut_filter_op op;
        const char *key_z;
        const char *value_z;
    } rows[] = {
        {"a", UT_FILTER_IN_ANY, UT_FILTER_EXISTS, "a", ""},
        {"a=", UT_FILTER_IN_ANY, UT_FILTER_EQUALS, "a", ""},
        {"a=b=c", UT_FILTER_IN_ANY, UT_FILTER_EQUALS, "a", "b=c"},
        {"a!b!=c", UT_FILTER_IN_ANY, UT_FILTER_NOT_EQUALS, "a!b", "c"},
        {"span:a~*", UT_FILTER_IN_SPAN, UT_FILTER_GLOB, "a", "*"},
        {"resource:a<5", UT_FILTER_IN_RESOURCE, UT_FILTER_LESS, "a", "5"},
        {"event:a<=-5.5", UT_FILTER_IN_EVENT, UT_FILTER_LESS_EQUAL, "a", "-5.5"},
        {"scope:a>+1e3", UT_FILTER_IN_SCOPE, UT_FILTER_GREATER, "a", "+1e3"},
        {"a>=.5", UT_FILTER_IN_ANY, UT_FILTER_GREATER_EQUAL, "a", ".5"},
        {"other:a", UT_FILTER_IN_ANY, UT_FILTER_EXISTS, "other:a", ""},
        {"a=resource:b", UT_FILTER_IN_ANY, UT_FILTER_EQUALS, "a", "resource:b"},
    };
    ut_filter_term term;
    ut_fault fault;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(ut_filter_term_read(ut_bytes_of_z(rows[i].text_z), &term, &fault), UT_OK);
        assert_int_equal(term.places, rows[i].places);
        assert_int_equal(term.op, rows[i].op);
        assert_true(ut_bytes_equal(term.key, ut_bytes_of_z(rows[i].key_z)));
        assert_true(ut_bytes_equal(term.text, ut_bytes_of_z(rows[i].value_z)));
    }
    static const char *const wrong[] = {"",    "=x",     "span:", "event:=1", "a>b",
                                        "a<",  "a>=0x1", "a<1 ",  "a>1e",     "a>--1",
                                        "a>.", "a<nan",  "a>inf"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fault.text_z[0] = '\0';
        assert_int_equal(ut_filter_term_read(ut_bytes_of_z(wrong[i]), &term, &fault), UT_EFORMAT);
        assert_true(fault.text_z[0] != '\0');
    }
    assert_int_equal(ut_filter_term_read(UT_BYTES_NONE, &term, &fault), UT_EFORMAT);
}

static void a_filter_has_bounds(void **state)
{
    (void)state;
    static const uint8_t text[UT_FILTER_TEXT_MAX + 1] = {0};
    static const ut_bytes fits = {text, UT_FILTER_TEXT_MAX};
    static const ut_bytes longer = {text, UT_FILTER_TEXT_MAX + 1};
    ut_fault fault;
    ut_filter filter = ut_filter_all();
    filter.service = filter.name = filter.message = fits;
    filter.term_count = UT_FILTER_TERMS_MAX;
    for (unsigned i = 0; i < UT_FILTER_TERMS_MAX; i++)
        filter.terms[i] = (ut_filter_term){
            .places = UT_FILTER_IN_ANY, .op = UT_FILTER_EQUALS, .key = fits, .text = fits};
    assert_int_equal(ut_filter_check(&filter, &fault), UT_OK);
    enum { TEXTS = 5 };
    ut_bytes *const all[TEXTS] = {&filter.service, &filter.name, &filter.message,
                                  &filter.terms[15].key, &filter.terms[15].text};
    for (unsigned i = 0; i < TEXTS; i++) {
        *all[i] = longer;
        assert_int_equal(ut_filter_check(&filter, &fault), UT_ELIMIT);
        *all[i] = fits;
    }
    filter.terms[3].op = UT_FILTER_LESS;
    assert_int_equal(ut_filter_check(&filter, &fault), UT_EINVAL);
    filter.terms[3].text = UT_BYTES_LIT("3");
    assert_int_equal(ut_filter_check(&filter, &fault), UT_OK);
    filter.term_count += 1;
    assert_int_equal(ut_filter_check(&filter, &fault), UT_ELIMIT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(attributes_are_compared_as_text_and_as_numbers),
        TEST(a_condition_may_say_where_the_attribute_stands),
        TEST(all_conditions_have_to_hold),
        TEST(an_empty_filter_matches_everything),
        TEST(each_field_of_a_filter_decides),
        cmocka_unit_test(a_number_may_have_many_digits),
        TEST(only_calls_of_models_are_llm_spans),
        TEST(steps_say_what_resource_and_scope_rule_out),
        TEST(what_is_damaged_matches_nothing),
        cmocka_unit_test(patterns_fit_as_the_plain_rule_says),
        cmocka_unit_test(a_question_mark_is_one_character),
        cmocka_unit_test(many_stars_take_no_exponential_time),
        cmocka_unit_test(a_pattern_that_nearly_fits_everywhere_is_given_up),
        cmocka_unit_test(conditions_are_read_from_text),
        cmocka_unit_test(a_filter_has_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
