// The thread that owns the store: queue, group commit, marks, sweeps.
#include "agent/threads/store_thread.h"

#include "agent/threads/mark_list.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { STACK_BYTES = 512 * 1024 };
static const uint64_t NS_PER_S = 1000000000;
static const uint64_t NS_PER_MS = 1000000;

struct ut_store_thread {
    ut_store_thread_config config;
    pthread_t handle;
    pthread_mutex_t lock;
    pthread_cond_t work;

    // Under the lock.
    ut_store_job *queue_first;
    ut_store_job *queue_last;
    size_t queue_count;
    ut_store_job *done_first;
    ut_store_job *done_last;
    ut_mark_list marks_in;
    uint64_t marks_since_ms;
    bool marks_refused;
    bool asleep;
    bool stopping;
    size_t wake_count; // of requests in the queue, at which a sleeping thread is woken
    ut_store_call *call_first;
    ut_store_call *call_last;
    size_t call_count;
    ut_store_call *called_first;
    ut_store_call *called_last;
    ut_operation *operation; // NULL: none is under way. Stepped and freed by the store thread only
    ut_store_operation_status operation_status;
    bool operation_cancel;

    // The store thread's own.
    ut_store_job *group[UT_STORE_THREAD_GROUP_MAX];
    ut_store_append appends[UT_STORE_THREAD_GROUP_MAX];
    size_t group_count;
    ut_mark_list marks; // taken; kept until they are committed
    size_t senders;     // requests that were under way when the last group was handed back
    uint64_t commit_ns; // how long the last commit took
    uint64_t retry_at_ms;
    uint32_t backoff_ms; // 0: the last commit worked
    uint64_t sweep_at_ms;
    uint64_t swept_ms; // the last time
    bool sweep_failing;
    uint64_t operation_at_ns;   // the next slice
    uint64_t operation_held_ns; // since when its slices can do nothing; 0: they can
    bool busy;                  // there was a commit since the last slice
};

ut_err ut_store_thread_submit(ut_store_thread *thread, ut_store_job *job)
{
    (void)pthread_mutex_lock(&thread->lock);
    const bool room = !thread->stopping && thread->queue_count < UT_STORE_THREAD_QUEUE_MAX;
    bool wake = false;
    if (room) {
        job->next = NULL;
        if (thread->queue_last != NULL)
            thread->queue_last->next = job;
        else
            thread->queue_first = job;
        thread->queue_last = job;
        thread->queue_count++;
        wake = thread->asleep && thread->queue_count >= thread->wake_count;
    }
    (void)pthread_mutex_unlock(&thread->lock);
    if (wake)
        (void)pthread_cond_signal(&thread->work);
    return room ? UT_OK : UT_EAGAIN;
}

void ut_store_thread_deliver(ut_store_thread *thread)
{
    (void)pthread_mutex_lock(&thread->lock);
    ut_store_job *job = thread->done_first;
    ut_store_call *call = thread->called_first;
    thread->done_first = NULL;
    thread->done_last = NULL;
    thread->called_first = NULL;
    thread->called_last = NULL;
    (void)pthread_mutex_unlock(&thread->lock);
    while (job != NULL) {
        ut_store_job *next = job->next;
        job->done(job);
        job = next;
    }
    while (call != NULL) {
        ut_store_call *next = call->next;
        call->done(call);
        call = next;
    }
}

size_t ut_store_thread_waiting(ut_store_thread *thread)
{
    (void)pthread_mutex_lock(&thread->lock);
    const size_t count = thread->queue_count;
    (void)pthread_mutex_unlock(&thread->lock);
    return count;
}

ut_err ut_store_thread_call(ut_store_thread *thread, ut_store_call *call)
{
    (void)pthread_mutex_lock(&thread->lock);
    const bool room = !thread->stopping && thread->call_count < UT_STORE_THREAD_CALLS_MAX;
    const bool wake = room && thread->asleep;
    if (room) {
        call->next = NULL;
        if (thread->call_last != NULL)
            thread->call_last->next = call;
        else
            thread->call_first = call;
        thread->call_last = call;
        thread->call_count++;
    }
    (void)pthread_mutex_unlock(&thread->lock);
    if (wake)
        (void)pthread_cond_signal(&thread->work);
    return room ? UT_OK : UT_EAGAIN;
}

ut_err ut_store_thread_begin(ut_store_thread *thread, ut_operation *operation, uint64_t *number)
{
    ut_err err = UT_OK;
    (void)pthread_mutex_lock(&thread->lock);
    if (thread->stopping) {
        err = UT_ECANCELED;
    } else if (thread->operation != NULL) {
        err = UT_EBUSY;
    } else {
        thread->operation = operation;
        thread->operation_cancel = false;
        thread->operation_status = (ut_store_operation_status){
            .state = UT_STORE_OPERATION_RUNNING,
            .number = thread->operation_status.number + 1,
            .name_z = operation->class->name_z,
            .progress = operation->progress,
        };
        *number = thread->operation_status.number;
    }
    const bool wake = err == UT_OK && thread->asleep;
    (void)pthread_mutex_unlock(&thread->lock);
    if (wake)
        (void)pthread_cond_signal(&thread->work);
    return err;
}

void ut_store_thread_operation(ut_store_thread *thread, ut_store_operation_status *status)
{
    (void)pthread_mutex_lock(&thread->lock);
    *status = thread->operation_status;
    (void)pthread_mutex_unlock(&thread->lock);
}

bool ut_store_thread_cancel(ut_store_thread *thread, uint64_t number)
{
    (void)pthread_mutex_lock(&thread->lock);
    const bool found =
        thread->operation != NULL && (number == 0 || number == thread->operation_status.number);
    thread->operation_cancel = thread->operation_cancel || found;
    const bool wake = found && thread->asleep;
    (void)pthread_mutex_unlock(&thread->lock);
    if (wake)
        (void)pthread_cond_signal(&thread->work);
    return found;
}

ut_err ut_store_thread_mark(void *context, const ut_delivery *mark)
{
    ut_store_thread *thread = context;
    ut_mark_copy copy;
    bool taken = ut_mark_copy_make(&copy, mark) == UT_OK; // without memory: as good as full
    (void)pthread_mutex_lock(&thread->lock);
    const bool first = thread->marks_in.count == 0;
    taken = taken && !thread->stopping && ut_mark_list_add(&thread->marks_in, &copy);
    if (taken && first)
        thread->marks_since_ms = ut_clock_mono_ms();
    if (!taken)
        thread->marks_refused = true;
    const bool wake = taken && first && thread->asleep; // to set its alarm
    (void)pthread_mutex_unlock(&thread->lock);
    if (wake)
        (void)pthread_cond_signal(&thread->work);
    if (!taken)
        ut_mark_copy_drop(&copy);
    return taken ? UT_OK : UT_EAGAIN;
}

// ---- on the store thread

static void failed(ut_store_thread *t, ut_err err)
{
    if (t->backoff_ms == 0) {
        ut_log_write(t->config.log, UT_LOG_ERROR, "store",
                     "cannot commit: %s; requests get 503 until it works again", ut_err_text(err));
        t->backoff_ms = UT_STORE_THREAD_BACKOFF_MS;
    } else if (t->backoff_ms < UT_STORE_THREAD_BACKOFF_MAX_MS) {
        t->backoff_ms *= 2;
        if (t->backoff_ms > UT_STORE_THREAD_BACKOFF_MAX_MS)
            t->backoff_ms = UT_STORE_THREAD_BACKOFF_MAX_MS;
    }
    t->retry_at_ms = ut_clock_mono_ms() + t->backoff_ms;
}

static void worked(ut_store_thread *t)
{
    if (t->backoff_ms != 0)
        ut_log_write(t->config.log, UT_LOG_INFO, "store", "commits work again");
    t->backoff_ms = 0;
    t->retry_at_ms = 0;
    const uint64_t quiet_ms = ut_clock_mono_ms() + UT_STORE_THREAD_QUIET_MS;
    if (t->sweep_at_ms < quiet_ms && quiet_ms < t->swept_ms + UT_STORE_THREAD_QUIET_MAX_MS)
        t->sweep_at_ms = quiet_ms;
    if (t->config.committed != NULL)
        t->config.committed(t->config.context, ut_store_last_seq(t->config.store));
}

// Requests of the group from `from` on, and the first mark_count of the marks.
static ut_err commit(ut_store_thread *t, size_t from, size_t count, size_t mark_count)
{
    for (size_t i = from; i < from + count; i++) {
        t->appends[i].stored = 0;
        t->appends[i].duplicates = 0;
    }
    return ut_store_commit(t->config.store, ut_clock_wall_ns(), t->appends + from, count,
                           t->marks.items, mark_count);
}

static void set_results(ut_store_thread *t, size_t from, size_t count, ut_err err)
{
    for (size_t i = from; i < from + count; i++) {
        t->group[i]->result = err;
        t->group[i]->append = t->appends[i];
    }
}

// An error that speaks of the disk, not of what was to be written: trying parts of it is in vain.
static bool is_of_disk(ut_err err)
{
    return err == UT_EIO || err == UT_ENOSPC;
}

// The marks without requests. What fails as a whole is halved until the mark that cannot be written
// stands alone: it is dropped, or it would fail every commit to come. *any: set when one was
// committed.
static ut_err commit_marks(ut_store_thread *t, bool *any)
{
    ut_err err = UT_OK;
    size_t count = t->marks.count;
    while (t->marks.count > 0) {
        if (count > t->marks.count)
            count = t->marks.count;
        err = commit(t, 0, 0, count);
        if (err == UT_OK) {
            *any = true;
            ut_mark_list_drop_first(&t->marks, count);
            count = t->marks.count;
        } else if (count > 1 && !is_of_disk(err)) {
            count /= 2;
        } else if (err == UT_EINVAL || err == UT_ECORRUPT || err == UT_ENOTFOUND) {
            const ut_delivery *mark = &t->marks.items[0];
            ut_log_write(t->config.log, UT_LOG_ERROR, "store",
                         "cannot note what became of block %llu at destination %u: %s; it may be "
                         "sent again after a restart",
                         (unsigned long long)mark->seq, (unsigned)mark->dest, ut_err_text(err));
            ut_mark_list_drop_first(&t->marks, 1);
            count = t->marks.count;
            err = UT_OK; // of the others
        } else {
            break;
        }
    }
    return err;
}

// A group that failed as a whole: one of it may be the only one that cannot be written.
static ut_err commit_singly(ut_store_thread *t, ut_err group_err)
{
    ut_err last_err = group_err;
    bool any = false;
    uint32_t in_a_row = 0;
    size_t i = 0;
    for (; i < t->group_count && in_a_row < UT_STORE_THREAD_SINGLES_MAX; i++) {
        const ut_err err = commit(t, i, 1, 0);
        set_results(t, i, 1, err);
        if (err == UT_OK) {
            any = true;
            in_a_row = 0;
        } else {
            last_err = err;
            in_a_row++;
        }
        if (is_of_disk(err))
            in_a_row = UT_STORE_THREAD_SINGLES_MAX; // the others fare no better
    }
    set_results(t, i, t->group_count - i, last_err);
    return any ? UT_OK : last_err;
}

static void commit_group(ut_store_thread *t)
{
    for (size_t i = 0; i < t->group_count; i++)
        t->appends[i] = t->group[i]->append;
    const size_t mark_count = t->marks.count;
    ut_err err = commit(t, 0, t->group_count, mark_count);
    set_results(t, 0, t->group_count, err);
    if (err == UT_OK) {
        ut_mark_list_clear(&t->marks);
    } else if (!is_of_disk(err)) {
        // Requests first, together: it may have been for the marks alone.
        if (t->group_count > 0 && mark_count > 0) {
            err = commit(t, 0, t->group_count, 0);
            set_results(t, 0, t->group_count, err);
        }
        const bool too_big = err == UT_EFULL || err == UT_ENOMEM || err == UT_ELIMIT;
        if (too_big && t->group_count > 1)
            err = commit_singly(t, err);
        if (mark_count > 0 && !is_of_disk(err)) {
            bool any = false;
            const ut_err marks_err = commit_marks(t, &any);
            if (any)
                err = UT_OK; // commits work
            else if (t->group_count == 0)
                err = marks_err;
        }
    }
    if (err == UT_OK)
        worked(t);
    else if (err != UT_ELIMIT) // which is about the request, not about the store
        failed(t, err);
}

static void sweep(ut_store_thread *t, uint64_t now_ms)
{
    bool more = false;
    const ut_err err = ut_store_sweep(t->config.store, ut_clock_wall_ns(), &more);
    if (err != UT_OK && !t->sweep_failing)
        ut_log_write(t->config.log, UT_LOG_ERROR, "store",
                     "cannot remove what has expired: %s; trying again", ut_err_text(err));
    else if (err == UT_OK && t->sweep_failing)
        ut_log_write(t->config.log, UT_LOG_INFO, "store", "removing what has expired works again");
    t->sweep_failing = err != UT_OK;
    t->swept_ms = now_ms;
    t->sweep_at_ms = err == UT_OK && more ? now_ms : now_ms + UT_STORE_THREAD_SWEEP_MS;
}

// Under the lock: moves what waits into the group, up to its limits, and the marks if there is room.
static void take_group(ut_store_thread *t)
{
    size_t bytes = 0;
    t->group_count = 0;
    while (t->queue_first != NULL && t->group_count < UT_STORE_THREAD_GROUP_MAX) {
        ut_store_job *job = t->queue_first;
        if (t->group_count > 0 && bytes + job->bytes > UT_STORE_THREAD_GROUP_BYTES_MAX)
            break;
        bytes += job->bytes;
        t->queue_first = job->next;
        if (t->queue_first == NULL)
            t->queue_last = NULL;
        t->queue_count--;
        t->group[t->group_count++] = job;
    }
    if (t->marks.count == 0) {
        const ut_mark_list empty = t->marks;
        t->marks = t->marks_in;
        t->marks_in = empty;
    }
}

// Under the lock.
static void hand_back(ut_store_thread *t)
{
    for (size_t i = 0; i < t->group_count; i++) {
        ut_store_job *job = t->group[i];
        job->next = NULL;
        if (t->done_last != NULL)
            t->done_last->next = job;
        else
            t->done_first = job;
        t->done_last = job;
    }
}

static uint64_t mono_ns(void)
{
    struct timespec now;
    UT_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

// Under the lock: sleeps until so many requests wait, or until_ns. Returns true when the time is up.
static bool sleep_until(ut_store_thread *t, size_t wake_count, uint64_t until_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                                   .tv_nsec = (long)(until_ns % NS_PER_S)};
    t->wake_count = wake_count;
    t->asleep = true;
    const int result = pthread_cond_timedwait(&t->work, &t->lock, &until);
    t->asleep = false;
    return result == ETIMEDOUT;
}

// Under the lock: whoever sends one request after the other has just been answered, and is about to
// send again. A commit without those requests makes them wait for it, and the ones in it wait for
// theirs, in turns; half as many commits carry them all together.
static void gather(ut_store_thread *t)
{
    size_t count = t->senders;
    if (count > UT_STORE_THREAD_GROUP_MAX)
        count = UT_STORE_THREAD_GROUP_MAX;
    if (t->commit_ns < UT_STORE_THREAD_SLOW_COMMIT_MS * NS_PER_MS)
        return;
    const uint64_t until_ns = mono_ns() + UT_STORE_THREAD_GATHER_MS * NS_PER_MS;
    while (t->queue_count < count && !t->stopping) {
        if (sleep_until(t, count, until_ns))
            break;
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// Commits what waits. Entered under the lock, left without it. False: give up, the store does not
// work and the thread is to end; a try that began before the end was asked for is not the last.
static bool commit_waiting(ut_store_thread *t)
{
    const bool ending = t->stopping;
    if (t->queue_count > 0)
        gather(t);
    take_group(t);
    const bool tell = t->marks_refused && t->marks_in.count == 0;
    t->marks_refused = t->marks_refused && !tell;
    (void)pthread_mutex_unlock(&t->lock);

    if (tell && t->config.marks_taken != NULL)
        t->config.marks_taken(t->config.context);
    const uint64_t begin_ns = mono_ns();
    commit_group(t);

    (void)pthread_mutex_lock(&t->lock);
    t->commit_ns = mono_ns() - begin_ns;
    t->busy = t->busy || t->group_count > 0;
    t->senders = t->group_count + t->queue_count;
    hand_back(t);
    const bool last = ending && t->queue_first == NULL;
    (void)pthread_mutex_unlock(&t->lock);
    if (t->group_count > 0)
        ut_poller_wake(t->config.done_poller); // once for all of them
    return !(last && t->backoff_ms != 0);
}

// ---- calls and the operation

// Under the lock, which is left meanwhile: the first of the calls that wait.
static void run_call(ut_store_thread *t)
{
    ut_store_call *call = t->call_first;
    UT_ASSERT(call != NULL);
    t->call_first = call->next;
    if (t->call_first == NULL)
        t->call_last = NULL;
    t->call_count--;
    call->next = NULL;
    (void)pthread_mutex_unlock(&t->lock);
    call->run(call, t->config.store);
    (void)pthread_mutex_lock(&t->lock);
    if (t->called_last != NULL)
        t->called_last->next = call;
    else
        t->called_first = call;
    t->called_last = call;
    ut_poller_wake(t->config.done_poller);
}

// Under the lock, which is left meanwhile.
static void end_operation(ut_store_thread *t, ut_store_operation_state state)
{
    ut_operation *operation = t->operation;
    const ut_store_operation_status *status = &t->operation_status; // ours until operation is NULL
    UT_ASSERT(operation != NULL);
    const bool dry_run = operation->dry_run;
    (void)pthread_mutex_unlock(&t->lock);
    operation->class->free(operation); // may take a while: it undoes what is not finished
    ut_log_write(
        t->config.log, state == UT_STORE_OPERATION_FAILED ? UT_LOG_ERROR : UT_LOG_INFO, "store",
        "%s%s %s: %llu blocks, %llu spans, %llu bytes%s%s", status->name_z,
        dry_run ? " as a dry run, which changes nothing," : "",
        state == UT_STORE_OPERATION_DONE       ? "is done"
        : state == UT_STORE_OPERATION_CANCELED ? "was cancelled"
                                               : "failed",
        (unsigned long long)status->progress.blocks, (unsigned long long)status->progress.spans,
        (unsigned long long)status->progress.bytes, state == UT_STORE_OPERATION_FAILED ? "; " : "",
        state == UT_STORE_OPERATION_FAILED ? status->fault.text_z : "");
    (void)pthread_mutex_lock(&t->lock);
    t->operation = NULL;
    t->operation_status.state = state;
}

// A slice that can do nothing for long waits for a reader, maybe one that was stopped: whoever waits
// for the operation is told.
static bool is_held_up(ut_store_thread *t, ut_err err, uint64_t end_ns, ut_fault *fault)
{
    if (err != UT_EAGAIN) {
        t->operation_held_ns = 0;
        return false;
    }
    if (t->operation_held_ns == 0)
        t->operation_held_ns = end_ns;
    if (end_ns - t->operation_held_ns < UT_STORE_THREAD_OPERATION_HELD_MS * NS_PER_MS)
        return false;
    t->operation_held_ns = 0;
    ut_engine *engine = ut_store_engine(t->config.store);
    ut_engine_room room = {0};
    if (engine->class->room(engine, &room) == UT_OK && room.pinned_by != 0)
        (void)ut_fault_set(fault, err,
                           "process %ld is in the middle of reading the store and holds the pages "
                           "that this needs; let it go on, or end it, and try again",
                           room.pinned_by);
    else
        (void)ut_fault_set(fault, err,
                           "something that reads the store holds the pages that this needs; try "
                           "again later");
    return true;
}

// Under the lock, which is left meanwhile: one slice of the operation.
static void step_operation(ut_store_thread *t)
{
    if (t->operation_cancel) {
        end_operation(t, UT_STORE_OPERATION_CANCELED);
        return;
    }
    ut_operation *operation = t->operation;
    UT_ASSERT(operation != NULL);
    (void)pthread_mutex_unlock(&t->lock);
    ut_fault fault = {UT_OK, ""};
    bool more = false;
    const uint64_t last_seq = ut_store_last_seq(t->config.store);
    const uint64_t begin_ns = mono_ns();
    const ut_err err =
        ut_operation_step(operation, t->config.store, ut_clock_wall_ns(), &more, &fault);
    const uint64_t end_ns = mono_ns();
    // While there are requests, at least half of the time is theirs.
    t->operation_at_ns = t->busy ? end_ns + (end_ns - begin_ns) : end_ns;
    t->busy = false;
    if (err == UT_EAGAIN)
        t->operation_at_ns = end_ns + UT_STORE_THREAD_OPERATION_AGAIN_MS * NS_PER_MS;
    const bool held_up = is_held_up(t, err, end_ns, &fault);
    // Blocks may have been written anew, under new numbers.
    if (ut_store_last_seq(t->config.store) != last_seq && t->config.committed != NULL)
        t->config.committed(t->config.context, ut_store_last_seq(t->config.store));
    if (err != UT_OK && err != UT_EAGAIN && fault.text_z[0] == '\0')
        (void)ut_fault_set(&fault, err, "%s", ut_err_text(err));

    (void)pthread_mutex_lock(&t->lock);
    t->operation_status.progress = operation->progress;
    if ((err != UT_OK && err != UT_EAGAIN) || held_up) {
        t->operation_status.fault = fault;
        end_operation(t, UT_STORE_OPERATION_FAILED);
    } else if (err == UT_OK && !more) {
        end_operation(t, UT_STORE_OPERATION_DONE);
    }
}

static void *run(void *context)
{
    ut_store_thread *t = context;
    bool working = true;
    (void)pthread_mutex_lock(&t->lock);
    while (working) {
        if (t->call_first != NULL)
            run_call(t); // one only: a commit or a slice that waits comes before the next
        const uint64_t now_ms = ut_clock_mono_ms();
        uint64_t marks_at_ms = UINT64_MAX;
        if (t->marks.count > 0)
            marks_at_ms = t->retry_at_ms; // a commit of these has failed
        else if (t->marks_in.count > 0)
            marks_at_ms = t->stopping ? now_ms : t->marks_since_ms + UT_STORE_THREAD_MARK_DELAY_MS;
        uint64_t commit_at_ms = t->queue_first != NULL ? now_ms : marks_at_ms;
        if (commit_at_ms < t->retry_at_ms)
            commit_at_ms = t->retry_at_ms;
        if (t->stopping && commit_at_ms != UINT64_MAX)
            commit_at_ms = now_ms;
        const uint64_t operation_at_ns = t->operation == NULL  ? UINT64_MAX
                                         : t->operation_cancel ? 0
                                                               : t->operation_at_ns;
        if (commit_at_ms <= now_ms) {
            working = commit_waiting(t);
        } else if (t->stopping) {
            break;
        } else if (now_ms < t->sweep_at_ms) {
            const uint64_t until_ms = earlier(commit_at_ms, t->sweep_at_ms);
            if (mono_ns() >= operation_at_ns)
                step_operation(t);
            else if (t->call_first == NULL) // one that came during the last gave no signal
                (void)sleep_until(t, 1, earlier(until_ms * NS_PER_MS, operation_at_ns));
            continue;
        } else {
            (void)pthread_mutex_unlock(&t->lock);
        }
        if (now_ms >= t->sweep_at_ms)
            sweep(t, now_ms); // a slice
        (void)pthread_mutex_lock(&t->lock);
        if (working && t->operation != NULL && !t->stopping && mono_ns() >= operation_at_ns)
            step_operation(t); // else requests that never cease, or a long sweep, would keep it out
    }
    t->stopping = true; // also when it ends by itself: nobody is to wait for a call
    while (t->call_first != NULL)
        run_call(t);
    if (t->operation != NULL)
        end_operation(t, UT_STORE_OPERATION_CANCELED);
    (void)pthread_mutex_unlock(&t->lock);
    return NULL;
}

ut_err ut_store_thread_start(const ut_store_thread_config *config, ut_store_thread **out)
{
    pthread_attr_t attr;
    pthread_condattr_t cond;
    ut_store_thread *t = calloc(1, sizeof *t);
    if (t == NULL)
        return UT_ENOMEM;
    t->config = *config;
    if (ut_mark_list_init(&t->marks_in, UT_STORE_THREAD_MARKS_MAX) != UT_OK ||
        ut_mark_list_init(&t->marks, UT_STORE_THREAD_MARKS_MAX) != UT_OK) {
        ut_mark_list_free(&t->marks_in);
        ut_mark_list_free(&t->marks);
        free(t);
        return UT_ENOMEM;
    }
    t->sweep_at_ms = ut_clock_mono_ms() + UT_STORE_THREAD_SWEEP_MS;
    // None of these fails on Linux with arguments like these.
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_condattr_init(&cond);
    (void)pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&t->work, &cond);
    (void)pthread_condattr_destroy(&cond);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    const int failure = pthread_create(&t->handle, &attr, run, t);
    (void)pthread_attr_destroy(&attr);
    if (failure != 0) {
        t->stopping = true;
        ut_store_thread_free(t);
        return UT_EIO;
    }
    *out = t;
    return UT_OK;
}

void ut_store_thread_join(ut_store_thread *t)
{
    (void)pthread_mutex_lock(&t->lock);
    t->stopping = true;
    (void)pthread_mutex_unlock(&t->lock);
    (void)pthread_cond_signal(&t->work);
    (void)pthread_join(t->handle, NULL);
}

void ut_store_thread_free(ut_store_thread *t)
{
    if (t == NULL)
        return;
    UT_ASSERT(t->queue_first == NULL && t->done_first == NULL);
    UT_ASSERT(t->call_first == NULL && t->called_first == NULL && t->operation == NULL);
    ut_mark_list_free(&t->marks_in);
    ut_mark_list_free(&t->marks);
    (void)pthread_cond_destroy(&t->work);
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}
