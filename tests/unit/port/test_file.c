// Reading whole files: limits, and what a person is told when it fails.
#include "port/port.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

typedef struct {
    char dir_z[64];
    char path_z[128];
} place;

static int make_place(void **state)
{
    place *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -1;
    (void)snprintf(p->dir_z, sizeof(p->dir_z), "/tmp/untrace-file-XXXXXX");
    if (mkdtemp(p->dir_z) == NULL)
        return -1;
    (void)snprintf(p->path_z, sizeof(p->path_z), "%s/ca.pem", p->dir_z);
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    place *p = *state;
    (void)unlink(p->path_z);
    (void)rmdir(p->dir_z);
    free(p);
    return 0;
}

static void write_file(const char *path_z, size_t len)
{
    FILE *file = fopen(path_z, "w");
    assert_non_null(file);
    for (size_t i = 0; i < len; i++)
        assert_true(fputc((int)(i * 7 % 251), file) != EOF);
    assert_int_equal(fclose(file), 0);
}

static void check_content(const ut_buf *buf, size_t begin, size_t len)
{
    assert_int_equal(buf->len, begin + len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(buf->data[begin + i], i * 7 % 251);
}

static void a_file_is_read_whole_behind_what_is_there(void **state)
{
    place *p = *state;
    static const size_t sizes[] = {0, 1, 100, 16383, 16384, 16385, 100000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        write_file(p->path_z, sizes[i]);
        ut_buf buf;
        ut_buf_init(&buf, 200000);
        ut_buf_add_z(&buf, "head");
        ut_fault fault = {0};
        assert_int_equal(ut_file_read(p->path_z, &buf, &fault), UT_OK);
        assert_memory_equal(buf.data, "head", 4);
        check_content(&buf, 4, sizes[i]);
        ut_buf_free(&buf);
    }
}

static void a_file_may_fill_the_buffer_and_not_a_byte_more(void **state)
{
    place *p = *state;
    static const size_t sizes[] = {1, 100, 16384, 16385, 40000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ut_buf buf;
        ut_fault fault = {0};
        write_file(p->path_z, sizes[i]);
        ut_buf_init(&buf, sizes[i]);
        assert_int_equal(ut_file_read(p->path_z, &buf, &fault), UT_OK);
        check_content(&buf, 0, sizes[i]);
        ut_buf_free(&buf);

        write_file(p->path_z, sizes[i] + 1);
        ut_buf_init(&buf, sizes[i]);
        assert_int_equal(ut_file_read(p->path_z, &buf, &fault), UT_ELIMIT);
        assert_int_equal(buf.len, 0);
        assert_int_equal(buf.err, UT_OK);
        assert_non_null(strstr(fault.text_z, p->path_z));
        assert_non_null(strstr(fault.text_z, "larger"));
        ut_buf_free(&buf);
    }
}

static void a_file_whose_size_is_said_to_be_0_is_read(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, 10000);
    assert_int_equal(ut_file_read("/proc/self/cmdline", &buf, NULL), UT_OK);
    assert_true(buf.len > 0);
    ut_buf_free(&buf);
}

static void a_missing_file_is_named(void **state)
{
    place *p = *state;
    (void)unlink(p->path_z);
    ut_buf buf;
    ut_buf_init(&buf, 100);
    ut_buf_add_z(&buf, "kept");
    ut_fault fault = {0};
    assert_int_equal(ut_file_read(p->path_z, &buf, &fault), UT_ENOTFOUND);
    assert_int_equal(fault.code, UT_ENOTFOUND);
    assert_non_null(strstr(fault.text_z, p->path_z));
    assert_int_equal(ut_file_read(p->path_z, &buf, NULL), UT_ENOTFOUND);
    assert_true(ut_bytes_equal(ut_buf_bytes(&buf), UT_BYTES_LIT("kept")));
    ut_buf_free(&buf);
}

static void a_directory_is_not_a_file(void **state)
{
    place *p = *state;
    ut_buf buf;
    ut_buf_init(&buf, 100);
    ut_fault fault = {0};
    assert_int_equal(ut_file_read(p->dir_z, &buf, &fault), UT_EIO);
    assert_non_null(strstr(fault.text_z, p->dir_z));
    assert_non_null(strstr(fault.text_z, "irectory"));
    ut_buf_free(&buf);
}

static void a_file_of_somebody_else_is_refused_with_the_reason(void **state)
{
    place *p = *state;
    write_file(p->path_z, 10);
    assert_int_equal(chmod(p->path_z, 0), 0);
    bool root = geteuid() == 0; // who may read everything
    if (root) {
        assert_int_equal(chmod(p->dir_z, 0755), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    ut_buf buf;
    ut_buf_init(&buf, 100);
    ut_fault fault = {0};
    ut_err err = ut_file_read(p->path_z, &buf, &fault);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(err, UT_EPERM);
    assert_non_null(strstr(fault.text_z, p->path_z));
    ut_buf_free(&buf);
}

static void a_buffer_with_an_error_keeps_it(void **state)
{
    place *p = *state;
    (void)unlink(p->path_z);
    write_file(p->path_z, 10);
    ut_buf buf;
    ut_buf_init(&buf, 100);
    assert_null(ut_buf_reserve(&buf, 101));
    ut_fault fault = {0};
    assert_int_equal(ut_file_read(p->path_z, &buf, &fault), UT_ELIMIT);
    assert_int_equal(fault.code, UT_ELIMIT);
    ut_buf_free(&buf);
}

// UT_ELIMIT is for a file that is too large; a caller tells people so.
static void being_out_of_descriptors_is_no_limit_of_the_file(void **state)
{
    place *p = *state;
    write_file(p->path_z, 10);
    const int next = dup(STDOUT_FILENO); // the number that the next file would get
    assert_true(next >= 0);
    assert_int_equal(close(next), 0);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit tight = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    ut_buf buf;
    ut_buf_init(&buf, 100);
    ut_fault fault = {0};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    const ut_err err = ut_file_read(p->path_z, &buf, &fault);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(err, UT_EIO);
    assert_non_null(strstr(fault.text_z, p->path_z));
    ut_buf_free(&buf);
}

static void no_descriptor_is_left_open(void **state)
{
    place *p = *state;
    int before = open("/dev/null", O_RDONLY);
    assert_int_equal(close(before), 0);
    ut_buf buf;
    ut_buf_init(&buf, 5);
    (void)ut_file_read(p->path_z, &buf, NULL);
    (void)ut_file_read(p->dir_z, &buf, NULL);
    (void)ut_file_read("/dev/null", &buf, NULL);
    int after = open("/dev/null", O_RDONLY);
    assert_int_equal(close(after), 0);
    assert_int_equal(after, before);
    ut_buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_whole_behind_what_is_there),
        cmocka_unit_test(a_file_may_fill_the_buffer_and_not_a_byte_more),
        cmocka_unit_test(a_file_whose_size_is_said_to_be_0_is_read),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_directory_is_not_a_file),
        cmocka_unit_test(a_file_of_somebody_else_is_refused_with_the_reason),
        cmocka_unit_test(a_buffer_with_an_error_keeps_it),
        cmocka_unit_test(being_out_of_descriptors_is_no_limit_of_the_file),
        cmocka_unit_test(no_descriptor_is_left_open),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
