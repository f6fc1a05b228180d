// The counting sink of `make bench`: takes OTLP/HTTP requests, plain or gzip, with or without TLS,
// counts their spans and answers success. Prints the count after "count" on standard input, as
// JSON, and ends at its end.
#include "adapters/encoding/gzip.h"
#include "transport/http/http_server.h"

#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BODY_BYTES_MAX = 64 * 1024 * 1024, EVENTS = 64, GZIP_NOTE = 1, POLL_MS_MAX = 20 };

typedef struct {
    ut_http_server *server;
    ut_gzip *gzip;
    ut_buf plain;
    uint64_t spans;
    uint64_t requests;
    uint64_t bytes;
} sink;

static _Noreturn void die(const char *what_z, const char *why_z)
{
    (void)fprintf(stderr, "sink: %s: %s\n", what_z, why_z);
    exit(1);
}

// Counts the fields numbered by path in the nested messages of body. SIZE_MAX when it does not
// decode.
static size_t count_fields(ut_bytes body, const uint32_t *path)
{
    size_t count = 0;
    for (size_t at = 0; at < body.len;) {
        uint64_t values[2] = {0, 0}; // the tag, then the varint behind it
        for (size_t i = 0; i < 2; i++) {
            if (i == 1 && ((values[0] & 7) == 1 || (values[0] & 7) == 5))
                break;
            unsigned shift = 0;
            do {
                if (at == body.len || shift > 63)
                    return SIZE_MAX;
                values[i] |= (uint64_t)(body.data[at] & 0x7f) << shift;
                shift += 7;
            } while (body.data[at++] >= 0x80);
        }
        size_t len = 0;
        switch (values[0] & 7) {
        case 0:
            break;
        case 1:
            len = 8;
            break;
        case 5:
            len = 4;
            break;
        case 2:
            len = values[1];
            break;
        default:
            return SIZE_MAX;
        }
        if (len > body.len - at)
            return SIZE_MAX;
        if (values[0] >> 3 == path[0] && (values[0] & 7) == 2) {
            const size_t inner =
                path[1] == 0 ? 1 : count_fields(ut_bytes_of(body.data + at, len), path + 1);
            if (inner == SIZE_MAX)
                return SIZE_MAX;
            count += inner;
        }
        at += len;
    }
    return count;
}

static void on_head(void *context, ut_http_exchange *exchange, const ut_http_head *head)
{
    (void)context;
    ut_bytes encoding;
    if (ut_http_head_find(head, "content-encoding", &encoding) > 0 &&
        ut_bytes_equal(encoding, UT_BYTES_LIT("gzip")))
        exchange->note = GZIP_NOTE;
}

static void on_body(void *context, ut_http_exchange *exchange, ut_bytes body)
{
    static const uint32_t path[] = {1, 2, 2, 0}; // resource_spans, scope_spans, spans
    sink *s = context;
    s->bytes += body.len;
    if (exchange->note == GZIP_NOTE) {
        ut_fault fault;
        ut_buf_reset(&s->plain, SIZE_MAX);
        if (ut_gzip_expand(s->gzip, body, &s->plain, &fault) != UT_OK)
            die("a request", fault.text_z);
        body = ut_buf_bytes(&s->plain);
    }
    const size_t spans = count_fields(body, path);
    if (spans == SIZE_MAX)
        die("a request", "not OTLP protobuf");
    s->spans += spans;
    s->requests++;
    const ut_http_reply reply = {.status = 200, .content_type_z = "application/x-protobuf"};
    ut_http_server_reply(s->server, exchange, &reply);
}

static void on_refuse(void *context, ut_http_exchange *exchange, int status, const char *reason_z)
{
    const sink *s = context;
    (void)fprintf(stderr, "sink: refused a request with %d: %s\n", status, reason_z);
    const ut_http_reply reply = {.status = status};
    ut_http_server_reply(s->server, exchange, &reply);
}

static ut_tls_context *open_tls(const char *cert_z, const char *key_z)
{
    ut_fault fault;
    ut_buf cert;
    ut_buf key;
    ut_tls_context *tls = NULL;
    ut_buf_init(&cert, 1024 * 1024);
    ut_buf_init(&key, 1024 * 1024);
    if (ut_file_read(cert_z, &cert, &fault) != UT_OK || ut_file_read(key_z, &key, &fault) != UT_OK)
        die("certificate", fault.text_z);
    const ut_tls_config config = {
        .server = true, .cert_pem = ut_buf_bytes(&cert), .key_pem = ut_buf_bytes(&key)};
    if (ut_tls_context_new(&config, &tls, &fault) != UT_OK)
        die("TLS", fault.text_z);
    ut_buf_free(&cert);
    ut_buf_free(&key);
    return tls;
}

// Answers the commands that wait on standard input; false at its end.
static bool take_commands(const sink *s)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll(&input, 1, 0) > 0) {
        char line[64];
        const ssize_t len = read(STDIN_FILENO, line, sizeof(line));
        if (len <= 0)
            return false;
        (void)printf("{\"spans\": %llu, \"requests\": %llu, \"bytes\": %llu}\n",
                     (unsigned long long)s->spans, (unsigned long long)s->requests,
                     (unsigned long long)s->bytes);
        (void)fflush(stdout);
    }
    return true;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"cert-file", required_argument, NULL, 'c'},
                                          {"key-file", required_argument, NULL, 'k'},
                                          {NULL, 0, NULL, 0}};
    const char *cert_z = NULL;
    const char *key_z = NULL;
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (option == 'c')
            cert_z = optarg;
        else if (option == 'k')
            key_z = optarg;
        else
            return 2;
    }
    sink s = {0};
    ut_fault fault;
    ut_poller *poller = NULL;
    ut_tls_context *tls = cert_z != NULL && key_z != NULL ? open_tls(cert_z, key_z) : NULL;
    ut_buf_init(&s.plain, BODY_BYTES_MAX);
    s.gzip = ut_gzip_new();
    if (s.gzip == NULL || ut_poller_open(&poller) != UT_OK)
        die("start", "out of memory");
    ut_http_server_config config = {
        .poller = poller,
        .tls = tls,
        .area_z = "sink",
        .handler = {.context = &s, .on_head = on_head, .on_body = on_body, .on_refuse = on_refuse},
        .body_bytes_max = BODY_BYTES_MAX,
        .memory_bytes_max = 4ULL * BODY_BYTES_MAX,
        .connections_max = 64,
        .header_bytes_max = 32 * 1024,
        .head_timeout_ms = 60 * 1000,
        .body_timeout_ms = 60 * 1000,
        .idle_timeout_ms = 600 * 1000,
    };
    if (ut_addr_parse(UT_BYTES_LIT("127.0.0.1:0"), &config.listen) != UT_OK ||
        ut_http_server_open(&config, &s.server, &fault) != UT_OK)
        die("listen", fault.text_z);
    ut_addr bound;
    if (ut_http_server_addr(s.server, &bound) != UT_OK)
        die("listen", "no address");
    (void)printf("{\"port\": %u}\n", (unsigned)bound.port);
    (void)fflush(stdout);

    while (take_commands(&s)) {
        ut_poll_event events[EVENTS];
        size_t count = 0;
        uint64_t next_ms = UINT64_MAX;
        ut_http_server_step(s.server, ut_clock_mono_ms(), &next_ms);
        if (ut_poller_wait(poller, POLL_MS_MAX, events, EVENTS, &count) != UT_OK)
            die("wait", "the poller failed");
        for (size_t i = 0; i < count; i++)
            ut_http_server_event(&events[i], ut_clock_mono_ms());
    }
    ut_http_server_close(s.server);
    ut_poller_close(poller);
    if (tls != NULL)
        ut_tls_context_free(tls);
    ut_gzip_free(s.gzip);
    ut_buf_free(&s.plain);
    return 0;
}
