// Wiring and life of the agent: lock, store, threads, signals, stop.
#include "agent/daemon/daemon.h"

#include "agent/control/control.h"
#include "agent/process/data_dir.h"
#include "agent/process/descriptors.h"
#include "agent/process/exit_code.h"
#include "agent/process/ready_note.h"
#include "agent/process/signals.h"
#include "agent/process/stderr_log.h"
#include "agent/threads/dispatch_thread.h"
#include "agent/receive/receiver_otlp_http.h"
#include "agent/threads/store_thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum {
    STACK_BYTES = 512 * 1024,
    EVENTS_MAX = 128,
    DESCRIPTORS_BESIDE = 128, // beside those of the receiver's connections
};

typedef enum { RUNNING, STOPPING, CUT } wish;

typedef struct {
    ut_config *config;
    ut_log log;
    int lock_fd;
    ut_store *store;
    ut_store_thread *store_thread;
    ut_dispatch_thread *dispatch; // NULL without destinations
    bool dispatching;
    ut_poller *poller;               // of the network thread
    ut_receiver_otlp_http *receiver; // NULL when it is switched off
    ut_control *control;             // NULL where there can be none
    ut_signals signals;
    pthread_t network;
    bool networking;
    atomic_int network_wish;
    atomic_bool network_ended;
    ut_store_destination_counts before[UT_CONFIG_DESTINATIONS_MAX]; // by place in the configuration
} agent;

// ---- store

static int open_store(agent *d, ut_fault *fault)
{
    ut_config *config = d->config;
    const int code = ut_data_dir_open_store(config, &d->log, &d->store, fault);
    if (code != EX_OK)
        return code;
    for (size_t i = 0; i < config->destinations.count; i++) {
        ut_destination_config *destination = &config->destinations.items[i];
        destination->org = UT_ORG_DEFAULT;
        const ut_err err = ut_store_add_destination(d->store, UT_ORG_DEFAULT, destination->name_z,
                                                    &destination->dest);
        if (err != UT_OK) {
            (void)ut_fault_set(fault, err, "%s: cannot enter destination %s: %s",
                               config->data_dir_z, destination->name_z, ut_err_text(err));
            return ut_exit_code(err);
        }
    }
    return EX_OK;
}

// Remembers where the counters stand, and names destinations that are waited for in vain.
static void look_at_destinations(agent *d)
{
    ut_store_destination all[UT_STORE_DESTINATIONS_MAX];
    const size_t count = ut_store_get_destinations(d->store, all, UT_STORE_DESTINATIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < d->config->destinations.count; k++) {
            if (d->config->destinations.items[k].dest == all[i].dest)
                d->before[k] = all[i].counts;
        }
        if (!all[i].active && ut_store_pending(&all[i].counts) > 0)
            ut_log_write(&d->log, UT_LOG_WARN, "agent",
                         "destination %s is not configured any more; %llu spans wait for it until "
                         "they expire",
                         all[i].name_z, (unsigned long long)ut_store_pending(&all[i].counts));
    }
}

// ---- network thread

// Those that are there.
static void step_servers(const agent *d, uint64_t now_ms, uint64_t *next_ms)
{
    uint64_t receiver_ms = UINT64_MAX;
    uint64_t control_ms = UINT64_MAX;
    if (d->receiver != NULL)
        ut_receiver_otlp_http_step(d->receiver, now_ms, &receiver_ms);
    if (d->control != NULL)
        ut_http_server_step(ut_control_server(d->control), now_ms, &control_ms);
    *next_ms = receiver_ms < control_ms ? receiver_ms : control_ms;
}

static void stop_servers(const agent *d, uint64_t now_ms)
{
    if (d->receiver != NULL)
        ut_http_server_stop(ut_receiver_otlp_http_server(d->receiver), now_ms);
    if (d->control != NULL)
        ut_http_server_stop(ut_control_server(d->control), now_ms);
}

static bool servers_idle(const agent *d)
{
    return (d->receiver == NULL ||
            ut_http_server_idle(ut_receiver_otlp_http_server(d->receiver))) &&
           (d->control == NULL || ut_http_server_idle(ut_control_server(d->control)));
}

static void *network_run(void *context)
{
    agent *d = context;
    ut_poll_event events[EVENTS_MAX];
    bool stopping = false;
    for (;;) {
        const uint64_t now_ms = ut_clock_mono_ms();
        const int want = atomic_load(&d->network_wish);
        if (want != RUNNING && !stopping) {
            stopping = true;
            stop_servers(d, now_ms);
        }
        uint64_t next_ms = UINT64_MAX;
        step_servers(d, now_ms, &next_ms);
        if (want == CUT || (stopping && servers_idle(d)))
            break;
        const uint64_t wait_ms = next_ms == UINT64_MAX ? UT_POLL_FOREVER
                                 : next_ms > now_ms    ? next_ms - now_ms
                                                       : 0;
        size_t count = 0;
        const ut_err err = ut_poller_wait(d->poller, wait_ms, events, EVENTS_MAX, &count);
        if (err != UT_OK) {
            ut_log_write(&d->log, UT_LOG_ERROR, "agent", "cannot wait for connections: %s",
                         ut_err_text(err));
            break;
        }
        const uint64_t after_ms = ut_clock_mono_ms();
        for (size_t i = 0; i < count; i++)
            ut_http_server_event(&events[i], after_ms);
        ut_store_thread_deliver(d->store_thread);
    }
    atomic_store(&d->network_ended, true);
    ut_signals_wake(&d->signals);
    return NULL;
}

static int start_network(agent *d, ut_fault *fault)
{
    pthread_attr_t attr;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    const int failure = pthread_create(&d->network, &attr, network_run, d);
    (void)pthread_attr_destroy(&attr);
    d->networking = failure == 0;
    if (failure == 0)
        return EX_OK;
    (void)ut_fault_set(fault, UT_ELIMIT, "cannot start a thread: %s", strerror(failure));
    return EX_OSERR;
}

// ---- threads that meet

static void committed(void *context, uint64_t seq)
{
    const agent *d = context;
    if (d->dispatch != NULL)
        ut_dispatch_thread_advance(d->dispatch, seq);
}

static void marks_taken(void *context)
{
    const agent *d = context;
    if (d->dispatch != NULL)
        ut_dispatch_thread_wake(d->dispatch);
}

static void dispatch_ended(void *context)
{
    const agent *d = context;
    ut_signals_wake(&d->signals);
}

static ut_err mark(void *context, const ut_delivery *delivery)
{
    const agent *d = context;
    return ut_store_thread_mark(d->store_thread, delivery);
}

// ---- start

static void warn(const agent *d)
{
    const ut_config *config = d->config;
    const ut_receiver_config *receiver = &config->receivers.otlp_http;
    if (receiver->enabled && !receiver->tls && !ut_addr_is_loopback(&receiver->listen)) {
        char listen_z[UT_ADDR_TEXT_MAX];
        ut_addr_text(&receiver->listen, listen_z);
        ut_log_write(&d->log, UT_LOG_WARN, "agent",
                     "otlp_http listens on %s without TLS: anyone on that network can send spans, "
                     "and read them on their way",
                     listen_z);
    }
    for (size_t i = 0; i < config->destinations.count; i++) {
        if (config->destinations.items[i].insecure)
            ut_log_write(
                &d->log, UT_LOG_WARN, "agent",
                "destination %s is insecure: its certificate is not verified, so anyone on "
                "the way can read and change what is sent",
                config->destinations.items[i].name_z);
    }
}

static void raise_descriptors(const agent *d)
{
    const uint32_t connections = d->config->receivers.otlp_http.connections_max;
    const uint64_t need =
        (uint64_t)connections + UT_HTTP_SERVER_TURNED_AWAY_MAX + DESCRIPTORS_BESIDE;
    uint64_t most = 0;
    if (!ut_descriptors_raise(need, &most))
        ut_log_write(
            &d->log, UT_LOG_WARN, "agent",
            "at most %llu files may be open, but %u connections need %llu; raise the limit "
            "(ulimit -n) or lower connections_max",
            (unsigned long long)most, connections, (unsigned long long)need);
}

// A file system without sockets, say, is no reason not to take spans.
static void open_control(agent *d)
{
    ut_fault fault = {UT_OK, ""};
    const ut_control_config config = {
        .poller = d->poller,
        .store = d->store_thread,
        .dispatch = d->dispatch,
        .receiver = d->receiver != NULL ? ut_receiver_otlp_http_server(d->receiver) : NULL,
        .data_dir_z = d->config->data_dir_z,
        .log = &d->log,
    };
    if (ut_control_open(&config, &d->control, &fault) != UT_OK)
        ut_log_write(&d->log, UT_LOG_WARN, "agent",
                     "commands cannot reach this agent while it runs: %s", fault.text_z);
}

static int start(agent *d, ut_fault *fault)
{
    ut_config *config = d->config;
    if (config->data_dir_z == NULL) {
        (void)ut_fault_set(fault, UT_EINVAL, "no data directory is known here: set data_dir");
        return EX_CONFIG;
    }
    int code = ut_data_dir_make(config->data_dir_z, fault);
    if (code == EX_OK)
        code = ut_data_dir_lock(config->data_dir_z, &d->log, &d->lock_fd, fault);
    if (code == EX_OK)
        code = open_store(d, fault);
    if (code != EX_OK)
        return code;
    look_at_destinations(d);
    raise_descriptors(d);

    ut_err err = ut_poller_open(&d->poller);
    if (err != UT_OK) {
        (void)ut_fault_set(fault, err, "cannot start: %s", ut_err_text(err));
        return EX_OSERR;
    }
    if (config->destinations.count > 0) {
        const ut_dispatch_thread_config dispatch = {
            .engine = ut_store_engine(d->store),
            .destinations = config->destinations.items,
            .destination_count = config->destinations.count,
            .log = &d->log,
            .mark = mark,
            .mark_context = d,
            .ended = dispatch_ended,
            .ended_context = d,
        };
        err = ut_dispatch_thread_new(&dispatch, &d->dispatch, fault);
        if (err != UT_OK)
            return err == UT_ENOMEM || err == UT_EIO ? EX_OSERR : EX_CONFIG;
        // What an earlier run left behind is waited for, too.
        ut_dispatch_thread_advance(d->dispatch, ut_store_last_seq(d->store));
    }
    const ut_store_thread_config store_thread = {
        .store = d->store,
        .log = &d->log,
        .done_poller = d->poller,
        .committed = committed,
        .marks_taken = marks_taken,
        .context = d,
    };
    err = ut_store_thread_start(&store_thread, &d->store_thread);
    if (err != UT_OK) {
        (void)ut_fault_set(fault, err, "cannot start the store thread: %s", ut_err_text(err));
        return EX_OSERR;
    }
    if (config->receivers.otlp_http.enabled) {
        const ut_receiver_otlp_http_config receiver = {
            .poller = d->poller,
            .store = d->store_thread,
            .receiver = &config->receivers.otlp_http,
            .log = &d->log,
            .org = UT_ORG_DEFAULT,
        };
        err = ut_receiver_otlp_http_open(&receiver, &d->receiver, fault);
        if (err == UT_EIO)
            return EX_UNAVAILABLE; // no such address on this machine
        if (err == UT_ETLS)
            return EX_CONFIG;
        if (err != UT_OK)
            return ut_exit_code(err);
    }
    open_control(d);
    if (d->receiver != NULL || d->control != NULL) {
        code = start_network(d, fault);
        if (code != EX_OK)
            return code;
    }
    if (d->dispatch != NULL) {
        err = ut_dispatch_thread_start(d->dispatch);
        if (err != UT_OK) {
            (void)ut_fault_set(fault, err, "cannot start the dispatch thread");
            return EX_OSERR;
        }
        d->dispatching = true;
    }
    return EX_OK;
}

// ---- stop

static void say_ready(const agent *d)
{
    char line[UT_ADDR_TEXT_MAX + 64];
    char listen_z[UT_ADDR_TEXT_MAX] = "off";
    ut_addr addr;
    if (d->receiver != NULL &&
        ut_http_server_addr(ut_receiver_otlp_http_server(d->receiver), &addr) == UT_OK)
        ut_addr_text(&addr, listen_z);
    // Written at every log level: programs wait for it.
    (void)snprintf(line, sizeof line, "agent: ready otlp_http=%s", listen_z);
    ut_stderr_log_always(line);
    ut_ready_note("READY=1");
}

static void say_counts(const agent *d)
{
    char line[UT_LOG_LINE_MAX];
    ut_receiver_otlp_http_stats stats = {0};
    if (d->receiver != NULL)
        ut_receiver_otlp_http_get_stats(d->receiver, &stats);
    size_t used =
        (size_t)snprintf(line, sizeof line, "stopped: accepted=%llu duplicates=%llu rejected=%llu",
                         (unsigned long long)stats.accepted, (unsigned long long)stats.duplicates,
                         (unsigned long long)stats.rejected);
    ut_store_destination all[UT_STORE_DESTINATIONS_MAX];
    const size_t count = ut_store_get_destinations(d->store, all, UT_STORE_DESTINATIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < d->config->destinations.count; k++) {
            if (d->config->destinations.items[k].dest != all[i].dest || used >= sizeof line)
                continue;
            const ut_store_destination_counts *now = &all[i].counts;
            const ut_store_destination_counts *before = &d->before[k];
            const int more =
                snprintf(line + used, sizeof line - used,
                         "; %s: delivered=%llu pending=%llu dead=%llu expired=%llu evicted=%llu",
                         all[i].name_z, (unsigned long long)(now->delivered - before->delivered),
                         (unsigned long long)ut_store_pending(now),
                         (unsigned long long)(now->dead - before->dead),
                         (unsigned long long)(now->expired - before->expired),
                         (unsigned long long)(now->evicted - before->evicted));
            used += more > 0 ? (size_t)more : 0;
        }
    }
    ut_log_write(&d->log, UT_LOG_INFO, "agent", "%s", line);
}

// Waits for SIGTERM or SIGINT at most until deadline_ms (UINT64_MAX: no end) or until the threads
// have ended. Returns the signal, or 0.
static int wait_for_stop(const agent *d, uint64_t deadline_ms)
{
    for (;;) {
        const bool network_ended = !d->networking || atomic_load(&d->network_ended);
        const bool dispatch_ended_too = !d->dispatching || ut_dispatch_thread_ended(d->dispatch);
        const bool all_ended = network_ended && dispatch_ended_too;
        const bool one_ended =
            (d->networking && network_ended) || (d->dispatching && dispatch_ended_too);
        const uint64_t now_ms = ut_clock_mono_ms();
        // While nobody has asked them to end, a thread that has ended is one that failed.
        if (deadline_ms == UINT64_MAX ? one_ended : (all_ended || now_ms >= deadline_ms))
            return 0;
        const int got = ut_signals_wait(&d->signals, deadline_ms);
        if (got == SIGTERM || got == SIGINT)
            return got;
        if (got == SIGHUP)
            ut_log_write(&d->log, UT_LOG_WARN, "agent",
                         "SIGHUP: reading the configuration again is not supported; restart the "
                         "agent");
    }
}

// Ends the threads in the order in which they need each other, and closes the store. Also after a
// start that failed halfway.
static void end(agent *d)
{
    if (d->networking) {
        atomic_store(&d->network_wish, CUT);
        ut_poller_wake(d->poller);
        (void)pthread_join(d->network, NULL);
        d->networking = false;
    }
    const bool looked_up =
        d->dispatch == NULL || !d->dispatching || ut_dispatch_thread_ended(d->dispatch);
    if (d->dispatch != NULL)
        ut_dispatch_thread_join(d->dispatch);
    if (d->store_thread != NULL) {
        ut_store_thread_join(d->store_thread); // commits what waits, requests and marks
        ut_store_thread_deliver(d->store_thread);
    }
    uint64_t next_ms = 0;
    step_servers(d, ut_clock_mono_ms(), &next_ms); // the last answers
    if (d->store != NULL && d->store_thread != NULL)
        say_counts(d);
    ut_control_close(d->control);
    ut_receiver_otlp_http_close(d->receiver);
    ut_store_thread_free(d->store_thread);
    ut_poller_close(d->poller);
    if (d->store != NULL)
        ut_store_close(d->store);
    if (d->lock_fd >= 0)
        (void)close(d->lock_fd);
    // A name look-up that is still under way would hold us for its own time-out; the end of the
    // process ends it.
    if (looked_up)
        ut_dispatch_thread_free(d->dispatch);
}

int ut_daemon_run(ut_config *config, ut_fault *fault)
{
    agent d = {.config = config, .lock_fd = -1, .log = ut_stderr_log(config->log_level)};
    atomic_init(&d.network_wish, RUNNING);
    atomic_init(&d.network_ended, false);

    ut_signals_block(&d.signals);
    int code = start(&d, fault);
    if (code == EX_OK) {
        warn(&d);
        say_ready(&d);
        if (wait_for_stop(&d, UINT64_MAX) == 0) {
            (void)ut_fault_set(fault, UT_EIO, "a thread of the agent has failed; the log says why");
            code = EX_SOFTWARE;
        }
        ut_ready_note("STOPPING=1");
        ut_log_write(&d.log, UT_LOG_INFO, "agent", "stopping; a second signal stops at once");
        const uint64_t deadline_ms = ut_clock_mono_ms() + config->stop_timeout_ms;
        atomic_store(&d.network_wish, STOPPING);
        ut_poller_wake(d.poller);
        if (d.dispatching)
            ut_dispatch_thread_drain(d.dispatch);
        const int again = wait_for_stop(&d, deadline_ms);
        if (again != 0)
            _exit(128 + again); // what was acknowledged is on the disk
        // From here on the second signal does the same by itself.
        ut_signals_unblock_stops(&d.signals);
    }
    end(&d);
    return code;
}
