// Property tests of the OTLP encoders and decoders together: what goes out comes in equal.
#include "adapters/otlp/otlp.h"
#include "tests/support/otlp_blocks.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BYTES_MAX = 1 << 28, SEEDS = 60, SPANS = 40 };

static void assert_equal_batches(const ut_batch *a, const ut_batch *b, uint64_t seed)
{
    uint32_t index;
    const char *field = ut_batch_difference(a, b, &index);
    if (field != NULL)
        fail_msg("seed %llu: span %u differs in %s", (unsigned long long)seed, index, field);
}

static void decode(ut_otlp_encoding encoding, const ut_buf *bytes, ut_batch *batch)
{
    ut_fault fault;
    ut_err err = encoding == UT_OTLP_JSON
                     ? ut_otlp_json_decode(ut_buf_bytes(bytes), batch, &fault)
                     : ut_otlp_protobuf_decode(ut_buf_bytes(bytes), batch, &fault);
    if (err != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_int_equal(batch->rejected_count, 0);
}

static void round_trip(uint64_t seed, uint32_t spans, unsigned flags, ut_otlp_encoding encoding)
{
    ut_batch before, after;
    ut_buf bytes, again;
    ut_batch_init(&before, BYTES_MAX);
    ut_batch_init(&after, BYTES_MAX);
    ut_buf_init(&bytes, BYTES_MAX);
    ut_buf_init(&again, BYTES_MAX);
    const ut_otlp_encoder *encoder =
        encoding == UT_OTLP_JSON ? &ut_otlp_json_encoder : &ut_otlp_protobuf_encoder;

    ut_random_batch(seed, spans, flags, &before);
    assert_int_equal(ut_batch_error(&before), UT_OK);
    ut_encode_batch(&before, encoder, &bytes);
    decode(encoding, &bytes, &after);
    assert_equal_batches(&before, &after, seed);

    // Our own bytes are canonical: encoding what they decode to gives the same.
    ut_encode_batch(&after, encoder, &again);
    assert_int_equal(bytes.len, again.len);
    assert_memory_equal(bytes.data, again.data, bytes.len);

    ut_buf_free(&again);
    ut_buf_free(&bytes);
    ut_batch_free(&after);
    ut_batch_free(&before);
}

static void protobuf_keeps_every_field_of_random_spans(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        round_trip(seed, SPANS, UT_RANDOM_ANY_NAN | UT_RANDOM_UNKNOWN, UT_OTLP_PROTOBUF);
}

static void json_keeps_every_field_of_random_spans(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        round_trip(seed, SPANS, UT_RANDOM_WIRE, UT_OTLP_JSON);
}

static void more_spans_than_a_block_holds_go_through_several(void **state)
{
    (void)state;
    round_trip(7, 3 * UT_BLOCK_SPANS_MAX / 2, UT_RANDOM_WIRE, UT_OTLP_PROTOBUF);
    round_trip(7, 3 * UT_BLOCK_SPANS_MAX / 2, UT_RANDOM_WIRE, UT_OTLP_JSON);
}

// Protobuf to JSON and back: the two encodings say the same.
static void the_two_encodings_agree(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        ut_batch before, middle, after;
        ut_buf protobuf, json;
        ut_batch_init(&before, BYTES_MAX);
        ut_batch_init(&middle, BYTES_MAX);
        ut_batch_init(&after, BYTES_MAX);
        ut_buf_init(&protobuf, BYTES_MAX);
        ut_buf_init(&json, BYTES_MAX);
        ut_random_batch(seed, SPANS, UT_RANDOM_WIRE, &before);
        ut_encode_batch(&before, &ut_otlp_protobuf_encoder, &protobuf);
        decode(UT_OTLP_PROTOBUF, &protobuf, &middle);
        ut_encode_batch(&middle, &ut_otlp_json_encoder, &json);
        decode(UT_OTLP_JSON, &json, &after);
        assert_equal_batches(&before, &after, seed);
        ut_buf_free(&json);
        ut_buf_free(&protobuf);
        ut_batch_free(&after);
        ut_batch_free(&middle);
        ut_batch_free(&before);
    }
}

// JSON is for people and browsers: bytes that are no text must not leave as they are.
static void text_that_is_not_utf8_becomes_replacement_characters_in_json(void **state)
{
    (void)state;
    ut_batch before, after;
    ut_buf json;
    ut_batch_init(&before, BYTES_MAX);
    ut_batch_init(&after, BYTES_MAX);
    ut_buf_init(&json, BYTES_MAX);
    ut_random_batch(3, SPANS, UT_RANDOM_ANY_BYTES, &before);
    ut_encode_batch(&before, &ut_otlp_json_encoder, &json);
    decode(UT_OTLP_JSON, &json, &after);
    assert_int_equal(after.span_count, before.span_count);
    ut_buf_free(&json);
    ut_batch_free(&after);
    ut_batch_free(&before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protobuf_keeps_every_field_of_random_spans),
        cmocka_unit_test(json_keeps_every_field_of_random_spans),
        cmocka_unit_test(more_spans_than_a_block_holds_go_through_several),
        cmocka_unit_test(the_two_encodings_agree),
        cmocka_unit_test(text_that_is_not_utf8_becomes_replacement_characters_in_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
