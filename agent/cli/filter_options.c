// Conditions on spans as options of the command line; see filter_options.h.
#include "agent/cli/filter_options.h"

#include "agent/cli/time_option.h"
#include "agent/cli/trace_pick.h"
#include "agent/cli/term.h"
#include "agent/query/follow.h"
#include "agent/query/service_names.h"
#include "agent/query/reader.h"
#include "port/base/text.h"

#include <stdio.h>
#include <strings.h>

enum { HINT_SERVICES = 8, HINT_COLUMNS = 40, HINT_BYTES_MAX = 8 * 1024 };

typedef struct {
    const char *name_z;
    uint32_t bit;
} word;

static const word kinds[] = {
    {"unspecified", 0}, {"internal", 1}, {"server", 2},
    {"client", 3},      {"producer", 4}, {"consumer", 5},
};
static const word statuses[] = {
    {"unset", UT_STATUS_UNSET},
    {"ok", UT_STATUS_OK},
    {"error", UT_STATUS_ERROR},
};

void ut_filter_options_init(ut_filter_options *options, const ut_options *line, uint64_t limit,
                            uint64_t now_ns)
{
    *options = (ut_filter_options){.line = *line,
                                   .filter = ut_filter_all(),
                                   .limit = limit,
                                   .limit_min = 1,
                                   .limit_max = UT_FILTER_LIMIT_MAX,
                                   .now_ns = now_ns};
}

// Sets the bits of the words in a list such as "error,ok". False at a word that is none of them.
static bool take_words(const char *text_z, const word *words, size_t count, uint32_t *bits)
{
    const char *at = text_z;
    for (;;) {
        const size_t len = strcspn(at, ",");
        size_t i = 0;
        while (i < count &&
               !(strlen(words[i].name_z) == len && strncasecmp(words[i].name_z, at, len) == 0))
            i++;
        if (i == count)
            return false;
        *bits |= UINT32_C(1) << words[i].bit;
        if (at[len] == 0)
            return true;
        at += len + 1;
    }
}

static int take_term(ut_filter *filter, const char *command_z, const char *text_z)
{
    ut_fault fault;
    if (filter->term_count == UT_FILTER_TERMS_MAX)
        return ut_cli_usage(command_z, "--attribute may be given %d times at most",
                            UT_FILTER_TERMS_MAX);
    if (ut_filter_term_read(ut_bytes_of_z(text_z), &filter->terms[filter->term_count], &fault) !=
        UT_OK)
        return ut_cli_usage(command_z, "--attribute: %s", fault.text_z);
    filter->term_count++;
    return EX_OK;
}

int ut_filter_options_text(const char *command_z, const char *option_z, const char *text_z,
                           ut_bytes *text)
{
    if (text_z[0] == 0)
        return ut_cli_usage(command_z, "%s takes a text that is not empty", option_z);
    *text = ut_bytes_of_z(text_z);
    return EX_OK;
}

static int take_condition(ut_filter_options *options, const char *command_z, int option,
                          const char *text_z)
{
    static const char time_z[] = "a time such as 2h, 18:00, yesterday or 2026-11-20T18:00";
    static const char duration_z[] = "a duration such as 100ms, 1.5s or 250us";
    ut_filter *filter = &options->filter;
    uint32_t bits = 0;
    switch (option) {
    case UT_OPTION_TRACE:
        options->trace_z = text_z;
        return EX_OK;
    case 'S':
        options->time_given = true;
        filter->since = ut_bytes_of_z(text_z);
        return ut_time_option(text_z, options->now_ns, &filter->start_ns)
                   ? EX_OK
                   : ut_cli_usage(command_z, "--since takes %s, not \"%s\"", time_z, text_z);
    case 'U':
        filter->until = ut_bytes_of_z(text_z);
        options->time_given = true; // "before that", and not "of the last hours before that"
        return ut_time_option(text_z, options->now_ns, &filter->end_ns)
                   ? EX_OK
                   : ut_cli_usage(command_z, "--until takes %s, not \"%s\"", time_z, text_z);
    case 's':
        return ut_filter_options_text(command_z, "--service", text_z, &filter->service);
    case 'N':
        return ut_filter_options_text(command_z, "--name", text_z, &filter->name);
    case UT_OPTION_KIND:
        if (!take_words(text_z, kinds, sizeof(kinds) / sizeof(kinds[0]), &filter->kinds))
            return ut_cli_usage(command_z,
                                "--kind takes server, client, producer, consumer, internal or "
                                "unspecified, several with commas, not \"%s\"",
                                text_z);
        return EX_OK;
    case UT_OPTION_STATUS:
        if (!take_words(text_z, statuses, sizeof(statuses) / sizeof(statuses[0]), &bits))
            return ut_cli_usage(
                command_z, "--status takes error, ok or unset, several with commas, not \"%s\"",
                text_z);
        filter->statuses |= (uint8_t)bits;
        return EX_OK;
    case UT_OPTION_MIN_DURATION:
        return ut_text_parse_duration_ns(ut_bytes_of_z(text_z), &filter->duration_min_ns) == UT_OK
                   ? EX_OK
                   : ut_cli_usage(command_z, "--min-duration takes %s, not \"%s\"", duration_z,
                                  text_z);
    case UT_OPTION_MAX_DURATION:
        return ut_text_parse_duration_ns(ut_bytes_of_z(text_z), &filter->duration_max_ns) == UT_OK
                   ? EX_OK
                   : ut_cli_usage(command_z, "--max-duration takes %s, not \"%s\"", duration_z,
                                  text_z);
    case 'a':
        return take_term(filter, command_z, text_z);
    case UT_OPTION_MESSAGE:
        return ut_filter_options_text(command_z, "--message", text_z, &filter->message);
    case UT_OPTION_ROOTS:
        filter->roots_only = true;
        return EX_OK;
    case UT_OPTION_LLM:
        filter->llm_only = true;
        return EX_OK;
    default:
        UT_ASSERT(false);
        return EX_SOFTWARE;
    }
}

static int refuse_limit(const ut_filter_options *options, const char *text_z)
{
    return ut_cli_usage(options->line.command_z, "--limit takes a number of 1 to %llu, not \"%s\"",
                        (unsigned long long)options->limit_max, text_z);
}

static const char *name_of(const ut_filter_options *options, int option)
{
    const struct option *row = options->line.rows;
    while (row->val != option)
        row++; // it was found there
    return row->name;
}

// Notes a condition. Two of these would have to hold both, and the first would be forgotten: they
// are refused.
static int note_condition(ut_filter_options *options, int option, const char *text_z)
{
    static const int once[] = {
        UT_OPTION_TRACE,  'S', 'U', 's', 'N', UT_OPTION_MIN_DURATION, UT_OPTION_MAX_DURATION,
        UT_OPTION_MESSAGE};
    const char *const name_z = name_of(options, option);
    bool repeated = false;
    for (uint32_t i = 0; i < options->given_count; i++)
        repeated = repeated || strcmp(options->given[i].option_z, name_z) == 0;
    for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
        if (repeated && once[i] == option)
            return ut_cli_usage(options->line.command_z, "--%s may be given once", name_z);
    }
    if (options->given_count < UT_FILTER_GIVEN_MAX) {
        options->given[options->given_count].option_z = name_z;
        options->given[options->given_count].text_z = text_z;
        options->given_count++;
    }
    return EX_OK;
}

// Takes one option that is not the command's own. EX_OK or EX_USAGE.
static int take(ut_filter_options *options, int option)
{
    const char *const command_z = options->line.command_z;
    switch (option) {
    case 'n':
        options->limit_given = true;
        if (!ut_cli_number(optarg, options->limit_max, &options->limit) ||
            options->limit < options->limit_min)
            return refuse_limit(options, optarg);
        return EX_OK;
    case UT_OPTION_NEWEST:
        options->oldest_first = false;
        return EX_OK;
    case UT_OPTION_OLDEST:
        options->oldest_first = true;
        return EX_OK;
    case UT_OPTION_CURSOR:
        options->cursor_z = optarg;
        return EX_OK;
    default: {
        const int code = note_condition(options, option, optarg);
        options->any = true;
        return code == EX_OK ? take_condition(options, command_z, option, optarg) : code;
    }
    }
}

// The option is one of UT_FILTER_ROWS or UT_PAGE_ROWS.
static bool is_shared(int option)
{
    return option >= UT_OPTION_TRACE || (option > ' ' && option <= '~' && strchr("nasSUN", option));
}

int ut_filter_options_next(ut_filter_options *options, int argc, char **argv)
{
    for (;;) {
        const int option = ut_options_next(&options->line, argc, argv);
        if (!is_shared(option))
            return option;
        const int code = take(options, option);
        if (code != EX_OK) {
            options->line.ended = true;
            options->line.code = code;
            return -1;
        }
    }
}

int ut_filter_options_check_follow(const ut_filter_options *options, bool follow)
{
    const char *const command_z = options->line.command_z;
    if (!follow)
        return options->limit == 0 ? refuse_limit(options, "0") : EX_OK;
    if (options->cursor_z != NULL && !options->oldest_first)
        return ut_cli_usage(command_z, "--follow goes on from a cursor of --oldest only");
    if (options->oldest_first && options->limit_given)
        return ut_cli_usage(command_z, "--oldest --follow shows all there is: without --limit");
    return EX_OK;
}

uint64_t ut_filter_options_backlog(const ut_filter_options *options)
{
    return options->cursor_z != NULL ? 0
           : options->limit_given    ? options->limit
           : options->oldest_first   ? UINT64_MAX
                                     : UT_FOLLOW_BACKLOG;
}

int ut_filter_options_errors(ut_filter_options *options, const char *what_z)
{
    const uint8_t error = UINT8_C(1) << UT_STATUS_ERROR;
    const uint8_t wanted = options->filter.statuses;
    if (wanted != 0 && (wanted & error) == 0)
        return ut_cli_usage(options->line.command_z,
                            "%s are spans with status error: --status leaves them all out", what_z);
    options->filter.statuses = error;
    options->errors_only = true;
    return EX_OK;
}

// ---- the conditions again ----

// Appends a word as a shell takes it.
static void add_word(ut_buf *out, const char *text_z)
{
    static const char plain_z[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_./:@%+=,-";
    const bool quoted = text_z[0] == 0 || text_z[strspn(text_z, plain_z)] != 0;
    ut_buf_add_z(out, quoted ? " '" : " ");
    for (const char *at = text_z; *at != 0; at++) {
        if (*at == '\'')
            ut_buf_add_z(out, "'\\''");
        else
            ut_buf_add_byte(out, (uint8_t)*at);
    }
    if (quoted)
        ut_buf_add_byte(out, '\'');
}

static void add_option(ut_buf *out, const char *name_z, const char *text_z)
{
    ut_buf_printf(out, " --%s", name_z);
    if (text_z != NULL)
        add_word(out, text_z);
}

void ut_filter_options_repeat(const ut_filter_options *options, ut_buf *out)
{
    for (uint32_t i = 0; i < options->given_count; i++) {
        if (strcmp(options->given[i].option_z, "status") != 0 || !options->errors_only)
            add_option(out, options->given[i].option_z, options->given[i].text_z);
    }
    if (options->errors_only)
        add_option(out, "status", "error");
    if (options->line.data_dir_z != NULL)
        add_option(out, "data-dir", options->line.data_dir_z);
    else if (options->line.config_z != NULL)
        add_option(out, "config", options->line.config_z);
}

// Says which services there are, where no span at all has the one that is asked for.
static void hint_services(ut_reader *reader, ut_bytes service)
{
    ut_service_names names;
    ut_buf out;
    if (!ut_service_names_lack(reader, service))
        return;
    ut_service_names_read(reader, service, &names);
    if (names.count == 0)
        return;
    ut_buf_init(&out, HINT_BYTES_MAX);
    ut_buf_add_z(&out, "no service ");
    ut_term_text(&out, service, HINT_COLUMNS, false);
    ut_buf_add_z(&out, "; there are ");
    for (uint32_t i = 0; i < names.count && i < HINT_SERVICES; i++) {
        ut_buf_add_z(&out, i == 0 ? "" : ", ");
        ut_term_text(&out, ut_bytes_of(names.names[i].text, names.names[i].len), HINT_COLUMNS,
                     false);
    }
    ut_buf_add_z(&out, names.count > HINT_SERVICES || names.more ? ", ...\n" : "\n");
    if (out.err == UT_OK)
        (void)fwrite(out.data, 1, out.len, stderr);
    ut_buf_free(&out);
}

void ut_filter_options_found_nothing(const ut_filter_options *options, const char *sentence_z)
{
    const ut_filter *filter = &options->filter;
    (void)fprintf(stderr, "%s\n", sentence_z);
    for (uint32_t i = 0; i < filter->term_count; i++) {
        const ut_filter_term *term = &filter->terms[i];
        if (term->op == UT_FILTER_EQUALS && memchr(term->text.data, '*', term->text.len) != NULL)
            (void)fprintf(stderr, "KEY=VALUE takes a * as it is; a pattern is KEY~GLOB\n");
    }
    if (filter->message.len > 0 && memchr(filter->message.data, '*', filter->message.len) != NULL)
        (void)fprintf(stderr, "--message looks for a part of the text, and takes a * as it is\n");
    if (filter->service.len > 0 && options->reader != NULL && options->reader->view != NULL)
        hint_services(options->reader, filter->service);
}

int ut_filter_options_open(ut_filter_options *options, ut_reader *reader, bool *nothing)
{
    const ut_options *line = &options->line;
    const char *const command_z = line->command_z;
    ut_filter *filter = &options->filter;
    ut_fault fault;
    *nothing = false;
    // A cursor brings the times of the first page, between which there was room. The last instant
    // there is has nothing behind it that could end the range.
    if (filter->start_ns >= filter->end_ns && filter->until.len > 0 && options->cursor_z == NULL)
        return filter->since.len > 0
                   ? ut_cli_usage(command_z, "--until is not after --since: no span can be between")
                   : ut_cli_usage(command_z, "no span can have begun before --until %.*s",
                                  (int)filter->until.len, (const char *)filter->until.data);
    if (filter->duration_min_ns > filter->duration_max_ns)
        return ut_cli_usage(command_z, "--min-duration is above --max-duration");
    if (ut_filter_check(filter, &fault) != UT_OK)
        return ut_cli_usage(command_z, "%s", fault.text_z);
    if (ut_reader_open(line->data_dir_z, line->config_z, reader, &fault) != UT_OK)
        return ut_cli_fail(&fault);
    options->reader = reader;
    if (options->trace_z == NULL)
        return EX_OK;
    const ut_err err =
        ut_trace_pick(reader->view, UT_ORG_DEFAULT, options->trace_z, filter->trace_id);
    filter->by_trace = err == UT_OK;
    *nothing = err == UT_ENOTFOUND;
    if (err == UT_OK || err == UT_ENOTFOUND)
        return EX_OK;
    ut_reader_close(reader);
    return ut_trace_pick_exit_code(err);
}
