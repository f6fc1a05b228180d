// The parts of an http or https URL (RFC 3986).
#ifndef UT_TRANSPORT_HTTP_URL_H
#define UT_TRANSPORT_HTTP_URL_H

#include "port/port.h"

enum { UT_URL_MAX = 1024 }; // bytes of a path with its query, the NUL included

typedef struct {
    bool tls;
    // A numeric address without brackets, or a name in ASCII and lower case. An absolute name keeps
    // the dot at its end, which only the look-up needs.
    char host_z[UT_HOST_MAX];
    uint16_t port;           // 80 or 443 when the URL has none
    char path_z[UT_URL_MAX]; // begins with '/'; query included
} ut_url;

// UT_EFORMAT with what was found and what is expected.
ut_err ut_url_parse(const char *text_z, ut_url *url, ut_fault *fault);

// Appends the URL for people. A query may hold a key (`?key=...`), and reads "***".
void ut_url_show(const ut_url *url, ut_buf *out);

#endif
