// Tests of storage/store/bloom and bloom_build: a filter never hides a span, and hides most blocks
// without one.
#include "storage/store/bloom.h"
#include "storage/store/bloom_build.h"
#include "tests/support/random_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

enum { BATCH_BYTES_MAX = 64 * 1024 * 1024 };

typedef struct {
    ut_block_builder *block;
    ut_bloom_builder *bloom;
    ut_batch batch;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    f.block = ut_block_builder_new(UT_BLOCK_SPANS_MAX, UT_BLOCK_PAYLOAD_TARGET);
    f.bloom = ut_bloom_builder_new(UT_BLOCK_SPANS_MAX);
    assert_non_null(f.block);
    assert_non_null(f.bloom);
    ut_batch_init(&f.batch, BATCH_BYTES_MAX);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_block_builder_free(f->block);
    ut_bloom_builder_free(f->bloom);
    ut_batch_free(&f->batch);
    return 0;
}

// The filter of as many spans of the batch as a block takes; *spans of them.
static ut_bytes build(fixture *f, uint64_t seed, uint32_t *spans)
{
    assert_int_equal(ut_batch_error(&f->batch), UT_OK);
    const ut_batch_span *all = ut_batch_spans(&f->batch);
    ut_block_builder_reset(f->block);
    for (*spans = 0; *spans < f->batch.span_count; (*spans)++) {
        if (!ut_block_builder_fits(f->block, &f->batch, &all[*spans]))
            break;
        assert_int_equal(ut_block_builder_add(f->block, &f->batch, &all[*spans]), UT_OK);
    }
    return ut_bloom_build(f->bloom, f->block, seed);
}

static bool excludes(ut_bytes bloom, const ut_filter *filter, uint64_t seed)
{
    ut_bloom_question question;
    ut_bloom_ask(filter, seed, &question);
    return ut_bloom_excludes(&question, bloom);
}

static bool holds_a_match(const fixture *f, uint32_t spans, const ut_filter *filter)
{
    for (uint32_t i = 0; i < spans; i++) {
        ut_span span;
        ut_scope scope;
        ut_resource resource;
        ut_batch_read(&f->batch, i, &span, &scope, &resource);
        if (ut_filter_match(filter, &span, &scope, &resource))
            return true;
    }
    return false;
}

// ---- never wrong ----

static void no_block_with_a_match_is_excluded(void **state)
{
    fixture *f = *state;
    ut_random random = {77};
    unsigned excluded = 0;
    unsigned matched = 0;
    for (unsigned i = 0; i < 1500; i++) {
        ut_batch_reset(&f->batch, SIZE_MAX);
        uint64_t seed = ut_random_next(&random);
        uint32_t parts = 1 + ut_random_below(&random, 4);
        for (uint32_t part = 0; part < parts; part++)
            ut_random_words_batch(&random, 1 + ut_random_below(&random, i % 4 == 0 ? 120 : 6),
                                  &f->batch);
        uint32_t spans;
        ut_bytes bloom = build(f, seed, &spans);
        assert_true(bloom.len > 0);
        for (unsigned k = 0; k < 30; k++) {
            ut_filter filter = ut_random_words_filter(&random);
            bool wrong = excludes(bloom, &filter, seed);
            bool match = holds_a_match(f, spans, &filter);
            if (wrong && match) {
                ut_filter_print(&filter);
                fail_msg("block %u is excluded", i);
            }
            excluded += wrong;
            matched += match;
        }
    }
    assert_true(matched > 8000);
    assert_true(excluded > 8000);
}

// Every attribute of every kind of value, asked for as it is: none may be hidden.
static void every_value_of_a_random_span_is_found(void **state)
{
    fixture *f = *state;
    for (uint64_t i = 1; i <= 150; i++) {
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_random_batch(i, 1 + (uint32_t)(i % 60), UT_RANDOM_ALL, &f->batch);
        uint32_t spans;
        ut_bytes bloom = build(f, i, &spans);
        for (uint32_t k = 0; k < spans; k++) {
            ut_span span;
            ut_scope scope;
            ut_resource resource;
            ut_batch_read(&f->batch, k, &span, &scope, &resource);
            const ut_bytes maps[] = {span.attributes, scope.attributes, resource.attributes};
            for (unsigned m = 0; m < 3; m++) {
                ut_mp_reader reader = ut_mp_reader_of(maps[m]);
                for (uint32_t pairs = ut_mp_get_map(&reader); pairs > 0; pairs--) {
                    ut_filter filter = ut_filter_all();
                    ut_filter_term *term = &filter.terms[filter.term_count++];
                    char number_z[32];
                    *term =
                        (ut_filter_term){.places = UT_FILTER_IN_ANY, .key = ut_mp_get_str(&reader)};
                    ut_mp_reader value = ut_mp_reader_of(ut_mp_skip(&reader));
                    switch (ut_mp_peek(&value)) {
                    case UT_MP_STR:
                        term->op = UT_FILTER_EQUALS;
                        term->text = ut_mp_get_str(&value);
                        break;
                    case UT_MP_BOOL:
                        term->op = UT_FILTER_EQUALS;
                        term->text = ut_bytes_of_z(ut_mp_get_bool(&value) ? "true" : "false");
                        break;
                    case UT_MP_INT:
                    case UT_MP_UINT:
                        term->op = UT_FILTER_EQUALS;
                        (void)snprintf(number_z, sizeof number_z, "%lld",
                                       (long long)ut_mp_get_int(&value));
                        term->text = ut_bytes_of_z(number_z);
                        break;
                    case UT_MP_DOUBLE: {
                        double real = ut_mp_get_double(&value);
                        ut_filter_number number;
                        (void)snprintf(number_z, sizeof number_z, "%.17g", real);
                        if (ut_filter_number_read(ut_bytes_of_z(number_z), &number)) {
                            term->op = UT_FILTER_EQUALS;
                            term->text = ut_bytes_of_z(number_z);
                        }
                        break;
                    }
                    default:
                        break;
                    }
                    filter.name = ut_filter_is_glob(span.name) ? UT_BYTES_NONE : span.name;
                    assert_true(ut_filter_match(&filter, &span, &scope, &resource));
                    assert_false(excludes(bloom, &filter, i));
                }
            }
        }
    }
}

// ---- worth its bytes ----

static ut_filter equal_to(const char *key_z, const char *text_z)
{
    ut_filter filter = ut_filter_all();
    filter.term_count = 1;
    filter.terms[0] = (ut_filter_term){.places = UT_FILTER_IN_ANY,
                                       .op = UT_FILTER_EQUALS,
                                       .key = ut_bytes_of_z(key_z),
                                       .text = ut_bytes_of_z(text_z)};
    return filter;
}

static void what_is_not_in_a_block_is_mostly_excluded(void **state)
{
    fixture *f = *state;
    static const uint32_t sizes[] = {20, 100, 400};
    for (unsigned size = 0; size < 3; size++) {
        unsigned wrong[4] = {0};
        for (uint64_t i = 1; i <= 500; i++) {
            uint32_t spans;
            ut_batch_reset(&f->batch, SIZE_MAX);
            ut_realistic_batch(i, sizes[size], 1000, &f->batch);
            ut_bytes bloom = build(f, 0, &spans);
            assert_int_equal(spans, sizes[size]);
            assert_true(bloom.len <= 1 + UT_BLOOM_BYTES_MAX);
            assert_true(bloom.len <= 1 + UT_BLOOM_BYTES_MIN + UT_BLOOM_BYTES_A_SPAN * spans);
            char text_z[32];
            (void)snprintf(text_z, sizeof text_z, "absent-%u", (unsigned)i);
            ut_filter filter = ut_filter_all();
            filter.service = ut_bytes_of_z(text_z);
            wrong[0] += !excludes(bloom, &filter, 0);
            filter = ut_filter_all();
            filter.name = ut_bytes_of_z(text_z);
            wrong[1] += !excludes(bloom, &filter, 0);
            filter = equal_to(text_z, "x");
            wrong[2] += !excludes(bloom, &filter, 0);
            filter = equal_to("db.system", text_z);
            wrong[3] += !excludes(bloom, &filter, 0);
        }
        for (unsigned kind = 0; kind < 3; kind++)
            assert_in_range(wrong[kind], 0, 60); // of 500
        // Small blocks have no room for values.
        if (sizes[size] >= 100)
            assert_in_range(wrong[3], 0, 60);
    }
}

static void errors_of_another_service_are_excluded(void **state)
{
    fixture *f = *state;
    uint32_t spans;
    ut_random random = {3};
    unsigned excluded = 0;
    for (unsigned i = 0; i < 200; i++) {
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_random_words_batch(&random, 3, &f->batch);
        ut_bytes bloom = build(f, 9, &spans);
        ut_filter filter = ut_filter_all();
        filter.service = UT_BYTES_LIT("cart");
        bool there = !excludes(bloom, &filter, 9);
        filter.statuses = 1 << UT_STATUS_ERROR;
        bool failed = !excludes(bloom, &filter, 9);
        assert_true(there || !failed);
        assert_true(failed || !holds_a_match(f, spans, &filter));
        excluded += there && !failed;
        // Asked for with another status, the service alone decides.
        filter.statuses |= 1 << UT_STATUS_OK;
        assert_int_equal(!excludes(bloom, &filter, 9), there);
    }
    assert_true(excluded > 5);
}

static void a_filter_says_nothing_without_its_seed(void **state)
{
    fixture *f = *state;
    uint32_t spans;
    ut_realistic_batch(1, 300, 1000, &f->batch);
    ut_bytes bloom = build(f, 12345, &spans);
    ut_filter filter = equal_to("db.system", "postgresql");
    assert_true(holds_a_match(f, spans, &filter));
    assert_false(excludes(bloom, &filter, 12345));
    filter.terms[0].text = UT_BYTES_LIT("oracle");
    assert_true(excludes(bloom, &filter, 12345));
    // Whoever knows of no seed cannot tell.
    assert_false(excludes(bloom, &filter, 0));
}

static void damaged_filters_and_those_of_later_versions_exclude_nothing(void **state)
{
    (void)state;
    ut_filter filter = ut_filter_all();
    filter.service = UT_BYTES_LIT("absent");
    static uint8_t bytes[2 + UT_BLOOM_BYTES_MAX];
    assert_false(excludes(UT_BYTES_NONE, &filter, 0));
    assert_false(excludes((ut_bytes){bytes, 1}, &filter, 0));
    assert_true(excludes((ut_bytes){bytes, 2}, &filter, 0));
    assert_true(excludes((ut_bytes){bytes, 1 + UT_BLOOM_BYTES_MAX}, &filter, 0));
    assert_false(excludes((ut_bytes){bytes, 2 + UT_BLOOM_BYTES_MAX}, &filter, 0));
    bytes[0] = 8;
    assert_false(excludes((ut_bytes){bytes, 2}, &filter, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_block_with_a_match_is_excluded),
        TEST(every_value_of_a_random_span_is_found),
        TEST(what_is_not_in_a_block_is_mostly_excluded),
        TEST(errors_of_another_service_are_excluded),
        TEST(a_filter_says_nothing_without_its_seed),
        cmocka_unit_test(damaged_filters_and_those_of_later_versions_exclude_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
