// The facts of a store; see store_facts.h.
#include "agent/commands/store_facts.h"

#include "adapters/encoding/json.h"
#include "agent/cli/progress_bar.h"
#include "agent/config/config_find.h"
#include "agent/control/control_client.h"

#include <stdlib.h>
#include <string.h>

enum {
    SLICE_KEYS = 20000, // read in one view
    ASK_MS = 2000,      // for an agent to say that it is there
};

// A copy of the name of the data directory, "" where it is not known; NULL without memory.
static char *find_dir(const char *data_dir_z, const char *config_z)
{
    if (data_dir_z != NULL)
        return strdup(data_dir_z);
    char *dir_z = NULL;
    const ut_err err = ut_config_find_data_dir(config_z, &dir_z, NULL);
    return err == UT_OK || err == UT_ENOMEM ? dir_z : strdup("");
}

// The process id of the agent that runs on the directory, 0 when none answers.
static uint64_t find_agent(const char *dir_z)
{
    ut_control_client *client = NULL;
    ut_bytes body = UT_BYTES_NONE;
    uint64_t pid = 0;
    if (ut_control_client_open(dir_z, &client, NULL) != UT_OK)
        return 0;
    ut_json json;
    if (ut_control_client_ask(client, "GET", "/status", UT_BYTES_NONE, ASK_MS, &body, NULL) ==
            UT_OK &&
        ut_json_read(&json, body, NULL) == UT_OK) {
        pid = ut_control_uint(yyjson_doc_get_root(json.doc), "pid");
        ut_json_free(&json);
    }
    ut_control_client_close(client);
    return pid;
}

static void add_up(ut_store_facts *facts)
{
    ut_census_org *all = &facts->all;
    for (uint32_t i = 0; i < facts->census.org_count; i++) {
        const ut_census_org *org = &facts->census.orgs[i];
        if (org->blocks > 0 &&
            (all->blocks == 0 || org->oldest_received_ns < all->oldest_received_ns))
            all->oldest_received_ns = org->oldest_received_ns;
        if (org->newest_received_ns > all->newest_received_ns)
            all->newest_received_ns = org->newest_received_ns;
        all->blocks += org->blocks;
        all->spans += org->spans;
        all->traces += org->traces;
        all->sealed_bytes += org->sealed_bytes;
        all->payload_bytes += org->payload_bytes;
    }
}

static ut_err take_census(ut_reader *reader, ut_census *census)
{
    ut_progress_bar bar = {.begun = false};
    uint64_t keys = 0;
    bool more = true;
    ut_err err = UT_OK;
    while (err == UT_OK && more) {
        err = ut_census_step(reader->view, census, SLICE_KEYS, &more);
        ut_store_view_end(reader->view);
        if (err == UT_OK && more)
            err = ut_store_view_begin(reader->view);
        keys += SLICE_KEYS;
        if (more)
            ut_progress_bar_draw(&bar, keys, 0, "keys");
    }
    ut_progress_bar_end(&bar);
    return err;
}

static ut_err read_store(ut_reader *reader, ut_store_facts *facts)
{
    ut_engine *engine = ut_store_engine(reader->store);
    ut_store_get_counts(reader->store, &facts->counts);
    facts->data_keys = ut_store_data_keys(reader->store);
    facts->destination_count =
        ut_store_get_destinations(reader->store, facts->destinations, UT_STORE_DESTINATIONS_MAX);
    ut_err err = ut_engine_get_room(engine, &facts->room);
    if (err == UT_OK)
        err = take_census(reader, &facts->census);
    add_up(facts);
    return err;
}

ut_err ut_store_facts_read(const char *data_dir_z, const char *config_z, ut_store_facts **facts,
                           ut_fault *fault)
{
    ut_reader reader;
    ut_err err = ut_reader_open(data_dir_z, config_z, &reader, fault);
    if (err != UT_OK)
        return err;
    ut_store_facts *read = calloc(1, sizeof(*read));
    if (read != NULL)
        read->dir_z = find_dir(data_dir_z, config_z);
    if (read == NULL || read->dir_z == NULL) {
        err = ut_fault_set(fault, UT_ENOMEM, "%s", ut_err_text(UT_ENOMEM));
    } else {
        read->agent_pid = find_agent(read->dir_z);
        err = read_store(&reader, read);
        if (err != UT_OK)
            (void)ut_fault_set(fault, err, "%s: the store cannot be read: %s%s", read->dir_z,
                               ut_err_text(err),
                               err == UT_ECORRUPT ? "; `untrace store verify` says where" : "");
    }
    ut_reader_close(&reader);
    if (err == UT_OK)
        *facts = read;
    else
        ut_store_facts_free(read);
    return err;
}

void ut_store_facts_free(ut_store_facts *facts)
{
    if (facts == NULL)
        return;
    free(facts->dir_z);
    free(facts);
}
