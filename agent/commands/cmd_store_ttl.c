// `untrace store ttl`: gives what is stored the times to live that the configuration says now.
#include "agent/commands/cmd_store.h"

#include "agent/cli/cli.h"
#include "agent/commands/store_work.h"
#include "port/base/text.h"

#include <stdio.h>

static const char help[] =
    "usage: untrace store ttl [--dry-run] [--data-dir DIR | --config FILE] [--json]\n"
    "\n"
    "A changed ttl, or a changed rule, applies to what comes after it. This applies it to what is "
    "there: every\n"
    "block expires when the span of it that is kept longest does, by the times that are configured "
    "now. What is\n"
    "due by then is removed by the agent's sweeper, as always. The running agent does it, with the "
    "configuration\n"
    "that it was started with; where none runs this command does it itself, with the one that it "
    "finds. Ctrl-C\n"
    "cancels it: blocks that have their new time keep it.\n"
    "\n"
    "      --dry-run       only count the blocks whose time would change\n"
    "  -d, --data-dir DIR  where the agent keeps its data (default: as the configuration says)\n"
    "  -c, --config FILE   configuration with the times (default: $UNTRACE_CONFIG, else "
    "/etc/untrace/untrace.yaml\n"
    "                      if it exists, else built-in defaults: 30d)\n"
    "      --json          one JSON object\n"
    "\n"
    "Exit codes: 0 done; 64 usage; 65 the store is damaged; 66 there is none; 74 disk; 75 busy: "
    "another\n"
    "operation is under way, or another process works on the directory; 77 permission denied; 78 "
    "configuration;\n"
    "130 cancelled.\n";

static const struct option options[] = {{"dry-run", no_argument, NULL, UT_STORE_OPTION_DRY_RUN},
                                        {"data-dir", required_argument, NULL, 'd'},
                                        {"config", required_argument, NULL, 'c'},
                                        {"json", no_argument, NULL, UT_STORE_OPTION_JSON},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

enum { OUT_MAX = 4096 };

static ut_err make(const void *context, ut_operation **operation)
{
    const bool *dry_run = context;
    return ut_retime_new(UT_ORG_DEFAULT, *dry_run, operation);
}

static int retime(bool dry_run, const char *data_dir_z, const char *config_z, bool json)
{
    const ut_store_work work = {
        .name_z = "ttl",
        .path_z = "/store/ttl",
        .request =
            dry_run ? UT_BYTES_LIT("{\"dry_run\":true}") : UT_BYTES_LIT("{\"dry_run\":false}"),
        .unit_z = "blocks",
        .make = make,
        .context = &dry_run,
    };
    ut_store_work_result result;
    const int code = ut_store_work_run(&work, data_dir_z, config_z, &result);
    if (code != EX_OK && !result.cancelled)
        return code;
    if (json) {
        ut_buf out;
        ut_buf_init(&out, OUT_MAX);
        ut_store_work_json(&work, &result, dry_run, &out);
        (void)fwrite(out.data, 1, out.len, stdout); // main looks at what became of it
        ut_buf_free(&out);
    } else {
        (void)printf("%s%llu blocks with %llu spans %s another time\n",
                     result.cancelled ? "cancelled; " : "",
                     (unsigned long long)result.progress.blocks,
                     (unsigned long long)result.progress.spans, dry_run ? "would get" : "got");
    }
    return code;
}

static int run(int argc, char **argv)
{
    const char *data_dir_z = NULL;
    const char *config_z = NULL;
    bool json = false;
    bool dry_run = false;
    for (int option; (option = getopt_long(argc, argv, ":d:c:h", options, NULL)) != -1;) {
        if (option == 'd') {
            data_dir_z = optarg;
        } else if (option == 'c') {
            config_z = optarg;
        } else if (option == UT_STORE_OPTION_DRY_RUN) {
            dry_run = true;
        } else if (option == UT_STORE_OPTION_JSON) {
            json = true;
        } else if (option == 'h') {
            (void)fputs(help, stdout);
            return EX_OK;
        } else {
            return ut_cli_bad_option("store ttl", option, argv);
        }
    }
    if (optind < argc)
        return ut_cli_usage("store ttl", "\"%s\" is one word too many", argv[optind]);
    return retime(dry_run, data_dir_z, config_z, json);
}

const ut_command ut_command_store_ttl = {
    .name_z = "store ttl",
    .run = run,
    .summary_z = "apply the configured times to live to what is stored",
    .help_z = help,
    .options = options,
};
