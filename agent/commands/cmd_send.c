// `untrace send`: posts realistic sample traces to an OTLP/HTTP endpoint, any number at any rate,
// and says what became of them.
#include "agent/commands/command.h"
#include "agent/cli/options.h"
#include "agent/commands/sample.h"
#include "agent/commands/sample_assistant.h"
#include "agent/commands/send_target.h"

#include "adapters/encoding/gzip.h"
#include "adapters/otlp/otlp.h"
#include "agent/config/config_destinations.h"
#include "port/base/order.h"
#include "port/base/text.h"
#include "transport/deliver/backoff.h"
#include "transport/deliver/outcome.h"
#include "transport/http/http_client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

// clang-format off
static const char help[] =
    "usage: untrace send [--endpoint URL | --config FILE] [--spans N] [--batch N]\n"
    "                    [--rate N] [--gzip] [--header 'NAME: VALUE']\n"
    "                    [--ca-file FILE] [--list] [--quiet]\n"
    "\n"
    "Posts sample traces of a small shop to an OTLP/HTTP endpoint, and waits for\n"
    "every answer. Of 20 spans and more the last trace is that of an assistant with\n"
    "language models, with the id 4bf92f3577b34da6a3ce929d0e0e4736 every time.\n"
    "A request that gets 429, 502, 503, 504 or no answer is sent again, for up to a\n"
    "minute, or for 5 seconds where nothing listens.\n"
    "\n"
    "  -e, --endpoint URL      where to; /v1/traces is appended unless it is there,\n"
    "                          and HOST:PORT alone is http://HOST:PORT\n"
    "  -c, --config FILE       where the agent of this configuration listens. Without\n"
    "                          either: $OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, else\n"
    "                          $OTEL_EXPORTER_OTLP_ENDPOINT, both with\n"
    "                          $OTEL_EXPORTER_OTLP_HEADERS (or ..._TRACES_HEADERS),\n"
    "                          else the configuration that `untrace run` would take\n"
    "  -n, --spans N           spans in all (default 100)\n"
    "  -b, --batch N           spans in a request (default 100)\n"
    "  -r, --rate N            at most N spans a second (default: as fast as the\n"
    "                          answers come)\n"
    "  -z, --gzip              compress the requests\n"
    "  -H, --header TEXT       an extra header, such as 'authorization: Bearer ...';\n"
    "                          may be repeated\n"
    "      --ca-file FILE      trust the certificates of FILE for https (default: the\n"
    "                          system's)\n"
    "      --seed N            the same traces every time\n"
    "      --list              print a line for every accepted trace: its id and its\n"
    "                          number of spans\n"
    "  -q, --quiet             no summary, and no word while it is tried again\n"
    "\n"
    "Exit codes: 0 every span was accepted; 64 usage; 65 some were rejected; 69 not\n"
    "reachable; 75 busy for a minute; 76 refused (400, 413 and the like).\n";
// clang-format on

enum {
    SPANS_MAX = 1000 * 1000 * 1000,
    BATCH_MAX = 10000,
    BODY_BYTES_MAX = 64 * 1024 * 1024,
    ASSISTANT_FROM = 20, // spans in all; its trace is among them
    TRY_FOR_MS = 60 * 1000,
    REFUSED_FOR_MS = 5 * 1000, // where nothing listens
    RETRY_INITIAL_MS = 100,
    RETRY_MAX_MS = 5000,
    ANSWER_TIMEOUT_MS = 30 * 1000,
    MESSAGE_MAX = 200,
};

typedef struct {
    const char *endpoint_z;
    const char *ca_file_z;
    uint64_t spans;
    uint64_t batch;
    uint64_t rate;
    uint64_t seed;
    bool gzip;
    bool list;
    bool quiet;
    ut_header headers[2 * UT_DESTINATION_HEADERS_MAX]; // those of the environment too
    size_t header_count;
} send_options;

typedef struct {
    const send_options *options;
    const ut_send_target *target;
    ut_poller *poller;
    ut_resolver *resolver;
    ut_tls_context *tls;
    ut_http_client *client;
    ut_gzip *gzip;
    ut_sample sample;
    uint64_t seed;
    ut_buf plain;
    ut_buf packed;
    uint64_t accepted;
    uint64_t rejected;
    uint64_t requests;
    uint64_t retries;
} sender;

static bool add_header(send_options *options, char *text_z)
{
    char *colon = strchr(text_z, ':');
    if (colon == NULL || colon == text_z || options->header_count == UT_DESTINATION_HEADERS_MAX)
        return false;
    *colon = 0;
    char *value_z = colon + 1;
    while (*value_z == ' ')
        value_z++;
    if (strpbrk(text_z, " \t\r\n") != NULL || strpbrk(value_z, "\r\n") != NULL)
        return false;
    options->headers[options->header_count++] = (ut_header){text_z, value_z};
    return true;
}

// Waits for the time or for the poller, whichever comes first.
static ut_err wait_until(sender *send, uint64_t when_ms)
{
    ut_poll_event events[4];
    size_t count = 0;
    const uint64_t now = ut_clock_mono_ms();
    return when_ms <= now ? UT_OK : ut_poller_wait(send->poller, when_ms - now, events, 4, &count);
}

// One attempt. UT_OK: answered, with what the answer was.
static ut_err post(sender *send, ut_http_answer *answer, ut_fault *fault)
{
    const send_options *options = send->options;
    const ut_http_request request = {
        .method_z = "POST",
        .content_type_z = "application/x-protobuf",
        .content_encoding_z = options->gzip ? "gzip" : NULL,
        .headers = options->headers,
        .header_count = options->header_count,
        .body = ut_buf_bytes(options->gzip ? &send->packed : &send->plain),
    };
    ut_http_client_start(send->client, &request, ut_clock_mono_ms());
    for (;;) {
        uint64_t next_ms = UINT64_MAX;
        ut_err err = ut_http_client_step(send->client, ut_clock_mono_ms(), ut_clock_wall_ns(),
                                         &next_ms, answer, fault);
        if (err != UT_EAGAIN)
            return err;
        err = wait_until(send, next_ms);
        if (err != UT_OK)
            return ut_fault_set(fault, err, "cannot wait for the answer: %s", ut_err_text(err));
    }
}

// Posts the prepared request until it is answered for good.
static ut_err deliver(sender *send, uint32_t spans, ut_fault *fault)
{
    const uint64_t until_ms = ut_clock_mono_ms() + TRY_FOR_MS;
    const ut_backoff backoff = {RETRY_INITIAL_MS, RETRY_MAX_MS, 2};
    for (uint32_t attempt = 1;; attempt++) {
        ut_http_answer answer = {0};
        ut_err err = post(send, &answer, fault);
        char message[MESSAGE_MAX];
        if (err == UT_OK && answer.status >= 200 && answer.status < 300) {
            int64_t rejected = 0;
            ut_otlp_response_read(UT_OTLP_PROTOBUF, answer.body, &rejected, message,
                                  sizeof(message));
            if (rejected < 0 || rejected > (int64_t)spans)
                rejected = spans;
            if (rejected > 0)
                (void)fprintf(stderr, "untrace send: %lld spans were rejected: %s\n",
                              (long long)rejected, message);
            send->accepted += spans - (uint64_t)rejected;
            send->rejected += (uint64_t)rejected;
            return UT_OK;
        }
        uint64_t random = 0;
        (void)ut_random(&random, sizeof(random)); // on failure the wait is only less spread
        uint64_t wait_ms = ut_backoff_delay_ms(&backoff, attempt, random);
        if (err == UT_OK) {
            ut_otlp_status_read(answer.body, message, sizeof(message));
            const bool passing = ut_outcome_of_status(answer.status) == UT_OUTCOME_RETRY;
            ut_buf url;
            ut_buf_init(&url, UT_HOST_MAX + UT_URL_MAX);
            ut_url_show(&send->target->url, &url);
            err = ut_fault_set(fault, passing ? UT_EAGAIN : UT_EPROTO, "%.*s answered %d: %s",
                               (int)url.len, (const char *)url.data, answer.status,
                               message[0] == 0 ? "(no reason given)" : message);
            ut_buf_free(&url);
            if (answer.retry_after_ms > wait_ms)
                wait_ms = answer.retry_after_ms;
        }
        // No answer is worth another try only while the endpoint might be coming up; a wrong
        // certificate is not.
        const bool again = err == UT_EAGAIN || err == UT_ECONNECT || err == UT_ETIMEOUT ||
                           err == UT_ECLOSED || err == UT_EIO;
        // An agent that is being started listens within a second.
        const bool absent = err == UT_ECONNECT && send->requests == 0;
        const uint64_t end_ms = absent ? until_ms - TRY_FOR_MS + REFUSED_FOR_MS : until_ms;
        if (!again || ut_clock_mono_ms() + wait_ms > end_ms)
            return err;
        if (send->retries++ == 0 && !send->options->quiet)
            (void)fprintf(stderr, "untrace send: %s; trying again for up to %s%s\n", fault->text_z,
                          absent ? "5 seconds" : "a minute",
                          absent ? " (`untrace run` starts an agent; --endpoint or --config says "
                                   "where another one listens)"
                                 : "");
        const uint64_t when_ms = ut_clock_mono_ms() + wait_ms;
        while (ut_clock_mono_ms() < when_ms) {
            const ut_err waited = wait_until(send, when_ms);
            if (waited != UT_OK)
                return ut_fault_set(fault, waited, "cannot wait: %s", ut_err_text(waited));
        }
    }
}

// Whether what is left to send is the trace of the assistant: as the last one it is the newest.
static bool is_assistant(const sender *send, uint64_t left)
{
    return left == UT_SAMPLE_ASSISTANT_SPANS && send->options->spans >= ASSISTANT_FROM;
}

static ut_err prepare(sender *send, uint32_t spans, bool assistant, ut_fault *fault)
{
    ut_buf_reset(&send->plain, BODY_BYTES_MAX);
    ut_buf_reset(&send->packed, BODY_BYTES_MAX);
    ut_err err = assistant
                     ? ut_sample_assistant(send->seed, ut_clock_wall_ns(), &send->plain)
                     : ut_sample_request(&send->sample, spans, ut_clock_wall_ns(), &send->plain);
    if (err == UT_OK && send->options->gzip)
        err = ut_gzip_compress(send->gzip, ut_buf_bytes(&send->plain), 1, &send->packed);
    return err == UT_OK ? UT_OK
                        : ut_fault_set(fault, err, "cannot make a request of %u spans: %s", spans,
                                       ut_err_text(err));
}

// Prints the traces of the request that was accepted just now.
static void list_traces(const sender *send, bool assistant)
{
    char id[33];
    uint32_t trace_count = 0;
    const ut_sample_trace *traces = ut_sample_traces(&send->sample, &trace_count);
    if (assistant) {
        ut_hex_encode(ut_bytes_of(ut_sample_assistant_id, 16), id);
        (void)printf("%s %d\n", id, UT_SAMPLE_ASSISTANT_SPANS);
        return;
    }
    for (uint32_t i = 0; i < trace_count; i++) {
        ut_hex_encode(ut_bytes_of(traces[i].trace_id, 16), id);
        (void)printf("%s %u\n", id, traces[i].spans);
    }
}

static ut_err send_all(sender *send, ut_fault *fault)
{
    const send_options *options = send->options;
    const uint64_t began_ms = ut_clock_mono_ms();
    for (uint64_t sent = 0; sent < options->spans;) {
        const uint64_t left = options->spans - sent;
        const bool assistant = is_assistant(send, left);
        const uint64_t kept =
            options->spans >= ASSISTANT_FROM && !assistant ? UT_SAMPLE_ASSISTANT_SPANS : 0;
        const uint32_t spans = assistant ? UT_SAMPLE_ASSISTANT_SPANS
                                         : (uint32_t)ut_min_u64(left - kept, options->batch);
        const uint64_t due_ms = options->rate == 0 ? 0 : began_ms + sent * 1000 / options->rate;
        while (ut_clock_mono_ms() < due_ms) {
            const ut_err waited = wait_until(send, due_ms);
            if (waited != UT_OK)
                return ut_fault_set(fault, waited, "cannot wait: %s", ut_err_text(waited));
        }
        ut_err err = prepare(send, spans, assistant, fault);
        if (err == UT_OK)
            err = deliver(send, spans, fault);
        if (err != UT_OK)
            return err;
        if (options->list)
            list_traces(send, assistant);
        send->requests++;
        sent += spans;
    }
    return UT_OK;
}

static ut_err open_sender(sender *send, ut_fault *fault)
{
    const send_options *options = send->options;
    ut_buf pem;
    ut_buf_init(&pem, 4 * 1024 * 1024);
    ut_err err = UT_OK;
    if (send->target->url.tls) {
        err = options->ca_file_z == NULL ? ut_config_system_ca(&pem, fault)
                                         : ut_file_read(options->ca_file_z, &pem, fault);
        if (err != UT_OK)
            goto done;
        const ut_tls_config tls = {.ca_pem = ut_buf_bytes(&pem)};
        err = ut_tls_context_new(&tls, &send->tls, fault);
        if (err != UT_OK)
            goto done;
    }
    send->gzip = ut_gzip_new();
    err = send->gzip == NULL ? UT_ENOMEM : ut_poller_open(&send->poller);
    if (err == UT_OK)
        err = ut_resolver_open(send->poller, &send->resolver);
    if (err == UT_OK) {
        const ut_http_client_config client = {.poller = send->poller,
                                              .resolver = send->resolver,
                                              .tls = send->tls,
                                              .url = &send->target->url,
                                              .tag = send,
                                              .timeout_ms = ANSWER_TIMEOUT_MS};
        err = ut_http_client_new(&client, &send->client);
    }
    if (err != UT_OK)
        (void)ut_fault_set(fault, err, "cannot begin: %s", ut_err_text(err));
done:
    ut_buf_free(&pem);
    return err;
}

static void close_sender(sender *send)
{
    if (send->client != NULL)
        ut_http_client_free(send->client);
    if (send->resolver != NULL)
        ut_resolver_close(send->resolver);
    ut_poller_close(send->poller);
    if (send->tls != NULL)
        ut_tls_context_free(send->tls);
    if (send->gzip != NULL)
        ut_gzip_free(send->gzip);
    ut_sample_free(&send->sample);
    ut_buf_free(&send->plain);
    ut_buf_free(&send->packed);
}

static int run_send(const send_options *options, const ut_send_target *target)
{
    sender send = {.options = options, .target = target};
    ut_fault fault;
    uint64_t seed = options->seed;
    ut_buf_init(&send.plain, BODY_BYTES_MAX);
    ut_buf_init(&send.packed, BODY_BYTES_MAX);
    if (seed == 0)
        (void)ut_random(&seed,
                        sizeof(seed)); // on failure the same traces come every time: harmless here
    send.seed = seed;
    ut_sample_init(&send.sample, seed);

    ut_err err = open_sender(&send, &fault);
    const uint64_t began_ms = ut_clock_mono_ms();
    if (err == UT_OK)
        err = send_all(&send, &fault);
    const uint64_t took_ms = ut_clock_mono_ms() - began_ms;
    if (err == UT_OK && !options->quiet) {
        char took[UT_TEXT_SHORT_MAX];
        ut_text_duration(took_ms * 1000000, took);
        (void)fprintf(stderr, "%llu spans accepted in %llu requests, %s",
                      (unsigned long long)send.accepted, (unsigned long long)send.requests, took);
        if (send.retries > 0)
            (void)fprintf(stderr, ", %llu tries repeated", (unsigned long long)send.retries);
        (void)fprintf(stderr, "\n");
    }
    int code = EX_OK;
    if (err != UT_OK) {
        code = ut_cli_fail(&fault);
        if (send.accepted > 0)
            (void)fprintf(stderr, "untrace send: %llu of %llu spans were accepted before\n",
                          (unsigned long long)send.accepted, (unsigned long long)options->spans);
    } else if (send.rejected > 0) {
        code = EX_DATAERR;
    }
    close_sender(&send);
    return code;
}

enum { OPTION_CA = UT_OPTION_OWN, OPTION_SEED, OPTION_LIST };

// Adds the headers of the environment, but for those that the command line has.
static void add_target_headers(send_options *options, const ut_send_target *target)
{
    const size_t own = options->header_count;
    for (size_t i = 0; i < target->header_count; i++) {
        size_t k = 0;
        while (k < own && strcasecmp(options->headers[k].name_z, target->headers[i].name_z) != 0)
            k++;
        if (k == own)
            options->headers[options->header_count++] = target->headers[i];
    }
}

static const struct option option_rows[] = {{"endpoint", required_argument, NULL, 'e'},
                                            UT_OPTION_ROW_CONFIG,
                                            {"spans", required_argument, NULL, 'n'},
                                            {"batch", required_argument, NULL, 'b'},
                                            {"rate", required_argument, NULL, 'r'},
                                            {"gzip", no_argument, NULL, 'z'},
                                            {"header", required_argument, NULL, 'H'},
                                            {"ca-file", required_argument, NULL, OPTION_CA},
                                            {"seed", required_argument, NULL, OPTION_SEED},
                                            {"list", no_argument, NULL, OPTION_LIST},
                                            {"quiet", no_argument, NULL, 'q'},
                                            UT_OPTION_ROWS_END};

static int run(int argc, char **argv)
{
    ut_options line = {.command_z = "send", .help_z = help, .rows = option_rows};
    send_options options = {.spans = 100, .batch = 100};
    for (int option; (option = ut_options_next(&line, argc, argv)) != -1;) {
        switch (option) {
        case 'e':
            options.endpoint_z = optarg;
            break;
        case 'n':
            if (!ut_cli_number(optarg, SPANS_MAX, &options.spans) || options.spans == 0)
                return ut_cli_usage("send", "--spans takes a number of 1 to %d, not \"%s\"",
                                    SPANS_MAX, optarg);
            break;
        case 'b':
            if (!ut_cli_number(optarg, BATCH_MAX, &options.batch) || options.batch == 0)
                return ut_cli_usage("send", "--batch takes a number of 1 to %d, not \"%s\"",
                                    BATCH_MAX, optarg);
            break;
        case 'r':
            if (!ut_cli_number(optarg, SPANS_MAX, &options.rate) || options.rate == 0)
                return ut_cli_usage("send", "--rate takes a number of 1 to %d, not \"%s\"",
                                    SPANS_MAX, optarg);
            break;
        case 'z':
            options.gzip = true;
            break;
        case 'H':
            if (!add_header(&options, optarg))
                return ut_cli_usage("send", "--header takes 'NAME: VALUE'");
            break;
        case OPTION_CA:
            options.ca_file_z = optarg;
            break;
        case OPTION_SEED:
            if (!ut_cli_number(optarg, UINT64_MAX, &options.seed) || options.seed == 0)
                return ut_cli_usage("send", "--seed takes a number above 0, not \"%s\"", optarg);
            break;
        case OPTION_LIST:
            options.list = true;
            break;
        default:
            options.quiet = true;
        }
    }
    if (line.ended)
        return line.code;
    if (options.endpoint_z != NULL && line.config_z != NULL)
        return ut_cli_usage("send", "--endpoint and --config contradict each other");
    ut_send_target *target = calloc(1, sizeof(*target));
    if (target == NULL)
        return EX_OSERR;
    ut_fault fault = {UT_OK, ""};
    int code = ut_send_target_find(options.endpoint_z, line.config_z, target, &fault);
    if (code == EX_OK) {
        add_target_headers(&options, target);
        code = run_send(&options, target);
    } else {
        (void)ut_cli_fail(&fault);
    }
    free(target->header_text_z);
    free(target);
    return code;
}

const ut_command ut_command_send = {
    .name_z = "send",
    .run = run,
    .summary_z = "send realistic sample traces to an OTLP/HTTP endpoint",
    .help_z = help,
    .options = option_rows,
};
