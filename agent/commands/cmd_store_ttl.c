// `untrace store ttl`: gives what is stored the times to live that the configuration says now.
#include "agent/commands/cmd_store.h"

#include "agent/cli/options.h"
#include "agent/commands/store_work.h"
#include "port/base/text.h"

#include <stdio.h>

// clang-format off
static const char help[] =
    "usage: untrace store ttl [--dry-run] [--data-dir DIR | --config FILE] [--json]\n"
    "\n"
    "A changed ttl, or a changed rule, applies to what comes after it. This applies\n"
    "it to what is there: every block expires when the span of it that is kept\n"
    "longest does, by the times that are configured now. What is due by then is\n"
    "removed by the agent's sweeper, as always. The running agent does it, with the\n"
    "configuration that it was started with; where none runs this command does it\n"
    "itself, with the one that it finds. Ctrl-C cancels it: blocks that have their\n"
    "new time keep it.\n"
    "\n"
    "      --dry-run           only count the blocks whose time would change\n"
    UT_OPTION_HELP_DATA_DIR
    "  -c, --config FILE       configuration with the times (default:\n"
    "                          $UNTRACE_CONFIG, else /etc/untrace/untrace.yaml if it\n"
    "                          exists, else built-in defaults: 30d)\n"
    UT_OPTION_HELP_JSON
    "\n"
    "Exit codes: 0 done; 64 usage; 65 the store is damaged; 66 there is none;\n"
    "74 disk; 75 busy: another operation is under way, or another process works on\n"
    "the directory; 77 permission denied; 78 configuration; 130 cancelled.\n";
// clang-format on

static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE,
                                            UT_OPTION_ROW_JSON,
                                            {"dry-run", no_argument, NULL, UT_STORE_OPTION_DRY_RUN},
                                            UT_OPTION_ROWS_END};

enum { OUT_MAX = 4096 };

static ut_err make(const void *context, ut_operation **operation)
{
    const bool *dry_run = context;
    return ut_ttl_change_new(UT_ORG_DEFAULT, *dry_run, operation);
}

static int retime(bool dry_run, const ut_options *options)
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
    const int code = ut_store_work_run(&work, options->data_dir_z, options->config_z, &result);
    if (code != EX_OK && !result.cancelled)
        return code;
    if (options->json) {
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
    ut_options options = {.command_z = "store ttl", .help_z = help, .rows = option_rows};
    bool dry_run = false;
    while (ut_options_next(&options, argc, argv) == UT_STORE_OPTION_DRY_RUN)
        dry_run = true;
    return options.ended ? options.code : retime(dry_run, &options);
}

const ut_command ut_command_store_ttl = {
    .name_z = "store ttl",
    .run = run,
    .summary_z = "apply the configured times to live to what is stored",
    .help_z = help,
    .options = option_rows,
};
