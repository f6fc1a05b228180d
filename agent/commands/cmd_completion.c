// `untrace completion SHELL`: a script for a shell, and the words that the scripts ask for, made
// from the table of subcommands, so that a shell knows what this program knows.
#include "agent/commands/commands.h"
#include "agent/commands/completion_scripts.h"
#include "agent/commands/store_words.h"
#include "agent/cli/options.h"
#include "agent/cli/span_columns.h"
#include "port/base/utf8.h"

#include <string.h>

// clang-format off
static const char help[] =
    "usage: untrace completion bash|zsh|fish\n"
    "       untrace completion words -- untrace WORD...\n"
    "\n"
    "Prints a script that lets a shell complete subcommands, options, their values,\n"
    "and trace ids, services and names of spans from the store. `make install` does\n"
    "it for all users. For one user:\n"
    "\n"
    "  untrace completion bash > ~/.local/share/bash-completion/completions/untrace\n"
    "  untrace completion zsh > DIR/_untrace                  (DIR: one of $fpath)\n"
    "  untrace completion fish > ~/.config/fish/completions/untrace.fish\n"
    "\n"
    "or for this shell only: source <(untrace completion bash).\n"
    "\n"
    "words is what these scripts ask: what the last WORD may become. The first line\n"
    "is file, dir or words; behind words each line is one, and after a tab what it\n"
    "means.\n";
// clang-format on

static const struct option option_rows[] = {UT_OPTION_ROWS_END};
static const char *const words[] = {"bash", "zsh", "fish", "words", NULL};

// The kind of an option's value, where that is known: a file, a directory (dir), a name from the
// store (trace, service, name), or one of some words.
typedef struct {
    const char *command_z; // NULL: any
    const char *option_z;
    const char *values_z;
} option_values;

// The first row that fits counts: those of one command stand before those of any.
static const option_values known_values[] = {
    {NULL, "config", "file"},
    {NULL, "ca-file", "file"},
    {NULL, "key-file", "file"},
    {NULL, "new-key-file", "file"},
    {NULL, "data-dir", "dir"},
    {NULL, "trace", "trace"},
    {NULL, "service", "service"},
    {NULL, "name", "name"},
    {NULL, "kind", "server,client,producer,consumer,internal,unspecified"},
    {NULL, "status", "error,ok,unset"},
    {NULL, "color", "auto,always,never"},
    {NULL, "by", "name,service,status,kind,hour,model,error,attribute:"},
    {"spans", "sort", "time,duration,tokens,cost"},
    {"traces", "sort", "time,duration,spans,errors,tokens,cost"},
    {"spans", "fields", UT_SPAN_FIELDS},
    {"spans", "output", "table,wide,json,jsonl"},
    {NULL, "output", "file"},
    {"stats", "sort", "count,errors,rate,mean,p50,p90,p99,max,tokens,cost,group"},
    {"import", "format", "otlp-json,otlp-protobuf"},
    {NULL, "format", "otlp-json,otlp-protobuf,csv"},
};

// The line as it stands: argv[0] is the program, the last word is the one to complete.
typedef struct {
    int count;
    char **words;
    const ut_command *command; // NULL: not known
    int first;                 // the place of the command's first argument
    const char *value_z;       // what is there of the value, or of the word
    int prefix_len;            // of the last word, in front of value_z: "--name="
} line;

static const char *values_of(const line *l, const char *name_z)
{
    for (size_t i = 0; i < sizeof(known_values) / sizeof(known_values[0]); i++) {
        const option_values *known = &known_values[i];
        if (strcmp(known->option_z, name_z) == 0 &&
            (known->command_z == NULL || strcmp(known->command_z, l->command->name_z) == 0))
            return known->values_z;
    }
    return "";
}

// The kind of a command's arguments, besides its words.
static const char *arguments_of(const ut_command *command)
{
    if (strcmp(command->name_z, "import") == 0)
        return "file";
    return strcmp(command->name_z, "trace") == 0 || strcmp(command->name_z, "spans") == 0 ? "trace"
                                                                                          : "";
}

// The row of an option that takes a value, from "--name", "--name=..." or "-n"; NULL otherwise.
static const struct option *option_of(const ut_command *command, const char *word_z)
{
    const size_t len = strcspn(word_z, "=");
    for (const struct option *at = command->options; at != NULL && at->name != NULL; at++) {
        const bool is_long = len > 2 && strncmp(word_z, "--", 2) == 0 &&
                             strlen(at->name) == len - 2 &&
                             strncmp(at->name, word_z + 2, len - 2) == 0;
        const bool is_letter = len == 2 && word_z[0] == '-' && word_z[1] == at->val;
        if ((is_long || is_letter) && at->has_arg == required_argument)
            return at;
    }
    return NULL;
}

// ---- what is printed ----

// A word from the store may hold anything: what would break the line is no word.
static bool is_plain(ut_bytes word)
{
    for (size_t i = 0; i < word.len; i++) {
        if (ut_utf8_is_unsafe(word.data + i, word.len - i))
            return false;
    }
    return ut_utf8_valid(word);
}

static void offer(const line *l, int prefix_len, ut_bytes word, const char *means_z, int means_len)
{
    const size_t len = strlen(l->value_z);
    if (word.len < len || memcmp(word.data, l->value_z, len) != 0 || !is_plain(word))
        return;
    (void)printf("%.*s%.*s", prefix_len, l->words[l->count - 1], (int)word.len,
                 (const char *)word.data);
    if (means_len > 0)
        (void)printf("\t%.*s", means_len, means_z);
    (void)putchar('\n');
}

static void offer_z(const line *l, const char *word_z, const char *means_z)
{
    offer(l, l->prefix_len, ut_bytes_of_z(word_z), means_z, (int)strlen(means_z));
}

static void offer_stored(void *context, ut_bytes word)
{
    const line *l = context;
    offer(l, l->prefix_len, word, "", 0);
}

// Where the line says that the data is; NULL: nothing is said.
static const char *place_on(const line *l, const char *long_z, const char *letter_z)
{
    const size_t len = strlen(long_z);
    for (int i = 1; i + 1 < l->count; i++) {
        const char *const word_z = l->words[i];
        if (strncmp(word_z, long_z, len) == 0 && word_z[len] == '=')
            return word_z + len + 1;
        if (strcmp(word_z, long_z) == 0 || strcmp(word_z, letter_z) == 0)
            return strcmp(l->words[i + 1], "=") == 0 && i + 2 < l->count ? l->words[i + 2]
                                                                         : l->words[i + 1];
    }
    return NULL;
}

static void offer_from_store(line *l, ut_store_words kind)
{
    ut_store_words_visit(kind, place_on(l, "--data-dir", "-d"), place_on(l, "--config", "-c"),
                         offer_stored, l);
}

// Words with commas between. Of several with commas on the line the last one is completed.
static void offer_list(line *l, const char *list_z)
{
    const char *const comma_z = strrchr(l->value_z, ',');
    if (comma_z != NULL) {
        l->prefix_len += (int)(comma_z + 1 - l->value_z);
        l->value_z = comma_z + 1;
    }
    for (const char *at = list_z; *at != '\0';) {
        const size_t len = strcspn(at, ",");
        offer(l, l->prefix_len, ut_bytes_of(at, len), "", 0);
        at += at[len] == ',' ? len + 1 : len;
    }
}

static void offer_values(line *l, const char *kind_z)
{
    if (strcmp(kind_z, "file") == 0 || strcmp(kind_z, "dir") == 0) {
        (void)puts(kind_z);
        return;
    }
    (void)puts("words");
    if (strcmp(kind_z, "trace") == 0)
        offer_from_store(l, UT_STORE_WORDS_TRACES);
    else if (strcmp(kind_z, "service") == 0)
        offer_from_store(l, UT_STORE_WORDS_SERVICES);
    else if (strcmp(kind_z, "name") == 0)
        offer_from_store(l, UT_STORE_WORDS_NAMES);
    else
        offer_list(l, kind_z);
}

enum { HELP_BYTES_MAX = 64 * 1024 };

// What the help says of an option: the rest of the first line that it begins, *len bytes of it.
static const char *meaning_of(const char *help_z, const char *name_z, int *len)
{
    enum { MEANING_COLUMN = 26 };
    char wanted_z[64];
    (void)snprintf(wanted_z, sizeof(wanted_z), "--%s", name_z);
    for (const char *at = help_z; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        const size_t whole = strcspn(at, "\n");
        const size_t name_len = strlen(wanted_z);
        if (whole > MEANING_COLUMN && strncmp(at, "  ", 2) == 0 && (at[2] == '-' || at[6] == '-') &&
            strncmp(at + 6, wanted_z, name_len) == 0 && strchr(" =[", at[6 + name_len]) != NULL) {
            *len = (int)(whole - MEANING_COLUMN);
            return at + MEANING_COLUMN;
        }
    }
    *len = 0;
    return "";
}

static void offer_options(const line *l)
{
    ut_buf help_text;
    ut_buf_init(&help_text, HELP_BYTES_MAX);
    ut_help_expand(l->command->help_z, &help_text);
    const char *const help_z =
        help_text.err == UT_OK ? (const char *)help_text.data : l->command->help_z;
    (void)puts("words");
    for (const struct option *at = l->command->options; at != NULL && at->name != NULL; at++) {
        char name_z[64];
        int len = 0;
        (void)snprintf(name_z, sizeof(name_z), "--%s", at->name);
        const char *const means_z = meaning_of(help_z, at->name, &len);
        offer(l, 0, ut_bytes_of_z(name_z), means_z, len);
    }
    ut_buf_free(&help_text);
}

static void offer_commands(const line *l)
{
    const ut_command *commands[UT_COMMANDS_MAX];
    const size_t count = ut_command_all(commands);
    for (size_t i = 0; i < count; i++) {
        if (strchr(commands[i]->name_z, ' ') == NULL) // a subcommand of a subcommand is not
            offer_z(l, commands[i]->name_z, commands[i]->summary_z);
    }
}

static void offer_words(const line *l)
{
    for (const char *const *at = l->command->words; at != NULL && *at != NULL; at++) {
        char name_z[64];
        (void)snprintf(name_z, sizeof(name_z), "%s %s", l->command->name_z, *at);
        const ut_command *const sub = ut_command_find(name_z);
        offer_z(l, *at, sub != NULL ? sub->summary_z : "");
    }
}

// ---- the line ----

// Finds the command: one word, or two where the first has subcommands.
static void find_command(line *l)
{
    char name_z[64];
    l->command = ut_command_find(l->words[1]);
    l->first = 2;
    if (l->command == NULL || l->command->words == NULL || l->count < 4)
        return;
    (void)snprintf(name_z, sizeof(name_z), "%s %s", l->words[1], l->words[2]);
    const ut_command *const sub = ut_command_find(name_z);
    if (sub != NULL) {
        l->command = sub;
        l->first = 3;
    }
}

// The option whose value is being completed, or NULL. "--name=value" comes as one word, or from
// bash as three.
static const struct option *find_option(line *l)
{
    char *const last_z = l->words[l->count - 1];
    if (strcmp(last_z, "=") == 0) {
        l->value_z = "";
        l->prefix_len = 0;
        return option_of(l->command, l->words[l->count - 2]);
    }
    if (l->count > 4 && strcmp(l->words[l->count - 2], "=") == 0)
        return option_of(l->command, l->words[l->count - 3]);
    const struct option *const joined = strncmp(last_z, "--", 2) == 0 && strchr(last_z, '=') != NULL
                                            ? option_of(l->command, last_z)
                                            : NULL;
    if (joined != NULL) {
        l->value_z = strchr(last_z, '=') + 1;
        l->prefix_len = (int)(l->value_z - last_z);
        return joined;
    }
    return l->count > 3 ? option_of(l->command, l->words[l->count - 2]) : NULL;
}

static void complete_line(line *l)
{
    l->value_z = l->words[l->count - 1];
    if (l->count == 2) {
        (void)puts("words");
        offer_commands(l);
        offer_z(l, "help", "say more of a command");
        offer_z(l, "--help", "");
        offer_z(l, "--version", "");
        return;
    }
    if (strcmp(l->words[1], "help") == 0) {
        (void)puts("words");
        l->command = l->count == 4 ? ut_command_find(l->words[2]) : NULL;
        if (l->count == 3)
            offer_commands(l);
        else if (l->command != NULL && l->command == ut_command_find("store"))
            offer_words(l);
        return;
    }
    find_command(l);
    if (l->command == NULL)
        return;
    const struct option *const option = find_option(l);
    if (option != NULL) {
        offer_values(l, values_of(l, option->name));
    } else if (l->value_z[0] == '-') {
        offer_options(l);
    } else if (l->count - 1 == l->first && l->command->words != NULL) {
        (void)puts("words");
        offer_words(l);
    } else {
        offer_values(l, arguments_of(l->command));
    }
}

// ---- the command ----

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "completion",
                          .help_z = help,
                          .rows = option_rows,
                          .words_max = UT_OPTIONS_WORDS_ANY};
    if (argc > 3 && strcmp(argv[1], "words") == 0 && strcmp(argv[2], "--") == 0) {
        line l = {.count = argc - 3, .words = argv + 3};
        if (l.count > 1)
            complete_line(&l);
        return EX_OK;
    }
    if (!ut_options_read(&options, argc, argv))
        return options.code;
    if (optind == argc)
        return ut_cli_usage("completion", "for which shell? bash, zsh and fish are known");
    if (optind + 1 < argc)
        return ut_cli_usage("completion", "\"%s\" is one word too many", argv[optind + 1]);
    for (const ut_completion_script *at = ut_completion_scripts; at->shell_z != NULL; at++) {
        if (strcmp(argv[optind], at->shell_z) == 0) {
            (void)fputs(at->script_z, stdout);
            return EX_OK;
        }
    }
    return ut_cli_usage("completion", "bash, zsh and fish are known, \"%s\" is not", argv[optind]);
}

const ut_command ut_command_completion = {
    .name_z = "completion",
    .run = run,
    .summary_z = "print a script that completes commands in a shell",
    .help_z = help,
    .options = option_rows,
    .words = words,
};
