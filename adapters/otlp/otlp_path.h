// Names the place of a byte in a protobuf request, for faults:
// "resource_spans[2].scope_spans[0].spans[14].attributes[3]". The request is walked again after a
// fault, so that decoding keeps no account of where it is. Pure functions. Not for decoding.
#ifndef UT_ADAPTERS_OTLP_OTLP_PATH_H
#define UT_ADAPTERS_OTLP_OTLP_PATH_H

#include "port/base/bytes.h"

enum { UT_OTLP_PATH_MAX = 200 }; // bytes of a path, with its zero

// Writes the path of the field of an ExportTraceServiceRequest that begins at `offset`, or of the
// innermost known field around it. Names are those of the .proto files.
//
// body:   as it came; bytes that do not decode end the path.
// offset: 0..body.len.
// path_z: out; ends in "..." where the path is longer than UT_OTLP_PATH_MAX - 1; empty outside of
//         any known field.
void ut_otlp_path(ut_bytes body, size_t offset, char path_z[UT_OTLP_PATH_MAX]);

// A path under construction; begins as {.len = 0}. The JSON decoder makes its paths with it too.
typedef struct {
    char text_z[UT_OTLP_PATH_MAX];
    size_t len; // without the dots of a path that was cut
    bool cut;   // nothing is appended any more
} ut_otlp_path_text;

// Appends ".name", without the dot at the beginning of a path, or "[index]". Where it does not fit,
// "..." ends the path.
void ut_otlp_path_name(ut_otlp_path_text *path, const char *name_z);
void ut_otlp_path_index(ut_otlp_path_text *path, uint32_t index);

#endif
