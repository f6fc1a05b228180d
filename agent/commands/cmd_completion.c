// `untrace completion bash`: a script for the shell, made from the table of subcommands, so that it
// knows what this program knows.
#include "agent/commands/commands.h"
#include "agent/cli/options.h"

#include <string.h>

// clang-format off
static const char help[] =
    "usage: untrace completion bash\n"
    "\n"
    "Prints a script that lets bash complete subcommands, options, their values and\n"
    "trace ids. For one user:\n"
    "\n"
    "  mkdir -p ~/.local/share/bash-completion/completions\n"
    "  untrace completion bash > ~/.local/share/bash-completion/completions/untrace\n"
    "\n"
    "or for this shell only: source <(untrace completion bash). `make install` does\n"
    "it for all users.\n";
// clang-format on

static const struct option option_rows[] = {UT_OPTION_ROWS_END};
static const char *const words[] = {"bash", NULL};

// The kind of an option's value, where that is known: a file, a directory (dir), a trace id
// (trace), or one of some words.
typedef struct {
    const char *command_z; // NULL: any
    const char *option_z;
    const char *values_z;
} option_values;

static const option_values known_values[] = {
    {NULL, "config", "file"},
    {NULL, "ca-file", "file"},
    {NULL, "output", "file"},
    {NULL, "key-file", "file"},
    {NULL, "new-key-file", "file"},
    {NULL, "data-dir", "dir"},
    {NULL, "trace", "trace"},
    {NULL, "kind", "server,client,producer,consumer,internal,unspecified"},
    {NULL, "status", "error,ok,unset"},
    {NULL, "color", "auto,always,never"},
    {NULL, "by", "name,service,status,kind,hour,model,error,attribute:"},
    {"import", "format", "otlp-json,otlp-protobuf"},
    {NULL, "format", "otlp-json,otlp-protobuf,csv"},
};

static const char *values_of(const ut_command *command, const struct option *option)
{
    if (option->has_arg == no_argument)
        return "";
    for (size_t i = 0; i < sizeof(known_values) / sizeof(known_values[0]); i++) {
        const option_values *known = &known_values[i];
        if (strcmp(known->option_z, option->name) == 0 &&
            (known->command_z == NULL || strcmp(known->command_z, command->name_z) == 0))
            return known->values_z;
    }
    return "any";
}

// The kind of a command's arguments, besides `words`.
static const char *arguments_of(const ut_command *command)
{
    if (strcmp(command->name_z, "import") == 0)
        return "file";
    return strcmp(command->name_z, "trace") == 0 || strcmp(command->name_z, "spans") == 0 ? "trace"
                                                                                          : "";
}

// One line of the table: command) rows="--long|-s|values ..." words="..." arguments=...
static void print_command(const ut_command *command)
{
    (void)printf("    '%s') rows=\"", command->name_z);
    for (const struct option *at = command->options; at != NULL && at->name != NULL; at++) {
        char letter_z[3] = "";
        if (at->val > ' ' && at->val < 127)
            (void)snprintf(letter_z, sizeof(letter_z), "-%c", at->val);
        (void)printf("%s--%s|%s|%s", at == command->options ? "" : " ", at->name, letter_z,
                     values_of(command, at));
    }
    (void)printf("\" words=\"");
    for (const char *const *at = command->words; at != NULL && *at != NULL; at++)
        (void)printf("%s%s", at == command->words ? "" : " ", *at);
    (void)printf("\" arguments=%s ;;\n", arguments_of(command));
}

static const char script_begin[] =
    "# What bash completes for untrace " UT_VERSION ", as `untrace completion bash` prints it.\n"
    "\n"
    "# Sets rows (the options: long name, letter, what follows), words and arguments of a "
    "command.\n"
    "_untrace_table()\n"
    "{\n"
    "    rows= words= arguments=\n"
    "    case $1 in\n";

static const char script_end[] =
    "    esac\n"
    "}\n"
    "\n"
    "# Ids of the newest traces of the data directory that the line names.\n"
    "_untrace_ids()\n"
    "{\n"
    "    local i where=()\n"
    "    for ((i = 1; i < COMP_CWORD - 1; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "        -d | --data-dir | -c | --config)\n"
    "            if [ \"${COMP_WORDS[i + 1]}\" = = ]; then\n"
    "                where+=(\"${COMP_WORDS[i]}\" \"${COMP_WORDS[i + 2]}\")\n"
    "            else\n"
    "                where+=(\"${COMP_WORDS[i]}\" \"${COMP_WORDS[i + 1]}\")\n"
    "            fi\n"
    "            ;;\n"
    "        esac\n"
    "    done\n"
    "    \"${COMP_WORDS[0]}\" traces --json --limit 200 \"${where[@]}\" 2>/dev/null |\n"
    "        sed -n 's/^{\"trace_id\":\"\\([0-9a-f]*\\)\".*/\\1/p'\n"
    "}\n"
    "\n"
    "# _untrace_values KIND CURRENT: what may stand there.\n"
    "_untrace_values()\n"
    "{\n"
    "    local IFS=$'\\n'\n"
    "    case $1 in\n"
    "    '' | any) ;;\n"
    "    file)\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        COMPREPLY+=($(compgen -f -- \"$2\"))\n"
    "        ;;\n"
    "    dir)\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        COMPREPLY+=($(compgen -d -- \"$2\"))\n"
    "        ;;\n"
    "    trace) COMPREPLY+=($(compgen -W \"$(_untrace_ids)\" -- \"$2\")) ;;\n"
    "    *)\n"
    "        # Several with commas between: the last one is completed.\n"
    "        local before=\n"
    "        [[ $2 == *,* ]] && before=${2%,*},\n"
    "        COMPREPLY+=($(compgen -P \"$before\" -W \"${1//,/$'\\n'}\" -- \"${2##*,}\"))\n"
    "        ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "_untrace()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local command=${COMP_WORDS[1]} rows words arguments row name letter values names= "
    "first=2\n"
    "    COMPREPLY=()\n"
    "    # --name=value comes as three words.\n"
    "    if [ \"$cur\" = = ]; then\n"
    "        cur=\n"
    "    elif [ \"$prev\" = = ]; then\n"
    "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
    "        _untrace_table ''\n"
    "        COMPREPLY=($(compgen -W \"$words help --help --version\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    if [ \"$command\" = help ]; then\n"
    "        _untrace_table ''\n"
    "        [ \"$COMP_CWORD\" = 2 ] && COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    if [ \"$command\" = store ] && [ \"$COMP_CWORD\" -gt 2 ]; then\n"
    "        command=\"store ${COMP_WORDS[2]}\" first=3\n"
    "    fi\n"
    "    _untrace_table \"$command\"\n"
    "    for row in $rows; do\n"
    "        IFS='|' read -r name letter values <<<\"$row\"\n"
    "        if [ -n \"$values\" ] && { [ \"$prev\" = \"$name\" ] || [ \"$prev\" = "
    "\"${letter:-none}\" ]; "
    "}; then\n"
    "            _untrace_values \"$values\" \"$cur\"\n"
    "            return\n"
    "        fi\n"
    "        names+=\" $name\"\n"
    "    done\n"
    "    if [[ $cur == -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$names\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    [ \"$COMP_CWORD\" = $first ] && COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
    "    _untrace_values \"$arguments\" \"$cur\"\n"
    "}\n"
    "\n"
    "complete -F _untrace untrace\n";

static void print_script(void)
{
    const ut_command *commands[UT_COMMANDS_MAX];
    const size_t count = ut_command_all(commands);
    (void)fputs(script_begin, stdout);
    (void)printf("    '') words=\"");
    for (size_t i = 0; i < count; i++) {
        if (strchr(commands[i]->name_z, ' ') == NULL) // a subcommand of a subcommand is not
            (void)printf("%s%s", i == 0 ? "" : " ", commands[i]->name_z);
    }
    (void)printf("\" ;;\n");
    for (size_t i = 0; i < count; i++)
        print_command(commands[i]);
    (void)fputs(script_end, stdout);
}

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "completion",
                          .help_z = help,
                          .rows = option_rows,
                          .words_max = UT_OPTIONS_WORDS_ANY};
    if (!ut_options_read(&options, argc, argv))
        return options.code;
    if (optind == argc)
        return ut_cli_usage("completion", "for which shell? bash is known");
    if (strcmp(argv[optind], "bash") != 0)
        return ut_cli_usage("completion", "bash is known, \"%s\" is not", argv[optind]);
    if (optind + 1 < argc)
        return ut_cli_usage("completion", "\"%s\" is one word too many", argv[optind + 1]);
    print_script();
    return EX_OK;
}

const ut_command ut_command_completion = {
    .name_z = "completion",
    .run = run,
    .summary_z = "print a script that completes commands in a shell",
    .help_z = help,
    .options = option_rows,
    .words = words,
};
