// The loop over a command's options; see options.h.
#include "agent/cli/options.h"

#include "port/base/err.h"
#include "port/base/nearest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS_MAX = 128, HINT_MAX = 64 };

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

// " (did you mean --NAME?)" for an option that is none, or "".
static void suggest(const struct option *rows, const char *word_z, char *out_z, size_t cap)
{
    ut_nearest near = ut_nearest_of(word_z + 2, strcspn(word_z + 2, "="));
    for (const struct option *row = rows; row->name != NULL; row++)
        ut_nearest_try(&near, row->name);
    out_z[0] = '\0';
    if (near.found_z != NULL)
        (void)snprintf(out_z, cap, " (did you mean --%s?)", near.found_z);
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
    if (!is_letter) {
        char hint_z[HINT_MAX];
        suggest(options->rows, is_long ? word_z : "--", hint_z, sizeof(hint_z));
        return ut_cli_usage(options->command_z, "%.*s is not an option%s",
                            (int)strcspn(word_z, "="), word_z, hint_z);
    }
    return ut_cli_usage(options->command_z, "-%c is not an option", optopt);
}

// Of the options of a group only one can be meant. Two names for one thing have the same value.
static const char *const groups[][4] = {{"json", "jsonl", "otlp"}, {"newest", "oldest"}};

// False: an option before contradicts this one, which has been told.
static bool fits(ut_options *options, int option)
{
    const struct option *row = options->rows;
    while (row->name != NULL && row->val != option)
        row++;
    if (row->name == NULL)
        return true;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        size_t k = 0;
        while (groups[i][k] != NULL && strcmp(groups[i][k], row->name) != 0)
            k++;
        if (groups[i][k] == NULL)
            continue;
        const struct option *const before = options->chosen[i];
        if (before != NULL && before->val != option) {
            (void)ut_cli_usage(options->command_z, "--%s and --%s contradict each other",
                               before->name, row->name);
            return false;
        }
        options->chosen[i] = row;
    }
    return true;
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
        if (!fits(options, option))
            return end(options, EX_USAGE);
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
            ut_help_print(options->help_z);
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

// The words of an option in front of a command: 1 or 2, 0 for any other word.
static int front_words(const char *word_z)
{
    static const char *const names[] = {"--config", "--data-dir", "-c", "-d"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const size_t len = strlen(names[i]);
        if (strncmp(word_z, names[i], len) != 0)
            continue;
        if (word_z[len] == '\0')
            return 2;
        if (names[i][1] != '-' || word_z[len] == '=')
            return 1;
    }
    return 0;
}

void ut_options_behind_command(int argc, char **argv)
{
    int count = 0;
    for (int words; 1 + count < argc && (words = front_words(argv[1 + count])) > 0;)
        count += words;
    if (count == 0 || 1 + count >= argc)
        return;
    char *const command_z = argv[1 + count];
    memmove(argv + 2, argv + 1, (size_t)count * sizeof(argv[0]));
    argv[1] = command_z;
}
