// The figures of `untrace top`, read at one moment: from the running agent by its control socket,
// and from the store by a reader of our own. Not for how it looks (top_frame.h).
#ifndef UT_AGENT_COMMANDS_TOP_SAMPLE_H
#define UT_AGENT_COMMANDS_TOP_SAMPLE_H

#include "agent/cli/cli.h"
#include "agent/control/control_client.h"
#include "agent/query/reader.h"

enum {
    UT_TOP_SERVICES_MAX = 64, // further ones are counted together, under an empty name
    UT_TOP_NAME_MAX = 64,     // bytes of a service's name that are kept
    UT_TOP_BLOCKS_MAX = 64,   // newest blocks that are read for a sample: at most 32 768 spans
    UT_TOP_VERSION_MAX = 24,
    UT_TOP_REFUSALS_MAX = 24,
    UT_TOP_REFUSAL_NAME_MAX = 24,
    UT_TOP_PATH_MAX = 512,
};

typedef struct {
    char name_z[UT_STORE_NAME_MAX + 1];
    bool active;
    bool failing;
    uint64_t delivered;
    uint64_t pending;
    uint64_t dead;
    uint64_t
        oldest_ns; // when the oldest block that waits was received; 0: none waits, or not known
    char error_z[UT_STORE_REASON_MAX];
} ut_top_destination;

// A reason for which requests, or spans, were refused since the start.
typedef struct {
    char name_z[UT_TOP_REFUSAL_NAME_MAX];
    uint64_t count;
    bool spans;
} ut_top_refusal;

// Of the newest spans.
typedef struct {
    char name_z[UT_TOP_NAME_MAX + 1];
    uint64_t spans;
    uint64_t errors;
    uint64_t duration_ns; // sum
    uint64_t p99_ns;
    uint64_t new_spans; // of them, those that came since the sample before
    uint64_t new_errors;
} ut_top_service;

typedef struct {
    uint64_t at_ms; // monotonic
    uint64_t wall_ns;
    bool agent; // one is running, and what follows up to `queue` is its
    char version_z[UT_TOP_VERSION_MAX];
    char config_z[UT_TOP_PATH_MAX];  // the file of its configuration; "": none
    char listen_z[UT_ADDR_TEXT_MAX]; // of otlp_http; "": off
    uint64_t pid;
    uint64_t uptime_ms;
    uint64_t connections;
    uint64_t requests;
    uint64_t refused;  // requests
    uint64_t rejected; // spans
    size_t refusal_count;
    ut_top_refusal refusals[UT_TOP_REFUSALS_MAX]; // those of spans last
    uint64_t queue;
    ut_fault agent_fault; // why not, where it is not just that none runs
    bool store;           // it could be read, and what follows is there
    ut_fault store_fault; // why not
    ut_store_counts counts;
    uint64_t bytes_max;
    uint64_t bytes_used;
    uint64_t bytes_file;
    size_t destination_count;
    ut_top_destination destinations[UT_STORE_DESTINATIONS_MAX];
    uint64_t received_ns; // when the newest block was received; 0: there is none, or not known
    uint64_t newest_seq;
    uint64_t recent_spans; // that the services were counted from
    uint64_t new_spans;    // new ones among them
    size_t service_count;
    ut_top_service services[UT_TOP_SERVICES_MAX]; // the busiest first
} ut_top_sample;

// Where the search for the oldest block that waits for a destination stands.
typedef struct {
    uint32_t dest; // the number of the destination; 0: none
    uint64_t after;
} ut_top_pending;

typedef struct {
    const char *data_dir_z;   // resolved
    const char *reader_dir_z; // for ut_reader_open: NULL where the configuration says it
    const char *config_z;
    bool brief;                                        // services are not counted
    ut_control_client *client;                         // kept between samples; NULL: not connected
    ut_top_pending pending[UT_STORE_DESTINATIONS_MAX]; // by number mod UT_STORE_DESTINATIONS_MAX
} ut_top_source;

// Reads a sample; what cannot be read says so in it. before: the sample before, or NULL.
void ut_top_read(ut_top_source *source, const ut_top_sample *before, ut_top_sample *sample);
void ut_top_source_close(ut_top_source *source);

#endif
