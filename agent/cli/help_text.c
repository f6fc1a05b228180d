// The shared parts of help texts, at most 80 columns wide; see help_text.h.
#include "agent/cli/help_text.h"

#include <stdio.h>

enum { HELP_BYTES_MAX = 64 * 1024 };

// By the byte that stands for each. What an option does begins in column 26.
// clang-format off
static const char *const parts[] = {
    [1] =
    "Which spans (all that is given has to hold):\n"
    "      --trace ID          of one trace; the beginning of its id is enough\n"
    "  -S, --since TIME        that began at or after: 2h (so long ago), 18:00,\n"
    "                          yesterday, 2026-11-20T18:00; local, if no zone is said\n"
    "  -U, --until TIME        that began before\n"
    "  -s, --service GLOB      of a service: a name, or a pattern with * and ?\n"
    "  -N, --name GLOB         of that name, likewise\n"
    "      --kind KIND         server, client, producer, consumer, internal,\n"
    "                          unspecified; several with commas: server,client\n"
    "      --status STATUS     error, ok, unset; several: error,ok\n"
    "      --min-duration D    that took at least so long: 100ms, 1.5s, 250us\n"
    "      --max-duration D    that took at most so long\n"
    "  -a, --attribute TERM    with an attribute: KEY, KEY=VALUE, KEY!=VALUE,\n"
    "                          KEY~GLOB, KEY<N, KEY<=N, KEY>N, KEY>=N; span:KEY,\n"
    "                          resource:KEY, event:KEY or scope:KEY says where; may\n"
    "                          be repeated\n"
    "      --message TEXT      with this text in the status message\n"
    "      --roots             without a parent\n"
    "      --llm               that are calls of a language model\n",
    [2] =
    "  -d, --data-dir DIR      where the agent keeps its data (default: as the\n"
    "                          configuration says)\n"
    "  -c, --config FILE       configuration to take the data directory from\n",
    [3] =
    "      --color WHEN        auto (on a terminal), always or never\n"
    "      --utc               times in UTC instead of local time\n"
    "      --no-pager          no pager on a terminal\n",
};
// clang-format on

void ut_help_expand(const char *help_z, ut_buf *out)
{
    for (const char *at = help_z; *at != 0; at++) {
        const unsigned char byte = (unsigned char)*at;
        if (byte < sizeof(parts) / sizeof(parts[0]))
            ut_buf_add_z(out, parts[byte]);
        else
            ut_buf_add_byte(out, byte);
    }
    ut_buf_add_byte(out, 0);
}

void ut_help_print(const char *help_z)
{
    ut_buf text;
    ut_buf_init(&text, HELP_BYTES_MAX);
    ut_help_expand(help_z, &text);
    if (text.err == UT_OK)
        (void)fputs((const char *)text.data, stdout);
    ut_buf_free(&text);
}
