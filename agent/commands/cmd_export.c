// `untrace export`: spans of a data directory as OTLP or CSV, into a file or a pipe.
#include "agent/commands/command.h"
#include "adapters/plain/csv_row.h"
#include "agent/cli/filter_options.h"
#include "agent/files/span_export.h"
#include "agent/cli/term.h"
#include "agent/query/reader.h"
#include "port/base/text.h"
#include "port/port.h"

#include <stdio.h>
#include <unistd.h>

// clang-format off
static const char help[] =
    "usage: untrace export [conditions] [--format FORMAT] [-o FILE]\n"
    "                      [--data-dir DIR | --config FILE]\n"
    "\n"
    "Writes spans in the order of their arrival. Works while an agent is running,\n"
    "after it was killed, and on a copy of the data directory. What arrives or\n"
    "expires meanwhile may be in it or not.\n"
    "\n"
    "  -o, --output FILE       write to FILE instead of standard output: first to\n"
    "                          FILE.tmp, which takes the place of FILE when it is\n"
    "                          whole. A new FILE is for this user only\n"
    "  -f, --format FORMAT     otlp-json (default), otlp-protobuf or csv:\n"
    "      otlp-json           OTLP JSON Lines: each line is one\n"
    "                          ExportTraceServiceRequest, as the file exporter of the\n"
    "                          OpenTelemetry Collector writes them\n"
    "      otlp-protobuf       the same as protobuf, each behind its length as 4\n"
    "                          bytes, big-endian (the file exporter with `format:\n"
    "                          proto`); the only one that keeps fields that this\n"
    "                          program does not know\n"
    "      csv                 RFC 4180, a line for each span, under a line of names:\n"
    "                          trace_id, span_id, parent_span_id, service, name,\n"
    "                          kind, start_time, start_unix_ns, end_unix_ns,\n"
    "                          duration_ns, status, status_message, scope_name,\n"
    "                          scope_version; and as JSON: attributes,\n"
    "                          resource_attributes, events, links\n"
    "      --formulas          csv: keep text as it is; without it, text that a\n"
    "                          spreadsheet takes for a formula (it begins with = + -\n"
    "                          @, a tab or a carriage return) gets a ' in front\n"
    "  -q, --quiet             no progress bar and no summary\n"
    "\n"
    UT_FILTER_HELP
    "\n"
    "Where:\n"
    UT_OPTION_HELP_WHERE
    "\n"
    "`untrace import` reads the OTLP formats. Exit codes: 0 all is written;\n"
    "65 damaged blocks were passed over; 66 there is no store, or no such trace;\n"
    "74 the output cannot be written; 128 + signal when interrupted.\n";
// clang-format on

enum { OPTION_FORMULAS = UT_OPTION_OWN };
static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE,
                                            UT_FILTER_ROWS,
                                            {"format", required_argument, NULL, 'f'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"formulas", no_argument, NULL, OPTION_FORMULAS},
                                            UT_OPTION_ROWS_END};

typedef struct {
    ut_filter_options filter;
    ut_export_format format;
    const char *output_z;
    bool formulas;
    bool quiet;
} export_options;

static bool take_format(const char *text_z, ut_export_format *format)
{
    static const char *const names[] = {[UT_EXPORT_OTLP_JSON] = "otlp-json",
                                        [UT_EXPORT_OTLP_PROTOBUF] = "otlp-protobuf",
                                        [UT_EXPORT_CSV] = "csv"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], text_z) == 0) {
            *format = (ut_export_format)i;
            return true;
        }
    }
    return false;
}

static int say_failure(ut_err err, const ut_fault *fault, const export_options *options,
                       int signal_number)
{
    if (err == UT_ECANCELED) {
        (void)fprintf(stderr, "untrace export: interrupted; %s is as it was before\n",
                      options->output_z);
        return 128 + signal_number;
    }
    return ut_cli_fail(fault);
}

static int export_spans(export_options *options, ut_reader *reader)
{
    ut_output_file file;
    ut_fault fault;
    ut_progress_bar bar = {.silent = options->quiet};
    ut_export_result result;

    ut_err err = ut_output_file_open(&file, options->output_z, &fault);
    if (err != UT_OK)
        return ut_cli_fail(&fault);
    const uint64_t began_ms = ut_clock_mono_ms();
    const ut_export_job job = {
        .reader = reader,
        .filter = &options->filter.filter,
        .format = options->format,
        .formulas = options->formulas,
        .file = &file,
        .bar = &bar,
    };
    err = ut_span_export(&job, &result, &fault);
    ut_progress_bar_end(&bar);
    if (err != UT_OK)
        ut_output_file_abandon(&file);
    else
        err = ut_output_file_commit(&file, &fault);
    if (err != UT_OK)
        return say_failure(err, &fault, options, result.signal_number);
    if (result.blocks_damaged > 0)
        (void)fprintf(
            stderr,
            "untrace export: %llu damaged blocks were passed over; `untrace store verify` "
            "names them\n",
            (unsigned long long)result.blocks_damaged);
    ut_leavers_warn(&result.leavers);
    if (options->output_z != NULL && !options->quiet) {
        char size_z[UT_TEXT_SHORT_MAX];
        char took_z[UT_TEXT_SHORT_MAX];
        ut_text_size(result.bytes, size_z);
        ut_text_duration((ut_clock_mono_ms() - began_ms) * 1000000, took_z);
        (void)fprintf(stderr, "%llu spans exported, %s, %s\n", (unsigned long long)result.spans,
                      size_z, took_z);
    }
    return result.blocks_damaged > 0 ? EX_DATAERR : EX_OK;
}

static int run(int argc, char **argv)
{
    const ut_options line = {.command_z = "export", .help_z = help, .rows = option_rows};
    export_options given = {.format = UT_EXPORT_OTLP_JSON};
    ut_reader reader;
    bool nothing = false;
    ut_filter_options_init(&given.filter, &line, 0, ut_clock_wall_ns());
    for (int option; (option = ut_filter_options_next(&given.filter, argc, argv)) != -1;) {
        switch (option) {
        case 'f':
            if (!take_format(optarg, &given.format))
                return ut_cli_usage(
                    "export", "--format takes otlp-json, otlp-protobuf or csv, not \"%s\"", optarg);
            break;
        case 'o':
            given.output_z = optarg;
            break;
        case OPTION_FORMULAS:
            given.formulas = true;
            break;
        default:
            given.quiet = true;
        }
    }
    if (given.filter.line.ended)
        return given.filter.line.code;
    const bool to_stdout = given.output_z == NULL || strcmp(given.output_z, "-") == 0;
    if (given.format == UT_EXPORT_OTLP_PROTOBUF && to_stdout && isatty(STDOUT_FILENO) == 1)
        return ut_cli_usage("export", "otlp-protobuf is not for a terminal; write it to a file "
                                      "(--output FILE), or into a pipe");
    int code = ut_filter_options_open(&given.filter, &reader, &nothing);
    if (code != EX_OK)
        return code;
    if (nothing) {
        (void)fprintf(stderr, "untrace export: there is no trace whose id begins with %s\n",
                      given.filter.trace_z);
        code = EX_NOINPUT;
    } else {
        code = export_spans(&given, &reader);
    }
    ut_reader_close(&reader);
    return code;
}

const ut_command ut_command_export = {
    .name_z = "export",
    .run = run,
    .summary_z = "write spans as OTLP or CSV, to a file or a pipe",
    .help_z = help,
    .options = option_rows,
};
