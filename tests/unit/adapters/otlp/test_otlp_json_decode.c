// Tests of adapters/otlp/otlp_json_decode with bodies made by hand: the rules of OTLP/JSON, and
// bodies that must be refused.
#include "adapters/otlp/otlp.h"
#include "adapters/otlp/otlp_fields.h"
#include "adapters/otlp/otlp_json_stream.h"
#include "adapters/encoding/protobuf.h"
#include "tests/support/otlp_blocks.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

enum { BYTES_MAX = 1 << 28 };

#define IDS "\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"0102030405060708\""

// The document alone must come to the same result.
static void assert_document_agrees(ut_bytes body, ut_err err, const ut_batch *batch)
{
    ut_batch document;
    uint32_t index;
    ut_batch_init(&document, BYTES_MAX);
    assert_int_equal(ut_otlp_json_document(body, SIZE_MAX, &document, NULL), err);
    if (err == UT_OK) {
        assert_int_equal(document.rejected_count, batch->rejected_count);
        assert_string_equal(document.reject_reason_z, batch->reject_reason_z);
        assert_null(ut_batch_difference(&document, batch, &index));
    }
    ut_batch_free(&document);
}

// Decodes text of exactly this size, so that a sanitizer sees a read past the end.
static ut_err decode(ut_bytes text, ut_batch *batch, ut_fault *fault)
{
    uint8_t *copy = malloc(text.len > 0 ? text.len : 1);
    assert_non_null(copy);
    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    ut_batch_init(batch, BYTES_MAX);
    ut_err err = ut_otlp_json_decode(ut_bytes_of(copy, text.len), batch, fault);
    assert_document_agrees(ut_bytes_of(copy, text.len), err, batch);
    free(copy);
    return err;
}

static void decode_text(const char *text_z, ut_batch *batch)
{
    ut_fault fault = {0};
    if (decode(ut_bytes_of_z(text_z), batch, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
}

static void refuse_text(const char *text_z, const char *wanted_z)
{
    ut_batch batch;
    ut_fault fault = {0};
    assert_int_equal(decode(ut_bytes_of_z(text_z), &batch, &fault), UT_EFORMAT);
    assert_string_equal(fault.text_z, wanted_z);
    ut_batch_free(&batch);
}

// Makes a body of one span with these members behind its ids. The result is good until the next
// call.
static const char *span_body(const char *members_z)
{
    static char text_z[4096];
    (void)snprintf(text_z, sizeof text_z,
                   "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" IDS "%s%s}]}]}]}",
                   members_z[0] != '\0' ? "," : "", members_z);
    return text_z;
}

static ut_span decode_span(const char *members_z, ut_batch *batch)
{
    ut_span span;
    ut_scope scope;
    ut_resource resource;
    decode_text(span_body(members_z), batch);
    assert_int_equal(batch->span_count, 1);
    ut_batch_read(batch, 0, &span, &scope, &resource);
    return span;
}

static void refuse_span(const char *members_z, const char *wanted_z)
{
    char full_z[400];
    (void)snprintf(full_z, sizeof full_z, "resourceSpans[0].scopeSpans[0].spans[0].%s", wanted_z);
    refuse_text(span_body(members_z), full_z);
}

static void assert_bytes(ut_bytes got, const char *wanted, size_t len)
{
    assert_int_equal(got.len, len);
    assert_memory_equal(got.data, wanted, len);
}

#define ASSERT_BYTES(got, lit) assert_bytes(got, lit, sizeof(lit) - 1)

// The MessagePack that the value of one attribute becomes.
static void assert_value(const char *value_z, const char *wanted, size_t len)
{
    char members_z[2000];
    ut_batch batch;
    (void)snprintf(members_z, sizeof members_z, "\"attributes\":[{\"key\":\"k\",\"value\":%s}]",
                   value_z);
    ut_span span = decode_span(members_z, &batch);
    ASSERT_BYTES(ut_bytes_of(span.attributes.data, 3), "\x81\xa1k");
    assert_bytes(ut_bytes_of(span.attributes.data + 3, span.attributes.len - 3), wanted, len);
    ut_batch_free(&batch);
}

#define ASSERT_VALUE(value_z, lit) assert_value(value_z, lit, sizeof(lit) - 1)

static void refuse_value(const char *value_z, const char *wanted_z)
{
    char members_z[2000];
    char full_z[300];
    (void)snprintf(members_z, sizeof members_z, "\"attributes\":[{\"key\":\"k\",\"value\":%s}]",
                   value_z);
    (void)snprintf(full_z, sizeof full_z, "attributes[0].value%s", wanted_z);
    refuse_span(members_z, full_z);
}

// ---- what is accepted ----

static void a_request_as_sdks_write_it_decodes(void **state)
{
    (void)state;
    ut_batch batch;
    decode_text(
        "{\"resourceSpans\": [{\"resource\": {\"attributes\": [{\"key\": \"service.name\", "
        "\"value\": "
        "{\"stringValue\": \"cart\"}}]}, \"scopeSpans\": [{\"scope\": {\"name\": \"http.client\", "
        "\"version\": \"4.1.0\", \"attributes\": [{\"key\": \"build\", \"value\": "
        "{\"stringValue\": \"release\"}}]}, \"spans\": [{\"traceId\": "
        "\"C0FFEE00112233445566778899AABBCC\", \"spanId\": \"ABCDEF0123456789\", \"parentSpanId\": "
        "\"abcdef0123456780\", \"name\": \"GET /cart\", \"startTimeUnixNano\": "
        "\"1760000000000000123\", \"endTimeUnixNano\": \"1760000000250000456\", \"kind\": 2, "
        "\"attributes\": [{\"key\": \"http.route\", \"value\": {\"stringValue\": "
        "\"/cart\"}}]}]}]}]}",
        &batch);
    ut_span span;
    ut_scope scope;
    ut_resource resource;
    assert_int_equal(batch.span_count, 1);
    ut_batch_read(&batch, 0, &span, &scope, &resource);
    ASSERT_BYTES(span.trace_id, "\xc0\xff\xee\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc");
    ASSERT_BYTES(span.span_id, "\xab\xcd\xef\x01\x23\x45\x67\x89");
    ASSERT_BYTES(span.parent_span_id, "\xab\xcd\xef\x01\x23\x45\x67\x80");
    ASSERT_BYTES(span.name, "GET /cart");
    assert_int_equal(span.kind, 2);
    assert_true(span.start_ns == 1760000000000000123u && span.end_ns == 1760000000250000456u);
    ASSERT_BYTES(scope.name, "http.client");
    ASSERT_BYTES(scope.version, "4.1.0");
    ut_bytes service;
    assert_true(
        ut_attributes_find_str(resource.attributes, UT_BYTES_LIT("service.name"), &service));
    ASSERT_BYTES(service, "cart");
    ut_batch_free(&batch);
}

static void every_member_has_its_place(void **state)
{
    (void)state;
    ut_batch batch;
    decode_text(
        "{\"resourceSpans\":[{\"schemaUrl\":\"rs\",\"scopeSpans\":[{\"schemaUrl\":\"ss\",\"spans\":"
        "[{" IDS ",\"traceState\":\"a=b\",\"flags\":257,\"droppedAttributesCount\":1,"
        "\"droppedEventsCount\":2,"
        "\"droppedLinksCount\":\"3\",\"status\":{\"code\":2,\"message\":\"m\"},"
        "\"startTimeUnixNano\":100,"
        "\"events\":[{\"timeUnixNano\":\"150\",\"name\":\"e\",\"droppedAttributesCount\":4,"
        "\"attributes\":"
        "[{\"key\":\"x\",\"value\":{\"intValue\":1}}]}],"
        "\"links\":[{\"traceId\":\"0aFF\",\"spanId\":\"\",\"traceState\":\"t\",\"flags\":5,"
        "\"droppedAttributesCount\":6,\"attributes\":[{\"key\":\"y\",\"value\":{\"intValue\":2}}]}]"
        "}],\"scope\":{\"droppedAttributesCount\":7}}],\"resource\":{\"droppedAttributesCount\":8}}"
        "]}",
        &batch);
    ut_span span;
    ut_scope scope;
    ut_resource resource;
    ut_batch_read(&batch, 0, &span, &scope, &resource);
    ASSERT_BYTES(span.trace_state, "a=b");
    assert_int_equal(span.flags, 257);
    assert_int_equal(span.dropped_attributes, 1);
    assert_int_equal(span.dropped_events, 2);
    assert_int_equal(span.dropped_links, 3);
    assert_int_equal(span.status_code, 2);
    ASSERT_BYTES(span.status_message, "m");
    ut_mp_reader reader = ut_mp_reader_of(span.events);
    ut_event event;
    assert_int_equal(ut_mp_get_array(&reader), 1);
    assert_int_equal(ut_event_read(&reader, span.start_ns, &event), UT_OK);
    assert_int_equal(event.time_ns, 150);
    ASSERT_BYTES(event.name, "e");
    assert_int_equal(event.dropped_attributes, 4);
    ASSERT_BYTES(event.attributes, "\x81\xa1x\x01");
    reader = ut_mp_reader_of(span.links);
    ut_link link;
    assert_int_equal(ut_mp_get_array(&reader), 1);
    assert_int_equal(ut_link_read(&reader, &link), UT_OK);
    ASSERT_BYTES(link.trace_id, "\x0a\xff");
    assert_int_equal(link.span_id.len, 0);
    ASSERT_BYTES(link.trace_state, "t");
    assert_int_equal(link.flags, 5);
    assert_int_equal(link.dropped_attributes, 6);
    ASSERT_BYTES(link.attributes, "\x81\xa1y\x02");
    assert_int_equal(scope.dropped_attributes, 7);
    assert_int_equal(resource.dropped_attributes, 8);
    ASSERT_BYTES(resource.schema_url, "rs");
    ASSERT_BYTES(scope.schema_url, "ss");
    ut_batch_free(&batch);
}

static void every_kind_of_value_is_read(void **state)
{
    (void)state;
    ASSERT_VALUE("{\"stringValue\":\"h\\u00fc\\n\"}", "\xa4h\xc3\xbc\n");
    ASSERT_VALUE("{\"stringValue\":\"\"}", "\xa0");
    ASSERT_VALUE("{\"boolValue\":false}", "\xc2");
    ASSERT_VALUE("{\"boolValue\":true}", "\xc3");
    ASSERT_VALUE("{\"intValue\":\"0\"}", "\x00");
    ASSERT_VALUE("{\"doubleValue\":1.5}", "\xcb\x3f\xf8\0\0\0\0\0\0");
    ASSERT_VALUE("{\"doubleValue\":\"1.5\"}", "\xcb\x3f\xf8\0\0\0\0\0\0");
    ASSERT_VALUE("{\"doubleValue\":2}", "\xcb\x40\0\0\0\0\0\0\0");
    ASSERT_VALUE("{\"doubleValue\":-0.0}", "\xcb\x80\0\0\0\0\0\0\0");
    ASSERT_VALUE("{\"doubleValue\":-0}", "\xcb\x80\0\0\0\0\0\0\0");
    ASSERT_VALUE("{\"doubleValue\":\"NaN\"}", "\xcb\x7f\xf8\0\0\0\0\0\0");
    ASSERT_VALUE("{\"doubleValue\":\"Infinity\"}", "\xcb\x7f\xf0\0\0\0\0\0\0");
    ASSERT_VALUE("{\"doubleValue\":\"-Infinity\"}", "\xcb\xff\xf0\0\0\0\0\0\0");
    ASSERT_VALUE("{\"bytesValue\":\"AP8B\"}", "\xc4\x03\x00\xff\x01");
    ASSERT_VALUE("{\"bytesValue\":\"-_8\"}", "\xc4\x02\xfb\xff");
    ASSERT_VALUE("{\"bytesValue\":\"\"}", "\xc4\x00");
    ASSERT_VALUE("{\"arrayValue\":{\"values\":[{\"intValue\":5},{},null]}}", "\x93\x05\xc0\xc0");
    ASSERT_VALUE("{\"arrayValue\":{}}", "\x90");
    ASSERT_VALUE("{\"arrayValue\":{\"values\":null}}", "\x90");
    ASSERT_VALUE("{\"kvlistValue\":{\"values\":[{\"key\":\"x\",\"value\":{\"intValue\":5}},{}]}}",
                 "\x82\xa1x\x05\xa0\xc0");
    ASSERT_VALUE("{\"kvlistValue\":{}}", "\x80");
}

static void integers_are_exact_as_strings_and_as_numbers(void **state)
{
    (void)state;
    ASSERT_VALUE("{\"intValue\":\"9007199254740993\"}", "\xcf\0\x20\0\0\0\0\0\x01");
    ASSERT_VALUE("{\"intValue\":9007199254740993}", "\xcf\0\x20\0\0\0\0\0\x01");
    ASSERT_VALUE("{\"intValue\":9007199254740993.0}", "\xcf\0\x20\0\0\0\0\0\x01");
    ASSERT_VALUE("{\"intValue\":\"-9223372036854775808\"}", "\xd3\x80\0\0\0\0\0\0\0");
    ASSERT_VALUE("{\"intValue\":9223372036854775807}", "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff");
    ASSERT_VALUE("{\"intValue\":-1}", "\xff");
    ASSERT_VALUE("{\"intValue\":\"-0\"}", "\x00");
    ASSERT_VALUE("{\"intValue\":1e3}", "\xcd\x03\xe8");
    ut_batch batch;
    ut_span span = decode_span("\"startTimeUnixNano\":18446744073709551615,\"endTimeUnixNano\":"
                               "\"18446744073709551615\"",
                               &batch);
    assert_true(span.start_ns == UINT64_MAX && span.end_ns == UINT64_MAX);
    ut_batch_free(&batch);
}

static void the_last_variant_that_is_not_null_wins(void **state)
{
    (void)state;
    ASSERT_VALUE("{\"intValue\":1,\"stringValue\":\"s\"}", "\xa1s");
    ASSERT_VALUE("{\"intValue\":1,\"stringValue\":null}", "\x01");
    ASSERT_VALUE("{\"intValue\":1,\"intValue\":2}", "\x02");
    ASSERT_VALUE("null", "\xc0");
    ASSERT_VALUE("{}", "\xc0");
    ASSERT_VALUE("{\"stringValueStrindex\":4}", "\xc0");
}

static void null_is_absent(void **state)
{
    (void)state;
    ut_batch batch;
    // As the Python SDK of Untrace sends it.
    ut_span span =
        decode_span("\"parentSpanId\":null,\"name\":null,\"kind\":null,\"status\":{\"code\":0,"
                    "\"message\":null},\"attributes\":null,\"events\":null,\"links\":null,"
                    "\"startTimeUnixNano\":null,\"flags\":null,\"traceState\":null",
                    &batch);
    assert_int_equal(span.name.len + span.parent_span_id.len + span.status_message.len, 0);
    ASSERT_BYTES(span.attributes, "\x80");
    ut_batch_free(&batch);
    decode_text("{\"resourceSpans\":null}", &batch);
    assert_int_equal(batch.span_count, 0);
    ut_batch_free(&batch);
    decode_text("{\"resourceSpans\":[{\"resource\":null,\"scopeSpans\":[{\"scope\":{\"name\":null,"
                "\"version\":null},\"spans\":null}]}]}",
                &batch);
    assert_int_equal(batch.span_count, 0);
    ut_batch_free(&batch);
}

static void the_last_of_a_repeated_member_that_is_not_null_counts(void **state)
{
    (void)state;
    ut_batch batch;
    ut_span span =
        decode_span("\"name\":\"a\",\"name\":\"b\",\"name\":null,\"attributes\":[{\"key\":\"x\"}],"
                    "\"attributes\":[]",
                    &batch);
    ASSERT_BYTES(span.name, "b");
    ASSERT_BYTES(span.attributes, "\x80");
    ut_batch_free(&batch);
}

static void unknown_members_are_ignored_and_snake_case_is_unknown(void **state)
{
    (void)state;
    ut_batch batch;
    ut_span span =
        decode_span("\"trace_id\":5,\"start_time_unix_nano\":\"7\",\"new\":{\"deep\":[[{}]]},"
                    "\"Name\":\"x\",\"nam\":1",
                    &batch);
    assert_int_equal(span.start_ns, 0);
    assert_int_equal(span.name.len, 0);
    ut_batch_free(&batch);
    decode_text("{\"resource_spans\":[{}],\"extra\":true}", &batch);
    assert_int_equal(batch.span_count, 0);
    ut_batch_free(&batch);
}

static void what_holds_no_span_leaves_nothing_in_the_batch(void **state)
{
    (void)state;
    ut_batch batch;
    decode_text("{\"resourceSpans\":[{\"resource\":{\"attributes\":[]}},{\"scopeSpans\":[{"
                "\"scope\":{}},{}]}]}",
                &batch);
    assert_int_equal(batch.resource_count + batch.scope_count + batch.span_count, 0);
    assert_int_equal(batch.resource_bytes.len + batch.scope_bytes.len, 0);
    ut_batch_free(&batch);
    decode_text("{}", &batch);
    assert_int_equal(batch.span_count, 0);
    ut_batch_free(&batch);
}

static void entity_references_survive_as_protobuf_and_come_back(void **state)
{
    (void)state;
    const char *text_z =
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"b\",\"value\":{"
        "\"bytesValue\":\"AAEC\"}}],\"entityRefs\":[{\"schemaUrl\":\"u\",\"type\":"
        "\"service\",\"idKeys\":[\"a\",\"b\"],\"descriptionKeys\":[\"c\"]},{}]},"
        "\"scopeSpans\":[{\"scope\":{},\"spans\":[{" IDS ",\"status\":{}}]}]}]}";
    ut_batch batch;
    ut_span span;
    ut_scope scope;
    ut_resource resource;
    decode_text(text_z, &batch);
    ut_batch_read(&batch, 0, &span, &scope, &resource);
    ASSERT_BYTES(resource.unknown, "\x1a\x15\x0a\x01u\x12\x07service\x1a\x01"
                                   "a\x1a\x01"
                                   "b\x22\x01"
                                   "c\x1a\x00");
    ASSERT_BYTES(resource.attributes, "\x81\xa1"
                                      "b\xc4\x03\x00\x01\x02");
    ut_buf out;
    ut_buf_init(&out, BYTES_MAX);
    ut_encode_batch(&batch, &ut_otlp_json_encoder, &out);
    assert_bytes(ut_buf_bytes(&out), text_z, strlen(text_z));
    ut_buf_free(&out);
    ut_batch_free(&batch);
}

static void entity_references_belong_to_their_own_resource(void **state)
{
    (void)state;
    ut_batch batch;
    ut_span span;
    ut_scope scope;
    ut_resource resource;
    decode_text(
        "{\"resourceSpans\":[{\"resource\":{\"entityRefs\":[{}]},\"scopeSpans\":[{\"spans\":[{" IDS
        "}]}]},{\"scopeSpans\":[{\"spans\":[{" IDS "}]}]}]}",
        &batch);
    ut_batch_read(&batch, 0, &span, &scope, &resource);
    ASSERT_BYTES(resource.unknown, "\x1a\x00");
    ut_batch_read(&batch, 1, &span, &scope, &resource);
    assert_int_equal(resource.unknown.len, 0);
    ut_batch_free(&batch);
}

// ---- spans that are rejected ----

static void reject_ids(const char *ids_z, const char *wanted_z)
{
    char text_z[1000];
    char full_z[300];
    ut_batch batch;
    (void)snprintf(text_z, sizeof text_z,
                   "{\"resourceSpans\":[{},{\"scopeSpans\":[{\"spans\":[{" IDS "},{%s}]}]}]}",
                   ids_z);
    (void)snprintf(full_z, sizeof full_z, "resourceSpans[1].scopeSpans[0].spans[1].%s", wanted_z);
    decode_text(text_z, &batch);
    assert_int_equal(batch.span_count, 1);
    assert_int_equal(batch.rejected_count, 1);
    assert_string_equal(batch.reject_reason_z, full_z);
    ut_batch_free(&batch);
}

static void spans_with_invalid_ids_are_rejected_one_by_one(void **state)
{
    (void)state;
    const char *good = "\"traceId\":\"0102030405060708090a0b0c0d0e0f10\"";
    char ids_z[300];
    reject_ids("\"spanId\":\"0102030405060708\"", "traceId is missing");
    reject_ids("\"traceId\":\"01\",\"spanId\":\"0102030405060708\"",
               "traceId has 2 digits, expected 32");
    reject_ids("\"traceId\":\"0102030405060708090a0b0c0d0e0f1\"",
               "traceId has 31 digits, expected 32");
    reject_ids("\"traceId\":\"0102030405060708090a0b0c0d0e0f1011\"",
               "traceId has 34 digits, expected 32");
    reject_ids("\"traceId\":\"00000000000000000000000000000000\"", "traceId is all zeros");
    (void)snprintf(ids_z, sizeof ids_z, "%s,\"spanId\":\"0000000000000000\"", good);
    reject_ids(ids_z, "spanId is all zeros");
    (void)snprintf(ids_z, sizeof ids_z, "%s,\"spanId\":\"01020304050607\"", good);
    reject_ids(ids_z, "spanId has 14 digits, expected 16");
    (void)snprintf(ids_z, sizeof ids_z,
                   "%s,\"spanId\":\"0102030405060708\",\"parentSpanId\":\"01\"", good);
    reject_ids(ids_z, "parentSpanId has 2 digits, expected none or 16");
    (void)snprintf(ids_z, sizeof ids_z,
                   "%s,\"spanId\":\"0102030405060708\",\"links\":[{},{\"spanId\":\"123\"}]", good);
    reject_ids(ids_z, "links: an id has 3 digits, expected whole bytes and at most 128");
}

static void ids_that_are_not_hex_refuse_the_body(void **state)
{
    (void)state;
    refuse_text(
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":"
        "\"zz02030405060708090a0b0c0d0e0f10\"}]}]}]}",
        "resourceSpans[0].scopeSpans[0].spans[0].traceId: expected hexadecimal digits, found "
        "another character");
    refuse_span("\"parentSpanId\":\"0102 304\"",
                "parentSpanId: expected hexadecimal digits, found another "
                "character");
    refuse_span("\"parentSpanId\":\"01x\"",
                "parentSpanId: expected hexadecimal digits, found another character");
    refuse_span("\"parentSpanId\":7", "parentSpanId: expected a string, found a number");
}

// ---- what is refused ----

static void a_fault_names_the_place_and_what_was_expected(void **state)
{
    (void)state;
    refuse_text("[]", "expected an object with resourceSpans, found an array");
    refuse_text("null", "expected an object with resourceSpans, found null");
    refuse_text("{\"resourceSpans\":{}}", "resourceSpans: expected an array, found an object");
    refuse_text("{\"resourceSpans\":[{},5]}",
                "resourceSpans[1]: expected an object, found a number");
    refuse_text("{\"resourceSpans\":[null]}", "resourceSpans[0]: expected an object, found null");
    refuse_text("{\"resourceSpans\":[{\"resource\":[]}]}",
                "resourceSpans[0].resource: expected an object, found an array");
    refuse_text("{\"resourceSpans\":[{\"schemaUrl\":1}]}",
                "resourceSpans[0].schemaUrl: expected a string, found a number");
    refuse_text("{\"resourceSpans\":[{\"scopeSpans\":[{\"scope\":{\"name\":true}}]}]}",
                "resourceSpans[0].scopeSpans[0].scope.name: expected a string, found a boolean");
    refuse_text(
        "{\"resourceSpans\":[{\"resource\":{\"entityRefs\":[{\"idKeys\":[\"a\",1]}]}}]}",
        "resourceSpans[0].resource.entityRefs[0].idKeys[1]: expected a string, found a number");
    refuse_span("\"name\":[]", "name: expected a string, found an array");
    refuse_span("\"attributes\":{}", "attributes: expected an array, found an object");
    refuse_span("\"attributes\":[{\"key\":1}]",
                "attributes[0].key: expected a string, found a number");
    refuse_span("\"status\":2", "status: expected an object, found a number");
    refuse_span("\"flags\":true",
                "flags: expected an integer, or a string of one, found a boolean");
    refuse_span("\"droppedLinksCount\":1.5",
                "droppedLinksCount: expected an integer, found other text or a fraction");
    refuse_span("\"startTimeUnixNano\":\"\"",
                "startTimeUnixNano: expected an integer, found other text or a fraction");
    refuse_span(
        "\"startTimeUnixNano\":-1",
        "startTimeUnixNano: expected an integer from 0 to 18446744073709551615, found another");
    refuse_span("\"startTimeUnixNano\":true",
                "startTimeUnixNano: expected an integer, or a string of one, found a boolean");
    refuse_span("\"events\":[{},{\"timeUnixNano\":0.5}]",
                "events[1].timeUnixNano: expected an integer, found other text or a fraction");
}

static void unknown_names_of_enumerations_are_refused(void **state)
{
    (void)state;
    refuse_span("\"kind\":\"SPAN_KIND_OTHER\"",
                "kind: expected an integer, or a name such as SPAN_KIND_SERVER");
    refuse_span("\"status\":{\"code\":\"\"}",
                "status.code: expected an integer, or a name such as STATUS_CODE_ERROR");
    refuse_span("\"kind\":2147483648",
                "kind: expected an integer from -2147483648 to 2147483647, found another");
    ut_batch batch;
    ut_span span = decode_span("\"kind\":-7,\"status\":{\"code\":99}", &batch);
    assert_int_equal(span.kind, -7);
    assert_int_equal(span.status_code, 99);
    ut_batch_free(&batch);
}

static void values_of_the_wrong_type_are_refused(void **state)
{
    (void)state;
    refuse_value("5", ": expected an object, found a number");
    refuse_value("{\"stringValue\":5}", ".stringValue: expected a string, found a number");
    refuse_value("{\"boolValue\":\"true\"}", ".boolValue: expected true or false, found a string");
    refuse_value(
        "{\"intValue\":\"9223372036854775808\"}",
        ".intValue: expected an integer from -9223372036854775808 to 9223372036854775807, found "
        "another");
    refuse_value("{\"intValue\":1.5}",
                 ".intValue: expected an integer, found other text or a fraction");
    refuse_value("{\"doubleValue\":\"nan\"}",
                 ".doubleValue: expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"");
    refuse_value("{\"doubleValue\":1e400}",
                 ".doubleValue: expected a number that fits 64-bit floating point");
    refuse_value("{\"doubleValue\":[]}",
                 ".doubleValue: expected a number, or a string of one, found an array");
    refuse_value("{\"bytesValue\":\"!\"}", ".bytesValue: expected base64");
    refuse_value("{\"arrayValue\":[]}", ".arrayValue: expected an object, found an array");
    refuse_value("{\"arrayValue\":{\"values\":{}}}",
                 ".arrayValue.values: expected an array, found an object");
    refuse_value("{\"arrayValue\":{\"values\":[1]}}",
                 ".arrayValue.values[0]: expected an object, found a number");
    refuse_value("{\"kvlistValue\":{\"values\":[null]}}",
                 ".kvlistValue.values[0]: expected an object, found null");
}

static ut_buf nested_values(size_t depth, bool pairs)
{
    ut_buf text;
    ut_buf_init(&text, BYTES_MAX);
    ut_buf_add_z(&text, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" IDS
                        ",\"attributes\":[{\"key\":\"k\",\"value\":");
    for (size_t i = 0; i < depth; i++)
        ut_buf_add_z(&text, pairs ? "{\"kvlistValue\":{\"values\":[{\"value\":"
                                  : "{\"arrayValue\":{\"values\":[");
    ut_buf_add_z(&text, "{\"intValue\":5}");
    for (size_t i = 0; i < depth; i++)
        ut_buf_add_z(&text, pairs ? "}]}}" : "]}}");
    ut_buf_add_z(&text, "}]}]}]}]}");
    return text;
}

static void values_nest_to_the_limit_and_no_deeper(void **state)
{
    (void)state;
    static const size_t depths[] = {UT_OTLP_DEPTH_MAX, UT_OTLP_DEPTH_MAX + 1, 60, 5000};
    for (size_t i = 0; i < 4; i++) {
        for (int pairs = 0; pairs < 2; pairs++) {
            ut_buf text = nested_values(depths[i], pairs == 1);
            ut_batch batch;
            ut_fault fault = {0};
            ut_err err = decode(ut_buf_bytes(&text), &batch, &fault);
            assert_int_equal(err, depths[i] <= UT_OTLP_DEPTH_MAX ? UT_OK : UT_EFORMAT);
            if (err != UT_OK)
                assert_non_null(strstr(fault.text_z, "nested deeper than "));
            ut_batch_free(&batch);
            ut_buf_free(&text);
        }
    }
}

static void deep_members_that_nobody_reads_are_refused_too(void **state)
{
    (void)state;
    ut_buf text;
    ut_buf_init(&text, BYTES_MAX);
    ut_buf_add_z(&text, "{\"unknown\":");
    for (int i = 0; i < 20000; i++)
        ut_buf_add_z(&text, "{\"a\":");
    ut_buf_add_z(&text, "1");
    for (int i = 0; i < 20000; i++)
        ut_buf_add_z(&text, "}");
    ut_buf_add_z(&text, "}");
    ut_batch batch;
    ut_fault fault = {0};
    assert_int_equal(decode(ut_buf_bytes(&text), &batch, &fault), UT_EFORMAT);
    assert_non_null(strstr(fault.text_z, "JSON is nested deeper than"));
    ut_batch_free(&batch);
    ut_buf_free(&text);
}

static void every_cut_of_a_body_is_refused(void **state)
{
    (void)state;
    ut_batch whole, part;
    ut_buf bytes;
    ut_batch_init(&whole, BYTES_MAX);
    ut_buf_init(&bytes, BYTES_MAX);
    ut_random_batch(21, 3, UT_RANDOM_WIRE, &whole);
    ut_encode_batch(&whole, &ut_otlp_json_encoder, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        ut_fault fault = {0};
        assert_int_equal(decode(ut_bytes_of(bytes.data, len), &part, &fault), UT_EFORMAT);
        ut_batch_free(&part);
    }
    ut_buf_free(&bytes);
    ut_batch_free(&whole);
}

static void changed_bytes_never_crash(void **state)
{
    (void)state;
    ut_batch whole, part;
    ut_buf bytes;
    ut_random random = {6};
    ut_batch_init(&whole, BYTES_MAX);
    ut_buf_init(&bytes, BYTES_MAX);
    ut_random_batch(22, 3, UT_RANDOM_WIRE, &whole);
    ut_encode_batch(&whole, &ut_otlp_json_encoder, &bytes);
    static const char likely[] = "{}[]\",:0123456789eE.-\\utfn";
    for (int i = 0; i < 5000; i++) {
        uint8_t *at = &bytes.data[ut_random_below(&random, (uint32_t)bytes.len)];
        uint8_t before = *at;
        *at = (uint8_t)likely[ut_random_below(&random, sizeof likely - 1)];
        ut_fault fault = {0};
        ut_err err = decode(ut_buf_bytes(&bytes), &part, &fault);
        assert_true(err == UT_OK || err == UT_EFORMAT);
        *at = before;
        ut_batch_free(&part);
    }
    ut_buf_free(&bytes);
    ut_batch_free(&whole);
}

static void a_batch_that_is_full_refuses_the_body(void **state)
{
    (void)state;
    ut_batch whole, part;
    ut_buf bytes;
    ut_batch_init(&whole, BYTES_MAX);
    ut_buf_init(&bytes, BYTES_MAX);
    ut_random_batch(23, 5, UT_RANDOM_WIRE, &whole);
    ut_encode_batch(&whole, &ut_otlp_json_encoder, &bytes);
    bool fitted = false;
    for (size_t max = 1; max < 200000 && !fitted; max += 1 + max / 20) {
        ut_fault fault = {0};
        ut_batch_init(&part, max);
        ut_err err = ut_otlp_json_decode(ut_buf_bytes(&bytes), &part, &fault);
        fitted = err == UT_OK;
        if (!fitted) {
            assert_int_equal(err, UT_ELIMIT);
            assert_non_null(strstr(fault.text_z, "limits of one batch"));
        }
        ut_batch_free(&part);
    }
    assert_true(fitted);
    ut_buf_free(&bytes);
    ut_batch_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_as_sdks_write_it_decodes),
        cmocka_unit_test(every_member_has_its_place),
        cmocka_unit_test(every_kind_of_value_is_read),
        cmocka_unit_test(integers_are_exact_as_strings_and_as_numbers),
        cmocka_unit_test(the_last_variant_that_is_not_null_wins),
        cmocka_unit_test(null_is_absent),
        cmocka_unit_test(the_last_of_a_repeated_member_that_is_not_null_counts),
        cmocka_unit_test(unknown_members_are_ignored_and_snake_case_is_unknown),
        cmocka_unit_test(what_holds_no_span_leaves_nothing_in_the_batch),
        cmocka_unit_test(entity_references_survive_as_protobuf_and_come_back),
        cmocka_unit_test(entity_references_belong_to_their_own_resource),
        cmocka_unit_test(spans_with_invalid_ids_are_rejected_one_by_one),
        cmocka_unit_test(ids_that_are_not_hex_refuse_the_body),
        cmocka_unit_test(a_fault_names_the_place_and_what_was_expected),
        cmocka_unit_test(unknown_names_of_enumerations_are_refused),
        cmocka_unit_test(values_of_the_wrong_type_are_refused),
        cmocka_unit_test(values_nest_to_the_limit_and_no_deeper),
        cmocka_unit_test(deep_members_that_nobody_reads_are_refused_too),
        cmocka_unit_test(every_cut_of_a_body_is_refused),
        cmocka_unit_test(changed_bytes_never_crash),
        cmocka_unit_test(a_batch_that_is_full_refuses_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
