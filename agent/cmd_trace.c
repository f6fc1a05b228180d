// `untrace trace ID`: one trace as a tree, with durations drawn as bars and errors in red.
#include "agent/cli.h"
#include "agent/json_value.h"
#include "agent/term.h"

#include "adapters/json.h"
#include "port/base/text.h"
#include "storage/trace_tree.h"

#include <stdio.h>

static const char help[] =
    "usage: untrace trace ID [--data-dir DIR | --config FILE] [--attributes] [--json]\n"
    "\n"
    "Shows one trace as a tree. ID is the trace id in hex; its beginning is enough where only one "
    "trace has it.\n"
    "A bar shows when a span ran within the trace. Errors are red, with their message.\n"
    "\n"
    "  -d, --data-dir DIR  where the agent keeps its data (default: as the configuration says)\n"
    "  -c, --config FILE   configuration to take the data directory from\n"
    "  -a, --attributes    the attributes of every span below it\n"
    "      --json          one JSON object with all spans\n";

enum { OUTPUT_BYTES_MAX = 1024 * 1024, FLUSH_BYTES = 64 * 1024, VALUE_COLUMNS = 120 };
enum {
    SERVICE_COLUMNS = 14,
    DURATION_COLUMNS = 9,
    BAR_COLUMNS_MIN = 16,
    NAME_COLUMNS_MIN = 24,
    DRAWN_DEPTH_MAX = 64, // deeper rows show their depth as a number
};

typedef struct {
    ut_term term;
    ut_buf out;
    uint32_t row_count;
    uint64_t begin_ns; // of the trace
    uint64_t end_ns;
    uint32_t name_columns; // tree lines and name together
    uint32_t bar_columns;
} page;

static uint64_t duration_of(const ut_tree_row *row)
{
    return row->end_ns > row->start_ns ? row->end_ns - row->start_ns : 0;
}

static ut_err flush_page(page *view, size_t when_over)
{
    if (view->out.len <= when_over && view->out.err == UT_OK)
        return UT_OK;
    const bool good =
        view->out.err == UT_OK && fwrite(view->out.data, 1, view->out.len, stdout) == view->out.len;
    ut_buf_reset(&view->out, OUTPUT_BYTES_MAX);
    return good ? UT_OK : UT_EIO;
}

static void measure(page *view, const ut_tree_row *rows, uint32_t count)
{
    view->begin_ns = UINT64_MAX;
    view->end_ns = 0;
    uint32_t widest = NAME_COLUMNS_MIN;
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].start_ns < view->begin_ns)
            view->begin_ns = rows[i].start_ns;
        const uint64_t end = rows[i].start_ns + duration_of(&rows[i]);
        if (end > view->end_ns)
            view->end_ns = end;
        const uint32_t columns = 3 * rows[i].depth + ut_term_columns(rows[i].name);
        if (columns > widest)
            widest = columns;
    }
    const uint32_t fixed = SERVICE_COLUMNS + DURATION_COLUMNS + 6;
    const uint32_t room = view->term.width > fixed + BAR_COLUMNS_MIN
                              ? view->term.width - fixed - BAR_COLUMNS_MIN
                              : NAME_COLUMNS_MIN;
    view->name_columns = widest < room ? widest : room;
    view->bar_columns = view->term.width > fixed + view->name_columns
                            ? view->term.width - fixed - view->name_columns
                            : BAR_COLUMNS_MIN;
}

// The lines that lead from the parents to the row, a rail for every ancestor with siblings to come. head: on the row's own line, which ends
// in a fork; otherwise on a line below it that belongs to it. Returns the columns written.
static uint32_t add_branches(page *view, const ut_tree_row *rows, uint32_t index, bool head)
{
    static const char rail[] = "\xe2\x94\x82  ";
    static const char fork[] = "\xe2\x94\x9c\xe2\x94\x80 ";
    static const char corner[] = "\xe2\x94\x94\xe2\x94\x80 ";
    const char *parts[DRAWN_DEPTH_MAX];
    uint32_t used = 0;
    const ut_tree_row *row = &rows[index];
    if (3 * row->depth + NAME_COLUMNS_MIN / 2 > view->name_columns ||
        row->depth > DRAWN_DEPTH_MAX) {
        char text[24]; // too deep to draw: the depth as a number
        const int len = head ? snprintf(text, sizeof(text), "[%u] ", row->depth)
                             : snprintf(text, sizeof(text), "    ");
        ut_buf_add_z(&view->out, text);
        return (uint32_t)len;
    }
    for (uint32_t at = index, depth = row->depth; depth > 0; depth--) {
        const bool own = at == index && head;
        if (rows[at].last_child)
            parts[used++] = own ? corner : "   ";
        else
            parts[used++] = own ? fork : rail;
        at = rows[at].parent;
    }
    for (uint32_t i = used; i-- > 0;)
        ut_buf_add_z(&view->out, parts[i]);
    return 3 * used;
}

static void add_bar(page *view, const ut_tree_row *row)
{
    static const char full[] = "\xe2\x96\x88";
    static const char thin[] = "\xe2\x96\x8f";
    const double whole =
        view->end_ns > view->begin_ns ? (double)(view->end_ns - view->begin_ns) : 1;
    uint32_t from =
        (uint32_t)((double)(row->start_ns - view->begin_ns) / whole * view->bar_columns);
    uint32_t len = (uint32_t)((double)duration_of(row) / whole * view->bar_columns + 0.5);
    if (from >= view->bar_columns)
        from = view->bar_columns - 1;
    if (len > view->bar_columns - from)
        len = view->bar_columns - from;
    ut_term_repeat(&view->out, " ", from);
    ut_term_colour(&view->term, &view->out,
                   row->status_code == UT_STATUS_ERROR ? UT_COLOUR_RED : UT_COLOUR_CYAN);
    ut_term_repeat(&view->out, len == 0 ? thin : full, len == 0 ? 1 : len);
    ut_term_colour(&view->term, &view->out, UT_COLOUR_NONE);
}

// Begins a line below the row that belongs to it; a rail goes on to its children.
static void begin_line_below(page *view, const ut_tree_row *rows, uint32_t index)
{
    (void)add_branches(view, rows, index, false);
    const bool has_children =
        index + 1 < view->row_count && rows[index + 1].depth > rows[index].depth;
    ut_buf_add_z(&view->out, has_children ? "\xe2\x94\x82   " : "    ");
}

static void add_attributes(page *view, const ut_tree_row *rows, uint32_t index)
{
    const ut_bytes attributes = rows[index].attributes;
    ut_mp_reader reader = ut_mp_reader_of(attributes);
    ut_buf value;
    ut_buf_init(&value, 4 * OUTPUT_BYTES_MAX);
    for (uint32_t left = attributes.len == 0 ? 0 : ut_mp_get_map(&reader);
         left > 0 && reader.err == UT_OK; left--) {
        const ut_bytes key = ut_mp_get_str(&reader);
        ut_buf_reset(&value, OUTPUT_BYTES_MAX);
        ut_json_value(&value, ut_mp_skip(&reader));
        begin_line_below(view, rows, index);
        ut_term_colour(&view->term, &view->out, UT_COLOUR_DIM);
        ut_term_text(&view->out, key, VALUE_COLUMNS, false);
        ut_buf_add_z(&view->out, " = ");
        ut_term_text(&view->out,
                     value.err == UT_OK ? ut_buf_bytes(&value) : UT_BYTES_LIT("(too long)"),
                     VALUE_COLUMNS, false);
        ut_term_colour(&view->term, &view->out, UT_COLOUR_NONE);
        ut_buf_add_byte(&view->out, '\n');
    }
    ut_buf_free(&value);
}

static void add_row(page *view, const ut_tree_row *rows, uint32_t index, bool attributes)
{
    const ut_tree_row *row = &rows[index];
    const bool error = row->status_code == UT_STATUS_ERROR;
    char took[UT_TEXT_SHORT_MAX];

    const uint32_t used = add_branches(view, rows, index, true);
    ut_term_colour(&view->term, &view->out, error ? UT_COLOUR_RED : UT_COLOUR_BOLD);
    ut_term_text(&view->out, row->name.len == 0 ? UT_BYTES_LIT("(no name)") : row->name,
                 view->name_columns > used ? view->name_columns - used : 1, true);
    ut_term_colour(&view->term, &view->out, UT_COLOUR_NONE);
    ut_buf_add_z(&view->out, "  ");
    ut_term_text(&view->out, row->service.len == 0 ? UT_BYTES_LIT("-") : row->service,
                 SERVICE_COLUMNS, true);
    ut_text_duration(duration_of(row), took);
    ut_buf_printf(&view->out, "  %*s  ", DURATION_COLUMNS, took);
    add_bar(view, row);
    ut_buf_add_byte(&view->out, '\n');

    if (row->place == UT_TREE_PARENT_MISSING || row->place == UT_TREE_CYCLE) {
        begin_line_below(view, rows, index);
        ut_term_colour(&view->term, &view->out, UT_COLOUR_DIM);
        char id[2 * UT_SPAN_ID_LEN + 1];
        ut_hex_encode(ut_bytes_of(row->parent_span_id, UT_SPAN_ID_LEN), id);
        ut_buf_printf(&view->out,
                      row->place == UT_TREE_CYCLE ? "its parent %s is also below it\n"
                                                  : "its parent %s is not here\n",
                      id);
        ut_term_colour(&view->term, &view->out, UT_COLOUR_NONE);
    }
    if (error) {
        begin_line_below(view, rows, index);
        ut_term_colour(&view->term, &view->out, UT_COLOUR_RED);
        ut_buf_add_z(&view->out, "error: ");
        ut_term_text(&view->out,
                     row->status_message.len == 0 ? UT_BYTES_LIT("(no message)")
                                                  : row->status_message,
                     VALUE_COLUMNS, false);
        ut_term_colour(&view->term, &view->out, UT_COLOUR_NONE);
        ut_buf_add_byte(&view->out, '\n');
    }
    if (attributes)
        add_attributes(view, rows, index);
}

static ut_err print_tree(const ut_tree *tree, const uint8_t trace_id[UT_TRACE_ID_LEN],
                         uint32_t damaged, bool attributes)
{
    page view = {.term = ut_term_stdout()};
    uint32_t count = 0;
    uint32_t errors = 0;
    const ut_tree_row *rows = ut_tree_rows(tree, &count);
    char id[2 * UT_TRACE_ID_LEN + 1];
    char began[UT_TEXT_SHORT_MAX];
    char took[UT_TEXT_SHORT_MAX];

    ut_buf_init(&view.out, 64 * OUTPUT_BYTES_MAX);
    view.row_count = count;
    measure(&view, rows, count);
    for (uint32_t i = 0; i < count; i++)
        errors += rows[i].status_code == UT_STATUS_ERROR;
    ut_hex_encode(ut_bytes_of(trace_id, UT_TRACE_ID_LEN), id);
    ut_text_time(view.begin_ns, began);
    ut_text_duration(view.end_ns - view.begin_ns, took);
    ut_term_colour(&view.term, &view.out, UT_COLOUR_BOLD);
    ut_buf_printf(&view.out, "trace %s", id);
    ut_term_colour(&view.term, &view.out, UT_COLOUR_NONE);
    ut_buf_printf(&view.out, "\nbegan %s, took %s, %u span%s, ", began, took, count,
                  count == 1 ? "" : "s");
    ut_term_colour(&view.term, &view.out, errors > 0 ? UT_COLOUR_RED : UT_COLOUR_GREEN);
    ut_buf_printf(&view.out, "%u error%s", errors, errors == 1 ? "" : "s");
    ut_term_colour(&view.term, &view.out, UT_COLOUR_NONE);
    ut_buf_add_z(&view.out, "\n");
    if (damaged > 0)
        ut_buf_printf(&view.out, "%u damaged block%s could not be read: spans are missing here\n",
                      damaged, damaged == 1 ? "" : "s");
    ut_buf_add_byte(&view.out, '\n');
    ut_err err = UT_OK;
    for (uint32_t i = 0; i < count && err == UT_OK; i++) {
        add_row(&view, rows, i, attributes);
        err = flush_page(&view, FLUSH_BYTES);
    }
    if (err == UT_OK)
        err = flush_page(&view, 0);
    ut_buf_free(&view.out);
    return err;
}

static const char *kind_name(int32_t kind)
{
    static const char *const names[] = {"unspecified", "internal", "server",
                                        "client",      "producer", "consumer"};
    return kind >= 0 && kind < (int32_t)(sizeof(names) / sizeof(names[0])) ? names[kind]
                                                                           : "unspecified";
}

static void add_span_json(ut_buf *out, const ut_tree_row *row)
{
    ut_buf_add_z(out, "{\"span_id\":");
    ut_json_put_hex(out, ut_bytes_of(row->span_id, UT_SPAN_ID_LEN));
    ut_buf_add_z(out, ",\"parent_span_id\":");
    if (row->has_parent)
        ut_json_put_hex(out, ut_bytes_of(row->parent_span_id, UT_SPAN_ID_LEN));
    else
        ut_buf_add_z(out, "null");
    ut_buf_add_z(out, ",\"name\":");
    ut_json_put_string(out, row->name);
    ut_buf_add_z(out, ",\"service\":");
    ut_json_put_string(out, row->service);
    ut_buf_add_z(out, ",\"scope\":");
    ut_json_put_string(out, row->scope_name);
    ut_buf_printf(out,
                  ",\"kind\":\"%s\",\"depth\":%u,\"start_ns\":%llu,\"end_ns\":%llu,\"duration_ns\":"
                  "%llu,\"status\":\"%s\",\"status_message\":",
                  kind_name(row->kind), row->depth, (unsigned long long)row->start_ns,
                  (unsigned long long)row->end_ns, (unsigned long long)duration_of(row),
                  row->status_code == UT_STATUS_ERROR ? "error"
                  : row->status_code == UT_STATUS_OK  ? "ok"
                                                      : "unset");
    ut_json_put_string(out, row->status_message);
    ut_buf_add_z(out, ",\"attributes\":");
    ut_json_value(out, row->attributes);
    ut_buf_add_z(out, ",\"resource\":");
    ut_json_value(out, row->resource_attributes);
    ut_buf_add_z(out, ",\"events\":[");
    ut_mp_reader reader = ut_mp_reader_of(row->events);
    for (uint32_t left = row->events.len == 0 ? 0 : ut_mp_get_array(&reader), i = 0;
         i < left && reader.err == UT_OK; i++) {
        ut_event event;
        if (ut_event_read(&reader, row->start_ns, &event) != UT_OK)
            break;
        ut_buf_printf(out, "%s{\"time_ns\":%llu,\"name\":", i == 0 ? "" : ",",
                      (unsigned long long)event.time_ns);
        ut_json_put_string(out, event.name);
        ut_buf_add_z(out, ",\"attributes\":");
        ut_json_value(out, event.attributes);
        ut_buf_add_byte(out, '}');
    }
    ut_buf_add_z(out, "]}");
}

static ut_err print_json(const ut_tree *tree, const uint8_t trace_id[UT_TRACE_ID_LEN],
                         uint32_t damaged)
{
    page view = {0};
    uint32_t count = 0;
    const ut_tree_row *rows = ut_tree_rows(tree, &count);
    ut_err err = UT_OK;

    ut_buf_init(&view.out, 256 * OUTPUT_BYTES_MAX);
    ut_buf_add_z(&view.out, "{\"trace_id\":");
    ut_json_put_hex(&view.out, ut_bytes_of(trace_id, UT_TRACE_ID_LEN));
    ut_buf_printf(&view.out, ",\"damaged_blocks\":%u,\"spans\":[", damaged);
    for (uint32_t i = 0; i < count && err == UT_OK; i++) {
        if (i > 0)
            ut_buf_add_byte(&view.out, ',');
        add_span_json(&view.out, &rows[i]);
        err = flush_page(&view, FLUSH_BYTES);
    }
    ut_buf_add_z(&view.out, "]}\n");
    if (err == UT_OK)
        err = flush_page(&view, 0);
    ut_buf_free(&view.out);
    return err;
}

enum { OPTION_JSON = 256 };
static const struct option options[] = {
    {"data-dir", required_argument, NULL, 'd'}, {"config", required_argument, NULL, 'c'},
    {"attributes", no_argument, NULL, 'a'},     {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};

static int run(int argc, char **argv)
{
    const char *data_dir_z = NULL;
    const char *config_z = NULL;
    bool json = false;
    bool attributes = false;
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint32_t damaged = 0;
    ut_cli_reader reader;
    ut_tree *tree = NULL;
    ut_fault fault;

    for (int option; (option = getopt_long(argc, argv, ":d:c:ah", options, NULL)) != -1;) {
        switch (option) {
        case 'd':
            data_dir_z = optarg;
            break;
        case 'c':
            config_z = optarg;
            break;
        case 'a':
            attributes = true;
            break;
        case OPTION_JSON:
            json = true;
            break;
        case 'h':
            (void)fputs(help, stdout);
            return EX_OK;
        default:
            return ut_cli_usage("trace", option == ':' ? "%s needs a value" : "%s is not an option",
                                argv[optind - 1]);
        }
    }
    if (optind + 1 != argc)
        return ut_cli_usage("trace", "one trace id is needed, found %d", argc - optind);
    const char *id_z = argv[optind];

    ut_err err = ut_cli_reader_open(data_dir_z, config_z, &reader, &fault);
    if (err != UT_OK)
        return ut_cli_fail(&fault);
    err = ut_query_resolve_trace(reader.view, UT_ORG_DEFAULT, id_z, trace_id);
    if (err != UT_OK) {
        (void)ut_fault_set(
            &fault, err,
            err == UT_ENOTFOUND
                ? "no trace here begins with %s; `untrace traces` lists what there is"
            : err == UT_EEXIST  ? "several traces begin with %s: give more digits"
            : err == UT_EFORMAT ? "\"%s\" is not a trace id, expected 1 to 32 hex digits"
                                : "trace %s could not be looked up: the store cannot be read",
            id_z);
        ut_cli_reader_close(&reader);
        (void)ut_cli_fail(&fault);
        return err == UT_EFORMAT ? EX_USAGE : err == UT_EEXIST ? EX_DATAERR : ut_cli_exit_code(err);
    }
    err = ut_tree_new(&tree);
    if (err == UT_OK)
        err = ut_query_trace(reader.view, UT_ORG_DEFAULT, trace_id, &damaged, ut_tree_add, tree);
    if (err == UT_OK)
        err = ut_tree_build(tree);
    if (err == UT_OK)
        err = json ? print_json(tree, trace_id, damaged)
                   : print_tree(tree, trace_id, damaged, attributes);
    ut_tree_free(tree);
    ut_cli_reader_close(&reader);
    if (err == UT_OK)
        return EX_OK;
    (void)ut_fault_set(&fault, err, "trace %s could not be shown whole: %s", id_z,
                       ut_err_text(err));
    return ut_cli_fail(&fault);
}

const ut_command ut_command_trace = {
    .name_z = "trace",
    .run = run,
    .summary_z = "show one trace as a tree",
    .help_z = help,
    .options = options,
};
