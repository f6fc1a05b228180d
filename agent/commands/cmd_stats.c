// `untrace stats`: how many, how long, how many failed, what models cost, in groups.
#include "agent/commands/command.h"
#include "agent/query/span_search.h"
#include "agent/cli/filter_options.h"
#include "agent/cli/pager.h"
#include "agent/cli/span_text.h"
#include "agent/cli/table.h"

#include "adapters/encoding/json_write.h"
#include "adapters/plain/json_time.h"
#include "agent/query/reader.h"
#include "port/base/text.h"
#include "port/base/time_units.h"
#include "port/port.h"
#include "storage/query/stats.h"

#include <stdio.h>

// clang-format off
static const char help[] =
    "usage: untrace stats [--by GROUP] [conditions] [--limit N] [--json]\n"
    "\n"
    "Counts the spans that meet the conditions, in groups: how many, how many failed,\n"
    "and how long they took: mean, half of them (p50), nine in ten (p90), 99 in 100\n"
    "(p99) and the longest.\n"
    "\n"
    "  -b, --by GROUP          name (default), service, status, kind, hour, model,\n"
    "                          error, attribute:KEY. model: calls of language models\n"
    "                          with their tokens and cost; error: failed spans by\n"
    "                          name and message\n"
    "  -n, --limit N           at most N groups (default 50; with --json all)\n"
    "      --hours N           that began in the last N hours: the same as --since Nh\n"
    "      --pipeline GLOB     the same as --service GLOB\n"
    "      --json              one JSON object; times are nanoseconds\n"
    UT_FILTER_HELP
    "Where and how:\n"
    UT_OPTION_HELP_WHERE
    UT_OPTION_HELP_SHOW
    "\n"
    "  untrace stats --by service --since 1h\n"
    "  untrace stats --by attribute:http.route --service checkout\n";
// clang-format on

enum {
    TABLE_LIMIT_DEFAULT = 50,
    HOURS_MAX = 24 * 366 * 30,
    OUTPUT_BYTES_MAX = 64 * 1024 * 1024,
    HOUR_LABEL_LEN = 16, // "2026-11-20 18:00"
};

typedef struct {
    const char *name_z;
    const char *head_z;
    ut_stats_by by;
} grouping;

static const grouping groupings[] = {
    {"name", "name", UT_STATS_BY_NAME},       {"service", "service", UT_STATS_BY_SERVICE},
    {"status", "status", UT_STATS_BY_STATUS}, {"kind", "kind", UT_STATS_BY_KIND},
    {"hour", "hour", UT_STATS_BY_HOUR},       {"model", "model", UT_STATS_BY_MODEL},
    {"error", "name", UT_STATS_BY_ERROR},
};

typedef struct {
    const char *by_z; // as given
    const char *head_z;
    ut_stats_by by;
    ut_bytes attribute;
    bool json;
    uint64_t limit; // 0: not given
} request;

static bool take_grouping(request *wanted, const char *text_z)
{
    static const char prefix_z[] = "attribute:";
    const size_t prefix_len = sizeof(prefix_z) - 1;
    wanted->by_z = text_z;
    if (strncmp(text_z, prefix_z, prefix_len) == 0 && text_z[prefix_len] != 0) {
        wanted->by = UT_STATS_BY_ATTRIBUTE;
        wanted->attribute = ut_bytes_of_z(text_z + prefix_len);
        wanted->head_z = text_z + prefix_len;
        return true;
    }
    for (size_t i = 0; i < sizeof(groupings) / sizeof(groupings[0]); i++) {
        if (strcmp(groupings[i].name_z, text_z) == 0) {
            wanted->by = groupings[i].by;
            wanted->head_z = groupings[i].head_z;
            return true;
        }
    }
    return false;
}

// ---- JSON ----

static void write_row(ut_json_writer *json, const ut_stats_row *row)
{
    const uint64_t count = row->count == 0 ? 1 : row->count;
    ut_json_write_uint(json, "count", row->count);
    ut_json_write_uint(json, "errors", row->errors);
    ut_json_write_double(json, "error_rate", (double)row->errors / (double)count);
    ut_json_write_uint(json, "mean_ns", row->duration_sum_ns / count);
    ut_json_write_uint(json, "min_ns", row->duration_min_ns);
    ut_json_write_uint(json, "p50_ns", row->p50_ns);
    ut_json_write_uint(json, "p90_ns", row->p90_ns);
    ut_json_write_uint(json, "p99_ns", row->p99_ns);
    ut_json_write_uint(json, "max_ns", row->duration_max_ns);
    ut_json_time(json, "first_start", row->first_start_ns);
    ut_json_time(json, "last_start", row->last_start_ns);
    if (row->count > 0)
        ut_json_write_hex(json, "last_trace_id", ut_bytes_of(row->last_trace_id, UT_TRACE_ID_LEN));
    if (row->total_tokens > 0 || row->cost_count > 0) {
        ut_json_write_uint(json, "input_tokens", row->input_tokens);
        ut_json_write_uint(json, "output_tokens", row->output_tokens);
        ut_json_write_uint(json, "total_tokens", row->total_tokens);
        ut_json_write_double(json, "cost_usd", row->cost_usd);
        ut_json_write_uint(json, "cost_count", row->cost_count);
    }
}

static ut_err print_json(const request *wanted, const ut_stats_row *rows, uint32_t count,
                         const ut_stats_row *total)
{
    ut_buf out;
    ut_err err = UT_OK;
    ut_buf_init(&out, OUTPUT_BYTES_MAX);
    ut_json_writer json = ut_json_writer_of(&out);
    ut_json_write_object(&json, NULL);
    ut_json_write_text_z(&json, "by", wanted->by_z);
    ut_json_write_array(&json, "groups");
    for (uint32_t i = 0; i < count && err == UT_OK; i++) {
        ut_json_write_object(&json, NULL);
        ut_json_write_text(&json, "label", rows[i].label);
        if (wanted->by == UT_STATS_BY_ERROR)
            ut_json_write_text(&json, "message", rows[i].label2);
        write_row(&json, &rows[i]);
        ut_json_write_close(&json);
        err = ut_term_write(&out);
    }
    ut_json_write_close(&json);
    ut_json_write_object(&json, "total");
    write_row(&json, total);
    ut_json_write_close(&json);
    ut_json_write_close(&json);
    ut_json_write_line(&json);
    if (err == UT_OK)
        err = ut_term_write(&out);
    ut_buf_free(&out);
    return err;
}

// ---- tables ----

static void add_rate(ut_table *table, const ut_stats_row *row)
{
    char text_z[UT_TEXT_SHORT_MAX];
    const double percent = row->count == 0 ? 0 : 100.0 * (double)row->errors / (double)row->count;
    ut_table_number(table, row->errors, row->errors > 0 ? UT_COLOUR_RED : UT_COLOUR_DIM);
    (void)snprintf(text_z, sizeof(text_z), percent < 10 ? "%.2f %%" : "%.1f %%", percent);
    ut_table_cell_z(table, row->errors == 0 ? "-" : text_z,
                    row->errors > 0 ? UT_COLOUR_RED : UT_COLOUR_DIM);
}

static void add_times(ut_table *table, const ut_stats_row *row)
{
    ut_table_duration(table, row->count == 0 ? 0 : row->duration_sum_ns / row->count);
    ut_table_duration(table, row->p50_ns);
    ut_table_duration(table, row->p90_ns);
    ut_table_duration(table, row->p99_ns);
    ut_table_duration(table, row->duration_max_ns);
}

static void add_row(ut_table *table, ut_stats_by by, const ut_stats_row *row, const char *label_z)
{
    const ut_bytes label = label_z != NULL      ? ut_bytes_of_z(label_z)
                           : row->label.len > 0 ? row->label
                                                : UT_BYTES_LIT("-");
    const ut_colour colour = label_z != NULL ? UT_COLOUR_BOLD : UT_COLOUR_NONE;
    char text_z[UT_TEXT_SHORT_MAX];
    if (by == UT_STATS_BY_HOUR && label_z == NULL && !row->other) {
        // The hours are those of UTC, which begin at half past where clocks are so far ahead.
        ut_span_began(row->first_start_ns / UT_NS_PER_HOUR * UT_NS_PER_HOUR, text_z);
        text_z[HOUR_LABEL_LEN] = 0;
        ut_table_cell_z(table, text_z, colour);
    } else {
        ut_table_cell(table, label, colour);
    }
    if (by == UT_STATS_BY_ERROR) {
        ut_table_cell(table, row->label2, UT_COLOUR_RED);
        ut_table_number(table, row->count, UT_COLOUR_NONE);
        ut_table_duration(table, row->p50_ns);
        ut_span_began(row->last_start_ns, text_z);
        ut_table_cell_z(table, text_z, UT_COLOUR_DIM);
        ut_hex_encode(ut_bytes_of(row->last_trace_id, UT_TRACE_ID_LEN), text_z);
        ut_table_cell_z(table, text_z, UT_COLOUR_NONE);
        return;
    }
    ut_table_number(table, row->count, colour);
    add_rate(table, row);
    if (by == UT_STATS_BY_MODEL) {
        ut_table_number(table, row->input_tokens, UT_COLOUR_NONE);
        ut_table_number(table, row->output_tokens, UT_COLOUR_NONE);
        ut_table_number(table, row->total_tokens, UT_COLOUR_NONE);
        if (row->cost_count > 0)
            ut_span_cost(row->cost_usd, text_z);
        ut_table_cell_z(table, row->cost_count > 0 ? text_z : "-", UT_COLOUR_NONE);
    }
    add_times(table, row);
}

// clang-format off
static const ut_table_column time_columns[] = {
    {NULL, .cut = true}, {"count", .right = true}, {"errors", .right = true},
    {"rate", .right = true}, {"mean", .right = true, .from_width = 100}, {"p50", .right = true},
    {"p90", .right = true, .from_width = 90}, {"p99", .right = true}, {"max", .right = true},
};
static const ut_table_column model_columns[] = {
    {NULL, .cut = true}, {"calls", .right = true}, {"errors", .right = true},
    {"rate", .right = true, .from_width = 110}, {"in", .right = true}, {"out", .right = true},
    {"tokens", .right = true}, {"cost", .right = true},
    {"mean", .right = true, .from_width = 130}, {"p50", .right = true},
    {"p90", .right = true, .from_width = 130}, {"p99", .right = true, .from_width = 100},
    {"max", .right = true, .from_width = 110},
};
static const ut_table_column error_columns[] = {
    {NULL, .cut = true}, {"message", .cut = true}, {"count", .right = true},
    {"p50", .right = true, .from_width = 100}, {"last", .time = true, .from_width = 90},
    {"last trace", .from_width = 120},
};
// clang-format on

static ut_err print_table(const request *wanted, const ut_stats_row *rows, uint32_t count,
                          const ut_stats_row *total)
{
    ut_table_column columns[UT_TABLE_COLUMNS_MAX];
    ut_table table;
    const bool error = wanted->by == UT_STATS_BY_ERROR;
    const bool model = wanted->by == UT_STATS_BY_MODEL;
    const ut_table_column *from = error ? error_columns : model ? model_columns : time_columns;
    const size_t column_count = (error   ? sizeof(error_columns)
                                 : model ? sizeof(model_columns)
                                         : sizeof(time_columns)) /
                                sizeof(columns[0]);
    const uint64_t limit = wanted->limit == 0 ? TABLE_LIMIT_DEFAULT : wanted->limit;
    ut_err err = UT_OK;

    if (total->count == 0) {
        (void)fprintf(stderr, "no span meets these conditions\n");
        return UT_OK;
    }
    memcpy(columns, from, column_count * sizeof(columns[0]));
    columns[0].head_z = wanted->head_z;
    columns[0].time = wanted->by == UT_STATS_BY_HOUR;
    ut_table_init(&table, columns, (uint32_t)column_count);
    for (uint32_t i = 0; i < count && i < limit && err == UT_OK; i++) {
        add_row(&table, wanted->by, &rows[i], NULL);
        err = ut_table_end_row(&table);
    }
    if (err == UT_OK && !error && count > 1) {
        add_row(&table, wanted->by, total, "all");
        err = ut_table_end_row(&table);
    }
    if (err == UT_OK)
        err = ut_table_flush(&table);
    ut_table_free(&table);
    if (err == UT_OK && count > limit)
        (void)fprintf(stderr, "%llu more groups; --limit %u shows all\n",
                      (unsigned long long)(count - limit), count);
    return err;
}

// ---- the command ----

static ut_err count_spans(const request *wanted, ut_filter_options *options, ut_reader *reader,
                          bool nothing, ut_fault *fault)
{
    ut_span_search search;
    ut_stats *stats = NULL;
    ut_pager pager = {.process = 0};
    ut_stats_row total = {0};
    uint32_t count = 0;
    ut_span_search_begin(&search, &options->filter, options->oldest_first);
    ut_err err = ut_stats_new(wanted->by, wanted->attribute, &stats);
    if (err == UT_OK && !nothing)
        err = ut_span_search_run(&search, reader, 0, ut_stats_add, NULL, stats);
    if (err == UT_OK) {
        const ut_stats_row *rows = ut_stats_rows(stats, &count, &total);
        if (wanted->json && wanted->limit > 0 && wanted->limit < count)
            count = (uint32_t)wanted->limit;
        ut_pager_begin(&pager, &options->line);
        err = wanted->json ? print_json(wanted, rows, count, &total)
                           : print_table(wanted, rows, count, &total);
    }
    ut_span_search_warn(&search);
    ut_pager_end(&pager);
    ut_stats_free(stats);
    if (err != UT_OK)
        (void)ut_fault_set(fault, err, "the statistics ended early: %s", ut_err_text(err));
    return err == UT_ECLOSED ? UT_OK : err; // nobody reads any more
}

enum { OPTION_HOURS = UT_OPTION_OWN, OPTION_PIPELINE };
static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE,
                                            UT_OPTION_ROWS_SHOW,
                                            UT_FILTER_ROWS,
                                            UT_OPTION_ROW_JSON,
                                            {"by", required_argument, NULL, 'b'},
                                            {"limit", required_argument, NULL, 'n'},
                                            {"hours", required_argument, NULL, OPTION_HOURS},
                                            {"pipeline", required_argument, NULL, OPTION_PIPELINE},
                                            UT_OPTION_ROWS_END};

static int run(int argc, char **argv)
{
    const ut_options line = {.command_z = "stats", .help_z = help, .rows = option_rows};
    ut_filter_options options;
    request wanted = {.by_z = "name", .head_z = "name", .by = UT_STATS_BY_NAME};
    ut_reader reader;
    ut_fault fault;
    uint64_t hours = 0;
    bool nothing;
    int code = EX_OK;

    ut_filter_options_init(&options, &line, 0, ut_clock_wall_ns());
    options.oldest_first = true; // the order does not matter here, and this one is cheaper
    for (int option; (option = ut_filter_options_next(&options, argc, argv)) != -1;) {
        switch (option) {
        case 'b':
            if (!take_grouping(&wanted, optarg))
                return ut_cli_usage("stats",
                                    "--by takes name, service, status, kind, hour, model, error or "
                                    "attribute:KEY, not \"%s\"",
                                    optarg);
            break;
        case OPTION_HOURS:
            if (!ut_cli_number(optarg, HOURS_MAX, &hours) || hours == 0)
                return ut_cli_usage("stats", "--hours takes a number of 1 to %d, not \"%s\"",
                                    HOURS_MAX, optarg);
            break;
        default:
            code = ut_filter_options_text("stats", "--pipeline", optarg, &options.filter.service);
            if (code != EX_OK)
                return code;
        }
    }
    if (options.line.ended)
        return options.line.code;
    if (hours > 0 && options.filter.start_ns > 0)
        return ut_cli_usage("stats", "--hours and --since say the same: give one of them");
    if (hours > 0)
        options.filter.start_ns = options.now_ns - hours * UINT64_C(3600000000000);
    wanted.limit = options.limit;
    wanted.json = options.line.json;
    // A span without a model is in no group, so the search leaves it out.
    if (wanted.by == UT_STATS_BY_MODEL)
        options.filter.llm_only = true;
    if (wanted.by == UT_STATS_BY_ERROR)
        options.filter.statuses = UINT8_C(1) << UT_STATUS_ERROR;
    code = ut_filter_options_open(&options, &reader, &nothing);
    if (code != EX_OK)
        return code;
    const ut_err err = count_spans(&wanted, &options, &reader, nothing, &fault);
    ut_reader_close(&reader);
    return err == UT_OK ? EX_OK : ut_cli_fail(&fault);
}

const ut_command ut_command_stats = {
    .name_z = "stats",
    .run = run,
    .summary_z = "count spans in groups: how many, how long, how many failed",
    .help_z = help,
    .options = option_rows,
};
