// `untrace traces`: the newest traces of a data directory, whether or not an agent runs on it.
#include "agent/cli.h"
#include "agent/term.h"

#include "adapters/json.h"
#include "port/base/text.h"

#include <stdio.h>

static const char help[] =
    "usage: untrace traces [--data-dir DIR | --config FILE] [--limit N] [--json]\n"
    "\n"
    "Lists the newest traces first: when each began, how long it took, its spans, where it began. "
    "Works while an\n"
    "agent is running, after it was killed, and on a copy of the data directory.\n"
    "\n"
    "  -d, --data-dir DIR  where the agent keeps its data (default: as the configuration says)\n"
    "  -c, --config FILE   configuration to take the data directory from\n"
    "  -n, --limit N       at most N traces (default 20)\n"
    "      --json          one JSON object a line\n";

enum { LIMIT_DEFAULT = 20, LIMIT_MAX = 10 * 1000 * 1000, LINE_BYTES_MAX = 64 * 1024 };
enum {
    TIME_COLUMNS = 20,
    DURATION_COLUMNS = 9,
    SPANS_COLUMNS = 6,
    STATUS_COLUMNS = 6,
    SERVICE_COLUMNS = 18
};

typedef struct {
    ut_term term;
    bool json;
    ut_buf line;
    uint64_t rows;
} listing;

static const char *status_name(uint8_t status)
{
    return status == UT_STATUS_ERROR ? "error" : status == UT_STATUS_OK ? "ok" : "unset";
}

static ut_err print_json(listing *list, const ut_trace_row *row)
{
    ut_buf *line = &list->line;
    ut_buf_add_z(line, "{\"trace_id\":");
    ut_json_put_hex(line, ut_bytes_of(row->trace_id, sizeof(row->trace_id)));
    ut_buf_printf(line,
                  ",\"start_ns\":%llu,\"duration_ns\":%llu,\"status\":\"%s\",\"spans\":%u,\"has_"
                  "root\":%s,\"service\":",
                  (unsigned long long)row->start_ns, (unsigned long long)row->duration_ns,
                  status_name(row->status), row->span_count, row->has_root ? "true" : "false");
    ut_json_put_string(line, row->service);
    ut_buf_add_z(line, ",\"name\":");
    ut_json_put_string(line, row->name);
    ut_buf_add_z(line, "}\n");
    return line->err;
}

static void print_head(listing *list)
{
    ut_term_colour(&list->term, &list->line, UT_COLOUR_BOLD);
    ut_buf_printf(&list->line, "%-32s  %-*s  %*s  %*s  %-*s  %-*s  %s", "trace", TIME_COLUMNS,
                  "began (UTC)", DURATION_COLUMNS, "took", SPANS_COLUMNS, "spans", STATUS_COLUMNS,
                  "status", SERVICE_COLUMNS, "service", "name");
    ut_term_colour(&list->term, &list->line, UT_COLOUR_NONE);
    ut_buf_add_byte(&list->line, '\n');
}

static ut_err print_row(void *context, const ut_trace_row *row)
{
    listing *list = context;
    ut_buf *line = &list->line;
    ut_buf_reset(line, LINE_BYTES_MAX);
    if (list->json) {
        const ut_err err = print_json(list, row);
        if (err != UT_OK)
            return err;
    } else {
        if (list->rows == 0)
            print_head(list);
        char id[2 * UT_TRACE_ID_LEN + 1];
        char began[UT_TEXT_SHORT_MAX];
        char took[UT_TEXT_SHORT_MAX];
        ut_hex_encode(ut_bytes_of(row->trace_id, sizeof(row->trace_id)), id);
        ut_text_time(row->start_ns, began);
        began[19] = 0; // whole seconds are enough here
        began[10] = ' ';
        ut_text_duration(row->duration_ns, took);
        ut_buf_printf(line, "%s  %-*s  %*s  %*u  ", id, TIME_COLUMNS, began, DURATION_COLUMNS, took,
                      SPANS_COLUMNS, row->span_count);
        ut_term_colour(&list->term, line,
                       row->status == UT_STATUS_ERROR ? UT_COLOUR_RED : UT_COLOUR_DIM);
        ut_buf_printf(line, "%-*s", STATUS_COLUMNS, status_name(row->status));
        ut_term_colour(&list->term, line, UT_COLOUR_NONE);
        ut_buf_add_z(line, "  ");
        ut_term_text(line, row->service.len == 0 ? UT_BYTES_LIT("-") : row->service,
                     SERVICE_COLUMNS, true);
        ut_buf_add_z(line, "  ");
        const uint32_t before = 32 + TIME_COLUMNS + DURATION_COLUMNS + SPANS_COLUMNS +
                                STATUS_COLUMNS + SERVICE_COLUMNS + 12;
        const uint32_t room = list->term.width > before + 12 ? list->term.width - before : 40;
        ut_term_text(line, row->name, room, false);
        if (!row->has_root) {
            ut_term_colour(&list->term, line, UT_COLOUR_DIM);
            ut_buf_add_z(line, " (no root yet)");
            ut_term_colour(&list->term, line, UT_COLOUR_NONE);
        }
        ut_buf_add_byte(line, '\n');
    }
    list->rows++;
    return fwrite(line->data, 1, line->len, stdout) == line->len ? UT_OK : UT_EIO;
}

enum { OPTION_JSON = 256 };
static const struct option options[] = {
    {"data-dir", required_argument, NULL, 'd'}, {"config", required_argument, NULL, 'c'},
    {"limit", required_argument, NULL, 'n'},    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};

static int run(int argc, char **argv)
{
    const char *data_dir_z = NULL;
    const char *config_z = NULL;
    uint64_t limit = LIMIT_DEFAULT;
    listing list = {.term = ut_term_stdout()};
    ut_cli_reader reader;
    ut_fault fault;

    for (int option; (option = getopt_long(argc, argv, ":d:c:n:h", options, NULL)) != -1;) {
        switch (option) {
        case 'd':
            data_dir_z = optarg;
            break;
        case 'c':
            config_z = optarg;
            break;
        case 'n':
            if (!ut_cli_number(optarg, LIMIT_MAX, &limit) || limit == 0)
                return ut_cli_usage("traces", "--limit takes a number of 1 to %d, not \"%s\"",
                                    LIMIT_MAX, optarg);
            break;
        case OPTION_JSON:
            list.json = true;
            break;
        case 'h':
            (void)fputs(help, stdout);
            return EX_OK;
        default:
            return ut_cli_usage("traces",
                                option == ':' ? "%s needs a value" : "%s is not an option",
                                argv[optind - 1]);
        }
    }
    if (optind < argc)
        return ut_cli_usage("traces", "\"%s\" is one word too many", argv[optind]);

    ut_err err = ut_cli_reader_open(data_dir_z, config_z, &reader, &fault);
    if (err != UT_OK)
        return ut_cli_fail(&fault);
    ut_buf_init(&list.line, LINE_BYTES_MAX);
    err = ut_query_traces(reader.view, UT_ORG_DEFAULT, (uint32_t)limit, print_row, &list);
    if (err == UT_OK && list.rows == 0 && !list.json)
        (void)printf("there are no traces yet; `untrace send` makes some\n");
    ut_buf_free(&list.line);
    ut_cli_reader_close(&reader);
    if (err == UT_OK)
        return EX_OK;
    (void)ut_fault_set(&fault, err, "the listing ended early: %s", ut_err_text(err));
    return ut_cli_fail(&fault);
}

const ut_command ut_command_traces = {
    .name_z = "traces",
    .run = run,
    .summary_z = "list the newest traces of a data directory",
    .help_z = help,
    .options = options,
};
