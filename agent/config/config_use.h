// What a configuration is read for. It is read strictly for everybody; but what a reader does not
// need is neither taken from the environment nor opened, because both may be the agent's alone.
#ifndef UT_AGENT_CONFIG_CONFIG_USE_H
#define UT_AGENT_CONFIG_CONFIG_USE_H

// Each needs what the ones before it need, and more.
typedef enum {
    UT_CONFIG_LOOK = 1, // commands that read: data_dir, and where the key of the store is
    UT_CONFIG_STORE,    // commands that change a store without an agent: `storage` too
    UT_CONFIG_RUN,      // the agent: everything
} ut_config_use;

#endif
