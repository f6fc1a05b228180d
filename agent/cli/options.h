// The options of a command: the loop over them, and those that most commands take: where the data
// is, JSON, help. Not for the conditions on spans (filter_options.h).
#ifndef UT_AGENT_CLI_OPTIONS_H
#define UT_AGENT_CLI_OPTIONS_H

#include "agent/cli/cli.h"
#include "agent/cli/help_text.h"

#include <getopt.h>
#include <limits.h>

enum {
    UT_OPTION_OWN = 256,  // values of a command's own options without a letter begin here
    UT_OPTION_JSON = 900, // --json
    UT_OPTION_COLOUR,     // --color
    UT_OPTION_UTC,        // --utc
    UT_OPTION_NO_PAGER,   // --no-pager
    UT_OPTIONS_WORDS_ANY = INT_MAX,
};

// Rows of the table that getopt_long takes. A row's letter is its value; where it is no printable
// character the option has a long name only. UT_OPTION_ROWS_END stands last.
// clang-format off
#define UT_OPTION_ROW_DATA_DIR {"data-dir", required_argument, NULL, 'd'}
#define UT_OPTION_ROW_CONFIG   {"config", required_argument, NULL, 'c'}
#define UT_OPTION_ROW_JSON     {"json", no_argument, NULL, UT_OPTION_JSON}
#define UT_OPTION_ROW_COLOUR   {"color", required_argument, NULL, UT_OPTION_COLOUR}
#define UT_OPTION_ROW_UTC      {"utc", no_argument, NULL, UT_OPTION_UTC}
#define UT_OPTION_ROW_NO_PAGER {"no-pager", no_argument, NULL, UT_OPTION_NO_PAGER}
#define UT_OPTION_ROWS_SHOW    UT_OPTION_ROW_COLOUR, UT_OPTION_ROW_UTC, UT_OPTION_ROW_NO_PAGER
#define UT_OPTION_ROWS_WHERE   UT_OPTION_ROW_DATA_DIR, UT_OPTION_ROW_CONFIG
#define UT_OPTION_ROWS_END     {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}

// Their lines in a help text: at most 80 columns, what an option does from column 26 on.
#define UT_OPTION_HELP_DATA_DIR                                                \
    "  -d, --data-dir DIR      where the agent keeps its data (default: as the\n" \
    "                          configuration says)\n"
#define UT_OPTION_HELP_JSON                                                    \
    "      --json              one JSON object\n"
// clang-format on

// A command fills the first part; the second, all zero at first, is what the command line says.
typedef struct {
    const char *command_z; // for messages: "store info"
    const char *help_z;
    const struct option *rows;
    int words_max; // words beside the options; a further one is refused

    char *data_dir_z;     // --data-dir, or NULL; in argv, as all texts here
    const char *config_z; // --config, or NULL
    bool json;
    bool no_pager;
    bool ended; // the command is over, with `code`: the help was printed, or something is wrong
    int code;
    const struct option *chosen[2]; // of each group of options that contradict each other
} ut_options;

// --color and --utc become what the environment says of them, of this process and of its pager.
//
// Returns the value of the next option that is the command's own; getopt's optarg is its argument.
// -1 behind the last: then `ended` says whether to go on, and optind is the first of the words.
// What is wrong with the command line is told on standard error.
int ut_options_next(ut_options *options, int argc, char **argv);

// Reads all options of a command that has none of its own. False: ended, with options->code.
bool ut_options_read(ut_options *options, int argc, char **argv);

// Moves --config and --data-dir that stand in front of the command, from argv[1] on, behind its
// name, which is argv[1] then. Other words stay.
void ut_options_behind_command(int argc, char **argv);

#endif
