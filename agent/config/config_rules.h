// The list `storage.rules` of the configuration: how long spans live that match conditions. The
// meaning of a rule is storage/store/rules.h's.
#ifndef UT_AGENT_CONFIG_CONFIG_RULES_H
#define UT_AGENT_CONFIG_CONFIG_RULES_H

#include "storage/store/rules.h"

// libyaml's types are only named here, so that users of the configuration need no libyaml.
struct ut_yaml;
struct yaml_node_s;

// Appends the rules of the list to a ut_rules; a ut_yaml_read. Their texts live as long as the
// configuration.
ut_err ut_config_rules_read(struct ut_yaml *yaml, struct yaml_node_s *node, void *rules);

#endif
