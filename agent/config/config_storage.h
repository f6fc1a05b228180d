// The section `storage` of the configuration: the budget of the store, and how long spans live.
#ifndef UT_AGENT_CONFIG_CONFIG_STORAGE_H
#define UT_AGENT_CONFIG_CONFIG_STORAGE_H

#include "agent/config/config_encryption.h"
#include "storage/store/rules.h"

enum { UT_CONFIG_COMMIT_DELAY_MS_MAX = 1000 }; // senders wait that much longer for an answer

typedef struct {
    uint64_t bytes_max; // default 256 MiB
    uint64_t spans_max; // default 0: any number
    bool evict_oldest;  // evict: delivered_first (default) or oldest
    uint64_t ttl_ms;    // default 30 d; 0: until the room is needed
    ut_rules rules;
    ut_config_encryption encryption;
    uint32_t commit_delay_ms; // how long a commit waits for more requests; default 0
} ut_config_storage;

// libyaml's types are only named here, so that users of the configuration need no libyaml.
struct ut_yaml;
struct yaml_node_s;

// Sets the defaults: 256 MiB, 30 days. storage is a ut_config_storage.
void ut_config_storage_default(void *storage);

// Reads the section into a ut_config_storage; a ut_yaml_read.
ut_err ut_config_storage_read(struct ut_yaml *yaml, struct yaml_node_s *node, void *storage);

// Reads the greatest size of the store into a uint64_t; a ut_yaml_read.
ut_err ut_config_store_size_read(struct ut_yaml *yaml, struct yaml_node_s *node, void *bytes);

#endif
