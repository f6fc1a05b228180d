// The load generator of `make bench`: posts requests of realistic spans, every id fresh, over a few
// kept connections, each with one request under way, and prints one JSON line with rates and answer
// times. Works on bodies made beforehand, so that its own share of the two cores is small: only the
// ids are changed between two uses of a body.
#include "adapters/encoding/gzip.h"
#include "agent/commands/sample.h"
#include "transport/http/http_client.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    TEMPLATES = 32,
    CONNECTIONS_MAX = 64,
    BODY_BYTES_MAX = 64 * 1024 * 1024,
    SAMPLES_MAX = 4 * 1000 * 1000, // answer times kept; later ones are only counted
    EVENTS = 64,
    REFUSED_WAIT_MS = 20, // before a request that got 503 is sent again
};

typedef struct {
    ut_buf body;
    // The offsets of the 8 bytes to change: the first half of a trace id, a span id, a parent id.
    uint32_t *ids;
    size_t id_count;
} template;

typedef struct {
    ut_http_client *client;
    ut_buf plain;
    ut_buf packed;
    bool busy;
    uint64_t began_ns;
    uint64_t resume_ms; // after a 503
} connection;

typedef struct {
    const char *endpoint_z;
    const char *ca_file_z;
    uint64_t connections;
    uint64_t batch;
    uint64_t spans;
    bool gzip;
} options;

static _Noreturn void die(const char *what_z, const char *why_z)
{
    (void)fprintf(stderr, "load: %s: %s\n", what_z, why_z);
    exit(1);
}

static void check(ut_err err, const char *what_z)
{
    if (err != UT_OK)
        die(what_z, ut_err_text(err));
}

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); // cannot fail with this clock
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// ---- finding the ids in a body of our own making ----

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

// Visits the fields of the message in [at, end): descends along path (field numbers, 0 at its end),
// and in the innermost message notes where fields 1, 2 and 4 (trace id, span id, parent) begin.
static void find_ids(template *t, size_t at, size_t end, const uint32_t *path)
{
    const uint8_t *data = t->body.data;
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
            const size_t len = varint(data, &at);
            if (path[0] != 0 && field == path[0])
                find_ids(t, at, at + len, path + 1);
            else if (path[0] == 0 && (field == 1 || field == 2 || field == 4) && len >= 8)
                t->ids[t->id_count++] = (uint32_t)at;
            at += len;
        }
        }
    }
}

static void make_template(ut_sample *sample, uint32_t spans, template *t)
{
    static const uint32_t path[] = {1, 2, 2, 0}; // resource_spans, scope_spans, spans
    ut_buf_init(&t->body, BODY_BYTES_MAX);
    check(ut_sample_request(sample, spans, ut_clock_wall_ns(), &t->body), "making a request");
    t->ids = calloc(3 * (size_t)spans, sizeof(*t->ids));
    if (t->ids == NULL)
        die("making a request", "out of memory");
    find_ids(t, 0, t->body.len, path);
}

// A copy of the template whose ids differ from every other copy's: salt is xored into all of them,
// which keeps parents and children.
static void fill(connection *c, const template *t, uint64_t salt, ut_gzip *gzip)
{
    ut_buf_reset(&c->plain, SIZE_MAX);
    ut_buf_add_bytes(&c->plain, ut_buf_bytes(&t->body));
    check(c->plain.err, "copying a request");
    uint8_t key[8];
    ut_put_be64(key, salt * 0x9e3779b97f4a7c15u); // odd: never repeats in 2^64
    for (size_t i = 0; i < t->id_count; i++) {
        for (size_t j = 0; j < 8; j++)
            c->plain.data[t->ids[i] + j] ^= key[j];
    }
    if (gzip != NULL) {
        ut_buf_reset(&c->packed, SIZE_MAX);
        check(ut_gzip_compress(gzip, ut_buf_bytes(&c->plain), 1, &c->packed),
              "compressing a request");
    }
}

static int compare_u32(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a;
    const uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

typedef struct {
    const options *opt;
    ut_url url;
    ut_poller *poller;
    ut_resolver *resolver;
    ut_tls_context *tls;
    ut_gzip *gzip;
    template templates[TEMPLATES];
    connection connections[CONNECTIONS_MAX];
    uint32_t *times_us;
    size_t time_count;
    uint64_t salt;
    uint64_t started;  // requests
    uint64_t accepted; // requests
    uint64_t refused;  // answers 503
} load;

static void begin(load *l, connection *c)
{
    const ut_http_request request = {
        .method_z = "POST",
        .content_type_z = "application/x-protobuf",
        .content_encoding_z = l->gzip != NULL ? "gzip" : NULL,
        .body = ut_buf_bytes(l->gzip != NULL ? &c->packed : &c->plain),
    };
    c->busy = true;
    c->began_ns = now_ns();
    ut_http_client_start(c->client, &request, ut_clock_mono_ms());
}

// Moves one connection on. Returns when it wants to be called again at the latest.
static uint64_t step(load *l, connection *c, uint64_t requests)
{
    for (;;) {
        const uint64_t now_ms = ut_clock_mono_ms();
        if (!c->busy) {
            if (c->resume_ms > now_ms)
                return c->resume_ms;
            if (c->resume_ms == 0) {
                if (l->started == requests)
                    return UINT64_MAX;
                l->salt++;
                fill(c, &l->templates[l->started % TEMPLATES], l->salt, l->gzip);
                l->started++;
            }
            c->resume_ms = 0;
            begin(l, c);
        }
        uint64_t next_ms = UINT64_MAX;
        ut_http_answer answer = {0};
        ut_fault fault;
        const ut_err err =
            ut_http_client_step(c->client, now_ms, ut_clock_wall_ns(), &next_ms, &answer, &fault);
        if (err == UT_EAGAIN)
            return next_ms;
        if (err != UT_OK)
            die(l->opt->endpoint_z, fault.text_z);
        c->busy = false;
        if (answer.status == 200) {
            if (l->time_count < SAMPLES_MAX)
                l->times_us[l->time_count++] = (uint32_t)((now_ns() - c->began_ns) / 1000);
            l->accepted++;
        } else if (answer.status == 503 || answer.status == 429) {
            l->refused++;
            c->resume_ms = ut_clock_mono_ms() + REFUSED_WAIT_MS;
        } else {
            (void)fprintf(stderr, "load: %s answered %d\n", l->opt->endpoint_z, answer.status);
            exit(1);
        }
    }
}

static void open_load(load *l)
{
    ut_fault fault;
    uint64_t seed = 0;
    check(ut_random(&seed, sizeof(seed)), "random");
    l->salt = seed;
    ut_sample sample;
    ut_sample_init(&sample, seed);
    for (size_t i = 0; i < TEMPLATES; i++)
        make_template(&sample, (uint32_t)l->opt->batch, &l->templates[i]);
    ut_sample_free(&sample);

    if (ut_url_parse(l->opt->endpoint_z, &l->url, &fault) != UT_OK)
        die(l->opt->endpoint_z, fault.text_z);
    if (l->url.tls) {
        ut_buf pem;
        ut_buf_init(&pem, 1024 * 1024);
        if (l->opt->ca_file_z == NULL || ut_file_read(l->opt->ca_file_z, &pem, &fault) != UT_OK)
            die("--ca-file", l->opt->ca_file_z == NULL ? "needed for https" : fault.text_z);
        const ut_tls_config tls = {.ca_pem = ut_buf_bytes(&pem)};
        if (ut_tls_context_new(&tls, &l->tls, &fault) != UT_OK)
            die("TLS", fault.text_z);
        ut_buf_free(&pem);
    }
    check(ut_poller_open(&l->poller), "poller");
    check(ut_resolver_open(l->poller, &l->resolver), "resolver");
    if (l->opt->gzip && (l->gzip = ut_gzip_new()) == NULL)
        die("gzip", "out of memory");
    l->times_us = malloc(SAMPLES_MAX * sizeof(*l->times_us));
    if (l->times_us == NULL)
        die("answer times", "out of memory");
    for (size_t i = 0; i < l->opt->connections; i++) {
        connection *c = &l->connections[i];
        ut_buf_init(&c->plain, BODY_BYTES_MAX);
        ut_buf_init(&c->packed, BODY_BYTES_MAX);
        const ut_http_client_config config = {.poller = l->poller,
                                              .resolver = l->resolver,
                                              .tls = l->tls,
                                              .url = &l->url,
                                              .tag = c,
                                              .timeout_ms = 60 * 1000};
        check(ut_http_client_new(&config, &c->client), "connection");
    }
}

static void run(load *l)
{
    const uint64_t requests = (l->opt->spans + l->opt->batch - 1) / l->opt->batch;
    const uint64_t began = now_ns();
    while (l->accepted < requests) {
        uint64_t next_ms = UINT64_MAX;
        for (size_t i = 0; i < l->opt->connections; i++) {
            const uint64_t when = step(l, &l->connections[i], requests);
            if (when < next_ms)
                next_ms = when;
        }
        if (l->accepted == requests)
            break;
        ut_poll_event events[EVENTS];
        size_t count = 0;
        const uint64_t now_ms = ut_clock_mono_ms();
        const uint64_t wait = next_ms == UINT64_MAX ? UT_POLL_FOREVER
                              : next_ms > now_ms    ? next_ms - now_ms
                                                    : 0;
        check(ut_poller_wait(l->poller, wait, events, EVENTS, &count), "waiting");
    }
    const double seconds = (double)(now_ns() - began) / 1e9;
    qsort(l->times_us, l->time_count, sizeof(*l->times_us), compare_u32);
    const size_t last = l->time_count - 1;
    size_t bytes = 0;
    for (size_t i = 0; i < TEMPLATES; i++)
        bytes += l->templates[i].body.len;
    (void)printf(
        "{\"spans\": %llu, \"requests\": %llu, \"refused\": %llu, \"seconds\": %.3f, "
        "\"spans_per_s\": %.0f, "
        "\"bytes_per_span\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
        (unsigned long long)(requests * l->opt->batch), (unsigned long long)requests,
        (unsigned long long)l->refused, seconds, (double)(requests * l->opt->batch) / seconds,
        (double)bytes / TEMPLATES / (double)l->opt->batch, l->times_us[last / 2] / 1e3,
        l->times_us[last - last / 100] / 1e3, l->times_us[last] / 1e3);
}

static uint64_t number(const char *text_z, uint64_t max)
{
    char *end = NULL;
    const unsigned long long value = strtoull(text_z, &end, 10);
    if (end == text_z || *end != 0 || value == 0 || value > max)
        die(text_z, "not a number that fits here");
    return value;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"endpoint", required_argument, NULL, 'e'},
                                          {"connections", required_argument, NULL, 'c'},
                                          {"batch", required_argument, NULL, 'b'},
                                          {"spans", required_argument, NULL, 'n'},
                                          {"ca-file", required_argument, NULL, 'a'},
                                          {"gzip", no_argument, NULL, 'z'},
                                          {NULL, 0, NULL, 0}};
    options opt = {.connections = 4, .batch = 100, .spans = 100000};
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (option) {
        case 'e':
            opt.endpoint_z = optarg;
            break;
        case 'c':
            opt.connections = number(optarg, CONNECTIONS_MAX);
            break;
        case 'b':
            opt.batch = number(optarg, 10000);
            break;
        case 'n':
            opt.spans = number(optarg, 1000000000);
            break;
        case 'a':
            opt.ca_file_z = optarg;
            break;
        case 'z':
            opt.gzip = true;
            break;
        default:
            return 2;
        }
    }
    if (opt.endpoint_z == NULL)
        die("--endpoint", "needed, such as http://127.0.0.1:4318/v1/traces");
    load *l = calloc(1, sizeof(*l));
    if (l == NULL)
        die("load", "out of memory");
    l->opt = &opt;
    open_load(l);
    run(l);
    for (size_t i = 0; i < opt.connections; i++) {
        ut_http_client_free(l->connections[i].client);
        ut_buf_free(&l->connections[i].plain);
        ut_buf_free(&l->connections[i].packed);
    }
    for (size_t i = 0; i < TEMPLATES; i++) {
        ut_buf_free(&l->templates[i].body);
        free(l->templates[i].ids);
    }
    ut_resolver_close(l->resolver);
    ut_poller_close(l->poller);
    if (l->tls != NULL)
        ut_tls_context_free(l->tls);
    if (l->gzip != NULL)
        ut_gzip_free(l->gzip);
    free(l->times_us);
    free(l);
    return 0;
}
