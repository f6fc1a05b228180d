// Tests of storage/span/span.
#include "storage/span/span.h"
#include "tests/support/random_span.h"
#include "tests/support/span_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { BUF_MAX = 1 << 20 };

static const uint8_t trace_id[UT_TRACE_ID_LEN] = {1, 2,  3,  4,  5,  6,  7,  8,
                                                  9, 10, 11, 12, 13, 14, 15, 16};
static const uint8_t span_id[UT_SPAN_ID_LEN] = {21, 22, 23, 24, 25, 26, 27, 28};
static const uint8_t parent_id[UT_SPAN_ID_LEN] = {31, 32, 33, 34, 35, 36, 37, 38};

// A span with every field set.
static ut_span full_span(void)
{
    return (ut_span){
        .trace_id = {trace_id, sizeof trace_id},
        .span_id = {span_id, sizeof span_id},
        .parent_span_id = {parent_id, sizeof parent_id},
        .name = UT_BYTES_LIT("GET /"),
        .kind = 2,
        .start_ns = UINT64_C(1760000000000000000),
        .end_ns = UINT64_C(1760000000000012345),
        .status_code = UT_STATUS_ERROR,
        .status_message = UT_BYTES_LIT("it broke"),
        .trace_state = UT_BYTES_LIT("a=1,b=2"),
        .flags = 0x301,
        .dropped_attributes = 1,
        .dropped_events = UINT32_MAX,
        .dropped_links = 3,
        .unknown = UT_BYTES_LIT("\xc0\x3e\x01"),
        .attributes = UT_BYTES_LIT("\x81\xa1k\x01"),
        .events = UT_BYTES_LIT("\x91\x95\x05\xa1n\x80\x00\xc4\x00"),
        .links = UT_BYTES_LIT("\x90"),
    };
}

static void write_span(ut_buf *buf, const ut_span *span)
{
    ut_span_write_head(buf, span);
    ut_buf_add_bytes(buf, span->attributes);
    ut_buf_add_bytes(buf, span->events);
    ut_buf_add_bytes(buf, span->links);
    ut_span_write_rare(buf, span);
    assert_int_equal(buf->err, UT_OK);
}

static void assert_span_comes_back(const ut_span *span)
{
    ut_buf buf;
    ut_buf_init(&buf, BUF_MAX);
    write_span(&buf, span);
    ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&buf));
    ut_span back;
    assert_int_equal(ut_span_read(&reader, &back), UT_OK);
    assert_ptr_equal(reader.at, reader.end);
    const char *field = ut_span_difference(span, &back);
    if (field != NULL)
        fail_msg("%s differs", field);
    ut_buf_free(&buf);
}

static void a_span_comes_back_with_every_field(void **state)
{
    (void)state;
    ut_span span = full_span();
    assert_span_comes_back(&span);
}

static void each_rare_field_comes_back_alone(void **state)
{
    (void)state;
    for (int field = 0; field < 8; field++) {
        ut_span all = full_span();
        ut_span span = all;
        span.status_message = span.trace_state = span.unknown = UT_BYTES_NONE;
        span.flags = span.dropped_attributes = span.dropped_events = span.dropped_links = 0;
        switch (field) {
        case 0:
            span.status_message = all.status_message;
            break;
        case 1:
            span.trace_state = all.trace_state;
            break;
        case 2:
            span.unknown = all.unknown;
            break;
        case 3:
            span.flags = all.flags;
            break;
        case 4:
            span.dropped_attributes = all.dropped_attributes;
            break;
        case 5:
            span.dropped_events = all.dropped_events;
            break;
        case 6:
            span.dropped_links = all.dropped_links;
            break;
        default: // none of them
            break;
        }
        assert_span_comes_back(&span);
    }
}

static void every_pair_of_times_comes_back(void **state)
{
    (void)state;
    static const uint64_t times[] = {
        0, 1, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX, UINT64_C(1760000000000000000)};
    enum { TIMES = sizeof times / sizeof *times };
    for (size_t a = 0; a < TIMES; a++) {
        for (size_t b = 0; b < TIMES; b++) {
            ut_span span = full_span();
            span.start_ns = times[a];
            span.end_ns = times[b];
            assert_span_comes_back(&span);

            ut_buf buf;
            ut_buf_init(&buf, BUF_MAX);
            ut_event event = {
                .time_ns = times[b], .name = UT_BYTES_LIT("e"), .attributes = UT_BYTES_LIT("\x80")};
            ut_event_write_head(&buf, times[a], &event);
            ut_buf_add_bytes(&buf, event.attributes);
            ut_event_write_tail(&buf, &event);
            ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&buf));
            ut_event back;
            assert_int_equal(ut_event_read(&reader, times[a], &back), UT_OK);
            assert_true(back.time_ns == times[b]);
            ut_buf_free(&buf);
        }
    }
}

static void any_kind_and_status_code_come_back(void **state)
{
    (void)state;
    static const int32_t values[] = {0, 5, 6, -1, -33, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        ut_span span = full_span();
        span.kind = values[i];
        span.status_code = values[i];
        assert_span_comes_back(&span);
    }
}

// ---- the five kinds of record, for tests that treat them alike ----

typedef enum { SPAN, EVENT, LINK, RESOURCE, SCOPE, KINDS } kind;

static ut_err read_record(ut_mp_reader *reader, kind k)
{
    ut_span span;
    ut_event event;
    ut_link link;
    ut_resource resource;
    ut_scope scope;
    switch (k) {
    case SPAN:
        return ut_span_read(reader, &span);
    case EVENT:
        return ut_event_read(reader, 1000, &event);
    case LINK:
        return ut_link_read(reader, &link);
    case RESOURCE:
        return ut_resource_read(reader, &resource);
    case SCOPE:
    default:
        return ut_scope_read(reader, &scope);
    }
}

static void write_record(ut_buf *buf, kind k)
{
    ut_bytes attributes = UT_BYTES_LIT("\x82\xa1k\x01\xa1l\xc0");
    ut_bytes unknown = UT_BYTES_LIT("\xc0\x3e\x01");
    ut_span span = full_span();
    ut_event event = {1500, UT_BYTES_LIT("event"), attributes, 7, unknown};
    ut_link link = {{trace_id, sizeof trace_id},
                    {span_id, sizeof span_id},
                    UT_BYTES_LIT("a=1"),
                    attributes,
                    8,
                    9,
                    unknown};
    ut_resource resource = {attributes, 10, UT_BYTES_LIT("https://schema"), unknown, unknown};
    ut_scope scope = {UT_BYTES_LIT("scope"),
                      UT_BYTES_LIT("1.0"),
                      attributes,
                      11,
                      UT_BYTES_LIT("https://schema"),
                      unknown,
                      unknown};
    switch (k) {
    case SPAN:
        write_span(buf, &span);
        break;
    case EVENT:
        ut_event_write_head(buf, 1000, &event);
        ut_buf_add_bytes(buf, attributes);
        ut_event_write_tail(buf, &event);
        break;
    case LINK:
        ut_link_write_head(buf, &link);
        ut_buf_add_bytes(buf, attributes);
        ut_link_write_tail(buf, &link);
        break;
    case RESOURCE:
        ut_resource_write_head(buf);
        ut_buf_add_bytes(buf, attributes);
        ut_resource_write_tail(buf, &resource);
        break;
    case SCOPE:
    default:
        ut_scope_write_head(buf, &scope);
        ut_buf_add_bytes(buf, attributes);
        ut_scope_write_tail(buf, &scope);
        break;
    }
    assert_int_equal(buf->err, UT_OK);
}

static void companions_come_back_with_every_field(void **state)
{
    (void)state;
    ut_bytes attributes = UT_BYTES_LIT("\x82\xa1k\x01\xa1l\xc0");
    ut_bytes unknown = UT_BYTES_LIT("\xc0\x3e\x01");
    ut_buf buf;
    ut_buf_init(&buf, BUF_MAX);

    write_record(&buf, EVENT);
    ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&buf));
    ut_event event;
    assert_int_equal(ut_event_read(&reader, 1000, &event), UT_OK);
    assert_int_equal(event.time_ns, 1500);
    assert_true(ut_bytes_equal(event.name, UT_BYTES_LIT("event")));
    assert_true(ut_bytes_equal(event.attributes, attributes));
    assert_int_equal(event.dropped_attributes, 7);
    assert_true(ut_bytes_equal(event.unknown, unknown));

    ut_buf_reset(&buf, BUF_MAX);
    write_record(&buf, LINK);
    reader = ut_mp_reader_of(ut_buf_bytes(&buf));
    ut_link link;
    assert_int_equal(ut_link_read(&reader, &link), UT_OK);
    assert_true(ut_bytes_equal(link.trace_id, (ut_bytes){trace_id, sizeof trace_id}));
    assert_true(ut_bytes_equal(link.span_id, (ut_bytes){span_id, sizeof span_id}));
    assert_true(ut_bytes_equal(link.trace_state, UT_BYTES_LIT("a=1")));
    assert_true(ut_bytes_equal(link.attributes, attributes));
    assert_int_equal(link.dropped_attributes, 8);
    assert_int_equal(link.flags, 9);
    assert_true(ut_bytes_equal(link.unknown, unknown));

    ut_buf_reset(&buf, BUF_MAX);
    write_record(&buf, RESOURCE);
    reader = ut_mp_reader_of(ut_buf_bytes(&buf));
    ut_resource resource;
    assert_int_equal(ut_resource_read(&reader, &resource), UT_OK);
    ut_resource resource_wanted = {attributes, 10, UT_BYTES_LIT("https://schema"), unknown,
                                   unknown};
    assert_null(ut_resource_difference(&resource, &resource_wanted));

    ut_buf_reset(&buf, BUF_MAX);
    write_record(&buf, SCOPE);
    reader = ut_mp_reader_of(ut_buf_bytes(&buf));
    ut_scope scope;
    assert_int_equal(ut_scope_read(&reader, &scope), UT_OK);
    ut_scope scope_wanted = {UT_BYTES_LIT("scope"),
                             UT_BYTES_LIT("1.0"),
                             attributes,
                             11,
                             UT_BYTES_LIT("https://schema"),
                             unknown,
                             unknown};
    assert_null(ut_scope_difference(&scope, &scope_wanted));
    ut_buf_free(&buf);
}

// Element boundaries of the record in buf; returns their number, *count + 1.
static size_t elements(const ut_buf *buf, size_t offsets[16])
{
    ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(buf));
    uint32_t count = ut_mp_get_array(&reader);
    assert_in_range(count, 1, 15);
    for (uint32_t i = 0; i < count; i++) {
        offsets[i] = (size_t)(reader.at - buf->data);
        (void)ut_mp_skip(&reader);
    }
    offsets[count] = (size_t)(reader.at - buf->data);
    assert_int_equal(offsets[count], buf->len);
    return count;
}

static void a_longer_record_of_a_newer_program_is_read(void **state)
{
    (void)state;
    for (kind k = SPAN; k < KINDS; k++) {
        ut_buf record, longer;
        ut_buf_init(&record, BUF_MAX);
        ut_buf_init(&longer, BUF_MAX);
        write_record(&record, k);
        size_t offsets[16] = {0};
        size_t count = elements(&record, offsets);
        ut_mp_put_array(&longer, (uint32_t)count + 2);
        ut_buf_add(&longer, record.data + offsets[0], record.len - offsets[0]);
        ut_buf_add_bytes(&longer, UT_BYTES_LIT("\x92\x81\x01\xc0\xa1x"));
        ut_buf_add_bytes(&longer, UT_BYTES_LIT("\xc3"));
        ut_buf_add_bytes(&longer,
                         UT_BYTES_LIT("\x2a")); // the next value, which is not of the record
        ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&longer));
        assert_int_equal(read_record(&reader, k), UT_OK);
        assert_int_equal(ut_mp_get_uint(&reader), 0x2a);
        ut_buf_free(&record);
        ut_buf_free(&longer);
    }
}

static void rare_fields_of_a_newer_program_are_passed(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, BUF_MAX);
    ut_span span = full_span();
    ut_span_write_head(&buf, &span);
    ut_buf_add_bytes(&buf, UT_BYTES_LIT("\x80\x90\x90"));
    // {200: [1, {}], 3: 5, 8: nil}
    ut_buf_add_bytes(&buf, UT_BYTES_LIT("\x83\xcc\xc8\x92\x01\x80\x03\x05\x08\xc0"));
    ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&buf));
    ut_span back;
    assert_int_equal(ut_span_read(&reader, &back), UT_OK);
    assert_int_equal(back.flags, 5);
    assert_ptr_equal(reader.at, reader.end);
    ut_buf_free(&buf);
}

static void a_shorter_record_is_refused(void **state)
{
    (void)state;
    for (kind k = SPAN; k < KINDS; k++) {
        ut_buf record, shorter;
        ut_buf_init(&record, BUF_MAX);
        ut_buf_init(&shorter, BUF_MAX);
        write_record(&record, k);
        size_t offsets[16] = {0};
        size_t count = elements(&record, offsets);
        ut_mp_put_array(&shorter, (uint32_t)count - 1);
        ut_buf_add(&shorter, record.data + offsets[0], offsets[count - 1] - offsets[0]);
        ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&shorter));
        assert_int_equal(read_record(&reader, k), UT_EFORMAT);
        assert_int_equal(reader.err, UT_EFORMAT);
        ut_buf_free(&record);
        ut_buf_free(&shorter);
    }
}

static void a_field_of_a_wrong_type_is_refused(void **state)
{
    (void)state;
    // No field is a nil, a bool or a double, and a field of one type is not of another.
    static const ut_bytes wrong[] = {UT_BYTES_LIT("\xc0"),         UT_BYTES_LIT("\xc3"),
                                     UT_BYTES_LIT("\xca\0\0\0\0"), UT_BYTES_LIT("\x01"),
                                     UT_BYTES_LIT("\xa0"),         UT_BYTES_LIT("\xc4\x00"),
                                     UT_BYTES_LIT("\x90"),         UT_BYTES_LIT("\x80")};
    for (kind k = SPAN; k < KINDS; k++) {
        ut_buf record, broken;
        ut_buf_init(&record, BUF_MAX);
        ut_buf_init(&broken, BUF_MAX);
        write_record(&record, k);
        size_t offsets[16] = {0};
        size_t count = elements(&record, offsets);
        for (size_t i = 0; i < count; i++) {
            ut_mp_reader at =
                ut_mp_reader_of((ut_bytes){record.data + offsets[i], record.len - offsets[i]});
            ut_mp_type right_type = ut_mp_peek(&at);
            for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
                at = ut_mp_reader_of(wrong[w]);
                if (ut_mp_peek(&at) == right_type)
                    continue;
                ut_buf_reset(&broken, BUF_MAX);
                ut_buf_add(&broken, record.data, offsets[i]);
                ut_buf_add_bytes(&broken, wrong[w]);
                ut_buf_add(&broken, record.data + offsets[i + 1], record.len - offsets[i + 1]);
                ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&broken));
                if (read_record(&reader, k) != UT_EFORMAT)
                    fail_msg("record %d, field %u, replacement %u", (int)k, (unsigned)i,
                             (unsigned)w);
            }
        }
        ut_buf_free(&record);
        ut_buf_free(&broken);
    }
}

static void a_cut_record_is_refused_at_every_length(void **state)
{
    (void)state;
    for (kind k = SPAN; k < KINDS; k++) {
        ut_buf record;
        ut_buf_init(&record, BUF_MAX);
        write_record(&record, k);
        for (size_t len = 0; len < record.len; len++) {
            uint8_t *copy = malloc(len == 0 ? 1 : len);
            assert_non_null(copy);
            memcpy(copy, record.data, len);
            ut_mp_reader reader = ut_mp_reader_of((ut_bytes){copy, len});
            assert_int_equal(read_record(&reader, k), UT_EFORMAT);
            free(copy);
        }
        ut_buf_free(&record);
    }
}

// Replaces element i of a full span by raw and reads it.
static ut_err read_span_with(size_t i, ut_bytes raw)
{
    ut_buf record, changed;
    ut_buf_init(&record, BUF_MAX);
    ut_buf_init(&changed, BUF_MAX);
    write_record(&record, SPAN);
    size_t offsets[16] = {0};
    (void)elements(&record, offsets);
    ut_buf_add(&changed, record.data, offsets[i]);
    ut_buf_add_bytes(&changed, raw);
    ut_buf_add(&changed, record.data + offsets[i + 1], record.len - offsets[i + 1]);
    ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&changed));
    ut_span span;
    ut_err err = ut_span_read(&reader, &span);
    ut_buf_free(&record);
    ut_buf_free(&changed);
    return err;
}

static void ids_of_other_lengths_are_refused(void **state)
{
    (void)state;
    for (uint8_t len = 0; len < 40; len++) {
        uint8_t raw[42] = {0xc4, len};
        ut_bytes id = {raw, (size_t)len + 2};
        assert_int_equal(read_span_with(0, id), len == 16 ? UT_OK : UT_EFORMAT);
        assert_int_equal(read_span_with(1, id), len == 8 ? UT_OK : UT_EFORMAT);
        assert_int_equal(read_span_with(2, id), len == 0 || len == 8 ? UT_OK : UT_EFORMAT);
    }
    // Links keep any length up to 64.
    for (size_t len = 63; len <= 65; len++) {
        ut_buf buf;
        ut_buf_init(&buf, BUF_MAX);
        uint8_t id[65] = {0};
        ut_mp_put_array(&buf, 7);
        ut_mp_put_bin(&buf, (ut_bytes){id, len});
        ut_mp_put_bin(&buf, (ut_bytes){id, len});
        ut_buf_add_bytes(&buf, UT_BYTES_LIT("\xa0\x80\x00\x00\xc4\x00"));
        ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&buf));
        ut_link link;
        assert_int_equal(ut_link_read(&reader, &link), len <= 64 ? UT_OK : UT_EFORMAT);
        ut_buf_free(&buf);
    }
}

static void numbers_beyond_32_bits_are_refused(void **state)
{
    (void)state;
    assert_int_equal(read_span_with(4, UT_BYTES_LIT("\xce\x80\x00\x00\x00")),
                     UT_EFORMAT); // kind 2^31
    assert_int_equal(read_span_with(7, UT_BYTES_LIT("\xd3\xff\xff\xff\xff\x7f\xff\xff\xff")),
                     UT_EFORMAT); // -2^31 - 1
    assert_int_equal(read_span_with(11, UT_BYTES_LIT("\x81\x03\xcf\0\0\0\1\0\0\0\0")),
                     UT_EFORMAT); // flags 2^32
    assert_int_equal(read_span_with(11, UT_BYTES_LIT("\x81\x03\xce\xff\xff\xff\xff")), UT_OK);
}

static void an_attribute_is_found_by_its_key(void **state)
{
    (void)state;
    // {"a": "x", "service.name": "shop", "n": 7, "a": "y"}
    ut_bytes map = UT_BYTES_LIT("\x84\xa1"
                                "a\xa1x\xacservice.name\xa4shop\xa1n\x07\xa1"
                                "a\xa1y");
    ut_bytes value;
    assert_true(ut_attributes_find_str(map, UT_BYTES_LIT("service.name"), &value));
    assert_true(ut_bytes_equal(value, UT_BYTES_LIT("shop")));
    assert_true(ut_attributes_find_str(map, UT_BYTES_LIT("a"), &value));
    assert_true(ut_bytes_equal(value, UT_BYTES_LIT("x"))); // the first
    assert_false(ut_attributes_find_str(map, UT_BYTES_LIT("n"), &value));
    assert_int_equal(value.len, 0);
    assert_false(ut_attributes_find_str(map, UT_BYTES_LIT("service"), &value));
    assert_false(ut_attributes_find_str(UT_BYTES_LIT("\x80"), UT_BYTES_LIT("a"), &value));
    assert_false(ut_attributes_find_str(UT_BYTES_NONE, UT_BYTES_LIT("a"), &value));
    assert_false(ut_attributes_find_str(UT_BYTES_NONE, UT_BYTES_NONE, &value));
    // {"a": 7, "a": "x"}: the first of repeated keys decides.
    assert_false(ut_attributes_find_str(UT_BYTES_LIT("\x82\xa1"
                                                     "a\x07\xa1"
                                                     "a\xa1x"),
                                        UT_BYTES_LIT("a"), &value));
    // What is damaged is not found, and nothing behind the end is read.
    for (size_t len = 0; len < map.len; len++)
        (void)ut_attributes_find_str((ut_bytes){map.data, len}, UT_BYTES_LIT("zzz"), &value);
    assert_false(ut_attributes_find_str(UT_BYTES_LIT("\x81\x05\xa1x"), UT_BYTES_LIT("a"), &value));
    assert_false(ut_attributes_find_str(UT_BYTES_LIT("\x81\x05\xa1x"), UT_BYTES_NONE, &value));
}

static void the_kind_of_an_error_is_of_the_span_before_its_events(void **state)
{
    (void)state;
    ut_buf own;
    ut_buf inner;
    ut_buf other;
    ut_buf events;
    const ut_bytes thrown = UT_MAP_OF(&inner, "exception.type", "Timeout");
    ut_span span = {.attributes = UT_MAP_OF(&own, "error.type", "500"),
                    .events = ut_event_of(&events, "exception", thrown)};
    assert_true(ut_bytes_equal(ut_span_error_type(&span), UT_BYTES_LIT("500")));
    span.attributes = UT_BYTES_NONE;
    assert_true(ut_bytes_equal(ut_span_error_type(&span), UT_BYTES_LIT("Timeout")));
    // Either key in either place, as `failures --type` looks for them.
    span.attributes = UT_MAP_OF(&other, "exception.type", "Own");
    assert_true(ut_bytes_equal(ut_span_error_type(&span), UT_BYTES_LIT("Own")));
    ut_buf_free(&other);
    ut_buf_free(&inner);
    ut_buf_free(&events);
    span.attributes = UT_BYTES_NONE;
    span.events = ut_event_of(&events, "e", UT_MAP_OF(&inner, "error.type", "Late"));
    assert_true(ut_bytes_equal(ut_span_error_type(&span), UT_BYTES_LIT("Late")));
    span.events.len -= 3; // cut short: no type, and nothing worse
    (void)ut_span_error_type(&span);
    span.events = UT_BYTES_NONE;
    assert_int_equal(ut_span_error_type(&span).len, 0);
    ut_buf_free(&own);
    ut_buf_free(&inner);
    ut_buf_free(&events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_comes_back_with_every_field),
        cmocka_unit_test(each_rare_field_comes_back_alone),
        cmocka_unit_test(every_pair_of_times_comes_back),
        cmocka_unit_test(any_kind_and_status_code_come_back),
        cmocka_unit_test(companions_come_back_with_every_field),
        cmocka_unit_test(a_longer_record_of_a_newer_program_is_read),
        cmocka_unit_test(rare_fields_of_a_newer_program_are_passed),
        cmocka_unit_test(a_shorter_record_is_refused),
        cmocka_unit_test(a_field_of_a_wrong_type_is_refused),
        cmocka_unit_test(a_cut_record_is_refused_at_every_length),
        cmocka_unit_test(ids_of_other_lengths_are_refused),
        cmocka_unit_test(numbers_beyond_32_bits_are_refused),
        cmocka_unit_test(an_attribute_is_found_by_its_key),
        cmocka_unit_test(the_kind_of_an_error_is_of_the_span_before_its_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
