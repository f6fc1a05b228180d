// Realistic sample traces as OTLP protobuf requests; see sample.h.
// Not for tests of odd values: those need random spans, not likely ones.
#include "agent/commands/sample.h"

#include "adapters/otlp/otlp_fields.h"
#include "adapters/encoding/protobuf.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    KIND_SERVER = 2,
    KIND_CLIENT = 3,
    STATUS_ERROR = 2,
    SCOPE_SERVER = 0,
    SCOPE_CLIENT = 1,
    SCOPE_DATABASE = 2,
    SPAN_BYTES_MAX = 4096, // more than any span here takes
    FLAGS_SAMPLED = 1,
    FLAGS_REMOTE_KNOWN = 0x100,
    FLAGS_REMOTE = 0x200,
};

typedef struct {
    const char *method_z;
    const char *route_z;
    const char *target_format_z; // one number goes in
} route;

typedef struct {
    const char *name_z;
    const char *namespace_z;
    const char *version_z;
    const char *host_z;
    const char *language_z;
    const char *runtime_z;
    uint16_t port;
    const char *scopes_z[UT_SAMPLE_SCOPES];
    route routes[3];
} service;

static const service services[UT_SAMPLE_SERVICES] = {
    {"storefront",
     "shop",
     "3.14.2",
     "web-7f9c6d5b8-x2k4q",
     "nodejs",
     "nodejs 20.11.1",
     8080,
     {"@opentelemetry/instrumentation-http", "@opentelemetry/instrumentation-undici",
      "@opentelemetry/instrumentation-redis"},
     {{"GET", "/products/:id", "/products/%u?currency=EUR&locale=de-DE"},
      {"POST", "/cart/:id/checkout", "/cart/%u/checkout"},
      {"GET", "/search", "/search?q=running+shoes&page=%u&sort=price"}}},
    {"checkout",
     "shop",
     "1.9.0",
     "checkout-5d4f8c9b7-m8n2p",
     "java",
     "OpenJDK Runtime Environment 21.0.2",
     8081,
     {"io.opentelemetry.tomcat-10.0", "io.opentelemetry.java-http-client", "io.opentelemetry.jdbc"},
     {{"POST", "/v1/orders", "/v1/orders?session=%u"},
      {"GET", "/v1/orders/{orderId}", "/v1/orders/%u"},
      {"PUT", "/v1/orders/{orderId}/address", "/v1/orders/%u/address"}}},
    {"payments",
     "shop",
     "2.0.7",
     "payments-6b8d7f5c4-q9w3e",
     "go",
     "go1.22.1",
     8082,
     {"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "payments/gateway",
      "github.com/XSAM/otelsql"},
     {{"POST", "/charge", "/charge?attempt=%u"},
      {"POST", "/refund", "/refund?charge=%u"},
      {"GET", "/methods", "/methods?customer=%u"}}},
    {"inventory",
     "shop",
     "0.44.1",
     "inventory-7c5b6d4f8-t5y6u",
     "python",
     "CPython 3.12.2",
     8083,
     {"opentelemetry.instrumentation.fastapi", "opentelemetry.instrumentation.httpx",
      "opentelemetry.instrumentation.psycopg"},
     {{"GET", "/stock/{sku}", "/stock/%u?warehouse=HAM-2"},
      {"POST", "/reservations", "/reservations?ttl=%u"},
      {"DELETE", "/reservations/{id}", "/reservations/%u"}}},
};

typedef struct {
    const char *operation_z;
    const char *table_z;
    const char *statement_z;
} query;

static const query queries[] = {
    {"SELECT", "orders",
     "SELECT o.id, o.customer_id, o.total_cents, o.currency, o.state, o.created_at, o.updated_at "
     "FROM orders o JOIN order_states s ON s.id = o.state "
     "WHERE o.id = $1 AND o.deleted_at IS NULL AND s.visible LIMIT 1"},
    {"INSERT", "order_lines",
     "INSERT INTO order_lines (order_id, sku, quantity, price_cents, tax_cents, discount_cents, "
     "warehouse) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (order_id, sku) DO UPDATE SET "
     "quantity = EXCLUDED.quantity RETURNING id"},
    {"SELECT", "stock",
     "SELECT sku, warehouse, on_hand, reserved, on_hand - reserved AS available FROM stock WHERE "
     "sku = ANY($1) AND warehouse = $2 AND on_hand > 0 ORDER BY warehouse, sku FOR UPDATE SKIP "
     "LOCKED"},
    {"UPDATE", "stock",
     "UPDATE stock SET reserved = reserved + $1, updated_at = now(), updated_by = $4 WHERE sku = "
     "$2 AND warehouse = $3 AND on_hand - reserved >= $1 RETURNING sku, on_hand, reserved"},
    {"SELECT", "customers",
     "SELECT c.id, c.email, c.locale, a.street, a.city, a.zip, a.country FROM customers c LEFT "
     "JOIN "
     "addresses a ON a.customer_id = c.id AND a.is_default WHERE c.id = $1 AND c.active"},
    {"INSERT", "payments",
     "INSERT INTO payments (order_id, provider, amount_cents, currency, idempotency_key, state) "
     "VALUES ($1, $2, $3, $4, $5, 'authorized') ON CONFLICT (idempotency_key) DO NOTHING"},
};

static const char *const user_agents_z[] = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:124.0) Gecko/20100101 Firefox/124.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/123.0.0.0 Safari/537.36",
    "ShopApp/8.2.1 (Android 14; Pixel 8; build 82144) okhttp/4.12.0",
};

// ---- random numbers: xoshiro256** (https://prng.di.unimi.it), public domain algorithm ----

static uint64_t rotate(uint64_t value, unsigned by)
{
    return value << by | value >> (64 - by);
}

static uint64_t next_random(ut_sample *sample)
{
    uint64_t *s = sample->random;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
}

// 0 <= result < limit
static uint32_t pick(ut_sample *sample, uint32_t limit)
{
    return (uint32_t)((next_random(sample) >> 32) * limit >> 32);
}

static void random_id(ut_sample *sample, uint8_t *id, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        // Never all zero, which would be an invalid id.
        uint64_t bits = next_random(sample) | 1;
        memcpy(id + i, &bits, 8);
    }
}

void ut_sample_init(ut_sample *sample, uint64_t seed)
{
    // splitmix64 spreads one seed over the whole state.
    for (size_t i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t mixed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
        sample->random[i] = mixed ^ (mixed >> 31);
    }
    ut_buf_init(&sample->traces, UT_SAMPLE_SPANS_MAX * sizeof(ut_sample_trace));
    for (size_t i = 0; i < UT_SAMPLE_SERVICES; i++) {
        for (size_t j = 0; j < UT_SAMPLE_SCOPES; j++)
            ut_buf_init(&sample->spans[i][j], (size_t)UT_SAMPLE_SPANS_MAX * SPAN_BYTES_MAX);
    }
}

void ut_sample_free(ut_sample *sample)
{
    for (size_t i = 0; i < UT_SAMPLE_SERVICES; i++) {
        for (size_t j = 0; j < UT_SAMPLE_SCOPES; j++)
            ut_buf_free(&sample->spans[i][j]);
    }
    ut_buf_free(&sample->traces);
}

// ---- attributes ----

// field: the number of `attributes` in the message around.
static void put_text(ut_buf *out, uint32_t field, const char *key_z, const char *value_z)
{
    size_t key_len = strlen(key_z);
    size_t value_len = strlen(value_z);
    size_t any_len = 1 + ut_pb_varint_len(value_len) + value_len;
    ut_pb_slot pair = ut_pb_open(out, field, key_len + any_len + 4);
    ut_pb_put_bytes(out, UT_KEY_VALUE_KEY, ut_bytes_of(key_z, key_len));
    ut_pb_slot any = ut_pb_open(out, UT_KEY_VALUE_VALUE, any_len);
    ut_pb_put_bytes(out, UT_ANY_STRING, ut_bytes_of(value_z, value_len));
    ut_pb_close(out, any);
    ut_pb_close(out, pair);
}

static void put_number(ut_buf *out, uint32_t field, const char *key_z, int64_t value)
{
    ut_pb_slot pair = ut_pb_open(out, field, 0);
    ut_pb_put_bytes(out, UT_KEY_VALUE_KEY, ut_bytes_of_z(key_z));
    ut_pb_slot any = ut_pb_open(out, UT_KEY_VALUE_VALUE, 0);
    ut_pb_put_varint(out, UT_ANY_INT, (uint64_t)value);
    ut_pb_close(out, any);
    ut_pb_close(out, pair);
}

static void put_bool(ut_buf *out, uint32_t field, const char *key_z, bool value)
{
    ut_pb_slot pair = ut_pb_open(out, field, 0);
    ut_pb_put_bytes(out, UT_KEY_VALUE_KEY, ut_bytes_of_z(key_z));
    ut_pb_slot any = ut_pb_open(out, UT_KEY_VALUE_VALUE, 0);
    ut_pb_put_varint(out, UT_ANY_BOOL, value);
    ut_pb_close(out, any);
    ut_pb_close(out, pair);
}

// ---- spans ----

// One trace while it is being generated.
typedef struct {
    ut_sample *sample;
    uint8_t trace_id[16];
    char request_id_z[37]; // a UUID that the services hand on
    uint32_t left;         // spans it may still have
    bool fails;            // its last database call fails, and all above it
} trace;

// A span that has begun; its children need its id.
typedef struct {
    uint8_t id[8];
    uint64_t start_ns;
    uint64_t end_ns;
    ut_buf *out;
    ut_pb_slot slot;
} span;

static span open_span(trace *t, ut_buf *out, const span *parent, const char *name_z, uint32_t kind,
                      uint64_t start_ns, uint64_t end_ns)
{
    span s = {.start_ns = start_ns, .end_ns = end_ns, .out = out};
    random_id(t->sample, s.id, sizeof(s.id));
    s.slot = ut_pb_open(out, UT_SCOPE_SPANS_SPANS, 600);
    ut_pb_put_bytes(out, UT_SPAN_TRACE_ID, ut_bytes_of(t->trace_id, sizeof(t->trace_id)));
    ut_pb_put_bytes(out, UT_SPAN_SPAN_ID, ut_bytes_of(s.id, sizeof(s.id)));
    if (parent != NULL)
        ut_pb_put_bytes(out, UT_SPAN_PARENT_SPAN_ID, ut_bytes_of(parent->id, sizeof(parent->id)));
    ut_pb_put_bytes(out, UT_SPAN_NAME, ut_bytes_of_z(name_z));
    ut_pb_put_varint(out, UT_SPAN_KIND, kind);
    ut_pb_put_i64(out, UT_SPAN_START_TIME, start_ns);
    ut_pb_put_i64(out, UT_SPAN_END_TIME, end_ns);
    return s;
}

static void put_event(span *s, uint64_t time_ns, const char *name_z, const char *const pairs_z[][2],
                      size_t count)
{
    ut_pb_slot event = ut_pb_open(s->out, UT_SPAN_EVENTS, 200);
    ut_pb_put_i64(s->out, UT_EVENT_TIME, time_ns);
    ut_pb_put_bytes(s->out, UT_EVENT_NAME, ut_bytes_of_z(name_z));
    for (size_t i = 0; i < count; i++)
        put_text(s->out, UT_EVENT_ATTRIBUTES, pairs_z[i][0], pairs_z[i][1]);
    ut_pb_close(s->out, event);
}

static void close_span(span *s, bool error, const char *message_z, bool remote_parent)
{
    ut_pb_slot status = ut_pb_open(s->out, UT_SPAN_STATUS, 0);
    if (error) {
        ut_pb_put_bytes(s->out, UT_STATUS_MESSAGE, ut_bytes_of_z(message_z));
        ut_pb_put_varint(s->out, UT_STATUS_CODE, STATUS_ERROR);
    }
    ut_pb_close(s->out, status);
    ut_pb_put_i32(s->out, UT_SPAN_FLAGS,
                  FLAGS_SAMPLED | FLAGS_REMOTE_KNOWN | (remote_parent ? FLAGS_REMOTE : 0u));
    ut_pb_close(s->out, s->slot);
}

static void add_query(trace *t, uint32_t where, const span *parent, uint64_t start_ns,
                      uint64_t end_ns, bool fails)
{
    ut_sample *sample = t->sample;
    const query *q = &queries[pick(sample, sizeof(queries) / sizeof(queries[0]))];
    char text_z[96];
    (void)snprintf(text_z, sizeof(text_z), "%s shop.%s", q->operation_z, q->table_z);
    span s = open_span(t, &sample->spans[where][SCOPE_DATABASE], parent, text_z, KIND_CLIENT,
                       start_ns, end_ns);
    ut_buf *out = s.out;
    put_text(out, UT_SPAN_ATTRIBUTES, "db.system", "postgresql");
    put_text(out, UT_SPAN_ATTRIBUTES, "db.name", "shop");
    put_text(out, UT_SPAN_ATTRIBUTES, "db.operation", q->operation_z);
    put_text(out, UT_SPAN_ATTRIBUTES, "db.sql.table", q->table_z);
    put_text(out, UT_SPAN_ATTRIBUTES, "db.statement", q->statement_z);
    unsigned replica = pick(sample, 3);
    (void)snprintf(text_z, sizeof(text_z),
                   "postgresql://pg-%u.db.shop.internal:5432/shop?application_name=%s", replica,
                   services[where].name_z);
    put_text(out, UT_SPAN_ATTRIBUTES, "db.connection_string", text_z);
    (void)snprintf(text_z, sizeof(text_z), "pg-%u.db.shop.internal", replica);
    put_text(out, UT_SPAN_ATTRIBUTES, "net.peer.name", text_z);
    put_number(out, UT_SPAN_ATTRIBUTES, "net.peer.port", 5432);
    (void)snprintf(text_z, sizeof(text_z), "10.8.%u.%u", pick(sample, 16), pick(sample, 255));
    put_text(out, UT_SPAN_ATTRIBUTES, "net.sock.peer.addr", text_z);
    put_number(out, UT_SPAN_ATTRIBUTES, "db.rows", pick(sample, 400));
    (void)snprintf(text_z, sizeof(text_z), "pool-1-thread-%u", pick(sample, 32));
    put_text(out, UT_SPAN_ATTRIBUTES, "thread.name", text_z);
    if (fails) {
        static const char *const exception_z[][2] = {
            {"exception.type", "SerializationFailure"},
            {"exception.message", "could not serialize access due to concurrent update"},
            {"exception.stacktrace",
             "SerializationFailure: could not serialize access due to concurrent update\n"
             "    at Orders.reserve (orders.go:214)\n    at Orders.place (orders.go:131)\n"
             "    at Handler.ServeHTTP (server.go:88)"},
        };
        put_event(&s, end_ns, "exception", exception_z, 3);
    } else if (pick(sample, 4) == 0) {
        static const char *const waited_z[][2] = {{"pool.name", "shop-rw"}, {"pool.state", "busy"}};
        put_event(&s, start_ns, "connection acquired", waited_z, 2);
    }
    close_span(&s, fails, "could not serialize access due to concurrent update", false);
}

// An HTTP request as its server records it, with what it does inside. parent: NULL for the root.
static void add_request(trace *t, uint32_t where, const span *parent, uint64_t start_ns,
                        uint64_t end_ns, unsigned depth);

// A call of another service: the client's span, and the server's below it.
static void add_call(trace *t, uint32_t where, uint32_t target, const span *parent,
                     uint64_t start_ns, uint64_t end_ns, unsigned depth)
{
    ut_sample *sample = t->sample;
    const service *peer = &services[target];
    const route *r = &peer->routes[pick(sample, 3)];
    char text_z[160];
    char path_z[80];
    span s = open_span(t, &sample->spans[where][SCOPE_CLIENT], parent, r->method_z, KIND_CLIENT,
                       start_ns, end_ns);
    ut_buf *out = s.out;
    put_text(out, UT_SPAN_ATTRIBUTES, "http.method", r->method_z);
    int len = snprintf(path_z, sizeof(path_z), r->target_format_z, pick(sample, 1000000));
    UT_ASSERT(len > 0 && (size_t)len < sizeof(path_z));
    (void)snprintf(text_z, sizeof(text_z), "http://%s.shop.svc.cluster.local:%u%s", peer->name_z,
                   (unsigned)peer->port, path_z);
    put_text(out, UT_SPAN_ATTRIBUTES, "http.url", text_z);
    put_text(out, UT_SPAN_ATTRIBUTES, "http.flavor", "1.1");
    put_text(out, UT_SPAN_ATTRIBUTES, "http.request.header.x_request_id", t->request_id_z);
    put_number(out, UT_SPAN_ATTRIBUTES, "http.status_code", t->fails ? 503 : 200);
    put_number(out, UT_SPAN_ATTRIBUTES, "http.request_content_length", pick(sample, 2000));
    put_number(out, UT_SPAN_ATTRIBUTES, "http.response_content_length", 200 + pick(sample, 60000));
    (void)snprintf(text_z, sizeof(text_z), "%s.shop.svc.cluster.local", peer->name_z);
    put_text(out, UT_SPAN_ATTRIBUTES, "net.peer.name", text_z);
    put_number(out, UT_SPAN_ATTRIBUTES, "net.peer.port", peer->port);
    (void)snprintf(text_z, sizeof(text_z), "10.4.%u.%u", pick(sample, 32), pick(sample, 255));
    put_text(out, UT_SPAN_ATTRIBUTES, "net.sock.peer.addr", text_z);
    put_text(out, UT_SPAN_ATTRIBUTES, "peer.service", peer->name_z);
    (void)snprintf(text_z, sizeof(text_z), "http-client-%u", pick(sample, 16));
    put_text(out, UT_SPAN_ATTRIBUTES, "thread.name", text_z);
    put_text(out, UT_SPAN_ATTRIBUTES, "rpc.retry.policy",
             "exponential, 3 attempts, 250ms..2s, jitter full");
    if (pick(sample, 6) == 0) {
        static const char *const resent_z[][2] = {{"http.resend_count", "1"},
                                                  {"reason", "connection reset by peer"}};
        put_event(&s, start_ns + (end_ns - start_ns) / 8, "retry", resent_z, 2);
    }
    close_span(&s, t->fails, "HTTP 503", false);
    if (t->left > 0) {
        uint64_t network_ns = (end_ns - start_ns) / 10;
        add_request(t, target, &s, start_ns + network_ns, end_ns - network_ns, depth + 1);
    }
}

static void add_request(trace *t, uint32_t where, const span *parent, uint64_t start_ns,
                        uint64_t end_ns, unsigned depth)
{
    ut_sample *sample = t->sample;
    const service *here = &services[where];
    const route *r = &here->routes[pick(sample, 3)];
    char text_z[160];
    t->left -= 1;
    (void)snprintf(text_z, sizeof(text_z), "%s %s", r->method_z, r->route_z);
    span s = open_span(t, &sample->spans[where][SCOPE_SERVER], parent, text_z, KIND_SERVER,
                       start_ns, end_ns);
    ut_buf *out = s.out;
    put_text(out, UT_SPAN_ATTRIBUTES, "http.method", r->method_z);
    put_text(out, UT_SPAN_ATTRIBUTES, "http.scheme", "http");
    put_text(out, UT_SPAN_ATTRIBUTES, "http.request.header.x_request_id", t->request_id_z);
    put_text(out, UT_SPAN_ATTRIBUTES, "http.route", r->route_z);
    int len = snprintf(text_z, sizeof(text_z), r->target_format_z, pick(sample, 1000000));
    UT_ASSERT(len > 0 && (size_t)len < sizeof(text_z));
    put_text(out, UT_SPAN_ATTRIBUTES, "http.target", text_z);
    put_number(out, UT_SPAN_ATTRIBUTES, "http.status_code", t->fails ? 503 : 200);
    put_text(out, UT_SPAN_ATTRIBUTES, "http.user_agent",
             parent != NULL ? "shop-http/5.2.0 (retry=3; timeout=2s)"
                            : user_agents_z[pick(sample, 4)]);
    put_number(out, UT_SPAN_ATTRIBUTES, "http.response_content_length", 200 + pick(sample, 60000));
    (void)snprintf(text_z, sizeof(text_z), "10.4.%u.%u", pick(sample, 32), pick(sample, 255));
    put_text(out, UT_SPAN_ATTRIBUTES, "net.sock.peer.addr", text_z);
    put_number(out, UT_SPAN_ATTRIBUTES, "net.sock.peer.port", 32768 + pick(sample, 28000));
    put_text(out, UT_SPAN_ATTRIBUTES, "net.host.name", here->host_z);
    put_number(out, UT_SPAN_ATTRIBUTES, "net.host.port", here->port);
    (void)snprintf(text_z, sizeof(text_z), "http-nio-%u-exec-%u", (unsigned)here->port,
                   pick(sample, 200));
    put_text(out, UT_SPAN_ATTRIBUTES, "thread.name", text_z);
    if (parent == NULL) {
        (void)snprintf(text_z, sizeof(text_z), "u-%06u", pick(sample, 1000000));
        put_text(out, UT_SPAN_ATTRIBUTES, "enduser.id", text_z);
        put_bool(out, UT_SPAN_ATTRIBUTES, "session.new", pick(sample, 4) == 0);
    }
    // Children go into other buffers, or into this one behind it: the span ends first.
    close_span(&s, t->fails, "upstream request failed", parent != NULL);

    // Calls and queries one after the other, with small gaps.
    uint32_t steps = 2 + pick(sample, 4);
    uint64_t slice_ns = (end_ns - start_ns) / (steps + 1);
    for (uint32_t i = 0; i < steps && t->left > 0; i++) {
        uint64_t from_ns =
            start_ns + slice_ns * i + slice_ns / 4 + pick(sample, (uint32_t)(slice_ns / 4));
        uint64_t to_ns = from_ns + slice_ns / 2 + pick(sample, (uint32_t)(slice_ns / 4));
        t->left -= 1;
        if (depth < 3 && t->left > 0 && pick(sample, 2) == 0)
            add_call(t, where,
                     (where + 1 + pick(sample, UT_SAMPLE_SERVICES - 1)) % UT_SAMPLE_SERVICES, &s,
                     from_ns, to_ns, depth);
        else
            add_query(t, where, &s, from_ns, to_ns, t->fails && i + 1 == steps);
    }
}

// Adds one trace of at most spans_max spans; returns how many it has.
static uint32_t add_trace(ut_sample *sample, uint32_t spans_max, uint64_t end_ns)
{
    const uint32_t choices = UT_SAMPLE_TRACE_SPANS_MAX - UT_SAMPLE_TRACE_SPANS_MIN + 1;
    uint32_t wanted = UT_SAMPLE_TRACE_SPANS_MIN + pick(sample, choices);
    if (wanted > spans_max)
        wanted = spans_max;
    trace t = {.sample = sample, .left = wanted, .fails = pick(sample, 15) == 0};
    random_id(sample, t.trace_id, sizeof(t.trace_id));
    uint64_t uuid = next_random(sample);
    (void)snprintf(t.request_id_z, sizeof(t.request_id_z), "%08x-%04x-4%03x-8%03x-%012" PRIx64,
                   (unsigned)(uuid >> 32), (unsigned)(uuid >> 16 & 0xffff),
                   (unsigned)(uuid & 0xfff), (unsigned)pick(sample, 0x1000),
                   next_random(sample) >> 16);
    uint64_t duration_ns = 4000000u + (uint64_t)pick(sample, 900) * 1000000u; // 4 ms to 0.9 s
    add_request(&t, 0, NULL, end_ns - duration_ns, end_ns, 0);
    ut_sample_trace entry = {.spans = wanted - t.left};
    memcpy(entry.trace_id, t.trace_id, sizeof(entry.trace_id));
    ut_buf_add(&sample->traces, &entry, sizeof(entry));
    return entry.spans;
}

// ---- request ----

static void put_resource(ut_buf *out, const service *s)
{
    ut_pb_slot resource = ut_pb_open(out, UT_RESOURCE_SPANS_RESOURCE, 500);
    put_text(out, UT_RESOURCE_ATTRIBUTES, "service.name", s->name_z);
    put_text(out, UT_RESOURCE_ATTRIBUTES, "service.namespace", s->namespace_z);
    put_text(out, UT_RESOURCE_ATTRIBUTES, "service.version", s->version_z);
    put_text(out, UT_RESOURCE_ATTRIBUTES, "host.name", s->host_z);
    put_text(out, UT_RESOURCE_ATTRIBUTES, "telemetry.sdk.name", "opentelemetry");
    put_text(out, UT_RESOURCE_ATTRIBUTES, "telemetry.sdk.language", s->language_z);
    put_text(out, UT_RESOURCE_ATTRIBUTES, "telemetry.sdk.version", "1.24.0");
    put_number(out, UT_RESOURCE_ATTRIBUTES, "process.pid", 7);
    put_text(out, UT_RESOURCE_ATTRIBUTES, "process.runtime.description", s->runtime_z);
    put_text(out, UT_RESOURCE_ATTRIBUTES, "deployment.environment", "production");
    ut_pb_close(out, resource);
}

static void put_service(ut_sample *sample, uint32_t where, ut_buf *out)
{
    const service *s = &services[where];
    size_t len = 0;
    for (uint32_t i = 0; i < UT_SAMPLE_SCOPES; i++)
        len += sample->spans[where][i].len;
    if (len == 0)
        return;
    ut_pb_slot resource_spans = ut_pb_open(out, UT_REQUEST_RESOURCE_SPANS, len + 800);
    put_resource(out, s);
    for (uint32_t i = 0; i < UT_SAMPLE_SCOPES; i++) {
        ut_buf *spans = &sample->spans[where][i];
        if (spans->len == 0)
            continue;
        ut_pb_slot scope_spans = ut_pb_open(out, UT_RESOURCE_SPANS_SCOPE_SPANS, spans->len + 60);
        ut_pb_slot scope = ut_pb_open(out, UT_SCOPE_SPANS_SCOPE, 60);
        ut_pb_put_bytes(out, UT_SCOPE_NAME, ut_bytes_of_z(s->scopes_z[i]));
        ut_pb_put_bytes(out, UT_SCOPE_VERSION, UT_BYTES_LIT("0.49.1"));
        ut_pb_close(out, scope);
        ut_buf_add_bytes(out, ut_buf_bytes(spans));
        ut_pb_close(out, scope_spans);
    }
    ut_pb_put_bytes(out, UT_RESOURCE_SPANS_SCHEMA_URL,
                    UT_BYTES_LIT("https://opentelemetry.io/schemas/1.21.0"));
    ut_pb_close(out, resource_spans);
}

ut_err ut_sample_request(ut_sample *sample, uint32_t spans, uint64_t end_ns, ut_buf *out)
{
    UT_ASSERT(spans >= 1 && spans <= UT_SAMPLE_SPANS_MAX);
    for (uint32_t i = 0; i < UT_SAMPLE_SERVICES; i++) {
        for (uint32_t j = 0; j < UT_SAMPLE_SCOPES; j++)
            ut_buf_reset(&sample->spans[i][j], SIZE_MAX);
    }
    ut_buf_reset(&sample->traces, SIZE_MAX);
    uint32_t left = spans;
    while (left > 0)
        left -= add_trace(sample, left, left == spans ? end_ns : end_ns - pick(sample, 1000000000));
    for (uint32_t i = 0; i < UT_SAMPLE_SERVICES; i++) {
        for (uint32_t j = 0; j < UT_SAMPLE_SCOPES; j++) {
            if (sample->spans[i][j].err != UT_OK)
                return sample->spans[i][j].err;
        }
        put_service(sample, i, out);
    }
    return sample->traces.err != UT_OK ? sample->traces.err : out->err;
}

const ut_sample_trace *ut_sample_traces(const ut_sample *sample, uint32_t *count)
{
    *count = (uint32_t)(sample->traces.len / sizeof(ut_sample_trace));
    return (const ut_sample_trace *)(const void *)sample->traces.data;
}
