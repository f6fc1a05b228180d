// Names the place of a byte in a trace request ("resource_spans[2].scope_spans[0].spans[14].attributes[3]"), for faults.
// Only walked after a fault, so that decoding keeps no account of where it is.
#ifndef UT_ADAPTERS_OTLP_PATH_H
#define UT_ADAPTERS_OTLP_PATH_H

#include "port/base/bytes.h"

enum { UT_OTLP_PATH_MAX = 200 };

// The path of the field of an ExportTraceServiceRequest that begins at `offset`, or of the innermost one around it.
// path_z: ends in "..." when longer than UT_OTLP_PATH_MAX - 1; empty outside of any known field.
void ut_otlp_path(ut_bytes body, size_t offset, char path_z[UT_OTLP_PATH_MAX]);

// A path under construction, also for those who name places of another encoding.
typedef struct {
    char text_z[UT_OTLP_PATH_MAX];
    size_t len;
    bool cut;
} ut_otlp_path_text;

// Appends ".name" (without the dot at the beginning) or "[index]". Where it does not fit, "..." ends the path.
void ut_otlp_path_name(ut_otlp_path_text *path, const char *name_z);
void ut_otlp_path_index(ut_otlp_path_text *path, uint32_t index);

#endif
