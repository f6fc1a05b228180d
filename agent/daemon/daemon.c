// Wiring and life of the agent: the steps of its start, their order, and how it ends again.
#include "agent/daemon/daemon.h"

#include "agent/daemon/network_thread.h"
#include "agent/daemon/stop_report.h"
#include "agent/process/data_dir.h"
#include "agent/process/exit_code.h"
#include "agent/process/ready_note.h"
#include "agent/process/signals.h"
#include "agent/process/start_warnings.h"
#include "agent/process/stderr_log.h"
#include "agent/threads/dispatch_thread.h"
#include "agent/threads/store_thread.h"
#include "port/base/text.h"

#include <stdio.h>
#include <unistd.h>

typedef struct {
    ut_config *config;
    ut_log log;
    ut_signals signals;
    int lock_fd; // -1: not locked
    ut_store *store;
    ut_store_thread *store_thread;
    ut_dispatch_thread *dispatch; // NULL without destinations
    bool dispatching;             // its thread was started
    ut_poller *poller;            // of the network thread
    ut_servers servers;
    ut_network_thread *network; // NULL without servers
    ut_stop_report report;
    bool ready; // it has been: its end is reported
} ut_agent;

// ---- threads that meet ----

// Called on the store thread: blocks up to seq are committed.
static void committed(void *context, uint64_t seq)
{
    const ut_agent *const agent = context;
    if (agent->dispatch != NULL)
        ut_dispatch_thread_advance(agent->dispatch, seq);
}

// Called on the store thread: there is room for marks again.
static void marks_taken(void *context)
{
    const ut_agent *const agent = context;
    if (agent->dispatch != NULL)
        ut_dispatch_thread_wake(agent->dispatch);
}

// Called on the dispatch thread with what became of a block.
static ut_err mark(void *context, const ut_delivery *delivery)
{
    const ut_agent *const agent = context;
    return ut_store_thread_mark(agent->store_thread, delivery);
}

// Called on a thread as its last act.
static void thread_ended(void *context)
{
    const ut_agent *const agent = context;
    ut_signals_wake(&agent->signals);
}

// ---- what a start says ----

// Says what is about to run, before anything can fail.
static void say_start(const ut_agent *agent)
{
    const ut_config *const config = agent->config;
    char names_z[UT_LOG_LINE_MAX] = "";
    char size_z[UT_TEXT_SHORT_MAX];
    size_t used = 0;
    for (size_t i = 0; i < config->destinations.count && used < sizeof(names_z); i++)
        used += (size_t)snprintf(names_z + used, sizeof(names_z) - used, "%s%s", i == 0 ? "" : ", ",
                                 config->destinations.items[i].name_z);
    ut_text_size(config->storage.bytes_max, size_z);
    ut_log_write(&agent->log, UT_LOG_INFO, "agent",
                 "untrace " UT_VERSION " starts: configuration %s, data directory %s, at most %s, "
                 "destinations: %s",
                 config->path_z != NULL ? config->path_z : "built in",
                 config->data_dir_z != NULL ? config->data_dir_z : "not known", size_z,
                 used > 0 ? names_z : "none");
}

// ---- start ----
// Each function starts one thing and returns an exit code; when that is not 0, fault is set. What
// was started is ended by `end`, also after a start that failed halfway.

static int refuse(ut_fault *fault, int code, ut_err err, const char *what_z)
{
    (void)ut_fault_set(fault, err, "%s: %s", what_z, ut_err_text(err));
    return code;
}

static int start_data_dir(ut_agent *agent, ut_fault *fault)
{
    const char *const dir_z = agent->config->data_dir_z;
    if (dir_z == NULL) {
        (void)ut_fault_set(fault, UT_EINVAL, "no data directory is known here: set data_dir");
        return EX_CONFIG;
    }
    const int code = ut_data_dir_make(dir_z, fault);
    return code != EX_OK ? code : ut_data_dir_lock(dir_z, &agent->log, &agent->lock_fd, fault);
}

static int start_store(ut_agent *agent, ut_fault *fault)
{
    ut_config *const config = agent->config;
    const int code = ut_data_dir_open_store(config, &agent->log, &agent->store, fault);
    if (code != EX_OK)
        return code;
    // New names take the places of names that are not configured: the known ones come first.
    for (size_t i = 0; i < config->destinations.count; i++) {
        ut_destination_config *const destination = &config->destinations.items[i];
        destination->org = UT_ORG_DEFAULT;
        (void)ut_store_activate_destination(agent->store, UT_ORG_DEFAULT, destination->name_z,
                                            &destination->dest); // false: it is new
    }
    for (size_t i = 0; i < config->destinations.count; i++) {
        ut_destination_config *const destination = &config->destinations.items[i];
        const ut_err err = ut_store_add_destination(agent->store, UT_ORG_DEFAULT,
                                                    destination->name_z, &destination->dest);
        if (err != UT_OK) {
            (void)ut_fault_set(fault, err, "%s: cannot enter destination %s: %s",
                               config->data_dir_z, destination->name_z,
                               err == UT_ELIMIT ? "spans still wait for 64 others, which are not "
                                                  "all configured: add one of those again, or let "
                                                  "its spans leave with `untrace store cleanup`"
                                                : ut_err_text(err));
            return ut_exit_code(err);
        }
    }
    ut_stop_report_begin(&agent->report, agent->store, &config->destinations);
    ut_warn_of_waiting(config, agent->store, &agent->log);
    return EX_OK;
}

static int start_poller(ut_agent *agent, ut_fault *fault)
{
    ut_raise_descriptors(agent->config, &agent->log);
    const ut_err err = ut_poller_open(&agent->poller);
    return err == UT_OK ? EX_OK : refuse(fault, EX_OSERR, err, "cannot start");
}

// Makes the dispatcher without its thread: the store thread tells it of each commit from the first
// on.
static int start_dispatcher(ut_agent *agent, ut_fault *fault)
{
    const ut_config_destinations *const destinations = &agent->config->destinations;
    if (destinations->count == 0)
        return EX_OK;
    const ut_dispatch_thread_config config = {
        .engine = ut_store_engine(agent->store),
        .destinations = destinations->items,
        .destination_count = destinations->count,
        .log = &agent->log,
        .mark = mark,
        .mark_context = agent,
        .ended = thread_ended,
        .ended_context = agent,
    };
    const ut_err err = ut_dispatch_thread_new(&config, &agent->dispatch, fault);
    if (err != UT_OK)
        return err == UT_ENOMEM || err == UT_EIO ? EX_OSERR : EX_CONFIG;
    // Blocks that an earlier run left behind are delivered, too.
    ut_dispatch_thread_advance(agent->dispatch, ut_store_last_seq(agent->store));
    return EX_OK;
}

static int start_store_thread(ut_agent *agent, ut_fault *fault)
{
    const ut_store_thread_config config = {
        .store = agent->store,
        .log = &agent->log,
        .commit_delay_ms = agent->config->storage.commit_delay_ms,
        .done_poller = agent->poller,
        .committed = committed,
        .marks_taken = marks_taken,
        .context = agent,
    };
    const ut_err err = ut_store_thread_start(&config, &agent->store_thread);
    return err == UT_OK ? EX_OK : refuse(fault, EX_OSERR, err, "cannot start the store thread");
}

static int start_receivers(ut_agent *agent, ut_fault *fault)
{
    const ut_receiver_config *const otlp_http = &agent->config->receivers.otlp_http;
    if (!otlp_http->enabled)
        return EX_OK;
    const ut_receiver_otlp_http_config config = {
        .poller = agent->poller,
        .store = agent->store_thread,
        .receiver = otlp_http,
        .log = &agent->log,
        .org = UT_ORG_DEFAULT,
    };
    const ut_err err = ut_receiver_otlp_http_open(&config, &agent->servers.otlp_http, fault);
    if (err == UT_EIO)
        return EX_UNAVAILABLE; // no such address on this machine
    return err == UT_ETLS ? EX_CONFIG : ut_exit_code(err);
}

// Never fails: a file system without sockets, say, is no reason not to take spans.
static int start_control(ut_agent *agent, ut_fault *fault)
{
    (void)fault;
    ut_fault why = {UT_OK, ""};
    const ut_receiver_otlp_http *const otlp_http = agent->servers.otlp_http;
    const ut_control_config config = {
        .poller = agent->poller,
        .store = agent->store_thread,
        .dispatch = agent->dispatch,
        .receiver =
            otlp_http != NULL ? ut_receiver_otlp_http_server(agent->servers.otlp_http) : NULL,
        .refusals = otlp_http != NULL ? ut_receiver_otlp_http_refusals(otlp_http) : NULL,
        .data_dir_z = agent->config->data_dir_z,
        .config_z = agent->config->path_z,
        .log = &agent->log,
    };
    if (ut_control_open(&config, &agent->servers.control, &why) != UT_OK)
        ut_log_write(&agent->log, UT_LOG_WARN, "agent",
                     "commands cannot reach this agent while it runs: %s", why.text_z);
    return EX_OK;
}

static int start_network(ut_agent *agent, ut_fault *fault)
{
    if (!ut_servers_any(&agent->servers))
        return EX_OK;
    const ut_network_thread_config config = {
        .poller = agent->poller,
        .servers = agent->servers,
        .store = agent->store_thread,
        .log = &agent->log,
        .ended = thread_ended,
        .ended_context = agent,
    };
    return ut_network_thread_start(&config, &agent->network, fault) == UT_OK ? EX_OK : EX_OSERR;
}

static int start_dispatch(ut_agent *agent, ut_fault *fault)
{
    if (agent->dispatch == NULL)
        return EX_OK;
    const ut_err err = ut_dispatch_thread_start(agent->dispatch);
    agent->dispatching = err == UT_OK;
    return err == UT_OK ? EX_OK : refuse(fault, EX_OSERR, err, "cannot start the dispatch thread");
}

static int start(ut_agent *agent, ut_fault *fault)
{
    // Each needs the ones before it.
    static int (*const steps[])(ut_agent *, ut_fault *) = {
        start_data_dir,  start_store,   start_poller,  start_dispatcher, start_store_thread,
        start_receivers, start_control, start_network, start_dispatch,
    };
    int code = EX_OK;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && code == EX_OK; i++)
        code = steps[i](agent, fault);
    return code;
}

static void say_ready(const ut_agent *agent)
{
    char line_z[UT_ADDR_TEXT_MAX + 64];
    char listen_z[UT_ADDR_TEXT_MAX] = "off";
    ut_addr addr;
    if (agent->servers.otlp_http != NULL &&
        ut_http_server_addr(ut_receiver_otlp_http_server(agent->servers.otlp_http), &addr) == UT_OK)
        ut_addr_text(&addr, listen_z);
    (void)snprintf(line_z, sizeof(line_z), "agent: ready otlp_http=%s", listen_z);
    ut_stderr_log_always(&agent->log, line_z);
    ut_ready_note("READY=1");
}

// ---- stop ----

// Waits for SIGTERM or SIGINT at most until deadline_ms (UINT64_MAX: no end) or until the threads
// have ended. Returns the signal, or 0.
static int wait_for_stop(const ut_agent *agent, uint64_t deadline_ms)
{
    for (;;) {
        const bool network_ended =
            agent->network == NULL || ut_network_thread_ended(agent->network);
        const bool dispatch_ended =
            !agent->dispatching || ut_dispatch_thread_ended(agent->dispatch);
        const bool all_ended = network_ended && dispatch_ended;
        const bool one_ended =
            (agent->network != NULL && network_ended) || (agent->dispatching && dispatch_ended);
        // While nobody has asked them to end, a thread that has ended is one that failed.
        if (deadline_ms == UINT64_MAX ? one_ended
                                      : (all_ended || ut_clock_mono_ms() >= deadline_ms))
            return 0;
        const int got = ut_signals_wait(&agent->signals, deadline_ms);
        if (got == SIGTERM || got == SIGINT)
            return got;
        if (got == SIGHUP)
            ut_log_write(&agent->log, UT_LOG_WARN, "agent",
                         "SIGHUP: reading the configuration again is not supported; restart the "
                         "agent");
    }
}

// Lets what has begun end, until the deadline or a second signal, which ends the process.
static void drain(ut_agent *agent)
{
    const uint64_t deadline_ms = ut_clock_mono_ms() + agent->config->stop_timeout_ms;
    if (agent->network != NULL)
        ut_network_thread_drain(agent->network);
    if (agent->dispatching)
        ut_dispatch_thread_drain(agent->dispatch);
    const int again = wait_for_stop(agent, deadline_ms);
    if (again != 0)
        _exit(128 + again); // acknowledged spans are on the disk
    // From here on the second signal does the same by itself.
    ut_signals_unblock_stops(&agent->signals);
}

// Ends the threads in the order in which they need each other, and closes the store. Also after a
// start that failed halfway.
static void end(ut_agent *agent)
{
    ut_network_thread_join(agent->network);
    const bool looked_up =
        agent->dispatch == NULL || !agent->dispatching || ut_dispatch_thread_ended(agent->dispatch);
    if (agent->dispatch != NULL)
        ut_dispatch_thread_join(agent->dispatch);
    if (agent->store_thread != NULL) {
        ut_store_thread_join(agent->store_thread); // commits what waits, requests and marks
        ut_store_thread_deliver(agent->store_thread);
    }
    uint64_t next_ms = 0;
    ut_servers_step(&agent->servers, ut_clock_mono_ms(), &next_ms); // the last answers
    if (agent->ready)
        ut_stop_report_write(&agent->report, agent->store, &agent->config->destinations,
                             agent->servers.otlp_http, &agent->log);
    ut_servers_close(&agent->servers);
    ut_store_thread_free(agent->store_thread);
    ut_poller_close(agent->poller);
    if (agent->store != NULL)
        ut_store_close(agent->store);
    if (agent->lock_fd >= 0)
        (void)close(agent->lock_fd);
    // A name look-up that is still under way would hold us for its own time-out; the end of the
    // process ends it.
    if (looked_up)
        ut_dispatch_thread_free(agent->dispatch);
}

// ---- the whole ----

int ut_daemon_run(ut_config *config, ut_fault *fault)
{
    ut_agent agent = {.config = config,
                      .lock_fd = -1,
                      .log = ut_stderr_log(config->log_level, config->log_format)};
    ut_signals_block(&agent.signals);
    say_start(&agent);
    int code = start(&agent, fault);
    if (code == EX_OK) {
        ut_warn_of_config(config, &agent.log);
        say_ready(&agent);
        agent.ready = true;
        if (wait_for_stop(&agent, UINT64_MAX) == 0) {
            (void)ut_fault_set(fault, UT_EIO, "a thread of the agent has failed; the log says why");
            code = EX_SOFTWARE;
        }
        ut_ready_note("STOPPING=1");
        ut_log_write(&agent.log, UT_LOG_INFO, "agent", "stopping; a second signal stops at once");
        drain(&agent);
    }
    end(&agent);
    return code;
}
