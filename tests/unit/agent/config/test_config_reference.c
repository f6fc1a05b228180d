// The text of all keys: what docs/CONFIG.md shows, and a configuration that can be read.
#include "agent/config/config_reference.h"

#include "agent/config/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

static void it_is_what_the_document_shows(void **state)
{
    (void)state;
    ut_buf text;
    ut_buf_init(&text, 1024 * 1024);
    assert_int_equal(ut_file_read("docs/CONFIG.md", &text, NULL), UT_OK);
    ut_buf_add_byte(&text, 0);
    const char *const begin_z = strstr((const char *)text.data, "## All keys\n\n```yaml\n");
    assert_non_null(begin_z);
    const char *const block_z = strstr(begin_z, "yaml\n") + 5;
    const size_t len = (size_t)(strstr(block_z, "\n```\n") + 1 - block_z);
    // Both are the place to change: config_reference.c has this block as a text of C.
    if (len != strlen(ut_config_reference_z) || memcmp(block_z, ut_config_reference_z, len) != 0)
        fail_msg("the keys in docs/CONFIG.md and in config_reference.c differ");
    ut_buf_free(&text);
}

static void it_can_be_read_by_who_needs_no_files(void **state)
{
    (void)state;
    char path[] = "/tmp/untrace-config-XXXXXX";
    const int file = mkstemp(path);
    const size_t len = strlen(ut_config_reference_z);
    assert_true(file >= 0);
    assert_int_equal(write(file, ut_config_reference_z, len), (ssize_t)len);
    assert_int_equal(close(file), 0);
    ut_config *config = calloc(1, sizeof(*config));
    ut_fault fault = {UT_OK, ""};
    const ut_err err = ut_config_read(path, UT_CONFIG_STORE, config, &fault);
    assert_int_equal(unlink(path), 0);
    if (err != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_int_equal(config->storage.rules.count, 1);
    ut_config_free(config);
    free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_what_the_document_shows),
        cmocka_unit_test(it_can_be_read_by_who_needs_no_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
