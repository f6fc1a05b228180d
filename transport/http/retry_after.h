// The Retry-After field of an answer (RFC 9110 section 10.2.3): seconds, or a date.
#ifndef UT_TRANSPORT_HTTP_RETRY_AFTER_H
#define UT_TRANSPORT_HTTP_RETRY_AFTER_H

#include "port/base/bytes.h"

#define UT_RETRY_AFTER_MS_MAX ((uint64_t)24 * 60 * 60 * 1000) // a longer wait is cut to this

// Milliseconds to wait, at most UT_RETRY_AFTER_MS_MAX. 0: the text asks for no wait, names a date
// that has passed, or is neither seconds nor a date of one of HTTP's three forms. A date counts
// from date, which is the Date field of the answer, so that the two clocks need not agree; where
// that is no date, from wall_ns.
uint64_t ut_retry_after_ms(ut_bytes text, ut_bytes date, uint64_t wall_ns);

#endif
