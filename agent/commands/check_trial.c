// Trying what a start does; see check_trial.h.
#include "agent/commands/check_trial.h"

#include "adapters/encoding/json.h"
#include "agent/config/master_key.h"
#include "agent/control/control_client.h"
#include "agent/process/data_dir.h"
#include "agent/process/exit_code.h"
#include "agent/process/start_warnings.h"
#include "agent/query/reader.h"
#include "transport/tls/tls.h"

#include <unistd.h>

enum { ASK_MS = 2000 }; // for an agent to say that it is there

// ---- certificates and key ----

// Whether certificates and keys are what they should be shows only when TLS is made of them.
static ut_err try_context(const char *what_z, const char *name_z, const ut_tls_config *tls,
                          ut_fault *fault)
{
    ut_tls_context *context = NULL;
    ut_fault why = {UT_OK, ""};
    const ut_err err = ut_tls_context_new(tls, &context, &why);
    if (err != UT_OK)
        return ut_fault_set(fault, err, "%s%s: %s", what_z, name_z, why.text_z);
    ut_tls_context_free(context);
    return UT_OK;
}

static ut_err try_tls(const ut_config *config, ut_fault *fault)
{
    const ut_receiver_config *receiver = &config->receivers.otlp_http;
    ut_err err = UT_OK;
    if (receiver->enabled && receiver->tls) {
        const ut_tls_config tls = {.server = true,
                                   .ca_pem = receiver->client_ca_pem,
                                   .cert_pem = receiver->cert_pem,
                                   .key_pem = receiver->key_pem};
        err = try_context("receiver ", "otlp_http", &tls, fault);
    }
    for (size_t i = 0; i < config->destinations.count && err == UT_OK; i++) {
        const ut_destination_config *destination = &config->destinations.items[i];
        if (!destination->url.tls)
            continue;
        const ut_tls_config tls = {.ca_pem = destination->ca_pem,
                                   .cert_pem = destination->cert_pem,
                                   .key_pem = destination->key_pem,
                                   .insecure = destination->insecure};
        err = try_context("destination ", destination->name_z, &tls, fault);
    }
    return err;
}

static ut_err try_key(const ut_config *config, const ut_log *log, ut_fault *fault)
{
    ut_master_key key;
    const ut_err err = ut_master_key_load(&config->storage.encryption, log, &key, fault);
    ut_master_key_wipe(&key);
    return err;
}

// ---- data directory and store ----

// Asks the agent that runs with the data directory, if one does, who it is and where it listens.
static void find_agent(const char *dir_z, ut_check_trial *trial, ut_addr *listen)
{
    ut_control_client *client = NULL;
    ut_bytes body = UT_BYTES_NONE;
    ut_json json;
    if (ut_control_client_open(dir_z, &client, NULL) != UT_OK)
        return;
    if (ut_control_client_ask(client, "GET", "/status", UT_BYTES_NONE, ASK_MS, &body, NULL) ==
            UT_OK &&
        ut_json_read(&json, body, NULL) == UT_OK) {
        yyjson_val *root = yyjson_doc_get_root(json.doc);
        trial->agent_pid = ut_control_uint(root, "pid");
        // An agent without a receiver says "", and listen stays as it is.
        (void)ut_addr_parse(ut_bytes_of_z(ut_control_text(root, "otlp_http")), listen);
        ut_json_free(&json);
    }
    ut_control_client_close(client);
}

static int try_store(const ut_config *config, const ut_log *log, ut_fault *fault)
{
    ut_reader reader;
    if (ut_data_dir_find_store(config->data_dir_z, fault) != EX_OK)
        return EX_OK; // the start makes one
    const ut_err err = ut_reader_open_config(config, &reader, fault);
    if (err != UT_OK)
        return ut_exit_code(err);
    ut_warn_of_waiting(config, reader.store, log);
    ut_reader_close(&reader);
    return EX_OK;
}

static int try_data_dir(const ut_config *config, const ut_log *log, ut_check_trial *trial,
                        ut_addr *listen, ut_fault *fault)
{
    if (config->data_dir_z == NULL) {
        (void)ut_fault_set(fault, UT_EINVAL, "no data directory is known here: set data_dir");
        return EX_CONFIG;
    }
    find_agent(config->data_dir_z, trial, listen);
    const int code = ut_data_dir_try(config->data_dir_z, log, fault);
    if (code != EX_OK && !(code == EX_TEMPFAIL && trial->agent_pid != 0))
        return code;
    return try_store(config, log, fault);
}

// ---- port ----

static bool same_place(const ut_addr *a, const ut_addr *b)
{
    return a->family == UT_ADDR_UNIX || b->family == UT_ADDR_UNIX
               ? a->family == b->family && strcmp(a->path_z, b->path_z) == 0
               : a->port == b->port;
}

static int try_port(const ut_config *config, ut_check_trial *trial, const ut_addr *held,
                    ut_fault *fault)
{
    const ut_receiver_config *receiver = &config->receivers.otlp_http;
    ut_sock sock = UT_SOCK_NONE;
    if (!receiver->enabled)
        return EX_OK;
    trial->port_held = trial->agent_pid != 0 && same_place(&receiver->listen, held);
    if (trial->port_held)
        return EX_OK;
    const ut_err err = ut_sock_listen(&receiver->listen, 1, &sock, fault);
    if (err != UT_OK)
        return err == UT_EIO ? EX_UNAVAILABLE : ut_exit_code(err); // no such address
    ut_sock_close(sock);
    if (receiver->listen.family == UT_ADDR_UNIX)
        (void)unlink(receiver->listen.path_z);
    return EX_OK;
}

int ut_check_try(const ut_config *config, const ut_log *log, ut_check_trial *trial, ut_fault *fault)
{
    ut_addr held = {.family = UT_ADDR_UNIX};
    *trial = (ut_check_trial){.agent_pid = 0};
    ut_err err = try_tls(config, fault);
    if (err == UT_OK)
        err = try_key(config, log, fault);
    if (err != UT_OK) // a missing file is a wrong configuration too
        return err == UT_ENOMEM ? EX_OSERR : EX_CONFIG;
    int code = try_data_dir(config, log, trial, &held, fault);
    if (code == EX_OK)
        code = try_port(config, trial, &held, fault);
    ut_raise_descriptors(config, log);
    ut_warn_of_config(config, log);
    return code;
}
