// Reads one HTTP/1.x answer with llhttp. Not for requests: the receivers read those.
#include "transport/http/http_reader.h"

#include "adapters/encoding/gzip.h"

enum {
    KEEP_BYTES_MAX = 4096, // of memory, from one answer to the next
    // Tiny chunks cost a peer little and us much: this bounds the bytes of one body on the wire.
    BODY_WIRE_BYTES_MAX = 2 * UT_HTTP_ANSWER_BYTES_MAX,
};

static int on_begin(llhttp_t *parser);
static int on_field(llhttp_t *parser, const char *at, size_t len);
static int on_value(llhttp_t *parser, const char *at, size_t len);
static int on_value_complete(llhttp_t *parser);
static int on_headers_complete(llhttp_t *parser);
static int on_body(llhttp_t *parser, const char *at, size_t len);
static int on_complete(llhttp_t *parser);

static const llhttp_settings_t settings = {
    .on_message_begin = on_begin,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

void ut_http_reader_init(ut_http_reader *reader)
{
    memset(reader, 0, sizeof(*reader));
    ut_buf_init(&reader->received, UT_HTTP_ANSWER_BYTES_MAX);
    ut_buf_init(&reader->expanded, UT_HTTP_ANSWER_BYTES_MAX);
    ut_http_reader_reset(reader);
}

void ut_http_reader_free(ut_http_reader *reader)
{
    ut_buf_free(&reader->received);
    ut_buf_free(&reader->expanded);
}

void ut_http_reader_reset(ut_http_reader *reader)
{
    ut_buf received = reader->received;
    ut_buf expanded = reader->expanded;
    ut_buf_reset(&received, KEEP_BYTES_MAX);
    ut_buf_reset(&expanded, KEEP_BYTES_MAX);
    memset(reader, 0, sizeof(*reader));
    reader->received = received;
    reader->expanded = expanded;
    llhttp_init(&reader->parser, HTTP_RESPONSE, &settings);
    reader->parser.data = reader;
}

// ---- what the parser calls ----

static int on_begin(llhttp_t *parser)
{
    ut_http_reader *reader = parser->data;
    // An answer behind a 1xx answer starts with clean fields.
    reader->gzip = false;
    reader->foreign_coding = false;
    reader->content_type_z[0] = '\0';
    reader->retry_after_z[0] = '\0';
    reader->date_z[0] = '\0';
    reader->name_len = 0;
    reader->value_len = 0;
    reader->in_value = false;
    return 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
    ut_http_reader *reader = parser->data;
    if (reader->in_value) {
        reader->in_value = false;
        reader->name_len = 0;
    }
    for (size_t i = 0; i < len && reader->name_len < UT_HTTP_READER_NAME_MAX; i++) {
        char c = at[i];
        reader->name_z[reader->name_len++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    ut_http_reader *reader = parser->data;
    reader->in_value = true;
    size_t room = UT_HTTP_READER_VALUE_MAX - 1 - reader->value_len;
    if (len > room)
        len = room;
    memcpy(reader->value_z + reader->value_len, at, len);
    reader->value_len += len;
    return 0;
}

static bool name_is(const ut_http_reader *reader, const char *name_z)
{
    return reader->name_len == strlen(name_z) &&
           memcmp(reader->name_z, name_z, reader->name_len) == 0;
}

// Compares without regard to the case of ASCII letters; lower_z is in lower case.
static bool value_is(const ut_http_reader *reader, const char *lower_z)
{
    size_t i = 0;
    for (; reader->value_z[i] != '\0'; i++) {
        char c = reader->value_z[i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c) != lower_z[i])
            return false;
    }
    return lower_z[i] == '\0';
}

static int on_value_complete(llhttp_t *parser)
{
    ut_http_reader *reader = parser->data;
    // A value may be empty, and then on_value was not called.
    reader->in_value = true;
    while (reader->value_len > 0 && (reader->value_z[reader->value_len - 1] == ' ' ||
                                     reader->value_z[reader->value_len - 1] == '\t'))
        reader->value_len--;
    reader->value_z[reader->value_len] = '\0';
    size_t size = reader->value_len + 1;
    reader->value_len = 0;
    if (reader->head_done)
        return 0; // a trailer
    if (name_is(reader, "content-type")) {
        memcpy(reader->content_type_z, reader->value_z, size);
    } else if (name_is(reader, "retry-after")) {
        memcpy(reader->retry_after_z, reader->value_z, size);
    } else if (name_is(reader, "date")) {
        memcpy(reader->date_z, reader->value_z, size);
    } else if (name_is(reader, "content-encoding")) {
        if (value_is(reader, "gzip") || value_is(reader, "x-gzip"))
            reader->gzip = true;
        else if (!value_is(reader, "identity") && reader->value_z[0] != '\0')
            reader->foreign_coding = true;
    }
    return 0;
}

static bool is_interim(const llhttp_t *parser)
{
    return parser->status_code >= 100 && parser->status_code < 200;
}

static int on_headers_complete(llhttp_t *parser)
{
    ut_http_reader *reader = parser->data;
    if (parser->status_code < 100 || parser->status_code > 599 || parser->status_code == 101) {
        reader->err = UT_EPROTO;
        return -1;
    }
    if (is_interim(parser))
        return 0;
    reader->head_done = true;
    if ((parser->flags & F_CONTENT_LENGTH) != 0 &&
        parser->content_length > UT_HTTP_ANSWER_BYTES_MAX) {
        reader->err = UT_ELIMIT;
        return -1;
    }
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    ut_http_reader *reader = parser->data;
    ut_buf_add(&reader->received, at, len);
    reader->err = reader->received.err;
    return reader->err == UT_OK ? 0 : -1;
}

static int on_complete(llhttp_t *parser)
{
    ut_http_reader *reader = parser->data;
    if (is_interim(parser))
        return 0;
    reader->status = parser->status_code;
    reader->keep_alive = llhttp_should_keep_alive(parser) != 0;
    reader->done = true;
    return HPE_PAUSED; // bytes behind it are not ours to read
}

// ---- feeding ----

static ut_err limit_fault(ut_err err, ut_fault *fault)
{
    if (err == UT_ELIMIT)
        return ut_fault_set(fault, UT_ELIMIT, "the answer is larger than %d MiB",
                            UT_HTTP_ANSWER_BYTES_MAX / (1024 * 1024));
    return ut_fault_set(fault, err, "%s while reading the answer", ut_err_text(err));
}

// The body is over the limit. Where the status tells of a failure, it says enough: the answer ends
// here without its body, so that a proxy's long page about a busy server is not a refusal.
static ut_err end_too_large(ut_http_reader *reader, ut_fault *fault)
{
    if (reader->parser.status_code < 300)
        return limit_fault(UT_ELIMIT, fault);
    reader->status = reader->parser.status_code;
    reader->keep_alive = false;
    reader->body = UT_BYTES_NONE;
    reader->done = true;
    return UT_OK;
}

// Undoes the content coding. A body that cannot be decoded is left empty: the status has already
// said what became of the request.
static ut_err decode_body(ut_http_reader *reader, ut_fault *fault)
{
    reader->body = ut_buf_bytes(&reader->received);
    if (reader->foreign_coding || (reader->gzip && reader->body.len == 0)) {
        reader->body = UT_BYTES_NONE;
        return UT_OK;
    }
    if (!reader->gzip)
        return UT_OK;
    ut_gzip *gzip = ut_gzip_new(); // rare enough not to be kept
    if (gzip == NULL)
        return limit_fault(UT_ENOMEM, fault);
    ut_err err = ut_gzip_expand(gzip, reader->body, &reader->expanded, NULL);
    ut_gzip_free(gzip);
    if (err == UT_ELIMIT)
        return end_too_large(reader, fault);
    if (err == UT_ENOMEM)
        return limit_fault(err, fault);
    reader->body = err == UT_OK ? ut_buf_bytes(&reader->expanded) : UT_BYTES_NONE;
    return UT_OK;
}

// What the peer sends is not HTTP/1.x. Its first byte tells most other protocols that are found at
// a wrong port.
static ut_err foreign_fault(const ut_http_reader *reader, llhttp_errno_t code, ut_fault *fault)
{
    enum { TLS_ALERT = 0x15, TLS_HANDSHAKE = 0x16 };
    if (reader->first_byte == 'H') {
        const char *reason_z = llhttp_get_error_reason(&reader->parser);
        return ut_fault_set(fault, UT_EPROTO, "the peer answers in broken HTTP: %s",
                            reason_z != NULL ? reason_z : llhttp_errno_name(code));
    }
    if (reader->first_byte == TLS_ALERT || reader->first_byte == TLS_HANDSHAKE)
        return ut_fault_set(fault, UT_EPROTO, "the peer speaks TLS; is it a TLS port (https)?");
    if (reader->first_byte == 0) // the length of a first frame, which is never long
        return ut_fault_set(fault, UT_EPROTO,
                            "the peer speaks HTTP/2; is it a gRPC port? use its HTTP port, "
                            "usually 4318");
    return ut_fault_set(fault, UT_EPROTO,
                        "the peer does not answer in HTTP; is it the port of another service?");
}

// Turns what the parser returned into ours.
static ut_err parsed(ut_http_reader *reader, llhttp_errno_t code, ut_fault *fault)
{
    if (reader->done)
        return decode_body(reader, fault);
    if (reader->err == UT_EPROTO)
        return ut_fault_set(fault, UT_EPROTO,
                            "the peer answered with status %d, which HTTP does "
                            "not allow here",
                            (int)reader->parser.status_code);
    if (reader->err == UT_ELIMIT)
        return end_too_large(reader, fault);
    if (reader->err != UT_OK)
        return limit_fault(reader->err, fault);
    return code == HPE_OK ? UT_EAGAIN : foreign_fault(reader, code, fault);
}

ut_err ut_http_reader_feed(ut_http_reader *reader, ut_bytes in, ut_fault *fault)
{
    UT_ASSERT(!reader->done);
    if (in.len == 0)
        return UT_EAGAIN;
    if (!reader->begun)
        reader->first_byte = in.data[0];
    reader->begun = true;
    // The parser takes answers of RTSP and ICE for HTTP.
    if (reader->first_byte == 'R' || reader->first_byte == 'I')
        return foreign_fault(reader, HPE_INVALID_CONSTANT, fault);
    llhttp_errno_t code = llhttp_execute(&reader->parser, (const char *)in.data, in.len);
    if (reader->done) {
        const char *stop = llhttp_get_error_pos(&reader->parser);
        if (code != HPE_PAUSED || stop != (const char *)in.data + in.len)
            reader->keep_alive = false;
    } else if (reader->head_done) {
        reader->body_wire_bytes += in.len;
        if (reader->body_wire_bytes > BODY_WIRE_BYTES_MAX)
            return end_too_large(reader, fault);
    } else {
        reader->head_bytes += in.len;
        if (reader->head_bytes > UT_HTTP_ANSWER_HEAD_MAX)
            return ut_fault_set(fault, UT_EPROTO, "the head of the answer is larger than %d KiB",
                                UT_HTTP_ANSWER_HEAD_MAX / 1024);
    }
    return parsed(reader, code, fault);
}

ut_err ut_http_reader_finish(ut_http_reader *reader, ut_fault *fault)
{
    UT_ASSERT(!reader->done);
    if (!reader->begun)
        return ut_fault_set(fault, UT_ECLOSED, "the peer closed the connection without an answer");
    if (!ut_http_reader_ends_with_stream(reader))
        return ut_fault_set(fault, UT_ECLOSED,
                            "the peer closed the connection in the middle of its answer");
    return parsed(reader, llhttp_finish(&reader->parser), fault);
}

bool ut_http_reader_begun(const ut_http_reader *reader)
{
    return reader->begun;
}

bool ut_http_reader_ends_with_stream(const ut_http_reader *reader)
{
    return reader->head_done && !reader->done && llhttp_message_needs_eof(&reader->parser) != 0;
}
