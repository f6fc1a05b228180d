// `untrace store compact`: gives the free space in the file back to the disk.
#include "agent/commands/cmd_store.h"

#include "agent/cli/cli.h"
#include "agent/commands/store_work.h"
#include "port/base/text.h"

#include <stdio.h>

static const char help[] =
    "usage: untrace store compact [--data-dir DIR | --config FILE] [--json]\n"
    "\n"
    "Rewrites the file of the store without its free space, and says how much smaller it has "
    "become. The\n"
    "running agent does it, between its commits, and takes spans meanwhile; where none runs this "
    "command does\n"
    "it itself. The disk needs room for a second file until it is done. Ctrl-C cancels it, and the "
    "store stays\n"
    "as it was.\n"
    "\n"
    "  -d, --data-dir DIR  where the agent keeps its data (default: as the configuration says)\n"
    "  -c, --config FILE   configuration to take the data directory from\n"
    "      --json          one JSON object\n"
    "\n"
    "Exit codes: 0 done; 64 usage; 65 the store is damaged; 66 there is none; 74 disk, also when "
    "it "
    "has no room\n"
    "for a second file; 75 busy: another operation is under way, or another process works on the "
    "directory;\n"
    "77 permission denied; 78 configuration; 130 cancelled.\n";

static const struct option options[] = {{"data-dir", required_argument, NULL, 'd'},
                                        {"config", required_argument, NULL, 'c'},
                                        {"json", no_argument, NULL, UT_STORE_OPTION_JSON},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

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
    const char *data_dir_z = NULL;
    const char *config_z = NULL;
    bool json = false;
    for (int option; (option = getopt_long(argc, argv, ":d:c:h", options, NULL)) != -1;) {
        if (option == 'd') {
            data_dir_z = optarg;
        } else if (option == 'c') {
            config_z = optarg;
        } else if (option == UT_STORE_OPTION_JSON) {
            json = true;
        } else if (option == 'h') {
            (void)fputs(help, stdout);
            return EX_OK;
        } else {
            return ut_cli_bad_option("store compact", option, argv);
        }
    }
    if (optind < argc)
        return ut_cli_usage("store compact", "\"%s\" is one word too many", argv[optind]);
    const ut_store_work work = {
        .name_z = "compact",
        .path_z = "/store/compact",
        .unit_z = "records",
        .make = make,
    };
    ut_store_work_result result;
    const int code = ut_store_work_run(&work, data_dir_z, config_z, &result);
    if (code == EX_OK || result.cancelled)
        print_result(&work, &result, json);
    return code;
}

const ut_command ut_command_store_compact = {
    .name_z = "store compact",
    .run = run,
    .summary_z = "make the file of the store smaller",
    .help_z = help,
    .options = options,
};
