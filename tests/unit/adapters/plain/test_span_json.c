// Tests of adapters/plain/span_json.
#include "adapters/plain/span_json.h"
#include "tests/support/span_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define EPOCH "1970-01-01T00:00:00.000Z"

static void assert_json(const ut_span *span, ut_bytes resource_attributes, const char *wanted_z)
{
    ut_buf out;
    ut_buf_init(&out, 1 << 16);
    ut_json_writer json = ut_json_writer_of(&out);
    ut_json_write_object(&json, NULL);
    ut_span_json(&json, span, UT_BYTES_LIT("scope"), resource_attributes);
    ut_json_write_close(&json);
    ut_buf_add_byte(&out, 0);
    assert_int_equal(out.err, UT_OK);
    assert_string_equal((const char *)out.data, wanted_z);
    ut_buf_free(&out);
}

static void a_span_without_anything_is_still_json(void **state)
{
    (void)state;
    const ut_span span = {.start_ns = 9, .end_ns = 4, .kind = 77, .status_code = -3};
    assert_json(&span, UT_BYTES_NONE,
                "{\"trace_id\":\"\",\"span_id\":\"\",\"parent_span_id\":null,\"name\":\"\","
                "\"service\":\"\",\"scope\":\"scope\",\"kind\":\"unspecified\","
                "\"start\":\"" EPOCH "\",\"start_ns\":9,\"end\":\"" EPOCH "\","
                "\"end_ns\":4,\"duration_ns\":0,\"status\":\"unset\",\"status_message\":\"\","
                "\"attributes\":{},\"resource\":{},\"events\":[]}");
}

static void events_links_and_calls_of_models_stand_in_it(void **state)
{
    (void)state;
    static const uint8_t trace_id[UT_TRACE_ID_LEN] = {0xab};
    static const uint8_t span_id[UT_SPAN_ID_LEN] = {0xcd};
    ut_buf own;
    ut_buf resource;
    ut_buf inner;
    ut_buf events;
    ut_buf links;
    const ut_bytes thrown = UT_MAP_OF(&inner, "exception.type", "Timeout");
    const ut_link link = {.trace_id = ut_bytes_of(trace_id, sizeof(trace_id)),
                          .span_id = ut_bytes_of(span_id, sizeof(span_id))};
    ut_buf_init(&links, 4096);
    ut_mp_put_array(&links, 2);
    for (int i = 0; i < 2; i++) {
        ut_link_write_head(&links, &link);
        ut_buf_add_bytes(&links, thrown);
        ut_link_write_tail(&links, &link);
    }
    const ut_span span = {
        .trace_id = ut_bytes_of(trace_id, sizeof(trace_id)),
        .span_id = ut_bytes_of(span_id, sizeof(span_id)),
        .parent_span_id = ut_bytes_of(span_id, sizeof(span_id)),
        .name = UT_BYTES_LIT("a \"b\""),
        .kind = 2,
        .start_ns = UINT64_C(1795991457423624710),
        .end_ns = UINT64_C(1795991457423624730),
        .status_code = UT_STATUS_ERROR,
        .status_message = UT_BYTES_LIT("x\ny"),
        .attributes = UT_MAP_OF(&own, "gen_ai.request.model", "m", "k", "v"),
        .events = ut_event_of(&events, "exception", thrown),
        .links = ut_buf_bytes(&links),
    };
    assert_json(
        &span, UT_MAP_OF(&resource, "service.name", "shop"),
        "{\"trace_id\":\"ab000000000000000000000000000000\","
        "\"span_id\":\"cd00000000000000\",\"parent_span_id\":\"cd00000000000000\","
        "\"name\":\"a \\\"b\\\"\",\"service\":\"shop\",\"scope\":\"scope\","
        "\"kind\":\"server\",\"start\":\"2026-11-29T22:30:57.423Z\",\"start_ns\":"
        "1795991457423624710,"
        "\"end\":\"2026-11-29T22:30:57.423Z\",\"end_ns\":1795991457423624730,\"duration_ns\":20,"
        "\"status\":\"error\",\"status_message\":\"x\\ny\","
        "\"attributes\":{\"gen_ai.request.model\":\"m\",\"k\":\"v\"},"
        "\"resource\":{\"service.name\":\"shop\"},"
        "\"events\":[{\"time\":\"2026-11-29T22:30:57.423Z\",\"time_ns\":1795991457423624715,"
        "\"name\":\"exception\","
        "\"attributes\":{\"exception.type\":\"Timeout\"}}],"
        "\"links\":[{\"trace_id\":\"ab000000000000000000000000000000\","
        "\"span_id\":\"cd00000000000000\",\"attributes\":{\"exception.type\":\"Timeout\"}},"
        "{\"trace_id\":\"ab000000000000000000000000000000\","
        "\"span_id\":\"cd00000000000000\",\"attributes\":{\"exception.type\":\"Timeout\"}}],"
        "\"llm\":{\"model\":\"m\",\"provider\":\"\",\"operation\":\"\"}}");
    ut_buf_free(&own);
    ut_buf_free(&resource);
    ut_buf_free(&inner);
    ut_buf_free(&events);
    ut_buf_free(&links);
}

static void damaged_lists_end_early_and_stay_json(void **state)
{
    (void)state;
    ut_buf inner;
    ut_buf events;
    ut_span span = {.events = ut_event_of(&events, "exception", UT_MAP_OF(&inner, "k", "v"))};
    span.events.len -= 3;
    assert_json(&span, UT_BYTES_NONE,
                "{\"trace_id\":\"\",\"span_id\":\"\",\"parent_span_id\":null,\"name\":\"\","
                "\"service\":\"\",\"scope\":\"scope\",\"kind\":\"unspecified\","
                "\"start\":\"" EPOCH "\",\"start_ns\":0,\"end\":\"" EPOCH "\","
                "\"end_ns\":0,\"duration_ns\":0,\"status\":\"unset\",\"status_message\":\"\","
                "\"attributes\":{},\"resource\":{},\"events\":[]}");
    ut_buf_free(&inner);
    ut_buf_free(&events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_without_anything_is_still_json),
        cmocka_unit_test(events_links_and_calls_of_models_stand_in_it),
        cmocka_unit_test(damaged_lists_end_early_and_stay_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
