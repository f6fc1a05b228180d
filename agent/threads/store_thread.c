// The thread that owns the store. `run` is its loop; in each round it
//   1. runs one call that waits;
//   2. commits requests and marks in one group, when a commit is due, and hands the requests back;
//   3. sweeps what has expired, when that is due;
//   4. runs a slice of the operation, when that is due, and otherwise sleeps;
// the list above `run` says with which lock. Not for what a commit writes: storage/store does that.
#include "agent/threads/store_thread.h"

#include "agent/threads/mark_list.h"
#include "agent/threads/sweep_timer.h"
#include "port/base/list.h"
#include "port/base/order.h"
#include "port/base/time_units.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { STACK_BYTES = 512 * 1024 };

UT_LIST_DEFINE(job_list, ut_store_job, next);
UT_LIST_DEFINE(call_list, ut_store_call, next);

struct ut_store_thread {
    ut_store_thread_config config;
    pthread_t handle;
    pthread_mutex_t lock;
    pthread_cond_t work;

    // Under the lock.
    job_list queue;        // requests that wait
    size_t queue_bytes;    // of their batches
    job_list done;         // for ut_store_thread_deliver
    ut_mark_list marks_in; // marks that wait
    uint64_t marks_at_ms;  // when they are to be committed at the latest
    bool marks_refused;    // since the last time that marks_taken was called
    bool asleep;
    bool stopping;
    size_t wake_count;        // requests in the queue at which the thread is woken
    uint64_t asleep_until_ns; // when it wakes by itself
    call_list calls;
    call_list called;        // for ut_store_thread_deliver
    ut_operation *operation; // NULL: none is under way. Stepped and freed by the store thread only
    ut_store_operation_status operation_status;
    bool operation_cancel;
    bool marks_first; // marks wait that came before the operation

    // The store thread's own.
    ut_store_job *group[UT_STORE_THREAD_GROUP_MAX];
    ut_store_append appends[UT_STORE_THREAD_GROUP_MAX];
    size_t group_count;
    ut_mark_list marks; // of the group; they stay until they are committed
    size_t senders;     // requests that were under way when the last group was handed back
    uint64_t commit_ns; // how long the last commit took
    uint64_t retry_at_ms;
    uint32_t backoff_ms; // 0: the last commit worked
    ut_sweep_timer sweeps;
    bool sweep_failing;
    uint64_t boot;              // ut_clock_boot
    uint64_t operation_at_ns;   // the next slice
    uint64_t operation_held_ns; // since when its slices can do nothing; 0: they can
    bool busy;                  // there was a commit since the last slice
};

// ---- what other threads call ----

// Whether a commit could take no more requests than those that wait. Under the lock.
static bool group_is_full(const ut_store_thread *thread)
{
    return thread->queue.count >= UT_STORE_THREAD_GROUP_MAX ||
           thread->queue_bytes >= UT_STORE_THREAD_GROUP_BYTES_MAX;
}

ut_err ut_store_thread_submit(ut_store_thread *thread, ut_store_job *job)
{
    (void)pthread_mutex_lock(&thread->lock);
    const bool room = !thread->stopping && thread->queue.count < UT_STORE_THREAD_QUEUE_MAX;
    if (room) {
        job->since_ms = ut_clock_mono_ms();
        job_list_push(&thread->queue, job);
        thread->queue_bytes += job->bytes;
    }
    const bool wake = room && thread->asleep &&
                      (thread->queue.count >= thread->wake_count || group_is_full(thread));
    (void)pthread_mutex_unlock(&thread->lock);
    if (wake)
        (void)pthread_cond_signal(&thread->work);
    return room ? UT_OK : UT_EAGAIN;
}

void ut_store_thread_deliver(ut_store_thread *thread)
{
    job_list done = {0};
    call_list called = {0};
    (void)pthread_mutex_lock(&thread->lock);
    job_list_append(&done, &thread->done);
    call_list_append(&called, &thread->called);
    (void)pthread_mutex_unlock(&thread->lock);
    for (ut_store_job *job = job_list_pop(&done); job != NULL; job = job_list_pop(&done))
        job->done(job);
    for (ut_store_call *call = call_list_pop(&called); call != NULL; call = call_list_pop(&called))
        call->done(call);
}

size_t ut_store_thread_waiting(ut_store_thread *thread)
{
    (void)pthread_mutex_lock(&thread->lock);
    const size_t count = thread->queue.count;
    (void)pthread_mutex_unlock(&thread->lock);
    return count;
}

ut_err ut_store_thread_call(ut_store_thread *thread, ut_store_call *call)
{
    (void)pthread_mutex_lock(&thread->lock);
    const bool room = !thread->stopping && thread->calls.count < UT_STORE_THREAD_CALLS_MAX;
    if (room)
        call_list_push(&thread->calls, call);
    const bool wake = room && thread->asleep;
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
        thread->marks_first = thread->marks_in.count > 0;
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

// When the marks of the list marks_in, which is not empty, are to be committed at the latest. Under
// the lock.
static uint64_t marks_due_ms(const ut_store_thread *thread)
{
    // An operation counts, and may remove, what is not delivered: it is to see what was.
    const bool at_once =
        thread->marks_refused || thread->operation != NULL ||
        thread->marks_in.count - thread->marks_in.tries >= UT_STORE_THREAD_MARKS_EARLY;
    return at_once ? 0 : thread->marks_at_ms;
}

ut_err ut_store_thread_mark(void *context, const ut_delivery *mark)
{
    ut_store_thread *thread = context;
    ut_mark_copy copy;
    bool taken = ut_mark_copy_make(&copy, mark) == UT_OK; // without memory: as good as full
    const uint64_t delays = mark->state == UT_DELIVERY_PENDING ? UT_STORE_THREAD_TRY_DELAYS : 1;
    const uint64_t at_ms = ut_clock_mono_ms() + delays * thread->config.mark_delay_ms;
    (void)pthread_mutex_lock(&thread->lock);
    const bool earlier = thread->marks_in.count == 0 || at_ms < thread->marks_at_ms;
    taken = taken && !thread->stopping && ut_mark_list_add(&thread->marks_in, &copy);
    if (taken && earlier)
        thread->marks_at_ms = at_ms;
    if (!taken)
        thread->marks_refused = true;
    // The thread is woken to set its alarm earlier, but not where it wakes in time by itself.
    const bool sooner =
        earlier || thread->marks_in.count - thread->marks_in.tries == UT_STORE_THREAD_MARKS_EARLY;
    const bool wake =
        thread->asleep &&
        (!taken || (sooner && marks_due_ms(thread) * UT_NS_PER_MS < thread->asleep_until_ns));
    (void)pthread_mutex_unlock(&thread->lock);
    if (wake)
        (void)pthread_cond_signal(&thread->work);
    if (!taken)
        ut_mark_copy_drop(&copy);
    return taken ? UT_OK : UT_EAGAIN;
}

// ---- commits, without the lock ----

static void failed(ut_store_thread *thread, ut_err err)
{
    if (thread->backoff_ms == 0) {
        ut_log_write(thread->config.log, UT_LOG_ERROR, "store",
                     "cannot commit: %s; requests get 503 until it works again", ut_err_text(err));
        thread->backoff_ms = UT_STORE_THREAD_BACKOFF_MS;
    } else {
        thread->backoff_ms = ut_min_u32(2 * thread->backoff_ms, UT_STORE_THREAD_BACKOFF_MAX_MS);
    }
    thread->retry_at_ms = ut_clock_mono_ms() + thread->backoff_ms;
}

static void worked(ut_store_thread *thread)
{
    if (thread->backoff_ms != 0)
        ut_log_write(thread->config.log, UT_LOG_INFO, "store", "commits work again");
    thread->backoff_ms = 0;
    thread->retry_at_ms = 0;
    ut_sweep_timer_committed(&thread->sweeps, ut_clock_mono_ms());
    if (thread->config.committed != NULL)
        thread->config.committed(thread->config.context, ut_store_last_seq(thread->config.store));
}

// Commits count requests of the group, those from `from` on, and the first mark_count marks.
static ut_err commit(ut_store_thread *thread, size_t from, size_t count, size_t mark_count)
{
    for (size_t i = from; i < from + count; i++) {
        thread->appends[i].stored = 0;
        thread->appends[i].duplicates = 0;
    }
    return ut_store_commit(thread->config.store, ut_clock_wall_ns(), thread->appends + from, count,
                           thread->marks.items, mark_count);
}

static void set_results(ut_store_thread *thread, size_t from, size_t count, ut_err err)
{
    for (size_t i = from; i < from + count; i++) {
        thread->group[i]->result = err;
        thread->group[i]->append = thread->appends[i];
    }
}

// Whether an error is about the disk and not about the records: then parts of them fail as well.
static bool is_of_disk(ut_err err)
{
    return err == UT_EIO || err == UT_ENOSPC;
}

// Commits the marks without requests. Marks that fail as a whole are halved until the one that
// cannot be written stands alone: it is dropped, or it would fail every commit to come. *any: set
// when one was committed.
static ut_err commit_marks(ut_store_thread *thread, bool *any)
{
    ut_err err = UT_OK;
    size_t count = thread->marks.count;
    while (thread->marks.count > 0) {
        count = ut_min_size(count, thread->marks.count);
        err = commit(thread, 0, 0, count);
        if (err == UT_OK) {
            *any = true;
            ut_mark_list_drop_first(&thread->marks, count);
            count = thread->marks.count;
        } else if (count > 1 && !is_of_disk(err)) {
            count /= 2;
        } else if (err == UT_EINVAL || err == UT_ECORRUPT || err == UT_ENOTFOUND) {
            const ut_delivery *mark = &thread->marks.items[0];
            ut_log_write(thread->config.log, UT_LOG_ERROR, "store",
                         "cannot note what became of block %llu at destination %u: %s; it may be "
                         "sent again after a restart",
                         (unsigned long long)mark->seq, (unsigned)mark->dest, ut_err_text(err));
            ut_mark_list_drop_first(&thread->marks, 1);
            count = thread->marks.count;
            err = UT_OK; // of the others
        } else {
            break;
        }
    }
    return err;
}

// Commits the requests of a group that failed as a whole one by one: only one of them may be too
// big.
static ut_err commit_singly(ut_store_thread *thread, ut_err group_err)
{
    ut_err last_err = group_err;
    bool any = false;
    uint32_t in_a_row = 0;
    size_t i = 0;
    for (; i < thread->group_count && in_a_row < UT_STORE_THREAD_SINGLES_MAX; i++) {
        const ut_err err = commit(thread, i, 1, 0);
        set_results(thread, i, 1, err);
        if (err == UT_OK) {
            any = true;
            in_a_row = 0;
        } else {
            last_err = err;
            in_a_row++;
        }
        if (is_of_disk(err))
            in_a_row = UT_STORE_THREAD_SINGLES_MAX; // the others would fail as well
    }
    set_results(thread, i, thread->group_count - i, last_err);
    return any ? UT_OK : last_err;
}

// Commits the group and the marks together; where that fails, whatever of them can be committed.
static void commit_group(ut_store_thread *thread)
{
    for (size_t i = 0; i < thread->group_count; i++)
        thread->appends[i] = thread->group[i]->append;
    const size_t mark_count = thread->marks.count;
    ut_err err = commit(thread, 0, thread->group_count, mark_count);
    set_results(thread, 0, thread->group_count, err);
    if (err == UT_OK) {
        ut_mark_list_clear(&thread->marks);
    } else if (!is_of_disk(err)) {
        // Requests first, together: it may have been for the marks alone.
        if (thread->group_count > 0 && mark_count > 0) {
            err = commit(thread, 0, thread->group_count, 0);
            set_results(thread, 0, thread->group_count, err);
        }
        const bool too_big = err == UT_EFULL || err == UT_ENOMEM || err == UT_ELIMIT;
        if (too_big && thread->group_count > 1)
            err = commit_singly(thread, err);
        if (mark_count > 0 && !is_of_disk(err)) {
            bool any = false;
            const ut_err marks_err = commit_marks(thread, &any);
            if (any)
                err = UT_OK; // commits work
            else if (thread->group_count == 0)
                err = marks_err;
        }
    }
    if (err == UT_OK)
        worked(thread);
    else if (err != UT_ELIMIT || thread->group_count == 0)
        failed(thread, err); // of a request, UT_ELIMIT is about it, not about the store
}

// ---- steps of the loop ----

// Tells the store how late it is. Returns the age of what comes now.
static uint64_t look_at_clock(ut_store_thread *thread)
{
    const uint64_t wall_ns = ut_clock_wall_ns();
    ut_store_look_at_clock(thread->config.store, wall_ns, ut_clock_up_ms(), thread->boot);
    return ut_store_age_ns(thread->config.store, wall_ns);
}

// Removes some of what has expired. Under the lock, which is left meanwhile.
static void sweep(ut_store_thread *thread, uint64_t now_ms)
{
    (void)pthread_mutex_unlock(&thread->lock);
    bool more = false;
    const uint64_t wall_ns = ut_clock_wall_ns();
    const ut_err err = ut_store_sweep(thread->config.store, wall_ns, &more);
    const uint64_t age_ns = ut_store_age_ns(thread->config.store, wall_ns);
    if (err != UT_OK && !thread->sweep_failing)
        ut_log_write(thread->config.log, UT_LOG_ERROR, "store",
                     "cannot remove what has expired: %s; trying again", ut_err_text(err));
    else if (err == UT_OK && thread->sweep_failing)
        ut_log_write(thread->config.log, UT_LOG_INFO, "store",
                     "removing what has expired works again");
    thread->sweep_failing = err != UT_OK;
    ut_sweep_timer_swept(&thread->sweeps, now_ms, age_ns, more, err != UT_OK);
    (void)pthread_mutex_lock(&thread->lock);
}

// Moves requests that wait into the group, up to its limits, and the marks if none are left over
// from a commit that failed. Under the lock.
static void take_group(ut_store_thread *thread)
{
    size_t bytes = 0;
    thread->group_count = 0;
    while (!job_list_empty(&thread->queue) && thread->group_count < UT_STORE_THREAD_GROUP_MAX) {
        const size_t job_bytes = thread->queue.first->bytes;
        if (thread->group_count > 0 && bytes + job_bytes > UT_STORE_THREAD_GROUP_BYTES_MAX)
            break;
        bytes += job_bytes;
        thread->queue_bytes -= job_bytes;
        thread->group[thread->group_count++] = job_list_pop(&thread->queue);
    }
    if (thread->marks.count == 0) {
        const ut_mark_list empty = thread->marks;
        thread->marks = thread->marks_in;
        thread->marks_in = empty;
        thread->marks_first = false;
    }
}

static uint64_t mono_ns(void)
{
    struct timespec now;
    UT_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * UT_NS_PER_S + (uint64_t)now.tv_nsec;
}

// Sleeps until wake_count requests wait, something else is handed over, or until_ns. True: the time
// is up. Under the lock, which is left meanwhile.
static bool sleep_until(ut_store_thread *thread, size_t wake_count, uint64_t until_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / UT_NS_PER_S),
                                   .tv_nsec = (long)(until_ns % UT_NS_PER_S)};
    thread->wake_count = wake_count;
    thread->asleep_until_ns = until_ns;
    thread->asleep = true;
    const int result = pthread_cond_timedwait(&thread->work, &thread->lock, &until);
    thread->asleep = false;
    return result == ETIMEDOUT;
}

// Senders that were just answered, and send one request after the other, are about to send again. A
// commit without their requests makes them wait for it, and those in it wait for theirs, in turns;
// half as many commits carry them all together. Under the lock, which is left meanwhile.
static void gather(ut_store_thread *thread)
{
    const size_t count = ut_min_size(thread->senders, UT_STORE_THREAD_GROUP_MAX);
    if (thread->commit_ns < UT_STORE_THREAD_SLOW_COMMIT_MS * UT_NS_PER_MS ||
        thread->config.commit_delay_ms > 0 || group_is_full(thread))
        return; // a commit that is quick, has waited already, or takes no more
    const uint64_t until_ns = mono_ns() + UT_STORE_THREAD_GATHER_MS * UT_NS_PER_MS;
    while (thread->queue.count < count && !thread->stopping) {
        if (sleep_until(thread, count, until_ns))
            break;
    }
}

// When the requests and marks that wait are to be committed; UINT64_MAX: nothing waits. Under the
// lock.
static uint64_t wanted_at_ms(const ut_store_thread *thread)
{
    if (thread->marks.count > 0)
        return 0; // a commit of these has failed
    const uint32_t delay_ms = group_is_full(thread) ? 0 : thread->config.commit_delay_ms;
    const uint64_t requests_ms =
        job_list_empty(&thread->queue) ? UINT64_MAX : thread->queue.first->since_ms + delay_ms;
    const uint64_t marks_ms = thread->marks_in.count > 0 ? marks_due_ms(thread) : UINT64_MAX;
    return ut_min_u64(requests_ms, marks_ms);
}

// When the next commit is due; UINT64_MAX: nothing waits for one. Under the lock.
static uint64_t commit_due_ms(const ut_store_thread *thread, uint64_t now_ms)
{
    const uint64_t wanted_ms = wanted_at_ms(thread);
    if (wanted_ms == UINT64_MAX)
        return UINT64_MAX;
    return thread->stopping ? now_ms : ut_max_u64(wanted_ms, thread->retry_at_ms);
}

// Commits what waits, and hands the requests back. False: give up, the store does not work and the
// thread is to end; a try that began before the end was asked for is not the last. Under the lock,
// which is left meanwhile.
static bool commit_waiting(ut_store_thread *thread)
{
    const bool ending = thread->stopping;
    if (!job_list_empty(&thread->queue))
        gather(thread);
    take_group(thread);
    const bool tell = thread->marks_refused && thread->marks_in.count == 0;
    thread->marks_refused = thread->marks_refused && !tell;
    (void)pthread_mutex_unlock(&thread->lock);

    if (tell && thread->config.marks_taken != NULL)
        thread->config.marks_taken(thread->config.context);
    const uint64_t begin_ns = mono_ns();
    commit_group(thread);
    thread->commit_ns = mono_ns() - begin_ns;
    thread->busy = thread->busy || thread->group_count > 0;

    (void)pthread_mutex_lock(&thread->lock);
    thread->senders = thread->group_count + thread->queue.count;
    for (size_t i = 0; i < thread->group_count; i++)
        job_list_push(&thread->done, thread->group[i]);
    const bool last = ending && job_list_empty(&thread->queue);
    (void)pthread_mutex_unlock(&thread->lock);
    if (thread->group_count > 0)
        ut_poller_wake(thread->config.done_poller); // once for all of them
    (void)pthread_mutex_lock(&thread->lock);
    return !(last && thread->backoff_ms != 0);
}

// Runs the first of the calls that wait. Under the lock, which is left meanwhile.
static void run_call(ut_store_thread *thread)
{
    ut_store_call *call = call_list_pop(&thread->calls);
    UT_ASSERT(call != NULL);
    (void)pthread_mutex_unlock(&thread->lock);
    call->run(call, thread->config.store);
    ut_sweep_timer_changed(&thread->sweeps); // it may have written
    (void)pthread_mutex_lock(&thread->lock);
    call_list_push(&thread->called, call);
    ut_poller_wake(thread->config.done_poller);
}

// Frees the operation and says what became of it. Under the lock, which is left meanwhile.
static void end_operation(ut_store_thread *thread, ut_store_operation_state state)
{
    ut_operation *operation = thread->operation;
    const ut_store_operation_status *status =
        &thread->operation_status; // ours until operation is NULL
    UT_ASSERT(operation != NULL);
    const bool dry_run = operation->dry_run;
    (void)pthread_mutex_unlock(&thread->lock);
    operation->class->free(operation); // may take a while: it undoes what is not finished
    ut_log_write(
        thread->config.log, state == UT_STORE_OPERATION_FAILED ? UT_LOG_ERROR : UT_LOG_INFO,
        "store", "%s%s %s: %llu blocks, %llu spans, %llu bytes%s%s", status->name_z,
        dry_run ? " as a dry run, which changes nothing," : "",
        state == UT_STORE_OPERATION_DONE       ? "is done"
        : state == UT_STORE_OPERATION_CANCELED ? "was cancelled"
                                               : "failed",
        (unsigned long long)status->progress.blocks, (unsigned long long)status->progress.spans,
        (unsigned long long)status->progress.bytes, state == UT_STORE_OPERATION_FAILED ? "; " : "",
        state == UT_STORE_OPERATION_FAILED ? status->fault.text_z : "");
    (void)pthread_mutex_lock(&thread->lock);
    thread->operation = NULL;
    thread->operation_held_ns = 0;
    thread->operation_status.state = state;
}

// Slices that can do nothing for long wait for a reader, maybe for one that was stopped. True: it
// has lasted too long, and *fault says who it is. Without the lock.
static bool is_held_up(ut_store_thread *thread, ut_err err, uint64_t end_ns, ut_fault *fault)
{
    if (err != UT_EAGAIN) {
        thread->operation_held_ns = 0;
        return false;
    }
    if (thread->operation_held_ns == 0)
        thread->operation_held_ns = end_ns;
    if (end_ns - thread->operation_held_ns < UT_STORE_THREAD_OPERATION_HELD_MS * UT_NS_PER_MS)
        return false;
    thread->operation_held_ns = 0;
    ut_engine *engine = ut_store_engine(thread->config.store);
    ut_engine_room room = {0};
    if (ut_engine_get_room(engine, &room) == UT_OK && room.pinned_by != 0)
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

// Whether the operation, if there is one, gets a slice now. Under the lock.
static bool slice_is_due(const ut_store_thread *thread)
{
    return thread->operation != NULL &&
           (thread->operation_cancel || mono_ns() >= thread->operation_at_ns);
}

// Runs one slice of the operation, or ends it. Under the lock, which is left meanwhile.
static void step_operation(ut_store_thread *thread)
{
    if (thread->operation_cancel) {
        end_operation(thread, UT_STORE_OPERATION_CANCELED);
        return;
    }
    ut_operation *operation = thread->operation;
    UT_ASSERT(operation != NULL);
    (void)pthread_mutex_unlock(&thread->lock);
    ut_fault fault = {UT_OK, ""};
    bool more = false;
    const uint64_t last_seq = ut_store_last_seq(thread->config.store);
    const uint64_t begin_ns = mono_ns();
    const ut_err err =
        ut_operation_step(operation, thread->config.store, ut_clock_wall_ns(), &more, &fault);
    const uint64_t end_ns = mono_ns();
    // While there are requests, at least half of the time is theirs.
    thread->operation_at_ns = thread->busy ? end_ns + (end_ns - begin_ns) : end_ns;
    thread->busy = false;
    if (err == UT_EAGAIN)
        thread->operation_at_ns = end_ns + UT_STORE_THREAD_OPERATION_AGAIN_MS * UT_NS_PER_MS;
    const bool held_up = is_held_up(thread, err, end_ns, &fault);
    ut_sweep_timer_changed(&thread->sweeps);
    // Blocks may have been written anew, under new numbers.
    if (ut_store_last_seq(thread->config.store) != last_seq && thread->config.committed != NULL)
        thread->config.committed(thread->config.context, ut_store_last_seq(thread->config.store));
    if (err != UT_OK && err != UT_EAGAIN && fault.text_z[0] == '\0')
        (void)ut_fault_set(&fault, err, "%s", ut_err_text(err));

    (void)pthread_mutex_lock(&thread->lock);
    thread->operation_status.progress = operation->progress;
    if ((err != UT_OK && err != UT_EAGAIN) || held_up) {
        thread->operation_status.fault = fault;
        end_operation(thread, UT_STORE_OPERATION_FAILED);
    } else if (err == UT_OK && !more) {
        end_operation(thread, UT_STORE_OPERATION_DONE);
    }
}

// Sleeps until the next thing is due. Under the lock, which is left meanwhile.
static void rest(ut_store_thread *thread, uint64_t commit_at_ms, uint64_t sweep_at_ms)
{
    uint64_t until_ns = ut_min_u64(commit_at_ms, sweep_at_ms) * UT_NS_PER_MS;
    if (thread->operation != NULL)
        until_ns = ut_min_u64(until_ns, thread->operation_at_ns);
    // The first request has to set the alarm; those that join it need not wake the thread.
    const size_t count = job_list_empty(&thread->queue) ? 1 : UT_STORE_THREAD_GROUP_MAX;
    (void)sleep_until(thread, count, until_ns);
}

// ---- the loop ----

// Each round, in this order:
//
//   step                                       the lock is
//   1. one call, if one waits   run_call       left while it runs
//   2. is a commit due?         commit_due_ms  held
//   3. the commit, if it is due commit_waiting left while it gathers and commits
//      the end, if it is not and the end is asked for
//   4. a sweep, if one is due   sweep          left
//   5. a slice, if one is due   step_operation left while it runs
//      otherwise, and if nothing was done in 3 and 4: sleep, left meanwhile
//
// Only one call a round, so that a commit or a slice that waits comes before the next call; and a
// slice in rounds with a commit too, or requests that never cease would keep the operation out.
static void *run(void *context)
{
    ut_store_thread *thread = context;
    (void)pthread_mutex_lock(&thread->lock);
    for (;;) {
        if (!call_list_empty(&thread->calls))
            run_call(thread);
        const uint64_t now_ms = ut_clock_mono_ms();
        const uint64_t age_ns = look_at_clock(thread);
        const uint64_t commit_at_ms = commit_due_ms(thread, now_ms);
        const bool commits = commit_at_ms <= now_ms;
        if (commits ? !commit_waiting(thread) : thread->stopping)
            break;
        const uint64_t sweep_at_ms = // a commit may have put it off
            ut_sweep_timer_due_ms(&thread->sweeps, now_ms, age_ns);
        const bool sweeps = sweep_at_ms <= now_ms;
        if (sweeps)
            sweep(thread, now_ms);
        // Requests, or an operation before which marks that wait are committed, may have come while
        // the lock was left. After a commit only such marks come before a slice.
        if ((!commits || thread->marks_first) && commit_due_ms(thread, now_ms) <= now_ms)
            continue;
        if (!thread->stopping && slice_is_due(thread))
            step_operation(thread);
        else if (!commits && !sweeps && call_list_empty(&thread->calls))
            rest(thread, commit_at_ms, sweep_at_ms);
    }
    thread->stopping = true; // also when it ends by itself: no caller is to wait for a call
    while (!call_list_empty(&thread->calls))
        run_call(thread);
    if (thread->operation != NULL)
        end_operation(thread, UT_STORE_OPERATION_CANCELED);
    (void)pthread_mutex_unlock(&thread->lock);
    return NULL;
}

// ---- start and end ----

ut_err ut_store_thread_start(const ut_store_thread_config *config, ut_store_thread **out)
{
    pthread_attr_t attr;
    pthread_condattr_t cond;
    ut_store_thread *thread = calloc(1, sizeof(*thread));
    if (thread == NULL)
        return UT_ENOMEM;
    thread->config = *config;
    if (ut_mark_list_init(&thread->marks_in, UT_STORE_THREAD_MARKS_MAX) != UT_OK ||
        ut_mark_list_init(&thread->marks, UT_STORE_THREAD_MARKS_MAX) != UT_OK) {
        ut_mark_list_free(&thread->marks_in);
        ut_mark_list_free(&thread->marks);
        free(thread);
        return UT_ENOMEM;
    }
    if (thread->config.mark_delay_ms == 0)
        thread->config.mark_delay_ms = UT_STORE_THREAD_MARK_DELAY_MS;
    thread->boot = ut_clock_boot();
    ut_sweep_timer_init(&thread->sweeps, ut_clock_mono_ms(), look_at_clock(thread));
    // None of these fails on Linux with arguments like these.
    (void)pthread_mutex_init(&thread->lock, NULL);
    (void)pthread_condattr_init(&cond);
    (void)pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&thread->work, &cond);
    (void)pthread_condattr_destroy(&cond);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    const int failure = pthread_create(&thread->handle, &attr, run, thread);
    (void)pthread_attr_destroy(&attr);
    if (failure != 0) {
        thread->stopping = true;
        ut_store_thread_free(thread);
        return UT_EIO;
    }
    *out = thread;
    return UT_OK;
}

void ut_store_thread_join(ut_store_thread *thread)
{
    (void)pthread_mutex_lock(&thread->lock);
    thread->stopping = true;
    (void)pthread_mutex_unlock(&thread->lock);
    (void)pthread_cond_signal(&thread->work);
    (void)pthread_join(thread->handle, NULL);
}

void ut_store_thread_free(ut_store_thread *thread)
{
    if (thread == NULL)
        return;
    UT_ASSERT(job_list_empty(&thread->queue) && job_list_empty(&thread->done));
    UT_ASSERT(call_list_empty(&thread->calls) && call_list_empty(&thread->called));
    UT_ASSERT(thread->operation == NULL);
    ut_mark_list_free(&thread->marks_in);
    ut_mark_list_free(&thread->marks);
    (void)pthread_cond_destroy(&thread->work);
    (void)pthread_mutex_destroy(&thread->lock);
    free(thread);
}
