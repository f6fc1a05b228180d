// The scripts for the shells; see completion_scripts.h.
#include "agent/commands/completion_scripts.h"

#include <stddef.h>

// clang-format off
static const char bash_z[] =
    "# What bash completes for untrace: it asks the program that stands on the line.\n"
    "_untrace()\n"
    "{\n"
    "    local answer line\n"
    "    COMPREPLY=()\n"
    "    mapfile -t answer < <(\"${COMP_WORDS[0]}\" completion words -- \\\n"
    "        \"${COMP_WORDS[@]:0:COMP_CWORD+1}\" 2>/dev/null)\n"
    "    local word=${COMP_WORDS[COMP_CWORD]}\n"
    "    [ \"$word\" = = ] && word= # of --name=value, which comes as three words\n"
    "    case ${answer[0]-} in\n"
    "    file | dir)\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen \"-${answer[0]:0:1}\" -- \"$word\")\n"
    "        ;;\n"
    "    words)\n"
    "        for line in \"${answer[@]:1}\"; do\n"
    "            line=${line%%$'\\t'*}\n"
    "            [[ $line == *[!A-Za-z0-9_./:=,@%+-]* ]] && printf -v line %q \"$line\"\n"
    "            COMPREPLY+=(\"$line\")\n"
    "        done\n"
    "        ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "complete -F _untrace untrace\n";

static const char zsh_z[] =
    "#compdef untrace\n"
    "# What zsh completes for untrace: it asks the program that stands on the line.\n"
    "_untrace()\n"
    "{\n"
    "    local line\n"
    "    local -a answer found shown\n"
    "    answer=(\"${(@f)$(\"${(Q)words[1]}\" completion words -- \\\n"
    "        \"${(@Q)words[1,CURRENT]}\" 2>/dev/null)}\")\n"
    "    [[ $answer[1] != words && $words[CURRENT] == --*=* ]] && compset -P '*='\n"
    "    case $answer[1] in\n"
    "    file) _files ;;\n"
    "    dir) _files -/ ;;\n"
    "    words)\n"
    "        for line in \"${(@)answer[2,-1]}\"; do\n"
    "            found+=(\"${line%%$'\\t'*}\")\n"
    "            shown+=(\"${line/$'\\t'/  -- }\")\n"
    "        done\n"
    "        compadd -l -d shown -a -- found\n"
    "        ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "# As a file of fpath it is called; behind `source` it makes itself known.\n"
    "if [[ ${funcstack[1]-} == _untrace ]]; then\n"
    "    _untrace \"$@\"\n"
    "else\n"
    "    compdef _untrace untrace\n"
    "fi\n";

static const char fish_z[] =
    "# What fish completes for untrace: it asks the program that stands on the line.\n"
    "function __untrace_words\n"
    "    set -l before (commandline -opc)\n"
    "    set -l word (commandline -ct)\n"
    "    set -l answer ($before[1] completion words -- $before \"$word\" 2>/dev/null)\n"
    "    set -l name (string match -r -- '^--[^=]*=' \"$word\")\n"
    "    set -l path (string replace -- \"$name\" '' \"$word\")\n"
    "    switch \"$answer[1]\"\n"
    "        case file\n"
    "            printf '%s\\n' \"$name\"(__fish_complete_path \"$path\")\n"
    "        case dir\n"
    "            printf '%s\\n' \"$name\"(__fish_complete_directories \"$path\")\n"
    "        case words\n"
    "            printf '%s\\n' $answer[2..-1]\n"
    "    end\n"
    "end\n"
    "\n"
    "complete -c untrace -f -a '(__untrace_words)'\n";
// clang-format on

const ut_completion_script ut_completion_scripts[] = {
    {"bash", bash_z},
    {"zsh", zsh_z},
    {"fish", fish_z},
    {NULL, NULL},
};
