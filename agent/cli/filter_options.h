// Conditions on spans, and where to look for them, as options of the command line: one set, shared
// by every command that asks the store. Not for the search itself (span_search.h).
#ifndef UT_AGENT_CLI_FILTER_OPTIONS_H
#define UT_AGENT_CLI_FILTER_OPTIONS_H

#include "agent/cli/options.h"
#include "agent/query/reader.h"

enum {
    // Values of the long options below, above those of the commands' own.
    UT_OPTION_TRACE = 1000,
    UT_OPTION_KIND,
    UT_OPTION_STATUS,
    UT_OPTION_MIN_DURATION,
    UT_OPTION_MAX_DURATION,
    UT_OPTION_MESSAGE,
    UT_OPTION_ROOTS,
    UT_OPTION_LLM,
    UT_OPTION_NEWEST,
    UT_OPTION_OLDEST,
    UT_OPTION_CURSOR,
};

// Rows for a command's table of options; the common ones (options.h) and its own stand beside them.
// clang-format off
#define UT_FILTER_ROWS                                                 \
    {"trace", required_argument, NULL, UT_OPTION_TRACE},               \
    {"since", required_argument, NULL, 'S'},               \
    {"until", required_argument, NULL, 'U'},               \
    {"service", required_argument, NULL, 's'},           \
    {"name", required_argument, NULL, 'N'},                 \
    {"kind", required_argument, NULL, UT_OPTION_KIND},                 \
    {"status", required_argument, NULL, UT_OPTION_STATUS},             \
    {"min-duration", required_argument, NULL, UT_OPTION_MIN_DURATION}, \
    {"max-duration", required_argument, NULL, UT_OPTION_MAX_DURATION}, \
    {"attribute", required_argument, NULL, 'a'},                       \
    {"message", required_argument, NULL, UT_OPTION_MESSAGE},           \
    {"roots", no_argument, NULL, UT_OPTION_ROOTS},                     \
    {"llm", no_argument, NULL, UT_OPTION_LLM}

// For commands that list, page by page.
#define UT_PAGE_ROWS                                     \
    {"limit", required_argument, NULL, 'n'},             \
    {"newest", no_argument, NULL, UT_OPTION_NEWEST},     \
    {"oldest", no_argument, NULL, UT_OPTION_OLDEST},     \
    {"cursor", required_argument, NULL, UT_OPTION_CURSOR}

// For commands that list what arrives.
#define UT_FOLLOW_ROW {"follow", no_argument, NULL, 'f'}

// The parts of a help text about them, at most 80 columns wide.
#define UT_PAGE_HELP \
    "  -n, --limit N           at most N of them\n" \
    "      --newest, --oldest  which come first (default: the newest)\n" \
    "      --cursor TEXT       go on where an earlier listing ended, as it printed it\n"
// clang-format on

enum { UT_FILTER_GIVEN_MAX = 32 };

// A command line, read. Texts are borrowed from argv.
typedef struct {
    ut_options line; // the common options
    ut_filter filter;
    const char *trace_z;  // --trace as written, or NULL; ut_filter_options_open resolves it
    const char *cursor_z; // or NULL
    uint64_t limit;
    uint64_t limit_min; // a smaller --limit is refused: 1, unless the command says otherwise
    uint64_t limit_max; // a larger --limit is refused
    bool limit_given;
    bool oldest_first;
    bool any;          // a condition was given
    bool time_given;   // --since or --until was
    bool errors_only;  // ut_filter_options_errors was called
    uint64_t now_ns;   // relative times count back from it
    ut_reader *reader; // that ut_filter_options_open has opened, or NULL
    // The conditions as given, for repeating them.
    struct {
        const char *option_z; // "service"
        const char *text_z;   // NULL: it takes none
    } given[UT_FILTER_GIVEN_MAX];
    uint32_t given_count;
} ut_filter_options;

enum { UT_FILTER_LIMIT_MAX = 1000 * 1000 * 1000 };

// line: what the command fills of it (options.h). limit: without --limit; limit_max is
// UT_FILTER_LIMIT_MAX.
void ut_filter_options_init(ut_filter_options *options, const ut_options *line, uint64_t limit,
                            uint64_t now_ns);

// As ut_options_next, which it calls; takes the conditions and the options of a listing, too. After
// -1 options->line.ended says whether to go on.
int ut_filter_options_next(ut_filter_options *options, int argc, char **argv);

// Takes a text that has to hold; an empty one would ask for nothing, and be met by everything: it
// is refused, with a sentence on standard error. EX_OK or EX_USAGE. For options of a command's own.
int ut_filter_options_text(const char *command_z, const char *option_z, const char *text_z,
                           ut_bytes *text);

// Checks what --follow goes with, and that a limit of 0 goes with it. EX_OK or EX_USAGE.
int ut_filter_options_check_follow(const ut_filter_options *options, bool follow);

// How many spans or traces from before --follow shows; UINT64_MAX: all.
uint64_t ut_filter_options_backlog(const ut_filter_options *options);

// Leaves spans with status error only. EX_USAGE, with a sentence, where --status leaves them out:
// what_z ("failures") are spans with status error.
int ut_filter_options_errors(ut_filter_options *options, const char *what_z);

// Appends the conditions, and which store they are asked of, as a command line has them, each with
// a space in front. Conditions beyond UT_FILTER_GIVEN_MAX are left out.
void ut_filter_options_repeat(const ut_filter_options *options, ut_buf *out);

// Prints to standard error that nothing was found, and hints at conditions that look like patterns
// and are none, and at a service that no span has. May end the view of the reader.
void ut_filter_options_found_nothing(const ut_filter_options *options, const char *sentence_z);

// Checks what belongs together and opens the store for reading; on success a --trace is resolved.
// EX_OK; else the reader is closed and the reason is on standard error. Nothing found for --trace
// is EX_OK with *nothing set.
int ut_filter_options_open(ut_filter_options *options, ut_reader *reader, bool *nothing);

#endif
