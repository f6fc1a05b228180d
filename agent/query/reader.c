// Opens a data directory for reading; see reader.h.
#include "agent/query/reader.h"

#include "agent/config/config_find.h"
#include "agent/config/master_key.h"
#include "agent/process/crash_note.h"
#include "agent/process/data_dir.h"

#include <stdlib.h>

// Reads the key from the file of UNTRACE_KEY_FILE, else from the place that the configuration
// gives. config: NULL when it was not read; it is then looked for, and a missing or wrong one is an
// error only where config_z names it. prices: set where it is read here.
static ut_err reader_key(const ut_config *config, const char *config_z, ut_llm_prices *prices,
                         ut_master_key *key, ut_fault *fault)
{
    *key = (ut_master_key){.given = false};
    if (ut_master_key_env_file() != NULL)
        return ut_master_key_read(ut_master_key_env_file(), NULL, key, fault);
    if (config != NULL)
        return ut_master_key_load(&config->storage.encryption, NULL, key, fault);
    ut_config *own = calloc(1, sizeof(*own));
    if (own == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    ut_err err = ut_config_find(config_z, UT_CONFIG_LOOK, own, fault);
    if (err == UT_OK) {
        err = ut_master_key_load(&own->storage.encryption, NULL, key, fault);
        *prices = own->llm_prices;
        ut_config_free(own);
    } else if (config_z == NULL) {
        err = UT_OK;
    }
    free(own);
    return err;
}

// config: NULL where it has not been read.
static ut_err open_dir(const char *data_dir_z, const ut_config *config, const char *config_z,
                       ut_reader *reader, ut_fault *fault)
{
    ut_engine *engine = NULL;
    const ut_engine_config engine_config = {
        .dir_z = data_dir_z, .bytes_max = UT_STORE_BYTES_MIN, .read_only = true};
    ut_crash_note(data_dir_z);
    ut_err err = ut_engine_lmdb_open(&engine_config, &engine, fault);
    if (err != UT_OK) {
        ut_data_dir_explain(data_dir_z, fault);
        goto done;
    }
    // A store that is not encrypted can be read even where the key cannot.
    ut_master_key key;
    ut_fault key_fault = {UT_OK, ""};
    const ut_err key_err = reader_key(config, config_z, &reader->llm_prices, &key, &key_fault);
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
        ut_data_dir_name_fault(data_dir_z, fault);
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
        ut_reader_close(reader);
    return err;
}

ut_err ut_reader_open_config(const ut_config *config, ut_reader *reader, ut_fault *fault)
{
    memset(reader, 0, sizeof(*reader));
    if (config->data_dir_z == NULL)
        return ut_fault_set(
            fault, UT_EINVAL,
            "no data directory is known here: give --data-dir DIR or --config FILE");
    reader->llm_prices = config->llm_prices;
    return open_dir(config->data_dir_z, config, NULL, reader, fault);
}

ut_err ut_reader_open(const char *data_dir_z, const char *config_z, ut_reader *reader,
                      ut_fault *fault)
{
    memset(reader, 0, sizeof(*reader));
    if (data_dir_z != NULL)
        return open_dir(data_dir_z, NULL, config_z, reader, fault);
    ut_config *config = calloc(1, sizeof(*config));
    if (config == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    ut_err err = ut_config_find(config_z, UT_CONFIG_LOOK, config, fault);
    if (err == UT_OK) {
        err = ut_reader_open_config(config, reader, fault);
        ut_config_free(config);
    }
    free(config);
    return err;
}

void ut_reader_close(ut_reader *reader)
{
    if (reader->view != NULL) {
        ut_store_view_end(reader->view);
        ut_store_view_close(reader->view);
    }
    if (reader->store != NULL)
        ut_store_close(reader->store);
    *reader = (ut_reader){.damaged = reader->damaged};
}
