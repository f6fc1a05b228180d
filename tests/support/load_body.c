// Bodies of OTLP requests whose ids change; see load_body.h.
// Not a reader of OTLP: it knows only what the sample generator and our own encoder write.
#include "tests/support/load_body.h"

#include "adapters/otlp/otlp.h"
#include "adapters/otlp/otlp_fields.h"
#include "port/port.h"
#include "tests/support/otlp_blocks.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    BODY_BYTES_MAX = 64 * 1024 * 1024,
    KEY_BYTES = 8,      // that are changed of each id
    IDS_A_SPAN_MAX = 3, // trace id, span id, parent
};

static void check(ut_err err, const char *what_z)
{
    if (err == UT_OK)
        return;
    (void)fprintf(stderr, "load body: %s: %s\n", what_z, ut_err_text(err));
    exit(1);
}

static uint64_t varint(const uint8_t *data, size_t *at)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        const uint8_t byte = data[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
}

// ---- the ids of a protobuf body ----

typedef struct {
    ut_load_body *body;
    const ut_load_shape *shape;
    uint64_t seed;
    uint32_t spans;
} id_search;

// A shape with a number of traces gives each span the id of its own.
static void note_trace(id_search *search, size_t at)
{
    uint8_t *id = search->body->body.data + at;
    if (search->shape->traces != 0) {
        const uint64_t number = search->spans % search->shape->traces + 1;
        ut_put_be64(id, (search->seed + number) * 0x9e3779b97f4a7c15u);
        ut_put_be64(id + 8, (search->seed ^ number) * 0xbf58476d1ce4e5b9u);
    }
    if (search->spans == 0)
        memcpy(search->body->first_trace, id, UT_TRACE_ID_LEN);
    search->spans++;
}

// Visits the fields of the message in [at, end): descends along path (field numbers, 0 at its end),
// and in the innermost message notes where the ids begin.
static void find_ids(id_search *search, size_t at, size_t end, const uint32_t *path)
{
    ut_load_body *body = search->body;
    const uint8_t *data = body->body.data;
    while (at < end) {
        const uint64_t tag = varint(data, &at);
        const uint32_t field = (uint32_t)(tag >> 3);
        switch (tag & 7) {
        case 0:
            (void)varint(data, &at);
            break;
        case 1:
            at += 8;
            break;
        case 5:
            at += 4;
            break;
        default: {
            const size_t len = (size_t)varint(data, &at);
            const bool id = path[0] == 0 && len >= KEY_BYTES &&
                            (field == UT_SPAN_TRACE_ID || field == UT_SPAN_SPAN_ID ||
                             field == UT_SPAN_PARENT_SPAN_ID);
            if (path[0] != 0 && field == path[0])
                find_ids(search, at, at + len, path + 1);
            if (id && field == UT_SPAN_TRACE_ID)
                note_trace(search, at);
            if (id && (field != UT_SPAN_TRACE_ID || !body->keep_traces))
                body->ids[body->id_count++] = (uint32_t)at;
            at += len;
        }
        }
    }
}

// ---- the ids of a JSON body ----

static void find_json_ids(ut_load_body *body)
{
    static const char *const names_z[] = {"\"spanId\":\"", "\"parentSpanId\":\"", "\"traceId\":\""};
    const size_t names = sizeof(names_z) / sizeof(names_z[0]) - (body->keep_traces ? 1 : 0);
    body->id_count = 0;
    for (size_t i = 0; i < names; i++) {
        const size_t len = strlen(names_z[i]);
        const uint8_t *at = body->body.data;
        const uint8_t *end = at + body->body.len;
        while ((at = memmem(at, (size_t)(end - at), names_z[i], len)) != NULL) {
            at += len;
            if (*at != '"') // an id that is not there is written as an empty one
                body->ids[body->id_count++] = (uint32_t)(at - body->body.data);
        }
    }
}

static void turn_into_json(ut_load_body *body)
{
    ut_batch batch;
    ut_batch_init(&batch, BODY_BYTES_MAX);
    check(ut_otlp_protobuf_decode(ut_buf_bytes(&body->body), &batch, NULL), "decode");
    ut_buf_reset(&body->body, SIZE_MAX);
    ut_encode_batch(&batch, &ut_otlp_json_encoder, &body->body);
    ut_batch_free(&batch);
    find_json_ids(body);
}

// ---- making and copying ----

void ut_load_body_make(ut_load_body *body, ut_sample *sample, const ut_load_shape *shape)
{
    static const uint32_t path[] = {UT_REQUEST_RESOURCE_SPANS, UT_RESOURCE_SPANS_SCOPE_SPANS,
                                    UT_SCOPE_SPANS_SPANS, 0};
    *body = (ut_load_body){.json = shape->json, .keep_traces = shape->keep_traces};
    ut_buf_init(&body->body, BODY_BYTES_MAX);
    check(ut_sample_request(sample, shape->spans, ut_clock_wall_ns(), &body->body), "sample");
    body->ids = calloc(IDS_A_SPAN_MAX * (size_t)shape->spans, sizeof(*body->ids));
    check(body->ids != NULL ? UT_OK : UT_ENOMEM, "ids");
    id_search search = {.body = body, .shape = shape};
    check(ut_random(&search.seed, sizeof(search.seed)), "random");
    find_ids(&search, 0, body->body.len, path);
    if (shape->json)
        turn_into_json(body);
}

void ut_load_body_free(ut_load_body *body)
{
    ut_buf_free(&body->body);
    free(body->ids);
}

static void make_key(uint64_t salt, uint8_t key[KEY_BYTES])
{
    ut_put_be64(key, salt * 0x9e3779b97f4a7c15u); // odd: never repeats in 2^64
}

static uint8_t hex_value(uint8_t digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static void change_hex(uint8_t *digits, const uint8_t key[KEY_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < 2 * (size_t)KEY_BYTES; i++) {
        const uint8_t part = i % 2 == 0 ? key[i / 2] >> 4 : key[i / 2] & 15;
        digits[i] = (uint8_t)hex[hex_value(digits[i]) ^ part];
    }
}

void ut_load_body_copy(const ut_load_body *body, uint64_t salt, ut_buf *out)
{
    ut_buf_reset(out, SIZE_MAX);
    ut_buf_add_bytes(out, ut_buf_bytes(&body->body));
    check(out->err, "copy");
    uint8_t key[KEY_BYTES];
    make_key(salt, key);
    for (size_t i = 0; i < body->id_count; i++) {
        uint8_t *id = out->data + body->ids[i];
        if (body->json) {
            change_hex(id, key);
            continue;
        }
        for (size_t j = 0; j < KEY_BYTES; j++)
            id[j] ^= key[j];
    }
}

void ut_load_body_trace(const ut_load_body *body, uint64_t salt, uint8_t id[UT_TRACE_ID_LEN])
{
    uint8_t key[KEY_BYTES] = {0};
    if (!body->keep_traces)
        make_key(salt, key);
    memcpy(id, body->first_trace, UT_TRACE_ID_LEN);
    for (size_t i = 0; i < KEY_BYTES; i++)
        id[i] ^= key[i];
}
