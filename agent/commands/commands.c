// The table of subcommands, and finding one in it.
#include "agent/commands/commands.h"

#include "agent/cli/cli.h"
#include "agent/commands/cmd_store.h"
#include "port/base/order.h"

#include <string.h>

static const ut_command_group groups[] = {
    {"Run it", {&ut_command_run, &ut_command_check, &ut_command_send}},
    {"Look",
     {&ut_command_top, &ut_command_traces, &ut_command_trace, &ut_command_spans, &ut_command_stats,
      &ut_command_failures}},
    {"Move data", {&ut_command_export, &ut_command_import}},
    {"Look after the store", {&ut_command_store}},
    {"About this program", {&ut_command_completion, &ut_command_version}},
};

const ut_command_group *ut_command_groups(size_t *count)
{
    *count = sizeof(groups) / sizeof(groups[0]);
    return groups;
}

size_t ut_command_all(const ut_command *commands[UT_COMMANDS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        for (const ut_command *const *at = groups[i].commands; *at != NULL; at++) {
            UT_ASSERT(count < UT_COMMANDS_MAX);
            commands[count++] = *at;
            if (*at != &ut_command_store)
                continue;
            for (const ut_command *const *sub = ut_command_store_all; *sub != NULL; sub++) {
                UT_ASSERT(count < UT_COMMANDS_MAX);
                commands[count++] = *sub;
            }
        }
    }
    return count;
}

const ut_command *ut_command_find(const char *name_z)
{
    const ut_command *commands[UT_COMMANDS_MAX];
    const size_t count = ut_command_all(commands);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(commands[i]->name_z, name_z) == 0)
            return commands[i];
    }
    return NULL;
}

enum { NAME_MAX_LEN = 32, DISTANCE_MAX = 2 };

// How many characters have to be put in, taken out, replaced or swapped with their neighbour. Names
// are at most NAME_MAX_LEN long.
static unsigned distance(const char *a_z, const char *b_z)
{
    unsigned rows[3][NAME_MAX_LEN + 1] = {{0}}; // the row before the last, the last, this one
    const size_t a_len = strlen(a_z);
    const size_t b_len = strlen(b_z);
    for (size_t k = 0; k <= b_len; k++)
        rows[1][k] = (unsigned)k;
    for (size_t i = 1; i <= a_len; i++) {
        rows[2][0] = (unsigned)i;
        for (size_t k = 1; k <= b_len; k++) {
            const unsigned changed = rows[1][k - 1] + (a_z[i - 1] == b_z[k - 1] ? 0 : 1);
            rows[2][k] = ut_min_u32(changed, ut_min_u32(rows[1][k], rows[2][k - 1]) + 1);
            if (i > 1 && k > 1 && a_z[i - 1] == b_z[k - 2] && a_z[i - 2] == b_z[k - 1])
                rows[2][k] = ut_min_u32(rows[2][k], rows[0][k - 2] + 1);
        }
        memcpy(rows[0], rows[1], sizeof(rows[0]));
        memcpy(rows[1], rows[2], sizeof(rows[1]));
    }
    return rows[1][b_len];
}

const ut_command *ut_command_nearest(const char *name_z)
{
    const size_t len = strlen(name_z);
    const ut_command *nearest = NULL;
    unsigned best = DISTANCE_MAX + 1;
    if (len < 2 || len > NAME_MAX_LEN)
        return NULL;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        for (const ut_command *const *at = groups[i].commands; *at != NULL; at++) {
            const char *known_z = (*at)->name_z;
            // The beginning of a name is nearer than any mistake.
            const unsigned away =
                strncmp(known_z, name_z, len) == 0 ? 0 : distance(name_z, known_z);
            // Two changes make any word of three letters out of any other.
            if (away < best && away < strlen(known_z) - 1) {
                best = away;
                nearest = *at;
            }
        }
    }
    return nearest;
}

void ut_command_help(FILE *out)
{
    (void)fprintf(out,
                  "untrace %s: keeps traces safe on the device and carries them on.\n"
                  "\n"
                  "usage: untrace COMMAND [options]\n",
                  UT_VERSION);
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        (void)fprintf(out, "\n%s:\n", groups[i].title_z);
        for (const ut_command *const *at = groups[i].commands; *at != NULL; at++)
            (void)fprintf(out, "  %-10s  %s\n", (*at)->name_z, (*at)->summary_z);
    }
    // clang-format off
    (void)fputs(
        "\n"
        "`untrace help COMMAND` says more. To begin: `untrace run`, and in a second\n"
        "terminal `untrace send`, then `untrace traces`.\n"
        "\n"
        "Exit codes: 0 done; 64 usage; 65 damaged data; 66 not found; 69 not reachable;\n"
        "71 out of memory; 73 cannot be made; 74 disk or output; 75 busy, try again;\n"
        "76 refused; 77 permission; 78 configuration (sysexits.h).\n",
        out);
    // clang-format on
}
