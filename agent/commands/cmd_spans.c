// `untrace spans`: the spans that meet conditions, page by page.
#include "agent/commands/command.h"
#include "agent/query/follow.h"
#include "agent/query/span_sort.h"
#include "agent/cli/filter_options.h"
#include "agent/cli/pager.h"
#include "agent/cli/span_columns.h"
#include "agent/cli/span_text.h"

#include "agent/query/reader.h"
#include "port/base/text.h"
#include "port/port.h"

#include <stdio.h>

// clang-format off
static const char help[] =
    "usage: untrace spans [TRACE] [conditions] [--limit N] [--cursor TEXT]\n"
    "                     [--follow] [--json | --jsonl]\n"
    "\n"
    "Lists spans, the newest 50 first: when each began, its trace, how long it took,\n"
    "where it ran. TRACE is the same as --trace ID. Where there are more, the last\n"
    "line says how to go on. Works while an agent is running, after it was killed,\n"
    "and on a copy of the data directory.\n"
    "\n"
    UT_FILTER_HELP
    "How much, in which order:\n"
    UT_PAGE_HELP
    "  -f, --follow            the last 10 (or --limit N), then what arrives, until\n"
    "                          Ctrl-C; with --oldest all there is first\n"
    "      --sort KEY          the greatest first by time (of the start), duration,\n"
    "                          tokens or cost, on one page\n"
    "Shown as:\n"
    "      --fields NAME,...   a table of these columns: time, trace, span, parent,\n"
    "                          duration, kind, status, service, name, message, scope,\n"
    "                          tokens, cost, or keys of attributes\n"
    "  -o, --output FORM       table (default), wide (all its columns on a narrow\n"
    "                          terminal, too), json, jsonl\n"
    "      --json              one JSON object: \"spans\", whether there are \"more\",\n"
    "                          and the \"cursor\" behind them, which with --oldest goes\n"
    "                          on with what comes later, too\n"
    "      --jsonl             a JSON object a line; the cursor goes to standard\n"
    "                          error\n"
    "Where and how:\n"
    UT_OPTION_HELP_WHERE
    UT_OPTION_HELP_SHOW
    "\n"
    "  untrace spans --service checkout --status error --since 2h\n"
    "  untrace spans --sort duration --fields duration,service,name,http.route\n"
    "  untrace spans --min-duration 500ms --attribute 'http.route~/cart/*' --jsonl\n";
// clang-format on

enum {
    LIMIT_DEFAULT = 50,
    LINE_BYTES_MAX = 512 * 1024 * 1024, // one span of 80 MiB as JSON, and what waits
    WAITING_BYTES = 1024 * 1024,        // of output held back before a pause
};

typedef enum { AS_TABLE, AS_JSON, AS_LINES } form;

typedef struct {
    const ut_filter_options *asked;
    form form;
    bool follow;
    bool fields; // were named
    bool wide;
    ut_span_sort sort;
    ut_span_columns columns;
    const ut_options *options;
    ut_pager pager;
    ut_table table;
    ut_buf out;
    ut_json_writer json; // over out, unless form is AS_TABLE
    uint64_t rows;
} listing;

static ut_err visit(void *context, const ut_trace_span *found)
{
    listing *list = context;
    if (found->span.trace_id.len != UT_TRACE_ID_LEN || found->span.span_id.len != UT_SPAN_ID_LEN)
        return UT_ECORRUPT;
    list->rows++;
    if (list->form == AS_TABLE) {
        const ut_err err = ut_span_columns_row(&list->columns, &list->table, found);
        return err == UT_OK && list->table.out.len > WAITING_BYTES ? UT_EAGAIN : err;
    }
    const ut_buf *out = &list->out;
    ut_json_write_object(&list->json, NULL);
    ut_span_json(&list->json, &found->span, found->scope.name, found->resource.attributes);
    ut_json_write_close(&list->json);
    if (list->form == AS_LINES)
        ut_json_write_line(&list->json);
    return out->err == UT_OK && out->len > WAITING_BYTES ? UT_EAGAIN : out->err;
}

static ut_err print_waiting(void *context)
{
    listing *list = context;
    ut_buf *out = list->form == AS_TABLE ? &list->table.out : &list->out;
    if (out->len > 0 && !list->follow)
        ut_pager_begin(&list->pager, list->options);
    return ut_term_write(out);
}

static ut_err finish(listing *list, const ut_span_search *search)
{
    const char *further_z = list->sort == UT_SPAN_SORT_NONE
                                ? "there are more: the same with --cursor "
                                : "there are more: --limit shows them";
    char cursor_z[UT_QUERY_CURSOR_TEXT_MAX] = "";
    ut_pager_begin(&list->pager, list->options);
    if (search->cursor.begun)
        ut_query_cursor_write(&search->cursor, &search->search, cursor_z);
    switch (list->form) {
    case AS_TABLE: {
        const ut_err err = ut_table_flush(&list->table);
        if (err != UT_OK)
            return err;
        if (search->more) {
            ut_term_colour(&list->table.term, &list->out, UT_COLOUR_DIM);
            ut_buf_printf(&list->out, "%s%s", further_z, cursor_z);
            ut_term_colour(&list->table.term, &list->out, UT_COLOUR_NONE);
            ut_buf_add_byte(&list->out, '\n');
        }
        break;
    }
    case AS_JSON:
        ut_json_write_close(&list->json);
        ut_json_write_bool(&list->json, "more", search->more);
        if (cursor_z[0] != 0)
            ut_json_write_text_z(&list->json, "cursor", cursor_z);
        else
            ut_json_write_null(&list->json, "cursor");
        ut_json_write_close(&list->json);
        ut_json_write_line(&list->json);
        break;
    case AS_LINES:
        if (search->more)
            (void)fprintf(stderr, "%s%s\n", further_z, cursor_z);
        break;
    }
    if (list->rows == 0 && list->form != AS_JSON)
        ut_filter_options_found_nothing(list->asked, "no span meets these conditions");
    return ut_term_write(&list->out);
}

// Lists what is there and what comes, until nobody reads any more.
static ut_err follow_spans(listing *list, ut_filter_options *options, ut_reader *reader,
                           ut_fault *fault)
{
    ut_follow follow;
    ut_err err = ut_follow_begin(&follow, reader, options->line.data_dir_z, options->line.config_z,
                                 &options->filter, ut_filter_options_backlog(options), fault);
    if (err != UT_OK)
        return err;
    if (options->cursor_z != NULL)
        err = ut_span_search_resume(&follow.search, &options->filter, options->cursor_z, fault);
    if (err != UT_OK) {
        ut_follow_end(&follow);
        return err;
    }
    list->table.grows = true;
    while (err == UT_OK) {
        err = ut_follow_pull(&follow, visit, print_waiting, list);
        if (err == UT_OK)
            err = list->form == AS_TABLE ? ut_table_flush(&list->table) : ut_term_write(&list->out);
        if (err == UT_OK)
            err = ut_follow_wait(&follow, UINT64_MAX);
    }
    ut_follow_end(&follow);
    if (err != UT_ECLOSED)
        (void)ut_fault_set(fault, err, "the listing ended: %s", ut_err_text(err));
    return err;
}

static ut_err list_spans(listing *list, ut_filter_options *options, ut_reader *reader, bool nothing,
                         ut_fault *fault)
{
    ut_span_search search;
    ut_err err = UT_OK;
    list->asked = options;
    ut_span_search_begin(&search, &options->filter, options->oldest_first);
    if (options->cursor_z != NULL)
        err = ut_span_search_resume(&search, &options->filter, options->cursor_z, fault);
    if (err != UT_OK)
        return err;
    list->options = &options->line;
    ut_table_init(&list->table, list->columns.columns, list->columns.count);
    ut_buf_init(&list->out, LINE_BYTES_MAX);
    list->json = ut_json_writer_of(&list->out);
    if (list->form == AS_JSON) {
        ut_json_write_object(&list->json, NULL);
        ut_json_write_array(&list->json, "spans");
    }
    if (list->follow && !nothing) {
        err = follow_spans(list, options, reader, fault);
    } else {
        if (!nothing && list->sort != UT_SPAN_SORT_NONE)
            err = ut_span_sort_run(&search, reader, list->sort, options->oldest_first,
                                   (uint32_t)options->limit, visit, print_waiting, list);
        else if (!nothing)
            err = ut_span_search_run(&search, reader, options->limit, visit, print_waiting, list);
        if (err == UT_OK)
            err = finish(list, &search);
        ut_span_search_warn(&search);
        ut_pager_end(&list->pager);
    }
    ut_table_free(&list->table);
    ut_buf_free(&list->out);
    if (err != UT_OK && !list->follow)
        (void)ut_fault_set(fault, err, "the listing ended early: %s", ut_err_text(err));
    return err == UT_ECLOSED ? UT_OK : err; // nobody reads any more
}

enum { OPTION_JSON = UT_OPTION_OWN, OPTION_LINES, OPTION_SORT, OPTION_FIELDS };
static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE,
                                            UT_OPTION_ROWS_SHOW,
                                            UT_FILTER_ROWS,
                                            UT_PAGE_ROWS,
                                            UT_FOLLOW_ROW,
                                            {"sort", required_argument, NULL, OPTION_SORT},
                                            {"fields", required_argument, NULL, OPTION_FIELDS},
                                            {"output", required_argument, NULL, 'o'},
                                            {"json", no_argument, NULL, OPTION_JSON},
                                            {"jsonl", no_argument, NULL, OPTION_LINES},
                                            UT_OPTION_ROWS_END};

static int take_output(listing *list, const char *form_z)
{
    list->form = AS_TABLE;
    list->wide = strcmp(form_z, "wide") == 0;
    if (list->wide)
        ut_span_columns_init(&list->columns, true);
    else if (strcmp(form_z, "json") == 0)
        list->form = AS_JSON;
    else if (strcmp(form_z, "jsonl") == 0)
        list->form = AS_LINES;
    else if (strcmp(form_z, "table") != 0)
        return ut_cli_usage("spans", "--output takes table, wide, json or jsonl, not \"%s\"",
                            form_z);
    return EX_OK;
}

// Takes an option of the command's own. EX_OK or EX_USAGE.
static int take_option(listing *list, int option)
{
    switch (option) {
    case OPTION_JSON:
        list->form = AS_JSON;
        return EX_OK;
    case 'f':
        list->follow = true;
        return EX_OK;
    case 'o':
        return take_output(list, optarg);
    case OPTION_SORT:
        return ut_span_sort_of(optarg, &list->sort)
                   ? EX_OK
                   : ut_cli_usage("spans",
                                  "--sort takes time, duration, tokens or cost, not \"%s\"",
                                  optarg);
    case OPTION_FIELDS:
        list->fields = true;
        return ut_span_columns_read(&list->columns, optarg)
                   ? EX_OK
                   : ut_cli_usage("spans",
                                  "--fields takes 1 to %d names with commas: of " UT_SPAN_FIELDS
                                  ", or keys of attributes, not \"%s\"",
                                  UT_TABLE_COLUMNS_MAX, optarg);
    default:
        list->form = AS_LINES;
        return EX_OK;
    }
}

// EX_OK or EX_USAGE.
static int check_together(listing *list, ut_filter_options *options)
{
    const bool llm = list->sort == UT_SPAN_SORT_TOKENS || list->sort == UT_SPAN_SORT_COST;
    if (list->follow && list->form == AS_JSON)
        return ut_cli_usage("spans", "--follow never ends, and --json is one object: take --jsonl");
    if (list->fields && list->wide)
        return ut_cli_usage("spans", "--fields and --output wide both choose the columns");
    if (list->fields && list->form != AS_TABLE)
        return ut_cli_usage("spans",
                            "--fields chooses the columns of the table: JSON has them all");
    if (list->sort == UT_SPAN_SORT_NONE)
        return EX_OK;
    if (list->follow || options->cursor_z != NULL)
        return ut_cli_usage("spans", "a sorted listing is one page: --sort goes with neither "
                                     "--cursor nor --follow; --limit makes it longer");
    if (options->oldest_first && list->sort != UT_SPAN_SORT_TIME)
        return ut_cli_usage("spans", "--oldest goes with --sort time only");
    if (options->limit > UT_TOP_LIST_MAX)
        return ut_cli_usage("spans", "--limit takes at most %d with --sort", UT_TOP_LIST_MAX);
    if (llm) {
        // What is no call of a language model has nothing to be sorted by.
        options->filter.llm_only = true;
        ut_span_columns_add(&list->columns, list->sort == UT_SPAN_SORT_COST ? "cost" : "tokens");
    }
    return EX_OK;
}

static int run(int argc, char **argv)
{
    const ut_options line = {.command_z = "spans",
                             .help_z = help,
                             .rows = option_rows,
                             .words_max = UT_OPTIONS_WORDS_ANY};
    ut_filter_options options;
    listing list = {.form = AS_TABLE};
    ut_reader reader;
    ut_fault fault;
    bool nothing;

    ut_filter_options_init(&options, &line, LIMIT_DEFAULT, ut_clock_wall_ns());
    options.limit_min = 0; // with --follow
    ut_span_columns_init(&list.columns, false);
    int code = EX_OK;
    for (int option; (option = ut_filter_options_next(&options, argc, argv)) != -1;) {
        code = take_option(&list, option);
        if (code != EX_OK)
            return code;
    }
    if (options.line.ended)
        return options.line.code;
    if (optind < argc && options.trace_z == NULL)
        options.trace_z = argv[optind++];
    if (optind < argc)
        return ut_cli_usage("spans", "\"%s\" is one word too many", argv[optind]);
    code = check_together(&list, &options);
    if (code == EX_OK)
        code = ut_filter_options_check_follow(&options, list.follow);
    if (code == EX_OK)
        code = ut_filter_options_open(&options, &reader, &nothing);
    if (code != EX_OK)
        return code;
    const ut_err err = list_spans(&list, &options, &reader, nothing, &fault);
    ut_reader_close(&reader);
    ut_span_columns_free(&list.columns);
    if (err == UT_OK)
        return reader.damaged ? EX_DATAERR : EX_OK;
    code = ut_cli_fail(&fault);
    const bool of_cursor = err == UT_EFORMAT || err == UT_EVERSION || err == UT_EINVAL;
    return options.cursor_z != NULL && of_cursor ? EX_USAGE : code;
}

const ut_command ut_command_spans = {
    .name_z = "spans",
    .run = run,
    .summary_z = "find spans by any of their properties",
    .help_z = help,
    .options = option_rows,
};
