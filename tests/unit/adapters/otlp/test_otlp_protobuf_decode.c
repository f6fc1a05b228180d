// Tests of adapters/otlp/otlp_protobuf_decode with bodies made by hand: what protobuf allows beyond
// what encoders write. Spans and bodies that must be refused are in test_otlp_protobuf_refuse.c,
// and random spans in test_otlp_round_trip.c.
#include "tests/support/otlp_blocks.h"
#include "tests/support/pb_body.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

static void assert_bytes(ut_bytes got, const char *wanted, size_t len)
{
    assert_int_equal(got.len, len);
    assert_memory_equal(got.data, wanted, len);
}

#define ASSERT_BYTES(got, lit) assert_bytes(got, lit, sizeof(lit) - 1)

// The MessagePack of the one attribute of a span whose AnyValue has these bytes; key "k".
static void assert_value(ut_bytes any, const char *wanted, size_t len)
{
    ut_pb_body b = ut_pb_body_new();
    ut_batch batch;
    ut_pb_body_open_scope_spans(&b);
    ut_pb_body_open_span(&b);
    ut_pb_body_put_attribute(&b, UT_SPAN_ATTRIBUTES, "k", any);
    ut_pb_body_decode(&b, &batch);
    ut_span span = ut_pb_body_span(&batch, 0);
    ASSERT_BYTES(ut_bytes_of(span.attributes.data, 3), "\x81\xa1k");
    assert_bytes(ut_bytes_of(span.attributes.data + 3, span.attributes.len - 3), wanted, len);
    ut_batch_free(&batch);
}

#define ASSERT_VALUE(any_lit, wanted_lit) \
    assert_value(UT_BYTES_LIT(any_lit), wanted_lit, sizeof(wanted_lit) - 1)

// ---- what is accepted ----

static void an_empty_body_is_a_request_without_spans(void **state)
{
    (void)state;
    ut_batch batch;
    ut_batch_init(&batch, UT_PB_BODY_BYTES_MAX);
    assert_int_equal(ut_otlp_protobuf_decode(UT_BYTES_NONE, &batch, NULL), UT_OK);
    assert_int_equal(batch.span_count, 0);
    ut_batch_free(&batch);
}

static void what_holds_no_span_leaves_nothing_in_the_batch(void **state)
{
    (void)state;
    // More of them than a batch has room for resources.
    ut_pb_body b = ut_pb_body_new();
    ut_batch batch;
    for (uint32_t i = 0; i < UT_BATCH_SCOPES_MAX + 10; i++) {
        ut_pb_body_open(&b, UT_REQUEST_RESOURCE_SPANS);
        ut_pb_body_open(&b, UT_RESOURCE_SPANS_SCOPE_SPANS);
        ut_pb_body_close_all(&b);
    }
    ut_pb_body_decode(&b, &batch);
    assert_int_equal(batch.resource_count + batch.scope_count + batch.span_count, 0);
    assert_int_equal(batch.resource_bytes.len + batch.scope_bytes.len, 0);
    ut_batch_free(&batch);
}

static void every_kind_of_value_is_read(void **state)
{
    (void)state;
    ASSERT_VALUE("\x0a\x02hi", "\xa2hi");
    ASSERT_VALUE("\x0a\x00", "\xa0");
    ASSERT_VALUE("\x10\x00", "\xc2");
    ASSERT_VALUE("\x10\x01", "\xc3");
    ASSERT_VALUE("\x10\x80\x80\x01", "\xc3"); // any varint other than 0
    ASSERT_VALUE("\x18\x00", "\x00");
    ASSERT_VALUE("\x18\x7f", "\x7f");
    ASSERT_VALUE("\x18\x80\x01", "\xcc\x80");
    ASSERT_VALUE("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\xff");
    ASSERT_VALUE("\x21\x00\x00\x00\x00\x00\x00\x00\x80", "\xcb\x80\x00\x00\x00\x00\x00\x00\x00");
    ASSERT_VALUE("\x3a\x03\x00\xff\x01", "\xc4\x03\x00\xff\x01");
    ASSERT_VALUE("\x2a\x00", "\x90");
    ASSERT_VALUE("\x32\x00", "\x80");
    ASSERT_VALUE("\x2a\x06\x0a\x02\x18\x05\x0a\x00", "\x92\x05\xc0");
    ASSERT_VALUE("\x2a\x0b\x0a\x02\x18\x05\x12\x01z\x0a\x02\x18\x06",
                 "\x92\x05\x06"); // and what is unknown
    ASSERT_VALUE("\x32\x0b\x0a\x07\x0a\x01x\x12\x02\x18\x05\x0a\x00", "\x82\xa1x\x05\xa0\xc0");
}

static void text_of_every_length_is_kept(void **state)
{
    (void)state;
    // Around the borders of both encodings' lengths, and of the short way of the decoder.
    static const size_t lens[] = {0,   1,   30,  31,    32,    33,    119,   120,  121,
                                  125, 126, 127, 128,   129,   254,   255,   256,  257,
                                  300, 383, 384, 16383, 16384, 65535, 65536, 70000};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        for (size_t key_len = 0; key_len <= 300; key_len += key_len < 3 ? 1 : 49) {
            ut_buf text, any;
            ut_buf_init(&text, 1 << 20);
            ut_buf_init(&any, 1 << 20);
            for (size_t n = 0; n < lens[i] || n < key_len; n++)
                ut_buf_add_byte(&text, (uint8_t)('a' + n % 26));
            ut_pb_put_bytes(&any, UT_ANY_STRING, ut_bytes_of(text.data, lens[i]));
            ut_pb_body b = ut_pb_body_new();
            ut_batch batch;
            ut_pb_body_open_scope_spans(&b);
            ut_pb_body_open_span(&b);
            ut_pb_body_open(&b, UT_SPAN_ATTRIBUTES);
            ut_pb_put_bytes(&b.out, UT_KEY_VALUE_KEY, ut_bytes_of(text.data, key_len));
            ut_pb_put_bytes(&b.out, UT_KEY_VALUE_VALUE, ut_buf_bytes(&any));
            ut_pb_body_decode(&b, &batch);
            ut_span span = ut_pb_body_span(&batch, 0);
            ut_mp_reader reader = ut_mp_reader_of(span.attributes);
            assert_int_equal(ut_mp_get_map(&reader), 1);
            assert_true(ut_bytes_equal(ut_mp_get_str(&reader), ut_bytes_of(text.data, key_len)));
            assert_true(ut_bytes_equal(ut_mp_get_str(&reader), ut_bytes_of(text.data, lens[i])));
            assert_int_equal(reader.err, UT_OK);
            ut_batch_free(&batch);
            ut_buf_free(&any);
            ut_buf_free(&text);
        }
    }
}

static void the_last_variant_of_a_value_wins(void **state)
{
    (void)state;
    ASSERT_VALUE("\x18\x05\x0a\x02hi", "\xa2hi");
    ASSERT_VALUE("\x0a\x02hi\x18\x05", "\x05");
    ASSERT_VALUE("\x2a\x02\x0a\x00\x2a\x00", "\x90"); // also of two arrays
}

static void a_value_without_a_variant_is_empty(void **state)
{
    (void)state;
    ASSERT_VALUE("", "\xc0");
    ASSERT_VALUE("\x40\x03", "\xc0");             // string_value_strindex
    ASSERT_VALUE("\x18\x05\x40\x03", "\x05");     // which is no variant that we know
    ASSERT_VALUE("\x0d\x01\x02\x03\x04", "\xc0"); // string_value with another wire type
}

static void odd_pairs_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *pair;
        size_t len;
        const char *wanted;
        size_t wanted_len;
    } cases[] = {
        {"", 0, "\xa0\xc0", 2},                                     // nothing
        {"\x0a\x01k", 3, "\xa1k\xc0", 3},                           // no value
        {"\x12\x02\x18\x05", 4, "\xa0\x05", 2},                     // no key
        {"\x12\x02\x18\x05\x0a\x01k", 7, "\xa1k\x05", 3},           // turned round
        {"\x0a\x01x\x0a\x01k\x12\x02\x18\x05", 10, "\xa1k\x05", 3}, // the last key
        {"\x0a\x01k\x12\x02\x18\x05\x12\x00", 9, "\xa1k\x05", 3},   // merged with an empty value
        {"\x0a\x01k\x12\x02\x18\x05\x12\x02\x10\x01", 11, "\xa1k\xc3", 3},
        {"\x18\x07\x0a\x01k\x12\x02\x18\x05", 9, "\xa1k\x05", 3}, // key_strindex
        {"\x0a\x81\x00k\x12\x82\x00\x18\x05", 9, "\xa1k\x05",
         3}, // lengths that are not the shortest
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ut_pb_body b = ut_pb_body_new();
        ut_batch batch;
        ut_pb_body_open_scope_spans(&b);
        ut_pb_body_open_span(&b);
        ut_pb_put_bytes(&b.out, UT_SPAN_ATTRIBUTES, ut_bytes_of(cases[i].pair, cases[i].len));
        ut_pb_body_decode(&b, &batch);
        ut_span span = ut_pb_body_span(&batch, 0);
        assert_int_equal(span.attributes.data[0], 0x81);
        assert_bytes(ut_bytes_of(span.attributes.data + 1, span.attributes.len - 1),
                     cases[i].wanted, cases[i].wanted_len);
        ut_batch_free(&batch);
    }
}

static void the_last_of_a_repeated_singular_field_wins(void **state)
{
    (void)state;
    ut_pb_body b = ut_pb_body_new();
    ut_batch batch;
    ut_pb_body_open_scope_spans(&b);
    ut_pb_body_open_span(&b);
    ut_pb_body_put_text(&b, UT_SPAN_NAME, "first");
    ut_pb_put_i64(&b.out, UT_SPAN_START_TIME, 1);
    ut_pb_body_put_text(&b, UT_SPAN_NAME, "last");
    ut_pb_put_i64(&b.out, UT_SPAN_START_TIME, 7);
    ut_pb_body_decode(&b, &batch);
    ut_span span = ut_pb_body_span(&batch, 0);
    ASSERT_BYTES(span.name, "last");
    assert_int_equal(span.start_ns, 7);
    ut_batch_free(&batch);
}

static void messages_that_occur_twice_are_merged(void **state)
{
    (void)state;
    ut_pb_body b = ut_pb_body_new();
    ut_batch batch;
    ut_pb_body_open(&b, UT_REQUEST_RESOURCE_SPANS);
    ut_pb_body_open(&b, UT_RESOURCE_SPANS_RESOURCE);
    ut_pb_body_put_attribute(&b, UT_RESOURCE_ATTRIBUTES, "a", UT_BYTES_LIT("\x18\x01"));
    ut_pb_put_varint(&b.out, UT_RESOURCE_DROPPED_ATTRIBUTES, 3);
    ut_pb_body_put_text(&b, 900, "u1");
    ut_pb_body_close(&b);
    ut_pb_body_open(&b, UT_RESOURCE_SPANS_SCOPE_SPANS);
    ut_pb_body_open(&b, UT_SCOPE_SPANS_SCOPE);
    ut_pb_body_put_text(&b, UT_SCOPE_NAME, "scope");
    ut_pb_body_put_attribute(&b, UT_SCOPE_ATTRIBUTES, "x", UT_BYTES_LIT("\x18\x03"));
    ut_pb_body_close(&b);
    ut_pb_body_open_span(&b);
    ut_pb_body_open(&b, UT_SPAN_STATUS);
    ut_pb_put_varint(&b.out, UT_STATUS_CODE, 2);
    ut_pb_body_close(&b);
    ut_pb_body_open(&b, UT_SPAN_STATUS);
    ut_pb_body_put_text(&b, UT_STATUS_MESSAGE, "broken");
    ut_pb_body_close(&b);
    ut_pb_body_close(&b);
    ut_pb_body_open(&b, UT_SCOPE_SPANS_SCOPE);
    ut_pb_body_put_text(&b, UT_SCOPE_VERSION, "2");
    ut_pb_body_put_attribute(&b, UT_SCOPE_ATTRIBUTES, "y", UT_BYTES_LIT("\x18\x04"));
    ut_pb_body_close(&b);
    ut_pb_body_close(&b);
    ut_pb_body_open(&b, UT_RESOURCE_SPANS_RESOURCE);
    ut_pb_body_put_attribute(&b, UT_RESOURCE_ATTRIBUTES, "b", UT_BYTES_LIT("\x18\x02"));
    ut_pb_body_put_text(&b, 901, "u2");
    ut_pb_body_close(&b);
    ut_pb_body_decode(&b, &batch);

    ut_span span;
    ut_scope scope;
    ut_resource resource;
    ut_batch_read(&batch, 0, &span, &scope, &resource);
    ASSERT_BYTES(resource.attributes, "\x82\xa1"
                                      "a\x01\xa1"
                                      "b\x02");
    assert_int_equal(resource.dropped_attributes, 3);
    ASSERT_BYTES(resource.unknown, "\xa2\x38\x02u1\xaa\x38\x02u2");
    ASSERT_BYTES(scope.name, "scope");
    ASSERT_BYTES(scope.version, "2");
    ASSERT_BYTES(scope.attributes, "\x82\xa1x\x03\xa1y\x04");
    assert_int_equal(span.status_code, 2);
    ASSERT_BYTES(span.status_message, "broken");
    ut_batch_free(&batch);
}

static void unknown_fields_are_kept_at_every_level_that_has_a_place(void **state)
{
    (void)state;
    ut_pb_body b = ut_pb_body_new();
    ut_batch batch;
    ut_pb_body_put_text(&b, 77, "request");
    ut_pb_body_open(&b, UT_REQUEST_RESOURCE_SPANS);
    ut_pb_body_put_text(&b, 77, "a");
    ut_pb_body_open(&b, UT_RESOURCE_SPANS_RESOURCE);
    ut_pb_body_put_text(&b, UT_RESOURCE_ENTITY_REFS, "e");
    ut_pb_body_close(&b);
    ut_pb_put_varint(&b.out, 78, 5);
    ut_pb_body_open(&b, UT_RESOURCE_SPANS_SCOPE_SPANS);
    ut_pb_put_i64(&b.out, 79, 6);
    ut_pb_body_open(&b, UT_SCOPE_SPANS_SCOPE);
    ut_pb_put_i32(&b.out, 80, 7);
    ut_pb_body_close(&b);
    ut_pb_body_open(&b, UT_SCOPE_SPANS_SPANS);
    ut_buf_add(&b.out, "\xa3\x06\x08\x01\xa4\x06", 6); // a group, number 100
    ut_pb_body_put_ids(&b);
    ut_pb_body_put_text(&b, 77, "s");
    ut_pb_body_open(&b, UT_SPAN_EVENTS);
    ut_pb_body_put_text(&b, 77, "ev");
    ut_pb_body_put_text(&b, UT_EVENT_NAME, "event");
    ut_pb_body_put_text(&b, 77, "EV");
    ut_pb_body_close(&b);
    ut_pb_body_open(&b, UT_SPAN_LINKS);
    ut_pb_body_put_text(&b, 77, "li");
    ut_pb_body_put_text(&b, UT_LINK_TRACE_STATE, "state");
    ut_pb_body_put_text(&b, 77, "LI");
    ut_pb_body_close(&b);
    ut_pb_put_varint(&b.out, 78, 9);
    ut_pb_body_decode(&b, &batch);

    ut_span span;
    ut_scope scope;
    ut_resource resource;
    ut_batch_read(&batch, 0, &span, &scope, &resource);
    ASSERT_BYTES(resource.unknown_envelope, "\xea\x04\x01"
                                            "a\xf0\x04\x05");
    ASSERT_BYTES(resource.unknown, "\x1a\x01"
                                   "e");
    ASSERT_BYTES(scope.unknown_envelope, "\xf9\x04\x06\0\0\0\0\0\0\0");
    ASSERT_BYTES(scope.unknown, "\x85\x05\x07\0\0\0");
    ASSERT_BYTES(span.unknown, "\xa3\x06\x08\x01\xa4\x06\xea\x04\x01s\xf0\x04\x09");
    ut_mp_reader reader = ut_mp_reader_of(span.events);
    ut_event event;
    assert_int_equal(ut_mp_get_array(&reader), 1);
    assert_int_equal(ut_event_read(&reader, span.start_ns, &event), UT_OK);
    ASSERT_BYTES(event.unknown, "\xea\x04\x02"
                                "ev\xea\x04\x02"
                                "EV");
    reader = ut_mp_reader_of(span.links);
    ut_link link;
    assert_int_equal(ut_mp_get_array(&reader), 1);
    assert_int_equal(ut_link_read(&reader, &link), UT_OK);
    ASSERT_BYTES(link.unknown, "\xea\x04\x02li\xea\x04\x02LI");
    ut_batch_free(&batch);
}

static void a_known_number_with_another_wire_type_is_kept_as_unknown(void **state)
{
    (void)state;
    ut_pb_body b = ut_pb_body_new();
    ut_batch batch;
    ut_pb_body_open_scope_spans(&b);
    ut_pb_body_open_span(&b);
    ut_pb_put_varint(&b.out, UT_SPAN_NAME, 5);
    ut_pb_put_i32(&b.out, UT_SPAN_START_TIME, 6);
    ut_pb_body_put_text(&b, UT_SPAN_KIND, "x");
    ut_pb_body_decode(&b, &batch);
    ut_span span = ut_pb_body_span(&batch, 0);
    assert_int_equal(span.name.len, 0);
    assert_int_equal(span.start_ns, 0);
    assert_int_equal(span.kind, 0);
    ASSERT_BYTES(span.unknown, "\x28\x05\x3d\x06\0\0\0\x32\x01x");
    ut_batch_free(&batch);
}

static void numbers_are_cut_to_their_width_as_protobuf_does(void **state)
{
    (void)state;
    ut_pb_body b = ut_pb_body_new();
    ut_batch batch;
    ut_pb_body_open_scope_spans(&b);
    ut_pb_body_open_span(&b);
    ut_pb_put_varint(&b.out, UT_SPAN_KIND, UINT64_MAX); // -1
    ut_pb_put_varint(&b.out, UT_SPAN_DROPPED_ATTRIBUTES, UINT64_C(0x700000005));
    ut_pb_body_open(&b, UT_SPAN_STATUS);
    ut_pb_put_varint(&b.out, UT_STATUS_CODE, 77); // no such status
    ut_pb_body_close(&b);
    ut_pb_body_decode(&b, &batch);
    ut_span span = ut_pb_body_span(&batch, 0);
    assert_int_equal(span.kind, -1);
    assert_int_equal(span.dropped_attributes, 5);
    assert_int_equal(span.status_code, 77);
    ut_batch_free(&batch);
}

// ---- order of fields ----

// Kinds of messages for the shuffle: what each of their fields holds.
typedef enum {
    LEAF,
    REQUEST,
    RESOURCE_SPANS,
    SCOPE_SPANS,
    RESOURCE,
    SCOPE,
    SPAN,
    EVENT,
    LINK,
    STATUS
} kind;

static kind kind_of_field(kind inside, uint32_t number)
{
    switch (inside) {
    case REQUEST:
        return number == 1 ? RESOURCE_SPANS : LEAF;
    case RESOURCE_SPANS:
        return number == 1 ? RESOURCE : number == 2 ? SCOPE_SPANS : LEAF;
    case SCOPE_SPANS:
        return number == 1 ? SCOPE : number == 2 ? SPAN : LEAF;
    case SPAN:
        return number == 11 ? EVENT : number == 13 ? LINK : number == 15 ? STATUS : LEAF;
    default:
        return LEAF;
    }
}

enum { FIELDS_MAX = 2000, FIRST_UNKNOWN = 1000 };

// Appends the fields of message in random order, all the way down. Fields of one number stay in
// order among each other, and so do all that are not known.
static void shuffle(ut_random *random, kind inside, ut_bytes message, ut_buf *out)
{
    struct {
        ut_pb_field field;
        ut_bytes raw;
        uint32_t class;
        bool taken;
    } *fields = calloc(FIELDS_MAX, sizeof *fields);
    size_t count = 0;
    const uint8_t *end = message.data + message.len;
    for (const uint8_t *at = message.data; at < end;) {
        assert_true(count < FIELDS_MAX);
        const uint8_t *next = ut_pb_read_field(at, end, &fields[count].field);
        assert_non_null(next);
        uint32_t number = UT_PB_NUMBER(fields[count].field.tag);
        fields[count].raw = ut_bytes_of(at, (size_t)(next - at));
        fields[count].class = number < FIRST_UNKNOWN ? number : FIRST_UNKNOWN;
        count++;
        at = next;
    }
    for (size_t left = count; left > 0; left--) {
        size_t chosen = ut_random_below(random, (uint32_t)count);
        while (fields[chosen].taken)
            chosen = (chosen + 1) % count;
        for (size_t i = 0; i < chosen; i++) { // the first of its class goes first
            if (!fields[i].taken && fields[i].class == fields[chosen].class)
                chosen = i;
        }
        fields[chosen].taken = true;
        kind held = kind_of_field(inside, UT_PB_NUMBER(fields[chosen].field.tag));
        if (held == LEAF) {
            ut_buf_add_bytes(out, fields[chosen].raw);
            continue;
        }
        ut_pb_slot slot = ut_pb_open(out, UT_PB_NUMBER(fields[chosen].field.tag), 100);
        shuffle(random, held, fields[chosen].field.bytes, out);
        ut_pb_close(out, slot);
    }
    free(fields);
}

static void fields_in_any_order_and_interleaved_decode_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        ut_random random = {seed};
        ut_batch before, after;
        ut_buf bytes, shuffled;
        ut_batch_init(&before, UT_PB_BODY_BYTES_MAX);
        ut_buf_init(&bytes, UT_PB_BODY_BYTES_MAX);
        ut_buf_init(&shuffled, UT_PB_BODY_BYTES_MAX);
        ut_random_batch(seed, 20, UT_RANDOM_UNKNOWN, &before);
        ut_encode_batch(&before, &ut_otlp_protobuf_encoder, &bytes);
        shuffle(&random, REQUEST, ut_buf_bytes(&bytes), &shuffled);
        ut_fault fault = {0};
        if (ut_pb_body_decode_bytes(ut_buf_bytes(&shuffled), &after, &fault) != UT_OK)
            fail_msg("seed %llu: %s", (unsigned long long)seed, fault.text_z);
        // Resources and scopes may stand behind spans, and groups in another order; no span is
        // moved within its scope.
        assert_int_equal(after.span_count, before.span_count);
        uint32_t index;
        const char *field = ut_batch_difference(&before, &after, &index);
        if (field != NULL)
            fail_msg("seed %llu: span %u differs in %s", (unsigned long long)seed, index, field);
        ut_batch_free(&after);
        ut_batch_free(&before);
        ut_buf_free(&shuffled);
        ut_buf_free(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_body_is_a_request_without_spans),
        cmocka_unit_test(what_holds_no_span_leaves_nothing_in_the_batch),
        cmocka_unit_test(every_kind_of_value_is_read),
        cmocka_unit_test(text_of_every_length_is_kept),
        cmocka_unit_test(the_last_variant_of_a_value_wins),
        cmocka_unit_test(a_value_without_a_variant_is_empty),
        cmocka_unit_test(odd_pairs_are_read),
        cmocka_unit_test(the_last_of_a_repeated_singular_field_wins),
        cmocka_unit_test(messages_that_occur_twice_are_merged),
        cmocka_unit_test(unknown_fields_are_kept_at_every_level_that_has_a_place),
        cmocka_unit_test(a_known_number_with_another_wire_type_is_kept_as_unknown),
        cmocka_unit_test(numbers_are_cut_to_their_width_as_protobuf_does),
        cmocka_unit_test(fields_in_any_order_and_interleaved_decode_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
