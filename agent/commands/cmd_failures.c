// `untrace failures`: what failed lately, as patterns and one by one.
#include "agent/commands/command.h"
#include "agent/query/follow.h"
#include "agent/cli/filter_options.h"
#include "agent/cli/pager.h"
#include "agent/cli/progress_bar.h"
#include "agent/cli/span_text.h"
#include "agent/cli/table.h"

#include "adapters/encoding/json_write.h"
#include "adapters/plain/json_time.h"
#include "agent/query/reader.h"
#include "port/base/text.h"
#include "port/port.h"
#include "storage/span/filter_preset.h"
#include "storage/query/stats.h"

#include <stdio.h>

// clang-format off
static const char help[] =
    "usage: untrace failures [--hours N] [--type GLOB] [--patterns] [conditions]\n"
    "                        [--follow] [--json]\n"
    "\n"
    "Shows the spans with status error that began in the last 24 hours: their\n"
    "patterns (name and message, the most frequent first), then the latest of them.\n"
    "\n"
    "      --hours N           that began in the last N hours (default 24); --since\n"
    "                          and --until instead say it exactly\n"
    "      --type GLOB         with this error.type attribute, or this exception.type\n"
    "                          in an event\n"
    "      --patterns          the patterns only\n"
    "  -f, --follow            instead of patterns the last 10 failures (or --limit\n"
    "                          N), then each that arrives, until Ctrl-C\n"
    "  -n, --limit N           at most N patterns and N spans (default 10)\n"
    UT_OPTION_HELP_JSON
    UT_FILTER_HELP
    "Where and how:\n"
    UT_OPTION_HELP_WHERE
    UT_OPTION_HELP_SHOW
    "\n"
    "  untrace failures --hours 1 --service payments\n"
    "  untrace failures --type '*Timeout*' --patterns\n";
// clang-format on

enum {
    HOURS_DEFAULT = 24,
    HOURS_MAX = 24 * 366 * 30,
    LIMIT_DEFAULT = 10,
    LIMIT_MAX = UT_TABLE_ROWS_MAX, // the latest are held back until the patterns are printed
    OUTPUT_BYTES_MAX = 256 * 1024 * 1024,
};

typedef struct {
    bool patterns_only;
    bool json;
    bool follow;
    const ut_filter_options *options;
    uint64_t hours; // unless a time was given
    bool of_type;   // --type was given
    uint64_t limit;
    ut_stats *patterns;
    ut_table latest;
    ut_buf out;                 // JSON: the array of the latest
    ut_json_writer latest_json; // over out
    uint64_t found;
    char when_z[64]; // the time that the search covers, for the head
} listing;

// clang-format off
static const ut_table_column pattern_columns[] = {
    {"count", .right = true}, {"last", .time = true, .from_width = 90}, {"name", .cut = true},
    {"message", .cut = true}, {.head_z = "last trace"},
};
static const ut_table_column latest_columns[] = {
    {"began", .time = true, .from_width = 80}, {.head_z = "trace"}, {"took", .right = true},
    {"service", .cut = true}, {"name", .cut = true}, {"type", .cut = true, .from_width = 100},
    {"message", .cut = true},
};
// clang-format on

// Puts an id into a table; its beginning where the terminal is narrow.
static void add_trace_id(ut_table *table, ut_bytes id)
{
    char text_z[2 * UT_TRACE_ID_LEN + 1];
    ut_hex_encode(id, text_z);
    if (table->term.terminal && table->term.width < 140)
        text_z[12] = 0;
    ut_table_cell_z(table, text_z, UT_COLOUR_NONE);
}

static void add_began(ut_table *table, uint64_t start_ns)
{
    char text_z[UT_TEXT_SHORT_MAX];
    ut_span_began(start_ns, text_z);
    const bool narrow = table->term.terminal && table->term.width < 120;
    ut_table_cell_z(table, narrow ? text_z + 5 : text_z, UT_COLOUR_DIM);
}

static void add_latest(listing *list, const ut_trace_span *found)
{
    const ut_span *span = &found->span;
    ut_table *table = &list->latest;
    const ut_bytes service = ut_span_service(found->resource.attributes);
    const ut_bytes type = ut_span_error_type(span);
    add_began(table, span->start_ns);
    add_trace_id(table, span->trace_id);
    ut_table_duration(table, ut_span_duration_ns(span->start_ns, span->end_ns));
    ut_table_cell(table, service.len == 0 ? UT_BYTES_LIT("-") : service, UT_COLOUR_NONE);
    ut_table_cell(table, span->name.len == 0 ? UT_BYTES_LIT("(no name)") : span->name,
                  UT_COLOUR_NONE);
    ut_table_cell(table, type.len == 0 ? UT_BYTES_LIT("-") : type, UT_COLOUR_NONE);
    ut_table_cell(table, span->status_message, UT_COLOUR_RED);
}

static ut_err visit(void *context, const ut_trace_span *found)
{
    listing *list = context;
    if (found->span.trace_id.len != UT_TRACE_ID_LEN)
        return UT_ECORRUPT;
    list->found++;
    if (list->found <= list->limit && !list->patterns_only) {
        if (list->json) {
            ut_json_write_object(&list->latest_json, NULL);
            ut_span_json(&list->latest_json, &found->span, found->scope.name,
                         found->resource.attributes);
            ut_json_write_close(&list->latest_json);
        } else {
            add_latest(list, found);
        }
    }
    return ut_stats_add(list->patterns, found);
}

static ut_err print_json(listing *list, const ut_stats_row *rows, uint32_t count)
{
    ut_buf head;
    ut_buf_init(&head, OUTPUT_BYTES_MAX);
    ut_json_writer json = ut_json_writer_of(&head);
    ut_json_write_object(&json, NULL);
    ut_json_write_uint(&json, "count", list->found);
    ut_json_write_array(&json, "patterns");
    for (uint32_t i = 0; i < count && i < list->limit; i++) {
        ut_json_write_object(&json, NULL);
        ut_json_write_text(&json, "name", rows[i].labels[0]);
        ut_json_write_text(&json, "message", rows[i].labels[1]);
        ut_json_write_uint(&json, "count", rows[i].count);
        ut_json_time(&json, "first_start", rows[i].first_start_ns);
        ut_json_time(&json, "last_start", rows[i].last_start_ns);
        ut_json_write_hex(&json, "last_trace_id",
                          ut_bytes_of(rows[i].last_trace_id, UT_TRACE_ID_LEN));
        ut_json_write_close(&json);
    }
    ut_json_write_close(&json);
    ut_json_write_close(&list->latest_json);
    ut_err err = UT_OK;
    if (!list->patterns_only) {
        (void)ut_json_write_raw(&json, "failures"); // list->out is the value
        err = ut_term_write(&head);
        if (err == UT_OK)
            err = ut_term_write(&list->out);
    }
    ut_json_write_close(&json);
    ut_json_write_line(&json);
    if (err == UT_OK)
        err = ut_term_write(&head);
    ut_buf_free(&head);
    return err;
}

// Says how to see the failures that are not shown.
static void print_rest(const listing *list)
{
    ut_buf again;
    ut_buf_init(&again, OUTPUT_BYTES_MAX);
    if (!list->options->time_given)
        ut_buf_printf(&again, " --since %lluh", (unsigned long long)list->hours);
    ut_filter_options_repeat(list->options, &again);
    // No condition on spans is --type: its two keys are looked for at once.
    (void)printf("and %llu more; ", (unsigned long long)(list->found - list->limit));
    if (list->of_type)
        (void)printf("--limit %d shows more\n", LIMIT_MAX);
    else
        (void)printf("`untrace spans%.*s` lists all\n", (int)again.len, (const char *)again.data);
    ut_buf_free(&again);
}

static ut_err print_tables(listing *list, const ut_stats_row *rows, uint32_t count)
{
    ut_table patterns;
    ut_table_init(&patterns, pattern_columns, sizeof(pattern_columns) / sizeof(pattern_columns[0]));
    for (uint32_t i = 0; i < count && i < list->limit; i++) {
        ut_table_number(&patterns, rows[i].count, UT_COLOUR_NONE);
        add_began(&patterns, rows[i].last_start_ns);
        ut_table_cell(&patterns,
                      rows[i].labels[0].len == 0 ? UT_BYTES_LIT("(no name)") : rows[i].labels[0],
                      UT_COLOUR_NONE);
        ut_table_cell(&patterns, rows[i].labels[1], UT_COLOUR_RED);
        add_trace_id(&patterns, ut_bytes_of(rows[i].last_trace_id, UT_TRACE_ID_LEN));
    }
    (void)printf("%llu failed span%s %s\n\n", (unsigned long long)list->found,
                 list->found == 1 ? "" : "s", list->when_z);
    ut_err err = ut_table_flush(&patterns);
    ut_table_free(&patterns);
    if (err == UT_OK && count > list->limit)
        (void)printf("and %llu more patterns\n", (unsigned long long)(count - list->limit));
    if (err == UT_OK && !list->patterns_only) {
        (void)printf("\n");
        err = ut_table_flush(&list->latest);
        if (list->found > list->limit)
            print_rest(list);
    }
    return err;
}

static ut_err visit_one(void *context, const ut_trace_span *found)
{
    listing *list = context;
    if (found->span.trace_id.len != UT_TRACE_ID_LEN)
        return UT_ECORRUPT;
    add_latest(list, found);
    return ut_table_end_row(&list->latest);
}

// Lists the latest, and those that come, until nobody reads any more.
static ut_err follow_failures(listing *list, ut_filter_options *options, ut_reader *reader,
                              ut_fault *fault)
{
    ut_follow follow;
    ut_err err = ut_follow_begin(&follow, reader, options->line.data_dir_z, options->line.config_z,
                                 &options->filter, ut_filter_options_backlog(options), fault);
    if (err != UT_OK)
        return err;
    ut_table_init(&list->latest, latest_columns,
                  sizeof(latest_columns) / sizeof(latest_columns[0]));
    list->latest.grows = true;
    while (err == UT_OK) {
        err = ut_follow_pull(&follow, visit_one, NULL, list);
        if (err == UT_OK)
            err = ut_table_flush(&list->latest);
        if (err == UT_OK)
            err = ut_follow_wait(&follow, UINT64_MAX);
    }
    ut_table_free(&list->latest);
    ut_follow_end(&follow);
    (void)ut_fault_set(fault, err, "the listing ended: %s", ut_err_text(err));
    return err == UT_ECLOSED ? UT_OK : err; // nobody reads any more
}

static ut_err list_failures(listing *list, const ut_filter_options *options, ut_reader *reader,
                            bool nothing, ut_fault *fault)
{
    ut_span_search search;
    ut_progress_bar bar = {.begun = false};
    ut_pager pager = {.process = 0};
    uint32_t count = 0;
    ut_stats_row total = {0};
    ut_span_search_begin(&search, &options->filter, options->oldest_first);
    search.progress = ut_progress_bar_blocks;
    search.progress_context = &bar;
    ut_table_init(&list->latest, latest_columns,
                  sizeof(latest_columns) / sizeof(latest_columns[0]));
    ut_buf_init(&list->out, OUTPUT_BYTES_MAX);
    list->latest_json = ut_json_writer_of(&list->out);
    ut_json_write_array(&list->latest_json, NULL);
    ut_err err = ut_stats_new(UT_STATS_BY_ERROR, UT_BYTES_NONE, &list->patterns);
    if (err == UT_OK && !nothing)
        err = ut_span_search_run(&search, reader, 0, visit, NULL, list);
    ut_progress_bar_end(&bar);
    if (err == UT_OK) {
        const ut_stats_row *rows =
            ut_stats_rows(list->patterns, UT_STATS_SORT_USUAL, &count, &total);
        ut_pager_begin(&pager, &options->line);
        if (list->json)
            err = print_json(list, rows, count);
        else if (list->found == 0)
            ut_filter_options_found_nothing(options, "no failure meets these conditions");
        else
            err = print_tables(list, rows, count);
    }
    ut_span_search_warn(&search);
    ut_pager_end(&pager);
    ut_stats_free(list->patterns);
    ut_table_free(&list->latest);
    ut_buf_free(&list->out);
    if (err != UT_OK)
        (void)ut_fault_set(fault, err, "the listing ended early: %s", ut_err_text(err));
    return err == UT_ECLOSED ? UT_OK : err; // nobody reads any more
}

enum { OPTION_HOURS = UT_OPTION_OWN, OPTION_TYPE, OPTION_PATTERNS };
static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE,
                                            UT_OPTION_ROWS_SHOW,
                                            UT_FILTER_ROWS,
                                            UT_OPTION_ROW_JSON,
                                            {"hours", required_argument, NULL, OPTION_HOURS},
                                            {"type", required_argument, NULL, OPTION_TYPE},
                                            {"patterns", no_argument, NULL, OPTION_PATTERNS},
                                            {"limit", required_argument, NULL, 'n'},
                                            UT_FOLLOW_ROW,
                                            UT_OPTION_ROWS_END};

// The command line, read.
typedef struct {
    ut_filter_options filter;
    uint64_t hours; // 0: not given
    ut_bytes type;  // none: any error
    bool patterns_only;
    bool follow;
} request;

// False: the command ends with *code.
static bool read_line(request *wanted, int argc, char **argv, int *code)
{
    ut_filter_options *const filter = &wanted->filter;
    for (int option; (option = ut_filter_options_next(filter, argc, argv)) != -1;) {
        *code = EX_OK;
        switch (option) {
        case OPTION_HOURS:
            if (!ut_cli_number(optarg, HOURS_MAX, &wanted->hours) || wanted->hours == 0)
                *code = ut_cli_usage("failures", "--hours takes a number of 1 to %d, not \"%s\"",
                                     HOURS_MAX, optarg);
            break;
        case OPTION_TYPE:
            *code = ut_filter_options_text("failures", "--type", optarg, &wanted->type);
            break;
        case 'f':
            wanted->follow = true;
            break;
        default:
            wanted->patterns_only = true;
        }
        if (*code != EX_OK)
            return false;
    }
    *code = filter->line.code;
    return !filter->line.ended;
}

// Makes the conditions of "failed, in this time, with this type". EX_OK or EX_USAGE.
static int set_conditions(request *wanted)
{
    ut_filter_options *const filter = &wanted->filter;
    const uint64_t start_ns = filter->filter.start_ns;
    if (wanted->hours > 0 && filter->time_given)
        return ut_cli_usage("failures",
                            "--hours is given, and --since or --until: give one of them");
    if (wanted->hours == 0)
        wanted->hours = HOURS_DEFAULT;
    if (ut_filter_options_errors(filter, "failures") != EX_OK)
        return EX_USAGE;
    ut_filter_recent_failures(&filter->filter, filter->now_ns, wanted->hours);
    if (filter->time_given)
        filter->filter.start_ns = start_ns;
    if (wanted->type.len > 0 && ut_filter_by_error_type(&filter->filter, wanted->type) != UT_OK)
        return ut_cli_usage("failures",
                            "at most %d conditions on attributes are taken, with --type",
                            UT_FILTER_TERMS_MAX);
    return EX_OK;
}

static int run(int argc, char **argv)
{
    const ut_options line = {.command_z = "failures", .help_z = help, .rows = option_rows};
    request wanted = {.hours = 0};
    ut_reader reader;
    ut_fault fault;
    bool nothing;
    int code = EX_OK;

    ut_filter_options_init(&wanted.filter, &line, LIMIT_DEFAULT, ut_clock_wall_ns());
    wanted.filter.limit_max = LIMIT_MAX;
    wanted.filter.limit_min = 0; // with --follow
    if (!read_line(&wanted, argc, argv, &code))
        return code;
    if (wanted.follow && (wanted.filter.line.json || wanted.patterns_only))
        return ut_cli_usage("failures",
                            "--follow lists failures one by one: --json and --patterns do not go "
                            "with it; `untrace spans --status error --follow --jsonl` does");
    code = ut_filter_options_check_follow(&wanted.filter, wanted.follow);
    if (code == EX_OK)
        code = set_conditions(&wanted);
    if (code == EX_OK)
        code = ut_filter_options_open(&wanted.filter, &reader, &nothing);
    if (code != EX_OK)
        return code;
    listing list = {
        .patterns_only = wanted.patterns_only,
        .options = &wanted.filter,
        .hours = wanted.hours,
        .of_type = wanted.type.len > 0,
        .json = wanted.filter.line.json,
        .follow = wanted.follow,
        .limit = wanted.filter.limit,
    };
    (void)snprintf(list.when_z, sizeof(list.when_z),
                   wanted.filter.time_given ? "in that time"
                   : wanted.hours == 1      ? "in the last hour"
                                            : "in the last %llu hours",
                   (unsigned long long)wanted.hours);
    const ut_err err = list.follow && !nothing
                           ? follow_failures(&list, &wanted.filter, &reader, &fault)
                           : list_failures(&list, &wanted.filter, &reader, nothing, &fault);
    ut_reader_close(&reader);
    if (err == UT_OK)
        return reader.damaged ? EX_DATAERR : EX_OK;
    return ut_cli_fail(&fault);
}

const ut_command ut_command_failures = {
    .name_z = "failures",
    .run = run,
    .summary_z = "show what failed lately: patterns, and the latest of them",
    .help_z = help,
    .options = option_rows,
};
