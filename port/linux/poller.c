// Readiness of sockets from epoll, level triggered, with an eventfd for wakes. Not for timers: the
// caller passes the time until its next deadline.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "port/port.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

// Events taken from the kernel in one call; what does not fit comes with the next.
enum { POLL_EVENTS_MAX = 128 };

struct ut_poller {
    int epoll_fd;
    int wake_fd; // watched with the poller itself as tag
};

ut_err ut_poller_open(ut_poller **poller)
{
    ut_poller *p = malloc(sizeof(*p));
    if (p == NULL)
        return UT_ENOMEM;
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    p->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = p};
    if (p->epoll_fd < 0 || p->wake_fd < 0 ||
        epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->wake_fd, &event) != 0) {
        const ut_err err = ut_err_of_errno(errno);
        ut_poller_close(p);
        return err;
    }
    *poller = p;
    return UT_OK;
}

void ut_poller_close(ut_poller *poller)
{
    if (poller == NULL)
        return;
    if (poller->wake_fd >= 0)
        (void)close(poller->wake_fd);
    if (poller->epoll_fd >= 0)
        (void)close(poller->epoll_fd);
    free(poller);
}

ut_err ut_poller_watch(ut_poller *poller, ut_sock sock, uint32_t interest, void *tag)
{
    struct epoll_event event = {.data.ptr = tag};
    if ((interest & UT_READABLE) != 0)
        event.events |= EPOLLIN;
    if ((interest & UT_WRITABLE) != 0)
        event.events |= EPOLLOUT;
    if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_MOD, sock, &event) == 0)
        return UT_OK;
    if (errno == ENOENT && epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, sock, &event) == 0)
        return UT_OK;
    return errno == ENOSPC ? UT_ELIMIT : ut_err_of_errno(errno); // a limit of watches
}

void ut_poller_forget(ut_poller *poller, ut_sock sock)
{
    (void)epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, sock, NULL); // not known is forgotten
}

static void drain_wake(const ut_poller *poller)
{
    uint64_t wakes;
    ssize_t got = read(poller->wake_fd, &wakes, sizeof(wakes));
    (void)got; // nothing to read: the wake was taken already
}

ut_err ut_poller_wait(ut_poller *poller, uint64_t timeout_ms, ut_poll_event *events, size_t cap,
                      size_t *count)
{
    UT_ASSERT(cap >= 1);
    struct epoll_event ready[POLL_EVENTS_MAX];
    int timeout = timeout_ms == UT_POLL_FOREVER ? -1
                  : timeout_ms < INT_MAX        ? (int)timeout_ms
                                                : INT_MAX;
    int max = cap < POLL_EVENTS_MAX ? (int)cap : POLL_EVENTS_MAX;
    *count = 0;
    int got = epoll_wait(poller->epoll_fd, ready, max, timeout);
    if (got < 0)
        return errno == EINTR ? UT_OK : UT_EIO; // a signal ends the wait as a wake does
    for (int i = 0; i < got; i++) {
        if (ready[i].data.ptr == poller) {
            drain_wake(poller);
            continue;
        }
        uint32_t flags = ready[i].events;
        uint32_t what = 0;
        if ((flags & EPOLLIN) != 0)
            what |= UT_READABLE;
        if ((flags & EPOLLOUT) != 0)
            what |= UT_WRITABLE;
        if ((flags & (EPOLLHUP | EPOLLERR)) != 0)
            what |= UT_HANGUP;
        events[(*count)++] = (ut_poll_event){.tag = ready[i].data.ptr, .ready = what};
    }
    return UT_OK;
}

void ut_poller_wake(ut_poller *poller)
{
    int saved = errno; // we may be inside a signal handler
    uint64_t one = 1;
    ssize_t sent = write(poller->wake_fd, &one, sizeof(one));
    (void)sent; // a full counter means that a wake is waiting
    errno = saved;
}
