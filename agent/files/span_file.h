// A file of OTLP requests, taken apart into its requests: OTLP JSON Lines, one JSON document,
// protobuf behind lengths, one protobuf message; any of them compressed with gzip. Not for the
// content of a request (adapters/otlp/otlp.h).
#ifndef UT_AGENT_FILES_SPAN_FILE_H
#define UT_AGENT_FILES_SPAN_FILE_H

#include "adapters/otlp/otlp.h"

enum {
    // Bytes of one request: a line, a document or a message. An agent takes as much in one body.
    UT_SPAN_FILE_MESSAGE_MAX = 64 * 1024 * 1024,
    // Bytes of a compressed file, and of its content: it is expanded as a whole.
    UT_SPAN_FILE_GZIP_MAX = 256 * 1024 * 1024,
    UT_SPAN_FILE_EXPANDED_MAX = 1024 * 1024 * 1024,
    UT_SPAN_FILE_PLACE_MAX = 200,
};

typedef enum {
    UT_SPAN_FILE_DETECT,
    UT_SPAN_FILE_JSON,     // lines or one document
    UT_SPAN_FILE_PROTOBUF, // behind lengths or one message
} ut_span_file_format;

typedef struct ut_span_file ut_span_file;

// path_z: "-" is standard input. UT_ENOTFOUND, UT_EPERM, UT_EIO, UT_ENOMEM; UT_EFORMAT, UT_ELIMIT:
// gzip that does not expand, or too far.
ut_err ut_span_file_open(const char *path_z, ut_span_file_format format, ut_span_file **file,
                         ut_fault *fault);
void ut_span_file_close(ut_span_file *file);

// Gives out the next request, borrowed until the next call. *more is false at the end. UT_ELIMIT,
// UT_EFORMAT: the next request is too long, or ends too early; the fault says where. The call after
// that goes on behind it, or finds the end where the beginning of another request cannot be known.
// UT_EIO, UT_ENOMEM.
ut_err ut_span_file_next(ut_span_file *file, ut_bytes *message, ut_otlp_encoding *encoding,
                         bool *more, ut_fault *fault);

// Says where the last request stands: "spans.jsonl:12" or "spans.binpb: message 3 (byte 1204)".
void ut_span_file_place(const ut_span_file *file, char out_z[UT_SPAN_FILE_PLACE_MAX]);

// Returns how far the file is read, in bytes of it. *size: of the file, 0 when it is not known.
uint64_t ut_span_file_progress(const ut_span_file *file, uint64_t *size);

#endif
