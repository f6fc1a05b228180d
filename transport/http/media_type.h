// The media type in a Content-Type field (RFC 9110, section 8.3.1).
#ifndef UT_TRANSPORT_HTTP_MEDIA_TYPE_H
#define UT_TRANSPORT_HTTP_MEDIA_TYPE_H

#include "port/base/bytes.h"

// True when value names type_z, in any case, alone or followed by parameters:
// "application/json; charset=utf-8" is application/json. So is a list of it and nothing else.
bool ut_media_type_is(ut_bytes value, const char *type_z);

#endif
