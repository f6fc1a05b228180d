// The dispatch thread: a loop around the dispatcher. The dispatcher decides what is sent where, and
// when again.
#ifndef UT_AGENT_THREADS_DISPATCH_THREAD_H
#define UT_AGENT_THREADS_DISPATCH_THREAD_H

#include "transport/deliver/dispatcher.h"

typedef struct ut_dispatch_thread ut_dispatch_thread;

typedef struct {
    ut_engine *engine;
    const ut_destination_config *destinations; // borrowed until free
    size_t destination_count;                  // >= 1
    const ut_log *log;
    ut_err (*mark)(void *context, const ut_delivery *delivery); // as in ut_dispatcher_config
    void *mark_context;
    // Called once on the dispatch thread as its last act. May be NULL.
    void (*ended)(void *context);
    void *ended_context;
} ut_dispatch_thread_config;

// Makes the dispatcher with its destinations; nothing is sent before start. Those that trust the
// system's certificates are added by the thread, because that takes long. Faults name the
// destination. UT_ETLS, UT_EINVAL, UT_ENOMEM, UT_EIO.
ut_err ut_dispatch_thread_new(const ut_dispatch_thread_config *config, ut_dispatch_thread **thread,
                              ut_fault *fault);
ut_err ut_dispatch_thread_start(ut_dispatch_thread *thread);

// Blocks up to seq are committed; less than an earlier call said changes nothing. Any thread.
void ut_dispatch_thread_advance(ut_dispatch_thread *thread, uint64_t seq);

// Lets the dispatcher look again at what it could not do: marks are taken again. Any thread.
void ut_dispatch_thread_wake(ut_dispatch_thread *thread);

// How each destination does, as of the dispatcher's last step; names are those of the
// configuration. Returns how many were written. Any thread.
size_t ut_dispatch_thread_get_status(ut_dispatch_thread *thread, ut_dispatcher_status *out,
                                     size_t cap);

// Begins no more batches; the thread ends when those in flight have ended and their marks are
// handed over. Any thread.
void ut_dispatch_thread_drain(ut_dispatch_thread *thread);
bool ut_dispatch_thread_ended(const ut_dispatch_thread *thread); // any thread

// Ends the thread, waits for it and closes all connections; what was in flight stays pending.
// Leaves the engine alone from here on.
void ut_dispatch_thread_join(ut_dispatch_thread *thread);
// After join, or without start; NULL is ignored. Waits for a name look-up that is still under way.
void ut_dispatch_thread_free(ut_dispatch_thread *thread);

#endif
