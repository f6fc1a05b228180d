// Signals: taken where they are waited for, and nowhere else.
#include "agent/process/signals.h"

#include "port/port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

static void what_came_before_the_wait_is_taken(void **state)
{
    (void)state;
    ut_signals signals;
    ut_signals_block(&signals);
    const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_int_equal(kill(getpid(), numbers[i]), 0);
        assert_int_equal(ut_signals_wait(&signals, UINT64_MAX), numbers[i]);
        assert_int_equal(kill(getpid(), numbers[i]), 0);
        assert_int_equal(ut_signals_wait(&signals, ut_clock_mono_ms() + PATIENCE_MS), numbers[i]);
    }
}

static void the_deadline_ends_the_wait(void **state)
{
    (void)state;
    ut_signals signals;
    ut_signals_block(&signals);
    const uint64_t begin_ms = ut_clock_mono_ms();
    assert_int_equal(ut_signals_wait(&signals, 0), 0); // long past
    assert_int_equal(ut_signals_wait(&signals, begin_ms + 20), 0);
    assert_true(ut_clock_mono_ms() >= begin_ms + 19); // the clock's milliseconds are cut
}

static void *wake(void *context)
{
    ut_signals_wake(context);
    return NULL;
}

static void another_thread_ends_the_wait(void **state)
{
    (void)state;
    ut_signals signals;
    ut_signals_block(&signals);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake, &signals), 0);
    assert_int_equal(ut_signals_wait(&signals, UINT64_MAX), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void *send_term(void *context)
{
    (void)context;
    (void)kill(getpid(), SIGTERM);
    return NULL;
}

// A thread that did not inherit the mask would die of it, and all others with it.
static void threads_started_later_do_not_take_them(void **state)
{
    (void)state;
    ut_signals signals;
    ut_signals_block(&signals);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_term, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(ut_signals_wait(&signals, UINT64_MAX), SIGTERM);
}

static void a_broken_pipe_ends_nothing(void **state)
{
    (void)state;
    ut_signals signals;
    ut_signals_block(&signals);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    (void)close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    (void)close(ends[1]);
}

static void once_unblocked_a_stop_ends_the_process(void **state)
{
    (void)state;
    const int numbers[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            ut_signals signals;
            (void)signal(numbers[i], SIG_DFL); // whoever starts the tests may ignore it
            ut_signals_block(&signals);
            (void)raise(numbers[i]);
            (void)raise(SIGHUP);
            if (ut_signals_wait(&signals, UINT64_MAX) == 0)
                _exit(1);
            (void)raise(numbers[i]);
            ut_signals_unblock_stops(&signals);
            _exit(2); // it is still alive
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), numbers[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_before_the_wait_is_taken),
        cmocka_unit_test(the_deadline_ends_the_wait),
        cmocka_unit_test(another_thread_ends_the_wait),
        cmocka_unit_test(threads_started_later_do_not_take_them),
        cmocka_unit_test(a_broken_pipe_ends_nothing),
        cmocka_unit_test(once_unblocked_a_stop_ends_the_process),
    };
    return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
