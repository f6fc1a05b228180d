// The store thread: takes all requests and delivery marks that wait, writes them in one durable
// commit, and hands the requests back; between commits it sweeps what has expired, and runs calls
// and slices of one operation. Requests and their answers are known to the submitter alone.
#ifndef UT_AGENT_THREADS_STORE_THREAD_H
#define UT_AGENT_THREADS_STORE_THREAD_H

#include "port/port.h"
#include "storage/upkeep/operation.h"

enum {
    UT_STORE_THREAD_QUEUE_MAX = 4096,                  // requests that wait; more is UT_EAGAIN
    UT_STORE_THREAD_GROUP_MAX = 256,                   // requests of one commit
    UT_STORE_THREAD_GROUP_BYTES_MAX = 4 * 1024 * 1024, // of batches; a single request may pass it
    // Where a commit takes SLOW_COMMIT_MS or more, a group with fewer requests than there seem to
    // be senders waits up to GATHER_MS for the others. With 15 ms a commit and 16 senders this more
    // than doubles the rate and halves the answer time; a fast disk only loses by it.
    UT_STORE_THREAD_SLOW_COMMIT_MS = 4,
    UT_STORE_THREAD_GATHER_MS = 2,
    UT_STORE_THREAD_MARKS_MAX = 1024,     // marks that wait; more is UT_EAGAIN
    UT_STORE_THREAD_MARKS_EARLY = 512,    // marks that wait for requests no longer, without tries
    UT_STORE_THREAD_MARK_DELAY_MS = 3000, // the default of mark_delay_ms
    // How many times longer marks of failed tries wait: a destination that is away for days is to
    // cost no commit for each try.
    UT_STORE_THREAD_TRY_DELAYS = 200,
    // The time before the next try after a commit that failed as a whole; it doubles up to
    // BACKOFF_MAX_MS.
    UT_STORE_THREAD_BACKOFF_MS = 50,
    UT_STORE_THREAD_BACKOFF_MAX_MS = 1000,
    // Requests in a row that do not fit by themselves before the rest of their group is given up.
    UT_STORE_THREAD_SINGLES_MAX = 3,
    UT_STORE_THREAD_CALLS_MAX = 64, // calls that wait; more is UT_EAGAIN
    // The time before the next slice of an operation whose last one said UT_EAGAIN.
    UT_STORE_THREAD_OPERATION_AGAIN_MS = 50,
    UT_STORE_THREAD_OPERATION_HELD_MS = 10000, // of such slices in a row, before it fails
};

typedef struct ut_store_thread ut_store_thread;

// One request on its way through the store thread. Its submitter owns it, and does not touch it
// between ut_store_thread_submit and done.
typedef struct ut_store_job ut_store_job;
struct ut_store_job {
    ut_store_append append;          // stored and duplicates are set when result is UT_OK
    size_t bytes;                    // memory of its batch
    ut_err result;                   // UT_OK: durable; UT_EIO: may be stored; else: is not stored
    void (*done)(ut_store_job *job); // called by ut_store_thread_deliver
    uint64_t since_ms;               // the thread's own: when it was submitted
    ut_store_job *next;              // the thread's own
};

typedef struct {
    ut_store *store; // this thread's alone from start to join
    const ut_log *log;
    // A commit waits until its first request has waited for this time, so that more requests share
    // its sync. A full group, marks that do not wait, and the end of the thread end it.
    uint32_t commit_delay_ms;
    // Marks are committed with the next requests, or by themselves after this time; 0:
    // UT_STORE_THREAD_MARK_DELAY_MS. Those of failed tries wait TRY_DELAYS times as long: all that
    // a crash before takes back is how often a block was tried. MARKS_EARLY others do not wait, nor
    // do any during an operation and at the end of the thread. A crash before their commit sends
    // their blocks a second time: no more than twice MARKS_MAX, those of a commit under way and
    // those that came during it.
    uint32_t mark_delay_ms;
    ut_poller *done_poller; // woken once a group has been handed back
    // Blocks up to seq are committed. On the store thread; may be NULL.
    void (*committed)(void *context, uint64_t seq);
    // There is room for marks again after UT_EAGAIN. On the store thread; may be NULL.
    void (*marks_taken)(void *context);
    void *context;
} ut_store_thread_config;

// UT_ENOMEM, UT_EIO.
ut_err ut_store_thread_start(const ut_store_thread_config *config, ut_store_thread **thread);

// Hands a request over. UT_EAGAIN: the queue is full; the job stays the caller's. Any thread.
ut_err ut_store_thread_submit(ut_store_thread *thread, ut_store_job *job);

// Calls done of every request that has been handed back. One thread: the one of done_poller.
void ut_store_thread_deliver(ut_store_thread *thread);

// Takes one mark; all of it is copied. UT_EAGAIN: too many wait, offer it again. Any thread. Its
// form is that of ut_dispatcher_config.mark, with the thread as context.
ut_err ut_store_thread_mark(void *thread, const ut_delivery *mark);

// How many requests wait. Any thread.
size_t ut_store_thread_waiting(ut_store_thread *thread);

// ---- calls: anything else that only this thread may do with the store ----

// Its maker owns a call, and does not touch it between ut_store_thread_call and done.
typedef struct ut_store_call ut_store_call;
struct ut_store_call {
    void (*run)(ut_store_call *call, ut_store *store); // on the store thread, at once; short
    void (*done)(ut_store_call *call);                 // called by ut_store_thread_deliver
    ut_store_call *next;                               // the thread's own
};

// UT_EAGAIN: too many wait, or the thread is about to end; the call stays the caller's. A call that
// was taken is always run and handed back; requests that wait are committed between two calls. Any
// thread.
ut_err ut_store_thread_call(ut_store_thread *thread, ut_store_call *call);

// ---- one operation at a time, in slices between commits ----

typedef enum {
    UT_STORE_OPERATION_NONE, // none since the start
    UT_STORE_OPERATION_RUNNING,
    UT_STORE_OPERATION_DONE,
    UT_STORE_OPERATION_FAILED,
    UT_STORE_OPERATION_CANCELED, // by ut_store_thread_cancel, or by the end of the thread
} ut_store_operation_state;

// Of the operation under way, else of the last one.
typedef struct {
    ut_store_operation_state state;
    uint64_t number;    // of the operation: 1, 2, ... since the start
    const char *name_z; // static
    ut_operation_progress progress;
    ut_fault fault; // when it failed
} ut_store_operation_status;

// Takes over an operation and begins it. A commit waits for one slice at most; while requests come,
// slices take no more time than the commits between them. number: out. UT_EBUSY: one is under way;
// UT_ECANCELED: the thread is about to end. The operation then stays the caller's. Any thread.
ut_err ut_store_thread_begin(ut_store_thread *thread, ut_operation *operation, uint64_t *number);
void ut_store_thread_operation(ut_store_thread *thread, ut_store_operation_status *status);
// Ends the operation of this number (0: of any number) before its next slice; what its slices did
// stays done. False: it is not under way.
bool ut_store_thread_cancel(ut_store_thread *thread, uint64_t number);

// Commits what waits, cancels the operation, ends the thread and waits for it. Requests that could
// not be committed are handed back with their error; call ut_store_thread_deliver once more.
void ut_store_thread_join(ut_store_thread *thread);
void ut_store_thread_free(ut_store_thread *thread); // after join; NULL is ignored

#endif
