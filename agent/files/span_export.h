// Writes the spans that a filter matches as OTLP or CSV, in the order of their arrival, with bounded
// memory on a store of any size. Not for where it is asked for (cmd_export.c).
#ifndef UT_AGENT_SPAN_EXPORT_H
#define UT_AGENT_SPAN_EXPORT_H

#include "agent/cli/cli.h"
#include "agent/files/output_file.h"
#include "agent/cli/progress_bar.h"
#include "agent/query/span_search.h"

typedef enum {
    UT_EXPORT_OTLP_JSON,     // a line for each request, as the Collector's file exporter writes
    UT_EXPORT_OTLP_PROTOBUF, // each request behind its length: 4 bytes, big-endian; likewise
    UT_EXPORT_CSV,
} ut_export_format;

typedef struct {
    uint64_t spans;
    uint64_t bytes;
    uint64_t blocks_damaged; // passed over
    ut_leavers leavers;
} ut_export_counts;

// The view of reader is ended and begun again between slices, and never held while the output waits.
// UT_ECANCELED: a signal asked to stop (ut_output_file_interrupted took it; *signal_number: out).
// Other errors come with a fault.
ut_err ut_span_export(ut_reader *reader, const ut_filter *filter, ut_export_format format,
                      ut_output_file *file, ut_progress_bar *bar, ut_export_counts *counts,
                      int *signal_number, ut_fault *fault);

#endif
