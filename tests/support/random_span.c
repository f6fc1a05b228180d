// Random and realistic batches for tests; see random_span.h.
#include "tests/support/random_span.h"

#include <stdio.h>

uint64_t ut_random_next(ut_random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

unsigned ut_random_below(ut_random *random, uint32_t bound)
{
    return (unsigned)((ut_random_next(random) >> 32) * bound >> 32);
}

static bool one_in(ut_random *random, uint32_t n)
{
    return ut_random_below(random, n) == 0;
}

static void fill(ut_random *random, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)ut_random_next(random);
}

// ---- random ----

enum { TEXT_MAX = 66000, TEXTS = 4, ATTRIBUTES_MAX = 6, UNKNOWN_MAX = 64 };

typedef struct {
    ut_random random;
    unsigned flags;
    ut_buf text[TEXTS]; // each keeps one text alive while a record is written
    uint8_t unknown[2][UNKNOWN_MAX];
} maker;

// Lengths around which encodings change.
static uint32_t length(ut_random *random)
{
    static const uint16_t edges[] = {0, 1, 15, 16, 31, 32, 127, 128, 255, 256};
    if (one_in(random, 2000))
        return 65534 + ut_random_below(random, 4);
    if (one_in(random, 4))
        return edges[ut_random_below(random, sizeof edges / sizeof *edges)];
    return ut_random_below(random, 24);
}

static ut_bytes bytes(maker *m, unsigned slot)
{
    ut_buf *buf = &m->text[slot];
    ut_buf_reset(buf, SIZE_MAX);
    uint32_t len = length(&m->random);
    uint8_t *at = ut_buf_reserve(buf, len + 1);
    UT_ASSERT(at != NULL);
    fill(&m->random, at, len);
    buf->len = len;
    return ut_buf_bytes(buf);
}

static ut_bytes text(maker *m, unsigned slot)
{
    static const char *const pieces[] = {"\"",
                                         "\\",
                                         "/",
                                         "\n",
                                         "\x01",
                                         "\x7f",
                                         "\xc3\xa9",
                                         "\xe6\x97\xa5",
                                         "\xf0\x9f\x98\x80",
                                         "\xe2\x80\xa8",
                                         "<b>",
                                         "{}",
                                         "a",
                                         "Z",
                                         "0",
                                         " "};
    if ((m->flags & UT_RANDOM_ANY_BYTES) != 0 && one_in(&m->random, 4))
        return bytes(m, slot);
    ut_buf *buf = &m->text[slot];
    ut_buf_reset(buf, SIZE_MAX);
    uint32_t len = length(&m->random);
    bool plain = !one_in(&m->random, 3);
    while (buf->len < len) {
        const char *piece = pieces[ut_random_below(&m->random, sizeof pieces / sizeof *pieces)];
        if (plain || buf->len + strlen(piece) > len)
            ut_buf_add_byte(buf, (uint8_t)('a' + ut_random_below(&m->random, 26)));
        else if (one_in(&m->random, 40))
            ut_buf_add_byte(buf, 0);
        else
            ut_buf_add_z(buf, piece);
    }
    UT_ASSERT(buf->err == UT_OK);
    return ut_buf_bytes(buf);
}

static uint64_t integer(ut_random *random)
{
    // Every width, and the numbers around each border.
    unsigned shift = ut_random_below(random, 64);
    uint64_t value = ut_random_next(random) >> shift;
    if (one_in(random, 2))
        value = (UINT64_C(1) << shift) - ut_random_below(random, 3);
    return one_in(random, 2) ? value : 0 - value;
}

static double real(maker *m)
{
    static const uint64_t edges[] = {
        0,                            // 0
        UINT64_C(0x8000000000000000), // -0
        UINT64_C(0x7ff0000000000000), // infinity
        UINT64_C(0xfff0000000000000), // -infinity
        UINT64_C(0x7ff8000000000000), // the usual NaN
        UINT64_C(0x0000000000000001), // the smallest
        UINT64_C(0x7fefffffffffffff), // the largest
        UINT64_C(0x3fb999999999999a), // 0.1
        UINT64_C(0x433fffffffffffff), // 2^53 - 1
    };
    uint64_t bits = one_in(&m->random, 2)
                        ? edges[ut_random_below(&m->random, sizeof edges / sizeof *edges)]
                        : ut_random_next(&m->random);
    double value;
    memcpy(&value, &bits, sizeof value);
    if (value != value && (m->flags & UT_RANDOM_ANY_NAN) == 0)
        bits = UINT64_C(0x7ff8000000000000);
    memcpy(&value, &bits, sizeof value);
    return value;
}

// depth: containers that may still be opened.
static void put_value(maker *m, ut_buf *out, unsigned depth)
{
    switch (ut_random_below(&m->random, depth > 0 ? 10 : 7)) {
    case 0:
        ut_mp_put_nil(out);
        break;
    case 1:
        ut_mp_put_bool(out, one_in(&m->random, 2));
        break;
    case 2:
        ut_mp_put_int(out, (int64_t)integer(&m->random));
        break;
    case 3:
        ut_mp_put_double(out, real(m));
        break;
    case 4:
        ut_mp_put_bin(out, bytes(m, 3));
        break;
    case 5:
    case 6:
        ut_mp_put_str(out, text(m, 3));
        break;
    case 7:
    case 8: {
        uint32_t count = one_in(&m->random, 50) ? 15 + ut_random_below(&m->random, 3)
                                                : ut_random_below(&m->random, 3);
        ut_mp_put_array(out, count);
        for (uint32_t i = 0; i < count; i++)
            put_value(m, out, depth - 1);
        break;
    }
    default: {
        uint32_t count = ut_random_below(&m->random, 3);
        ut_mp_put_map(out, count);
        for (uint32_t i = 0; i < count; i++) {
            ut_mp_put_str(out, text(m, 3));
            put_value(m, out, depth - 1);
        }
        break;
    }
    }
}

// One value with every level of nesting that is allowed.
static void put_deep_value(maker *m, ut_buf *out)
{
    for (unsigned depth = 0; depth < UT_VALUE_DEPTH_MAX; depth++) {
        if (depth % 2 == 0) {
            ut_mp_put_array(out, 1);
        } else {
            ut_mp_put_map(out, 1);
            ut_mp_put_str(out, text(m, 3));
        }
    }
    ut_mp_put_int(out, -1);
}

static void put_attributes(maker *m, ut_buf *out, bool deep)
{
    uint32_t count = one_in(&m->random, 20) ? 14 + ut_random_below(&m->random, 4)
                                            : ut_random_below(&m->random, ATTRIBUTES_MAX + 1);
    if (deep && count == 0)
        count = 1;
    ut_mp_put_map(out, count);
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || !one_in(&m->random, 8)) // else: the same key again
            (void)text(m, 2);
        ut_mp_put_str(out, ut_buf_bytes(&m->text[2]));
        if (deep && i == 0)
            put_deep_value(m, out);
        else
            put_value(m, out, 4);
    }
}

static size_t add_varint(uint8_t *out, uint64_t value)
{
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        out[len++] = (uint8_t)(value | 0x80);
    out[len++] = (uint8_t)value;
    return len;
}

// Well-formed protobuf fields that no version of OTLP has.
static ut_bytes unknown(maker *m, unsigned slot)
{
    if ((m->flags & UT_RANDOM_UNKNOWN) == 0 || !one_in(&m->random, 3))
        return UT_BYTES_NONE;
    uint8_t *out = m->unknown[slot];
    size_t len = 0;
    for (uint32_t fields = 1 + ut_random_below(&m->random, 3); fields > 0; fields--) {
        static const uint8_t wire_types[] = {0, 1, 2, 5};
        uint8_t wire_type = wire_types[ut_random_below(&m->random, 4)];
        len += add_varint(out + len,
                          (uint64_t)(1000 + ut_random_below(&m->random, 2000)) << 3 | wire_type);
        size_t content = wire_type == 1 ? 8 : wire_type == 5 ? 4 : 0;
        if (wire_type == 0) {
            len += add_varint(out + len, integer(&m->random));
        } else if (wire_type == 2) {
            content = ut_random_below(&m->random, 8);
            len += add_varint(out + len, content);
        }
        fill(&m->random, out + len, content);
        len += content;
    }
    UT_ASSERT(len <= UNKNOWN_MAX);
    return (ut_bytes){out, len};
}

static uint32_t count32(ut_random *random)
{
    return one_in(random, 2) ? 0 : (uint32_t)integer(random);
}

static uint32_t add_resource(maker *m, ut_batch *batch)
{
    ut_buf *out = &batch->resource_bytes;
    size_t begin = out->len;
    ut_resource resource;
    memset(&resource, 0, sizeof resource);
    resource.dropped_attributes = count32(&m->random);
    resource.schema_url = text(m, 0);
    resource.unknown = unknown(m, 0);
    resource.unknown_envelope = unknown(m, 1);
    ut_resource_write_head(out);
    put_attributes(m, out, false);
    ut_resource_write_tail(out, &resource);
    return ut_batch_end_resource(batch, begin);
}

static uint32_t add_scope(maker *m, ut_batch *batch, uint32_t resource)
{
    ut_buf *out = &batch->scope_bytes;
    size_t begin = out->len;
    ut_scope scope;
    memset(&scope, 0, sizeof scope);
    scope.name = text(m, 0);
    scope.version = text(m, 1);
    ut_scope_write_head(out, &scope);
    put_attributes(m, out, false);
    scope.dropped_attributes = count32(&m->random);
    scope.schema_url = text(m, 0);
    scope.unknown = unknown(m, 0);
    scope.unknown_envelope = unknown(m, 1);
    ut_scope_write_tail(out, &scope);
    return ut_batch_end_scope(batch, begin, resource);
}

static uint64_t time_ns(ut_random *random)
{
    if (one_in(random, 4))
        return integer(random);
    return UINT64_C(1760000000000000000) + (ut_random_next(random) >> 20);
}

static void put_event(maker *m, ut_buf *out, uint64_t start_ns)
{
    ut_event event;
    memset(&event, 0, sizeof event);
    if (one_in(&m->random, 4))
        event.time_ns = time_ns(&m->random);
    else
        event.time_ns = start_ns + ut_random_below(&m->random, 1000000);
    event.name = text(m, 0);
    event.dropped_attributes = count32(&m->random);
    event.unknown = unknown(m, 0);
    ut_event_write_head(out, start_ns, &event);
    put_attributes(m, out, false);
    ut_event_write_tail(out, &event);
}

static void put_link(maker *m, ut_buf *out)
{
    static const uint8_t lengths[] = {0, 1, 16, 16, 16, 64};
    uint8_t ids[128];
    fill(&m->random, ids, sizeof ids);
    ut_link link;
    memset(&link, 0, sizeof link);
    link.trace_id = ut_bytes_of(ids, lengths[ut_random_below(&m->random, sizeof lengths)]);
    link.span_id = ut_bytes_of(ids + 64, one_in(&m->random, 8) ? 64 : UT_SPAN_ID_LEN);
    link.trace_state = text(m, 0);
    link.dropped_attributes = count32(&m->random);
    link.flags = count32(&m->random);
    link.unknown = unknown(m, 0);
    ut_link_write_head(out, &link);
    put_attributes(m, out, false);
    ut_link_write_tail(out, &link);
}

// Mostly one of the codes that exist, sometimes any number.
static int32_t any_or_below(ut_random *random, uint32_t bound)
{
    if (one_in(random, 8))
        return (int32_t)integer(random);
    return (int32_t)ut_random_below(random, bound);
}

static void add_span(maker *m, ut_batch *batch, uint32_t scope, bool deep)
{
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint8_t span_id[UT_SPAN_ID_LEN];
    uint8_t parent[UT_SPAN_ID_LEN];
    fill(&m->random, trace_id, sizeof trace_id);
    fill(&m->random, span_id, sizeof span_id);
    fill(&m->random, parent, sizeof parent);
    trace_id[0] |= 1;
    span_id[0] |= 1;
    parent[0] |= 1;
    // One call a statement: the order of calls within an initialiser is the compiler's choice.
    ut_span span;
    memset(&span, 0, sizeof span);
    span.trace_id = ut_bytes_of(trace_id, sizeof trace_id);
    span.span_id = ut_bytes_of(span_id, sizeof span_id);
    span.parent_span_id = ut_bytes_of(parent, one_in(&m->random, 3) ? 0 : sizeof parent);
    span.name = text(m, 0);
    span.kind = any_or_below(&m->random, 6);
    span.start_ns = time_ns(&m->random);
    span.status_code = any_or_below(&m->random, 3);
    span.end_ns = one_in(&m->random, 4) ? time_ns(&m->random)
                                        : span.start_ns + ut_random_below(&m->random, 1u << 30);
    ut_buf *out = &batch->span_bytes;
    size_t begin = out->len;
    ut_span_write_head(out, &span);
    put_attributes(m, out, deep);
    uint32_t events = one_in(&m->random, 2) ? 0 : ut_random_below(&m->random, 4);
    // The wide form is for writers that do not know the number yet. The decoders of OTLP know it,
    // and what they give for a wire batch is compared with it byte by byte.
    bool wide = (m->flags & UT_RANDOM_MIXED) != 0;
    size_t count_at = out->len;
    if (wide)
        count_at = ut_mp_put_array_open(out);
    else
        ut_mp_put_array(out, events);
    for (uint32_t i = 0; i < events; i++)
        put_event(m, out, span.start_ns);
    if (wide)
        ut_mp_set_array_count(out, count_at, events);
    uint32_t links = one_in(&m->random, 2) ? 0 : ut_random_below(&m->random, 4);
    ut_mp_put_array(out, links);
    for (uint32_t i = 0; i < links; i++)
        put_link(m, out);
    if (one_in(&m->random, 2)) {
        span.status_message = text(m, 0);
        span.trace_state = text(m, 1);
    }
    span.flags = count32(&m->random);
    span.dropped_attributes = count32(&m->random);
    span.dropped_events = count32(&m->random);
    span.dropped_links = count32(&m->random);
    span.unknown = unknown(m, 0);
    ut_span_write_rare(out, &span);
    ut_batch_end_span(batch, begin, scope, &span);
}

void ut_random_batch(uint64_t seed, uint32_t spans, unsigned flags, ut_batch *batch)
{
    maker m = {.random = {seed}, .flags = flags};
    for (unsigned i = 0; i < TEXTS; i++)
        ut_buf_init(&m.text[i], TEXT_MAX);
    uint32_t first_scope = batch->scope_count;
    uint32_t resources = 1 + ut_random_below(&m.random, 4);
    for (uint32_t r = 0; r < resources; r++) {
        uint32_t resource = add_resource(&m, batch);
        for (uint32_t scopes = 1 + ut_random_below(&m.random, 3); scopes > 0; scopes--)
            (void)add_scope(&m, batch, resource); // errors are sticky
    }
    if (ut_batch_error(batch) == UT_OK) {
        uint32_t scopes = batch->scope_count - first_scope;
        for (uint32_t i = 0; i < spans; i++) {
            uint32_t scope = (flags & UT_RANDOM_MIXED) != 0
                                 ? ut_random_below(&m.random, scopes)
                                 : (uint32_t)((uint64_t)i * scopes / spans);
            add_span(&m, batch, first_scope + scope, i == 0);
        }
    }
    for (unsigned i = 0; i < TEXTS; i++)
        ut_buf_free(&m.text[i]);
}

// ---- realistic ----

static ut_bytes lit(const char *text_z)
{
    return ut_bytes_of_z(text_z);
}

static void put_str(ut_buf *out, const char *key_z, const char *value_z)
{
    ut_mp_put_str(out, lit(key_z));
    ut_mp_put_str(out, lit(value_z));
}

static void put_int(ut_buf *out, const char *key_z, int64_t value)
{
    ut_mp_put_str(out, lit(key_z));
    ut_mp_put_int(out, value);
}

static uint32_t realistic_resource(ut_batch *batch)
{
    ut_buf *out = &batch->resource_bytes;
    size_t begin = out->len;
    ut_resource resource = {.schema_url = lit("https://opentelemetry.io/schemas/1.26.0")};
    ut_resource_write_head(out);
    ut_mp_put_map(out, 8);
    put_str(out, "service.name", "checkout");
    put_str(out, "service.version", "2.14.3");
    put_str(out, "service.instance.id", "6f3d1c1e-5c0c-4d56-9a64-0f8f1d5f2a77");
    put_str(out, "host.name", "edge-0147");
    put_str(out, "os.type", "linux");
    put_str(out, "telemetry.sdk.language", "go");
    put_str(out, "telemetry.sdk.name", "opentelemetry");
    put_str(out, "telemetry.sdk.version", "1.32.0");
    ut_resource_write_tail(out, &resource);
    return ut_batch_end_resource(batch, begin);
}

static uint32_t realistic_scope(ut_batch *batch, uint32_t resource, const char *name_z)
{
    ut_buf *out = &batch->scope_bytes;
    size_t begin = out->len;
    ut_scope scope = {.name = lit(name_z), .version = lit("0.57.0")};
    ut_scope_write_head(out, &scope);
    ut_mp_put_map(out, 0);
    ut_scope_write_tail(out, &scope);
    return ut_batch_end_scope(batch, begin, resource);
}

static void put_http_attributes(ut_random *random, ut_buf *out, bool failed)
{
    char path_z[64];
    char query_z[48];
    char peer_z[24];
    unsigned order = ut_random_below(random, 100000);
    unsigned page = ut_random_below(random, 50);
    unsigned session = (unsigned)(ut_random_next(random) & UINT32_MAX);
    unsigned net = ut_random_below(random, 256);
    unsigned host = ut_random_below(random, 256);
    (void)snprintf(path_z, sizeof path_z, "/api/v2/orders/%u/items", order);
    (void)snprintf(query_z, sizeof query_z, "page=%u&session=%08x", page, session);
    (void)snprintf(peer_z, sizeof peer_z, "10.2.%u.%u", net, host);
    ut_mp_put_map(out, 13);
    put_str(out, "http.request.method", one_in(random, 3) ? "POST" : "GET");
    put_str(out, "http.route", "/api/v2/orders/{id}/items");
    put_str(out, "url.scheme", "https");
    put_str(out, "url.path", path_z);
    put_str(out, "url.query", query_z);
    put_str(out, "server.address", "shop.example.com");
    put_int(out, "server.port", 443);
    put_str(out, "client.address", peer_z);
    put_int(out, "http.response.status_code", failed ? 503 : 200);
    put_int(out, "http.response.body.size", 200 + (int64_t)ut_random_below(random, 20000));
    put_str(out, "network.protocol.version", "1.1");
    put_str(out, "user_agent.original",
            "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/132.0");
    put_int(out, "thread.id", (int64_t)ut_random_below(random, 64));
}

static void put_database_attributes(ut_random *random, ut_buf *out)
{
    ut_mp_put_map(out, 8);
    put_str(out, "db.system", "postgresql");
    put_str(out, "db.namespace", "orders");
    put_str(out, "db.operation.name", "SELECT");
    put_str(out, "db.query.text",
            "SELECT id, sku, quantity, price_cents, currency FROM order_items WHERE order_id = $1 "
            "ORDER BY id LIMIT 50");
    put_str(out, "server.address", "db-2.internal.example.com");
    put_int(out, "server.port", 5432);
    put_int(out, "db.response.returned_rows", (int64_t)ut_random_below(random, 50));
    put_int(out, "thread.id", (int64_t)ut_random_below(random, 64));
}

void ut_realistic_batch(uint64_t seed, uint32_t spans, uint64_t start_ns, ut_batch *batch)
{
    ut_random random = {seed};
    uint32_t resource = realistic_resource(batch);
    uint32_t scopes[2] = {
        realistic_scope(batch, resource, "go.opentelemetry.io/contrib/net/http/otelhttp"),
        realistic_scope(batch, resource, "github.com/example/shop/storage/postgres")};
    if (ut_batch_error(batch) != UT_OK)
        return;
    uint8_t trace_id[UT_TRACE_ID_LEN] = {0};
    uint8_t parent[UT_SPAN_ID_LEN] = {0};
    uint32_t left = 0; // spans still to come in this trace
    for (uint32_t i = 0; i < spans; i++) {
        bool root = left == 0;
        if (root) {
            left = 3 + ut_random_below(&random, 16);
            fill(&random, trace_id, sizeof trace_id);
            trace_id[0] |= 1;
        }
        left -= 1;
        bool database = !root && one_in(&random, 3);
        bool failed = one_in(&random, 40);
        uint8_t span_id[UT_SPAN_ID_LEN];
        fill(&random, span_id, sizeof span_id);
        span_id[0] |= 1;
        start_ns += ut_random_below(&random, 400000);
        ut_span span = {
            .trace_id = {trace_id, sizeof trace_id},
            .span_id = {span_id, sizeof span_id},
            .parent_span_id = {parent, root ? 0 : sizeof parent},
            .name = lit(database ? "SELECT orders.order_items"
                        : root   ? "GET /api/v2/orders/{id}/items"
                                 : "reserve stock"),
            .kind = database ? 3
                    : root   ? 2
                             : 1,
            .start_ns = start_ns,
            .end_ns = start_ns + 20000 + ut_random_below(&random, 90000000),
            .status_code = failed ? UT_STATUS_ERROR : UT_STATUS_UNSET,
            .status_message = failed ? lit("upstream connect error") : UT_BYTES_NONE,
            .flags = 0x101,
        };
        ut_buf *out = &batch->span_bytes;
        size_t begin = out->len;
        ut_span_write_head(out, &span);
        if (database)
            put_database_attributes(&random, out);
        else
            put_http_attributes(&random, out, failed);
        ut_mp_put_array(out, failed ? 1 : 0);
        if (failed) {
            ut_event event = {.time_ns = span.end_ns - 1000, .name = lit("exception")};
            ut_event_write_head(out, span.start_ns, &event);
            ut_mp_put_map(out, 2);
            put_str(out, "exception.type", "*url.Error");
            put_str(out, "exception.message",
                    "Post \"https://stock.example.com/reserve\": connection refused");
            ut_event_write_tail(out, &event);
        }
        ut_mp_put_array(out, 0);
        ut_span_write_rare(out, &span);
        ut_batch_end_span(batch, begin, scopes[database ? 1 : 0], &span);
        memcpy(parent, span_id, sizeof parent);
    }
}

// ---- comparing ----

#define DIFFERS(field)            \
    do {                          \
        if (a->field != b->field) \
            return #field;        \
    } while (0)
#define BYTES_DIFFER(field)                      \
    do {                                         \
        if (!ut_bytes_equal(a->field, b->field)) \
            return #field;                       \
    } while (0)

const char *ut_span_difference(const ut_span *a, const ut_span *b)
{
    BYTES_DIFFER(trace_id);
    BYTES_DIFFER(span_id);
    BYTES_DIFFER(parent_span_id);
    BYTES_DIFFER(name);
    DIFFERS(kind);
    DIFFERS(start_ns);
    DIFFERS(end_ns);
    DIFFERS(status_code);
    BYTES_DIFFER(status_message);
    BYTES_DIFFER(trace_state);
    DIFFERS(flags);
    DIFFERS(dropped_attributes);
    DIFFERS(dropped_events);
    DIFFERS(dropped_links);
    BYTES_DIFFER(unknown);
    BYTES_DIFFER(attributes);
    BYTES_DIFFER(events);
    BYTES_DIFFER(links);
    return NULL;
}

const char *ut_scope_difference(const ut_scope *a, const ut_scope *b)
{
    BYTES_DIFFER(name);
    BYTES_DIFFER(version);
    BYTES_DIFFER(attributes);
    DIFFERS(dropped_attributes);
    BYTES_DIFFER(schema_url);
    BYTES_DIFFER(unknown);
    BYTES_DIFFER(unknown_envelope);
    return NULL;
}

const char *ut_resource_difference(const ut_resource *a, const ut_resource *b)
{
    BYTES_DIFFER(attributes);
    DIFFERS(dropped_attributes);
    BYTES_DIFFER(schema_url);
    BYTES_DIFFER(unknown);
    BYTES_DIFFER(unknown_envelope);
    return NULL;
}

void ut_batch_read(const ut_batch *batch, uint32_t index, ut_span *span, ut_scope *scope,
                   ut_resource *resource)
{
    UT_ASSERT(index < batch->span_count);
    const ut_batch_span *entry = &ut_batch_spans(batch)[index];
    UT_ASSERT(entry->scope < batch->scope_count);
    const ut_batch_part *scope_part = &ut_batch_scopes(batch)[entry->scope];
    UT_ASSERT(scope_part->resource < batch->resource_count);
    const ut_batch_part *resource_part = &ut_batch_resources(batch)[scope_part->resource];

    ut_mp_reader reader =
        ut_mp_reader_of((ut_bytes){batch->span_bytes.data + entry->offset, entry->len});
    UT_ASSERT(ut_span_read(&reader, span) == UT_OK && reader.at == reader.end);
    reader =
        ut_mp_reader_of((ut_bytes){batch->scope_bytes.data + scope_part->offset, scope_part->len});
    UT_ASSERT(ut_scope_read(&reader, scope) == UT_OK && reader.at == reader.end);
    reader = ut_mp_reader_of(
        (ut_bytes){batch->resource_bytes.data + resource_part->offset, resource_part->len});
    UT_ASSERT(ut_resource_read(&reader, resource) == UT_OK && reader.at == reader.end);
}

const char *ut_batch_difference(const ut_batch *a, const ut_batch *b, uint32_t *index)
{
    *index = 0;
    if (a->span_count != b->span_count)
        return "span_count";
    for (; *index < a->span_count; (*index)++) {
        ut_span span_a, span_b;
        ut_scope scope_a, scope_b;
        ut_resource resource_a, resource_b;
        ut_batch_read(a, *index, &span_a, &scope_a, &resource_a);
        ut_batch_read(b, *index, &span_b, &scope_b, &resource_b);
        const char *field = ut_span_difference(&span_a, &span_b);
        if (field == NULL)
            field = ut_scope_difference(&scope_a, &scope_b);
        if (field == NULL)
            field = ut_resource_difference(&resource_a, &resource_b);
        if (field != NULL)
            return field;
    }
    return NULL;
}
