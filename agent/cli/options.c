// The loop over a command's options; see options.h.
#include "agent/cli/options.h"

#include "port/base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS_MAX = 128 };

// The letters of the rows as getopt_long takes them: ":d:c:h". The first colon makes it tell a
// missing value from an unknown option.
static void letters_of(const struct option *rows, char letters_z[LETTERS_MAX])
{
    size_t len = 0;
    letters_z[len++] = ':';
    for (const struct option *row = rows; row->name != NULL; row++) {
        if (row->val <= ' ' || row->val > '~')
            continue;
        UT_ASSERT(len + 3 <= LETTERS_MAX);
        letters_z[len++] = (char)row->val;
        if (row->has_arg == required_argument)
            letters_z[len++] = ':';
    }
    letters_z[len] = '\0';
}

static bool has_option(const struct option *rows, int value)
{
    for (const struct option *row = rows; row->name != NULL; row++) {
        if (row->val == value)
            return true;
    }
    return false;
}

// The usage error for '?' or ':' (option), as getopt_long returned it just now. It names the
// option, also one letter of several in a word.
static int bad_option(const ut_options *options, int option, char *const *argv)
{
    // The word behind which getopt_long stands. While it is inside a word of several letters, that
    // is the one before, and where the last letter has no value, NULL; optopt is the letter then,
    // and 0 for a long name that is not known.
    const char *word_z = argv[optind - 1] != NULL ? argv[optind - 1] : "-";
    const bool is_long = strncmp(word_z, "--", 2) == 0;
    const bool is_letter = optopt > ' ' && optopt <= '~';
    if (option == ':') {
        if (is_long || !is_letter)
            return ut_cli_usage(options->command_z, "%s needs a value", word_z);
        return ut_cli_usage(options->command_z, "-%c needs a value", optopt);
    }
    if (optopt != 0 && is_long && has_option(options->rows, optopt))
        return ut_cli_usage(options->command_z, "%.*s takes no value", (int)strcspn(word_z, "="),
                            word_z);
    if (!is_letter)
        return ut_cli_usage(options->command_z, "%s is not an option", word_z);
    return ut_cli_usage(options->command_z, "-%c is not an option", optopt);
}

static int end(ut_options *options, int code)
{
    options->ended = true;
    options->code = code;
    return -1;
}

// EX_OK or EX_USAGE.
static int take_colour(const ut_options *options, const char *when_z)
{
    if (strcmp(when_z, "always") == 0) {
        (void)unsetenv("NO_COLOR");
        (void)setenv("CLICOLOR_FORCE", "1", 1);
    } else if (strcmp(when_z, "never") == 0) {
        (void)setenv("NO_COLOR", "1", 1);
    } else if (strcmp(when_z, "auto") != 0) {
        return ut_cli_usage(options->command_z, "--color takes auto, always or never, not \"%s\"",
                            when_z);
    }
    return EX_OK;
}

int ut_options_next(ut_options *options, int argc, char **argv)
{
    char letters_z[LETTERS_MAX];
    letters_of(options->rows, letters_z);
    for (int code = EX_OK;;) {
        const int option = getopt_long(argc, argv, letters_z, options->rows, NULL);
        switch (option) {
        case 'd':
            options->data_dir_z = optarg;
            break;
        case 'c':
            options->config_z = optarg;
            break;
        case UT_OPTION_JSON:
            options->json = true;
            break;
        case UT_OPTION_COLOUR:
            code = take_colour(options, optarg);
            if (code != EX_OK)
                return end(options, code);
            break;
        case UT_OPTION_UTC:
            (void)setenv("TZ", "UTC0", 1);
            break;
        case UT_OPTION_NO_PAGER:
            options->no_pager = true;
            break;
        case 'h':
            (void)fputs(options->help_z, stdout); // main looks at what became of it
            return end(options, EX_OK);
        case ':':
        case '?':
            return end(options, bad_option(options, option, argv));
        case -1:
            if (argc - optind > options->words_max)
                return end(options, ut_cli_usage(options->command_z, "\"%s\" is one word too many",
                                                 argv[optind + options->words_max]));
            return -1;
        default:
            return option;
        }
    }
}

bool ut_options_read(ut_options *options, int argc, char **argv)
{
    const int option = ut_options_next(options, argc, argv);
    UT_ASSERT(option == -1);
    return !options->ended;
}
