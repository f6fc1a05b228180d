// Writes the spans that a filter matches as OTLP or CSV, in the order of their arrival, with
// bounded memory on a store of any size. Not for the command line that asks for it (cmd_export.c).
#ifndef UT_AGENT_FILES_SPAN_EXPORT_H
#define UT_AGENT_FILES_SPAN_EXPORT_H

#include "agent/cli/progress_bar.h"
#include "agent/files/output_file.h"
#include "agent/query/span_search.h"

typedef enum {
    UT_EXPORT_OTLP_JSON,     // a line for each request, as the Collector's file exporter writes it
    UT_EXPORT_OTLP_PROTOBUF, // each request behind its length (4 bytes, big-endian), as above
    UT_EXPORT_CSV,
} ut_export_format;

// All of it is borrowed until ut_span_export returns.
typedef struct {
    ut_reader *reader;       // its view is ended and begun again between slices
    const ut_filter *filter; // checked
    ut_export_format format;
    bool formulas;        // CSV: text that a spreadsheet takes for a formula stays as it is
    ut_output_file *file; // open; no view is held while it is written to
    ut_progress_bar *bar;
} ut_export_job;

typedef struct {
    uint64_t spans;
    uint64_t bytes;
    uint64_t blocks_damaged; // passed over
    ut_leavers leavers;
    int signal_number; // the signal that ended the export, or 0
} ut_export_result;

// Exports what the job says; result says how far it came, after an error too.
// UT_ECANCELED: a signal asked to stop, which ut_output_file_interrupted took. Other errors come
// with a fault.
ut_err ut_span_export(const ut_export_job *job, ut_export_result *result, ut_fault *fault);

#endif
