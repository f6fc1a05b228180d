// Base64 (RFC 4648), as JSON holds bytes.
#ifndef UT_ADAPTERS_ENCODING_BASE64_H
#define UT_ADAPTERS_ENCODING_BASE64_H

#include "port/base/buf.h"

// Appends the standard alphabet with padding. Errors stay in out->err.
void ut_base64_encode(ut_bytes in, ut_buf *out);

// The most bytes that a text of len characters can stand for.
static inline size_t ut_base64_decoded_max(size_t len)
{
    return len / 4 * 3 + 3;
}

// Reads the standard or the URL-safe alphabet (also mixed), with or without padding. out: room for
// ut_base64_decoded_max bytes. False on any other character, on padding that does not fit and on an
// impossible length; out_len is then not set.
bool ut_base64_decode(ut_bytes text, uint8_t *out, size_t *out_len);

#endif
