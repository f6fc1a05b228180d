// `untrace traces`: the newest traces of a data directory, or those with a span that meets
// conditions, whether or not an agent runs on it.
#include "agent/commands/command.h"
#include "agent/query/follow.h"
#include "agent/query/quiet_traces.h"
#include "agent/query/span_sort.h"
#include "agent/cli/filter_options.h"
#include "agent/cli/pager.h"
#include "agent/cli/span_text.h"
#include "agent/cli/table.h"

#include "adapters/encoding/json_write.h"
#include "adapters/plain/json_time.h"
#include "agent/query/reader.h"
#include "port/base/order.h"
#include "port/base/text.h"
#include "port/port.h"

#include <stdio.h>
#include <stdlib.h>

// clang-format off
static const char help[] =
    "usage: untrace traces [conditions] [--limit N] [--sort KEY] [--follow]\n"
    "                      [--json]\n"
    "\n"
    "Lists the traces that came last, the last that began first: when each began, how\n"
    "long it took from the first start to the last end of its spans, how many these\n"
    "are, where it began. With conditions, those in which one span meets all of them.\n"
    "Works while an agent is running, after it was killed, and on a copy of the data\n"
    "directory.\n"
    "\n"
    "  -n, --limit N           at most N traces (default 20)\n"
    "  -f, --follow            the last 10 (or --limit N), then each that arrives,\n"
    "                          when no span of it has come for 2 seconds, until\n"
    "                          Ctrl-C\n"
    "      --sort KEY          the greatest first by time (of the start), duration,\n"
    "                          spans, errors, tokens or cost\n"
    "      --json, --jsonl     one JSON object a line\n"
    UT_FILTER_HELP
    "Where and how:\n"
    UT_OPTION_HELP_WHERE
    UT_OPTION_HELP_SHOW
    "\n"
    "  untrace traces --service payments --status error\n"
    "  untrace traces --roots --min-duration 1s --since 1h\n";
// clang-format on

enum {
    LIMIT_DEFAULT = 20,
    LIMIT_MAX = 10 * 1000 * 1000,
    CONDITIONS_LIMIT_MAX = 100 * 1000, // with conditions the ids found are kept
    NAME_BYTES_MAX = 1024 * 1024,
    // JSON that is held back, so that no view of the store waits for a slow reader of the output;
    // what is over it is written while the view is held.
    WAITING_BYTES = 64 * 1024 * 1024,
    ROWS_PER_VIEW = 256, // that are read before the view is begun anew, with conditions
    PAGE_ROWS = 1000,    // that are put in order together
    PAGE_TEXT_BYTES = 16 * 1024 * 1024,
    COST_UNITS = 1000 * 1000 * 1000, // of a dollar, in a rank
    ID_NARROW = 12,                  // digits of an id on a narrow terminal
};

// clang-format off
static const ut_table_column columns[] = {
    {.head_z = "trace"}, {"began", .time = true, .from_width = 80}, {"took", .right = true},
    {"spans", .right = true}, {.head_z = "status"}, {"service", .cut = true},
    {"name", .cut = true},
};
// clang-format on
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]), AT_SERVICE = 5 };

typedef enum {
    BY_ARRIVAL,
    BY_TIME,
    BY_DURATION,
    BY_SPANS,
    BY_ERRORS,
    BY_TOKENS,
    BY_COST
} trace_sort;

static const char *const sorts[] = {"", "time", "duration", "spans", "errors", "tokens", "cost"};

// The rank is no column of its own: it is the sum over the spans that meet the conditions.
static bool is_sum(trace_sort sort)
{
    return sort >= BY_ERRORS;
}

// A row that waits for its place on the page.
typedef struct {
    ut_trace_row row;
    size_t name_at; // in the texts of the page: the name, then the service
} page_row;

typedef struct {
    ut_table table;
    bool json;
    bool follow;
    trace_sort sort;
    uint64_t rank; // of the row at hand, in the sort
    ut_buf out;    // JSON
    ut_buf name;   // of a row, with what is said of it
    uint64_t rows;
    page_row *page; // PAGE_ROWS of them
    uint32_t page_count;
    ut_buf texts;
} listing;

static ut_err print_json(listing *list, const ut_trace_row *row)
{
    ut_buf *out = &list->out;
    ut_json_writer json = ut_json_writer_of(out);
    ut_json_write_object(&json, NULL);
    ut_json_write_hex(&json, "trace_id", ut_bytes_of(row->trace_id, sizeof(row->trace_id)));
    ut_json_time(&json, "start", row->start_ns);
    ut_json_write_uint(&json, "duration_ns", row->duration_ns);
    ut_json_write_text_z(&json, "status", ut_span_status_z(row->status));
    ut_json_write_uint(&json, "spans", row->span_count);
    if (list->sort == BY_COST)
        ut_json_write_double(&json, "cost_usd", (double)list->rank / COST_UNITS);
    else if (is_sum(list->sort))
        ut_json_write_uint(&json, sorts[list->sort], list->rank);
    ut_json_write_bool(&json, "has_root", row->has_root);
    ut_json_write_text(&json, "service", row->service);
    ut_json_write_text(&json, "name", row->name);
    ut_json_write_close(&json);
    ut_json_write_line(&json);
    return out->err == UT_OK && out->len < WAITING_BYTES ? UT_OK : ut_term_write(out);
}

static ut_err print_row(listing *list, const ut_trace_row *row)
{
    ut_table *table = &list->table;
    if (list->json)
        return print_json(list, row);
    const bool narrow = table->term.terminal && table->term.width < 120;
    char text_z[UT_TEXT_SHORT_MAX];
    ut_hex_encode(ut_bytes_of(row->trace_id, sizeof(row->trace_id)), text_z);
    if (narrow)
        text_z[ID_NARROW] = 0;
    ut_table_cell_z(table, text_z, UT_COLOUR_NONE);
    ut_span_began(row->start_ns, text_z);
    ut_table_cell_z(table, narrow ? text_z + 5 : text_z, UT_COLOUR_DIM);
    ut_table_duration(table, row->duration_ns);
    ut_table_number(table, row->span_count, UT_COLOUR_NONE);
    ut_table_cell_z(table, ut_span_status_z(row->status),
                    row->status == UT_STATUS_ERROR ? UT_COLOUR_RED : UT_COLOUR_DIM);
    if (list->sort == BY_COST) {
        char cost_z[UT_SPAN_COST_MAX];
        ut_span_cost((double)list->rank / COST_UNITS, cost_z);
        ut_table_cell_z(table, cost_z, UT_COLOUR_NONE);
    } else if (is_sum(list->sort)) {
        ut_table_number(table, list->rank, UT_COLOUR_NONE);
    }
    ut_table_cell(table, row->service.len == 0 ? UT_BYTES_LIT("-") : row->service, UT_COLOUR_NONE);
    ut_buf_reset(&list->name, NAME_BYTES_MAX);
    ut_buf_add_bytes(&list->name, row->name.len == 0 ? UT_BYTES_LIT("(no name)") : row->name);
    if (!row->has_root)
        ut_buf_add_z(&list->name, " (no root yet)");
    ut_table_cell(table, ut_buf_bytes(&list->name), UT_COLOUR_NONE);
    ut_buf_reset(&list->name, NAME_BYTES_MAX);
    return ut_table_end_row(table);
}

// ---- pages, the last that began first ----

static int compare_began(const void *a, const void *b)
{
    const page_row *left = a;
    const page_row *right = b;
    if (left->row.start_ns != right->row.start_ns)
        return left->row.start_ns > right->row.start_ns ? -1 : 1;
    return left->name_at < right->name_at ? -1 : 1; // as they came
}

static ut_err print_page(listing *list)
{
    ut_err err = list->texts.err;
    if (list->page_count > 0)
        qsort(list->page, list->page_count, sizeof(*list->page), compare_began);
    for (uint32_t i = 0; i < list->page_count && err == UT_OK; i++) {
        ut_trace_row *row = &list->page[i].row;
        row->name.data = list->texts.data + list->page[i].name_at;
        row->service.data = row->name.data + row->name.len;
        err = print_row(list, row);
    }
    list->page_count = 0;
    ut_buf_reset(&list->texts, NAME_BYTES_MAX);
    return err;
}

static ut_err add_to_page(void *context, const ut_trace_row *row)
{
    listing *list = context;
    list->rows++;
    list->page[list->page_count++] = (page_row){*row, list->texts.len};
    ut_buf_add_bytes(&list->texts, row->name);
    ut_buf_add_bytes(&list->texts, row->service);
    ut_buf_add_byte(&list->texts, 0); // so that no two rows have the same place
    const bool full = list->page_count == PAGE_ROWS || list->texts.len > PAGE_TEXT_BYTES;
    return full ? print_page(list) : list->texts.err;
}

// ---- with conditions ----

// The traces found so far, in the order of finding, and a table of their places for looking one up.
typedef struct {
    uint8_t (*ids)[UT_TRACE_ID_LEN];
    uint64_t *sums;   // for each of them, if they are wanted
    trace_sort sort;  // what is summed up
    uint32_t *places; // index into ids and 1; 0: free
    uint32_t count;
    uint32_t limit;
    uint32_t places_mask;
    bool full; // spans of further traces were passed over
} found_set;

static ut_err open_set(found_set *set, uint32_t limit)
{
    uint32_t places = 16;
    while (places < 2 * limit)
        places *= 2;
    *set = (found_set){.limit = limit, .places_mask = places - 1};
    set->ids = calloc(limit, UT_TRACE_ID_LEN);
    set->places = calloc(places, sizeof(*set->places));
    return set->ids == NULL || set->places == NULL ? UT_ENOMEM : UT_OK;
}

static void close_set(found_set *set)
{
    free(set->ids);
    free(set->sums);
    free(set->places);
}

// *at: out, the place of the trace, or the free one where it belongs.
static bool find_trace(const found_set *set, ut_bytes id, uint32_t *at)
{
    // FNV-1a: ids need not be random.
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < id.len; i++)
        hash = (hash ^ id.data[i]) * UINT64_C(1099511628211);
    *at = (uint32_t)(hash >> 32) & set->places_mask;
    for (; set->places[*at] != 0; *at = (*at + 1) & set->places_mask) {
        if (memcmp(set->ids[set->places[*at] - 1], id.data, UT_TRACE_ID_LEN) == 0)
            return true;
    }
    return false;
}

static void add_trace(found_set *set, ut_bytes id, uint32_t at)
{
    memcpy(set->ids[set->count++], id.data, UT_TRACE_ID_LEN);
    set->places[at] = set->count;
}

static ut_err remember_trace(void *context, const ut_trace_span *found)
{
    found_set *set = context;
    const ut_bytes id = found->span.trace_id;
    if (id.len != UT_TRACE_ID_LEN)
        return UT_ECORRUPT;
    uint32_t at = 0;
    if (find_trace(set, id, &at))
        return UT_OK;
    if (set->count == set->limit)
        return UT_ECANCELED;
    add_trace(set, id, at);
    return set->count == set->limit ? UT_ECANCELED : UT_OK;
}

// Adds what the span has of the sort to the sum of its trace.
static ut_err sum_trace(void *context, const ut_trace_span *found)
{
    static const ut_span_sort of_span[] = {
        [BY_TOKENS] = UT_SPAN_SORT_TOKENS, [BY_COST] = UT_SPAN_SORT_COST};
    found_set *set = context;
    const uint32_t before = set->count;
    uint32_t at = 0;
    if (found->span.trace_id.len != UT_TRACE_ID_LEN)
        return UT_ECORRUPT;
    if (!find_trace(set, found->span.trace_id, &at)) {
        if (before == set->limit) {
            set->full = true;
            return UT_OK;
        }
        add_trace(set, found->span.trace_id, at);
    }
    set->sums[set->places[at] - 1] +=
        set->sort == BY_ERRORS ? 1 : ut_span_rank(&found->span, of_span[set->sort]);
    return UT_OK;
}

static ut_err search_traces(listing *list, const ut_filter_options *options, ut_reader *reader)
{
    ut_span_search search;
    found_set set;
    ut_span_search_begin(&search, &options->filter, options->oldest_first);
    ut_err err = open_set(&set, (uint32_t)options->limit);
    if (err == UT_OK)
        err = ut_span_search_run(&search, reader, 0, remember_trace, NULL, &set);
    for (uint32_t i = 0; i < set.count && err == UT_OK; i += ROWS_PER_VIEW) {
        err = ut_store_view_begin(reader->view);
        if (err == UT_OK)
            err = ut_query_trace_rows(reader->view, UT_ORG_DEFAULT, set.ids + i,
                                      ut_min_u32(set.count - i, ROWS_PER_VIEW), add_to_page, list);
        ut_store_view_end(reader->view);
    }
    ut_span_search_warn(&search);
    close_set(&set);
    return err;
}

static ut_err print_one(void *context, const ut_trace_row *row)
{
    listing *list = context;
    list->rows++;
    return print_row(list, row);
}

// ---- sorted ----

typedef struct {
    ut_top_list top;
    trace_sort sort;
} ranking;

static void rank_trace(ranking *to, const uint8_t id[UT_TRACE_ID_LEN], uint64_t rank)
{
    _Static_assert((int)UT_TRACE_ID_LEN == (int)UT_TOP_PLACE_LEN, "a place is an id");
    ut_top_list_add(&to->top, rank, id);
}

static ut_err rank_row(void *context, const ut_trace_row *row)
{
    ranking *to = context;
    rank_trace(to, row->trace_id,
               to->sort == BY_TIME       ? row->start_ns
               : to->sort == BY_DURATION ? row->duration_ns
                                         : row->span_count);
    return UT_OK;
}

// Ranks the traces that a search finds.
static ut_err rank_found(ranking *to, const ut_filter *filter, ut_reader *reader)
{
    ut_span_search search;
    found_set set;
    ut_span_search_begin(&search, filter, false);
    ut_err err = open_set(&set, CONDITIONS_LIMIT_MAX);
    set.sort = to->sort;
    set.sums = calloc(CONDITIONS_LIMIT_MAX, sizeof(*set.sums));
    if (set.sums == NULL)
        err = UT_ENOMEM;
    if (err == UT_OK)
        err = ut_span_search_run(&search, reader, 0, sum_trace, NULL, &set);
    if (is_sum(to->sort)) {
        for (uint32_t i = 0; i < set.count && err == UT_OK; i++)
            rank_trace(to, set.ids[i], set.sums[i]);
        set.count = 0;
    }
    for (uint32_t i = 0; i < set.count && err == UT_OK; i += ROWS_PER_VIEW) {
        err = ut_store_view_begin(reader->view);
        if (err == UT_OK)
            err = ut_query_trace_rows(reader->view, UT_ORG_DEFAULT, set.ids + i,
                                      ut_min_u32(set.count - i, ROWS_PER_VIEW), rank_row, to);
        ut_store_view_end(reader->view);
    }
    ut_span_search_warn(&search);
    if (set.full)
        (void)fprintf(stderr,
                      "untrace: more than %d traces meet the conditions: the newest of them "
                      "were sorted\n",
                      CONDITIONS_LIMIT_MAX);
    close_set(&set);
    return err;
}

static ut_err sort_traces(listing *list, ut_filter_options *options, ut_reader *reader)
{
    ranking to = {.sort = list->sort};
    ut_filter *const filter = &options->filter;
    ut_err err = ut_top_list_open(&to.top, (uint32_t)options->limit);
    if (list->sort == BY_ERRORS)
        filter->statuses = UINT8_C(1) << UT_STATUS_ERROR;
    else if (is_sum(list->sort))
        filter->llm_only = true;
    if (err == UT_OK)
        err = options->any || is_sum(list->sort)
                  ? rank_found(&to, filter, reader)
                  : ut_query_traces(reader->view, UT_ORG_DEFAULT, UINT32_MAX, rank_row, &to);
    ut_store_view_end(reader->view);
    ut_top_list_sort(&to.top);
    for (uint32_t i = 0; i < to.top.count && err == UT_OK; i++) {
        const uint8_t(*id)[UT_TRACE_ID_LEN] = &to.top.entries[i].place;
        list->rank = to.top.entries[i].rank;
        err = ut_store_view_begin(reader->view);
        if (err == UT_OK)
            err = ut_query_trace_rows(reader->view, UT_ORG_DEFAULT, id, 1, print_one, list);
        ut_store_view_end(reader->view);
    }
    ut_top_list_close(&to.top);
    return err;
}

// ---- following ----

typedef struct {
    listing *list;
    ut_reader *reader;
    ut_quiet_traces *traces;
    uint64_t wait_ms; // until the next one may be at rest
} followed;

static ut_err note_span(void *context, const ut_trace_span *found)
{
    const followed *to = context;
    if (found->span.trace_id.len != UT_TRACE_ID_LEN)
        return UT_ECORRUPT;
    ut_quiet_traces_add(to->traces, found->span.trace_id, ut_clock_mono_ms());
    return ut_quiet_traces_are_full(to->traces) ? UT_EAGAIN : UT_OK;
}

// Prints the traces that are at rest.
static ut_err print_quiet(void *context)
{
    followed *from = context;
    uint8_t id[1][UT_TRACE_ID_LEN];
    ut_err err = UT_OK;
    // A store that is being replaced has no view.
    while (err == UT_OK && from->reader->view != NULL &&
           ut_quiet_traces_take(from->traces, ut_clock_mono_ms(), id[0], &from->wait_ms)) {
        err = ut_store_view_begin(from->reader->view);
        if (err == UT_OK)
            err = ut_query_trace_rows(from->reader->view, UT_ORG_DEFAULT, id, 1, print_one,
                                      from->list);
        ut_store_view_end(from->reader->view);
    }
    if (err == UT_OK)
        err =
            from->list->json ? ut_term_write(&from->list->out) : ut_table_flush(&from->list->table);
    return err;
}

// The newest traces that are there, the oldest of them first, count as at rest at once.
static ut_err note_backlog(const followed *to, const ut_filter *filter, uint64_t backlog)
{
    ut_span_search search;
    found_set set;
    if (backlog == 0)
        return UT_OK;
    ut_span_search_begin(&search, filter, false);
    ut_err err = open_set(&set, (uint32_t)backlog);
    if (err == UT_OK)
        err = ut_span_search_run(&search, to->reader, 0, remember_trace, NULL, &set);
    while (err == UT_OK && set.count > 0)
        ut_quiet_traces_add(to->traces, ut_bytes_of(set.ids[--set.count], UT_TRACE_ID_LEN), 0);
    close_set(&set);
    return err;
}

static ut_err follow_traces(listing *list, ut_filter_options *options, ut_reader *reader,
                            ut_fault *fault)
{
    ut_follow follow;
    followed to = {.list = list, .reader = reader, .wait_ms = UINT64_MAX};
    ut_err err = ut_follow_begin(&follow, reader, options->line.data_dir_z, options->line.config_z,
                                 &options->filter, 0, fault);
    if (err != UT_OK)
        return err;
    list->table.grows = true;
    err = ut_quiet_traces_new(&to.traces);
    if (err == UT_OK)
        err = note_backlog(&to, &options->filter, ut_filter_options_backlog(options));
    while (err == UT_OK) {
        err = print_quiet(&to);
        if (err == UT_OK)
            err = ut_follow_pull(&follow, note_span, print_quiet, &to);
        if (err == UT_OK)
            err = print_quiet(&to);
        if (err == UT_OK)
            err = ut_follow_wait(&follow, to.wait_ms);
    }
    ut_quiet_traces_free(to.traces);
    ut_follow_end(&follow);
    if (err != UT_ECLOSED)
        (void)ut_fault_set(fault, err, "the listing ended: %s", ut_err_text(err));
    return err;
}

// ---- the command ----

static ut_err list_traces(listing *list, ut_filter_options *options, ut_reader *reader,
                          bool nothing, ut_fault *fault)
{
    ut_err err = UT_OK;
    ut_pager pager = {.process = 0};
    // What the traces are sorted by stands before the service.
    ut_table_column shown[COLUMNS + 1];
    memcpy(shown, columns, sizeof(columns));
    if (is_sum(list->sort)) {
        memcpy(shown + AT_SERVICE + 1, columns + AT_SERVICE,
               (COLUMNS - AT_SERVICE) * sizeof(*shown));
        shown[AT_SERVICE] = (ut_table_column){sorts[list->sort], .right = true};
    }
    ut_table_init(&list->table, shown, COLUMNS + is_sum(list->sort));
    ut_buf_init(&list->out, 2 * (size_t)WAITING_BYTES + 6 * (size_t)UT_BLOCK_PAYLOAD_MAX);
    ut_buf_init(&list->name, 2 * (size_t)UT_BLOCK_PAYLOAD_MAX);
    ut_buf_init(&list->texts, PAGE_TEXT_BYTES + 2 * (size_t)UT_BLOCK_PAYLOAD_MAX);
    list->page = calloc(PAGE_ROWS, sizeof(*list->page));
    if (list->page == NULL) {
        err = UT_ENOMEM;
    } else if (list->follow && !nothing) {
        err = follow_traces(list, options, reader, fault);
        goto done;
    } else if (list->sort != BY_ARRIVAL && !nothing) {
        err = sort_traces(list, options, reader);
    } else if (options->any && !nothing) {
        err = search_traces(list, options, reader);
    } else if (!options->any) {
        err = ut_query_traces(reader->view, UT_ORG_DEFAULT, (uint32_t)options->limit, add_to_page,
                              list);
    }
    ut_store_view_end(reader->view);
    ut_pager_begin(&pager, &options->line);
    if (err == UT_OK)
        err = print_page(list);
    if (err == UT_OK)
        err = list->json ? ut_term_write(&list->out) : ut_table_flush(&list->table);
    if (err == UT_OK && list->rows == 0)
        ut_filter_options_found_nothing(options,
                                        options->any || is_sum(list->sort)
                                            ? "no trace has a span that meets these conditions"
                                            : "there are no traces yet; `untrace send` makes some");
    ut_pager_end(&pager);
done:
    free(list->page);
    ut_buf_free(&list->texts);
    ut_table_free(&list->table);
    ut_buf_free(&list->name);
    ut_buf_free(&list->out);
    if (err != UT_OK && !list->follow)
        (void)ut_fault_set(fault, err, "the listing ended early: %s", ut_err_text(err));
    return err == UT_ECLOSED ? UT_OK : err; // nobody reads any more
}

enum { OPTION_SORT = UT_OPTION_OWN };
static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE,
                                            UT_OPTION_ROWS_SHOW,
                                            UT_FILTER_ROWS,
                                            UT_OPTION_ROW_JSON,
                                            {"jsonl", no_argument, NULL, UT_OPTION_JSON},
                                            {"limit", required_argument, NULL, 'n'},
                                            UT_FOLLOW_ROW,
                                            {"sort", required_argument, NULL, OPTION_SORT},
                                            UT_OPTION_ROWS_END};

static bool take_sort(listing *list, const char *name_z)
{
    size_t i = 1;
    while (i < sizeof(sorts) / sizeof(sorts[0]) && strcmp(sorts[i], name_z) != 0)
        i++;
    list->sort = (trace_sort)i;
    return i < sizeof(sorts) / sizeof(sorts[0]);
}

static int run(int argc, char **argv)
{
    const ut_options line = {.command_z = "traces", .help_z = help, .rows = option_rows};
    ut_filter_options options;
    ut_reader reader;
    ut_fault fault;
    bool nothing;

    ut_filter_options_init(&options, &line, LIMIT_DEFAULT, ut_clock_wall_ns());
    options.limit_min = 0; // with --follow
    listing list = {.follow = false};
    for (int option; (option = ut_filter_options_next(&options, argc, argv)) != -1;) {
        if (option == 'f')
            list.follow = true;
        else if (!take_sort(&list, optarg))
            return ut_cli_usage("traces",
                                "--sort takes time, duration, spans, errors, tokens or cost, not "
                                "\"%s\"",
                                optarg);
    }
    if (options.line.ended)
        return options.line.code;
    if (list.follow && list.sort != BY_ARRIVAL)
        return ut_cli_usage("traces", "--follow shows traces as they come: without --sort");
    const uint8_t error = UINT8_C(1) << UT_STATUS_ERROR;
    if (list.sort == BY_ERRORS && options.filter.statuses != 0 &&
        (options.filter.statuses & error) == 0)
        return ut_cli_usage("traces", "--sort errors counts spans with status error: --status "
                                      "leaves none of them");
    const uint64_t limit_max = list.sort != BY_ARRIVAL ? UT_TOP_LIST_MAX
                               : list.follow           ? UT_QUIET_TRACES_MAX
                               : options.any           ? CONDITIONS_LIMIT_MAX
                                                       : LIMIT_MAX;
    if (options.limit > limit_max)
        return ut_cli_usage("traces", "--limit takes a number of 1 to %llu here, not %llu",
                            (unsigned long long)limit_max, (unsigned long long)options.limit);
    int code = ut_filter_options_check_follow(&options, list.follow);
    if (code == EX_OK)
        code = ut_filter_options_open(&options, &reader, &nothing);
    if (code != EX_OK)
        return code;
    list.json = options.line.json;
    const ut_err err = list_traces(&list, &options, &reader, nothing, &fault);
    ut_reader_close(&reader);
    if (err == UT_OK)
        return reader.damaged ? EX_DATAERR : EX_OK;
    return ut_cli_fail(&fault);
}

const ut_command ut_command_traces = {
    .name_z = "traces",
    .run = run,
    .summary_z = "list the newest traces, or those with a span that meets conditions",
    .help_z = help,
    .options = option_rows,
};
