// Parts of spans as raw MessagePack, made from texts.
#ifndef UT_TESTS_SUPPORT_SPAN_PARTS_H
#define UT_TESTS_SUPPORT_SPAN_PARTS_H

#include "storage/span/span.h"

// A map of texts into buf, which is initialised here. pairs_z: key, value, key, value, NULL.
ut_bytes ut_map_of(ut_buf *buf, const char *const *pairs_z);
#define UT_MAP_OF(buf, ...) ut_map_of((buf), (const char *const[]){__VA_ARGS__, NULL})

// A list of one event, 5 ns behind the start of its span, into buf, which is initialised here.
ut_bytes ut_event_of(ut_buf *buf, const char *name_z, ut_bytes attributes);

#endif
