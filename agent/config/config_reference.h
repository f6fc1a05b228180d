// Every key of the configuration with an example, or its default, and what it means, as YAML.
#ifndef UT_AGENT_CONFIG_CONFIG_REFERENCE_H
#define UT_AGENT_CONFIG_CONFIG_REFERENCE_H

extern const char ut_config_reference_z[];

#endif
