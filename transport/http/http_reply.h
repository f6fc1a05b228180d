// The bytes of an HTTP/1.1 answer. Pure; not for deciding what is answered.
#ifndef UT_TRANSPORT_HTTP_HTTP_REPLY_H
#define UT_TRANSPORT_HTTP_HTTP_REPLY_H

#include "port/base/buf.h"

typedef struct {
    int status;                 // 200..599
    const char *content_type_z; // outlives the answer; NULL without a body
    ut_bytes body;              // borrowed
    uint32_t retry_after_s;     // 0: no such field
    const char *fields_z;       // further lines, each with its "\r\n"; outlives the answer; or NULL
} ut_http_reply;

typedef enum {
    UT_HTTP_REPLY_KEPT,        // HTTP/1.1: nothing is said
    UT_HTTP_REPLY_KEPT_SAY_SO, // HTTP/1.0
    UT_HTTP_REPLY_CLOSES,
} ut_http_reply_end;

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7), with its NUL.
enum { UT_HTTP_DATE_MAX = 30 };
void ut_http_date(uint64_t unix_s, char out_z[UT_HTTP_DATE_MAX]);

// Appends status line, fields and body. without_body: an answer to HEAD, which keeps the length of
// what it leaves out.
void ut_http_reply_write(const ut_http_reply *reply, const char *date_z, ut_http_reply_end end,
                         bool without_body, ut_buf *out);

#endif
