// JSON Patch against the examples of RFC 6902 (appendix A), JSON Merge Patch against those of RFC
// 7396 (appendix A), and what neither says.
#include "adapters/state/json_patch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { BYTES_MAX = 1 << 20, WORK_MAX = 10 * 1000 * 1000 };

typedef struct {
    const char *before_z;
    const char *change_z;
    const char *after_z; // NULL: refused, with err
    ut_err err;
} example;

static ut_err apply(ut_bytes before, ut_bytes change, const ut_json_patch_limits *limits,
                    ut_buf *after, ut_fault *fault)
{
    yyjson_mut_doc *from = NULL;
    yyjson_mut_doc *to = NULL;
    size_t bytes = 0;
    bool merge = false;
    assert_int_equal(ut_json_patch_read(before, limits, &from, &bytes, fault), UT_OK);
    *fault = (ut_fault){0};
    const ut_err err = ut_json_patch_apply(from, change, limits, &to, &bytes, &merge, fault);
    if (err == UT_OK) {
        const size_t len = after->len;
        ut_json_patch_write(to, after);
        assert_true(bytes + 64 >= after->len - len);
    } else {
        assert_null(to);
        assert_int_equal(fault->code, err);
        assert_true(fault->text_z[0] != '\0');
    }
    ut_buf kept; // the old document stays as it was
    ut_buf again;
    yyjson_mut_doc *same = NULL;
    ut_buf_init(&kept, BYTES_MAX);
    ut_buf_init(&again, BYTES_MAX);
    ut_json_patch_write(from, &kept);
    uint64_t work = WORK_MAX;
    const ut_json_patch_limits wide = {BYTES_MAX, &work};
    assert_int_equal(ut_json_patch_read(before, &wide, &same, &bytes, fault), UT_OK);
    ut_json_patch_write(same, &again);
    assert_true(ut_bytes_equal(ut_buf_bytes(&kept), ut_buf_bytes(&again)));
    ut_buf_free(&kept);
    ut_buf_free(&again);
    yyjson_mut_doc_free(same);
    yyjson_mut_doc_free(from);
    yyjson_mut_doc_free(to);
    return err;
}

static void check(const example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t work = WORK_MAX;
        const ut_json_patch_limits limits = {BYTES_MAX, &work};
        ut_fault fault = {0};
        ut_buf after;
        ut_buf_init(&after, BYTES_MAX);
        const ut_err err = apply(ut_bytes_of_z(examples[i].before_z),
                                 ut_bytes_of_z(examples[i].change_z), &limits, &after, &fault);
        const ut_err expected = examples[i].after_z != NULL ? UT_OK : examples[i].err;
        if (err != expected)
            fail_msg("%s on %s: %s %s", examples[i].change_z, examples[i].before_z,
                     ut_err_name(err), fault.text_z);
        if (err == UT_OK &&
            !ut_bytes_equal(ut_buf_bytes(&after), ut_bytes_of_z(examples[i].after_z)))
            fail_msg("%s on %s: %.*s", examples[i].change_z, examples[i].before_z, (int)after.len,
                     (const char *)after.data);
        ut_buf_free(&after);
    }
}

#define CHECK(examples) check(examples, sizeof(examples) / sizeof((examples)[0]))

static void the_examples_of_rfc_6902_hold(void **state)
{
    (void)state;
    static const example examples[] = {
        {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]",
         "{\"foo\":\"bar\",\"baz\":\"qux\"}", UT_OK},
        {"{\"foo\":[\"bar\",\"baz\"]}", "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":\"qux\"}]",
         "{\"foo\":[\"bar\",\"qux\",\"baz\"]}", UT_OK},
        {"{\"baz\":\"qux\",\"foo\":\"bar\"}", "[{\"op\":\"remove\",\"path\":\"/baz\"}]",
         "{\"foo\":\"bar\"}", UT_OK},
        {"{\"foo\":[\"bar\",\"qux\",\"baz\"]}", "[{\"op\":\"remove\",\"path\":\"/foo/1\"}]",
         "{\"foo\":[\"bar\",\"baz\"]}", UT_OK},
        {"{\"baz\":\"qux\",\"foo\":\"bar\"}",
         "[{\"op\":\"replace\",\"path\":\"/baz\",\"value\":\"boo\"}]",
         "{\"baz\":\"boo\",\"foo\":\"bar\"}", UT_OK},
        {"{\"foo\":{\"bar\":\"baz\",\"waldo\":\"fred\"},\"qux\":{\"corge\":\"grault\"}}",
         "[{\"op\":\"move\",\"from\":\"/foo/waldo\",\"path\":\"/qux/thud\"}]",
         "{\"foo\":{\"bar\":\"baz\"},\"qux\":{\"corge\":\"grault\",\"thud\":\"fred\"}}", UT_OK},
        {"{\"foo\":[\"all\",\"grass\",\"cows\",\"eat\"]}",
         "[{\"op\":\"move\",\"from\":\"/foo/1\",\"path\":\"/foo/3\"}]",
         "{\"foo\":[\"all\",\"cows\",\"eat\",\"grass\"]}", UT_OK},
        {"{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}",
         "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"qux\"},"
         "{\"op\":\"test\",\"path\":\"/foo/1\",\"value\":2}]",
         "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}", UT_OK},
        {"{\"baz\":\"qux\"}", "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"bar\"}]", NULL,
         UT_EINVAL},
        {"{\"foo\":\"bar\"}",
         "[{\"op\":\"add\",\"path\":\"/child\",\"value\":{\"grandchild\":{}}}]",
         "{\"foo\":\"bar\",\"child\":{\"grandchild\":{}}}", UT_OK},
        {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"xyz\":123}]",
         "{\"foo\":\"bar\",\"baz\":\"qux\"}", UT_OK},
        {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz/bat\",\"value\":\"qux\"}]", NULL,
         UT_EINVAL},
        {"{\"foo\":\"bar\"}",
         "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"op\":\"remove\"}]", NULL,
         UT_EFORMAT},
        {"{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":10}]",
         "{\"/\":9,\"~1\":10}", UT_OK},
        {"{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":\"10\"}]", NULL,
         UT_EINVAL},
        {"{\"foo\":[\"bar\"]}",
         "[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[\"abc\",\"def\"]}]",
         "{\"foo\":[\"bar\",[\"abc\",\"def\"]]}", UT_OK},
    };
    CHECK(examples);
}

static void the_examples_of_rfc_7396_hold(void **state)
{
    (void)state;
    static const example examples[] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}", UT_OK},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}", UT_OK},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}", UT_OK},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}", UT_OK},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}", UT_OK},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}", UT_OK},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}",
         UT_OK},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}", UT_OK},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}", UT_OK},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}", UT_OK},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}", UT_OK},
        // Those whose patch is no object replace the whole; here an array is a JSON Patch, and
        // anything else is refused.
        {"{\"a\":\"foo\"}", "null", NULL, UT_EFORMAT},
        {"{\"a\":\"foo\"}", "\"bar\"", NULL, UT_EFORMAT},
        {"{\"a\":\"b\"}", "[\"c\"]", NULL, UT_EFORMAT},
        // The example of its section 3.
        {"{\"title\":\"Goodbye!\",\"author\":{\"givenName\":\"John\",\"familyName\":\"Doe\"},"
         "\"tags\":[\"example\",\"sample\"],\"content\":\"This will be unchanged\"}",
         "{\"title\":\"Hello!\",\"phoneNumber\":\"+01-123-456-7890\",\"author\":{\"familyName\":"
         "null},\"tags\":[\"example\"]}",
         "{\"title\":\"Hello!\",\"author\":{\"givenName\":\"John\"},\"tags\":[\"example\"],"
         "\"content\":\"This will be unchanged\",\"phoneNumber\":\"+01-123-456-7890\"}",
         UT_OK},
    };
    CHECK(examples);
}

static void merging_finds_members_in_any_order(void **state)
{
    (void)state;
    static const example examples[] = {
        {"{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":4,\"a\":5,\"b\":6}", "{\"a\":5,\"b\":6,\"c\":4}",
         UT_OK},
        {"{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":null,\"b\":null,\"c\":null,\"a\":7}", "{\"a\":7}",
         UT_OK},
        {"{\"a\":1,\"b\":{\"x\":[1,{\"y\":null}]}}",
         "{\"b\":{\"x\":{\"k\":0,\"n\":null}},\"d\":{}}",
         "{\"a\":1,\"b\":{\"x\":{\"k\":0}},\"d\":{}}", UT_OK},
        {"{\"\":1}", "{\"\":{\"\":2}}", "{\"\":{\"\":2}}", UT_OK},
        {"{\"a\":1}", "{\"b\":1,\"c\":2,\"a\":null,\"d\":3}", "{\"b\":1,\"c\":2,\"d\":3}", UT_OK},
    };
    CHECK(examples);
}

static void operations_go_wrong_one_way_each(void **state)
{
    (void)state;
    static const char *const malformed[] = {"",
                                            "[",
                                            "{}x",
                                            "7",
                                            "[1]",
                                            "[{}]",
                                            "[{\"op\":\"add\"}]",
                                            "[{\"op\":1,\"path\":\"/a\"}]",
                                            "[{\"op\":\"add\",\"path\":\"/a\"}]",
                                            "[{\"op\":\"move\",\"path\":\"/a\"}]",
                                            "[{\"op\":\"copy\",\"path\":\"/a\",\"from\":3}]",
                                            "[{\"op\":\"spam\",\"path\":\"/a\",\"value\":1}]",
                                            "[{\"op\":\"add\",\"path\":\"a\",\"value\":1}]",
                                            "[{\"op\":\"add\",\"path\":\"/a~\",\"value\":1}]",
                                            "[{\"op\":\"add\",\"path\":\"/a~2b\",\"value\":1}]",
                                            "[{\"op\":\"add\",\"path\":\"/\xff\"}]"};
    static const char *const unfit[] = {
        "[{\"op\":\"remove\",\"path\":\"/x\"}]",
        "[{\"op\":\"replace\",\"path\":\"/x\",\"value\":1}]",
        "[{\"op\":\"test\",\"path\":\"/x\",\"value\":1}]",
        "[{\"op\":\"move\",\"from\":\"/x\",\"path\":\"/a\"}]",
        "[{\"op\":\"copy\",\"from\":\"/x\",\"path\":\"/a\"}]",
        "[{\"op\":\"move\",\"from\":\"/o\",\"path\":\"/o/p\"}]",
        "[{\"op\":\"move\",\"from\":\"\",\"path\":\"/o\"}]",
        "[{\"op\":\"add\",\"path\":\"/l/4\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/l/01\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/l/-1\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/l/1e0\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/l/99999999999999999999\",\"value\":1}]",
        "[{\"op\":\"remove\",\"path\":\"/l/-\"}]", "[{\"op\":\"remove\",\"path\":\"/l/3\"}]",
        "[{\"op\":\"add\",\"path\":\"/s/a\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/l/-/a\",\"value\":1}]",
        // the second fails, so the first has not happened either
        "[{\"op\":\"add\",\"path\":\"/n\",\"value\":1},{\"op\":\"remove\",\"path\":\"/x\"}]"};
    static const char before[] = "{\"o\":{\"p\":1},\"l\":[1,2,3],\"s\":\"t\"}";
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
        check(&(example){before, malformed[i], NULL, UT_EFORMAT}, 1);
    for (size_t i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++)
        check(&(example){before, unfit[i], NULL, UT_EINVAL}, 1);
}

static void operations_reach_the_whole_and_the_edges(void **state)
{
    (void)state;
    static const example examples[] = {
        {"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"\",\"value\":[2]}]", "[2]", UT_OK},
        {"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":3}]", "3", UT_OK},
        {"{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"\"}]", "null", UT_OK},
        {"{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"\"}]", "{\"b\":1}",
         UT_OK},
        {"{\"a\":1}", "[{\"op\":\"copy\",\"from\":\"\",\"path\":\"/b\"}]",
         "{\"a\":1,\"b\":{\"a\":1}}", UT_OK},
        {"{\"a\":1}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a\"}]", "{\"a\":1}", UT_OK},
        {"{\"a\":1,\"ab\":2}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/ab\"}]", "{\"ab\":1}",
         UT_OK},
        {"{}",
         "[{\"op\":\"add\",\"path\":\"/\",\"value\":1},{\"op\":\"copy\",\"from\":\"/\","
         "\"path\":\"/x~1~0y\"},{\"op\":\"remove\",\"path\":\"/\"}]",
         "{\"x/~y\":1}", UT_OK},
        {"[1,2,3]",
         "[{\"op\":\"add\",\"path\":\"/3\",\"value\":4},{\"op\":\"remove\",\"path\":\"/0\"},"
         "{\"op\":\"replace\",\"path\":\"/0\",\"value\":0}]",
         "[0,3,4]", UT_OK},
        {"[]", "[]", "[]", UT_OK},
        {"[1]",
         "[{\"op\":\"remove\",\"path\":\"/0\"},{\"op\":\"add\",\"path\":\"/-\",\"value\":2}]",
         "[2]", UT_OK},
        // Numbers keep their digits, and are equal by value.
        {"{\"n\":12345678901234567890.5,\"i\":1e2}",
         "[{\"op\":\"test\",\"path\":\"/i\",\"value\":100},{\"op\":\"test\",\"path\":\"/i\","
         "\"value\":100.0},{\"op\":\"add\",\"path\":\"/z\",\"value\":0.10},"
         "{\"op\":\"test\",\"path\":\"/z\",\"value\":1e-1}]",
         "{\"n\":12345678901234567890.5,\"i\":1e2,\"z\":0.10}", UT_OK},
        {"{\"n\":-1}", "[{\"op\":\"test\",\"path\":\"/n\",\"value\":1}]", NULL, UT_EINVAL},
        {"{\"n\":1.5}", "[{\"op\":\"test\",\"path\":\"/n\",\"value\":1}]", NULL, UT_EINVAL},
        // Members in any order, items in theirs.
        {"{\"o\":{\"a\":1,\"b\":[1,{}]}}",
         "[{\"op\":\"test\",\"path\":\"/o\",\"value\":{\"b\":[1,{}],\"a\":1}}]",
         "{\"o\":{\"a\":1,\"b\":[1,{}]}}", UT_OK},
        {"{\"o\":[1,2]}", "[{\"op\":\"test\",\"path\":\"/o\",\"value\":[2,1]}]", NULL, UT_EINVAL},
        {"{\"o\":{\"a\":1}}", "[{\"op\":\"test\",\"path\":\"/o\",\"value\":{\"b\":1}}]", NULL,
         UT_EINVAL},
        {"{\"o\":null}", "[{\"op\":\"test\",\"path\":\"/o\",\"value\":false}]", NULL, UT_EINVAL},
        {"{\"o\":true}", "[{\"op\":\"test\",\"path\":\"/o\",\"value\":false}]", NULL, UT_EINVAL},
        {"{\"o\":null}", "[{\"op\":\"test\",\"path\":\"/o\",\"value\":null}]", "{\"o\":null}",
         UT_OK},
        // A member that stands twice is one.
        {"{\"a\":1,\"a\":2}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":3}]", "{\"a\":3}",
         UT_OK},
        {"{\"t\":\"\\u001b[31m\\u009b\"}", "[]", "{\"t\":\"\\u001b[31m\\u009b\"}", UT_OK},
    };
    CHECK(examples);
}

// "[[[...]]]", as an operand or a document.
static void add_nested(ut_buf *to, uint32_t depth)
{
    for (uint32_t i = 0; i < depth; i++)
        ut_buf_add_byte(to, '[');
    for (uint32_t i = 0; i < depth; i++)
        ut_buf_add_byte(to, ']');
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    for (uint32_t depth = UT_JSON_PATCH_DEPTH_MAX - 1; depth <= UT_JSON_PATCH_DEPTH_MAX; depth++) {
        ut_buf change;
        ut_buf merge;
        ut_buf after;
        ut_fault fault = {0};
        uint64_t work = WORK_MAX;
        const ut_json_patch_limits limits = {BYTES_MAX, &work};
        ut_buf_init(&change, BYTES_MAX);
        ut_buf_init(&merge, BYTES_MAX);
        ut_buf_init(&after, BYTES_MAX);
        ut_buf_add_z(&change, "[{\"op\":\"add\",\"path\":\"/a\",\"value\":");
        add_nested(&change, depth);
        ut_buf_add_z(&change, "}]");
        ut_buf_add_z(&merge, "{\"a\":");
        add_nested(&merge, depth);
        ut_buf_add_z(&merge, "}");
        const ut_err expected = depth < UT_JSON_PATCH_DEPTH_MAX ? UT_OK : UT_ELIMIT;
        assert_int_equal(apply(UT_BYTES_LIT("{}"), ut_buf_bytes(&change), &limits, &after, &fault),
                         expected);
        assert_int_equal(apply(UT_BYTES_LIT("{}"), ut_buf_bytes(&merge), &limits, &after, &fault),
                         expected);
        ut_buf_free(&change);
        ut_buf_free(&merge);
        ut_buf_free(&after);
    }
    // Far beyond it nothing descends.
    ut_buf deep;
    ut_fault fault = {0};
    yyjson_mut_doc *doc = NULL;
    size_t bytes = 0;
    uint64_t work = WORK_MAX;
    const ut_json_patch_limits limits = {BYTES_MAX, &work};
    ut_buf_init(&deep, BYTES_MAX);
    add_nested(&deep, 200 * 1000);
    assert_int_equal(ut_json_patch_read(ut_buf_bytes(&deep), &limits, &doc, &bytes, &fault),
                     UT_ELIMIT);
    assert_null(doc);
    ut_buf_free(&deep);
}

static void doubling_and_long_searches_come_to_an_end(void **state)
{
    (void)state;
    ut_buf change;
    ut_buf after;
    ut_fault fault = {0};
    uint64_t work = WORK_MAX;
    const ut_json_patch_limits limits = {64 * 1024, &work};
    ut_buf_init(&change, BYTES_MAX);
    ut_buf_init(&after, BYTES_MAX);
    ut_buf_add_byte(&change, '[');
    for (int i = 0; i < 40; i++) // would be 2^40 values
        ut_buf_printf(&change, "%s{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/-\"}",
                      i == 0 ? "" : ",");
    ut_buf_add_byte(&change, ']');
    assert_int_equal(
        apply(UT_BYTES_LIT("{\"a\":[]}"), ut_buf_bytes(&change), &limits, &after, &fault),
        UT_ELIMIT);

    uint64_t little = 1000;
    const ut_json_patch_limits short_of_work = {BYTES_MAX, &little};
    ut_buf list;
    ut_buf_init(&list, BYTES_MAX);
    ut_buf_add_byte(&list, '[');
    for (int i = 0; i < 300; i++)
        ut_buf_printf(&list, "%s%d", i == 0 ? "" : ",", i);
    ut_buf_add_byte(&list, ']');
    ut_buf_reset(&change, BYTES_MAX);
    ut_buf_add_byte(&change, '[');
    for (int i = 0; i < 20; i++)
        ut_buf_printf(&change, "%s{\"op\":\"test\",\"path\":\"/299\",\"value\":299}",
                      i == 0 ? "" : ",");
    ut_buf_add_byte(&change, ']');
    assert_int_equal(
        apply(ut_buf_bytes(&list), ut_buf_bytes(&change), &short_of_work, &after, &fault),
        UT_ELIMIT);
    assert_int_equal(little, 0);
    yyjson_mut_doc *doc = NULL;
    size_t bytes = 0;
    assert_int_equal(ut_json_patch_read(UT_BYTES_LIT("{}"), &short_of_work, &doc, &bytes, &fault),
                     UT_ELIMIT);
    ut_buf_free(&list);
    ut_buf_free(&change);
    ut_buf_free(&after);
}

static void a_fault_says_which_operation_and_why(void **state)
{
    (void)state;
    ut_fault fault = {0};
    ut_buf after;
    uint64_t work = WORK_MAX;
    const ut_json_patch_limits limits = {BYTES_MAX, &work};
    ut_buf_init(&after, BYTES_MAX);
    (void)apply(UT_BYTES_LIT("{\"a\":1}"),
                UT_BYTES_LIT("[{\"op\":\"test\",\"path\":\"/a\",\"value\":1},"
                             "{\"op\":\"remove\",\"path\":\"/b\"}]"),
                &limits, &after, &fault); // refused; it is the text that counts
    assert_string_equal(fault.text_z, "operation 2 (remove \"/b\"): nothing is there");
    ut_buf_free(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_rfc_6902_hold),
        cmocka_unit_test(the_examples_of_rfc_7396_hold),
        cmocka_unit_test(merging_finds_members_in_any_order),
        cmocka_unit_test(operations_go_wrong_one_way_each),
        cmocka_unit_test(operations_reach_the_whole_and_the_edges),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(doubling_and_long_searches_come_to_an_end),
        cmocka_unit_test(a_fault_says_which_operation_and_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
