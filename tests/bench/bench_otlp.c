// CPU nanoseconds per span of decoding and encoding OTLP, and of gzip, on requests of realistic
// spans; and of yyjson alone, which makes a document of the JSON and no spans. Not a test: it only
// checks that the work was done. usage: bench_otlp [SPANS_PER_REQUEST [ROUNDS [NAME]]]; NAME:
// measure only what has it in its name.
#include "adapters/encoding/gzip.h"
#include "adapters/otlp/otlp.h"
#include "agent/commands/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <yyjson.h>

enum {
    REQUESTS = 16,   // different ones, so that no branch learns them by heart
    REPEATS = 7,     // the median of these is shown
    SPANS_MAX = 256, // that fit one block
    BYTES_MAX = 512 * 1024 * 1024,
};

typedef struct {
    ut_buf protobuf[REQUESTS];
    ut_buf json[REQUESTS];
    ut_buf gzip[REQUESTS];
    ut_buf payloads[REQUESTS];
    ut_block blocks[REQUESTS];
    ut_batch batch;
    ut_buf out;
    ut_gzip *compressor;
    void *document; // room for one of yyjson
    size_t document_bytes;
    uint32_t spans; // per request
    uint32_t rounds;
    const char *only_z; // NULL: all
} bench;

static void check(ut_err err, const char *what_z)
{
    if (err == UT_OK)
        return;
    fprintf(stderr, "bench_otlp: %s: %s\n", what_z, ut_err_text(err));
    exit(1);
}

static double now_ns(void)
{
    struct timespec now;
    // Of this process alone: others do not count. Cannot fail with this clock.
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void decode_protobuf(bench *b, size_t i)
{
    ut_batch_reset(&b->batch, SIZE_MAX);
    check(ut_otlp_protobuf_decode(ut_buf_bytes(&b->protobuf[i]), &b->batch, NULL), "decode");
}

static void decode_json(bench *b, size_t i)
{
    ut_batch_reset(&b->batch, SIZE_MAX);
    check(ut_otlp_json_decode(ut_buf_bytes(&b->json[i]), &b->batch, NULL), "decode JSON");
}

// In memory that is taken once, so that no page fault counts.
static void parse_json(bench *b, size_t i)
{
    yyjson_alc memory;
    check(yyjson_alc_pool_init(&memory, b->document, b->document_bytes) ? UT_OK : UT_ENOMEM,
          "parse JSON");
    // Without YYJSON_READ_INSITU the text is not written to.
    yyjson_doc *doc = yyjson_read_opts((char *)b->json[i].data, b->json[i].len,
                                       YYJSON_READ_NUMBER_AS_RAW, &memory, NULL);
    check(doc != NULL ? UT_OK : UT_EFORMAT, "parse JSON");
    yyjson_doc_free(doc);
}

static void encode(bench *b, size_t i, const ut_otlp_encoder *encoder)
{
    ut_buf_reset(&b->out, SIZE_MAX);
    encoder->begin(&b->out);
    check(encoder->add(&b->out, &b->blocks[i], 0, b->blocks[i].info.span_count), "encode");
    encoder->end(&b->out);
}

static void encode_protobuf(bench *b, size_t i)
{
    encode(b, i, &ut_otlp_protobuf_encoder);
}

static void encode_json(bench *b, size_t i)
{
    encode(b, i, &ut_otlp_json_encoder);
}

static void compress(bench *b, size_t i)
{
    ut_buf_reset(&b->out, SIZE_MAX);
    check(ut_gzip_compress(b->compressor, ut_buf_bytes(&b->protobuf[i]), 1, &b->out), "gzip");
}

static void expand(bench *b, size_t i)
{
    ut_buf_reset(&b->out, SIZE_MAX);
    check(ut_gzip_expand(b->compressor, ut_buf_bytes(&b->gzip[i]), &b->out, NULL), "gunzip");
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(bench *b, const char *name_z, void (*work)(bench *, size_t))
{
    double ns[REPEATS];
    if (b->only_z != NULL && strstr(name_z, b->only_z) == NULL)
        return;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        double begin = now_ns();
        for (uint32_t round = 0; round < b->rounds; round++) {
            for (size_t i = 0; i < REQUESTS; i++)
                work(b, i);
        }
        ns[repeat] = (now_ns() - begin) / ((double)b->rounds * REQUESTS * b->spans);
    }
    qsort(ns, REPEATS, sizeof ns[0], by_value);
    printf("%-18s %7.0f ns/span   (best %.0f)\n", name_z, ns[REPEATS / 2], ns[0]);
}

static void prepare(bench *b)
{
    ut_sample sample;
    ut_sample_init(&sample, 42);
    ut_batch_init(&b->batch, BYTES_MAX);
    ut_buf_init(&b->out, BYTES_MAX);
    b->compressor = ut_gzip_new();
    ut_block_builder *builder = ut_block_builder_new(UT_BLOCK_SPANS_MAX, UT_BLOCK_PAYLOAD_TARGET);
    if (b->compressor == NULL || builder == NULL)
        check(UT_ENOMEM, "prepare");
    size_t wire = 0;
    size_t json = 0;
    size_t gzip = 0;
    size_t records = 0;
    for (size_t i = 0; i < REQUESTS; i++) {
        ut_buf_init(&b->protobuf[i], BYTES_MAX);
        ut_buf_init(&b->json[i], BYTES_MAX);
        ut_buf_init(&b->gzip[i], BYTES_MAX);
        ut_buf_init(&b->payloads[i], BYTES_MAX);
        check(ut_sample_request(&sample, b->spans, 1760000000000000000u, &b->protobuf[i]),
              "sample");
        decode_protobuf(b, i);
        records += b->batch.span_bytes.len;
        ut_block_builder_reset(builder);
        for (uint32_t n = 0; n < b->batch.span_count; n++) {
            const ut_batch_span *span = &ut_batch_spans(&b->batch)[n];
            if (!ut_block_builder_fits(builder, &b->batch, span))
                break;
            check(ut_block_builder_add(builder, &b->batch, span), "build");
        }
        ut_buf sealed;
        ut_buf_init(&sealed, BYTES_MAX);
        check(ut_block_seal(builder, 0, 0, &sealed), "seal");
        check(ut_block_open(ut_buf_bytes(&sealed), &b->payloads[i], &b->blocks[i]), "open");
        ut_buf_free(&sealed);
        encode_json(b, i);
        ut_buf_add_bytes(&b->json[i], ut_buf_bytes(&b->out));
        compress(b, i);
        ut_buf_add_bytes(&b->gzip[i], ut_buf_bytes(&b->out));
        wire += b->protobuf[i].len;
        json += b->json[i].len;
        gzip += b->gzip[i].len;
    }
    b->document_bytes = yyjson_read_max_memory_usage(json, YYJSON_READ_NOFLAG); // of all together
    b->document = malloc(b->document_bytes);
    if (b->document == NULL)
        check(UT_ENOMEM, "prepare");
    double spans = (double)b->spans * REQUESTS;
    printf("%u spans a request; a span: %.0f B protobuf, %.0f B JSON, %.0f B gzip, %.0f B record\n",
           (unsigned)b->spans, (double)wire / spans, (double)json / spans, (double)gzip / spans,
           (double)records / spans);
    ut_block_builder_free(builder);
    ut_sample_free(&sample);
}

static void release(bench *b)
{
    for (size_t i = 0; i < REQUESTS; i++) {
        ut_buf_free(&b->protobuf[i]);
        ut_buf_free(&b->json[i]);
        ut_buf_free(&b->gzip[i]);
        ut_buf_free(&b->payloads[i]);
    }
    ut_batch_free(&b->batch);
    ut_buf_free(&b->out);
    ut_gzip_free(b->compressor);
    free(b->document);
}

int main(int argc, char **argv)
{
    static bench b;
    b.spans = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100;
    b.rounds = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 50;
    b.only_z = argc > 3 ? argv[3] : NULL;
    if (b.spans < 1 || b.spans > SPANS_MAX || b.rounds < 1) {
        fprintf(stderr, "usage: bench_otlp [SPANS 1..%d [ROUNDS [NAME]]]\n", SPANS_MAX);
        return 64;
    }
    prepare(&b);
    measure(&b, "protobuf decode", decode_protobuf);
    measure(&b, "protobuf encode", encode_protobuf);
    measure(&b, "JSON decode", decode_json);
    measure(&b, "JSON parse, yyjson", parse_json);
    measure(&b, "JSON encode", encode_json);
    measure(&b, "gzip, level 1", compress);
    measure(&b, "gunzip", expand);
    release(&b);
    return 0;
}
