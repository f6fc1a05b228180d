// Waits for writes to a store; see store_watch.h.
#include "agent/query/store_watch.h"

#include "port/base/order.h"
#include "port/port.h"

#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096, NOTICE_BYTES = 4096 };

ut_store_watch ut_store_watch_of(const char *dir_z)
{
    ut_store_watch watch = {.dir_z = dir_z, .notices = -1};
    (void)ut_store_watch_replaced(&watch); // which it is not yet
    return watch;
}

void ut_store_watch_begin(ut_store_watch *watch)
{
    watch->notices = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->notices >= 0 &&
        inotify_add_watch(watch->notices, watch->dir_z, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
        ut_store_watch_end(watch);
}

void ut_store_watch_end(ut_store_watch *watch)
{
    if (watch->notices >= 0)
        (void)close(watch->notices);
    watch->notices = -1;
}

bool ut_store_watch_replaced(ut_store_watch *watch)
{
    char path_z[PATH_BYTES_MAX];
    struct stat found;
    const int len = snprintf(path_z, sizeof(path_z), "%s/store.mdb", watch->dir_z);
    if (len < 0 || (size_t)len >= sizeof(path_z) || stat(path_z, &found) != 0)
        return false;
    const bool replaced =
        watch->known && (found.st_dev != watch->device || found.st_ino != watch->file);
    watch->known = true;
    watch->device = found.st_dev;
    watch->file = found.st_ino;
    return replaced;
}

// Waits for a notice at most so long; at once without one when nobody reads. *noticed: out.
static ut_err wait_once(const ut_store_watch *watch, bool notices, uint64_t timeout_ms,
                        bool *noticed)
{
    // Standard output is asked for nothing, which tells of an error: its reader is gone.
    struct pollfd waiting[] = {{.fd = STDOUT_FILENO, .events = 0},
                               {.fd = notices ? watch->notices : -1, .events = POLLIN}};
    const int count = poll(waiting, sizeof(waiting) / sizeof(waiting[0]),
                           (int)ut_min_u64(timeout_ms, UT_STORE_WATCH_LONGEST_MS));
    *noticed = count > 0 && (waiting[1].revents & POLLIN) != 0;
    return count > 0 && (waiting[0].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0 ? UT_ECLOSED
                                                                                   : UT_OK;
}

static void forget_notices(const ut_store_watch *watch)
{
    char notices[NOTICE_BYTES];
    while (watch->notices >= 0 && read(watch->notices, notices, sizeof(notices)) > 0)
        ;
}

ut_err ut_store_watch_wait(ut_store_watch *watch, uint64_t timeout_ms)
{
    bool noticed = false;
    const uint64_t longest_ms =
        watch->notices >= 0 ? UT_STORE_WATCH_LONGEST_MS : UT_STORE_WATCH_BLIND_MS;
    ut_err err = wait_once(watch, true, ut_min_u64(timeout_ms, longest_ms), &noticed);
    const uint64_t since_ms = ut_clock_mono_ms() - watch->woke_ms;
    if (err == UT_OK && noticed && since_ms < UT_STORE_WATCH_INTERVAL_MS)
        err = wait_once(watch, false, UT_STORE_WATCH_INTERVAL_MS - since_ms, &noticed);
    forget_notices(watch);
    watch->woke_ms = ut_clock_mono_ms();
    return err;
}
