// What the subcommands share: exit codes, faults, finding the configuration, opening a data directory for reading.
#include "agent/cli/cli.h"

#include "agent/commands/commands.h"
#include "agent/process/crash_note.h"
#include "agent/config/master_key.h"
#include "port/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char default_config_path[] = "/etc/untrace/untrace.yaml";

int ut_cli_exit_code(ut_err err)
{
    switch (err) {
    case UT_OK:
        return EX_OK;
    case UT_EFORMAT:
    case UT_EINVAL:
        return EX_CONFIG;
    case UT_ECORRUPT:
    case UT_EVERSION:
        return EX_DATAERR;
    case UT_ENOTFOUND:
        return EX_NOINPUT;
    case UT_EPERM:
        return EX_NOPERM;
    case UT_EBUSY:
    case UT_ECONNECT:
    case UT_ERESOLVE:
    case UT_ETLS:
        return EX_UNAVAILABLE;
    case UT_EIO:
    case UT_ENOSPC:
    case UT_EFULL:
        return EX_IOERR;
    case UT_ETIMEOUT:
    case UT_EAGAIN:
        return EX_TEMPFAIL;
    case UT_EPROTO:
    case UT_ECLOSED:
        return EX_PROTOCOL;
    case UT_ENOMEM:
    case UT_ELIMIT:
        return EX_OSERR;
    case UT_EEXIST:
    case UT_ECANCELED:
        return EX_SOFTWARE;
    }
    return EX_SOFTWARE;
}

int ut_cli_fail(const ut_fault *fault)
{
    (void)fprintf(stderr, "untrace: %s\n", fault->text_z);
    return ut_cli_exit_code(fault->code);
}

void ut_cli_name_store(const char *data_dir_z, ut_fault *fault)
{
    const ut_fault why = *fault;
    (void)ut_fault_set(
        fault, why.code, "%s: %s%s", data_dir_z, why.text_z,
        why.code == UT_ECORRUPT
            ? ". Restore it from a copy, or move it away to start with an empty store"
            : "");
}

int ut_cli_usage(const char *command_z, const char *format_z, ...)
{
    va_list args;
    va_start(args, format_z);
    (void)fprintf(stderr, "untrace %s: ", command_z);
    (void)vfprintf(stderr, format_z, args);
    (void)fprintf(stderr, "; `untrace %s --help` shows what it takes\n", command_z);
    va_end(args);
    return EX_USAGE;
}

// Whether the command has an option that getopt_long gives as value.
static bool has_option(const char *command_z, int value)
{
    const ut_command *command = ut_command_find(command_z);
    if (command == NULL)
        return false;
    for (const struct option *at = command->options; at->name != NULL; at++) {
        if (at->val == value)
            return true;
    }
    return false;
}

int ut_cli_bad_option(const char *command_z, int option, char *const *argv)
{
    // The word behind which getopt_long stands. While it is inside a word of several letters, that is
    // the one before, and where the last letter has no value, NULL; optopt is the letter then, and 0 for
    // a long name that is not known.
    const char *word_z = argv[optind - 1] != NULL ? argv[optind - 1] : "-";
    const bool is_long = strncmp(word_z, "--", 2) == 0;
    const bool is_letter = optopt > ' ' && optopt <= '~';
    if (option == ':') {
        if (is_long || !is_letter)
            return ut_cli_usage(command_z, "%s needs a value", word_z);
        return ut_cli_usage(command_z, "-%c needs a value", optopt);
    }
    if (optopt != 0 && is_long && has_option(command_z, optopt))
        return ut_cli_usage(command_z, "%.*s takes no value", (int)strcspn(word_z, "="), word_z);
    if (!is_letter)
        return ut_cli_usage(command_z, "%s is not an option", word_z);
    return ut_cli_usage(command_z, "-%c is not an option", optopt);
}

ut_err ut_cli_config(const char *path_z, ut_config *config, ut_fault *fault)
{
    if (path_z == NULL)
        path_z = getenv("UNTRACE_CONFIG");
    if (path_z == NULL && access(default_config_path, F_OK) == 0)
        path_z = default_config_path;
    if (path_z != NULL)
        return ut_config_read(path_z, config, fault);
    const ut_err err = ut_config_default(config);
    return err == UT_OK ? UT_OK : ut_fault_set(fault, err, "%s", ut_err_text(err));
}

bool ut_cli_number(const char *text_z, uint64_t max, uint64_t *value)
{
    return ut_text_parse_uint(ut_bytes_of_z(text_z), value) == UT_OK && *value <= max;
}

// The key to read with: from UNTRACE_KEY_FILE, else from where the configuration says. config: NULL
// when it was not read; it is then looked for, and one that is not there or is wrong says nothing
// unless config_z names it.
static ut_err reader_key(const ut_config *config, const char *config_z, ut_master_key *key,
                         ut_fault *fault)
{
    *key = (ut_master_key){.given = false};
    if (ut_master_key_env_file() != NULL)
        return ut_master_key_read(ut_master_key_env_file(), NULL, key, fault);
    if (config != NULL)
        return ut_master_key_load(&config->encryption, NULL, key, fault);
    ut_config *own = calloc(1, sizeof *own);
    if (own == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    ut_err err = ut_cli_config(config_z, own, fault);
    if (err == UT_OK) {
        err = ut_master_key_load(&own->encryption, NULL, key, fault);
        ut_config_free(own);
    } else if (config_z == NULL) {
        err = UT_OK;
    }
    free(own);
    return err;
}

ut_err ut_cli_reader_open(const char *data_dir_z, const char *config_z, ut_cli_reader *reader,
                          ut_fault *fault)
{
    ut_config config;
    ut_engine *engine = NULL;
    bool config_read = false;
    ut_err err = UT_OK;

    memset(reader, 0, sizeof(*reader));
    if (data_dir_z == NULL) {
        err = ut_cli_config(config_z, &config, fault);
        if (err != UT_OK)
            return err;
        config_read = true;
        data_dir_z = config.data_dir_z;
    }
    if (data_dir_z == NULL) {
        err = ut_fault_set(fault, UT_EINVAL,
                           "no data directory is known here: give --data-dir DIR or --config FILE");
        goto done;
    }
    const ut_engine_config engine_config = {
        .dir_z = data_dir_z, .bytes_max = UT_STORE_BYTES_MIN, .read_only = true};
    ut_crash_note(data_dir_z);
    err = ut_engine_lmdb_open(&engine_config, &engine, fault);
    if (err == UT_ENOTFOUND)
        (void)ut_fault_set(
            fault, err,
            "there is no store in %s (no store.mdb): has an agent run with this data directory?",
            data_dir_z);
    if (err != UT_OK)
        goto done;
    // Without its key a store that is not encrypted can be read all the same.
    ut_master_key key;
    ut_fault key_fault = {UT_OK, ""};
    const ut_err key_err = reader_key(config_read ? &config : NULL, config_z, &key, &key_fault);
    const ut_store_config store_config = {
        .bytes_max = UT_STORE_BYTES_MIN,
        .master_key = key.given ? key.bytes : NULL,
        .master_key_name_z = key.name_z,
    };
    err = ut_store_open(engine, &store_config, &reader->store, fault);
    ut_master_key_wipe(&key);
    if (err == UT_EPERM && key_err != UT_OK) {
        *fault = key_fault;
        err = key_err;
    }
    if (err != UT_OK) {
        ut_cli_name_store(data_dir_z, fault);
        goto done;
    }
    err = ut_store_view_open(ut_store_engine(reader->store), &reader->view);
    if (err == UT_OK)
        err = ut_store_view_begin(reader->view);
    if (err != UT_OK)
        (void)ut_fault_set(fault, err, "%s: cannot read the store: %s", data_dir_z,
                           ut_err_text(err));
done:
    if (err != UT_OK)
        ut_cli_reader_close(reader);
    if (config_read)
        ut_config_free(&config);
    return err;
}

void ut_cli_reader_close(ut_cli_reader *reader)
{
    if (reader->view != NULL) {
        ut_store_view_end(reader->view);
        ut_store_view_close(reader->view);
    }
    if (reader->store != NULL)
        ut_store_close(reader->store);
    memset(reader, 0, sizeof(*reader));
}
