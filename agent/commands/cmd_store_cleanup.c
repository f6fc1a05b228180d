// `untrace store cleanup`: removes spans by an operator's wish.
#include "agent/commands/cmd_store.h"

#include "adapters/encoding/json_write.h"
#include "agent/cli/options.h"
#include "agent/commands/store_work.h"
#include "port/base/text.h"
#include "port/port.h"

#include <stdio.h>

// clang-format off
static const char help[] =
    "usage: untrace store cleanup --older-than AGE [--service NAME] [--delivered]\n"
    "                             [--dry-run] [--data-dir DIR | --config FILE]\n"
    "                             [--json]\n"
    "\n"
    "Removes what was received longer than AGE ago, and says how much went. The\n"
    "running agent does it, between its commits; where none runs this command does it\n"
    "itself. Spans that a destination has not got yet go too, unless --delivered\n"
    "keeps them; they are counted as expired. Ctrl-C cancels it: what is removed by\n"
    "then stays removed.\n"
    "\n"
    "      --older-than AGE    7d, 12h, 30m, 1d12h; 0: everything\n"
    "  -s, --service NAME      only spans of this service\n"
    "      --delivered         only what no destination waits for\n"
    "      --dry-run           only count what would go\n"
    UT_OPTION_HELP_WHERE
    UT_OPTION_HELP_JSON
    "\n"
    "The file does not become smaller by this: its free space is used again. `untrace\n"
    "store compact` gives it back to the disk.\n"
    "\n"
    "Exit codes: 0 done; 64 usage; 65 the store is damaged; 66 there is none;\n"
    "74 disk; 75 busy: another operation is under way, or another process works on\n"
    "the directory; 77 permission denied; 78 configuration; 130 cancelled.\n";
// clang-format on

enum { OPTION_OLDER = UT_STORE_OPTION_DELIVERED + 1 };

static const struct option option_rows[] = {
    UT_OPTION_ROWS_WHERE,
    UT_OPTION_ROW_JSON,
    {"older-than", required_argument, NULL, OPTION_OLDER},
    {"service", required_argument, NULL, 's'},
    {"delivered", no_argument, NULL, UT_STORE_OPTION_DELIVERED},
    {"dry-run", no_argument, NULL, UT_STORE_OPTION_DRY_RUN},
    UT_OPTION_ROWS_END};

enum { OUT_MAX = 4096 };

static ut_err make(const void *context, ut_operation **operation)
{
    return ut_cleanup_new(context, operation);
}

static void write_request(const ut_cleanup_options *wish, ut_buf *out)
{
    ut_json_writer json = ut_json_writer_of(out);
    ut_json_write_object(&json, NULL);
    ut_json_write_uint(&json, "older_than_ns", wish->older_than_ns);
    if (wish->service_z[0] != '\0')
        ut_json_write_text_z(&json, "service", wish->service_z);
    ut_json_write_bool(&json, "delivered", wish->delivered_only);
    ut_json_write_bool(&json, "dry_run", wish->dry_run);
    ut_json_write_close(&json);
}

static void print_text(const ut_store_work_result *result, bool dry_run)
{
    const ut_operation_progress *did = &result->progress;
    char size_z[UT_TEXT_SHORT_MAX];
    ut_text_size(did->bytes, size_z);
    (void)printf("%s%s %llu spans in %llu blocks, %s\n", result->cancelled ? "cancelled; " : "",
                 dry_run ? "would remove" : "removed", (unsigned long long)did->spans,
                 (unsigned long long)did->blocks, size_z);
    if (did->pending > 0)
        (void)printf("%llu of the spans %s not been delivered to every destination\n",
                     (unsigned long long)did->pending, dry_run ? "have" : "had");
}

static int clean_up(const ut_cleanup_options *wish, const ut_options *options)
{
    ut_buf out;
    ut_buf_init(&out, OUT_MAX);
    write_request(wish, &out);
    const ut_store_work work = {
        .name_z = "cleanup",
        .path_z = "/store/cleanup",
        .request = ut_buf_bytes(&out),
        .unit_z = "blocks",
        .make = make,
        .context = wish,
    };
    ut_store_work_result result = {.by_agent = false};
    const int code = out.err == UT_OK
                         ? ut_store_work_run(&work, options->data_dir_z, options->config_z, &result)
                         : EX_OSERR;
    ut_buf_reset(&out, OUT_MAX);
    if ((code == EX_OK || result.cancelled) && options->json) {
        ut_store_work_json(&work, &result, wish->dry_run, &out);
        (void)fwrite(out.data, 1, out.len, stdout); // main looks at what became of it
    } else if (code == EX_OK || result.cancelled) {
        print_text(&result, wish->dry_run);
    }
    ut_buf_free(&out);
    return code;
}

static int run(int argc, char **argv)
{
    ut_cleanup_options wish = {.org = UT_ORG_DEFAULT};
    ut_options options = {.command_z = "store cleanup", .help_z = help, .rows = option_rows};
    const char *age_z = NULL;
    uint64_t age_ms = 0;
    for (int option; (option = ut_options_next(&options, argc, argv)) != -1;) {
        switch (option) {
        case OPTION_OLDER:
            age_z = optarg;
            if (ut_text_parse_duration(ut_bytes_of_z(age_z), &age_ms) != UT_OK)
                return ut_cli_usage("store cleanup",
                                    "--older-than takes an age such as 7d or 12h, not \"%s\"",
                                    age_z);
            break;
        case 's':
            if (optarg[0] == '\0' || strlen(optarg) >= sizeof(wish.service_z))
                return ut_cli_usage("store cleanup", "--service takes 1 to %zu bytes",
                                    sizeof(wish.service_z) - 1);
            memcpy(wish.service_z, optarg, strlen(optarg) + 1);
            break;
        case UT_STORE_OPTION_DELIVERED:
            wish.delivered_only = true;
            break;
        default:
            wish.dry_run = true;
        }
    }
    if (options.ended)
        return options.code;
    if (age_z == NULL)
        return ut_cli_usage("store cleanup", "--older-than AGE is missing");
    const uint64_t now_ns = ut_clock_wall_ns();
    const uint64_t age_ns = age_ms > UINT64_MAX / 1000000 ? UINT64_MAX : age_ms * 1000000;
    wish.older_than_ns = now_ns > age_ns ? now_ns - age_ns : 0;
    return clean_up(&wish, &options);
}

const ut_command ut_command_store_cleanup = {
    .name_z = "store cleanup",
    .run = run,
    .summary_z = "remove old spans",
    .help_z = help,
    .options = option_rows,
};
