// The section `llm` of the configuration: what language models cost. What that is used for is
// storage/span/llm_price.h's.
#ifndef UT_AGENT_CONFIG_CONFIG_LLM_H
#define UT_AGENT_CONFIG_CONFIG_LLM_H

#include "port/base/err.h"
#include "storage/span/llm_price.h"

// libyaml's types are only named here, so that users of the configuration need no libyaml.
struct ut_yaml;
struct yaml_node_s;

// Reads the section into a ut_llm_prices; a ut_yaml_read.
ut_err ut_config_llm_read(struct ut_yaml *yaml, struct yaml_node_s *node, void *prices);

#endif
