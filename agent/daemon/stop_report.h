// The report of what the agent did since its start: the last line of its log.
#ifndef UT_AGENT_DAEMON_STOP_REPORT_H
#define UT_AGENT_DAEMON_STOP_REPORT_H

#include "agent/config/config_destinations.h"
#include "agent/receive/receiver_otlp_http.h"

typedef struct {
    ut_store_destination_counts before[UT_CONFIG_DESTINATIONS_MAX]; // by place in destinations
} ut_stop_report;

// Remembers where the counters of the destinations stand.
void ut_stop_report_begin(ut_stop_report *report, const ut_store *store,
                          const ut_config_destinations *destinations);

// Writes what the receiver took and what became of the spans of each destination since begin; what
// is pending is all of it. receiver: NULL when it is switched off. After the end of the threads.
void ut_stop_report_write(const ut_stop_report *report, const ut_store *store,
                          const ut_config_destinations *destinations,
                          const ut_receiver_otlp_http *receiver, const ut_log *log);

#endif
