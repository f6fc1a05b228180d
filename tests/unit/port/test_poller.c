// Readiness and wakes, also from another thread and from a signal handler.
#include "port/port.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

enum { DEADLINE_MS = 20000 };

typedef struct {
    ut_poller *poller;
    int ends[2];
} pair;

static int open_pair(void **state)
{
    pair *p = calloc(1, sizeof(*p));
    if (p == NULL || ut_poller_open(&p->poller) != UT_OK ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p->ends) != 0)
        return -1;
    *state = p;
    return 0;
}

static int close_pair(void **state)
{
    pair *p = *state;
    (void)close(p->ends[0]);
    (void)close(p->ends[1]);
    ut_poller_close(p->poller);
    free(p);
    return 0;
}

static size_t wait_ms(ut_poller *poller, uint64_t timeout_ms, ut_poll_event *events, size_t cap)
{
    size_t count = 99;
    assert_int_equal(ut_poller_wait(poller, timeout_ms, events, cap, &count), UT_OK);
    assert_true(count <= cap);
    return count;
}

static void send_byte(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

static void without_events_the_wait_ends_with_its_time(void **state)
{
    pair *p = *state;
    ut_poll_event events[4];
    assert_int_equal(ut_poller_watch(p->poller, p->ends[0], UT_READABLE, p), UT_OK);
    uint64_t begin = ut_clock_mono_ms();
    assert_int_equal(wait_ms(p->poller, 0, events, 4), 0);
    assert_int_equal(wait_ms(p->poller, 20, events, 4), 0);
    assert_true(ut_clock_mono_ms() - begin >=
                19); // the clock of the seam cuts to whole milliseconds
}

static void readiness_is_told_with_the_tag_until_it_is_gone(void **state)
{
    pair *p = *state;
    ut_poll_event events[4];
    int tag;
    assert_int_equal(ut_poller_watch(p->poller, p->ends[0], UT_READABLE, &tag), UT_OK);
    send_byte(p->ends[1]);
    for (int i = 0; i < 3; i++) { // level triggered
        assert_int_equal(wait_ms(p->poller, DEADLINE_MS, events, 4), 1);
        assert_ptr_equal(events[0].tag, &tag);
        assert_int_equal(events[0].ready, UT_READABLE);
    }
    char byte;
    assert_int_equal(read(p->ends[0], &byte, 1), 1);
    assert_int_equal(wait_ms(p->poller, 0, events, 4), 0);
}

static void a_second_watch_changes_interest_and_tag(void **state)
{
    pair *p = *state;
    ut_poll_event events[4];
    int first;
    int second;
    send_byte(p->ends[1]);
    assert_int_equal(ut_poller_watch(p->poller, p->ends[0], UT_READABLE, &first), UT_OK);
    assert_int_equal(ut_poller_watch(p->poller, p->ends[0], UT_WRITABLE, &second), UT_OK);
    assert_int_equal(wait_ms(p->poller, DEADLINE_MS, events, 4), 1);
    assert_ptr_equal(events[0].tag, &second);
    assert_int_equal(events[0].ready, UT_WRITABLE);
    assert_int_equal(ut_poller_watch(p->poller, p->ends[0], UT_READABLE | UT_WRITABLE, &second),
                     UT_OK);
    assert_int_equal(wait_ms(p->poller, DEADLINE_MS, events, 4), 1);
    assert_int_equal(events[0].ready, UT_READABLE | UT_WRITABLE);
}

static void without_interest_only_a_hangup_is_told(void **state)
{
    pair *p = *state;
    ut_poll_event events[4];
    send_byte(p->ends[1]);
    assert_int_equal(ut_poller_watch(p->poller, p->ends[0], 0, p), UT_OK);
    assert_int_equal(wait_ms(p->poller, 0, events, 4), 0);
    assert_int_equal(shutdown(p->ends[0], SHUT_RDWR), 0);
    assert_int_equal(wait_ms(p->poller, DEADLINE_MS, events, 4), 1);
    assert_int_equal(events[0].ready, UT_HANGUP);
    assert_ptr_equal(events[0].tag, p);
}

static void a_peer_that_only_ended_sending_is_no_hangup(void **state)
{
    pair *p = *state;
    ut_poll_event events[4];
    assert_int_equal(ut_poller_watch(p->poller, p->ends[0], UT_READABLE, p), UT_OK);
    assert_int_equal(shutdown(p->ends[1], SHUT_WR), 0);
    assert_int_equal(wait_ms(p->poller, DEADLINE_MS, events, 4), 1);
    assert_int_equal(events[0].ready, UT_READABLE);
}

static void a_forgotten_socket_is_silent(void **state)
{
    pair *p = *state;
    ut_poll_event events[4];
    assert_int_equal(ut_poller_watch(p->poller, p->ends[0], UT_READABLE, p), UT_OK);
    send_byte(p->ends[1]);
    ut_poller_forget(p->poller, p->ends[0]);
    ut_poller_forget(p->poller, p->ends[0]); // not known is fine
    assert_int_equal(wait_ms(p->poller, 0, events, 4), 0);
    assert_int_equal(ut_poller_watch(p->poller, p->ends[0], UT_READABLE, p), UT_OK);
    assert_int_equal(wait_ms(p->poller, DEADLINE_MS, events, 4), 1);
}

static void what_cannot_be_watched_is_an_error(void **state)
{
    pair *p = *state;
    assert_int_equal(ut_poller_watch(p->poller, UT_SOCK_NONE, UT_READABLE, p), UT_EIO);
}

static void events_that_do_not_fit_come_with_the_next_waits(void **state)
{
    pair *p = *state;
    enum { PAIRS = 200 };
    int ends[PAIRS][2];
    bool seen[PAIRS] = {false};
    for (size_t i = 0; i < PAIRS; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), 0);
        assert_int_equal(ut_poller_watch(p->poller, ends[i][0], UT_READABLE, &seen[i]), UT_OK);
        send_byte(ends[i][1]);
    }
    static const size_t caps[] = {1, 7, PAIRS};
    for (size_t c = 0; c < sizeof(caps) / sizeof(caps[0]); c++) {
        memset(seen, 0, sizeof(seen));
        ut_poller_wake(p->poller); // takes a place among the others, and must not hide any
        size_t left = PAIRS;
        uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
        while (left > 0 && ut_clock_mono_ms() < end) {
            ut_poll_event events[PAIRS];
            size_t count = wait_ms(p->poller, DEADLINE_MS, events, caps[c]);
            for (size_t i = 0; i < count; i++) {
                bool *one = events[i].tag;
                left -= *one ? 0 : 1;
                *one = true;
            }
        }
        assert_int_equal(left, 0);
    }
    for (size_t i = 0; i < PAIRS; i++) {
        (void)close(ends[i][0]);
        (void)close(ends[i][1]);
    }
}

static void wakes_before_a_wait_end_it_and_only_it(void **state)
{
    pair *p = *state;
    ut_poll_event events[4];
    for (int i = 0; i < 1000; i++)
        ut_poller_wake(p->poller);
    assert_int_equal(wait_ms(p->poller, UT_POLL_FOREVER, events, 4), 0);
    uint64_t begin = ut_clock_mono_ms();
    assert_int_equal(wait_ms(p->poller, 20, events, 4), 0);
    assert_true(ut_clock_mono_ms() - begin >= 19);
}

typedef struct {
    ut_poller *poller;
    pthread_t waiter;
    atomic_bool began;
} waker;

static void *wake_it(void *context)
{
    waker *w = context;
    atomic_store(&w->began, true);
    ut_poller_wake(w->poller);
    return NULL;
}

static void another_thread_ends_a_wait_without_end(void **state)
{
    pair *p = *state;
    ut_poll_event events[4];
    for (int i = 0; i < 200; i++) { // whichever of the two comes first
        pthread_t thread;
        waker w = {.poller = p->poller};
        assert_int_equal(pthread_create(&thread, NULL, wake_it, &w), 0);
        assert_int_equal(wait_ms(p->poller, UT_POLL_FOREVER, events, 4), 0);
        assert_true(atomic_load(&w.began));
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    assert_int_equal(wait_ms(p->poller, 0, events, 4), 0);
}

static ut_poller *volatile handler_poller; // a signal handler has no other way to know it

static void on_signal(int number)
{
    (void)number;
    ut_poller_wake(handler_poller);
}

static void *signal_it(void *context)
{
    waker *w = context;
    atomic_store(&w->began, true);
    (void)pthread_kill(w->waiter, SIGUSR1);
    return NULL;
}

static void a_signal_handler_ends_a_wait_without_end(void **state)
{
    pair *p = *state;
    ut_poll_event events[4];
    handler_poller = p->poller;
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction before;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        waker w = {.poller = p->poller, .waiter = pthread_self()};
        assert_int_equal(pthread_create(&thread, NULL, signal_it, &w), 0);
        assert_int_equal(wait_ms(p->poller, UT_POLL_FOREVER, events, 4), 0);
        assert_true(atomic_load(&w.began));
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(wait_ms(p->poller, 0, events, 4),
                         0); // the wake itself, if the signal ended the wait
    }
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

// How many of the first descriptors are open.
static size_t open_descriptors(void)
{
    size_t count = 0;
    for (int fd = 0; fd < 64; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void a_closed_poller_leaves_nothing_open(void **state)
{
    (void)state;
    const size_t before = open_descriptors();
    ut_poller *poller = NULL;
    assert_int_equal(ut_poller_open(&poller), UT_OK);
    assert_true(open_descriptors() > before);
    ut_poller_close(poller);
    assert_int_equal(open_descriptors(), before);
    errno = 0;
    ut_poller_close(NULL); // closes nothing, and does not try to
    assert_int_equal(errno, 0);
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_events_the_wait_ends_with_its_time, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(readiness_is_told_with_the_tag_until_it_is_gone, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(a_second_watch_changes_interest_and_tag, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(without_interest_only_a_hangup_is_told, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(a_peer_that_only_ended_sending_is_no_hangup, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(a_forgotten_socket_is_silent, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(what_cannot_be_watched_is_an_error, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(events_that_do_not_fit_come_with_the_next_waits, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(wakes_before_a_wait_end_it_and_only_it, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(another_thread_ends_a_wait_without_end, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(a_signal_handler_ends_a_wait_without_end, open_pair,
                                        close_pair),
        cmocka_unit_test(a_closed_poller_leaves_nothing_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
