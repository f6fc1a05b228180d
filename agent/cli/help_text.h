// The parts that the help texts of several commands share: each stands in the program once, and as
// one byte in a help text. Not for the parts of one command.
#ifndef UT_AGENT_CLI_HELP_TEXT_H
#define UT_AGENT_CLI_HELP_TEXT_H

#include "port/base/buf.h"

// At the beginning of a line of a help text.
#define UT_FILTER_HELP       "\001" // the conditions on spans
#define UT_OPTION_HELP_WHERE "\002" // --data-dir, --config
#define UT_OPTION_HELP_SHOW  "\003" // --color, --utc, --no-pager

// Appends a help text with its parts put in, and a NUL behind it.
void ut_help_expand(const char *help_z, ut_buf *out);

// Prints it to standard output; main looks at what became of it.
void ut_help_print(const char *help_z);

#endif
