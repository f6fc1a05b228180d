// Tests of adapters/otlp/otlp_json_decode: what producers write beside the letter of OTLP and is
// taken all the same, because a refusal would lose a whole request for good.
#include "adapters/otlp/otlp.h"

#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

enum { BYTES_MAX = 1 << 20 };

static void decode(const char *text_z, ut_batch *batch)
{
    ut_fault fault = {0};
    ut_batch_init(batch, BYTES_MAX);
    if (ut_otlp_json_decode(ut_bytes_of_z(text_z), batch, &fault) != UT_OK)
        fail_msg("%s: %s", text_z, fault.text_z);
}

// The span of a request whose span has these members besides its ids.
static ut_span decode_span(const char *members_z, ut_batch *batch)
{
    char text_z[1000];
    ut_span span;
    ut_scope scope;
    ut_resource resource;
    (void)snprintf(text_z, sizeof text_z,
                   "\xef\xbb\xbf{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{"
                   "\"traceId\":\"0af7651916cd43dd8448eb211c80319c\","
                   "\"spanId\":\"00f067aa0ba902b7\",%s}]}]}]}",
                   members_z);
    decode(text_z, batch);
    assert_int_equal(batch->span_count, 1);
    ut_batch_read(batch, 0, &span, &scope, &resource);
    return span;
}

static void a_text_cut_within_a_character_is_kept(void **state)
{
    (void)state;
    static const char *const names_z[][2] = {
        {"\"name\":\"cut \\ud83d\"", "cut \xef\xbf\xbd"},
        // The document is read, too, where the pass gives up.
        {"\"name\":\"cut \\ud83d\",\"kind\":\"SERVER\"", "cut \xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof names_z / sizeof names_z[0]; i++) {
        ut_batch batch;
        const ut_span span = decode_span(names_z[i][0], &batch);
        assert_true(ut_bytes_equal(span.name, ut_bytes_of_z(names_z[i][1])));
        ut_batch_free(&batch);
    }
}

static void no_counter_refuses_a_request(void **state)
{
    (void)state;
    ut_batch batch;
    const ut_span span =
        decode_span("\"droppedAttributesCount\":-1,\"droppedEventsCount\":4294967296,"
                    "\"droppedLinksCount\":\"-7\",\"flags\":-1,\"kind\":\"SPAN_KIND_CLIENT\","
                    "\"status\":{\"code\":\"STATUS_CODE_ERROR\"},"
                    "\"events\":[{\"droppedAttributesCount\":-1}],"
                    "\"links\":[{\"droppedAttributesCount\":-1,\"flags\":-1}]",
                    &batch);
    assert_int_equal(span.dropped_attributes, 0);
    assert_int_equal(span.dropped_events, UINT32_MAX);
    assert_int_equal(span.dropped_links, 0);
    assert_int_equal(span.flags, UINT32_MAX);
    assert_int_equal(span.kind, 3);
    assert_int_equal(span.status_code, 2);
    ut_batch_free(&batch);
}

static void an_object_without_spans_is_remarked(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{}", ""},
        {"{\"resourceSpans\":null}", ""},
        {"{\"x\":1,\"resourceSpans\":[]}", ""},
        {"{\"resourceLogs\":[]}", "found no resourceSpans, but \"resourceLogs\"; those are logs, "
                                  "and only traces are taken here"},
        {"{\"resource_spans\":[]}",
         "found no resourceSpans, but \"resource_spans\"; names are written in lowerCamelCase"},
        {"{\"batches\":[1]}",
         "found no resourceSpans, but \"batches\"; that is a trace as a backend shows it"},
        {"{\"a\\nb\":{\"resourceSpans\":[]}}", "found no resourceSpans, but \"a?b\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ut_batch batch;
        decode(cases[i][0], &batch);
        assert_int_equal(batch.span_count, 0);
        assert_int_equal(batch.rejected_count, 0);
        assert_string_equal(batch.reject_reason_z, cases[i][1]);
        ut_batch_free(&batch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_cut_within_a_character_is_kept),
        cmocka_unit_test(no_counter_refuses_a_request),
        cmocka_unit_test(an_object_without_spans_is_remarked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
