// Reads one HTTP/1.x answer out of bytes as they arrive (RFC 9112): 1xx answers are passed over,
// the body is taken out of its chunks and out of gzip. Pure: no socket, no clock.
#ifndef UT_TRANSPORT_HTTP_HTTP_READER_H
#define UT_TRANSPORT_HTTP_HTTP_READER_H

#include "port/base/buf.h"

#include <llhttp.h>

enum {
    // OTLP: a larger answer is an error that is not tried again.
    UT_HTTP_ANSWER_BYTES_MAX = 4 * 1024 * 1024,
    UT_HTTP_ANSWER_HEAD_MAX = 64 * 1024,
    UT_HTTP_READER_NAME_MAX = 24,   // longer field names are none that we look for
    UT_HTTP_READER_VALUE_MAX = 128, // of a field that we look for; more of it is cut
};

typedef struct {
    // Set once ut_http_reader_feed or _finish has returned UT_OK.
    int status;      // 200..599
    bool keep_alive; // the connection may carry another request
    ut_bytes body;   // expanded; borrowed until the next reset
    char content_type_z[UT_HTTP_READER_VALUE_MAX];
    char retry_after_z[UT_HTTP_READER_VALUE_MAX];
    char date_z[UT_HTTP_READER_VALUE_MAX];

    // Private.
    llhttp_t parser;
    ut_buf received;   // the body as it came
    ut_buf expanded;   // out of gzip
    size_t head_bytes; // received while a head was being read
    uint64_t body_wire_bytes;
    ut_err err; // why a callback stopped the parser
    bool begun;
    uint8_t first_byte; // once begun
    bool head_done;     // of the answer that counts
    bool done;
    bool gzip;
    bool foreign_coding; // an encoding that we cannot undo
    char name_z[UT_HTTP_READER_NAME_MAX];
    size_t name_len;
    char value_z[UT_HTTP_READER_VALUE_MAX];
    size_t value_len;
    bool in_value;
} ut_http_reader;

// Owns no memory until used.
void ut_http_reader_init(ut_http_reader *reader);
void ut_http_reader_free(ut_http_reader *reader);
// Makes it ready for the next answer and keeps a little memory.
void ut_http_reader_reset(ut_http_reader *reader);

// Takes what has arrived. UT_EAGAIN: the answer is not whole yet. UT_OK: it is; bytes behind it end
// the use of the connection (keep_alive). UT_EPROTO: not HTTP, or a head over
// UT_HTTP_ANSWER_HEAD_MAX. UT_ELIMIT: a success with a body over UT_HTTP_ANSWER_BYTES_MAX, before
// or after expansion; a failure (3xx to 5xx) with such a body is UT_OK, without its body.
// UT_ENOMEM.
ut_err ut_http_reader_feed(ut_http_reader *reader, ut_bytes in, ut_fault *fault);

// The stream has ended. UT_OK: that was the end of the body. UT_ECLOSED: the answer is not whole,
// or none has begun. Otherwise as feed.
ut_err ut_http_reader_finish(ut_http_reader *reader, ut_fault *fault);

// True when a byte of an answer has arrived.
bool ut_http_reader_begun(const ut_http_reader *reader);

// True when only the end of the stream ends the answer's body.
bool ut_http_reader_ends_with_stream(const ut_http_reader *reader);

#endif
