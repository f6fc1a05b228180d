// Rules for times to live: what fits, and which rule is taken.
#include "storage/store/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

typedef struct {
    ut_buf span;
    ut_buf resource;
    ut_rules rules;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    f = (fixture){.rules.count = 0};
    ut_buf_init(&f.span, 64 * 1024);
    ut_buf_init(&f.resource, 64 * 1024);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_buf_free(&f->span);
    ut_buf_free(&f->resource);
    return 0;
}

static ut_bytes z(const char *text_z)
{
    return ut_bytes_of_z(text_z);
}

// A span with every kind of value, of a resource with a service.
static void write_records(fixture *f, int32_t status)
{
    static const uint8_t ids[UT_TRACE_ID_LEN] = {1};
    const ut_span span = {.trace_id = {ids, UT_TRACE_ID_LEN},
                          .span_id = {ids, UT_SPAN_ID_LEN},
                          .name = z("GET"),
                          .start_ns = 5,
                          .end_ns = 9,
                          .status_code = status};
    ut_buf_reset(&f->span, SIZE_MAX);
    ut_span_write_head(&f->span, &span);
    ut_mp_put_map(&f->span, 9);
    ut_mp_put_str(&f->span, z("list"));
    ut_mp_put_array(&f->span, 1);
    ut_mp_put_str(&f->span, z("x"));
    ut_mp_put_str(&f->span, z("http.route"));
    ut_mp_put_str(&f->span, z("/pay/42"));
    ut_mp_put_str(&f->span, z("retries"));
    ut_mp_put_int(&f->span, 3);
    ut_mp_put_str(&f->span, z("offset"));
    ut_mp_put_int(&f->span, -7);
    ut_mp_put_str(&f->span, z("ratio"));
    ut_mp_put_double(&f->span, 0.1);
    ut_mp_put_str(&f->span, z("whole"));
    ut_mp_put_double(&f->span, 200);
    ut_mp_put_str(&f->span, z("cached"));
    ut_mp_put_bool(&f->span, true);
    ut_mp_put_str(&f->span, z("nothing"));
    ut_mp_put_nil(&f->span);
    ut_mp_put_str(&f->span, z("host.name"));
    ut_mp_put_str(&f->span, z("own"));
    ut_mp_put_array(&f->span, 0);
    ut_mp_put_array(&f->span, 0);
    ut_span_write_rare(&f->span, &span);
    assert_int_equal(f->span.err, UT_OK);

    ut_resource resource = {.schema_url = UT_BYTES_NONE};
    ut_buf_reset(&f->resource, SIZE_MAX);
    ut_resource_write_head(&f->resource);
    ut_mp_put_map(&f->resource, 2);
    ut_mp_put_str(&f->resource, z("service.name"));
    ut_mp_put_str(&f->resource, z("checkout"));
    ut_mp_put_str(&f->resource, z("host.name"));
    ut_mp_put_str(&f->resource, z("machine"));
    ut_resource_write_tail(&f->resource, &resource);
    assert_int_equal(f->resource.err, UT_OK);
}

static ut_rule *add_rule(fixture *f, uint64_t ttl_ms)
{
    ut_rule *rule = &f->rules.items[f->rules.count++];
    *rule = (ut_rule){.ttl_ms = ttl_ms};
    return rule;
}

static void add_condition(ut_rule *rule, const char *key_z, const char *value_z)
{
    assert_int_equal(
        ut_rule_condition_set(&rule->conditions[rule->condition_count++], z(key_z), z(value_z)),
        UT_OK);
}

static const ut_rule *find(const fixture *f)
{
    return ut_rules_find(&f->rules, ut_buf_bytes(&f->span), ut_buf_bytes(&f->resource));
}

static bool one_fits(fixture *f, const char *key_z, const char *value_z)
{
    f->rules.count = 0;
    add_condition(add_rule(f, 1), key_z, value_z);
    return find(f) != NULL;
}

static void a_value_is_compared_as_text_or_as_a_pattern(void **state)
{
    static const struct {
        const char *key_z;
        const char *value_z;
        bool fits;
    } cases[] = {
        {"http.route", "/pay/42", true},
        {"http.route", "/pay", false},
        {"http.route", "/pay*", true},
        {"http.route", "/pay/??", true},
        {"http.route", "/pay/?", false},
        {"retries", "3", true},
        {"retries", "30", false},
        {"offset", "-7", true},
        {"ratio", "0.1", true},
        {"whole", "200", true},
        {"whole", "2??", true},
        {"cached", "true", true},
        {"cached", "false", false},
        {"nothing", "*", false},
        {"list", "*", false},
        {"absent", "*", false},
    };
    fixture *f = *state;
    write_records(f, UT_STATUS_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (one_fits(f, cases[i].key_z, cases[i].value_z) != cases[i].fits)
            fail_msg("%s: %s", cases[i].key_z, cases[i].value_z);
    }
}

static void the_span_is_asked_before_its_resource(void **state)
{
    fixture *f = *state;
    write_records(f, UT_STATUS_OK);
    assert_true(one_fits(f, "service.name", "checkout"));
    assert_true(one_fits(f, "host.name", "own"));
    assert_false(one_fits(f, "host.name", "machine"));
}

static void the_status_is_that_of_the_span(void **state)
{
    fixture *f = *state;
    write_records(f, UT_STATUS_ERROR);
    assert_true(one_fits(f, "status", "error"));
    assert_false(one_fits(f, "status", "ok"));
    write_records(f, 77);
    assert_true(one_fits(f, "status", "unset"));
}

static void all_conditions_have_to_hold_and_the_first_rule_is_taken(void **state)
{
    fixture *f = *state;
    write_records(f, UT_STATUS_ERROR);
    ut_rule *rule = add_rule(f, 1);
    add_condition(rule, "service.name", "checkout");
    add_condition(rule, "retries", "4");
    assert_null(find(f));
    rule = add_rule(f, 2);
    add_condition(rule, "service.name", "checkout");
    add_condition(rule, "status", "error");
    rule = add_rule(f, 3);
    add_condition(rule, "service.name", "checkout");
    assert_non_null(find(f));
    assert_int_equal(find(f)->ttl_ms, 2);
}

static void a_damaged_record_fits_no_rule(void **state)
{
    fixture *f = *state;
    write_records(f, UT_STATUS_ERROR);
    add_condition(add_rule(f, 1), "host.name", "own");
    // The heap copy ends where the record does, so that a sanitizer sees a read behind it.
    for (size_t len = 0; len < f->span.len; len++) {
        ut_buf cut;
        ut_buf_init(&cut, f->span.len);
        ut_buf_add(&cut, f->span.data, len);
        (void)ut_rules_find(&f->rules, ut_buf_bytes(&cut), ut_buf_bytes(&f->resource));
        (void)ut_rules_find(&f->rules, ut_buf_bytes(&f->span), ut_buf_bytes(&cut));
        if (len < 60)
            assert_null(ut_rules_find(&f->rules, ut_buf_bytes(&cut), ut_buf_bytes(&f->resource)));
        ut_buf_free(&cut);
    }
}

static void a_condition_has_limits(void **state)
{
    (void)state;
    ut_rule_condition condition;
    char long_z[UT_RULE_TEXT_MAX + 2];
    memset(long_z, 'x', sizeof long_z - 1);
    long_z[sizeof long_z - 1] = '\0';
    assert_int_equal(ut_rule_condition_set(&condition, z(long_z), z("a")), UT_ELIMIT);
    assert_int_equal(ut_rule_condition_set(&condition, z("a"), z(long_z)), UT_ELIMIT);
    assert_int_equal(ut_rule_condition_set(&condition, z(long_z + 1), z(long_z + 1)), UT_OK);
    assert_int_equal(ut_rule_condition_set(&condition, z(""), z("a")), UT_EINVAL);
    assert_int_equal(ut_rule_condition_set(&condition, z("a"), z("")), UT_EINVAL);
    assert_int_equal(ut_rule_condition_set(&condition, z("status"), z("bad")), UT_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_value_is_compared_as_text_or_as_a_pattern, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_span_is_asked_before_its_resource, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_status_is_that_of_the_span, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_conditions_have_to_hold_and_the_first_rule_is_taken,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_record_fits_no_rule, set_up, tear_down),
        cmocka_unit_test(a_condition_has_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
