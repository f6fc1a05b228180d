// Statistics in groups, against numbers worked out by hand or by a plain loop.
#include "storage/query/stats.h"
#include "tests/support/random_span.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { BYTES_MAX = 1 << 20 };

static const uint64_t hour_ns = UINT64_C(3600) * 1000 * 1000 * 1000;
static const uint64_t begin_ns = UINT64_C(1700000000000000000); // 2023-11-14T22:13:20Z

typedef struct {
    ut_stats *stats;
    ut_buf attributes; // of the next span
    uint32_t attribute_count;
    ut_buf resource;
    uint8_t trace; // number of the next span, and the last byte of its trace id
} fixture;

static void start(fixture *f, ut_stats_by by, const char *attribute_z)
{
    *f = (fixture){0};
    assert_int_equal(ut_stats_new(by, ut_bytes_of_z(attribute_z), &f->stats), UT_OK);
    ut_buf_init(&f->attributes, BYTES_MAX);
    ut_buf_init(&f->resource, BYTES_MAX);
    ut_mp_put_map(&f->resource, 2);
    ut_mp_put_str(&f->resource, UT_BYTES_LIT("service.name"));
    ut_mp_put_str(&f->resource, UT_BYTES_LIT("shop"));
    ut_mp_put_str(&f->resource, UT_BYTES_LIT("region"));
    ut_mp_put_str(&f->resource, UT_BYTES_LIT("eu"));
}

static void stop(fixture *f)
{
    ut_stats_free(f->stats);
    ut_buf_free(&f->attributes);
    ut_buf_free(&f->resource);
}

static void with_text(fixture *f, const char *key_z, const char *value_z)
{
    ut_mp_put_str(&f->attributes, ut_bytes_of_z(key_z));
    ut_mp_put_str(&f->attributes, ut_bytes_of_z(value_z));
    f->attribute_count++;
}

static void with_int(fixture *f, const char *key_z, int64_t value)
{
    ut_mp_put_str(&f->attributes, ut_bytes_of_z(key_z));
    ut_mp_put_int(&f->attributes, value);
    f->attribute_count++;
}

static void add_span(fixture *f, const char *name_z, uint64_t start_ns, uint64_t duration_ns,
                     int32_t status, const char *message_z)
{
    const uint8_t trace_id[UT_TRACE_ID_LEN] = {[15] = ++f->trace};
    ut_buf map;
    ut_buf_init(&map, BYTES_MAX);
    ut_mp_put_map(&map, f->attribute_count);
    ut_buf_add_bytes(&map, ut_buf_bytes(&f->attributes));
    ut_trace_span span = {0};
    span.span.trace_id = ut_bytes_of(trace_id, sizeof(trace_id));
    span.span.name = ut_bytes_of_z(name_z);
    span.span.start_ns = start_ns;
    span.span.end_ns = start_ns + duration_ns;
    span.span.status_code = status;
    span.span.status_message = ut_bytes_of_z(message_z);
    span.span.kind = status == UT_STATUS_ERROR ? 3 : 2;
    span.span.attributes = ut_buf_bytes(&map);
    span.resource.attributes = ut_buf_bytes(&f->resource);
    assert_int_equal(ut_stats_add(f->stats, &span), UT_OK);
    ut_buf_free(&map);
    ut_buf_reset(&f->attributes, BYTES_MAX);
    f->attribute_count = 0;
}

// The labels in order with their counts: "a:2 b:1".
static const ut_stats_row *expect(fixture *f, const char *expected_z, ut_stats_row *total)
{
    char text[1024] = "";
    size_t len = 0;
    uint32_t count = 0;
    const ut_stats_row *rows = ut_stats_rows(f->stats, UT_STATS_SORT_USUAL, &count, total);
    for (uint32_t i = 0; i < count; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s", i == 0 ? "" : " ",
                                (int)rows[i].labels[0].len, (const char *)rows[i].labels[0].data);
        if (rows[i].labels[1].len > 0)
            len +=
                (size_t)snprintf(text + len, sizeof(text) - len, "/%.*s",
                                 (int)rows[i].labels[1].len, (const char *)rows[i].labels[1].data);
        len += (size_t)snprintf(text + len, sizeof(text) - len, ":%u", (unsigned)rows[i].count);
    }
    assert_string_equal(text, expected_z);
    return rows;
}

static void names_come_by_count_with_all_their_numbers(void **state)
{
    (void)state;
    fixture f;
    ut_stats_row total;
    start(&f, UT_STATS_BY_NAME, "");
    add_span(&f, "b", begin_ns + 5, 300, UT_STATUS_OK, "");
    add_span(&f, "a", begin_ns + 9, 100, UT_STATUS_ERROR, "no");
    add_span(&f, "b", begin_ns + 1, 100, UT_STATUS_ERROR, "no");
    add_span(&f, "b", begin_ns + 7, 200, UT_STATUS_UNSET, "");
    const ut_stats_row *rows = expect(&f, "b:3 a:1", &total);
    assert_int_equal(rows[0].errors, 1);
    assert_int_equal(rows[0].duration_sum_ns, 600);
    assert_int_equal(rows[0].duration_min_ns, 100);
    assert_int_equal(rows[0].duration_max_ns, 300);
    assert_in_range(rows[0].p50_ns, 198, 202);
    assert_in_range(rows[0].p90_ns, 297, 300); // never beyond the largest
    assert_in_range(rows[0].p99_ns, 297, 300);
    assert_true(rows[0].first_start_ns == begin_ns + 1);
    assert_true(rows[0].last_start_ns == begin_ns + 7);
    assert_int_equal(rows[0].last_trace_id[15], 4);
    assert_int_equal(total.count, 4);
    assert_int_equal(total.errors, 2);
    assert_int_equal(total.duration_sum_ns, 700);
    assert_int_equal(total.last_trace_id[15], 2);
    assert_int_equal(rows[0].input_tokens + rows[0].cost_count, 0);

    add_span(&f, "a", begin_ns, 1, UT_STATUS_OK, ""); // goes on after the rows were asked for
    add_span(&f, "a", begin_ns, 1, UT_STATUS_OK, "");
    add_span(&f, "a", begin_ns, 1, UT_STATUS_OK, "");
    (void)expect(&f, "a:4 b:3", &total);
    stop(&f);
}

static void each_grouping_has_its_labels_and_order(void **state)
{
    (void)state;
    static const struct {
        ut_stats_by by;
        const char *attribute_z;
        const char *expected_z;
    } cases[] = {
        {UT_STATS_BY_NOTHING, "", ":5"},
        {UT_STATS_BY_NAME, "", "b:3 a:2"},
        {UT_STATS_BY_SERVICE, "", "shop:5"},
        {UT_STATS_BY_STATUS, "", "unset:1 ok:1 error:3"},
        {UT_STATS_BY_KIND, "", "client:3 server:2"},
        {UT_STATS_BY_ATTRIBUTE, "user", "7:2 ann:2 :1"},
        {UT_STATS_BY_ATTRIBUTE, "region", "eu:4 us:1"},
        {UT_STATS_BY_HOUR, "", "2023-11-14T21:1 2023-11-14T22:2 2023-11-15T00:2"},
        {UT_STATS_BY_MODEL, "", "m1:2 :1"},
        {UT_STATS_BY_ERROR, "", "b/timeout:2 a/timeout:1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture f;
        ut_stats_row total;
        start(&f, cases[i].by, cases[i].attribute_z);
        with_text(&f, "user", "ann");
        with_text(&f, "region", "us");
        add_span(&f, "b", begin_ns + 2 * hour_ns, 1, UT_STATUS_ERROR, "timeout");
        with_int(&f, "user", 7);
        with_text(&f, "gen_ai.request.model", "m1");
        add_span(&f, "b", begin_ns, 1, UT_STATUS_ERROR, "timeout");
        with_text(&f, "user", "7");
        with_text(&f, "gen_ai.request.model", "m1");
        add_span(&f, "a", begin_ns + 2 * hour_ns, 1, UT_STATUS_ERROR, "timeout");
        with_int(&f, "llm.prompt.tokens", 7);
        add_span(&f, "b", begin_ns, 1, UT_STATUS_OK, "");
        with_text(&f, "user", "ann");
        add_span(&f, "a", begin_ns - hour_ns, 1, UT_STATUS_UNSET, "");
        (void)expect(&f, cases[i].expected_z, &total);
        assert_int_equal(total.count, 5); // also those in no group
        stop(&f);
    }
}

static void values_that_are_no_text_have_labels(void **state)
{
    (void)state;
    fixture f;
    ut_stats_row total;
    start(&f, UT_STATS_BY_ATTRIBUTE, "k");
    with_int(&f, "k", -3);
    add_span(&f, "a", begin_ns, 1, UT_STATUS_OK, "");
    ut_mp_put_str(&f.attributes, UT_BYTES_LIT("k"));
    ut_mp_put_bool(&f.attributes, true);
    f.attribute_count++;
    add_span(&f, "a", begin_ns, 1, UT_STATUS_OK, "");
    ut_mp_put_str(&f.attributes, UT_BYTES_LIT("k"));
    ut_mp_put_double(&f.attributes, 0.1);
    f.attribute_count++;
    add_span(&f, "a", begin_ns, 1, UT_STATUS_OK, "");
    ut_mp_put_str(&f.attributes, UT_BYTES_LIT("k"));
    ut_mp_put_array(&f.attributes, 1);
    ut_mp_put_nil(&f.attributes);
    f.attribute_count++;
    add_span(&f, "a", begin_ns, 1, UT_STATUS_OK, "");
    (void)expect(&f, "(list):1 -3:1 0.1:1 true:1", &total);
    stop(&f);
}

static void tokens_and_cost_are_summed_by_model(void **state)
{
    (void)state;
    fixture f;
    ut_stats_row total;
    start(&f, UT_STATS_BY_MODEL, "");
    for (int i = 0; i < 3; i++) {
        with_text(&f, "gen_ai.response.model", i < 2 ? "big" : "small");
        with_int(&f, "gen_ai.usage.input_tokens", 100);
        with_int(&f, "gen_ai.usage.output_tokens", 20 + i);
        if (i > 0)
            with_text(&f, "llm.cost.total", "0.5");
        add_span(&f, "chat", begin_ns, 1, UT_STATUS_OK, "");
    }
    add_span(&f, "other", begin_ns, 1, UT_STATUS_OK, "");
    const ut_stats_row *rows = expect(&f, "big:2 small:1", &total);
    assert_int_equal(rows[0].input_tokens, 200);
    assert_int_equal(rows[0].output_tokens, 41);
    assert_int_equal(rows[0].total_tokens, 241);
    assert_int_equal(rows[0].cost_count, 1);
    assert_true(fabs(rows[0].cost_usd - 0.5) < 1e-12);
    assert_int_equal(total.count, 4);
    assert_int_equal(total.total_tokens, 363);
    assert_true(fabs(total.cost_usd - 1) < 1e-12);
    stop(&f);
}

static void groups_beyond_the_limit_are_one_that_comes_last(void **state)
{
    (void)state;
    enum { EXTRA = 250 };
    fixture f;
    ut_stats_row total;
    char name_z[32];
    uint32_t count = 0;
    start(&f, UT_STATS_BY_NAME, "");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < UT_STATS_GROUPS_MAX + EXTRA; i++) {
            (void)snprintf(name_z, sizeof(name_z), "name %d", i);
            add_span(&f, name_z, begin_ns, 1, UT_STATUS_OK, "");
        }
    }
    const ut_stats_row *rows = ut_stats_rows(f.stats, UT_STATS_SORT_USUAL, &count, &total);
    assert_int_equal(count, UT_STATS_GROUPS_MAX + 1);
    for (uint32_t i = 0; i < UT_STATS_GROUPS_MAX; i++) {
        assert_int_equal(rows[i].count, 2);
        assert_false(rows[i].other);
    }
    assert_true(rows[count - 1].other);
    assert_int_equal(rows[count - 1].count, 2 * EXTRA);
    assert_true(ut_bytes_equal(rows[count - 1].labels[0], UT_BYTES_LIT("(other)")));
    assert_int_equal(total.count, 2 * (UT_STATS_GROUPS_MAX + EXTRA));
    stop(&f);
}

static void hours_beyond_the_limit_do_not_fall_into_the_last_group(void **state)
{
    (void)state;
    fixture f;
    ut_stats_row total;
    uint32_t count = 0;
    start(&f, UT_STATS_BY_HOUR, "");
    for (uint32_t i = 0; i <= UT_STATS_GROUPS_MAX; i++) {
        add_span(&f, "a", begin_ns + i * hour_ns, 1, UT_STATUS_OK, "");
        add_span(&f, "a", begin_ns + i * hour_ns, 1, UT_STATUS_OK, "");
    }
    const ut_stats_row *rows = ut_stats_rows(f.stats, UT_STATS_SORT_USUAL, &count, &total);
    assert_int_equal(count, UT_STATS_GROUPS_MAX + 1);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(rows[i].count, 2);
    assert_true(rows[count - 1].other);
    stop(&f);
}

static void long_labels_are_cut_between_characters(void **state)
{
    (void)state;
    fixture f;
    ut_stats_row total;
    uint32_t count = 0;
    char name_z[UT_STATS_LABEL_MAX + 40];
    start(&f, UT_STATS_BY_NAME, "");
    memset(name_z, 'x', sizeof(name_z));
    memcpy(name_z + UT_STATS_LABEL_MAX - 1, "\xc3\xa9", 2); // its second byte would be the 257th
    name_z[sizeof(name_z) - 1] = '\0';
    add_span(&f, name_z, begin_ns, 1, UT_STATUS_OK, "");
    name_z[sizeof(name_z) - 2] = 'y'; // the same as far as it is kept
    add_span(&f, name_z, begin_ns, 1, UT_STATUS_OK, "");
    const ut_stats_row *rows = ut_stats_rows(f.stats, UT_STATS_SORT_USUAL, &count, &total);
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].count, 2);
    assert_int_equal(rows[0].labels[0].len, UT_STATS_LABEL_MAX - 1);
    stop(&f);
}

static void odd_times_and_sums_stay_in_range(void **state)
{
    (void)state;
    fixture f;
    ut_stats_row total;
    start(&f, UT_STATS_BY_NOTHING, "");
    add_span(&f, "a", 100, (uint64_t)-50, UT_STATUS_OK, ""); // ends before it starts
    add_span(&f, "a", 0, UINT64_MAX, UT_STATUS_OK, "");
    add_span(&f, "a", 0, UINT64_MAX, UT_STATUS_OK, "");
    (void)expect(&f, ":3", &total);
    assert_true(total.duration_min_ns == 0);
    assert_true(total.duration_max_ns == UINT64_MAX);
    assert_true(total.duration_sum_ns == UINT64_MAX);
    assert_true(total.p99_ns > UINT64_MAX / 100 * 99);
    stop(&f);
    start(&f, UT_STATS_BY_NAME, "");
    (void)expect(&f, "", &total);
    assert_int_equal(total.count, 0);
    assert_true(total.p50_ns == 0);
    stop(&f);
}

static void several_keys_make_a_group_of_each_combination(void **state)
{
    (void)state;
    static const ut_stats_key keys[] = {{UT_STATS_BY_NAME, UT_BYTES_NONE},
                                        {UT_STATS_BY_ATTRIBUTE, {(const uint8_t *)"code", 4}},
                                        {UT_STATS_BY_STATUS, UT_BYTES_NONE}};
    fixture f;
    ut_stats_row total;
    uint32_t count = 0;
    start(&f, UT_STATS_BY_NOTHING, "");
    ut_stats_free(f.stats);
    assert_int_equal(ut_stats_new_keys(keys, 3, &f.stats), UT_OK);
    for (int64_t i = 0; i < 6; i++) {
        with_int(&f, "code", 200 + i % 2);
        add_span(&f, i < 4 ? "a" : "b", begin_ns, (uint64_t)i * 100, UT_STATUS_OK, "");
    }
    add_span(&f, "a", begin_ns, 900, UT_STATUS_ERROR, "");
    // What the labels are together does not make groups equal.
    add_span(&f, "a2", begin_ns, 1, UT_STATUS_OK, "");
    const ut_stats_row *rows = ut_stats_rows(f.stats, UT_STATS_SORT_USUAL, &count, &total);
    static const struct {
        const char *labels[3];
        unsigned count;
    } wanted[] = {{{"a", "200", "ok"}, 2}, {{"a", "201", "ok"}, 2}, {{"a", "", "error"}, 1},
                  {{"a2", "", "ok"}, 1},   {{"b", "200", "ok"}, 1}, {{"b", "201", "ok"}, 1}};
    assert_int_equal(count, sizeof(wanted) / sizeof(wanted[0]));
    assert_int_equal(total.count, 8);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(rows[i].count, wanted[i].count);
        for (uint32_t k = 0; k < 3; k++)
            assert_true(ut_bytes_equal(rows[i].labels[k], ut_bytes_of_z(wanted[i].labels[k])));
    }
    stop(&f);
}

static void a_key_that_leaves_a_span_out_leaves_it_out_of_all_groups(void **state)
{
    (void)state;
    static const ut_stats_key keys[] = {{UT_STATS_BY_SERVICE, UT_BYTES_NONE},
                                        {UT_STATS_BY_ERROR, UT_BYTES_NONE}};
    fixture f;
    ut_stats_row total;
    uint32_t count = 0;
    start(&f, UT_STATS_BY_NOTHING, "");
    ut_stats_free(f.stats);
    assert_int_equal(ut_stats_new_keys(keys, 2, &f.stats), UT_OK);
    add_span(&f, "fine", begin_ns, 1, UT_STATUS_OK, "");
    add_span(&f, "bad", begin_ns, 1, UT_STATUS_ERROR, "why");
    const ut_stats_row *rows = ut_stats_rows(f.stats, UT_STATS_SORT_USUAL, &count, &total);
    assert_int_equal(count, 1);
    assert_true(ut_bytes_equal(rows[0].labels[0], UT_BYTES_LIT("shop")));
    assert_true(ut_bytes_equal(rows[0].labels[1], UT_BYTES_LIT("bad")));
    assert_true(ut_bytes_equal(rows[0].labels[2], UT_BYTES_LIT("why")));
    stop(&f);
}

static void groups_are_sorted_by_what_is_asked_for(void **state)
{
    (void)state;
    fixture f;
    ut_stats_row total;
    uint32_t count = 0;
    start(&f, UT_STATS_BY_NAME, "");
    // a: many short ones, half of them failed; b: one long one; c: two with a cost.
    for (int i = 0; i < 4; i++)
        add_span(&f, "a", begin_ns, 10, i % 2 == 0 ? UT_STATUS_ERROR : UT_STATUS_OK, "");
    add_span(&f, "b", begin_ns, 1000, UT_STATUS_ERROR, "");
    for (int i = 0; i < 2; i++) {
        with_text(&f, "gen_ai.request.model", "m");
        with_int(&f, "gen_ai.usage.input_tokens", 7);
        with_text(&f, "gen_ai.usage.cost", "0.5");
        add_span(&f, "c", begin_ns, 100, UT_STATUS_OK, "");
    }
    static const struct {
        ut_stats_sort sort;
        const char *order_z;
    } wanted[] = {
        {UT_STATS_SORT_COUNT, "acb"}, {UT_STATS_SORT_ERRORS, "abc"}, {UT_STATS_SORT_RATE, "bac"},
        {UT_STATS_SORT_MEAN, "bca"},  {UT_STATS_SORT_P50, "bca"},    {UT_STATS_SORT_P90, "bca"},
        {UT_STATS_SORT_P99, "bca"},   {UT_STATS_SORT_MAX, "bca"},    {UT_STATS_SORT_TOKENS, "cab"},
        {UT_STATS_SORT_LABEL, "abc"},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        const ut_stats_row *rows = ut_stats_rows(f.stats, wanted[i].sort, &count, &total);
        assert_int_equal(count, 3);
        for (uint32_t k = 0; k < count; k++)
            assert_int_equal(rows[k].labels[0].data[0], wanted[i].order_z[k]);
    }
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_come_by_count_with_all_their_numbers),
        cmocka_unit_test(each_grouping_has_its_labels_and_order),
        cmocka_unit_test(several_keys_make_a_group_of_each_combination),
        cmocka_unit_test(a_key_that_leaves_a_span_out_leaves_it_out_of_all_groups),
        cmocka_unit_test(groups_are_sorted_by_what_is_asked_for),
        cmocka_unit_test(values_that_are_no_text_have_labels),
        cmocka_unit_test(tokens_and_cost_are_summed_by_model),
        cmocka_unit_test(groups_beyond_the_limit_are_one_that_comes_last),
        cmocka_unit_test(hours_beyond_the_limit_do_not_fall_into_the_last_group),
        cmocka_unit_test(long_labels_are_cut_between_characters),
        cmocka_unit_test(odd_times_and_sums_stay_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
