// `untrace import`: spans from OTLP files into a data directory.
#include "agent/commands/command.h"
#include "agent/cli/options.h"
#include "agent/cli/progress_bar.h"
#include "agent/config/config_find.h"
#include "agent/files/span_file.h"
#include "agent/files/span_import.h"
#include "port/base/text.h"
#include "port/port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// clang-format off
static const char help[] =
    "usage: untrace import FILE... [--format FORMAT] [--skip-bad]\n"
    "                      [--data-dir DIR | --config FILE]\n"
    "\n"
    "Takes in what `untrace export` and the file exporter of the OpenTelemetry\n"
    "Collector write: OTLP JSON Lines, one JSON document, protobuf messages behind\n"
    "their lengths (4 bytes, big-endian), or one protobuf message; each also\n"
    "compressed with gzip. - is standard input. Spans that are there already are left\n"
    "out and counted, so a file may be imported again. Where an agent is running it\n"
    "takes them in and delivers them; otherwise the store is opened, or made, here.\n"
    "\n"
    "  -f, --format FORMAT     otlp-json or otlp-protobuf (default: by what the file\n"
    "                          begins with)\n"
    "      --skip-bad          pass over what does not decode, say so, and go on;\n"
    "                          without it the import ends there, and what stands\n"
    "                          before is stored\n"
    UT_OPTION_HELP_DATA_DIR
    "  -c, --config FILE       configuration to take the data directory from, and for\n"
    "                          a new store its budget, times to live and destinations\n"
    "  -q, --quiet             no progress bar and no summary\n"
    "\n"
    "A line or message may have 64 MiB, a compressed file 256 MiB (1 GiB expanded);\n"
    "larger ones: `zcat FILE | untrace import -`. Exit codes: 0 all is stored;\n"
    "65 something does not decode, or was passed over; 66 a file is missing; 75 the\n"
    "agent is too busy, or another command uses the store; 74 disk.\n";
// clang-format on

enum { BAD_SHOWN_MAX = 20 };
enum { OPTION_SKIP_BAD = UT_OPTION_OWN };

static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE,
                                            {"format", required_argument, NULL, 'f'},
                                            {"skip-bad", no_argument, NULL, OPTION_SKIP_BAD},
                                            {"quiet", no_argument, NULL, 'q'},
                                            UT_OPTION_ROWS_END};

typedef struct {
    ut_options line; // the common options
    char *const *paths;
    int path_count;
    ut_span_file_format format;
    bool skip_bad;
    bool quiet;
} import_options;

typedef struct {
    const import_options *options;
    ut_span_import *import;
    ut_progress_bar bar;
    uint64_t bytes_before; // of the files that are done
    uint64_t bytes_total;  // of all files, 0: not known
    uint64_t bad;
} importing;

static void write_line(void *context, ut_log_level level, const char *line, size_t len)
{
    (void)context;
    (void)level;
    (void)fprintf(stderr, "untrace import: %.*s\n", (int)len, line);
}

static void say_bad(importing *i, const ut_span_file *file, const ut_fault *fault)
{
    char place_z[UT_SPAN_FILE_PLACE_MAX];
    i->bad++;
    if (i->bad > BAD_SHOWN_MAX)
        return;
    ut_span_file_place(file, place_z);
    ut_progress_bar_end(&i->bar);
    (void)fprintf(stderr, "untrace import: %s: %s\n", place_z, fault->text_z);
    if (i->bad == BAD_SHOWN_MAX && i->options->skip_bad)
        (void)fprintf(stderr, "untrace import: further ones are counted only\n");
}

static void draw(importing *i, const ut_span_file *file)
{
    uint64_t size = 0;
    const uint64_t done = ut_span_file_progress(file, &size);
    if (!i->options->quiet)
        ut_progress_bar_draw(&i->bar, i->bytes_before + done, i->bytes_total, "bytes");
}

// UT_EFORMAT: something does not decode, which has been said.
static ut_err import_file(importing *i, ut_span_file *file, ut_fault *fault)
{
    for (;;) {
        ut_bytes request;
        ut_otlp_encoding encoding;
        bool more = false;
        ut_err err = ut_span_file_next(file, &request, &encoding, &more, fault);
        const bool readable = err == UT_OK;
        if (readable && !more)
            return UT_OK;
        if (readable)
            err = ut_span_import_add(i->import, encoding, request, fault);
        if (err == UT_EFORMAT || err == UT_ELIMIT) {
            say_bad(i, file, fault);
            if (!i->options->skip_bad)
                return UT_EFORMAT;
        } else if (err != UT_OK) {
            return err;
        }
        draw(i, file);
    }
}

static int import_files(importing *i)
{
    ut_fault fault = {UT_OK, ""};
    ut_err err = UT_OK;
    for (int k = 0; k < i->options->path_count && err == UT_OK; k++) {
        ut_span_file *file = NULL;
        err = ut_span_file_open(i->options->paths[k], i->options->format, &file, &fault);
        if (err != UT_OK)
            break;
        err = import_file(i, file, &fault);
        uint64_t size = 0;
        (void)ut_span_file_progress(file, &size);
        i->bytes_before += size;
        ut_span_file_close(file);
    }
    // Requests before the fault are stored.
    ut_fault flush_fault = {UT_OK, ""};
    const ut_err flushed = ut_span_import_flush(i->import, &flush_fault);
    ut_progress_bar_end(&i->bar);
    int code = EX_OK;
    if (err == UT_EFORMAT && i->bad > 0)
        code = EX_DATAERR;
    else if (err != UT_OK)
        code = ut_cli_fail(&fault);
    if (code == EX_CONFIG)
        code = EX_DATAERR; // it is the file that does not decode
    if (flushed != UT_OK)
        code = ut_cli_fail(&flush_fault);
    return code;
}

static void say_counts(const importing *i)
{
    ut_span_import_counts counts;
    ut_span_import_get_counts(i->import, &counts);
    if (counts.rejected > 0)
        (void)fprintf(stderr, "untrace import: %llu spans cannot be stored: %s\n",
                      (unsigned long long)counts.rejected, counts.reject_reason_z);
    if (i->options->quiet)
        return;
    (void)fprintf(stderr, "%llu spans imported%s", (unsigned long long)counts.stored,
                  ut_span_import_through_agent(i->import) ? " through the agent" : "");
    if (counts.duplicates > 0)
        (void)fprintf(stderr, ", %llu were there already", (unsigned long long)counts.duplicates);
    if (i->bad > 0)
        (void)fprintf(stderr, ", %llu %s not decode", (unsigned long long)i->bad,
                      i->bad == 1 ? "request does" : "requests do");
    (void)fprintf(stderr, "\n");
}

// The bytes of all files; 0 when one of them is no plain file.
static uint64_t total_bytes(const import_options *options)
{
    uint64_t total = 0;
    for (int k = 0; k < options->path_count; k++) {
        struct stat status;
        if (stat(options->paths[k], &status) != 0 || !S_ISREG(status.st_mode))
            return 0;
        total += (uint64_t)status.st_size;
    }
    return total;
}

static int import_into(const import_options *options, ut_config *config)
{
    const ut_log log = {.write = write_line, .level = UT_LOG_WARN};
    importing i = {.options = options, .bytes_total = total_bytes(options)};
    ut_fault fault = {UT_OK, ""};
    if (config->data_dir_z == NULL) {
        (void)fprintf(stderr, "untrace: no data directory is known here: give --data-dir DIR or "
                              "--config FILE\n");
        return EX_CONFIG;
    }
    int code = ut_span_import_open(config, &log, &i.import, &fault);
    if (code != EX_OK) {
        (void)ut_cli_fail(&fault);
        return code;
    }
    code = import_files(&i);
    say_counts(&i);
    ut_span_import_counts counts;
    ut_span_import_get_counts(i.import, &counts);
    if (code == EX_OK && (i.bad > 0 || counts.rejected > 0))
        code = EX_DATAERR;
    ut_span_import_close(i.import);
    return code;
}

static int check_path(const char *path_z)
{
    if (strcmp(path_z, "-") == 0 || access(path_z, R_OK) == 0)
        return EX_OK;
    const int reason = errno;
    (void)fprintf(stderr, "untrace: cannot read %s: %s\n", path_z, strerror(reason));
    return reason == EACCES ? EX_NOPERM : EX_NOINPUT;
}

static int run_import(const import_options *options)
{
    ut_config *config = calloc(1, sizeof(*config));
    ut_fault fault = {UT_OK, ""};
    if (config == NULL)
        return EX_OSERR;
    if (ut_config_find(options->line.config_z, UT_CONFIG_STORE, config, &fault) != UT_OK) {
        free(config);
        (void)ut_cli_fail(&fault);
        return fault.code == UT_ENOMEM ? EX_OSERR : EX_CONFIG;
    }
    char *const configured_z = config->data_dir_z;
    if (options->line.data_dir_z != NULL)
        config->data_dir_z = options->line.data_dir_z;
    // A slip in a name is found before a store is made.
    int code = EX_OK;
    for (int k = 0; k < options->path_count && code == EX_OK; k++)
        code = check_path(options->paths[k]);
    if (code == EX_OK)
        code = import_into(options, config);
    config->data_dir_z = configured_z;
    ut_config_free(config);
    free(config);
    return code;
}

static int run(int argc, char **argv)
{
    import_options options = {.line = {.command_z = "import",
                                       .help_z = help,
                                       .rows = option_rows,
                                       .words_max = UT_OPTIONS_WORDS_ANY},
                              .format = UT_SPAN_FILE_DETECT};
    for (int option; (option = ut_options_next(&options.line, argc, argv)) != -1;) {
        switch (option) {
        case 'f':
            if (strcmp(optarg, "otlp-json") == 0)
                options.format = UT_SPAN_FILE_JSON;
            else if (strcmp(optarg, "otlp-protobuf") == 0)
                options.format = UT_SPAN_FILE_PROTOBUF;
            else
                return ut_cli_usage(
                    "import", "--format takes otlp-json or otlp-protobuf, not \"%s\"", optarg);
            break;
        case OPTION_SKIP_BAD:
            options.skip_bad = true;
            break;
        default:
            options.quiet = true;
        }
    }
    if (options.line.ended)
        return options.line.code;
    if (optind == argc)
        return ut_cli_usage("import", "which FILE? - is standard input");
    options.paths = argv + optind;
    options.path_count = argc - optind;
    return run_import(&options);
}

const ut_command ut_command_import = {
    .name_z = "import",
    .run = run,
    .summary_z = "take in spans from OTLP files",
    .help_z = help,
    .options = option_rows,
};
