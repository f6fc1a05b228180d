// gzip (RFC 1952) on whole buffers, by libdeflate. Data that would expand past a ceiling is refused
// before the memory for it is taken. Not for streams.
#ifndef UT_ADAPTERS_ENCODING_GZIP_H
#define UT_ADAPTERS_ENCODING_GZIP_H

#include "port/base/buf.h"

// The states of libdeflate (about 200 KB for compression), each made at its first use. One thread
// at a time.
typedef struct ut_gzip ut_gzip;
ut_gzip *ut_gzip_new(void); // NULL without memory
void ut_gzip_free(ut_gzip *gzip);

// Appends the compressed form of in. level 1..9. UT_ENOMEM, UT_ELIMIT (out's ceiling).
ut_err ut_gzip_compress(ut_gzip *gzip, ut_bytes in, int level, ut_buf *out);

// Appends the expanded form; out holds at most out->max bytes in all. Several members are joined,
// and zeros behind the last one are passed.
// UT_EFORMAT (not gzip, truncated, a wrong checksum, bytes behind the last member), UT_ELIMIT
// (would pass the ceiling), UT_ENOMEM. The fault says what is wrong and at which byte.
ut_err ut_gzip_expand(ut_gzip *gzip, ut_bytes in, ut_buf *out, ut_fault *fault);

const char *ut_gzip_version(void);

#endif
