// The load generator of `make bench`: posts requests of realistic spans, every id fresh, over a few
// kept connections, each with one request under way, as fast as answers come or at a rate, and
// prints one JSON line with rates and answer times.
#include "adapters/encoding/gzip.h"
#include "tests/support/load_body.h"
#include "transport/http/http_client.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    BODIES = 32, // made beforehand; only their ids change between two uses
    CONNECTIONS_MAX = 64,
    BODY_BYTES_MAX = 64 * 1024 * 1024,
    SAMPLES_MAX = 4 * 1000 * 1000, // answer times kept; later ones are only counted
    EVENTS = 64,
    REFUSED_WAIT_MS = 20, // before a request that got 503 is sent again
    TENTHS = 10,
    NOTES_MAX = 1000,
};

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
    uint64_t spans;
    uint64_t rate;  // requests a second; 0: as fast as answers come
    uint64_t watch; // process whose CPU time is told by tenths of the requests; 0: none
    uint64_t notes; // trace ids told, of requests spread evenly over all
    bool gzip;
    ut_load_shape shape;
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
    ut_load_body bodies[BODIES];
    size_t body_count;
    connection connections[CONNECTIONS_MAX];
    uint32_t *times_us;
    size_t time_count;
    uint64_t salt;
    uint64_t requests; // wanted in all
    uint64_t began_ns;
    uint64_t started;  // requests
    uint64_t accepted; // requests
    uint64_t refused;  // answers 503
    clockid_t watched;
    uint64_t tenths_ns[TENTHS + 1]; // CPU time of the watched process after each tenth
    uint8_t notes[NOTES_MAX][UT_TRACE_ID_LEN];
    size_t note_count;
} load;

static void fill(load *l, connection *c)
{
    const ut_load_body *body = &l->bodies[l->started % l->body_count];
    l->salt++;
    ut_load_body_copy(body, l->salt, &c->plain);
    if (l->gzip != NULL) {
        ut_buf_reset(&c->packed, SIZE_MAX);
        check(ut_gzip_compress(l->gzip, ut_buf_bytes(&c->plain), 1, &c->packed),
              "compressing a request");
    }
    if (l->opt->notes > 0 && l->started * l->opt->notes / l->requests >= l->note_count)
        ut_load_body_trace(body, l->salt, l->notes[l->note_count++]);
    l->started++;
}

static void begin(load *l, connection *c)
{
    const ut_http_request request = {
        .method_z = "POST",
        .content_type_z = l->opt->shape.json ? "application/json" : "application/x-protobuf",
        .content_encoding_z = l->gzip != NULL ? "gzip" : NULL,
        .body = ut_buf_bytes(l->gzip != NULL ? &c->packed : &c->plain),
    };
    c->busy = true;
    c->began_ns = now_ns();
    ut_http_client_start(c->client, &request, ut_clock_mono_ms());
}

// When the next request may start, in monotonic milliseconds; 0: now.
static uint64_t due_ms(const load *l)
{
    return l->opt->rate == 0 ? 0
                             : (l->began_ns + l->started * 1000000000u / l->opt->rate) / 1000000u;
}

static uint64_t cpu_ns(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        die("--watch", "the process ended");
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void take_answer(load *l, connection *c, int status)
{
    if (status == 200) {
        if (l->time_count < SAMPLES_MAX)
            l->times_us[l->time_count++] = (uint32_t)((now_ns() - c->began_ns) / 1000);
        l->accepted++;
        for (uint64_t i = 1; i <= TENTHS && l->opt->watch != 0; i++) {
            if (l->accepted == l->requests * i / TENTHS)
                l->tenths_ns[i] = cpu_ns(l->watched);
        }
    } else if (status == 503 || status == 429) {
        l->refused++;
        c->resume_ms = ut_clock_mono_ms() + REFUSED_WAIT_MS;
    } else {
        (void)fprintf(stderr, "load: %s answered %d\n", l->opt->endpoint_z, status);
        exit(1);
    }
}

// Moves one connection on. Returns when it wants to be called again at the latest.
static uint64_t step(load *l, connection *c)
{
    for (;;) {
        const uint64_t now_ms = ut_clock_mono_ms();
        if (!c->busy) {
            if (c->resume_ms > now_ms)
                return c->resume_ms;
            if (c->resume_ms == 0) {
                if (l->started == l->requests)
                    return UINT64_MAX;
                if (due_ms(l) > now_ms)
                    return due_ms(l);
                fill(l, c);
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
        take_answer(l, c, answer.status);
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
    // Traces that go on are those of one body.
    l->body_count = l->opt->shape.keep_traces ? 1 : BODIES;
    for (size_t i = 0; i < l->body_count; i++)
        ut_load_body_make(&l->bodies[i], &sample, &l->opt->shape);
    ut_sample_free(&sample);
    l->requests = (l->opt->spans + l->opt->shape.spans - 1) / l->opt->shape.spans;
    if (l->opt->watch != 0 && l->requests < TENTHS)
        die("--watch", "needs at least ten requests");
    if (l->opt->watch != 0 && clock_getcpuclockid((pid_t)l->opt->watch, &l->watched) != 0)
        die("--watch", "no such process");

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

static void print_results(load *l, double seconds)
{
    qsort(l->times_us, l->time_count, sizeof(*l->times_us), compare_u32);
    const size_t last = l->time_count - 1;
    const double spans = (double)l->requests * l->opt->shape.spans;
    size_t bytes = 0;
    for (size_t i = 0; i < l->body_count; i++)
        bytes += l->bodies[i].body.len;
    (void)printf("{\"spans\": %.0f, \"requests\": %llu, \"refused\": %llu, \"seconds\": %.3f, "
                 "\"spans_per_s\": %.0f, "
                 "\"bytes_per_span\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f",
                 spans, (unsigned long long)l->requests, (unsigned long long)l->refused, seconds,
                 spans / seconds, (double)bytes / (double)l->body_count / l->opt->shape.spans,
                 l->times_us[last / 2] / 1e3, l->times_us[last - last / 100] / 1e3,
                 l->times_us[last] / 1e3);
    for (size_t i = 1; i <= TENTHS && l->opt->watch != 0; i++)
        (void)printf("%s%.4f%s", i == 1 ? ", \"cpu_ms_per_request\": [" : ", ",
                     (double)(l->tenths_ns[i] - l->tenths_ns[i - 1]) / 1e6 /
                         (double)(l->requests * i / TENTHS - l->requests * (i - 1) / TENTHS),
                     i == TENTHS ? "]" : "");
    for (size_t i = 0; i < l->note_count; i++) {
        (void)printf("%s\"", i == 0 ? ", \"traces\": [" : ", ");
        for (size_t j = 0; j < UT_TRACE_ID_LEN; j++)
            (void)printf("%02x", l->notes[i][j]);
        (void)printf("\"%s", i == l->note_count - 1 ? "]" : "");
    }
    (void)printf("}\n");
}

static void run(load *l)
{
    l->began_ns = now_ns();
    if (l->opt->watch != 0)
        l->tenths_ns[0] = cpu_ns(l->watched);
    while (l->accepted < l->requests) {
        uint64_t next_ms = UINT64_MAX;
        for (size_t i = 0; i < l->opt->connections; i++) {
            const uint64_t when = step(l, &l->connections[i]);
            if (when < next_ms)
                next_ms = when;
        }
        if (l->accepted == l->requests)
            break;
        ut_poll_event events[EVENTS];
        size_t count = 0;
        const uint64_t now_ms = ut_clock_mono_ms();
        const uint64_t wait = next_ms == UINT64_MAX ? UT_POLL_FOREVER
                              : next_ms > now_ms    ? next_ms - now_ms
                                                    : 0;
        check(ut_poller_wait(l->poller, wait, events, EVENTS, &count), "waiting");
    }
    print_results(l, (double)(now_ns() - l->began_ns) / 1e9);
}

static uint64_t number(const char *text_z, uint64_t max)
{
    char *end = NULL;
    const unsigned long long value = strtoull(text_z, &end, 10);
    if (end == text_z || *end != 0 || value == 0 || value > max)
        die(text_z, "not a number that fits here");
    return value;
}

static options read_options(int argc, char **argv)
{
    static const struct option names[] = {{"endpoint", required_argument, NULL, 'e'},
                                          {"connections", required_argument, NULL, 'c'},
                                          {"batch", required_argument, NULL, 'b'},
                                          {"spans", required_argument, NULL, 'n'},
                                          {"traces", required_argument, NULL, 't'},
                                          {"keep-traces", no_argument, NULL, 'k'},
                                          {"rate", required_argument, NULL, 'r'},
                                          {"watch", required_argument, NULL, 'w'},
                                          {"note-traces", required_argument, NULL, 'i'},
                                          {"ca-file", required_argument, NULL, 'a'},
                                          {"gzip", no_argument, NULL, 'z'},
                                          {"json", no_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    options opt = {.connections = 4, .spans = 100000, .shape = {.spans = 100}};
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (option) {
        case 'e':
            opt.endpoint_z = optarg;
            break;
        case 'c':
            opt.connections = number(optarg, CONNECTIONS_MAX);
            break;
        case 'b':
            opt.shape.spans = (uint32_t)number(optarg, UT_SAMPLE_SPANS_MAX);
            break;
        case 'n':
            opt.spans = number(optarg, 1000000000);
            break;
        case 't':
            opt.shape.traces = (uint32_t)number(optarg, UT_SAMPLE_SPANS_MAX);
            break;
        case 'k':
            opt.shape.keep_traces = true;
            break;
        case 'r':
            opt.rate = number(optarg, 1000000);
            break;
        case 'w':
            opt.watch = number(optarg, INT32_MAX);
            break;
        case 'i':
            opt.notes = number(optarg, NOTES_MAX);
            break;
        case 'a':
            opt.ca_file_z = optarg;
            break;
        case 'z':
            opt.gzip = true;
            break;
        case 'j':
            opt.shape.json = true;
            break;
        default:
            exit(2);
        }
    }
    return opt;
}

int main(int argc, char **argv)
{
    const options opt = read_options(argc, argv);
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
    for (size_t i = 0; i < l->body_count; i++)
        ut_load_body_free(&l->bodies[i]);
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
