// `untrace store rekey`: gives an encrypted store another master key.
#include "agent/commands/cmd_store.h"

#include "adapters/encoding/json_write.h"
#include "agent/cli/options.h"
#include "agent/config/master_key.h"
#include "agent/commands/store_work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

// clang-format off
static const char help[] =
    "usage: untrace store rekey --new-key-file FILE [--data-dir DIR | --config FILE]\n"
    "                           [--json]\n"
    "\n"
    "Changes the master key of an encrypted store at once: the data keys are wrapped\n"
    "with the new one, no block is written anew, and new blocks get a new data key.\n"
    "The running agent does it, and reads FILE itself; where none runs this command\n"
    "does it, with the old key from the configuration or from $UNTRACE_KEY_FILE.\n"
    "\n"
    "Before the agent starts the next time, storage.encryption must lead to the new\n"
    "key. Blocks from before keep their data keys: who has the old master key and an\n"
    "old copy of the store can read the copy, and with the copy's data keys the old\n"
    "blocks of this store.\n"
    "\n"
    "  -k, --new-key-file FILE\n"
    "                          the new key: 32 bytes, 64 hexadecimal digits, or\n"
    "                          base64 of 32 bytes (openssl rand -out FILE 32 makes\n"
    "                          one)\n"
    UT_OPTION_HELP_WHERE
    UT_OPTION_HELP_JSON
    "\n"
    "Exit codes: 0 done; 64 usage; 65 the store is damaged; 66 no store, or no such\n"
    "file; 74 disk; 75 busy: another operation is under way, or another process works\n"
    "on the directory; 77 permission denied, or the old key does not fit;\n"
    "78 configuration, or the store is not encrypted, or FILE holds no key.\n";
// clang-format on

static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE,
                                            UT_OPTION_ROW_JSON,
                                            {"new-key-file", required_argument, NULL, 'k'},
                                            UT_OPTION_ROWS_END};

enum { OUT_MAX = 4096, REQUEST_MAX = 32 * 1024 };

static ut_err make(const void *context, ut_operation **operation)
{
    return ut_rekey_new(context, operation);
}

static void print_result(const ut_store_work *work, const ut_store_work_result *result, bool json,
                         const char *path_z)
{
    if (json) {
        ut_buf out;
        ut_buf_init(&out, OUT_MAX);
        ut_store_work_json(work, result, false, &out);
        (void)fwrite(out.data, 1, out.len, stdout); // main looks at what became of it
        ut_buf_free(&out);
    } else if (result->progress.done == 0) {
        (void)printf("cancelled; the key was not changed\n");
    } else {
        (void)printf(
            "the master key of the store is now the one in %s; storage.encryption must lead "
            "to it before the agent starts the next time\n",
            path_z);
    }
}

// path_z: absolute, because the agent has another working directory.
static int rekey(const char *path_z, const ut_options *options)
{
    ut_master_key key;
    ut_fault fault;
    // Before anybody is asked: what is wrong with the file is told here.
    if (ut_master_key_read(path_z, NULL, &key, &fault) != UT_OK)
        return ut_cli_fail(&fault);
    ut_buf request;
    ut_buf_init(&request, REQUEST_MAX);
    ut_json_writer json_request = ut_json_writer_of(&request);
    ut_json_write_object(&json_request, NULL);
    ut_json_write_text_z(&json_request, "key_file", path_z);
    ut_json_write_close(&json_request);
    const ut_store_work work = {
        .name_z = "rekey",
        .path_z = "/store/rekey",
        .request = ut_buf_bytes(&request),
        .unit_z = "",
        .make = make,
        .context = key.bytes,
    };
    ut_store_work_result result;
    int code = EX_OSERR;
    if (request.err == UT_OK) {
        code = ut_store_work_run(&work, options->data_dir_z, options->config_z, &result);
        if (code == EX_OK || result.cancelled)
            print_result(&work, &result, options->json, path_z);
    }
    ut_master_key_wipe(&key);
    ut_buf_free(&request);
    return code;
}

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "store rekey", .help_z = help, .rows = option_rows};
    const char *file_z = NULL;
    while (ut_options_next(&options, argc, argv) == 'k')
        file_z = optarg;
    if (options.ended)
        return options.code;
    if (file_z == NULL)
        return ut_cli_usage("store rekey", "it needs --new-key-file FILE");
    char *path_z = realpath(file_z, NULL);
    if (path_z == NULL) {
        const int reason = errno;
        (void)fprintf(stderr, "untrace: cannot read the key in %s: %s\n", file_z, strerror(reason));
        return reason == EACCES ? EX_NOPERM : EX_NOINPUT;
    }
    const int code = rekey(path_z, &options);
    free(path_z);
    return code;
}

const ut_command ut_command_store_rekey = {
    .name_z = "store rekey",
    .run = run,
    .summary_z = "give an encrypted store another master key",
    .help_z = help,
    .options = option_rows,
};
