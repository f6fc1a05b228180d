// `untrace trace ID`: one trace as a tree, as JSON, as OTLP, or as the states it went through.
#include "agent/commands/command.h"
#include "agent/cli/options.h"
#include "agent/cli/pager.h"
#include "agent/cli/span_text.h"
#include "agent/cli/term.h"
#include "agent/files/trace_otlp.h"
#include "agent/cli/trace_page.h"
#include "agent/cli/trace_pick.h"

#include "adapters/encoding/json_write.h"
#include "agent/query/reader.h"
#include "port/base/text.h"
#include "storage/query/trace_tree.h"

#include <stdio.h>

// clang-format off
static const char help[] =
    "usage: untrace trace ID [-a | -v | --full] [--errors] [--critical] [--depth N]\n"
    "                     [--min-duration D] [--all] [--prompt-preview-len N]\n"
    "                     [--state] [--json | --otlp]\n"
    "\n"
    "Shows one trace as a tree. ID is the trace id in hex; its beginning is enough\n"
    "where only one trace has it. A bar shows when a span ran within the trace.\n"
    "Errors are red, with their message. A * marks the spans that decided how long\n"
    "the trace took. Calls of language models show model, tokens, cost, and what was\n"
    "said. Five or more equal siblings in a row become one line with their sum, and\n"
    "200 lines of spans are shown.\n"
    "\n"
    "  -a, --attributes        the attributes of every span below it; nothing folds\n"
    "  -v, --verbose           these, its id, kind and scope, its resource's, its\n"
    "                          events and links; stack traces whole\n"
    "      --full              as -v, with all values whole\n"
    "      --errors            the failed spans, and the way to them\n"
    "      --critical          the spans marked with *\n"
    "      --depth N           the first N levels\n"
    "      --min-duration D    the spans that took at least D (250us, 1.5s), and the\n"
    "                          way to them\n"
    "      --all               every span in a line of its own, without limit\n"
    "      --prompt-preview-len N\n"
    "                          characters of what was said to a model and back\n"
    "                          (default 200; 0: none, -1: all)\n"
    "      --state             the changes of state that events of the spans record,\n"
    "                          and the state that they lead to; with --json the state\n"
    "                          at every span\n"
    "      --state-event NAME  these events are named NAME, not set_state\n"
    "      --state-key KEY     and their attribute KEY holds the patch, not\n"
    "                          state.patch and its like\n"
    "      --json              one JSON object with all spans\n"
    "      --otlp              one OTLP/JSON request with all spans, as they were\n"
    "                          received\n"
    "Where and how:\n"
    UT_OPTION_HELP_WHERE
    UT_OPTION_HELP_SHOW
    "\n"
    "  untrace trace 4bf92f35\n";
// clang-format on

enum { OUTPUT_BYTES_MAX = 512 * 1024 * 1024, PROMPT_COLUMNS_MAX = 1000 * 1000 * 1000 };

typedef enum { AS_TREE, AS_JSON, AS_OTLP } form;

typedef struct {
    form form;
    bool state;
    bool cut_given; // conditions on the spans of the tree
    ut_state_options state_names;
    ut_trace_page_options page;
} request;

static const char *place_z(ut_tree_place place)
{
    switch (place) {
    case UT_TREE_ROOT:
        return "root";
    case UT_TREE_CHILD:
        return "child";
    case UT_TREE_PARENT_MISSING:
        return "parent_missing";
    case UT_TREE_CYCLE:
        return "cycle";
    }
    return "root";
}

static void write_span(ut_json_writer *json, const uint8_t trace_id[UT_TRACE_ID_LEN],
                       const ut_tree_row *row)
{
    const ut_span span = {
        .trace_id = ut_bytes_of(trace_id, UT_TRACE_ID_LEN),
        .span_id = ut_bytes_of(row->span_id, UT_SPAN_ID_LEN),
        .parent_span_id =
            row->has_parent ? ut_bytes_of(row->parent_span_id, UT_SPAN_ID_LEN) : UT_BYTES_NONE,
        .name = row->name,
        .kind = row->kind,
        .start_ns = row->start_ns,
        .end_ns = row->end_ns,
        .status_code = row->status_code,
        .status_message = row->status_message,
        .attributes = row->attributes,
        .events = row->events,
        .links = row->links,
    };
    ut_json_write_object(json, NULL);
    ut_json_write_uint(json, "depth", row->depth);
    ut_json_write_text_z(json, "place", place_z(row->place));
    ut_json_write_bool(json, "critical", row->critical);
    ut_json_write_uint(json, "critical_ns", row->critical_ns);
    ut_json_write_uint(json, "self_ns", row->self_ns);
    ut_json_write_bool(json, "skewed", row->skewed);
    ut_json_write_bool(json, "duplicate_id", row->duplicate_id);
    ut_json_write_bool(json, "replaced", row->replaced);
    ut_span_json(json, &span, row->scope_name, row->resource_attributes);
    ut_json_write_close(json);
}

static ut_err print_json(const ut_tree *tree, const uint8_t trace_id[UT_TRACE_ID_LEN],
                         uint32_t damaged)
{
    ut_buf out;
    uint32_t count = 0;
    const ut_tree_row *rows = ut_tree_all_rows(tree, &count);
    ut_err err = UT_OK;

    ut_buf_init(&out, OUTPUT_BYTES_MAX);
    ut_json_writer json = ut_json_writer_of(&out);
    ut_json_write_object(&json, NULL);
    ut_json_write_hex(&json, "trace_id", ut_bytes_of(trace_id, UT_TRACE_ID_LEN));
    ut_json_write_uint(&json, "damaged_blocks", damaged);
    ut_json_write_array(&json, "spans");
    for (uint32_t i = 0; i < count && err == UT_OK; i++) {
        write_span(&json, trace_id, &rows[i]);
        err = ut_term_write(&out);
    }
    ut_json_write_close(&json);
    ut_json_write_close(&json);
    ut_json_write_line(&json);
    if (err == UT_OK)
        err = ut_term_write(&out);
    ut_buf_free(&out);
    return err;
}

// Where a trace is read to: the tree, and its states when these are wanted.
typedef struct {
    ut_tree *tree;
    ut_state *state; // or NULL
} sink;

static ut_err take_span(void *context, const ut_trace_span *span)
{
    const sink *to = context;
    const ut_err err = ut_tree_add(to->tree, span);
    if (err != UT_OK || to->state == NULL)
        return err;
    // Damaged events are a matter of that span: what was read of them before counts.
    const ut_err state_err = ut_state_add(to->state, &span->span);
    return state_err == UT_EFORMAT ? UT_OK : state_err;
}

static ut_err print_loaded(const request *wanted, const sink *from,
                           const ut_trace_page_options *options,
                           const uint8_t trace_id[UT_TRACE_ID_LEN])
{
    ut_trace_page_options page = *options;
    ut_err err = ut_tree_build(from->tree);
    if (err == UT_OK && from->state != NULL) {
        err = ut_state_build(from->state);
        if (err == UT_OK)
            err = ut_trace_state_new(from->state, &page.state);
    }
    if (err == UT_OK)
        err = wanted->form == AS_TREE ? ut_trace_page_print(from->tree, trace_id, &page)
              : wanted->state         ? ut_trace_state_print_json(page.state, from->tree, trace_id)
                                      : print_json(from->tree, trace_id, page.damaged_blocks);
    ut_trace_state_free(page.state);
    return err;
}

static ut_err print_tree(const request *wanted, ut_reader *reader,
                         const uint8_t trace_id[UT_TRACE_ID_LEN])
{
    sink to = {NULL, NULL};
    ut_trace_page_options page = wanted->page;
    page.prices = &reader->llm_prices;
    ut_err err = ut_tree_new(&to.tree);
    if (err == UT_OK && wanted->state)
        err = ut_state_new(&wanted->state_names, &to.state);
    if (err == UT_OK)
        err = ut_query_trace(reader->view, UT_ORG_DEFAULT, trace_id, &page.damaged_blocks,
                             take_span, &to);
    ut_store_view_end(reader->view); // the reader of the output may be slow
    if (err == UT_OK)
        err = print_loaded(wanted, &to, &page, trace_id);
    ut_tree_free(to.tree);
    ut_state_free(to.state);
    return err;
}

static ut_err print_otlp(ut_reader *reader, const uint8_t trace_id[UT_TRACE_ID_LEN])
{
    uint32_t damaged = 0;
    const ut_err err = ut_trace_otlp_print(reader, trace_id, &damaged);
    if (damaged > 0)
        (void)fprintf(stderr,
                      "untrace: %u damaged block%s could not be read: spans are missing here\n",
                      damaged, damaged == 1 ? "" : "s");
    return err;
}

// "-1" or a number.
static bool take_columns(const char *text_z, int32_t *columns)
{
    uint64_t number = 0;
    if (strcmp(text_z, "-1") == 0) {
        *columns = -1;
        return true;
    }
    if (!ut_cli_number(text_z, PROMPT_COLUMNS_MAX, &number))
        return false;
    *columns = (int32_t)number;
    return true;
}

enum {
    OPTION_JSON = UT_OPTION_OWN,
    OPTION_OTLP,
    OPTION_PROMPT,
    OPTION_FULL,
    OPTION_ALL,
    OPTION_ERRORS,
    OPTION_CRITICAL,
    OPTION_DEPTH,
    OPTION_MIN_DURATION,
    OPTION_STATE,
    OPTION_STATE_EVENT,
    OPTION_STATE_KEY
};
static const struct option option_rows[] = {
    UT_OPTION_ROWS_WHERE,
    UT_OPTION_ROWS_SHOW,
    {"attributes", no_argument, NULL, 'a'},
    {"verbose", no_argument, NULL, 'v'},
    {"full", no_argument, NULL, OPTION_FULL},
    {"errors", no_argument, NULL, OPTION_ERRORS},
    {"critical", no_argument, NULL, OPTION_CRITICAL},
    {"depth", required_argument, NULL, OPTION_DEPTH},
    {"min-duration", required_argument, NULL, OPTION_MIN_DURATION},
    {"all", no_argument, NULL, OPTION_ALL},
    {"prompt-preview-len", required_argument, NULL, OPTION_PROMPT},
    {"state", no_argument, NULL, OPTION_STATE},
    {"state-event", required_argument, NULL, OPTION_STATE_EVENT},
    {"state-key", required_argument, NULL, OPTION_STATE_KEY},
    {"json", no_argument, NULL, OPTION_JSON},
    {"otlp", no_argument, NULL, OPTION_OTLP},
    UT_OPTION_ROWS_END};

static int take_name(request *wanted, ut_bytes *name, const char *text_z)
{
    if (text_z[0] == '\0' || strlen(text_z) > UT_STATE_NAME_MAX)
        return ut_cli_usage("trace", "a name has 1 to %d bytes, not %zu", UT_STATE_NAME_MAX,
                            strlen(text_z));
    *name = ut_bytes_of_z(text_z);
    wanted->state = true;
    return EX_OK;
}

// Takes an option that says which spans the tree shows. EX_OK or EX_USAGE.
static int take_cut(ut_trace_cut_options *cut, int option)
{
    uint64_t depth = 0;
    switch (option) {
    case OPTION_ERRORS:
        cut->errors = true;
        return EX_OK;
    case OPTION_CRITICAL:
        cut->critical = true;
        return EX_OK;
    case OPTION_DEPTH:
        if (!ut_cli_number(optarg, UT_TREE_SPANS_MAX, &depth) || depth == 0)
            return ut_cli_usage("trace", "--depth takes a number of 1 to %d, not \"%s\"",
                                UT_TREE_SPANS_MAX, optarg);
        cut->depth = (uint32_t)depth;
        return EX_OK;
    case OPTION_MIN_DURATION:
        return ut_text_parse_duration_ns(ut_bytes_of_z(optarg), &cut->min_duration_ns) == UT_OK
                   ? EX_OK
                   : ut_cli_usage("trace",
                                  "--min-duration takes a duration such as 250us or 1.5s, not "
                                  "\"%s\"",
                                  optarg);
    default:
        cut->all = true;
        return EX_OK;
    }
}

// Takes an option that is the command's own. EX_OK or EX_USAGE.
static int take_option(request *wanted, int option)
{
    switch (option) {
    case OPTION_FULL:
        wanted->page.full = true;
        wanted->page.verbose = true;
        return EX_OK;
    case OPTION_ALL:
    case OPTION_ERRORS:
    case OPTION_CRITICAL:
    case OPTION_DEPTH:
    case OPTION_MIN_DURATION:
        wanted->cut_given = wanted->cut_given || option != OPTION_ALL;
        return take_cut(&wanted->page.cut, option);
    case 'a':
        wanted->page.attributes = true;
        return EX_OK;
    case 'v':
        wanted->page.verbose = true;
        return EX_OK;
    case OPTION_PROMPT:
        return take_columns(optarg, &wanted->page.prompt_columns)
                   ? EX_OK
                   : ut_cli_usage("trace", "--prompt-preview-len takes a number or -1, not \"%s\"",
                                  optarg);
    case OPTION_STATE:
        wanted->state = true;
        return EX_OK;
    case OPTION_STATE_EVENT:
        return take_name(wanted, &wanted->state_names.event_name, optarg);
    case OPTION_STATE_KEY:
        return take_name(wanted, &wanted->state_names.patch_key, optarg);
    case OPTION_JSON:
        wanted->form = AS_JSON;
        return EX_OK;
    default:
        wanted->form = AS_OTLP;
        return EX_OK;
    }
}

static int show(const request *wanted, const ut_options *options, ut_reader *reader,
                const char *id_z)
{
    uint8_t trace_id[UT_TRACE_ID_LEN];
    ut_pager pager = {.process = 0};
    ut_fault fault;
    ut_err err = ut_trace_pick(reader->view, UT_ORG_DEFAULT, id_z, trace_id);
    if (err != UT_OK)
        return ut_trace_pick_exit_code(err);
    ut_pager_begin(&pager, options);
    err = wanted->form == AS_OTLP ? print_otlp(reader, trace_id)
                                  : print_tree(wanted, reader, trace_id);
    ut_pager_end(&pager);
    if (err == UT_OK || err == UT_ECLOSED) // nobody reads any more
        return EX_OK;
    (void)ut_fault_set(&fault, err, "trace %s could not be shown whole: %s", id_z,
                       ut_err_text(err));
    return ut_cli_fail(&fault);
}

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "trace",
                          .help_z = help,
                          .rows = option_rows,
                          .words_max = UT_OPTIONS_WORDS_ANY};
    request wanted = {.page = {.prompt_columns = UT_TRACE_PROMPT_COLUMNS}};
    ut_reader reader;
    ut_fault fault;
    for (int option; (option = ut_options_next(&options, argc, argv)) != -1;) {
        const int code = take_option(&wanted, option);
        if (code != EX_OK)
            return code;
    }
    if (options.ended)
        return options.code;
    if (optind + 1 != argc)
        return ut_cli_usage("trace", "one trace id is needed, found %d", argc - optind);
    if (wanted.state && wanted.form == AS_OTLP)
        return ut_cli_usage("trace", "--state and --otlp do not go together");
    if (wanted.cut_given && wanted.form != AS_TREE)
        return ut_cli_usage("trace", "--errors, --critical, --depth and --min-duration are for the "
                                     "tree; --json and --otlp have all spans");
    if (ut_reader_open(options.data_dir_z, options.config_z, &reader, &fault) != UT_OK)
        return ut_cli_fail(&fault);
    const int code = show(&wanted, &options, &reader, argv[optind]);
    ut_reader_close(&reader);
    return code;
}

const ut_command ut_command_trace = {
    .name_z = "trace",
    .run = run,
    .summary_z = "show one trace as a tree",
    .help_z = help,
    .options = option_rows,
};
