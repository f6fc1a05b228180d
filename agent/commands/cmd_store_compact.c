// `untrace store compact`: gives the free space in the file back to the disk.
#include "agent/commands/cmd_store.h"

#include "agent/cli/options.h"
#include "agent/commands/store_work.h"
#include "port/base/text.h"

#include <stdio.h>

// clang-format off
static const char help[] =
    "usage: untrace store compact [--data-dir DIR | --config FILE] [--json]\n"
    "\n"
    "Rewrites the file of the store without its free space, and says how much smaller\n"
    "it has become. The running agent does it, between its commits, and takes spans\n"
    "meanwhile; where none runs this command does it itself. The disk needs room for\n"
    "a second file until it is done. Ctrl-C cancels it, and the store stays as it\n"
    "was.\n"
    "\n"
    UT_OPTION_HELP_WHERE
    UT_OPTION_HELP_JSON
    "\n"
    "Exit codes: 0 done; 64 usage; 65 the store is damaged; 66 there is none;\n"
    "74 disk, also when it has no room for a second file; 75 busy: another operation\n"
    "is under way, or another process works on the directory; 77 permission denied;\n"
    "78 configuration; 130 cancelled.\n";
// clang-format on

static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE, UT_OPTION_ROW_JSON,
                                            UT_OPTION_ROWS_END};

enum { OUT_MAX = 4096 };

static ut_err make(const void *context, ut_operation **operation)
{
    (void)context;
    return ut_compaction_new(operation);
}

static void print_result(const ut_store_work *work, const ut_store_work_result *result, bool json)
{
    if (json) {
        ut_buf out;
        ut_buf_init(&out, OUT_MAX);
        ut_store_work_json(work, result, false, &out);
        (void)fwrite(out.data, 1, out.len, stdout); // main looks at what became of it
        ut_buf_free(&out);
        return;
    }
    char size_z[UT_TEXT_SHORT_MAX];
    ut_text_size(result->progress.bytes, size_z);
    if (result->cancelled)
        (void)printf("cancelled; the store is as it was\n");
    else if (result->progress.bytes == 0)
        (void)printf("the file was as small as it can be\n");
    else
        (void)printf("the file is %s smaller\n", size_z);
}

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "store compact", .help_z = help, .rows = option_rows};
    if (!ut_options_read(&options, argc, argv))
        return options.code;
    const ut_store_work work = {
        .name_z = "compact",
        .path_z = "/store/compact",
        .unit_z = "records",
        .make = make,
    };
    ut_store_work_result result;
    const int code = ut_store_work_run(&work, options.data_dir_z, options.config_z, &result);
    if (code == EX_OK || result.cancelled)
        print_result(&work, &result, options.json);
    return code;
}

const ut_command ut_command_store_compact = {
    .name_z = "store compact",
    .run = run,
    .summary_z = "make the file of the store smaller",
    .help_z = help,
    .options = option_rows,
};
