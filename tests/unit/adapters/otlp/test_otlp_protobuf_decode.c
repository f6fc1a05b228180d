// Tests of adapters/otlp/otlp_protobuf_decode with bodies made by hand: what protobuf allows beyond what encoders write, and what
// must be refused. What random spans look like after a round trip is in test_otlp_round_trip.c.
#include "adapters/otlp/otlp.h"
#include "adapters/otlp/otlp_fields.h"
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

static const uint8_t trace_id[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const uint8_t span_id[] = {1, 2, 3, 4, 5, 6, 7, 8};

// ---- bodies ----

typedef struct {
    ut_buf out;
    ut_pb_slot open[8];
    size_t depth;
} body;

static body new_body(void)
{
    body b = {.depth = 0};
    ut_buf_init(&b.out, BYTES_MAX);
    return b;
}

static void open_message(body *b, uint32_t number)
{
    b->open[b->depth++] = ut_pb_open(&b->out, number, 100);
}

static void close_message(body *b)
{
    ut_pb_close(&b->out, b->open[--b->depth]);
}

static void close_all(body *b)
{
    while (b->depth > 0)
        close_message(b);
}

static void open_resource_and_scope_spans(body *b)
{
    open_message(b, UT_REQUEST_RESOURCE_SPANS);
    open_message(b, UT_RESOURCE_SPANS_SCOPE_SPANS);
}

static void put_ids(body *b)
{
    ut_pb_put_bytes(&b->out, UT_SPAN_TRACE_ID, ut_bytes_of(trace_id, sizeof trace_id));
    ut_pb_put_bytes(&b->out, UT_SPAN_SPAN_ID, ut_bytes_of(span_id, sizeof span_id));
}

static void open_span(body *b)
{
    open_message(b, UT_SCOPE_SPANS_SPANS);
    put_ids(b);
}

static void put_text(body *b, uint32_t number, const char *text_z)
{
    ut_pb_put_bytes(&b->out, number, ut_bytes_of_z(text_z));
}

// An attribute whose AnyValue has these bytes.
static void put_attribute(body *b, uint32_t number, const char *key_z, ut_bytes any)
{
    open_message(b, number);
    put_text(b, UT_KEY_VALUE_KEY, key_z);
    ut_pb_put_bytes(&b->out, UT_KEY_VALUE_VALUE, any);
    close_message(b);
}

// Decodes bytes of exactly this size, so that a sanitizer sees a read past the end.
static ut_err decode(ut_bytes bytes, ut_batch *batch, ut_fault *fault)
{
    uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    assert_non_null(copy);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    ut_batch_init(batch, BYTES_MAX);
    ut_err err = ut_otlp_protobuf_decode(ut_bytes_of(copy, bytes.len), batch, fault);
    free(copy);
    return err;
}

// Closes and decodes the body, which must be fine, and frees it.
static void decode_body(body *b, ut_batch *batch)
{
    ut_fault fault = {0};
    close_all(b);
    if (decode(ut_buf_bytes(&b->out), batch, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    ut_buf_free(&b->out);
}

static void assert_refused(body *b, const char *wanted_z)
{
    ut_batch batch;
    ut_fault fault = {0};
    close_all(b);
    assert_int_equal(decode(ut_buf_bytes(&b->out), &batch, &fault), UT_EFORMAT);
    assert_int_equal(fault.code, UT_EFORMAT);
    assert_string_equal(fault.text_z, wanted_z);
    ut_batch_free(&batch);
    ut_buf_free(&b->out);
}

static ut_span span_at(const ut_batch *batch, uint32_t index)
{
    ut_span span;
    ut_scope scope;
    ut_resource resource;
    assert_true(index < batch->span_count);
    ut_batch_read(batch, index, &span, &scope, &resource);
    return span;
}

static void assert_bytes(ut_bytes got, const char *wanted, size_t len)
{
    assert_int_equal(got.len, len);
    assert_memory_equal(got.data, wanted, len);
}

#define ASSERT_BYTES(got, lit) assert_bytes(got, lit, sizeof(lit) - 1)

// The MessagePack of the one attribute of a span whose AnyValue has these bytes; key "k".
static void assert_value(ut_bytes any, const char *wanted, size_t len)
{
    body b = new_body();
    ut_batch batch;
    open_resource_and_scope_spans(&b);
    open_span(&b);
    put_attribute(&b, UT_SPAN_ATTRIBUTES, "k", any);
    decode_body(&b, &batch);
    ut_span span = span_at(&batch, 0);
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
    ut_batch_init(&batch, BYTES_MAX);
    assert_int_equal(ut_otlp_protobuf_decode(UT_BYTES_NONE, &batch, NULL), UT_OK);
    assert_int_equal(batch.span_count, 0);
    ut_batch_free(&batch);
}

static void what_holds_no_span_leaves_nothing_in_the_batch(void **state)
{
    (void)state;
    // More of them than a batch has room for resources.
    body b = new_body();
    ut_batch batch;
    for (uint32_t i = 0; i < UT_BATCH_SCOPES_MAX + 10; i++) {
        open_message(&b, UT_REQUEST_RESOURCE_SPANS);
        open_message(&b, UT_RESOURCE_SPANS_SCOPE_SPANS);
        close_all(&b);
    }
    decode_body(&b, &batch);
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
            body b = new_body();
            ut_batch batch;
            open_resource_and_scope_spans(&b);
            open_span(&b);
            open_message(&b, UT_SPAN_ATTRIBUTES);
            ut_pb_put_bytes(&b.out, UT_KEY_VALUE_KEY, ut_bytes_of(text.data, key_len));
            ut_pb_put_bytes(&b.out, UT_KEY_VALUE_VALUE, ut_buf_bytes(&any));
            decode_body(&b, &batch);
            ut_span span = span_at(&batch, 0);
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
        body b = new_body();
        ut_batch batch;
        open_resource_and_scope_spans(&b);
        open_span(&b);
        ut_pb_put_bytes(&b.out, UT_SPAN_ATTRIBUTES, ut_bytes_of(cases[i].pair, cases[i].len));
        decode_body(&b, &batch);
        ut_span span = span_at(&batch, 0);
        assert_int_equal(span.attributes.data[0], 0x81);
        assert_bytes(ut_bytes_of(span.attributes.data + 1, span.attributes.len - 1),
                     cases[i].wanted, cases[i].wanted_len);
        ut_batch_free(&batch);
    }
}

static void the_last_of_a_repeated_singular_field_wins(void **state)
{
    (void)state;
    body b = new_body();
    ut_batch batch;
    open_resource_and_scope_spans(&b);
    open_span(&b);
    put_text(&b, UT_SPAN_NAME, "first");
    ut_pb_put_i64(&b.out, UT_SPAN_START_TIME, 1);
    put_text(&b, UT_SPAN_NAME, "last");
    ut_pb_put_i64(&b.out, UT_SPAN_START_TIME, 7);
    decode_body(&b, &batch);
    ut_span span = span_at(&batch, 0);
    ASSERT_BYTES(span.name, "last");
    assert_int_equal(span.start_ns, 7);
    ut_batch_free(&batch);
}

static void messages_that_occur_twice_are_merged(void **state)
{
    (void)state;
    body b = new_body();
    ut_batch batch;
    open_message(&b, UT_REQUEST_RESOURCE_SPANS);
    open_message(&b, UT_RESOURCE_SPANS_RESOURCE);
    put_attribute(&b, UT_RESOURCE_ATTRIBUTES, "a", UT_BYTES_LIT("\x18\x01"));
    ut_pb_put_varint(&b.out, UT_RESOURCE_DROPPED_ATTRIBUTES, 3);
    put_text(&b, 900, "u1");
    close_message(&b);
    open_message(&b, UT_RESOURCE_SPANS_SCOPE_SPANS);
    open_message(&b, UT_SCOPE_SPANS_SCOPE);
    put_text(&b, UT_SCOPE_NAME, "scope");
    put_attribute(&b, UT_SCOPE_ATTRIBUTES, "x", UT_BYTES_LIT("\x18\x03"));
    close_message(&b);
    open_span(&b);
    open_message(&b, UT_SPAN_STATUS);
    ut_pb_put_varint(&b.out, UT_STATUS_CODE, 2);
    close_message(&b);
    open_message(&b, UT_SPAN_STATUS);
    put_text(&b, UT_STATUS_MESSAGE, "broken");
    close_message(&b);
    close_message(&b);
    open_message(&b, UT_SCOPE_SPANS_SCOPE);
    put_text(&b, UT_SCOPE_VERSION, "2");
    put_attribute(&b, UT_SCOPE_ATTRIBUTES, "y", UT_BYTES_LIT("\x18\x04"));
    close_message(&b);
    close_message(&b);
    open_message(&b, UT_RESOURCE_SPANS_RESOURCE);
    put_attribute(&b, UT_RESOURCE_ATTRIBUTES, "b", UT_BYTES_LIT("\x18\x02"));
    put_text(&b, 901, "u2");
    close_message(&b);
    decode_body(&b, &batch);

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
    body b = new_body();
    ut_batch batch;
    put_text(&b, 77, "request");
    open_message(&b, UT_REQUEST_RESOURCE_SPANS);
    put_text(&b, 77, "a");
    open_message(&b, UT_RESOURCE_SPANS_RESOURCE);
    put_text(&b, UT_RESOURCE_ENTITY_REFS, "e");
    close_message(&b);
    ut_pb_put_varint(&b.out, 78, 5);
    open_message(&b, UT_RESOURCE_SPANS_SCOPE_SPANS);
    ut_pb_put_i64(&b.out, 79, 6);
    open_message(&b, UT_SCOPE_SPANS_SCOPE);
    ut_pb_put_i32(&b.out, 80, 7);
    close_message(&b);
    open_message(&b, UT_SCOPE_SPANS_SPANS);
    ut_buf_add(&b.out, "\xa3\x06\x08\x01\xa4\x06", 6); // a group, number 100
    put_ids(&b);
    put_text(&b, 77, "s");
    open_message(&b, UT_SPAN_EVENTS);
    put_text(&b, 77, "ev");
    put_text(&b, UT_EVENT_NAME, "event");
    put_text(&b, 77, "EV");
    close_message(&b);
    open_message(&b, UT_SPAN_LINKS);
    put_text(&b, 77, "li");
    put_text(&b, UT_LINK_TRACE_STATE, "state");
    put_text(&b, 77, "LI");
    close_message(&b);
    ut_pb_put_varint(&b.out, 78, 9);
    decode_body(&b, &batch);

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
    body b = new_body();
    ut_batch batch;
    open_resource_and_scope_spans(&b);
    open_span(&b);
    ut_pb_put_varint(&b.out, UT_SPAN_NAME, 5);
    ut_pb_put_i32(&b.out, UT_SPAN_START_TIME, 6);
    put_text(&b, UT_SPAN_KIND, "x");
    decode_body(&b, &batch);
    ut_span span = span_at(&batch, 0);
    assert_int_equal(span.name.len, 0);
    assert_int_equal(span.start_ns, 0);
    assert_int_equal(span.kind, 0);
    ASSERT_BYTES(span.unknown, "\x28\x05\x3d\x06\0\0\0\x32\x01x");
    ut_batch_free(&batch);
}

static void numbers_are_cut_to_their_width_as_protobuf_does(void **state)
{
    (void)state;
    body b = new_body();
    ut_batch batch;
    open_resource_and_scope_spans(&b);
    open_span(&b);
    ut_pb_put_varint(&b.out, UT_SPAN_KIND, UINT64_MAX); // -1
    ut_pb_put_varint(&b.out, UT_SPAN_DROPPED_ATTRIBUTES, UINT64_C(0x700000005));
    open_message(&b, UT_SPAN_STATUS);
    ut_pb_put_varint(&b.out, UT_STATUS_CODE, 77); // no such status
    close_message(&b);
    decode_body(&b, &batch);
    ut_span span = span_at(&batch, 0);
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

// Appends the fields of message in random order, all the way down; fields of one number, and all that are not known, stay in
// order among each other.
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
        ut_batch_init(&before, BYTES_MAX);
        ut_buf_init(&bytes, BYTES_MAX);
        ut_buf_init(&shuffled, BYTES_MAX);
        ut_random_batch(seed, 20, UT_RANDOM_ANY_BYTES | UT_RANDOM_UNKNOWN, &before);
        ut_encode_batch(&before, &ut_otlp_protobuf_encoder, &bytes);
        shuffle(&random, REQUEST, ut_buf_bytes(&bytes), &shuffled);
        ut_fault fault = {0};
        if (decode(ut_buf_bytes(&shuffled), &after, &fault) != UT_OK)
            fail_msg("seed %llu: %s", (unsigned long long)seed, fault.text_z);
        // Resources and scopes may stand behind spans, and groups in another order; no span is moved within its scope.
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

// ---- spans that are rejected ----

static void put_span_with_ids(body *b, ut_bytes trace, ut_bytes span, ut_bytes parent)
{
    open_message(b, UT_SCOPE_SPANS_SPANS);
    ut_pb_put_bytes(&b->out, UT_SPAN_TRACE_ID, trace);
    ut_pb_put_bytes(&b->out, UT_SPAN_SPAN_ID, span);
    ut_pb_put_bytes(&b->out, UT_SPAN_PARENT_SPAN_ID, parent);
    put_text(b, UT_SPAN_NAME, "span");
    close_message(b);
}

static void spans_with_invalid_ids_are_rejected_one_by_one(void **state)
{
    (void)state;
    static const uint8_t zeros[16] = {0};
    const ut_bytes trace = {trace_id, 16};
    const ut_bytes span = {span_id, 8};
    const struct {
        ut_bytes trace, span, parent;
        const char *reason_z;
    } cases[] = {
        {{trace_id, 15},
         span,
         UT_BYTES_NONE,
         "trace_id is not 16 bytes other than zero (15 bytes)"},
        {UT_BYTES_NONE, span, UT_BYTES_NONE, "trace_id is not 16 bytes other than zero (0 bytes)"},
        {{zeros, 16}, span, UT_BYTES_NONE, "trace_id is not 16 bytes other than zero (16 bytes)"},
        {trace, {span_id, 7}, UT_BYTES_NONE, "span_id is not 8 bytes other than zero (7 bytes)"},
        {trace, {trace_id, 16}, UT_BYTES_NONE, "span_id is not 8 bytes other than zero (16 bytes)"},
        {trace, {zeros, 8}, UT_BYTES_NONE, "span_id is not 8 bytes other than zero (8 bytes)"},
        {trace, span, {span_id, 3}, "parent_span_id is neither empty nor 8 bytes (3 bytes)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        body b = new_body();
        ut_batch batch;
        open_message(&b, UT_REQUEST_RESOURCE_SPANS);
        close_message(&b);
        open_resource_and_scope_spans(&b);
        put_span_with_ids(&b, trace, span, UT_BYTES_NONE);
        put_span_with_ids(&b, cases[i].trace, cases[i].span, cases[i].parent);
        put_span_with_ids(&b, trace, span, span);
        decode_body(&b, &batch);
        assert_int_equal(batch.span_count, 2);
        assert_int_equal(batch.rejected_count, 1);
        const ut_batch_span *entries = ut_batch_spans(&batch);
        assert_int_equal(entries[1].offset, entries[0].len); // nothing of it is left between
        assert_int_equal(batch.span_bytes.len, entries[0].len + entries[1].len);
        char wanted_z[UT_BATCH_REASON_MAX] = "resource_spans[1].scope_spans[0].spans[1].";
        strcat(wanted_z, cases[i].reason_z);
        assert_string_equal(batch.reject_reason_z, wanted_z);
        ASSERT_BYTES(span_at(&batch, 0).name, "span");
        assert_int_equal(span_at(&batch, 1).parent_span_id.len, 8);
        ut_batch_free(&batch);
    }
}

static void a_parent_of_zeros_is_kept_and_makes_a_root(void **state)
{
    (void)state;
    static const uint8_t zeros[8] = {0};
    body b = new_body();
    ut_batch batch;
    open_resource_and_scope_spans(&b);
    put_span_with_ids(&b, ut_bytes_of(trace_id, 16), ut_bytes_of(span_id, 8),
                      ut_bytes_of(zeros, 8));
    decode_body(&b, &batch);
    assert_true(ut_batch_spans(&batch)[0].root);
    assert_int_equal(span_at(&batch, 0).parent_span_id.len, 8);
    ut_batch_free(&batch);
}

static void a_rejected_span_still_has_to_decode(void **state)
{
    (void)state;
    body b = new_body();
    open_resource_and_scope_spans(&b);
    open_message(&b, UT_SCOPE_SPANS_SPANS);
    put_text(&b, UT_SPAN_TRACE_ID, "short");
    ut_pb_put_bytes(&b.out, UT_SPAN_ATTRIBUTES, UT_BYTES_LIT("\x0a\x09k"));
    assert_refused(&b, "resource_spans[0].scope_spans[0].spans[0].attributes[0].key: "
                       "length 9 runs past the end at byte 15");
}

static void link_ids_are_kept_up_to_a_length(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 65; len++) {
        uint8_t id[65];
        memset(id, 7, sizeof id);
        body b = new_body();
        ut_batch batch;
        open_resource_and_scope_spans(&b);
        open_span(&b);
        open_message(&b, UT_SPAN_LINKS);
        ut_pb_put_bytes(&b.out, UT_LINK_TRACE_ID, ut_bytes_of(id, len));
        ut_pb_put_bytes(&b.out, UT_LINK_SPAN_ID, ut_bytes_of(id, 8));
        decode_body(&b, &batch);
        if (len <= 64) {
            ut_span span = span_at(&batch, 0);
            ut_mp_reader reader = ut_mp_reader_of(span.links);
            ut_link link;
            assert_int_equal(ut_mp_get_array(&reader), 1);
            assert_int_equal(ut_link_read(&reader, &link), UT_OK);
            assert_true(ut_bytes_equal(link.trace_id, ut_bytes_of(id, len)));
        } else {
            assert_int_equal(batch.span_count, 0);
            assert_int_equal(batch.rejected_count, 1);
            assert_string_equal(batch.reject_reason_z,
                                "resource_spans[0].scope_spans[0].spans[0].links "
                                "have an id that is too long (65 bytes)");
        }
        ut_batch_free(&batch);
    }
}

// ---- what is refused ----

static void a_fault_names_its_place(void **state)
{
    (void)state;
    body b = new_body();
    for (int i = 0; i < 2; i++) {
        open_message(&b, UT_REQUEST_RESOURCE_SPANS);
        close_message(&b);
    }
    open_resource_and_scope_spans(&b);
    for (int i = 0; i < 14; i++) {
        open_span(&b);
        close_message(&b);
    }
    open_span(&b);
    put_attribute(&b, UT_SPAN_ATTRIBUTES, "k", UT_BYTES_LIT("\x18\x01"));
    ut_buf_add(&b.out, "\x4a\x84\x07zz", 5);
    size_t at = b.out.len - 5; // less what the lengths around do not take
    close_all(&b);
    char wanted_z[200];
    // The two outer messages take two bytes of length instead of one guessed.
    (void)snprintf(wanted_z, sizeof wanted_z,
                   "resource_spans[2].scope_spans[0].spans[14].attributes[1]: length 900 runs past "
                   "the end at byte %zu",
                   at + 2);
    assert_refused(&b, wanted_z);

    b = new_body();
    ut_buf_add(&b.out, "\x0a\x03\x0a\x05x", 5);
    assert_refused(&b, "resource_spans[0].resource: length 5 runs past the end at byte 2");

    b = new_body();
    ut_buf_add(&b.out, "\x07", 1);
    assert_refused(&b, "field number 0 is not valid at byte 0");

    b = new_body();
    open_resource_and_scope_spans(&b);
    open_span(&b);
    open_message(&b, UT_SPAN_EVENTS);
    ut_buf_add(&b.out, "\x0e", 1);
    assert_refused(&b, "resource_spans[0].scope_spans[0].spans[0].events[0].time_unix_nano: wire "
                       "type 6 does not exist at byte 36");

    b = new_body();
    open_resource_and_scope_spans(&b);
    open_span(&b);
    put_attribute(&b, UT_SPAN_ATTRIBUTES, "k",
                  UT_BYTES_LIT("\x32\x08\x0a\x06\x12\x04\x2a\x02\x0a\x09"));
    assert_refused(&b,
                   "resource_spans[0].scope_spans[0].spans[0].attributes[0].value.kvlist_value."
                   "values[0].value.array_value.values[0]: length 9 runs past the end at byte 49");
}

static void pairs_whose_lengths_disagree_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pair;
        size_t len;
    } cases[] = {
        {"\x0a\x01k\x12\x03\x0a\x05hello", 12}, // the text is longer than its value
        {"\x0a\x01k\x12\x07\x0a\x06hello", 12}, // and than its pair
        {"\x0a\x01k\x12\x08\x0a\x05hello", 12},
        {"\x0a\x01k\x12\x07\x0a\x03hello", 12}, // something else behind it
        {"\x0a\x01k\x12\x02\x18\x80", 7},
        {"\x0a\x01k\x12\x03\x18\x05", 7},
        {"\x0a\x09k\x12\x02\x18\x05", 7},
        {"\x0a\x01k\x12\x81\x80\x80", 7},
        {"\x0a\x01k\x12\x02\x0a\x80", 7},
        {"\x0a\x80k\x12\x02\x18\x05", 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        body b = new_body();
        ut_batch batch;
        ut_fault fault = {0};
        open_resource_and_scope_spans(&b);
        open_span(&b);
        ut_pb_put_bytes(&b.out, UT_SPAN_ATTRIBUTES, ut_bytes_of(cases[i].pair, cases[i].len));
        close_all(&b);
        if (decode(ut_buf_bytes(&b.out), &batch, &fault) != UT_EFORMAT)
            fail_msg("case %zu was accepted", i);
        ut_batch_free(&batch);
        ut_buf_free(&b.out);
    }
}

// A value of `depth` arrays, one in the other, around a number.
static ut_buf nested_arrays(size_t depth)
{
    ut_buf inner, outer;
    ut_buf_init(&inner, BYTES_MAX);
    ut_buf_add(&inner, "\x18\x05", 2);
    for (size_t i = 0; i < depth; i++) {
        ut_buf_init(&outer, BYTES_MAX);
        ut_pb_slot list = ut_pb_open(&outer, i % 2 == 0 ? UT_ANY_ARRAY : UT_ANY_KVLIST, inner.len);
        ut_pb_slot value = ut_pb_open(&outer, UT_ARRAY_VALUES, inner.len);
        if (i % 2 == 0)
            ut_buf_add_bytes(&outer, ut_buf_bytes(&inner));
        else
            ut_pb_put_bytes(&outer, UT_KEY_VALUE_VALUE, ut_buf_bytes(&inner));
        ut_pb_close(&outer, value);
        ut_pb_close(&outer, list);
        ut_buf_free(&inner);
        inner = outer;
    }
    return inner;
}

static void values_nest_to_the_limit_and_no_deeper(void **state)
{
    (void)state;
    static const size_t depths[] = {UT_OTLP_DEPTH_MAX, UT_OTLP_DEPTH_MAX + 1, 1000, 6000};
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        ut_buf any = nested_arrays(depths[i]);
        body b = new_body();
        ut_batch batch;
        ut_fault fault = {0};
        open_resource_and_scope_spans(&b);
        open_span(&b);
        put_attribute(&b, UT_SPAN_ATTRIBUTES, "k", ut_buf_bytes(&any));
        close_all(&b);
        ut_err err = decode(ut_buf_bytes(&b.out), &batch, &fault);
        if (depths[i] <= UT_OTLP_DEPTH_MAX) {
            assert_int_equal(err, UT_OK);
        } else {
            assert_int_equal(err, UT_EFORMAT);
            assert_non_null(strstr(fault.text_z, "nested deeper than 32 levels at byte "));
            assert_non_null(strstr(fault.text_z, "spans[0].attributes[0].value."));
        }
        ut_batch_free(&batch);
        ut_buf_free(&b.out);
        ut_buf_free(&any);
    }
}

static void every_cut_of_a_body_is_a_fault_or_a_clean_beginning(void **state)
{
    (void)state;
    ut_batch whole, part;
    ut_buf bytes;
    ut_batch_init(&whole, BYTES_MAX);
    ut_buf_init(&bytes, BYTES_MAX);
    ut_random_batch(11, 6, UT_RANDOM_ANY_BYTES | UT_RANDOM_UNKNOWN, &whole);
    ut_encode_batch(&whole, &ut_otlp_protobuf_encoder, &bytes);
    uint32_t clean = 0;
    uint32_t count = whole.span_count;
    for (size_t len = 0; len <= bytes.len; len++) {
        ut_fault fault = {0};
        ut_err err = decode(ut_bytes_of(bytes.data, len), &part, &fault);
        if (err == UT_OK) {
            // Only between two ResourceSpans.
            clean++;
            assert_true(part.span_count <= count);
            whole.span_count = part.span_count;
            uint32_t index;
            assert_null(ut_batch_difference(&whole, &part, &index));
            whole.span_count = count;
        } else {
            assert_int_equal(err, UT_EFORMAT);
            assert_non_null(strstr(fault.text_z, " at byte "));
        }
        ut_batch_free(&part);
    }
    assert_in_range(clean, 2, 5);
    ut_buf_free(&bytes);
    ut_batch_free(&whole);
}

static void changed_bytes_never_crash(void **state)
{
    (void)state;
    ut_batch whole, part;
    ut_buf bytes;
    ut_random random = {5};
    ut_batch_init(&whole, BYTES_MAX);
    ut_buf_init(&bytes, BYTES_MAX);
    ut_random_batch(12, 4, UT_RANDOM_ANY_BYTES | UT_RANDOM_UNKNOWN, &whole);
    ut_encode_batch(&whole, &ut_otlp_protobuf_encoder, &bytes);
    for (int i = 0; i < 5000; i++) {
        uint8_t *at = &bytes.data[ut_random_below(&random, (uint32_t)bytes.len)];
        uint8_t before = *at;
        *at = (uint8_t)ut_random_next(&random);
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
    ut_random_batch(13, 5, UT_RANDOM_ANY_BYTES | UT_RANDOM_UNKNOWN, &whole);
    ut_encode_batch(&whole, &ut_otlp_protobuf_encoder, &bytes);
    bool fitted = false;
    for (size_t max = 1; max < 200000 && !fitted; max += 1 + max / 20) {
        ut_fault fault = {0};
        ut_batch_init(&part, max);
        ut_err err = ut_otlp_protobuf_decode(ut_buf_bytes(&bytes), &part, &fault);
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

static void more_scopes_than_a_batch_takes_are_refused(void **state)
{
    (void)state;
    body b = new_body();
    ut_batch batch;
    ut_fault fault = {0};
    open_message(&b, UT_REQUEST_RESOURCE_SPANS);
    for (uint32_t i = 0; i <= UT_BATCH_SCOPES_MAX; i++) {
        open_message(&b, UT_RESOURCE_SPANS_SCOPE_SPANS);
        open_span(&b);
        close_message(&b);
        close_message(&b);
    }
    close_all(&b);
    assert_int_equal(decode(ut_buf_bytes(&b.out), &batch, &fault), UT_ELIMIT);
    assert_non_null(strstr(fault.text_z, "65536 scopes"));
    ut_batch_free(&batch);
    ut_buf_free(&b.out);
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
        cmocka_unit_test(spans_with_invalid_ids_are_rejected_one_by_one),
        cmocka_unit_test(a_parent_of_zeros_is_kept_and_makes_a_root),
        cmocka_unit_test(a_rejected_span_still_has_to_decode),
        cmocka_unit_test(link_ids_are_kept_up_to_a_length),
        cmocka_unit_test(a_fault_names_its_place),
        cmocka_unit_test(pairs_whose_lengths_disagree_are_refused),
        cmocka_unit_test(values_nest_to_the_limit_and_no_deeper),
        cmocka_unit_test(every_cut_of_a_body_is_a_fault_or_a_clean_beginning),
        cmocka_unit_test(changed_bytes_never_crash),
        cmocka_unit_test(a_batch_that_is_full_refuses_the_body),
        cmocka_unit_test(more_scopes_than_a_batch_takes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
