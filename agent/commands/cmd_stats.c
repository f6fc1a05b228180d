// `untrace stats`: how many, how long, how many failed, what models cost, in groups.
#include "agent/commands/command.h"
#include "agent/query/span_search.h"
#include "agent/cli/filter_options.h"
#include "agent/cli/pager.h"
#include "agent/cli/progress_bar.h"
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
    "usage: untrace stats [--by GROUP,...] [--sort KEY] [conditions] [--limit N]\n"
    "                     [--json]\n"
    "\n"
    "Counts the spans that meet the conditions, in groups: how many, how many failed,\n"
    "and how long they took: mean, half of them (p50), nine in ten (p90), 99 in 100\n"
    "(p99) and the longest.\n"
    "\n"
    "  -b, --by GROUP          name (default), service, status, kind, hour, model,\n"
    "                          error, attribute:KEY. model: calls of language models\n"
    "                          with their tokens and cost; error: failed spans by\n"
    "                          name and message. Up to 3 with commas: service,name\n"
    "      --sort KEY          by count (default), errors, rate, mean, p50, p90, p99,\n"
    "                          max, tokens, cost, the greatest first; or group\n"
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

static const struct {
    const char *name_z;
    ut_stats_sort sort;
} sorts[] = {
    {"count", UT_STATS_SORT_COUNT},   {"errors", UT_STATS_SORT_ERRORS},
    {"rate", UT_STATS_SORT_RATE},     {"mean", UT_STATS_SORT_MEAN},
    {"p50", UT_STATS_SORT_P50},       {"p90", UT_STATS_SORT_P90},
    {"p99", UT_STATS_SORT_P99},       {"max", UT_STATS_SORT_MAX},
    {"tokens", UT_STATS_SORT_TOKENS}, {"cost", UT_STATS_SORT_COST},
    {"group", UT_STATS_SORT_LABEL},
};

enum { HEAD_BYTES_MAX = UT_STATS_LABEL_MAX };

typedef struct {
    const char *by_z; // as given
    ut_stats_key keys[UT_STATS_KEYS_MAX];
    uint32_t key_count;
    char heads[UT_STATS_KEYS_MAX][HEAD_BYTES_MAX]; // of the columns; a longer one is cut
    ut_stats_sort sort;
    bool json;
    uint64_t limit; // 0: not given
    const ut_filter_options *options;
} request;

static bool groups_by(const request *wanted, ut_stats_by by)
{
    uint32_t i = 0;
    while (i < wanted->key_count && wanted->keys[i].by != by)
        i++;
    return i < wanted->key_count;
}

// Adds one key. False: it is none, or one too many.
static bool take_key(request *wanted, ut_bytes text)
{
    static const ut_bytes prefix = {(const uint8_t *)"attribute:", sizeof("attribute:") - 1};
    const uint32_t at = wanted->key_count;
    ut_stats_key key = {UT_STATS_BY_NOTHING, UT_BYTES_NONE};
    ut_bytes head = text;
    if (at == UT_STATS_KEYS_MAX)
        return false;
    if (text.len > prefix.len && memcmp(text.data, prefix.data, prefix.len) == 0) {
        head = ut_bytes_of(text.data + prefix.len, text.len - prefix.len);
        key = (ut_stats_key){UT_STATS_BY_ATTRIBUTE, head};
    }
    for (size_t i = 0; i < sizeof(groupings) / sizeof(groupings[0]); i++) {
        if (ut_bytes_equal(text, ut_bytes_of_z(groupings[i].name_z))) {
            key.by = groupings[i].by;
            head = ut_bytes_of_z(groupings[i].head_z);
        }
    }
    if (key.by == UT_STATS_BY_NOTHING || groups_by(wanted, UT_STATS_BY_ERROR))
        return false; // "error" is two columns, and stands last
    (void)snprintf(wanted->heads[at], HEAD_BYTES_MAX, "%.*s", (int)head.len,
                   (const char *)head.data);
    for (uint32_t i = 0; i < at; i++) {
        if (strcmp(wanted->heads[i], wanted->heads[at]) == 0)
            return false; // JSON has one member for each
    }
    wanted->keys[wanted->key_count++] = key;
    return true;
}

// Several keys stand with commas between.
static bool take_grouping(request *wanted, const char *text_z)
{
    wanted->by_z = text_z;
    wanted->key_count = 0;
    for (const char *at = text_z;; at++) {
        const size_t len = strcspn(at, ",");
        if (!take_key(wanted, ut_bytes_of((const uint8_t *)at, len)))
            return false;
        at += len;
        if (*at == 0)
            return true;
    }
}

static bool take_sort(request *wanted, const char *text_z)
{
    for (size_t i = 0; i < sizeof(sorts) / sizeof(sorts[0]); i++) {
        if (strcmp(sorts[i].name_z, text_z) == 0) {
            wanted->sort = sorts[i].sort;
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
    if (row->token_count > 0 || row->cost_count > 0) {
        ut_json_write_uint(json, "input_tokens", row->input_tokens);
        ut_json_write_uint(json, "output_tokens", row->output_tokens);
        ut_json_write_uint(json, "total_tokens", row->total_tokens);
        ut_json_write_uint(json, "cached_tokens", row->cached_tokens);
        ut_json_write_uint(json, "reasoning_tokens", row->reasoning_tokens);
        ut_json_write_uint(json, "token_count", row->token_count);
        ut_json_write_double(json, "cost_usd", row->cost_usd);
        ut_json_write_uint(json, "cost_count", row->cost_count);
    }
}

// One key gives "label"; several give "labels", an object with one member a key.
static void write_labels(ut_json_writer *json, const request *wanted, const ut_stats_row *row)
{
    const bool several = wanted->key_count > 1;
    if (several)
        ut_json_write_object(json, "labels");
    for (uint32_t i = 0; i < wanted->key_count; i++)
        ut_json_write_text(json, several ? wanted->heads[i] : "label", row->labels[i]);
    if (groups_by(wanted, UT_STATS_BY_ERROR))
        ut_json_write_text(json, "message", row->labels[wanted->key_count]);
    if (several)
        ut_json_write_close(json);
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
        write_labels(&json, wanted, &rows[i]);
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

// The only key is "error".
static bool is_patterns(const request *wanted)
{
    return wanted->key_count == 1 && wanted->keys[0].by == UT_STATS_BY_ERROR;
}

// What follows the labels where the only key is "error".
static void add_error(ut_table *table, const ut_stats_row *row)
{
    char text_z[UT_TEXT_SHORT_MAX];
    ut_table_number(table, row->count, UT_COLOUR_NONE);
    ut_table_duration(table, row->p50_ns);
    ut_span_began(row->last_start_ns, text_z);
    ut_table_cell_z(table, text_z, UT_COLOUR_DIM);
    ut_hex_encode(ut_bytes_of(row->last_trace_id, UT_TRACE_ID_LEN), text_z);
    ut_table_cell_z(table, text_z, UT_COLOUR_NONE);
}

static void add_label(ut_table *table, const request *wanted, const ut_stats_row *row, uint32_t i)
{
    const bool message = i == wanted->key_count; // the second label of "error"
    char text_z[UT_TEXT_SHORT_MAX];
    if (!message && wanted->keys[i].by == UT_STATS_BY_HOUR && !row->other) {
        // The hours are those of UTC, which begin at half past where clocks are so far ahead.
        ut_span_began(row->first_start_ns / UT_NS_PER_HOUR * UT_NS_PER_HOUR, text_z);
        text_z[HOUR_LABEL_LEN] = 0;
        ut_table_cell_z(table, text_z, UT_COLOUR_NONE);
    } else {
        ut_table_cell(table, row->labels[i].len > 0 || message ? row->labels[i] : UT_BYTES_LIT("-"),
                      message ? UT_COLOUR_RED : UT_COLOUR_NONE);
    }
}

// "2140", with a part that is of a kind "2140 (400 cached)"; "-" where no call states any.
static void add_tokens(ut_table *table, const ut_stats_row *row, uint64_t tokens, uint64_t part,
                       const char *part_z)
{
    char text_z[2 * UT_TEXT_SHORT_MAX] = "-";
    if (row->token_count > 0 && part == 0)
        (void)snprintf(text_z, sizeof(text_z), "%llu", (unsigned long long)tokens);
    else if (row->token_count > 0)
        (void)snprintf(text_z, sizeof(text_z), "%llu (%llu %s)", (unsigned long long)tokens,
                       (unsigned long long)part, part_z);
    ut_table_cell_z(table, text_z, UT_COLOUR_NONE);
}

// "$0.0127", and "$0.0127 (2 of 7)" where that is the cost of 2 of 7 calls.
static void add_cost(ut_table *table, const ut_stats_row *row)
{
    char cost_z[UT_SPAN_COST_MAX];
    char text_z[UT_SPAN_COST_MAX + 2 * UT_TEXT_SHORT_MAX] = "-";
    ut_span_cost(row->cost_usd, cost_z);
    if (row->cost_count > 0 && row->cost_count == row->call_count)
        (void)snprintf(text_z, sizeof(text_z), "%s", cost_z);
    else if (row->cost_count > 0)
        (void)snprintf(text_z, sizeof(text_z), "%s (%llu of %llu)", cost_z,
                       (unsigned long long)row->cost_count, (unsigned long long)row->call_count);
    ut_table_cell_z(table, text_z, UT_COLOUR_NONE);
}

// total: the row is that of all groups.
static void add_row(ut_table *table, const request *wanted, const ut_stats_row *row, bool total)
{
    const ut_colour colour = total ? UT_COLOUR_BOLD : UT_COLOUR_NONE;
    const uint32_t labels = wanted->key_count + groups_by(wanted, UT_STATS_BY_ERROR);
    for (uint32_t i = 0; i < labels; i++) {
        if (total)
            ut_table_cell_z(table, i == 0 ? "all" : "", colour);
        else
            add_label(table, wanted, row, i);
    }
    if (is_patterns(wanted)) {
        add_error(table, row);
        return;
    }
    ut_table_number(table, row->count, colour);
    add_rate(table, row);
    if (groups_by(wanted, UT_STATS_BY_MODEL)) {
        add_tokens(table, row, row->input_tokens, row->cached_tokens, "cached");
        add_tokens(table, row, row->output_tokens, row->reasoning_tokens, "reasoning");
        add_tokens(table, row, row->total_tokens, 0, "");
        add_cost(table, row);
    }
    add_times(table, row);
}

// clang-format off
static const ut_table_column time_columns[] = {
    {"count", .right = true}, {"errors", .right = true},
    {"rate", .right = true}, {"mean", .right = true, .from_width = 100}, {"p50", .right = true},
    {"p90", .right = true, .from_width = 90}, {"p99", .right = true}, {"max", .right = true},
};
static const ut_table_column model_columns[] = {
    {"calls", .right = true}, {"errors", .right = true},
    {"rate", .right = true, .from_width = 110}, {"in", .right = true}, {"out", .right = true},
    {"tokens", .right = true}, {"cost", .right = true},
    {"mean", .right = true, .from_width = 130}, {"p50", .right = true},
    {"p90", .right = true, .from_width = 130}, {"p99", .right = true, .from_width = 100},
    {"max", .right = true, .from_width = 110},
};
static const ut_table_column error_columns[] = {
    {"count", .right = true},
    {"p50", .right = true, .from_width = 100}, {"last", .time = true, .from_width = 90},
    {"last trace", .from_width = 120},
};
// clang-format on

static ut_err print_table(const request *wanted, const ut_stats_row *rows, uint32_t count,
                          const ut_stats_row *total)
{
    ut_table_column columns[UT_TABLE_COLUMNS_MAX];
    ut_table table;
    const bool patterns = is_patterns(wanted);
    const bool model = groups_by(wanted, UT_STATS_BY_MODEL);
    const ut_table_column *from = patterns ? error_columns : model ? model_columns : time_columns;
    const size_t from_bytes = patterns ? sizeof(error_columns)
                              : model  ? sizeof(model_columns)
                                       : sizeof(time_columns);
    const uint64_t limit = wanted->limit == 0 ? TABLE_LIMIT_DEFAULT : wanted->limit;
    uint32_t column_count = 0;
    ut_err err = UT_OK;

    if (total->count == 0) {
        ut_filter_options_found_nothing(wanted->options, "no span meets these conditions");
        return UT_OK;
    }
    for (; column_count < wanted->key_count; column_count++)
        columns[column_count] =
            (ut_table_column){.head_z = wanted->heads[column_count],
                              .cut = true,
                              .time = wanted->keys[column_count].by == UT_STATS_BY_HOUR};
    if (groups_by(wanted, UT_STATS_BY_ERROR))
        columns[column_count++] = (ut_table_column){"message", .cut = true};
    UT_ASSERT(column_count + from_bytes / sizeof(*from) <= UT_TABLE_COLUMNS_MAX);
    memcpy(columns + column_count, from, from_bytes);
    column_count += (uint32_t)(from_bytes / sizeof(*from));
    ut_table_init(&table, columns, column_count);
    for (uint32_t i = 0; i < count && i < limit && err == UT_OK; i++) {
        add_row(&table, wanted, &rows[i], false);
        err = ut_table_end_row(&table);
    }
    if (err == UT_OK && !patterns && count > 1) {
        add_row(&table, wanted, total, true);
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
    ut_progress_bar bar = {.begun = false};
    ut_pager pager = {.process = 0};
    ut_stats_row total = {0};
    uint32_t count = 0;
    ut_span_search_begin(&search, &options->filter, options->oldest_first);
    search.progress = ut_progress_bar_blocks;
    search.progress_context = &bar;
    ut_err err = ut_stats_new_keys(wanted->keys, wanted->key_count, &stats);
    if (err == UT_OK)
        ut_stats_set_prices(stats, &reader->llm_prices);
    if (err == UT_OK && !nothing)
        err = ut_span_search_run(&search, reader, 0, ut_stats_add, NULL, stats);
    ut_progress_bar_end(&bar);
    if (err == UT_OK) {
        const ut_stats_row *rows = ut_stats_rows(stats, wanted->sort, &count, &total);
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

enum { OPTION_HOURS = UT_OPTION_OWN, OPTION_PIPELINE, OPTION_SORT };
static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE,
                                            UT_OPTION_ROWS_SHOW,
                                            UT_FILTER_ROWS,
                                            UT_OPTION_ROW_JSON,
                                            {"by", required_argument, NULL, 'b'},
                                            {"sort", required_argument, NULL, OPTION_SORT},
                                            {"limit", required_argument, NULL, 'n'},
                                            {"hours", required_argument, NULL, OPTION_HOURS},
                                            {"pipeline", required_argument, NULL, OPTION_PIPELINE},
                                            UT_OPTION_ROWS_END};

static int run(int argc, char **argv)
{
    const ut_options line = {.command_z = "stats", .help_z = help, .rows = option_rows};
    ut_filter_options options;
    request wanted = {.key_count = 0};
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
                                    "attribute:KEY, up to 3 with commas, error last, not \"%s\"",
                                    optarg);
            break;
        case OPTION_SORT:
            if (!take_sort(&wanted, optarg))
                return ut_cli_usage("stats",
                                    "--sort takes count, errors, rate, mean, p50, p90, p99, max, "
                                    "tokens, cost or group, not \"%s\"",
                                    optarg);
            break;
        case OPTION_HOURS:
            if (!ut_cli_number(optarg, HOURS_MAX, &hours) || hours == 0)
                return ut_cli_usage("stats", "--hours takes a number of 1 to %d, not \"%s\"",
                                    HOURS_MAX, optarg);
            break;
        default:
            code = options.filter.service.len > 0
                       ? ut_cli_usage("stats", "--pipeline and --service say the same: give one")
                       : ut_filter_options_text("stats", "--pipeline", optarg,
                                                &options.filter.service);
            if (code != EX_OK)
                return code;
        }
    }
    if (options.line.ended)
        return options.line.code;
    if (hours > 0 && options.time_given)
        return ut_cli_usage("stats", "--hours is given, and --since or --until: give one of them");
    if (hours > 0)
        options.filter.start_ns = options.now_ns - hours * UINT64_C(3600000000000);
    if (wanted.key_count == 0)
        (void)take_grouping(&wanted, "name");
    wanted.options = &options;
    wanted.limit = options.limit;
    wanted.json = options.line.json;
    // A span without a model is in no group, so the search leaves it out.
    if (groups_by(&wanted, UT_STATS_BY_MODEL))
        options.filter.llm_only = true;
    if (groups_by(&wanted, UT_STATS_BY_ERROR))
        code = ut_filter_options_errors(&options, "the groups of --by error");
    if (code != EX_OK)
        return code;
    code = ut_filter_options_open(&options, &reader, &nothing);
    if (code != EX_OK)
        return code;
    const ut_err err = count_spans(&wanted, &options, &reader, nothing, &fault);
    ut_reader_close(&reader);
    if (err == UT_OK)
        return reader.damaged ? EX_DATAERR : EX_OK;
    return ut_cli_fail(&fault);
}

const ut_command ut_command_stats = {
    .name_z = "stats",
    .run = run,
    .summary_z = "count spans in groups: how many, how long, how many failed",
    .help_z = help,
    .options = option_rows,
};
