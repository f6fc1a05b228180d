// The note to the service manager: where it goes, and that it never stands in the way.
#include "agent/process/ready_note.h"

#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// A socket that is bound to the name of name_len bytes; the name may begin with a NUL byte.
static int open_manager(const char *name, size_t name_len)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    assert_true(name_len <= sizeof(addr.sun_path));
    memcpy(addr.sun_path, name, name_len);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_len)),
                     0);
    return fd;
}

static void assert_gets(int fd, const char *expected_z)
{
    char got[64];
    assert_int_equal(recv(fd, got, sizeof(got), 0), (ssize_t)strlen(expected_z));
    assert_memory_equal(got, expected_z, strlen(expected_z));
}

static void assert_gets_nothing(int fd)
{
    char got[64];
    assert_int_equal(recv(fd, got, sizeof(got), 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static void it_goes_to_the_socket_at_the_path(void **state)
{
    (void)state;
    char dir_z[UT_TEMP_PATH_MAX];
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    ut_temp_path(dir_z, "notify", path_z);
    const int fd = open_manager(path_z, strlen(path_z));
    assert_int_equal(setenv("NOTIFY_SOCKET", path_z, 1), 0);
    ut_ready_note("READY=1");
    assert_gets(fd, "READY=1");
    assert_gets_nothing(fd); // one datagram
    (void)close(fd);
    ut_temp_dir_remove(dir_z);
}

static void it_goes_to_the_name_without_a_file(void **state)
{
    (void)state;
    char name_z[64];
    (void)snprintf(name_z, sizeof(name_z), "@untrace-test-%ld", (long)getpid());
    const size_t len = strlen(name_z);
    char bound[sizeof(name_z)];
    memcpy(bound, name_z, len);
    bound[0] = '\0';
    const int fd = open_manager(bound, len);
    assert_int_equal(setenv("NOTIFY_SOCKET", name_z, 1), 0);
    ut_ready_note("STOPPING=1");
    assert_gets(fd, "STOPPING=1");
    (void)close(fd);
}

// Each wrong name must leave the call to come back, and this socket without a note.
static void what_is_no_socket_gets_nothing(void **state)
{
    (void)state;
    char dir_z[UT_TEMP_PATH_MAX];
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    ut_temp_path(dir_z, "notify", path_z);
    const int fd = open_manager(path_z, strlen(path_z));
    char relative_z[UT_TEMP_PATH_MAX] = ".";
    char long_z[2 * sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    memset(long_z, '/', sizeof(long_z) - 1);
    long_z[sizeof(long_z) - 1] = '\0';
    assert_int_equal(chdir("/"), 0);
    strcat(relative_z, path_z); // "./tmp/...": the socket, but not by an absolute path
    const char *const wrong[] = {"", relative_z, long_z, "/nowhere/at/all"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(setenv("NOTIFY_SOCKET", wrong[i], 1), 0);
        ut_ready_note("READY=1");
        assert_gets_nothing(fd);
    }
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    ut_ready_note("READY=1");
    assert_gets_nothing(fd);
    (void)close(fd);
    ut_temp_dir_remove(dir_z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_to_the_socket_at_the_path),
        cmocka_unit_test(it_goes_to_the_name_without_a_file),
        cmocka_unit_test(what_is_no_socket_gets_nothing),
    };
    return cmocka_run_group_tests_name("ready_note", tests, NULL, NULL);
}
