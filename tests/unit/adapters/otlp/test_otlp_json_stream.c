// Tests of adapters/otlp/otlp_json_stream: what one pass over the text accepts is what the document
// becomes, byte by byte; the orders that producers write are accepted; and doubtful bodies are
// given up. test_otlp_json_decode.c has the rules of OTLP/JSON for both.
#include "adapters/otlp/otlp_json_stream.h"

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

#define TRACE  "\"traceId\":\"0102030405060708090a0b0c0d0e0f10\""
#define SPAN   "\"spanId\":\"0102030405060708\""
#define PARENT "\"parentSpanId\":\"0102030405060709\""
#define NAME   "\"name\":\"n\""
#define TIMES  "\"startTimeUnixNano\":\"100\",\"endTimeUnixNano\":\"200\""
#define PAIRS  "[{\"key\":\"k\",\"value\":{\"stringValue\":\"v\"}}]"
#define ATTRS  "\"attributes\":" PAIRS
#define EVENT  "{\"timeUnixNano\":\"150\",\"name\":\"e\",\"attributes\":" PAIRS "}"
#define EVENTS "\"events\":[" EVENT "]"
#define LINKS  "\"links\":[{" TRACE "," SPAN ",\"attributes\":" PAIRS "}]"
#define STATUS "\"status\":{\"code\":2,\"message\":\"m\"}"
#define HEAD   TRACE "," SPAN "," NAME "," TIMES

static void assert_same_bytes(const ut_buf *a, const ut_buf *b)
{
    assert_true(ut_bytes_equal(ut_buf_bytes(a), ut_buf_bytes(b)));
}

static void assert_same(const ut_batch *a, const ut_batch *b)
{
    assert_same_bytes(&a->resource_bytes, &b->resource_bytes);
    assert_same_bytes(&a->scope_bytes, &b->scope_bytes);
    assert_same_bytes(&a->span_bytes, &b->span_bytes);
    assert_same_bytes(&a->resource_parts, &b->resource_parts);
    assert_same_bytes(&a->scope_parts, &b->scope_parts);
    assert_int_equal(b->rejected_count, 0);
    assert_int_equal(a->span_count, b->span_count);
    for (uint32_t i = 0; i < a->span_count; i++) {
        const ut_batch_span *x = &ut_batch_spans(a)[i];
        const ut_batch_span *y = &ut_batch_spans(b)[i];
        assert_memory_equal(x->trace_id, y->trace_id, sizeof x->trace_id);
        assert_memory_equal(x->span_id, y->span_id, sizeof x->span_id);
        assert_true(x->start_ns == y->start_ns && x->end_ns == y->end_ns);
        assert_true(x->offset == y->offset && x->len == y->len && x->scope == y->scope);
        assert_true(x->status == y->status && x->root == y->root);
    }
}

// Whether text is accepted; what it becomes is compared then. The text is copied to exactly its
// size, so that a sanitizer sees a read past the end.
static bool accepted(ut_bytes text)
{
    ut_batch stream;
    ut_batch document;
    ut_fault fault = {0};
    uint8_t *copy = malloc(text.len > 0 ? text.len : 1);
    assert_non_null(copy);
    memcpy(copy, text.data, text.len);
    const ut_bytes body = ut_bytes_of(copy, text.len);
    ut_batch_init(&stream, BYTES_MAX);
    ut_batch_init(&document, BYTES_MAX);
    const bool done = ut_otlp_json_stream(body, SIZE_MAX, &stream);
    if (done) {
        if (ut_otlp_json_document(body, SIZE_MAX, &document, &fault) != UT_OK)
            fail_msg("%s", fault.text_z);
        assert_same(&stream, &document);
    }
    ut_batch_free(&stream);
    ut_batch_free(&document);
    free(copy);
    return done;
}

static bool accepted_z(const char *text_z)
{
    return accepted(ut_bytes_of_z(text_z));
}

static bool span_accepted(const char *members_z)
{
    char text_z[8192];
    (void)snprintf(text_z, sizeof text_z,
                   "{\"resourceSpans\":[{\"resource\":{\"attributes\":" PAIRS "},\"scopeSpans\":["
                   "{\"scope\":{\"name\":\"s\"},\"spans\":[{%s},{" HEAD "}]}]}]}",
                   members_z);
    return accepted_z(text_z);
}

static void the_orders_of_producers_are_accepted(void **state)
{
    (void)state;
    static const char *const spans[] = {
        // As the fields are numbered; as the JavaScript SDK writes; by the alphabet.
        HEAD "," ATTRS "," EVENTS "," LINKS "," STATUS ",\"flags\":1",
        TRACE "," SPAN "," PARENT ",\"traceState\":\"a=b\"," NAME ",\"kind\":3," TIMES "," ATTRS
              ",\"droppedAttributesCount\":1," EVENTS ",\"droppedEventsCount\":2," STATUS "," LINKS
              ",\"droppedLinksCount\":3,\"flags\":257",
        ATTRS ",\"endTimeUnixNano\":200," EVENTS ",\"flags\":1,\"kind\":2," LINKS "," NAME
              "," PARENT "," SPAN ",\"startTimeUnixNano\":100," STATUS "," TRACE,
        STATUS "," LINKS "," EVENTS "," ATTRS "," HEAD,
        TRACE "," NAME "," ATTRS "," EVENTS "," SPAN "," TIMES,
        HEAD "," LINKS "," STATUS,
        HEAD ",\"events\":[],\"status\":{},\"parentSpanId\":null,\"attributes\":null",
        HEAD ",\"new\":{\"a\":[1,{\"b\":null}]}," ATTRS,
        TRACE "," SPAN,
        HEAD ",\"events\":[{\"attributes\":" PAIRS ",\"name\":\"e\",\"timeUnixNano\":150},{}]",
        HEAD ",\"links\":[{\"attributes\":" PAIRS "," SPAN "," TRACE ",\"traceState\":\"x\"},{}]",
    };
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        if (!span_accepted(spans[i]))
            fail_msg("given up: %s", spans[i]);
    }
}

static void the_places_of_a_schema_url_are_accepted(void **state)
{
    (void)state;
    assert_true(
        accepted_z("{\"resourceSpans\":[{\"schemaUrl\":\"a\",\"scopeSpans\":[{\"schemaUrl\":"
                   "\"b\",\"spans\":[{" HEAD "}]}]}]}"));
    assert_true(accepted_z("{\"resourceSpans\":[{\"resource\":{},\"scopeSpans\":[{\"scope\":{},"
                           "\"spans\":[{" HEAD
                           "}],\"schemaUrl\":\"b\"},{\"spans\":[],\"schemaUrl\":"
                           "\"c\"},{\"spans\":[{" HEAD "}],\"schemaUrl\":\"d\"}],\"schemaUrl\":"
                           "\"a\"}]}"));
}

static void doubtful_bodies_are_given_up(void **state)
{
    (void)state;
    static const char *const spans[] = {
        TRACE, // no span id
        "\"traceId\":\"00000000000000000000000000000000\"," SPAN,
        HEAD "," NAME,
        HEAD "," ATTRS "," ATTRS,
        HEAD "," EVENTS "," ATTRS,
        HEAD "," ATTRS "," PARENT,
        HEAD "," ATTRS ",\"kind\":2",
        HEAD "," ATTRS ",\"status\":{\"code\":128}",
        HEAD ",\"links\":[{\"traceId\":\"01\"}]",
        HEAD ",\"attributes\":[{\"value\":{},\"key\":\"k\"}]",
        HEAD ",\"attributes\":[{\"key\":\"k\",\"value\":{\"intValue\":1,\"boolValue\":true}}]",
        HEAD ",\"attributes\":[{\"key\":\"k\",\"value\":{\"intValue\":01}}]",
        HEAD ",\"attributes\":[{\"key\":\"k\",\"value\":{\"intValue\":\"9223372036854775808\"}}]",
    };
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        if (span_accepted(spans[i]))
            fail_msg("accepted: %s", spans[i]);
    }
    assert_false(accepted(UT_BYTES_LIT("")));
    assert_false(accepted_z("[]"));
    assert_false(accepted_z("{}x"));
    assert_false(accepted_z("{\""));
    assert_true(accepted_z(" {} \n"));
}

static void lists_of_every_length_are_counted(void **state)
{
    (void)state;
    static const unsigned counts[] = {0, 1, 15, 16, 17, 300, 65535, 65536};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        ut_buf text;
        ut_buf_init(&text, BYTES_MAX);
        ut_buf_add_z(&text,
                     "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" HEAD ",\"attributes\":[");
        for (unsigned n = 0; n < counts[i]; n++)
            ut_buf_printf(&text, "%s{\"key\":\"key %u\",\"value\":{\"intValue\":%u}}",
                          n > 0 ? "," : "", n, n);
        ut_buf_add_z(&text, "]," STATUS "}]}]}]}");
        assert_true(accepted(ut_buf_bytes(&text)));
        ut_buf_free(&text);
    }
}

static void texts_of_every_length_are_copied(void **state)
{
    (void)state;
    for (size_t len = 0; len < 600; len++) {
        char text_z[700] = {0};
        char members_z[4000];
        memset(text_z, 'x', len);
        (void)snprintf(members_z, sizeof members_z,
                       HEAD ",\"attributes\":[{\"key\":\"%s\",\"value\":{\"stringValue\":\"%s\"}},"
                            "{\"key\":\"k\",\"value\":{\"stringValue\":\"%s\"}},"
                            "{\"key\":\"\",\"value\":{\"stringValue\":\"%s\\n\"}}]",
                       text_z, text_z, text_z, text_z);
        assert_true(span_accepted(members_z));
    }
}

static void random_requests_agree_and_each_cut_is_given_up(void **state)
{
    (void)state;
    unsigned taken = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        ut_batch batch;
        ut_buf text;
        ut_batch_init(&batch, BYTES_MAX);
        ut_buf_init(&text, BYTES_MAX);
        if (seed % 2 == 0)
            ut_realistic_batch(seed, 4, 1760000000000000000u, &batch);
        else
            ut_random_batch(seed, 2, UT_RANDOM_WIRE, &batch);
        ut_encode_batch(&batch, &ut_otlp_json_encoder, &text);
        taken += accepted(ut_buf_bytes(&text));
        if (seed <= 2) {
            for (size_t len = 0; len < text.len; len++)
                assert_false(accepted(ut_bytes_of(text.data, len)));
        }
        ut_buf_free(&text);
        ut_batch_free(&batch);
    }
    assert_true(taken >= 30); // the realistic ones; links of random ones have odd ids
}

static void changed_bytes_agree(void **state)
{
    (void)state;
    static const char likely[] = "{}[]\",:0123456789eE.-\\utfn \x80";
    ut_random random = {8};
    ut_batch batch;
    ut_buf text;
    ut_batch_init(&batch, BYTES_MAX);
    ut_buf_init(&text, BYTES_MAX);
    ut_realistic_batch(9, 5, 1760000000000000000u, &batch);
    ut_encode_batch(&batch, &ut_otlp_json_encoder, &text);
    for (int i = 0; i < 4000; i++) {
        uint8_t *at = &text.data[ut_random_below(&random, (uint32_t)text.len)];
        const uint8_t before = *at;
        *at = (uint8_t)likely[ut_random_below(&random, sizeof likely - 1)];
        (void)accepted(ut_buf_bytes(&text)); // whether or not: it compares
        *at = before;
    }
    ut_buf_free(&text);
    ut_batch_free(&batch);
}

static void what_the_memory_of_a_document_may_not_hold_is_given_up(void **state)
{
    (void)state;
    ut_batch batch;
    ut_buf text;
    ut_batch_init(&batch, BYTES_MAX);
    ut_buf_init(&text, BYTES_MAX);
    ut_buf_add_z(&text, "{\"resourceSpans\":[],\"dense\":[1");
    for (int i = 0; i < 100000; i++)
        ut_buf_add_z(&text, ",1");
    ut_buf_add_z(&text, "]}");
    assert_false(accepted(ut_buf_bytes(&text)));

    static const char body_z[] =
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" HEAD "," ATTRS "}]}]}]}";
    for (size_t memory = 0; memory < 6000; memory += 7) {
        ut_batch_reset(&batch, SIZE_MAX);
        if (!ut_otlp_json_stream(ut_bytes_of_z(body_z), memory, &batch))
            continue;
        ut_batch_reset(&batch, SIZE_MAX);
        assert_int_equal(ut_otlp_json_document(ut_bytes_of_z(body_z), memory, &batch, NULL), UT_OK);
    }
    ut_batch_reset(&batch, SIZE_MAX);
    assert_true(ut_otlp_json_stream(ut_bytes_of_z(body_z), 6000, &batch));
    ut_buf_free(&text);
    ut_batch_free(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_orders_of_producers_are_accepted),
        cmocka_unit_test(the_places_of_a_schema_url_are_accepted),
        cmocka_unit_test(doubtful_bodies_are_given_up),
        cmocka_unit_test(lists_of_every_length_are_counted),
        cmocka_unit_test(texts_of_every_length_are_copied),
        cmocka_unit_test(random_requests_agree_and_each_cut_is_given_up),
        cmocka_unit_test(changed_bytes_agree),
        cmocka_unit_test(what_the_memory_of_a_document_may_not_hold_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
